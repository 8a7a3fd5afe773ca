//! The tests of this project, found in its sources.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::project::{self, Package};
use crate::source::{self, Items};

/// Every test by its path, such as `dunlin_wire::client::tests::sub_has_an_optional_queue`, or
/// `dunlin_tests::whole::interop::interop_nats_go` in a test binary; and every differential script.
#[derive(Clone, Debug, Default)]
pub(super) struct Tests {
    /// Whether it is ignored.
    functions: BTreeMap<String, bool>,
    scripts: BTreeSet<String>,
    /// What `suite!` makes.
    suite: Vec<String>,
}

impl Tests {
    /// Why a test proves nothing. `None`: it exists and runs.
    pub(super) fn problem(&self, name: &str) -> Option<String> {
        let script = name
            .strip_prefix("differential/")
            .and_then(|rest| rest.strip_suffix(".script"));
        let is_ignored = match script {
            Some(script) => self.scripts.contains(script).then_some(false),
            None => self.functions.get(name).copied(),
        };
        match is_ignored {
            None => Some(format!("there is no test {name}")),
            Some(true) => Some(format!("{name} is ignored")),
            Some(false) => None,
        }
    }

    #[cfg(test)]
    pub(super) fn of(functions: &[(&str, bool)], scripts: &[&str]) -> Tests {
        Tests {
            functions: functions
                .iter()
                .map(|(name, ignored)| ((*name).to_owned(), *ignored))
                .collect(),
            scripts: scripts.iter().map(|name| (*name).to_owned()).collect(),
            suite: Vec::new(),
        }
    }
}

/// Where the tests are listed that `suite!` makes for a store.
const SUITE: &str = "storage-backends/conformance/src/lib.rs";

/// Finds all tests.
pub(super) fn tests(root: &Path) -> Result<Tests, String> {
    let mut tests = Tests {
        scripts: dunlin_tests::differential::names()?.into_iter().collect(),
        ..Tests::default()
    };
    tests.suite = suite(&source::mask(&project::read(&root.join(SUITE))?));
    for package in project::packages(root)? {
        for (prefix, file) in targets(&package) {
            if file.exists() {
                let folder = file.parent().unwrap_or(root).to_path_buf();
                walk(&file, &folder, &prefix, &mut tests)?;
            }
        }
    }
    Ok(tests)
}

/// The root files of a package with the path that its tests begin with.
fn targets(package: &Package) -> Vec<(String, PathBuf)> {
    let name = package.name.replace('-', "_");
    let folder = &package.folder;
    let mut targets = vec![
        (name.clone(), folder.join("src/lib.rs")),
        (name.clone(), folder.join("src/main.rs")),
    ];
    let own = package.manifest.get("test").and_then(toml::Value::as_array);
    for test in own.into_iter().flatten() {
        let field = |field: &str| test.get(field).and_then(toml::Value::as_str);
        if let Some(target) = field("name") {
            let path = field("path").map_or_else(|| format!("tests/{target}.rs"), str::to_owned);
            targets.push((format!("{name}::{}", target.replace('-', "_")), folder.join(path)));
        }
    }
    if own.is_none()
        && let Ok(entries) = std::fs::read_dir(folder.join("tests"))
    {
        for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
            if let (Some(target), true) = (path.file_stem(), path.extension().is_some_and(|end| end == "rs"))
            {
                targets.push((
                    format!("{name}::{}", target.to_string_lossy().replace('-', "_")),
                    path,
                ));
            }
        }
    }
    targets
}

