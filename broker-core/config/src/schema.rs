//! A JSON schema of the configuration, so that editors complete and check TOML files (and nats.conf written as JSON).
//!
//! It says what is worth writing; the reader accepts more, such as keys in any case. Draft 7, which editors know.

use std::fmt::Write as _;

use crate::options::Config;
use crate::section::{KeySpec, KeyStatus};
use crate::shape::{SectionSpec, Shape, places};

/// The schema. A test holds the committed copy against it.
pub fn json_schema() -> String {
    let mut out = String::from("{\n");
    line(
        &mut out,
        1,
        "\"$schema\": \"http://json-schema.org/draft-07/schema#\",",
    );
    line(&mut out, 1, "\"title\": \"Configuration of Dunlin\",");
    line(&mut out, 1, "\"$ref\": \"#/definitions/Config\",");
    line(&mut out, 1, "\"definitions\": {");
    let sections: Vec<SectionSpec> = places(SectionSpec::of::<Config>())
        .into_iter()
        .map(|place| place.section)
        .collect();
    for (index, section) in sections.iter().enumerate() {
        definition(&mut out, *section);
        out.push_str(if index + 1 == sections.len() { "\n" } else { ",\n" });
    }
    line(&mut out, 1, "}");
    out.push_str("}\n");
    out
}

fn definition(out: &mut String, section: SectionSpec) {
    let known: Vec<(&str, &KeySpec)> = section
        .keys
        .iter()
        .flat_map(|key| {
            std::iter::once(key.name)
                .chain(key.aliases.iter().copied())
                .map(move |name| (name, key))
        })
        .collect();
    line(out, 2, &format!("{}: {{", json(section.name)));
    line(out, 3, &format!("\"description\": {},", json(section.doc)));
    line(out, 3, "\"type\": \"object\",");
    line(out, 3, "\"additionalProperties\": false,");
    let required: Vec<String> = section
        .keys
        .iter()
        .filter(|key| key.required)
        .map(|key| json(key.name))
        .collect();
    if !required.is_empty() {
        line(out, 3, &format!("\"required\": [{}],", required.join(", ")));
    }
    line(out, 3, "\"properties\": {");
    for (index, (name, key)) in known.iter().enumerate() {
        let comma = if index + 1 == known.len() { "" } else { "," };
        line(out, 4, &format!("{}: {}{comma}", json(name), property(name, key)));
    }
    line(out, 3, "}");
    let _ = write!(out, "    }}");
}

fn property(name: &str, key: &KeySpec) -> String {
    let mut about = key.doc.replace('\n', " ");
    if name != key.name {
        about = format!("The same as {}: {about}", key.name);
    }
    if !key.default.is_empty() {
        let _ = write!(about, " Default: {}.", key.default);
    }
    match key.status {
        KeyStatus::Active => {}
        KeyStatus::Inert => about.push_str(" No effect yet."),
        KeyStatus::Refused => about.push_str(" Refused: not supported yet."),
    }
    format!(
        "{{ \"description\": {}, {} }}",
        json(about.trim()),
        of_shape(key.shape)
    )
}

/// The members of the schema of a value, without braces.
fn of_shape(shape: Shape) -> String {
    match shape {
        Shape::Bool => "\"type\": \"boolean\"".to_owned(),
        Shape::Integer => "\"type\": \"integer\"".to_owned(),
        Shape::Number => "\"type\": \"number\"".to_owned(),
        Shape::Text => "\"type\": \"string\"".to_owned(),
        Shape::Enum(names) => {
            let names: Vec<String> = names.iter().map(|name| json(name)).collect();
            format!("\"enum\": [{}]", names.join(", "))
        }
        Shape::Duration => format!("\"type\": \"string\", \"pattern\": {}", json(DURATION)),
        Shape::Seconds => any_of(&["\"type\": \"number\"".to_owned(), of_shape(Shape::Duration)]),
        Shape::Size => any_of(&[
            "\"type\": \"integer\"".to_owned(),
            format!("\"type\": \"string\", \"pattern\": {}", json("^[0-9]+[KMGT]$")),
        ]),
        Shape::Listen => any_of(&[
            "\"type\": \"integer\"".to_owned(),
            "\"type\": \"string\"".to_owned(),
        ]),
        Shape::List(inner) => format!("\"type\": \"array\", \"items\": {{ {} }}", of_shape(*inner)),
        Shape::OneOrMany(inner) => any_of(&[of_shape(*inner), of_shape(Shape::List(inner))]),
        Shape::Map(inner) => {
            format!(
                "\"type\": \"object\", \"additionalProperties\": {{ {} }}",
                of_shape(*inner)
            )
        }
        Shape::Table(spec) => {
            // A reference takes no neighbours in draft 7.
            format!(
                "\"allOf\": [{{ \"$ref\": {} }}]",
                json(&format!("#/definitions/{}", spec().name))
            )
        }
        Shape::AnyOf(shapes) => {
            let shapes: Vec<String> = shapes.iter().map(|shape| of_shape(*shape)).collect();
            any_of(&shapes)
        }
        Shape::Any => "\"title\": \"anything\"".to_owned(),
    }
}

/// Go's durations.
const DURATION: &str = "^[-+]?([0-9]*\\.?[0-9]+(ns|us|µs|ms|s|m|h))+$|^0$";

fn any_of(schemas: &[String]) -> String {
    let schemas: Vec<String> = schemas.iter().map(|schema| format!("{{ {schema} }}")).collect();
    format!("\"anyOf\": [{}]", schemas.join(", "))
}

fn line(out: &mut String, depth: usize, text: &str) {
    let _ = writeln!(out, "{}{text}", "  ".repeat(depth));
}

fn json(text: &str) -> String {
    let mut out = String::from("\"");
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            control if control.is_control() => {
                let _ = write!(out, "\\u{:04x}", u32::from(control));
            }
            other => out.push(other),
        }
    }
    out.push('"');
    out
}
