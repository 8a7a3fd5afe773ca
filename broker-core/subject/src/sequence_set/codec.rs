//! The bytes of a sequence set, as the reference writes them.
//!
//! The reference puts the records into a search tree in the order in which it reads them, without balancing.
//! So they are written as a balanced tree is walked, root first, and each carries its height.

use super::{BLOCK, Bits, SequenceSet, WORDS};

const MAGIC: u8 = 22;

/// Magic, version, number of records, number of members.
const HEADER: usize = 10;

/// Base and height of a record.
const FRAME: usize = 8 + 2;

/// Words of a record in version 1.
const OLD_WORDS: usize = 64;

/// What is wrong with a sequence set. The texts are the reference's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SequenceSetError {
    /// The bytes are too short, or no set at all.
    #[error("ss: bad encoding")]
    Encoding,
    /// A version that nobody has written yet.
    #[error("ss: bad version")]
    Version,
    /// The first block of a set with members is where it is.
    #[error("ss: set not empty")]
    NotEmpty,
}

impl SequenceSet {
    /// Bytes that [`encode`](Self::encode) writes.
    pub fn encoded_len(&self) -> usize {
        HEADER + self.blocks.len() * (FRAME + WORDS * 8)
    }

    /// Writes the set behind what is in `out`. (STORE-53)
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.reserve(self.encoded_len());
        out.extend([MAGIC, 2]);
        // A set for which these do not suffice would take a terabyte.
        let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX).to_le_bytes();
        out.extend(count(self.blocks.len()));
        out.extend(u32::try_from(self.len()).unwrap_or(u32::MAX).to_le_bytes());
        let blocks: Vec<(&u64, &Box<Bits>)> = self.blocks.iter().collect();
        let mut open = vec![blocks.as_slice()];
        while let Some(part) = open.pop() {
            let (left, rest) = part.split_at(part.len() / 2);
            let Some(((base, block), right)) = rest.split_first() else {
                continue;
            };
            out.extend(base.to_le_bytes());
            block
                .0
                .iter()
                .for_each(|word| out.extend_from_slice(&word.to_le_bytes()));
            let height = usize::BITS - part.len().leading_zeros();
            out.extend(u16::try_from(height).unwrap_or(u16::MAX).to_le_bytes());
            open.extend([right, left]);
        }
    }

    /// Reads a set of version 1 or 2 from the front of `bytes`, and says how many of them it took. Takes no
    /// more memory than the bytes account for, whatever they claim. (STORE-53 to STORE-55)
    pub fn decode(bytes: &[u8]) -> Result<(Self, usize), SequenceSetError> {
        let Some((header, rest)) = bytes.split_first_chunk::<HEADER>() else {
            return Err(SequenceSetError::Encoding);
        };
        let [MAGIC, version, a, b, c, d, claimed @ ..] = *header else {
            return Err(SequenceSetError::Encoding);
        };
        let words = match version {
            1 => OLD_WORDS,
            2 => WORDS,
            _ => return Err(SequenceSetError::Version),
        };
        let record = FRAME + words * 8;
        let records =
            usize::try_from(u32::from_le_bytes([a, b, c, d])).map_err(|_| SequenceSetError::Encoding)?;
        if records > rest.len() / record {
            return Err(SequenceSetError::Encoding);
        }
        let mut set = Self::new();
        for (index, record) in rest.chunks_exact(record).take(records).enumerate() {
            let Some((base, record)) = record.split_first_chunk() else {
                return Err(SequenceSetError::Encoding);
            };
            let base = u64::from_le_bytes(*base);
            let words = record
                .as_chunks()
                .0
                .iter()
                .take(words)
                .map(|word| u64::from_le_bytes(*word));
            if index == 0 && version == 2 {
                set.shift = base % BLOCK;
            }
            set.take_record(base, words)?;
        }
        if set.is_empty() {
            set.clear();
        }
        // Version 2 is not checked by the reference, whose count may be of overlapping records.
        if version == 1 && set.len() != u64::from(u32::from_le_bytes(claimed)) {
            return Err(SequenceSetError::Encoding);
        }
        Ok((set, HEADER + records * record))
    }

    /// Takes the members of a record, at once where it can become a block.
    fn take_record(
        &mut self,
        base: u64,
        words: impl ExactSizeIterator<Item = u64> + Clone,
    ) -> Result<(), SequenceSetError> {
        let is_block =
            words.len() == WORDS && base % BLOCK == self.shift && base.checked_add(BLOCK - 1).is_some();
        if is_block && !self.blocks.contains_key(&base) {
            let mut block = Box::new(Bits([0; WORDS]));
            block
                .0
                .iter_mut()
                .zip(words)
                .for_each(|(word, read)| *word = read);
            if !block.is_empty() {
                self.len += block.count();
                self.blocks.insert(base, block);
            }
            return Ok(());
        }
        for (index, mut word) in (0_u64..).zip(words) {
            while word != 0 {
                let at = index * 64 + u64::from(word.trailing_zeros());
                self.insert(base.checked_add(at).ok_or(SequenceSetError::Encoding)?);
                word &= word - 1;
            }
        }
        Ok(())
    }
}
