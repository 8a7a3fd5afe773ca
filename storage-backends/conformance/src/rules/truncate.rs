//! Cutting a stream's end off.

use dunlin_api::{Purged, Removal, StreamState};

use crate::stand::{answer, found, message};
use crate::{Make, Stand};

/// With the time of its last message. [STORE-108, STORE-159]
pub fn a_truncated_stream_ends_at_its_new_last(make: Make<'_>) {
    let mut stand = Stand::new(make);
    stand.fill(&["a", "b", "a", "b", "a"]);
    let purged = stand.truncate(3).unwrap();
    assert_eq!((purged.messages, purged.bytes), (2, 64));
    assert_eq!((stand.bounds(), stand.state().bytes), ((3, 1, 3), 96));
    assert_eq!(stand.state().last_time, 3);
    assert_eq!(found(stand.load(4)), None);
    stand.stage(&message("c", 9, b"new")).unwrap();
    assert_eq!(answer(stand.load(4)).unwrap().payload(), b"new");
}

/// Sequences begin at 1 again; what is kept beside messages stays. [STORE-108]
pub fn a_stream_truncated_to_nothing_is_as_new(make: Make<'_>) {
    let mut stand = Stand::new(make);
    stand.set_metadata(b"{}").unwrap();
    stand.fill(&["a", "b"]);
    stand.skip(10, None).unwrap();
    assert_eq!(stand.truncate(0).unwrap().messages, 2);
    assert_eq!(stand.state(), StreamState::default());
    assert_eq!(stand.metadata(), b"{}");
    stand.fill(&["a"]);
    assert_eq!(stand.bounds(), (1, 1, 1));
}

/// Nor at it. [STORE-108]
pub fn a_truncate_beyond_the_end_does_nothing(make: Make<'_>) {
    let mut stand = Stand::new(make);
    assert_eq!(stand.truncate(5), Ok(Purged::default()));
    stand.fill(&["a", "b"]);
    let before = stand.state();
    for sequence in [2, 3, u64::MAX] {
        assert_eq!(stand.truncate(sequence), Ok(Purged::default()));
    }
    assert_eq!(stand.state(), before);
}

/// Whether others are left before it or not. [STORE-108, STORE-159]
pub fn a_truncate_to_a_removed_sequence_keeps_it_as_last(make: Make<'_>) {
    let mut stand = Stand::new(make);
    stand.fill(&["a"; 6]);
    for sequence in [3, 4] {
        stand.remove(sequence, Removal::Remove).unwrap();
    }
    assert_eq!(stand.truncate(4).unwrap().messages, 2);
    assert_eq!((stand.bounds(), stand.state().last_time), ((2, 1, 4), 2));
    assert_eq!(stand.state().deleted(), 2);
    stand.compact(3).unwrap();
    assert_eq!(stand.bounds(), (0, 5, 4));
    stand.truncate(3).unwrap();
    assert_eq!((stand.bounds(), stand.state().last_time), ((0, 4, 3), 2));
}

/// What was removed behind its end is no hole of what comes. [STORE-126]
pub fn a_truncated_stream_forgets_its_holes(make: Make<'_>) {
    let mut stand = Stand::new(make);
    stand.fill(&["a"; 10]);
    for sequence in 4..10 {
        stand.remove(sequence, Removal::Remove).unwrap();
    }
    stand.truncate(3).unwrap();
    assert_eq!(stand.state().deleted(), 0);
    stand.fill(&["a"; 4]);
    assert_eq!(
        (stand.sequences(), stand.state().deleted()),
        (vec![1, 2, 3, 4, 5, 6, 7], 0)
    );
}
