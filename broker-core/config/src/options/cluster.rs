//! `cluster` and `gateway`: how servers find each other.
//!
//! Rules: the cluster and gateway paragraphs of CORE section 15, NET 2.1, NET 3.1. What needs more than one key
//! is checked at start ([`validate`](super::blocks)).

use std::time::Duration;

use super::compression::{self, Compression};
use super::permissions::{Permissions, SubjectRule, SubjectRules, permissions};
use super::readers::{self, WriteTimeout};
use super::tls::TlsOptions;
use super::users::Authorization;
use crate::ConfigSection;
use crate::convert::{ListenAddress, Secret};
use crate::report::Report;
use crate::section::{ConfigValue, Field, TableReader, read_section};
use crate::server_url::{self, ServerUrl};
use crate::shape::Shape;
use crate::text::quote;
use crate::value::Value;

/// Routes to the other servers of one cluster.
#[derive(Clone, Debug, PartialEq, ConfigSection)]
#[config(after = ClusterOptions::settle)]
pub struct ClusterOptions {
    /// Name of the cluster, the same on all its servers, without spaces.
    #[config(with = cluster_name, default_doc = "chosen at random", spec = "NET 2.1", reload)]
    pub name: String,
    /// Host and port of the route listener in one.
    #[config(spec = "CORE-126", example = "listen: \"0.0.0.0:6222\"")]
    pub listen: Option<ListenAddress>,
    /// Host of the route listener.
    #[config(default = "0.0.0.0", alias = ["net"], spec = "NET 2.1")]
    pub host: String,
    /// Port of the route listener; -1 asks for any free one, 0 is no cluster.
    #[config(with = readers::port, default_doc = "0", spec = "NET 2.1", example = "port: 6222")]
    pub port: i32,
    /// User and password that routes from other servers must present.
    #[config(with = cluster_login, kind = "table", shape = Shape::table::<Authorization>(), spec = "NET 2.1", reload)]
    pub authorization: Option<PeerLogin>,
    /// Subjects that are sent to (import) and taken from (export) the other servers.
    #[config(with = cluster_permissions, kind = "table", shape = Shape::table::<Permissions>(), spec = "NET 2.1",
             reload)]
    pub permissions: Option<RoutePermissions>,
    /// URLs of other servers of the cluster.
    #[config(with = routes, kind = "array of URLs", shape = Shape::List(&Shape::Text), spec = "NET 2.1", reload,
             example = "routes: [\"nats-route://other:6222\"]")]
    pub routes: Vec<ServerUrl>,
    /// TLS between the servers; certificates are always required and verified.
    #[config(spec = "AUTH-302", reload)]
    pub tls: Option<TlsOptions>,
    /// `host:port` that is told to other servers in place of the listener's own.
    #[config(alias = ["cluster_advertise"], spec = "NET 2.5", reload)]
    pub advertise: String,
    /// Do not tell clients about this server's cluster.
    #[config(spec = "NET 2.5", reload)]
    pub no_advertise: bool,
    /// Attempts to reach a server that a peer told about; a configured route is tried for ever.
    #[config(with = readers::count, default_doc = "0", spec = "NET 2.5", reload)]
    pub connect_retries: u64,
    /// Wait longer after each failed attempt.
    #[config(spec = "NET 2.5", reload)]
    pub connect_backoff: bool,
    /// Connections to each other server; negative for a single one that is not pooled.
    #[config(with = readers::pool_size, kind = "integer", default_doc = "3", spec = "NET 2.4", reload)]
    pub pool_size: Option<i32>,
    /// Accounts with a route of their own.
    #[config(with = pinned_accounts, kind = "string or array", shape = Shape::OneOrMany(&Shape::Text), spec = "NET 2.4",
             reload)]
    pub accounts: Vec<String>,
    /// Compression of routes.
    #[config(with = compression::compression, kind = "bool, mode or table", shape = compression::SHAPE,
             default_doc = "accept", spec = "NET 1.5", reload)]
    pub compression: Compression,
    /// Time between pings on a route, at most 30 seconds.
    #[config(with = ping_interval, kind = "duration", default_doc = "30s", spec = "NET 1.3", reload)]
    pub ping_interval: Option<Duration>,
    /// Pings without answer after which a route is closed.
    #[config(with = readers::optional_count, kind = "integer", default_doc = "the server's", spec = "NET 1.3", reload)]
    pub ping_max: Option<u32>,
    /// How long a write to a route may block.
    #[config(with = readers::optional_duration, default_doc = "the server's", spec = "NET 1.3", reload)]
    pub write_deadline: Option<Duration>,
    /// What a blocked write does.
    #[config(with = readers::write_timeout, kind = "string", values = ["default", "close", "retry"], spec = "NET 1.3")]
    pub write_timeout: WriteTimeout,
}

