//! Names that travel beside a subject: queue groups, subscription ids, accounts.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use smallvec::SmallVec;

/// The name of a queue group: any bytes without space, tab and LF (CORE-40), so it can stand as one
/// argument in a protocol line.
///
/// A clone counts a reference: one name is held by every member and by each match result.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QueueName(Arc<[u8]>);

impl QueueName {
    /// Takes a name from anywhere but a NATS protocol line; also refuses CR, FF and NUL.
    pub fn new(bytes: &[u8]) -> Result<Self, NameError> {
        refuse_bytes(bytes, |byte| is_blank(byte) || matches!(byte, b'\r' | 0x0c | 0))?;
        Ok(Self(bytes.into()))
    }

    /// Takes an argument that was cut from a NATS protocol line.
    pub fn from_wire(bytes: &[u8]) -> Result<Self, NameError> {
        refuse_bytes(bytes, is_blank)?;
        Ok(Self(bytes.into()))
    }

    /// The bytes as they go over the wire.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// A subscription id that a client chose: any bytes without space, tab and LF. (CORE-40)
///
/// Up to 16 bytes lie in the value itself, since clients count their subscriptions from 1: keeping one in a
/// subscription and as a map's key allocates nothing.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sid(SmallVec<[u8; 16]>);

impl Sid {
    /// Takes an id from anywhere but a NATS protocol line; also refuses CR, FF and NUL.
    pub fn new(bytes: &[u8]) -> Result<Self, NameError> {
        refuse_bytes(bytes, |byte| is_blank(byte) || matches!(byte, b'\r' | 0x0c | 0))?;
        Ok(Self(SmallVec::from_slice(bytes)))
    }

    /// Takes an argument that was cut from a NATS protocol line.
    pub fn from_wire(bytes: &[u8]) -> Result<Self, NameError> {
        refuse_bytes(bytes, is_blank)?;
        Ok(Self(SmallVec::from_slice(bytes)))
    }

    /// The bytes as they go over the wire.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// The name of an account: UTF-8, not empty, no white space and no control characters.
///
/// A clone counts a reference.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountName(Arc<str>);

impl AccountName {
    /// Checks and takes a name.
    pub fn new(name: &str) -> Result<Self, NameError> {
        if name.is_empty() {
            return Err(NameError::Empty);
        }
        match name
            .char_indices()
            .find(|(_, char)| char.is_whitespace() || char.is_control())
        {
            Some((at, _)) => Err(NameError::Byte {
                byte: name.as_bytes().get(at).copied().unwrap_or(0),
                at,
            }),
            None => Ok(Self(name.into())),
        }
    }

    /// The account of everybody whom the configuration puts into no other, `$G` (AUTH-8).
    pub fn global() -> Self {
        Self(Arc::from("$G"))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Why bytes are no name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// Nothing is there.
    #[error("invalid name: empty")]
    Empty,
    /// A byte that would end an argument or a line, or that must not be shown.
    #[error("invalid name: byte 0x{byte:02x} at offset {at}")]
    Byte {
        /// The first such byte; of a longer character, the byte that begins it.
        byte: u8,
        /// Its offset in bytes.
        at: usize,
    },
}

impl Borrow<[u8]> for QueueName {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

impl Borrow<[u8]> for Sid {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

impl Borrow<str> for AccountName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for QueueName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        String::from_utf8_lossy(&self.0).fmt(f)
    }
}

impl fmt::Debug for QueueName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0.escape_ascii())
    }
}

impl fmt::Display for Sid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        String::from_utf8_lossy(&self.0).fmt(f)
    }
}

impl fmt::Debug for Sid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0.escape_ascii())
    }
}

impl fmt::Display for AccountName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for AccountName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n')
}

fn refuse_bytes(bytes: &[u8], refused: impl Fn(u8) -> bool) -> Result<(), NameError> {
    if bytes.is_empty() {
        return Err(NameError::Empty);
    }
    match bytes.iter().enumerate().find(|&(_, &byte)| refused(byte)) {
        Some((at, &byte)) => Err(NameError::Byte { byte, at }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // CORE-40
    #[test]
    fn queue_and_sid_are_any_bytes_that_are_not_blank() {
        for bytes in [&b"q"[..], b"\xff", b"a\rb", b"1", b"a.*.>", &[b'x'; 400]] {
            assert!(QueueName::from_wire(bytes).is_ok_and(|name| name.as_bytes() == bytes));
            assert!(Sid::from_wire(bytes).is_ok_and(|sid| sid.as_bytes() == bytes));
        }
        for bytes in [&b""[..], b" ", b"a b", b"a\tb", b"a\nb"] {
            assert!(
                QueueName::from_wire(bytes).is_err() && Sid::from_wire(bytes).is_err(),
                "{bytes:?}"
            );
        }
        for bytes in [&b"a\r"[..], b"a\0", b"a\x0c"] {
            assert!(
                QueueName::new(bytes).is_err() && Sid::new(bytes).is_err(),
                "{bytes:?}"
            );
        }
    }

    #[test]
    fn account_name_has_no_white_space_and_no_control_characters() {
        for name in ["$G", "$SYS", "Ä", "a.b", "ABC-1"] {
            assert_eq!(AccountName::new(name).unwrap().as_str(), name);
        }
        for name in [
            "",
            " ",
            "a b",
            "a\t",
            "a\r\nb",
            "\u{a0}",
            "a\u{2028}",
            "\u{7f}",
            "\0",
        ] {
            assert!(AccountName::new(name).is_err(), "{name:?}");
        }
    }

    #[test]
    fn sid_of_a_counting_client_fits_in_place() {
        let sid = Sid::from_wire(b"1234567890123456").unwrap();
        assert!(!sid.0.spilled());
        assert_eq!(size_of::<Sid>(), 24);
    }
}
