//! Sockets. The real ones and the simulated ones are in `dunlin-net`.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::task::{Context, Poll};

use async_trait::async_trait;

/// One connection as a shared, non-waiting byte stream: read by its session, written by whoever delivers to it.
pub type ByteStream = Arc<dyn Socket>;

/// A byte stream that never waits inside a call. One task reads; writers take turns (the output queue sees to it).
///
/// Transports that transform bytes (TLS, WebSocket) implement this over another one.
pub trait Socket: Send + Sync + 'static {
    /// Ready when [`Socket::try_read`] may have something. One waiter at a time.
    fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Reads what is there. `Ok(0)` is the peer's end, `WouldBlock` means: wait for readiness.
    ///
    /// # Errors
    /// `WouldBlock`, or the transport's failure.
    fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize>;

    /// Ready when [`Socket::try_write_vectored`] may take something. One waiter at a time.
    fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Writes as much as fits at once; callable from any thread.
    ///
    /// # Errors
    /// `WouldBlock`, or the transport's failure.
    fn try_write_vectored(&self, parts: &[IoSlice<'_>]) -> io::Result<usize>;

    /// Ends both directions; a waiting reader and writer wake up. Bytes already taken may still arrive.
    fn shutdown(&self);

    /// The peer's address; `0.0.0.0:0` where there is none.
    fn peer(&self) -> SocketAddr;

    /// Our own address of this connection, for log lines; `0.0.0.0:0` where there is none. May be a system call.
    fn local(&self) -> SocketAddr {
        SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0)
    }
}

/// Waits until `stream` can be read.
///
/// # Errors
/// The transport's failure.
pub async fn readable(stream: &dyn Socket) -> io::Result<()> {
    poll_fn(|cx| stream.poll_read_ready(cx)).await
}

/// Waits until `stream` can be written.
///
/// # Errors
/// The transport's failure.
pub async fn writable(stream: &dyn Socket) -> io::Result<()> {
    poll_fn(|cx| stream.poll_write_ready(cx)).await
}

/// A bound listener.
#[async_trait]
pub trait Acceptor: Send + 'static {
    /// Waits for the next connection. Cancel-safe.
    ///
    /// # Errors
    /// What the system says; the accept loop decides whether to go on (CORE-13).
    async fn accept(&mut self) -> io::Result<Box<dyn Incoming>>;

    /// Where it listens; the real port when port 0 was asked for.
    fn local(&self) -> SocketAddr;
}

/// An accepted connection that belongs to no shard yet.
pub trait Incoming: Send + 'static {
    /// The peer's address.
    fn peer(&self) -> SocketAddr;

    /// Turns it into a stream of the shard that this is called on.
    ///
    /// # Errors
    /// When the system refuses to register it.
    fn open(self: Box<Self>) -> io::Result<ByteStream>;
}

/// The network as the broker sees it.
#[async_trait]
pub trait Network: Send + Sync + 'static {
    /// The addresses of this machine, in the order of its interfaces; empty where they cannot be told.
    fn interfaces(&self) -> Vec<IpAddr>;

    /// Listens on `address`; port 0 picks a free one.
    ///
    /// # Errors
    /// The address is taken, not ours, or not permitted.
    async fn bind(&self, address: SocketAddr) -> io::Result<Box<dyn Acceptor>>;

    /// Connects to `address`.
    ///
    /// # Errors
    /// Refused, unreachable or timed out.
    async fn connect(&self, address: SocketAddr) -> io::Result<ByteStream>;

    /// The addresses of `host`.
    ///
    /// # Errors
    /// The name does not resolve.
    async fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>>;
}
