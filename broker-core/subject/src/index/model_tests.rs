//! The index against a plain list of filters, under panics of its values, and in figures.

use std::cell::Cell;
use std::hash::{Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind};

use proptest::prelude::*;

use super::*;
use crate::filter::FilterBuf;
use crate::{collides, matches};

/// What the index should hold: one entry for each value.
#[derive(Clone, Debug, Default)]
struct Model(Vec<(FilterBuf, Option<QueueName>, u32)>);

/// Plain values, then groups with their members, all in order.
type Reached = (Vec<u32>, Vec<(QueueName, Vec<u32>)>);

impl Model {
    fn find(&self, filter: &FilterBuf, queue: Option<&QueueName>, value: u32) -> Option<usize> {
        self.0
            .iter()
            .position(|entry| (&entry.0, entry.1.as_ref(), entry.2) == (filter, queue, value))
    }

    fn reached(&self, wanted: impl Fn(Filter<'_>) -> bool) -> Reached {
        let mut reached = Matches::new();
        for (_, queue, value) in self.0.iter().filter(|entry| wanted(entry.0.as_filter())) {
            match queue {
                None => reached.plain.push(*value),
                Some(name) => match reached.queues.iter_mut().find(|group| group.name == *name) {
                    Some(group) => group.members.push(*value),
                    None => reached.queues.push(QueueGroup {
                        name: name.clone(),
                        members: vec![*value],
                    }),
                },
            }
        }
        sorted(&mut reached)
    }
}

fn sorted<T: Clone + Into<u32>>(out: &mut Matches<T>) -> Reached {
    let numbers = |values: &[T]| {
        let mut numbers: Vec<u32> = values.iter().cloned().map(Into::into).collect();
        numbers.sort_unstable();
        numbers
    };
    let mut groups: Vec<_> = out
        .queues
        .iter()
        .map(|group| (group.name.clone(), numbers(&group.members)))
        .collect();
    groups.sort();
    (numbers(&out.plain), groups)
}

#[derive(Clone, Debug)]
enum Step {
    Insert(FilterBuf, Option<QueueName>, u32),
    /// Removes the entry at this place, counted round, or something that may not be there.
    RemoveKnown(usize),
    Remove(FilterBuf, Option<QueueName>, u32),
}

/// Few tokens, so that filters meet; `*` and `>` among them are wildcards in filters only.
fn tokens(last: &'static [&'static str]) -> impl Strategy<Value = Vec<u8>> {
    let middle = prop::sample::select(vec![
        "a",
        "b",
        "c",
        "*",
        "*x",
        "a-token-that-is-longer-than-a-node",
    ]);
    let last = prop::sample::select(last);
    (prop::collection::vec(middle, 0..4), last).prop_map(|(mut tokens, last)| {
        tokens.push(last);
        tokens.join(".").into_bytes()
    })
}

fn filters() -> impl Strategy<Value = FilterBuf> {
    tokens(&["a", "b", "*", ">"]).prop_map(|bytes| FilterBuf::new(bytes).unwrap())
}

/// Subjects with an empty token among them.
fn subjects() -> impl Strategy<Value = Vec<u8>> {
    tokens(&["a", "b", "*", ">", "a."])
}

fn queues() -> impl Strategy<Value = Option<QueueName>> {
    prop::option::weighted(0.4, prop::sample::select(vec![&b"q"[..], b"r", b"s"]))
        .prop_map(|name| name.map(|name| QueueName::new(name).unwrap()))
}

fn steps() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (filters(), queues(), 0u32..9).prop_map(|(filter, queue, value)| Step::Insert(filter, queue, value)),
        3 => any::<usize>().prop_map(Step::RemoveKnown),
        2 => (filters(), queues(), 0u32..9).prop_map(|(filter, queue, value)| Step::Remove(filter, queue, value)),
    ]
}

