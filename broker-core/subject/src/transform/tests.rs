//! Transforms against the vectors of the sheet, and against a plain model.

use super::*;
use proptest::prelude::*;

fn subject(text: &str) -> Subject<'_> {
    Subject::new(text.as_bytes()).unwrap()
}

fn map(source: &str, destination: &str, text: &str) -> String {
    let transform = Transform::new(source, destination).unwrap();
    transform
        .map(subject(text), &mut |bound| bound - 1)
        .unwrap()
        .to_string()
}

fn check(cases: &[(&str, &str, &str, &str)]) {
    for (source, destination, text, expected) in cases {
        assert_eq!(
            map(source, destination, text),
            *expected,
            "{source} -> {destination}"
        );
    }
}

// CORE-106, CORE-107 [TestSubjectTransforms]
#[test]
fn tokens_go_where_the_destination_wants_them() {
    check(&[
        ("", "prefix.>", "foo", "prefix.foo"),
        ("foo", "bar", "foo", "bar"),
        ("foo.*.bar.*.baz", "req.$2.$1", "foo.A.bar.B.baz", "req.B.A"),
        (
            "foo.*.bar.*.baz",
            "req.{{wildcard(2)}}.{{wildcard(1)}}",
            "foo.A.bar.B.baz",
            "req.B.A",
        ),
        ("baz.>", "my.pre.>", "baz.1.2.3", "my.pre.1.2.3"),
        ("baz.>", "foo.bar.>", "baz.1.2.3", "foo.bar.1.2.3"),
        ("baz.*.>", ">", "baz.1.2.3", "2.3"),
        ("*", "foo.bar.$1", "foo", "foo.bar.foo"),
        ("foo.*.*", "$0.$-1.$JS.$2", "foo.a.b", "foo.foo.$JS.b"),
    ]);
}

// CORE-106, CORE-107 [TestSubjectTransforms]
#[test]
fn functions_cut_tokens() {
    check(&[
        ("*", "{{splitfromleft(1,3)}}", "12345", "123.45"),
        ("*", "{{SplitFromRight(1,3)}}", "12345", "12.345"),
        ("*", "{{splitfromleft(1,5)}}", "12345", "12345"),
        ("*", "{{splitfromleft(1,-2)}}", "12345", "12345"),
        ("*", "{{SliceFromLeft(1,3)}}", "1234567890", "123.456.789.0"),
        ("*", "{{SliceFromRight(1,3)}}", "1234567890", "1.234.567.890"),
        ("*", "{{SliceFromRight(1,5)}}", "1234567890", "12345.67890"),
        ("*", "{{slicefromleft(1,0)}}", "123", "123"),
        ("*", "{{split(1,-)}}", "-abc-def--ghi-", "abc.def.ghi"),
        ("*", "{{split(1,-)}}", "abc-def--ghi-", "abc.def.ghi"),
        ("*", "{{split(1,-)}}", "--abc", "abc"),
        ("*", "x{{.{{split(1,ab)}}", "1ab2ab3", "x{{.1.2.3"),
        ("*", "{{split(1,)}}", "aäb", "a.ä.b"),
        (
            "*.*",
            "{{split(2,-)}}.{{splitfromleft(1,2)}}",
            "foo.-abc-def--ghij-",
            "abc.def.ghij.fo.o",
        ),
        ("*", "{{right(1,1)}}", "1234", "4"),
        ("*", "{{right(1,3)}}", "1234", "234"),
        ("*", "{{right(1,6)}}", "1234", "1234"),
        ("*", "{{left(1,1)}}", "1234", "1"),
        ("*", "{{left(1,3)}}", "1234", "123"),
        ("*", "{{left(1,6)}}", "1234", "1234"),
    ]);
}

