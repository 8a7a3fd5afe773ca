//! `exports`, `imports` and `msg_trace` of an account: what accounts give each other.
//!
//! Rules: the accounts table of CORE section 15, AUTH-600. Whether subjects fit together is found out by whoever
//! connects the accounts.

use std::time::Duration;

use super::permissions::is_valid_subject;
use super::readers::{self, choice};
use crate::ConfigSection;
use crate::report::Report;
use crate::section::{Field, TableReader, read_section};
use crate::shape::Shape;
use crate::text::{parse_duration, quote};
use crate::value::{Entry, Origin, Value};

/// Something that an account gives: a stream or a service, never both.
#[derive(Clone, Debug, PartialEq, ConfigSection)]
#[config(after = Export::settle)]
pub struct Export {
    /// Subject of messages that others may receive.
    #[config(with = stream_name, spec = "AUTH-600", reload, example = "stream: \"news.>\"")]
    pub stream: Option<String>,
    /// Subject of requests that others may send.
    #[config(with = service_name, spec = "AUTH-600", reload, example = "service: \"time.now\"")]
    pub service: Option<String>,
    /// Accounts that may import it; empty for all.
    #[config(default_doc = "all", spec = "AUTH-600", reload)]
    pub accounts: Vec<String>,
    /// How many answers a request has; services only.
    #[config(with = response_type, kind = "string", values = ["singleton", "stream", "chunked"], default_doc = "singleton",
             alias = ["response"], spec = "AUTH-600", reload)]
    pub response_type: ResponseType,
    /// How long an answer may take; services only.
    #[config(with = threshold, kind = "duration", default_doc = "2m",
             alias = ["response_threshold", "response_max_time", "response_time"], spec = "AUTH-600", reload)]
    pub threshold: Option<Duration>,
    /// Measure the service and publish to this subject: a subject, or `{subject, sampling}`; services only.
    #[config(with = latency, kind = "string or table", shape = LATENCY, spec = "AUTH-700", reload)]
    pub latency: Option<ServiceLatency>,
    /// Token of the subject, from 1, that must be the importer's account; 0 for none.
    #[config(spec = "AUTH-600", reload)]
    pub account_token_position: u32,
    /// Let message traces cross; services only.
    #[config(spec = "MON-160", reload)]
    pub allow_trace: bool,
    /// Where it stands in the file.
    #[config(skip)]
    pub origin: Origin,
}

/// Something that an account takes: a stream or a service of another account, never both.
#[derive(Clone, Debug, PartialEq, ConfigSection)]
#[config(after = Import::settle)]
pub struct Import {
    /// The other account's stream.
    #[config(with = stream_source, kind = "table", spec = "AUTH-600", reload)]
    pub stream: Option<ImportSource>,
    /// The other account's service.
    #[config(with = service_source, kind = "table", spec = "AUTH-600", reload)]
    pub service: Option<ImportSource>,
    /// Tokens put before the stream's subject.
    #[config(spec = "AUTH-600", reload)]
    pub prefix: String,
    /// Subject under which it appears here.
    #[config(default_doc = "the other account's", spec = "AUTH-600", reload)]
    pub to: String,
    /// Tell the service who asks; services only.
    #[config(spec = "AUTH-700", reload)]
    pub share: bool,
    /// Let message traces cross; streams only.
    #[config(spec = "MON-160", reload)]
    pub allow_trace: bool,
    /// Where it stands in the file.
    #[config(skip)]
    pub origin: Origin,
}

/// A subject of another account.
#[derive(Clone, Debug, Default, PartialEq, Eq, ConfigSection)]
#[config(after = ImportSource::settle)]
pub struct ImportSource {
    /// The account.
    #[config(spec = "AUTH-600", reload)]
    pub account: String,
    /// The subject.
    #[config(spec = "AUTH-600", reload)]
    pub subject: String,
}

/// How a service is measured.
#[derive(Clone, Debug, Default, PartialEq, Eq, ConfigSection)]
pub struct ServiceLatency {
    /// Where the measurements are published.
    #[config(with = latency_subject, kind = "string", spec = "AUTH-700", reload)]
    pub subject: String,
    /// Which requests are measured: per cent, 1 to 100, or `headers` for those that ask for it.
    #[config(with = latency_sampling, kind = "integer, \"N%\" or \"headers\"", shape = SAMPLING, default_doc = "100",
             spec = "AUTH-700", reload)]
    pub sampling: Sampling,
}

