//! What the journal costs on this machine, next to what its disk costs bare: `cargo xtask bench floor|journal` builds and runs it.
//!
//! `bench floor|journal DIRECTORY SECONDS` prints one line for each work: name, syncs a second (the journal's: batches told), records a second, bytes a second, and
//! the median and 99th percentile of an ack in microseconds; tabs between.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::expect_used,
    reason = "a tool on the real machine, which fails by panicking"
)]

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use dunlin_api::{
    DiskFile, Env, EnvParts, Instant, Logger, OpenMode, Shards, SystemClock, SystemDisk, SystemRandom,
};
use dunlin_journal::{
    Batch, BlockEnd, Found, Incarnation, Item, Journal, JournalError, Options, Promise, Replay, Target,
    Verdict,
};
use dunlin_net::sim::SimWorld;
use highway::{HighwayHash as _, HighwayHasher, Key};

/// A record of the file store around its payload: header 22, subject 21, checksum 8.
const RECORD_OVERHEAD: usize = 51;

/// Blocks end here, as the reference's do.
const BLOCK_BYTES: u64 = 8 << 20;

/// What the floor overwrites from end to end.
const FLOOR_BYTES: u64 = 64 << 20;

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let [_, what, directory, seconds] = &args[..] else {
        println!("usage: bench floor|journal DIRECTORY SECONDS");
        return;
    };
    let seconds = Duration::from_secs_f64(seconds.parse().expect("seconds"));
    let directory = Path::new(directory).join(format!("bench-{}", std::process::id()));
    let env = Env::new(EnvParts {
        clock: Box::new(SystemClock),
        random: Box::new(SystemRandom),
        network: Box::new(SimWorld::new(1).host(IpAddr::V4(Ipv4Addr::LOCALHOST))),
        disk: Box::new(SystemDisk),
        execution: Box::new(Shards::start(1).unwrap()),
        logger: Logger::silent(),
    });
    env.disk().create_dir(&directory).unwrap();
    match what.as_str() {
        "floor" => floor(&env, &directory, seconds),
        _ => journal(&env, &directory, seconds),
    }
    env.disk().remove_dir(&directory).unwrap();
}

/// One result.
fn row(name: &str, syncs: u64, records: u64, bytes: u64, time: Duration, latencies: &mut [u32]) {
    let seconds = time.as_secs_f64();
    latencies.sort_unstable();
    let at = |share: f64| {
        let index = (latencies.len() as f64 * share) as usize;
        latencies.get(index).or(latencies.last()).copied().unwrap_or(0)
    };
    let rate = |count: u64| count as f64 / seconds;
    println!(
        "{name}\t{:.0}\t{:.0}\t{:.0}\t{}\t{}",
        rate(syncs),
        rate(records),
        rate(bytes),
        at(0.5),
        at(0.99)
    );
}

fn micros(env: &Env, since: Instant) -> u32 {
    u32::try_from((env.now() - since).as_micros()).unwrap_or(u32::MAX)
}

/// Bare pwrite and fdatasync over initialised bytes, with as many bytes a sync as each work brings.
fn floor(env: &Env, directory: &Path, seconds: Duration) {
    let file = env
        .disk()
        .open(&directory.join("floor"), OpenMode::ReadWrite)
        .unwrap();
    file.write_zeros(0, FLOOR_BYTES).unwrap();
    file.sync().unwrap();
    for (name, records, payload) in works() {
        let bytes = (records * (payload + RECORD_OVERHEAD)).next_multiple_of(4096);
        let content: Vec<u8> = (0..bytes).map(|at| at as u8).collect();
        let (mut offset, mut syncs, mut latencies) = (0, 0, Vec::new());
        let begun = env.now();
        while env.now() - begun < seconds {
            let at = env.now();
            if offset + bytes as u64 > FLOOR_BYTES {
                offset = 0;
            }
            file.write_at(&content, offset).unwrap();
            file.sync().unwrap();
            offset += bytes as u64;
            syncs += 1;
            latencies.push(micros(env, at));
        }
        let total = syncs * bytes as u64;
        let records = syncs * records as u64;
        row(name, syncs, records, total, env.now() - begun, &mut latencies);
    }
    separate(env, directory, seconds);
}

