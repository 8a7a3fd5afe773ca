//! From a file to the value tree: picks the front end, computes the digest.

use std::io;
use std::path::Path;

use crate::report::Report;
use crate::source::Source;
use crate::value::{Position, Table};
use crate::{digest, nats_conf, toml_front};

/// The file is not well formed. `Display` is the reference's text (CORE-120, CORE-121).
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{reason}")]
pub struct SyntaxError {
    /// Where reading stopped; in an included file, its own place.
    pub position: Position,
    /// What is wrong.
    pub reason: String,
    /// What to do about it.
    pub remedy: Option<String>,
}

/// The two syntaxes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// The reference's own.
    NatsConf,
    /// TOML 1.0.
    Toml,
}

impl Format {
    /// By the extension: `.toml` is TOML, everything else nats.conf.
    pub fn of(path: &str) -> Self {
        match Path::new(path).extension() {
            Some(extension) if extension.eq_ignore_ascii_case("toml") => Self::Toml,
            _ => Self::NatsConf,
        }
    }
}

/// Parses the content of `file` into the value tree. Remarks go to `report`; includes and variables of
/// nats.conf are looked up in `source`.
pub fn parse(
    content: &[u8],
    file: &str,
    format: Format,
    source: &dyn Source,
    report: &mut Report,
) -> Result<Table, SyntaxError> {
    match format {
        Format::NatsConf => nats_conf::parse(content, file, source, report),
        Format::Toml => toml_front::parse(content, file),
    }
}

/// `sha256:<hex>` of the tree; layout, comments and includes do not matter (CORE-123).
pub fn digest_of(table: &Table) -> String {
    digest::of(table)
}

/// The reference's text for a file that cannot be read.
pub(crate) fn open_error(file: &str, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => format!("open {file}: no such file or directory"),
        io::ErrorKind::PermissionDenied => format!("open {file}: permission denied"),
        io::ErrorKind::IsADirectory => format!("read {file}: is a directory"),
        _ => format!("open {file}: {error}"),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::source::MapSource;
    use crate::value::{Entry, Node, Value};
    use proptest::prelude::*;
    use std::fmt::Write as _;
    use std::sync::Arc;

    fn node(value: Value) -> Node {
        Node {
            value,
            pos: Position::new("", 0, 0),
        }
    }

    fn table(entries: Vec<(String, Value)>) -> Table {
        let mut table = Table::default();
        for (key, value) in entries {
            let key_pos = Position::new("", 0, 0);
            table.insert(Entry {
                key: Arc::from(key),
                key_pos,
                node: node(value),
                used_as_variable: false,
            });
        }
        table
    }

    fn entries(value: impl Strategy<Value = Value>) -> impl Strategy<Value = Table> {
        proptest::collection::vec(("[a-zA-Z0-9_. -]{1,8}", value), 0..6).prop_map(table)
    }

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            any::<bool>().prop_map(Value::Bool),
            any::<i64>().prop_map(Value::Integer),
            (-1_000_000_i32..1_000_000).prop_map(|number| Value::Float(f64::from(number) + 0.25)),
            "[ -~\n\té]{0,12}".prop_map(Value::String),
            Just(Value::Datetime("2016-05-04T18:53:41Z".to_owned())),
        ];
        leaf.prop_recursive(4, 24, 5, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..5)
                    .prop_map(|values| Value::Array(values.into_iter().map(node).collect())),
                entries(inner).prop_map(Value::Table),
            ]
        })
    }

    fn text(text: &str) -> String {
        let escaped = text.replace('\\', "\\\\").replace('"', "\\\"");
        format!("\"{}\"", escaped.replace('\n', "\\n").replace('\t', "\\t"))
    }

    /// A tree that both syntaxes can say.
    pub(crate) fn any_table() -> impl Strategy<Value = Table> {
        entries(any_value())
    }

    /// A text that both syntaxes read as `tree`, a line for each key.
    pub(crate) fn text_of(tree: &Table) -> String {
        let mut content = String::new();
        for entry in tree {
            write!(content, "{} = ", text(&entry.key)).unwrap();
            write(&mut content, &entry.node.value);
            content.push('\n');
        }
        content
    }

    /// Writes a value so that both syntaxes read it.
    fn write(out: &mut String, value: &Value) {
        match value {
            Value::Float(number) => write!(out, "{number:?}").unwrap(),
            Value::String(string) => out.push_str(&text(string)),
            Value::Array(items) => {
                out.push('[');
                for item in items {
                    write(out, &item.value);
                    out.push_str(", ");
                }
                out.push(']');
            }
            Value::Table(table) => {
                let parts: Vec<String> = table
                    .iter()
                    .map(|entry| {
                        let mut part = format!("{} = ", text(&entry.key));
                        write(&mut part, &entry.node.value);
                        part
                    })
                    .collect();
                write!(out, "{{ {} }}", parts.join(", ")).unwrap();
            }
            plain => write!(out, "{plain}").unwrap(),
        }
    }

    proptest! {
        // CORE-113, CORE-114, CORE-123: one tree, whichever the syntax.
        #[test]
        fn both_syntaxes_read_the_same_tree(tree in any_table()) {
            let content = text_of(&tree);
            let read = |format| {
                parse(content.as_bytes(), "a", format, &MapSource::new(), &mut Report::new()).unwrap()
            };
            let (nats_conf, toml) = (read(Format::NatsConf), read(Format::Toml));
            prop_assert!(nats_conf == tree, "nats.conf: {content}");
            prop_assert!(toml == tree, "TOML: {content}");
            prop_assert_eq!(digest_of(&nats_conf), digest_of(&toml));
        }
    }
}
