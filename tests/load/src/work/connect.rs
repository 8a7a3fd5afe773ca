//! `connect`: connections that log in, ask once, and leave.

use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Watch;
use crate::error::LoadError;
use crate::latency::Latencies;
use crate::link::{Link, connect_line};
use crate::meter::Meter;
use crate::options::Options;
use crate::poll::Poll;
use crate::report::Report;
use crate::tally::Tally;

/// Keeps `count` log-ins under way for the given time.
pub(super) fn run(options: &Options) -> Result<Report, LoadError> {
    let mut load = Load::open(options)?;
    load.phase(options, options.warmup)?;
    load.latencies.clear();
    let before = load.finished;
    let meter = Meter::start(options.pid);
    load.phase(options, options.measure)?;
    let mut report = meter.report(options, "connection", load.finished - before);
    report.latency = load.latencies.report();
    Ok(report)
}

struct Load {
    poll: Poll,
    slots: Vec<Option<Attempt>>,
    buffer: Vec<u8>,
    finished: u64,
    latencies: Latencies,
}

/// A log-in under way.
struct Attempt {
    /// Its CONNECT.
    hello: Vec<u8>,
    link: Link,
    tally: Tally,
    since: Instant,
    greeted: bool,
    tls: Option<Arc<rustls::ClientConfig>>,
}

impl Load {
    fn open(options: &Options) -> Result<Load, LoadError> {
        let slots = (0..options.count).map(|_| None).collect();
        let latencies = Latencies::default();
        Ok(Load {
            poll: Poll::new()?,
            slots,
            buffer: vec![0; 16 * 1024],
            finished: 0,
            latencies,
        })
    }

    fn phase(&mut self, options: &Options, length: Duration) -> Result<(), LoadError> {
        let end = Instant::now() + length;
        let mut watch = Watch::new();
        loop {
            let now = Instant::now();
            for (token, slot) in self.slots.iter_mut().enumerate() {
                if slot.is_none() && now < end {
                    *slot = Some(Attempt::begin(options, &self.poll, token)?);
                }
            }
            if self.slots.iter().all(Option::is_none) {
                return Ok(());
            }
            for edge in self.poll.wait(Watch::PATIENCE / 10)? {
                if let Some(Some(attempt)) = self.slots.get_mut(edge.token) {
                    attempt.link.edge(edge);
                }
            }
            for slot in &mut self.slots {
                let Some(attempt) = slot else { continue };
                if attempt.turn(&mut self.buffer)? {
                    self.latencies.add(attempt.since.elapsed());
                    self.finished += 1;
                    *slot = None;
                }
            }
            watch.see(self.finished, now, || format!("{} connections", self.finished))?;
        }
    }
}

impl Attempt {
    fn begin(options: &Options, poll: &Poll, token: usize) -> Result<Attempt, LoadError> {
        let since = Instant::now();
        let stream = TcpStream::connect(options.server).map_err(LoadError::io("connect"))?;
        let link = Link::fresh(stream, poll, token)?;
        Ok(Attempt {
            hello: connect_line(options.login.as_ref()),
            link,
            tally: Tally::new(1),
            since,
            greeted: false,
            tls: options.tls.clone(),
        })
    }

    /// True when the server has answered.
    fn turn(&mut self, buffer: &mut [u8]) -> Result<bool, LoadError> {
        while self.link.readable {
            let Some(bytes) = self.link.read(buffer)? else {
                break;
            };
            self.tally.feed(bytes)?;
            if !self.greeted && bytes.last() == Some(&b'\n') {
                self.greeted = true;
                if let Some(tls) = &self.tls {
                    self.link.secure(tls)?;
                }
                self.link.queue().extend_from_slice(&self.hello);
                self.link.queue().extend_from_slice(b"PING\r\n");
            }
        }
        self.link.flush()?;
        Ok(self.tally.pongs > 0)
    }
}
