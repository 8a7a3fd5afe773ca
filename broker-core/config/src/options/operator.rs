//! Operator mode, resolvers and trusted proxies: who vouches for accounts and connections.
//!
//! Says what the file asks for; opens no JWT and no directory. Rules: CORE section 15, AUTH-1100, AUTH-1200, AUTH-1400.

use std::collections::BTreeMap;
use std::time::Duration;

use super::readers;
use crate::ConfigSection;
use crate::nkey;
use crate::report::Report;
use crate::section::{ConfigValue, Field, TableReader, read_section};
use crate::shape::Shape;
use crate::text::{parse_duration, quote};
use crate::value::Value;

/// Where the JWTs of accounts come from.
#[derive(Clone, Debug, PartialEq)]
pub enum Resolver {
    /// From `resolver_preload` alone.
    Memory,
    /// From a server, at this URL with the account's key added.
    Url(String),
    /// From a directory, which may be a cache of other servers'.
    Directory(DirectoryResolver),
}

/// JWTs in a directory.
#[derive(Clone, Debug, PartialEq, ConfigSection)]
#[config(after = DirectoryResolver::settle)]
pub struct DirectoryResolver {
    /// The directory.
    #[config(spec = "AUTH-1200")]
    pub dir: String,
    /// Whether it holds all JWTs (`full`) or those in use (`cache`); `mem` for none.
    #[config(with = directory_kind, kind = "string", nats_conf = "type", values = ["full", "cache", "mem"], spec = "AUTH-1200")]
    pub kind: DirectoryKind,
    /// Allow to delete accounts; full only.
    #[config(spec = "AUTH-1200")]
    pub allow_delete: bool,
    /// Remove deleted JWTs rather than rename them; full only, with `allow_delete`.
    #[config(spec = "AUTH-1200")]
    pub hard_delete: Option<bool>,
    /// Most JWTs; 0 for no limit.
    #[config(spec = "AUTH-1200")]
    pub limit: i64,
    /// How long an unused JWT is kept; cache only.
    #[config(with = plain_duration, kind = "duration", default_doc = "for ever", spec = "AUTH-1200")]
    pub ttl: Option<Duration>,
    /// How often servers compare their JWTs; full only.
    #[config(with = plain_duration, kind = "duration", default_doc = "1m", spec = "AUTH-1200")]
    pub interval: Option<Duration>,
    /// How long a look-up may take.
    #[config(with = plain_duration, kind = "duration", default_doc = "2s", spec = "AUTH-1200")]
    pub timeout: Option<Duration>,
}

/// Which JWTs a directory holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DirectoryKind {
    /// None: as `MEM`.
    #[default]
    Memory,
    /// All.
    Full,
    /// Those in use.
    Cache,
}

/// Proxies whose word about a connection counts.
#[derive(Clone, Debug, Default, PartialEq, Eq, ConfigSection)]
pub struct Proxies {
    /// The proxies.
    #[config(with = trusted_proxies, kind = "array of tables", shape = Shape::List(&Shape::table::<TrustedProxy>()),
             spec = "AUTH-1400", reload)]
    pub trusted: Vec<TrustedProxy>,
}

/// A trusted proxy.
#[derive(Clone, Debug, Default, PartialEq, Eq, ConfigSection)]
pub struct TrustedProxy {
    /// Its public nkey, of any kind.
    #[config(with = proxy_key, kind = "nkey", example = "key: UAT2BLVT73USGL4K6IQR7HXESHC3CC7MWVLDX7A6N6JUE7WLZD7CS7KG", alias = ["public_key"], spec = "AUTH-1400", reload)]
    pub key: String,
}

/// `MEM`, `URL(..)` or a table.
pub(super) const RESOLVER: Shape = Shape::AnyOf(&[Shape::Text, Shape::table::<DirectoryResolver>()]);

/// Reads `operator`: files or JWTs, one or many.
pub(super) fn operators(field: &Field<'_>, report: &mut Report) -> Option<Vec<String>> {
    readers::strings(field, "error parsing operators", report)
}

/// Reads `resolver`.
pub(super) fn resolver(field: &Field<'_>, report: &mut Report) -> Option<Option<Resolver>> {
    let resolver = match &field.node.value {
        Value::String(text) => named_resolver(text),
        Value::Table(table) => {
            let read: DirectoryResolver = read_section(field, report)?;
            match read.kind {
                DirectoryKind::Memory if TableReader::new(table, field.pos).named(&["type"]).is_none() => {
                    None
                }
                DirectoryKind::Memory => Some(Resolver::Memory),
                _ => Some(Resolver::Directory(read)),
            }
        }
        other => {
            let got = other.type_name();
            return field.error(
                format!("error parsing operator resolver, wrong type {got}"),
                report,
            );
        }
    };
    if resolver.is_none() {
        report
            .error(
                field.pos,
                field.key,
                "error parsing account resolver, should be MEM or  URL(\"url\") or a map containing dir and type \
                 state=[FULL|CACHE])",
            )
            .remedy("write MEM, URL(https://..), or { type: full, dir: .. }");
    }
    resolver.map(Some)
}

