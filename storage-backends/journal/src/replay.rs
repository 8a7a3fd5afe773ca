//! What a store does with the items that a crash left in the journal.

use std::io;

use dunlin_api::DiskFile;

use crate::item::{BlockEnd, Incarnation};

/// An item as it is found after a crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found<'a> {
    /// Bytes of a block.
    Block {
        /// Number of the block.
        block: u32,
        /// Where in the file the bytes belong.
        offset: u64,
        /// The block as it was before.
        before: BlockEnd,
        /// The bytes, as in the file.
        bytes: &'a [u8],
    },
    /// The whole content of a small file.
    File {
        /// Its name.
        name: &'a str,
        /// Its content.
        bytes: &'a [u8],
    },
    /// A change of a consumer's state. Those of one consumer come in order, and may lead to a state that it has already.
    Consumer {
        /// Its name.
        name: &'a str,
        /// The change.
        bytes: &'a [u8],
    },
    /// An entry of a raft log.
    Raft {
        /// The entry.
        bytes: &'a [u8],
    },
}

/// What became of an item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Written, not yet synced.
    Applied,
    /// It was there already.
    Present,
    /// The stream, or this life of it, is gone.
    Gone,
    /// What is on disk is not what the item was written for: somebody else wrote here since. Nothing was changed. What
    /// follows for the same stream is refused without a question.
    Refused(String),
}

/// The store's half of recovery. Calls come in the order in which the items were submitted, without those that were forgotten.
///
/// Replay is conditional: an item may only be applied where the block is as it was before the item, or to bytes that are equal already.
/// [`replay_block`] is that rule for a block.
pub trait Replay {
    /// Applies one item or says why not.
    ///
    /// # Errors
    /// What the disk says. It ends the replay, and the journal stays as it is.
    fn apply(&mut self, stream: &Incarnation, item: Found<'_>) -> io::Result<Verdict>;

    /// Syncs all that was applied, names included. Only then does the journal let go of its copies.
    ///
    /// # Errors
    /// What the disk says; the journal stays as it is.
    fn finish(&mut self) -> io::Result<()>;
}

/// The rule for a block's bytes, on the block's file as it lies on disk.
///
/// What an unsynced write left behind (a file that is too long, with holes, with records of which some are there) must not stop replay, and what
/// another server appended must. So an item applies where the record that ends at `before.length` has `before.checksum`, and where no whole record stands
/// in its place that is not its own.
///
/// `checksum` is the last checksum in the file's first `before.length` bytes: the eight bytes before that, in a block without encryption and
/// compression. `record` gives the length of the whole, valid record that the bytes at an offset of the file begin with, if they do. Cost: the item's bytes, and the
/// file's rest where they are not there already.
///
/// # Errors
/// What the disk says.
pub fn replay_block(
    file: &dyn DiskFile,
    checksum: Option<[u8; 8]>,
    item: Found<'_>,
    record: &dyn Fn(u64, &[u8]) -> Option<usize>,
) -> io::Result<Verdict> {
    let Found::Block {
        offset,
        before,
        bytes,
        ..
    } = item
    else {
        return Ok(Verdict::Refused("not a block's bytes".to_owned()));
    };
    let length = file.len()?;
    if length < before.length {
        let text = format!("the file has {length} bytes, and had {}", before.length);
        return Ok(Verdict::Refused(text));
    }
    if before.length > 0 && checksum != Some(before.checksum) {
        return Ok(Verdict::Refused("its last record is another".to_owned()));
    }
    let mut there = vec![0; bytes.len()];
    let count = read_full(file, &mut there, offset)?;
    there.truncate(count);
    if there == bytes {
        return Ok(Verdict::Present);
    }
    // Bytes within the old length are an overwrite of our own, which another server would not have undone.
    if offset >= before.length && is_another(file, offset, length, bytes, record)? {
        return Ok(Verdict::Refused("another record is in its place".to_owned()));
    }
    file.write_at(bytes, offset)?;
    Ok(Verdict::Applied)
}

/// Whether the first whole record from `offset` on that is not the item's own is a record all the same.
fn is_another(
    file: &dyn DiskFile,
    offset: u64,
    length: u64,
    bytes: &[u8],
    record: &dyn Fn(u64, &[u8]) -> Option<usize>,
) -> io::Result<bool> {
    // A record of somebody else may be longer than the item.
    let rest = usize::try_from(length.saturating_sub(offset)).map_err(io::Error::other)?;
    let mut there = vec![0; rest];
    let count = read_full(file, &mut there, offset)?;
    there.truncate(count);
    let mut at = 0;
    while let Some(tail) = there.get(at..).filter(|_| at < bytes.len()) {
        let Some(whole) = record(offset + at as u64, tail).filter(|whole| *whole > 0) else {
            return Ok(false);
        };
        let end = at.saturating_add(whole);
        if bytes.get(at..end).is_none() || bytes.get(at..end) != there.get(at..end) {
            return Ok(true);
        }
        at = end;
    }
    Ok(false)
}

/// Reads until `buffer` is full or the file ends.
pub(crate) fn read_full(file: &dyn DiskFile, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, offset + filled as u64)? {
            0 => break,
            count => filled += count,
        }
    }
    Ok(filled)
}
