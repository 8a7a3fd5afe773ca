//! The types that keys have, beyond sections: [`ConfigValue`] for the standard types and for the types of
//! CORE-126 (listen address, duration, size, one-or-many).

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use crate::report::Report;
use crate::section::{ConfigValue, Field, FromDefault};
use crate::shape::Shape;
use crate::text::{parse_duration, print_duration, quote};
use crate::value::Value;

/// Text that must not be shown: it neither prints nor serialises, and costs what a `String` costs.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text, for the one place that compares it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether it is a bcrypt hash (AUTH-10): `$2a$`, `$2b$`, `$2x$` or `$2y$`, two digits of cost, and more.
    pub fn is_bcrypt(&self) -> bool {
        matches!(
            self.0.as_bytes(),
            [b'$', b'2', b'a' | b'b' | b'x' | b'y', b'$', tens, ones, b'$', ..]
                if tens.is_ascii_digit() && ones.is_ascii_digit()
        )
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[REDACTED]")
    }
}

/// A number of bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSize(pub u64);

/// Where to listen: a port, or `"host:port"` (CORE-126).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenAddress {
    /// Host name or address without brackets; empty when only a port was given.
    pub host: String,
    /// Port; -1 asks for any free one, 0 for the listener's default.
    pub port: i32,
}

