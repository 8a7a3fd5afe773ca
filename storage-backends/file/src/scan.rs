//! The records of a block one after the other, and what is damaged between them (STORE-119).
//!
//! Damage costs the records that it covers. Behind a record that does not verify, the next one that does is searched for:
//! first where the damaged one says that it ends, then byte by byte. A record whose length was damaged is made whole: it
//! ends where the next one begins, and its checksum says whether that is so.
//!
//! Payloads may hold bytes that look like records, made by somebody who knows the stream's name, and so its checksums.
//! They are not taken for records: what is found inside the claimed bounds of another record counts only if its row of
//! records reaches that record's end, where a payload cannot reach: the checksum of the record around it lies between.

use std::ops::Range;

use crate::record::{Head, MAX_LENGTH, MIN_LENGTH, Record, RecordError, RecordKey, SEQUENCE_END};

/// Why bytes of a block are no records.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Reason {
    /// What stands there contradicts itself, or its checksum.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// Nothing but zeros: a part of the file that was never written, or was lost.
    #[error("zeros")]
    Zeros,
    /// The block ends inside a record.
    #[error("the block ends inside a record")]
    CutOff,
    /// Only a record's length was damaged. The record itself is whole and follows.
    #[error("wrong record length")]
    Length,
    /// The disk does not give these bytes.
    #[error("unreadable: {0}")]
    Unreadable(String),
    /// A part of the compressed block cannot be unpacked, or not surely. Records in it that verify are right.
    #[error("s2: corrupt input")]
    Compression,
    /// The block's key is lost, so nothing of it can be read.
    #[error("{0}")]
    Key(#[from] crate::crypt::CryptError),
}

/// What is next in a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found<'a> {
    /// A record that verifies.
    Record {
        /// The offset of its first byte.
        at: usize,
        /// Its parts.
        record: Record<'a>,
    },
    /// Bytes that are no record.
    Damage {
        /// Which.
        range: Range<usize>,
        /// Why.
        reason: Reason,
    },
}

/// Walks over the records of a block in clear.
#[derive(Clone, Debug)]
pub struct Scan<'a> {
    block: &'a [u8],
    key: &'a RecordKey,
    at: usize,
    last_end: Option<usize>,
    /// Whether the block ends with `block`.
    is_whole: bool,
    /// A record that was made whole, to be shown behind its damage.
    healed: Option<(usize, Record<'a>)>,
    /// Bytes that may still be hashed in search of records.
    budget: usize,
}

/// Hashing this many times the block's own bytes is enough for any damage; more is asked for only by payloads made to
/// look like records everywhere.
const SEARCH_FACTOR: usize = 32;
/// How many rows of records may turn out to be one record's payload.
const NESTED: usize = 8;
/// No stream gets so far; what is found by search must be below.
const PLAUSIBLE_SEQUENCE: u64 = SEQUENCE_END >> 6;

impl<'a> Scan<'a> {
    /// Over a whole block.
    pub fn new(block: &'a [u8], key: &'a RecordKey) -> Self {
        Self {
            block,
            key,
            at: 0,
            last_end: None,
            is_whole: true,
            healed: None,
            budget: block.len().saturating_mul(SEARCH_FACTOR),
        }
    }

    /// Over the front of what is left of a block. Ends before the first bytes that are no whole record, which need all
    /// that is left.
    pub fn front(block: &'a [u8], key: &'a RecordKey) -> Self {
        Self {
            is_whole: false,
            ..Self::new(block, key)
        }
    }

    /// Where the last record ends that was shown.
    pub fn last_end(&self) -> Option<usize> {
        self.last_end
    }

    /// How far it has come.
    pub fn at(&self) -> usize {
        self.at
    }

