//! The journal: one write-ahead log per disk, shared by every stream.
//!
//! Syncing initialised bytes of one file costs less than half of appending to a file, and one sync serves every stream that
//! waits. So what must be durable goes to the journal first: writers [`submit`](Journal::submit) batches and never wait, the journal's thread takes all that queued
//! during the last sync as one frame, syncs once, and calls each batch's `done`. It then writes the bytes to their [`Target`]s without sync, and syncs those at
//! checkpoints, spread over time, after which the journal's copies are void and their segment is used again. Large batches are written and synced
//! in their targets at once: there the second copy costs more than it saves.
//!
//! The journal lies beside the directory of the reference's layout, never in it, and a clean stop leaves it empty: that directory is then
//! complete by itself. After a crash [`Journal::open`] gives what was not checkpointed to the store's [`Replay`], conditionally: where another
//! server wrote in the meantime nothing is overwritten, and the segment is set aside and reported.
//!
//! Rules
//! - `done(Ok)` means that the batch survives power loss ([`Promise::Durable`]). Batches become durable in the order of their submission.
//! - A [`Item::Forget`] is durable before whoever waits for it destroys anything, so nothing comes back.
//! - A failed write or sync is never retried as if the pages were clean: the batches that wait fail, a new segment is begun, the old one is kept for what it holds.
//! - One stream's failure is its own: the others go on.
//! - One process per directory. A newer format is refused.
//! - Disk, time and threads are reached through `Env` only. [`Writer::turn`] does one step, so that a simulation can do it by hand.

mod checkpoint;
mod dirty;
mod erase;
mod error;
mod frame;
mod group;
mod item;
mod recover;
mod replay;
mod segment;
mod segments;
#[cfg(test)]
mod testing;
mod writer;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

pub use error::{JournalError, OpenError};
pub use item::{Batch, BlockEnd, Done, Incarnation, Item, Promise, Rest, Scope, SharedBytes, Target};
pub use replay::{Found, Replay, Verdict, replay_block};
pub use writer::{Next, Writer};

use dunlin_api::Env;
use parking_lot::Mutex;
use tokio::sync::Notify;

/// How a journal works.
#[derive(Clone, Debug)]
pub struct Options {
    /// The journal's own directory, beside `jetstream/`. Made if absent.
    pub directory: PathBuf,
    /// Length of a segment in bytes.
    pub segment_bytes: u64,
    /// How many segments may hold what is not checkpointed; beyond, writers wait for a checkpoint.
    pub max_segments: usize,
    /// Threads that sync targets at checkpoints.
    pub sync_threads: usize,
    /// Age at which bytes in the journal are checkpointed, though their segment is not full.
    pub checkpoint_after: Duration,
    /// Within how much time [`Promise::Written`] batches are synced. Zero: never by time, as `sync_interval: never` would.
    pub interval: Duration,
}

impl Options {
    /// Four segments of 64 MiB, eight threads, checkpoints after 5 seconds, and the reference's 2 minutes of `sync_interval`.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
            segment_bytes: 64 << 20,
            max_segments: 4,
            sync_threads: 8,
            checkpoint_after: Duration::from_secs(5),
            interval: Duration::from_secs(120),
        }
    }
}

/// What [`Journal::open`] found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    /// Items written to their place.
    pub applied: u64,
    /// Items that were in their place.
    pub present: u64,
    /// Items of streams that are gone.
    pub gone: u64,
    /// What was not applied; the segments are kept.
    pub set_aside: Vec<SetAside>,
}

/// A segment that replay could not use up, under the name that it was kept with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetAside {
    /// Where it is now.
    pub path: PathBuf,
    /// Why, one line for each stream or damaged place.
    pub reasons: Vec<String>,
}

/// The way to hand batches in. Clones share it.
#[derive(Clone)]
pub struct Journal {
    shared: Arc<Shared>,
}

/// What handles and the writer share.
struct Shared {
    queue: Mutex<Queue>,
    /// Rung when the queue is no longer empty.
    bell: Notify,
}

#[derive(Default)]
struct Queue {
    entries: Vec<Entry>,
    bytes: u64,
    /// No more batches are taken.
    closed: bool,
}

enum Entry {
    Batch(Batch),
    Erase(Done),
    Reopen {
        stream: Incarnation,
        replay: Box<dyn Replay + Send>,
        done: Done,
    },
    Close(Done),
}

impl Journal {
    /// Takes the directory for this process, gives what a crash left in it to `replay`, and begins an empty journal. Nothing happens to what is
    /// submitted until the [`Writer`] gets its turns: [`Writer::start`], or by hand.
    ///
    /// # Errors
    /// [`OpenError`]; nothing was changed, apart from what `replay` applied.
    pub fn open(
        env: &Env,
        options: Options,
        replay: &mut dyn Replay,
    ) -> Result<(Journal, Writer, Recovery), OpenError> {
        Writer::open(env, options, replay)
    }

    /// Hands a batch in and returns at once. Cost: a short lock, and waking the journal's thread where it sleeps.
    ///
    /// What was submitted stays in memory until it is durable, so whoever submits bounds how much it has on its way; [`Journal::queued_bytes`] helps.
    pub fn submit(&self, batch: Batch) {
        let bytes = batch.items.iter().map(|item| item.len() as u64).sum();
        self.push(Entry::Batch(batch), bytes);
    }

    /// Calls `done` when no file of the journal holds a copy of anything that was submitted before: every target is synced, then
    /// the journal's bytes are overwritten and synced. For secure erase: erase in the block first (after a [`Item::Forget`]), then this, then answer. Cost: a checkpoint, and writing
    /// as many bytes as went through the journal since the last time; others' batches go on meanwhile.
    pub fn erase(&self, done: Done) {
        self.push(Entry::Erase(done), 0);
    }

    /// Gives `replay` everything that the journal holds of one stream after a [`Target::failed`], and lets the stream go on: items may be submitted
    /// for it again, with new targets. `done` tells whether all was applied and synced.
    pub fn reopen(&self, stream: Incarnation, replay: Box<dyn Replay + Send>, done: Done) {
        let entry = Entry::Reopen { stream, replay, done };
        self.push(entry, 0);
    }

    /// Checkpoints everything, empties the journal and ends the writer. Batches submitted later fail with [`JournalError::Closed`].
    pub fn close(&self, done: Done) {
        self.push(Entry::Close(done), 0);
    }

    /// Bytes that were submitted and are not through.
    pub fn queued_bytes(&self) -> u64 {
        self.shared.queue.lock().bytes
    }

    fn push(&self, entry: Entry, bytes: u64) {
        let mut queue = self.shared.queue.lock();
        if queue.closed {
            drop(queue);
            entry.into_done()(Err(JournalError::Closed));
            return;
        }
        queue.closed = matches!(entry, Entry::Close(_));
        queue.bytes += bytes;
        let was_empty = queue.entries.is_empty();
        queue.entries.push(entry);
        drop(queue);
        if was_empty {
            self.shared.bell.notify_one();
        }
    }
}

impl Entry {
    fn into_done(self) -> Done {
        match self {
            Self::Batch(batch) => batch.done,
            Self::Erase(done) | Self::Close(done) | Self::Reopen { done, .. } => done,
        }
    }
}

impl std::fmt::Debug for Journal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Journal")
            .field("queued_bytes", &self.queued_bytes())
            .finish_non_exhaustive()
    }
}
