//! The bounded queue between those who log and the writer.

use std::collections::VecDeque;
use std::time::{Duration, SystemTime};

use dunlin_api::Level;
use parking_lot::{Condvar, Mutex};

use super::format::LineFormat;
use super::writer::Output;

/// Lines that may wait.
pub(super) const MAX_LINES: usize = 8192;

/// Bytes of text that may wait: a traced message alone can have a megabyte.
const MAX_BYTES: usize = 8 << 20;

/// A line that waits to be written.
pub(super) struct Line {
    pub(super) level: Level,
    pub(super) wall: SystemTime,
    pub(super) text: String,
}

/// Something for the writer to do, in the order of the callers.
pub(super) enum Order {
    Line(Line),
    Reopen(SystemTime),
    Change(Box<(Output, LineFormat, SystemTime)>),
}

/// What the writer takes at once.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) orders: VecDeque<Order>,
    /// Lines that found no place since the last batch. They came after those in `orders`.
    pub(super) dropped: u64,
}

/// A queue of orders with room for a bounded number of lines. Nothing waits while its lock is held.
#[derive(Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    filled: Condvar,
    written: Condvar,
}

#[derive(Default)]
struct State {
    orders: VecDeque<Order>,
    bytes: usize,
    dropped: u64,
    /// Orders ever accepted, and how many of them the writer has finished.
    accepted: u64,
    finished: u64,
    closed: bool,
}

impl Queue {
    /// Takes an order, or counts a line that has no place. Fatal lines and orders that are no lines always have one.
    pub(super) fn push(&self, order: Order) {
        let mut state = self.state.lock();
        if state.closed {
            return;
        }
        if let Order::Line(line) = &order {
            let full = state.orders.len() >= MAX_LINES || state.bytes + line.text.len() > MAX_BYTES;
            if full && !state.orders.is_empty() && line.level != Level::Fatal {
                state.dropped += 1;
                return;
            }
            state.bytes += line.text.len();
        }
        state.orders.push_back(order);
        state.accepted += 1;
        drop(state);
        self.filled.notify_one();
    }

    /// For the writer: says that `batch` is written, and waits for the next one. False when none will come.
    pub(super) fn next(&self, batch: &mut Batch) -> bool {
        let mut state = self.state.lock();
        state.finished = state.accepted - state.orders.len() as u64;
        self.written.notify_all();
        while state.orders.is_empty() && state.dropped == 0 {
            if state.closed {
                return false;
            }
            self.filled.wait(&mut state);
        }
        batch.orders.clear();
        std::mem::swap(&mut batch.orders, &mut state.orders);
        batch.dropped = std::mem::take(&mut state.dropped);
        state.bytes = 0;
        true
    }

    /// Waits until every order accepted so far is written, at most `limit`. False when it was too short.
    pub(super) fn wait_written(&self, limit: Duration) -> bool {
        let mut state = self.state.lock();
        let target = state.accepted;
        let result = self
            .written
            .wait_while_for(&mut state, |state| state.finished < target, limit);
        !result.timed_out()
    }

    /// Takes no more orders; the writer ends when it has written those it has.
    pub(super) fn close(&self) {
        self.state.lock().closed = true;
        self.filled.notify_one();
    }
}
