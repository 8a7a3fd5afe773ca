//! Where a stream lives, and what its files are sealed with.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dunlin_api::StreamId;
use dunlin_journal::Incarnation;
use parking_lot::Mutex;

use super::handle::{Form, Shared};
use super::stream::FileStream;
use crate::layout::MessagesDir;
use crate::record::RecordKey;
use crate::recovery::BlockOwner;
use crate::small::{Sealing, meta_sum};

/// Where one stream lives.
pub(crate) struct Home {
    pub(super) shared: Arc<Shared>,
    pub(super) id: StreamId,
    pub(super) directory: PathBuf,
    pub(super) messages: PathBuf,
    pub(super) incarnation: Incarnation,
    pub(super) sealing: Sealing,
}

impl Home {
    /// A stream's home below `root`, the directory of all accounts.
    pub(super) fn new(shared: Arc<Shared>, root: &Path, id: StreamId) -> Self {
        let directory = root.join(id.account().as_str()).join("streams").join(id.stream());
        let name = format!("{}/{}", id.account(), id.stream());
        Self {
            shared,
            messages: directory.join("msgs"),
            directory,
            sealing: Sealing::clear(),
            incarnation: Incarnation::new(name.into_bytes()),
            id,
        }
    }

    /// Whose its blocks are.
    pub(super) fn owner(&self) -> BlockOwner {
        BlockOwner {
            directory: MessagesDir::found(self.messages.clone()),
            stream: self.id.stream().to_owned(),
            keys: None,
        }
    }

    /// What a new block's file is to be.
    pub(super) fn form(&self, block: u32) -> Form {
        Form {
            key: RecordKey::new(self.id.stream(), block),
            cipher: None,
            compressed: false,
        }
    }
}

/// A small file that is replaced as a whole when the journal lets go of its copy.
pub(super) struct SmallFile {
    home: Arc<Home>,
    name: Arc<str>,
    content: Mutex<Option<Vec<u8>>>,
    marks: Arc<super::marks::Marks>,
}

impl SmallFile {
    /// The file of this name in the stream's directory.
    pub(super) fn new(home: &Arc<Home>, name: &str, marks: &Arc<super::marks::Marks>) -> Arc<Self> {
        Arc::new(Self {
            home: home.clone(),
            name: name.into(),
            content: Mutex::default(),
            marks: marks.clone(),
        })
    }

    /// Its name in the journal.
    pub(super) fn name(&self) -> Arc<str> {
        self.name.clone()
    }
}

impl dunlin_journal::Target for SmallFile {
    fn write(&self, bytes: &[u8], _: u64) -> io::Result<()> {
        let content = bytes.get(FINGERPRINT..).unwrap_or_default();
        *self.content.lock() = Some(content.to_vec());
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        // The lock is held meanwhile, so that an older content never comes last.
        let mut content = self.content.lock();
        if let Some(bytes) = &*content {
            let path = self.home.directory.join(&*self.name);
            self.home.shared.env.disk().replace(&path, bytes)?;
        }
        *content = None;
        Ok(())
    }

    fn failed(&self, error: &dunlin_journal::JournalError) {
        self.marks.fail(error);
    }
}

/// Before the content of a small file in the journal stands what the file held before: replay replaces nothing that
/// another server wrote.
pub(super) const FINGERPRINT: usize = 8;

/// Names a content. An absent file is empty.
pub(super) fn fingerprint(content: &[u8]) -> [u8; FINGERPRINT] {
    use highway::{HighwayHash, HighwayHasher};
    HighwayHasher::default().hash64(content).to_le_bytes()
}

impl FileStream {
    /// Keeps the owner's bytes in `meta.inf`, and their checksum (STORE-9, STORE-11).
    pub(super) fn replace_metadata(&mut self, metadata: &[u8]) {
        let sum = |content: &[u8]| match content.is_empty() {
            true => Vec::new(),
            false => meta_sum(self.home.id.stream(), content).into_bytes(),
        };
        let sums = (sum(&self.metadata), sum(metadata));
        let old = std::mem::replace(&mut self.metadata, metadata.to_vec());
        let (meta, sum) = (self.meta_file.clone(), self.sum_file.clone());
        self.put_file(&meta, &old, metadata);
        self.put_file(&sum, &sums.0, &sums.1);
        self.change();
    }
}

/// What the journal keeps of a small file.
pub(super) fn journalled(before: &[u8], content: &[u8]) -> Vec<u8> {
    [&fingerprint(before)[..], content].concat()
}
