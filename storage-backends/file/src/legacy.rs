//! `N.idx`, the index of one block that servers before 2.10 wrote. It is read where `index.db` is missing, and removed
//! with `N.fss` after a good open. (STORE-5, STORE-49)

use dunlin_subject::SequenceSet;

use crate::cursor::Cursor;
use crate::index::BlockEntry;

/// Why such an index is of no use. The texts are the reference's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LegacyIndexError {
    /// No such index, or of another version.
    #[error("bad index file")]
    Header,
    /// Cut off.
    #[error("short index file")]
    Short,
    /// Its figures contradict each other.
    #[error("accounting inconsistent")]
    Inconsistent,
    /// The set of deleted messages.
    #[error("could not decode avl dmap: {0}")]
    Deleted(#[from] dunlin_subject::SequenceSetError),
}

/// What an `N.idx` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LegacyIndex {
    /// The block's figures; TTLs and schedules are not counted in it.
    pub block: BlockEntry,
    /// The checksum of the block's last record: the index counts only where the block still ends with it.
    pub checksum: [u8; 8],
}

const MAGIC: u8 = 22;

/// Erased messages were marked in the sequence itself.
const ERASED: u64 = 1 << 63;

impl LegacyIndex {
    /// Reads the plain bytes of an `N.idx`; `index` is N. Memory in proportion to the bytes.
    ///
    /// # Errors
    /// See [`LegacyIndexError`].
    pub fn decode(bytes: &[u8], index: u32) -> Result<Self, LegacyIndexError> {
        let mut cursor = Cursor::new(bytes);
        let version = match (cursor.u8(), cursor.u8()) {
            (Some(MAGIC), Some(version @ (1 | 2))) => version,
            _ => return Err(LegacyIndexError::Header),
        };
        let Some((messages, mut block, deleted)) = figures(&mut cursor, index) else {
            return Err(LegacyIndexError::Short);
        };
        let checksum = cursor.array().ok_or(LegacyIndexError::Short)?;
        let sequences = block.last.wrapping_sub(block.first).wrapping_add(1);
        if messages != sequences.wrapping_sub(deleted) {
            return Err(LegacyIndexError::Inconsistent);
        }
        if deleted > 0 {
            block.deleted = if version == 2 {
                SequenceSet::decode(cursor.rest())?.0
            } else {
                let offsets = (0..deleted).map_while(|_| sequence(&mut cursor).filter(|offset| *offset > 0));
                offsets.map(|offset| block.first.wrapping_add(offset)).collect()
            };
        }
        Ok(Self { block, checksum })
    }
}

fn figures(cursor: &mut Cursor<'_>, index: u32) -> Option<(u64, BlockEntry, u64)> {
    let messages = sequence(cursor)?;
    let block = BlockEntry {
        index,
        bytes: sequence(cursor)?,
        first: sequence(cursor)?,
        first_time: cursor.varint()?,
        last: sequence(cursor)?,
        last_time: cursor.varint()?,
        ..BlockEntry::default()
    };
    Some((messages, block, sequence(cursor)?))
}

fn sequence(cursor: &mut Cursor<'_>) -> Option<u64> {
    cursor.uvarint().map(|sequence| sequence & !ERASED)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cursor::{put_uvarint, put_varint};

    fn file(version: u8, messages: u64, deleted: &[u64]) -> Vec<u8> {
        let mut out = vec![MAGIC, version];
        put_uvarint(&mut out, messages);
        put_uvarint(&mut out, 400);
        put_uvarint(&mut out, 10);
        put_varint(&mut out, 1_000);
        put_uvarint(&mut out, 19);
        put_varint(&mut out, 2_000);
        put_uvarint(&mut out, deleted.len() as u64);
        out.extend(b"checksum");
        if version == 2 {
            deleted.iter().copied().collect::<SequenceSet>().encode(&mut out);
        } else {
            deleted
                .iter()
                .for_each(|sequence| put_uvarint(&mut out, sequence - 10));
        }
        out
    }

    // STORE-49
    #[test]
    fn both_versions_say_what_is_deleted() {
        for version in [1, 2] {
            let index = LegacyIndex::decode(&file(version, 8, &[12, 17]), 3).unwrap();
            assert_eq!((index.block.index, index.block.messages()), (3, 8));
            assert_eq!(index.block.deleted.iter().collect::<Vec<_>>(), [12, 17]);
            assert_eq!(&index.checksum, b"checksum");
        }
    }

    // STORE-49 [TestFileStoreShortIndexWriteBug, TestFileStoreInvalidIndexesRebuilt]
    #[test]
    fn what_cannot_be_trusted_is_refused_in_the_words_of_the_reference() {
        let said = |bytes: &[u8]| LegacyIndex::decode(bytes, 1).unwrap_err().to_string();
        let good = file(2, 8, &[12, 17]);
        assert_eq!(said(b"\x16"), "bad index file");
        assert_eq!(said(b"\x16\x03\x00"), "bad index file");
        for cut in 2..20 {
            assert_eq!(said(&good[..cut]), "short index file", "cut at {cut}");
        }
        assert_eq!(said(&file(2, 9, &[12, 17])), "accounting inconsistent");
        assert_eq!(
            said(&good[..good.len() - 1]),
            "could not decode avl dmap: ss: bad encoding"
        );
    }
}
