//! What is found in a store directory: accounts, streams, raft groups, consumers, blocks.

use std::io;
use std::path::{Path, PathBuf};

use dunlin_api::{Disk, is_store_name};

use super::{
    ACCOUNT_STAGING, BATCHES, CONSUMERS, GROUPS, JETSTREAM, MESSAGES, META, META_KEY, META_SUM, MessageFile,
    RESTORE_STAGING, SOURCES, STREAMS, StreamDir, is_account_directory,
};

/// What a directory is, by what lies in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TargetKind {
    /// A configured `store_dir`: it holds `jetstream`.
    StoreDir,
    /// `jetstream` itself: it holds accounts.
    Jetstream,
    /// An account: it holds `streams` or `_js_`.
    Account,
    /// A stream, a raft group's log or a batch: it holds `msgs` or `meta.inf`.
    Stream,
}

impl TargetKind {
    /// Looks at a directory. `None`: it is none of ours.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn of(disk: &dyn Disk, path: &Path) -> io::Result<Option<Self>> {
        let names = names(disk, path)?;
        let has = |wanted: &str| names.iter().any(|(name, _)| name == wanted);
        if has(MESSAGES) || has(META) {
            return Ok(Some(Self::Stream));
        }
        if has(STREAMS) || has(GROUPS) {
            return Ok(Some(Self::Account));
        }
        if has(JETSTREAM) {
            return Ok(Some(Self::StoreDir));
        }
        let holds_account = names.iter().any(|(_, path)| {
            let inside = self::names(disk, path).unwrap_or_default();
            inside.iter().any(|(name, _)| name == STREAMS || name == GROUPS)
        });
        let is_named_so = path.file_name().is_some_and(|name| name == JETSTREAM);
        Ok((holds_account || is_named_so).then_some(Self::Jetstream))
    }
}

/// What `jetstream` holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoreListing {
    /// The accounts, by name.
    pub accounts: Vec<AccountListing>,
    /// What has no place in the layout.
    pub foreign: Vec<PathBuf>,
}

/// What an account's directory holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccountListing {
    /// Its name.
    pub name: String,
    /// Its streams, by name.
    pub streams: Vec<StreamListing>,
    /// Logs of its raft groups, by name.
    pub groups: Vec<GroupListing>,
    /// Streams that are deleted and not yet gone.
    pub deleted: Vec<PathBuf>,
    /// What has no place in the layout.
    pub foreign: Vec<PathBuf>,
}

/// A raft group's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupListing {
    /// Its entries, in a store like a stream's.
    pub log: StreamListing,
    /// Its snapshots.
    pub snapshots: Vec<PathBuf>,
}

/// What a stream's directory holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamListing {
    /// The directory's name.
    pub name: String,
    /// Where it is.
    pub directory: StreamDir,
    /// Names of its consumers.
    pub consumers: Vec<String>,
    /// Batches that are being collected, or were when the server ended.
    pub batches: Vec<StreamDir>,
    /// What has no place in the layout.
    pub foreign: Vec<PathBuf>,
}

impl StoreListing {
    /// Reads `jetstream`, down to the names of consumers.
    ///
    /// # Errors
    /// A directory of the layout cannot be read.
    pub fn read(disk: &dyn Disk, path: &Path) -> io::Result<Self> {
        let mut listing = Self::default();
        for (name, path) in names(disk, path)? {
            if name == RESTORE_STAGING {
                continue;
            }
            if is_account_directory(&name) && is_directory(disk, &path) {
                listing.accounts.push(AccountListing::read(disk, &path)?);
            } else {
                listing.foreign.push(path);
            }
        }
        Ok(listing)
    }
}

impl AccountListing {
    /// Reads an account's directory.
    ///
    /// # Errors
    /// A directory of the layout cannot be read.
    pub fn read(disk: &dyn Disk, path: &Path) -> io::Result<Self> {
        let mut listing = Self {
            name: file_name(path),
            ..Self::default()
        };
        for (name, path) in names(disk, path)? {
            match name.as_str() {
                STREAMS => listing.read_streams(disk, &path)?,
                GROUPS => {
                    for (_, path) in names(disk, &path)? {
                        listing.groups.push(GroupListing::read(disk, path)?);
                    }
                }
                ACCOUNT_STAGING => {}
                _ => listing.foreign.push(path),
            }
        }
        Ok(listing)
    }

