//! A denied subject, tried by every way that leads to it.

use super::{Stage, user};
use crate::sim::{self, Client};

/// Numbers from a seed, as good as a test needs them.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap_or(0) % limit
    }
}

/// Whether `subject` matches `filter`: the definition, word by word.
fn is_match(filter: &str, subject: &str) -> bool {
    let (mut filter, mut subject) = (filter.split('.'), subject.split('.'));
    loop {
        match (filter.next(), subject.next()) {
            (Some(">"), Some(_)) | (None, None) => return true,
            (Some("*"), Some(_)) => {}
            (Some(a), Some(b)) if a == b => {}
            _ => return false,
        }
    }
}

/// Allowed by a list or by having none, and denied by nothing.
fn is_allowed(allow: &[String], deny: &[String], subject: &str) -> bool {
    let is_in = |list: &[String]| list.iter().any(|filter| is_match(filter, subject));
    (allow.is_empty() || is_in(allow)) && !is_in(deny)
}

fn subjects() -> Vec<String> {
    let words = ["a", "b", "c"];
    let mut all: Vec<String> = words.map(str::to_owned).into();
    for first in words {
        for second in words {
            all.push(format!("{first}.{second}"));
            all.push(format!("{first}.{second}.a"));
        }
    }
    all
}

fn filter(dice: &mut Dice) -> String {
    let words = ["a", "b", "c", "*"];
    let mut text = words[dice.below(4)].to_owned();
    for _ in 0..dice.below(3) {
        text = format!("{text}.{}", words[dice.below(4)]);
    }
    if dice.below(4) == 0 {
        text.push_str(".>");
    }
    text
}

fn filters(dice: &mut Dice, most: usize) -> Vec<String> {
    (0..dice.below(most + 1)).map(|_| filter(dice)).collect()
}

fn list(filters: &[String]) -> String {
    format!(
        "[{}]",
        filters
            .iter()
            .map(|filter| format!("\"{filter}\""))
            .collect::<Vec<_>>()
            .join(", ")
    )
}

/// A broker with a user `u` of these rules, and one without any.
async fn stage(kind: &str, allow: &[String], deny: &[String]) -> Stage {
    let allowed = if allow.is_empty() {
        String::new()
    } else {
        format!("allow: {}, ", list(allow))
    };
    Stage::new(&format!(
        "authorization {{ users: [{{user: u, password: u, permissions: {{{kind}: {{{allowed}deny: {}}}}}}}, \
         {{user: free, password: free}}] }}\n",
        list(deny)
    ))
    .await
}

/// Subjects of the messages in what a client received.
fn received(text: &str) -> Vec<String> {
    let heads = text
        .split("\r\n")
        .filter(|line| line.starts_with("MSG ") || line.starts_with("HMSG "));
    heads
        .filter_map(|line| line.split(' ').nth(1).map(str::to_owned))
        .collect()
}

