//! The rules one by one, then random operations against a plain model.

use std::collections::BTreeMap;
use std::sync::Mutex;

use dunlin_api::{
    AccountName, Answer, ConsumerChange, Counting, Damage, Due, Filter, FilterBuf, Load, NewMessage, Purge,
    PurgeExtent, Removal, SequencePair, SnapshotCursor, StorageType, StoreObserver, StoredMessage,
    StreamState, Subject, SubjectState, TimerKind, UsageChange,
};
use proptest::prelude::*;

use super::*;
use plain::Plain;

mod plain;

const SUBJECTS: [&str; 4] = ["a", "a.b", "a.c", "b.c"];
const FILTERS: [&str; 5] = [">", "a", "a.*", "*.c", "none"];

fn id(name: &str) -> StreamId {
    StreamId::new(AccountName::global(), name).unwrap()
}

fn options() -> StreamOptions {
    StreamOptions::new(StorageType::Memory, Arc::new(()))
}

fn new_stream() -> Box<dyn StreamStore> {
    MemoryBackend::new(u64::MAX).stream(&id("S"), options()).unwrap()
}

fn message<'a>(subject: &'a str, time: i64, payload: &'a [u8]) -> NewMessage<'a> {
    NewMessage {
        sequence: None,
        time,
        subject: Subject::new(subject.as_bytes()).unwrap(),
        headers: &[],
        payload,
    }
}

fn fill(stream: &mut dyn StreamStore, subjects: &[&str]) {
    for (time, subject) in (1..).zip(subjects) {
        stream.stage(&message(subject, time, b"x")).unwrap();
    }
}

fn sequence(answer: Answer<Option<StoredMessage>>) -> Option<u64> {
    self::answer(answer).map(|message| message.sequence)
}

fn answer<T>(answer: Answer<T>) -> T {
    answer.unwrap().wait().unwrap()
}

fn filter(text: &str) -> Filter<'_> {
    Filter::new(text.as_bytes()).unwrap()
}

fn bounds(stream: &dyn StreamStore) -> (u64, u64, u64) {
    let state = stream.state();
    (state.messages, state.first, state.last)
}

#[test]
fn a_stream_is_open_once_and_gone_when_closed() {
    let backend = MemoryBackend::new(1000);
    let stream = backend.stream(&id("S"), options()).unwrap();
    let in_use = StoreError::InUse("$G > S".to_owned());
    assert_eq!(backend.stream(&id("S"), options()).err(), Some(in_use.clone()));
    assert_eq!(backend.delete(&id("S")), Err(in_use));
    assert_eq!(backend.list(), Ok(vec![id("S")]));
    stream.close().unwrap();
    assert_eq!(backend.list(), Ok(vec![]));
    assert_eq!(backend.delete(&id("S")), Ok(false));
    assert!(!backend.capabilities().durable);
}

// STORE-81
#[test]
fn a_full_backend_refuses_without_a_trace_and_goes_on_with_room() {
    let backend = MemoryBackend::new(40);
    let mut stream = backend.stream(&id("S"), options()).unwrap();
    let mut other = backend.stream(&id("T"), options()).unwrap();
    assert_eq!(stream.stage(&message("a", 1, b"123")).unwrap().size, 20);
    assert_eq!(other.stage(&message("a", 1, b"123")).unwrap().size, 20);
    let before = stream.state();
    let refused = stream.stage(&message("a", 2, b"")).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "insufficient storage: 40 of 40 bytes are used"
    );
    assert_eq!(stream.state(), before);
    drop(other);
    assert_eq!(stream.stage(&message("a", 2, b"")).unwrap().sequence, 2);
}

// STORE-85
#[test]
fn a_wrong_sequence_is_refused() {
    let mut stream = new_stream();
    fill(&mut *stream, &["a"]);
    let wrong = NewMessage {
        sequence: Some(3),
        ..message("a", 1, b"")
    };
    let mismatch = StoreError::SequenceMismatch {
        expected: 2,
        given: 3,
    };
    assert_eq!(stream.stage(&wrong), Err(mismatch));
}

// STORE-88
#[test]
fn skipped_sequences_hold_nothing_and_an_empty_stream_begins_after_them() {
    let mut stream = new_stream();
    stream.skip(5, Some(7)).unwrap();
    assert_eq!(bounds(&*stream), (0, 6, 5));
    assert_eq!(stream.state().last_time, 7);
    fill(&mut *stream, &["a"]);
    stream.skip(2, None).unwrap();
    assert_eq!(bounds(&*stream), (1, 6, 8));
    assert_eq!(sequence(stream.load(5)), None);
    assert_eq!(stream.state().deleted(), 2);
    assert!(stream.skip(u64::MAX, None).is_err());
}

