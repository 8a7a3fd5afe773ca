use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

fn subject(text: &str) -> Subject<'_> {
    Subject::new(text.as_bytes()).unwrap()
}

fn filter(text: &str) -> Filter<'_> {
    Filter::new(text.as_bytes()).unwrap()
}

fn tree<'a>(subjects: impl IntoIterator<Item = &'a str>) -> SubjectTree<usize> {
    let mut tree = SubjectTree::new();
    for (value, text) in subjects.into_iter().enumerate() {
        assert_eq!(tree.insert(subject(text), value), None, "{text}");
    }
    tree
}

fn matching<V>(tree: &SubjectTree<V>, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let ended = tree.visit_matching::<()>(filter(text), |subject, _| {
        found.push(subject.to_string());
        ControlFlow::Continue(())
    });
    assert!(ended.is_continue());
    found
}

fn all<V>(tree: &SubjectTree<V>) -> Vec<String> {
    let mut found = Vec::new();
    let ended = tree.visit_from::<()>(b"", |subject, _| {
        found.push(subject.to_string());
        ControlFlow::Continue(())
    });
    assert!(ended.is_continue());
    found
}

fn check(subjects: &[&str], cases: &[(&str, &[&str])]) {
    let tree = tree(subjects.iter().copied());
    for (text, expected) in cases {
        assert_eq!(matching(&tree, text), *expected, "{text}");
    }
}

// STORE-129 [TestSubjectTreeBasics, TestSubjectTreeEmpty, TestFindEdgeCases, TestInsertEdgeCases]
#[test]
fn subject_has_the_value_that_it_was_given_last() {
    let mut tree = SubjectTree::new();
    assert!(tree.is_empty() && tree.get(subject("a")).is_none() && tree.remove(subject("a")).is_none());
    assert_eq!(tree.insert(subject("foo.bar.baz"), 22), None);
    assert_eq!(tree.insert(subject("foo.bar.baz"), 33), Some(22));
    assert_eq!(tree.insert(subject("foo.bar"), 44), None);
    assert_eq!(tree.insert(subject("foo.barb"), 55), None);
    assert_eq!((tree.len(), tree.get(subject("foo.bar.baz"))), (3, Some(&33)));
    assert_eq!(
        (tree.get(subject("foo")), tree.get(subject("foo.bar."))),
        (None, None)
    );
    *tree.get_mut(subject("foo.bar")).unwrap() += 1;
    *tree.get_or_insert_with(subject("foo.bar"), || None).unwrap() += 1;
    assert_eq!(tree.get(subject("foo.bar")), Some(&46));
    assert_eq!(tree.get_or_insert_with(subject("new"), || None), None);
    tree.clear();
    assert!(tree.is_empty() && tree.get(subject("foo.bar")).is_none());
}

// STORE-129 [TestSubjectTreeNodeDelete, TestSubjectTreeDeleteShortSubjectNoPanic, TestDeleteEdgeCases,
// TestNodeDeleteChildNotFound, TestDeleteChildEdgeCasesMore]
#[test]
fn subject_that_is_taken_out_leaves_the_others() {
    let mut tree = tree(["foo.bar.A", "foo.bar.B", "foo.bar.C", "foo", "foo.bar"]);
    for text in ["fo", "foo.", "foo.ba", "foo.bar.", "foo.bar.A.x", "z"] {
        assert_eq!(tree.remove(subject(text)), None, "{text}");
    }
    assert_eq!(tree.remove(subject("foo.bar.B")), Some(1));
    assert_eq!(tree.remove(subject("foo.bar.B")), None);
    assert_eq!(all(&tree), ["foo", "foo.bar", "foo.bar.A", "foo.bar.C"]);
    for text in ["foo", "foo.bar", "foo.bar.A", "foo.bar.C"] {
        assert!(tree.remove(subject(text)).is_some());
    }
    assert!(tree.is_empty() && tree.leaves.is_empty());
}

