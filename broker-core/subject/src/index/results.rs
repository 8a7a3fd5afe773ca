//! What a look-up gives.

use hashbrown::HashTable;
use smallvec::SmallVec;

use super::arena::NodeId;
use super::subscribers::{Group, Subscribers};
use crate::hashing::Hashing;
use crate::names::QueueName;

/// Comparisons of names that are cheaper than a table of them.
const LINEAR: usize = 256;

/// The subscriptions that a subject reaches, for reuse: each look-up clears it and keeps its room, so in
/// steady state a look-up allocates nothing.
///
/// The order of values, groups and members says nothing.
#[derive(Debug)]
pub struct Matches<T> {
    /// Subscriptions without a queue: each gets the message. (CORE-53)
    pub plain: Vec<T>,
    /// Queue groups: one member of each gets the message. A name occurs once, over all matching filters.
    /// (CORE-54)
    pub queues: Vec<QueueGroup<T>>,
    /// Emptied member lists of earlier look-ups.
    spare: Vec<Vec<T>>,
    /// Places in `queues` by name, while two long lists of groups are put together.
    places: HashTable<u32>,
    pub(super) frontier: Frontier,
}

/// The members of one queue group that a subject reaches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueGroup<T> {
    /// Name of the group.
    pub name: QueueName,
    /// Its members, each once for each of its subscriptions; at least one. Weights are for the caller to
    /// apply. (CORE-99)
    pub members: Vec<T>,
}

/// The nodes that a walk has reached at one depth, and those of the next.
#[derive(Debug, Default)]
pub(super) struct Frontier {
    pub(super) now: SmallVec<[NodeId; 16]>,
    pub(super) next: SmallVec<[NodeId; 16]>,
}

impl<T> Matches<T> {
    /// An empty result; allocates nothing yet.
    pub fn new() -> Self {
        Self {
            plain: Vec::new(),
            queues: Vec::new(),
            spare: Vec::new(),
            places: HashTable::new(),
            frontier: Frontier::default(),
        }
    }

    /// Drops what is in it and keeps the room.
    pub fn clear(&mut self) {
        self.plain.clear();
        for mut group in self.queues.drain(..) {
            group.members.clear();
            self.spare.push(group.members);
        }
    }

    /// Whether nobody is reached.
    pub fn is_empty(&self) -> bool {
        self.plain.is_empty() && self.queues.is_empty()
    }
}

impl<T> Default for Matches<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Clone> Matches<T> {
    /// Adds what hangs on one more matching node.
    pub(super) fn add(&mut self, subscribers: &Subscribers<T>, hashing: &Hashing) {
        self.plain.extend_from_slice(subscribers.plain());
        let groups = subscribers.groups();
        // Groups of one node have distinct names, so only groups of other nodes can be the same.
        let known = self.queues.len();
        if known.saturating_mul(groups.len()) <= LINEAR {
            for group in groups {
                let same = self
                    .queues
                    .iter()
                    .take(known)
                    .position(|queue| queue.name == group.name);
                self.merge(same, group);
            }
            return;
        }
        self.places.clear();
        // An empty table has nothing to hash again, and later inserts stay within this room.
        self.places.reserve(known, |_| 0);
        for (at, queue) in self.queues.iter().enumerate() {
            let place = u32::try_from(at).unwrap_or(u32::MAX);
            self.places
                .insert_unique(hashing.bytes(queue.name.as_bytes()), place, |_| 0);
        }
        for group in groups {
            let hash = hashing.bytes(group.name.as_bytes());
            let named = |at: &u32| {
                self.queues
                    .get(*at as usize)
                    .is_some_and(|queue| queue.name == group.name)
            };
            let same = self.places.find(hash, named).map(|&at| at as usize);
            self.merge(same, group);
        }
    }

    fn merge(&mut self, same: Option<usize>, group: &Group<T>) {
        match same.and_then(|at| self.queues.get_mut(at)) {
            Some(queue) => queue.members.extend_from_slice(group.members()),
            None => {
                let mut members = self.spare.pop().unwrap_or_default();
                members.extend_from_slice(group.members());
                self.queues.push(QueueGroup {
                    name: group.name.clone(),
                    members,
                });
            }
        }
    }
}
