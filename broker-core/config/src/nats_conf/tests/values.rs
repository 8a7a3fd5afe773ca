//! Values: CORE-114 to CORE-116.

use super::{check, value};
use expect_test::expect;

/// Each line: the text, `=>`, the value.
#[track_caller]
fn check_values(cases: &[(&str, &str)]) {
    for (text, expected) in cases {
        assert_eq!(value(text), *expected, "foo = {text}");
    }
}

// CORE-114 [TestSimpleKeyStringValues, TestComplexStringValues, TestRawString, TestEmptyStringDQ, TestEmptyStringSQ]
#[test]
fn strings_quoted_or_bare() {
    check_values(&[
        ("'bar'", r#""bar""#),
        ("\"bar\"", r#""bar""#),
        ("\t'bar'\t", r#""bar""#),
        ("'bar'\r\n", r#""bar""#),
        ("'bar\\r\\n  \\t'", r#""bar\\r\\n  \\t""#),
        ("bar", r#""bar""#),
        ("bar' ", r#""bar""#),
        ("\"\"", r#""""#),
        ("''", r#""""#),
        ("", r#""""#),
    ]);
}

// CORE-114 [TestStringStartingWithNumber, TestUnquotedStringStartingWithNumberAndSuffix]
#[test]
fn words_that_begin_with_a_digit_are_strings() {
    for end in ["", ",", ";", " ", "\n"] {
        assert_eq!(value(&format!("3xyz{end}")), r#""3xyz""#, "{end:?}");
    }
    check_values(&[
        ("0K1abc", r#""0K1abc""#),
        ("8m4dwr", r#""8m4dwr""#),
        ("5e7bcd-abc10", r#""5e7bcd-abc10""#),
        ("4e2abc", r#""4e2abc""#),
        ("-1k2abc", r#""-1k2abc""#),
        ("[4e2abc, 0K1abc]", r#"["4e2abc" "0K1abc"]"#),
        ("1'z", r#""1'z""#),
    ]);
    check(
        "\n        map {\n          foo = 3xyz,\n          bar = 4wqs\n        }\n        ",
        expect![[r#"
            2:9 map {
              3:11 foo "3xyz"
              4:11 bar "4wqs"
            }
        "#]],
    );
}

// CORE-114 [TestBinaryString, TestEscapedString, TestCompoundStringES, TestCompoundStringSE, TestCompoundStringEE,
// TestCompoundStringSEE, TestCompoundStringSES, TestCompoundStringEES, TestCompoundStringESE]
#[test]
fn escapes_work_in_bare_and_double_quoted_text() {
    check_values(&[
        ("\\x65", r#""e""#),
        ("\\t", r#""\t""#),
        ("\\r", r#""\r""#),
        ("\\n", r#""\n""#),
        ("\\\"", r#""\"""#),
        ("\\\\", r#""\\""#),
        (r#""\\end""#, r#""\\end""#),
        (r#""start\\""#, r#""start\\""#),
        (r"\x45\x71", r#""Eq""#),
        (r"start\x45\x71", r#""startEq""#),
        (r"start\x7Cend", r#""start|end""#),
        (r"\x3c\x3eend", r#""<>end""#),
        (r"\x3cmiddle\x3E", r#""<middle>""#),
        (r"\xc3\xa9", r#""é""#),
    ]);
}

// CORE-114 [TestBinaryStringLatin1]: a string holds text, so a byte that is no UTF-8 becomes U+FFFD.
#[test]
fn bytes_that_are_no_text_are_replaced_one_by_one() {
    assert_eq!(value("\\xe9"), "\"\u{fffd}\"");
    assert_eq!(value("\\xf0\\x9f"), "\"\u{fffd}\u{fffd}\"");
}

// CORE-114 [TestNonBool, TestNonVariable]
#[test]
fn escaped_words_are_neither_booleans_nor_variables() {
    check_values(&[
        (r"\\true", r#""\\true""#),
        (r"\\$var", r#""\\$var""#),
        (r"\x24var", r#""$var""#),
    ]);
}

// CORE-114 [TestSimpleKeyIntegerValues, TestSimpleKeyNegativeIntegerValues, TestSimpleKeyFloatValues]
#[test]
fn numbers() {
    check_values(&[
        ("123", "123"),
        ("123\r\n", "123"),
        ("-123", "-123"),
        ("22.2", "22.2"),
        ("-0.5", "-0.5"),
        ("0", "0"),
        ("9223372036854775807", "9223372036854775807"),
        (
            "9223372036854775808",
            "error integer '9223372036854775808' is out of the range",
        ),
        ("90000000000g", "error integer '90000000000g' is out of the range"),
    ]);
}

// CORE-114 [TestConvenientIntegerValues, TestConvenientNumbers]
#[test]
fn size_suffixes_are_powers_of_1000_or_1024() {
    for (index, letter) in "kmgtp".chars().enumerate() {
        let exponent = u32::try_from(index + 1).unwrap();
        for letter in [letter, letter.to_ascii_uppercase()] {
            assert_eq!(
                value(&format!("2{letter}")),
                (2 * 1000_i64.pow(exponent)).to_string()
            );
            for unit in ["b", "B", "i", "I", "ib", "iB", "IB"] {
                let text = format!("2{letter}{unit}");
                assert_eq!(value(&text), (2 * 1024_i64.pow(exponent)).to_string(), "{text}");
            }
        }
    }
    check_values(&[
        ("8k", "8000"),
        ("4kb", "4096"),
        ("3ki", "3072"),
        ("64MiB", "67108864"),
        ("22PiB", "24769797950537728"),
        ("1e", "1000000000000000000"),
        ("-1m", "-1000000"),
        ("-1GB ", "-1073741824"),
        ("1Ghz", r#""1Ghz""#),
        ("2Pie", r#""2Pie""#),
        ("3Mbs,", r#""3Mbs""#),
        ("5Gø", r#""5Gø""#),
    ]);
    check(
        "foo = 4Gb, bar = 5Gø",
        expect![[r#"
        1:0 foo 4294967296
        1:11 bar "5Gø"
    "#]],
    );
}

// CORE-115
#[test]
fn durations_without_quotes_are_what_they_look_like_to_the_lexer() {
    check_values(&[("2m", "2000000"), ("10s", r#""10s""#), ("5ms", r#""5ms""#)]);
    assert!(value("1.5s").starts_with("error Parse error on line 1: 'Expected a top-level value to end"));
}

// CORE-116: deliberately kinder than 2.15.2, which swallows the bracket.
#[test]
fn arrays_of_numbers_need_no_blank_before_the_bracket() {
    check_values(&[
        ("[1]", "[1]"),
        ("[1,2]", "[1 2]"),
        ("[1k]", "[1000]"),
        ("[1, 2 ]", "[1 2]"),
        ("[-1]", "[-1]"),
        ("[1.5]", "[1.5]"),
        ("[1\n2\n]", "[1 2]"),
    ]);
    check_values(&[("1kbi", "error expected integer, but got '1kbi'"), ("1,b=2", "1")]);
}

// CORE-114 [TestSimpleKeyBoolValues, TestBools]
#[test]
fn booleans_in_any_case() {
    for text in ["true", "TRUE", "True", "yes", "on", "On"] {
        assert_eq!(value(text), "true", "{text}");
    }
    for text in ["false", "no", "off", "OFF"] {
        assert_eq!(value(text), "false", "{text}");
    }
    check_values(&[
        ("\"true\"", r#""true""#),
        ("'yes'", r#""yes""#),
        ("trueish", r#""trueish""#),
    ]);
}

// CORE-114, CORE-115 [TestDateValues, TestSample5]
#[test]
fn dates_must_be_complete() {
    check_values(&[
        ("2016-05-04T18:53:41Z", "date 2016-05-04T18:53:41Z"),
        (
            "2016-02-30T18:53:41Z",
            "error expected Zulu formatted DateTime, but got '2016-02-30T18:53:41Z'",
        ),
        (
            "201-5",
            "error Parse error on line 1: 'All ISO8601 dates must be in full Zulu form.'",
        ),
        (
            "2016-05-04\n",
            "error Parse error on line 2: 'Expected 'T' in ISO8601 datetime, but found '\\n' instead.'",
        ),
        (
            "2016-0x",
            "error Parse error on line 1: 'Expected digit in ISO8601 datetime, but found 'x' instead.'",
        ),
    ]);
}

// CORE-114 [TestUnquotedIPAddr]
#[test]
fn addresses_need_no_quotes() {
    check_values(&[
        ("127.0.0.1:4222", r#""127.0.0.1:4222""#),
        ("127.0.0.1", r#""127.0.0.1""#),
        ("apcera.me:80", r#""apcera.me:80""#),
        ("nats.io:-1", r#""nats.io:-1""#),
        ("-1", "-1"),
        (":80", r#"":80""#),
        (
            "[localhost:4222, localhost:4333]",
            r#"["localhost:4222" "localhost:4333"]"#,
        ),
    ]);
    check(
        "listen: :-1",
        expect![[r#"
        1:0 listen ":-1"
    "#]],
    );
}

// CORE-114 [TestBlockString, TestBlockStringMultiLine]
#[test]
fn block_strings_keep_their_lines() {
    check(
        "\nnumbers (\n1234567890\n)\n",
        expect![[r#"
        2:1 numbers "\n1234567890\n"
    "#]],
    );
    check(
        "\nnumbers (\n  12(34)56\n  (\n    7890\n  )\n)\n",
        expect![[r#"
        2:1 numbers "\n  12(34)56\n  (\n    7890\n  )\n"
    "#]],
    );
}

// CORE-114: the reference leaves the parenthesis in the text when the file ends right behind it.
#[test]
fn a_block_string_may_end_the_file() {
    check(
        "numbers (\n1\n)",
        expect![[r#"
        1:0 numbers "\n1\n"
    "#]],
    );
}

// CORE-114 [TestArrays, TestMultilineArrays, TestMultilineArraysNoSep]
#[test]
fn arrays_are_separated_by_commas_or_lines() {
    check_values(&[
        ("[1, 2, 3, 'bar']", r#"[1 2 3 "bar"]"#),
        ("[1,2,3,'bar']", r#"[1 2 3 "bar"]"#),
        ("[1, 2,3,'bar']", r#"[1 2 3 "bar"]"#),
        (
            "[\n 1, # One\n 2, // Two\n 3 # Three\n 'bar'     ,\n \"bar\"\n]",
            r#"[1 2 3 "bar" "bar"]"#,
        ),
        (
            "[\n 1 // foo\n 2\n 3\n 'bar'\n \"bar\"\n]",
            r#"[1 2 3 "bar" "bar"]"#,
        ),
        ("[]", "[]"),
        ("[[1 ], [true, 2.5, {}]]", "[[1] [true 2.5 {}]]"),
    ]);
}
