//! The machine's TCP.
//!
//! An accepted connection belongs to no runtime until the shard that it was given to opens it. Errors read as the
//! reference prints them. Knows neither TLS nor a protocol. Rules: CORE-1.

use std::io::{self, IoSlice, Read as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr};
use std::sync::Arc;
use std::task::{Context, Poll};

use async_trait::async_trait;
use dunlin_api::{Acceptor, ByteStream, Incoming, Network, Socket, system_error};
use socket2::{Domain, Protocol, SockRef, Type};
use tokio::io::Interest;
use tokio::net::{TcpListener, TcpStream};

/// Connections that the system may hold until they are accepted.
const BACKLOG: i32 = 4096;

/// The system call that Go accepts with.
const ACCEPT_CALL: &str = if cfg!(target_os = "linux") {
    "accept4"
} else {
    "accept"
};

/// TCP as the operating system gives it. Keep-alive stays off (CORE-1); small writes are not held back.
#[derive(Debug, Default)]
pub struct TcpNetwork;

impl TcpNetwork {
    /// The machine's network.
    pub fn new() -> Self {
        Self
    }
}

#[async_trait]
impl Network for TcpNetwork {
    fn interfaces(&self) -> Vec<IpAddr> {
        let mut interfaces = if_addrs::get_if_addrs().unwrap_or_default();
        interfaces.sort_by_key(|interface| interface.index);
        interfaces.iter().map(|interface| interface.ip()).collect()
    }

    /// A wildcard address of either family takes IPv4 and IPv6 where the machine has both, as the reference does;
    /// [`Acceptor::local`] is then `[::]`.
    async fn bind(&self, address: SocketAddr) -> io::Result<Box<dyn Acceptor>> {
        let acceptor = TcpAcceptor::bind(address).map_err(|error| refused(address, &error))?;
        Ok(Box::new(acceptor))
    }

    #[expect(clippy::disallowed_methods, reason = "this is the seam")]
    async fn connect(&self, address: SocketAddr) -> io::Result<ByteStream> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Arc::new(TcpSocket {
            stream,
            peer: address,
        }))
    }

    /// IPv4 addresses come first: it is the first address that a listener binds, and the reference prefers IPv4.
    async fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        if let Ok(address) = host.parse() {
            return Ok(vec![address]);
        }
        let found = tokio::net::lookup_host((host, 0)).await.map_err(|error| {
            let text = format!("lookup {host}: {}", system_error::reason(&error));
            io::Error::new(error.kind(), text)
        })?;
        let mut addresses: Vec<IpAddr> = found.map(|address| address.ip()).collect();
        addresses.sort_by_key(IpAddr::is_ipv6);
        addresses.dedup();
        Ok(addresses)
    }
}

fn listen(address: SocketAddr) -> io::Result<socket2::Socket> {
    if !address.ip().is_unspecified() {
        return listen_on(address);
    }
    let wildcard = |ip| SocketAddr::new(ip, address.port());
    match listen_on(wildcard(Ipv6Addr::UNSPECIFIED.into())) {
        // The port is at fault, not the family.
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied
            ) =>
        {
            Err(error)
        }
        // A machine without IPv6.
        Err(_) => listen_on(wildcard(Ipv4Addr::UNSPECIFIED.into())),
        bound => bound,
    }
}

fn listen_on(address: SocketAddr) -> io::Result<socket2::Socket> {
    let socket = socket2::Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.ip().is_unspecified() && address.is_ipv6() {
        // Whatever the machine's default: `[::]` stands for IPv4 as well.
        socket.set_only_v6(false)?;
    }
    // A restarted broker must not wait for the old connections' last minutes.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket)
}

/// The reference's words; it calls every wildcard `0.0.0.0` here.
fn refused(address: SocketAddr, error: &io::Error) -> io::Error {
    let named = if address.ip().is_unspecified() {
        SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), address.port())
    } else {
        address
    };
    let reason = system_error::reason(error);
    io::Error::new(error.kind(), format!("listen tcp {named}: bind: {reason}"))
}

