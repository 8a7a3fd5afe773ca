//! `cargo xtask bench store`: what the stores cost, each work in a process of its own.
//!
//! Times are of the calling thread's processor, so that other programs disturb them little; works that wait for a disk
//! say so in their name.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::{progress, say};

const USAGE: &str = "\
usage: cargo xtask bench store [BACKEND [WORK]]

All works of all backends, or those named. `cargo xtask bench store --list` shows them.";

/// Runs the works that the arguments name, and prints a Markdown table.
pub(super) fn run(args: &[String]) -> Result<(), String> {
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    if args.len() > 2 || args.contains(&"--help") {
        return say(USAGE);
    }
    let program = build()?;
    let listed = output(Command::new(&program).arg("--list"))?;
    if args == ["--list"] {
        return say(listed.trim_end());
    }
    let works: Vec<&str> = listed
        .lines()
        .filter(|line| line.split(' ').zip(&args).all(|(word, wanted)| word == *wanted))
        .collect();
    if works.is_empty() {
        return Err(format!("no such work; there are\n{listed}"));
    }
    say("| store | work | figure | value |\n|---|---|---|---:|")?;
    for work in works {
        progress(work);
        let rows = output(Command::new(&program).args(work.split(' ')))?;
        say(rows.trim_end())?;
    }
    Ok(())
}

fn build() -> Result<PathBuf, String> {
    progress("building with --release");
    let options = super::Options::parse(&[])?;
    super::build_release(&options, &["-p", "dunlin-store-bench"])?;
    Ok(options.release("dunlin-store-bench"))
}

fn output(command: &mut Command) -> Result<String, String> {
    let done = command
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("{}: {error}", command.get_program().display()))?;
    if !done.status.success() {
        return Err(format!("{:?} ended with {}", command.get_program(), done.status));
    }
    String::from_utf8(done.stdout).map_err(|error| error.to_string())
}
