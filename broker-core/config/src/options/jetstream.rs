//! `jetstream`, of the server and of an account.
//!
//! Rules: the jetstream paragraph and the accounts table of CORE section 15, CLUS section 20.

use std::time::Duration;

use super::plugins::{PluginKind, PluginOptions};
use super::readers::choice;
use crate::ConfigSection;
use crate::convert::{ByteSize, Secret};
use crate::report::Report;
use crate::section::{ConfigValue, Field, TableReader, read_section};
use crate::shape::Shape;
use crate::text::{parse_duration, quote};
use crate::value::Value;

/// Streams of storage `file` in nats-server's own layout.
const BUILT_IN_STORAGE: &str = "file";

/// JetStream of this server.
#[derive(Clone, Debug, PartialEq, ConfigSection)]
pub struct JetStreamOptions {
    /// Run JetStream; the table alone says yes.
    #[config(default = true, alias = ["enable"], spec = "CORE section 15", reload)]
    pub enabled: bool,
    /// Refuse API requests with unknown fields.
    #[config(default = true, with = strict, kind = "bool", spec = "CORE section 15")]
    pub strict: bool,
    /// Directory of the streams. It may stand at the top level instead.
    #[config(alias = ["store", "storedir"], default_doc = "a directory for temporary files", spec = "CORE section 15",
             example = "store_dir: \"/var/lib/dunlin\"")]
    pub store_dir: String,
    /// Store plugin that keeps streams of storage `file`: `file` for files in nats-server's own layout, or one that is
    /// configured under `plugins.store`, such as `sled`. Dunlin only.
    #[config(default = "file", example = "file_storage: file")]
    pub file_storage: String,
    /// How often files are synced: a duration, or `always`, before each answer.
    #[config(with = sync_interval, kind = "duration or \"always\"", shape = SYNC, default_doc = "2m", alias = ["sync"],
             spec = "CORE section 15")]
    pub sync_interval: Option<SyncInterval>,
    /// Memory for streams; a size such as `1G`.
    #[config(with = max_memory, kind = "size", default_doc = "three quarters of the memory", alias = ["max_mem_store", "max_mem"],
             spec = "CORE section 15", reload, example = "max_memory_store: 1G")]
    pub max_memory_store: Option<ByteSize>,
    /// Disk for streams; a size such as `100G`.
    #[config(with = max_file, kind = "size", default_doc = "three quarters of the free disk", alias = ["max_file"],
             spec = "CORE section 15", reload, example = "max_file_store: 100G")]
    pub max_file_store: Option<ByteSize>,
    /// Domain, which tells JetStream of one leafnode from another's.
    #[config(spec = "CORE section 15")]
    pub domain: String,
    /// Key that encrypts the files.
    #[config(alias = ["ek", "encryption_key"], spec = "CORE section 15", secret)]
    pub key: Secret,
    /// Key that older files are encrypted with.
    #[config(alias = ["prev_ek", "prev_encryption_key"], spec = "CORE section 15", secret)]
    pub prev_key: Secret,
    /// Cipher of the files.
    #[config(with = cipher, kind = "string", values = ["chacha", "aes"], default_doc = "chacha", spec = "CORE section 15")]
    pub cipher: Option<StoreCipher>,
    /// Whether a leafnode's JetStream extends the hub's: `will_extend` or `no_extend`.
    #[config(spec = "CLUS 20")]
    pub extension_hint: String,
    /// Prefix of a server tag in which the replicas of a stream must differ.
    #[config(with = unique_tag, spec = "CORE section 15")]
    pub unique_tag: String,
    /// Limits that streams and consumers may not exceed.
    #[config(with = limits, kind = "table", spec = "CORE section 15")]
    pub limits: JetStreamLimits,
    /// Key from a trusted platform module.
    #[config(with = tpm, kind = "table", spec = "CORE section 15")]
    pub tpm: Option<TpmOptions>,
    /// Bytes on their way to replicas that catch up.
    #[config(with = size, kind = "size", default_doc = "64M", spec = "CLUS 20")]
    pub max_outstanding_catchup: Option<ByteSize>,
    /// Bytes that may wait for one stream.
    #[config(with = size, kind = "size", default_doc = "128M", spec = "CORE section 15")]
    pub max_buffered_size: Option<ByteSize>,
    /// Messages that may wait for one stream.
    #[config(with = whole, kind = "integer", default_doc = "10000", spec = "CORE section 15")]
    pub max_buffered_msgs: Option<u64>,
    /// API requests that may wait.
    #[config(with = whole, kind = "integer", default_doc = "10000", spec = "CORE section 15")]
    pub request_queue_limit: Option<u64>,
    /// Requests for information that may wait.
    #[config(with = whole, kind = "integer", default_doc = "request_queue_limit", spec = "CORE section 15")]
    pub info_queue_limit: Option<u64>,
    /// Entries of the meta log after which it is compacted.
    #[config(with = absolute, kind = "integer", default_doc = "0", spec = "CLUS 20", reload)]
    pub meta_compact: u64,
    /// Bytes of the meta log after which it is compacted.
    #[config(with = absolute_size, kind = "size", default_doc = "0", spec = "CLUS 20", reload)]
    pub meta_compact_size: ByteSize,
    /// Sync the meta log's snapshot.
    #[config(spec = "CLUS 20", reload)]
    pub meta_compact_sync: bool,
    /// File operations at the same time, 4 to 8192.
    #[config(with = concurrent_io, kind = "integer", default_doc = "4096", spec = "CORE section 15")]
    pub max_concurrent_io: Option<u32>,
}

