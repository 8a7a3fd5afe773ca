//! What goes wrong, as text for an operator.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

/// Why a batch did not become durable. The batch may or may not be there after a crash, unless the error says so.
#[derive(Clone, Debug, thiserror::Error)]
pub enum JournalError {
    /// No segment is free and the disk has no room for another. Nothing of the batch was kept; it goes on when there is space.
    #[error("no space for the journal in {}: free some, streams go on by themselves", .path.display())]
    Full {
        /// The journal's directory.
        path: PathBuf,
    },
    /// A write or a sync of the stream's own files failed. The stream must be opened again.
    #[error("{stream}: {error}")]
    Target {
        /// The stream.
        stream: String,
        /// What the disk says.
        error: Arc<io::Error>,
    },
    /// A write or a sync of the journal failed.
    #[error("{}: {error}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the disk says.
        error: Arc<io::Error>,
    },
    /// A target of the batch failed earlier and was not opened anew.
    #[error("{stream}: the disk failed earlier; the stream must be opened again")]
    Failed {
        /// The stream.
        stream: String,
    },
    /// An item is larger than a frame can be.
    #[error("{size} bytes do not fit into one frame of the journal")]
    TooLarge {
        /// Bytes of the batch.
        size: usize,
    },
    /// The journal has been closed.
    #[error("the journal is closed")]
    Closed,
}

/// Why a journal does not open. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process works here.
    #[error("{} is in use by another process: stop it, or choose another store directory", .path.display())]
    InUse {
        /// The journal's directory.
        path: PathBuf,
    },
    /// A later release wrote it.
    #[error(
        "{} was written by a newer Dunlin (journal format {version}, this one knows {known}): start and stop that one once, which empties it",
        .path.display()
    )]
    Newer {
        /// The segment.
        path: PathBuf,
        /// Its format.
        version: u32,
        /// The newest that is known.
        known: u32,
    },
    /// The disk failed, or the store could not apply an item.
    #[error("{}: {error}", .path.display())]
    Io {
        /// What was being read or written.
        path: PathBuf,
        /// What the disk says.
        error: io::Error,
    },
}