// STORE-129 [TestSubjectTreeNodeGrow, TestSubjectTreeNode48, TestNode256Operations, TestNode256Shrink,
// TestNodeShrinkNotNeeded, TestSubjectTreeNodesAndPaths, TestSubjectTreeRandomTrackEntries]
#[test]
fn leaves_split_when_full_and_merge_when_empty() {
    let names: Vec<String> = (0..5000).map(|n| format!("dev.{}.x", n * 7919 % 5000)).collect();
    let mut tree = tree(names.iter().map(String::as_str));
    assert!(tree.leaves.len() > 5000 / LEAF && tree.leaves.len() < 5000 * 2 / LEAF);
    assert!(
        tree.leaves
            .values()
            .all(|leaf| leaf.values.len() <= LEAF && leaf.values.len() == leaf.keys.len())
    );
    for (value, name) in names.iter().enumerate() {
        assert_eq!(tree.get(subject(name)), Some(&value));
    }
    for (value, name) in names.iter().enumerate().skip(50) {
        assert_eq!(tree.remove(subject(name)), Some(value));
    }
    assert!(
        tree.leaves.len() <= 6,
        "{} leaves for 50 subjects",
        tree.leaves.len()
    );
    for (value, name) in names.iter().enumerate().take(50) {
        assert_eq!(tree.remove(subject(name)), Some(value));
    }
    assert!(tree.leaves.is_empty());
}

// STORE-129 [TestSubjectTreeNodePrefixMismatch, TestSubjectTreeNoPrefix, TestSubjectTreeInsertSamePivotBug,
// TestSubjectTreeInsertLongerLeafSuffixWithTrailingNulls, TestSubjectTreeLongTokens, TestInsertComplexEdgeCases]
#[test]
fn subjects_may_begin_alike_in_any_way() {
    let wire = |bytes: &'static [u8]| Subject::from_wire(bytes).unwrap();
    let mut tree = SubjectTree::new();
    let subjects = [
        &b"foo.bar.baz.A"[..],
        b"foo.bar.baz.B",
        b"foo.bar.baz.C",
        b"foo.foo.foo",
        b"f",
        b"fo",
        b"foo.",
        b"foo..",
        b"0d00.2abbb82c1d.6e16.fa7f85470e.3e46",
        b"0d00.2abbb82c1d.6e16.fa7f85470e.3e46.x",
        b"foo.bar\0\0",
        b"foo.bar\0",
        b"foo.bar",
        b"a\x7fb",
        b"\x7f",
        b"\xff\xfe",
        b"*",
        b">",
        b"a.*.>",
    ];
    for (value, bytes) in subjects.into_iter().enumerate() {
        assert_eq!(tree.insert(wire(bytes), value), None);
    }
    for (value, bytes) in subjects.into_iter().enumerate() {
        assert_eq!(tree.get(wire(bytes)), Some(&value), "{bytes:?}");
    }
    let long = [
        "x".repeat(3000),
        format!("{}.y", "x".repeat(3000)),
        "z".repeat(9000),
    ];
    for name in &long {
        tree.insert(subject(name), 7);
    }
    assert_eq!(matching(&tree, &format!("{}.*", long[0])), [long[1].as_str()]);
    assert!(long.iter().all(|name| tree.remove(subject(name)) == Some(7)));
}

// STORE-130 [TestSubjectTreeConstruction, TestSubjectTreeMatchLeafOnly, TestSubjectTreeMatchNodes,
// TestSubjectTreeMatchMultipleWildcardBasic, TestMatchEdgeCases, TestMatchPartsEdgeCases]
#[test]
fn filter_finds_what_it_matches_and_nothing_else() {
    let subjects = [
        "foo.bar.A",
        "foo.bar.B",
        "foo.bar.C",
        "foo.baz.A",
        "foo.baz.B",
        "foo.baz.C",
        "foo.bar",
    ];
    check(
        &subjects,
        &[
            ("foo.bar.A", &["foo.bar.A"]),
            ("foo.bar", &["foo.bar"]),
            ("foo", &[]),
            ("foo.*", &["foo.bar"]),
            ("foo.bar.*", &["foo.bar.A", "foo.bar.B", "foo.bar.C"]),
            ("foo.*.A", &["foo.bar.A", "foo.baz.A"]),
            ("*.*.A", &["foo.bar.A", "foo.baz.A"]),
            ("*.bar.B", &["foo.bar.B"]),
            ("*.*.D", &[]),
            ("*", &[]),
            ("foo.bar.>", &["foo.bar.A", "foo.bar.B", "foo.bar.C"]),
            ("foo.bar.A.>", &[]),
            ("*.*.*.>", &[]),
            (
                ">",
                &[
                    "foo.bar",
                    "foo.bar.A",
                    "foo.bar.B",
                    "foo.bar.C",
                    "foo.baz.A",
                    "foo.baz.B",
                    "foo.baz.C",
                ],
            ),
        ],
    );
    check(
        &["foo.bar.A"],
        &[
            ("foo.bar.*", &["foo.bar.A"]),
            ("foo.*.A.>", &[]),
            ("foo.bar.AA", &[]),
            ("*.*", &[]),
        ],
    );
    assert!(matching(&SubjectTree::<()>::new(), ">").is_empty());
}

