//! An account: its interest, its members and its limits. Accounts see nothing of each other.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize};

use arc_swap::ArcSwap;
use dunlin_api::{AccountName, SessionLimits, Subject, fault};
use dunlin_subject::{Generations, Hashing, InterestIndex, Mappings, Matches, Stamp};
use parking_lot::{Mutex, RwLock};

use crate::member::{Entry, Member, Subscription, Traffic, TrafficCells};

/// Removals under one hold of the interest's lock, so that a session with very many subscriptions does not keep
/// everybody waiting when it ends.
const REMOVALS_AT_ONCE: usize = 1024;

/// Limits of an account; `None` means no limit.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct AccountLimits {
    pub(crate) connections: Option<u64>,
    pub(crate) session: SessionLimits,
}

/// Numbers of one account, read at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AccountTotals {
    /// Connections with a session in it.
    pub connections: usize,
    /// Subscriptions of all its sessions.
    pub subscriptions: usize,
    /// Messages and bytes of its sessions since start.
    pub traffic: Traffic,
    /// Times since start that one of its connections did not keep up with what it is sent (CORE-67, CORE-68).
    pub slow_consumers: u64,
}

pub(crate) struct Account {
    pub(crate) name: AccountName,
    pub(crate) is_system: bool,
    limits: Mutex<AccountLimits>,
    interest: RwLock<InterestIndex<Entry>>,
    generations: Generations,
    mappings: ArcSwap<Mappings>,
    /// Whether there are mappings, so that an account without them is not asked.
    has_mappings: AtomicBool,
    hash_seed: u64,
    hashing: Hashing,
    /// By id, so that whatever is done to all of them is done in one order.
    members: Mutex<BTreeMap<u64, Arc<Member>>>,
    connections: AtomicUsize,
    /// Traffic of sessions that have ended.
    past_traffic: TrafficCells,
    slow_consumers: AtomicU64,
}

impl Account {
    pub(crate) fn new(name: AccountName, is_system: bool, limits: AccountLimits, hash_seed: u64) -> Self {
        Self {
            name,
            is_system,
            limits: Mutex::new(limits),
            interest: RwLock::new(InterestIndex::new(hash_seed)),
            generations: Generations::new(hash_seed),
            mappings: ArcSwap::default(),
            has_mappings: AtomicBool::new(false),
            hash_seed,
            hashing: Hashing::new(hash_seed),
            members: Mutex::default(),
            connections: AtomicUsize::new(0),
            past_traffic: TrafficCells::default(),
            slow_consumers: AtomicU64::new(0),
        }
    }

    /// What it may use. Asked at logins and reloads, never per message.
    pub(crate) fn limits(&self) -> AccountLimits {
        *self.limits.lock()
    }

    /// Other limits, for those that come from now on.
    pub(crate) fn set_limits(&self, limits: AccountLimits) {
        *self.limits.lock() = limits;
    }

    /// Takes a connection in, unless the account has all that it may have.
    pub(crate) fn try_join(&self) -> bool {
        let limit = self
            .limits()
            .connections
            .and_then(|limit| usize::try_from(limit).ok());
        let joined = self.connections.fetch_update(Relaxed, Relaxed, |count| {
            (limit.is_none_or(|limit| count < limit)).then_some(count + 1)
        });
        joined.is_ok()
    }

    /// A connection that joined has left.
    pub(crate) fn leave(&self) {
        self.connections.fetch_sub(1, Relaxed);
    }

    pub(crate) fn add_member(&self, member: &Arc<Member>) {
        self.members.lock().insert(member.id, member.clone());
    }

    /// Withdraws a member with all its subscriptions as one batch (CORE-51), and returns them.
    pub(crate) fn remove_member(&self, member: &Arc<Member>) -> Vec<Arc<Subscription>> {
        self.members.lock().remove(&member.id);
        let subscriptions = member.subscriptions.lock().take_all();
        for batch in subscriptions.chunks(REMOVALS_AT_ONCE) {
            for subscription in batch {
                subscription.quota.close();
            }
            self.change(|index| {
                for subscription in batch {
                    remove(index, subscription);
                }
            });
            for subscription in batch {
                self.generations.bump(subscription.filter.as_filter());
            }
        }
        self.past_traffic.add(member.traffic.read());
        subscriptions
    }

    pub(crate) fn members(&self) -> Vec<Arc<Member>> {
        self.members.lock().values().cloned().collect()
    }

    /// Traffic of all sessions, past and present.
    pub(crate) fn traffic(&self) -> Traffic {
        let total = TrafficCells::default();
        total.add(self.past_traffic.read());
        for member in self.members.lock().values() {
            total.add(member.traffic.read());
        }
        total.read()
    }

    /// One of its sessions did not keep up (CORE-67, CORE-68).
    pub(crate) fn count_slow_consumer(&self) {
        self.slow_consumers.fetch_add(1, Relaxed);
    }

