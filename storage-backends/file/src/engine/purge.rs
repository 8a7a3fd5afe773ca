//! Taking many messages away: purge, compact, truncate.

use std::ops::ControlFlow;
use std::sync::Arc;

use dunlin_api::{
    Filter, FilterBuf, NewMessage, Purge, PurgeExtent, Purged, Removal, StoreError, StoredMessage,
    StreamState, Subject,
};

use super::blocks::Block;
use super::destroy::OldIndex;
use super::fault::Wait;
use super::find::is_everything;
use super::read::Failure;
use super::stream::FileStream;
use crate::record::{Record, RecordKind};

impl FileStream {
    pub(super) fn purge_many(&mut self, purge: &Purge) -> Result<Purged, StoreError> {
        let filter = purge.filter.as_ref().map(FilterBuf::as_filter);
        let all = filter.is_some_and(|filter| is_everything(&[filter]));
        match (filter.filter(|_| !all), purge.extent) {
            (None, PurgeExtent::Everything) => self.purge_all(self.state.last.saturating_add(1)),
            // A filter takes what it matches, and never moves the end of the stream.
            (None, PurgeExtent::Before(sequence)) if all => {
                self.compact_to(sequence.min(self.state.last.saturating_add(1)))
            }
            (None, PurgeExtent::Before(sequence)) => self.compact_to(sequence),
            (None, PurgeExtent::Keep(count)) => self.keep_newest(count),
            (Some(filter), extent) => self.purge_matching(filter, extent),
        }
    }

    /// Takes everything; the next sequence is `next`, which is not before any that was given.
    pub(super) fn purge_all(&mut self, next: u64) -> Result<Purged, StoreError> {
        let moves = next > self.state.last.saturating_add(1);
        if self.state.messages == 0 && !moves {
            return Ok(Purged::default());
        }
        self.empty(next - 1)
    }

    /// Takes everything, and lets the stream go on behind `last`; behind 0 it is as if new. After a crash this has
    /// happened whole or not at all.
    fn empty(&mut self, last: u64) -> Result<Purged, StoreError> {
        let purged = Purged {
            messages: self.state.messages,
            bytes: self.state.bytes,
        };
        self.hand_over();
        self.roll()?;
        let mut old = self.blocks.split_off(0);
        if let Some(mut new) = old.pop() {
            (new.first, new.last) = (last + 1, last);
            self.blocks.push(new);
        }
        self.destroy(old, OldIndex::Void);
        self.subjects.clear();
        self.state = StreamState {
            first: if last == 0 { 0 } else { last + 1 },
            last,
            last_time: if last == 0 { 0 } else { self.state.last_time },
            ..StreamState::default()
        };
        self.forget_timers(|_| false);
        self.damage.settled(0, u64::MAX);
        self.last_is_written = false;
        self.keep_last_sequence()?;
        self.hand_over_tail();
        self.report(purged);
        Ok(purged)
    }

    pub(super) fn compact_to(&mut self, sequence: u64) -> Result<Purged, StoreError> {
        if sequence > self.state.last {
            return self.purge_all(sequence.max(self.state.last.saturating_add(1)));
        }
        if sequence <= self.state.first {
            return Ok(Purged::default());
        }
        let mut purged = Purged::default();
        // Whole blocks first: of them only the subjects must be read.
        let mut dropped = Vec::new();
        while self.blocks.len() > 1 && self.blocks.get(0).is_some_and(|first| first.last < sequence) {
            if let Some(block) = self.blocks.get(0) {
                self.uncount_block(&block.clone())?;
            }
            let Some(block) = self.blocks.pop_front() else {
                break;
            };
            purged.messages += block.messages;
            purged.bytes += block.bytes;
            self.state.messages = self.state.messages.saturating_sub(block.messages);
            self.state.bytes = self.state.bytes.saturating_sub(block.bytes);
            dropped.push(block);
        }
        self.state.subjects = self.subjects.len();
        self.unindexed += dropped.iter().map(|block| block.length).sum::<u64>();
        if !dropped.is_empty() {
            self.keep_last_sequence()?;
            self.hand_over();
            self.destroy(dropped, OldIndex::Stays);
        }
        self.settle_first();
        self.forget_timers(|timer| timer >= sequence);
        self.damage.settled(0, sequence - 1);
        let mut rest = Purged::default();
        while let Some((_, at)) = self.blocks.at_or_after(0).filter(|(_, at)| *at < sequence) {
            self.remove_counted(at, &mut rest)?;
        }
        self.find_first_time()?;
        self.drop_empty_blocks()?;
        self.report(purged);
        purged.messages += rest.messages;
        purged.bytes += rest.bytes;
        Ok(purged)
    }

