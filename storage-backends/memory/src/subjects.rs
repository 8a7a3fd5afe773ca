//! What is known of each subject: how many messages it has, and where the first and the last are.
//!
//! The messages of a subject are linked both ways, so both ends stay exact whatever is removed. A stream that does not
//! track subjects has none here, and no links.

use std::ops::ControlFlow;

use dunlin_api::{Filter, Subject, SubjectState};
use dunlin_subject::SubjectTree;

use crate::chunk::Links;
use crate::messages::Messages;

/// The subjects of a stream.
#[derive(Default)]
pub(crate) struct Subjects {
    tree: SubjectTree<SubjectState>,
}

impl Subjects {
    /// How many have a message.
    pub(crate) fn count(&self) -> u64 {
        self.tree.len() as u64
    }

    /// What is known of a subject.
    pub(crate) fn get(&self, subject: Subject<'_>) -> Option<&SubjectState> {
        self.tree.get(subject)
    }

    /// Notes a message that is appended next, links the one before to it, and gives its own links.
    pub(crate) fn add(&mut self, messages: &mut Messages, subject: Subject<'_>, sequence: u64) -> Links {
        let state = self
            .tree
            .get_or_insert_with(subject, || Some(SubjectState::default()));
        let Some(state) = state else {
            return Links::default();
        };
        let previous = state.last;
        state.add(sequence);
        if let Some(stored) = messages.get(previous) {
            let links = Links {
                next: sequence,
                ..stored.links
            };
            messages.set_links(previous, links);
        }
        Links { previous, next: 0 }
    }

    /// Forgets a message that is removed next, and links its neighbours.
    pub(crate) fn remove(&mut self, messages: &mut Messages, subject: Subject<'_>, links: Links) {
        let Some(state) = self.tree.get_mut(subject) else {
            return;
        };
        let Links { previous, next } = links;
        state.messages -= 1;
        if state.messages == 0 {
            self.tree.remove(subject);
            return;
        }
        match messages.get(previous).map(|stored| stored.links) {
            Some(links) => messages.set_links(previous, Links { next, ..links }),
            None => state.first = next,
        }
        match messages.get(next).map(|stored| stored.links) {
            Some(links) => messages.set_links(next, Links { previous, ..links }),
            None => state.last = previous,
        }
    }

    /// Finds all subjects and links anew, after many messages went at once.
    pub(crate) fn rebuild(&mut self, messages: &mut Messages) {
        self.tree.clear();
        let mut at = messages.at_or_after(0);
        let mut subject = Vec::new();
        while let Some(sequence) = at {
            if let Some(stored) = messages.get(sequence) {
                subject.clear();
                subject.extend_from_slice(stored.subject.as_bytes());
                let links = self.add(messages, Subject::kept(&subject), sequence);
                messages.set_links(sequence, links);
            }
            at = messages.at_or_after(sequence + 1);
        }
    }

    /// Shows each subject that a filter matches, once; with at most one filter by rising bytes.
    pub(crate) fn visit<B>(
        &self,
        filters: &[Filter<'_>],
        mut visit: impl FnMut(Subject<'_>, &SubjectState) -> ControlFlow<B>,
    ) -> ControlFlow<B> {
        match filters {
            [] => self.tree.visit_prefix(b"", visit),
            [filter] if filter.is_literal() => {
                let subject = Subject::kept(filter.as_bytes());
                self.get(subject)
                    .map_or(ControlFlow::Continue(()), |state| visit(subject, state))
            }
            [filter] => self.tree.visit_matching(*filter, visit),
            filters => self.tree.visit_matching_any(filters, visit),
        }
    }
}
