//! No rule is forgotten in the suite.
#![allow(clippy::disallowed_methods, reason = "reads its own source")]

use std::path::Path;

#[test]
fn the_suite_lists_every_rule() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let listed = std::fs::read_to_string(source.join("lib.rs")).unwrap();
    let mut missing = Vec::new();
    for file in std::fs::read_dir(source.join("rules")).unwrap() {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
        let rules = text.lines().filter_map(|line| line.strip_prefix("pub fn "));
        let names = rules.filter_map(|rule| rule.split('(').next());
        missing.extend(names.filter(|name| !listed.contains(name)).map(str::to_owned));
    }
    assert_eq!(missing, Vec::<String>::new());
}
