//! What goes wrong in a store.

#[cfg(doc)]
use super::{Capabilities, StreamId};

/// Why a store did not do as asked. "Not found" is never an error.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// A name that a store cannot keep; see [`StreamId::new`].
    #[error("invalid name {0:?}")]
    InvalidName(String),
    /// Somebody has it open.
    #[error("{0} is in use")]
    InUse(String),
    /// A message's sequence is not the one that follows (STORE-85).
    #[error("expected sequence does not match store")]
    SequenceMismatch {
        /// The sequence that follows.
        expected: u64,
        /// The one asked for.
        given: u64,
    },
    /// More subjects match than were allowed (STORE-98).
    #[error("too many matching results for request")]
    TooManyResults,
    /// Nothing more fits. Nothing was changed; the store goes on when there is room.
    #[error("insufficient storage: {0}")]
    Full(String),
    /// A record cannot be read any more.
    #[error("message {sequence} is damaged: {detail}")]
    Damaged {
        /// Its sequence.
        sequence: u64,
        /// Where and what.
        detail: String,
    },
    /// It is encrypted, and no configured key opens it. Nothing was changed: with the right key it opens.
    #[error("{0}")]
    Locked(String),
    /// This store cannot do that; see its [`Capabilities`].
    #[error("the store does not support {0}")]
    Unsupported(&'static str),
    /// The medium failed. What was staged and is not durable may be lost.
    #[error("{0}")]
    Io(String),
}
