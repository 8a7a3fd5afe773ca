//! The list of workloads and their goals.

use std::path::Path;
use std::process::{Command, Stdio};

use dunlin_load::report::Report;

use super::server::Server;

/// Which figure of a report is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Figure {
    /// Server processor time per unit.
    Cpu,
    /// Server memory per unit.
    Memory,
    /// Units per second: here more is better.
    Rate,
    /// The median latency.
    Median,
    /// The latency that 99 % keep.
    Tail,
    /// From the start of the process to the first accepted connection.
    Start,
    /// Bytes of the program's file.
    Size,
}

impl Figure {
    /// Whether a ratio above the goal is good.
    pub(super) fn more_is_better(self) -> bool {
        self == Figure::Rate
    }
}

/// One line of the table.
#[derive(Clone, Copy, Debug)]
pub(super) struct Work {
    /// For `--only` and the JSON.
    pub(super) name: &'static str,
    /// For people.
    pub(super) title: &'static str,
    pub(super) figure: Figure,
    /// The ratio to the reference that separates good from bad.
    pub(super) goal: Option<f64>,
    /// Arguments of `dunlin-load`.
    pub(super) args: &'static str,
    /// The servers' configuration, in a syntax that both read.
    pub(super) config: &'static str,
}

/// Users of one account with permissions on both sides.
const PERMISSIONS: &str = r#"
authorization {
  users = [
    { user: pub, password: pub, permissions: { publish: { allow: ["load", "other.>"], deny: ["secret.>"] } } }
    { user: sub, password: sub, permissions: { subscribe: { allow: ["load", "other.>"], deny: ["secret.>"] } } }
  ]
}
"#;

const TLS: &str = "tls { cert_file: \"tls.pem\", key_file: \"tls.key\" }\n";

const MAPPING: &str = "mappings { load: mapped }\n";

/// Two accounts; the load goes through the second.
const ACCOUNTS: &str = r#"
accounts {
  ONE { users = [ { user: one, password: one } ] }
  TWO { users = [ { user: two, password: two } ] }
}
"#;

/// All workloads. Where no size is named it is 128 bytes.
const ALL: &[Work] = &[
    cpu("publish-16", "publish only, 16 B", 0.25, "pub --size 16"),
    cpu("publish-1024", "publish only, 1 KiB", 0.40, "pub --size 1024"),
    cpu("publish-16384", "publish only, 16 KiB", 0.60, "pub --size 16384"),
    cpu(
        "publish-subjects",
        "publish only, 16 B, 10,000 subjects in turn",
        0.45,
        "pub --size 16 --subjects 10000",
    ),
    cpu("pubsub-128", "publish → 1 subscriber, 128 B", 0.20, "pubsub"),
    cpu(
        "pubsub-8192",
        "publish → 1 subscriber, 8 KiB",
        0.50,
        "pubsub --size 8192",
    ),
    cpu(
        "pubsub-subjects",
        "publish → 1 subscriber, 10,000 subjects in turn",
        0.45,
        "pubsub --subjects 10000",
    ),
    cpu(
        "pubsub-4to4",
        "4 publishers → 4 subscribers, per delivery",
        0.25,
        "pubsub --publishers 4 --subscribers 4",
    ),
    cpu(
        "queue-4to4",
        "4 publishers → queue group of 4",
        0.30,
        "queue --publishers 4 --subscribers 4",
    ),
    cpu(
        "fanout-8",
        "fan-out 1 → 8, per delivery",
        0.16,
        "pubsub --subscribers 8",
    ),
    cpu(
        "fanout-200",
        "fan-out 1 → 200, per delivery",
        0.32,
        "pubsub --subscribers 200 --buffer 4096",
    ),
    cpu(
        "fanout-1000",
        "fan-out 1 → 1,000, per delivery",
        0.35,
        "pubsub --subscribers 1000 --buffer 4096",
    ),
    cpu("tls", "publish → 1 subscriber with TLS 1.3", 0.60, "pubsub --tls").with(TLS),
    cpu(
        "permissions",
        "publish → 1 subscriber, permissions on both sides",
        0.25,
        "pubsub --login pub:pub --subscriber-login sub:sub",
    )
    .with(PERMISSIONS),
    cpu(
        "mapping",
        "publish → 1 subscriber through a mapping",
        0.35,
        "pubsub --delivered-as mapped",
    )
    .with(MAPPING),
    cpu(
        "account",
        "publish → 1 subscriber in a second account",
        0.22,
        "pubsub --login two:two",
    )
    .with(ACCOUNTS),
    cpu("request-1", "request–reply, one in flight", 0.45, "request"),
    cpu(
        "request-32",
        "request–reply, 32 clients with one in flight",
        0.45,
        "request --subscribers 32",
    ),
    work(
        "request-32-p99",
        "request–reply, 32 clients: p99",
        Figure::Tail,
        1.0,
        "request --subscribers 32",
    ),
    cpu("trickle-200", "200 connections × 100 msg/s", 0.45, "trickle"),
    work(
        "trickle-200-p99",
        "200 connections × 100 msg/s: p99",
        Figure::Tail,
        1.0,
        "trickle",
    ),
    work(
        "half-p50",
        "600,000 msg/s → 1 subscriber: p50",
        Figure::Median,
        0.7,
        "pubsub --rate 600000",
    ),
    work(
        "half-p99",
        "600,000 msg/s → 1 subscriber: p99",
        Figure::Tail,
        1.0,
        "pubsub --rate 600000",
    ),
    work(
        "connect-8",
        "connections, 8 at a time",
        Figure::Rate,
        1.5,
        "connect",
    ),
    work(
        "handshake-8",
        "TLS handshakes, 8 at a time",
        Figure::Rate,
        1.5,
        "connect --tls",
    )
    .with(TLS),
    work(
        "subscribe",
        "subscriptions, while adding 500,000",
        Figure::Rate,
        3.0,
        "subs --count 500000",
    ),
    work(
        "subs-500000",
        "subscription, of 500,000 on one connection",
        Figure::Memory,
        0.35,
        "subs --count 500000",
    ),
    work(
        "idle-2000",
        "idle connection with one subscription, of 2,000",
        Figure::Memory,
        0.12,
        "idle --count 2000",
    ),
    work("start", "start to first accept", Figure::Start, 1.0, ""),
    work("size", "size of the program", Figure::Size, 1.0, ""),
];

