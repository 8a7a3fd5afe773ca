//! One consumer's state, kept while it is open.

use dunlin_api::{ConsumerChange, ConsumerState, ConsumerStore, Lease, StoreError, Ticket};

/// The store of a consumer.
pub(crate) struct MemoryConsumer {
    _lease: Lease<String>,
    state: ConsumerState,
    metadata: Vec<u8>,
    staged: Ticket,
}

impl MemoryConsumer {
    /// A new consumer.
    pub(crate) fn new(lease: Lease<String>) -> Self {
        Self {
            _lease: lease,
            state: ConsumerState::default(),
            metadata: Vec::new(),
            staged: Ticket::default(),
        }
    }
}

impl ConsumerStore for MemoryConsumer {
    fn state(&self) -> &ConsumerState {
        &self.state
    }

    fn record(&mut self, changes: &[ConsumerChange]) -> Result<Ticket, StoreError> {
        for change in changes {
            self.state.apply(change);
        }
        self.staged.0 += 1;
        Ok(self.staged)
    }

    fn durable(&self) -> Ticket {
        self.staged
    }

    fn commit(&mut self, _: Ticket) -> Result<Ticket, StoreError> {
        Ok(self.staged)
    }

    fn metadata(&self) -> &[u8] {
        &self.metadata
    }

    fn set_metadata(&mut self, metadata: &[u8]) -> Result<Ticket, StoreError> {
        self.metadata = metadata.to_vec();
        self.record(&[])
    }
}
