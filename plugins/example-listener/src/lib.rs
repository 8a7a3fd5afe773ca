//! A listener to copy: a protocol of text lines that publishes and subscribes.
//!
//! ```toml
//! [plugins.listener.line]
//! listen = "127.0.0.1:4333"
//! ```
//!
//! ```text
//! subscribe greet.*            ok
//! publish greet.joe hello      message greet.joe hello
//!                              ok
//! quit
//! ```
//!
//! Reading and writing are one task: it waits for the peer's bytes or for a message, whichever comes first. What it may
//! hold is bounded: a line, and a queue of messages; a peer that does not take its messages loses some, and is told so.

mod session;

use async_trait::async_trait;
use dunlin_api::{Broker, Component, Connection, Endpoint, Listener, Plugin, PluginError, Setup};
use dunlin_config::{ConfigSection, ListenAddress};

/// The plugin, for the list in `plugins/builtin`.
pub fn plugin() -> Plugin {
    Plugin::listener::<LineListener>()
}

/// Options under `[plugins.listener.line]`.
#[derive(Clone, Debug, PartialEq, ConfigSection)]
pub struct LineOptions {
    /// Host and port to listen on; port -1 asks for a free one.
    #[config(required)]
    pub listen: Option<ListenAddress>,
}

/// Serves the line protocol.
pub struct LineListener {
    endpoint: Endpoint,
}

impl Component for LineListener {
    const NAME: &'static str = "line";
    const SUMMARY: &'static str = "a text protocol that publishes and subscribes (example)";
    type Options = LineOptions;

    fn open(options: LineOptions, _: &Setup<'_>) -> Result<Self, PluginError> {
        let listen = options
            .listen
            .ok_or_else(|| PluginError("`listen` is missing".to_owned()))?;
        let host = if listen.host.is_empty() {
            "0.0.0.0".to_owned()
        } else {
            listen.host
        };
        // -1 asks for a free port, which is port 0 to the system.
        let port = u16::try_from(listen.port).unwrap_or(0);
        Ok(Self {
            endpoint: Endpoint {
                connections: "line",
                host,
                port,
                scheme: "line",
            },
        })
    }
}

#[async_trait]
impl Listener for LineListener {
    fn endpoints(&self) -> Vec<Endpoint> {
        vec![self.endpoint.clone()]
    }

    async fn session(&self, connection: Connection, broker: &Broker) {
        session::run(connection, broker).await;
    }
}
