//! Readers of single top-level keys whose rules go beyond their type (CORE section 15).

use std::collections::BTreeMap;
use std::time::Duration;

use crate::convert::{ListenAddress, duration_text, integer};
use crate::report::Report;
use crate::section::{ConfigSection, ConfigValue, Field, TableReader, read_section};
use crate::text::{DurationError, parse_duration, print_duration};
use crate::value::Value;

/// A port, -1 or 0. The reference takes any number and fails at the socket.
pub(super) fn port(field: &Field<'_>, report: &mut Report) -> Option<i32> {
    let port = integer(field, report)?;
    match i32::try_from(port) {
        Ok(port) if (-1..=65_535).contains(&port) => Some(port),
        _ => field.error(format!("{} value is too big", field.key), report),
    }
}

pub(super) fn server_name(field: &Field<'_>, report: &mut Report) -> Option<Option<String>> {
    let name = String::from_field(field, report)?;
    if name.contains(' ') {
        report
            .error(field.pos, field.key, "server name cannot contain spaces")
            .remedy("use - or _ instead");
        return None;
    }
    Some(Some(name).filter(|name| !name.is_empty()))
}

pub(super) fn system_account(field: &Field<'_>, report: &mut Report) -> Option<Option<String>> {
    match &field.node.value {
        Value::String(name) => Some(Some(name.clone()).filter(|name| !name.is_empty())),
        _ => field.error("system account name must be a string", report),
    }
}

/// A count or size without limit when 0 or negative.
pub(super) fn count(field: &Field<'_>, report: &mut Report) -> Option<u64> {
    integer(field, report).map(|value| u64::try_from(value).unwrap_or_default())
}

/// The same in 32 bits.
pub(super) fn count32(field: &Field<'_>, report: &mut Report) -> Option<u32> {
    if integer(field, report)? < 0 {
        return Some(0);
    }
    u32::from_field(field, report)
}

/// 0 means the default, as the reference's baseline does.
fn unless_zero<T: Default + PartialEq>(value: T) -> Option<T> {
    (value != T::default()).then_some(value)
}

/// At most 2^31-1.
fn at_most_31_bits(field: &Field<'_>, report: &mut Report) -> Option<i32> {
    i32::from_field(field, report)
}

pub(super) fn control_line(field: &Field<'_>, report: &mut Report) -> Option<u32> {
    let value = at_most_31_bits(field, report)?;
    match u32::try_from(value) {
        Ok(value) => unless_zero(value),
        Err(_) => field.error(format!("{} value can not be negative", field.key), report),
    }
}

pub(super) fn payload(field: &Field<'_>, report: &mut Report) -> Option<i32> {
    at_most_31_bits(field, report).and_then(unless_zero)
}

pub(super) fn pending(field: &Field<'_>, report: &mut Report) -> Option<u64> {
    u64::from_field(field, report).and_then(unless_zero)
}

/// 0 and negative values refuse all connections.
pub(super) fn connections(field: &Field<'_>, report: &mut Report) -> Option<u32> {
    count32(field, report)
}

pub(super) fn sub_tokens(field: &Field<'_>, report: &mut Report) -> Option<u8> {
    let value = integer(field, report)?;
    if value <= 0 {
        // The reference's text for 0 too.
        return field.error(format!("{} value can not be negative", field.key), report);
    }
    u8::from_field(field, report)
}

/// A count; 0 means the default.
pub(super) fn positive32(field: &Field<'_>, report: &mut Report) -> Option<u32> {
    u32::from_field(field, report).and_then(unless_zero)
}

/// A duration; 0 means the default.
pub(super) fn duration(field: &Field<'_>, report: &mut Report) -> Option<Duration> {
    Duration::from_field(field, report).and_then(unless_zero)
}

