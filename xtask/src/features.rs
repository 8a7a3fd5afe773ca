//! `cargo xtask features`: each feature of the root package builds alone.

use std::process::{Command, Stdio};

use crate::output::say;
use crate::project;

/// The command.
///
/// # Errors
/// A feature does not build, or is not found.
pub(crate) fn run(args: &[String]) -> Result<(), String> {
    if !args.is_empty() {
        return Err("features takes no arguments".to_owned());
    }
    let manifest: toml::Table = project::read(&project::root().join("Cargo.toml"))?
        .parse()
        .map_err(|error| format!("Cargo.toml: {error}"))?;
    let mut failed = Vec::new();
    for feature in names(&manifest) {
        if check(&feature)? {
            say(&format!("{feature}: builds alone"));
        } else {
            failed.push(feature);
        }
    }
    match failed.as_slice() {
        [] => Ok(()),
        _ => Err(format!("does not build alone: {}", failed.join(", "))),
    }
}

/// Every feature; `default` only names others.
fn names(manifest: &toml::Table) -> Vec<String> {
    let features = manifest.get("features").and_then(toml::Value::as_table);
    let names = features.into_iter().flat_map(toml::Table::keys).cloned();
    names.filter(|name| name != "default").collect()
}

/// Warnings are errors: dead code hides behind the features that everybody uses.
fn check(feature: &str) -> Result<bool, String> {
    let status = Command::new("cargo")
        .args([
            "clippy",
            "--quiet",
            "--package",
            "dunlin",
            "--no-default-features",
        ])
        .args(["--features", feature, "--", "-D", "warnings"])
        .current_dir(project::root())
        .stdin(Stdio::null())
        .status()
        .map_err(|error| format!("cargo: {error}"))?;
    Ok(status.success())
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_feature_but_the_default_is_named() {
        let manifest = "[features]\ndefault=['a']\na=[]\nb=['a']\n".parse().unwrap();
        assert_eq!(super::names(&manifest), ["a", "b"]);
    }
}
