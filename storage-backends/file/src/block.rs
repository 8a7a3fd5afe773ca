//! A block's file, read from its first to its last record, whatever it is: plain, compressed, encrypted, damaged.
//!
//! A plain block passes through a window, so it takes little memory however long it is; of a compressed one, and of one
//! that is damaged, what is left is taken as a whole. Nothing is changed on disk.

use std::io;
use std::ops::Range;

use dunlin_api::DiskFile;

use crate::compress;
use crate::crypt::BlockCipher;
use crate::record::{MAX_LENGTH, Record, RecordKey, RecordKind, SUM_LENGTH};
use crate::scan::{Found, Reason, Scan};

/// Damage of a block.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("block {block}: bytes {} to {}{}: {reason}", range.start, range.end, self.lost())]
pub struct Damage {
    /// The block's number.
    pub block: u32,
    /// Which bytes of the block in clear; of the file, for [`Reason::Compression`].
    pub range: Range<u64>,
    /// The last sequence that was read before it; 0 if it is the first thing in the block.
    pub after: u64,
    /// The first sequence that was read behind it; `None` if it is the last thing in the block.
    pub before: Option<u64>,
    /// Why the bytes are no records.
    pub reason: Reason,
}

impl Damage {
    /// Sequences that may have been lost: those between the records around it. Empty where nothing was. What the block's end
    /// lost is known by the next block, or by an index, only.
    pub fn sequences(&self) -> Option<Range<u64>> {
        let before = self.before?;
        Some(self.after.saturating_add(1)..before.max(self.after.saturating_add(1)))
    }

    fn lost(&self) -> String {
        match self.sequences() {
            Some(lost) if lost.is_empty() => String::new(),
            Some(lost) if lost.end - lost.start == 1 => format!(" (sequence {})", lost.start),
            Some(lost) => format!(" (sequences {} to {})", lost.start, lost.end - 1),
            None => format!(" (sequences from {})", self.after.saturating_add(1)),
        }
    }
}

/// What reading a block shows.
#[derive(Clone, Debug)]
pub enum BlockEvent<'a> {
    /// A record.
    Record {
        /// Its offset in the block in clear.
        at: u64,
        /// Its parts.
        record: Record<'a>,
        /// Its checksum.
        sum: [u8; SUM_LENGTH],
    },
    /// Damage, shown when the next message behind it is known.
    Damage(Damage),
}

/// How a block's file is read.
#[derive(Clone, Copy)]
pub struct BlockSource<'a> {
    /// The file.
    pub file: &'a dyn DiskFile,
    /// The block's number.
    pub block: u32,
    /// Checks its records.
    pub key: &'a RecordKey,
    /// Deciphers it, if it is encrypted.
    pub cipher: Option<&'a BlockCipher>,
}

/// What a block's file was found to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BlockForm {
    /// Bytes of the file.
    pub file_length: u64,
    /// Bytes of the block in clear.
    pub length: u64,
    /// Whether the file is compressed. It must not be appended to then.
    pub is_compressed: bool,
    /// Checksum of the last record; zeros if there is none. If the block is not damaged at its end, these are its last bytes.
    pub last_sum: [u8; SUM_LENGTH],
}

/// Bytes that are read at once. Small enough for them to be still in the processor's cache when they are hashed.
const WINDOW: usize = 256 << 10;
/// What a disk gives or does not give as a whole: read alone when a read of more has failed.
const SECTOR: usize = 4 << 10;
/// Enough of a file to tell whether it is compressed.
const FRONT: usize = 24;

/// Memory for reading blocks, to be used again for the next. It is cleared only when it grows.
#[derive(Debug, Default)]
pub struct BlockBuffer {
    bytes: Vec<u8>,
    filled: usize,
}

impl BlockBuffer {
    fn filled(&self) -> &[u8] {
        self.bytes.get(..self.filled).unwrap_or_default()
    }

    /// Forgets the first bytes.
    fn pass(&mut self, used: usize) {
        self.bytes.copy_within(used..self.filled, 0);
        self.filled -= used;
    }
}

