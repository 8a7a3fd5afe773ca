//! Opening a stream: from its index and what came after it, or from all its records.

use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;

use dunlin_api::{
    Damage, Lease, OpenMode, StoreError, StreamId, StreamOptions, StreamState, Subject, Ticket,
};
use dunlin_journal::BlockEnd;

use super::backend::Driver;
use super::blocks::{Block, Blocks};
use super::checkpoint::IndexFile;
use super::consumers::Consumers;
use super::damage::DamageLog;
use super::fault::Wait;
use super::handle::{Form, Handle};
use super::home::{Home, SmallFile};
use super::marks::Marks;
use super::roll::block_size;
use super::stream::FileStream;
use super::subjects::{Figures, LastSeen, Subjects};
use super::tail::Tail;
use super::timer_codec;
use super::timers::TimerFile;
use super::view::View;
use crate::block::{self, BlockForm};
use crate::compress;
use crate::index::Index;
use crate::layout::{MessageFile, SOURCES};
use crate::record::{Record, RecordKind};
use crate::recovery::{Progress, Recovered, Request, recover};
use crate::scan::Reason;
use crate::small::checked;

/// Enough of a file to tell whether it is compressed.
const FRONT: usize = 64;

pub(super) fn io_error(error: io::Error) -> StoreError {
    if error.kind() == io::ErrorKind::StorageFull {
        return StoreError::Full(error.to_string());
    }
    StoreError::Io(error.to_string())
}

impl FileStream {
    /// Opens the stream, and makes it where there is none. Reads from the disk.
    pub(super) fn open(
        mut home: Home,
        driver: Arc<Driver>,
        options: StreamOptions,
        promise: dunlin_journal::Promise,
        lease: Lease<StreamId>,
    ) -> Result<Self, StoreError> {
        make_directories(&home).map_err(io_error)?;
        home.unlock()?;
        let home = Arc::new(home);
        let shared = home.shared.clone();
        let disk = shared.env.disk();
        let marks = Marks::new(options.observer.clone());
        let (timers, stamp) = timer_codec::read(disk, &home.messages).map_err(io_error)?;
        let mut described =
            timer_codec::read_file(disk, &home.directory.join("meta.inf")).map_err(io_error)?;
        let metadata = home.metadata(&mut described)?;
        let mut stream = Self {
            block_size: block_size(&options.shape, home.sealing.is_sealed()),
            damage: DamageLog::new(options.observer.clone()),
            timer_file: TimerFile::new(&home, &marks, timers.clone(), stamp.unwrap_or_default()),
            timers,
            timers_before: stamp.unwrap_or(u64::MAX),
            uses_timers: stamp.is_some(),
            index_file: IndexFile::new(&home, &marks),
            meta_file: SmallFile::new(&home, "meta.inf", &marks),
            sum_file: SmallFile::new(&home, "meta.sum", &marks),
            sources_file: SmallFile::new(&home, SOURCES, &marks),
            sources: timer_codec::read_file(disk, &home.directory.join(SOURCES)).map_err(io_error)?,
            shared,
            driver,
            promise,
            options,
            state: StreamState::default(),
            blocks: Blocks::default(),
            tail: Tail::default().into(),
            handed: BlockEnd::default(),
            next_block: 1,
            subjects: Subjects::default(),
            marks,
            metadata,
            described,
            consumers: Consumers::default(),
            staged: Ticket(0),
            submitted: Ticket(0),
            items: Vec::new(),
            can_grow: false,
            erases: None,
            timer_changes: Vec::new(),
            unindexed: 0,
            index_size: 0,
            resident: 0,
            last_is_written: false,
            home,
            _lease: lease,
        };
        stream.recover()?;
        Ok(stream)
    }

