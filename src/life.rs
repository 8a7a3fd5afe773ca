//! The life of the process: from what the configuration says to the last log line.

use std::io;
use std::path::Path;
use std::sync::Arc;

use dunlin::{NATS_LEVEL, Server, VERSION};
use dunlin_api::config::{Config, Loaded};
use dunlin_api::{
    Env, EnvParts, Logger, Registry, ServerIdentity, Shards, SystemClock, SystemDisk, SystemRandom,
};
use dunlin_net::TcpNetwork;
use dunlin_process::banner::{Banner, describe};
use dunlin_process::cli::Flags;
use dunlin_process::files::{PortsFile, write_pid_file};
use dunlin_process::log::Log;
use dunlin_process::service_manager::ServiceManager;
use dunlin_process::signals::{Signal, Signals};
use dunlin_process::{Program, identity, limits};

/// What ended the process, as one line for the operator.
pub(crate) type Failure = Box<dyn std::error::Error>;

/// Runs a broker until a signal ends it.
pub(crate) fn serve(
    loaded: Loaded,
    flags: &Flags,
    registry: &Registry,
    log: &Log,
    logger: &Logger,
) -> Result<(), Failure> {
    let descriptors = limits::raise_descriptors();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let env = Env::new(EnvParts {
        clock: Box::new(SystemClock),
        random: Box::new(SystemRandom),
        network: Box::new(TcpNetwork::new()),
        disk: Box::new(SystemDisk),
        execution: Box::new(Shards::start(cores)?),
        logger: logger.clone(),
    });
    let identity = identity::new_identity(&env, loaded.config.server_name.as_deref(), NATS_LEVEL)?;
    let banner = Banner {
        program: Program::current(),
        version: VERSION,
        identity: &identity,
        loaded: &loaded,
        file: flags.config.as_deref(),
        flags_without_effect: &flags.without_effect,
    };
    banner.announce(logger);
    logger.debug(format_args!("{cores} shards, descriptors: {descriptors:?}"));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let watch = runtime.block_on(async { Watch::begin(log, logger) })?;
    let outcome = runtime.block_on(live(Arc::new(loaded.config), registry, env, identity, watch));
    // Whatever still runs on it must not hold up the end.
    runtime.shutdown_background();
    outcome
}

/// From start to stop.
async fn live(
    config: Arc<Config>,
    registry: &Registry,
    env: Env,
    identity: ServerIdentity,
    mut watch: Watch<'_>,
) -> Result<(), Failure> {
    let logger = watch.logger;
    if let Some(path) = config.pid_file.as_ref().filter(|path| !path.is_empty()) {
        write_pid_file(&SystemDisk, Path::new(path))
            .map_err(|error| format!("Could not write pidfile: {error}"))?;
    }
    let server = tokio::select! {
        biased;
        () = watch.stop() => {
            logger.notice(format_args!("Stopping before the start is complete"));
            return Ok(());
        }
        server = Server::start(config.clone(), registry, env, identity) => server?,
    };
    describe(&config, logger);
    logger.notice(format_args!("Server is ready"));
    let ports_file = write_ports_file(&config, &server, logger);
    let manager = watch.manager.clone();
    manager.watch_over(server.broker().env());
    manager.ready();
    if watch.next().await == Signal::LameDuck {
        manager.status("Lame duck");
        watch.is_lame_duck = true;
        tokio::select! {
            biased;
            () = watch.stop() => {}
            () = server.lame_duck() => {}
        }
    }
    logger.notice(format_args!("Initiating Shutdown..."));
    manager.stopping();
    tokio::select! {
        biased;
        () = server.stop() => {}
        () = watch.stop() => logger.warn(format_args!("Stopping at once")),
    }
    drop(ports_file);
    logger.notice(format_args!("Server Exiting.."));
    Ok(())
}

/// The ports file, where one is wanted. A broker that cannot write it serves all the same.
fn write_ports_file(config: &Config, server: &Server, logger: &Logger) -> Option<PortsFile> {
    let folder = Path::new(
        config
            .ports_file_dir
            .as_ref()
            .filter(|folder| !folder.is_empty())?,
    );
    let file = PortsFile::write(Arc::new(SystemDisk), folder, &server.endpoints());
    file.inspect_err(|error| {
        logger.error(format_args!(
            "Error writing ports file ({}): {error}",
            folder.display()
        ))
    })
    .ok()
}

/// Minds signals. Those that need no server are dealt with at any time: the log can be opened anew, too, while a
/// broker starts or is a lame duck.
struct Watch<'a> {
    signals: Signals,
    log: &'a Log,
    logger: &'a Logger,
    manager: ServiceManager,
    is_lame_duck: bool,
}

impl<'a> Watch<'a> {
    fn begin(log: &'a Log, logger: &'a Logger) -> io::Result<Self> {
        Ok(Self {
            signals: Signals::listen(logger.clone())?,
            log,
            logger,
            manager: ServiceManager::of(|name| std::env::var(name).ok()),
            is_lame_duck: false,
        })
    }

    /// Waits for a signal that the server is concerned with. Cancel-safe.
    async fn next(&mut self) -> Signal {
        loop {
            match self.signals.next().await {
                Signal::ReopenLog => self.log.reopen(),
                Signal::Reload => self.logger.error(format_args!(
                    "Failed to reload server configuration: this version of Dunlin cannot reload; restart it instead"
                )),
                signal => return signal,
            }
        }
    }

    /// Waits for a signal to stop, which TERM is not to a lame duck (CORE-136). Cancel-safe.
    async fn stop(&mut self) {
        loop {
            match self.next().await {
                Signal::Interrupt => return,
                Signal::Terminate if !self.is_lame_duck => return,
                _ => {}
            }
        }
    }
}
