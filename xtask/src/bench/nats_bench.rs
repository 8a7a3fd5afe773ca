//! The same comparison driven by `nats bench` of the CLI: what a user's own benchmark shows.
//!
//! Its Go clients cost more than either server, so messages a second say little here. The server's processor time does.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::{Duration, Instant};

use dunlin_load::process::cpu_time;
use dunlin_load::report::Report;

use super::options::Options;
use super::server::Server;
use super::table::Row;
use super::works::Work;
use super::{Sides, measure};

/// What runs beside the measured command, what is measured, and how often it does its thing.
struct Plan {
    work: Work,
    beside: &'static str,
    /// How many lines of `beside` say that one of its clients starts.
    clients: usize,
    command: &'static str,
    messages: u64,
    /// Messages, deliveries or requests: what a cost is divided by, per message of the command.
    each: u64,
}

const PLANS: &[Plan] = &[
    Plan {
        work: Work::other("nats-pub-16", "nats bench pub, 16 B"),
        beside: "",
        clients: 0,
        command: "pub load --size 16",
        messages: 2_000_000,
        each: 1,
    },
    Plan {
        work: Work::other("nats-pubsub-128", "nats bench pub → sub, 128 B"),
        beside: "sub load --size 128",
        clients: 1,
        command: "pub load --size 128",
        messages: 1_000_000,
        each: 1,
    },
    Plan {
        work: Work::other("nats-fanout-8", "nats bench pub → 8 × sub, 128 B, per delivery"),
        beside: "sub load --size 128 --clients 8",
        clients: 8,
        command: "pub load --size 128",
        messages: 200_000,
        each: 8,
    },
    Plan {
        work: Work::other("nats-request", "nats bench service request, one in flight"),
        beside: "service serve load --size 128",
        clients: 1,
        command: "service request load --size 128",
        messages: 10_000,
        each: 1,
    },
];

/// Measures everything that `--only` selects.
pub(super) fn rows(options: &Options, sides: &Sides) -> Result<Vec<Row>, String> {
    let nats = options
        .nats
        .clone()
        .unwrap_or_else(|| options.target.join("tools/nats"));
    if !nats.exists() {
        return Err(format!(
            "no nats CLI at {}: give it with --nats PATH",
            nats.display()
        ));
    }
    let starts: Vec<&str> = options
        .only
        .as_deref()
        .unwrap_or("")
        .split(',')
        .map(str::trim)
        .collect();
    let wanted = |plan: &&Plan| starts.iter().any(|start| plan.work.name.starts_with(start));
    let plans: Vec<&Plan> = PLANS.iter().filter(wanted).collect();
    let works: Vec<Work> = plans.iter().map(|plan| plan.work).collect();
    Ok(measure(options, &works, sides, |work, server| {
        let plan = plans.iter().find(|plan| plan.work.name == work.name);
        plan.ok_or_else(|| "no such plan".to_owned())?.run(&nats, server)
    }))
}

impl Plan {
    fn run(&self, nats: &Path, server: &Server) -> Result<Report, String> {
        let mut beside = match self.beside {
            "" => None,
            args => Some(Beside::start(nats, server, args, self)?),
        };
        let pid = server.pid();
        let before = cpu_time(pid);
        let started = Instant::now();
        let output = command(nats, server, self.command, self.messages).output();
        let output = output.map_err(|error| format!("{}: {error}", nats.display()))?;
        if !output.status.success() {
            return Err(format!(
                "nats bench {}: {}",
                self.command,
                String::from_utf8_lossy(&output.stderr).trim()
            ));
        }
        let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
        if let Some(beside) = &mut beside {
            text.push_str(&beside.finish()?);
        }
        let spent = cpu_time(pid)
            .zip(before)
            .map(|(after, before)| after.saturating_sub(before));
        let count = self.messages * self.each;
        Ok(Report {
            work: self.work.name.to_owned(),
            unit: "message".to_owned(),
            count,
            seconds: started.elapsed().as_secs_f64(),
            per_second: rate(&text).ok_or("nats bench printed no messages a second")?,
            server_cpu_us: spent.map(|spent| spent.as_secs_f64() * 1e6 / count as f64),
            load_cpu_us: 0.0,
            latency: None,
            bytes: None,
        })
    }
}

fn command(nats: &Path, server: &Server, args: &str, messages: u64) -> Command {
    let mut command = Command::new(nats);
    command.arg("bench").args(args.split_whitespace());
    command.args(["--msgs", &messages.to_string(), "--no-progress", "--no-context"]);
    command.args(["--server", &format!("nats://{}", server.address)]);
    command.stdin(Stdio::null());
    command
}

/// The other half of a benchmark: subscribers or a service. Ended when dropped.
struct Beside {
    process: Child,
    /// A service serves for ever, subscribers end with their last message.
    ends: bool,
    program: PathBuf,
    /// Kept open: a Go program that writes to a closed standard error dies of it.
    _stderr: Option<BufReader<ChildStderr>>,
}

impl Beside {
    /// Returns when every client has said that it starts and had a moment to subscribe.
    fn start(nats: &Path, server: &Server, args: &str, plan: &Plan) -> Result<Beside, String> {
        let failed = |error: std::io::Error| format!("{}: {error}", nats.display());
        let mut command = command(nats, server, args, plan.messages);
        let mut process = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(failed)?;
        let mut stderr = process.stderr.take().map(BufReader::new);
        let starting = stderr.as_mut().map_or(0, |stderr| {
            let said = stderr.lines().map_while(Result::ok);
            said.filter(|line| line.contains("] Starting"))
                .take(plan.clients)
                .count()
        });
        let ends = args.starts_with("sub");
        let beside = Beside {
            process,
            ends,
            program: nats.to_owned(),
            _stderr: stderr,
        };
        if starting < plan.clients {
            return Err(format!("nats bench {args} ended early"));
        }
        // It subscribes after it said so; the CLI offers nothing to wait for.
        std::thread::sleep(Duration::from_millis(500));
        Ok(beside)
    }

    /// The rest of what it prints.
    fn finish(&mut self) -> Result<String, String> {
        let mut text = String::new();
        if self.ends {
            let failed = |error: std::io::Error| format!("{}: {error}", self.program.display());
            if let Some(stdout) = &mut self.process.stdout {
                stdout.read_to_string(&mut text).map_err(failed)?;
            }
            let status = self.process.wait().map_err(failed)?;
            if !status.success() {
                return Err(format!("the subscribers ended with {status}"));
            }
        }
        Ok(text)
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to do.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The last `stats: 4,737,363 msgs/sec`: the subscribers' where there are any, the sum where there are several.
fn rate(text: &str) -> Option<f64> {
    text.lines().rev().find_map(|line| {
        let (number, _) = line.split_once(" stats: ")?.1.split_once(" msgs/sec")?;
        number.replace(',', "").parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rate_is_that_of_the_last_summary() {
        let text = "NATS Core NATS publisher stats: 4,737 msgs/sec ~ 72 MiB/sec\n [1] 2 msgs/sec\n\
                    NATS Core NATS subscriber aggregated stats: 1,615,919 msgs/sec ~ 197 MiB/sec\n";
        assert_eq!(rate(text), Some(1_615_919.0));
        assert_eq!(rate("nothing"), None);
    }
}
