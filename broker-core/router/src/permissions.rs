//! The two decisions about subjects, compiled from plain permissions: what a session may publish, and what it may
//! subscribe to and be delivered (AUTH-202 to AUTH-208). Deny wins everywhere.

use dunlin_api::{Filter, FilterBuf, Permissions, QueueName, Subject};
use dunlin_config::SubjectRule;
use dunlin_subject::{InterestIndex, collides, is_subset, matches};

use crate::grants::Grants;

/// Lists longer than this are searched through an index.
const SCANNED: usize = 8;

/// Permissions of a session.
pub(crate) struct Rules {
    publish_allow: Option<Patterns>,
    publish_deny: Patterns,
    subscribe_allow: Option<Vec<QueueRule>>,
    subscribe_deny: Vec<QueueRule>,
}

/// Patterns that a literal subject is held against.
#[derive(Default)]
struct Patterns {
    list: Vec<FilterBuf>,
    index: Option<InterestIndex<()>>,
}

/// A subscribe entry: a pattern, for one queue or for plain subscriptions and every queue.
struct QueueRule {
    filter: FilterBuf,
    queue: Option<FilterBuf>,
}

impl Rules {
    /// Compiles permissions, and what is needed to grant replies if they allow responses.
    pub(crate) fn compile(permissions: &Permissions, hash_seed: u64) -> (Self, Option<Grants>) {
        let publish = &permissions.publish;
        let grants = permissions
            .allow_responses
            .map(|answers| Grants::new(answers.max, answers.expires, hash_seed));
        let mut publish_allow = publish.allow.as_ref().map(|list| Patterns::new(list, hash_seed));
        if grants.is_some() {
            // Who may answer may not publish at will (AUTH-211).
            publish_allow.get_or_insert_default();
        }
        let rules = Self {
            publish_allow,
            publish_deny: Patterns::new(&publish.deny, hash_seed),
            subscribe_allow: permissions.subscribe.allow.as_ref().map(|list| queue_rules(list)),
            subscribe_deny: queue_rules(&permissions.subscribe.deny),
        };
        (rules, grants)
    }

    /// Whether a message may be published to `subject` (AUTH-202).
    pub(crate) fn may_publish(&self, subject: Subject<'_>) -> bool {
        self.publish_allow
            .as_ref()
            .is_none_or(|allow| allow.match_literal(subject))
            && !self.publish_deny.match_literal(subject)
    }

    /// Whether a subscription may be made (AUTH-204, AUTH-205).
    pub(crate) fn may_subscribe(&self, subject: Subject<'_>, queue: Option<&QueueName>) -> bool {
        let is_allowed = self.subscribe_allow.as_ref().is_none_or(|allow| {
            let covering = || {
                allow
                    .iter()
                    .filter(|rule| is_subset(subject, rule.filter.as_filter()))
            };
            let mut named = covering()
                .filter(|rule| queue.is_some() && rule.queue.is_some())
                .peekable();
            if named.peek().is_some() {
                return named.any(|rule| rule.is_for(queue));
            }
            covering().any(|rule| rule.queue.is_none())
        });
        let is_denied = self
            .subscribe_deny
            .iter()
            .any(|rule| rule.is_for(queue) && is_subset(subject, rule.filter.as_filter()));
        is_allowed && !is_denied
    }

    /// Whether a permitted subscription can still meet subjects that are denied (AUTH-208).
    pub(crate) fn checks_delivery(&self, filter: Filter<'_>, queue: Option<&QueueName>) -> bool {
        (queue.is_some() || !filter.is_literal())
            && self
                .subscribe_deny
                .iter()
                .any(|rule| rule.is_for(queue) && collides(filter, rule.filter.as_filter()))
    }

    /// Whether a message on `subject` may be delivered to a subscription in `queue` (AUTH-208).
    pub(crate) fn may_deliver(&self, subject: Subject<'_>, queue: Option<&QueueName>) -> bool {
        !self
            .subscribe_deny
            .iter()
            .any(|rule| rule.is_for(queue) && matches(rule.filter.as_filter(), subject))
    }
}

