//! Streams in files, in the layout of the reference: its directories open here, and ours there.
//!
//! [`layout`] says what lies where and makes every path. The codecs take and give plain bytes, hold no file and no clock,
//! and take no more memory than in proportion to the bytes, whatever these claim: [`index`] (`index.db`), [`wheel`],
//! [`schedule`] and [`sources`] (`thw.db`, `sched.db`, `sources.db`), [`consumer::codec`] (`o.dat`), [`stream_state`] (what
//! raft snapshots carry), [`legacy`] (`N.idx`) and [`raft`] (small files of raft groups, read only). [`small`] seals small
//! files and puts their checksums beside them. [`consumer`] is the store of one consumer over all this.
//! [`tool`] is `dunlin store`, [`unpack`] makes a stream of a backup of files and the other way round.
//!
//! Blocks: [`record`] is one record, [`compress`] and [`crypt`] are what a block's file may be wrapped in, [`scan`] walks over
//! records and damage, [`block`] reads a file from end to end, [`recovery`] all blocks of a stream, [`side`] remembers what the
//! layout cannot show, [`scrub`] says what to read again.
//!
//! Rules: STORE-1 to STORE-132.

pub mod block;
pub mod compress;
pub mod consumer;
pub mod crypt;
mod cursor;
mod engine;
pub mod index;
pub mod layout;
pub mod legacy;
pub mod raft;
mod rebuild;
pub mod record;
pub mod recovery;
pub mod scan;
pub mod schedule;
pub mod scrub;
pub mod side;
pub mod small;
pub mod sources;
mod stamped;
pub mod stream_state;
pub mod tool;
pub mod unpack;
pub mod wheel;

pub use engine::{FileBackend, FileStoreOptions};
pub use stamped::StampedError;
