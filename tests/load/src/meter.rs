//! The measured part of a run: wall time and processor time of both sides.

use std::time::{Duration, Instant};

use crate::options::Options;
use crate::process;
use crate::report::Report;

/// Started when the server is at rest, read when it is at rest again.
#[derive(Debug)]
pub(crate) struct Meter {
    pid: Option<u32>,
    server: Option<Duration>,
    own: Option<Duration>,
    started: Instant,
}

impl Meter {
    pub(crate) fn start(pid: Option<u32>) -> Meter {
        let own = process::cpu_time(std::process::id());
        Meter {
            pid,
            server: pid.and_then(process::cpu_time),
            own,
            started: Instant::now(),
        }
    }

    /// The report without latencies and memory. Reads the clock first.
    pub(crate) fn report(self, options: &Options, unit: &str, count: u64) -> Report {
        let seconds = self.started.elapsed().as_secs_f64();
        let spent = |pid: u32, before: Option<Duration>| {
            let spent = process::cpu_time(pid)?.saturating_sub(before?);
            Some(spent.as_secs_f64() * 1e6 / count.max(1) as f64)
        };
        Report {
            work: options.work.name().to_owned(),
            unit: unit.to_owned(),
            count,
            seconds,
            per_second: count as f64 / seconds,
            server_cpu_us: self.pid.and_then(|pid| spent(pid, self.server)),
            load_cpu_us: spent(std::process::id(), self.own).unwrap_or(0.0),
            latency: None,
            bytes: None,
        }
    }
}
