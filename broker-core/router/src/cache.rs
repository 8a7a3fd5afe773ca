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

/// Subjects kept per session (CORE-63).
const CAPACITY: usize = 512;

/// Entries dropped when it is full.
const PRUNED: usize = 33;

/// Lookups after which hits and misses are weighed.
const WINDOW: u32 = 1024;

/// Windows without inserting after one in which most lookups missed.
const PAUSE: u32 = 8;

pub(crate) struct RouteCache {
    routes: HashTable<Route>,
    hasher: foldhash::fast::RandomState,
    /// The route of a subject that is not kept.
    passing: Route,
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
            passing: Route::default(),
            lookups: 0,
            misses: 0,
            paused_windows: 0,
        }
    }

    /// The route of `subject`, from here or from the index.
    pub(crate) fn route(&mut self, subject: Subject<'_>, account: &Account, rules: Option<&Rules>) -> &Route {
        self.weigh();
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
                if self.paused_windows > 0 {
                    self.passing.fill(subject, account, rules);
                    return &self.passing;
                }
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
            left => left - 1,
        };
        if mostly_missed {
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