// [2022-29946, 2026-18, 2026-17, 2026-26, 2021-3127: deny, wildcards and queues; AUTH-202]
#[test]
fn no_way_to_publish_passes_a_rule() {
    for seed in 0..40 {
        let mut dice = Dice(seed);
        let (allow, deny) = (filters(&mut dice, 3), filters(&mut dice, 3));
        sim::run(|| async {
            let stage = stage("publish", &allow, &deny).await;
            let mut listener = stage.log_in(&user("free")).await;
            listener.send("SUB > 1\r\n").await;
            listener.sync().await;
            let json = user("u").replace('}', r#","headers":true}"#);
            let mut publisher = stage.log_in(&json).await;
            for subject in subjects() {
                let wanted = is_allowed(&allow, &deny, &subject);
                for way in [
                    format!("PUB {subject} 0\r\n\r\n"),
                    format!("PUB {subject} 0\r\n\r\n").replace(' ', "\t"),
                    format!("HPUB {subject} 12 12\r\nNATS/1.0\r\n\r\n\r\n"),
                ] {
                    publisher.send(&way).await;
                    publisher.sync().await;
                    let got = received(&listener.sync().await);
                    let expected: &[String] = if wanted {
                        std::slice::from_ref(&subject)
                    } else {
                        &[]
                    };
                    assert_eq!(
                        got, expected,
                        "seed {seed}, allow {allow:?}, deny {deny:?}, {way:?}"
                    );
                }
            }
        });
    }
}

/// Subscribes in one of the ways that a client has.
async fn subscribe(client: &mut Client, filter: &str, dice: &mut Dice) {
    let line = match dice.below(3) {
        0 => format!("SUB {filter} q 1\r\n"),
        1 => format!("SUB {filter} 1\r\nSUB {filter} q 2\r\n"),
        _ => format!("SUB {filter} 1\r\n"),
    };
    client.send(&line).await;
    client.sync().await;
}

// [2022-29946, 2026-18, 2026-17: queue subscriptions and overlapping wildcards against deny; AUTH-204 to AUTH-206]
#[test]
fn no_way_to_subscribe_passes_a_rule() {
    for seed in 100..140 {
        let mut dice = Dice(seed);
        let (allow, deny) = (filters(&mut dice, 3), filters(&mut dice, 3));
        sim::run(|| async {
            let stage = stage("subscribe", &allow, &deny).await;
            let mut publisher = stage.log_in(&user("free")).await;
            for _ in 0..8 {
                let filter = filter(&mut dice);
                let mut listener = stage.log_in(&user("u")).await;
                subscribe(&mut listener, &filter, &mut dice).await;
                for subject in subjects() {
                    publisher.send(&format!("PUB {subject} 0\r\n\r\n")).await;
                }
                publisher.sync().await;
                let got = received(&listener.sync().await);
                for subject in &got {
                    let may = is_allowed(&allow, &deny, subject) && is_match(&filter, subject);
                    assert!(
                        may,
                        "seed {seed}, allow {allow:?}, deny {deny:?}: {filter} got {subject}"
                    );
                }
                // A subject itself, allowed, is delivered: a rule that denies all would be safe, too.
                if is_allowed(&allow, &deny, &filter) && subjects().contains(&filter) {
                    assert!(
                        got.contains(&filter),
                        "seed {seed}, allow {allow:?}, deny {deny:?}: {filter}"
                    );
                }
            }
        });
    }
}

// [2026-33249, 2026-20: a trace sent to a denied subject] Headers publish nothing.
#[test]
fn header_does_not_publish_where_its_sender_may_not() {
    sim::run(|| async {
        let stage = stage("publish", &["open".to_owned()], &[]).await;
        let mut listener = stage.log_in(&user("free")).await;
        listener.send("SUB secret 1\r\n").await;
        listener.sync().await;
        let json = user("u").replace('}', r#","headers":true}"#);
        let mut publisher = stage.log_in(&json).await;
        for header in [
            "Nats-Trace-Dest: secret",
            "Nats-Trace-Only: true\r\nNats-Trace-Dest: secret",
            "traceparent: secret",
        ] {
            let head = format!("NATS/1.0\r\n{header}\r\n\r\n");
            let size = head.len();
            publisher
                .send(&format!("HPUB open {size} {size}\r\n{head}\r\n"))
                .await;
            publisher.sync().await;
        }
        assert_eq!(listener.sync().await, "");
    });
}

// [2021-3127: tokens that another account's import answers to] What the broker keeps for itself is no reply.
#[test]
fn reply_that_is_reserved_for_the_broker_is_refused() {
    sim::run(|| async {
        let stage = Stage::new("").await;
        let mut responder = stage.log_in(super::QUIET).await;
        responder.send("SUB service 1\r\n").await;
        responder.sync().await;
        let mut requester = stage.log_in(super::QUIET).await;
        requester.send("PUB service _R_.secret 0\r\n\r\n").await;
        let told = requester.sync().await;
        assert!(
            told.contains("Permissions Violation for Publish with Reply of \"_R_.secret\""),
            "{told}"
        );
        assert_eq!(responder.sync().await, "");
    });
}

// [mosquitto 2021-34434: what a login allowed stays after another] Subscriptions of the old login go with it.
#[test]
fn another_login_on_a_connection_keeps_nothing_of_the_first() {
    sim::run(|| async {
        let stage = stage("subscribe", &["open".to_owned()], &[]).await;
        let mut client = stage.log_in(&user("free")).await;
        client.send("SUB secret 1\r\n").await;
        client.sync().await;
        client.send(&format!("CONNECT {}\r\n", user("u"))).await;
        client.sync().await;
        let mut publisher = stage.log_in(&user("free")).await;
        publisher.send("PUB secret 0\r\n\r\n").await;
        publisher.sync().await;
        assert_eq!(client.sync().await, "");
    });
}
