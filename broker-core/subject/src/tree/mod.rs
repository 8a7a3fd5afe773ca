//! A map from subjects to values, in the order of their bytes, that many subjects fit into.
//!
//! What a store knows of each subject. Subjects lie front-coded in leaves of up to 64, which an ordered map of
//! the standard library finds; with a value of 16 bytes a subject costs 24 to 28 bytes in all, ten million
//! of them as well. An adaptive radix tree, as the reference has it, took 115. Rules: STORE-129, STORE-130,
//! CORE-105.

mod keys;
mod search;

use std::collections::BTreeMap;
use std::ops::{Bound, ControlFlow};

use keys::{Keys, common};
use search::{Next, literal_prefix, next_after};

use crate::filter::Filter;
use crate::pattern::matches;
use crate::subject::Subject;

/// Subjects of a leaf. More cost less memory and more time for each look-up.
const LEAF: usize = 64;

/// Bytes of a leaf's subjects: long ones do not make a change cost more.
const LEAF_BYTES: usize = 4096;

/// Neighbours that together have no more than this become one leaf.
const MERGED: usize = LEAF / 2;

/// Subjects with a value each. Subjects are literal: wildcards in them are text.
#[derive(Clone, Debug)]
pub struct SubjectTree<V> {
    /// Leaves by a lower bound: no subject of the leaf is below it, all of the leaf before are. The first
    /// bound is empty.
    leaves: BTreeMap<Box<[u8]>, Leaf<V>>,
    len: usize,
}

/// At least one subject.
#[derive(Clone, Debug)]
struct Leaf<V> {
    keys: Keys,
    values: Vec<V>,
}

impl<V> SubjectTree<V> {
    /// An empty tree.
    pub const fn new() -> Self {
        Self {
            leaves: BTreeMap::new(),
            len: 0,
        }
    }

    /// How many subjects are in.
    pub fn len(&self) -> usize {
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

    /// The value of a subject. Costs a walk down the tree, then a look at up to 64 subjects' own bytes.
    pub fn get(&self, subject: Subject<'_>) -> Option<&V> {
        let (_, leaf) = self
            .leaves
            .range::<[u8], _>(up_to(subject.as_bytes()))
            .next_back()?;
        let place = leaf.keys.find(subject.as_bytes());
        if place.is_there {
            leaf.values.get(place.index)
        } else {
            None
        }
    }

    /// The value of a subject, to change it.
    pub fn get_mut(&mut self, subject: Subject<'_>) -> Option<&mut V> {
        let (_, leaf) = self
            .leaves
            .range_mut::<[u8], _>(up_to(subject.as_bytes()))
            .next_back()?;
        let place = leaf.keys.find(subject.as_bytes());
        if place.is_there {
            leaf.values.get_mut(place.index)
        } else {
            None
        }
    }

    /// Gives a subject a value and returns the one that it had.
    pub fn insert(&mut self, subject: Subject<'_>, value: V) -> Option<V> {
        let mut value = Some(value);
        let slot = self.get_or_insert_with(subject, || value.take());
        match (value, slot) {
            // It was not asked for, so another one is there.
            (Some(value), Some(slot)) => Some(std::mem::replace(slot, value)),
            _ => None,
        }
    }

    /// The value of a subject, which is put in if there is none; `None` only if `make` gives none.
    pub fn get_or_insert_with(
        &mut self,
        subject: Subject<'_>,
        make: impl FnOnce() -> Option<V>,
    ) -> Option<&mut V> {
        let bytes = subject.as_bytes();
        if self.leaves.is_empty() {
            let value = make()?;
            let leaf = self.leaves.entry(Box::default()).or_insert_with(Leaf::new);
            leaf.insert(leaf.keys.find(bytes), bytes, value);
            self.len = 1;
            return leaf.values.first_mut();
        }
        let (_, leaf) = self.leaves.range_mut::<[u8], _>(up_to(bytes)).next_back()?;
        let place = leaf.keys.find(bytes);
        if place.is_there {
            return self.get_mut(subject);
        }
        leaf.insert(place, bytes, make()?);
        self.len += 1;
        if let Some((bound, right)) = leaf.split(place.index) {
            self.leaves.insert(bound, right);
        }
        self.get_mut(subject)
    }

    /// Takes a subject out and returns its value.
    pub fn remove(&mut self, subject: Subject<'_>) -> Option<V> {
        let bytes = subject.as_bytes();
        let (bound, leaf) = self.leaves.range_mut::<[u8], _>(up_to(bytes)).next_back()?;
        let place = leaf.keys.find(bytes);
        if !place.is_there {
            return None;
        }
        let value = leaf.remove(place);
        self.len -= 1;
        if leaf.values.len() <= MERGED / 2 {
            let bound = bound.clone();
            self.merge(&bound);
        }
        Some(value)
    }

    /// All values, in no promised order.
    pub fn values(&self) -> impl Iterator<Item = &V> {
        self.leaves.values().flat_map(|leaf| &leaf.values)
    }

    /// All values, in no promised order, to change them.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        self.leaves.values_mut().flat_map(|leaf| &mut leaf.values)
    }

