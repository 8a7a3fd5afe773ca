//! A stream's state and what it has deleted, in few bytes, as raft snapshots of the reference carry it. (STORE-56)

use dunlin_subject::SequenceSet;

use crate::cursor::{Cursor, put_uvarint};
use crate::sources::SourcePosition;

/// Why such bytes say nothing. The texts are the reference's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StreamStateError {
    /// No such state, or of a version that nobody has written yet.
    #[error("bad stream state encoding")]
    Encoding,
    /// Cut off or malformed behind its header.
    #[error("stream state snapshot is corrupt")]
    Corrupt,
}

/// The state of a replicated stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReplicatedState {
    /// Messages.
    pub messages: u64,
    /// What they count.
    pub bytes: u64,
    /// First sequence.
    pub first: u64,
    /// Last sequence.
    pub last: u64,
    /// Publishes that were refused: with `last` the place in the log.
    pub failed: u64,
    /// How far the stream has come with its sources. A source that has brought nothing is not in it.
    pub sources: Vec<SourcePosition>,
    /// What is deleted between first and last, in order.
    pub deleted: Vec<DeleteBlock>,
}

/// Sequences that hold no message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeleteBlock {
    /// Any.
    Set(SequenceSet),
    /// One after the other.
    Run {
        /// The first of them.
        first: u64,
        /// How many.
        count: u64,
    },
}

const MAGIC: u8 = 42;
const RUN: u8 = 33;
const SET: u8 = 22;

impl DeleteBlock {
    /// First, last and number of its members; zeros where there are none. (STORE-58)
    pub fn state(&self) -> (u64, u64, u64) {
        match self {
            Self::Set(set) => {
                let (first, last) = set.bounds().unwrap_or_default();
                (first, last, set.len())
            }
            Self::Run { count: 0, .. } => (0, 0, 0),
            Self::Run { first, count } => (*first, first.saturating_add(count - 1), *count),
        }
    }
}

impl ReplicatedState {
    /// Reads the bytes, all of them. Memory in proportion to them.
    ///
    /// # Errors
    /// See [`StreamStateError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, StreamStateError> {
        let mut cursor = Cursor::new(bytes);
        let has_sources = match (cursor.u8(), cursor.u8()) {
            (Some(MAGIC), Some(version @ (1 | 2))) => version == 2,
            _ => return Err(StreamStateError::Encoding),
        };
        Self::read(&mut cursor, has_sources).ok_or(StreamStateError::Corrupt)
    }

    fn read(cursor: &mut Cursor<'_>, has_sources: bool) -> Option<Self> {
        let mut state = Self {
            messages: cursor.uvarint()?,
            bytes: cursor.uvarint()?,
            first: cursor.uvarint()?,
            last: cursor.uvarint()?,
            failed: cursor.uvarint()?,
            ..Self::default()
        };
        if has_sources {
            for _ in 0..cursor.uvarint()? {
                state.sources.push(SourcePosition::read(cursor)?);
            }
        }
        // The number only tells whether blocks follow; they go to the end.
        if cursor.uvarint().unwrap_or_default() > 0 {
            while !cursor.is_empty() {
                state.deleted.push(delete_block(cursor)?);
            }
        }
        Some(state)
    }

    /// The bytes: version 2 where a source has brought something and the reader is known to take it, otherwise
    /// version 1, which leaves the sources out.
    pub fn encode(&self, with_sources: bool) -> Vec<u8> {
        let sources: Vec<_> = self.sources.iter().filter(|source| source.sequence > 0).collect();
        let with_sources = with_sources && !sources.is_empty();
        let mut out = vec![MAGIC, if with_sources { 2 } else { 1 }];
        for figure in [self.messages, self.bytes, self.first, self.last, self.failed] {
            put_uvarint(&mut out, figure);
        }
        if with_sources {
            put_uvarint(&mut out, sources.len() as u64);
            sources.iter().for_each(|source| source.write(&mut out));
        }
        let deleted = self.deleted.iter().map(|block| block.state().2);
        put_uvarint(&mut out, deleted.fold(0, u64::saturating_add));
        for block in &self.deleted {
            match block {
                DeleteBlock::Set(set) => set.encode(&mut out),
                DeleteBlock::Run { first, count } => {
                    out.push(RUN);
                    put_uvarint(&mut out, *first);
                    put_uvarint(&mut out, *count);
                }
            }
        }
        out
    }
}

