//! How small files lie on the disk: sealed or in clear, and with the checksums that stand beside or behind them.
//!
//! Their contents are in the codecs' modules. (STORE-9 to STORE-14, STORE-40)

use std::io;

use dunlin_api::{Disk, Env, Random};
use highway::{HighwayHash, HighwayHasher};

use crate::crypt::{CryptError, DataKey};
use crate::layout::{FILE_PERMISSIONS, MetaPaths};
use crate::record::checksum_key;

/// Whether the small files of a stream or a consumer are sealed.
#[derive(Clone, Default)]
pub struct Sealing(Option<DataKey>);

impl Sealing {
    /// They are in clear.
    pub fn clear() -> Self {
        Self(None)
    }

    /// They are sealed with this key.
    pub fn sealed(key: DataKey) -> Self {
        Self(Some(key))
    }

    /// Whether they are sealed.
    pub fn is_sealed(&self) -> bool {
        self.0.is_some()
    }

    /// A content as it lies on the disk; each call takes a new nonce.
    pub fn to_disk(&self, content: Vec<u8>, env: &Env) -> Vec<u8> {
        match &self.0 {
            Some(key) => key.seal(&content, &Secrets(env.clone())),
            None => content,
        }
    }

    /// The content of what lies on the disk.
    ///
    /// # Errors
    /// [`CryptError::Sealed`].
    pub fn content(&self, on_disk: &[u8]) -> Result<Vec<u8>, CryptError> {
        match &self.0 {
            Some(key) => key.open(on_disk),
            None => Ok(on_disk.to_vec()),
        }
    }
}

/// The environment's source of secrets.
pub(crate) struct Secrets(pub(crate) Env);

impl Random for Secrets {
    fn seed(&self) -> u64 {
        self.0.rng().bits()
    }

    fn fill(&self, bytes: &mut [u8]) {
        self.0.fill_secret(bytes);
    }
}

const SUM: usize = 8;

/// The checksum of a stream's small files, and of a raft group's snapshots, by its name; of a consumer's by
/// `<stream>/<consumer>` (STORE-14).
pub fn checksum(name: &str, bytes: &[u8]) -> [u8; SUM] {
    HighwayHasher::new(checksum_key(name)).hash64(bytes).to_le_bytes()
}

/// A file that ends with its checksum, such as `index.db`, without it. `None`: it is another.
pub fn checked<'a>(name: &str, file: &'a [u8]) -> Option<&'a [u8]> {
    let (body, sum) = file.split_last_chunk::<SUM>()?;
    (checksum(name, body) == *sum).then_some(body)
}

/// The other way round.
pub fn with_checksum(name: &str, mut body: Vec<u8>) -> Vec<u8> {
    let sum = checksum(name, &body);
    body.extend(sum);
    body
}

/// What `meta.sum` says of a `meta.inf` as it lies on the disk (STORE-11).
pub fn meta_sum(name: &str, on_disk: &[u8]) -> String {
    let sum = checksum(name, on_disk);
    sum.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Replaces `meta.inf`, given as it is to lie on the disk, and its `meta.sum`. Each survives power loss when this returns;
/// after a crash in between they do not belong together, which whoever calls this must be ready to do again.
///
/// # Errors
/// What the disk says.
pub fn replace_meta(disk: &dyn Disk, paths: &MetaPaths, name: &str, on_disk: &[u8]) -> io::Result<()> {
    disk.replace_with_permissions(&paths.meta, on_disk, FILE_PERMISSIONS)?;
    let sum = meta_sum(name, on_disk);
    disk.replace_with_permissions(&paths.sum, sum.as_bytes(), FILE_PERMISSIONS)
}

/// Reads a file; one that is absent is `None`.
///
/// # Errors
/// What the disk says.
pub(crate) fn read_if_there(disk: &dyn Disk, path: &std::path::Path) -> io::Result<Option<Vec<u8>>> {
    match disk.read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
