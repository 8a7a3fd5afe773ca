//! `sources.db`: how far a stream has come with each of its sources. It lies beside `msgs/`, so that a purge leaves
//! it. (STORE-61)

use crate::cursor::{Cursor, put_text, put_uvarint};
use crate::stamped::{self, StampedError};

/// What `sources.db` says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourcesFile {
    /// Messages below this sequence are all accounted for; later ones must be looked at (STORE-62).
    pub stamp: u64,
    /// In any order. Every configured source is written, those that have brought nothing with sequence 0.
    pub positions: Vec<SourcePosition>,
}

/// How far a stream has come with one source.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct SourcePosition {
    /// `<stream> <filter> <transform destination>`, which tells two sources of one stream apart.
    pub name: Vec<u8>,
    /// The last sequence of the source that was taken over; 0: none.
    pub sequence: u64,
    /// The identity of the source stream; empty where the source told none.
    pub identity: Vec<u8>,
}

const VERSION_UNKNOWN: &str = "sources: encoded version not known";

/// Two lengths and a sequence.
const SHORTEST_ENTRY: u64 = 3;

impl SourcesFile {
    /// Reads the file. Takes at most 24 times the memory that the bytes take.
    ///
    /// # Errors
    /// See [`StampedError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, StampedError> {
        let (header, mut cursor) = stamped::open(bytes, VERSION_UNKNOWN)?;
        let mut positions = header.room_for(SHORTEST_ENTRY, &cursor);
        for _ in 0..header.count {
            positions.push(SourcePosition::read(&mut cursor).ok_or(StampedError::UnexpectedEnd)?);
        }
        Ok(Self {
            stamp: header.stamp,
            positions,
        })
    }

    /// The file's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = stamped::begin(self.positions.len(), self.stamp);
        self.positions
            .iter()
            .for_each(|position| position.write(&mut out));
        out
    }
}

impl SourcePosition {
    pub(crate) fn read(cursor: &mut Cursor<'_>) -> Option<Self> {
        Some(Self {
            name: cursor.text()?.to_vec(),
            sequence: cursor.uvarint()?,
            identity: cursor.text()?.to_vec(),
        })
    }

    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        put_text(out, &self.name);
        put_uvarint(out, self.sequence);
        put_text(out, &self.identity);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn file() -> SourcesFile {
        let position = |name: &str, sequence, identity: &str| SourcePosition {
            name: name.into(),
            sequence,
            identity: identity.into(),
        };
        SourcesFile {
            stamp: 5,
            positions: vec![position("A > ", 300, "Xid"), position("B b.* c.*", 0, "")],
        }
    }

    // STORE-61
    #[test]
    fn a_source_that_brought_nothing_is_written_too() {
        let expected = b"\x01\x02\0\0\0\0\0\0\0\x05\0\0\0\0\0\0\0\x04A > \xac\x02\x03Xid\x09B b.* c.*\0\0";
        assert_eq!(file().encode(), expected);
        assert_eq!(SourcesFile::decode(expected), Ok(file()));
    }

    // STORE-61 [TestFileStoreSourcesDecodeRejectsMalformed]
    #[test]
    fn malformed_sources_are_refused_in_the_words_of_the_reference() {
        let bytes = file().encode();
        for cut in 0..bytes.len() {
            let said = SourcesFile::decode(&bytes[..cut]).unwrap_err().to_string();
            let expected = if cut < 17 {
                "short buffer"
            } else {
                "unexpected EOF"
            };
            assert_eq!(said, expected, "cut at {cut}");
        }
        let mut other = bytes;
        other[0] = 2;
        let said = SourcesFile::decode(&other).unwrap_err().to_string();
        assert_eq!(said, "sources: encoded version not known");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(stamp: u64, positions: Vec<(Vec<u8>, u64, Vec<u8>)>) {
            let positions = positions
                .into_iter()
                .map(|(name, sequence, identity)| SourcePosition { name, sequence, identity })
                .collect();
            let file = SourcesFile { stamp, positions };
            prop_assert_eq!(SourcesFile::decode(&file.encode()), Ok(file));
        }
    }
}
