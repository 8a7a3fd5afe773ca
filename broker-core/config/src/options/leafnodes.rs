//! `leafnodes`: servers that hang below others.
//!
//! Rules: the leafnodes paragraph of CORE section 15, NET 4.1, CORE-151.

use std::collections::HashSet;
use std::fmt;
use std::time::Duration;

use super::GLOBAL_ACCOUNT;
use super::compression::{self, Compression};
use super::permissions::{SubjectRule, plain_subjects};
use super::readers::{self, WriteTimeout};
use super::tls::{TlsOptions, client_tls};
use crate::ConfigSection;
use crate::convert::{ListenAddress, Secret};
use crate::nkey;
use crate::report::Report;
use crate::section::{ConfigValue, Field, TableReader, read_section};
use crate::server_url::{self, ServerUrl};
use crate::shape::Shape;
use crate::source::Source;
use crate::text::quote;
use crate::value::{Origin, Value};

/// Leafnodes: those that connect here, and those that this server is.
#[derive(Clone, Debug, PartialEq, ConfigSection)]
#[config(after = LeafnodeOptions::settle)]
pub struct LeafnodeOptions {
    /// Host and port of the leafnode listener in one.
    #[config(spec = "CORE-126", example = "listen: \"0.0.0.0:7422\"")]
    pub listen: Option<ListenAddress>,
    /// Host of the leafnode listener.
    #[config(default = "0.0.0.0", alias = ["net"], spec = "NET 4.1")]
    pub host: String,
    /// Port of the leafnode listener; -1 asks for any free one, 0 is none.
    #[config(with = readers::port, default_doc = "0", spec = "NET 4.1", example = "port: 7422")]
    pub port: i32,
    /// Who may connect as a leafnode.
    #[config(spec = "NET 4.1")]
    pub authorization: LeafnodeAuthorization,
    /// Servers that this one connects to as a leafnode.
    #[config(with = remotes, kind = "array of tables", shape = Shape::List(&Shape::table::<RemoteLeafnode>()),
             spec = "NET 4.1", reload)]
    pub remotes: Vec<RemoteLeafnode>,
    /// Wait between attempts to connect.
    #[config(default = "1s", with = readers::duration, alias = ["reconnect_delay", "reconnect_interval"], spec = "NET 4.3")]
    pub reconnect: Duration,
    /// How long an attempt to connect may take.
    #[config(default = "1s", with = readers::duration, spec = "NET 4.3")]
    pub dial_timeout: Duration,
    /// TLS of the leafnode listener.
    #[config(with = client_tls, spec = "AUTH-300", reload)]
    pub tls: Option<TlsOptions>,
    /// `host:port` that is told to leafnodes in place of the listener's own.
    #[config(alias = ["leafnode_advertise"], spec = "NET 4.1")]
    pub advertise: String,
    /// Do not tell leafnodes about the other servers of the cluster.
    #[config(spec = "NET 4.1")]
    pub no_advertise: bool,
    /// Oldest version of a leafnode, at least 2.8.0.
    #[config(with = min_version, example = "min_version: 2.8.0", alias = ["minimum_version"], spec = "NET 4.1")]
    pub min_version: Option<String>,
    /// Compression of leafnode connections.
    #[config(with = compression::compression, kind = "bool, mode or table", shape = compression::SHAPE,
             default_doc = "s2_auto", spec = "NET 1.5", reload)]
    pub compression: Compression,
    /// Do not tell leafnodes about each other's interest.
    #[config(alias = ["isolate"], spec = "NET 4.4")]
    pub isolate_leafnode_interest: bool,
    /// How long a write to a leafnode may block.
    #[config(with = readers::optional_duration, default_doc = "the server's", spec = "NET 1.3")]
    pub write_deadline: Option<Duration>,
    /// What a blocked write does.
    #[config(with = readers::write_timeout, kind = "string", values = ["default", "close", "retry"], spec = "NET 1.3")]
    pub write_timeout: WriteTimeout,
}

