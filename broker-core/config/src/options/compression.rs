//! `compression` of routes and leafnodes (NET 1.5).

use std::fmt;
use std::time::Duration;

use super::validate::ConfigError;
use crate::ConfigSection;
use crate::report::Report;
use crate::section::{Field, read_section};
use crate::shape::Shape;
use crate::text::{parse_duration, print_duration, quote};
use crate::value::Value;

/// What the file asks for; the mode is checked at start, not by `-t` (CORE-127).
#[derive(Clone, Debug, Default, ConfigSection)]
pub struct Compression {
    /// How to compress; see [`CompressionMode`].
    #[config(values = ["not_supported", "off", "accept", "on", "s2_auto", "s2_fast", "s2_better", "s2_best"],
             spec = "CORE section 15", reload)]
    pub mode: String,
    /// Round-trip times from which `s2_auto` compresses fast, better and best; 0 leaves a level out.
    #[config(with = thresholds, kind = "array of durations", shape = Shape::List(&Shape::Duration),
             default_doc = "10ms, 50ms, 100ms", alias = ["thresholds", "rtts", "rtt"], spec = "CORE section 15", reload)]
    pub rtt_thresholds: Vec<Duration>,
}

/// How a connection between servers is compressed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CompressionMode {
    /// As if this server did not know compression.
    NotSupported,
    /// Never.
    Off,
    /// If the other side asks.
    Accept,
    /// By the round-trip time, with these thresholds.
    S2Auto(Vec<Duration>),
    /// Fast.
    S2Fast,
    /// Better.
    S2Better,
    /// Best.
    S2Best,
}

/// Thresholds of `s2_auto` where the file gives none.
const THRESHOLDS: [Duration; 3] = [
    Duration::from_millis(10),
    Duration::from_millis(50),
    Duration::from_millis(100),
];

/// A bool, a mode, or a table.
pub(super) const SHAPE: Shape = Shape::AnyOf(&[
    Shape::Bool,
    Shape::Enum(&[
        "not_supported",
        "off",
        "accept",
        "on",
        "s2_auto",
        "s2_fast",
        "s2_better",
        "s2_best",
    ]),
    Shape::table::<Compression>(),
]);

/// Absent thresholds of `s2_auto` equal the default ones; for a reload nothing has changed then.
impl PartialEq for Compression {
    fn eq(&self, other: &Self) -> bool {
        let thresholds = |compression: &Self| -> Vec<Duration> {
            let given = &compression.rtt_thresholds;
            let is_auto = ["auto", "s2_auto"]
                .iter()
                .any(|mode| mode.eq_ignore_ascii_case(&compression.mode));
            if given.is_empty() && is_auto {
                THRESHOLDS.to_vec()
            } else {
                given.clone()
            }
        };
        self.mode == other.mode && thresholds(self) == thresholds(other)
    }
}

impl Compression {
    /// The mode that is meant; `on` stands for "on" and "true", absent is `None`.
    pub fn chosen(&self, on: CompressionMode) -> Result<Option<CompressionMode>, ConfigError> {
        Ok(Some(match self.mode.to_lowercase().as_str() {
            "" => return Ok(None),
            "on" | "enabled" | "true" => match on {
                CompressionMode::S2Auto(_) => CompressionMode::S2Auto(self.thresholds()?),
                other => other,
            },
            "not supported" | "not_supported" => CompressionMode::NotSupported,
            "disabled" | "off" | "false" => CompressionMode::Off,
            "accept" => CompressionMode::Accept,
            "auto" | "s2_auto" => CompressionMode::S2Auto(self.thresholds()?),
            "fast" | "s2_fast" => CompressionMode::S2Fast,
            "better" | "s2_better" => CompressionMode::S2Better,
            "best" | "s2_best" => CompressionMode::S2Best,
            _ => {
                let reason = format!("unsupported compression mode {}", quote(&self.mode));
                return Err(ConfigError::Block(reason));
            }
        }))
    }

    fn thresholds(&self) -> Result<Vec<Duration>, ConfigError> {
        let given = &self.rtt_thresholds;
        if given.is_empty() {
            return Ok(THRESHOLDS.to_vec());
        }
        let mut highest = Duration::ZERO;
        for threshold in given.iter().filter(|threshold| !threshold.is_zero()) {
            if *threshold < highest {
                return Err(ConfigError::Block(format!(
                    "RTT threshold values {} should be in ascending order",
                    Shown(given)
                )));
            }
            highest = *threshold;
        }
        let used = given.iter().rposition(|threshold| !threshold.is_zero());
        let kept: Vec<Duration> = given.iter().take(used.map_or(0, |at| at + 1)).copied().collect();
        let mode = quote(&self.mode);
        match kept.len() {
            0 => Err(ConfigError::Block(format!(
                "compression mode {mode} requires at least one RTT threshold"
            ))),
            1..=4 => Ok(kept),
            _ => Err(ConfigError::Block(format!(
                "compression mode {mode} should have no more than 4 RTT thresholds: {}",
                Shown(given)
            ))),
        }
    }
}

/// Durations in the reference's print of a list.
struct Shown<'a>(&'a [Duration]);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let texts: Vec<String> = self
            .0
            .iter()
            .map(|duration| print_duration(i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)))
            .collect();
        write!(f, "[{}]", texts.join(" "))
    }
}

/// Reads `compression`: a bool, a mode or a table.
pub(super) fn compression(field: &Field<'_>, report: &mut Report) -> Option<Compression> {
    let mode = |mode: &str| {
        Some(Compression {
            mode: mode.to_owned(),
            rtt_thresholds: Vec::new(),
        })
    };
    match &field.node.value {
        Value::String(text) => mode(text),
        Value::Bool(true) => mode("on"),
        Value::Bool(false) => mode("off"),
        Value::Table(_) => read_section(field, report),
        other => {
            let (key, got) = (quote(field.key), other.type_name());
            field.error(
                format!("field {key} should be a boolean or a structure, got {got}"),
                report,
            )
        }
    }
}

/// Negative thresholds are 0.
fn thresholds(field: &Field<'_>, report: &mut Report) -> Option<Vec<Duration>> {
    let Some(elements) = field.elements() else {
        return field.wrong_type("[]interface {}", report);
    };
    let read = elements.filter_map(|item| match item.node.value.as_str().map(parse_duration) {
        Some(Ok(nanoseconds)) => Some(Duration::from_nanos(
            u64::try_from(nanoseconds).unwrap_or_default(),
        )),
        Some(Err(reason)) => item.error(reason.to_string(), report),
        None => item.wrong_type("string", report),
    });
    Some(read.collect())
}