pub(super) fn lame_duck(field: &Field<'_>, report: &mut Report) -> Option<Duration> {
    if let Some(Ok(nanoseconds)) = field.node.value.as_str().map(parse_duration)
        && nanoseconds < 30_000_000_000
    {
        let got = print_duration(nanoseconds);
        let reason = format!("invalid lame_duck_duration of {got}, minimum is 30 seconds");
        return field.error(reason, report);
    }
    duration_text(field, report)
}

pub(super) fn grace(field: &Field<'_>, report: &mut Report) -> Option<Duration> {
    if let Some(Ok(..0)) = field.node.value.as_str().map(parse_duration) {
        return field.error("invalid lame_duck_grace_period, needs to be positive", report);
    }
    duration_text(field, report).and_then(unless_zero)
}

pub(super) fn metadata(field: &Field<'_>, report: &mut Report) -> Option<BTreeMap<String, String>> {
    match &field.node.value {
        Value::Table(_) => BTreeMap::from_field(field, report),
        other => {
            let got = other.type_name();
            field.error(format!("error parsing metadata: unsupported type {got}"), report)
        }
    }
}

/// One of a few words, in any case; `unknown` makes the error of another.
pub(super) fn choice<T: Copy>(
    field: &Field<'_>,
    known: &[(&str, T)],
    unknown: impl FnOnce(&str) -> String,
    report: &mut Report,
) -> Option<T> {
    let text = String::from_field(field, report)?;
    match known.iter().find(|(name, _)| name.eq_ignore_ascii_case(&text)) {
        Some((_, value)) => Some(*value),
        None => {
            let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
            report
                .error(field.pos, field.key, unknown(&text))
                .remedy(format!("known are {}", names.join(", ")));
            None
        }
    }
}

/// A number of seconds, or a duration string. `Err(None)`: another type.
pub(super) fn signed_seconds(field: &Field<'_>) -> Result<f64, Option<DurationError>> {
    match &field.node.value {
        Value::Integer(seconds) => Ok(*seconds as f64),
        Value::Float(seconds) => Ok(*seconds),
        Value::String(text) => match parse_duration(text) {
            Ok(nanoseconds) => Ok(nanoseconds as f64 / 1e9),
            Err(reason) => Err(Some(reason)),
        },
        _ => Err(None),
    }
}

/// The same as a duration; errors begin with `prefix`.
pub(super) fn seconds(field: &Field<'_>, prefix: &str, report: &mut Report) -> Option<Duration> {
    match signed_seconds(field) {
        Ok(seconds) => match Duration::try_from_secs_f64(seconds) {
            Ok(duration) => Some(duration),
            Err(_) => field.error(format!("{} value can not be negative", field.key), report),
        },
        Err(Some(reason)) => field.error(format!("{prefix} {reason}"), report),
        Err(None) => field.error(format!("{prefix} wrong type"), report),
    }
}

/// One string or an array of strings; errors begin with `prefix`.
pub(super) fn strings(field: &Field<'_>, prefix: &str, report: &mut Report) -> Option<Vec<String>> {
    if let Some(text) = field.node.value.as_str() {
        return Some(vec![text.to_owned()]);
    }
    let Some(elements) = field.elements() else {
        let got = field.node.value.type_name();
        return field.error(format!("{prefix}: unsupported type {got}"), report);
    };
    let read = elements.filter_map(|item| match &item.node.value {
        Value::String(text) => Some(text.clone()),
        other => {
            let got = other.type_name();
            item.error(format!("{prefix}: unsupported type in array {got}"), report)
        }
    });
    Some(read.collect())
}

/// A nested block; another value is the error `<wrong>, got <type>`.
pub(super) fn block<S: ConfigSection>(
    field: &Field<'_>,
    wrong: &str,
    report: &mut Report,
) -> Option<Option<S>> {
    match field.node.value {
        Value::Table(_) => read_section(field, report).map(Some),
        ref other => field.error(format!("{wrong}, got {}", other.type_name()), report),
    }
}

