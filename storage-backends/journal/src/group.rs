//! What one turn makes durable: batches that were submitted one after the other.

use std::collections::{HashMap, HashSet};

use crate::dirty::{Key, key};
use crate::error::JournalError;
use crate::frame::FrameBuilder;
use crate::item::{Batch, Incarnation, Item, Promise};

/// From here on, writing bytes twice costs more than syncing their own files: per group, or per target.
const DIRECT_BYTES: usize = 512 << 10;

/// And only if each file that must be synced gets this much.
const DIRECT_BYTES_PER_TARGET: usize = 32 << 10;

/// The longest name of a stream, file or consumer.
const NAME_BYTES: usize = u16::MAX as usize;

/// Bytes of an item's own in a frame, at most, apart from names and content.
const ITEM_BYTES: usize = 64;

/// Batches and what became of each.
pub(crate) struct Group {
    pub(crate) batches: Vec<Batch>,
    pub(crate) results: Vec<Result<(), JournalError>>,
    /// Targets that are written and synced at once, in the order of their first item.
    pub(crate) direct: Vec<Key>,
    is_direct: HashSet<Key>,
}

impl Group {
    /// Decides which way each item goes. A frame holds at most `largest` bytes.
    pub(crate) fn new(batches: Vec<Batch>, largest: u64) -> Self {
        let results = batches.iter().map(|_| Ok(())).collect();
        let mut group = Self {
            batches,
            results,
            direct: Vec::new(),
            is_direct: HashSet::new(),
        };
        group.choose_direct(usize::try_from(largest).unwrap_or(usize::MAX));
        group.refuse_giants(usize::try_from(largest).unwrap_or(usize::MAX));
        group
    }

    /// Fails the batches that have to do with any of `failed`.
    pub(crate) fn refuse(&mut self, failed: &HashSet<Incarnation>) {
        if failed.is_empty() {
            return;
        }
        for (batch, result) in self.batches.iter().zip(&mut self.results) {
            let mut items = batch.items.iter();
            if let Some(item) = items.find(|item| failed.contains(item.incarnation()) && !ends_failure(item))
                && result.is_ok()
            {
                let stream = format!("{:?}", item.incarnation());
                *result = Err(JournalError::Failed { stream });
            }
        }
    }

    /// Fails every batch that is not failed yet and has an item that `concerned` picks.
    pub(crate) fn fail(&mut self, error: &JournalError, concerned: impl Fn(&Batch, &Item) -> bool) {
        for (batch, result) in self.batches.iter().zip(&mut self.results) {
            if result.is_ok() && batch.items.iter().any(|item| concerned(batch, item)) {
                *result = Err(error.clone());
            }
        }
    }

    /// The items of batches that have not failed, with their batch.
    pub(crate) fn items(&self) -> impl Iterator<Item = (&Batch, &Item)> {
        self.batches
            .iter()
            .zip(&self.results)
            .filter(|(_, result)| result.is_ok())
            .flat_map(|(batch, _)| batch.items.iter().map(move |item| (batch, item)))
    }

    /// Whether an item goes through the journal.
    pub(crate) fn is_journaled(&self, batch: &Batch, item: &Item) -> bool {
        batch.promise == Promise::Durable && !self.is_direct(batch, item)
    }

    /// Whether an item goes to its target at once, and is synced there.
    pub(crate) fn is_direct(&self, batch: &Batch, item: &Item) -> bool {
        batch.promise == Promise::Durable
            && !self.is_direct.is_empty()
            && matches!(item, Item::Block { target, .. } if self.is_direct.contains(&key(target)))
    }

    /// Encodes what goes through the journal.
    pub(crate) fn encode(&self, builder: &mut FrameBuilder) {
        builder.clear();
        for (batch, item) in self.items() {
            if self.is_journaled(batch, item) {
                builder.push(item);
            }
        }
    }

    fn choose_direct(&mut self, largest: usize) {
        let total: usize = self.batches.iter().map(Batch::bytes).sum();
        if total < DIRECT_BYTES && self.batches.iter().all(|batch| batch.span() <= largest) {
            return;
        }
        let mut bytes = HashMap::<Key, usize>::new();
        let mut order = Vec::new();
        let mut forced = HashSet::new();
        for batch in &self.batches {
            // What does not fit into a frame has no other way.
            let is_giant = batch.span() > largest;
            for item in &batch.items {
                if let (
                    Item::Block {
                        target, bytes: new, ..
                    },
                    Promise::Durable,
                ) = (item, batch.promise)
                {
                    let key = key(target);
                    let sum = bytes.entry(key).or_insert_with(|| {
                        order.push(key);
                        0
                    });
                    *sum += new.len();
                    if is_giant {
                        forced.insert(key);
                    }
                }
            }
        }
        let blocks: usize = bytes.values().sum();
        let all = blocks >= DIRECT_BYTES && blocks / bytes.len().max(1) >= DIRECT_BYTES_PER_TARGET;
        order.retain(|key| {
            all || forced.contains(key) || bytes.get(key).is_some_and(|bytes| *bytes >= DIRECT_BYTES)
        });
        self.is_direct = order.iter().copied().collect();
        self.direct = order;
    }

    fn refuse_giants(&mut self, largest: usize) {
        for index in 0..self.batches.len() {
            let Some(batch) = self.batches.get(index) else {
                continue;
            };
            let journaled = batch.items.iter().filter(|item| self.is_journaled(batch, item));
            let span: usize = journaled.map(span).sum();
            let has_long_name = batch.items.iter().any(|item| name_bytes(item) > NAME_BYTES);
            if (span.saturating_add(ITEM_BYTES) > largest || has_long_name)
                && let Some(result) = self.results.get_mut(index)
            {
                let size = batch.bytes();
                *result = Err(JournalError::TooLarge { size });
            }
        }
    }
}

impl Batch {
    /// Bytes that its items carry.
    pub(crate) fn bytes(&self) -> usize {
        self.items.iter().map(Item::len).sum()
    }

    /// Bytes that it takes up in a frame, at most.
    pub(crate) fn span(&self) -> usize {
        self.items.iter().map(span).sum()
    }

    pub(crate) fn forgets(&self) -> bool {
        self.items.iter().any(|item| matches!(item, Item::Forget { .. }))
    }
}

fn span(item: &Item) -> usize {
    ITEM_BYTES + item.incarnation().as_bytes().len() + name_bytes(item) + item.len()
}

/// Bytes of the longer name of an item.
fn name_bytes(item: &Item) -> usize {
    let own = match item {
        Item::File { name, .. } | Item::Consumer { name, .. } => name.len(),
        Item::Forget { scope, .. } => match scope {
            crate::Scope::File(name) | crate::Scope::Consumer(name) => name.len(),
            _ => 0,
        },
        Item::Block { .. } | Item::Raft { .. } => 0,
    };
    own.max(item.incarnation().as_bytes().len())
}

/// Whether an item ends what failed before, so that it is taken from a stream that failed.
fn ends_failure(item: &Item) -> bool {
    matches!(
        item,
        Item::Forget {
            scope: crate::Scope::Stream,
            rest: crate::Rest::Drop,
            ..
        }
    )
}