/// Where traces of an account's messages go.
#[derive(Clone, Debug, Default, PartialEq, Eq, ConfigSection)]
#[config(unknown = "Unknown field {key} parsing account message trace map/struct \"msg_trace\"")]
pub struct MessageTrace {
    /// Subject of the traces.
    #[config(with = trace_dest, spec = "MON-160", reload)]
    pub dest: String,
    /// Which messages with a `traceparent` are traced, per cent, 1 to 100.
    #[config(with = trace_sampling, kind = "integer or \"N%\"", shape = PERCENT, default_doc = "100", spec = "MON-160", reload)]
    pub sampling: Option<u8>,
}

/// How many answers a request has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ResponseType {
    /// One.
    #[default]
    Singleton,
    /// Many, until an empty one.
    Stream,
    /// One in several parts.
    Chunked,
}

/// Which requests are measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sampling {
    /// This many in a hundred.
    Percent(u8),
    /// Those whose headers ask for it.
    Headers,
}

impl Default for Sampling {
    fn default() -> Self {
        Self::Percent(100)
    }
}

const PERCENT: Shape = Shape::AnyOf(&[Shape::Integer, Shape::Text]);
const SAMPLING: Shape = Shape::AnyOf(&[Shape::Integer, Shape::Text]);
const LATENCY: Shape = Shape::AnyOf(&[Shape::Text, Shape::table::<ServiceLatency>()]);
/// A subject, or a table.
pub(super) const TRACE: Shape = Shape::AnyOf(&[Shape::Text, Shape::table::<MessageTrace>()]);

const RESPONSE_KEYS: [&str; 6] = [
    "response",
    "response_type",
    "threshold",
    "response_threshold",
    "response_max_time",
    "response_time",
];

/// Reads `exports`.
pub(super) fn exports(field: &Field<'_>, report: &mut Report) -> Option<Vec<Export>> {
    let Some(elements) = field.elements() else {
        let got = field.node.value.type_name();
        return field.error(format!("Exports should be an array, got {got}"), report);
    };
    let read = elements.filter_map(|item| {
        readers::block(&item, "Export Items should be a map with type entry", report).flatten()
    });
    Some(read.collect())
}

/// Reads `imports`.
pub(super) fn imports(field: &Field<'_>, report: &mut Report) -> Option<Vec<Import>> {
    let Some(elements) = field.elements() else {
        let got = field.node.value.type_name();
        return field.error(format!("Imports should be an array, got {got}"), report);
    };
    let mut imports: Vec<Import> = Vec::new();
    for item in elements {
        let Some(import) =
            readers::block::<Import>(&item, "Import Items should be a map with type entry", report).flatten()
        else {
            continue;
        };
        match imports.iter().find(|earlier| earlier.clashes_with(&import)) {
            Some(earlier) => {
                let (account, subject) = match &earlier.service {
                    Some(source) => (quote(&source.account), quote(&source.subject)),
                    None => continue,
                };
                let reason = format!(
                    "Duplicate service import subject {}, previously used in import for account {account}, subject \
                     {subject}",
                    quote(import.local_subject()),
                );
                report.error(item.pos, item.key, reason);
            }
            None => imports.push(import),
        }
    }
    Some(imports)
}

/// Reads `msg_trace`: a subject, or a table.
pub(super) fn msg_trace(field: &Field<'_>, report: &mut Report) -> Option<Option<MessageTrace>> {
    let key = quote(field.key);
    let read = match &field.node.value {
        Value::String(_) => MessageTrace {
            dest: trace_dest(field, report)?,
            sampling: None,
        },
        Value::Table(_) => read_section(field, report)?,
        other => {
            let got = other.type_name();
            let reason =
                format!("Expected account message trace {key} to be a string or a map/struct, got {got}");
            return field.error(reason, report);
        }
    };
    if read.dest.is_empty() {
        if read.sampling.is_some() {
            let reason = "Trace destination sampling ignored since no destination was set";
            report.plain_warning(field.pos, field.key, reason);
        }
        return Some(None);
    }
    Some(Some(MessageTrace {
        sampling: read.sampling.or(Some(100)),
        ..read
    }))
}

