//! Crafted input of somebody who may log in: numbers at their ends, and answers that nobody fetches.

use super::{QUIET, Stage, user};
use crate::sim;

/// Numbers that overflow something somewhere.
const NUMBERS: &[&str] = &[
    "0",
    "-1",
    "2147483647",
    "2147483648",
    "4294967295",
    "4294967296",
    "9223372036854775807",
    "9223372036854775808",
    "18446744073709551616",
    "-9223372036854775808",
    "99999999999999999999999999",
    "1e9",
    "0x10",
    "",
];

// [2026-28: offset and limit that overflow when added; 2022-42708: a count]
#[test]
fn numbers_at_their_ends_end_no_session_by_panic() {
    sim::run(|| async {
        let stage = Stage::new("").await;
        for number in NUMBERS {
            for line in [
                format!("PUB foo {number}\r\n\r\n"),
                format!("HPUB foo {number} {number}\r\n\r\n"),
                format!("HPUB foo 12 {number}\r\nNATS/1.0\r\n\r\n\r\n"),
                format!("SUB foo 1\r\nUNSUB 1 {number}\r\nPUB foo 0\r\n\r\n"),
                format!("CONNECT {{\"protocol\":{number}}}\r\n"),
                format!("SUB foo {number}\r\n"),
            ] {
                let mut client = stage.log_in(QUIET).await;
                client.try_send(line.as_bytes()).await;
                client.leave();
                client.expect_end().await;
            }
        }
        stage.assert_whole(QUIET).await;
    });
}

// [2026-28]
#[test]
fn numbers_at_their_ends_in_a_configuration_are_values_or_errors() {
    use dunlin_api::config::{Config, Format, MapSource};
    for key in [
        "port",
        "max_payload",
        "max_pending",
        "max_connections",
        "max_control_line",
        "max_subscriptions",
        "max_sub_tokens",
        "max_traced_msg_len",
        "log_size_limit",
        "ping_max",
        "ping_interval",
        "write_deadline",
        "lame_duck_duration",
        "max_pending_logins",
    ] {
        for number in NUMBERS {
            for unit in ["", "k", "GB", "TiB", "s", "h"] {
                let text = format!("{key}: {number}{unit}\n");
                if let Ok(loaded) =
                    Config::load_content(text.as_bytes(), "test", Format::NatsConf, &MapSource::new())
                {
                    let _ = loaded.config.validate();
                }
            }
        }
    }
}

// [2020-26521, 2020-28466: recursion] Nesting has an end in every document that a stranger or an operator writes.
#[test]
fn deep_nesting_is_an_error_and_no_end_of_the_process() {
    sim::run(|| async {
        let stage = Stage::new("max_control_line: 1MB\n").await;
        for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
            let json = format!("{{\"x\":{}1{}}}", open.repeat(100_000), close.repeat(100_000));
            let mut client = stage.connect().await;
            client
                .try_send(format!("CONNECT {json}\r\nINFO {json}\r\n").as_bytes())
                .await;
            client.leave();
            client.expect_end().await;
        }
        stage.assert_whole(QUIET).await;
    });
}

// [NanoMQ 2024-48077: a queue without bound]
#[test]
fn receiver_that_does_not_read_is_closed_at_its_limit() {
    sim::run(|| async {
        let stage = Stage::new("max_pending: 2MB\n").await;
        let receiver = stage.log_in(QUIET).await;
        receiver.send("SUB foo 1\r\n").await;
        stage.broker.env.sleep(std::time::Duration::from_millis(10)).await;
        let mut publisher = stage.log_in(QUIET).await;
        let message = format!("PUB foo 100000\r\n{}\r\n", "x".repeat(100_000));
        for _ in 0..100 {
            publisher.send(&message).await;
            publisher.sync().await;
        }
        let lines = stage.lines.take();
        assert!(
            lines.iter().any(|line| line.contains("Slow Consumer Detected")),
            "{lines:?}"
        );
        assert_eq!(stage.broker.server.totals().subscriptions, 0);
        stage.assert_whole(QUIET).await;
    });
}

// [mosquitto 2021-28166: what only a server sends, sent by a client]
#[test]
fn operations_of_a_server_sent_by_a_client_reach_nobody() {
    sim::run(|| async {
        let stage =
            Stage::new("authorization { users: [{user: u, password: u}, {user: v, password: v}] }\n").await;
        let mut listener = stage.log_in(&user("v")).await;
        listener.send("SUB > 1\r\n").await;
        listener.sync().await;
        for line in [
            "MSG foo 1 2\r\nhi\r\n",
            "RMSG $G foo 2\r\nhi\r\n",
            "LMSG foo 2\r\nhi\r\n",
            "RS+ $G foo\r\n",
            "LS+ foo\r\n",
            "A+ foo\r\n",
            "-ERR 'Authorization Violation'\r\n",
        ] {
            let client = stage.log_in(&user("u")).await;
            client.try_send(line.as_bytes()).await;
            let mut client = client;
            client.expect_end().await;
        }
        assert_eq!(listener.sync().await, "");
    });
}
