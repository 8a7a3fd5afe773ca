//! What a check has found, as text and as JSON.

use std::fmt::{self, Write};

use serde::Serialize;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing; nothing is lost.
    Note,
    /// Something is not as it should be; nothing is known to be lost.
    Warning,
    /// It is encrypted, and the right key was not given: nobody can say what is in it.
    Locked,
    /// Something is lost, or keeps a server from opening what is there.
    Damage,
}

/// One thing that a check has found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// The file.
    pub place: String,
    /// What is wrong.
    pub what: String,
    /// What it costs, and what can be done; may be empty.
    pub cost: String,
}

/// What a check has found in one stream, group or batch.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct AssetReport {
    /// `account > stream`.
    pub name: String,
    /// Messages that can be read.
    pub messages: u64,
    /// What they count.
    pub bytes: u64,
    /// First sequence.
    pub first: u64,
    /// Last sequence.
    pub last: u64,
    /// Blocks.
    pub blocks: usize,
    /// Consumers.
    pub consumers: usize,
    /// In the order in which they were found.
    pub findings: Vec<Finding>,
}

/// What a check has found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// All that has blocks.
    pub assets: Vec<AssetReport>,
    /// What concerns the whole directory.
    pub findings: Vec<Finding>,
}

impl Report {
    /// Every finding.
    pub fn all(&self) -> impl Iterator<Item = &Finding> {
        let of_assets = self.assets.iter().flat_map(|asset| &asset.findings);
        self.findings.iter().chain(of_assets)
    }

    /// Whether something is damaged.
    pub fn is_damaged(&self) -> bool {
        self.worst() == Some(Severity::Damage)
    }

    /// How bad the worst finding is.
    pub fn worst(&self) -> Option<Severity> {
        self.all().map(|finding| finding.severity).max()
    }

    /// One object.
    ///
    /// # Errors
    /// None that is known: all of it is text and numbers.
    pub fn to_json(&self) -> Result<String, serde_json::Error> {
        #[derive(Serialize)]
        struct Whole<'a> {
            damaged: bool,
            #[serde(flatten)]
            report: &'a Report,
        }
        let whole = Whole {
            damaged: self.is_damaged(),
            report: self,
        };
        serde_json::to_string_pretty(&whole)
    }
}

impl AssetReport {
    pub(super) fn find(
        &mut self,
        severity: Severity,
        place: impl fmt::Display,
        what: impl fmt::Display,
        cost: &str,
    ) {
        self.findings.push(Finding {
            severity,
            place: place.to_string(),
            what: what.to_string(),
            cost: cost.to_owned(),
        });
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Note => "note",
            Severity::Warning => "warning",
            Severity::Locked => "locked",
            Severity::Damage => "damage",
        };
        write!(f, "{severity}: {}: {}", self.place, self.what)?;
        match self.cost.as_str() {
            "" => Ok(()),
            cost => write!(f, "; {cost}"),
        }
    }
}

/// A paragraph for each asset, and what it comes to.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for finding in &self.findings {
            writeln!(f, "{finding}")?;
        }
        for asset in &self.assets {
            writeln!(
                f,
                "{}: {} messages, {} bytes, sequences {} to {}, {} blocks, {} consumers",
                asset.name,
                asset.messages,
                asset.bytes,
                asset.first,
                asset.last,
                asset.blocks,
                asset.consumers
            )?;
            for finding in &asset.findings {
                writeln!(f, "  {finding}")?;
            }
        }
        let count = |severity| self.all().filter(|finding| finding.severity == severity).count();
        let mut counts = String::new();
        for (severity, name) in [
            (Severity::Damage, "damaged"),
            (Severity::Locked, "locked"),
            (Severity::Warning, "warnings"),
        ] {
            write!(counts, ", {} {name}", count(severity))?;
        }
        writeln!(f, "{} checked{counts}", self.assets.len())
    }
}
