//! Connections by number, and a ring of those that have closed: what monitoring reads (CORE-49, CORE-50, MON-51).
//!
//! Touched when a connection comes, logs in and goes, never per message. A connection is here from its
//! registration on, logged in or not, so that a stop and a lame duck reach all of them.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::SystemTime;

use dunlin_api::{
    AccountName, Admission, AdmissionPlace, CloseReason, ConnectionStatus, Env, FilterBuf, QueueName,
    SessionControl, Sid, SlowWatch,
};
use parking_lot::Mutex;

use crate::member::{Member, Subscription, Traffic};

/// Subscriptions that all closed connections together keep in detail; the oldest connections lose theirs first. The
/// reference keeps any number.
const KEPT_SUBSCRIPTIONS: usize = 100_000;

/// One connection at one moment, open or closed.
#[derive(Clone, Debug)]
pub struct ConnectionRecord {
    /// Its id.
    pub id: u64,
    /// When it was accepted.
    pub start: SystemTime,
    /// When and why it ended; `None` while it is open.
    pub end: Option<(SystemTime, CloseReason)>,
    /// What it shows of itself.
    pub status: ConnectionStatus,
    /// Where its session lives, or lived last; the global account before a login.
    pub account: AccountName,
    /// What its sessions published and were delivered.
    pub traffic: Traffic,
    /// How many subscriptions it has, or had at the end.
    pub subscriptions: usize,
    /// Times that a publisher has waited for it (CORE-71).
    pub stalls: u64,
}

impl ConnectionRecord {
    /// When the client last did something, never before `start` and never after the end.
    pub fn last_activity(&self) -> SystemTime {
        let last = self.status.last_activity.unwrap_or(self.start).max(self.start);
        self.end.map_or(last, |(end, _)| last.min(end))
    }
}

/// A subscription at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubscriptionRecord {
    /// What it listens to.
    pub filter: FilterBuf,
    /// Its queue group.
    pub queue: Option<QueueName>,
    /// Its id.
    pub sid: Sid,
    /// Messages delivered.
    pub delivered: u64,
    /// Messages after which it ends; 0 for never.
    pub max: u64,
}

/// Why one client was not kicked or told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    /// No open connection has that id.
    #[error("no such client id")]
    Unknown,
    /// Its protocol has no word for the lame duck, or its first PONG has not been sent (CORE-16).
    #[error("client does not support Lame Duck Mode or is not ready to receive the notification")]
    NotReady,
}

/// A connection that has closed.
#[derive(Clone, Debug)]
pub struct ClosedConnection {
    /// What it was.
    pub record: ConnectionRecord,
    /// Its subscriptions at the end, in no order; empty when too many have been kept since.
    pub subscriptions: Vec<SubscriptionRecord>,
}

/// A number of connections, or of what happened to them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KindCount {
    /// Of every kind.
    pub total: u64,
    /// Of kind `Client`.
    pub clients: u64,
}

/// All connections of a broker.
pub(crate) struct Connections {
    env: Env,
    next_id: AtomicU64,
    counted: AtomicUsize,
    is_stopping: AtomicBool,
    live: Mutex<BTreeMap<u64, Arc<Entry>>>,
    closed: Mutex<Closed>,
    troubles: Arc<Troubles>,
}

/// What has gone wrong with connections since start.
#[derive(Default)]
struct Troubles {
    slow: KindCells,
    stale: KindCells,
    stalls: AtomicU64,
}

/// One admitted connection.
pub(crate) struct Entry {
    id: u64,
    start: SystemTime,
    state: Mutex<State>,
    stalls: AtomicU64,
    troubles: Arc<Troubles>,
}

#[derive(Default)]
struct State {
    control: Option<Arc<dyn SessionControl>>,
    member: Option<Arc<Member>>,
    /// Where the last session lived.
    account: Option<AccountName>,
    /// What has ended; made when the first session does.
    past: Option<Box<Past>>,
}

