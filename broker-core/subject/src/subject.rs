//! Subjects: what a message is published to.

use std::borrow::Borrow;
use std::fmt;

use crate::check;

/// A subject: bytes that can stand as one argument in a protocol line.
///
/// Not empty, and without space, tab and LF, so writing one can neither end a line nor add an argument to
/// it. Nothing else is promised: it may hold empty tokens, wildcard tokens and bytes that are not UTF-8,
/// because clients may publish to all of these (CORE-48).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Subject<'a>(&'a [u8]);

impl<'a> Subject<'a> {
    /// Takes a subject from anywhere but a NATS protocol line: a configuration, another protocol, a JSON
    /// request. Refuses what no argument may hold and CR, FF and NUL as well, which pass only where the
    /// reference lets a client send them.
    pub fn new(bytes: &'a [u8]) -> Result<Self, SubjectError> {
        refuse_bytes(bytes, |byte| {
            matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0c | 0)
        })?;
        Ok(Self(bytes))
    }

    /// Takes an argument that was cut from a NATS protocol line.
    pub fn from_wire(bytes: &'a [u8]) -> Result<Self, SubjectError> {
        refuse_bytes(bytes, |byte| matches!(byte, b' ' | b'\t' | b'\n'))?;
        Ok(Self(bytes))
    }

    /// Takes bytes back that were a subject before, without looking again: only for those who keep subjects as bytes.
    /// Bytes that are none would let a protocol line be forged.
    pub fn kept(bytes: &'a [u8]) -> Self {
        debug_assert!(
            Self::from_wire(bytes).is_ok(),
            "no subject: {}",
            bytes.escape_ascii()
        );
        Self(bytes)
    }

    /// For bytes that a type of this crate has already checked.
    pub(crate) const fn trusted(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The bytes as they go over the wire.
    pub const fn as_bytes(self) -> &'a [u8] {
        self.0
    }

    /// The parts between the dots, empty ones included.
    pub fn tokens(self) -> Tokens<'a> {
        Tokens::new(self.0)
    }

    /// The token at `index`, counted from 0.
    pub fn token(self, index: usize) -> Option<&'a [u8]> {
        self.tokens().nth(index)
    }

    /// Whether no token is a wildcard. (CORE-93)
    pub fn is_literal(self) -> bool {
        check::is_literal(self.0)
    }

    /// Whether a pedantic client may publish here: no empty token, no wildcard token. (CORE-33, CORE-93)
    pub fn is_valid_literal(self) -> bool {
        check::is_valid_literal(self.0)
    }

    /// Whether this is a valid subject without wildcards. (CORE-93)
    pub fn is_valid_publish(self) -> bool {
        check::is_valid_publish(self.0)
    }

    /// Whether a dot leads, trails or is doubled: such a subject reaches nobody. (CORE-97)
    pub fn has_empty_token(self) -> bool {
        check::has_empty_token(self.0)
    }

    /// A copy that owns its bytes.
    pub fn to_owned(self) -> SubjectBuf {
        SubjectBuf(self.0.into())
    }
}

impl fmt::Display for Subject<'_> {
    /// Shows bytes that are not UTF-8 as replacement characters.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        String::from_utf8_lossy(self.0).fmt(f)
    }
}

impl fmt::Debug for Subject<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0.escape_ascii())
    }
}

/// An owned [`Subject`]. A clone copies the bytes; what many hold belongs behind an `Arc`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubjectBuf(Box<[u8]>);

impl SubjectBuf {
    /// Like [`Subject::new`], without a copy.
    pub fn new(bytes: impl Into<Box<[u8]>>) -> Result<Self, SubjectError> {
        let bytes = bytes.into();
        Subject::new(&bytes)?;
        Ok(Self(bytes))
    }

    /// Like [`Subject::from_wire`], without a copy.
    pub(crate) fn from_wire(bytes: impl Into<Box<[u8]>>) -> Result<Self, SubjectError> {
        let bytes = bytes.into();
        Subject::from_wire(&bytes)?;
        Ok(Self(bytes))
    }

    /// The subject, borrowed.
    pub fn as_subject(&self) -> Subject<'_> {
        Subject(&self.0)
    }

    /// The bytes as they go over the wire.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl Borrow<[u8]> for SubjectBuf {
    /// Lets a map keyed by subjects be asked with plain bytes.
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

impl<'a> From<&'a SubjectBuf> for Subject<'a> {
    fn from(subject: &'a SubjectBuf) -> Self {
        subject.as_subject()
    }
}

impl From<Subject<'_>> for SubjectBuf {
    fn from(subject: Subject<'_>) -> Self {
        subject.to_owned()
    }
}

