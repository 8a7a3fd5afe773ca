//! A connection as the broker keeps it: its place in the count, how it is reached, what it shows, how its log lines
//! begin.
//!
//! A listener takes an [`Admission`] for every connection, gives it a way to be reached, and says at the end why it
//! ended. Monitoring reads open connections and those that have closed from the same facts (CORE-49, CORE-50, MON-51).

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use dunlin_subject::{QueueName, Sid, Subject};
use parking_lot::Mutex;

use crate::broker::CloseReason;
use crate::env::{Instant, Logger};

/// How long a rate-limited line is not repeated (CORE-142).
const QUIET: Duration = Duration::from_secs(1);

/// The broker's way to a connection. Calls only leave a note; the connection's task acts on it.
pub trait SessionControl: Send + Sync + 'static {
    /// Ends the connection with `reason`; the first reason wins (CORE-50). Where the protocol has a word for it, the
    /// client is told first.
    fn close(&self, reason: CloseReason);

    /// Tells the client that this server is about to go (CORE-84). False when its protocol has no word for it, or the
    /// client is not ready to hear it.
    fn announce_lame_duck(&self) -> bool;

    /// Leaves a note that the configuration has changed: limits and times are read anew before the connection works off
    /// what it reads next, and before its next ping (CORE-134).
    fn reload(&self) {}

    /// Tells the client that a change of its permissions has ended a subscription (AUTH-215). A protocol without a
    /// word for it says nothing.
    fn subscription_forbidden(&self, subject: Subject<'_>, queue: Option<&QueueName>, sid: &Sid) {
        let _ = (subject, queue, sid);
    }

    /// What monitoring shows of the connection. Asked now and then, and once when it has ended.
    fn status(&self) -> ConnectionStatus;
}

/// What a connection shows of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConnectionStatus {
    /// Kind of connection, e.g. `Client`.
    pub kind: &'static str,
    /// Its protocol, e.g. `nats`.
    pub protocol: &'static str,
    /// The peer (the proxied one, where a proxy is trusted).
    pub peer: Option<SocketAddr>,
    /// The client's own name; empty when it gave none.
    pub name: String,
    /// Its language.
    pub lang: String,
    /// Its version.
    pub version: String,
    /// The user that it claims to be, without any secret; empty when it named none.
    pub user: String,
    /// When the client last did something; `None` before that.
    pub last_activity: Option<SystemTime>,
    /// The last measured round trip; at least one nanosecond (CORE-79).
    pub round_trip: Option<Duration>,
    /// Bytes that wait to be written.
    pub pending_bytes: usize,
}

/// A connection's id and its place in the count of connections.
pub struct Admission {
    id: u64,
    over_limit: bool,
    /// `None` where nobody keeps connections, in tests of listeners.
    place: Option<Box<dyn AdmissionPlace>>,
}

/// What the router implements behind [`Admission`]. Dropping it takes the connection out of the count.
pub trait AdmissionPlace: Send + Sync {
    /// See [`Admission::register`].
    fn register(&self, control: Arc<dyn SessionControl>);

    /// See [`Admission::end`]. Called at most once.
    fn end(&self, reason: CloseReason);

    /// See [`Admission::slow_watch`].
    fn slow_watch(&self) -> Arc<dyn SlowWatch>;
}

/// Counts a connection whose peer does not keep up (CORE-67, CORE-68, CORE-71). Outlives the connection.
pub trait SlowWatch: Send + Sync + 'static {
    /// One more time that too much was pending or a write took too long. False, and not counted, before the connection
    /// has logged in: then nothing is said of it either.
    fn note_slow(&self) -> bool;

    /// One more time that a publisher waits for the connection (CORE-71).
    fn note_stall(&self);
}

impl Admission {
    /// An admission whose `place` is dropped with it.
    pub fn new(id: u64, over_limit: bool, place: Option<Box<dyn AdmissionPlace>>) -> Self {
        Self {
            id,
            over_limit,
            place,
        }
    }

    /// The connection's id: 1 for the first since start, shared by all kinds (CORE-2).
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Whether `max_connections` is exceeded by it.
    pub fn is_over_limit(&self) -> bool {
        self.over_limit
    }

    /// Makes the connection known: from now on it is listed, and the broker can end it. At once, if the broker is
    /// stopping.
    pub fn register(&self, control: Arc<dyn SessionControl>) {
        if let Some(place) = &self.place {
            place.register(control);
        }
    }