impl Export {
    fn settle(&mut self, table: &TableReader<'_>, report: &mut Report) {
        self.origin = table.position().into();
        let misplaced = |entry: &Entry, what: &str, report: &mut Report| {
            let reason = format!("Detected {what} directive on non-service");
            report.error(&entry.key_pos, &entry.key, reason);
        };
        match (table.named(&["stream"]), table.named(&["service"])) {
            (Some(stream), Some(service)) => both(stream, service, report),
            (Some(_), None) => {
                if let Some(entry) = table.named(&RESPONSE_KEYS) {
                    misplaced(entry, "response", report);
                }
                if let Some(entry) = table.named(&["latency"]) {
                    misplaced(entry, "latency", report);
                }
                if let Some(entry) = table.named(&["allow_trace"]) {
                    misplaced(entry, "allow_trace", report);
                }
            }
            _ => {}
        }
        twice(
            table,
            &["response", "response_type"],
            "Duplicate response type definition",
            report,
        );
        let thresholds = [
            "threshold",
            "response_threshold",
            "response_max_time",
            "response_time",
        ];
        twice(
            table,
            &thresholds,
            "Duplicate response threshold detected",
            report,
        );
    }
}

/// Whichever stands second is too many.
fn both(stream: &Entry, service: &Entry, report: &mut Report) {
    let place = |entry: &Entry| (entry.key_pos.line, entry.key_pos.column);
    let (second, kind, first) = if place(stream) > place(service) {
        (stream, "stream", "service")
    } else {
        (service, "service", "stream")
    };
    let name = match &second.node.value {
        Value::String(text) => format!(" {}", quote(text)),
        _ => String::new(),
    };
    let reason = format!("Detected {kind}{name} but already saw a {first}");
    report.error(&second.key_pos, &second.key, reason);
}

fn twice(table: &TableReader<'_>, names: &[&str], reason: &str, report: &mut Report) {
    let given = table
        .table()
        .iter()
        .filter(|entry| names.iter().any(|name| name.eq_ignore_ascii_case(&entry.key)));
    for entry in given.skip(1) {
        report.error(&entry.key_pos, &entry.key, reason);
    }
}

impl Import {
    /// Where it appears in the importing account.
    pub fn local_subject(&self) -> &str {
        let theirs = self.stream.as_ref().or(self.service.as_ref());
        match theirs {
            Some(source) if self.to.is_empty() => &source.subject,
            _ => &self.to,
        }
    }

    fn clashes_with(&self, other: &Self) -> bool {
        match (&self.service, &other.service) {
            (Some(one), Some(two)) => {
                one.account == two.account && self.local_subject() == other.local_subject()
            }
            _ => false,
        }
    }

    fn settle(&mut self, table: &TableReader<'_>, report: &mut Report) {
        self.origin = table.position().into();
        match (table.named(&["stream"]), table.named(&["service"])) {
            (Some(stream), Some(service)) => both(stream, service, report),
            (Some(_), None) => {
                if let (true, false, Some(entry)) =
                    (!self.prefix.is_empty(), self.to.is_empty(), table.named(&["to"]))
                {
                    let reason = "Stream import can not have a 'prefix' and a 'to' property";
                    report.error(&entry.key_pos, &entry.key, reason);
                }
            }
            (None, Some(_)) => {
                if let Some(entry) = table.named(&["allow_trace"]) {
                    let reason = "Detected allow_trace directive on a non-stream";
                    report.error(&entry.key_pos, &entry.key, reason);
                }
            }
            (None, None) => {}
        }
    }
}

impl ImportSource {
    fn settle(&mut self, table: &TableReader<'_>, report: &mut Report) {
        if self.account.is_empty() || self.subject.is_empty() {
            let reason = "Expect an account name and a subject";
            report.error(table.position(), "account", reason);
        }
    }
}

fn name_of(field: &Field<'_>, kind: &str, report: &mut Report) -> Option<Option<String>> {
    match &field.node.value {
        Value::String(name) => Some(Some(name.clone())),
        other => {
            let got = other.type_name();
            field.error(format!("Expected {kind} name to be string, got {got}"), report)
        }
    }
}

fn stream_name(field: &Field<'_>, report: &mut Report) -> Option<Option<String>> {
    name_of(field, "stream", report)
}

fn service_name(field: &Field<'_>, report: &mut Report) -> Option<Option<String>> {
    name_of(field, "service", report)
}

fn stream_source(field: &Field<'_>, report: &mut Report) -> Option<Option<ImportSource>> {
    readers::block(field, "Stream entry should be an account map", report)
}

fn service_source(field: &Field<'_>, report: &mut Report) -> Option<Option<ImportSource>> {
    readers::block(field, "Service entry should be an account map", report)
}