/// Sessions of a connection that have ended.
#[derive(Default)]
struct Past {
    /// What all of them did.
    traffic: Traffic,
    /// How many subscriptions the last one had, and those of them that are kept in detail.
    subscriptions: usize,
    details: Vec<SubscriptionRecord>,
}

/// The last connections that have closed, oldest first.
struct Closed {
    capacity: usize,
    total: u64,
    ring: VecDeque<ClosedConnection>,
    /// Subscriptions kept in detail, and how many of the oldest connections have lost theirs.
    kept: usize,
    stripped: usize,
}

impl Connections {
    pub(crate) fn new(env: Env, capacity: usize) -> Arc<Self> {
        Arc::new(Self {
            env,
            next_id: AtomicU64::new(1),
            counted: AtomicUsize::new(0),
            is_stopping: AtomicBool::new(false),
            live: Mutex::default(),
            closed: Mutex::new(Closed {
                capacity,
                total: 0,
                ring: VecDeque::new(),
                kept: 0,
                stripped: 0,
            }),
            troubles: Arc::default(),
        })
    }

    pub(crate) fn next_id(&self) -> u64 {
        self.next_id.fetch_add(1, Relaxed)
    }

    /// Connections that count against `max_connections`.
    pub(crate) fn count(&self) -> usize {
        self.counted.load(Relaxed)
    }

    /// Gives a connection its id and counts it, unless `limit` are there already (CORE-2, CORE-3).
    pub(crate) fn admit(self: &Arc<Self>, limit: usize) -> Admission {
        let id = self.next_id();
        let is_counted = self
            .counted
            .fetch_update(Relaxed, Relaxed, |count| (count < limit).then_some(count + 1))
            .is_ok();
        let place = Place {
            connections: self.clone(),
            entry: Arc::new(Entry {
                id,
                start: self.env.wall(),
                state: Mutex::default(),
                stalls: AtomicU64::new(0),
                troubles: self.troubles.clone(),
            }),
            is_counted,
        };
        Admission::new(id, !is_counted, Some(Box::new(place)))
    }

    /// No session opens from here on, and who registers late is closed at once.
    pub(crate) fn stop(&self) {
        self.is_stopping.store(true, Relaxed);
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.is_stopping.load(Relaxed)
    }

    /// The registered connection of that id.
    pub(crate) fn find(&self, id: u64) -> Option<Arc<Entry>> {
        self.live.lock().get(&id).cloned()
    }

    /// The way to one registered connection.
    pub(crate) fn control(&self, id: u64) -> Result<Arc<dyn SessionControl>, ClientError> {
        let entry = self.find(id).ok_or(ClientError::Unknown)?;
        let control = entry.state.lock().control.clone();
        control.ok_or(ClientError::Unknown)
    }

    /// The ways to all registered connections, in no order.
    pub(crate) fn controls(&self) -> Vec<(u64, Arc<dyn SessionControl>)> {
        let entries: Vec<_> = self.live.lock().values().cloned().collect();
        entries
            .into_iter()
            .filter_map(|entry| Some((entry.id, entry.state.lock().control.clone()?)))
            .collect()
    }

    /// The sessions of all registered connections, in no order.
    pub(crate) fn members(&self) -> Vec<Arc<Member>> {
        let entries: Vec<_> = self.live.lock().values().cloned().collect();
        entries
            .into_iter()
            .filter_map(|entry| entry.state.lock().member.clone())
            .collect()
    }

    pub(crate) fn open(&self) -> Vec<ConnectionRecord> {
        let entries: Vec<_> = self.live.lock().values().cloned().collect();
        entries.iter().map(|entry| entry.record(None)).collect()
    }

    pub(crate) fn closed(&self) -> Vec<ClosedConnection> {
        self.closed.lock().ring.iter().cloned().collect()
    }

    /// Times since start that a connection did not keep up with what it is sent.
    pub(crate) fn slow_consumers(&self) -> KindCount {
        self.troubles.slow.read()
    }

