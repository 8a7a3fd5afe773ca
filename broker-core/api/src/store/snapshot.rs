//! A stream's messages in parts, for backups and replicas.

use super::{StoredMessage, StreamState};

/// Where a snapshot stands. Begin with [`SnapshotCursor::of`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SnapshotCursor {
    /// The next sequence to take.
    pub next: u64,
    /// The last sequence of the snapshot.
    pub last: u64,
}

impl SnapshotCursor {
    /// The start of a snapshot of everything that a stream holds now; later messages are not in it.
    pub fn of(state: &StreamState) -> Self {
        Self {
            next: state.first,
            last: state.last,
        }
    }
}

/// A part of a snapshot, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SnapshotChunk {
    /// The messages, by rising sequence. Sequences between them hold nothing.
    pub messages: Vec<StoredMessage>,
    /// The last sequence that this part tells about.
    pub through: u64,
    /// Where the next part begins. `None`: this was the last.
    pub next: Option<SnapshotCursor>,
}
