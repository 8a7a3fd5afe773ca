//! Long random histories against the plain model, and what is left of them after crashes.
//!
//! A failing history is shrunk and printed. `PROPTEST_CASES` asks for more of them.

use dunlin_api::{
    ConsumerChange, ConsumerState, ConsumerStore, PendingAck, SequencePair, SnapshotCursor, Ticket,
};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, RngSeed, TestRunner};

use crate::model::{Model, Step, any_step, timers};
use crate::stand::answer;
use crate::{Make, Stand};

/// Runs histories of up to `most` events.
fn histories<S: Strategy>(event: S, most: usize, check: impl Fn(&[S::Value]))
where
    S::Value: Clone,
{
    // Ten thousand events, which a few seconds hold; the same in every run, so that a red one tells of a change.
    // `PROPTEST_RNG_SEED` and `PROPTEST_CASES` try others and more.
    let seed = std::env::var("PROPTEST_RNG_SEED").ok();
    let seed = seed.and_then(|seed| seed.parse().ok()).unwrap_or(1);
    let config = Config {
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(seed),
        ..Config::with_cases(
            std::env::var("PROPTEST_CASES")
                .ok()
                .and_then(|cases| cases.parse().ok())
                .unwrap_or(40),
        )
    };
    let strategy = proptest::collection::vec(event, 0..most);
    let run = TestRunner::new(config).run(&strategy, |history| {
        check(&history);
        Ok(())
    });
    if let Err(error) = run {
        panic!("{error}");
    }
}

/// After each step the stream answers as the model does, and in the end so does its copy.
pub fn streams(make: Make<'_>) {
    histories((any_step(), 0..=1000_u64), 400, |history| {
        let mut stand = Stand::new(make);
        let mut model = Model::default();
        for (step, place) in history {
            let step = step.clone().placed(model.last());
            step.run(&mut *stand);
            model.run(&step);
            model.ask(&*stand, *place);
        }
        model.check(&*stand);
        let state = stand.state();
        assert_eq!(stand.heard.usage(), (state.messages as i64, state.bytes as i64));
        let mut copy = Stand::new(make);
        let mut cursor = Some(SnapshotCursor::of(&state));
        while let Some(at) = cursor {
            let part = answer(stand.snapshot(at, 500));
            copy.restore(&part).unwrap();
            cursor = part.next;
        }
        assert_eq!(copy.bounds(), stand.bounds());
        assert_eq!(copy.sequences(), stand.sequences());
    });
}

/// One history long enough for many blocks, leaves or whatever a backend cuts its streams into.
pub fn long(make: Make<'_>) {
    let mut runner = TestRunner::deterministic();
    let mut stand = Stand::new(make);
    let mut model = Model::default();
    for at in 0..20_000_u64 {
        let step = any_step().new_tree(&mut runner).unwrap().current();
        let step = match step {
            // Rarely, or the stream never gets long.
            Step::Purge(..) | Step::Compact(_) | Step::Truncate(_) if at % 40 != 0 => continue,
            step => step.placed(model.last()),
        };
        step.run(&mut *stand);
        model.run(&step);
        if at % 200 == 0 {
            model.ask(&*stand, at * 7 % 1000);
        }
    }
    model.check(&*stand);
    if stand.is_durable() {
        stand.reopen();
        model.check(&*stand);
    }
}

/// What happens to a durable stream.
#[derive(Clone, Debug)]
enum Event {
    /// A change.
    Change(Step),
    /// Asks that all become durable, and does not wait.
    Commit,
    /// Asks, and waits.
    Settle,
    /// Lets the backend's other parts do a piece of work.
    Poll,
    /// Forgets what can be read again.
    Cool,
    /// A stop in order.
    Reopen,
    /// The plug is pulled.
    Crash,
}

fn any_event() -> impl Strategy<Value = Event> {
    prop_oneof![
        40 => any_step().prop_map(Event::Change),
        4 => Just(Event::Commit),
        2 => Just(Event::Settle),
        4 => Just(Event::Poll),
        1 => Just(Event::Cool),
        1 => Just(Event::Reopen),
        2 => Just(Event::Crash),
    ]
}

