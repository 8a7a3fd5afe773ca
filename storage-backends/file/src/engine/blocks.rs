//! A stream's blocks as their owner knows them: which sequences each holds, without its records.
//!
//! Blocks rise in number and in sequence. Sequences between two blocks, and those in a block's set, hold no message.

use std::collections::VecDeque;
use std::sync::Arc;

use dunlin_subject::SequenceSet;

use super::handle::Handle;

/// What is known of a block.
#[derive(Clone)]
pub(super) struct Block {
    /// Its file.
    pub(super) handle: Arc<Handle>,
    /// The first message; behind `last` where there is none.
    pub(super) first: u64,
    /// The last sequence that it accounts for.
    pub(super) last: u64,
    /// Time of the first message.
    pub(super) first_time: i64,
    /// Time that goes with `last`.
    pub(super) last_time: i64,
    /// No message is later. Times rise, but for those that a skip brings.
    pub(super) latest: i64,
    /// Sequences between `first` and `last` without a message.
    pub(super) deleted: Arc<SequenceSet>,
    /// Messages in it.
    pub(super) messages: u64,
    /// What they count.
    pub(super) bytes: u64,
    /// Bytes of records, dead ones included.
    pub(super) length: u64,
    /// Messages with a `Nats-TTL` header (STORE-63).
    pub(super) ttls: u64,
    /// Messages with a `Nats-Schedule` header.
    pub(super) schedules: u64,
}

impl Block {
    /// A block without records, to follow on `last`.
    pub(super) fn empty(handle: Arc<Handle>, last: u64, last_time: i64) -> Self {
        Self {
            handle,
            first: last.saturating_add(1),
            last,
            first_time: 0,
            last_time,
            latest: last_time,
            deleted: Arc::default(),
            messages: 0,
            bytes: 0,
            length: 0,
            ttls: 0,
            schedules: 0,
        }
    }

    /// Its number.
    pub(super) fn index(&self) -> u32 {
        self.handle.index()
    }

    /// Bytes of its file at most, when all of them are there: a compressed one may become a plain one.
    pub(super) fn file_length(&self) -> u64 {
        match self.handle.is_compressed() {
            true => self.handle.written().max(self.length),
            false => self.length,
        }
    }

    /// Whether it holds a message with this sequence.
    pub(super) fn holds(&self, sequence: u64) -> bool {
        self.messages > 0 && (self.first..=self.last).contains(&sequence) && !self.deleted.contains(sequence)
    }

    /// The first message from `from` on.
    pub(super) fn at_or_after(&self, from: u64) -> Option<u64> {
        if self.messages == 0 {
            return None;
        }
        let mut at = from.max(self.first);
        if let Some(end) = self.deleted.span_end(at) {
            at = end.checked_add(1)?;
        }
        (at <= self.last).then_some(at)
    }

    /// The last message up to `to`: by halves, since runs of deletes are passed in one step only forwards.
    pub(super) fn at_or_before(&self, to: u64) -> Option<u64> {
        let reaches = |from: u64| self.at_or_after(from).is_some_and(|found| found <= to);
        let (mut low, mut high) = (self.first, self.last.min(to));
        if low > high || !reaches(low) {
            return None;
        }
        while low < high {
            let middle = high - (high - low) / 2;
            if reaches(middle) {
                low = middle;
            } else {
                high = middle - 1;
            }
        }
        self.at_or_after(low)
    }

    /// How many messages from `from` on.
    pub(super) fn messages_from(&self, from: u64) -> u64 {
        if from <= self.first {
            return self.messages;
        }
        if self.messages == 0 || from > self.last {
            return 0;
        }
        // A walk over the deletes behind; a set holds few for each of its words.
        let deleted = self.deleted.iter_from(from).count() as u64;
        (self.last - from + 1).saturating_sub(deleted)
    }

