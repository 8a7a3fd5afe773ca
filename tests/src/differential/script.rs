//! The text form of a script.

use std::collections::BTreeMap;
use std::path::Path;

use crate::tls::Introduction;

/// A parsed script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    config: String,
    keeps_pings: bool,
    steps: Vec<Step>,
}

/// One line of a script, with the text that the transcript shows for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) text: String,
    pub(super) action: Action,
}

/// What a step does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Connects, and reads the INFO that greets.
    Open(Vec<String>),
    /// Connects, and reads nothing.
    Dial(Vec<String>),
    /// Runs a TLS handshake.
    Secure { name: String, client: Introduction },
    Send {
        name: String,
        bytes: Vec<u8>,
        bytewise: bool,
    },
    /// Reads until a frame that begins so.
    Await { name: String, begin: String },
    /// Reads that many frames.
    Lines { name: String, count: usize },
    /// Sends PING, reads until PONG: everything sent before has been worked off.
    Sync(String),
    /// Reads until the server ends the connection.
    Closed(String),
    /// Like `Sync`, but the messages that came are sorted.
    Sort(String),
    /// Like `Sync` on each, but the messages that came are told as a sum over all of them.
    Gather { names: Vec<String>, least: usize },
    /// Writes the configuration anew, sends the signal to reload it, and waits for the outcome in the log.
    Reload(String),
    /// Has the program judge these files, by `-t` or by a start that must fail.
    Judge {
        files: Vec<(String, String)>,
        only_check: bool,
    },
}

impl Script {
    /// Reads and parses a file.
    ///
    /// # Errors
    /// With the file and the line.
    pub fn load(path: &Path) -> Result<Script, String> {
        let shown = path.display();
        let text = std::fs::read_to_string(path).map_err(|error| format!("{shown}: {error}"))?;
        Script::parse(&text).map_err(|error| format!("{shown}:{error}"))
    }

    /// Parses a script and checks that each connection ends in a step that reads, because what nobody waits for
    /// depends on time.
    ///
    /// # Errors
    /// `LINE: what is wrong`.
    pub fn parse(text: &str) -> Result<Script, String> {
        let mut script = Script {
            config: String::new(),
            keeps_pings: false,
            steps: Vec::new(),
        };
        let mut in_config = false;
        let mut files: Vec<(String, String)> = Vec::new();
        let mut loose = BTreeMap::new();
        for (index, line) in text.lines().enumerate() {
            let number = index + 1;
            let at = |problem: String| format!("{number}: {problem}");
            if in_config && (line.starts_with(' ') || line.is_empty()) {
                let content = match (script.steps.last_mut(), files.last_mut()) {
                    (
                        Some(Step {
                            action: Action::Reload(config),
                            ..
                        }),
                        _,
                    ) => config,
                    (_, Some((_, content))) => content,
                    _ => continue,
                };
                content.push_str(line);
                content.push('\n');
                continue;
            }
            in_config = false;
            match line {
                "reload:" => {
                    in_config = true;
                    script.steps.push(Step {
                        text: line.to_owned(),
                        action: Action::Reload(String::new()),
                    });
                }
                "server:" => {
                    in_config = true;
                    files.push(("server.conf".to_owned(), String::new()));
                }
                _ if line.starts_with("file ") && line.ends_with(':') => {
                    in_config = true;
                    let name = line.trim_start_matches("file ").trim_end_matches(':');
                    files.push((name.to_owned(), String::new()));
                }
                "check" | "start fails" => script.steps.push(Step {
                    text: line.to_owned(),
                    action: Action::Judge {
                        files: std::mem::take(&mut files),
                        only_check: line == "check",
                    },
                }),
                "pings" => script.keeps_pings = true,
                _ if line.is_empty() || line.starts_with('#') => {}
                _ => {
                    let action = action(line).map_err(at)?;
                    action.track(number, &mut loose).map_err(at)?;
                    script.steps.push(Step {
                        text: line.to_owned(),
                        action,
                    });
                }
            }
        }
        if let Some((name, Some(number))) = loose.iter().find(|(_, number)| number.is_some()) {
            return Err(format!("{number}: what {name} gets after this is not awaited"));
        }
        if script.steps.is_empty() {
            return Err("1: no steps".to_owned());
        }
        let judged = script.steps.iter().filter(|step| step.is_judgement()).count();
        if judged != 0 && judged != script.steps.len() {
            return Err("1: a script that judges configurations opens no connection".to_owned());
        }
        script.config = files.pop().map(|(_, content)| content).unwrap_or_default();
        if !files.is_empty() || judged != 0 && !script.config.is_empty() {
            return Err("1: files are for `check` and `start fails`".to_owned());
        }
        Ok(script)
    }

