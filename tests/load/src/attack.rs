//! `attack`: hostile peers against a server, and what a well-behaved pair notices of them.
//!
//! One thread is hostile; another sends messages from one connection to another at a fixed rate, before and during the
//! attack. Both sides of the pair log in before it begins. The server's memory is read all the while. Hostile peers are
//! bounded in number and rate, so that what is measured is the server and not two cores that two programs share.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::error::LoadError;
use crate::link;
use crate::options::{Options, Work};
use crate::process::resident_bytes;
use crate::report::LatencyReport;

/// What hostile peers do.
#[derive(Clone, Copy, Debug)]
pub struct Attack {
    /// Its name on the command line.
    pub name: &'static str,
    /// For people.
    pub title: &'static str,
    /// Connections held at a time; 0: each is closed as soon as it is open.
    held: usize,
    /// New connections in a millisecond, at most.
    opened: usize,
    /// The bytes that each sends.
    bytes: fn() -> Vec<u8>,
    /// How many of them in a millisecond; when all are sent it begins anew.
    step: usize,
    /// Goes on until so many were opened.
    total: u64,
}

/// Everything that is done to a server.
pub const ATTACKS: &[Attack] = &[
    Attack {
        name: "drip",
        title: "slow drip: 1,000 peers send CONNECT a byte every 10 ms",
        held: 1000,
        opened: 10,
        bytes: || b"CONNECT {\"verbose\":".to_vec(),
        step: 1,
        total: 0,
    },
    Attack {
        name: "no-newline",
        title: "no newline: 200 peers send letters without end",
        held: 200,
        opened: 2,
        bytes: || vec![b'x'; 64 * 1024],
        step: 4096,
        total: 0,
    },
    Attack {
        name: "huge-line",
        title: "huge control line: 200 peers begin SUB with a megabyte",
        held: 200,
        opened: 2,
        bytes: || [b"SUB ".as_slice(), &vec![b'x'; 1 << 20]].concat(),
        step: 16 * 1024,
        total: 0,
    },
    Attack {
        name: "half-connect",
        title: "partial CONNECT: 5,000 peers send 3 KiB of it and wait",
        held: 5000,
        opened: 10,
        bytes: || [b"CONNECT {\"user\":\"".as_slice(), &vec![b'x'; 3072]].concat(),
        step: usize::MAX,
        total: 0,
    },
    Attack {
        name: "silent",
        title: "silence: 5,000 peers connect and wait",
        held: 5000,
        opened: 10,
        bytes: Vec::new,
        step: usize::MAX,
        total: 0,
    },
    Attack {
        name: "lying-sizes",
        title: "lengths that lie: 2,000 peers log in, announce a megabyte and send 1 KiB",
        held: 2000,
        opened: 5,
        bytes: || {
            let hello =
                b"CONNECT {\"user\":\"load\",\"pass\":\"load\",\"headers\":true,\"verbose\":false}\r\n";
            let publish = b"HPUB load 1048000 1048576\r\nNATS/1.0\r\n";
            [hello.as_slice(), publish, &vec![b'x'; 1024]].concat()
        },
        step: usize::MAX,
        total: 0,
    },
    Attack {
        name: "tls-garbage",
        title: "TLS garbage: a ClientHello and nonsense, 500 connections a second",
        held: 50,
        opened: 1,
        bytes: || {
            let noise = (0_u32..4096).map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()[3]);
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"
                .iter()
                .copied()
                .chain(noise)
                .collect()
        },
        step: usize::MAX,
        total: 0,
    },
    Attack {
        name: "open-close",
        title: "50,000 connections opening and closing",
        held: 0,
        opened: 10,
        bytes: Vec::new,
        step: usize::MAX,
        total: 50_000,
    },
    Attack {
        name: "descriptors",
        title: "descriptors exhausted: 400 peers on a server that may have 256",
        held: 400,
        opened: 10,
        bytes: Vec::new,
        step: usize::MAX,
        total: 0,
    },
];

/// What an attack did.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// Its name.
    pub attack: String,
    /// Hostile connections opened in all.
    pub opened: u64,
    /// Hostile connections at the end of the attack.
    pub held: u64,
    /// How long it took.
    pub seconds: f64,
    /// The pair's latencies before.
    pub calm: LatencyReport,
    /// The pair's latencies meanwhile.
    pub under: LatencyReport,
    /// The server's memory before, and the most that it had.
    pub resident_before: u64,
    /// See there.
    pub resident_most: u64,
    /// Whether a new client was served within ten seconds after it.
    pub served_after: bool,
}

/// Finds an attack by its name.
///
/// # Errors
/// With the names that there are.
pub fn named(name: &str) -> Result<&'static Attack, LoadError> {
    let names: Vec<_> = ATTACKS.iter().map(|attack| attack.name).collect();
    ATTACKS
        .iter()
        .find(|attack| attack.name == name)
        .ok_or_else(|| LoadError::Usage(format!("no attack {name:?}; there are: {}", names.join(" "))))
}

