//! Why decoding ends.

use std::fmt;

use crate::Quoted;

/// Why reading from a client ends. `Display` is the text for the log, [`reply`](WireError::reply) the one
/// for the client, [`kind`](WireError::kind) says which close reason it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WireError {
    /// CORE-5: [`connect_first`](super::DecoderLimits::connect_first) is set and the operation is not
    /// CONNECT. Nothing was taken: a listener that admits the client without CONNECT clears the flag and
    /// decodes again.
    #[error("authentication error")]
    ConnectExpected,
    /// CORE-27: a byte that no operation has at this place.
    #[error("Client parser ERROR, state={state}, i={offset}: proto='{snippet}...'")]
    UnknownOperation {
        /// The parser state, in the numbers of the reference.
        state: u8,
        /// Where the byte is, counted from the front of the input.
        offset: usize,
        /// What stands there, quoted, at most 32 bytes.
        snippet: String,
    },
    /// CORE-29: the operation is known, its words do not fit.
    #[error("{fault}: {}", Quoted(line))]
    Args {
        /// Which word does not fit.
        fault: ArgFault,
        /// The words as sent.
        line: Box<[u8]>,
    },
    /// CORE-31: a line, complete or not, is longer than allowed.
    #[error("maximum control line exceeded")]
    ControlLineTooLong,
    /// CORE-34: known at the header line, before any payload byte.
    #[error("maximum payload exceeded: {size} vs {limit}")]
    PayloadTooLarge {
        /// Headers and payload, as announced, in bytes.
        size: u32,
        /// What is allowed, in bytes.
        limit: i64,
    },
    /// CORE-33: HPUB of a client that did not ask for headers.
    #[error("message headers not supported")]
    HeadersNotSupported,
}

/// Which words of a line do not fit (CORE-29). `Display` is the log text's beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is one text of CORE-29, see Display")]
pub enum ArgFault {
    PubWords,
    PubSize,
    HpubWords,
    HpubHeaderSize,
    HpubTotalSize,
    HpubHeaderAboveTotal,
    SubWords,
    UnsubWords,
}

/// The close reason that a [`WireError`] leads to (CORE-49).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// `Authentication Failure`.
    Authentication,
    /// `Protocol Violation`.
    ProtocolViolation,
    /// `Maximum Control Line Exceeded`.
    ControlLine,
    /// `Maximum Message Payload Exceeded`.
    Payload,
}

impl WireError {
    /// Text of the `-ERR` that the client gets before the connection closes; `None`: it gets none.
    pub fn reply(&self) -> Option<&'static str> {
        match self {
            Self::ConnectExpected => Some("Authorization Violation"),
            Self::UnknownOperation { .. } => Some("Unknown Protocol Operation"),
            Self::ControlLineTooLong => Some("maximum control line exceeded"),
            Self::PayloadTooLarge { .. } => Some("Maximum Payload Violation"),
            Self::Args { .. } | Self::HeadersNotSupported => None,
        }
    }

    /// The close reason.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::ConnectExpected => ErrorKind::Authentication,
            Self::ControlLineTooLong => ErrorKind::ControlLine,
            Self::PayloadTooLarge { .. } => ErrorKind::Payload,
            Self::UnknownOperation { .. } | Self::Args { .. } | Self::HeadersNotSupported => {
                ErrorKind::ProtocolViolation
            }
        }
    }

    /// The same error with `taken` bytes before it, which an earlier frame of the same read had: the reference
    /// counts the `i=` of its log text from the start of the read.
    #[must_use]
    pub fn behind(mut self, taken: usize) -> Self {
        if let Self::UnknownOperation { offset, .. } = &mut self {
            *offset = offset.saturating_add(taken);
        }
        self
    }

    /// An [`UnknownOperation`](Self::UnknownOperation) at `offset` of `front`.
    #[cold]
    pub(super) fn unknown(state: u8, offset: usize, front: &[u8]) -> Self {
        Self::UnknownOperation {
            state,
            offset,
            snippet: snippet(offset, front),
        }
    }

    /// An [`Args`](Self::Args) error on `line`.
    #[cold]
    pub(super) fn args(fault: ArgFault, line: &[u8]) -> Self {
        Self::Args {
            fault,
            line: line.into(),
        }
    }
}

impl fmt::Display for ArgFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::PubWords => "processPub Parse Error",
            Self::PubSize => "processPub Bad or Missing Size",
            Self::HpubWords => "processHeaderPub Parse Error",
            Self::HpubHeaderSize => "processHeaderPub Bad or Missing Header Size",
            Self::HpubTotalSize => "processHeaderPub Bad or Missing Total Size",
            Self::HpubHeaderAboveTotal => "processHeaderPub Header Size larger then TotalSize",
            Self::SubWords => "processSub Parse Error",
            Self::UnsubWords => "processUnsub Parse Error",
        })
    }
}

/// Up to 32 bytes from `start`, quoted. CORE-27: one that the end would clip loses its last byte.
fn snippet(start: usize, front: &[u8]) -> String {
    const LONGEST: usize = 32;
    let rest = front.get(start..).unwrap_or_default();
    let shown = match rest.get(..LONGEST) {
        Some(whole) => whole,
        None => rest.split_last().map_or(rest, |(_, shown)| shown),
    };
    Quoted(shown).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    // CORE-27 [TestProtoSnippet]
    #[test]
    fn snippet_has_32_bytes_and_loses_one_when_clipped() {
        let sample: Vec<u8> = (b'a'..=b'z').chain(b'A'..=b'Z').collect();
        for start in 0..=54 {
            let shown = match start {
                0..=20 => &sample[start..start + 32],
                21..=51 => &sample[start..51],
                _ => b"",
            };
            assert_eq!(
                snippet(start, &sample),
                Quoted(shown).to_string(),
                "start={start}"
            );
        }
        assert_eq!(snippet(20, &sample), r#""uvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ""#);
        assert_eq!(snippet(21, &sample), r#""vwxyzABCDEFGHIJKLMNOPQRSTUVWXY""#);
    }
}
