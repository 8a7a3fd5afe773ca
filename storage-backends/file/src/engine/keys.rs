//! The key files of a stream: found when it opens, and made before anything is written with them (STORE-29, STORE-36 to
//! STORE-45).
//!
//! A file that only the previous configured key opens is wrapped anew with the current one. What it encrypts stays as it
//! is, so one replaced file is the whole change, and a crash leaves the old one or the new.

use std::io;
use std::path::Path;

use dunlin_api::{Env, StoreError};

use super::open::io_error;
use crate::crypt::{DataKey, KeyRing, KeyScope};
use crate::layout::FILE_PERMISSIONS;
use crate::small::{Sealing, Secrets, read_if_there};

/// The key files of one account.
#[derive(Clone, Copy)]
pub(super) struct KeyFiles<'a> {
    pub(super) env: &'a Env,
    /// What is configured.
    pub(super) ring: Option<&'a KeyRing>,
    /// The account's name, which the keys depend on.
    pub(super) account: &'a str,
}

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub(super) enum KeyFault {
    /// No configured key opens the file, or none is configured.
    #[error("{0}")]
    Locked(String),
    /// The disk says no.
    #[error("{0}")]
    Io(#[from] io::Error),
}

impl From<KeyFault> for StoreError {
    fn from(fault: KeyFault) -> Self {
        match fault {
            KeyFault::Locked(reason) => Self::Locked(reason),
            KeyFault::Io(error) => io_error(error),
        }
    }
}

impl KeyFiles<'_> {
    /// The key in a file; `None` where there is none.
    pub(super) fn find(&self, scope: KeyScope<'_>, path: &Path) -> Result<Option<DataKey>, KeyFault> {
        let Some(file) = read_if_there(self.env.disk(), path)? else {
            return Ok(None);
        };
        // An encrypted stream looks empty without its key, and would be written over (STORE-8).
        let Some(ring) = self.ring else {
            return Err(locked(path, &"encrypted store encountered with no main key"));
        };
        let found = ring.unwrap(self.account, scope, &file);
        let found = found.map_err(|error| locked(path, &error))?;
        if found.is_previous {
            let file = ring.rewrap(self.account, scope, &found.key);
            self.put(path, &file)?;
        }
        Ok(Some(found.key))
    }

    /// A new key, whose file survives when this returns; `None` where no key is configured.
    pub(super) fn make(&self, scope: KeyScope<'_>, path: &Path) -> io::Result<Option<DataKey>> {
        let Some(ring) = self.ring else {
            return Ok(None);
        };
        let (key, file) = ring.generate(self.account, scope, &Secrets(self.env.clone()));
        self.put(path, &file)?;
        Ok(Some(key))
    }

    /// How small files lie: sealed with the key in a file, which is made where there is none and a key is configured.
    pub(super) fn sealing(&self, scope: KeyScope<'_>, path: &Path) -> Result<Sealing, KeyFault> {
        let key = match self.find(scope, path)? {
            None => self.make(scope, path)?,
            found => found,
        };
        Ok(key.map_or_else(Sealing::clear, Sealing::sealed))
    }

    fn put(&self, path: &Path, file: &[u8]) -> io::Result<()> {
        let disk = self.env.disk();
        disk.replace_with_permissions(path, file, FILE_PERMISSIONS)
    }
}

fn locked(path: &Path, reason: &dyn std::fmt::Display) -> KeyFault {
    KeyFault::Locked(format!("{reason}: {}", path.display()))
}
