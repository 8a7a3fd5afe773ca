//! Taking messages away, one by one.

use std::sync::Arc;

use dunlin_api::{Removal, StoreError, StoredMessage, Subject};
use dunlin_journal::{Item, Rest, Scope};

use super::blocks::Block;
use super::destroy::{self, Destroy, Doomed, OldIndex};
use super::stream::FileStream;

impl FileStream {
    pub(super) fn remove_at(&mut self, sequence: u64, removal: Removal) -> Result<Option<u64>, StoreError> {
        let at = self.blocks.find(sequence);
        let Some(block) = self.blocks.get(at).filter(|block| block.holds(sequence)) else {
            return Ok(None);
        };
        let message = match self.read(block, sequence) {
            Ok(message) => Some(message),
            // What is lost can still be let go of.
            Err(StoreError::Damaged { .. }) => None,
            Err(error) => return Err(error),
        };
        let erases = removal == Removal::Erase && block.handle.form().cipher.is_none();
        let time = message.as_ref().map_or(block.first_time, |message| message.time);
        if erases {
            self.hand_over();
        }
        self.tombstone(sequence, time)?;
        if erases && message.is_some() {
            self.overwrite(at, sequence)?;
        }
        let size = self.take(at, sequence, message.as_ref())?;
        self.drop_empty_blocks()?;
        self.used(-1, -(size as i64));
        self.change();
        Ok(Some(size))
    }

    /// Counts a message no more; what it counted.
    pub(super) fn take(
        &mut self,
        at: usize,
        sequence: u64,
        message: Option<&StoredMessage>,
    ) -> Result<u64, StoreError> {
        let size = message.map_or(0, |message| message.size(self.options.storage));
        let subject = message.map(|message| message.subject());
        let timed = message.map_or((false, false), |message| super::append::timed(message.headers()));
        self.uncount(at, sequence, subject, size, timed);
        self.find_first_time()?;
        Ok(size)
    }

    /// [`FileStream::take`] without learning the time of the message that is the first then.
    pub(super) fn uncount(
        &mut self,
        at: usize,
        sequence: u64,
        subject: Option<Subject<'_>>,
        size: u64,
        (ttl, schedule): (bool, bool),
    ) {
        let Some(block) = self.blocks.get_mut(at) else {
            return;
        };
        block.take(sequence, size);
        block.ttls = block.ttls.saturating_sub(u64::from(ttl));
        block.schedules = block.schedules.saturating_sub(u64::from(schedule));
        let index = block.index();
        if self.options.track_subjects
            && let Some(subject) = subject
        {
            self.subjects.removed(subject, index, sequence);
        }
        self.state.subjects = self.subjects.len();
        self.state.messages = self.state.messages.saturating_sub(1);
        self.state.bytes = self.state.bytes.saturating_sub(size);
        self.clear_timers(sequence);
        self.damage.settled(sequence, sequence);
        if self.state.first == sequence {
            self.state.first = match self.blocks.at_or_after(sequence) {
                Some((_, first)) => first,
                None => self.state.last + 1,
            };
            self.state.first_time = 0;
        }
    }

    /// The time of the first message, read where it is not known.
    pub(super) fn find_first_time(&mut self) -> Result<(), StoreError> {
        if self.state.first_time != 0 || self.state.messages == 0 {
            return Ok(());
        }
        let first = self.state.first;
        let at = self.blocks.find(first);
        let Some(block) = self.blocks.get(at) else {
            return Ok(());
        };
        let time = match block.first_time {
            0 => match self.read(block, first) {
                Ok(message) => message.time,
                Err(StoreError::Damaged { .. }) => 0,
                Err(error) => return Err(error),
            },
            known => known,
        };
        if let Some(block) = self.blocks.get_mut(at) {
            block.first_time = time;
        }
        self.state.first_time = time;
        Ok(())
    }

    /// Lets go of blocks without messages before all others. Tombstones in them are of messages that are gone too.
    pub(super) fn drop_empty_blocks(&mut self) -> Result<(), StoreError> {
        let mut dropped = Vec::new();
        while self.blocks.len() > 1 && self.blocks.get(0).is_some_and(|first| first.messages == 0) {
            dropped.extend(self.blocks.pop_front());
        }
        if dropped.is_empty() {
            return Ok(());
        }
        self.keep_last_sequence()?;
        // Whatever says that their messages are gone is durable before.
        self.hand_over();
        self.destroy(dropped, OldIndex::Stays);
        Ok(())
    }

    /// Writes down the last sequence where no record has it any more.
    pub(super) fn keep_last_sequence(&mut self) -> Result<(), StoreError> {
        let last = self.state.last;
        let at = self.blocks.find(last);
        let alive = self.blocks.get(at).is_some_and(|block| block.holds(last));
        if alive || self.last_is_written || last == 0 {
            return Ok(());
        }
        let time = self.state.last_time;
        match self.blocks.last() {
            // Among messages only a record of its own says that a sequence was given.
            Some(block) if block.messages > 0 && block.last == last => self.placeholder(last, time),
            _ => self.tombstone(last, time),
        }
    }

    /// Takes blocks from the disk, after this is durable.
    pub(super) fn destroy(&mut self, blocks: Vec<Block>, index: OldIndex) {
        if blocks.is_empty() {
            return;
        }
        let doomed = blocks.into_iter().map(|block| {
            let doomed = Doomed {
                block: block.index(),
                length: block.file_length(),
            };
            (block.handle, doomed)
        });
        let doomed: Vec<_> = doomed.collect();
        for (_, doomed) in &doomed {
            self.items.push(Item::Forget {
                stream: self.home.incarnation.clone(),
                scope: Scope::Block(doomed.block),
                rest: Rest::Drop,
            });
        }
        if index == OldIndex::Void {
            self.index_file.forget();
            self.unindexed = u64::MAX / 2;
        }
        let target = Destroy::new(doomed, index, &self.marks);
        self.items.push(Item::Consumer {
            stream: self.home.incarnation.clone(),
            name: destroy::NAME.into(),
            bytes: Arc::new(target.encode()),
            target,
        });
    }
}
