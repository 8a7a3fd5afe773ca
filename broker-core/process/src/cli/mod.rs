//! The command line: nats-server's flags, in Go's style.
//!
//! A hand-written table: `-port 4222`, `--port=4222` and `-js=false` are one flag each, which the usual parsers read as
//! bundles of short ones. Rules: CORE-128 to CORE-130, CORE-137.

mod flags;
mod signal;
mod usage;

pub use flags::Flags;
pub use signal::{SignalError, send_signal};
pub use usage::USAGE;

/// What the command line asks for.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Run a broker.
    Run(Box<Flags>),
    /// Check the configuration file and exit.
    Test(Box<Flags>),
    /// Show the version.
    Version,
    /// Show the usage.
    Help,
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

/// Why a command line is not understood. `Display` is the reference's text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CliError {
    /// There is no such flag. Usage follows, and the exit code is 0, as the reference has it.
    #[error("flag provided but not defined: -{0}")]
    UnknownFlag(String),
    /// A flag stands last and lacks its value.
    #[error("flag needs an argument: -{0}")]
    MissingValue(String),
    /// A value is of the wrong kind.
    #[error("invalid value {value:?} for flag -{flag}: parse error")]
    BadValue {
        /// The flag.
        flag: String,
        /// The value.
        value: String,
    },
    /// A boolean flag has a value that is none.
    #[error("invalid boolean value {value:?} for -{flag}: parse error")]
    BadBoolean {
        /// The flag.
        flag: String,
        /// The value.
        value: String,
    },
    /// A word that is no command.
    #[error("unrecognized command: {0:?}")]
    UnknownCommand(String),
    /// `-t` without `-c`.
    #[error("must specify [-c, --config] option to check configuration file syntax")]
    NothingToTest,
    /// A flag whose feature this version does not have.
    #[error("flag --{flag}: {feature} is not available in this version of Dunlin; leave the flag out")]
    NotAvailable {
        /// The flag.
        flag: String,
        /// What it would switch on.
        feature: &'static str,
    },
}

impl CliError {
    /// Whether the usage is shown with it; the exit code is then 0 (CORE-129).
    pub fn shows_usage(&self) -> bool {
        matches!(
            self,
            Self::UnknownFlag(_) | Self::MissingValue(_) | Self::BadValue { .. } | Self::BadBoolean { .. }
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
    while let Some(argument) = rest.next() {
        let Some(name) = argument.strip_prefix('-').filter(|name| !name.is_empty()) else {
            return command(argument, flags);
        };
        let name = name.strip_prefix('-').unwrap_or(name);
        if name.is_empty() {
            // `--` ends the flags.
            return rest
                .next()
                .map_or_else(|| finish(flags.clone()), |word| command(word, flags.clone()));
        }
        let (name, value) = match name.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (name, None),
        };
        flags.set(name, value, &mut rest)?;
    }
    finish(flags)
}

fn command(word: &str, flags: Flags) -> Result<Command, CliError> {
    match word.to_ascii_lowercase().as_str() {
        "version" => Ok(Command::Version),
        "help" => Ok(Command::Help),
        "plugins" => Ok(Command::Plugins),
        "" => finish(flags),
        _ => Err(CliError::UnknownCommand(word.to_owned())),
    }
}

fn finish(flags: Flags) -> Result<Command, CliError> {
    if flags.version {
        return Ok(Command::Version);
    }
    if flags.help {
        return Ok(Command::Help);
    }
    if let Some(signal) = &flags.signal {
        let (name, target) = signal.split_once('=').unwrap_or((signal, ""));
        return Ok(Command::Signal {
            name: name.to_owned(),
            target: target.to_owned(),
        });
    }
    if flags.test {
        return match flags.config {
            Some(_) => Ok(Command::Test(Box::new(flags))),
            None => Err(CliError::NothingToTest),
        };
    }
    if let Some((flag, feature)) = flags.unavailable.first() {
        return Err(CliError::NotAvailable {
            flag: flag.clone(),
            feature,
        });
    }
    Ok(Command::Run(Box::new(flags)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Command, CliError> {
        let arguments: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        parse(&arguments)
    }

    fn flags(line: &str) -> Flags {
        match parsed(line) {
            Ok(Command::Run(flags)) => *flags,
            other => panic!("{line}: {other:?}"),
        }
    }

    // CORE-128
    #[test]
    fn one_dash_two_dashes_and_equals_are_the_same() {
        for line in ["-p 4333", "-port 4333", "--port 4333", "--port=4333", "-p=4333"] {
            assert_eq!(flags(line).port, Some(4333), "{line}");
        }
    }

    // CORE-128: booleans take a value only behind an equals sign.
    #[test]
    fn booleans_stand_alone_or_behind_an_equals_sign() {
        assert_eq!(flags("-D").debug, Some(true));
        assert_eq!(flags("-D=false").debug, Some(false));
        assert_eq!(parsed("-D false"), Err(CliError::UnknownCommand("false".into())));
        let both = flags("-DV");
        assert_eq!((both.debug, both.trace), (Some(true), Some(true)));
        let all = flags("-DVV");
        assert_eq!(
            (all.debug, all.trace, all.trace_verbose),
            (Some(true), Some(true), Some(true))
        );
    }

    // CORE-129
    #[test]
    fn what_is_wrong_is_told_in_the_references_words() {
        let told = |line: &str| parsed(line).unwrap_err().to_string();
        assert_eq!(told("-x"), "flag provided but not defined: -x");
        assert_eq!(told("--nope=1"), "flag provided but not defined: -nope");
        assert_eq!(told("-p abc"), "invalid value \"abc\" for flag -p: parse error");
        assert_eq!(told("-p"), "flag needs an argument: -p");
        assert_eq!(
            told("-D=maybe"),
            "invalid boolean value \"maybe\" for -D: parse error"
        );
        assert_eq!(told("foo"), "unrecognized command: \"foo\"");
        assert_eq!(
            told("-t"),
            "must specify [-c, --config] option to check configuration file syntax"
        );
    }

    #[test]
    fn commands_are_words_and_flags() {
        assert_eq!(parsed("version"), Ok(Command::Version));
        assert_eq!(parsed("-v"), Ok(Command::Version));
        assert_eq!(parsed("--help"), Ok(Command::Help));
        assert_eq!(parsed("plugins"), Ok(Command::Plugins));
        assert!(matches!(parsed("-t -c x.conf"), Ok(Command::Test(_))));
        let signal = Command::Signal {
            name: "quit".into(),
            target: "12".into(),
        };
        assert_eq!(parsed("--signal quit=12"), Ok(signal));
    }

    #[test]
    fn a_flag_without_its_feature_is_refused() {
        let error = parsed("-js").unwrap_err();
        assert!(
            error.to_string().contains("JetStream is not available"),
            "{error}"
        );
        assert!(!error.shows_usage());
        assert!(matches!(parsed("-js=false"), Ok(Command::Run(_))));
    }
}