    /// Takes a sequence out of the messages; the first moves on to the next one, whose time is unknown then.
    /// Returns whether it moved.
    pub(super) fn take(&mut self, sequence: u64, bytes: u64) -> bool {
        self.messages = self.messages.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(bytes);
        if sequence != self.first {
            Arc::make_mut(&mut self.deleted).insert(sequence);
            return false;
        }
        self.first_time = 0;
        match self.at_or_after_removed(sequence) {
            Some(next) => {
                if !self.deleted.is_empty() {
                    let passed = Arc::make_mut(&mut self.deleted);
                    for sequence in sequence..next {
                        passed.remove(sequence);
                    }
                }
                self.first = next;
            }
            None => self.clear(),
        }
        true
    }

    /// No message is left.
    pub(super) fn clear(&mut self) {
        self.first = self.last.saturating_add(1);
        self.deleted = Arc::default();
        (self.messages, self.bytes) = (0, 0);
        (self.ttls, self.schedules) = (0, 0);
        self.first_time = 0;
    }

    fn at_or_after_removed(&self, removed: u64) -> Option<u64> {
        if self.messages == 0 {
            return None;
        }
        self.at_or_after(removed.checked_add(1)?)
    }
}

/// All blocks of a stream.
#[derive(Default)]
pub(super) struct Blocks {
    list: VecDeque<Block>,
}

impl Blocks {
    /// Adds one behind all.
    pub(super) fn push(&mut self, block: Block) {
        self.list.push_back(block);
    }

    /// Adds one before all.
    pub(super) fn push_front(&mut self, block: Block) {
        self.list.push_front(block);
    }

    /// Takes back the last of those that were split off.
    pub(super) fn extend_last(&mut self, all: &mut Vec<Block>) {
        self.list.extend(all.pop());
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.list.len()
    }

    /// By place.
    pub(super) fn get(&self, at: usize) -> Option<&Block> {
        self.list.get(at)
    }

    /// By place, to change it.
    pub(super) fn get_mut(&mut self, at: usize) -> Option<&mut Block> {
        self.list.get_mut(at)
    }

    /// The last.
    pub(super) fn last(&self) -> Option<&Block> {
        self.list.back()
    }

    /// The last, to change it.
    pub(super) fn last_mut(&mut self) -> Option<&mut Block> {
        self.list.back_mut()
    }

    /// Place of the block that accounts for a sequence, or of the next behind.
    pub(super) fn find(&self, sequence: u64) -> usize {
        self.list.partition_point(|block| block.last < sequence)
    }

    /// Place of a block by its number, or of the next behind.
    pub(super) fn find_index(&self, index: u32) -> usize {
        self.list.partition_point(|block| block.index() < index)
    }

    /// All, in order.
    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = &Block> + ExactSizeIterator {
        self.list.iter()
    }

    /// Those from a place on.
    pub(super) fn range(
        &self,
        range: std::ops::Range<usize>,
    ) -> impl DoubleEndedIterator<Item = (usize, &Block)> {
        let end = range.end.min(self.list.len());
        let start = range.start.min(end);
        (start..end).zip(self.list.range(start..end))
    }

    /// Takes the first out.
    pub(super) fn pop_front(&mut self) -> Option<Block> {
        self.list.pop_front()
    }

    /// Takes one out.
    pub(super) fn remove(&mut self, at: usize) -> Option<Block> {
        self.list.remove(at)
    }

    /// Takes those from a place on out.
    pub(super) fn split_off(&mut self, at: usize) -> Vec<Block> {
        self.list.split_off(at.min(self.list.len())).into()
    }

    /// The first message from `from` on, with its block's place.
    pub(super) fn at_or_after(&self, from: u64) -> Option<(usize, u64)> {
        let start = self.find(from);
        self.range(start..self.list.len())
            .find_map(|(at, block)| Some((at, block.at_or_after(from)?)))
    }

    /// How many messages from `from` on.
    pub(super) fn messages_from(&self, from: u64) -> u64 {
        let start = self.find(from);
        self.range(start..self.list.len())
            .map(|(_, block)| block.messages_from(from))
            .sum()
    }

    /// Bytes of memory that the sets take.
    pub(super) fn memory_bytes(&self) -> u64 {
        let sets = self.list.iter().map(|block| match block.deleted.is_empty() {
            true => 0,
            false => block.deleted.memory_bytes(),
        });
        (sets.sum::<usize>() + self.list.capacity() * size_of::<Block>()) as u64
    }
}
