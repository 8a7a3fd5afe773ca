//! The plain types that streams, consumers and their stores exchange.

use std::collections::BTreeMap;
use std::fmt;

use dunlin_subject::{AccountName, FilterBuf, Subject, SubjectBuf};

use super::StoreError;

/// Which stream: its account and its name, both safe to become a directory's name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId {
    account: AccountName,
    stream: Box<str>,
}

/// A name is too long to be a file's name on common systems.
const LONGEST_NAME: usize = 255;

impl StreamId {
    /// A stream of an account. The name is refused where it is empty, longer than 255 bytes or holds white space,
    /// control characters or one of `. * > / \`: stores make it part of a path. The account's name may hold all
    /// of these but `/` and `\`, and is neither `.` nor `..`.
    ///
    /// # Errors
    /// [`StoreError::InvalidName`].
    pub fn new(account: AccountName, stream: &str) -> Result<Self, StoreError> {
        for (name, allowed) in [
            (stream, is_store_name(stream)),
            (account.as_str(), is_directory_name(account.as_str())),
        ] {
            if !allowed {
                return Err(StoreError::InvalidName(name.to_owned()));
            }
        }
        Ok(Self {
            account,
            stream: stream.into(),
        })
    }

    /// The account.
    pub fn account(&self) -> &AccountName {
        &self.account
    }

    /// The stream's name within its account.
    pub fn stream(&self) -> &str {
        &self.stream
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} > {}", self.account, self.stream)
    }
}

fn is_directory_name(account: &str) -> bool {
    account.len() <= LONGEST_NAME && !account.contains(['/', '\\']) && !matches!(account, "." | "..")
}

/// Whether a stream or consumer may have this name; the rule is at [`StreamId::new`].
pub fn is_store_name(name: &str) -> bool {
    let allowed =
        |c: char| !c.is_whitespace() && !c.is_control() && !matches!(c, '.' | '*' | '>' | '/' | '\\');
    !name.is_empty() && name.len() <= LONGEST_NAME && name.chars().all(allowed)
}

/// A stream's storage type, as its configuration names it. It decides what a message counts, whatever the backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StorageType {
    /// `file`: a message counts as its record in nats-server's block file.
    File,
    /// `memory`.
    Memory,
}

impl StorageType {
    /// Bytes that a message counts in limits, states and accounts (STORE-18, STORE-81).
    pub fn message_size(self, subject: &[u8], headers: &[u8], payload: &[u8]) -> u64 {
        let bytes = subject.len() as u64 + headers.len() as u64 + payload.len() as u64;
        match self {
            Self::File if headers.is_empty() => bytes + 30,
            Self::File => bytes + 34,
            Self::Memory => bytes + 16,
        }
    }
}

/// What a backend promises. Callers ask here, never for a backend's name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// What [`super::StreamStore::durable`] covers survives a crash and power loss, and streams are found again by
    /// [`super::StoreBackend::list`]. Without it configuration must allow the backend for `storage: file`.
    pub durable: bool,
    /// An erased message cannot be read from the medium afterwards; a backend without it only forgets.
    pub secure_erase: bool,
    /// Damage is found when read and reported as [`Damage`].
    pub detects_damage: bool,
    /// Loads may answer [`super::Load::Cold`].
    pub cold_reads: bool,
}

/// A message to append.
#[derive(Clone, Copy, Debug)]
pub struct NewMessage<'a> {
    /// The sequence that it must get. `None`: the next one.
    pub sequence: Option<u64>,
    /// When it was stored, in nanoseconds since the Unix epoch. The proposer decides, so that replicas agree.
    pub time: i64,
    /// Its subject.
    pub subject: Subject<'a>,
    /// The header block, empty when there is none.
    pub headers: &'a [u8],
    /// The payload.
    pub payload: &'a [u8],
}

/// A message as a store holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredMessage {
    /// Its place in the stream, from 1.
    pub sequence: u64,
    /// When it was stored, in nanoseconds since the Unix epoch.
    pub time: i64,
    /// Its subject.
    pub subject: SubjectBuf,
    /// The header block, empty when there is none.
    pub headers: Vec<u8>,
    /// The payload.
    pub payload: Vec<u8>,
}

impl StoredMessage {
    /// What it counts; see [`StorageType::message_size`].
    pub fn size(&self, storage: StorageType) -> u64 {
        storage.message_size(self.subject.as_bytes(), &self.headers, &self.payload)
    }

