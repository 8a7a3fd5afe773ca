//! The index on the cases of the sheet and of the reference's tests. The reference runs most of them with
//! and without its cache; this index has none, so one test stands for both.

use super::*;
use crate::subject::SubjectError;

/// An index of numbers, spoken to in text.
struct Fixture {
    index: InterestIndex<u32>,
    out: Matches<u32>,
}

fn filter(text: &str) -> Filter<'_> {
    Filter::from_wire(text.as_bytes()).unwrap()
}

fn subject(text: &str) -> Subject<'_> {
    Subject::from_wire(text.as_bytes()).unwrap()
}

fn queue(text: &str) -> QueueName {
    QueueName::from_wire(text.as_bytes()).unwrap()
}

/// Splits `foo q` into filter and queue.
fn interest(text: &str) -> (Filter<'_>, Option<QueueName>) {
    match text.split_once(' ') {
        Some((subject, name)) => (filter(subject), Some(queue(name))),
        None => (filter(text), None),
    }
}

impl Fixture {
    fn new() -> Self {
        Self {
            index: InterestIndex::new(1),
            out: Matches::new(),
        }
    }

    /// Inserts values 1, 2, ... in the order given.
    fn with(interests: &[&str]) -> Self {
        let mut fixture = Self::new();
        for (value, text) in (1..).zip(interests) {
            fixture.insert(text, value);
        }
        fixture
    }

    fn insert(&mut self, text: &str, value: u32) {
        let (filter, queue) = interest(text);
        self.index.insert(filter, queue.as_ref(), value).unwrap();
    }

    fn remove(&mut self, text: &str, value: u32) -> Result<(), IndexError> {
        let (filter, queue) = interest(text);
        self.index.remove(filter, queue.as_ref(), &value)
    }

    fn sorted(&mut self) -> String {
        self.out.plain.sort_unstable();
        self.out.queues.sort_by(|a, b| a.name.cmp(&b.name));
        let mut text: Vec<String> = self.out.plain.iter().map(u32::to_string).collect();
        for group in &mut self.out.queues {
            group.members.sort_unstable();
            text.push(format!("{}{:?}", group.name, group.members).replace(", ", " "));
        }
        text.join(" ")
    }

    /// What a message on `text` reaches: `1 2 group[3 4]`.
    fn reached(&mut self, text: &str) -> String {
        self.index.matches(subject(text), &mut self.out);
        let reached = self.sorted();
        assert_eq!(self.index.has_interest(subject(text)), !self.out.is_empty());
        let members = self.out.queues.iter().map(|group| group.members.len()).sum();
        let counted = InterestCount {
            plain: self.out.plain.len(),
            queue_members: members,
        };
        assert_eq!(self.index.count_interest(subject(text)), counted);
        reached
    }

    fn overlapping(&mut self, text: &str) -> String {
        self.index.overlapping(filter(text), &mut self.out);
        self.sorted()
    }
}

fn check(interests: &[&str], expected: &[(&str, &str)]) {
    let mut fixture = Fixture::with(interests);
    for (subject, reached) in expected {
        assert_eq!(
            fixture.reached(subject),
            *reached,
            "{subject} against {interests:?}"
        );
    }
}

// CORE-96 [TestSublistInit]
#[test]
fn new_index_is_empty() {
    let mut fixture = Fixture::new();
    assert_eq!((fixture.index.len(), fixture.index.is_empty()), (0, true));
    assert_eq!(fixture.reached("foo"), "");
}

// CORE-96 [TestSublistInsertCount, TestSublistInsertCountNoCache]
#[test]
fn inserted_values_are_counted() {
    assert_eq!(Fixture::with(&["foo", "bar", "foo.bar"]).index.len(), 3);
}

// CORE-96 [TestSublistSimple, TestSublistSimpleNoCache]
#[test]
fn single_token_is_matched() {
    check(&["foo"], &[("foo", "1"), ("fo", ""), ("fooo", "")]);
}

// CORE-96 [TestSublistSimpleMultiTokens, TestSublistSimpleMultiTokensNoCache]
#[test]
fn several_tokens_are_matched() {
    check(
        &["foo.bar.baz"],
        &[("foo.bar.baz", "1"), ("foo.bar", ""), ("foo.bar.baz.x", "")],
    );
}

// CORE-96 [TestSublistPartialWildcard, TestSublistPartialWildcardNoCache]
#[test]
fn partial_wildcard_in_the_middle_matches_beside_the_literal() {
    check(
        &["a.b.c", "a.*.c"],
        &[("a.b.c", "1 2"), ("a.x.c", "2"), ("a.c", "")],
    );
}

