//! What a writer hands in: items, the batch that joins them, and the target that each of them is bound for.

use std::fmt;
use std::io;
use std::sync::Arc;

use crate::JournalError;

/// One life of one stream, in bytes of its owner's choice (a path and the time of creation, say): a stream that is deleted
/// and made again under the same name gets another. Up to 64 KiB; it stands in every item, so short is good.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Incarnation(Arc<[u8]>);

impl Incarnation {
    /// Names one life of a stream.
    pub fn new(name: impl Into<Arc<[u8]>>) -> Self {
        Self(name.into())
    }

    /// The name.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0.escape_ascii())
    }
}

/// Where a block ended before an item: replay applies the item only to a block that agrees.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BlockEnd {
    /// Length of the file in bytes.
    pub length: u64,
    /// Checksum of the last record, zeros in an empty block.
    pub checksum: [u8; 8],
}

/// Bytes that the writer and the journal share, so that neither copies them.
pub type SharedBytes = Arc<Vec<u8>>;

/// One thing that must survive power loss.
#[derive(Clone, Debug)]
pub enum Item {
    /// Bytes of a block's file, as they lie there (encrypted, where the block is).
    Block {
        /// The stream.
        stream: Incarnation,
        /// Number of the block.
        block: u32,
        /// Where in the file the bytes belong.
        offset: u64,
        /// The block as it was before.
        before: BlockEnd,
        /// The bytes.
        bytes: SharedBytes,
        /// The open file.
        target: Arc<dyn Target>,
    },
    /// A small file as a whole, replacing what it held. [`Target::write`] gets all of it at offset 0.
    File {
        /// The stream.
        stream: Incarnation,
        /// Its name in the stream's directory.
        name: Arc<str>,
        /// Its content.
        bytes: SharedBytes,
        /// What replaces the file.
        target: Arc<dyn Target>,
    },
    /// A change of a consumer's state, in its owner's encoding. The journal never writes it anywhere: at a checkpoint
    /// [`Target::sync`] makes the consumer's whole state durable.
    Consumer {
        /// The stream.
        stream: Incarnation,
        /// The consumer.
        name: Arc<str>,
        /// The change.
        bytes: SharedBytes,
        /// The consumer's state.
        target: Arc<dyn Target>,
    },
    /// An entry of a raft log, carried as it is. As with a consumer, the target's `sync` ends the journal's duty.
    Raft {
        /// The group, as an incarnation of its own.
        group: Incarnation,
        /// The entry.
        bytes: SharedBytes,
        /// The log.
        target: Arc<dyn Target>,
    },
    /// Everything handed in before for `scope` is void, and replay must not bring it back. Whoever is about to erase, compact, truncate,
    /// purge or delete waits for this item's batch first.
    Forget {
        /// The stream.
        stream: Incarnation,
        /// What of it.
        scope: Scope,
        /// What becomes of bytes that lie only in the journal.
        rest: Rest,
    },
}

/// What a [`Item::Forget`] covers.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// Everything of the stream: blocks, files and consumers.
    Stream,
    /// Every block of the stream.
    Blocks,
    /// One block.
    Block(u32),
    /// One small file.
    File(Arc<str>),
    /// One consumer.
    Consumer(Arc<str>),
}

/// What becomes of that part of a forgotten scope that has not reached its targets yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rest {
    /// It is dropped: the target is going away as a whole. Nothing is written to it after `done`.
    Drop,
    /// It is written and synced first: the target stays, and a part of it is going to change.
    Settle,
}

/// Items that become durable together: after a crash all of them are there or, when `done` had not been called, perhaps none. A batch
/// that is large enough to be written to its blocks directly is whole in this way within each block only.
pub struct Batch {
    /// The items, in order.
    pub items: Vec<Item>,
    /// What `done` waits for.
    pub promise: Promise,
    /// Called once, from the journal's thread, in the order in which batches were submitted. It must be short: hand a note to whoever
    /// waits.
    pub done: Done,
}

/// What is called when a batch is through.
pub type Done = Box<dyn FnOnce(Result<(), JournalError>) + Send>;

/// What a batch's `done` means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Promise {
    /// The items survive power loss.
    #[default]
    Durable,
    /// The items have been written to their targets, which are synced within the journal's `interval`: the lazy sync of
    /// the reference, for `sync_interval` and `persist_mode: async`. Nothing goes through the journal. One stream must not mix the two, other
    /// than for files: replay would find blocks that it does not expect.
    Written,
}

/// Where items end up: an open block file, a small file, a consumer's state. All calls come from the journal's threads, may wait
/// for the disk, and never overlap with another `write` to the same target; a `sync` may overlap with a `write`.
///
/// Until [`Target::write`] has been called, readers must take the bytes from memory.
pub trait Target: Send + Sync + 'static {
    /// Writes, without waiting for the medium.
    ///
    /// # Errors
    /// What the disk says. It may have written a part; the same bytes come again.
    fn write(&self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Returns when everything that was written, and the name of the file, survive power loss; for a consumer or a raft log,
    /// when the state that every submitted item led to does.
    ///
    /// # Errors
    /// What the disk says. The pages are not trusted again: the target gets [`Target::failed`], and no other call until it is opened anew.
    fn sync(&self) -> io::Result<()>;

    /// The disk failed this target. What was promised is still in the journal, which keeps it: close the stream and open it
    /// again from disk with [`Journal::reopen`](crate::Journal::reopen). Short, like [`Batch::done`].
    fn failed(&self, error: &JournalError);
}

impl fmt::Debug for dyn Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Target")
    }
}

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch")
            .field("items", &self.items)
            .field("promise", &self.promise)
            .finish_non_exhaustive()
    }
}

impl Item {
    /// The stream or group that it belongs to.
    pub fn incarnation(&self) -> &Incarnation {
        match self {
            Self::Block { stream, .. }
            | Self::File { stream, .. }
            | Self::Consumer { stream, .. }
            | Self::Forget { stream, .. } => stream,
            Self::Raft { group, .. } => group,
        }
    }

    /// Length of what it carries.
    pub fn len(&self) -> usize {
        match self {
            Self::Block { bytes, .. }
            | Self::File { bytes, .. }
            | Self::Consumer { bytes, .. }
            | Self::Raft { bytes, .. } => bytes.len(),
            Self::Forget { .. } => 0,
        }
    }

    /// Whether it carries nothing.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
