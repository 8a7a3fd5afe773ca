//! One connection: two lanes of bytes, and an end at each side.
//!
//! What a host does is seen by the other only when it has travelled: bytes, the end of the stream, and the reset that
//! answers bytes for a closed end. Only [`Connection::reset`], the test's own hand, strikes both ends at once.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use dunlin_api::{Instant, Rng, Socket};
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::link::LinkRules;

/// One of the two sides. A side writes to the lane of its own name and reads from the other's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Client,
    Server,
}

impl Side {
    fn other(self) -> Self {
        match self {
            Self::Client => Self::Server,
            Self::Server => Self::Client,
        }
    }
}

pub(super) struct Connection {
    rules: LinkRules,
    state: Mutex<State>,
    /// Something was sent, or the connection is over. One for each lane's carrier.
    client_sent: Notify,
    server_sent: Notify,
}

struct State {
    rng: Rng,
    client: Lane,
    server: Lane,
}

/// One direction. Named after the side that writes to it.
#[derive(Default)]
struct Lane {
    /// On its way, with the moment when each part is there.
    travelling: VecDeque<(Instant, Parcel)>,
    arrived: VecDeque<u8>,
    /// Bytes sent and not yet read.
    in_flight: usize,
    /// The writing side has shut down.
    is_shut: bool,
    /// Its end has arrived.
    is_ended: bool,
    /// The reading side has shut down: what arrives is answered with a reset.
    is_deaf: bool,
    /// The writing side knows of a reset.
    is_reset: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

enum Parcel {
    Bytes(Vec<u8>),
    End,
    Reset,
}

impl Connection {
    pub(super) fn new(rules: LinkRules, rng: Rng) -> Arc<Self> {
        let state = State {
            rng,
            client: Lane::default(),
            server: Lane::default(),
        };
        Arc::new(Self {
            rules,
            state: Mutex::new(state),
            client_sent: Notify::new(),
            server_sent: Notify::new(),
        })
    }

    /// When the next part of a lane is there; `None` when nothing more will come.
    pub(super) async fn next_due(&self, lane: Side) -> Option<Instant> {
        loop {
            {
                let state = self.state.lock();
                if state.is_over() {
                    return None;
                }
                if let Some((due, _)) = state.lane(lane).travelling.front() {
                    return Some(*due);
                }
            }
            self.sent(lane).notified().await;
        }
    }

    /// Hands the next part of a lane to its reader.
    pub(super) fn deliver(&self, lane: Side) {
        let mut state = self.state.lock();
        let target = state.lane_mut(lane);
        match target.travelling.pop_front() {
            Some((_, Parcel::Bytes(bytes))) if target.is_deaf => {
                target.in_flight -= bytes.len();
                wake(&mut target.writer);
                state.send(&self.rules, lane.other(), Parcel::Reset);
                self.sent(lane.other()).notify_one();
            }
            Some((_, Parcel::Bytes(bytes))) => {
                target.arrived.extend(bytes);
                wake(&mut target.reader);
            }
            Some((_, Parcel::End)) => {
                target.is_ended = true;
                wake(&mut target.reader);
            }
            Some((_, Parcel::Reset)) => state.reset(lane.other()),
            None => {}
        }
        if state.is_over() {
            self.end_carriers();
        }
    }

    /// Resets both ends at once; what has arrived and was not read is lost as well.
    pub(super) fn reset(&self) {
        let mut state = self.state.lock();
        state.client.arrived.clear();
        state.server.arrived.clear();
        state.reset(Side::Client);
        state.reset(Side::Server);
        self.end_carriers();
    }

    fn shut(&self, side: Side) {
        let mut state = self.state.lock();
        if std::mem::replace(&mut state.lane_mut(side).is_shut, true) {
            return;
        }
        wake(&mut state.lane_mut(side).writer);
        let incoming = state.lane_mut(side.other());
        incoming.is_deaf = true;
        incoming.in_flight -= incoming.arrived.len();
        incoming.arrived.clear();
        wake(&mut incoming.reader);
        wake(&mut incoming.writer);
        state.send(&self.rules, side, Parcel::End);
        self.sent(side).notify_one();
    }

