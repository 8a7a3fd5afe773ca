//! Small helpers of this crate's tests.

use std::io;
use std::sync::Arc;

use crate::error::JournalError;
use crate::item::Target;

/// A target that takes everything and keeps nothing.
pub(crate) struct Sink;

impl Sink {
    pub(crate) fn shared() -> Arc<dyn Target> {
        Arc::new(Sink)
    }
}

impl Target for Sink {
    fn write(&self, _: &[u8], _: u64) -> io::Result<()> {
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }

    fn failed(&self, _: &JournalError) {}
}