fn apply(step: Step, index: &mut InterestIndex<u32>, model: &mut Model) {
    let (filter, queue, value) = match step {
        Step::Insert(filter, queue, value) => {
            index.insert(filter.as_filter(), queue.as_ref(), value).unwrap();
            model.0.push((filter, queue, value));
            return;
        }
        Step::RemoveKnown(at) => match model.0.get(at % model.0.len().max(1)) {
            Some(entry) => entry.clone(),
            None => return,
        },
        Step::Remove(filter, queue, value) => (filter, queue, value),
    };
    let removed = index.remove(filter.as_filter(), queue.as_ref(), &value);
    match model.find(&filter, queue.as_ref(), value) {
        Some(at) => {
            assert_eq!(removed, Ok(()));
            model.0.swap_remove(at);
        }
        None => assert_eq!(removed, Err(IndexError::NoMatches)),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    // CORE-54, CORE-96, CORE-97, CORE-100, CORE-102
    #[test]
    fn index_agrees_with_a_list_of_filters(
        steps in prop::collection::vec(steps(), 0..120),
        asked in prop::collection::vec(subjects(), 1..12),
        patterns in prop::collection::vec(filters(), 1..6),
        seed in any::<u64>(),
    ) {
        let (mut index, mut model, mut out) = (InterestIndex::new(seed), Model::default(), Matches::new());
        for step in steps {
            apply(step, &mut index, &mut model);
            prop_assert_eq!(index.len(), model.0.len());
        }
        for bytes in &asked {
            let subject = Subject::new(bytes).unwrap();
            index.matches(subject, &mut out);
            prop_assert_eq!(sorted(&mut out), model.reached(|filter| matches(filter, subject)), "{:?}", subject);
            prop_assert_eq!(index.has_interest(subject), !out.is_empty());
        }
        for pattern in &patterns {
            let pattern = pattern.as_filter();
            index.overlapping(pattern, &mut out);
            prop_assert_eq!(sorted(&mut out), model.reached(|filter| collides(filter, pattern)), "{:?}", pattern);
        }
        prop_assert_eq!(index.values().count(), model.0.len());
        for entry in std::mem::take(&mut model.0) {
            index.remove(entry.0.as_filter(), entry.1.as_ref(), &entry.2).unwrap();
        }
        prop_assert_eq!((index.len(), index.token_count()), (0, 0));
    }
}

thread_local! {
    /// Calls of `Clone`, `Eq` or `Hash` that still pass; beyond them each panics.
    static CALLS_LEFT: Cell<usize> = const { Cell::new(usize::MAX) };
}

fn count_call() {
    let left = CALLS_LEFT.get();
    assert!(left > 0, "a value's own code panics");
    CALLS_LEFT.set(left - 1);
}

/// A value whose own code panics when the test says so.
#[derive(Debug)]
struct Fragile(u32);

impl Clone for Fragile {
    fn clone(&self) -> Self {
        count_call();
        Self(self.0)
    }
}

impl PartialEq for Fragile {
    fn eq(&self, other: &Self) -> bool {
        count_call();
        self.0 == other.0
    }
}

impl Eq for Fragile {}

impl Hash for Fragile {
    fn hash<H: Hasher>(&self, state: &mut H) {
        count_call();
        self.0.hash(state);
    }
}

impl From<Fragile> for u32 {
    fn from(value: Fragile) -> Self {
        value.0
    }
}

/// `count` values under one filter and as many in a group.
fn fragile_index(count: u32) -> InterestIndex<Fragile> {
    let mut index = InterestIndex::new(3);
    let queue = QueueName::new(b"q").unwrap();
    for value in 0..count {
        index
            .insert(Filter::new(b"a.b").unwrap(), None, Fragile(value))
            .unwrap();
        index
            .insert(Filter::new(b"a.*").unwrap(), Some(&queue), Fragile(value))
            .unwrap();
    }
    index
}

fn reached_by(index: &InterestIndex<Fragile>) -> (Reached, usize, usize) {
    let mut out = Matches::new();
    index.matches(Subject::new(b"a.b").unwrap(), &mut out);
    (sorted(&mut out), index.len(), index.token_count())
}

/// Lets `change` panic at each call into a value in turn, until it passes.
fn check_whole(count: u32, change: impl Fn(&mut InterestIndex<Fragile>)) {
    for calls in 0.. {
        let mut index = fragile_index(count);
        let before = reached_by(&index);
        CALLS_LEFT.set(calls);
        let changed = catch_unwind(AssertUnwindSafe(|| change(&mut index)));
        CALLS_LEFT.set(usize::MAX);
        if changed.is_ok() {
            assert_ne!(reached_by(&index), before, "the change did nothing");
            return;
        }
        assert_eq!(
            reached_by(&index),
            before,
            "torn after {calls} calls with {count} values"
        );
        // And it still works.
        change(&mut index);
        assert_ne!(reached_by(&index), before);
    }
}

// router.md, "When something panics". 64 values are a plain list, with the 65th comes a table, which is
// made anew with the 225th.
#[test]
fn change_that_panics_leaves_the_index_as_it_was() {
    let (plain, group, queue) = (
        Filter::new(b"a.b").unwrap(),
        Filter::new(b"a.*").unwrap(),
        QueueName::new(b"q").unwrap(),
    );
    for count in [1, 2, 64, 65, 224, 225] {
        check_whole(count, |index| index.insert(plain, None, Fragile(9999)).unwrap());
        check_whole(count, |index| {
            index.insert(group, Some(&queue), Fragile(9999)).unwrap()
        });
        check_whole(count, |index| {
            index
                .insert(Filter::new(b">").unwrap(), None, Fragile(9999))
                .unwrap()
        });
        check_whole(count, |index| {
            index.remove(plain, None, &Fragile(count / 2)).unwrap()
        });
        check_whole(count, |index| {
            index.remove(group, Some(&queue), &Fragile(count - 1)).unwrap()
        });
    }
}

/// Fills an index the way `name` numbers filters and gives the bytes for each.
fn bytes_each(count: usize, name: impl Fn(usize) -> String) -> usize {
    let mut index: InterestIndex<usize> = InterestIndex::new(5);
    for value in 0..count {
        index
            .insert(Filter::new(name(value).as_bytes()).unwrap(), None, value)
            .unwrap();
    }
    index.memory_bytes() / count
}

// Issue 3, figures: bytes of the index for each subscription, the subscription itself not included.
#[test]
fn subscription_on_its_own_subject_takes_one_small_node() {
    assert_eq!(size_of::<arena::Node<usize>>(), 64);
    let each = bytes_each(500_000, |n| format!("bench.subject.{n}"));
    assert!(each <= 80, "{each} bytes for a distinct last token");
    let each = bytes_each(250_000, |n| format!("device.{n}.cmd"));
    assert!(each <= 160, "{each} bytes for a distinct middle token");
    let each = bytes_each(500_000, |_| "bench.subject".to_string());
    assert!(
        each <= 20,
        "{each} bytes for one more subscription on the same subject"
    );
}

#[test]
fn index_gives_its_memory_back_with_the_last_subscription() {
    let mut index: InterestIndex<usize> = InterestIndex::new(5);
    let empty = index.memory_bytes();
    let names: Vec<String> = (0..1000)
        .map(|n| format!("a.{n}.token-that-does-not-fit-into-a-node"))
        .collect();
    for (value, name) in names.iter().enumerate() {
        index
            .insert(Filter::new(name.as_bytes()).unwrap(), None, value)
            .unwrap();
    }
    for (value, name) in names.iter().enumerate() {
        index
            .remove(Filter::new(name.as_bytes()).unwrap(), None, &value)
            .unwrap();
    }
    assert_eq!(index.memory_bytes(), empty);
}

#[test]
fn repeated_lookups_keep_the_room_they_have() {
    let mut index: InterestIndex<usize> = InterestIndex::new(5);
    let queue = QueueName::new(b"q").unwrap();
    for value in 0..40 {
        index.insert(Filter::new(b"a.b").unwrap(), None, value).unwrap();
        index
            .insert(Filter::new(b"a.*").unwrap(), Some(&queue), value)
            .unwrap();
    }
    let mut out = Matches::new();
    let mut rooms = Vec::new();
    for text in [&b"a.b"[..], b"a.c", b"a.b", b"none", b"a.b"] {
        index.matches(Subject::new(text).unwrap(), &mut out);
        if text == b"a.b" {
            let group = out.queues.first().unwrap();
            rooms.push((out.plain.as_ptr(), group.members.as_ptr(), out.queues.as_ptr()));
        }
    }
    assert!(rooms.windows(2).all(|pair| pair[0] == pair[1]), "{rooms:?}");
}

/// Runs `change` beside readers of `foo`, who see `from` to `to` values and each of them whole.
fn check_beside_readers(
    index: InterestIndex<u32>,
    queue: Option<&QueueName>,
    sizes: std::ops::RangeInclusive<usize>,
    change: impl Fn(&mut InterestIndex<u32>, u32) + Sync,
) {
    let index = std::sync::RwLock::new(index);
    let foo = Subject::new(b"foo").unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| (0..100).for_each(|value| change(&mut index.write().unwrap(), value)));
        for _ in 0..2 {
            scope.spawn(|| {
                let mut out = Matches::new();
                for _ in 0..500 {
                    index.read().unwrap().matches(foo, &mut out);
                    // The result is the reader's own: the index may change while it is read.
                    assert!(out.queues.iter().all(|group| Some(&group.name) == queue));
                    let (mut plain, groups) = sorted(&mut out);
                    plain.extend(groups.into_iter().flat_map(|(_, members)| members));
                    assert!(sizes.contains(&plain.len()), "{} values", plain.len());
                    assert!(
                        plain.windows(2).all(|pair| pair[0] < pair[1]),
                        "one value twice: {plain:?}"
                    );
                }
            });
        }
    });
}

