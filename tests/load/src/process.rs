//! What a process costs, read from `/proc`: processor time and memory.
//!
//! Everything is `None` where the system has no such file; nothing here fails.

use std::fs;
use std::time::Duration;

/// Processor time, user and system, that the process has used since its start.
///
/// The scheduler's figures of all living threads, in nanoseconds. A thread that has ended is missing there, so when
/// the coarse total of the process (in clock ticks) says clearly more, that one counts.
#[must_use]
pub fn cpu_time(pid: u32) -> Option<Duration> {
    let coarse = ticks(pid);
    let fine = scheduled(pid);
    match (fine, coarse) {
        (Some(fine), Some(coarse)) if coarse > fine + 2 * tick() => Some(coarse),
        (Some(fine), _) => Some(fine),
        (None, coarse) => coarse,
    }
}

/// Resident memory of the process in bytes.
#[must_use]
pub fn resident_bytes(pid: u32) -> Option<u64> {
    let kib = match fs::read_to_string(format!("/proc/{pid}/smaps_rollup")) {
        Ok(text) => text.lines().find_map(|line| {
            line.strip_prefix("Rss:")?
                .trim()
                .strip_suffix("kB")?
                .trim()
                .parse::<u64>()
                .ok()
        }),
        Err(_) => None,
    };
    kib.map(|kib| kib * 1024)
        .or_else(|| status_kib(pid).map(|kib| kib * 1024))
}

fn status_kib(pid: u32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    text.lines().find_map(|line| {
        line.strip_prefix("VmRSS:")?
            .trim()
            .strip_suffix("kB")?
            .trim()
            .parse()
            .ok()
    })
}

fn scheduled(pid: u32) -> Option<Duration> {
    let mut total = 0_u64;
    for task in fs::read_dir(format!("/proc/{pid}/task")).ok()? {
        // A thread may end between the listing and the reading.
        let Ok(text) = fs::read_to_string(task.ok()?.path().join("schedstat")) else {
            continue;
        };
        total += text.split_whitespace().next()?.parse::<u64>().ok()?;
    }
    Some(Duration::from_nanos(total))
}

fn ticks(pid: u32) -> Option<Duration> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the command in parentheses and may hold blanks; user and system time are the fields 14 and 15.
    let (_, rest) = text.rsplit_once(") ")?;
    let mut fields = rest.split_whitespace().skip(11);
    let user: u32 = fields.next()?.parse().ok()?;
    let system: u32 = fields.next()?.parse().ok()?;
    Some(tick() * (user + system))
}

/// Linux shows its times to programs in hundredths of a second, whatever the kernel's own tick is.
fn tick() -> Duration {
    Duration::from_millis(10)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn own_process_has_used_time_and_memory() {
        let pid = std::process::id();
        let before = cpu_time(pid).unwrap();
        while cpu_time(pid).unwrap() <= before {}
        assert!(resident_bytes(pid).unwrap() > 100 * 1024);
    }

    #[test]
    fn process_that_does_not_exist_costs_nothing_known() {
        assert_eq!(cpu_time(u32::MAX), None);
        assert_eq!(resident_bytes(u32::MAX), None);
    }
}
