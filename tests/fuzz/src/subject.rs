//! Subjects, filters, and the index that finds one for the other.

use dunlin_subject::{Filter, InterestIndex, Matches, Subject, collides, is_subset, matches};

/// Lines: subjects and filters as they come from the wire. The index agrees with one look at each filter, and the
/// relations between filters with what they match.
pub fn subjects(data: &[u8]) {
    let lines: Vec<&[u8]> = data.split(|byte| *byte == b'\n').take(24).collect();
    for line in &lines {
        check_one(line);
    }
    let filters: Vec<Filter<'_>> = lines
        .iter()
        .filter_map(|line| Filter::from_wire(line).ok())
        .collect();
    let subjects: Vec<Subject<'_>> = lines
        .iter()
        .filter_map(|line| Subject::from_wire(line).ok())
        .filter(|subject| subject.is_valid_literal())
        .collect();
    check_index(&filters, &subjects);
    check_relations(&filters, &subjects);
}

fn check_one(line: &[u8]) {
    if let Ok(subject) = Subject::new(line) {
        let joined = subject.tokens().collect::<Vec<_>>().join(&b'.');
        assert_eq!(joined, line, "tokens are what stands between dots");
        assert_eq!(subject.token(0), subject.tokens().next());
    }
    if let Ok(filter) = Filter::new(line) {
        assert!(Subject::new(line).is_ok(), "a filter is a subject");
        assert_eq!(
            Filter::from_wire(line),
            Ok(filter),
            "what is valid may come from the wire"
        );
    }
}

fn check_index(filters: &[Filter<'_>], subjects: &[Subject<'_>]) {
    let mut index = InterestIndex::new(1);
    for (number, filter) in filters.iter().enumerate() {
        index.insert(*filter, None, number).expect("room");
    }
    let mut found = Matches::new();
    for subject in subjects {
        let expected: Vec<usize> = (0..filters.len())
            .filter(|number| matches(filters[*number], *subject))
            .collect();
        assert_eq!(index.has_interest(*subject), !expected.is_empty());
        found.clear();
        index.matches(*subject, &mut found);
        found.plain.sort_unstable();
        assert_eq!(found.plain, expected, "{subject:?}");
    }
    for (number, filter) in filters.iter().enumerate() {
        index.remove(*filter, None, &number).expect("it was inserted");
    }
    assert_eq!((index.len(), index.token_count()), (0, 0));
}

fn check_relations(filters: &[Filter<'_>], subjects: &[Subject<'_>]) {
    for a in filters {
        for b in filters {
            assert_eq!(collides(*a, *b), collides(*b, *a));
            for subject in subjects.iter().filter(|subject| matches(*a, **subject)) {
                let is_matched = matches(*b, *subject);
                assert!(
                    is_matched || !is_subset(*a, *b),
                    "{a:?} lies in {b:?}, {subject:?} does not"
                );
                assert!(
                    collides(*a, *b) || !is_matched,
                    "{subject:?} is in both {a:?} and {b:?}"
                );
            }
        }
    }
}