// CORE-103 [TestSublistRaceOnInsert, ..NoCache, TestSublistRaceOnRemove, ..NoCache, TestSublistRaceOnMatch]
#[test]
fn results_stay_whole_beside_inserts_and_removes() {
    let (foo, name) = (Filter::new(b"foo").unwrap(), QueueName::new(b"bar").unwrap());
    for queue in [None, Some(&name)] {
        let insert = |index: &mut InterestIndex<u32>, value| index.insert(foo, queue, value).unwrap();
        check_beside_readers(InterestIndex::new(1), queue, 0..=100, insert);
        let mut full = InterestIndex::new(1);
        (0..100).for_each(|value| insert(&mut full, value));
        check_beside_readers(full, queue, 0..=100, |index, value| {
            index.remove(foo, queue, &value).unwrap()
        });
    }
}

// CORE-98, CORE-103
#[test]
fn stamp_that_is_current_hides_no_change() {
    let index = std::sync::RwLock::new(InterestIndex::new(1));
    let generations = crate::Generations::new(1);
    let subject = Subject::new(b"foo.bar").unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for value in 0..400u32 {
                let text = [&b"foo.bar"[..], b"*.bar", b"foo.>", b"x.y"][value as usize % 4];
                let filter = Filter::new(text).unwrap();
                let mut index = index.write().unwrap();
                index.insert(filter, None, value).unwrap();
                generations.bump(filter);
            }
        });
        scope.spawn(|| {
            let mut cached = Matches::new();
            let mut stamp = None;
            for _ in 0..2000 {
                if !stamp.is_some_and(|stamp| generations.is_current(stamp)) {
                    stamp = Some(generations.stamp(subject));
                    index.read().unwrap().matches(subject, &mut cached);
                }
                let index = index.read().unwrap();
                // Under the lock nobody changes anything, so a current stamp means an equal result.
                if stamp.is_some_and(|stamp| generations.is_current(stamp)) {
                    assert_eq!(index.count_interest(subject).plain, cached.plain.len());
                }
            }
        });
    });
}

#[test]
fn index_and_generations_can_be_shared_between_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<InterestIndex<std::sync::Arc<u32>>>();
    shared::<Matches<std::sync::Arc<u32>>>();
    shared::<crate::Generations>();
}
