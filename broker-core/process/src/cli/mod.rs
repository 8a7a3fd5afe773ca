//! The command line: nats-server's flags, in Go's style.
//!
//! A hand-written table: `-port 4222`, `--port=4222` and `-DV` are one flag each, which the usual parsers read as
//! bundles of short ones. Decides what is asked for; prints and does nothing, but for [`send_signal`].
//! Rules: CORE-128 to CORE-130, CORE-137.

mod apply;
mod blocks;
mod command;
mod completions;
mod definition;
mod flags;
mod man;
mod redact;
mod signal;
mod store;
mod usage;

#[cfg(test)]
mod tests;

use dunlin_config::quote;

pub use command::ConfigCommand;
pub use completions::Shell;
pub use flags::Flags;
pub use man::manual;
pub use redact::redacted;
pub use signal::{SignalError, send_signal};
pub use store::{StoreAction, StoreCommand};
pub use usage::{tls_help, usage};

/// What the command line asks for.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Run a broker.
    Run(Box<Flags>),
    /// Check a configuration file and exit.
    Test {
        /// Its path.
        file: String,
    },
    /// Show the version.
    Version,
    /// Show [`usage`].
    Help,
    /// Show [`tls_help`].
    HelpTls,
    /// Show the completions for a shell.
    Completions(Shell),
    /// Show [`manual`].
    Man,
    /// Look at a configuration.
    Config(ConfigCommand),
    /// Look at a store directory, or repair it.
    Store(StoreCommand),
    /// List the plugins of this binary.
    Plugins,
    /// Send a signal: its name, and to whom.
    Signal {
        /// `stop`, `quit`, `reopen`, `reload`, `ldm` or `term`.
        name: String,
        /// A pid, a pattern of pids, or a pid file; empty for the only broker that runs.
        target: String,
    },
}

/// Why a command line is not obeyed. `Display` is the reference's text where it has one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CliError {
    /// Dashes that begin no flag: `---x`, `-=x`.
    #[error("bad flag syntax: {0}")]
    BadSyntax(String),
    /// There is no such flag.
    #[error("flag provided but not defined: -{0}")]
    UnknownFlag(String),
    /// A flag stands last and lacks its value.
    #[error("flag needs an argument: -{0}")]
    MissingValue(String),
    /// A value is no number, or too large a one.
    #[error("invalid value {} for flag -{flag}: {reason}", quote(.value))]
    BadValue {
        /// The flag, as it was written.
        flag: String,
        /// The value.
        value: String,
        /// `parse error` or `value out of range`.
        reason: &'static str,
    },
    /// A boolean flag has a value that is none.
    #[error("invalid boolean value {} for -{flag}: parse error", quote(.value))]
    BadBoolean {
        /// The flag, as it was written.
        flag: String,
        /// The value.
        value: String,
    },
    /// A word that is no command.
    #[error("unrecognized command: {}", quote(.0))]
    UnknownCommand(String),
    /// A command with other arguments than it takes.
    #[error("usage: {0}")]
    Arguments(String),
    /// `--signal` with more than one `=`.
    #[error("invalid signal parameters: [{0}]")]
    SignalParameters(String),
    /// `-t` without `-c`.
    #[error("must specify [-c, --config] option to check configuration file syntax")]
    NothingToTest,
    /// A flag of TLS without `--tlscert`.
    #[error("TLS Server certificate must be present and valid")]
    NoCertificate,
    /// A flag of TLS without `--tlskey`.
    #[error("TLS Server private key must be present and valid")]
    NoPrivateKey,
    /// A port that no listener can have; the reference fails once it listens.
    #[error("flag --{flag}: {port} is not a port: 1 to 65535, -1 for any free one, or 0 for the default")]
    NoPort {
        /// The flag.
        flag: &'static str,
        /// Its value.
        port: i64,
    },
    /// A text that is no URL. It is not shown: it may hold a password. The reference crashes at some of them.
    #[error("flag --{flag}: the value {reason}")]
    NoUrl {
        /// The flag.
        flag: &'static str,
        /// What is wrong.
        reason: &'static str,
    },
    /// `--cluster` names the host only.
    #[error("{}missing port in address", address(.0))]
    NoClusterPort(String),
    /// `--cluster` has a user without a password.
    #[error("expected cluster password to be set")]
    NoClusterPassword,
    /// `--routes` without a cluster, neither by flag nor in the file.
    #[error("solicited routes require cluster capabilities, e.g. --cluster")]
    RoutesWithoutCluster,
    /// A word that names no form of log lines.
    #[error("flag --log_format: {} is neither text nor json", quote(.0))]
    NoLogFormat(String),
    /// A password that protects nothing; the reference starts and lets everybody in.
    #[error("flag --pass: a password needs a user, by --user or in the configuration file")]
    PasswordWithoutUser,
    /// Credentials by flags and in the file that cannot hold together (AUTH-6); the reference ignores one of them.
    #[error("{0}: the flags --user and --auth do not go together with what the configuration file has")]
    Credentials(&'static str),
}

