//! The store of one stream: plain data of one owner.
//!
//! A change is made in memory at once, and its bytes go to the tail of the last block. [`FileStream::commit`] hands to
//! the journal what is new; the journal's thread moves the durable mark and tells the observer. Nothing here waits for
//! a disk but mutations that must know a message which is not in memory, and closing.
//!
//! The parts: `append` takes messages, `roll` begins blocks, `commit` hands over, `read` loads, `find` searches,
//! `remove` takes messages away one by one, `purge` many, `checkpoint` writes the index, `open` reads it, `damage`
//! keeps what is lost.

use std::cell::RefCell;
use std::sync::Arc;

use dunlin_api::{
    Answer, ConsumerStore, Counting, Damage, Due, Filter, Lease, NewMessage, Purge, Purged, Removal,
    SourcePosition, SourcePositions, Staged, StorageType, StoreError, StoredMessage, StreamId, StreamOptions,
    StreamState, StreamStore, Subject, SubjectState, Ticket, TimerKind,
};
use dunlin_journal::{BlockEnd, Item, Promise};

use super::backend::Driver;
use super::blocks::Blocks;
use super::checkpoint::IndexFile;
use super::consumers::Consumers;
use super::damage::DamageLog;
use super::handle::Shared;
use super::home::{Home, SmallFile};
use super::marks::Marks;
use super::subjects::Subjects;
use super::tail::Tail;
use super::timers::{TimerFile, Timers};

/// A stream in files.
pub(crate) struct FileStream {
    pub(super) home: Arc<Home>,
    pub(super) shared: Arc<Shared>,
    pub(super) driver: Arc<Driver>,
    pub(super) promise: Promise,
    pub(super) options: StreamOptions,
    pub(super) state: StreamState,
    pub(super) blocks: Blocks,
    /// Whether the last block takes more records.
    pub(super) can_grow: bool,
    /// Bytes at which a block is full.
    pub(super) block_size: u64,
    /// No block has this number or a higher one, and none had.
    pub(super) next_block: u32,
    /// The end of the last block. Readers freeze it, so that they may share its memory.
    pub(super) tail: RefCell<Tail>,
    /// The last block as the journal knows it: what follows is conditional on it.
    pub(super) handed: BlockEnd,
    /// Whether a record of the last block has the last sequence.
    pub(super) last_is_written: bool,
    /// Empty where the stream does not track subjects.
    pub(super) subjects: Subjects,
    pub(super) timers: Timers,
    pub(super) timer_file: Arc<TimerFile>,
    /// Whether there are files of timers, or are to be.
    pub(super) uses_timers: bool,
    /// Up to here all timers were there when the stream was opened.
    pub(super) timers_before: u64,
    /// Changes of timers that were not handed over.
    pub(super) timer_changes: Vec<u8>,
    pub(super) index_file: Arc<IndexFile>,
    pub(super) meta_file: Arc<SmallFile>,
    pub(super) sum_file: Arc<SmallFile>,
    pub(super) metadata: Vec<u8>,
    /// The metadata as it is to lie on the disk.
    pub(super) described: Vec<u8>,
    pub(super) sources_file: Arc<SmallFile>,
    /// What `sources.db` is to hold.
    pub(super) sources: Vec<u8>,
    pub(super) consumers: Consumers,
    pub(super) marks: Arc<Marks>,
    pub(super) damage: Arc<DamageLog>,
    /// Changes until now.
    pub(super) staged: Ticket,
    /// Changes that were handed over.
    pub(super) submitted: Ticket,
    /// What goes to the journal before the tail: of blocks that were rolled, and small files.
    pub(super) items: Vec<Item>,
    /// The last change that overwrites a message.
    pub(super) erases: Option<Ticket>,
    /// Bytes that the last index does not know of.
    pub(super) unindexed: u64,
    /// Bytes of the last index.
    pub(super) index_size: u64,
    /// What the cache was last told of the memory that this stream keeps.
    pub(super) resident: u64,
    pub(super) _lease: Lease<StreamId>,
}

impl StreamStore for FileStream {
    fn storage(&self) -> StorageType {
        self.options.storage
    }

