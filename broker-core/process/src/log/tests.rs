//! The log as a whole: the writer's thread, over files in memory and a console that can be held up.

use std::io::{self, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::SystemTime;

use dunlin_api::{DiskFile, Logger, MemoryDisk, OpenMode, SystemDisk};
use parking_lot::Mutex;

use super::*;

const START: Duration = Duration::from_secs(1_767_225_600);

/// Stands still.
struct StoppedClock;

impl Clock for StoppedClock {
    fn wall(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + START
    }
}

const FORMAT: LineFormat = LineFormat {
    pid: 7,
    time: false,
    utc: true,
    style: Style::Plain,
};

fn file(size_limit: u64, max_files: u64) -> Target {
    Target::File {
        path: "/log/nats.log".into(),
        size_limit,
        max_files,
    }
}

fn start(target: Target, disk: &(impl Disk + Clone)) -> Arc<Log> {
    Log::start(target, FORMAT, Box::new(StoppedClock), Arc::new(disk.clone())).unwrap()
}

fn notice(log: &Log, text: &str) {
    log.line(Level::Notice, format_args!("{text}"));
}

fn read(disk: &impl Disk, path: impl AsRef<Path>) -> String {
    String::from_utf8(disk.read(path.as_ref()).unwrap()).unwrap()
}

/// Names and contents of all files in `/log`.
fn files(disk: &impl Disk) -> Vec<(String, String)> {
    let entries = disk.list(Path::new("/log")).unwrap();
    entries
        .into_iter()
        .map(|path| {
            (
                path.file_name().unwrap().to_string_lossy().into_owned(),
                read(disk, path),
            )
        })
        .collect()
}

/// A disk whose renames can fail.
#[derive(Clone, Default)]
struct StubbornDisk {
    inner: MemoryDisk,
    refuses_renames: Arc<AtomicBool>,
    refuses_opens: Arc<AtomicBool>,
}

impl StubbornDisk {
    fn refuse(flag: &AtomicBool) -> io::Result<()> {
        match flag.load(SeqCst) {
            true => Err(io::Error::from_raw_os_error(13)),
            false => Ok(()),
        }
    }
}

impl Disk for StubbornDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Box<dyn DiskFile>> {
        Self::refuse(&self.refuses_opens)?;
        self.inner.open(path, mode)
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.inner.create_dir(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<PathBuf>> {
        self.inner.list(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        Self::refuse(&self.refuses_renames)?;
        self.inner.rename(from, to)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        self.inner.remove_dir(path)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.inner.remove(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.inner.sync_dir(path)
    }
}

/// A console that writes nothing until it gets leave, and says when it is asked to.
struct HeldUp {
    asked: Sender<()>,
    leave: Receiver<()>,
    written: Arc<Mutex<String>>,
}

impl Write for HeldUp {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _ = self.asked.send(());
        // Without a sender everything may be written.
        let _ = self.leave.recv();
        self.written.lock().push_str(std::str::from_utf8(bytes).unwrap());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A log on a held-up console: what was asked, the leave to write, and what was written.
fn held_up() -> (Arc<Log>, Receiver<()>, Sender<()>, Arc<Mutex<String>>) {
    let (asked, is_asked) = mpsc::channel();
    let (give_leave, leave) = mpsc::channel();
    let written = Arc::new(Mutex::new(String::new()));
    let console = HeldUp {
        asked,
        leave,
        written: written.clone(),
    };
    let output = Output::Console(Box::new(console));
    let log = Log::with_output(
        output,
        FORMAT,
        Box::new(StoppedClock),
        Arc::new(MemoryDisk::default()),
    )
    .unwrap();
    (log, is_asked, give_leave, written)
}

// CORE-138 [TestFileLogger]
#[test]
fn a_file_gets_whole_lines_after_what_it_had() {
    let disk = MemoryDisk::with_files([("/log/nats.log", "older\n")]);
    let log = start(file(0, 0), &disk);
    notice(&log, "one");
    log.line(Level::Error, format_args!("two"));
    assert!(log.flush());
    assert_eq!(
        read(&disk, "/log/nats.log"),
        "older\n[7] [INF] one\n[7] [ERR] two\n"
    );
}

// CORE-138
#[test]
fn a_new_file_is_readable_by_owner_and_group_only() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("nats.log");
    let target = Target::File {
        path: path.clone(),
        size_limit: 0,
        max_files: 0,
    };
    let log = Log::start(target, FORMAT, Box::new(StoppedClock), Arc::new(SystemDisk)).unwrap();
    notice(&log, "here");
    assert!(log.close());
    assert_eq!(read(&SystemDisk, &path), "[7] [INF] here\n");
    // The umask may take more away, never add.
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o137, 0);
}

// CORE-138
#[test]
fn a_file_that_cannot_be_opened_is_named_in_the_references_words() {
    let target = Target::File {
        path: "/nonexistent/x".into(),
        size_limit: 0,
        max_files: 0,
    };
    let error = Log::start(target, FORMAT, Box::new(StoppedClock), Arc::new(SystemDisk)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "error opening file: open /nonexistent/x: no such file or directory"
    );
}

// CORE-138 [TestStdLoggerDebugWithOutDebug, TestStdLoggerTraceWithOutDebug, TestSetLogger]
#[test]
fn debug_and_trace_are_written_only_when_they_are_on() {
    let sink = memory_sink();
    let logger = Logger::new(sink.clone());
    let all = || {
        logger.notice(format_args!("a"));
        logger.error(format_args!("b"));
        logger.fatal(format_args!("c"));
        logger.warn(format_args!("d"));
        logger.debug(format_args!("e"));
        logger.trace(format_args!("f"));
        sink.take().join(" ")
    };
    assert_eq!(all(), "[INF] a [ERR] b [FTL] c [WRN] d");
    logger.set_levels(true, true);
    assert_eq!(all(), "[INF] a [ERR] b [FTL] c [WRN] d [DBG] e [TRC] f");
    logger.set_levels(true, false);
    assert_eq!(all(), "[INF] a [ERR] b [FTL] c [WRN] d [DBG] e");
    logger.set_levels(false, false);
    assert_eq!(all(), "[INF] a [ERR] b [FTL] c [WRN] d");
}

#[test]
fn lines_that_come_too_fast_are_dropped_and_counted() {
    let (log, is_asked, leave, written) = held_up();
    notice(&log, "first");
    is_asked.recv().unwrap();
    for _ in 0..queue::MAX_LINES + 3 {
        notice(&log, "fill");
    }
    drop(leave);
    assert!(log.flush());
    let written = written.lock();
    let lines: Vec<&str> = written.lines().collect();
    assert_eq!(lines.len(), 1 + queue::MAX_LINES + 1);
    assert_eq!(lines.last(), Some(&"[7] [WRN] 3 log lines were dropped"));
}

#[test]
fn long_lines_are_bounded_by_their_bytes() {
    let (log, is_asked, leave, written) = held_up();
    notice(&log, "first");
    is_asked.recv().unwrap();
    let megabyte = "x".repeat(1 << 20);
    for _ in 0..10 {
        notice(&log, &megabyte);
    }
    drop(leave);
    assert!(log.flush());
    assert!(written.lock().ends_with("[7] [WRN] 2 log lines were dropped\n"));
}

#[test]
fn a_fatal_line_always_has_a_place_and_is_waited_for() {
    let (log, is_asked, leave, written) = held_up();
    notice(&log, "first");
    is_asked.recv().unwrap();
    for _ in 0..queue::MAX_LINES {
        notice(&log, "fill");
    }
    drop(leave);
    log.line(Level::Fatal, format_args!("the reason"));
    assert!(written.lock().contains("[7] [FTL] the reason\n"));
}

#[test]
fn a_closed_log_has_written_all_and_takes_no_more() {
    let disk = MemoryDisk::default();
    let log = start(file(0, 0), &disk);
    notice(&log, "in time");
    assert!(log.close());
    notice(&log, "too late");
    assert!(log.flush());
    assert_eq!(read(&disk, "/log/nats.log"), "[7] [INF] in time\n");
}

#[test]
fn lines_of_many_threads_stay_whole_over_rotations() {
    let disk = MemoryDisk::default();
    let log = start(file(500, 0), &disk);
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let log = &log;
            scope.spawn(move || (0..200).for_each(|n| notice(log, &format!("thread {thread} line {n:03}"))));
        }
    });
    assert!(log.flush());
    let mut written: Vec<String> = files(&disk)
        .iter()
        .flat_map(|(_, text)| text.lines())
        .filter(|line| !line.contains("Rotated log"))
        .map(str::to_owned)
        .collect();
    assert_eq!(written.len(), 800);
    written.sort();
    let expected = |at: usize| format!("[7] [INF] thread {} line {:03}", at / 200, at % 200);
    assert!(written.iter().enumerate().all(|(at, line)| *line == expected(at)));
}