// STORE-93, STORE-94
#[test]
fn next_and_previous_find_what_any_filter_matches() {
    let mut stream = new_stream();
    fill(&mut *stream, &["a", "a.b", "b.c", "a"]);
    let next = |filters: &[Filter<'_>], from| sequence(stream.next(filters, from));
    let previous = |filters: &[Filter<'_>], to| sequence(stream.previous(filters, to));
    assert_eq!(next(&[], 0), Some(1));
    assert_eq!(next(&[filter("*.c"), filter("a.*")], 0), Some(2));
    assert_eq!(next(&[filter("a.*")], 3), None);
    assert_eq!(previous(&[filter("a")], u64::MAX), Some(4));
    assert_eq!(previous(&[filter("a")], 3), Some(1));
    assert_eq!(previous(&[filter("z")], u64::MAX), None);
}

// STORE-106, STORE-107
#[test]
fn a_purge_takes_the_oldest_and_numbering_goes_on() {
    let mut stream = new_stream();
    fill(&mut *stream, &["a", "b.c", "a", "a"]);
    let purge = |filter: Option<&str>, extent| Purge {
        filter: filter.map(|text| FilterBuf::new(text.as_bytes()).unwrap()),
        extent,
    };
    let taken = stream.purge(&purge(Some("a"), PurgeExtent::Keep(1))).unwrap();
    assert_eq!((taken.messages, taken.bytes), (2, 36));
    assert_eq!(bounds(&*stream), (2, 2, 4));
    stream.purge(&purge(None, PurgeExtent::Before(9))).unwrap();
    assert_eq!(bounds(&*stream), (0, 9, 8));
    fill(&mut *stream, &["a"]);
    stream.purge(&purge(None, PurgeExtent::Everything)).unwrap();
    assert_eq!(bounds(&*stream), (0, 10, 9));
}

// STORE-108
#[test]
fn a_truncated_stream_ends_at_its_new_last() {
    let mut stream = new_stream();
    fill(&mut *stream, &["a", "a", "a"]);
    stream.remove(2, Removal::Erase).unwrap();
    assert_eq!(stream.truncate(2).unwrap().messages, 1);
    assert_eq!(bounds(&*stream), (1, 1, 2));
    assert_eq!(stream.state().last_time, 1);
    stream.truncate(0).unwrap();
    assert_eq!(stream.state(), StreamState::default());
}

// STORE-96
#[test]
fn num_pending_counts_messages_or_subjects() {
    let mut stream = new_stream();
    fill(&mut *stream, &["a.b", "a.c", "a.b", "b.c"]);
    let both = [filter("a.*"), filter("a.b")];
    assert_eq!(answer(stream.num_pending(2, &both, Counting::All)), 2);
    assert_eq!(answer(stream.num_pending(3, &both, Counting::LastPerSubject)), 1);
    assert_eq!(answer(stream.last_sequences(&[filter("*.*")], 3, 2)), [2, 3]);
    assert_eq!(
        stream.last_sequences(&[], u64::MAX, 2).and_then(Load::wait),
        Err(StoreError::TooManyResults)
    );
}

// STORE-64
#[test]
fn timers_come_due_in_order_and_go_with_their_message() {
    let mut stream = new_stream();
    fill(&mut *stream, &["a", "a", "a"]);
    for (sequence, at) in [(1, 30), (2, 10), (3, 20), (9, 1)] {
        stream.set_timer(TimerKind::Expiry, sequence, Some(at)).unwrap();
    }
    stream.set_timer(TimerKind::Schedule, 1, Some(5)).unwrap();
    stream.set_timer(TimerKind::Expiry, 2, Some(15)).unwrap();
    let due = |stream: &dyn StreamStore, until| stream.due(TimerKind::Expiry, until, 9);
    assert_eq!(due(&*stream, 14), []);
    assert_eq!(
        due(&*stream, 20),
        [Due { at: 15, sequence: 2 }, Due { at: 20, sequence: 3 }]
    );
    stream.remove(2, Removal::Remove).unwrap();
    stream.set_timer(TimerKind::Expiry, 3, None).unwrap();
    assert_eq!(due(&*stream, i64::MAX), [Due { at: 30, sequence: 1 }]);
}

/// Adds up what it hears.
#[derive(Default)]
struct Sum(Mutex<(i64, i64)>);

impl StoreObserver for Sum {
    fn usage(&self, change: UsageChange) {
        let mut sum = self.0.lock().unwrap();
        *sum = (sum.0 + change.messages, sum.1 + change.bytes);
    }

    fn damage(&self, damage: &Damage) {
        panic!("memory is never damaged: {damage:?}");
    }
}

// STORE-82
#[test]
fn the_observer_hears_every_change_of_use() {
    let sum = Arc::new(Sum::default());
    let options = StreamOptions::new(StorageType::File, sum.clone());
    let mut stream = MemoryBackend::new(u64::MAX).stream(&id("S"), options).unwrap();
    fill(&mut *stream, &["a", "a", "a", "a"]);
    stream.remove(1, Removal::Remove).unwrap();
    stream.truncate(3).unwrap();
    stream.compact(3).unwrap();
    assert_eq!(*sum.0.lock().unwrap(), (1, 32));
    assert_eq!(stream.state().bytes, 32);
}

#[test]
fn metadata_is_replaced_as_a_whole() {
    let mut stream = new_stream();
    assert_eq!(stream.metadata(), b"");
    for metadata in [b"{\"a\":1}".as_slice(), b"{}"] {
        let before = stream.staged();
        stream.set_metadata(metadata).unwrap();
        assert_eq!(stream.metadata(), metadata);
        assert!(stream.staged() > before);
        assert_eq!(stream.commit(stream.staged()), Ok(stream.durable()));
    }
}

#[test]
fn a_consumer_keeps_its_changes_while_it_is_open() {
    let mut stream = new_stream();
    assert!(matches!(stream.consumer("a/b"), Err(StoreError::InvalidName(_))));
    let mut consumer = stream.consumer("c").unwrap();
    let delivered = SequencePair {
        consumer: 1,
        stream: 4,
    };
    let ticket = consumer.record(&[ConsumerChange::Delivered(delivered)]).unwrap();
    assert_eq!(consumer.commit(ticket), Ok(ticket));
    assert_eq!(consumer.state().delivered, delivered);
    assert_eq!(stream.consumers(), ["c"]);
    assert!(matches!(stream.delete_consumer("c"), Err(StoreError::InUse(_))));
    drop(consumer);
    assert_eq!(stream.delete_consumer("c"), Ok(false));
}

/// What a stream should hold, in the plainest form.
#[derive(Clone, Default)]
struct Model {
    held: Vec<StoredMessage>,
    last: u64,
}

#[derive(Clone, Debug)]
enum Step {
    Stage(usize, usize),
    Skip(u64),
    Remove(u64),
    Purge(usize, PurgeExtent),
    Compact(u64),
    Truncate(u64),
}

impl Model {
    fn matching(&self, text: &str) -> Vec<u64> {
        let wanted = [filter(text)];
        let held = self.held.iter();
        held.filter(|message| dunlin_api::matches_any(&wanted, message.subject()))
            .map(|message| message.sequence)
            .collect()
    }

    fn run(&mut self, step: &Step) {
        match *step {
            Step::Stage(subject, length) => {
                self.last += 1;
                let payload = vec![b'x'; length];
                let new = message(SUBJECTS[subject], self.last as i64, &payload);
                self.held.push(StoredMessage::new(&new, self.last));
            }
            Step::Skip(count) => self.last += count,
            Step::Remove(sequence) => self.held.retain(|message| message.sequence != sequence),
            Step::Purge(at, extent) => {
                let mut gone = self.matching(FILTERS[at]);
                match extent {
                    PurgeExtent::Everything => {}
                    PurgeExtent::Before(sequence) => gone.retain(|at| *at < sequence),
                    PurgeExtent::Keep(count) => gone.truncate(gone.len().saturating_sub(count as usize)),
                }
                self.held.retain(|message| !gone.contains(&message.sequence));
            }
            Step::Compact(sequence) => {
                self.held.retain(|message| message.sequence >= sequence);
                self.last = self.last.max(sequence.saturating_sub(1));
            }
            Step::Truncate(sequence) => {
                self.held.retain(|message| message.sequence <= sequence);
                self.last = self.last.min(sequence);
            }
        }
    }
}

fn run(stream: &mut dyn StreamStore, step: &Step) {
    match *step {
        Step::Stage(subject, length) => {
            let time = stream.state().last as i64 + 1;
            let payload = vec![b'x'; length];
            stream.stage(&message(SUBJECTS[subject], time, &payload)).unwrap();
        }
        Step::Skip(count) => stream.skip(count, None).unwrap(),
        Step::Remove(sequence) => {
            stream.remove(sequence, Removal::Remove).unwrap();
        }
        Step::Purge(at, extent) => {
            let filter = Some(filter(FILTERS[at]).to_owned());
            stream.purge(&Purge { filter, extent }).unwrap();
        }
        Step::Compact(sequence) => {
            stream.compact(sequence).unwrap();
        }
        Step::Truncate(sequence) => {
            stream.truncate(sequence).unwrap();
        }
    }
}

/// Every read gives what a naive look at the model gives.
fn compare(stream: &dyn StreamStore, model: &Model) {
    let state = stream.state();
    let empty = if model.last == 0 { 0 } else { model.last + 1 };
    let bytes: u64 = model
        .held
        .iter()
        .map(|message| message.size(stream.storage()))
        .sum();
    assert_eq!((state.messages, state.bytes), (model.held.len() as u64, bytes));
    assert_eq!(
        state.first,
        model.held.first().map_or(empty, |message| message.sequence)
    );
    assert_eq!(state.last, model.last);
    let middle = model.last / 2;
    let later = model.held.iter().find(|message| message.time >= middle as i64);
    assert_eq!(
        answer(stream.sequence_at(middle as i64)),
        later.map(|message| message.sequence)
    );
    for text in FILTERS {
        let (filters, found) = ([filter(text)], model.matching(text));
        let from: Vec<_> = found.iter().copied().filter(|at| *at >= middle).collect();
        let to: Vec<_> = found.iter().copied().filter(|at| *at <= middle).collect();
        assert_eq!(sequence(stream.next(&filters, middle)), from.first().copied());
        assert_eq!(sequence(stream.previous(&filters, middle)), to.last().copied());
        assert_eq!(
            answer(stream.num_pending(middle, &filters, Counting::All)),
            from.len() as u64
        );
        let mut last = BTreeMap::new();
        for message in model
            .held
            .iter()
            .filter(|message| found.contains(&message.sequence))
        {
            last.entry(message.subject().to_owned())
                .or_insert_with(SubjectState::default)
                .add(message.sequence);
        }
        let mut seen = BTreeMap::new();
        let mut note =
            |subject: Subject<'_>, messages: u64| seen.insert(subject.to_owned(), messages).is_none();
        stream.each_subject(&filters, &mut note).unwrap();
        let totals: BTreeMap<_, _> = last
            .iter()
            .map(|(subject, state)| (subject.clone(), state.messages))
            .collect();
        assert_eq!(seen, totals);
        let mut sequences: Vec<_> = last.values().map(|state| state.last).collect();
        sequences.sort_unstable();
        assert_eq!(answer(stream.last_sequences(&filters, u64::MAX, 9)), sequences);
    }
}

/// A copy through a snapshot in parts of about `bytes`.
fn copy(stream: &dyn StreamStore, bytes: u64) -> Box<dyn StreamStore> {
    let mut copy = new_stream();
    let mut cursor = Some(SnapshotCursor::of(&stream.state()));
    while let Some(at) = cursor {
        let chunk = answer(stream.snapshot(at, bytes));
        copy.restore(&chunk).unwrap();
        cursor = chunk.next;
    }
    copy
}

fn check(mut stream: Box<dyn StreamStore>, steps: &[Step], bytes: u64) {
    let mut model = Model::default();
    for step in steps {
        run(&mut *stream, step);
        model.run(step);
        compare(&*stream, &model);
    }
    compare(&*copy(&*stream, bytes), &model);
}

fn any_step() -> impl Strategy<Value = Step> {
    let extent = prop_oneof![
        Just(PurgeExtent::Everything),
        (0..40_u64).prop_map(PurgeExtent::Before),
        (0..4_u64).prop_map(PurgeExtent::Keep),
    ];
    prop_oneof![
        12 => (0..SUBJECTS.len(), 0..50_usize).prop_map(|(subject, length)| Step::Stage(subject, length)),
        1 => (0..4_u64).prop_map(Step::Skip),
        4 => (0..40_u64).prop_map(Step::Remove),
        2 => (0..FILTERS.len(), extent).prop_map(|(at, extent)| Step::Purge(at, extent)),
        1 => (0..40_u64).prop_map(Step::Compact),
        1 => (0..40_u64).prop_map(Step::Truncate),
    ]
}

proptest! {
    // STORE-83, STORE-93 to STORE-98, STORE-106 to STORE-108
    #[test]
    fn random_operations_leave_what_a_plain_model_holds(
        steps in proptest::collection::vec(any_step(), 0..60),
        bytes in 1..300_u64,
    ) {
        check(new_stream(), &steps, bytes);
    }

    #[test]
    fn default_bodies_hold_the_same_with_cold_messages(
        steps in proptest::collection::vec(any_step(), 0..40),
        bytes in 1..300_u64,
    ) {
        check(Box::new(Plain(new_stream())), &steps, bytes);
    }
}
