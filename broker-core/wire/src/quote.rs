//! Quoting for log lines, as the reference prints bytes.

use std::fmt::{self, Write as _};

/// Bytes in double quotes, escaped like Go's `%q`: printable Unicode stays, control bytes and invalid
/// UTF-8 become escapes. Used by log texts that operators compare with the reference's (CORE-27, CORE-29).
#[derive(Clone, Copy)]
pub struct Quoted<'a>(pub &'a [u8]);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        for chunk in self.0.utf8_chunks() {
            chunk.valid().chars().try_for_each(|c| quote_char(f, c))?;
            chunk.invalid().iter().try_for_each(|b| write!(f, "\\x{b:02x}"))?;
        }
        f.write_char('"')
    }
}

/// Bytes as they are, for a log line that the reference prints without quotes: what could end the line, move a terminal's
/// cursor or is no text becomes an escape as in [`Quoted`].
#[derive(Clone, Copy)]
pub struct Shown<'a>(pub &'a [u8]);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            chunk.valid().chars().try_for_each(|c| match c {
                '"' | '\\' => f.write_char(c),
                _ => quote_char(f, c),
            })?;
            chunk.invalid().iter().try_for_each(|b| write!(f, "\\x{b:02x}"))?;
        }
        Ok(())
    }
}

impl fmt::Debug for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn quote_char(f: &mut fmt::Formatter<'_>, c: char) -> fmt::Result {
    match c {
        '"' | '\\' => write!(f, "\\{c}"),
        ' '..='~' => f.write_char(c),
        '\x07' => f.write_str("\\a"),
        '\x08' => f.write_str("\\b"),
        '\x0c' => f.write_str("\\f"),
        '\n' => f.write_str("\\n"),
        '\r' => f.write_str("\\r"),
        '\t' => f.write_str("\\t"),
        '\x0b' => f.write_str("\\v"),
        '\0'..='\x7f' => write!(f, "\\x{:02x}", u32::from(c)),
        _ if is_printable(c) => f.write_char(c),
        '\u{80}'..='\u{ffff}' => write!(f, "\\u{:04x}", u32::from(c)),
        _ => write!(f, "\\U{:08x}", u32::from(c)),
    }
}

/// Letters, marks, numbers, punctuation and symbols. The standard library has this table only behind
/// `escape_debug`, which lets combining marks pass when they do not come first.
fn is_printable(c: char) -> bool {
    let mut text = ['x', c].into_iter().collect::<String>();
    let plain = text.len();
    text = text.escape_debug().collect();
    text.len() == plain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(bytes: &[u8], quoted: &str) {
        assert_eq!(Quoted(bytes).to_string(), quoted);
    }

    // CORE-141
    #[test]
    fn shown_bytes_stay_on_their_line() {
        let text = Shown(b"PUB \"a\\ \xff\r\n[INF] forged \x1b[2J \xc3\xa9").to_string();
        assert_eq!(text, r#"PUB "a\ \xff\r\n[INF] forged \x1b[2J é"#);
    }

    // CORE-29: as `%q` prints.
    #[test]
    fn bytes_are_quoted_as_go_quotes_them() {
        check(b"", r#""""#);
        check(b"foo bar", r#""foo bar""#);
        check(b"say \"hi\" \\", r#""say \"hi\" \\""#);
        check(
            b"\x00\x07\x08\x0b\x0c\r\n\t\x1b\x7f",
            r#""\x00\a\b\v\f\r\n\t\x1b\x7f""#,
        );
        check(b"'", r#""'""#);
    }

    #[test]
    fn text_outside_ascii_stays_when_printable() {
        check(
            "grün 日本 e\u{301} 😀 \u{fffd}".as_bytes(),
            "\"grün 日本 e\u{301} 😀 \u{fffd}\"",
        );
        check(
            "\u{a0}\u{ad}\u{2028}\u{80}".as_bytes(),
            r#""\u00a0\u00ad\u2028\u0080""#,
        );
        check("\u{e0001}\u{10ffff}".as_bytes(), r#""\U000e0001\U0010ffff""#);
    }

    #[test]
    fn invalid_bytes_are_escaped_one_by_one() {
        check(b"a\xff\xc3b\xe2\x82", r#""a\xff\xc3b\xe2\x82""#);
    }
}
