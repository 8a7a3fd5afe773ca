//! Stores: where streams and consumers keep what they must not lose.
//!
//! A [`StoreBackend`] opens one [`StreamStore`] per stream; that one opens a [`ConsumerStore`] per consumer. Each has
//! one owner, who calls it from one thread at a time. A store holds and finds; it decides nothing: limits, expiry,
//! deduplication and the rules of acks lie with its owner, so that all stores behave alike.
//!
//! **Staged and durable.** A change is *staged* when its call returns: every later read sees it, and
//! [`StreamStore::staged`] names it by a [`Ticket`]. It is *durable* once [`StreamStore::durable`] has reached that
//! ticket, which [`StreamStore::commit`] asks for. Changes become durable in the order in which they were staged.
//! Nothing that is only staged may be shown to a client: that is the owner's part.
//!
//! **Never waiting.** No method waits for a disk, apart from opening, closing, deleting, and default bodies on a store
//! that has cold data: these run its read jobs in place, so such a store overrides them.
//!
//! Costs are given in messages of the stream, *n*, for the default bodies; they read every message and are right for
//! small or seldom asked stores.

mod types;

use std::collections::BTreeMap;
use std::sync::Arc;

use dunlin_subject::{Filter, Subject, SubjectBuf, matches};

pub use types::*;

/// A storage backend: makes the store of each stream.
///
/// `plugins/example-store` is a complete one to copy. What a plugin says about itself is [`crate::Component`].
pub trait StoreBackend: Send + Sync + 'static {
    /// What this backend promises; the same for its whole life.
    fn capabilities(&self) -> Capabilities;

    /// Opens the store of a stream, and makes it where there is none. May wait for a disk.
    ///
    /// # Errors
    /// [`StoreError::InUse`] while it is open already; whatever keeps it from being read. Damage inside is no error:
    /// the stream opens without what is lost, and the observer is told.
    fn stream(&self, id: &StreamId, options: StreamOptions) -> Result<Box<dyn StreamStore>, StoreError>;

    /// The streams that exist, in any order. A backend that is not durable knows those that are open.
    ///
    /// # Errors
    /// The medium cannot be read.
    fn list(&self) -> Result<Vec<StreamId>, StoreError>;

    /// Removes a closed stream with its consumers, for good, before it returns; whether there was one. A crash on the
    /// way does not bring it back.
    ///
    /// # Errors
    /// [`StoreError::InUse`] while it is open; the medium refuses.
    fn delete(&self, id: &StreamId) -> Result<bool, StoreError>;
}

/// How a stream's store is opened.
#[derive(Clone)]
pub struct StreamOptions {
    /// Decides what messages count.
    pub storage: StorageType,
    /// Hears about what happens in the store.
    pub observer: Arc<dyn StoreObserver>,
}

/// Hears what happens in a store. Called from within the store's methods, or from a thread of the backend: it only
/// notes, and never calls the store.
pub trait StoreObserver: Send + Sync + 'static {
    /// The stream holds more or less than before. Not called for what opening finds, which is in the state.
    fn usage(&self, change: UsageChange) {
        let _ = change;
    }

    /// The durable mark has reached `ticket` after the `commit` that asked for it had returned.
    fn durable(&self, ticket: Ticket) {
        let _ = ticket;
    }

    /// Committing has failed: everything after `durable` is uncertain, and the store is to be closed and opened anew.
    fn failed(&self, durable: Ticket, error: &StoreError) {
        let _ = (durable, error);
    }

    /// Damage was found, reported once for each place.
    fn damage(&self, damage: &Damage) {
        let _ = damage;
    }
}

/// An observer that listens to nothing.
impl StoreObserver for () {}

/// The answer to a load.
pub enum Load {
    /// Here it is.
    Ready(StoredMessage),
    /// It must be read from the medium: run the job where waiting is allowed.
    Cold(Box<dyn ReadJob + Send>),
}

/// Reads one message without its store, which may change meanwhile.
pub trait ReadJob {
    /// Waits for the medium. `None`: the message was removed in the meantime.
    ///
    /// # Errors
    /// [`StoreError::Damaged`], or the medium cannot be read.
    fn run(self: Box<Self>) -> Result<Option<StoredMessage>, StoreError>;
}

