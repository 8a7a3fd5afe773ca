//! Whole brokers in one thread: many sessions, cut bytes, lost connections, paused time.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::task::{Context, Poll};
use std::time::Duration;

use dunlin_api::{Network as _, readable};
use dunlin_net::sim::{LinkRules, SimWorld};

use crate::sim::{self, Client, PORT, host};

const BROKERS: u8 = 3;
const CLIENTS: usize = 50;
const ROUNDS: usize = 20;

/// 50 clients on 3 brokers, every byte stream cut at random: each client gets what its broker's others publish, whole and
/// in order. The seed is printed with a failure.
#[test]
fn fifty_clients_on_three_brokers_get_every_message_in_order() {
    for seed in [1, 2, 3] {
        sim::run(|| exchange(seed));
    }
}

async fn exchange(seed: u64) {
    let world = SimWorld::new(seed);
    let mut brokers = Vec::new();
    for n in 1..=BROKERS {
        let rules = LinkRules {
            chunk: 700,
            jitter: Duration::from_millis(3),
            ..LinkRules::default()
        };
        world.link(host(100), host(n), rules);
        brokers.push(sim::start(&world, host(n), "").await);
    }
    let mut clients = Vec::new();
    for n in 0..CLIENTS {
        let mut client = Client::log_in(&world, host(100), &brokers[n % brokers.len()]).await;
        client.send("SUB news.> 1\r\n").await;
        client.sync().await;
        clients.push(client);
    }
    for round in 0..ROUNDS {
        for (n, client) in clients.iter().enumerate().take(usize::from(BROKERS)) {
            client
                .send(&format!("PUB news.{n} {}\r\nround {round:04}\r\n", 10))
                .await;
        }
    }
    for (n, client) in clients.iter_mut().enumerate() {
        for round in 0..ROUNDS {
            let got = client.expect(&format!("round {round:04}\r\n")).await;
            let wanted = format!(
                "MSG news.{} 1 10\r\nround {round:04}\r\n",
                n % usize::from(BROKERS)
            );
            assert_eq!(got, wanted, "seed {seed}, client {n}");
        }
    }
    for broker in &brokers {
        let totals = broker.server.totals();
        assert_eq!(totals.traffic.in_messages, ROUNDS as u64, "seed {seed}");
        assert_eq!(
            totals.traffic.out_messages,
            (ROUNDS * totals.connections) as u64,
            "seed {seed}"
        );
        assert_eq!(broker.env.panics(), 0);
    }
}

// CORE-51 [TestClientRemoveSubsOnDisconnect]
#[test]
fn a_lost_connection_takes_its_subscriptions_with_it() {
    sim::run(|| async {
        let world = SimWorld::new(7);
        let broker = sim::start(&world, host(1), "").await;
        let mut lost = Client::log_in(&world, host(50), &broker).await;
        lost.send("SUB a 1\r\nSUB b q 2\r\n").await;
        lost.sync().await;
        let mut other = Client::log_in(&world, host(51), &broker).await;
        assert_eq!(broker.server.totals().subscriptions, 2);
        world.reset_all(host(50));
        lost.expect_end().await;
        while broker.server.totals().connections > 1 {
            tokio::task::yield_now().await;
        }
        assert_eq!(broker.server.totals().subscriptions, 0);
        other.sync().await;
    });
}

// CORE-78 [TestPing]
#[test]
fn a_client_that_answers_no_ping_is_closed_as_stale() {
    sim::run(|| async {
        let world = SimWorld::new(7);
        let broker = sim::start(&world, host(1), "ping_interval = \"10s\"\nping_max = 2\n").await;
        let mut silent = Client::log_in(&world, host(50), &broker).await;
        let end = silent.expect_end().await;
        assert_eq!(end, "PING\r\nPING\r\n-ERR 'Stale Connection'\r\n");
    });
}

// CORE-7 [TestAuthorizationTimeout]
#[test]
fn a_connection_that_does_not_log_in_is_closed_in_time() {
    sim::run(|| async {
        let world = SimWorld::new(7);
        let config = "[authorization]\nuser = \"joe\"\npass = \"secret\"\ntimeout = 3\n";
        let broker = sim::start(&world, host(1), config).await;
        let start = tokio::time::Instant::now();
        let mut silent = Client::connect(&world, host(50), SocketAddr::new(broker.ip, PORT)).await;
        let end = silent.expect_end().await;
        assert!(end.ends_with("-ERR 'Authentication Timeout'\r\n"), "{end}");
        let waited = start.elapsed();
        assert!(
            waited >= Duration::from_secs(3) && waited < Duration::from_secs(4),
            "simulated {waited:?}"
        );
    });
}

