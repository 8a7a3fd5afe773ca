//! A block's file: what jobs, the journal's thread and the stream's owner share of it.
//!
//! The file is opened when it is first needed, and closed again when too many are open. It grows, and a record in it is
//! overwritten when its message is erased; no record moves: a rewritten block gets a new handle. Its bytes are given in
//! clear, whatever the file holds.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use bytes::Bytes;
use dunlin_api::{DiskFile, Env, OpenMode};
use dunlin_journal::{JournalError, Target};
use parking_lot::Mutex;

use super::cache::{Cache, Kept, Key, Part};
use super::fault::{Fault, Wait};
use super::marks::Marks;
use super::rewrite;
use super::sparse::Sparse;
use super::tail::Tail;
use crate::compress::unpack;
use crate::crypt::{BlockCipher, KeyRing};
use crate::record::RecordKey;

/// What all streams of a backend share.
pub(super) struct Shared {
    pub(super) env: Env,
    /// The keys that are configured.
    pub(super) keys: Option<KeyRing>,
    pub(super) cache: Cache,
    pub(super) descriptors: Descriptors,
    next_handle: AtomicU64,
}

impl Shared {
    /// A cache of about `cache` bytes, and up to `files` open block files.
    pub(super) fn new(env: Env, keys: Option<KeyRing>, cache: u64, files: usize) -> Arc<Self> {
        Arc::new(Self {
            env,
            keys,
            cache: Cache::new(cache),
            descriptors: Descriptors::new(files),
            next_handle: AtomicU64::new(0),
        })
    }
}

/// What a block's file is.
pub(super) struct Form {
    /// Checksums of its records.
    pub(super) key: RecordKey,
    /// Encryption at rest.
    pub(super) cipher: Option<BlockCipher>,
    /// Whether the file held its records compressed when it was found; it never grows then.
    pub(super) compressed: bool,
}

/// A block's file.
pub(super) struct Handle {
    id: u64,
    index: u32,
    path: PathBuf,
    shared: Arc<Shared>,
    form: Form,
    /// Odd while the file is compressed. Whenever another file takes its name, one more.
    version: AtomicU64,
    /// Held while the file is overwritten or removed.
    rewriting: Mutex<()>,
    /// Bytes of records that the file has, or of the file where it is compressed. Stored after they were written, and loaded before they are read.
    written: AtomicU64,
    file: Mutex<Option<Open>>,
    used: AtomicBool,
    sparse: Mutex<Sparse>,
    /// Of a block that is no longer the last: what the file did not have then.
    rest: Mutex<Option<Tail>>,
    /// The file, or its name, is new: the directory must be synced too.
    new_name: AtomicBool,
    /// The file was removed.
    gone: AtomicBool,
    marks: Arc<Marks>,
    me: Weak<Self>,
}

impl Handle {
    /// The file of block `index` in `directory`, which has `written` bytes of records.
    pub(super) fn new(
        shared: Arc<Shared>,
        directory: &Path,
        index: u32,
        form: Form,
        written: u64,
        marks: Arc<Marks>,
    ) -> Arc<Self> {
        // Only the number must be unique, so relaxed order is right.
        let id = shared.next_handle.fetch_add(1, Ordering::Relaxed);
        Arc::new_cyclic(|me| Self {
            id,
            index,
            path: directory.join(format!("{index}.blk")),
            shared,
            version: AtomicU64::new(u64::from(form.compressed)),
            form,
            rewriting: Mutex::default(),
            written: AtomicU64::new(written),
            file: Mutex::default(),
            used: AtomicBool::new(false),
            sparse: Mutex::default(),
            rest: Mutex::default(),
            new_name: AtomicBool::new(written == 0),
            gone: AtomicBool::new(false),
            marks,
            me: me.clone(),
        })
    }

