//! The interest index: which subscriptions a subject reaches.
//!
//! A trie over tokens in one vector of nodes. A look-up walks it level by level: it keeps the nodes that
//! the tokens so far lead to, at most two for each node of the level before, the literal child and the one
//! for `*`. Nothing recurses, so the number of tokens cannot exhaust the stack, and each node of the trie is
//! reached at most once, so a look-up costs at most one visit to each stored token, whatever the subject.
//!
//! The index holds no lock. Changes compute first and commit last: when a value's `Eq`, `Hash` or `Clone`
//! panics, the index is as it was before. Rules: CORE-48, CORE-53, CORE-54, CORE-96, CORE-97, CORE-100,
//! CORE-102.

mod arena;
mod bag;
mod queries;
mod results;
mod subscribers;
mod token;
mod watch;

use std::hash::Hash;
use std::ops::ControlFlow;

use arena::{Arena, NodeId, ROOT};
use results::Frontier;
use subscribers::Subscribers;

pub use results::{Matches, QueueGroup};
pub use watch::{InterestWatch, WatchError};

use crate::check::{FULL_WILDCARD, PARTIAL_WILDCARD};
use crate::filter::Filter;
use crate::hashing::Hashing;
use crate::names::QueueName;
use crate::subject::Subject;

/// Subscriptions by filter and queue; `T` is the subscription or its number.
///
/// `T` is compared and hashed to find it again, so an `Arc` should do both by pointer. Values are not
/// looked through for duplicates: one inserted twice is matched twice and removed once at a time.
#[derive(Debug)]
pub struct InterestIndex<T> {
    arena: Arena<T>,
    hashing: Hashing,
    len: usize,
}

/// Why an index refused a change. The texts are the reference's. (CORE-96)
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IndexError {
    /// No such value is stored under this filter and queue.
    #[error("sublist: no matches found")]
    NoMatches,
    /// The index holds as many subscriptions or tokens as it can number, 2^32 - 1.
    #[error("sublist: full")]
    Full,
}

/// How many subscriptions a subject reaches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InterestCount {
    /// Subscriptions without a queue.
    pub plain: usize,
    /// Members of queue groups, all groups together.
    pub queue_members: usize,
}

impl<T> InterestIndex<T> {
    /// An empty index. `seed` keys its hash tables and should be a secret of this process, since strangers
    /// choose the tokens; no result depends on it.
    pub fn new(seed: u64) -> Self {
        Self {
            arena: Arena::new(),
            hashing: Hashing::new(seed),
            len: 0,
        }
    }

    /// How many values are stored.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether no value is stored.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// All stored values in no particular order.
    pub fn values(&self) -> impl Iterator<Item = &T> {
        self.arena.occupied().flat_map(|node| {
            let members = node.subscribers.groups().iter().flat_map(|group| group.members());
            node.subscribers.plain().iter().chain(members)
        })
    }

    /// Whether `subject` reaches anybody. Stops at the first; allocates nothing while a level of the walk
    /// stays below 17 nodes.
    pub fn has_interest(&self, subject: Subject<'_>) -> bool {
        self.walk(subject, &mut Frontier::default(), |_| ControlFlow::Break(()))
            .is_break()
    }

    /// How many subscriptions `subject` reaches, exactly: the lower bound that CORE-100 allows is not used.
    pub fn count_interest(&self, subject: Subject<'_>) -> InterestCount {
        let mut count = InterestCount::default();
        let counted = self.walk(subject, &mut Frontier::default(), |subscribers| {
            count.plain += subscribers.plain().len();
            count.queue_members += subscribers
                .groups()
                .iter()
                .map(|group| group.members().len())
                .sum::<usize>();
            ControlFlow::Continue(())
        });
        debug_assert!(counted.is_continue(), "counting never stops early");
        count
    }

    /// How many values are stored under exactly this filter. (CORE-101)
    pub fn count_exact(&self, filter: Filter<'_>) -> InterestCount {
        let (node, mut missing) = self.arena.descend(filter.tokens(), &self.hashing);
        if missing.next().is_some() {
            return InterestCount::default();
        }
        let subscribers = &self.arena.node(node).subscribers;
        InterestCount {
            plain: subscribers.plain().len(),
            queue_members: subscribers
                .groups()
                .iter()
                .map(|group| group.members().len())
                .sum(),
        }
    }

    /// Whether a value is stored under exactly this filter: a plain one, or a member of this queue group.
    /// (CORE-101)
    pub fn has_exact(&self, filter: Filter<'_>, queue: Option<&QueueName>) -> bool {
        let (node, mut missing) = self.arena.descend(filter.tokens(), &self.hashing);
        let subscribers = &self.arena.node(node).subscribers;
        missing.next().is_none()
            && match queue {
                None => !subscribers.plain().is_empty(),
                Some(queue) => subscribers.groups().iter().any(|group| group.name == *queue),
            }
    }

    /// Tokens stored, counting a token once for all filters that begin alike up to it.
    pub fn token_count(&self) -> usize {
        self.arena.node_count()
    }

    /// Bytes that the index takes, what values and queue names hold on the heap not included. Walks all
    /// nodes: for reports, not for the path.
    pub fn memory_bytes(&self) -> usize {
        size_of::<Self>() + self.arena.heap_bytes()
    }

