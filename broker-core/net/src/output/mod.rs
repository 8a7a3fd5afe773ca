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

use dunlin_api::config::print_duration;
use dunlin_api::{
    ByteStream, ChunkPool, CloseReason, ConnectionLog, Env, Flush, Instant, Shard, SlowWatch, Turn, writable,
};
use parking_lot::{Mutex, MutexGuard};

pub use queue::{FlushEnd, Mark, Queue, Shared, flush, resume};

/// Limits of an output.
#[derive(Clone, Copy, Debug)]
pub struct OutputLimits {
    /// Bytes that may wait; the message that would exceed them closes the connection (CORE-67).
    pub max_pending: usize,
    /// How long a write may take that the socket pushes back: until all is written that was pending when it began
    /// (CORE-68).
    pub write_deadline: Duration,
    /// Whether a write that has got somewhere by then goes on, with as much time again; else the connection closes, as
    /// one without any progress always does (CORE-69).
    pub retries: bool,
}

/// A connection's output queue and the writing half of its stream.
pub struct Output {
    queue: Locked,
    stream: ByteStream,
    env: Env,
    log: Arc<ConnectionLog>,
    shard: Arc<Shard>,
    watch: Option<Arc<dyn SlowWatch>>,
    limits: OutputLimits,
}

struct Locked(Mutex<Queue>);

impl Shared for Locked {
    fn with<R>(&self, work: impl FnOnce(&mut Queue) -> R) -> R {
        work(&mut self.0.lock())
    }
}

impl Output {
    /// The output of `stream`, whose session lives on `shard` and logs to `log`. `watch` hears when the peer does not
    /// keep up.
    pub fn new(
        stream: ByteStream,
        env: Env,
        log: Arc<ConnectionLog>,
        shard: Arc<Shard>,
        watch: Option<Arc<dyn SlowWatch>>,
        limits: OutputLimits,
    ) -> Arc<Self> {
        Arc::new(Self {
            queue: Locked(Mutex::default()),
            stream,
            env,
            log,
            shard,
            watch,
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
        } else if before > self.congestion() {
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
        self.note_slow();
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
            FlushEnd::Blocked(written) => {
                let output = self.clone();
                self.env
                    .spawn_on(&self.shard, "writer", async move { output.drain(written).await });
            }
        }
    }

    /// The writer task: holds the place until the socket has taken everything. `written` went out in the flush that was
    /// pushed back.
    async fn drain(self: Arc<Self>, written: usize) {
        let guard = HolderGuard(&self);
        let mut attempt = self.attempt(written);
        let mut is_slow = false;
        let end = loop {
            let left = attempt.until.saturating_duration_since(self.env.now());
            match self.env.timeout(left, writable(self.stream.as_ref())).await {
                Some(Ok(())) => {
                    let end = self
                        .shard
                        .batch(|scratch| resume(&self.queue, scratch.turn.pool(), |parts| self.write(parts)));
                    let is_over = match end {
                        FlushEnd::Blocked(written) => {
                            attempt.written += written;
                            attempt.written >= attempt.bytes
                        }
                        FlushEnd::Done => true,
                        FlushEnd::Shut => false,
                        FlushEnd::Failed(_) => break end,
                    };
                    if is_over && std::mem::take(&mut is_slow) {
                        self.report_recovery(&attempt);
                    }
                    if !matches!(end, FlushEnd::Blocked(_)) {
                        break end;
                    }
                    if is_over {
                        attempt = self.attempt(0);
                    }
                }
                Some(Err(error)) => {
                    self.queue.with(|queue| queue.fail(CloseReason::WriteError));
                    break FlushEnd::Failed(error);
                }
                None => {
                    self.report_missed_deadline(&attempt, is_slow);
                    if !self.limits.retries || attempt.written == 0 {
                        self.queue
                            .with(|queue| queue.fail(CloseReason::SlowConsumerWriteDeadline));
                        break FlushEnd::Shut;
                    }
                    is_slow = true;
                    attempt = self.attempt(0);
                }
            }
        };
        guard.disarm();
        self.conclude(end);
    }

    /// The write that is due now, of which `written` bytes are out already.
    fn attempt(&self, written: usize) -> Attempt {
        let start = self.env.now();
        Attempt {
            start,
            until: start + self.limits.write_deadline,
            bytes: written + self.pending(),
            written,
        }
    }

    /// Counts a peer that does not keep up; false when nothing is to be said of it.
    fn note_slow(&self) -> bool {
        self.watch.as_ref().is_none_or(|watch| watch.note_slow())
    }

    fn report_missed_deadline(&self, attempt: &Attempt, is_slow: bool) {
        if !self.note_slow() {
            return;
        }
        let state = if is_slow { "State" } else { "Detected" };
        let deadline = i64::try_from(self.limits.write_deadline.as_nanos()).unwrap_or(i64::MAX);
        self.log.notice(format_args!(
            "Slow Consumer {state}: WriteDeadline of {} exceeded with {} chunks of {} total bytes.",
            print_duration(deadline),
            attempt.chunks(),
            attempt.bytes,
        ));
    }

    fn report_recovery(&self, attempt: &Attempt) {
        self.log.notice(format_args!(
            "Slow Consumer Recovered: Flush took {:.3}s with {} chunks of {} total bytes.",
            (self.env.now() - attempt.start).as_secs_f64(),
            attempt.chunks(),
            attempt.bytes,
        ));
    }
}

/// A write as its deadline sees it: what was pending when it began, until all of that is written. What is appended
/// meanwhile belongs to the next.
struct Attempt {
    start: Instant,
    until: Instant,
    bytes: usize,
    written: usize,
}

impl Attempt {
    /// In how many chunks the bytes wait, at least.
    fn chunks(&self) -> usize {
        self.bytes.div_ceil(64 * 1024)
    }
}

impl Flush for Output {
    fn flush(self: Arc<Self>, pool: &mut ChunkPool) {
        self.flush_with(pool);
    }

    fn is_congested(&self) -> bool {
        self.pending() > self.congestion() && self.close_reason().is_none()
    }

    fn note_stall(&self) {
        if let Some(watch) = &self.watch {
            watch.note_stall();
        }
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
            // What was pending has gone with it: there is nothing to go back to.
            self.mark = self.queue.mark();
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
