//! A listener to copy: a protocol of text lines that publishes and subscribes.
//!
//! ```toml
//! [plugins.listener.line]
//! listen = "127.0.0.1:4333"
//! ```
//!
//! | line | answer |
//! |---|---|
//! | `login TOKEN`, `login USER PASSWORD` | `ok`; asked for only where the auth provider wants credentials |
//! | `publish SUBJECT TEXT` | `ok` |
//! | `subscribe SUBJECT` | `ok N`; each message is then a line `message SUBJECT TEXT` |
//! | `unsubscribe N` | `ok` |
//! | `quit` | none: the connection ends |
//!
//! Whatever goes wrong is a line `error TEXT`. Everything that a peer can make grow is bounded: its line, what waits
//! for it, its time to log in; one that does not take its messages is closed as a slow consumer. Text with line ends in
//! it is shown on one line, so no message looks like two.

#![deny(clippy::indexing_slicing)]

mod outbox;
mod session;
#[cfg(test)]
mod tests;

use async_trait::async_trait;
use dunlin_api::{Broker, Component, Connection, Endpoint, Listener, Plugin, PluginError, Setup};
use dunlin_config::{ByteSize, ConfigSection, ListenAddress};

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
    /// Longest line that a peer may send.
    #[config(default = "8K")]
    pub max_line: ByteSize,
    /// What may wait for a peer that does not read, beside one message.
    #[config(default = "1M")]
    pub max_pending: ByteSize,
}

/// Serves the line protocol.
pub struct LineListener {
    endpoint: Endpoint,
    limits: session::Limits,
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
            limits: session::Limits {
                line: bytes(options.max_line),
                pending: bytes(options.max_pending),
            },
        })
    }
}

fn bytes(size: ByteSize) -> usize {
    usize::try_from(size.0).unwrap_or(usize::MAX)
}

#[async_trait]
impl Listener for LineListener {
    fn endpoints(&self) -> Vec<Endpoint> {
        vec![self.endpoint.clone()]
    }

    async fn session(&self, connection: Connection, broker: &Broker) {
        session::run(connection, broker, self.limits).await;
    }
}
