//! How filters relate to subjects and to each other, without an index.
//!
//! Each function is one walk over both token lists, without allocation.

use crate::check::{FULL_WILDCARD, PARTIAL_WILDCARD};
use crate::filter::Filter;
use crate::subject::Subject;

/// Whether a message on `subject` reaches a subscription on `filter`.
///
/// Tokens `*` and `>` of the subject are plain text here, and a subject with an empty token reaches nobody,
/// as in the [`InterestIndex`](crate::InterestIndex). (CORE-48, CORE-93, CORE-97)
pub fn matches(filter: Filter<'_>, subject: Subject<'_>) -> bool {
    let mut tokens = subject.tokens();
    for wanted in filter.tokens() {
        let Some(token) = tokens.next() else { return false };
        if wanted == FULL_WILDCARD {
            return !subject.has_empty_token();
        }
        // An empty token equals no token of a filter, so only wildcards must look for it.
        if token.is_empty() || (wanted != PARTIAL_WILDCARD && wanted != token) {
            return false;
        }
    }
    tokens.next().is_none()
}

/// Whether every subject that `pattern` can stand for is matched by `filter`.
///
/// `pattern` is a filter, or any other subject taken as a pattern. One with an empty token is a subset of
/// nothing; a `>` in its middle ends it like one at the end. (CORE-94)
pub fn is_subset<'a>(pattern: impl Into<Subject<'a>>, filter: Filter<'_>) -> bool {
    let pattern = pattern.into();
    let mut tokens = pattern.tokens();
    for wanted in filter.tokens() {
        let Some(token) = tokens.next() else { return false };
        if wanted == FULL_WILDCARD {
            return !pattern.has_empty_token();
        }
        if token.is_empty() || token == FULL_WILDCARD {
            return false;
        }
        if wanted != PARTIAL_WILDCARD && wanted != token {
            return false;
        }
    }
    tokens.next().is_none()
}