    /// Connections since start that were closed because they answered no ping.
    pub(crate) fn stale(&self) -> KindCount {
        self.troubles.stale.read()
    }

    /// Times since start that a publisher has waited for a connection.
    pub(crate) fn stalls(&self) -> u64 {
        self.troubles.stalls.load(Relaxed)
    }

    /// Connections that have closed since start.
    pub(crate) fn closed_total(&self) -> u64 {
        self.closed.lock().total
    }
}

/// A connection's place, held by its admission.
struct Place {
    connections: Arc<Connections>,
    entry: Arc<Entry>,
    is_counted: bool,
}

impl AdmissionPlace for Place {
    fn register(&self, control: Arc<dyn SessionControl>) {
        let entry = &self.entry;
        entry.state.lock().control = Some(control.clone());
        self.connections.live.lock().insert(entry.id, entry.clone());
        // Whoever stops the broker sets this first and looks for connections then.
        if self.connections.is_stopping() {
            control.close(CloseReason::ServerShutdown);
        }
    }

    fn end(&self, reason: CloseReason) {
        let Some(entry) = self.connections.live.lock().remove(&self.entry.id) else {
            return;
        };
        let record = entry.record(Some((self.connections.env.wall(), reason)));
        if reason == CloseReason::StaleConnection {
            entry.troubles.stale.count(record.status.kind);
        }
        let past = entry.state.lock().past.take();
        let subscriptions = past.map(|past| past.details).unwrap_or_default();
        self.connections.closed.lock().push(ClosedConnection {
            record,
            subscriptions,
        });
    }

    fn slow_watch(&self) -> Arc<dyn SlowWatch> {
        self.entry.clone()
    }
}

impl SlowWatch for Entry {
    fn note_slow(&self) -> bool {
        let (control, member) = {
            let state = self.state.lock();
            if state.account.is_none() {
                return false;
            }
            (state.control.clone(), state.member.clone())
        };
        let kind = control.map_or("", |control| control.status().kind);
        self.troubles.slow.count(kind);
        if let Some(member) = member {
            member.account.count_slow_consumer();
        }
        true
    }

    fn note_stall(&self) {
        self.stalls.fetch_add(1, Relaxed);
        self.troubles.stalls.fetch_add(1, Relaxed);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.is_counted {
            self.connections.counted.fetch_sub(1, Relaxed);
        }
    }
}

impl Entry {
    /// A session has been opened for it.
    pub(crate) fn enter(&self, member: &Arc<Member>) {
        let mut state = self.state.lock();
        state.account = Some(member.account.name.clone());
        state.member = Some(member.clone());
    }

    /// Its session has ended, with `subscriptions` at that moment.
    pub(crate) fn leave(&self, member: &Member, subscriptions: &[Arc<Subscription>]) {
        let details = subscriptions
            .iter()
            .take(KEPT_SUBSCRIPTIONS)
            .map(|subscription| subscription.record())
            .collect();
        let mut state = self.state.lock();
        state.member = None;
        let past = state.past.get_or_insert_default();
        past.traffic = past.traffic.plus(member.traffic.read());
        past.subscriptions = subscriptions.len();
        past.details = details;
    }

    fn record(&self, end: Option<(SystemTime, CloseReason)>) -> ConnectionRecord {
        let (control, member, account, past, last) = {
            let state = self.state.lock();
            let account = state.account.clone().unwrap_or_else(AccountName::global);
            let past = state.past.as_deref();
            (
                state.control.clone(),
                state.member.clone(),
                account,
                past.map_or_else(Traffic::default, |past| past.traffic),
                past.map_or(0, |past| past.subscriptions),
            )
        };
        let (traffic, subscriptions) = match &member {
            Some(member) => (
                past.plus(member.traffic.read()),
                member.subscriptions.lock().len(),
            ),
            None => (past, last),
        };
        ConnectionRecord {
            id: self.id,
            start: self.start,
            end,
            status: control.map(|control| control.status()).unwrap_or_default(),
            account,
            traffic,
            subscriptions,
            stalls: self.stalls.load(Relaxed),
        }
    }
}

