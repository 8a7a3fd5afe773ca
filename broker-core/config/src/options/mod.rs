//! The broker's own options: the root of the configuration.
//!
//! Says what a file may contain and what is wrong with it; acts on nothing. Every key of the reference is known
//! here: acted on, remarked as having no effect yet, or refused because ignoring it would weaken security.
//! Rules: CORE-124 to CORE-127 and the tables of CORE section 15.

mod accounts;
mod blocks;
mod callout;
mod cluster;
mod compression;
mod feature_flags;
mod jetstream;
mod leafnodes;
mod listeners;
mod log_format;
mod mappings;
mod ocsp;
mod operator;
mod permissions;
mod plugins;
mod readers;
mod sharing;
mod tls;
mod users;
mod validate;

#[cfg(test)]
pub(crate) mod tests;

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

pub use accounts::{Account, AccountLimits, GLOBAL_ACCOUNT};
pub use callout::AuthCallout;
pub use cluster::{ClusterOptions, GatewayOptions, PeerLogin, RemoteGateway, RoutePermissions};
pub use compression::{Compression, CompressionMode};
pub use jetstream::{
    AccountJetStream, BatchLimits, ClusterTraffic, JetStreamLimits, JetStreamOptions, StoreCipher,
    SyncInterval, TpmOptions,
};
pub use leafnodes::{
    LeafnodeAuthorization, LeafnodeOptions, LeafnodeProxy, LeafnodeUser, MigrateOptions, RemoteLeafnode,
    expand_path,
};
pub use listeners::{ListenerLogin, MqttOptions, WebsocketOptions};
pub use log_format::LogFormat;
pub use ocsp::{OcspCacheKind, OcspCacheOptions, OcspMode, OcspOptions};
pub use operator::{DirectoryKind, DirectoryResolver, Proxies, Resolver, TrustedProxy};
pub use permissions::{Permissions, ResponsePermission, SubjectRule, SubjectRules};
pub use plugins::{PluginKind, PluginOptions};
pub use readers::WriteTimeout;
pub use sharing::{Export, Import, ImportSource, MessageTrace, ResponseType, Sampling, ServiceLatency};
pub use tls::{CertificateFiles, CipherSuite, Curve, HandshakeFirst, OcspPeer, TlsOptions, TlsVersion};
pub use users::{Authorization, ConnectionType, User};
pub use validate::ConfigError;

use dunlin_subject::Mapping;

use crate::ConfigSection;
use crate::convert::{ListenAddress, Secret};
use crate::report::Report;
use crate::section::TableReader;
use crate::shape::Shape;
use crate::text::quote;

/// Name of the system account where the configuration gives none.
const SYSTEM_ACCOUNT: &str = "$SYS";