/// An IPv4 peer of a socket for both families is no IPv6 address.
fn canonical(peer: SocketAddr) -> SocketAddr {
    match peer.ip().to_canonical() {
        IpAddr::V4(ip) => SocketAddr::new(ip.into(), peer.port()),
        IpAddr::V6(_) => peer, // With its scope.
    }
}

/// Why nothing was accepted, in the reference's words.
#[derive(Debug, thiserror::Error)]
#[error("accept tcp {local}: {ACCEPT_CALL}: {}", system_error::reason(source))]
struct AcceptError {
    local: SocketAddr,
    source: io::Error,
}

struct TcpAcceptor {
    listener: TcpListener,
    local: SocketAddr,
}

impl TcpAcceptor {
    fn bind(address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::from_std(listen(address)?.into())?;
        let local = listener.local_addr()?;
        Ok(Self { listener, local })
    }

    async fn next(&self) -> io::Result<TcpIncoming> {
        loop {
            match self.listener.accept().await {
                Ok((stream, peer)) => {
                    // The connection leaves this runtime; the shard that opens it registers it with its own.
                    let stream = stream.into_std()?;
                    let peer = canonical(peer);
                    return Ok(TcpIncoming { stream, peer });
                }
                // A peer that gave up before its turn must not slow the others down.
                Err(error) if is_of_one_peer(&error) => {}
                Err(error) => return Err(error),
            }
        }
    }
}

fn is_of_one_peer(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::Interrupted
    )
}

#[async_trait]
impl Acceptor for TcpAcceptor {
    async fn accept(&mut self) -> io::Result<Box<dyn Incoming>> {
        match self.next().await {
            Ok(incoming) => Ok(Box::new(incoming)),
            Err(source) => {
                let local = self.local;
                Err(io::Error::new(source.kind(), AcceptError { local, source }))
            }
        }
    }

    fn local(&self) -> SocketAddr {
        self.local
    }
}

struct TcpIncoming {
    stream: std::net::TcpStream,
    peer: SocketAddr,
}

impl TcpIncoming {
    fn register(self) -> io::Result<TcpSocket> {
        self.stream.set_nodelay(true)?;
        Ok(TcpSocket {
            stream: TcpStream::from_std(self.stream)?,
            peer: self.peer,
        })
    }
}

impl Incoming for TcpIncoming {
    fn peer(&self) -> SocketAddr {
        self.peer
    }

    fn open(self: Box<Self>) -> io::Result<ByteStream> {
        Ok(Arc::new(self.register()?))
    }
}

struct TcpSocket {
    stream: TcpStream,
    peer: SocketAddr,
}

/// Whether a read that does not fill its buffer has emptied the socket, so that whatever comes later is announced
/// anew. Then the runtime is told at once that nothing is left: a read that finds nothing is a system call per message
/// for a client with one request in flight. Windows announces only after a read that would block.
const READS_DRAIN: bool = cfg!(unix);

