//! Which subjects, in the order of their bytes, a filter can still match.

use crate::check::{FULL_WILDCARD, PARTIAL_WILDCARD};
use crate::filter::Filter;

/// The next subject that a filter may match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Any that follows.
    Any,
    /// None below this one.
    From(Vec<u8>),
    /// No more.
    Nowhere,
}

/// What every matching subject begins with: all up to the first wildcard.
pub(super) fn literal_prefix(filter: Filter<'_>) -> &[u8] {
    let literal = filter.tokens().take_while(|token| !is_wildcard(token));
    let len: usize = literal.map(|token| token.len() + 1).sum();
    let bytes = filter.as_bytes();
    bytes.get(..len).unwrap_or(bytes)
}

/// What may follow `subject`, which does not match `filter` but begins with its literal prefix.
pub(super) fn next_after(filter: Filter<'_>, subject: &[u8]) -> Next {
    let mut wanted = filter.tokens().peekable();
    // Offset of the token looked at.
    let mut at = 0;
    while let Some(token) = wanted.next() {
        let Some(rest) = subject.get(at..) else {
            // Longer subjects come right behind it.
            return Next::Any;
        };
        if token == FULL_WILDCARD {
            return Next::Any;
        }
        let len = rest.iter().position(|byte| *byte == b'.').unwrap_or(rest.len());
        if token != PARTIAL_WILDCARD && rest.get(..len) != Some(token) {
            let head = subject.get(..at).unwrap_or_default();
            let mut target = [head, token].concat();
            if wanted.peek().is_some() {
                target.push(b'.');
            }
            return if subject < target.as_slice() {
                Next::From(target)
            } else {
                behind(head)
            };
        }
        at += len + 1;
    }
    match subject.get(..at) {
        // It is longer than the filter, and so is all that begins like it.
        Some(head) => behind(head),
        None => Next::Any,
    }
}

/// What follows everything that begins with `head`, which ends with a dot or is empty.
fn behind(head: &[u8]) -> Next {
    match head.split_last() {
        Some((dot, head)) => Next::From([head, &[dot + 1]].concat()),
        None => Next::Nowhere,
    }
}

fn is_wildcard(token: &[u8]) -> bool {
    token == PARTIAL_WILDCARD || token == FULL_WILDCARD
}

#[cfg(test)]
mod tests {
    use super::*;

    // STORE-129
    #[test]
    fn what_cannot_match_is_passed_over_as_far_as_possible() {
        let filter = Filter::new(b"a.*.c.*").unwrap();
        assert_eq!(literal_prefix(filter), b"a.");
        assert_eq!(literal_prefix(Filter::new(b"a.b").unwrap()), b"a.b");
        let from = |target: &[u8]| Next::From(target.to_vec());
        for (subject, next) in [
            (b"a.1.b.x".as_slice(), from(b"a.1.c.")),
            (b"a.1.d.x", from(b"a.1/")), // Behind all that begin with `a.1.`.
            (b"a.1.c.x.y", from(b"a.1.c.x/")),
            (b"b.1", Next::Nowhere),
            (b"a", Next::Any),
        ] {
            assert_eq!(next_after(filter, subject), next, "{}", subject.escape_ascii());
        }
    }
}
