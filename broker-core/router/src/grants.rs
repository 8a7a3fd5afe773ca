//! Replies that a session may publish to because it was asked to (`allow_responses`, AUTH-211).
//!
//! A grant that is alive is never dropped to make room for others, short of a million of them: who is slow to answer
//! must not lose the right to. What has ended is cleared away from time to time, at a cost spread over the requests.

use std::time::Duration;

use dunlin_api::{Instant, Subject, SubjectBuf};
use dunlin_subject::Hashing;
use hashbrown::HashTable;

/// Requests after which what has ended is cleared away; with many grants open, half as many as those.
const PRUNED_AFTER: usize = 4096;

/// The same by time, while few are open.
const PRUNED_EVERY: Duration = Duration::from_secs(1);

/// Most grants of one session, some hundred megabytes; beyond, whichever go, so that requesters cannot fill memory.
const MAX_GRANTS: usize = 1 << 20;

/// Part of the grants that goes at once when there are too many.
const DROPPED_PART: usize = 32;

pub(crate) struct Grants {
    /// Answers to one request; `None` means no limit.
    answers: Option<u64>,
    /// How long a grant holds; `None` means no end.
    lifetime: Option<Duration>,
    hashing: Hashing,
    open: HashTable<Grant>,
    /// Requests since the last clearing, and its time.
    opened: usize,
    pruned: Option<Instant>,
}

struct Grant {
    reply: SubjectBuf,
    left: Option<u64>,
    until: Option<Instant>,
}

impl Grants {
    pub(crate) fn new(answers: Option<u64>, lifetime: Option<Duration>, hash_seed: u64) -> Self {
        Self {
            answers,
            lifetime,
            hashing: Hashing::new(hash_seed),
            open: HashTable::new(),
            opened: 0,
            pruned: None,
        }
    }

    /// A request with `reply` was delivered.
    pub(crate) fn open(&mut self, reply: Subject<'_>, now: Instant) {
        self.make_room(now);
        let left = self.answers;
        let until = self.lifetime.map(|lifetime| now + lifetime);
        let hash = self.hashing.bytes(reply.as_bytes());
        if let Some(grant) = self.open.find_mut(hash, |grant| grant.is_for(reply)) {
            (grant.left, grant.until) = (left, until);
            return;
        }
        let grant = Grant {
            reply: reply.to_owned(),
            left,
            until,
        };
        let hashing = &self.hashing;
        self.open
            .insert_unique(hash, grant, |grant| hashing.bytes(grant.reply.as_bytes()));
    }

    /// Uses one answer to `subject`, if there is one left.
    pub(crate) fn take(&mut self, subject: Subject<'_>, now: Instant) -> bool {
        let hash = self.hashing.bytes(subject.as_bytes());
        let Ok(mut entry) = self.open.find_entry(hash, |grant| grant.is_for(subject)) else {
            return false;
        };
        let is_open = entry.get().is_open(now);
        let left = entry.get().left.map(|left| left.saturating_sub(1));
        if !is_open || left == Some(0) {
            entry.remove();
        } else {
            entry.get_mut().left = left;
        }
        is_open
    }

    fn make_room(&mut self, now: Instant) {
        self.opened += 1;
        let is_long_ago = self.pruned.is_none_or(|pruned| now - pruned > PRUNED_EVERY);
        if self.opened > PRUNED_AFTER.max(self.open.len() / 2)
            || (is_long_ago && self.open.len() <= PRUNED_AFTER)
        {
            self.open.retain(|grant| grant.is_open(now));
            self.opened = 0;
            self.pruned = Some(now);
        }
        if self.open.len() >= MAX_GRANTS {
            // The table's order follows the secret hash: as good as random.
            let mut left = MAX_GRANTS / DROPPED_PART;
            self.open.retain(|_| {
                let is_spared = left == 0;
                left = left.saturating_sub(1);
                is_spared
            });
        }
    }
}

impl Grant {
    fn is_for(&self, subject: Subject<'_>) -> bool {
        self.reply.as_bytes() == subject.as_bytes()
    }

    fn is_open(&self, now: Instant) -> bool {
        self.left != Some(0) && self.until.is_none_or(|until| now < until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subject(text: &str) -> Subject<'_> {
        Subject::new(text.as_bytes()).unwrap()
    }

    fn open_many(grants: &mut Grants, name: &str, count: usize, now: Instant) {
        for n in 0..count {
            grants.open(subject(&format!("{name}.{n}")), now);
        }
    }

    // AUTH-211
    #[tokio::test(start_paused = true)]
    async fn a_grant_ends_by_count_and_by_time() {
        let start = Instant::now();
        let mut grants = Grants::new(Some(2), Some(Duration::from_secs(1)), 1);
        grants.open(subject("r"), start);
        assert!(grants.take(subject("r"), start));
        assert!(grants.take(subject("r"), start));
        assert!(!grants.take(subject("r"), start));
        grants.open(subject("r"), start);
        assert!(!grants.take(subject("r"), start + Duration::from_secs(1)));
        assert!(!grants.take(subject("other"), start));
    }

    // AUTH-211: however many requests wait, each may be answered.
    #[tokio::test(start_paused = true)]
    async fn many_open_grants_all_hold() {
        let start = Instant::now();
        let mut grants = Grants::new(Some(1), Some(Duration::from_secs(120)), 1);
        let count = 5 * PRUNED_AFTER;
        open_many(&mut grants, "r", count, start);
        let later = start + Duration::from_secs(60);
        for n in 0..count {
            assert!(grants.take(subject(&format!("r.{n}")), later), "{n}");
        }
        assert!(grants.open.is_empty());
    }

    // AUTH-211 [TestNoRaceDynamicResponsePermsMemory]: what nobody answers does not stay.
    #[tokio::test(start_paused = true)]
    async fn ended_grants_are_cleared_away() {
        let start = Instant::now();
        let mut grants = Grants::new(Some(1), Some(Duration::from_millis(50)), 1);
        let mut now = start;
        for round in 0..20 {
            open_many(&mut grants, &format!("r{round}"), PRUNED_AFTER / 2, now);
            now += Duration::from_millis(100);
        }
        assert!(grants.open.len() <= 2 * PRUNED_AFTER, "{}", grants.open.len());
        grants.open(subject("last"), now + PRUNED_EVERY);
        grants.open(subject("last"), now + PRUNED_EVERY * 3);
        assert!(grants.open.len() <= PRUNED_AFTER, "{}", grants.open.len());
    }

    // A pitfall of AUTH-211: nothing bounds the reference's.
    #[tokio::test(start_paused = true)]
    async fn a_flood_of_requests_keeps_within_the_bound() {
        let start = Instant::now();
        let mut grants = Grants::new(Some(1), None, 1);
        for n in 0..MAX_GRANTS + 10 {
            grants.open(subject(&format!("r.{n}")), start);
        }
        assert!(grants.open.len() <= MAX_GRANTS, "{}", grants.open.len());
        assert!(grants.open.len() >= MAX_GRANTS / 2, "{}", grants.open.len());
    }
}
