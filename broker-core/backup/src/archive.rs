//! The archive of entries inside a backup: names, figures, bytes. (STORE-75)
//!
//! Bytes in, entries out; nothing is unpacked anywhere. What an entry claims sizes nothing: its bytes are collected as
//! they come, and never beyond the bound that the reader was given.

use std::io::{self, Write};

/// What an archive begins with.
pub const MAGIC: &[u8; 8] = b"NATSARC1";

/// Why an archive cannot be read. The texts are the reference's where it has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ArchiveError {
    /// It begins otherwise, is cut off, or its figures are impossible.
    #[error("archive: invalid archive stream")]
    Invalid,
    /// An entry is larger than the reader takes.
    #[error("archive: entry of {size} bytes exceeds {most}")]
    TooLarge {
        /// What it claims.
        size: u64,
        /// What is taken.
        most: u64,
    },
}

/// The figures of an entry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EntryHead {
    /// Its name: of a part of the backup, or a message's subject. At most 1 MiB.
    pub name: Vec<u8>,
    /// When it was made, in nanoseconds since the Unix epoch.
    pub time: i64,
    /// A message's sequence; 0: none.
    pub sequence: u64,
    /// Bytes of a message's headers, which come first.
    pub header_size: u64,
    /// Bytes of the rest.
    pub payload_size: u64,
}

impl EntryHead {
    /// Headers and payload.
    fn size(&self) -> Option<u64> {
        let size = self.header_size.checked_add(self.payload_size)?;
        i64::try_from(size).is_ok().then_some(size)
    }
}

const LONGEST_NAME: u64 = 1 << 20;

/// Takes an archive apart that comes in pieces.
///
/// ```
/// use dunlin_backup::archive::{ArchiveReader, EntryHead, write_entry};
///
/// let mut bytes = Vec::new();
/// let head = EntryHead { name: b"a".to_vec(), payload_size: 2, ..EntryHead::default() };
/// write_entry(&mut bytes, true, &head, &[b"hi"])?;
///
/// let mut reader = ArchiveReader::default();
/// reader.feed(&bytes);
/// assert_eq!(reader.next_head(1_000)?, Some(head));
/// assert_eq!(reader.body(), Some(b"hi".to_vec()));
/// assert_eq!(reader.next_head(1_000)?, None);
/// assert!(reader.is_between_entries());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Default)]
pub struct ArchiveReader {
    fed: Vec<u8>,
    at: usize,
    has_begun: bool,
    /// Bytes of the entry that was opened last and not read.
    left: u64,
}

impl ArchiveReader {
    /// Takes more of the archive. Cost: copies it.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.fed.drain(..self.at);
        self.at = 0;
        self.fed.extend_from_slice(bytes);
    }

    /// How many bytes were fed and not used.
    pub fn buffered(&self) -> usize {
        self.fed.len() - self.at
    }

    /// Opens the next entry; what was not read of the last one is passed over. `None`: more of the archive is needed.
    ///
    /// # Errors
    /// [`ArchiveError::TooLarge`] for an entry of more than `most` bytes; [`ArchiveError::Invalid`].
    pub fn next_head(&mut self, most: u64) -> Result<Option<EntryHead>, ArchiveError> {
        let skipped = self.left.min(self.buffered() as u64);
        self.at += skipped as usize;
        self.left -= skipped;
        if self.left > 0 {
            return Ok(None);
        }
        if !self.has_begun {
            let Some(magic) = self.rest().first_chunk() else {
                return Ok(None);
            };
            if magic != MAGIC {
                return Err(ArchiveError::Invalid);
            }
            self.has_begun = true;
            self.at += MAGIC.len();
        }
        let mut rest = self.rest();
        let before = rest.len();
        let Some(head) = head(&mut rest)? else {
            return Ok(None);
        };
        let used = before - rest.len();
        self.at += used;
        self.left = head.size().ok_or(ArchiveError::Invalid)?;
        if self.left > most {
            let size = self.left;
            return Err(ArchiveError::TooLarge { size, most });
        }
        Ok(Some(head))
    }

    /// Everything in the entry that was opened last, once. `None`: more of the archive is needed.
    pub fn body(&mut self) -> Option<Vec<u8>> {
        let length = usize::try_from(self.left).ok()?;
        let body = self.rest().get(..length)?.to_vec();
        self.at += length;
        self.left = 0;
        Some(body)
    }

    /// Whether the archive may end here.
    pub fn is_between_entries(&self) -> bool {
        self.left == 0 && self.buffered() == 0
    }

    fn rest(&self) -> &[u8] {
        self.fed.get(self.at..).unwrap_or_default()
    }
}

