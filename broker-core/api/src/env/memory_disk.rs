//! A file system in memory, for simulations: what was not synced is lost in a crash.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use super::disk::{Disk, DiskFile, OpenMode};

/// Files in memory. Clones share them, so a restarted broker finds what its predecessor left.
#[derive(Clone, Default)]
pub struct MemoryDisk {
    files: Arc<Mutex<BTreeMap<PathBuf, Arc<Mutex<Content>>>>>,
}

#[derive(Default)]
struct Content {
    bytes: Vec<u8>,
    /// What survives [`MemoryDisk::crash`].
    synced: Vec<u8>,
    locked: bool,
}

struct MemoryFile {
    content: Arc<Mutex<Content>>,
    appends: bool,
    holds_lock: Mutex<bool>,
}

impl MemoryDisk {
    /// A disk with `files` on it.
    pub fn with_files<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let disk = Self::default();
        for (path, text) in files {
            let content = Content {
                bytes: text.into(),
                synced: text.into(),
                locked: false,
            };
            disk.files
                .lock()
                .insert(PathBuf::from(path), Arc::new(Mutex::new(content)));
        }
        disk
    }

    /// Power loss: every file goes back to its last synced content.
    pub fn crash(&self) {
        for content in self.files.lock().values() {
            let mut content = content.lock();
            content.bytes = content.synced.clone();
            content.locked = false;
        }
    }

    fn find(&self, path: &Path) -> io::Result<Arc<Mutex<Content>>> {
        self.files
            .lock()
            .get(path)
            .cloned()
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl Disk for MemoryDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Box<dyn DiskFile>> {
        let content = match mode {
            OpenMode::Read => self.find(path)?,
            OpenMode::ReadWrite | OpenMode::Append => {
                self.files.lock().entry(path.to_owned()).or_default().clone()
            }
        };
        Ok(Box::new(MemoryFile {
            content,
            appends: mode == OpenMode::Append,
            holds_lock: Mutex::new(false),
        }))
    }

    fn create_dir(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn list(&self, path: &Path) -> io::Result<Vec<PathBuf>> {
        let files = self.files.lock();
        let mut entries: Vec<PathBuf> = files
            .keys()
            .filter_map(|file| file.strip_prefix(path).ok()?.components().next())
            .map(|first| path.join(first))
            .collect();
        entries.dedup();
        Ok(entries)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut files = self.files.lock();
        let moved: Vec<PathBuf> = files
            .keys()
            .filter(|file| file.starts_with(from))
            .cloned()
            .collect();
        if moved.is_empty() {
            return Err(io::ErrorKind::NotFound.into());
        }
        for old in moved {
            let below = old.strip_prefix(from).map_err(io::Error::other)?;
            // Joining nothing would add a slash.
            let new = if below.as_os_str().is_empty() {
                to.to_owned()
            } else {
                to.join(below)
            };
            if let Some(content) = files.remove(&old) {
                files.insert(new, content);
            }
        }
        Ok(())
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        self.files.lock().retain(|file, _| !file.starts_with(path));
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.files
            .lock()
            .remove(path)
            .map(drop)
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn sync_dir(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }
}

impl DiskFile for MemoryFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let content = self.content.lock();
        let start = usize::try_from(offset).map_err(io::Error::other)?;
        let rest = content.bytes.get(start..).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        for (to, from) in buffer.iter_mut().zip(rest) {
            *to = *from;
        }
        Ok(count)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut content = self.content.lock();
        let start = if self.appends {
            content.bytes.len()
        } else {
            usize::try_from(offset).map_err(io::Error::other)?
        };
        let end = start
            .checked_add(bytes.len())
            .ok_or(io::ErrorKind::FileTooLarge)?;
        if content.bytes.len() < end {
            content.bytes.resize(end, 0);
        }
        content.bytes.splice(start..end, bytes.iter().copied());
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let mut content = self.content.lock();
        content.synced = content.bytes.clone();
        Ok(())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        let length = usize::try_from(length).map_err(io::Error::other)?;
        self.content.lock().bytes.resize(length, 0);
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.content.lock().bytes.len() as u64)
    }

    fn lock(&self) -> io::Result<()> {
        let mut content = self.content.lock();
        if content.locked {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        content.locked = true;
        *self.holds_lock.lock() = true;
        Ok(())
    }
}

impl Drop for MemoryFile {
    fn drop(&mut self) {
        if *self.holds_lock.lock() {
            self.content.lock().locked = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crash_keeps_what_was_synced_and_nothing_else() {
        let disk = MemoryDisk::default();
        let file = disk.open(Path::new("a"), OpenMode::ReadWrite).unwrap();
        file.write_at(b"kept", 0).unwrap();
        file.sync().unwrap();
        file.write_at(b"lost", 4).unwrap();
        disk.crash();
        assert_eq!(disk.read(Path::new("a")).unwrap(), b"kept");
    }

    #[test]
    fn a_locked_file_is_refused_until_its_holder_closes_it() {
        let disk = MemoryDisk::default();
        let first = disk.open(Path::new("a"), OpenMode::ReadWrite).unwrap();
        let second = disk.open(Path::new("a"), OpenMode::ReadWrite).unwrap();
        first.lock().unwrap();
        assert_eq!(second.lock().unwrap_err().kind(), io::ErrorKind::WouldBlock);
        drop(first);
        second.lock().unwrap();
    }
}