/// Connections to other clusters.
#[derive(Clone, Debug, PartialEq, ConfigSection)]
#[config(after = GatewayOptions::settle)]
pub struct GatewayOptions {
    /// Name of this server's cluster among the others, without spaces.
    #[config(with = gateway_name, spec = "NET 3.1")]
    pub name: String,
    /// Host and port of the gateway listener in one.
    #[config(spec = "CORE-126", example = "listen: \"0.0.0.0:7222\"")]
    pub listen: Option<ListenAddress>,
    /// Host of the gateway listener.
    #[config(default = "0.0.0.0", alias = ["net"], spec = "NET 3.1")]
    pub host: String,
    /// Port of the gateway listener; -1 asks for any free one, 0 is no gateway.
    #[config(with = readers::port, default_doc = "0", spec = "NET 3.1", example = "port: 7222")]
    pub port: i32,
    /// User and password that other gateways must present.
    #[config(with = gateway_login, kind = "table", shape = Shape::table::<Authorization>(), spec = "NET 3.1")]
    pub authorization: Option<PeerLogin>,
    /// TLS between the clusters; certificates are always required and verified.
    #[config(spec = "AUTH-302", reload)]
    pub tls: Option<TlsOptions>,
    /// `host:port` that is told to other clusters in place of the listener's own.
    #[config(spec = "NET 3.3")]
    pub advertise: String,
    /// Attempts to reach a gateway that another told about.
    #[config(with = readers::count, default_doc = "0", spec = "NET 3.3")]
    pub connect_retries: u64,
    /// Wait longer after each failed attempt.
    #[config(spec = "NET 3.3")]
    pub connect_backoff: bool,
    /// Refuse clusters that `gateways` does not list.
    #[config(alias = ["reject_unknown"], spec = "NET 3.1")]
    pub reject_unknown_cluster: bool,
    /// The other clusters.
    #[config(with = gateways, kind = "array of tables", shape = Shape::List(&Shape::table::<RemoteGateway>()),
             spec = "NET 3.1")]
    pub gateways: Vec<RemoteGateway>,
    /// How long a write to a gateway may block.
    #[config(with = readers::optional_duration, default_doc = "the server's", spec = "NET 1.3")]
    pub write_deadline: Option<Duration>,
    /// What a blocked write does.
    #[config(with = readers::write_timeout, kind = "string", values = ["default", "close", "retry"], spec = "NET 1.3")]
    pub write_timeout: WriteTimeout,
}

/// Another cluster.
#[derive(Clone, Debug, PartialEq, ConfigSection)]
#[config(after = RemoteGateway::settle)]
pub struct RemoteGateway {
    /// Its name.
    #[config(spec = "NET 3.1")]
    pub name: String,
    /// TLS towards it, in place of the block's own.
    #[config(spec = "AUTH-302", reload)]
    pub tls: Option<TlsOptions>,
    /// One of its gateways.
    #[config(with = gateway_url, kind = "URL", shape = Shape::Text, spec = "NET 3.1", example = "url: \"nats://east:7222\"")]
    pub url: Option<ServerUrl>,
    /// Several of its gateways; `url` is added to them.
    #[config(with = gateway_urls, kind = "array of URLs", shape = Shape::List(&Shape::Text), spec = "NET 3.1")]
    pub urls: Vec<ServerUrl>,
}

/// What another server must present.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PeerLogin {
    /// User name; empty for none.
    pub user: String,
    /// Password.
    pub pass: Secret,
    /// How long the other server may take; `None` for the default.
    pub timeout: Option<Duration>,
}

/// Which interest crosses a route.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RoutePermissions {
    /// Interest of this side that is told to the other.
    pub import: SubjectRules,
    /// Interest of the other side that is taken.
    pub export: SubjectRules,
}

/// Name that no cluster may have: leafnodes use it for "none".
pub(super) const RESERVED_NAME: &str = "_";

impl Default for ClusterOptions {
    fn default() -> Self {
        Self::defaults()
    }
}

impl ClusterOptions {
    fn settle(&mut self, table: &TableReader<'_>, _report: &mut Report) {
        readers::settle_address(table, self.listen.as_ref(), &mut self.host, &mut self.port);
        if self.permissions.is_none()
            && let Some(entry) = table.named(&["authorization"])
            && let Some(block) = entry.node.value.as_table()
            && let Some(old) = block.iter().rfind(|entry| is_permissions(&entry.key))
        {
            // Reported where the block was read; a table of its own counts more.
            self.permissions = cluster_permissions(&Field::of(old), &mut Report::new()).flatten();
        }
    }
}

impl Default for GatewayOptions {
    fn default() -> Self {
        Self::defaults()
    }
}

impl GatewayOptions {
    fn settle(&mut self, table: &TableReader<'_>, _report: &mut Report) {
        readers::settle_address(table, self.listen.as_ref(), &mut self.host, &mut self.port);
    }
}

impl RemoteGateway {
    fn settle(&mut self, _table: &TableReader<'_>, _report: &mut Report) {
        self.urls.extend(self.url.take());
    }
}

/// Reads `cluster`.
pub(super) fn cluster(field: &Field<'_>, report: &mut Report) -> Option<Option<ClusterOptions>> {
    readers::block(field, "Expected map to define cluster", report)
}

/// Reads `gateway`.
pub(super) fn gateway(field: &Field<'_>, report: &mut Report) -> Option<Option<GatewayOptions>> {
    readers::block(field, "Expected gateway to be a map", report)
}

