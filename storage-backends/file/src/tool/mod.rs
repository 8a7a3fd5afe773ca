//! What an operator does with a store directory of either server: `dunlin store check | repair | stat | dump`.
//!
//! [`Target`] is the directory and what of it is meant; [`check`] verifies every file and record, [`repair`] makes of a
//! damaged store one that opens, [`stat()`] says what is there, [`dump`] shows messages. Only `repair` writes. It deletes
//! nothing: what it cannot read, and what it replaces, lies beside the store afterwards.
//!
//! Waits for the disk; nothing here runs inside a broker.

mod asset;
mod check;
mod dump;
mod indexed;
mod repair;
mod report;
mod stat;

pub use asset::{Asset, AssetKind, Target, ToolError};
pub use check::check;
pub(crate) use check::name_in;
pub use dump::{DumpFormat, dump};
pub use repair::{Repaired, repair};
pub use report::{AssetReport, Finding, Report, Severity};
pub use stat::{AssetStat, ConsumerStat, RaftStat, stat, stats_to_json};

/// Where a tool says how far it is: one line at a time.
pub type Progress = std::sync::Arc<dyn Fn(&str) + Send + Sync>;

#[cfg(test)]
#[allow(
    clippy::disallowed_methods,
    reason = "a test damages copies of golden directories"
)]
mod tests;
