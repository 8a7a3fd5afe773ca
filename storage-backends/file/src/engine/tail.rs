//! The newest bytes of the last block: from where its file ends, in clear.
//!
//! Records are encoded straight into it. Handing over freezes what is new, so that the journal and readers share the
//! same memory. Chunks begin and end with records. What the file has is dropped, but for a little that is read soon.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

/// What is kept of the bytes that the file has.
const KEPT: u64 = 16 << 10;
/// Memory is taken in these steps.
const STEP: usize = 32 << 10;

/// The end of a block.
#[derive(Debug, Default)]
pub(super) struct Tail {
    chunks: VecDeque<Bytes>,
    open: BytesMut,
    /// Offset of the first chunk in the block.
    base: u64,
    /// Offset of what is behind the chunks: the block's length without `open`.
    frozen: u64,
    /// Offset up to which bytes were handed over.
    handed: u64,
}

impl Tail {
    /// The tail of a block whose file has `length` bytes.
    pub(super) fn at(length: u64) -> Self {
        Self {
            base: length,
            frozen: length,
            handed: length,
            ..Self::default()
        }
    }

    /// The block's length with all that is staged.
    pub(super) fn end(&self) -> u64 {
        self.frozen + self.open.len() as u64
    }

    /// Where the memory begins.
    pub(super) fn base(&self) -> u64 {
        self.base
    }

    /// Takes one record, which `encode` writes.
    pub(super) fn push<T>(&mut self, size: usize, encode: impl FnOnce(&mut BytesMut) -> T) -> T {
        if self.open.capacity() - self.open.len() < size {
            self.freeze();
            self.open.reserve(size.max(STEP));
        }
        encode(&mut self.open)
    }

    /// Makes everything readable by others.
    pub(super) fn freeze(&mut self) {
        if !self.open.is_empty() {
            let chunk = self.open.split().freeze();
            self.frozen += chunk.len() as u64;
            self.chunks.push_back(chunk);
        }
    }

    /// What was not handed over before, with its offset.
    pub(super) fn hand_over(&mut self) -> (u64, Vec<Bytes>) {
        self.freeze();
        let from = self.handed;
        self.handed = self.frozen;
        (from, self.chunks_from(from))
    }

    /// Whether something waits to be handed over.
    pub(super) fn has_more(&self) -> bool {
        self.end() > self.handed
    }

    /// Drops what the file has, up to `written`.
    pub(super) fn trim(&mut self, written: u64) {
        while let Some(chunk) = self.chunks.front() {
            let end = self.base + chunk.len() as u64;
            if end > written || self.frozen - end < KEPT {
                break;
            }
            self.base = end;
            self.chunks.pop_front();
        }
    }

    /// The frozen bytes from an offset on that begins a record.
    pub(super) fn chunks_from(&self, from: u64) -> Vec<Bytes> {
        let mut found = Vec::new();
        let mut end = self.frozen;
        for chunk in self.chunks.iter().rev() {
            let start = end - chunk.len() as u64;
            if end <= from {
                break;
            }
            let skipped = usize::try_from(from.saturating_sub(start)).unwrap_or_default();
            found.push(chunk.slice(skipped..));
            end = start;
        }
        found.reverse();
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_handed_over_once_and_kept_until_the_file_has_them() {
        let mut tail = Tail::at(100);
        tail.push(3, |out| out.extend_from_slice(b"abc"));
        tail.freeze();
        tail.push(2, |out| out.extend_from_slice(b"de"));
        assert_eq!(tail.end(), 105);
        let (from, bytes) = tail.hand_over();
        assert_eq!((from, bytes.concat()), (100, b"abcde".to_vec()));
        assert!(!tail.has_more());
        tail.push(40_000, |out| out.resize(40_000, 7));
        let (from, bytes) = tail.hand_over();
        assert_eq!((from, bytes.concat().len()), (105, 40_000));
        tail.trim(104);
        assert_eq!(tail.base(), 103);
        tail.trim(40_105);
        assert_eq!(tail.base(), 105);
        assert_eq!(tail.chunks_from(40_103).concat(), [7, 7]);
    }
}
