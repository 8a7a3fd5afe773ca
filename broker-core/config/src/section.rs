//! Sections: how a struct reads itself from a table, and what it says about its keys.
//!
//! Written by `#[derive(ConfigSection)]`; the rules that every section shares are kept here once: keys match
//! without regard to case, aliases and repeated keys resolve to the last one, unknown keys are errors unless a
//! variable refers to them (CORE-113, CORE-119, CORE-124).

use crate::report::Report;
use crate::shape::Shape;
use crate::text::quote;
use crate::value::{Entry, Node, Position, Table, Value};

/// Whether a known key does something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyStatus {
    /// It is read and acted on.
    Active,
    /// It is known and has no effect yet; its use is remarked.
    Inert,
    /// It is known, not supported yet, and ignoring it would weaken security; its use is an error.
    Refused,
}

/// What is known of one key; the reference page is made of these.
#[derive(Clone, Copy, Debug)]
pub struct KeySpec {
    /// Canonical name, the same in TOML and nats.conf.
    pub name: &'static str,
    /// Further names.
    pub aliases: &'static [&'static str],
    /// Type, for people.
    pub kind: &'static str,
    /// What values look like, for machines.
    pub shape: Shape,
    /// Unit of a plain number, or empty.
    pub unit: &'static str,
    /// The key with a value, as nats.conf has it, or empty: the default is example enough.
    pub example: &'static str,
    /// Default, as it would be written.
    pub default: &'static str,
    /// The field's doc comment.
    pub doc: &'static str,
    /// The numbered statement that it keeps, or empty.
    pub spec: &'static str,
    /// Absent is an error.
    pub required: bool,
    /// May change while the broker runs.
    pub reloadable: bool,
    /// What the log says after `Reloaded: ` once it has changed; `{new}` stands for the new value.
    pub reload_line: &'static str,
    /// The reference's name for it, in the refusal of a change that needs a restart (CORE-132).
    pub option: &'static str,
    /// The value must not be shown.
    pub secret: bool,
    /// Whether it does something.
    pub status: KeyStatus,
}

impl KeySpec {
    /// A key that is known by name only.
    pub const fn without_effect(name: &'static str, status: KeyStatus) -> Self {
        Self {
            name,
            aliases: &[],
            kind: "",
            shape: Shape::Any,
            unit: "",
            example: "",
            default: "",
            doc: "",
            spec: "",
            required: false,
            reloadable: false,
            reload_line: "",
            option: "",
            secret: false,
            status,
        }
    }

    /// Whether `key`, in any case, names this.
    pub fn matches(&self, key: &str) -> bool {
        self.name.eq_ignore_ascii_case(key) || self.aliases.iter().any(|name| name.eq_ignore_ascii_case(key))
    }
}

/// A struct that reads itself from a table. Derive it.
pub trait ConfigSection: Sized {
    /// The struct's name, unique among the sections of one page or schema.
    const NAME: &'static str;
    /// The struct's doc comment, for the reference page.
    const DOC: &'static str;

    /// The keys, in the order of the fields.
    fn keys() -> &'static [KeySpec];

    /// Text for a key that is none of [`ConfigSection::keys`].
    fn unknown_key(key: &str) -> String {
        format!("unknown field {}", quote(key))
    }

    /// Reads the section. Whatever is wrong goes to `report`, and the default takes its place, so that one run
    /// finds all errors. Use the result only if the report has none.
    fn read(table: &TableReader<'_>, report: &mut Report) -> Self;

    /// The section as an empty table gives it.
    fn defaults() -> Self {
        let table = Table::default();
        let position = Position::new("", 0, 0);
        Self::read(&TableReader::new(&table, &position), &mut Report::new())
    }
}

/// A type that a key may have.
pub trait ConfigValue: Sized {
    /// Its name on the reference page.
    const KIND: &'static str;
    /// What its values look like, for the editor's schema.
    const SHAPE: Shape;
    /// What the page shows as default of a key without one.
    const ABSENT: &'static str = "";

    /// Reads the value; `None` after an error went to `report`.
    fn from_field(field: &Field<'_>, report: &mut Report) -> Option<Self>;
}

/// A type whose default may be written as text: `#[config(default = "2m")]`.
pub trait FromDefault {
    /// Reads the text, which the author of the section wrote.
    fn from_default(text: &'static str) -> Self;
}

/// A value with the key under which it stands and the place that errors name.
#[derive(Clone, Copy, Debug)]
pub struct Field<'a> {
    /// The key as it was written.
    pub key: &'a str,
    /// The value.
    pub node: &'a Node,
    /// Place of the key, or of the element for values in arrays.
    pub pos: &'a Position,
}

impl<'a> Field<'a> {
    /// The value of a table's entry.
    pub fn of(entry: &'a Entry) -> Self {
        Self {
            key: &entry.key,
            node: &entry.node,
            pos: &entry.key_pos,
        }
    }

    /// The elements, each as a field of the same key; `None` if this is no array.
    pub fn elements(self) -> Option<impl Iterator<Item = Field<'a>>> {
        let items = self.node.value.as_array()?;
        Some(items.iter().map(move |node| Field {
            key: self.key,
            node,
            pos: &node.pos,
        }))
    }

    /// The value as a table; `None` after the wrong-type error.
    pub fn table(self, report: &mut Report) -> Option<TableReader<'a>> {
        match &self.node.value {
            Value::Table(table) => Some(TableReader::new(table, self.pos)),
            _ => self.wrong_type("map[string]interface {}", report),
        }
    }

