//! Plugins and their registry: typed where they are written, erased once, found by name.

use std::collections::BTreeMap;

use dunlin_config::{Config, ConfigSection, KeySpec, PluginKind, Report, TableReader};

use crate::auth::AuthProvider;
use crate::env::Env;
use crate::listener::Listener;
use crate::service::Service;
use crate::store::StoreBackend;

/// What every plugin says about itself, beside the trait of its kind.
///
/// ```
/// use async_trait::async_trait;
/// use dunlin_api::{AccountName, AuthPosture, AuthProvider, Component, Denied, Login, LoginAttempt, Plugin, PluginError, Setup};
/// use dunlin_config::ConfigSection;
///
/// /// Options under `[plugins.auth.door]`.
/// #[derive(ConfigSection)]
/// pub struct DoorOptions {
///     /// Whether anybody may come in.
///     #[config(default = false)]
///     pub open: bool,
/// }
///
/// struct Door(bool);
///
/// impl Component for Door {
///     const NAME: &'static str = "door";
///     const SUMMARY: &'static str = "lets everybody in, or nobody";
///     type Options = DoorOptions;
///
///     fn open(options: DoorOptions, _: &Setup<'_>) -> Result<Self, PluginError> {
///         Ok(Self(options.open))
///     }
/// }
///
/// #[async_trait]
/// impl AuthProvider for Door {
///     fn posture(&self) -> AuthPosture {
///         AuthPosture::credentials()
///     }
///
///     async fn decide(&self, _: &LoginAttempt) -> Result<Login, Denied> {
///         self.0.then(|| Login::into_account(AccountName::global())).ok_or(Denied::Credentials)
///     }
/// }
///
/// pub fn plugin() -> Plugin {
///     Plugin::auth::<Door>()
/// }
/// # assert_eq!(plugin().name(), "door");
/// ```
pub trait Component: Sized + Send + Sync + 'static {
    /// Name in the configuration.
    const NAME: &'static str;
    /// What it is, in one line, for `dunlin plugins`.
    const SUMMARY: &'static str;
    /// Options under `plugins.<kind>.<name>`; an unknown key is an error with its position.
    type Options: ConfigSection;

    /// Makes one instance. Opens no socket and starts no task; that comes with the kind's own trait.
    ///
    /// # Errors
    /// Options that cannot be acted on.
    fn open(options: Self::Options, setup: &Setup<'_>) -> Result<Self, PluginError>;
}

/// What a plugin may look at while it is made.
pub struct Setup<'a> {
    /// The seam to the world.
    pub env: &'a Env,
    /// The whole configuration; built-in plugins take the reference's top-level keys from it.
    pub config: &'a Config,
}

/// Options of a plugin that has none.
#[derive(ConfigSection)]
pub struct NoOptions {}

/// Why a plugin was not made: one clear line for the operator.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct PluginError(pub String);

/// A plugin of any kind, ready to be registered.
pub enum Plugin {
    /// A listener.
    Listener(Factory<dyn Listener>),
    /// An auth provider.
    Auth(Factory<dyn AuthProvider>),
    /// A store.
    Store(Factory<dyn StoreBackend>),
    /// A service.
    Service(Factory<dyn Service>),
}

/// Makes instances of one plugin, whose type is erased to the trait of its kind.
pub struct Factory<T: ?Sized> {
    name: &'static str,
    summary: &'static str,
    keys: fn() -> &'static [KeySpec],
    make: Maker<T>,
}

type Maker<T> = fn(&TableReader<'_>, &mut Report, &Setup<'_>) -> Result<Box<T>, PluginError>;

impl<T: ?Sized> Factory<T> {
    fn new<C: Component>(make: Maker<T>) -> Self {
        Self {
            name: C::NAME,
            summary: C::SUMMARY,
            keys: C::Options::keys,
            make,
        }
    }

    /// Makes an instance from the options in `table`.
    ///
    /// # Errors
    /// What `report` then says about the options, or what the plugin itself says.
    pub fn make(
        &self,
        table: &TableReader<'_>,
        report: &mut Report,
        setup: &Setup<'_>,
    ) -> Result<Box<T>, PluginError> {
        (self.make)(table, report, setup)
    }
}

fn open<C: Component>(
    table: &TableReader<'_>,
    report: &mut Report,
    setup: &Setup<'_>,
) -> Result<Box<C>, PluginError> {
    let options = C::Options::read(table, report);
    if report.has_errors() {
        return Err(PluginError(format!("the options of {} have errors", C::NAME)));
    }
    C::open(options, setup).map(Box::new)
}

impl Plugin {
    /// A listener.
    pub fn listener<C: Component + Listener>() -> Self {
        Self::Listener(Factory::new::<C>(|table, report, setup| {
            Ok(open::<C>(table, report, setup)?)
        }))
    }

    /// An auth provider.
    pub fn auth<C: Component + AuthProvider>() -> Self {
        Self::Auth(Factory::new::<C>(|table, report, setup| {
            Ok(open::<C>(table, report, setup)?)
        }))
    }

    /// A store.
    pub fn store<C: Component + StoreBackend>() -> Self {
        Self::Store(Factory::new::<C>(|table, report, setup| {
            Ok(open::<C>(table, report, setup)?)
        }))
    }

