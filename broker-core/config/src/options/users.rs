//! Users and the `authorization` block.
//!
//! Rules: AUTH-5 to AUTH-10, AUTH-18. Credentials are kept in [`Secret`] and compared elsewhere.

use std::fmt;
use std::time::Duration;

use super::callout::{AuthCallout, auth_callout};
use super::permissions::{Permissions, permissions};
use super::readers;
use crate::ConfigSection;
use crate::convert::{OneOrMany, Secret};
use crate::nkey;
use crate::report::Report;
use crate::section::{ConfigValue, Field, TableReader};
use crate::shape::Shape;
use crate::text::quote;
use crate::value::{Origin, Value};

/// Who may connect, when no account says so.
#[derive(Clone, Debug, PartialEq, ConfigSection)]
#[config(after = Authorization::settle, compare)]
pub struct Authorization {
    /// Name of the single user.
    #[config(alias = ["username"], spec = "AUTH-21", reload = "authorization username")]
    pub user: Option<String>,
    /// Password of the single user: plain, or bcrypt (`$2a$..`).
    #[config(alias = ["password"], spec = "AUTH-10", reload = "authorization password", secret)]
    pub pass: Secret,
    /// Token in place of users: plain, or bcrypt.
    #[config(spec = "AUTH-10", reload = "authorization token", secret)]
    pub token: Secret,
    /// How long a connection may take to log in: seconds, or a duration string.
    #[config(with = auth_timeout, shape = Shape::Seconds, kind = "seconds or duration", default_doc = "2s", spec = "AUTH-11", reload)]
    pub timeout: Option<Duration>,
    /// Several users, all in the global account. An empty list is as good as none: everybody may connect.
    #[config(with = users, kind = "array of users", spec = "AUTH-7", reload = "authorization users")]
    pub users: Option<Vec<User>>,
    /// Permissions of users without their own.
    #[config(with = permissions, kind = "table", alias = ["default_permission", "permissions"], spec = "AUTH-9", reload = "authorization users")]
    pub default_permissions: Option<Permissions>,
    /// Ask a service about each connection.
    #[config(with = auth_callout, refused, alias = ["auth_hook"], spec = "AUTH-1300")]
    pub auth_callout: Option<AuthCallout>,
    /// Accept the single user and the token only through a proxy of `proxies`; users have the key themselves.
    #[config(spec = "AUTH-1400", reload)]
    pub proxy_required: bool,
}

/// A user.
#[derive(Clone, Debug, PartialEq, ConfigSection)]
#[config(after = User::settle)]
pub struct User {
    /// Name; unique over the whole file.
    #[config(alias = ["username"], spec = "AUTH-7", reload)]
    pub user: String,
    /// Password: plain, or bcrypt (`$2a$..`).
    #[config(alias = ["password"], spec = "AUTH-10", reload, secret)]
    pub pass: Secret,
    /// Public nkey in place of name and password: the client signs a nonce with its seed.
    #[config(with = user_nkey, kind = "nkey", example = "nkey: UAT2BLVT73USGL4K6IQR7HXESHC3CC7MWVLDX7A6N6JUE7WLZD7CS7KG", spec = "AUTH-7", reload)]
    pub nkey: Option<String>,
    /// What the user may do; absent, the block's `default_permissions` apply.
    #[config(with = permissions, kind = "table", alias = ["permission", "authorization"], spec = "AUTH-9", reload)]
    pub permissions: Option<Permissions>,
    /// Kinds of connection that the user may open; empty for all. STANDARD, WEBSOCKET, LEAFNODE, LEAFNODE_WS,
    /// MQTT, MQTT_WS, IN_PROCESS.
    #[config(with = connection_types, kind = "string or array", shape = CONNECTION_TYPES, default_doc = "all",
             alias = ["connection_types", "clients"], spec = "AUTH-18", reload)]
    pub allowed_connection_types: Vec<ConnectionType>,
    /// Accept the user only through a proxy of `proxies`.
    #[config(spec = "AUTH-1400", reload)]
    pub proxy_required: bool,
    /// Where the name stands in the file.
    #[config(skip)]
    pub origin: Origin,
}

