//! JSON as Go reads and writes it.
//!
//! Keys match in any case, unknown keys pass, `null` leaves a value as it is, a wrong type is an error
//! (CORE-18). Error texts never repeat a value: it may be a password.

use std::borrow::Cow;
use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::de::{DeserializeOwned, DeserializeSeed, Deserializer, Error as _, MapAccess, Visitor};
use serde::{Serialize, Serializer};
use serde_json::error::Category;

use crate::{Secret, SubjectPermission};

/// Why a JSON document of the handshake is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JsonError {
    /// The text ends before the document does.
    #[error("unexpected end of JSON input")]
    End,
    /// Not JSON at all.
    #[error("invalid JSON at byte {at}")]
    Syntax {
        /// Where, counted from 1.
        at: usize,
    },
    /// A known key with a value of the wrong type or out of range.
    #[error("wrong type of value for {key:?}")]
    Type {
        /// The key.
        key: &'static str,
    },
    /// JSON, but not an object.
    #[error("not a JSON object")]
    NoObject,
}

/// A document whose fields can be set one by one.
pub(crate) trait Merge {
    /// Reads the next value of `map` into the field named `key`, which is in lower case. Sets `at` to the
    /// field's name before. An unknown key's value is read and dropped.
    fn merge_field<'de, A: MapAccess<'de>>(
        &mut self,
        key: &str,
        map: &mut A,
        at: &mut Option<&'static str>,
    ) -> Result<(), A::Error>;
}

/// Implements [`Merge`] for a struct whose fields are named like their keys.
macro_rules! merge_fields {
    ($document:ty: $($field:ident)*) => {
        impl $crate::json::Merge for $document {
            fn merge_field<'de, A: serde::de::MapAccess<'de>>(
                &mut self,
                key: &str,
                map: &mut A,
                at: &mut Option<&'static str>,
            ) -> Result<(), A::Error> {
                $(if key == stringify!($field) {
                    *at = Some(stringify!($field));
                    return $crate::json::Field::merge(&mut self.$field, map);
                })*
                map.next_value::<serde::de::IgnoredAny>().map(drop)
            }
        }
    };
}
pub(crate) use merge_fields;

/// A field that a JSON value may replace.
pub(crate) trait Field {
    fn merge<'de, A: MapAccess<'de>>(&mut self, map: &mut A) -> Result<(), A::Error>;
}

macro_rules! plain_fields {
    ($($kind:ty)*) => {$(
        impl Field for $kind {
            fn merge<'de, A: MapAccess<'de>>(&mut self, map: &mut A) -> Result<(), A::Error> {
                take(map).map(|value: Option<$kind>| if let Some(value) = value { *self = value })
            }
        }
    )*};
}
plain_fields!(bool i32 i64 u8 u64 String);

impl Field for Secret {
    fn merge<'de, A: MapAccess<'de>>(&mut self, map: &mut A) -> Result<(), A::Error> {
        take(map).map(|text: Option<String>| {
            if let Some(text) = text {
                *self = Self::new(text)
            }
        })
    }
}

// `null` empties lists and optional objects, as it empties Go's slices and pointers.
impl Field for Vec<String> {
    fn merge<'de, A: MapAccess<'de>>(&mut self, map: &mut A) -> Result<(), A::Error> {
        let list: Option<Vec<Option<String>>> = take(map)?;
        *self = list
            .unwrap_or_default()
            .into_iter()
            .map(Option::unwrap_or_default)
            .collect();
        Ok(())
    }
}

impl Field for Vec<u8> {
    fn merge<'de, A: MapAccess<'de>>(&mut self, map: &mut A) -> Result<(), A::Error> {
        let text: Option<String> = take(map)?;
        *self = BASE64_STANDARD
            .decode(text.unwrap_or_default())
            .map_err(A::Error::custom)?;
        Ok(())
    }
}

impl Field for Option<Box<SubjectPermission>> {
    fn merge<'de, A: MapAccess<'de>>(&mut self, map: &mut A) -> Result<(), A::Error> {
        let mut value = self.take().map(|boxed| *boxed);
        value.merge(map)?;
        *self = value.map(Box::new);
        Ok(())
    }
}

impl Field for Option<SubjectPermission> {
    fn merge<'de, A: MapAccess<'de>>(&mut self, map: &mut A) -> Result<(), A::Error> {
        let mut value = self.take().unwrap_or_default();
        let given = map.next_value_seed(Merger {
            into: &mut value,
            at: &mut None,
        })?;
        *self = given.then_some(value);
        Ok(())
    }
}

fn take<'de, A: MapAccess<'de>, T: DeserializeOwned>(map: &mut A) -> Result<Option<T>, A::Error> {
    map.next_value()
}

