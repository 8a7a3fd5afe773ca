//! The store of a stream.

use std::ops::RangeInclusive;

use dunlin_api::{
    Answer, ConsumerStore, Counting, Due, Filter, Lease, Load, NewMessage, OpenNames, Purge, PurgeExtent,
    Purged, Removal, SourcePosition, SourcePositions, Staged, StorageType, StoreError, StoredMessage,
    StreamId, StreamOptions, StreamState, StreamStore, Subject, SubjectState, Ticket, TimerKind, UsageChange,
    is_store_name,
};

use crate::chunk::Stored;
use crate::consumer::MemoryConsumer;
use crate::find::Find;
use crate::messages::Messages;
use crate::subjects::Subjects;
use crate::timers::Timers;

/// A purge takes so many messages at a time.
const STEP: usize = 4096;

/// One stream.
pub(crate) struct MemoryStream {
    _lease: Lease<StreamId>,
    options: StreamOptions,
    messages: Messages,
    subjects: Subjects,
    timers: Timers,
    bytes: u64,
    /// Sequence and time of the first message.
    first: Option<(u64, i64)>,
    last: u64,
    last_time: i64,
    changes: u64,
    metadata: Vec<u8>,
    sources: SourcePositions,
    consumers: OpenNames<String>,
}

impl MemoryStream {
    /// An empty stream.
    pub(crate) fn new(lease: Lease<StreamId>, options: StreamOptions) -> Self {
        Self {
            _lease: lease,
            options,
            messages: Messages::default(),
            subjects: Subjects::default(),
            timers: Timers::default(),
            bytes: 0,
            first: None,
            last: 0,
            last_time: 0,
            changes: 0,
            metadata: Vec::new(),
            sources: SourcePositions::default(),
            consumers: OpenNames::default(),
        }
    }

    fn find(&self) -> Find<'_> {
        Find {
            messages: &self.messages,
            subjects: &self.subjects,
        }
    }

    fn load_some(&self, sequence: Option<u64>) -> Answer<Option<StoredMessage>> {
        Ok(Load::Ready(
            sequence.and_then(|sequence| self.messages.load(sequence)),
        ))
    }

    fn size(&self, stored: &Stored<'_>) -> u64 {
        let subject = stored.subject.as_bytes();
        self.options
            .storage
            .message_size(subject, stored.headers, stored.payload)
    }

    fn find_first(&mut self) {
        let first = self.messages.iter_from(0).next();
        self.first = first.map(|(sequence, stored)| (sequence, stored.time));
    }

    /// Takes one message away and tells nobody; what it counted.
    fn take(&mut self, sequence: u64, removal: Removal) -> Option<u64> {
        let stored = self.messages.get(sequence)?;
        let size = self.size(&stored);
        if self.options.track_subjects {
            let (subject, links) = (stored.subject.to_owned(), stored.links);
            self.subjects
                .remove(&mut self.messages, subject.as_subject(), links);
        }
        self.messages.remove(sequence, removal == Removal::Erase);
        self.timers.remove(sequence);
        if self.first.is_some_and(|(first, _)| first == sequence) {
            self.find_first();
        }
        self.bytes -= size;
        Some(size)
    }

    fn take_all(&mut self, sequences: &[u64], purged: &mut Purged) {
        for sequence in sequences {
            if let Some(size) = self.take(*sequence, Removal::Remove) {
                purged.messages += 1;
                purged.bytes += size;
            }
        }
    }

    /// Takes all messages before a sequence away.
    fn take_before(&mut self, sequence: u64) -> Purged {
        let mut purged = Purged::default();
        let kept = self.messages.count_from(sequence);
        let gone = self.messages.count() - kept;
        if gone <= kept {
            let sequences = self.find().some(&[], 0, sequence, usize::MAX);
            self.take_all(&sequences, &mut purged);
            return purged;
        }
        // So many that what is left is found anew in less time.
        let left: u64 = self
            .messages
            .iter_from(sequence)
            .map(|(_, stored)| self.size(&stored))
            .sum();
        self.messages.remove_before(sequence);
        self.timers.remove_before(sequence);
        self.left_with(left, gone)
    }

    /// Takes all messages after a sequence away.
    fn take_after(&mut self, sequence: u64) -> Purged {
        let mut purged = Purged::default();
        let from = sequence.saturating_add(1);
        let gone = self.messages.count_from(from);
        if gone * 2 <= self.messages.count() {
            let sequences = self.find().some(&[], from, u64::MAX, usize::MAX);
            self.take_all(&sequences, &mut purged);
            return purged;
        }
        let left = self.messages.iter_from(0).take_while(|(at, _)| *at <= sequence);
        let left = left.map(|(_, stored)| self.size(&stored)).sum();
        self.messages.remove_after(sequence);
        self.timers.remove_after(sequence);
        self.left_with(left, gone)
    }

    /// Comes to terms with what is left after many messages went at once.
    fn left_with(&mut self, bytes: u64, gone: u64) -> Purged {
        if self.options.track_subjects {
            self.subjects.rebuild(&mut self.messages);
        }
        self.find_first();
        Purged {
            messages: gone,
            bytes: std::mem::replace(&mut self.bytes, bytes) - bytes,
        }
    }

    /// Takes the first `most` messages before a sequence that match.
    fn take_matching(&mut self, filters: &[Filter<'_>], before: u64, most: u64) -> Purged {
        let mut purged = Purged::default();
        if let Some(mut sequences) = self.find().by_links(filters, before) {
            sequences.truncate(usize::try_from(most).unwrap_or(usize::MAX));
            self.take_all(&sequences, &mut purged);
            return purged;
        }
        let mut from = 0;
        while purged.messages < most {
            let step = usize::try_from(most - purged.messages).map_or(STEP, |most| most.min(STEP));
            let sequences = self.find().some(filters, from, before, step);
            let Some(last) = sequences.last() else {
                break;
            };
            from = last + 1;
            self.take_all(&sequences, &mut purged);
        }
        purged
    }

    /// Counts a change, and tells what went.
    fn note(&mut self, purged: Purged) -> Purged {
        self.changes += 1;
        if purged.messages > 0 {
            self.options.observer.usage(UsageChange {
                messages: -(purged.messages as i64),
                bytes: -(purged.bytes as i64),
            });
        }
        purged
    }
}

