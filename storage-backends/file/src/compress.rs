//! Compressed blocks: a short header, the block as an S2 stream, its last eight bytes as they are (STORE-30 to STORE-35).
//!
//! The stream is a row of chunks, each with a checksum of its own. [`unpack`] loses of a damaged file only what cannot be
//! had: a damaged chunk gives the bytes before and, mostly, behind the damage, whose records tell themselves which of
//! them are right; a damaged length or header is found again from its surroundings. The reference gives up the whole
//! stream instead (STORE-119). No length in a file makes memory be taken for more than a chunk ahead.

use std::ops::Range;

/// Before the header's figures.
const MAGIC: &[u8; 4] = b"cmp\x01";
const IDENTIFIERS: [&[u8; 10]; 2] = [b"\xff\x06\x00\x00S2sTwO", b"\xff\x06\x00\x00sNaPpY"];
/// Bytes at the end that are not compressed: the checksum of the last record.
const TAIL: usize = 8;
/// The longest header: its magic, a ten-byte number, the stream's identifier.
const LONGEST_HEADER: usize = 24;
/// The most that one chunk may hold.
const CHUNK: usize = 4 << 20;
/// What a chunk holds in files of both servers, but for the last.
const USUAL_CHUNK: usize = 1 << 20;
/// Type and length, then the checksum.
const CHUNK_HEAD: usize = 4;
const CHUNK_SUM: usize = 4;
/// The most that a file may hold: beyond the largest block and the largest record. What is behind is not unpacked.
const LONGEST_BLOCK: usize = 64 << 20;
/// How often a chunk is looked for by decoding bytes that may be none.
const ATTEMPTS: usize = 1_000;

/// Why a file cannot be compressed or unpacked. The texts are the reference's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CompressError {
    /// A block without a record.
    #[error("uncompressed buffer is too short")]
    TooShort,
    /// Nothing that looks like a compressed block.
    #[error("compression algorithm not known")]
    NotCompressed,
    /// Some of it could not be had, or not surely.
    #[error("error reading compression reader: s2: corrupt input")]
    Corrupt,
}

/// A block in clear, with what is wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unpacked {
    /// The records. Bytes that could not be had are zeros, as many as seem to be missing.
    pub block: Vec<u8>,
    /// What could not be had, or not surely. Empty in a whole file.
    pub faults: Vec<ChunkFault>,
}

/// A part of a compressed file that is not as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChunkFault {
    /// Which bytes of the file.
    pub file: Range<usize>,
    /// Which bytes of the block it covers. Where one verifies as a record, it is right.
    pub block: Range<usize>,
}

/// Whether a file that begins so, deciphered, may be a compressed block. [`unpack`] knows, with all of it.
pub fn may_be_compressed(front: &[u8]) -> bool {
    let header = front.get(..front.len().min(LONGEST_HEADER)).unwrap_or_default();
    header.starts_with(MAGIC) || identifier(header).is_some()
}

/// Whether a block's file, deciphered, is a compressed block. A damaged header is seen through; a plain block whose first record's
/// length reads as the header's magic is not taken for one if that record is there (P6).
pub fn is_compressed(file: &[u8]) -> bool {
    stream_start(file).is_some()
}

/// How long the block in a file that begins so is said to be. `None`: it is not compressed, or does not say.
pub(crate) fn announced_length(front: &[u8]) -> Option<u64> {
    stream_start(front)?.announced.map(|length| length as u64)
}

/// The file of a block that no longer grows. About 4 ns a byte.
///
/// # Errors
/// [`CompressError::TooShort`].
pub fn compress(block: &[u8]) -> Result<Vec<u8>, CompressError> {
    let (body, tail) = block.split_last_chunk::<TAIL>().ok_or(CompressError::TooShort)?;
    let mut file = MAGIC.to_vec();
    crate::cursor::put_uvarint(&mut file, block.len() as u64);
    file.extend(IDENTIFIERS[0]);
    for piece in body.chunks(USUAL_CHUNK) {
        let packed = minlz::encode(piece);
        let (kind, bytes) = if packed.len() < piece.len() {
            (0, packed.as_slice())
        } else {
            (1, piece)
        };
        // A piece is a MiB at most, so its length fits three bytes.
        let length = (bytes.len() + CHUNK_SUM) as u32;
        file.extend((length << 8 | kind).to_le_bytes());
        file.extend(minlz::crc::crc(piece).to_le_bytes());
        file.extend(bytes);
    }
    file.extend(tail);
    Ok(file)
}

/// The block in a file that is as it was written. About 2 ns a byte.
///
/// # Errors
/// [`CompressError::NotCompressed`], [`CompressError::Corrupt`].
pub fn decompress(file: &[u8]) -> Result<Vec<u8>, CompressError> {
    let unpacked = unpack(file)?;
    if unpacked.faults.is_empty() {
        Ok(unpacked.block)
    } else {
        Err(CompressError::Corrupt)
    }
}

