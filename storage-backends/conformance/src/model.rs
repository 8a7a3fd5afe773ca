//! What a stream should hold, in the plainest form, and the operations that change both.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use dunlin_api::{
    Counting, Filter, FilterBuf, NewMessage, Purge, PurgeExtent, Removal, StorageType, StoredMessage,
    StreamState, StreamStore, Subject, SubjectState, TimerKind, matches_any,
};
use proptest::prelude::*;

use crate::stand::{answer, filter, found, holes, sequences};

/// Subjects that histories use: some share a beginning, one is the beginning of another.
const SUBJECTS: [&str; 8] = ["a", "a.b", "a.c", "b.c", "b.c.d", "b.d", "c.b", "c.c.c"];

/// Filters that histories ask for.
const FILTERS: [&[&str]; 9] = [
    &[],
    &[">"],
    &["a"],
    &["a.*"],
    &["*.c", "a.>"],
    &["b.c", "c.b"],
    &["none"],
    &["b.>", "b.c.*", "*"],
    &["*.*.*"],
];

/// A change of a stream.
#[derive(Clone, Debug)]
pub enum Step {
    /// Appends on a subject, with so many bytes of headers and of payload, so much later than the last.
    Stage(usize, usize, usize, i64),
    /// Skips, and sets the time of the last or not.
    Skip(u64, bool),
    /// Removes or erases.
    Remove(u64, bool),
    /// Purges what the first of the filters matches; all where there is none.
    Purge(usize, PurgeExtent),
    /// Compacts.
    Compact(u64),
    /// Truncates.
    Truncate(u64),
    /// Sets or clears a timer.
    Timer(bool, u64, Option<i64>),
    /// Replaces the metadata.
    Metadata(Vec<u8>),
}

/// The plainest stream.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Model {
    held: BTreeMap<u64, StoredMessage>,
    last: u64,
    last_time: i64,
    metadata: Vec<u8>,
    /// By kind, expiry or not, and sequence.
    timers: BTreeMap<(bool, u64), i64>,
}

/// Sequences that a step names, as a part of those that the stream has had: so steps stay useful when a history shrinks.
fn any_place() -> impl Strategy<Value = u64> {
    0..=1000_u64
}

fn any_stage() -> impl Strategy<Value = Step> {
    let headers = prop_oneof![3 => Just(0), 1 => 1..40_usize];
    let payload = prop_oneof![8 => 0..60_usize, 1 => 0..6000_usize];
    (0..SUBJECTS.len(), headers, payload, 0..3_i64)
        .prop_map(|(subject, headers, payload, later)| Step::Stage(subject, headers, payload, later))
}

/// Any step. Places are thousandths of the stream's length.
pub fn any_step() -> impl Strategy<Value = Step> {
    let extent = prop_oneof![
        1 => Just(PurgeExtent::Everything),
        2 => any_place().prop_map(PurgeExtent::Before),
        2 => (0..8_u64).prop_map(PurgeExtent::Keep),
    ];
    prop_oneof![
        40 => any_stage(),
        2 => (1..5_u64, any::<bool>()).prop_map(|(count, timed)| Step::Skip(count, timed)),
        12 => (any_place(), any::<bool>()).prop_map(|(at, erase)| Step::Remove(at, erase)),
        3 => (0..FILTERS.len(), extent).prop_map(|(filter, extent)| Step::Purge(filter, extent)),
        1 => any_place().prop_map(Step::Compact),
        1 => any_place().prop_map(Step::Truncate),
        6 => (any::<bool>(), any_place(), proptest::option::weighted(0.8, 0..20_000_000_000_i64))
            .prop_map(|(kind, at, time)| Step::Timer(kind, at, time)),
        1 => proptest::collection::vec(any::<u8>(), 0..50).prop_map(Step::Metadata),
    ]
}

impl Step {
    /// The same step with sequences instead of places.
    pub fn placed(self, last: u64) -> Self {
        let place = |at: u64| (last + 2) * at / 1000;
        match self {
            Self::Remove(at, erase) => Self::Remove(place(at), erase),
            Self::Purge(filter, PurgeExtent::Before(at)) => {
                Self::Purge(filter, PurgeExtent::Before(place(at)))
            }
            Self::Compact(at) => Self::Compact(place(at)),
            // Late, so that streams grow all the same.
            Self::Truncate(at) => Self::Truncate(last.saturating_sub(at / 50)),
            Self::Timer(kind, at, time) => Self::Timer(kind, place(at), time),
            other => other,
        }
    }

