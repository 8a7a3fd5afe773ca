//! One key explained: what it takes, what it does, how it is written in either syntax.

use std::fmt;
use std::sync::Arc;

use crate::options::Config;
use crate::report::Report;
use crate::rewrite;
use crate::section::{KeySpec, KeyStatus, nearest_of};
use crate::shape::{SectionSpec, Shape, places};
use crate::source::MapSource;
use crate::text::quote;
use crate::tree::{Format, parse};
use crate::value::{Entry, Node, Position, Table, Value};

/// What is known of a key. `Display` is for people: several lines, each ended.
#[derive(Clone, Debug)]
pub struct Explanation {
    /// Where it stands: `cluster.pool_size`, `accounts.<name>.limits.max_payload`, `authorization.users[].user`.
    pub path: String,
    /// The key's facts: type, default, unit, meaning, whether it may change while the broker runs, status.
    pub key: &'static KeySpec,
    /// Whether it does something; a key inside a block does no more than the block.
    pub status: KeyStatus,
    /// Other places where a key of this name stands.
    pub also: Vec<String>,
}

/// There is no such key. `Display` names the one that was probably meant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown key {}{}", quote(.key), .near.as_ref().map(|near| format!("; did you mean {}?", quote(near))).unwrap_or_default())]
pub struct UnknownKey {
    /// What was asked for.
    pub key: String,
    /// What was probably meant.
    pub near: Option<String>,
}

/// Explains `key`: a path (`cluster.pool_size`, `accounts.A.limits.max_conn`, `tls.first`), by any alias and in any
/// case, or the name alone, which is looked for at the top level and then in all sections.
///
/// # Errors
/// No key has that name.
pub fn explain(key: &str) -> Result<Explanation, UnknownKey> {
    let words: Vec<&str> = key
        .split('.')
        .map(|word| word.trim_end_matches("[]"))
        .filter(|word| !word.is_empty() && *word != "<name>")
        .collect();
    let all = all_keys();
    let name = words.last().copied().unwrap_or_default();
    let named = |spec: &KeySpec| spec.matches(name);
    let found = match walk(SectionSpec::of::<Config>(), &words, String::new()) {
        Some(found) => Some(found),
        None if words.len() == 1 => all.iter().find(|(_, spec)| named(spec)).cloned(),
        None => None,
    };
    let Some((path, key_spec)) = found else {
        let top = words.len() < 2;
        let names = all.iter().flat_map(|(path, spec)| {
            let aliases = spec.aliases.iter().map(|alias| (*alias).to_owned());
            let own = if top { spec.name.to_owned() } else { plain(path) };
            std::iter::once(own).chain(aliases)
        });
        return Err(UnknownKey {
            key: key.to_owned(),
            near: nearest_of(&words.join("."), names),
        });
    };
    let also = all
        .into_iter()
        .filter(|(other, spec)| spec.name == key_spec.name && *other != path)
        .map(|(other, _)| other)
        .collect();
    Ok(Explanation {
        status: status_at(&path),
        path,
        key: key_spec,
        also,
    })
}

impl Explanation {
    /// The key with a value, in a file that holds nothing else.
    pub fn example(&self, format: Format) -> String {
        rewrite::print(&wrapped(&self.path, sample(self.key)), format)
    }

    /// The status in words.
    pub fn status_text(&self) -> &'static str {
        match self.status {
            KeyStatus::Active => "in effect",
            KeyStatus::Inert => "read and checked; no effect yet in this version",
            KeyStatus::Refused => "read and checked; refused, because it is not supported yet",
        }
    }

    /// What a reload does with it.
    pub fn reload(&self) -> &'static str {
        if self.key.reloadable {
            "takes effect without a restart"
        } else {
            "needs a restart"
        }
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = self.key;
        writeln!(f, "{}: {}", self.path, key.kind)?;
        for line in key.doc.lines() {
            writeln!(f, "  {line}")?;
        }
        let mut fact = |name: &str, value: &str| {
            if value.is_empty() {
                return Ok(());
            }
            let mut lines = value.lines();
            writeln!(f, "  {name:<10}{}", lines.next().unwrap_or_default())?;
            lines.try_for_each(|line| writeln!(f, "  {:10}{line}", ""))
        };
        fact("default", key.default)?;
        fact("unit", key.unit)?;
        fact("allowed", &key.shape.allowed().join(", "))?;
        fact("aliases", &key.aliases.join(", "))?;
        fact("required", if key.required { "yes" } else { "" })?;
        fact("reload", self.reload())?;
        fact("status", self.status_text())?;
        fact("rule", key.spec)?;
        fact("nats.conf", &self.example(Format::NatsConf))?;
        fact("TOML", &self.example(Format::Toml))?;
        fact("also", &self.also.join(", "))
    }
}

