//! The command line without its secrets, for what the process shows of itself (CORE-131).

/// What stands in place of a secret.
const REDACTED: &str = "[REDACTED]";

/// The arguments with the values of `--user`, `--pass` and `--auth` replaced, and the users of the URLs of `--routes`
/// and `--cluster`.
pub fn redacted(arguments: &[String]) -> Vec<String> {
    let mut shown = Vec::with_capacity(arguments.len());
    let mut redact: Option<fn(&str) -> String> = None;
    for argument in arguments {
        if let Some(redact) = redact.take() {
            shown.push(redact(argument));
            continue;
        }
        let (flag, value) = match argument.split_once('=') {
            Some((flag, value)) => (flag, Some(value)),
            None => (argument.as_str(), None),
        };
        let name = flag.strip_prefix("--").or_else(|| flag.strip_prefix('-'));
        match (name.and_then(redaction), value) {
            (Some(redaction), Some(value)) => shown.push(format!("{flag}={}", redaction(value))),
            (redaction, _) => {
                redact = redaction;
                shown.push(argument.clone());
            }
        }
    }
    shown
}

/// How the value of a flag is made harmless.
fn redaction(flag: &str) -> Option<fn(&str) -> String> {
    match flag {
        "user" | "pass" | "auth" => Some(|_| REDACTED.to_owned()),
        "routes" => Some(|urls| urls.split(',').map(url).collect::<Vec<_>>().join(",")),
        "cluster" | "cluster_listen" => Some(url),
        _ => None,
    }
}

/// `nats://user:password@host` without its user. What is no such URL stays, unless something stands before an `@`.
fn url(text: &str) -> String {
    let (scheme, rest) = match text.split_once("://") {
        Some((scheme, rest)) => (format!("{scheme}://"), rest),
        None => (String::new(), text),
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    match authority.rsplit_once('@') {
        Some((_, host)) => format!("{scheme}{REDACTED}@{host}{path}"),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(arguments: &[&str], expected: &[&str]) {
        let arguments: Vec<String> = arguments.iter().map(|text| (*text).to_owned()).collect();
        assert_eq!(redacted(&arguments), expected);
    }

    // CORE-131 [TestRedactArgs]
    #[test]
    fn secrets_of_the_command_line_are_replaced() {
        check(&["-p", "4222", "-D"], &["-p", "4222", "-D"]);
        check(
            &["--user", "joe", "-pass", "x=y", "--auth", "T", "-p", "1"],
            &[
                "--user",
                "[REDACTED]",
                "-pass",
                "[REDACTED]",
                "--auth",
                "[REDACTED]",
                "-p",
                "1",
            ],
        );
        check(
            &["--user=joe", "-pass=x=y", "-auth="],
            &["--user=[REDACTED]", "-pass=[REDACTED]", "-auth=[REDACTED]"],
        );
        check(
            &[
                "-routes",
                "nats://a:b@h:1, nats://h:2/x,nats://c@h:3",
                "--cluster=nats://a:b@h:-1",
            ],
            &[
                "-routes",
                "nats://[REDACTED]@h:1, nats://h:2/x,nats://[REDACTED]@h:3",
                "--cluster=nats://[REDACTED]@h:-1",
            ],
        );
        check(
            &["--cluster_listen", "nats://h:1"],
            &["--cluster_listen", "nats://h:1"],
        );
        check(&["--pass"], &["--pass"]);
        check(&["---pass", "x"], &["---pass", "x"]);
    }

    // A password with a slash is no valid URL, and must not be shown all the same.
    #[test]
    fn a_broken_url_hides_its_user_too() {
        check(
            &["--routes", "nats://a:b@c@h:1"],
            &["--routes", "nats://[REDACTED]@h:1"],
        );
        check(&["--routes", "a:b@h:1"], &["--routes", "[REDACTED]@h:1"]);
    }
}