    /// The same message, to be appended at its own sequence.
    pub fn as_new(&self) -> NewMessage<'_> {
        NewMessage {
            sequence: Some(self.sequence),
            time: self.time,
            subject: self.subject.as_subject(),
            headers: &self.headers,
            payload: &self.payload,
        }
    }
}

/// Names a point in a store's changes: everything staged until then. Later tickets are greater; 0 is the state
/// that the store was opened with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// A message that was appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Staged {
    /// The sequence that it got.
    pub sequence: u64,
    /// What it counts.
    pub size: u64,
    /// What to commit, so that it survives.
    pub ticket: Ticket,
}

/// A stream's figures (STORE-80). They include what is staged and not yet durable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StreamState {
    /// Messages held.
    pub messages: u64,
    /// What they count together.
    pub bytes: u64,
    /// Sequence of the first message. In an empty stream `last + 1`, or 0 where nothing was ever stored.
    pub first: u64,
    /// Time of the first message; 0 in an empty stream.
    pub first_time: i64,
    /// The last sequence given to a message or skipped; never goes back but by `truncate`.
    pub last: u64,
    /// Time of the last message, kept when that message is removed.
    pub last_time: i64,
}

impl StreamState {
    /// Sequences between the first and the last that hold no message.
    pub fn deleted(&self) -> u64 {
        // A new stream has first 0, which would count a sequence 0.
        self.last
            .saturating_add(1)
            .saturating_sub(self.first.max(1))
            .saturating_sub(self.messages)
    }
}

/// Messages of one subject or of one filter; zeros where there are none (STORE-97).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SubjectState {
    /// How many.
    pub messages: u64,
    /// Sequence of the first.
    pub first: u64,
    /// Sequence of the last.
    pub last: u64,
}

impl SubjectState {
    /// Counts one more message, whose sequence is greater than all before.
    pub fn add(&mut self, sequence: u64) {
        if self.messages == 0 {
            self.first = sequence;
        }
        self.messages += 1;
        self.last = sequence;
    }
}

/// What `num_pending` counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counting {
    /// Every matching message.
    All,
    /// Each matching subject once, where its last message lies in the range.
    LastPerSubject,
}

/// How a message is taken away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removal {
    /// It is no longer found.
    Remove,
    /// Its bytes are overwritten too, wherever the store has them, before the change counts as durable.
    Erase,
}

/// Which messages a purge takes (STORE-106).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Purge {
    /// Only messages that match it. `None`: all.
    pub filter: Option<FilterBuf>,
    /// How far it goes.
    pub extent: PurgeExtent,
}

/// How far a purge goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PurgeExtent {
    /// Every matching message.
    #[default]
    Everything,
    /// Matching messages before this sequence.
    Before(u64),
    /// All but this many of the newest matching messages.
    Keep(u64),
}

/// What a purge, compact or truncate took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Purged {
    /// Messages.
    pub messages: u64,
    /// What they counted.
    pub bytes: u64,
}

/// The two times that a store keeps in order for its stream (STORE-64, STORE-87).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TimerKind {
    /// When a message expires.
    Expiry,
    /// When a scheduled message is due.
    Schedule,
}

/// A timer that has come due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Due {
    /// When, in nanoseconds since the Unix epoch.
    pub at: i64,
    /// The message's sequence.
    pub sequence: u64,
}

/// A change of what a stream uses (STORE-82).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UsageChange {
    /// Messages more or fewer.
    pub messages: i64,
    /// Bytes more or fewer.
    pub bytes: i64,
}

/// Messages that a store has lost and knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The first sequence concerned.
    pub first: u64,
    /// The last sequence concerned.
    pub last: u64,
    /// Bytes that cannot be read, as far as is known.
    pub bytes: u64,
    /// Where and what, for the operator.
    pub detail: String,
}

/// Where a snapshot stands. Begin with [`SnapshotCursor::of`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SnapshotCursor {
    /// The next sequence to take.
    pub next: u64,
    /// The last sequence of the snapshot.
    pub last: u64,
}

impl SnapshotCursor {
    /// The start of a snapshot of everything that a stream holds now; later messages are not in it.
    pub fn of(state: &StreamState) -> Self {
        Self {
            next: state.first,
            last: state.last,
        }
    }
}