/// The states that a stream has had since it was opened, each with the ticket that names it.
struct Past {
    states: Vec<(Ticket, Model)>,
}

impl Past {
    fn of(model: Model) -> Self {
        Self {
            states: vec![(Ticket(0), model)],
        }
    }

    fn now(&self) -> &Model {
        &self.states.last().expect("never empty").1
    }

    /// A crash keeps every change that was durable, and of the later ones those up to some point.
    fn check_left(&self, stand: &Stand, durable: Ticket) -> Model {
        let left = self.states.iter().enumerate().filter(|(at, _)| {
            let next = self.states.get(at + 1);
            next.is_none_or(|(ticket, _)| *ticket > durable)
        });
        let mut found = left.filter(|(_, (_, model))| model.is_held_by(&**stand));
        let Some((_, (_, model))) = found.next() else {
            let state = stand.state();
            panic!(
                "no state since {durable:?} has {state:?} with {:?}",
                stand.sequences()
            );
        };
        self.with_timers_left(stand, model)
    }

    /// Timers may be those of an earlier moment, which the stream names.
    fn with_timers_left(&self, stand: &Stand, model: &Model) -> Model {
        let (timers, before) = (timers(&**stand), stand.timers_before());
        let moments = self
            .states
            .iter()
            .filter(|(_, then)| then.last() + 1 == before || before == 0);
        let mut left = moments.map(|(_, then)| then.timers_left_in(model));
        assert!(
            left.any(|left| left == timers),
            "the timers {timers:?} are of no moment when {before} was next"
        );
        let mut model = model.clone();
        model.set_timers(timers);
        model
    }
}

/// Whatever was durable is there, nothing else has changed, and nothing has come back.
pub fn crashes(make: Make<'_>) {
    if !make().backend().capabilities().durable {
        return;
    }
    histories(any_event(), 120, |history| {
        let mut stand = Stand::new(make);
        let mut past = Past::of(Model::default());
        for event in history {
            match event {
                Event::Change(step) => {
                    let mut model = past.now().clone();
                    let step = step.clone().placed(model.last());
                    step.run(&mut *stand);
                    let ticket = stand.staged();
                    model.run_slowly(&step, &mut |state| past.states.push((ticket, state.clone())));
                }
                Event::Commit => {
                    let ticket = stand.staged();
                    stand.commit(ticket).unwrap();
                }
                Event::Settle => stand.settle(),
                Event::Poll => stand.harness.poll(),
                Event::Cool => stand.harness.cool(),
                Event::Reopen => {
                    stand.reopen();
                    past.now().check(&*stand);
                    past = Past::of(past.now().clone());
                }
                Event::Crash => {
                    let durable = stand.durable();
                    stand.crash();
                    past = Past::of(past.check_left(&stand, durable));
                    past.now().check(&*stand);
                }
            }
        }
    });
}

/// What happens to a durable consumer.
#[derive(Clone, Debug)]
enum ConsumerEvent {
    Record(Vec<ConsumerChange>),
    Metadata(Vec<u8>),
    Commit,
    Settle,
    Poll,
    Open,
    Reopen,
    Crash,
}

fn any_change() -> impl Strategy<Value = ConsumerChange> {
    let pair = || (0..99_u64, 0..99_u64).prop_map(|(consumer, stream)| SequencePair { consumer, stream });
    let pending = (0..99_u64, any::<i64>()).prop_map(|(consumer, time)| PendingAck {
        consumer,
        // Whole seconds: the reference's file keeps no more (STORE-65).
        time: time % 2_000_000_000 * 1_000_000_000,
    });
    let state = (pair(), pair()).prop_map(|(delivered, ack_floor)| ConsumerState {
        delivered,
        ack_floor,
        ..ConsumerState::default()
    });
    prop_oneof![
        4 => pair().prop_map(ConsumerChange::Delivered),
        4 => pair().prop_map(ConsumerChange::AckFloor),
        // Above the floor: the file gives what lies below to nobody (STORE-67).
        6 => (100..120_u64, proptest::option::of(pending))
            .prop_map(|(sequence, pending)| ConsumerChange::Pending(sequence, pending)),
        3 => (100..120_u64, 0..4_u64).prop_map(|(sequence, count)| ConsumerChange::Redelivered(sequence, count)),
        1 => state.prop_map(|state| ConsumerChange::Replace(Box::new(state))),
    ]
}

