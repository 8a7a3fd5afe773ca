//! Clients that do not keep up with what they are sent: when they are given up, and how they are told of and counted.

use std::net::SocketAddr;
use std::time::Duration;

use dunlin_api::{AccountName, CloseReason};
use dunlin_net::sim::{LinkRules, SimWorld};

use crate::sim::{self, Broker, Client, Lines, PORT, host};

const PAYLOAD: usize = 100_000;

/// A broker with a client that has been sent more than its link carries and has read nothing of it.
struct Scene {
    broker: Broker,
    lines: Lines,
    slow: Client,
    publisher: Client,
}

impl Scene {
    async fn set(config: &str) -> Self {
        let world = SimWorld::new(7);
        let (broker, lines) = sim::start_logged(&world, host(1), config).await;
        let mut slow = Client::log_in(&world, host(50), &broker).await;
        slow.send("SUB big 1\r\n").await;
        slow.sync().await;
        let mut publisher = Client::log_in(&world, host(51), &broker).await;
        let payload = "x".repeat(PAYLOAD);
        for _ in 0..3 {
            publisher
                .send(&format!("PUB big {PAYLOAD}\r\n{payload}\r\n"))
                .await;
        }
        publisher.sync().await;
        Self {
            broker,
            lines,
            slow,
            publisher,
        }
    }

    /// The lines about slow consumers since the last call, without the connection's name.
    fn slow_lines(&self) -> Vec<String> {
        let lines = self.lines.take().into_iter();
        lines
            .filter_map(|line| Some(line[line.find("Slow Consumer ")?..].to_owned()))
            .filter(|line| !line.starts_with("Slow Consumer ("))
            .collect()
    }

    fn slow_count(&self) -> (u64, u64) {
        let count = self.broker.server.totals().slow_consumers;
        (count.total, count.clients)
    }

    fn connections(&self) -> usize {
        self.broker.server.totals().connections
    }

    fn end(&self) -> CloseReason {
        let closed = self.broker.server.closed_connections();
        closed[0].record.end.expect("it has closed").1
    }
}

