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
mod reload;
mod secure;
mod session;
mod settings;
mod trace;

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use async_trait::async_trait;
use dunlin_api::config::Config;
use dunlin_api::{
    Broker, Component, Connection, Endpoint, Env, Listener, NoOptions, Plugin, PluginError, Setup, TakeOver,
};
use dunlin_net::WaitingRoom;
use dunlin_net::tls::{TlsError, TlsStream};

use secure::{ClientTls, Tls};

/// Time between two reports of refused handshakes (CORE-11).
const REPORTS: Duration = Duration::from_secs(1);

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
    tls: ArcSwapOption<ClientTls>,
    tls_shared: Arc<secure::Shared>,
}

impl Component for NatsListener {
    const NAME: &'static str = "nats";
    const SUMMARY: &'static str = "the NATS protocol for clients, on `listen`";
    type Options = NoOptions;

    fn open(_: NoOptions, setup: &Setup<'_>) -> Result<Self, PluginError> {
        settings::check_advertised(setup.config).map_err(PluginError)?;
        let tls = ClientTls::load(setup.config, setup.env).map_err(unusable_tls)?;
        let mut endpoint = settings::endpoint(setup.config);
        if tls.as_ref().is_some_and(|tls| tls.info().is_required) {
            endpoint.scheme = "tls";
        }
        Ok(Self {
            tls: ArcSwapOption::new(tls),
            tls_shared: Arc::new(secure::Shared::new(setup.config)),
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
        if let Some(tls) = self.tls.load().as_deref() {
            tls.announce(self.env.log());
        }
        if self.tls_shared.has_rate() {
            self.report_refused();
        }
    }

    // Written out, since an `async fn` would keep its arguments beside the client for as long as the session lives.
    fn session<'s, 'b, 'f>(
        &'s self,
        mut connection: Connection,
        broker: &'b Broker,
    ) -> Pin<Box<dyn Future<Output = ()> + Send + 'f>>
    where
        's: 'f,
        'b: 'f,
        Self: 'f,
    {
        let port = self.bound.get().map_or(self.endpoint.port, SocketAddr::port);
        let tls = self.tls.load_full().map(|rules| {
            let stream = TlsStream::new(connection.stream.clone());
            connection.stream = stream.clone();
            let shared = self.tls_shared.clone();
            Tls {
                rules,
                stream,
                shared,
                is_in_process: connection.is_in_process,
            }
        });
        let client = session::Client::new(connection, broker, &self.host, port, tls, &self.room);
        Box::pin(session::run(client))
    }

    /// Certificates and TLS settings apply to connections that come from now on; those with a certificate that is no
    /// longer pinned are closed (AUTH-305, AUTH-314). On an error all stays as it was. Waits for the disk.
    fn reload<'a>(&'a self, config: &Config) -> Result<TakeOver<'a>, String> {
        let tls = ClientTls::load(config, &self.env).map_err(|error| unusable_tls(error).0)?;
        Ok(Box::new(move || {
            self.tls.store(tls.clone());
            let closed = tls.map_or(0, |tls| self.tls_shared.recheck_pins(&tls));
            if closed > 0 {
                let line = format_args!("Disconnect {closed} clients due to pinned certs reload");
                self.env.log().notice(line);
            }
        }))
    }
}

impl NatsListener {
    /// Once a second, for as long as there is a listener (CORE-11).
    fn report_refused(&self) {
        let (env, shared) = (self.env.clone(), Arc::downgrade(&self.tls_shared));
        self.env.spawn("reporting refused handshakes", async move {
            while let Some(shared) = shared.upgrade() {
                shared.report_refused(env.log());
                drop(shared);
                env.sleep(REPORTS).await;
            }
        });
    }
}

fn unusable_tls(error: TlsError) -> PluginError {
    PluginError(format!("{error} ({})", error.remedy()))
}