// CORE-106, CORE-107 [TestSubjectTransforms]
#[test]
fn partition_is_the_reference_s_hash() {
    check(&[
        ("*", "bar.{{partition(0)}}", "baz", "bar.0"),
        ("*", "bar.{{partition(10, 0)}}", "foo", "bar.3"),
        ("*.*", "bar.{{partition(10)}}", "foo.bar", "bar.6"),
        ("*", "bar.{{partition(10)}}", "foo", "bar.3"),
        ("*", "bar.{{partition(10)}}", "baz", "bar.0"),
        ("*", "bar.{{partition(10)}}", "qux", "bar.9"),
        ("foo.bar", "baz.{{partition(10)}}", "foo.bar", "baz.6"),
        ("foo.baz", "qux.{{partition(10,1)}}", "foo.baz", "qux.4"),
        (
            "test.subject",
            "result.{{partition(5)}}",
            "test.subject",
            "result.0",
        ),
        (
            "*.*",
            "{{partition(1000,1,2)}}.{{partition(1000,2,1)}}",
            "ab.c",
            "331.185",
        ),
        ("*", "{{partition(-1)}}", "foo", "2851307223"),
    ]);
}

// CORE-106 [TestSubjectTransforms]
#[test]
fn random_is_drawn_below_its_bound_by_the_caller() {
    check(&[
        ("*", "bar.{{random(0)}}", "qux", "bar.0"),
        ("*", "bar.{{random(6)}}", "qux", "bar.5"),
        ("foo", "{{random(2147483647)}}", "foo", "2147483646"),
    ]);
    let random = |destination| Transform::new("*", destination).unwrap().is_random();
    assert!(random("a.{{random(2)}}"));
    assert!(!random("a.{{random(1)}}") && !random("a.{{partition(2)}}"));
}

// CORE-107 [TestSubjectTransformDoesntPanicTransformingMissingToken]
#[test]
fn token_that_is_missing_counts_as_empty() {
    let apply = |destination, text| {
        let transform = Transform::new("foo.*.*.>", destination).unwrap();
        let mut out = Vec::new();
        transform.apply_to(subject(text), &mut |_| 0, &mut out);
        String::from_utf8(out).unwrap()
    };
    assert_eq!(apply("one.two.{{wildcard(1)}}.>", "foo"), "one.two..");
    assert_eq!(
        apply(
            "{{split(2,-)}}.{{left(2,1)}}.{{slicefromleft(1,1)}}.{{partition(9,2)}}.>",
            "foo.x"
        ),
        "..x.7."
    );
}

// CORE-110
#[test]
fn subject_that_is_not_for_a_transform_is_told_why() {
    let map = |source, destination, text| {
        let transform = Transform::new(source, destination).unwrap();
        transform.map(subject(text), &mut |_| 0)
    };
    assert_eq!(map("foo.*", "bar.$1", "foo.a.b"), Err(NotTransformed::NoMatch));
    assert_eq!(
        map("foo.*", "bar.$1", "foo.*"),
        Err(NotTransformed::InvalidSubject)
    );
    assert_eq!(map("", "bar.>", "foo..a"), Err(NotTransformed::InvalidSubject));
    assert_eq!(map("*", "{{split(1,-)}}", "--"), Err(NotTransformed::Empty));
    assert_eq!(map("", ">", "foo..*").unwrap().to_string(), "foo..*");
    assert_eq!(
        NotTransformed::NoMatch.to_string(),
        "no matching transforms available"
    );
}

fn error(result: Result<Transform, TransformError>) -> String {
    result.unwrap_err().to_string()
}

