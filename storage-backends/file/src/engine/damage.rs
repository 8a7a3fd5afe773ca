//! What a stream has lost: noted once by whoever finds it, on any thread, and told to the observer.

use std::collections::BTreeMap;
use std::sync::Arc;

use dunlin_api::{Damage, StoreObserver};
use parking_lot::Mutex;

use super::fault::Fault;

/// The damage of a stream that is known and not repaired, by its first sequence.
pub(super) struct DamageLog {
    observer: Arc<dyn StoreObserver>,
    places: Mutex<BTreeMap<u64, Damage>>,
}

impl DamageLog {
    /// None yet.
    pub(super) fn new(observer: Arc<dyn StoreObserver>) -> Arc<Self> {
        Arc::new(Self {
            observer,
            places: Mutex::default(),
        })
    }

    /// A message cannot be read.
    pub(super) fn lost(&self, sequence: u64, fault: &Fault) {
        let detail = match fault {
            Fault::Damaged(detail) => detail.clone(),
            fault => format!("{fault:?}"),
        };
        self.note(Damage {
            first: sequence,
            last: sequence,
            bytes: 0,
            detail,
        });
    }

    /// Notes damage, and tells of it where it was not known.
    pub(super) fn note(&self, damage: Damage) {
        let known = {
            let mut places = self.places.lock();
            let before = places.range(..=damage.first).next_back();
            let known = before.is_some_and(|(_, known)| known.last >= damage.last);
            if !known {
                places.insert(damage.first, damage.clone());
            }
            known
        };
        if !known {
            self.observer.damage(&damage);
        }
    }

    /// What is known.
    pub(super) fn all(&self) -> Vec<Damage> {
        self.places.lock().values().cloned().collect()
    }

    /// These sequences are whole again, or wanted no more.
    pub(super) fn settled(&self, first: u64, last: u64) {
        let mut places = self.places.lock();
        let touched: Vec<u64> = places
            .range(..=last)
            .filter(|(_, damage)| damage.last >= first)
            .map(|(at, _)| *at)
            .collect();
        for at in touched {
            let Some(damage) = places.remove(&at) else {
                continue;
            };
            if damage.first < first {
                let left = Damage {
                    last: first - 1,
                    ..damage.clone()
                };
                places.insert(left.first, left);
            }
            if damage.last > last {
                let left = Damage {
                    first: last + 1,
                    ..damage
                };
                places.insert(left.first, left);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_settled_in_the_middle_leaves_both_sides() {
        let log = DamageLog::new(Arc::new(()));
        let damage = |first, last| Damage {
            first,
            last,
            bytes: 9,
            detail: "x".to_owned(),
        };
        log.note(damage(5, 9));
        log.note(damage(6, 7));
        assert_eq!(log.all(), [damage(5, 9)]);
        log.settled(7, 7);
        assert_eq!(log.all(), [damage(5, 6), damage(8, 9)]);
        log.settled(0, u64::MAX);
        assert_eq!(log.all(), []);
    }
}
