//! What lies where in the database.
//!
//! Each stream has a tree, named `stream/<account>\0<name>`; neither name holds a zero. In it, numbers big-endian, so that
//! the order of the keys is the order of the sequences:
//!
//! | key | value |
//! |---|---|
//! | `m` sequence | generation u32, time i64, lengths of subject and headers u32 each, subject, headers, payload |
//! | `s` | layout version u8, generation u32, last sequence u64, last time i64 |
//! | `x` | the owner's metadata |
//! | `o` | source positions: before u64; then of each name, identity (u32 and bytes), sequence u64 |
//! | `t` kind sequence | when the timer is due, i64; the kind is `e` or `s` |
//! | `c` consumer `\0` `s` | delivered and ack floor, four u64 |
//! | `c` consumer `\0` `p` sequence | delivery u64, time i64 |
//! | `c` consumer `\0` `r` sequence | redeliveries u64 |
//! | `c` consumer `\0` `x` | the owner's metadata |
//!
//! Everything that is staged between two hand-overs is one batch of its tree, which sled brings back whole or not at
//! all. The generation rises with every truncation, so that a late reader knows a sequence that was given twice.

use std::ops::Range;

use bytes::Bytes;
use dunlin_api::{
    AccountName, NewMessage, PendingAck, SequencePair, SourcePosition, SourcePositions, StoredMessage,
    StreamId, TimerKind,
};

/// The only version of this layout.
const VERSION: u8 = 1;

const TREE: &[u8] = b"stream/";

/// Bytes of a message's value before its subject.
const HEADER: usize = 4 + 8 + 4 + 4;

/// All messages are behind this key, and nothing else.
pub(crate) const MESSAGES: &[u8] = b"m";
pub(crate) const STATE: &[u8] = b"s";
pub(crate) const METADATA: &[u8] = b"x";
pub(crate) const SOURCES: &[u8] = b"o";
pub(crate) const CONSUMERS: &[u8] = b"c";

/// What `s` holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct State {
    /// How often the stream was truncated.
    pub(crate) generation: u32,
    pub(crate) last: u64,
    pub(crate) last_time: i64,
}

/// A key of a consumer, behind its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ConsumerKey {
    State,
    Pending(u64),
    Redelivered(u64),
    Metadata,
}

pub(crate) fn tree_name(id: &StreamId) -> Vec<u8> {
    [
        TREE,
        id.account().as_str().as_bytes(),
        &[0],
        id.stream().as_bytes(),
    ]
    .concat()
}

/// The stream whose tree has this name; `None` where it is no stream's.
pub(crate) fn stream_of(tree: &[u8]) -> Option<StreamId> {
    let names = std::str::from_utf8(tree.strip_prefix(TREE)?).ok()?;
    let (account, stream) = names.split_once('\0')?;
    StreamId::new(AccountName::new(account).ok()?, stream).ok()
}

pub(crate) fn message_key(sequence: u64) -> Vec<u8> {
    [MESSAGES, &sequence.to_be_bytes()].concat()
}

/// The sequence in a message's key.
pub(crate) fn sequence_of(key: &[u8]) -> Option<u64> {
    Reader(key.strip_prefix(MESSAGES)?).whole(Reader::u64)
}

/// The value of a message, and where in it are its parts.
pub(crate) fn message_value(
    message: &NewMessage<'_>,
    sequence: u64,
    generation: u32,
) -> Option<StoredRecord> {
    let subject = message.subject.as_bytes();
    let len = |bytes: &[u8]| u32::try_from(bytes.len()).ok();
    let value = [
        &generation.to_be_bytes()[..],
        &message.time.to_be_bytes(),
        &len(subject)?.to_be_bytes(),
        &len(message.headers)?.to_be_bytes(),
        subject,
        message.headers,
        message.payload,
    ]
    .concat();
    StoredRecord::read(sequence, value.into())
}

/// A message as it lies in the database.
pub(crate) struct StoredRecord {
    pub(crate) value: Bytes,
    pub(crate) generation: u32,
    pub(crate) message: StoredMessage,
}

impl StoredRecord {
    /// `None`: these are not the bytes of a message.
    pub(crate) fn read(sequence: u64, value: Bytes) -> Option<Self> {
        let mut reader = Reader(&value);
        let (generation, time) = (reader.u32()?, reader.i64()?);
        let (subject, headers) = (reader.u32()?, reader.u32()?);
        let subject = part(HEADER, subject)?;
        let headers = part(subject.end, headers)?;
        let payload = headers.end..value.len();
        let message = StoredMessage::within(sequence, time, value.clone(), subject, headers, payload)?;
        Some(Self {
            value,
            generation,
            message,
        })
    }
}

