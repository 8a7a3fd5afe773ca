//! The order in which a state machine's entries happen: `propose → commit → apply`.
//!
//! A stream, a consumer or the meta layer puts what it wants to happen into a log and applies what comes out, in that
//! order and nothing else. With one replica that is a hand-over in memory; with several, a raft group's agreement. The
//! state machine does not know which, so clustering is a layer below it and not a second implementation.
//!
//! Entries carry everything that is not deterministic (times, ids, what is removed), so that every replica that applies
//! the same entries has the same state.

use std::task::{Context, Poll};

/// A log of entries of type `E`, owned by one state machine.
///
/// A log never waits and calls nobody back: what it has to say is fetched by [`Log::poll`]. Dropping it leaves the
/// group without this replica until the log is opened again.
///
/// ```
/// use std::collections::VecDeque;
/// use std::task::{Context, Poll, Waker};
/// use dunlin_api::log::{Commit, Guarantee, Log, LogEvent, Position, ProposeError, Role, Snapshot};
///
/// /// One replica, nothing kept: the order of proposing is the order of applying.
/// #[derive(Default)]
/// struct Local<E> {
///     last: u64,
///     events: VecDeque<LogEvent<E>>,
/// }
///
/// impl<E: Send> Log<E> for Local<E> {
///     fn propose(&mut self, entries: Vec<E>) -> Result<Position, ProposeError> {
///         for entry in entries {
///             self.last += 1;
///             let position = Position { term: 1, index: self.last };
///             self.events.push_back(LogEvent::Committed(Commit { position, entry }));
///         }
///         Ok(Position { term: 1, index: self.last })
///     }
///
///     fn poll(&mut self, _: &mut Context<'_>) -> Poll<LogEvent<E>> {
///         self.events.pop_front().map_or(Poll::Pending, Poll::Ready)
///     }
///
///     fn role(&self) -> Role {
///         Role::Leader { term: 1 }
///     }
///
///     fn guarantee(&self) -> Guarantee {
///         Guarantee::Ordered
///     }
///
///     fn applied(&mut self, _: Position) {}
/// }
///
/// let mut log: Box<dyn Log<&str>> = Box::new(Local::default());
/// let last = log.propose(vec!["create", "publish"])?;
/// let mut applied = Vec::new();
/// while let Poll::Ready(LogEvent::Committed(commit)) = log.poll(&mut Context::from_waker(Waker::noop())) {
///     applied.push(commit.entry);
///     log.applied(commit.position);
/// }
/// assert_eq!((last.index, applied), (2, vec!["create", "publish"]));
/// # Ok::<(), ProposeError>(())
/// ```
pub trait Log<E>: Send {
    /// Puts entries into the log, behind all before them, and answers the position of the last one. That they were
    /// taken promises nothing; a [`LogEvent::Committed`] with the same position and term does. If another entry is
    /// committed at that index, or the role changes first, what became of them is open and their waiters are told so.
    ///
    /// # Errors
    /// [`ProposeError`]; none of the entries is in the log then.
    fn propose(&mut self, entries: Vec<E>) -> Result<Position, ProposeError>;

    /// What has happened since the last call; pending when nothing has, and `cx` is woken when something does.
    /// Committed entries come in order, each once, from behind the last position that was [`Log::applied`] when the log
    /// was opened.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<LogEvent<E>>;

    /// What this replica is now. It may be told of later by [`LogEvent::Role`].
    fn role(&self) -> Role;

    /// What a commit means here.
    fn guarantee(&self) -> Guarantee;

    /// Everything up to `position` is in the state machine's own store and will survive: the log may forget it.
    fn applied(&mut self, position: Position);

    /// Gives up leadership, to `to` if it is given and able. Does nothing where there is nobody else.
    fn step_down(&mut self, to: Option<PeerId>) {
        let _ = to;
    }

    /// Answers [`LogEvent::SnapshotWanted`]. The data is a small description of the state at its position, from which
    /// the receiver fetches the rest; logs with one replica never ask.
    fn offer_snapshot(&mut self, snapshot: Snapshot) {
        let _ = snapshot;
    }

    /// Answers [`LogEvent::Snapshot`]: the state is that of the snapshot now, or could not be brought there; then the
    /// log goes on trying.
    fn snapshot_installed(&mut self, position: Position, installed: bool) {
        let _ = (position, installed);
    }
}

/// An entry's place. Two logs of a group have the same entry at the same place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// The leadership in which it was proposed.
    pub term: u64,
    /// Its number, from 1.
    pub index: u64,
}

/// What a log has to tell.
#[derive(Debug)]
pub enum LogEvent<E> {
    /// The next entry to apply.
    Committed(Commit<E>),
    /// This replica's part has changed.
    Role(Role),
    /// A replica is too far behind for entries: answer with [`Log::offer_snapshot`].
    SnapshotWanted,
    /// This replica is too far behind: bring the state to that of the snapshot, then say so with
    /// [`Log::snapshot_installed`]. No entry comes before that.
    Snapshot(Snapshot),
    /// The log cannot go on, and says why; drop it and open it anew.
    Failed(String),
}

/// A committed entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit<E> {
    /// Its place.
    pub position: Position,
    /// What is to be applied.
    pub entry: E,
}

/// A replica's part in its group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Proposes, serves and answers.
    Leader {
        /// Its leadership.
        term: u64,
    },
    /// Applies what the leader proposes.
    Follower {
        /// The leadership that it follows.
        term: u64,
        /// Who leads, if that is known.
        leader: Option<PeerId>,
    },
}

/// What a commit promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guarantee {
    /// The order only. Effects wait for the durable mark of the state machine's own store.
    Ordered,
    /// The entry survives: a quorum has it on disk. Effects need not wait.
    Durable,
}

/// A server of a group, as its peers know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerId(pub [u8; 8]);

/// A description of a state machine's state at one place of its log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// The last entry that is in it.
    pub position: Position,
    /// The state machine's own description.
    pub data: Vec<u8>,
}

/// Why entries were not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProposeError {
    /// Only the leader proposes.
    #[error("not the leader")]
    NotLeader,
    /// Too much waits to be committed; try again after the next commit.
    #[error("too many proposals are waiting")]
    Busy,
    /// The log has failed or is closed.
    #[error("the log is closed")]
    Closed,
}

/// An entry that can travel and be kept. Logs with several replicas ask for it, those with one do not.
pub trait LogEntry: Sized {
    /// Appends its bytes to `out`.
    fn encode(&self, out: &mut Vec<u8>);

    /// Reads what [`LogEntry::encode`] wrote, here or on a server of another version.
    ///
    /// # Errors
    /// The bytes are not an entry.
    fn decode(bytes: &[u8]) -> Result<Self, DecodeError>;
}

/// Bytes are not an entry.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed log entry: {0}")]
pub struct DecodeError(pub String);
