//! Streams in memory, as a stream's configuration asks for with `storage: memory`.
//!
//! ```toml
//! [plugins.store.memory]
//! ```
//!
//! Nothing survives the closing of a stream, so the durable mark is always at the last change. Messages lie packed, many
//! in one piece of memory (`packed`); those of one subject are linked both ways, so that the first and the last of a
//! subject are known exactly at any time. Rules: STORE-80 to STORE-108, STORE-126.

mod chunk;
mod consumer;
mod find;
mod messages;
mod packed;
mod stream;
mod subjects;
mod timers;

use dunlin_api::{
    Capabilities, Component, NoOptions, OpenNames, Plugin, PluginError, Setup, StoreBackend, StoreError,
    StreamId, StreamOptions, StreamStore,
};

use stream::MemoryStream;

/// The plugin, for the list in `plugins/builtin`.
pub fn plugin() -> Plugin {
    Plugin::store::<MemoryBackend>()
}

/// Keeps streams in memory while they are open.
#[derive(Default)]
pub struct MemoryBackend {
    open: OpenNames<StreamId>,
}

impl Component for MemoryBackend {
    const NAME: &'static str = "memory";
    const SUMMARY: &'static str = "streams in memory, gone when they are closed";
    type Options = NoOptions;

    fn open(_: NoOptions, _: &Setup<'_>) -> Result<Self, PluginError> {
        Ok(Self::default())
    }
}

impl StoreBackend for MemoryBackend {
    fn capabilities(&self) -> Capabilities {
        // An erased message is overwritten where it lies, but memory that was given back may hold a copy.
        Capabilities::default()
    }

    fn stream(&self, id: &StreamId, options: StreamOptions) -> Result<Box<dyn StreamStore>, StoreError> {
        let lease = self.open.take(id.clone())?;
        Ok(Box::new(MemoryStream::new(lease, options)))
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
mod tests {
    use dunlin_store_conformance::{Harness, suite};

    use super::*;

    struct Memory(MemoryBackend);

    impl Harness for Memory {
        fn backend(&self) -> &dyn StoreBackend {
            &self.0
        }
    }

    suite!(memory, || Box::new(Memory(MemoryBackend::default())));
}
