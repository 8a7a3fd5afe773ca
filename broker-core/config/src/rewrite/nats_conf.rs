//! Writes a tree as nats.conf.

use std::fmt::Write as _;

use super::comments::Comments;
use super::{Context, fits_line, float, is_bare};
use crate::report::Report;
use crate::text::in_quotes;
use crate::tree::SyntaxError;
use crate::value::{Entry, Node, Position, Table, Value};

/// The text, in the order of the tree.
pub(super) fn write(
    table: &Table,
    context: Context,
    comments: &mut Comments,
    report: &mut Report,
) -> Result<String, SyntaxError> {
    let mut writer = Writer {
        out: String::new(),
        comments,
        report,
    };
    writer.entries(table, 0, context)?;
    Ok(writer.out)
}

struct Writer<'a> {
    out: String,
    comments: &'a mut Comments,
    report: &'a mut Report,
}

impl Writer<'_> {
    fn entries(&mut self, table: &Table, depth: usize, context: Context) -> Result<(), SyntaxError> {
        let indent = "  ".repeat(depth);
        for entry in context.entries(table) {
            self.comments.lead(&entry.key_pos, &indent, &mut self.out);
            let _ = write!(self.out, "{indent}{}", key(entry)?);
            match &entry.node.value {
                Value::Table(inner) => {
                    self.out.push_str(" {");
                    self.comments.trail(&entry.key_pos, &mut self.out);
                    self.out.push('\n');
                    self.entries(inner, depth + 1, context.inside(&entry.key))?;
                    let _ = writeln!(self.out, "{indent}}}");
                }
                Value::Array(items) if !fits_line(items, self.comments) => {
                    self.out.push_str(": [");
                    self.comments.trail(&entry.key_pos, &mut self.out);
                    self.out.push('\n');
                    self.items(items, depth + 1, context.inside(&entry.key))?;
                    let _ = writeln!(self.out, "{indent}]");
                }
                value => {
                    self.out.push_str(": ");
                    self.inline(value, &entry.key_pos)?;
                    self.comments.trail(&entry.key_pos, &mut self.out);
                    self.out.push('\n');
                }
            }
        }
        Ok(())
    }

    /// Elements, one or more lines each; the newline separates them.
    fn items(&mut self, items: &[Node], depth: usize, context: Context) -> Result<(), SyntaxError> {
        let indent = "  ".repeat(depth);
        for item in items {
            self.comments.lead(&item.pos, &indent, &mut self.out);
            self.out.push_str(&indent);
            match &item.value {
                Value::Table(table) => {
                    self.out.push('{');
                    self.comments.trail(&item.pos, &mut self.out);
                    self.out.push('\n');
                    self.entries(table, depth + 1, context)?;
                    let _ = writeln!(self.out, "{indent}}}");
                }
                Value::Array(inner) if !fits_line(inner, self.comments) => {
                    self.out.push('[');
                    self.comments.trail(&item.pos, &mut self.out);
                    self.out.push('\n');
                    self.items(inner, depth + 1, context)?;
                    let _ = writeln!(self.out, "{indent}]");
                }
                value => {
                    self.inline(value, &item.pos)?;
                    self.comments.trail(&item.pos, &mut self.out);
                    self.out.push('\n');
                }
            }
        }
        Ok(())
    }

    /// A scalar, or an array of scalars.
    fn inline(&mut self, value: &Value, position: &Position) -> Result<(), SyntaxError> {
        match value {
            Value::Float(number) => self.out.push_str(&float(*number)),
            Value::String(string) => self.out.push_str(&text(string)),
            Value::Datetime(date) if is_zulu(date) => self.out.push_str(date),
            Value::Datetime(date) => {
                let remark = format!("{date} is no date for nats.conf and is written as text");
                self.report.notice(position, "", remark);
                self.out.push_str(&text(date));
            }
            Value::Array(items) => {
                self.out.push('[');
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        self.out.push_str(", ");
                    }
                    self.inline(&item.value, position)?;
                }
                // The reference takes a bracket right behind a number for its continuation (CORE-116).
                let number = matches!(items.last().map(|item| &item.value), Some(Value::Integer(_)));
                self.out.push_str(if number { " ]" } else { "]" });
            }
            plain => {
                let _ = write!(self.out, "{plain}");
            }
        }
        Ok(())
    }
}

/// Keys in quotes have no escapes, so one with both kinds of quotes cannot be written.
fn key(entry: &Entry) -> Result<String, SyntaxError> {
    let key = &*entry.key;
    if is_bare(key) && !key.eq_ignore_ascii_case("include") {
        return Ok(key.to_owned());
    }
    let mark = match (key.contains('"'), key.contains('\'')) {
        (false, _) => '"',
        (true, false) => '\'',
        (true, true) => return unwritable(entry, "has both kinds of quotes"),
    };
    if key.contains('\0') {
        return unwritable(entry, "has a NUL");
    }
    Ok(format!("{mark}{key}{mark}"))
}

fn unwritable(entry: &Entry, why: &str) -> Result<String, SyntaxError> {
    Err(SyntaxError {
        position: entry.key_pos.clone(),
        reason: format!(
            "key {} cannot be written in nats.conf: it {why}",
            crate::text::quote(&entry.key)
        ),
        remedy: None,
    })
}

/// A string in double quotes.
fn text(text: &str) -> String {
    in_quotes(text, |character| {
        character
            .is_ascii_control()
            .then(|| format!("\\x{:02x}", u32::from(character)))
    })
}

/// `YYYY-MM-DDThh:mm:ssZ`.
fn is_zulu(date: &str) -> bool {
    let pattern = "0000-00-00T00:00:00Z";
    date.len() == pattern.len()
        && date.bytes().zip(pattern.bytes()).all(|(got, wanted)| {
            if wanted == b'0' {
                got.is_ascii_digit()
            } else {
                got == wanted
            }
        })
}
