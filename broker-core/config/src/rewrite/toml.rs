//! Writes a tree as TOML.

use std::fmt::Write as _;

use super::comments::Comments;
use super::{Context, fits_line, float, is_bare};
use crate::text::in_quotes;
use crate::value::{Entry, Node, Table, Value};

/// The text. Plain keys come before sections, as TOML wants it; otherwise the order stays.
pub(super) fn write(table: &Table, context: Context, comments: &mut Comments) -> String {
    let mut writer = Writer {
        out: String::new(),
        comments,
    };
    writer.table(table, "", context);
    writer.out
}

struct Writer<'a> {
    out: String,
    comments: &'a mut Comments,
}

impl Writer<'_> {
    fn table(&mut self, table: &Table, path: &str, context: Context) {
        for entry in context
            .entries(table)
            .filter(|entry| !is_section(&entry.node.value))
        {
            self.comments.lead(&entry.key_pos, "", &mut self.out);
            self.out.push_str(&key(&entry.key));
            self.out.push_str(" = ");
            self.value(&entry.node.value);
            self.comments.trail(&entry.key_pos, &mut self.out);
            self.out.push('\n');
        }
        for entry in context
            .entries(table)
            .filter(|entry| is_section(&entry.node.value))
        {
            let dot = if path.is_empty() { "" } else { "." };
            let path = format!("{path}{dot}{}", key(&entry.key));
            self.section(entry, &path, context.inside(&entry.key));
        }
    }

    fn section(&mut self, entry: &Entry, path: &str, context: Context) {
        match &entry.node.value {
            Value::Array(items) => {
                let mut first = Some(entry);
                for item in items {
                    self.gap();
                    if let Some(entry) = first {
                        self.comments.lead(&entry.key_pos, "", &mut self.out);
                    }
                    self.comments.lead(&item.pos, "", &mut self.out);
                    let _ = write!(self.out, "[[{path}]]");
                    if let Some(entry) = first.take() {
                        self.comments.trail(&entry.key_pos, &mut self.out);
                    }
                    self.comments.trail(&item.pos, &mut self.out);
                    self.out.push('\n');
                    if let Value::Table(table) = &item.value {
                        self.table(table, path, context);
                    }
                }
            }
            Value::Table(table) => {
                // A section of sections needs no line of its own.
                let plain = context.entries(table).any(|entry| !is_section(&entry.node.value));
                if plain || context.entries(table).next().is_none() || self.comments.has(&entry.key_pos) {
                    self.gap();
                    self.comments.lead(&entry.key_pos, "", &mut self.out);
                    let _ = write!(self.out, "[{path}]");
                    self.comments.trail(&entry.key_pos, &mut self.out);
                    self.out.push('\n');
                }
                self.table(table, path, context);
            }
            _ => {}
        }
    }

    /// An empty line between sections.
    fn gap(&mut self) {
        if !self.out.is_empty() {
            self.out.push('\n');
        }
    }

    fn value(&mut self, value: &Value) {
        match value {
            Value::Float(number) => self.out.push_str(&float(*number)),
            Value::String(string) => self.out.push_str(&text(string)),
            Value::Array(items) if fits_line(items, self.comments) => self.line(items),
            Value::Array(items) => {
                self.out.push_str("[\n");
                for item in items {
                    self.comments.lead(&item.pos, "    ", &mut self.out);
                    self.out.push_str("    ");
                    self.inline(&item.value);
                    self.out.push(',');
                    self.comments.trail(&item.pos, &mut self.out);
                    self.out.push('\n');
                }
                self.out.push(']');
            }
            other => self.inline(other),
        }
    }

    /// A value within one line.
    fn inline(&mut self, value: &Value) {
        match value {
            Value::Array(items) => self.line(items),
            Value::Table(table) => {
                self.out.push('{');
                for (index, entry) in table.iter().enumerate() {
                    self.out.push_str(if index == 0 { " " } else { ", " });
                    self.out.push_str(&key(&entry.key));
                    self.out.push_str(" = ");
                    self.inline(&entry.node.value);
                }
                self.out.push_str(if table.is_empty() { "}" } else { " }" });
            }
            Value::Float(number) => self.out.push_str(&float(*number)),
            Value::String(string) => self.out.push_str(&text(string)),
            plain => {
                let _ = write!(self.out, "{plain}");
            }
        }
    }

    fn line(&mut self, items: &[Node]) {
        self.out.push('[');
        for (index, item) in items.iter().enumerate() {
            if index > 0 {
                self.out.push_str(", ");
            }
            self.inline(&item.value);
        }
        self.out.push(']');
    }
}

/// Whether it is written under a header: a table, or an array of nothing but tables.
fn is_section(value: &Value) -> bool {
    match value {
        Value::Table(_) => true,
        Value::Array(items) => {
            !items.is_empty() && items.iter().all(|item| matches!(item.value, Value::Table(_)))
        }
        _ => false,
    }
}

fn key(key: &str) -> String {
    if is_bare(key) { key.to_owned() } else { text(key) }
}

/// A basic string.
fn text(text: &str) -> String {
    in_quotes(text, |character| {
        character
            .is_control()
            .then(|| format!("\\u{:04X}", u32::from(character)))
    })
}
