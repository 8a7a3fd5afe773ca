//! A broker at work: the order of starting and stopping.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use dunlin_api::config::Config;
use dunlin_api::{
    AccountName, Broker, CloseReason, Endpoint, Env, Listener, Registry, ServerIdentity, Service,
    ServiceError, Setup, StoreBackend,
};
use dunlin_net::{PipeStream, Serving, connect_addresses, host_and_port, host_port, serve, serve_in_process};
use dunlin_router::{AccountTotals, ClientError, ClosedConnection, ConnectionRecord, Router, Totals};

use crate::assembly::{Assembly, AssemblyError, CLIENT_LISTENER, Named};

/// How long sessions may take to end when the broker stops, before they are dropped.
const SESSION_GRACE: Duration = Duration::from_secs(1);

/// A running broker.
pub struct Server {
    pub(crate) env: Env,
    pub(crate) registry: Arc<Registry>,
    pub(crate) router: Arc<Router>,
    broker: Broker,
    services: Vec<Box<dyn Service>>,
    stores: Vec<Named<dyn StoreBackend>>,
    pub(crate) listeners: Vec<(Arc<dyn Listener>, Serving)>,
    /// Held through a reload.
    pub(crate) reloading: tokio::sync::Mutex<()>,
}

/// Why a broker did not start: one clear line for the operator.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The plugins that the configuration names cannot be made.
    #[error(transparent)]
    Assembly(#[from] AssemblyError),
    /// A service did not start.
    #[error("can't start a service: {0}")]
    Service(ServiceError),
    /// A listener did not start.
    #[error("{0}")]
    Listen(#[from] io::Error),
}

/// Why a program cannot connect to the broker that it embeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InProcessError {
    /// This build has no listener for NATS clients.
    #[error("there is no listener for NATS clients: build with the feature `nats`")]
    NoListener,
    /// The broker sends its clients away.
    #[error("the broker takes no new clients: it is in lame duck mode")]
    LameDuck,
}

/// Whether NATS clients of other processes can connect.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ClientPort {
    Open,
    None,
}

impl Server {
    /// Starts a broker: stores and services first, listeners last. `config` must have been validated.
    ///
    /// # Errors
    /// See [`StartError`]; nothing is left running.
    pub async fn start(
        config: Arc<Config>,
        registry: Arc<Registry>,
        env: Env,
        identity: ServerIdentity,
    ) -> Result<Self, StartError> {
        Self::start_with(config, registry, env, identity, ClientPort::Open).await
    }

    /// The same without a port for NATS clients, whatever `listen` says: they connect by
    /// [`Server::connect_in_process`]. Listeners under `plugins` are not touched by it.
    ///
    /// # Errors
    /// As [`Server::start`].
    pub async fn start_without_client_port(
        config: Arc<Config>,
        registry: Arc<Registry>,
        env: Env,
        identity: ServerIdentity,
    ) -> Result<Self, StartError> {
        Self::start_with(config, registry, env, identity, ClientPort::None).await
    }

    async fn start_with(
        config: Arc<Config>,
        registry: Arc<Registry>,
        env: Env,
        identity: ServerIdentity,
        port: ClientPort,
    ) -> Result<Self, StartError> {
        let assembly = Assembly::new(
            &registry,
            Setup {
                env: &env,
                config: &config,
            },
        );
        let auth = assembly.auth()?;
        let stores = assembly.stores()?;
        let services = assembly.services()?;
        let listeners = assembly.listeners()?;
        let router = Arc::new(Router::new(env.clone(), identity, config.clone(), auth));
        let broker = Broker::new(router.clone());
        let mut server = Self {
            env,
            router,
            broker,
            services: Vec::new(),
            stores,
            listeners: Vec::new(),
            reloading: tokio::sync::Mutex::default(),
            registry,
        };
        if let Err(error) = server.run(services, listeners, port).await {
            server.stop().await;
            return Err(error);
        }
        Ok(server)
    }

    async fn run(
        &mut self,
        services: Vec<Box<dyn Service>>,
        listeners: Vec<Box<dyn Listener>>,
        port: ClientPort,
    ) -> Result<(), StartError> {
        for service in services {
            service.start(&self.broker).await.map_err(StartError::Service)?;
            self.services.push(service);
        }
        for listener in listeners {
            let listener: Arc<dyn Listener> = listener.into();
            // The one for NATS clients is the first.
            let is_for_clients = self.listeners.is_empty() && self.has_client_listener();
            let serving = if is_for_clients && port == ClientPort::None {
                serve_in_process(listener.clone(), self.broker.clone())
            } else {
                serve(listener.clone(), self.broker.clone()).await?
            };
            self.listeners.push((listener, serving));
        }
        Ok(())
    }

    fn has_client_listener(&self) -> bool {
        self.registry.listener(CLIENT_LISTENER).is_ok()
    }

