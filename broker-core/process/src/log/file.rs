//! The log file: appended to, rotated by size, opened anew on demand (CORE-139).

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use dunlin_api::{Disk, DiskFile, Level, OpenMode};
use dunlin_config::quote;

use super::format::LineFormat;
use dunlin_api::system_error::{failed, reason};

/// Only the owner writes, the group reads (CORE-138).
const PERMISSIONS: u32 = 0o640;

/// An open log file.
pub(super) struct LogFile {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    file: Box<dyn DiskFile>,
    length: u64,
    size_limit: u64,
    /// The limit for the next rotation: larger than `size_limit` after one that failed.
    next_limit: u64,
    max_files: u64,
    /// Time in the name of the last backup; the next one's is later, whatever the clock says.
    last_backup: SystemTime,
}

impl LogFile {
    /// Opens the file, or makes it. The error is the reference's text.
    pub(super) fn open(
        disk: Arc<dyn Disk>,
        path: PathBuf,
        size_limit: u64,
        max_files: u64,
    ) -> Result<Self, String> {
        let (file, length) = append_to(disk.as_ref(), &path)?;
        let last_backup = SystemTime::UNIX_EPOCH;
        Ok(Self {
            disk,
            path,
            file,
            length,
            size_limit,
            next_limit: size_limit,
            max_files,
            last_backup,
        })
    }

    /// Opens the file of that name anew. The old one stays in use when that fails.
    pub(super) fn reopen(&mut self) -> Result<(), String> {
        (self.file, self.length) = append_to(self.disk.as_ref(), &self.path)?;
        self.next_limit = self.size_limit;
        Ok(())
    }

    /// Whether `more` bytes make the file too long.
    pub(super) fn is_past_limit_with(&self, more: usize) -> bool {
        self.size_limit > 0 && self.length.saturating_add(more as u64) > self.next_limit
    }

    /// Appends whole lines, and rotates when they made the file too long.
    pub(super) fn write(&mut self, lines: &str, format: &LineFormat, wall: SystemTime) -> io::Result<()> {
        self.append(lines)?;
        if self.is_past_limit_with(0) {
            self.rotate(format, wall);
        }
        Ok(())
    }

    fn append(&mut self, lines: &str) -> io::Result<()> {
        self.file.write_at(lines.as_bytes(), self.length)?;
        self.length += lines.len() as u64;
        Ok(())
    }

    /// Renames the file and begins a new one. When that fails, the old one goes on, and the next try comes at twice
    /// the size.
    fn rotate(&mut self, format: &LineFormat, wall: SystemTime) {
        let later = self.last_backup + Duration::from_nanos(1);
        self.last_backup = wall.max(later);
        let mut backup = self.path.as_os_str().to_owned();
        backup.push(format.backup_suffix(self.last_backup));
        let backup = PathBuf::from(backup);
        let mut log = |file: &mut Self, level, text: &str| {
            let mut line = String::new();
            format.write(&mut line, wall, level, text);
            // Nothing to be done: the log is what cannot be written.
            let _ = file.append(&line);
        };
        if let Err(why) = self.start_new(&backup) {
            self.next_limit = self.next_limit.saturating_mul(2).max(1);
            let limit = self.next_limit;
            let text =
                format!("Unable to rotate the logfile ({why}), will attempt next rotation at size {limit}");
            return log(self, Level::Error, &text);
        }
        let name = backup.to_string_lossy();
        log(
            self,
            Level::Notice,
            &format!("Rotated log, backup saved as {}", quote(&name)),
        );
        if self.max_files > 0 {
            self.purge(&mut log);
        }
    }

    fn start_new(&mut self, backup: &Path) -> Result<(), String> {
        self.disk
            .rename(&self.path, backup)
            .map_err(|error| failed("rename", &self.path, &error))?;
        self.reopen().inspect_err(|_| {
            // Lines still go to the renamed file; giving it its name back keeps them where they are looked for.
            let _ = self.disk.rename(backup, &self.path);
        })
    }

    /// Removes the oldest backups, so that `max_files` remain with the current file.
    fn purge(&mut self, log: &mut impl FnMut(&mut Self, Level, &str)) {
        let folder = folder_of(&self.path).to_owned();
        let backups = match self.disk.list(&folder) {
            Ok(entries) => backups(&self.path, entries),
            Err(error) => {
                let (folder, why) = (quote(&folder.to_string_lossy()), reason(&error));
                let text = format!(
                    "Unable to read directory {folder} for log purge ({why}), will attempt next rotation"
                );
                return log(self, Level::Error, &text);
            }
        };
        let kept = usize::try_from(self.max_files - 1).unwrap_or(usize::MAX);
        let excess = backups.len().saturating_sub(kept);
        for backup in backups.iter().take(excess) {
            let name = quote(&backup.file_name().unwrap_or_default().to_string_lossy());
            if let Err(error) = self.disk.remove(backup) {
                let why = reason(&error);
                let text =
                    format!("Unable to remove backup log file {name} ({why}), will attempt next rotation");
                return log(self, Level::Error, &text);
            }
            log(self, Level::Notice, &format!("Purged log file {name}"));
        }
    }
}

fn append_to(disk: &dyn Disk, path: &Path) -> Result<(Box<dyn DiskFile>, u64), String> {
    let opened = disk
        .open_with_permissions(path, OpenMode::Append, PERMISSIONS)
        .and_then(|file| file.len().map(|length| (file, length)));
    opened.map_err(|error| failed("open", path, &error))
}

fn folder_of(path: &Path) -> &Path {
    path.parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."))
}

/// The backups of `path` among `entries`, oldest first: their names end in their time.
fn backups(path: &Path, entries: Vec<PathBuf>) -> Vec<PathBuf> {
    let own = path.file_name().unwrap_or_default().to_string_lossy();
    let mut backups = entries;
    backups.retain(|entry| {
        let name = entry.file_name().unwrap_or_default().to_string_lossy();
        let stamp = name
            .strip_prefix(own.as_ref())
            .and_then(|rest| rest.strip_prefix('.'));
        stamp.is_some_and(is_stamp)
    });
    backups.sort();
    backups
}

/// `YYYY.MM.DD.hh.mm.ss.nnnnnnnnn`
fn is_stamp(text: &str) -> bool {
    let parts: Vec<&str> = text.split('.').collect();
    parts.iter().map(|part| part.len()).eq([4, 2, 2, 2, 2, 2, 9])
        && parts
            .iter()
            .all(|part| part.bytes().all(|byte| byte.is_ascii_digit()))
}
