//! Rules that look at one file.

use super::Finding;
use crate::source::{self, Items};

/// Most lines of a file.
const FILE_LINES: usize = 1000;

/// Most lines of a function.
const FUNCTION_LINES: usize = 100;

/// Calls that reach the world, which belong behind `Env`.
const CALLS: &[&str] = &[
    "Instant::now",
    "SystemTime::now",
    ".elapsed(",
    "fs::",
    "std::fs",
    "File::open",
    "File::create",
    "OpenOptions::new",
    "TcpSocket::",
    "TcpStream::connect",
    "TcpListener::",
    "UdpSocket::",
    "UnixDatagram::",
    "UnixStream::",
    "UnixListener::",
    "lookup_host",
    "to_socket_addrs",
    "thread::spawn",
    "thread::sleep",
    "thread::Builder",
    "Command::new",
    "tokio::spawn",
    "task::spawn",
    "spawn_blocking",
    "time::sleep",
    "time::timeout",
    "time::interval",
    "rand::",
    "getrandom",
];

/// Where `Env` itself is, and code that is no part of the broker.
const OUTSIDE: &[&str] = &[
    "broker-core/api/src/env",
    "broker-core/net/src/",
    "tests/",
    "xtask/",
];

/// Beginnings of paths that exist on one machine only. Put together here, so that this file does not hold them.
const MACHINE_PATHS: &[&str] = &[
    concat!("/wo", "rk/"),
    concat!("/ro", "ot/"),
    concat!("/tmp/", "goref"),
    concat!("/ho", "me/"),
];

/// Rules for every text.
pub(super) fn text(path: &str, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        for machine in MACHINE_PATHS {
            if line.contains(machine) {
                let told = format!("{machine} is a path of one machine");
                findings.push(finding(path, number, "machine-path", machine, told));
            }
        }
    }
    findings
}

/// Rules for Rust sources. `masked` is `text` without comments and strings.
pub(super) fn rust(path: &str, text: &str, masked: &str, items: &Items) -> Vec<Finding> {
    let mut findings = Vec::new();
    let lines = text.lines().count();
    if lines > FILE_LINES {
        let told = format!("{lines} lines, most are {FILE_LINES}");
        findings.push(finding(path, 0, "file-lines", "", told));
    }
    for function in &items.functions {
        let (first, last) = function.lines;
        let lines = last - first + 1;
        let name = &function.name;
        if lines > FUNCTION_LINES {
            let told = format!("{name} has {lines} lines, most are {FUNCTION_LINES}");
            findings.push(finding(path, first, "function-lines", name, told));
        }
        if function.is_ignored() {
            let told = format!("{name} is ignored: mend it, or remove it");
            findings.push(finding(path, first, "ignored-test", name, told));
        }
    }
    let is_root = path.ends_with("/lib.rs") || path.ends_with("/main.rs");
    if is_root && !text.starts_with("//!") {
        let told =
            "begins without a `//!` header: what is it, what does it never do, which rules does it keep?";
        findings.push(finding(path, 1, "header", "", told.to_owned()));
    }
    findings.extend(lints(path, text, items));
    if !OUTSIDE.iter().any(|outside| path.starts_with(outside)) && !is_test_file(path) {
        findings.extend(calls(path, masked, items));
    }
    findings
}

/// Whether a file is compiled for tests only, by its name.
fn is_test_file(path: &str) -> bool {
    path.ends_with("/tests.rs") || path.contains("/tests/") || path.contains("/benches/")
}

fn calls(path: &str, masked: &str, items: &Items) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (number, line) in (1..).zip(masked.lines()) {
        if items.is_for_tests(number) {
            continue;
        }
        for call in CALLS {
            let stands_alone = line.match_indices(call).any(|(at, _)| {
                let before = line.get(..at).and_then(|before| before.chars().next_back());
                call.starts_with('.') || !before.is_some_and(|c| c.is_alphanumeric() || c == '_')
            });
            if stands_alone {
                let told = format!("{call} outside `Env`");
                findings.push(finding(path, number, "call", call, told));
            }
        }
    }
    findings
}

