//! `cargo xtask fuzz`: runs the targets of `fuzz/` under libFuzzer and prints what came of it.
//!
//! The programs are built by a stable compiler with LLVM's coverage counters and no sanitizer: what is looked for is a
//! panic, a hang, memory without bound, and a broken rule of the target itself. Inputs that a run finds stay in
//! `target/fuzz/found`; `--keep` takes a few that together reach most into `tests/fuzz/corpus`.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::output::say;
use crate::project;

const USAGE: &str = "\
usage: cargo xtask fuzz [TARGET..] [options]

  TARGET        what to fuzz (all, one after the other)
  --minutes N   for how long, each (1)
  --keep        take a few of the inputs found into tests/fuzz/corpus
  --list        the targets";

/// What makes a program count which edges it takes, and libFuzzer's comparisons known.
const FLAGS: &str = "--cfg fuzzing -Cpasses=sancov-module -Ccodegen-units=1 \
    -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares";

/// Longest input: a stranger's line is no longer before login, and most rules show in less.
const LONGEST: &str = "4096";

/// Longest kept input: kept ones are replayed in every test run.
const LONGEST_KEPT: &str = "256";

/// Most kept inputs of a target, beside those that a person has named.
const MOST_KEPT: usize = 60;

/// How long one input may take, and how much memory all may.
const TIMEOUT: &str = "10";
const MEMORY_MB: &str = "1024";

struct Options {
    targets: Vec<String>,
    seconds: u64,
    keep: bool,
}

/// Where things are.
struct Folders {
    root: PathBuf,
    target: PathBuf,
}

/// What one run came to.
#[derive(Debug, Default, PartialEq, Eq)]
struct Figures {
    executions: u64,
    /// Edges of the program that were taken, and features: edges with how often.
    edges: u64,
    features: u64,
    inputs: u64,
    crashes: usize,
}

/// The command.
///
/// # Errors
/// A text for people: wrong arguments, a build that failed, an input that breaks a target.
pub(crate) fn run(args: &[String]) -> Result<(), String> {
    let folders = Folders {
        root: project::root(),
        target: project::target().join("fuzz"),
    };
    let all = targets(&folders.root)?;
    if args.iter().any(|arg| arg == "--help" || arg == "-h") {
        say(USAGE);
        return Ok(());
    }
    if args.iter().any(|arg| arg == "--list") {
        say(&all.join("\n"));
        return Ok(());
    }
    let options = parse(args, &all)?;
    let programs = build(&folders)?;
    say(
        "| target | executions | a second | edges | features | inputs | crashes |\n|---|---|---|---|---|---|---|",
    );
    let mut broken = Vec::new();
    for target in &options.targets {
        let figures = fuzz(&folders, &programs, target, options.seconds)?;
        say(&row(target, options.seconds, &figures));
        if figures.crashes > 0 {
            broken.push(target.clone());
        }
        if options.keep {
            keep(&folders, &programs, target)?;
        }
    }
    if broken.is_empty() {
        return Ok(());
    }
    let shown = folders.target.join("crashes").display().to_string();
    Err(format!("inputs that break {} are in {shown}", broken.join(", ")))
}

fn parse(args: &[String], all: &[String]) -> Result<Options, String> {
    let mut options = Options {
        targets: Vec::new(),
        seconds: 60,
        keep: false,
    };
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--minutes" => {
                let minutes = args.next().and_then(|text| text.parse::<f64>().ok());
                let minutes = minutes.filter(|minutes| minutes.is_finite() && *minutes > 0.0);
                let minutes = minutes.ok_or("--minutes needs a number")?;
                options.seconds = std::time::Duration::from_secs_f64(minutes * 60.0)
                    .as_secs()
                    .max(1);
            }
            "--keep" => options.keep = true,
            name if all.iter().any(|target| target == name) => options.targets.push(name.to_owned()),
            other => return Err(format!("no target or option {other}\n{USAGE}")),
        }
    }
    if options.targets.is_empty() {
        options.targets = all.to_vec();
    }
    Ok(options)
}

