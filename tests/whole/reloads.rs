//! Reloads of brokers that are at work: what open connections notice of them (CORE-134).

use std::cell::RefCell;
use std::fmt::Write as _;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use dunlin_api::{AccountName, Deliver, Delivery, Message, Session, Subject, Turn, fault};
use dunlin_net::sim::{LinkRules, SimWorld};

use futures_util::FutureExt as _;

use crate::sim::{self, Broker, Client, host};

/// Messages of one publisher, and how many of them come between two reloads.
const MESSAGES: usize = 600;
const STEP: usize = 50;

/// Holds few bytes, so that a broker has worked off most of what was sent when it reloads.
const NARROW: LinkRules = LinkRules {
    latency: Duration::from_millis(1),
    jitter: Duration::ZERO,
    chunk: 300,
    window: 600,
};

/// One of three configurations that differ in everything but what its clients may do.
fn variant(number: usize) -> String {
    let limits = [
        "max_payload: 2000, ping_interval: '1m', mappings { other: o1 }",
        "max_payload: 3000, ping_interval: '2m', max_control_line: 2000",
        "max_connections: 100, authorization { users: [ {user: u, password: p}, {user: n, password: n} ] }",
    ];
    let users = "authorization { users: [ {user: u, password: p} ] }";
    match number % 3 {
        2 => limits[2].to_owned(),
        number => format!("{}\n{users}", limits[number]),
    }
}

async fn log_in(world: &SimWorld, from: u8, broker: &Broker, user: &str) -> Client {
    let address = std::net::SocketAddr::new(broker.ip, sim::PORT);
    let mut client = Client::connect(world, host(from), address).await;
    let password = if user == "u" { "p" } else { user };
    client
        .send(&format!(
            "CONNECT {{\"verbose\":false,\"user\":\"{user}\",\"pass\":\"{password}\"}}\r\n"
        ))
        .await;
    client.sync().await;
    client
}

// CORE-134, AUTH-215: connections that stay lose nothing, and get nothing twice.
#[test]
fn no_message_is_lost_or_doubled_over_reloads_under_load() {
    for seed in 1..=5 {
        sim::run(|| async {
            let world = SimWorld::new(seed);
            world.link(host(1), host(50), NARROW);
            let (broker, _) = sim::start_logged(&world, host(1), &variant(0)).await;
            let mut plain = log_in(&world, 50, &broker, "u").await;
            plain.send("SUB news.* 1\r\n").await;
            plain.sync().await;
            let mut members = Vec::new();
            for _ in 0..3 {
                let mut member = log_in(&world, 50, &broker, "u").await;
                member.send("SUB news.> workers 2\r\n").await;
                member.sync().await;
                members.push(member);
            }
            let mut publisher = log_in(&world, 50, &broker, "u").await;
            let mut expected = String::new();
            for number in 0..MESSAGES {
                publisher.send(&format!("PUB news.x 4\r\n{number:04}\r\n")).await;
                let _ = write!(expected, "MSG news.x 1 4\r\n{number:04}\r\n");
                if number % STEP == STEP / 2 {
                    broker.reload(&variant(number / STEP + 1)).await;
                }
            }
            assert_eq!(publisher.sync().await, "", "seed {seed}");
            assert_eq!(plain.sync().await, expected, "seed {seed}");
            let mut shared = Vec::new();
            for member in &mut members {
                let got = member.sync().await;
                let numbers = got.lines().filter(|line| !line.starts_with("MSG "));
                shared.extend(numbers.map(|line| line.parse::<usize>().unwrap()));
            }
            shared.sort_unstable();
            assert_eq!(shared, (0..MESSAGES).collect::<Vec<_>>(), "seed {seed}");
        });
    }
}

// AUTH-215: there is one point before which all messages are judged by the old rules, and behind which none is.
#[test]
fn permissions_change_between_two_messages() {
    let may = |rule: &str| {
        format!(
            "authorization {{ users: [ {{user: u, password: p, permissions: {{ {rule} }} }}, {{user: n, password: n}} ] }}"
        )
    };
    let (both, one) = (may("publish: [a, b]"), may("publish: a"));
    for seed in 1..=5 {
        sim::run(|| async {
            let world = SimWorld::new(seed);
            world.link(host(1), host(50), NARROW);
            let (broker, _) = sim::start_logged(&world, host(1), &both).await;
            let mut listener = log_in(&world, 50, &broker, "n").await;
            listener.send("SUB * 1\r\n").await;
            listener.sync().await;
            let mut publisher = log_in(&world, 50, &broker, "u").await;
            for number in 0..MESSAGES {
                publisher
                    .send(&format!("PUB a 4\r\n{number:04}\r\nPUB b 4\r\n{number:04}\r\n"))
                    .await;
                if number == MESSAGES / 2 {
                    broker.reload(&one).await;
                }
            }
            let refused = publisher.sync().await;
            let got = listener.sync().await;
            let refused = refused
                .matches("Permissions Violation for Publish to \"b\"")
                .count();
            let passed: Vec<_> = got
                .split("MSG b 1 4\r\n")
                .skip(1)
                .map(|rest| &rest[..4])
                .collect();
            let expected: Vec<_> = (0..MESSAGES - refused)
                .map(|number| format!("{number:04}"))
                .collect();
            assert_eq!(passed, expected, "seed {seed}");
            assert!(
                refused > 0 && !passed.is_empty(),
                "seed {seed}: {refused} refused"
            );
            assert_eq!(got.matches("MSG a 1 4\r\n").count(), MESSAGES, "seed {seed}");
        });
    }
}

