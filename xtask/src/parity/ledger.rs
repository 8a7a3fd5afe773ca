//! The ledger's form and what must hold for it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::found::Tests;
use crate::{csv, project};

const FILE: &str = "tests/parity/ledger.csv";
const LIST: &str = "tests/parity/go-tests.csv";
const HEADER: [&str; 6] = ["file", "test", "area", "status", "rust_test", "note"];

/// What is known about one test of the reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    /// A test of ours checks the same.
    Proven,
    /// It checks nothing that can be seen from outside.
    NotApplicable,
    Todo,
}

impl Status {
    const ALL: [(Status, &'static str); 3] = [
        (Status::Proven, "proven"),
        (Status::NotApplicable, "not_applicable"),
        (Status::Todo, "todo"),
    ];

    fn parse(text: &str) -> Option<Status> {
        let found = Status::ALL.into_iter().find(|(_, name)| *name == text);
        found.map(|(status, _)| status)
    }

    fn name(self) -> &'static str {
        let found = Status::ALL.into_iter().find(|(status, _)| *status == self);
        found.map_or("", |(_, name)| name)
    }
}

/// A test of the reference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) file: String,
    pub(super) test: String,
    pub(super) area: String,
    pub(super) status: Status,
    /// Tests that prove it, separated by `; `.
    pub(super) rust_test: String,
    pub(super) note: String,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Ledger {
    pub(super) rows: Vec<Row>,
}

impl Ledger {
    pub(super) fn load(root: &Path) -> Result<Ledger, String> {
        Ledger::parse(&project::read(&root.join(FILE))?).map_err(|error| format!("{FILE}:{error}"))
    }

    fn parse(text: &str) -> Result<Ledger, String> {
        let rows = (2..).zip(csv::parse(text, HEADER)?).map(|(number, row)| {
            let [file, test, area, status, rust_test, note] = row;
            Ok(Row {
                status: Status::parse(&status)
                    .ok_or_else(|| format!("{number}: no such status: {status}"))?,
                file,
                test,
                area,
                rust_test,
                note,
            })
        });
        Ok(Ledger {
            rows: rows.collect::<Result<_, String>>()?,
        })
    }

    pub(super) fn save(&self, root: &Path) -> Result<(), String> {
        let rows: Vec<[String; 6]> = self
            .rows
            .iter()
            .cloned()
            .map(|row| {
                [
                    row.file,
                    row.test,
                    row.area,
                    row.status.name().to_owned(),
                    row.rust_test,
                    row.note,
                ]
            })
            .collect();
        std::fs::write(root.join(FILE), csv::print(HEADER, &rows)).map_err(|error| format!("{FILE}: {error}"))
    }

    /// What is wrong, one line each. `listed` are the tests that must have a row.
    pub(super) fn problems(&self, listed: &[Key], tests: &Tests) -> Vec<String> {
        let mut problems = Vec::new();
        let mut seen: BTreeMap<Key, usize> = BTreeMap::new();
        for row in &self.rows {
            *seen
                .entry((row.file.clone(), row.test.clone(), row.area.clone()))
                .or_default() += 1;
            problems.extend(
                row.problem(tests)
                    .map(|problem| format!("{} {}: {problem}", row.file, row.test)),
            );
        }
        let listed: BTreeSet<&Key> = listed.iter().collect();
        for key in listed.iter().filter(|key| !seen.contains_key(**key)) {
            problems.push(format!("{} {} ({}): has no row", key.0, key.1, key.2));
        }
        for (key, count) in &seen {
            if !listed.contains(key) {
                problems.push(format!("{} {} ({}): is not in {LIST}", key.0, key.1, key.2));
            }
            if *count > 1 {
                problems.push(format!("{} {}: has {count} rows", key.0, key.1));
            }
        }
        problems
    }
}

impl Row {
    /// The tests that prove it.
    pub(super) fn proofs(&self) -> impl Iterator<Item = &str> {
        self.rust_test.split("; ").filter(|name| !name.is_empty())
    }

    fn problem(&self, tests: &Tests) -> Option<String> {
        match self.status {
            Status::Proven if self.rust_test.is_empty() => Some("proven by nothing".to_owned()),
            Status::Proven => self.proofs().find_map(|name| tests.problem(name)),
            _ if !self.rust_test.is_empty() => Some("has a test, but is not proven".to_owned()),
            Status::NotApplicable if self.note.is_empty() => {
                Some("not applicable without a reason".to_owned())
            }
            _ => None,
        }
    }
}

/// What tells a test of the reference from others: file, name, area.
pub(super) type Key = (String, String, String);

/// The tests of the reference.
pub(super) fn listed(root: &Path) -> Result<Vec<Key>, String> {
    let text = project::read(&root.join(LIST))?;
    let rows = csv::parse(&text, ["file", "test", "area"]).map_err(|error| format!("{LIST}:{error}"))?;
    Ok(rows
        .into_iter()
        .map(|[file, test, area]| (file, test, area))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(rows: &str) -> Vec<String> {
        let ledger = Ledger::parse(&format!("{}\n{rows}", HEADER.join(","))).unwrap();
        let key = |test: &str| ("a.go".to_owned(), test.to_owned(), "core".to_owned());
        let tests = Tests::of(&[("x::runs", false), ("x::sleeps", true)], &["pub_sub"]);
        ledger.problems(&[key("TestA"), key("TestB")], &tests)
    }

    #[test]
    fn complete_ledger_holds() {
        let rows = "a.go,TestA,core,proven,x::runs; differential/pub_sub.script,\na.go,TestB,core,not_applicable,,why\n";
        assert_eq!(told(rows), Vec::<String>::new());
    }

    #[test]
    fn missing_duplicated_and_unknown_rows_are_told() {
        let rows = "a.go,TestA,core,todo,,\na.go,TestA,core,todo,,\na.go,TestC,core,todo,,\n";
        assert_eq!(
            told(rows),
            [
                "a.go TestB (core): has no row",
                "a.go TestA: has 2 rows",
                "a.go TestC (core): is not in tests/parity/go-tests.csv",
            ]
        );
    }

    #[test]
    fn proof_that_does_not_exist_or_is_ignored_is_told() {
        let rows = "a.go,TestA,core,proven,x::gone,\na.go,TestB,core,proven,x::runs; x::sleeps,\n";
        assert_eq!(
            told(rows),
            [
                "a.go TestA: there is no test x::gone",
                "a.go TestB: x::sleeps is ignored"
            ]
        );
        let rows = "a.go,TestA,core,proven,differential/gone.script,\na.go,TestB,core,proven,,\n";
        assert_eq!(
            told(rows),
            [
                "a.go TestA: there is no test differential/gone.script",
                "a.go TestB: proven by nothing"
            ]
        );
    }

    #[test]
    fn reasons_are_wanted() {
        let rows = "a.go,TestA,core,not_applicable,,\na.go,TestB,core,todo,x::runs,\n";
        assert_eq!(
            told(rows),
            [
                "a.go TestA: not applicable without a reason",
                "a.go TestB: has a test, but is not proven"
            ]
        );
    }
}
