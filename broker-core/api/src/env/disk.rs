//! Files. Every call waits for the disk, so only start-up and storage threads call them.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
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

    /// The entries of a directory, sorted by name.
    ///
    /// # Errors
    /// What the file system says.
    fn list(&self, path: &Path) -> io::Result<Vec<PathBuf>>;

    /// Renames, replacing the target at once.
    ///
    /// # Errors
    /// What the file system says.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

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
        let file = self.open(path, OpenMode::Read)?;
        let length = usize::try_from(file.len()?).map_err(io::Error::other)?;
        let mut bytes = vec![0; length];
        let mut filled = 0;
        while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match file.read_at(rest, filled as u64)? {
                0 => break,
                n => filled += n,
            }
        }
        bytes.truncate(filled);
        Ok(bytes)
    }

    /// Replaces a file so that a crash leaves either the old or the new content: write aside, sync, rename, sync
    /// the directory.
    ///
    /// # Errors
    /// What the file system says; the old content is then still there.
    fn replace(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let mut aside = path.as_os_str().to_owned();
        aside.push(".new");
        let aside = PathBuf::from(aside);
        let file = self.open(&aside, OpenMode::ReadWrite)?;
        file.set_len(0)?;
        file.write_at(bytes, 0)?;
        file.sync()?;
        self.rename(&aside, path)?;
        self.sync_dir(path.parent().unwrap_or(Path::new(".")))
    }
}

/// An open file.
pub trait DiskFile: Send + Sync + 'static {
    /// Reads at `offset`; fewer bytes than asked for at the end.
    ///
    /// # Errors
    /// What the file system says.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Writes all of `bytes` at `offset` (at the end, for [`OpenMode::Append`]).
    ///
    /// # Errors
    /// What the file system says; part of the bytes may be there.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Returns when the content survives power loss.
    ///
    /// # Errors
    /// What the file system says. The bytes must then be taken as lost: a second sync proves nothing.
    fn sync(&self) -> io::Result<()>;

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
}
