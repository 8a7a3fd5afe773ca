//! Checks at start over the blocks of listeners, peers and JetStream (CORE-127), in the reference's order. They run
//! whether or not a block has an effect yet, so that a file that is refused later is refused now.

use std::collections::HashSet;

use super::cluster::RESERVED_NAME;
use super::compression::CompressionMode;
use super::listeners::ListenerLogin;
use super::permissions::is_valid_subject;
use super::validate::ConfigError;
use super::{Config, GLOBAL_ACCOUNT, SYSTEM_ACCOUNT};
use crate::nkey;
use crate::server_url::ServerUrl;
use crate::text::quote;

/// Port of a leafnode's URL that has none.
const LEAFNODE_PORT: u16 = 7422;

type Checked = Result<(), ConfigError>;

fn fail(reason: impl Into<String>) -> Checked {
    Err(ConfigError::Block(reason.into()))
}

impl Config {
    fn in_operator_mode(&self) -> bool {
        !self.operator.is_empty()
    }

    fn cluster_port(&self) -> i32 {
        self.cluster.as_ref().map_or(0, |cluster| cluster.port)
    }

    fn gateway_port(&self) -> i32 {
        self.gateway.as_ref().map_or(0, |gateway| gateway.port)
    }

    fn gateway_name(&self) -> &str {
        self.gateway.as_ref().map_or("", |gateway| &gateway.name)
    }

    /// Both ports of the monitoring, and TLS for one of them.
    pub(super) fn check_monitoring(&self) -> Checked {
        if self.http_port != 0 && self.https_port != 0 {
            return fail(format!(
                "can't specify both HTTP ({}) and HTTPs ({}) ports",
                self.http_port, self.https_port
            ));
        }
        if self.https_port != 0 && self.tls.is_none() {
            return fail("TLS cert and key required for HTTPS");
        }
        Ok(())
    }

    /// AUTH-1100: what does not go together with operators.
    pub(super) fn check_operators(&self) -> Checked {
        if !self.in_operator_mode() {
            return if self.default_sentinel.is_empty() {
                Ok(())
            } else {
                fail("default sentinel requires operators and accounts")
            };
        }
        if !self.accounts.is_empty() {
            return fail("operators do not allow Accounts to be configured directly");
        }
        if self.users().next().is_some() {
            return fail("operators do not allow users to be configured directly");
        }
        if !self.trusted_keys.is_empty() {
            return fail("conflicting options for 'TrustedKeys' and 'TrustedOperators'");
        }
        Ok(())
    }

    /// NET 4.1.
    pub(super) fn check_leafnodes(&self) -> Checked {
        let Some(leaf) = &self.leafnodes else {
            return Ok(());
        };
        self.check_leafnode_accounts()?;
        let auto = || CompressionMode::S2Auto(Vec::new());
        leaf.compression.chosen(auto())?;
        for remote in &leaf.remotes {
            let websocket = |url: &ServerUrl| url.scheme == "ws" || url.scheme == "wss";
            let count = remote.urls.iter().filter(|url| websocket(url)).count();
            if count > 0 && count < remote.urls.len() {
                let urls = remote.urls.iter().map(|url| {
                    let port = url.port.or(Some(LEAFNODE_PORT));
                    quote(&ServerUrl { port, ..url.clone() }.to_string())
                });
                let urls: Vec<String> = urls.collect();
                return fail(format!(
                    "remote leaf node configuration cannot have a mix of websocket and non-websocket urls: [{}]",
                    urls.join(" ")
                ));
            }
            remote.compression.chosen(auto())?;
        }
        let gateways = !self.gateway_name().is_empty() || self.gateway_port() != 0;
        if leaf.port != 0 && gateways && self.system_account.is_none() {
            return fail(
                "leaf nodes and gateways (both being defined) require a system account to also be configured",
            );
        }
        Ok(())
    }

    /// The accounts that leafnodes name exist, or in operator mode are keys.
    fn check_leafnode_accounts(&self) -> Checked {
        let Some(leaf) = &self.leafnodes else {
            return Ok(());
        };
        let users = &leaf.authorization.users;
        if self.in_operator_mode() {
            if !users.is_empty() {
                return fail("operator mode does not allow specifying users in leafnode config");
            }
            let is_key = |name: &str| nkey::is_public(name, nkey::Kind::Account);
            if !leaf.remotes.iter().all(|remote| is_key(&remote.account)) {
                return fail(
                    "operator mode requires account nkeys in remotes. Please add an `account` key to each remote in \
                     your `leafnodes` section, to assign it to an account. Each account value should be a 56 character \
                     public key, starting with the letter 'A'",
                );
            }
            let account = &leaf.authorization.account;
            if leaf.port != 0 && !account.is_empty() && !is_key(account) {
                return fail("operator mode and non account nkeys are incompatible");
            }
            return Ok(());
        }
        let exists = |name: &str| {
            let default_system = self.system_account.is_none() && !self.no_system_account;
            name.is_empty()
                || name == GLOBAL_ACCOUNT
                || (name == SYSTEM_ACCOUNT && default_system)
                || self.accounts.iter().any(|account| account.name == name)
        };
        let own = std::iter::once(leaf.authorization.account.as_str());
        let of_users = users.iter().filter_map(|user| user.account.as_deref());
        let of_remotes = leaf.remotes.iter().map(|remote| remote.account.as_str());
        let named = own.chain(of_users).map(|name| (name, "authorization"));
        for (name, place) in named.chain(of_remotes.map(|name| (name, "remote"))) {
            if !exists(name) {
                let name = quote(name);
                return fail(format!(
                    "cannot find local account {name} specified in leafnode {place}"
                ));
            }
        }
        Ok(())
    }