/// `listen` sets host and port at its place in the table; what stands below it counts.
pub(super) fn settle_address(
    table: &TableReader<'_>,
    listen: Option<&ListenAddress>,
    host: &mut String,
    port: &mut i32,
) {
    let place = |names: &[&str]| {
        table
            .table()
            .iter()
            .rposition(|entry| names.iter().any(|name| name.eq_ignore_ascii_case(&entry.key)))
    };
    if let Some(listen) = listen {
        let at = place(&["listen"]);
        if place(&["host", "net"]) < at {
            listen.host.clone_into(host);
        }
        if place(&["port"]) < at {
            *port = listen.port;
        }
    }
    if host.is_empty() {
        "0.0.0.0".clone_into(host);
    }
}

/// What a write does that blocks for longer than the write deadline.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WriteTimeout {
    /// Close clients, retry between servers.
    #[default]
    Default,
    /// Close the connection.
    Close,
    /// Go on trying.
    Retry,
}

/// Case counts here, as in the reference.
pub(super) fn write_timeout(field: &Field<'_>, report: &mut Report) -> Option<WriteTimeout> {
    match String::from_field(field, report)?.as_str() {
        "default" => Some(WriteTimeout::Default),
        "close" => Some(WriteTimeout::Close),
        "retry" => Some(WriteTimeout::Retry),
        _ => field.error("write_timeout must be 'default', 'close' or 'retry'", report),
    }
}

/// A duration; 0 is as good as absent.
pub(super) fn optional_duration(field: &Field<'_>, report: &mut Report) -> Option<Option<Duration>> {
    Duration::from_field(field, report).map(|duration| Some(duration).filter(|duration| !duration.is_zero()))
}

/// A count; 0 is as good as absent.
pub(super) fn optional_count(field: &Field<'_>, report: &mut Report) -> Option<Option<u32>> {
    count32(field, report).map(|count| Some(count).filter(|count| *count > 0))
}

/// A number of connections in either sign; 0 is as good as absent.
pub(super) fn pool_size(field: &Field<'_>, report: &mut Report) -> Option<Option<i32>> {
    i32::from_field(field, report).map(|size| Some(size).filter(|size| *size != 0))
}

/// A number of attempts; 0 is the default.
pub(super) fn reports(field: &Field<'_>, report: &mut Report) -> Option<u64> {
    count(field, report).and_then(unless_zero)
}

/// Begins with a slash, and has no `.`, `..` or empty part.
pub(super) fn base_path(field: &Field<'_>, report: &mut Report) -> Option<String> {
    let path = String::from_field(field, report)?;
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    Some(format!("/{}", parts.join("/")))
}

/// `http` and `https` set the ports too, each where it stands.
pub(super) fn settle_monitoring(table: &TableReader<'_>, config: &mut super::Config) {
    let place = |names: &[&str]| {
        let entries = table.table().iter();
        entries
            .rev()
            .position(|entry| names.iter().any(|name| name.eq_ignore_ascii_case(&entry.key)))
    };
    // Counted from the end: the smaller place stands lower and counts.
    let lower = |one: Option<usize>, two: Option<usize>| match (one, two) {
        (Some(one), Some(two)) => one < two,
        (one, _) => one.is_some(),
    };
    if let Some(http) = &config.http
        && lower(place(&["http"]), place(&["http_port", "monitor_port"]))
    {
        config.http_port = http.port;
    }
    if let Some(https) = &config.https
        && lower(place(&["https"]), place(&["https_port"]))
    {
        config.https_port = https.port;
    }
}

pub(super) fn js_domains(field: &Field<'_>, report: &mut Report) -> Option<BTreeMap<String, String>> {
    match &field.node.value {
        Value::Table(_) => BTreeMap::from_field(field, report),
        other => {
            let got = other.type_name();
            field.error(
                format!("error default_js_domain config: unsupported type {got}"),
                report,
            )
        }
    }
}
