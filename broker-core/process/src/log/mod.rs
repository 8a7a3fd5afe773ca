//! Log lines in the reference's format, written by one thread.
//!
//! A line is handed over through a bounded queue and never waits for the disk or the terminal: when they do not keep
//! up, lines are dropped, counted, and the count is logged. Only [`Log::flush`], [`Log::close`] and fatal lines wait,
//! for a bounded time. Rules: CORE-138 to CORE-140, CORE-P1.

mod file;
mod format;
mod memory;
mod queue;
mod syslog;
mod writer;

#[cfg(test)]
mod tests;

use std::fmt;
use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use dunlin_api::{Clock, Disk, Level, LogSink, SystemClock, SystemDisk};
use dunlin_config::{Config, LogFormat, quote};

pub use format::{LineFormat, Style};
pub use memory::{MemorySink, memory_sink};

use crate::program::executable;
use file::LogFile;
use queue::{Line, Order, Queue};
use syslog::{Place, Syslog};
use writer::{Output, Writer};

/// How long a flush waits for the writer: longer than a disk's hiccup, shorter than a service manager's patience.
const FLUSH_LIMIT: Duration = Duration::from_secs(2);

/// Where lines go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Standard error.
    Stderr,
    /// A file, mode 0640, appended to.
    File {
        /// Its path.
        path: PathBuf,
        /// Bytes past which it is rotated; 0 for never.
        size_limit: u64,
        /// Files to keep, the current one included; 0 for all.
        max_files: u64,
    },
    /// The machine's syslog, as facility daemon.
    Syslog {
        /// Marks the messages.
        tag: String,
    },
    /// A syslog elsewhere.
    RemoteSyslog {
        /// `udp://host:port`, `tcp://host:port` or `unix:///path`.
        url: String,
        /// Marks the messages.
        tag: String,
    },
}

/// Why there is no log. `Display` is the reference's text, without its time.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The file cannot be opened.
    #[error("error opening file: {0}")]
    Open(String),
    /// The URL of a syslog elsewhere has another scheme than udp, tcp and unix.
    #[error("{0}")]
    Network(String),
    /// No syslog answers.
    #[error("error connecting to syslog: {}", quote(.0))]
    Syslog(String),
    /// The system gives no thread.
    #[error("can't start the log's writer: {0}")]
    Thread(io::Error),
}

/// The process's log. Lines that are logged after it is closed are dropped.
pub struct Log {
    clock: Box<dyn Clock>,
    disk: Arc<dyn Disk>,
    queue: Arc<Queue>,
}

/// Another target, opened, and another format: what [`Log::change`] puts into force.
pub struct LogChange {
    output: Output,
    format: LineFormat,
}

impl Target {
    /// Where `config` wants lines: `log_file`, else `remote_syslog`, else `syslog`, else standard error (CORE-138).
    /// Syslog messages are marked with the name that this process was started by.
    pub fn of(config: &Config) -> Self {
        let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        if let Some(path) = given(&config.log_file) {
            return Self::File {
                path: PathBuf::from(path),
                size_limit: config.log_size_limit,
                max_files: config.log_max_num,
            };
        }
        let tag = executable();
        match given(&config.remote_syslog) {
            Some(url) => Self::RemoteSyslog { url, tag },
            None if config.syslog => Self::Syslog { tag },
            None => Self::Stderr,
        }
    }
}

impl Log {
    /// The log that `config` wants, on this machine.
    ///
    /// # Errors
    /// See [`LogError`].
    pub fn of(config: &Config) -> Result<Arc<Self>, LogError> {
        let target = Target::of(config);
        let format = LineFormat::of(config, &target);
        Self::start(target, format, Box::new(SystemClock), Arc::new(SystemDisk))
    }

    /// Opens the target and starts the writer. Lines carry the time of `clock`; `disk` holds the file.
    ///
    /// # Errors
    /// See [`LogError`].
    pub fn start(
        target: Target,
        format: LineFormat,
        clock: Box<dyn Clock>,
        disk: Arc<dyn Disk>,
    ) -> Result<Arc<Self>, LogError> {
        let output = output(target, &disk)?;
        Self::with_output(output, format, clock, disk)
    }

    /// Makes ready for another target and format, at a reload; the target is opened anew even if it is the same file.
    /// The log goes on as before until [`Log::change`].
    ///
    /// # Errors
    /// [`LogError::Open`].
    pub fn prepare(&self, target: Target, format: LineFormat) -> Result<LogChange, LogError> {
        let output = output(target, &self.disk)?;
        Ok(LogChange { output, format })
    }

    /// Changes target and format from the next line on.
    pub fn change(&self, LogChange { output, format }: LogChange) {
        self.queue
            .push(Order::Change(Box::new((output, format, self.clock.wall()))));
    }

    /// Opens the file anew, after a rotation from outside, and logs that it did (CORE-139). When that fails, lines
    /// still go to the old file, and the first of them says so. Does not wait.
    pub fn reopen(&self) {
        self.queue.push(Order::Reopen(self.clock.wall()));
    }

    /// Waits until everything that was logged before is written, at most two seconds. False when that was too short.
    pub fn flush(&self) -> bool {
        self.queue.wait_written(FLUSH_LIMIT)
    }

    /// Flushes and ends the writer. False when two seconds were too short for it.
    pub fn close(&self) -> bool {
        self.queue.close();
        self.flush()
    }

    fn with_output(
        output: Output,
        format: LineFormat,
        clock: Box<dyn Clock>,
        disk: Arc<dyn Disk>,
    ) -> Result<Arc<Self>, LogError> {
        let queue = Arc::new(Queue::default());
        let writer = Writer::new(output, format, clock.wall());
        let orders = queue.clone();
        std::thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || writer.run(&orders))
            .map_err(LogError::Thread)?;
        Ok(Arc::new(Self { clock, disk, queue }))
    }
}

impl LogSink for Log {
    fn line(&self, level: Level, text: fmt::Arguments<'_>) {
        // Rendered before the queue is locked: what is rendered may log itself.
        let text = text.to_string();
        let wall = self.clock.wall();
        self.queue.push(Order::Line(Line { level, wall, text }));
        if level == Level::Fatal {
            // The process is about to end; a lost last line would be the one that tells why.
            self.flush();
        }
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.close();
    }
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Log").finish_non_exhaustive()
    }
}

impl LineFormat {
    /// What `config` wants for this process; text is in colour where `target` is standard error and that is a terminal.
    pub fn of(config: &Config, target: &Target) -> Self {
        Self {
            pid: std::process::id(),
            time: config.logtime,
            utc: config.logtime_utc,
            style: match config.log_format {
                LogFormat::Json => Style::Json,
                LogFormat::Text if *target == Target::Stderr && io::stderr().is_terminal() => Style::Colours,
                LogFormat::Text => Style::Plain,
            },
        }
    }
}

fn output(target: Target, disk: &Arc<dyn Disk>) -> Result<Output, LogError> {
    match target {
        Target::Stderr => Ok(Output::Console(Box::new(io::stderr()))),
        Target::File {
            path,
            size_limit,
            max_files,
        } => {
            let file = LogFile::open(disk.clone(), path, size_limit, max_files).map_err(LogError::Open)?;
            Ok(Output::File(file))
        }
        Target::Syslog { tag } => syslog(Place::local(), tag),
        Target::RemoteSyslog { url, tag } => syslog(Place::parse(&url).map_err(LogError::Network)?, tag),
    }
}

fn syslog(place: Place, tag: String) -> Result<Output, LogError> {
    Syslog::connect(place, tag)
        .map(Output::Syslog)
        .map_err(LogError::Syslog)
}
