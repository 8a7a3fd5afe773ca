//! What a test may do to the calls of a disk.

use std::io;
use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;

/// A kind of call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DiskOperation {
    /// [`Disk::open`](crate::Disk::open)
    Open,
    /// [`Disk::create_dir`](crate::Disk::create_dir)
    CreateDir,
    /// [`Disk::list`](crate::Disk::list)
    List,
    /// [`Disk::rename`](crate::Disk::rename), by the name that goes
    Rename,
    /// [`Disk::remove`](crate::Disk::remove) and [`Disk::remove_dir`](super::Disk::remove_dir)
    Remove,
    /// [`Disk::sync_dir`](crate::Disk::sync_dir)
    SyncDir,
    /// [`DiskFile::read_at`](crate::DiskFile::read_at)
    Read,
    /// [`DiskFile::write_at`](crate::DiskFile::write_at)
    Write,
    /// [`DiskFile::sync`](crate::DiskFile::sync)
    Sync,
    /// [`DiskFile::set_len`](crate::DiskFile::set_len)
    SetLen,
    /// [`DiskFile::len`](crate::DiskFile::len)
    Length,
    /// [`DiskFile::lock`](crate::DiskFile::lock)
    Lock,
}

impl DiskOperation {
    /// Whether it can change the disk: crashes between other calls are all alike.
    pub fn changes(self) -> bool {
        !matches!(self, Self::List | Self::Read | Self::Length | Self::Lock)
    }
}

/// One call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiskCall<'a> {
    /// What is done.
    pub operation: DiskOperation,
    /// To what, under the name by which it was opened.
    pub path: &'a Path,
    /// Where in the file; the new length, for `SetLen`.
    pub offset: u64,
    /// How many bytes.
    pub length: usize,
}

/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiskEffect {
    /// It works.
    Proceed,
    /// It does nothing but fail; a sync also forgets what it should have written.
    Fail(io::ErrorKind),
    /// A read gives this many bytes at most. A write writes this many and fails. Other calls work.
    Part(usize),
}

impl DiskEffect {
    /// For calls that have no parts.
    pub(super) fn whole(self) -> io::Result<()> {
        match self {
            Self::Proceed | Self::Part(_) => Ok(()),
            Self::Fail(kind) => Err(kind.into()),
        }
    }
}

pub(super) type Hook = Arc<dyn Fn(&DiskCall<'_>) -> DiskEffect + Send + Sync>;

/// The hook, if there is one.
#[derive(Default)]
pub(super) struct Hooks(Mutex<Option<Hook>>);

impl Hooks {
    pub(super) fn set(&self, hook: Option<Hook>) {
        *self.0.lock() = hook;
    }

    pub(super) fn ask(
        &self,
        operation: DiskOperation,
        path: &Path,
        offset: u64,
        length: usize,
    ) -> DiskEffect {
        // The hook runs without the lock, since it may use the disk.
        let hook = self.0.lock().clone();
        hook.map_or(DiskEffect::Proceed, |hook| {
            hook(&DiskCall {
                operation,
                path,
                offset,
                length,
            })
        })
    }
}
