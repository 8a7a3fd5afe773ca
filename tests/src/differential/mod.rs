//! Differential scripts: one scripted conversation, run against two servers, must give the same transcript.
//!
//! `tests/differential/README.md` describes the text form. Time can never change a transcript: a script reads only
//! where it says so, until a frame that must come, and what is random is asked for as a sum.

mod compare;
mod normalise;
mod run;
mod script;
mod signing;

use std::path::PathBuf;

pub use compare::{Comparison, compare};
pub use run::transcript;
pub use script::Script;

use crate::paths;
use crate::server::{Kind, Server, Verdict};
use script::Action;

/// The folder of the scripts.
pub fn folder() -> PathBuf {
    paths::source("differential")
}

/// The names of all scripts, sorted, without `.script`.
///
/// # Errors
/// The folder cannot be read.
pub fn names() -> Result<Vec<String>, String> {
    let folder = folder();
    let entries = std::fs::read_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter_map(|name| name.strip_suffix(".script").map(str::to_owned))
        .collect();
    names.sort();
    Ok(names)
}

/// What Dunlin is known to do otherwise, on purpose: the transcript in `NAME.dunlin` beside the script. `None`: nothing.
pub fn deliberate(name: &str) -> Option<Vec<String>> {
    let text = std::fs::read_to_string(folder().join(format!("{name}.dunlin"))).ok()?;
    Some(text.lines().map(str::to_owned).collect())
}

/// Runs a script against a fresh server of that kind.
///
/// # Errors
/// The server does not start. What it does wrong is in the transcript.
pub fn play(script: &Script, kind: Kind) -> Result<Vec<String>, String> {
    if script.judges() {
        return verdicts(script, kind);
    }
    let server = Server::start(kind, script.config())?;
    Ok(transcript(script, &server))
}

/// What the program says of each configuration: the exit code and what it writes, sorted, because the reference goes
/// through its keys in no order.
fn verdicts(script: &Script, kind: Kind) -> Result<Vec<String>, String> {
    let mut lines = Vec::new();
    for step in script.steps() {
        let Action::Judge { files, only_check } = &step.action else {
            continue;
        };
        let verdict = Verdict::of(kind, files, *only_check)?;
        let contents = files.iter().flat_map(|(_, content)| content.lines());
        lines.extend(contents.map(|line| format!("| {line}")));
        let code = verdict.code.map_or("none".to_owned(), |code| code.to_string());
        lines.push(format!("{}: exit code {code}", step.text));
        let mut said = verdict.lines;
        said.sort();
        lines.extend(said.into_iter().map(|line| format!("  {line}")));
    }
    Ok(lines)
}
