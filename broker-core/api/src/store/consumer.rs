//! What is kept of one consumer.

use std::collections::BTreeMap;

use super::{StoreError, Ticket};
#[cfg(doc)]
use super::{StoreObserver, StreamStore};

/// What one consumer must not forget. Staged, durable and commit mean the same as at a [`StreamStore`].
///
/// ```
/// use dunlin_api::{ConsumerChange, ConsumerState, ConsumerStore, SequencePair, StoreError, Ticket};
///
/// /// Forgets everything when it is dropped.
/// #[derive(Default)]
/// struct Forgetful { state: ConsumerState, metadata: Vec<u8>, staged: Ticket }
///
/// impl ConsumerStore for Forgetful {
///     fn state(&self) -> &ConsumerState { &self.state }
///     fn record(&mut self, changes: &[ConsumerChange]) -> Result<Ticket, StoreError> {
///         changes.iter().for_each(|change| self.state.apply(change));
///         self.staged.0 += 1;
///         Ok(self.staged)
///     }
///     fn durable(&self) -> Ticket { self.staged }
///     fn commit(&mut self, _: Ticket) -> Result<Ticket, StoreError> { Ok(self.staged) }
///     fn metadata(&self) -> &[u8] { &self.metadata }
///     fn set_metadata(&mut self, metadata: &[u8]) -> Result<Ticket, StoreError> {
///         self.metadata = metadata.to_vec();
///         self.record(&[])
///     }
/// }
///
/// let mut store = Forgetful::default();
/// let first = SequencePair { consumer: 1, stream: 4 };
/// let ticket = store.record(&[ConsumerChange::Delivered(first)])?;
/// assert_eq!(store.commit(ticket)?, ticket);
/// assert_eq!(store.state().delivered, first);
/// # Ok::<(), StoreError>(())
/// ```
pub trait ConsumerStore: Send {
    /// What it holds, with what is staged.
    fn state(&self) -> &ConsumerState;

    /// Makes the changes together: after a crash all are there or none, as [`ConsumerState::apply`] defines them. Cost:
    /// the changes, not the state.
    ///
    /// # Errors
    /// [`StoreError::Full`], [`StoreError::Io`]; nothing is changed then.
    fn record(&mut self, changes: &[ConsumerChange]) -> Result<Ticket, StoreError>;

    /// What has reached the medium.
    fn durable(&self) -> Ticket;

    /// Asks that everything up to `ticket` become durable, and returns the durable mark. Where that is still behind,
    /// [`StoreObserver::consumer_durable`] or [`StoreObserver::failed`] of the stream's observer follows. Never waits.
    ///
    /// # Errors
    /// An earlier commit failed; the store must be opened anew.
    fn commit(&mut self, ticket: Ticket) -> Result<Ticket, StoreError>;

    /// What [`ConsumerStore::set_metadata`] kept, empty at first.
    fn metadata(&self) -> &[u8];

    /// Keeps bytes for the owner, such as the consumer's configuration, replacing the earlier ones as a whole.
    ///
    /// # Errors
    /// As [`ConsumerStore::record`].
    fn set_metadata(&mut self, metadata: &[u8]) -> Result<Ticket, StoreError>;

    /// Makes everything durable and releases the store. May wait for a disk. A store that is dropped instead keeps
    /// only what is durable. All consumers are released before their stream is.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    fn close(self: Box<Self>) -> Result<(), StoreError> {
        Ok(())
    }
}

/// A message's numbers: of the delivery and of the stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SequencePair {
    /// Counts the consumer's deliveries.
    pub consumer: u64,
    /// The message's sequence in the stream.
    pub stream: u64,
}

/// A delivery that waits for its ack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PendingAck {
    /// The delivery's number.
    pub consumer: u64,
    /// The time that its redelivery counts from, in nanoseconds since the Unix epoch.
    pub time: i64,
}

/// What a consumer must not forget (STORE-65).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConsumerState {
    /// The last delivery.
    pub delivered: SequencePair,
    /// Everything until here is acked.
    pub ack_floor: SequencePair,
    /// By sequence in the stream.
    pub pending: BTreeMap<u64, PendingAck>,
    /// How often a message was delivered again, by sequence in the stream.
    pub redelivered: BTreeMap<u64, u64>,
}

/// A change of a consumer's state. It says what becomes of the state, not what a client did: the rules of acks lie
/// with the consumer, so every store comes to the same state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConsumerChange {
    /// Sets `delivered`.
    Delivered(SequencePair),
    /// Sets `ack_floor`.
    AckFloor(SequencePair),
    /// Sets or clears what waits for an ack.
    Pending(u64, Option<PendingAck>),
    /// Sets how often a message was redelivered; 0 forgets it.
    Redelivered(u64, u64),
    /// Everything anew.
    Replace(Box<ConsumerState>),
}

impl ConsumerState {
    /// Makes the change. Total: any change fits any state.
    pub fn apply(&mut self, change: &ConsumerChange) {
        match change {
            ConsumerChange::Delivered(pair) => self.delivered = *pair,
            ConsumerChange::AckFloor(pair) => self.ack_floor = *pair,
            ConsumerChange::Pending(sequence, Some(pending)) => {
                self.pending.insert(*sequence, *pending);
            }
            ConsumerChange::Pending(sequence, None) => {
                self.pending.remove(sequence);
            }
            ConsumerChange::Redelivered(sequence, 0) => {
                self.redelivered.remove(sequence);
            }
            ConsumerChange::Redelivered(sequence, count) => {
                self.redelivered.insert(*sequence, *count);
            }
            ConsumerChange::Replace(state) => *self = (**state).clone(),
        }
    }
}
