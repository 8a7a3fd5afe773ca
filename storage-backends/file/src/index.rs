//! `index.db`: what a stream holds, block by block and subject by subject, so that an open need not read its messages.
//!
//! Here are the plain bytes; the checksum around them and the encryption are in [`crate::small`]. [`Index::decode`]
//! borrows: subjects are read from the bytes one by one, so an index of ten million costs no more than its file.
//! [`IndexWriter`] takes them one by one. (STORE-47, STORE-48)
//!
//! The reference writes none above a million subjects or deleted messages; this store does, and in one step (P1).

use dunlin_api::StreamState;
use dunlin_subject::{SequenceSet, is_valid_subject_strict};

use crate::cursor::{Cursor, put_text, put_uvarint, put_varint};

/// Why an `index.db` is of no use. The texts are the reference's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IndexError {
    /// No index, or of a version that nobody has written yet.
    #[error("Stream state magic and version mismatch")]
    Version,
    /// More subjects than the bytes can hold.
    #[error("Stream state bad subject count ({0})")]
    SubjectCount(u64),
    /// A subject that is longer than the bytes.
    #[error("Stream state bad subject len ({0})")]
    SubjectLength(u64),
    /// A subject that no message can have.
    #[error("Stream state corrupt subject detected")]
    Subject,
    /// More blocks than the bytes can hold.
    #[error("Stream state bad block count ({0})")]
    BlockCount(u64),
    /// A block that is cut off.
    #[error("Stream state corrupt block detected")]
    Block,
    /// A block's set of deleted messages.
    #[error("Stream state error decoding avl dmap: {0}")]
    Deleted(#[from] dunlin_subject::SequenceSetError),
    /// The end is missing.
    #[error("Stream state has no checksum present")]
    Checksum,
    /// The last block is not the one that the checksum is of.
    #[error("Stream state block does not exist or index mismatch")]
    LastBlock,
    /// The blocks do not add up to the stream's figures.
    #[error("Stream state encountered internal inconsistency on recover")]
    Totals,
}

/// The figures of one subject over the whole stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SubjectEntry {
    /// Messages.
    pub messages: u64,
    /// Index of the block with the first of them, or of an earlier one (STORE-83).
    pub first_block: u32,
    /// Index of the block with the last of them.
    pub last_block: u32,
}

/// The figures of one block.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BlockEntry {
    /// Its number, as in its file's name.
    pub index: u32,
    /// What its messages count.
    pub bytes: u64,
    /// Its first sequence.
    pub first: u64,
    /// Time of the first message; 0 where there is none.
    pub first_time: i64,
    /// Its last sequence; `first - 1` where it holds none.
    pub last: u64,
    /// Time of the last message; 0 where there is none.
    pub last_time: i64,
    /// Messages that carry a `Nats-TTL` header.
    pub ttls: u64,
    /// Messages that carry a `Nats-Schedule` header.
    pub schedules: u64,
    /// Sequences between first and last that hold no message.
    pub deleted: SequenceSet,
}

impl BlockEntry {
    /// Messages that it holds: its sequences but the deleted ones.
    pub fn messages(&self) -> u64 {
        self.sequences().saturating_sub(self.deleted.len())
    }

    fn sequences(&self) -> u64 {
        self.last.wrapping_sub(self.first).wrapping_add(1)
    }
}

/// Where the stream ended when the index was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IndexEnd {
    /// Number of the last block.
    pub block: u32,
    /// Checksum of that block's last record; zeros where it had none. A block that ends otherwise has grown since, or
    /// is another.
    pub checksum: [u8; 8],
}

/// An index, read.
#[derive(Clone, Debug)]
pub struct Index<'a> {
    /// The stream's figures.
    pub state: StreamState,
    /// By rising number.
    pub blocks: Vec<BlockEntry>,
    /// What to compare the last block with.
    pub end: IndexEnd,
    subjects: Subjects<'a>,
}

/// The version that is written.
const VERSION: u8 = 4;
const MAGIC: u8 = 11;

impl<'a> Index<'a> {
    /// Reads an index of version 1 to 4 and looks at every subject. Cost: one pass over the bytes, and memory for the
    /// blocks.
    ///
    /// # Errors
    /// See [`IndexError`].
    pub fn decode(bytes: &'a [u8]) -> Result<Self, IndexError> {
        let mut cursor = Cursor::new(bytes);
        let version = match (cursor.u8(), cursor.u8()) {
            (Some(MAGIC), Some(version @ 1..=VERSION)) => version,
            _ => return Err(IndexError::Version),
        };
        // The reference reads on with zeros where a figure is missing, and then finds no subject count.
        let mut state = state(&mut cursor).ok_or(IndexError::SubjectCount(0))?;
        let (subjects, count) = Subjects::open(&mut cursor, version)?;
        state.subjects = count;
        let blocks = blocks(&mut cursor, version, state.first_time)?;
        let end = (|| {
            let block = cursor.uvarint()? as u32;
            let checksum = cursor.array()?;
            Some(IndexEnd { block, checksum })
        })();
        Ok(Self {
            state,
            blocks,
            end: end.ok_or(IndexError::Checksum)?,
            subjects,
        })
    }

