//! Client dialect: what a client sends, and what its server answers.
//!
//! A listener reads into its buffer and calls [`Decoder::decode`] until the answer is `None`; it answers
//! with the functions of [`mod@write`]. Rules: CORE-24 to CORE-35, CORE-58 and CORE-61. Only the grammar is kept
//! here. What a frame does (permissions, `+OK`, pedantic subject checks) is the session's business.

pub mod write;

mod decoder;
mod error;
mod verb;

#[cfg(test)]
mod tests;

pub use decoder::{Decoder, DecoderLimits};
pub use error::{ArgFault, ErrorKind, WireError};

use crate::{Arg, Content};

/// One operation of a client. Borrows from the bytes given to the decoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame<'a> {
    /// `CONNECT <json>`: the JSON, unread. See [`Connect::merge`](crate::Connect::merge).
    Connect(&'a [u8]),
    /// `INFO <json>`. Nothing follows from it, but text that [`Info`](crate::Info) cannot read ends the
    /// connection (CORE-24).
    Info(&'a [u8]),
    /// `PING`.
    Ping,
    /// `PONG`.
    Pong,
    /// `+OK`; nothing follows from it.
    Ok,
    /// `-ERR <text>`: is logged as `Client Error <text>` and ends the connection with ParseError (CORE-24).
    Err(&'a [u8]),
    /// `PUB` or `HPUB`.
    Publish(Publish<'a>),
    /// `SUB`.
    Subscribe(Subscribe<'a>),
    /// `UNSUB`.
    Unsubscribe(Unsubscribe<'a>),
    /// A client's own `HMSG`: taken, and dropped without a trace (CORE-26).
    HeaderMsg,
}

/// `PUB <subject> [reply] <size>` and its payload, or `HPUB` with headers before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Publish<'a> {
    /// Where to; any word, its tokens are unchecked.
    pub subject: Arg<'a>,
    /// Where answers go.
    pub reply: Option<Arg<'a>>,
    /// Headers, payload and their sizes as announced.
    pub content: Content<'a>,
    /// The header line with its end, for [`Decoder::repeat`].
    pub line: &'a [u8],
    /// The frame from behind the subject to its end, just as a `MSG` or `HMSG` line goes on behind the subscription id:
    /// `[reply] [header size] <size>`, line end, content, line end. Empty if the words are not parted by one blank each
    /// or the line does not end in `\r\n`: then it must be written anew.
    pub tail: &'a [u8],
}

/// `SUB <subject> [queue] <sid>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subscribe<'a> {
    /// What to; any word (CORE-38 is the session's check).
    pub subject: Arg<'a>,
    /// The queue group, if any.
    pub queue: Option<Arg<'a>>,
    /// The client's name of the subscription.
    pub sid: Arg<'a>,
}

/// `UNSUB <sid> [max]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unsubscribe<'a> {
    /// The client's name of the subscription.
    pub sid: Arg<'a>,
    /// Deliveries since SUB after which it ends. -1 if what was sent is no number; a number that is
    /// already reached, as -1 always is, ends it at once (CORE-30, CORE-42).
    pub max: Option<i64>,
}
