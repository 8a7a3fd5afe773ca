//! Who somebody is: nobody gets in by what is left out, and nobody becomes another.

use super::{Stage, user};
use crate::sim;

const REFUSED: &str = "-ERR 'Authorization Violation'\r\n";

/// Each of these must be refused.
async fn assert_refused(stage: &Stage, lines: &[&str]) {
    for line in lines {
        let told = stage
            .end_of(format!("{line}\r\nSUB foo 1\r\nPING\r\n").as_bytes())
            .await;
        assert!(
            told.ends_with(REFUSED) && !told.contains("PONG"),
            "{line}: {told}"
        );
    }
}

// [2023-47090] Users of the system account beside others open no door; AUTH-20 lets strangers in where there are no others.
#[test]
fn users_of_the_system_account_do_not_open_the_door_to_others() {
    sim::run(|| async {
        let system = "accounts { $SYS { users: [{user: s, password: s}] } }\n";
        let own = "authorization { users: [{user: u, password: u}] }\n";
        let stage = Stage::new(&format!("{own}{system}")).await;
        let refused = [
            "CONNECT {}",
            r#"CONNECT {"user":"s"}"#,
            r#"CONNECT {"user":"x","pass":"s"}"#,
        ];
        assert_refused(&stage, &refused).await;
    });
}

// [2026-16, 2026-24] Who names credentials is judged by them, never let in as the stand-in.
#[test]
fn stand_in_user_is_for_those_without_credentials_only() {
    sim::run(|| async {
        let stage = Stage::new(
            "authorization { users: [{user: guest, password: guest, permissions: {subscribe: open}}, \
             {user: u, password: u}] }\nno_auth_user: guest\n",
        )
        .await;
        assert_refused(
            &stage,
            &[
                r#"CONNECT {"user":"u","pass":"wrong"}"#,
                r#"CONNECT {"user":"nobody","pass":"guest"}"#,
                r#"CONNECT {"user":"guest","pass":""}"#,
                r#"CONNECT {"user":"guest"}"#,
            ],
        )
        .await;
        let mut guest = stage.connect().await;
        guest.send("PING\r\nSUB closed 1\r\n").await;
        let told = guest.expect("'\r\n").await;
        assert!(
            told.contains("Permissions Violation for Subscription to \"closed\""),
            "{told}"
        );
    });
}

// [2026-16] A login is decided once: a second CONNECT is judged like the first.
#[test]
fn second_connect_with_wrong_credentials_ends_the_first_login() {
    sim::run(|| async {
        let stage = Stage::new("authorization { users: [{user: u, password: u}] }\n").await;
        let mut client = stage.log_in(&user("u")).await;
        client
            .send("CONNECT {\"user\":\"u\",\"pass\":\"x\"}\r\nSUB foo 1\r\nPING\r\n")
            .await;
        let told = client.expect_end().await;
        assert!(told.ends_with(REFUSED), "{told}");
    });
}

// [2022-24450] A client does not choose its account.
#[test]
fn account_named_by_a_client_gives_it_nothing() {
    sim::run(|| async {
        let stage = Stage::new(
            "accounts { A { users: [{user: a, password: a}] }, B { users: [{user: b, password: b}] } }\n",
        )
        .await;
        let mut b = stage.log_in(&user("b")).await;
        b.send("SUB > 1\r\n").await;
        b.sync().await;
        for json in [
            r#"{"user":"a","pass":"a","account":"B","verbose":false}"#,
            r#"{"user":"a","pass":"a","account":"$SYS","verbose":false}"#,
            r#"{"user":"a","pass":"a","account":"B","new_account":true,"verbose":false}"#,
        ] {
            stage
                .end_of(format!("CONNECT {json}\r\nPUB foo 2\r\nhi\r\n").as_bytes())
                .await;
        }
        assert_eq!(b.sync().await, "");
    });
}

// [2021-3127, 2022-24450] What one account publishes, no other receives.
#[test]
fn accounts_share_nothing() {
    sim::run(|| async {
        let stage = Stage::new(
            "accounts { A { users: [{user: a, password: a}] }, B { users: [{user: b, password: b}] } }\n",
        )
        .await;
        let mut b = stage.log_in(&user("b")).await;
        b.send("SUB > 1\r\nSUB foo q 2\r\nSUB $SYS.> 3\r\n").await;
        b.sync().await;
        let mut a = stage.log_in(&user("a")).await;
        a.send("PUB foo 0\r\n\r\nPUB $SYS.x 0\r\n\r\nPUB _INBOX.x foo 0\r\n\r\n")
            .await;
        a.sync().await;
        assert_eq!(b.sync().await, "");
    });
}

