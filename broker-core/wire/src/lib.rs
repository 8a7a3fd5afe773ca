//! NATS protocol codecs: bytes in, frames out, frames in, bytes out.
//!
//! Holds no socket, no clock and no buffer of its own. Frames borrow from the bytes that the caller
//! presents, so decoding allocates nothing; writers append to a [`Sink`] that the caller owns. No input
//! makes this crate panic, and no writer can be made to emit a protocol line of a stranger's choice:
//! what goes between two blanks is an [`Arg`], what goes behind a size is a [`Content`].
//!
//! [`client`] is the dialect between a client and its server (CORE-14 to CORE-35); [`Info`] and
//! [`Connect`] are the two JSON documents of the handshake; [`headers`] edits message headers.

#![deny(clippy::indexing_slicing)]

pub mod client;
pub mod headers;

mod arg;
mod connect;
mod content;
mod info;
mod json;
mod quote;
mod secret;
mod sink;

pub use arg::Arg;
pub use connect::Connect;
pub use content::{Content, Digits};
pub use info::{Info, SubjectPermission};
pub use json::JsonError;
pub use quote::{Quoted, Shown};
pub use secret::Secret;
pub use sink::Sink;