    fn state(&self) -> StreamState {
        self.state
    }

    fn stage(&mut self, message: &NewMessage<'_>) -> Result<Staged, StoreError> {
        self.append(message)
    }

    fn skip(&mut self, count: u64, time: Option<i64>) -> Result<(), StoreError> {
        self.skip_sequences(count, time)
    }

    fn staged(&self) -> Ticket {
        self.staged
    }

    fn durable(&self) -> Ticket {
        self.marks.durable()
    }

    fn commit(&mut self, ticket: Ticket) -> Result<Ticket, StoreError> {
        self.commit_to(ticket)
    }

    fn load(&self, sequence: u64) -> Answer<Option<StoredMessage>> {
        self.load_at(sequence)
    }

    fn at_or_after(&self, from: u64) -> Option<u64> {
        self.blocks.at_or_after(from).map(|(_, sequence)| sequence)
    }

    fn at_or_before(&self, to: u64) -> Option<u64> {
        self.last_up_to(to)
    }

    fn remove(&mut self, sequence: u64, removal: Removal) -> Result<Option<u64>, StoreError> {
        self.remove_at(sequence, removal)
    }

    fn truncate(&mut self, sequence: u64) -> Result<Purged, StoreError> {
        self.truncate_to(sequence)
    }

    fn set_timer(&mut self, kind: TimerKind, sequence: u64, at: Option<i64>) -> Result<(), StoreError> {
        self.move_timer(kind, sequence, at)
    }

    fn due(&self, kind: TimerKind, until: i64, most: usize) -> Vec<Due> {
        self.timers.due(kind, until, most)
    }

    fn metadata(&self) -> &[u8] {
        &self.metadata
    }

    fn set_metadata(&mut self, metadata: &[u8]) -> Result<(), StoreError> {
        self.replace_metadata(metadata);
        Ok(())
    }

    fn consumer(&mut self, name: &str) -> Result<Box<dyn ConsumerStore>, StoreError> {
        self.open_consumer(name)
    }

    fn consumers(&self) -> Vec<String> {
        self.list_consumers()
    }

    fn delete_consumer(&mut self, name: &str) -> Result<bool, StoreError> {
        self.remove_consumer(name)
    }

    fn timers_before(&self) -> u64 {
        self.timers_before
    }

    fn next(&self, filters: &[Filter<'_>], from: u64) -> Answer<Option<StoredMessage>> {
        self.find_next(filters, from)
    }

    fn previous(&self, filters: &[Filter<'_>], to: u64) -> Answer<Option<StoredMessage>> {
        self.find_previous(filters, to)
    }

    fn sequence_at(&self, time: i64) -> Answer<Option<u64>> {
        self.find_time(time)
    }

    fn filtered_state(&self, filters: &[Filter<'_>], from: u64) -> Answer<SubjectState> {
        self.state_of(filters, from)
    }

    fn each_subject(
        &self,
        filters: &[Filter<'_>],
        visit: &mut dyn FnMut(Subject<'_>, u64) -> bool,
    ) -> Result<(), StoreError> {
        self.show_subjects(filters, visit);
        Ok(())
    }

    fn num_pending(&self, from: u64, filters: &[Filter<'_>], counting: Counting) -> Answer<u64> {
        self.pending(from, filters, counting)
    }

    fn last_sequences(&self, filters: &[Filter<'_>], to: u64, most: usize) -> Answer<Vec<u64>> {
        self.lasts(filters, to, most)
    }

    fn purge(&mut self, purge: &Purge) -> Result<Purged, StoreError> {
        self.purge_many(purge)
    }

    fn compact(&mut self, sequence: u64) -> Result<Purged, StoreError> {
        self.compact_to(sequence)
    }

    fn sources(&self) -> SourcePositions {
        self.source_positions()
    }

    fn set_sources(&mut self, sources: &[SourcePosition]) -> Result<(), StoreError> {
        self.keep_sources(sources);
        Ok(())
    }

    fn damage(&self) -> Vec<Damage> {
        self.damage.all()
    }

    fn close(self: Box<Self>) -> Result<(), StoreError> {
        self.finish()
    }
}
