//! Handing over to the journal what is to survive.

use std::sync::Arc;

use dunlin_api::{StoreError, Ticket};
use dunlin_journal::{Batch, BlockEnd, Item};

use super::home::{SmallFile, journalled};
use super::stream::FileStream;

impl FileStream {
    pub(super) fn commit_to(&mut self, ticket: Ticket) -> Result<Ticket, StoreError> {
        if let Some(error) = self.marks.failure() {
            return Err(error);
        }
        if ticket > self.submitted {
            self.checkpoint_if_due();
            self.submit();
        }
        Ok(self.marks.durable())
    }

    /// Hands over everything that is staged.
    pub(super) fn submit(&mut self) {
        self.hand_over();
        let ticket = self.staged;
        self.submitted = ticket;
        let items = std::mem::take(&mut self.items);
        if items.is_empty() {
            self.marks.reached(ticket);
            return;
        }
        let erases = std::mem::take(&mut self.erases);
        let (marks, journal) = (self.marks.clone(), self.driver.journal().clone());
        let done = move |result| match result {
            Err(error) => marks.fail(&error),
            Ok(()) => {
                marks.reached(ticket);
                if let Some(last) = erases {
                    // The bytes are overwritten in their block; now wherever else the journal has them.
                    journal.erase(Box::new(move |result| match result {
                        Ok(()) => marks.erased_through(last),
                        Err(error) => marks.fail(&error),
                    }));
                }
            }
        };
        let mut batches = in_batches(items);
        let last = batches.pop().unwrap_or_default();
        for items in batches {
            let marks = self.marks.clone();
            self.driver.journal().submit(Batch {
                items,
                promise: self.promise,
                done: Box::new(move |result| {
                    if let Err(error) = result {
                        marks.fail(&error);
                    }
                }),
            });
        }
        self.driver.journal().submit(Batch {
            items: last,
            promise: self.promise,
            done: Box::new(done),
        });
        let tail = self.tail.get_mut();
        if let Some(block) = self.blocks.last() {
            tail.trim(block.handle.written());
        }
    }

    /// Turns all that is staged into items: before an operation that forgets, which begins a batch of its own, and at
    /// the end.
    pub(super) fn hand_over(&mut self) {
        self.hand_over_tail();
        self.hand_over_timers();
    }

    /// Turns the new bytes of the last block into an item.
    pub(super) fn hand_over_tail(&mut self) {
        let tail = self.tail.get_mut();
        if !tail.has_more() {
            return;
        }
        let Some(block) = self.blocks.last() else { return };
        let (offset, chunks) = tail.hand_over();
        let mut bytes = chunks.concat();
        let mut checksum = [0; 8];
        if let Some(last) = bytes.last_chunk() {
            checksum = *last;
        }
        if let Some(cipher) = &block.handle.form().cipher {
            cipher.apply(offset, &mut bytes);
        }
        let after = BlockEnd {
            length: offset + bytes.len() as u64,
            checksum,
        };
        self.items.push(Item::Block {
            stream: self.home.incarnation.clone(),
            block: block.index(),
            offset,
            before: std::mem::replace(&mut self.handed, after),
            bytes: Arc::new(bytes),
            target: block.handle.clone(),
        });
    }

    /// Replaces a small file with the next commit.
    pub(super) fn put_file(&mut self, file: &Arc<SmallFile>, before: &[u8], content: &[u8]) {
        self.items.push(Item::File {
            stream: self.home.incarnation.clone(),
            name: file.name(),
            bytes: Arc::new(journalled(before, content)),
            target: file.clone(),
        });
    }
}

/// What is forgotten is what earlier batches have brought, so each run of such items begins one. What follows it is in the
/// same, so that an operation is whole after a crash.
fn in_batches(items: Vec<Item>) -> Vec<Vec<Item>> {
    let mut batches = vec![Vec::new()];
    let mut has_content = false;
    for item in items {
        let forgets = matches!(item, Item::Forget { .. });
        if forgets && has_content {
            batches.push(Vec::new());
        }
        has_content = !forgets;
        if let Some(batch) = batches.last_mut() {
            batch.push(item);
        }
    }
    batches
}
