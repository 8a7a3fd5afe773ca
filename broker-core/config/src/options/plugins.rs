//! The `plugins` table: options of plugins, kept as they stand until the plugin reads them.
//!
//! `plugins.<kind>.<name>` holds a table, or an array of tables for several instances. This crate knows the
//! kinds and no plugin; the plugin reads its options through its own [`ConfigSection`].

use std::fmt;

use crate::report::Report;
use crate::section::{ConfigSection, Field, TableReader};
use crate::shape::Shape;
use crate::value::{Node, Position, Table, Value};

/// What a plugin is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PluginKind {
    /// A protocol that clients speak.
    Listener,
    /// Decides who may connect.
    Auth,
    /// Keeps streams.
    Store,
    /// A component that talks on subjects.
    Service,
}

impl PluginKind {
    /// All kinds.
    pub const ALL: [Self; 4] = [Self::Listener, Self::Auth, Self::Store, Self::Service];

    /// Its key under `plugins`.
    pub fn key(self) -> &'static str {
        match self {
            Self::Listener => "listener",
            Self::Auth => "auth",
            Self::Store => "store",
            Self::Service => "service",
        }
    }
}

impl fmt::Display for PluginKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.key())
    }
}

/// Options of one instance of a plugin.
#[derive(Clone, Debug)]
pub struct PluginOptions {
    /// What it is for.
    pub kind: PluginKind,
    /// The plugin's name, as it was written.
    pub name: String,
    /// Where the options stand.
    pub position: Position,
    /// The options, unread.
    pub node: Node,
}

/// Equality ignores the position.
impl PartialEq for PluginOptions {
    fn eq(&self, other: &Self) -> bool {
        (self.kind, &self.name, &self.node) == (other.kind, &other.name, &other.node)
    }
}

impl PluginOptions {
    /// Reads the options as the plugin's own section.
    pub fn read<S: ConfigSection>(&self, report: &mut Report) -> S {
        let empty = Table::default();
        let table = self.node.value.as_table().unwrap_or(&empty);
        S::read(&TableReader::new(table, &self.position), report)
    }
}

/// Tables whose keys only the plugins know.
pub(super) const SHAPE: Shape = Shape::Map(&Shape::Map(&Shape::Any));

/// Reads `plugins`.
pub(super) fn plugins(field: &Field<'_>, report: &mut Report) -> Option<Vec<PluginOptions>> {
    let mut found = Vec::new();
    for entry in field.table(report)?.table() {
        let of_kind = Field::of(entry);
        let Some(kind) = PluginKind::ALL
            .into_iter()
            .find(|kind| kind.key().eq_ignore_ascii_case(&entry.key))
        else {
            if !entry.used_as_variable {
                let reason = format!("unknown field {}", crate::text::quote(&entry.key));
                report
                    .error(&entry.key_pos, &entry.key, reason)
                    .remedy("kinds of plugins are listener, auth, store and service");
            }
            continue;
        };
        let Some(table) = of_kind.table(report) else {
            continue;
        };
        for entry in table.table().iter().filter(|entry| !entry.used_as_variable) {
            instances(kind, &Field::of(entry), &mut found, report);
        }
    }
    Some(found)
}

fn instances(kind: PluginKind, field: &Field<'_>, found: &mut Vec<PluginOptions>, report: &mut Report) {
    let mut add = |item: &Field<'_>, report: &mut Report| match item.node.value {
        Value::Table(_) => found.push(PluginOptions {
            kind,
            name: field.key.to_owned(),
            position: item.pos.clone(),
            node: item.node.clone(),
        }),
        _ => {
            let _: Option<()> = item.wrong_type("map[string]interface {}", report);
        }
    };
    match field.elements() {
        Some(elements) => elements.for_each(|item| add(&item, report)),
        None => add(field, report),
    }
}