/// Limits that streams and consumers may not exceed; `None` is no limit.
#[derive(Clone, Debug, PartialEq, Eq, ConfigSection)]
pub struct JetStreamLimits {
    /// Consumers of a stream that sets no limit; negative for none.
    #[config(default = 1000, spec = "CORE section 15")]
    pub default_max_consumers: i64,
    /// Highest `max_ack_pending` of a consumer.
    #[config(with = limit, kind = "integer", default_doc = "none", spec = "CORE section 15")]
    pub max_ack_pending: Option<u64>,
    /// Replicated streams and consumers of this server.
    #[config(with = limit, kind = "integer", default_doc = "none", spec = "CLUS 20")]
    pub max_ha_assets: Option<u64>,
    /// Highest `max_request_batch` of a consumer.
    #[config(with = limit, kind = "integer", default_doc = "none", spec = "CORE section 15")]
    pub max_request_batch: Option<u64>,
    /// Longest duplicate window of a stream.
    #[config(with = plain_duration, kind = "duration", default_doc = "none", spec = "CORE section 15")]
    pub duplicate_window: Option<Duration>,
    /// Limits of batches.
    #[config(with = batch, kind = "table", spec = "CORE section 15")]
    pub batch: BatchLimits,
}

/// Limits of atomic batches.
#[derive(Clone, Debug, Default, PartialEq, Eq, ConfigSection)]
pub struct BatchLimits {
    /// Open batches of one stream.
    #[config(with = limit, kind = "integer", default_doc = "50", spec = "CORE section 15")]
    pub max_inflight_per_stream: Option<u64>,
    /// Open batches of this server.
    #[config(with = limit, kind = "integer", default_doc = "1000", spec = "CORE section 15")]
    pub max_inflight_total: Option<u64>,
    /// Messages of one batch.
    #[config(with = limit, kind = "integer", default_doc = "1000", spec = "CORE section 15")]
    pub max_msgs: Option<u64>,
    /// Time after which an idle batch is given up.
    #[config(with = plain_duration, kind = "duration", default_doc = "10s", spec = "CORE section 15")]
    pub timeout: Option<Duration>,
}

/// A key from a trusted platform module.
#[derive(Clone, Debug, PartialEq, ConfigSection)]
pub struct TpmOptions {
    /// File with the sealed key.
    #[config(spec = "CORE section 15")]
    pub keys_file: String,
    /// Password of the key.
    #[config(spec = "CORE section 15", secret)]
    pub encryption_password: Secret,
    /// Password of the storage root key.
    #[config(spec = "CORE section 15", secret)]
    pub srk_password: Secret,
    /// Register that the key is bound to.
    #[config(spec = "CORE section 15")]
    pub pcr: i32,
    /// Cipher of the files.
    #[config(with = cipher, kind = "string", values = ["chacha", "aes"], default_doc = "chacha", spec = "CORE section 15")]
    pub cipher: Option<StoreCipher>,
}

