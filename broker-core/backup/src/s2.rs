//! S2 streams: Snappy's framing around S2 blocks. (STORE-33)
//!
//! The block codec is `minlz`. The frames are taken apart here, since that crate's own reader calls itself once for each
//! chunk that is to be skipped, allocates what a block claims, and takes a stream cut inside a chunk's head for a whole
//! one. A chunk is decoded when it is asked for, so a stream of a few bytes that stands for gigabytes takes one chunk's
//! memory at a time.

use std::io::{self, Write};

/// Why a stream cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum S2Error {
    /// It does not begin as one.
    #[error("s2: corrupt input, no stream identifier")]
    NoStream,
    /// A chunk that nobody may skip and that is none of S2's.
    #[error("s2: unsupported chunk 0x{0:02x}")]
    Unsupported(u8),
    /// A chunk that does not decode.
    #[error("s2: corrupt input")]
    Corrupt,
    /// A chunk that decodes to something else.
    #[error("s2: corrupt input, crc mismatch")]
    Checksum,
    /// It ends inside a chunk.
    #[error("s2: unexpected EOF")]
    Truncated,
}

/// No chunk holds more, before or after decoding.
const LARGEST_BLOCK: usize = 4 << 20;

const HEAD: usize = 4;
const CHECKSUM: usize = 4;
const COMPRESSED: u8 = 0x00;
const PLAIN: u8 = 0x01;
const IDENTIFIER: u8 = 0xff;

/// Decodes a stream that comes in pieces.
///
/// ```
/// use dunlin_backup::s2::{S2Decoder, compress};
///
/// let stream = compress(b"hello");
/// let mut decoder = S2Decoder::default();
/// decoder.feed(&stream);
/// let mut chunk = Vec::new();
/// assert!(decoder.next_chunk(&mut chunk)?);
/// assert_eq!(chunk, b"hello");
/// assert!(!decoder.next_chunk(&mut chunk)?);
/// decoder.finish()?;
/// # Ok::<(), dunlin_backup::s2::S2Error>(())
/// ```
#[derive(Debug, Default)]
pub struct S2Decoder {
    /// What was fed and not decoded; a part before `at` is done with.
    fed: Vec<u8>,
    at: usize,
    /// Bytes of a skipped chunk that have not come yet.
    to_skip: usize,
    has_begun: bool,
}

impl S2Decoder {
    /// Takes more of the stream. Cost: copies it.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.fed.drain(..self.at);
        self.at = 0;
        self.fed.extend_from_slice(bytes);
    }

    /// Appends what the next chunk holds to `out`, at most 4 MiB. False: more of the stream is needed.
    ///
    /// # Errors
    /// See [`S2Error`]; the stream is of no use from there on.
    pub fn next_chunk(&mut self, out: &mut Vec<u8>) -> Result<bool, S2Error> {
        loop {
            if !self.skip() {
                return Ok(false);
            }
            let rest = self.fed.get(self.at..).unwrap_or_default();
            let Some((&[kind, a, b, c], body)) = rest.split_first_chunk::<HEAD>() else {
                return Ok(false);
            };
            let length = u32::from_le_bytes([a, b, c, 0]) as usize;
            if !self.has_begun && kind != IDENTIFIER {
                return Err(S2Error::NoStream);
            }
            if matches!(kind, 0x80..=0xfe) {
                // Padding, an index, whatever others may have put there.
                self.at += HEAD;
                self.to_skip = length;
                continue;
            }
            if length > LARGEST_BLOCK + LARGEST_BLOCK / 4 {
                return Err(S2Error::Corrupt);
            }
            let Some(body) = body.get(..length) else {
                return Ok(false);
            };
            self.at += HEAD + length;
            match kind {
                IDENTIFIER if matches!(body, b"S2sTwO" | b"sNaPpY") => self.has_begun = true,
                IDENTIFIER => return Err(S2Error::NoStream),
                COMPRESSED | PLAIN => {
                    decode(kind, body, out)?;
                    return Ok(true);
                }
                other => return Err(S2Error::Unsupported(other)),
            }
        }
    }

    /// Nothing more comes.
    ///
    /// # Errors
    /// [`S2Error::Truncated`] inside a chunk; [`S2Error::NoStream`] where nothing ever came.
    pub fn finish(&self) -> Result<(), S2Error> {
        if !self.has_begun {
            return Err(S2Error::NoStream);
        }
        let is_whole = self.at == self.fed.len() && self.to_skip == 0;
        is_whole.then_some(()).ok_or(S2Error::Truncated)
    }

    /// Drops what is to be skipped; false where more of it has yet to come.
    fn skip(&mut self) -> bool {
        let skipped = self.to_skip.min(self.fed.len() - self.at);
        self.at += skipped;
        self.to_skip -= skipped;
        self.to_skip == 0
    }
}

