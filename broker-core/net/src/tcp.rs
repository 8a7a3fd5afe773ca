//! The machine's TCP.

use std::io::{self, IoSlice};
use std::net::{IpAddr, Shutdown, SocketAddr};
use std::sync::Arc;
use std::task::{Context, Poll};

use async_trait::async_trait;
use dunlin_api::{Acceptor, ByteStream, Incoming, Network, Socket};
use socket2::{Domain, Protocol, SockRef, Type};
use tokio::net::{TcpListener, TcpStream};

/// Connections that the system may hold until they are accepted.
const BACKLOG: i32 = 4096;

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
    async fn bind(&self, address: SocketAddr) -> io::Result<Box<dyn Acceptor>> {
        let socket = socket2::Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        // A restarted broker must not wait for the old connections' last minutes.
        socket.set_reuse_address(true)?;
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        let listener = TcpListener::from_std(socket.into())?;
        let local = listener.local_addr()?;
        Ok(Box::new(TcpAcceptor { listener, local }))
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

    async fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        if let Ok(address) = host.parse() {
            return Ok(vec![address]);
        }
        let found = tokio::net::lookup_host((host, 0)).await?;
        Ok(found.map(|address| address.ip()).collect())
    }
}

struct TcpAcceptor {
    listener: TcpListener,
    local: SocketAddr,
}

#[async_trait]
impl Acceptor for TcpAcceptor {
    async fn accept(&mut self) -> io::Result<Box<dyn Incoming>> {
        let (stream, peer) = self.listener.accept().await?;
        // The connection leaves this runtime; the shard that opens it registers it with its own.
        Ok(Box::new(TcpIncoming {
            stream: stream.into_std()?,
            peer,
        }))
    }

    fn local(&self) -> SocketAddr {
        self.local
    }
}

struct TcpIncoming {
    stream: std::net::TcpStream,
    peer: SocketAddr,
}

impl Incoming for TcpIncoming {
    fn peer(&self) -> SocketAddr {
        self.peer
    }

    fn open(self: Box<Self>) -> io::Result<ByteStream> {
        self.stream.set_nodelay(true)?;
        let stream = TcpStream::from_std(self.stream)?;
        Ok(Arc::new(TcpSocket {
            stream,
            peer: self.peer,
        }))
    }
}

struct TcpSocket {
    stream: TcpStream,
    peer: SocketAddr,
}

impl Socket for TcpSocket {
    fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.poll_read_ready(cx)
    }

    fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.try_read(buffer)
    }

    fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.poll_write_ready(cx)
    }

    fn try_write_vectored(&self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        self.stream.try_write_vectored(parts)
    }

    fn shutdown(&self) {
        // A peer that is gone already needs no shutdown.
        let _ = SockRef::from(&self.stream).shutdown(Shutdown::Both);
    }

    fn peer(&self) -> SocketAddr {
        self.peer
    }
}

#[cfg(test)]
mod tests {
    use dunlin_api::{readable, writable};

    use super::*;

    const BYTES: usize = 1 << 20;

    async fn write_all(stream: &dyn Socket, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            match stream.try_write_vectored(&[IoSlice::new(bytes)]) {
                Ok(count) => bytes = &bytes[count..],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => writable(stream).await.unwrap(),
                Err(error) => panic!("{error}"),
            }
        }
    }

    async fn read_all(stream: &dyn Socket, wanted: usize) -> Vec<u8> {
        let mut bytes = vec![0; wanted];
        let mut count = 0;
        while count < wanted {
            readable(stream).await.unwrap();
            match stream.try_read(&mut bytes[count..]) {
                Ok(0) => panic!("ended after {count}"),
                Ok(more) => count += more,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => panic!("{error}"),
            }
        }
        bytes
    }

    #[tokio::test]
    async fn a_mebibyte_goes_both_ways_whole() {
        let network = TcpNetwork::new();
        let mut acceptor = network.bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let address = acceptor.local();
        assert_ne!(address.port(), 0);
        let (client, incoming) = tokio::join!(network.connect(address), acceptor.accept());
        let (client, server) = (client.unwrap(), incoming.unwrap().open().unwrap());
        let bytes: Vec<u8> = (0..BYTES).map(|n| (n % 251) as u8).collect();
        for (from, to) in [(&client, &server), (&server, &client)] {
            let (_, read) = tokio::join!(write_all(from.as_ref(), &bytes), read_all(to.as_ref(), BYTES));
            assert!(read == bytes);
        }
    }

    #[tokio::test]
    async fn a_shutdown_wakes_the_reader_with_the_end() {
        let network = TcpNetwork::new();
        let mut acceptor = network.bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let (client, incoming) = tokio::join!(network.connect(acceptor.local()), acceptor.accept());
        let (client, server) = (client.unwrap(), incoming.unwrap().open().unwrap());
        server.shutdown();
        readable(server.as_ref()).await.unwrap();
        assert_eq!(server.try_read(&mut [0; 8]).unwrap(), 0);
        readable(client.as_ref()).await.unwrap();
        assert_eq!(client.try_read(&mut [0; 8]).unwrap(), 0);
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
