//! What the derive gives: keys, defaults, plugins' options, the reference page.

use super::{check, config, load};
use crate::convert::{ByteSize, ListenAddress, OneOrMany, Secret};
use crate::options::PluginKind;
use crate::reference::section_markdown;
use crate::report::Report;
use crate::source::MapSource;
use crate::tree::Format;
use crate::{Config, ConfigSection};
use expect_test::expect;
use std::collections::BTreeMap;
use std::time::Duration;

/// Options of a plugin
/// in two lines.
#[derive(Clone, Debug, PartialEq, ConfigSection)]
struct LineOptions {
    /// Where to listen.
    #[config(default = "127.0.0.1:4333", spec = "CORE-126")]
    listen: ListenAddress,
    /// Longest line, in bytes.
    #[config(default = 4096, nats_conf = "max_line", alias = ["line_max"], reload)]
    line_bytes: u32,
    /// Time to idle.
    #[config(default = "30s")]
    idle: Duration,
    /// Bytes to keep | drop.
    #[config(default = "4M")]
    buffer: ByteSize,
    /// Greeting.
    banner: Option<String>,
    /// Who may come.
    peers: OneOrMany<String>,
    /// Weights.
    weights: BTreeMap<String, f64>,
    /// Password.
    #[config(secret)]
    secret: Secret,
    /// Nested.
    inner: Inner,
}

/// Inner options.
#[derive(Clone, Debug, Default, PartialEq, ConfigSection)]
struct Inner {
    /// Must be there.
    #[config(required)]
    name: String,
}

fn line_options(text: &str) -> (Vec<LineOptions>, String) {
    let loaded = Config::load_content(text.as_bytes(), "a.toml", Format::Toml, &MapSource::new()).unwrap();
    let mut report = Report::new();
    let options = loaded
        .config
        .plugins_of(PluginKind::Listener)
        .map(|plugin| plugin.read(&mut report))
        .collect();
    (
        options,
        report
            .findings()
            .iter()
            .map(|finding| format!("{finding}\n"))
            .collect(),
    )
}

#[test]
fn options_of_plugins_are_kept_until_the_plugin_reads_them() {
    let (options, errors) = line_options(
        "[plugins.listener.line]\nlisten = \"0.0.0.0:-1\"\nline_max = 80\nidle = \"1m\"\nbuffer = \"2K\"\n\
         banner = \"hi\"\npeers = \"a\"\nweights = { x = 1, y = 2.5 }\nsecret = \"s\"\ninner = { name = \"n\" }\n",
    );
    assert_eq!(errors, "");
    let [read] = &options[..] else {
        panic!("one instance")
    };
    assert_eq!(
        read.listen,
        ListenAddress {
            host: "0.0.0.0".to_owned(),
            port: -1
        }
    );
    assert_eq!(
        (read.line_bytes, read.idle, read.buffer),
        (80, Duration::from_secs(60), ByteSize(2048))
    );
    assert_eq!(read.peers, OneOrMany(vec!["a".to_owned()]));
    assert_eq!(read.weights.get("y"), Some(&2.5));
    assert_eq!(read.secret.expose(), "s");
    assert_eq!(format!("{:?}", read.secret), "[REDACTED]");
    assert_eq!(read.inner.name, "n");
}

#[test]
fn absent_keys_take_their_defaults() {
    let defaults = LineOptions::defaults();
    assert_eq!(defaults.listen.port, 4333);
    assert_eq!(defaults.line_bytes, 4096);
    assert_eq!(defaults.buffer, ByteSize(4 << 20));
    assert_eq!(defaults.banner, None);
}

#[test]
fn errors_in_options_of_plugins_have_their_place() {
    let (_, errors) = line_options(
        "[plugins.listener.line]\nlisen = 1\nidle = 3\nbuffer = \"2X\"\ninner = {}\n\
         [plugins.auth.x]\nanything = true\n",
    );
    expect![[r#"
        a.toml:3:1: invalid use of field "idle": idle should be converted to a duration
        a.toml:2:1: unknown field "lisen"
        a.toml:4:1: sizes defined as strings must end in K, M, G, T
        a.toml:5:1: missing key "name"
    "#]]
    .assert_eq(&errors);
}

#[test]
fn several_instances_are_an_array_of_tables() {
    let (options, errors) = line_options(
        "[[plugins.listener.line]]\nline_max = 1\ninner.name = \"a\"\n\
         [[plugins.listener.line]]\nline_max = 2\ninner.name = \"b\"\n",
    );
    assert_eq!(errors, "");
    assert_eq!(
        options.iter().map(|read| read.line_bytes).collect::<Vec<_>>(),
        [1, 2]
    );
}

#[test]
fn plugins_in_nats_conf_are_nested_maps() {
    let read = config("plugins { store { sled { path: \"/x\" } } }");
    assert_eq!(
        (read.plugins[0].kind, read.plugins[0].name.as_str()),
        (PluginKind::Store, "sled")
    );
    check(
        "plugins { stores { sled {} } }",
        expect![[r#"
        error a:1:10: unknown field "stores"
          kinds of plugins are listener, auth, store and service
    "#]],
    );
    assert!(load("plugins { store { sled: 1 } }").0.is_none());
}

#[test]
fn the_reference_page_is_made_of_the_comments() {
    let mut page = String::new();
    section_markdown::<LineOptions>(&mut page, "line");
    expect![[r#"

        ## line

        Options of a plugin
        in two lines.

        | key | type | default | reload | meaning | rule |
        |---|---|---|---|---|---|
        | `listen` | port or "host:port" | `127.0.0.1:4333` |  | Where to listen. | CORE-126 |
        | `max_line` (`line_max`) | integer | `4096` | yes | Longest line, in bytes. |  |
        | `idle` | duration | `30s` |  | Time to idle. |  |
        | `buffer` | size | `4M` |  | Bytes to keep \| drop. |  |
        | `banner` | string |  |  | Greeting. |  |
        | `peers` | value or array | `[]` |  | Who may come. |  |
        | `weights` | table | `{}` |  | Weights. |  |
        | `secret` | secret string |  |  | Password. |  |
        | `inner` | table |  |  | Nested. |  |
    "#]]
    .assert_eq(&page);
}

/// After a change of keys or comments: `cargo xtask docs`.
#[test]
fn the_committed_reference_page_is_fresh_and_names_every_key() {
    let page = crate::reference_markdown();
    expect_test::expect_file!["../../../../../docs/configuration.md"].assert_eq(&page);
    expect_test::expect_file!["../../../../../docs/configuration.schema.json"]
        .assert_eq(&crate::json_schema());
    for key in Config::keys() {
        assert!(page.contains(&format!("`{}`", key.name)), "{}", key.name);
    }
}
