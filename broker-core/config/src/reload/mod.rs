//! What a reload would change: two configurations compared, key by key, as plain data.
//!
//! Decides nothing about connections and logs nothing. What may change while the broker runs, and which line says so,
//! stands next to each key's definition (`#[config(reload = ..)]`); here are the order in which the reference goes
//! through its options, and the few keys whose answer depends on the values. Secrets are never shown.
//! Rules: CORE-132 to CORE-134.

mod shown;

#[cfg(test)]
mod tests;

use std::any::Any;
use std::fmt;
use std::time::Duration;

use crate::options::{Authorization, Config, HandshakeFirst, TlsOptions, User};
use crate::section::{ConfigSection, KeySpec};
use crate::text::quote;

use shown::shown;

/// Every key whose values differ, with both; derived with `#[config(compare)]`.
pub trait Compare {
    /// Calls `visit` for each key that `new` would change, in the order of the fields.
    fn compare(&self, new: &Self, visit: Visit<'_>);
}

/// Gets a key, its old and its new value.
pub type Visit<'a> = &'a mut dyn FnMut(&'static KeySpec, &dyn Any, &dyn Any);

/// What separates two configurations, in the order in which the reference would apply it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// One entry a key; empty when nothing differs.
    pub changes: Vec<Change>,
}

/// One key with two values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The key, with its section before a dot: `authorization.timeout`.
    pub key: String,
    /// The value in force, as the reference prints it; `[REDACTED]` for secrets, names for users and accounts.
    pub old: String,
    /// The value to come, likewise.
    pub new: String,
    /// Whether it takes effect without a restart.
    pub effect: Effect,
    /// The line that the log gets: of the change, or of its refusal.
    line: String,
}

/// What becomes of a change at a reload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It takes effect at once.
    Live,
    /// It needs a restart: a reload is refused as a whole.
    Restart,
    /// The value can never be taken: a reload is refused as a whole.
    Invalid,
}

/// One step of a reload that is taken over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step<'a> {
    /// The change that it makes; `None` where the log has a line all the same.
    pub change: Option<&'a Change>,
    /// The lines that the log gets once it is made, by newlines; empty for none.
    pub line: &'a str,
    place: usize,
}

/// Why a configuration cannot be taken over; `Display` is the reference's text (CORE-132).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotReloadable(String);

/// Keys in the order of the reference's options: its lines come in this order, and its first refusal counts. Keys that
/// are missing here, as those of plugins, come last.
const ORDER: &[&str] = &[
    "server_name",
    "host",
    "port",
    "client_advertise",
    "trace",
    "debug",
    "trace_verbose",
    "trace_headers",
    "disable_sublist_cache",
    "no_header_support",
    "logtime",
    "logtime_utc",
    "max_connections",
    "max_pending_logins",
    "max_subscriptions",
    "max_sub_tokens",
    "users.nkey",
    "authorization.users",
    "authorization.default_permissions",
    "accounts",
    "mappings",
    "no_auth_user",
    "default_sentinel",
    "system_account",
    "no_system_account",
    "authorization.user",
    "authorization.pass",
    "authorization.proxy_required",
    "proxy_protocol",
    "authorization.token",
    "authorization.auth_callout",
    "ping_interval",
    "ping_max",
    "http",
    "http_port",
    "http_base_path",
    "https",
    "https_port",
    "authorization.timeout",
    "max_control_line",
    "max_payload",
    "max_pending",
    "no_fast_producer_stall",
    "cluster",
    "gateway",
    "leafnodes",
    "jetstream",
    "store_dir",
    "websocket",
    "mqtt",
    "prof_port",
    "prof_block_rate",
    "pid_file",
    "ports_file_dir",
    "log_file",
    "log_size_limit",
    "log_max_num",
    "log_format",
    "syslog",
    "remote_syslog",
    "tls.timeout",
    "tls.verify_and_map",
    "tls",
    "tls.pinned_certs",
    "tls.connection_rate_limit",
    "tls.handshake_first",
    "allow_non_tls",
    "write_deadline",
    "write_timeout",
    "max_closed_clients",
    "lame_duck_duration",
    "lame_duck_grace_period",
    "max_traced_msg_len",
    "trusted_keys",
    "operator",
    "resolver",
    "resolver_tls",
    "connect_error_reports",
    "reconnect_error_reports",
    "server_tags",
    "server_metadata",
    "feature_flags",
    "ocsp",
    "proxies",
    "ocsp_cache",
];