    /// Who counts that this connection's peer does not keep up; `None` in tests of listeners.
    pub fn slow_watch(&self) -> Option<Arc<dyn SlowWatch>> {
        self.place.as_ref().map(|place| place.slow_watch())
    }

    /// Says why the connection ended; it is kept among the closed ones, if it was registered. The session must be
    /// gone by then, so that its last numbers are in. One that is dropped without a word ended with a panic, or as a
    /// `Client Closed`.
    pub fn end(mut self, reason: CloseReason) {
        if let Some(place) = self.place.take() {
            place.end(reason);
        }
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        if let Some(place) = self.place.take() {
            place.end(if std::thread::panicking() {
                CloseReason::InternalError
            } else {
                CloseReason::ClientClosed
            });
        }
    }
}

/// Log lines of one connection: each begins with its name (CORE-22).
pub struct ConnectionLog {
    logger: Logger,
    name: Mutex<Name>,
}

/// How lines begin, and how rate-limited ones end.
#[derive(Clone)]
struct Name {
    line: Arc<str>,
    user: Option<Arc<str>>,
}

impl ConnectionLog {
    /// Log lines that begin with `name` and ` - `.
    pub fn new(logger: Logger, name: &str) -> Self {
        let line = name.into();
        Self {
            logger,
            name: Mutex::new(Name { line, user: None }),
        }
    }

    /// The connection's name.
    pub fn name(&self) -> Arc<str> {
        self.name.lock().line.clone()
    }

    /// Changes the name for the lines to come.
    pub fn rename(&self, name: &str) {
        self.name.lock().line = name.into();
    }

    /// Says whose connection it is, e.g. `Account:$G - user:joe`; rate-limited lines end with it.
    pub fn set_user(&self, user: &str) {
        self.name.lock().user = Some(user).filter(|user| !user.is_empty()).map(Arc::from);
    }

    /// Whether trace lines are written. One relaxed load.
    pub fn is_trace(&self) -> bool {
        self.logger.is_trace()
    }

    /// Writes a line for the operator.
    pub fn notice(&self, text: fmt::Arguments<'_>) {
        self.logger.notice(format_args!("{} - {text}", self.name()));
    }

    /// Writes a warning.
    pub fn warn(&self, text: fmt::Arguments<'_>) {
        self.logger.warn(format_args!("{} - {text}", self.name()));
    }

    /// Writes an error.
    pub fn error(&self, text: fmt::Arguments<'_>) {
        self.logger.error(format_args!("{} - {text}", self.name()));
    }

    /// Writes a debug line, when they are on.
    pub fn debug(&self, text: fmt::Arguments<'_>) {
        if self.logger.is_debug() {
            self.logger.debug(format_args!("{} - {text}", self.name()));
        }
    }

    /// Writes a trace line, when they are on.
    pub fn trace(&self, text: fmt::Arguments<'_>) {
        if self.logger.is_trace() {
            self.logger.trace(format_args!("{} - {text}", self.name()));
        }
    }

    /// Writes an error, unless any connection has written the same within the last second (CORE-142).
    pub fn error_seldom(&self, text: &str, now: Instant) {
        if self.logger.may_repeat(text, QUIET, now) {
            self.logger.error(format_args!("{}", self.full(text)));
        }
    }

    /// Writes a warning that begins with `what`, unless any connection has written one within the last second
    /// (CORE-142).
    pub fn warn_seldom(&self, what: &str, rest: &str, now: Instant) {
        if self.logger.may_repeat(what, QUIET, now) {
            self.logger
                .warn(format_args!("{}", self.full(&format!("{what}{rest}"))));
        }
    }

    /// Writes a debug line, when they are on, unless any connection has written the same within the last second.
    pub fn debug_seldom(&self, text: &str, now: Instant) {
        if self.logger.is_debug() && self.logger.may_repeat(text, QUIET, now) {
            self.logger.debug(format_args!("{}", self.full(text)));
        }
    }

    /// A rate-limited line: it speaks for many, so it says whose it is.
    fn full(&self, text: &str) -> String {
        let Name { line, user } = self.name.lock().clone();
        match user {
            Some(user) => format!("{line} - {text} - {user}"),
            None => format!("{line} - {text}"),
        }
    }
}
