//! The routes that a session used last, so that a publish to a known subject costs no look at the index.
//!
//! Entries are checked against the interest generation of their subject's shard: subscriptions of others to other
//! subjects do not empty the cache. A cache that mostly misses stops inserting, since a thrashing one costs more than
//! the index itself (measured: 2.3 times).

use std::hash::BuildHasher;

use dunlin_api::{Subject, SubjectBuf};
use dunlin_subject::{Matches, Stamp};
use hashbrown::HashTable;

use crate::account::Account;
use crate::member::Entry;
use crate::permissions::Rules;

/// Subjects kept per session. The reference keeps 512 (CORE-63), which a publisher over a thousand subjects thrashes.
const CAPACITY: usize = 1024;

/// Entries dropped when it is full.
const PRUNED: usize = 33;

/// Lookups after which hits and misses are weighed.
const WINDOW: u32 = 4096;

/// Windows without inserting after one in which most lookups missed.
const PAUSE: u32 = 16;

pub(crate) struct RouteCache {
    routes: HashTable<Route>,
    hasher: foldhash::fast::RandomState,
    /// The route of a subject that is not kept; most sessions never need it.
    passing: Option<Box<Route>>,
    lookups: u32,
    misses: u32,
    paused_windows: u32,
}

/// Where a subject goes, and whether this session may publish to it.
#[derive(Default)]
pub(crate) struct Route {
    subject: Option<SubjectBuf>,
    pub(crate) matches: Matches<Entry>,
    pub(crate) may_publish: bool,
    stamp: Option<Stamp>,
}

impl RouteCache {
    pub(crate) fn new() -> Self {
        Self {
            routes: HashTable::new(),
            hasher: foldhash::fast::RandomState::default(),
            passing: None,
            lookups: 0,
            misses: 0,
            paused_windows: 0,
        }
    }

    /// The route of `subject`, from here or from the index.
    pub(crate) fn route(&mut self, subject: Subject<'_>, account: &Account, rules: Option<&Rules>) -> &Route {
        self.weigh();
        if self.paused_windows > 0 {
            self.misses += 1;
            let passing = self.passing.get_or_insert_default();
            passing.fill(subject, account, rules);
            return passing;
        }
        let hash = self.hasher.hash_one(subject.as_bytes());
        match self.routes.find_entry(hash, |route| route.is_for(subject)) {
            Ok(entry) => {
                let route = entry.into_mut();
                if !route.stamp.is_some_and(|stamp| account.is_current(stamp)) {
                    self.misses += 1;
                    route.look_up(subject, account);
                }
                route
            }
            Err(absent) => {
                self.misses += 1;
                let routes = absent.into_table();
                make_room(routes);
                let mut route = Route {
                    subject: Some(subject.to_owned()),
                    ..Route::default()
                };
                route.fill(subject, account, rules);
                let hasher = &self.hasher;
                routes
                    .insert_unique(hash, route, |route| route.hash(hasher))
                    .into_mut()
            }
        }
    }

    fn weigh(&mut self) {
        self.lookups += 1;
        if self.lookups < WINDOW {
            return;
        }
        let mostly_missed = self.misses > WINDOW / 2;
        self.paused_windows = match self.paused_windows {
            0 if mostly_missed => PAUSE,
            0 => 0,
            // All of a pause's lookups miss; the window after it decides anew.
            left => left - 1,
        };
        if self.paused_windows > 0 {
            self.routes.clear();
        }
        self.lookups = 0;
        self.misses = 0;
    }
}

fn make_room(routes: &mut HashTable<Route>) {
    if routes.len() < CAPACITY {
        return;
    }
    // Iteration follows the hash, so the victims are as good as random.
    let mut left = PRUNED;
    routes.retain(|_| {
        let is_spared = left == 0;
        left = left.saturating_sub(1);
        is_spared
    });
}

impl Route {
    fn is_for(&self, subject: Subject<'_>) -> bool {
        self.subject
            .as_ref()
            .is_some_and(|own| own.as_bytes() == subject.as_bytes())
    }

    fn hash(&self, hasher: &foldhash::fast::RandomState) -> u64 {
        hasher.hash_one(
            self.subject
                .as_ref()
                .map(SubjectBuf::as_bytes)
                .unwrap_or_default(),
        )
    }

    fn fill(&mut self, subject: Subject<'_>, account: &Account, rules: Option<&Rules>) {
        self.may_publish = rules.is_none_or(|rules| rules.may_publish(subject));
        self.look_up(subject, account);
    }

    fn look_up(&mut self, subject: Subject<'_>, account: &Account) {
        self.matches.clear();
        self.stamp = Some(account.lookup(subject, &mut self.matches));
    }
}

#[cfg(test)]
mod tests {
    use dunlin_api::AccountName;

    use super::*;
    use crate::account::AccountLimits;

    fn account() -> Account {
        Account::new(AccountName::global(), false, AccountLimits::default(), 1)
    }

    fn publish_round_robin(cache: &mut RouteCache, account: &Account, subjects: usize, times: usize) {
        for n in 0..times {
            let subject = format!("s.{}", n % subjects);
            let subject = Subject::new(subject.as_bytes()).unwrap();
            assert!(cache.route(subject, account, None).may_publish);
        }
    }

    #[test]
    fn a_cache_that_holds_its_subjects_keeps_them() {
        let (mut cache, account) = (RouteCache::new(), account());
        publish_round_robin(&mut cache, &account, CAPACITY, 3 * WINDOW as usize);
        assert_eq!((cache.routes.len(), cache.paused_windows), (CAPACITY, 0));
    }

    #[test]
    fn a_cache_that_mostly_misses_gives_up_for_a_while() {
        let (mut cache, account) = (RouteCache::new(), account());
        publish_round_robin(&mut cache, &account, 4 * CAPACITY, 2 * WINDOW as usize);
        assert!(cache.routes.is_empty() && cache.paused_windows > 0);
        let pause = (PAUSE * WINDOW) as usize;
        publish_round_robin(&mut cache, &account, 10, pause + WINDOW as usize);
        assert_eq!(cache.routes.len(), 10, "it tries again after the pause");
    }

    #[test]
    fn a_full_cache_makes_room_and_never_grows_beyond() {
        let (mut cache, account) = (RouteCache::new(), account());
        publish_round_robin(&mut cache, &account, 2 * CAPACITY, WINDOW as usize - 1);
        assert!(cache.routes.len() <= CAPACITY);
    }
}
