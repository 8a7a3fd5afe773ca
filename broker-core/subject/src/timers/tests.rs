use super::*;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

const SECOND: i64 = 1_000_000_000;

fn due(timers: &SequenceTimers, until: i64) -> Vec<(i64, u64)> {
    timers.due(until).collect()
}

// STORE-64 [TestHashWheelBasics]
#[test]
fn timer_is_set_until_it_is_taken_away() {
    let mut timers = SequenceTimers::new();
    assert_eq!(timers.set(1, 5 * SECOND), None);
    assert_eq!((timers.len(), timers.get(1)), (1, Some(5 * SECOND)));
    assert_eq!((timers.clear(999), timers.len()), (None, 1));
    assert_eq!((timers.clear(1), timers.len()), (Some(5 * SECOND), 0));
    assert_eq!((timers.clear(1), timers.next()), (None, None));
    assert!(timers.is_empty());
}

// STORE-64 [TestHashWheelUpdate]
#[test]
fn later_time_takes_the_place_of_the_earlier_one() {
    let mut timers = SequenceTimers::from_iter([(1, 5)]);
    assert_eq!(timers.set(1, 10), Some(5));
    assert_eq!((timers.len(), due(&timers, 9)), (1, vec![]));
    assert_eq!(timers.set(1, 10), Some(10));
    assert_eq!(due(&timers, 10), [(10, 1)]);
    assert_eq!((timers.clear(1), due(&timers, i64::MAX)), (Some(10), vec![]));
}

// STORE-64 [TestHashWheelExpiration, TestHashWheelExpirationLargerThanWheel]
#[test]
fn due_is_what_has_come_in_the_order_of_its_times() {
    // Apart by a second, by the 4096 seconds of the reference's wheel, and not at all.
    let times = [
        (9, 1),
        (4, 4096 * SECOND),
        (3, SECOND),
        (2, SECOND),
        (5, i64::MAX),
        (6, -1),
        (7, i64::MIN),
    ];
    let timers = SequenceTimers::from_iter(times);
    assert_eq!(due(&timers, 0), [(i64::MIN, 7), (-1, 6)]);
    assert_eq!(due(&timers, SECOND - 1).len(), 3);
    assert_eq!(due(&timers, SECOND)[3..], [(SECOND, 2), (SECOND, 3)]);
    assert_eq!(due(&timers, 4096 * SECOND - 1).len(), 5);
    assert_eq!(due(&timers, i64::MAX)[5..], [(4096 * SECOND, 4), (i64::MAX, 5)]);
}

// STORE-64 [TestHashWheelManualExpiration]
#[test]
fn due_timer_stays_set_until_it_is_taken_away() {
    let mut timers: SequenceTimers = (1..=4).map(|sequence| (sequence, 7)).collect();
    for _ in 0..2 {
        assert_eq!(due(&timers, 7), [(7, 1), (7, 2), (7, 3), (7, 4)]);
    }
    timers.clear(2);
    timers.clear(4);
    assert_eq!(due(&timers, 7), [(7, 1), (7, 3)]);
}

// STORE-64 [TestHashWheelNextExpiration]
#[test]
fn next_is_the_earliest_that_is_still_set() {
    let mut timers = SequenceTimers::from_iter([(1, 5), (2, 3), (3, 10)]);
    assert_eq!(timers.next(), Some(3));
    timers.clear(2);
    assert_eq!(timers.next(), Some(5)); // The reference would still say 3.
    timers.clear_all();
    assert_eq!(timers.next(), None);
}

#[test]
fn range_that_is_taken_away_leaves_the_others() {
    let mut timers: SequenceTimers = (0..2000).map(|sequence| (sequence, -(sequence as i64))).collect();
    timers.clear_range(10..=1989);
    timers.clear_range(20..=1900); // Nothing is left there.
    assert_eq!(timers.len(), 20);
    assert!(
        timers
            .iter()
            .map(|(sequence, _)| sequence)
            .eq((0..10).chain(1990..2000))
    );
    assert_eq!(
        due(&timers, -1995),
        [
            (-1999, 1999),
            (-1998, 1998),
            (-1997, 1997),
            (-1996, 1996),
            (-1995, 1995)
        ]
    );
    timers.clear_range(0..=u64::MAX);
    assert_eq!((timers.len(), timers.next()), (0, None));
}

