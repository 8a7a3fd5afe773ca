//! How far a stream's changes are durable: moved by the journal's thread, read by the stream's owner.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use dunlin_api::{StoreError, StoreObserver, Ticket};
use dunlin_journal::JournalError;
use parking_lot::Mutex;

/// The marks of one stream.
pub(crate) struct Marks {
    observer: Arc<dyn StoreObserver>,
    /// What [`Inner`] says, for who only asks. Stored after what it speaks of is durable.
    durable: AtomicU64,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    /// Batches up to here have reached the medium.
    reached: u64,
    /// Erasures that are not through: the mark stays before them.
    erasing: BTreeSet<u64>,
    failed: Option<StoreError>,
}

impl Marks {
    /// The marks of a stream that was just opened.
    pub(crate) fn new(observer: Arc<dyn StoreObserver>) -> Arc<Self> {
        Arc::new(Self {
            observer,
            durable: AtomicU64::new(0),
            inner: Mutex::default(),
        })
    }

    /// Everything up to here survives.
    pub(crate) fn durable(&self) -> Ticket {
        Ticket(self.durable.load(Ordering::Acquire))
    }

    /// Why nothing more becomes durable.
    pub(crate) fn failure(&self) -> Option<StoreError> {
        self.inner.lock().failed.clone()
    }

    /// Who hears of the stream.
    pub(crate) fn observer(&self) -> &Arc<dyn StoreObserver> {
        &self.observer
    }

    /// Keeps the mark before `ticket` until [`Marks::erased_through`].
    pub(crate) fn erasing(&self, ticket: Ticket) {
        self.inner.lock().erasing.insert(ticket.0);
    }

    /// No file has what was to be erased up to `ticket`.
    pub(crate) fn erased_through(&self, ticket: Ticket) {
        self.change(|inner| inner.erasing = inner.erasing.split_off(&(ticket.0 + 1)));
    }

    /// Batches up to `ticket` have reached the medium.
    pub(crate) fn reached(&self, ticket: Ticket) {
        self.change(|inner| inner.reached = inner.reached.max(ticket.0));
    }

    /// Nothing more becomes durable. Told once.
    pub(crate) fn fail(&self, error: &JournalError) {
        let error = store_error(error);
        {
            let mut inner = self.inner.lock();
            if inner.failed.is_some() {
                return;
            }
            inner.failed = Some(error.clone());
        }
        self.observer.failed(self.durable(), &error);
    }

    fn change(&self, change: impl FnOnce(&mut Inner)) {
        let durable = {
            let mut inner = self.inner.lock();
            change(&mut inner);
            if inner.failed.is_some() {
                return;
            }
            let held = inner.erasing.first().map_or(u64::MAX, |first| first - 1);
            inner.reached.min(held)
        };
        if self.durable.fetch_max(durable, Ordering::Release) < durable {
            self.observer.durable(Ticket(durable));
        }
    }
}

/// What the journal's error is to a store's caller.
pub(crate) fn store_error(error: &JournalError) -> StoreError {
    match error {
        JournalError::Full { .. } => StoreError::Full(error.to_string()),
        _ => StoreError::Io(error.to_string()),
    }
}