impl Socket for TcpSocket {
    fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.poll_read_ready(cx)
    }

    fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut drained = None;
        let result = self.stream.try_io(Interest::READABLE, || {
            let count = (&*SockRef::from(&self.stream)).read(buffer)?;
            if READS_DRAIN && count > 0 && count < buffer.len() {
                drained = Some(count);
                return Err(io::ErrorKind::WouldBlock.into());
            }
            Ok(count)
        });
        drained.map_or(result, Ok)
    }

    fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.poll_write_ready(cx)
    }

    fn try_write_vectored(&self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        match parts {
            [part] => self.stream.try_write(part),
            _ => self.stream.try_write_vectored(parts),
        }
    }

    fn shutdown(&self) {
        // A peer that is gone already needs no shutdown.
        let _ = SockRef::from(&self.stream).shutdown(Shutdown::Both);
    }

    fn peer(&self) -> SocketAddr {
        self.peer
    }

    fn local(&self) -> SocketAddr {
        // Fails only for a socket that is gone.
        let local = self.stream.local_addr();
        canonical(local.unwrap_or(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_streams::{end_of, pattern, read_all, write_all};

    const BYTES: usize = 1 << 20;

    async fn bound(address: &str) -> Box<dyn Acceptor> {
        TcpNetwork::new().bind(address.parse().unwrap()).await.unwrap()
    }

    async fn connected(acceptor: &mut dyn Acceptor, address: SocketAddr) -> (ByteStream, ByteStream) {
        let network = TcpNetwork::new();
        let (client, incoming) = tokio::join!(network.connect(address), acceptor.accept());
        (client.unwrap(), incoming.unwrap().open().unwrap())
    }

    #[tokio::test]
    async fn a_mebibyte_goes_both_ways_whole() {
        let mut acceptor = bound("127.0.0.1:0").await;
        let address = acceptor.local();
        assert_ne!(address.port(), 0);
        let (client, server) = connected(acceptor.as_mut(), address).await;
        let bytes = pattern(BYTES);
        let (_, _, at_server, at_client) = tokio::join!(
            write_all(client.as_ref(), &bytes),
            write_all(server.as_ref(), &bytes),
            read_all(server.as_ref(), BYTES),
            read_all(client.as_ref(), BYTES),
        );
        assert!(at_server == bytes && at_client == bytes);
    }

    #[tokio::test]
    async fn a_shutdown_wakes_the_reader_with_the_end() {
        let mut acceptor = bound("127.0.0.1:0").await;
        let address = acceptor.local();
        let (client, server) = connected(acceptor.as_mut(), address).await;
        server.shutdown();
        for end in [server, client] {
            assert_eq!(end_of(end.as_ref()).await, Ok(()));
        }
    }

    // CORE-1
    #[tokio::test]
    async fn keep_alive_is_off_and_small_writes_are_not_held_back() {
        let acceptor = TcpAcceptor::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let network = TcpNetwork::new();
        let (_client, incoming) = tokio::join!(network.connect(acceptor.local), acceptor.next());
        let accepted = incoming.unwrap().register().unwrap();
        let socket = SockRef::from(&accepted.stream);
        assert!(!socket.keepalive().unwrap());
        assert!(socket.tcp_nodelay().unwrap());
    }

    #[tokio::test]
    async fn a_wildcard_takes_both_families_and_names_peers_in_their_own() {
        let has_ipv6 = TcpAcceptor::bind("[::1]:0".parse().unwrap()).is_ok();
        for wildcard in ["0.0.0.0:0", "[::]:0"] {
            let mut acceptor = bound(wildcard).await;
            let local = acceptor.local();
            assert_eq!(local.is_ipv6(), has_ipv6);
            for loopback in ["127.0.0.1", "::1"].into_iter().take(1 + usize::from(has_ipv6)) {
                let loopback: IpAddr = loopback.parse().unwrap();
                let address = SocketAddr::new(loopback, local.port());
                let (client, server) = connected(acceptor.as_mut(), address).await;
                assert_eq!(client.peer(), address);
                assert_eq!(server.peer().ip(), loopback);
            }
        }
    }

    // CORE-81
    #[tokio::test]
    async fn an_address_in_use_is_refused_in_the_words_of_the_reference() {
        let taken = bound("127.0.0.1:0").await.local();
        let first = TcpNetwork::new().bind(taken).await.unwrap();
        let error = TcpNetwork::new().bind(taken).await.err().unwrap();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        assert_eq!(
            error.to_string(),
            format!("listen tcp {}: bind: address already in use", first.local())
        );
    }

    #[tokio::test]
    async fn a_literal_address_needs_no_lookup() {
        let network = TcpNetwork::new();
        assert_eq!(
            network.resolve("::1").await.unwrap(),
            ["::1".parse::<IpAddr>().unwrap()]
        );
        assert_eq!(
            network.resolve("0.0.0.0").await.unwrap(),
            ["0.0.0.0".parse::<IpAddr>().unwrap()]
        );
    }
}
