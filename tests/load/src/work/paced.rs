//! `--rate` and `trickle`: messages at given times, and how long each takes.
//!
//! Every payload carries the time at which it was written, so the generator's own lateness does not count. When it
//! is late, all that is due is sent at once: the load stays what was asked for.

use std::time::{Duration, Instant};

use super::{READ_BYTES, SUBJECT, Watch};
use crate::build;
use crate::error::LoadError;
use crate::frames::{Frame, Frames};
use crate::latency::Latencies;
use crate::link::Link;
use crate::meter::Meter;
use crate::options::{Options, Work};
use crate::poll::Poll;
use crate::report::Report;

/// Messages a second of each connection in `trickle`.
const TRICKLE_RATE: f64 = 100.0;

/// Two phases, each from rest to rest; the second one counts.
pub(super) fn run(options: &Options) -> Result<Report, LoadError> {
    let mut load = Load::open(options)?;
    load.phase(options.warmup)?;
    load.latencies.clear();
    let before = load.received;
    let published = load.published;
    let meter = Meter::start(options.pid);
    load.phase(options.measure)?;
    let (unit, count) = match load.copies {
        0 => ("message", load.published - published),
        _ => ("delivery", load.received - before),
    };
    let mut report = meter.report(options, unit, count);
    report.latency = load.latencies.report();
    Ok(report)
}

struct Load {
    poll: Poll,
    members: Vec<Member>,
    /// How many of the first members publish.
    publishers: usize,
    /// Deliveries of each message.
    copies: u64,
    per_second: f64,
    size: usize,
    /// The zero of the times in payloads.
    epoch: Instant,
    buffer: Vec<u8>,
    published: u64,
    received: u64,
    latencies: Latencies,
}

struct Member {
    link: Link,
    frames: Frames,
    /// What it publishes on.
    subject: String,
}

impl Load {
    fn open(options: &Options) -> Result<Load, LoadError> {
        let poll = Poll::new()?;
        let mut members = Vec::new();
        let mut add = |subject: String, subscribe: String| -> Result<(), LoadError> {
            let link = Link::open(
                options,
                options.login.as_ref(),
                &poll,
                members.len(),
                subscribe.as_bytes(),
            )?;
            members.push(Member {
                link,
                frames: Frames::default(),
                subject,
            });
            Ok(())
        };
        let (publishers, copies, per_second);
        if options.work == Work::Trickle {
            // A ring: each publishes to its neighbour.
            for number in 0..options.count {
                let next = (number + 1) % options.count;
                add(
                    format!("{SUBJECT}.{next}"),
                    format!("SUB {SUBJECT}.{number} 1\r\n"),
                )?;
            }
            (publishers, copies) = (options.count, 1);
            per_second = options.rate.unwrap_or(TRICKLE_RATE) * options.count as f64;
        } else {
            for _ in 0..options.publishers {
                add(SUBJECT.to_owned(), String::new())?;
            }
            let subscribers = if options.work == Work::Pub {
                0
            } else {
                options.subscribers
            };
            let group = if options.work == Work::Queue { "group " } else { "" };
            for _ in 0..subscribers {
                add(String::new(), format!("SUB {SUBJECT} {group}1\r\n"))?;
            }
            publishers = options.publishers;
            copies = if options.work == Work::Queue {
                1
            } else {
                subscribers as u64
            };
            per_second = options.rate.unwrap_or(1000.0);
        }
        Ok(Load {
            poll,
            members,
            publishers,
            copies,
            per_second,
            size: options.size,
            epoch: Instant::now(),
            buffer: vec![0; READ_BYTES],
            published: 0,
            received: 0,
            latencies: Latencies::default(),
        })
    }

    fn phase(&mut self, length: Duration) -> Result<(), LoadError> {
        let start = Instant::now();
        let total = (length.as_secs_f64() * self.per_second) as u64;
        let mut watch = Watch::new();
        let mut sent = 0;
        loop {
            let now = Instant::now();
            let due = (((now - start).as_secs_f64() * self.per_second) as u64 + 1).min(total);
            while sent < due {
                self.publish();
                sent += 1;
            }
            let mut busy = false;
            for member in &mut self.members {
                member.link.flush()?;
            }
            busy |= self.read()?;
            let missing = self.published * self.copies > self.received;
            if sent == total
                && !missing
                && self
                    .members
                    .iter_mut()
                    .all(|member| member.link.queue().is_empty())
            {
                return Ok(());
            }
            watch.see(self.published + self.received, now, || {
                format!("{} published, {} received", self.published, self.received)
            })?;
            let next = Duration::from_secs_f64(sent as f64 / self.per_second).saturating_sub(start.elapsed());
            let timeout = if busy {
                Duration::ZERO
            } else if sent == total {
                Watch::PATIENCE
            } else {
                next
            };
            for edge in self.poll.wait(timeout)? {
                if let Some(member) = self.members.get_mut(edge.token) {
                    member.link.edge(edge);
                }
            }
        }
    }

    /// Queues the next message at the publisher whose turn it is.
    fn publish(&mut self) {
        let turn = usize::try_from(self.published).unwrap_or(0) % self.publishers;
        let Some(member) = self.members.get_mut(turn) else {
            return;
        };
        let nanos = u64::try_from(self.epoch.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let mark = build::mark(0, nanos).into_bytes();
        let payload = mark.into_iter().chain(build::filler(self.size - build::MARK, 0));
        build::publish(member.link.queue(), &member.subject, None, payload, self.size);
        self.published += 1;
    }

    fn read(&mut self) -> Result<bool, LoadError> {
        let Load {
            members,
            buffer,
            epoch,
            received,
            latencies,
            ..
        } = self;
        let mut busy = false;
        for member in members.iter_mut().filter(|member| member.link.readable) {
            let mut pings = 0;
            if let Some(bytes) = member.link.read(buffer)? {
                let now = epoch.elapsed();
                member.frames.feed(bytes, |frame| {
                    match frame {
                        Frame::Message { payload, .. } => {
                            let (_, nanos) = build::read_mark(payload)
                                .ok_or_else(|| LoadError::Wrong("a payload without its time".to_owned()))?;
                            latencies.add(now.saturating_sub(Duration::from_nanos(nanos)));
                            *received += 1;
                        }
                        Frame::Ping => pings += 1,
                        Frame::Pong | Frame::Other => {}
                    }
                    Ok(())
                })?;
            }
            for _ in 0..pings {
                member.link.queue().extend_from_slice(b"PONG\r\n");
            }
            busy |= member.link.readable;
        }
        Ok(busy)
    }
}