/// The programs of `fuzz/Cargo.toml`.
fn targets(root: &Path) -> Result<Vec<String>, String> {
    let manifest: toml::Table = project::read(&root.join("fuzz/Cargo.toml"))?
        .parse()
        .map_err(|error| format!("fuzz/Cargo.toml: {error}"))?;
    let programs = manifest.get("bin").and_then(toml::Value::as_array);
    let names = programs
        .into_iter()
        .flatten()
        .filter_map(|bin| bin.get("name")?.as_str());
    Ok(names.map(str::to_owned).collect())
}

/// Builds the programs, and says where they are.
fn build(folders: &Folders) -> Result<PathBuf, String> {
    let host = host()?;
    let status = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .current_dir(folders.root.join("fuzz"))
        // With `--target`, build scripts and macros, which nobody links with libFuzzer, are spared the flags.
        .args([
            "build",
            "--release",
            "--quiet",
            "--bins",
            "--target",
            &host,
            "--target-dir",
        ])
        .arg(&folders.target)
        .env("RUSTFLAGS", FLAGS)
        .stdin(Stdio::null())
        .status()
        .map_err(|error| format!("cargo: {error}"))?;
    if status.success() {
        Ok(folders.target.join(host).join("release"))
    } else {
        Err("the fuzz programs do not build (a C++ compiler is needed)".to_owned())
    }
}

