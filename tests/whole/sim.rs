//! Brokers in one thread on a simulated network, and raw clients for them.

use std::fmt;
use std::io::{self, IoSlice};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use dunlin::Server;
use dunlin_api::config::{Config, Format, MapSource};
use dunlin_api::{
    ByteStream, Env, Level, LogSink, Logger, Network, Registry, ServerIdentity, readable, writable,
};
use dunlin_net::sim::{SimWorld, sim_env};

/// Where simulated brokers listen.
pub(crate) const PORT: u16 = 4222;

/// The address of simulated host `n`.
pub(crate) fn host(n: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(10, 0, 0, n))
}

/// A broker on its own host.
pub(crate) struct Broker {
    pub(crate) server: Server,
    pub(crate) env: Env,
    pub(crate) ip: IpAddr,
}

impl Broker {
    /// Puts another configuration in force, in nats.conf's syntax.
    pub(crate) async fn reload(&self, config: &str) {
        let config = parse(config, Format::NatsConf);
        let reloaded = self.server.reload(config, "", &mut ()).await;
        reloaded.expect("a configuration that may be put in force");
    }
}

/// Lines that a broker logs, as far as they were not taken.
#[derive(Clone, Default)]
pub(crate) struct Lines(Arc<Mutex<Vec<String>>>);

impl LogSink for Lines {
    fn line(&self, _: Level, text: fmt::Arguments<'_>) {
        self.0
            .lock()
            .expect("no panic while logging")
            .push(text.to_string());
    }
}

impl Lines {
    /// All lines since the last call.
    pub(crate) fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().expect("no panic while logging"))
    }
}

/// Starts a broker at `ip` with a configuration in TOML. Its log goes nowhere.
pub(crate) async fn start(world: &SimWorld, ip: IpAddr, toml: &str) -> Broker {
    start_with(world, ip, toml, Format::Toml, Logger::silent()).await
}

/// Starts a broker at `ip` with a configuration in nats.conf's syntax, and gives all that it logs, debug and trace
/// included.
pub(crate) async fn start_logged(world: &SimWorld, ip: IpAddr, config: &str) -> (Broker, Lines) {
    let lines = Lines::default();
    let logger = Logger::new(Arc::new(lines.clone()));
    logger.set_levels(true, true);
    let broker = start_with(world, ip, config, Format::NatsConf, logger).await;
    (broker, lines)
}

/// Starts a broker at `ip` with a configuration in TOML that logs to `logger`.
pub(crate) async fn start_logging_to(world: &SimWorld, ip: IpAddr, toml: &str, logger: Logger) -> Broker {
    start_with(world, ip, toml, Format::Toml, logger).await
}

async fn start_with(world: &SimWorld, ip: IpAddr, text: &str, format: Format, logger: Logger) -> Broker {
    let env = sim_env(u64::from(PORT), world.host(ip), logger);
    start_in(env, ip, parse(text, format)).await
}

fn parse(text: &str, format: Format) -> Config {
    let source = MapSource::new();
    let loaded = Config::load_content(text.as_bytes(), "test", format, &source);
    let config = loaded.expect("a valid configuration").config;
    config.validate().expect("a valid configuration");
    config
}

/// Starts a broker at `ip` in an environment of the test's own.
pub(crate) async fn start_in(env: Env, ip: IpAddr, config: Config) -> Broker {
    let mut registry = Registry::new();
    dunlin_builtin::register(&mut registry).expect("distinct names");
    let identity = ServerIdentity {
        id: format!("SERVER{ip}"),
        name: format!("server-{ip}"),
        version: dunlin::NATS_LEVEL,
        xkey: String::new(),
    };
    let server = Server::start(Arc::new(config), Arc::new(registry), env.clone(), identity)
        .await
        .expect("starts");
    Broker { server, env, ip }
}

/// A raw client: sends bytes, and waits for bytes.
pub(crate) struct Client {
    stream: ByteStream,
    received: Vec<u8>,
}

