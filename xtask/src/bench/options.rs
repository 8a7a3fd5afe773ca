//! The command line of `cargo xtask bench`.

use std::path::{Path, PathBuf};

/// The help text.
pub(super) const USAGE: &str = "\
usage: cargo xtask bench [options]
       cargo xtask bench store [BACKEND [WORK]]
       cargo xtask bench floor|journal --help

  --vs PATH       the reference server (target/tools/nats-server)
  --dunlin PATH   measure this program instead of building Dunlin
  --rounds N      alternating rounds, an even number (4)
  --seconds S     length of one run (1)
  --only NAMES    workloads, separated by commas; also a beginning: pubsub,fanout
  --json FILE     write all single results too
  --nats-bench    drive both with `nats bench` instead of dunlin-load
  --hostile       hostile peers instead of workloads: latency of a pair of clients, memory
  --nats PATH     the nats CLI for that (target/tools/nats)";

/// What a benchmark is to do.
#[derive(Debug)]
pub(super) struct Options {
    pub(super) root: PathBuf,
    pub(super) target: PathBuf,
    pub(super) reference: Option<PathBuf>,
    pub(super) dunlin: Option<PathBuf>,
    pub(super) nats: Option<PathBuf>,
    pub(super) rounds: usize,
    pub(super) seconds: f64,
    pub(super) only: Option<String>,
    pub(super) json: Option<PathBuf>,
    pub(super) nats_bench: bool,
    pub(super) hostile: bool,
}

impl Options {
    pub(super) fn parse(args: &[String]) -> Result<Options, String> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"))
            .parent()
            .map(Path::to_path_buf)
            .unwrap_or_default();
        let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
        let mut options = Options {
            target: std::path::absolute(&target).unwrap_or(target),
            root,
            reference: None,
            dunlin: None,
            nats: None,
            rounds: 4,
            seconds: 1.0,
            only: None,
            json: None,
            nats_bench: false,
            hostile: false,
        };
        let mut args = args.iter();
        while let Some(flag) = args.next() {
            match flag.as_str() {
                "--nats-bench" => options.nats_bench = true,
                "--hostile" => options.hostile = true,
                _ => {}
            }
            if matches!(flag.as_str(), "--nats-bench" | "--hostile") {
                continue;
            }
            let value = args
                .next()
                .ok_or_else(|| format!("{flag} needs a value, or is no option\n\n{USAGE}"))?;
            let wrong = |what: &str| format!("{flag}: {value:?} is {what}");
            match flag.as_str() {
                "--vs" => options.reference = Some(absolute(value)),
                "--dunlin" => options.dunlin = Some(absolute(value)),
                "--nats" => options.nats = Some(absolute(value)),
                "--only" => options.only = Some(value.clone()),
                "--json" => options.json = Some(value.into()),
                "--rounds" => {
                    let rounds = value.parse::<usize>().ok().filter(|rounds| *rounds > 0);
                    options.rounds = rounds.ok_or_else(|| wrong("no number of rounds"))?;
                }
                "--seconds" => {
                    let seconds = value
                        .parse::<f64>()
                        .ok()
                        .filter(|seconds| *seconds > 0.0 && *seconds < 3600.0);
                    options.seconds = seconds.ok_or_else(|| wrong("no length of a run"))?;
                }
                _ => return Err(format!("no option {flag}\n\n{USAGE}")),
            }
        }
        Ok(options)
    }

    /// A program of the release build.
    pub(super) fn release(&self, name: &str) -> PathBuf {
        self.target
            .join("release")
            .join(format!("{name}{}", std::env::consts::EXE_SUFFIX))
    }
}

/// Programs are started in a folder of their own, so where they are must not depend on it.
fn absolute(path: &str) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.into())
}
