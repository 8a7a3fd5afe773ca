//! The table of flags, and Go's way of reading their values.

use std::slice::Iter;

use dunlin_config::{LogFormat, Secret};

use super::CliError;

/// What the flags say; `None` where a flag is absent, so that an explicit `false` or empty value is known (CORE-130).
/// Where a flag is repeated, the last one counts.
#[derive(Clone, Debug, Default, PartialEq)]
#[expect(missing_docs, reason = "each field is the flag of the same name; see USAGE")]
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
    /// Flags given whose feature this version lacks, and whose neglect would change what the broker does.
    pub unavailable: Vec<(&'static str, &'static str)>,
    /// Flags given that have no effect yet, and do no harm.
    pub without_effect: Vec<&'static str>,
}

/// How a flag reads its value, and where it puts it.
enum Slot {
    Bool(fn(&mut Flags, bool)),
    Int(fn(&mut Flags, i64)),
    Text(fn(&mut Flags, String)),
}

impl Flags {
    /// Takes one flag, and its value from `rest` where it needs one.
    pub(super) fn set(
        &mut self,
        name: &str,
        value: Option<&str>,
        rest: &mut Iter<'_, String>,
    ) -> Result<(), CliError> {
        let slot = available(name)
            .or_else(|| without_feature(name))
            .or_else(|| without_effect(name))
            .ok_or_else(|| CliError::UnknownFlag(name.to_owned()))?;
        let mut text = || {
            value
                .map(str::to_owned)
                .or_else(|| rest.next().cloned())
                .ok_or_else(|| CliError::MissingValue(name.to_owned()))
        };
        match slot {
            Slot::Bool(put) => put(self, boolean(name, value)?),
            Slot::Int(put) => put(self, integer(name, &text()?)?),
            Slot::Text(put) => put(self, text()?),
        }
        Ok(())
    }

    /// What keeps a broker from running with these flags.
    pub(super) fn check(&self) -> Result<(), CliError> {
        if let Some(&(flag, feature)) = self.unavailable.first() {
            return Err(CliError::NotAvailable { flag, feature });
        }
        if let Some(name) = &self.log_format
            && LogFormat::named(name).is_none()
        {
            return Err(CliError::NoLogFormat(name.clone()));
        }
        match self.port {
            Some(port) if !(-1..=65_535).contains(&port) => Err(CliError::NoPort(port)),
            _ => Ok(()),
        }
    }

    /// Notes whether a flag asks for a feature that is not there; `false` and empty values ask for nothing.
    fn ask(&mut self, flag: &'static str, feature: &'static str, is_wanted: bool) {
        self.unavailable.retain(|(other, _)| *other != flag);
        if is_wanted {
            self.unavailable.push((flag, feature));
        }
    }

    fn ignore(&mut self, flag: &'static str) {
        if !self.without_effect.contains(&flag) {
            self.without_effect.push(flag);
        }
    }
}

/// The flags that work.
fn available(name: &str) -> Option<Slot> {
    use Slot::{Bool, Int, Text};
    Some(match name {
        "a" | "addr" | "net" => Text(|flags, host| flags.host = Some(host)),
        "p" | "port" => Int(|flags, port| flags.port = Some(port)),
        "n" | "name" | "server_name" => Text(|flags, name| flags.name = Some(name)),
        "client_advertise" => Text(|flags, address| flags.client_advertise = Some(address)),
        "P" | "pid" => Text(|flags, path| flags.pid_file = Some(path)),
        "ports_file_dir" => Text(|flags, path| flags.ports_file_dir = Some(path)),
        "c" | "config" => Text(|flags, path| flags.config = Some(path).filter(|path| !path.is_empty())),
        "t" => Bool(|flags, on| flags.test = on),
        "sl" | "signal" => Text(|flags, signal| flags.signal = Some(signal)),
        "l" | "log" => Text(|flags, path| flags.log_file = Some(path)),
        "log_size_limit" => Int(|flags, bytes| flags.log_size_limit = Some(bytes)),
        "log_format" => Text(|flags, name| flags.log_format = Some(name)),
        "s" | "syslog" => Bool(|flags, on| flags.syslog = Some(on)),
        "r" | "remote_syslog" => Text(|flags, url| flags.remote_syslog = Some(url)),
        "T" | "logtime" => Bool(|flags, on| flags.logtime = Some(on)),
        "logtime_utc" => Bool(|flags, on| flags.logtime_utc = Some(on)),
        "max_traced_msg_len" => Int(|flags, bytes| flags.max_traced_msg_len = Some(bytes)),
        "D" | "debug" => Bool(|flags, on| flags.debug = Some(on)),
        "V" | "trace" => Bool(|flags, on| flags.trace = Some(on)),
        "VV" => Bool(|flags, on| flags.verbose_trace = Some(on)),
        "DV" => Bool(|flags, on| flags.debug_and_trace = Some(on)),
        "DVV" => Bool(|flags, on| flags.debug_and_verbose_trace = Some(on)),
        "user" => Text(|flags, name| flags.user = Some(name)),
        "pass" => Text(|flags, password| flags.pass = Some(Secret::new(password))),
        "auth" => Text(|flags, token| flags.auth = Some(Secret::new(token))),
        "v" | "version" => Bool(|flags, on| flags.version = on),
        "h" | "help" => Bool(|flags, on| flags.help = on),
        "help_tls" => Bool(|flags, on| flags.help_tls = on),
        _ => return None,
    })
}

/// Flags whose neglect would change what the broker does: it does not run with them.
fn without_feature(name: &str) -> Option<Slot> {
    use Slot::{Bool, Text};
    Some(match name {
        "js" | "jetstream" => Bool(|flags, on| flags.ask("jetstream", "JetStream", on)),
        "tls" => Bool(|flags, on| flags.ask("tls", "TLS", on)),
        "tlsverify" => Bool(|flags, on| flags.ask("tlsverify", "TLS", on)),
        "tlscert" => Text(|flags, path| flags.ask("tlscert", "TLS", !path.is_empty())),
        "tlskey" => Text(|flags, path| flags.ask("tlskey", "TLS", !path.is_empty())),
        "tlscacert" => Text(|flags, path| flags.ask("tlscacert", "TLS", !path.is_empty())),
        "routes" => Text(|flags, urls| flags.ask("routes", "clustering", !urls.is_empty())),
        "cluster" | "cluster_listen" => {
            Text(|flags, url| flags.ask("cluster", "clustering", !url.is_empty()))
        }
        _ => return None,
    })
}

/// Flags without effect yet that do no harm.
fn without_effect(name: &str) -> Option<Slot> {
    use Slot::{Bool, Int, Text};
    Some(match name {
        "m" | "http_port" => Int(|flags, _| flags.ignore("http_port")),
        "ms" | "https_port" => Int(|flags, _| flags.ignore("https_port")),
        "profile" => Int(|flags, _| flags.ignore("profile")),
        "sd" | "store_dir" => Text(|flags, _| flags.ignore("store_dir")),
        "cluster_name" => Text(|flags, _| flags.ignore("cluster_name")),
        "cluster_advertise" => Text(|flags, _| flags.ignore("cluster_advertise")),
        "no_advertise" => Bool(|flags, _| flags.ignore("no_advertise")),
        "connect_retries" => Int(|flags, _| flags.ignore("connect_retries")),
        _ => return None,
    })
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