/// Lints that are switched off need a reason, in the attribute or in a comment at it.
fn lints(path: &str, text: &str, items: &Items) -> Vec<Finding> {
    let comment_at = |number: usize| {
        let at = |number: usize| number.checked_sub(1).and_then(|index| text.lines().nth(index));
        let before = at(number.saturating_sub(1)).unwrap_or_default().trim_start();
        let is_comment = before.starts_with("//") && !before.starts_with("///") && !before.starts_with("//!");
        is_comment || at(number).unwrap_or_default().contains("] //")
    };
    items
        .attributes
        .iter()
        .filter(|(_, attribute)| attribute.starts_with("allow(") || attribute.starts_with("expect("))
        .filter(|(number, attribute)| {
            !source::words(attribute).any(|word| word == "reason") && !comment_at(*number)
        })
        .map(|(number, attribute)| {
            let told = format!("#[{attribute}] without a reason");
            finding(path, *number, "silenced-lint", "", told)
        })
        .collect()
}

fn finding(path: &str, line: usize, rule: &'static str, item: &str, text: String) -> Finding {
    Finding {
        path: path.to_owned(),
        line,
        rule,
        item: item.to_owned(),
        text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(path: &str, text: &str) -> Vec<String> {
        let masked = source::mask(text);
        rust(path, text, &masked, &source::scan(&masked))
            .into_iter()
            .map(|finding| format!("{}: {}: {}", finding.line, finding.rule, finding.item))
            .collect()
    }

    #[test]
    fn calls_to_the_world_are_found_outside_of_env_and_tests() {
        let text = "fn a() { Instant::now(); }\n#[cfg(test)]\nmod tests { fn b() { Instant::now(); } }\n";
        assert_eq!(
            told("broker-core/router/src/x.rs", text),
            ["1: call: Instant::now"]
        );
        assert!(told("broker-core/api/src/env/real.rs", text).is_empty());
        assert!(told("broker-core/router/src/tests.rs", text).is_empty());
    }

    #[test]
    fn calls_are_found_however_they_are_imported() {
        for (line, call) in [
            ("use std::fs;", "std::fs"),
            ("fs::remove_file(path)", "fs::"),
            ("start.elapsed()", ".elapsed("),
            ("TcpSocket::new_v4()", "TcpSocket::"),
        ] {
            let text = format!("fn a() {{\n{line}\n}}\n");
            assert_eq!(
                told("broker-core/router/src/x.rs", &text),
                [format!("2: call: {call}")]
            );
        }
    }

    #[test]
    fn words_of_comments_texts_and_longer_names_are_no_calls() {
        let text = "// Instant::now\nfn a() { let x = \"std::fs::\"; MyInstant::now(); operand::x(); }\n";
        assert!(told("a/src/x.rs", text).is_empty());
    }

    #[test]
    fn long_files_and_functions_are_found() {
        let long = format!("fn long() {{\n{}}}\n", "x();\n".repeat(99));
        assert_eq!(told("a/src/x.rs", &long), ["1: function-lines: long"]);
        assert!(told("a/src/x.rs", &long.replacen("x();\n", "", 1)).is_empty());
        assert_eq!(told("a/src/x.rs", &"\n".repeat(1001)), ["0: file-lines: "]);
    }

    #[test]
    fn header_is_wanted_at_the_root_of_a_crate() {
        assert_eq!(told("a/src/lib.rs", "mod x;\n"), ["1: header: "]);
        assert!(told("a/src/lib.rs", "//! What.\n").is_empty());
        assert!(told("a/src/x.rs", "mod x;\n").is_empty());
    }

    #[test]
    fn silenced_lint_needs_a_reason_and_ignored_test_has_none() {
        let plain = "#[allow(dead_code)]\nfn a() {}\n";
        assert_eq!(told("a/src/x.rs", plain), ["1: silenced-lint: "]);
        assert!(told("a/src/x.rs", &format!("// Used by the macro.\n{plain}")).is_empty());
        assert!(
            told(
                "a/src/x.rs",
                "#[allow(\n  dead_code,\n  reason = \"x\"\n)]\nfn a() {}\n"
            )
            .is_empty()
        );
        assert_eq!(
            told("a/src/x.rs", "#[test]\n#[ignore]\nfn a() {}\n"),
            ["3: ignored-test: a"]
        );
    }

    #[test]
    fn path_of_a_machine_is_found() {
        let found = text("x.md", &format!("see {}x", MACHINE_PATHS[0]));
        assert_eq!(found.len(), 1);
    }
}