impl BlockSource<'_> {
    /// Reads the block. `visit` gets every record and all damage, in order.
    ///
    /// # Errors
    /// The file cannot be read at all. Of a file that is read in part, what cannot be is damage.
    pub fn read(
        &self,
        buffer: &mut BlockBuffer,
        mut visit: impl FnMut(BlockEvent<'_>),
    ) -> io::Result<BlockForm> {
        let file_length = self.file.len()?;
        let mut reader = Reader {
            source: self,
            file_length,
            order: Order::new(self.block),
            form: BlockForm {
                file_length,
                length: file_length,
                ..BlockForm::default()
            },
        };
        buffer.filled = 0;
        reader.fill(buffer, 0, FRONT)?;
        if compress::may_be_compressed(buffer.filled()) {
            reader.fill(buffer, 0, usize::MAX)?;
            if let Ok(unpacked) = compress::unpack(buffer.filled()) {
                reader.read_unpacked(&unpacked, &mut visit);
                return Ok(reader.form);
            }
        }
        reader.read_plain(buffer, &mut visit)?;
        Ok(reader.form)
    }
}

struct Reader<'s, 'a> {
    source: &'s BlockSource<'a>,
    file_length: u64,
    order: Order,
    form: BlockForm,
}

impl Reader<'_, '_> {
    fn read_plain(
        &mut self,
        buffer: &mut BlockBuffer,
        visit: &mut impl FnMut(BlockEvent<'_>),
    ) -> io::Result<()> {
        let mut base = 0;
        let mut wanted = WINDOW;
        loop {
            self.fill(buffer, base, wanted)?;
            let window = buffer.filled();
            let is_whole = base + window.len() as u64 >= self.file_length;
            let scan = if is_whole {
                Scan::new(window, self.source.key)
            } else {
                Scan::front(window, self.source.key)
            };
            let used = self.show(scan, window, base, visit);
            if is_whole {
                break;
            }
            // What is no whole record is either cut by the window or damaged.
            wanted = match (used, wanted) {
                (0, WINDOW) => MAX_LENGTH,
                (0, _) => usize::MAX,
                _ => WINDOW,
            };
            base += used as u64;
            buffer.pass(used);
        }
        self.order.finish(visit);
        Ok(())
    }

    fn read_unpacked(&mut self, unpacked: &compress::Unpacked, visit: &mut impl FnMut(BlockEvent<'_>)) {
        self.form.is_compressed = true;
        self.form.length = unpacked.block.len() as u64;
        let faults = unpacked.faults.iter().map(|fault| Fault {
            block: fault.block.start as u64,
            file: fault.file.start as u64..fault.file.end as u64,
        });
        self.order.faults = faults.collect();
        self.order.faults.reverse();
        let scan = Scan::new(&unpacked.block, self.source.key);
        self.show(scan, &unpacked.block, 0, visit);
        self.order.finish(visit);
    }

    /// Shows what a scan finds; gives how far it came.
    fn show(
        &mut self,
        mut scan: Scan<'_>,
        bytes: &[u8],
        base: u64,
        visit: &mut impl FnMut(BlockEvent<'_>),
    ) -> usize {
        while let Some(found) = scan.next() {
            match found {
                Found::Record { at, record } => {
                    let sum = scan.last_end().and_then(|end| bytes.get(..end)?.last_chunk());
                    self.form.last_sum = sum.copied().unwrap_or_default();
                    let at = base + at as u64;
                    self.order.record(at, record, self.form.last_sum, visit);
                }
                Found::Damage { range, reason } => {
                    let range = base + range.start as u64..base + range.end as u64;
                    self.order.damage(range, reason);
                }
            }
        }
        scan.at()
    }

    /// Fills the buffer up to `wanted` bytes, or as far as the file lasts, and deciphers what is new.
    fn fill(&mut self, buffer: &mut BlockBuffer, base: u64, wanted: usize) -> io::Result<()> {
        let left = usize::try_from(self.file_length.saturating_sub(base)).map_err(io::Error::other)?;
        let from = buffer.filled;
        let to = wanted.min(left);
        if from >= to {
            return Ok(());
        }
        if buffer.bytes.len() < to {
            buffer.bytes.resize(to, 0);
        }
        let offset = base + from as u64;
        let new = buffer.bytes.get_mut(from..to).unwrap_or_default();
        let read = match read_full(self.source.file, new, offset) {
            Ok(read) => read,
            Err(error) => self.read_sectors(new, offset, error)?,
        };
        if let Some(cipher) = self.source.cipher {
            cipher.apply(offset, new);
        }
        buffer.filled = from + read;
        if buffer.filled < to {
            // It became shorter while it was read.
            self.file_length = base + buffer.filled as u64;
        }
        Ok(())
    }

    /// Reads what can be read where a read has failed; the rest stays zero and is noted.
    fn read_sectors(&mut self, bytes: &mut [u8], offset: u64, error: io::Error) -> io::Result<usize> {
        let mut any = false;
        let mut read = 0;
        let mut rest = bytes;
        while !rest.is_empty() {
            let at = offset + read as u64;
            let to_border = SECTOR - (at % SECTOR as u64) as usize;
            let (sector, behind) = rest.split_at_mut(to_border.min(rest.len()));
            match read_full(self.source.file, sector, at) {
                Ok(count) if count < sector.len() => return Ok(read + count),
                Ok(_) => any = true,
                Err(error) => {
                    sector.fill(0);
                    let range = at..at + sector.len() as u64;
                    self.order.unreadable.push((range, error.to_string()));
                }
            }
            read += sector.len();
            rest = behind;
        }
        if any { Ok(read) } else { Err(error) }
    }
}

fn read_full(file: &dyn DiskFile, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, offset + filled as u64) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// A fault of a compressed file.
struct Fault {
    /// Where it begins in the block.
    block: u64,
    /// Which bytes of the file.
    file: Range<u64>,
}

/// Puts damage between the sequences around it.
struct Order {
    block: u32,
    last: u64,
    /// Damage since the last sequence.
    open: Vec<Damage>,
    /// Faults of a compressed file that are still to come, the next one last.
    faults: Vec<Fault>,
    unreadable: Vec<(Range<u64>, String)>,
}

impl Order {
    fn new(block: u32) -> Self {
        Self {
            block,
            last: 0,
            open: Vec::new(),
            faults: Vec::new(),
            unreadable: Vec::new(),
        }
    }

    fn record(
        &mut self,
        at: u64,
        record: Record<'_>,
        sum: [u8; SUM_LENGTH],
        visit: &mut impl FnMut(BlockEvent<'_>),
    ) {
        self.pass(at);
        // A tombstone's sequence is that of another place.
        if record.kind != RecordKind::Tombstone {
            if !self.open.is_empty() {
                self.show(Some(record.sequence), visit);
            }
            self.last = self.last.max(record.sequence);
        }
        visit(BlockEvent::Record { at, record, sum });
    }

    fn damage(&mut self, range: Range<u64>, reason: Reason) {
        self.pass(range.start);
        let unreadable = self
            .unreadable
            .iter()
            .find(|(bytes, _)| bytes.start < range.end && range.start < bytes.end);
        let reason = match unreadable {
            Some((_, error)) => Reason::Unreadable(error.clone()),
            None => reason,
        };
        self.push(range, reason);
    }

    /// Notes the faults before a place.
    fn pass(&mut self, at: u64) {
        while let Some(fault) = self.faults.pop_if(|fault| fault.block <= at) {
            self.push(fault.file, Reason::Compression);
        }
    }

    fn push(&mut self, range: Range<u64>, reason: Reason) {
        self.open.push(Damage {
            block: self.block,
            range,
            after: self.last,
            before: None,
            reason,
        });
    }

    fn show(&mut self, before: Option<u64>, visit: &mut impl FnMut(BlockEvent<'_>)) {
        for damage in self.open.drain(..) {
            visit(BlockEvent::Damage(Damage { before, ..damage }));
        }
    }

    fn finish(&mut self, visit: &mut impl FnMut(BlockEvent<'_>)) {
        self.pass(u64::MAX);
        self.show(None, visit);
    }
}

#[cfg(test)]
mod tests;
