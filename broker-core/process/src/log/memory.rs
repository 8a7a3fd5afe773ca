//! A sink for tests: keeps lines in memory.

use std::fmt;
use std::sync::Arc;

use dunlin_api::{Level, LogSink};
use parking_lot::Mutex;

use super::format::label;

/// Keeps what is logged.
#[derive(Debug, Default)]
pub struct MemorySink(Mutex<Vec<String>>);

/// A sink that keeps what is logged, for tests.
pub fn memory_sink() -> Arc<MemorySink> {
    Arc::default()
}

impl MemorySink {
    /// The lines so far, as `[INF] text`.
    pub fn lines(&self) -> Vec<String> {
        self.0.lock().clone()
    }

    /// The lines so far; the next call gives only later ones.
    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock())
    }
}

impl LogSink for MemorySink {
    fn line(&self, level: Level, text: fmt::Arguments<'_>) {
        let line = format!("[{}] {text}", label(level).0);
        self.0.lock().push(line);
    }
}