// CORE-108 [TestSubjectTransforms]
#[test]
fn error_has_the_text_of_the_reference() {
    for (source, destination, expected) in [
        ("foo..", "bar", "invalid subject"),
        ("foo.*", "bar.*", "invalid subject"),
        ("foo.*", "bar.$1.>", "invalid subject"),
        ("foo.>", "bar.baz", "invalid subject"),
        ("foo", "a\0", "invalid subject"),
        ("foo", "", "invalid mapping destination: invalid transform"),
        ("foo", "foo..}", "invalid mapping destination: invalid transform"),
        (
            "foo.>",
            "a.>.b",
            "invalid mapping destination: invalid transform in b",
        ),
        (
            "foo",
            "foo. bar}",
            "invalid mapping destination: invalid transform",
        ),
        (
            "foo.*",
            "bar.$2",
            "invalid mapping destination: wildcard index out of range in $2: [2]",
        ),
        (
            "foo",
            "bla.{{wildcard(1)}}",
            "invalid mapping destination: wildcard index out of range in {{wildcard(1)}}",
        ),
        (
            "foo.*",
            "f.{{nothing(1)}}",
            "invalid mapping destination: unknown function in {{nothing(1)}}",
        ),
        (
            "foo.*",
            "f.{{wildcard()}}",
            "invalid mapping destination: not enough arguments passed to the function in {{wildcard()}}",
        ),
        (
            "foo.*",
            "f.{{wildcard(1,2)}}",
            "invalid mapping destination: too many arguments passed to the function in {{wildcard(1,2)}}",
        ),
        (
            "foo.*",
            "f.{{random(2147483648)}}",
            "invalid mapping destination: function argument is invalid or in the wrong format in {{random(2147483648)}}",
        ),
    ] {
        assert_eq!(
            error(Transform::new(source, destination)),
            expected,
            "{source} -> {destination}"
        );
    }
}

// CORE-108 [TestValidateDestinationSubject]
#[test]
fn destination_is_checked_against_its_source() {
    for (source, destination) in [
        ("bar", "foo"),
        ("foo", "foo.bar"),
        ("*", "{{wildcard(1)}}"),
        ("foo.>", ">"),
        ("foo.*.>", "bar.{{wildcard(1)}}.>"),
        ("foo.*.bar", "bar.{{wildcard(1)}}.foo"),
        ("foo.bar.>", "foo.bar.foo.>"),
        ("*", "foo.{{ wildcard( 1 ) }}"),
        ("*", "foo.{{partition(2,1)}}"),
        ("*.*", "foo.{{SplitFromLeft(2,1)}}"),
        ("*.*", "foo.{{split(1,-)}}"),
        ("*", "foo.{{random(1)}}"),
        ("*", "foo.{{ left( 1 , 2 ) }}"),
        ("*", "foo.{{Right(1,2)}}"),
    ] {
        assert!(
            Transform::new(source, destination).is_ok(),
            "{source} -> {destination}"
        );
    }
    for (source, destination) in [
        ("*", "foo.{{unknown(1)}}"),
        ("foo", "foo..}"),
        ("foo", "foo. bar}"),
    ] {
        let refused = Transform::new(source, destination);
        assert!(
            matches!(refused, Err(TransformError::Destination { .. })),
            "{destination}"
        );
    }
}

// CORE-109 [TestSubjectTransforms]
#[test]
fn strict_transform_takes_wildcards_only_and_all_of_them() {
    assert!(Transform::strict("foo.*", "bar.{{Wildcard(1)}}").is_ok());
    assert_eq!(
        error(Transform::strict("foo.*.*", "bar.$2")),
        "invalid mapping destination: not using all of the token wildcard(s) in bar.$2"
    );
    assert_eq!(
        error(Transform::strict("foo.*", "foo.$foo")),
        "invalid mapping destination: not using all of the token wildcard(s) in foo.$foo"
    );
    assert_eq!(
        error(Transform::strict("foo.*", "bar.{{Partition(2,1)}}")),
        "invalid mapping destination: the only mapping function allowed for import transforms is {{Wildcard()}} \
         in {{Partition(2,1)}}"
    );
    assert_eq!(error(Transform::strict("foo", "foo..}")), "invalid subject");
}

// CORE-109 [TestSubjectTransformHelpers]
#[test]
fn placeholders_and_wildcards_turn_into_each_other() {
    assert_eq!(with_wildcards("bar"), ("bar".into(), vec![]));
    assert_eq!(with_wildcards("foo.$2.$1"), ("foo.*.*".into(), vec!["$2", "$1"]));
    assert_eq!(
        with_wildcards("foo.{{wildcard(2)}}.{{wildcard(1)}}"),
        ("foo.*.*".into(), vec!["{{wildcard(2)}}", "{{wildcard(1)}}"])
    );
    let filter = Filter::new(b"foo.*.bar.*.>").unwrap();
    assert_eq!(with_placeholders(filter), "foo.$1.bar.$2.>");
}