/// How long a TLS handshake may take where the configuration does not say (AUTH-304).
const TLS_TIMEOUT: Duration = Duration::from_secs(2);

/// Lines of keys that the reference never compares: it reads them anew at every reload, and says so.
const ALWAYS: [(&str, &str); 2] = [
    ("authorization.users", "Reloaded: authorization users"),
    ("accounts", "Reloaded: accounts"),
];

impl Plan {
    /// What `new` would change of `old`. Both must have their flags applied and be valid. A port of -1 in `new` means
    /// the port in use.
    pub fn between(old: &Config, new: &Config) -> Self {
        let mut changes = Vec::new();
        old.compare(new, &mut |key, before, after| match key.name {
            // Host and port say the same.
            "listen" => {}
            "port" if new.port == -1 => {}
            "authorization" | "tls" => {}
            name => changes.push(Change::of(name.to_owned(), key, before, after, old, new)),
        });
        compare_authorization(old, new, &mut changes);
        compare_tls(old, new, &mut changes);
        changes.sort_by_key(|change| place(&change.key));
        Self { changes }
    }

    /// Whether nothing differs.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// Whether a running broker can take it over.
    ///
    /// # Errors
    /// The first key that it cannot change, in the reference's order.
    pub fn check(&self) -> Result<(), NotReloadable> {
        match self.changes.iter().find(|change| change.effect != Effect::Live) {
            Some(change) => Err(NotReloadable(change.line.clone())),
            None => Ok(()),
        }
    }

    /// Whether `key` changes; a section counts when one of its keys does.
    pub fn has(&self, key: &str) -> bool {
        self.changes.iter().any(|change| {
            let rest = change.key.strip_prefix(key);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        })
    }

    /// The steps of a reload that is taken over, in the reference's order. Users and accounts are read anew every time,
    /// so their lines are there without a change.
    pub fn steps(&self) -> Vec<Step<'_>> {
        let mut steps: Vec<Step<'_>> = Vec::new();
        for step in self.changes.iter().map(Step::of) {
            // Keys that share a line, as those of `tls`, have it once.
            let is_told = steps.last().is_some_and(|last| last.line == step.line);
            let line = if is_told { "" } else { step.line };
            steps.push(Step { line, ..step });
        }
        for (key, line) in ALWAYS {
            if !steps.iter().any(|step| step.line == line) {
                let at = steps.partition_point(|step| step.place < place(key));
                let change = None;
                let place = place(key);
                steps.insert(at, Step { change, line, place });
            }
        }
        steps
    }
}

impl<'a> Step<'a> {
    fn of(change: &'a Change) -> Self {
        Self {
            change: Some(change),
            line: &change.line,
            place: place(&change.key),
        }
    }
}

/// `live      max_payload: 1048576 -> 100`, without secrets.
impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let effect = match self.effect {
            Effect::Live => "live",
            Effect::Restart => "restart",
            Effect::Invalid => "invalid",
        };
        write!(f, "{effect:<9} {}: {} -> {}", self.key, self.old, self.new)
    }
}

