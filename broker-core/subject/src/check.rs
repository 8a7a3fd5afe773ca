//! The validity checks of CORE-93 on plain bytes.
//!
//! They answer for subjects that come from a configuration, a permission or an API request and are not yet
//! a [`Subject`](crate::Subject). Each is one pass without allocation.

use crate::subject::Tokens;

/// The token that stands for exactly one token.
pub(crate) const PARTIAL_WILDCARD: &[u8] = b"*";
/// The token that stands for one or more tokens at the end.
pub(crate) const FULL_WILDCARD: &[u8] = b">";

/// Whether no token is a wildcard. Empty tokens do not matter: `foo..bar` is literal. (CORE-93)
pub fn is_literal(subject: &[u8]) -> bool {
    !Tokens::new(subject).any(is_wildcard)
}

/// Whether `subject` can name a message or an interest in a configuration: no empty token, `>` only last,
/// no space, tab, LF, CR or FF. (CORE-93, "valid subject")
pub fn is_valid_subject(subject: &[u8]) -> bool {
    has_filter_shape(subject)
        && !subject
            .iter()
            .any(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0c))
}

/// [`is_valid_subject`] for names that are stored or shown: also no NUL, and valid UTF-8 without the
/// replacement character, which tells of text that was damaged before. (CORE-93, strict variant)
pub fn is_valid_subject_strict(subject: &[u8]) -> bool {
    is_valid_subject(subject)
        && std::str::from_utf8(subject).is_ok_and(|text| !text.contains(['\0', char::REPLACEMENT_CHARACTER]))
}

/// Whether a pedantic client may publish to `subject`: no empty token and no wildcard token. White space
/// is not looked at. (CORE-33, CORE-93, "valid literal")
pub fn is_valid_literal(subject: &[u8]) -> bool {
    Tokens::new(subject).all(|token| !token.is_empty() && !is_wildcard(token))
}

/// Whether `subject` is a [valid subject](is_valid_subject) without wildcards. (CORE-93)
pub fn is_valid_publish(subject: &[u8]) -> bool {
    is_valid_subject(subject) && is_literal(subject)
}

/// CORE-38: no empty token, `>` only last. Holds for SUB; control bytes and non-UTF-8 pass.
pub(crate) fn has_filter_shape(subject: &[u8]) -> bool {
    let mut ended = false;
    for token in Tokens::new(subject) {
        if ended || token.is_empty() {
            return false;
        }
        ended = token == FULL_WILDCARD;
    }
    true
}

/// Whether a dot leads, trails or is doubled, or nothing is there at all.
pub(crate) fn has_empty_token(subject: &[u8]) -> bool {
    let mut before = b'.';
    for &byte in subject {
        if byte == b'.' && before == b'.' {
            return true;
        }
        before = byte;
    }
    before == b'.'
}

fn is_wildcard(token: &[u8]) -> bool {
    token == PARTIAL_WILDCARD || token == FULL_WILDCARD
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(test: fn(&[u8]) -> bool, yes: &[&str], no: &[&str]) {
        for subject in yes {
            assert!(test(subject.as_bytes()), "{subject:?} should pass");
        }
        for subject in no {
            assert!(!test(subject.as_bytes()), "{subject:?} should be refused");
        }
    }

    /// Tokens with wildcard characters that are not wildcards.
    const LOOKALIKES: [&str; 15] = [
        "foo*", "foo**", "foo.**", "foo*bar", "foo.*bar", "foo*.bar", "*bar", "foo>", "foo>>", "foo.>>",
        "foo>bar", "foo.>bar", "foo>.bar", ">bar", "foo",
    ];

    // CORE-93 [TestSublistValidLiteralSubjects]
    #[test]
    fn valid_literal_has_no_empty_and_no_wildcard_token() {
        check(is_valid_literal, &LOOKALIKES, &[]);
        let refused = [
            ".foo",
            "foo.",
            "foo..bar",
            "foo.bar.*",
            "foo.bar.>",
            "*",
            ">",
            "",
            ".",
            "foo.*.bar",
        ];
        check(is_valid_literal, &["foo bar", "foo\t.bar"], &refused);
    }

    // CORE-93 [TestSublistValidSubjects]
    #[test]
    fn valid_subject_has_no_empty_token_and_full_wildcard_last() {
        check(
            is_valid_subject,
            &LOOKALIKES,
            &[".", ".foo", "foo.", "foo..bar", ">.bar", "foo.>.bar", ""],
        );
        check(
            is_valid_subject,
            &["foo.bar.*", "foo.bar.>", "*", ">", "*.*.>"],
            &[],
        );
        check(
            is_valid_subject_strict,
            &["foo", "grüße.*"],
            &["foo.bar.baz.\0", "foo.\u{fffd}", ".foo"],
        );
        assert!(!is_valid_subject_strict(b"foo.\xff") && is_valid_subject(b"foo.\xff"));
    }

    // CORE-93
    #[test]
    fn valid_subject_refuses_white_space_in_any_token() {
        for blank in [' ', '\t', '\n', '\r', '\u{c}'] {
            for subject in [
                format!("{blank}"),
                format!("foo.{blank}.bar"),
                format!("foo.b{blank}r"),
            ] {
                assert!(!is_valid_subject(subject.as_bytes()), "{subject:?}");
                assert!(!is_valid_publish(subject.as_bytes()), "{subject:?}");
            }
        }
    }

    // CORE-93 [TestSubjectIsLiteral, TestWildcardCharsInLiteralSubjectWorks: the subject part]
    #[test]
    fn literal_subject_has_no_token_that_is_a_wildcard() {
        check(
            is_literal,
            &LOOKALIKES,
            &["*", ">", "foo.*", "foo.>", "foo.*.>", "foo.*.bar", "foo.bar.>"],
        );
        check(
            is_literal,
            &["foo.bar", "foo*.bar", "foo..bar", ".", "foo.bar,*,>,baz"],
            &[">.foo", "*."],
        );
    }

    // CORE-93
    #[test]
    fn valid_publish_is_a_valid_subject_without_wildcards() {
        check(
            is_valid_publish,
            &LOOKALIKES,
            &["foo.*", ">", "foo..bar", "foo bar", "", "foo."],
        );
    }

    // CORE-97
    #[test]
    fn empty_token_is_found_at_front_middle_and_end() {
        check(
            has_empty_token,
            &["", ".", ".a", "a.", "a..b", "a.b.."],
            &["a", "a.b", "a.*.>"],
        );
    }
}
