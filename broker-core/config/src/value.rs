//! The value tree that both front ends produce: values with the place where they stand.
//!
//! Tables keep the order of the file. A key is unique by its exact spelling; that keys are looked up without
//! regard to case is the business of [`TableReader`](crate::TableReader) (CORE-113, CORE-122).

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

/// Where a key or value begins.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Position {
    /// Path of the file as it was opened; an included file has its own.
    pub file: Arc<str>,
    /// Line, from 1.
    pub line: u32,
    /// Bytes from the line's start, from 1; in nats.conf the first line counts from 0, as the reference
    /// prints it (CORE-122).
    pub column: u32,
}

impl Position {
    /// A place in `file`.
    pub fn new(file: impl Into<Arc<str>>, line: u32, column: u32) -> Self {
        Self {
            file: file.into(),
            line,
            column,
        }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

impl fmt::Debug for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Where an option came from, for errors that are found later. All origins are equal, so that options compare by
/// what they say.
#[derive(Clone, Debug, Default)]
pub struct Origin(pub Option<Position>);

impl PartialEq for Origin {
    fn eq(&self, _other: &Self) -> bool {
        true
    }
}

impl From<&Position> for Origin {
    fn from(position: &Position) -> Self {
        Self(Some(position.clone()))
    }
}

/// One value of the configuration.
#[derive(Clone, PartialEq)]
pub enum Value {
    /// `true`, and in nats.conf `yes`, `on` and their opposites.
    Bool(bool),
    /// A number without a fraction.
    Integer(i64),
    /// A number with a fraction.
    Float(f64),
    /// Text. Bytes that were no UTF-8 stand as U+FFFD.
    String(String),
    /// A date, as it was written (`2016-05-04T18:53:41Z`).
    Datetime(String),
    /// A list of any values.
    Array(Vec<Node>),
    /// Keys and values.
    Table(Table),
}

impl Value {
    /// The name under which the reference's wrong-type errors print this type (CORE-125).
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Bool(_) => "bool",
            Self::Integer(_) => "int64",
            Self::Float(_) => "float64",
            Self::String(_) => "string",
            Self::Datetime(_) => "time.Time",
            Self::Array(_) => "[]interface {}",
            Self::Table(_) => "map[string]interface {}",
        }
    }

    /// The text, if this is one.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// The table, if this is one.
    pub fn as_table(&self) -> Option<&Table> {
        match self {
            Self::Table(table) => Some(table),
            _ => None,
        }
    }

    /// The elements, if this is an array.
    pub fn as_array(&self) -> Option<&[Node]> {
        match self {
            Self::Array(items) => Some(items),
            _ => None,
        }
    }
}

/// Prints scalars as they would be quoted in an error, composites in the reference's `[a b]`, `map[k:v]`.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool(value) => write!(f, "{value}"),
            Self::Integer(value) => write!(f, "{value}"),
            Self::Float(value) => write!(f, "{value}"),
            Self::String(text) | Self::Datetime(text) => f.write_str(text),
            Self::Array(items) => {
                f.write_str("[")?;
                for (index, item) in items.iter().enumerate() {
                    let gap = if index == 0 { "" } else { " " };
                    write!(f, "{gap}{}", item.value)?;
                }
                f.write_str("]")
            }
            Self::Table(table) => {
                f.write_str("map[")?;
                for (index, entry) in table.iter().enumerate() {
                    let gap = if index == 0 { "" } else { " " };
                    write!(f, "{gap}{}:{}", entry.key, entry.node.value)?;
                }
                f.write_str("]")
            }
        }
    }
}

/// Not derived, so that a stray `{:?}` of a tree does not print passwords.
impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.type_name())
    }
}

/// A value and where it begins. Equality looks at the value only.
#[derive(Clone, Debug)]
pub struct Node {
    /// The value.
    pub value: Value,
    /// Where the value begins.
    pub pos: Position,
}

impl PartialEq for Node {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

/// A key with its value.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The key as it was written.
    pub key: Arc<str>,
    /// Where the key begins; errors about the value name this place, as the reference does (CORE-122).
    pub key_pos: Position,
    /// The value.
    pub node: Node,
    /// A variable refers to this entry, so it is never an unknown field (CORE-119).
    pub used_as_variable: bool,
}

/// Keys and values in the order of the file. Equality ignores the order and the positions.
#[derive(Clone, Default)]
pub struct Table {
    entries: Vec<Entry>,
    index: HashMap<Arc<str>, usize>,
}

impl Table {
    /// The entries in the order of the file.
    pub fn iter(&self) -> std::slice::Iter<'_, Entry> {
        self.entries.iter()
    }

    /// Number of entries.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The entry whose key is spelled exactly `key`.
    pub fn get(&self, key: &str) -> Option<&Entry> {
        self.index.get(key).and_then(|at| self.entries.get(*at))
    }

    /// Sets a key; an entry of the same spelling is replaced where it stands and returned (CORE-113).
    pub fn insert(&mut self, entry: Entry) -> Option<Entry> {
        if let Some(slot) = self
            .index
            .get(&entry.key)
            .and_then(|at| self.entries.get_mut(*at))
        {
            return Some(std::mem::replace(slot, entry));
        }
        self.index.insert(Arc::clone(&entry.key), self.entries.len());
        self.entries.push(entry);
        None
    }

    /// Marks `key` as referred to by a variable.
    pub(crate) fn mark_used(&mut self, key: &str) {
        if let Some(entry) = self.index.get(key).and_then(|at| self.entries.get_mut(*at)) {
            entry.used_as_variable = true;
        }
    }
}

impl PartialEq for Table {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len()
            && self.iter().all(|entry| {
                other
                    .get(&entry.key)
                    .is_some_and(|found| found.node == entry.node)
            })
    }
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.entries.iter().map(|entry| &entry.key))
            .finish()
    }
}

impl<'a> IntoIterator for &'a Table {
    type Item = &'a Entry;
    type IntoIter = std::slice::Iter<'a, Entry>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}