    /// Holds the parts against each other, as the reference does before it trusts them (STORE-117).
    ///
    /// # Errors
    /// [`IndexError::LastBlock`], [`IndexError::Totals`].
    pub fn check(&self) -> Result<(), IndexError> {
        let last = self.blocks.last().ok_or(IndexError::LastBlock)?;
        if last.index != self.end.block {
            return Err(IndexError::LastBlock);
        }
        let agrees = self.totals().is_some_and(|totals| {
            let state = &self.state;
            let figures = (totals.messages, totals.bytes, totals.last);
            figures == (state.messages, state.bytes, state.last)
                && (totals.first <= 1 || totals.first == state.first)
        });
        agrees.then_some(()).ok_or(IndexError::Totals)
    }

    /// The stream's figures as its blocks have them; empty blocks do not count, apart from the last.
    fn totals(&self) -> Option<StreamState> {
        let mut totals = StreamState::default();
        let last = self.blocks.last().map(|block| block.index);
        for block in &self.blocks {
            if block.messages() == 0 && Some(block.index) != last {
                continue;
            }
            if totals.first == 0 || block.first < totals.first && block.first_time != 0 {
                totals.first = block.first;
            }
            totals.last = totals.last.max(block.last);
            totals.messages = totals.messages.checked_add(block.messages())?;
            totals.bytes = totals.bytes.checked_add(block.bytes)?;
        }
        Some(totals)
    }

    /// Each subject and its figures, in any order.
    pub fn subjects(&self) -> Subjects<'a> {
        self.subjects.clone()
    }
}

/// The subjects of an index, read one by one.
#[derive(Clone, Debug)]
pub struct Subjects<'a> {
    cursor: Cursor<'a>,
    left: u64,
    version: u8,
}

impl<'a> Subjects<'a> {
    /// Looks at every subject and leaves the cursor behind the last; with how many there are.
    fn open(cursor: &mut Cursor<'a>, version: u8) -> Result<(Self, u64), IndexError> {
        let count = cursor.uvarint().unwrap_or_default();
        if cursor.is_empty() || count > cursor.len() {
            return Err(IndexError::SubjectCount(count));
        }
        let mut subjects = Self {
            cursor: *cursor,
            left: count,
            version,
        };
        let opened = subjects.clone();
        let mut empty = 0;
        while subjects.left > 0 {
            empty += u64::from(subjects.read()?.is_none());
        }
        *cursor = subjects.cursor;
        Ok((opened, count - empty))
    }

    /// `None` for an empty subject, which has no figures.
    fn read(&mut self) -> Result<Option<(&'a [u8], SubjectEntry)>, IndexError> {
        self.left = self.left.saturating_sub(1);
        let length = self.cursor.uvarint().ok_or(IndexError::SubjectLength(0))?;
        if length == 0 {
            return Ok(None);
        }
        let subject = self
            .cursor
            .take(length)
            .ok_or(IndexError::SubjectLength(length))?;
        if !is_valid_subject_strict(subject) {
            return Err(IndexError::Subject);
        }
        let entry = self.entry().ok_or(IndexError::SubjectLength(length))?;
        Ok(Some((subject, entry)))
    }

    fn entry(&mut self) -> Option<SubjectEntry> {
        let messages = self.cursor.uvarint()?;
        let first_block = self.cursor.uvarint()? as u32;
        let last_block = if messages > 1 || self.version >= 4 {
            self.cursor.uvarint()? as u32
        } else {
            first_block
        };
        Some(SubjectEntry {
            messages,
            first_block,
            last_block,
        })
    }
}