/// Whether some subject is matched by both filters. (CORE-95)
///
/// Tokens that only begin with a wildcard character are literals, as everywhere else; the reference takes
/// them for wildcards in this one place.
pub fn collides(a: Filter<'_>, b: Filter<'_>) -> bool {
    let (mut left, mut right) = (a.tokens(), b.tokens());
    loop {
        match (left.next(), right.next()) {
            (None, None) => return true,
            // `>` stands for one token or more, so it agrees with whatever the other one still has.
            (Some(FULL_WILDCARD), Some(_)) | (Some(_), Some(FULL_WILDCARD)) => return true,
            (Some(PARTIAL_WILDCARD), Some(_)) | (Some(_), Some(PARTIAL_WILDCARD)) => {}
            (Some(x), Some(y)) if x == y => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn filter(text: &str) -> Filter<'_> {
        Filter::new(text.as_bytes()).unwrap()
    }

    fn subject(text: &str) -> Subject<'_> {
        Subject::new(text.as_bytes()).unwrap()
    }

    fn check(test: impl Fn(&str, &str) -> bool, yes: &[(&str, &str)], no: &[(&str, &str)]) {
        for (a, b) in yes {
            assert!(test(a, b), "{a:?} and {b:?} should agree");
        }
        for (a, b) in no {
            assert!(!test(a, b), "{a:?} and {b:?} should not agree");
        }
    }

    // CORE-93 [TestSublistMatchLiterals]
    #[test]
    fn literal_is_matched_by_its_filters_only() {
        check(
            |literal, pattern| matches(filter(pattern), subject(literal)),
            &[
                ("foo", "foo"),
                ("foo", "*"),
                ("foo", ">"),
                ("foo.bar", ">"),
                ("foo.bar", "foo.>"),
                ("stats.test.22", "stats.>"),
                ("stats.test.22", "stats.*.*"),
                ("stats.test.foos", "stats.test.foos"),
                ("*bar", "*bar"),
                ("foo*", "foo*"),
                ("foo*bar", "foo*bar"),
                ("foo.***.bar", "foo.***.bar"),
                (">bar", ">bar"),
                ("foo>", "foo>"),
                ("foo>bar", "foo>bar"),
                ("foo.>>>.bar", "foo.>>>.bar"),
            ],
            &[
                ("foo", "bar"),
                ("foo.bar", "bar.>"),
                ("foo.bar", "foo"),
                ("foo", "foo.bar"),
                ("foo", "foo.>"),
                ("stats.test.foos", "stats.test.foo"),
                ("stats.test", "stats.test.*"),
                ("stats.test.foos", "stats.*"),
                ("stats.test.foos", "stats.*.*.foos"),
                ("foo.abar", "foo.*bar"),
                ("foo.bar", "foo.>>"),
            ],
        );
    }

    // CORE-48, CORE-97
    #[test]
    fn published_wildcard_token_is_text_and_empty_token_reaches_nobody() {
        check(
            |published, pattern| matches(filter(pattern), subject(published)),
            &[
                ("foo.*", "foo.*"),
                ("foo.>", "foo.*"),
                ("foo.>.bar", "foo.>"),
                ("*", ">"),
            ],
            &[
                ("foo.*", "foo.bar"),
                (">", "foo"),
                (".foo", ">"),
                ("foo..bar", "foo.>"),
                ("foo.", "foo.*"),
                (".", "*.*"),
            ],
        );
    }

    // CORE-94 [TestIsSubsetMatch]
    #[test]
    fn subset_follows_the_table() {
        check(
            |pattern, wider| is_subset(subject(pattern), filter(wider)),
            &[
                ("foo.bar", "foo.bar"),
                ("foo.*", ">"),
                ("foo.*", "*.*"),
                ("foo.*", "foo.*"),
                ("foo.>", ">"),
                ("foo.>", "*.>"),
                ("foo.>", "foo.>"),
                ("foo.*.>", "foo.>"),
            ],
            &[
                ("foo.*", "foo.bar"),
                ("foo.>", "foo.bar"),
                ("foo.>", "foo.*"),
                ("foo", "foo.>"),
                ("foo..bar", "foo.*"),
                ("foo..bar", "foo.>"),
                ("foo.abar", "foo.*bar"),
            ],
        );
        // The table's last case has an invalid second pattern: no filter can be made of it.
        assert!(Filter::new(b"foo..bar").is_err());
    }

    // CORE-95 [TestSublistSubjectCollide]
    #[test]
    fn collide_follows_the_table_both_ways() {
        check(
            |a, b| {
                assert_eq!(collides(filter(a), filter(b)), collides(filter(b), filter(a)));
                collides(filter(a), filter(b))
            },
            &[
                ("foo.*", "foo.foo"),
                ("foo.*", "*.foo"),
                ("foo.bar.>", "*.bar.foo"),
                ("a.b.c.>", "a.b.>"),
                ("a", ">"),
            ],
            &[
                ("foo.*", "foo.*.bar.>"),
                ("foo", "foo.>"),
                ("*", "*.>"),
                ("foo", "bar"),
                ("**", "a"),
                ("a.>>", "a.b"),
            ],
        );
    }

    fn token() -> impl Strategy<Value = &'static str> {
        prop_oneof![4 => Just("a"), 3 => Just("b"), 1 => Just("*a"), 3 => Just("*")]
    }

    fn pattern() -> impl Strategy<Value = String> {
        (proptest::collection::vec(token(), 0..4), any::<bool>()).prop_map(|(mut tokens, full)| {
            if full || tokens.is_empty() {
                tokens.push(">");
            }
            tokens.join(".")
        })
    }

    /// Every literal of up to four tokens over the alphabet of `pattern`, and one token beside it.
    fn literals() -> Vec<String> {
        let mut all: Vec<String> = Vec::new();
        let mut level = vec![String::new()];
        for _ in 0..5 {
            level = level
                .iter()
                .flat_map(|head| ["a", "b", "*a", "other"].map(|token| format!("{head}.{token}")))
                .collect();
            all.extend(level.iter().map(|literal| literal[1..].to_string()));
        }
        all
    }

    proptest! {
        // CORE-94, CORE-95 [FuzzSubjectsCollide]: both questions are questions about the sets of subjects,
        // and five tokens are one more than any pattern here has.
        #[test]
        fn subset_and_collide_agree_with_the_sets_of_subjects(a in pattern(), b in pattern()) {
            let (a, b) = (filter(&a), filter(&b));
            let (mut both, mut only_a) = (false, false);
            for literal in literals() {
                let (in_a, in_b) = (matches(a, subject(&literal)), matches(b, subject(&literal)));
                both |= in_a && in_b;
                only_a |= in_a && !in_b;
            }
            prop_assert_eq!(collides(a, b), both);
            prop_assert_eq!(is_subset(a, b), !only_a);
        }
    }
}
