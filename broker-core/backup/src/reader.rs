//! Reads a backup of messages, part by part. (STORE-76, STORE-77)

use dunlin_api::{NewMessage, StorageType};
use dunlin_subject::{Subject, SubjectBuf};

use crate::archive::{ArchiveError, ArchiveReader, EntryHead};
use crate::json::{BackupConsumer, BackupState, ConsumerFault};
use crate::s2::{S2Decoder, S2Error};

/// Why a backup is not taken. The texts are the reference's where it has one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackupError {
    /// It does not decompress.
    #[error(transparent)]
    S2(#[from] S2Error),
    /// Its entries cannot be told apart.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// It begins with something else.
    #[error("expected state.json first")]
    StateFirst,
    /// The state is no JSON, or not that of a stream.
    #[error("error in state.json: {0}")]
    State(String),
    /// The state's figures contradict each other.
    #[error("invalid stream state: {0}")]
    Figures(&'static str),
    /// Fewer consumers than the state says.
    #[error("expected consumer, found {0:?}")]
    ExpectedConsumer(String),
    /// A consumer's JSON.
    #[error("failed to decode consumer {0:?} state: {1}")]
    Consumer(String, String),
    /// A consumer's JSON lacks a part.
    #[error("consumer {0:?} is missing {1}")]
    ConsumerLacks(String, &'static str),
    /// An entry that is neither a message nor the end.
    #[error("expected message sequence")]
    ExpectedMessage,
    /// A sequence that does not rise, or lies beyond the state's last.
    #[error("message sequence {0} out of order")]
    OutOfOrder(u64),
    /// A message above the server's `max_payload`.
    #[error("message sequence {0} exceeds maximum payload size")]
    AbovePayload(u64),
    /// A message above the stream's `max_msg_size`.
    #[error("message sequence {0} exceeds maximum message size")]
    AboveMessageSize(u64),
    /// A record above what a file store takes.
    #[error("snapshot message bytes exceed maximum store message size")]
    AboveRecord,
    /// A subject that no message can have.
    #[error("invalid subject for message sequence {0}")]
    Subject(u64),
    /// It ended before its end mark.
    #[error("backup was truncated")]
    Truncated,
}

/// What a backup may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackupLimits {
    /// The server's `max_payload`: headers and payload of a message together.
    pub max_payload: u64,
    /// The stream's `max_msg_size`.
    pub max_message_size: Option<u64>,
    /// The stream's storage type, which bounds its records.
    pub storage: StorageType,
}

/// A record above this is none (STORE-20).
const LARGEST_RECORD: u64 = 32 << 20;

/// A state or a consumer in JSON. The reference bounds neither; a consumer with a million pending deliveries takes about
/// 60 MB.
const LARGEST_JSON: u64 = 256 << 20;

/// A part of a backup, in the order in which they come.
#[derive(Debug)]
pub enum Part {
    /// The state, once.
    State(BackupState),
    /// A consumer.
    Consumer(BackupConsumer),
    /// A message.
    Message(BackupMessage),
    /// The end mark: the backup is whole. What follows is not looked at.
    End,
}

/// A message in a backup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackupMessage {
    /// Its sequence; greater than all before.
    pub sequence: u64,
    /// When it was stored, in nanoseconds since the Unix epoch.
    pub time: i64,
    /// Its subject.
    pub subject: SubjectBuf,
    header_size: usize,
    body: Vec<u8>,
}

impl BackupMessage {
    /// The header block, empty when there is none.
    pub fn headers(&self) -> &[u8] {
        self.body.get(..self.header_size).unwrap_or_default()
    }

    /// The payload.
    pub fn payload(&self) -> &[u8] {
        self.body.get(self.header_size..).unwrap_or_default()
    }

    /// The same, to be appended at its own sequence.
    pub fn as_new(&self) -> NewMessage<'_> {
        NewMessage {
            sequence: Some(self.sequence),
            time: self.time,
            subject: self.subject.as_subject(),
            headers: self.headers(),
            payload: self.payload(),
        }
    }
}

/// Takes a backup apart that comes in pieces. After each piece, ask for parts until there is none.
///
/// Everything is checked before it is handed out: order, sizes, figures, subjects. Memory: one decoded chunk of at most
/// 4 MiB, the piece that was fed, and one part.
#[derive(Debug)]
pub struct BackupReader {
    limits: BackupLimits,
    stream: S2Decoder,
    archive: ArchiveReader,
    chunk: Vec<u8>,
    open: Option<EntryHead>,
    stage: Stage,
    state: BackupState,
    last: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    State,
    Consumers { left: u64 },
    Messages,
    Ended,
}

impl BackupReader {
    /// A backup whose messages keep to `limits`.
    pub fn new(limits: BackupLimits) -> Self {
        Self {
            limits,
            stream: S2Decoder::default(),
            archive: ArchiveReader::default(),
            chunk: Vec::new(),
            open: None,
            stage: Stage::State,
            state: BackupState::default(),
            last: 0,
        }
    }

    /// Takes more of the backup. Cost: copies it.
    pub fn feed(&mut self, bytes: &[u8]) {
        if self.stage != Stage::Ended {
            self.stream.feed(bytes);
        }
    }

    /// The next part. `None`: more of the backup is needed, or it has ended.
    ///
    /// # Errors
    /// See [`BackupError`]; the backup is of no use from there on.
    pub fn next_part(&mut self) -> Result<Option<Part>, BackupError> {
        loop {
            if self.stage == Stage::Ended {
                return Ok(None);
            }
            if self.open.is_none() {
                let head = self.archive.next_head(self.largest_entry());
                self.open = head.map_err(|error| self.name_the_limit(error))?;
                if let Some(head) = &self.open {
                    self.check_head(head)?;
                }
            }
            if self.open.is_some()
                && let Some(body) = self.archive.body()
                && let Some(head) = self.open.take()
            {
                return self.part(head, body).map(Some);
            }
            self.chunk.clear();
            if !self.stream.next_chunk(&mut self.chunk)? {
                return Ok(None);
            }
            self.archive.feed(&self.chunk);
        }
    }

