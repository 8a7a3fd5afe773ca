//! Dunlin as a library: a broker inside a Rust program.
//!
//! [`Server`] starts one from a typed [`Config`] and a [`Registry`] of plugins; any number of them run beside each other.

pub use dunlin_api::config::Config;
pub use dunlin_api::{Broker, Env, Registry, ReloadHost, ServerIdentity};
pub use dunlin_server::{
    AssemblyError, ClientError, ClosedConnection, ConnectionRecord, ReloadError, Server, StartError,
    SubscriptionRecord, assemble,
};

/// The level of the NATS protocol and API that this broker keeps to (INFO's `version`).
pub const NATS_LEVEL: &str = "2.15.2";

/// Dunlin's own version.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