fn part(start: usize, len: u32) -> Option<Range<usize>> {
    Some(start..start.checked_add(usize::try_from(len).ok()?)?)
}

impl State {
    pub(crate) fn encode(&self) -> Vec<u8> {
        [
            &[VERSION][..],
            &self.generation.to_be_bytes(),
            &self.last.to_be_bytes(),
            &self.last_time.to_be_bytes(),
        ]
        .concat()
    }

    /// `None`: another version, or no state at all.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let (VERSION, rest) = bytes.split_first().map(|(version, rest)| (*version, rest))? else {
            return None;
        };
        Reader(rest).whole(|reader| {
            Some(Self {
                generation: reader.u32()?,
                last: reader.u64()?,
                last_time: reader.i64()?,
            })
        })
    }
}

pub(crate) fn timer_key(kind: TimerKind, sequence: u64) -> Vec<u8> {
    [timers(kind), &sequence.to_be_bytes()].concat()
}

/// What the keys of all timers of a kind begin with.
pub(crate) fn timers(kind: TimerKind) -> &'static [u8] {
    match kind {
        TimerKind::Expiry => b"te",
        TimerKind::Schedule => b"ts",
    }
}

/// A timer's sequence and time.
pub(crate) fn timer_of(kind: TimerKind, key: &[u8], value: &[u8]) -> Option<(u64, i64)> {
    let sequence = Reader(key.strip_prefix(timers(kind))?).whole(Reader::u64)?;
    Some((sequence, Reader(value).whole(Reader::i64)?))
}

/// What all keys of a consumer begin with.
pub(crate) fn consumer_prefix(name: &str) -> Vec<u8> {
    [CONSUMERS, name.as_bytes(), &[0]].concat()
}

pub(crate) fn consumer_key(name: &str, key: ConsumerKey) -> Vec<u8> {
    let mut bytes = consumer_prefix(name);
    let (kind, sequence) = match key {
        ConsumerKey::State => (b's', None),
        ConsumerKey::Pending(sequence) => (b'p', Some(sequence)),
        ConsumerKey::Redelivered(sequence) => (b'r', Some(sequence)),
        ConsumerKey::Metadata => (b'x', None),
    };
    bytes.push(kind);
    bytes.extend(sequence.into_iter().flat_map(u64::to_be_bytes));
    bytes
}

/// A consumer's name, and which of its keys it is.
pub(crate) fn consumer_of(key: &[u8]) -> Option<(&str, ConsumerKey)> {
    let rest = key.strip_prefix(CONSUMERS)?;
    let end = rest.iter().position(|byte| *byte == 0)?;
    let name = std::str::from_utf8(rest.get(..end)?).ok()?;
    let (kind, rest) = rest.get(end + 1..)?.split_first()?;
    let sequence = || Reader(rest).whole(Reader::u64);
    let key = match kind {
        b's' => ConsumerKey::State,
        b'p' => ConsumerKey::Pending(sequence()?),
        b'r' => ConsumerKey::Redelivered(sequence()?),
        b'x' => ConsumerKey::Metadata,
        _ => return None,
    };
    Some((name, key))
}

pub(crate) fn pairs_value(delivered: SequencePair, ack_floor: SequencePair) -> Vec<u8> {
    [
        delivered.consumer,
        delivered.stream,
        ack_floor.consumer,
        ack_floor.stream,
    ]
    .map(u64::to_be_bytes)
    .concat()
}

pub(crate) fn pairs_of(value: &[u8]) -> Option<(SequencePair, SequencePair)> {
    let pair = |reader: &mut Reader<'_>| {
        Some(SequencePair {
            consumer: reader.u64()?,
            stream: reader.u64()?,
        })
    };
    Reader(value).whole(|reader| Some((pair(reader)?, pair(reader)?)))
}

pub(crate) fn pending_value(pending: PendingAck) -> Vec<u8> {
    [pending.consumer.to_be_bytes(), pending.time.to_be_bytes()].concat()
}

pub(crate) fn pending_of(value: &[u8]) -> Option<PendingAck> {
    Reader(value).whole(|reader| {
        Some(PendingAck {
            consumer: reader.u64()?,
            time: reader.i64()?,
        })
    })
}

pub(crate) fn count_of(value: &[u8]) -> Option<u64> {
    Reader(value).whole(Reader::u64)
}

