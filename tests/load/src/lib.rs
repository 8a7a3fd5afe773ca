//! A load generator that costs less than any client library.
//!
//! One thread drives every connection over non-blocking sockets: publishers write buffers that were built
//! beforehand, subscribers count bytes instead of parsing them. So what is measured is the server, also when both
//! share two cores. Each run warms up, comes to rest, measures, and comes to rest again, so that a report never
//! counts half a message. [`Check::On`](options::Check) trades speed for proof: contents, order and number of all
//! deliveries are verified.
//!
//! It never links the broker: it speaks to any server of the NATS client protocol by its address, and reads that
//! server's cost from `/proc` by its process id. Only the modules [`report`] and [`process`] exist outside Linux.
#![allow(
    clippy::disallowed_methods,
    reason = "a load generator measures the real clock, the real network and the real process table"
)]

pub mod process;
pub mod report;

#[cfg(target_os = "linux")]
pub mod attack;
#[cfg(target_os = "linux")]
mod build;
#[cfg(target_os = "linux")]
mod channel;
#[cfg(target_os = "linux")]
mod error;
#[cfg(target_os = "linux")]
mod frames;
#[cfg(target_os = "linux")]
mod intake;
#[cfg(target_os = "linux")]
mod latency;
#[cfg(target_os = "linux")]
mod link;
#[cfg(target_os = "linux")]
mod meter;
#[cfg(target_os = "linux")]
pub mod options;
#[cfg(target_os = "linux")]
mod poll;
#[cfg(target_os = "linux")]
mod tally;
#[cfg(target_os = "linux")]
mod work;

#[cfg(target_os = "linux")]
pub use crate::error::LoadError;
#[cfg(target_os = "linux")]
pub use crate::work::run;
