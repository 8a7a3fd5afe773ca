//! The broker as a process: the command line, and what is said about the configuration. What follows is [`life`].

mod life;
mod store;

use std::process::ExitCode;
use std::sync::Arc;

use dunlin::{NATS_LEVEL, VERSION};
use dunlin_api::config::{Config, LoadError, Report, Severity};
use dunlin_api::{Logger, SystemDisk};
use dunlin_net::tls::ServerTls;
use dunlin_process::cli::{self, Command, Flags};
use dunlin_process::log::Log;
use dunlin_process::terminal::Terminal;
use dunlin_process::{Program, configuration, panics, plugins};

fn main() -> ExitCode {
    let terminal = Terminal::new(Program::current());
    let arguments: Vec<String> = std::env::args_os()
        .skip(1)
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    match cli::parse(&arguments) {
        Ok(command) => obey(command, &arguments, terminal),
        Err(error) if error.shows_usage() => {
            terminal.complain(&error);
            terminal.say(&cli::usage(terminal.program()))
        }
        Err(error) => terminal.refuse(&error),
    }
}

fn obey(command: Command, arguments: &[String], terminal: Terminal) -> ExitCode {
    match command {
        Command::Run(flags) => run(&flags, arguments, terminal),
        Command::Test { file } => configuration::check(&file, probe, terminal),
        Command::Version => terminal.say(&terminal.program().version_line(VERSION, NATS_LEVEL)),
        Command::Help => terminal.say(&cli::usage(terminal.program())),
        Command::HelpTls => terminal.say(&cli::tls_help()),
        Command::Completions(shell) => terminal.say(&shell.completions()),
        Command::Man => terminal.say(&cli::manual(VERSION, NATS_LEVEL)),
        Command::Config(command) => configuration::obey(command, probe, terminal),
        Command::Store(command) => store::obey(command, terminal),
        Command::Plugins => match dunlin::built_in_plugins() {
            Ok(registry) => terminal.say(&plugins::list(&registry)),
            Err(error) => terminal.refuse(&error),
        },
        Command::Signal { name, target } => {
            match cli::send_signal(&name, &target, terminal.program(), &SystemDisk) {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => terminal.refuse(&error),
            }
        }
    }
}

/// Certificates and keys must be good before anything starts.
fn probe(config: &Config, report: &mut Report) {
    ServerTls::check(config, &SystemDisk, report);
}

fn run(flags: &Flags, arguments: &[String], terminal: Terminal) -> ExitCode {
    let mut loaded = match configuration::load(flags.config.as_deref()) {
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
    let mut elsewhere = Report::new();
    probe(&loaded.config, &mut elsewhere);
    if elsewhere.has_errors() {
        return terminal.refuse_configuration(&LoadError::Invalid(elsewhere));
    }
    let log = match Log::of(&loaded.config) {
        Ok(log) => log,
        Err(error) => return terminal.refuse(&error),
    };
    let logger = Logger::new(log.clone());
    logger.set_levels(loaded.config.debug, loaded.config.trace);
    panics::log_panics(logger.clone());
    logger.debug(format_args!("Arguments: {}", cli::redacted(arguments).join(" ")));
    let outcome = dunlin::built_in_plugins()
        .map_err(life::Failure::from)
        .and_then(|registry| life::serve(loaded, flags, Arc::new(registry), &log, &logger));
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