    /// AUTH-1400: for options that come from no file.
    pub(super) fn check_proxies(&self) -> Checked {
        let trusted = self.proxies.iter().flat_map(|proxies| &proxies.trusted);
        match trusted.into_iter().find(|proxy| !nkey::is_any_public(&proxy.key)) {
            Some(proxy) => fail(format!("proxy trusted key {} is invalid", quote(&proxy.key))),
            None => Ok(()),
        }
    }

    /// NET 3.1.
    pub(super) fn check_gateway(&self) -> Checked {
        let Some(gateway) = &self.gateway else {
            return Ok(());
        };
        if gateway.name.is_empty() && gateway.port == 0 {
            return Ok(());
        }
        let name = quote(&gateway.name);
        if gateway.name.is_empty() {
            return fail("gateway has no name");
        }
        if gateway.port == 0 {
            return fail(format!(
                "gateway {name} has no port specified (select -1 for random port)"
            ));
        }
        for (at, remote) in gateway.gateways.iter().enumerate() {
            if remote.name.is_empty() {
                return fail(format!("gateway in the list {at} has no name"));
            }
            if remote.urls.is_empty() {
                return fail(format!("gateway {} has no URL", quote(&remote.name)));
            }
        }
        Ok(())
    }

    /// NET 2.1.
    pub(super) fn check_cluster(&self) -> Checked {
        let own = self.cluster.as_ref().map_or("", |cluster| &cluster.name);
        let gateway = self.gateway_name();
        if let Some(cluster) = &self.cluster {
            cluster.compression.chosen(CompressionMode::S2Fast)?;
        }
        if !gateway.is_empty() && !own.is_empty() && gateway != own {
            return fail("cluster name conflicts between cluster and gateway definitions");
        }
        let remotes = self
            .leafnodes
            .as_ref()
            .is_some_and(|leaf| !leaf.remotes.is_empty());
        let name = match (own, gateway) {
            ("", "") if remotes && self.cluster_port() == 0 => {
                self.server_name.as_deref().unwrap_or_default()
            }
            ("", gateway) => gateway,
            (own, _) => own,
        };
        if name == RESERVED_NAME {
            return fail("cluster name is reserved");
        }
        let Some(cluster) = self
            .cluster
            .as_ref()
            .filter(|cluster| !cluster.accounts.is_empty())
        else {
            return Ok(());
        };
        if cluster.pool_size.is_some_and(i32::is_negative) {
            return fail("pool_size cannot be negative if pinned accounts are specified");
        }
        let mut seen = HashSet::new();
        if let Some(twice) = cluster.accounts.iter().find(|name| !seen.insert(*name)) {
            let all: Vec<String> = cluster.accounts.iter().map(|name| quote(name)).collect();
            return fail(format!(
                "found duplicate account name {} in pinned accounts list [{}]",
                quote(twice),
                all.join(" ")
            ));
        }
        Ok(())
    }

    /// MQTT A1.
    pub(super) fn check_mqtt(&self) -> Checked {
        let Some(mqtt) = self.mqtt.as_ref().filter(|mqtt| mqtt.port != 0) else {
            return Ok(());
        };
        let peers = self.cluster_port() != 0 || self.gateway_port() != 0;
        if self.server_name.is_none() && peers {
            return fail("mqtt requires server name to be explicitly set");
        }
        self.check_no_auth_user(&mqtt.no_auth_user)?;
        self.check_login("mqtt", &mqtt.authorization)?;
        let jetstream = self.jetstream.as_ref().is_some_and(|options| options.enabled);
        let leaf = self.leafnodes.as_ref();
        let leaf = leaf.is_some_and(|leaf| leaf.port != 0 || !leaf.remotes.is_empty());
        if !jetstream && !peers && !leaf {
            return fail("mqtt requires JetStream to be enabled if running in standalone mode");
        }
        Ok(())
    }

    /// A login of one listener goes with no users.
    fn check_login(&self, listener: &str, login: &ListenerLogin) -> Checked {
        if self.users().next().is_none() {
            return Ok(());
        }
        for (given, what) in [
            (!login.user.is_empty(), "username"),
            (!login.token.is_empty(), "token"),
        ] {
            if given {
                return fail(format!(
                    "{listener} authentication {what} not compatible with presence of users/nkeys"
                ));
            }
        }
        Ok(())
    }