    fn read(&self, side: Side, buffer: &mut [u8]) -> io::Result<usize> {
        let mut guard = self.state.lock();
        let state = &mut *guard;
        let (own, lane) = match side {
            Side::Client => (&state.client, &mut state.server),
            Side::Server => (&state.server, &mut state.client),
        };
        if lane.arrived.is_empty() {
            return match () {
                () if own.is_reset => Err(io::ErrorKind::ConnectionReset.into()),
                () if lane.is_ended || lane.is_deaf => Ok(0),
                () => Err(io::ErrorKind::WouldBlock.into()),
            };
        }
        let most = buffer.len().min(lane.arrived.len());
        let count = self.rules.draw_count(&mut state.rng, most);
        for (slot, byte) in buffer.iter_mut().zip(lane.arrived.drain(..count)) {
            *slot = byte;
        }
        lane.in_flight -= count;
        wake(&mut lane.writer);
        Ok(count)
    }

    fn write(&self, side: Side, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut state = self.state.lock();
        let lane = state.lane(side);
        if lane.is_reset {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        if lane.is_shut {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let total: usize = parts.iter().map(|part| part.len()).sum();
        let room = self.room(lane);
        if room == 0 && total > 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let count = self.rules.draw_count(&mut state.rng, total.min(room));
        if count == 0 {
            return Ok(0);
        }
        let bytes = parts.iter().flat_map(|part| part.iter().copied());
        let bytes = bytes.take(count).collect();
        state.lane_mut(side).in_flight += count;
        state.send(&self.rules, side, Parcel::Bytes(bytes));
        self.sent(side).notify_one();
        Ok(count)
    }

    fn poll_readable(&self, side: Side, cx: &Context<'_>) -> Poll<io::Result<()>> {
        let mut state = self.state.lock();
        let is_reset = state.lane(side).is_reset;
        let lane = state.lane_mut(side.other());
        if is_reset || lane.is_ended || lane.is_deaf || !lane.arrived.is_empty() {
            return Poll::Ready(Ok(()));
        }
        lane.reader = Some(cx.waker().clone());
        Poll::Pending
    }

    fn poll_writable(&self, side: Side, cx: &Context<'_>) -> Poll<io::Result<()>> {
        let mut state = self.state.lock();
        let lane = state.lane_mut(side);
        if lane.is_reset || lane.is_shut || self.room(lane) > 0 {
            return Poll::Ready(Ok(()));
        }
        lane.writer = Some(cx.waker().clone());
        Poll::Pending
    }

    fn room(&self, lane: &Lane) -> usize {
        self.rules.window.max(1).saturating_sub(lane.in_flight)
    }

    fn sent(&self, lane: Side) -> &Notify {
        match lane {
            Side::Client => &self.client_sent,
            Side::Server => &self.server_sent,
        }
    }

    fn end_carriers(&self) {
        self.client_sent.notify_one();
        self.server_sent.notify_one();
    }
}

impl State {
    fn lane(&self, side: Side) -> &Lane {
        match side {
            Side::Client => &self.client,
            Side::Server => &self.server,
        }
    }

    fn lane_mut(&mut self, side: Side) -> &mut Lane {
        match side {
            Side::Client => &mut self.client,
            Side::Server => &mut self.server,
        }
    }

    /// Puts a parcel on its way; a later one never overtakes an earlier one.
    fn send(&mut self, rules: &LinkRules, lane: Side, parcel: Parcel) {
        let due = Instant::now() + rules.draw_delay(&mut self.rng);
        let travelling = &mut self.lane_mut(lane).travelling;
        let due = travelling.back().map_or(due, |(last, _)| due.max(*last));
        travelling.push_back((due, parcel));
    }

    /// `side` learns that the connection is gone.
    fn reset(&mut self, side: Side) {
        let own = self.lane_mut(side);
        own.is_reset = true;
        wake(&mut own.writer);
        wake(&mut self.lane_mut(side.other()).reader);
    }

    /// Whether nothing can travel any more.
    fn is_over(&self) -> bool {
        let is_reset = self.client.is_reset && self.server.is_reset;
        is_reset || (self.client.is_ended && self.server.is_ended)
    }
}

fn wake(waker: &mut Option<Waker>) {
    if let Some(waker) = waker.take() {
        waker.wake();
    }
}

/// One side of a connection, as its host holds it. Dropping it shuts it down.
pub(super) struct SimSocket {
    connection: Arc<Connection>,
    side: Side,
    peer: SocketAddr,
}

impl SimSocket {
    pub(super) fn new(connection: Arc<Connection>, side: Side, peer: SocketAddr) -> Self {
        Self {
            connection,
            side,
            peer,
        }
    }
}

impl Socket for SimSocket {
    fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.connection.poll_readable(self.side, cx)
    }

    fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.connection.read(self.side, buffer)
    }

    fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.connection.poll_writable(self.side, cx)
    }

    fn try_write_vectored(&self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        self.connection.write(self.side, parts)
    }

    fn shutdown(&self) {
        self.connection.shut(self.side);
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
