//! The side file: what a stream's blocks were when they were last known to be right.
//!
//! A record's checksum covers neither its lengths nor its neighbours (STORE-19). So the layout of the reference cannot show
//! that a subject ends elsewhere, that a block was cut at a record's end, or that it is an older copy of itself. This file,
//! which lies outside of the reference's directories, can: for each block it has the length, and for every 64 records a
//! hash of their lengths and checksums, which together cover all bytes. It is written at checkpoints and may be missing
//! or old: what it does not know, it says nothing about. A mismatch where all records verify is a warning, since
//! the other server may have been at work in between.
//!
//! File: `DSID`, version 1, stream, number of blocks, then each block: index, length, records, groups, and each group:
//! length and hash. Numbers are LEB128, hashes eight bytes little-endian. The whole is followed by a checksum with the
//! stream's key, as `index.db` is.

use std::ops::Range;

use highway::{HighwayHash, HighwayHasher};

use crate::cursor::{Cursor, put_text, put_uvarint};
use crate::record::{Record, SUM_LENGTH, checksum_key};
use crate::small::{checked, with_checksum};

/// Records of a group.
const GROUP: u64 = 64;
const MAGIC: &[u8; 4] = b"DSID";
const VERSION: u8 = 1;

/// Why a side file is of no use. It is then as if there were none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SideError {
    /// Not a side file, or damaged.
    #[error("side file: checksum did not match")]
    Checksum,
    /// One of a version that this program does not know.
    #[error("side file: unknown version {0}")]
    Version(u8),
    /// Its checksum is right, and its content is not.
    #[error("side file: malformed")]
    Malformed,
    /// That of another stream.
    #[error("side file: of another stream")]
    Stream,
}

/// What is known of the blocks of a stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SideFile {
    /// By rising index.
    pub blocks: Vec<SideBlock>,
}

/// What is known of one block.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SideBlock {
    /// Its number.
    pub index: u32,
    /// Its bytes in clear.
    pub length: u64,
    /// Its records.
    pub records: u64,
    groups: Vec<Group>,
}

/// Records that follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Group {
    length: u64,
    hash: u64,
}

/// A difference between a block and what was known of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SideFault {
    /// Records are missing at its end, and what is left looks whole.
    #[error("block {block}: has {found} bytes of records, and had {known}")]
    Shorter {
        /// The block's number.
        block: u32,
        /// Bytes of its records in clear.
        found: u64,
        /// What they were.
        known: u64,
    },
    /// Its records verify, and are not those that were there.
    #[error("block {block}: bytes {} to {} are not those that were written, though every record there verifies", range.start, range.end)]
    Changed {
        /// The block's number.
        block: u32,
        /// Which bytes of the block in clear.
        range: Range<u64>,
    },
}

/// Follows a block as it is written.
#[derive(Clone, Debug)]
pub struct SideWriter {
    index: u32,
    length: u64,
    records: u64,
    groups: Vec<Group>,
    open: OpenGroup,
}

#[derive(Clone, Debug)]
struct OpenGroup {
    hasher: HighwayHasher,
    length: u64,
    /// Whether a part of it is no record.
    is_damaged: bool,
}

impl OpenGroup {
    fn new(block: u32) -> Self {
        // Only damage is to be found, and nobody who can write here could not write the file too.
        let key = checksum_key(&format!("side-{block}"));
        Self {
            hasher: HighwayHasher::new(key),
            length: 0,
            is_damaged: false,
        }
    }

    fn take(&mut self, record: &Record<'_>, sum: [u8; SUM_LENGTH]) {
        let lengths = [record.subject.len(), record.headers.len(), record.payload.len()];
        let mut bytes = [0; 32];
        let lengths = lengths.map(|length| (length as u64).to_le_bytes());
        for (room, word) in bytes.chunks_exact_mut(8).zip(lengths.iter().chain([&sum])) {
            room.copy_from_slice(word);
        }
        self.hasher.append(&bytes);
        self.length += record.length() as u64;
    }

    fn close(self) -> Group {
        Group {
            length: self.length,
            hash: self.hasher.finalize64(),
        }
    }
}

impl SideFile {
    /// What is known of a block.
    pub fn block(&self, index: u32) -> Option<&SideBlock> {
        let at = self
            .blocks
            .binary_search_by_key(&index, |block| block.index)
            .ok()?;
        self.blocks.get(at)
    }

    /// The file of a stream.
    pub fn encode(&self, stream: &str) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        out.push(VERSION);
        put_text(&mut out, stream.as_bytes());
        put_uvarint(&mut out, self.blocks.len() as u64);
        for block in &self.blocks {
            put_uvarint(&mut out, block.index.into());
            put_uvarint(&mut out, block.length);
            put_uvarint(&mut out, block.records);
            put_uvarint(&mut out, block.groups.len() as u64);
            for group in &block.groups {
                put_uvarint(&mut out, group.length);
                out.extend(group.hash.to_le_bytes());
            }
        }
        with_checksum(stream, out)
    }

    /// Reads the file of a stream. Takes no more memory than in proportion to the bytes.
    ///
    /// # Errors
    /// See [`SideError`].
    pub fn decode(stream: &str, bytes: &[u8]) -> Result<Self, SideError> {
        let body = checked(stream, bytes).ok_or(SideError::Checksum)?;
        let body = body.strip_prefix(MAGIC).ok_or(SideError::Checksum)?;
        let mut cursor = Cursor::new(body);
        match cursor.u8().ok_or(SideError::Malformed)? {
            VERSION => {}
            version => return Err(SideError::Version(version)),
        }
        let length = cursor.uvarint().ok_or(SideError::Malformed)?;
        if cursor.take(length) != Some(stream.as_bytes()) {
            return Err(SideError::Stream);
        }
        Self::blocks(&mut cursor).ok_or(SideError::Malformed)
    }

    fn blocks(cursor: &mut Cursor<'_>) -> Option<Self> {
        let mut blocks: Vec<SideBlock> = Vec::new();
        for _ in 0..cursor.uvarint()? {
            let block = SideBlock::read(cursor)?;
            if blocks.last().is_some_and(|last| last.index >= block.index) {
                return None;
            }
            blocks.push(block);
        }
        cursor.is_empty().then_some(Self { blocks })
    }
}

