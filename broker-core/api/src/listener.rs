//! Listeners: one protocol each, served over any byte stream.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use async_trait::async_trait;
use dunlin_config::Config;

use crate::broker::Broker;
use crate::env::{Acceptor, ByteStream, Env};
use crate::shard::Shard;

/// The second half of a reload, which cannot fail: puts into force what the first half has prepared. Dropped without a
/// call, nothing has changed.
pub type TakeOver<'a> = Box<dyn FnOnce() + Send + 'a>;

/// Where a listener wants to be reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// What the start-up line calls its connections, e.g. `client` (CORE-80).
    pub connections: &'static str,
    /// Host name or address; `0.0.0.0` and `::` mean every interface.
    pub host: String,
    /// Port; 0 picks a free one.
    pub port: u16,
    /// URL scheme in the ports file, e.g. `nats`.
    pub scheme: &'static str,
}

/// A new connection, on the shard that it will stay on.
pub struct Connection {
    /// Its bytes.
    pub stream: ByteStream,
    /// Its peer.
    pub peer: SocketAddr,
    /// The shard whose thread this is.
    pub shard: Arc<Shard>,
    /// Whether the peer is a part of this very process. It has no address then.
    pub is_in_process: bool,
}

/// A protocol. The accept loop of `dunlin-net` binds its endpoints, accepts, places each connection on a shard and
/// runs [`Listener::session`] there; a panic inside ends that session alone.
///
/// ```
/// use async_trait::async_trait;
/// use dunlin_api::{Broker, Connection, Endpoint, Listener, readable};
///
/// /// Sends back what it gets.
/// struct Echo;
///
/// #[async_trait]
/// impl Listener for Echo {
///     fn endpoints(&self) -> Vec<Endpoint> {
///         vec![Endpoint { connections: "echo", host: "127.0.0.1".into(), port: 7, scheme: "echo" }]
///     }
///
///     async fn session(&self, connection: Connection, _broker: &Broker) {
///         let mut buffer = [0; 512];
///         while readable(connection.stream.as_ref()).await.is_ok() {
///             match connection.stream.try_read(&mut buffer) {
///                 Ok(0) => return,
///                 Ok(n) => drop(connection.stream.try_write_vectored(&[std::io::IoSlice::new(&buffer[..n])])),
///                 Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
///                 Err(_) => return,
///             }
///         }
///     }
/// }
/// ```
#[async_trait]
pub trait Listener: Send + Sync + 'static {
    /// Where it wants to be reached. Asked once, at start.
    fn endpoints(&self) -> Vec<Endpoint>;

    /// Binds one endpoint. The default listens on the network of `env`.
    ///
    /// # Errors
    /// The address does not resolve, is taken, or is not ours.
    async fn bind(&self, endpoint: &Endpoint, env: &Env) -> io::Result<Box<dyn Acceptor>> {
        let address = env.network().resolve(&endpoint.host).await?;
        let first = address.first().ok_or(io::ErrorKind::AddrNotAvailable)?;
        env.network().bind(SocketAddr::new(*first, endpoint.port)).await
    }

    /// Tells the listener the real address of an endpoint, before the first session. What it logs here stands below
    /// the line that says where it listens.
    fn bound(&self, endpoint: &Endpoint, address: SocketAddr) {
        let _ = (endpoint, address);
    }

    /// Serves one connection until it ends. Cancelled when the broker stops and the session does not heed its
    /// [`crate::SessionControl`] in time.
    async fn session(&self, connection: Connection, broker: &Broker);

    /// Makes ready to take over a changed configuration, and changes nothing yet: everything that can fail happens here,
    /// since a reload changes all or nothing (CORE-132). Sessions keep running.
    ///
    /// # Errors
    /// What keeps it from taking the configuration over; nothing is changed then, here and elsewhere.
    fn reload<'a>(&'a self, config: &Config) -> Result<TakeOver<'a>, String> {
        let _ = config;
        Ok(Box::new(|| {}))
    }

    /// Ends what the listener itself keeps running. Called after its endpoints were closed and before the sessions
    /// are.
    async fn drain(&self) {}

    /// The last call: every session has ended.
    async fn shutdown(&self) {}
}
