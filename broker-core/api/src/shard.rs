//! A shard: what the sessions of one thread share, and the turn at whose end outputs are flushed.
//!
//! Sessions read in turns. A read batch appends to the outputs of its receivers and notes each once in the
//! shard's [`Turn`]; after the other sessions that are ready have read too, the turn is flushed: one system call
//! per receiver, however many messages and publishers there were.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::task::Poll;

use parking_lot::Mutex;

/// Bytes that a turn reads at once from a session that is alone in it: the more a turn carries, the fewer system calls
/// and wake-ups of receivers. Publish to one subscriber, 128 B, µs per message: 0.45 with 4 KiB, 0.15 with 64 KiB,
/// 0.11 with 256 KiB, 0.09 with 512 KiB.
const READ_BUFFER_BYTES: usize = 512 * 1024;

/// Bytes that every session of a turn may read, whatever the others have read, so that many busy sessions share a
/// shard in short turns.
const FAIR_READ_BYTES: usize = 64 * 1024;

/// Appended bytes after which a turn flushes early, so that a wide fan-out does not pile up in memory.
const TURN_BYTES: usize = 4 * 1024 * 1024;

/// Outputs that a publisher waits for at most: it waits for all of them together.
const MOST_CONGESTED: usize = 256;

/// Sizes of pooled chunks: most outputs of a turn need one small one, those with a backlog large ones.
const SMALL_CHUNK_BYTES: usize = 4 * 1024;
const LARGE_CHUNK_BYTES: usize = 64 * 1024;

/// Chunks of each size that a pool keeps: as many large ones as a turn may fill.
const POOLED_CHUNKS: usize = TURN_BYTES / LARGE_CHUNK_BYTES;

/// An output that waits for the end of the turn.
pub trait Flush: Send + Sync + 'static {
    /// Writes what was appended, as far as that does not wait; emptied chunks go to `pool`. Must not publish, and
    /// must not enter a shard.
    fn flush(self: Arc<Self>, pool: &mut ChunkPool);

    /// Whether so much is pending that its publishers should slow down (CORE-71).
    fn is_congested(&self) -> bool;

    /// Counts that a publisher waits for it.
    fn note_stall(&self);
}

/// Emptied chunks of one shard, for the next outputs. Owned by the turn, so taking one needs no lock.
#[derive(Default)]
pub struct ChunkPool {
    small: Vec<Vec<u8>>,
    large: Vec<Vec<u8>>,
}

impl ChunkPool {
    /// An empty chunk of 4 KiB, or of 64 KiB for an output that already has a backlog.
    pub fn take(&mut self, has_backlog: bool) -> Vec<u8> {
        let (pool, size) = if has_backlog {
            (&mut self.large, LARGE_CHUNK_BYTES)
        } else {
            (&mut self.small, SMALL_CHUNK_BYTES)
        };
        pool.pop().unwrap_or_else(|| Vec::with_capacity(size))
    }

    /// Takes a chunk back; one too many, or of another size, is freed.
    pub fn give(&mut self, mut chunk: Vec<u8>) {
        let pool = match chunk.capacity() {
            SMALL_CHUNK_BYTES => &mut self.small,
            LARGE_CHUNK_BYTES => &mut self.large,
            _ => return,
        };
        if pool.len() < POOLED_CHUNKS {
            chunk.clear();
            pool.push(chunk);
        }
    }
}

/// Outputs touched since the last flush, each once.
#[derive(Default)]
pub struct Turn {
    dirty: Vec<Arc<dyn Flush>>,
    congested: Vec<Arc<dyn Flush>>,
    skips_congested: bool,
    pool: ChunkPool,
    appended: usize,
    read: usize,
    panics: u64,
}

impl Turn {
    /// Notes an output for the flush. Callers keep a flag in the output, so that each is noted once.
    pub fn touch(&mut self, output: Arc<dyn Flush>) {
        self.dirty.push(output);
    }

    /// Notes an output that its publishers should wait for, unless there are many already.
    pub fn note_congestion(&mut self, output: Arc<dyn Flush>) {
        if self.congested.len() < MOST_CONGESTED {
            self.congested.push(output);
        }
    }

    /// The outputs noted since the last call, each once, for the publisher to wait for. Allocates nothing when there are
    /// none. A publisher that waits takes them before it lets others read.
    pub fn take_congested(&mut self) -> Vec<Arc<dyn Flush>> {
        let mut congested = std::mem::take(&mut self.congested);
        congested.sort_unstable_by_key(|output| Arc::as_ptr(output).addr());
        congested.dedup_by(|a, b| Arc::ptr_eq(a, b));
        congested
    }

    /// Whether receivers that are far behind get nothing more, because their publisher is not to wait for them
    /// (CORE-71). Set by a publisher for the time of its batch.
    pub fn set_skips_congested(&mut self, skips: bool) {
        self.skips_congested = skips;
    }

    /// See [`Turn::set_skips_congested`]; what publishes on its own account has not asked for it.
    pub fn skips_congested(&self) -> bool {
        self.skips_congested
    }

