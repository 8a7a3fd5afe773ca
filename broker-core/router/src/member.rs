//! The shared part of a session: what others reach while its own task reads.

use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use dunlin_api::{Deliver, FilterBuf, QueueName, Quota, SessionControl, Sid, Subject};
use parking_lot::Mutex;

use crate::account::Account;
use crate::connections::SubscriptionRecord;
use crate::permit::PermitCell;
use crate::sids::SubscriptionMap;

/// One open session, as its account and its subscriptions see it.
pub(crate) struct Member {
    pub(crate) id: u64,
    pub(crate) account: Arc<Account>,
    pub(crate) receiver: Arc<dyn Deliver>,
    pub(crate) control: Arc<dyn SessionControl>,
    /// What it may do; replaced by a reload.
    pub(crate) permit: PermitCell,
    pub(crate) subscriptions: Mutex<SubscriptionMap>,
    pub(crate) traffic: TrafficCells,
}

/// Messages and bytes of a session, payload with headers (CORE-64).
#[derive(Default)]
pub(crate) struct TrafficCells {
    pub(crate) in_messages: AtomicU64,
    pub(crate) in_bytes: AtomicU64,
    pub(crate) out_messages: AtomicU64,
    pub(crate) out_bytes: AtomicU64,
}

/// Messages and bytes, read at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Messages published.
    pub in_messages: u64,
    /// Their bytes, headers included.
    pub in_bytes: u64,
    /// Messages delivered.
    pub out_messages: u64,
    /// Their bytes, headers included.
    pub out_bytes: u64,
}

impl Traffic {
    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            in_messages: self.in_messages + other.in_messages,
            in_bytes: self.in_bytes + other.in_bytes,
            out_messages: self.out_messages + other.out_messages,
            out_bytes: self.out_bytes + other.out_bytes,
        }
    }
}

impl TrafficCells {
    /// Only the session's own task publishes, so no add can be lost between load and store.
    pub(crate) fn count_in(&self, messages: usize, bytes: usize) {
        self.in_messages
            .store(self.in_messages.load(Relaxed) + messages as u64, Relaxed);
        self.in_bytes
            .store(self.in_bytes.load(Relaxed) + bytes as u64, Relaxed);
    }

    pub(crate) fn count_out(&self, messages: usize, bytes: usize) {
        self.out_messages.fetch_add(messages as u64, Relaxed);
        self.out_bytes.fetch_add(bytes as u64, Relaxed);
    }

    pub(crate) fn read(&self) -> Traffic {
        Traffic {
            in_messages: self.in_messages.load(Relaxed),
            in_bytes: self.in_bytes.load(Relaxed),
            out_messages: self.out_messages.load(Relaxed),
            out_bytes: self.out_bytes.load(Relaxed),
        }
    }

    pub(crate) fn add(&self, traffic: Traffic) {
        self.count_in(traffic.in_messages as usize, traffic.in_bytes as usize);
        self.count_out(traffic.out_messages as usize, traffic.out_bytes as usize);
    }
}

/// One subscription of a member.
pub(crate) struct Subscription {
    pub(crate) member: Arc<Member>,
    pub(crate) filter: FilterBuf,
    pub(crate) queue: Option<QueueName>,
    pub(crate) sid: Sid,
    pub(crate) quota: Quota,
    /// Whether a deny rule may forbid some of its subjects (AUTH-208).
    pub(crate) checks_delivery: AtomicBool,
    /// Whether the index holds it; written under the index's lock.
    pub(crate) is_indexed: AtomicBool,
}

impl Subscription {
    /// The one decision about delivering `subject` here, asked for every route that is made.
    pub(crate) fn may_deliver(&self, subject: Subject<'_>) -> bool {
        if !self.checks_delivery.load(Relaxed) {
            return true;
        }
        self.member.permit.with(|permit| {
            let rules = permit.rules.as_ref();
            rules.is_none_or(|rules| rules.may_deliver(subject, self.queue.as_ref()))
        })
    }
}

impl Subscription {
    /// What monitoring shows of it.
    pub(crate) fn record(&self) -> SubscriptionRecord {
        SubscriptionRecord {
            filter: self.filter.clone(),
            queue: self.queue.clone(),
            sid: self.sid.clone(),
            delivered: self.quota.delivered(),
            max: self.quota.limit(),
        }
    }
}

/// A subscription in the index: equal to itself only.
#[derive(Clone)]
pub(crate) struct Entry(pub(crate) Arc<Subscription>);

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Entry {}

impl Hash for Entry {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.0).hash(state);
    }
}
