//! The broker as a process: command line, configuration, log, signals. Everything else is assembly ([`dunlin::Server`]).

use std::fmt::Display;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use dunlin::{NATS_LEVEL, Server, VERSION};
use dunlin_api::config::{Config, LoadError, Loaded, Report, Severity};
use dunlin_api::{
    Env, EnvParts, Logger, Registry, ServerIdentity, Shards, SystemClock, SystemDisk, SystemRandom,
};
use dunlin_net::TcpNetwork;
use dunlin_process::cli::{self, Command, Flags, TLS_HELP, USAGE};
use dunlin_process::files::{PortsFile, write_pid_file};
use dunlin_process::log::{LineFormat, Log, LogError, Target};
use dunlin_process::signals::{Signal, Signals};
use dunlin_process::{ProcessSource, identity, limits, panics};

fn main() -> ExitCode {
    let arguments = std::env::args_os().skip(1);
    let arguments: Vec<String> = arguments
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    match cli::parse(&arguments) {
        Ok(command) => obey(command),
        Err(error) if error.shows_usage() => {
            complain(&error);
            say(USAGE);
            ExitCode::SUCCESS
        }
        Err(error) => refuse(&error),
    }
}

fn obey(command: Command) -> ExitCode {
    match command {
        Command::Run(flags) => run(&flags),
        Command::Test(flags) => test(&flags),
        Command::Version => say(&format!("dunlin: v{VERSION} (nats-server: v{NATS_LEVEL})\n")),
        Command::Help => say(USAGE),
        Command::HelpTls => say(TLS_HELP),
        Command::Plugins => match registry() {
            Ok(registry) => say(&list_plugins(&registry)),
            Err(error) => refuse(&error),
        },
        Command::Signal { name, target } => match cli::send_signal(&name, &target, &SystemDisk) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => refuse(&error),
        },
    }
}

/// Writes to standard output. A reader that went away is not our trouble.
fn say(text: &str) -> ExitCode {
    let _ = io::stdout().write_all(text.as_bytes());
    ExitCode::SUCCESS
}

fn complain(text: &dyn Display) {
    let _ = writeln!(io::stderr(), "{text}");
}

fn refuse(error: &dyn Display) -> ExitCode {
    complain(&format_args!("dunlin: {error}"));
    ExitCode::FAILURE
}

fn registry() -> Result<Registry, dunlin_api::RegistryError> {
    let mut registry = Registry::new();
    dunlin_builtin::register(&mut registry)?;
    Ok(registry)
}

fn list_plugins(registry: &Registry) -> String {
    let mut text = String::new();
    for plugin in registry.iter() {
        text.push_str(&format!(
            "{:<9} {:<18} {}\n",
            plugin.kind().key(),
            plugin.name(),
            plugin.summary()
        ));
        for key in plugin.keys() {
            let doc = key.doc.lines().next().unwrap_or_default();
            text.push_str(&format!("{:<29}{}: {doc}\n", "", key.name));
        }
    }
    text
}

fn load(flags: &Flags) -> Result<Loaded, LoadError> {
    match &flags.config {
        Some(path) => Config::load(path, &ProcessSource),
        None => Ok(Loaded {
            config: Config::default(),
            report: Report::new(),
            digest: String::new(),
        }),
    }
}

/// `-t`: parse, report, and no more (CORE-124, CORE-129).
fn test(flags: &Flags) -> ExitCode {
    match load(flags) {
        Ok(loaded) if loaded.report.passes_check() => {
            print_remarks(&loaded.report);
            let path = flags.config.as_deref().unwrap_or_default();
            complain(&format_args!(
                "dunlin: configuration file {path} is valid ({})",
                loaded.digest
            ));
            ExitCode::SUCCESS
        }
        Ok(loaded) => {
            print_remedies(&loaded.report);
            refuse(&loaded.report.reference_text())
        }
        Err(error) => refuse_configuration(&error),
    }
}

fn refuse_configuration(error: &LoadError) -> ExitCode {
    let code = refuse(error);
    if let LoadError::Invalid(report) = error {
        print_remedies(report);
    }
    code
}

/// What can be done about what is wrong, each behind its place.
fn print_remedies(report: &Report) {
    for finding in report.findings() {
        if let (Some(remedy), Some(position)) = (&finding.remedy, &finding.position) {
            complain(&format_args!("  {position}: {remedy}"));
        }
    }
}

fn print_remarks(report: &Report) {
    for finding in report.findings() {
        complain(finding);
    }
}

