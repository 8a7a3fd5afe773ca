//! The writer: takes orders from the queue until it closes, and writes each batch with as few calls as rotation allows.

use std::io::Write;
use std::time::SystemTime;

use dunlin_api::Level;

use super::file::LogFile;
use super::format::LineFormat;
use super::queue::{Batch, Line, Order, Queue};
use super::syslog::Syslog;

/// Bytes that are gathered before they are written.
const GATHER: usize = 64 << 10;

/// What lines are written to.
pub(super) enum Output {
    Console(Box<dyn Write + Send>),
    File(LogFile),
    Syslog(Syslog),
}

/// The state of the writer's thread.
pub(super) struct Writer {
    output: Output,
    format: LineFormat,
    /// Finished lines that are not written yet, and how many.
    gathered: String,
    lines: u64,
    /// Lines lost since the last report: they found no place in the queue, or could not be written.
    lost: u64,
    /// When the last line was logged, which is when the log's own lines are logged too.
    wall: SystemTime,
}

impl Writer {
    pub(super) fn new(output: Output, format: LineFormat, wall: SystemTime) -> Self {
        Self {
            output,
            format,
            gathered: String::new(),
            lines: 0,
            lost: 0,
            wall,
        }
    }

    /// Runs until the queue is closed and empty.
    pub(super) fn run(mut self, queue: &Queue) {
        let mut batch = Batch::default();
        self.rotate_at_start();
        while queue.next(&mut batch) {
            for order in batch.orders.drain(..) {
                self.handle(order);
            }
            self.write_gathered();
            self.lost += std::mem::take(&mut batch.dropped);
            self.report_lost();
        }
    }

    fn handle(&mut self, order: Order) {
        match order {
            Order::Line(Line { level, wall, text }) => {
                self.wall = wall;
                self.line(level, &text);
            }
            Order::Reopen(wall) => {
                self.wall = wall;
                self.write_gathered();
                let (level, text) = self.reopen();
                self.line(level, &text);
            }
            Order::Change(change) => {
                self.write_gathered();
                (self.output, self.format, self.wall) = *change;
                self.rotate_at_start();
            }
        }
    }

    fn line(&mut self, level: Level, text: &str) {
        if let Output::Syslog(syslog) = &mut self.output {
            // Each line is a message of its own.
            let sent = syslog.send(&self.format, self.wall, level, text);
            self.lost += u64::from(sent.is_err());
            return;
        }
        self.format.write(&mut self.gathered, self.wall, level, text);
        self.lines += 1;
        let full = match &self.output {
            Output::Console(_) | Output::Syslog(_) => false,
            Output::File(file) => file.is_past_limit_with(self.gathered.len()),
        };
        if full || self.gathered.len() >= GATHER {
            self.write_gathered();
        }
    }

    /// Nobody can be told that lines cannot be written: they are counted, and reported once the output works again.
    fn write_gathered(&mut self) {
        if self.gathered.is_empty() {
            return;
        }
        let result = match &mut self.output {
            Output::Console(console) => console
                .write_all(self.gathered.as_bytes())
                .and_then(|()| console.flush()),
            Output::File(file) => file.write(&self.gathered, &self.format, self.wall),
            // Nothing is gathered for it, but for what a change of outputs left.
            Output::Syslog(_) => Ok(()),
        };
        if result.is_err() {
            self.lost += self.lines;
        }
        self.gathered.clear();
        self.lines = 0;
    }

    fn report_lost(&mut self) {
        let lost = std::mem::take(&mut self.lost);
        if lost > 0 {
            self.line(Level::Warning, &format!("{lost} log lines were dropped"));
            self.write_gathered();
            if self.lost > 0 {
                // The report is lost too: count the lines again, but not the report.
                self.lost = lost;
            }
        }
    }

    fn reopen(&mut self) -> (Level, String) {
        match &mut self.output {
            Output::Console(_) | Output::Syslog(_) => (
                Level::Notice,
                "File log re-open ignored, not a file logger".to_owned(),
            ),
            Output::File(file) => match file.reopen() {
                Ok(()) => (Level::Notice, "File log re-opened".to_owned()),
                Err(error) => (
                    Level::Error,
                    format!("File log re-open failed, going on with the old file: {error}"),
                ),
            },
        }
    }

    /// A file that is too long already is rotated at once.
    fn rotate_at_start(&mut self) {
        if let Output::File(file) = &self.output
            && file.is_past_limit_with(0)
        {
            self.line(Level::Notice, "Rotating logfile...");
        }
    }
}
