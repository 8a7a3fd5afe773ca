//! The subjects of one block: which of its records has which.
//!
//! Made by reading the block once, kept in the cache. It lists records as they were written, removed ones included,
//! so that removing costs nothing here: who asks brings the block's deletes.

use dunlin_api::{Filter, Subject, matches_any};
use dunlin_subject::{SequenceSet, SubjectTree};
use std::ops::ControlFlow;

/// Subjects of a block's messages.
#[derive(Clone, Default)]
pub(super) struct BlockSubjects {
    /// Rising.
    sequences: Vec<u64>,
    /// Number of the subject, for each sequence.
    numbers: Vec<u32>,
    subjects: SubjectTree<u32>,
    /// Up to this byte the block was read.
    through: u64,
}

/// Which of a block's subjects are asked for.
pub(super) enum Wanted {
    /// All of them.
    All,
    /// One.
    One(u32),
    /// Those that are marked, by number.
    Marked(Vec<bool>),
}

impl Wanted {
    fn has(&self, number: u32) -> bool {
        match self {
            Self::All => true,
            Self::One(wanted) => *wanted == number,
            Self::Marked(marks) => marks.get(number as usize).copied().unwrap_or_default(),
        }
    }
}

/// The messages that are left of a block, between two sequences.
#[derive(Clone, Copy)]
pub(super) struct Left<'a> {
    /// From here.
    pub(super) first: u64,
    /// To here.
    pub(super) last: u64,
    /// But not these.
    pub(super) deleted: &'a SequenceSet,
}

impl BlockSubjects {
    /// Takes a message that follows all others.
    pub(super) fn push(&mut self, sequence: u64, subject: Subject<'_>) {
        let new = u32::try_from(self.subjects.len()).ok();
        let Some(number) = self.subjects.get_or_insert_with(subject, || new) else {
            return;
        };
        self.numbers.push(*number);
        self.sequences.push(sequence);
    }

    /// Notes up to which byte the block was read.
    pub(super) fn read_through(&mut self, offset: u64) {
        self.through = offset;
    }

    /// Up to which byte the block was read.
    pub(super) fn through(&self) -> u64 {
        self.through
    }

    /// The subjects that match; `None`: none does. No filter matches all.
    pub(super) fn wanted(&self, filters: &[Filter<'_>]) -> Option<Wanted> {
        match filters {
            [] => Some(Wanted::All),
            [only] if only.is_literal() => {
                let number = self.subjects.get(only.as_subject())?;
                Some(Wanted::One(*number))
            }
            _ => {
                let mut marks = vec![false; self.subjects.len()];
                let mut any = false;
                for filter in filters {
                    let _ = self.subjects.visit_matching(*filter, |_, number| {
                        if let Some(mark) = marks.get_mut(*number as usize) {
                            *mark = true;
                            any = true;
                        }
                        ControlFlow::<()>::Continue(())
                    });
                }
                any.then_some(Wanted::Marked(marks))
            }
        }
    }

    /// The first wanted message that is left.
    pub(super) fn next(&self, wanted: &Wanted, left: Left<'_>) -> Option<u64> {
        self.walk(wanted, left).next().map(|(sequence, _)| sequence)
    }

    /// The last wanted message that is left.
    pub(super) fn previous(&self, wanted: &Wanted, left: Left<'_>) -> Option<u64> {
        self.walk(wanted, left).next_back().map(|(sequence, _)| sequence)
    }

    /// The wanted messages that are left, each with its subject's number.
    pub(super) fn walk<'a>(
        &'a self,
        wanted: &'a Wanted,
        left: Left<'a>,
    ) -> impl DoubleEndedIterator<Item = (u64, u32)> + 'a {
        let start = self.sequences.partition_point(|at| *at < left.first);
        let end = self.sequences.partition_point(|at| *at <= left.last);
        let numbers = self.numbers.get(start..end).unwrap_or_default();
        let sequences = self.sequences.get(start..end).unwrap_or_default();
        sequences
            .iter()
            .copied()
            .zip(numbers.iter().copied())
            .filter(move |(sequence, number)| wanted.has(*number) && !left.deleted.contains(*sequence))
    }

    /// Shows each subject that matches, with its number.
    pub(super) fn visit(&self, filters: &[Filter<'_>], mut visit: impl FnMut(Subject<'_>, u32)) {
        let _ = self.subjects.visit_from(b"", |subject, number| {
            if matches_any(filters, subject) {
                visit(subject, *number);
            }
            ControlFlow::<()>::Continue(())
        });
    }

    /// The number of a subject.
    pub(super) fn number(&self, subject: Subject<'_>) -> Option<u32> {
        self.subjects.get(subject).copied()
    }

    /// How many subjects there are.
    pub(super) fn len(&self) -> usize {
        self.subjects.len()
    }

    /// Bytes of memory.
    pub(super) fn memory_bytes(&self) -> u64 {
        (self.sequences.capacity() * 8 + self.numbers.capacity() * 4 + self.subjects.memory_bytes()) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wanted_messages_are_found_and_deleted_ones_are_not() {
        let mut index = BlockSubjects::default();
        for sequence in 1..=10 {
            let subject = format!("s.{}", sequence % 3);
            index.push(sequence, Subject::new(subject.as_bytes()).unwrap());
        }
        let mut deleted = SequenceSet::new();
        deleted.insert(4);
        let left = |first, last| Left {
            first,
            last,
            deleted: &deleted,
        };
        let one = [Filter::new(b"s.1").unwrap()];
        let wanted = index.wanted(&one).unwrap();
        assert_eq!(index.next(&wanted, left(2, 10)), Some(7));
        assert_eq!(index.previous(&wanted, left(1, 6)), Some(1));
        let all = [Filter::new(b"s.*").unwrap()];
        let wanted = index.wanted(&all).unwrap();
        assert_eq!(index.walk(&wanted, left(1, 10)).count(), 9);
        assert!(index.wanted(&[Filter::new(b"t").unwrap()]).is_none());
    }
}