/// JetStream of an account; `None` is no limit.
#[derive(Clone, Debug, Default, PartialEq, Eq, ConfigSection)]
pub struct AccountJetStream {
    /// Bytes of memory streams.
    #[config(with = account_limit, kind = "integer", unit = "bytes", default_doc = "-1 = none",
             alias = ["max_mem", "mem", "memory"], spec = "AUTH-1500", reload)]
    pub max_memory: Option<u64>,
    /// Bytes of file streams.
    #[config(with = account_limit, kind = "integer", unit = "bytes", default_doc = "-1 = none",
             alias = ["max_file", "max_disk", "store", "disk"], spec = "AUTH-1500", reload)]
    pub max_store: Option<u64>,
    /// Streams.
    #[config(with = account_limit, kind = "integer", default_doc = "-1 = none", alias = ["streams"], spec = "AUTH-1500",
             reload)]
    pub max_streams: Option<u64>,
    /// Consumers.
    #[config(with = account_limit, kind = "integer", default_doc = "-1 = none", alias = ["consumers"], spec = "AUTH-1500",
             reload)]
    pub max_consumers: Option<u64>,
    /// Streams must limit their bytes.
    #[config(with = account_flag, kind = "bool", default_doc = "false", alias = ["max_stream_bytes", "max_bytes"],
             spec = "AUTH-1500", reload)]
    pub max_bytes_required: bool,
    /// Bytes of one memory stream.
    #[config(with = account_limit, kind = "integer", unit = "bytes", default_doc = "-1 = none",
             alias = ["memory_max_stream_bytes"], spec = "AUTH-1500", reload)]
    pub mem_max_stream_bytes: Option<u64>,
    /// Bytes of one file stream.
    #[config(with = account_limit, kind = "integer", unit = "bytes", default_doc = "-1 = none",
             alias = ["store_max_stream_bytes"], spec = "AUTH-1500", reload)]
    pub disk_max_stream_bytes: Option<u64>,
    /// Highest `max_ack_pending` of a consumer.
    #[config(with = account_limit, kind = "integer", default_doc = "-1 = none", spec = "AUTH-1500", reload)]
    pub max_ack_pending: Option<u64>,
    /// Which account carries replication: the system's or this one.
    #[config(with = cluster_traffic, kind = "string", values = ["system", "owner"], default_doc = "system", spec = "CLUS 20",
             reload)]
    pub cluster_traffic: ClusterTraffic,
}

/// How often files are synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyncInterval {
    /// Before each answer.
    Always,
    /// In this interval.
    Every(Duration),
}

/// Cipher of stored files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreCipher {
    /// ChaCha20-Poly1305.
    ChaCha,
    /// AES-GCM.
    Aes,
}

/// Which account carries the replication of an account's streams.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClusterTraffic {
    /// The system account.
    #[default]
    System,
    /// The account itself.
    Owner,
}

const SYNC: Shape = Shape::AnyOf(&[Shape::Enum(&["always"]), Shape::Duration]);
const SWITCH: Shape = Shape::Enum(&["enabled", "disabled"]);

/// A bool, a word or a table.
pub(super) const SHAPE: Shape = Shape::AnyOf(&[Shape::Bool, SWITCH, Shape::table::<JetStreamOptions>()]);
/// The same in an account.
pub(super) const ACCOUNT_SHAPE: Shape =
    Shape::AnyOf(&[Shape::Bool, SWITCH, Shape::table::<AccountJetStream>()]);

impl Default for JetStreamLimits {
    fn default() -> Self {
        Self::defaults()
    }
}

impl Default for JetStreamOptions {
    fn default() -> Self {
        Self::defaults()
    }
}

/// Reads `jetstream` of the server.
pub(super) fn jetstream(field: &Field<'_>, report: &mut Report) -> Option<Option<JetStreamOptions>> {
    if field.node.value.as_table().is_some() {
        return read_section(field, report).map(Some);
    }
    let enabled = switch(field, report)?;
    Some(Some(JetStreamOptions {
        enabled,
        ..JetStreamOptions::default()
    }))
}

