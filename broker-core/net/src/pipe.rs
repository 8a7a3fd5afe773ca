//! A connection in memory, for a client in the broker's own process.
//!
//! The listener's session has a [`PipeSocket`], the client a [`PipeStream`]. Each direction holds a bounded number of
//! bytes; whoever ends or drops its side ends both directions, and the other side reads what was written before.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use dunlin_api::Socket;
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Makes a connection that holds up to `capacity` bytes (at least one) each way. Memory grows as it is used.
pub fn pipe(capacity: usize) -> (PipeSocket, PipeStream) {
    let capacity = capacity.max(1);
    let to_client = Arc::new(Lane::new(capacity));
    let to_server = Arc::new(Lane::new(capacity));
    let server = Ends {
        incoming: to_server.clone(),
        outgoing: to_client.clone(),
    };
    let client = Ends {
        incoming: to_client,
        outgoing: to_server,
    };
    (PipeSocket(server), PipeStream(client))
}

/// The side of a listener's session.
pub struct PipeSocket(Ends);

/// The side of the client. Dropping it closes the connection; shutting it down ends what it writes, and what the other
/// side has written can still be read.
pub struct PipeStream(Ends);

/// One side's share of both directions.
struct Ends {
    incoming: Arc<Lane>,
    outgoing: Arc<Lane>,
}

impl Ends {
    fn close(&self) {
        self.outgoing.end();
        self.incoming.abandon();
    }
}

impl Drop for Ends {
    fn drop(&mut self) {
        self.close();
    }
}

/// One direction.
struct Lane {
    capacity: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    bytes: VecDeque<u8>,
    /// Nothing more is written.
    is_ended: bool,
    /// Nothing more is read.
    is_abandoned: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl Lane {
    fn new(capacity: usize) -> Self {
        Self {
            capacity,
            state: Mutex::default(),
        }
    }

    fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut state = self.state.lock();
        if state.bytes.is_empty() {
            return match state.is_ended || state.is_abandoned {
                true => Ok(0),
                false => Err(io::ErrorKind::WouldBlock.into()),
            };
        }
        // A deque reads like a file that never fails, one of its two halves a call.
        let mut count = io::Read::read(&mut state.bytes, buffer)?;
        if let Some(rest) = buffer.get_mut(count..) {
            count += io::Read::read(&mut state.bytes, rest)?;
        }
        let writer = state.writer.take();
        drop(state);
        wake(writer);
        Ok(count)
    }

    fn write(&self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut state = self.state.lock();
        if state.is_ended || state.is_abandoned {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let mut room = self.capacity.saturating_sub(state.bytes.len());
        if room == 0 && parts.iter().any(|part| !part.is_empty()) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let mut count = 0;
        for part in parts {
            let fitting = part.get(..room).unwrap_or(part);
            state.bytes.extend(fitting);
            room -= fitting.len();
            count += fitting.len();
        }
        let reader = state.reader.take();
        drop(state);
        wake(reader);
        Ok(count)
    }

    fn poll_readable(&self, cx: &Context<'_>) -> Poll<io::Result<()>> {
        let mut state = self.state.lock();
        if !state.bytes.is_empty() || state.is_ended || state.is_abandoned {
            return Poll::Ready(Ok(()));
        }
        state.reader = Some(cx.waker().clone());
        Poll::Pending
    }

    fn poll_writable(&self, cx: &Context<'_>) -> Poll<io::Result<()>> {
        let mut state = self.state.lock();
        if state.bytes.len() < self.capacity || state.is_ended || state.is_abandoned {
            return Poll::Ready(Ok(()));
        }
        state.writer = Some(cx.waker().clone());
        Poll::Pending
    }

    /// The writer is done.
    fn end(&self) {
        self.change(|state| state.is_ended = true);
    }

    /// The reader is gone.
    fn abandon(&self) {
        self.change(|state| {
            state.is_abandoned = true;
            state.bytes = VecDeque::new();
        });
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.state.lock();
        change(&mut state);
        let (reader, writer) = (state.reader.take(), state.writer.take());
        drop(state);
        wake(reader);
        wake(writer);
    }
}

/// Never called under a lock: a waker may run anything.
fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}

impl Socket for PipeSocket {
    fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.incoming.poll_readable(cx)
    }

    fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.incoming.read(buffer)
    }

    fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.outgoing.poll_writable(cx)
    }

    fn try_write_vectored(&self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.outgoing.write(parts)
    }

    fn shutdown(&self) {
        self.0.close();
    }

    fn peer(&self) -> SocketAddr {
        SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0)
    }
}

impl AsyncRead for PipeStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let lane = &self.0.incoming;
        loop {
            match lane.read(buffer.initialize_unfilled()) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                outcome => return Poll::Ready(outcome.map(|count| buffer.advance(count))),
            }
            if lane.poll_readable(cx).is_pending() {
                return Poll::Pending;
            }
        }
    }
}