/// Collects the tests of a file and of the modules below it, which lie in `folder`.
fn walk(file: &Path, folder: &Path, prefix: &str, tests: &mut Tests) -> Result<(), String> {
    let text = project::read(file)?;
    let items: Items = source::scan(&source::mask(&text));
    for function in items.functions.iter().filter(|function| function.is_test()) {
        let mut path = vec![prefix.to_owned()];
        path.extend(function.modules.iter().cloned());
        path.push(function.name.clone());
        tests.functions.insert(path.join("::"), function.is_ignored());
    }
    for suite in suites(&source::mask(&text)) {
        let made = tests
            .suite
            .iter()
            .map(|test| (format!("{prefix}::{suite}::{test}"), false));
        tests.functions.extend(made);
    }
    for name in invocations(&text) {
        tests.functions.insert(format!("{prefix}::{name}"), false);
    }
    for module in &items.file_modules {
        let mut inner = folder.to_path_buf();
        inner.extend(&module.modules);
        let mut path = vec![prefix.to_owned()];
        path.extend(module.modules.iter().cloned());
        path.push(module.name.clone());
        let below = inner.join(&module.name);
        let named = path_attribute(&text, &module.name).unwrap_or_default();
        let named = file.with_file_name(named);
        let candidates = [
            inner.join(format!("{}.rs", module.name)),
            below.join("mod.rs"),
            named.clone(),
        ];
        let below = named
            .parent()
            .filter(|_| named.is_file())
            .map_or(below, Path::to_path_buf);
        // None is there: another platform's.
        if let Some(file) = candidates.iter().find(|file| file.is_file()) {
            walk(file, &below, &path.join("::"), tests)?;
        }
    }
    Ok(())
}

/// The tests that `suite!` makes: those of the rules, and those that stand in the macro itself.
fn suite(masked: &str) -> Vec<String> {
    let (_, rest) = masked.split_once("$crate::rules!($make;").unwrap_or_default();
    let (rules, rest) = rest.split_once(");").unwrap_or_default();
    let about = rules.split(';').filter_map(|group| group.split_once(':'));
    let rules = about.flat_map(|(about, rules)| {
        let rules = rules.split(',').map(str::trim);
        rules.map(move |rule| format!("{}::{rule}", about.trim()))
    });
    let (rest, _) = rest.split_once("macro_rules!").unwrap_or((rest, ""));
    let own = rest
        .split("fn ")
        .skip(1)
        .filter_map(|function| function.split('(').next());
    rules.chain(own.map(str::to_owned)).collect()
}

/// The suites that a file asks for, each by the path of its module: they stand at its top or in its `mod tests`.
fn suites(masked: &str) -> Vec<String> {
    let calls = masked.match_indices("suite!(").map(|(at, call)| {
        let name = masked[at + call.len()..].split(',').next().unwrap_or_default();
        let module = if masked[..at].contains("mod tests {") {
            "tests::"
        } else {
            ""
        };
        format!("{module}{}", name.trim())
    });
    // In the macro itself there is no name.
    calls.filter(|name| !name.contains('$')).collect()
}

/// Tests that the macro `invocations!` makes of a list, an entry `name: …;` each.
fn invocations(text: &str) -> impl Iterator<Item = &str> {
    let list = text
        .split_once("\ninvocations! {\n")
        .and_then(|(_, rest)| rest.split_once("\n}"))
        .map_or("", |(list, _)| list);
    let names = list
        .lines()
        .filter_map(|line| line.trim_start().split_once(": "))
        .map(|(name, _)| name);
    names.filter(|name| !name.starts_with("//") && !name.contains(' '))
}

/// What stands in `#[path = "…"]` on the line before a module.
fn path_attribute<'a>(text: &'a str, module: &str) -> Option<&'a str> {
    let declaration = format!("mod {module};");
    let lines = text.lines().zip(text.lines().skip(1));
    let (attribute, _) = lines.into_iter().find(|(_, line)| line.trim() == declaration)?;
    attribute.trim().strip_prefix("#[path = \"")?.strip_suffix("\"]")
}

#[cfg(test)]
mod tests {
    #[test]
    fn tests_of_libraries_programs_and_test_binaries_are_found() {
        let tests = super::tests(&crate::project::root()).unwrap();
        for name in [
            "xtask::parity::found::tests::tests_of_libraries_programs_and_test_binaries_are_found",
            "dunlin_tests::connection::tests::frame_is_whole_with_its_payload_and_line_end",
            "dunlin_tests::whole::interop::interop_nats_go",
            "dunlin_tests::whole::security::identity::accounts_share_nothing",
            "dunlin_tests::whole::command_line::grace_above_the_duration",
            "differential/pub_sub.script",
            "dunlin_example_store::tests::default_bodies::open::a_stream_is_open_once",
            "dunlin_example_store::tests::example_store::random_histories_agree_with_a_plain_model",
        ] {
            assert_eq!(tests.problem(name), None);
        }
        assert!(tests.problem("xtask::parity::report").is_some());
    }
}
