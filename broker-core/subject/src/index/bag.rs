//! An unordered list that stays quick when strangers make it long.

use hashbrown::HashTable;

/// Up to this length a walk over the items is as quick as hashing.
const LINEAR: usize = 64;

/// Values in a plain vector, with a table of their places once there are many.
///
/// Without the table, 100,000 subscriptions on one subject would each cost a walk over the others when
/// they go. `hash_of` must give the same hash for a value at every call. No method leaves the bag
/// half-changed when `hash_of` or `eq` panics: they run before the first change.
#[derive(Debug)]
pub(super) struct Bag<V> {
    items: Vec<V>,
    places: Option<Box<HashTable<u32>>>,
}

impl<V> Bag<V> {
    pub(super) const fn new() -> Self {
        Self {
            items: Vec::new(),
            places: None,
        }
    }

    /// A bag of one; takes no more room than it needs, because most stay like that.
    pub(super) fn of(value: V) -> Self {
        Self {
            items: vec![value],
            places: None,
        }
    }

    pub(super) fn items(&self) -> &[V] {
        &self.items
    }

    pub(super) fn get_mut(&mut self, at: usize) -> Option<&mut V> {
        self.items.get_mut(at)
    }

    /// Finds any item that `eq` accepts; `hash` is asked for only when it helps.
    pub(super) fn position(&self, hash: impl FnOnce() -> u64, eq: impl Fn(&V) -> bool) -> Option<usize> {
        match &self.places {
            None => self.items.iter().position(eq),
            Some(places) => {
                let found = places.find(hash(), |&at| self.items.get(at as usize).is_some_and(&eq));
                found.map(|&at| at as usize)
            }
        }
    }

    pub(super) fn push(&mut self, value: V, hash_of: impl Fn(&V) -> u64) {
        let at = self.items.len();
        let full = match &self.places {
            None => at >= LINEAR,
            Some(places) => places.len() == places.capacity(),
        };
        if full {
            // A new table instead of growth in place, which a panic would leave without some items.
            let mut places = HashTable::with_capacity(2 * at);
            for (at, item) in self.items.iter().enumerate() {
                places.insert_unique(hash_of(item), place(at), |_| 0);
            }
            self.places = Some(Box::new(places));
        }
        if let Some(places) = &mut self.places {
            // There is room, so no place is hashed again.
            places.insert_unique(hash_of(&value), place(at), |_| 0);
        }
        self.items.push(value);
    }

    /// Takes the item at `at` out; the last one moves into its place.
    pub(super) fn swap_remove(&mut self, at: usize, hash_of: impl Fn(&V) -> u64) -> Option<V> {
        let last = self.items.len().checked_sub(1)?;
        if let Some(places) = &mut self.places {
            let gone = hash_of(self.items.get(at)?);
            let moved = hash_of(self.items.get(last)?);
            if let Ok(entry) = places.find_entry(gone, |&place| place as usize == at) {
                entry.remove();
            }
            if let Some(entry) = places.find_mut(moved, |&place| place as usize == last) {
                *entry = place(at);
            }
            if last <= LINEAR / 2 {
                self.places = None;
            }
        }
        if at > last {
            return None;
        }
        let value = self.items.swap_remove(at);
        if self.items.capacity() > 4 * last + 4 {
            self.items.shrink_to(2 * last);
        }
        Some(value)
    }

    /// Bytes on the heap, what the values themselves hold there not included.
    pub(super) fn heap_bytes(&self) -> usize {
        let places = self
            .places
            .as_ref()
            .map_or(0, |places| size_of_val(&**places) + places.allocation_size());
        self.items.capacity() * size_of::<V>() + places
    }
}

/// The index refuses its 2^32nd subscription, so a place always fits.
fn place(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn hash(value: &u16) -> u64 {
        // Bad on purpose: many values share a hash.
        u64::from(*value % 7).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }

    #[test]
    fn bag_beyond_the_linear_length_shrinks_back_to_a_plain_list() {
        let mut bag = Bag::new();
        for value in 0..200 {
            bag.push(value, hash);
        }
        assert!(bag.places.is_some());
        for value in 0..200 {
            let at = bag.position(|| hash(&value), |item| *item == value).unwrap();
            assert_eq!(bag.swap_remove(at, hash), Some(value));
        }
        assert!(bag.places.is_none() && bag.items().is_empty());
        assert!(bag.items.capacity() <= 8);
    }

    proptest! {
        #[test]
        fn bag_holds_what_a_list_would_hold(steps in proptest::collection::vec((any::<bool>(), 0u16..90), 0..600)) {
            let mut bag = Bag::new();
            let mut model: Vec<u16> = Vec::new();
            for (insert, value) in steps {
                if insert || model.len() < 70 {
                    bag.push(value, hash);
                    model.push(value);
                    continue;
                }
                let found = bag.position(|| hash(&value), |item| *item == value);
                let known = model.iter().position(|item| *item == value);
                prop_assert_eq!(found.is_some(), known.is_some());
                if let (Some(at), Some(known)) = (found, known) {
                    prop_assert_eq!(bag.swap_remove(at, hash), Some(value));
                    model.swap_remove(known);
                }
            }
            let mut items = bag.items().to_vec();
            items.sort_unstable();
            model.sort_unstable();
            prop_assert_eq!(items, model);
        }
    }
}
