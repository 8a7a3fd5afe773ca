//! The configuration that the process is asked to use, read from the machine.

use std::process::ExitCode;

use dunlin_config::{Config, LoadError, Loaded, Report};

use crate::ProcessSource;
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

/// `-t`: reads `file`, says what it found, and no more (CORE-124, CORE-129).
pub fn check(file: &str, terminal: Terminal) -> ExitCode {
    match load(Some(file)) {
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