impl AsyncWrite for PipeStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let lane = &self.0.outgoing;
        loop {
            match lane.write(parts) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                outcome => return Poll::Ready(outcome),
            }
            if lane.poll_writable(cx).is_pending() {
                return Poll::Pending;
            }
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// What was written is there at once.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.outgoing.end();
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use dunlin_api::{readable, writable};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    fn kind<T>(result: io::Result<T>) -> Option<io::ErrorKind> {
        result.err().map(|error| error.kind())
    }

    fn write(socket: &PipeSocket, bytes: &[u8]) -> io::Result<usize> {
        socket.try_write_vectored(&[IoSlice::new(bytes)])
    }

    #[tokio::test]
    async fn bytes_go_both_ways_in_order() {
        let (server, mut client) = pipe(64);
        let parts = [IoSlice::new(b"IN"), IoSlice::new(b""), IoSlice::new(b"FO")];
        assert_eq!(server.try_write_vectored(&parts).unwrap(), 4);
        let mut received = [0; 4];
        client.read_exact(&mut received).await.unwrap();
        assert_eq!(&received, b"INFO");
        client.write_all(b"PING").await.unwrap();
        readable(&server).await.unwrap();
        assert_eq!(server.try_read(&mut received).unwrap(), 4);
        assert_eq!(&received, b"PING");
        assert_eq!(
            kind(server.try_read(&mut received)),
            Some(io::ErrorKind::WouldBlock)
        );
    }

    #[test]
    fn a_full_pipe_takes_what_fits_and_then_nothing() {
        let (server, _client) = pipe(5);
        let parts = [IoSlice::new(b"123"), IoSlice::new(b"456")];
        assert_eq!(server.try_write_vectored(&parts).unwrap(), 5);
        assert_eq!(kind(write(&server, b"7")), Some(io::ErrorKind::WouldBlock));
        assert_eq!(write(&server, b"").unwrap(), 0);
    }

    #[tokio::test]
    async fn a_waiting_writer_goes_on_when_the_other_side_reads() {
        let (server, mut client) = pipe(3);
        let sent: Vec<u8> = (0..=255).collect();
        let (expected, whole) = (sent.clone(), sent.len());
        let writing = async move { client.write_all(&sent).await.map(|()| client) };
        let reading = async {
            let mut received = Vec::new();
            while received.len() < whole {
                readable(&server).await.unwrap();
                let mut part = [0; 2];
                let count = server.try_read(&mut part).unwrap();
                received.extend_from_slice(&part[..count]);
            }
            received
        };
        let (client, received) = tokio::join!(writing, reading);
        assert_eq!(received, expected);
        drop(client.unwrap());
        assert_eq!(server.try_read(&mut [0; 1]).unwrap(), 0);
    }

    #[tokio::test]
    async fn a_reader_gets_what_was_written_before_the_end() {
        let (server, mut client) = pipe(64);
        write(&server, b"-ERR").unwrap();
        server.shutdown();
        let mut received = Vec::new();
        client.read_to_end(&mut received).await.unwrap();
        assert_eq!(received, b"-ERR");
        assert_eq!(
            kind(client.write_all(b"PING").await),
            Some(io::ErrorKind::BrokenPipe)
        );
        assert_eq!(kind(write(&server, b"x")), Some(io::ErrorKind::BrokenPipe));
    }

    #[tokio::test]
    async fn a_side_that_is_dropped_wakes_whoever_waits_for_it() {
        let (server, mut client) = pipe(1);
        write(&server, b"1").unwrap();
        let mut byte = [0; 1];
        let (reading, writing, ()) = tokio::join!(
            readable(&server),
            writable(&server),
            // The others wait by now: they were asked first.
            async { drop(client.read(&mut byte).await.map(|_| client)) },
        );
        reading.unwrap();
        writing.unwrap();
        assert_eq!(server.try_read(&mut [0; 1]).unwrap(), 0);
        assert_eq!(kind(write(&server, b"2")), Some(io::ErrorKind::BrokenPipe));

        let (server, mut client) = pipe(1);
        let mut byte = [0; 1];
        let (read, ()) = tokio::join!(client.read(&mut byte), async { drop(server) });
        assert_eq!(read.unwrap(), 0);
    }

    #[tokio::test]
    async fn a_client_that_has_ended_its_side_still_reads() {
        let (server, mut client) = pipe(64);
        client.shutdown().await.unwrap();
        assert_eq!(server.try_read(&mut [0; 1]).unwrap(), 0);
        write(&server, b"PONG").unwrap();
        let mut received = [0; 4];
        client.read_exact(&mut received).await.unwrap();
        assert_eq!(&received, b"PONG");
    }
}
