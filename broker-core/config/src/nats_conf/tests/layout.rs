//! Keys, separators, comments, maps, blocks: CORE-113, CORE-121, CORE-122.

use super::{check, value};
use expect_test::expect;

// CORE-113 [TestPlainValue, TestColonKeySep, TestWhitespaceKeySep]
#[test]
fn any_separator_gives_the_same() {
    for text in [
        "foo=123",
        "foo = 123",
        "foo:123",
        "foo : 123",
        "foo: 123",
        "foo:  123\r\n",
        "foo 123",
        "foo\t123",
        "foo\t\t123\r\n",
    ] {
        check(
            text,
            expect![[r#"
            1:0 foo 123
        "#]],
        );
    }
}

// CORE-113, CORE-122 [TestQuotedKeys, TestQuotedKeysWithSpace]
#[test]
fn quoted_keys_are_placed_at_their_text() {
    for text in ["'foo' : 123", "\"foo\" : 123"] {
        check(
            text,
            expect![[r#"
            1:1 foo 123
        "#]],
        );
    }
    for text in ["' foo' : 123", "\" foo\" : 123"] {
        check(
            text,
            expect![[r#"
            1:1  foo 123
        "#]],
        );
    }
}

// CORE-113 [TestMapQuotedKeys, TestSpecialCharsMapQuotedKeys]
#[test]
fn quoted_keys_in_maps() {
    for text in [
        "foo = {'bar-1.2.3' = { port:4242 }}",
        "foo = {\"bar-1.2.3\" = { port:4242 }}",
    ] {
        check(
            text,
            expect![[r#"
            1:0 foo {
              1:8 bar-1.2.3 {
                1:23 port 4242
              }
            }
        "#]],
        );
    }
    check(
        "foo = {'bar' = 4242}",
        expect![[r#"
        1:0 foo {
          1:8 bar 4242
        }
    "#]],
    );
}

// CORE-113 [TestComments, TestTopValuesWithComments, TestParseWithNoValuesEmptyConfigsAreValid]
#[test]
fn comments_and_blank_files_hold_no_values() {
    for text in [
        "",
        "\n\n\n        ",
        "# This is a comment",
        "# This is a comment\r\n",
        "// This is a comment\r\n",
        "\n   # just comments with no values\n   # is still valid.\n   ",
    ] {
        check(text, expect![""]);
    }
    for text in ["foo = 123 // This is a comment", "foo=123    # This is a comment"] {
        check(
            text,
            expect![[r#"
            1:0 foo 123
        "#]],
        );
    }
}

// CORE-113: inside a word neither sign starts a comment.
#[test]
fn comment_signs_inside_a_word_belong_to_it() {
    assert_eq!(value("nats://host:1#a"), r#""nats://host:1#a""#);
}

// CORE-113 [TestSimpleMap, TestMultilineMap, TestNestedMaps, TestNestedWhitespaceMaps, TestDoubleNestedMapsNewLines]
#[test]
fn maps_nest_and_keep_the_place_of_each_key() {
    check(
        "foo = {ip='127.0.0.1', port = 4242}",
        expect![[r#"
        1:0 foo {
          1:7 ip "127.0.0.1"
          1:23 port 4242
        }
    "#]],
    );
    check(
        "\nfoo = {\n  ip = '127.0.0.1' # the IP\n  port= 4242 // the port\n}\n",
        expect![[r#"
        2:1 foo {
          3:3 ip "127.0.0.1"
          4:3 port 4242
        }
    "#]],
    );
    for separator in [" = ", "  "] {
        let text = format!(
            "\nfoo{separator}{{\n  host{separator}{{\n    ip = '127.0.0.1'\n    port= 4242\n  }}\n}}\n"
        );
        check(
            &text,
            expect![[r#"
            2:1 foo {
              3:3 host {
                4:5 ip "127.0.0.1"
                5:5 port 4242
              }
            }
        "#]],
        );
    }
    check(
        "\nsystems {\n  allinone {\n    description: \"This is a description.\"\n  }\n}\n",
        expect![[r#"
        2:1 systems {
          3:3 allinone {
            4:5 description "This is a description."
          }
        }
    "#]],
    );
}

// CORE-113 [TestOptionalSemicolons, TestSemicolonChaining, TestSimpleTopLevel]
#[test]
fn semicolons_end_entries() {
    check(
        "\nfoo = 123;\nbar = 'baz';\nbaz = 'boo'\nmap {\n id = 1;\n}\n",
        expect![[r#"
        2:1 foo 123
        3:1 bar "baz"
        4:1 baz "boo"
        5:1 map {
          6:2 id 1
        }
    "#]],
    );
    check(
        "foo='1'; bar=2.2; baz=true; boo=22",
        expect![[r#"
        1:0 foo "1"
        1:9 bar 2.2
        1:18 baz true
        1:28 boo 22
    "#]],
    );
}

// CORE-113, CORE-114 [TestNonQuotedStrings]
#[test]
fn words_without_quotes() {
    let text = "\nfoo = 123\nbar = baz\nbaz=boo\nmap {\n id:one\n id2 : onetwo\n}\nt true\nf false\n\
                tstr \"true\"\ntkey = two\nfkey = five # This should be a string\n";
    check(
        text,
        expect![[r#"
        2:1 foo 123
        3:1 bar "baz"
        4:1 baz "boo"
        5:1 map {
          6:2 id "one"
          7:2 id2 "onetwo"
        }
        9:1 t true
        10:1 f false
        11:1 tstr "true"
        12:1 tkey "two"
        13:1 fkey "five"
    "#]],
    );
}

// CORE-113 [TestArrayOfMaps, TestSample4]
#[test]
fn arrays_hold_maps() {
    let text = "\nauthorization {\n    users = [\n      {user: alice, password: foo}\n      \
                {user: bob,   password: bar}\n    ]\n    timeout: 0.5\n}\n";
    check(
        text,
        expect![[r#"
        2:1 authorization {
          3:5 users [{
            4:8 user "alice"
            4:21 password "foo"
          } {
            5:8 user "bob"
            5:21 password "bar"
          }]
          7:5 timeout 0.5
        }
    "#]],
    );
}

// CORE-113 [TestSample1, TestSample3]
#[test]
fn samples_of_the_reference() {
    check(
        "\nfoo  {\n  host {\n    ip   = '127.0.0.1'\n    port = 4242\n  }\n  \
         servers = [ \"a.com\", \"b.com\", \"c.com\"]\n}\n",
        expect![[r#"
            2:1 foo {
              3:3 host {
                4:5 ip "127.0.0.1"
                5:5 port 4242
              }
              7:3 servers ["a.com" "b.com" "c.com"]
            }
        "#]],
    );
    check(
        "\nfoo  {\n  expr = '(true == \"false\")'\n  text = 'This is a multi-line\ntext block.'\n}\n",
        expect![[r#"
            2:1 foo {
              3:3 expr "(true == \"false\")"
              4:3 text "This is a multi-line\ntext block."
            }
        "#]],
    );
}

// CORE-113 [TestSample2]
#[test]
fn both_kinds_of_comments_stand_between_entries() {
    let text = "
cluster {
  port: 4244

  authorization {
    user: route_user
    password: top_secret
    timeout: 1
  }

  # Routes are actively solicited and connected to from this server.
  // Test both styles of comments

  routes = [
    nats-route://foo:bar@apcera.me:4245
    nats-route://foo:bar@apcera.me:4246
  ]
}
";
    check(
        text,
        expect![[r#"
        2:1 cluster {
          3:3 port 4244
          5:3 authorization {
            6:5 user "route_user"
            7:5 password "top_secret"
            8:5 timeout 1
          }
          14:3 routes ["nats-route://foo:bar@apcera.me:4245" "nats-route://foo:bar@apcera.me:4246"]
        }
    "#]],
    );
}

// CORE-113 [TestBlocks]
#[test]
fn blocks_around_the_top_level_do_not_count() {
    for text in [
        "{ listen: 0.0.0.0:4222 }",
        "{listen: 0.0.0.0:4222\n }",
        "{ listen: 0.0.0.0:4222\n }\n # wibble\n",
    ] {
        let listen = value_of_listen(text);
        assert_eq!(listen, "0.0.0.0:4222", "{text}");
    }
    let nested = "\n{\n {\n  listen: 0.0.0.0:4222 // random comment\n }\n # wibble1\n}\n# wibble2\n";
    assert_eq!(value_of_listen(nested), "0.0.0.0:4222");
    let text = "\n{\n  \"debug\":              False\n  \"server_name\":        \"gcp-asianortheast3-natscj1-1\"\n\n  \
                # Profile port specification.\n  \"prof_port\":          8221\n}\n";
    check(
        text,
        expect![[r#"
        3:4 debug false
        4:4 server_name "gcp-asianortheast3-natscj1-1"
        7:4 prof_port 8221
    "#]],
    );
}

fn value_of_listen(text: &str) -> String {
    let source = crate::source::MapSource::new();
    let table = super::parse(text.as_bytes(), "a", &source, &mut crate::report::Report::new());
    table
        .unwrap()
        .get("listen")
        .unwrap()
        .node
        .value
        .as_str()
        .unwrap()
        .to_owned()
}

// CORE-113 [TestJSONCompat]: positions of each key; JSON with blanks, without, wrapped or not.
#[test]
fn json_documents_parse() {
    check(
        "\n                        {\n                          \"http_port\": 8223,\n                          \
         \"port\": 4223,\n                          \"max_payload\": \"5MB\",\n                          \
         \"debug\": true,\n                          \"max_control_line\": 1024\n                        }\n",
        expect![[r#"
            3:28 http_port 8223
            4:28 port 4223
            5:28 max_payload "5MB"
            6:28 debug true
            7:28 max_control_line 1024
        "#]],
    );
    check(
        "\n                        {\n                          \"http_port\": 8223\n                        }\n",
        expect![[r#"
        3:28 http_port 8223
    "#]],
    );
    for text in [
        "{\"http_port\": 8224,\"port\": 4224}\n      ",
        "{\"http_port\": 8224,\"port\": 4224\n         }\n    ",
    ] {
        check(
            text,
            expect![[r#"
            1:2 http_port 8224
            1:20 port 4224
        "#]],
        );
    }
    check(
        "{\"http_port\": 8227,\"port\": 4227,\"write_deadline\": \"1h\",\"cluster\": {\"port\": 6222,\"routes\": \
         [\"nats://127.0.0.1:4222\",\"nats://127.0.0.1:4223\",\"nats://127.0.0.1:4224\"]}}\n",
        expect![[r#"
            1:2 http_port 8227
            1:20 port 4227
            1:33 write_deadline "1h"
            1:56 cluster {
              1:68 port 6222
              1:81 routes ["nats://127.0.0.1:4222" "nats://127.0.0.1:4223" "nats://127.0.0.1:4224"]
            }
        "#]],
    );
}

// CORE-113 [TestJSONParseCompat]
#[test]
fn prettified_json_with_inner_maps_parses() {
    let text = "{
                          \"jetstream\": {
                            \"store_dir\": \"/tmp/nats\"
                            \"max_mem\": 1000000,
                          },
                          \"port\": 4222,
                          \"server_name\": \"nats1\"
                        }
                        ";
    check(
        text,
        expect![[r#"
        2:28 jetstream {
          3:30 store_dir "/tmp/nats"
          4:30 max_mem 1000000
        }
        6:28 port 4222
        7:28 server_name "nats1"
    "#]],
    );
    let text = "\n{\n  \"write_deadline\": \"1h\",\n  \"cluster\": {\n    \"port\": 6222,\n    \"routes\": [\n      \
                \"nats://127.0.0.1:4222\",\n      \"nats://127.0.0.1:4224\"\n    ]\n  }\n}\n";
    check(
        text,
        expect![[r#"
        3:4 write_deadline "1h"
        4:4 cluster {
          5:6 port 6222
          6:6 routes ["nats://127.0.0.1:4222" "nats://127.0.0.1:4224"]
        }
    "#]],
    );
    check("{}", expect![""]);
    check("\n   {\n   }\n   ", expect![""]);
}

// CORE-121 [TestParseWithTrailingBracketsAreValid]
#[test]
fn a_lone_bracket_may_end_the_file() {
    check("{}", expect![""]);
    check("\n  {\n  # comments in the body\n  }\n  ", expect![""]);
    check(
        "\n  accounts { users = [{}]}\n  }\n  ",
        expect![[r#"
        2:3 accounts {
          2:14 users [{}]
        }
    "#]],
    );
    check(
        "{\n  accounts { users = [{}]}\n  }\n  ",
        expect![[r#"
        2:3 accounts {
          2:14 users [{}]
        }
    "#]],
    );
}

// CORE-113, CORE-P8
#[test]
fn a_repeated_key_replaces_the_earlier_value_with_a_remark() {
    check(
        "a = 1\nb = 2\na = {x: 1}\n",
        expect![[r#"
        3:1 a {
          3:6 x 1
        }
        2:1 b 2
        notice dir/a.conf:3:1: "a" replaces the value given at dir/a.conf:1:0
    "#]],
    );
}