    fn keep_newest(&mut self, count: u64) -> Result<Purged, StoreError> {
        let excess = self.state.messages.saturating_sub(count);
        if excess == self.state.messages {
            return self.purge_all(self.state.last.saturating_add(1));
        }
        if excess == 0 {
            return Ok(Purged::default());
        }
        // The first that stays: passed over block by block, then message by message.
        let mut left = excess;
        let mut first = 0;
        for block in self.blocks.iter() {
            if left >= block.messages {
                left -= block.messages;
                continue;
            }
            let mut at = block.at_or_after(0);
            for _ in 0..left {
                at = at.and_then(|at| block.at_or_after(at + 1));
            }
            first = at.unwrap_or_default();
            break;
        }
        self.compact_to(first)
    }

    fn purge_matching(&mut self, filter: Filter<'_>, extent: PurgeExtent) -> Result<Purged, StoreError> {
        let filters = [filter];
        let (before, mut most) = match extent {
            PurgeExtent::Everything => (u64::MAX, u64::MAX),
            PurgeExtent::Before(sequence) => (sequence, u64::MAX),
            PurgeExtent::Keep(count) => {
                let mut matching = 0;
                let _ = self.subjects.visit(&filters, |_, figures| {
                    matching += figures.total;
                    ControlFlow::<()>::Continue(())
                });
                (u64::MAX, matching.saturating_sub(count))
            }
        };
        let mut purged = Purged::default();
        let Some(last) = before.checked_sub(1) else {
            return Ok(purged);
        };
        let places = self.places(&filters);
        let indexes: Vec<u32> = self
            .blocks
            .range(places)
            .map(|(_, block)| block.index())
            .collect();
        for index in indexes {
            // Blocks before it may go on the way.
            let at = self.blocks.find_index(index);
            let Some(block) = self.blocks.get(at).filter(|block| block.index() == index) else {
                continue;
            };
            if most == 0 || block.first >= before {
                break;
            }
            let mut found = Vec::new();
            let failed = |fault| {
                Failure {
                    fault,
                    sequence: block.first,
                }
                .into_error()
            };
            self.view(block)
                .each(&filters, (0, last), Wait::Yes, |sequence, _| found.push(sequence))
                .map_err(failed)?;
            for sequence in found
                .into_iter()
                .take(usize::try_from(most).unwrap_or(usize::MAX))
            {
                self.remove_counted(sequence, &mut purged)?;
                most -= 1;
            }
        }
        Ok(purged)
    }

    fn remove_counted(&mut self, sequence: u64, purged: &mut Purged) -> Result<(), StoreError> {
        if let Some(size) = self.remove_at(sequence, Removal::Remove)? {
            purged.messages += 1;
            purged.bytes += size;
        }
        Ok(())
    }

    /// Blocks behind the cut go, and so does the one that is cut: what is left of it is written to a new one. A file is
    /// never cut in place, so it does not matter how it is compressed or encrypted.
    pub(super) fn truncate_to(&mut self, sequence: u64) -> Result<Purged, StoreError> {
        if sequence >= self.state.last {
            return Ok(Purged::default());
        }
        if sequence < self.state.first {
            return self.empty(sequence);
        }
        self.hand_over();
        let mut purged = Purged::default();
        let mut kept = Kept::default();
        let first = self.blocks.find(sequence);
        for at in (first..self.blocks.len()).rev() {
            self.take_end(at, sequence, &mut kept, &mut purged)?;
        }
        let last_time = match kept.messages.last() {
            Some(last) => last.time,
            None => self.time_before(first)?,
        };
        self.roll()?;
        let mut old = self.blocks.split_off(first);
        self.blocks.extend_last(&mut old);
        (self.state.last, self.state.last_time) = (sequence, last_time);
        self.forget_timers(|timer| timer <= sequence);
        self.damage.settled(sequence + 1, u64::MAX);
        self.destroy(old, OldIndex::Void);
        self.write_kept(kept, sequence)?;
        self.hand_over_tail();
        self.settle_first();
        self.find_first_time()?;
        self.drop_empty_blocks()?;
        self.report(purged);
        Ok(purged)
    }

