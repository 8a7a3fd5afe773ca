//! What lies where in a store directory, and which file is what. (STORE-1 to STORE-6)
//!
//! A path is made here and nowhere else, and only of names that were checked: of a [`StreamId`], of a consumer's name
//! that [`is_store_name`] allows, of numbers. So no name that a client chose leaves the directory that it belongs in.
//! What is found on the disk goes the other way, through [`MessageFile::of`] and its like: what has no place in the
//! layout is told apart and never touched.

use std::path::{Path, PathBuf};

use dunlin_api::{StreamId, is_store_name};
use sha2::{Digest, Sha256};

mod walk;

pub use walk::{AccountListing, GroupListing, MessageListing, StoreListing, StreamListing, TargetKind};

/// Permissions of directories that this store makes (STORE-2).
pub const DIRECTORY_PERMISSIONS: u32 = 0o700;

/// Permissions of files that this store makes (STORE-2).
pub const FILE_PERMISSIONS: u32 = 0o600;

/// Always below the configured `store_dir`.
pub const JETSTREAM: &str = "jetstream";

/// Where a restore unpacks what it is sent; of no use after a restart.
pub const RESTORE_STAGING: &str = ".snap-staging";

/// The same for archives of the older format, in each account.
pub const ACCOUNT_STAGING: &str = "__snapshots__";

pub(crate) const STREAMS: &str = "streams";
pub(crate) const GROUPS: &str = "_js_";
pub(crate) const MESSAGES: &str = "msgs";
pub(crate) const CONSUMERS: &str = "obs";
pub(crate) const BATCHES: &str = "batches";
pub(crate) const META: &str = "meta.inf";
pub(crate) const META_SUM: &str = "meta.sum";
pub(crate) const META_KEY: &str = "meta.key";
pub(crate) const SOURCES: &str = "sources.db";
pub(crate) const CONSUMER_STATE: &str = "o.dat";
pub(crate) const INDEX: &str = "index.db";
pub(crate) const WHEEL: &str = "thw.db";
pub(crate) const SCHEDULES: &str = "sched.db";

/// The directory that holds everything: `<store_dir>/jetstream`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreDir(PathBuf);

impl StoreDir {
    /// Below the configured `store_dir`.
    pub fn new(store_dir: &Path) -> Self {
        Self(store_dir.join(JETSTREAM))
    }

    /// The directory itself.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// A stream's directory. An account called like the store's own staging has none: `None`.
    pub fn stream(&self, id: &StreamId) -> Option<StreamDir> {
        let account = id.account().as_str();
        (is_account_directory(account))
            .then(|| StreamDir(self.0.join(account).join(STREAMS).join(id.stream())))
    }

    /// Where a deleted stream waits for its removal. No stream's name begins with a dot.
    pub fn deleted_stream(&self, id: &StreamId) -> Option<PathBuf> {
        let path = self.stream(id)?.0;
        Some(path.with_file_name(format!(".{}", id.stream())))
    }
}

/// Whether an account of this name can have a directory.
pub fn is_account_directory(name: &str) -> bool {
    let is_plain = !name.contains(['/', '\\', '\0']) && !matches!(name, "" | "." | "..");
    is_plain && name != RESTORE_STAGING
}

/// A stream's directory, or that of a raft group's log or of a batch, which are laid out alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamDir(PathBuf);

impl StreamDir {
    /// A directory that was found, wherever it lies.
    pub fn found(path: PathBuf) -> Self {
        Self(path)
    }

    /// The directory itself.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Its `meta.inf`, `meta.sum` and `meta.key`.
    pub fn meta(&self) -> MetaPaths {
        MetaPaths::of(&self.0)
    }

    /// How far it has come with its sources.
    pub fn sources(&self) -> PathBuf {
        self.0.join(SOURCES)
    }

    /// Blocks and what belongs to them.
    pub fn messages(&self) -> MessagesDir {
        MessagesDir(self.0.join(MESSAGES))
    }

    /// Where a purge puts what is to be deleted (STORE-103).
    pub fn purged_messages(&self) -> MessagesDir {
        MessagesDir(self.0.join("__msgs__"))
    }

