//! One stream's messages, by sequence, with an index by subject.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use dunlin_api::{
    Answer, ConsumerStore, Due, Filter, Lease, Load, NewMessage, OpenNames, Purged, Removal, Staged,
    StorageType, StoreError, StoredMessage, StreamId, StreamOptions, StreamState, StreamStore, Subject,
    SubjectBuf, Ticket, TimerKind, UsageChange, is_store_name, matches_any,
};

use crate::consumer::MemoryConsumer;

/// What all streams of a backend may hold together.
pub(crate) struct Budget {
    max: u64,
    used: AtomicU64,
}

impl Budget {
    /// Room for `max` bytes.
    pub(crate) fn new(max: u64) -> Self {
        Self {
            max,
            used: AtomicU64::new(0),
        }
    }

    /// Takes room where there is enough. The count guards nothing else, so relaxed order is right.
    fn take(&self, bytes: u64) -> Result<(), StoreError> {
        let enough = |used: u64| used.checked_add(bytes).filter(|sum| *sum <= self.max);
        let taken = self.used.fetch_update(Relaxed, Relaxed, enough);
        taken
            .map(|_| ())
            .map_err(|used| StoreError::Full(format!("{used} of {} bytes are used", self.max)))
    }

    fn give_back(&self, bytes: u64) {
        self.used.fetch_sub(bytes, Relaxed);
    }
}

/// The store of a stream.
pub(crate) struct MemoryStream {
    _lease: Lease<StreamId>,
    budget: Arc<Budget>,
    options: StreamOptions,
    messages: BTreeMap<u64, StoredMessage>,
    by_subject: BTreeMap<SubjectBuf, BTreeSet<u64>>,
    timers: BTreeMap<(TimerKind, u64), i64>,
    timers_by_time: BTreeSet<(TimerKind, Due)>,
    bytes: u64,
    last: u64,
    last_time: i64,
    changes: u64,
    metadata: Vec<u8>,
    consumers: OpenNames<String>,
}

impl MemoryStream {
    /// An empty stream.
    pub(crate) fn new(lease: Lease<StreamId>, budget: Arc<Budget>, options: StreamOptions) -> Self {
        Self {
            _lease: lease,
            budget,
            options,
            messages: BTreeMap::new(),
            by_subject: BTreeMap::new(),
            timers: BTreeMap::new(),
            timers_by_time: BTreeSet::new(),
            bytes: 0,
            last: 0,
            last_time: 0,
            changes: 0,
            metadata: Vec::new(),
            consumers: OpenNames::default(),
        }
    }

    fn clear_timer(&mut self, kind: TimerKind, sequence: u64) {
        if let Some(at) = self.timers.remove(&(kind, sequence)) {
            self.timers_by_time.remove(&(kind, Due { at, sequence }));
        }
    }

    /// Keeps the index small: a subject without messages has no entry.
    fn unindex(&mut self, message: &StoredMessage) {
        if let Some(sequences) = self.by_subject.get_mut(message.subject().as_bytes()) {
            sequences.remove(&message.sequence);
            if sequences.is_empty() {
                self.by_subject.remove(message.subject().as_bytes());
            }
        }
    }

    fn use_changes(&self, messages: i64, bytes: i64) {
        self.options.observer.usage(UsageChange { messages, bytes });
    }
}

impl StreamStore for MemoryStream {
    fn storage(&self) -> StorageType {
        self.options.storage
    }

    fn state(&self) -> StreamState {
        let first = self.messages.first_key_value();
        let empty = if self.last == 0 {
            0
        } else {
            self.last.saturating_add(1)
        };
        StreamState {
            messages: self.messages.len() as u64,
            bytes: self.bytes,
            first: first.map_or(empty, |(sequence, _)| *sequence),
            first_time: first.map_or(0, |(_, message)| message.time),
            last: self.last,
            last_time: self.last_time,
            subjects: self.by_subject.len() as u64,
        }
    }

    fn stage(&mut self, message: &NewMessage<'_>) -> Result<Staged, StoreError> {
        let no_room = || StoreError::Full("no sequence is left".to_owned());
        let sequence = self.last.checked_add(1).ok_or_else(no_room)?;
        if let Some(given) = message.sequence.filter(|given| *given != sequence) {
            return Err(StoreError::SequenceMismatch {
                expected: sequence,
                given,
            });
        }
        let stored = StoredMessage::new(message, sequence);
        let size = stored.size(self.options.storage);
        self.budget.take(size)?;
        if self.options.track_subjects {
            let sequences = self.by_subject.entry(message.subject.to_owned());
            sequences.or_default().insert(sequence);
        }
        self.messages.insert(sequence, stored);
        (self.last, self.last_time) = (sequence, message.time);
        self.bytes += size;
        self.changes += 1;
        self.use_changes(1, size as i64);
        Ok(Staged {
            sequence,
            size,
            ticket: self.staged(),
        })
    }