    /// The server's configuration.
    pub fn config(&self) -> &str {
        &self.config
    }

    /// Whether the transcript shows the server's own PINGs, which come when they please.
    pub(super) fn keeps_pings(&self) -> bool {
        self.keeps_pings
    }

    /// Whether it judges configurations, and so needs no running server.
    pub(super) fn judges(&self) -> bool {
        self.steps.iter().any(Step::is_judgement)
    }

    pub(super) fn steps(&self) -> &[Step] {
        &self.steps
    }
}

impl Step {
    fn is_judgement(&self) -> bool {
        matches!(self.action, Action::Judge { .. })
    }
}

impl Action {
    /// Keeps for every open connection the line after which nothing was awaited.
    fn track(&self, line: usize, loose: &mut BTreeMap<String, Option<usize>>) -> Result<(), String> {
        let mut set = |name: &String, value| match loose.get_mut(name) {
            Some(slot) => {
                *slot = value;
                Ok(())
            }
            None => Err(format!("{name} is not open")),
        };
        match self {
            Action::Open(names) | Action::Dial(names) => {
                let awaits = matches!(self, Action::Dial(_)).then_some(line);
                for name in names {
                    if loose.insert(name.clone(), awaits).is_some() {
                        return Err(format!("{name} is open already"));
                    }
                }
                Ok(())
            }
            Action::Send { name, .. } | Action::Secure { name, .. } => set(name, Some(line)),
            Action::Await { name, .. } | Action::Lines { name, .. } => set(name, None),
            Action::Sync(name) | Action::Sort(name) | Action::Closed(name) => set(name, None),
            Action::Reload(_) => Ok(()),
            Action::Gather { names, .. } => names.iter().try_for_each(|name| set(name, None)),
            Action::Judge { .. } => Ok(()),
        }
    }
}

fn action(line: &str) -> Result<Action, String> {
    let (first, rest) = line.split_once(' ').unwrap_or((line, ""));
    match first {
        "open" => return names(rest).map(Action::Open),
        "dial" => return names(rest).map(Action::Dial),
        "gather" => return gather(rest),
        _ => {}
    }
    let name = checked(first)?;
    let (verb, text) = rest.split_once(' ').unwrap_or((rest, ""));
    let send = |text: &str, end: &[u8], bytewise| {
        let mut bytes = unescape(text)?;
        bytes.extend_from_slice(end);
        Ok(Action::Send {
            name: name.clone(),
            bytes,
            bytewise,
        })
    };
    match verb {
        ">" => send(text, b"\r\n", false),
        ">>" => send(text, b"", false),
        ">|" => send(text, b"", true),
        "<" if !text.is_empty() => Ok(Action::Await {
            name,
            begin: text.to_owned(),
        }),
        "lines" => {
            let count = text.parse().map_err(|_| format!("{text:?} is no number"))?;
            Ok(Action::Lines { name, count })
        }
        "tls" => introduction(text).map(|client| Action::Secure { name, client }),
        "sync" if text.is_empty() => Ok(Action::Sync(name)),
        "sort" if text.is_empty() => Ok(Action::Sort(name)),
        "closed" if text.is_empty() => Ok(Action::Closed(name)),
        _ => Err(format!("no such step: {line}")),
    }
}

/// `[1.2] [as CERTIFICATE]`
fn introduction(text: &str) -> Result<Introduction, String> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let (is_old, rest) = match words.as_slice() {
        ["1.2", rest @ ..] => (true, rest),
        rest => (false, rest),
    };
    let certificate = match rest {
        [] => None,
        ["as", name] => Some((*name).to_owned()),
        _ => return Err(format!("tls {text}: write [1.2] [as CERTIFICATE]")),
    };
    Ok(Introduction { certificate, is_old })
}

fn gather(text: &str) -> Result<Action, String> {
    let (list, least) = match text.split_once(" least ") {
        Some((list, least)) => (
            list,
            least.parse().map_err(|_| format!("{least:?} is no number"))?,
        ),
        None => (text, 0),
    };
    Ok(Action::Gather {
        names: names(list)?,
        least,
    })
}

fn names(text: &str) -> Result<Vec<String>, String> {
    text.split(' ').map(checked).collect()
}

fn checked(name: &str) -> Result<String, String> {
    let good = !name.is_empty() && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    if good {
        Ok(name.to_owned())
    } else {
        Err(format!(
            "{name:?} is no name of a connection: lower case letters and digits"
        ))
    }
}