    /// Where a purge makes what is to stay (STORE-103).
    pub fn new_messages(&self) -> MessagesDir {
        MessagesDir(self.0.join("__new_msgs__"))
    }

    /// The directory of all consumers.
    pub fn consumers(&self) -> PathBuf {
        self.0.join(CONSUMERS)
    }

    /// A consumer's directory; `None` for a name that no consumer can have.
    pub fn consumer(&self, name: &str) -> Option<ConsumerDir> {
        is_store_name(name).then(|| ConsumerDir(self.consumers().join(name)))
    }

    /// The directory of one batch that is being collected.
    pub fn batch(&self, batch: &[u8]) -> Self {
        Self(self.0.join(BATCHES).join(batch_name(batch)))
    }
}

/// A consumer's directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumerDir(PathBuf);

impl ConsumerDir {
    /// A directory that was found, wherever it lies.
    pub fn found(path: PathBuf) -> Self {
        Self(path)
    }

    /// The directory itself.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Its `meta.inf`, `meta.sum` and `meta.key`.
    pub fn meta(&self) -> MetaPaths {
        MetaPaths::of(&self.0)
    }

    /// Its state.
    pub fn state(&self) -> PathBuf {
        self.0.join(CONSUMER_STATE)
    }
}

/// The three files that describe a stream or a consumer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetaPaths {
    /// The description, JSON.
    pub meta: PathBuf,
    /// Its checksum.
    pub sum: PathBuf,
    /// The wrapped key; only of what is encrypted.
    pub key: PathBuf,
}

impl MetaPaths {
    fn of(directory: &Path) -> Self {
        Self {
            meta: directory.join(META),
            sum: directory.join(META_SUM),
            key: directory.join(META_KEY),
        }
    }
}

/// A directory of blocks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessagesDir(PathBuf);

impl MessagesDir {
    /// A directory that was found, wherever it lies.
    pub fn found(path: PathBuf) -> Self {
        Self(path)
    }

    /// The directory itself.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// A block.
    pub fn block(&self, index: u32) -> PathBuf {
        self.0.join(format!("{index}.blk"))
    }

    /// A block's wrapped key.
    pub fn key(&self, index: u32) -> PathBuf {
        self.0.join(format!("{index}.key"))
    }

    /// `index.db`.
    pub fn index(&self) -> PathBuf {
        self.0.join(INDEX)
    }

    /// `thw.db`.
    pub fn wheel(&self) -> PathBuf {
        self.0.join(WHEEL)
    }

    /// `sched.db`.
    pub fn schedules(&self) -> PathBuf {
        self.0.join(SCHEDULES)
    }
}

/// What a file in a directory of blocks is, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageFile {
    /// `N.blk`.
    Block(u32),
    /// `N.key`.
    Key(u32),
    /// `index.db`.
    Index,
    /// `thw.db`.
    Wheel,
    /// `sched.db`.
    Schedules,
    /// `N.idx`, a block's index of servers before 2.10.
    LegacyIndex(u32),
    /// `N.fss`, a block's subjects of servers before 2.10.
    LegacySubjects(u32),
    /// `….tmp` and `N.new`: a write that was not finished. Nobody reads it (STORE-4).
    LeftOver,
    /// Nothing of ours.
    Foreign,
}

impl MessageFile {
    /// By its name. Numbers are decimal without sign and leading zeros, as they are written.
    pub fn of(name: &str) -> Self {
        match name {
            INDEX => return Self::Index,
            WHEEL => return Self::Wheel,
            SCHEDULES => return Self::Schedules,
            _ => {}
        }
        let Some((stem, extension)) = name.rsplit_once('.') else {
            return Self::Foreign;
        };
        let number = stem
            .parse::<u32>()
            .ok()
            .filter(|number| number.to_string() == stem);
        match (extension, number) {
            ("blk", Some(index)) => Self::Block(index),
            ("key", Some(index)) => Self::Key(index),
            ("idx", Some(index)) => Self::LegacyIndex(index),
            ("fss", Some(index)) => Self::LegacySubjects(index),
            ("tmp", _) | ("new", Some(_)) => Self::LeftOver,
            _ => Self::Foreign,
        }
    }
}

