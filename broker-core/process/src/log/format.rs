//! What a line looks like: the reference's, `[pid] 2026/01/31 10:20:30.123456 [INF] text` (CORE-138), or a JSON object.

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
    /// What the line is made for.
    pub style: Style,
}

/// What lines are made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// Files and pipes.
    Plain,
    /// Terminals: levels in colour.
    Colours,
    /// Programs that collect logs: `{"time":"2026-01-31T10:20:30.123456Z","pid":7,"level":"info","message":"text"}`,
    /// with the levels info, warn, error, fatal, debug and trace.
    Json,
}

impl LineFormat {
    /// Appends a finished line, with its end. Control characters of `text` are escaped, so that what a stranger sent
    /// can neither begin a line of its own nor steer the terminal; one line feed at the end is dropped, as Go's is.
    pub(super) fn write(&self, out: &mut String, wall: SystemTime, level: Level, text: &str) {
        if self.style == Style::Json {
            self.write_text(out, wall, level, text);
            out.push('\n');
            return;
        }
        // Writing to a string cannot fail.
        let _ = write!(out, "[{}] ", self.pid);
        if self.time {
            self.write_time(out, wall);
        }
        let (name, colour) = label(level);
        let _ = match self.style {
            Style::Colours => write!(out, "[\x1b[{colour}m{name}\x1b[0m] "),
            Style::Plain | Style::Json => write!(out, "[{name}] "),
        };
        self.write_text(out, wall, level, text);
        out.push('\n');
    }

    /// Appends the text alone, escaped, for a log that knows time and level by itself; or the object, if it is JSON.
    pub(super) fn write_text(&self, out: &mut String, wall: SystemTime, level: Level, text: &str) {
        let text = text.strip_suffix('\n').unwrap_or(text);
        if self.style != Style::Json {
            return push_escaped(out, text);
        }
        out.push('{');
        if self.time {
            out.push_str("\"time\":\"");
            self.write_precise_stamp(out, wall);
            out.push_str("\",");
        }
        // Writing to a string cannot fail.
        let _ = write!(
            out,
            "\"pid\":{},\"level\":\"{}\",\"message\":{}}}",
            self.pid,
            json_label(level),
            serde_json::Value::from(text)
        );
    }

    /// Appends an RFC 3339 time in whole seconds.
    pub(super) fn write_stamp(&self, out: &mut String, wall: SystemTime) {
        self.write_rfc3339(out, wall, "%Y-%m-%dT%H:%M:%S");
    }

    /// Appends the time as a machine's own syslog has it, always in local time: `Jan  2 15:04:05`.
    pub(super) fn write_local_stamp(&self, out: &mut String, wall: SystemTime) {
        let local = Self {
            utc: false,
            ..self.clone()
        };
        if let Some(time) = local.civil(wall) {
            // Writing to a string cannot fail.
            let _ = write!(out, "{}", time.strftime("%b %e %H:%M:%S"));
        }
    }

    fn write_precise_stamp(&self, out: &mut String, wall: SystemTime) {
        self.write_rfc3339(out, wall, "%Y-%m-%dT%H:%M:%S.%6f");
    }

    fn write_rfc3339(&self, out: &mut String, wall: SystemTime, form: &str) {
        let Some(time) = self.civil(wall) else { return };
        // Writing to a string cannot fail.
        let _ = write!(out, "{}", time.strftime(form));
        let _ = match time.offset().is_zero() {
            true => write!(out, "Z"),
            false => write!(out, "{}", time.strftime("%:z")),
        };
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

fn json_label(level: Level) -> &'static str {
    match level {
        Level::Notice => "info",
        Level::Debug => "debug",
        Level::Warning => "warn",
        Level::Error => "error",
        Level::Fatal => "fatal",
        Level::Trace => "trace",
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

    fn format(time: bool, style: Style) -> LineFormat {
        LineFormat {
            pid: 7,
            time,
            utc: true,
            style,
        }
    }

    // Dunlin's own: what a stranger sent stays inside its string.
    #[test]
    fn a_json_line_is_one_object() {
        check(
            &format(true, Style::Json),
            Level::Notice,
            "say \"a\"\r\n\u{1b}é",
            "{\"time\":\"2026-01-01T00:00:00.000123Z\",\"pid\":7,\"level\":\"info\",\
             \"message\":\"say \\\"a\\\"\\r\\n\\u001bé\"}\n",
        );
        check(
            &format(false, Style::Json),
            Level::Error,
            "x\n",
            "{\"pid\":7,\"level\":\"error\",\"message\":\"x\"}\n",
        );
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
                &format(false, Style::Plain),
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
        check(&format(true, Style::Plain), Level::Notice, "foo bar", expected);
    }

    // CORE-138 [TestStdLogger]
    #[test]
    fn without_logtime_there_is_no_time() {
        check(
            &format(false, Style::Plain),
            Level::Notice,
            "foo",
            "[7] [INF] foo\n",
        );
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
            check(
                &format(false, Style::Colours),
                level,
                "foo",
                &format!("[7] {label} foo\n"),
            );
        }
    }

    #[test]
    fn what_a_stranger_sent_begins_no_line_and_steers_no_terminal() {
        let text = "a\r\n[7] [FTL] b \x1b[31m\tc";
        check(
            &format(false, Style::Plain),
            Level::Error,
            text,
            "[7] [ERR] a\\r\\n[7] [FTL] b \\u{1b}[31m\tc\n",
        );
    }

    #[test]
    fn a_line_feed_at_the_end_of_the_text_is_not_doubled() {
        check(
            &format(false, Style::Plain),
            Level::Error,
            "two\n",
            "[7] [ERR] two\n",
        );
    }

    // CORE-138: with a zone of its own by its name, whatever the machine's zone is.
    #[test]
    fn local_time_follows_the_zone() {
        let local = LineFormat {
            utc: false,
            ..format(true, Style::Plain)
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
            format(true, Style::Plain).backup_suffix(wall),
            ".2026.01.01.00.00.00.000000042"
        );
    }
}
