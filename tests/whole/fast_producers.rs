//! Publishers that are faster than those who listen: they wait, or what they say is missed (CORE-71); and batches that
//! take their time (CORE-73).

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, SystemTime};

use dunlin_api::config::Config;
use dunlin_api::{
    AccountName, Clock, CurrentThread, Deliver, Delivery, Env, EnvParts, Instant, Logger, MemoryDisk,
    SeededRandom, Sid, SimulatedClock, Subject, Turn,
};
use dunlin_net::sim::{LinkRules, SimWorld};

use crate::sim::{self, Broker, Client, Lines, host};

const MILLISECOND: Duration = Duration::from_millis(1);
const PAUSE: Duration = Duration::from_millis(2);

/// Three quarters of it are the mark from which on publishers wait.
const MAX_PENDING: usize = 1_000_000;

/// More than the mark, less than the limit, with all that a test adds.
const BACKLOG: usize = 900_000;

/// A broker with a client that listens to `a`, is far behind, and reads nothing until it is asked to.
struct Scene {
    world: SimWorld,
    broker: Broker,
    lines: Lines,
    slow: Client,
    publisher: Client,
}

impl Scene {
    async fn set(config: &str) -> Self {
        // With this seed the network cuts no batch in two.
        let world = SimWorld::new(1);
        // Nothing takes time here but waiting.
        let near = LinkRules {
            latency: Duration::ZERO,
            ..LinkRules::default()
        };
        world.link(host(1), host(50), near);
        world.link(host(1), host(51), near);
        let config = format!("max_payload: 1000000, max_pending: {MAX_PENDING}\n{config}");
        let (broker, lines) = sim::start_logged(&world, host(1), &config).await;
        let mut slow = Client::log_in(&world, host(50), &broker).await;
        slow.send("SUB a 1\r\n").await;
        slow.sync().await;
        let mut publisher = Client::log_in(&world, host(51), &broker).await;
        let backlog = "x".repeat(BACKLOG);
        publisher.send(&format!("PUB a {BACKLOG}\r\n{backlog}\r\n")).await;
        publisher.sync().await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        lines.take();
        Self {
            world,
            broker,
            lines,
            slow,
            publisher,
        }
    }

    /// Has so many messages published, and waits until they are.
    async fn publish(&self, messages: usize) {
        let published = || self.broker.server.totals().traffic.in_messages;
        let expected = published() + messages as u64;
        self.publisher.send(&"PUB a 2\r\nhi\r\n".repeat(messages)).await;
        while published() < expected {
            // Paused time passes only while nobody has anything to do.
            tokio::time::sleep(MILLISECOND).await;
        }
    }

    /// How long the publisher is not listened to after so many messages.
    async fn wait_after(&mut self, messages: usize) -> Duration {
        let start = Instant::now();
        self.publish(messages).await;
        self.publisher.sync().await;
        start.elapsed()
    }

    fn stalls(&self) -> (u64, u64) {
        let connections = self.broker.server.connections();
        let slow = connections.iter().find(|connection| connection.subscriptions > 0);
        (
            self.broker.server.totals().stalls,
            slow.expect("it is there").stalls,
        )
    }

    /// Lines about waiting, without the connection's name.
    fn told(&self) -> Vec<String> {
        let lines = self.lines.take().into_iter();
        let told = lines.filter_map(|line| line.split_once(" - cid:2 - ").map(|(_, rest)| rest.to_owned()));
        told.filter(|line| line.contains("stall")).collect()
    }
}

// CORE-71 [TestNoRaceProducerStallLimits]
#[test]
fn a_publisher_waits_for_receivers_that_are_far_behind() {
    sim::run(|| async {
        let mut scene = Scene::set("").await;
        assert_eq!(scene.wait_after(1).await, PAUSE);
        assert_eq!(scene.stalls(), (1, 1));
        assert_eq!(scene.told(), ["Timed out of fast producer stall (2ms)"]);
        // However many messages there are, and however long it takes.
        assert_eq!(scene.wait_after(50).await, 5 * PAUSE);
        assert_eq!(scene.stalls(), (6, 6));
        let told = scene.told();
        assert_eq!(told.len(), 6, "{told:?}");
        assert!(
            told[..5]
                .iter()
                .all(|line| line == "Timed out of fast producer stall (2ms)")
        );
        assert_eq!(told[5], "Producer was stalled for a total of 10ms - Account:$G");
        // The warning comes once a second.
        scene.wait_after(50).await;
        assert_eq!(scene.told().len(), 5);
        // Whoever has caught up is waited for no more.
        scene.slow.sync().await;
        assert!(scene.wait_after(50).await < PAUSE);
        assert_eq!((scene.stalls(), scene.told().len()), ((11, 11), 0));
    });
}

