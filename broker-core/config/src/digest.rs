//! The digest of a configuration: SHA-256 over the tree as Go's JSON encoder writes it (CORE-123).

use std::fmt::Write as _;

use sha2::{Digest, Sha256};

use crate::text::in_quotes;
use crate::value::{Table, Value};

/// `sha256:<hex>`.
pub(crate) fn of(table: &Table) -> String {
    let mut json = String::new();
    write_table(&mut json, table);
    json.push('\n');
    Sha256::digest(json.as_bytes())
        .iter()
        .fold(String::from("sha256:"), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        })
}

fn write_table(out: &mut String, table: &Table) {
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by(|left, right| left.key.as_bytes().cmp(right.key.as_bytes()));
    out.push('{');
    for (index, entry) in entries.into_iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        write_string(out, &entry.key);
        out.push(':');
        write_value(out, &entry.node.value);
    }
    out.push('}');
}

fn write_value(out: &mut String, value: &Value) {
    match value {
        Value::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Value::Integer(value) => {
            let _ = write!(out, "{value}");
        }
        Value::Float(value) => write_float(out, *value),
        Value::String(text) | Value::Datetime(text) => write_string(out, text),
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_value(out, &item.value);
            }
            out.push(']');
        }
        Value::Table(table) => write_table(out, table),
    }
}

/// Shortest form; from 1e21 on and below 1e-6 with an exponent, as JavaScript and Go write it.
fn write_float(out: &mut String, value: f64) {
    let size = value.abs();
    if size == 0.0 || (1e-6..1e21).contains(&size) {
        let _ = write!(out, "{value}");
        return;
    }
    let text = format!("{value:e}");
    let sign = if text.contains("e-") { "" } else { "+" };
    let _ = match text.split_once('e') {
        Some((digits, exponent)) => write!(out, "{digits}e{sign}{exponent}"),
        None => write!(out, "{text}"),
    };
}

/// JSON text with Go's HTML escaping.
fn write_string(out: &mut String, text: &str) {
    out.push_str(&in_quotes(text, |character| match character {
        '\u{8}' => Some("\\b".to_owned()),
        '\u{c}' => Some("\\f".to_owned()),
        '<' | '>' | '&' | '\u{2028}' | '\u{2029}' | '\0'..='\u{1f}' => {
            Some(format!("\\u{:04x}", u32::from(character)))
        }
        _ => None,
    }));
}
