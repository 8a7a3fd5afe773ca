//! Hosts and ports as people write them, and as others are told them. Rules: CORE-17, CORE-144.

use std::net::IpAddr;

/// Why an address is none, in the words of the reference.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the texts say it all")]
pub enum AddressError {
    #[error("address {0}: too many colons in address")]
    Colons(String),
    #[error("address {0}: missing ']' in address")]
    Bracket(String),
    #[error("address {0}: unexpected '{1}' in address")]
    Unexpected(String, char),
    #[error("strconv.Atoi: parsing {0:?}: invalid syntax")]
    Port(String),
}

/// Host and port of `text`; a port that is missing, 0 or -1 is `default_port` (CORE-144). Blanks around both are cut off.
///
/// # Errors
/// It is no address.
pub fn host_and_port(text: &str, default_port: u16) -> Result<(String, u16), AddressError> {
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

/// Where clients can be told to connect to a listener on `host` and `port`: the host itself, or for a wildcard every
/// address of `interfaces` that can be reached from elsewhere (CORE-17). Empty where there is none.
pub fn connect_addresses(host: &str, port: u16, interfaces: &[IpAddr]) -> Vec<String> {
    match host.parse::<IpAddr>() {
        Ok(ip) if ip.is_unspecified() => {
            let reachable = interfaces.iter().filter(|ip| is_global_unicast(**ip));
            reachable.map(|ip| host_port(&ip.to_string(), port)).collect()
        }
        _ => vec![host_port(host, port)],
    }
}

/// `host:port`, an IPv6 address in brackets.
pub fn host_port(host: &str, port: u16) -> String {
    if host.contains(':') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    }
}

/// As Go tells it: private addresses count, those of one link or one machine do not.
fn is_global_unicast(ip: IpAddr) -> bool {
    let is_narrow = match ip {
        IpAddr::V4(ip) => ip.is_link_local() || ip.is_broadcast(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    };
    !is_narrow && !ip.is_unspecified() && !ip.is_loopback() && !ip.is_multicast()
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
        check(" host ", Ok(("host", 4222)));
        check(" host : -1 ", Ok(("host", 4222)));
        check("[::1]:5", Ok(("::1", 5)));
        check("[::1]", Ok(("::1", 4222)));
        check("::1", Err("address ::1: too many colons in address"));
        check("a:::80", Err("address a:::80: too many colons in address"));
        check("a:b:80", Err("address a:b:80: too many colons in address"));
        check("[::1", Err("address [::1: missing ']' in address"));
        check("h]:1", Err("address h]:1: unexpected ']' in address"));
        check("host:port", Err("strconv.Atoi: parsing \"port\": invalid syntax"));
        check("host:", Err("strconv.Atoi: parsing \"\": invalid syntax"));
    }

    // CORE-17 [TestGetConnectURLs, TestServerClientURL]
    #[test]
    fn a_wildcard_is_told_as_the_addresses_that_others_can_reach() {
        let interfaces: Vec<IpAddr> = [
            "127.0.0.1",
            "10.1.2.3",
            "169.254.1.1",
            "203.0.113.7",
            "::1",
            "fe80::1",
            "2001:db8::1",
            "224.0.0.1",
        ]
        .iter()
        .map(|ip| ip.parse().unwrap())
        .collect();
        for wildcard in ["0.0.0.0", "::"] {
            assert_eq!(
                connect_addresses(wildcard, 4222, &interfaces),
                ["10.1.2.3:4222", "203.0.113.7:4222", "[2001:db8::1]:4222"]
            );
            assert!(connect_addresses(wildcard, 4222, &interfaces[..1]).is_empty());
        }
        for (host, told) in [
            ("host.com", "host.com:12345"),
            ("1.2.3.4", "1.2.3.4:12345"),
            ("2000::1", "[2000::1]:12345"),
            ("127.0.0.1", "127.0.0.1:12345"),
            ("::1", "[::1]:12345"),
        ] {
            assert_eq!(connect_addresses(host, 12345, &interfaces), [told]);
        }
    }
}