    /// The block's number.
    pub(super) fn index(&self) -> u32 {
        self.index
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// What it is.
    pub(super) fn form(&self) -> &Form {
        &self.form
    }

    /// Whether the file holds its records compressed.
    pub(super) fn is_compressed(&self) -> bool {
        compressed(self.version())
    }

    fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// What all streams share.
    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Bytes of records that the file has.
    pub(super) fn written(&self) -> u64 {
        self.written.load(Ordering::Acquire)
    }

    /// Where its records are. Held for a look-up or one record.
    pub(super) fn sparse(&self) -> &Mutex<Sparse> {
        &self.sparse
    }

    /// Names a part of it in the cache.
    pub(super) fn part(&self, part: Part) -> Key {
        Key {
            handle: self.id,
            part,
        }
    }

    /// Keeps what the file does not have yet, of a block that is no longer the last.
    pub(super) fn keep_rest(&self, tail: Tail) {
        *self.rest.lock() = Some(tail);
    }

    /// What the file does not have yet, from where on.
    pub(super) fn rest(&self) -> Option<(u64, Vec<Bytes>)> {
        let mut rest = self.rest.lock();
        let tail = rest.as_mut()?;
        if self.written() >= tail.end() {
            *rest = None;
            return None;
        }
        Some((tail.base(), tail.chunks_from(tail.base())))
    }

    /// Removes the file; its directory is for the caller to sync. What comes for it later is dropped.
    pub(super) fn remove(&self) -> io::Result<()> {
        let _alone = self.rewriting.lock();
        self.gone.store(true, Ordering::Release);
        self.close();
        self.remove_file(&self.path)?;
        if self.form.cipher.is_some() {
            self.remove_file(&self.path.with_extension("key"))?;
        }
        Ok(())
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        match self.shared.env.disk().remove(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Closes the file until it is needed again.
    pub(super) fn close(&self) {
        *self.file.lock() = None;
    }

    /// Replaces a record by one that is as long, and returns when it survives power loss and the old one is overwritten.
    /// A compressed file, whose bytes a record shares with others, becomes a plain one that takes its name. A crash
    /// leaves the old file or the new one; when it comes before the old one is overwritten, its bytes stay in what the
    /// disk counts as free.
    pub(super) fn overwrite(&self, record: &[u8], offset: u64) -> io::Result<()> {
        let _alone = self.rewriting.lock();
        if self.gone.load(Ordering::Acquire) {
            return Ok(());
        }
        if !self.is_compressed() {
            self.write(record, offset)?;
            return self.sync();
        }
        if self.form.cipher.is_some() {
            // Other bytes under the same key and place would give both away (P4).
            return Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "a message cannot be erased from a block that is compressed and encrypted: remove it instead",
            ));
        }
        let disk = self.shared.env.disk();
        let old = self.open(OpenMode::ReadWrite)?;
        let plain = rewrite::with_record(&old.read_all()?, record, offset)?;
        let aside = rewrite::write_aside(disk, &self.path, &plain)?;
        {
            // Who opens the file meanwhile waits, so that it knows what it has opened.
            let mut open = self.file.lock();
            disk.rename(&aside, &self.path)?;
            self.written.store(plain.len() as u64, Ordering::Release);
            self.version.fetch_add(1, Ordering::Release);
            *open = None;
        }
        self.shared.cache.remove(self.part(Part::Whole));
        if let Some(directory) = self.path.parent() {
            disk.sync_dir(directory)?;
        }
        rewrite::wipe(&*old)
    }

    /// Records in clear, from one offset to another, through the cache.
    pub(super) fn span(&self, from: u64, to: u64, wait: Wait) -> Result<Bytes, Fault> {
        if self.is_compressed() {
            return self.unkept(from, to, wait);
        }
        let key = self.part(Part::Span(from));
        if let Some(bytes) = self.shared.cache.bytes(key)
            && let Ok(bytes) = cut(&bytes, 0, to - from)
        {
            return Ok(bytes);
        }
        let bytes = self.unkept(from, to, wait)?;
        self.shared.cache.put(key, Kept::Bytes(bytes.clone()));
        Ok(bytes)
    }

    /// [`Handle::span`] for bytes that are not asked for again soon.
    pub(super) fn unkept(&self, from: u64, to: u64, wait: Wait) -> Result<Bytes, Fault> {
        self.steadily(|is_compressed| match is_compressed {
            true => Ok(part(&self.whole(wait)?, from, to)),
            false => self.read(from, to, wait).map(Bytes::from),
        })
    }

    /// Reads again where another file took the name on the way: the old one's bytes are overwritten.
    fn steadily<T>(&self, read: impl Fn(bool) -> Result<T, Fault>) -> Result<T, Fault> {
        loop {
            let version = self.version();
            let result = read(compressed(version));
            if self.version() == version {
                return result;
            }
        }
    }

    /// All records of a compressed block in clear, through the cache.
    fn whole(&self, wait: Wait) -> Result<Bytes, Fault> {
        let key = self.part(Part::Whole);
        if let Some(bytes) = self.shared.cache.bytes(key) {
            return Ok(bytes);
        }
        if wait == Wait::No {
            return Err(Fault::WouldWait);
        }
        let length = self.open(OpenMode::Read)?.len()?;
        let file = self.read(0, length, wait)?;
        let bytes = Bytes::from(unpack(&file).map_err(|error| self.unreadable(&error))?.block);
        // A file that is no longer compressed has no use for it.
        self.shared.cache.put(key, Kept::Bytes(bytes.clone()));
        Ok(bytes)
    }

    /// Bytes of the file, decrypted. A file that is shorter gives fewer.
    pub(super) fn read(&self, from: u64, to: u64, wait: Wait) -> Result<Vec<u8>, Fault> {
        let file = self.open(OpenMode::Read)?;
        let length = usize::try_from(to.saturating_sub(from)).map_err(io::Error::other)?;
        let mut bytes = vec![0; length];
        let mut filled = 0;
        while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            let offset = from + filled as u64;
            let count = match wait {
                Wait::Yes => file.read_at(rest, offset)?,
                Wait::No => file.read_now(rest, offset)?.ok_or(Fault::WouldWait)?,
            };
            if count == 0 {
                break;
            }
            filled += count;
        }
        bytes.truncate(filled);
        if let Some(cipher) = &self.form.cipher {
            cipher.apply(from, &mut bytes);
        }
        Ok(bytes)
    }

