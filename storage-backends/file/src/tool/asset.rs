//! What a store directory holds for the tools: streams, logs of raft groups, batches, each with its key.

use std::io;
use std::path::{Path, PathBuf};

use dunlin_api::{Disk, Env};

use crate::crypt::{CryptError, KeyRing, KeyScope};
use crate::layout::{
    AccountListing, ConsumerDir, GroupListing, JETSTREAM, StoreListing, StreamDir, StreamListing, TargetKind,
};
use crate::recovery::{BlockOwner, Recovered, Request, recover};
use crate::small::{Sealing, read_if_there};

use super::Progress;

/// A directory, and what of it is meant.
#[derive(Clone)]
pub struct Target {
    /// A `store_dir`, `jetstream` in it, an account's directory or a stream's.
    pub directory: PathBuf,
    /// The account, where the path does not tell: the keys of an encrypted stream depend on it.
    pub account: Option<String>,
    /// The keys of an encrypted store.
    pub keys: Option<KeyRing>,
}

/// Why a tool does nothing: one line with the remedy.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ToolError {
    /// The directory is none of ours.
    #[error(
        "{}: no store directory: it holds neither {JETSTREAM}, nor accounts, streams or msgs",
        .0.display()
    )]
    NoStore(PathBuf),
    /// A running broker works there.
    #[error("{} is in use by another process: stop the server first", .0.display())]
    InUse(PathBuf),
    /// A crash has left messages in the journal that are not in the blocks.
    #[error(
        "{} holds what a crash kept from the blocks: start and stop Dunlin on the directory once, which brings it there",
        .0.display()
    )]
    Unsettled(PathBuf),
    /// A file or directory cannot be read or written.
    #[error("{}: {error}", .path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// What the disk says.
        error: io::Error,
    },
    /// Output went nowhere.
    #[error("can't write: {0}")]
    Output(io::Error),
}

impl ToolError {
    pub(super) fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |error| Self::Io {
            path: path.to_owned(),
            error,
        }
    }
}

/// What an asset is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AssetKind {
    /// A stream, with its consumers.
    Stream,
    /// The log of a raft group: no subjects, and snapshots.
    Group {
        /// Its snapshots.
        snapshots: Vec<PathBuf>,
    },
    /// A batch that was being collected.
    Batch,
}

/// One thing of a store directory that has blocks.
#[derive(Clone, Debug)]
pub struct Asset {
    /// Its account's name; empty where nobody has told.
    pub account: String,
    /// What it is.
    pub kind: AssetKind,
    /// Its files.
    pub listing: StreamListing,
}

impl Target {
    /// Everything that is meant, by account and name.
    ///
    /// # Errors
    /// [`ToolError::NoStore`], [`ToolError::Io`].
    pub fn assets(&self, disk: &dyn Disk) -> Result<Vec<Asset>, ToolError> {
        let path = &self.directory;
        let failed = |error| ToolError::Io {
            path: path.clone(),
            error,
        };
        let kind = TargetKind::of(disk, path).map_err(failed)?;
        match kind.ok_or_else(|| ToolError::NoStore(path.clone()))? {
            TargetKind::StoreDir => {
                let listing = StoreListing::read(disk, &path.join(JETSTREAM)).map_err(failed)?;
                Ok(listing.accounts.into_iter().flat_map(of_account).collect())
            }
            TargetKind::Jetstream => {
                let listing = StoreListing::read(disk, path).map_err(failed)?;
                Ok(listing.accounts.into_iter().flat_map(of_account).collect())
            }
            TargetKind::Account => {
                let mut listing = AccountListing::read(disk, path).map_err(failed)?;
                if let Some(account) = &self.account {
                    listing.name.clone_from(account);
                }
                Ok(of_account(listing))
            }
            TargetKind::Stream => self.one(disk).map_err(failed),
        }
    }

    /// A directory of blocks that was named itself: where it lies tells what it is.
    fn one(&self, disk: &dyn Disk) -> io::Result<Vec<Asset>> {
        let path = &self.directory;
        let name = |up: usize| {
            let name = path.ancestors().nth(up).and_then(Path::file_name);
            name.map(|name| name.to_string_lossy().into_owned())
                .unwrap_or_default()
        };
        let is_group = name(1) == "_js_" || disk.read(&path.join("tav.idx")).is_ok();
        let is_placed = is_group || name(1) == "streams";
        let account = self.account.clone().or_else(|| is_placed.then(|| name(2)));
        let account = account.unwrap_or_default();
        if is_group {
            return Ok(vec![of_group(&account, GroupListing::read(disk, path.clone())?)]);
        }
        Ok(of_stream(&account, StreamListing::read(disk, path.clone())?))
    }

    /// The `store_dir` around the directory, where it lies in one.
    pub fn store_dir(&self, disk: &dyn Disk) -> Option<PathBuf> {
        if disk.list(&self.directory.join(JETSTREAM)).is_ok() {
            return Some(self.directory.clone());
        }
        let mut parents = self.directory.ancestors();
        let jetstream = parents.find(|path| path.file_name().is_some_and(|name| name == JETSTREAM))?;
        jetstream.parent().map(Path::to_owned)
    }
}

