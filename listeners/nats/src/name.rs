//! How log lines and monitoring name a connection and its user (CORE-22, CORE-23). No secret is ever in a name.

use std::net::SocketAddr;

use dunlin_wire::{Connect, Quoted};

/// What stands for a token.
const REDACTED: &str = "[REDACTED]";

/// A connection of which only the address is known: `127.0.0.1:4711 - cid:5`; one of this process:
/// `pipe - cid:5`.
pub(crate) fn of_address(peer: SocketAddr, id: u64) -> String {
    if is_pipe(peer) {
        return format!("pipe - cid:{id}");
    }
    format!("{peer} - cid:{id}")
}

/// The same after its first CONNECT, with what the client calls itself and, where a user is known, account and user:
/// `127.0.0.1:4711 - cid:5 - "v1.2:go:orders" - "$G/user:joe"`.
pub(crate) fn of_client(peer: SocketAddr, id: u64, connect: &Connect, account: &str, user: &str) -> String {
    let mut name = of_address(peer, id);
    let version = if connect.version.is_empty() {
        String::new()
    } else {
        format!("v{}", connect.version)
    };
    let parts: Vec<_> = [version.as_str(), &connect.lang, &connect.name]
        .into_iter()
        .filter(|part| !part.is_empty())
        .collect();
    if !parts.is_empty() {
        name = format!("{name} - {}", Quoted(parts.join(":").as_bytes()));
    }
    if !user.is_empty() {
        name = format!("{name} - {}", Quoted(format!("{account}/{user}").as_bytes()));
    }
    name
}

/// Whether a peer has no address, because it is in this process.
pub(crate) fn is_pipe(peer: SocketAddr) -> bool {
    peer.port() == 0 && peer.ip().is_unspecified()
}

/// The user as log names carry it, e.g. `user:joe`: as the provider says, else as CONNECT says; empty when neither does.
pub(crate) fn label(connect: &Connect, by_provider: &str) -> String {
    if !by_provider.is_empty() {
        by_provider.to_owned()
    } else if !connect.nkey.is_empty() {
        format!("nkey:{}", connect.nkey)
    } else if !connect.user.is_empty() {
        format!("user:{}", connect.user)
    } else if !connect.auth_token.is_empty() {
        "token".to_owned()
    } else {
        String::new()
    }
}

/// The user as monitoring shows it; empty when CONNECT names none.
pub(crate) fn claimed(connect: &Connect) -> String {
    if !connect.nkey.is_empty() {
        connect.nkey.clone()
    } else if !connect.user.is_empty() {
        connect.user.clone()
    } else if !connect.auth_token.is_empty() {
        REDACTED.to_owned()
    } else {
        String::new()
    }
}

/// How the log of a refused login names the user, e.g. `User "joe"`; `None` when CONNECT names nobody.
pub(crate) fn refused(connect: &Connect) -> Option<String> {
    if !connect.nkey.is_empty() {
        Some(format!("Nkey {}", Quoted(connect.nkey.as_bytes())))
    } else if !connect.user.is_empty() {
        Some(format!("User {}", Quoted(connect.user.as_bytes())))
    } else if !connect.auth_token.is_empty() {
        Some(format!("Token \"{REDACTED}\""))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use dunlin_wire::Secret;

    use super::*;

    #[track_caller]
    fn check(json: &str, by_provider: &str, expected: &str) {
        let mut connect = Connect::before_login();
        connect.merge(json.as_bytes()).unwrap();
        let user = label(&connect, by_provider);
        let peer = "127.0.0.1:80".parse().unwrap();
        assert_eq!(
            of_client(peer, 7, &connect, "$G", &user),
            format!("127.0.0.1:80 - cid:7{expected}")
        );
    }

    // CORE-22 [TestClientConnectionName, TestConnectionStringWithLogConnectionInfo, TestLogConnectionAuthInfo]
    #[test]
    fn a_log_name_has_the_parts_that_are_known() {
        check("{}", "", "");
        check(r#"{"name":"n"}"#, "", " - \"n\"");
        check(r#"{"lang":"go","name":"n"}"#, "", " - \"go:n\"");
        check(r#"{"version":"1.2","name":"n"}"#, "", " - \"v1.2:n\"");
        check(
            r#"{"version":"1.2","lang":"go","name":"n%d"}"#,
            "",
            " - \"v1.2:go:n%d\"",
        );
        check(r#"{"user":"joe","pass":"x"}"#, "", " - \"$G/user:joe\"");
        check(r#"{"auth_token":"x"}"#, "", " - \"$G/token\"");
        check(r#"{"nkey":"UA","user":"joe"}"#, "", " - \"$G/nkey:UA\"");
        check(
            r#"{"lang":"go"}"#,
            "user:stand-in",
            " - \"go\" - \"$G/user:stand-in\"",
        );
    }

    // CORE-22, CORE-146 [TestClientIPv6Address]
    #[test]
    fn an_ipv6_address_stands_in_brackets() {
        assert_eq!(of_address("[::1]:80".parse().unwrap(), 1), "[::1]:80 - cid:1");
    }

    // CORE-22 [TestRemoteAddress]
    #[test]
    fn a_connection_without_an_address_is_a_pipe() {
        assert_eq!(of_address("0.0.0.0:0".parse().unwrap(), 1), "pipe - cid:1");
        assert_eq!(of_address("0.0.0.0:1".parse().unwrap(), 1), "0.0.0.0:1 - cid:1");
    }

    // CORE-23 [TestClientUserInfo]
    #[test]
    fn a_refused_user_is_named_without_its_secret() {
        let connect = |nkey: &str, user: &str, token: &str| Connect {
            nkey: nkey.into(),
            user: user.into(),
            auth_token: Secret::new(token),
            pass: Secret::new("s3cret"),
            ..Connect::before_login()
        };
        let shown = |connect: &Connect| refused(connect).unwrap_or_default();
        assert_eq!(shown(&connect("UA", "joe", "t0ken")), "Nkey \"UA\"");
        assert_eq!(shown(&connect("", "jo\"e", "t0ken")), r#"User "jo\"e""#);
        assert_eq!(shown(&connect("", "", "t0ken")), "Token \"[REDACTED]\"");
        assert_eq!(refused(&connect("", "", "")), None);
        assert_eq!(claimed(&connect("", "", "t0ken")), "[REDACTED]");
    }
}