// STORE-130 [TestSubjectTreePartialTerminalWildcardBugMatch, TestSubjectTreeMatchTsepSecondThenPartialPartBug,
// TestSubjectTreeMatchSubjectParam, TestMatchPartsMoreEdgeCases, TestMatchComplexEdgeCases]
#[test]
fn wildcard_behind_a_shared_beginning_takes_whole_tokens() {
    check(
        &[
            "STATE.GLOBAL.CELL1.7PDSGAALXNN000010.PROPERTY-A",
            "STATE.GLOBAL.CELL1.7PDSGAALXNN000010.PROPERTY-B",
            "STATE.GLOBAL.CELL1.7PDSGAALXNN000010.PROPERTY-C",
        ],
        &[(
            "STATE.GLOBAL.CELL1.7PDSGAALXNN000010.*",
            &[
                "STATE.GLOBAL.CELL1.7PDSGAALXNN000010.PROPERTY-A",
                "STATE.GLOBAL.CELL1.7PDSGAALXNN000010.PROPERTY-B",
                "STATE.GLOBAL.CELL1.7PDSGAALXNN000010.PROPERTY-C",
            ],
        )],
    );
    check(
        &[
            "foo.xxxxx.foo1234.zz",
            "foo.yyy.foo123.zz",
            "foo.yyybar789.zz",
            "foo.yyy.foo12345.zz",
            "foo.yyy.foo12345.yy",
            "foo.yyy.foo123456789.zz",
        ],
        &[
            ("foo.*.foo123456789.*", &["foo.yyy.foo123456789.zz"]),
            ("foo.*.foo123.zz", &["foo.yyy.foo123.zz"]),
        ],
    );
    // Bytes below the dot sort before it.
    check(
        &["a-b.x", "a.b", "a.b.c", "a!b.c", "ab.c", "a"],
        &[
            ("a.*", &["a.b"]),
            ("*.c", &["a!b.c", "ab.c"]),
            ("a.>", &["a.b", "a.b.c"]),
            ("*.*", &["a!b.c", "a-b.x", "a.b", "ab.c"]),
        ],
    );
}

// STORE-130 [TestSubjectTreeMatchInvalidWildcard, TestSubjectTreeMatchHasFWCNoPanic]
#[test]
fn wildcard_characters_inside_tokens_are_text() {
    for text in ["foo.>.bar", ">.", ""] {
        assert!(Filter::new(text.as_bytes()).is_err(), "{text}");
    }
    check(
        &["foo.123", "one.two.three.four.five", "'*.123'", "bar"],
        &[
            ("'*.>'", &[]),
            ("'*.*", &["'*.123'"]),
            ("`>`", &[]),
            ("foo>", &[]),
            ("foo.*", &["foo.123"]),
        ],
    );
}

