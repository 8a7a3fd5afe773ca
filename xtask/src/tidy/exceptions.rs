//! Written exceptions: `xtask/tidy-exceptions.toml`.

use std::path::Path;

use super::Finding;
use crate::project;

const FILE: &str = "xtask/tidy-exceptions.toml";

#[derive(Debug)]
struct Exception {
    /// A file, or a folder with `/` at its end.
    path: String,
    rule: String,
    /// Which call or function; everything the rule finds if empty.
    item: String,
}

impl Exception {
    fn covers(&self, finding: &Finding) -> bool {
        let path = if self.path.ends_with('/') {
            finding.path.starts_with(&self.path)
        } else {
            finding.path == self.path
        };
        path && self.rule == finding.rule && (self.item.is_empty() || self.item == finding.item)
    }
}

/// The findings that no exception covers, and the exceptions that cover nothing, as text.
pub(super) fn apply(root: &Path, findings: Vec<Finding>) -> Result<Vec<String>, String> {
    let text = project::read(&root.join(FILE))?;
    let exceptions = parse(&text).map_err(|error| format!("{FILE}: {error}"))?;
    Ok(judge(&exceptions, findings))
}

fn judge(exceptions: &[Exception], findings: Vec<Finding>) -> Vec<String> {
    let unused = exceptions
        .iter()
        .filter(|exception| !findings.iter().any(|finding| exception.covers(finding)))
        .map(|exception| {
            let Exception { path, rule, item } = exception;
            format!("{FILE}: not needed any more: {path}, {rule} {item}")
                .trim_end()
                .to_owned()
        });
    let open = findings
        .iter()
        .filter(|finding| !exceptions.iter().any(|exception| exception.covers(finding)))
        .map(|finding| {
            let Finding {
                path,
                line,
                rule,
                text,
                ..
            } = finding;
            format!("{path}:{line}: {rule}: {text}")
        });
    open.chain(unused).collect()
}

fn parse(text: &str) -> Result<Vec<Exception>, String> {
    let table: toml::Table = text.parse().map_err(|error| format!("{error}"))?;
    let Some(list) = table.get("exception") else {
        return Ok(Vec::new());
    };
    let list = list.as_array().ok_or("`exception` is a list: [[exception]]")?;
    list.iter()
        .map(|entry| {
            let field = |name: &str| entry.get(name).and_then(toml::Value::as_str).map(str::to_owned);
            let exception = Exception {
                path: field("path").ok_or("an exception without `path`")?,
                rule: field("rule").ok_or("an exception without `rule`")?,
                item: field("item").unwrap_or_default(),
            };
            match field("reason") {
                Some(reason) if reason.len() > 10 => Ok(exception),
                _ => Err(format!("{}: an exception needs a reason", exception.path)),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(path: &str, item: &str) -> Finding {
        Finding {
            path: path.to_owned(),
            line: 3,
            rule: "call",
            item: item.to_owned(),
            text: format!("no {item}"),
        }
    }

    const ONE: &str = "[[exception]]\npath='a/'\nrule='call'\nitem='x'\nreason='because it is so'\n";

    #[test]
    fn exception_covers_its_path_rule_and_item() {
        let exceptions = parse(ONE).unwrap();
        let findings = vec![
            finding("a/b.rs", "x"),
            finding("a/b.rs", "y"),
            finding("b.rs", "x"),
        ];
        assert_eq!(
            judge(&exceptions, findings),
            ["a/b.rs:3: call: no y", "b.rs:3: call: no x"]
        );
    }

    #[test]
    fn exception_that_covers_nothing_is_told() {
        let told = judge(&parse(ONE).unwrap(), Vec::new());
        assert_eq!(
            told,
            ["xtask/tidy-exceptions.toml: not needed any more: a/, call x"]
        );
    }

    #[test]
    fn exception_without_a_reason_is_refused() {
        assert!(parse("[[exception]]\npath='a'\nrule='call'\nreason='x'\n").is_err());
        assert!(parse("[[exception]]\npath='a'\nrule='call'\n").is_err());
    }
}
