//! `store ..`: what is to be done with a store directory.

use std::ops::RangeInclusive;

/// What is to be done with a store directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreCommand {
    /// What.
    pub action: StoreAction,
    /// Path of a `store_dir`, or of an account or stream in it.
    pub directory: String,
    /// The account, where the path does not tell.
    pub account: Option<String>,
    /// Path of a file with the key of an encrypted store; the next line has the key before it.
    pub key_file: Option<String>,
    /// Whether new keys are for AES rather than ChaCha.
    pub is_aes: bool,
    /// Whether the answer is JSON.
    pub is_json: bool,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreAction {
    /// Verify every file and record.
    Check,
    /// Make it open again.
    Repair,
    /// Say what is there.
    Stat,
    /// Show messages.
    Dump {
        /// Their sequences.
        range: RangeInclusive<u64>,
    },
}

/// `None`: other arguments than it takes.
pub(super) fn of(arguments: &[&str]) -> Option<StoreCommand> {
    let [action, directory, options @ ..] = arguments else {
        return None;
    };
    let mut range = 0..=u64::MAX;
    let mut command = StoreCommand {
        action: StoreAction::Check,
        directory: (*directory).to_owned(),
        account: None,
        key_file: None,
        is_aes: false,
        is_json: false,
    };
    let mut options = options.iter();
    while let Some(option) = options.next() {
        match option.trim_start_matches('-') {
            "json" => command.is_json = true,
            "account" => command.account = Some((*options.next()?).to_owned()),
            "key-file" => command.key_file = Some((*options.next()?).to_owned()),
            "cipher" => {
                command.is_aes = match *options.next()? {
                    "aes" => true,
                    "chacha" | "chachapoly" => false,
                    _ => return None,
                }
            }
            "from" => range = options.next()?.parse().ok()?..=*range.end(),
            "to" => range = *range.start()..=options.next()?.parse().ok()?,
            _ => return None,
        }
    }
    command.action = match *action {
        "check" => StoreAction::Check,
        "repair" => StoreAction::Repair,
        "stat" => StoreAction::Stat,
        "dump" => StoreAction::Dump { range },
        _ => return None,
    };
    // What the others do not take is no wish that may be passed over.
    let is_ranged = !matches!(command.action, StoreAction::Dump { .. }) && range_given(arguments);
    (!is_ranged && !directory.starts_with('-')).then_some(command)
}

fn range_given(arguments: &[&str]) -> bool {
    let mut names = arguments.iter().map(|argument| argument.trim_start_matches('-'));
    names.any(|name| matches!(name, "from" | "to"))
}
