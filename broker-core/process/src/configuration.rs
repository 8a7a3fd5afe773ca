//! The configuration that the process is asked to use, read from the machine.

use std::path::Path;
use std::process::ExitCode;

use dunlin_config::reload::Plan;
use dunlin_config::{
    Config, ConfigSection, Format, KeyStatus, LoadError, Loaded, Report, Source, convert, explain,
    json_schema,
};

use crate::ProcessSource;
use crate::cli::ConfigCommand;
use crate::terminal::Terminal;

/// What `file` says, or the defaults without one.
///
/// # Errors
/// See [`LoadError`]; [`Terminal::refuse_configuration`] shows it.
pub fn load(file: Option<&str>) -> Result<Loaded, LoadError> {
    match file {
        Some(path) => Config::load(path, &ProcessSource),
        None => Ok(Loaded {
            config: Config::default(),
            report: Report::new(),
            digest: String::new(),
        }),
    }
}

/// Looks at what a configuration names outside of itself, such as certificates, and reports what is wrong there.
pub type Probe = fn(&Config, &mut Report);

/// `-t`: reads `file` and what it names, says what it found, and no more (CORE-124, CORE-129).
pub fn check(file: &str, probe: Probe, terminal: Terminal) -> ExitCode {
    let probed = load(Some(file)).map(|mut loaded| {
        probe(&loaded.config, &mut loaded.report);
        loaded
    });
    match probed {
        Ok(loaded) if loaded.report.passes_check() => {
            for finding in loaded.report.findings() {
                terminal.complain_of(finding);
            }
            let (program, digest) = (terminal.program().name(), loaded.digest);
            terminal.complain(&format_args!(
                "{program}: configuration file {file} is valid ({digest})"
            ));
            ExitCode::SUCCESS
        }
        Ok(loaded) => terminal.refuse_configuration(&LoadError::Invalid(loaded.report)),
        Err(error) => terminal.refuse_configuration(&error),
    }
}

/// `dunlin config ..`.
pub fn obey(command: ConfigCommand, probe: Probe, terminal: Terminal) -> ExitCode {
    match command {
        ConfigCommand::Check { file } => check_all(&file, probe, terminal),
        ConfigCommand::Convert { file, to } => show_converted(&file, to, terminal),
        ConfigCommand::Diff { old, new } => show_plan(&old, &new, terminal),
        ConfigCommand::Explain { key: None } => terminal.say(&keys()),
        ConfigCommand::Explain { key: Some(key) } => match explain(&key) {
            Ok(explanation) => terminal.say(&explanation.to_string()),
            Err(error) => terminal.refuse(&error),
        },
        ConfigCommand::Schema => terminal.say(&json_schema()),
    }
}

/// All that is wrong, each with its remedy. Fails where `-t` or a start would.
fn check_all(file: &str, probe: Probe, terminal: Terminal) -> ExitCode {
    let mut report = dunlin_config::check(file, &ProcessSource);
    if let Ok(loaded) = load(Some(file)) {
        probe(&loaded.config, &mut report);
    }
    for finding in report.findings() {
        terminal.complain_of(finding);
    }
    match report.passes_check() {
        true => terminal.say(&format!("{file} is valid\n")),
        false => ExitCode::FAILURE,
    }
}

/// One line a key that differs; fails where a reload would be refused.
fn show_plan(old: &str, new: &str, terminal: Terminal) -> ExitCode {
    let (old, new) = match (load(Some(old)), load(Some(new))) {
        (Ok(old), Ok(new)) => (old.config, new.config),
        (Err(error), _) | (_, Err(error)) => return terminal.refuse_configuration(&error),
    };
    if let Err(error) = new.validate() {
        return terminal.refuse(&error);
    }
    let plan = Plan::between(&old, &new);
    let text: String = plan.changes.iter().map(|change| format!("{change}\n")).collect();
    terminal.say(&text);
    match plan.check() {
        Ok(()) => ExitCode::SUCCESS,
        Err(refusal) => terminal.refuse(&refusal),
    }
}

fn show_converted(file: &str, to: Option<Format>, terminal: Terminal) -> ExitCode {
    let content = match ProcessSource.read(Path::new(file)) {
        Ok(content) => content,
        Err(error) => {
            let reason = dunlin_api::system_error::failed("open", Path::new(file), &error);
            return terminal.refuse(&reason);
        }
    };
    let from = Format::of(file);
    let to = to.unwrap_or(match from {
        Format::NatsConf => Format::Toml,
        Format::Toml => Format::NatsConf,
    });
    match convert(&content, file, from, to, &ProcessSource) {
        Ok(converted) => {
            for finding in converted.report.findings() {
                terminal.complain_of(finding);
            }
            terminal.say(&converted.text)
        }
        Err(error) => {
            let code = terminal.refuse(&error);
            if let Some(remedy) = &error.remedy {
                terminal.complain(&format_args!("  {remedy}"));
            }
            code
        }
    }
}

/// The keys of the top level that this version knows, one a line with the beginning of what it means.
fn keys() -> String {
    let keys = Config::keys().iter().filter(|key| !key.doc.is_empty());
    keys.map(|key| {
        let meaning = key.doc.lines().next().unwrap_or_default();
        let yet = match key.status {
            KeyStatus::Active => "",
            KeyStatus::Inert => " (no effect yet)",
            KeyStatus::Refused => " (refused)",
        };
        format!("{:<26} {meaning}{yet}\n", key.name)
    })
    .collect()
}
