//! Dunlin as a library: [`Server`] assembles the plugins that a configuration names into a running broker.
//!
//! Knows the order of starting and stopping, and nothing else: what listens, who may connect and what is stored is
//! each plugin's business.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use dunlin_api::config::{Config, Position, Report, Table, TableReader};
use dunlin_api::{
    AuthProvider, Broker, CloseReason, Endpoint, Env, Factory, Listener, PluginError, PluginKind, Registry,
    RegistryError, ServerIdentity, Service, ServiceError, Setup, StoreBackend,
};
use dunlin_net::{Serving, serve};
use dunlin_router::{Router, Totals};

/// How long sessions may take to end when the broker stops, before they are dropped.
const SESSION_GRACE: Duration = Duration::from_secs(1);

/// The listener that the configuration's top-level keys speak of.
const CLIENT_LISTENER: &str = "nats";

/// The auth provider where the configuration chooses none.
const DEFAULT_AUTH: &str = "static";

/// The level of the NATS protocol and API that this broker keeps to (INFO's `version`).
pub const NATS_LEVEL: &str = "2.15.2";

/// Dunlin's own version.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// A running broker.
pub struct Server {
    env: Env,
    router: Arc<Router>,
    broker: Broker,
    services: Vec<Box<dyn Service>>,
    stores: Vec<Named<dyn StoreBackend>>,
    listeners: Vec<(Arc<dyn Listener>, Serving)>,
}

/// Why a broker did not start: one clear line for the operator.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// A plugin of that name does not exist, or exists twice.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// A plugin's options have errors, one a line.
    #[error("{0}")]
    Options(String),
    /// A plugin could not be made.
    #[error("plugin {name}: {source}")]
    Plugin {
        /// Its name.
        name: String,
        /// What it says.
        source: PluginError,
    },
    /// Two auth providers are chosen.
    #[error("only one auth provider can decide, but the configuration names {0}")]
    SeveralAuthProviders(String),
    /// `authorization` or users stand beside another provider, which would ignore them.
    #[error(
        "auth provider {0} does not read `authorization` and the users of `accounts`: remove them, or the provider"
    )]
    UnusedUsers(String),
    /// A service did not start.
    #[error("can't start a service: {0}")]
    Service(ServiceError),
    /// A listener did not start.
    #[error("{0}")]
    Listen(#[from] io::Error),
}

impl Server {
    /// Starts a broker: stores and services first, listeners last. `config` must have been validated.
    ///
    /// # Errors
    /// See [`StartError`]; nothing is left running.
    pub async fn start(
        config: Arc<Config>,
        registry: &Registry,
        env: Env,
        identity: ServerIdentity,
    ) -> Result<Self, StartError> {
        let assembly = Assembly {
            registry,
            setup: Setup {
                env: &env,
                config: &config,
            },
        };
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
        };
        if let Err(error) = server.run(services, listeners).await {
            server.stop().await;
            return Err(error);
        }
        Ok(server)
    }

    async fn run(
        &mut self,
        services: Vec<Box<dyn Service>>,
        listeners: Vec<Box<dyn Listener>>,
    ) -> Result<(), StartError> {
        for service in services {
            service.start(&self.broker).await.map_err(StartError::Service)?;
            self.services.push(service);
        }
        for listener in listeners {
            let listener: Arc<dyn Listener> = listener.into();
            let serving = serve(listener.clone(), self.broker.clone()).await?;
            self.listeners.push((listener, serving));
        }
        Ok(())
    }

    /// Where the broker can be reached.
    pub fn endpoints(&self) -> Vec<(Endpoint, std::net::SocketAddr)> {
        self.listeners
            .iter()
            .flat_map(|(_, serving)| serving.endpoints().to_vec())
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

    /// Stops: no new connections, sessions end with what is pending written, services last.
    pub async fn stop(self) {
        for (listener, serving) in &self.listeners {
            serving.close().await;
            listener.drain().await;
        }
        self.router.stop();
        self.router.close_sessions(CloseReason::ServerShutdown);
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

    /// Tells clients that the server is about to go, and takes no new ones (CORE-83, CORE-84).
    pub async fn enter_lame_duck(&self) {
        for (_, serving) in &self.listeners {
            serving.close().await;
        }
        self.router.announce_lame_duck();
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
    let assembly = Assembly {
        registry,
        setup: Setup {
            env: &env,
            config: &config,
        },
    };
    let listener = assembly.built_in(CLIENT_LISTENER, Registry::listener)?;
    let auth = assembly.auth()?;
    let router = Arc::new(Router::new(env.clone(), identity, config, auth));
    Ok((Broker::new(router), listener.into()))
}

/// Makes the plugins that a configuration names.
struct Assembly<'a> {
    registry: &'a Registry,
    setup: Setup<'a>,
}

/// A plugin's instance under its name.
type Named<T> = (String, Box<T>);

/// How the registry finds a plugin of one kind.
type Find<T> = for<'a> fn(&'a Registry, &str) -> Result<&'a Factory<T>, RegistryError>;