/// Takes an entry's head from the front. `None`: it is not all there.
fn head(rest: &mut &[u8]) -> Result<Option<EntryHead>, ArchiveError> {
    let mut cursor = *rest;
    let mut number = || uvarint(&mut cursor);
    let figures = (|| Some((number()?, number()?, number()?, number()?, number()?)))();
    let Some((length, time, sequence, header_size, payload_size)) = figures else {
        // Five numbers of ten bytes are the longest head.
        return if rest.len() >= 50 {
            Err(ArchiveError::Invalid)
        } else {
            Ok(None)
        };
    };
    if length > LONGEST_NAME {
        return Err(ArchiveError::Invalid);
    }
    let Some((name, cursor)) = cursor.split_at_checked(length as usize) else {
        return Ok(None);
    };
    *rest = cursor;
    Ok(Some(EntryHead {
        name: name.to_vec(),
        time: (time >> 1) as i64 ^ -((time & 1) as i64),
        sequence,
        header_size,
        payload_size,
    }))
}

fn uvarint(cursor: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for (at, byte) in cursor.iter().enumerate().take(10) {
        if at == 9 && *byte > 1 {
            return None;
        }
        value |= u64::from(byte & 0x7f) << (7 * at);
        if *byte < 0x80 {
            *cursor = cursor.get(at + 1..)?;
            return Some(value);
        }
    }
    None
}

/// Writes one entry, whose bytes are those of `body` one after the other; `is_first` puts the archive's beginning before
/// it. The head's sizes must be those of the body.
///
/// # Errors
/// What the writer says; `InvalidInput` where the sizes differ, before anything is written.
pub fn write_entry(out: &mut impl Write, is_first: bool, head: &EntryHead, body: &[&[u8]]) -> io::Result<()> {
    let given: u64 = body.iter().map(|part| part.len() as u64).sum();
    if head.size() != Some(given) {
        let reason = "archive: write exceeds declared entry size";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, reason));
    }
    if is_first {
        out.write_all(MAGIC)?;
    }
    put_uvarint(out, head.name.len() as u64)?;
    put_uvarint(out, ((head.time << 1) ^ (head.time >> 63)) as u64)?;
    put_uvarint(out, head.sequence)?;
    put_uvarint(out, head.header_size)?;
    put_uvarint(out, head.payload_size)?;
    out.write_all(&head.name)?;
    body.iter().try_for_each(|part| out.write_all(part))
}

