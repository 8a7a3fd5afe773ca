//! The format, rule by rule. Facts of the reference's `conf/lex_test.go` and `conf/parse_test.go`.

mod errors;
mod layout;
mod references;
mod values;
mod whole;

use expect_test::Expect;
use proptest::prelude::*;

use super::parse;
use crate::report::{Report, Severity};
use crate::source::MapSource;
use crate::value::{Table, Value};

/// Parses `text` as the file `dir/a.conf` and compares the tree: one line per key, with the key's place.
#[track_caller]
fn check(text: &str, expected: Expect) {
    check_with(&MapSource::new(), text, expected);
}

#[track_caller]
fn check_with(source: &MapSource, text: &str, expected: Expect) {
    let mut report = Report::new();
    let mut out = match parse(text.as_bytes(), "dir/a.conf", source, &mut report) {
        Ok(table) => show_table(&table, 0),
        Err(error) => format!("error {} {error}\n", error.position),
    };
    for finding in report.of(Severity::Notice) {
        out.push_str(&format!("notice {finding}\n"));
    }
    expected.assert_eq(&out);
}

/// The value of `foo` in `foo = <text>`, in the notation of [`show`].
#[track_caller]
fn value(text: &str) -> String {
    let text = format!("foo = {text}");
    match parse(text.as_bytes(), "a.conf", &MapSource::new(), &mut Report::new()) {
        Ok(table) => show(&table.get("foo").expect("foo was set").node.value, 0),
        Err(error) => format!("error {error}"),
    }
}

fn show_table(table: &Table, indent: usize) -> String {
    table
        .iter()
        .map(|entry| {
            let file = entry
                .key_pos
                .file
                .strip_prefix("dir/a.conf")
                .unwrap_or(&entry.key_pos.file);
            let place = format!("{file}{}:{}", entry.key_pos.line, entry.key_pos.column);
            let used = if entry.used_as_variable { " (used)" } else { "" };
            format!(
                "{:indent$}{place} {}{used} {}\n",
                "",
                entry.key,
                show(&entry.node.value, indent + 2)
            )
        })
        .collect()
}

fn show(value: &Value, indent: usize) -> String {
    match value {
        Value::Bool(value) => value.to_string(),
        Value::Integer(value) => value.to_string(),
        Value::Float(value) => format!("{value:?}"),
        Value::String(text) => format!("{text:?}"),
        Value::Datetime(text) => format!("date {text}"),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(|item| show(&item.value, indent)).collect();
            format!("[{}]", items.join(" "))
        }
        Value::Table(table) => {
            let inner = show_table(table, indent);
            if inner.is_empty() {
                "{}".to_owned()
            } else {
                format!("{{\n{inner}{:1$}}}", "", indent - 2)
            }
        }
    }
}

proptest! {
    // CORE-121 [TestParserNoInfiniteLoop]
    #[test]
    fn random_bytes_end_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = parse(&bytes, "a.conf", &MapSource::new(), &mut Report::new());
    }

    // CORE-121
    #[test]
    fn random_pieces_of_the_grammar_end_without_panic(
        pieces in proptest::collection::vec(
            prop_oneof![
                Just("{"), Just("}"), Just("["), Just("]"), Just("("), Just("\n)\n"), Just("\""), Just("'"),
                Just("a"), Just("$a"), Just("$E"), Just(" = "), Just(": "), Just("\n"), Just(","), Just(";"),
                Just("#"), Just("//"), Just("/"), Just("\\x4"), Just("\\"), Just("12"), Just("2m"), Just("-"),
                Just("1."), Just("2016-"), Just("include "), Just("a.conf"), Just("\0"), Just("é"), Just("\r"),
            ],
            0..40,
        )
    ) {
        let text = pieces.concat();
        // The file includes itself where the text says so, and the variable refers to itself.
        let source = MapSource::new().file("a.conf", text.clone()).variable("E", text.clone());
        let _ = parse(text.as_bytes(), "a.conf", &source, &mut Report::new());
    }

    // CORE-114: a quoted key and a double-quoted string carry any text.
    #[test]
    fn quoted_text_reads_back(text in "[ -~\n\té]{0,40}") {
        let escaped = text.replace('\\', "\\\\").replace('"', "\\\"");
        let conf = format!("k = \"{escaped}\"");
        let table = parse(conf.as_bytes(), "a.conf", &MapSource::new(), &mut Report::new()).unwrap();
        prop_assert_eq!(table.get("k").and_then(|entry| entry.node.value.as_str()), Some(text.as_str()));
    }

    // CORE-114
    #[test]
    fn integers_read_back(number in any::<i64>()) {
        let conf = format!("k = [{number}, {number}]");
        let table = parse(conf.as_bytes(), "a.conf", &MapSource::new(), &mut Report::new()).unwrap();
        let items = table.get("k").and_then(|entry| entry.node.value.as_array()).unwrap();
        prop_assert!(items.iter().all(|item| item.value == Value::Integer(number)) && items.len() == 2);
    }
}
