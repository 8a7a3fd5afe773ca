//! Configuration files and variables of the process.

use std::io;
use std::path::Path;

use dunlin_api::{Disk, SystemDisk};
use dunlin_config::Source;

/// Reads configuration files from the machine's disk and variables from the process's environment.
#[derive(Debug, Default)]
pub struct ProcessSource;

impl Source for ProcessSource {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        SystemDisk.read(path)
    }

    fn env(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }
}
