//! The reference's line: `[pid] 2026/01/31 10:20:30.123456 [INF] text` (CORE-138).

use std::fmt::{self, Write};
use std::time::SystemTime;

use dunlin_api::Level;
use jiff::Timestamp;
use jiff::tz::TimeZone;

/// How lines look.
#[derive(Clone, Debug)]
pub struct LineFormat {
    /// Process id in front.
    pub pid: u32,
    /// Whether the time is shown.
    pub time: bool,
    /// In UTC rather than local time.
    pub utc: bool,
    /// Levels in colour: for terminals.
    pub colours: bool,
}

impl LineFormat {
    /// A finished line, with its end.
    pub(super) fn line(&self, now: SystemTime, level: Level, text: fmt::Arguments<'_>) -> String {
        let mut line = format!("[{}] ", self.pid);
        if self.time {
            self.write_time(&mut line, now);
        }
        self.write_rest(&mut line, level, text);
        line
    }

    /// A line about the log itself.
    pub(super) fn untimed(&self, level: Level, text: fmt::Arguments<'_>) -> String {
        let mut line = format!("[{}] ", self.pid);
        self.write_rest(&mut line, level, text);
        line
    }

    fn write_time(&self, line: &mut String, now: SystemTime) {
        let zone = if self.utc {
            TimeZone::UTC
        } else {
            TimeZone::system()
        };
        let Ok(now) = Timestamp::try_from(now) else { return };
        // Writing to a string cannot fail.
        let _ = write!(line, "{}", now.to_zoned(zone).strftime("%Y/%m/%d %H:%M:%S.%6f "));
    }

    fn write_rest(&self, line: &mut String, level: Level, text: fmt::Arguments<'_>) {
        let (name, colour) = match level {
            Level::Notice => ("INF", "32"),
            Level::Debug => ("DBG", "36"),
            Level::Warning => ("WRN", "0;93"),
            Level::Error => ("ERR", "31"),
            Level::Fatal => ("FTL", "31"),
            Level::Trace => ("TRC", "33"),
        };
        // Writing to a string cannot fail.
        let _ = match self.colours {
            true => write!(line, "[\x1b[{colour}m{name}\x1b[0m] {text}"),
            false => write!(line, "[{name}] {text}"),
        };
        // A stranger's line feed must not begin a line of its own.
        if line.contains('\n') {
            *line = line.replace('\n', "\\n");
        }
        line.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn format(time: bool, colours: bool) -> LineFormat {
        LineFormat {
            pid: 7,
            time,
            utc: true,
            colours,
        }
    }

    fn line(format: &LineFormat, level: Level, text: &str) -> String {
        let now = SystemTime::UNIX_EPOCH + Duration::from_micros(1_767_225_600_000_123);
        format.line(now, level, format_args!("{text}"))
    }

    // CORE-138 [TestStdLogger*]
    #[test]
    fn a_line_has_pid_time_level_and_text() {
        assert_eq!(
            line(&format(true, false), Level::Notice, "hello"),
            "[7] 2026/01/01 00:00:00.000123 [INF] hello\n"
        );
        assert_eq!(line(&format(false, false), Level::Trace, "x"), "[7] [TRC] x\n");
        assert_eq!(
            line(&format(false, true), Level::Warning, "x"),
            "[7] [\x1b[0;93mWRN\x1b[0m] x\n"
        );
    }

    #[test]
    fn a_line_feed_in_a_text_begins_no_line() {
        assert_eq!(
            line(&format(false, false), Level::Error, "a\nb"),
            "[7] [ERR] a\\nb\n"
        );
    }
}
