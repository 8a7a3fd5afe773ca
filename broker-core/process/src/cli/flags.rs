//! What the flags say, and Go's way of reading their values.

use std::slice::Iter;

use dunlin_config::{LogFormat, Secret};

use super::CliError;
use super::definition::{Put, flag};

/// What the flags say; `None` where a flag is absent, so that an explicit `false` or empty value is known (CORE-130).
/// Where a flag is repeated, the last one counts.
#[derive(Clone, Debug, Default, PartialEq)]
#[expect(missing_docs, reason = "each field is the flag of the same name")]
pub struct Flags {
    pub config: Option<String>,
    pub host: Option<String>,
    pub port: Option<i64>,
    pub name: Option<String>,
    pub client_advertise: Option<String>,
    pub pid_file: Option<String>,
    pub ports_file_dir: Option<String>,
    pub log_file: Option<String>,
    pub log_size_limit: Option<i64>,
    pub log_format: Option<String>,
    pub syslog: Option<bool>,
    pub remote_syslog: Option<String>,
    pub logtime: Option<bool>,
    pub logtime_utc: Option<bool>,
    pub max_traced_msg_len: Option<i64>,
    pub debug: Option<bool>,
    pub trace: Option<bool>,
    /// `-DV`
    pub debug_and_trace: Option<bool>,
    /// `-DVV`
    pub debug_and_verbose_trace: Option<bool>,
    /// `-VV`
    pub verbose_trace: Option<bool>,
    pub user: Option<String>,
    pub pass: Option<Secret>,
    pub auth: Option<Secret>,
    pub signal: Option<String>,
    pub test: bool,
    pub version: bool,
    pub help: bool,
    pub help_tls: bool,
    pub tls: Option<bool>,
    pub tlsverify: Option<bool>,
    pub tlscert: Option<String>,
    pub tlskey: Option<String>,
    pub tlscacert: Option<String>,
    pub http_port: Option<i64>,
    pub https_port: Option<i64>,
    pub profile: Option<i64>,
    pub jetstream: Option<bool>,
    pub store_dir: Option<String>,
    pub cluster: Option<String>,
    pub routes: Option<String>,
    pub cluster_name: Option<String>,
    pub cluster_advertise: Option<String>,
    pub no_advertise: Option<bool>,
    pub connect_retries: Option<i64>,
    /// Flags given that have no effect yet, and do no harm.
    pub without_effect: Vec<&'static str>,
}

impl Flags {
    /// Takes one flag, and its value from `rest` where it needs one.
    pub(super) fn set(
        &mut self,
        name: &str,
        value: Option<&str>,
        rest: &mut Iter<'_, String>,
    ) -> Result<(), CliError> {
        let flag = flag(name)?;
        let mut text = || {
            value
                .map(str::to_owned)
                .or_else(|| rest.next().cloned())
                .ok_or_else(|| CliError::MissingValue(name.to_owned()))
        };
        // `false` and an empty text ask for nothing that could lack its effect.
        let asks = match flag.put {
            Put::Bool(put) => {
                let on = boolean(name, value)?;
                put(self, on);
                on
            }
            Put::Int(put) => {
                put(self, integer(name, &text()?)?);
                true
            }
            Put::Text(put) => {
                let text = text()?;
                let asks = !text.is_empty();
                put(self, text);
                asks
            }
        };
        if flag.is_inert {
            self.without_effect.retain(|other| *other != flag.long_name());
            self.without_effect.extend(asks.then(|| flag.long_name()));
        }
        Ok(())
    }

    /// What keeps a broker from running with these flags.
    pub(super) fn check(&self) -> Result<(), CliError> {
        if let Some(name) = &self.log_format
            && LogFormat::named(name).is_none()
        {
            return Err(CliError::NoLogFormat(name.clone()));
        }
        let ports = [
            ("port", self.port),
            ("http_port", self.http_port),
            ("https_port", self.https_port),
            ("profile", self.profile),
        ];
        for (flag, port) in ports {
            if let Some(port) = port.filter(|port| !(-1..=65_535).contains(port)) {
                return Err(CliError::NoPort { flag, port });
            }
        }
        Ok(())
    }
}

/// Go's spellings; a flag alone is true.
fn boolean(flag: &str, value: Option<&str>) -> Result<bool, CliError> {
    match value {
        None | Some("1" | "t" | "T" | "true" | "TRUE" | "True") => Ok(true),
        Some("0" | "f" | "F" | "false" | "FALSE" | "False") => Ok(false),
        Some(value) => Err(CliError::BadBoolean {
            flag: flag.to_owned(),
            value: value.to_owned(),
        }),
    }
}

/// Go's integers: a sign, a base by its prefix, underscores between digits where there is a prefix or base 10.
fn integer(flag: &str, value: &str) -> Result<i64, CliError> {
    let error = |reason| CliError::BadValue {
        flag: flag.to_owned(),
        value: value.to_owned(),
        reason,
    };
    let (sign, unsigned) = match value.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, value.strip_prefix('+').unwrap_or(value)),
    };
    let (base, digits) = base_of(unsigned);
    if !are_digits(digits, base, digits.len() < unsigned.len()) {
        return Err(error("parse error"));
    }
    let mut number: i64 = 0;
    for digit in digits.chars().filter_map(|digit| digit.to_digit(base)) {
        number = number
            .checked_mul(i64::from(base))
            .and_then(|number| number.checked_add(sign * i64::from(digit)))
            .ok_or_else(|| error("value out of range"))?;
    }
    Ok(number)
}

/// The base and what follows its prefix.
fn base_of(text: &str) -> (u32, &str) {
    let Some(rest) = text.strip_prefix('0').filter(|rest| !rest.is_empty()) else {
        return (10, text);
    };
    for (prefixes, base) in [(['x', 'X'], 16), (['o', 'O'], 8), (['b', 'B'], 2)] {
        if let Some(digits) = rest.strip_prefix(prefixes) {
            return (base, digits);
        }
    }
    (8, rest)
}

/// Digits of `base`, each underscore between two of them; after a prefix one may stand at the front.
fn are_digits(text: &str, base: u32, is_prefixed: bool) -> bool {
    let text = match text.strip_prefix('_') {
        Some(rest) if is_prefixed => rest,
        _ => text,
    };
    text.split('_')
        .all(|part| !part.is_empty() && part.chars().all(|digit| digit.is_digit(base)))
}
