//! Taking messages, and the sequences that go to none.

use bytes::BytesMut;
use dunlin_api::{NewMessage, Staged, StoreError, StoredMessage, Ticket, UsageChange};
use std::sync::Arc;

use super::stream::FileStream;
use crate::record::{MAX_LENGTH, Record, RecordKind, SEQUENCE_END};

/// A block's set of deleted sequences grows by no more than this at once; behind that a new block begins (STORE-88).
const LONGEST_GAP: u64 = 65_536;

impl FileStream {
    pub(super) fn append(&mut self, message: &NewMessage<'_>) -> Result<Staged, StoreError> {
        let sequence = self.next_sequence(1)?;
        if let Some(given) = message.sequence.filter(|given| *given != sequence) {
            return Err(StoreError::SequenceMismatch {
                expected: sequence,
                given,
            });
        }
        let subject = message.subject.as_bytes();
        let record = Record {
            kind: RecordKind::Message,
            sequence,
            time: message.time,
            subject,
            headers: message.headers,
            payload: message.payload,
        };
        let length = record.length();
        // Before anything is changed: the reference meets it when it writes, and never recovers (P5).
        if length > MAX_LENGTH || subject.len() > usize::from(u16::MAX) {
            return Err(StoreError::Full("message too large".to_owned()));
        }
        let size = self
            .options
            .storage
            .message_size(subject, message.headers, message.payload);
        self.put(&record)?;
        let (ttl, schedule) = timed(message.headers);
        if let Some(block) = self.blocks.last_mut() {
            if block.messages == 0 {
                (block.first, block.first_time) = (sequence, message.time);
            }
            (block.last, block.last_time) = (sequence, message.time);
            block.latest = block.latest.max(message.time);
            block.messages += 1;
            block.bytes += size;
            block.ttls += u64::from(ttl);
            block.schedules += u64::from(schedule);
            if self.options.track_subjects {
                let index = block.index();
                self.subjects.added(message.subject, index, sequence);
            }
        }
        if self.state.messages == 0 {
            (self.state.first, self.state.first_time) = (sequence, message.time);
        }
        (self.state.last, self.state.last_time) = (sequence, message.time);
        self.state.messages += 1;
        self.state.bytes += size;
        self.state.subjects = self.subjects.len();
        self.used(1, size as i64);
        Ok(Staged {
            sequence,
            size,
            ticket: self.change(),
        })
    }

    pub(super) fn skip_sequences(&mut self, count: u64, time: Option<i64>) -> Result<(), StoreError> {
        if count == 0 {
            return Ok(());
        }
        let first = self.next_sequence(count)?;
        let last = first + (count - 1);
        let crowded = self
            .blocks
            .last()
            .is_some_and(|block| block.messages > 0 && block.deleted.len() + count > LONGEST_GAP);
        if crowded {
            self.roll()?;
        }
        let at = time.unwrap_or(self.state.last_time);
        // One record stands for all: what a reader finds before it are gaps (STORE-21).
        self.put(&Record::skip(last, at))?;
        if let Some(block) = self.blocks.last_mut() {
            if block.messages == 0 {
                block.first = last + 1;
            } else {
                Arc::make_mut(&mut block.deleted).insert_range(first, last);
            }
            (block.last, block.last_time) = (last, at);
            block.latest = block.latest.max(at);
        }
        if self.state.messages == 0 {
            self.state.first = last + 1;
        }
        (self.state.last, self.state.last_time) = (last, at);
        self.change();
        Ok(())
    }

    /// Writes a message of a block that goes into the last one, behind `before`. It is counted already.
    pub(super) fn put_again(
        &mut self,
        message: &StoredMessage,
        before: Option<u64>,
    ) -> Result<(), StoreError> {
        let record = Record {
            kind: RecordKind::Message,
            sequence: message.sequence,
            time: message.time,
            subject: message.subject().as_bytes(),
            headers: message.headers(),
            payload: message.payload(),
        };
        self.put(&record)?;
        let (ttl, schedule) = timed(message.headers());
        let Some(block) = self.blocks.last_mut() else {
            return Ok(());
        };
        if block.messages == 0 {
            (block.first, block.first_time) = (message.sequence, message.time);
        } else if let Some(before) = before {
            Arc::make_mut(&mut block.deleted).insert_range(before + 1, message.sequence - 1);
        }
        (block.last, block.last_time) = (message.sequence, message.time);
        block.latest = block.latest.max(message.time);
        block.messages += 1;
        block.bytes += message.size(self.options.storage);
        block.ttls += u64::from(ttl);
        block.schedules += u64::from(schedule);
        let index = block.index();
        self.subjects.moved(message.subject(), index);
        Ok(())
    }

    /// Writes a record that says that a message is gone, or keeps the last sequence and its time (STORE-21).
    pub(super) fn tombstone(&mut self, sequence: u64, time: i64) -> Result<(), StoreError> {
        self.put(&Record::tombstone(sequence, time))
    }

    /// Writes a record of a sequence that holds no message; the last block accounts for it already.
    pub(super) fn placeholder(&mut self, sequence: u64, time: i64) -> Result<(), StoreError> {
        self.put(&Record::skip(sequence, time))
    }

    /// Names the change that was just made.
    pub(super) fn change(&mut self) -> Ticket {
        self.staged.0 += 1;
        self.staged
    }

    /// Tells of a change in what the stream holds.
    pub(super) fn used(&self, messages: i64, bytes: i64) {
        let change = UsageChange { messages, bytes };
        self.options.observer.usage(change);
    }

    /// The sequence that follows, if `count` of them are left.
    fn next_sequence(&self, count: u64) -> Result<u64, StoreError> {
        let next = self.state.last + 1;
        match next.checked_add(count - 1) {
            Some(last) if last < SEQUENCE_END => Ok(next),
            _ => Err(StoreError::Full("no sequence is left".to_owned())),
        }
    }

    /// Appends a record to the last block, or to a new one.
    fn put(&mut self, record: &Record<'_>) -> Result<(), StoreError> {
        let length = record.length();
        self.make_room(length as u64)?;
        let Some(block) = self.blocks.last_mut() else {
            return Ok(());
        };
        let key = &block.handle.form().key;
        let encode = |out: &mut BytesMut| record.encode(key, out);
        self.tail
            .get_mut()
            .push(length, encode)
            .map_err(|error| StoreError::Full(error.to_string()))?;
        block.length += length as u64;
        let own = (record.kind != RecordKind::Tombstone).then_some(record.sequence);
        block.handle.sparse().lock().push(own, block.length);
        // What a record says of its own sequence stays true when its block's figures are lost.
        self.last_is_written |= record.sequence >= self.state.last;
        self.unindexed += length as u64;
        Ok(())
    }
}

/// Whether a header block makes a message expire, and whether it schedules it (STORE-63).
pub(super) fn timed(headers: &[u8]) -> (bool, bool) {
    if headers.is_empty() {
        return (false, false);
    }
    let has = |name: &[u8]| {
        headers
            .split(|byte| *byte == b'\n')
            .any(|line| line.starts_with(name))
    };
    (has(b"Nats-TTL:"), has(b"Nats-Schedule:"))
}