/// Merges one object into a document; `false` for `null`, which changes nothing.
pub(crate) struct Merger<'t, T> {
    pub(crate) into: &'t mut T,
    pub(crate) at: &'t mut Option<&'static str>,
}

impl<'de, T: Merge> DeserializeSeed<'de> for Merger<'_, T> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, T: Merge> Visitor<'de> for Merger<'_, T> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_unit<E>(self) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<bool, A::Error> {
        while let Some(key) = map.next_key::<Cow<'_, str>>()? {
            self.into.merge_field(&folded(&key), &mut map, self.at)?;
            *self.at = None;
        }
        Ok(true)
    }
}

/// Merges the object `json` into `document`. Nothing bounds the size here: a control line is bounded. On an
/// error some fields may be merged already.
pub(crate) fn merge(document: &mut impl Merge, json: &[u8]) -> Result<(), JsonError> {
    let text = mended(json);
    let mut at = None;
    let mut reader = serde_json::Deserializer::from_str(&text);
    let merger = Merger {
        into: document,
        at: &mut at,
    };
    let read = merger.deserialize(&mut reader).and_then(|_| reader.end());
    read.map_err(|error| match (error.classify(), at) {
        (Category::Eof, _) => JsonError::End,
        (Category::Syntax | Category::Io, _) => JsonError::Syntax {
            at: byte_at(&text, &error),
        },
        (Category::Data, Some(key)) => JsonError::Type { key },
        (Category::Data, None) => JsonError::NoObject,
    })
}

/// Writes compact JSON with `<`, `>`, `&` and the two Unicode line separators escaped (CORE-14).
pub(crate) fn to_vec(value: &impl Serialize) -> Vec<u8> {
    // Fails only for maps with odd keys and failing `Serialize` impls; documents here have neither.
    let plain = serde_json::to_string(value).unwrap_or_default();
    let mut out = Vec::with_capacity(plain.len() + 16);
    let mut rest = plain.as_str();
    // These occur nowhere but inside strings, so replacing them in the finished text is safe.
    while let Some((at, found)) = rest.char_indices().find(|(_, c)| escape(*c).is_some()) {
        let (before, behind) = rest.split_at(at);
        out.extend_from_slice(before.as_bytes());
        out.extend_from_slice(escape(found).unwrap_or_default());
        rest = behind.get(found.len_utf8()..).unwrap_or_default();
    }
    out.extend_from_slice(rest.as_bytes());
    out
}

/// `serialize_with` for bytes, which Go writes in base64.
pub(crate) fn base64<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&BASE64_STANDARD.encode(bytes))
}

fn escape(c: char) -> Option<&'static [u8]> {
    Some(match c {
        '<' => b"\\u003c",
        '>' => b"\\u003e",
        '&' => b"\\u0026",
        '\u{2028}' => b"\\u2028",
        '\u{2029}' => b"\\u2029",
        _ => return None,
    })
}

/// The key as Go compares it: lower case, with the two letters outside ASCII that fold into it.
fn folded(key: &str) -> String {
    key.chars()
        .map(|c| match c {
            '\u{17f}' => 's',
            '\u{212a}' => 'k',
            c => c.to_ascii_lowercase(),
        })
        .collect()
}

/// Replaces what Go's reader replaces and ours refuses: invalid UTF-8 and escaped halves of a
/// surrogate pair. Clients in languages with UTF-16 strings send the latter when they cut a name.
fn mended(json: &[u8]) -> Cow<'_, str> {
    let text = String::from_utf8_lossy(json);
    if !text.contains("\\ud") && !text.contains("\\uD") {
        return text;
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = &*text;
    while let Some(at) = rest.find('\\') {
        let (before, escape) = rest.split_at(at);
        out.push_str(before);
        let unit = |at: usize| {
            let digits = escape.get(at..)?.strip_prefix("\\u")?.get(..4)?;
            u16::from_str_radix(digits, 16).ok()
        };
        let (kept, len) = match unit(0) {
            Some(0xd800..=0xdbff) if matches!(unit(6), Some(0xdc00..=0xdfff)) => (true, 12),
            Some(0xd800..=0xdfff) => (false, 6),
            // The escaped character is taken along, as it may be a backslash.
            _ => (true, 1 + escape.chars().nth(1).map_or(0, char::len_utf8)),
        };
        let (escape, behind) = escape.split_at_checked(len).unwrap_or((escape, ""));
        out.push_str(if kept { escape } else { "\\ufffd" });
        rest = behind;
    }
    out.push_str(rest);
    Cow::Owned(out)
}

fn byte_at(text: &str, error: &serde_json::Error) -> usize {
    let lines = text.split_inclusive('\n').take(error.line().saturating_sub(1));
    lines.map(str::len).sum::<usize>() + error.column()
}
