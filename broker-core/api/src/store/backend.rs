//! What makes the stores of streams, and how it is asked.

use std::sync::Arc;

use super::{StorageType, StoreError, StoreObserver, StreamId, StreamStore};

/// A storage backend: makes the store of each stream.
///
/// `plugins/example-store` is a complete one to copy. What a plugin says about itself is [`crate::Component`].
pub trait StoreBackend: Send + Sync + 'static {
    /// What this backend promises; the same for its whole life.
    fn capabilities(&self) -> Capabilities;

    /// Opens the store of a stream, and makes it where there is none. May wait for a disk.
    ///
    /// # Errors
    /// [`StoreError::InUse`] while it is open already; whatever keeps it from being read. Damage inside is no error:
    /// the stream opens without what is lost, and the observer is told.
    fn stream(&self, id: &StreamId, options: StreamOptions) -> Result<Box<dyn StreamStore>, StoreError>;

    /// The streams that exist, in any order. A backend that is not durable knows those that are open.
    ///
    /// # Errors
    /// The medium cannot be read.
    fn list(&self) -> Result<Vec<StreamId>, StoreError>;

    /// Removes a closed stream with its consumers, for good, before it returns; whether there was one. A crash on the
    /// way does not bring it back.
    ///
    /// # Errors
    /// [`StoreError::InUse`] while it is open; the medium refuses.
    fn delete(&self, id: &StreamId) -> Result<bool, StoreError>;
}

/// How a stream's store is opened. [`StreamOptions::new`] has what a stream without limits has.
#[derive(Clone)]
#[non_exhaustive]
pub struct StreamOptions {
    /// Decides what messages count.
    pub storage: StorageType,
    /// Hears about what happens in the store.
    pub observer: Arc<dyn StoreObserver>,
    /// What the store may expect. It enforces none of it.
    pub shape: StreamShape,
    /// How messages at rest are compressed. Holds for what is written from now on; what is there stays as it is.
    pub compression: Compression,
    /// Whether subjects are indexed. Without it whatever takes a filter may answer as if there were no messages, and
    /// [`super::StreamState::subjects`] is 0: right for logs, which ask by sequence only (STORE-84).
    pub track_subjects: bool,
}

impl StreamOptions {
    /// Options of a stream without limits and compression, with subjects.
    pub fn new(storage: StorageType, observer: Arc<dyn StoreObserver>) -> Self {
        Self {
            storage,
            observer,
            shape: StreamShape::default(),
            compression: Compression::None,
            track_subjects: true,
        }
    }
}

/// What a stream's configuration says about its size: enough for a file layout to choose its blocks (STORE-26).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StreamShape {
    /// `max_bytes`.
    pub max_bytes: Option<u64>,
    /// `max_msgs`.
    pub max_messages: Option<u64>,
    /// `max_msgs_per_subject`.
    pub max_messages_per_subject: Option<u64>,
    /// The longest message allowed, in bytes: `max_msg_size`, else the account's or the server's longest payload.
    pub max_message_size: Option<u32>,
    /// Bytes of the longest configured subject without wildcards.
    pub longest_subject: Option<u32>,
    /// Retention by interest or as a work queue: the stream is mostly short.
    pub short_lived: bool,
    /// Bytes of a block, chosen instead of derived.
    pub block_size: Option<u32>,
}

/// `compression` in a stream's configuration (STORE-30).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Compression {
    /// `none`.
    #[default]
    None,
    /// `s2`. A store that cannot compress keeps messages as they are.
    S2,
}

/// What a backend promises. Callers ask here, never for a backend's name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// What [`StreamStore::durable`] covers survives a crash and power loss, and streams are found again by
    /// [`StoreBackend::list`]. Without it configuration must allow the backend for `storage: file`.
    pub durable: bool,
    /// An erased message cannot be read from the medium afterwards; a backend without it only forgets.
    pub secure_erase: bool,
    /// Damage is found when read and reported as [`super::Damage`].
    pub detects_damage: bool,
    /// Loads may answer [`super::Load::Cold`].
    pub cold_reads: bool,
}