// STORE-129 [TestSubjectTreeMatchUntil]
#[test]
fn visit_ends_where_it_is_told() {
    let tree = tree(["foo.bar.A", "foo.bar.B", "foo.bar.C", "foo.baz.A"]);
    let first = |filter| {
        tree.visit_matching(filter, |subject, value| {
            ControlFlow::Break((subject.to_string(), *value))
        })
    };
    assert_eq!(
        first(filter("foo.baz.*")),
        ControlFlow::Break(("foo.baz.A".into(), 3))
    );
    assert_eq!(first(filter("foo.bax.*")), ControlFlow::Continue(()));
    let mut seen = 0;
    let ended = tree.visit_from(b"foo.bar.B", |_, _| {
        seen += 1;
        if seen == 2 {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    });
    assert_eq!((seen, ended), (2, ControlFlow::Break(())));
}

// STORE-129 [TestSubjectTreeIterOrdered, TestSubjectTreeIterFast, TestIterEdgeCases, TestIterComplexTree, TestLeafIter]
#[test]
fn subjects_come_in_the_order_of_their_bytes() {
    let mut names: Vec<String> = (0..1000).map(|n| format!("a.{}", n * 37 % 1000)).collect();
    let tree = tree(names.iter().map(String::as_str));
    names.sort();
    assert_eq!(all(&tree), names);
    let mut values: Vec<usize> = tree.values().copied().collect();
    values.sort_unstable();
    assert!(values.into_iter().eq(0..1000));
    let mut found = Vec::new();
    let ended = tree.visit_prefix::<()>(b"a.99", |subject, _| {
        found.push(subject.to_string());
        ControlFlow::Continue(())
    });
    assert!(ended.is_continue());
    assert_eq!(found.len(), 11);
    assert_eq!(found.first().map(String::as_str), Some("a.99"));
}

// STORE-129
#[test]
fn values_change_in_place() {
    let mut tree = tree(["a.1", "a.2", "b.1"]);
    let ended = tree.visit_matching_mut::<()>(filter("a.*"), |_, value| {
        *value += 10;
        ControlFlow::Continue(())
    });
    assert!(ended.is_continue());
    tree.values_mut().for_each(|value| *value *= 2);
    let value = |text| tree.get(subject(text)).copied();
    assert_eq!(
        (value("a.1"), value("a.2"), value("b.1")),
        (Some(20), Some(22), Some(4))
    );
}

// STORE-129 [TestSubjectTreeGSLIntersection, TestSubjectTreeMatchNoCallbackDupe]
#[test]
fn subject_that_several_filters_match_is_visited_once() {
    let tree = tree([
        "one.two.three",
        "one.two.four",
        "two.one",
        "two",
        "stream.A",
        "stream.A.child",
    ]);
    let any = |filters: &[&str]| {
        let filters: Vec<_> = filters
            .iter()
            .map(|text| Filter::new(text.as_bytes()).unwrap())
            .collect();
        let mut found = Vec::new();
        let ended = tree.visit_matching_any::<()>(&filters, |subject, _| {
            found.push(subject.to_string());
            ControlFlow::Continue(())
        });
        assert!(ended.is_continue());
        found.sort();
        found
    };
    assert_eq!(
        any(&["one.>", "one.two.*", "one.two.three", "*.two.three"]),
        ["one.two.four", "one.two.three"]
    );
    assert_eq!(any(&["two", "*", "*.one"]), ["two", "two.one"]);
    assert_eq!(any(&["stream.A", "stream.A.>"]), ["stream.A", "stream.A.child"]);
    assert_eq!(any(&[">", "one.>"]).len(), 6);
    assert!(any(&[]).is_empty() && any(&["none"]).is_empty());
}

// STORE-129 [TestSubjectTreeLazyIntersect, TestSubjectTreeLazyIntersectComprehensive]
#[test]
fn trees_share_what_both_have() {
    let large = tree(
        (0..300)
            .map(|n| format!("s.{n}"))
            .collect::<Vec<_>>()
            .iter()
            .map(String::as_str),
    );
    let small = tree(["s.7", "s.299", "s.300", "other"]);
    for (left, right) in [(&large, &small), (&small, &large)] {
        let mut found = Vec::new();
        let ended = left.visit_common::<_, ()>(right, |subject, ours, theirs| {
            found.push((subject.to_string(), ours + theirs));
            ControlFlow::Continue(())
        });
        assert!(ended.is_continue());
        assert_eq!(found, [("s.299".to_string(), 300), ("s.7".to_string(), 7)]);
    }
    assert!(
        large
            .visit_common(&SubjectTree::<u8>::new(), |_, _, _| ControlFlow::Break(()))
            .is_continue()
    );
}

// STORE-129 [TestSubjectTreeMemoryPerf]
#[test]
fn subject_with_sixteen_bytes_of_value_costs_less_than_forty_bytes() {
    let mut tree = SubjectTree::new();
    let mut random = 1_u64;
    for _ in 0..100_000 {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let text = format!("dev.{}.sensor.{}", (random >> 33) % 10_000, (random >> 50) % 1000);
        tree.insert(subject(&text), [0_u64; 2]);
    }
    let bytes = tree.memory_bytes() / tree.len();
    assert!(bytes < 40, "{bytes} bytes for a subject");
}

fn text() -> impl Strategy<Value = String> {
    proptest::collection::vec(
        prop_oneof!["[ab]{1,2}", Just("a-".to_string()), Just("a/".to_string())],
        1..5,
    )
    .prop_map(|tokens| tokens.join("."))
}

fn pattern() -> impl Strategy<Value = String> {
    let token = prop_oneof![3 => "[ab]{1,2}", 3 => Just("*".to_string()), 1 => Just("a-".to_string())];
    (proptest::collection::vec(token, 1..5), any::<bool>()).prop_map(|(mut tokens, full)| {
        if full {
            tokens.push(">".into());
        }
        tokens.join(".")
    })
}

proptest! {
    // STORE-129, STORE-130 [TestSubjectTreeMatchRandomDoublePWC]
    #[test]
    fn tree_finds_what_a_walk_over_a_plain_map_finds(
        steps in proptest::collection::vec((0_u8..5, text()), 0..600),
        filters in proptest::collection::vec(pattern(), 1..6),
        start in text(),
    ) {
        let mut tree = SubjectTree::new();
        let mut model: BTreeMap<String, usize> = BTreeMap::new();
        for (value, (kind, name)) in steps.into_iter().enumerate() {
            if kind > 0 {
                prop_assert_eq!(tree.insert(subject(&name), value), model.insert(name, value));
            } else {
                prop_assert_eq!(tree.remove(subject(&name)), model.remove(&name));
            }
        }
        prop_assert_eq!(tree.len(), model.len());
        prop_assert_eq!(all(&tree), model.keys().cloned().collect::<Vec<_>>());
        for text in &filters {
            let expected: Vec<String> =
                model.keys().filter(|name| matches(filter(text), subject(name))).cloned().collect();
            prop_assert_eq!(matching(&tree, text), expected.clone(), "{}", text);
            let mut changed = Vec::new();
            let ended = tree.visit_matching_mut::<()>(filter(text), |subject, value| {
                *value += 1;
                changed.push(subject.to_string());
                ControlFlow::Continue(())
            });
            prop_assert!(ended.is_continue());
            prop_assert_eq!(changed, expected);
        }
        let mut found = Vec::new();
        let _ = tree.visit_from::<()>(start.as_bytes(), |subject, _| {
            found.push(subject.to_string());
            ControlFlow::Continue(())
        });
        prop_assert_eq!(found, model.range(start..).map(|(name, _)| name.clone()).collect::<Vec<_>>());
    }

    // STORE-130: what the search passes over has nothing that matches.
    #[test]
    fn nothing_matches_before_the_next_possible_subject(text in pattern(), names in proptest::collection::btree_set(text(), 1..80)) {
        let wanted = filter(&text);
        let names: Vec<&String> = names.iter().collect();
        for (index, name) in names.iter().enumerate() {
            if matches(wanted, subject(name)) || !name.as_bytes().starts_with(literal_prefix(wanted)) {
                continue;
            }
            let next = next_after(wanted, name.as_bytes());
            for later in &names[index + 1..] {
                let is_passed = match &next {
                    Next::Any => false,
                    Next::From(target) => later.as_bytes() < target.as_slice(),
                    Next::Nowhere => true,
                };
                prop_assert!(!is_passed || !matches(wanted, subject(later)), "{} passed over {}", name, later);
            }
        }
    }
}