/// The name of a batch's directory, which is the name of its stream of messages too (STORE-6).
pub fn batch_name(batch: &[u8]) -> String {
    const LETTERS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let hash = Sha256::digest(batch);
    let letters = hash.iter().take(8);
    letters
        .filter_map(|byte| LETTERS.get(usize::from(*byte) % LETTERS.len()))
        .map(|letter| char::from(*letter))
        .collect()
}

#[cfg(test)]
mod tests {
    use dunlin_subject::AccountName;

    use super::*;

    // STORE-3, STORE-4, STORE-5 [TestFileStoreRecoverOnlyBlkFiles]
    #[test]
    fn only_a_plain_number_with_the_right_ending_is_a_block() {
        for (name, file) in [
            ("1.blk", MessageFile::Block(1)),
            ("4294967295.blk", MessageFile::Block(u32::MAX)),
            ("12.key", MessageFile::Key(12)),
            ("index.db", MessageFile::Index),
            ("thw.db", MessageFile::Wheel),
            ("sched.db", MessageFile::Schedules),
            ("3.idx", MessageFile::LegacyIndex(3)),
            ("3.fss", MessageFile::LegacySubjects(3)),
            ("1.blk.tmp", MessageFile::LeftOver),
            ("index.db.tmp", MessageFile::LeftOver),
            ("1.new", MessageFile::LeftOver),
            ("4294967296.blk", MessageFile::Foreign),
            ("01.blk", MessageFile::Foreign),
            ("+1.blk", MessageFile::Foreign),
            ("1.blk ", MessageFile::Foreign),
            (".blk", MessageFile::Foreign),
            ("x.new", MessageFile::Foreign),
            ("notes", MessageFile::Foreign),
        ] {
            assert_eq!(MessageFile::of(name), file, "{name}");
        }
    }

    // STORE-6: recomputed from SHA-256("batch") = be66e4ee…
    #[test]
    fn a_batch_is_named_by_eight_letters_of_its_hash() {
        let expected: String = Sha256::digest(b"batch")[..8]
            .iter()
            .map(|byte| match byte % 62 {
                digit @ 0..10 => char::from(b'0' + digit),
                letter @ 10..36 => char::from(b'A' + letter - 10),
                letter => char::from(b'a' + letter - 36),
            })
            .collect();
        assert_eq!(batch_name(b"batch"), expected);
        assert!(
            batch_name(b"../../x")
                .chars()
                .all(|letter| letter.is_ascii_alphanumeric())
        );
    }

    // 2022-28357: an account's name becomes a directory's; a client chooses it where accounts come from outside.
    #[test]
    fn no_name_leaves_its_directory() {
        let store = StoreDir::new(Path::new("/data"));
        for account in ["$G", "*", "a.b", "...", "~", "-rf"] {
            let id = StreamId::new(AccountName::new(account).unwrap(), "S").unwrap();
            let path = store.stream(&id).unwrap().path().to_owned();
            assert_eq!(path, Path::new("/data/jetstream").join(account).join("streams/S"));
            assert_eq!(path.components().count(), 6, "{account}");
        }
        for account in ["", ".", "..", "a/b", "a\\b", "a\0", ".snap-staging"] {
            assert!(!is_account_directory(account), "{account:?}");
        }
        let staging = StreamId::new(AccountName::new(".snap-staging").unwrap(), "S").unwrap();
        assert_eq!(store.stream(&staging), None);
        let stream = StreamDir::found("/data/s".into());
        for consumer in [
            "",
            ".",
            "..",
            "a/b",
            "../x",
            "a.b",
            "a\0",
            "a\\b",
            " ",
            &"x".repeat(256),
        ] {
            assert_eq!(stream.consumer(consumer), None, "{consumer:?}");
        }
        assert!(stream.consumer("orders-1").is_some());
    }

    // STORE-1, STORE-109
    #[test]
    fn a_deleted_stream_has_a_name_that_no_stream_can_have() {
        let store = StoreDir::new(Path::new("/data"));
        let id = StreamId::new(AccountName::global(), "S").unwrap();
        let deleted = store.deleted_stream(&id).unwrap();
        assert_eq!(deleted, Path::new("/data/jetstream/$G/streams/.S"));
        assert!(StreamId::new(AccountName::global(), ".S").is_err());
    }
}