    /// Reports the reference's error for a value of another type (CORE-125). Always `None`.
    pub fn wrong_type<T>(self, wanted: &str, report: &mut Report) -> Option<T> {
        let got = self.node.value.type_name();
        report
            .error(
                self.pos,
                self.key,
                format!("interface conversion: interface {{}} is {got}, not {wanted}"),
            )
            .remedy(format!("{} takes {}", self.key, plain_type(wanted)));
        None
    }

    /// Reports an error about this value. Always `None`.
    pub fn error<T>(self, reason: impl Into<String>, report: &mut Report) -> Option<T> {
        report.error(self.pos, self.key, reason);
        None
    }
}

/// Looks keys up in one table.
#[derive(Clone, Copy, Debug)]
pub struct TableReader<'a> {
    table: &'a Table,
    pos: &'a Position,
}

impl<'a> TableReader<'a> {
    /// Reads `table`, whose own key stands at `pos`.
    pub fn new(table: &'a Table, pos: &'a Position) -> Self {
        Self { table, pos }
    }

    /// The table itself.
    pub fn table(&self) -> &'a Table {
        self.table
    }

    /// Place of the key that holds this table.
    pub fn position(&self) -> &'a Position {
        self.pos
    }

    /// The entry of `key`, by any of its names and in any case; of several the last one counts.
    pub fn entry(&self, key: &KeySpec) -> Option<&'a Entry> {
        self.table.iter().rfind(|entry| key.matches(&entry.key))
    }

    /// The last entry with one of `names`, in any case.
    pub fn named(&self, names: &[&str]) -> Option<&'a Entry> {
        self.table
            .iter()
            .rfind(|entry| names.iter().any(|name| name.eq_ignore_ascii_case(&entry.key)))
    }

    /// Reads `key` with `reader`; `None` if it is absent or was reported.
    pub fn read_key<T>(
        &self,
        key: &KeySpec,
        reader: impl FnOnce(&Field<'_>, &mut Report) -> Option<T>,
        report: &mut Report,
    ) -> Option<T> {
        match self.entry(key) {
            Some(entry) => reader(&Field::of(entry), report),
            None => {
                if key.required {
                    report.error(self.pos, key.name, format!("missing key {}", quote(key.name)));
                }
                None
            }
        }
    }

    /// Reports the keys that `S` does not know, has no use for yet, or must refuse, and those given twice.
    pub fn check_keys<S: ConfigSection>(&self, report: &mut Report) {
        for entry in self.table {
            match S::keys().iter().find(|key| key.matches(&entry.key)) {
                None if entry.used_as_variable => {}
                None => {
                    let finding = report.error(&entry.key_pos, &entry.key, S::unknown_key(&entry.key));
                    if let Some(near) = nearest(&entry.key, S::keys()) {
                        finding.remedy(format!("did you mean {}?", quote(near)));
                    }
                }
                Some(key) => self.check_known(key, entry, report),
            }
        }
    }

    fn check_known(&self, key: &KeySpec, entry: &Entry, report: &mut Report) {
        let last = self.entry(key).map(|last| &last.key_pos);
        if let Some(last) = last.filter(|last| **last != entry.key_pos) {
            let text = format!("{} is given again at {last}, which counts", quote(&entry.key));
            report
                .notice(&entry.key_pos, &entry.key, text)
                .remedy("keep one of them");
            return;
        }
        match key.status {
            KeyStatus::Active => {}
            KeyStatus::Inert => {
                report.inert(&entry.key_pos, &entry.key);
            }
            KeyStatus::Refused => {
                report.refused(&entry.key_pos, &entry.key);
            }
        }
    }
}

/// Reads a nested section; an error if the value is no table.
pub fn read_section<S: ConfigSection>(field: &Field<'_>, report: &mut Report) -> Option<S> {
    field.table(report).map(|table| S::read(&table, report))
}

/// The name in `keys` that `key` most likely means: at most two edits away, and fewer than half of it.
fn nearest(key: &str, keys: &'static [KeySpec]) -> Option<&'static str> {
    nearest_of(
        key,
        keys.iter()
            .flat_map(|spec| std::iter::once(&spec.name).chain(spec.aliases))
            .copied(),
    )
}

/// The same among any names.
pub(crate) fn nearest_of<N: AsRef<str> + Ord>(key: &str, names: impl Iterator<Item = N>) -> Option<N> {
    if key.len() > 64 {
        return None; // Nobody mistypes that much, and the distance is quadratic.
    }
    let key = key.to_ascii_lowercase();
    names
        .map(|name| (edits(&key, name.as_ref()), name))
        .filter(|(distance, name)| *distance <= 2 && *distance * 2 < name.as_ref().len())
        .min()
        .map(|(_, name)| name)
}

/// Levenshtein distance in characters.
fn edits(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (index, a) in left.chars().enumerate() {
        let mut diagonal = index;
        let mut previous = index + 1;
        let mut next = vec![previous];
        for (b, above) in right.iter().zip(row.iter().skip(1)) {
            let cost = (diagonal + usize::from(a != *b)).min(above + 1).min(previous + 1);
            next.push(cost);
            diagonal = *above;
            previous = cost;
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

fn plain_type(wanted: &str) -> &str {
    match wanted {
        "bool" => "true or false",
        "int64" => "a whole number",
        "float64" => "a number",
        "string" => "text; put it in quotes",
        "[]interface {}" => "a list",
        "map[string]interface {}" => "a table",
        other => other,
    }
}