/// The block in a file, as far as it can be had.
///
/// # Errors
/// [`CompressError::NotCompressed`].
pub fn unpack(file: &[u8]) -> Result<Unpacked, CompressError> {
    let start = stream_start(file).ok_or(CompressError::NotCompressed)?;
    let end = file.len().saturating_sub(TAIL).max(start.stream);
    let mut walk = Walk {
        body: file.get(..end).unwrap_or_default(),
        at: start.stream,
        announced: start.announced.and_then(|length| length.checked_sub(TAIL)),
        attempts: ATTEMPTS,
        out: Unpacked::default(),
    };
    if start.is_damaged {
        walk.fault(0..start.stream, 0);
    }
    while walk.at < end && walk.out.block.len() < LONGEST_BLOCK {
        walk.step();
    }
    if walk.at < end {
        walk.fault(walk.at..end, walk.out.block.len());
    }
    let Walk {
        mut out, announced, ..
    } = walk;
    if out.faults.is_empty() && announced != Some(out.block.len()) {
        let all = out.block.len();
        out.faults.push(ChunkFault {
            file: 0..start.stream,
            block: all..all,
        });
    }
    out.block.extend(file.get(end..).unwrap_or_default());
    Ok(out)
}

/// Where a compressed file's stream begins.
struct Start {
    /// Its first chunk behind the identifier.
    stream: usize,
    /// How long the block is said to be.
    announced: Option<usize>,
    is_damaged: bool,
}

fn stream_start(file: &[u8]) -> Option<Start> {
    let header = file.get(..file.len().min(LONGEST_HEADER))?;
    let announced = header.strip_prefix(MAGIC).and_then(|rest| {
        let mut cursor = crate::cursor::Cursor::new(rest);
        let length = usize::try_from(cursor.uvarint()?).ok()?;
        Some((length, header.len() - cursor.rest().len()))
    });
    match (announced, identifier(header)) {
        (Some((length, at)), Some(found)) if at == found => Some(Start {
            stream: at + IDENTIFIERS[0].len(),
            announced: Some(length),
            is_damaged: false,
        }),
        (announced, Some(found)) => Some(Start {
            stream: found + IDENTIFIERS[0].len(),
            announced: announced.map(|(length, _)| length),
            is_damaged: true,
        }),
        // Without the identifier it is a compressed block only if a chunk follows where it would.
        (Some((length, at)), None) => {
            let stream = at + IDENTIFIERS[0].len();
            let body = file.get(..file.len().saturating_sub(TAIL))?;
            Chunk::at(body, stream).and_then(|chunk| chunk.decode())?;
            Some(Start {
                stream,
                announced: Some(length),
                is_damaged: true,
            })
        }
        (None, None) => None,
    }
}

/// Where the stream's identifier is.
fn identifier(header: &[u8]) -> Option<usize> {
    header
        .windows(IDENTIFIERS[0].len())
        .position(|bytes| IDENTIFIERS.iter().any(|identifier| *identifier == bytes))
}

/// A chunk that holds data.
struct Chunk<'a> {
    is_packed: bool,
    sum: u32,
    data: &'a [u8],
}

impl<'a> Chunk<'a> {
    fn at(body: &'a [u8], at: usize) -> Option<Self> {
        let rest = body.get(at..)?;
        let (head, rest) = rest.split_first_chunk::<CHUNK_HEAD>()?;
        let word = u32::from_le_bytes(*head);
        let data = rest.get(..(word >> 8) as usize)?;
        Self::new(word as u8, data)
    }

    /// A chunk with any bytes behind its head.
    fn new(kind: u8, data: &'a [u8]) -> Option<Self> {
        let (sum, data) = data.split_first_chunk::<CHUNK_SUM>()?;
        (kind <= 1).then_some(Self {
            is_packed: kind == 0,
            sum: u32::from_le_bytes(*sum),
            data,
        })
    }

    /// How much it holds, by its own word.
    fn length(&self) -> Option<usize> {
        let length = if self.is_packed {
            minlz::decode_len(self.data).ok()?.0
        } else {
            self.data.len()
        };
        (length <= CHUNK).then_some(length)
    }

    /// What it holds, if that is right.
    fn decode(&self) -> Option<Vec<u8>> {
        let mut out = vec![0; self.length()?];
        self.decode_into(&mut out).then_some(out)
    }

    /// Puts what it holds into `out`, which has its length, as far as it can be decoded; true if that is right.
    fn decode_into(&self, out: &mut [u8]) -> bool {
        let decoded = if self.is_packed {
            minlz::decode_into(out, self.data).is_ok()
        } else {
            out.copy_from_slice(self.data);
            true
        };
        decoded && minlz::crc::crc(out) == self.sum
    }
}

