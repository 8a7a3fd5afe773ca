//! Writes a backup of messages. (STORE-76)

use std::io::{self, Write};

use dunlin_api::{ConsumerState, NewMessage};

use crate::archive::{EntryHead, write_entry};
use crate::json::{BackupConsumer, BackupState};
use crate::s2::S2Writer;

/// Writes a backup: the state first, then each consumer, then the messages by rising sequence, then the end.
///
/// ```
/// use dunlin_api::{NewMessage, StorageType, StreamState};
/// use dunlin_backup::{BackupLimits, BackupReader, BackupState, BackupWriter, Part};
/// use dunlin_subject::Subject;
///
/// let stream = StreamState { messages: 1, first: 1, last: 1, ..StreamState::default() };
/// let state = BackupState { stream, consumers: 0 };
/// let mut writer = BackupWriter::begin(Vec::new(), state, 0)?;
/// let subject = Subject::new(b"orders").unwrap();
/// writer.message(&NewMessage { sequence: Some(1), time: 7, subject, headers: &[], payload: b"hi" })?;
/// let backup = writer.finish()?;
///
/// let limits = BackupLimits { max_payload: 1_000, max_message_size: None, storage: StorageType::File };
/// let mut reader = BackupReader::new(limits);
/// reader.feed(&backup);
/// assert!(matches!(reader.next_part()?, Some(Part::State(read)) if read == state));
/// assert!(matches!(reader.next_part()?, Some(Part::Message(read)) if read.payload() == b"hi"));
/// assert!(matches!(reader.next_part()?, Some(Part::End)));
/// reader.finish()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct BackupWriter<W: Write> {
    out: S2Writer<W>,
    state: BackupState,
    now: i64,
}

impl<W: Write> BackupWriter<W> {
    /// Begins with the state. `now`, in nanoseconds since the Unix epoch, is the time of entries that are no messages.
    ///
    /// # Errors
    /// What `out` says.
    pub fn begin(out: W, state: BackupState, now: i64) -> io::Result<Self> {
        let mut out = S2Writer::new(out);
        let json = state.to_json()?;
        write_entry(&mut out, true, &head("state.json", now, &json), &[&json])?;
        Ok(Self { out, state, now })
    }

    /// One of as many consumers as the state says. What its state says beyond the stream's last sequence is left out:
    /// it may have moved on since.
    ///
    /// # Errors
    /// What the writer says; `InvalidData` where the configuration is no JSON.
    pub fn consumer(&mut self, consumer: &BackupConsumer) -> io::Result<()> {
        let clamped = BackupConsumer {
            state: clamp(&consumer.state, self.state.stream.last),
            ..consumer.clone()
        };
        let json = clamped.to_json()?;
        let name = format!("consumers/{}", consumer.name);
        write_entry(&mut self.out, false, &head(&name, self.now, &json), &[&json])
    }

    /// A message with its sequence, which is greater than all before; without one it is left out.
    ///
    /// # Errors
    /// What the writer says.
    pub fn message(&mut self, message: &NewMessage<'_>) -> io::Result<()> {
        let Some(sequence) = message.sequence else {
            return Ok(());
        };
        let head = EntryHead {
            name: message.subject.as_bytes().to_vec(),
            time: message.time,
            sequence,
            header_size: message.headers.len() as u64,
            payload_size: message.payload.len() as u64,
        };
        write_entry(&mut self.out, false, &head, &[message.headers, message.payload])
    }

    /// Writes the end mark and all that is pending, and gives the writer back.
    ///
    /// # Errors
    /// What the writer says.
    pub fn finish(mut self) -> io::Result<W> {
        write_entry(&mut self.out, false, &EntryHead::default(), &[])?;
        self.out.finish()
    }
}

fn head(name: &str, time: i64, json: &[u8]) -> EntryHead {
    EntryHead {
        name: name.into(),
        time,
        payload_size: json.len() as u64,
        ..EntryHead::default()
    }
}

/// The state as of the stream's last sequence. Numbers of deliveries stay: they have no fixed relation to sequences.
fn clamp(state: &ConsumerState, last: u64) -> ConsumerState {
    let mut clamped = state.clone();
    clamped.delivered.stream = clamped.delivered.stream.min(last);
    clamped.ack_floor.stream = clamped.ack_floor.stream.min(last);
    clamped.pending.retain(|sequence, _| *sequence <= last);
    clamped.redelivered.retain(|sequence, _| *sequence <= last);
    clamped
}