impl Load {
    /// The message, waiting for the medium where it is cold.
    ///
    /// # Errors
    /// Those of [`ReadJob::run`].
    pub fn wait(self) -> Result<Option<StoredMessage>, StoreError> {
        match self {
            Self::Ready(message) => Ok(Some(message)),
            Self::Cold(job) => job.run(),
        }
    }
}

/// Why a store did not do as asked. "Not found" is never an error.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// A name that a store cannot keep; see [`StreamId::new`].
    #[error("invalid name {0:?}")]
    InvalidName(String),
    /// Somebody has it open.
    #[error("{0} is in use")]
    InUse(String),
    /// A message's sequence is not the one that follows (STORE-85).
    #[error("expected sequence does not match store")]
    SequenceMismatch {
        /// The sequence that follows.
        expected: u64,
        /// The one asked for.
        given: u64,
    },
    /// More subjects match than were allowed (STORE-98).
    #[error("too many matching results for request")]
    TooManyResults,
    /// Nothing more fits. Nothing was changed; the store goes on when there is room.
    #[error("insufficient storage: {0}")]
    Full(String),
    /// A record cannot be read any more.
    #[error("message {sequence} is damaged: {detail}")]
    Damaged {
        /// Its sequence.
        sequence: u64,
        /// Where and what.
        detail: String,
    },
    /// This store cannot do that; see its [`Capabilities`].
    #[error("the store does not support {0}")]
    Unsupported(&'static str),
    /// The medium failed. What was staged and is not durable may be lost.
    #[error("{0}")]
    Io(String),
}

/// The messages of one stream.
///
/// ```
/// use dunlin_api::{Counting, Filter, NewMessage, Purge, PurgeExtent, StoreError, StreamStore, Subject};
///
/// /// Stores a reading, keeps the newest ten of its device, and returns how many readings there are.
/// fn record(store: &mut dyn StreamStore, now: i64, value: &[u8]) -> Result<u64, StoreError> {
///     let staged = store.stage(&NewMessage {
///         sequence: None,
///         time: now,
///         subject: Subject::new(b"reading.7").unwrap(),
///         headers: &[],
///         payload: value,
///     })?;
///     let device = Filter::new(b"reading.7").unwrap();
///     store.purge(&Purge { filter: Some(device.to_owned()), extent: PurgeExtent::Keep(10) })?;
///     // Both changes survive once `durable` reaches this; a store that promises nothing is there at once.
///     store.commit(store.staged())?;
///     assert!(staged.sequence > 0);
///     store.num_pending(0, &[Filter::new(b"reading.*").unwrap()], Counting::All)
/// }
/// ```
pub trait StreamStore: Send {
    /// The storage type that it was opened with.
    fn storage(&self) -> StorageType;

    /// The figures. Constant cost.
    fn state(&self) -> StreamState;

