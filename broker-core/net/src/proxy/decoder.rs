//! The two headers, byte by byte.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::ProxyError;

/// What both versions differ in first.
const VERSION_LEN: usize = 6;
const V1_PREFIX: &[u8] = b"PROXY ";

/// Longest line of version 1 with its CRLF.
const V1_LINE: usize = 107;

const V2_SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// Signature, version and command, family and transport, length.
const V2_FIXED: usize = 16;

/// What a header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Header {
    /// There is none: the client speaks for itself.
    Direct,
    /// The proxy speaks for itself, as in a health check, or does not know for whom.
    Local,
    /// The proxy speaks for `source`, which has connected to `destination`.
    Proxied {
        /// The client.
        source: SocketAddr,
        /// Where the client connected to.
        destination: SocketAddr,
    },
}

/// Reads one header from the front of a connection. Holds at most the longest header without extensions.
#[derive(Debug, Default)]
pub struct Decoder {
    part: Part,
    held: Vec<u8>,
}

/// What comes next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Part {
    #[default]
    Version,
    Line,
    Signature,
    Fixed,
    Addresses(Family, u16),
    /// Bytes that say nothing to us: extensions, or addresses of nobody.
    Skip {
        left: usize,
        of: Skipped,
        header: Header,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Family {
    Ipv4,
    Ipv6,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Skipped {
    Local,
    Unspecified,
    Extensions(Family),
}

impl Family {
    /// Both addresses and both ports.
    fn len(self) -> usize {
        match self {
            Self::Ipv4 => 12,
            Self::Ipv6 => 36,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Ipv4 => "IPv4",
            Self::Ipv6 => "IPv6",
        }
    }

    fn reading(self) -> &'static str {
        match self {
            Self::Ipv4 => "read IPv4 address data",
            Self::Ipv6 => "read IPv6 address data",
        }
    }
}

impl Decoder {
    /// Takes what belongs to the header from the front of `input`. `None`: all was taken, and more is needed. Not to be
    /// called again after a header or an error.
    ///
    /// # Errors
    /// The header is not valid, or asks for what is not supported.
    pub fn decode(&mut self, input: &mut &[u8]) -> Result<Option<Header>, ProxyError> {
        loop {
            let done = match self.part {
                Part::Version => self.version(input),
                Part::Line => return self.line(input),
                Part::Signature => self.signature(input)?,
                Part::Fixed => self.fixed(input)?,
                Part::Addresses(family, length) => self.addresses(family, length, input),
                Part::Skip { left, of, header } => {
                    let now = left.min(input.len());
                    *input = input.get(now..).unwrap_or_default();
                    let left = left - now;
                    self.part = Part::Skip { left, of, header };
                    return Ok((left == 0).then_some(header));
                }
            };
            match done {
                Next::Part(part) => self.part = part,
                Next::Header(header) => return Ok(Some(header)),
                Next::Bytes => return Ok(None),
            }
        }
    }

    /// Whether a header of either version has begun for certain.
    pub fn is_header(&self) -> bool {
        self.part != Part::Version
    }

    /// Whether any byte has come.
    pub fn has_begun(&self) -> bool {
        !self.held.is_empty()
    }

    /// After [`Header::Direct`]: the client's own first bytes, which were taken.
    pub fn replay(self) -> Vec<u8> {
        match self.part {
            Part::Version => self.held,
            _ => Vec::new(),
        }
    }

    /// The stream ended here.
    pub fn cut_short(&self) -> ProxyError {
        let before = match self.part {
            Part::Version => 0,
            Part::Signature => VERSION_LEN,
            Part::Fixed => V2_SIGNATURE.len(),
            Part::Addresses(..) => V2_FIXED,
            Part::Skip {
                of: Skipped::Extensions(_),
                ..
            } => 0,
            Part::Line | Part::Skip { .. } => usize::MAX,
        };
        self.unfinished(if self.held.len() > before {
            "unexpected EOF"
        } else {
            "EOF"
        })
    }

    /// Nothing more comes, for `reason`.
    pub fn unfinished(&self, reason: &str) -> ProxyError {
        let step = match self.part {
            Part::Version => "read protocol version",
            Part::Line => "read v1 line",
            Part::Signature => "read v2 signature",
            Part::Fixed => "read v2 header",
            Part::Addresses(family, _) => family.reading(),
            Part::Skip { of, .. } => match of {
                Skipped::Local => "discard LOCAL command address data",
                // The reference's own words.
                Skipped::Unspecified => "discard UNSPEC address address data",
                Skipped::Extensions(family) => family.reading(),
            },
        };
        ProxyError::Unfinished {
            step,
            reason: reason.to_owned(),
        }
    }

    /// Fills `held` up to `len` bytes; false when `input` has not enough.
    fn fill(&mut self, len: usize, input: &mut &[u8]) -> bool {
        let now = len.saturating_sub(self.held.len()).min(input.len());
        let (taken, rest) = input.split_at(now);
        self.held.extend_from_slice(taken);
        *input = rest;
        self.held.len() >= len
    }

    fn version(&mut self, input: &mut &[u8]) -> Next {
        if !self.fill(VERSION_LEN, input) {
            return Next::Bytes;
        }
        if self.held == V1_PREFIX {
            Next::Part(Part::Line)
        } else if V2_SIGNATURE.starts_with(&self.held) {
            Next::Part(Part::Signature)
        } else {
            Next::Header(Header::Direct)
        }
    }

    fn line(&mut self, input: &mut &[u8]) -> Result<Option<Header>, ProxyError> {
        while let Some((byte, rest)) = input.split_first() {
            self.held.push(*byte);
            *input = rest;
            let words = self.held.get(V1_PREFIX.len()..).unwrap_or_default();
            if let Some(words) = words.strip_suffix(b"\r\n") {
                return words_of_v1(words).map(Some);
            }
            if self.held.len() == V1_LINE {
                return Err(ProxyError::LineTooLong);
            }
        }
        Ok(None)
    }

    fn signature(&mut self, input: &mut &[u8]) -> Result<Next, ProxyError> {
        if !self.fill(V2_SIGNATURE.len(), input) {
            return Ok(Next::Bytes);
        }
        if self.held == V2_SIGNATURE {
            Ok(Next::Part(Part::Fixed))
        } else {
            Err(ProxyError::Signature)
        }
    }

    fn fixed(&mut self, input: &mut &[u8]) -> Result<Next, ProxyError> {
        if !self.fill(V2_FIXED, input) {
            return Ok(Next::Bytes);
        }
        let Some([version_command, family_transport, high, low]) = self.held.last_chunk() else {
            return Ok(Next::Bytes); // Not reached: sixteen bytes are held.
        };
        let length = u16::from_be_bytes([*high, *low]);
        let (version, command) = (version_command & 0xf0, version_command & 0x0f);
        if version != 0x20 {
            return Err(ProxyError::Version(version));
        }
        let skip = |of| {
            let left = usize::from(length);
            Ok(Next::Part(Part::Skip {
                left,
                of,
                header: Header::Local,
            }))
        };
        match command {
            0 => return skip(Skipped::Local),
            1 => {}
            _ => return Err(ProxyError::Command(command)),
        }
        if family_transport & 0x0f != 1 {
            return Err(ProxyError::Transport);
        }
        let family = match family_transport & 0xf0 {
            0x00 => return skip(Skipped::Unspecified),
            0x10 => Family::Ipv4,
            0x20 => Family::Ipv6,
            other => return Err(ProxyError::Family(other)),
        };
        if usize::from(length) < family.len() {
            let family = family.name();
            return Err(ProxyError::AddressesTooShort { family, length });
        }
        Ok(Next::Part(Part::Addresses(family, length)))
    }

    fn addresses(&mut self, family: Family, length: u16, input: &mut &[u8]) -> Next {
        if !self.fill(V2_FIXED + family.len(), input) {
            return Next::Bytes;
        }
        let block = self.held.get(V2_FIXED..).unwrap_or_default();
        let addresses = match family {
            Family::Ipv4 => pair::<4>(block),
            Family::Ipv6 => pair::<16>(block),
        };
        let Some((source, destination)) = addresses else {
            return Next::Bytes;
        }; // Not reached: they are held.
        Next::Part(Part::Skip {
            left: usize::from(length).saturating_sub(family.len()),
            of: Skipped::Extensions(family),
            header: Header::Proxied { source, destination },
        })
    }
}

/// What a part leads to.
enum Next {
    Part(Part),
    Header(Header),
    Bytes,
}

/// Two addresses of `N` bytes, then two ports.
fn pair<const N: usize>(block: &[u8]) -> Option<(SocketAddr, SocketAddr)>
where
    IpAddr: From<[u8; N]>,
{
    let (source, block) = block.split_first_chunk::<N>()?;
    let (destination, block) = block.split_first_chunk::<N>()?;
    let (source_port, block) = block.split_first_chunk::<2>()?;
    let (destination_port, _) = block.split_first_chunk::<2>()?;
    let address = |ip: [u8; N], port| SocketAddr::new(canonical(ip.into()), u16::from_be_bytes(port));
    Some((
        address(*source, *source_port),
        address(*destination, *destination_port),
    ))
}

/// The reference prints an IPv4-mapped address as the IPv4 address that it is.
fn canonical(ip: IpAddr) -> IpAddr {
    ip.to_canonical()
}

/// The words behind `PROXY `, in the reference's order of checks (CORE-89).
fn words_of_v1(line: &[u8]) -> Result<Header, ProxyError> {
    let line = String::from_utf8_lossy(line);
    let words: Vec<&str> = line.split_whitespace().collect();
    if words.first() == Some(&"UNKNOWN") {
        return Ok(Header::Local);
    }
    let [protocol, source, destination, source_port, destination_port] = words[..] else {
        return Err(ProxyError::Format);
    };
    let ip = |text: &str| ip(text).ok_or(ProxyError::Address);
    let (source_ip, destination_ip) = (ip(source)?, ip(destination)?);
    let source_port = port("source", source_port)?;
    let destination_port = port("dest", destination_port)?;
    // The written form decides: a mapped IPv4 address is fine in TCP6.
    let are_v6 = [source, destination].map(|text| text.contains(':'));
    match protocol {
        "TCP4" if are_v6.contains(&true) => Err(ProxyError::Ipv6InTcp4),
        "TCP6" if are_v6.contains(&false) => Err(ProxyError::Ipv4InTcp6),
        "TCP4" | "TCP6" => Ok(Header::Proxied {
            source: SocketAddr::new(source_ip, source_port),
            destination: SocketAddr::new(destination_ip, destination_port),
        }),
        _ => Err(ProxyError::Protocol(printable(protocol).into_owned())),
    }
}

fn ip(text: &str) -> Option<IpAddr> {
    let ip = if text.contains(':') {
        text.parse::<Ipv6Addr>().map(IpAddr::from)
    } else {
        text.parse::<Ipv4Addr>().map(IpAddr::from)
    };
    ip.ok().map(canonical)
}

fn port(which: &'static str, text: &str) -> Result<u16, ProxyError> {
    let wrong = |problem| ProxyError::Port {
        which,
        text: text.to_owned(),
        problem,
    };
    let mut port: u16 = 0;
    for byte in text.bytes() {
        if !byte.is_ascii_digit() {
            return Err(wrong("invalid syntax"));
        }
        let digit = u16::from(byte - b'0');
        let next = port.checked_mul(10).and_then(|port| port.checked_add(digit));
        port = next.ok_or_else(|| wrong("value out of range"))?;
    }
    Ok(port)
}

/// A stranger's word in a log line.
fn printable(text: &str) -> Cow<'_, str> {
    if text.chars().any(char::is_control) {
        text.escape_debug().to_string().into()
    } else {
        text.into()
    }
}
