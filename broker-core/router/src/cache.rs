//! The routes that a session used last, so that a publish to a known subject costs no look at the index.
//!
//! Entries are checked against the interest generation of their subject's shard: subscriptions of others to other
//! subjects do not empty the cache. A cache that mostly misses stops inserting, since a thrashing one costs more than
//! the index itself (measured: 2.3 times).

use std::sync::Arc;

use dunlin_api::{Subject, SubjectBuf};
use dunlin_subject::{Hashing, Matches, Stamp};
use hashbrown::HashTable;

use crate::account::Account;
use crate::mapping::Destination;
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
    /// The route of a subject that is not kept; most sessions never need it.
    passing: Option<Box<Route>>,
    /// Whether subjects go through the account's mappings; those that come from one do not.
    maps: bool,
    lookups: u32,
    misses: u32,
    paused_windows: u32,
}

/// Where a subject goes, and whether this session may publish to it.
#[derive(Default)]
pub(crate) struct Route {
    subject: Option<SubjectBuf>,
    /// What the account's mappings make of it. Where that is not known yet, there are no matches.
    pub(crate) destination: Destination,
    pub(crate) matches: Matches<Entry>,
    pub(crate) may_publish: bool,
    stamp: Option<Stamp>,
}

impl RouteCache {
    pub(crate) fn new() -> Self {
        Self {
            routes: HashTable::new(),
            passing: None,
            maps: true,
            lookups: 0,
            misses: 0,
            paused_windows: 0,
        }
    }

    /// A cache for subjects that a mapping has given, which are not mapped again.
    pub(crate) fn after_mapping() -> Self {
        Self {
            maps: false,
            ..Self::new()
        }
    }

    /// The route of `subject`, from here or from the index.
    pub(crate) fn route(&mut self, subject: Subject<'_>, account: &Account, rules: Option<&Rules>) -> &Route {
        self.weigh();
        if self.paused_windows > 0 {
            self.misses += 1;
            let passing = self.passing.get_or_insert_default();
            passing.fill(subject, account, rules, self.maps);
            return passing;
        }
        let hash = account.hashing().bytes(subject.as_bytes());
        match self.routes.find_entry(hash, |route| route.is_for(subject)) {
            Ok(entry) => {
                let route = entry.into_mut();
                if !route.stamp.is_some_and(|stamp| account.is_current(stamp)) {
                    self.misses += 1;
                    route.refresh(subject, account, rules, self.maps);
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
                route.fill(subject, account, rules, self.maps);
                let hashing = account.hashing();
                routes
                    .insert_unique(hash, route, |route| route.hash(hashing))
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

    fn hash(&self, hashing: &Hashing) -> u64 {
        hashing.bytes(
            self.subject
                .as_ref()
                .map(SubjectBuf::as_bytes)
                .unwrap_or_default(),
        )
    }

    /// Brings a route up to date. Where no mapping has a say, the decision about publishing stays: a cache lives as long
    /// as the rules of its session.
    fn refresh(&mut self, subject: Subject<'_>, account: &Account, rules: Option<&Rules>, maps: bool) {
        let is_unmapped = || !maps || account.mappings().is_none();
        if matches!(self.destination, Destination::Itself) && is_unmapped() {
            self.matches.clear();
            self.stamp = Some(account.lookup(subject, &mut self.matches));
            // Asked once more, now that the stamp is taken; see below.
            if is_unmapped() {
                return;
            }
        }
        self.fill(subject, account, rules, maps);
    }

    fn fill(&mut self, subject: Subject<'_>, account: &Account, rules: Option<&Rules>, maps: bool) {
        loop {
            let mappings = account.mappings().filter(|_| maps);
            self.destination = match &mappings {
                None => Destination::Itself,
                Some(mappings) => Destination::of(subject, mappings),
            };
            self.look_up(subject, account, rules);
            // Mappings are exchanged before the stamps become old: had these been exchanged in between, the new
            // stamp would not tell.
            let is_same = match (&mappings, account.mappings().filter(|_| maps)) {
                (None, None) => true,
                (Some(before), Some(now)) => Arc::ptr_eq(before, &now),
                _ => false,
            };
            if is_same {
                return;
            }
        }
    }

    fn look_up(&mut self, subject: Subject<'_>, account: &Account, rules: Option<&Rules>) {
        self.matches.clear();
        let target = match &self.destination {
            Destination::Itself => subject,
            Destination::Other(other) => other.as_subject(),
            Destination::Nowhere | Destination::Drawn(_) => {
                self.stamp = Some(account.stamp(subject));
                return;
            }
        };
        self.may_publish = rules.is_none_or(|rules| rules.may_publish(target));
        self.stamp = Some(account.lookup(target, &mut self.matches));
    }
}

#[cfg(test)]
mod tests {
    use dunlin_api::AccountName;
    use dunlin_subject::{MapDestination, Mapping, Mappings};

    use super::*;
    use crate::account::AccountLimits;

    fn account() -> Account {
        Account::new(AccountName::global(), false, AccountLimits::default(), 1)
    }

    fn mappings(source: &str, destination: &str, weight: u8) -> Mappings {
        let destination = MapDestination {
            subject: destination,
            weight,
            cluster: None,
        };
        Mappings::new([Mapping::new(source, &[destination]).unwrap()], None)
    }

    fn kind(route: &Route) -> String {
        match &route.destination {
            Destination::Itself => "itself".into(),
            Destination::Other(other) => other.to_string(),
            Destination::Nowhere => "nowhere".into(),
            Destination::Drawn(_) => "drawn".into(),
        }
    }

    // CORE-111, AUTH-804 [TestAccountRouteMappingChangesAfterClientStart]
    #[test]
    fn a_kept_route_follows_the_mappings_when_they_change() {
        let (mut cache, account) = (RouteCache::new(), account());
        let mut after = RouteCache::after_mapping();
        let subject = Subject::new(b"foo.a").unwrap();
        let mut check = |expected: &str| {
            assert_eq!(kind(cache.route(subject, &account, None)), expected);
            // Once more, now from the cache.
            assert_eq!(kind(cache.route(subject, &account, None)), expected);
            assert_eq!(kind(after.route(subject, &account, None)), "itself");
        };
        check("itself");
        account.set_mappings(mappings("foo.*", "bar.$1", 100));
        check("bar.a");
        account.set_mappings(mappings("foo.*", "baz.{{partition(1,1)}}", 100));
        check("baz.0");
        account.set_mappings(mappings("foo.*", "bar.$1", 99));
        check("drawn");
        account.set_mappings(mappings("foo.*", "bar.{{random(9)}}", 100));
        check("drawn");
        account.set_mappings(mappings("foo.a", "foo.a", 0));
        check("nowhere");
        account.set_mappings(mappings("other", "bar", 100));
        check("itself");
        account.set_mappings(Mappings::default());
        check("itself");
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