// CORE-71: a pause is its publisher's alone.
#[test]
fn a_stalled_publisher_holds_up_nobody_else() {
    sim::run(|| async {
        let mut scene = Scene::set("").await;
        let world = &scene.world;
        let mut other = Client::log_in(world, host(51), &scene.broker).await;
        let start = Instant::now();
        scene.publish(5).await;
        let asked = Instant::now();
        other.send("SUB b 1\r\nPUB b 2\r\nhi\r\n").await;
        assert_eq!(other.sync().await, "MSG b 1 2\r\nhi\r\n");
        assert!(asked.elapsed() < PAUSE);
        scene.publisher.sync().await;
        assert_eq!(start.elapsed(), 5 * PAUSE);
    });
}

// CORE-71, CORE-134 [TestNoRaceNoFastProducerStall]
#[test]
fn a_publisher_that_is_not_to_wait_is_missed_by_those_that_are_far_behind() {
    sim::run(|| async {
        let mut scene = Scene::set("no_fast_producer_stall: true").await;
        assert!(scene.wait_after(3).await < PAUSE);
        assert_eq!((scene.stalls(), scene.told().len()), ((0, 0), 0));
        let config = format!("max_payload: 1000000, max_pending: {MAX_PENDING}");
        scene.broker.reload(&config).await;
        assert_eq!(scene.wait_after(1).await, PAUSE);
        let got = scene.slow.sync().await;
        let small = got.matches("MSG a 1 2\r\nhi\r\n").count();
        assert_eq!(small, 1, "those from before the reload are lost");
        assert!(scene.wait_after(3).await < PAUSE);
        let got = scene.slow.sync().await;
        assert_eq!(got, "MSG a 1 2\r\nhi\r\n".repeat(3));
    });
}

// CORE-71: what is asked of NATS clients holds for nobody else on their shard.
#[test]
fn publishers_of_another_protocol_are_missed_by_nobody() {
    sim::run(|| async {
        let line = "plugins { listener { line { listen: \"10.0.0.1:4333\" } } }";
        let mut scene = Scene::set(&format!("no_fast_producer_stall: true\n{line}")).await;
        let mut other = Client::connect(&scene.world, host(51), SocketAddr::new(host(1), 4333)).await;
        scene.publish(1).await;
        other.send("publish a hello\n").await;
        other.expect("ok\n").await;
        let got = scene.slow.sync().await;
        assert_eq!(got.matches("MSG a 1 2\r\nhi\r\n").count(), 0);
        assert_eq!(got.matches("MSG a 1 5\r\nhello\r\n").count(), 1);
    });
}

/// A monotonic clock that a test moves forward while nothing else does.
#[derive(Clone)]
struct Moved {
    clock: Arc<SimulatedClock>,
    by: Arc<AtomicU64>,
}

impl Clock for Moved {
    fn now(&self) -> Instant {
        self.clock.now() + Duration::from_millis(self.by.load(Relaxed))
    }

    fn wall(&self) -> SystemTime {
        self.clock.wall()
    }
}

/// A receiver that takes so many milliseconds for every message.
struct Sluggish(Arc<AtomicU64>, u64);

impl Deliver for Sluggish {
    fn deliver(&self, delivery: &Delivery<'_>, _: &mut Turn) -> usize {
        self.0.fetch_add(self.1, Relaxed);
        delivery.messages.len()
    }
}

/// What a broker warns of when one batch of a client takes so long.
async fn warnings_of_a_batch(milliseconds: u64) -> Vec<String> {
    let world = SimWorld::new(3);
    let lines = Lines::default();
    let clock = Moved {
        clock: Arc::default(),
        by: Arc::default(),
    };
    let env = Env::new(EnvParts {
        clock: Box::new(clock.clone()),
        random: Box::new(SeededRandom::new(1)),
        network: Box::new(world.host(host(1))),
        disk: Box::new(MemoryDisk::default()),
        execution: Box::new(CurrentThread::new()),
        logger: Logger::new(Arc::new(lines.clone())),
    });
    let broker = sim::start_in(env, host(1), Config::default()).await;
    let receiver = Arc::new(Sluggish(clock.by.clone(), milliseconds));
    let broker_handle = broker.server.broker();
    let session = broker_handle.open_internal("Sluggish", AccountName::global(), receiver);
    let mut session = session.unwrap();
    let subject = Subject::from_wire(b"a").unwrap();
    session
        .subscribe(subject, None, &Sid::new(b"1").unwrap())
        .unwrap();
    let mut client = Client::log_in(&world, host(50), &broker).await;
    client.send("PUB a 2\r\nhi\r\n").await;
    client.sync().await;
    drop(session);
    let lines = lines.take().into_iter();
    let told = lines.filter_map(|line| line.split_once(" - ").map(|(_, text)| text.to_owned()));
    told.filter(|text| text.contains("Readloop")).collect()
}

// CORE-73 [TestReadloopWarning]
#[test]
fn a_batch_that_takes_two_seconds_is_told_of() {
    sim::run(|| async {
        assert!(warnings_of_a_batch(1999).await.is_empty());
        assert_eq!(
            warnings_of_a_batch(2000).await,
            ["cid:2 - Readloop processing time: 2s"]
        );
    });
}