/// This machine, as the compiler calls it.
fn host() -> Result<String, String> {
    let output = Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()))
        .arg("-vV")
        .output()
        .map_err(|error| format!("rustc: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned)
        .ok_or_else(|| "rustc does not name its host".to_owned())
}

fn fuzz(folders: &Folders, programs: &Path, target: &str, seconds: u64) -> Result<Figures, String> {
    let (found, crashes) = (
        made(&folders.target, "found", target)?,
        made(&folders.target, "crashes", target)?,
    );
    let before = count(&crashes)?;
    let output = Command::new(programs.join(target))
        .arg(format!("-max_total_time={seconds}"))
        .arg(format!("-dict={}", dictionary(&folders.root, target).display()))
        .arg(format!("-artifact_prefix={}/", crashes.display()))
        .args([&format!("-max_len={LONGEST}"), &format!("-timeout={TIMEOUT}")])
        .args([&format!("-rss_limit_mb={MEMORY_MB}"), "-print_final_stats=1"])
        .arg(&found)
        .arg(kept(&folders.root, target))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .output()
        .map_err(|error| format!("{target}: {error}"))?;
    let text = String::from_utf8_lossy(&output.stderr);
    let mut figures = figures(&text);
    figures.crashes = count(&crashes)? - before;
    if !output.status.success() && figures.crashes == 0 {
        let end: Vec<&str> = text.lines().rev().take(20).collect();
        return Err(format!(
            "{target}: {}",
            end.into_iter().rev().collect::<Vec<_>>().join("\n")
        ));
    }
    Ok(figures)
}

/// Keeps a few of the inputs that together reach all edges: the longest, which reach most. Those that a person has named
/// stay; those that were kept before, under the name that libFuzzer gives, are replaced.
fn keep(folders: &Folders, programs: &Path, target: &str) -> Result<(), String> {
    let merged = folders.target.join("merged").join(target);
    // From an earlier run; there may be none.
    let _ = fs::remove_dir_all(&merged);
    let (merged, kept) = (
        made(&folders.target, "merged", target)?,
        kept(&folders.root, target),
    );
    let status = Command::new(programs.join(target))
        .args(["-set_cover_merge=1", "-use_counters=0", "-use_cmp=0"])
        .arg(format!("-max_len={LONGEST_KEPT}"))
        .arg(&merged)
        .arg(&kept)
        .arg(made(&folders.target, "found", target)?)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .map_err(|error| format!("{target}: {error}"))?;
    if !status.success() {
        return Err(format!("{target}: the merge failed"));
    }
    let failed = |error: std::io::Error| format!("{target}: {error}");
    for old in files(&kept).map_err(failed)? {
        if is_given_name(&old) {
            fs::remove_file(&old).map_err(failed)?;
        }
    }
    let mut inputs = Vec::new();
    for path in files(&merged).map_err(failed)? {
        inputs.push((fs::metadata(&path).map_err(failed)?.len(), path));
    }
    inputs.sort();
    for (_, path) in inputs.iter().rev().take(MOST_KEPT) {
        let name = path.file_name().unwrap_or_default();
        fs::copy(path, kept.join(name)).map_err(failed)?;
    }
    Ok(())
}

fn files(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    fs::read_dir(folder)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect()
}

/// Whether libFuzzer has named a file: the digest of its bytes.
fn is_given_name(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.len() == 40 && name.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Figures out of libFuzzer's last lines: `#123 DONE cov: 45 ft: 67 corp: 8/90b …`.
fn figures(text: &str) -> Figures {
    let last = text
        .lines()
        .rev()
        .find(|line| line.contains(" cov: "))
        .unwrap_or_default();
    let behind = |name: &str| {
        let (_, rest) = last.split_once(name)?;
        let digits = rest.trim_start().split(|c: char| !c.is_ascii_digit()).next()?;
        digits.parse().ok()
    };
    let executions = text
        .lines()
        .find_map(|line| line.strip_prefix("stat::number_of_executed_units:"))
        .and_then(|count| count.trim().parse().ok());
    Figures {
        executions: executions.unwrap_or(0),
        edges: behind(" cov: ").unwrap_or(0),
        features: behind(" ft: ").unwrap_or(0),
        inputs: behind(" corp: ").unwrap_or(0),
        crashes: 0,
    }
}

fn row(target: &str, seconds: u64, figures: &Figures) -> String {
    let mut row = format!("| {target} |");
    let a_second = figures.executions / seconds.max(1);
    for figure in [
        figures.executions,
        a_second,
        figures.edges,
        figures.features,
        figures.inputs,
    ] {
        let _ = write!(row, " {figure} |");
    }
    let _ = write!(row, " {} |", figures.crashes);
    row
}

fn kept(root: &Path, target: &str) -> PathBuf {
    root.join("tests/fuzz/corpus").join(target)
}

fn dictionary(root: &Path, target: &str) -> PathBuf {
    root.join("tests/fuzz/dictionaries")
        .join(target)
        .with_extension("dict")
}

fn made(folder: &Path, kind: &str, target: &str) -> Result<PathBuf, String> {
    let path = folder.join(kind).join(target);
    fs::create_dir_all(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(path)
}

fn count(folder: &Path) -> Result<usize, String> {
    let entries = fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    Ok(entries.count())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_those_of_the_end() {
        let text = "#2\tINITED cov: 10 ft: 11 corp: 1/1b exec/s: 0 rss: 30Mb\n\
            #999\tDONE   cov: 123 ft: 456 corp: 78/9Kb lim: 40 exec/s: 500 rss: 30Mb\n\
            Done 999 runs in 2 second(s)\nstat::number_of_executed_units: 999\n";
        let expected = Figures {
            executions: 999,
            edges: 123,
            features: 456,
            inputs: 78,
            crashes: 0,
        };
        assert_eq!(figures(text), expected);
        assert_eq!(
            row("toml", 2, &expected),
            "| toml | 999 | 499 | 123 | 456 | 78 | 0 |"
        );
    }

    #[test]
    fn targets_and_times_are_read() {
        let all = ["a".to_owned(), "b".to_owned()];
        let parse = |line: &str| {
            let args: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
            parse(&args, &all).map(|options| (options.targets, options.seconds, options.keep))
        };
        assert_eq!(
            parse("b --minutes 0.5 --keep"),
            Ok((vec!["b".to_owned()], 30, true))
        );
        assert_eq!(parse(""), Ok((all.to_vec(), 60, false)));
        assert!(parse("c").is_err() && parse("--minutes x").is_err() && parse("--minutes -1").is_err());
    }
}