impl fmt::Display for SubjectBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_subject().fmt(f)
    }
}

impl fmt::Debug for SubjectBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.as_subject(), f)
    }
}

/// The tokens of a subject in order; allocates nothing. Never empty: `.` has two empty tokens.
#[derive(Clone, Debug)]
pub struct Tokens<'a> {
    rest: Option<&'a [u8]>,
}

impl<'a> Tokens<'a> {
    pub(crate) const fn new(subject: &'a [u8]) -> Self {
        Self { rest: Some(subject) }
    }
}

impl<'a> Iterator for Tokens<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let rest = self.rest?;
        // Tokens are short, so a plain loop beats a search that sets itself up first.
        match rest
            .iter()
            .position(|&byte| byte == b'.')
            .and_then(|dot| rest.split_at_checked(dot))
        {
            Some((token, tail)) => {
                self.rest = tail.get(1..);
                Some(token)
            }
            None => {
                self.rest = None;
                Some(rest)
            }
        }
    }
}

impl std::iter::FusedIterator for Tokens<'_> {}

/// Why bytes are no [`Subject`] or no [`Filter`](crate::Filter).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SubjectError {
    /// Nothing is there.
    #[error("invalid subject: empty")]
    Empty,
    /// A byte that would end an argument or a line, or that must not be stored or shown.
    #[error("invalid subject: byte 0x{byte:02x} at offset {at}")]
    Byte {
        /// The first such byte.
        byte: u8,
        /// Its offset in bytes.
        at: usize,
    },
    /// A filter with an empty token, or with `>` before the last one. (CORE-38)
    #[error("invalid subject: empty token, or `>` that is not last")]
    Shape,
}

fn refuse_bytes(bytes: &[u8], refused: impl Fn(u8) -> bool) -> Result<(), SubjectError> {
    if bytes.is_empty() {
        return Err(SubjectError::Empty);
    }
    match bytes.iter().enumerate().find(|&(_, &byte)| refused(byte)) {
        Some((at, &byte)) => Err(SubjectError::Byte { byte, at }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(subject: &str) -> Vec<&str> {
        Tokens::new(subject.as_bytes())
            .map(|token| std::str::from_utf8(token).unwrap())
            .collect()
    }

    // CORE-93
    #[test]
    fn tokens_are_what_stands_between_the_dots() {
        assert_eq!(tokens("foo"), ["foo"]);
        assert_eq!(tokens("foo.*.bar"), ["foo", "*", "bar"]);
        assert_eq!(tokens(".foo..bar."), ["", "foo", "", "bar", ""]);
        assert_eq!(tokens("."), ["", ""]);
    }

    // CORE-93 [TestSubjectToken]
    #[test]
    fn token_by_index_is_none_beyond_the_last() {
        let subject = Subject::new(b"foo.bar.baz.*").unwrap();
        let found: Vec<_> = (0..5).map(|index| subject.token(index)).collect();
        assert_eq!(
            found,
            [Some(&b"foo"[..]), Some(b"bar"), Some(b"baz"), Some(b"*"), None]
        );
    }

    #[test]
    fn wire_subject_cannot_break_a_protocol_line() {
        for bytes in [&b"a b"[..], b"a\tb", b"a\n", b" a", b"a\r\nPUB x 0"] {
            assert!(
                matches!(Subject::from_wire(bytes), Err(SubjectError::Byte { .. })),
                "{bytes:?}"
            );
        }
        assert_eq!(Subject::from_wire(b""), Err(SubjectError::Empty));
        for bytes in [&b"a\rb"[..], b"\xff\xfe", b"..", b"a.>.b", b"\0"] {
            assert!(Subject::from_wire(bytes).is_ok(), "{bytes:?}");
        }
    }

    #[test]
    fn strict_subject_also_refuses_cr_ff_and_nul() {
        for byte in [b'\r', 0x0c, 0] {
            let bytes = [b'a', byte];
            assert_eq!(Subject::new(&bytes), Err(SubjectError::Byte { byte, at: 1 }));
            assert_eq!(SubjectBuf::new(bytes), Err(SubjectError::Byte { byte, at: 1 }));
        }
        assert!(Subject::new(b"a.\xc3\xa4").is_ok());
    }

    #[test]
    fn text_forms_hide_no_byte_in_debug_and_stay_readable_in_display() {
        let subject = Subject::from_wire(b"a.\xff\r").unwrap();
        assert_eq!(format!("{subject:?}"), r#""a.\xff\r""#);
        assert_eq!(subject.to_string(), "a.\u{fffd}\r");
        assert_eq!(format!("{:?}", subject.to_owned()), r#""a.\xff\r""#);
    }
}
