//! Fixtures of the whole-broker tests: programs, servers, raw connections and differential scripts.
//!
//! Everything here runs real processes over real sockets of the loopback interface. It waits for events (a log line, a
//! frame, the end of a stream), never for time: a deadline only turns a hang into an error.
#![allow(
    clippy::disallowed_methods,
    reason = "real processes on a real machine: there is no `Env`"
)]

pub mod certificates;
pub mod connection;
pub mod differential;
pub mod paths;
pub mod server;
pub mod skip;
pub mod tls;
