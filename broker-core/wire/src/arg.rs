//! One word of a protocol line.

use std::fmt;

use crate::Quoted;

/// A word between blanks: not empty, and free of space, tab and line feed.
///
/// Subjects, replies, queue names and subscription ids are such words. Writers take nothing else, so a
/// name cannot end its line and begin another. A carriage return may occur inside (CORE-24): without
/// the line feed it ends nothing. Decoded frames carry their words as `Arg`, at no cost.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Arg<'a>(&'a [u8]);

impl<'a> Arg<'a> {
    /// Checks `word`; `None` if it is empty or has a space, a tab or a line feed. Costs one scan.
    pub fn new(word: &'a [u8]) -> Option<Self> {
        let clean = !word.is_empty() && memchr::memchr3(b' ', b'\t', b'\n', word).is_none();
        clean.then_some(Self(word))
    }

    /// A word that a splitter cut at blanks out of one line.
    #[inline]
    pub(crate) fn from_splitter(word: &'a [u8]) -> Self {
        debug_assert!(Self::new(word).is_some(), "not one word: {}", Quoted(word));
        Self(word)
    }

    /// The bytes of the word. They need not be UTF-8.
    #[inline]
    pub fn as_bytes(self) -> &'a [u8] {
        self.0
    }
}

impl AsRef<[u8]> for Arg<'_> {
    fn as_ref(&self) -> &[u8] {
        self.0
    }
}

impl fmt::Debug for Arg<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", Quoted(self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // CORE-24: a word that could split a line is refused; a carriage return may stay.
    #[test]
    fn word_with_a_blank_or_line_feed_is_refused() {
        for bad in [&b""[..], b"a b", b"a\tb", b"a\n", b" "] {
            assert_eq!(Arg::new(bad), None, "{}", Quoted(bad));
        }
        for good in [&b"foo.bar"[..], b"a\rb", b"\xff", b"_INBOX.>"] {
            assert_eq!(Arg::new(good).map(Arg::as_bytes), Some(good));
        }
    }
}
