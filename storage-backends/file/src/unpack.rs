//! A backup of files becomes a stream's directory, and the other way round. (STORE-78)
//!
//! [`Unpacking`] writes what a [`FilesReader`](dunlin_backup::FilesReader) gives below a directory of its own, which becomes
//! the stream's in one step at the end; nothing is seen of it before, and nothing is left when it is given up. Paths are
//! made from the fixed list of names that a backup may have, never from its bytes. [`pack`] makes such a backup, in clear
//! whatever the store is.

use std::io::{self, Write};
use std::path::PathBuf;

use dunlin_api::Env;
use dunlin_backup::{BackupFile, FilesWriter};

use crate::block::{BlockBuffer, BlockEvent};
use crate::consumer::codec;
use crate::crypt::{KeyRing, KeyScope};
use crate::layout::{
    ConsumerDir, DIRECTORY_PERMISSIONS, FILE_PERMISSIONS, MessageListing, StreamDir, StreamListing,
};
use crate::record::RecordKey;
use crate::recovery::BlockOwner;
use crate::small::{Sealing, checked, meta_sum, read_if_there, with_checksum};

/// Why a backup does not become a stream.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UnpackError {
    /// It is of a stream of another name, which its checksums depend on.
    #[error("stream names do not match")]
    Name,
    /// It has no description, or none that its checksum agrees with.
    #[error("the backup's meta.inf is missing or damaged")]
    Meta,
    /// There is a stream already.
    #[error("{} exists already", .0.display())]
    Exists(PathBuf),
    /// The disk fails.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// A stream's directory in the making.
pub struct Unpacking {
    env: Env,
    staging: StreamDir,
    stream: String,
    meta: Option<Vec<u8>>,
    sum: Option<Vec<u8>>,
    is_finished: bool,
}

impl Unpacking {
    /// Makes the directory `staging`, which must not be there; `stream` is what the stream is to be called. Waits for the
    /// disk.
    ///
    /// # Errors
    /// [`UnpackError::Exists`], [`UnpackError::Io`].
    pub fn begin(env: &Env, staging: PathBuf, stream: &str) -> Result<Self, UnpackError> {
        let disk = env.disk();
        if disk.list(&staging).is_ok_and(|files| !files.is_empty()) {
            return Err(UnpackError::Exists(staging));
        }
        let staging = StreamDir::found(staging);
        for directory in [staging.messages().path().to_owned(), staging.consumers()] {
            disk.create_dir_with_permissions(&directory, DIRECTORY_PERMISSIONS)?;
        }
        Ok(Self {
            env: env.clone(),
            staging,
            stream: stream.to_owned(),
            meta: None,
            sum: None,
            is_finished: false,
        })
    }

    /// Takes one file.
    ///
    /// # Errors
    /// [`UnpackError::Io`].
    pub fn file(&mut self, file: &BackupFile, bytes: &[u8]) -> Result<(), UnpackError> {
        let consumer = |name: &str| {
            let found = self.staging.consumer(name);
            found.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "a consumer's name that is none"))
        };
        let path = match file {
            BackupFile::Meta => {
                self.meta = Some(bytes.to_vec());
                self.staging.meta().meta
            }
            BackupFile::MetaSum => {
                self.sum = Some(bytes.to_vec());
                self.staging.meta().sum
            }
            BackupFile::Block(index) => self.staging.messages().block(*index),
            BackupFile::Index => self.staging.messages().index(),
            BackupFile::ConsumerMeta(name) => consumer(name)?.meta().meta,
            BackupFile::ConsumerMetaSum(name) => consumer(name)?.meta().sum,
            BackupFile::ConsumerState(name) => consumer(name)?.state(),
        };
        let disk = self.env.disk();
        if let Some(parent) = path.parent() {
            disk.create_dir_with_permissions(parent, DIRECTORY_PERMISSIONS)?;
        }
        disk.replace_with_permissions(&path, bytes, FILE_PERMISSIONS)?;
        Ok(())
    }

    /// Looks at the description and moves everything to `directory`, which must not be there. It survives power loss when
    /// this returns.
    ///
    /// # Errors
    /// See [`UnpackError`]; what was unpacked is gone then.
    pub fn finish(mut self, directory: &StreamDir) -> Result<(), UnpackError> {
        let meta = self.meta.as_deref().ok_or(UnpackError::Meta)?;
        match crate::tool::name_in(meta) {
            None => return Err(UnpackError::Meta),
            Some(name) if name != self.stream => return Err(UnpackError::Name),
            Some(_) => {}
        }
        if self.sum.as_deref() != Some(meta_sum(&self.stream, meta).as_bytes()) {
            return Err(UnpackError::Meta);
        }
        let disk = self.env.disk();
        if disk.list(directory.path()).is_ok_and(|files| !files.is_empty()) {
            return Err(UnpackError::Exists(directory.path().to_owned()));
        }
        for path in [
            self.staging.messages().path(),
            &self.staging.consumers(),
            self.staging.path(),
        ] {
            disk.sync_dir(path)?;
        }
        if let Some(parent) = directory.path().parent() {
            disk.create_dir_with_permissions(parent, DIRECTORY_PERMISSIONS)?;
        }
        disk.rename(self.staging.path(), directory.path())?;
        self.is_finished = true;
        let parents = [directory.path().parent(), self.staging.path().parent()];
        parents
            .into_iter()
            .flatten()
            .try_for_each(|parent| disk.sync_dir(parent))?;
        Ok(())
    }
}