// AUTH-506, CORE-134
#[test]
fn the_newest_clients_go_when_their_account_takes_fewer() {
    sim::run(|| async {
        let config = |most: &str| {
            format!(
                "accounts {{ A {{ users: [ {{user: u, password: p}} ], {most} }}, B {{ users: [ {{user: n, password: n}} ] }} }}"
            )
        };
        let world = SimWorld::new(1);
        let (broker, lines) = sim::start_logged(&world, host(1), &config("")).await;
        let mut clients = Vec::new();
        for user in ["u", "n", "u", "u", "n", "u"] {
            clients.push(log_in(&world, 50, &broker, user).await);
        }
        lines.take();
        broker.reload(&config("limits { max_connections: 2 }")).await;
        let text = "maximum account active connections exceeded";
        for mut newest in [clients.remove(5), clients.remove(3)] {
            assert_eq!(newest.expect_end().await, format!("-ERR '{text}'\r\n"));
        }
        for client in &mut clients {
            assert_eq!(client.sync().await, "");
        }
        let lines = lines.take();
        let said = |text: &str| lines.iter().filter(|line| line.contains(text)).count();
        assert_eq!(
            (
                said("exceeded - Account:A - user:u"),
                said("authentication error - User \"u\"")
            ),
            (1, 2),
            "{lines:#?}"
        );
        let account = AccountName::new("A").unwrap();
        assert_eq!(broker.server.account_totals(&account).unwrap().connections, 2);
    });
}

/// Somebody who publishes without a connection.
struct Voice(Session);

impl Voice {
    fn new(broker: &Broker) -> Rc<RefCell<Self>> {
        let session = broker
            .server
            .broker()
            .open_internal("Voice", AccountName::global(), Arc::new(Deaf));
        Rc::new(RefCell::new(Self(session.unwrap())))
    }

    fn say(&mut self, subject: &'static str) {
        let subject = Subject::from_wire(subject.as_bytes()).unwrap();
        let mut turn = Turn::default();
        let message = Message::with_headers(b"hi", 0);
        self.0
            .publish(subject, &[message], &mut turn, &mut |_, _, _, _| {});
        turn.flush();
    }
}

struct Deaf;

impl Deliver for Deaf {
    fn deliver(&self, _: &Delivery<'_>, _: &mut Turn) -> usize {
        0
    }
}

/// A broker whose client `u` may subscribe to anything, and another configuration of it.
async fn about_to_change(rules: &str) -> (SimWorld, Rc<Broker>, Client, String) {
    let config = |rules: &str| format!("authorization {{ users: [ {{user: u, password: p, {rules} }} ] }}");
    let world = SimWorld::new(1);
    let (broker, _) = sim::start_logged(&world, host(1), &config("")).await;
    let client = log_in(&world, 50, &broker, "u").await;
    (world, Rc::new(broker), client, config(rules))
}

// AUTH-215: a subscription that a reload overtakes is judged by the new rules.
#[test]
fn a_subscription_made_during_a_reload_is_held_against_the_new_rules() {
    sim::run(|| async {
        let rules = "permissions: { subscribe: { deny: secret } }";
        let (_world, broker, mut client, after) = about_to_change(rules).await;
        let (reloading, voice) = (broker.clone(), Voice::new(&broker));
        fault::arm_with("subscribe", move || {
            reloading
                .reload(&after)
                .now_or_never()
                .expect("it waits for nothing");
        });
        client.send("SUB secret 1\r\n").await;
        let told = client.sync().await;
        assert_eq!(
            told,
            "-ERR 'Permissions Violation for Subscription to \"secret\"'\r\n"
        );
        assert!(!fault::is_armed());
        voice.borrow_mut().say("secret");
        assert_eq!(client.sync().await, "");
        assert_eq!(broker.server.totals().subscriptions, 0);
    });
}

// AUTH-208, AUTH-215: routes that others make meanwhile do not outlast the moment.
#[test]
fn routes_to_a_subscription_made_during_a_reload_are_made_again() {
    sim::run(|| async {
        let rules = "permissions: { subscribe: { deny: \"a.secret\" } }";
        let (_world, broker, mut client, after) = about_to_change(rules).await;
        let (reloading, voice) = (broker.clone(), Voice::new(&broker));
        let early = voice.clone();
        fault::arm_with("subscribe", move || {
            reloading
                .reload(&after)
                .now_or_never()
                .expect("it waits for nothing");
            // The subscription is in the index, and does not know yet that its deliveries are to be looked at.
            fault::arm_with("subscribed", move || early.borrow_mut().say("a.secret"));
        });
        client.send("SUB a.* 1\r\n").await;
        client.sync().await;
        assert!(!fault::is_armed());
        for subject in ["a.secret", "a.open"] {
            voice.borrow_mut().say(subject);
        }
        assert_eq!(client.sync().await, "MSG a.open 1 2\r\nhi\r\n");
    });
}