struct Walk<'a> {
    /// The file without its tail.
    body: &'a [u8],
    at: usize,
    announced: Option<usize>,
    attempts: usize,
    out: Unpacked,
}

impl Walk<'_> {
    /// Takes one chunk, or goes to the next that can be found.
    fn step(&mut self) {
        let Some(head) = self
            .body
            .get(self.at..)
            .and_then(<[u8]>::first_chunk::<CHUNK_HEAD>)
        else {
            self.fault(self.at..self.body.len(), self.out.block.len());
            self.at = self.body.len();
            return;
        };
        let [kind, length @ ..] = *head;
        let next = self.at + CHUNK_HEAD + u32::from_le_bytes([length[0], length[1], length[2], 0]) as usize;
        if next <= self.body.len() && matches!(kind, 0x80..=0xff) {
            // Padding, an index, or another identifier.
            self.at = next;
            return;
        }
        if let Some(chunk) = Chunk::at(self.body, self.at)
            && self.take(&chunk)
        {
            self.at = next;
            return;
        }
        self.pass_damage(next);
    }

    /// Takes a chunk if it is right.
    fn take(&mut self, chunk: &Chunk<'_>) -> bool {
        let Some(length) = chunk.length() else {
            return false;
        };
        let before = self.out.block.len();
        self.out.block.resize(before + length, 0);
        let room = self.out.block.get_mut(before..).unwrap_or_default();
        let right = chunk.decode_into(room);
        if !right {
            self.out.block.truncate(before);
        }
        right
    }

    /// Goes behind a chunk that is not right, `next` being where it claims to end.
    fn pass_damage(&mut self, next: usize) {
        let (at, before) = (self.at, self.out.block.len());
        let end = if self.is_border(next) {
            next
        } else {
            self.find(at + 1).unwrap_or(self.body.len())
        };
        // Its head may be what is damaged, so all that lies between is tried as either kind of chunk.
        let data = self.body.get(at + CHUNK_HEAD..end).unwrap_or_default();
        let claimed = self.body.get(at).copied().unwrap_or_default();
        let healed = [0, 1]
            .into_iter()
            .any(|kind| Chunk::new(kind, data).is_some_and(|chunk| self.take(&chunk)));
        if !healed {
            self.take_damaged(Chunk::new(claimed, data).or_else(|| Chunk::new(0, data)));
        }
        self.fault(at..end, before);
        self.at = end;
    }

    /// Takes what there is of a chunk that is not right.
    fn take_damaged(&mut self, chunk: Option<Chunk<'_>>) {
        let before = self.out.block.len();
        let missing = self.announced.and_then(|length| length.checked_sub(before));
        let usual = missing.map_or(USUAL_CHUNK, |missing| missing.min(USUAL_CHUNK));
        if let Some(chunk) = &chunk
            && chunk.length() != Some(usual)
            && chunk.is_packed
        {
            // Its own word for its length may be what is damaged.
            for word in 1..chunk.data.len().min(6) {
                let mut data = chunk.sum.to_le_bytes().to_vec();
                crate::cursor::put_uvarint(&mut data, usual as u64);
                data.extend(chunk.data.get(word..).unwrap_or_default());
                if Chunk::new(0, &data).is_some_and(|chunk| self.take(&chunk)) {
                    return;
                }
            }
        }
        // A length that leaves more than the block has is wrong.
        let length = chunk.as_ref().and_then(Chunk::length);
        let length = length.filter(|length| *length <= missing.unwrap_or(CHUNK));
        self.out.block.resize(before + length.unwrap_or(usual), 0);
        let room = self.out.block.get_mut(before..).unwrap_or_default();
        if let Some(chunk) = chunk.filter(|_| length.is_some()) {
            chunk.decode_into(room);
        }
    }

    /// Whether a chunk begins there, or the stream ends.
    fn is_border(&self, at: usize) -> bool {
        at == self.body.len() || Chunk::at(self.body, at).is_some_and(|chunk| chunk.length().is_some())
    }

    /// The next chunk that is right.
    fn find(&mut self, from: usize) -> Option<usize> {
        for at in from..self.body.len() {
            let Some(chunk) = Chunk::at(self.body, at) else {
                continue;
            };
            let next = at + CHUNK_HEAD + CHUNK_SUM + chunk.data.len();
            if chunk.length().is_none_or(|length| length == 0) || !self.is_border(next) {
                continue;
            }
            self.attempts = self.attempts.checked_sub(1)?;
            if chunk.decode().is_some() {
                return Some(at);
            }
        }
        None
    }

    fn fault(&mut self, file: Range<usize>, block: usize) {
        let block = block..self.out.block.len();
        self.out.faults.push(ChunkFault { file, block });
    }
}

#[cfg(test)]
mod tests;
