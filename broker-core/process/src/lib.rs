//! What a process needs around the broker: log lines, the command line, signals, pid and ports files, limits.
//!
//! Part of the seam to the world: the log's writer thread and its files are reached from here, and nowhere else. Knows
//! no protocol and starts no broker. Rules: CORE-128 to CORE-139.

pub mod banner;
pub mod cli;
pub mod configuration;
pub mod files;
pub mod identity;
pub mod limits;
pub mod log;
pub mod panics;
pub mod plugins;
pub mod reload;
pub mod service_manager;
pub mod signals;
pub mod terminal;

mod program;
mod source;

pub use program::Program;
pub use source::ProcessSource;