    fn skip(&mut self, count: u64, time: Option<i64>) -> Result<(), StoreError> {
        let no_room = || StoreError::Full("no sequence is left".to_owned());
        self.last = self.last.checked_add(count).ok_or_else(no_room)?;
        self.last_time = time.unwrap_or(self.last_time);
        self.changes += 1;
        Ok(())
    }

    fn staged(&self) -> Ticket {
        Ticket(self.changes)
    }

    // Nothing survives, as the capabilities say, so there is nothing to wait for either.
    fn durable(&self) -> Ticket {
        self.staged()
    }

    fn commit(&mut self, _: Ticket) -> Result<Ticket, StoreError> {
        Ok(self.durable())
    }

    fn load(&self, sequence: u64) -> Answer<Option<StoredMessage>> {
        Ok(Load::Ready(self.messages.get(&sequence).cloned()))
    }

    fn at_or_after(&self, from: u64) -> Option<u64> {
        self.messages.range(from..).next().map(|(sequence, _)| *sequence)
    }

    fn remove(&mut self, sequence: u64, _: Removal) -> Result<Option<u64>, StoreError> {
        let Some(message) = self.messages.remove(&sequence) else {
            return Ok(None);
        };
        self.unindex(&message);
        self.clear_timer(TimerKind::Expiry, sequence);
        self.clear_timer(TimerKind::Schedule, sequence);
        let size = message.size(self.options.storage);
        self.bytes -= size;
        self.budget.give_back(size);
        self.changes += 1;
        self.use_changes(-1, -(size as i64));
        Ok(Some(size))
    }

    fn truncate(&mut self, sequence: u64) -> Result<Purged, StoreError> {
        let mut purged = Purged::default();
        if sequence >= self.last {
            return Ok(purged);
        }
        while let Some(last) = self.at_or_before(u64::MAX).filter(|last| *last > sequence) {
            purged.bytes += self.remove(last, Removal::Remove)?.unwrap_or_default();
            purged.messages += 1;
        }
        self.last = sequence;
        self.last_time = match self.messages.last_key_value() {
            Some((_, message)) => message.time,
            None if sequence == 0 => 0,
            None => self.last_time,
        };
        self.changes += 1;
        Ok(purged)
    }

    fn set_timer(&mut self, kind: TimerKind, sequence: u64, at: Option<i64>) -> Result<(), StoreError> {
        self.clear_timer(kind, sequence);
        if let Some(at) = at.filter(|_| self.messages.contains_key(&sequence)) {
            self.timers.insert((kind, sequence), at);
            self.timers_by_time.insert((kind, Due { at, sequence }));
        }
        self.changes += 1;
        Ok(())
    }

    fn due(&self, kind: TimerKind, until: i64, most: usize) -> Vec<Due> {
        let limit = |at, sequence| (kind, Due { at, sequence });
        self.timers_by_time
            .range(limit(i64::MIN, 0)..=limit(until, u64::MAX))
            .take(most)
            .map(|(_, due)| *due)
            .collect()
    }

    fn metadata(&self) -> &[u8] {
        &self.metadata
    }

    fn set_metadata(&mut self, metadata: &[u8]) -> Result<(), StoreError> {
        self.metadata = metadata.to_vec();
        self.changes += 1;
        Ok(())
    }

    fn consumer(&mut self, name: &str) -> Result<Box<dyn ConsumerStore>, StoreError> {
        if !is_store_name(name) {
            return Err(StoreError::InvalidName(name.to_owned()));
        }
        let lease = self.consumers.take(name.to_owned())?;
        Ok(Box::new(MemoryConsumer::new(lease)))
    }

    fn consumers(&self) -> Vec<String> {
        self.consumers.names()
    }

    fn delete_consumer(&mut self, name: &str) -> Result<bool, StoreError> {
        // A closed consumer is already gone.
        self.consumers.require_closed(&name.to_owned()).map(|()| false)
    }

    // The required methods end here. What follows replaces a default body by one that uses the index, so that the cost
    // is that of the subjects instead of all messages.

    fn at_or_before(&self, to: u64) -> Option<u64> {
        self.messages
            .range(..=to)
            .next_back()
            .map(|(sequence, _)| *sequence)
    }

    fn each_subject(
        &self,
        filters: &[Filter<'_>],
        visit: &mut dyn FnMut(Subject<'_>, u64) -> bool,
    ) -> Result<(), StoreError> {
        for (subject, sequences) in &self.by_subject {
            let subject = subject.as_subject();
            if matches_any(filters, subject) && !visit(subject, sequences.len() as u64) {
                break;
            }
        }
        Ok(())
    }
}

impl Drop for MemoryStream {
    fn drop(&mut self) {
        self.budget.give_back(self.bytes);
    }
}
