//! Log lines: a level, a text, and a sink that writes them somewhere.
//!
//! A handle instead of a process-wide subscriber, so that several brokers of one process (embedded, simulated)
//! log apart. The texts are the reference's where it has one; the line format is the sink's (CORE-138).

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use parking_lot::Mutex;

use super::Instant;

/// How grave a line is, by the reference's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// `[INF]`: what an operator wants to know.
    Notice,
    /// `[WRN]`: works, but not as it should.
    Warning,
    /// `[ERR]`: something failed; the broker goes on.
    Error,
    /// `[FTL]`: the broker cannot go on.
    Fatal,
    /// `[DBG]`: with `debug`.
    Debug,
    /// `[TRC]`: with `trace`.
    Trace,
}

/// Takes finished lines. Must not wait: the process's sink hands them to a bounded writer thread.
pub trait LogSink: Send + Sync + 'static {
    /// Takes one line, without its end.
    fn line(&self, level: Level, text: fmt::Arguments<'_>);
}

/// How many rate-limited lines are remembered (CORE-142).
const REMEMBERED: usize = 1024;

/// Which of the optional levels are on, and which rate-limited lines were written lately; shared by all clones.
#[derive(Debug, Default)]
pub struct LogLevels {
    debug: AtomicBool,
    trace: AtomicBool,
    /// Rate-limited lines, and until when each is not repeated.
    recent: Mutex<HashMap<String, Instant>>,
}

/// A cheap handle for writing log lines.
#[derive(Clone)]
pub struct Logger {
    levels: Arc<LogLevels>,
    sink: Arc<dyn LogSink>,
}

impl Logger {
    /// Logs to `sink`; debug and trace are off.
    pub fn new(sink: Arc<dyn LogSink>) -> Self {
        Self {
            levels: Arc::default(),
            sink,
        }
    }

    /// Drops every line.
    pub fn silent() -> Self {
        struct Nowhere;
        impl LogSink for Nowhere {
            fn line(&self, _: Level, _: fmt::Arguments<'_>) {}
        }
        Self::new(Arc::new(Nowhere))
    }

    /// Turns debug and trace lines on or off, for all clones.
    pub fn set_levels(&self, debug: bool, trace: bool) {
        self.levels.debug.store(debug, Relaxed);
        self.levels.trace.store(trace, Relaxed);
    }

    /// Whether debug lines are written. One relaxed load.
    pub fn is_debug(&self) -> bool {
        self.levels.debug.load(Relaxed)
    }

    /// Whether trace lines are written. One relaxed load.
    pub fn is_trace(&self) -> bool {
        self.levels.trace.load(Relaxed)
    }

    /// Whether a rate-limited line may be written: once in `quiet` for each `text`, whoever says it (CORE-142).
    pub fn may_repeat(&self, text: &str, quiet: Duration, now: Instant) -> bool {
        let mut recent = self.levels.recent.lock();
        if recent.get(text).is_some_and(|until| now < *until) {
            return false;
        }
        if recent.len() >= REMEMBERED {
            recent.retain(|_, until| now < *until);
        }
        // Where so many different lines come, none is a repetition of the others.
        if recent.len() < REMEMBERED {
            recent.insert(text.to_owned(), now + quiet);
        }
        true
    }

    /// Writes a line for the operator.
    pub fn notice(&self, text: fmt::Arguments<'_>) {
        self.sink.line(Level::Notice, text);
    }

    /// Writes a warning.
    pub fn warn(&self, text: fmt::Arguments<'_>) {
        self.sink.line(Level::Warning, text);
    }

    /// Writes an error.
    pub fn error(&self, text: fmt::Arguments<'_>) {
        self.sink.line(Level::Error, text);
    }

    /// Writes a fatal error. Ending the process is the caller's business.
    pub fn fatal(&self, text: fmt::Arguments<'_>) {
        self.sink.line(Level::Fatal, text);
    }

    /// Writes a debug line, when they are on.
    pub fn debug(&self, text: fmt::Arguments<'_>) {
        if self.is_debug() {
            self.sink.line(Level::Debug, text);
        }
    }

    /// Writes a trace line, when they are on.
    pub fn trace(&self, text: fmt::Arguments<'_>) {
        if self.is_trace() {
            self.sink.line(Level::Trace, text);
        }
    }
}

impl fmt::Debug for Logger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Logger")
            .field("levels", &self.levels)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // CORE-142 [TestServerRateLimitLogging]
    #[tokio::test(start_paused = true)]
    async fn a_rate_limited_line_is_repeated_when_its_time_has_passed() {
        let (logger, start) = (Logger::silent(), Instant::now());
        let quiet = Duration::from_secs(1);
        assert!(logger.may_repeat("a", quiet, start));
        assert!(!logger.clone().may_repeat("a", quiet, start + quiet / 2));
        assert!(logger.may_repeat("b", quiet, start), "another line");
        assert!(logger.may_repeat("a", quiet, start + quiet));
        assert!(!logger.may_repeat("a", quiet, start + quiet));
    }

    #[tokio::test(start_paused = true)]
    async fn remembered_lines_are_bounded() {
        let (logger, start) = (Logger::silent(), Instant::now());
        let quiet = Duration::from_secs(1);
        for number in 0..2 * REMEMBERED {
            assert!(logger.may_repeat(&number.to_string(), quiet, start));
        }
        assert_eq!(logger.levels.recent.lock().len(), REMEMBERED);
        assert!(logger.may_repeat("later", quiet, start + quiet));
        assert_eq!(logger.levels.recent.lock().len(), 1);
    }
}
