//! `mappings`: which subjects become which others, at top level for the global account and in each account.
//!
//! Rules: AUTH-800, CORE-106, CORE-108, CORE-111. What a mapping may be is decided by [`dunlin_subject`].

use dunlin_subject::{MapDestination, Mapping, is_valid_subject};

use crate::ConfigSection;
use crate::report::{Report, Severity};
use crate::section::{Field, TableReader};
use crate::shape::Shape;
use crate::text::quote;
use crate::value::Value;

/// What `mappings` looks like: by source, a destination or a list of weighted ones.
pub(super) const SHAPE: Shape = Shape::Map(&Shape::AnyOf(&[
    Shape::Text,
    Shape::OneOrMany(&Shape::table::<Destination>()),
]));

const WEIGHT: Shape = Shape::AnyOf(&[Shape::Integer, Shape::Text]);

/// A weighted destination of a mapping.
#[derive(Clone, Debug, PartialEq, ConfigSection)]
#[config(
    unknown = "Unknown field {key} for mapping destination",
    after = Destination::settle
)]
struct Destination {
    /// What the source becomes: a subject with `$1` or `{{wildcard(1)}}` for its first wildcard, or a function
    /// such as `{{partition(10,1)}}`.
    #[config(alias = ["destination"], spec = "CORE-106", reload)]
    dest: String,
    /// Its share of the messages in percent, `20` or `"20%"`. What all destinations leave stays at the source,
    /// or is dropped if the source is listed as well.
    #[config(with = weight, kind = "percent", shape = WEIGHT, default = 0, default_doc = "required", spec = "AUTH-801", reload)]
    weight: u8,
    /// Name of the cluster for whose servers it stands; they use no other destinations then.
    #[config(spec = "AUTH-802", reload)]
    cluster: Option<String>,
}

impl Destination {
    fn settle(&mut self, table: &TableReader<'_>, report: &mut Report) {
        if table.named(&["weight"]).is_none() {
            let reason = format!("Missing weight for mapping destination {}", quote(&self.dest));
            report
                .error(table.position(), "weight", reason)
                .remedy("add weight: 100, or write the destination alone");
        }
    }
}

/// Reads `mappings`, in the order of the file, which decides where several sources cover a subject.
pub(super) fn mappings(field: &Field<'_>, report: &mut Report) -> Option<Vec<Mapping>> {
    let table = field.table(report)?;
    let entries = table.table().iter();
    Some(
        entries
            .filter_map(|entry| mapping(field, &Field::of(entry), report))
            .collect(),
    )
}

fn mapping(block: &Field<'_>, field: &Field<'_>, report: &mut Report) -> Option<Mapping> {
    let source = field.key;
    if !is_valid_subject(source.as_bytes()) {
        return block.error(
            format!("Subject {} is not a valid subject", quote(source)),
            report,
        );
    }
    if let Value::String(destination) = &field.node.value {
        let whole = MapDestination {
            subject: destination,
            weight: 100,
            cluster: None,
        };
        let made = Mapping::new(source, &[whole]);
        return made.map_or_else(
            |error| {
                let (source, destination) = (quote(source), quote(destination));
                let reason = format!("Error adding mapping for {source} to {destination} : {error}");
                field.error(reason, report)
            },
            Some,
        );
    }
    let destinations = destinations(field, report)?;
    let parts: Vec<MapDestination<'_>> = destinations
        .iter()
        .map(|destination| MapDestination {
            subject: &destination.dest,
            weight: destination.weight,
            cluster: destination.cluster.as_deref(),
        })
        .collect();
    match Mapping::new(source, &parts) {
        Ok(mapping) => Some(mapping),
        Err(error) => field.error(
            format!("Error adding mapping for {} : {error}", quote(source)),
            report,
        ),
    }
}

/// Reads one destination or a list; `None` if one of them is wrong, so that no error follows from another.
fn destinations(field: &Field<'_>, report: &mut Report) -> Option<Vec<Destination>> {
    let errors = report.of(Severity::Error).len();
    let destinations: Vec<Destination> = match field.elements() {
        Some(elements) => elements.filter_map(|item| destination(&item, report)).collect(),
        None => destination(field, report).into_iter().collect(),
    };
    (report.of(Severity::Error).len() == errors).then_some(destinations)
}

fn destination(field: &Field<'_>, report: &mut Report) -> Option<Destination> {
    match &field.node.value {
        Value::Table(table) => Some(Destination::read(&TableReader::new(table, field.pos), report)),
        _ => field.error("Expected an entry for the mapping destination", report),
    }
}

fn weight(field: &Field<'_>, report: &mut Report) -> Option<u8> {
    let number = match &field.node.value {
        Value::Integer(number) => *number,
        Value::String(text) => {
            let text = text.strip_suffix('%').unwrap_or(text);
            match text.parse() {
                Ok(number) => number,
                Err(_) => return invalid_weight(field, &quote(text), report),
            }
        }
        other => return field.error(format!("Unknown entry type for weight of {other}"), report),
    };
    match u8::try_from(number) {
        Ok(weight) if weight <= 100 => Some(weight),
        _ => invalid_weight(field, &number.to_string(), report),
    }
}

fn invalid_weight<T>(field: &Field<'_>, weight: &str, report: &mut Report) -> Option<T> {
    field.error(format!("Invalid weight {weight} for mapping destination"), report)
}