// CORE-96 [TestSublistPartialWildcardAtEnd, TestSublistPartialWildcardAtEndNoCache]
#[test]
fn partial_wildcard_at_the_end_matches_beside_the_literal() {
    check(
        &["a.b.c", "a.b.*"],
        &[("a.b.c", "1 2"), ("a.b.x", "2"), ("a.b", ""), ("a.b.c.d", "")],
    );
}

// CORE-96, CORE-97 [TestSublistFullWildcard, TestSublistFullWildcardNoCache]
#[test]
fn full_wildcard_matches_one_token_or_more() {
    check(
        &["a.b.c", "a.>"],
        &[("a.b.c", "1 2"), ("a.>", "2"), ("a.x", "2"), ("a", "")],
    );
}

// CORE-96 [TestSublistRemove, TestSublistRemoveNoCache]
#[test]
fn removed_value_is_no_longer_matched() {
    let mut fixture = Fixture::with(&["a.b.c.d"]);
    assert_eq!(fixture.reached("a.b.c.d"), "1");
    assert_eq!(fixture.remove("a.b.c", 1), Err(IndexError::NoMatches));
    assert_eq!(fixture.index.len(), 1);
    assert_eq!(fixture.remove("a.b.c.d", 1), Ok(()));
    assert_eq!(fixture.index.len(), 0);
    assert_eq!(fixture.reached("a.b.c.d"), "");
}

// CORE-96 [TestSublistRemoveWildcard, TestSublistRemoveWildcardNoCache]
#[test]
fn removed_wildcards_are_no_longer_matched() {
    let mut fixture = Fixture::with(&["a.b.c.d", "a.b.*.d", "a.b.>"]);
    assert_eq!(fixture.reached("a.b.c.d"), "1 2 3");
    for (text, value, left) in [("a.b.c.d", 1, "2 3"), ("a.b.>", 3, "2"), ("a.b.*.d", 2, "")] {
        assert_eq!(fixture.remove(text, value), Ok(()));
        assert_eq!(fixture.reached("a.b.c.d"), left);
    }
    assert_eq!(fixture.index.len(), 0);
}

// CORE-96
#[test]
fn remove_of_an_unknown_value_queue_or_filter_changes_nothing() {
    let mut fixture = Fixture::with(&["a.b", "a.b q", "a.>"]);
    for (text, value) in [
        ("a.b", 2),
        ("a.b q", 1),
        ("a.b r", 2),
        ("a", 1),
        ("a.*", 1),
        (">", 3),
        ("a.> q", 3),
    ] {
        assert_eq!(
            fixture.remove(text, value),
            Err(IndexError::NoMatches),
            "{text} {value}"
        );
    }
    assert_eq!(fixture.reached("a.b"), "1 3 q[2]");
    assert_eq!(IndexError::NoMatches.to_string(), "sublist: no matches found");
}

// CORE-96 [TestSublistRemoveCleanup, TestSublistRemoveCleanupNoCache, TestSublistRemoveCleanupWildcards,
// TestSublistRemoveCleanupWildcardsNoCache]
#[test]
fn emptied_levels_are_pruned() {
    for text in ["a.b.c.d.e.f", "a.b.*.d.e.>"] {
        let mut fixture = Fixture::new();
        assert_eq!(fixture.index.arena.depth(), 0);
        fixture.insert(text, 1);
        assert_eq!((fixture.index.arena.depth(), fixture.index.token_count()), (6, 6));
        fixture.remove(text, 1).unwrap();
        assert_eq!((fixture.index.arena.depth(), fixture.index.token_count()), (0, 0));
    }
}

// CORE-96
#[test]
fn pruning_stops_at_a_token_that_others_use() {
    let mut fixture = Fixture::with(&["a.b", "a.b.c.d", "a.b.*", "a.x", "a.y", "a.z"]);
    assert_eq!(fixture.index.token_count(), 8);
    fixture.remove("a.b.c.d", 2).unwrap();
    assert_eq!(fixture.index.token_count(), 6);
    fixture.remove("a.y", 5).unwrap();
    fixture.remove("a.b", 1).unwrap();
    assert_eq!(fixture.index.token_count(), 5);
    assert_eq!(
        (
            fixture.reached("a.b.c"),
            fixture.reached("a.x"),
            fixture.reached("a.z")
        ),
        ("3".into(), "4".into(), "6".into())
    );
    assert_eq!(fixture.overlapping("a.*"), "4 6");
}

