//! What the blocks of the file store cost: encoding records, and reading a stream without its index.
//!
//! The stream is written once, below the directory that `BENCH_DIR` names, and laid out as the reference does: nats-server opens
//! it too, and tells in its log how long that takes.

use std::hint::black_box;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use dunlin_api::{Disk, Env, EnvParts, Logger, OpenMode, SeededRandom, Shards, SystemClock, SystemDisk};
use dunlin_file_store::layout::MessagesDir;
use dunlin_file_store::record::{Record, RecordError, RecordKey, RecordKind};
use dunlin_file_store::recovery::{BlockOwner, Recovered, Request, recover};
use dunlin_file_store::small;
use dunlin_net::sim::SimWorld;

/// Name and value.
pub(crate) type Figure = (String, String);

/// What can be measured.
pub(crate) const WORKS: [&str; 2] = ["encode", "recover"];

const STREAM: &str = "BENCH";
const MESSAGES: u64 = 10_000_000;
const BLOCK: usize = 8 << 20;
const SUBJECT: &[u8] = b"bench.subject";

/// Runs one of [`WORKS`].
pub(crate) fn run(work: &str) -> io::Result<Vec<Figure>> {
    match work {
        "encode" => Ok(encode()),
        _ => measure_recovery(),
    }
}

fn message(sequence: u64, payload: &[u8]) -> Record<'_> {
    Record {
        kind: RecordKind::Message,
        sequence,
        time: 1_700_000_000_000_000_000 + sequence as i64,
        subject: SUBJECT,
        headers: b"",
        payload,
    }
}

/// Encoding and hashing records into memory that is in the processor's cache.
fn encode() -> Vec<Figure> {
    let key = RecordKey::new(STREAM, 1);
    let one = |size: usize| {
        let payload = vec![7; size];
        let mut out = Vec::with_capacity(1 << 20);
        let count = 2_000.min(out.capacity() / message(1, &payload).length()) as u32;
        let mut best = Duration::MAX;
        for _ in 0..300 {
            out.clear();
            let began = Instant::now();
            for sequence in 0..u64::from(count) {
                let _ = black_box(black_box(message(sequence, &payload)).encode(&key, &mut out));
            }
            best = best.min(began.elapsed() / count);
        }
        (format!("{size} B"), format!("{} ns a record", best.as_nanos()))
    };
    [0, 128, 1_024, 8_192].map(one).into()
}

fn measure_recovery() -> io::Result<Vec<Figure>> {
    let root =
        std::env::var_os("BENCH_DIR").map_or_else(|| PathBuf::from("target/bench-blocks"), PathBuf::from);
    let stream = root.join("jetstream/$G/streams").join(STREAM);
    if SystemDisk.read(&stream.join("meta.inf")).is_err() {
        write(&SystemDisk, &stream, MESSAGES)?;
    }
    let owner = BlockOwner {
        directory: MessagesDir::found(stream.join("msgs")),
        stream: STREAM.to_owned(),
        keys: None,
    };
    let cores = std::thread::available_parallelism()?.get();
    let mut figures = Vec::new();
    for threads in [1, cores] {
        let began = Instant::now();
        let found = read(&owner, threads)?;
        let took = began.elapsed().as_secs_f64();
        let name = format!("{} messages of 128 B, {threads} threads", found.state.messages);
        figures.push((name, format!("{took:.2} s")));
    }
    Ok(figures)
}

fn read(owner: &BlockOwner, threads: usize) -> io::Result<Recovered> {
    let env = Env::new(EnvParts {
        clock: Box::new(SystemClock),
        random: Box::new(SeededRandom::new(1)),
        network: Box::new(SimWorld::new(1).host([127, 0, 0, 1].into())),
        disk: Box::new(SystemDisk),
        execution: Box::new(Shards::start(1)?),
        logger: Logger::silent(),
    });
    let request = Request {
        owner: owner.clone(),
        track_subjects: true,
        threads,
        progress: Box::new(|_| ()),
    };
    recover(&env, request)
}

fn write(disk: &dyn Disk, stream: &Path, messages: u64) -> io::Result<()> {
    let directory = MessagesDir::found(stream.join("msgs"));
    disk.create_dir(directory.path())?;
    disk.create_dir(&stream.join("obs"))?;
    let mut payload = [0_u8; 128];
    let (mut block, mut key, mut out) = (1, RecordKey::new(STREAM, 1), Vec::with_capacity(BLOCK));
    for sequence in 1..=messages {
        for (at, byte) in payload.iter_mut().enumerate() {
            *byte = (sequence.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (at % 57)) as u8;
        }
        let record = message(sequence, &payload);
        if out.len() + record.length() > BLOCK {
            new_file(disk, &directory.block(block), &out)?;
            out.clear();
            block += 1;
            key = RecordKey::new(STREAM, block);
        }
        record
            .encode(&key, &mut out)
            .map_err(|error: RecordError| io::Error::other(error))?;
    }
    new_file(disk, &directory.block(block), &out)?;
    let meta = format!(
        "{{\"Created\":\"2026-01-01T00:00:00Z\",\"name\":\"{STREAM}\",\"subjects\":[\"bench.>\"],\"retention\":\"limits\",\
         \"max_consumers\":-1,\"max_msgs\":-1,\"max_bytes\":-1,\"max_age\":0,\"max_msgs_per_subject\":-1,\
         \"max_msg_size\":-1,\"discard\":\"old\",\"storage\":\"file\",\"num_replicas\":1}}"
    );
    let sum = small::meta_sum(STREAM, meta.as_bytes());
    new_file(disk, &stream.join("meta.sum"), sum.as_bytes())?;
    new_file(disk, &stream.join("meta.inf"), meta.as_bytes())
}

fn new_file(disk: &dyn Disk, path: &Path, bytes: &[u8]) -> io::Result<()> {
    disk.open(path, OpenMode::ReadWrite)?.write_at(bytes, 0)
}