/// All keys with the first place of their section.
pub(crate) fn all_keys() -> Vec<(String, &'static KeySpec)> {
    let mut keys = Vec::new();
    for place in places(SectionSpec::of::<Config>()) {
        let section = place.paths.first().map_or("", String::as_str);
        let dot = if section.is_empty() { "" } else { "." };
        let known = place.section.keys.iter().filter(|key| !key.doc.is_empty());
        keys.extend(known.map(|key| (format!("{section}{dot}{}", key.name), key)));
    }
    keys
}

/// The status of the first block on the way to `path` that is not in effect, else of the key itself.
fn status_at(path: &str) -> KeyStatus {
    let path = plain(path);
    let words: Vec<&str> = path.split('.').collect();
    (1..=words.len())
        .filter_map(|length| walk(SectionSpec::of::<Config>(), words.get(..length)?, String::new()))
        .map(|(_, key)| key.status)
        .find(|status| *status != KeyStatus::Active)
        .unwrap_or(KeyStatus::Active)
}

/// Follows `words` from `section` down.
fn walk(section: SectionSpec, words: &[&str], path: String) -> Option<(String, &'static KeySpec)> {
    let (first, rest) = words.split_first()?;
    let mut known = section.keys.iter().filter(|key| !key.doc.is_empty());
    let key = known.find(|key| key.matches(first))?;
    let dot = if path.is_empty() { "" } else { "." };
    let path = format!("{path}{dot}{}", key.name);
    if rest.is_empty() {
        return Some((path, key));
    }
    inside(key.shape, rest, path)
}

fn inside(shape: Shape, words: &[&str], path: String) -> Option<(String, &'static KeySpec)> {
    match shape {
        Shape::Table(spec) => walk(spec(), words, path),
        Shape::List(inner) | Shape::OneOrMany(inner) => inside(*inner, words, format!("{path}[]")),
        Shape::Map(inner) => {
            let path = format!("{path}.<name>");
            // A name of the file's own may stand in the path, or be left out.
            let (_, rest) = words.split_first()?;
            inside(*inner, words, path.clone()).or_else(|| inside(*inner, rest, path))
        }
        Shape::AnyOf(shapes) => shapes
            .iter()
            .find_map(|shape| inside(*shape, words, path.clone())),
        _ => None,
    }
}

/// A path as people type it.
fn plain(path: &str) -> String {
    path.replace("[]", "").replace(".<name>", "")
}

/// A value that the key may have.
fn sample(key: &KeySpec) -> Value {
    if !key.example.is_empty() {
        let mut report = Report::new();
        let source = MapSource::new();
        let parsed = parse(key.example.as_bytes(), "", Format::NatsConf, &source, &mut report);
        let entry = parsed.ok().and_then(|table| table.iter().next().cloned());
        if let Some(entry) = entry {
            return entry.node.value;
        }
    }
    of_shape(key.shape, key.default, 0)
}

fn of_shape(shape: Shape, default: &str, depth: usize) -> Value {
    let text = |text: &str| Value::String(text.to_owned());
    let is_plain = |default: &&str| {
        let mut bytes = default.bytes();
        !default.is_empty() && bytes.all(|byte| byte.is_ascii_alphanumeric() || b"._-/:$".contains(&byte))
    };
    match shape {
        Shape::Bool => Value::Bool(default != "true"),
        Shape::Integer | Shape::Number => {
            Value::Integer(default.parse().ok().filter(|value| *value > 0).unwrap_or(1))
        }
        Shape::Text => text(Some(default).filter(is_plain).unwrap_or("text")),
        Shape::Enum(names) => text(names.first().copied().unwrap_or_default()),
        Shape::Duration | Shape::Seconds => text(
            Some(default)
                .filter(|text| crate::text::parse_duration(text).is_ok_and(|time| time > 0))
                .unwrap_or("10s"),
        ),
        Shape::Size => text("64M"),
        Shape::Listen => text("127.0.0.1:4222"),
        Shape::List(inner) | Shape::OneOrMany(inner) => Value::Array(vec![node(of_shape(*inner, "", depth))]),
        Shape::Map(inner) => Value::Table(single("name", of_shape(*inner, "", depth))),
        Shape::Table(spec) => match spec().keys.first() {
            Some(key) if depth < 3 => {
                let value = if key.example.is_empty() {
                    of_shape(key.shape, key.default, depth + 1)
                } else {
                    sample(key)
                };
                Value::Table(single(key.name, value))
            }
            _ => Value::Table(Table::default()),
        },
        Shape::AnyOf(shapes) => shapes
            .first()
            .map_or_else(|| text("text"), |shape| of_shape(*shape, default, depth)),
        Shape::Any => Value::Table(Table::default()),
    }
}

