//! A file system in memory, for simulations: what was not synced is lost in a crash, and every call can be made to fail.
//!
//! It is as unkind as POSIX allows: a new or renamed name survives only when its directory was synced, unsynced writes come through a
//! [torn](MemoryDisk::crash_torn) crash sector by sector in any order, and after a sync that failed the pages look clean and are not. Two liberties: opening a file for
//! writing makes the directories above it, durably, so that tests need not; and a sync of a file that has no name any more is no error.

mod content;
mod faults;
mod tree;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use parking_lot::Mutex;

use self::content::{Content, Space};
pub use self::faults::{DiskCall, DiskEffect, DiskOperation};
use self::faults::{Hook, Hooks};
use self::tree::{Directory, Node};
use super::Rng;
use super::disk::{Disk, DiskFile, OpenMode};

/// Files in memory. Clones share them, so a restarted broker finds what its predecessor left.
#[derive(Clone, Default)]
pub struct MemoryDisk(Arc<Inner>);

#[derive(Default)]
struct Inner {
    root: Mutex<Directory>,
    space: Arc<Space>,
    hooks: Hooks,
    /// Counts crashes: files that were open before one are dead.
    boots: AtomicU64,
}

struct MemoryFile {
    disk: Arc<Inner>,
    boot: u64,
    path: PathBuf,
    content: Arc<Mutex<Content>>,
    mode: OpenMode,
    holds_lock: Mutex<bool>,
}

impl MemoryDisk {
    /// A disk with `files` on it, all durable.
    pub fn with_files<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let disk = Self::default();
        for (path, text) in files {
            let content = Content::durable(text.as_bytes(), disk.0.space.clone());
            disk.0
                .root
                .lock()
                .insert_durable(Path::new(path), Node::file(content));
        }
        disk
    }

    /// Power loss at its kindest: every file and directory goes back to what was last synced. Files that were open are dead, locks are free.
    pub fn crash(&self) {
        self.crash_with(None);
    }

    /// Power loss as a disk may do it: of what was not synced, any sectors of 512 bytes of any writes are there, lengths and names as of some moment since
    /// the last sync; `rng` decides.
    pub fn crash_torn(&self, rng: &mut Rng) {
        self.crash_with(Some(rng));
    }

    /// Forgets what is only in memory and not waiting to be written: after a failed sync, reads then show what the medium has.
    pub fn drop_caches(&self) {
        self.0.root.lock().each_file(&mut Content::drop_cache);
    }

    /// How many bytes of files fit; writes beyond it fail with `StorageFull`, having written what fits. `None`: any number.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.0.space.set_capacity(bytes);
    }

    /// Bytes in all files.
    pub fn used(&self) -> u64 {
        self.0.space.used()
    }

    /// Inverts one bit of a file, on the medium too: bit 0 is the lowest of the first byte.
    ///
    /// # Errors
    /// There is no such file, or it is shorter.
    pub fn flip(&self, path: &Path, bit: u64) -> io::Result<()> {
        let content = self.0.root.lock().file(path)?;
        let mut content = content.lock();
        content
            .flip(bit)
            .ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }

    /// Asks `hook` before every call what becomes of it, in place of an earlier hook. It may use this disk, crash it, or do whatever happens while a slow disk
    /// works. Random faults follow from a generator that it owns.
    pub fn on_call(&self, hook: impl Fn(&DiskCall<'_>) -> DiskEffect + Send + Sync + 'static) {
        self.0.hooks.set(Some(Arc::new(hook) as Hook));
    }

    /// Calls succeed again.
    pub fn heal(&self) {
        self.0.hooks.set(None);
    }

    fn crash_with(&self, rng: Option<&mut Rng>) {
        let mut root = self.0.root.lock();
        self.0.boots.fetch_add(1, Relaxed);
        root.crash(rng);
    }

    /// What every call on names begins with.
    fn named(&self, operation: DiskOperation, path: &Path) -> io::Result<()> {
        self.0.hooks.ask(operation, path, 0, 0).whole()
    }
}