fn run(flags: &Flags) -> ExitCode {
    let mut loaded = match load(flags) {
        Ok(loaded) => loaded,
        Err(error) => return refuse_configuration(&error),
    };
    if let Err(error) = flags.apply(&mut loaded.config) {
        return refuse(&error);
    }
    if let Err(error) = loaded.config.validate() {
        return refuse(&error);
    }
    let log = match start_log(&loaded.config) {
        Ok(log) => log,
        Err(error) => return refuse(&error),
    };
    let logger = Logger::new(log.clone());
    logger.set_levels(loaded.config.debug, loaded.config.trace);
    panics::log_panics(logger.clone());
    let outcome = serve(loaded, flags, &log, &logger);
    if let Err(error) = &outcome {
        logger.fatal(format_args!("{error}"));
    }
    log.close();
    if outcome.is_ok() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn start_log(config: &Config) -> Result<Arc<Log>, LogError> {
    let target = Target::of(config);
    let format = LineFormat::of(config, &target);
    Log::start(target, format, Box::new(SystemClock), Arc::new(SystemDisk))
}

type Failure = Box<dyn std::error::Error>;

fn serve(loaded: Loaded, flags: &Flags, log: &Log, logger: &Logger) -> Result<(), Failure> {
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
    let registry = registry()?;
    announce(&loaded, flags, &identity, logger);
    logger.debug(format_args!("{cores} shards, descriptors: {descriptors:?}"));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let config = Arc::new(loaded.config);
    runtime.block_on(live(config, &registry, env, identity, log, logger))
}

/// The banner: who starts, with which configuration, and what deserves a word (CORE-80).
fn announce(loaded: &Loaded, flags: &Flags, identity: &ServerIdentity, logger: &Logger) {
    logger.notice(format_args!("Starting dunlin"));
    logger.notice(format_args!("  Version:  {VERSION} (nats-server {NATS_LEVEL})"));
    logger.notice(format_args!("  Name:     {}", identity.name));
    logger.notice(format_args!("  ID:       {}", identity.id));
    if let Some(path) = &flags.config {
        logger.notice(format_args!(
            "Using configuration file: {path} ({})",
            loaded.digest
        ));
    }
    for finding in loaded.report.findings() {
        match finding.severity {
            Severity::Notice => logger.notice(format_args!("{finding}")),
            _ => logger.warn(format_args!("{finding}")),
        }
    }
    for flag in &flags.without_effect {
        logger.warn(format_args!(
            "flag --{flag} has no effect yet in this version of Dunlin"
        ));
    }
    if loaded.config.max_payload > 8 * 1024 * 1024 {
        logger.warn(format_args!(
            "Maximum payloads over 8.00 MB are generally discouraged and could lead to poor performance"
        ));
    }
}

/// What is on, for whom.
fn describe(config: &Config, logger: &Logger) {
    let users = config.users().count() + usize::from(single_user(config));
    let accounts = config.accounts.len();
    let has_token = config
        .authorization
        .as_ref()
        .is_some_and(|block| !block.token.is_empty());
    match (users, has_token) {
        (0, false) if config.plugins.iter().all(|plugin| plugin.kind.key() != "auth") => {
            logger.notice(format_args!(
                "Everybody who reaches this server may connect: no users are configured"
            ));
        }
        (0, true) => logger.notice(format_args!("Clients need the configured token")),
        (0, false) => {}
        _ => logger.notice(format_args!(
            "Clients need credentials: {users} users, {accounts} accounts"
        )),
    }
    for plugin in &config.plugins {
        logger.notice(format_args!("Plugin {} {} is on", plugin.kind, plugin.name));
    }
}

fn single_user(config: &Config) -> bool {
    config
        .authorization
        .as_ref()
        .is_some_and(|block| block.user.is_some())
}

/// From start to stop.
async fn live(
    config: Arc<Config>,
    registry: &Registry,
    env: Env,
    identity: ServerIdentity,
    log: &Log,
    logger: &Logger,
) -> Result<(), Failure> {
    let mut signals = Signals::listen(logger.clone())?;
    if let Some(path) = config.pid_file.as_ref().filter(|path| !path.is_empty()) {
        write_pid_file(&SystemDisk, Path::new(path))
            .map_err(|error| format!("Could not write pidfile: {error}"))?;
    }
    let server = Server::start(config.clone(), registry, env, identity).await?;
    describe(&config, logger);
    logger.notice(format_args!("Server is ready"));
    let ports_file = write_ports_file(&config, &server, logger);
    wait_for_end(&config, &server, &mut signals, log, logger).await;
    logger.notice(format_args!("Initiating Shutdown..."));
    tokio::select! {
        biased;
        () = server.stop() => {}
        _ = signals.stop() => logger.warn(format_args!("Stopping at once")),
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

/// Minds signals until one asks to stop.
async fn wait_for_end(config: &Config, server: &Server, signals: &mut Signals, log: &Log, logger: &Logger) {
    loop {
        match signals.next().await {
            Signal::Interrupt | Signal::Terminate => return,
            Signal::ReopenLog => log.reopen(),
            Signal::Reload => logger.error(format_args!(
                "Failed to reload server configuration: this version of Dunlin cannot reload; restart it instead"
            )),
            Signal::LameDuck => {
                logger.notice(format_args!("Entering lame duck mode, stop accepting new clients"));
                server.enter_lame_duck().await;
                return pass_grace(config.lame_duck_grace_period, server, signals).await;
            }
        }
    }
}

/// Waits out the grace period of a lame duck; an interrupt ends it early (CORE-136: TERM does not).
async fn pass_grace(grace: Duration, server: &Server, signals: &mut Signals) {
    let interrupted = async { while signals.next().await != Signal::Interrupt {} };
    tokio::select! {
        biased;
        () = interrupted => {}
        () = server.broker().env().sleep(grace) => {}
    }
}