/// Paused time passes while nobody has anything to do.
async fn pass(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

// CORE-67 [TestClientMaxPending, TestNoRaceSlowConsumerPendingBytes, TestNoRaceClosedSlowConsumerPendingBytes]
#[test]
fn a_client_with_too_much_pending_is_counted_and_closed() {
    sim::run(|| async {
        let scene = Scene::set("max_payload: 100000\nmax_pending: 150000").await;
        pass(1).await;
        assert_eq!(
            scene.slow_lines(),
            ["Slow Consumer Detected: MaxPending of 150000 Exceeded"]
        );
        assert_eq!((scene.slow_count(), scene.connections()), ((1, 1), 1));
        assert_eq!(scene.end(), CloseReason::SlowConsumerPendingBytes);
    });
}

// CORE-68, CORE-69 [TestNoRaceWriteDeadline, TestNoRaceClosedSlowConsumerWriteDeadline, TestClientFlushOutboundWriteTimeoutPolicy]
#[test]
fn a_client_that_is_not_done_at_the_deadline_is_closed_by_default() {
    for policy in ["", "write_timeout: default", "write_timeout: close"] {
        sim::run(|| async {
            let mut scene = Scene::set(&format!("write_deadline: 5s\n{policy}")).await;
            pass(3).await;
            // Some progress makes no difference: the time is that of the whole write.
            scene.slow.expect("MSG big 1 100000\r\n").await;
            assert_eq!((scene.slow_count(), scene.connections()), ((0, 0), 2));
            pass(3).await;
            let lines = scene.slow_lines();
            let expected = "Slow Consumer Detected: WriteDeadline of 5s exceeded with ";
            assert!(lines.len() == 1 && lines[0].starts_with(expected), "{lines:?}");
            assert_eq!((scene.slow_count(), scene.connections()), ((1, 1), 1));
            assert_eq!(scene.end(), CloseReason::SlowConsumerWriteDeadline);
            scene.publisher.sync().await;
        });
    }
}

// CORE-69 [TestClientFlushOutboundWriteTimeoutPolicy, TestClientConfigureWriteTimeoutPolicy]
#[test]
fn a_client_that_gets_somewhere_may_recover_with_retry() {
    sim::run(|| async {
        let mut scene = Scene::set("write_deadline: 5s\nwrite_timeout: retry").await;
        pass(6).await;
        let lines = scene.slow_lines();
        let expected = "Slow Consumer Detected: WriteDeadline of 5s exceeded with ";
        assert!(lines.len() == 1 && lines[0].starts_with(expected), "{lines:?}");
        assert_eq!((scene.slow_count(), scene.connections()), ((1, 1), 2));
        for _ in 0..3 {
            scene.slow.expect("MSG big 1 100000\r\n").await;
            scene.slow.expect("x\r\n").await;
        }
        scene.slow.sync().await;
        let lines = scene.slow_lines();
        let expected = "Slow Consumer Recovered: Flush took 1.";
        assert!(lines.len() == 1 && lines[0].starts_with(expected), "{lines:?}");
        pass(60).await;
        assert_eq!((scene.slow_count(), scene.connections()), ((1, 1), 2));
    });
}

// CORE-69 [TestClientFlushOutboundWriteTimeoutPolicy]
#[test]
fn a_client_without_any_progress_is_closed_even_with_retry() {
    sim::run(|| async {
        let scene = Scene::set("write_deadline: 5s\nwrite_timeout: retry").await;
        pass(11).await;
        let lines = scene.slow_lines();
        // The first write filled the link; the second got nowhere.
        let expected = ["Slow Consumer Detected: ", "Slow Consumer State: "];
        assert_eq!(lines.len(), 2, "{lines:?}");
        for (line, expected) in lines.iter().zip(expected) {
            assert!(line.starts_with(expected), "{lines:?}");
        }
        assert_eq!((scene.slow_count(), scene.connections()), ((2, 2), 1));
        assert_eq!(scene.end(), CloseReason::SlowConsumerWriteDeadline);
    });
}

// CORE-67, MON-114
#[test]
fn a_slow_client_is_counted_with_its_account() {
    sim::run(|| async {
        let accounts = "accounts { A { users: [ {user: a, password: p} ] } }, no_auth_user: a";
        let scene = Scene::set(&format!("max_payload: 100000\nmax_pending: 150000\n{accounts}")).await;
        pass(1).await;
        let slow = |name: &str| {
            let totals = scene
                .broker
                .server
                .account_totals(&AccountName::new(name).unwrap());
            totals.map(|totals| totals.slow_consumers)
        };
        assert_eq!((slow("A"), slow("$G"), slow("B")), (Some(1), Some(0), None));
    });
}

// CORE-68 [TestClientFlushOutboundNoSlowConsumer]
#[test]
fn a_client_that_takes_its_time_over_much_within_the_deadline_is_not_slow() {
    sim::run(|| async {
        let world = SimWorld::new(7);
        let limits = "max_payload: 1000000, max_pending: 16000000, write_deadline: 30s";
        let (broker, _) = sim::start_logged(&world, host(1), limits).await;
        let mut slow = Client::log_in(&world, host(50), &broker).await;
        slow.send("SUB big 1\r\n").await;
        slow.sync().await;
        let mut publisher = Client::log_in(&world, host(51), &broker).await;
        let message = format!("PUB big 1000000\r\n{}\r\n", "x".repeat(1_000_000));
        for _ in 0..12 {
            publisher.send(&message).await;
        }
        publisher.sync().await;
        let connections = broker.server.connections();
        let pending = connections
            .iter()
            .map(|connection| connection.status.pending_bytes);
        // Far more than one write takes.
        assert!(pending.max() > Some(10_000_000));
        pass(20).await;
        for _ in 0..12 {
            slow.expect("MSG big 1 1000000\r\n").await;
            slow.expect("x\r\n").await;
            pass(1).await;
        }
        assert!(!slow.sync().await.contains("MSG"));
        let totals = broker.server.totals();
        assert_eq!((totals.slow_consumers.total, totals.connections), (0, 2));
    });
}

// CORE-67 [TestPBNotIncreasedOnMaxPending]
#[test]
fn a_message_that_is_too_much_does_not_count_as_pending() {
    sim::run(|| async {
        let mut scene = Scene::set("max_payload: 100000\nmax_pending: 150000").await;
        let id = scene.broker.server.connections()[0].id;
        pass(1).await;
        let closed = &scene.broker.server.closed_connections()[0].record;
        assert!(closed.id == 1 && id == 2, "the slow one has gone");
        assert_eq!(closed.status.pending_bytes, 0);
        scene.publisher.sync().await;
    });
}

/// A client that does not even read INFO, two seconds after its write deadline: the count, and whether a line was logged.
async fn deaf_to_info(config: &str) -> (u64, bool) {
    let world = SimWorld::new(7);
    let narrow = LinkRules {
        window: 16,
        ..LinkRules::default()
    };
    world.link(host(1), host(50), narrow);
    let config = format!("write_deadline: 5s\n{config}");
    let (broker, lines) = sim::start_logged(&world, host(1), &config).await;
    let _deaf = Client::connect(&world, host(50), SocketAddr::new(broker.ip, PORT)).await;
    pass(7).await;
    let closed = broker.server.closed_connections();
    assert_eq!(
        closed[0].record.end.expect("it has closed").1,
        CloseReason::SlowConsumerWriteDeadline
    );
    let is_told = lines
        .take()
        .iter()
        .any(|line| line.contains("WriteDeadline of 5s"));
    (broker.server.totals().slow_consumers.total, is_told)
}

// CORE-68 [TestClientNoSlowConsumerIfConnectExpected, TestClientSlowConsumerWithoutConnect]
#[test]
fn a_client_that_must_log_in_first_is_not_called_slow() {
    sim::run(|| async {
        let must = "authorization { user: joe, password: pwd, timeout: 60 }";
        assert_eq!(deaf_to_info(must).await, (0, false));
        assert_eq!(deaf_to_info("").await, (1, true));
    });
}

// CORE-78 [TestPing]
#[test]
fn a_stale_client_is_counted() {
    sim::run(|| async {
        let world = SimWorld::new(7);
        let (broker, _) = sim::start_logged(&world, host(1), "ping_interval: 10s\nping_max: 2").await;
        let mut silent = Client::log_in(&world, host(50), &broker).await;
        let mut leaving = Client::log_in(&world, host(51), &broker).await;
        leaving.sync().await;
        leaving.close();
        silent.expect_end().await;
        pass(1).await;
        let stale = broker.server.totals().stale_connections;
        assert_eq!((stale.total, stale.clients), (1, 1));
    });
}
