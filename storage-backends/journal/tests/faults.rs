//! What the disk, a second process, another server and a careless caller can do to a journal.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test's helpers may fail as the test does"
)]

mod common;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dunlin_api::{Disk as _, DiskEffect, DiskOperation, MemoryDisk, OpenMode};
use dunlin_journal::{Batch, Item, Journal, JournalError, Next, OpenError, Promise, Rest, Scope};

use self::common::{Restorer, Store, Stream, directory, env, options, parse, record};

/// Submits, and gives the place where the answer will be.
fn ask(store: &Store, items: Vec<Item>) -> Answer {
    let answer = Answer::default();
    let told = answer.clone();
    store.submit(items, move |result| *told.0.lock().unwrap() = Some(result));
    answer
}

#[derive(Clone, Default)]
struct Answer(Arc<Mutex<Option<Result<(), JournalError>>>>);

impl Answer {
    fn get(&self) -> Result<(), JournalError> {
        self.0.lock().unwrap().clone().unwrap()
    }

    fn came(&self) -> bool {
        self.0.lock().unwrap().is_some()
    }
}

/// Fails every call of a kind on files whose path contains `part`.
fn fail(disk: &MemoryDisk, operation: DiskOperation, part: &'static str, kind: io::ErrorKind) {
    disk.on_call(move |call| {
        match call.operation == operation && call.path.to_str().unwrap().contains(part) {
            true => DiskEffect::Fail(kind),
            false => DiskEffect::Proceed,
        }
    });
}

/// How many calls of a kind there are on paths that contain `part`.
fn count(disk: &MemoryDisk, operation: DiskOperation, part: &'static str) -> Arc<AtomicU64> {
    let counted = Arc::new(AtomicU64::new(0));
    let counter = counted.clone();
    disk.on_call(move |call| {
        let hit = call.operation == operation && call.path.to_str().unwrap().contains(part);
        counter.fetch_add(u64::from(hit), Relaxed);
        DiskEffect::Proceed
    });
    counted
}

fn store_with(count: u32) -> (MemoryDisk, Store, Vec<Stream>) {
    let disk = MemoryDisk::default();
    let mut store = Store::open(&disk, options());
    let streams = (0..count).map(|id| store.create(id, 1).unwrap()).collect();
    (disk, store, streams)
}

fn reopen(disk: &MemoryDisk, store: Store) -> Store {
    let stamp = store.stamp;
    disk.heal();
    disk.crash();
    drop(store);
    let mut store = Store::open(disk, options());
    store.stamp = stamp;
    store
}

/// Undoes what a failed batch would have added, as a store does that opens its stream anew.
fn give_up(stream: &mut Stream, end: dunlin_journal::BlockEnd, next: u64) {
    stream.stamps.retain(|sequence, _| *sequence < next);
    stream.blocks.retain(|sequence, _| *sequence < next);
    (stream.end, stream.next) = (end, next);
}

#[tokio::test(start_paused = true)]
async fn a_batch_whose_sync_failed_fails_and_never_comes_back() {
    let (disk, mut store, mut streams) = store_with(2);
    store.append(&mut streams[0], 2, 10);
    store.settle();
    assert_eq!(streams[0].acked.load(Relaxed), 2);
    let (end, next) = (streams[0].end, streams[0].next);
    fail(&disk, DiskOperation::Sync, "/journal/", io::ErrorKind::Other);
    let item = store.append_item(&mut streams[0], 1, 10);
    let answer = ask(&store, vec![item]);
    store.turn();
    assert!(
        matches!(answer.get(), Err(JournalError::Io { .. })),
        "{answer:?}",
        answer = answer.get()
    );
    disk.heal();
    // Other bytes in the same place, and another stream: both go on, in a new segment.
    give_up(&mut streams[0], end, next);
    store.append(&mut streams[0], 1, 20);
    store.append(&mut streams[1], 1, 20);
    store.settle();
    assert_eq!(
        (streams[0].acked.load(Relaxed), streams[1].acked.load(Relaxed)),
        (3, 1)
    );
    let mut store = reopen(&disk, store);
    assert_eq!(store.recovery.set_aside, []);
    streams.iter_mut().for_each(|stream| store.verify(stream));
}

