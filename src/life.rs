//! The life of the process: from what the configuration says to the last log line.

use std::io;
use std::path::Path;
use std::sync::Arc;

use dunlin::{NATS_LEVEL, Server, VERSION};
use dunlin_api::config::{Config, Loaded};
use dunlin_api::{Env, Logger, Registry, ServerIdentity, SystemDisk};
use dunlin_process::banner::{Banner, describe};
use dunlin_process::cli::Flags;
use dunlin_process::files::write_pid_file;
use dunlin_process::log::Log;
use dunlin_process::reload::Takeover;
use dunlin_process::service_manager::ServiceManager;
use dunlin_process::signals::{Signal, Signals};
use dunlin_process::{ProcessSource, Program, identity, limits};

/// What ended the process, as one line for the operator.
pub(crate) type Failure = Box<dyn std::error::Error>;

/// Runs a broker until a signal ends it.
pub(crate) fn serve(
    loaded: Loaded,
    flags: &Flags,
    registry: Arc<Registry>,
    log: &Log,
    logger: &Logger,
) -> Result<(), Failure> {
    let descriptors = limits::raise_descriptors();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let env = dunlin::system_env(cores, logger.clone())?;
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
    let life = Life {
        flags,
        log,
        logger,
        config: Arc::new(loaded.config),
    };
    let outcome = runtime.block_on(life.live(registry, env, identity, watch));
    // Whatever still runs on it must not hold up the end.
    runtime.shutdown_background();
    outcome
}

/// What the process lives by.
struct Life<'a> {
    flags: &'a Flags,
    log: &'a Log,
    logger: &'a Logger,
    config: Arc<Config>,
}

impl Life<'_> {
    /// From start to stop.
    async fn live(
        self,
        registry: Arc<Registry>,
        env: Env,
        identity: ServerIdentity,
        mut watch: Watch<'_>,
    ) -> Result<(), Failure> {
        let (config, logger) = (&self.config, self.logger);
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
        describe(config, logger);
        logger.notice(format_args!("Server is ready"));
        let (flags, log, endpoints) = (self.flags, self.log, server.endpoints());
        let mut files = Takeover::begin(flags, &ProcessSource, log, logger, endpoints, config);
        let manager = watch.manager.clone();
        manager.watch_over(server.broker().env());
        manager.ready();
        loop {
            match watch.next().await {
                Signal::Reload => {
                    manager.reloading();
                    reload(&server, &mut files, logger).await;
                    manager.ready();
                }
                Signal::LameDuck => break be_lame_duck(&server, &mut watch).await,
                _ => break,
            }
        }
        logger.notice(format_args!("Initiating Shutdown..."));
        manager.stopping();
        tokio::select! {
            biased;
            () = server.stop() => {}
            () = watch.stop() => logger.warn(format_args!("Stopping at once")),
        }
        drop(files);
        logger.notice(format_args!("Server Exiting.."));
        Ok(())
    }
}

async fn reload(server: &Server, files: &mut Takeover<'_>, logger: &Logger) {
    let (reason, remedies) = match files.read() {
        Ok(Loaded { config, digest, .. }) => match server.reload(config, &digest, files).await {
            Ok(_) => return,
            Err(error) => (error.to_string(), Vec::new()),
        },
        Err(error) => (error.reason, error.remedies),
    };
    logger.error(format_args!("Failed to reload server configuration: {reason}"));
    for remedy in remedies {
        logger.error(format_args!("{remedy}"));
    }
}

async fn be_lame_duck(server: &Server, watch: &mut Watch<'_>) {
    watch.manager.status("Lame duck");
    watch.is_lame_duck = true;
    tokio::select! {
        biased;
        () = watch.stop() => {}
        () = server.lame_duck() => {}
    }
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
                Signal::Reload => self.logger.error(format_args!(
                    "Failed to reload server configuration: the server is about to start or to stop"
                )),
                _ => {}
            }
        }
    }
}
