//! Tar, as far as backups use it: regular files one after the other, in the ustar and pax formats.
//!
//! Own, since a general reader knows links, devices, sparse files and owners, of which each has let an archive out of its
//! folder somewhere; here they are refused, and nothing is unpacked. (STORE-78)

use std::io::{self, Write};

/// Why a tar is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TarError {
    /// A header that is none, or whose checksum differs.
    #[error("archive/tar: invalid tar header")]
    Header,
    /// A file larger than the reader takes.
    #[error("{name} of {size} bytes exceeds {most}")]
    TooLarge {
        /// The file.
        name: String,
        /// What it claims.
        size: u64,
        /// What is taken.
        most: u64,
    },
    /// A link, a directory, a device.
    #[error("{0} is no regular file")]
    NotAFile(String),
}

const BLOCK: usize = 512;

/// Extended headers hold a path and times; nobody needs more.
const LARGEST_EXTENSION: u64 = 64 << 10;

/// Takes a tar apart that comes in pieces.
#[derive(Debug, Default)]
pub(crate) struct TarReader {
    fed: Vec<u8>,
    at: usize,
    open: Option<Header>,
    /// From an extended header, for the file that follows.
    path: Option<String>,
    size: Option<u64>,
    has_ended: bool,
}

#[derive(Debug)]
struct Header {
    name: String,
    size: u64,
    kind: u8,
}

impl TarReader {
    /// Takes more of the tar. Cost: copies it.
    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        // Whatever follows the end is padding.
        if !self.has_ended {
            self.fed.drain(..self.at);
            self.at = 0;
            self.fed.extend_from_slice(bytes);
        }
    }

    /// Whether the end mark has come.
    pub(crate) fn has_ended(&self) -> bool {
        self.has_ended
    }

    /// The next file, whole, of at most `most` bytes. `None`: more of the tar is needed, or it has ended.
    pub(crate) fn next_file(&mut self, most: u64) -> Result<Option<(String, Vec<u8>)>, TarError> {
        while !self.has_ended {
            if self.open.is_none() {
                let Some(block) = self.rest().first_chunk::<BLOCK>() else {
                    return Ok(None);
                };
                // The end is two such blocks; the first is enough, since no file begins like it.
                if block == &[0; BLOCK] {
                    self.has_ended = true;
                    break;
                }
                let header = header(block)?;
                self.at += BLOCK;
                self.open = Some(self.extended(header, most)?);
            }
            let Some((header, body)) = self.body() else {
                return Ok(None);
            };
            match header.kind {
                b'x' => self.extend(&body)?,
                b'g' => {}
                _ => return Ok(Some((header.name, body))),
            }
        }
        Ok(None)
    }

    /// With what an extended header said of it, and checked.
    fn extended(&mut self, mut header: Header, most: u64) -> Result<Header, TarError> {
        let most = match header.kind {
            b'x' | b'g' => LARGEST_EXTENSION,
            b'0' | 0 => {
                header.name = self.path.take().unwrap_or(header.name);
                header.size = self.size.take().unwrap_or(header.size);
                most
            }
            _ => return Err(TarError::NotAFile(header.name)),
        };
        let Header { name, size, .. } = &header;
        if *size > most {
            let (name, size) = (name.clone(), *size);
            return Err(TarError::TooLarge { name, size, most });
        }
        Ok(header)
    }

    /// The bytes of the open file, with the padding behind them.
    fn body(&mut self) -> Option<(Header, Vec<u8>)> {
        let length = usize::try_from(self.open.as_ref()?.size).ok()?;
        let padded = length.checked_next_multiple_of(BLOCK)?;
        let body = self.rest().get(..padded)?.get(..length)?.to_vec();
        self.at += padded;
        Some((self.open.take()?, body))
    }

    /// Records of an extended header: `<length> <key>=<value>\n`.
    fn extend(&mut self, mut records: &[u8]) -> Result<(), TarError> {
        while !records.is_empty() {
            let (key, value) = record(&mut records).ok_or(TarError::Header)?;
            match key {
                "path" => self.path = Some(value.to_owned()),
                "size" => self.size = Some(value.parse().map_err(|_| TarError::Header)?),
                // A sparse file is not what its header says.
                _ if key.starts_with("GNU.sparse") => return Err(TarError::NotAFile(key.to_owned())),
                _ => {}
            }
        }
        Ok(())
    }

    fn rest(&self) -> &[u8] {
        self.fed.get(self.at..).unwrap_or_default()
    }
}

