//! Taking many messages away.

use dunlin_api::{FilterBuf, Purge, PurgeExtent, Purged, Removal};

use crate::stand::message;
use crate::{Make, Stand};

fn purge(filter: Option<&str>, extent: PurgeExtent) -> Purge {
    Purge {
        filter: filter.map(|text| FilterBuf::new(text.as_bytes()).unwrap()),
        extent,
    }
}

/// And the last time; nothing of the subjects is left. [STORE-103]
pub fn a_purge_of_everything_keeps_the_numbering(make: Make<'_>) {
    let mut stand = Stand::new(make);
    assert_eq!(stand.purge(&Purge::default()), Ok(Purged::default()));
    assert_eq!(stand.bounds(), (0, 0, 0));
    stand.fill(&["a", "b", "c"]);
    let purged = stand.purge(&Purge::default()).unwrap();
    assert_eq!((purged.messages, purged.bytes), (3, 96));
    let state = stand.state();
    assert_eq!((stand.bounds(), state.bytes, state.subjects), ((0, 4, 3), 0, 0));
    assert_eq!((state.first_time, state.last_time), (0, 3));
    stand.fill(&["a"]);
    assert_eq!(stand.sequences(), [4]);
}

/// And nothing else. [STORE-106, STORE-154]
pub fn a_purge_takes_what_matches(make: Make<'_>) {
    let mut stand = Stand::new(make);
    stand.fill(&["a", "b.c", "a", "b.d", "a"]);
    stand.remove(3, Removal::Remove).unwrap();
    let purged = stand.purge(&purge(Some("a"), PurgeExtent::Everything)).unwrap();
    assert_eq!((purged.messages, purged.bytes), (2, 64));
    assert_eq!((stand.sequences(), stand.bounds()), (vec![2, 4], (2, 2, 5)));
    let none = stand.purge(&purge(Some("a"), PurgeExtent::Everything)).unwrap();
    assert_eq!(none, Purged::default());
    stand.purge(&purge(Some("b.*"), PurgeExtent::Everything)).unwrap();
    assert_eq!(stand.bounds(), (0, 6, 5));
}

/// Without a filter as a compact does. [STORE-106]
pub fn a_purge_before_a_sequence_stops_there(make: Make<'_>) {
    let mut stand = Stand::new(make);
    stand.fill(&["a", "b", "a", "b", "a"]);
    for nothing in [0, 1] {
        let purged = stand
            .purge(&purge(Some("a"), PurgeExtent::Before(nothing)))
            .unwrap();
        assert_eq!(purged, Purged::default());
    }
    let purged = stand.purge(&purge(Some("a"), PurgeExtent::Before(5))).unwrap();
    assert_eq!((purged.messages, stand.sequences()), (2, vec![2, 4, 5]));
    let purged = stand.purge(&purge(None, PurgeExtent::Before(4))).unwrap();
    assert_eq!((purged.messages, stand.bounds()), (1, (2, 4, 5)));
    stand.purge(&purge(None, PurgeExtent::Before(9))).unwrap();
    assert_eq!(stand.bounds(), (0, 9, 8));
}

/// Of those that match, or of all. [STORE-106, STORE-154]
pub fn a_purge_keeps_the_newest(make: Make<'_>) {
    let mut stand = Stand::new(make);
    stand.fill(&["a", "b", "a", "b", "a", "b"]);
    let purged = stand.purge(&purge(Some("a"), PurgeExtent::Keep(1))).unwrap();
    assert_eq!((purged.messages, stand.sequences()), (2, vec![2, 4, 5, 6]));
    for kept in [1, 2, u64::MAX] {
        let purged = stand.purge(&purge(Some("a"), PurgeExtent::Keep(kept))).unwrap();
        assert_eq!(purged, Purged::default());
    }
    let purged = stand.purge(&purge(None, PurgeExtent::Keep(2))).unwrap();
    assert_eq!((purged.messages, stand.bounds()), (2, (2, 5, 6)));
    let purged = stand.purge(&purge(Some(">"), PurgeExtent::Keep(0))).unwrap();
    assert_eq!((purged.messages, stand.bounds()), (2, (0, 7, 6)));
}