// CORE-96 [TestSublistRemoveWithLargeSubs, TestSublistRemoveWithLargeSubsNoCache]
#[test]
fn middle_first_and_last_of_many_values_can_go() {
    let mut fixture = Fixture::new();
    for value in 0..512 {
        fixture.insert("foo", value);
    }
    fixture.index.matches(subject("foo"), &mut fixture.out);
    let all = fixture.out.plain.clone();
    assert_eq!(all.len(), 512);
    let gone = [all[256], all[0], all[511]];
    for value in gone {
        fixture.remove("foo", value).unwrap();
    }
    fixture.index.matches(subject("foo"), &mut fixture.out);
    fixture.out.plain.sort_unstable();
    let left: Vec<u32> = (0..512).filter(|value| !gone.contains(value)).collect();
    assert_eq!(fixture.out.plain, left);
}

// CORE-38, CORE-96 [TestSublistInvalidSubjectsInsert, TestSublistInvalidSubjectsInsertNoCache,
// TestSublistBadSubjectOnRemove, TestSublistBadSubjectOnRemoveNoCache]: insert and remove take a filter, and
// none can be made of these.
#[test]
fn invalid_filter_cannot_be_stored_or_removed() {
    for text in [
        ".foo",
        "foo.",
        "foo..bar",
        "foo.bar..baz",
        "foo.>.bar",
        "a.b..d",
        "a.>.b",
    ] {
        assert_eq!(
            Filter::from_wire(text.as_bytes()),
            Err(SubjectError::Shape),
            "{text}"
        );
    }
}

// CORE-54, CORE-99 [TestSublistBasicQueueResults, TestSublistBasicQueueResultsNoCache]
#[test]
fn queue_members_come_and_go_by_group() {
    let mut fixture = Fixture::with(&["foo bar"]);
    assert_eq!(fixture.reached("foo"), "bar[1]");
    fixture.insert("foo baz", 2);
    assert_eq!(fixture.reached("foo"), "bar[1] baz[2]");
    fixture.insert("foo", 3);
    assert_eq!(fixture.reached("foo"), "3 bar[1] baz[2]");
    fixture.insert("foo bar", 4);
    fixture.insert("foo baz", 5);
    assert_eq!(fixture.reached("foo"), "3 bar[1 4] baz[2 5]");
    fixture.remove("foo", 3).unwrap();
    assert_eq!(fixture.reached("foo"), "bar[1 4] baz[2 5]");
    fixture.remove("foo bar", 1).unwrap();
    assert_eq!(fixture.reached("foo"), "bar[4] baz[2 5]");
    fixture.remove("foo bar", 4).unwrap();
    assert_eq!(fixture.reached("foo"), "baz[2 5]");
    fixture.remove("foo baz", 2).unwrap();
    fixture.remove("foo baz", 5).unwrap();
    assert_eq!(fixture.reached("foo"), "");
    assert_eq!(fixture.index.token_count(), 0);
}

// CORE-54
#[test]
fn queue_name_is_one_group_over_all_matching_filters() {
    check(
        &["foo q", "> q", "* q", "foo r", "*", "foo.> q"],
        &[
            ("foo", "5 q[1 2 3] r[4]"),
            ("foo.bar", "q[2 6]"),
            ("bar", "5 q[2 3]"),
        ],
    );
}

// CORE-54
#[test]
fn many_groups_under_two_filters_are_merged_by_name() {
    let mut fixture = Fixture::new();
    for value in 0..300 {
        fixture.insert(&format!("a.b group{value}"), value);
        fixture.insert(&format!("a.* group{}", value + 150), 1000 + value);
    }
    fixture.index.matches(subject("a.b"), &mut fixture.out);
    assert_eq!(fixture.out.queues.len(), 450);
    for group in &fixture.out.queues {
        let number: u32 = group.name.to_string()[5..].parse().unwrap();
        let expected: Vec<u32> = [
            (number < 300).then_some(number),
            (number >= 150).then_some(850 + number),
        ]
        .into_iter()
        .flatten()
        .collect();
        let mut members = group.members.clone();
        members.sort_unstable();
        assert_eq!(members, expected, "{}", group.name);
    }
}

// CORE-53 [TestSublistTwoTokenPubMatchSingleTokenSub, TestSublistTwoTokenPubMatchSingleTokenSubNoCache]
#[test]
fn longer_subject_does_not_match_a_shorter_filter() {
    check(&["foo"], &[("foo", "1"), ("foo.bar", "")]);
}

