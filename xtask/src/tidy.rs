//! `cargo xtask tidy`: the rules of the house that no compiler keeps.
//!
//! Which crate may use which; clock, randomness, files, sockets and threads only behind `Env`; sizes of files and
//! functions; headers, lints switched off without a reason, ignored tests, paths of somebody's machine, generated
//! pages that are stale. Exceptions are written down with their reason, `xtask/tidy-exceptions.toml`; one that is not
//! needed any more is an error too. Only reads.

mod exceptions;
mod layers;
mod rules;

use std::path::Path;

use crate::docs;
use crate::output::say;
use crate::project;
use crate::source;

/// Something that breaks a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    /// Path in the project.
    pub(crate) path: String,
    /// Line, counted from 1; 0 for the whole file.
    pub(crate) line: usize,
    /// The name of the rule, as exceptions give it.
    pub(crate) rule: &'static str,
    /// What exactly, as exceptions give it: a call, a function.
    pub(crate) item: String,
    pub(crate) text: String,
}

/// The command: prints what it finds.
///
/// # Errors
/// Something was found.
pub(crate) fn run(args: &[String]) -> Result<(), String> {
    if !args.is_empty() {
        return Err("tidy takes no arguments".to_owned());
    }
    let problems = check(&project::root())?;
    for problem in &problems {
        say(problem);
    }
    match problems.len() {
        0 => Ok(()),
        count => Err(format!("not tidy: {count}")),
    }
}

/// Everything that is not tidy, one line each, sorted.
///
/// # Errors
/// A file of the project cannot be read.
pub(crate) fn check(root: &Path) -> Result<Vec<String>, String> {
    let mut findings = layers::check(root)?;
    for path in project::files(root)? {
        let name = project::relative(root, &path);
        // What is not text is not ours to judge.
        let Ok(text) = std::fs::read_to_string(&path) else {
            continue;
        };
        findings.extend(rules::text(&name, &text));
        if name.ends_with(".rs") {
            let masked = source::mask(&text);
            findings.extend(rules::rust(&name, &text, &masked, &source::scan(&masked)));
        }
    }
    let mut problems = exceptions::apply(root, findings)?;
    problems.extend(docs::stale(root));
    problems.sort();
    Ok(problems)
}

#[cfg(test)]
mod tests {
    #[test]
    fn project_is_tidy() {
        let problems = super::check(&crate::project::root()).unwrap();
        assert!(problems.is_empty(), "{}", problems.join("\n"));
    }
}