fn record<'a>(records: &mut &'a [u8]) -> Option<(&'a str, &'a str)> {
    let space = records.iter().position(|byte| *byte == b' ')?;
    let length: usize = std::str::from_utf8(records.get(..space)?).ok()?.parse().ok()?;
    let (record, rest) = records.split_at_checked(length)?;
    let text = std::str::from_utf8(record.get(space + 1..)?).ok()?;
    *records = rest;
    text.strip_suffix('\n')?.split_once('=')
}

fn header(block: &[u8; BLOCK]) -> Result<Header, TarError> {
    let field = |from: usize, length: usize| block.get(from..from + length).unwrap_or_default();
    let sum = block.iter().enumerate().map(|(at, byte)| match at {
        148..156 => u64::from(b' '), // The checksum's own field counts as spaces.
        _ => u64::from(*byte),
    });
    if octal(field(148, 8)) != Some(sum.sum()) {
        return Err(TarError::Header);
    }
    let name = text(field(0, 100)).ok_or(TarError::Header)?;
    let prefix = match field(257, 6) {
        b"ustar\0" => text(field(345, 155)).ok_or(TarError::Header)?,
        _ => "",
    };
    let kind = field(156, 1).first().copied().unwrap_or_default();
    Ok(Header {
        name: if prefix.is_empty() {
            name.to_owned()
        } else {
            format!("{prefix}/{name}")
        },
        size: octal(field(124, 12)).ok_or(TarError::Header)?,
        kind,
    })
}

fn text(field: &[u8]) -> Option<&str> {
    let text = field.split(|byte| *byte == 0).next()?;
    std::str::from_utf8(text).ok()
}

fn octal(field: &[u8]) -> Option<u64> {
    let digits = text(field)?.trim_matches(' ');
    u64::from_str_radix(digits, 8).ok()
}

/// Writes a regular file as the reference does: mode 0600, of `nats`. `time` is in seconds since the Unix epoch.
pub(crate) fn write_file(out: &mut impl Write, name: &str, time: u64, body: &[u8]) -> io::Result<()> {
    if name.len() > 100 {
        let record = path_record(name);
        out.write_all(&header_block("PaxHeaders.0/path", b'x', time, record.len())?)?;
        write_padded(out, record.as_bytes())?;
    }
    out.write_all(&header_block(name, b'0', time, body.len())?)?;
    write_padded(out, body)
}

/// Writes the end mark.
pub(crate) fn write_end(out: &mut impl Write) -> io::Result<()> {
    out.write_all(&[0; 2 * BLOCK])
}

/// A record counts its own length, digits included.
fn path_record(name: &str) -> String {
    let rest = " path=\n".len() + name.len();
    let mut length = rest + 1;
    while length.to_string().len() + rest != length {
        length += 1;
    }
    format!("{length} path={name}\n")
}

fn header_block(name: &str, kind: u8, time: u64, size: usize) -> io::Result<[u8; BLOCK]> {
    // Eleven octal digits; no block comes near.
    if size >= 1 << 33 {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "too large for a tar"));
    }
    let mut block = [0; BLOCK];
    let mut put = |from: usize, text: &str| {
        for (to, byte) in block.iter_mut().skip(from).zip(text.as_bytes()) {
            *to = *byte;
        }
    };
    let short = name.get(..name.len().min(100)).unwrap_or("file");
    put(0, short);
    put(100, "0000600\0");
    put(108, "0000000\0");
    put(116, "0000000\0");
    put(124, &format!("{size:011o}\0"));
    put(136, &format!("{:011o}\0", time & 0o77_777_777_777));
    put(148, "        ");
    put(156, &char::from(kind).to_string());
    put(257, "ustar\x0000");
    put(265, "nats");
    put(297, "nats");
    let sum: u64 = block.iter().map(|byte| u64::from(*byte)).sum();
    let text = format!("{sum:06o}\0 ");
    for (to, byte) in block.iter_mut().skip(148).zip(text.as_bytes()) {
        *to = *byte;
    }
    Ok(block)
}

fn write_padded(out: &mut impl Write, body: &[u8]) -> io::Result<()> {
    out.write_all(body)?;
    let padding = body.len().next_multiple_of(BLOCK) - body.len();
    out.write_all([0; BLOCK].get(..padding).unwrap_or_default())
}
