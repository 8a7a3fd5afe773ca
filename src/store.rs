//! `dunlin store ..`: the tools of the file store, with the terminal around them.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use dunlin_api::{Disk, Env, Logger, Secret, SystemDisk};
use dunlin_file_store::crypt::{Cipher, KeyRing};
use dunlin_file_store::tool::{self, DumpFormat, Progress, Severity, Target};
use dunlin_process::cli::{StoreAction, StoreCommand};
use dunlin_process::terminal::Terminal;

use crate::life::Failure;

/// Something is damaged.
const DAMAGED: u8 = 1;

/// The directory, or something in it, cannot be read.
const UNREADABLE: u8 = 2;

pub(crate) fn obey(command: StoreCommand, terminal: Terminal) -> ExitCode {
    match run(command, terminal) {
        Ok(code) => code,
        Err(error) => {
            terminal.refuse(&error);
            ExitCode::from(UNREADABLE)
        }
    }
}

fn run(command: StoreCommand, terminal: Terminal) -> Result<ExitCode, Failure> {
    let env = dunlin::system_env(1, Logger::silent())?;
    let target = Target {
        keys: keys(&command)?,
        directory: PathBuf::from(&command.directory),
        account: command.account,
    };
    let progress: Progress = Arc::new(move |line| terminal.complain(&line));
    match command.action {
        StoreAction::Check => {
            let report = tool::check(&env, &target, &progress)?;
            match command.is_json {
                true => terminal.say(&format!("{}\n", report.to_json()?)),
                false => terminal.say(&report.to_string()),
            };
            Ok(match report.worst() {
                Some(Severity::Damage) => ExitCode::from(DAMAGED),
                Some(Severity::Locked) => ExitCode::from(UNREADABLE),
                _ => ExitCode::SUCCESS,
            })
        }
        StoreAction::Repair => {
            let repaired = tool::repair(&env, &target, &progress)?;
            match command.is_json {
                true => terminal.say(&format!("{}\n", repaired.to_json()?)),
                false => terminal.say(&repaired.to_string()),
            };
            Ok(if repaired.left.is_empty() {
                ExitCode::SUCCESS
            } else {
                ExitCode::from(DAMAGED)
            })
        }
        StoreAction::Stat => {
            let stats = tool::stat(&env, &target, &progress)?;
            Ok(match command.is_json {
                true => terminal.say(&format!("{}\n", tool::stats_to_json(&stats)?)),
                false => terminal.say(&stats.iter().map(ToString::to_string).collect::<String>()),
            })
        }
        StoreAction::Dump { range } => {
            let format = if command.is_json {
                DumpFormat::Json
            } else {
                DumpFormat::Text
            };
            dump(&env, &target, &range, format, &progress)
        }
    }
}

fn dump(
    env: &Env,
    target: &Target,
    range: &std::ops::RangeInclusive<u64>,
    format: DumpFormat,
    progress: &Progress,
) -> Result<ExitCode, Failure> {
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let shown = tool::dump(env, target, range, format, &mut out, progress);
    let flushed = out.flush();
    match (shown, flushed) {
        // A reader that went away has seen enough.
        (Err(tool::ToolError::Output(error)), _) | (Ok(_), Err(error))
            if error.kind() == std::io::ErrorKind::BrokenPipe =>
        {
            Ok(ExitCode::SUCCESS)
        }
        (shown, flushed) => {
            shown?;
            flushed?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// The keys of an encrypted store: from a file, current and previous one a line, or from the environment.
fn keys(command: &StoreCommand) -> Result<Option<KeyRing>, Failure> {
    let cipher = if command.is_aes {
        Cipher::Aes
    } else {
        Cipher::ChaCha
    };
    let (current, previous) = match &command.key_file {
        Some(path) => {
            let bytes = SystemDisk
                .read(path.as_ref())
                .map_err(|error| format!("{path}: {error}"))?;
            let text = String::from_utf8(bytes).map_err(|_| format!("{path}: a key is text"))?;
            let mut lines = text
                .lines()
                .map(|line| line.trim_end().to_owned())
                .filter(|line| !line.is_empty());
            (lines.next(), lines.next())
        }
        None => {
            let variable = |name| std::env::var(name).ok().filter(|key| !key.is_empty());
            (variable("DUNLIN_STORE_KEY"), variable("DUNLIN_STORE_PREV_KEY"))
        }
    };
    let ring = |current| KeyRing::new(cipher, Secret::new(current), previous.map(Secret::new));
    Ok(current.map(ring))
}
