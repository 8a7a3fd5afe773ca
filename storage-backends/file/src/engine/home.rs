//! Where a stream lives, and what its files are sealed with.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dunlin_api::{StoreError, StreamId};
use dunlin_journal::Incarnation;
use parking_lot::Mutex;

use super::handle::{Form, Shared};
use super::keys::KeyFiles;
use super::open::io_error;
use super::stream::FileStream;
use crate::crypt::{DataKey, KeyScope};
use crate::layout::{MessagesDir, StreamDir};
use crate::record::RecordKey;
use crate::recovery::BlockOwner;
use crate::small::{Sealing, meta_sum, replace_meta};

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
        let keys = self.shared.keys.clone();
        BlockOwner {
            directory: MessagesDir::found(self.messages.clone()),
            stream: self.id.stream().to_owned(),
            keys: keys.map(|keys| (keys, self.id.account().to_string())),
        }
    }

    /// The key files of its account.
    pub(super) fn keys(&self) -> KeyFiles<'_> {
        KeyFiles {
            env: &self.shared.env,
            ring: self.shared.keys.as_ref(),
            account: self.id.account().as_str(),
        }
    }

    /// Finds out how its small files lie. With a key configured they are sealed from now on, also where they were in
    /// clear (STORE-43). Blocks of before stay as they are; none of them grows.
    ///
    /// # Errors
    /// [`StoreError::Locked`]: then no file has changed.
    pub(super) fn unlock(&mut self) -> Result<(), StoreError> {
        if self.shared.keys.is_none() {
            self.refuse_keyed_blocks()?;
        }
        let meta = StreamDir::found(self.directory.clone()).meta();
        let scope = KeyScope::Stream(self.id.stream());
        self.sealing = self.keys().sealing(scope, &meta.key)?;
        Ok(())
    }

    /// A block's key beside no key of the stream: that one was lost.
    fn refuse_keyed_blocks(&self) -> Result<(), StoreError> {
        let found = self.shared.env.disk().list(&self.messages).map_err(io_error)?;
        let is_key = |path: &&PathBuf| path.extension().is_some_and(|extension| extension == "key");
        match found.iter().find(is_key) {
            None => Ok(()),
            Some(key) => Err(StoreError::Locked(format!(
                "encrypted store encountered with no main key: {}",
                key.display()
            ))),
        }
    }

    /// The owner's bytes in a `meta.inf` that may date from before the stream was encrypted, which is sealed then.
    pub(super) fn metadata(&self, on_disk: &mut Vec<u8>) -> Result<Vec<u8>, StoreError> {
        if on_disk.is_empty() {
            return Ok(Vec::new());
        }
        let paths = StreamDir::found(self.directory.clone()).meta();
        match self.sealing.content(on_disk) {
            Ok(content) => Ok(content),
            // One in clear is JSON.
            Err(_) if on_disk.first() == Some(&b'{') => {
                let env = &self.shared.env;
                env.log().notice(format_args!(
                    "Encrypting stream '{} > {}'",
                    self.id.account(),
                    self.id.stream()
                ));
                let content = std::mem::take(on_disk);
                *on_disk = self.sealing.to_disk(content.clone(), env);
                replace_meta(env.disk(), &paths, self.id.stream(), on_disk).map_err(io_error)?;
                Ok(content)
            }
            Err(error) => Err(StoreError::Io(format!("{}: {error}", paths.meta.display()))),
        }
    }

    /// What the file of a block is that is there, as far as its number tells.
    pub(super) fn form(&self, block: u32) -> Result<Form, StoreError> {
        let path = MessagesDir::found(self.messages.clone()).key(block);
        // Without a key of the stream no block has one.
        let key = match self.sealing.is_sealed() {
            true => self
                .keys()
                .find(KeyScope::Block(self.id.stream(), block), &path)?,
            false => None,
        };
        Ok(self.form_with(block, key))
    }

    /// What a new block's file is to be. Its key survives before anything is written with it (STORE-29), and nothing
    /// else was or will be (P4). Waits for the disk where blocks are encrypted.
    pub(super) fn new_form(&self, block: u32) -> Result<Form, StoreError> {
        let path = MessagesDir::found(self.messages.clone()).key(block);
        let scope = KeyScope::Block(self.id.stream(), block);
        let key = self.keys().make(scope, &path).map_err(io_error)?;
        Ok(self.form_with(block, key))
    }

    fn form_with(&self, block: u32, key: Option<DataKey>) -> Form {
        Form {
            key: RecordKey::new(self.id.stream(), block),
            cipher: key.map(|key| key.block_cipher()),
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
        let described = match metadata.is_empty() {
            true => Vec::new(),
            false => self.home.sealing.to_disk(metadata.to_vec(), &self.shared.env),
        };
        let sums = (sum(&self.described), sum(&described));
        self.metadata = metadata.to_vec();
        let old = std::mem::replace(&mut self.described, described.clone());
        let (meta, sum) = (self.meta_file.clone(), self.sum_file.clone());
        self.put_file(&meta, &old, &described);
        self.put_file(&sum, &sums.0, &sums.1);
        self.change();
    }
}

/// What the journal keeps of a small file.
pub(super) fn journalled(before: &[u8], content: &[u8]) -> Vec<u8> {
    [&fingerprint(before)[..], content].concat()
}