impl Change {
    fn of(
        name: String,
        key: &KeySpec,
        before: &dyn Any,
        after: &dyn Any,
        old: &Config,
        new: &Config,
    ) -> Self {
        let show = |value| {
            if key.secret {
                "[REDACTED]".to_owned()
            } else {
                shown(value)
            }
        };
        let (before, after) = (show(before), show(after));
        let (effect, line) = match special(&name, old, new) {
            Some(special) => special,
            None if key.reloadable => {
                let line = key.reload_line.replace("{new}", &after);
                (Effect::Live, format!("Reloaded: {line}"))
            }
            None => (Effect::Restart, String::new()),
        };
        let line = match effect {
            Effect::Restart => {
                let option = key.option;
                format!("config reload not supported for {option}: old={before}, new={after}")
            }
            Effect::Live | Effect::Invalid => line,
        };
        Self {
            key: name,
            old: before,
            new: after,
            effect,
            line,
        }
    }
}

/// The keys of `authorization` are options of their own.
fn compare_authorization(old: &Config, new: &Config, changes: &mut Vec<Change>) {
    let default = Authorization::defaults();
    let before = old.authorization.as_ref().unwrap_or(&default);
    let after = new.authorization.as_ref().unwrap_or(&default);
    before.compare(after, &mut |key, was, will_be| {
        if key.name != "timeout" {
            let name = format!("authorization.{}", key.name);
            changes.push(Change::of(name, key, was, will_be, old, new));
        }
    });
    compare_times(old, new, changes);
    let nkeys = |config: &Config| -> Vec<User> {
        let users = config.users().filter(|(_, user)| user.nkey.is_some());
        users.map(|(_, user)| user.clone()).collect()
    };
    let (before, after) = (nkeys(old), nkeys(new));
    if before != after {
        changes.push(Change {
            key: "users.nkey".to_owned(),
            old: shown(&Some(before)),
            new: shown(&Some(after)),
            effect: Effect::Live,
            line: "Reloaded: authorization nkey users".to_owned(),
        });
    }
}

/// Times to log in and to shake hands, as they are in force: their defaults depend on other keys.
fn compare_times(old: &Config, new: &Config, changes: &mut Vec<Change>) {
    let login = |config: &Config| config.auth_timeout();
    let handshake = |config: &Config| {
        config
            .tls
            .as_ref()
            .and_then(|tls| tls.timeout)
            .unwrap_or(TLS_TIMEOUT)
    };
    let times = [
        (
            "authorization.timeout",
            "authorization timeout",
            login(old),
            login(new),
        ),
        ("tls.timeout", "tls timeout", handshake(old), handshake(new)),
    ];
    for (key, words, before, after) in times {
        if before != after {
            changes.push(Change {
                key: key.to_owned(),
                old: shown(&before),
                new: shown(&after),
                effect: Effect::Live,
                line: format!("Reloaded: {words} = {}", after.as_secs_f64()),
            });
        }
    }
}

/// The keys of `tls` too; nearly all of them make one new set-up together.
fn compare_tls(old: &Config, new: &Config, changes: &mut Vec<Change>) {
    let default = TlsOptions::defaults();
    let before = old.tls.as_ref().unwrap_or(&default);
    let after = new.tls.as_ref().unwrap_or(&default);
    before.compare(after, &mut |key, was, will_be| {
        if key.name != "timeout" {
            let name = format!("tls.{}", key.name);
            changes.push(Change::of(name, key, was, will_be, old, new));
        }
    });
}