/// How Go begins the message, where there is an address.
fn address(host: &str) -> String {
    match host {
        "" => String::new(),
        host => format!("address {host}: "),
    }
}

impl CliError {
    /// Whether the usage is shown with it, on standard output. The exit code is then 0, otherwise 1 (CORE-129).
    pub fn shows_usage(&self) -> bool {
        matches!(
            self,
            Self::BadSyntax(_)
                | Self::UnknownFlag(_)
                | Self::MissingValue(_)
                | Self::BadValue { .. }
                | Self::BadBoolean { .. }
        )
    }
}

/// Reads the arguments, without the program's name.
///
/// # Errors
/// See [`CliError`].
pub fn parse(arguments: &[String]) -> Result<Command, CliError> {
    let mut flags = Flags::default();
    let mut rest = arguments.iter();
    let words = loop {
        let Some(argument) = rest.next() else {
            break Vec::new();
        };
        let Some(flag) = argument.strip_prefix('-').filter(|flag| !flag.is_empty()) else {
            break std::iter::once(argument).chain(rest).cloned().collect();
        };
        let flag = flag.strip_prefix('-').unwrap_or(flag);
        if flag.is_empty() {
            // `--` ends the flags.
            break rest.cloned().collect();
        }
        if flag.starts_with(['-', '=']) {
            return Err(CliError::BadSyntax(argument.clone()));
        }
        let (name, value) = match flag.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (flag, None),
        };
        flags.set(name, value, &mut rest)?;
    };
    decide(flags, &words)
}

/// In the reference's order: what is shown, then words, then signals, then the rest.
fn decide(flags: Flags, words: &[String]) -> Result<Command, CliError> {
    if flags.version {
        return Ok(Command::Version);
    }
    if flags.help {
        return Ok(Command::Help);
    }
    if flags.help_tls {
        return Ok(Command::HelpTls);
    }
    if let [word, arguments @ ..] = words {
        return command::of(word, arguments);
    }
    if let Some(signal) = flags.signal.as_ref().filter(|signal| !signal.is_empty()) {
        return signal_command(signal);
    }
    if flags.test {
        return match flags.config {
            Some(file) => Ok(Command::Test { file }),
            None => Err(CliError::NothingToTest),
        };
    }
    flags.check()?;
    Ok(Command::Run(Box::new(flags)))
}

fn signal_command(signal: &str) -> Result<Command, CliError> {
    let (name, target) = signal.split_once('=').unwrap_or((signal, ""));
    if let Some((_, more)) = target.split_once('=') {
        return Err(CliError::SignalParameters(more.replace('=', " ")));
    }
    Ok(Command::Signal {
        name: name.to_owned(),
        target: target.to_owned(),
    })
}
