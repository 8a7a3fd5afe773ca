//! Finding messages by sequence, subject and time.

use dunlin_api::{Filter, Purge, Removal, SubjectState};

use crate::stand::{answer, filter, found, holes, message};
use crate::{Make, Stand};

/// Not before the first, not after the last, not what is removed or skipped. [STORE-92]
pub fn a_load_finds_what_is_held_and_nothing_else(make: Make<'_>) {
    let mut stand = Stand::new(make);
    stand.fill(&["a", "b", "c"]);
    stand.skip(2, None).unwrap();
    stand.fill(&["d"]);
    stand.remove(2, Removal::Remove).unwrap();
    let held: Vec<_> = (0..10).filter(|at| answer(stand.load(*at)).is_some()).collect();
    assert_eq!(held, [1, 3, 6]);
    assert_eq!(found(stand.load(u64::MAX)), None);
    assert_eq!(answer(stand.load(3)).unwrap().subject().as_bytes(), b"c");
}

/// Both ways. [STORE-93, STORE-147]
pub fn neighbours_are_found_over_any_gap(make: Make<'_>) {
    let mut stand = Stand::new(make);
    stand.skip(4, None).unwrap();
    stand.fill(&["a", "a", "a", "a"]);
    stand.skip(5000, None).unwrap();
    stand.fill(&["a"]);
    stand.remove(6, Removal::Remove).unwrap();
    stand.remove(7, Removal::Remove).unwrap();
    assert_eq!(stand.sequences(), [5, 8, 5009]);
    for (from, to, after, before) in [
        (0, 0, Some(5), None),
        (5, 4, Some(5), None),
        (6, 7, Some(8), Some(5)),
        (9, 5008, Some(5009), Some(8)),
        (5009, 5009, Some(5009), Some(5009)),
        (5010, u64::MAX, None, Some(5009)),
    ] {
        assert_eq!(stand.at_or_after(from), after, "from {from}");
        assert_eq!(stand.at_or_before(to), before, "to {to}");
    }
    assert_eq!(stand.at_or_after(u64::MAX), None);
}

/// And those behind the last message. [STORE-80, STORE-146]
pub fn deleted_sequences_are_shown_in_runs(make: Make<'_>) {
    let mut stand = Stand::new(make);
    assert_eq!(holes(&*stand), []);
    stand.skip(3, None).unwrap();
    assert_eq!(holes(&*stand), [], "an empty stream has none");
    stand.fill(&["a"; 10]);
    for sequence in [5, 7, 8, 11, 13] {
        stand.remove(sequence, Removal::Remove).unwrap();
    }
    stand.skip(1 << 50, None).unwrap();
    assert_eq!(holes(&*stand), [5..=5, 7..=8, 11..=11, 13..=(1 << 50) + 13]);
    stand.remove(4, Removal::Remove).unwrap();
    stand.remove(6, Removal::Remove).unwrap();
    assert_eq!(holes(&*stand), [11..=11, 13..=(1 << 50) + 13]);
    stand.truncate(12).unwrap();
    assert_eq!(holes(&*stand), [11..=11]);
    let mut count = 0;
    stand.remove(9, Removal::Remove).unwrap();
    stand.each_deleted(&mut |_| {
        count += 1;
        false
    });
    assert_eq!(count, 1, "a visit can stop");
    stand.purge(&Purge::default()).unwrap();
    assert_eq!(holes(&*stand), []);
}