/// Who may connect as a leafnode.
#[derive(Clone, Debug, Default, PartialEq, ConfigSection)]
pub struct LeafnodeAuthorization {
    /// Name of the single user.
    #[config(alias = ["username"], spec = "NET 4.1")]
    pub user: String,
    /// Password of the single user.
    #[config(alias = ["password"], spec = "NET 4.1", secret)]
    pub pass: Secret,
    /// Public nkey of the single user.
    #[config(with = leafnode_nkey, kind = "nkey", example = "nkey: UAT2BLVT73USGL4K6IQR7HXESHC3CC7MWVLDX7A6N6JUE7WLZD7CS7KG", spec = "NET 4.1")]
    pub nkey: Option<String>,
    /// How long a leafnode may take to log in.
    #[config(with = leafnode_timeout, kind = "seconds or duration", shape = Shape::Seconds, default_doc = "2s",
             spec = "NET 4.1")]
    pub timeout: Option<Duration>,
    /// Several users in place of one.
    #[config(with = leafnode_users, kind = "array of users", shape = Shape::List(&Shape::table::<LeafnodeUser>()),
             spec = "NET 4.1")]
    pub users: Vec<LeafnodeUser>,
    /// Account of the single user.
    #[config(default_doc = "$G", spec = "NET 4.1")]
    pub account: String,
    /// Accept only leafnodes through a trusted proxy.
    #[config(spec = "NET 4.1")]
    pub proxy_required: bool,
}

/// A user of leafnodes.
#[derive(Clone, Debug, Default, PartialEq, ConfigSection)]
pub struct LeafnodeUser {
    /// Name.
    #[config(alias = ["username"], spec = "NET 4.1")]
    pub user: String,
    /// Password.
    #[config(alias = ["password"], spec = "NET 4.1", secret)]
    pub pass: Secret,
    /// Account.
    #[config(default_doc = "$G", spec = "NET 4.1")]
    pub account: Option<String>,
    /// Accept the user only through a trusted proxy.
    #[config(spec = "NET 4.1")]
    pub proxy_required: bool,
}

/// A server that this one connects to as a leafnode.
#[derive(Clone, Debug, PartialEq, ConfigSection)]
#[config(after = RemoteLeafnode::settle)]
pub struct RemoteLeafnode {
    /// Its URLs; the port is 7422 unless given.
    #[config(with = remote_urls, kind = "URL or array of URLs", shape = Shape::OneOrMany(&Shape::Text), alias = ["url"],
             spec = "NET 4.1", example = "url: \"nats-leaf://hub:7422\"")]
    pub urls: Vec<ServerUrl>,
    /// Try the URLs in the order of the file.
    #[config(alias = ["dont_randomize"], spec = "NET 4.1")]
    pub no_randomize: bool,
    /// Local account that the leafnode binds to.
    #[config(alias = ["local"], default_doc = "$G", spec = "NET 4.1")]
    pub account: String,
    /// File with credentials; `~` and variables of the environment are replaced.
    #[config(alias = ["creds"], spec = "CORE-151")]
    pub credentials: Option<String>,
    /// Seed of a user nkey to log in with.
    #[config(with = remote_seed, example = "nkey: SU..", kind = "seed", alias = ["seed"], spec = "NET 4.1", secret)]
    pub nkey: Secret,
    /// TLS towards the server.
    #[config(with = client_tls, spec = "AUTH-312", reload)]
    pub tls: Option<TlsOptions>,
    /// Be the hub of this connection although it was opened here.
    #[config(spec = "NET 4.4")]
    pub hub: bool,
    /// Subjects whose messages do not come in.
    #[config(with = plain_subjects, kind = "string or array", shape = Shape::OneOrMany(&Shape::Text), alias = ["deny_import"],
             spec = "NET 4.7")]
    pub deny_imports: Vec<SubjectRule>,
    /// Subjects whose messages do not go out.
    #[config(with = plain_subjects, kind = "string or array", shape = Shape::OneOrMany(&Shape::Text), alias = ["deny_export"],
             spec = "NET 4.7")]
    pub deny_exports: Vec<SubjectRule>,
    /// Compress WebSocket frames.
    #[config(alias = ["ws_compress", "websocket_compress", "websocket_compression"], spec = "NET 4.9")]
    pub ws_compression: bool,
    /// Ask to leave WebSocket frames unmasked.
    #[config(alias = ["websocket_no_masking"], spec = "NET 4.9")]
    pub ws_no_masking: bool,
    /// Give up leadership of streams while the connection is down: a bool, or `{leader_migrate_delay}`.
    #[config(with = migrate, kind = "bool or table", shape = MIGRATE, alias = ["js_cluster_migrate"], spec = "NET 4.8")]
    pub jetstream_cluster_migrate: Option<MigrateOptions>,
    /// Do not tell the server about the interest of other leafnodes.
    #[config(alias = ["isolate"], spec = "NET 4.4")]
    pub isolate_leafnode_interest: bool,
    /// Ask the server not to tell about other leafnodes' interest.
    #[config(spec = "NET 4.4")]
    pub request_isolation: bool,
    /// Compression of this connection.
    #[config(with = compression::compression, kind = "bool, mode or table", shape = compression::SHAPE,
             default_doc = "s2_auto", spec = "NET 1.5", reload)]
    pub compression: Compression,
    /// How long the server's INFO may take.
    #[config(default = "1s", with = readers::duration, spec = "NET 4.2")]
    pub first_info_timeout: Duration,
    /// How long an attempt to connect may take.
    #[config(with = readers::optional_duration, default_doc = "the block's", spec = "NET 4.3")]
    pub dial_timeout: Option<Duration>,
    /// Do not connect.
    #[config(spec = "NET 4.1", reload)]
    pub disabled: bool,
    /// Do not use URLs that the server tells.
    #[config(spec = "NET 4.3")]
    pub ignore_discovered_servers: bool,
    /// HTTP proxy to go through.
    #[config(with = proxy, spec = "NET 4.9")]
    pub proxy: Option<LeafnodeProxy>,
    /// Where it stands in the file.
    #[config(skip)]
    pub origin: Origin,
}

