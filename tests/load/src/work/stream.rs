//! `pub`, `pubsub`, `queue`: as many messages as the server takes.

use std::time::{Duration, Instant};

use super::{READ_BYTES, Watch};
use crate::build::{self, Subjects};
use crate::error::LoadError;
use crate::intake::{Intake, Order, Verifier, sum_below};
use crate::link::Link;
use crate::meter::Meter;
use crate::options::{Check, Options, Work};
use crate::poll::Poll;
use crate::report::Report;
use crate::tally::Tally;

/// Two phases, each from rest to rest; the second one counts.
pub(super) fn run(options: &Options) -> Result<Report, LoadError> {
    let mut flow = Flow::open(options)?;
    flow.phase(options.warmup)?;
    let before = flow.done();
    let meter = Meter::start(options.pid);
    flow.phase(options.measure)?;
    let count = flow.done() - before;
    let unit = if flow.subscribers.is_empty() {
        "message"
    } else {
        "delivery"
    };
    let report = meter.report(options, unit, count);
    flow.audit()?;
    Ok(report)
}

struct Flow<'o> {
    options: &'o Options,
    poll: Poll,
    publishers: Vec<Publisher>,
    subscribers: Vec<Subscriber>,
    buffer: Vec<u8>,
    /// How many messages a subscriber may be behind before publishers wait.
    window: u64,
}

struct Publisher {
    link: Link,
    tally: Tally,
    number: u32,
    /// Pre-built messages and their number.
    batch: Vec<u8>,
    batch_messages: u64,
    /// Bytes of the batch that were written; 0 between batches.
    at: usize,
    /// Messages of finished batches.
    sent: u64,
    /// The `PONG` that shows that the server has worked through everything. `None`: not asked for yet.
    awaited: Option<u64>,
}

struct Subscriber {
    link: Link,
    intake: Intake,
}

