//! How log lines look.

use crate::report::Report;
use crate::section::{ConfigValue, Field, FromDefault};
use crate::shape::Shape;

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// The reference's lines (CORE-138).
    #[default]
    Text,
    /// One JSON object a line, for programs that collect logs.
    Json,
}

impl LogFormat {
    /// By its name in a configuration or on the command line, in any case.
    pub fn named(name: &str) -> Option<Self> {
        match name.to_ascii_lowercase().as_str() {
            "text" => Some(Self::Text),
            "json" => Some(Self::Json),
            _ => None,
        }
    }
}

impl ConfigValue for LogFormat {
    const KIND: &'static str = "`text` or `json`";
    const SHAPE: Shape = Shape::Enum(&["text", "json"]);
    const ABSENT: &'static str = "text";

    fn from_field(field: &Field<'_>, report: &mut Report) -> Option<Self> {
        let Some(name) = field.node.value.as_str() else {
            return field.wrong_type("string", report);
        };
        match Self::named(name) {
            Some(format) => Some(format),
            None => {
                report
                    .error(
                        field.pos,
                        field.key,
                        format!("unknown log format {}", crate::text::quote(name)),
                    )
                    .remedy("text or json");
                None
            }
        }
    }
}

impl FromDefault for LogFormat {
    fn from_default(text: &'static str) -> Self {
        Self::named(text).unwrap_or_default()
    }
}