    /// Makes the change.
    pub fn run(&self, stream: &mut dyn StreamStore) {
        match self {
            Self::Stage(..) => {
                let state = stream.state();
                let body = Body::of(self, state.last, state.last_time);
                stream.stage(&body.message()).unwrap();
            }
            Self::Skip(count, timed) => {
                let time = timed.then_some(stream.state().last_time + 1);
                stream.skip(*count, time).unwrap();
            }
            Self::Remove(sequence, erase) => {
                let removal = if *erase { Removal::Erase } else { Removal::Remove };
                stream.remove(*sequence, removal).unwrap();
            }
            Self::Purge(filter, extent) => {
                let purge = Purge {
                    filter: first_filter(*filter),
                    extent: *extent,
                };
                stream.purge(&purge).unwrap();
            }
            Self::Compact(sequence) => {
                stream.compact(*sequence).unwrap();
            }
            Self::Truncate(sequence) => {
                stream.truncate(*sequence).unwrap();
            }
            Self::Timer(expiry, sequence, at) => {
                stream.set_timer(timer_kind(*expiry), *sequence, *at).unwrap();
            }
            Self::Metadata(metadata) => stream.set_metadata(metadata).unwrap(),
        }
    }
}

fn timer_kind(expiry: bool) -> TimerKind {
    if expiry {
        TimerKind::Expiry
    } else {
        TimerKind::Schedule
    }
}

fn first_filter(index: usize) -> Option<FilterBuf> {
    FILTERS[index].first().map(|text| filter(text).to_owned())
}

/// The bytes of a message to stage: derived from where it goes, so that no two are alike.
struct Body {
    subject: &'static str,
    time: i64,
    headers: Vec<u8>,
    payload: Vec<u8>,
}

impl Body {
    fn of(step: &Step, last: u64, last_time: i64) -> Self {
        let Step::Stage(subject, headers, payload, later) = *step else {
            panic!("{step:?} stages nothing");
        };
        let bytes = |length: usize, seed: u64| -> Vec<u8> {
            (0..length as u64)
                .map(|at| (at.wrapping_mul(31) ^ (last + seed)) as u8)
                .collect()
        };
        Self {
            subject: SUBJECTS[subject],
            time: last_time + later,
            headers: bytes(headers, 1),
            payload: bytes(payload, 2),
        }
    }

    fn message(&self) -> NewMessage<'_> {
        NewMessage {
            sequence: None,
            time: self.time,
            subject: Subject::new(self.subject.as_bytes()).unwrap(),
            headers: &self.headers,
            payload: &self.payload,
        }
    }
}

impl Model {
    /// Makes the change.
    pub fn run(&mut self, step: &Step) {
        self.run_slowly(step, &mut |_| ());
    }

    /// Makes the change, and shows the states on the way that a crash may leave.
    pub fn run_slowly(&mut self, step: &Step, state: &mut dyn FnMut(&Self)) {
        match step {
            Step::Stage(..) => {
                let body = Body::of(step, self.last, self.last_time);
                self.last += 1;
                self.last_time = body.time;
                let stored = StoredMessage::new(&body.message(), self.last);
                self.held.insert(self.last, stored);
            }
            Step::Skip(count, timed) => {
                self.last += count;
                self.last_time += i64::from(*timed);
            }
            Step::Remove(sequence, _) => self.remove(*sequence),
            Step::Purge(at, extent) => match (first_filter(*at), extent) {
                (None, PurgeExtent::Before(sequence)) => {
                    return self.run_slowly(&Step::Compact(*sequence), state);
                }
                (filter, extent) => {
                    let gone = self.purged(filter.as_ref().map(FilterBuf::as_filter).as_slice(), *extent);
                    self.remove_all(&gone, state);
                }
            },
            Step::Compact(sequence) => {
                let gone: Vec<_> = self.held.range(..sequence).map(|(at, _)| *at).collect();
                self.remove_all(&gone, state);
                self.last = self.last.max(sequence.saturating_sub(1));
            }
            Step::Truncate(sequence) if *sequence < self.last => {
                self.held.retain(|at, _| at <= sequence);
                self.timers.retain(|(_, at), _| at <= sequence);
                self.last = *sequence;
                self.last_time = match self.held.last_key_value() {
                    Some((_, message)) => message.time,
                    None if *sequence == 0 => 0,
                    None => self.last_time,
                };
            }
            Step::Truncate(_) => {}
            Step::Timer(expiry, sequence, at) => {
                let key = (*expiry, *sequence);
                match at {
                    Some(at) if self.held.contains_key(sequence) => drop(self.timers.insert(key, *at)),
                    Some(_) => {}
                    None => drop(self.timers.remove(&key)),
                }
            }
            Step::Metadata(metadata) => self.metadata.clone_from(metadata),
        }
        state(self);
    }