// CORE-139 [TestFileLoggerSizeLimit]
#[test]
fn a_file_past_its_limit_is_rotated_and_the_new_one_says_so() {
    let disk = MemoryDisk::default();
    let log = start(file(40, 0), &disk);
    for n in 0..4 {
        notice(&log, &format!("line {n} of 20 bytes"));
    }
    assert!(log.flush());
    let backup = "nats.log.2026.01.01.00.00.00.000000000";
    let rotated = format!("[7] [INF] Rotated log, backup saved as \"/log/{backup}\"\n");
    let rest = rotated.clone() + "[7] [INF] line 2 of 20 bytes\n[7] [INF] line 3 of 20 bytes\n";
    let first = "[7] [INF] line 0 of 20 bytes\n[7] [INF] line 1 of 20 bytes\n".to_owned();
    let rotations = files(&disk);
    assert_eq!(rotations.get(1), Some(&(backup.to_owned(), first)));
    // The line about the rotation fills the new file past its limit, so that the next line moves it too.
    assert!(rest.starts_with(&rotations[2].1), "{rotations:?}");
}

// CORE-139 [TestFileLoggerSizeLimit]
#[test]
fn without_a_limit_nothing_is_rotated_until_one_below_the_size_is_set() {
    let disk = MemoryDisk::default();
    let log = start(file(0, 0), &disk);
    for _ in 0..50 {
        notice(&log, "This is a line in the log file");
    }
    assert!(log.flush());
    assert_eq!(files(&disk).len(), 1);
    log.change(log.prepare(file(1000, 0), FORMAT).unwrap());
    assert!(log.flush());
    let files = files(&disk);
    assert_eq!(files.len(), 2);
    assert!(
        files[1].1.ends_with("file\n[7] [INF] Rotating logfile...\n"),
        "{files:?}"
    );
    assert!(
        files[0].1.starts_with("[7] [INF] Rotated log, backup saved as "),
        "{files:?}"
    );
}

