//! The broker as a process: the command line, and what is said about the configuration. What follows is [`life`].

mod life;

use std::process::ExitCode;
use std::sync::Arc;

use dunlin::{NATS_LEVEL, VERSION};
use dunlin_api::config::{Config, LoadError, Loaded, Report, Severity};
use dunlin_api::{Logger, Registry, SystemClock, SystemDisk};
use dunlin_process::cli::{self, Command, Flags, TLS_HELP, USAGE};
use dunlin_process::log::{LineFormat, Log, LogError, Target};
use dunlin_process::terminal::Terminal;
use dunlin_process::{ProcessSource, Program, panics, plugins};

fn main() -> ExitCode {
    let mut words = std::env::args_os();
    let terminal = Terminal::new(Program::of(words.next().as_deref()));
    let arguments: Vec<String> = words.map(|word| word.to_string_lossy().into_owned()).collect();
    match cli::parse(&arguments) {
        Ok(command) => obey(command, terminal),
        Err(error) if error.shows_usage() => {
            terminal.complain(&error);
            terminal.say(USAGE)
        }
        Err(error) => terminal.refuse(&error),
    }
}

fn obey(command: Command, terminal: Terminal) -> ExitCode {
    match command {
        Command::Run(flags) => run(&flags, terminal),
        Command::Test(flags) => test(&flags, terminal),
        Command::Version => terminal.say(&terminal.program().version_line(VERSION, NATS_LEVEL)),
        Command::Help => terminal.say(USAGE),
        Command::HelpTls => terminal.say(TLS_HELP),
        Command::Plugins => match registry() {
            Ok(registry) => terminal.say(&plugins::list(&registry)),
            Err(error) => terminal.refuse(&error),
        },
        Command::Signal { name, target } => match cli::send_signal(&name, &target, &SystemDisk) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => terminal.refuse(&error),
        },
    }
}

fn registry() -> Result<Registry, dunlin_api::RegistryError> {
    let mut registry = Registry::new();
    dunlin_builtin::register(&mut registry)?;
    Ok(registry)
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
fn test(flags: &Flags, terminal: Terminal) -> ExitCode {
    match load(flags) {
        Ok(loaded) if loaded.report.passes_check() => {
            for finding in loaded.report.findings() {
                terminal.complain_of(finding);
            }
            let program = terminal.program().name();
            let path = flags.config.as_deref().unwrap_or_default();
            let digest = loaded.digest;
            terminal.complain(&format_args!(
                "{program}: configuration file {path} is valid ({digest})"
            ));
            ExitCode::SUCCESS
        }
        Ok(loaded) => terminal.refuse_configuration(&LoadError::Invalid(loaded.report)),
        Err(error) => terminal.refuse_configuration(&error),
    }
}

fn run(flags: &Flags, terminal: Terminal) -> ExitCode {
    let mut loaded = match load(flags) {
        Ok(loaded) => loaded,
        Err(error) => return terminal.refuse_configuration(&error),
    };
    for finding in loaded.report.of(Severity::Warning) {
        terminal.complain_of(finding);
    }
    if let Err(error) = flags.apply(&mut loaded.config) {
        return terminal.refuse(&error);
    }
    if let Err(error) = loaded.config.validate() {
        return terminal.refuse(&error);
    }
    let log = match start_log(&loaded.config) {
        Ok(log) => log,
        Err(error) => return terminal.refuse(&error),
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
