//! What can be wrong with a PROXY header.

/// Why a header is refused; the reference's words (CORE-91).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProxyError {
    /// Version 2 was begun, and its signature does not go on.
    #[error("invalid PROXY protocol header: invalid signature")]
    Signature,
    /// The upper half of the thirteenth byte.
    #[error("invalid PROXY protocol header: invalid version 0x{0:02x}")]
    Version(u8),
    /// No CRLF within the longest line of version 1.
    #[error("invalid PROXY protocol header: v1 line too long")]
    LineTooLong,
    /// Version 1: not five words.
    #[error("invalid PROXY protocol header: invalid v1 format")]
    Format,
    /// Version 1: an address that is none.
    #[error("invalid PROXY protocol header: invalid address")]
    Address,
    /// Version 1: `TCP4`, and an address of the other kind.
    #[error("invalid PROXY protocol header: TCP4 with IPv6 address")]
    Ipv6InTcp4,
    /// Version 1: `TCP6`, and an address of the other kind.
    #[error("invalid PROXY protocol header: TCP6 with IPv4 address")]
    Ipv4InTcp6,
    /// Version 1: neither `TCP4`, `TCP6` nor `UNKNOWN`. Control characters are escaped.
    #[error("invalid PROXY protocol header: invalid protocol {0}")]
    Protocol(String),
    /// Version 1: a port that is none.
    #[error("invalid {which} port: strconv.ParseUint: parsing {text:?}: {problem}")]
    Port {
        /// `source` or `dest`.
        which: &'static str,
        /// What stands there.
        text: String,
        /// `invalid syntax` or `value out of range`.
        problem: &'static str,
    },
    /// Version 2: datagrams, or no transport.
    #[error("unsupported PROXY protocol feature: only STREAM protocol supported")]
    Transport,
    /// Version 2: neither IPv4, IPv6 nor unspecified.
    #[error("unsupported PROXY protocol feature: unsupported address family 0x{0:02x}")]
    Family(u8),
    /// Version 2: neither `LOCAL` nor `PROXY`.
    #[error("unknown PROXY protocol command: 0x{0:02x}")]
    Command(u8),
    /// Version 2: the announced length does not hold the addresses of that family.
    #[error("{family} address data too short: {length} bytes")]
    AddressesTooShort {
        /// `IPv4` or `IPv6`.
        family: &'static str,
        /// What was announced.
        length: u16,
    },
    /// The header ended before it was whole, or did not come in time.
    #[error("failed to {step}: {reason}")]
    Unfinished {
        /// What was being read.
        step: &'static str,
        /// What came instead.
        reason: String,
    },
}