/// Attacks the server of `options` for its measured time, or until the attack is complete.
///
/// # Errors
/// The pair was disturbed: it lost its connection or got stuck. Or the server cannot be reached.
pub fn run(attack: &'static Attack, options: &Options) -> Result<Outcome, LoadError> {
    let pair = Options {
        work: Work::PubSub,
        rate: Some(1000.0),
        size: 128,
        ..options.clone()
    };
    let calm = latency(&pair)?;
    let resident = || options.pid.and_then(resident_bytes).unwrap_or(0);
    let resident_before = resident();
    let resident_most = AtomicU64::new(resident_before);
    let is_over = AtomicBool::new(false);
    let begin = Instant::now();
    let (under, crowd) = thread::scope(|scope| {
        let hostile = scope.spawn(|| {
            // The pair logs in first.
            thread::sleep(Duration::from_millis(100));
            let mut crowd = Crowd::new(attack, options.server);
            while !is_over.load(Ordering::Relaxed) || crowd.is_incomplete() {
                crowd.act();
                resident_most.fetch_max(resident(), Ordering::Relaxed);
                thread::sleep(Duration::from_millis(1));
            }
            crowd
        });
        let mut under = latency(&pair);
        while attack.total > 0 && !hostile.is_finished() && under.is_ok() {
            is_over.store(true, Ordering::Relaxed);
            // Whichever of the measured stretches was worst.
            under = under
                .and_then(|worst| latency(&pair).map(|next| if next.p99 > worst.p99 { next } else { worst }));
        }
        is_over.store(true, Ordering::Relaxed);
        let crowd = hostile
            .join()
            .map_err(|_| LoadError::Wrong("the attacker panicked".to_owned()));
        under.and_then(|under| crowd.map(|crowd| (under, crowd)))
    })?;
    let seconds = begin.elapsed().as_secs_f64();
    let (opened, held) = (crowd.opened, crowd.peers.len() as u64);
    drop(crowd);
    Ok(Outcome {
        attack: attack.name.to_owned(),
        opened,
        held,
        seconds,
        calm,
        under,
        resident_before,
        resident_most: resident_most.into_inner(),
        served_after: is_served(options),
    })
}

fn latency(pair: &Options) -> Result<LatencyReport, LoadError> {
    let report = crate::run(pair)?;
    report
        .latency
        .ok_or_else(|| LoadError::Wrong("no latency was measured".to_owned()))
}

fn is_served(options: &Options) -> bool {
    let deadline = Instant::now() + Duration::from_secs(10);
    while Instant::now() < deadline {
        if link::login(options, options.login.as_ref(), b"").is_ok() {
            return true;
        }
        thread::sleep(Duration::from_millis(100));
    }
    false
}

/// The hostile peers.
struct Crowd {
    attack: &'static Attack,
    server: SocketAddr,
    bytes: Vec<u8>,
    peers: Vec<Peer>,
    /// Whose turn it is to be looked at.
    turn: usize,
    opened: u64,
}

struct Peer {
    stream: TcpStream,
    sent: usize,
}

/// Peers that are looked at in a millisecond: what the attacker costs must leave room for the server.
const GLANCES: usize = 100;

impl Crowd {
    fn new(attack: &'static Attack, server: SocketAddr) -> Crowd {
        Crowd {
            attack,
            server,
            bytes: (attack.bytes)(),
            peers: Vec::new(),
            turn: 0,
            opened: 0,
        }
    }

    fn is_incomplete(&self) -> bool {
        self.opened < self.attack.total
    }

    /// What happens in one millisecond.
    fn act(&mut self) {
        for _ in 0..self.attack.opened {
            let is_full = self.attack.held > 0 && self.peers.len() >= self.attack.held;
            if is_full || (self.attack.total > 0 && !self.is_incomplete()) {
                break;
            }
            // No port or no descriptor left: another time.
            let Ok(stream) = TcpStream::connect_timeout(&self.server, Duration::from_secs(1)) else {
                break;
            };
            self.opened += 1;
            if self.attack.held > 0 && stream.set_nonblocking(true).is_ok() {
                self.peers.push(Peer { stream, sent: 0 });
            }
        }
        for _ in 0..GLANCES.min(self.peers.len()) {
            self.turn = (self.turn + 1) % self.peers.len().max(1);
            let Some(peer) = self.peers.get_mut(self.turn) else {
                break;
            };
            if !peer.act(&self.bytes, self.attack.step) {
                self.peers.swap_remove(self.turn);
            }
        }
    }
}

impl Peer {
    /// False when the server has closed the connection.
    fn act(&mut self, bytes: &[u8], step: usize) -> bool {
        let goes_on = |error: &std::io::Error| error.kind() == ErrorKind::WouldBlock;
        match self.stream.read(&mut [0; 4096]) {
            Ok(0) => return false,
            Err(error) if !goes_on(&error) => return false,
            _ => {}
        }
        if self.sent >= bytes.len() && step < bytes.len() {
            self.sent = 0;
        }
        let end = self.sent.saturating_add(step).min(bytes.len());
        match self.stream.write(bytes.get(self.sent..end).unwrap_or_default()) {
            Ok(count) => self.sent += count,
            Err(error) => return goes_on(&error),
        }
        true
    }
}