    fn remove(&mut self, sequence: u64) {
        self.held.remove(&sequence);
        self.timers.retain(|(_, at), _| *at != sequence);
    }

    fn remove_all(&mut self, gone: &[u64], state: &mut dyn FnMut(&Self)) {
        for sequence in gone {
            self.remove(*sequence);
            state(self);
        }
    }

    fn purged(&self, filters: &[Filter<'_>], extent: PurgeExtent) -> Vec<u64> {
        let mut gone: Vec<_> = self.matching(filters).map(|message| message.sequence).collect();
        match extent {
            PurgeExtent::Everything => {}
            PurgeExtent::Before(sequence) => gone.retain(|at| *at < sequence),
            PurgeExtent::Keep(count) => gone.truncate(gone.len().saturating_sub(count as usize)),
        }
        gone
    }

    fn matching(&self, filters: &[Filter<'_>]) -> impl DoubleEndedIterator<Item = &StoredMessage> {
        let matching = |message: &&StoredMessage| matches_any(filters, message.subject());
        self.held.values().filter(matching)
    }

    /// The figures that a stream with these messages shows.
    pub fn state(&self, storage: StorageType) -> StreamState {
        let first = self.held.first_key_value();
        let empty = if self.last == 0 { 0 } else { self.last + 1 };
        let subjects: BTreeSet<_> = self
            .held
            .values()
            .map(|message| message.subject().as_bytes())
            .collect();
        StreamState {
            messages: self.held.len() as u64,
            bytes: self.held.values().map(|message| message.size(storage)).sum(),
            first: first.map_or(empty, |(sequence, _)| *sequence),
            first_time: first.map_or(0, |(_, message)| message.time),
            last: self.last,
            last_time: self.last_time,
            subjects: subjects.len() as u64,
        }
    }

    /// The last sequence.
    pub fn last(&self) -> u64 {
        self.last
    }

    /// The timers of messages that another model still holds.
    pub(crate) fn timers_left_in(&self, other: &Self) -> BTreeMap<(bool, u64), i64> {
        let held = |((_, sequence), _): &(&(bool, u64), &i64)| other.held.contains_key(sequence);
        let left = self.timers.iter().filter(held);
        left.map(|(key, at)| (*key, *at)).collect()
    }

    /// Puts timers in the place of those that it has.
    pub(crate) fn set_timers(&mut self, timers: BTreeMap<(bool, u64), i64>) {
        self.timers = timers;
    }

    /// Whether the stream holds exactly these messages and bytes; timers apart.
    pub fn is_held_by(&self, stream: &dyn StreamStore) -> bool {
        stream.state() == self.state(stream.storage())
            && stream.metadata() == self.metadata
            && sequences(stream).iter().eq(self.held.keys())
            && self
                .held
                .iter()
                .all(|(sequence, message)| answer(stream.load(*sequence)).as_ref() == Some(message))
    }

    /// Every read gives what a naive look at the model gives. [STORE-83, STORE-93 to STORE-98]
    pub fn check(&self, stream: &dyn StreamStore) {
        assert_eq!(stream.state(), self.state(stream.storage()));
        assert_eq!(stream.metadata(), self.metadata);
        assert!(sequences(stream).iter().eq(self.held.keys()));
        for (sequence, message) in &self.held {
            assert_eq!(answer(stream.load(*sequence)).as_ref(), Some(message));
        }
        assert_eq!(timers(stream), self.timers);
        self.check_holes(stream);
        // Each of the filters, at another place each.
        for place in [0, 100, 200, 300, 400, 500, 600, 700, 800, 900, 1000] {
            self.ask(stream, place);
        }
    }

    fn check_holes(&self, stream: &dyn StreamStore) {
        let state = stream.state();
        let holes = holes(stream);
        let total: u64 = holes.iter().map(|run| run.end() - run.start() + 1).sum();
        assert_eq!(total, state.deleted());
        assert!(holes.is_sorted_by(|one, next| one.end() + 1 < *next.start()));
        let is_hole = |run: &RangeInclusive<u64>| self.held.range(run.clone()).next().is_none();
        assert!(holes.iter().all(is_hole), "{holes:?}");
    }

    /// Some questions at a place of the stream; cheap enough for every step of a history.
    pub fn ask(&self, stream: &dyn StreamStore, place: u64) {
        let at = (self.last + 2) * place / 1000;
        assert_eq!(stream.state(), self.state(stream.storage()));
        assert_eq!(answer(stream.load(at)).as_ref(), self.held.get(&at));
        let after = self.held.range(at..).next().map(|(sequence, _)| *sequence);
        assert_eq!(stream.at_or_after(at), after);
        let before = self.held.range(..=at).next_back().map(|(sequence, _)| *sequence);
        assert_eq!(stream.at_or_before(at), before);
        let time = self.held.get(&at).map_or(at as i64, |message| message.time);
        let later = self.held.values().find(|message| message.time >= time);
        assert_eq!(
            answer(stream.sequence_at(time)),
            later.map(|message| message.sequence),
            "at time {time}"
        );
        self.ask_filters(stream, FILTERS[place as usize % FILTERS.len()], at);
    }

    fn ask_filters(&self, stream: &dyn StreamStore, texts: &[&str], at: u64) {
        let filters: Vec<Filter<'_>> = texts.iter().map(|text| filter(text)).collect();
        let after = self.matching(&filters).find(|message| message.sequence >= at);
        assert_eq!(
            found(stream.next(&filters, at)),
            after.map(|message| message.sequence),
            "next of {texts:?} from {at}"
        );
        let before = self.matching(&filters).rfind(|message| message.sequence <= at);
        assert_eq!(
            found(stream.previous(&filters, at)),
            before.map(|message| message.sequence),
            "previous of {texts:?} to {at}"
        );
        let (mut ahead, mut subjects) = (SubjectState::default(), BTreeMap::new());
        let mut last_to = BTreeMap::new();
        for message in self.matching(&filters) {
            let state: &mut SubjectState = subjects.entry(message.subject().to_string()).or_default();
            state.add(message.sequence);
            if message.sequence >= at {
                ahead.add(message.sequence);
            }
            if message.sequence <= at {
                last_to.insert(message.subject().to_string(), message.sequence);
            }
        }
        assert_eq!(
            answer(stream.filtered_state(&filters, at)),
            ahead,
            "state of {texts:?} from {at}"
        );
        let pending = |counting| answer(stream.num_pending(at, &filters, counting));
        assert_eq!(
            pending(Counting::All),
            ahead.messages,
            "pending of {texts:?} from {at}"
        );
        let last_ahead = subjects.values().filter(|state| state.last >= at).count() as u64;
        assert_eq!(
            pending(Counting::LastPerSubject),
            last_ahead,
            "pending subjects of {texts:?} from {at}"
        );
        let expected: BTreeSet<_> = last_to.into_values().collect();
        let last = answer(stream.last_sequences(&filters, at, SUBJECTS.len()));
        assert!(
            last.iter().eq(&expected),
            "last of {texts:?} to {at}: {last:?}, not {expected:?}"
        );
        let mut seen = BTreeMap::new();
        let mut note = |subject: Subject<'_>, count: u64| seen.insert(subject.to_string(), count).is_none();
        stream.each_subject(&filters, &mut note).unwrap();
        let totals = subjects
            .iter()
            .map(|(subject, state)| (subject.clone(), state.messages));
        assert_eq!(seen, totals.collect(), "subjects of {texts:?}");
    }
}

/// All timers of a stream, as a model has them; in the order of their times.
pub(crate) fn timers(stream: &dyn StreamStore) -> BTreeMap<(bool, u64), i64> {
    let mut all = BTreeMap::new();
    for expiry in [true, false] {
        let due = stream.due(timer_kind(expiry), i64::MAX, usize::MAX);
        assert!(due.is_sorted());
        all.extend(due.iter().map(|due| ((expiry, due.sequence), due.at)));
    }
    all
}