    /// Connects a NATS client of this process, without a socket: what the broker sends, INFO first, is read from the
    /// stream, what it is to do is written to it. The connection logs in, is counted, limited and closed as any other,
    /// except that TLS is left to the client (AUTH-302) and that its kind is `IN_PROCESS` (AUTH-18). Dropping the stream
    /// closes it. Callable on any Tokio runtime, or on none.
    ///
    /// # Errors
    /// See [`InProcessError`].
    pub fn connect_in_process(&self) -> Result<PipeStream, InProcessError> {
        let first = self.listeners.first().filter(|_| self.has_client_listener());
        let (_, serving) = first.ok_or(InProcessError::NoListener)?;
        serving.connect_in_process().ok_or(InProcessError::LameDuck)
    }

    /// Where the broker can be reached.
    pub fn endpoints(&self) -> Vec<(Endpoint, SocketAddr)> {
        self.listeners
            .iter()
            .flat_map(|(_, serving)| serving.endpoints().to_vec())
            .collect()
    }

    /// The port of the client listener; `None` without one.
    pub fn client_port(&self) -> Option<u16> {
        let endpoints = self.endpoints();
        let client = endpoints
            .iter()
            .find(|(endpoint, _)| endpoint.connections == "client");
        client.map(|(_, address)| address.port())
    }

    /// URLs at which clients can be told to connect: `client_advertise`, else the listener's host, for a wildcard every
    /// address that others can reach (CORE-17). Empty where there is no listener for clients.
    pub fn client_urls(&self) -> Vec<String> {
        let endpoints = self.endpoints();
        let Some((endpoint, bound)) = endpoints
            .iter()
            .find(|(endpoint, _)| endpoint.connections == "client")
        else {
            return Vec::new();
        };
        let config = self.broker.config();
        let advertised = config.client_advertise.as_deref().filter(|text| !text.is_empty());
        let advertised = advertised.and_then(|text| host_and_port(text, bound.port()).ok());
        let addresses = match advertised {
            Some((host, port)) => vec![host_port(&host, port)],
            None => connect_addresses(&endpoint.host, bound.port(), &self.env.network().interfaces()),
        };
        if addresses.is_empty() {
            let host = &endpoint.host;
            self.env
                .log()
                .error(format_args!("Address {host:?} can not be resolved properly"));
        }
        let scheme = endpoint.scheme;
        addresses
            .into_iter()
            .map(|address| format!("{scheme}://{address}"))
            .collect()
    }

    /// The broker as a plugin sees it, for programs that embed it.
    pub fn broker(&self) -> &Broker {
        &self.broker
    }

    /// The stores that the configuration names, by name.
    pub fn stores(&self) -> impl Iterator<Item = (&str, &dyn StoreBackend)> {
        self.stores
            .iter()
            .map(|(name, store)| (name.as_str(), store.as_ref()))
    }

    /// Numbers of the whole broker.
    pub fn totals(&self) -> Totals {
        self.router.totals()
    }

    /// Numbers of one account; `None` when there is no such account.
    pub fn account_totals(&self, name: &AccountName) -> Option<AccountTotals> {
        self.router.account_totals(name)
    }

    /// Closes one client with reason `Kicked` (CORE-86).
    ///
    /// # Errors
    /// No connection has that id.
    pub fn kick(&self, id: u64) -> Result<(), ClientError> {
        self.router.kick(id)
    }

    /// Tells one client that this server is about to go, so that it connects elsewhere (CORE-86).
    ///
    /// # Errors
    /// No connection has that id, or it cannot be told.
    pub fn announce_lame_duck_to(&self, id: u64) -> Result<(), ClientError> {
        self.router.announce_lame_duck_to(id)
    }

    /// Every open connection, logged in or not, in no order.
    pub fn connections(&self) -> Vec<ConnectionRecord> {
        self.router.connections()
    }

    /// The last connections that have closed, oldest first: as many as `max_closed_clients` says.
    pub fn closed_connections(&self) -> Vec<ClosedConnection> {
        self.router.closed_connections()
    }

    /// Stops: no new connections, sessions end with what is pending written, services last.
    pub async fn stop(self) {
        for (listener, serving) in &self.listeners {
            serving.close().await;
            listener.drain().await;
        }
        self.router.stop();
        self.router.close_connections(CloseReason::ServerShutdown);
        for (_, serving) in &self.listeners {
            serving.end_sessions(SESSION_GRACE).await;
        }
        for (listener, _) in &self.listeners {
            listener.shutdown().await;
        }
        for service in self.services.iter().rev() {
            service.stop().await;
        }
        let panics = self.env.panics();
        if panics > 0 {
            self.env.log().warn(format_args!(
                "{panics} sessions or tasks had to be ended since start"
            ));
        }
    }
}

/// A broker without sockets, and the listener for NATS clients to hand byte streams to: for programs and tests that
/// bring their own connections.
///
/// # Errors
/// See [`StartError`].
pub fn assemble(
    config: Arc<Config>,
    registry: &Registry,
    env: Env,
    identity: ServerIdentity,
) -> Result<(Broker, Arc<dyn Listener>), StartError> {
    let assembly = Assembly::new(
        registry,
        Setup {
            env: &env,
            config: &config,
        },
    );
    let listener = assembly.client_listener()?;
    let auth = assembly.auth()?;
    let router = Arc::new(Router::new(env.clone(), identity, config, auth));
    Ok((Broker::new(router), listener.into()))
}