    /// A service.
    pub fn service<C: Component + Service>() -> Self {
        Self::Service(Factory::new::<C>(|table, report, setup| {
            Ok(open::<C>(table, report, setup)?)
        }))
    }

    /// What it is.
    pub fn kind(&self) -> PluginKind {
        match self {
            Self::Listener(_) => PluginKind::Listener,
            Self::Auth(_) => PluginKind::Auth,
            Self::Store(_) => PluginKind::Store,
            Self::Service(_) => PluginKind::Service,
        }
    }

    /// Its name in the configuration.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Listener(factory) => factory.name,
            Self::Auth(factory) => factory.name,
            Self::Store(factory) => factory.name,
            Self::Service(factory) => factory.name,
        }
    }

    /// What it is, in one line.
    pub fn summary(&self) -> &'static str {
        match self {
            Self::Listener(factory) => factory.summary,
            Self::Auth(factory) => factory.summary,
            Self::Store(factory) => factory.summary,
            Self::Service(factory) => factory.summary,
        }
    }

    /// Its options.
    pub fn keys(&self) -> &'static [KeySpec] {
        match self {
            Self::Listener(factory) => (factory.keys)(),
            Self::Auth(factory) => (factory.keys)(),
            Self::Store(factory) => (factory.keys)(),
            Self::Service(factory) => (factory.keys)(),
        }
    }
}

/// The plugins of a binary, by kind and name.
#[derive(Default)]
pub struct Registry {
    plugins: BTreeMap<(PluginKind, &'static str), Plugin>,
}

/// Why a plugin was not registered or not found. The text lists what exists.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegistryError {
    /// Two of one kind have the same name.
    #[error("two {kind} plugins are named {name:?}; registered are: {known}")]
    Duplicate {
        /// The kind.
        kind: PluginKind,
        /// The name.
        name: String,
        /// Names of that kind.
        known: String,
    },
    /// None of the kind has the name.
    #[error("there is no {kind} plugin {name:?}; this binary has: {known}")]
    Unknown {
        /// The kind.
        kind: PluginKind,
        /// The name.
        name: String,
        /// Names of that kind.
        known: String,
    },
}

impl Registry {
    /// No plugins.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a plugin.
    ///
    /// # Errors
    /// [`RegistryError::Duplicate`].
    pub fn add(&mut self, plugin: Plugin) -> Result<(), RegistryError> {
        let (kind, name) = (plugin.kind(), plugin.name());
        if self.plugins.contains_key(&(kind, name)) {
            return Err(RegistryError::Duplicate {
                kind,
                name: name.to_owned(),
                known: self.names(kind),
            });
        }
        self.plugins.insert((kind, name), plugin);
        Ok(())
    }

    /// All plugins, by kind and name.
    pub fn iter(&self) -> impl Iterator<Item = &Plugin> {
        self.plugins.values()
    }

    /// The listener with a name.
    ///
    /// # Errors
    /// [`RegistryError::Unknown`].
    pub fn listener(&self, name: &str) -> Result<&Factory<dyn Listener>, RegistryError> {
        match self.find(PluginKind::Listener, name) {
            Some(Plugin::Listener(factory)) => Ok(factory),
            _ => Err(self.unknown(PluginKind::Listener, name)),
        }
    }

    /// The auth provider with a name.
    ///
    /// # Errors
    /// [`RegistryError::Unknown`].
    pub fn auth(&self, name: &str) -> Result<&Factory<dyn AuthProvider>, RegistryError> {
        match self.find(PluginKind::Auth, name) {
            Some(Plugin::Auth(factory)) => Ok(factory),
            _ => Err(self.unknown(PluginKind::Auth, name)),
        }
    }

    /// The store with a name.
    ///
    /// # Errors
    /// [`RegistryError::Unknown`].
    pub fn store(&self, name: &str) -> Result<&Factory<dyn StoreBackend>, RegistryError> {
        match self.find(PluginKind::Store, name) {
            Some(Plugin::Store(factory)) => Ok(factory),
            _ => Err(self.unknown(PluginKind::Store, name)),
        }
    }

    /// The service with a name.
    ///
    /// # Errors
    /// [`RegistryError::Unknown`].
    pub fn service(&self, name: &str) -> Result<&Factory<dyn Service>, RegistryError> {
        match self.find(PluginKind::Service, name) {
            Some(Plugin::Service(factory)) => Ok(factory),
            _ => Err(self.unknown(PluginKind::Service, name)),
        }
    }

    fn find(&self, kind: PluginKind, name: &str) -> Option<&Plugin> {
        self.iter()
            .find(|plugin| plugin.kind() == kind && plugin.name() == name)
    }

    fn unknown(&self, kind: PluginKind, name: &str) -> RegistryError {
        RegistryError::Unknown {
            kind,
            name: name.to_owned(),
            known: self.names(kind),
        }
    }

    fn names(&self, kind: PluginKind) -> String {
        let names: Vec<_> = self
            .iter()
            .filter(|plugin| plugin.kind() == kind)
            .map(Plugin::name)
            .collect();
        if names.is_empty() {
            "none".to_owned()
        } else {
            names.join(", ")
        }
    }
}
