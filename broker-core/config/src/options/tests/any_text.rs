//! Any text, made of real keys and odd values: it is read or refused, never a panic, and each finding has its place
//! inside the text (CORE-122, CORE-P8).

use proptest::prelude::*;

use crate::explain::all_keys;
use crate::load::LoadError;
use crate::options::Config;
use crate::source::MapSource;
use crate::tree::Format;
use crate::value::Position;

/// A key of any section, or none.
fn key() -> impl Strategy<Value = String> {
    let names: Vec<String> = all_keys()
        .into_iter()
        .map(|(_, key)| key.name.to_owned())
        .collect();
    prop_oneof![8 => proptest::sample::select(names), 1 => "[a-z_]{1,6}"]
}

fn scalar() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("true".to_owned()),
        Just("-1".to_owned()),
        Just("99999999999".to_owned()),
        Just("1.5".to_owned()),
        Just("\"2m\"".to_owned()),
        Just("\"a b\"".to_owned()),
        Just("\"a.>\"".to_owned()),
        Just("\"nats://u:p@h:1\"".to_owned()),
        Just("\"[::1]:0\"".to_owned()),
        "\"[a-z0-9.:/$*>% -]{0,12}\"",
        (-5_i64..70_000).prop_map(|number| number.to_string()),
    ]
}

/// A value that both syntaxes read, tables within.
fn value() -> impl Strategy<Value = String> {
    scalar().prop_recursive(4, 30, 5, |inner| {
        let entry = (key(), inner.clone()).prop_map(|(key, value)| format!("{key} = {value}"));
        prop_oneof![
            proptest::collection::vec(inner, 0..4).prop_map(|items| format!("[ {} ]", items.join(" , "))),
            proptest::collection::vec(entry, 0..5)
                .prop_map(|entries| format!("{{ {} }}", entries.join(", "))),
        ]
    })
}

fn document() -> impl Strategy<Value = String> {
    let entry = (key(), value()).prop_map(|(key, value)| format!("{key} = {value}\n"));
    proptest::collection::vec(entry, 0..8).prop_map(|lines| lines.concat())
}

/// Whether a place lies in the text, its end included.
fn is_inside(text: &str, position: &Position) -> bool {
    let lines: Vec<&str> = text.split('\n').collect();
    let line = usize::try_from(position.line).unwrap_or(usize::MAX);
    let length = line
        .checked_sub(1)
        .and_then(|at| lines.get(at))
        .map(|line| line.len());
    length.is_some_and(|length| usize::try_from(position.column).unwrap_or(usize::MAX) <= length + 2)
}

fn check(text: &str, format: Format) -> Result<(), TestCaseError> {
    match Config::load_content(text.as_bytes(), "a", format, &MapSource::new()) {
        Ok(loaded) => {
            // Whatever is accepted can be checked for a start.
            let _ = loaded.config.validate();
        }
        Err(LoadError::Invalid(report)) => {
            for finding in report.findings() {
                if let Some(position) = &finding.position {
                    prop_assert!(is_inside(text, position), "{format:?} {finding}\n{text}");
                }
            }
        }
        Err(LoadError::Syntax(error)) => {
            prop_assert!(is_inside(text, &error.position), "{format:?} {error}\n{text}");
        }
        Err(LoadError::Open(reason)) => prop_assert!(false, "{reason}"),
    }
    Ok(())
}

proptest! {
    #[test]
    fn real_keys_with_odd_values_are_read_or_refused_with_their_place(text in document()) {
        check(&text, Format::NatsConf)?;
        check(&text, Format::Toml)?;
    }

    #[test]
    fn broken_documents_are_refused_inside_their_text(text in document(), cut in 0_usize..400, odd in "[{}\\[\\]=\"'#\n,$ ]{0,3}") {
        let cut = text.char_indices().map(|(at, _)| at).take(cut).last().unwrap_or_default();
        let (head, tail) = text.split_at(cut);
        let text = format!("{head}{odd}{tail}");
        check(&text, Format::NatsConf)?;
        check(&text, Format::Toml)?;
    }
}