/// Neither to skip nor to find what lies beyond: a loop over it would never end. [STORE-128]
pub fn a_step_over_a_huge_gap_costs_nothing(make: Make<'_>) {
    let mut stand = Stand::new(make);
    stand.fill(&["a"]);
    stand.skip(1 << 60, None).unwrap();
    stand.fill(&["b"]);
    let last = (1 << 60) + 2;
    assert_eq!(stand.bounds(), (2, 1, last));
    assert_eq!(stand.state().deleted(), 1 << 60);
    assert_eq!(stand.at_or_after(2), Some(last));
    assert_eq!(stand.at_or_before(last - 1), Some(1));
    assert_eq!(found(stand.next(&[], 2)), Some(last));
    assert_eq!(found(stand.previous(&[filter("a")], last)), Some(1));
    assert_eq!(answer(stand.filtered_state(&[], 2)).messages, 1);
    assert_eq!(answer(stand.sequence_at(i64::MAX)), None);
    stand.remove(1, Removal::Remove).unwrap();
    assert_eq!(stand.bounds(), (1, last, last));
    stand.compact(1 << 61).unwrap();
    assert_eq!(stand.bounds(), (0, 1 << 61, (1 << 61) - 1));
    stand.truncate(1 << 59).unwrap();
    assert_eq!(stand.bounds(), (0, (1 << 59) + 1, 1 << 59));
}

/// One filter or several, overlapping or not. [STORE-93, STORE-94, STORE-130, STORE-156]
pub fn next_and_previous_find_what_any_filter_matches(make: Make<'_>) {
    let mut stand = Stand::new(make);
    stand.fill(&["a", "a.b", "b.c", "a", "a.b.c", "b.c", "a.c"]);
    stand.settle();
    stand.harness.cool();
    let check = |texts: &[&str], expected: &[u64]| {
        let filters: Vec<Filter<'_>> = texts.iter().map(|text| filter(text)).collect();
        for at in 0..10 {
            let after = expected.iter().copied().find(|sequence| *sequence >= at);
            assert_eq!(found(stand.next(&filters, at)), after, "{texts:?} from {at}");
            let before = expected.iter().copied().rfind(|sequence| *sequence <= at);
            assert_eq!(found(stand.previous(&filters, at)), before, "{texts:?} to {at}");
        }
    };
    check(&[], &[1, 2, 3, 4, 5, 6, 7]);
    check(&[">"], &[1, 2, 3, 4, 5, 6, 7]);
    check(&["a"], &[1, 4]);
    check(&["a.*"], &[2, 7]);
    check(&["a.>"], &[2, 5, 7]);
    check(&["*.c"], &[3, 6, 7]);
    check(&["*.c", "a.*"], &[2, 3, 6, 7]);
    check(&["a.b", "a.b"], &[2]);
    check(&["none", "a"], &[1, 4]);
    check(&["none", "a.*.c.*"], &[]);
}

/// A start before the first or after the last is no mistake. [STORE-93]
pub fn next_and_previous_end_at_the_edges(make: Make<'_>) {
    let mut stand = Stand::new(make);
    assert_eq!(found(stand.next(&[], 0)), None);
    assert_eq!(found(stand.previous(&[], u64::MAX)), None);
    stand.skip(3, None).unwrap();
    assert_eq!(found(stand.next(&[filter("*")], 0)), None);
    assert_eq!(found(stand.previous(&[filter("*")], u64::MAX)), None);
    stand.fill(&["b", "a", "a"]);
    stand.remove(5, Removal::Remove).unwrap();
    stand.fill(&["b"]);
    for from in [0, 1, 4, 5, 6] {
        assert_eq!(found(stand.next(&[filter("a")], from)), Some(6));
    }
    for to in [6, 7, 8, u64::MAX] {
        assert_eq!(found(stand.previous(&[filter("a")], to)), Some(6));
    }
    assert_eq!(found(stand.next(&[filter("a")], 7)), None);
    assert_eq!(found(stand.next(&[filter("a")], u64::MAX)), None);
    assert_eq!(found(stand.previous(&[filter("a")], 5)), None);
    assert_eq!(found(stand.previous(&[], 0)), None);
}

