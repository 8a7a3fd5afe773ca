//! Comments: found in a text, put to the key or element that they belong to.

use std::collections::BTreeMap;

use crate::value::{Position, Table, Value};

/// A comment as it stands in the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Comment {
    /// Its line, from 1.
    pub(crate) line: u32,
    /// Where it begins in the line, counted as [`Position::column`] is in this text.
    pub(crate) column: u32,
    /// What follows `#` or `//`, with its blanks.
    pub(crate) text: String,
    /// Nothing stands before it in its line.
    pub(crate) alone: bool,
}

/// Line and column.
type Place = (u32, u32);

/// Comments by the place of the key or element that they belong to. Each is given out once.
#[derive(Default)]
pub(super) struct Comments {
    leading: BTreeMap<Place, Vec<String>>,
    trailing: BTreeMap<Place, String>,
    rest: Vec<String>,
}

impl Comments {
    /// Finds the owners: a comment alone in its line belongs to what comes next, any other to what stands before it.
    pub(super) fn place(comments: Vec<Comment>, table: &Table, file: &str) -> Self {
        let mut owners = Vec::new();
        collect(table, file, &mut owners);
        owners.sort_unstable();
        let mut placed = Self::default();
        for comment in comments {
            let at = owners.partition_point(|owner| *owner <= (comment.line, comment.column));
            let before = at.checked_sub(1).and_then(|at| owners.get(at));
            match (comment.alone, owners.get(at), before) {
                (true, Some(next), _) => placed.leading.entry(*next).or_default().push(comment.text),
                (false, _, Some(owner)) if !placed.trailing.contains_key(owner) => {
                    placed.trailing.insert(*owner, comment.text);
                }
                _ => placed.rest.push(comment.text),
            }
        }
        placed
    }

    /// Whether something is said of what stands at `position`.
    pub(super) fn has(&self, position: &Position) -> bool {
        let place = (position.line, position.column);
        self.leading.contains_key(&place) || self.trailing.contains_key(&place)
    }

    /// Writes the lines before what stood at `position`.
    pub(super) fn lead(&mut self, position: &Position, indent: &str, out: &mut String) {
        for line in self
            .leading
            .remove(&(position.line, position.column))
            .into_iter()
            .flatten()
        {
            out.push_str(&format!("{indent}#{line}\n"));
        }
    }

    /// Writes the comment behind what stood at `position`.
    pub(super) fn trail(&mut self, position: &Position, out: &mut String) {
        if let Some(text) = self.trailing.remove(&(position.line, position.column)) {
            out.push_str(&format!(" #{text}"));
        }
    }

    /// What nobody has asked for, in the order of the text.
    pub(super) fn rest(&mut self) -> Vec<String> {
        let mut left: BTreeMap<Place, Vec<String>> = std::mem::take(&mut self.leading);
        for (place, text) in std::mem::take(&mut self.trailing) {
            left.entry(place).or_default().push(text);
        }
        let mut lines: Vec<String> = left.into_values().flatten().collect();
        lines.append(&mut self.rest);
        lines
    }
}

/// The places in `file` of all keys, and of all elements of arrays.
fn collect(table: &Table, file: &str, owners: &mut Vec<Place>) {
    for entry in table {
        if *entry.key_pos.file == *file {
            owners.push((entry.key_pos.line, entry.key_pos.column));
        }
        collect_value(&entry.node.value, file, owners);
    }
}

fn collect_value(value: &Value, file: &str, owners: &mut Vec<Place>) {
    match value {
        Value::Table(table) => collect(table, file, owners),
        Value::Array(items) => {
            for item in items {
                if *item.pos.file == *file {
                    owners.push((item.pos.line, item.pos.column));
                }
                collect_value(&item.value, file, owners);
            }
        }
        _ => {}
    }
}

/// The comments of a TOML text that is well formed. Columns count from 1, as in its positions.
pub(super) fn of_toml(text: &str) -> Vec<Comment> {
    let mut found = Vec::new();
    let mut open = "";
    for (line, content) in (1_u32..).zip(text.lines()) {
        let mut rest = content;
        loop {
            if open.is_empty() {
                let Some(at) = rest.find(['#', '"', '\'']) else {
                    break;
                };
                let (before, from) = rest.split_at_checked(at).unwrap_or_default();
                if let Some(comment) = from.strip_prefix('#') {
                    let start = content.len() - from.len();
                    let blank = |part: &str| part.trim().is_empty();
                    let alone = blank(before) && blank(content.get(..start).unwrap_or_default());
                    found.push(Comment {
                        line,
                        column: u32::try_from(start + 1).unwrap_or(u32::MAX),
                        text: comment.to_owned(),
                        alone,
                    });
                    break;
                }
                open = ["\"\"\"", "'''", "\"", "'"]
                    .into_iter()
                    .find(|mark| from.starts_with(mark))
                    .unwrap_or_default();
                rest = from.strip_prefix(open).unwrap_or_default();
            } else {
                let Some(after) = close(rest, open) else { break };
                open = "";
                rest = after;
            }
        }
        if open.len() == 1 {
            open = ""; // A string of one line cannot go on; the text would not be well formed.
        }
    }
    found
}

/// What follows the end of a string that was opened with `mark`; `None` if it does not end in this line.
fn close<'a>(text: &'a str, mark: &str) -> Option<&'a str> {
    let mut rest = text;
    loop {
        if let Some(after) = rest.strip_prefix(mark) {
            return Some(after);
        }
        let mut characters = rest.chars();
        if characters.next()? == '\\' && mark.starts_with('"') {
            characters.next();
        }
        rest = characters.as_str();
    }
}
