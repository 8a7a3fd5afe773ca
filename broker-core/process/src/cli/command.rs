//! Commands: the words that end the flags.
//!
//! `version` and `help` are the reference's; what follows them is not looked at, as there. The others are Dunlin's own.

use dunlin_config::Format;

use super::definition::WORDS;
use super::{CliError, Command, Shell, store};

/// What is to be done with a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConfigCommand {
    /// Say everything that is wrong with a file, also what `-t` leaves to the start.
    Check {
        /// Its path.
        file: String,
    },
    /// Show a file in another syntax.
    Convert {
        /// Its path.
        file: String,
        /// The syntax; absent, the one that the file does not have.
        to: Option<Format>,
    },
    /// Say what a reload would change, and what needs a restart.
    Diff {
        /// Path of the file in force.
        old: String,
        /// Path of the file to come.
        new: String,
    },
    /// Say what a key means.
    Explain {
        /// The key, with the keys of its blocks in front, between dots; absent, the keys of the top level are listed.
        key: Option<String>,
    },
    /// Show the JSON schema of the configuration, for editors.
    Schema,
}

/// The command of a word and what follows it.
pub(super) fn of(word: &str, arguments: &[String]) -> Result<Command, CliError> {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let name = word.to_lowercase();
    let command = match (name.as_str(), arguments.as_slice()) {
        ("version", _) => Command::Version,
        ("help", _) => Command::Help,
        ("plugins", []) => Command::Plugins,
        ("man", []) => Command::Man,
        ("completions", [shell]) => match Shell::named(shell) {
            Some(shell) => Command::Completions(shell),
            None => return Err(wrong_arguments(&name)),
        },
        ("config", arguments) => match config(arguments) {
            Some(command) => Command::Config(command),
            None => return Err(wrong_arguments(&name)),
        },
        ("store", arguments) => match store::of(arguments) {
            Some(command) => Command::Store(command),
            None => return Err(wrong_arguments(&name)),
        },
        ("plugins" | "man" | "completions", _) => return Err(wrong_arguments(&name)),
        _ => return Err(CliError::UnknownCommand(word.to_owned())),
    };
    Ok(command)
}

fn config(arguments: &[&str]) -> Option<ConfigCommand> {
    Some(match arguments {
        ["check", file] => ConfigCommand::Check {
            file: (*file).to_owned(),
        },
        ["convert", file, to @ ..] => ConfigCommand::Convert {
            file: (*file).to_owned(),
            to: match to {
                [] => None,
                ["toml"] => Some(Format::Toml),
                ["nats.conf"] => Some(Format::NatsConf),
                _ => return None,
            },
        },
        ["diff", old, new] => ConfigCommand::Diff {
            old: (*old).to_owned(),
            new: (*new).to_owned(),
        },
        ["explain"] => ConfigCommand::Explain { key: None },
        ["explain", key] => ConfigCommand::Explain {
            key: Some((*key).to_owned()),
        },
        ["schema"] => ConfigCommand::Schema,
        _ => return None,
    })
}

/// All forms of the command.
fn wrong_arguments(name: &str) -> CliError {
    let forms = WORDS.iter().filter(|word| word.name == name);
    let forms: Vec<String> = forms
        .map(|word| format!("{name} {}", word.arguments).trim_end().to_owned())
        .collect();
    CliError::Arguments(forms.join(", or "))
}
