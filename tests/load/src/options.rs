//! What a run is to do: the command line, read.

use std::net::{SocketAddr, ToSocketAddrs as _};
use std::sync::Arc;
use std::time::Duration;

use crate::error::LoadError;

/// What is done to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// Publishers only; nobody listens.
    Pub,
    /// Every publisher to every subscriber, on one subject.
    PubSub,
    /// Publishers to one queue group.
    Queue,
    /// Requesters with one request in flight each; one responder.
    Request,
    /// Many connections that publish and receive a little each.
    Trickle,
    /// Many connections with one subscription each that do nothing.
    Idle,
    /// Many subscriptions on one connection.
    Subs,
    /// Connections that log in and leave.
    Connect,
}

impl Work {
    const ALL: [Work; 8] = [
        Work::Pub,
        Work::PubSub,
        Work::Queue,
        Work::Request,
        Work::Trickle,
        Work::Idle,
        Work::Subs,
        Work::Connect,
    ];

    /// Its name on the command line and in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Work::Pub => "pub",
            Work::PubSub => "pubsub",
            Work::Queue => "queue",
            Work::Request => "request",
            Work::Trickle => "trickle",
            Work::Idle => "idle",
            Work::Subs => "subs",
            Work::Connect => "connect",
        }
    }
}

/// Whether deliveries are verified one by one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// Only counted: the cheapest.
    Off,
    /// Contents, order and number.
    On,
}

/// One run.
#[derive(Clone, Debug)]
pub struct Options {
    /// The workload.
    pub work: Work,
    /// Where the server listens.
    pub server: SocketAddr,
    /// The server's process, for its costs.
    pub pid: Option<u32>,
    /// Length of the measured part.
    pub measure: Duration,
    /// Length of the part before it that is thrown away.
    pub warmup: Duration,
    /// Payload bytes.
    pub size: usize,
    /// Publishers (`pub`, `pubsub`, `queue`).
    pub publishers: usize,
    /// Subscribers (`pubsub`, `queue`) or requesters (`request`).
    pub subscribers: usize,
    /// Connections (`trickle`, `idle`, `connect`: at a time) or subscriptions (`subs`).
    pub count: usize,
    /// Subjects that publishers use in turn (`pub`, `pubsub`, `queue` without a rate); subscribers take a wildcard.
    pub subjects: usize,
    /// Messages a second of all publishers together (of each connection in `trickle`). `None`: as fast as possible.
    pub rate: Option<f64>,
    /// Length of the publishers' pre-built buffers: bytes per write.
    pub buffer_bytes: usize,
    /// How many bytes of deliveries a subscriber may be behind before the publishers wait.
    pub window_bytes: usize,
    /// Verification.
    pub check: Check,
    /// Through TLS, if it is made so; the server is not verified.
    pub tls: Option<Arc<rustls::ClientConfig>>,
    /// Who connects.
    pub login: Option<Login>,
    /// Who connects as a subscriber (`pubsub`, `queue`), if it is somebody else.
    pub subscriber_login: Option<Login>,
    /// The subject under which deliveries arrive, where the server maps the published one to it.
    pub delivered_as: Option<String>,
}

/// A user and its password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// Its name.
    pub user: String,
    /// Its password.
    pub password: String,
}

/// The help text.
pub const USAGE: &str = "\
usage: dunlin-load WORK [--server 127.0.0.1:4222] [--pid N] [options]
       dunlin-load attack NAME [the same]: hostile peers, and what a pair of clients notices

WORK: pub pubsub queue request trickle idle subs connect
  --seconds S      measured part (1)          --warmup S      thrown away before it (0.2)
  --size BYTES     payload (128)              --count N       connections of trickle (200), idle (1000), at a time in
  --publishers N   (1)                                        connect (8); subscriptions of subs (100000)
  --subscribers N  or requesters (1)          --rate R        messages/s: measures latency at this load
  --buffer BYTES   per publisher write (65536) --window BYTES  lag of a subscriber that stops publishers (8388608)
  --subjects N     that publishers use in turn (1), at most 10000
  --check          verify contents, order and number of all deliveries
  --tls                    through TLS, without verifying the server
  --login USER:PASSWORD                       --subscriber-login USER:PASSWORD, where subscribers are others
  --delivered-as SUBJECT   of deliveries, where the server maps `load` to it

One line of JSON per run. The server's processor time and memory need --pid.";

impl Options {
    /// The defaults of a workload against `server`.
    #[must_use]
    pub fn new(work: Work, server: SocketAddr) -> Options {
        Options {
            work,
            server,
            pid: None,
            measure: Duration::from_secs(1),
            warmup: Duration::from_millis(200),
            size: 128,
            publishers: 1,
            subscribers: if work == Work::Pub { 0 } else { 1 },
            count: match work {
                Work::Trickle => 200,
                Work::Connect => 8,
                Work::Subs => 100_000,
                _ => 1000,
            },
            subjects: 1,
            rate: None,
            buffer_bytes: 64 * 1024,
            window_bytes: 8 << 20,
            check: Check::Off,
            tls: None,
            login: None,
            subscriber_login: None,
            delivered_as: None,
        }
    }

