//! From a configuration to instances of the plugins that it names.

use std::sync::Arc;

use async_trait::async_trait;
use dunlin_api::config::{Position, Report, Table, TableReader};
use dunlin_api::{
    AccountName, AuthPosture, AuthProvider, Denied, Evidence, Factory, Listener, Login, LoginAttempt,
    PluginError, PluginKind, Registry, RegistryError, Service, Setup, StoreBackend,
};

/// The listener that the configuration's top-level keys speak of.
pub(crate) const CLIENT_LISTENER: &str = "nats";

/// The auth provider where the configuration chooses none.
const DEFAULT_AUTH: &str = "static";

/// Why the plugins of a configuration cannot be made: one clear line for the operator.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AssemblyError {
    /// A plugin of that name does not exist, or exists twice.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// A plugin's options have errors, one a line.
    #[error("{0}")]
    Options(String),
    /// The listener for NATS clients, or the default auth provider, could not be made: the operator knows it as the
    /// broker itself.
    #[error(transparent)]
    BuiltIn(PluginError),
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
}

/// Makes the plugins that a configuration names.
pub struct Assembly<'a> {
    registry: &'a Registry,
    setup: Setup<'a>,
}

/// A plugin's instance under its name.
pub type Named<T> = (String, Box<T>);

/// How the registry finds a plugin of one kind.
type Find<T> = for<'a> fn(&'a Registry, &str) -> Result<&'a Factory<T>, RegistryError>;

impl<'a> Assembly<'a> {
    /// Makes plugins of `registry` as the configuration in `setup` says.
    pub fn new(registry: &'a Registry, setup: Setup<'a>) -> Self {
        Self { registry, setup }
    }

    /// The listener for NATS clients, which needs no entry under `plugins`.
    ///
    /// # Errors
    /// This binary does not have it.
    pub fn client_listener(&self) -> Result<Box<dyn Listener>, AssemblyError> {
        self.built_in(CLIENT_LISTENER, Registry::listener)
    }

    /// The one auth provider: the named one, else `static`.
    ///
    /// # Errors
    /// It cannot be made, several are named, or users stand beside one that does not read them.
    pub fn auth(&self) -> Result<Arc<dyn AuthProvider>, AssemblyError> {
        let mut chosen = self.named(PluginKind::Auth, Registry::auth)?;
        if chosen.len() > 1 {
            let names: Vec<_> = chosen.iter().map(|(name, _)| name.as_str()).collect();
            return Err(AssemblyError::SeveralAuthProviders(names.join(", ")));
        }
        let config = self.setup.config;
        let has_users = config.authorization.is_some() || config.users().next().is_some();
        let Some((name, auth)) = chosen.pop() else {
            if !has_users && self.registry.auth(DEFAULT_AUTH).is_err() {
                // A broker built without the provider, and nobody to ask for credentials.
                return Ok(Arc::new(Everybody));
            }
            return Ok(self.built_in(DEFAULT_AUTH, Registry::auth)?.into());
        };
        if name != DEFAULT_AUTH && has_users {
            return Err(AssemblyError::UnusedUsers(name));
        }
        Ok(auth.into())
    }

    /// The stores that the configuration names.
    ///
    /// # Errors
    /// One of them cannot be made.
    pub fn stores(&self) -> Result<Vec<Named<dyn StoreBackend>>, AssemblyError> {
        self.named(PluginKind::Store, Registry::store)
    }

    /// The services that the configuration names.
    ///
    /// # Errors
    /// One of them cannot be made.
    pub fn services(&self) -> Result<Vec<Box<dyn Service>>, AssemblyError> {
        let named = self.named(PluginKind::Service, Registry::service)?;
        Ok(named.into_iter().map(|(_, service)| service).collect())
    }

    /// The listener for NATS clients first, where this binary has it, and those that the configuration names.
    ///
    /// # Errors
    /// One of them cannot be made.
    pub fn listeners(&self) -> Result<Vec<Box<dyn Listener>>, AssemblyError> {
        let mut listeners = Vec::new();
        if self.registry.listener(CLIENT_LISTENER).is_ok() {
            listeners.push(self.built_in(CLIENT_LISTENER, Registry::listener)?);
        }
        let named = self.named(PluginKind::Listener, Registry::listener)?;
        listeners.extend(named.into_iter().map(|(_, listener)| listener));
        Ok(listeners)
    }

    /// The plugins of a kind under `plugins` in the configuration.
    fn named<T: ?Sized>(&self, kind: PluginKind, find: Find<T>) -> Result<Vec<Named<T>>, AssemblyError> {
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
    fn built_in<T: ?Sized>(&self, name: &str, find: Find<T>) -> Result<Box<T>, AssemblyError> {
        let (table, position) = (Table::default(), Position::new("", 0, 0));
        let made = self.make(name, &TableReader::new(&table, &position), find);
        made.map_err(|error| match error {
            AssemblyError::Plugin { source, .. } => AssemblyError::BuiltIn(source),
            other => other,
        })
    }

    fn make<T: ?Sized>(
        &self,
        name: &str,
        options: &TableReader<'_>,
        find: Find<T>,
    ) -> Result<Box<T>, AssemblyError> {
        let factory = find(self.registry, name)?;
        let mut report = Report::new();
        let made = factory.make(options, &mut report, &self.setup);
        if report.has_errors() {
            return Err(AssemblyError::Options(report.reference_text()));
        }
        made.map_err(|source| AssemblyError::Plugin {
            name: name.to_owned(),
            source,
        })
    }
}

/// Lets everybody into the global account.
struct Everybody;

#[async_trait]
impl AuthProvider for Everybody {
    async fn renew(&self, _: &Evidence) -> Result<Login, Denied> {
        Ok(Login::into_account(AccountName::global()))
    }

    fn posture(&self) -> AuthPosture {
        AuthPosture::open()
    }

    async fn decide(&self, _: &LoginAttempt) -> Result<Login, Denied> {
        Ok(Login::into_account(AccountName::global()))
    }
}