    fn read_streams(&mut self, disk: &dyn Disk, path: &Path) -> io::Result<()> {
        for (name, path) in names(disk, path)? {
            if name.starts_with('.') {
                self.deleted.push(path);
            } else if is_store_name(&name) && is_directory(disk, &path) {
                self.streams.push(StreamListing::read(disk, path)?);
            } else {
                self.foreign.push(path);
            }
        }
        Ok(())
    }
}

impl GroupListing {
    /// Reads the directory of a raft group.
    ///
    /// # Errors
    /// A directory of the layout cannot be read.
    pub fn read(disk: &dyn Disk, path: PathBuf) -> io::Result<Self> {
        let mut log = StreamListing::read(disk, path)?;
        let mut snapshots = Vec::new();
        let files = std::mem::take(&mut log.foreign);
        for path in files {
            match file_name(&path).as_str() {
                "tav.idx" | "peers.idx" | "commit.idx" => {}
                "snapshots" => snapshots = names(disk, &path)?.into_iter().map(|(_, path)| path).collect(),
                _ => log.foreign.push(path),
            }
        }
        Ok(Self { log, snapshots })
    }
}

impl StreamListing {
    /// Reads a stream's directory.
    ///
    /// # Errors
    /// A directory of the layout cannot be read.
    pub fn read(disk: &dyn Disk, path: PathBuf) -> io::Result<Self> {
        let mut listing = Self {
            name: file_name(&path),
            directory: StreamDir::found(path),
            consumers: Vec::new(),
            batches: Vec::new(),
            foreign: Vec::new(),
        };
        for (name, path) in names(disk, listing.directory.path())? {
            match name.as_str() {
                META | META_SUM | META_KEY | SOURCES | MESSAGES | "__msgs__" | "__new_msgs__" => {}
                CONSUMERS => listing.read_consumers(disk, &path)?,
                BATCHES => {
                    let batches = names(disk, &path)?;
                    listing.batches = batches
                        .into_iter()
                        .map(|(_, path)| StreamDir::found(path))
                        .collect();
                }
                // A write that was not finished; nobody reads it.
                _ if name.ends_with(".tmp") => {}
                _ => listing.foreign.push(path),
            }
        }
        Ok(listing)
    }

    fn read_consumers(&mut self, disk: &dyn Disk, path: &Path) -> io::Result<()> {
        for (name, path) in names(disk, path)? {
            if is_store_name(&name) && is_directory(disk, &path) {
                self.consumers.push(name);
            } else {
                self.foreign.push(path);
            }
        }
        Ok(())
    }
}

/// What a directory of blocks holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MessageListing {
    /// Numbers of the blocks, rising.
    pub blocks: Vec<u32>,
    /// Numbers of the blocks' keys, rising.
    pub keys: Vec<u32>,
    /// Whether there is an `index.db`.
    pub has_index: bool,
    /// Whether there is a `thw.db`.
    pub has_wheel: bool,
    /// Whether there is a `sched.db`.
    pub has_schedules: bool,
    /// `N.idx` and `N.fss` of servers before 2.10.
    pub legacy: Vec<PathBuf>,
    /// Writes that were not finished.
    pub left_over: Vec<PathBuf>,
    /// What has no place in the layout.
    pub foreign: Vec<PathBuf>,
}

impl MessageListing {
    /// Reads a directory of blocks; one that is absent holds nothing.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn read(disk: &dyn Disk, path: &Path) -> io::Result<Self> {
        let mut listing = Self::default();
        for (name, path) in absent_is_empty(names(disk, path))? {
            match MessageFile::of(&name) {
                MessageFile::Block(index) => listing.blocks.push(index),
                MessageFile::Key(index) => listing.keys.push(index),
                MessageFile::Index => listing.has_index = true,
                MessageFile::Wheel => listing.has_wheel = true,
                MessageFile::Schedules => listing.has_schedules = true,
                MessageFile::LegacyIndex(_) | MessageFile::LegacySubjects(_) => listing.legacy.push(path),
                MessageFile::LeftOver => listing.left_over.push(path),
                MessageFile::Foreign => listing.foreign.push(path),
            }
        }
        listing.blocks.sort_unstable();
        listing.keys.sort_unstable();
        Ok(listing)
    }
}

fn absent_is_empty<T: Default>(read: io::Result<T>) -> io::Result<T> {
    match read {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(T::default()),
        read => read,
    }
}

fn is_directory(disk: &dyn Disk, path: &Path) -> bool {
    !matches!(disk.list(path), Err(error) if error.kind() == io::ErrorKind::NotADirectory)
}

