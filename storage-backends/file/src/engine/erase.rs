//! Overwriting a message's record where it lies (STORE-100).
//!
//! The new bytes go to the journal first, so that a crash on the way leaves the old record, the new one, or what replay
//! makes the new one. What the journal still has of the old one is forgotten before, and overwritten after.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use dunlin_api::{Disk, OpenMode, StoreError, Ticket};
use dunlin_journal::{Item, JournalError, Rest, Scope, Target};

use super::fault::Wait;
use super::handle::Handle;
use super::marks::Marks;
use super::read::Failure;
use super::stream::FileStream;
use crate::record::{Head, MIN_LENGTH, Record};

/// Its name in the journal.
pub(super) const NAME: &str = "erase.msgs";

/// One record that is overwritten.
struct Erasure {
    handle: Arc<Handle>,
    offset: u64,
    bytes: Vec<u8>,
    marks: Arc<Marks>,
    done: AtomicBool,
}

impl Erasure {
    /// What the journal keeps of it: block, offset, bytes.
    fn encode(&self) -> Vec<u8> {
        let mut out = self.handle.index().to_le_bytes().to_vec();
        out.extend_from_slice(&self.offset.to_le_bytes());
        out.extend_from_slice(&self.bytes);
        out
    }
}

impl Target for Erasure {
    fn write(&self, _: &[u8], _: u64) -> io::Result<()> {
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        if self.done.load(Ordering::Acquire) {
            return Ok(());
        }
        self.handle.write(&self.bytes, self.offset)?;
        self.handle.sync()?;
        self.done.store(true, Ordering::Release);
        Ok(())
    }

    fn failed(&self, error: &JournalError) {
        self.marks.fail(error);
    }
}

/// Does it again after a crash. A reason why not, where another record is there.
pub(super) fn replay(disk: &dyn Disk, messages: &Path, bytes: &[u8]) -> io::Result<Option<String>> {
    let parts = || {
        let (block, rest) = bytes.split_first_chunk()?;
        let (offset, rest) = rest.split_first_chunk()?;
        Some((u32::from_le_bytes(*block), u64::from_le_bytes(*offset), rest))
    };
    let Some((block, offset, record)) = parts() else {
        return Ok(Some("an erasure that cannot be read".to_owned()));
    };
    let path = messages.join(format!("{block}.blk"));
    let file = match disk.open(&path, OpenMode::Read) {
        Ok(_) => disk.open(&path, OpenMode::ReadWrite)?,
        // With its block, the message is gone too.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut there = vec![0; record.len()];
    let count = file.read_at(&mut there, offset)?;
    let same = match (Head::read(&there), Head::read(record)) {
        (Ok(old), Ok(new)) => (old.length, old.sequence) == (new.length, new.sequence),
        // A write that a crash tore.
        _ => true,
    };
    if count < there.len() || !same {
        return Ok(Some(format!(
            "{}: another record is at byte {offset}",
            path.display()
        )));
    }
    file.write_at(record, offset)?;
    file.sync()?;
    Ok(None)
}

impl FileStream {
    /// Overwrites a message's record with the next commit.
    pub(super) fn overwrite(&mut self, at: usize, sequence: u64) -> Result<(), StoreError> {
        self.hand_over_tail();
        let Some(block) = self.blocks.get(at) else {
            return Ok(());
        };
        let place = self.view(block).place(sequence, Wait::Yes);
        let place = place.map_err(|fault| Failure { fault, sequence }.into_error())?;
        let Some((offset, length)) = place else {
            return Ok(());
        };
        // A record is far below the size of memory.
        let mut random = vec![0; length.saturating_sub(MIN_LENGTH as u64) as usize];
        self.shared.env.fill_secret(&mut random);
        let mut bytes = Vec::new();
        let checksum = Record::erased(sequence, &random)
            .encode(&block.handle.form().key, &mut bytes)
            .map_err(|error| StoreError::Io(error.to_string()))?;
        // Erasing the last record changes how the block ends.
        if at + 1 == self.blocks.len() && offset + length == self.handed.length {
            self.handed.checksum = checksum;
        }
        let target = Arc::new(Erasure {
            handle: block.handle.clone(),
            offset,
            bytes,
            marks: self.marks.clone(),
            done: AtomicBool::new(false),
        });
        let stream = self.home.incarnation.clone();
        self.items.push(Item::Forget {
            stream: stream.clone(),
            scope: Scope::Block(target.handle.index()),
            rest: Rest::Settle,
        });
        self.items.push(Item::Consumer {
            stream,
            name: NAME.into(),
            bytes: Arc::new(target.encode()),
            target,
        });
        // The index tells of a message whose subject nobody can read any more.
        self.unindexed = u64::MAX / 2;
        let ticket = Ticket(self.staged.0 + 1);
        self.marks.erasing(ticket);
        self.erases = Some(ticket);
        Ok(())
    }
}