    fn recover(&mut self) -> Result<(), StoreError> {
        let indexes = self.find_blocks().map_err(io_error)?;
        self.next_block = indexes.last().map_or(1, |last| last.saturating_add(1));
        let mut lost_end = false;
        if !self.recover_by_index(&indexes)? {
            // It may have been of use for a part.
            self.blocks = Blocks::default();
            self.subjects.clear();
            lost_end = self.recover_by_records()?;
        }
        self.state.subjects = self.subjects.len();
        self.take_up_tail()?;
        if lost_end {
            self.keep_last_sequence()?;
            self.change();
        }
        let blocks = &self.blocks;
        self.timers.retain(|sequence| {
            let block = blocks.get(blocks.find(sequence));
            block.is_some_and(|block| block.holds(sequence))
        });
        // Without the files there may be timers that nobody wrote down.
        let asked_for = self.blocks.iter().any(|block| block.ttls + block.schedules > 0);
        self.timers_before = match self.uses_timers || !asked_for {
            true => self.timers_before.min(self.state.last + 1),
            false => 0,
        };
        self.find_first_time()
    }

    /// The numbers of the blocks that are there, rising.
    fn find_blocks(&self) -> io::Result<Vec<u32>> {
        let mut indexes: Vec<u32> = self
            .shared
            .env
            .disk()
            .list(&self.home.messages)?
            .iter()
            .filter_map(|path| match MessageFile::of(path.file_name()?.to_str()?) {
                MessageFile::Block(index) => Some(index),
                _ => None,
            })
            .collect();
        indexes.sort_unstable();
        Ok(indexes)
    }

    /// A block's file, and how many bytes of records it has.
    fn handle(&self, index: u32) -> Result<(Arc<Handle>, u64), StoreError> {
        let path = self.home.messages.join(format!("{index}.blk"));
        let file = self
            .shared
            .env
            .disk()
            .open(&path, OpenMode::Read)
            .map_err(io_error)?;
        let file_length = file.len().map_err(io_error)?;
        let mut front = [0; FRONT];
        let count = file.read_at(&mut front, 0).map_err(io_error)?;
        let kind = self.home.form(index)?;
        let front = front.get_mut(..count).unwrap_or_default();
        if let Some(cipher) = &kind.cipher {
            cipher.apply(0, front);
        }
        let front = &*front;
        let form = BlockForm {
            file_length,
            length: match compress::is_compressed(front) {
                true => compress::announced_length(front).unwrap_or(file_length),
                false => file_length,
            },
            is_compressed: compress::is_compressed(front),
            ..BlockForm::default()
        };
        Ok((self.handle_as(index, kind, &form), form.length))
    }

    fn handle_as(&self, index: u32, kind: Form, form: &BlockForm) -> Arc<Handle> {
        Handle::new(
            self.shared.clone(),
            &self.home.messages,
            index,
            Form {
                compressed: form.is_compressed,
                ..kind
            },
            form.file_length,
            self.marks.clone(),
        )
    }

    /// Goes on at the end of the last block, if it can grow: it is plain and ends with a record. Encrypted streams begin
    /// a new one: of what a crash tore, the disk may still have bytes that were enciphered at the same place (P4).
    fn take_up_tail(&mut self) -> Result<(), StoreError> {
        let Some(block) = self.blocks.last() else {
            return Ok(());
        };
        let end = self
            .view_of(block, block.length)
            .end()
            .map_err(|fault| fault.of(block.last))?;
        self.can_grow = !block.handle.is_compressed() && end.is_some() && !self.home.sealing.is_sealed();
        self.handed = BlockEnd {
            length: block.length,
            checksum: end.unwrap_or_default(),
        };
        *self.tail.get_mut() = Tail::at(block.length);
        Ok(())
    }

    fn view_of(&self, block: &Block, length: u64) -> View {
        View {
            handle: block.handle.clone(),
            first: block.first,
            last: block.last,
            deleted: block.deleted.clone(),
            length,
            tail_from: length,
            tail: Vec::new(),
        }
    }

