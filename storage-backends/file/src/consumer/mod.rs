//! The consumers of a stream: the codec of `o.dat`, and the store over it.

pub mod codec;
mod delta;
mod files;
mod store;

pub use files::{ConsumerReplay, Whereabouts};
pub use store::{ConsumerFiles, ConsumerHome, Fate, FileConsumer};
