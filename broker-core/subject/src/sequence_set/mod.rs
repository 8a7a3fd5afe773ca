//! A set of sequence numbers: bits in blocks of 2048, by their first sequence.
//!
//! What a store has lost out of its middle, in a few bits each, and in the reference's bytes. The reference
//! keeps the blocks in a tree that balances itself; here they lie in the standard library's, and only the
//! encoding knows of the other. Rules: STORE-53 to STORE-55, STORE-128.

mod codec;

use std::collections::BTreeMap;

pub use codec::SequenceSetError;

/// Sequences of a block.
const BLOCK: u64 = 2048;

/// Words of a block.
const WORDS: usize = 32;

/// A set of 64-bit sequence numbers. A block costs about 300 bytes, however many of its numbers are in.
#[derive(Clone, Debug, Default)]
pub struct SequenceSet {
    /// Blocks by base, none empty. Every base is a multiple of [`BLOCK`] plus `shift`, so blocks never overlap.
    blocks: BTreeMap<u64, Box<Bits>>,
    /// Below [`BLOCK`]; no member is lower.
    shift: u64,
    len: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Bits([u64; WORDS]);

impl SequenceSet {
    /// An empty set.
    pub const fn new() -> Self {
        Self {
            blocks: BTreeMap::new(),
            shift: 0,
            len: 0,
        }
    }

    /// Lets the first block begin at `first`, so that a set that grows from there needs no half-used one.
    ///
    /// # Errors
    /// The set is not empty.
    pub fn set_initial_min(&mut self, first: u64) -> Result<(), SequenceSetError> {
        if !self.is_empty() {
            return Err(SequenceSetError::NotEmpty);
        }
        self.shift = first % BLOCK;
        Ok(())
    }

    /// Adds a number; false if it is there. Costs a walk down a tree of blocks.
    pub fn insert(&mut self, sequence: u64) -> bool {
        if sequence < self.shift {
            self.align();
        }
        let base = self.base(sequence);
        let block = self
            .blocks
            .entry(base)
            .or_insert_with(|| Box::new(Bits([0; WORDS])));
        let is_new = block.insert(sequence - base);
        self.len += u64::from(is_new);
        is_new
    }

    /// Adds all numbers from `first` to `last`. Costs a step for each of the blocks that they touch.
    pub fn insert_range(&mut self, first: u64, last: u64) {
        if first > last {
            return;
        }
        if first < self.shift {
            self.align();
        }
        let mut at = first;
        loop {
            let base = self.base(at);
            let end = last.min(base.saturating_add(BLOCK - 1));
            let block = self
                .blocks
                .entry(base)
                .or_insert_with(|| Box::new(Bits([0; WORDS])));
            self.len += block.insert_range(at - base, end - base);
            match end.checked_add(1) {
                Some(next) if end < last => at = next,
                _ => return,
            }
        }
    }

    /// Takes a number out; false if it is not there.
    pub fn remove(&mut self, sequence: u64) -> bool {
        let base = self.base(sequence);
        let Some(block) = self.blocks.get_mut(&base) else {
            return false;
        };
        if !block.remove(sequence.wrapping_sub(base)) {
            return false;
        }
        self.len -= 1;
        if block.is_empty() {
            self.blocks.remove(&base);
            if self.blocks.is_empty() {
                self.shift = 0;
            }
        }
        true
    }

    /// Whether a number is in.
    pub fn contains(&self, sequence: u64) -> bool {
        let base = self.base(sequence);
        let block = self.blocks.get(&base);
        block.is_some_and(|block| block.contains(sequence.wrapping_sub(base)))
    }

    /// How many numbers are in.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether none is in.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Takes all out.
    pub fn clear(&mut self) {
        *self = Self::new();
    }

    /// Blocks in use; a dense run of n needs n / 2048 of them, one more where it begins and ends inside one.
    pub fn block_count(&self) -> usize {
        self.blocks.len()
    }

    /// Lowest and highest member.
    pub fn bounds(&self) -> Option<(u64, u64)> {
        let (first, low) = self.blocks.first_key_value()?;
        let (last, high) = self.blocks.last_key_value()?;
        Some((first + low.lowest()?, last + high.highest()?))
    }

    /// The members in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = u64> {
        self.blocks
            .iter()
            .flat_map(|(base, block)| block.iter().map(move |at| base + at))
    }

    /// The members from `first` on, in ascending order. Costs a walk down the tree, and a step each.
    pub fn iter_from(&self, first: u64) -> impl Iterator<Item = u64> {
        // No member is below the shift, where the bases begin.
        let blocks = self.blocks.range(self.base(first.max(self.shift))..);
        blocks
            .flat_map(|(base, block)| block.iter().map(move |at| base + at))
            .skip_while(move |sequence| *sequence < first)
    }

    /// The last of the members that follow `sequence` without a gap; `None` if `sequence` is no member.
    pub fn span_end(&self, sequence: u64) -> Option<u64> {
        if !self.contains(sequence) {
            return None;
        }
        let mut next = sequence;
        for (base, block) in self.blocks.range(self.base(sequence)..) {
            if *base > next {
                break; // A block is missing.
            }
            match block.first_missing(next - base) {
                Some(at) => return Some(base + at - 1),
                None => match base.checked_add(BLOCK) {
                    Some(end) => next = end,
                    None => return Some(u64::MAX),
                },
            }
        }
        Some(next - 1)
    }

