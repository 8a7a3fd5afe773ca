//! `--signal`: tells a running broker something (CORE-137).

use std::io;
use std::path::Path;

use dunlin_api::Disk;
use dunlin_api::system_error::reason;
use dunlin_config::quote;
use rustix::process::{Pid, Signal, kill_process};

use crate::Program;

/// Names that a broker's process may have.
const BROKERS: [&str; 2] = ["dunlin", "nats-server"];

/// Why no signal was sent. `Display` is the reference's text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignalError {
    /// There is no such signal.
    #[error("unknown signal {}", quote(.0))]
    UnknownSignal(String),
    /// The target is no pid, and no file that holds one.
    #[error("invalid pid: {0}")]
    InvalidPid(String),
    /// Nothing to signal.
    #[error("no {} processes running", .0.name())]
    NoneRunning(Program),
    /// More than one, and none was named.
    #[error("multiple {} processes running:{}", .0.name(), lines(.1))]
    Several(Program, Vec<i32>),
    /// The processes of this machine cannot be listed.
    #[error("unable to resolve pid, try providing one")]
    Unresolved,
    /// The system refused, for each of these.
    #[error("{0}")]
    Refused(String),
}

/// Sends the signal called `name` to `target`: a pid, a pattern that ends in `*`, a pid file, or, when empty, the only
/// broker that runs on this machine, which is a process called `dunlin` or `nats-server`. `disk` holds the pid file
/// and `/proc`; errors speak of `program`.
///
/// # Errors
/// See [`SignalError`].
pub fn send_signal(name: &str, target: &str, program: Program, disk: &dyn Disk) -> Result<(), SignalError> {
    let running = || running(disk, i32::try_from(std::process::id()).unwrap_or(0));
    send(name, &read_pid_file(target, disk), program, &running, &mut kill)
}

fn send(
    name: &str,
    target: &str,
    program: Program,
    running: &dyn Fn() -> Result<Vec<i32>, SignalError>,
    kill: &mut dyn FnMut(i32, Signal) -> io::Result<()>,
) -> Result<(), SignalError> {
    let pids = targets(target, program, running)?;
    let signal = signal_of(name).ok_or_else(|| SignalError::UnknownSignal(name.to_owned()))?;
    let mut refused = String::new();
    for pid in pids {
        if let Err(error) = kill(pid, signal) {
            refused.push_str(&format!("\nsignal {} {pid}: {}", quote(name), reason(&error)));
        }
    }
    match refused.is_empty() {
        true => Ok(()),
        false => Err(SignalError::Refused(refused)),
    }
}

