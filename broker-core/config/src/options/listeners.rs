//! `websocket` and `mqtt`: the listeners of browsers and devices.
//!
//! Rules: the paragraph of CORE section 15; the tables of the MQTT and WebSocket sheet, A1 and C1. What needs more
//! than one key is checked at start ([`validate`](super::blocks)).

use std::collections::BTreeMap;
use std::time::Duration;

use super::readers;
use super::tls::{TlsOptions, client_tls};
use crate::ConfigSection;
use crate::convert::{ListenAddress, Secret, integer};
use crate::report::Report;
use crate::section::{Field, TableReader};
use crate::shape::Shape;
use crate::text::parse_duration;
use crate::value::Value;

/// NATS and MQTT over WebSocket.
#[derive(Clone, Debug, PartialEq, ConfigSection)]
#[config(after = WebsocketOptions::settle)]
pub struct WebsocketOptions {
    /// Host and port of the listener in one.
    #[config(spec = "CORE-126", example = "listen: \"0.0.0.0:8080\"")]
    pub listen: Option<ListenAddress>,
    /// Host of the listener.
    #[config(default = "0.0.0.0", alias = ["net"], spec = "WS C1")]
    pub host: String,
    /// Port of the listener; -1 asks for any free one, 0 is none.
    #[config(with = readers::port, default_doc = "0", spec = "WS C1", example = "port: 8080")]
    pub port: i32,
    /// `host:port` that is told to clients in place of the listener's own.
    #[config(spec = "WS C1")]
    pub advertise: String,
    /// Run without TLS, which is required otherwise.
    #[config(spec = "WS C1")]
    pub no_tls: bool,
    /// TLS of the listener.
    #[config(with = client_tls, spec = "AUTH-300", reload)]
    pub tls: Option<TlsOptions>,
    /// Accept only pages that come from this host and port.
    #[config(spec = "WS C2", reload)]
    pub same_origin: bool,
    /// Accept only pages that come from these origins.
    #[config(with = origins, kind = "string or array", shape = Shape::OneOrMany(&Shape::Text), default_doc = "all",
             alias = ["allowed_origin", "allow_origins", "allow_origin", "origins", "origin"], spec = "WS C2", reload,
             example = "allowed_origins: [\"https://example.com\"]")]
    pub allowed_origins: Vec<String>,
    /// How long the upgrade may take; whole seconds or a duration. Absent: for ever.
    #[config(with = handshake_timeout, kind = "seconds or duration", shape = Shape::Seconds, default_doc = "none",
             spec = "WS C1")]
    pub handshake_timeout: Option<Duration>,
    /// Compress frames for clients that ask for it.
    #[config(alias = ["compress"], spec = "WS C1")]
    pub compression: bool,
    /// Login of clients of this listener alone.
    #[config(alias = ["authentication"], spec = "WS C1", reload)]
    pub authorization: ListenerLogin,
    /// Cookie that holds the JWT.
    #[config(spec = "WS C2")]
    pub jwt_cookie: String,
    /// Cookie that holds the user name.
    #[config(spec = "WS C2")]
    pub user_cookie: String,
    /// Cookie that holds the password.
    #[config(spec = "WS C2")]
    pub pass_cookie: String,
    /// Cookie that holds the token.
    #[config(spec = "WS C2")]
    pub token_cookie: String,
    /// User whose rights a connection without credentials gets.
    #[config(spec = "AUTH-13")]
    pub no_auth_user: String,
    /// Headers of the answer to an upgrade.
    #[config(with = headers, spec = "WS C2")]
    pub headers: BTreeMap<String, String>,
    /// Time between pings to an idle connection.
    #[config(with = readers::optional_duration, default_doc = "the server's", spec = "WS C1", reload)]
    pub ping_interval: Option<Duration>,
}

/// MQTT.
#[derive(Clone, Debug, PartialEq, ConfigSection)]
#[config(after = MqttOptions::settle)]
pub struct MqttOptions {
    /// Host and port of the listener in one.
    #[config(spec = "CORE-126", example = "listen: \"0.0.0.0:1883\"")]
    pub listen: Option<ListenAddress>,
    /// Host of the listener.
    #[config(default = "0.0.0.0", alias = ["net"], spec = "MQTT A1")]
    pub host: String,
    /// Port of the listener; -1 asks for any free one, 0 is none.
    #[config(with = readers::port, default_doc = "0", spec = "MQTT A1", example = "port: 1883")]
    pub port: i32,
    /// TLS of the listener.
    #[config(with = client_tls, spec = "AUTH-300", reload)]
    pub tls: Option<TlsOptions>,
    /// Login of clients of this listener alone.
    #[config(alias = ["authentication"], spec = "MQTT A1", reload)]
    pub authorization: ListenerLogin,
    /// User whose rights a connection without credentials gets.
    #[config(spec = "AUTH-13")]
    pub no_auth_user: String,
    /// Time after which an unacknowledged message is sent again.
    #[config(default = "30s", with = positive_duration, alias = ["ackwait"], spec = "MQTT A1", reload)]
    pub ack_wait: Duration,
    /// How long a request to JetStream may take.
    #[config(default = "5s", with = positive_duration, alias = ["api_timeout"], spec = "MQTT A1")]
    pub js_api_timeout: Duration,
    /// Unacknowledged messages of one subscription, 0 to 65535.
    #[config(default = 1024, with = max_ack_pending, kind = "integer", alias = ["max_pending", "max_inflight"],
             spec = "MQTT A1", reload)]
    pub max_ack_pending: u16,
    /// JetStream domain that holds the sessions.
    #[config(spec = "MQTT A1")]
    pub js_domain: String,
    /// Replicas of the streams that hold sessions and messages.
    #[config(spec = "MQTT A1", default_doc = "by the size of the cluster", reload)]
    pub stream_replicas: i32,
    /// Ignored, with a warning, as in the reference.
    #[config(with = consumer_replicas, spec = "MQTT A1", reload)]
    pub consumer_replicas: i32,
    /// Keep consumers in memory.
    #[config(spec = "MQTT A1", reload)]
    pub consumer_memory_storage: bool,
    /// Time without use after which a consumer is removed.
    #[config(with = readers::optional_duration, default_doc = "never", alias = ["consumer_auto_cleanup"],
             spec = "MQTT A1", reload)]
    pub consumer_inactive_threshold: Option<Duration>,
    /// Close clients that publish with QoS 2.
    #[config(spec = "MQTT A1")]
    pub reject_qos2_publish: bool,
    /// Answer subscriptions with QoS 2 by QoS 1.
    #[config(spec = "MQTT A1")]
    pub downgrade_qos2_subscribe: bool,
}