fn any_consumer_event() -> impl Strategy<Value = ConsumerEvent> {
    prop_oneof![
        20 => proptest::collection::vec(any_change(), 0..6).prop_map(ConsumerEvent::Record),
        1 => proptest::collection::vec(any::<u8>(), 0..30).prop_map(ConsumerEvent::Metadata),
        3 => Just(ConsumerEvent::Commit),
        2 => Just(ConsumerEvent::Settle),
        3 => Just(ConsumerEvent::Poll),
        1 => Just(ConsumerEvent::Open),
        1 => Just(ConsumerEvent::Reopen),
        2 => Just(ConsumerEvent::Crash),
    ]
}

/// The states that a consumer has had since it was opened, each with its ticket.
type ConsumerPast = Vec<(Ticket, ConsumerState, Vec<u8>)>;

/// Changes recorded together are there together; those that were durable are there.
pub fn consumers(make: Make<'_>) {
    if !make().backend().capabilities().durable {
        return;
    }
    histories(any_consumer_event(), 80, |history| {
        let mut stand = Stand::new(make);
        let mut consumer = stand.consumer("C").unwrap();
        // Made for sure, so that it is there after any crash.
        settle(&mut stand, &mut *consumer);
        let mut past: ConsumerPast = vec![(Ticket(0), ConsumerState::default(), Vec::new())];
        for event in history {
            let (_, mut state, mut metadata) = past.last().expect("never empty").clone();
            match event {
                ConsumerEvent::Record(changes) => {
                    changes.iter().for_each(|change| state.apply(change));
                    past.push((consumer.record(changes).unwrap(), state, metadata));
                }
                ConsumerEvent::Metadata(bytes) => {
                    metadata.clone_from(bytes);
                    past.push((consumer.set_metadata(bytes).unwrap(), state, metadata));
                }
                ConsumerEvent::Commit => {
                    let (ticket, ..) = *past.last().expect("never empty");
                    consumer.commit(ticket).unwrap();
                }
                ConsumerEvent::Settle => settle(&mut stand, &mut *consumer),
                ConsumerEvent::Poll => stand.harness.poll(),
                ConsumerEvent::Open | ConsumerEvent::Reopen | ConsumerEvent::Crash => {
                    let durable = consumer.durable();
                    let oldest = match event {
                        ConsumerEvent::Reopen => {
                            consumer.close().unwrap();
                            stand.reopen();
                            Ticket(u64::MAX)
                        }
                        ConsumerEvent::Crash => {
                            drop(consumer);
                            stand.crash();
                            durable
                        }
                        _ => {
                            drop(consumer);
                            durable
                        }
                    };
                    consumer = stand.consumer("C").unwrap();
                    past = vec![left_of_consumer(&past, oldest, &*consumer)];
                }
            }
            let (_, state, metadata) = past.last().expect("never empty");
            assert_eq!(
                (consumer.state(), consumer.metadata()),
                (state, metadata.as_slice())
            );
        }
    });
}

fn left_of_consumer(
    past: &ConsumerPast,
    durable: Ticket,
    consumer: &dyn ConsumerStore,
) -> (Ticket, ConsumerState, Vec<u8>) {
    let known = past
        .iter()
        .rposition(|(ticket, ..)| *ticket <= durable)
        .unwrap_or(0);
    let mut left = past[known..].iter();
    let found = left
        .find(|(_, state, metadata)| state == consumer.state() && metadata.as_slice() == consumer.metadata());
    let Some((_, state, metadata)) = found else {
        panic!("no state since {durable:?} is {:?}", consumer.state());
    };
    (Ticket(0), state.clone(), metadata.clone())
}

fn settle(stand: &mut Stand, consumer: &mut dyn ConsumerStore) {
    let ticket = consumer.record(&[]).unwrap();
    consumer.commit(ticket).unwrap();
    stand.wait_until(|_| consumer.durable() >= ticket);
}
