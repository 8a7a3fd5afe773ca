//! `--signal`: tells a running broker something (CORE-137).

use std::path::Path;

use dunlin_api::{Disk, SystemDisk};
use rustix::process::{Pid, Signal, kill_process};

/// Names that a broker's process may have.
const EXECUTABLES: [&str; 2] = ["dunlin", "nats-server"];

/// Why no signal was sent. `Display` is the reference's text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignalError {
    /// There is no such signal.
    #[error("unknown signal {0:?}")]
    UnknownSignal(String),
    /// The target is no pid, and no file that holds one.
    #[error("invalid pid: {0}")]
    InvalidPid(String),
    /// Nothing to signal.
    #[error("no nats-server processes running")]
    NoneRunning,
    /// More than one, and none was named.
    #[error("multiple nats-server processes running:\n{0}")]
    Several(String),
    /// The system refused, for each of these.
    #[error("{0}")]
    Refused(String),
}

/// Sends the signal called `name` to `target`: a pid, a pattern that ends in `*`, a pid file, or, when empty, the only
/// broker that runs on this machine.
///
/// # Errors
/// See [`SignalError`].
pub fn send_signal(name: &str, target: &str) -> Result<(), SignalError> {
    let signal = signal_of(name).ok_or_else(|| SignalError::UnknownSignal(name.to_owned()))?;
    let mut refused = String::new();
    for pid in targets(target)? {
        let sent = Pid::from_raw(pid).map_or(Err(rustix::io::Errno::SRCH), |to| kill_process(to, signal));
        if let Err(error) = sent {
            refused.push_str(&format!("\nsignal {name:?} {pid}: {error}"));
        }
    }
    if refused.is_empty() {
        Ok(())
    } else {
        Err(SignalError::Refused(refused))
    }
}

fn signal_of(name: &str) -> Option<Signal> {
    Some(match name {
        "stop" => Signal::KILL,
        "quit" => Signal::INT,
        "reopen" => Signal::USR1,
        "reload" => Signal::HUP,
        "ldm" => Signal::USR2,
        "term" => Signal::TERM,
        _ => return None,
    })
}

fn targets(target: &str) -> Result<Vec<i32>, SignalError> {
    if let Some(prefix) = target.strip_suffix('*') {
        let mut pids = running();
        pids.retain(|pid| pid.to_string().starts_with(prefix));
        return if pids.is_empty() {
            Err(SignalError::NoneRunning)
        } else {
            Ok(pids)
        };
    }
    if target.is_empty() {
        let pids = running();
        return match pids.len() {
            0 => Err(SignalError::NoneRunning),
            1 => Ok(pids),
            _ => Err(SignalError::Several(
                pids.iter().map(i32::to_string).collect::<Vec<_>>().join("\n"),
            )),
        };
    }
    let text = match target.parse::<i32>() {
        Ok(_) => target.to_owned(),
        Err(_) => SystemDisk
            .read(Path::new(target))
            .ok()
            .and_then(|bytes| String::from_utf8(bytes).ok())
            .ok_or_else(|| SignalError::InvalidPid(target.to_owned()))?,
    };
    // A pid file may end in a line feed (CORE-P3).
    let pid = text.trim().parse::<i32>().ok().filter(|pid| *pid > 0);
    Ok(vec![pid.ok_or_else(|| {
        SignalError::InvalidPid(text.trim().to_owned())
    })?])
}

/// Brokers on this machine, this process excepted.
fn running() -> Vec<i32> {
    let own = i32::try_from(std::process::id()).unwrap_or(0);
    let mut pids: Vec<i32> = SystemDisk
        .list(Path::new("/proc"))
        .unwrap_or_default()
        .iter()
        .filter_map(|entry| entry.file_name()?.to_str()?.parse().ok())
        .filter(|pid| *pid != own && is_broker(*pid))
        .collect();
    pids.sort_unstable();
    pids
}

fn is_broker(pid: i32) -> bool {
    let executable = std::fs::read_link(format!("/proc/{pid}/exe")).unwrap_or_default();
    let name = executable
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    EXECUTABLES.contains(&name.trim_end_matches(" (deleted)"))
}

#[cfg(test)]
mod tests {
    use super::*;

    // CORE-137 [TestProcessSignalUnknownSignal, TestProcessSignalInvalidPid]
    #[test]
    fn unknown_signals_and_pids_are_named() {
        assert_eq!(
            send_signal("invalid", "123").unwrap_err().to_string(),
            "unknown signal \"invalid\""
        );
        assert_eq!(
            send_signal("quit", "abc").unwrap_err().to_string(),
            "invalid pid: abc"
        );
    }

    // CORE-P3
    #[test]
    fn a_pid_file_may_end_in_a_line_feed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pid");
        Disk::replace(&SystemDisk, &path, b"4711\n").unwrap();
        assert_eq!(targets(path.to_str().unwrap()), Ok(vec![4711]));
    }
}
