//! What is told about subjects.

use dunlin_api::{
    Counting, Filter, Load, Purge, PurgeExtent, Removal, StorageType, StoreError, StreamStore, Subject,
    SubjectState,
};

use crate::stand::{answer, filter, found};
use crate::{Make, Stand};

fn shown(stream: &dyn StreamStore, texts: &[&str]) -> Vec<(String, u64)> {
    let filters: Vec<Filter<'_>> = texts.iter().map(|text| filter(text)).collect();
    let mut seen = Vec::new();
    let mut note = |subject: Subject<'_>, messages: u64| {
        seen.push((subject.to_string(), messages));
        true
    };
    stream.each_subject(&filters, &mut note).unwrap();
    seen
}

fn pairs(expected: &[(&str, u64)]) -> Vec<(String, u64)> {
    expected
        .iter()
        .map(|(subject, messages)| ((*subject).to_owned(), *messages))
        .collect()
}

/// By rising bytes where there is one filter or none; several filters show no subject twice. [STORE-83, STORE-97]
pub fn each_subject_is_shown_once_with_its_messages(make: Make<'_>) {
    let mut stand = Stand::new(make);
    stand.fill(&["b.c", "a", "a.c", "a.b", "a", "b.c", "b.c", "z"]);
    stand.remove(8, Removal::Remove).unwrap();
    stand.remove(1, Removal::Remove).unwrap();
    let all = pairs(&[("a", 2), ("a.b", 1), ("a.c", 1), ("b.c", 2)]);
    assert_eq!(shown(&*stand, &[]), all);
    assert_eq!(shown(&*stand, &[">"]), all);
    assert_eq!(shown(&*stand, &["a.*"]), pairs(&[("a.b", 1), ("a.c", 1)]));
    assert_eq!(shown(&*stand, &["z"]), []);
    let mut several = shown(&*stand, &["*.c", "a.*", "a.c"]);
    several.sort();
    assert_eq!(several, pairs(&[("a.b", 1), ("a.c", 1), ("b.c", 2)]));
}

/// At once.
pub fn a_visit_of_subjects_can_stop(make: Make<'_>) {
    let mut stand = Stand::new(make);
    stand.fill(&["c", "b", "a"]);
    for texts in [&[][..], &["*"], &["c", "*"]] {
        let filters: Vec<Filter<'_>> = texts.iter().map(|text| filter(text)).collect();
        let mut count = 0;
        let mut stop = |_: Subject<'_>, _: u64| {
            count += 1;
            count < 2
        };
        stand.each_subject(&filters, &mut stop).unwrap();
        assert_eq!(count, 2, "{texts:?}");
    }
}

/// Those that have a message. [STORE-80]
pub fn subjects_are_counted(make: Make<'_>) {
    let mut stand = Stand::new(make);
    stand.fill(&["a", "b", "a", "c"]);
    assert_eq!(stand.state().subjects, 3);
    stand.remove(1, Removal::Remove).unwrap();
    assert_eq!(stand.state().subjects, 3);
    stand.remove(3, Removal::Remove).unwrap();
    assert_eq!(stand.state().subjects, 2);
    stand.truncate(3).unwrap();
    assert_eq!(stand.state().subjects, 1);
    stand.compact(9).unwrap();
    assert_eq!(stand.state().subjects, 0);
}

/// One that several filters match counts once. [STORE-96]
pub fn pending_messages_are_counted_from_a_sequence(make: Make<'_>) {
    let mut stand = Stand::new(make);
    stand.fill(&["a.b", "a.c", "a.b", "b.c", "a.b"]);
    stand.remove(3, Removal::Remove).unwrap();
    let pending = |texts: &[&str], from| {
        let filters: Vec<Filter<'_>> = texts.iter().map(|text| filter(text)).collect();
        answer(stand.num_pending(from, &filters, Counting::All))
    };
    assert_eq!(pending(&[], 0), 4);
    assert_eq!(pending(&["a.b"], 0), 2);
    assert_eq!(pending(&["a.b"], 2), 1);
    assert_eq!(pending(&["a.*", "a.b", "*.c"], 2), 3);
    assert_eq!(pending(&["a.*", "a.b"], 6), 0);
    assert_eq!(pending(&["none"], 0), 0);
    assert_eq!(pending(&[], u64::MAX), 0);
}

/// However many messages the subject has on either side. [STORE-96]
pub fn pending_subjects_are_those_whose_last_message_lies_ahead(make: Make<'_>) {
    let mut stand = Stand::new(make);
    stand.fill(&["a.1", "a.2", "a.3", "a.1", "a.2", "b"]);
    let pending = |stand: &Stand, texts: &[&str], from| {
        let filters: Vec<Filter<'_>> = texts.iter().map(|text| filter(text)).collect();
        answer(stand.num_pending(from, &filters, Counting::LastPerSubject))
    };
    assert_eq!(pending(&stand, &["a.*"], 0), 3);
    assert_eq!(pending(&stand, &["a.*"], 3), 3);
    assert_eq!(pending(&stand, &["a.*"], 4), 2);
    assert_eq!(pending(&stand, &["a.*", "a.1", ">"], 5), 2);
    assert_eq!(pending(&stand, &[], 7), 0);
    stand.remove(5, Removal::Remove).unwrap();
    assert_eq!(pending(&stand, &["a.*"], 3), 2);
    assert_eq!(pending(&stand, &["a.*"], 2), 3);
    stand.skip(1 << 40, None).unwrap();
    stand.fill(&["a.1"]);
    assert_eq!(pending(&stand, &["a.*"], 7), 1);
}