/// Escapes as in C: `\r \n \t \0 \\ \xHH`; `${TEXT*N}` is TEXT, N times. `${sign …}` stays for the player, who knows
/// the nonce.
fn unescape(text: &str) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some(character) = rest.chars().next() {
        if let Some(after) = rest.strip_prefix("${") {
            let (inner, after) = after.split_once('}').ok_or("`${` without `}`")?;
            if inner.starts_with("sign ") {
                bytes.extend_from_slice(format!("${{{inner}}}").as_bytes());
                rest = after;
                continue;
            }
            let (inner, count) = inner.rsplit_once('*').ok_or("`${` without `*N`")?;
            let count = count.parse().map_err(|_| format!("{count:?} is no number"))?;
            bytes.extend(unescape(inner)?.repeat(count));
            rest = after;
            continue;
        }
        rest = rest.get(character.len_utf8()..).unwrap_or_default();
        if character != '\\' {
            bytes.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
            continue;
        }
        let escape = rest.chars().next().ok_or("`\\` at the end")?;
        rest = rest.get(escape.len_utf8()..).unwrap_or_default();
        bytes.push(match escape {
            'r' => b'\r',
            'n' => b'\n',
            't' => b'\t',
            '0' => 0,
            '\\' => b'\\',
            'x' => {
                let (digits, after) = rest.split_at_checked(2).ok_or("`\\x` needs two digits")?;
                rest = after;
                u8::from_str_radix(digits, 16).map_err(|_| format!("\\x{digits} is no byte"))?
            }
            other => return Err(format!("no such escape: \\{other}")),
        });
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        Script::parse(text).unwrap_err()
    }

    #[test]
    fn configuration_is_the_indented_block() {
        let script = Script::parse("# why\nserver:\n  port: 1\n\n  debug: on\nopen a b\n").unwrap();
        assert_eq!(script.config(), "  port: 1\n\n  debug: on\n");
        assert_eq!(
            script.steps()[0].action,
            Action::Open(vec!["a".into(), "b".into()])
        );
    }

    #[test]
    fn reload_has_a_configuration_of_its_own() {
        let script =
            Script::parse("server:\n  port: 1\nopen a\nreload:\n  port: 2\nreload:\na sync").unwrap();
        assert_eq!(script.config(), "  port: 1\n");
        assert_eq!(script.steps()[1].action, Action::Reload("  port: 2\n".into()));
        assert_eq!(script.steps()[2].action, Action::Reload(String::new()));
    }

    #[test]
    fn each_judgement_has_files_of_its_own() {
        let script =
            Script::parse("server:\n  a\ncheck\nserver:\n  b\nfile c.conf:\n  d\nstart fails\n").unwrap();
        let file = |name: &str, content: &str| (name.to_owned(), content.to_owned());
        let actions: Vec<_> = script.steps.iter().map(|step| step.action.clone()).collect();
        let expected = [
            Action::Judge {
                files: vec![file("server.conf", "  a\n")],
                only_check: true,
            },
            Action::Judge {
                files: vec![file("server.conf", "  b\n"), file("c.conf", "  d\n")],
                only_check: false,
            },
        ];
        assert_eq!(actions, expected);
        assert_eq!(
            error("server:\n  a\ncheck\nopen a\na sync\n"),
            "1: a script that judges configurations opens no connection"
        );
        assert_eq!(
            error("file a:\n  b\nserver:\n  c\nopen a\na sync\n"),
            "1: files are for `check` and `start fails`"
        );
    }

    #[test]
    fn sent_text_takes_escapes_and_repetition() {
        let script = Script::parse("open a\na >> x\\x00\\t${ab\\r*2}\na > PING\na sync").unwrap();
        let sent = |index: usize| match &script.steps()[index].action {
            Action::Send { bytes, .. } => bytes.clone(),
            other => panic!("{other:?}"),
        };
        assert_eq!(sent(1), b"x\0\tab\rab\r");
        assert_eq!(sent(2), b"PING\r\n");
    }

    #[test]
    fn connection_that_ends_without_awaiting_is_refused() {
        assert_eq!(
            error("open a\na > PING\n"),
            "2: what a gets after this is not awaited"
        );
        assert_eq!(error("a sync"), "1: a is not open");
        assert_eq!(error("open a a"), "1: a is open already");
    }

    #[test]
    fn steps_that_do_not_exist_are_refused_with_their_line() {
        assert_eq!(error("open a\n\na dance"), "3: no such step: a dance");
        assert_eq!(error("open a\na >> \\q\na sync"), "2: no such escape: \\q");
        assert_eq!(error(""), "1: no steps");
    }
}