fn put_uvarint(out: &mut impl Write, mut value: u64) -> io::Result<()> {
    while value >= 0x80 {
        out.write_all(&[value as u8 | 0x80])?;
        value >>= 7;
    }
    out.write_all(&[value as u8])
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: u64 = 1_000;

    fn entry(name: &str, time: i64, sequence: u64, headers: &[u8], payload: &[u8]) -> (EntryHead, Vec<u8>) {
        let head = EntryHead {
            name: name.into(),
            time,
            sequence,
            header_size: headers.len() as u64,
            payload_size: payload.len() as u64,
        };
        (head, [headers, payload].concat())
    }

    fn archive(entries: &[(EntryHead, Vec<u8>)]) -> Vec<u8> {
        let mut out = Vec::new();
        for (at, (head, body)) in entries.iter().enumerate() {
            write_entry(&mut out, at == 0, head, &[body]).unwrap();
        }
        out
    }

    fn fed(bytes: &[u8]) -> ArchiveReader {
        let mut reader = ArchiveReader::default();
        reader.feed(bytes);
        reader
    }

    // STORE-75 [TestRoundTrip, TestHeaderFieldEncoding]
    #[test]
    fn entries_come_back_however_the_archive_is_cut() {
        let entries = [
            entry("alpha.txt", 100, 0, b"hell", b"o alpha"),
            entry("nested/beta.txt", -123, 1 << 60, b"", b""),
            entry("", i64::MIN, u64::MAX, b"", b"beta payload"),
        ];
        let bytes = archive(&entries);
        for step in 1..bytes.len() {
            let mut reader = ArchiveReader::default();
            let mut read = Vec::new();
            let mut open = None;
            for piece in bytes.chunks(step) {
                reader.feed(piece);
                loop {
                    if open.is_none() {
                        open = reader.next_head(MOST).unwrap();
                    }
                    let Some(body) = open.as_ref().and_then(|_| reader.body()) else {
                        break;
                    };
                    read.extend(open.take().map(|head| (head, body)));
                }
            }
            assert_eq!(read, entries);
            assert!(reader.is_between_entries());
        }
    }

    // STORE-75 [TestNextSkipsUnreadPayload]
    #[test]
    fn what_was_not_read_of_an_entry_is_passed_over() {
        let bytes = archive(&[
            entry("first", 0, 0, b"", b"abcdef"),
            entry("second", 0, 0, b"", b"second-body"),
        ]);
        let mut reader = fed(&bytes[..20]);
        assert_eq!(reader.next_head(MOST).unwrap().unwrap().name, b"first");
        assert_eq!(reader.next_head(MOST), Ok(None));
        reader.feed(&bytes[20..]);
        assert_eq!(reader.next_head(MOST).unwrap().unwrap().name, b"second");
        assert_eq!(reader.body().unwrap(), b"second-body");
    }

    // STORE-75 [TestEmptyArchiveReturnsEOF, TestInvalidMagicIsRejected]
    #[test]
    fn nothing_at_all_is_an_end_and_another_beginning_is_no_archive() {
        let mut empty = fed(b"");
        assert_eq!(empty.next_head(MOST), Ok(None));
        assert!(empty.is_between_entries());
        let mut other = fed(b"not-a-valid-archive-stream");
        assert_eq!(other.next_head(MOST), Err(ArchiveError::Invalid));
        assert_eq!(
            ArchiveError::Invalid.to_string(),
            "archive: invalid archive stream"
        );
    }

    // STORE-75 [TestTruncatedHeaderIsInvalid, TestTruncatedPayloadIsInvalid]
    #[test]
    fn an_archive_that_ends_inside_an_entry_has_not_ended() {
        let bytes = archive(&[entry("first", 7, 3, b"ab", b"cdef")]);
        for cut in MAGIC.len() + 1..bytes.len() {
            let mut reader = fed(&bytes[..cut]);
            let head = reader.next_head(MOST).unwrap();
            let body = head.and_then(|_| reader.body());
            assert_eq!((body, reader.is_between_entries()), (None, false), "cut at {cut}");
        }
    }

    // STORE-75, STORE-181
    #[test]
    fn impossible_figures_are_refused_before_anything_is_allocated() {
        let check = |figures: &[u64], error| {
            let mut bytes = MAGIC.to_vec();
            figures
                .iter()
                .for_each(|figure| put_uvarint(&mut bytes, *figure).unwrap());
            assert_eq!(fed(&bytes).next_head(MOST), Err(error), "{figures:?}");
        };
        check(&[LONGEST_NAME + 1, 0, 0, 0, 0], ArchiveError::Invalid);
        check(&[0, 0, 0, u64::MAX, 1], ArchiveError::Invalid);
        check(&[0, 0, 0, i64::MAX as u64, 1], ArchiveError::Invalid);
        let (size, most) = (MOST + 1, MOST);
        check(&[0, 0, 0, MOST, 1], ArchiveError::TooLarge { size, most });
        let endless = [MAGIC.as_slice(), &[0xff; 60]].concat();
        assert_eq!(fed(&endless).next_head(MOST), Err(ArchiveError::Invalid));
    }

    // STORE-75
    #[test]
    fn an_entry_of_another_size_than_it_says_is_not_written() {
        let (head, _) = entry("a", 0, 0, b"", b"abc");
        let mut out = Vec::new();
        assert!(write_entry(&mut out, true, &head, &[b"abcd"]).is_err());
        assert!(out.is_empty());
    }
}
