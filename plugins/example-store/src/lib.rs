//! A store to copy: everything in memory, and gone with the stream that it belongs to.
//!
//! ```toml
//! [plugins.store.example-store]
//! max_bytes = "64M"
//! ```
//!
//! It promises nothing that it does not keep: its capabilities say that nothing survives, so its durable mark is always
//! where its last change is. It never touches a disk, a clock or a thread.

mod consumer;
mod stream;

use std::sync::Arc;

use dunlin_api::{
    Capabilities, Component, OpenNames, Plugin, PluginError, Setup, StoreBackend, StoreError, StreamId,
    StreamOptions, StreamStore,
};
use dunlin_config::{ByteSize, ConfigSection};

use stream::{Budget, MemoryStream};

/// The plugin, for the list in `plugins/builtin`.
pub fn plugin() -> Plugin {
    Plugin::store::<MemoryBackend>()
}

/// Options under `[plugins.store.example-store]`.
#[derive(Clone, Debug, PartialEq, ConfigSection)]
pub struct MemoryOptions {
    /// What the messages of all streams may count together. A message beyond it is refused.
    #[config(default = "256M")]
    pub max_bytes: ByteSize,
}

/// Keeps streams in memory while they are open.
pub struct MemoryBackend {
    open: OpenNames<StreamId>,
    budget: Arc<Budget>,
}

impl Component for MemoryBackend {
    const NAME: &'static str = "example-store";
    const SUMMARY: &'static str = "streams in memory, gone when they are closed (example)";
    type Options = MemoryOptions;

    fn open(options: MemoryOptions, _: &Setup<'_>) -> Result<Self, PluginError> {
        if options.max_bytes.0 == 0 {
            return Err(PluginError("`max_bytes` is at least 1".to_owned()));
        }
        Ok(Self::new(options.max_bytes.0))
    }
}

impl MemoryBackend {
    /// A backend whose messages count at most `max_bytes` together.
    pub fn new(max_bytes: u64) -> Self {
        Self {
            open: OpenNames::default(),
            budget: Arc::new(Budget::new(max_bytes)),
        }
    }
}

impl StoreBackend for MemoryBackend {
    fn capabilities(&self) -> Capabilities {
        Capabilities::default()
    }

    fn stream(&self, id: &StreamId, options: StreamOptions) -> Result<Box<dyn StreamStore>, StoreError> {
        let lease = self.open.take(id.clone())?;
        Ok(Box::new(MemoryStream::new(lease, self.budget.clone(), options)))
    }

    fn list(&self) -> Result<Vec<StreamId>, StoreError> {
        Ok(self.open.names())
    }

    fn delete(&self, id: &StreamId) -> Result<bool, StoreError> {
        // A closed stream is already gone.
        self.open.require_closed(id).map(|()| false)
    }
}

#[cfg(test)]
mod tests;
