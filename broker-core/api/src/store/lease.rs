//! Which streams or consumers of a store are open.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::sync::Arc;

use parking_lot::Mutex;

use super::StoreError;

/// The names that are open, each at most once, until its [`Lease`] is dropped. Clones share them.
#[derive(Clone)]
pub struct OpenNames<K: Ord>(Arc<Mutex<BTreeSet<K>>>);

/// Holds a name open.
pub struct Lease<K: Ord> {
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
    pub fn take(&self, name: K) -> Result<Lease<K>, StoreError> {
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
    pub fn require_closed(&self, name: &K) -> Result<(), StoreError> {
        if self.0.lock().contains(name) {
            return Err(StoreError::InUse(name.to_string()));
        }
        Ok(())
    }

    /// All names, sorted.
    pub fn names(&self) -> Vec<K> {
        self.0.lock().iter().cloned().collect()
    }
}

impl<K: Ord> Lease<K> {
    /// The name.
    pub fn name(&self) -> &K {
        &self.name
    }
}

impl<K: Ord> Drop for Lease<K> {
    fn drop(&mut self) {
        self.names.0.lock().remove(&self.name);
    }
}
