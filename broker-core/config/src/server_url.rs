//! URLs of other servers in the configuration: `nats://user:pass@host:port`.
//!
//! Only what the configuration needs: parts, and a print without the password. Names and addresses are not
//! looked up.

use std::fmt;

use crate::convert::Secret;
use crate::report::Report;
use crate::section::{ConfigValue, Field};
use crate::shape::Shape;
use crate::text::quote;

/// Where another server listens.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerUrl {
    /// `nats`, `nats-route`, `ws`, ..; lower case; empty when none was given.
    pub scheme: String,
    /// User name or token; empty when none was given.
    pub user: String,
    /// Password.
    pub password: Secret,
    /// Host name or address without brackets.
    pub host: String,
    /// Port.
    pub port: Option<u16>,
    /// What follows the port, from its slash.
    pub path: String,
}

impl ServerUrl {
    /// Reads a URL; `None` if it is malformed: no scheme before `:`, a port that is no number, control
    /// characters, unbalanced brackets, a broken `%` escape.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if text.chars().any(char::is_control) {
            return None;
        }
        let Some((scheme, rest)) = text.split_once(':') else {
            // A path alone is a URL without host.
            return Some(Self {
                path: decoded(text)?,
                ..Self::default()
            });
        };
        let valid_scheme = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
            && scheme
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'));
        if !valid_scheme {
            return None;
        }
        let mut url = Self {
            scheme: scheme.to_ascii_lowercase(),
            ..Self::default()
        };
        let Some(rest) = rest.strip_prefix("//") else {
            url.path = rest.to_owned();
            return Some(url);
        };
        let (authority, path) = rest.split_at_checked(rest.find(['/', '?', '#']).unwrap_or(rest.len()))?;
        path.clone_into(&mut url.path);
        let address = match authority.rsplit_once('@') {
            Some((login, address)) => {
                let (user, password) = login.split_once(':').unwrap_or((login, ""));
                url.user = decoded(user)?;
                url.password = Secret::new(decoded(password)?);
                address
            }
            None => authority,
        };
        url.set_address(address)?;
        Some(url)
    }

    fn set_address(&mut self, address: &str) -> Option<()> {
        let (host, port) = if let Some(inner) = address.strip_prefix('[') {
            let (host, after) = inner.split_once(']')?;
            match after.strip_prefix(':') {
                Some(port) => (host, port),
                None if after.is_empty() => (host, ""),
                None => return None,
            }
        } else {
            match address.split_once(':') {
                Some((host, port)) => (host, port),
                None => (address, ""),
            }
        };
        if host.contains([' ', '[', ']', '<', '>', '"', '\\', '^', '`', '{', '|', '}']) {
            return None;
        }
        self.host = decoded(host)?;
        if !port.is_empty() {
            self.port = Some(port.parse().ok()?);
        }
        Some(())
    }
}

/// The password is printed as `xxxxx`, as in the reference's messages.
impl fmt::Display for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.scheme.is_empty() {
            write!(f, "{}://", self.scheme)?;
        }
        if !self.user.is_empty() {
            write!(f, "{}", self.user)?;
            if !self.password.is_empty() {
                f.write_str(":xxxxx")?;
            }
            f.write_str("@")?;
        }
        if self.host.contains(':') {
            write!(f, "[{}]", self.host)?;
        } else {
            f.write_str(&self.host)?;
        }
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        f.write_str(&self.path)
    }
}

impl ConfigValue for ServerUrl {
    const KIND: &'static str = "URL";
    const SHAPE: Shape = Shape::Text;

    fn from_field(field: &Field<'_>, report: &mut Report) -> Option<Self> {
        read(field, "server", report)
    }
}

/// Reads one URL; `what` names its kind in the error, without its text, which may hold a password.
pub(crate) fn read(field: &Field<'_>, what: &str, report: &mut Report) -> Option<ServerUrl> {
    let text = String::from_field(field, report)?;
    let Some(url) = ServerUrl::parse(&text) else {
        report
            .error(
                field.pos,
                field.key,
                format!("error parsing {what} url [{}]", quote(text.trim())),
            )
            .remedy("URLs look like nats://host:port");
        return None;
    };
    if url.host.is_empty() {
        report
            .notice(
                field.pos,
                field.key,
                format!("{what} url {} has no host", quote(&url.to_string())),
            )
            .remedy("URLs look like nats://host:port");
    }
    Some(url)
}

/// Reads an array of URLs; one that is given twice is a warning and kept once.
pub(crate) fn read_all(field: &Field<'_>, what: &str, report: &mut Report) -> Option<Vec<ServerUrl>> {
    let Some(elements) = field.elements() else {
        return field.wrong_type("[]interface {}", report);
    };
    let mut urls: Vec<ServerUrl> = Vec::new();
    for item in elements {
        let before = item.node.value.as_str().and_then(ServerUrl::parse);
        if let Some(url) = before.filter(|url| urls.contains(url)) {
            report.warning(
                item.pos,
                &url.to_string(),
                &format!("Duplicate {what} entry detected"),
            );
        } else {
            urls.extend(read(&item, what, report));
        }
    }
    Some(urls)
}

/// Undoes `%41`; `None` for a broken escape.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let mut digit = || char::from(rest.next()?).to_digit(16);
            let value = digit()? * 16 + digit()?;
            bytes.push(u8::try_from(value).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    // CORE section 15: error parsing route url
    #[test]
    fn urls_are_read_in_parts_and_printed_without_the_password() {
        let url = ServerUrl::parse(" NATS-route://ruser:top%40secret@[::1]:4245/x ").unwrap();
        assert_eq!(
            (url.scheme.as_str(), url.user.as_str(), url.password.expose()),
            ("nats-route", "ruser", "top@secret")
        );
        assert_eq!((url.host.as_str(), url.port), ("::1", Some(4245)));
        assert_eq!(url.to_string(), "nats-route://ruser:xxxxx@[::1]:4245/x");
        assert!(!format!("{url:?}").contains("secret"));
        for bad in [
            "nats://host:port",
            "1.2.3.4:5",
            "nats://[::1",
            "nats://a b:1",
            "nats://%zz",
            "a\u{1}",
        ] {
            assert_eq!(ServerUrl::parse(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,40}|[a-z:/@\\[\\]%0-9]{0,30}") {
            if let Some(url) = ServerUrl::parse(&text) {
                let _ = url.to_string();
            }
        }
    }
}