/// Options of the broker. Fields are public, so that flags of the command line can replace them.
#[derive(Clone, Debug, PartialEq, ConfigSection)]
#[config(
    after = Config::settle,
    compare,
)]
pub struct Config {
    /// Host and port of the NATS listener in one.
    #[config(default_doc = "0.0.0.0:4222", spec = "CORE-126")]
    pub listen: Option<ListenAddress>,
    /// Host of the NATS listener.
    #[config(default = "0.0.0.0", alias = ["net"], spec = "CORE section 15")]
    pub host: String,
    /// Port of the NATS listener; -1 asks for any free one.
    #[config(default = 4222, with = readers::port, kind = "integer", spec = "CORE section 15")]
    pub port: i32,
    /// `host:port` that is told to clients in place of the listener's own.
    #[config(reload, spec = "CORE section 15")]
    pub client_advertise: Option<String>,
    /// Name of this server, without spaces. Default: its id.
    #[config(with = readers::server_name, kind = "string", default_doc = "the server's id", spec = "CORE-127")]
    pub server_name: Option<String>,
    /// Log what the broker does.
    #[config(reload, spec = "CORE section 15")]
    pub debug: bool,
    /// Log the protocol lines of clients.
    #[config(reload, spec = "CORE-141")]
    pub trace: bool,
    /// Log the protocol lines of the system account too. Sets `trace`.
    #[config(reload, spec = "CORE-141")]
    pub trace_verbose: bool,
    /// Log only the headers of traced messages. Sets `trace`.
    #[config(reload, spec = "CORE-141")]
    pub trace_headers: bool,
    /// Longest part of a traced message that is logged, in bytes; 0 for all.
    #[config(with = readers::count, kind = "integer", default_doc = "0", reload, spec = "CORE-141")]
    pub max_traced_msg_len: u64,
    /// Begin log lines with the time.
    #[config(default = true, reload, spec = "CORE-138")]
    pub logtime: bool,
    /// Log the time in UTC rather than local time.
    #[config(reload, spec = "CORE-138")]
    pub logtime_utc: bool,
    /// File to log to, in place of standard error.
    #[config(alias = ["logfile"], reload, spec = "CORE-138")]
    pub log_file: Option<String>,
    /// Size in bytes at which the log file is rotated; 0 for never.
    #[config(alias = ["logfile_size_limit"], with = readers::count, kind = "integer", default_doc = "0", spec = "CORE-139")]
    pub log_size_limit: u64,
    /// Log files to keep, the current one included; 0 for all.
    #[config(alias = ["logfile_max_num"], with = readers::count, kind = "integer", default_doc = "0", option = "LogMaxFiles", spec = "CORE-139")]
    pub log_max_num: u64,
    /// How log lines look: `text`, the reference's lines, or `json`, one object a line.
    #[config(default = "text", reload, spec = "Dunlin's own")]
    pub log_format: LogFormat,
    /// Log to the machine's syslog. `log_file` and `remote_syslog` win over it.
    #[config(reload, spec = "CORE-140")]
    pub syslog: bool,
    /// Log to a syslog elsewhere: `udp://host:port`, `tcp://host:port` or `unix:///path`. `log_file` wins over it.
    #[config(reload, spec = "CORE-140")]
    pub remote_syslog: Option<String>,
    /// File that receives the process id.
    #[config(alias = ["pidfile"], reload, spec = "CORE-135")]
    pub pid_file: Option<String>,
    /// Directory that receives a file with the ports in use.
    #[config(reload, spec = "CORE-135")]
    pub ports_file_dir: Option<String>,
    /// Port of the profiler.
    #[config(with = readers::port, inert, default_doc = "0", spec = "CORE section 15")]
    pub prof_port: i32,
    /// Nanoseconds of blocking per profiled event.
    #[config(inert, spec = "CORE section 15", unit = "nanoseconds", reload)]
    pub prof_block_rate: i64,
    /// Longest protocol line, without payload, in bytes.
    #[config(default = 4096, with = readers::control_line, kind = "integer", reload, spec = "CORE section 15")]
    pub max_control_line: u32,
    /// Largest message, headers and payload, in bytes; -1 for no limit.
    #[config(default = 1_048_576, with = readers::payload, kind = "integer", reload, spec = "CORE section 15")]
    pub max_payload: i32,
    /// Most bytes that may wait for one slow connection.
    #[config(default = 67_108_864, with = readers::pending, kind = "integer", spec = "CORE section 15")]
    pub max_pending: u64,
    /// Most client connections; 0 refuses all.
    #[config(default = 65_536, with = readers::connections, kind = "integer", alias = ["max_conn"], reload, spec = "CORE section 15")]
    pub max_connections: u32,
    /// Most connections of a listener that may wait for their login; beyond it the one that has waited longest is
    /// closed. 0: a quarter of `max_connections`, at least 64. Not a key of the reference.
    #[config(with = readers::count32, kind = "integer", default_doc = "0", reload)]
    pub max_pending_logins: u32,
    /// Most subscriptions of one connection; 0 for no limit.
    #[config(with = readers::count32, kind = "integer", default_doc = "0", alias = ["max_subs"], option = "MaxSubs", spec = "CORE section 15")]
    pub max_subscriptions: u32,
    /// Most tokens in a subscription's subject, 1 to 255; 0 (absent) for no limit.
    #[config(with = readers::sub_tokens, kind = "integer", default_doc = "0", alias = ["max_subscription_tokens"], spec = "CORE section 15")]
    pub max_sub_tokens: u8,
    /// Closed connections that are kept for monitoring.
    #[config(default = 10_000, with = readers::positive32, kind = "integer", spec = "MON-51")]
    pub max_closed_clients: u32,
    /// Time between pings to an idle connection.
    #[config(default = "2m", with = readers::duration, kind = "duration", reload, spec = "CORE-126")]
    pub ping_interval: Duration,
    /// Pings without answer after which a connection is closed.
    #[config(default = 2, with = readers::positive32, kind = "integer", reload, spec = "CORE section 15")]
    pub ping_max: u32,
    /// How long a write to a connection may block before it counts as slow.
    #[config(default = "10s", with = readers::duration, kind = "duration", reload, spec = "CORE-126")]
    pub write_deadline: Duration,
    /// What becomes of a client whose write blocks for longer: `close` (the default) closes it; with `retry` a write that
    /// has got somewhere goes on.
    #[config(with = readers::write_timeout, kind = "string", values = ["default", "close", "retry"],
             default_doc = "default", spec = "CORE-69")]
    pub write_timeout: WriteTimeout,
    /// Over which time a lame duck closes its connections; at least 30 seconds.
    #[config(default = "2m", with = readers::lame_duck, kind = "duration", spec = "CORE section 15")]
    pub lame_duck_duration: Duration,
    /// How long a lame duck waits before it closes the first connection.
    #[config(default = "10s", with = readers::grace, kind = "duration", spec = "CORE section 15")]
    pub lame_duck_grace_period: Duration,
    /// Do not slow a publisher down when its receivers fall behind: they miss its messages instead.
    #[config(reload, spec = "CORE section 15")]
    pub no_fast_producer_stall: bool,
    /// Take the client's address from a PROXY header, version 1 or 2, where a connection begins with one. For
    /// listeners that only a load balancer can reach: the header is believed.
    #[config(spec = "CORE-88")]
    pub proxy_protocol: bool,
    /// Proxies whose word about a connection counts: they sign the nonce (`proxy_required`).
    #[config(with = operator::proxies, kind = "table", spec = "AUTH-1400", reload)]
    pub proxies: Option<Proxies>,
    /// Do not cache which subscriptions match a subject.
    #[config(alias = ["no_sublist_cache"], option = "NoSublistCache", spec = "CORE section 15")]
    pub disable_sublist_cache: bool,
    /// Do not accept messages with headers.
    #[config(spec = "CORE section 15")]
    pub no_header_support: bool,
    /// Failed attempts to reach a server between two log lines, the first time.
    #[config(default = 3600, with = readers::reports, inert, spec = "CORE section 15", reload)]
    pub connect_error_reports: u64,
    /// The same once it was reached before.
    #[config(default = 1, with = readers::reports, inert, spec = "CORE section 15", reload)]
    pub reconnect_error_reports: u64,
    /// Host and port of the monitoring page.
    #[config(inert, spec = "MON-10", example = "http: 8222")]
    pub http: Option<ListenAddress>,
    /// Host and port of the monitoring page with TLS.
    #[config(inert, spec = "MON-10", example = "https: 8222")]
    pub https: Option<ListenAddress>,
    /// Port of the monitoring page; 0 for none.
    #[config(with = readers::port, inert, alias = ["monitor_port"], default_doc = "0", spec = "MON-10")]
    pub http_port: i32,
    /// Port of the monitoring page with TLS; 0 for none.
    #[config(with = readers::port, inert, default_doc = "0", spec = "MON-10")]
    pub https_port: i32,
    /// Path before all pages of the monitoring.
    #[config(default = "/", with = readers::base_path, inert, spec = "MON-10")]
    pub http_base_path: String,
    /// Who may connect. Absent, with no user in `accounts` either: everybody.
    #[config(reload, spec = "AUTH-5")]
    pub authorization: Option<Authorization>,
    /// Accounts, by name; or a list of names.
    #[config(with = accounts::accounts, kind = "table or array of names", shape = accounts::SHAPE, reload = "accounts", spec = "CORE section 15")]
    pub accounts: Vec<Account>,
    /// Subject mappings of the global account: by source, a destination or a list of weighted ones.
    #[config(with = mappings::mappings, kind = "table", shape = mappings::SHAPE, alias = ["maps"], reload, spec = "AUTH-800")]
    pub mappings: Vec<Mapping>,
    /// User whose rights a connection without credentials gets.
    #[config(spec = "AUTH-13")]
    pub no_auth_user: Option<String>,
    /// JWT of a user whose rights a connection without credentials gets, in operator mode.
    #[config(inert, spec = "AUTH-1100", secret)]
    pub default_sentinel: Secret,
    /// Operators that vouch for accounts: files, or JWTs.
    #[config(with = operator::operators, kind = "string or array", shape = Shape::OneOrMany(&Shape::Text), refused,
             alias = ["operators", "root", "roots", "root_operator", "root_operators"], spec = "AUTH-1100")]
    pub operator: Vec<String>,
    /// Where the JWTs of accounts come from: `MEM`, `URL(..)`, or a directory.
    #[config(with = operator::resolver, example = "resolver: MEM", kind = "string or table", shape = operator::RESOLVER, refused,
             alias = ["account_resolver", "accounts_resolver"], spec = "AUTH-1200", reload)]
    pub resolver: Option<Resolver>,
    /// Public nkeys of operators, in place of their JWTs.
    #[config(with = operator::trusted_keys, example = "trusted_keys: OA2GBPRREAPGT7W2UDXOROMZP5OHYKMZ7WX6LEZFHTLFJL2N7LLRJHQ6", kind = "string or array", shape = Shape::OneOrMany(&Shape::Text), refused,
             alias = ["trusted"], spec = "AUTH-1100")]
    pub trusted_keys: Vec<String>,
    /// Account that carries system messages. Default: `$SYS`.
    #[config(with = readers::system_account, kind = "string", default_doc = "$SYS", alias = ["system"], spec = "CORE section 15")]
    pub system_account: Option<String>,
    /// Run without a system account.
    #[config(alias = ["no_system", "no_sys_acc"], spec = "CORE section 15")]
    pub no_system_account: bool,
    /// Routes to the other servers of the cluster.
    #[config(with = cluster::cluster, kind = "table", inert, spec = "NET 2.1", reload)]
    pub cluster: Option<ClusterOptions>,
    /// Connections to other clusters.
    #[config(with = cluster::gateway, kind = "table", inert, spec = "NET 3.1")]
    pub gateway: Option<GatewayOptions>,
    /// Leafnodes: those that connect here, and those that this server is.
    #[config(with = leafnodes::leafnodes, kind = "table", inert, alias = ["leaf"], spec = "NET 4.1", reload)]
    pub leafnodes: Option<LeafnodeOptions>,
    /// NATS and MQTT over WebSocket.
    #[config(with = listeners::websocket, kind = "table", inert, alias = ["ws"], spec = "WS C1")]
    pub websocket: Option<WebsocketOptions>,
    /// MQTT.
    #[config(with = listeners::mqtt, kind = "table", inert, spec = "MQTT A1", reload)]
    pub mqtt: Option<MqttOptions>,
    /// JetStream: a bool, `enabled`, or a table.
    #[config(with = jetstream::jetstream, kind = "bool, string or table", shape = jetstream::SHAPE, inert,
             spec = "CORE section 15", reload)]
    pub jetstream: Option<JetStreamOptions>,
    /// Directory of the streams. It may stand in `jetstream` instead.
    #[config(inert, alias = ["storedir"], spec = "CORE section 15")]
    pub store_dir: String,
    /// Domains of JetStream by account.
    #[config(with = readers::js_domains, kind = "table of strings", inert, spec = "CORE section 15")]
    pub default_js_domain: BTreeMap<String, String>,
    /// Tags of this server, for placement.
    #[config(with = users::server_tags, kind = "string or array", reload = "tags", spec = "CORE section 15")]
    pub server_tags: Vec<String>,
    /// Free facts about this server.
    #[config(with = readers::metadata, kind = "table of strings", reload = "metadata", spec = "CORE section 15")]
    pub server_metadata: BTreeMap<String, String>,
    /// Switches of features that are being introduced.
    #[config(with = feature_flags::feature_flags, kind = "table of bools", inert, spec = "CORE section 15")]
    pub feature_flags: BTreeMap<String, bool>,
    /// TLS of the NATS listener.
    #[config(with = tls::client_tls, spec = "AUTH-300", reload)]
    pub tls: Option<TlsOptions>,
    /// Accept plain connections beside TLS.
    #[config(option = "AllowNonTLS", spec = "AUTH-303")]
    pub allow_non_tls: bool,
    /// Serve the own certificate with its status: a bool, or `{mode, url, urls}`.
    #[config(with = ocsp::ocsp, kind = "bool or table", shape = ocsp::SHAPE, inert, spec = "AUTH-400", reload)]
    pub ocsp: Option<OcspOptions>,
    /// Remember the status of peers' certificates: a bool, or a table.
    #[config(with = ocsp::ocsp_cache, kind = "bool or table", shape = ocsp::CACHE, inert, spec = "AUTH-413", reload)]
    pub ocsp_cache: Option<OcspCacheOptions>,
    /// TLS towards the server of `URL(..)`.
    #[config(with = tls::client_tls, kind = "table", inert, spec = "AUTH-300", reload)]
    pub resolver_tls: Option<TlsOptions>,
    /// JWTs by account.
    #[config(with = operator::preload, example = "resolver_preload { ACSU3SQYEUYLWHLNCMWN5VRDPMXNSHR7OIP4WGLRC5CJJVSJHSOVZQKS: eyJ0.eyJq.c2ln }", kind = "table of JWTs", inert, spec = "AUTH-1200")]
    pub resolver_preload: BTreeMap<String, String>,
    /// Accounts whose JWTs must not be replaced by other servers.
    #[config(with = operator::pinned_accounts, kind = "string or array", shape = Shape::OneOrMany(&Shape::Text), inert,
             spec = "AUTH-1200")]
    pub resolver_pinned_accounts: Vec<String>,
    /// Options of plugins: `plugins.<kind>.<name>`, kind being listener, auth, store or service.
    #[config(with = plugins::plugins, kind = "table", shape = plugins::SHAPE)]
    pub plugins: Vec<PluginOptions>,
}

