//! The output of one connection: the only place that knows about pending limits, partial writes, write deadlines
//! and slow consumers.
//!
//! Receivers append encoded bytes under a short lock and note the output in their turn; the turn's flush writes
//! straight to the socket. Only when the socket pushes back does a writer task take over, for as long as that
//! lasts, so that an idle or fast connection has none. Rules: CORE-50, CORE-65 to CORE-71.

mod queue;

use std::io::IoSlice;
use std::sync::Arc;
use std::time::Duration;

use dunlin_api::{ByteStream, ChunkPool, CloseReason, ConnectionLog, Env, Flush, Shard, Turn, writable};
use parking_lot::{Mutex, MutexGuard};

pub use queue::{FlushEnd, Mark, Queue, Shared, flush, resume};

/// Limits of an output.
#[derive(Clone, Copy, Debug)]
pub struct OutputLimits {
    /// Bytes that may wait; the message that would exceed them closes the connection (CORE-67).
    pub max_pending: usize,
    /// How long a pushed-back write may take (CORE-68).
    pub write_deadline: Duration,
}

/// A connection's output queue and the writing half of its stream.
pub struct Output {
    queue: Locked,
    stream: ByteStream,
    env: Env,
    log: Arc<ConnectionLog>,
    shard: Arc<Shard>,
    limits: OutputLimits,
}

struct Locked(Mutex<Queue>);

impl Shared for Locked {
    fn with<R>(&self, work: impl FnOnce(&mut Queue) -> R) -> R {
        work(&mut self.0.lock())
    }
}

impl Output {
    /// The output of `stream`, whose session lives on `shard` and logs to `log`.
    pub fn new(
        stream: ByteStream,
        env: Env,
        log: Arc<ConnectionLog>,
        shard: Arc<Shard>,
        limits: OutputLimits,
    ) -> Arc<Self> {
        Arc::new(Self {
            queue: Locked(Mutex::default()),
            stream,
            env,
            log,
            shard,
            limits,
        })
    }