    /// Adds every member of `other`. Costs a step for each of its blocks when both begin their blocks alike.
    pub fn union(&mut self, other: &Self) {
        if self.is_empty() {
            *self = other.clone();
            return;
        }
        if self.shift != other.shift {
            for sequence in other.iter() {
                self.insert(sequence);
            }
            return;
        }
        for (base, block) in &other.blocks {
            let own = self
                .blocks
                .entry(*base)
                .or_insert_with(|| Box::new(Bits([0; WORDS])));
            self.len -= own.count();
            own.add(block);
            self.len += own.count();
        }
    }

    /// Bytes that the set takes, those of the tree's own nodes estimated.
    pub fn memory_bytes(&self) -> usize {
        // A node of the tree has room for eleven entries and is two thirds full on average.
        size_of::<Self>() + self.blocks.len() * (size_of::<Bits>() + 2 * size_of::<(u64, usize)>())
    }

    /// Base of the block for `sequence`; for one below the shift, a base that no block has.
    fn base(&self, sequence: u64) -> u64 {
        sequence.wrapping_sub(sequence.wrapping_sub(self.shift) % BLOCK)
    }

    /// Moves all blocks to multiples of their size: a number came that is below the first.
    fn align(&mut self) {
        let old = std::mem::take(self);
        for sequence in old.iter() {
            self.insert(sequence);
        }
    }
}

/// The same members; where blocks begin does not matter.
impl PartialEq for SequenceSet {
    fn eq(&self, other: &Self) -> bool {
        self.len == other.len
            && if self.shift == other.shift {
                self.blocks == other.blocks
            } else {
                self.iter().eq(other.iter())
            }
    }
}

impl Eq for SequenceSet {}

impl FromIterator<u64> for SequenceSet {
    fn from_iter<I: IntoIterator<Item = u64>>(sequences: I) -> Self {
        let mut set = Self::new();
        set.extend(sequences);
        set
    }
}

impl Extend<u64> for SequenceSet {
    fn extend<I: IntoIterator<Item = u64>>(&mut self, sequences: I) {
        for sequence in sequences {
            self.insert(sequence);
        }
    }
}

/// A place in a block is an offset below [`BLOCK`]; any other is not in it.
impl Bits {
    fn insert(&mut self, at: u64) -> bool {
        let Some(word) = self.0.get_mut((at / 64) as usize) else {
            return false;
        };
        let bit = 1 << (at % 64);
        let is_new = *word & bit == 0;
        *word |= bit;
        is_new
    }

    /// Adds all places from `first` to `last`, and says how many are new.
    fn insert_range(&mut self, first: u64, last: u64) -> u64 {
        let mut new = 0;
        for (start, word) in (0_u64..).step_by(64).zip(&mut self.0) {
            let from = first.saturating_sub(start);
            let Some(to) = last.checked_sub(start) else { break };
            if from < 64 {
                let mask = (u64::MAX << from) & (u64::MAX >> (63 - to.min(63)));
                new += u64::from((mask & !*word).count_ones());
                *word |= mask;
            }
        }
        new
    }

    fn remove(&mut self, at: u64) -> bool {
        let was_in = self.contains(at);
        if let Some(word) = self.0.get_mut((at / 64) as usize) {
            *word &= !(1 << (at % 64));
        }
        was_in
    }

    fn contains(&self, at: u64) -> bool {
        self.0
            .get((at / 64) as usize)
            .is_some_and(|word| word & (1 << (at % 64)) != 0)
    }

    fn add(&mut self, other: &Self) {
        for (word, other) in self.0.iter_mut().zip(other.0) {
            *word |= other;
        }
    }

    fn is_empty(&self) -> bool {
        self.0 == [0; WORDS]
    }

    fn count(&self) -> u64 {
        self.0.iter().map(|word| u64::from(word.count_ones())).sum()
    }

    fn lowest(&self) -> Option<u64> {
        self.iter().next()
    }

    fn highest(&self) -> Option<u64> {
        let words = (0_u64..).zip(self.0).filter(|(_, word)| *word != 0);
        words
            .last()
            .map(|(index, word)| index * 64 + u64::from(word.ilog2()))
    }

    /// The first place from `from` on that is not in.
    fn first_missing(&self, from: u64) -> Option<u64> {
        (0_u64..)
            .zip(self.0)
            .skip((from / 64) as usize)
            .find_map(|(index, word)| {
                let before = from.saturating_sub(index * 64);
                let missing = !word & (u64::MAX << before);
                (missing != 0).then(|| index * 64 + u64::from(missing.trailing_zeros()))
            })
    }

    fn iter(&self) -> impl Iterator<Item = u64> {
        (0_u64..).zip(self.0).flat_map(|(index, word)| {
            let some = |rest: u64| (rest != 0).then_some(rest);
            let ones = std::iter::successors(some(word), move |rest| some(rest & (rest - 1)));
            ones.map(move |rest| index * 64 + u64::from(rest.trailing_zeros()))
        })
    }
}

#[cfg(test)]
mod tests;
