//! What others reach of a connection: its end, the lame duck's notice, and what monitoring shows.

use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64};
use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime};

use dunlin_api::{CloseReason, ConnectionStatus, Instant, QueueName, SessionControl, Sid, Subject};
use dunlin_net::output::Output;
use dunlin_wire::Connect;
use parking_lot::Mutex;

use crate::info::InfoBase;
use crate::name;
use crate::reload::News;
use crate::trace::Tracer;

/// The broker's way to a connection, and the connection's way to monitoring.
pub(crate) struct Control {
    /// Weak, as in the receiver.
    output: Weak<Output>,
    start: Instant,
    started_at: SystemTime,
    /// Nanoseconds from `start` to what the client did last.
    last_activity: AtomicU64,
    /// Nanoseconds; 0: not known yet.
    round_trip: AtomicU64,
    /// What CONNECT said, once it has come.
    connect: Mutex<Option<Arc<Connect>>>,
    /// What INFO is made of, with the peer (the proxied one, once that is known).
    info: Mutex<Arc<InfoBase>>,
    /// Whether the client may be sent INFO unasked (CORE-16).
    may_inform: AtomicBool,
    /// The largest message, as such an INFO says.
    max_payload: AtomicI64,
    pub(crate) tracer: Arc<Tracer>,
    /// Whether a reload has left a note.
    pub(crate) news: News,
}

impl Control {
    pub(crate) fn new(output: &Arc<Output>, info: &Arc<InfoBase>, tracer: &Arc<Tracer>) -> Self {
        let env = info.broker.env();
        Self {
            output: Arc::downgrade(output),
            start: env.now(),
            started_at: env.wall(),
            last_activity: AtomicU64::new(0),
            round_trip: AtomicU64::new(0),
            connect: Mutex::new(None),
            info: Mutex::new(info.clone()),
            may_inform: AtomicBool::new(false),
            max_payload: AtomicI64::new(0),
            tracer: tracer.clone(),
            news: News::default(),
        }
    }

    pub(crate) fn output(&self) -> Option<Arc<Output>> {
        self.output.upgrade()
    }

    /// How the log names the user of a refused login; `None` when CONNECT named nobody.
    pub(crate) fn user(&self) -> Option<String> {
        self.connect.lock().as_deref().and_then(name::refused)
    }

    /// The largest message is another one from now on.
    pub(crate) fn change_payload(&self, max_payload: i64) {
        self.max_payload.store(max_payload, Relaxed);
    }

    /// From now on the client may be sent INFO unasked.
    pub(crate) fn allow_info(&self, max_payload: i64) {
        self.max_payload.store(max_payload, Relaxed);
        self.may_inform.store(true, Release);
    }

    /// INFO is made of something else from now on.
    pub(crate) fn set_info(&self, info: &Arc<InfoBase>) {
        *self.info.lock() = info.clone();
    }

    /// The client did something. One store.
    #[inline]
    pub(crate) fn note_activity(&self, now: Instant) {
        self.last_activity.store(nanos(now - self.start), Relaxed);
    }

    pub(crate) fn note_round_trip(&self, round_trip: Duration) {
        self.round_trip.store(nanos(round_trip).max(1), Relaxed);
    }

    /// CONNECT has come: the first estimate of the round trip is the time since accept (CORE-79).
    pub(crate) fn note_connect(&self, connect: &Arc<Connect>, now: Instant) {
        self.note_activity(now);
        self.note_round_trip(now - self.start);
        *self.connect.lock() = Some(connect.clone());
    }
}

impl SessionControl for Control {
    fn close(&self, reason: CloseReason) {
        self.last_words(reason);
        if let Some(output) = self.output.upgrade() {
            output.close(reason);
        }
    }

    fn announce_lame_duck(&self) -> bool {
        let Some(output) = self.output.upgrade().filter(|_| self.may_inform.load(Acquire)) else {
            return false;
        };
        let info = self.info.lock().clone();
        let line = info.lame_duck(self.max_payload.load(Relaxed)).info_line();
        output.send(&line);
        true
    }

    fn reload(&self) {
        self.news.announce();
    }

    fn subscription_forbidden(&self, subject: Subject<'_>, queue: Option<&QueueName>, sid: &Sid) {
        self.forbid(subject, queue, sid);
    }

    fn status(&self) -> ConnectionStatus {
        let mut status = ConnectionStatus {
            kind: "Client",
            protocol: "nats",
            peer: Some(self.info.lock().peer),
            pending_bytes: self.output.upgrade().map_or(0, |output| output.pending()),
            ..ConnectionStatus::default()
        };
        if let Some(connect) = self.connect.lock().as_deref() {
            status.name = connect.name.clone();
            status.lang = connect.lang.clone();
            status.version = connect.version.clone();
            status.user = name::claimed(connect);
        }
        let last = self.last_activity.load(Relaxed);
        status.last_activity = (last > 0).then(|| self.started_at + Duration::from_nanos(last));
        let round_trip = self.round_trip.load(Relaxed);
        status.round_trip = (round_trip > 0).then(|| Duration::from_nanos(round_trip));
        status
    }
}

/// Good for 584 years.
fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
