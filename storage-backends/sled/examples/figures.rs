//! The figures of the README: `cargo run --release -p dunlin-sled --example figures -- DIR [MESSAGES]`, in an empty
//! directory on the disk to be measured.

#![allow(clippy::disallowed_methods, reason = "it measures, and simulates nothing")]

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use dunlin_api::{
    AccountName, Filter, NewMessage, StorageType, StoreBackend, StoreError, StreamId, StreamOptions,
    StreamStore, Subject,
};
use dunlin_config::ByteSize;
use dunlin_sled::{SledBackend, SledOptions};

const PAYLOAD: [u8; 128] = [b'x'; 128];

const SUBJECTS: u64 = 1000;

type Outcome = Result<(), Box<dyn std::error::Error>>;

fn main() -> Outcome {
    let mut args = std::env::args().skip(1);
    let directory = PathBuf::from(args.next().ok_or("figures DIR [MESSAGES]")?);
    let messages = args.next().map_or(Ok(1_000_000), |count| count.parse())?;
    for (waiting, count) in [(1, 500), (64, 20_000), (1000, 200_000)] {
        with_writer(&directory.join(format!("sync-{waiting}")), |backend| {
            synced(backend, waiting, count)
        })?;
    }
    let large = directory.join("large");
    with_writer(&large, |backend| fill(backend, &large, messages))?;
    with_writer(&large, |backend| read(backend, messages))?;
    with_writer(&large, |backend| purge(backend, &large))
}

/// Runs `work` beside a thread that takes the writer's turns.
fn with_writer(directory: &Path, work: impl FnOnce(&SledBackend) -> Outcome) -> Outcome {
    let backend = SledBackend::polled(SledOptions {
        dir: directory.display().to_string(),
        cache: ByteSize(64 << 20),
        max_queued: ByteSize(64 << 20),
    });
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Relaxed) {
                backend.turn();
                std::thread::yield_now();
            }
        });
        let outcome = work(&backend);
        is_over.store(true, Relaxed);
        outcome
    })
}

fn open(backend: &SledBackend) -> Result<Box<dyn StreamStore>, StoreError> {
    let id = StreamId::new(AccountName::global(), "S")?;
    backend.stream(&id, StreamOptions::new(StorageType::File, Arc::new(())))
}

fn stage(stream: &mut dyn StreamStore, at: u64) -> Result<dunlin_api::Ticket, StoreError> {
    let subject = format!("bench.{}", at % SUBJECTS);
    let message = NewMessage {
        sequence: None,
        time: 1_700_000_000_000_000_000 + at as i64,
        subject: Subject::from_wire(subject.as_bytes())
            .map_err(|_| StoreError::InvalidName(subject.clone()))?,
        headers: &[],
        payload: &PAYLOAD,
    };
    loop {
        match stream.stage(&message) {
            Ok(staged) => return Ok(staged.ticket),
            Err(StoreError::Full(_)) => std::thread::sleep(Duration::from_millis(1)),
            Err(error) => return Err(error),
        }
    }
}

fn wait(stream: &mut dyn StreamStore) -> Outcome {
    let ticket = stream.staged();
    stream.commit(ticket)?;
    while stream.durable() < ticket {
        std::thread::sleep(Duration::from_micros(50));
    }
    Ok(())
}

/// So many publishers, each of which waits until its message is durable.
fn synced(backend: &SledBackend, waiting: u64, count: u64) -> Outcome {
    let mut stream = open(backend)?;
    let start = Instant::now();
    for at in 0..count {
        stage(&mut *stream, at)?;
        if (at + 1) % waiting == 0 {
            wait(&mut *stream)?;
        }
    }
    wait(&mut *stream)?;
    let rate = count as f64 / start.elapsed().as_secs_f64();
    say(&format!(
        "128 B, durable, {waiting:4} waiting: {rate:9.0} messages/s"
    ))?;
    stream.close()?;
    Ok(())
}

fn fill(backend: &SledBackend, directory: &Path, messages: u64) -> Outcome {
    let mut stream = open(backend)?;
    let before = resident()?;
    let start = Instant::now();
    for at in 0..messages {
        stage(&mut *stream, at)?;
    }
    wait(&mut *stream)?;
    let seconds = start.elapsed().as_secs_f64();
    say(&format!(
        "128 B, one sync at the end: {:9.0} messages/s",
        messages as f64 / seconds
    ))?;
    let state = stream.state();
    let disk = size(directory)?;
    let ratio = disk as f64 / state.bytes as f64;
    say(&format!(
        "on disk: {disk} bytes for {} counted, {ratio:.2} times",
        state.bytes
    ))?;
    let memory = resident()?.saturating_sub(before) as f64 / messages as f64;
    say(&format!(
        "resident after filling, cache and queue included: {memory:.0} bytes/message"
    ))?;
    stream.close()?;
    Ok(())
}

fn read(backend: &SledBackend, messages: u64) -> Outcome {
    let before = resident()?;
    let start = Instant::now();
    backend.list()?;
    let database = start.elapsed().as_secs_f64();
    let stream = open(backend)?;
    let seconds = start.elapsed().as_secs_f64();
    say(&format!(
        "open: {seconds:.2} s, of which sled takes {database:.2} s"
    ))?;
    let memory = resident()?.saturating_sub(before) as f64 / messages as f64;
    say(&format!(
        "resident after opening, cache included: {memory:.0} bytes/message"
    ))?;
    let start = Instant::now();
    for sequence in 1..=messages {
        stream.load(sequence)?.wait()?;
    }
    say(&each("load, one after the other", start, messages))?;
    let count = 50_000;
    let start = Instant::now();
    for at in 0..count {
        stream.load(1 + at * 7_919 % messages)?.wait()?;
    }
    say(&each("load, here and there", start, count))?;
    let start = Instant::now();
    for at in 0..count {
        let subject = format!("bench.{}", at % SUBJECTS);
        let filter = Filter::new(subject.as_bytes())?;
        stream.previous(&[filter], u64::MAX)?.wait()?;
    }
    say(&each("last of a subject", start, count))?;
    Ok(())
}

fn purge(backend: &SledBackend, directory: &Path) -> Outcome {
    let mut stream = open(backend)?;
    let start = Instant::now();
    let half = stream.state().last / 2;
    let purged = stream.compact(half)?.messages;
    wait(&mut *stream)?;
    say(&each("compact", start, purged))?;
    stream.close()?;
    // sled reclaims in its own time.
    std::thread::sleep(Duration::from_secs(20));
    say(&format!(
        "on disk, half of it purged, 20 s later: {} bytes",
        size(directory)?
    ))?;
    Ok(())
}

fn each(what: &str, start: Instant, count: u64) -> String {
    format!(
        "{what}: {:.2} µs each",
        start.elapsed().as_secs_f64() * 1e6 / count as f64
    )
}

fn resident() -> io::Result<u64> {
    let pages = std::fs::read_to_string("/proc/self/statm")?;
    let pages: u64 = pages
        .split(' ')
        .nth(1)
        .and_then(|pages| pages.parse().ok())
        .unwrap_or(0);
    Ok(pages * 4096)
}

fn size(directory: &Path) -> io::Result<u64> {
    let mut sum = 0;
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        let kind = entry.metadata()?;
        sum += if kind.is_dir() {
            size(&entry.path())?
        } else {
            kind.len()
        };
    }
    Ok(sum)
}

fn say(line: &str) -> io::Result<()> {
    writeln!(io::stdout(), "{line}")
}
