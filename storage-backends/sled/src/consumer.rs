//! One consumer's state: whole in memory, change by change in the database.

use std::sync::Arc;

use dunlin_api::{ConsumerChange, ConsumerState, ConsumerStore, Lease, StoreError, Ticket};

use crate::engine::{Engine, Job, Marks, Writes};
use crate::layout::{self, ConsumerKey};
use crate::stream::io;

/// Changes go to the writer when they are more than this.
const HAND_OVER: u64 = 64 * 1024;

/// The store of a consumer.
pub(crate) struct SledConsumer {
    name: Lease<String>,
    engine: Arc<Engine>,
    tree: sled::Tree,
    marks: Arc<Marks>,
    state: ConsumerState,
    metadata: Vec<u8>,
    staged: Ticket,
    writes: Writes,
}

impl SledConsumer {
    /// Opens what the database has of it, or makes it. May wait for the disk.
    pub(crate) fn open(
        name: Lease<String>,
        engine: Arc<Engine>,
        tree: sled::Tree,
        marks: Arc<Marks>,
        is_new: bool,
    ) -> Result<Self, StoreError> {
        let mut consumer = Self {
            name,
            engine,
            tree,
            marks,
            state: ConsumerState::default(),
            metadata: Vec::new(),
            staged: Ticket::default(),
            writes: Writes::default(),
        };
        if is_new {
            consumer.put(
                ConsumerKey::State,
                layout::pairs_value(Default::default(), Default::default()),
            );
            consumer.hand_over(false);
        } else {
            consumer.read()?;
        }
        Ok(consumer)
    }

    fn read(&mut self) -> Result<(), StoreError> {
        // An earlier owner may have queued changes.
        self.engine.settle()?;
        for entry in self.tree.scan_prefix(layout::consumer_prefix(self.name.name())) {
            let (key, value) = entry.map_err(io)?;
            let known = layout::consumer_of(&key).and_then(|(_, key)| self.take_in(key, &value));
            known.ok_or_else(|| {
                StoreError::Io(format!("consumer {} has an unknown entry", self.name.name()))
            })?;
        }
        Ok(())
    }

    fn take_in(&mut self, key: ConsumerKey, value: &[u8]) -> Option<()> {
        match key {
            ConsumerKey::State => {
                let (delivered, ack_floor) = layout::pairs_of(value)?;
                self.state.delivered = delivered;
                self.state.ack_floor = ack_floor;
            }
            ConsumerKey::Pending(sequence) => {
                self.state.pending.insert(sequence, layout::pending_of(value)?);
            }
            ConsumerKey::Redelivered(sequence) => {
                self.state.redelivered.insert(sequence, layout::count_of(value)?);
            }
            ConsumerKey::Metadata => self.metadata = value.to_vec(),
        }
        Some(())
    }

    fn key(&self, key: ConsumerKey) -> Vec<u8> {
        layout::consumer_key(self.name.name(), key)
    }

    fn put(&mut self, key: ConsumerKey, value: Vec<u8>) {
        let key = self.key(key);
        self.writes.put(key, value);
    }

    /// Puts in what a key has in the state now, or takes it out.
    fn refresh(&mut self, key: ConsumerKey) {
        let value = match key {
            ConsumerKey::State => Some(layout::pairs_value(self.state.delivered, self.state.ack_floor)),
            ConsumerKey::Pending(sequence) => {
                let pending = self.state.pending.get(&sequence);
                pending.map(|pending| layout::pending_value(*pending))
            }
            ConsumerKey::Redelivered(sequence) => {
                let count = self.state.redelivered.get(&sequence);
                count.map(|count| count.to_be_bytes().to_vec())
            }
            ConsumerKey::Metadata => Some(self.metadata.clone()),
        };
        match value {
            Some(value) => self.put(key, value),
            None => {
                let key = self.key(key);
                self.writes.remove(key);
            }
        }
    }

    fn keys(&self) -> Vec<ConsumerKey> {
        let pending = self.state.pending.keys().copied().map(ConsumerKey::Pending);
        let redelivered = self
            .state
            .redelivered
            .keys()
            .copied()
            .map(ConsumerKey::Redelivered);
        [ConsumerKey::State]
            .into_iter()
            .chain(pending)
            .chain(redelivered)
            .collect()
    }

    fn change(&mut self, change: &ConsumerChange) {
        let gone = match change {
            ConsumerChange::Replace(_) => self.keys(),
            _ => Vec::new(),
        };
        self.state.apply(change);
        let touched = match change {
            ConsumerChange::Delivered(_) | ConsumerChange::AckFloor(_) => vec![ConsumerKey::State],
            ConsumerChange::Pending(sequence, _) => vec![ConsumerKey::Pending(*sequence)],
            ConsumerChange::Redelivered(sequence, _) => vec![ConsumerKey::Redelivered(*sequence)],
            ConsumerChange::Replace(_) => self.keys(),
        };
        gone.into_iter().chain(touched).for_each(|key| self.refresh(key));
    }

    /// Names one more change, which is whole.
    fn staged(&mut self) -> Ticket {
        self.staged.0 += 1;
        if self.writes.bytes() >= HAND_OVER {
            self.hand_over(false);
        }
        self.staged
    }

    fn hand_over(&mut self, sync: bool) {
        self.engine.submit(Job {
            tree: self.tree.clone(),
            writes: std::mem::take(&mut self.writes),
            to: self.staged,
            sync,
            marks: self.marks.clone(),
        });
    }
}

impl ConsumerStore for SledConsumer {
    fn state(&self) -> &ConsumerState {
        &self.state
    }

    fn record(&mut self, changes: &[ConsumerChange]) -> Result<Ticket, StoreError> {
        self.engine.make_room(self.writes.bytes())?;
        changes.iter().for_each(|change| self.change(change));
        Ok(self.staged())
    }

    fn durable(&self) -> Ticket {
        self.marks.durable()
    }

    fn commit(&mut self, ticket: Ticket) -> Result<Ticket, StoreError> {
        let failure = self.marks.failure().or(self.engine.failure());
        failure.cloned().map_or(Ok(()), Err)?;
        if ticket > self.marks.durable() {
            self.hand_over(true);
        }
        Ok(self.marks.durable())
    }

    fn metadata(&self) -> &[u8] {
        &self.metadata
    }

    fn set_metadata(&mut self, metadata: &[u8]) -> Result<Ticket, StoreError> {
        self.engine
            .make_room(self.writes.bytes().saturating_add(metadata.len() as u64))?;
        self.metadata = metadata.to_vec();
        self.refresh(ConsumerKey::Metadata);
        Ok(self.staged())
    }

    fn close(mut self: Box<Self>) -> Result<(), StoreError> {
        self.hand_over(false);
        self.engine.settle()
    }
}
