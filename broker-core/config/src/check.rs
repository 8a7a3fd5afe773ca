//! Everything that is wrong with a file, in one report: what `-t` finds, and what start would find after it.

use crate::load::LoadError;
use crate::options::Config;
use crate::report::Report;
use crate::source::Source;

/// Reads the file at `path` and reports all errors, warnings and remarks, each with its place and, where there is
/// one, a remedy. The file may be used if [`Report::has_errors`] says no; `-t` accepts it if it also
/// [passes](Report::passes_check). Certificates and other files that it names are not opened.
pub fn check(path: &str, source: &dyn Source) -> Report {
    match Config::load(path, source) {
        Ok(loaded) => {
            let mut report = loaded.report;
            if let Err(error) = loaded.config.validate() {
                report.error_anywhere("", error.to_string());
            }
            report
        }
        Err(LoadError::Invalid(report)) => report,
        Err(LoadError::Open(reason)) => {
            let mut report = Report::new();
            report.error_anywhere("", reason);
            report
        }
        Err(LoadError::Syntax(error)) => {
            let mut report = Report::new();
            let finding = report.error(&error.position, "", error.reason);
            if let Some(remedy) = error.remedy {
                finding.remedy(remedy);
            }
            report
        }
    }
}