    fn unreadable(&self, error: &dyn std::fmt::Display) -> Fault {
        Fault::Damaged(format!("{}: {error}", self.path.display()))
    }

    fn open(&self, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>> {
        // Relaxed: the mark only chooses what to close.
        self.used.store(true, Ordering::Relaxed);
        let mut slot = self.file.lock();
        if let Some(open) = &*slot
            && (open.writable || mode == OpenMode::Read)
        {
            return Ok(open.file.clone());
        }
        // Reading never makes a file.
        let disk = self.shared.env.disk();
        let file = disk.open_with_permissions(&self.path, mode, 0o600)?;
        let file: Arc<dyn DiskFile> = Arc::from(file);
        let known = slot.is_some();
        *slot = Some(Open {
            file: file.clone(),
            writable: mode != OpenMode::Read,
        });
        drop(slot);
        if !known {
            self.shared.descriptors.opened(&self.me);
        }
        Ok(file)
    }
}

impl Target for Handle {
    fn write(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        if self.gone.load(Ordering::Acquire) {
            return Ok(());
        }
        self.open(OpenMode::ReadWrite)?.write_at(bytes, offset)?;
        self.written
            .fetch_max(offset + bytes.len() as u64, Ordering::Release);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        if self.gone.load(Ordering::Acquire) {
            return Ok(());
        }
        self.open(OpenMode::ReadWrite)?.sync()?;
        if self.new_name.swap(false, Ordering::AcqRel)
            && let Some(directory) = self.path.parent()
        {
            let synced = self.shared.env.disk().sync_dir(directory);
            if synced.is_err() {
                self.new_name.store(true, Ordering::Release);
            }
            return synced;
        }
        Ok(())
    }

    fn failed(&self, error: &JournalError) {
        self.marks.fail(error);
    }
}

struct Open {
    file: Arc<dyn DiskFile>,
    writable: bool,
}

/// The block files that are open. When there are too many, one is closed that was not used since it was looked at last.
pub(super) struct Descriptors {
    open: Mutex<std::collections::VecDeque<Weak<Handle>>>,
    most: usize,
}

impl Descriptors {
    fn new(most: usize) -> Self {
        Self {
            open: Mutex::default(),
            most: most.max(1),
        }
    }

    fn opened(&self, handle: &Weak<Handle>) {
        let mut open = self.open.lock();
        open.push_back(handle.clone());
        // Once around clears every mark.
        let mut looks = 2 * open.len();
        while open.len() > self.most && looks > 0 {
            looks -= 1;
            let Some(weak) = open.pop_front() else { break };
            let Some(oldest) = weak.upgrade() else { continue };
            if oldest.used.swap(false, Ordering::Relaxed) || weak.ptr_eq(handle) {
                open.push_back(weak);
            } else {
                oldest.close();
            }
        }
    }
}

fn compressed(version: u64) -> bool {
    version % 2 == 1
}

/// A part of a block, which may be shorter than it said when its file is damaged.
fn part(whole: &Bytes, from: u64, to: u64) -> Bytes {
    let within = |offset: u64| usize::try_from(offset).unwrap_or(usize::MAX).min(whole.len());
    whole.slice(within(from)..within(to.max(from)))
}

/// A part of bytes in which offset `base` is 0.
fn cut(bytes: &Bytes, from: u64, to: u64) -> Result<Bytes, Fault> {
    let range = usize::try_from(from).ok().zip(usize::try_from(to).ok());
    match range {
        Some((from, to)) if from <= to && to <= bytes.len() => Ok(bytes.slice(from..to)),
        _ => Err(Fault::Short),
    }
}