// CORE-93 [TestSublistInsertWithWildcardsAsLiterals, ..NoCache, TestSublistRemoveWithWildcardsAsLiterals,
// ..NoCache]
#[test]
fn token_that_only_holds_a_wildcard_character_is_literal() {
    for text in ["foo.*-", "foo.>-", "foo*", ">bar", "foo.>>"] {
        let mut fixture = Fixture::with(&[text]);
        assert_eq!(fixture.reached("foo.bar"), "");
        assert_eq!(fixture.reached(text), "1");
        assert_eq!(fixture.remove("foo.bar", 1), Err(IndexError::NoMatches));
        assert_eq!(fixture.index.len(), 1);
        assert_eq!(fixture.remove(text, 1), Ok(()));
        assert_eq!(fixture.index.len(), 0);
    }
}

// CORE-48, CORE-97
#[test]
fn published_wildcard_token_finds_wildcard_filters_only() {
    check(
        &["foo.*", "foo.>", "foo.bar", "*.bar", ">", "*"],
        &[
            ("foo.*", "1 2 5"),
            ("foo.>", "1 2 5"),
            ("*.bar", "4 5"),
            ("*", "5 6"),
            (">", "5 6"),
            ("foo.>.x", "2 5"),
        ],
    );
}

// CORE-97 [TestSublistMatchWithEmptyTokens]
#[test]
fn empty_token_reaches_nobody() {
    let mut fixture = Fixture::with(&[">", "> queue", "*.>", "foo.>", "*.*"]);
    for text in [
        ".foo",
        "..foo",
        "foo..",
        "foo.",
        "foo..bar",
        "foo...bar",
        ".",
        "..",
    ] {
        assert_eq!(fixture.reached(text), "", "{text}");
    }
}

// CORE-96 [TestSublistAll]
#[test]
fn values_gives_each_once() {
    let fixture = Fixture::with(&["foo.bar.baz", "foo", "baz", "foo q", "foo", "a.> q", "*"]);
    let mut values: Vec<u32> = fixture.index.values().copied().collect();
    values.sort_unstable();
    assert_eq!(values, [1, 2, 3, 4, 5, 6, 7]);
}

// CORE-99 [TestSublistRemoteQueueSubscriptions: values stand once in the result, whatever they weigh]
#[test]
fn members_of_any_weight_are_counted_once() {
    let mut fixture = Fixture::with(&["foo bar", "foo bar", "foo bar", "foo bar"]);
    assert_eq!(
        (fixture.index.len(), fixture.reached("foo")),
        (4, "bar[1 2 3 4]".into())
    );
    fixture.remove("foo bar", 1).unwrap();
    fixture.remove("foo bar", 3).unwrap();
    assert_eq!(
        (fixture.index.len(), fixture.reached("foo")),
        (2, "bar[2 4]".into())
    );
}

/// `(subject, plain, queue members)` for each of three subjects, with these interests present.
fn check_counts(interests: &[&str], foo: (usize, usize), bar: (usize, usize), baz: (usize, usize)) {
    let mut fixture = Fixture::with(interests);
    for (text, (plain, queue_members)) in [("foo", foo), ("foo.bar", bar), ("foo.bar.baz", baz)] {
        let expected = InterestCount { plain, queue_members };
        assert_eq!(
            fixture.index.count_interest(subject(text)),
            expected,
            "{text} against {interests:?}"
        );
        assert_eq!(
            fixture.index.has_interest(subject(text)),
            plain + queue_members > 0
        );
    }
    for (value, text) in (1..).zip(interests) {
        fixture.remove(text, value).unwrap();
    }
    assert!(!fixture.index.has_interest(subject("foo")) && !fixture.index.has_interest(subject("foo.bar")));
}

// CORE-100 [TestSublistNumInterest, TestSublistHasInterest: what they ask without a cache]
#[test]
fn interest_is_counted_for_each_shape_of_filter() {
    check_counts(&["foo"], (1, 0), (0, 0), (0, 0));
    check_counts(&["foo.*"], (0, 0), (1, 0), (0, 0));
    check_counts(&["foo.>"], (0, 0), (1, 0), (1, 0));
    check_counts(&["*.>"], (0, 0), (1, 0), (1, 0));
    check_counts(&["*.bar"], (0, 0), (1, 0), (0, 0));
    check_counts(&["*"], (1, 0), (0, 0), (0, 0));
    check_counts(&["foo bar", "foo baz", "foo baz"], (0, 3), (0, 0), (0, 0));
    check_counts(&["foo.* bar", "foo.* baz", "foo.* baz"], (0, 0), (0, 3), (0, 0));
    check_counts(&["foo.> bar", "foo.> baz", "foo.> baz"], (0, 0), (0, 3), (0, 3));
    check_counts(&["*.> bar"], (0, 0), (0, 1), (0, 1));
    check_counts(&["*.bar bar"], (0, 0), (0, 1), (0, 0));
    check_counts(&["* bar"], (0, 1), (0, 0), (0, 0));
}

