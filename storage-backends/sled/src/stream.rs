//! One stream: its index, and what its owner does with it.

use std::collections::BTreeSet;
use std::sync::Arc;

use dunlin_api::{
    Answer, ConsumerStore, Counting, Due, Filter, Lease, Load, NewMessage, OpenNames, Purge, PurgeExtent,
    Purged, Removal, SnapshotChunk, SnapshotCursor, SourcePosition, SourcePositions, Staged, StorageType,
    StoreError, StoredMessage, StreamId, StreamOptions, StreamState, StreamStore, Subject, SubjectState,
    Ticket, TimerKind, UsageChange, is_store_name,
};
use dunlin_subject::SequenceTimers;

use crate::consumer::SledConsumer;
use crate::engine::{Engine, Job, Marks, Writes};
use crate::index::Index;
use crate::layout::{self, State, StoredRecord};

/// What is staged goes to the writer when it is more than this, whether or not somebody asks for a commit.
const HAND_OVER: u64 = 256 * 1024;

/// The store of a stream.
pub(crate) struct SledStream {
    pub(crate) _lease: Lease<StreamId>,
    pub(crate) engine: Arc<Engine>,
    pub(crate) tree: sled::Tree,
    pub(crate) marks: Arc<Marks>,
    pub(crate) options: StreamOptions,
    pub(crate) index: Index,
    pub(crate) state: State,
    pub(crate) timers: Timers,
    pub(crate) metadata: Vec<u8>,
    pub(crate) sources: SourcePositions,
    pub(crate) consumers: BTreeSet<String>,
    pub(crate) open_consumers: OpenNames<String>,
    pub(crate) staged: Ticket,
    pub(crate) writes: Writes,
}

/// The timers of both kinds.
#[derive(Default)]
pub(crate) struct Timers {
    expiry: SequenceTimers,
    schedule: SequenceTimers,
}

impl Timers {
    pub(crate) const KINDS: [TimerKind; 2] = [TimerKind::Expiry, TimerKind::Schedule];

    fn of(&self, kind: TimerKind) -> &SequenceTimers {
        match kind {
            TimerKind::Expiry => &self.expiry,
            TimerKind::Schedule => &self.schedule,
        }
    }

    pub(crate) fn of_mut(&mut self, kind: TimerKind) -> &mut SequenceTimers {
        match kind {
            TimerKind::Expiry => &mut self.expiry,
            TimerKind::Schedule => &mut self.schedule,
        }
    }
}

impl SledStream {
    /// Names one more change, which is whole.
    fn change(&mut self) -> Ticket {
        self.staged.0 += 1;
        self.staged
    }

    /// Between two changes: hands over what has come together.
    fn relieve(&mut self) {
        if self.writes.bytes() >= HAND_OVER {
            self.hand_over(false);
        }
    }

    fn hand_over(&mut self, sync: bool) {
        let mut writes = std::mem::take(&mut self.writes);
        if !writes.is_empty() {
            writes.put(layout::STATE.to_vec(), self.state.encode());
        }
        self.engine.submit(Job {
            tree: self.tree.clone(),
            writes,
            to: self.staged,
            sync,
            marks: self.marks.clone(),
        });
    }

    fn refuse_failed(&self) -> Result<(), StoreError> {
        let failure = self.marks.failure().or(self.engine.failure());
        failure.cloned().map_or(Ok(()), Err)
    }

    /// Takes a message and its timers away, and stages that without naming the change.
    fn take(&mut self, sequence: u64) -> Option<u64> {
        let entry = self.index.remove(sequence)?;
        self.writes.remove(layout::message_key(sequence));
        for kind in Timers::KINDS {
            if self.timers.of_mut(kind).clear(sequence).is_some() {
                self.writes.remove(layout::timer_key(kind, sequence));
            }
        }
        Some(u64::from(entry.size))
    }

    /// Removes messages, each a change of its own.
    fn take_all(&mut self, sequences: impl IntoIterator<Item = u64>) -> Purged {
        let mut purged = Purged::default();
        for sequence in sequences {
            self.relieve();
            if let Some(size) = self.take(sequence) {
                self.change();
                purged.messages += 1;
                purged.bytes += size;
            }
        }
        self.tell_taken(purged);
        purged
    }

    fn tell_taken(&self, purged: Purged) {
        if purged.messages > 0 {
            self.tell(-signed(purged.messages), -signed(purged.bytes));
        }
    }

    fn tell(&self, messages: i64, bytes: i64) {
        self.marks.observer().usage(UsageChange { messages, bytes });
    }

