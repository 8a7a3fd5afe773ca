//! The rules, one function each. A function makes its own backend and panics where the rule is broken.

pub mod append;
pub mod cold;
pub mod consumers;
pub mod durable;
pub mod keep;
pub mod open;
pub mod purge;
pub mod read;
pub mod remove;
pub mod snapshots;
pub mod subjects;
pub mod timers;
pub mod truncate;