/// A restore that was given up leaves nothing.
impl Drop for Unpacking {
    fn drop(&mut self) {
        if !self.is_finished {
            let _ = self.env.disk().remove_dir(self.staging.path());
        }
    }
}

/// Writes a backup of a closed stream's files, in clear. `now` is in seconds since the Unix epoch. Waits for the disk.
///
/// # Errors
/// What the disk or the writer says; `InvalidData` where something is damaged, or its key is not among `keys`: a backup has no
/// silent holes.
pub fn pack<W: Write>(
    env: &Env,
    stream: &StreamListing,
    account: &str,
    keys: Option<&KeyRing>,
    out: W,
    now: u64,
) -> io::Result<W> {
    let disk = env.disk();
    let (name, directory) = (&stream.name, &stream.directory);
    let mut writer = FilesWriter::begin(out, now);
    let sealing = sealing(env, keys, account, KeyScope::Stream(name), &directory.meta().key)?;
    let meta = clear(&sealing, disk.read(&directory.meta().meta)?)?;
    writer.file(&BackupFile::Meta, &meta)?;
    writer.file(&BackupFile::MetaSum, meta_sum(name, &meta).as_bytes())?;
    let owner = BlockOwner {
        directory: directory.messages(),
        stream: name.clone(),
        keys: keys.map(|keys| (keys.clone(), account.to_owned())),
    };
    let mut buffer = BlockBuffer::default();
    for block in MessageListing::read(disk, owner.directory.path())?.blocks {
        let key = RecordKey::new(name, block);
        let (mut records, mut fault) = (Vec::new(), None);
        owner.read(disk, block, &mut buffer, |event| {
            let found = match event {
                BlockEvent::Record { record, .. } => record
                    .encode(&key, &mut records)
                    .err()
                    .map(|error| error.to_string()),
                BlockEvent::Damage(damage) => Some(damage.to_string()),
            };
            fault = fault.take().or(found);
        })?;
        if let Some(fault) = fault {
            return Err(invalid(format!("snapshot check failed: {fault}")));
        }
        writer.file(&BackupFile::Block(block), &records)?;
    }
    if let Some(file) = read_if_there(disk, &owner.directory.index())?
        && let Some(body) = checked(name, &file)
    {
        let plain = clear(&sealing, body.to_vec())?;
        writer.file(&BackupFile::Index, &with_checksum(name, plain))?;
    }
    for consumer in &stream.consumers {
        if let Some(directory) = directory.consumer(consumer) {
            let scope = KeyScope::Consumer(name, consumer);
            let sealing = self::sealing(env, keys, account, scope, &directory.meta().key)?;
            pack_consumer(env, &mut writer, name, consumer, &directory, &sealing)?;
        }
    }
    writer.finish()
}

fn pack_consumer<W: Write>(
    env: &Env,
    writer: &mut FilesWriter<W>,
    stream: &str,
    name: &str,
    directory: &ConsumerDir,
    sealing: &Sealing,
) -> io::Result<()> {
    let disk = env.disk();
    if let Some(on_disk) = read_if_there(disk, &directory.meta().meta)? {
        let meta = clear(sealing, on_disk)?;
        writer.file(&BackupFile::ConsumerMeta(name.to_owned()), &meta)?;
        let sum = meta_sum(&format!("{stream}/{name}"), &meta);
        writer.file(&BackupFile::ConsumerMetaSum(name.to_owned()), sum.as_bytes())?;
    }
    if let Some(on_disk) = read_if_there(disk, &directory.state())? {
        let state = clear(sealing, on_disk)?;
        codec::decode(&state).map_err(|error| invalid(format!("consumer {name}: {error}")))?;
        writer.file(&BackupFile::ConsumerState(name.to_owned()), &state)?;
    }
    Ok(())
}

fn sealing(
    env: &Env,
    keys: Option<&KeyRing>,
    account: &str,
    scope: KeyScope<'_>,
    key_file: &std::path::Path,
) -> io::Result<Sealing> {
    let Some(file) = read_if_there(env.disk(), key_file)? else {
        return Ok(Sealing::clear());
    };
    let keys = keys.ok_or_else(|| invalid("encrypted store encountered with no main key".to_owned()))?;
    let found = keys
        .unwrap(account, scope, &file)
        .map_err(|error| invalid(error.to_string()))?;
    Ok(Sealing::sealed(found.key))
}

fn clear(sealing: &Sealing, on_disk: Vec<u8>) -> io::Result<Vec<u8>> {
    sealing
        .content(&on_disk)
        .map_err(|error| invalid(error.to_string()))
}

fn invalid(what: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}
