//! One stream of a backend under test, and what its observer hears.

use std::ops::{Deref, DerefMut, RangeInclusive};
use std::sync::Arc;
use std::time::Duration;

use dunlin_api::{
    AccountName, Answer, Damage, Filter, NewMessage, StorageType, StoreError, StoreObserver, StoredMessage,
    StreamId, StreamOptions, StreamStore, Subject, Ticket, UsageChange,
};
use parking_lot::{Condvar, Mutex};

use crate::{Harness, Make};

/// Longer than any sound medium takes for one commit.
const PATIENCE: Duration = Duration::from_secs(60);

/// A backend with one open stream, as which it can be used.
pub struct Stand {
    /// The backend.
    pub harness: Box<dyn Harness>,
    /// What the stream told.
    pub heard: Arc<Heard>,
    stream: Option<Box<dyn StreamStore>>,
}

/// An observer that adds up what it hears.
#[derive(Default)]
pub struct Heard {
    state: Mutex<HeardState>,
    moved: Condvar,
}

#[derive(Default)]
struct HeardState {
    messages: i64,
    bytes: i64,
    turns: u64,
}

impl StoreObserver for Heard {
    fn usage(&self, change: UsageChange) {
        let mut state = self.state.lock();
        state.messages += change.messages;
        state.bytes += change.bytes;
    }

    fn durable(&self, _: Ticket) {
        self.note();
    }

    fn consumer_durable(&self, _: &str, _: Ticket) {
        self.note();
    }

    fn failed(&self, durable: Ticket, error: &StoreError) {
        panic!("a commit failed after {durable:?}: {error}");
    }

    fn damage(&self, damage: &Damage) {
        panic!("nothing was damaged: {damage:?}");
    }
}

impl Heard {
    /// Messages and bytes more than at the start.
    pub fn usage(&self) -> (i64, i64) {
        let state = self.state.lock();
        (state.messages, state.bytes)
    }

    fn note(&self) {
        self.state.lock().turns += 1;
        self.moved.notify_all();
    }

    fn turns(&self) -> u64 {
        self.state.lock().turns
    }

    /// Waits until a mark has moved since `turns` was asked, as far as a thread moves it: where nobody does within a
    /// moment, whoever asks has to poll again.
    fn wait(&self, turns: u64) {
        let mut state = self.state.lock();
        if state.turns == turns {
            self.moved.wait_for(&mut state, Duration::from_millis(1));
        }
    }
}

impl Deref for Stand {
    type Target = dyn StreamStore;

    fn deref(&self) -> &Self::Target {
        self.stream.as_deref().expect("the stream is open")
    }
}

impl DerefMut for Stand {
    fn deref_mut(&mut self) -> &mut Self::Target {
        self.stream.as_deref_mut().expect("the stream is open")
    }
}

impl Stand {
    /// An open stream of storage type `file`.
    pub fn new(make: Make<'_>) -> Self {
        Self::with(make, StorageType::File, |_| ())
    }

    /// An open stream with other options.
    pub fn with(make: Make<'_>, storage: StorageType, change: impl FnOnce(&mut StreamOptions)) -> Self {
        let mut stand = Self {
            harness: make(),
            heard: Arc::default(),
            stream: None,
        };
        let mut options = stand.options(storage);
        change(&mut options);
        stand.stream = Some(stand.harness.backend().stream(&id("S"), options).unwrap());
        stand
    }

    fn options(&self, storage: StorageType) -> StreamOptions {
        StreamOptions::new(storage, self.heard.clone())
    }

    /// Whether rules about what survives hold for the backend.
    pub fn is_durable(&self) -> bool {
        self.harness.backend().capabilities().durable
    }

    /// Stages a message on each subject, at times 1, 2, 3, …
    pub fn fill(&mut self, subjects: &[&str]) {
        for (time, subject) in (self.state().last as i64 + 1..).zip(subjects) {
            self.stage(&message(subject, time, b"x")).unwrap();
        }
    }

    /// Messages held, first and last sequence.
    pub fn bounds(&self) -> (u64, u64, u64) {
        let state = self.state();
        (state.messages, state.first, state.last)
    }

    /// The sequences that hold a message.
    pub fn sequences(&self) -> Vec<u64> {
        sequences(&**self)
    }

    /// Commits all and waits until it is durable.
    pub fn settle(&mut self) {
        let ticket = self.staged();
        self.commit(ticket).unwrap();
        self.wait_until(|stand| stand.durable() >= ticket);
    }

    /// Waits until a mark has moved far enough, and lets the harness work meanwhile.
    pub fn wait_until(&mut self, reached: impl Fn(&Self) -> bool) {
        let mut idle = Duration::ZERO;
        loop {
            let turns = self.heard.turns();
            if reached(self) {
                return;
            }
            self.harness.poll();
            self.heard.wait(turns);
            idle = match self.heard.turns() == turns {
                true => idle + Duration::from_millis(1),
                false => Duration::ZERO,
            };
            assert!(idle < PATIENCE, "a commit never becomes durable");
        }
    }

    /// Closes the stream in order and opens it anew, by a backend that was reopened as well.
    pub fn reopen(&mut self) {
        let storage = self.storage();
        let stream = self.stream.take().expect("the stream is open");
        stream.close().unwrap();
        self.harness.reopen();
        self.open_again(storage);
    }

    /// Drops the stream, which keeps only what is durable, and opens it anew.
    pub fn drop_and_open(&mut self) {
        let storage = self.storage();
        self.stream = None;
        self.open_again(storage);
    }

    /// Pulls the plug and opens the stream anew.
    pub fn crash(&mut self) {
        let storage = self.storage();
        self.stream = None;
        self.harness.crash();
        self.open_again(storage);
    }

    fn open_again(&mut self, storage: StorageType) {
        self.heard = Arc::default();
        let options = self.options(storage);
        self.stream = Some(self.harness.backend().stream(&id("S"), options).unwrap());
    }

    /// Closes the stream for good.
    pub fn close(&mut self) {
        let stream = self.stream.take().expect("the stream is open");
        stream.close().unwrap();
    }
}

/// A stream of the global account.
pub(crate) fn id(name: &str) -> StreamId {
    StreamId::new(AccountName::global(), name).unwrap()
}

/// A message without headers.
pub(crate) fn message<'a>(subject: &'a str, time: i64, payload: &'a [u8]) -> NewMessage<'a> {
    NewMessage {
        sequence: None,
        time,
        subject: Subject::from_wire(subject.as_bytes()).unwrap(),
        headers: &[],
        payload,
    }
}

pub(crate) fn filter(text: &str) -> Filter<'_> {
    Filter::new(text.as_bytes()).unwrap()
}

/// The answer, cold or not.
pub(crate) fn answer<T>(answer: Answer<T>) -> T {
    answer.unwrap().wait().unwrap()
}

/// The sequence of the message that was found.
pub(crate) fn found(message: Answer<Option<StoredMessage>>) -> Option<u64> {
    answer(message).map(|message| message.sequence)
}

/// The sequences that hold a message, as `at_or_after` tells them.
pub(crate) fn sequences(stream: &dyn StreamStore) -> Vec<u64> {
    let step = |last: &u64| last.checked_add(1).and_then(|from| stream.at_or_after(from));
    std::iter::successors(stream.at_or_after(0), step).collect()
}

/// The runs of sequences that hold nothing.
pub(crate) fn holes(stream: &dyn StreamStore) -> Vec<RangeInclusive<u64>> {
    let mut holes = Vec::new();
    stream.each_deleted(&mut |run| {
        holes.push(run);
        true
    });
    holes
}
