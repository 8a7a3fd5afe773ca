//! Telling somebody when a subject gets its first subscription and loses its last.
//!
//! Kept beside an [`InterestIndex`] by whoever changes it, so that an index without watchers pays nothing. Only
//! subscriptions on exactly the watched subject count; one on a wildcard is not asked. Rules: CORE-101.

use std::hash::Hash;

use hashbrown::HashMap;

use super::InterestIndex;
use crate::filter::{Filter, FilterBuf};
use crate::names::QueueName;

/// Who watches what. `W` is the watcher, or whatever names it.
#[derive(Debug)]
pub struct InterestWatch<W> {
    /// Never an empty list.
    watchers: HashMap<Key, Watched<W>, foldhash::fast::RandomState>,
}

type Key = (FilterBuf, Option<QueueName>);

#[derive(Debug)]
struct Watched<W> {
    has_interest: bool,
    list: Vec<W>,
}

/// Why a subject cannot be watched. The texts are the reference's. (CORE-101)
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WatchError {
    /// A wildcard stands for many subjects.
    #[error("sublist: invalid subject")]
    InvalidSubject,
    /// This watcher watches this subject and queue already.
    #[error("sublist: notification already registered")]
    AlreadyRegistered,
}

impl<W: PartialEq> InterestWatch<W> {
    /// Nobody watches.
    pub fn new() -> Self {
        Self {
            watchers: HashMap::default(),
        }
    }

    /// Whether nobody watches, so that changes need not be told.
    pub fn is_empty(&self) -> bool {
        self.watchers.is_empty()
    }

    /// Watches a literal subject, its plain subscriptions or the members of one queue group, and says whether
    /// there is one now.
    pub fn register<T: Clone + Eq + Hash>(
        &mut self,
        index: &InterestIndex<T>,
        subject: Filter<'_>,
        queue: Option<&QueueName>,
        watcher: W,
    ) -> Result<bool, WatchError> {
        if !subject.is_literal() {
            return Err(WatchError::InvalidSubject);
        }
        let key = (subject.to_owned(), queue.cloned());
        let watched = self.watchers.entry(key).or_insert_with(|| Watched {
            has_interest: index.has_exact(subject, queue),
            list: Vec::new(),
        });
        if watched.list.contains(&watcher) {
            return Err(WatchError::AlreadyRegistered);
        }
        watched.list.push(watcher);
        Ok(watched.has_interest)
    }

    /// Stops watching; false if this watcher does not watch this subject and queue.
    pub fn clear(&mut self, subject: Filter<'_>, queue: Option<&QueueName>, watcher: &W) -> bool {
        let key = (subject.to_owned(), queue.cloned());
        let Some(watched) = self.watchers.get_mut(&key) else {
            return false;
        };
        let before = watched.list.len();
        watched.list.retain(|known| known != watcher);
        let was_there = watched.list.len() < before;
        if watched.list.is_empty() {
            self.watchers.remove(&key);
        }
        was_there
    }

    /// After a subscription on `filter` came or went: whom to tell, and what. Empty unless it was the first or
    /// the last.
    pub fn changed<T: Clone + Eq + Hash>(
        &mut self,
        index: &InterestIndex<T>,
        filter: Filter<'_>,
        queue: Option<&QueueName>,
    ) -> (bool, &[W]) {
        if self.watchers.is_empty() {
            return (false, &[]);
        }
        let key = (filter.to_owned(), queue.cloned());
        let Some(watched) = self.watchers.get_mut(&key) else {
            return (false, &[]);
        };
        let has_interest = index.has_exact(filter, queue);
        if watched.has_interest == has_interest {
            return (has_interest, &[]);
        }
        watched.has_interest = has_interest;
        (has_interest, &watched.list)
    }
}