fn kill(pid: i32, signal: Signal) -> io::Result<()> {
    let pid = Pid::from_raw(pid).ok_or(io::ErrorKind::InvalidInput)?;
    Ok(kill_process(pid, signal)?)
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

/// What a pid file of that name holds, without the line feed that an editor leaves (CORE-P3); else the name itself.
fn read_pid_file(target: &str, disk: &dyn Disk) -> String {
    if target.is_empty() {
        return String::new();
    }
    match disk.read(Path::new(target)) {
        Ok(content) => String::from_utf8_lossy(&content).trim().to_owned(),
        Err(_) => target.to_owned(),
    }
}

fn targets(
    target: &str,
    program: Program,
    running: &dyn Fn() -> Result<Vec<i32>, SignalError>,
) -> Result<Vec<i32>, SignalError> {
    let (digits, is_pattern) = match target.strip_suffix('*') {
        Some(prefix) => (prefix, true),
        None => (target, false),
    };
    if !digits.is_empty() {
        // Zero and below would be whole groups of processes.
        let pid = digits.parse::<i32>().ok().filter(|pid| *pid > 0);
        let pid = pid.ok_or_else(|| SignalError::InvalidPid(digits.to_owned()))?;
        if !is_pattern {
            return Ok(vec![pid]);
        }
    }
    let mut pids = running()?;
    if pids.is_empty() {
        return Err(SignalError::NoneRunning(program));
    }
    if pids.len() > 1 && !is_pattern {
        return Err(SignalError::Several(program, pids));
    }
    pids.retain(|pid| pid.to_string().starts_with(digits));
    Ok(pids)
}

/// Brokers on this machine but `own`, as `/proc` has them.
fn running(disk: &dyn Disk, own: i32) -> Result<Vec<i32>, SignalError> {
    let entries = disk
        .list(Path::new("/proc"))
        .map_err(|_| SignalError::Unresolved)?;
    let pids = entries
        .iter()
        .filter_map(|entry| entry.file_name()?.to_str()?.parse().ok());
    let mut pids: Vec<i32> = pids.filter(|pid| *pid != own).collect();
    // A process that has ended meanwhile has no state, and is none.
    pids.retain(|pid| {
        disk.read(Path::new(&format!("/proc/{pid}/stat")))
            .is_ok_and(|stat| is_broker(&stat))
    });
    pids.sort_unstable();
    Ok(pids)
}

/// `<pid> (<name>) <state> ..`, where the name may hold anything. Zombies run no more.
fn is_broker(stat: &[u8]) -> bool {
    let stat = String::from_utf8_lossy(stat);
    let Some((_, rest)) = stat.split_once('(') else {
        return false;
    };
    let Some((name, rest)) = rest.rsplit_once(')') else {
        return false;
    };
    BROKERS.contains(&name) && !rest.trim_start().starts_with(['Z', 'X'])
}

fn lines(pids: &[i32]) -> String {
    pids.iter().map(|pid| format!("\n{pid}")).collect()
}

#[cfg(test)]
mod tests {
    use dunlin_api::MemoryDisk;

    use super::*;

    /// What is sent when `pids` are running.
    fn sent(name: &str, target: &str, pids: &[i32]) -> Result<Vec<(i32, Signal)>, String> {
        let mut sent = Vec::new();
        let running = || Ok(pids.to_vec());
        let mut kill = |pid, signal| {
            sent.push((pid, signal));
            Ok(())
        };
        let result = send(name, target, Program::NatsServer, &running, &mut kill);
        result.map(|()| sent).map_err(|error| error.to_string())
    }

    fn check_error(name: &str, target: &str, pids: &[i32], expected: &str) {
        assert_eq!(sent(name, target, pids), Err(expected.to_owned()));
    }

    // CORE-137 [TestProcessSignalNoProcesses]
    #[test]
    fn nobody_to_signal_is_an_error() {
        check_error("stop", "", &[], "no nats-server processes running");
        check_error("stop", "*", &[], "no nats-server processes running");
    }

    // CORE-137 [TestProcessSignalMultipleProcesses]
    #[test]
    fn several_brokers_are_listed_and_none_is_signalled() {
        let expected = "multiple nats-server processes running:\n123\n456";
        check_error("stop", "", &[123, 456], expected);
    }

    // CORE-137 [TestProcessSignalMultipleProcessesGlob]
    #[test]
    fn a_star_means_all_and_each_failure_has_a_line() {
        assert_eq!(
            sent("stop", "*", &[123, 456]),
            Ok(vec![(123, Signal::KILL), (456, Signal::KILL)])
        );
        let running = || Ok(vec![123, 456]);
        let mut kill = |_, _| Err(io::Error::from_raw_os_error(3));
        let error = send("stop", "*", Program::NatsServer, &running, &mut kill)
            .unwrap_err()
            .to_string();
        assert_eq!(
            error,
            "\nsignal \"stop\" 123: no such process\nsignal \"stop\" 456: no such process"
        );
    }

    // CORE-137 [TestProcessSignalMultipleProcessesGlobPartial]
    #[test]
    fn a_pattern_means_the_pids_that_begin_so() {
        assert_eq!(
            sent("stop", "12*", &[123, 124, 456]),
            Ok(vec![(123, Signal::KILL), (124, Signal::KILL)])
        );
    }

    // CORE-137 [TestProcessSignalPgrepError]
    #[test]
    fn without_a_list_of_processes_a_pid_is_asked_for() {
        struct NoProc;
        impl Disk for NoProc {
            fn open(&self, _: &Path, _: dunlin_api::OpenMode) -> io::Result<Box<dyn dunlin_api::DiskFile>> {
                Err(io::ErrorKind::NotFound.into())
            }
            fn create_dir(&self, _: &Path) -> io::Result<()> {
                Ok(())
            }
            fn list(&self, _: &Path) -> io::Result<Vec<std::path::PathBuf>> {
                Err(io::ErrorKind::NotFound.into())
            }
            fn rename(&self, _: &Path, _: &Path) -> io::Result<()> {
                Ok(())
            }
            fn remove_dir(&self, _: &Path) -> io::Result<()> {
                Ok(())
            }
            fn remove(&self, _: &Path) -> io::Result<()> {
                Ok(())
            }
            fn sync_dir(&self, _: &Path) -> io::Result<()> {
                Ok(())
            }
        }
        let error = send_signal("stop", "", Program::Dunlin, &NoProc).unwrap_err();
        assert_eq!(error.to_string(), "unable to resolve pid, try providing one");
    }

    // CORE-137 [TestProcessSignalResolveSingleProcess]
    #[test]
    fn the_only_broker_needs_no_pid() {
        assert_eq!(sent("stop", "", &[123]), Ok(vec![(123, Signal::KILL)]));
    }

    // CORE-137 [TestProcessSignalInvalidCommand]
    #[test]
    fn an_unknown_signal_is_refused() {
        check_error("invalid", "123", &[], "unknown signal \"invalid\"");
    }

    // CORE-137 [TestProcessSignalInvalidPid]
    #[test]
    fn what_is_no_pid_is_refused() {
        for target in ["abc", "0x1", "0", "-5", "99999999999"] {
            check_error("stop", target, &[], &format!("invalid pid: {target}"));
        }
    }

    // CORE-137 [TestProcessSignalQuitProcess, TestProcessSignalTermProcess, TestProcessSignalReopenProcess,
    // TestProcessSignalReloadProcess, TestProcessSignalLameDuckMode]
    #[test]
    fn each_command_has_its_signal() {
        for (name, signal) in [
            ("stop", Signal::KILL),
            ("quit", Signal::INT),
            ("term", Signal::TERM),
            ("reopen", Signal::USR1),
            ("reload", Signal::HUP),
            ("ldm", Signal::USR2),
        ] {
            assert_eq!(sent(name, "123", &[]), Ok(vec![(123, signal)]), "{name}");
        }
    }

    // CORE-P3
    #[test]
    fn a_pid_file_may_end_in_a_line_feed() {
        let disk = MemoryDisk::with_files([("/run/nats.pid", "4711\n")]);
        assert_eq!(read_pid_file("/run/nats.pid", &disk), "4711");
        assert_eq!(read_pid_file("4711", &disk), "4711");
    }

    // CORE-137
    #[test]
    fn only_living_brokers_other_than_this_process_are_found() {
        let disk = MemoryDisk::with_files([
            ("/proc/5/stat", "5 (nats-server) S 1 5 5"),
            ("/proc/12/stat", "12 (dunlin) R 1 12 12"),
            ("/proc/123/stat", "123 (dunlin) S 1 123 123"),
            ("/proc/6/stat", "6 (dunlin) Z 1 6 6"),
            ("/proc/7/stat", "7 (dunlin-load) S 1 7 7"),
            ("/proc/8/stat", "8 (x) (dunlin) S 1 8 8"),
            ("/proc/9/stat", ""),
            ("/proc/meminfo", "dunlin"),
            ("/proc/12x/stat", "12 (dunlin) R"),
        ]);
        assert_eq!(running(&disk, 12), Ok(vec![5, 123]));
    }
}
