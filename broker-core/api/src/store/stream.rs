//! One stream's messages.

use std::ops::RangeInclusive;

use dunlin_subject::{Filter, Subject};

use super::{
    Answer, ConsumerStore, Counting, Damage, Due, NewMessage, Purge, Purged, Removal, SnapshotChunk,
    SnapshotCursor, SourcePosition, SourcePositions, Staged, StorageType, StoreError, StoredMessage,
    StreamState, SubjectState, Ticket, TimerKind, Warm, defaults,
};
#[cfg(doc)]
use super::{Capabilities, PurgeExtent, StoreBackend, StoreObserver};

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
///     store.num_pending(0, &[Filter::new(b"reading.*").unwrap()], Counting::All)?.wait()
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
    /// As every [`Answer`].
    fn load(&self, sequence: u64) -> Answer<Option<StoredMessage>>;

    /// The first sequence from `from` on that holds a message. At most logarithmic cost, however many are missing.
    fn at_or_after(&self, from: u64) -> Option<u64>;

    /// Takes a message and its timers away; what it counted, or `None` where there was none. The first sequence moves
    /// on to the next message (STORE-100). Reads what is cold; see [`StreamStore::warm`].
    ///
    /// A store without [`Capabilities::secure_erase`] takes an erase for a removal.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    fn remove(&mut self, sequence: u64, removal: Removal) -> Result<Option<u64>, StoreError>;

    /// Takes every message after `sequence`, which becomes the last; 0 leaves a stream as if new (STORE-108). Nothing
    /// happens where it is not before the last. `last_time` becomes that of the last message left, and stays where
    /// there is none. After a crash it has happened whole or not at all. Reads what is cold.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    fn truncate(&mut self, sequence: u64) -> Result<Purged, StoreError>;

    /// Sets or clears a message's timer of a kind; at most one of each. Nothing happens where there is no such message.
    /// A durable store has them again after reopening, see [`StreamStore::timers_before`]; a timer is no staged change.
    /// Logarithmic cost.
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

    /// Removes a closed consumer's store for good, before it returns; whether there was one. May wait for a disk.
    ///
    /// # Errors
    /// [`StoreError::InUse`], [`StoreError::Io`].
    fn delete_consumer(&mut self, name: &str) -> Result<bool, StoreError>;

    /// Asked once, after opening: the timers are those of a moment when this sequence was the next, without those of
    /// messages removed since. The owner sets anew what the messages from there on ask for (STORE-62).
    ///
    /// The default body says that all are as they were when the stream was last open.
    fn timers_before(&self) -> u64 {
        self.state().last.saturating_add(1)
    }

    /// The last sequence up to `to` that holds a message. Logarithmically many calls of `at_or_after`.
    fn at_or_before(&self, to: u64) -> Option<u64> {
        defaults::at_or_before(self, to)
    }

    /// Shows `visit` each run of sequences between the first and the last that hold nothing, by rising sequence, until
    /// it returns false. Together they are as many as [`StreamState::deleted`] says. Cost: *n* calls of `at_or_after`.
    fn each_deleted(&self, visit: &mut dyn FnMut(RangeInclusive<u64>) -> bool) {
        defaults::each_deleted(self, visit);
    }

    /// The first message from `from` on that matches one of the filters; no filter matches all (STORE-93). Cost: *n*.
    ///
    /// # Errors
    /// As every [`Answer`].
    fn next(&self, filters: &[Filter<'_>], from: u64) -> Answer<Option<StoredMessage>> {
        defaults::next(self, filters, from)
    }

    /// The last message up to `to` that matches one of the filters. With one subject and `to` = `u64::MAX` it is the
    /// last per subject (STORE-94). Cost: *n* log *n*.
    ///
    /// # Errors
    /// As every [`Answer`].
    fn previous(&self, filters: &[Filter<'_>], to: u64) -> Answer<Option<StoredMessage>> {
        defaults::previous(self, filters, to)
    }

    /// The sequence of the first message stored at `time` or later (STORE-95). `None`: all are older. Cost: *n*.
    ///
    /// Where times step back (STORE-88) it may be another message with an older one before it, so that a store may
    /// search by halves.
    ///
    /// # Errors
    /// As every [`Answer`].
    fn sequence_at(&self, time: i64) -> Answer<Option<u64>> {
        defaults::sequence_at(self, time)
    }

    /// What matches one of the filters from `from` on (STORE-97). Cost: *n*.
    ///
    /// # Errors
    /// As every [`Answer`].
    fn filtered_state(&self, filters: &[Filter<'_>], from: u64) -> Answer<SubjectState> {
        defaults::filtered_state(self, filters, from)
    }

    /// Shows `visit` each matching subject once with the number of its messages, until it returns false; with at most
    /// one filter by rising bytes. Cost: *n*, and memory for all matching subjects.
    ///
    /// # Errors
    /// As [`StreamStore::load`].
    fn each_subject(
        &self,
        filters: &[Filter<'_>],
        visit: &mut dyn FnMut(Subject<'_>, u64) -> bool,
    ) -> Result<(), StoreError> {
        defaults::each_subject(self, filters, visit)
    }

    /// How many messages or subjects a consumer at `from` still has before it, valid through the last sequence
    /// (STORE-96). A subject that several filters match counts once. Cost: *n*.
    ///
    /// # Errors
    /// As every [`Answer`].
    fn num_pending(&self, from: u64, filters: &[Filter<'_>], counting: Counting) -> Answer<u64> {
        defaults::num_pending(self, from, filters, counting)
    }

    /// Each matching subject's last sequence up to `to`, sorted (STORE-98). Cost: *n*.
    ///
    /// # Errors
    /// [`StoreError::TooManyResults`] for more than `most`, from the job as well; as every [`Answer`].
    fn last_sequences(&self, filters: &[Filter<'_>], to: u64, most: usize) -> Answer<Vec<u64>> {
        defaults::last_sequences(self, filters, to, most)
    }

    /// What the changes from `from` on, of messages that one of the filters matches, would have to read: the next
    /// part of it. `None`: nothing.
    ///
    /// `remove`, `truncate`, `purge` and `compact` read what is cold in place. An owner who may not wait runs the job
    /// elsewhere first, changes no more than up to [`Warm::through`], and holds the [`super::Warmed`] until then; a long
    /// purge goes in such steps, with [`PurgeExtent::Before`].
    ///
    /// # Errors
    /// Those of the job are an [`Answer`]'s; the change is then still possible, and meets the same.
    fn warm(&self, filters: &[Filter<'_>], from: u64) -> Option<Warm> {
        let _ = (filters, from);
        None
    }

    /// Removes many, oldest first (STORE-106). Without a filter, `Before` does as [`StreamStore::compact`]. Cost: *n*
    /// with a filter, otherwise what is removed.
    ///
    /// # Errors
    /// As [`StreamStore::load`] and [`StreamStore::remove`]; what was removed before stays away.
    fn purge(&mut self, purge: &Purge) -> Result<Purged, StoreError> {
        defaults::purge(self, purge)
    }

    /// Removes everything before `sequence`, which becomes the first where nothing is left (STORE-107). Cost: what is
    /// removed.
    ///
    /// # Errors
    /// As [`StreamStore::purge`].
    fn compact(&mut self, sequence: u64) -> Result<Purged, StoreError> {
        defaults::compact(self, sequence)
    }

    /// The next part of a snapshot, at least one message and then up to about `bytes`. Messages removed since the
    /// snapshot began are left out. Cost: the messages of the part.
    ///
    /// # Errors
    /// As every [`Answer`]: a snapshot has no silent holes.
    fn snapshot(&self, cursor: SnapshotCursor, bytes: u64) -> Answer<SnapshotChunk> {
        defaults::snapshot(self, cursor, bytes)
    }

    /// Takes a part of a snapshot, in order, into a store that was new before the first. Cost: its messages.
    ///
    /// # Errors
    /// [`StoreError::SequenceMismatch`] where a part does not follow the last; as [`StreamStore::stage`].
    fn restore(&mut self, chunk: &SnapshotChunk) -> Result<(), StoreError> {
        defaults::restore(self, chunk)
    }

    /// What [`StreamStore::set_sources`] kept.
    fn sources(&self) -> SourcePositions {
        SourcePositions::default()
    }

    /// Keeps how far the stream has come with its sources, replacing the earlier positions as a whole. They count as of
    /// all that is staged now. A crash may bring back older ones, with their [`SourcePositions::before`]: the owner
    /// looks through the messages from there on. A store that keeps none makes it look through all.
    ///
    /// # Errors
    /// [`StoreError::Full`], [`StoreError::Io`]; the earlier ones stay then.
    fn set_sources(&mut self, sources: &[SourcePosition]) -> Result<(), StoreError> {
        let _ = sources;
        Ok(())
    }

    /// The damage that is known and not repaired.
    fn damage(&self) -> Vec<Damage> {
        Vec::new()
    }

    /// Puts a lost message back, as a replica has it.
    ///
    /// # Errors
    /// [`StoreError::Unsupported`] where the store has no way to; [`StoreError::Io`].
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
