//! The index as a set of filters with a value each: the reference's generic list.

use super::*;

fn filter(text: &str) -> Filter<'_> {
    Filter::new(text.as_bytes()).unwrap()
}

fn subject(text: &str) -> Subject<'_> {
    Subject::new(text.as_bytes()).unwrap()
}

fn index(filters: &[(&str, u32)]) -> InterestIndex<u32> {
    let mut index = InterestIndex::new(3);
    for (text, value) in filters {
        index.insert(filter(text), None, *value).unwrap();
    }
    index
}

/// The values that each subject reaches, found in every way there is.
fn check(filters: &[(&str, u32)], cases: &[(&str, &[u32])]) {
    let index = index(filters);
    let mut found = Matches::new();
    for (text, expected) in cases {
        index.matches(subject(text), &mut found);
        found.plain.sort_unstable();
        assert_eq!(found.plain, *expected, "{text}");
        assert_eq!(index.has_interest(subject(text)), !expected.is_empty(), "{text}");
        assert_eq!(
            index.count_interest(subject(text)).plain,
            expected.len(),
            "{text}"
        );
    }
}

// CORE-104, STORE-131 [TestGenericSublistInit, TestGenericSublistInsertCount, TestGenericSublistSimple,
// TestGenericSublistSimpleMultiTokens, TestGenericSublistHasInterest, TestGenericSublistNumInterest,
// TestGenericSublistHasInterestOverlapping]
#[test]
fn values_are_found_by_subject() {
    check(&[], &[("foo", &[])]);
    assert!(index(&[]).is_empty());
    let filters = [
        ("foo", 1),
        ("foo.bar", 2),
        ("foo.*", 3),
        ("foo.>", 4),
        ("*.>", 5),
        ("*.bar", 6),
        ("*", 7),
        ("foo", 8),
    ];
    assert_eq!(index(&filters).len(), 8);
    check(
        &filters,
        &[
            ("foo", &[1, 7, 8]),
            ("bar", &[7]),
            ("foo.bar", &[2, 3, 4, 5, 6]),
            ("foo.baz", &[3, 4, 5]),
            ("foo.bar.baz", &[4, 5]),
            ("x.bar", &[5, 6]),
        ],
    );
    check(
        &[("stream.A.child", 1), ("stream.*", 1)],
        &[("stream.A.child", &[1]), ("stream.A", &[1]), ("stream", &[])],
    );
}

// CORE-104 [TestGenericSublistPartialWildcard, TestGenericSublistPartialWildcardAtEnd, TestGenericSublistFullWildcard,
// TestGenericSublistTwoTokenPubMatchSingleTokenSub, TestGenericSublistMatchWithEmptyTokens]
#[test]
fn wildcards_stand_for_whole_tokens() {
    check(
        &[("a.b.c", 1), ("a.*.c", 2)],
        &[("a.b.c", &[1, 2]), ("a.x.c", &[2]), ("a.b", &[])],
    );
    check(&[("a.b.c", 1), ("a.b.*", 2)], &[("a.b.c", &[1, 2]), ("a.b", &[])]);
    check(
        &[("a.b.c", 1), ("a.>", 2), (">", 3)],
        &[("a.b.c", &[1, 2, 3]), ("a", &[3])],
    );
    check(&[("foo", 1)], &[("foo.bar", &[])]);
    check(
        &[(">", 1), ("*", 2)],
        &[
            (".foo", &[]),
            ("foo.", &[]),
            ("foo..bar", &[]),
            ("..", &[]),
            ("foo", &[1, 2]),
        ],
    );
}

// CORE-104 [TestGenericSublistInsertWithWildcardsAsLiterals, TestGenericSublistRemoveWithWildcardsAsLiterals]
#[test]
fn wildcard_characters_inside_tokens_are_text() {
    for text in ["foo.*-", "foo.>-"] {
        let mut index = index(&[(text, 1)]);
        assert!(!index.has_interest(subject("foo.bar")) && index.has_interest(subject(text)));
        let unlike = filter("foo.bar");
        assert_eq!(index.remove(unlike, None, &1), Err(IndexError::NoMatches));
        assert_eq!(index.remove(filter(text), None, &1), Ok(()));
        assert!(index.is_empty());
    }
}