impl Patterns {
    fn new(list: &[SubjectRule], hash_seed: u64) -> Self {
        let list: Vec<FilterBuf> = list.iter().filter_map(|entry| filter(&entry.subject)).collect();
        let index = (list.len() > SCANNED).then(|| {
            let mut index = InterestIndex::new(hash_seed);
            for pattern in &list {
                // An index over checked patterns refuses none of them.
                let _ = index.insert(pattern.as_filter(), None, ());
            }
            index
        });
        Self { list, index }
    }

    fn match_literal(&self, subject: Subject<'_>) -> bool {
        match &self.index {
            Some(index) => index.has_interest(subject),
            None => self
                .list
                .iter()
                .any(|pattern| matches(pattern.as_filter(), subject)),
        }
    }
}

impl QueueRule {
    /// Whether the rule speaks about subscriptions in `queue`.
    fn is_for(&self, queue: Option<&QueueName>) -> bool {
        match (&self.queue, queue) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(pattern), Some(queue)) => {
                pattern.as_bytes() == queue.as_bytes()
                    || Subject::from_wire(queue.as_bytes())
                        .is_ok_and(|name| matches(pattern.as_filter(), name))
            }
        }
    }
}

fn queue_rules(list: &[SubjectRule]) -> Vec<QueueRule> {
    let rule = |entry: &SubjectRule| {
        let queue = match &entry.queue {
            Some(queue) => Some(filter(queue)?),
            None => None,
        };
        Some(QueueRule {
            filter: filter(&entry.subject)?,
            queue,
        })
    };
    list.iter().filter_map(rule).collect()
}

