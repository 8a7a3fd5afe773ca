//! Error texts: CORE-120, CORE-121.

use super::check;
use crate::report::Report;
use crate::source::MapSource;
use expect_test::expect;

/// The error's text, without place.
#[track_caller]
fn check_error(text: &str, expected: &str) {
    let parsed = super::parse(text.as_bytes(), "", &MapSource::new(), &mut Report::new());
    assert_eq!(
        parsed.expect_err("an error is expected").to_string(),
        expected,
        "{text:?}"
    );
}

// CORE-120 [TestBadKey]
#[test]
fn a_separator_is_no_key() {
    check_error(
        " :foo = 22",
        "Parse error on line 1: 'Unexpected key separator ':''",
    );
    check_error(
        "a { = 22 }",
        "Parse error on line 1: 'Unexpected key separator '='.'",
    );
}

// CORE-120 [TestBadFloatValues]
#[test]
fn floats_begin_and_end_with_digits() {
    check_error(
        "foo = .2",
        "Parse error on line 1: 'Floats must start with a digit'",
    );
    check_error(
        "foo = -.2",
        "Parse error on line 1: 'Floats must start with a digit, not '.'.'",
    );
    check_error(
        "foo = 2.x",
        "Parse error on line 1: 'Floats must have a digit after the '.', but got 'x' instead.'",
    );
    check_error(
        "foo = -x",
        "Parse error on line 1: 'Expected a digit but got 'x'.'",
    );
}

// CORE-120 [TestBadBinaryStringEndingAfterZeroHexChars, TestBadBinaryStringEndingAfterOneHexChar]
#[test]
fn hexadecimal_escapes_do_not_run_over_the_line() {
    for text in ["foo = xyz\\x\n", "foo = xyz\\xF\n"] {
        check_error(
            text,
            "Parse error on line 2: 'Expected two hexadecimal digits after '\\x', but hit end of line'",
        );
    }
}

// CORE-120 [TestBadBinaryStringWithZeroHexChars, TestBadBinaryStringWithOneHexChar]
#[test]
fn hexadecimal_escapes_take_two_digits() {
    check_error(
        r#"foo = "[\x]""#,
        "Parse error on line 1: 'Expected two hexadecimal digits after '\\x', but got ']\"''",
    );
    check_error(
        r#"foo = "[\xe]""#,
        "Parse error on line 1: 'Expected two hexadecimal digits after '\\x', but got 'e]''",
    );
}

// CORE-120 [TestBadStringEscape]
#[test]
fn unknown_escapes_are_named() {
    check_error(
        r"foo = \y",
        r#"Parse error on line 1: 'Invalid escape character 'y'. Only the following escape characters are allowed: \xXX, \t, \n, \r, \", \\.'"#,
    );
}

// CORE-120 [TestDanglingQuotedString, TestDanglingSingleQuotedString, TestKeyDanglingQuotedString,
// TestKeyDanglingSingleQuotedString]
#[test]
fn open_quotes_end_with_the_file() {
    for quote in ['"', '\''] {
        let text = format!("\nlisten: {quote}localhost:4242\n\nhttp: localhost:8222\n");
        check_error(&text, "Parse error on line 5: 'Unexpected EOF.'");
        let text = format!("\nfoo = {quote}\nlisten: {quote}\n\nhttp: localhost:8222\n\n{quote}\n");
        check_error(&text, "Parse error on line 8: 'Unexpected EOF.'");
    }
}

// CORE-120 [TestMapDanglingBracket, TestBlockDanglingParens]
#[test]
fn open_maps_and_blocks_end_with_the_file() {
    check_error(
        "\nlisten = 4222\n\ncluster = {\n\n  foo = bar\n\n",
        "Parse error on line 8: 'Unexpected EOF processing map.'",
    );
    check_error(
        "\nlisten = 4222\n\nquote = (\n\n  foo = bar\n\n",
        "Parse error on line 8: 'Unexpected EOF processing block.'",
    );
}