const CONNECTION_TYPES: Shape = Shape::OneOrMany(&Shape::Enum(&[
    "STANDARD",
    "WEBSOCKET",
    "LEAFNODE",
    "LEAFNODE_WS",
    "MQTT",
    "MQTT_WS",
    "IN_PROCESS",
]));

/// A kind of connection (AUTH-18).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectionType {
    /// NATS over TCP or TLS.
    Standard,
    /// NATS over WebSocket.
    Websocket,
    /// Leafnode.
    Leafnode,
    /// Leafnode over WebSocket.
    LeafnodeWs,
    /// MQTT.
    Mqtt,
    /// MQTT over WebSocket.
    MqttWs,
    /// Within the process.
    InProcess,
}

impl ConnectionType {
    /// By its upper-case name.
    fn by_name(name: &str) -> Option<Self> {
        Some(match name {
            "STANDARD" => Self::Standard,
            "WEBSOCKET" => Self::Websocket,
            "LEAFNODE" => Self::Leafnode,
            "LEAFNODE_WS" => Self::LeafnodeWs,
            "MQTT" => Self::Mqtt,
            "MQTT_WS" => Self::MqttWs,
            "IN_PROCESS" => Self::InProcess,
            _ => return None,
        })
    }
}

impl fmt::Display for ConnectionType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Standard => "STANDARD",
            Self::Websocket => "WEBSOCKET",
            Self::Leafnode => "LEAFNODE",
            Self::LeafnodeWs => "LEAFNODE_WS",
            Self::Mqtt => "MQTT",
            Self::MqttWs => "MQTT_WS",
            Self::InProcess => "IN_PROCESS",
        })
    }
}

impl User {
    /// What names the user: its nkey, else its name.
    pub fn identity(&self) -> &str {
        self.nkey.as_deref().unwrap_or(&self.user)
    }

    /// A user with name and password and no restriction.
    pub fn new(name: impl Into<String>, password: impl Into<String>) -> Self {
        Self {
            user: name.into(),
            pass: Secret::new(password),
            nkey: None,
            permissions: None,
            allowed_connection_types: Vec::new(),
            proxy_required: false,
            origin: Origin::default(),
        }
    }

    fn settle(&mut self, table: &TableReader<'_>, report: &mut Report) {
        let name = table.named(&["user", "username"]);
        let nkey = table.named(&["nkey"]);
        self.origin = name
            .or(nkey)
            .map_or(table.position(), |entry| &entry.key_pos)
            .into();
        match nkey {
            Some(entry) if !self.user.is_empty() || !self.pass.is_empty() => {
                let reason = "Nkey users do not take usernames or passwords";
                report
                    .error(&entry.key_pos, &entry.key, reason)
                    .remedy("keep the nkey, or user and pass");
            }
            Some(_) => {}
            // A name of the wrong type was reported already.
            None if self.user.is_empty() && name.is_none_or(|entry| entry.node.value.as_str().is_some()) => {
                report
                    .error(table.position(), "user", "User entry requires a user")
                    .remedy("add user: and pass:");
            }
            None => {}
        }
    }
}

impl Authorization {
    /// Users without permissions of their own get those of the block (AUTH-9).
    fn settle(&mut self, table: &TableReader<'_>, report: &mut Report) {
        self.user = self.user.take().filter(|name| !name.is_empty());
        if let Some(entry) = table.named(&["users"])
            && self.users.as_ref().is_some_and(Vec::is_empty)
            && entry.node.value.as_array().is_some_and(<[_]>::is_empty)
        {
            let text = "users is empty, which protects nothing";
            report
                .notice(&entry.key_pos, &entry.key, text)
                .remedy("add a user, or remove the key");
        }
        if let Some(users) = &mut self.users {
            apply_default_permissions(users, self.default_permissions.as_ref());
        }
    }
}

/// Fills in the permissions of users that have none.
pub(super) fn apply_default_permissions(users: &mut [User], default: Option<&Permissions>) {
    for user in users {
        if user.permissions.is_none() {
            user.permissions = default.cloned();
        }
    }
}

