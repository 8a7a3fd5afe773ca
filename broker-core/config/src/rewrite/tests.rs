//! Conversions: comments, order, and the same tree on the other side.

use expect_test::{Expect, expect};
use proptest::prelude::*;

use super::convert;
use crate::options::Config;
use crate::report::Report;
use crate::source::MapSource;
use crate::tree::tests::{any_table, text_of};
use crate::tree::{Format, parse};

fn other(format: Format) -> Format {
    match format {
        Format::NatsConf => Format::Toml,
        Format::Toml => Format::NatsConf,
    }
}

#[track_caller]
fn check(text: &str, from: Format, expected: Expect) {
    let source = MapSource::new()
        .file("more.conf", "debug: true # not carried over\n")
        .variable("PASS", "s3cret");
    match convert(text.as_bytes(), "a", from, other(from), &source) {
        Ok(converted) => {
            let remarks: String = converted
                .report
                .findings()
                .iter()
                .map(|finding| format!("{finding}\n"))
                .collect();
            expected.assert_eq(&format!("{}{remarks}", converted.text));
        }
        Err(error) => expected.assert_eq(&format!("{}: {error}\n", error.position)),
    }
}

#[test]
fn comments_stay_with_what_they_are_about() {
    check(
        "# Head.
port: 4222  # the usual
# Peers of the cluster:
cluster { // east
  name: east
  # The others.
  routes = [
    nats://a:1 # first
    # Second.
    nats://b:2
  ]
}
authorization {
  users = [
    # Alice.
    {user: a, pass: b} # her
    {user: c, pass: \"#no // comment\", permissions: {publish: x}}
  ]
}
# End.
",
        Format::NatsConf,
        expect![[r##"
            # Head.
            port = 4222 # the usual

            # Peers of the cluster:
            [cluster] # east
            name = "east"
            # The others.
            routes = [
                "nats://a:1", # first
                # Second.
                "nats://b:2",
            ]

            # Alice.
            [[authorization.users]]
            user = "a"
            pass = "b" # her

            [[authorization.users]]
            user = "c"
            pass = "#no // comment"

            [authorization.users.permissions]
            publish = "x"
            # End.
        "##]],
    );
    check(
        "# Head.\nport = 4222 # the usual\nhost = \"#not\" # one\nx = '''\n# not\n''' # two\n\n# Peers.\n[cluster] # east\nname = \"east\"\n[[authorization.users]] # alice\nuser = \"a\"\n# End.\n",
        Format::Toml,
        expect![[r##"
            # Head.
            port: 4222 # the usual
            host: "#not" # one
            x: "# not\n" # two
            # Peers.
            cluster { # east
              name: "east"
            }
            authorization {
              users: [ # alice
                {
                  user: "a"
                }
              ]
            }
            # End.
        "##]],
    );
}

#[test]
fn variables_and_includes_are_written_as_what_they_stand_for() {
    check(
        "admin = { publish: \">\" }\ninclude more.conf\nauthorization { users: [{user: a, pass: $PASS, permissions: $admin}] }\n",
        Format::NatsConf,
        expect![[r#"
            debug = true

            [[authorization.users]]
            user = "a"
            pass = "s3cret"

            [authorization.users.permissions]
            publish = ">"
            a:1:0: the content of more.conf is written in its place
            a:1:0: $PASS of the environment is written as its present value
        "#]],
    );
}

#[test]
fn what_nats_conf_cannot_say_is_told() {
    check(
        "a = 1979-05-27\n\"include\" = [1, 2]\n",
        Format::Toml,
        expect![[r#"
            a: "1979-05-27"
            "include": [1, 2 ]
            a:1:1: 1979-05-27 is no date for nats.conf and is written as text
        "#]],
    );
    check(
        "\"a'\\\"b\" = 1\n",
        Format::Toml,
        expect![[r#"
        a:1:1: key "a'\"b" cannot be written in nats.conf: it has both kinds of quotes
    "#]],
    );
    check(
        "a = \n",
        Format::NatsConf,
        expect![[r#"
        a:2:1: Parse error on line 2: 'Expected value but found new line'
    "#]],
    );
}

proptest! {
    // The same tree on the other side, from either side, and back.
    #[test]
    fn conversion_keeps_the_tree(tree in any_table()) {
        let read = |text: &str, format| {
            parse(text.as_bytes(), "a", format, &MapSource::new(), &mut Report::new()).unwrap()
        };
        let written = text_of(&tree);
        for from in [Format::NatsConf, Format::Toml] {
            let there = convert(written.as_bytes(), "a", from, other(from), &MapSource::new()).unwrap();
            prop_assert!(read(&there.text, other(from)) == tree, "{:?}: {}", from, there.text);
            let back = convert(there.text.as_bytes(), "a", other(from), from, &MapSource::new()).unwrap();
            prop_assert!(read(&back.text, from) == tree, "back to {:?}: {}", from, back.text);
        }
    }

    // Comments anywhere neither break the text nor get lost.
    #[test]
    fn no_comment_is_lost(tree in any_table(), comment in "[a-z #/\"'{}]{0,12}") {
        let lines: Vec<String> = text_of(&tree)
            .lines()
            .map(|line| format!("#{comment}\n{line} #{comment}"))
            .collect();
        let text = lines.join("\n");
        let comments = 2 * lines.len();
        let there = convert(text.as_bytes(), "a", Format::NatsConf, Format::Toml, &MapSource::new()).unwrap();
        let found = super::comments::of_toml(&there.text);
        prop_assert_eq!(found.len(), comments, "{}", there.text);
        let back = convert(there.text.as_bytes(), "a", Format::Toml, Format::NatsConf, &MapSource::new()).unwrap();
        let again = parse(back.text.as_bytes(), "a", Format::NatsConf, &MapSource::new(), &mut Report::new());
        prop_assert!(again == Ok(tree), "{}", back.text);
    }
}

/// The samples of `conf/` say the same in either syntax after a conversion too.
#[test]
fn samples_convert_to_their_twins() {
    for (_, nats_conf, toml) in crate::options::tests::samples::twins() {
        let source = MapSource::new();
        let load = |text: &str, format| {
            Config::load_content(text.as_bytes(), "a", format, &source)
                .unwrap()
                .config
        };
        let expected = load(toml, Format::Toml);
        let to_toml = convert(nats_conf.as_bytes(), "a", Format::NatsConf, Format::Toml, &source).unwrap();
        assert_eq!(load(&to_toml.text, Format::Toml), expected);
        let to_nats_conf = convert(toml.as_bytes(), "a", Format::Toml, Format::NatsConf, &source).unwrap();
        assert_eq!(load(&to_nats_conf.text, Format::NatsConf), expected);
    }
}
