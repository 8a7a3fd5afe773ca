//! From a path to options: read, parse, collect what is wrong.

use std::path::Path;

use crate::options::Config;
use crate::report::Report;
use crate::section::{ConfigSection, TableReader};
use crate::source::Source;
use crate::tree::{Format, SyntaxError, digest_of, open_error, parse};
use crate::value::Position;

/// A configuration that may be used.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The options.
    pub config: Config,
    /// Warnings and remarks; no error. `-t` fails unless [`Report::passes_check`].
    pub report: Report,
    /// `sha256:<hex>` of the file's tree (CORE-123).
    pub digest: String,
}

/// Why a file gives no configuration. `Display` is what the reference prints after `nats-server: `.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file cannot be read.
    #[error("{0}")]
    Open(String),
    /// The file is not well formed.
    #[error("{0}")]
    Syntax(#[from] SyntaxError),
    /// The file says something wrong. The text ends with a newline, as the reference's does.
    #[error("{}", .0.reference_text())]
    Invalid(Report),
}

impl Config {
    /// Reads the file at `path`; by its extension it is TOML or nats.conf.
    pub fn load(path: &str, source: &dyn Source) -> Result<Loaded, LoadError> {
        let content = source
            .read(Path::new(path))
            .map_err(|error| LoadError::Open(open_error(path, &error)))?;
        Self::load_content(&content, path, Format::of(path), source)
    }

    /// Reads options from text that was taken from `file`; includes and variables come from `source`.
    pub fn load_content(
        content: &[u8],
        file: &str,
        format: Format,
        source: &dyn Source,
    ) -> Result<Loaded, LoadError> {
        let mut report = Report::new();
        let table = parse(content, file, format, source, &mut report)?;
        if table.is_empty() {
            report.warning_anywhere(format!("{file}: config has no values or is empty"));
        }
        let position = Position::new(file, 1, 0);
        let config = Config::read(&TableReader::new(&table, &position), &mut report);
        if report.has_errors() {
            return Err(LoadError::Invalid(report));
        }
        Ok(Loaded {
            config,
            report,
            digest: digest_of(&table),
        })
    }
}