    /// Counts the messages of a block no more that lie behind a sequence, and notes what must stay of it.
    fn take_end(
        &mut self,
        at: usize,
        sequence: u64,
        kept: &mut Kept,
        purged: &mut Purged,
    ) -> Result<(), StoreError> {
        let Some(block) = self.blocks.get(at) else {
            return Ok(());
        };
        let view = self.view(block);
        let storage = self.options.storage;
        let mut taken = Vec::new();
        let mut own = Kept::default();
        view.each_record(&mut |record, _| {
            if record.kind == RecordKind::Tombstone && record.sequence <= sequence {
                own.tombstones.push((record.sequence, record.time));
            } else if view.holds(record) && record.sequence <= sequence {
                own.messages.extend(keep(record));
            } else if view.holds(record) {
                let size = storage.message_size(record.subject, record.headers, record.payload);
                let timed = super::append::timed(record.headers);
                taken.push((record.sequence, record.subject.to_vec(), size, timed));
            }
        })
        .map_err(|fault| Failure { fault, sequence }.into_error())?;
        for (gone, subject, size, timed) in taken.into_iter().rev() {
            let subject = Subject::from_wire(&subject).ok();
            self.uncount(at, gone, subject, size, timed);
            purged.messages += 1;
            purged.bytes += size;
        }
        // Blocks come from the last to the first.
        own.tombstones.append(&mut kept.tombstones);
        own.messages.append(&mut kept.messages);
        *kept = own;
        Ok(())
    }

    /// The time of the last message before a block.
    fn time_before(&self, at: usize) -> Result<i64, StoreError> {
        let before = self.blocks.range(0..at).rev();
        let found = before.filter_map(|(_, block)| Some((block, block.at_or_before(u64::MAX)?)));
        match found.into_iter().next() {
            None => Ok(self.state.last_time),
            Some((block, last)) => match self.read(block, last) {
                Ok(message) => Ok(message.time),
                Err(StoreError::Damaged { .. }) => Ok(block.last_time),
                Err(error) => Err(error),
            },
        }
    }

    /// Writes again what is left of blocks that go, into the last one, which is new.
    fn write_kept(&mut self, kept: Kept, sequence: u64) -> Result<(), StoreError> {
        // Blocks that begin on the way follow on what is written by then.
        let before = kept.messages.first().map_or(sequence, |first| first.sequence - 1);
        self.state.last = before;
        if let Some(block) = self.blocks.last_mut() {
            (block.first, block.last) = (before + 1, before);
        }
        for (gone, time) in kept.tombstones {
            self.tombstone(gone, time)?;
        }
        let mut last = None;
        for message in kept.messages {
            self.put_again(&message, last)?;
            last = Some(message.sequence);
            self.state.last = message.sequence;
        }
        self.state.last = sequence;
        if let Some(block) = self.blocks.last_mut() {
            if let Some(last) = last.filter(|last| *last < sequence) {
                Arc::make_mut(&mut block.deleted).insert_range(last + 1, sequence);
            }
            (block.last, block.last_time) = (sequence, self.state.last_time);
            if block.messages == 0 {
                block.first = sequence + 1;
            }
        }
        // A tombstone that was kept may say another time.
        self.last_is_written = last == Some(sequence);
        self.keep_last_sequence()
    }
}

/// What is left of blocks that go.
#[derive(Default)]
struct Kept {
    messages: Vec<StoredMessage>,
    /// Of messages in earlier blocks, with their times.
    tombstones: Vec<(u64, i64)>,
}

/// A copy of a message.
fn keep(record: &Record<'_>) -> Option<StoredMessage> {
    let message = NewMessage {
        sequence: None,
        time: record.time,
        subject: Subject::from_wire(record.subject).ok()?,
        headers: record.headers,
        payload: record.payload,
    };
    Some(StoredMessage::new(&message, record.sequence))
}

impl FileStream {
    /// Takes the subjects of a block's messages out of the stream's.
    fn uncount_block(&mut self, block: &Block) -> Result<(), StoreError> {
        if !self.options.track_subjects || block.messages == 0 {
            return Ok(());
        }
        let view = self.view(block);
        let failed = |fault| {
            Failure {
                fault,
                sequence: block.first,
            }
            .into_error()
        };
        let known = view.subjects(Wait::Yes).map_err(failed)?;
        let mut counts = vec![0_u64; known.len()];
        view.each(&[], (0, u64::MAX), Wait::Yes, |_, number| {
            if let Some(count) = counts.get_mut(number as usize) {
                *count += 1;
            }
        })
        .map_err(failed)?;
        let next = block.index().saturating_add(1);
        known.visit(&[], |subject, number| {
            let count = counts.get(number as usize).copied().unwrap_or_default();
            if count > 0 {
                self.subjects.cut_front(subject, count, next);
            }
        });
        Ok(())
    }

    /// The stream's first message, after blocks went.
    fn settle_first(&mut self) {
        let (first, time) = match self.blocks.at_or_after(0) {
            Some((at, first)) => (first, self.blocks.get(at).map_or(0, |block| block.first_time)),
            None => (self.state.last + 1, 0),
        };
        (self.state.first, self.state.first_time) = (first, time);
    }

    fn report(&mut self, purged: Purged) {
        if purged.messages > 0 {
            self.used(-(purged.messages as i64), -(purged.bytes as i64));
        }
        self.change();
    }
}
