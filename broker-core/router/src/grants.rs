//! Replies that a session may publish to because it was asked to (`allow_responses`, AUTH-211).

use std::time::Duration;

use dunlin_api::{Instant, Subject, SubjectBuf};
use hashbrown::HashMap;

/// Grants kept at once; the oldest expired go first, then the map is cut, so a requester cannot fill memory.
const MAX_GRANTS: usize = 4096;

pub(crate) struct Grants {
    /// Answers to one request; `None` means no limit.
    answers: Option<u64>,
    /// How long a grant holds; `None` means no end.
    lifetime: Option<Duration>,
    open: HashMap<SubjectBuf, Grant, foldhash::fast::RandomState>,
}

struct Grant {
    left: Option<u64>,
    until: Option<Instant>,
}

impl Grants {
    pub(crate) fn new(answers: Option<u64>, lifetime: Option<Duration>) -> Self {
        Self {
            answers,
            lifetime,
            open: HashMap::default(),
        }
    }

    /// A request with `reply` was delivered.
    pub(crate) fn open(&mut self, reply: Subject<'_>, now: Instant) {
        if self.open.len() >= MAX_GRANTS {
            self.open
                .retain(|_, grant| grant.until.is_none_or(|until| now < until));
            if self.open.len() >= MAX_GRANTS {
                self.open.clear();
            }
        }
        let grant = Grant {
            left: self.answers,
            until: self.lifetime.map(|lifetime| now + lifetime),
        };
        self.open.insert(reply.to_owned(), grant);
    }

    /// Uses one answer to `subject`, if there is one left.
    pub(crate) fn take(&mut self, subject: Subject<'_>, now: Instant) -> bool {
        let key = subject.to_owned();
        let Some(grant) = self.open.get_mut(&key) else {
            return false;
        };
        let is_open = grant.until.is_none_or(|until| now < until) && grant.left != Some(0);
        if let Some(left) = &mut grant.left {
            *left = left.saturating_sub(1);
        }
        if !is_open || grant.left == Some(0) {
            self.open.remove(&key);
        }
        is_open
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subject(text: &str) -> Subject<'_> {
        Subject::new(text.as_bytes()).unwrap()
    }

    // AUTH-211
    #[tokio::test(start_paused = true)]
    async fn a_grant_ends_by_count_and_by_time() {
        let start = Instant::now();
        let mut grants = Grants::new(Some(2), Some(Duration::from_secs(1)));
        grants.open(subject("r"), start);
        assert!(grants.take(subject("r"), start));
        assert!(grants.take(subject("r"), start));
        assert!(!grants.take(subject("r"), start));
        grants.open(subject("r"), start);
        assert!(!grants.take(subject("r"), start + Duration::from_secs(1)));
        assert!(!grants.take(subject("other"), start));
    }
}