/// When streams move away from a leafnode that lost its connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ConfigSection)]
pub struct MigrateOptions {
    /// How long to wait first.
    #[config(with = readers::optional_duration, default_doc = "0s", spec = "NET 4.8")]
    pub leader_migrate_delay: Option<Duration>,
}

/// An HTTP proxy.
#[derive(Clone, Debug, PartialEq, ConfigSection)]
#[config(after = LeafnodeProxy::settle)]
pub struct LeafnodeProxy {
    /// Its URL, `http` or `https`.
    #[config(spec = "NET 4.9", example = "url: \"http://proxy:8080\"")]
    pub url: String,
    /// User name, together with a password.
    #[config(spec = "NET 4.9")]
    pub username: String,
    /// Password.
    #[config(spec = "NET 4.9", secret)]
    pub password: Secret,
    /// How long the proxy may take.
    #[config(with = readers::optional_duration, default_doc = "the dial timeout", spec = "NET 4.9")]
    pub timeout: Option<Duration>,
    /// TLS towards the proxy; only the keys of a client's side.
    #[config(with = proxy_tls, spec = "NET 4.9")]
    pub tls: Option<TlsOptions>,
}

const MIGRATE: Shape = Shape::AnyOf(&[Shape::Bool, Shape::table::<MigrateOptions>()]);

/// Keys of `tls` that a client's side has.
const CLIENT_TLS_KEYS: &[&str] = &[
    "cert_file",
    "key_file",
    "ca_file",
    "insecure",
    "cipher_suites",
    "allow_insecure_cipher_suites",
    "curve_preferences",
    "min_version",
    "timeout",
    "cert_store",
    "cert_match_by",
    "cert_match",
    "cert_match_skip_invalid",
    "ca_certs_match",
    "certs",
    "certificates",
];

/// Replaces `~`, `$VAR` and `${VAR}` in the path of a credentials file (CORE-151). A variable that is not set
/// is empty; `~` without `HOME` is an error.
pub fn expand_path(path: &str, source: &dyn Source) -> Result<String, String> {
    let mut out = String::with_capacity(path.len());
    let mut rest = match path.strip_prefix('~') {
        Some(rest) => {
            let home = source.env("HOME").filter(|home| !home.is_empty());
            out.push_str(&home.ok_or("failed to get home dir, require $HOME")?);
            rest
        }
        None => path,
    };
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        let braced = after.strip_prefix('{').and_then(|inner| inner.split_once('}'));
        let (name, next) = match braced {
            Some(pair) => pair,
            None => {
                let end = after.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
                after
                    .split_at_checked(end.unwrap_or(after.len()))
                    .unwrap_or((after, ""))
            }
        };
        out.push_str(&source.env(name).unwrap_or_default());
        rest = next;
    }
    out.push_str(rest);
    Ok(out)
}

/// Reads `leafnodes`.
pub(super) fn leafnodes(field: &Field<'_>, report: &mut Report) -> Option<Option<LeafnodeOptions>> {
    readers::block(field, "Expected map to define a leafnode", report)
}

impl Default for LeafnodeOptions {
    fn default() -> Self {
        Self::defaults()
    }
}

impl LeafnodeOptions {
    fn settle(&mut self, table: &TableReader<'_>, report: &mut Report) {
        readers::settle_address(table, self.listen.as_ref(), &mut self.host, &mut self.port);
        if let Err(reason) = self.authorization.check()
            && let Some(entry) = table.named(&["authorization"])
        {
            report.error(&entry.key_pos, &entry.key, reason);
        }
    }
}

