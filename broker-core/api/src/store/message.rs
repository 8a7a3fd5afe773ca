//! Messages on their way into a store and out of it.

use std::fmt;
use std::ops::Range;

use bytes::Bytes;
use dunlin_subject::Subject;

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

/// A message as a store holds it: one piece of memory, which clones and other readers share.
#[derive(Clone)]
pub struct StoredMessage {
    /// Its place in the stream, from 1.
    pub sequence: u64,
    /// When it was stored, in nanoseconds since the Unix epoch.
    pub time: i64,
    record: Bytes,
    subject: Range<u32>,
    headers: Range<u32>,
    payload: Range<u32>,
}

impl StoredMessage {
    /// A message that owns its bytes. One allocation.
    pub fn new(message: &NewMessage<'_>, sequence: u64) -> Self {
        let subject = message.subject.as_bytes();
        let parts = [subject, message.headers, message.payload];
        let [to_headers, to_payload, end] = [
            subject.len(),
            subject.len() + message.headers.len(),
            parts.iter().map(|part| part.len()).sum(),
        ];
        Self {
            sequence,
            time: message.time,
            record: parts.concat().into(),
            subject: narrow(0..to_headers),
            headers: narrow(to_headers..to_payload),
            payload: narrow(to_payload..end),
        }
    }

    /// A message whose parts lie in `record`, which it keeps alive. No allocation. `None`: a part lies outside, or the
    /// subject is none (see [`Subject::from_wire`]); what a medium gave may be so.
    pub fn within(
        sequence: u64,
        time: i64,
        record: Bytes,
        subject: Range<usize>,
        headers: Range<usize>,
        payload: Range<usize>,
    ) -> Option<Self> {
        Subject::from_wire(record.get(subject.clone())?).ok()?;
        record.get(headers.clone())?;
        record.get(payload.clone())?;
        u32::try_from(record.len()).ok()?;
        Some(Self {
            sequence,
            time,
            record,
            subject: narrow(subject),
            headers: narrow(headers),
            payload: narrow(payload),
        })
    }

    /// Its subject.
    pub fn subject(&self) -> Subject<'_> {
        Subject::kept(self.part(&self.subject))
    }

    /// The header block, empty when there is none.
    pub fn headers(&self) -> &[u8] {
        self.part(&self.headers)
    }

    /// The payload.
    pub fn payload(&self) -> &[u8] {
        self.part(&self.payload)
    }

    /// What it counts; see [`StorageType::message_size`].
    pub fn size(&self, storage: StorageType) -> u64 {
        storage.message_size(self.part(&self.subject), self.headers(), self.payload())
    }

    /// The same message, to be appended at its own sequence.
    pub fn as_new(&self) -> NewMessage<'_> {
        NewMessage {
            sequence: Some(self.sequence),
            time: self.time,
            subject: self.subject(),
            headers: self.headers(),
            payload: self.payload(),
        }
    }

    fn part(&self, range: &Range<u32>) -> &[u8] {
        &self.record[range.start as usize..range.end as usize]
    }
}

impl PartialEq for StoredMessage {
    /// The same numbers and bytes, wherever they lie.
    fn eq(&self, other: &Self) -> bool {
        let numbers = |message: &Self| (message.sequence, message.time);
        numbers(self) == numbers(other)
            && self.subject() == other.subject()
            && self.headers() == other.headers()
            && self.payload() == other.payload()
    }
}

impl Eq for StoredMessage {}

impl fmt::Debug for StoredMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredMessage")
            .field("sequence", &self.sequence)
            .field("time", &self.time)
            .field("subject", &self.subject())
            .field("headers", &self.headers().escape_ascii().to_string())
            .field("payload", &self.payload().escape_ascii().to_string())
            .finish()
    }
}

/// A message is far below 4 GiB: [`StoredMessage::within`] looks, and no limit lets a new one reach it.
fn narrow(range: Range<usize>) -> Range<u32> {
    range.start as u32..range.end as u32
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
    fn a_message_within_a_record_equals_its_copy() {
        let record = Bytes::from_static(b"..a.b....hd.payload..");
        let within = StoredMessage::within(7, 9, record, 2..5, 9..11, 12..19).unwrap();
        assert_eq!(StoredMessage::new(&within.as_new(), 7), within);
        assert_eq!(within.payload(), b"payload");
        assert_eq!(within.size(StorageType::Memory), 28);
    }

    #[test]
    fn a_record_cannot_hold_parts_beyond_its_end_or_a_subject_that_is_none() {
        let within = |subject, payload| {
            StoredMessage::within(1, 1, Bytes::from_static(b"a b"), subject, 0..0, payload).is_some()
        };
        assert!(within(0..1, 2..3));
        assert!(!within(0..1, 2..4));
        assert!(!within(0..0, 2..3));
        assert!(!within(0..2, 2..3));
        #[expect(clippy::reversed_empty_ranges, reason = "a stranger's numbers")]
        let reversed = within(0..1, 2..1);
        assert!(!reversed);
    }
}