// CORE-120
#[test]
fn terminators_are_named() {
    check_error(
        "a =\nb = 1",
        "Parse error on line 2: 'Expected value but found new line'",
    );
    check_error(
        "a = \"x\" \"y\"",
        "Parse error on line 1: 'Expected a top-level value to end with a new line, comment or EOF, but got '\"' instead.'",
    );
    check_error(
        "a { b = \"x\" y }",
        "Parse error on line 1: 'Expected a map value terminator \",\" or a map terminator \"}\", but got 'y' instead.'",
    );
    check_error(
        "a = [x y]",
        "Parse error on line 1: 'Expected an array value terminator \",\" or an array terminator \"]\", but got 'y' instead.'",
    );
    check_error(
        "a = [,]",
        "Parse error on line 1: 'Unexpected array value terminator ','.'",
    );
    check_error(
        "a { b = , }",
        "Parse error on line 1: 'Unexpected map value terminator \",\".'",
    );
    check_error(
        "a { ] }",
        "Parse error on line 1: 'Unexpected array end ']' processing map.'",
    );
    check_error("/", "Parse error on line 1: 'Unexpected EOF.'");
}

// CORE-120
#[test]
fn include_needs_a_path() {
    for (text, found) in [
        ("[", "start of an array"),
        ("{", "start of a map"),
        ("(", "start of a block"),
        ("7", "start of a number"),
        ("-", "start of a number"),
        ("\\", "escape sequence"),
    ] {
        let expected = format!("Parse error on line 1: 'Expected include value but found {found}'");
        check_error(&format!("include {text}"), &expected);
    }
    check_error(
        "include \n",
        "Parse error on line 2: 'Expected include value but found new line'",
    );
}

// CORE-121 [TestParserNoInfiniteLoop]
#[test]
fn unterminated_garbage_ends_with_an_error() {
    for text in ["A@@Føøøø?˛ø:{øøøø˙˙", "include \"9/\u{fffd}"] {
        let parsed = super::parse(text.as_bytes(), "", &MapSource::new(), &mut Report::new());
        assert!(
            parsed.unwrap_err().to_string().contains("Unexpected EOF"),
            "{text}"
        );
    }
}

// CORE-121 [TestParseWithNoValuesAreInvalid]
#[test]
fn a_last_key_without_value_is_placed_at_the_end() {
    check_error(
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "config is invalid (:1:41)",
    );
    check_error(
        "              aaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "config is invalid (:1:41)",
    );
    check_error(
        "     aaaaaaaaaaaaaaaaaaaaaaaaaaa         ",
        "config is invalid (:1:41)",
    );
    check_error(
        "\n  # with comments and no spaces to create key values\n  # is also an invalid config.\n  \
         aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n                        ",
        "config is invalid (:5:25)",
    );
    check_error(
        "\n                        a,a,a,a,a,a,a,a,a,a,a\n                        ",
        "config is invalid (:3:25)",
    );
}

// CORE-121: the reference puts such a map under its own inner key.
#[test]
fn a_last_key_of_a_map_without_value_is_refused() {
    check_error("a { b }", "config is invalid (:1:6)");
    check_error("a { b: }", "config is invalid (:1:7)");
}

#[test]
fn nesting_through_variables_and_includes_is_bounded() {
    let mut text = String::from("a0 = []\n");
    for level in 1..20 {
        let (open, close) = ("[".repeat(100), "]".repeat(100));
        text.push_str(&format!("a{level} = {open}$a{}{close}\n", level - 1));
    }
    check_error(&text, "maps and arrays are nested deeper than 128");
    let source = MapSource::new().file("a", format!("{}include a", "a { ".repeat(20)));
    let parsed = super::parse(b"include a", "b", &source, &mut Report::new());
    assert!(
        parsed
            .unwrap_err()
            .to_string()
            .ends_with("maps and arrays are nested deeper than 128")
    );
}

#[test]
fn nesting_is_bounded() {
    let deep = |depth: usize| format!("a = {}{}", "[".repeat(depth), "]".repeat(depth));
    assert!(super::parse(deep(100).as_bytes(), "", &MapSource::new(), &mut Report::new()).is_ok());
    check_error(&deep(100_000), "maps and arrays are nested deeper than 128");
    check_error(
        &"a {".repeat(1000).replace("a {", "a { "),
        "maps and arrays are nested deeper than 128",
    );
}

#[test]
fn errors_carry_a_place() {
    check(
        "a = 1\nb = \"x",
        expect![[r#"
        error dir/a.conf:2:7 Parse error on line 2: 'Unexpected EOF.'
    "#]],
    );
}
