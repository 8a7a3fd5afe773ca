//! Includes and variables: CORE-117 to CORE-119; the digest: CORE-123.

use super::{check, check_with};
use crate::report::Report;
use crate::source::MapSource;
use crate::tree::digest_of;
use expect_test::expect;

const ALICE: &str = "$2a$10$UHR6GhotWhpLsKtVP0/i6.Nh9.fuY73cWjLoJjb2sKT8KISBcUW5q";
const BOB: &str = "$2a$11$dZM98SpGeI7dCFFGSpt.JObQcix8YHml4TBUZoge9R1uxnMIln5ly";

fn passwords() -> String {
    format!("# Just foo & bar for testing\nALICE_PASS: {ALICE}\nBOB_PASS: {BOB}\n")
}

// CORE-118, CORE-119 [TestSimpleVariable, TestVariableValues]
#[test]
fn a_variable_is_an_earlier_key() {
    for text in [
        "index = 22\nfoo = $index",
        "index = 22\nfoo =$index",
        "index = 22\nfoo $index",
    ] {
        check(
            text,
            expect![[r#"
            1:0 index (used) 22
            2:1 foo 22
        "#]],
        );
    }
}

// CORE-118 [TestNestedVariable]
#[test]
fn the_nearest_map_counts() {
    check(
        "\n  index = 22\n  nest {\n    index = 11\n    foo = $index\n  }\n  bar = $index\n",
        expect![[r#"
        2:3 index (used) 22
        3:3 nest {
          4:5 index (used) 11
          5:5 foo 11
        }
        7:3 bar 22
    "#]],
    );
}

// CORE-118 [TestMissingVariable]
#[test]
fn a_missing_variable_is_an_error() {
    check(
        "foo=$index",
        expect![[r#"
        error dir/a.conf:1:10 variable reference for 'index' on line 1 can not be found
    "#]],
    );
    check(
        "foo=$index\nindex=22",
        expect![[r#"
        error dir/a.conf:1:10 variable reference for 'index' on line 1 can not be found
    "#]],
    );
}

// CORE-118 [TestEnvVariable, TestEnvVariableString, TestEnvVariableStringStartingWithNumberAndSizeUnit,
// TestEnvVariableStringStartingWithNumberUsingQuotes]
#[test]
fn variables_of_the_environment_are_parsed_like_values() {
    let source = MapSource::new()
        .variable("INT", "22")
        .variable("TEXT", "xyz")
        .variable("DIGITS", "3xyz")
        .variable("SUFFIX", "3Gyz")
        .variable("QUOTED", "'8080'")
        .variable("MAP", "{a: $INT}")
        .variable("EMPTY", "");
    let text = "a = $INT\nb = $TEXT\nc = $DIGITS\nd = $SUFFIX\ne = $QUOTED\nf = $MAP\ng = $EMPTY\n";
    check_with(
        &source,
        text,
        expect![[r#"
        1:0 a 22
        2:1 b "xyz"
        3:1 c "3xyz"
        4:1 d "3Gyz"
        5:1 e "8080"
        6:1 f {
          $MAP1:4 a 22
        }
        7:1 g ""
    "#]],
    );
}

// CORE-118 [TestEnvVarReferencesEnvVar, TestEnvVarReferencesSelf, TestEnvVarReferencesEnvVarCycle]
#[test]
fn variables_of_the_environment_refer_to_each_other_without_cycles() {
    let source = MapSource::new()
        .variable("A", "$B")
        .variable("B", "$C")
        .variable("C", "7")
        .variable("SELF", "$SELF")
        .variable("X", "$Y")
        .variable("Y", "$X");
    check_with(
        &source,
        "foo = $A",
        expect![[r#"
        1:0 foo 7
    "#]],
    );
    check_with(
        &source,
        "foo = $SELF",
        expect![[r#"
        error dir/a.conf:1:11 variable reference for 'SELF' on line 1 could not be parsed: variable reference for 'SELF' on line 1 could not be parsed: variable reference cycle for 'SELF'
    "#]],
    );
    check_with(
        &source,
        "foo = $X",
        expect![[r#"
        error dir/a.conf:1:8 variable reference for 'X' on line 1 could not be parsed: variable reference for 'Y' on line 1 could not be parsed: variable reference for 'X' on line 1 could not be parsed: variable reference cycle for 'X'
    "#]],
    );
}

// CORE-118 [TestVarReferencesVar, TestVarReferencesEnvVar, TestVarReferencesSelf]
#[test]
fn variables_refer_to_variables_but_not_to_themselves() {
    let source = MapSource::new().variable("PORT", "7890");
    for first in ["7890", "$PORT"] {
        let text = format!("A: {first}\nB: $A\nC: $B\nport: $C");
        check_with(
            &source,
            &text,
            expect![[r#"
                1:0 A (used) 7890
                2:1 B (used) 7890
                3:1 C (used) 7890
                4:1 port 7890
            "#]],
        );
    }
    check(
        "A: $A",
        expect![[r#"
        error dir/a.conf:1:5 variable reference for 'A' on line 1 can not be found
    "#]],
    );
}

// CORE-118 [TestEnvVarReferencesSelfCycle]
#[test]
fn longer_cycles_in_the_environment_are_found() {
    let source = MapSource::new()
        .variable("A", "$B")
        .variable("B", "$C")
        .variable("C", "$A");
    let parsed = super::parse(b"TEST: $A", "a.conf", &source, &mut Report::new());
    let error = parsed.unwrap_err().to_string();
    assert!(error.ends_with("variable reference cycle for 'A'"), "{error}");
}

// CORE-118 [TestEnvVarFromIncludedFile]
#[test]
fn an_included_file_may_define_a_variable_from_the_environment() {
    let source = MapSource::new()
        .variable("A", "$B")
        .variable("B", "7890")
        .file("dir/ports.conf", "TEST_PORT: $A");
    check_with(
        &source,
        "include \"./ports.conf\"\nport: $TEST_PORT",
        expect![[r#"
            dir/ports.conf1:0 TEST_PORT (used) 7890
            2:1 port 7890
        "#]],
    );
}

// CORE-118 [TestEnvVarReferencesVar]: the environment does not see the file's keys.
#[test]
fn variables_of_the_environment_see_no_keys() {
    let source = MapSource::new().variable("E", "$key");
    check_with(
        &source,
        "key = 1\nfoo = $E",
        expect![[r#"
        error dir/a.conf:2:9 variable reference for 'E' on line 2 could not be parsed: variable reference for 'key' on line 1 can not be found
    "#]],
    );
}

// CORE-118 [TestEnvVarInclude]
#[test]
fn variables_of_the_environment_include_nothing() {
    let source = MapSource::new().variable("E", "include x").file("x", "b = 1");
    check_with(
        &source,
        "foo = $E",
        expect![[r#"
        error dir/a.conf:1:8 variable reference for 'E' on line 1 could not be parsed: Parse error on line 1: 'Expected a top-level value to end with a new line, comment or EOF, but got 'x' instead.'
    "#]],
    );
    let source = MapSource::new()
        .variable("E", "x\ninclude b.conf")
        .file("dir/b.conf", "b = 1");
    check_with(
        &source,
        "foo = $E",
        expect![[r#"
        error dir/a.conf:1:8 variable reference for 'E' on line 1 could not be parsed: include is not allowed in a variable of the environment
    "#]],
    );
}

// CORE-118 [TestBcryptVariable]
#[test]
fn bcrypt_hashes_are_no_variables() {
    check(
        "password: $2a$11$ooo",
        expect![[r#"
        1:0 password "$2a$11$ooo"
    "#]],
    );
}

// CORE-119 [TestParseFileWithChecksDigestPreservesConfigKeyUsedAsVariable]
#[test]
fn a_key_used_as_variable_stays_a_key() {
    check(
        "\n\t\tport = 4222\n\t\tmonitor_port = $port\n\t",
        expect![[r#"
        2:3 port (used) 4222
        3:3 monitor_port 4222
    "#]],
    );
}

// CORE-117 [TestIncludes]
#[test]
fn includes_are_relative_to_their_file() {
    let users = "include ./passwords.conf;\n\nusers = [\n  {user: alice, password: $ALICE_PASS}\n  \
                 {user: bob,   password: $BOB_PASS}\n]\n";
    let source = MapSource::new()
        .file("dir/includes/users.conf", users)
        .file("dir/includes/passwords.conf", passwords());
    let text = "listen: 127.0.0.1:4222\n\nauthorization {\n  include 'includes/users.conf' # Pull in from file\n  \
                timeout: 0.5\n}\n";
    check_with(
        &source,
        text,
        expect![[r#"
        1:0 listen "127.0.0.1:4222"
        3:1 authorization {
          dir/includes/passwords.conf2:1 ALICE_PASS (used) "$2a$10$UHR6GhotWhpLsKtVP0/i6.Nh9.fuY73cWjLoJjb2sKT8KISBcUW5q"
          dir/includes/passwords.conf3:1 BOB_PASS (used) "$2a$11$dZM98SpGeI7dCFFGSpt.JObQcix8YHml4TBUZoge9R1uxnMIln5ly"
          dir/includes/users.conf3:1 users [{
            dir/includes/users.conf4:4 user "alice"
            dir/includes/users.conf4:17 password "$2a$10$UHR6GhotWhpLsKtVP0/i6.Nh9.fuY73cWjLoJjb2sKT8KISBcUW5q"
          } {
            dir/includes/users.conf5:4 user "bob"
            dir/includes/users.conf5:17 password "$2a$11$dZM98SpGeI7dCFFGSpt.JObQcix8YHml4TBUZoge9R1uxnMIln5ly"
          }]
          5:3 timeout 0.5
        }
    "#]],
    );
}

// CORE-117, CORE-122 [TestIncludeVariablesWithChecks]
#[test]
fn the_includer_sees_variables_of_the_included_file() {
    let source = MapSource::new().file("dir/includes/passwords.conf", passwords());
    let text = "\nauthorization {\n\n  include \"./includes/passwords.conf\"\n\n  CAROL_PASS: foo\n\n  users = [\n   \
                {user: alice, password: $ALICE_PASS}\n   {user: carol, password: $CAROL_PASS}\n  ]\n}\n";
    check_with(
        &source,
        text,
        expect![[r#"
        2:1 authorization {
          dir/includes/passwords.conf2:1 ALICE_PASS (used) "$2a$10$UHR6GhotWhpLsKtVP0/i6.Nh9.fuY73cWjLoJjb2sKT8KISBcUW5q"
          dir/includes/passwords.conf3:1 BOB_PASS "$2a$11$dZM98SpGeI7dCFFGSpt.JObQcix8YHml4TBUZoge9R1uxnMIln5ly"
          6:3 CAROL_PASS (used) "foo"
          8:3 users [{
            9:5 user "alice"
            9:18 password "$2a$10$UHR6GhotWhpLsKtVP0/i6.Nh9.fuY73cWjLoJjb2sKT8KISBcUW5q"
          } {
            10:5 user "carol"
            10:18 password "foo"
          }]
        }
    "#]],
    );
}

// CORE-117
#[test]
fn the_included_file_does_not_see_the_includers_variables() {
    let source = MapSource::new().file("dir/b.conf", "x = $v");
    check_with(
        &source,
        "v = 1\ninclude b.conf\n",
        expect![[r#"
        error dir/b.conf:1:6 error parsing include file 'b.conf', variable reference for 'v' on line 1 can not be found
    "#]],
    );
}

// CORE-117 [TestInclude, TestMapInclude]
#[test]
fn include_takes_quoted_and_bare_paths() {
    let source = MapSource::new().file("dir/users.conf", "u = 1");
    for text in [
        "include \"users.conf\"",
        "include 'users.conf'",
        "include users.conf",
    ] {
        check_with(
            &source,
            text,
            expect![[r#"
            dir/users.conf1:0 u 1
        "#]],
        );
    }
    for text in [
        "foo { include users.conf }",
        "foo {include users.conf}",
        "foo { include 'users.conf' }",
        "foo { include \"users.conf\"}",
    ] {
        check_with(
            &source,
            text,
            expect![[r#"
            1:0 foo {
              dir/users.conf1:0 u 1
            }
        "#]],
        );
    }
}

// CORE-117, CORE-P8
#[test]
fn absolute_includes_are_relative_with_a_remark() {
    let source = MapSource::new()
        .file("dir/etc/b.conf", "b = 1")
        .file("c.conf", "c = 1");
    check_with(
        &source,
        "include /etc/b.conf\ninclude ../c.conf",
        expect![[r#"
        dir/etc/b.conf1:0 b 1
        c.conf1:0 c 1
        notice dir/a.conf:1:19: include path /etc/b.conf is taken relative to the directory of this file
    "#]],
    );
}

// CORE-117 [TestParseWithNoValuesIncludes]
#[test]
fn errors_of_an_included_file_name_it() {
    let source = MapSource::new()
        .file("dir/foo.conf", "")
        .file(
            "dir/comments.conf",
            "\n  # just some comments,\n  # and no key values also ok.\n",
        )
        .file("dir/quux.conf", "?????????????")
        .file("dir/bar.conf", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
    check_with(
        &source,
        "accounts {\n foo { include 'foo.conf'}\n bar { include comments.conf }\n}\n",
        expect![[r#"
        1:0 accounts {
          2:2 foo {}
          3:2 bar {}
        }
    "#]],
    );
    check_with(
        &source,
        "accounts {\n quux { include 'quux.conf'}\n}\n",
        expect![[r#"
        error dir/quux.conf:1:13 error parsing include file 'quux.conf', config is invalid (dir/quux.conf:1:13)
    "#]],
    );
    check_with(
        &source,
        "accounts {\n bar { include 'bar.conf'}\n}\n",
        expect![[r#"
        error dir/bar.conf:1:34 error parsing include file 'bar.conf', config is invalid (dir/bar.conf:1:34)
    "#]],
    );
    check_with(
        &source,
        "include 'none.conf'\n",
        expect![[r#"
        error dir/a.conf:1:19 error parsing include file 'none.conf', open dir/none.conf: no such file or directory
    "#]],
    );
}

// CORE-117
#[test]
fn a_file_that_includes_itself_ends_with_an_error() {
    let source = MapSource::new().file("dir/a.conf", "include a.conf\ninclude a.conf\n");
    let parsed = super::parse(b"include a.conf", "dir/a.conf", &source, &mut Report::new());
    let error = parsed.unwrap_err().to_string();
    assert!(
        error.ends_with("files include each other deeper than 16"),
        "{error}"
    );
}

#[test]
fn copies_through_variables_are_bounded() {
    let mut text = String::from("a0 = [1, 1 ]\n");
    for level in 1..60 {
        text.push_str(&format!("a{level} = [$a{0}, $a{0}]\n", level - 1));
    }
    let parsed = super::parse(text.as_bytes(), "a.conf", &MapSource::new(), &mut Report::new());
    assert_eq!(
        parsed.unwrap_err().to_string(),
        "references to variables make the configuration too large"
    );
}

#[track_caller]
fn check_digest(source: &MapSource, text: &str, expected: &str) {
    let table = super::parse(text.as_bytes(), "dir/a.conf", source, &mut Report::new()).unwrap();
    assert_eq!(digest_of(&table), expected, "{text}");
}

// CORE-123 [TestParseDigest]
#[test]
fn the_digest_ignores_layout_comments_and_includes() {
    let simple = "sha256:226e49e13d16e5e8aa0d62e58cd63361bf097d3e2b2444aa3044334628a2e8de";
    let source = MapSource::new().file("dir/foo.conf", "foo = bar");
    for text in [
        "foo = bar",
        "# Comments and whitespace have no effect\n     foo = bar\n    ",
        "'foo': 'bar'\n",
        "{ 'foo': 'bar' }\n",
        "include foo.conf",
    ] {
        check_digest(&source, text, simple);
    }
}

// CORE-123 [TestParseDigest]: a definition that is only a variable belongs to the tree.
#[test]
fn the_digest_counts_definitions_of_variables() {
    let none = MapSource::new();
    check_digest(
        &none,
        "BAR_USERS = { users = [ {user = \"bar\"} ]}\nhello = 'world'\naccounts {\n  \
         QUUX_USERS = [ { user: quux }]\n  bar = $BAR_USERS\n  quux = { users = $QUUX_USERS }\n}\n\
         very { nested { env { VAR = 'NESTED', quux = $VAR }}}\n",
        "sha256:bddb282343249c26d3edcef9bfaa9d2711505fc67210380e871405ba394a9186",
    );
    check_digest(
        &none,
        "hello = 'world'\naccounts {\n  bar  = { users = [ { user = \"bar\" } ]}\n  \
         quux = { users = [ { user: quux   } ]}\n}\nvery { nested { env { quux = 'NESTED' }}}\n",
        "sha256:34f8faf3f269fe7509edc4742f20c8c4a7ad51fe21f8b361764314b533ac3ab5",
    );
    check_digest(
        &none,
        "BAR_USERS = { users = [ {user = \"foo\"} ]}\nbar = $BAR_USERS\naccounts {\n  users = $BAR_USERS\n}\n",
        "sha256:b0e2ba0b8ec2cb75681b5c5d61789cda0c9942c2f9fe16cdb7f6703364485360",
    );
    check_digest(
        &none,
        "bar = { users = [ {user = \"foo\"} ]}\naccounts {\n  users = { users = [ {user = \"foo\"} ]}\n}\n",
        "sha256:f5d943b4ed22b80c6199203f8a7eaa8eb68ef7b2d46ef6b1b26f05e21f8beb13",
    );
}

// CORE-123 [TestParseDigest]
#[test]
fn the_digest_of_included_and_inline_text_is_the_same() {
    let user = |name: &str| format!(" users = [{{user = \"{name}\"}}]");
    let source = MapSource::new()
        .file("dir/foo.conf", user("foo"))
        .file("dir/bar.conf", user("bar"))
        .file("dir/quux.conf", user("quux"));
    for bar in ["users = [{user = \"bar\"}]", "include 'bar.conf'"] {
        let text = format!(
            "# includes\naccounts {{\n foo {{ include 'foo.conf'}}\n bar {{ {bar} }}\n quux {{ include 'quux.conf'}}\n}}\n"
        );
        check_digest(
            &source,
            &text,
            "sha256:e72d70c91b64b0f880f86decb95ec2600cbdcf8bdcd2355fce5ebc54a84a77e9",
        );
    }
}

// CORE-123: Go's JSON escapes HTML, writes floats shortest, sorts keys bytewise.
#[test]
fn the_digest_hashes_json_as_go_writes_it() {
    let text =
        "b = \"<&>\\t\\x01é\"\nB = 1.50\na = [true, -7, 1e, {}]\nd = 2016-05-04T18:53:41Z\nf = 0.0000001\n";
    check_digest(
        &MapSource::new(),
        text,
        "sha256:fea98269d89fbca2ae425dca7fc28fc751a47c97f0741d1eeba1a3c6a35b86a2",
    );
}
