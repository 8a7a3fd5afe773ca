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
