//! The seam to files and the environment. This crate opens no file itself.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};

/// Where configuration text comes from. The api's `Env` implements it over its disk.
pub trait Source {
    /// The whole content of a file.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;

    /// A variable of the process's environment; `None` when it is not set.
    fn env(&self, name: &str) -> Option<String>;
}

/// Files and variables held in memory, for tests and embedders.
#[derive(Clone, Debug, Default)]
pub struct MapSource {
    files: HashMap<PathBuf, Vec<u8>>,
    variables: HashMap<String, String>,
}

impl MapSource {
    /// No file, no variable.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a file.
    #[must_use]
    pub fn file(mut self, path: impl Into<PathBuf>, content: impl Into<Vec<u8>>) -> Self {
        self.files.insert(path.into(), content.into());
        self
    }

    /// Sets a variable of the environment.
    #[must_use]
    pub fn variable(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.variables.insert(name.into(), value.into());
        self
    }
}

impl Source for MapSource {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.files
            .get(path)
            .cloned()
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn env(&self, name: &str) -> Option<String> {
        self.variables.get(name).cloned()
    }
}
