//! What the listener takes from the configuration.

use std::sync::Arc;
use std::time::Duration;

use dunlin_api::Endpoint;
use dunlin_api::config::Config;
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

/// Why an address is none, in the words of the reference.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AddressError {
    #[error("address {0}: too many colons in address")]
    Colons(String),
    #[error("address {0}: missing ']' in address")]
    Bracket(String),
    #[error("address {0}: unexpected '{1}' in address")]
    Unexpected(String, char),
    #[error("strconv.Atoi: parsing {0:?}: invalid syntax")]
    Port(String),
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

/// Host and port of `text`; a port that is missing, 0 or -1 is `default_port` (CORE-144).
fn host_and_port(text: &str, default_port: u16) -> Result<(String, u16), AddressError> {
    let unexpected = |found| Err(AddressError::Unexpected(text.to_owned(), found));
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let Some((host, rest)) = rest.split_once(']') else {
                return Err(AddressError::Bracket(text.to_owned()));
            };
            match rest.strip_prefix(':') {
                Some(port) if port.contains(':') => return Err(AddressError::Colons(text.to_owned())),
                Some(port) => (host, Some(port)),
                None if rest.is_empty() => (host, None),
                None => return Err(AddressError::Colons(text.to_owned())),
            }
        }
        None => match text.split_once(':') {
            Some((_, port)) if port.contains(':') => return Err(AddressError::Colons(text.to_owned())),
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    for bracket in ['[', ']'] {
        if host.contains(bracket) || port.is_some_and(|port| port.contains(bracket)) {
            return unexpected(bracket);
        }
    }
    let port = match port.map(str::trim) {
        None | Some("0" | "-1") => default_port,
        Some(port) => port.parse().map_err(|_| AddressError::Port(port.to_owned()))?,
    };
    Ok((host.trim().to_owned(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<(&str, u16), &str>) {
        let found = host_and_port(text, 4222).map_err(|error| error.to_string());
        let expected = expected
            .map(|(host, port)| (host.to_owned(), port))
            .map_err(str::to_owned);
        assert_eq!(found, expected, "{text:?}");
    }

    // CORE-17, CORE-144 [TestClientAdvertiseConnectURL, TestClientAdvertiseErrorOnStartup, TestParseHostPort]
    #[test]
    fn an_advertised_address_is_a_host_and_perhaps_a_port() {
        check("nats.example.com", Ok(("nats.example.com", 4222)));
        check("nats.example.com:7777", Ok(("nats.example.com", 7777)));
        check(" host : 22 ", Ok(("host", 22)));
        check("host:0", Ok(("host", 4222)));
        check("host:-1", Ok(("host", 4222)));
        check("[::1]:5", Ok(("::1", 5)));
        check("[::1]", Ok(("::1", 4222)));
        check("::1", Err("address ::1: too many colons in address"));
        check("a:b:80", Err("address a:b:80: too many colons in address"));
        check("[::1", Err("address [::1: missing ']' in address"));
        check("h]:1", Err("address h]:1: unexpected ']' in address"));
        check("host:port", Err("strconv.Atoi: parsing \"port\": invalid syntax"));
        check("host:", Err("strconv.Atoi: parsing \"\": invalid syntax"));
    }
}