    /// The sequences before `before` that a filter matches, or all of them, in order.
    fn matching(&self, filter: Option<Filter<'_>>, before: u64) -> Vec<u64> {
        let mut found = Vec::new();
        let mut collect = |first: Option<u64>, after: &dyn Fn(u64) -> Option<u64>| {
            let mut at = first;
            while let Some(sequence) = at.filter(|sequence| *sequence < before) {
                found.push(sequence);
                at = sequence.checked_add(1).and_then(after);
            }
        };
        match filter {
            None => collect(self.index.at_or_after(0), &|from| self.index.at_or_after(from)),
            Some(filter) => {
                self.index.each(&[filter], |_, list| {
                    collect(list.first(), &|from| list.at_or_after(from));
                    std::ops::ControlFlow::Continue(())
                });
                found.sort_unstable();
            }
        }
        found
    }

    /// Reads a message that the index has.
    fn read(&self, sequence: u64) -> Load<Option<StoredMessage>> {
        if let Some(message) = self.marks.find(sequence) {
            return Load::Ready(Some(message));
        }
        let (tree, generation) = (self.tree.clone(), self.state.generation);
        Load::cold(move || read(&tree, sequence, generation))
    }

    fn found(&self, sequence: Option<u64>) -> Answer<Option<StoredMessage>> {
        Ok(sequence.map_or(Load::Ready(None), |sequence| self.read(sequence)))
    }
}

/// Reads a message as of a generation. Waits for the disk.
fn read(tree: &sled::Tree, sequence: u64, generation: u32) -> Result<Option<StoredMessage>, StoreError> {
    let value = tree.get(layout::message_key(sequence)).map_err(io)?;
    let Some(value) = value else {
        return Ok(None);
    };
    let record = StoredRecord::read(sequence, bytes::Bytes::from_owner(value));
    let record = record.ok_or_else(|| StoreError::Damaged {
        sequence,
        detail: "its value in the sled database is no message".to_owned(),
    })?;
    // A truncation may have given the sequence to another since.
    Ok((record.generation <= generation).then_some(record.message))
}

/// An error of sled's.
pub(crate) fn io(error: sled::Error) -> StoreError {
    StoreError::Io(error.to_string())
}

/// What a store holds is far below 2^63.
fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

impl StreamStore for SledStream {
    fn storage(&self) -> StorageType {
        self.options.storage
    }

    fn state(&self) -> StreamState {
        let first = self.index.at_or_after(0);
        let after_last = match self.state.last {
            0 => 0,
            last => last.saturating_add(1),
        };
        StreamState {
            messages: self.index.messages(),
            bytes: self.index.bytes(),
            first: first.unwrap_or(after_last),
            first_time: first
                .and_then(|first| self.index.get(first))
                .map_or(0, |entry| entry.time),
            last: self.state.last,
            last_time: self.state.last_time,
            subjects: self.index.subjects(),
        }
    }

    fn stage(&mut self, message: &NewMessage<'_>) -> Result<Staged, StoreError> {
        let end = || StoreError::Full("the sequences run out".to_owned());
        let sequence = self.state.last.checked_add(1).ok_or_else(end)?;
        if let Some(given) = message.sequence.filter(|given| *given != sequence) {
            return Err(StoreError::SequenceMismatch {
                expected: sequence,
                given,
            });
        }
        // Before the message, so that its timers are written together with it.
        self.relieve();
        let size =
            self.options
                .storage
                .message_size(message.subject.as_bytes(), message.headers, message.payload);
        self.engine.make_room(self.writes.bytes().saturating_add(size))?;
        let too_large = || StoreError::Full("a message of 4 GiB".to_owned());
        let record = layout::message_value(message, sequence, self.state.generation).ok_or_else(too_large)?;
        let narrow = u32::try_from(size).map_err(|_| too_large())?;
        if !self.index.push(sequence, message.time, narrow, message.subject) {
            return Err(StoreError::Full("the stream has 4 billion subjects".to_owned()));
        }
        self.state.last = sequence;
        self.state.last_time = message.time;
        self.writes.put(layout::message_key(sequence), record.value);
        let ticket = self.change();
        self.marks.keep(ticket, record.message);
        self.tell(1, signed(size));
        Ok(Staged {
            sequence,
            size,
            ticket,
        })
    }

    fn skip(&mut self, count: u64, time: Option<i64>) -> Result<(), StoreError> {
        let end = || StoreError::Full("the sequences run out".to_owned());
        self.state.last = self.state.last.checked_add(count).ok_or_else(end)?;
        self.state.last_time = time.unwrap_or(self.state.last_time);
        // The state alone; it is written with every hand-over that writes anything.
        self.writes.put(layout::STATE.to_vec(), self.state.encode());
        self.change();
        Ok(())
    }