// CORE-139 [TestFileLoggerSizeLimit]
#[test]
fn a_rotation_that_fails_is_tried_again_at_twice_the_size() {
    let disk = StubbornDisk::default();
    disk.refuses_renames.store(true, SeqCst);
    let log = start(file(1000, 0), &disk);
    notice(&log, &"a".repeat(1000));
    assert!(log.flush());
    assert_eq!(files(&disk).len(), 1);
    let why = "rename /log/nats.log: permission denied";
    let expected =
        format!("[7] [ERR] Unable to rotate the logfile ({why}), will attempt next rotation at size 2000\n");
    assert!(read(&disk, "/log/nats.log").ends_with(&expected));
    disk.refuses_renames.store(false, SeqCst);
    notice(&log, &"b".repeat(500));
    assert!(log.flush());
    assert_eq!(files(&disk).len(), 1);
    notice(&log, &"c".repeat(500));
    assert!(log.flush());
    assert_eq!(files(&disk).len(), 2);
    notice(&log, &"d".repeat(1000));
    assert!(log.flush());
    assert_eq!(files(&disk).len(), 3, "the limit is the configured one again");
}

// CORE-139: the reference panics here.
#[test]
fn a_rotation_that_cannot_open_the_new_file_goes_on_with_the_old_one() {
    let disk = StubbornDisk::default();
    let log = start(file(20, 0), &disk);
    disk.refuses_opens.store(true, SeqCst);
    notice(&log, "long enough to rotate");
    assert!(log.flush());
    disk.refuses_opens.store(false, SeqCst);
    let files = files(&disk);
    assert_eq!(files.len(), 1);
    assert!(
        files[0]
            .1
            .contains("Unable to rotate the logfile (open /log/nats.log: permission denied)")
    );
}

