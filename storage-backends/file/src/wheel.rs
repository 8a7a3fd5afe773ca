//! `thw.db`: when messages expire, so that an open need not read the whole stream for it.
//!
//! The file is no more than a list. Which times are due is found with a wheel or a tree in memory; see
//! `dunlin_subject` and the stream's own timers. (STORE-59)

use crate::cursor::{Cursor, put_uvarint, put_varint};
use crate::stamped::{self, StampedError};

/// What `thw.db` says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WheelFile {
    /// Messages below this sequence are all in the list; later ones must be looked at (STORE-62).
    pub stamp: u64,
    /// Expiry in nanoseconds since the Unix epoch, and the message's sequence; in any order.
    pub expiries: Vec<(i64, u64)>,
}

const VERSION_UNKNOWN: &str = "thw: encoded version not known";

/// An entry takes two bytes at least.
const SHORTEST_ENTRY: u64 = 2;

impl WheelFile {
    /// Reads the file. Takes at most 8 times the memory that the bytes take.
    ///
    /// # Errors
    /// See [`StampedError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, StampedError> {
        let (header, mut cursor) = stamped::open(bytes, VERSION_UNKNOWN)?;
        let mut expiries = header.room_for(SHORTEST_ENTRY, &cursor);
        for _ in 0..header.count {
            expiries.push(entry(&mut cursor).ok_or(StampedError::UnexpectedEnd)?);
        }
        Ok(Self {
            stamp: header.stamp,
            expiries,
        })
    }

    /// The file's bytes. An empty list is written too (STORE-52).
    pub fn encode(&self) -> Vec<u8> {
        let mut out = stamped::begin(self.expiries.len(), self.stamp);
        for (at, sequence) in &self.expiries {
            put_varint(&mut out, *at);
            put_uvarint(&mut out, *sequence);
        }
        out
    }
}

fn entry(cursor: &mut Cursor<'_>) -> Option<(i64, u64)> {
    Some((cursor.varint()?, cursor.uvarint()?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    // STORE-59: the sheet's example.
    #[test]
    fn the_example_of_the_sheet_is_written_and_read() {
        let example = b"\x01\x01\0\0\0\0\0\0\0\x08\0\0\0\0\0\0\0\x80\xc8\xff\x82\xec\xbf\xce\x97\x2f\x07";
        let file = WheelFile {
            stamp: 8,
            expiries: vec![(1_700_000_005_000_000_000, 7)],
        };
        assert_eq!(file.encode(), example);
        assert_eq!(WheelFile::decode(example), Ok(file));
    }

    // STORE-59 [TestHashWheelEncodeDecode]
    #[test]
    fn a_hundred_thousand_expiries_come_back() {
        let expiries = (0..100_000_u64).map(|sequence| {
            (
                1_700_000_000_000_000_000 + sequence as i64 * 1_000_000_000,
                sequence,
            )
        });
        let file = WheelFile {
            stamp: 12345,
            expiries: expiries.collect(),
        };
        assert_eq!(WheelFile::decode(&file.encode()), Ok(file));
    }

    // STORE-59 [TestHashWheelDecodeRejectsMalformed]
    #[test]
    fn malformed_wheels_are_refused_in_the_words_of_the_reference() {
        let whole = WheelFile {
            stamp: 8,
            expiries: vec![(1, 7), (2, 300)],
        }
        .encode();
        for (bytes, said) in [
            (&whole[..16], "short buffer"),
            (&whole[..18], "unexpected EOF"),
            (&whole[..whole.len() - 1], "unexpected EOF"),
            (&[&[2], &whole[1..]].concat(), VERSION_UNKNOWN),
        ] {
            assert_eq!(WheelFile::decode(bytes).unwrap_err().to_string(), said);
        }
        let mut counts_too_many = whole;
        counts_too_many[1..9].fill(0xff);
        assert_eq!(
            WheelFile::decode(&counts_too_many),
            Err(StampedError::UnexpectedEnd)
        );
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(stamp: u64, expiries: Vec<(i64, u64)>) {
            let file = WheelFile { stamp, expiries };
            prop_assert_eq!(WheelFile::decode(&file.encode()), Ok(file));
        }
    }
}
