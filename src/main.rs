//! The broker as a process: the command line, and what is said about the configuration. What follows is [`life`].

mod life;

use std::fmt::Display;
use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;

use dunlin::{NATS_LEVEL, VERSION};
use dunlin_api::config::{Config, Finding, LoadError, Loaded, Report, Severity};
use dunlin_api::{Logger, Registry, SystemClock, SystemDisk};
use dunlin_process::cli::{self, Command, Flags, TLS_HELP, USAGE};
use dunlin_process::log::{LineFormat, Log, LogError, Target};
use dunlin_process::{ProcessSource, panics};

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
            for finding in loaded.report.findings() {
                complain_of(finding);
            }
            let path = flags.config.as_deref().unwrap_or_default();
            complain(&format_args!(
                "dunlin: configuration file {path} is valid ({})",
                loaded.digest
            ));
            ExitCode::SUCCESS
        }
        Ok(loaded) => refuse_configuration(&LoadError::Invalid(loaded.report)),
        Err(error) => refuse_configuration(&error),
    }
}

/// The reference's list as it is, then what can be done about it, each with its place.
fn refuse_configuration(error: &LoadError) -> ExitCode {
    let LoadError::Invalid(report) = error else {
        return refuse(error);
    };
    let code = refuse(&report.reference_text());
    for finding in report.findings() {
        if let (Some(remedy), Some(position)) = (&finding.remedy, &finding.position) {
            complain(&format_args!("  {position}: {remedy}"));
        }
    }
    code
}

fn complain_of(finding: &Finding) {
    complain(finding);
    if let Some(remedy) = &finding.remedy {
        complain(&format_args!("  {remedy}"));
    }
}

fn run(flags: &Flags) -> ExitCode {
    let mut loaded = match load(flags) {
        Ok(loaded) => loaded,
        Err(error) => return refuse_configuration(&error),
    };
    for finding in loaded.report.of(Severity::Warning) {
        complain_of(finding);
    }
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
    let outcome = registry()
        .map_err(life::Failure::from)
        .and_then(|registry| life::serve(loaded, flags, &registry, &log, &logger));
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