// STORE-64 [TestHashWheelStress]
#[test]
fn hundred_thousand_timers_move_and_go() {
    let count = 100_000;
    let mut timers: SequenceTimers = (0..count)
        .map(|sequence| (sequence, sequence as i64 * SECOND))
        .collect();
    for sequence in (0..count).step_by(2) {
        let later = (sequence + count) as i64 * SECOND;
        assert_eq!(timers.set(sequence, later), Some(sequence as i64 * SECOND));
    }
    for sequence in (1..count).step_by(2) {
        assert!(timers.clear(sequence).is_some());
    }
    assert_eq!(timers.len(), 50_000);
    assert_eq!(timers.next(), Some(count as i64 * SECOND));
}

#[test]
fn timer_takes_48_bytes_at_most() {
    let rising: SequenceTimers = (0..100_000).map(|sequence| (sequence, sequence as i64)).collect();
    assert!(
        rising.memory_bytes() < 36 * rising.len(),
        "{}",
        rising.memory_bytes()
    );
    // Times in the order of chance.
    let mixed = |sequence: u64| sequence.wrapping_mul(0x9e37_79b9_7f4a_7c15) as i64;
    let mixed: SequenceTimers = (0..100_000).map(|sequence| (sequence, mixed(sequence))).collect();
    assert!(
        mixed.memory_bytes() < 48 * mixed.len(),
        "{}",
        mixed.memory_bytes()
    );
    // Every eighth is left, and what the others took is given back.
    let mut few = mixed;
    (0..100_000)
        .filter(|sequence| sequence % 8 != 0)
        .for_each(|sequence| {
            few.clear(sequence);
        });
    assert!(few.memory_bytes() < 100 * few.len(), "{}", few.memory_bytes());
}

#[derive(Clone, Debug)]
enum Step {
    Set(u64, i64),
    Clear(u64),
    ClearRange(u64, u64),
    /// Many in a row, so that leaves fill, split and merge.
    Run(u64, u64, i64),
}

fn step() -> impl Strategy<Value = Step> {
    let sequence = || prop_oneof![8 => 0..1500_u64, 1 => any::<u64>()];
    let time = prop_oneof![8 => -50..50_i64, 1 => any::<i64>()];
    prop_oneof![
        4 => (sequence(), time).prop_map(|(sequence, at)| Step::Set(sequence, at)),
        4 => sequence().prop_map(Step::Clear),
        1 => (sequence(), 0..900_u64).prop_map(|(first, more)| Step::ClearRange(first, first.saturating_add(more))),
        2 => (0..1500_u64, 1..700_u64, -3..3_i64).prop_map(|(first, count, pace)| Step::Run(first, count, pace)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    // STORE-64
    #[test]
    fn timers_are_those_of_a_plain_map(steps in proptest::collection::vec(step(), 0..60), until in -60..60_i64, from: u64) {
        let mut timers = SequenceTimers::new();
        let mut model = BTreeMap::new();
        for step in steps {
            match step {
                Step::Set(sequence, at) => prop_assert_eq!(timers.set(sequence, at), model.insert(sequence, at)),
                Step::Clear(sequence) => prop_assert_eq!(timers.clear(sequence), model.remove(&sequence)),
                Step::ClearRange(first, last) => {
                    timers.clear_range(first..=last);
                    model.retain(|sequence, _| !(first..=last).contains(sequence));
                }
                Step::Run(first, count, pace) => {
                    for sequence in first..first + count {
                        let at = pace * sequence as i64;
                        prop_assert_eq!(timers.set(sequence, at), model.insert(sequence, at));
                    }
                }
            }
            let order: BTreeSet<(i64, u64)> = model.iter().map(|(sequence, at)| (*at, *sequence)).collect();
            prop_assert_eq!(timers.len(), model.len());
            prop_assert_eq!(timers.next(), order.first().map(|(at, _)| *at));
            prop_assert!(timers.due(until).eq(order.range(..=(until, u64::MAX)).copied()));
            prop_assert!(timers.due(i64::MAX).eq(order));
            prop_assert!(timers.iter().eq(model.iter().map(|(sequence, at)| (*sequence, *at))));
            prop_assert_eq!(timers.get(from % 1500), model.get(&(from % 1500)).copied());
        }
        let refilled: SequenceTimers = model.into_iter().rev().collect();
        prop_assert_eq!(refilled, timers);
    }
}

#[test]
fn timers_are_equal_by_their_sequences_and_times() {
    let timers = SequenceTimers::from_iter([(1, 5), (2, 3)]);
    assert_eq!(timers, SequenceTimers::from_iter([(2, 3), (1, 5)]));
    for other in [vec![(1, 5)], vec![(1, 5), (2, 4)], vec![(1, 5), (3, 3)], vec![]] {
        assert_ne!(timers, SequenceTimers::from_iter(other));
    }
}