/// The configuration has checked the pattern; one that is none would match nothing.
fn filter(pattern: &str) -> Option<FilterBuf> {
    FilterBuf::new(pattern.as_bytes()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use dunlin_config::SubjectRules;
    use proptest::collection::vec;
    use proptest::{option, prelude::*};

    fn entries(list: &[&str]) -> Vec<SubjectRule> {
        list.iter()
            .map(|text| match text.split_once(' ') {
                Some((subject, queue)) => SubjectRule {
                    subject: subject.into(),
                    queue: Some(queue.into()),
                },
                None => SubjectRule {
                    subject: (*text).into(),
                    queue: None,
                },
            })
            .collect()
    }

    fn subscribe_rules(allow: Option<&[&str]>, deny: &[&str]) -> Rules {
        Rules {
            publish_allow: None,
            publish_deny: Patterns::default(),
            subscribe_allow: allow.map(|list| queue_rules(&entries(list))),
            subscribe_deny: queue_rules(&entries(deny)),
        }
    }

    fn may(rules: &Rules, subject: &str, queue: Option<&str>) -> bool {
        let queue = queue.map(|name| QueueName::new(name.as_bytes()).unwrap());
        rules.may_subscribe(Subject::new(subject.as_bytes()).unwrap(), queue.as_ref())
    }

    // AUTH-204: an allow made only of queue entries does not allow plain subscriptions.
    #[test]
    fn queue_entries_bind_queues_and_nothing_else() {
        let rules = subscribe_rules(Some(&["foo v1", "foo v1.*", "bar"]), &[]);
        assert!(may(&rules, "foo", Some("v1")));
        assert!(may(&rules, "foo", Some("v1.prod")));
        assert!(!may(&rules, "foo", Some("v2")));
        assert!(!may(&rules, "foo", None));
        assert!(may(&rules, "bar", None));
        assert!(may(&rules, "bar", Some("any")));
    }

    // AUTH-204: a wildcard subscription needs an entry that covers it.
    #[test]
    fn a_wildcard_subscription_needs_a_covering_entry() {
        let rules = subscribe_rules(Some(&["foo.*"]), &[]);
        assert!(may(&rules, "foo.*", None));
        assert!(may(&rules, "foo.a", None));
        assert!(!may(&rules, "foo.>", None));
    }

    // AUTH-205, AUTH-208: a wider subscription is made, and filtered at delivery.
    #[test]
    fn deny_filters_what_a_wider_subscription_gets() {
        let rules = subscribe_rules(None, &["foo", "q.x workers"]);
        let star = Filter::new(b"*").unwrap();
        assert!(!may(&rules, "foo", None));
        assert!(may(&rules, "*", None));
        assert!(rules.checks_delivery(star, None));
        assert!(!rules.checks_delivery(Filter::new(b"a.*").unwrap(), None));
        assert!(!rules.may_deliver(Subject::new(b"foo").unwrap(), None));
        assert!(rules.may_deliver(Subject::new(b"bar").unwrap(), None));
        assert!(!may(&rules, "q.x", Some("workers")));
        assert!(may(&rules, "q.x", Some("others")));
        assert!(may(&rules, "q.x", None));
    }

    // AUTH-202
    #[test]
    fn a_long_list_decides_as_a_short_one() {
        let long: Vec<String> = (0..20).map(|n| format!("s.{n}.>")).collect();
        let long: Vec<&str> = long.iter().map(String::as_str).collect();
        for list in [&long[..3], &long[..]] {
            let patterns = Patterns::new(&entries(list), 1);
            assert!(patterns.match_literal(Subject::new(b"s.2.a").unwrap()));
            assert!(!patterns.match_literal(Subject::new(b"s.2").unwrap()));
            assert!(!patterns.match_literal(Subject::new(b"s.77.a").unwrap()));
        }
    }

    /// Whether `subject` matches `filter`: the definition, word by word.
    fn fits(filter: &str, subject: &str) -> bool {
        let (mut filter, mut subject) = (filter.split('.'), subject.split('.'));
        loop {
            match (filter.next(), subject.next()) {
                (Some(">"), Some(_)) | (None, None) => return true,
                (Some("*"), Some(_)) => {}
                (Some(a), Some(b)) if a == b => {}
                _ => return false,
            }
        }
    }

    /// Every subject of up to three words.
    fn all_subjects() -> Vec<String> {
        let longer = |subjects: &[String]| -> Vec<String> {
            let words = ["a", "b", "c"];
            let all = subjects
                .iter()
                .flat_map(|subject| words.map(|word| format!("{subject}.{word}")));
            all.collect()
        };
        let one = ["a", "b", "c"].map(str::to_owned).to_vec();
        let two = longer(&one);
        [one, longer(&two), two].concat()
    }

    fn any_filter() -> impl Strategy<Value = String> {
        "([abc*]\\.){0,2}([abc*]|>)"
    }

    /// Lists that are searched one by one, and some that are indexed.
    fn any_list() -> impl Strategy<Value = Vec<String>> {
        prop_oneof![4 => vec(any_filter(), 0..4), 1 => vec(any_filter(), SCANNED..SCANNED + 4)]
    }

    proptest! {
        // AUTH-202, AUTH-204 to AUTH-208: whatever is asked for, nothing reaches a session that no rule allows, and
        // nothing that a rule denies.
        #[test]
        fn no_rule_is_passed_by_any_subject_or_filter(
            allow in option::of(any_list()),
            deny in any_list(),
            filters in vec(any_filter(), 1..6),
        ) {
            let list = |list: &[String]| entries(&list.iter().map(String::as_str).collect::<Vec<_>>());
            let side = SubjectRules {
                allow: allow.as_deref().map(list),
                deny: list(&deny),
            };
            let permissions = Permissions {
                publish: side.clone(),
                subscribe: side,
                ..Permissions::default()
            };
            let (rules, _) = Rules::compile(&permissions, 1);
            for subject in all_subjects() {
                let is_in = |list: &[String]| list.iter().any(|filter| fits(filter, &subject));
                let is_good = allow.as_deref().is_none_or(is_in) && !is_in(&deny);
                let asked = Subject::new(subject.as_bytes()).unwrap();
                prop_assert_eq!(rules.may_publish(asked), is_good, "{}", subject);
                prop_assert_eq!(may(&rules, &subject, None), is_good, "{}", subject);
                for text in filters.iter().filter(|filter| fits(filter, &subject)) {
                    let filter = Filter::new(text.as_bytes()).unwrap();
                    if may(&rules, text, None) {
                        let is_delivered = !rules.checks_delivery(filter, None) || rules.may_deliver(asked, None);
                        prop_assert_eq!(is_delivered, is_good, "{} gets {}", text, subject);
                    }
                }
            }
        }
    }
}
