//! Where a block's records are, roughly: one offset for every 64 records.
//!
//! Ten million records of 128 bytes need 2 MB so; a record is found by reading the *span* between two offsets.

/// Records from one entry to the next.
const RECORDS: u32 = 64;
/// Bytes from one entry to the next, where records are large.
const BYTES: u64 = 16 << 10;

/// The offsets of a block. Entries rise in both numbers.
#[derive(Debug, Default)]
pub(super) struct Sparse {
    /// No message record at or behind the entry's offset has a lower sequence.
    sequences: Vec<u64>,
    offsets: Vec<u64>,
    /// Up to here the block has been looked at.
    through: u64,
    /// The lowest sequence that a record behind `through` may have.
    next: u64,
    records: u32,
}

impl Sparse {
    /// Takes a record that follows all others: where it ends, and its sequence, unless it holds none of its own, as
    /// a tombstone.
    pub(super) fn push(&mut self, sequence: Option<u64>, end: u64) {
        let since = self.through - self.offsets.last().copied().unwrap_or_default();
        if self.offsets.is_empty() || self.records >= RECORDS || since >= BYTES {
            self.sequences.push(sequence.unwrap_or(self.next));
            self.offsets.push(self.through);
            self.records = 0;
        }
        self.records += 1;
        self.through = end;
        if let Some(sequence) = sequence {
            self.next = sequence.saturating_add(1);
        }
    }

    /// What follows the last record up to here is none.
    pub(super) fn read_through(&mut self, end: u64) {
        self.through = self.through.max(end);
    }

    /// Up to which byte the block has been looked at.
    pub(super) fn through(&self) -> u64 {
        self.through
    }

    /// Where the record of a sequence begins and ends at most.
    pub(super) fn span(&self, sequence: u64) -> (u64, u64) {
        let behind = self.sequences.partition_point(|first| *first <= sequence);
        let end = self.offsets.get(behind).copied().unwrap_or(self.through);
        let start = behind.checked_sub(1).and_then(|at| self.offsets.get(at).copied());
        (start.unwrap_or_default(), end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_holds_its_sequence_and_few_others() {
        let mut sparse = Sparse::default();
        for sequence in 1..=1_000 {
            sparse.push(Some(sequence), sequence * 100);
        }
        for sequence in 1..=1_000 {
            let (start, end) = sparse.span(sequence);
            assert!(start <= (sequence - 1) * 100 && end >= sequence * 100);
            assert!(end - start <= 64 * 100);
        }
    }

    #[test]
    fn tombstones_before_a_message_do_not_hide_it() {
        let mut sparse = Sparse::default();
        sparse.push(Some(7), 100);
        for tombstone in 1..=200 {
            sparse.push(None, 100 + tombstone * 30);
        }
        sparse.push(Some(8), 6_200);
        assert_eq!(sparse.span(7).0, 0);
        let (start, end) = sparse.span(8);
        assert!(start <= 6_100 && end >= 6_200);
    }
}
