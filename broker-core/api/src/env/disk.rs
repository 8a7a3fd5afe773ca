//! Files. Every call waits for the disk, so only start-up and storage threads call them.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// How a file is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenMode {
    /// Must exist; reads only.
    Read,
    /// Made if absent; reads and writes.
    ReadWrite,
    /// Made if absent; every write goes to the end.
    Append,
}

/// The file system as the broker sees it; a simulation can tear writes, fail syncs and fill up.
pub trait Disk: Send + Sync + 'static {
    /// Opens a file.
    ///
    /// # Errors
    /// What the file system says.
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Box<dyn DiskFile>>;

    /// [`Disk::open`] with Unix permissions, e.g. `0o600`, for a file that this call makes; the umask lessens them,
    /// and a file that exists keeps its own. A disk that knows no permissions ignores them.
    ///
    /// # Errors
    /// What the file system says.
    fn open_with_permissions(
        &self,
        path: &Path,
        mode: OpenMode,
        permissions: u32,
    ) -> io::Result<Box<dyn DiskFile>> {
        let _ = permissions;
        self.open(path, mode)
    }

    /// Makes a directory and its parents.
    ///
    /// # Errors
    /// What the file system says.
    fn create_dir(&self, path: &Path) -> io::Result<()>;

    /// [`Disk::create_dir`] with Unix permissions, e.g. `0o700`, for the directories that this call makes; otherwise as
    /// [`Disk::open_with_permissions`].
    ///
    /// # Errors
    /// What the file system says.
    fn create_dir_with_permissions(&self, path: &Path, permissions: u32) -> io::Result<()> {
        let _ = permissions;
        self.create_dir(path)
    }

    /// The entries of a directory, sorted by name.
    ///
    /// # Errors
    /// What the file system says.
    fn list(&self, path: &Path) -> io::Result<Vec<PathBuf>>;

    /// Renames a file, replacing the target at once, or a directory with all that is in it.
    ///
    /// # Errors
    /// What the file system says.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a directory and everything in it.
    ///
    /// # Errors
    /// What the file system says; part of it may be gone.
    fn remove_dir(&self, path: &Path) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// What the file system says.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Makes renames, removals and new names in a directory survive power loss.
    ///
    /// # Errors
    /// What the file system says.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;

    /// A whole file.
    ///
    /// # Errors
    /// What the file system says.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.open(path, OpenMode::Read)?.read_all()
    }

    /// Replaces a file so that a crash leaves either the old or the new content: writes `<path>.tmp`, syncs, renames, syncs
    /// the directory. A `.tmp` that a crash left behind is overwritten (STORE-4, STORE-13).
    ///
    /// # Errors
    /// What the file system says; the old content is then still there, unless only the last sync failed.
    fn replace(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        self.replace_with_permissions(path, bytes, 0o666)
    }

    /// [`Disk::replace`] with Unix permissions, which the file then has whatever it had before; otherwise as
    /// [`Disk::open_with_permissions`].
    ///
    /// # Errors
    /// As [`Disk::replace`].
    fn replace_with_permissions(&self, path: &Path, bytes: &[u8], permissions: u32) -> io::Result<()> {
        let mut aside = path.as_os_str().to_owned();
        aside.push(".tmp");
        let aside = PathBuf::from(aside);
        let file = self.open_with_permissions(&aside, OpenMode::ReadWrite, permissions)?;
        file.set_len(0)?;
        file.write_at(bytes, 0)?;
        file.sync()?;
        self.rename(&aside, path)?;
        self.sync_dir(path.parent().unwrap_or(Path::new(".")))
    }
}

/// How a file is going to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Advice {
    /// From one end to the other: read ahead.
    Sequential,
    /// Here and there: do not read ahead.
    Random,
    /// Soon: read it now.
    WillNeed,
    /// Not again: free its memory.
    DontNeed,
}