impl<'o> Flow<'o> {
    fn open(options: &'o Options) -> Result<Flow<'o>, LoadError> {
        let poll = Poll::new()?;
        let mut publishers = Vec::new();
        for number in 0..options.publishers {
            let link = Link::open(options, options.login.as_ref(), &poll, number, b"")?;
            publishers.push(Publisher::new(link, number, options));
        }
        let mut subscribers = Vec::new();
        let wanted = if options.work == Work::Pub {
            0
        } else {
            options.subscribers
        };
        let subjects = Subjects::new(options.subjects);
        let filter = options.delivered_as.as_deref().unwrap_or(subjects.filter());
        let delivered = options.delivered_as.clone().unwrap_or_else(|| subjects.of(0));
        let (subscribe, order) = match options.work {
            Work::Queue => (format!("SUB {filter} group 1\r\n"), Order::Rising),
            _ => (format!("SUB {filter} 1\r\n"), Order::Gapless),
        };
        for number in 0..wanted {
            let token = options.publishers + number;
            let link = Link::open(
                options,
                options.subscriber_login.as_ref().or(options.login.as_ref()),
                &poll,
                token,
                subscribe.as_bytes(),
            )?;
            let intake = match options.check {
                Check::On => Intake::Verify(Box::new(Verifier::new(subjects, options.size, order))),
                Check::Off => {
                    Intake::Count(Tally::new(build::delivery_bytes(&delivered, None, options.size)))
                }
            };
            subscribers.push(Subscriber { link, intake });
        }
        let window = (options.window_bytes / options.size.max(16)).max(1) as u64;
        Ok(Flow {
            options,
            poll,
            publishers,
            subscribers,
            buffer: vec![0; READ_BYTES],
            window,
        })
    }

    /// Publishes for `length`, then waits until everything has arrived.
    fn phase(&mut self, length: Duration) -> Result<(), LoadError> {
        let end = Instant::now() + length;
        let mut watch = Watch::new();
        for publisher in &mut self.publishers {
            publisher.awaited = None;
        }
        loop {
            let now = Instant::now();
            let stopping = now >= end;
            let busy = self.write(stopping)? | self.read()?;
            if stopping && self.at_rest() {
                return Ok(());
            }
            watch.see(self.published() + self.delivered(), now, || {
                format!("{} published, {} delivered", self.published(), self.delivered())
            })?;
            let patience = if stopping { Watch::PATIENCE } else { end - now };
            let timeout = if busy { Duration::ZERO } else { patience };
            let first_subscriber = self.publishers.len();
            for edge in self.poll.wait(timeout)? {
                if let Some(publisher) = self.publishers.get_mut(edge.token) {
                    publisher.link.edge(edge);
                } else if let Some(subscriber) = self.subscribers.get_mut(edge.token - first_subscriber) {
                    subscriber.link.edge(edge);
                }
            }
        }
    }

    /// One write by each publisher that may. True: some could go on at once.
    fn write(&mut self, stopping: bool) -> Result<bool, LoadError> {
        let open = self.published().saturating_sub(self.slowest()) < self.window;
        let mut busy = false;
        for publisher in &mut self.publishers {
            publisher.write(self.options, stopping, open)?;
            let unasked = publisher.at == 0 && publisher.awaited.is_none();
            let begun = publisher.at > 0;
            busy |= publisher.link.writable && (begun || if stopping { unasked } else { open });
        }
        Ok(busy)
    }

    /// One read on each connection that has something. True: some have more.
    fn read(&mut self) -> Result<bool, LoadError> {
        let mut busy = false;
        for subscriber in self
            .subscribers
            .iter_mut()
            .filter(|subscriber| subscriber.link.readable)
        {
            if let Some(bytes) = subscriber.link.read(&mut self.buffer)? {
                let pings = subscriber.intake.feed(bytes)?;
                answer(&mut subscriber.link, pings);
            }
            busy |= subscriber.link.readable;
        }
        for subscriber in &mut self.subscribers {
            subscriber.link.flush()?;
        }
        for publisher in self
            .publishers
            .iter_mut()
            .filter(|publisher| publisher.link.readable)
        {
            if let Some(bytes) = publisher.link.read(&mut self.buffer)? {
                publisher.tally.feed(bytes)?;
                let pings = std::mem::take(&mut publisher.tally.pings);
                answer(&mut publisher.link, pings);
            }
            busy |= publisher.link.readable;
        }
        Ok(busy)
    }

    fn published(&self) -> u64 {
        self.publishers.iter().map(|publisher| publisher.sent).sum()
    }

    fn delivered(&self) -> u64 {
        self.subscribers
            .iter()
            .map(|subscriber| subscriber.intake.messages())
            .sum()
    }

    /// What the report counts.
    fn done(&self) -> u64 {
        if self.subscribers.is_empty() {
            self.published()
        } else {
            self.delivered()
        }
    }

    /// Messages that have arrived wherever they must.
    fn slowest(&self) -> u64 {
        match self.options.work {
            Work::Queue => self.delivered(),
            _ => {
                let all = self
                    .subscribers
                    .iter()
                    .map(|subscriber| subscriber.intake.messages());
                all.min().unwrap_or_else(|| self.published())
            }
        }
    }

    fn at_rest(&self) -> bool {
        let answered = |publisher: &Publisher| {
            publisher
                .awaited
                .is_some_and(|pong| publisher.tally.pongs >= pong)
        };
        self.publishers.iter().all(answered) && self.slowest() >= self.published()
    }

    /// What can only be judged at the end: nothing came twice.
    fn audit(&self) -> Result<(), LoadError> {
        let (published, delivered) = (self.published(), self.delivered());
        let copies = match self.options.work {
            Work::Queue => 1,
            _ => self.subscribers.len() as u64,
        };
        if !self.subscribers.is_empty() && delivered != published * copies {
            return Err(LoadError::Wrong(format!(
                "{delivered} deliveries of {published} messages"
            )));
        }
        let sums: Option<u128> = self
            .subscribers
            .iter()
            .map(|subscriber| subscriber.intake.sum())
            .sum();
        let once: u128 = self
            .publishers
            .iter()
            .map(|publisher| sum_below(publisher.sent))
            .sum();
        match sums {
            Some(sum) if !self.subscribers.is_empty() && sum != once * u128::from(copies) => Err(
                LoadError::Wrong("some messages came twice and others not at all".to_owned()),
            ),
            _ => Ok(()),
        }
    }
}

impl Publisher {
    fn new(link: Link, number: usize, options: &Options) -> Publisher {
        let (batch, batch_messages) = match options.check {
            Check::On => (Vec::new(), 0),
            Check::Off => build::publishes(
                Subjects::new(options.subjects),
                options.size,
                options.buffer_bytes,
            ),
        };
        let number = u32::try_from(number).unwrap_or(u32::MAX);
        Publisher {
            link,
            tally: Tally::new(1),
            number,
            batch,
            batch_messages,
            at: 0,
            sent: 0,
            awaited: None,
        }
    }

    /// Goes on with a begun batch, or begins the next one where it may; at the end asks for the last `PONG`.
    fn write(&mut self, options: &Options, stopping: bool, open: bool) -> Result<(), LoadError> {
        if self.at == 0 {
            if stopping && self.awaited.is_none() {
                self.awaited = Some(self.tally.pongs + 1);
                self.link.queue().extend_from_slice(b"PING\r\n");
            }
            if !self.link.flush()? || stopping || !open {
                return Ok(());
            }
            if options.check == Check::On {
                let next = self.sent;
                let (size, limit) = (options.size, options.buffer_bytes);
                self.batch_messages = build::marked(
                    &mut self.batch,
                    Subjects::new(options.subjects),
                    size,
                    limit,
                    self.number,
                    next,
                );
            }
        }
        if !self.link.writable {
            return Ok(());
        }
        let rest = self.batch.get(self.at..).unwrap_or(&[]);
        self.at += self
            .link
            .write(rest.get(..options.buffer_bytes).unwrap_or(rest))?;
        if self.at == self.batch.len() {
            self.at = 0;
            self.sent += self.batch_messages;
        }
        Ok(())
    }
}

fn answer(link: &mut Link, pings: u64) {
    for _ in 0..pings {
        link.queue().extend_from_slice(b"PONG\r\n");
    }
}