// CORE-109 [TestSubjectTransformHelpers]
#[test]
fn reversed_transform_leads_back() {
    for (source, destination, text) in [
        ("foo.*.*", "bar.$2.{{Wildcard(1)}}", "foo.b.a"),
        ("foo.*.*.*", "$2.$3.x.$1", "foo.b.a.c"),
        ("foo.*.>", "bar.>", "foo.b.a.c"),
        ("foo", "bar", "foo"),
        // Read as text, the source's first token would be a placeholder.
        ("$-4.>", "$-4$.>", "$-4.0"),
    ] {
        let Ok(transform) = Transform::strict(source, destination) else {
            assert!(Transform::new(source, destination).unwrap().reversed().is_none());
            continue;
        };
        let there = transform.map(subject(text), &mut |_| 0).unwrap();
        let back = transform.reversed().unwrap().map(there.as_subject(), &mut |_| 0);
        assert_eq!(back.unwrap().to_string(), text, "{destination}");
    }
    // Two of the same are as many as the source has, but one token is lost.
    assert!(
        Transform::strict("foo.*.*", "bar.$1.$1")
            .unwrap()
            .reversed()
            .is_none()
    );
}

/// A destination token and what it does, said plainly.
#[derive(Clone, Debug)]
enum Word {
    Text(String),
    Wildcard(usize),
    Left(usize, usize),
    Right(usize, usize),
    SplitLeft(usize, usize),
    SplitRight(usize, usize),
    SliceLeft(usize, usize),
    SliceRight(usize, usize),
    Split(usize, char),
}

impl Word {
    fn written(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Wildcard(w) => format!("${w}"),
            Self::Left(w, n) => format!("{{{{left({w},{n})}}}}"),
            Self::Right(w, n) => format!("{{{{Right({w}, {n})}}}}"),
            Self::SplitLeft(w, n) => format!("{{{{splitFromLeft({w},{n})}}}}"),
            Self::SplitRight(w, n) => format!("{{{{SplitFromRight({w},{n})}}}}"),
            Self::SliceLeft(w, n) => format!("{{{{ slicefromleft({w},{n})}}}}"),
            Self::SliceRight(w, n) => format!("{{{{SliceFromRight({w},{n}) }}}}"),
            Self::Split(w, by) => format!("{{{{split({w},{by})}}}}"),
        }
    }

    fn done(&self, wildcards: &[&str]) -> String {
        let cut = |w: usize, n: usize, short: fn(&str, usize) -> Vec<String>| {
            let token = wildcards[w - 1];
            if n == 0 || n >= token.len() {
                token.to_string()
            } else {
                short(token, n).join(".")
            }
        };
        let owned = |parts: &[&str]| parts.iter().map(|part| part.to_string()).collect::<Vec<_>>();
        match *self {
            Self::Text(ref text) => text.clone(),
            Self::Wildcard(w) => wildcards[w - 1].to_string(),
            Self::Left(w, n) => cut(w, n, |token, n| vec![token[..n].to_string()]),
            Self::Right(w, n) => cut(w, n, |token, n| vec![token[token.len() - n..].to_string()]),
            Self::SplitLeft(w, n) => cut(w, n, |token, n| {
                vec![token[..n].to_string(), token[n..].to_string()]
            }),
            Self::SplitRight(w, n) => cut(w, n, |token, n| {
                vec![
                    token[..token.len() - n].to_string(),
                    token[token.len() - n..].to_string(),
                ]
            }),
            Self::SliceLeft(w, n) => cut(w, n, |token, n| {
                let characters: Vec<char> = token.chars().collect();
                characters.chunks(n).map(|chunk| chunk.iter().collect()).collect()
            }),
            Self::SliceRight(w, n) => cut(w, n, |token, n| {
                let characters: Vec<char> = token.chars().collect();
                characters
                    .rchunks(n)
                    .rev()
                    .map(|chunk| chunk.iter().collect())
                    .collect()
            }),
            Self::Split(w, by) => {
                let parts: Vec<&str> = wildcards[w - 1]
                    .split(by)
                    .filter(|part| !part.is_empty())
                    .collect();
                owned(&parts).join(".")
            }
        }
    }
}

