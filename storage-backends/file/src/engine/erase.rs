//! Overwriting a message's record where it lies, or with all of its block where that is compressed (STORE-100).
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
use super::rewrite;
use super::stream::FileStream;
use crate::compress;
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
        self.handle.overwrite(&self.bytes, self.offset)?;
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
    let contents = file.read_all()?;
    let block = compress::unpack(&contents).ok();
    let is_compressed = block.is_some() && compress::is_compressed(&contents);
    let block = block
        .filter(|_| is_compressed)
        .map_or(contents, |unpacked| unpacked.block);
    let there = usize::try_from(offset)
        .ok()
        .and_then(|offset| block.get(offset..)?.get(..record.len()));
    let same = there.is_some_and(|there| match (Head::read(there), Head::read(record)) {
        (Ok(old), Ok(new)) => (old.length, old.sequence) == (new.length, new.sequence),
        // A write that a crash tore.
        _ => true,
    });
    if !same {
        return Ok(Some(format!(
            "{}: another record is at byte {offset}",
            path.display()
        )));
    }
    if is_compressed {
        let plain = rewrite::patched(block, record, offset)?;
        let aside = rewrite::write_aside(disk, &path, &plain)?;
        disk.rename(&aside, &path)?;
        disk.sync_dir(messages)?;
        rewrite::wipe(&*file)?;
    } else {
        file.write_at(record, offset)?;
        file.sync()?;
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{RecordKey, RecordKind};
    use dunlin_api::MemoryDisk;

    // STORE-100: a crash may leave the compressed block, or the plain one; both become the same.
    #[test]
    fn an_erasure_of_a_compressed_block_is_done_again() {
        let (disk, key) = (MemoryDisk::default(), RecordKey::new("S", 1));
        let mut block = Vec::new();
        let mut offsets = Vec::new();
        for sequence in 1..=3 {
            offsets.push(block.len());
            let record = Record {
                kind: RecordKind::Message,
                sequence,
                time: 5,
                subject: b"s",
                headers: b"",
                payload: b"secret secret secret secret",
            };
            record.encode(&key, &mut block).unwrap();
        }
        let (from, to) = (offsets[1], offsets[2]);
        let mut erased = Vec::new();
        Record::erased(2, &vec![7; to - from - MIN_LENGTH])
            .encode(&key, &mut erased)
            .unwrap();
        let mut order = 1_u32.to_le_bytes().to_vec();
        order.extend_from_slice(&(from as u64).to_le_bytes());
        order.extend_from_slice(&erased);
        let mut expected = block.clone();
        expected[from..to].copy_from_slice(&erased);

        let messages = Path::new("/msgs");
        let path = messages.join("1.blk");
        disk.create_dir(messages).unwrap();
        disk.replace(&path, &compress::compress(&block).unwrap()).unwrap();
        let old = disk.open(&path, OpenMode::Read).unwrap();
        for _ in 0..2 {
            assert_eq!(replay(&disk, messages, &order).unwrap(), None);
            let file = disk.open(&path, OpenMode::Read).unwrap();
            assert_eq!(file.read_all().unwrap(), expected);
        }
        assert!(old.read_all().unwrap().iter().all(|byte| *byte == 0));
        let other = [&order[..4], &[0; 8], &order[12..]].concat();
        assert!(
            replay(&disk, messages, &other).unwrap().is_some(),
            "sequence 1 stays"
        );
    }
}
