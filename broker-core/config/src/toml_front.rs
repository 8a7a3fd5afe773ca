//! Front end for TOML: the same tree, with the same keys, as nats.conf gives.
//!
//! Knows neither includes nor variables; a file that needs them is a nats.conf.

use std::sync::Arc;

use ::toml::Spanned;
use ::toml::de::{DeTable, DeValue};

use crate::tree::SyntaxError;
use crate::value::{Entry, Node, Position, Table, Value};

/// Parses the content of `file`.
pub(crate) fn parse(content: &[u8], file: &str) -> Result<Table, SyntaxError> {
    let text = std::str::from_utf8(content).map_err(|error| {
        let valid = content.get(..error.valid_up_to()).unwrap_or_default();
        let text = String::from_utf8_lossy(valid);
        let position = Places::new(&text, file).at(text.len());
        SyntaxError {
            position,
            reason: "a TOML file must be UTF-8".to_owned(),
            remedy: None,
        }
    })?;
    let places = Places::new(text, file);
    let table = DeTable::parse(text).map_err(|error| {
        let position = places.at(error.span().map_or(0, |span| span.start));
        let message = error.message().replace('\n', ", ");
        let reason = format!("Parse error on line {}: '{message}'", position.line);
        SyntaxError {
            position,
            reason,
            remedy: None,
        }
    })?;
    places.table(table.into_inner())
}

/// Turns byte offsets into lines and columns.
struct Places {
    file: Arc<str>,
    /// Offset at which each line begins, ascending; the first is 0.
    lines: Vec<usize>,
}

impl Places {
    fn new(text: &str, file: &str) -> Self {
        let starts = text.match_indices('\n').map(|(at, _)| at + 1);
        Self {
            file: Arc::from(file),
            lines: std::iter::once(0).chain(starts).collect(),
        }
    }

    fn at(&self, offset: usize) -> Position {
        let line = self.lines.partition_point(|start| *start <= offset);
        let start = self
            .lines
            .get(line.saturating_sub(1))
            .copied()
            .unwrap_or_default();
        let number = |value: usize| u32::try_from(value).unwrap_or(u32::MAX);
        Position {
            file: Arc::clone(&self.file),
            line: number(line),
            column: number(offset.saturating_sub(start).saturating_add(1)),
        }
    }

    fn table(&self, table: DeTable<'_>) -> Result<Table, SyntaxError> {
        let mut entries: Vec<_> = table.into_iter().collect();
        entries.sort_by_key(|(key, _)| key.span().start); // The parser sorts by name.
        let mut out = Table::default();
        for (key, value) in entries {
            let key_pos = self.at(key.span().start);
            let node = self.node(value)?;
            out.insert(Entry {
                key: Arc::from(&**key.get_ref()),
                key_pos,
                node,
                used_as_variable: false,
            });
        }
        Ok(out)
    }

    fn node(&self, value: Spanned<DeValue<'_>>) -> Result<Node, SyntaxError> {
        let pos = self.at(value.span().start);
        let out_of_range = |kind: &str, text: &str| SyntaxError {
            position: pos.clone(),
            reason: format!("{kind} '{text}' is out of the range"),
            remedy: None,
        };
        let value = match value.into_inner() {
            DeValue::Boolean(value) => Value::Bool(value),
            DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
                .map(Value::Integer)
                .map_err(|_| out_of_range("integer", number.as_str()))?,
            DeValue::Float(number) => match number.as_str().parse::<f64>() {
                Ok(value) if value.is_finite() => Value::Float(value),
                _ => return Err(out_of_range("float", number.as_str())),
            },
            DeValue::String(text) => Value::String(text.into_owned()),
            DeValue::Datetime(date) => Value::Datetime(date.to_string()),
            DeValue::Array(items) => Value::Array(
                items
                    .into_iter()
                    .map(|item| self.node(item))
                    .collect::<Result<_, _>>()?,
            ),
            DeValue::Table(table) => Value::Table(self.table(table)?),
        };
        Ok(Node { value, pos })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};
    use proptest::prelude::*;

    #[track_caller]
    fn check(text: &str, expected: Expect) {
        let shown = match parse(text.as_bytes(), "a.toml") {
            Ok(table) => table
                .iter()
                .map(|entry| {
                    format!(
                        "{} {}={} {}\n",
                        entry.key_pos, entry.key, entry.node.value, entry.node.pos
                    )
                })
                .collect(),
            Err(error) => format!("{} {error}\n", error.position),
        };
        expected.assert_eq(&shown);
    }

    #[test]
    fn keys_keep_their_order_and_place() {
        check(
            "port = 4_222\n\n[zeta]\nx = [1, 2.5, \"a\"]\n\n[alpha]\ny = 2016-05-04T18:53:41Z\n",
            expect![[r#"
                a.toml:1:1 port=4222 a.toml:1:8
                a.toml:3:2 zeta=map[x:[1 2.5 a]] a.toml:3:1
                a.toml:6:2 alpha=map[y:2016-05-04T18:53:41Z] a.toml:6:1
            "#]],
        );
    }

    #[test]
    fn errors_name_line_and_column() {
        check(
            "port = 4222\nhost = \n",
            expect![[r#"
            a.toml:2:8 Parse error on line 2: 'string values must be quoted, expected literal string'
        "#]],
        );
        check(
            "port = 99999999999999999999\n",
            expect![[r#"
            a.toml:1:8 integer '99999999999999999999' is out of the range
        "#]],
        );
        check(
            "a = 1\na = 2\n",
            expect![[r#"
            a.toml:2:1 Parse error on line 2: 'duplicate key'
        "#]],
        );
    }

    #[test]
    fn bytes_that_are_no_text_are_refused() {
        let error = parse(b"a = 1\nb = \"\xff\"", "a.toml").unwrap_err();
        assert_eq!(
            format!("{} {error}", error.position),
            "a.toml:2:6 a TOML file must be UTF-8"
        );
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&bytes, "a.toml");
        }

        #[test]
        fn random_toml_like_text_never_panics(text in "[\\[\\]{}=,.\"'a-c0-9\n #-]{0,120}") {
            let _ = parse(text.as_bytes(), "a.toml");
        }
    }
}
