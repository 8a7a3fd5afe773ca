//! Who is open: each name at most once, until its lease is dropped.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::sync::Arc;

use dunlin_api::StoreError;
use parking_lot::Mutex;

/// The names that are open. Clones share them.
#[derive(Clone)]
pub(crate) struct OpenNames<K: Ord>(Arc<Mutex<BTreeSet<K>>>);

/// Holds a name open.
pub(crate) struct Lease<K: Ord> {
    names: OpenNames<K>,
    name: K,
}

impl<K: Ord> Default for OpenNames<K> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<K: Ord + Clone + Display> OpenNames<K> {
    /// Opens a name.
    ///
    /// # Errors
    /// [`StoreError::InUse`].
    pub(crate) fn take(&self, name: K) -> Result<Lease<K>, StoreError> {
        if !self.0.lock().insert(name.clone()) {
            return Err(StoreError::InUse(name.to_string()));
        }
        Ok(Lease {
            names: self.clone(),
            name,
        })
    }

    /// Refuses a name that is open.
    ///
    /// # Errors
    /// [`StoreError::InUse`].
    pub(crate) fn require_closed(&self, name: &K) -> Result<(), StoreError> {
        if self.0.lock().contains(name) {
            return Err(StoreError::InUse(name.to_string()));
        }
        Ok(())
    }
}

impl<K: Ord> Drop for Lease<K> {
    fn drop(&mut self) {
        self.names.0.lock().remove(&self.name);
    }
}
