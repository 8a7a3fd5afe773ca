//! Histories that end in a crash at any call to the disk: what was acknowledged is there, in order, and nothing that was forgotten is back.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test's helpers may fail as the test does"
)]

mod common;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use dunlin_api::{DiskEffect, MemoryDisk, Rng};
use dunlin_journal::{Rest, Scope};

use self::common::{Store, Stream, options};

const STREAMS: u32 = 4;

/// One step of a history.
fn step(store: &mut Store, streams: &mut [Stream], rng: &mut Rng) -> io::Result<()> {
    let which = rng.below(STREAMS) as usize;
    let stream = &mut streams[which];
    match rng.below(20) {
        0..8 => {
            let count = u64::from(1 + rng.below(3));
            // Some go directly to their block: the whole of it does not fit into a frame.
            let filler = if rng.below(30) == 0 {
                30_000
            } else {
                rng.below(400) as usize
            };
            store.append(stream, count, filler);
        }
        8..10 => store.write_file(stream),
        10..12 => store.consume(stream),
        12 => store.roll(stream)?,
        13 => store.drop_oldest(stream)?,
        14 => store.compact(stream)?,
        15 => store.later(Duration::from_secs(u64::from(rng.below(6)))),
        16 if rng.below(4) == 0 => {
            let (id, life) = (stream.id, stream.life + 1);
            // Whatever comes, nothing of the old life is asked for any more.
            stream.first.store(u64::MAX, Relaxed);
            stream.file_acked = Arc::default();
            stream.consumer_acked = Arc::default();
            if store.forget(stream, Scope::Stream, Rest::Drop) {
                dunlin_api::Disk::remove_dir(&store.disk, &stream.directory())?;
                dunlin_api::Disk::sync_dir(&store.disk, std::path::Path::new("/s"))?;
                *stream = store.create(id, life)?;
            }
        }
        _ => {
            store.turn();
        }
    }
    Ok(())
}

/// Makes streams and a history of `steps`, in which the disk dies after `calls` changing calls. How many calls there were.
fn history(seed: u64, steps: usize, calls: u64) -> u64 {
    let mut rng = Rng::seeded(seed);
    let disk = MemoryDisk::default();
    let mut store = Store::open(&disk, options());
    let mut streams: Vec<Stream> = (0..STREAMS).map(|id| store.create(id, 1).unwrap()).collect();
    let mut made = 0;
    for round in 0..2 {
        let count = Arc::new(AtomicU64::new(0));
        let counted = count.clone();
        disk.on_call(move |call| {
            let before = counted.fetch_add(u64::from(call.operation.changes()), Relaxed);
            match before >= calls {
                true => DiskEffect::Fail(io::ErrorKind::Other),
                false => DiskEffect::Proceed,
            }
        });
        let mut lives: Vec<u64> = streams.iter().map(|stream| stream.life).collect();
        for _ in 0..steps {
            // An error is the disk's death.
            if step(&mut store, &mut streams, &mut rng).is_err() || count.load(Relaxed) > calls {
                break;
            }
            lives = streams.iter().map(|stream| stream.life).collect();
        }
        made = made.max(count.load(Relaxed));
        disk.heal();
        disk.crash_torn(&mut Rng::seeded(seed ^ calls.wrapping_mul(31) ^ round));
        let stamp = store.stamp;
        drop(store);
        store = Store::open(&disk, options());
        store.stamp = stamp;
        assert_eq!(
            store.recovery.set_aside,
            [],
            "seed {seed}, call {calls}, round {round}"
        );
        for (stream, life) in streams.iter_mut().zip(lives) {
            assert_eq!(stream.life, life);
            if stream.first.load(Relaxed) == u64::MAX {
                // It was being deleted: it may be there, or not, or in part. Its next life begins.
                let _ = dunlin_api::Disk::remove_dir(&disk, &stream.directory());
                *stream = store.create(stream.id, life + 1).unwrap();
            } else {
                store.verify(stream);
            }
        }
    }
    made
}

// Issue 5, durability: nothing acknowledged is lost, nothing forgotten comes back, order is kept, at every crash point.
#[tokio::test(start_paused = true)]
async fn replay_restores_what_was_acknowledged_at_every_crash_point() {
    let mut points = 0;
    for seed in 0..6 {
        let calls = history(seed, 70, u64::MAX);
        for call in 0..calls {
            history(seed, 70, call);
            points += 1;
        }
    }
    assert!(points > 500, "{points}");
}

#[tokio::test(start_paused = true)]
async fn long_histories_end_in_order_too() {
    for seed in 1_000..1_004 {
        let calls = history(seed, 1_500, u64::MAX);
        let mut rng = Rng::seeded(seed);
        for _ in 0..4 {
            let at = rng.below(u32::try_from(calls).unwrap());
            history(seed, 1_500, u64::from(at));
        }
    }
}