impl LeafnodeAuthorization {
    /// One user or many, each name once.
    fn check(&self) -> Result<(), String> {
        if self.users.is_empty() {
            return Ok(());
        }
        if !self.user.is_empty() {
            return Err("can not have a single user/pass and a users array".to_owned());
        }
        if self.nkey.is_some() {
            return Err("can not have a single nkey and a users array".to_owned());
        }
        let mut seen = HashSet::new();
        match self.users.iter().find(|user| !seen.insert(&user.user)) {
            Some(user) => {
                let name = quote(&user.user);
                Err(format!(
                    "duplicate user {name} detected in leafnode authorization"
                ))
            }
            None => Ok(()),
        }
    }
}

impl Default for RemoteLeafnode {
    fn default() -> Self {
        Self::defaults()
    }
}

impl RemoteLeafnode {
    fn settle(&mut self, table: &TableReader<'_>, report: &mut Report) {
        self.origin = table.position().into();
        if let (false, true, Some(entry)) = (
            self.nkey.is_empty(),
            self.credentials.is_some(),
            table.named(&["nkey", "seed"]),
        ) {
            let reason = "Remote leafnode can not have both creds and nkey defined";
            report
                .error(&entry.key_pos, &entry.key, reason)
                .remedy("keep one of them");
        }
        let secure = self.urls.iter().find(|url| url.scheme == "wss");
        if let (Some(_), Some(url), None, Some(entry)) =
            (&self.proxy, secure, &self.tls, table.named(&["proxy"]))
        {
            let reason = format!(
                "proxy is configured but remote URL {url} requires TLS and no TLS configuration is provided. When \
                 using proxy with TLS endpoints, ensure TLS is properly configured for the leafnode remote"
            );
            report.error(&entry.key_pos, &entry.key, reason);
        }
    }

    /// What tells remotes apart, in the reference's words. Passwords and seeds count only if `with_secrets`; never log
    /// that form.
    fn name(&self, with_secrets: bool) -> String {
        let shown = |url: &ServerUrl| {
            if with_secrets && !url.password.is_empty() {
                quote(&format!("{url} {}", url.password.expose()))
            } else {
                quote(&url.to_string())
            }
        };
        let urls: Vec<String> = self.urls.iter().map(shown).collect();
        let account = if self.account.is_empty() {
            GLOBAL_ACCOUNT
        } else {
            &self.account
        };
        let mut name = format!("urls=[{}], account={}", urls.join(" "), quote(account));
        if let Some(file) = &self.credentials {
            name.push_str(&format!(", credentials={}", quote(file)));
        }
        if !self.nkey.is_empty() {
            let shown = if with_secrets {
                self.nkey.expose()
            } else {
                "[REDACTED]"
            };
            name.push_str(&format!(", nkey={}", quote(shown)));
        }
        name
    }
}

/// `urls=[..], account=".."`, and what it logs in with; without secrets.
impl fmt::Display for RemoteLeafnode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name(false))
    }
}

impl LeafnodeProxy {
    fn settle(&mut self, table: &TableReader<'_>, report: &mut Report) {
        if let Err(reason) = self.check() {
            report.error(table.position(), "proxy", reason);
        }
    }

    fn check(&self) -> Result<(), String> {
        let fail = |reason: &str| Err(reason.to_owned());
        let login = (self.username.is_empty(), self.password.is_empty());
        if self.url.is_empty() {
            return match (login, &self.timeout, &self.tls) {
                ((true, true), None, None) => Ok(()),
                _ => fail("proxy URL must be specified when other proxy options are set"),
            };
        }
        let Some(url) = ServerUrl::parse(&self.url) else {
            return fail("invalid proxy URL");
        };
        if url.scheme != "http" && url.scheme != "https" {
            return Err(format!(
                "proxy URL scheme must be http or https, got: {}",
                url.scheme
            ));
        }
        if url.host.is_empty() {
            return fail("proxy URL must specify a host");
        }
        if self.tls.is_some() && url.scheme != "https" {
            let scheme = &url.scheme;
            return Err(format!(
                "proxy TLS configuration requires an https proxy URL, got: {scheme}"
            ));
        }
        if login.0 != login.1 {
            return fail("proxy username and password must both be specified or both be empty");
        }
        Ok(())
    }
}

fn leafnode_nkey(field: &Field<'_>, report: &mut Report) -> Option<Option<String>> {
    let key = String::from_field(field, report)?;
    if nkey::is_public(&key, nkey::Kind::User) {
        Some(Some(key))
    } else {
        field.error("Not a valid public nkey for leafnode authorization", report)
    }
}