/// An open file.
pub trait DiskFile: Send + Sync + 'static {
    /// Reads at `offset`; fewer bytes than asked for at the end.
    ///
    /// # Errors
    /// What the file system says.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;

    /// [`DiskFile::read_at`] if that needs no medium; `None` where it might wait. A file system that cannot say so may always
    /// answer `None`.
    ///
    /// # Errors
    /// What the file system says.
    fn read_now(&self, buffer: &mut [u8], offset: u64) -> io::Result<Option<usize>> {
        self.read_at(buffer, offset).map(Some)
    }

    /// All bytes, from the beginning.
    ///
    /// # Errors
    /// What the file system says.
    fn read_all(&self) -> io::Result<Vec<u8>> {
        let length = usize::try_from(self.len()?).map_err(io::Error::other)?;
        let mut bytes = vec![0; length];
        let mut filled = 0;
        while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match self.read_at(rest, filled as u64)? {
                0 => break,
                n => filled += n,
            }
        }
        bytes.truncate(filled);
        Ok(bytes)
    }

    /// Writes all of `bytes` at `offset` (at the end, for [`OpenMode::Append`]).
    ///
    /// # Errors
    /// What the file system says; part of the bytes may be there.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Returns when the content and the length survive power loss (`fdatasync`). The name of a new file needs [`Disk::sync_dir`] too.
    ///
    /// # Errors
    /// What the file system says. The bytes must then be taken as lost: a second sync proves nothing.
    fn sync(&self) -> io::Result<()>;

    /// Fills `length` bytes from `offset` on with zeros that are really written: later syncs of what is written over them touch
    /// no metadata of the file system, which costs more than half of a sync. Cost: as writing.
    ///
    /// # Errors
    /// What the file system says; part of the zeros may be there.
    fn write_zeros(&self, offset: u64, length: u64) -> io::Result<()> {
        let zeros = vec![0; usize::try_from(length.min(1 << 20)).map_err(io::Error::other)?];
        let (mut offset, end) = (offset, offset.saturating_add(length));
        while offset < end {
            let count = (end - offset).min(zeros.len() as u64);
            let part = usize::try_from(count).map_err(io::Error::other)?;
            self.write_at(zeros.get(..part).unwrap_or(&zeros), offset)?;
            offset += count;
        }
        Ok(())
    }

    /// Says how a range will be read; a length of 0 means to the end. Only a hint: it is never an error.
    fn advise(&self, offset: u64, length: u64, advice: Advice) {
        let _ = (offset, length, advice);
    }

    /// Cuts or extends with zeros.
    ///
    /// # Errors
    /// What the file system says.
    fn set_len(&self, length: u64) -> io::Result<()>;

    /// Length in bytes.
    ///
    /// # Errors
    /// What the file system says.
    fn len(&self) -> io::Result<u64>;

    /// Whether there are no bytes in it.
    ///
    /// # Errors
    /// What the file system says.
    fn is_empty(&self) -> io::Result<bool> {
        self.len().map(|length| length == 0)
    }

    /// Claims the file for this process until it is closed.
    ///
    /// # Errors
    /// `WouldBlock` when another process has it.
    fn lock(&self) -> io::Result<()>;
}

/// The machine's file system.
#[derive(Debug, Default)]
pub struct SystemDisk;

struct SystemFile {
    file: File,
    appends: bool,
}

impl Disk for SystemDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Box<dyn DiskFile>> {
        self.open_with_permissions(path, mode, 0o666)
    }

    fn open_with_permissions(
        &self,
        path: &Path,
        mode: OpenMode,
        permissions: u32,
    ) -> io::Result<Box<dyn DiskFile>> {
        let mut options = OpenOptions::new();
        options.mode(permissions);
        match mode {
            OpenMode::Read => options.read(true),
            OpenMode::ReadWrite => options.read(true).write(true).create(true).truncate(false),
            OpenMode::Append => options.append(true).create(true),
        };
        let file = options.open(path)?;
        Ok(Box::new(SystemFile {
            file,
            appends: mode == OpenMode::Append,
        }))
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        std::fs::create_dir_all(path)
    }

    fn create_dir_with_permissions(&self, path: &Path, permissions: u32) -> io::Result<()> {
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(permissions)
            .create(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<PathBuf>> {
        let mut entries = std::fs::read_dir(path)?
            .map(|entry| entry.map(|e| e.path()))
            .collect::<io::Result<Vec<_>>>()?;
        entries.sort();
        Ok(entries)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_dir_all(path)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let path = if path.as_os_str().is_empty() {
            Path::new(".")
        } else {
            path
        };
        OpenOptions::new().read(true).open(path)?.sync_all()
    }

    /// Reads to the end rather than to the length: pipes and `/proc` have none.
    #[expect(clippy::disallowed_methods, reason = "this is the seam")]
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        std::fs::read(path)
    }
}

