//! Blocks that are taken from the disk for good.
//!
//! The intent goes to the journal and is durable before anything is touched; the files change when the journal lets go
//! of it, at a checkpoint, or in replay after a crash. A block is taken only as long as it was, so that replay spares
//! what another server wrote in the meantime.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use dunlin_api::{Disk, OpenMode};
use dunlin_journal::{JournalError, Target};

use super::handle::Handle;
use super::marks::Marks;
use crate::layout::{INDEX, MessagesDir};

/// Its name in the journal.
pub(super) const NAME: &str = "destroy.msgs";

/// One block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Doomed {
    pub(super) block: u32,
    /// Bytes of its file, when all of them are there.
    pub(super) length: u64,
}

/// What becomes of an index that was written before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OldIndex {
    /// It tells by itself that blocks are missing.
    Stays,
    /// It would bring back an end of the stream that is gone.
    Void,
}

/// Blocks that are void.
pub(super) struct Destroy {
    blocks: Vec<(Arc<Handle>, Doomed)>,
    index: OldIndex,
    marks: Arc<Marks>,
    done: AtomicBool,
}

impl Destroy {
    /// Takes these.
    pub(super) fn new(blocks: Vec<(Arc<Handle>, Doomed)>, index: OldIndex, marks: &Arc<Marks>) -> Arc<Self> {
        Arc::new(Self {
            blocks,
            index,
            marks: marks.clone(),
            done: AtomicBool::new(false),
        })
    }

    /// What the journal keeps of it.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = vec![u8::from(self.index == OldIndex::Void)];
        for (_, doomed) in &self.blocks {
            out.extend_from_slice(&doomed.block.to_le_bytes());
            out.extend_from_slice(&doomed.length.to_le_bytes());
        }
        out
    }
}

impl Target for Destroy {
    fn write(&self, _: &[u8], _: u64) -> io::Result<()> {
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        if self.done.load(Ordering::Acquire) {
            return Ok(());
        }
        for (handle, _) in &self.blocks {
            handle.remove()?;
        }
        if let Some((handle, _)) = self.blocks.first()
            && let Some(directory) = handle.path().parent()
        {
            let disk = handle.shared().env.disk();
            if self.index == OldIndex::Void {
                remove(disk, &directory.join(INDEX))?;
            }
            disk.sync_dir(directory)?;
        }
        self.done.store(true, Ordering::Release);
        Ok(())
    }

    fn failed(&self, error: &JournalError) {
        self.marks.fail(error);
    }
}

fn remove(disk: &dyn Disk, path: &Path) -> io::Result<()> {
    match disk.remove(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Reads the blocks that [`Destroy::encode`] wrote.
pub(super) fn decode(bytes: &[u8]) -> Vec<Doomed> {
    let mut found = Vec::new();
    let mut rest = bytes;
    while let Some((block, behind)) = rest.split_first_chunk()
        && let Some((length, behind)) = behind.split_first_chunk()
    {
        found.push(Doomed {
            block: u32::from_le_bytes(*block),
            length: u64::from_le_bytes(*length),
        });
        rest = behind;
    }
    found
}

/// Does it again after a crash. A reason why not, where a block is not as it was.
pub(super) fn replay(disk: &dyn Disk, messages: &Path, bytes: &[u8]) -> io::Result<Option<String>> {
    let Some((void, blocks)) = bytes.split_first() else {
        return Ok(Some("an order that cannot be read".to_owned()));
    };
    let mut taken = Vec::new();
    if *void != 0 {
        taken.push(messages.join(INDEX));
    }
    let messages_dir = MessagesDir::found(messages.to_owned());
    for doomed in decode(blocks) {
        let (path, key) = (messages_dir.block(doomed.block), messages_dir.key(doomed.block));
        let file = match disk.open(&path, OpenMode::Read) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                taken.push(key);
                continue;
            }
            Err(error) => return Err(error),
        };
        let length = file.len()?;
        if length > doomed.length {
            return Ok(Some(format!(
                "{} has {length} bytes, and had {}",
                path.display(),
                doomed.length
            )));
        }
        taken.extend([path, key]);
    }
    for path in taken {
        remove(disk, &path)?;
    }
    disk.sync_dir(messages)?;
    Ok(None)
}