/// `value` under the keys of `path`.
fn wrapped(path: &str, value: Value) -> Table {
    let mut words = path.rsplit('.');
    let last = words.next().unwrap_or_default();
    let mut table = single(last, value);
    for word in words {
        let word = word.replace("<name>", "A");
        table = match word.strip_suffix("[]") {
            Some(key) => single(key, Value::Array(vec![node(Value::Table(table))])),
            None => single(&word, Value::Table(table)),
        };
    }
    table
}

fn single(key: &str, value: Value) -> Table {
    let mut table = Table::default();
    table.insert(Entry {
        key: Arc::from(key),
        key_pos: Position::new("", 0, 0),
        node: node(value),
        used_as_variable: false,
    });
    table
}

fn node(value: Value) -> Node {
    Node {
        value,
        pos: Position::new("", 0, 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::LoadError;
    use expect_test::{Expect, expect};

    #[track_caller]
    fn check(key: &str, expected: Expect) {
        let text = match explain(key) {
            Ok(found) => found.to_string(),
            Err(unknown) => format!("{unknown}\n"),
        };
        expected.assert_eq(&text);
    }

    #[test]
    fn a_key_is_found_by_path_and_alias() {
        check(
            "max_conn",
            expect![[r#"
            max_connections: integer
              Most client connections; 0 refuses all.
              default   65536
              aliases   max_conn
              reload    takes effect without a restart
              status    in effect
              rule      CORE section 15
              nats.conf max_connections: 65536
              TOML      max_connections = 65536
              also      accounts.<name>.limits.max_connections
        "#]],
        );
        check(
            "Cluster.Pool_Size",
            expect![[r#"
                cluster.pool_size: integer
                  Connections to each other server; negative for a single one that is not pooled.
                  default   3
                  reload    takes effect without a restart
                  status    read and checked; no effect yet in this version
                  rule      NET 2.4
                  nats.conf cluster {
                              pool_size: 3
                            }
                  TOML      [cluster]
                            pool_size = 3
            "#]],
        );
        check(
            "accounts.A.limits.max_pay",
            expect![[r#"
            accounts.<name>.limits.max_payload: integer
              Bytes of a message's payload and headers.
              default   -1 = none
              aliases   max_pay
              reload    takes effect without a restart
              status    in effect
              nats.conf accounts {
                          A {
                            limits {
                              max_payload: 1
                            }
                          }
                        }
              TOML      [accounts.A.limits]
                        max_payload = 1
              also      max_payload
        "#]],
        );
    }

    #[test]
    fn a_key_is_found_by_its_name_alone_and_others_are_guessed() {
        check(
            "write_timeout",
            expect![[r#"
                write_timeout: string
                  What becomes of a client whose write blocks for longer: `close` (the default) closes it; with `retry` a write that
                  has got somewhere goes on.
                  default   default
                  allowed   default, close, retry
                  reload    needs a restart
                  status    in effect
                  rule      CORE-69
                  nats.conf write_timeout: "default"
                  TOML      write_timeout = "default"
                  also      cluster.write_timeout, gateway.write_timeout, leafnodes.write_timeout
            "#]],
        );
        check(
            "allowed_clockskew",
            expect![[r#"
                cluster.tls.ocsp_peer.allowed_clockskew: seconds or duration
                  How far clocks may differ.
                  default   30s
                  reload    takes effect without a restart
                  status    read and checked; no effect yet in this version
                  rule      AUTH-410
                  nats.conf cluster {
                              tls {
                                ocsp_peer {
                                  allowed_clockskew: "30s"
                                }
                              }
                            }
                  TOML      [cluster.tls.ocsp_peer]
                            allowed_clockskew = "30s"
            "#]],
        );
        check(
            "authorization.users.nkey",
            expect![[r#"
                authorization.users[].nkey: nkey
                  Public nkey in place of name and password: the client signs a nonce with its seed.
                  reload    takes effect without a restart
                  status    in effect
                  rule      AUTH-7
                  nats.conf authorization {
                              users: [
                                {
                                  nkey: "UAT2BLVT73USGL4K6IQR7HXESHC3CC7MWVLDX7A6N6JUE7WLZD7CS7KG"
                                }
                              ]
                            }
                  TOML      [[authorization.users]]
                            nkey = "UAT2BLVT73USGL4K6IQR7HXESHC3CC7MWVLDX7A6N6JUE7WLZD7CS7KG"
                  also      accounts.<name>.nkey, leafnodes.authorization.nkey, leafnodes.remotes[].nkey
            "#]],
        );
        check(
            "cluster.pool_sise",
            expect![[r#"
            unknown key "cluster.pool_sise"; did you mean "cluster.pool_size"?
        "#]],
        );
        check(
            "max_payloda",
            expect![[r#"
            unknown key "max_payloda"; did you mean "max_payload"?
        "#]],
        );
        check(
            "zzzzzzzzzz",
            expect![[r#"
            unknown key "zzzzzzzzzz"
        "#]],
        );
    }

    #[test]
    fn keys_of_a_block_without_effect_have_none() {
        for (key, status) in [
            ("cluster.pool_size", KeyStatus::Inert),
            ("accounts.A.exports.stream", KeyStatus::Inert),
            ("resolver.dir", KeyStatus::Refused),
            ("accounts.A.users.user", KeyStatus::Active),
        ] {
            assert_eq!(explain(key).map(|found| found.status), Ok(status), "{key}");
        }
    }

    /// What `explain` shows can be copied: each example is accepted, apart from what it lacks around it.
    #[test]
    fn every_example_is_accepted_in_both_syntaxes() {
        let lacking = [
            "missing 'key_file' in TLS configuration",
            "missing 'cert_file' in TLS configuration",
            "error parsing certificates config: both 'cert_file' and 'cert_key' options are required",
            "cert_store not compatible with current operating system",
            "User entry requires a user",
            "Authorization callouts require an issuer to be specified",
            "Authorization callouts require authorized users to be specified",
            "dir has no value and needs to point to a directory",
            "error parsing account resolver",
            "Expect an account name and a subject",
            "Latency subject required, but missing",
            "Trace destination sampling ignored since no destination was set",
            "proxy URL must be specified when other proxy options are set",
            "consumer replicas setting ignored",
            "verify_cert_and_check_known_urls not supported in this context",
            "is not supported for proxy TLS",
            "refusing to start without it",
            "setting \"permissions\" within cluster authorization block is deprecated",
            "does not support",
            "does not allow multiple users",
            "has no effect without delete",
            "does not accept",
            "is high, consider keeping it under 60 seconds",
            "missing key",
            "is not a valid seed",
            "Missing weight for mapping destination",
            "invalid mapping destination",
            "not found in configured accounts",
        ];
        let mut wrong = Vec::new();
        for (path, key) in all_keys() {
            if path == "plugins" {
                continue; // The plugins say what stands there.
            }
            let found = Explanation {
                status: key.status,
                path,
                key,
                also: Vec::new(),
            };
            for format in [Format::NatsConf, Format::Toml] {
                let example = found.example(format);
                let report = match Config::load_content(example.as_bytes(), "a", format, &MapSource::new()) {
                    Ok(loaded) => loaded.report,
                    Err(LoadError::Invalid(report)) => report,
                    Err(error) => panic!("{}: {error}: {example}", found.path),
                };
                let text = report.reference_text();
                let mut errors = text
                    .lines()
                    .filter(|line| !lacking.iter().any(|text| line.contains(text)));
                wrong.extend(errors.next().map(|error| format!("{}: {error}", found.path)));
            }
        }
        assert_eq!(wrong, Vec::<String>::new());
    }
}
