//! What the values of a key look like: one description for the reference page, the editor's schema and the
//! explanation of a key.
//!
//! A shape says what is worth writing, not all that is accepted: quirks of the reference, such as whole seconds
//! for a duration, are read and not proposed.

use crate::section::{ConfigSection, KeySpec};

/// The values of a key.
#[derive(Clone, Copy, Debug)]
pub enum Shape {
    /// `true` or `false`.
    Bool,
    /// A whole number.
    Integer,
    /// A number.
    Number,
    /// Any text.
    Text,
    /// One of these texts, in any case.
    Enum(&'static [&'static str]),
    /// A duration such as `"2m"`.
    Duration,
    /// A number of seconds, or a duration.
    Seconds,
    /// Bytes, or text such as `"4M"`.
    Size,
    /// A port, or `"host:port"`.
    Listen,
    /// An array.
    List(&'static Shape),
    /// One value, or an array of them.
    OneOrMany(&'static Shape),
    /// A table with free keys.
    Map(&'static Shape),
    /// A table with known keys.
    Table(fn() -> SectionSpec),
    /// Any of these.
    AnyOf(&'static [Shape]),
    /// Anything; its owner reads it.
    Any,
}

/// What is known of a section.
#[derive(Clone, Copy, Debug)]
pub struct SectionSpec {
    /// Its name.
    pub name: &'static str,
    /// Its doc comment.
    pub doc: &'static str,
    /// Its keys.
    pub keys: &'static [KeySpec],
}

impl Shape {
    /// The shape of a section.
    pub const fn table<S: ConfigSection>() -> Self {
        Self::Table(SectionSpec::of::<S>)
    }

    /// The sections that may stand inside, in order.
    pub fn sections(self) -> Vec<SectionSpec> {
        match self {
            Self::Table(spec) => vec![spec()],
            Self::List(inner) | Self::OneOrMany(inner) | Self::Map(inner) => inner.sections(),
            Self::AnyOf(shapes) => shapes.iter().flat_map(|shape| shape.sections()).collect(),
            _ => Vec::new(),
        }
    }

    /// The texts that are allowed, if the key takes one of a few.
    pub fn allowed(self) -> Vec<&'static str> {
        match self {
            Self::Bool => vec!["true", "false"],
            Self::Enum(names) => names.to_vec(),
            Self::List(inner) | Self::OneOrMany(inner) => inner.allowed(),
            Self::AnyOf(shapes) => shapes.iter().flat_map(|shape| shape.allowed()).collect(),
            _ => Vec::new(),
        }
    }
}

impl SectionSpec {
    /// The description of `S`.
    pub fn of<S: ConfigSection>() -> Self {
        Self {
            name: S::NAME,
            doc: S::DOC,
            keys: S::keys(),
        }
    }
}

/// A section with all the places where it may stand: `accounts.<name>.users[]`.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// The section.
    pub(crate) section: SectionSpec,
    /// Where it stands, the first place first; the root's is empty.
    pub(crate) paths: Vec<String>,
}

/// `root` and all sections inside it, each once, in the order of the keys.
pub(crate) fn places(root: SectionSpec) -> Vec<Place> {
    let mut found = Vec::new();
    collect(root, String::new(), &mut found);
    found
}

fn collect(section: SectionSpec, path: String, found: &mut Vec<Place>) {
    if let Some(known) = found.iter_mut().find(|place| place.section.name == section.name) {
        known.paths.push(path);
        return;
    }
    found.push(Place {
        section,
        paths: vec![path.clone()],
    });
    for key in section.keys {
        let dot = if path.is_empty() { "" } else { "." };
        inside(key.shape, &format!("{path}{dot}{}", key.name), found);
    }
}

fn inside(shape: Shape, path: &str, found: &mut Vec<Place>) {
    match shape {
        Shape::Table(spec) => collect(spec(), path.to_owned(), found),
        Shape::List(inner) | Shape::OneOrMany(inner) => inside(*inner, &format!("{path}[]"), found),
        Shape::Map(inner) => inside(*inner, &format!("{path}.<name>"), found),
        Shape::AnyOf(shapes) => shapes.iter().for_each(|shape| inside(*shape, path, found)),
        _ => {}
    }
}