pub(crate) fn sources_value(positions: &SourcePositions) -> Vec<u8> {
    let mut out = positions.before.to_be_bytes().to_vec();
    for source in &positions.sources {
        for text in [&source.name, &source.identity] {
            // Names are far below 4 GiB; what is cut here is not read back.
            out.extend(u32::try_from(text.len()).unwrap_or(u32::MAX).to_be_bytes());
            out.extend(text.as_bytes());
        }
        out.extend(source.sequence.to_be_bytes());
    }
    out
}

pub(crate) fn sources_of(value: &[u8]) -> Option<SourcePositions> {
    let mut reader = Reader(value);
    let before = reader.u64()?;
    let mut sources = Vec::new();
    while !reader.0.is_empty() {
        let (name, identity) = (reader.text()?, reader.text()?);
        let sequence = reader.u64()?;
        sources.push(SourcePosition {
            name,
            sequence,
            identity,
        });
    }
    Some(SourcePositions { before, sources })
}

/// Takes values from the front of bytes.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    /// What `read` takes, where it takes everything.
    fn whole<T>(mut self, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        let value = read(&mut self)?;
        self.0.is_empty().then_some(value)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (array, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*array)
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_be_bytes)
    }

    fn i64(&mut self) -> Option<i64> {
        self.array().map(i64::from_be_bytes)
    }

    fn text(&mut self) -> Option<String> {
        let len = usize::try_from(self.u32()?).ok()?;
        let (text, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(std::str::from_utf8(text).ok()?.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_sequences_are_in_their_order() {
        let mut keys: Vec<_> = [0, 1, 255, 256, 1 << 40, u64::MAX].map(message_key).to_vec();
        let sorted = keys.clone();
        keys.sort();
        assert_eq!(keys, sorted);
        assert_eq!(sequence_of(&keys[4]), Some(1 << 40));
        assert_eq!(sequence_of(b"m1234567"), None);
        assert_eq!(sequence_of(b"s12345678"), None);
    }

    #[test]
    fn names_come_back_from_trees_and_keys() {
        let id = StreamId::new(AccountName::new("a.b").unwrap(), "S").unwrap();
        assert_eq!(stream_of(&tree_name(&id)), Some(id));
        assert_eq!(stream_of(b"__sled__default"), None);
        assert_eq!(stream_of(b"stream/a\0../b"), None);
        for key in [
            ConsumerKey::State,
            ConsumerKey::Pending(7),
            ConsumerKey::Redelivered(0),
            ConsumerKey::Metadata,
        ] {
            assert_eq!(consumer_of(&consumer_key("C", key)), Some(("C", key)));
        }
        assert_eq!(consumer_of(b"cC\0p7"), None);
        assert_eq!(consumer_of(b"cC"), None);
    }

    #[test]
    fn values_are_refused_where_a_byte_is_missing_or_too_many() {
        let state = State {
            generation: 3,
            last: 9,
            last_time: -1,
        };
        let positions = SourcePositions {
            before: 4,
            sources: vec![SourcePosition {
                name: "O > ".to_owned(),
                sequence: 3,
                identity: String::new(),
            }],
        };
        let (state_bytes, sources) = (state.encode(), sources_value(&positions));
        assert_eq!(State::decode(&state_bytes), Some(state));
        assert_eq!(sources_of(&sources), Some(positions));
        for cut in 0..state_bytes.len() {
            assert_eq!(State::decode(&state_bytes[..cut]), None);
        }
        for cut in (0..sources.len()).filter(|cut| *cut != 8) {
            assert_eq!(sources_of(&sources[..cut]), None, "{cut}");
        }
        assert_eq!(State::decode(&[&[2], &state_bytes[1..]].concat()), None);
        assert_eq!(State::decode(&[&state_bytes[..], b"x"].concat()), None);
        assert_eq!(pairs_of(&[0; 31]), None);
        assert_eq!(pending_of(&[0; 17]), None);
    }

    #[test]
    fn a_message_whose_lengths_lie_is_refused() {
        let new = NewMessage {
            sequence: None,
            time: 5,
            subject: dunlin_api::Subject::new(b"a.b").unwrap(),
            headers: b"hd",
            payload: b"payload",
        };
        let record = message_value(&new, 7, 2).unwrap();
        assert_eq!(record.message, StoredMessage::new(&new, 7));
        assert_eq!(record.generation, 2);
        let mut lies = record.value.to_vec();
        lies[15] = 200; // The subject's length.
        assert!(StoredRecord::read(7, lies.into()).is_none());
        assert!(StoredRecord::read(7, record.value.slice(..19)).is_none());
    }
}