/// A thousand files that grow by four records at a time, each synced for itself by one of 64 threads.
fn separate(env: &Env, directory: &Path, seconds: Duration) {
    const THREADS: usize = 64;
    let bytes = vec![b'x'; 4 * (128 + RECORD_OVERHEAD)];
    let (sender, results) = channel();
    let begun = env.now();
    for thread in 0..THREADS {
        let files: Vec<_> = (thread..1_000)
            .step_by(THREADS)
            .map(|file| directory.join(format!("separate-{file}")))
            .map(|path| env.disk().open(&path, OpenMode::Append).unwrap())
            .collect();
        let (own, bytes, sender) = (env.clone(), bytes.clone(), sender.clone());
        let work = async move {
            let mut latencies = Vec::new();
            for file in files.iter().cycle() {
                let at = own.now();
                if at - begun > seconds {
                    break;
                }
                file.write_at(&bytes, 0).unwrap();
                file.sync().unwrap();
                latencies.push(micros(&own, at));
            }
            sender.send(latencies).unwrap();
        };
        env.spawn_thread("floor", work).unwrap();
    }
    let mut latencies: Vec<u32> = (0..THREADS).flat_map(|_| results.recv().unwrap()).collect();
    let syncs = latencies.len() as u64;
    let (records, total) = (4 * syncs, syncs * bytes.len() as u64);
    let name = "128 B, 1,000 files, 64 threads";
    row(name, syncs, records, total, env.now() - begun, &mut latencies);
}