#[derive(Default)]
struct KindCells {
    total: AtomicU64,
    clients: AtomicU64,
}

impl KindCells {
    fn count(&self, kind: &str) {
        self.total.fetch_add(1, Relaxed);
        if kind == "Client" {
            self.clients.fetch_add(1, Relaxed);
        }
    }

    fn read(&self) -> KindCount {
        KindCount {
            total: self.total.load(Relaxed),
            clients: self.clients.load(Relaxed),
        }
    }
}

impl Closed {
    fn push(&mut self, mut closed: ClosedConnection) {
        self.total += 1;
        if self.capacity == 0 {
            return;
        }
        closed.subscriptions.shrink_to_fit();
        self.kept += closed.subscriptions.len();
        self.ring.push_back(closed);
        if self.ring.len() > self.capacity
            && let Some(oldest) = self.ring.pop_front()
        {
            self.kept -= oldest.subscriptions.len();
            self.stripped = self.stripped.saturating_sub(1);
        }
        while self.kept > KEPT_SUBSCRIPTIONS
            && let Some(oldest) = self.ring.get_mut(self.stripped)
        {
            self.kept -= std::mem::take(&mut oldest.subscriptions).len();
            self.stripped += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn closed(id: u64, subscriptions: usize) -> ClosedConnection {
        let subscription = SubscriptionRecord {
            filter: FilterBuf::new(*b"foo").unwrap(),
            queue: None,
            sid: Sid::new(b"1").unwrap(),
            delivered: 0,
            max: 0,
        };
        let record = ConnectionRecord {
            id,
            start: SystemTime::UNIX_EPOCH,
            end: Some((SystemTime::UNIX_EPOCH, CloseReason::ClientClosed)),
            status: ConnectionStatus::default(),
            account: AccountName::global(),
            traffic: Traffic::default(),
            subscriptions,
            stalls: 0,
        };
        ClosedConnection {
            record,
            subscriptions: vec![subscription; subscriptions],
        }
    }

    fn ring(capacity: usize) -> Closed {
        Closed {
            capacity,
            total: 0,
            ring: VecDeque::new(),
            kept: 0,
            stripped: 0,
        }
    }

    // CORE-50, MON-51 [TestRBAppendAndLenAndTotal, TestRBclosedClients]
    #[test]
    fn a_full_ring_forgets_the_oldest_and_counts_all() {
        for (capacity, expected) in [
            (0, vec![]),
            (1, vec![5]),
            (3, vec![3, 4, 5]),
            (10, vec![1, 2, 3, 4, 5]),
        ] {
            let mut ring = ring(capacity);
            (1..=5).for_each(|id| ring.push(closed(id, 2)));
            let ids: Vec<_> = ring.ring.iter().map(|closed| closed.record.id).collect();
            assert_eq!((ids, ring.total), (expected.clone(), 5));
            assert_eq!(ring.kept, 2 * expected.len());
        }
    }

    #[test]
    fn the_oldest_lose_their_subscriptions_when_there_are_too_many() {
        let mut ring = ring(4);
        let kept = |ring: &Closed| -> Vec<_> {
            ring.ring
                .iter()
                .map(|closed| closed.subscriptions.len())
                .collect()
        };
        let half = KEPT_SUBSCRIPTIONS / 2;
        ring.push(closed(1, half));
        ring.push(closed(2, half));
        assert_eq!(kept(&ring), [half, half]);
        ring.push(closed(3, 1));
        assert_eq!(kept(&ring), [0, half, 1]);
        ring.push(closed(4, half));
        assert_eq!(kept(&ring), [0, 0, 1, half]);
        ring.push(closed(5, half));
        assert_eq!(kept(&ring), [0, 0, half, half]);
        assert_eq!((ring.kept, ring.ring[0].record.subscriptions), (2 * half, half));
    }
}
