//! What a user may publish and subscribe to, as plain data.
//!
//! Who asks for a permission decides by [`SubjectRules`]; nothing here matches subjects. Rules: AUTH-200,
//! AUTH-201, AUTH-211, AUTH-212.

use std::time::Duration;

use crate::ConfigSection;
use crate::report::Report;
use crate::section::{ConfigValue, Field, TableReader, read_section};
use crate::shape::Shape;
use crate::text::{parse_duration, quote};
use crate::value::Value;

/// Permissions of a user.
#[derive(Clone, Debug, PartialEq, Eq, ConfigSection)]
#[config(unknown = "Unknown field {key} parsing permissions", after = Permissions::settle)]
pub struct Permissions {
    /// Subjects to publish to: a subject, a list, or `{allow, deny}`. Deny wins.
    #[config(with = publish_rules, kind = "subjects or table", shape = RULES, alias = ["pub", "import"], spec = "AUTH-200", reload)]
    pub publish: SubjectRules,
    /// Subjects to subscribe to, likewise; an entry may name a queue group, `"subject queue"`.
    #[config(with = subscribe_rules, kind = "subjects or table", shape = RULES, alias = ["sub", "export"], spec = "AUTH-201", reload)]
    pub subscribe: SubjectRules,
    /// Allow answers to the reply subjects of delivered messages: `true`, or `{max, expires}`. Without an allow
    /// list for publishing, answers are then all that may be published.
    #[config(with = response_rules, kind = "bool or table", shape = RESPONSES, alias = ["publish_allow_responses"], spec = "AUTH-211", reload)]
    pub allow_responses: Option<ResponsePermission>,
}

/// The table form of [`SubjectRules`]; read by hand, so that errors stay the reference's.
const RULES: Shape = Shape::AnyOf(&[
    Shape::OneOrMany(&Shape::Text),
    Shape::Map(&Shape::OneOrMany(&Shape::Text)),
]);
const RESPONSES: Shape = Shape::AnyOf(&[Shape::Bool, Shape::table::<ResponseOptions>()]);

/// Nothing restricted.
impl Default for Permissions {
    fn default() -> Self {
        Self {
            publish: SubjectRules::default(),
            subscribe: SubjectRules::default(),
            allow_responses: None,
        }
    }
}

/// Allowed and denied subjects of one direction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SubjectRules {
    /// `None`: everything that is not denied. `Some`: only what an entry covers; empty allows nothing.
    pub allow: Option<Vec<SubjectRule>>,
    /// Never allowed.
    pub deny: Vec<SubjectRule>,
}

/// A subject, possibly with wildcards, and for subscriptions possibly a queue group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubjectRule {
    /// A valid subject.
    pub subject: String,
    /// A valid queue name or pattern; always `None` in publish rules.
    pub queue: Option<String>,
}

/// How far answers are allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResponsePermission {
    /// Answers to one message; `None` for any number.
    pub max: Option<u64>,
    /// How long after delivery; `None` for ever.
    pub expires: Option<Duration>,
}

/// One answer within two minutes.
impl Default for ResponsePermission {
    fn default() -> Self {
        Self {
            max: Some(1),
            expires: Some(Duration::from_secs(120)),
        }
    }
}

impl Permissions {
    /// AUTH-211: with answers allowed, an absent allow list means none rather than all.
    fn settle(&mut self, _table: &TableReader<'_>, _report: &mut Report) {
        if self.allow_responses.is_some() {
            self.publish.allow.get_or_insert_default();
        }
    }
}

/// Reads permissions from a table; another value is the reference's error.
pub(super) fn permissions(field: &Field<'_>, report: &mut Report) -> Option<Option<Permissions>> {
    if field.node.value.as_table().is_none() {
        let got = &field.node.value;
        return field.error(
            format!("Expected permissions to be a map/struct, got {got}"),
            report,
        );
    }
    read_section(field, report).map(Some)
}

/// Whether entries may name a queue group.
#[derive(Clone, Copy, PartialEq)]
enum Queues {
    Refused,
    Allowed,
}

fn publish_rules(field: &Field<'_>, report: &mut Report) -> Option<SubjectRules> {
    subject_rules(field, Queues::Refused, report)
}

fn subscribe_rules(field: &Field<'_>, report: &mut Report) -> Option<SubjectRules> {
    subject_rules(field, Queues::Allowed, report)
}

/// One subject or a list of them, without queues.
pub(super) fn plain_subjects(field: &Field<'_>, report: &mut Report) -> Option<Vec<SubjectRule>> {
    Some(subjects(field, Queues::Refused, report))
}

fn subject_rules(field: &Field<'_>, queues: Queues, report: &mut Report) -> Option<SubjectRules> {
    let Value::Table(table) = &field.node.value else {
        return Some(SubjectRules {
            allow: allow_list(field, queues, report),
            deny: Vec::new(),
        });
    };
    let mut rules = SubjectRules::default();
    for entry in table {
        let inner = Field::of(entry);
        match entry.key.to_ascii_lowercase().as_str() {
            "allow" => rules.allow = allow_list(&inner, queues, report),
            "deny" => rules.deny = subjects(&inner, queues, report),
            _ if entry.used_as_variable => {}
            _ => {
                report.error(
                    &entry.key_pos,
                    &entry.key,
                    format!(
                        "Unknown field name {} parsing subject permissions, \
                         only 'allow' or 'deny' are permitted",
                        quote(&entry.key)
                    ),
                );
            }
        }
    }
    Some(rules)
}

