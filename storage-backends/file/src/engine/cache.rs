//! What all streams of a backend keep in memory of their blocks, under one budget.
//!
//! Spans of records, whole blocks where they are compressed, and indexes of a block's subjects. Everything here can be
//! read again, so it is dropped when room is needed: what was used since the hand last came by stays (CLOCK).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use bytes::Bytes;
use hashbrown::HashMap;
use parking_lot::Mutex;

use super::block_subjects::BlockSubjects;

/// The least that the cache has, however much the streams keep resident.
const FLOOR: u64 = 8 << 20;

/// Names a part of a block. A block that is rewritten gets another number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    /// The block's handle, unique in the process.
    pub(super) handle: u64,
    /// What of it.
    pub(super) part: Part,
}

/// A part of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Part {
    /// The records from an offset to the next in the sparse index.
    Span(u64),
    /// All of it.
    Whole,
    /// [`BlockSubjects`].
    Subjects,
}

/// What is kept.
#[derive(Clone)]
pub(super) enum Kept {
    /// Records in clear.
    Bytes(Bytes),
    /// An index.
    Subjects(Arc<BlockSubjects>),
}

impl Kept {
    fn size(&self) -> u64 {
        let overhead = 64;
        overhead
            + match self {
                Self::Bytes(bytes) => bytes.len() as u64,
                Self::Subjects(subjects) => subjects.memory_bytes(),
            }
    }
}

/// The cache. Its lock is held for a look-up, or for evicting what a new part needs.
pub(super) struct Cache {
    inner: Mutex<Inner>,
    /// What streams keep beside it, which lessens its room.
    resident: AtomicU64,
    budget: u64,
}

#[derive(Default)]
struct Inner {
    places: HashMap<Key, usize>,
    ring: Vec<Slot>,
    hand: usize,
    used: u64,
}

struct Slot {
    key: Key,
    kept: Kept,
    touched: bool,
}

impl Cache {
    /// A cache of about `budget` bytes, those that streams keep resident included.
    pub(super) fn new(budget: u64) -> Self {
        Self {
            inner: Mutex::default(),
            resident: AtomicU64::new(0),
            budget,
        }
    }

    /// A part, where it is kept.
    pub(super) fn get(&self, key: Key) -> Option<Kept> {
        let mut inner = self.inner.lock();
        let place = *inner.places.get(&key)?;
        let slot = inner.ring.get_mut(place)?;
        slot.touched = true;
        Some(slot.kept.clone())
    }

    /// The bytes of a part.
    pub(super) fn bytes(&self, key: Key) -> Option<Bytes> {
        match self.get(key)? {
            Kept::Bytes(bytes) => Some(bytes),
            Kept::Subjects(_) => None,
        }
    }

    /// Keeps a part, and drops others until there is room.
    pub(super) fn put(&self, key: Key, kept: Kept) {
        let room = self.room();
        let size = kept.size();
        if size > room / 2 {
            return;
        }
        let mut inner = self.inner.lock();
        inner.remove(key);
        while inner.used + size > room && inner.evict() {}
        let place = inner.ring.len();
        inner.ring.push(Slot {
            key,
            kept,
            touched: false,
        });
        inner.places.insert(key, place);
        inner.used += size;
    }

    /// Drops everything.
    pub(super) fn clear(&self) {
        *self.inner.lock() = Inner::default();
    }

    /// Drops a part.
    pub(super) fn remove(&self, key: Key) {
        self.inner.lock().remove(key);
    }

    /// Counts what a stream keeps resident, after it changed from `before` to `now`. Returns whether this made all of
    /// them exceed the budget.
    pub(super) fn resident(&self, before: u64, now: u64) -> bool {
        // The count guards nothing else, so relaxed order is right.
        let old = if now >= before {
            self.resident.fetch_add(now - before, Relaxed)
        } else {
            self.resident.fetch_sub(before - now, Relaxed)
        };
        let new = old.wrapping_add(now).wrapping_sub(before);
        old <= self.budget && new > self.budget
    }

    /// Bytes kept now.
    #[cfg(test)]
    pub(super) fn used(&self) -> u64 {
        self.inner.lock().used
    }

    fn room(&self) -> u64 {
        let resident = self.resident.load(Relaxed);
        self.budget.saturating_sub(resident).max(FLOOR)
    }
}

impl Inner {
    /// Drops one part; false where none is left.
    fn evict(&mut self) -> bool {
        // Once around clears every mark, so the second time around finds one.
        for _ in 0..=2 * self.ring.len() {
            if self.hand >= self.ring.len() {
                self.hand = 0;
            }
            match self.ring.get_mut(self.hand) {
                None => return false,
                Some(slot) if slot.touched => {
                    slot.touched = false;
                    self.hand += 1;
                }
                Some(slot) => {
                    let key = slot.key;
                    self.remove(key);
                    return true;
                }
            }
        }
        false
    }

    fn remove(&mut self, key: Key) {
        let Some(place) = self.places.remove(&key) else {
            return;
        };
        let slot = self.ring.swap_remove(place);
        self.used -= slot.kept.size();
        if let Some(moved) = self.ring.get(place) {
            self.places.insert(moved.key, place);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(handle: u64) -> Key {
        Key {
            handle,
            part: Part::Whole,
        }
    }

    #[test]
    fn the_cache_keeps_to_its_budget_and_prefers_what_was_used() {
        let cache = Cache::new(10 << 20);
        let megabyte = || Kept::Bytes(vec![0; 1 << 20].into());
        cache.put(key(0), megabyte());
        for handle in 1..100 {
            assert!(cache.bytes(key(0)).is_some());
            cache.put(key(handle), megabyte());
            assert!(cache.used() <= 10 << 20);
        }
        assert!(cache.bytes(key(0)).is_some());
        assert!(cache.bytes(key(1)).is_none());
    }

    #[test]
    fn residents_shrink_the_cache_to_its_floor_and_are_told_of_once() {
        let cache = Cache::new(20 << 20);
        assert!(!cache.resident(0, 15 << 20));
        assert!(cache.resident(15 << 20, 30 << 20));
        assert!(!cache.resident(30 << 20, 40 << 20));
        for handle in 0..20 {
            cache.put(key(handle), Kept::Bytes(vec![0; 1 << 20].into()));
        }
        assert!(cache.used() <= FLOOR);
        assert!(cache.used() > FLOOR / 2);
    }
}
