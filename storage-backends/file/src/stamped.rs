//! What `thw.db`, `sched.db` and `sources.db` have in common: version 1, a count, a stamp, then the entries.
//!
//! The stamp is the sequence that followed the last message when the file was written: what is stored from there on
//! must be looked at again (STORE-62).

use crate::cursor::Cursor;

/// Why such a file is of no use. The texts are the reference's; it goes on without the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StampedError {
    /// Shorter than a header.
    #[error("short buffer")]
    Short,
    /// A version that nobody has written yet.
    #[error("{0}")]
    Version(&'static str),
    /// An entry is cut off.
    #[error("unexpected EOF")]
    UnexpectedEnd,
}

pub(crate) struct Header {
    pub(crate) count: u64,
    pub(crate) stamp: u64,
}

impl Header {
    /// An empty list with room for the entries, as far as the bytes can hold so many.
    pub(crate) fn room_for<T>(&self, shortest: u64, entries: &Cursor<'_>) -> Vec<T> {
        let most = self.count.min(entries.len() / shortest);
        Vec::with_capacity(usize::try_from(most).unwrap_or_default())
    }
}

/// Reads the header; `unknown` is what is said of another version.
pub(crate) fn open<'a>(bytes: &'a [u8], unknown: &'static str) -> Result<(Header, Cursor<'a>), StampedError> {
    let mut cursor = Cursor::new(bytes);
    let mut header = || Some((cursor.u8()?, cursor.u64()?, cursor.u64()?));
    let (version, count, stamp) = header().ok_or(StampedError::Short)?;
    if version != 1 {
        return Err(StampedError::Version(unknown));
    }
    Ok((Header { count, stamp }, cursor))
}

/// Writes the header.
pub(crate) fn begin(count: usize, stamp: u64) -> Vec<u8> {
    let mut out = vec![1];
    out.extend((count as u64).to_le_bytes());
    out.extend(stamp.to_le_bytes());
    out
}