fn of_account(listing: AccountListing) -> Vec<Asset> {
    let AccountListing {
        name,
        streams,
        groups,
        ..
    } = listing;
    let streams = streams.into_iter().flat_map(|stream| of_stream(&name, stream));
    let groups = groups.into_iter().map(|group| of_group(&name, group));
    streams.chain(groups).collect()
}

fn of_group(account: &str, group: GroupListing) -> Asset {
    Asset {
        account: account.to_owned(),
        kind: AssetKind::Group {
            snapshots: group.snapshots,
        },
        listing: group.log,
    }
}

fn of_stream(account: &str, listing: StreamListing) -> Vec<Asset> {
    let batches = listing.batches.iter().map(|directory| {
        let name = directory.path().file_name().unwrap_or_default();
        Asset {
            account: account.to_owned(),
            kind: AssetKind::Batch,
            listing: StreamListing {
                name: name.to_string_lossy().into_owned(),
                directory: directory.clone(),
                consumers: Vec::new(),
                batches: Vec::new(),
                foreign: Vec::new(),
            },
        }
    });
    let batches: Vec<_> = batches.collect();
    let stream = Asset {
        account: account.to_owned(),
        kind: AssetKind::Stream,
        listing,
    };
    std::iter::once(stream).chain(batches).collect()
}

/// Why small files stay closed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Locked {
    /// Encrypted, and no key was given.
    #[error("encrypted: give its key")]
    NoKey,
    /// Encrypted with another key.
    #[error("{0}")]
    Key(#[from] CryptError),
}

impl Asset {
    /// `account > stream`, as the logs of both servers have it.
    pub fn title(&self) -> String {
        let account = match self.account.as_str() {
            "" => "?",
            account => account,
        };
        format!("{account} > {}", self.listing.name)
    }

    /// Where it lies.
    pub fn directory(&self) -> &StreamDir {
        &self.listing.directory
    }

    /// What its keys are made with (STORE-37).
    fn info(&self) -> &str {
        match self.kind {
            AssetKind::Group { .. } => &self.listing.name,
            AssetKind::Stream | AssetKind::Batch => &self.account,
        }
    }

    pub(super) fn owner(&self, keys: Option<&KeyRing>) -> BlockOwner {
        BlockOwner {
            directory: self.directory().messages(),
            stream: self.listing.name.clone(),
            keys: keys.map(|keys| (keys.clone(), self.info().to_owned())),
        }
    }

    /// How its small files lie; inside, why that is not known.
    pub(super) fn sealing(
        &self,
        disk: &dyn Disk,
        keys: Option<&KeyRing>,
    ) -> io::Result<Result<Sealing, Locked>> {
        let scope = KeyScope::Stream(&self.listing.name);
        self.sealing_of(disk, keys, &self.directory().meta().key, scope)
    }

    /// The same of a consumer.
    pub(super) fn consumer_sealing(
        &self,
        disk: &dyn Disk,
        keys: Option<&KeyRing>,
        name: &str,
        directory: &ConsumerDir,
    ) -> io::Result<Result<Sealing, Locked>> {
        let scope = KeyScope::Consumer(&self.listing.name, name);
        self.sealing_of(disk, keys, &directory.meta().key, scope)
    }

    fn sealing_of(
        &self,
        disk: &dyn Disk,
        keys: Option<&KeyRing>,
        key_file: &Path,
        scope: KeyScope<'_>,
    ) -> io::Result<Result<Sealing, Locked>> {
        let Some(file) = read_if_there(disk, key_file)? else {
            return Ok(Ok(Sealing::clear()));
        };
        let Some(keys) = keys else {
            return Ok(Err(Locked::NoKey));
        };
        let found = keys.unwrap(self.info(), scope, &file);
        Ok(found.map(|found| Sealing::sealed(found.key)).map_err(Locked::Key))
    }

    /// Reads every block, in as many threads as there are cores.
    pub(super) fn recover(
        &self,
        env: &Env,
        keys: Option<&KeyRing>,
        progress: &Progress,
    ) -> Result<Recovered, ToolError> {
        let owner = self.owner(keys);
        let path = owner.directory.path().to_owned();
        if read_directory(env.disk(), &path)
            .map_err(ToolError::io(&path))?
            .is_none()
        {
            return Ok(Recovered::default());
        }
        let (progress, title) = (progress.clone(), self.title());
        let request = Request {
            owner,
            track_subjects: self.kind == AssetKind::Stream,
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            progress: Box::new(move |now| {
                if now.blocks % LINE_EVERY == 0 {
                    let (blocks, all, messages) = (now.blocks, now.of_blocks, now.messages);
                    progress(&format!("{title}: {blocks} of {all} blocks, {messages} messages"));
                }
            }),
        };
        recover(env, request).map_err(ToolError::io(&path))
    }
}

/// Blocks between two lines about how far the reading is.
const LINE_EVERY: usize = 100;

/// Whether a journal holds anything: a clean stop leaves only its lock.
pub(super) fn is_unsettled(disk: &dyn Disk, journal: &Path) -> bool {
    let files = disk.list(journal).unwrap_or_default();
    files
        .iter()
        .any(|file| file.extension().is_some_and(|extension| extension == "journal"))
}

/// The entries of a directory; one that is absent is `None`.
pub(super) fn read_directory(disk: &dyn Disk, path: &Path) -> io::Result<Option<Vec<PathBuf>>> {
    match disk.list(path) {
        Ok(entries) => Ok(Some(entries)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