/// The entries of a directory, with their names.
fn names(disk: &dyn Disk, path: &Path) -> io::Result<Vec<(String, PathBuf)>> {
    let paths = disk.list(path)?;
    Ok(paths.into_iter().map(|path| (file_name(&path), path)).collect())
}

/// A name that is no text has no place in the layout, and is none here.
fn file_name(path: &Path) -> String {
    let name = path.file_name().and_then(|name| name.to_str());
    name.unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use dunlin_api::{OpenMode, SystemDisk};
    use tempfile::TempDir;

    use super::*;

    fn directory(files: &[&str]) -> TempDir {
        let directory = tempfile::tempdir().unwrap();
        for file in files {
            let path = directory.path().join(file);
            SystemDisk.create_dir(path.parent().unwrap()).unwrap();
            SystemDisk.open(&path, OpenMode::ReadWrite).unwrap();
        }
        directory
    }

    // STORE-1
    #[test]
    fn everything_in_a_store_directory_is_told_apart() {
        let directory = directory(&[
            "jetstream/$G/streams/T/meta.inf",
            "jetstream/$G/streams/T/msgs/1.blk",
            "jetstream/$G/streams/T/obs/c1/o.dat",
            "jetstream/$G/streams/T/batches/abcdefgh/meta.inf",
            "jetstream/$G/streams/T/notes.txt",
            "jetstream/$G/streams/.GONE/msgs/1.blk",
            "jetstream/$G/streams/a.b/meta.inf",
            "jetstream/$G/__snapshots__/snap-x/meta.inf",
            "jetstream/.snap-staging/x/meta.inf",
            "jetstream/SYS/_js_/_meta_/tav.idx",
            "jetstream/SYS/_js_/_meta_/snapshots/snap.1.2",
            "jetstream/SYS/_js_/_meta_/msgs/1.blk",
        ]);
        let listing = StoreListing::read(&SystemDisk, &directory.path().join("jetstream")).unwrap();
        let [global, system] = listing.accounts.as_slice() else {
            panic!("{listing:?}");
        };
        assert_eq!((global.name.as_str(), system.name.as_str()), ("$G", "SYS"));
        let [stream] = global.streams.as_slice() else {
            panic!("{global:?}");
        };
        assert_eq!(
            (stream.name.as_str(), stream.consumers.as_slice()),
            ("T", &["c1".to_owned()][..])
        );
        assert_eq!(stream.batches.len(), 1);
        assert_eq!(
            stream.foreign,
            [directory.path().join("jetstream/$G/streams/T/notes.txt")]
        );
        assert_eq!(
            global.deleted,
            [directory.path().join("jetstream/$G/streams/.GONE")]
        );
        assert_eq!(
            global.foreign,
            [directory.path().join("jetstream/$G/streams/a.b")]
        );
        let [group] = system.groups.as_slice() else {
            panic!("{system:?}");
        };
        assert_eq!((group.log.name.as_str(), group.snapshots.len()), ("_meta_", 1));
        assert!(group.log.foreign.is_empty());
    }

    #[test]
    fn a_directory_is_known_by_what_lies_in_it() {
        let directory = directory(&[
            "jetstream/$G/streams/T/meta.inf",
            "jetstream/$G/streams/T/msgs/1.blk",
            "e/file",
        ]);
        for (path, kind) in [
            ("", Some(TargetKind::StoreDir)),
            ("jetstream", Some(TargetKind::Jetstream)),
            ("jetstream/$G", Some(TargetKind::Account)),
            ("jetstream/$G/streams/T", Some(TargetKind::Stream)),
            ("e", None),
        ] {
            let found = TargetKind::of(&SystemDisk, &directory.path().join(path)).unwrap();
            assert_eq!(found, kind, "{path}");
        }
        assert!(TargetKind::of(&SystemDisk, &directory.path().join("none")).is_err());
    }

    // STORE-3
    #[test]
    fn blocks_are_listed_by_number_and_not_by_name() {
        let directory = directory(&["m/10.blk", "m/9.blk", "m/9.key", "m/9.new", "m/3.idx", "m/x"]);
        let listing = MessageListing::read(&SystemDisk, &directory.path().join("m")).unwrap();
        assert_eq!(
            (listing.blocks.as_slice(), listing.keys.as_slice()),
            (&[9, 10][..], &[9][..])
        );
        let counts = (
            listing.left_over.len(),
            listing.legacy.len(),
            listing.foreign.len(),
        );
        assert_eq!(counts, (1, 1, 1));
        let absent = MessageListing::read(&SystemDisk, &directory.path().join("absent")).unwrap();
        assert_eq!(absent, MessageListing::default());
    }
}
