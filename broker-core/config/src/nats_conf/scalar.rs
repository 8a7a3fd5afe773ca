//! Values that are neither arrays nor maps: strings of all kinds, numbers, dates, booleans.
//!
//! Rules: CORE-114 to CORE-116, CORE-120.

use super::cursor::{Cursor, END, is_blank, is_newline, shown};

/// A value as it stands in the text, before variables are looked up.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Scalar {
    Bool(bool),
    Integer(i64),
    Float(f64),
    Text(String),
    Date(String),
    Variable(String),
}

/// Why a scalar is refused.
pub(super) enum ScalarError {
    /// Lexer text, printed as `Parse error on line %d: '%s'`.
    Lexical(String),
    /// Text printed as it stands.
    Plain(String),
}

type Scanned = Result<Scalar, ScalarError>;

fn lexical<T>(text: impl Into<String>) -> Result<T, ScalarError> {
    Err(ScalarError::Lexical(text.into()))
}

/// Ends an unquoted word.
fn ends_word(character: char) -> bool {
    matches!(character, ';' | ',' | ']' | '}' | END) || is_newline(character) || is_blank(character)
}

/// Reads the scalar that starts at the cursor.
pub(super) fn scan(cursor: &mut Cursor<'_>) -> Scanned {
    match cursor.peek() {
        '\'' => single_quoted(cursor),
        '"' => double_quoted(cursor),
        '(' => block(cursor),
        '-' => negative(cursor),
        first if first.is_ascii_digit() => positive(cursor),
        '.' => {
            cursor.bump();
            lexical("Floats must start with a digit")
        }
        newline if is_newline(newline) => {
            cursor.bump();
            lexical("Expected value but found new line")
        }
        _ => word(cursor, cursor.at()),
    }
}

fn single_quoted(cursor: &mut Cursor<'_>) -> Scanned {
    cursor.bump();
    let text = cursor.take_while(|character| character != '\'');
    if cursor.take('\'') {
        Ok(Scalar::Text(text.to_owned()))
    } else {
        lexical("Unexpected EOF.")
    }
}

fn double_quoted(cursor: &mut Cursor<'_>) -> Scanned {
    cursor.bump();
    let mut bytes = Vec::new();
    loop {
        bytes.extend(
            cursor
                .take_while(|character| !matches!(character, '"' | '\\'))
                .bytes(),
        );
        match cursor.bump() {
            '"' => return Ok(Scalar::Text(decode(&bytes))),
            '\\' => bytes.push(escape(cursor)?),
            _ => return lexical("Unexpected EOF."),
        }
    }
}

/// `(` up to a `)` that stands alone on its line; both ends' newlines belong to the text.
fn block(cursor: &mut Cursor<'_>) -> Scanned {
    cursor.bump();
    let start = cursor.at();
    loop {
        cursor.take_while(|character| character != ')');
        let text = cursor.since(start);
        if !cursor.take(')') {
            return lexical("Unexpected EOF processing block.");
        }
        if text.ends_with('\n') && matches!(cursor.peek(), '\n' | END) {
            return Ok(Scalar::Text(text.to_owned()));
        }
    }
}

/// An unquoted word whose first bytes, from `start`, may have been taken already.
fn word(cursor: &mut Cursor<'_>, start: usize) -> Scanned {
    let mut bytes = Vec::new();
    let mut part = start;
    let mut escaped = false;
    loop {
        cursor.take_while(|character| !ends_word(character) && !matches!(character, '\\' | '\''));
        bytes.extend(cursor.since(part).bytes());
        if cursor.take('\\') {
            bytes.push(escape(cursor)?);
            escaped = true;
            part = cursor.at();
            continue;
        }
        let text = decode(&bytes);
        if cursor.take('\'') || escaped {
            return Ok(Scalar::Text(text)); // A closing quote ends the word and makes it text.
        }
        return Ok(match text.to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" => Scalar::Bool(true),
            "false" | "no" | "off" => Scalar::Bool(false),
            _ => match text.strip_prefix('$') {
                Some(name) => Scalar::Variable(name.to_owned()),
                None => Scalar::Text(text),
            },
        });
    }
}

/// The byte that the escape after a backslash stands for.
fn escape(cursor: &mut Cursor<'_>) -> Result<u8, ScalarError> {
    match cursor.bump() {
        'x' => hexadecimal(cursor),
        't' => Ok(b'\t'),
        'n' => Ok(b'\n'),
        'r' => Ok(b'\r'),
        '"' => Ok(b'"'),
        '\\' => Ok(b'\\'),
        other => lexical(format!(
            "Invalid escape character '{}'. Only the following escape characters are allowed: \
             \\xXX, \\t, \\n, \\r, \\\", \\\\.",
            shown(other)
        )),
    }
}

fn hexadecimal(cursor: &mut Cursor<'_>) -> Result<u8, ScalarError> {
    for _ in 0..2 {
        if is_newline(cursor.bump()) {
            return lexical("Expected two hexadecimal digits after '\\x', but hit end of line");
        }
    }
    let digits = cursor.last_bytes(2);
    if digits.chars().all(|digit| digit.is_ascii_hexdigit()) && digits.len() == 2 {
        return Ok(u8::from_str_radix(digits, 16).unwrap_or_default());
    }
    lexical(format!(
        "Expected two hexadecimal digits after '\\x', but got '{digits}'"
    ))
}