// CORE-139 [TestLogMaxArchives]
#[test]
fn only_the_newest_backups_are_kept() {
    let old = "/log/nats.log.2025.01.01.00.00.00.000000000";
    let disk = MemoryDisk::with_files([(old, "old"), ("/log/nats.log.txt", "other"), ("/log/else", "")]);
    let log = start(file(10, 3), &disk);
    for _ in 0..3 {
        notice(&log, "past the limit");
    }
    assert!(log.flush());
    let names: Vec<String> = files(&disk).into_iter().map(|(name, _)| name).collect();
    assert_eq!(
        names,
        [
            "else",
            "nats.log",
            "nats.log.2026.01.01.00.00.00.000000001",
            "nats.log.2026.01.01.00.00.00.000000002",
            "nats.log.txt"
        ]
    );
    let first = "[7] [INF] Purged log file \"nats.log.2026.01.01.00.00.00.000000000\"\n";
    assert!(read(&disk, "/log/nats.log").ends_with(first));
}

// CORE-139 [TestLogMaxArchives]
#[test]
fn one_file_at_most_means_no_backup() {
    let disk = MemoryDisk::default();
    let log = start(file(10, 1), &disk);
    notice(&log, "past the limit");
    assert!(log.flush());
    assert_eq!(files(&disk).len(), 1);
}

// CORE-139 [TestReOpenLogFile]
#[test]
fn a_reopened_file_is_there_again_after_a_rename() {
    let disk = MemoryDisk::default();
    let log = start(file(0, 0), &disk);
    notice(&log, "This is a Notice");
    assert!(log.flush());
    disk.rename(Path::new("/log/nats.log"), Path::new("/log/nats.log.bak"))
        .unwrap();
    log.reopen();
    notice(&log, "New message");
    assert!(log.flush());
    assert_eq!(read(&disk, "/log/nats.log.bak"), "[7] [INF] This is a Notice\n");
    assert_eq!(
        read(&disk, "/log/nats.log"),
        "[7] [INF] File log re-opened\n[7] [INF] New message\n"
    );
}

// CORE-139 [TestReOpenLogFile]
#[test]
fn a_log_on_the_console_has_nothing_to_reopen() {
    let (log, _asked, leave, written) = held_up();
    drop(leave);
    log.reopen();
    assert!(log.flush());
    assert_eq!(
        *written.lock(),
        "[7] [INF] File log re-open ignored, not a file logger\n"
    );
}

// CORE-139: the reference ends the process here.
#[test]
fn a_file_that_cannot_be_reopened_goes_on() {
    let disk = StubbornDisk::default();
    let log = start(file(0, 0), &disk);
    disk.refuses_opens.store(true, SeqCst);
    log.reopen();
    assert!(log.flush());
    disk.refuses_opens.store(false, SeqCst);
    let expected = "[7] [ERR] File log re-open failed, going on with the old file: open /log/nats.log: permission \
                    denied\n";
    assert_eq!(read(&disk, "/log/nats.log"), expected);
}

// CORE-139, CORE-P1 [TestFileLoggerSizeLimitAndReopen]
#[test]
fn a_reopened_file_keeps_its_limits() {
    let disk = MemoryDisk::default();
    let log = start(file(1000, 2), &disk);
    notice(&log, "this is a notice");
    log.reopen();
    for text in ["A", "B", "C", "D"] {
        notice(&log, &text.repeat(800));
    }
    assert!(log.flush());
    let files = files(&disk);
    assert_eq!(files.len(), 2, "one backup beside the file");
    assert!(
        files[0].1.starts_with("[7] [INF] Rotated log, backup saved as "),
        "{files:?}"
    );
    assert!(!files[0].1.contains("AAAA"), "{files:?}");
}

// CORE-138: the precedence of log_file.
#[test]
fn the_configuration_names_the_target() {
    let mut config = Config {
        log_file: Some("x".into()),
        log_size_limit: 5,
        log_max_num: 6,
        ..Config::default()
    };
    assert_eq!(
        Target::of(&config),
        Target::File {
            path: "x".into(),
            size_limit: 5,
            max_files: 6
        }
    );
    config.log_file = Some(String::new());
    assert_eq!(Target::of(&config), Target::Stderr);
}