    /// CORE section 15.
    pub(super) fn check_jetstream(&self) -> Checked {
        self.check_default_domains()?;
        let Some(jetstream) = &self.jetstream else {
            return Ok(());
        };
        let domain = &jetstream.domain;
        if !domain.is_empty() {
            let subject = format!("$JS.{domain}.API.>");
            if !is_valid_subject(&subject) {
                let subject = quote(&subject);
                return fail(format!(
                    "invalid domain name: derived {subject} is not a valid subject"
                ));
            }
            if domain.contains(['.', '*', '>']) {
                return fail("invalid domain name: may not contain ., * or >");
            }
        }
        if !jetstream.enabled || self.cluster_port() == 0 {
            return Ok(());
        }
        if self.server_name.is_none() {
            return fail("jetstream cluster requires `server_name` to be set");
        }
        if self
            .cluster
            .as_ref()
            .is_some_and(|cluster| cluster.name.is_empty())
            && self.gateway_name().is_empty()
        {
            return fail("jetstream cluster requires `cluster.name` to be set");
        }
        match jetstream.extension_hint.to_lowercase().as_str() {
            "" | "will_extend" | "no_extend" => Ok(()),
            _ => fail(format!(
                "expected 'no_extend' for string value, got '{}'",
                jetstream.extension_hint.to_lowercase()
            )),
        }
    }

    fn check_default_domains(&self) -> Checked {
        for (account, domain) in &self.default_js_domain {
            let name = quote(account);
            let known = self.accounts.iter().find(|known| known.name == *account);
            if self.in_operator_mode() {
                if !nkey::is_public(account, nkey::Kind::Account) {
                    return fail(format!(
                        "default_js_domain contains account name {name}, which is not a valid public account nkey"
                    ));
                }
            } else if let Some(known) = known {
                if known.jetstream.is_some() && !domain.is_empty() {
                    return fail(format!(
                        "default_js_domain contains account name {name} with enabled JetStream"
                    ));
                }
            } else if account != GLOBAL_ACCOUNT {
                return fail(format!(
                    "in non operator mode, `default_js_domain` references non existing account {name}"
                ));
            }
            if account == self.system_account.as_deref().unwrap_or(SYSTEM_ACCOUNT) {
                return fail(format!("system account {name} can not be in default_js_domain"));
            }
            if !domain.is_empty() && !is_valid_subject(&format!("$JS.{domain}.API.>")) {
                let domain = quote(domain);
                return fail(format!(
                    "default_js_domain contains account {name} with invalid domain name {domain}"
                ));
            }
        }
        Ok(())
    }

    /// WS C1.
    pub(super) fn check_websocket(&self) -> Checked {
        let Some(ws) = self.websocket.as_ref().filter(|ws| ws.port != 0) else {
            return Ok(());
        };
        if ws.tls.is_none() && !ws.no_tls {
            return fail("websocket requires TLS configuration");
        }
        for origin in &ws.allowed_origins {
            check_origin(origin)?;
        }
        self.check_no_auth_user(&ws.no_auth_user)?;
        self.check_login("websocket", &ws.authorization)?;
        if !ws.jwt_cookie.is_empty() && !self.in_operator_mode() && self.trusted_keys.is_empty() {
            return fail(format!(
                "trusted operators or trusted keys configuration is required for JWT authentication via cookie {}",
                quote(&ws.jwt_cookie)
            ));
        }
        const OWN: [&str; 5] = [
            "host",
            "content-length",
            "connection",
            "upgrade",
            "nats-no-masking",
        ];
        for key in ws.headers.keys() {
            let lower = key.to_lowercase();
            let name = quote(key);
            if OWN.contains(&lower.as_str()) {
                return fail(format!("websocket: invalid header {name} not allowed"));
            }
            if lower.starts_with("sec-websocket-") {
                return fail(format!(
                    "websocket: invalid header {name}, \"Sec-WebSocket-\" prefix not allowed"
                ));
            }
        }
        Ok(())
    }
}

/// An origin is an absolute URL of a page, with a host.
fn check_origin(origin: &str) -> Checked {
    let name = quote(origin);
    let Some(url) =
        ServerUrl::parse(origin).filter(|url| !url.scheme.is_empty() || url.path.starts_with('/'))
    else {
        return fail(format!(
            "unable to parse allowed origin: parse {name}: invalid URI for request"
        ));
    };
    if url.scheme != "http" && url.scheme != "https" {
        return fail(format!(
            "unable to parse allowed origin {name}: allowed origins must be absolute URLs with http or https scheme"
        ));
    }
    if url.host.is_empty() {
        return fail(format!("unable to parse allowed origin {name}: host is required"));
    }
    Ok(())
}