impl StreamStore for MemoryStream {
    fn storage(&self) -> StorageType {
        self.options.storage
    }

    fn state(&self) -> StreamState {
        let empty = if self.last == 0 {
            0
        } else {
            self.last.saturating_add(1)
        };
        let (first, first_time) = self.first.unwrap_or((empty, 0));
        StreamState {
            messages: self.messages.count(),
            bytes: self.bytes,
            first,
            first_time,
            last: self.last,
            last_time: self.last_time,
            subjects: self.subjects.count(),
        }
    }

    fn stage(&mut self, message: &NewMessage<'_>) -> Result<Staged, StoreError> {
        let sequence = next_sequence(self.last, 1)?;
        if let Some(given) = message.sequence.filter(|given| *given != sequence) {
            let expected = sequence;
            return Err(StoreError::SequenceMismatch { expected, given });
        }
        let links = match self.options.track_subjects {
            true => self.subjects.add(&mut self.messages, message.subject, sequence),
            false => Default::default(),
        };
        self.messages.push(sequence, message, links);
        let subject = message.subject.as_bytes();
        let size = self
            .options
            .storage
            .message_size(subject, message.headers, message.payload);
        self.first.get_or_insert((sequence, message.time));
        (self.last, self.last_time) = (sequence, message.time);
        self.bytes += size;
        self.changes += 1;
        self.options.observer.usage(UsageChange {
            messages: 1,
            bytes: size as i64,
        });
        Ok(Staged {
            sequence,
            size,
            ticket: self.staged(),
        })
    }

    fn skip(&mut self, count: u64, time: Option<i64>) -> Result<(), StoreError> {
        self.last = next_sequence(self.last, count)?;
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
        self.load_some(Some(sequence))
    }

    fn at_or_after(&self, from: u64) -> Option<u64> {
        self.messages.at_or_after(from)
    }

    fn at_or_before(&self, to: u64) -> Option<u64> {
        self.messages.at_or_before(to)
    }

    fn each_deleted(&self, visit: &mut dyn FnMut(RangeInclusive<u64>) -> bool) {
        let end = self.last.saturating_add(1);
        if let Some((first, _)) = self.first {
            self.messages.each_hole(first, end, visit);
        }
    }