fn leafnode_timeout(field: &Field<'_>, report: &mut Report) -> Option<Option<Duration>> {
    let prefix = "error parsing leafnode authorization config, 'timeout'";
    super::users::login_timeout(field, prefix, report)
}

fn leafnode_users(field: &Field<'_>, report: &mut Report) -> Option<Vec<LeafnodeUser>> {
    let Some(elements) = field.elements() else {
        let got = &field.node.value;
        return field.error(format!("Expected users field to be an array, got {got}"), report);
    };
    let read = elements.filter_map(|item| match &item.node.value {
        Value::Table(_) => read_section(&item, report),
        got => item.error(
            format!("Expected user entry to be a map/struct, got {got}"),
            report,
        ),
    });
    Some(read.collect())
}

fn remotes(field: &Field<'_>, report: &mut Report) -> Option<Vec<RemoteLeafnode>> {
    let Some(elements) = field.elements() else {
        let got = field.node.value.type_name();
        return field.error(
            format!("Expected remotes field to be an array, got {got}"),
            report,
        );
    };
    let mut remotes: Vec<RemoteLeafnode> = Vec::new();
    let mut names = HashSet::new();
    for item in elements {
        if item.node.value.as_table().is_none() {
            let got = &item.node.value;
            let reason = format!("Expected remote leafnode entry to be a map/struct, got {got}");
            report.error(item.pos, item.key, reason);
            continue;
        }
        let Some(remote) = read_section::<RemoteLeafnode>(&item, report) else {
            continue;
        };
        if names.insert(remote.name(true)) {
            remotes.push(remote);
        } else {
            report.error(item.pos, item.key, format!("duplicate remote {remote}"));
        }
    }
    Some(remotes)
}

fn remote_urls(field: &Field<'_>, report: &mut Report) -> Option<Vec<ServerUrl>> {
    match &field.node.value {
        Value::Array(_) => server_url::read_all(field, "leafnode", report),
        Value::String(_) => server_url::read(field, "leafnode", report).map(|url| vec![url]),
        got => field.error(
            format!("Expected remote leafnode url to be an array or string, got {got}"),
            report,
        ),
    }
}

fn remote_seed(field: &Field<'_>, report: &mut Report) -> Option<Secret> {
    let seed = String::from_field(field, report)?;
    if nkey::is_seed(&seed, nkey::Kind::User) {
        return Some(Secret::new(seed));
    }
    // The reference prints the seed; a mistyped secret is a secret still.
    field.error("Remote leafnode nkey is not a valid seed: \"[REDACTED]\"", report)
}

fn min_version(field: &Field<'_>, report: &mut Report) -> Option<Option<String>> {
    let version = String::from_field(field, report)?;
    let plain = version
        .trim_start_matches('v')
        .split(['-', '+'])
        .next()
        .unwrap_or_default();
    let parts: Vec<Option<u64>> = plain.split('.').map(|part| part.parse().ok()).collect();
    match parts.as_slice() {
        [Some(major), Some(minor), Some(_)] if (*major, *minor) >= (2, 8) => Some(Some(version)),
        [Some(_), Some(_), Some(_)] => field.error("the minimum version should be at least 2.8.0", report),
        _ => field.error("invalid leafnode's minimum version: invalid semver", report),
    }
}

fn migrate(field: &Field<'_>, report: &mut Report) -> Option<Option<MigrateOptions>> {
    match &field.node.value {
        Value::Bool(migrate) => Some(migrate.then(MigrateOptions::default)),
        Value::Table(_) => read_section(field, report).map(Some),
        other => {
            let got = other.type_name();
            let reason = format!("Expected boolean or map for jetstream_cluster_migrate, got {got}");
            field.error(reason, report)
        }
    }
}

fn proxy(field: &Field<'_>, report: &mut Report) -> Option<Option<LeafnodeProxy>> {
    readers::block(field, "Expected proxy to be a map", report)
}

fn proxy_tls(field: &Field<'_>, report: &mut Report) -> Option<Option<TlsOptions>> {
    let mut supported = true;
    for entry in field.node.value.as_table().into_iter().flatten() {
        if !CLIENT_TLS_KEYS
            .iter()
            .any(|key| key.eq_ignore_ascii_case(&entry.key))
        {
            let reason = format!("{} is not supported for proxy TLS", quote(&entry.key));
            report.error(&entry.key_pos, &entry.key, reason);
            supported = false;
        }
    }
    if supported {
        client_tls(field, report)
    } else {
        None
    }
}