    /// Trusts the index for what it knows, and takes what came after it from the records (P2). False: it is of no use.
    fn recover_by_index(&mut self, indexes: &[u32]) -> Result<bool, StoreError> {
        let path = self.home.messages.join("index.db");
        let bytes = timer_codec::read_file(self.shared.env.disk(), &path).map_err(io_error)?;
        let Some(body) = checked(self.home.id.stream(), &bytes) else {
            return Ok(false);
        };
        let Ok(plain) = self.home.sealing.content(body) else {
            return Ok(false);
        };
        let Ok(index) = Index::decode(&plain) else {
            return Ok(false);
        };
        if index.check().is_err() {
            return Ok(false);
        }
        self.state = index.state;
        // A block that it does not know may hold removed messages, whose tombstones go one day (P18).
        let known =
            |block: &u32| *block > index.end.block || index.blocks.iter().any(|entry| entry.index == *block);
        if !indexes.iter().all(known) {
            return Ok(false);
        }
        for entry in &index.blocks {
            let is_end = entry.index == index.end.block;
            if !indexes.contains(&entry.index) {
                if entry.messages() > 0 || is_end {
                    return Ok(false);
                }
                continue;
            }
            let (handle, length) = match self.handle(entry.index) {
                Err(StoreError::Locked(_)) => return Ok(false),
                found => found?,
            };
            self.blocks.push(Block {
                handle,
                first: entry.first,
                last: entry.last,
                first_time: entry.first_time,
                last_time: entry.last_time,
                // Of an erased message at its end nobody knows the time.
                latest: match entry.last_time {
                    0 => i64::MAX,
                    last => last.max(entry.first_time),
                },
                deleted: Arc::new(entry.deleted.clone()),
                messages: entry.messages(),
                bytes: entry.bytes,
                length,
                ttls: entry.ttls,
                schedules: entry.schedules,
            });
        }
        for (subject, entry) in index.subjects() {
            let Ok(subject) = Subject::from_wire(subject) else {
                continue;
            };
            let figures = Figures {
                total: entry.messages,
                first_block: entry.first_block,
                last: LastSeen::UpToBlock(entry.last_block),
            };
            if self.options.track_subjects {
                self.subjects.set(subject, figures);
            }
        }
        self.index_size = bytes.len() as u64;
        Ok(self.replay_after(index.end.checksum, indexes)? && self.knows_first())
    }

    /// Whether the first message is where the index says.
    fn knows_first(&self) -> bool {
        let block = self.blocks.get(self.blocks.find(self.state.first));
        let block = block.filter(|_| self.state.messages > 0 && self.state.first_time == 0);
        block.is_none_or(|block| self.view(block).load(self.state.first, Wait::Yes).is_ok())
    }