    fn staged(&self) -> Ticket {
        self.staged
    }

    fn durable(&self) -> Ticket {
        self.marks.durable()
    }

    fn commit(&mut self, ticket: Ticket) -> Result<Ticket, StoreError> {
        self.refuse_failed()?;
        if ticket > self.marks.durable() || !self.writes.is_empty() {
            self.hand_over(true);
        }
        Ok(self.marks.durable())
    }

    fn load(&self, sequence: u64) -> Answer<Option<StoredMessage>> {
        self.found(self.index.get(sequence).map(|_| sequence))
    }

    fn at_or_after(&self, from: u64) -> Option<u64> {
        self.index.at_or_after(from)
    }

    fn at_or_before(&self, to: u64) -> Option<u64> {
        self.index.at_or_before(to)
    }

    fn remove(&mut self, sequence: u64, _: Removal) -> Result<Option<u64>, StoreError> {
        self.relieve();
        let Some(size) = self.take(sequence) else {
            return Ok(None);
        };
        self.change();
        self.tell(-1, -signed(size));
        Ok(Some(size))
    }

    fn truncate(&mut self, sequence: u64) -> Result<Purged, StoreError> {
        if sequence >= self.state.last {
            return Ok(Purged::default());
        }
        self.relieve();
        let mut purged = Purged::default();
        while let Some(size) = self
            .index
            .at_or_before(u64::MAX)
            .filter(|last| *last > sequence)
            .and_then(|last| self.take(last))
        {
            purged.messages += 1;
            purged.bytes += size;
        }
        self.marks.truncate(sequence);
        let last = self
            .index
            .at_or_before(sequence)
            .and_then(|last| self.index.get(last));
        let kept = if sequence == 0 { 0 } else { self.state.last_time };
        self.state = State {
            generation: self.state.generation.wrapping_add(1),
            last: sequence,
            last_time: last.map_or(kept, |entry| entry.time),
        };
        self.writes.put(layout::STATE.to_vec(), self.state.encode());
        self.change();
        self.tell_taken(purged);
        Ok(purged)
    }

    fn set_timer(&mut self, kind: TimerKind, sequence: u64, at: Option<i64>) -> Result<(), StoreError> {
        if self.index.get(sequence).is_none() {
            return Ok(());
        }
        let key = layout::timer_key(kind, sequence);
        let timers = self.timers.of_mut(kind);
        match at {
            Some(at) if timers.set(sequence, at) != Some(at) => {
                self.writes.put(key, at.to_be_bytes().to_vec())
            }
            None if timers.clear(sequence).is_some() => self.writes.remove(key),
            _ => {}
        }
        Ok(())
    }

    fn due(&self, kind: TimerKind, until: i64, most: usize) -> Vec<Due> {
        let due = self.timers.of(kind).due(until).take(most);
        due.map(|(at, sequence)| Due { at, sequence }).collect()
    }

    fn metadata(&self) -> &[u8] {
        &self.metadata
    }

    fn set_metadata(&mut self, metadata: &[u8]) -> Result<(), StoreError> {
        self.relieve();
        self.engine
            .make_room(self.writes.bytes().saturating_add(metadata.len() as u64))?;
        self.metadata = metadata.to_vec();
        self.writes.put(layout::METADATA.to_vec(), metadata.to_vec());
        self.change();
        Ok(())
    }

    fn sources(&self) -> SourcePositions {
        self.sources.clone()
    }

    fn set_sources(&mut self, sources: &[SourcePosition]) -> Result<(), StoreError> {
        self.sources = SourcePositions {
            before: self.state.last.saturating_add(1),
            sources: sources.to_vec(),
        };
        self.writes
            .put(layout::SOURCES.to_vec(), layout::sources_value(&self.sources));
        self.change();
        Ok(())
    }

    fn consumer(&mut self, name: &str) -> Result<Box<dyn ConsumerStore>, StoreError> {
        if !is_store_name(name) {
            return Err(StoreError::InvalidName(name.to_owned()));
        }
        let lease = self.open_consumers.take(name.to_owned())?;
        let is_new = !self.consumers.contains(name);
        let marks = Arc::new(self.marks.consumer(name));
        let consumer = SledConsumer::open(lease, self.engine.clone(), self.tree.clone(), marks, is_new)?;
        self.consumers.insert(name.to_owned());
        Ok(Box::new(consumer))
    }

    fn consumers(&self) -> Vec<String> {
        self.consumers.iter().cloned().collect()
    }