impl SideBlock {
    fn read(cursor: &mut Cursor<'_>) -> Option<Self> {
        let mut block = Self {
            index: u32::try_from(cursor.uvarint()?).ok()?,
            length: cursor.uvarint()?,
            records: cursor.uvarint()?,
            groups: Vec::new(),
        };
        let mut length = 0_u64;
        for _ in 0..cursor.uvarint()? {
            let group = Group {
                length: cursor.uvarint().filter(|length| *length > 0)?,
                hash: cursor.array().map(u64::from_le_bytes)?,
            };
            length = length.checked_add(group.length)?;
            block.groups.push(group);
        }
        let groups = block.records.div_ceil(GROUP);
        (length == block.length && groups == block.groups.len() as u64).then_some(block)
    }
}

impl SideWriter {
    /// Goes on with a block that is known. Its records must be given again from the offset on that comes with it: those
    /// of a group that is not full.
    pub fn resume(block: &SideBlock) -> (Self, u64) {
        let full = block.records / GROUP;
        let groups: Vec<Group> = block.groups.iter().take(full as usize).copied().collect();
        let length = groups.iter().map(|group| group.length).sum();
        let writer = Self {
            length,
            records: full * GROUP,
            groups,
            ..Self::new(block.index)
        };
        (writer, length)
    }

    /// Of a block without records.
    pub fn new(index: u32) -> Self {
        Self {
            index,
            length: 0,
            records: 0,
            groups: Vec::new(),
            open: OpenGroup::new(index),
        }
    }

    /// Takes the next record, with its checksum. About 15 ns.
    pub fn record(&mut self, record: &Record<'_>, sum: [u8; SUM_LENGTH]) {
        self.open.take(record, sum);
        self.length += record.length() as u64;
        self.records += 1;
        if self.records.is_multiple_of(GROUP) {
            let group = std::mem::replace(&mut self.open, OpenGroup::new(self.index));
            self.groups.push(group.close());
        }
    }

    /// The block as it is now.
    pub fn block(&self) -> SideBlock {
        let mut groups = self.groups.clone();
        if self.open.length > 0 {
            groups.push(self.open.clone().close());
        }
        SideBlock {
            index: self.index,
            length: self.length,
            records: self.records,
            groups,
        }
    }

    /// Bytes of memory.
    pub fn memory_bytes(&self) -> usize {
        size_of::<Self>() + self.groups.capacity() * size_of::<Group>()
    }
}

/// Holds a block against what was known of it, as its records are read.
#[derive(Clone, Debug)]
pub struct SideCheck<'a> {
    known: &'a SideBlock,
    /// The group that is being read, and where it ends.
    at: usize,
    end: u64,
    open: OpenGroup,
    found: u64,
    is_damaged: bool,
    faults: Vec<SideFault>,
}

impl<'a> SideCheck<'a> {
    /// Before the first record.
    pub fn new(known: &'a SideBlock) -> Self {
        Self {
            known,
            at: 0,
            end: known.groups.first().map_or(0, |group| group.length),
            open: OpenGroup::new(known.index),
            found: 0,
            is_damaged: false,
            faults: Vec::new(),
        }
    }

    /// Takes the record at an offset.
    pub fn record(&mut self, at: u64, record: &Record<'_>, sum: [u8; SUM_LENGTH]) {
        self.pass(at);
        self.open.take(record, sum);
        self.found = at + record.length() as u64;
    }

    /// Takes bytes that are no record: those who read them have told of them.
    pub fn damage(&mut self, range: Range<u64>) {
        self.pass(range.start);
        self.open.is_damaged = true;
        self.is_damaged = true;
        self.found = range.end;
        while range.end > self.end && self.at < self.known.groups.len() {
            self.pass(self.end);
            self.open.is_damaged = true;
        }
    }

    /// What is different, when the block is read. A block may have grown since.
    pub fn finish(mut self) -> Vec<SideFault> {
        self.pass(self.found);
        let known = self.known.length;
        if self.found < known && !self.is_damaged {
            self.faults.push(SideFault::Shorter {
                block: self.known.index,
                found: self.found,
                known,
            });
        }
        self.faults
    }

    /// Closes the groups that end before an offset.
    fn pass(&mut self, at: u64) {
        while at >= self.end
            && let Some(known) = self.known.groups.get(self.at)
        {
            let open = std::mem::replace(&mut self.open, OpenGroup::new(self.known.index));
            if !open.is_damaged && open.close() != *known {
                self.fault(known.length);
            }
            self.at += 1;
            let next = self.known.groups.get(self.at);
            self.end += next.map_or(0, |group| group.length);
        }
    }

    fn fault(&mut self, length: u64) {
        let range = self.end.saturating_sub(length)..self.end;
        match self.faults.last_mut() {
            Some(SideFault::Changed { range: before, .. }) if before.end == range.start => {
                before.end = range.end
            }
            _ => self.faults.push(SideFault::Changed {
                block: self.known.index,
                range,
            }),
        }
    }
}

#[cfg(test)]
mod tests;
