//! What an `index.db` says, held against the blocks.

use std::io;
use std::path::PathBuf;

use dunlin_api::{Disk, StreamState};

use crate::index::{BlockEntry, Index, IndexEnd};
use crate::recovery::Recovered;
use crate::small::{Sealing, checked, read_if_there};

use super::asset::Asset;

/// An `index.db` that is good in itself, without its subjects.
#[derive(Clone, Debug)]
pub(super) struct IndexSays {
    pub(super) state: StreamState,
    pub(super) blocks: Vec<BlockEntry>,
    pub(super) end: IndexEnd,
}

impl IndexSays {
    /// Whether nothing was stored since it was written: the last block ends as it says.
    pub(super) fn is_current(&self, found: &Recovered) -> bool {
        let last = found.blocks.last();
        last.is_some_and(|block| block.index == self.end.block && block.form.last_sum == self.end.checksum)
    }
}

/// What became of reading an `index.db`.
pub(super) enum IndexRead {
    Absent,
    /// It is of no use, and why. Whoever opens the stream reads all blocks instead.
    Bad(String),
    Good(IndexSays),
}

impl Asset {
    pub(super) fn index_path(&self) -> PathBuf {
        self.directory().messages().index()
    }

    /// Reads `index.db`, and holds its parts against each other.
    pub(super) fn read_index(&self, disk: &dyn Disk, sealing: &Sealing) -> io::Result<IndexRead> {
        let Some(file) = read_if_there(disk, &self.index_path())? else {
            return Ok(IndexRead::Absent);
        };
        let Some(body) = checked(&self.listing.name, &file) else {
            return Ok(IndexRead::Bad("its checksum does not match".to_owned()));
        };
        let plain = match sealing.content(body) {
            Ok(plain) => plain,
            Err(error) => return Ok(IndexRead::Bad(error.to_string())),
        };
        let index = match Index::decode(&plain).and_then(|index| index.check().map(|()| index)) {
            Ok(index) => index,
            Err(error) => return Ok(IndexRead::Bad(error.to_string())),
        };
        Ok(IndexRead::Good(IndexSays {
            state: index.state,
            blocks: index.blocks,
            end: index.end,
        }))
    }
}