const fn cpu(name: &'static str, title: &'static str, goal: f64, args: &'static str) -> Work {
    work(name, title, Figure::Cpu, goal, args)
}

const fn work(
    name: &'static str,
    title: &'static str,
    figure: Figure,
    goal: f64,
    args: &'static str,
) -> Work {
    Work {
        name,
        title,
        figure,
        goal: Some(goal),
        args,
        config: "",
    }
}

impl Work {
    /// A workload that something else than `dunlin-load` runs.
    pub(super) const fn other(name: &'static str, title: &'static str) -> Work {
        Work {
            goal: None,
            ..work(name, title, Figure::Cpu, 0.0, "")
        }
    }

    /// Whether one run can show both.
    pub(super) fn runs_as(&self, other: &Self) -> bool {
        let needs_load = !self.args.is_empty();
        needs_load && (self.args, self.config) == (other.args, other.config)
    }

    /// The same with a configuration.
    const fn with(self, config: &'static str) -> Work {
        Work { config, ..self }
    }

    /// Runs it once against `server`.
    pub(super) fn run(&self, load: &Path, server: &Server, seconds: f64) -> Result<Report, String> {
        match self.figure {
            Figure::Start => return Ok(without_load("start", server.started_in.as_secs_f64(), None)),
            Figure::Size => return Ok(without_load("size", 0.0, Some(server.program_bytes as f64))),
            _ => {}
        }
        let output = Command::new(load)
            .args(self.args.split_whitespace())
            .args([
                "--server",
                &server.address.to_string(),
                "--pid",
                &server.pid().to_string(),
            ])
            .args(["--seconds", &seconds.to_string()])
            .stdin(Stdio::null())
            .output()
            .map_err(|error| format!("{}: {error}", load.display()))?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).trim().to_owned());
        }
        serde_json::from_slice(&output.stdout).map_err(|error| format!("dunlin-load's report: {error}"))
    }
}

/// A report of something that needs no load.
fn without_load(work: &str, seconds: f64, bytes: Option<f64>) -> Report {
    Report {
        work: work.to_owned(),
        unit: "start".to_owned(),
        count: 1,
        seconds,
        per_second: 0.0,
        server_cpu_us: None,
        load_cpu_us: 0.0,
        latency: None,
        bytes,
    }
}

/// The workloads whose names begin with one of the comma-separated `only`.
pub(super) fn selected(only: Option<&str>) -> Result<Vec<Work>, String> {
    let Some(only) = only else { return Ok(ALL.to_vec()) };
    let wanted: Vec<&str> = only.split(',').map(str::trim).collect();
    if let Some(unknown) = wanted
        .iter()
        .find(|start| !ALL.iter().any(|work| work.name.starts_with(**start)))
    {
        let names: Vec<&str> = ALL.iter().map(|work| work.name).collect();
        return Err(format!(
            "--only: no workload {unknown:?}; there are {}",
            names.join(", ")
        ));
    }
    Ok(ALL
        .iter()
        .filter(|work| wanted.iter().any(|start| work.name.starts_with(start)))
        .copied()
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_takes_beginnings_of_names() {
        let names =
            |only| selected(Some(only)).map(|works| works.iter().map(|work| work.name).collect::<Vec<_>>());
        assert_eq!(
            names("fanout, idle"),
            Ok(vec!["fanout-8", "fanout-200", "fanout-1000", "idle-2000"])
        );
        assert!(names("nothing").is_err_and(|error| error.contains("publish-16")));
    }
}