// CORE-68 [TestNoRaceWriteDeadline]: a peer behind a partition neither holds up others nor stays for ever.
#[test]
fn a_receiver_that_takes_nothing_is_closed_at_its_write_deadline() {
    sim::run(|| async {
        let world = SimWorld::new(7);
        let broker = sim::start(&world, host(1), "write_deadline = \"5s\"\n").await;
        let slow = Client::log_in(&world, host(50), &broker).await;
        slow.send("SUB big 1\r\n").await;
        let mut publisher = Client::log_in(&world, host(51), &broker).await;
        while broker.server.totals().subscriptions == 0 {
            tokio::task::yield_now().await;
        }
        world.partition(host(1), host(50));
        let payload = "x".repeat(100_000);
        for _ in 0..3 {
            publisher.send(&format!("PUB big 100000\r\n{payload}\r\n")).await;
        }
        publisher.sync().await;
        assert_eq!(broker.server.totals().connections, 2);
        while broker.server.totals().connections == 2 {
            // Paused time passes only while nobody has anything to do.
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        publisher.sync().await;
    });
}

// CORE-43, CORE-54 [TestNoRaceQueueAutoUnsubscribe]
#[test]
fn groups_of_members_that_take_one_message_each_miss_none() {
    const MEMBERS: usize = 1000;
    sim::run(|| async {
        let world = SimWorld::new(7);
        let broker = sim::start(&world, host(1), "").await;
        let mut members = Client::log_in(&world, host(50), &broker).await;
        for n in 0..MEMBERS {
            members
                .send(&format!(
                    "SUB foo bar a{n}\r\nUNSUB a{n} 1\r\nSUB foo baz z{n}\r\nUNSUB z{n} 1\r\n"
                ))
                .await;
        }
        members.sync().await;
        let mut publisher = Client::log_in(&world, host(51), &broker).await;
        publisher.send(&"PUB foo 2\r\nhi\r\n".repeat(MEMBERS)).await;
        publisher.sync().await;
        let got = members.sync().await;
        let of = |group: &str| got.matches(&format!("MSG foo {group}")).count();
        assert_eq!((of("a"), of("z")), (MEMBERS, MEMBERS));
        assert_eq!(broker.server.totals().subscriptions, 0);
    });
}

// CORE-60 [TestNoRaceHighFanoutOrdering]
#[test]
fn each_of_many_subscriptions_of_many_clients_gets_everything_in_order() {
    const CLIENTS: usize = 20;
    const SUBSCRIPTIONS: usize = 20;
    sim::run(|| async {
        let world = SimWorld::new(7);
        let broker = sim::start(&world, host(1), "").await;
        let mut clients = Vec::new();
        for _ in 0..CLIENTS {
            let mut client = Client::log_in(&world, host(50), &broker).await;
            for sid in 0..SUBSCRIPTIONS {
                client.send(&format!("SUB all {sid}\r\n")).await;
            }
            client.sync().await;
            clients.push(client);
        }
        let mut publisher = Client::log_in(&world, host(51), &broker).await;
        for round in 0..ROUNDS * 5 {
            publisher.send(&format!("PUB all 4\r\n{round:04}\r\n")).await;
        }
        publisher.sync().await;
        for client in &mut clients {
            let got = client.sync().await;
            for sid in 0..SUBSCRIPTIONS {
                let head = format!("MSG all {sid} 4\r\n");
                let seen: Vec<_> = got.split(&head).skip(1).map(|rest| &rest[..4]).collect();
                let expected: Vec<_> = (0..ROUNDS * 5).map(|round| format!("{round:04}")).collect();
                assert_eq!(seen, expected);
            }
        }
    });
}

// CORE-87 [TestNoRaceAcceptLoopsDoNotLeaveOpenedConn]
#[test]
fn no_connection_that_came_during_a_stop_stays_open() {
    sim::run(|| async {
        let world = SimWorld::new(7);
        let broker = sim::start(&world, host(1), "").await;
        let address = SocketAddr::new(broker.ip, PORT);
        let (network, mut streams) = (world.host(host(50)), Vec::new());
        let mut stop = std::pin::pin!(broker.server.stop());
        // Each look at the stop takes it a step further.
        let mut is_stopped = false;
        while !is_stopped && let Ok(stream) = network.connect(address).await {
            streams.push(stream);
            let look = |cx: &mut Context<'_>| Poll::Ready(stop.as_mut().poll(cx).is_ready());
            is_stopped = std::future::poll_fn(look).await;
        }
        if !is_stopped {
            stop.await;
        }
        assert!(!streams.is_empty());
        for stream in streams {
            let mut buffer = [0; 4096];
            let over = async {
                while readable(stream.as_ref()).await.is_ok() {
                    match stream.try_read(&mut buffer) {
                        Ok(0) => break,
                        Err(error) if error.kind() != ErrorKind::WouldBlock => break,
                        _ => {}
                    }
                }
            };
            let end = tokio::time::timeout(Duration::from_secs(60), over).await;
            assert!(end.is_ok(), "one stays open");
        }
    });
}

// CORE-87 [TestStartupAndShutdown]
#[test]
fn a_stop_ends_every_session_and_frees_the_port() {
    sim::run(|| async {
        let world = SimWorld::new(7);
        let broker = sim::start(&world, host(1), "").await;
        let mut client = Client::log_in(&world, host(50), &broker).await;
        broker.server.stop().await;
        client.expect_end().await;
        let again = sim::start(&world, host(1), "").await;
        Client::log_in(&world, host(50), &again).await.sync().await;
    });
}
