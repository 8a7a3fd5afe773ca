//! Filters: what a subscription listens on.

use std::borrow::Borrow;
use std::fmt;

use crate::check;
use crate::subject::{Subject, SubjectError, Tokens};

/// A subject that a subscription may listen on: a [`Subject`] without empty tokens whose `>`, if it has one,
/// is the last token. (CORE-38)
///
/// A token `*` stands for any one token, `>` for one or more at the end.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Filter<'a>(Subject<'a>);

impl<'a> Filter<'a> {
    /// Takes a filter from anywhere but a NATS protocol line, see [`Subject::new`].
    pub fn new(bytes: &'a [u8]) -> Result<Self, SubjectError> {
        Self::try_from(Subject::new(bytes)?)
    }

    /// Takes an argument that was cut from a NATS protocol line, see [`Subject::from_wire`].
    pub fn from_wire(bytes: &'a [u8]) -> Result<Self, SubjectError> {
        Self::try_from(Subject::from_wire(bytes)?)
    }

    /// The filter as a subject.
    pub const fn as_subject(self) -> Subject<'a> {
        self.0
    }

    /// The bytes as they go over the wire.
    pub const fn as_bytes(self) -> &'a [u8] {
        self.0.as_bytes()
    }

    /// The parts between the dots; none is empty.
    pub fn tokens(self) -> Tokens<'a> {
        self.0.tokens()
    }

    /// Whether no token is a wildcard, so that the filter matches exactly one subject.
    pub fn is_literal(self) -> bool {
        self.0.is_literal()
    }

    /// A copy that owns its bytes.
    pub fn to_owned(self) -> FilterBuf {
        FilterBuf(self.as_bytes().into())
    }
}

impl<'a> TryFrom<Subject<'a>> for Filter<'a> {
    type Error = SubjectError;

    fn try_from(subject: Subject<'a>) -> Result<Self, SubjectError> {
        if check::has_filter_shape(subject.as_bytes()) {
            Ok(Self(subject))
        } else {
            Err(SubjectError::Shape)
        }
    }
}

impl<'a> From<Filter<'a>> for Subject<'a> {
    fn from(filter: Filter<'a>) -> Self {
        filter.0
    }
}

impl fmt::Display for Filter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Filter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// An owned [`Filter`]. A clone copies the bytes: a subscription owns one and is itself shared.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FilterBuf(Box<[u8]>);

impl FilterBuf {
    /// Like [`Filter::new`], without a copy.
    pub fn new(bytes: impl Into<Box<[u8]>>) -> Result<Self, SubjectError> {
        let bytes = bytes.into();
        Filter::new(&bytes)?;
        Ok(Self(bytes))
    }

    /// Like [`Filter::from_wire`], without a copy.
    pub(crate) fn from_wire(bytes: impl Into<Box<[u8]>>) -> Result<Self, SubjectError> {
        let bytes = bytes.into();
        Filter::from_wire(&bytes)?;
        Ok(Self(bytes))
    }

    /// The filter, borrowed.
    pub fn as_filter(&self) -> Filter<'_> {
        Filter(Subject::trusted(&self.0))
    }

    /// The filter as a subject.
    pub fn as_subject(&self) -> Subject<'_> {
        Subject::trusted(&self.0)
    }

    /// The bytes as they go over the wire.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl Borrow<[u8]> for FilterBuf {
    /// Lets a map keyed by filters be asked with plain bytes.
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

impl<'a> From<&'a FilterBuf> for Filter<'a> {
    fn from(filter: &'a FilterBuf) -> Self {
        filter.as_filter()
    }
}

impl From<Filter<'_>> for FilterBuf {
    fn from(filter: Filter<'_>) -> Self {
        filter.to_owned()
    }
}

impl fmt::Display for FilterBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_subject().fmt(f)
    }
}

impl fmt::Debug for FilterBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.as_subject(), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // CORE-38
    #[test]
    fn filter_from_wire_checks_tokens_and_nothing_else() {
        for bytes in [
            &b"foo"[..],
            b"*",
            b">",
            b"a.*.>",
            b"foo*",
            b"foo.>>",
            b"\xff.\x01",
            b"a\rb",
            b">bar.*baz",
        ] {
            assert!(Filter::from_wire(bytes).is_ok(), "{bytes:?}");
        }
        for bytes in [&b".foo"[..], b"foo.", b"foo..bar", b"foo.>.bar", b">.bar", b"."] {
            assert_eq!(Filter::from_wire(bytes), Err(SubjectError::Shape), "{bytes:?}");
        }
    }

    #[test]
    fn strict_filter_refuses_bytes_like_a_subject() {
        assert_eq!(
            Filter::new(b"a\r"),
            Err(SubjectError::Byte { byte: b'\r', at: 1 })
        );
        assert_eq!(
            FilterBuf::new(*b"a.\0"),
            Err(SubjectError::Byte { byte: 0, at: 2 })
        );
        assert_eq!(FilterBuf::new(*b"a..b"), Err(SubjectError::Shape));
        assert!(FilterBuf::new(*b"a.*.>").is_ok_and(|filter| !filter.as_filter().is_literal()));
    }
}