fn response_type(field: &Field<'_>, report: &mut Report) -> Option<ResponseType> {
    const KNOWN: [(&str, ResponseType); 5] = [
        ("singleton", ResponseType::Singleton),
        ("single", ResponseType::Singleton),
        ("stream", ResponseType::Stream),
        ("chunked", ResponseType::Chunked),
        ("chunk", ResponseType::Chunked),
    ];
    if field.node.value.as_str().is_none() {
        let got = field.node.value.type_name();
        return field.error(format!("Expected response type to be string, got {got}"), report);
    }
    let unknown = |name: &str| format!("Unknown response type: {}", quote(name));
    choice(field, &KNOWN, unknown, report)
}

fn threshold(field: &Field<'_>, report: &mut Report) -> Option<Option<Duration>> {
    let wanted = "Expected response threshold to be a parseable time duration, got";
    match &field.node.value {
        Value::String(text) => match parse_duration(text) {
            Ok(nanoseconds) => Some(u64::try_from(nanoseconds).ok().map(Duration::from_nanos)),
            Err(_) => field.error(format!("{wanted} {}", quote(text)), report),
        },
        other => field.error(format!("{wanted} {}", other.type_name()), report),
    }
}

fn latency(field: &Field<'_>, report: &mut Report) -> Option<Option<ServiceLatency>> {
    match &field.node.value {
        Value::String(subject) => Some(Some(ServiceLatency {
            subject: subject.clone(),
            ..ServiceLatency::default()
        })),
        Value::Table(table) => {
            if TableReader::new(table, field.pos).named(&["subject"]).is_none() {
                return field.error("Latency subject required, but missing", report);
            }
            read_section(field, report).map(Some)
        }
        other => {
            let got = other.type_name();
            let reason = format!("Expected latency entry to be a map/struct or string, got {got}");
            field.error(reason, report)
        }
    }
}

fn latency_subject(field: &Field<'_>, report: &mut Report) -> Option<String> {
    match &field.node.value {
        Value::String(subject) => Some(subject.clone()),
        // The reference prints the type of its empty variable.
        _ => field.error("Expected latency subject to be a string, got string", report),
    }
}

fn latency_sampling(field: &Field<'_>, report: &mut Report) -> Option<Sampling> {
    let number = match &field.node.value {
        Value::Integer(number) => *number,
        Value::String(text) if text.trim().eq_ignore_ascii_case("headers") => return Some(Sampling::Headers),
        Value::String(text) => match text.strip_suffix('%').unwrap_or(text).parse() {
            Ok(number) => number,
            Err(_) => {
                let number = quote(text.strip_suffix('%').unwrap_or(text));
                let reason =
                    format!("Failed to parse latency sample: strconv.Atoi: parsing {number}: invalid syntax");
                return field.error(reason, report);
            }
        },
        other => {
            let got = other.type_name();
            let reason = format!("Expected latency sample to be a string or map/struct, got {got}");
            return field.error(reason, report);
        }
    };
    match u8::try_from(number) {
        Ok(percent @ 1..=100) => Some(Sampling::Percent(percent)),
        _ => field.error("bad sampling percentage, should be 1-100", report),
    }
}

fn trace_dest(field: &Field<'_>, report: &mut Report) -> Option<String> {
    let Some(subject) = field.node.value.as_str() else {
        let (key, got) = (quote(field.key), field.node.value.type_name());
        return field.error(format!("Field {key} should be a string, got {got}"), report);
    };
    let literal = is_valid_subject(subject) && !subject.split('.').any(|token| token == "*" || token == ">");
    if literal {
        return Some(subject.to_owned());
    }
    let subject = quote(subject);
    field.error(format!("Trace destination {subject} is not valid"), report)
}

fn trace_sampling(field: &Field<'_>, report: &mut Report) -> Option<Option<u8>> {
    let number = match &field.node.value {
        Value::Integer(number) => *number,
        Value::String(text) => match text.strip_suffix('%').unwrap_or(text).parse() {
            Ok(number) => number,
            Err(_) => {
                let reason = format!("Invalid trace destination sampling value {}", quote(text));
                return field.error(reason, report);
            }
        },
        other => {
            let (key, got) = (quote(field.key), other.type_name());
            let reason = format!(
                "Trace destination sampling field {key} should be an integer or a percentage, got {got}"
            );
            return field.error(reason, report);
        }
    };
    match u8::try_from(number) {
        Ok(percent @ 1..=100) => Some(Some(percent)),
        _ => {
            let reason =
                format!("Ttrace destination sampling value {number} is invalid, needs to be [1..100]");
            field.error(reason, report)
        }
    }
}
