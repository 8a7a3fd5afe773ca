//! One connection's two directions.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use dunlin_api::{Instant, Rng, Socket};
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::link::LinkRules;

/// One direction: bytes go in at the writer, travel, and come out at the reader in order.
pub(super) struct Pipe {
    rules: LinkRules,
    state: Mutex<PipeState>,
    /// Something was sent, or the pipe ended.
    moved: Notify,
}

struct PipeState {
    rng: Rng,
    /// Under way, with the moment when each part is there.
    travelling: VecDeque<(Instant, Vec<u8>)>,
    arrived: VecDeque<u8>,
    /// Bytes sent and not yet read.
    in_flight: usize,
    is_ended: bool,
    /// The writer ended, and everything before that has arrived.
    is_drained: bool,
    is_reset: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl Pipe {
    pub(super) fn new(rules: LinkRules, rng: Rng) -> Arc<Self> {
        let state = PipeState {
            rng,
            travelling: VecDeque::new(),
            arrived: VecDeque::new(),
            in_flight: 0,
            is_ended: false,
            is_drained: false,
            is_reset: false,
            reader: None,
            writer: None,
        };
        Arc::new(Self {
            rules,
            state: Mutex::new(state),
            moved: Notify::new(),
        })
    }

    /// When the next part is there; `None` when nothing more will come.
    pub(super) async fn next_due(&self) -> Option<Instant> {
        loop {
            {
                let mut state = self.state.lock();
                if state.is_reset {
                    return None;
                }
                if let Some((due, _)) = state.travelling.front() {
                    return Some(*due);
                }
                if state.is_ended {
                    state.is_drained = true;
                    wake(&mut state.reader);
                    return None;
                }
            }
            self.moved.notified().await;
        }
    }

    pub(super) fn deliver(&self) {
        let mut state = self.state.lock();
        if let Some((_, bytes)) = state.travelling.pop_front() {
            state.arrived.extend(bytes);
            wake(&mut state.reader);
        }
    }

    pub(super) fn reset(&self) {
        let mut state = self.state.lock();
        state.is_reset = true;
        wake(&mut state.reader);
        wake(&mut state.writer);
        self.moved.notify_one();
    }

    fn end(&self) {
        let mut state = self.state.lock();
        state.is_ended = true;
        wake(&mut state.writer);
        self.moved.notify_one();
    }

    /// The reader's own end: it reads nothing more, and the writer is told.
    fn close_reader(&self) {
        let mut state = self.state.lock();
        state.is_ended = true;
        state.is_drained = true;
        state.arrived.clear();
        wake(&mut state.reader);
        wake(&mut state.writer);
        self.moved.notify_one();
    }

    fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut state = self.state.lock();
        if state.is_reset {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        if state.arrived.is_empty() {
            return if state.is_drained {
                Ok(0)
            } else {
                Err(io::ErrorKind::WouldBlock.into())
            };
        }
        let most = buffer.len().min(state.arrived.len());
        let count = draw(&mut state.rng, most.min(self.rules.chunk));
        for (slot, byte) in buffer.iter_mut().zip(state.arrived.drain(..count)) {
            *slot = byte;
        }
        state.in_flight -= count;
        wake(&mut state.writer);
        Ok(count)
    }

    fn write(&self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut state = self.state.lock();
        if state.is_reset {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        if state.is_ended {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let room = self.rules.window.saturating_sub(state.in_flight);
        if room == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let total: usize = parts.iter().map(|part| part.len()).sum();
        if total == 0 {
            return Ok(0);
        }
        let count = draw(&mut state.rng, total.min(room).min(self.rules.chunk));
        let bytes: Vec<u8> = parts
            .iter()
            .flat_map(|part| part.iter().copied())
            .take(count)
            .collect();
        let jitter = self
            .rules
            .jitter
            .mul_f64(f64::from(state.rng.below(1000)) / 1000.0);
        let due = Instant::now() + self.rules.latency + jitter;
        // A later part never overtakes an earlier one.
        let due = state.travelling.back().map_or(due, |(last, _)| due.max(*last));
        state.travelling.push_back((due, bytes));
        state.in_flight += count;
        self.moved.notify_one();
        Ok(count)
    }

    fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut state = self.state.lock();
        if state.is_reset || state.is_drained || !state.arrived.is_empty() {
            return Poll::Ready(Ok(()));
        }
        state.reader = Some(cx.waker().clone());
        Poll::Pending
    }

    fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut state = self.state.lock();
        if state.is_reset || state.is_ended || state.in_flight < self.rules.window {
            return Poll::Ready(Ok(()));
        }
        state.writer = Some(cx.waker().clone());
        Poll::Pending
    }
}

/// A number from 1 to `most`.
fn draw(rng: &mut Rng, most: usize) -> usize {
    let bound = u32::try_from(most).unwrap_or(u32::MAX);
    // Mostly everything at once, as on a real network; else any part of it.
    if rng.below(2) == 0 {
        most
    } else {
        1 + rng.below(bound) as usize
    }
}

fn wake(waker: &mut Option<Waker>) {
    if let Some(waker) = waker.take() {
        waker.wake();
    }
}

/// One end of a connection.
pub(super) struct SimSocket {
    peer: SocketAddr,
    incoming: Arc<Pipe>,
    outgoing: Arc<Pipe>,
}

impl SimSocket {
    pub(super) fn new(peer: SocketAddr, incoming: Arc<Pipe>, outgoing: Arc<Pipe>) -> Self {
        Self {
            peer,
            incoming,
            outgoing,
        }
    }
}

impl Socket for SimSocket {
    fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.incoming.poll_readable(cx)
    }

    fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.incoming.read(buffer)
    }

    fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.outgoing.poll_writable(cx)
    }

    fn try_write_vectored(&self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        self.outgoing.write(parts)
    }

    fn shutdown(&self) {
        self.outgoing.end();
        self.incoming.close_reader();
    }

    fn peer(&self) -> SocketAddr {
        self.peer
    }
}

impl Drop for SimSocket {
    fn drop(&mut self) {
        self.shutdown();
    }
}