fn decode(kind: u8, body: &[u8], out: &mut Vec<u8>) -> Result<(), S2Error> {
    let (checksum, block) = body.split_first_chunk::<CHECKSUM>().ok_or(S2Error::Corrupt)?;
    let start = out.len();
    if kind == PLAIN {
        out.extend_from_slice(block);
    } else {
        let (length, _) = minlz::decode_len(block).map_err(|_| S2Error::Corrupt)?;
        if length > LARGEST_BLOCK {
            return Err(S2Error::Corrupt);
        }
        out.resize(start + length, 0);
        let room = out.get_mut(start..).unwrap_or_default();
        let decoded = minlz::decode_into(room, block).map_err(|_| S2Error::Corrupt)?;
        if decoded != length {
            return Err(S2Error::Corrupt);
        }
    }
    let decoded = out.get(start..).unwrap_or_default();
    let is_good = masked_checksum(decoded) == u32::from_le_bytes(*checksum);
    is_good.then_some(()).ok_or(S2Error::Checksum)
}

/// CRC-32C, turned and moved so that a checksum of data with checksums in it is no special case.
fn masked_checksum(bytes: &[u8]) -> u32 {
    minlz::crc::crc(bytes)
}

/// Compresses what is written to it into an S2 stream. [`S2Writer::finish`] ends it.
#[derive(Debug)]
pub struct S2Writer<W: Write> {
    inner: W,
    pending: Vec<u8>,
    has_begun: bool,
}

/// What a chunk holds, as the reference writes them.
const BLOCK: usize = 1 << 20;

impl<W: Write> S2Writer<W> {
    /// Writes the stream to `inner`, a block at a time.
    pub fn new(inner: W) -> Self {
        Self {
            inner,
            pending: Vec::new(),
            has_begun: false,
        }
    }

    /// Writes what is pending, and gives the writer back.
    ///
    /// # Errors
    /// What the writer says.
    pub fn finish(mut self) -> io::Result<W> {
        self.write_pending()?;
        Ok(self.inner)
    }

    fn write_pending(&mut self) -> io::Result<()> {
        if !self.has_begun {
            self.has_begun = true;
            self.inner.write_all(b"\xff\x06\0\0S2sTwO")?;
        }
        if self.pending.is_empty() {
            return Ok(());
        }
        let packed = minlz::encode(&self.pending);
        let (kind, block) = if packed.len() < self.pending.len() {
            (COMPRESSED, packed.as_slice())
        } else {
            (PLAIN, self.pending.as_slice())
        };
        let length = u32::try_from(block.len() + CHECKSUM).map_err(io::Error::other)?;
        let [a, b, c, _] = length.to_le_bytes();
        self.inner.write_all(&[kind, a, b, c])?;
        self.inner
            .write_all(&masked_checksum(&self.pending).to_le_bytes())?;
        self.inner.write_all(block)?;
        self.pending.clear();
        Ok(())
    }
}

