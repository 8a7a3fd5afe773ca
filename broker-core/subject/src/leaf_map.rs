//! A sorted map of small things in long leaves: what is filled in order takes little more than its entries.
//!
//! The standard library's map has eleven entries to a node and leaves half of each free when keys rise, as sequences
//! and times mostly do. Here a leaf has 64, and one at the end is left full. An ordered map holds the leaves.

use std::collections::BTreeMap;
use std::ops::Bound::{Excluded, Unbounded};

/// Entries of a leaf: 1 KiB of the pairs that [`crate::SequenceTimers`] keeps. Longer ones save a byte an entry and cost
/// more to change in the middle.
const LEAF: usize = 64;

/// Neighbours that have no more entries than this together become one leaf.
const MERGED: usize = LEAF / 2;

/// A sorted map of keys and values that are cheap to copy. With 16 bytes a key and its value an entry takes 17 where keys
/// rise, and up to 24 otherwise.
///
/// ```
/// use dunlin_subject::LeafMap;
///
/// let mut sizes = LeafMap::new();
/// [(1, 30), (2, 45), (7, 31)].map(|(sequence, size)| sizes.insert(sequence, size));
/// assert_eq!((sizes.get(2), sizes.key_from(3), sizes.key_to(6)), (Some(45), Some(7), Some(2)));
/// ```
#[derive(Clone, Debug)]
pub struct LeafMap<K, V> {
    /// By a bound that is not above the first key and above all keys of the leaf before. No leaf is empty.
    leaves: BTreeMap<K, Vec<(K, V)>>,
    len: usize,
}

impl<K, V> Default for LeafMap<K, V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K, V> LeafMap<K, V> {
    /// An empty map.
    pub const fn new() -> Self {
        Self {
            leaves: BTreeMap::new(),
            len: 0,
        }
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bytes that the leaves take, those of the ordered map's own nodes estimated. Walks all leaves.
    pub fn heap_bytes(&self) -> usize {
        // A node of the ordered map has room for eleven leaves and is about half full.
        let slot = 2 * (size_of::<K>() + size_of::<Vec<(K, V)>>());
        let entries = self.leaves.values().map(Vec::capacity).sum::<usize>();
        self.leaves.len() * slot + entries * size_of::<(K, V)>()
    }
}

impl<K: Copy + Ord, V: Copy> LeafMap<K, V> {
    /// The value of a key. Logarithmic cost, as for all that takes a key.
    pub fn get(&self, key: K) -> Option<V> {
        let (_, leaf) = self.leaves.range(..=key).next_back()?;
        let at = place(leaf, key).ok()?;
        leaf.get(at).map(|(_, value)| *value)
    }

    /// Puts a value in and returns the one that was there.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        let Some((_, leaf)) = self.leaves.range_mut(..=key).next_back() else {
            // Below everything: the first leaf begins here from now on.
            let mut leaf = self.leaves.pop_first().map_or_else(Vec::new, |(_, leaf)| leaf);
            let right = insert(&mut leaf, 0, (key, value));
            self.leaves.insert(key, leaf);
            self.leaves.extend(right);
            self.len += 1;
            return None;
        };
        match place(leaf, key) {
            Ok(at) => leaf.get_mut(at).map(|(_, old)| std::mem::replace(old, value)),
            Err(at) => {
                let right = insert(leaf, at, (key, value));
                self.leaves.extend(right);
                self.len += 1;
                None
            }
        }
    }

    /// Takes a key out and returns its value.
    pub fn remove(&mut self, key: K) -> Option<V> {
        let (bound, leaf) = self.leaves.range_mut(..=key).next_back()?;
        let at = place(leaf, key).ok()?;
        let (_, value) = leaf.remove(at);
        self.len -= 1;
        if leaf.len() <= MERGED / 2 {
            let bound = *bound;
            self.merge(bound);
        }
        Some(value)
    }

    /// All entries, by key.
    pub fn iter(&self) -> impl Iterator<Item = (K, V)> {
        self.leaves.values().flatten().copied()
    }

    /// The first key from `key` on.
    pub fn key_from(&self, key: K) -> Option<K> {
        let within = self.leaves.range(..=key).next_back().and_then(|(_, leaf)| {
            let at = place(leaf, key).unwrap_or_else(|at| at);
            leaf.get(at)
        });
        let behind = || self.leaves.range(key..).find_map(|(_, leaf)| leaf.first());
        within.or_else(behind).map(|(key, _)| *key)
    }

    /// The last key up to `key`.
    pub fn key_to(&self, key: K) -> Option<K> {
        // A leaf may begin above its bound; then the one before it has the key.
        let mut leaves = self.leaves.range(..=key).rev();
        leaves.find_map(|(_, leaf)| {
            let end = place(leaf, key).map_or_else(|at| at, |at| at + 1);
            leaf.get(..end)?.last().map(|(key, _)| *key)
        })
    }

    /// How many keys there are from `key` on. Costs a step for each leaf.
    pub fn count_from(&self, key: K) -> usize {
        let within = self.leaves.range(..key).next_back().map_or(0, |(_, leaf)| {
            let before = place(leaf, key).unwrap_or_else(|at| at);
            leaf.len() - before
        });
        within
            + self
                .leaves
                .range(key..)
                .map(|(_, leaf)| leaf.len())
                .sum::<usize>()
    }

    /// Joins the leaf at `bound` with a neighbour where both are small, or drops it where it is empty.
    fn merge(&mut self, bound: K) {
        let Some(leaf) = self.leaves.get(&bound) else {
            return;
        };
        let len = leaf.len();
        let fits = |(_, other): &(&K, &Vec<(K, V)>)| len + other.len() <= MERGED;
        let before = self.leaves.range(..bound).next_back().filter(fits);
        let after = || {
            self.leaves
                .range((Excluded(bound), Unbounded))
                .next()
                .filter(fits)
        };
        let pair = match before {
            Some((left, _)) => Some((*left, bound)),
            None => after().map(|(right, _)| (bound, *right)),
        };
        if let Some((left, right)) = pair {
            let moved = self.leaves.remove(&right).unwrap_or_default();
            if let Some(leaf) = self.leaves.get_mut(&left) {
                leaf.extend(moved);
            }
        } else if len == 0 {
            self.leaves.remove(&bound);
        } else if let Some(leaf) = self.leaves.get_mut(&bound) {
            leaf.shrink_to(MERGED);
        }
    }
}

/// Puts an entry into a leaf; what no longer fits comes back as a leaf of its own, with its bound.
fn insert<K: Copy + Ord, V: Copy>(
    leaf: &mut Vec<(K, V)>,
    at: usize,
    entry: (K, V),
) -> Option<(K, Vec<(K, V)>)> {
    if leaf.len() < LEAF {
        leaf.insert(at, entry);
        return None;
    }
    if at == LEAF {
        // Where keys rise nothing more comes in here, and the leaf stays full.
        return Some((entry.0, vec![entry]));
    }
    let mut right = leaf.split_off(LEAF / 2);
    leaf.shrink_to_fit();
    match at.checked_sub(LEAF / 2) {
        Some(at) if at > 0 => right.insert(at, entry),
        _ => leaf.insert(at, entry),
    }
    let bound = right.first()?.0;
    Some((bound, right))
}

fn place<K: Ord, V>(leaf: &[(K, V)], key: K) -> Result<usize, usize> {
    match leaf.last() {
        // The common case, without a search.
        Some((last, _)) if *last < key => Err(leaf.len()),
        _ => leaf.binary_search_by(|(other, _)| other.cmp(&key)),
    }
}