// CORE-104 [TestGenericSublistRemove, TestGenericSublistRemoveWildcard, TestGenericSublistRemoveCleanup,
// TestGenericSublistRemoveCleanupWildcards, TestGenericSublistInvalidSubjectsInsert, TestGenericSublistBadSubjectOnRemove]
#[test]
fn value_is_taken_out_by_filter_and_value() {
    let filters = [("a.b.c.d", 1), ("a.b.*.d", 2), ("a.b.>", 3), ("a.b.c.d", 4)];
    let mut index = index(&filters);
    assert_eq!(
        index.remove(filter("a.b.c.d"), None, &2),
        Err(IndexError::NoMatches)
    );
    assert_eq!(
        index.remove(filter("a.b.c"), None, &1),
        Err(IndexError::NoMatches)
    );
    for (text, value) in filters {
        assert_eq!(index.remove(filter(text), None, &value), Ok(()));
    }
    assert_eq!((index.len(), index.token_count()), (0, 0));
    for text in ["", "a.b..d", ".a", "a.", "a.>.b"] {
        assert!(Filter::new(text.as_bytes()).is_err(), "{text}");
    }
}

// CORE-98 [TestSublistNoCacheRemoveBatch, TestSublistRemoveBatchWithError]
#[test]
fn batch_takes_out_what_is_there_and_tells_the_first_error() {
    let mut index = index(&[("foo", 1), ("bar", 2), ("baz", 3)]);
    let batch = [
        (filter("foo"), None, &1),
        (filter("foo"), None, &9),
        (filter("none"), None, &1),
        (filter("bar"), None, &2),
    ];
    assert_eq!(index.remove_batch(batch), Err(IndexError::NoMatches));
    assert!(index.len() == 1 && index.has_interest(subject("baz")));
    assert_eq!(index.remove_batch([(filter("baz"), None, &3)]), Ok(()));
    assert!(index.is_empty());
}

// CORE-104 [TestGenericSublistMatchesFullWildcard]
#[test]
fn full_wildcard_is_known_while_it_is_stored() {
    let mut index = index(&[("stream.A.child", 1), ("stream.>", 1), ("*", 1)]);
    assert!(!index.matches_everything());
    index.insert(filter(">"), None, 1).unwrap();
    assert!(index.matches_everything());
    index.remove(filter(">"), None, &1).unwrap();
    assert!(!index.matches_everything());
}

// CORE-104 [TestGenericSublistSingleFilter]
#[test]
fn single_filter_is_the_one_that_all_values_have() {
    let single = |filters: &[(&str, u32)]| index(filters).single_filter().map(|filter| filter.to_string());
    assert_eq!(single(&[]), None);
    for text in ["stream.A.child", "a", ">", "*", "a.*.b.>"] {
        assert_eq!(single(&[(text, 1)]).as_deref(), Some(text));
        assert_eq!(single(&[(text, 1), (text, 2)]).as_deref(), Some(text));
    }
    assert_eq!(single(&[("stream.A.child", 1), ("stream.A.other", 2)]), None);
    assert_eq!(single(&[("a.*", 1), ("a.>", 2)]), None);
    assert_eq!(single(&[("foo", 1), ("foo.bar", 2)]), None);
}

// CORE-104 [TestGenericSublistHasInterestStartingInRace: what is asked there]
#[test]
fn interest_below_a_prefix_needs_a_longer_filter() {
    let below = |filters: &[(&str, u32)], prefix| index(filters).has_interest_below(subject(prefix));
    let filters = [("foo.bar.baz", 1), ("x.*.z", 2)];
    for prefix in ["foo", "foo.bar", "x", "x.anything"] {
        assert!(below(&filters, prefix), "{prefix}");
    }
    for prefix in ["foo.bar.baz", "foo.bar.baz.more", "other", "foo.other", "x.y.z"] {
        assert!(!below(&filters, prefix), "{prefix}");
    }
    assert!(below(&[("foo.>", 1)], "foo.a.b.c") && below(&[(">", 1)], "any"));
    assert!(!below(&[("foo.>", 1)], "bar") && !below(&[("foo", 1)], "foo"));
}