// The frame may be on the medium although its sync failed. What is acknowledged later in its place did not go through the journal.
#[tokio::test(start_paused = true)]
async fn a_frame_that_failed_is_void_before_anything_else_is_acknowledged() {
    for seed in 0..40 {
        let (disk, mut store, mut streams) = store_with(1);
        store.append(&mut streams[0], 2, 10);
        store.settle();
        let (end, next) = (streams[0].end, streams[0].next);
        fail(&disk, DiskOperation::Sync, "/journal/", io::ErrorKind::Other);
        store.append(&mut streams[0], 1, 10);
        store.turn();
        disk.heal();
        give_up(&mut streams[0], end, next);
        store.append(&mut streams[0], 3, 30_000);
        store.turn();
        assert_eq!(streams[0].acked.load(Relaxed), 5);
        disk.crash_torn(&mut dunlin_api::Rng::seeded(seed));
        drop(store);
        let mut store = Store::open(&disk, options());
        assert_eq!(store.recovery.set_aside, [], "seed {seed}");
        store.verify(&mut streams[0]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_full_disk_fails_cleanly_and_the_journal_goes_on_when_there_is_space() {
    let (disk, mut store, mut streams) = store_with(1);
    store.append(&mut streams[0], 1, 10);
    store.settle();
    disk.set_capacity(Some(disk.used()));
    let mut failed = 0;
    for _ in 0..40 {
        let (end, next) = (streams[0].end, streams[0].next);
        let item = store.append_item(&mut streams[0], 10, 300);
        let answer = ask(&store, vec![item]);
        store.settle();
        match answer.get() {
            Ok(()) => streams[0].acked.store(streams[0].next - 1, Relaxed),
            Err(JournalError::Full { path }) => {
                assert_eq!(path, Path::new("/journal"));
                give_up(&mut streams[0], end, next);
                failed += 1;
            }
            Err(other) => panic!("{other}"),
        }
    }
    assert!(failed > 0);
    disk.set_capacity(None);
    store.append(&mut streams[0], 1, 10);
    store.settle();
    let last = streams[0].next - 1;
    assert_eq!(streams[0].acked.load(Relaxed), last);
    let mut store = reopen(&disk, store);
    store.verify(&mut streams[0]);
    assert_eq!(streams[0].next - 1, last);
}

#[tokio::test(start_paused = true)]
async fn bytes_that_found_no_space_are_written_when_there_is_some() {
    let (disk, mut store, mut streams) = store_with(1);
    fail(&disk, DiskOperation::Write, ".blk", io::ErrorKind::StorageFull);
    store.append(&mut streams[0], 3, 10);
    store.settle();
    assert_eq!(streams[0].acked.load(Relaxed), 3, "the journal has them");
    assert_eq!(streams[0].target.failures.load(Relaxed), 0);
    disk.heal();
    store.later(Duration::from_secs(2));
    store.settle();
    assert_eq!(
        disk.read(Path::new("/s/0/1.blk")).unwrap().len() as u64,
        streams[0].end.length
    );
}

#[tokio::test(start_paused = true)]
async fn a_stream_whose_sync_failed_is_told_and_opened_anew_while_others_go_on() {
    let (disk, mut store, mut streams) = store_with(2);
    store.append(&mut streams[0], 5, 100);
    store.settle();
    fail(&disk, DiskOperation::Sync, "/s/0/", io::ErrorKind::Other);
    store.later(Duration::from_secs(6));
    store.settle();
    assert_eq!(streams[0].target.failures.load(Relaxed), 1);
    disk.heal();
    // The pages that look clean are gone; what was acknowledged is in the journal alone.
    disk.drop_caches();
    assert_eq!(disk.read(Path::new("/s/0/1.blk")).unwrap(), b"");
    let (end, next) = (streams[0].end, streams[0].next);
    let item = store.append_item(&mut streams[0], 1, 10);
    let answer = ask(&store, vec![item]);
    store.settle();
    assert!(matches!(answer.get(), Err(JournalError::Failed { .. })));
    give_up(&mut streams[0], end, next);
    // Many segments' worth of the other stream.
    for _ in 0..400 {
        store.append(&mut streams[1], 4, 300);
        store.settle();
    }
    assert_eq!(streams[1].acked.load(Relaxed), 1_600);
    let segments = disk.list(Path::new("/journal")).unwrap().len();
    assert!(segments <= 9, "{segments} files stay for one stream");

    let answer = Answer::default();
    let told = answer.clone();
    store.journal.reopen(
        streams[0].incarnation(),
        Box::new(Restorer::new(&disk)),
        Box::new(move |result| *told.0.lock().unwrap() = Some(result)),
    );
    store.settle();
    answer.get().unwrap();
    disk.drop_caches();
    assert_eq!(
        disk.read(Path::new("/s/0/1.blk")).unwrap().len() as u64,
        end.length
    );
    streams[0].target = common::Block::open(&disk, Path::new("/s/0/1.blk")).unwrap();
    store.append(&mut streams[0], 1, 10);
    store.settle();
    let mut store = reopen(&disk, store);
    streams.iter_mut().for_each(|stream| store.verify(stream));
    assert_eq!((streams[0].next, streams[1].next), (7, 1_601));
}

#[tokio::test(start_paused = true)]
async fn what_a_failed_stream_was_promised_is_replayed_at_the_next_start() {
    let (disk, mut store, mut streams) = store_with(2);
    store.append(&mut streams[0], 5, 100);
    store.settle();
    fail(&disk, DiskOperation::Sync, "/s/0/", io::ErrorKind::Other);
    store.later(Duration::from_secs(6));
    store.settle();
    for _ in 0..400 {
        store.append(&mut streams[1], 4, 300);
        store.settle();
    }
    let mut store = reopen(&disk, store);
    streams.iter_mut().for_each(|stream| store.verify(stream));
    assert_eq!((streams[0].next, streams[1].next), (6, 1_601));
}

#[tokio::test(start_paused = true)]
async fn a_second_process_is_refused() {
    let (disk, store, _) = store_with(0);
    let again = Journal::open(&env(&disk), options(), &mut Restorer::new(&disk));
    let Err(error @ OpenError::InUse { .. }) = again else {
        panic!()
    };
    let text = "/journal is in use by another process: stop it, or choose another store directory";
    assert_eq!(error.to_string(), text);
    drop(store);
    Store::open(&disk, options());
}

#[tokio::test(start_paused = true)]
async fn a_newer_format_is_refused_and_left_alone() {
    let (disk, mut store, mut streams) = store_with(1);
    store.append(&mut streams[0], 1, 10);
    store.settle();
    drop(store);
    let path = Path::new("/journal/1.journal");
    disk.open(path, OpenMode::ReadWrite)
        .unwrap()
        .write_at(&[2], 8)
        .unwrap();
    let before = disk.read(path).unwrap();
    let Err(error) = Journal::open(&env(&disk), options(), &mut Restorer::new(&disk)) else {
        panic!()
    };
    assert_eq!(
        error.to_string(),
        "/journal/1.journal was written by a newer Dunlin (journal format 2, this one knows 1): start and stop that one once, which empties it"
    );
    assert_eq!(disk.read(path).unwrap(), before);
}

/// Ten frames of one stream and a crash before any of them reached its block.
fn ten_frames() -> (MemoryDisk, Store, Vec<Stream>) {
    let (disk, mut store, mut streams) = store_with(1);
    for _ in 0..10 {
        store.append(&mut streams[0], 1, 10);
        store.turn();
    }
    disk.crash();
    (disk, store, streams)
}

fn sequences(disk: &MemoryDisk, path: &str) -> Vec<u64> {
    let bytes = disk.read(Path::new(path)).unwrap_or_default();
    let (mut rest, mut found) = (&bytes[..], Vec::new());
    while let Some((length, sequence, _)) = parse(rest) {
        found.push(sequence);
        rest = &rest[length..];
    }
    found
}

#[tokio::test(start_paused = true)]
async fn a_damaged_frame_ends_the_replay_of_its_segment_and_is_reported() {
    let (disk, store, _) = ten_frames();
    drop(store);
    // Header, then a block for each frame: the fifth frame.
    disk.flip(Path::new("/journal/1.journal"), (5 * 4096 + 60) * 8)
        .unwrap();
    let store = Store::open(&disk, options());
    assert_eq!(store.recovery.applied, 4);
    let [aside] = &store.recovery.set_aside[..] else {
        panic!()
    };
    assert_eq!(aside.reasons, ["frames 5 to 5 are damaged"]);
    assert_eq!(
        disk.read(&aside.path).unwrap().len(),
        64 << 10,
        "kept, for whoever can do more"
    );
    assert_eq!(sequences(&disk, "/s/0/1.blk"), [1, 2, 3, 4]);
}

#[tokio::test(start_paused = true)]
async fn damage_in_what_is_checkpointed_costs_nothing() {
    let (disk, mut store, mut streams) = store_with(1);
    for _ in 0..5 {
        store.append(&mut streams[0], 1, 10);
        store.turn();
    }
    store.later(Duration::from_secs(6));
    store.settle();
    store.append(&mut streams[0], 1, 10);
    store.turn();
    disk.flip(Path::new("/journal/1.journal"), (3 * 4096 + 60) * 8)
        .unwrap();
    let mut store = reopen(&disk, store);
    assert_eq!(store.recovery.set_aside, []);
    store.verify(&mut streams[0]);
    assert_eq!(streams[0].next, 7);
}

#[tokio::test(start_paused = true)]
async fn a_frame_that_the_crash_cut_is_no_damage() {
    let (disk, store, _) = ten_frames();
    drop(store);
    disk.flip(Path::new("/journal/1.journal"), (10 * 4096 + 60) * 8)
        .unwrap();
    let store = Store::open(&disk, options());
    assert_eq!(
        (store.recovery.applied, &store.recovery.set_aside[..]),
        (9, &[][..])
    );
}

// Issue 5, back and forth after a crash: nothing that another server acknowledged is overwritten.
#[tokio::test(start_paused = true)]
async fn what_another_server_wrote_after_a_crash_is_not_overwritten() {
    let (disk, mut store, mut streams) = store_with(2);
    store.append(&mut streams[0], 2, 10);
    store.settle();
    store.later(Duration::from_secs(6));
    store.settle();
    store.append(&mut streams[0], 1, 10);
    store.append(&mut streams[0], 1, 10);
    store.append(&mut streams[1], 3, 10);
    store.turn();
    disk.crash();
    drop(store);
    // It sees two records, and appends one that is longer than ours.
    let file = disk.open(Path::new("/s/0/1.blk"), OpenMode::ReadWrite).unwrap();
    let theirs = record(0, 3, 999, 500);
    file.write_at(&theirs, file.len().unwrap()).unwrap();
    file.sync().unwrap();
    let mut store = Store::open(&disk, options());
    assert_eq!(sequences(&disk, "/s/0/1.blk"), [1, 2, 3]);
    assert!(disk.read(Path::new("/s/0/1.blk")).unwrap().ends_with(&theirs));
    let [aside] = &store.recovery.set_aside[..] else {
        panic!()
    };
    assert_eq!(aside.path, PathBuf::from("/journal/1.journal.aside-1"));
    assert_eq!(
        aside.reasons,
        ["\"0@1\", block 1, 42 bytes at 84: another record is in its place"]
    );
    store.verify(&mut streams[1]);
    assert_eq!(streams[1].next, 4, "the other stream has what it was promised");
    // The segment is not asked again.
    drop(store);
    assert_eq!(Store::open(&disk, options()).recovery.set_aside, []);
}

#[tokio::test(start_paused = true)]
async fn a_clean_stop_leaves_nothing_in_the_journal() {
    let (disk, mut store, mut streams) = store_with(3);
    for _ in 0..30 {
        for stream in &mut streams {
            store.append(stream, 3, 200);
            store.consume(stream);
            store.write_file(stream);
        }
        store.turn();
    }
    let closed = Answer::default();
    let told = closed.clone();
    store
        .journal
        .close(Box::new(move |result| *told.0.lock().unwrap() = Some(result)));
    while store.turn() != Next::Closed {}
    closed.get().unwrap();
    assert_eq!(
        disk.list(Path::new("/journal")).unwrap(),
        [Path::new("/journal/lock")]
    );
    let late = ask(&store, Vec::new());
    assert!(matches!(late.get(), Err(JournalError::Closed)));
    let mut store = reopen(&disk, store);
    assert_eq!(store.recovery, dunlin_journal::Recovery::default());
    streams.iter_mut().for_each(|stream| store.verify(stream));
    assert!(streams.iter().all(|stream| stream.next == 91));
}

#[tokio::test(start_paused = true)]
async fn after_an_erase_no_file_of_the_journal_holds_a_copy() {
    let (disk, mut store, mut streams) = store_with(2);
    let secret = b"the secret that must go";
    let copies = |disk: &MemoryDisk| {
        let files = disk.list(Path::new("/journal")).unwrap();
        let holds = |path: &PathBuf| {
            let bytes = disk.read(path).unwrap();
            bytes.windows(secret.len()).any(|window| window == secret)
        };
        files.iter().filter(|path| holds(path)).count()
    };
    let mut bytes = record(0, 1, 1, 0);
    bytes.extend_from_slice(secret);
    for batches in [40, 12, 5] {
        // In a segment that is overwritten meanwhile, in one that is free, and in the current one.
        let item = Item::Block {
            stream: streams[0].incarnation(),
            block: 9,
            offset: 0,
            before: dunlin_journal::BlockEnd::default(),
            bytes: Arc::new(bytes.clone()),
            target: streams[0].target.clone(),
        };
        ask(&store, vec![item]);
        for _ in 0..batches {
            store.append(&mut streams[1], 5, 300);
            store.settle();
        }
    }
    assert!(copies(&disk) > 0);
    let erased = Answer::default();
    let told = erased.clone();
    store
        .journal
        .erase(Box::new(move |result| *told.0.lock().unwrap() = Some(result)));
    while !erased.came() {
        store.turn();
        // Others go on meanwhile.
        store.append(&mut streams[1], 1, 10);
    }
    erased.get().unwrap();
    assert_eq!(copies(&disk), 0);
    store.settle();
    let last = streams[1].next;
    let mut store = reopen(&disk, store);
    assert_eq!(copies(&disk), 0, "nor on the medium");
    store.verify(&mut streams[1]);
    assert_eq!(streams[1].next, last);
}

#[tokio::test(start_paused = true)]
async fn a_lazy_batch_is_written_at_once_and_synced_at_the_interval() {
    let (disk, mut store, mut streams) = store_with(1);
    let journaled = count(&disk, DiskOperation::Write, "/journal/");
    let item = store.append_item(&mut streams[0], 1, 10);
    let answer = Answer::default();
    let told = answer.clone();
    store.journal.submit(Batch {
        items: vec![item],
        promise: Promise::Written,
        done: Box::new(move |result| *told.0.lock().unwrap() = Some(result)),
    });
    store.settle();
    answer.get().unwrap();
    assert_eq!(streams[0].target.writes.load(Relaxed), 1);
    assert_eq!(journaled.load(Relaxed), 0);
    let synced = count(&disk, DiskOperation::Sync, ".blk");
    store.later(Duration::from_secs(119));
    store.settle();
    assert_eq!(synced.load(Relaxed), 0);
    store.later(Duration::from_secs(2));
    store.settle();
    assert_eq!(synced.load(Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn large_batches_go_to_their_blocks_alone() {
    let disk = MemoryDisk::default();
    let mut store = Store::open(&disk, dunlin_journal::Options::new("/journal"));
    let mut stream = store.create(0, 1).unwrap();
    let journaled = count(&disk, DiskOperation::Write, "/journal/");
    store.append(&mut stream, 80, 8 << 10);
    store.turn();
    assert_eq!((stream.acked.load(Relaxed), journaled.load(Relaxed)), (80, 0));
    disk.crash();
    drop(store);
    assert_eq!(sequences(&disk, "/s/0/1.blk").len(), 80);
}

#[tokio::test(start_paused = true)]
async fn all_that_queues_during_a_sync_shares_the_next() {
    let (disk, mut store, mut streams) = store_with(50);
    for stream in &mut streams {
        store.append(stream, 1, 10);
    }
    let synced = count(&disk, DiskOperation::Sync, "/journal/");
    store.turn();
    assert_eq!(synced.load(Relaxed), 1);
    assert!(streams.iter().all(|stream| stream.acked.load(Relaxed) == 1));
    // More than a few targets are written a little later, together with what comes until then.
    assert!(
        streams
            .iter()
            .all(|stream| stream.target.writes.load(Relaxed) == 0)
    );
    store.later(Duration::from_millis(100));
    store.turn();
    assert!(
        streams
            .iter()
            .all(|stream| stream.target.writes.load(Relaxed) == 1)
    );
}

#[tokio::test(start_paused = true)]
async fn on_threads_of_its_own_it_does_the_same() {
    let disk = MemoryDisk::default();
    let mut store = Store::open(&disk, options());
    let mut stream = store.create(0, 1).unwrap();
    let item = store.append_item(&mut stream, 3, 10);
    let (told, answer) = tokio::sync::oneshot::channel();
    store.submit(vec![item], move |result| told.send(result).unwrap());
    let (journal, task) = (store.journal.clone(), store.writer.start().unwrap());
    answer.await.unwrap().unwrap();
    let block = Path::new("/s/0/1.blk");
    // Time passes for whoever waits: the checkpoint comes by itself.
    tokio::time::sleep(Duration::from_secs(10)).await;
    disk.drop_caches();
    assert_eq!(sequences(&disk, "/s/0/1.blk"), [1, 2, 3], "{block:?}");
    let (told, answer) = tokio::sync::oneshot::channel();
    journal.close(Box::new(move |result| told.send(result).unwrap()));
    answer.await.unwrap().unwrap();
    assert!(task.join().await);
    assert_eq!(disk.list(Path::new("/journal")).unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_panic_of_whoever_waits_ends_nothing() {
    let (_, mut store, mut streams) = store_with(1);
    let item = store.append_item(&mut streams[0], 1, 10);
    store.submit(vec![item], |_| panic!("careless"));
    store.append(&mut streams[0], 1, 10);
    store.settle();
    assert_eq!(streams[0].acked.load(Relaxed), 2);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_written_to_what_was_dropped() {
    let (_, mut store, mut streams) = store_with(20);
    for stream in &mut streams {
        store.append(stream, 1, 10);
    }
    store.turn();
    assert!(store.forget(&streams[3], Scope::Stream, Rest::Drop));
    store.later(Duration::from_secs(6));
    store.settle();
    assert_eq!(streams[3].target.writes.load(Relaxed), 0);
    assert_eq!(streams[4].target.writes.load(Relaxed), 1);
    assert_eq!(directory(3), Path::new("/s/3"));
}

#[test]
fn two_processes_on_a_real_disk() {
    let directory = tempfile::tempdir().unwrap();
    let disk = dunlin_api::SystemDisk;
    let path = directory.path().join("lock");
    let first = disk.open(&path, OpenMode::ReadWrite).unwrap();
    first.lock().unwrap();
    let second = disk.open(&path, OpenMode::ReadWrite).unwrap();
    assert_eq!(second.lock().unwrap_err().kind(), io::ErrorKind::WouldBlock);
}