// [2026-33248, 2020-26892: kinds of identity] A user for one kind of connection is none for another.
#[test]
fn user_for_another_kind_of_connection_is_refused() {
    sim::run(|| async {
        let stage = Stage::new(
            "authorization { users: [{user: w, password: w, allowed_connection_types: [WEBSOCKET]}] }\n",
        )
        .await;
        assert_refused(&stage, &[r#"CONNECT {"user":"w","pass":"w"}"#]).await;
    });
}

const KEY: &str = "UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4";

// [2023-46129: keys that were all zero] No two nonces of a broker are the same, and none is empty.
#[test]
fn nonces_differ() {
    sim::run(|| async {
        let stage = Stage::new(&format!("authorization {{ users: [{{nkey: {KEY}}}] }}\n")).await;
        let mut seen = std::collections::HashSet::new();
        for _ in 0..100 {
            let info = stage.connect().await.expect("\r\n").await;
            let (_, rest) = info.split_once(r#""nonce":""#).expect("a nonce");
            let (nonce, _) = rest.split_once('"').expect("a string");
            assert!(nonce.len() == 15 && seen.insert(nonce.to_owned()), "{nonce}");
        }
    });
}

// [2026-23: a key that is too short] Signatures and keys of every length, over a nonce or over nothing, let nobody in.
#[test]
fn signatures_of_every_length_are_refused() {
    sim::run(|| async {
        let stage = Stage::new(&format!("authorization {{ users: [{{nkey: {KEY}}}] }}\n")).await;
        for len in [0, 1, 2, 3, 43, 84, 85, 86, 87, 88, 89, 200] {
            let sig = "A".repeat(len);
            let short = KEY.get(..len.min(56)).unwrap_or(KEY);
            let lines = [
                format!(r#"CONNECT {{"nkey":"{KEY}","sig":"{sig}"}}"#),
                format!(r#"CONNECT {{"nkey":"{short}","sig":"{sig}"}}"#),
                format!(r#"CONNECT {{"nkey":"{KEY}","sig":"{sig}==","jwt":"{sig}"}}"#),
            ];
            let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
            assert_refused(&stage, &lines).await;
        }
        assert_eq!(stage.broker.env.panics(), 0);
    });
}

// [2020-26892, mosquitto 2021-34434] What a reload takes away is gone for sessions that are open, whatever they did before.
#[test]
fn what_is_revoked_is_gone_for_open_sessions() {
    sim::run(|| async {
        let users =
            |rest: &str| format!("authorization {{ users: [ {{user: free, password: free}}, {rest} ] }}");
        let stage = Stage::new(&users("{user: u, password: u}, {user: gone, password: gone}")).await;
        let mut free = stage.log_in(&user("free")).await;
        let mut client = stage.log_in(&user("u")).await;
        let mut gone = stage.log_in(&user("gone")).await;
        free.send("SUB out.* 1\r\n").await;
        free.sync().await;
        // Routes and decisions are made, and kept, while everything is allowed.
        client
            .send("SUB in.secret 1\r\nSUB in.> 2\r\nPUB out.secret 0\r\n\r\n")
            .await;
        client.sync().await;
        free.send("PUB in.secret 0\r\n\r\n").await;
        assert!(free.sync().await.contains("MSG out.secret"));
        assert_eq!(client.sync().await.matches("MSG in.secret").count(), 2);
        let rules = "permissions: {publish: {deny: out.secret}, subscribe: {deny: in.secret}}";
        stage
            .broker
            .reload(&users(&format!("{{user: u, password: u, {rules}}}")))
            .await;
        gone.expect_end().await;
        assert_refused(&stage, &[&format!("CONNECT {}", user("gone"))]).await;
        client.send("PUB out.secret 0\r\n\r\n").await;
        let told = client.sync().await;
        for what in ["Subscription to \"in.secret\"", "Publish to \"out.secret\""] {
            assert!(told.contains(what), "{told}");
        }
        free.send("PUB in.secret 0\r\n\r\nPUB in.open 0\r\n\r\n").await;
        assert_eq!(free.sync().await, "");
        assert_eq!(client.sync().await, "MSG in.open 2 0\r\n\r\n");
    });
}
