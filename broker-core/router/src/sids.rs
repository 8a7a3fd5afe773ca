//! The subscriptions of one session by their ids.
//!
//! Nearly every client counts its ids up from 1, so such numbers are places in a vector: eight bytes for a
//! subscription and no hash. Any other id, and a number far beyond what is held, is kept in a tree. A client that picks
//! numbers to waste room gets the tree. The order of a walk depends on nothing but the calls made. Rules: CORE-37.

use std::collections::BTreeMap;
use std::sync::Arc;

use dunlin_api::Sid;

use crate::member::Subscription;

/// Places that a session may have whatever it holds.
const FREE_PLACES: usize = 64;

/// Places for each subscription held: ids of ended subscriptions leave theirs empty.
const PLACES_EACH: usize = 4;

/// Subscriptions by id.
pub(crate) type SubscriptionMap = SidMap<Arc<Subscription>>;

/// Values by subscription id.
pub(crate) struct SidMap<T> {
    /// By the number that the id spells. The last place is taken.
    places: Vec<Option<T>>,
    others: BTreeMap<Sid, T>,
    len: usize,
}

impl<T> Default for SidMap<T> {
    fn default() -> Self {
        Self {
            places: Vec::new(),
            others: BTreeMap::new(),
            len: 0,
        }
    }
}

impl<T> SidMap<T> {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn get(&self, sid: &Sid) -> Option<&T> {
        number(sid)
            .and_then(|number| self.places.get(number)?.as_ref())
            .or_else(|| self.others.get(sid))
    }

    pub(crate) fn contains(&self, sid: &Sid) -> bool {
        self.get(sid).is_some()
    }

    /// Adds a value under an id that is free.
    pub(crate) fn insert(&mut self, sid: &Sid, value: T) {
        debug_assert!(!self.contains(sid), "the id is free");
        self.len += 1;
        let places = FREE_PLACES + self.len * PLACES_EACH;
        match number(sid).filter(|number| *number < places) {
            Some(number) => {
                if number >= self.places.len() {
                    self.places.resize_with(number + 1, || None);
                }
                if let Some(place) = self.places.get_mut(number) {
                    *place = Some(value);
                }
            }
            None => {
                self.others.insert(sid.clone(), value);
            }
        }
    }

    pub(crate) fn remove(&mut self, sid: &Sid) -> Option<T> {
        let placed = number(sid).and_then(|number| self.places.get_mut(number)?.take());
        let removed = placed.or_else(|| self.others.remove(sid))?;
        self.len -= 1;
        while self.places.last().is_some_and(Option::is_none) {
            self.places.pop();
        }
        if self.len == 0 {
            // The room of a storm of subscriptions goes back.
            *self = Self::default();
        }
        Some(removed)
    }

    /// All values: by number, then by text.
    pub(crate) fn values(&self) -> impl Iterator<Item = &T> {
        self.places.iter().flatten().chain(self.others.values())
    }

    /// All values, taken out.
    pub(crate) fn take_all(&mut self) -> Vec<T> {
        let Self { places, others, .. } = std::mem::take(self);
        places.into_iter().flatten().chain(others.into_values()).collect()
    }
}

/// The number that an id spells, if it spells it as everybody does: digits without a zero in front.
fn number(sid: &Sid) -> Option<usize> {
    let digits = sid.as_bytes();
    let is_plain =
        digits.len() <= 9 && digits.iter().all(u8::is_ascii_digit) && digits.first() != Some(&b'0');
    is_plain.then(|| {
        digits
            .iter()
            .fold(0, |number, digit| number * 10 + usize::from(digit - b'0'))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sid(text: &str) -> Sid {
        Sid::new(text.as_bytes()).unwrap()
    }

    #[test]
    fn ids_that_look_alike_are_different() {
        let mut map = SidMap::default();
        for text in ["1", "01", "+1"] {
            map.insert(&sid(text), text);
        }
        assert_eq!(map.len(), 3);
        assert_eq!(map.get(&sid("01")), Some(&"01"));
        assert_eq!(map.remove(&sid("1")), Some("1"));
        assert_eq!((map.contains(&sid("1")), map.contains(&sid("01"))), (false, true));
    }

    #[test]
    fn far_numbers_take_no_room() {
        let mut map = SidMap::default();
        for number in (1..1000).map(|n| n * 1_000_003) {
            map.insert(&sid(&number.to_string()), number);
        }
        assert!(map.places.len() <= FREE_PLACES + 1000 * PLACES_EACH);
        assert_eq!(map.len(), 999);
        assert_eq!(map.get(&sid("999002997")), Some(&999_002_997));
    }

    #[test]
    fn rising_ids_with_few_held_keep_little_room() {
        let mut map = SidMap::default();
        for number in 1..10_000_u32 {
            map.insert(&sid(&number.to_string()), number);
            if number > 10 {
                map.remove(&sid(&(number - 10).to_string()));
            }
        }
        assert_eq!(map.len(), 10);
        assert!(map.places.len() <= FREE_PLACES + 11 * PLACES_EACH);
    }

    proptest! {
        /// Against a plain map, whatever the ids look like.
        #[test]
        fn behaves_like_a_map(steps in prop::collection::vec((any::<bool>(), "[0-9]{1,3}|[ab]{1,2}|[1-9][0-9]{8,11}"), 0..200)) {
            let mut map = SidMap::default();
            let mut model = BTreeMap::new();
            for (step, (inserts, text)) in steps.iter().enumerate() {
                let id = sid(text);
                prop_assert_eq!(map.get(&id), model.get(&id));
                if *inserts && !map.contains(&id) {
                    map.insert(&id, step);
                    model.insert(id, step);
                } else {
                    prop_assert_eq!(map.remove(&id), model.remove(&id));
                }
                prop_assert_eq!(map.len(), model.len());
            }
            let mut found: Vec<_> = map.values().copied().collect();
            found.sort_unstable();
            let mut expected: Vec<_> = model.values().copied().collect();
            expected.sort_unstable();
            prop_assert_eq!(&found, &expected);
            let mut taken = map.take_all();
            taken.sort_unstable();
            prop_assert_eq!(taken, expected);
            prop_assert_eq!(map.len(), 0);
        }
    }
}