    /// Chunks for appending.
    pub fn pool(&mut self) -> &mut ChunkPool {
        &mut self.pool
    }

    /// Counts bytes appended to outputs, for [`Turn::relieve`].
    pub fn appended(&mut self, bytes: usize) {
        self.appended = self.appended.saturating_add(bytes);
    }

    /// Counts bytes read in this turn, for [`Scratch::room`].
    pub fn note_read(&mut self, bytes: usize) {
        self.read = self.read.saturating_add(bytes);
    }

    /// Flushes early when much has been appended. Called between receivers.
    pub fn relieve(&mut self) {
        if self.appended >= TURN_BYTES {
            self.flush();
        }
    }

    /// Flushes every noted output. One that panics does not keep the others from their bytes; its own guard
    /// closes it.
    pub fn flush(&mut self) {
        let mut dirty = std::mem::take(&mut self.dirty);
        for output in dirty.drain(..) {
            if catch_unwind(AssertUnwindSafe(|| output.flush(&mut self.pool))).is_err() {
                self.panics += 1;
            }
        }
        // The emptied list comes back, so that a steady state allocates nothing.
        if self.dirty.is_empty() {
            self.dirty = dirty;
        }
        self.appended = 0;
        self.read = 0;
    }

    /// Panics caught while flushing, since the last call.
    pub fn take_panics(&mut self) -> u64 {
        std::mem::take(&mut self.panics)
    }
}

/// What a read batch works with: the shard's read buffer and its turn.
pub struct Scratch {
    /// Where every session of the shard reads to. Holds nothing between batches.
    pub buffer: Box<[u8]>,
    /// The turn under way.
    pub turn: Turn,
}

impl Scratch {
    /// How many bytes the next session may read: all of the buffer if it is alone in its turn, else a fair part.
    pub fn room(&self) -> usize {
        self.buffer
            .len()
            .saturating_sub(self.turn.read)
            .max(FAIR_READ_BYTES)
    }
}

/// One thread's share of the broker.
pub struct Shard {
    id: usize,
    sessions: AtomicUsize,
    scratch: Mutex<Scratch>,
    /// Outputs that panicked while they were flushed.
    panics: AtomicU64,
}

impl Shard {
    /// The shard numbered `id`.
    pub fn new(id: usize) -> Self {
        let scratch = Scratch {
            buffer: vec![0; READ_BUFFER_BYTES].into(),
            turn: Turn::default(),
        };
        Self {
            id,
            sessions: AtomicUsize::new(0),
            scratch: Mutex::new(scratch),
            panics: AtomicU64::new(0),
        }
    }

    /// Its number.
    pub fn id(&self) -> usize {
        self.id
    }

    /// Sessions that live here.
    pub fn sessions(&self) -> usize {
        self.sessions.load(Relaxed)
    }

    /// Outputs that panicked while they were flushed, since start.
    pub fn panics(&self) -> u64 {
        self.panics.load(Relaxed)
    }

    /// Flushes the turn under way.
    fn flush(&self) {
        let panics = {
            let mut scratch = self.scratch.lock();
            scratch.turn.flush();
            scratch.turn.take_panics()
        };
        self.panics.fetch_add(panics, Relaxed);
    }

    /// Counts a session until the guard is dropped.
    pub fn enter(self: &Arc<Self>) -> Residence {
        self.sessions.fetch_add(1, Relaxed);
        Residence(self.clone())
    }

    /// Runs one batch. Only tasks of this shard call it, so the lock never waits; it must not be nested, and
    /// nothing inside may await.
    pub fn batch<R>(&self, work: impl FnOnce(&mut Scratch) -> R) -> R {
        // Declared before the lock's guard, so it runs after it: what a panicking batch appended still goes out.
        let _on_unwind = FlushOnUnwind(self);
        work(&mut self.scratch.lock())
    }

    /// Lets the other ready sessions of the shard have their batch, then flushes the turn. The first to come
    /// flushes for all.
    pub async fn finish_turn(&self) {
        let guard = FlushGuard(self);
        yield_once().await;
        drop(guard);
    }
}

/// Flushes even if the session is dropped or unwinds while it waits.
struct FlushGuard<'a>(&'a Shard);

impl Drop for FlushGuard<'_> {
    fn drop(&mut self) {
        self.0.flush();
    }
}

/// Flushes when a batch panics; healthy receivers must not wait for its bytes.
struct FlushOnUnwind<'a>(&'a Shard);

impl Drop for FlushOnUnwind<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.flush();
        }
    }
}

/// A session's place in a shard's count.
pub struct Residence(Arc<Shard>);

impl Drop for Residence {
    fn drop(&mut self) {
        self.0.sessions.fetch_sub(1, Relaxed);
    }
}

/// Goes to the end of the runtime's queue once. Unlike the runtime's own yield this does not poll the driver.
fn yield_once() -> impl Future<Output = ()> {
    let mut yielded = false;
    std::future::poll_fn(move |cx| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
}
