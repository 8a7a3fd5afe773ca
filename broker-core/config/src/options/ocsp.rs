//! `ocsp` and `ocsp_cache`: staples for the own certificate, and what is remembered of others.
//!
//! Rules: AUTH-400, AUTH-413.

use std::time::Duration;

use super::readers::{self, choice};
use crate::ConfigSection;
use crate::report::Report;
use crate::section::{Field, TableReader, read_section};
use crate::shape::Shape;
use crate::text::quote;
use crate::value::Value;

/// When the own certificate is served with a staple.
#[derive(Clone, Debug, PartialEq, Eq, ConfigSection)]
#[config(unknown = "error parsing ocsp config: unsupported field {key}", after = OcspOptions::settle)]
pub struct OcspOptions {
    /// When to staple, and what a bad status does.
    #[config(with = mode, kind = "string", values = ["auto", "always", "must", "never"], default_doc = "auto", spec = "AUTH-400",
             reload)]
    pub mode: OcspMode,
    /// Responder in place of the certificate's.
    #[config(spec = "AUTH-402", reload, example = "url: \"http://ocsp.example.com\"")]
    pub url: Option<String>,
    /// Responders in place of the certificate's; `url` is added to them.
    #[config(spec = "AUTH-402", reload)]
    pub urls: Vec<String>,
}

/// When to staple (AUTH-400).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OcspMode {
    /// When the certificate asks for it.
    #[default]
    Auto,
    /// Always; a bad status stops the server.
    Always,
    /// When the certificate asks for it; a bad status stops the server.
    Must,
    /// Never.
    Never,
}

/// Where answers about peers' certificates are kept.
#[derive(Clone, Debug, PartialEq, Eq, ConfigSection)]
#[config(unknown = "error parsing OCSP peer cache config, unknown field [{key}]")]
pub struct OcspCacheOptions {
    /// In a file, or nowhere.
    #[config(with = cache_kind, kind = "string", nats_conf = "type", values = ["local", "none"], default_doc = "local",
             spec = "AUTH-413", reload)]
    pub kind: OcspCacheKind,
    /// Directory of the file.
    #[config(default = "_rc_", with = cache_text, spec = "AUTH-413", reload)]
    pub local_store: String,
    /// Keep revocations when they expire.
    #[config(with = cache_flag, default_doc = "false", spec = "AUTH-413", reload)]
    pub preserve_revoked: bool,
    /// How often the file is written, at least a second.
    #[config(default = "5m", with = save_interval, kind = "seconds or duration", shape = Shape::Seconds, spec = "AUTH-413",
             reload)]
    pub save_interval: Duration,
}

/// Where answers are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OcspCacheKind {
    /// In a file.
    #[default]
    Local,
    /// Nowhere.
    None,
}

pub(super) const SHAPE: Shape = Shape::AnyOf(&[Shape::Bool, Shape::table::<OcspOptions>()]);
pub(super) const CACHE: Shape = Shape::AnyOf(&[Shape::Bool, Shape::table::<OcspCacheOptions>()]);

impl OcspOptions {
    fn settle(&mut self, _table: &TableReader<'_>, _report: &mut Report) {
        self.urls.extend(self.url.take());
    }
}

/// Reads `ocsp`; `true` is auto, `false` never.
pub(super) fn ocsp(field: &Field<'_>, report: &mut Report) -> Option<Option<OcspOptions>> {
    match &field.node.value {
        Value::Bool(on) => Some(Some(OcspOptions {
            mode: if *on { OcspMode::Auto } else { OcspMode::Never },
            url: None,
            urls: Vec::new(),
        })),
        Value::Table(_) => read_section(field, report).map(Some),
        other => {
            let got = other.type_name();
            field.error(
                format!("error parsing ocsp config: unsupported type {got}"),
                report,
            )
        }
    }
}

/// Reads `ocsp_cache`; `true` is local, `false` none.
pub(super) fn ocsp_cache(field: &Field<'_>, report: &mut Report) -> Option<Option<OcspCacheOptions>> {
    match &field.node.value {
        Value::Bool(on) => Some(Some(OcspCacheOptions {
            kind: if *on {
                OcspCacheKind::Local
            } else {
                OcspCacheKind::None
            },
            ..OcspCacheOptions::defaults()
        })),
        Value::Table(_) => read_section(field, report).map(Some),
        // The reference's text, wrong word included.
        other => {
            let got = other.type_name();
            field.error(format!("error parsing tags: unsupported type {got}"), report)
        }
    }
}

fn mode(field: &Field<'_>, report: &mut Report) -> Option<OcspMode> {
    const KNOWN: [(&str, OcspMode); 4] = [
        ("auto", OcspMode::Auto),
        ("always", OcspMode::Always),
        ("must", OcspMode::Must),
        ("never", OcspMode::Never),
    ];
    // The reference prints the type of the mode where it means the mode.
    let unknown = |_: &str| "error parsing ocsp config: unsupported ocsp mode string".to_owned();
    choice(field, &KNOWN, unknown, report)
}

fn cache_kind(field: &Field<'_>, report: &mut Report) -> Option<OcspCacheKind> {
    const KNOWN: [(&str, OcspCacheKind); 2] =
        [("local", OcspCacheKind::Local), ("none", OcspCacheKind::None)];
    if field.node.value.as_str().is_none() {
        return cache_error(field, report);
    }
    let unknown = |name: &str| format!("error parsing OCSP peer cache config, unknown type [{name}]");
    choice(field, &KNOWN, unknown, report)
}

fn cache_text(field: &Field<'_>, report: &mut Report) -> Option<String> {
    match field.node.value.as_str() {
        Some(text) => Some(text.to_owned()),
        None => cache_error(field, report),
    }
}

fn cache_flag(field: &Field<'_>, report: &mut Report) -> Option<bool> {
    match field.node.value {
        Value::Bool(set) => Some(set),
        _ => cache_error(field, report),
    }
}

/// The reference's text for a value of another type is the one for an unknown field.
fn cache_error<T>(field: &Field<'_>, report: &mut Report) -> Option<T> {
    let key = quote(field.key);
    field.error(
        format!("error parsing OCSP peer cache config, unknown field [{key}]"),
        report,
    )
}

/// Shorter than a second is a second.
fn save_interval(field: &Field<'_>, report: &mut Report) -> Option<Duration> {
    let interval = match readers::signed_seconds(field) {
        Ok(seconds) => Duration::try_from_secs_f64(seconds).unwrap_or_default(),
        Err(Some(reason)) => {
            let reason = format!("error parsing tls peer config, conversion error: {reason}");
            return field.error(reason, report);
        }
        Err(None) => {
            let reason = "error parsing OCSP peer cache config, conversion error: unexpected type";
            return field.error(reason, report);
        }
    };
    Some(interval.max(Duration::from_secs(1)))
}