impl Client {
    /// Connects from host `from` and reads INFO.
    pub(crate) async fn connect(world: &SimWorld, from: IpAddr, to: SocketAddr) -> Self {
        let stream = world.host(from).connect(to).await.expect("connects");
        Self {
            stream,
            received: Vec::new(),
        }
    }

    /// Connects to a broker, says CONNECT without verbosity, and waits until that is done.
    pub(crate) async fn log_in(world: &SimWorld, from: IpAddr, broker: &Broker) -> Self {
        let mut client = Self::connect(world, from, SocketAddr::new(broker.ip, PORT)).await;
        client
            .send("CONNECT {\"verbose\":false,\"pedantic\":false}\r\nPING\r\n")
            .await;
        client.expect("PONG\r\n").await;
        client
    }

    /// Sends everything.
    pub(crate) async fn send(&self, text: &str) {
        assert!(self.try_send(text.as_bytes()).await, "the connection is open");
    }

    /// Sends everything; false when the connection is over.
    pub(crate) async fn try_send(&self, mut bytes: &[u8]) -> bool {
        while !bytes.is_empty() {
            match self.stream.try_write_vectored(&[IoSlice::new(bytes)]) {
                Ok(count) => bytes = &bytes[count..],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if writable(self.stream.as_ref()).await.is_err() {
                        return false;
                    }
                }
                Err(_) => return false,
            }
        }
        true
    }

    /// Ends the connection.
    pub(crate) fn leave(&self) {
        self.stream.shutdown();
    }

    /// Reads once; false at the end.
    async fn read(&mut self) -> bool {
        let mut buffer = [0; 4096];
        loop {
            if readable(self.stream.as_ref()).await.is_err() {
                return false;
            }
            match self.stream.try_read(&mut buffer) {
                Ok(0) => return false,
                Ok(count) => {
                    self.received.extend_from_slice(&buffer[..count]);
                    return true;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => return false,
            }
        }
    }

    /// Waits for `text`, and returns everything up to its end.
    pub(crate) async fn expect(&mut self, text: &str) -> String {
        let mut searched: usize = 0;
        loop {
            let from = searched.saturating_sub(text.len());
            let found = self.received[from..]
                .windows(text.len())
                .position(|window| window == text.as_bytes());
            searched = self.received.len();
            if let Some(at) = found {
                let rest = self.received.split_off(from + at + text.len());
                let before = std::mem::replace(&mut self.received, rest);
                return String::from_utf8_lossy(&before).into_owned();
            }
            let so_far = String::from_utf8_lossy(&self.received).into_owned();
            assert!(
                self.read().await,
                "the connection ended before {text:?}; received {so_far:?}"
            );
        }
    }

    /// Waits for `text` alone; false when the connection ends instead.
    pub(crate) async fn expect_or_end(&mut self, text: &str) -> bool {
        while self.received.len() < text.len() {
            if !self.read().await {
                return false;
            }
        }
        assert_eq!(String::from_utf8_lossy(&self.received), text);
        self.received.clear();
        true
    }

    /// PING, PONG: everything sent before has been dealt with. Returns what came before the PONG.
    pub(crate) async fn sync(&mut self) -> String {
        self.send("PING\r\n").await;
        let mut before = self.expect("PONG\r\n").await;
        before.truncate(before.len() - "PONG\r\n".len());
        before
    }

    /// Ends the connection from this side.
    pub(crate) fn close(self) {
        self.stream.shutdown();
    }

    /// Waits for the end of the connection.
    pub(crate) async fn expect_end(&mut self) -> String {
        while self.read().await {}
        String::from_utf8_lossy(&self.received).into_owned()
    }
}

/// Runs a test on one thread with paused time.
pub(crate) fn run<F: Future>(test: impl FnOnce() -> F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build();
    runtime.expect("a runtime").block_on(async { test().await })
}
