//! `cargo xtask parity`: the ledger of the reference's tests, and how far the specification is cited.
//!
//! `tests/parity/ledger.csv` has one row for each row of `go-tests.csv`, the tests of the reference. A row is *proven*
//! by a test of this project that exists and runs, *not applicable* for a written reason, or *todo*. Rows and tests are
//! compared by name only: that a test proves what its row says is for its readers to judge.

mod citations;
mod found;
mod ledger;
mod prove;

use std::collections::BTreeMap;
use std::path::Path;

use self::ledger::{Ledger, Status};
use crate::output::say;
use crate::project;

const USAGE: &str = "\
usage: cargo xtask parity               totals; fails where a row is wrong
       cargo xtask parity todo [AREA]   rows that nobody has proven
       cargo xtask parity prove FILE..  marks rows as proven; FILE has lines `GoTest -> rust test`";

/// The command.
///
/// # Errors
/// The ledger does not hold.
pub(crate) fn run(args: &[String]) -> Result<(), String> {
    let root = project::root();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args.as_slice() {
        [] => report(&root),
        ["todo", areas @ ..] => todo(&root, areas),
        ["prove", files @ ..] if !files.is_empty() => prove::run(&root, files),
        _ => Err(USAGE.to_owned()),
    }
}

/// Prints the totals.
///
/// # Errors
/// The ledger does not hold; what is wrong has been printed.
fn report(root: &Path) -> Result<(), String> {
    let ledger = Ledger::load(root)?;
    totals(&ledger);
    cited(root)?;
    let problems = problems(root, &ledger)?;
    for problem in &problems {
        say(problem);
    }
    match problems.len() {
        0 => Ok(()),
        count => Err(format!("{count} rows of the ledger do not hold")),
    }
}

/// Everything that is wrong with the ledger.
fn problems(root: &Path, ledger: &Ledger) -> Result<Vec<String>, String> {
    let tests = found::tests(root)?;
    let listed = ledger::listed(root)?;
    Ok(ledger.problems(&listed, &tests))
}

fn totals(ledger: &Ledger) {
    let mut areas: BTreeMap<&str, [usize; 3]> = BTreeMap::new();
    for row in &ledger.rows {
        let column = match row.status {
            Status::Proven => 0,
            Status::NotApplicable => 1,
            Status::Todo => 2,
        };
        for area in [row.area.as_str(), "~ all"] {
            if let Some(count) = areas.entry(area).or_default().get_mut(column) {
                *count += 1;
            }
        }
    }
    say(&format!(
        "{:16}{:>8}{:>8}{:>8}{:>8}",
        "area", "tests", "proven", "n/a", "todo"
    ));
    for (area, [proven, not_applicable, todo]) in areas {
        let sum = proven + not_applicable + todo;
        let area = area.trim_start_matches("~ ");
        say(&format!(
            "{area:16}{sum:>8}{proven:>8}{not_applicable:>8}{todo:>8}"
        ));
    }
}

fn cited(root: &Path) -> Result<(), String> {
    say(&format!("\n{:24}{:>10}{:>8}", "sheet", "statements", "cited"));
    for (sheet, [statements, cited]) in citations::count(root)? {
        say(&format!("{sheet:24}{statements:>10}{cited:>8}"));
    }
    Ok(())
}

fn todo(root: &Path, areas: &[&str]) -> Result<(), String> {
    for row in &Ledger::load(root)?.rows {
        if row.status == Status::Todo && (areas.is_empty() || areas.contains(&row.area.as_str())) {
            say(&format!("{}\t{}\t{}", row.area, row.file, row.test));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ledger_holds() {
        let root = project::root();
        let problems = problems(&root, &Ledger::load(&root).unwrap()).unwrap();
        assert!(problems.is_empty(), "{}", problems.join("\n"));
    }
}