fn word() -> impl Strategy<Value = Word> {
    let (w, n) = (1_usize..4, 0_usize..5);
    prop_oneof![
        "[a-c]{1,2}".prop_map(Word::Text),
        w.clone().prop_map(Word::Wildcard),
        (w.clone(), n.clone()).prop_map(|(w, n)| Word::Left(w, n)),
        (w.clone(), n.clone()).prop_map(|(w, n)| Word::Right(w, n)),
        (w.clone(), n.clone()).prop_map(|(w, n)| Word::SplitLeft(w, n)),
        (w.clone(), n.clone()).prop_map(|(w, n)| Word::SplitRight(w, n)),
        (w.clone(), n.clone()).prop_map(|(w, n)| Word::SliceLeft(w, n)),
        (w.clone(), n).prop_map(|(w, n)| Word::SliceRight(w, n)),
        (w, prop_oneof![Just('-'), Just('x')]).prop_map(|(w, by)| Word::Split(w, by)),
    ]
}

proptest! {
    // CORE-106
    #[test]
    fn transform_does_what_a_plain_model_does(
        words in proptest::collection::vec(word(), 1..6),
        tokens in proptest::collection::vec("[a-x-]{1,6}", 3),
        rest in proptest::option::of(proptest::collection::vec("[a-z]{1,3}", 1..4)),
    ) {
        let wildcards: Vec<&str> = tokens.iter().map(String::as_str).collect();
        let mut destination: Vec<String> = words.iter().map(Word::written).collect();
        let mut expected: Vec<String> = words.iter().map(|word| word.done(&wildcards)).collect();
        let mut source = "s.*.*.t.*".to_string();
        let mut text = format!("s.{}.{}.t.{}", tokens[0], tokens[1], tokens[2]);
        if let Some(rest) = rest {
            source.push_str(".>");
            destination.push(">".into());
            text = format!("{text}.{}", rest.join("."));
            expected.extend(rest);
        }
        let transform = Transform::new(&source, &destination.join(".")).unwrap();
        let mut out = Vec::new();
        transform.apply_to(subject(&text), &mut |_| 0, &mut out);
        prop_assert_eq!(String::from_utf8(out).unwrap(), expected.join("."));
    }

    // CORE-109
    #[test]
    fn reversed_undoes_any_order_of_wildcards(
        order in Just(vec![1, 2, 3, 4]).prop_shuffle(),
        tokens in proptest::collection::vec("[a-z]{1,3}", 4),
    ) {
        let destination: Vec<String> = order.iter().map(|wildcard| format!("${wildcard}")).collect();
        let transform = Transform::strict("a.*.*.*.*", &format!("b.{}", destination.join("."))).unwrap();
        let text = format!("a.{}", tokens.join("."));
        let there = transform.map(subject(&text), &mut |_| 0).unwrap();
        let back = transform.reversed().unwrap().map(there.as_subject(), &mut |_| 0).unwrap();
        prop_assert_eq!(back.to_string(), text);
    }

    // CORE-108: whatever an operator or a client writes is refused or works.
    #[test]
    fn no_text_makes_a_transform_panic(
        source in "[*>.a]{0,6}",
        destination in "([*>.a$1{},() -]|\\{\\{(split|left|partition|random)\\([0-9,-]{0,5}\\)\\}\\}){0,6}",
        text in "[a.*-]{1,8}",
    ) {
        for made in [Transform::new(&source, &destination), Transform::strict(&source, &destination)] {
            let Ok(transform) = made else { continue };
            let mut out = Vec::new();
            transform.apply_to(subject(&text), &mut |bound| bound - 1, &mut out);
            prop_assert!(out.is_empty() || Subject::new(&out).is_ok());
            let _ = (transform.reversed(), transform.map(subject(&text), &mut |_| 0));
        }
    }
}