fn is_permissions(key: &str) -> bool {
    ["permissions", "default_permissions", "default_permission"]
        .iter()
        .any(|name| name.eq_ignore_ascii_case(key))
}

fn name_of(field: &Field<'_>, spaces: &str, report: &mut Report) -> Option<String> {
    let name = String::from_field(field, report)?;
    if name.contains(' ') {
        report
            .error(field.pos, field.key, spaces)
            .remedy("use - or _ instead");
        return None;
    }
    if name == RESERVED_NAME {
        return field.error("cluster name is reserved", report);
    }
    Some(name)
}

fn cluster_name(field: &Field<'_>, report: &mut Report) -> Option<String> {
    name_of(field, "cluster name cannot contain spaces", report)
}

fn gateway_name(field: &Field<'_>, report: &mut Report) -> Option<String> {
    name_of(field, "gateway name cannot contain spaces", report)
}

fn cluster_login(field: &Field<'_>, report: &mut Report) -> Option<Option<PeerLogin>> {
    let login = peer_login(field, "Cluster", report)?;
    let old = field
        .node
        .value
        .as_table()
        .and_then(|table| table.iter().rfind(|entry| is_permissions(&entry.key)));
    if let Some(old) = old {
        cluster_permissions(&Field::of(old), report)?;
        let reason = "setting \"permissions\" within cluster authorization block is deprecated";
        report
            .warning(field.pos, field.key, reason)
            .remedy("move permissions to the cluster block");
    }
    Some(Some(login))
}

fn gateway_login(field: &Field<'_>, report: &mut Report) -> Option<Option<PeerLogin>> {
    peer_login(field, "Gateway", report).map(Some)
}

/// A single user and password; `whose` begins the errors about more than that.
fn peer_login(field: &Field<'_>, whose: &str, report: &mut Report) -> Option<PeerLogin> {
    let auth: Authorization = read_section(field, report)?;
    if auth.users.is_some() {
        return field.error(
            format!("{whose} authorization does not allow multiple users"),
            report,
        );
    }
    if !auth.token.is_empty() {
        return field.error(format!("{whose} authorization does not support tokens"), report);
    }
    if auth.auth_callout.is_some() {
        return field.error(format!("{whose} authorization does not support callouts"), report);
    }
    Some(PeerLogin {
        user: auth.user.unwrap_or_default(),
        pass: auth.pass,
        timeout: auth.timeout,
    })
}

fn cluster_permissions(field: &Field<'_>, report: &mut Report) -> Option<Option<RoutePermissions>> {
    let read = permissions(field, report)??;
    if read.allow_responses.is_some() {
        return field.error("Cluster permissions do not support dynamic responses", report);
    }
    let queued = |rules: &[SubjectRule]| {
        rules
            .iter()
            .find_map(|rule| Some((rule.subject.clone(), rule.queue.clone()?)))
    };
    let export = &read.subscribe;
    let lists = [
        ("allow", export.allow.as_deref().unwrap_or_default()),
        ("deny", &export.deny),
    ];
    for (list, rules) in lists {
        if let Some((subject, queue)) = queued(rules) {
            let subject = quote(&format!("{subject} {queue}"));
            let reason = format!("cluster export {list}: subject {subject} is not a valid subject");
            return field.error(reason, report);
        }
    }
    Some(Some(RoutePermissions {
        import: read.publish,
        export: read.subscribe,
    }))
}

fn routes(field: &Field<'_>, report: &mut Report) -> Option<Vec<ServerUrl>> {
    server_url::read_all(field, "route", report)
}

fn gateway_url(field: &Field<'_>, report: &mut Report) -> Option<Option<ServerUrl>> {
    server_url::read(field, "gateway", report).map(Some)
}

fn gateway_urls(field: &Field<'_>, report: &mut Report) -> Option<Vec<ServerUrl>> {
    server_url::read_all(field, "gateway", report)
}

fn pinned_accounts(field: &Field<'_>, report: &mut Report) -> Option<Vec<String>> {
    readers::strings(field, "error parsing accounts", report)
}

/// Above 30 seconds it warns, and 30 seconds count.
fn ping_interval(field: &Field<'_>, report: &mut Report) -> Option<Option<Duration>> {
    const LONGEST: Duration = Duration::from_secs(30);
    let interval = readers::optional_duration(field, report)?;
    if interval.is_some_and(|interval| interval > LONGEST) {
        report.plain_warning(
            field.pos,
            field.key,
            "Cluster 'ping_interval' will reset to 30s which is the max for routes",
        );
    }
    Some(interval.map(|interval| interval.min(LONGEST)))
}

fn gateways(field: &Field<'_>, report: &mut Report) -> Option<Vec<RemoteGateway>> {
    let Some(elements) = field.elements() else {
        let got = field.node.value.type_name();
        return field.error(
            format!("Expected gateways field to be an array, got {got}"),
            report,
        );
    };
    let read = elements.filter_map(|item| match &item.node.value {
        Value::Table(_) => read_section(&item, report),
        got => item.error(
            format!("Expected gateway entry to be a map/struct, got {got}"),
            report,
        ),
    });
    Some(read.collect())
}