    /// Visits all subjects from `start` on, in the order of their bytes, until `visit` breaks.
    pub fn visit_from<B>(
        &self,
        start: &[u8],
        mut visit: impl FnMut(Subject<'_>, &V) -> ControlFlow<B>,
    ) -> ControlFlow<B> {
        for (_, leaf) in self.leaves_from(start) {
            leaf.visit(|subject, value| {
                if subject < start {
                    return ControlFlow::Continue(());
                }
                visit(Subject::trusted(subject), value)
            })?;
        }
        ControlFlow::Continue(())
    }

    /// Visits all subjects that begin with `prefix`, in the order of their bytes, until `visit` breaks.
    pub fn visit_prefix<B>(
        &self,
        prefix: &[u8],
        mut visit: impl FnMut(Subject<'_>, &V) -> ControlFlow<B>,
    ) -> ControlFlow<B> {
        let ended = self.visit_from(prefix, |subject, value| {
            if !subject.as_bytes().starts_with(prefix) {
                return ControlFlow::Break(None);
            }
            visit(subject, value).map_break(Some)
        });
        match ended {
            ControlFlow::Break(Some(answer)) => ControlFlow::Break(answer),
            _ => ControlFlow::Continue(()),
        }
    }

    /// Visits all subjects that `filter` matches, each once and in the order of their bytes, until `visit`
    /// breaks. Looks only at subjects that begin with the filter's literal tokens, and passes over leaves in
    /// which nothing can match.
    pub fn visit_matching<B>(
        &self,
        filter: Filter<'_>,
        mut visit: impl FnMut(Subject<'_>, &V) -> ControlFlow<B>,
    ) -> ControlFlow<B> {
        let prefix = literal_prefix(filter);
        let mut next = Next::Any;
        let mut leaves = self.leaves_from(prefix).peekable();
        while let Some((_, leaf)) = leaves.next() {
            let end = leaves.peek().map(|(bound, _)| &***bound);
            if !passes(&next, end) {
                leaf.search(filter, prefix, &mut next, |subject, index| {
                    match leaf.values.get(index) {
                        Some(value) => visit(subject, value),
                        None => ControlFlow::Continue(()),
                    }
                })?;
            }
            if next == Next::Nowhere {
                break;
            }
        }
        ControlFlow::Continue(())
    }

    /// [`visit_matching`](Self::visit_matching) with values that `visit` may change.
    pub fn visit_matching_mut<B>(
        &mut self,
        filter: Filter<'_>,
        mut visit: impl FnMut(Subject<'_>, &mut V) -> ControlFlow<B>,
    ) -> ControlFlow<B> {
        let prefix = literal_prefix(filter);
        let first = self.bound_of(prefix);
        let mut next = Next::Any;
        let mut leaves = self
            .leaves
            .range_mut::<[u8], _>((Bound::Included(&*first), Bound::Unbounded))
            .peekable();
        while let Some((_, leaf)) = leaves.next() {
            let end = leaves.peek().map(|(bound, _)| &***bound);
            if !passes(&next, end) {
                let Leaf { keys, values } = leaf;
                search(keys, filter, prefix, &mut next, |subject, index| {
                    match values.get_mut(index) {
                        Some(value) => visit(subject, value),
                        None => ControlFlow::Continue(()),
                    }
                })?;
            }
            if next == Next::Nowhere {
                break;
            }
        }
        ControlFlow::Continue(())
    }

    /// Visits all subjects that any of `filters` matches, each once, until `visit` breaks: those of the first
    /// filter, then those that only the second matches, and so on.
    pub fn visit_matching_any<B>(
        &self,
        filters: &[Filter<'_>],
        mut visit: impl FnMut(Subject<'_>, &V) -> ControlFlow<B>,
    ) -> ControlFlow<B> {
        for (index, filter) in filters.iter().enumerate() {
            let earlier = filters.get(..index).unwrap_or_default();
            self.visit_matching(*filter, |subject, value| {
                if earlier.iter().any(|filter| matches(*filter, subject)) {
                    return ControlFlow::Continue(());
                }
                visit(subject, value)
            })?;
        }
        ControlFlow::Continue(())
    }

    /// Visits all subjects that both trees have, in the order of their bytes, until `visit` breaks. Walks the
    /// smaller one and looks up in the other.
    pub fn visit_common<W, B>(
        &self,
        other: &SubjectTree<W>,
        mut visit: impl FnMut(Subject<'_>, &V, &W) -> ControlFlow<B>,
    ) -> ControlFlow<B> {
        if self.len <= other.len {
            return self.visit_from(b"", |subject, value| match other.get(subject) {
                Some(theirs) => visit(subject, value, theirs),
                None => ControlFlow::Continue(()),
            });
        }
        other.visit_from(b"", |subject, theirs| match self.get(subject) {
            Some(value) => visit(subject, value, theirs),
            None => ControlFlow::Continue(()),
        })
    }

    /// Bytes that the tree takes, those of the ordered map's own nodes estimated, and what values hold on the
    /// heap not included. Walks all leaves.
    pub fn memory_bytes(&self) -> usize {
        let leaves = self.leaves.iter().map(|(bound, leaf)| {
            let slot = size_of::<Box<[u8]>>() + size_of::<Leaf<V>>();
            let values = leaf.values.capacity() * size_of::<V>();
            // Nodes of the map are two thirds full on average.
            slot * 3 / 2 + bound.len() + leaf.keys.heap_bytes() + values
        });
        size_of::<Self>() + leaves.sum::<usize>()
    }

    /// The leaf in which `start` would be, and all behind it.
    fn leaves_from(&self, start: &[u8]) -> impl Iterator<Item = (&Box<[u8]>, &Leaf<V>)> {
        let first = self.bound_of(start);
        self.leaves
            .range::<[u8], _>((Bound::Included(&*first), Bound::Unbounded))
    }

    /// The bound of the leaf in which `subject` would be.
    fn bound_of(&self, subject: &[u8]) -> Box<[u8]> {
        let found = self.leaves.range::<[u8], _>(up_to(subject)).next_back();
        found.map(|(bound, _)| bound.clone()).unwrap_or_default()
    }

    /// Puts a leaf that has become small together with a neighbour, if the two are small enough.
    fn merge(&mut self, bound: &[u8]) {
        let behind = (Bound::Excluded(bound), Bound::Unbounded);
        let right = self
            .leaves
            .range::<[u8], _>(behind)
            .next()
            .map(|(bound, _)| bound.clone());
        let left = self
            .leaves
            .range::<[u8], _>((Bound::Unbounded, Bound::Excluded(bound)))
            .next_back()
            .map(|(bound, _)| bound.clone());
        let own = Some(Box::from(bound));
        for (left, right) in [(left, own.clone()), (own, right)] {
            let (Some(left), Some(right)) = (left, right) else {
                continue;
            };
            let len = |bound| self.leaves.get::<[u8]>(bound).map_or(0, |leaf| leaf.values.len());
            let (before, after) = (len(&left), len(&right));
            if (before + after <= MERGED || before == 0 || after == 0)
                && let Some(mut gone) = self.leaves.remove(&right)
                && let Some(leaf) = self.leaves.get_mut(&left)
            {
                leaf.keys.append(&gone.keys);
                leaf.values.append(&mut gone.values);
                return;
            }
        }
        if self.len == 0 {
            self.leaves.clear();
        }
    }
}

impl<V> Default for SubjectTree<V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<V> Leaf<V> {
    fn new() -> Self {
        Self {
            keys: Keys::default(),
            values: Vec::new(),
        }
    }

    fn insert(&mut self, place: keys::Place, subject: &[u8], value: V) {
        self.keys.insert(place, subject);
        if self.values.len() == self.values.capacity() {
            self.values.reserve_exact(8);
        }
        self.values.insert(place.index, value);
    }

    fn remove(&mut self, place: keys::Place) -> V {
        self.keys.remove(place);
        self.values.remove(place.index)
    }

    /// Halves a leaf that is too large; gives the right half and its bound. Where subjects come in ascending
    /// order, the left one stays full.
    fn split(&mut self, inserted: usize) -> Option<(Box<[u8]>, Self)> {
        let len = self.values.len();
        if len <= LEAF && (self.keys.byte_len() <= LEAF_BYTES || len < 4) {
            return None;
        }
        let middle = if inserted + 1 == len { len - 1 } else { len / 2 };
        let right = Self {
            keys: self.keys.split_off(middle),
            values: self.values.split_off(middle),
        };
        self.values.shrink_to_fit();
        // As short as it can be and still be above everything on the left.
        let first = right.keys.first();
        let bound = first.get(..=common(&self.keys.last(), first)).unwrap_or(first);
        Some((bound.into(), right))
    }

    fn visit<B>(&self, mut visit: impl FnMut(&[u8], &V) -> ControlFlow<B>) -> ControlFlow<B> {
        let mut answer = ControlFlow::Continue(());
        self.keys.visit(|index, subject| {
            if let Some(value) = self.values.get(index) {
                answer = visit(subject, value);
            }
            answer.is_continue()
        });
        answer
    }

    fn search<B>(
        &self,
        filter: Filter<'_>,
        prefix: &[u8],
        next: &mut Next,
        visit: impl FnMut(Subject<'_>, usize) -> ControlFlow<B>,
    ) -> ControlFlow<B> {
        search(&self.keys, filter, prefix, next, visit)
    }
}

/// Visits what matches among the subjects of a leaf; `next` says afterwards where more can be.
fn search<B>(
    keys: &Keys,
    filter: Filter<'_>,
    prefix: &[u8],
    next: &mut Next,
    mut visit: impl FnMut(Subject<'_>, usize) -> ControlFlow<B>,
) -> ControlFlow<B> {
    let mut answer = ControlFlow::Continue(());
    let len = keys.len();
    *next = Next::Any;
    keys.visit(|index, subject| {
        if !subject.starts_with(prefix) {
            if subject > prefix {
                *next = Next::Nowhere;
            }
            return *next == Next::Any;
        }
        if matches(filter, Subject::trusted(subject)) {
            answer = visit(Subject::trusted(subject), index);
        } else if index + 1 == len {
            *next = next_after(filter, subject);
        }
        answer.is_continue()
    });
    answer
}

/// Whether everything below `end` is also below what can match next.
fn passes(next: &Next, end: Option<&[u8]>) -> bool {
    match (next, end) {
        (Next::From(target), Some(end)) => end <= target.as_slice(),
        _ => false,
    }
}

fn up_to(subject: &[u8]) -> (Bound<&[u8]>, Bound<&[u8]>) {
    (Bound::Unbounded, Bound::Included(subject))
}

#[cfg(test)]
mod tests;
