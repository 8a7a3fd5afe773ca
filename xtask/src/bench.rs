//! `cargo xtask bench`: what Dunlin costs compared with the reference server.
//!
//! Every workload runs against both servers, one directly after the other on the same machine, each against a fresh
//! process while the other does not exist. From round to round the order turns (ABBA), so that a machine that grows
//! slower favours nobody. The table holds medians; the ratio is Dunlin's median over the reference's, the range that
//! of the single rounds. Server processor time is the steady figure, messages a second also depend on the generator.
//!
//! It never judges a build: a missed goal is printed, not an error. An error is a run that did not finish.
#![allow(
    clippy::disallowed_methods,
    reason = "a tool on the real machine: it has no `Env`"
)]

mod disk;
#[cfg(target_os = "linux")]
mod hostile;
mod nats_bench;
mod options;
mod server;
mod store;
mod table;
mod works;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use dunlin_load::report::Report;

use self::options::Options;
use self::server::Server;
use self::table::Row;
use self::works::Work;

/// Runs the benchmark and prints a Markdown table; progress goes to the standard error output.
///
/// # Errors
/// A text for people: wrong arguments, a build that failed, a server that does not start, a run that did not finish.
/// Whatever was measured until then has been printed.
pub(crate) fn run(args: &[String]) -> Result<(), String> {
    match args.split_first().map(|(first, rest)| (first.as_str(), rest)) {
        Some(("store", rest)) => return store::run(rest),
        Some((what @ ("floor" | "journal"), rest)) => return disk::run(what, rest),
        _ => {}
    }
    if args.iter().any(|arg| arg == "--help" || arg == "-h") {
        return say(options::USAGE);
    }
    let options = Options::parse(args)?;
    build(&options)?;
    let sides = Sides::find(&options)?;
    say(&sides.heading(&options)?)?;
    if options.hostile {
        #[cfg(target_os = "linux")]
        return hostile::run(&options, &sides);
        #[cfg(not(target_os = "linux"))]
        return Err("--hostile runs on Linux only".to_owned());
    }
    let rows = if options.nats_bench {
        nats_bench::rows(&options, &sides)?
    } else {
        let works = works::selected(options.only.as_deref())?;
        let load = options.release("dunlin-load");
        measure(&options, &works, &sides, |work, server| {
            work.run(&load, server, options.seconds)
        })
    };
    say(&table::markdown(&rows))?;
    if let Some(path) = &options.json {
        let json = table::json(&options, &sides, &rows);
        std::fs::write(path, format!("{json:#}\n"))
            .map_err(|error| format!("{}: {error}", path.display()))?;
    }
    let failed: Vec<&str> = rows
        .iter()
        .filter(|row| row.failed())
        .map(|row| row.name)
        .collect();
    if failed.is_empty() {
        Ok(())
    } else {
        Err(format!("did not finish: {}", failed.join(", ")))
    }
}

/// The two programs under test.
struct Sides {
    reference: PathBuf,
    dunlin: PathBuf,
}

impl Sides {
    fn find(options: &Options) -> Result<Sides, String> {
        let dunlin = options
            .dunlin
            .clone()
            .unwrap_or_else(|| options.release("dunlin"));
        let reference = options
            .reference
            .clone()
            .unwrap_or_else(|| options.target.join("tools/nats-server"));
        if !reference.exists() {
            let shown = reference.display();
            return Err(format!(
                "no reference at {shown}: give it with --vs PATH, or install it with `cargo xtask tools`"
            ));
        }
        if !dunlin.exists() {
            return Err(format!("no Dunlin at {}", dunlin.display()));
        }
        Ok(Sides { reference, dunlin })
    }

    /// What was measured, where and how: a table without it says nothing.
    fn heading(&self, options: &Options) -> Result<String, String> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Ok(format!(
            "{} against {}; {cores} cores, {} rounds of {} s, medians; loopback\n",
            server::version(&self.dunlin)?,
            server::version(&self.reference)?,
            options.rounds,
            options.seconds,
        ))
    }
}

/// Runs `works` in alternating rounds. A run that fails is noted in its row and stops nothing.
fn measure<F>(options: &Options, works: &[Work], sides: &Sides, run: F) -> Vec<Row>
where
    F: Fn(&Work, &Server) -> Result<Report, String>,
{
    let mut rows: Vec<Row> = works.iter().map(Row::new).collect();
    for round in 0..options.rounds {
        let mut last: Option<(&Work, Pair)> = None;
        for (work, row) in works.iter().zip(&mut rows) {
            // Neighbours that differ only in what is looked at share a run.
            let pair = match last.take().filter(|(before, _)| before.runs_as(work)) {
                Some((_, pair)) => pair,
                None => {
                    progress(&format!(
                        "round {} of {}: {}",
                        round + 1,
                        options.rounds,
                        work.name
                    ));
                    let one = |program| {
                        Server::start(program, &options.target, work.config)
                            .and_then(|server| run(work, &server))
                    };
                    alternating(round, || one(&sides.reference), || one(&sides.dunlin))
                }
            };
            last = Some((work, pair.clone()));
            row.add(pair);
        }
    }
    rows
}

/// What both sides did: reference, Dunlin.
type Pair = (Result<Report, String>, Result<Report, String>);

/// Runs both, in another order every other round.
fn alternating(
    round: usize,
    reference: impl FnOnce() -> Result<Report, String>,
    dunlin: impl FnOnce() -> Result<Report, String>,
) -> Pair {
    if round.is_multiple_of(2) {
        let reference = reference();
        (reference, dunlin())
    } else {
        let dunlin = dunlin();
        (reference(), dunlin)
    }
}

/// Builds Dunlin (unless it was given) and the load generator.
fn build(options: &Options) -> Result<(), String> {
    let mut packages = Vec::new();
    if options.dunlin.is_none() {
        packages.extend(["-p", "dunlin"]);
    }
    if !options.nats_bench {
        packages.extend(["-p", "dunlin-load"]);
    }
    if packages.is_empty() {
        return Ok(());
    }
    build_release(options, &packages)
}

fn build_release(options: &Options, packages: &[&str]) -> Result<(), String> {
    progress("building with --release");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command
        .current_dir(&options.root)
        .args(["build", "--release", "--quiet", "--bins"])
        .args(packages);
    let status = command
        .stdin(Stdio::null())
        .status()
        .map_err(|error| format!("cargo: {error}"))?;
    if status.success() {
        Ok(())
    } else {
        Err("the release build failed".to_owned())
    }
}

fn say(text: &str) -> Result<(), String> {
    writeln!(std::io::stdout(), "{text}").map_err(|error| format!("standard output: {error}"))
}

/// Progress is for a person who waits: where it cannot be shown nothing is lost.
fn progress(text: &str) {
    let _ = writeln!(std::io::stderr(), "bench: {text}");
}
