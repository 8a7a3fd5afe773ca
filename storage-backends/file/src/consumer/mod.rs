//! The consumers of a stream.

pub mod codec;
