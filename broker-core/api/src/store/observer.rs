//! What a store tells its owner unasked.

use super::{StoreError, Ticket};

/// Hears what happens in a store. Called from within the store's methods, or from a thread of the backend: it only
/// notes, and never calls the store.
pub trait StoreObserver: Send + Sync + 'static {
    /// The stream holds more or less than before. Not called for what opening finds, which is in the state.
    fn usage(&self, change: UsageChange) {
        let _ = change;
    }

    /// The durable mark has reached `ticket` after the `commit` that asked for it had returned.
    fn durable(&self, ticket: Ticket) {
        let _ = ticket;
    }

    /// A consumer's durable mark has reached `ticket` after the `commit` of its store that asked for it had returned.
    fn consumer_durable(&self, name: &str, ticket: Ticket) {
        let _ = (name, ticket);
    }

    /// Committing has failed: everything after `durable` is uncertain, at the consumers as well, and the store is to be
    /// closed and opened anew.
    fn failed(&self, durable: Ticket, error: &StoreError) {
        let _ = (durable, error);
    }

    /// Damage was found, reported once for each place.
    fn damage(&self, damage: &Damage) {
        let _ = damage;
    }
}

/// An observer that listens to nothing.
impl StoreObserver for () {}

/// A change of what a stream uses (STORE-82).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UsageChange {
    /// Messages more or fewer.
    pub messages: i64,
    /// Bytes more or fewer.
    pub bytes: i64,
}

/// Messages that a store has lost and knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The first sequence concerned.
    pub first: u64,
    /// The last sequence concerned.
    pub last: u64,
    /// Bytes that cannot be read, as far as is known.
    pub bytes: u64,
    /// Where and what, for the operator.
    pub detail: String,
}