/// What an empty file gives.
impl Default for Config {
    fn default() -> Self {
        Self::defaults()
    }
}

impl Config {
    /// All users, with the account that they belong to.
    pub fn users(&self) -> impl Iterator<Item = (&str, &User)> {
        let global = self
            .authorization
            .iter()
            .flat_map(|auth| auth.users.iter().flatten());
        let others = self
            .accounts
            .iter()
            .flat_map(|account| account.users.iter().map(|user| (account.name.as_str(), user)));
        global.map(|user| (GLOBAL_ACCOUNT, user)).chain(others)
    }

    /// How many connections of a listener may wait for their login, the default worked out.
    pub fn pending_logins(&self) -> u32 {
        const LEAST: u32 = 64;
        match self.max_pending_logins {
            0 => (self.max_connections / 4).max(LEAST),
            given => given,
        }
    }

    /// How long a connection may take to log in: what the file says, else 2 seconds, with TLS one more than its
    /// handshake (AUTH-11).
    pub fn auth_timeout(&self) -> Duration {
        let given = self.authorization.as_ref().and_then(|auth| auth.timeout);
        given.unwrap_or_else(|| match &self.tls {
            Some(tls) => tls.handshake_timeout() + Duration::from_secs(1),
            None => Duration::from_secs(2),
        })
    }