    /// Reads a command line without the program's name.
    ///
    /// # Errors
    /// [`LoadError::Usage`] says which argument is wrong.
    pub fn parse(args: impl IntoIterator<Item = String>) -> Result<Options, LoadError> {
        let mut args = args.into_iter();
        let name = args.next().unwrap_or_default();
        let work = Work::ALL.into_iter().find(|work| work.name() == name);
        let work = work.ok_or_else(|| LoadError::Usage(format!("no workload {name:?}\n\n{USAGE}")))?;
        let mut options = Options::new(work, SocketAddr::from(([127, 0, 0, 1], 4222)));
        while let Some(flag) = args.next() {
            if flag == "--check" {
                options.check = Check::On;
                continue;
            }
            if flag == "--tls" {
                options.tls = Some(crate::channel::config());
                continue;
            }
            let value = args
                .next()
                .ok_or_else(|| LoadError::Usage(format!("{flag} needs a value")))?;
            options.set(&flag, &value)?;
        }
        options.validated()
    }

    fn set(&mut self, flag: &str, value: &str) -> Result<(), LoadError> {
        match flag {
            "--server" => self.server = address(value)?,
            "--pid" => self.pid = Some(number(flag, value)?),
            "--seconds" => self.measure = seconds(flag, value)?,
            "--warmup" => self.warmup = seconds(flag, value)?,
            "--size" => self.size = number(flag, value)?,
            "--publishers" => self.publishers = number(flag, value)?,
            "--subscribers" => self.subscribers = number(flag, value)?,
            "--count" => self.count = number(flag, value)?,
            "--subjects" => self.subjects = number(flag, value)?,
            "--rate" => self.rate = Some(number(flag, value)?),
            "--buffer" => self.buffer_bytes = number(flag, value)?,
            "--login" => self.login = Some(login(flag, value)?),
            "--subscriber-login" => self.subscriber_login = Some(login(flag, value)?),
            "--delivered-as" => self.delivered_as = Some(value.to_owned()),
            "--window" => self.window_bytes = number(flag, value)?,
            _ => return Err(LoadError::Usage(format!("no option {flag}\n\n{USAGE}"))),
        }
        Ok(())
    }

    fn validated(self) -> Result<Options, LoadError> {
        let wrong = |text: &str| Err(LoadError::Usage(text.to_owned()));
        let marked = self.check == Check::On || self.rate.is_some() || self.work == Work::Trickle;
        if marked && self.size < crate::build::MARK {
            return wrong("--check, --rate and trickle mark their payloads: --size must be at least 24");
        }
        if self.publishers == 0 || self.count == 0 {
            return wrong("--publishers and --count must be at least 1");
        }
        if self.subjects == 0 || self.subjects > 10_000 {
            return wrong("--subjects must be from 1 to 10000");
        }
        if self.subscribers == 0 && self.work != Work::Pub {
            return wrong("--subscribers must be at least 1");
        }
        if self.delivered_as.is_some() && (self.check == Check::On || self.subjects > 1) {
            return wrong("--delivered-as goes with neither --check nor --subjects");
        }
        if self.rate.is_some_and(|rate| !(rate.is_finite() && rate > 0.0)) {
            return wrong("--rate must be above zero");
        }
        Ok(self)
    }
}

fn address(value: &str) -> Result<SocketAddr, LoadError> {
    let text = value.trim_start_matches("nats://");
    let found = text.to_socket_addrs().ok().and_then(|mut all| all.next());
    found.ok_or_else(|| LoadError::Usage(format!("--server: {value:?} is no HOST:PORT")))
}

fn number<T: std::str::FromStr>(flag: &str, value: &str) -> Result<T, LoadError> {
    value
        .parse()
        .map_err(|_| LoadError::Usage(format!("{flag}: {value:?} is no number")))
}

fn login(flag: &str, value: &str) -> Result<Login, LoadError> {
    let (user, password) = value
        .split_once(':')
        .ok_or_else(|| LoadError::Usage(format!("{flag}: {value:?} is no USER:PASSWORD")))?;
    Ok(Login {
        user: user.to_owned(),
        password: password.to_owned(),
    })
}

fn seconds(flag: &str, value: &str) -> Result<Duration, LoadError> {
    let seconds = number::<f64>(flag, value)?;
    Duration::try_from_secs_f64(seconds)
        .map_err(|_| LoadError::Usage(format!("{flag}: {value:?} is no time")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options, LoadError> {
        Options::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn options_override_the_defaults_of_the_work() {
        let options =
            parse("pubsub --size 16 --seconds 0.5 --subscribers 8 --server nats://127.0.0.1:9 --check").err();
        assert!(
            matches!(options, Some(LoadError::Usage(_))),
            "16 bytes hold no mark"
        );
        let options =
            parse("pubsub --size 32 --seconds 0.5 --subscribers 8 --server nats://127.0.0.1:9 --check")
                .unwrap();
        assert_eq!(
            (options.size, options.subscribers, options.server.port()),
            (32, 8, 9)
        );
        assert_eq!(
            (options.measure, options.check),
            (Duration::from_millis(500), Check::On)
        );
    }

    #[test]
    fn wrong_arguments_are_named() {
        for (line, named) in [
            ("nothing", "nothing"),
            ("pub --what 1", "--what"),
            ("pub --size x", "--size"),
            ("pub --size", "--size"),
            ("pubsub --subscribers 0", "--subscribers"),
            ("pubsub --rate 0", "--rate"),
            ("pubsub --login alice", "--login"),
            ("pubsub --delivered-as x --check", "--delivered-as"),
        ] {
            let error = parse(line).unwrap_err().to_string();
            assert!(error.contains(named), "{line}: {error}");
        }
    }
}