    /// What it shows of itself at this moment. Visits its sessions.
    pub(crate) fn totals(&self) -> AccountTotals {
        AccountTotals {
            connections: self.connections.load(Relaxed),
            subscriptions: self.subscription_count(),
            traffic: self.traffic(),
            slow_consumers: self.slow_consumers.load(Relaxed),
        }
    }

    pub(crate) fn subscription_count(&self) -> usize {
        self.interest.read().len()
    }

    /// Makes a subscription known. The member's own map must already hold it.
    pub(crate) fn insert(&self, subscription: &Arc<Subscription>) {
        self.change(|index| {
            // A rebuild may have found it in the member's map already.
            if !subscription.is_indexed.load(Relaxed) {
                add(index, subscription);
            }
            fault::point("index");
        });
        self.generations.bump(subscription.filter.as_filter());
    }

    /// Withdraws one subscription.
    pub(crate) fn remove(&self, subscription: &Arc<Subscription>) {
        self.change(|index| remove(index, subscription));
        self.generations.bump(subscription.filter.as_filter());
    }

    /// The subscriptions that `subject` reaches and may be delivered to, and the stamp under which the answer holds.
    /// This is the one place where deny rules of receivers are asked: a route holds nobody else (AUTH-208).
    pub(crate) fn lookup(&self, subject: Subject<'_>, matches: &mut Matches<Entry>) -> Stamp {
        // The stamp comes first: an answer may be newer than its stamp, never older.
        let stamp = self.generations.stamp(subject);
        self.interest.read().matches(subject, matches);
        matches
            .plain
            .retain(|Entry(subscription)| subscription.may_deliver(subject));
        for group in &mut matches.queues {
            group
                .members
                .retain(|Entry(subscription)| subscription.may_deliver(subject));
        }
        stamp
    }

    /// The stamp of an answer that does not depend on who has subscribed.
    pub(crate) fn stamp(&self, subject: Subject<'_>) -> Stamp {
        self.generations.stamp(subject)
    }

    /// The account's subject mappings; `None` when there are none, which costs one load to say.
    pub(crate) fn mappings(&self) -> Option<Arc<Mappings>> {
        // Acquire pairs with the release below: whoever sees that there are mappings sees them.
        self.has_mappings.load(Acquire).then(|| self.mappings.load_full())
    }

    /// Exchanges the mappings, for open sessions too: routes that they keep are looked up again, if these are other ones.
    pub(crate) fn set_mappings(&self, mappings: Mappings) {
        if **self.mappings.load() == mappings {
            return;
        }
        let has_mappings = !mappings.is_empty();
        self.mappings.store(Arc::new(mappings));
        self.has_mappings.store(has_mappings, Release);
        self.generations.bump_all();
    }

    /// The plain subscription of session `id` that a message to `subject` would reach first, spent ones left out.
    pub(crate) fn plain_of(&self, id: u64, subject: Subject<'_>) -> Option<Arc<Subscription>> {
        let mut matches = Matches::default();
        self.interest.read().matches(subject, &mut matches);
        let mut own = matches.plain.into_iter().map(|Entry(subscription)| subscription);
        own.find(|subscription| subscription.member.id == id && !subscription.quota.is_exhausted())
    }

    /// Makes every session find its routes anew: what they may be delivered to has changed.
    pub(crate) fn forget_routes(&self) {
        self.generations.bump_all();
    }

    /// Hashes of subjects, by a key that follows from the router's seed.
    pub(crate) fn hashing(&self) -> &Hashing {
        &self.hashing
    }

    pub(crate) fn is_current(&self, stamp: Stamp) -> bool {
        self.generations.is_current(stamp)
    }

    /// Changes the index. If that panics, the index is rebuilt from the members before the lock opens, and the
    /// panic goes on: it ends the session that caused it, and nobody else notices.
    fn change(&self, work: impl FnOnce(&mut InterestIndex<Entry>)) {
        let mut index = self.interest.write();
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| work(&mut index))) {
            *index = InterestIndex::new(self.hash_seed);
            for member in self.members() {
                for subscription in member.subscriptions.lock().values() {
                    add(&mut index, subscription);
                }
            }
            self.generations.bump_all();
            drop(index);
            resume_unwind(panic);
        }
    }
}

fn add(index: &mut InterestIndex<Entry>, subscription: &Arc<Subscription>) {
    let entry = Entry(subscription.clone());
    let added = index.insert(
        subscription.filter.as_filter(),
        subscription.queue.as_ref(),
        entry,
    );
    // Full at four billion subscriptions: memory ends long before.
    subscription.is_indexed.store(added.is_ok(), Relaxed);
}

fn remove(index: &mut InterestIndex<Entry>, subscription: &Arc<Subscription>) {
    if subscription.is_indexed.swap(false, Relaxed) {
        // An unknown entry cannot be: the flag is written under the same lock.
        let _ = index.remove(
            subscription.filter.as_filter(),
            subscription.queue.as_ref(),
            &Entry(subscription.clone()),
        );
    }
}
