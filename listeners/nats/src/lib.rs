//! The NATS client listener: handshake and session of the protocol that every NATS client speaks.
//!
//! Bytes are decoded and encoded by `dunlin-wire`, written by `dunlin-net`'s output queue, and routed by the broker
//! behind [`dunlin_api::Broker`]. Here is what lies between: who must log in first, what each operation answers,
//! when a connection is pinged and why it ends. Rules: CORE-2 to CORE-51.

#![deny(clippy::indexing_slicing)]

mod batch;
mod control;
mod info;
mod login;
mod name;
mod ping;
mod proxy;
mod receiver;
mod redact;
mod session;
mod settings;
mod trace;

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use dunlin_api::{
    Broker, Component, Connection, Endpoint, Env, Listener, NoOptions, Plugin, PluginError, Setup,
};
use dunlin_net::WaitingRoom;

/// The plugin.
pub fn plugin() -> Plugin {
    Plugin::listener::<NatsListener>()
}

/// Serves NATS clients on the configuration's `listen` address.
pub struct NatsListener {
    endpoint: Endpoint,
    host: Arc<str>,
    bound: OnceLock<SocketAddr>,
    env: Env,
    proxy_protocol: bool,
    room: Arc<WaitingRoom>,
}

impl Component for NatsListener {
    const NAME: &'static str = "nats";
    const SUMMARY: &'static str = "the NATS protocol for clients, on `listen`";
    type Options = NoOptions;

    fn open(_: NoOptions, setup: &Setup<'_>) -> Result<Self, PluginError> {
        let endpoint = settings::endpoint(setup.config);
        Ok(Self {
            host: endpoint.host.as_str().into(),
            endpoint,
            bound: OnceLock::new(),
            env: setup.env.clone(),
            proxy_protocol: setup.config.proxy_protocol,
            room: Arc::default(),
        })
    }
}

#[async_trait]
impl Listener for NatsListener {
    fn endpoints(&self) -> Vec<Endpoint> {
        vec![self.endpoint.clone()]
    }

    fn bound(&self, _: &Endpoint, address: SocketAddr) {
        // Endpoints are bound once; a second call could only repeat the first.
        let _ = self.bound.set(address);
        if self.proxy_protocol {
            let line = format_args!("PROXY protocol enabled for client connections");
            self.env.log().notice(line);
        }
    }

    async fn session(&self, connection: Connection, broker: &Broker) {
        let port = self.bound.get().map_or(self.endpoint.port, SocketAddr::port);
        session::run(connection, broker, &self.host, port, &self.room).await;
    }
}