/// Thousands of holes between. [STORE-156]
pub fn a_walk_back_over_holes_sees_all(make: Make<'_>) {
    let mut stand = Stand::new(make);
    let subjects: Vec<String> = (0..3000).map(|n| format!("s.{}", n % 7)).collect();
    stand.fill(&subjects.iter().map(String::as_str).collect::<Vec<_>>());
    for sequence in (1..=3000).filter(|sequence| sequence % 50 != 1) {
        stand.remove(sequence, Removal::Remove).unwrap();
    }
    let step = |at: u64| found(stand.previous(&[filter("s.*")], at - 1));
    let walked: Vec<_> = std::iter::successors(step(3001), |at| step(*at)).collect();
    let expected: Vec<u64> = (0..60).rev().map(|n| n * 50 + 1).collect();
    assert_eq!(walked, expected);
}

/// Over holes in the middle and at the end. [STORE-95]
pub fn the_sequence_at_a_time_is_that_of_the_first_not_older(make: Make<'_>) {
    let mut stand = Stand::new(make);
    assert_eq!(answer(stand.sequence_at(0)), None);
    for time in [10, 10, 20, 30, 40, 50] {
        stand.stage(&message("a", time, b"")).unwrap();
    }
    stand.skip(3, Some(60)).unwrap();
    for sequence in [3, 4, 6] {
        stand.remove(sequence, Removal::Remove).unwrap();
    }
    for (time, sequence) in [
        (i64::MIN, Some(1)),
        (10, Some(1)),
        (11, Some(5)),
        (40, Some(5)),
        (41, None),
        (i64::MAX, None),
    ] {
        assert_eq!(answer(stand.sequence_at(time)), sequence, "at {time}");
    }
    stand.stage(&message("a", 70, b"")).unwrap();
    assert_eq!(answer(stand.sequence_at(41)), Some(10));
}

/// Messages, first and last; zeros where there are none. [STORE-97]
pub fn the_state_of_a_filter_counts_from_a_sequence(make: Make<'_>) {
    let mut stand = Stand::new(make);
    stand.fill(&["a", "b", "a", "c", "a", "b"]);
    stand.remove(3, Removal::Remove).unwrap();
    let state = |messages, first, last| SubjectState {
        messages,
        first,
        last,
    };
    let check = |texts: &[&str], from, expected| {
        let filters: Vec<Filter<'_>> = texts.iter().map(|text| filter(text)).collect();
        assert_eq!(
            answer(stand.filtered_state(&filters, from)),
            expected,
            "{texts:?} from {from}"
        );
    };
    check(&[], 0, state(5, 1, 6));
    check(&[], 3, state(3, 4, 6));
    check(&["a"], 0, state(2, 1, 5));
    check(&["a"], 2, state(1, 5, 5));
    check(&["a", "*"], 2, state(4, 2, 6));
    check(&["b", "c"], 3, state(2, 4, 6));
    check(&["none"], 0, SubjectState::default());
    check(&["a"], 6, SubjectState::default());
    check(&[], u64::MAX, SubjectState::default());
}

/// Bytes that are no UTF-8, 0x7f as well, an empty token: what a client may publish to. [STORE-129]
pub fn a_subject_with_any_byte_is_found(make: Make<'_>) {
    let mut stand = Stand::new(make);
    let subjects: [&[u8]; 5] = [b"a.\x7f", b"a.\xff\xfe", b"a..b", b"a.\x01", "a.ü".as_bytes()];
    for subject in subjects {
        let mut new = message("a", 1, b"");
        new.subject = dunlin_api::Subject::from_wire(subject).unwrap();
        stand.stage(&new).unwrap();
    }
    let mut seen = Vec::new();
    let mut note = |subject: dunlin_api::Subject<'_>, _: u64| {
        seen.push(subject.as_bytes().to_vec());
        true
    };
    stand.each_subject(&[], &mut note).unwrap();
    let mut expected: Vec<_> = subjects.iter().map(|subject| subject.to_vec()).collect();
    expected.sort();
    assert_eq!(seen, expected);
    assert_eq!(answer(stand.filtered_state(&[filter("a.*")], 0)).messages, 4);
    assert_eq!(found(stand.next(&[Filter::new(b"a.\x7f").unwrap()], 0)), Some(1));
}