impl Assembly<'_> {
    fn auth(&self) -> Result<Arc<dyn AuthProvider>, StartError> {
        let mut chosen = self.named(PluginKind::Auth, Registry::auth)?;
        if chosen.len() > 1 {
            let names: Vec<_> = chosen.iter().map(|(name, _)| name.as_str()).collect();
            return Err(StartError::SeveralAuthProviders(names.join(", ")));
        }
        let Some((name, auth)) = chosen.pop() else {
            return Ok(self.built_in(DEFAULT_AUTH, Registry::auth)?.into());
        };
        let config = self.setup.config;
        let has_users = config.authorization.is_some() || config.users().next().is_some();
        if name != DEFAULT_AUTH && has_users {
            return Err(StartError::UnusedUsers(name));
        }
        Ok(auth.into())
    }

    fn stores(&self) -> Result<Vec<Named<dyn StoreBackend>>, StartError> {
        self.named(PluginKind::Store, Registry::store)
    }

    fn services(&self) -> Result<Vec<Box<dyn Service>>, StartError> {
        let named = self.named(PluginKind::Service, Registry::service)?;
        Ok(named.into_iter().map(|(_, service)| service).collect())
    }

    /// The listener for NATS clients, where this binary has it, and those that the configuration names.
    fn listeners(&self) -> Result<Vec<Box<dyn Listener>>, StartError> {
        let mut listeners = Vec::new();
        if self.registry.listener(CLIENT_LISTENER).is_ok() {
            listeners.push(self.built_in(CLIENT_LISTENER, Registry::listener)?);
        }
        let named = self.named(PluginKind::Listener, Registry::listener)?;
        listeners.extend(named.into_iter().map(|(_, listener)| listener));
        Ok(listeners)
    }

    /// The plugins of a kind under `plugins` in the configuration.
    fn named<T: ?Sized>(&self, kind: PluginKind, find: Find<T>) -> Result<Vec<Named<T>>, StartError> {
        let empty = Table::default();
        let chosen = self.setup.config.plugins_of(kind);
        chosen
            .map(|options| {
                let table = options.node.value.as_table().unwrap_or(&empty);
                let reader = TableReader::new(table, &options.position);
                Ok((options.name.clone(), self.make(&options.name, &reader, find)?))
            })
            .collect()
    }

    /// A plugin that needs no options of its own.
    fn built_in<T: ?Sized>(&self, name: &str, find: Find<T>) -> Result<Box<T>, StartError> {
        let (table, position) = (Table::default(), Position::new("", 0, 0));
        self.make(name, &TableReader::new(&table, &position), find)
    }

    fn make<T: ?Sized>(
        &self,
        name: &str,
        options: &TableReader<'_>,
        find: Find<T>,
    ) -> Result<Box<T>, StartError> {
        let factory = find(self.registry, name)?;
        let mut report = Report::new();
        let made = factory.make(options, &mut report, &self.setup);
        if report.has_errors() {
            return Err(StartError::Options(report.reference_text()));
        }
        made.map_err(|source| StartError::Plugin {
            name: name.to_owned(),
            source,
        })
    }
}
