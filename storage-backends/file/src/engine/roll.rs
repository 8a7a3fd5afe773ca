//! Beginning the next block (STORE-25 to STORE-29).

use dunlin_api::{StoreError, StreamShape};

use super::blocks::Block;
use super::handle::Handle;
use super::stream::FileStream;
use super::tail::Tail;

const LARGE: u64 = 8 << 20;
const MEDIUM: u64 = 4 << 20;
const ENCRYPTED: u64 = 2 << 20;
const SMALLEST: u64 = 32_000;
const DEFAULT_PAYLOAD: u64 = 1 << 20;
const LONGEST_SUBJECT: u64 = 256;

/// Bytes at which a block of such a stream is full (STORE-26).
pub(super) fn block_size(shape: &StreamShape, encrypted: bool) -> u64 {
    if let Some(size) = shape.block_size {
        return u64::from(size).min(LARGE);
    }
    let positive = |limit: Option<u64>| limit.filter(|limit| *limit > 0);
    if let Some(bytes) = positive(shape.max_bytes) {
        return quarter(bytes);
    }
    if let Some(messages) = positive(shape.max_messages) {
        let subject = shape.longest_subject.map_or(LONGEST_SUBJECT, u64::from);
        let payload = shape.max_message_size.map_or(DEFAULT_PAYLOAD, u64::from);
        return quarter(messages.saturating_mul(34 + subject + payload));
    }
    if positive(shape.max_messages_per_subject).is_some() {
        return MEDIUM;
    }
    match (encrypted, shape.short_lived) {
        (true, _) => ENCRYPTED,
        (false, true) => MEDIUM,
        (false, false) => LARGE,
    }
}

/// A stream of `bytes` is to have about four blocks.
fn quarter(bytes: u64) -> u64 {
    let quarter = (bytes / 4 + 1).next_multiple_of(100);
    match quarter {
        ..=SMALLEST => SMALLEST,
        LARGE.. => LARGE,
        _ => MEDIUM,
    }
}

impl FileStream {
    /// Sees to it that the last block takes a record (STORE-28).
    pub(super) fn make_room(&mut self, length: u64) -> Result<(), StoreError> {
        match self.blocks.last() {
            Some(block)
                if self.can_grow && (block.length == 0 || block.length + length <= self.block_size) =>
            {
                Ok(())
            }
            _ => self.roll(),
        }
    }

    /// Lets the last block's handle keep what its file does not have yet: it grows no more. Nothing happens a second
    /// time, when the last block may be another.
    pub(super) fn put_tail_away(&mut self) {
        self.hand_over_tail();
        let tail = std::mem::take(self.tail.get_mut());
        if tail.end() > 0
            && let Some(block) = self.blocks.last()
        {
            block.handle.keep_rest(tail);
        }
    }

    /// Begins a new block. What the old one's file does not have yet stays readable.
    pub(super) fn roll(&mut self) -> Result<(), StoreError> {
        let index = match self.blocks.last() {
            None => self.next_block,
            Some(block) => block.index().saturating_add(1).max(self.next_block),
        };
        if index == u32::MAX {
            return Err(StoreError::Full("no block number is left".to_owned()));
        }
        let form = self.home.new_form(index)?;
        self.put_tail_away();
        let handle = Handle::new(
            self.shared.clone(),
            &self.home.messages,
            index,
            form,
            0,
            self.marks.clone(),
        );
        let last = self.state.last;
        self.blocks.push(Block::empty(handle, last, self.state.last_time));
        self.next_block = index + 1;
        *self.tail.get_mut() = Tail::at(0);
        self.handed = dunlin_journal::BlockEnd::default();
        self.last_is_written = false;
        self.can_grow = true;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // STORE-26 [TestJetStreamClusterCheckFileStoreBlkSizes]
    #[test]
    fn a_block_is_a_quarter_of_the_stream_within_bounds() {
        let size = |shape: StreamShape| block_size(&shape, false);
        let plain = StreamShape::default();
        assert_eq!(size(plain), LARGE);
        let bytes = |max_bytes| StreamShape {
            max_bytes: Some(max_bytes),
            ..plain
        };
        assert_eq!(size(bytes(120_000)), SMALLEST);
        assert_eq!(size(bytes(1 << 20)), MEDIUM);
        assert_eq!(size(bytes(1 << 30)), LARGE);
        let messages = StreamShape {
            max_messages: Some(100),
            max_message_size: Some(100),
            longest_subject: Some(10),
            ..plain
        };
        assert_eq!(size(messages), SMALLEST);
        assert_eq!(block_size(&plain, true), ENCRYPTED);
    }
}
