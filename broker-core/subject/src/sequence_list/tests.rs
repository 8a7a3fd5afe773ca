use super::*;
use proptest::prelude::*;
use std::collections::BTreeSet;

#[test]
fn list_takes_16_bytes_and_little_more_than_8_for_each() {
    assert_eq!(size_of::<SequenceList>(), 16);
    assert_eq!(SequenceList::from_iter([7]).heap_bytes(), 0);
    let rising: SequenceList = (0..100_000).collect();
    assert!(rising.heap_bytes() < 10 * rising.len(), "{}", rising.heap_bytes());
    let mixed: SequenceList = (0..100_000_u64)
        .map(|at| at.wrapping_mul(0x9e37_79b9_7f4a_7c15))
        .collect();
    assert!(mixed.heap_bytes() < 17 * mixed.len(), "{}", mixed.heap_bytes());
}

#[test]
fn list_that_shrinks_gives_its_memory_back() {
    let mut list: SequenceList = (0..10_000).collect();
    (1..10_000).for_each(|sequence| assert!(list.remove(sequence)));
    assert_eq!((list.len(), list.first(), list.heap_bytes()), (1, Some(0), 0));
    assert!(list.remove(0) && !list.remove(0) && list.is_empty());
}

#[derive(Clone, Debug)]
enum Step {
    Insert(u64),
    Remove(u64),
    InsertRun(u64, u64, u64),
    RemoveRun(u64, u64, u64),
}

fn step() -> impl Strategy<Value = Step> {
    let sequence = || prop_oneof![8 => 0..900_u64, 1 => any::<u64>()];
    let run = || (0..900_u64, 1..500_u64, 1..3_u64);
    prop_oneof![
        3 => sequence().prop_map(Step::Insert),
        3 => sequence().prop_map(Step::Remove),
        1 => run().prop_map(|(first, count, pace)| Step::InsertRun(first, count, pace)),
        1 => run().prop_map(|(first, count, pace)| Step::RemoveRun(first, count, pace)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    // STORE-93, STORE-94, STORE-96
    #[test]
    fn list_holds_what_a_set_would_hold(
        steps in proptest::collection::vec(step(), 0..40),
        asked in proptest::collection::vec(prop_oneof![8 => 0..1500_u64, 1 => any::<u64>()], 4),
    ) {
        let mut list = SequenceList::new();
        let mut model = BTreeSet::new();
        for step in steps {
            match step {
                Step::Insert(sequence) => prop_assert_eq!(list.insert(sequence), model.insert(sequence)),
                Step::Remove(sequence) => prop_assert_eq!(list.remove(sequence), model.remove(&sequence)),
                Step::InsertRun(first, count, pace) => for at in 0..count {
                    prop_assert_eq!(list.insert(first + at * pace), model.insert(first + at * pace));
                },
                Step::RemoveRun(first, count, pace) => for at in 0..count {
                    prop_assert_eq!(list.remove(first + at * pace), model.remove(&(first + at * pace)));
                },
            }
            prop_assert_eq!((list.len(), list.is_empty()), (model.len(), model.is_empty()));
            prop_assert_eq!((list.first(), list.last()), (model.first().copied(), model.last().copied()));
            for at in asked.iter().copied().chain(model.iter().nth(model.len() / 2).copied()) {
                prop_assert_eq!(list.at_or_after(at), model.range(at..).next().copied());
                prop_assert_eq!(list.at_or_before(at), model.range(..=at).next_back().copied());
                prop_assert_eq!(list.count_from(at), model.range(at..).count());
            }
        }
    }
}
