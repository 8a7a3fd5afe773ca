//! Questions about the filters themselves, as those who hold few filters and many subjects ask them: consumers
//! and stores. (CORE-104, STORE-131)

use std::hash::Hash;

use super::arena::{NodeId, ROOT};
use super::{IndexError, InterestIndex};
use crate::check::{FULL_WILDCARD, PARTIAL_WILDCARD};
use crate::filter::{Filter, FilterBuf};
use crate::names::QueueName;
use crate::subject::Subject;

impl<T> InterestIndex<T> {
    /// Whether the filter `>` is stored, so that every subject is of interest.
    pub fn matches_everything(&self) -> bool {
        self.arena.node(ROOT).full.get().is_some()
    }

    /// The filter of all values, if they have one and the same. Costs a step for each of its tokens.
    pub fn single_filter(&self) -> Option<FilterBuf> {
        let mut filter: Vec<u8> = Vec::new();
        let mut at = ROOT;
        loop {
            let node = self.arena.node(at);
            let wildcards = [(node.full, FULL_WILDCARD), (node.partial, PARTIAL_WILDCARD)];
            let wildcards = wildcards
                .into_iter()
                .filter_map(|(link, text)| Some((link.get()?, text)));
            let literals = self
                .children(at)
                .map(|child| (child, self.arena.node(child).text()));
            let mut below = wildcards.chain(literals);
            match (below.next(), node.subscribers.is_empty()) {
                (None, false) => return FilterBuf::from_wire(filter).ok(),
                (Some((child, text)), true) if below.next().is_none() => {
                    if at != ROOT {
                        filter.push(b'.');
                    }
                    filter.extend_from_slice(text);
                    at = child;
                }
                _ => return None,
            }
        }
    }

    /// Whether a filter is stored that may match a subject with more tokens than `prefix`, which it begins with.
    pub fn has_interest_below(&self, prefix: Subject<'_>) -> bool {
        let mut now: Vec<NodeId> = vec![ROOT];
        for token in prefix.tokens() {
            let hasher = self.hashing.begin(token);
            let mut next = Vec::new();
            for id in now {
                let node = self.arena.node(id);
                if node.full.get().is_some() {
                    return true;
                }
                next.extend(node.partial.get());
                next.extend(self.arena.literal(id, token, &hasher));
            }
            now = next;
        }
        now.into_iter().any(|id| {
            let node = self.arena.node(id);
            [node.full, node.partial, node.children]
                .iter()
                .any(|link| link.get().is_some())
        })
    }
}

impl<T: Clone + Eq + Hash> InterestIndex<T> {
    /// Takes many values out. One that is not there does not keep the others in: the first error is returned
    /// when all is done. (CORE-98)
    pub fn remove_batch<'a>(
        &mut self,
        values: impl IntoIterator<Item = (Filter<'a>, Option<&'a QueueName>, &'a T)>,
    ) -> Result<(), IndexError>
    where
        T: 'a,
    {
        let mut result = Ok(());
        for (filter, queue, value) in values {
            let removed = self.remove(filter, queue, value);
            result = result.and(removed);
        }
        result
    }
}
