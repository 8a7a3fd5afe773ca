//! One session's trouble stays its own: a panic inside append, flush, callback and index write, under load.

use dunlin_api::fault;
use dunlin_net::sim::SimWorld;

use crate::sim::{self, Broker, Client, host};

const SESSIONS: usize = 100;

struct Crowd {
    broker: Broker,
    publisher: Client,
    receivers: Vec<Client>,
    round: usize,
}

impl Crowd {
    async fn gather() -> Self {
        let world = SimWorld::new(11);
        let broker = sim::start(&world, host(1), "").await;
        let publisher = Client::log_in(&world, host(50), &broker).await;
        let mut receivers = Vec::new();
        for _ in 0..SESSIONS {
            let mut receiver = Client::log_in(&world, host(50), &broker).await;
            receiver.send("SUB all 1\r\n").await;
            receiver.sync().await;
            receivers.push(receiver);
        }
        Self {
            broker,
            publisher,
            receivers,
            round: 0,
        }
    }

    /// Publishes to all, and returns how many got it; the others have ended.
    async fn publish(&mut self) -> usize {
        self.round += 1;
        self.publisher
            .send(&format!("PUB all 6\r\nn {:04}\r\n", self.round))
            .await;
        let mut reached = Vec::new();
        for mut receiver in self.receivers.drain(..) {
            let wanted = format!("MSG all 1 6\r\nn {:04}\r\n", self.round);
            if receiver.expect_or_end(&wanted).await {
                reached.push(receiver);
            }
        }
        self.receivers = reached;
        self.publisher.sync().await;
        self.receivers.len()
    }

    fn panics(&self) -> u64 {
        self.broker.env.panics()
    }
}

/// The panic strikes at the first place of that name that the broker's thread passes.
async fn strike_while_publishing(place: &'static str) {
    let mut crowd = Crowd::gather().await;
    assert_eq!(crowd.publish().await, SESSIONS);
    fault::arm(place);
    assert_eq!(
        crowd.publish().await,
        SESSIONS - 1,
        "{place}: one session ends, and no other"
    );
    assert!(!fault::is_armed(), "{place}: never struck");
    assert_eq!(crowd.panics(), 1, "{place}");
    assert_eq!(crowd.publish().await, SESSIONS - 1, "{place}: the others go on");
    assert_eq!(
        crowd.broker.server.totals().subscriptions,
        SESSIONS - 1,
        "{place}: its interest is gone"
    );
}

#[test]
fn a_panic_inside_an_append_ends_one_session() {
    sim::run(|| strike_while_publishing("append"));
}

#[test]
fn a_panic_inside_a_flush_ends_one_session() {
    sim::run(|| strike_while_publishing("flush"));
}

#[test]
fn a_panic_inside_a_callback_ends_one_session() {
    sim::run(|| strike_while_publishing("deliver"));
}

#[test]
fn a_panic_inside_an_index_write_ends_one_session_and_leaves_the_index_whole() {
    sim::run(|| async {
        let mut crowd = Crowd::gather().await;
        assert_eq!(crowd.publish().await, SESSIONS);
        fault::arm("index");
        let mut victim = crowd.receivers.remove(0);
        victim.send("SUB another 2\r\n").await;
        victim.expect_end().await;
        assert!(!fault::is_armed(), "never struck");
        assert_eq!(crowd.panics(), 1);
        assert_eq!(crowd.broker.server.totals().subscriptions, SESSIONS - 1);
        assert_eq!(crowd.publish().await, SESSIONS - 1);
        let receiver = &mut crowd.receivers[0];
        receiver.send("UNSUB 1\r\nSUB all 1\r\n").await;
        receiver.sync().await;
        assert_eq!(
            crowd.publish().await,
            SESSIONS - 1,
            "the rebuilt index takes changes"
        );
    });
}