/// Name, records that wait at a time, bytes of payload.
fn works() -> [(&'static str, usize, usize); 4] {
    [
        ("128 B, 1 waiting", 1, 128),
        ("128 B, 1,000 waiting", 1_000, 128),
        ("128 B, 4,000 waiting", 4_000, 128),
        ("8 KiB, 64 waiting", 64, 8 << 10),
    ]
}

/// The same through the journal, and a thousand streams.
fn journal(env: &Env, directory: &Path, seconds: Duration) {
    let streams = |name, of: usize, waiting, payload| {
        let directory = directory.join(format!("{of}-{waiting}-{payload}"));
        run(env, name, &directory, of, waiting, payload, seconds);
    };
    streams("128 B, 1 waiting", 1, 1, 128);
    streams("128 B, 1,000 waiting", 1, 1_000, 128);
    streams("128 B, 1,000 streams, 4,000 waiting", 1_000, 4_000, 128);
    streams("8 KiB, 64 waiting", 1, 64, 8 << 10);
}

/// A block file as the file store has it.
struct Block {
    env: Env,
    file: Box<dyn DiskFile>,
    directory: PathBuf,
    /// Its name survives power loss.
    is_named: AtomicBool,
}

impl Target for Block {
    fn write(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.file.write_at(bytes, offset)
    }

    fn sync(&self) -> io::Result<()> {
        self.file.sync()?;
        if !self.is_named.swap(true, Ordering::Relaxed) {
            self.env.disk().sync_dir(&self.directory)?;
        }
        Ok(())
    }

    fn failed(&self, error: &JournalError) {
        println!("failed: {error}");
    }
}

struct Stream {
    env: Env,
    incarnation: Incarnation,
    directory: PathBuf,
    block: u32,
    end: BlockEnd,
    target: Arc<dyn Target>,
    waiting: usize,
}

impl Stream {
    fn create(env: &Env, directory: &Path, id: usize, waiting: usize) -> Stream {
        let directory = directory.join(format!("S{id}"));
        env.disk().create_dir(&directory).unwrap();
        Stream {
            env: env.clone(),
            incarnation: Incarnation::new(format!("$G/S{id}@1").into_bytes()),
            block: 1,
            end: BlockEnd::default(),
            target: open(env, &directory, 1),
            directory,
            waiting,
        }
    }

    /// Encodes `count` records, with a checksum each, as one item.
    fn append(&mut self, count: usize, payload: &[u8]) -> Item {
        if self.end.length >= BLOCK_BYTES {
            self.block += 1;
            self.end = BlockEnd::default();
            self.target = open(&self.env, &self.directory, self.block);
        }
        let mut bytes = Vec::with_capacity(count * (payload.len() + RECORD_OVERHEAD));
        for _ in 0..count {
            let start = bytes.len();
            bytes.extend_from_slice(&[7; RECORD_OVERHEAD - 8]);
            bytes.extend_from_slice(payload);
            let mut hasher = HighwayHasher::new(Key([1, 2, 3, 4]));
            hasher.append(&bytes[start..]);
            bytes.extend_from_slice(&hasher.finalize64().to_le_bytes());
        }
        let before = self.end;
        self.end.length += bytes.len() as u64;
        self.end.checksum = *bytes.last_chunk().unwrap();
        Item::Block {
            stream: self.incarnation.clone(),
            block: self.block,
            offset: before.length,
            before,
            bytes: Arc::new(bytes),
            target: self.target.clone(),
        }
    }
}

fn open(env: &Env, directory: &Path, block: u32) -> Arc<dyn Target> {
    let path = directory.join(format!("{block}.blk"));
    Arc::new(Block {
        env: env.clone(),
        file: env.disk().open(&path, OpenMode::ReadWrite).unwrap(),
        directory: directory.to_owned(),
        is_named: AtomicBool::new(false),
    })
}

struct Nothing;

impl Replay for Nothing {
    fn apply(&mut self, _: &Incarnation, _: Found<'_>) -> io::Result<Verdict> {
        Ok(Verdict::Gone)
    }

    fn finish(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Keeps `waiting` records on their way, spread over `of` streams: whoever hears of an ack sends as many again.
fn run(
    env: &Env,
    name: &str,
    directory: &Path,
    of: usize,
    waiting: usize,
    payload: usize,
    seconds: Duration,
) {
    let options = Options::new(directory.join("journal"));
    let (journal, writer, _) = Journal::open(env, options, &mut Nothing).unwrap();
    let task = writer.start().unwrap();
    // One stream has two batches on their way, so that one is encoded while the other is synced.
    let lanes = if of == 1 && waiting > 1 { 2 } else { 1 };
    let mut streams: Vec<Stream> = (0..of)
        .map(|id| Stream::create(env, directory, id, waiting / of / lanes))
        .collect();
    let payload = vec![b'x'; payload];
    let (sender, acks) = channel();
    // The first seconds make segments, which happens once.
    let warm = env.now() + Duration::from_secs(3);
    for _ in 0..lanes {
        for (id, stream) in streams.iter_mut().enumerate() {
            send(&journal, stream, id, &payload, &sender);
        }
    }
    drive(env, &journal, &mut streams, &payload, &sender, &acks, warm);
    let begun = env.now();
    let (batches, mut latencies) = drive(
        env,
        &journal,
        &mut streams,
        &payload,
        &sender,
        &acks,
        begun + seconds,
    );
    let time = env.now() - begun;
    let records = batches * streams[0].waiting as u64;
    let bytes = records * (payload.len() + RECORD_OVERHEAD) as u64;
    row(name, batches / of as u64, records, bytes, time, &mut latencies);
    for _ in 0..of * lanes {
        acks.recv().unwrap();
    }
    let (done, closed) = channel();
    journal.close(Box::new(move |result| done.send(result).unwrap()));
    closed.recv().unwrap().unwrap();
    drop(task);
}

type Ack = (usize, Instant);

/// Answers acks until `end`, and says how many there were and how long they took.
fn drive(
    env: &Env,
    journal: &Journal,
    streams: &mut [Stream],
    payload: &[u8],
    sender: &Sender<Ack>,
    acks: &Receiver<Ack>,
    end: Instant,
) -> (u64, Vec<u32>) {
    let (mut batches, mut latencies) = (0, Vec::new());
    while env.now() < end {
        let mut next = acks.recv().ok();
        while let Some((id, at)) = next {
            batches += 1;
            latencies.push(micros(env, at));
            send(journal, &mut streams[id], id, payload, sender);
            next = acks.try_recv().ok();
        }
    }
    (batches, latencies)
}

fn send(journal: &Journal, stream: &mut Stream, id: usize, payload: &[u8], acks: &Sender<Ack>) {
    let (acks, at) = (acks.clone(), stream.env.now());
    let item = stream.append(stream.waiting, payload);
    journal.submit(Batch {
        items: vec![item],
        promise: Promise::Durable,
        done: Box::new(move |result| {
            result.unwrap();
            // The last ones come when nobody listens any more.
            let _ = acks.send((id, at));
        }),
    });
}
