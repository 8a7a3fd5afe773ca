//! What the process says before it has a log: to standard output what was asked for, to standard error what is wrong.
//!
//! Rules: CORE-124, CORE-129.

use std::fmt::Display;
use std::io::{self, Write};
use std::process::ExitCode;

use dunlin_config::{Finding, LoadError};

use crate::program::Program;

/// The terminal, or the pipe, that started the process. A reader that went away is not our trouble.
#[derive(Clone, Copy, Debug)]
pub struct Terminal {
    program: Program,
}

impl Terminal {
    /// Errors begin with the program's name.
    pub fn new(program: Program) -> Self {
        Self { program }
    }

    /// Which program is speaking.
    pub fn program(self) -> Program {
        self.program
    }

    /// Writes what was asked for to standard output.
    pub fn say(self, text: &str) -> ExitCode {
        let _ = io::stdout().write_all(text.as_bytes());
        ExitCode::SUCCESS
    }

    /// Writes a line to standard error.
    pub fn complain(self, text: &dyn Display) {
        let _ = writeln!(io::stderr(), "{text}");
    }

    /// Writes an error, behind the program's name, and fails.
    pub fn refuse(self, error: &dyn Display) -> ExitCode {
        self.complain(&format_args!("{}: {error}", self.program.name()));
        ExitCode::FAILURE
    }

    /// The reference's list as it is, then what can be done about it, each with its place.
    pub fn refuse_configuration(self, error: &LoadError) -> ExitCode {
        let LoadError::Invalid(report) = error else {
            return self.refuse(error);
        };
        let code = self.refuse(&report.reference_text());
        for finding in report.findings() {
            if let (Some(remedy), Some(position)) = (&finding.remedy, &finding.position) {
                self.complain(&format_args!("  {position}: {remedy}"));
            }
        }
        code
    }

    /// Writes what was found in a configuration, and what can be done about it.
    pub fn complain_of(self, finding: &Finding) {
        self.complain(finding);
        if let Some(remedy) = &finding.remedy {
            self.complain(&format_args!("  {remedy}"));
        }
    }
}
