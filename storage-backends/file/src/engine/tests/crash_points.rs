//! The plug is pulled at any call to the disk, on the way of a commit, a checkpoint, a close, or of a recovery before. What
//! was not synced is there in part, as a disk may leave it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use dunlin_api::{AccountName, DiskEffect, Rng, StorageType, StreamId, StreamOptions, StreamStore, Ticket};
use dunlin_store_conformance::Harness;
use dunlin_store_conformance::model::{Model, Step, any_step};
use parking_lot::Mutex;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngSeed, TestRunner};

use super::Simulated;

/// A disk that dies at a call.
struct Plug {
    simulated: Simulated,
    /// Changing calls until it dies; 0 where it did.
    left: Arc<AtomicU64>,
    rng: Arc<Mutex<Rng>>,
}

impl Plug {
    fn new(seed: u64) -> Self {
        Self {
            simulated: Simulated::on_empty_disk(),
            left: Arc::default(),
            rng: Arc::new(Mutex::new(Rng::seeded(seed))),
        }
    }

    fn below(&self, bound: u32) -> u32 {
        self.rng.lock().below(bound)
    }

    /// Lets the disk die after some more calls.
    fn arm(&self, calls: u32) {
        self.left.store(u64::from(calls), Relaxed);
        let (disk, left, rng) = (self.simulated.disk.clone(), self.left.clone(), self.rng.clone());
        self.simulated.disk.on_call(move |call| {
            if !call.operation.changes() {
                return DiskEffect::Proceed;
            }
            match left.load(Relaxed) {
                0 => DiskEffect::Fail(std::io::ErrorKind::Other),
                1 => {
                    left.store(0, Relaxed);
                    disk.crash_torn(&mut rng.lock());
                    DiskEffect::Fail(std::io::ErrorKind::Other)
                }
                more => {
                    left.store(more - 1, Relaxed);
                    DiskEffect::Proceed
                }
            }
        });
    }

    fn is_dead(&self) -> bool {
        self.left.load(Relaxed) == 0
    }

    /// Opens again after a crash, which may come once more on the way.
    fn revive(&mut self) {
        self.simulated.backend = None;
        if !self.is_dead() {
            self.simulated.disk.crash_torn(&mut self.rng.lock());
        }
        while self.below(3) == 0 {
            let calls = 1 + self.below(40);
            self.arm(calls);
            let opened = self.simulated.try_open();
            let stream = opened.map(|()| self.stream());
            drop(stream);
            self.simulated.backend = None;
            if !self.is_dead() {
                self.simulated.disk.crash_torn(&mut self.rng.lock());
            }
        }
        self.simulated.disk.heal();
        self.simulated.try_open().unwrap();
    }

    fn stream(&self) -> Option<Box<dyn StreamStore>> {
        let id = StreamId::new(AccountName::global(), "S").unwrap();
        let mut options = StreamOptions::new(StorageType::File, Arc::new(()));
        options.shape.block_size = Some(2_000);
        self.simulated.backend().stream(&id, options).ok()
    }
}

/// The states that a stream has had, each with the ticket that names it.
type Past = Vec<(Ticket, Model)>;

/// One life: a history until the disk dies, and what is left of it.
fn live(plug: &mut Plug, runner: &mut TestRunner, past: &mut Past, seed: u64) {
    let calls = 1 + plug.below(400);
    plug.arm(calls);
    let Some(mut stream) = plug.stream() else {
        plug.revive();
        return;
    };
    let mut durable = Ticket(0);
    for _ in 0..60 {
        if plug.is_dead() {
            break;
        }
        match plug.below(12) {
            0 => drop(stream.commit(stream.staged())),
            1 | 2 => drop(
                plug.simulated
                    .backend
                    .as_ref()
                    .map(super::super::FileBackend::turn),
            ),
            3 if plug.below(8) == 0 => {
                let all = stream.staged();
                if stream.close().is_ok() {
                    durable = all;
                }
                plug.revive();
                check(plug, past, durable, seed);
                return;
            }
            _ => {
                let mut model = past.last().expect("never empty").1.clone();
                let step = any_step().new_tree(runner).unwrap().current();
                // Timers have a rule of their own; see the suite.
                if matches!(step, Step::Timer(..)) {
                    continue;
                }
                let step = step.placed(model.last());
                // A change may have to read, and find the disk dead.
                let run = catch_unwind(AssertUnwindSafe(|| step.run(&mut *stream)));
                if let Err(panic) = run {
                    assert!(plug.is_dead(), "seed {seed}: {panic:?}");
                    break;
                }
                let ticket = stream.staged();
                let mut states = Vec::new();
                model.run_slowly(&step, &mut |state| states.push(state.clone()));
                assert_eq!(stream.damage(), [], "seed {seed}: {step:?}");
                assert_eq!(
                    stream.state(),
                    model.state(StorageType::File),
                    "seed {seed}: {step:?}"
                );
                past.extend(states.into_iter().map(|state| (ticket, state)));
            }
        }
        durable = durable.max(stream.durable());
    }
    drop(stream);
    plug.revive();
    check(plug, past, durable, seed);
}

/// A crash keeps every change that was durable, and of the later ones those up to some point.
fn check(plug: &mut Plug, past: &mut Past, durable: Ticket, seed: u64) {
    let stream = plug.stream().expect("a healthy disk");
    let possible = past.iter().enumerate().filter(|(at, _)| {
        let next = past.get(at + 1);
        next.is_none_or(|(ticket, _)| *ticket > durable)
    });
    let mut held = possible
        .map(|(_, (_, model))| model)
        .filter(|model| model.is_held_by(&*stream));
    let Some(model) = held.next().cloned() else {
        let known: Vec<_> = past
            .iter()
            .filter(|(ticket, _)| *ticket >= durable)
            .map(|(ticket, model)| (ticket.0, model.state(StorageType::File)))
            .collect();
        panic!(
            "seed {seed}: {:?} of {:?} is no state since {durable:?}: {known:#?}",
            stream.state(),
            (0..=stream.state().last)
                .filter(|at| stream.at_or_after(*at) == Some(*at))
                .collect::<Vec<_>>(),
        );
    };
    model.check(&*stream);
    assert_eq!(stream.damage(), [], "seed {seed}");
    *past = vec![(Ticket(0), model)];
}

// STORE-148, STORE-151, STORE-152, STORE-159
#[test]
fn a_crash_at_any_call_leaves_what_was_durable_and_a_state_that_was() {
    let seeds = std::env::var("CRASH_POINTS")
        .ok()
        .and_then(|seeds| seeds.parse().ok());
    let first = std::env::var("CRASH_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok())
        .unwrap_or(0);
    for seed in first..first + seeds.unwrap_or(60_u64) {
        let mut plug = Plug::new(seed);
        plug.simulated.try_open().unwrap();
        let mut runner = TestRunner::new(Config {
            rng_seed: RngSeed::Fixed(seed),
            ..Config::default()
        });
        let mut past: Past = vec![(Ticket(0), Model::default())];
        for _ in 0..4 {
            live(&mut plug, &mut runner, &mut past, seed);
        }
    }
}