/// A part of a snapshot, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SnapshotChunk {
    /// The messages, by rising sequence. Sequences between them hold nothing.
    pub messages: Vec<StoredMessage>,
    /// The last sequence that this part tells about.
    pub through: u64,
    /// Where the next part begins. `None`: this was the last.
    pub next: Option<SnapshotCursor>,
}

/// A message's numbers: of the delivery and of the stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SequencePair {
    /// Counts the consumer's deliveries.
    pub consumer: u64,
    /// The message's sequence in the stream.
    pub stream: u64,
}

/// A delivery that waits for its ack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PendingAck {
    /// The delivery's number.
    pub consumer: u64,
    /// The time that its redelivery counts from, in nanoseconds since the Unix epoch.
    pub time: i64,
}

/// What a consumer must not forget (STORE-65).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConsumerState {
    /// The last delivery.
    pub delivered: SequencePair,
    /// Everything until here is acked.
    pub ack_floor: SequencePair,
    /// By sequence in the stream.
    pub pending: BTreeMap<u64, PendingAck>,
    /// How often a message was delivered again, by sequence in the stream.
    pub redelivered: BTreeMap<u64, u64>,
}

/// A change of a consumer's state. It says what becomes of the state, not what a client did: the rules of acks lie
/// with the consumer, so every store comes to the same state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConsumerChange {
    /// Sets `delivered`.
    Delivered(SequencePair),
    /// Sets `ack_floor`.
    AckFloor(SequencePair),
    /// Sets or clears what waits for an ack.
    Pending(u64, Option<PendingAck>),
    /// Sets how often a message was redelivered; 0 forgets it.
    Redelivered(u64, u64),
    /// Everything anew.
    Replace(Box<ConsumerState>),
}

impl ConsumerState {
    /// Makes the change. Total: any change fits any state.
    pub fn apply(&mut self, change: &ConsumerChange) {
        match change {
            ConsumerChange::Delivered(pair) => self.delivered = *pair,
            ConsumerChange::AckFloor(pair) => self.ack_floor = *pair,
            ConsumerChange::Pending(sequence, Some(pending)) => {
                self.pending.insert(*sequence, *pending);
            }
            ConsumerChange::Pending(sequence, None) => {
                self.pending.remove(sequence);
            }
            ConsumerChange::Redelivered(sequence, 0) => {
                self.redelivered.remove(sequence);
            }
            ConsumerChange::Redelivered(sequence, count) => {
                self.redelivered.insert(*sequence, *count);
            }
            ConsumerChange::Replace(state) => *self = (**state).clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // STORE-18, STORE-81
    #[test]
    fn a_message_counts_by_its_storage_type() {
        assert_eq!(StorageType::File.message_size(b"", b"", b""), 30);
        assert_eq!(StorageType::File.message_size(b"abc", b"", b"hello"), 38);
        assert_eq!(StorageType::File.message_size(b"abc", b"hd", b"hello"), 44);
        assert_eq!(StorageType::Memory.message_size(b"abc", b"hd", b"hello"), 26);
    }

    #[test]
    fn a_stream_name_cannot_leave_its_directory() {
        for name in [
            "",
            ".",
            "..",
            "a/b",
            "a\\b",
            "a b",
            "a*",
            ">",
            "a\0",
            &"x".repeat(256),
        ] {
            let refused = StreamId::new(AccountName::global(), name);
            assert_eq!(refused, Err(StoreError::InvalidName(name.to_owned())));
        }
        assert!(StreamId::new(AccountName::global(), "ORDERS_1-ü").is_ok());
        for account in ["..", "a/../b", "a\\b"] {
            let refused = StreamId::new(AccountName::new(account).unwrap(), "S");
            assert_eq!(refused, Err(StoreError::InvalidName(account.to_owned())));
        }
    }

    // STORE-80
    #[test]
    fn deleted_messages_are_counted_and_never_negative() {
        let state = |messages, first, last| StreamState {
            messages,
            first,
            last,
            ..StreamState::default()
        };
        assert_eq!(state(3, 2, 6).deleted(), 2);
        assert_eq!(state(0, 7, 6).deleted(), 0);
        assert_eq!(state(0, 0, 0).deleted(), 0);
        // A skip may reach the end of all sequences.
        assert_eq!(state(0, u64::MAX, u64::MAX).deleted(), 0);
    }
}
