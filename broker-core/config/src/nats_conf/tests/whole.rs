//! Whole documents of the reference's `conf/parse_test.go` and `conf/lex_test.go`.

use super::super::parse;
use crate::report::Report;
use crate::source::MapSource;

/// The tree as `Value` prints it, or the error.
fn shown(text: &str, source: &MapSource) -> String {
    match parse(text.as_bytes(), "a", source, &mut Report::new()) {
        Ok(table) => crate::value::Value::Table(table).to_string(),
        Err(error) => error.to_string(),
    }
}

// CORE-113 [TestJSONParseCompat]
#[test]
fn documents_in_json_are_configurations() {
    let none = MapSource::new();
    for (text, expected) in [
        (
            "\n{\n \"http_port\": 8227,\n \"write_deadline\": \"1h\",\n \"cluster\": {\n \"port\": 6222,\n \"routes\": \
             [\n \"nats://a:1\",\n \"nats://b:2\"\n ]\n }\n}\n",
            "map[http_port:8227 write_deadline:1h cluster:map[port:6222 routes:[nats://a:1 nats://b:2]]]",
        ),
        // Commas may be missing or too many.
        (
            "{\n \"jetstream\": {\n \"store_dir\": \"/x\"\n \"max_mem\": 1000000,\n },\n \"port\": 4222\n}\n",
            "map[jetstream:map[store_dir:/x max_mem:1000000] port:4222]",
        ),
        ("{}", "map[]"),
        ("\n{\n}\n", "map[]"),
    ] {
        assert_eq!(shown(text, &none), expected);
    }
    let files = MapSource::new()
        .file("foo.json", "{ \"users\": [ {\"user\": \"foo\"} ] }")
        .file("bar.json", "{\n \"users\": [ {\"user\": \"bar\"} ]\n}")
        .file("quux.json", "{}");
    let text = "accounts {\n foo { include 'foo.json' }\n bar { include 'bar.json' }\n quux { include 'quux.json' }\n}\n";
    assert_eq!(
        shown(text, &files),
        "map[accounts:map[foo:map[users:[map[user:foo]]] bar:map[users:[map[user:bar]]] quux:map[]]]"
    );
}

// CORE-114 [TestSample4]
#[test]
fn maps_in_an_array_stand_a_line_each() {
    let text = "\n  array [\n    { abc: 123 }\n    { xyz: \"word\" }\n  ]\n";
    assert_eq!(
        shown(text, &MapSource::new()),
        "map[array:[map[abc:123] map[xyz:word]]]"
    );
}

// CORE-121 [TestPlainValue]
#[test]
fn a_key_alone_has_no_value() {
    assert_eq!(shown("foo", &MapSource::new()), "config is invalid (a:1:3)");
}

// CORE-114: a byte that is no text stands as U+FFFD [TestBinaryStringLatin1]
#[test]
fn an_escaped_byte_is_one_character() {
    assert_eq!(shown("foo = \\xe9", &MapSource::new()), "map[foo:\u{fffd}]");
}

// CORE-118: the name of a variable is all that stands there [TestEnvVariableStringStartingWithNumber]
#[test]
fn variables_that_nobody_defines_are_errors() {
    let source = MapSource::new().variable("UNIQ", "3xyz");
    assert_eq!(
        shown("foo = $%s", &source),
        "variable reference for '%s' on line 1 can not be found"
    );
    assert_eq!(shown("foo = $UNIQ", &source), "map[foo:3xyz]");
}

// CORE-114 [TestBlockStringEOF]
#[test]
fn a_nul_at_the_end_ends_a_value() {
    let none = MapSource::new();
    assert_eq!(
        shown("\nnumbers (\n1234567890\n)\0", &none),
        "map[numbers:\n1234567890\n]"
    );
    assert_eq!(shown("port: 1 \0", &none), "map[port:1]");
    assert_ne!(shown("port: 1 \0x", &none), "map[port:1]");
}
