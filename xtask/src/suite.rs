//! `cargo xtask test`: everything that CI runs, in one command.
//!
//! A step that fails hides no other. The last line is `N passed, N failed, N skipped`: a step that only checks counts
//! as one, the tests count one by one. A test that could not run here, because a tool is not installed, is skipped by
//! name and never counted as passed. With `CI=true` a missing toolchain is a failure.
use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use dunlin_tests::skip;

use crate::output::say;
use crate::{features, parity, project, tidy, tools};

/// What came out of a step.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Tally {
    passed: usize,
    failed: Vec<String>,
    skipped: Vec<String>,
}

impl Tally {
    /// Of a step that only checks.
    fn of(name: &str, result: Result<(), String>) -> Tally {
        match result {
            Ok(()) => Tally {
                passed: 1,
                ..Tally::default()
            },
            Err(problem) => {
                say(&format!("{name}: {problem}"));
                Tally {
                    failed: vec![name.to_owned()],
                    ..Tally::default()
                }
            }
        }
    }

    fn add(&mut self, other: Tally) {
        self.passed += other.passed;
        self.failed.extend(other.failed);
        self.skipped.extend(other.skipped);
    }
}

/// The command.
///
/// # Errors
/// Something failed. Everything has been printed, the closing line included.
pub(crate) fn run(args: &[String]) -> Result<(), String> {
    if !args.is_empty() {
        return Err("test takes no arguments: for single tests there is `cargo test`".to_owned());
    }
    let mut tally = Tally::default();
    let mut step = |name: &str, work: &dyn Fn() -> Tally| {
        let start = Instant::now();
        say(&format!("== {name}"));
        let outcome = work();
        let verdict = if outcome.failed.is_empty() { "ok" } else { "FAILED" };
        say(&format!(
            "== {name}: {verdict}, {:.1} s",
            start.elapsed().as_secs_f64()
        ));
        tally.add(outcome);
    };
    let check = |name: &'static str, work: fn() -> Result<(), String>| move || Tally::of(name, work());
    step("format", &check("format", || cargo("fmt --all --check")));
    step(
        "lints",
        &check("lints", || {
            cargo("clippy --workspace --all-targets --quiet -- -D warnings")
        }),
    );
    step("docs", &check("docs", docs));
    step("tidy", &check("tidy", || tidy::run(&[])));
    step("features", &check("features", || features::run(&[])));
    step("tools", &install_tools);
    step("tests", &tests);
    step("parity", &check("parity", || parity::run(&[])));
    close(&tally)
}

/// Prints names and the closing line.
fn close(tally: &Tally) -> Result<(), String> {
    let Tally {
        passed,
        failed,
        skipped,
    } = tally;
    say("");
    for name in skipped {
        say(&format!("skipped: {name}"));
    }
    for name in failed {
        say(&format!("failed: {name}"));
    }
    say(&format!(
        "{passed} passed, {} failed, {} skipped",
        failed.len(),
        skipped.len()
    ));
    if failed.is_empty() {
        Ok(())
    } else {
        Err(String::new())
    }
}

fn cargo(line: &str) -> Result<(), String> {
    run_to_end(Command::new("cargo").args(line.split(' ')))
}

fn docs() -> Result<(), String> {
    let mut command = Command::new("cargo");
    command.args(["doc", "--workspace", "--no-deps", "--quiet"]);
    run_to_end(command.env("RUSTDOCFLAGS", "-D warnings"))
}

fn run_to_end(command: &mut Command) -> Result<(), String> {
    let status = command
        .current_dir(project::root())
        .stdin(Stdio::null())
        .status()
        .map_err(|error| format!("cargo: {error}"))?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("ended with {status}"))
    }
}

/// Installs the optional tools. What is missing shows in the tests that need it; in CI it is a failure.
fn install_tools() -> Tally {
    let is_ci = std::env::var_os("CI").is_some_and(|value| value == "true");
    let mut tally = Tally::default();
    for (tool, outcome) in tools::install(&project::root(), &project::target()) {
        let problem = match outcome {
            tools::Outcome::Ready => {
                say(&format!("{}: ready", tool.name));
                continue;
            }
            tools::Outcome::Missing => format!("no {} on the path", tool.toolchain),
            tools::Outcome::Failed(reason) => reason,
        };
        say(&format!("{}: not installed: {problem}", tool.name));
        if is_ci {
            tally.failed.push(format!("tool {}", tool.name));
        }
    }
    tally
}