    /// Host of the monitoring page: that of `https` or `http` where they name one, else the NATS listener's.
    pub fn monitor_host(&self) -> &str {
        let given = [&self.https, &self.http];
        let named = given.into_iter().flatten().map(|listen| listen.host.as_str());
        named
            .into_iter()
            .find(|host| !host.is_empty())
            .unwrap_or(&self.host)
    }

    /// Name of the account that carries system messages; `None` when there is none.
    pub fn system_account_name(&self) -> Option<&str> {
        let name = self.system_account.as_deref().unwrap_or(SYSTEM_ACCOUNT);
        (!self.no_system_account).then_some(name)
    }

    /// Options of the plugins of one kind, in the order of the file.
    pub fn plugins_of(&self, kind: PluginKind) -> impl Iterator<Item = &PluginOptions> {
        self.plugins.iter().filter(move |plugin| plugin.kind == kind)
    }

    fn settle(&mut self, table: &TableReader<'_>, report: &mut Report) {
        self.trace |= self.trace_verbose || self.trace_headers;
        readers::settle_address(table, self.listen.as_ref(), &mut self.host, &mut self.port);
        if self.port == 0 {
            self.port = 4222;
        }
        readers::settle_monitoring(table, self);
        jetstream::check_store_dir(table, report);
        jetstream::check_file_storage(table, &self.plugins, report);
        self.check_callout(report);
        self.check_authorization(table, report);
        self.check_unique_users(report);
    }

