//! Backups of streams, as the reference makes and takes them.
//!
//! A backup is an S2 stream ([`s2`]) of either an [`archive`], whose entries are a stream's state, its consumers and its
//! messages ([`BackupReader`], [`BackupWriter`]), or, in the older format, of a tar of the files of a file store
//! ([`FilesReader`], [`FilesWriter`]). [`Format`] tells them apart.
//!
//! Sans-I/O: bytes in, parts out, and the other way. Nothing is unpacked to a disk here, and no name in a backup becomes
//! a path: the older format knows a fixed list of names ([`BackupFile`]), any other ends the restore. Rules: STORE-74 to
//! STORE-79, JS-267 to JS-272.

pub mod archive;
mod files;
mod json;
mod reader;
pub mod s2;
mod tar;
mod writer;

pub use files::{BackupFile, FilesError, FilesReader, FilesWriter};
pub use json::{BackupConsumer, BackupState};
pub use reader::{BackupError, BackupLimits, BackupReader, Part};
pub use writer::BackupWriter;

/// The two formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A tar of the store's files; what servers before 2.14 made.
    Files,
    /// An archive of messages, whatever store they come from.
    Messages,
}

impl Format {
    /// Which one it is, by its first eight decoded bytes (STORE-74).
    pub fn of(first: &[u8; 8]) -> Self {
        if first == archive::MAGIC {
            Self::Messages
        } else {
            Self::Files
        }
    }
}
