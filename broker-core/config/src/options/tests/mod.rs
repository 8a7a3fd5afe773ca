//! The options, rule by rule. Both syntaxes give the same tree, so most cases are in nats.conf.

mod any_text;
mod authorization;
mod golden;
mod golden_blocks;
mod jetstream;
mod listeners;
mod mappings;
mod operator;
mod peers;
pub(crate) mod samples;
mod sections;
mod sharing;
mod tls;
mod top_level;

use expect_test::Expect;

use super::Config;
use crate::load::LoadError;
use crate::report::{Report, Severity};
use crate::source::MapSource;
use crate::tree::Format;

/// Loads `text` as the nats.conf `a`; the findings if it is refused.
fn load(text: &str) -> (Option<Config>, Report) {
    match Config::load_content(text.as_bytes(), "a", Format::NatsConf, &MapSource::new()) {
        Ok(loaded) => (Some(loaded.config), loaded.report),
        Err(LoadError::Invalid(report)) => (None, report),
        Err(other) => panic!("{other}"),
    }
}

/// The options of a file without error or warning.
#[track_caller]
fn config(text: &str) -> Config {
    let (config, report) = load(text);
    assert_eq!(report.reference_text(), "", "{text}");
    config.expect("no error was reported")
}

/// Compares all findings, each with its weight and remedy.
#[track_caller]
fn check(text: &str, expected: Expect) {
    let (_, report) = load(text);
    let mut out = String::new();
    for finding in report.findings() {
        let weight = match finding.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Notice => "notice",
            Severity::Inert => "inert",
        };
        out.push_str(&format!("{weight} {finding}\n"));
        if let Some(remedy) = &finding.remedy {
            out.push_str(&format!("  {remedy}\n"));
        }
    }
    expected.assert_eq(&out);
}

/// Each text gives exactly one error and no warning, with this reason.
#[track_caller]
fn check_errors(cases: &[(&str, &str)]) {
    for (text, expected) in cases {
        let (_, report) = load(text);
        let findings = report
            .findings()
            .into_iter()
            .filter(|finding| finding.severity >= Severity::Warning);
        let reasons: Vec<&str> = findings.map(|finding| finding.reason.as_str()).collect();
        assert_eq!(reasons, [*expected], "{text}");
    }
}

/// The same for keys that are refused for now: that refusal is left out.
#[track_caller]
fn check_texts(cases: &[(&str, &str)]) {
    for (text, expected) in cases {
        let (_, report) = load(text);
        let reasons: Vec<&str> = report
            .findings()
            .into_iter()
            .filter(|finding| finding.severity >= Severity::Warning)
            .map(|finding| finding.reason.as_str())
            .filter(|reason| !reason.ends_with("refusing to start without it"))
            .collect();
        assert_eq!(reasons, [*expected], "{text}");
    }
}

/// Each text reads, and fails at start with this reason.
#[track_caller]
fn check_start(cases: &[(&str, &str)]) {
    for (text, expected) in cases {
        let failed = config(text).validate().map_err(|error| error.to_string());
        assert_eq!(failed, Err((*expected).to_owned()), "{text}");
    }
}
