//! What the listener takes from the configuration.

use std::sync::Arc;

use dunlin_api::Endpoint;
use dunlin_api::config::{Config, WriteTimeout};
use dunlin_net::host_and_port;
use dunlin_net::output::OutputLimits;

/// Longest protocol line.
pub(crate) fn control_line(config: &Config) -> usize {
    to_usize(config.max_control_line)
}

/// Connections that may wait for their login at a time.
pub(crate) fn pending_logins(config: &Config) -> usize {
    to_usize(config.pending_logins())
}

/// What applies to an output for as long as it lasts.
pub(crate) fn output_limits(config: &Config) -> OutputLimits {
    OutputLimits {
        max_pending: to_usize(config.max_pending),
        write_deadline: config.write_deadline,
        retries: config.write_timeout == WriteTimeout::Retry,
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
