//! What went wrong in brokers like this one: a test for each case that the client port, the configuration or the log can
//! show. In brackets stands the advisory: the reference's by CVE, or year and number of its own list.
//!
//! What belongs to listeners and services to come (leafnodes, WebSocket, MQTT, monitoring, JetStream, claims) is tested
//! with them. `whole/isolation.rs` shows that a panic inside a session ends that session only, and `dunlin-fuzz` holds
//! every parser against any bytes.

mod after_login;
mod before_login;
mod denied;
mod dependencies;
#[cfg(unix)]
mod descriptors;
mod identity;
mod injection;
mod proxied_tls;
mod proxy;
mod secrets;

use std::net::SocketAddr;

use dunlin_net::sim::SimWorld;

use crate::sim::{self, Broker, Client, Lines, PORT, host};

/// A broker with its log, and hosts to reach it from.
struct Stage {
    world: SimWorld,
    broker: Broker,
    lines: Lines,
}

impl Stage {
    /// `config` is nats.conf.
    async fn new(config: &str) -> Self {
        let world = SimWorld::new(7);
        let (broker, lines) = sim::start_logged(&world, host(1), config).await;
        Self { world, broker, lines }
    }

    /// Connects and says nothing.
    async fn connect(&self) -> Client {
        Client::connect(&self.world, host(2), SocketAddr::new(self.broker.ip, PORT)).await
    }

    /// Connects and says `CONNECT` with this JSON, which must be taken.
    async fn log_in(&self, json: &str) -> Client {
        let mut client = self.connect().await;
        client.send(&format!("CONNECT {json}\r\nPING\r\n")).await;
        client.expect("PONG\r\n").await;
        client
    }

    /// Connects, sends, and returns everything until the connection ends.
    async fn end_of(&self, bytes: &[u8]) -> String {
        let mut client = self.connect().await;
        client.try_send(bytes).await;
        client.expect_end().await
    }

    /// The broker is whole: no session panicked, and clients are served.
    async fn assert_whole(&self, json: &str) {
        assert_eq!(self.broker.env.panics(), 0, "{:?}", self.lines.take());
        let mut client = self.log_in(json).await;
        client.send("SUB whole 1\r\nPUB whole 2\r\nok\r\n").await;
        client.expect("MSG whole 1 2\r\nok\r\n").await;
    }
}

/// Quiet, as most clients are.
const QUIET: &str = r#"{"verbose":false,"pedantic":false}"#;

/// The same for one user.
fn user(name: &str) -> String {
    format!(r#"{{"verbose":false,"pedantic":false,"user":"{name}","pass":"{name}"}}"#)
}
