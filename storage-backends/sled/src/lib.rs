//! Streams in a [sled](https://docs.rs/sled/0.34) database: the store that shows that another engine fits behind the traits.
//!
//! ```toml
//! [plugins.store.sled]
//! dir = "/var/lib/dunlin/sled"
//! ```
//!
//! Whole and durable, and not made for speed: the README has its figures and limits. What it does not promise, its
//! capabilities do not say. It reaches the disk through sled alone, not through `Env`, so it has no place in a simulation.

mod consumer;
mod engine;
mod index;
mod layout;
mod open;
mod stream;

use std::path::PathBuf;
use std::sync::Arc;

use dunlin_api::{
    Capabilities, Component, Env, OpenNames, Plugin, PluginError, Setup, StoreBackend, StoreError, StreamId,
    StreamOptions, StreamStore,
};
use dunlin_config::{ByteSize, ConfigSection};
use parking_lot::Mutex;
use tokio::sync::Notify;

use engine::{Engine, Limits};

/// The plugin, for the list in `plugins/builtin`.
pub fn plugin() -> Plugin {
    Plugin::store::<SledBackend>()
}

/// Options under `[plugins.store.sled]`.
#[derive(Clone, Debug, PartialEq, ConfigSection)]
pub struct SledOptions {
    /// Directory of the database, for this alone. One process at a time may have it open.
    #[config(required, example = "dir = \"/var/lib/dunlin/sled\"")]
    pub dir: String,
    /// Memory for pages of the database.
    #[config(default = "64M")]
    pub cache: ByteSize,
    /// What may wait to be written. Beyond it publishers are refused until the disk has caught up.
    #[config(default = "64M")]
    pub max_queued: ByteSize,
}

/// Keeps streams in a sled database.
pub struct SledBackend {
    directory: PathBuf,
    limits: Limits,
    writer: Writer,
    open: OpenNames<StreamId>,
    engine: Mutex<Option<Arc<Engine>>>,
}

/// Who takes the writer's turns.
enum Writer {
    /// A thread of its own.
    Thread(Env),
    /// Whoever calls [`SledBackend::turn`].
    ByHand,
}

impl Component for SledBackend {
    const NAME: &'static str = "sled";
    const SUMMARY: &'static str = "streams in a sled database";
    type Options = SledOptions;

    fn open(options: SledOptions, setup: &Setup<'_>) -> Result<Self, PluginError> {
        if options.dir.is_empty() {
            return Err(PluginError("`dir` is the directory of the database".to_owned()));
        }
        Ok(Self::new(options, Writer::Thread(setup.env.clone())))
    }
}

impl SledBackend {
    /// A backend whose writer works when [`SledBackend::turn`] is called, for tools and tests.
    pub fn polled(options: SledOptions) -> Self {
        Self::new(options, Writer::ByHand)
    }

    fn new(options: SledOptions, writer: Writer) -> Self {
        Self {
            directory: options.dir.into(),
            limits: Limits {
                cache: options.cache.0,
                queued: options.max_queued.0,
            },
            writer,
            open: OpenNames::default(),
            engine: Mutex::new(None),
        }
    }

    /// Writes what is staged and handed over, and syncs where a commit waits. Waits for the disk.
    pub fn turn(&self) {
        let engine = self.engine.lock().clone();
        if let Some(engine) = engine {
            engine.turn();
        }
    }

    /// The open database. Opens it when it is first needed, and anew after it has failed. Waits for the disk.
    fn engine(&self) -> Result<Arc<Engine>, StoreError> {
        let mut slot = self.engine.lock();
        if let Some(engine) = &*slot {
            let Some(error) = engine.failure() else {
                return Ok(engine.clone());
            };
            if Arc::strong_count(engine) > 1 {
                let rest = "the database is opened anew when all its streams are closed";
                return Err(StoreError::Io(format!("{error}; {rest}")));
            }
            *slot = None;
        }
        let wake = Arc::new(Notify::new());
        let engine = Arc::new(Engine::open(&self.directory, self.limits, wake.clone())?);
        if let Writer::Thread(env) = &self.writer {
            let weak = Arc::downgrade(&engine);
            let work = async move {
                loop {
                    wake.notified().await;
                    let Some(engine) = weak.upgrade() else {
                        return;
                    };
                    Unwinding(&engine).turn();
                }
            };
            env.spawn_thread("sled-writer", work)
                .map_err(|error| StoreError::Io(format!("no thread for the sled database: {error}")))?;
        }
        Ok(slot.insert(engine).clone())
    }
}

/// Fails the database where its writer panics: nobody would write any more.
struct Unwinding<'a>(&'a Engine);

impl Unwinding<'_> {
    fn turn(self) {
        self.0.turn();
        std::mem::forget(self);
    }
}

impl Drop for Unwinding<'_> {
    fn drop(&mut self) {
        self.0.fail(StoreError::Io(
            "the writer of the sled database has ended".to_owned(),
        ));
    }
}

impl StoreBackend for SledBackend {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            durable: true,
            // The log keeps an older value until its segment is used again.
            secure_erase: false,
            // sled checks what it reads, but a page that fails the check fails the whole database.
            detects_damage: false,
            cold_reads: true,
        }
    }

    fn stream(&self, id: &StreamId, options: StreamOptions) -> Result<Box<dyn StreamStore>, StoreError> {
        let lease = self.open.take(id.clone())?;
        Ok(Box::new(open::open(self.engine()?, lease, options)?))
    }

    fn list(&self) -> Result<Vec<StreamId>, StoreError> {
        let names = self.engine()?.db().tree_names();
        Ok(names.iter().filter_map(|name| layout::stream_of(name)).collect())
    }

    fn delete(&self, id: &StreamId) -> Result<bool, StoreError> {
        let _lease = self.open.take(id.clone())?;
        let engine = self.engine()?;
        // What a dropped owner had queued would bring it back.
        engine.settle()?;
        let existed = engine.db().drop_tree(layout::tree_name(id)).map_err(stream::io)?;
        engine.settle()?;
        Ok(existed)
    }
}

#[cfg(test)]
mod tests;
