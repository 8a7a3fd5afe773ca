//! A store that implements no more than it must, and whose messages are all cold: it shows that default bodies are right.

use dunlin_api::{
    Answer, Capabilities, ConsumerStore, Due, Load, NewMessage, Purged, Removal, Staged, StorageType,
    StoreBackend, StoreError, StoredMessage, StreamId, StreamOptions, StreamState, StreamStore, Ticket,
    TimerKind,
};

/// Passes the required methods on, of a backend or of a stream.
pub(super) struct Plain<S>(pub(super) S);

impl<B: StoreBackend> StoreBackend for Plain<B> {
    fn capabilities(&self) -> Capabilities {
        self.0.capabilities()
    }

    fn stream(&self, id: &StreamId, options: StreamOptions) -> Result<Box<dyn StreamStore>, StoreError> {
        Ok(Box::new(Plain(self.0.stream(id, options)?)))
    }

    fn list(&self) -> Result<Vec<StreamId>, StoreError> {
        self.0.list()
    }

    fn delete(&self, id: &StreamId) -> Result<bool, StoreError> {
        self.0.delete(id)
    }
}

impl StreamStore for Plain<Box<dyn StreamStore>> {
    fn storage(&self) -> StorageType {
        self.0.storage()
    }

    fn state(&self) -> StreamState {
        self.0.state()
    }

    fn stage(&mut self, message: &NewMessage<'_>) -> Result<Staged, StoreError> {
        self.0.stage(message)
    }

    fn skip(&mut self, count: u64, time: Option<i64>) -> Result<(), StoreError> {
        self.0.skip(count, time)
    }

    fn staged(&self) -> Ticket {
        self.0.staged()
    }

    fn durable(&self) -> Ticket {
        self.0.durable()
    }

    fn commit(&mut self, ticket: Ticket) -> Result<Ticket, StoreError> {
        self.0.commit(ticket)
    }

    fn load(&self, sequence: u64) -> Answer<Option<StoredMessage>> {
        let message = self.0.load(sequence)?.wait()?;
        Ok(Load::cold(move || Ok(message)))
    }

    fn at_or_after(&self, from: u64) -> Option<u64> {
        self.0.at_or_after(from)
    }

    fn remove(&mut self, sequence: u64, removal: Removal) -> Result<Option<u64>, StoreError> {
        self.0.remove(sequence, removal)
    }

    fn truncate(&mut self, sequence: u64) -> Result<Purged, StoreError> {
        self.0.truncate(sequence)
    }

    fn set_timer(&mut self, kind: TimerKind, sequence: u64, at: Option<i64>) -> Result<(), StoreError> {
        self.0.set_timer(kind, sequence, at)
    }

    fn due(&self, kind: TimerKind, until: i64, most: usize) -> Vec<Due> {
        self.0.due(kind, until, most)
    }

    fn metadata(&self) -> &[u8] {
        self.0.metadata()
    }

    fn set_metadata(&mut self, metadata: &[u8]) -> Result<(), StoreError> {
        self.0.set_metadata(metadata)
    }

    fn consumer(&mut self, name: &str) -> Result<Box<dyn ConsumerStore>, StoreError> {
        self.0.consumer(name)
    }

    fn consumers(&self) -> Vec<String> {
        self.0.consumers()
    }

    fn delete_consumer(&mut self, name: &str) -> Result<bool, StoreError> {
        self.0.delete_consumer(name)
    }
}