impl ListenAddress {
    /// Reads `host:port` as the reference does: brackets around IPv6, an empty host allowed.
    pub fn parse(text: &str) -> Result<Self, String> {
        let bad = || format!("could not parse address string {}", quote(text));
        let (host, port) = text.rsplit_once(':').ok_or_else(bad)?;
        let host = match host.strip_prefix('[') {
            Some(inner) => inner
                .strip_suffix(']')
                .filter(|inner| !inner.contains(['[', ']']))
                .ok_or_else(bad)?,
            None if host.contains([':', '[', ']']) || port.contains(['[', ']']) => return Err(bad()),
            None => host,
        };
        let port = port
            .parse()
            .map_err(|_| format!("could not parse port {}", quote(port)))?;
        Ok(Self {
            host: host.to_owned(),
            port,
        })
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// One value, or an array of them (A1 of CORE-126).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OneOrMany<T>(pub Vec<T>);

impl<T> Default for OneOrMany<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl ConfigValue for bool {
    const KIND: &'static str = "bool";
    const SHAPE: Shape = Shape::Bool;
    const ABSENT: &'static str = "false";

    fn from_field(field: &Field<'_>, report: &mut Report) -> Option<Self> {
        match field.node.value {
            Value::Bool(value) => Some(value),
            _ => field.wrong_type("bool", report),
        }
    }
}

macro_rules! integers {
    ($($kind:ty),*) => {$(
        /// Out of range: `<key> value is too big`, or `.. can not be negative`.
        impl ConfigValue for $kind {
            const KIND: &'static str = "integer";
            const SHAPE: Shape = Shape::Integer;
            const ABSENT: &'static str = "0";

            fn from_field(field: &Field<'_>, report: &mut Report) -> Option<Self> {
                let value = integer(field, report)?;
                match <$kind>::try_from(value) {
                    Ok(value) => Some(value),
                    Err(_) if value < 0 && <$kind>::MIN == 0 => {
                        field.error(format!("{} value can not be negative", field.key), report)
                    }
                    Err(_) => field.error(format!("{} value is too big", field.key), report),
                }
            }
        }
    )*};
}
integers!(u8, u16, u32, u64, usize, i32, i64);

impl ConfigValue for f64 {
    const KIND: &'static str = "number";
    const SHAPE: Shape = Shape::Number;
    const ABSENT: &'static str = "0";

    fn from_field(field: &Field<'_>, report: &mut Report) -> Option<Self> {
        match field.node.value {
            Value::Float(value) => Some(value),
            Value::Integer(value) => Some(value as f64),
            _ => field.wrong_type("float64", report),
        }
    }
}

impl ConfigValue for String {
    const KIND: &'static str = "string";
    const SHAPE: Shape = Shape::Text;

    fn from_field(field: &Field<'_>, report: &mut Report) -> Option<Self> {
        match &field.node.value {
            Value::String(text) => Some(text.clone()),
            _ => field.wrong_type("string", report),
        }
    }
}

impl FromDefault for String {
    fn from_default(text: &'static str) -> Self {
        text.to_owned()
    }
}

impl ConfigValue for Secret {
    const KIND: &'static str = "secret string";
    const SHAPE: Shape = Shape::Text;

    fn from_field(field: &Field<'_>, report: &mut Report) -> Option<Self> {
        String::from_field(field, report).map(Self)
    }
}

/// Duration string, or whole seconds with a warning (D of CORE-126). Never negative.
impl ConfigValue for Duration {
    const KIND: &'static str = "duration";
    const SHAPE: Shape = Shape::Duration;

    fn from_field(field: &Field<'_>, report: &mut Report) -> Option<Self> {
        if field.node.value.as_str().is_some() {
            return duration_text(field, report);
        }
        let key = field.key.to_ascii_lowercase();
        let finding = report.warning(
            field.pos,
            &key,
            &format!("{key} should be converted to a duration"),
        );
        if let Value::Integer(seconds) = field.node.value {
            let text = print_duration(seconds.saturating_mul(1_000_000_000));
            finding.remedy(format!("write {key}: \"{text}\""));
        }
        match u64::try_from(integer(field, report)?) {
            Ok(seconds) => Some(Duration::from_secs(seconds)),
            Err(_) => field.error(format!("{key} value can not be negative"), report),
        }
    }
}

impl FromDefault for Duration {
    fn from_default(text: &'static str) -> Self {
        let nanoseconds = parse_duration(text)
            .ok()
            .and_then(|value| u64::try_from(value).ok());
        Duration::from_nanos(nanoseconds.unwrap_or_default())
    }
}

/// Whole bytes, or a string ending in K M G T, powers of 1024 (Z of CORE-126).
impl ConfigValue for ByteSize {
    const KIND: &'static str = "size";
    const SHAPE: Shape = Shape::Size;
    const ABSENT: &'static str = "0";

    fn from_field(field: &Field<'_>, report: &mut Report) -> Option<Self> {
        let size = match &field.node.value {
            Value::Integer(bytes) => Ok(*bytes),
            Value::String(text) => parse_size(text),
            _ => Err("must be int64 or string".to_owned()),
        };
        match size.map(u64::try_from) {
            Ok(Ok(bytes)) => Some(Self(bytes)),
            Ok(Err(_)) => field.error(format!("{} value can not be negative", field.key), report),
            Err(reason) => field.error(reason, report),
        }
    }
}

impl FromDefault for ByteSize {
    fn from_default(text: &'static str) -> Self {
        let bytes = parse_size(text).ok().and_then(|bytes| u64::try_from(bytes).ok());
        Self(bytes.unwrap_or_default())
    }
}

impl ConfigValue for ListenAddress {
    const KIND: &'static str = "port or \"host:port\"";
    const SHAPE: Shape = Shape::Listen;

    fn from_field(field: &Field<'_>, report: &mut Report) -> Option<Self> {
        let parsed = match &field.node.value {
            Value::Integer(port) => i32::try_from(*port)
                .map(|port| Self {
                    host: String::new(),
                    port,
                })
                .map_err(|_| format!("could not parse port {}", quote(&port.to_string()))),
            Value::String(text) => Self::parse(text),
            other => Err(format!("expected port or host:port, got {}", other.type_name())),
        };
        match parsed {
            Ok(address) => Some(address),
            Err(reason) => {
                report
                    .error(field.pos, field.key, reason)
                    .remedy("write a port, or \"host:port\"");
                None
            }
        }
    }
}

impl FromDefault for ListenAddress {
    fn from_default(text: &'static str) -> Self {
        Self::parse(text).unwrap_or(Self {
            host: String::new(),
            port: 0,
        })
    }
}

/// Absent is `None`.
impl<T: ConfigValue> ConfigValue for Option<T> {
    const KIND: &'static str = T::KIND;
    const SHAPE: Shape = T::SHAPE;

    fn from_field(field: &Field<'_>, report: &mut Report) -> Option<Self> {
        T::from_field(field, report).map(Some)
    }
}

impl<T: FromDefault> FromDefault for Option<T> {
    fn from_default(text: &'static str) -> Self {
        Some(T::from_default(text))
    }
}

/// An array; elements that fail are reported and left out.
impl<T: ConfigValue> ConfigValue for Vec<T> {
    const KIND: &'static str = "array";
    const SHAPE: Shape = Shape::List(&T::SHAPE);
    const ABSENT: &'static str = "[]";

    fn from_field(field: &Field<'_>, report: &mut Report) -> Option<Self> {
        match field.elements() {
            Some(elements) => Some(elements.filter_map(|item| T::from_field(&item, report)).collect()),
            None => field.wrong_type("[]interface {}", report),
        }
    }
}

impl<T: ConfigValue> ConfigValue for OneOrMany<T> {
    const KIND: &'static str = "value or array";
    const SHAPE: Shape = Shape::OneOrMany(&T::SHAPE);
    const ABSENT: &'static str = "[]";

    fn from_field(field: &Field<'_>, report: &mut Report) -> Option<Self> {
        match field.elements() {
            Some(_) => Vec::from_field(field, report).map(Self),
            None => T::from_field(field, report).map(|one| Self(vec![one])),
        }
    }
}

/// A table with free keys, kept sorted.
impl<T: ConfigValue> ConfigValue for BTreeMap<String, T> {
    const KIND: &'static str = "table";
    const SHAPE: Shape = Shape::Map(&T::SHAPE);
    const ABSENT: &'static str = "{}";

    fn from_field(field: &Field<'_>, report: &mut Report) -> Option<Self> {
        let table = field.table(report)?;
        let entries = table.table().iter();
        Some(
            entries
                .filter_map(|entry| Some((entry.key.to_string(), T::from_field(&Field::of(entry), report)?)))
                .collect(),
        )
    }
}

/// A duration that must be written as a string; never negative.
pub fn duration_text(field: &Field<'_>, report: &mut Report) -> Option<Duration> {
    let Value::String(text) = &field.node.value else {
        return field.wrong_type("string", report);
    };
    let key = field.key.to_ascii_lowercase();
    match parse_duration(text).map(u64::try_from) {
        Ok(Ok(nanoseconds)) => Some(Duration::from_nanos(nanoseconds)),
        Ok(Err(_)) => field.error(format!("{key} value can not be negative"), report),
        Err(reason) => {
            report
                .error(field.pos, field.key, format!("error parsing {key}: {reason}"))
                .remedy("durations look like \"500ms\", \"2m\" or \"1h30m\"");
            None
        }
    }
}

/// A whole number, or the wrong-type error.
pub(crate) fn integer(field: &Field<'_>, report: &mut Report) -> Option<i64> {
    match field.node.value {
        Value::Integer(value) => Some(value),
        _ => field.wrong_type("int64", report),
    }
}

fn parse_size(text: &str) -> Result<i64, String> {
    let Some(suffix) = text.chars().next_back() else {
        return Ok(0);
    };
    let number = text.strip_suffix(suffix).unwrap_or_default();
    let bad = |why: &str| format!("strconv.ParseInt: parsing {}: {why}", quote(number));
    let number: i64 = number
        .parse()
        .map_err(|error: std::num::ParseIntError| match error.kind() {
            std::num::IntErrorKind::PosOverflow | std::num::IntErrorKind::NegOverflow => {
                bad("value out of range")
            }
            _ => bad("invalid syntax"),
        })?;
    let shift = match suffix {
        'K' => 10,
        'M' => 20,
        'G' => 30,
        'T' => 40,
        _ => return Err("sizes defined as strings must end in K, M, G, T".to_owned()),
    };
    number
        .checked_mul(1 << shift)
        .ok_or_else(|| bad("value out of range"))
}

#[cfg(test)]
mod tests {
    use super::*;

    // CORE-126 [TestGetStorageSize]
    #[test]
    fn sizes_end_in_a_power_of_1024() {
        for (text, bytes) in [
            ("1K", 1 << 10),
            ("1M", 1 << 20),
            ("1G", 1 << 30),
            ("1T", 1 << 40),
            ("", 0),
        ] {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
        assert_eq!(
            parse_size("1L").unwrap_err(),
            "sizes defined as strings must end in K, M, G, T"
        );
        assert_eq!(
            parse_size("TT").unwrap_err(),
            "strconv.ParseInt: parsing \"T\": invalid syntax"
        );
        assert!(parse_size("9223372036854775807K").is_err());
        assert!(parse_size("é").is_err());
    }

    // CORE-126
    #[test]
    fn addresses_print_as_they_are_read() {
        for text in ["a:1", "0.0.0.0:4222", "[::1]:-1", ":80"] {
            assert_eq!(
                ListenAddress::parse(text).map(|address| address.to_string()),
                Ok(text.to_owned())
            );
        }
    }
}