/// A number, date, address or word that begins with a digit.
fn positive(cursor: &mut Cursor<'_>) -> Scanned {
    let start = cursor.at();
    let digits = cursor.take_while(|character| character.is_ascii_digit());
    match cursor.peek() {
        '-' => {
            cursor.bump();
            if digits.len() == 4 {
                date(cursor, start)
            } else {
                lexical("All ISO8601 dates must be in full Zulu form.")
            }
        }
        '.' => fraction(cursor, start),
        letter if is_suffix(letter) => suffixed(cursor, start, digits),
        // CORE-116: the reference lets `1]` run on as a word; here the bracket ends the number.
        end if ends_word(end) => integer(digits, ""),
        _ => {
            cursor.bump(); // Whatever follows the digits belongs to the word, a quote or backslash too.
            word(cursor, start)
        }
    }
}

fn negative(cursor: &mut Cursor<'_>) -> Scanned {
    let start = cursor.at();
    cursor.bump();
    if !cursor.peek().is_ascii_digit() {
        return match cursor.bump() {
            '.' => lexical("Floats must start with a digit, not '.'."),
            other => lexical(format!("Expected a digit but got '{}'.", shown(other))),
        };
    }
    cursor.take_while(|character| character.is_ascii_digit());
    let digits = cursor.since(start);
    match cursor.peek() {
        '.' => fraction(cursor, start),
        letter if is_suffix(letter) => suffixed(cursor, start, digits),
        _ => integer(digits, ""),
    }
}

fn is_suffix(letter: char) -> bool {
    matches!(letter.to_ascii_lowercase(), 'k' | 'm' | 'g' | 't' | 'p' | 'e')
}

/// `8k`, `64MiB`; or a word after all (`10s` never comes here, `5ms` does).
fn suffixed(cursor: &mut Cursor<'_>, start: usize, digits: &str) -> Scanned {
    let from = cursor.at();
    cursor.bump();
    cursor.take_while(|letter| matches!(letter, 'b' | 'B' | 'i' | 'I'));
    if ends_word(cursor.peek()) {
        integer(digits, cursor.since(from))
    } else {
        word(cursor, start)
    }
}

fn integer(digits: &str, suffix: &str) -> Scanned {
    let lower = suffix.to_ascii_lowercase();
    let power = |letter: &str| "kmgtpe".find(letter).and_then(|at| u32::try_from(at + 1).ok());
    let factor = match lower.split_at_checked(1) {
        None => Some(1),
        Some((letter, "")) => power(letter).and_then(|exponent| 1000_i64.checked_pow(exponent)),
        Some((letter, "b" | "i" | "ib")) => power(letter).and_then(|exponent| 1024_i64.checked_pow(exponent)),
        Some(_) => None,
    };
    let Some(factor) = factor else {
        // The reference drops such an entry without a word (CORE-116), which nobody can mean.
        return Err(ScalarError::Plain(format!(
            "expected integer, but got '{digits}{suffix}'"
        )));
    };
    match digits
        .parse::<i64>()
        .ok()
        .and_then(|number| number.checked_mul(factor))
    {
        Some(number) => Ok(Scalar::Integer(number)),
        None => Err(ScalarError::Plain(format!(
            "integer '{digits}{suffix}' is out of the range"
        ))),
    }
}

/// After the digits before a dot: a float, or with a second dot an address.
fn fraction(cursor: &mut Cursor<'_>, start: usize) -> Scanned {
    cursor.bump();
    if cursor
        .take_while(|character| character.is_ascii_digit())
        .is_empty()
    {
        let got = shown(cursor.bump());
        return lexical(format!(
            "Floats must have a digit after the '.', but got '{got}' instead."
        ));
    }
    if cursor.peek() == '.' {
        cursor.take_while(|character| character.is_ascii_digit() || matches!(character, '.' | ':' | '-'));
        return Ok(Scalar::Text(cursor.since(start).to_owned()));
    }
    let text = cursor.since(start);
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() => Ok(Scalar::Float(number)),
        _ => Err(ScalarError::Plain(format!("float '{text}' is out of the range"))),
    }
}

/// After `dddd-`: the rest of `YYYY-MM-DDThh:mm:ssZ`.
fn date(cursor: &mut Cursor<'_>, start: usize) -> Scanned {
    for wanted in "00-00T00:00:00Z".chars() {
        let got = cursor.bump();
        if wanted == '0' && !got.is_ascii_digit() {
            let got = shown(got);
            return lexical(format!(
                "Expected digit in ISO8601 datetime, but found '{got}' instead."
            ));
        }
        if wanted != '0' && wanted != got {
            let got = shown(got);
            return lexical(format!(
                "Expected '{wanted}' in ISO8601 datetime, but found '{got}' instead."
            ));
        }
    }
    let text = cursor.since(start);
    if is_calendar_date(text) {
        Ok(Scalar::Date(text.to_owned()))
    } else {
        Err(ScalarError::Plain(format!(
            "expected Zulu formatted DateTime, but got '{text}'"
        )))
    }
}

fn is_calendar_date(text: &str) -> bool {
    let fields: Vec<u32> = text
        .split(|c: char| !c.is_ascii_digit())
        .filter_map(|field| field.parse().ok())
        .collect();
    let &[year, month, day, hour, minute, second] = fields.as_slice() else {
        return false;
    };
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 => 28 + u32::from(leap),
        _ => 0,
    };
    (1..=days).contains(&day) && hour < 24 && minute < 60 && second < 60
}

/// The text of `bytes`; each byte that is no UTF-8 becomes U+FFFD, as the reference's JSON shows it.
pub(super) fn decode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|_| char::REPLACEMENT_CHARACTER));
    }
    text
}
