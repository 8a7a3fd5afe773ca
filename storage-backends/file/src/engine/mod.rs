//! The engine: streams over block files and the journal.
//!
//! [`FileBackend`] opens them; a stream is one owner's data (`stream`), its blocks' files are shared with the journal's
//! thread and with read jobs (`handle`), and what is read again soon is in one cache for all (`cache`).

mod append;
mod backend;
mod block_subjects;
mod blocks;
mod cache;
mod checkpoint;
mod commit;
mod consumers;
mod damage;
mod destroy;
mod erase;
mod fault;
mod find;
mod handle;
mod home;
mod keys;
mod marks;
mod open;
mod purge;
mod read;
mod remove;
mod replay;
mod rewrite;
mod roll;
mod sources;
mod sparse;
mod stream;
mod subjects;
mod tail;
mod timer_codec;
mod timers;
mod view;

pub use backend::{FileBackend, FileStoreOptions};

#[cfg(test)]
mod tests;
