//! Whole brokers under test, in one binary: linking is what a test binary costs.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod allocation;
mod auth_certificates;
mod auth_logins;
mod auth_renewal;
mod backups;
mod command_line;
mod connections;
mod differential;
mod embedding;
mod fast_producers;
mod host;
mod interop;
mod isolation;
mod lame_duck;
mod load;
mod logged;
mod mappings;
mod plugins;
mod process;
mod reload_of_files;
mod reloads;
#[path = "../security/mod.rs"]
mod security;
mod sim;
mod simulation;
mod slow_consumers;
mod store_command;
