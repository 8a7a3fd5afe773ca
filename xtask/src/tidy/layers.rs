//! The dependency table of ARCHITECTURE.md: which crate of the workspace may use which.

use std::path::Path;

use super::Finding;
use crate::project::{self, Package};

const FILE: &str = "ARCHITECTURE.md";
const BEGIN: &str = "<!-- tidy: dependencies -->";
const END: &str = "<!-- /tidy -->";

/// The rule's name.
const RULE: &str = "layers";

/// A row: a package, and the packages that it may use; `*` for all.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Row {
    name: String,
    uses: Vec<String>,
}

/// Reads the table: the columns folder, crate, package, holds, may depend on. A dependency is given by its crate,
/// whose package is `dunlin-` and that.
fn parse(page: &str) -> Result<Vec<Row>, String> {
    let (_, rest) = page.split_once(BEGIN).ok_or_else(|| format!("no line {BEGIN}"))?;
    let (table, _) = rest.split_once(END).ok_or_else(|| format!("no line {END}"))?;
    let rows = table.trim().lines().skip(2).map(|line| {
        let cells: Vec<&str> = line.trim().trim_matches('|').split('|').map(str::trim).collect();
        let [_, _, package, _, uses] = cells.as_slice() else {
            return Err(format!("not five columns: {line}"));
        };
        let uses = match *uses {
            "-" => Vec::new(),
            "all" => vec!["*".to_owned()],
            list => list
                .split(',')
                .map(|name| format!("dunlin-{}", name.trim()))
                .collect(),
        };
        Ok(Row {
            name: package.trim_matches('`').to_owned(),
            uses,
        })
    });
    rows.collect()
}

/// Holds the manifests against the table.
pub(super) fn check(root: &Path) -> Result<Vec<Finding>, String> {
    let page = project::read(&root.join(FILE))?;
    let table = parse(&page).map_err(|error| format!("{FILE}: {error}"))?;
    Ok(judge(root, &table, &project::packages(root)?))
}

fn judge(root: &Path, table: &[Row], packages: &[Package]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for package in packages {
        let mut report = |item: &str, text: String| {
            findings.push(Finding {
                path: project::relative(root, &package.folder.join("Cargo.toml")),
                line: 0,
                rule: RULE,
                item: item.to_owned(),
                text,
            });
        };
        let Some(row) = table.iter().find(|row| row.name == package.name) else {
            report(&package.name, format!("{} has no row in {FILE}", package.name));
            continue;
        };
        for used in uses(&package.manifest) {
            let is_ours = packages.iter().any(|other| other.name == used);
            if is_ours && !row.uses.iter().any(|allowed| *allowed == used || allowed == "*") {
                report(&used, format!("{} may not use {used} ({FILE})", package.name));
            }
        }
    }
    for row in table {
        if !packages.iter().any(|package| package.name == row.name) {
            findings.push(Finding {
                path: FILE.to_owned(),
                line: 0,
                rule: RULE,
                item: row.name.clone(),
                text: format!("there is no {}", row.name),
            });
        }
    }
    findings
}

/// Everything a crate is built with; tests may use what they like.
fn uses(manifest: &toml::Table) -> Vec<String> {
    let mut found = Vec::new();
    let mut collect = |table: &toml::Table| {
        for section in ["dependencies", "build-dependencies"] {
            let names = table.get(section).and_then(toml::Value::as_table);
            for (name, detail) in names.into_iter().flatten() {
                let renamed = detail.get("package").and_then(toml::Value::as_str);
                found.push(renamed.unwrap_or(name).to_owned());
            }
        }
    };
    collect(manifest);
    let targets = manifest.get("target").and_then(toml::Value::as_table);
    for (_, target) in targets.into_iter().flatten() {
        if let Some(target) = target.as_table() {
            collect(target);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, manifest: &str) -> Package {
        Package {
            name: name.to_owned(),
            folder: name.into(),
            manifest: manifest.parse().unwrap(),
        }
    }

    fn told(rows: &[&str], packages: &[Package]) -> Vec<String> {
        let page = format!("x\n{BEGIN}\n| head |\n|---|\n{}\n{END}\ny\n", rows.join("\n"));
        let findings = judge(Path::new(""), &parse(&page).unwrap(), packages);
        findings.into_iter().map(|finding| finding.text).collect()
    }

    const A: &str = "| `core/` | `a` | `dunlin-a` | this | b |";
    const B: &str = "| | `b` | `dunlin-b` | that | - |";

    #[test]
    fn dependency_that_is_not_in_the_row_is_refused() {
        let a = package("dunlin-a", "[dependencies]\ndunlin-b.workspace=true\nserde='1'\n");
        let b = package(
            "dunlin-b",
            "[target.'cfg(unix)'.dependencies]\nx={package='dunlin-a',path='..'}\n[dev-dependencies]\ndunlin-a='1'",
        );
        assert_eq!(
            told(&[A, B], &[a, b]),
            ["dunlin-b may not use dunlin-a (ARCHITECTURE.md)"]
        );
    }

    #[test]
    fn crates_and_rows_must_meet() {
        assert_eq!(
            told(&[A], &[package("dunlin-b", "")]),
            ["dunlin-b has no row in ARCHITECTURE.md", "there is no dunlin-a"]
        );
    }

    #[test]
    fn table_of_another_form_is_refused() {
        assert!(parse("x").is_err());
        assert!(parse(&format!("{BEGIN}\n|a|\n|-|\n| `a` | b |\n{END}")).is_err());
    }
}
