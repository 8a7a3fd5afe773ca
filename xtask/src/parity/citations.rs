//! Which numbered statements of the specification the tests cite, such as `// CORE-32`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::{csv, project, source};

const FILE: &str = "tests/parity/statements.csv";

/// For each sheet: how many statements it has, and how many of them a test cites.
pub(super) fn count(root: &Path) -> Result<BTreeMap<String, [usize; 2]>, String> {
    let text = project::read(&root.join(FILE))?;
    let statements = csv::parse(&text, ["sheet", "id"]).map_err(|error| format!("{FILE}:{error}"))?;
    let mut cited = BTreeSet::new();
    for path in project::files(root)? {
        let name = project::relative(root, &path);
        if name.ends_with(".script") {
            cited.extend(ids(&project::read(&path)?));
        } else if name.ends_with(".rs") {
            cited.extend(ids(&tests_of(&name, &project::read(&path)?)));
        }
    }
    let mut sheets: BTreeMap<String, [usize; 2]> = BTreeMap::new();
    for [sheet, id] in statements {
        let [all, done] = sheets.entry(sheet).or_default();
        *all += 1;
        *done += usize::from(cited.contains(&id));
    }
    Ok(sheets)
}

/// The part of a source that is only compiled for tests, comments included.
fn tests_of(name: &str, text: &str) -> String {
    let is_suite = name.starts_with("storage-backends/conformance/src/");
    if is_suite || name.starts_with("tests/") || name.ends_with("/tests.rs") || name.contains("/tests/") {
        return text.to_owned();
    }
    let items = source::scan(&source::mask(text));
    let lines = (1..)
        .zip(text.lines())
        .filter(|(number, _)| items.is_for_tests(*number));
    lines.map(|(_, line)| format!("{line}\n")).collect()
}

/// Everything that looks like an id: capitals, `-`, perhaps a `P`, digits.
fn ids(text: &str) -> Vec<String> {
    let separates = |c: char| !c.is_ascii_alphanumeric() && c != '-';
    let is_id = |word: &&str| {
        word.split_once('-').is_some_and(|(sheet, number)| {
            let digits = number.strip_prefix('P').unwrap_or(number);
            let capitals = !sheet.is_empty() && sheet.bytes().all(|byte| byte.is_ascii_uppercase());
            capitals && !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
        })
    };
    text.split(separates).filter(is_id).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_found_in_comments() {
        assert_eq!(
            ids("// CORE-32, AUTH-P1 [TestX]: utf-8 A-b CORE-"),
            ["CORE-32", "AUTH-P1"]
        );
    }

    #[test]
    fn only_tests_cite() {
        let text = "// CORE-1\nfn a() {}\n#[cfg(test)]\nmod tests {\n    // CORE-2\n}\n";
        assert_eq!(ids(&tests_of("a/src/x.rs", text)), ["CORE-2"]);
        assert_eq!(ids(&tests_of("a/src/tests/x.rs", text)), ["CORE-1", "CORE-2"]);
    }
}
