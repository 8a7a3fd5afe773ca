//! The older format: a tar of the files of a file store. (STORE-78)
//!
//! The names that it may have are a fixed list. Any other, be it a path that leaves its folder or a file that no backup
//! holds, ends the restore, as do links, directories and devices.

use std::fmt;
use std::io::{self, Write};

use dunlin_api::is_store_name;

use crate::s2::{S2Decoder, S2Error, S2Writer};
use crate::tar::{TarError, TarReader, write_end, write_file};

/// Why a backup of files is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FilesError {
    /// It does not decompress.
    #[error(transparent)]
    S2(#[from] S2Error),
    /// Its files cannot be told apart, or one is no file.
    #[error(transparent)]
    Tar(#[from] TarError),
    /// A file that has no place in a backup.
    #[error("unexpected content: {0:?}")]
    Unexpected(String),
    /// The server that made it gave up, and says why.
    #[error("the backup is not whole: {0}")]
    Failed(String),
    /// It ended before its end mark.
    #[error("backup was truncated")]
    Truncated,
}

/// A file in a backup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BackupFile {
    /// The stream's `meta.inf`: the time of its creation and its configuration, JSON.
    Meta,
    /// The checksum of it, under the stream's name.
    MetaSum,
    /// A block, neither compressed nor encrypted.
    Block(u32),
    /// The stream's index, not encrypted.
    Index,
    /// A consumer's `meta.inf`.
    ConsumerMeta(String),
    /// The checksum of it.
    ConsumerMetaSum(String),
    /// A consumer's state, not encrypted.
    ConsumerState(String),
}

/// Where a server that gave up says why.
const FAILURE: &str = "errors.txt";

impl BackupFile {
    /// By its name in the tar; `None` for any that has no place in a backup.
    pub fn of(name: &str) -> Option<Self> {
        match name {
            "meta.inf" => return Some(Self::Meta),
            "meta.sum" => return Some(Self::MetaSum),
            "msgs/index.db" => return Some(Self::Index),
            _ => {}
        }
        if let Some(block) = name.strip_prefix("msgs/") {
            let number = block.strip_suffix(".blk")?;
            let index: u32 = number.parse().ok()?;
            return (index.to_string() == number).then_some(Self::Block(index));
        }
        let (consumer, file) = name.strip_prefix("obs/")?.split_once('/')?;
        let consumer = Some(consumer.to_owned()).filter(|consumer| is_store_name(consumer))?;
        match file {
            "meta.inf" => Some(Self::ConsumerMeta(consumer)),
            "meta.sum" => Some(Self::ConsumerMetaSum(consumer)),
            "o.dat" => Some(Self::ConsumerState(consumer)),
            _ => None,
        }
    }
}

impl fmt::Display for BackupFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Meta => f.write_str("meta.inf"),
            Self::MetaSum => f.write_str("meta.sum"),
            Self::Block(index) => write!(f, "msgs/{index}.blk"),
            Self::Index => f.write_str("msgs/index.db"),
            Self::ConsumerMeta(consumer) => write!(f, "obs/{consumer}/meta.inf"),
            Self::ConsumerMetaSum(consumer) => write!(f, "obs/{consumer}/meta.sum"),
            Self::ConsumerState(consumer) => write!(f, "obs/{consumer}/o.dat"),
        }
    }
}

/// Takes a backup of files apart that comes in pieces. After each piece, ask for files until there is none.
///
/// Memory: one decoded chunk of at most 4 MiB, the piece that was fed, and one file.
#[derive(Debug, Default)]
pub struct FilesReader {
    stream: S2Decoder,
    tar: TarReader,
    chunk: Vec<u8>,
}

impl FilesReader {
    /// Takes more of the backup. Cost: copies it.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.stream.feed(bytes);
    }

    /// The next file with its bytes, of which there may be `most`. `None`: more of the backup is needed, or it has ended.
    ///
    /// # Errors
    /// See [`FilesError`]; the backup is of no use from there on.
    pub fn next_file(&mut self, most: u64) -> Result<Option<(BackupFile, Vec<u8>)>, FilesError> {
        loop {
            if let Some((name, body)) = self.tar.next_file(most)? {
                if name == FAILURE {
                    return Err(FilesError::Failed(String::from_utf8_lossy(&body).into_owned()));
                }
                let file = BackupFile::of(&name).ok_or(FilesError::Unexpected(name))?;
                return Ok(Some((file, body)));
            }
            self.chunk.clear();
            if !self.stream.next_chunk(&mut self.chunk)? {
                return Ok(None);
            }
            self.tar.feed(&self.chunk);
        }
    }

    /// Nothing more comes.
    ///
    /// # Errors
    /// [`FilesError::Truncated`] unless the end mark has come.
    pub fn finish(&self) -> Result<(), FilesError> {
        self.tar.has_ended().then_some(()).ok_or(FilesError::Truncated)
    }
}

/// Writes a backup of files: the stream's description first, then its blocks and index, then its consumers.
#[derive(Debug)]
pub struct FilesWriter<W: Write> {
    out: S2Writer<W>,
    now: u64,
}

impl<W: Write> FilesWriter<W> {
    /// Begins. `now`, in seconds since the Unix epoch, becomes the time of the files.
    pub fn begin(out: W, now: u64) -> Self {
        Self {
            out: S2Writer::new(out),
            now,
        }
    }

    /// One file.
    ///
    /// # Errors
    /// What the writer says.
    pub fn file(&mut self, file: &BackupFile, body: &[u8]) -> io::Result<()> {
        write_file(&mut self.out, &file.to_string(), self.now, body)
    }

    /// Writes the end mark and all that is pending, and gives the writer back.
    ///
    /// # Errors
    /// What the writer says.
    pub fn finish(mut self) -> io::Result<W> {
        write_end(&mut self.out)?;
        self.out.finish()
    }
}

#[cfg(test)]
mod tests;