    /// AUTH-6: one user, one token, or many users.
    fn check_authorization(&self, table: &TableReader<'_>, report: &mut Report) {
        let Some(auth) = &self.authorization else { return };
        let Some(entry) = table.named(&["authorization"]) else {
            return;
        };
        let (pos, key) = (&entry.key_pos, &*entry.key);
        let single = auth.user.is_some();
        let token = !auth.token.is_empty();
        if token && (single || !auth.pass.is_empty()) {
            report
                .error(pos, key, "Cannot have a user/pass and token")
                .remedy("keep one of them");
        } else if auth.users.is_some() && single {
            report
                .error(pos, key, "Can not have a single user/pass and a users array")
                .remedy("move the single user into users");
        } else if auth.users.is_some() && token {
            report
                .error(pos, key, "Can not have a token and a users array")
                .remedy("keep one of them");
        }
        for account in self.accounts.iter().filter(|account| !account.users.is_empty()) {
            let at = account.users_origin.0.as_ref().unwrap_or(pos);
            if single {
                report.error(at, "users", "Can not have a single user/pass and accounts");
            } else if token {
                report.error(at, "users", "Can not have a token and accounts");
            }
        }
    }

    /// Accounts that a callout may name must exist.
    fn check_callout(&self, report: &mut Report) {
        let callout = self
            .authorization
            .as_ref()
            .and_then(|auth| auth.auth_callout.as_ref());
        let Some(callout) = callout else { return };
        for name in &callout.allowed_accounts {
            if !self.accounts.iter().any(|account| account.name == *name) {
                let reason = format!(
                    "auth_callout allowed account {} not found in configured accounts",
                    quote(name)
                );
                match &callout.origin.0 {
                    Some(position) => report.error(position, "allowed_accounts", reason),
                    None => report.error_anywhere("allowed_accounts", reason),
                };
            }
        }
    }

    /// AUTH-6: names are unique over authorization and all accounts, users and nkeys together.
    fn check_unique_users(&self, report: &mut Report) {
        let mut seen = HashSet::new();
        for (_, user) in self.users() {
            let (kind, name) = match &user.nkey {
                Some(key) => ("nkey", key),
                None => ("user", &user.user),
            };
            if name.is_empty() || seen.insert(name) {
                continue;
            }
            let reason = format!("Duplicate {kind} {} detected", quote(name));
            match &user.origin.0 {
                Some(position) => report.error(position, kind, reason),
                None => report.error_anywhere(kind, reason),
            };
        }
    }
}
