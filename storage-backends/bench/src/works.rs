//! Works: fill a stream, then ask it. Times are of this thread's processor, Linux only.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use dunlin_api::{
    AccountName, Counting, Filter, NewMessage, Removal, StorageType, StoreBackend, StoreError, StreamId,
    StreamOptions, StreamStore, Subject, TimerKind,
};

/// Questions asked for each figure.
const QUESTIONS: u64 = 100_000;

/// How a stream is filled.
pub(crate) struct Work {
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    messages: u64,
    subjects: u64,
    payload: usize,
}

/// All works. Subjects are `dev.<n>.sensor.<m>`, a thousand sensors a device, in an order that looks random.
pub(crate) const WORKS: &[Work] = &[
    Work {
        name: "1m",
        title: "1 M × 128 B, one subject",
        messages: 1_000_000,
        subjects: 1,
        payload: 128,
    },
    Work {
        name: "10m",
        title: "10 M × 128 B, one subject",
        messages: 10_000_000,
        subjects: 1,
        payload: 128,
    },
    Work {
        name: "subjects",
        title: "1 M × 128 B, 1 M subjects",
        messages: 1_000_000,
        subjects: 1_000_000,
        payload: 128,
    },
    Work {
        name: "revisions",
        title: "1 M × 128 B, 10,000 subjects",
        messages: 1_000_000,
        subjects: 10_000,
        payload: 128,
    },
    Work {
        name: "large",
        title: "100,000 × 8 KiB, one subject",
        messages: 100_000,
        subjects: 1,
        payload: 8192,
    },
];

/// A row of the table.
pub(crate) struct Figure {
    pub(crate) name: &'static str,
    pub(crate) value: String,
}

/// Does a work and measures.
pub(crate) fn run(backend: &dyn StoreBackend, work: &Work) -> Result<Vec<Figure>, StoreError> {
    let id = StreamId::new(AccountName::global(), "BENCH")?;
    let options = StreamOptions::new(StorageType::File, Arc::new(()));
    let mut stream = backend.stream(&id, options)?;
    let before = resident();
    let mut figures = vec![fill(&mut *stream, work)?];
    figures.push(Figure {
        name: "memory a message",
        value: format!("{} B", (resident() - before) / work.messages),
    });
    ask(&*stream, work, &mut figures)?;
    timers(&mut *stream, work, &mut figures)?;
    figures.push(remove(&mut *stream, work)?);
    Ok(figures)
}

/// A permutation of 0..n, so that neighbours in time are none in the alphabet.
fn shuffled(at: u64, n: u64) -> u64 {
    // A prime that divides no power of ten reaches every place once.
    at.wrapping_mul(7_919) % n
}

fn subject_of(number: u64) -> String {
    format!("dev.{}.sensor.{}", number / 1000, number % 1000)
}

fn fill(stream: &mut dyn StreamStore, work: &Work) -> Result<Figure, StoreError> {
    let payload = vec![b'x'; work.payload];
    let mut spent = Duration::ZERO;
    for first in (0..work.messages).step_by(1000) {
        let numbers = first..(first + 1000).min(work.messages);
        let subjects: Vec<_> = numbers
            .map(|at| subject_of(shuffled(at, work.subjects)))
            .collect();
        let begun = processor_time();
        for (time, subject) in (first..).zip(&subjects) {
            stream.stage(&NewMessage {
                sequence: None,
                time: time as i64,
                subject: Subject::kept(subject.as_bytes()),
                headers: &[],
                payload: &payload,
            })?;
        }
        stream.commit(stream.staged())?;
        spent += processor_time() - begun;
    }
    Ok(each("append", spent, work.messages))
}

fn ask(stream: &dyn StreamStore, work: &Work, figures: &mut Vec<Figure>) -> Result<(), StoreError> {
    let mut measure = |name, questions, question: &dyn Fn(u64) -> Result<(), StoreError>| {
        let begun = processor_time();
        (0..questions).try_for_each(question)?;
        figures.push(each(name, processor_time() - begun, questions));
        Ok(())
    };
    measure("load one", QUESTIONS, &|at| {
        let sequence = 1 + shuffled(at, work.messages);
        black_box(stream.load(sequence)?.wait()?);
        Ok(())
    })?;
    measure("read in order", QUESTIONS, &|at| {
        black_box(stream.next(&[], at)?.wait()?);
        Ok(())
    })?;
    measure("last of a subject", QUESTIONS, &|at| {
        let subject = subject_of(shuffled(at, work.subjects));
        black_box(stream.previous(&[filter(&subject)], u64::MAX)?.wait()?);
        Ok(())
    })?;
    measure("next of a subject", QUESTIONS, &|at| {
        let subject = subject_of(shuffled(at, work.subjects));
        let from = at * work.messages / QUESTIONS / 2;
        black_box(stream.next(&[filter(&subject)], from)?.wait()?);
        Ok(())
    })?;
    let device = filter("dev.0.sensor.*");
    measure("last of a device", 1000, &|_| {
        black_box(stream.previous(&[device], u64::MAX)?.wait()?);
        Ok(())
    })?;
    measure("last of each subject of a device", 100, &|_| {
        black_box(stream.last_sequences(&[device], u64::MAX, 1000)?.wait()?);
        Ok(())
    })?;
    measure("pending of a device from the middle", 10, &|_| {
        let pending = stream.num_pending(work.messages / 2, &[device], Counting::All)?;
        black_box(pending.wait()?);
        Ok(())
    })
}

/// One message in ten gets a timer within an hour.
fn timers(stream: &mut dyn StreamStore, work: &Work, figures: &mut Vec<Figure>) -> Result<(), StoreError> {
    let (before, begun, count) = (resident(), processor_time(), work.messages / 10);
    for at in 0..count {
        let time = shuffled(at, 3_600_000) as i64 * 1_000_000;
        stream.set_timer(TimerKind::Expiry, 1 + at * 10, Some(time))?;
    }
    figures.push(each("set a timer", processor_time() - begun, count));
    figures.push(Figure {
        name: "memory a timer",
        value: format!("{} B", (resident() - before) / count),
    });
    let (begun, quarter) = (processor_time(), 900_000_000_000);
    let due = stream.due(TimerKind::Expiry, quarter, usize::MAX);
    figures.push(each(
        "find a timer that is due",
        processor_time() - begun,
        due.len() as u64,
    ));
    Ok(())
}

fn remove(stream: &mut dyn StreamStore, work: &Work) -> Result<Figure, StoreError> {
    let begun = processor_time();
    for at in 0..QUESTIONS {
        stream.remove(1 + shuffled(at, work.messages), Removal::Remove)?;
    }
    stream.commit(stream.staged())?;
    Ok(each("remove one", processor_time() - begun, QUESTIONS))
}

fn filter(text: &str) -> Filter<'_> {
    // Every text here is one.
    Filter::try_from(Subject::kept(text.as_bytes())).unwrap_or_else(|error| unreachable!("{text}: {error}"))
}

fn each(name: &'static str, spent: Duration, count: u64) -> Figure {
    let nanoseconds = spent.as_nanos() as f64 / count as f64;
    let value = match nanoseconds {
        n if n < 10_000.0 => format!("{n:.0} ns"),
        n => format!("{:.1} µs", n / 1000.0),
    };
    Figure { name, value }
}

/// Bytes of the process in memory.
fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = statm
        .split(' ')
        .nth(1)
        .and_then(|pages| pages.parse::<u64>().ok());
    pages.unwrap_or_default() * 4096
}

/// What this thread has had of a processor.
fn processor_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs() as u32)
}
