//! Taking single messages away.

use dunlin_api::Removal;

use crate::stand::{answer, message};
use crate::{Make, Stand};

/// Once; what was never there cannot be removed. [STORE-100]
pub fn a_removed_message_is_gone(make: Make<'_>) {
    let mut stand = Stand::new(make);
    stand.fill(&["a", "a", "a"]);
    assert_eq!(stand.remove(2, Removal::Remove), Ok(Some(32)));
    assert_eq!(stand.remove(2, Removal::Remove), Ok(None));
    for absent in [0, 4, u64::MAX] {
        assert_eq!(stand.remove(absent, Removal::Remove), Ok(None));
    }
    assert!(answer(stand.load(2)).is_none());
    assert_eq!((stand.bounds(), stand.state().bytes), ((2, 1, 3), 64));
    assert_eq!(stand.state().deleted(), 1);
}

/// To the next message, with its time. [STORE-100, STORE-141]
pub fn the_first_moves_on_over_holes(make: Make<'_>) {
    let mut stand = Stand::new(make);
    stand.fill(&["a", "a", "a", "a", "a"]);
    stand.remove(2, Removal::Remove).unwrap();
    stand.remove(3, Removal::Remove).unwrap();
    assert_eq!(stand.state().deleted(), 2);
    stand.remove(1, Removal::Remove).unwrap();
    assert_eq!(stand.bounds(), (2, 4, 5));
    assert_eq!((stand.state().first_time, stand.state().deleted()), (4, 0));
}

/// And so does its time. [STORE-80, STORE-146]
pub fn the_last_stays_when_it_is_removed(make: Make<'_>) {
    let mut stand = Stand::new(make);
    stand.fill(&["a", "a"]);
    stand.remove(2, Removal::Remove).unwrap();
    assert_eq!(stand.bounds(), (1, 1, 2));
    assert_eq!(stand.state().last_time, 2);
    stand.fill(&["a"]);
    assert_eq!(stand.sequences(), [1, 3]);
}

/// First is one beyond last, and no sequence is given twice. [STORE-80, STORE-141]
pub fn an_emptied_stream_goes_on_counting(make: Make<'_>) {
    let mut stand = Stand::new(make);
    stand.fill(&["a", "b", "c"]);
    for sequence in [2, 1, 3] {
        stand.remove(sequence, Removal::Remove).unwrap();
    }
    let state = stand.state();
    assert_eq!((stand.bounds(), state.bytes), ((0, 4, 3), 0));
    assert_eq!((state.first_time, state.last_time, state.subjects), (0, 3, 0));
    assert_eq!(stand.stage(&message("a", 9, b"")).unwrap().sequence, 4);
    assert_eq!((stand.bounds(), stand.state().first_time), ((1, 4, 4), 9));
}

/// To a reader it is as if removed; its neighbours stay. [STORE-148]
pub fn an_erased_message_is_gone_as_well(make: Make<'_>) {
    let mut stand = Stand::new(make);
    stand.fill(&["a", "a", "a", "a"]);
    stand.settle();
    for sequence in [2, 4, 1] {
        assert_eq!(stand.remove(sequence, Removal::Erase), Ok(Some(32)));
        assert_eq!(stand.remove(sequence, Removal::Erase), Ok(None));
    }
    stand.settle();
    stand.harness.cool();
    assert_eq!(stand.bounds(), (1, 3, 4));
    assert_eq!(answer(stand.load(3)).unwrap().payload(), b"x");
    assert!(answer(stand.load(4)).is_none());
}