/// AUTH-202: an empty list in a file restricts nothing.
fn allow_list(field: &Field<'_>, queues: Queues, report: &mut Report) -> Option<Vec<SubjectRule>> {
    Some(subjects(field, queues, report)).filter(|subjects| !subjects.is_empty())
}

fn subjects(field: &Field<'_>, queues: Queues, report: &mut Report) -> Vec<SubjectRule> {
    let mut rules = Vec::new();
    let mut add = |item: &Field<'_>, text: &str, report: &mut Report| match subject_rule(text, queues) {
        Ok(rule) => rules.push(rule),
        Err(reason) => {
            report.error(item.pos, item.key, reason);
        }
    };
    match (&field.node.value, field.elements()) {
        (Value::String(text), _) => add(field, text, report),
        (_, Some(elements)) => {
            for item in elements {
                match item.node.value.as_str() {
                    Some(text) => add(&item, text, report),
                    None => {
                        let reason = "Subject in permissions array cannot be cast to string";
                        report.error(item.pos, item.key, reason);
                    }
                }
            }
        }
        (other, None) => {
            let got = other.type_name();
            report.error(
                field.pos,
                field.key,
                format!("Expected subject permissions to be a subject, or array of subjects, got {got}"),
            );
        }
    }
    rules
}

/// Reads `subject`, or `subject queue` where queues are allowed (AUTH-201).
fn subject_rule(text: &str, queues: Queues) -> Result<SubjectRule, String> {
    if is_valid_subject(text) {
        return Ok(SubjectRule {
            subject: text.to_owned(),
            queue: None,
        });
    }
    let invalid = |subject: &str| Err(format!("subject {} is not a valid subject", quote(subject)));
    let mut words = text.split_whitespace();
    match (words.next(), words.next(), words.next(), queues) {
        (Some(subject), Some(queue), None, Queues::Allowed) => {
            if !is_valid_subject(subject) {
                invalid(subject)
            } else if !is_valid_subject(queue) {
                Err(format!("queue {} is not a valid queue", quote(queue)))
            } else {
                Ok(SubjectRule {
                    subject: subject.to_owned(),
                    queue: Some(queue.to_owned()),
                })
            }
        }
        _ => invalid(text),
    }
}

/// The reference's check: no empty token, no blank, `>` only as the last token.
pub(crate) fn is_valid_subject(subject: &str) -> bool {
    let mut after_full_wildcard = false;
    subject.split('.').all(|token| {
        let valid =
            !after_full_wildcard && !token.is_empty() && !token.contains(['\t', '\n', '\u{c}', '\r', ' ']);
        after_full_wildcard = token == ">";
        valid
    })
}

fn response_rules(field: &Field<'_>, report: &mut Report) -> Option<Option<ResponsePermission>> {
    match &field.node.value {
        Value::Bool(allowed) => Some(allowed.then(ResponsePermission::default)),
        Value::Table(_) => {
            let options: ResponseOptions = read_section(field, report)?;
            let default = ResponsePermission::default();
            Some(Some(ResponsePermission {
                max: options.max.unwrap_or(default.max),
                expires: options.expires.unwrap_or(default.expires),
            }))
        }
        _ => field.error(
            "error parsing response permissions, expected a boolean or a map",
            report,
        ),
    }
}

/// Limits on answers.
#[derive(ConfigSection)]
#[config(unknown = "Unknown field {key} parsing permissions")]
pub(crate) struct ResponseOptions {
    /// Answers allowed to one message; negative for any number.
    #[config(with = response_max, kind = "integer", shape = Shape::Integer, default_doc = "1", default = None,
             alias = ["max_msgs", "max_messages", "max_responses"], spec = "AUTH-211", reload)]
    max: Option<Option<u64>>,
    /// How long after delivery answers are allowed, as a duration string; negative for ever.
    #[config(with = response_expires, kind = "duration", shape = Shape::Duration, default_doc = "2m", default = None,
             alias = ["expiration", "ttl"], spec = "AUTH-211", reload)]
    expires: Option<Option<Duration>>,
}

/// 0 is the default, negative is no limit.
fn response_max(field: &Field<'_>, report: &mut Report) -> Option<Option<Option<u64>>> {
    let max = i64::from_field(field, report)?;
    (max != 0).then(|| Some(u64::try_from(max).ok()))
}

fn response_expires(field: &Field<'_>, report: &mut Report) -> Option<Option<Option<Duration>>> {
    let Some(text) = field.node.value.as_str() else {
        return field.error("error parsing expires, not a duration string", report);
    };
    match parse_duration(text) {
        Ok(0) => None,
        Ok(nanoseconds) => Some(Some(u64::try_from(nanoseconds).ok().map(Duration::from_nanos))),
        Err(reason) => field.error(format!("error parsing expires: {reason}"), report),
    }
}
