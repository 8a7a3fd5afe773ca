//! The reference's line: `[pid] 2026/01/31 10:20:30.123456 [INF] text` (CORE-138).

use std::fmt::Write as _;
use std::time::SystemTime;

use dunlin_api::Level;
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

/// How lines look.
#[derive(Clone, Debug, PartialEq, Eq)]
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
    /// Appends a finished line, with its end. Control characters of `text` are escaped, so that what a stranger sent
    /// can neither begin a line of its own nor steer the terminal; one line feed at the end is dropped, as Go's is.
    pub(super) fn write(&self, out: &mut String, wall: SystemTime, level: Level, text: &str) {
        // Writing to a string cannot fail.
        let _ = write!(out, "[{}] ", self.pid);
        if self.time {
            self.write_time(out, wall);
        }
        let (name, colour) = label(level);
        let _ = match self.colours {
            true => write!(out, "[\x1b[{colour}m{name}\x1b[0m] "),
            false => write!(out, "[{name}] "),
        };
        push_escaped(out, text.strip_suffix('\n').unwrap_or(text));
        out.push('\n');
    }

    /// `.YYYY.MM.DD.hh.mm.ss.nnnnnnnnn`, what a rotated file's name ends in (CORE-139).
    pub(super) fn backup_suffix(&self, wall: SystemTime) -> String {
        self.civil(wall)
            .map(|time| {
                format!(
                    ".{:04}.{:02}.{:02}.{:02}.{:02}.{:02}.{:09}",
                    time.year(),
                    time.month(),
                    time.day(),
                    time.hour(),
                    time.minute(),
                    time.second(),
                    time.subsec_nanosecond()
                )
            })
            .unwrap_or_default()
    }

    fn write_time(&self, out: &mut String, wall: SystemTime) {
        let Some(time) = self.civil(wall) else { return };
        // Writing to a string cannot fail.
        let _ = write!(
            out,
            "{:04}/{:02}/{:02} {:02}:{:02}:{:02}.{:06} ",
            time.year(),
            time.month(),
            time.day(),
            time.hour(),
            time.minute(),
            time.second(),
            time.subsec_nanosecond() / 1000
        );
    }

    /// `None` only for years that no calendar of ours has.
    fn civil(&self, wall: SystemTime) -> Option<Zoned> {
        let zone = if self.utc {
            TimeZone::UTC
        } else {
            TimeZone::system()
        };
        Timestamp::try_from(wall).ok().map(|wall| wall.to_zoned(zone))
    }
}

/// Name and colour of a level.
pub(super) fn label(level: Level) -> (&'static str, &'static str) {
    match level {
        Level::Notice => ("INF", "32"),
        Level::Debug => ("DBG", "36"),
        Level::Warning => ("WRN", "0;93"),
        Level::Error => ("ERR", "31"),
        Level::Fatal => ("FTL", "31"),
        Level::Trace => ("TRC", "33"),
    }
}

fn push_escaped(out: &mut String, text: &str) {
    if !text.chars().any(is_unsafe) {
        return out.push_str(text);
    }
    for character in text.chars() {
        if is_unsafe(character) {
            out.extend(character.escape_default());
        } else {
            out.push(character);
        }
    }
}

fn is_unsafe(character: char) -> bool {
    character.is_control() && character != '\t'
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn check(format: &LineFormat, level: Level, text: &str, expected: &str) {
        let wall = SystemTime::UNIX_EPOCH + Duration::from_nanos(1_767_225_600_000_123_999);
        let mut line = String::new();
        format.write(&mut line, wall, level, text);
        assert_eq!(line, expected);
    }

    fn format(time: bool, colours: bool) -> LineFormat {
        LineFormat {
            pid: 7,
            time,
            utc: true,
            colours,
        }
    }

    // CORE-138 [TestStdLoggerNotice, TestStdLoggerDebug, TestStdLoggerTrace]
    #[test]
    fn each_level_has_its_label() {
        for (level, label) in [
            (Level::Notice, "INF"),
            (Level::Debug, "DBG"),
            (Level::Warning, "WRN"),
            (Level::Error, "ERR"),
            (Level::Fatal, "FTL"),
            (Level::Trace, "TRC"),
        ] {
            check(
                &format(false, false),
                level,
                "foo",
                &format!("[7] [{label}] foo\n"),
            );
        }
    }

    // CORE-138 [TestStdLoggerWithDebugTraceAndTime]
    #[test]
    fn the_time_has_microseconds_and_stands_before_the_label() {
        let expected = "[7] 2026/01/01 00:00:00.000123 [INF] foo bar\n";
        check(&format(true, false), Level::Notice, "foo bar", expected);
    }

    // CORE-138 [TestStdLogger]
    #[test]
    fn without_logtime_there_is_no_time() {
        check(&format(false, false), Level::Notice, "foo", "[7] [INF] foo\n");
    }

    // CORE-138 [TestStdLoggerNoticeWithColor]
    #[test]
    fn each_level_has_its_colour() {
        for (level, label) in [
            (Level::Notice, "[\x1b[32mINF\x1b[0m]"),
            (Level::Debug, "[\x1b[36mDBG\x1b[0m]"),
            (Level::Warning, "[\x1b[0;93mWRN\x1b[0m]"),
            (Level::Error, "[\x1b[31mERR\x1b[0m]"),
            (Level::Fatal, "[\x1b[31mFTL\x1b[0m]"),
            (Level::Trace, "[\x1b[33mTRC\x1b[0m]"),
        ] {
            check(&format(false, true), level, "foo", &format!("[7] {label} foo\n"));
        }
    }

    #[test]
    fn what_a_stranger_sent_begins_no_line_and_steers_no_terminal() {
        let text = "a\r\n[7] [FTL] b \x1b[31m\tc";
        check(
            &format(false, false),
            Level::Error,
            text,
            "[7] [ERR] a\\r\\n[7] [FTL] b \\u{1b}[31m\tc\n",
        );
    }

    #[test]
    fn a_line_feed_at_the_end_of_the_text_is_not_doubled() {
        check(&format(false, false), Level::Error, "two\n", "[7] [ERR] two\n");
    }

    // CORE-138: with a zone of its own by its name, whatever the machine's zone is.
    #[test]
    fn local_time_follows_the_zone() {
        let local = LineFormat {
            utc: false,
            ..format(true, false)
        };
        let wall = SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_225_600);
        let offset = TimeZone::system().to_offset(Timestamp::try_from(wall).unwrap());
        let shown = Timestamp::try_from(wall)
            .unwrap()
            .to_zoned(TimeZone::fixed(offset));
        let mut line = String::new();
        local.write(&mut line, wall, Level::Notice, "x");
        let expected = shown
            .strftime("[7] %Y/%m/%d %H:%M:%S.000000 [INF] x\n")
            .to_string();
        assert_eq!(line, expected);
    }

    // CORE-139
    #[test]
    fn the_backup_suffix_is_the_time_in_nanoseconds() {
        let wall = SystemTime::UNIX_EPOCH + Duration::from_nanos(1_767_225_600_000_000_042);
        assert_eq!(
            format(true, false).backup_suffix(wall),
            ".2026.01.01.00.00.00.000000042"
        );
    }
}