impl<W: Write> Write for S2Writer<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.pending.len() >= BLOCK {
            self.write_pending()?;
        }
        let taken = bytes.len().min(BLOCK - self.pending.len());
        self.pending
            .extend_from_slice(bytes.get(..taken).unwrap_or_default());
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.write_pending()?;
        self.inner.flush()
    }
}

/// A whole S2 stream of `bytes`.
pub fn compress(bytes: &[u8]) -> Vec<u8> {
    let mut writer = S2Writer::new(Vec::new());
    // A vector takes all that is written to it.
    let written = writer.write_all(bytes).and_then(|()| writer.finish());
    written.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decompress(stream: &[u8], step: usize) -> Result<Vec<u8>, S2Error> {
        let mut decoder = S2Decoder::default();
        let mut out = Vec::new();
        for piece in stream.chunks(step) {
            decoder.feed(piece);
            while decoder.next_chunk(&mut out)? {}
        }
        decoder.finish()?;
        Ok(out)
    }

    fn chunk(kind: u8, body: &[u8]) -> Vec<u8> {
        let [a, b, c, _] = (body.len() as u32).to_le_bytes();
        [&[kind, a, b, c], body].concat()
    }

    const BEGIN: &[u8] = b"\xff\x06\0\0S2sTwO";

    proptest! {
        // STORE-33
        #[test]
        fn what_is_compressed_comes_back_however_it_is_cut(
            words in proptest::collection::vec(0..9_u16, 0..20_000),
            step in 1..5_000_usize,
        ) {
            let plain: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
            prop_assert_eq!(decompress(&compress(&plain), step), Ok(plain));
        }
    }

    #[test]
    fn what_does_not_compress_is_kept_as_it_is_and_large_blocks_are_split() {
        let mut state = 1_u64;
        let noise: Vec<u8> = (0..3_000_000)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                (state >> 33) as u8
            })
            .collect();
        let stream = compress(&noise);
        assert!(stream.len() < noise.len() + 100);
        assert_eq!(decompress(&stream, 100_000), Ok(noise));
    }

    // STORE-33
    #[test]
    fn padding_and_unknown_skippable_chunks_are_skipped_however_many() {
        let hello = &compress(b"hello")[BEGIN.len()..];
        let skipped = chunk(0x80, b"whatever").repeat(300_000);
        let stream = [BEGIN, &skipped, &chunk(0xfe, &[0; 70_000]), BEGIN, hello].concat();
        for step in [1_000, stream.len()] {
            assert_eq!(decompress(&stream, step), Ok(b"hello".to_vec()));
        }
    }

    #[test]
    fn a_stream_that_lies_is_refused() {
        let check = |parts: &[&[u8]], error| assert_eq!(decompress(&parts.concat(), 7), Err(error));
        let hello = &compress(b"hello")[BEGIN.len()..];
        check(&[], S2Error::NoStream);
        check(&[hello], S2Error::NoStream);
        check(&[b"\xff\x06\0\0S2sTwX"], S2Error::NoStream);
        check(&[BEGIN, &chunk(0x02, b"....")], S2Error::Unsupported(2));
        check(&[BEGIN, &chunk(PLAIN, b"abc")], S2Error::Corrupt);
        check(&[BEGIN, &chunk(PLAIN, b"abcdhello")], S2Error::Checksum);
        check(&[BEGIN, &hello[..hello.len() - 1]], S2Error::Truncated);
        check(&[BEGIN, &hello[..2]], S2Error::Truncated);
        check(&[BEGIN, &chunk(0x80, b"abcd")[..6]], S2Error::Truncated);
        // A block that claims four gigabytes, and one that claims 5 MiB.
        check(
            &[BEGIN, &chunk(COMPRESSED, b"abcd\xff\xff\xff\xff\x0f\x00")],
            S2Error::Corrupt,
        );
        check(
            &[BEGIN, &chunk(COMPRESSED, b"abcd\x80\x80\xc0\x02\x00")],
            S2Error::Corrupt,
        );
        check(&[BEGIN, b"\x00\xff\xff\xff"], S2Error::Corrupt);
    }
}
