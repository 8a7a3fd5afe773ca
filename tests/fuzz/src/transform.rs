//! Transforms of subjects, and mappings made of them.

use dunlin_subject::{
    MapDestination, Mapped, Mapping, Mappings, Subject, Transform, matches, with_placeholders,
};

/// Lines: a source, a destination, and subjects. What a transform makes is a subject, the same whenever it does not draw;
/// what can be turned round gives back what it was given; a source mapped to its own placeholders changes nothing.
pub fn transforms(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let mut lines = text.split('\n');
    let (source, destination) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
    let subjects: Vec<Subject<'_>> = lines
        .take(16)
        .filter_map(|line| Subject::new(line.as_bytes()).ok())
        .collect();
    if let Ok(transform) = Transform::new(source, destination) {
        assert_eq!(Transform::new(source, destination).as_ref(), Ok(&transform));
        subjects.iter().for_each(|subject| check(&transform, *subject));
        check_identity(source, &transform, &subjects);
    }
    if let Ok(transform) = Transform::strict(source, destination) {
        check_reverse(&transform, &subjects);
    }
    check_mapping(source, destination, &subjects);
}

/// The lowest and the highest number that may be drawn.
fn lowest(bound: u32) -> u32 {
    assert!(bound > 0, "nothing to draw");
    0
}

fn highest(bound: u32) -> u32 {
    assert!(bound > 0, "nothing to draw");
    bound - 1
}

fn check(transform: &Transform, subject: Subject<'_>) {
    let (low, high) = (
        transform.map(subject, &mut lowest),
        transform.map(subject, &mut highest),
    );
    assert!(transform.is_random() || low == high, "{subject:?} is drawn");
    assert_eq!(transform.map(subject, &mut lowest), low);
    for made in low.iter().chain(&high) {
        let bytes = made.as_bytes();
        assert!(!bytes.is_empty() && !bytes.iter().any(u8::is_ascii_whitespace));
        // The one transform that asks for nothing.
        let is_matched = matches(transform.source(), subject);
        assert!(
            is_matched || transform.destination() == ">",
            "{subject:?} does not match"
        );
    }
}

/// Words that are placeholders where they stand as text.
fn has_placeholders(text: &str) -> bool {
    text.contains('$') || text.contains('{')
}

fn check_identity(source: &str, transform: &Transform, subjects: &[Subject<'_>]) {
    let filter = transform.source();
    if has_placeholders(source) {
        return;
    }
    let itself = Transform::new(source, &with_placeholders(filter)).expect("a source is a destination");
    let is_for = |subject: &&Subject<'_>| subject.is_valid_literal() && matches(filter, **subject);
    for subject in subjects.iter().filter(is_for) {
        let made = itself.map(*subject, &mut lowest);
        assert_eq!(made.as_ref().map(|made| made.as_bytes()), Ok(subject.as_bytes()));
    }
}

fn check_reverse(transform: &Transform, subjects: &[Subject<'_>]) {
    let Some(back) = transform.reversed() else { return };
    for subject in subjects {
        let Ok(made) = transform.map(*subject, &mut lowest) else {
            continue;
        };
        let given_back = back.map(made.as_subject(), &mut lowest);
        assert_eq!(
            given_back.as_ref().map(|given| given.as_bytes()),
            Ok(subject.as_bytes()),
            "through {made:?}"
        );
    }
}

fn check_mapping(source: &str, destination: &str, subjects: &[Subject<'_>]) {
    let half = MapDestination {
        subject: destination,
        weight: 50,
        cluster: None,
    };
    let Ok(mapping) = Mapping::new(source, &[half]) else {
        return;
    };
    let mappings = Mappings::new([mapping], None);
    for subject in subjects {
        let Mapped::Drawn(choices) = mappings.map(*subject) else {
            continue;
        };
        let drawn: Vec<_> = [0, 49, 50, 99].map(|drawn| choices.draw(&mut |_| drawn)).into();
        assert!(drawn[0] == drawn[1] && drawn[2] == drawn[3], "fifty of a hundred");
        assert!(drawn[0].is_some(), "half of all goes to its destination");
    }
}