    /// Nothing more comes.
    ///
    /// # Errors
    /// [`BackupError::Truncated`] unless the end mark has come.
    pub fn finish(&self) -> Result<(), BackupError> {
        let has_ended = self.stage == Stage::Ended;
        has_ended.then_some(()).ok_or(BackupError::Truncated)
    }

    /// What an entry may hold where the backup stands. A message that is too large by its own limits is told so by its
    /// sequence, which stands in its head, so this is the widest of all.
    fn largest_entry(&self) -> u64 {
        match self.stage {
            Stage::State | Stage::Consumers { .. } => LARGEST_JSON,
            Stage::Messages | Stage::Ended => u64::MAX,
        }
    }

    fn name_the_limit(&self, error: ArchiveError) -> BackupError {
        match (self.stage, error) {
            (Stage::State, ArchiveError::TooLarge { .. }) => BackupError::State(error.to_string()),
            _ => error.into(),
        }
    }

    /// What can be refused before the entry's bytes come.
    fn check_head(&self, head: &EntryHead) -> Result<(), BackupError> {
        let name = || head.name.escape_ascii().to_string();
        match self.stage {
            Stage::State if head.name != b"state.json" => Err(BackupError::StateFirst),
            Stage::Consumers { .. } if !head.name.starts_with(CONSUMERS) => {
                Err(BackupError::ExpectedConsumer(name()))
            }
            Stage::Messages => self.check_message(head),
            _ => Ok(()),
        }
    }

    fn check_message(&self, head: &EntryHead) -> Result<(), BackupError> {
        let sequence = head.sequence;
        if sequence == 0 {
            let is_end = *head == EntryHead::default();
            return is_end.then_some(()).ok_or(BackupError::ExpectedMessage);
        }
        // The archive has checked that the sum is one.
        let size = head.header_size.saturating_add(head.payload_size);
        if size > self.limits.max_payload {
            return Err(BackupError::AbovePayload(sequence));
        }
        if self.limits.max_message_size.is_some_and(|most| size > most) {
            return Err(BackupError::AboveMessageSize(sequence));
        }
        let overhead = head.name.len() as u64 + 34;
        if self.limits.storage == StorageType::File && size.saturating_add(overhead) > LARGEST_RECORD {
            return Err(BackupError::AboveRecord);
        }
        if sequence <= self.last {
            return Err(BackupError::OutOfOrder(sequence));
        }
        Ok(())
    }

    fn part(&mut self, head: EntryHead, body: Vec<u8>) -> Result<Part, BackupError> {
        match self.stage {
            Stage::State => self.read_state(&body),
            Stage::Consumers { left } => {
                self.stage = after_consumers(left - 1);
                consumer(&head.name, &body).map(Part::Consumer)
            }
            Stage::Messages | Stage::Ended if head.sequence == 0 => {
                self.stage = Stage::Ended;
                Ok(Part::End)
            }
            Stage::Messages | Stage::Ended => {
                self.last = head.sequence;
                let subject = Subject::new(&head.name).map_err(|_| BackupError::Subject(head.sequence))?;
                if !subject.is_valid_literal() {
                    return Err(BackupError::Subject(head.sequence));
                }
                Ok(Part::Message(BackupMessage {
                    sequence: head.sequence,
                    time: head.time,
                    subject: subject.to_owned(),
                    // It is less than the body, which is in memory.
                    header_size: head.header_size as usize,
                    body,
                }))
            }
        }
    }

    fn read_state(&mut self, json: &[u8]) -> Result<Part, BackupError> {
        let state = BackupState::from_json(json).map_err(|error| BackupError::State(error.to_string()))?;
        check_figures(&state)?;
        self.state = state;
        self.last = state.stream.first.saturating_sub(1);
        self.stage = after_consumers(state.consumers);
        Ok(Part::State(state))
    }
}

const CONSUMERS: &[u8] = b"consumers/";

fn after_consumers(left: u64) -> Stage {
    match left {
        0 => Stage::Messages,
        left => Stage::Consumers { left },
    }
}

fn consumer(name: &[u8], json: &[u8]) -> Result<BackupConsumer, BackupError> {
    let name = name.strip_prefix(CONSUMERS).unwrap_or(name);
    let text = String::from_utf8_lossy(name).into_owned();
    BackupConsumer::from_json(&text, json).map_err(|fault| match fault {
        ConsumerFault::Json(error) => BackupError::Consumer(text, error.to_string()),
        ConsumerFault::Missing(what) => BackupError::ConsumerLacks(text, what),
    })
}

fn check_figures(state: &BackupState) -> Result<(), BackupError> {
    let stream = &state.stream;
    let inconsistent = BackupError::Figures("inconsistent message count or sequence range");
    if stream.first == 0 {
        let is_new = stream.last == 0 && stream.messages == 0;
        return is_new.then_some(()).ok_or(inconsistent);
    }
    if stream.first > stream.last {
        let is_empty = stream.first - 1 == stream.last && stream.messages == 0;
        return is_empty.then_some(()).ok_or(inconsistent);
    }
    // Counting from `first` to the end of all sequences is one more than fits.
    let has_room = stream.messages.saturating_sub(1) <= stream.last - stream.first;
    has_room
        .then_some(())
        .ok_or(BackupError::Figures("message count exceeds sequence range"))
}

#[cfg(test)]
mod tests;