    fn next(&self, filters: &[Filter<'_>], from: u64) -> Answer<Option<StoredMessage>> {
        self.load_some(self.find().next(filters, from))
    }

    fn previous(&self, filters: &[Filter<'_>], to: u64) -> Answer<Option<StoredMessage>> {
        self.load_some(self.find().previous(filters, to))
    }

    fn sequence_at(&self, time: i64) -> Answer<Option<u64>> {
        Ok(Load::Ready(self.messages.at_time(time)))
    }

    fn filtered_state(&self, filters: &[Filter<'_>], from: u64) -> Answer<SubjectState> {
        Ok(Load::Ready(self.find().state(filters, from)))
    }

    fn each_subject(
        &self,
        filters: &[Filter<'_>],
        visit: &mut dyn FnMut(Subject<'_>, u64) -> bool,
    ) -> Result<(), StoreError> {
        use std::ops::ControlFlow::{Break, Continue};
        let _ = self
            .subjects
            .visit(filters, |subject, state| match visit(subject, state.messages) {
                true => Continue(()),
                false => Break(()),
            });
        Ok(())
    }

    fn num_pending(&self, from: u64, filters: &[Filter<'_>], counting: Counting) -> Answer<u64> {
        Ok(Load::Ready(match counting {
            Counting::All => self.find().count(filters, from),
            Counting::LastPerSubject => self.find().subjects_from(filters, from),
        }))
    }

    fn last_sequences(&self, filters: &[Filter<'_>], to: u64, most: usize) -> Answer<Vec<u64>> {
        let sequences = self.find().last_sequences(filters, to, most);
        sequences.map(Load::Ready).ok_or(StoreError::TooManyResults)
    }

    fn remove(&mut self, sequence: u64, removal: Removal) -> Result<Option<u64>, StoreError> {
        let taken = self.take(sequence, removal);
        if let Some(bytes) = taken {
            self.note(Purged { messages: 1, bytes });
        }
        Ok(taken)
    }

    fn purge(&mut self, purge: &Purge) -> Result<Purged, StoreError> {
        let filter = purge.filter.as_ref().map(|filter| filter.as_filter());
        let filters = filter.as_slice();
        let purged = match purge.extent {
            PurgeExtent::Before(sequence) if filters.is_empty() => return self.compact(sequence),
            PurgeExtent::Before(sequence) => self.take_matching(filters, sequence, u64::MAX),
            PurgeExtent::Everything if filters.is_empty() => self.take_before(u64::MAX),
            PurgeExtent::Everything => self.take_matching(filters, u64::MAX, u64::MAX),
            PurgeExtent::Keep(count) if filters.is_empty() => {
                let gone = self.messages.count().saturating_sub(count);
                let kept = self.messages.nth(gone).unwrap_or(u64::MAX);
                self.take_before(kept)
            }
            PurgeExtent::Keep(count) => {
                let gone = self.find().count(filters, 0).saturating_sub(count);
                self.take_matching(filters, u64::MAX, gone)
            }
        };
        Ok(self.note(purged))
    }

    fn compact(&mut self, sequence: u64) -> Result<Purged, StoreError> {
        let purged = self.take_before(sequence);
        self.last = self.last.max(sequence.saturating_sub(1));
        Ok(self.note(purged))
    }

    fn truncate(&mut self, sequence: u64) -> Result<Purged, StoreError> {
        if sequence >= self.last {
            return Ok(Purged::default());
        }
        let purged = self.take_after(sequence);
        self.last = sequence;
        let last = self
            .messages
            .at_or_before(sequence)
            .and_then(|last| self.messages.get(last));
        self.last_time = match last {
            Some(stored) => stored.time,
            None if sequence == 0 => 0,
            None => self.last_time,
        };
        Ok(self.note(purged))
    }

    fn set_timer(&mut self, kind: TimerKind, sequence: u64, at: Option<i64>) -> Result<(), StoreError> {
        if at.is_none() || self.messages.get(sequence).is_some() {
            self.timers.set(kind, sequence, at);
        }
        Ok(())
    }

    fn due(&self, kind: TimerKind, until: i64, most: usize) -> Vec<Due> {
        self.timers.due(kind, until).take(most).collect()
    }

    fn metadata(&self) -> &[u8] {
        &self.metadata
    }

    fn set_metadata(&mut self, metadata: &[u8]) -> Result<(), StoreError> {
        self.metadata = metadata.to_vec();
        self.changes += 1;
        Ok(())
    }

    fn sources(&self) -> SourcePositions {
        self.sources.clone()
    }

    fn set_sources(&mut self, sources: &[SourcePosition]) -> Result<(), StoreError> {
        self.sources = SourcePositions {
            before: next_sequence(self.last, 1)?,
            sources: sources.to_vec(),
        };
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
}

fn next_sequence(last: u64, count: u64) -> Result<u64, StoreError> {
    let sequence = last.checked_add(count);
    sequence.ok_or_else(|| StoreError::Full("no sequence is left".to_owned()))
}
