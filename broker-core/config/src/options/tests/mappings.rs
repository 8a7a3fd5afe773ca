//! `mappings`: what is read, and each of its errors (AUTH-800).

use super::{check, check_errors, config, load};
use crate::options::Config;
use crate::source::MapSource;
use crate::tree::Format;
use expect_test::expect;

fn sources(config: &Config) -> Vec<String> {
    config
        .mappings
        .iter()
        .map(|mapping| mapping.source().to_string())
        .collect()
}

// AUTH-800 [TestGlobalAccountRouteMappingsConfiguration, TestAccountRouteMappingsConfiguration]
#[test]
fn mappings_are_read_in_order_in_every_form() {
    let read = config(
        "mappings = {
           foo: bar
           \"foo.*\": [ {dest: \"bar.v1.$1\", weight: \"40%\"}, {destination: \"baz.v2.$1\", weight: 20, cluster: C} ]
           bar.*.*: \"RAB.$2.$1\"
           one: {dest: two, weight: 50%}
         }
         accounts { A { maps { x: y } } }",
    );
    assert_eq!(sources(&read), ["foo", "foo.*", "bar.*.*", "one"]);
    assert_eq!(read.accounts[0].mappings.len(), 1);
}

// AUTH-800
#[test]
fn toml_says_the_same() {
    let toml = "[mappings]\nfoo = \"bar\"\n\"foo.*\" = [{ dest = \"bar.$1\", weight = \"40%\" }]\n\
                [accounts.A.mappings]\n\"x.>\" = { dest = \"y.>\", weight = 100 }\n";
    let nats_conf = "mappings { foo: bar, foo.*: [{dest: \"bar.$1\", weight: 40}] }
                     accounts { A { mappings { x.>: {dest: \"y.>\", weight: \"100\"} } } }";
    let read = Config::load_content(toml.as_bytes(), "a.toml", Format::Toml, &MapSource::new()).unwrap();
    let other = config(nats_conf);
    assert_eq!(read.config.mappings, other.mappings);
    assert_eq!(read.config.accounts[0].mappings, other.accounts[0].mappings);
}

// AUTH-800, CORE-108, CORE-111
#[test]
fn each_mistake_has_the_text_of_the_reference() {
    check_errors(&[
        (
            "mappings: 5",
            "interface conversion: interface {} is int64, not map[string]interface {}",
        ),
        (
            "mappings { foo: 5 }",
            "Expected an entry for the mapping destination",
        ),
        (
            "mappings { foo: [\"bar\"] }",
            "Expected an entry for the mapping destination",
        ),
        (
            "mappings { foo: {dest: bar} }",
            "Missing weight for mapping destination \"bar\"",
        ),
        (
            "mappings { foo: {dest: bar, weight: true} }",
            "Unknown entry type for weight of true",
        ),
        (
            "mappings { foo: {dest: bar, weight: 1.5} }",
            "Unknown entry type for weight of 1.5",
        ),
        (
            "mappings { foo: {dest: bar, weight: 200} }",
            "Invalid weight 200 for mapping destination",
        ),
        (
            "mappings { foo: {dest: bar, weight: -1} }",
            "Invalid weight -1 for mapping destination",
        ),
        (
            "mappings { foo: {dest: bar, weight: \"200%\"} }",
            "Invalid weight 200 for mapping destination",
        ),
        (
            "mappings { foo: {dest: bar, weight: \"x%\"} }",
            "Invalid weight \"x\" for mapping destination",
        ),
        (
            "mappings { foo: {dest: bar, weight: 10, x: 1} }",
            "Unknown field \"x\" for mapping destination",
        ),
        (
            "mappings { foo: {dest: 5, weight: 1} }",
            "interface conversion: interface {} is int64, not string",
        ),
        (
            "mappings { foo..: bar }",
            "Subject \"foo..\" is not a valid subject",
        ),
        (
            "mappings { \"foo bar\": bar }",
            "Subject \"foo bar\" is not a valid subject",
        ),
        (
            "mappings { foo: [{dest: a, weight: 60}, {dest: b, weight: 60}] }",
            "Error adding mapping for \"foo\" : total weight needs to be <= 100",
        ),
        (
            "mappings { foo: [{dest: a, weight: 60}, {dest: a, weight: 6}] }",
            "Error adding mapping for \"foo\" : duplicate entry for \"a\"",
        ),
        (
            "mappings { foo: \"bar.{{nope(1)}}\" }",
            "Error adding mapping for \"foo\" to \"bar.{{nope(1)}}\" : invalid mapping destination: \
             unknown function in {{nope(1)}}",
        ),
        (
            "accounts { A { mappings { \"foo.*\": \"bar.$2\" } } }",
            "Error adding mapping for \"foo.*\" to \"bar.$2\" : invalid mapping destination: \
             wildcard index out of range in $2: [2]",
        ),
        // The reference takes an empty destination and then dies of the first message.
        (
            "mappings { foo: \"\" }",
            "Error adding mapping for \"foo\" to \"\" : invalid mapping destination: invalid transform",
        ),
    ]);
}

// AUTH-800
#[test]
fn mistakes_are_told_with_their_places_all_at_once() {
    check(
        "mappings {\n foo: {\n  dest: bar\n  weight: 200\n }\n one: [{dest: two, weight: 1},\n  {dest: three}]\n}",
        expect![[r#"
            error a:4:3: Invalid weight 200 for mapping destination
            error a:7:3: Missing weight for mapping destination "three"
              add weight: 100, or write the destination alone
        "#]],
    );
    assert!(load("mappings { foo: [] }").0.is_some());
}
