//! Writing the index: what lets the next open do without reading messages (STORE-47 to STORE-52).

use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;

use dunlin_api::StoreError;
use dunlin_journal::{Batch, Item, JournalError, Promise, Rest, Scope, Target};
use parking_lot::Mutex;

use super::fault::Wait;
use super::home::Home;
use super::marks::Marks;
use super::open::io_error;
use super::stream::FileStream;
use super::subjects::LastSeen;
use crate::index::{BlockEntry, IndexEnd, IndexWriter, SubjectEntry};
use crate::layout::INDEX;
use crate::small::with_checksum;

/// Its name in the journal. A consumer's has no dot.
pub(super) const NAME: &str = INDEX;
/// Bytes of records that an index may lack: replaying them costs milliseconds.
const LACKING: u64 = 8 << 20;

/// `index.db`, replaced when the journal lets go of what it tells of.
pub(super) struct IndexFile {
    home: Arc<Home>,
    marks: Arc<Marks>,
    content: Mutex<Option<Vec<u8>>>,
}

impl IndexFile {
    pub(super) fn new(home: &Arc<Home>, marks: &Arc<Marks>) -> Arc<Self> {
        Arc::new(Self {
            home: home.clone(),
            marks: marks.clone(),
            content: Mutex::default(),
        })
    }

    /// Lets go of what was to be written: the stream has been cut since.
    pub(super) fn forget(&self) {
        *self.content.lock() = None;
    }

    /// Replaces the file.
    pub(super) fn write(&self, content: &[u8]) -> io::Result<()> {
        let path = self.home.messages.join(NAME);
        self.home.shared.env.disk().replace(&path, content)
    }
}

impl Target for IndexFile {
    fn write(&self, _: &[u8], _: u64) -> io::Result<()> {
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        // Held meanwhile, so that an older index never comes last.
        let mut content = self.content.lock();
        match content.take() {
            Some(bytes) => self.write(&bytes),
            None => Ok(()),
        }
    }

    fn failed(&self, error: &JournalError) {
        self.marks.fail(error);
    }
}

impl FileStream {
    /// Has the index written where it lacks much. Its cost is in proportion to what was written since.
    pub(super) fn checkpoint_if_due(&mut self) {
        if self.unindexed < LACKING.max(4 * self.index_size) {
            return;
        }
        self.hand_over_tail();
        let Some(bytes) = self.encode_index() else { return };
        self.index_size = bytes.len() as u64;
        self.unindexed = 0;
        *self.index_file.content.lock() = Some(bytes);
        self.items.push(Item::Consumer {
            stream: self.home.incarnation.clone(),
            name: NAME.into(),
            bytes: Arc::default(),
            target: self.index_file.clone(),
        });
        self.count_memory();
    }

    /// Makes everything durable in its own files, so that the journal holds nothing of the stream.
    pub(super) fn finish(mut self) -> Result<(), StoreError> {
        if let Some(error) = self.marks.failure() {
            return Err(error);
        }
        self.submit();
        let stream = self.home.incarnation.clone();
        let driver = self.driver.clone();
        driver.wait(&self.shared.env, |done| {
            driver.journal().submit(Batch {
                items: vec![Item::Forget {
                    stream,
                    scope: Scope::Stream,
                    rest: Rest::Settle,
                }],
                promise: Promise::Durable,
                done,
            });
        })?;
        // A block without a file is none to others.
        while self.blocks.len() > 1 && self.blocks.last().is_some_and(|last| last.length == 0) {
            self.blocks.remove(self.blocks.len() - 1);
        }
        if let Some(last) = self.blocks.last() {
            let end = self.view(last).last_bytes(8, Wait::Yes);
            let end = end.map_err(|fault| fault.of(last.last))?;
            self.handed.checksum = end.last_chunk().copied().unwrap_or_default();
        }
        if let Some(bytes) = self.encode_index() {
            self.index_file.write(&bytes).map_err(io_error)?;
        }
        // Everything is settled, so the files say of now what they say.
        self.timer_file.write().map_err(io_error)?;
        self.shared.cache.resident(self.resident, 0);
        Ok(())
    }

    /// The bytes of `index.db` for what was handed over. `None`: there is no block.
    pub(super) fn encode_index(&self) -> Option<Vec<u8>> {
        let last = self.blocks.last()?;
        let mut writer = IndexWriter::begin(&self.state);
        let _ = self.subjects.visit(&[], |subject, figures| {
            let last_block = match figures.last {
                LastSeen::UpToBlock(index) => index,
                LastSeen::At(sequence) => {
                    let block = self.blocks.get(self.blocks.find(sequence));
                    block.map_or(last.index(), |block| block.index())
                }
            };
            let entry = SubjectEntry {
                messages: figures.total,
                first_block: figures.first_block,
                last_block,
            };
            writer.subject(subject.as_bytes(), entry);
            ControlFlow::<()>::Continue(())
        });
        let mut writer = writer.blocks(self.blocks.len() as u64);
        for block in self.blocks.iter() {
            writer.block(&BlockEntry {
                index: block.index(),
                bytes: block.bytes,
                first: block.first,
                first_time: block.first_time,
                last: block.last,
                last_time: block.last_time,
                ttls: block.ttls,
                schedules: block.schedules,
                deleted: (*block.deleted).clone(),
            });
        }
        let bytes = writer.finish(IndexEnd {
            block: last.index(),
            checksum: self.handed.checksum,
        });
        let body = self.home.sealing.to_disk(bytes, &self.shared.env);
        Some(with_checksum(self.home.id.stream(), body))
    }

    /// Tells the cache what this stream keeps resident, and the log where it is too much for the budget.
    fn count_memory(&mut self) {
        let now = self.subjects.memory_bytes() + self.blocks.memory_bytes();
        let exceeds = self.shared.cache.resident(self.resident, now);
        self.resident = now;
        if exceeds {
            self.shared.env.log().warn(format_args!(
                "the indexes of the streams exceed the store's memory budget; reads will be slower: stream {} has {} MiB",
                self.home.id,
                now >> 20
            ));
        }
    }
}
