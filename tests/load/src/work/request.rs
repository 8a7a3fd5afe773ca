//! `request`: each requester has one request in flight, one responder answers all.

use std::time::{Duration, Instant};

use super::{READ_BYTES, SUBJECT, Watch};
use crate::build;
use crate::error::LoadError;
use crate::frames::{Frame, Frames};
use crate::latency::Latencies;
use crate::link::Link;
use crate::meter::Meter;
use crate::options::Options;
use crate::poll::Poll;
use crate::report::Report;
use crate::tally::Tally;

/// Two phases, each until the last reply; the second one counts.
pub(super) fn run(options: &Options) -> Result<Report, LoadError> {
    let mut load = Load::open(options)?;
    load.phase(options.warmup)?;
    load.latencies.clear();
    let before = load.replies;
    let meter = Meter::start(options.pid);
    load.phase(options.measure)?;
    let mut report = meter.report(options, "request", load.replies - before);
    report.latency = load.latencies.report();
    Ok(report)
}

struct Load {
    poll: Poll,
    responder: Responder,
    requesters: Vec<Requester>,
    buffer: Vec<u8>,
    replies: u64,
    latencies: Latencies,
}

struct Responder {
    link: Link,
    frames: Frames,
    /// Size line, payload and line end of every reply.
    answer: Vec<u8>,
}

struct Requester {
    link: Link,
    tally: Tally,
    /// The whole request, pre-built.
    request: Vec<u8>,
    /// When the request in flight was written; `None`: none is.
    since: Option<Instant>,
    seen: u64,
}

impl Load {
    fn open(options: &Options) -> Result<Load, LoadError> {
        let poll = Poll::new()?;
        let subscribe = format!("SUB {SUBJECT} 1\r\n");
        let mut answer = format!(" {}\r\n", options.size).into_bytes();
        answer.extend(build::filler(options.size, 0));
        answer.extend_from_slice(b"\r\n");
        let link = Link::open(options, options.login.as_ref(), &poll, 0, subscribe.as_bytes())?;
        let responder = Responder {
            link,
            frames: Frames::default(),
            answer,
        };
        let mut requesters = Vec::new();
        for number in 0..options.subscribers {
            let inbox = format!("_INBOX.{number:06}");
            let link = Link::open(
                options,
                options.login.as_ref(),
                &poll,
                number + 1,
                format!("SUB {inbox} 1\r\n").as_bytes(),
            )?;
            let mut request = Vec::new();
            build::publish(
                &mut request,
                SUBJECT,
                Some(&inbox),
                build::filler(options.size, 0),
                options.size,
            );
            let tally = Tally::new(build::delivery_bytes(&inbox, None, options.size));
            requesters.push(Requester {
                link,
                tally,
                request,
                since: None,
                seen: 0,
            });
        }
        let latencies = Latencies::default();
        Ok(Load {
            poll,
            responder,
            requesters,
            buffer: vec![0; READ_BYTES],
            replies: 0,
            latencies,
        })
    }

    fn phase(&mut self, length: Duration) -> Result<(), LoadError> {
        let end = Instant::now() + length;
        let mut watch = Watch::new();
        for requester in &mut self.requesters {
            requester.send()?;
        }
        loop {
            let now = Instant::now();
            for edge in self.poll.wait(Watch::PATIENCE / 10)? {
                let link = match edge.token {
                    0 => Some(&mut self.responder.link),
                    token => self
                        .requesters
                        .get_mut(token - 1)
                        .map(|requester| &mut requester.link),
                };
                if let Some(link) = link {
                    link.edge(edge);
                }
            }
            self.responder.turn(&mut self.buffer)?;
            let stopping = Instant::now() >= end;
            for requester in self
                .requesters
                .iter_mut()
                .filter(|requester| requester.link.readable)
            {
                if let Some(latency) = requester.receive(&mut self.buffer)? {
                    self.replies += 1;
                    self.latencies.add(latency);
                    if !stopping {
                        requester.send()?;
                    }
                }
            }
            if stopping && self.requesters.iter().all(|requester| requester.since.is_none()) {
                return Ok(());
            }
            watch.see(self.replies, now, || format!("{} replies", self.replies))?;
        }
    }
}

impl Responder {
    /// Answers whatever has come, in one write.
    fn turn(&mut self, buffer: &mut [u8]) -> Result<(), LoadError> {
        while self.link.readable {
            let Some(bytes) = self.link.read(buffer)? else {
                break;
            };
            let (answer, out) = (&self.answer, self.link.queue());
            self.frames.feed(bytes, |frame| {
                match frame {
                    Frame::Message {
                        reply: Some(reply), ..
                    } => {
                        out.extend_from_slice(b"PUB ");
                        out.extend_from_slice(reply);
                        out.extend_from_slice(answer);
                    }
                    Frame::Message { .. } => {
                        return Err(LoadError::Wrong("a request without a reply subject".to_owned()));
                    }
                    Frame::Ping => out.extend_from_slice(b"PONG\r\n"),
                    Frame::Pong | Frame::Other => {}
                }
                Ok(())
            })?;
        }
        self.link.flush()?;
        Ok(())
    }
}

impl Requester {
    fn send(&mut self) -> Result<(), LoadError> {
        self.since = Some(Instant::now());
        let Requester { link, request, .. } = self;
        link.queue().extend_from_slice(request);
        link.flush()?;
        Ok(())
    }

    /// Reads; a latency when the reply is here.
    fn receive(&mut self, buffer: &mut [u8]) -> Result<Option<Duration>, LoadError> {
        if let Some(bytes) = self.link.read(buffer)? {
            self.tally.feed(bytes)?;
        }
        for _ in 0..std::mem::take(&mut self.tally.pings) {
            self.link.queue().extend_from_slice(b"PONG\r\n");
        }
        self.link.flush()?;
        if self.tally.messages == self.seen {
            return Ok(None);
        }
        if self.tally.messages > self.seen + 1 || self.since.is_none() {
            return Err(LoadError::Wrong("more replies than requests".to_owned()));
        }
        self.seen = self.tally.messages;
        Ok(self.since.take().map(|since| since.elapsed()))
    }
}
