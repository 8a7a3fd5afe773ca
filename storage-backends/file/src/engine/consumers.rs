//! The consumers of a stream: which exist, which are open, and what becomes of their directories.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use dunlin_api::{
    ConsumerChange, ConsumerState, ConsumerStore, Lease, OpenNames, StoreError, StoreObserver, Ticket,
    is_store_name,
};
use dunlin_journal::{Batch, Item, JournalError, Promise, Rest, Scope};

use super::marks::Marks;
use super::open::io_error;
use super::stream::FileStream;
use crate::consumer::{ConsumerFiles, ConsumerHome, Fate, FileConsumer};
use crate::crypt::KeyScope;
use crate::layout::{ConsumerDir, DIRECTORY_PERMISSIONS, META_KEY, StreamDir};
use crate::small::Sealing;

/// What a stream knows of its consumers.
#[derive(Default)]
pub(super) struct Consumers {
    open: OpenNames<String>,
    /// Of those that were opened: a store that was dropped may have left changes to write.
    files: BTreeMap<String, Arc<ConsumerFiles>>,
}

impl Fate for Marks {
    fn observer(&self) -> &dyn StoreObserver {
        &**self.observer()
    }

    fn failure(&self) -> Option<StoreError> {
        Self::failure(self)
    }

    fn fail(&self, error: &JournalError) {
        Self::fail(self, error);
    }
}

impl FileStream {
    pub(super) fn open_consumer(&mut self, name: &str) -> Result<Box<dyn ConsumerStore>, StoreError> {
        let directory = self.consumer_directory(name)?;
        let lease = self.consumers.open.take(name.to_owned())?;
        if let Some(files) = self.consumers.files.remove(name) {
            files.settle().map_err(io_error)?;
        }
        let scope = KeyScope::Consumer(self.home.id.stream(), name);
        let sealing = self.consumer_sealing(scope, &directory)?;
        let store = FileConsumer::open(ConsumerHome {
            env: self.shared.env.clone(),
            journal: self.driver.journal().clone(),
            stream: self.home.incarnation.clone(),
            promise: self.promise,
            fate: self.marks.clone(),
            name: name.into(),
            stream_name: self.home.id.stream().into(),
            directory,
            sealing,
        })?;
        self.consumers
            .files
            .insert(name.to_owned(), store.files().clone());
        Ok(Box::new(Leased { store, _lease: lease }))
    }

    /// How a consumer's small files lie. A key is made where there is none, before there is anything that it seals.
    fn consumer_sealing(&self, scope: KeyScope<'_>, directory: &ConsumerDir) -> Result<Sealing, StoreError> {
        let disk = self.shared.env.disk();
        if self.home.sealing.is_sealed() {
            disk.create_dir_with_permissions(directory.path(), DIRECTORY_PERMISSIONS)
                .map_err(io_error)?;
        }
        Ok(self.home.keys().sealing(scope, &directory.meta().key)?)
    }

    /// The names of the directories that can be a consumer's.
    pub(super) fn list_consumers(&self) -> Vec<String> {
        let directory = StreamDir::found(self.home.directory.clone()).consumers();
        let found = self.shared.env.disk().list(&directory).unwrap_or_default();
        let names = found.iter().filter_map(|path| path.file_name()?.to_str());
        let mut names: Vec<String> = names
            .filter(|name| is_store_name(name))
            .filter(|name| {
                let files = self.shared.env.disk().list(&directory.join(name));
                self.consumers.files.contains_key(*name)
                    || files.is_ok_and(|files| files.iter().any(|file| !file.ends_with(META_KEY)))
            })
            .map(str::to_owned)
            .collect();
        names.extend(self.consumers.files.keys().cloned());
        names.sort_unstable();
        names.dedup();
        names
    }

    pub(super) fn remove_consumer(&mut self, name: &str) -> Result<bool, StoreError> {
        let directory = self.consumer_directory(name)?;
        self.consumers.open.require_closed(&name.to_owned())?;
        if !self.list_consumers().iter().any(|there| there == name) {
            return Ok(false);
        }
        // First nothing may bring it back.
        let driver = self.driver.clone();
        let item = Item::Forget {
            stream: self.home.incarnation.clone(),
            scope: Scope::Consumer(name.into()),
            rest: Rest::Drop,
        };
        driver.wait(&self.shared.env, |done| {
            driver.journal().submit(Batch {
                items: vec![item],
                promise: Promise::Durable,
                done,
            });
        })?;
        self.consumers.files.remove(name);
        let disk = self.shared.env.disk();
        match disk.remove_dir(directory.path()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(io_error(error)),
            _ => {}
        }
        let parent = directory.path().parent();
        parent
            .map_or(Ok(()), |parent| disk.sync_dir(parent))
            .map_err(io_error)?;
        Ok(true)
    }

    fn consumer_directory(&self, name: &str) -> Result<ConsumerDir, StoreError> {
        let stream = StreamDir::found(self.home.directory.clone());
        stream
            .consumer(name)
            .ok_or_else(|| StoreError::InvalidName(name.to_owned()))
    }
}

/// A consumer's store that is open once.
struct Leased {
    store: FileConsumer,
    _lease: Lease<String>,
}

impl ConsumerStore for Leased {
    fn state(&self) -> &ConsumerState {
        self.store.state()
    }

    fn record(&mut self, changes: &[ConsumerChange]) -> Result<Ticket, StoreError> {
        self.store.record(changes)
    }

    fn durable(&self) -> Ticket {
        self.store.durable()
    }

    fn commit(&mut self, ticket: Ticket) -> Result<Ticket, StoreError> {
        self.store.commit(ticket)
    }

    fn metadata(&self) -> &[u8] {
        self.store.metadata()
    }

    fn set_metadata(&mut self, metadata: &[u8]) -> Result<Ticket, StoreError> {
        self.store.set_metadata(metadata)
    }

    fn close(self: Box<Self>) -> Result<(), StoreError> {
        self.store.files().settle().map_err(io_error)?;
        Box::new(self.store).close()
    }
}
