//! The log file: appended to, rotated by size, opened anew on demand (CORE-139).

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use dunlin_api::Level;
use jiff::Zoned;

use super::LineFormat;

/// Only the owner writes, the group reads.
const MODE: u32 = 0o640;

pub(super) struct LogFile {
    path: PathBuf,
    file: File,
    written: u64,
    size_limit: u64,
    max_files: u64,
}

impl LogFile {
    pub(super) fn open(path: PathBuf, size_limit: u64, max_files: u64) -> io::Result<Self> {
        let file = append_to(&path)?;
        let written = file.metadata()?.len();
        Ok(Self {
            path,
            file,
            written,
            size_limit,
            max_files,
        })
    }

    pub(super) fn reopen(&mut self) -> io::Result<()> {
        self.file = append_to(&self.path)?;
        self.written = self.file.metadata()?.len();
        Ok(())
    }

    /// Appends a line, and rotates when it made the file too long.
    pub(super) fn write(&mut self, line: &str, format: &LineFormat) {
        if self.file.write_all(line.as_bytes()).is_ok() {
            self.written += line.len() as u64;
        }
        if self.size_limit > 0 && self.written > self.size_limit && self.rotate(format).is_err() {
            // Not now; the reference too waits until the file has doubled.
            self.size_limit = self.size_limit.saturating_mul(2);
        }
    }

    fn rotate(&mut self, format: &LineFormat) -> io::Result<()> {
        let mut backup = self.path.as_os_str().to_owned();
        backup.push(Zoned::now().strftime(".%Y.%m.%d.%H.%M.%S.%9f").to_string());
        std::fs::rename(&self.path, &backup)?;
        self.reopen()?;
        let text = format!(
            "Rotated log, backup saved as {:?}",
            Path::new(&backup).display().to_string()
        );
        self.write_own(Level::Notice, &text, format)?;
        self.purge(format)
    }

    /// Keeps as many backups as are wanted beside the current file.
    fn purge(&mut self, format: &LineFormat) -> io::Result<()> {
        if self.max_files == 0 {
            return Ok(());
        }
        let mut backups = self.backups()?;
        let kept = usize::try_from(self.max_files.saturating_sub(1)).unwrap_or(usize::MAX);
        while backups.len() > kept {
            let oldest = backups.remove(0);
            std::fs::remove_file(&oldest)?;
            self.write_own(
                Level::Notice,
                &format!("Purged log file {:?}", oldest.display().to_string()),
                format,
            )?;
        }
        Ok(())
    }

    /// Backups, oldest first: their names end in their time.
    fn backups(&self) -> io::Result<Vec<PathBuf>> {
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new("."));
        let own = self
            .path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned()
            + ".";
        let mut backups = Vec::new();
        for entry in std::fs::read_dir(folder)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let rest = name.strip_prefix(&own);
            if rest.is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')) {
                backups.push(entry.path());
            }
        }
        backups.sort();
        Ok(backups)
    }

    fn write_own(&mut self, level: Level, text: &str, format: &LineFormat) -> io::Result<()> {
        let line = format.untimed(level, format_args!("{text}"));
        self.file.write_all(line.as_bytes())?;
        self.written += line.len() as u64;
        Ok(())
    }
}

fn append_to(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(MODE).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORMAT: LineFormat = LineFormat {
        pid: 1,
        time: false,
        utc: true,
        colours: false,
    };

    fn read(path: &Path) -> String {
        std::fs::OpenOptions::new()
            .read(true)
            .open(path)
            .map(io::read_to_string)
            .unwrap()
            .unwrap()
    }

    // CORE-139 [TestFileLoggerSizeLimit]
    #[test]
    fn a_file_past_its_limit_is_rotated_and_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let mut file = LogFile::open(path.clone(), 600, 0).unwrap();
        for n in 0..22 {
            file.write(&format!("line {n} of thirty bytes, or so\n"), &FORMAT);
        }
        let backups = file.backups().unwrap();
        assert_eq!(backups.len(), 1);
        assert!(read(&backups[0]).starts_with("line 0"));
        let rest = read(&path);
        assert!(
            rest.starts_with("[1] [INF] Rotated log, backup saved as "),
            "{rest}"
        );
        assert!(rest.ends_with("line 21 of thirty bytes, or so\n"), "{rest}");
    }

    // CORE-139 [TestLogMaxArchives]
    #[test]
    fn the_number_of_files_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let mut file = LogFile::open(folder.path().join("log"), 10, 3).unwrap();
        for _ in 0..8 {
            file.write("longer than the limit\n", &FORMAT);
        }
        assert_eq!(file.backups().unwrap().len(), 2);
    }

    // CORE-139 [TestReOpenLogFile]
    #[test]
    fn a_reopened_file_is_there_again_after_a_rename() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let mut file = LogFile::open(path.clone(), 0, 0).unwrap();
        file.write("old\n", &FORMAT);
        std::fs::rename(&path, folder.path().join("moved")).unwrap();
        file.reopen().unwrap();
        file.write("new\n", &FORMAT);
        assert_eq!(read(&path), "new\n");
    }
}