impl<W: PartialEq> Default for InterestWatch<W> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Scene {
        index: InterestIndex<u32>,
        watch: InterestWatch<char>,
    }

    fn filter(text: &str) -> Filter<'_> {
        Filter::new(text.as_bytes()).unwrap()
    }

    fn queue(text: &str) -> QueueName {
        QueueName::new(text.as_bytes()).unwrap()
    }

    impl Scene {
        fn new() -> Self {
            Self {
                index: InterestIndex::new(1),
                watch: InterestWatch::new(),
            }
        }

        fn add(&mut self, text: &str, group: Option<&QueueName>, value: u32) -> String {
            self.index.insert(filter(text), group, value).unwrap();
            self.told(text, group)
        }

        fn take(&mut self, text: &str, group: Option<&QueueName>, value: u32) -> String {
            self.index.remove(filter(text), group, &value).unwrap();
            self.told(text, group)
        }

        fn told(&mut self, text: &str, group: Option<&QueueName>) -> String {
            let (now, watchers) = self.watch.changed(&self.index, filter(text), group);
            watchers
                .iter()
                .map(|watcher| format!("{watcher}:{now} "))
                .collect()
        }

        fn register(
            &mut self,
            text: &str,
            group: Option<&QueueName>,
            watcher: char,
        ) -> Result<bool, WatchError> {
            self.watch.register(&self.index, filter(text), group, watcher)
        }
    }

    // CORE-101 [TestSublistRegisterInterestNotification]
    #[test]
    fn watcher_hears_of_the_first_and_of_the_last_exact_subscription() {
        let mut scene = Scene::new();
        assert_eq!(scene.register("foo", None, 'a'), Ok(false));
        assert_eq!(scene.add("foo", None, 1), "a:true ");
        assert_eq!(scene.add("foo", None, 2), "");
        assert_eq!(scene.register("foo", None, 'b'), Ok(true));
        assert_eq!(
            scene.add("*", None, 3) + &scene.add("foo.bar", None, 4) + &scene.add(">", None, 5),
            ""
        );
        assert_eq!(scene.take("foo", None, 1), "");
        assert_eq!(scene.take("foo", None, 2), "a:false b:false ");
        assert_eq!(scene.add("foo", None, 1), "a:true b:true ");
        assert!(scene.watch.clear(filter("foo"), None, &'a'));
        assert_eq!(scene.take("foo", None, 1), "b:false ");
        assert!(scene.watch.clear(filter("foo"), None, &'b') && scene.watch.is_empty());
    }

    // CORE-101 [TestSublistRegisterInterestNotification]
    #[test]
    fn members_of_a_queue_group_are_watched_apart() {
        let mut scene = Scene::new();
        let (q1, q2) = (queue("q1"), queue("q2"));
        assert_eq!(scene.register("foo", Some(&q1), 'q'), Ok(false));
        assert_eq!(scene.register("foo", None, 'p'), Ok(false));
        assert_eq!(scene.add("foo", Some(&q2), 1), "");
        assert_eq!(scene.add("foo", Some(&q1), 2), "q:true ");
        assert_eq!(scene.add("foo", Some(&q1), 3), "");
        assert_eq!(scene.add("foo", None, 4), "p:true ");
        assert_eq!(scene.take("foo", Some(&q1), 2), "");
        assert_eq!(scene.take("foo", Some(&q1), 3), "q:false ");
        assert_eq!(scene.register("foo", Some(&q2), 'q'), Ok(true));
        assert!(!scene.watch.clear(filter("foo"), Some(&q2), &'x'));
        assert!(scene.watch.clear(filter("foo"), Some(&q2), &'q'));
    }

    // CORE-101 [TestSublistRegisterInterestNotification]
    #[test]
    fn only_literals_are_watched_and_each_once() {
        let mut scene = Scene::new();
        assert_eq!(
            scene.register("foo.*", None, 'a'),
            Err(WatchError::InvalidSubject)
        );
        assert_eq!(scene.register(">", None, 'a'), Err(WatchError::InvalidSubject));
        assert!(!scene.watch.clear(filter("foo"), None, &'a'));
        assert_eq!(scene.register("foo", None, 'a'), Ok(false));
        assert_eq!(
            scene.register("foo", None, 'a'),
            Err(WatchError::AlreadyRegistered)
        );
        assert_eq!(
            WatchError::AlreadyRegistered.to_string(),
            "sublist: notification already registered"
        );
    }
}
