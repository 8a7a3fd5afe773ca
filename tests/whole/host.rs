//! Servers and tools for tests that run on a real machine: what is missing is reported as skipped and answered with `None`.
#![allow(clippy::panic, reason = "only tests")]

use std::path::PathBuf;

use dunlin_tests::server::{Kind, Server};
use dunlin_tests::{paths, skip};

/// A server with an empty configuration.
pub(crate) fn server(kind: Kind) -> Option<Server> {
    server_with(kind, "")
}

/// A server with a configuration in nats.conf's syntax.
pub(crate) fn server_with(kind: Kind, config: &str) -> Option<Server> {
    match kind.program() {
        Ok(Some(_)) => Some(Server::start(kind, config).unwrap_or_else(|error| panic!("{error}"))),
        Ok(None) => {
            skip::report("the reference is not installed");
            None
        }
        Err(error) => panic!("{error}"),
    }
}

/// A tool that `cargo xtask tools` installs.
pub(crate) fn tool(name: &str) -> Option<PathBuf> {
    let found = paths::tool(name);
    if found.is_none() {
        skip::report(&format!("{name} is not installed"));
    }
    found
}
