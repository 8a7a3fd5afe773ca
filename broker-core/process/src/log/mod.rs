//! Log lines in the reference's format, written by one thread.
//!
//! A line is formatted where it is logged and handed over through a bounded queue; when the disk does not keep up, lines
//! are dropped and counted rather than sessions held up. Rules: CORE-138, CORE-139.

mod file;
mod format;

use std::fmt;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::time::Duration;

use dunlin_api::{Clock, Level, LogSink};

use file::LogFile;
pub use format::LineFormat;

/// Lines that may wait for the writer.
const QUEUE: usize = 8192;

/// How long a flush waits for the writer.
const FLUSH: Duration = Duration::from_secs(2);

/// Where lines go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Standard error.
    Stderr,
    /// A file, rotated when it has grown past a size.
    File {
        /// Its path.
        path: PathBuf,
        /// Bytes after which it is rotated; 0 for never.
        size_limit: u64,
        /// Files to keep, the current one included; 0 for all.
        max_files: u64,
    },
}

/// The process's log: hands finished lines to the writer thread.
pub struct Log {
    clock: Box<dyn Clock>,
    format: LineFormat,
    queue: SyncSender<Order>,
    dropped: Arc<AtomicU64>,
}

enum Order {
    Line(String),
    Reopen(mpsc::SyncSender<io::Result<bool>>),
    Flush(mpsc::SyncSender<()>),
}

impl Log {
    /// Opens the target and starts the writer.
    ///
    /// # Errors
    /// The file cannot be opened, or there is no thread.
    pub fn start(target: Target, format: LineFormat, clock: Box<dyn Clock>) -> io::Result<Arc<Self>> {
        let output = match target {
            Target::Stderr => Output::Stderr,
            Target::File {
                path,
                size_limit,
                max_files,
            } => Output::File(LogFile::open(path, size_limit, max_files)?),
        };
        let (queue, orders) = mpsc::sync_channel(QUEUE);
        let dropped = Arc::new(AtomicU64::new(0));
        let mut writer = Writer {
            output,
            format: format.clone(),
            dropped: dropped.clone(),
        };
        std::thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || writer.run(&orders))?;
        Ok(Arc::new(Self {
            clock,
            format,
            queue,
            dropped,
        }))
    }

    /// Waits until everything logged so far is written, at most two seconds.
    pub fn flush(&self) {
        let (done, written) = mpsc::sync_channel(1);
        if self.queue.send(Order::Flush(done)).is_ok() {
            // Late or gone: the process ends either way.
            let _ = written.recv_timeout(FLUSH);
        }
    }

    /// Opens the file anew, for a rotation from outside. False when the log is no file.
    ///
    /// # Errors
    /// The file cannot be opened; lines then still go to the old one.
    pub fn reopen(&self) -> io::Result<bool> {
        let (done, result) = mpsc::sync_channel(1);
        self.queue.send(Order::Reopen(done)).map_err(io::Error::other)?;
        result.recv_timeout(FLUSH).map_err(io::Error::other)?
    }
}

impl LogSink for Log {
    fn line(&self, level: Level, text: fmt::Arguments<'_>) {
        let line = self.format.line(self.clock.wall(), level, text);
        if self.queue.try_send(Order::Line(line)).is_err() {
            self.dropped.fetch_add(1, Relaxed);
        }
    }
}

enum Output {
    Stderr,
    File(LogFile),
}

struct Writer {
    output: Output,
    format: LineFormat,
    dropped: Arc<AtomicU64>,
}

impl Writer {
    /// Until the log is gone. Nobody is left to be told that a line could not be written.
    fn run(&mut self, orders: &Receiver<Order>) {
        while let Ok(order) = orders.recv() {
            match order {
                Order::Line(line) => self.write(&line),
                Order::Reopen(done) => drop(done.send(self.reopen())),
                Order::Flush(done) => drop(done.send(())),
            }
            self.report_dropped();
        }
    }

    fn write(&mut self, line: &str) {
        match &mut self.output {
            Output::Stderr => drop(io::stderr().lock().write_all(line.as_bytes())),
            Output::File(file) => file.write(line, &self.format),
        }
    }

    fn reopen(&mut self) -> io::Result<bool> {
        match &mut self.output {
            Output::Stderr => Ok(false),
            Output::File(file) => file.reopen().map(|()| true),
        }
    }

    fn report_dropped(&mut self) {
        let dropped = self.dropped.swap(0, Relaxed);
        if dropped > 0 {
            let text = format_args!(
                "{dropped} log lines were dropped, since they came faster than they could be written"
            );
            let line = self.format.untimed(Level::Warning, text);
            self.write(&line);
        }
    }
}
