//! Telling a cached match result that it has become old.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::check::{FULL_WILDCARD, PARTIAL_WILDCARD};
use crate::filter::Filter;
use crate::hashing::Hashing;
use crate::subject::Subject;

const SHARDS: usize = 256;

/// Counts the changes of an [`InterestIndex`](crate::InterestIndex), by the first token of what changed.
///
/// A change under one first token leaves results under most others current, so that inboxes coming and
/// going do not empty everybody's route cache; a filter that begins with a wildcard makes all of them old.
/// Takes 2 KiB. Reading takes two atomic loads and no lock.
///
/// Order of use: whoever changes the index calls [`bump`](Self::bump) after the change and before its
/// exclusive lock opens; whoever looks up takes the [`stamp`](Self::stamp) before the look-up or under the
/// same shared lock. Then a result whose stamp [is current](Self::is_current) misses no change.
#[derive(Debug)]
pub struct Generations {
    shards: Box<[AtomicU64; SHARDS]>,
    wildcards: AtomicU64,
    hashing: Hashing,
}

/// The state of the index as one subject saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    shard: u8,
    /// Both counters only grow, so their sum is the same exactly when both are.
    generation: u64,
}

impl Generations {
    /// Starts with no changes. `seed` should be a secret of this process: strangers choose first tokens.
    pub fn new(seed: u64) -> Self {
        Self {
            shards: Box::new([const { AtomicU64::new(0) }; SHARDS]),
            wildcards: AtomicU64::new(0),
            hashing: Hashing::new(seed),
        }
    }

    /// Counts a change of interest in `filter`.
    pub fn bump(&self, filter: Filter<'_>) {
        let counter = match filter.tokens().next() {
            Some(PARTIAL_WILDCARD | FULL_WILDCARD) | None => &self.wildcards,
            Some(token) => self.counter(self.shard(token)),
        };
        // Release: whoever sees the new number sees what was changed before it.
        counter.fetch_add(1, Ordering::Release);
    }

    /// Makes every stamp old, after a change whose filters are not known one by one.
    pub fn bump_all(&self) {
        self.wildcards.fetch_add(1, Ordering::Release);
    }

    /// The stamp to keep beside a result for `subject`.
    pub fn stamp(&self, subject: Subject<'_>) -> Stamp {
        let shard = self.shard(subject.tokens().next().unwrap_or_default());
        Stamp {
            shard,
            generation: self.generation(shard),
        }
    }

    /// Whether nothing that could concern the stamp's subject has changed since. Hashes nothing.
    pub fn is_current(&self, stamp: Stamp) -> bool {
        self.generation(stamp.shard) == stamp.generation
    }

    fn generation(&self, shard: u8) -> u64 {
        // Acquire pairs with the release in `bump`: an old result is never taken for the new state.
        let shard = self.counter(shard).load(Ordering::Acquire);
        shard.wrapping_add(self.wildcards.load(Ordering::Acquire))
    }

    fn shard(&self, first_token: &[u8]) -> u8 {
        // The top byte: the cast keeps the low eight bits of what is left.
        (self.hashing.bytes(first_token) >> 56) as u8
    }

    fn counter(&self, shard: u8) -> &AtomicU64 {
        // A u8 is always below SHARDS.
        &self.shards[usize::from(shard)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(text: &str) -> Filter<'_> {
        Filter::new(text.as_bytes()).unwrap()
    }

    fn subject(text: &str) -> Subject<'_> {
        Subject::new(text.as_bytes()).unwrap()
    }

    // CORE-98
    #[test]
    fn change_that_can_match_makes_the_stamp_old() {
        for changed in ["a", "a.b", "a.*", "a.>", "*", "*.b", ">"] {
            let generations = Generations::new(7);
            let stamp = generations.stamp(subject("a.b"));
            assert!(generations.is_current(stamp));
            generations.bump(filter(changed));
            assert!(!generations.is_current(stamp), "{changed}");
            assert!(generations.is_current(generations.stamp(subject("a.b"))));
        }
    }

    // CORE-98
    #[test]
    fn change_under_another_first_token_leaves_most_stamps_current() {
        let generations = Generations::new(7);
        let names: Vec<String> = (0..64).map(|n| format!("first{n}.x")).collect();
        let stamps: Vec<Stamp> = names
            .iter()
            .map(|name| generations.stamp(subject(name)))
            .collect();
        generations.bump(filter("_INBOX.abc.*"));
        let old = stamps
            .iter()
            .filter(|stamp| !generations.is_current(**stamp))
            .count();
        assert!(old <= 4, "{old} of 64 stamps became old");
        generations.bump_all();
        assert!(stamps.iter().all(|stamp| !generations.is_current(*stamp)));
    }

    // CORE-48: a published `*` is text; only filters that begin with a wildcard reach it.
    #[test]
    fn subject_that_begins_with_a_wildcard_token_follows_wildcard_filters() {
        let generations = Generations::new(7);
        let stamp = generations.stamp(subject("*.b"));
        generations.bump(filter("*.b"));
        assert!(!generations.is_current(stamp));
    }
}