/// Keys whose effect depends on their values.
fn special(key: &str, old: &Config, new: &Config) -> Option<(Effect, String)> {
    match key {
        // The stand-in may go, unless the user stays: nobody could then tell whether that was meant.
        "no_auth_user" => {
            let name = old.no_auth_user.as_deref().unwrap_or_default();
            let is_removed = !name.is_empty() && new.no_auth_user.as_deref().unwrap_or_default().is_empty();
            let stays = new.users().any(|(_, user)| user.user == name);
            (is_removed && !stays).then(|| (Effect::Live, String::new()))
        }
        // To give the default its name, or to take it away again, changes nothing.
        "system_account" => {
            (old.system_account_name() == new.system_account_name()).then(|| (Effect::Live, String::new()))
        }
        // A broker that has no pid file any more leaves the old one where it is.
        "pid_file" if new.pid_file.as_deref().unwrap_or_default().is_empty() => {
            Some((Effect::Live, String::new()))
        }
        "client_advertise" => {
            let address = new.client_advertise.as_deref().unwrap_or_default();
            let line = match check_host_port(address) {
                Ok(()) => return Some((Effect::Live, format!("Reload: client_advertise = {address}"))),
                Err(reason) => format!("invalid ClientAdvertise value of {address}, err={reason}"),
            };
            Some((Effect::Invalid, line))
        }
        "max_connections" => {
            // The reference keeps "none at all" as -1.
            let limit = i64::from(new.max_connections);
            let limit = if limit == 0 { -1 } else { limit };
            Some((Effect::Live, format!("Reloaded: max_connections = {limit}")))
        }
        "tls.pinned_certs" => {
            let count = new.tls.as_ref().map_or(0, |tls| tls.pinned_certs.len());
            Some((Effect::Live, format!("Reloaded: {count} pinned_certs")))
        }
        "tls.handshake_first" => Some((Effect::Live, handshake_lines(old, new))),
        "tls.verify_and_map" | "tls.connection_rate_limit" => None,
        tls if tls.starts_with("tls.") => {
            let state = if new.tls.is_some() { "enabled" } else { "disabled" };
            Some((Effect::Live, format!("Reloaded: tls = {state}")))
        }
        "no_fast_producer_stall" => {
            let not = if new.no_fast_producer_stall { "not " } else { "" };
            Some((
                Effect::Live,
                format!("Reloaded: fast producers will {not}be stalled"),
            ))
        }
        "plugins" => special_plugins(old, new),
        _ => None,
    }
}

/// The handshake before INFO is two options to the reference: whether, and after which wait.
fn handshake_lines(old: &Config, new: &Config) -> String {
    let parts = |config: &Config| match config.tls.as_ref().map(|tls| tls.handshake_first) {
        None | Some(HandshakeFirst::Never) => (false, Duration::ZERO),
        Some(HandshakeFirst::Always) => (true, Duration::ZERO),
        Some(HandshakeFirst::Fallback(delay)) => (true, delay),
    };
    let ((was_first, was_delay), (is_first, delay)) = (parts(old), parts(new));
    let mut lines = Vec::new();
    if was_first != is_first {
        lines.push(format!("Reloaded: Client TLS handshake first: {is_first}"));
    }
    if was_delay != delay {
        let delay = shown(&delay);
        lines.push(format!(
            "Reloaded: Client TLS handshake first fallback delay: {delay}"
        ));
    }
    lines.join("\n")
}

/// Options of auth providers may change, since a reload makes the provider anew; those of others may not.
fn special_plugins(old: &Config, new: &Config) -> Option<(Effect, String)> {
    let others = |config: &Config| -> Vec<_> {
        let kept = config.plugins.iter().filter(|plugin| plugin.kind.key() != "auth");
        kept.cloned().collect()
    };
    (others(old) == others(new)).then(|| (Effect::Live, "Reloaded: plugins.auth".to_owned()))
}

/// What Go's reading of `host:port` says about an address; nothing is fine too, and the port may be missing.
fn check_host_port(address: &str) -> Result<(), String> {
    let address = address.trim();
    let Some((_, port)) = address.rsplit_once(':') else {
        return Ok(());
    };
    let port = port.trim();
    let digits = port.strip_prefix(['-', '+']).unwrap_or(port);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(format!("strconv.Atoi: parsing {}: invalid syntax", quote(port)));
    }
    match port.parse::<i64>() {
        Ok(_) => Ok(()),
        Err(_) => Err(format!(
            "strconv.Atoi: parsing {}: value out of range",
            quote(port)
        )),
    }
}

fn place(key: &str) -> usize {
    ORDER
        .iter()
        .position(|known| *known == key)
        .unwrap_or(ORDER.len())
}