    /// Appends under the lock that orders this connection's bytes, and notes the output in `turn` if anything was
    /// committed. `None` when the connection is closing.
    pub fn append<R>(
        self: &Arc<Self>,
        turn: &mut Turn,
        encode: impl FnOnce(&mut Appender<'_>) -> R,
    ) -> Option<R> {
        let queue = self.queue.0.lock();
        if queue.close_reason().is_some() {
            return None;
        }
        let mark = queue.mark();
        let before = queue.pending();
        let mut appender = Appender {
            queue,
            pool: turn.pool(),
            limit: self.limits.max_pending,
            mark,
        };
        let result = encode(&mut appender);
        appender.undo();
        let (is_over, pending, is_first) = {
            let queue = &mut appender.queue;
            let is_over = queue.close_reason().is_some();
            let has_news = queue.pending() > before || is_over;
            (is_over, queue.pending(), has_news && queue.note())
        };
        drop(appender);
        if is_first {
            turn.touch(self.clone());
        }
        turn.appended(pending.saturating_sub(before));
        if is_over {
            self.end_slow_consumer();
        } else if pending > self.congestion() && before <= self.congestion() {
            turn.note_congestion(self.clone());
        }
        Some(result)
    }

    /// Appends one protocol line or frame from outside a batch, and flushes it. Limits do not apply.
    pub fn send(self: &Arc<Self>, bytes: &[u8]) {
        let mut pool = ChunkPool::default();
        let is_open = self.queue.with(|queue| {
            let is_open = queue.close_reason().is_none();
            if is_open {
                queue.put(bytes, &mut pool);
            }
            is_open
        });
        if is_open {
            self.flush_with(&mut pool);
        }
    }

    /// Ends the connection: what is pending is written first where that makes sense, then the stream is shut down,
    /// which wakes its session. The first reason wins.
    pub fn close(self: &Arc<Self>, reason: CloseReason) {
        self.queue.with(|queue| queue.close(reason));
        if !queue::flushes_at_close(reason) {
            // A writer task may be waiting for a peer that does not read: this wakes it.
            self.stream.shutdown();
        }
        self.flush_with(&mut ChunkPool::default());
    }

    /// Why the connection is closing, once it is.
    pub fn close_reason(&self) -> Option<CloseReason> {
        self.queue.with(|queue| queue.close_reason())
    }

    /// Bytes that wait to be written.
    pub fn pending(&self) -> usize {
        self.queue.with(|queue| queue.pending())
    }

    fn congestion(&self) -> usize {
        self.limits.max_pending / 4 * 3
    }

    fn end_slow_consumer(&self) {
        self.stream.shutdown();
        let limit = self.limits.max_pending;
        self.log.notice(format_args!(
            "Slow Consumer Detected: MaxPending of {limit} Exceeded"
        ));
    }

    fn flush_with(self: &Arc<Self>, pool: &mut ChunkPool) {
        let guard = HolderGuard(self);
        let end = flush(&self.queue, pool, |parts| self.write(parts));
        guard.disarm();
        self.conclude(end);
    }

    fn write(&self, parts: &[IoSlice<'_>]) -> std::io::Result<usize> {
        dunlin_api::fault::point("flush");
        self.stream.try_write_vectored(parts)
    }

    /// Acts on a flush's end; true when the holder's place is free again.
    fn conclude(self: &Arc<Self>, end: FlushEnd) {
        match end {
            FlushEnd::Done => {}
            FlushEnd::Shut => self.stream.shutdown(),
            FlushEnd::Failed(error) => {
                self.log.debug(format_args!("Error flushing: {error}"));
                self.stream.shutdown();
            }
            FlushEnd::Blocked => {
                let output = self.clone();
                self.env
                    .spawn_on(&self.shard, "writer", async move { output.drain().await });
            }
        }
    }

    /// The writer task: holds the place until the socket has taken everything.
    async fn drain(self: Arc<Self>) {
        let guard = HolderGuard(&self);
        loop {
            let deadline = self.limits.write_deadline;
            let end = match self.env.timeout(deadline, writable(self.stream.as_ref())).await {
                Some(Ok(())) => self
                    .shard
                    .batch(|scratch| resume(&self.queue, scratch.turn.pool(), |parts| self.write(parts))),
                Some(Err(error)) => {
                    self.queue.with(|queue| queue.fail(CloseReason::WriteError));
                    FlushEnd::Failed(error)
                }
                None => {
                    self.miss_deadline();
                    FlushEnd::Shut
                }
            };
            if !matches!(end, FlushEnd::Blocked) {
                guard.disarm();
                return self.conclude(end);
            }
        }
    }

    fn miss_deadline(&self) {
        let pending = self.pending();
        self.queue
            .with(|queue| queue.fail(CloseReason::SlowConsumerWriteDeadline));
        self.log.notice(format_args!(
            "Slow Consumer Detected: WriteDeadline of {:?} exceeded with {} chunks of {pending} total bytes.",
            self.limits.write_deadline,
            pending.div_ceil(64 * 1024),
        ));
    }
}

impl Flush for Output {
    fn flush(self: Arc<Self>, pool: &mut ChunkPool) {
        self.flush_with(pool);
    }

    fn is_congested(&self) -> bool {
        self.pending() > self.congestion() && self.close_reason().is_none()
    }
}

/// Closes the connection if its holder unwinds: half-written bytes must never be followed by others.
struct HolderGuard<'a>(&'a Arc<Output>);

impl HolderGuard<'_> {
    fn disarm(self) {
        std::mem::forget(self);
    }
}

impl Drop for HolderGuard<'_> {
    fn drop(&mut self) {
        self.0.queue.with(|queue| queue.fail(CloseReason::InternalError));
        self.0.stream.shutdown();
        self.0
            .log
            .error(format_args!("the output panicked and was closed"));
    }
}

/// The end of a locked queue. What is not committed is taken back, also when encoding panics.
pub struct Appender<'a> {
    queue: MutexGuard<'a, Queue>,
    pool: &'a mut ChunkPool,
    limit: usize,
    mark: Mark,
}

impl Appender<'_> {
    /// Copies `bytes` to the end.
    pub fn put(&mut self, bytes: &[u8]) {
        self.queue.put(bytes, self.pool);
    }

    /// Copies `pieces` to the end, one after the other.
    #[inline]
    pub fn put_all(&mut self, pieces: &[&[u8]]) {
        self.queue.put_all(pieces, self.pool);
    }

    /// Makes what was put since the last commit part of the output. False when that would exceed the limit of
    /// pending bytes: it is taken back, and the connection closes as a slow consumer (CORE-67).
    pub fn commit(&mut self) -> bool {
        dunlin_api::fault::point("append");
        if self.queue.pending() > self.limit {
            self.undo();
            self.queue.close(CloseReason::SlowConsumerPendingBytes);
            return false;
        }
        self.mark = self.queue.mark();
        true
    }

    fn undo(&mut self) {
        self.queue.roll_back(self.mark);
    }
}

impl Drop for Appender<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.undo();
        }
    }
}
