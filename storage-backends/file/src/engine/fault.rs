//! Why a read of a block does not answer.

use std::io;

use dunlin_api::StoreError;

/// Whether a read may wait for the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wait {
    /// Only what is in memory, ours or the system's.
    No,
    /// However long it takes.
    Yes,
}

/// Why not.
#[derive(Debug)]
pub(super) enum Fault {
    /// It must be read from the disk, and that was not allowed.
    WouldWait,
    /// The file ends before.
    Short,
    /// What is there is no record, or not the one that was written.
    Damaged(String),
    /// The disk says no.
    Io(io::Error),
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl Fault {
    /// For the caller of the store, who asked for a sequence.
    pub(super) fn of(self, sequence: u64) -> StoreError {
        let detail = match self {
            Self::Io(error) => return StoreError::Io(error.to_string()),
            Self::WouldWait => return StoreError::Io("the read was not allowed to wait".to_owned()),
            Self::Short => "its block's file is too short".to_owned(),
            Self::Damaged(detail) => detail,
        };
        StoreError::Damaged { sequence, detail }
    }
}