fn delete_block(cursor: &mut Cursor<'_>) -> Option<DeleteBlock> {
    match *cursor.rest().first()? {
        SET => {
            let (set, length) = SequenceSet::decode(cursor.rest()).ok()?;
            cursor.take(length as u64)?;
            Some(DeleteBlock::Set(set))
        }
        RUN => {
            cursor.u8()?;
            let (first, count) = (cursor.uvarint()?, cursor.uvarint()?);
            Some(DeleteBlock::Run { first, count })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    // STORE-56: the sheet's example.
    #[test]
    fn the_example_of_the_sheet_is_written_and_read() {
        let bytes = b"\x2a\x01\x03\x64\x01\x05\x00\x02\x21\x03\x02";
        let state = ReplicatedState {
            messages: 3,
            bytes: 100,
            first: 1,
            last: 5,
            deleted: vec![DeleteBlock::Run { first: 3, count: 2 }],
            ..ReplicatedState::default()
        };
        assert_eq!(state.encode(true), bytes);
        assert_eq!(ReplicatedState::decode(bytes), Ok(state));
    }

    // STORE-56 [TestFileStoreEncodedStreamStateWithSources]
    #[test]
    fn sources_are_written_only_where_asked_for_and_where_one_has_brought_something() {
        let position = |name: &str, sequence| SourcePosition {
            name: name.into(),
            sequence,
            identity: b"id".to_vec(),
        };
        let mut state = ReplicatedState {
            messages: 1,
            sources: vec![position("A  ", 7), position("B  ", 0)],
            ..ReplicatedState::default()
        };
        assert_eq!(state.encode(false)[1], 1);
        let decoded = ReplicatedState::decode(&state.encode(true)).unwrap();
        assert_eq!(decoded.sources, [position("A  ", 7)]);
        state.sources.remove(0);
        assert_eq!(state.encode(true)[1], 1);
    }

    // STORE-56
    #[test]
    fn what_is_malformed_is_refused_in_the_words_of_the_reference() {
        let said = |bytes: &[u8]| ReplicatedState::decode(bytes).unwrap_err().to_string();
        assert_eq!(said(b""), "bad stream state encoding");
        assert_eq!(
            said(b"\x2a\x03\x03\x64\x01\x05\x00\x00"),
            "bad stream state encoding"
        );
        let corrupt = "stream state snapshot is corrupt";
        let bytes = b"\x2a\x01\x03\x64\x01\x05\x00\x02\x21\x03\x02";
        for cut in [2, 3, 4, 5, 6, 9, 10] {
            assert_eq!(said(&bytes[..cut]), corrupt, "cut at {cut}");
        }
        assert_eq!(said(b"\x2a\x01\x03\x64\x01\x05\x00\x02\x20\x03\x02"), corrupt);
        assert_eq!(
            said(b"\x2a\x02\x03\x64\x01\x05\x00\xff\xff\x03\x01a\x01"),
            corrupt
        );
    }

    // STORE-58
    #[test]
    fn a_block_of_deletes_knows_its_ends() {
        assert_eq!(DeleteBlock::Run { first: 3, count: 2 }.state(), (3, 4, 2));
        assert_eq!(DeleteBlock::Run { first: 3, count: 0 }.state(), (0, 0, 0));
        let set = DeleteBlock::Set([5, 70].into_iter().collect());
        assert_eq!(set.state(), (5, 70, 2));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            figures: [u64; 5],
            runs: Vec<(u64, u64)>,
            set in proptest::collection::btree_set(1..100_000_u64, 1..50),
        ) {
            let runs = runs.into_iter().map(|(first, count)| DeleteBlock::Run { first, count: count.max(1) });
            let set = DeleteBlock::Set(set.into_iter().collect());
            let state = ReplicatedState {
                messages: figures[0],
                bytes: figures[1],
                first: figures[2],
                last: figures[3],
                failed: figures[4],
                sources: Vec::new(),
                deleted: runs.chain([set]).collect(),
            };
            prop_assert_eq!(ReplicatedState::decode(&state.encode(false)), Ok(state));
        }
    }
}