    fn delete_consumer(&mut self, name: &str) -> Result<bool, StoreError> {
        self.open_consumers.require_closed(&name.to_owned())?;
        if !self.consumers.contains(name) {
            return Ok(false);
        }
        // What it had queued comes first.
        self.engine.settle()?;
        let mut writes = Writes::default();
        for key in self.tree.scan_prefix(layout::consumer_prefix(name)).keys() {
            writes.remove(key.map_err(io)?.to_vec());
        }
        self.engine.submit(Job {
            tree: self.tree.clone(),
            writes,
            to: Ticket(0),
            sync: false,
            marks: self.marks.clone(),
        });
        self.engine.settle()?;
        self.consumers.remove(name);
        Ok(true)
    }

    fn next(&self, filters: &[Filter<'_>], from: u64) -> Answer<Option<StoredMessage>> {
        self.found(self.index.next(filters, from))
    }

    fn previous(&self, filters: &[Filter<'_>], to: u64) -> Answer<Option<StoredMessage>> {
        self.found(self.index.previous(filters, to))
    }

    fn sequence_at(&self, time: i64) -> Answer<Option<u64>> {
        Ok(Load::Ready(self.index.sequence_at(time)))
    }

    fn filtered_state(&self, filters: &[Filter<'_>], from: u64) -> Answer<SubjectState> {
        Ok(Load::Ready(self.index.filtered_state(filters, from)))
    }

    fn each_subject(
        &self,
        filters: &[Filter<'_>],
        visit: &mut dyn FnMut(Subject<'_>, u64) -> bool,
    ) -> Result<(), StoreError> {
        self.index
            .each(filters, |subject, list| match visit(subject, list.len() as u64) {
                true => std::ops::ControlFlow::Continue(()),
                false => std::ops::ControlFlow::Break(()),
            });
        Ok(())
    }

    fn num_pending(&self, from: u64, filters: &[Filter<'_>], counting: Counting) -> Answer<u64> {
        Ok(Load::Ready(match counting {
            Counting::All => self.index.filtered_state(filters, from).messages,
            Counting::LastPerSubject => self.index.subjects_from(filters, from),
        }))
    }

    fn last_sequences(&self, filters: &[Filter<'_>], to: u64, most: usize) -> Answer<Vec<u64>> {
        self.index.last_sequences(filters, to, most).map(Load::Ready)
    }

    fn purge(&mut self, purge: &Purge) -> Result<Purged, StoreError> {
        let filter = purge.filter.as_ref().map(|filter| filter.as_filter());
        let mut matching = match purge.extent {
            PurgeExtent::Before(sequence) if filter.is_none() => return self.compact(sequence),
            PurgeExtent::Before(sequence) => self.matching(filter, sequence),
            PurgeExtent::Everything | PurgeExtent::Keep(_) => self.matching(filter, u64::MAX),
        };
        if let PurgeExtent::Keep(count) = purge.extent {
            let kept = usize::try_from(count).unwrap_or(usize::MAX);
            matching.truncate(matching.len().saturating_sub(kept));
        }
        Ok(self.take_all(matching))
    }

    fn compact(&mut self, sequence: u64) -> Result<Purged, StoreError> {
        let purged = self.take_all(self.matching(None, sequence));
        let next = self.state.last.saturating_add(1);
        if sequence > next {
            self.skip(sequence - next, None)?;
        }
        Ok(purged)
    }

    fn snapshot(&self, cursor: SnapshotCursor, bytes: u64) -> Answer<SnapshotChunk> {
        let mut chunk = SnapshotChunk {
            through: cursor.last,
            ..SnapshotChunk::default()
        };
        let mut loads = Vec::new();
        let mut size = 0;
        let mut at = self.index.at_or_after(cursor.next);
        while let Some(sequence) = at.filter(|sequence| *sequence <= cursor.last) {
            size += self.index.get(sequence).map_or(0, |entry| u64::from(entry.size));
            if size > bytes && !loads.is_empty() {
                chunk.through = sequence.saturating_sub(1);
                chunk.next = Some(SnapshotCursor {
                    next: sequence,
                    ..cursor
                });
                break;
            }
            loads.push(self.read(sequence));
            at = sequence
                .checked_add(1)
                .and_then(|from| self.index.at_or_after(from));
        }
        Ok(Load::cold(move || {
            for load in loads {
                chunk.messages.extend(load.wait()?);
            }
            Ok(chunk)
        }))
    }

    fn close(mut self: Box<Self>) -> Result<(), StoreError> {
        if !self.writes.is_empty() {
            self.hand_over(false);
        }
        self.engine.settle()
    }
}