impl DiskFile for SystemFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file.read_at(buffer, offset)
    }

    #[cfg(target_os = "linux")]
    fn read_now(&self, buffer: &mut [u8], offset: u64) -> io::Result<Option<usize>> {
        use rustix::io::{Errno, ReadWriteFlags};
        let mut parts = [io::IoSliceMut::new(buffer)];
        match rustix::io::preadv2(&self.file, &mut parts, offset, ReadWriteFlags::NOWAIT) {
            Ok(count) => Ok(Some(count)),
            // Not every file system can tell.
            Err(Errno::AGAIN | Errno::OPNOTSUPP) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    #[cfg(not(target_os = "linux"))]
    fn read_now(&self, _: &mut [u8], _: u64) -> io::Result<Option<usize>> {
        Ok(None)
    }

    #[cfg(target_os = "linux")]
    fn advise(&self, offset: u64, length: u64, advice: Advice) {
        let advice = match advice {
            Advice::Sequential => rustix::fs::Advice::Sequential,
            Advice::Random => rustix::fs::Advice::Random,
            Advice::WillNeed => rustix::fs::Advice::WillNeed,
            Advice::DontNeed => rustix::fs::Advice::DontNeed,
        };
        // A hint that the file system does not take is lost, and nothing else.
        let _ = rustix::fs::fadvise(&self.file, offset, std::num::NonZeroU64::new(length), advice);
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        if self.appends {
            return io::Write::write_all(&mut &self.file, bytes);
        }
        self.file.write_all_at(bytes, offset)
    }

    fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.file.set_len(length)
    }

    fn len(&self) -> io::Result<u64> {
        self.file.metadata().map(|data| data.len())
    }

    fn lock(&self) -> io::Result<()> {
        self.file.try_lock().map_err(io::Error::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // A configuration may come from a pipe, and the state of a process from /proc.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_file_without_a_length_is_read_to_its_end() {
        let bytes = SystemDisk.read(Path::new("/proc/self/stat")).unwrap();
        assert!(
            bytes.starts_with(std::process::id().to_string().as_bytes()),
            "{bytes:?}"
        );
    }

    // STORE-4, STORE-13: the reference's own name for what is being written, and it knows to leave it alone.
    #[test]
    fn a_replacement_is_written_aside_under_the_name_of_the_reference() {
        let directory = tempfile::tempdir().unwrap();
        let (path, aside) = (
            directory.path().join("meta.inf"),
            directory.path().join("meta.inf.tmp"),
        );
        SystemDisk.create_dir(&aside).unwrap();
        // The name is taken by a directory, so it cannot be written.
        assert!(SystemDisk.replace(&path, b"new").is_err());
        SystemDisk.remove_dir(&aside).unwrap();
        SystemDisk
            .open(&aside, OpenMode::ReadWrite)
            .unwrap()
            .write_at(b"a longer one of a crash", 0)
            .unwrap();
        SystemDisk.replace(&path, b"new").unwrap();
        assert_eq!(SystemDisk.read(&path).unwrap(), b"new");
        assert_eq!(SystemDisk.list(directory.path()).unwrap(), [path]);
    }

    // STORE-2
    #[test]
    fn what_is_made_for_the_owner_alone_is_nobody_elses() {
        use std::os::unix::fs::PermissionsExt;

        let directory = tempfile::tempdir().unwrap();
        let inner = directory.path().join("a/b");
        SystemDisk.create_dir_with_permissions(&inner, 0o700).unwrap();
        SystemDisk
            .replace_with_permissions(&inner.join("c"), b"x", 0o600)
            .unwrap();
        let permissions = |path: &str| {
            let data = std::fs::metadata(directory.path().join(path)).unwrap();
            data.permissions().mode() & 0o777
        };
        assert_eq!(
            [permissions("a"), permissions("a/b"), permissions("a/b/c")],
            [0o700, 0o700, 0o600]
        );
    }

    #[test]
    fn what_is_in_memory_is_read_without_waiting() {
        let directory = tempfile::tempdir().unwrap();
        let file = SystemDisk
            .open(&directory.path().join("a"), OpenMode::ReadWrite)
            .unwrap();
        file.write_zeros(0, (1 << 20) + 5).unwrap();
        file.write_at(b"here", 3).unwrap();
        assert_eq!(file.len().unwrap(), (1 << 20) + 5);
        let mut buffer = [9; 6];
        // A file system that cannot tell says nothing, which is no error.
        if let Some(count) = file.read_now(&mut buffer, 2).unwrap() {
            assert_eq!(&buffer[..count], b"\0here\0");
        }
    }
}