fn named_resolver(text: &str) -> Option<Resolver> {
    let lower = text.to_ascii_lowercase();
    if lower.contains("mem") {
        return Some(Resolver::Memory);
    }
    let (_, rest) = text.split_at_checked(lower.find("url(")? + "url(".len())?;
    let (url, _) = rest.split_once(')')?;
    let url = url.trim().trim_matches('"');
    (!url.is_empty()).then(|| Resolver::Url(url.to_owned()))
}

impl DirectoryResolver {
    fn settle(&mut self, table: &TableReader<'_>, report: &mut Report) {
        let mut error = |text: &str| {
            report.error(table.position(), "resolver", text);
        };
        if self.kind != DirectoryKind::Memory && self.dir.is_empty() {
            error("dir has no value and needs to point to a directory");
        }
        match self.kind {
            DirectoryKind::Cache => {
                if self.interval.is_some() {
                    error("CACHE does not accept sync");
                }
                if self.allow_delete {
                    error("CACHE does not accept allow_delete");
                }
                if self.hard_delete.is_some() {
                    error("CACHE does not accept hard_delete");
                }
            }
            DirectoryKind::Full => {
                if self.ttl.is_some() {
                    error("FULL does not accept ttl");
                }
                if self.hard_delete.is_some() && !self.allow_delete {
                    error("hard_delete has no effect without delete");
                }
            }
            DirectoryKind::Memory => {}
        }
    }
}

fn directory_kind(field: &Field<'_>, report: &mut Report) -> Option<DirectoryKind> {
    match String::from_field(field, report)?.to_uppercase().as_str() {
        "FULL" => Some(DirectoryKind::Full),
        "CACHE" => Some(DirectoryKind::Cache),
        "MEM" | "MEMORY" => Some(DirectoryKind::Memory),
        other => field.error(format!("unknown type of resolver {}", quote(other)), report),
    }
}

fn plain_duration(field: &Field<'_>, report: &mut Report) -> Option<Option<Duration>> {
    let text = String::from_field(field, report)?;
    match parse_duration(&text) {
        Ok(nanoseconds) => {
            let duration = u64::try_from(nanoseconds).ok().map(Duration::from_nanos);
            Some(duration.filter(|duration| !duration.is_zero()))
        }
        Err(reason) => field.error(reason.to_string(), report),
    }
}

/// Reads `resolver_preload`: JWTs by account key. Whether they are genuine is found out later.
pub(super) fn preload(field: &Field<'_>, report: &mut Report) -> Option<BTreeMap<String, String>> {
    let Value::Table(table) = &field.node.value else {
        return field.error(
            "preload should be a map of account_public_key:account_jwt",
            report,
        );
    };
    let read = table.iter().filter_map(|entry| {
        let field = Field::of(entry);
        match entry.node.value.as_str() {
            Some(jwt) if is_jwt(jwt) => Some((entry.key.to_string(), jwt.to_owned())),
            Some(_) => field.error("invalid account JWT", report),
            None => field.error("preload map value should be a string JWT", report),
        }
    });
    Some(read.collect())
}

/// Three words of base64url with dots between.
fn is_jwt(text: &str) -> bool {
    let word = |part: &str| {
        !part.is_empty()
            && part
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'='))
    };
    text.split('.').count() == 3 && text.split('.').all(word)
}

/// Reads `resolver_pinned_accounts`.
pub(super) fn pinned_accounts(field: &Field<'_>, report: &mut Report) -> Option<Vec<String>> {
    readers::strings(field, "error parsing resolver_pinned_accounts", report)
}

/// Reads `trusted_keys`.
pub(super) fn trusted_keys(field: &Field<'_>, report: &mut Report) -> Option<Vec<String>> {
    let keys = readers::strings(field, "error parsing trusted", report)?;
    for key in &keys {
        if !nkey::is_public(key, nkey::Kind::Operator) {
            let reason = format!(
                "trust key {} required to be a valid public operator nkey",
                quote(key)
            );
            report.error(field.pos, field.key, reason);
        }
    }
    Some(keys)
}

/// Reads `proxies`.
pub(super) fn proxies(field: &Field<'_>, report: &mut Report) -> Option<Option<Proxies>> {
    readers::block(field, "expected proxies to be a map/struct", report)
}

fn trusted_proxies(field: &Field<'_>, report: &mut Report) -> Option<Vec<TrustedProxy>> {
    let Some(elements) = field.elements() else {
        let got = field.node.value.type_name();
        let reason = format!("expected proxies' trusted field to be an array, got {got}");
        return field.error(reason, report);
    };
    let read = elements.filter_map(|item| {
        readers::block(
            &item,
            "expected proxies' trusted entry to be a map/struct",
            report,
        )
        .flatten()
    });
    Some(read.collect())
}

fn proxy_key(field: &Field<'_>, report: &mut Report) -> Option<String> {
    let key = String::from_field(field, report)?;
    if nkey::is_any_public(&key) {
        Some(key)
    } else {
        field.error(format!("invalid proxy key {}", quote(&key)), report)
    }
}