    fn verify(&self, at: usize) -> Result<Record<'a>, RecordError> {
        Record::decode(self.block.get(at..).unwrap_or_default(), self.key)
    }

    /// Passes the damage at the present place.
    fn damage(&mut self, error: RecordError) -> Found<'a> {
        let from = self.at;
        let length = match Head::read(self.block.get(from..).unwrap_or_default()) {
            Ok(head) => Some(head.length),
            // The record may still end there: the subject's length is what contradicts.
            Err(RecordError::Structure { length, .. }) => usize::try_from(length).ok(),
            Err(_) => None,
        };
        let claimed = length
            .filter(|length| (MIN_LENGTH..=MAX_LENGTH).contains(length))
            .map(|length| from + length);
        let next = self.next_record(from, claimed);
        if let Some((to, record)) = self.heal(from, next) {
            self.at = to;
            self.healed = Some((from, record));
            return Found::Damage {
                range: from..to,
                reason: Reason::Length,
            };
        }
        self.at = next;
        let bytes = self.block.get(from..next).unwrap_or_default();
        let reason = if bytes.iter().all(|byte| *byte == 0) {
            Reason::Zeros
        } else if next == self.block.len() && matches!(error, RecordError::Short { .. }) {
            Reason::CutOff
        } else {
            Reason::Record(error)
        };
        Found::Damage {
            range: from..next,
            reason,
        }
    }

    /// Where the next record behind damage begins; the block's end if there is none.
    fn next_record(&mut self, from: usize, claimed: Option<usize>) -> usize {
        let end = self.block.len();
        let claimed = claimed.filter(|claimed| *claimed == end || self.verify(*claimed).is_ok());
        let mut at = from + 1;
        while let Some(found) = self.search(at) {
            match claimed {
                Some(claimed) if found >= claimed => return claimed,
                Some(claimed) => {
                    if self.row_passes(found, claimed) {
                        return found;
                    }
                    // Inside the damaged record's payload.
                    at = found + 1;
                }
                None => return found,
            }
        }
        claimed.unwrap_or(end)
    }

    /// The first place from `from` on where a record verifies.
    fn search(&mut self, from: usize) -> Option<usize> {
        let last = self.block.len().checked_sub(MIN_LENGTH)?;
        (from..=last).find(|at| {
            let rest = self.block.get(*at..).unwrap_or_default();
            let Ok(head) = Head::read(rest) else { return false };
            if head.sequence >= PLAUSIBLE_SEQUENCE || head.length > rest.len() || head.length > self.budget {
                return false;
            }
            self.budget -= head.length;
            Record::decode(rest, self.key).is_ok()
        })
    }

    /// Whether the records that follow each other from `from` on have a border at `border`.
    fn row_passes(&self, from: usize, border: usize) -> bool {
        let mut at = from;
        while at < border {
            let Ok(record) = self.verify(at) else { return false };
            at += record.length();
        }
        at == border
    }

    /// The record at `from` if only its length is damaged, and where it ends. It may hold what looks like records, so the
    /// rows of these are passed over too.
    fn heal(&mut self, from: usize, next: usize) -> Option<(usize, Record<'a>)> {
        let mut next = next;
        for _ in 0..NESTED {
            if let Some(record) = self.as_record(from..next) {
                return Some((next, record));
            }
            let mut at = next;
            while let Ok(record) = self.verify(at) {
                at += record.length();
            }
            if at >= self.block.len() {
                return None;
            }
            next = self.search(at).unwrap_or(self.block.len());
        }
        None
    }

    /// Bytes as one record, whatever length it announces.
    fn as_record(&mut self, range: Range<usize>) -> Option<Record<'a>> {
        let bytes = self.block.get(range)?;
        let (announced, rest) = bytes.split_first_chunk::<4>()?;
        let length = u32::try_from(bytes.len()).ok()?;
        let mark = u32::from_le_bytes(*announced) & (1 << 31);
        [mark, mark ^ (1 << 31)].into_iter().find_map(|mark| {
            let mut head = (length | mark).to_le_bytes().to_vec();
            head.extend(rest.get(..crate::record::HEAD_LENGTH - 4)?);
            let head = Head::read(&head).ok()?;
            self.budget = self.budget.checked_sub(bytes.len())?;
            Record::decode_as(bytes, &head, self.key).ok()
        })
    }
}

impl<'a> Iterator for Scan<'a> {
    type Item = Found<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some((at, record)) = self.healed.take() {
            self.last_end = Some(self.at);
            return Some(Found::Record { at, record });
        }
        if self.at >= self.block.len() {
            return None;
        }
        match self.verify(self.at) {
            Ok(record) => {
                let at = self.at;
                self.at += record.length();
                self.last_end = Some(self.at);
                Some(Found::Record { at, record })
            }
            Err(_) if !self.is_whole => None,
            Err(error) => Some(self.damage(error)),
        }
    }
}

#[cfg(test)]
mod tests;