impl<'a> Iterator for Subjects<'a> {
    type Item = (&'a [u8], SubjectEntry);

    fn next(&mut self) -> Option<Self::Item> {
        while self.left > 0 {
            // `open` has read them all, so no error comes here.
            if let Some(found) = self.read().ok()? {
                return Some(found);
            }
        }
        None
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        // Each takes a byte at least, so the count fits.
        (0, usize::try_from(self.left).ok())
    }
}

fn state(cursor: &mut Cursor<'_>) -> Option<StreamState> {
    Some(StreamState {
        messages: cursor.uvarint()?,
        bytes: cursor.uvarint()?,
        first: cursor.uvarint()?,
        first_time: cursor.varint()?,
        last: cursor.uvarint()?,
        last_time: cursor.varint()?,
        subjects: 0,
    })
}

fn blocks(cursor: &mut Cursor<'_>, version: u8, base_time: i64) -> Result<Vec<BlockEntry>, IndexError> {
    let count = cursor.uvarint().unwrap_or_default();
    if cursor.is_empty() || count > cursor.len() {
        return Err(IndexError::BlockCount(count));
    }
    let mut blocks = Vec::new();
    for _ in 0..count {
        let (mut block, deleted) = block(cursor, version, base_time).ok_or(IndexError::Block)?;
        if deleted > 0 {
            let (set, length) = SequenceSet::decode(cursor.rest())?;
            cursor.take(length as u64);
            block.deleted = set;
        }
        blocks.push(block);
    }
    Ok(blocks)
}

/// A block, and how many deleted messages follow.
fn block(cursor: &mut Cursor<'_>, version: u8, base_time: i64) -> Option<(BlockEntry, u64)> {
    let mut block = BlockEntry {
        index: cursor.uvarint()? as u32,
        bytes: cursor.uvarint()?,
        first: cursor.uvarint()?,
        first_time: cursor.varint()?.wrapping_add(base_time),
        last: cursor.uvarint()?,
        last_time: cursor.varint()?.wrapping_add(base_time),
        ..BlockEntry::default()
    };
    let deleted = cursor.uvarint()?;
    if version >= 2 {
        block.ttls = cursor.uvarint()?;
    }
    if version >= 3 {
        block.schedules = cursor.uvarint()?;
    }
    Some((block, deleted))
}

/// Writes an index: the subjects first, then the blocks by rising number, then the end.
///
/// ```
/// use dunlin_api::StreamState;
/// use dunlin_file_store::index::{BlockEntry, Index, IndexEnd, IndexWriter, SubjectEntry};
///
/// let state = StreamState { messages: 1, bytes: 35, first: 1, last: 1, subjects: 1, ..StreamState::default() };
/// let mut writer = IndexWriter::begin(&state);
/// writer.subject(b"foo", SubjectEntry { messages: 1, first_block: 1, last_block: 1 });
/// let mut writer = writer.blocks(1);
/// writer.block(&BlockEntry { index: 1, bytes: 35, first: 1, last: 1, ..BlockEntry::default() });
/// let bytes = writer.finish(IndexEnd { block: 1, checksum: [0; 8] });
///
/// let index = Index::decode(&bytes)?;
/// index.check()?;
/// assert_eq!(index.state, state);
/// # Ok::<(), dunlin_file_store::index::IndexError>(())
/// ```
#[derive(Debug)]
pub struct IndexWriter {
    out: Vec<u8>,
    base_time: i64,
}

impl IndexWriter {
    /// Begins with the stream's figures. Exactly as many subjects must follow as they say.
    pub fn begin(state: &StreamState) -> Self {
        let mut out = vec![MAGIC, VERSION];
        put_uvarint(&mut out, state.messages);
        put_uvarint(&mut out, state.bytes);
        put_uvarint(&mut out, state.first);
        put_varint(&mut out, state.first_time);
        put_uvarint(&mut out, state.last);
        put_varint(&mut out, state.last_time);
        put_uvarint(&mut out, state.subjects);
        Self {
            out,
            base_time: state.first_time,
        }
    }

    /// One subject; it is not empty.
    pub fn subject(&mut self, subject: &[u8], entry: SubjectEntry) {
        put_text(&mut self.out, subject);
        put_uvarint(&mut self.out, entry.messages);
        put_uvarint(&mut self.out, entry.first_block.into());
        put_uvarint(&mut self.out, entry.last_block.into());
    }

    /// Goes on to the blocks, of which exactly `count` must follow.
    pub fn blocks(mut self, count: u64) -> IndexBlockWriter {
        put_uvarint(&mut self.out, count);
        IndexBlockWriter(self)
    }
}

/// The second half of an [`IndexWriter`].
#[derive(Debug)]
pub struct IndexBlockWriter(IndexWriter);

impl IndexBlockWriter {
    /// One block.
    pub fn block(&mut self, block: &BlockEntry) {
        let IndexWriter { out, base_time } = &mut self.0;
        put_uvarint(out, block.index.into());
        put_uvarint(out, block.bytes);
        put_uvarint(out, block.first);
        put_varint(out, block.first_time.wrapping_sub(*base_time));
        put_uvarint(out, block.last);
        put_varint(out, block.last_time.wrapping_sub(*base_time));
        put_uvarint(out, block.deleted.len());
        put_uvarint(out, block.ttls);
        put_uvarint(out, block.schedules);
        if !block.deleted.is_empty() {
            block.deleted.encode(out);
        }
    }

    /// The plain bytes.
    pub fn finish(self, end: IndexEnd) -> Vec<u8> {
        let mut out = self.0.out;
        put_uvarint(&mut out, end.block.into());
        out.extend(end.checksum);
        out
    }
}

#[cfg(test)]
mod tests;
