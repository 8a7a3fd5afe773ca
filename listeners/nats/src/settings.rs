//! What the listener takes from the configuration.

use std::sync::Arc;
use std::time::Duration;

use dunlin_api::Endpoint;
use dunlin_api::config::{Config, WriteTimeout};
use dunlin_net::host_and_port;
use dunlin_net::output::OutputLimits;

/// Settings of one connection, read when it is accepted.
pub(crate) struct Settings {
    pub(crate) control_line: usize,
    pub(crate) headers: bool,
    pub(crate) ping_interval: Duration,
    pub(crate) ping_max: u32,
    pub(crate) auth_timeout: Duration,
    pub(crate) output: OutputLimits,
    pub(crate) max_payload: i64,
    pub(crate) proxy_protocol: bool,
    pub(crate) pending_logins: usize,
}

impl Settings {
    pub(crate) fn of(config: &Config) -> Self {
        Self {
            control_line: to_usize(config.max_control_line),
            headers: !config.no_header_support,
            ping_interval: config.ping_interval,
            ping_max: config.ping_max,
            auth_timeout: config.auth_timeout(),
            output: OutputLimits {
                max_pending: to_usize(config.max_pending),
                write_deadline: config.write_deadline,
                retries: config.write_timeout == WriteTimeout::Retry,
            },
            max_payload: i64::from(config.max_payload),
            proxy_protocol: config.proxy_protocol,
            pending_logins: to_usize(config.pending_logins()),
        }
    }
}

/// Where clients are awaited.
pub(crate) fn endpoint(config: &Config) -> Endpoint {
    Endpoint {
        connections: "client",
        host: config.host.clone(),
        // -1 asks for a free port, which is port 0 to the system.
        port: u16::try_from(config.port).unwrap_or(0),
        scheme: "nats",
    }
}

fn to_usize(value: impl TryInto<usize>) -> usize {
    value.try_into().unwrap_or(usize::MAX)
}

/// What INFO says of where this server is: `client_advertise`, else the configured host and the real port (CORE-17).
pub(crate) fn advertised(config: &Config, host: &Arc<str>, port: u16) -> (Arc<str>, u16) {
    // One that a reload made invalid is as if it were not there; the reload is refused before.
    let given = config.client_advertise.as_deref().filter(|text| !text.is_empty());
    match given.map(|text| host_and_port(text, port)) {
        Some(Ok((name, port))) => (name.into(), port),
        Some(Err(_)) | None => (host.clone(), port),
    }
}

/// Checks `client_advertise` before anybody is told about it.
pub(crate) fn check_advertised(config: &Config) -> Result<(), String> {
    let Some(text) = config.client_advertise.as_deref().filter(|text| !text.is_empty()) else {
        return Ok(());
    };
    match host_and_port(text, 0) {
        Ok(_) => Ok(()),
        Err(error) => Err(format!(
            "Error setting server INFO with ClientAdvertise value of {text}, err={error}"
        )),
    }
}
