//! What the process uses of the machine: processor time and memory.

use std::io;
use std::path::Path;
use std::time::Duration;

use super::{Disk, Instant};

/// Ticks of `/proc` in a second: the same on every Linux, whatever its kernel's own clock is.
const TICKS: f64 = 100.0;

/// Shortest time over which processor time is averaged: a tick is 10 ms.
const WINDOW: Duration = Duration::from_secs(1);

/// What the process uses.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Usage {
    /// Processor time in percent of one core, so that two busy cores are 200.
    pub cpu_percent: f64,
    /// Memory in use, in bytes.
    pub resident_bytes: u64,
    /// Address space, in bytes.
    pub virtual_bytes: u64,
}

/// Measures the process that it lives in. Costs nothing between two readings.
#[derive(Debug, Default)]
pub struct UsageMeter {
    cpu_percent: f64,
    /// When, and how much processor time had been used by then, in ticks.
    last: Option<(Instant, u64)>,
}

impl UsageMeter {
    /// Reads two or three small files of `/proc` from an [`Env`](super::Env)'s disk, which takes some tens of
    /// microseconds; `now` is its monotonic time. Processor time is the average since the reading
    /// before, and at first since the process began; within a second it stays as it was.
    ///
    /// # Errors
    /// The machine has no `/proc`, or not the one of Linux.
    pub fn read(&mut self, disk: &dyn Disk, now: Instant) -> io::Result<Usage> {
        let text = |path: &str| {
            disk.read(Path::new(path))
                .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        };
        let stat = Stat::of(&text("/proc/self/stat")?).ok_or(io::ErrorKind::Unsupported)?;
        let status = text("/proc/self/status")?;
        match self.last {
            Some((at, ticks)) if now.duration_since(at) >= WINDOW => {
                self.cpu_percent = percent(
                    stat.ticks.saturating_sub(ticks),
                    now.duration_since(at).as_secs_f64(),
                );
                self.last = Some((now, stat.ticks));
            }
            Some(_) => {}
            None => {
                let uptime = text("/proc/uptime")?;
                let uptime: f64 = uptime
                    .split_whitespace()
                    .next()
                    .and_then(|seconds| seconds.parse().ok())
                    .ok_or(io::ErrorKind::Unsupported)?;
                self.cpu_percent = percent(stat.ticks, uptime - stat.started as f64 / TICKS);
                self.last = Some((now, stat.ticks));
            }
        }
        Ok(Usage {
            cpu_percent: self.cpu_percent,
            resident_bytes: kibibytes(&status, "VmRSS:").unwrap_or(0) * 1024,
            virtual_bytes: stat.virtual_bytes,
        })
    }
}

/// What counts of `/proc/self/stat`.
struct Stat {
    /// Processor time used, in ticks.
    ticks: u64,
    /// When the process began, in ticks since the machine did.
    started: u64,
    virtual_bytes: u64,
}

impl Stat {
    /// `<pid> (<name>) <state> ..`, where the name may hold anything; the state is field 3.
    fn of(text: &str) -> Option<Self> {
        let (_, fields) = text.rsplit_once(')')?;
        let fields: Vec<&str> = fields.split_whitespace().collect();
        let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
        Some(Self {
            ticks: field(14)?.checked_add(field(15)?)?,
            started: field(22)?,
            virtual_bytes: field(23)?,
        })
    }
}

/// `VmRSS:      1234 kB`
fn kibibytes(status: &str, key: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(key))?;
    line.split_whitespace().next()?.parse().ok()
}

fn percent(ticks: u64, seconds: f64) -> f64 {
    match seconds > 0.0 {
        true => ticks as f64 / TICKS / seconds * 100.0,
        false => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::super::{MemoryDisk, SystemDisk};
    use super::*;

    /// A process called `a) (b` that has used `ticks`, on a machine that is up for 100 seconds.
    fn machine(ticks: u64) -> MemoryDisk {
        let zeros = "0 ".repeat(10);
        let user = ticks - 1;
        let stat = format!("7 (a) (b) S {zeros}{user} 1 0 0 20 0 3 0 5000 4096000 250 0");
        MemoryDisk::with_files([
            ("/proc/self/stat", stat.as_str()),
            (
                "/proc/self/status",
                "Name:\ta\nVmSize:\t    4000 kB\nVmRSS:\t     1000 kB\n",
            ),
            ("/proc/uptime", "100.00 350.00\n"),
        ])
    }

    // [TestPSEmulationCPU]: at first as `ps` has it, over the life of the process; then over the last second or more.
    #[tokio::test(start_paused = true)]
    async fn processor_time_is_averaged_since_the_reading_before() {
        let (start, mut meter) = (Instant::now(), UsageMeter::default());
        let mut read = |ticks, seconds| {
            let now = start + Duration::from_secs_f64(seconds);
            meter.read(&machine(ticks), now).unwrap().cpu_percent
        };
        // It began 50 seconds ago and has used 5.
        assert_eq!(read(500, 0.0), 10.0);
        assert_eq!(read(600, 0.5), 10.0, "within the window");
        assert_eq!(read(900, 2.0), 200.0, "two cores");
        assert_eq!(read(900, 3.0), 0.0);
    }

    // [TestPSEmulationMem]
    #[tokio::test(start_paused = true)]
    async fn memory_is_in_bytes() {
        let usage = UsageMeter::default().read(&machine(1), Instant::now()).unwrap();
        assert_eq!(
            (usage.resident_bytes, usage.virtual_bytes),
            (1_024_000, 4_096_000)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_machine_without_proc_is_told() {
        let none = MemoryDisk::default();
        assert!(UsageMeter::default().read(&none, Instant::now()).is_err());
        let odd = MemoryDisk::with_files([("/proc/self/stat", "7 (a) S 1"), ("/proc/self/status", "")]);
        let error = UsageMeter::default().read(&odd, Instant::now()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::Unsupported);
    }

    // [TestPSEmulationMem]: against another of the system's own accounts of it.
    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn the_own_process_is_measured_as_the_system_does() {
        let usage = UsageMeter::default().read(&SystemDisk, Instant::now()).unwrap();
        let pages = String::from_utf8(SystemDisk.read(Path::new("/proc/self/statm")).unwrap()).unwrap();
        let pages: Vec<f64> = pages
            .split_whitespace()
            .map(|pages| pages.parse().unwrap())
            .collect();
        // Resident pages are counted in batches; the address space is exact, but for what another test maps meanwhile.
        let page = usage.virtual_bytes as f64 / pages[0];
        let ratio = usage.resident_bytes as f64 / (pages[1] * page);
        assert!((0.5..2.0).contains(&ratio), "{usage:?} {pages:?}");
        assert!(usage.cpu_percent >= 0.0);
    }
}
