//! One broker from its start to its stop: makes the plugins that a configuration names, runs them, reloads, drains.
//!
//! Knows the order of things and no concrete plugin: what listens, who may connect and what is stored is each plugin's
//! business, and which plugins there are is the [`Registry`](dunlin_api::Registry)'s. Nothing here is global, so several
//! brokers live in one process. Rules: CORE-80 to CORE-87, CORE-132 to CORE-134.

mod assembly;
mod lame_duck;
mod reload;
mod server;

pub use dunlin_net::PipeStream;
pub use dunlin_router::{ClientError, ClosedConnection, ConnectionRecord, SubscriptionRecord};

pub use assembly::{Assembly, AssemblyError, Named};
pub use reload::ReloadError;
pub use server::{InProcessError, Server, StartError, assemble};