/// Builds the broker as its users do, and runs all tests.
fn tests() -> Tally {
    if let Err(problem) = cargo("build --package dunlin") {
        return Tally::of("build", Err(problem));
    }
    let target = project::target();
    let skipped = target.join("skipped-tests.txt");
    // An old one would be counted.
    let _ = std::fs::remove_file(&skipped);
    let mut command = Command::new("cargo");
    command
        .args(["test", "--workspace", "--no-fail-fast"])
        .current_dir(project::root())
        .env("DUNLIN_BIN", broker(&target))
        .env(skip::FILE_VARIABLE, &skipped)
        .stdin(Stdio::null());
    let (summary, succeeded) = match follow(command) {
        Ok(result) => result,
        Err(problem) => return Tally::of("tests", Err(problem)),
    };
    let skipped = std::fs::read_to_string(&skipped).unwrap_or_default();
    summary.tally(&skipped, succeeded)
}

fn broker(target: &Path) -> PathBuf {
    target.join(format!("debug/dunlin{}", std::env::consts::EXE_SUFFIX))
}

/// Runs a command, shows what it prints, and reads it.
fn follow(mut command: Command) -> Result<(Summary, bool), String> {
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| format!("cargo: {error}"))?;
    let mut summary = Summary::default();
    if let Some(stdout) = child.stdout.take() {
        for line in BufReader::new(stdout).split(b'\n').map_while(Result::ok) {
            let line = String::from_utf8_lossy(&line);
            summary.take(&line);
            if is_news(&line) {
                say(&line);
            }
        }
    }
    let status = child.wait().map_err(|error| format!("cargo: {error}"))?;
    Ok((summary, status.success()))
}

/// Whether a line of a test run is worth showing: a line for each of a thousand good tests is not.
fn is_news(line: &str) -> bool {
    let is_good = line.starts_with("test ") && line.ends_with("... ok");
    let is_empty =
        line.trim().is_empty() || line.starts_with("running ") || line.starts_with("test result: ok. 0 ");
    !is_good && !is_empty
}

/// What test binaries said about themselves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Summary {
    passed: usize,
    ignored: usize,
    failed: Vec<String>,
}

impl Summary {
    fn take(&mut self, line: &str) {
        if let Some(name) = line
            .strip_prefix("test ")
            .and_then(|rest| rest.strip_suffix(" ... FAILED"))
        {
            self.failed.push(name.to_owned());
        }
        let Some(counts) = line.strip_prefix("test result: ") else {
            return;
        };
        let count = |what: &str| -> usize {
            let found = counts
                .split(['.', ';'])
                .find_map(|part| part.trim().strip_suffix(what));
            found
                .and_then(|number| number.trim().parse().ok())
                .unwrap_or_default()
        };
        self.passed += count(" passed");
        self.ignored += count(" ignored");
    }

    /// `skipped` holds the lines of [`skip::report`]; such a test passed for libtest. A run that did not succeed although
    /// no test failed did not build, or a test binary broke off.
    fn tally(self, skipped: &str, succeeded: bool) -> Tally {
        let skipped: BTreeSet<&str> = skipped
            .lines()
            .filter_map(|line| line.strip_prefix("SKIPPED: "))
            .collect();
        let names: BTreeSet<&str> = skipped
            .iter()
            .map(|line| line.split_once(": ").map_or(*line, |(name, _)| name))
            .collect();
        let mut tally = Tally {
            passed: self.passed.saturating_sub(names.len()),
            failed: self.failed,
            skipped: names.into_iter().map(str::to_owned).collect(),
        };
        for _ in 0..self.ignored {
            tally.skipped.push("an ignored test, see above".to_owned());
        }
        if !succeeded && tally.failed.is_empty() {
            tally
                .failed
                .push("tests: did not build or broke off, see above".to_owned());
        }
        tally
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary(lines: &[&str]) -> Summary {
        let mut summary = Summary::default();
        lines.iter().for_each(|line| summary.take(line));
        summary
    }

    #[test]
    fn results_of_several_binaries_are_summed() {
        let summary = summary(&[
            "running 3 tests",
            "test a::b ... ok",
            "test a::c ... FAILED",
            "test result: FAILED. 1 passed; 1 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.10s",
            "test result: ok. 20 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.84s",
        ]);
        assert_eq!((summary.passed, summary.ignored), (21, 1));
        assert_eq!(summary.failed, ["a::c"]);
    }

    #[test]
    fn skipped_tests_are_not_passed() {
        let summary = summary(&["test result: ok. 3 passed; 0 failed; 0 ignored"]);
        let tally = summary.tally(
            "SKIPPED: a::b: no go\nSKIPPED: a::b: no node\nSKIPPED: c: no go\n",
            true,
        );
        assert_eq!(tally.passed, 1);
        assert_eq!(tally.skipped, ["a::b", "c"]);
    }

    #[test]
    fn run_that_breaks_off_is_a_failure() {
        assert_eq!(summary(&[]).tally("", false).failed.len(), 1);
        assert_eq!(summary(&["test x ... FAILED"]).tally("", false).failed, ["x"]);
    }
}
