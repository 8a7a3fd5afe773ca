//! Go's spellings that error texts and the digest need: `%q`, durations, base-10 integers.

/// Quotes as Go's `%q` does.
pub fn quote(text: &str) -> String {
    in_quotes(text, |character| match character {
        '\u{7}' => Some("\\a".to_owned()),
        '\u{8}' => Some("\\b".to_owned()),
        '\u{b}' => Some("\\v".to_owned()),
        '\u{c}' => Some("\\f".to_owned()),
        control if control.is_control() => Some(format!("\\x{:02x}", u32::from(control))),
        _ => None,
    })
}

/// `text` in double quotes, with the escapes that nats.conf, TOML, JSON and Go have in common; `other` spells what one
/// of them writes differently and leaves the rest as it is.
pub(crate) fn in_quotes(text: &str, other: impl Fn(char) -> Option<String>) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            character => match other(character) {
                Some(escape) => out.push_str(&escape),
                None => out.push(character),
            },
        }
    }
    out.push('"');
    out
}

/// Why a duration string is refused, in Go's words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    /// Not a duration at all, or out of range.
    #[error("time: invalid duration {}", quote(.0))]
    Invalid(String),
    /// Number without a unit.
    #[error("time: missing unit in duration {}", quote(.0))]
    MissingUnit(String),
    /// Unit that Go does not know.
    #[error("time: unknown unit {} in duration {}", quote(.unit), quote(.text))]
    UnknownUnit {
        /// The unit.
        unit: String,
        /// The whole text.
        text: String,
    },
}

/// Reads `1h2m3s4ms`, with sign and fractions, as Go does; the answer is in nanoseconds (CORE-126).
pub fn parse_duration(text: &str) -> Result<i64, DurationError> {
    let invalid = || DurationError::Invalid(text.to_owned());
    let (negative, unsigned) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if unsigned == "0" {
        return Ok(0);
    }
    let mut rest = unsigned;
    if rest.is_empty() {
        return Err(invalid());
    }
    let mut total: i128 = 0;
    while !rest.is_empty() {
        let (whole, after_whole) = split_digits(rest);
        let (fraction, after) = match after_whole.strip_prefix('.') {
            Some(tail) => split_digits(tail),
            None => ("", after_whole),
        };
        if whole.is_empty() && fraction.is_empty() {
            return Err(invalid());
        }
        let end = after
            .find(|c: char| c == '.' || c.is_ascii_digit())
            .unwrap_or(after.len());
        let (unit, next) = after.split_at_checked(end).ok_or_else(invalid)?;
        if unit.is_empty() {
            return Err(DurationError::MissingUnit(text.to_owned()));
        }
        let scale = unit_nanoseconds(unit).ok_or_else(|| DurationError::UnknownUnit {
            unit: unit.to_owned(),
            text: text.to_owned(),
        })?;
        total = part_nanoseconds(whole, fraction, scale)
            .and_then(|part| total.checked_add(part))
            .ok_or_else(invalid)?;
        rest = next;
    }
    let signed = if negative {
        total.checked_neg()
    } else {
        Some(total)
    };
    signed
        .and_then(|nanoseconds| i64::try_from(nanoseconds).ok())
        .ok_or_else(invalid)
}

/// Prints nanoseconds as Go's `Duration.String` does: `2m0s`, `1.5s`, `10ms`, `0s`.
pub fn print_duration(nanoseconds: i64) -> String {
    let sign = if nanoseconds < 0 { "-" } else { "" };
    let total = nanoseconds.unsigned_abs();
    let body = match total {
        0 => "0s".to_owned(),
        1..1_000 => format!("{total}ns"),
        1_000..1_000_000 => with_fraction(total, 1_000, "µs"),
        1_000_000..1_000_000_000 => with_fraction(total, 1_000_000, "ms"),
        _ => {
            let (minutes, seconds) = (total / 60_000_000_000, total % 60_000_000_000);
            let seconds = with_fraction(seconds, 1_000_000_000, "s");
            match (minutes / 60, minutes % 60) {
                (0, 0) => seconds,
                (0, minutes) => format!("{minutes}m{seconds}"),
                (hours, minutes) => format!("{hours}h{minutes}m{seconds}"),
            }
        }
    };
    format!("{sign}{body}")
}

fn with_fraction(value: u64, unit: u64, name: &str) -> String {
    let width = unit.ilog10() as usize;
    let fraction = format!("{:0width$}", value % unit);
    let fraction = fraction.trim_end_matches('0');
    let dot = if fraction.is_empty() { "" } else { "." };
    format!("{}{dot}{fraction}{name}", value / unit)
}

fn split_digits(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    text.split_at_checked(end).unwrap_or((text, ""))
}

fn unit_nanoseconds(unit: &str) -> Option<i128> {
    Some(match unit {
        "ns" => 1,
        "us" | "µs" | "μs" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => return None,
    })
}

fn part_nanoseconds(whole: &str, fraction: &str, scale: i128) -> Option<i128> {
    let whole: i128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let mut sum = whole.checked_mul(scale)?;
    let mut weight = scale;
    for digit in fraction.chars() {
        weight /= 10;
        sum = sum.checked_add(weight.checked_mul(i128::from(digit.to_digit(10)?))?)?;
    }
    Some(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<i64, &str>) {
        assert_eq!(
            parse_duration(text).map_err(|e| e.to_string()),
            expected.map_err(str::to_owned),
            "{text}"
        );
    }

    // CORE-126
    #[test]
    fn durations_read_as_go_reads_them() {
        check("0", Ok(0));
        check("2m", Ok(120_000_000_000));
        check("1h2m3s4ms", Ok(3_723_004_000_000));
        check("1.5s", Ok(1_500_000_000));
        check("-2s", Ok(-2_000_000_000));
        check("1us", Ok(1_000));
        check("10", Err("time: missing unit in duration \"10\""));
        check("10 s", Err("time: unknown unit \" s\" in duration \"10 s\""));
        check("", Err("time: invalid duration \"\""));
        check("foo", Err("time: invalid duration \"foo\""));
        check("99999999999h", Err("time: invalid duration \"99999999999h\""));
    }

    // CORE-126: texts such as `invalid lame_duck_duration of 1s`
    #[test]
    fn durations_print_as_go_prints_them() {
        for (nanoseconds, text) in [
            (0, "0s"),
            (1, "1ns"),
            (1_500, "1.5µs"),
            (10_000_000, "10ms"),
            (1_000_000_000, "1s"),
            (90_500_000_000, "1m30.5s"),
            (7_200_000_000_000, "2h0m0s"),
            (-60_000_000_000, "-1m0s"),
        ] {
            assert_eq!(print_duration(nanoseconds), text);
        }
    }

    #[test]
    fn quote_escapes_as_go_does() {
        assert_eq!(quote("a\"b\\\n\u{1}ü"), r#""a\"b\\\n\x01ü""#);
    }
}