/// Reads a `users` array.
pub(super) fn users(field: &Field<'_>, report: &mut Report) -> Option<Option<Vec<User>>> {
    let Some(elements) = field.elements() else {
        let got = &field.node.value;
        return field.error(format!("Expected users field to be an array, got {got}"), report);
    };
    let users = elements.filter_map(|item| match item.node.value {
        Value::Table(_) => User::from_field(&item, report),
        ref got => item.error(
            format!("Expected user entry to be a map/struct, got {got}"),
            report,
        ),
    });
    Some(Some(users.collect()))
}

fn user_nkey(field: &Field<'_>, report: &mut Report) -> Option<Option<String>> {
    let key = String::from_field(field, report)?;
    if nkey::is_public(&key, nkey::Kind::User) {
        Some(Some(key))
    } else {
        field.error("Not a valid public nkey for a user", report)
    }
}

fn connection_types(field: &Field<'_>, report: &mut Report) -> Option<Vec<ConnectionType>> {
    let Some(names) = connection_type_names(field, report) else {
        let got = field.node.value.type_name();
        return field.error(
            format!("error parsing allowed connection types: unsupported type {got}"),
            report,
        );
    };
    let mut known = Vec::new();
    let mut unknown = Vec::new();
    for name in names {
        let name = name.to_uppercase();
        match ConnectionType::by_name(&name) {
            Some(kind) => known.push(kind),
            None => unknown.push(quote(&name)),
        }
    }
    if unknown.is_empty() {
        return Some(known);
    }
    report
        .error(
            field.pos,
            field.key,
            format!("invalid connection types [{}]", unknown.join(" ")),
        )
        .remedy("known are STANDARD, WEBSOCKET, LEAFNODE, LEAFNODE_WS, MQTT, MQTT_WS and IN_PROCESS");
    None
}

fn connection_type_names<'a>(field: &Field<'a>, report: &mut Report) -> Option<Vec<&'a str>> {
    if let Some(name) = field.node.value.as_str() {
        return Some(vec![name]);
    }
    let names = field.elements()?.filter_map(|item| {
        let name = item.node.value.as_str();
        if name.is_none() {
            let got = item.node.value.type_name();
            let reason = format!("error parsing allowed connection types: unsupported type in array {got}");
            report.error(item.pos, item.key, reason);
        }
        name
    });
    Some(names.collect())
}

/// Seconds, or a duration string; above a minute it warns (AUTH-5).
fn auth_timeout(field: &Field<'_>, report: &mut Report) -> Option<Option<Duration>> {
    login_timeout(field, "error parsing authorization config, 'timeout'", report)
}

/// The same in any block; errors begin with `prefix`. 0 is as good as absent.
pub(super) fn login_timeout(
    field: &Field<'_>,
    prefix: &str,
    report: &mut Report,
) -> Option<Option<Duration>> {
    let timeout = readers::seconds(field, prefix, report)?;
    let seconds = timeout.as_secs_f64();
    if seconds > 60.0 {
        let got = &field.node.value;
        let reason = format!(
            "timeout of {got} ({seconds:.6} seconds) is high, consider keeping it under 60 seconds. \
             possibly caused by unquoted duration; use '1m' instead of 1m, for example"
        );
        report.warning(field.pos, field.key, &reason);
    }
    Some(Some(timeout).filter(|timeout| !timeout.is_zero()))
}

/// The one or many strings under `server_tags`: lower case, trimmed, each once.
pub(super) fn server_tags(field: &Field<'_>, report: &mut Report) -> Option<Vec<String>> {
    let is_text = |value: &Value| matches!(value, Value::String(_));
    match (&field.node.value, field.elements()) {
        (Value::String(_), _) => {}
        (_, Some(mut elements)) => {
            if !elements.all(|item| is_text(&item.node.value)) {
                let reason = "error parsing tags: unsupported type *conf.token where string is expected";
                return field.error(reason, report);
            }
        }
        (other, None) => {
            let got = other.type_name();
            return field.error(format!("error parsing tags: unsupported type {got}"), report);
        }
    }
    let OneOrMany(given) = OneOrMany::<String>::from_field(field, report)?;
    let mut tags: Vec<String> = Vec::new();
    for tag in given {
        let tag = tag.trim().to_lowercase();
        if !tag.is_empty() && !tags.contains(&tag) {
            tags.push(tag);
        }
    }
    Some(tags)
}