    /// Visits every node whose filter matches `subject`, until `visit` breaks.
    fn walk(
        &self,
        subject: Subject<'_>,
        frontier: &mut Frontier,
        mut visit: impl FnMut(&Subscribers<T>) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        if subject.has_empty_token() {
            return ControlFlow::Continue(()); // CORE-97, even against `>`.
        }
        let Frontier { now, next } = frontier;
        now.clear();
        now.push(ROOT);
        for token in subject.tokens() {
            let hasher = self.hashing.begin(token);
            next.clear();
            for &id in now.iter() {
                let node = self.arena.node(id);
                if let Some(full) = node.full.get() {
                    visit(&self.arena.node(full).subscribers)?;
                }
                next.extend(node.partial.get());
                if node.children.get().is_some() {
                    // A token `*` or `>` of the subject finds nothing here: filters keep theirs in the
                    // fields above. (CORE-48)
                    next.extend(self.arena.literal(id, token, &hasher));
                }
            }
            std::mem::swap(now, next);
            if now.is_empty() {
                return ControlFlow::Continue(());
            }
        }
        let ends = now.iter().map(|&id| &self.arena.node(id).subscribers);
        // Here only longer filters may pass through; a node for `>` always has subscriptions.
        ends.filter(|subscribers| !subscribers.is_empty())
            .try_for_each(visit)
    }

    /// Adds the nodes below `top` to `found`, without `top`.
    fn descendants(&self, top: NodeId, found: &mut impl FnMut(&Subscribers<T>)) {
        let mut open = vec![top];
        while let Some(id) = open.pop() {
            let node = self.arena.node(id);
            if id != top {
                found(&node.subscribers);
            }
            open.extend(node.full.get());
            open.extend(node.partial.get());
            open.extend(self.children(id));
        }
    }

    /// The literal children of a node.
    fn children(&self, id: NodeId) -> impl Iterator<Item = NodeId> {
        std::iter::successors(self.arena.node(id).children.get(), |&child| {
            self.arena.node(child).next.get()
        })
    }
}

impl<T: Clone + Eq + Hash> InterestIndex<T> {
    /// Stores a value under a filter and, for a member of a queue group, the group's name.
    ///
    /// Costs one step per token, and one comparison per group already under the same filter while these
    /// are few.
    pub fn insert(
        &mut self,
        filter: Filter<'_>,
        queue: Option<&QueueName>,
        value: T,
    ) -> Result<(), IndexError> {
        if self.len >= u32::MAX as usize {
            return Err(IndexError::Full);
        }
        let (node, missing) = self.arena.descend(filter.tokens(), &self.hashing);
        // New nodes run no code of `T`, so nothing can unwind between them and the value.
        let node = self
            .arena
            .extend(node, missing, &self.hashing)
            .ok_or(IndexError::Full)?;
        self.arena
            .node_mut(node)
            .subscribers
            .insert(queue, value, &self.hashing);
        self.len += 1;
        Ok(())
    }

    /// Takes out a value that was stored under this filter and queue; nodes left empty go with it.
    ///
    /// Costs one step per token; the value is found by hash where many are stored under one filter.
    pub fn remove(
        &mut self,
        filter: Filter<'_>,
        queue: Option<&QueueName>,
        value: &T,
    ) -> Result<(), IndexError> {
        let (node, mut missing) = self.arena.descend(filter.tokens(), &self.hashing);
        if missing.next().is_some() {
            return Err(IndexError::NoMatches);
        }
        let removed = self
            .arena
            .node_mut(node)
            .subscribers
            .remove(queue, value, &self.hashing);
        let Some(removed) = removed else {
            return Err(IndexError::NoMatches);
        };
        self.arena.prune(node, &self.hashing);
        self.len -= 1;
        // Last, since dropping it may run anything.
        drop(removed);
        Ok(())
    }

    /// Finds everybody whom a message on `subject` reaches and puts them into `out`, which is cleared first.
    ///
    /// Tokens `*` and `>` of the subject are plain text. A subject with an empty token reaches nobody.
    /// (CORE-48, CORE-54, CORE-97)
    pub fn matches(&self, subject: Subject<'_>, out: &mut Matches<T>) {
        out.clear();
        let mut frontier = std::mem::take(&mut out.frontier);
        let walked = self.walk(subject, &mut frontier, |subscribers| {
            out.add(subscribers, &self.hashing);
            ControlFlow::Continue(())
        });
        debug_assert!(walked.is_continue(), "matching never stops early");
        out.frontier = frontier;
    }

    /// Finds everybody whose filter shares a subject with `pattern` and puts them into `out`, which is
    /// cleared first: the other direction of [`matches`](Self::matches). (CORE-102)
    ///
    /// Exactly the filters that [`collide`](crate::collides) with `pattern` are found; below a stored `>` the
    /// reference finds a few more. A pattern with wildcards costs a visit to all nodes that it covers.
    pub fn overlapping(&self, pattern: Filter<'_>, out: &mut Matches<T>) {
        out.clear();
        let mut frontier = std::mem::take(&mut out.frontier);
        let Frontier { now, next } = &mut frontier;
        now.clear();
        now.push(ROOT);
        for token in pattern.tokens() {
            let hasher = self.hashing.begin(token);
            next.clear();
            for &id in now.iter() {
                if token == FULL_WILDCARD {
                    self.descendants(id, &mut |subscribers| out.add(subscribers, &self.hashing));
                    continue;
                }
                let node = self.arena.node(id);
                if let Some(full) = node.full.get() {
                    out.add(&self.arena.node(full).subscribers, &self.hashing);
                }
                next.extend(node.partial.get());
                if token == PARTIAL_WILDCARD {
                    next.extend(self.children(id));
                } else {
                    next.extend(self.arena.literal(id, token, &hasher));
                }
            }
            std::mem::swap(now, next);
        }
        for &id in now.iter() {
            out.add(&self.arena.node(id).subscribers, &self.hashing);
        }
        out.frontier = frontier;
    }
}

#[cfg(test)]
mod generic_tests;
#[cfg(test)]
mod model_tests;
#[cfg(test)]
mod tests;