/// It keeps messages, wherever they lie. [STORE-106]
pub fn a_keeping_purge_counts_no_holes(make: Make<'_>) {
    let mut stand = Stand::new(make);
    stand.fill(&["a"; 10]);
    for sequence in [2, 5, 9, 10] {
        stand.remove(sequence, Removal::Remove).unwrap();
    }
    let purged = stand.purge(&purge(None, PurgeExtent::Keep(3))).unwrap();
    assert_eq!((purged.messages, stand.sequences()), (3, vec![6, 7, 8]));
}

/// And nothing where nothing does. [STORE-107]
pub fn a_compact_removes_what_lies_before(make: Make<'_>) {
    let mut stand = Stand::new(make);
    stand.fill(&["a", "b", "a", "b", "a"]);
    for nothing in [0, 1] {
        assert_eq!(stand.compact(nothing), Ok(Purged::default()));
    }
    let purged = stand.compact(4).unwrap();
    assert_eq!((purged.messages, purged.bytes), (3, 96));
    assert_eq!((stand.bounds(), stand.state().first_time), ((2, 4, 5), 4));
    assert_eq!(stand.compact(2), Ok(Purged::default()));
    assert_eq!(stand.state().deleted(), 0);
}

/// The stream begins at that sequence then, one behind it is the last. [STORE-107]
pub fn a_compact_beyond_the_end_moves_it(make: Make<'_>) {
    let mut stand = Stand::new(make);
    stand.fill(&["a", "b"]);
    assert_eq!(stand.compact(3).unwrap().messages, 2);
    assert_eq!((stand.bounds(), stand.state().last_time), ((0, 3, 2), 2));
    stand.compact(100).unwrap();
    assert_eq!((stand.bounds(), stand.state().last_time), ((0, 100, 99), 2));
    assert_eq!(stand.stage(&message("a", 7, b"")).unwrap().sequence, 100);
    let mut new = Stand::new(make);
    new.compact(10).unwrap();
    assert_eq!(new.bounds(), (0, 10, 9));
}

/// Or the end. [STORE-107]
pub fn a_compact_of_a_removed_range_finds_the_next(make: Make<'_>) {
    let mut stand = Stand::new(make);
    stand.fill(&["a"; 10]);
    for sequence in [3, 4, 5, 8, 9, 10] {
        stand.remove(sequence, Removal::Remove).unwrap();
    }
    assert_eq!(stand.compact(4).unwrap().messages, 2);
    assert_eq!((stand.bounds(), stand.state().deleted()), ((2, 6, 10), 3));
    assert_eq!(stand.compact(9).unwrap().messages, 2);
    assert_eq!((stand.bounds(), stand.state().deleted()), ((0, 11, 10), 0));
}

/// What was removed before is no hole of the messages after. [STORE-126]
pub fn a_purged_stream_forgets_its_holes(make: Make<'_>) {
    let mut stand = Stand::new(make);
    stand.fill(&["a"; 10]);
    for sequence in 2..10 {
        stand.remove(sequence, Removal::Remove).unwrap();
    }
    assert_eq!(stand.state().deleted(), 8);
    stand.purge(&Purge::default()).unwrap();
    assert_eq!(stand.state().deleted(), 0);
    stand.fill(&["a"; 3]);
    assert_eq!(
        (stand.sequences(), stand.state().deleted()),
        (vec![11, 12, 13], 0)
    );
}

/// Each step covers something, and a purge in steps takes what one at once does.
pub fn warm_steps_reach_the_end(make: Make<'_>) {
    let mut stand = Stand::new(make);
    let subjects: Vec<String> = (0..2000).map(|n| format!("s.{}", n % 5)).collect();
    stand.fill(&subjects.iter().map(String::as_str).collect::<Vec<_>>());
    stand.settle();
    stand.harness.cool();
    for filter in [Some("s.3"), None] {
        let wanted = purge(filter, PurgeExtent::Everything).filter;
        let filters: Vec<_> = wanted.iter().map(|filter| filter.as_filter()).collect();
        let mut from = 0;
        while let Some(warm) = stand.warm(&filters, from) {
            assert!(warm.through >= from, "a step covers something");
            let held = (warm.job)().unwrap();
            stand
                .purge(&purge(filter, PurgeExtent::Before(warm.through + 1)))
                .unwrap();
            drop(held);
            from = warm.through + 1;
        }
        stand.purge(&purge(filter, PurgeExtent::Everything)).unwrap();
        let left = if filter.is_some() { 1600 } else { 0 };
        assert_eq!(stand.state().messages, left);
    }
    assert_eq!(stand.bounds(), (0, 2001, 2000));
}