// CORE-100 [TestSublistHasInterest: queue members going one by one]
#[test]
fn interest_lasts_until_the_last_queue_member_has_gone() {
    for (text, shorter, inside) in [
        ("foo", "fo", "foo"),
        ("foo.*", "foo", "foo.bar"),
        ("foo.>", "foo", "foo.bar.baz"),
    ] {
        let mut fixture = Fixture::with(&[&format!("{text} bar"), &format!("{text} baz")]);
        assert!(fixture.index.has_interest(subject(inside)) && !fixture.index.has_interest(subject(shorter)));
        fixture.remove(&format!("{text} bar"), 1).unwrap();
        assert!(fixture.index.has_interest(subject(inside)));
        fixture.remove(&format!("{text} baz"), 2).unwrap();
        assert!(!fixture.index.has_interest(subject(inside)));
    }
}

// CORE-100 [TestSublistHasInterestOverlapping]
#[test]
fn interest_is_found_behind_a_wildcard_that_leads_nowhere() {
    let fixture = Fixture::with(&["stream.A.child", "stream.*"]);
    assert!(fixture.index.has_interest(subject("stream.A.child")));
    assert!(fixture.index.has_interest(subject("stream.A")));
    assert!(!fixture.index.has_interest(subject("stream")));
}

// CORE-101: only exact filters count.
#[test]
fn exact_count_ignores_wildcards() {
    let fixture = Fixture::with(&["foo", "foo q", "foo q", "*", ">", "foo.bar"]);
    assert_eq!(
        fixture.index.count_exact(filter("foo")),
        InterestCount {
            plain: 1,
            queue_members: 2
        }
    );
    assert_eq!(
        fixture.index.count_exact(filter("*")),
        InterestCount {
            plain: 1,
            queue_members: 0
        }
    );
    assert_eq!(fixture.index.count_exact(filter("bar")), InterestCount::default());
}

// CORE-102 [TestSublistReverseMatch]
#[test]
fn overlapping_finds_what_lies_under_the_pattern() {
    let mut fixture = Fixture::with(&["foo", "bar", "foo.bar", "foo.baz", "foo.bar.baz"]);
    for (pattern, found) in [
        ("foo", "1"),
        ("bar", "2"),
        ("*", "1 2"),
        ("baz", ""),
        ("foo.*", "3 4"),
        ("*.*", "3 4"),
        ("*.bar", "3"),
        ("*.baz", "4"),
        ("bar.*", ""),
        ("*.bat", ""),
        ("foo.>", "3 4 5"),
        (">", "1 2 3 4 5"),
    ] {
        assert_eq!(fixture.overlapping(pattern), found, "{pattern}");
    }
}

// CORE-102 [TestSublistReverseMatchWider]
#[test]
fn overlapping_finds_wider_filters() {
    let mut fixture = Fixture::with(&["uplink.*.*.>"]);
    assert_eq!(fixture.overlapping("uplink.1.*.*.>"), "1");
    assert_eq!(fixture.overlapping("uplink.1.2.3.>"), "1");
    assert_eq!(fixture.overlapping("uplink.1.2"), "");
}

#[test]
fn subject_of_two_thousand_tokens_is_walked_without_recursion() {
    let long = vec!["a"; 2048].join(".");
    let stars = vec!["*"; 2048].join(".");
    let mut fixture = Fixture::with(&[&long, &stars, "a.>", "*.*.>"]);
    assert_eq!(fixture.reached(&long), "1 2 3 4");
    assert_eq!(fixture.overlapping(">"), "1 2 3 4");
    assert_eq!(fixture.overlapping(&stars), "1 2 3 4");
    for (text, value) in [(long.as_str(), 1), (stars.as_str(), 2), ("a.>", 3), ("*.*.>", 4)] {
        fixture.remove(text, value).unwrap();
    }
    assert_eq!(fixture.index.token_count(), 0);
}

#[test]
fn tokens_that_are_not_utf8_or_longer_than_a_node_are_told_apart() {
    let long = "x".repeat(23);
    let (longer, other) = (format!("{long}x"), format!("{}y", &long[..22]));
    check(
        &[&long, &longer, &other],
        &[(&long, "1"), (&longer, "2"), (&other, "3"), (&long[..22], "")],
    );
    let mut index = InterestIndex::new(1);
    index
        .insert(Filter::from_wire(b"\xff.\x00").unwrap(), None, 1u32)
        .unwrap();
    assert!(index.has_interest(Subject::from_wire(b"\xff.\x00").unwrap()));
    assert!(!index.has_interest(Subject::from_wire(b"\xfe.\x00").unwrap()));
}
