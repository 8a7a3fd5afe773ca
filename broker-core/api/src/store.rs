//! Stores.

/// A storage backend: makes the store of each stream.
pub trait StoreBackend: Send + Sync + 'static {}