/// More subjects than allowed are an error. [STORE-98]
pub fn last_sequences_are_sorted_and_bounded(make: Make<'_>) {
    let mut stand = Stand::new(make);
    stand.fill(&["z", "a", "m", "a", "z", "b"]);
    let last = |stand: &Stand, texts: &[&str], most| {
        let filters: Vec<Filter<'_>> = texts.iter().map(|text| filter(text)).collect();
        stand
            .last_sequences(&filters, u64::MAX, most)
            .and_then(Load::wait)
    };
    assert_eq!(last(&stand, &[], 4), Ok(vec![3, 4, 5, 6]));
    assert_eq!(last(&stand, &[], 3), Err(StoreError::TooManyResults));
    assert_eq!(last(&stand, &["z", "a"], 2), Ok(vec![4, 5]));
    assert_eq!(last(&stand, &["z", "*", "z"], 4), Ok(vec![3, 4, 5, 6]));
    assert_eq!(last(&stand, &["none"], 0), Ok(vec![]));
    assert_eq!(last(&stand, &["a"], 0), Err(StoreError::TooManyResults));
    stand.remove(4, Removal::Remove).unwrap();
    assert_eq!(last(&stand, &["a", "z"], 2), Ok(vec![2, 5]));
}

/// The subjects that have no message up to there are none. [STORE-98]
pub fn last_sequences_look_back_from_a_sequence(make: Make<'_>) {
    let mut stand = Stand::new(make);
    stand.fill(&["a", "b", "a", "c", "a", "b"]);
    stand.remove(3, Removal::Remove).unwrap();
    for (to, expected) in [
        (0, &[][..]),
        (1, &[1]),
        (3, &[1, 2]),
        (4, &[1, 2, 4]),
        (5, &[2, 4, 5]),
        (6, &[4, 5, 6]),
        (99, &[4, 5, 6]),
    ] {
        assert_eq!(answer(stand.last_sequences(&[], to, 3)), expected, "to {to}");
    }
}

/// Whether the first, the last or one in the middle of a subject went, one by one or many. [STORE-83, STORE-157]
pub fn removals_leave_right_figures_of_each_subject(make: Make<'_>) {
    let mut stand = Stand::new(make);
    stand.fill(&["a", "b", "a", "a", "b", "a", "a", "b"]);
    let state = |messages, first, last| SubjectState {
        messages,
        first,
        last,
    };
    let check = |stand: &Stand, subject: &str, expected: SubjectState| {
        let filters = [filter(subject)];
        assert_eq!(answer(stand.filtered_state(&filters, 0)), expected);
        assert_eq!(found(stand.next(&filters, 0)), Some(expected.first));
        assert_eq!(found(stand.previous(&filters, u64::MAX)), Some(expected.last));
        assert_eq!(
            answer(stand.last_sequences(&filters, u64::MAX, 1)),
            [expected.last]
        );
        assert_eq!(
            shown(&**stand, &[subject]),
            pairs(&[(subject, expected.messages)])
        );
    };
    stand.remove(4, Removal::Remove).unwrap();
    check(&stand, "a", state(4, 1, 7));
    stand.remove(7, Removal::Remove).unwrap();
    check(&stand, "a", state(3, 1, 6));
    stand.remove(1, Removal::Remove).unwrap();
    check(&stand, "a", state(2, 3, 6));
    stand.fill(&["a"]);
    check(&stand, "a", state(3, 3, 9));
    stand.compact(6).unwrap();
    check(&stand, "a", state(2, 6, 9));
    check(&stand, "b", state(1, 8, 8));
    stand.truncate(8).unwrap();
    check(&stand, "a", state(1, 6, 6));
}