    /// Appends a message. Its size is that of [`StorageType::message_size`]. Cost: one append.
    ///
    /// # Errors
    /// [`StoreError::SequenceMismatch`], [`StoreError::Full`], [`StoreError::Io`]; nothing was appended then.
    fn stage(&mut self, message: &NewMessage<'_>) -> Result<Staged, StoreError>;

    /// Gives the next `count` sequences to no message (STORE-88). An empty stream begins after them. `time` becomes the
    /// time of the last message; `None` keeps it. Constant cost, whatever the count.
    ///
    /// # Errors
    /// As [`StreamStore::stage`]; `Full` where the sequences run out.
    fn skip(&mut self, count: u64, time: Option<i64>) -> Result<(), StoreError>;

    /// Names every change until now.
    fn staged(&self) -> Ticket;

    /// What has reached the medium: every change up to this ticket survives as [`Capabilities`] promise.
    fn durable(&self) -> Ticket;

    /// Asks that everything up to `ticket` become durable, and returns the durable mark. Where that is still behind,
    /// [`StoreObserver::durable`] or [`StoreObserver::failed`] follows. Never waits.
    ///
    /// # Errors
    /// An earlier commit failed; the store must be opened anew.
    fn commit(&mut self, ticket: Ticket) -> Result<Ticket, StoreError>;

    /// The message with a sequence. `None`: never there, removed or skipped.
    ///
    /// # Errors
    /// [`StoreError::Damaged`], [`StoreError::Io`].
    fn load(&self, sequence: u64) -> Result<Option<Load>, StoreError>;

    /// The first sequence from `from` on that holds a message. At most logarithmic cost, however many are missing.
    fn at_or_after(&self, from: u64) -> Option<u64>;

    /// Takes a message and its timers away; what it counted, or `None` where there was none. The first sequence moves
    /// on to the next message (STORE-100).
    ///
    /// A store without [`Capabilities::secure_erase`] takes an erase for a removal.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    fn remove(&mut self, sequence: u64, removal: Removal) -> Result<Option<u64>, StoreError>;

    /// Takes every message after `sequence`, which becomes the last; 0 leaves a stream as if new (STORE-108). Nothing
    /// happens where it is not before the last. `last_time` becomes that of the last message left, and stays where
    /// there is none.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    fn truncate(&mut self, sequence: u64) -> Result<Purged, StoreError>;

    /// Sets or clears a message's timer of a kind; at most one of each. Nothing happens where there is no such message.
    /// A durable store has them again after reopening. Logarithmic cost.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    fn set_timer(&mut self, kind: TimerKind, sequence: u64, at: Option<i64>) -> Result<(), StoreError>;

    /// Up to `most` timers of a kind due at `until` or before, by time and then sequence. They stay set until their
    /// message is removed or they are cleared. With `until` = `i64::MAX` and 1 it tells when to ask next.
    fn due(&self, kind: TimerKind, until: i64, most: usize) -> Vec<Due>;

    /// What [`StreamStore::set_metadata`] kept, empty at first.
    fn metadata(&self) -> &[u8];

    /// Keeps bytes for the owner, such as the stream's configuration, replacing the earlier ones as a whole.
    ///
    /// # Errors
    /// [`StoreError::Full`], [`StoreError::Io`]; the earlier ones stay then.
    fn set_metadata(&mut self, metadata: &[u8]) -> Result<(), StoreError>;

    /// Opens the store of a consumer, and makes it where there is none.
    ///
    /// # Errors
    /// As [`StoreBackend::stream`]; [`StoreError::InvalidName`].
    fn consumer(&mut self, name: &str) -> Result<Box<dyn ConsumerStore>, StoreError>;

    /// The names of the consumers that have a store, sorted.
    fn consumers(&self) -> Vec<String>;

    /// Removes a consumer's store; whether there was one. It must be closed.
    ///
    /// # Errors
    /// [`StoreError::InUse`], [`StoreError::Io`].
    fn delete_consumer(&mut self, name: &str) -> Result<bool, StoreError>;

    /// The last sequence up to `to` that holds a message. Logarithmically many calls of `at_or_after`.
    fn at_or_before(&self, to: u64) -> Option<u64> {
        let state = self.state();
        let reaches = |from: u64| self.at_or_after(from).is_some_and(|found| found <= to);
        let (mut low, mut high) = (state.first, state.last.min(to));
        if low > high || !reaches(low) {
            return None;
        }
        // `reaches` holds up to the wanted sequence and not beyond it.
        while low < high {
            let middle = high - (high - low) / 2;
            if reaches(middle) {
                low = middle;
            } else {
                high = middle - 1;
            }
        }
        Some(low)
    }

    /// The first message from `from` on that matches one of the filters; no filter matches all (STORE-93). Cost: *n*.
    ///
    /// # Errors
    /// As [`StreamStore::load`].
    fn next(&self, filters: &[Filter<'_>], from: u64) -> Result<Option<Load>, StoreError> {
        let mut at = self.at_or_after(from);
        while let Some(sequence) = at {
            if let Some(found) = load_matching(self, filters, sequence)? {
                return Ok(Some(found));
            }
            at = after(sequence).and_then(|from| self.at_or_after(from));
        }
        Ok(None)
    }

    /// The last message up to `to` that matches one of the filters. With one subject and `to` = `u64::MAX` it is the
    /// last per subject (STORE-94). Cost: *n* log *n*.
    ///
    /// # Errors
    /// As [`StreamStore::load`].
    fn previous(&self, filters: &[Filter<'_>], to: u64) -> Result<Option<Load>, StoreError> {
        let mut at = self.at_or_before(to);
        while let Some(sequence) = at {
            if let Some(found) = load_matching(self, filters, sequence)? {
                return Ok(Some(found));
            }
            at = sequence.checked_sub(1).and_then(|to| self.at_or_before(to));
        }
        Ok(None)
    }

    /// The sequence of the first message stored at `time` or later (STORE-95). `None`: all are older. Cost: *n*.
    ///
    /// # Errors
    /// As [`StreamStore::load`].
    fn sequence_at(&self, time: i64) -> Result<Option<u64>, StoreError> {
        let mut found = None;
        walk(self, &[], 0, &mut |message| {
            found = (message.time >= time).then_some(message.sequence);
            found.is_none()
        })?;
        Ok(found)
    }

    /// What matches one of the filters from `from` on (STORE-97). Cost: *n*.
    ///
    /// # Errors
    /// As [`StreamStore::load`].
    fn filtered_state(&self, filters: &[Filter<'_>], from: u64) -> Result<SubjectState, StoreError> {
        let mut state = SubjectState::default();
        walk(self, filters, from, &mut |message| {
            state.add(message.sequence);
            true
        })?;
        Ok(state)
    }

    /// Shows `visit` each matching subject and its figures, by rising bytes, until it returns false. Cost: *n*, and
    /// memory for all matching subjects.
    ///
    /// # Errors
    /// As [`StreamStore::load`].
    fn each_subject(
        &self,
        filters: &[Filter<'_>],
        visit: &mut dyn FnMut(Subject<'_>, &SubjectState) -> bool,
    ) -> Result<(), StoreError> {
        let mut subjects = BTreeMap::<SubjectBuf, SubjectState>::new();
        walk(self, filters, 0, &mut |message| {
            subjects
                .entry(message.subject.clone())
                .or_default()
                .add(message.sequence);
            true
        })?;
        subjects
            .iter()
            .all(|(subject, state)| visit(subject.as_subject(), state));
        Ok(())
    }

    /// How many messages or subjects a consumer at `from` still has before it, valid through the last sequence
    /// (STORE-96). A subject that several filters match counts once. Cost: *n*.
    ///
    /// # Errors
    /// As [`StreamStore::load`].
    fn num_pending(&self, from: u64, filters: &[Filter<'_>], counting: Counting) -> Result<u64, StoreError> {
        if counting == Counting::All {
            return Ok(self.filtered_state(filters, from)?.messages);
        }
        let mut count = 0;
        self.each_subject(filters, &mut |_, state| {
            count += u64::from(state.last >= from);
            true
        })?;
        Ok(count)
    }

    /// Each matching subject's last sequence up to `to`, sorted (STORE-98). Cost: *n*.
    ///
    /// # Errors
    /// [`StoreError::TooManyResults`] for more than `most`; as [`StreamStore::load`].
    fn last_sequences(&self, filters: &[Filter<'_>], to: u64, most: usize) -> Result<Vec<u64>, StoreError> {
        let mut last = BTreeMap::<SubjectBuf, u64>::new();
        walk(self, filters, 0, &mut |message| {
            if message.sequence > to {
                return false;
            }
            last.insert(message.subject.clone(), message.sequence);
            last.len() <= most
        })?;
        if last.len() > most {
            return Err(StoreError::TooManyResults);
        }
        let mut sequences: Vec<_> = last.into_values().collect();
        sequences.sort_unstable();
        Ok(sequences)
    }

    /// Removes many, oldest first (STORE-106). Without a filter, `Before` does as [`StreamStore::compact`]. Cost: *n*
    /// with a filter, otherwise what is removed.
    ///
    /// # Errors
    /// As [`StreamStore::load`] and [`StreamStore::remove`]; what was removed before stays away.
    fn purge(&mut self, purge: &Purge) -> Result<Purged, StoreError> {
        let filter = purge.filter.as_ref().map(|filter| filter.as_filter());
        let filters = filter.as_slice();
        let (before, most) = match purge.extent {
            PurgeExtent::Before(sequence) if filters.is_empty() => return self.compact(sequence),
            PurgeExtent::Everything => (u64::MAX, u64::MAX),
            PurgeExtent::Before(sequence) => (sequence, u64::MAX),
            PurgeExtent::Keep(count) => {
                let matching = self.filtered_state(filters, 0)?.messages;
                (u64::MAX, matching.saturating_sub(count))
            }
        };
        remove_while(self, filters, before, most)
    }

    /// Removes everything before `sequence`, which becomes the first where nothing is left (STORE-107). Cost: what is
    /// removed.
    ///
    /// # Errors
    /// As [`StreamStore::purge`].
    fn compact(&mut self, sequence: u64) -> Result<Purged, StoreError> {
        let purged = remove_while(self, &[], sequence, u64::MAX)?;
        let next = self.state().last.saturating_add(1);
        if sequence > next {
            self.skip(sequence - next, None)?;
        }
        Ok(purged)
    }

    /// The next part of a snapshot, at least one message and then up to about `bytes`. Messages removed since the
    /// snapshot began are left out. Cost: the messages of the part.
    ///
    /// # Errors
    /// As [`StreamStore::load`]: a snapshot has no silent holes.
    fn snapshot(&self, cursor: SnapshotCursor, bytes: u64) -> Result<SnapshotChunk, StoreError> {
        let mut chunk = SnapshotChunk {
            through: cursor.last,
            ..SnapshotChunk::default()
        };
        let mut size = 0;
        walk(self, &[], cursor.next, &mut |message| {
            if message.sequence > cursor.last {
                return false;
            }
            size += message.size(self.storage());
            if size > bytes && !chunk.messages.is_empty() {
                let next = message.sequence;
                chunk.through = next.saturating_sub(1);
                chunk.next = Some(SnapshotCursor { next, ..cursor });
                return false;
            }
            chunk.messages.push(message);
            true
        })?;
        Ok(chunk)
    }

    /// Takes a part of a snapshot, in order, into a store that was new before the first. Cost: its messages.
    ///
    /// # Errors
    /// [`StoreError::SequenceMismatch`] where a part does not follow the last; as [`StreamStore::stage`].
    fn restore(&mut self, chunk: &SnapshotChunk) -> Result<(), StoreError> {
        for message in &chunk.messages {
            skip_to(self, message.sequence)?;
            self.stage(&message.as_new())?;
        }
        skip_to(self, chunk.through.saturating_add(1))
    }

    /// The damage that is known and not repaired.
    fn damage(&self) -> Vec<Damage> {
        Vec::new()
    }

    /// Puts a lost message back, as a replica has it.
    ///
    /// # Errors
    /// [`StoreError::Unsupported`] unless the store detects damage; [`StoreError::Io`].
    fn repair(&mut self, message: &StoredMessage) -> Result<(), StoreError> {
        let _ = message;
        Err(StoreError::Unsupported("repair"))
    }

    /// Makes everything durable and releases the store. May wait for a disk. A store that is dropped instead keeps
    /// only what is durable.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    fn close(self: Box<Self>) -> Result<(), StoreError> {
        Ok(())
    }
}

/// What one consumer must not forget. Staged, durable and commit mean the same as at a [`StreamStore`].
///
/// ```
/// use dunlin_api::{ConsumerChange, ConsumerState, ConsumerStore, SequencePair, StoreError, Ticket};
///
/// /// Forgets everything when it is dropped.
/// #[derive(Default)]
/// struct Forgetful { state: ConsumerState, metadata: Vec<u8>, staged: Ticket }
///
/// impl ConsumerStore for Forgetful {
///     fn state(&self) -> &ConsumerState { &self.state }
///     fn record(&mut self, changes: &[ConsumerChange]) -> Result<Ticket, StoreError> {
///         changes.iter().for_each(|change| self.state.apply(change));
///         self.staged.0 += 1;
///         Ok(self.staged)
///     }
///     fn durable(&self) -> Ticket { self.staged }
///     fn commit(&mut self, _: Ticket) -> Result<Ticket, StoreError> { Ok(self.staged) }
///     fn metadata(&self) -> &[u8] { &self.metadata }
///     fn set_metadata(&mut self, metadata: &[u8]) -> Result<Ticket, StoreError> {
///         self.metadata = metadata.to_vec();
///         self.record(&[])
///     }
/// }
///
/// let mut store = Forgetful::default();
/// let first = SequencePair { consumer: 1, stream: 4 };
/// let ticket = store.record(&[ConsumerChange::Delivered(first)])?;
/// assert_eq!(store.commit(ticket)?, ticket);
/// assert_eq!(store.state().delivered, first);
/// # Ok::<(), StoreError>(())
/// ```
pub trait ConsumerStore: Send {
    /// What it holds, with what is staged.
    fn state(&self) -> &ConsumerState;

    /// Makes the changes together: after a crash all are there or none, as [`ConsumerState::apply`] defines them. Cost:
    /// the changes, not the state.
    ///
    /// # Errors
    /// [`StoreError::Full`], [`StoreError::Io`]; nothing is changed then.
    fn record(&mut self, changes: &[ConsumerChange]) -> Result<Ticket, StoreError>;

    /// What has reached the medium.
    fn durable(&self) -> Ticket;

    /// Asks that everything up to `ticket` become durable, and returns the durable mark. The stream's observer hears of
    /// later moves of the stream's own mark only: whoever waits asks `durable` again then.
    ///
    /// # Errors
    /// An earlier commit failed; the store must be opened anew.
    fn commit(&mut self, ticket: Ticket) -> Result<Ticket, StoreError>;

    /// What [`ConsumerStore::set_metadata`] kept, empty at first.
    fn metadata(&self) -> &[u8];

    /// Keeps bytes for the owner, such as the consumer's configuration, replacing the earlier ones as a whole.
    ///
    /// # Errors
    /// As [`ConsumerStore::record`].
    fn set_metadata(&mut self, metadata: &[u8]) -> Result<Ticket, StoreError>;
}

/// Whether one of the filters matches; no filter matches everything. What every filtered read of a store means.
pub fn matches_any(filters: &[Filter<'_>], subject: Subject<'_>) -> bool {
    filters.is_empty() || filters.iter().any(|filter| matches(*filter, subject))
}

fn after(sequence: u64) -> Option<u64> {
    sequence.checked_add(1)
}

fn load_matching<S: StreamStore + ?Sized>(
    store: &S,
    filters: &[Filter<'_>],
    sequence: u64,
) -> Result<Option<Load>, StoreError> {
    let Some(load) = store.load(sequence)? else {
        return Ok(None);
    };
    if filters.is_empty() {
        return Ok(Some(load));
    }
    let message = load.wait()?;
    let matching = message.filter(|message| matches_any(filters, message.subject.as_subject()));
    Ok(matching.map(Load::Ready))
}

/// Shows `visit` the matching messages from `from` on, in order, until it returns false.
fn walk<S: StreamStore + ?Sized>(
    store: &S,
    filters: &[Filter<'_>],
    from: u64,
    visit: &mut dyn FnMut(StoredMessage) -> bool,
) -> Result<(), StoreError> {
    let mut at = store.at_or_after(from);
    while let Some(sequence) = at {
        let message = load_matching(store, filters, sequence)?
            .map(Load::wait)
            .transpose()?;
        if let Some(message) = message.flatten()
            && !visit(message)
        {
            break;
        }
        at = after(sequence).and_then(|from| store.at_or_after(from));
    }
    Ok(())
}

fn remove_while<S: StreamStore + ?Sized>(
    store: &mut S,
    filters: &[Filter<'_>],
    before: u64,
    most: u64,
) -> Result<Purged, StoreError> {
    let mut purged = Purged::default();
    let mut at = store.at_or_after(0);
    while let Some(sequence) = at.filter(|sequence| *sequence < before && purged.messages < most) {
        // Without a filter nothing is read, so a purge also rids a stream of what is damaged.
        if filters.is_empty() || load_matching(store, filters, sequence)?.is_some() {
            let removed = store.remove(sequence, Removal::Remove)?;
            purged.messages += u64::from(removed.is_some());
            purged.bytes += removed.unwrap_or_default();
        }
        at = after(sequence).and_then(|from| store.at_or_after(from));
    }
    Ok(purged)
}

/// Skips so that `sequence` is the next.
fn skip_to<S: StreamStore + ?Sized>(store: &mut S, sequence: u64) -> Result<(), StoreError> {
    let expected = store.state().last.saturating_add(1);
    let mismatch = StoreError::SequenceMismatch {
        expected,
        given: sequence,
    };
    match sequence.checked_sub(expected).ok_or(mismatch)? {
        0 => Ok(()),
        count => store.skip(count, None),
    }
}
