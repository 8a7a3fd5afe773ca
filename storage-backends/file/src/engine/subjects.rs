//! The subjects that a stream holds: how many messages of each, and where to look for them.
//!
//! Resident for the whole life of the stream, so an entry is small: 20 bytes beside the subject's own in the tree.
//! The last sequence is exact until that message is removed; then only a bound is known, as index.db has it for all
//! (STORE-83), and the next search finds it. The first block is a lower bound always.

use std::ops::ControlFlow;

use dunlin_api::{Filter, Subject};
use dunlin_subject::{SubjectTree, matches};

/// What is known of a subject's messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Figures {
    /// How many.
    pub(super) total: u64,
    /// None lies in a block before this one.
    pub(super) first_block: u32,
    /// Where the last is.
    pub(super) last: LastSeen,
}

/// Where the last message of a subject is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LastSeen {
    /// Its sequence.
    At(u64),
    /// None lies in a block behind this one.
    UpToBlock(u32),
}

/// [`Figures`] without padding.
#[derive(Clone, Copy)]
struct Packed {
    total: [u32; 2],
    first_block: u32,
    last: [u32; 2],
}

/// A sequence that a file could hold has the two highest bits free (STORE-21).
const BOUND_ONLY: u64 = 1 << 63;

impl Packed {
    fn new(figures: Figures) -> Self {
        let last = match figures.last {
            LastSeen::At(sequence) => sequence,
            LastSeen::UpToBlock(block) => BOUND_ONLY | u64::from(block),
        };
        Self {
            total: split(figures.total),
            first_block: figures.first_block,
            last: split(last),
        }
    }

    fn get(self) -> Figures {
        let last = join(self.last);
        Figures {
            total: join(self.total),
            first_block: self.first_block,
            last: if last & BOUND_ONLY == 0 {
                LastSeen::At(last)
            } else {
                LastSeen::UpToBlock(low(last))
            },
        }
    }
}

fn low(number: u64) -> u32 {
    (number & u64::from(u32::MAX)) as u32
}

fn split(number: u64) -> [u32; 2] {
    [low(number), low(number >> 32)]
}

fn join([low, high]: [u32; 2]) -> u64 {
    u64::from(low) | u64::from(high) << 32
}

/// All subjects of a stream.
#[derive(Default)]
pub(super) struct Subjects {
    tree: SubjectTree<Packed>,
}

impl Subjects {
    /// How many have messages.
    pub(super) fn len(&self) -> u64 {
        self.tree.len() as u64
    }

    /// Forgets all.
    pub(super) fn clear(&mut self) {
        self.tree.clear();
    }

    /// What is known of one.
    pub(super) fn get(&self, subject: Subject<'_>) -> Option<Figures> {
        self.tree.get(subject).map(|packed| packed.get())
    }

    /// Sets what is known of one.
    pub(super) fn set(&mut self, subject: Subject<'_>, figures: Figures) {
        self.tree.insert(subject, Packed::new(figures));
    }

    /// Counts a message that was appended to a block.
    pub(super) fn added(&mut self, subject: Subject<'_>, block: u32, sequence: u64) {
        let new = Packed::new(Figures {
            total: 0,
            first_block: block,
            last: LastSeen::At(sequence),
        });
        let Some(packed) = self.tree.get_or_insert_with(subject, || Some(new)) else {
            return;
        };
        packed.total = split(join(packed.total).wrapping_add(1));
        packed.last = split(sequence);
    }

    /// A message of the subject is in this block now.
    pub(super) fn moved(&mut self, subject: Subject<'_>, block: u32) {
        let Some(packed) = self.tree.get_mut(subject) else {
            return;
        };
        let mut figures = packed.get();
        if let LastSeen::UpToBlock(bound) = figures.last {
            figures.last = LastSeen::UpToBlock(bound.max(block));
        }
        *packed = Packed::new(figures);
    }

    /// Counts a message of a block no more.
    pub(super) fn removed(&mut self, subject: Subject<'_>, block: u32, sequence: u64) {
        let Some(packed) = self.tree.get_mut(subject) else {
            return;
        };
        let mut figures = packed.get();
        figures.total = figures.total.saturating_sub(1);
        if figures.total == 0 {
            self.tree.remove(subject);
            return;
        }
        if figures.last == LastSeen::At(sequence) {
            figures.last = LastSeen::UpToBlock(block);
        }
        *packed = Packed::new(figures);
    }

    /// Takes `count` messages of a subject away, all from before block `before`.
    pub(super) fn cut_front(&mut self, subject: Subject<'_>, count: u64, before: u32) {
        let Some(packed) = self.tree.get_mut(subject) else {
            return;
        };
        let mut figures = packed.get();
        figures.total = figures.total.saturating_sub(count);
        figures.first_block = figures.first_block.max(before);
        if figures.total == 0 {
            self.tree.remove(subject);
        } else {
            *packed = Packed::new(figures);
        }
    }

    /// Shows each subject that a filter matches, once, until `visit` breaks; no filter matches all. One filter: by
    /// rising bytes.
    pub(super) fn visit<B>(
        &self,
        filters: &[Filter<'_>],
        mut visit: impl FnMut(Subject<'_>, Figures) -> ControlFlow<B>,
    ) -> ControlFlow<B> {
        if filters.is_empty() {
            return self
                .tree
                .visit_from(b"", |subject, packed| visit(subject, packed.get()));
        }
        for (index, filter) in filters.iter().enumerate() {
            let earlier = filters.get(..index).unwrap_or_default();
            if filter.is_literal() {
                let subject = filter.as_subject();
                if let Some(figures) = self.get(subject)
                    && !earlier.iter().any(|filter| matches(*filter, subject))
                {
                    visit(subject, figures)?;
                }
                continue;
            }
            self.tree.visit_matching(*filter, |subject, packed| {
                if earlier.iter().any(|filter| matches(*filter, subject)) {
                    return ControlFlow::Continue(());
                }
                visit(subject, packed.get())
            })?;
        }
        ControlFlow::Continue(())
    }

    /// Bytes of memory.
    pub(super) fn memory_bytes(&self) -> u64 {
        self.tree.memory_bytes() as u64
    }
}
