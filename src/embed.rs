//! A broker inside a program, in three lines: configuration, start, connect.

use std::io;
use std::num::NonZero;
use std::sync::Arc;

use dunlin_api::config::{Config, ConfigError, Format, LoadError, Loaded, Severity};
use dunlin_api::{
    Env, EnvParts, LogSink, Logger, Registry, RegistryError, Shards, SystemClock, SystemDisk, SystemRandom,
};
use dunlin_net::TcpNetwork;
use dunlin_process::{ProcessSource, identity};
use dunlin_server::{Server, StartError};

use crate::NATS_LEVEL;

/// A broker about to start, with the built-in plugins, threads of its own and an identity of its own. It minds no
/// signals, and nothing of it is global: any number run beside each other.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// let broker = dunlin::Builder::default().without_client_port();
/// let server = broker.start().await?;
/// let stream = server.connect_in_process()?;
/// # drop(stream);
/// # server.stop().await;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[must_use]
pub struct Builder {
    config: Config,
    /// What is doubtful about the configuration; said when the broker starts.
    remarks: Vec<String>,
    registry: Option<Registry>,
    sink: Option<Arc<dyn LogSink>>,
    shards: usize,
    has_client_port: bool,
}

/// Why there is no broker: one clear line.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The configuration cannot be read.
    #[error("{}", .0.to_string().trim_end())]
    Load(#[from] LoadError),
    /// Options contradict each other.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Two built-in plugins have the same name.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// The system gives no threads.
    #[error("can't start the broker's threads: {0}")]
    Threads(io::Error),
    /// The server's keys cannot be made.
    #[error("can't make the server's keys: {0}")]
    Identity(String),
    /// A plugin or a listener does not start.
    #[error(transparent)]
    Start(#[from] StartError),
}

impl Default for Builder {
    /// The default configuration: port 4222 on every interface, no users.
    fn default() -> Self {
        Self::from_config(Config::default())
    }
}

impl Builder {
    /// With a configuration that the program has made.
    pub fn from_config(config: Config) -> Self {
        Self {
            config,
            remarks: Vec::new(),
            registry: None,
            sink: None,
            shards: std::thread::available_parallelism().map_or(1, NonZero::get),
            has_client_port: true,
        }
    }

    /// With the configuration that `text` is, in TOML or in the syntax of nats-server.
    ///
    /// # Errors
    /// [`BuildError::Load`], with line and column.
    pub fn from_text(text: &str, format: Format) -> Result<Self, BuildError> {
        let loaded = Config::load_content(text.as_bytes(), "configuration", format, &ProcessSource)?;
        Ok(Self::from_loaded(loaded))
    }

    /// With the configuration file at `path`; by its extension it is TOML or nats.conf. Waits for the disk.
    ///
    /// # Errors
    /// [`BuildError::Load`], with file, line and column.
    pub fn from_file(path: &str) -> Result<Self, BuildError> {
        Ok(Self::from_loaded(Config::load(path, &ProcessSource)?))
    }

    fn from_loaded(Loaded { config, report, .. }: Loaded) -> Self {
        let remarks = report.of(Severity::Warning).into_iter().map(ToString::to_string);
        Self {
            remarks: remarks.collect(),
            ..Self::from_config(config)
        }
    }

    /// Plugins other than the built-in ones.
    pub fn registry(mut self, registry: Registry) -> Self {
        self.registry = Some(registry);
        self
    }

    /// Where log lines go: nowhere unless this is called. `log_file` and its like are the process's business and have
    /// no effect here; `debug` and `trace` have.
    pub fn log_to(mut self, sink: Arc<dyn LogSink>) -> Self {
        self.sink = Some(sink);
        self
    }

    /// How many threads the broker has (at least one); as many as the machine has cores unless this is called.
    pub fn shards(mut self, count: usize) -> Self {
        self.shards = count;
        self
    }

    /// No port for NATS clients, whatever `listen` says: they are in this process and connect by
    /// [`Server::connect_in_process`].
    pub fn without_client_port(mut self) -> Self {
        self.has_client_port = false;
        self
    }

    /// Starts the broker. It runs until [`Server::stop`]; start and stop are awaited on any Tokio runtime with
    /// timers, the rest is done by threads of its own.
    ///
    /// # Errors
    /// See [`BuildError`]; nothing is left running.
    pub async fn start(self) -> Result<Server, BuildError> {
        self.config.validate()?;
        let logger = self.sink.map_or_else(Logger::silent, Logger::new);
        logger.set_levels(self.config.debug, self.config.trace);
        for remark in &self.remarks {
            logger.warn(format_args!("{remark}"));
        }
        let registry = match self.registry {
            Some(registry) => registry,
            None => built_in_plugins()?,
        };
        let env = system_env(self.shards, logger).map_err(BuildError::Threads)?;
        let identity = identity::new_identity(&env, self.config.server_name.as_deref(), NATS_LEVEL)
            .map_err(|error| BuildError::Identity(error.to_string()))?;
        let (config, registry) = (Arc::new(self.config), Arc::new(registry));
        let server = if self.has_client_port {
            Server::start(config, registry, env, identity).await
        } else {
            Server::start_without_client_port(config, registry, env, identity).await
        };
        Ok(server?)
    }
}

/// The machine as a broker's environment, with so many shards (at least one), each a thread.
///
/// # Errors
/// The system gives no thread or no event queue.
pub fn system_env(shards: usize, logger: Logger) -> io::Result<Env> {
    Ok(Env::new(EnvParts {
        clock: Box::new(SystemClock),
        random: Box::new(SystemRandom),
        network: Box::new(TcpNetwork::new()),
        disk: Box::new(SystemDisk),
        execution: Box::new(Shards::start(shards)?),
        logger,
    }))
}

/// The plugins that this build has.
///
/// # Errors
/// Two of one kind have the same name.
pub fn built_in_plugins() -> Result<Registry, RegistryError> {
    let mut registry = Registry::new();
    dunlin_builtin::register(&mut registry)?;
    Ok(registry)
}
