//! What blocks cost on this machine: `cargo run --release -p dunlin-file-store --example blocks -- DIR [MILLIONS]`.
//!
//! Writes a stream of that many million messages of 128 bytes below DIR, as the reference lays it out, unless it is there;
//! then reads it without an index, with one thread and with all. A directory made here opens in nats-server as well,
//! which tells in its log how long it takes.
#![allow(clippy::print_stdout, reason = "a tool on the real machine")]

use std::error::Error;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::time::Duration;

use dunlin_api::{Disk, Env, EnvParts, Logger, OpenMode, SeededRandom, Shards, SystemClock, SystemDisk};
use dunlin_file_store::layout::MessagesDir;
use dunlin_file_store::record::{Record, RecordKey, RecordKind};
use dunlin_file_store::recovery::{BlockOwner, Recovered, Request, recover};
use dunlin_file_store::small;
use dunlin_net::sim::SimWorld;

const STREAM: &str = "BENCH";
const BLOCK: usize = 8 << 20;
const SUBJECT: &[u8] = b"bench.subject";

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let root = PathBuf::from(args.next().ok_or("usage: blocks DIR [MILLIONS]")?);
    let millions: u64 = args.next().map_or(Ok(10), |count| count.parse())?;
    let env = env()?;
    encode(&env);
    let stream = root.join("jetstream/$G/streams").join(STREAM);
    if env.disk().read(&stream.join("meta.inf")).is_err() {
        write(env.disk(), &stream, millions * 1_000_000)?;
    }
    let owner = BlockOwner {
        directory: MessagesDir::found(stream.join("msgs")),
        stream: STREAM.to_owned(),
        keys: None,
    };
    let cores = std::thread::available_parallelism()?.get();
    for threads in [1, cores, 1, cores] {
        let began = env.now();
        let found = read(&env, &owner, threads)?;
        let took = env.now().duration_since(began);
        println!(
            "recover: {} messages, {} blocks, {threads} threads: {:.2} s, {:.0} ns a message",
            found.state.messages,
            found.blocks.len(),
            took.as_secs_f64(),
            took.as_nanos() as f64 / found.state.messages as f64,
        );
    }
    Ok(())
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

/// Encoding and hashing records into a buffer that is in the cache.
fn encode(env: &Env) {
    let key = RecordKey::new(STREAM, 1);
    for size in [0, 128, 1_024, 8_192] {
        let payload = vec![7; size];
        let mut out = Vec::with_capacity(1 << 20);
        let mut best = Duration::MAX;
        let rounds = 2_000;
        for _ in 0..300 {
            out.clear();
            let count = rounds.min(out.capacity() / message(1, &payload).length()) as u32;
            let began = env.now();
            for sequence in 0..u64::from(count) {
                let _ = black_box(black_box(message(sequence, &payload)).encode(&key, &mut out));
            }
            best = best.min(env.now().duration_since(began) / count);
        }
        println!("encode: {size} bytes: {} ns a record", best.as_nanos());
    }
}

fn env() -> Result<Env, Box<dyn Error>> {
    Ok(Env::new(EnvParts {
        clock: Box::new(SystemClock),
        random: Box::new(SeededRandom::new(1)),
        network: Box::new(SimWorld::new(1).host([127, 0, 0, 1].into())),
        disk: Box::new(SystemDisk),
        execution: Box::new(Shards::start(1)?),
        logger: Logger::silent(),
    }))
}

fn read(env: &Env, owner: &BlockOwner, threads: usize) -> Result<Recovered, Box<dyn Error>> {
    let request = Request {
        owner: owner.clone(),
        track_subjects: true,
        threads,
        progress: Box::new(|_| ()),
    };
    Ok(recover(env, request)?)
}

fn write(disk: &dyn Disk, stream: &Path, messages: u64) -> Result<(), Box<dyn Error>> {
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
        record.encode(&key, &mut out)?;
    }
    new_file(disk, &directory.block(block), &out)?;
    let meta = format!(
        "{{\"Created\":\"2026-01-01T00:00:00Z\",\"name\":\"{STREAM}\",\"subjects\":[\"bench.>\"],\"retention\":\"limits\",\
         \"max_consumers\":-1,\"max_msgs\":-1,\"max_bytes\":-1,\"max_age\":0,\"max_msgs_per_subject\":-1,\
         \"max_msg_size\":-1,\"discard\":\"old\",\"storage\":\"file\",\"num_replicas\":1}}"
    );
    new_file(
        disk,
        &stream.join("meta.sum"),
        small::meta_sum(STREAM, meta.as_bytes()).as_bytes(),
    )?;
    new_file(disk, &stream.join("meta.inf"), meta.as_bytes())?;
    Ok(())
}

fn new_file(disk: &dyn Disk, path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    disk.open(path, OpenMode::ReadWrite)?.write_at(bytes, 0)
}
