//! Dunlin as a library: a broker inside a Rust program.
//!
//! [`Builder`] starts one in a few lines, `examples/embedded.rs` shows it; [`Server`] starts one from its parts: a typed
//! [`Config`], a [`Registry`] of plugins, an [`Env`]. Any number of them run beside each other.

mod embed;

pub use dunlin_api::config::{self, Config};
pub use dunlin_api::{Broker, CloseReason, Env, Level, LogSink, Registry, ReloadHost, ServerIdentity};
pub use dunlin_server::{
    AssemblyError, ClientError, ClosedConnection, ConnectionRecord, InProcessError, PipeStream, ReloadError,
    Server, StartError, SubscriptionRecord, assemble,
};

pub use embed::{BuildError, Builder, built_in_plugins, system_env};

/// The level of the NATS protocol and API that this broker keeps to (INFO's `version`).
pub const NATS_LEVEL: &str = "2.15.2";

/// Dunlin's own version.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
