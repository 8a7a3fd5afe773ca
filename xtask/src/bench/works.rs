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
}

/// One line of the table.
#[derive(Clone, Copy, Debug)]
pub(super) struct Work {
    /// For `--only` and the JSON.
    pub(super) name: &'static str,
    /// For people.
    pub(super) title: &'static str,
    pub(super) figure: Figure,
    /// The highest ratio to the reference that is good.
    pub(super) goal: Option<f64>,
    /// Arguments of `dunlin-load`.
    pub(super) args: &'static str,
}

/// All workloads. Where no size is named it is 128 bytes.
const ALL: &[Work] = &[
    cpu("publish-16", "publish only, 16 B", Some(0.28), "pub --size 16"),
    cpu(
        "publish-16-subjects",
        "publish only, 16 B, 1,000 subjects in turn",
        None,
        "pub --size 16 --subjects 1000",
    ),
    cpu(
        "pubsub-128",
        "publish → 1 subscriber, 128 B",
        Some(0.22),
        "pubsub",
    ),
    cpu(
        "pubsub-subjects",
        "publish → 1 subscriber, 128 B, 1,000 subjects in turn",
        None,
        "pubsub --subjects 1000",
    ),
    cpu(
        "pubsub-4096",
        "publish → 1 subscriber, 4 KiB",
        None,
        "pubsub --size 4096",
    ),
    cpu(
        "pubsub-4to1",
        "4 publishers → 1 subscriber, 128 B",
        None,
        "pubsub --publishers 4",
    ),
    cpu(
        "fanout-8",
        "fan-out 1 → 8, per delivery",
        Some(0.18),
        "pubsub --subscribers 8",
    ),
    cpu(
        "fanout-200",
        "fan-out 1 → 200, per delivery",
        None,
        "pubsub --subscribers 200 --buffer 4096",
    ),
    cpu("queue-4", "queue group of 4", None, "queue --subscribers 4"),
    cpu("request-1", "request–reply, one in flight", Some(0.50), "request"),
    cpu(
        "request-32",
        "request–reply, 32 clients with one in flight",
        None,
        "request --subscribers 32",
    ),
    cpu("trickle-200", "200 connections × 100 msg/s", None, "trickle"),
    cpu(
        "paced-20000",
        "20,000 msg/s → 1 subscriber",
        None,
        "pubsub --rate 20000",
    ),
    cpu("connect-8", "connections, 8 at a time", None, "connect"),
    memory(
        "idle-2000",
        "idle connection with one subscription, of 2,000",
        Some(0.15),
        "idle --count 2000",
    ),
    memory(
        "subs-100000",
        "subscription, of 100,000 on one connection",
        None,
        "subs",
    ),
];

const fn cpu(name: &'static str, title: &'static str, goal: Option<f64>, args: &'static str) -> Work {
    Work {
        name,
        title,
        figure: Figure::Cpu,
        goal,
        args,
    }
}

const fn memory(name: &'static str, title: &'static str, goal: Option<f64>, args: &'static str) -> Work {
    Work {
        name,
        title,
        figure: Figure::Memory,
        goal,
        args,
    }
}

impl Work {
    /// A workload that something else than `dunlin-load` runs.
    pub(super) const fn other(name: &'static str, title: &'static str) -> Work {
        cpu(name, title, None, "")
    }

    /// Runs it once against `server`.
    pub(super) fn run(&self, load: &Path, server: &Server, seconds: f64) -> Result<Report, String> {
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
            Ok(vec!["fanout-8", "fanout-200", "idle-2000"])
        );
        assert!(names("nothing").is_err_and(|error| error.contains("publish-16")));
    }
}