    /// Takes up records behind the one with this checksum in the last block. False: there is none.
    fn replay_after(&mut self, checksum: [u8; 8], indexes: &[u32]) -> Result<bool, StoreError> {
        let Some(end) = self.blocks.last().cloned() else {
            return Ok(false);
        };
        let mut later = Vec::new();
        let mut found = checksum == [0; 8];
        let mut view = self.view_of(&end, end.length);
        if found
            || view
                .last_bytes(8, Wait::Yes)
                .map_err(|fault| fault.of(end.last))?
                != checksum
        {
            let key = end.handle.form().key.clone();
            let visit = &mut |record: &Record<'_>, at: (u64, u64)| {
                if found {
                    later.push(Later::of(record, at, end.index()));
                } else {
                    let mut bytes = Vec::new();
                    found = record.encode(&key, &mut bytes).is_ok_and(|sum| sum == checksum);
                }
            };
            view.each_record(visit).map_err(|fault| fault.of(end.last))?;
            if !found {
                return Ok(false);
            }
        }
        for later in later {
            if !self.redo(later)? {
                return Ok(false);
            }
        }
        for &index in indexes.iter().filter(|index| **index > end.index()) {
            let (handle, length) = match self.handle(index) {
                Err(StoreError::Locked(_)) => return Ok(false),
                found => found?,
            };
            let mut block = Block::empty(handle, self.state.last, self.state.last_time);
            block.length = length;
            view = self.view_of(&block, length);
            let mut later = Vec::new();
            view.each_record(&mut |record, at| later.push(Later::of(record, at, index)))
                .map_err(|fault| fault.of(block.last))?;
            self.blocks.push(block);
            for later in later {
                if !self.redo(later)? {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    /// Takes up a record that the index does not know. It is in the last block. False: it tells of a message that was
    /// erased, so nobody knows any more how it counted.
    fn redo(&mut self, later: Later) -> Result<bool, StoreError> {
        self.unindexed += later.length;
        let storage = self.options.storage;
        match later.kind {
            RecordKind::Tombstone => {
                let at = self.blocks.find(later.sequence);
                let holding = self.blocks.get(at).filter(|block| block.holds(later.sequence));
                if let Some(block) = holding {
                    let Ok(message) = self.view(block).load(later.sequence, Wait::Yes) else {
                        return Ok(false);
                    };
                    let size = message.size(storage);
                    let timed = super::append::timed(message.headers());
                    let subject = message.subject();
                    self.uncount(at, later.sequence, Some(subject), size, timed);
                }
                if later.sequence > self.state.last {
                    self.end_with(later.sequence, later.time);
                } else if later.sequence == self.state.last {
                    self.state.last_time = later.time;
                    if let Some(block) = self.blocks.last_mut() {
                        block.last_time = later.time;
                    }
                }
            }
            // The index is of before a cut.
            RecordKind::Message if later.sequence <= self.state.last => return Ok(false),
            _ if later.sequence <= self.state.last => {}
            RecordKind::Message => {
                let first = self.state.last + 1;
                let size = storage.message_size(&later.subject, &later.headers, &later.payload);
                let (ttl, schedule) = super::append::timed(&later.headers);
                let tracked = self.options.track_subjects;
                let Some(block) = self.blocks.last_mut() else {
                    return Ok(true);
                };
                if block.messages == 0 {
                    (block.first, block.first_time) = (later.sequence, later.time);
                } else if later.sequence > first {
                    Arc::make_mut(&mut block.deleted).insert_range(first, later.sequence - 1);
                }
                (block.last, block.last_time) = (later.sequence, later.time);
                block.latest = block.latest.max(later.time);
                block.messages += 1;
                block.bytes += size;
                block.ttls += u64::from(ttl);
                block.schedules += u64::from(schedule);
                if tracked && let Ok(subject) = Subject::from_wire(&later.subject) {
                    self.subjects.added(subject, later.block, later.sequence);
                }
                if self.state.messages == 0 {
                    (self.state.first, self.state.first_time) = (later.sequence, later.time);
                }
                (self.state.last, self.state.last_time) = (later.sequence, later.time);
                self.state.messages += 1;
                self.state.bytes += size;
            }
            _ => self.end_with(later.sequence, later.time),
        }
        Ok(true)
    }

    /// Sequences up to this one hold no message, from the last on.
    fn end_with(&mut self, sequence: u64, time: i64) {
        let first = self.state.last + 1;
        if let Some(block) = self.blocks.last_mut() {
            if block.messages == 0 {
                block.first = sequence + 1;
            } else {
                Arc::make_mut(&mut block.deleted).insert_range(first, sequence);
            }
            (block.last, block.last_time) = (sequence, time);
            block.latest = block.latest.max(time);
        }
        (self.state.last, self.state.last_time) = (sequence, time);
        if self.state.messages == 0 {
            self.state.first = sequence + 1;
        }
    }

    /// Reads every record. True: the last sequence is known, and no record has it any more.
    fn recover_by_records(&mut self) -> Result<bool, StoreError> {
        let env = self.shared.env.clone();
        let id = self.home.id.clone();
        let progress = move |progress: Progress| {
            // A line for each GiB or so.
            if progress.blocks.is_multiple_of(128) {
                env.log().notice(format_args!(
                    "Recovering {id}: {} of {} blocks, {} messages",
                    progress.blocks, progress.of_blocks, progress.messages
                ));
            }
        };
        let request = Request {
            owner: self.home.owner(),
            track_subjects: self.options.track_subjects,
            threads: self.shared.env.shards().len().max(1),
            progress: Box::new(progress),
        };
        let recovered = recover(&self.shared.env, request).map_err(io_error)?;
        self.take_up(recovered)
    }

    fn take_up(&mut self, mut recovered: Recovered) -> Result<bool, StoreError> {
        let known = std::mem::replace(&mut self.state, recovered.state);
        self.unindexed = u64::MAX / 2;
        // With a block's key its sequences are lost, and those at the end are not given again (STORE-45).
        let lost_key = recovered
            .damage
            .iter()
            .any(|damage| matches!(damage.reason, Reason::Key(_)));
        let end = match lost_key {
            true => recovered.state.last.max(known.last),
            false => recovered.state.last,
        };
        let mut next = end + 1;
        for damage in recovered.damage.iter_mut().filter(|damage| damage.after == 0) {
            let at = recovered
                .blocks
                .partition_point(|block| block.index < damage.block);
            let mut before = recovered.blocks.iter().take(at).rev();
            let before = before.find(|block| block.is_placed());
            damage.after = before.map_or(0, |block| block.last);
        }
        let mut damage = recovered.damage;
        for block in recovered.blocks.into_iter().rev() {
            let first = block.first;
            damage.retain(|damage| damage.block != block.index || !self.note(damage, next));
            // A file without a record stays where it is, and is of no use.
            if !block.is_placed() {
                continue;
            }
            next = first;
            let handle = self.handle_as(block.index, self.home.form(block.index)?, &block.form);
            self.blocks.push_front(Block {
                handle,
                first,
                last: block.last,
                first_time: block.first_time,
                last_time: block.last_time,
                latest: block.latest,
                deleted: Arc::new(block.deleted),
                messages: block.messages,
                bytes: block.bytes,
                length: block.form.length,
                ttls: block.ttls,
                schedules: block.schedules,
            });
        }
        let _ = recovered.subjects.visit_from(b"", |subject, totals| {
            self.subjects.set(
                subject,
                Figures {
                    total: totals.messages,
                    first_block: totals.first_block,
                    last: LastSeen::At(totals.last),
                },
            );
            ControlFlow::<()>::Continue(())
        });
        let lost_end = end > self.state.last;
        if lost_end {
            self.end_with(end, known.last_time);
        }
        Ok(lost_end)
    }

    /// Tells of damage that lost messages; those at a block's end are before `next`. Behind the last message it is what
    /// a crash tore of writes that nobody was told of.
    fn note(&self, damage: &block::Damage, next: u64) -> bool {
        let lost = damage.sequences().unwrap_or(damage.after.saturating_add(1)..next);
        if !lost.is_empty() {
            self.damage.note(Damage {
                first: lost.start,
                last: lost.end - 1,
                bytes: damage.range.end.saturating_sub(damage.range.start),
                detail: damage.to_string(),
            });
        }
        true
    }
}

/// A record behind what the index knows.
struct Later {
    block: u32,
    kind: RecordKind,
    sequence: u64,
    time: i64,
    subject: Vec<u8>,
    headers: Vec<u8>,
    payload: Vec<u8>,
    length: u64,
}

impl Later {
    fn of(record: &Record<'_>, (start, end): (u64, u64), block: u32) -> Self {
        Self {
            block,
            kind: record.kind,
            sequence: record.sequence,
            time: record.time,
            subject: record.subject.to_vec(),
            headers: record.headers.to_vec(),
            payload: record.payload.to_vec(),
            length: end - start,
        }
    }
}

fn make_directories(home: &Home) -> io::Result<()> {
    let disk = home.shared.env.disk();
    if disk.list(&home.messages).is_ok_and(|found| !found.is_empty()) {
        return Ok(());
    }
    disk.create_dir(&home.messages)?;
    disk.create_dir(&home.directory.join("obs"))?;
    disk.sync_dir(&home.directory)?;
    // Names of new directories survive when each parent is synced.
    for parent in home.directory.ancestors().skip(1).take(3) {
        disk.sync_dir(parent)?;
    }
    Ok(())
}