/// Reads `jetstream` of an account; `None` inside is no JetStream.
pub(super) fn account_jetstream(field: &Field<'_>, report: &mut Report) -> Option<Option<AccountJetStream>> {
    if field.node.value.as_table().is_some() {
        return read_section(field, report).map(Some);
    }
    switch(field, report).map(|enabled| enabled.then(AccountJetStream::default))
}

fn switch(field: &Field<'_>, report: &mut Report) -> Option<bool> {
    match &field.node.value {
        Value::Bool(enabled) => Some(*enabled),
        Value::String(text) => match text.to_lowercase().as_str() {
            "enabled" | "enable" => Some(true),
            "disabled" | "disable" => Some(false),
            _ => field.error(
                format!("Expected 'enabled' or 'disabled' for string value, got '{text}'"),
                report,
            ),
        },
        other => {
            let got = other.type_name();
            field.error(
                format!("Expected map, bool or string to define JetStream, got {got}"),
                report,
            )
        }
    }
}

fn strict(field: &Field<'_>, report: &mut Report) -> Option<bool> {
    match &field.node.value {
        Value::Bool(strict) => Some(*strict),
        got => field.error(
            format!("Expected 'true' or 'false' for bool value, got '{got}'"),
            report,
        ),
    }
}

fn sync_interval(field: &Field<'_>, report: &mut Report) -> Option<Option<SyncInterval>> {
    if field
        .node
        .value
        .as_str()
        .is_some_and(|text| text.eq_ignore_ascii_case("always"))
    {
        return Some(Some(SyncInterval::Always));
    }
    Duration::from_field(field, report).map(|interval| Some(SyncInterval::Every(interval)))
}

/// A size whose errors name the key, under one of its names.
fn named_size(field: &Field<'_>, name: &str, report: &mut Report) -> Option<ByteSize> {
    let mut own = Report::new();
    let read = ByteSize::from_field(field, &mut own);
    for finding in own.findings() {
        report.error(field.pos, field.key, format!("{name} {}", finding.reason));
    }
    read
}

fn max_memory(field: &Field<'_>, report: &mut Report) -> Option<Option<ByteSize>> {
    named_size(field, "max_mem_store", report).map(Some)
}

fn max_file(field: &Field<'_>, report: &mut Report) -> Option<Option<ByteSize>> {
    named_size(field, "max_file_store", report).map(Some)
}

fn size(field: &Field<'_>, report: &mut Report) -> Option<Option<ByteSize>> {
    named_size(field, &field.key.to_ascii_lowercase(), report).map(Some)
}

fn cipher(field: &Field<'_>, report: &mut Report) -> Option<Option<StoreCipher>> {
    const KNOWN: [(&str, StoreCipher); 3] = [
        ("chacha", StoreCipher::ChaCha),
        ("chachapoly", StoreCipher::ChaCha),
        ("aes", StoreCipher::Aes),
    ];
    let unknown = |name: &str| format!("Unknown cipher type: {}", quote(name));
    choice(field, &KNOWN, unknown, report).map(Some)
}

fn unique_tag(field: &Field<'_>, report: &mut Report) -> Option<String> {
    String::from_field(field, report).map(|tag| tag.trim().to_lowercase())
}

fn limits(field: &Field<'_>, report: &mut Report) -> Option<JetStreamLimits> {
    table(field, "Expected a map to define JetStreamLimits", report)
}

fn batch(field: &Field<'_>, report: &mut Report) -> Option<BatchLimits> {
    table(field, "Expected a map to define batch limits", report)
}

/// The reference's text for `tpm` is the one of `limits`.
fn tpm(field: &Field<'_>, report: &mut Report) -> Option<Option<TpmOptions>> {
    table(field, "Expected a map to define JetStreamLimits", report).map(Some)
}

fn table<S: ConfigSection>(field: &Field<'_>, wrong: &str, report: &mut Report) -> Option<S> {
    super::readers::block(field, wrong, report).flatten()
}

/// 0 and negative values are no limit of their own.
fn limit(field: &Field<'_>, report: &mut Report) -> Option<Option<u64>> {
    let value = i64::from_field(field, report)?;
    Some(u64::try_from(value).ok().filter(|value| *value > 0))
}

/// A duration that the reference's error names without the key.
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

