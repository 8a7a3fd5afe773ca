//! What reading a configuration found: errors, warnings and remarks, each with its place.
//!
//! The reason is the reference's own text, byte for byte, because tools and tests compare it (CORE-124). What we
//! can add for a person stands in [`Finding::remedy`], which a printer shows on a line of its own.

use std::fmt;

use crate::value::Position;

/// How much a finding weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// A known key without effect in this version. Logged at start; `-t` passes.
    Inert,
    /// Accepted, though hardly meant, where the reference says nothing. Logged at start; `-t` passes.
    Notice,
    /// The reference warns: printed at start, and `-t` fails.
    Warning,
    /// The file is refused.
    Error,
}

/// One finding.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// Its weight.
    pub severity: Severity,
    /// Where; `None` when it is about the file as a whole.
    pub position: Option<Position>,
    /// The key that it is about, empty if none.
    pub key: String,
    /// The reference's text, without position.
    pub reason: String,
    /// What to do about it.
    pub remedy: Option<String>,
}

impl Finding {
    /// Adds what to do about it.
    pub fn remedy(&mut self, text: impl Into<String>) -> &mut Self {
        self.remedy = Some(text.into());
        self
    }
}

/// `<file>:<line>:<pos>: <reason>`, without the remedy (CORE-122).
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.position {
            Some(position) => write!(f, "{position}: {}", self.reason),
            None => f.write_str(&self.reason),
        }
    }
}

/// Collects findings over the whole file, so that one run shows them all.
#[derive(Clone, Debug, Default)]
pub struct Report {
    findings: Vec<Finding>,
}

impl Report {
    /// An empty report.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an error about `key` at `position`.
    pub fn error(&mut self, position: &Position, key: &str, reason: impl Into<String>) -> &mut Finding {
        self.add(Severity::Error, Some(position), key, reason.into())
    }

    /// Adds an error without a place.
    pub fn error_anywhere(&mut self, key: &str, reason: impl Into<String>) -> &mut Finding {
        self.add(Severity::Error, None, key, reason.into())
    }

    /// Adds a warning in the reference's form, `invalid use of field "x": reason`.
    pub fn warning(&mut self, position: &Position, key: &str, reason: &str) -> &mut Finding {
        let text = format!("invalid use of field {}: {reason}", crate::text::quote(key));
        self.add(Severity::Warning, Some(position), key, text)
    }

    /// Adds a warning whose text is not in that form.
    pub fn plain_warning(
        &mut self,
        position: &Position,
        key: &str,
        reason: impl Into<String>,
    ) -> &mut Finding {
        self.add(Severity::Warning, Some(position), key, reason.into())
    }

    /// Adds a warning about the file as a whole.
    pub fn warning_anywhere(&mut self, reason: impl Into<String>) -> &mut Finding {
        self.add(Severity::Warning, None, "", reason.into())
    }

    /// Adds a remark that the reference does not make.
    pub fn notice(&mut self, position: &Position, key: &str, reason: impl Into<String>) -> &mut Finding {
        self.add(Severity::Notice, Some(position), key, reason.into())
    }

    /// Says that a known key has no effect yet.
    pub fn inert(&mut self, position: &Position, key: &str) -> &mut Finding {
        let text = format!(
            "key {} has no effect yet in this version of Dunlin",
            crate::text::quote(key)
        );
        self.add(Severity::Inert, Some(position), key, text)
    }

    /// Refuses a known key whose neglect would weaken security.
    pub fn refused(&mut self, position: &Position, key: &str) -> &mut Finding {
        let text = format!(
            "key {} is not supported yet; refusing to start without it",
            crate::text::quote(key)
        );
        self.add(Severity::Error, Some(position), key, text)
            .remedy("ignoring it would weaken the protection that this file asks for; remove it only if that is meant")
    }

    /// Whether an error was found; the file must not be used then.
    pub fn has_errors(&self) -> bool {
        self.findings
            .iter()
            .any(|finding| finding.severity == Severity::Error)
    }

    /// Whether `-t` passes: neither an error nor a warning (CORE-124).
    pub fn passes_check(&self) -> bool {
        self.findings
            .iter()
            .all(|finding| finding.severity < Severity::Warning)
    }

    /// All findings: warnings, then errors, then remarks, each ordered by place (CORE-P8).
    pub fn findings(&self) -> Vec<&Finding> {
        let mut sorted: Vec<&Finding> = self.findings.iter().collect();
        sorted.sort_by_key(|finding| {
            let rank = match finding.severity {
                Severity::Warning => 0,
                Severity::Error => 1,
                Severity::Notice => 2,
                Severity::Inert => 3,
            };
            let place = finding
                .position
                .as_ref()
                .map(|at| (at.file.clone(), at.line, at.column));
            (rank, place)
        });
        sorted
    }

    /// The findings of one severity, ordered by place.
    pub fn of(&self, severity: Severity) -> Vec<&Finding> {
        self.findings()
            .into_iter()
            .filter(|finding| finding.severity == severity)
            .collect()
    }

    /// The list as the reference prints it: warnings, then errors, one a line, each line ended (CORE-124).
    pub fn reference_text(&self) -> String {
        self.findings()
            .into_iter()
            .filter(|finding| finding.severity >= Severity::Warning)
            .map(|finding| format!("{finding}\n"))
            .collect()
    }

    /// Takes over the findings of another report.
    pub fn append(&mut self, other: Report) {
        self.findings.extend(other.findings);
    }

    fn add(
        &mut self,
        severity: Severity,
        position: Option<&Position>,
        key: &str,
        reason: String,
    ) -> &mut Finding {
        self.findings.push(Finding {
            severity,
            position: position.cloned(),
            key: key.to_owned(),
            reason,
            remedy: None,
        });
        match self.findings.last_mut() {
            Some(finding) => finding,
            None => unreachable!("a finding was pushed just now"),
        }
    }
}
