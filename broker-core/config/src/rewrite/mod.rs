//! From one syntax to the other, comments included.
//!
//! The text that comes out reads as the same tree, key by key. Comments stay with the key or element that they stand
//! before or behind; one that loses its place goes to the end. Variables and included files are written as what they
//! stand for, since TOML knows neither; a remark tells where that happened.

mod comments;
mod nats_conf;
mod toml;

#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use crate::options::Config;
use crate::report::Report;
use crate::section::KeySpec;
use crate::shape::{SectionSpec, Shape};
use crate::source::Source;
use crate::tree::{Format, SyntaxError};
use crate::value::{Entry, Position, Table, Value};

pub(crate) use comments::Comment;
use comments::Comments;

/// A configuration in the syntax that was asked for.
#[derive(Clone, Debug)]
pub struct Converted {
    /// The text; it ends with a newline unless it is empty.
    pub text: String,
    /// Remarks about what could not be carried over as it was.
    pub report: Report,
}

/// Writes the content of `file`, read as `from`, in the syntax `to`. Includes and variables are looked up in `source`.
/// Says nothing of whether the keys are known: see [`check`](crate::check).
///
/// # Errors
/// The file is not well formed, or a key cannot be written in the other syntax.
pub fn convert(
    content: &[u8],
    file: &str,
    from: Format,
    to: Format,
    source: &dyn Source,
) -> Result<Converted, SyntaxError> {
    let mut report = Report::new();
    let used = Used::new(source);
    let (table, comments) = match from {
        Format::NatsConf => crate::nats_conf::parse_with_comments(content, file, &used, &mut report)?,
        Format::Toml => {
            let table = crate::toml_front::parse(content, file)?;
            (table, comments::of_toml(&String::from_utf8_lossy(content)))
        }
    };
    used.remark(file, &mut report);
    let mut comments = Comments::place(comments, &table, file);
    let root = Context::Section(SectionSpec::of::<Config>().keys);
    let mut text = match to {
        Format::NatsConf => nats_conf::write(&table, root, &mut comments, &mut report)?,
        Format::Toml => toml::write(&table, root, &mut comments),
    };
    for line in comments.rest() {
        text.push_str(&format!("#{line}\n"));
    }
    Ok(Converted { text, report })
}

/// Writes a tree that came from no file.
pub(crate) fn print(table: &Table, format: Format) -> String {
    let mut comments = Comments::default();
    match format {
        // What cannot be written is left out; it does not come from code.
        Format::NatsConf => {
            nats_conf::write(table, Context::Any, &mut comments, &mut Report::new()).unwrap_or_default()
        }
        Format::Toml => toml::write(table, Context::Any, &mut comments),
    }
}

/// A source that remembers what was asked of it.
struct Used<'a> {
    source: &'a dyn Source,
    files: RefCell<BTreeSet<PathBuf>>,
    variables: RefCell<BTreeSet<String>>,
}

impl<'a> Used<'a> {
    fn new(source: &'a dyn Source) -> Self {
        Self {
            source,
            files: RefCell::default(),
            variables: RefCell::default(),
        }
    }

    fn remark(&self, file: &str, report: &mut Report) {
        let position = Position::new(file, 1, 0);
        for path in self.files.borrow().iter() {
            let text = format!("the content of {} is written in its place", path.display());
            report.notice(&position, "include", text);
        }
        for name in self.variables.borrow().iter() {
            let text = format!("${name} of the environment is written as its present value");
            report
                .notice(&position, name, text)
                .remedy("look whether the file may hold it: it could be a secret");
        }
    }
}

impl Source for Used<'_> {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.files.borrow_mut().insert(path.to_owned());
        self.source.read(path)
    }

    fn env(&self, name: &str) -> Option<String> {
        let value = self.source.env(name);
        if value.is_some() {
            self.variables.borrow_mut().insert(name.to_owned());
        }
        value
    }
}

/// What may stand in a table, as far as it is known.
#[derive(Clone, Copy)]
enum Context {
    /// These keys.
    Section(&'static [KeySpec]),
    /// Free keys, each with such values.
    Map(&'static Shape),
    /// Anything.
    Any,
}

impl Context {
    fn of(shape: Shape) -> Self {
        match shape {
            Shape::Table(spec) => Self::Section(spec().keys),
            Shape::Map(inner) => Self::Map(inner),
            Shape::List(inner) | Shape::OneOrMany(inner) => Self::of(*inner),
            Shape::AnyOf(shapes) => shapes
                .iter()
                .map(|shape| Self::of(*shape))
                .find(|context| !matches!(context, Self::Any))
                .unwrap_or(Self::Any),
            _ => Self::Any,
        }
    }

    /// What may stand in the value of `key`.
    fn inside(self, key: &str) -> Self {
        match self {
            Self::Section(keys) => keys
                .iter()
                .find(|spec| spec.matches(key))
                .map_or(Self::Any, |spec| Self::of(spec.shape)),
            Self::Map(inner) => Self::of(*inner),
            Self::Any => Self::Any,
        }
    }

    /// The entries to write. A key that only variables refer to has done its work once they are resolved.
    fn entries(self, table: &Table) -> impl Iterator<Item = &Entry> {
        table.iter().filter(move |entry| {
            let known = match self {
                Self::Section(keys) => keys.iter().any(|spec| spec.matches(&entry.key)),
                Self::Map(inner) => !matches!(Self::of(*inner), Self::Section(_)),
                Self::Any => true,
            };
            known || !entry.used_as_variable
        })
    }
}

/// A whole float too has a fraction, and none has an exponent, which nats.conf does not read.
fn float(value: f64) -> String {
    let text = format!("{value}");
    if text.contains('.') {
        text
    } else {
        format!("{text}.0")
    }
}

/// Whether keys of both syntaxes may stand without quotes.
fn is_bare(key: &str) -> bool {
    !key.is_empty()
        && key
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

/// Whether an array may stand in one line: short, and nothing but scalars in it.
fn fits_line(items: &[crate::value::Node], comments: &Comments) -> bool {
    let plain = items.iter().all(|item| match &item.value {
        Value::Table(_) | Value::Array(_) => false,
        Value::String(text) => text.len() <= 60,
        _ => true,
    });
    let length: usize = items.iter().map(|item| item.value.to_string().len() + 4).sum();
    plain && length <= 90 && !items.iter().any(|item| comments.has(&item.pos))
}