/// More than any short cut is made for: the same answers as a look at each message. [STORE-152, STORE-156]
pub fn questions_about_many_subjects_are_answered_alike(make: Make<'_>) {
    let mut stand = Stand::new(make);
    let number = |at: u64| at * 7 % 1000;
    let subjects: Vec<String> = (1..=2500).map(|at| format!("s.{}.x", number(at))).collect();
    stand.fill(&subjects.iter().map(String::as_str).collect::<Vec<_>>());
    stand.fill(&["t", "s.1.x"]);
    stand.settle();
    stand.harness.cool();
    let wide = [filter("s.*.x")];
    for from in [0, 1, 1250, 2400, 2500] {
        let next = if from < 1 { 1 } else { from };
        assert_eq!(found(stand.next(&wide, from)), Some(next));
        let expected = SubjectState {
            messages: 2501 - next + 1,
            first: next,
            last: 2502,
        };
        assert_eq!(answer(stand.filtered_state(&wide, from)), expected);
    }
    assert_eq!(found(stand.next(&wide, 2501)), Some(2502));
    assert_eq!(found(stand.next(&wide, 2503)), None);
    assert_eq!(found(stand.previous(&wide, 2501)), Some(2500));
    assert_eq!(found(stand.previous(&wide, 2500)), Some(2500));
    assert_eq!(
        found(stand.previous(&[filter("t"), filter("none")], u64::MAX)),
        Some(2501)
    );
    let pending = |from| answer(stand.num_pending(from, &wide, Counting::LastPerSubject));
    assert_eq!((pending(0), pending(2002), pending(2503)), (1000, 499, 0));
    assert_eq!(answer(stand.last_sequences(&wide, 1000, 1000)).len(), 1000);
    assert_eq!(stand.compact(2001).unwrap().messages, 2000);
    assert_eq!(stand.state().subjects, 501);
    assert_eq!(answer(stand.filtered_state(&[filter("s.7.x")], 0)).first, 2001);
    let wide = Purge {
        filter: Some(wide[0].to_owned()),
        extent: PurgeExtent::Keep(2),
    };
    assert_eq!(stand.purge(&wide).unwrap().messages, 499);
    assert_eq!(stand.sequences(), [2500, 2501, 2502]);
}

/// Whether a store goes by subjects or by messages: a few subjects among many messages, and many with one message each.
/// [STORE-96, STORE-106, STORE-156]
pub fn rare_subjects_are_found_among_many_messages(make: Make<'_>) {
    let mut stand = Stand::new(make);
    let subject = |at: u64| match at {
        at if at % 40 == 7 => format!("once.{at}"),
        at if at % 600 == 0 => format!("rare.{}", ["a", "b"][(at / 600 % 2) as usize]),
        11_999 => "rare.c".to_owned(),
        _ => "common".to_owned(),
    };
    let subjects: Vec<String> = (1..=12_000).map(subject).collect();
    stand.fill(&subjects.iter().map(String::as_str).collect::<Vec<_>>());
    stand.settle();
    stand.harness.cool();
    let rare: Vec<u64> = (1..=19).map(|n| n * 600).chain([11_999, 12_000]).collect();
    for from in [0, 601, 6000, 6001, 11_999] {
        let left = rare.iter().filter(|at| **at >= from).count() as u64;
        let pending = stand.num_pending(from, &[filter("rare.*")], Counting::All);
        assert_eq!(answer(pending), left, "from {from}");
    }
    assert_eq!(found(stand.next(&[filter("rare.b")], 6001)), Some(6600));
    assert_eq!(found(stand.previous(&[filter("rare.b")], 6599)), Some(5400));
    assert_eq!(
        answer(stand.last_sequences(&[filter("rare.*")], 6001, 9)),
        [5400, 6000]
    );
    let purge = |text: &str, extent| Purge {
        filter: Some(filter(text).to_owned()),
        extent,
    };
    assert_eq!(
        stand
            .purge(&purge("rare.*", PurgeExtent::Keep(4)))
            .unwrap()
            .messages,
        17
    );
    for kept in [10_800, 11_400, 11_999, 12_000] {
        assert_eq!(found(stand.next(&[filter("rare.*")], kept)), Some(kept));
    }
    assert_eq!(found(stand.next(&[filter("rare.*")], 0)), Some(10_800));
    assert_eq!(
        stand
            .purge(&purge("once.*", PurgeExtent::Everything))
            .unwrap()
            .messages,
        300
    );
    let common = answer(stand.num_pending(0, &[filter("common")], Counting::All));
    let purged = stand.purge(&purge("common", PurgeExtent::Keep(10))).unwrap();
    assert_eq!((purged.messages, stand.state().messages), (common - 10, 14));
    assert_eq!(found(stand.next(&[filter("common")], 0)), Some(11_989));
}

/// Its subject count is 0; by sequence all is there. [STORE-84, STORE-158]
pub fn a_stream_that_tracks_no_subjects_finds_by_sequence(make: Make<'_>) {
    let mut stand = Stand::with(make, StorageType::File, |options| options.track_subjects = false);
    stand.fill(&["a", "b", "c"]);
    stand.remove(1, Removal::Remove).unwrap();
    assert_eq!(stand.state().subjects, 0);
    assert_eq!(stand.bounds(), (2, 2, 3));
    assert_eq!(found(stand.next(&[], 0)), Some(2));
    assert_eq!(found(stand.previous(&[], 9)), Some(3));
    assert_eq!(answer(stand.load(3)).unwrap().subject().as_bytes(), b"c");
    stand.compact(3).unwrap();
    stand.truncate(2).unwrap();
    assert_eq!((stand.bounds(), stand.state().subjects), ((0, 3, 2), 0));
}