impl Disk for MemoryDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Box<dyn DiskFile>> {
        self.named(DiskOperation::Open, path)?;
        let mut root = self.0.root.lock();
        let content = match (mode, root.file(path)) {
            (OpenMode::ReadWrite | OpenMode::Append, Err(error))
                if error.kind() == io::ErrorKind::NotFound =>
            {
                let content = Arc::new(Mutex::new(Content::empty(self.0.space.clone())));
                root.make_file(path, content.clone())?;
                content
            }
            (_, found) => found?,
        };
        Ok(Box::new(MemoryFile {
            disk: self.0.clone(),
            boot: self.0.boots.load(Relaxed),
            path: path.to_owned(),
            content,
            mode,
            holds_lock: Mutex::new(false),
        }))
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.named(DiskOperation::CreateDir, path)?;
        self.0.root.lock().make_directory(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<PathBuf>> {
        self.named(DiskOperation::List, path)?;
        let names = self.0.root.lock().names(path)?;
        Ok(names.into_iter().map(|name| path.join(name)).collect())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.named(DiskOperation::Rename, from)?;
        self.0.root.lock().rename(from, to)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        self.named(DiskOperation::Remove, path)?;
        self.0.root.lock().remove(path, true)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.named(DiskOperation::Remove, path)?;
        self.0.root.lock().remove(path, false)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.named(DiskOperation::SyncDir, path)?;
        self.0.root.lock().sync(path)
    }
}

impl MemoryFile {
    /// What every call on a file begins with: how many of the `length` bytes may be handled, and whether the call fails then.
    fn call(&self, operation: DiskOperation, offset: u64, length: usize) -> DiskEffect {
        let effect = self.disk.hooks.ask(operation, &self.path, offset, length);
        if self.disk.boots.load(Relaxed) == self.boot {
            effect
        } else {
            DiskEffect::Fail(io::ErrorKind::BrokenPipe)
        }
    }

    fn writable(&self) -> io::Result<()> {
        match self.mode {
            OpenMode::Read => Err(io::ErrorKind::PermissionDenied.into()),
            OpenMode::ReadWrite | OpenMode::Append => Ok(()),
        }
    }
}

impl DiskFile for MemoryFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let count = match self.call(DiskOperation::Read, offset, buffer.len()) {
            DiskEffect::Proceed => buffer.len(),
            DiskEffect::Part(count) => count.min(buffer.len()),
            DiskEffect::Fail(kind) => return Err(kind.into()),
        };
        let buffer = buffer.get_mut(..count).unwrap_or_default();
        self.content.lock().read(buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.writable()?;
        let (bytes, failure) = match self.call(DiskOperation::Write, offset, bytes.len()) {
            DiskEffect::Proceed => (bytes, None),
            DiskEffect::Part(count) => (
                bytes.get(..count).unwrap_or(bytes),
                Some(io::ErrorKind::WriteZero),
            ),
            DiskEffect::Fail(kind) => return Err(kind.into()),
        };
        let mut content = self.content.lock();
        let offset = match self.mode {
            OpenMode::Append => content.len(),
            OpenMode::Read | OpenMode::ReadWrite => offset,
        };
        content.write(bytes, offset)?;
        failure.map_or(Ok(()), |kind| Err(kind.into()))
    }

    /// A sync that fails leaves the pages clean and the medium as it was.
    fn sync(&self) -> io::Result<()> {
        match self.call(DiskOperation::Sync, 0, 0).whole() {
            Ok(()) => self.content.lock().sync(),
            Err(error) => {
                self.content.lock().lose_unsynced();
                return Err(error);
            }
        }
        Ok(())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.writable()?;
        self.call(DiskOperation::SetLen, length, 0).whole()?;
        self.content.lock().set_len(length)
    }

    fn len(&self) -> io::Result<u64> {
        self.call(DiskOperation::Length, 0, 0).whole()?;
        Ok(self.content.lock().len())
    }

    fn lock(&self) -> io::Result<()> {
        self.call(DiskOperation::Lock, 0, 0).whole()?;
        if !self.content.lock().claim() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        *self.holds_lock.lock() = true;
        Ok(())
    }
}

impl Drop for MemoryFile {
    fn drop(&mut self) {
        // After a crash the lock may be somebody else's.
        if *self.holds_lock.lock() && self.disk.boots.load(Relaxed) == self.boot {
            self.content.lock().release();
        }
    }
}

#[cfg(test)]
mod tests;