/// What clients of one listener must present.
#[derive(Clone, Debug, Default, PartialEq, ConfigSection)]
pub struct ListenerLogin {
    /// User name.
    #[config(alias = ["username"], spec = "AUTH-5", reload)]
    pub user: String,
    /// Password: plain, or bcrypt.
    #[config(alias = ["password"], spec = "AUTH-10", reload, secret)]
    pub pass: Secret,
    /// Token: plain, or bcrypt.
    #[config(spec = "AUTH-10", reload, secret)]
    pub token: Secret,
    /// How long the login may take, in seconds.
    #[config(with = login_timeout, kind = "seconds", shape = Shape::Number, unit = "seconds", default_doc = "the server's",
             spec = "AUTH-11", reload)]
    pub timeout: Option<Duration>,
}

/// Reads `websocket`.
pub(super) fn websocket(field: &Field<'_>, report: &mut Report) -> Option<Option<WebsocketOptions>> {
    readers::block(field, "Expected websocket to be a map", report)
}

/// Reads `mqtt`.
pub(super) fn mqtt(field: &Field<'_>, report: &mut Report) -> Option<Option<MqttOptions>> {
    readers::block(field, "Expected mqtt to be a map", report)
}

impl Default for WebsocketOptions {
    fn default() -> Self {
        Self::defaults()
    }
}

impl WebsocketOptions {
    fn settle(&mut self, table: &TableReader<'_>, _report: &mut Report) {
        readers::settle_address(table, self.listen.as_ref(), &mut self.host, &mut self.port);
    }
}

impl Default for MqttOptions {
    fn default() -> Self {
        Self::defaults()
    }
}

impl MqttOptions {
    fn settle(&mut self, table: &TableReader<'_>, _report: &mut Report) {
        readers::settle_address(table, self.listen.as_ref(), &mut self.host, &mut self.port);
    }
}

fn origins(field: &Field<'_>, report: &mut Report) -> Option<Vec<String>> {
    readers::strings(field, "error parsing allowed origins", report)
}

fn handshake_timeout(field: &Field<'_>, report: &mut Report) -> Option<Option<Duration>> {
    let nanoseconds = match &field.node.value {
        Value::Integer(seconds) => seconds.saturating_mul(1_000_000_000),
        Value::String(text) => match parse_duration(text) {
            Ok(nanoseconds) => nanoseconds,
            Err(reason) => return field.error(reason.to_string(), report),
        },
        other => {
            let got = other.type_name();
            let reason = format!("error parsing handshake timeout: unsupported type {got}");
            return field.error(reason, report);
        }
    };
    let timeout = u64::try_from(nanoseconds).ok().map(Duration::from_nanos);
    Some(timeout.filter(|timeout| !timeout.is_zero()))
}

fn headers(field: &Field<'_>, report: &mut Report) -> Option<BTreeMap<String, String>> {
    let Value::Table(table) = &field.node.value else {
        let got = field.node.value.type_name();
        return field.error(format!("error parsing headers: unsupported type {got}"), report);
    };
    let read = table.iter().filter_map(|entry| match &entry.node.value {
        Value::String(text) => Some((entry.key.to_string(), text.clone())),
        other => {
            let (key, got) = (&entry.key, other.type_name());
            let reason = format!("error parsing header key {key}: unsupported type {got}");
            Field::of(entry).error(reason, report)
        }
    });
    Some(read.collect())
}

/// A duration; 0 is the default.
fn positive_duration(field: &Field<'_>, report: &mut Report) -> Option<Duration> {
    readers::duration(field, report)
}

fn max_ack_pending(field: &Field<'_>, report: &mut Report) -> Option<u16> {
    let value = integer(field, report)?;
    match u16::try_from(value) {
        Ok(0) => None, // The default.
        Ok(value) => Some(value),
        Err(_) => field.error(
            format!("invalid value {value}, should in [0..65535] range"),
            report,
        ),
    }
}

fn consumer_replicas(field: &Field<'_>, report: &mut Report) -> Option<i32> {
    let reason = "consumer replicas setting ignored in this server version";
    report.warning(field.pos, field.key, reason).remedy("remove it");
    None
}

/// Seconds; the reference takes a duration string here for one second, which nobody can mean.
fn login_timeout(field: &Field<'_>, report: &mut Report) -> Option<Option<Duration>> {
    if field.node.value.as_str().is_some() {
        report.notice(
            field.pos,
            field.key,
            "the reference takes a string for one second here; it is read as a duration",
        );
    }
    super::users::login_timeout(field, "error parsing authorization config, 'timeout'", report)
}