/// `%q` of a key and `%v` of its value, in the reference's sentence.
fn unexpected<T>(field: &Field<'_>, wanted: &str, between: &str, report: &mut Report) -> Option<T> {
    let (key, got) = (quote(field.key), &field.node.value);
    field.error(format!("Expected {wanted} for {key}{between}, got {got}"), report)
}

fn whole(field: &Field<'_>, report: &mut Report) -> Option<Option<u64>> {
    match field.node.value {
        Value::Integer(value) => Some(u64::try_from(value).ok().filter(|value| *value > 0)),
        _ => unexpected(field, "a parseable size", "", report),
    }
}

fn absolute(field: &Field<'_>, report: &mut Report) -> Option<u64> {
    match field.node.value {
        Value::Integer(value) if value >= 0 => Some(value.unsigned_abs()),
        _ => unexpected(field, "an absolute size", "", report),
    }
}

fn absolute_size(field: &Field<'_>, report: &mut Report) -> Option<ByteSize> {
    match field.node.value {
        Value::Integer(value) if value < 0 => unexpected(field, "an absolute size", "", report),
        _ => named_size(field, "meta_compact_size", report),
    }
}

fn concurrent_io(field: &Field<'_>, report: &mut Report) -> Option<Option<u32>> {
    match field.node.value {
        Value::Integer(value @ 4..=8192) => Some(u32::try_from(value).ok()),
        _ => unexpected(field, "an absolute size", " between 4 and 8192", report),
    }
}

fn account_limit(field: &Field<'_>, report: &mut Report) -> Option<Option<u64>> {
    match field.node.value {
        Value::Integer(value) => Some(u64::try_from(value).ok()),
        _ => unexpected(field, "a parseable size", "", report),
    }
}

fn account_flag(field: &Field<'_>, report: &mut Report) -> Option<bool> {
    match field.node.value {
        Value::Bool(set) => Some(set),
        _ => unexpected(field, "a parseable bool", "", report),
    }
}

fn cluster_traffic(field: &Field<'_>, report: &mut Report) -> Option<ClusterTraffic> {
    match field.node.value.as_str() {
        Some("system" | "") => Some(ClusterTraffic::System),
        Some("owner") => Some(ClusterTraffic::Owner),
        Some(_) => unexpected(field, "'system' or 'owner' string value", "", report),
        None => unexpected(field, "either 'system' or 'owner' string value", "", report),
    }
}

/// A store that is not built in is chosen where it is also configured.
pub(super) fn check_file_storage(root: &TableReader<'_>, plugins: &[PluginOptions], report: &mut Report) {
    let block = root
        .named(&["jetstream"])
        .and_then(|entry| entry.node.value.as_table());
    let entry = block
        .into_iter()
        .flatten()
        .find(|entry| entry.key.eq_ignore_ascii_case("file_storage"));
    let Some((entry, name)) = entry.and_then(|entry| Some((entry, entry.node.value.as_str()?))) else {
        return;
    };
    let is_there = plugins
        .iter()
        .any(|plugin| plugin.kind == PluginKind::Store && plugin.name == name);
    if name != BUILT_IN_STORAGE && !is_there {
        report
            .error(&entry.key_pos, &entry.key, format!("there is no store {name:?}"))
            .remedy(format!(
                "configure it under `plugins.store.{name}`, or take `file`"
            ));
    }
}

/// `store_dir` may stand at the top level or here, not in both, and once in each.
pub(super) fn check_store_dir(root: &TableReader<'_>, report: &mut Report) {
    let top = ["store_dir", "storedir"];
    let inner = ["store_dir", "storedir", "store"];
    let named = |key: &str, names: &[&str]| names.iter().any(|name| name.eq_ignore_ascii_case(key));
    let block = root
        .named(&["jetstream"])
        .and_then(|entry| entry.node.value.as_table());
    let above = root.table().iter().filter(|entry| named(&entry.key, &top));
    let inside = block
        .into_iter()
        .flatten()
        .filter(|entry| named(&entry.key, &inner));
    let mut places: Vec<_> = above
        .chain(inside)
        .map(|entry| (&entry.key_pos, &entry.key))
        .collect();
    places.sort_by_key(|(pos, _)| (pos.line, pos.column));
    for (pos, key) in places.into_iter().skip(1) {
        report
            .error(pos, key, "Duplicate 'store_dir' configuration")
            .remedy("keep one of them");
    }
}
