//! `cargo xtask parity prove FILE..`: marks rows as proven from lines `GoTest -> rust test`.

use std::path::Path;

use super::found::{self, Tests};
use super::ledger::{Ledger, Row, Status};
use crate::output::say;
use crate::project;

/// Merges the files into the ledger. Nothing is written if one line is wrong.
pub(super) fn run(root: &Path, files: &[&str]) -> Result<(), String> {
    let mut ledger = Ledger::load(root)?;
    let tests = found::tests(root)?;
    let mut problems = Vec::new();
    let mut proven = 0;
    for file in files {
        for (number, line) in (1..).zip(project::read(Path::new(file))?.lines()) {
            match merge(&mut ledger, &tests, line) {
                Ok(changed) => proven += usize::from(changed),
                Err(problem) => problems.push(format!("{file}:{number}: {problem}")),
            }
        }
    }
    if problems.is_empty() {
        ledger.save(root)?;
        say(&format!("{proven} rows changed"));
        return Ok(());
    }
    Err(format!("nothing was written\n{}", problems.join("\n")))
}

/// Merges one line; several Go tests may stand before the arrow, several of ours after it, each list separated by
/// commas. A Go test whose name is not unique is given as `file.go:Name`.
fn merge(ledger: &mut Ledger, tests: &Tests, line: &str) -> Result<bool, String> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return Ok(false);
    }
    let (theirs, ours) = line.split_once("->").ok_or("no `->`")?;
    let ours: Vec<&str> = ours.split(',').map(str::trim).collect();
    if let Some(problem) = ours.iter().find_map(|name| tests.problem(name)) {
        return Err(problem);
    }
    let mut changed = false;
    for name in theirs.split(',').map(str::trim) {
        let row = row(ledger, name)?;
        for proof in &ours {
            if !row.proofs().any(|known| known == *proof) {
                let between = if row.rust_test.is_empty() { "" } else { "; " };
                row.rust_test.push_str(&format!("{between}{proof}"));
                row.status = Status::Proven;
                changed = true;
            }
        }
    }
    Ok(changed)
}

fn row<'a>(ledger: &'a mut Ledger, name: &str) -> Result<&'a mut Row, String> {
    let (file, test) = name.split_once(':').unwrap_or(("", name));
    let fits = |row: &&mut Row| row.test == test && (file.is_empty() || row.file.ends_with(file));
    let mut found = ledger.rows.iter_mut().filter(fits);
    match (found.next(), found.next()) {
        (None, _) => Err(format!("the reference has no test {name}")),
        (Some(_), Some(_)) => Err(format!("several files have a test {name}: write file.go:{test}")),
        (Some(row), None) if row.status == Status::NotApplicable => Err(format!("{name} is not applicable")),
        (Some(row), None) => Ok(row),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merged(line: &str) -> Result<Vec<String>, String> {
        let row = |file: &str, test: &str, status| Row {
            file: file.to_owned(),
            test: test.to_owned(),
            area: "core".to_owned(),
            status,
            rust_test: String::new(),
            note: String::new(),
        };
        let mut ledger = Ledger {
            rows: vec![
                row("a.go", "TestA", Status::Todo),
                row("b.go", "TestA", Status::Todo),
                row("b.go", "TestB", Status::Todo),
                row("b.go", "TestC", Status::NotApplicable),
            ],
        };
        merge(
            &mut ledger,
            &Tests::of(&[("x::a", false), ("x::b", false)], &[]),
            line,
        )?;
        let proven = ledger.rows.into_iter().filter(|row| row.status == Status::Proven);
        Ok(proven
            .map(|row| format!("{} {} {}", row.file, row.test, row.rust_test))
            .collect())
    }

    #[test]
    fn row_becomes_proven() {
        assert_eq!(merged("TestB -> x::a, x::b").unwrap(), ["b.go TestB x::a; x::b"]);
        assert_eq!(
            merged("TestB, b.go:TestA -> x::a").unwrap(),
            ["b.go TestA x::a", "b.go TestB x::a"]
        );
        assert!(merged("# nothing").unwrap().is_empty());
    }

    #[test]
    fn wrong_lines_are_refused() {
        for line in [
            "TestA -> x::a",
            "TestZ -> x::a",
            "TestC -> x::a",
            "TestB -> x::gone",
            "TestB",
        ] {
            assert!(merged(line).is_err(), "{line}");
        }
    }
}
