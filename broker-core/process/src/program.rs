//! Which program this is, by the name that it was started with.
//!
//! Installed as `nats-server` Dunlin is one: scripts that read its version or its messages find what they look for.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// The name that messages begin with, and what goes with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// Dunlin under its own name, or under one that means nothing to it.
    Dunlin,
    /// Started as `nats-server`.
    NatsServer,
}

impl Program {
    /// What this process was started as.
    pub fn current() -> Self {
        Self::of(std::env::args_os().next().as_deref())
    }

    /// By the first word of the command line.
    fn of(word: Option<&OsStr>) -> Self {
        let name = word.map(Path::new).and_then(Path::file_stem);
        match name {
            Some(name) if name == "nats-server" => Self::NatsServer,
            _ => Self::Dunlin,
        }
    }

    /// What messages begin with.
    pub fn name(self) -> &'static str {
        match self {
            Self::Dunlin => "dunlin",
            Self::NatsServer => "nats-server",
        }
    }

    /// The answer to `--version`, with its line end: Dunlin's own `version`, and the `level` of NATS that it keeps to.
    /// As `nats-server` it is the reference's line (CORE-129).
    pub fn version_line(self, version: &str, level: &str) -> String {
        match self {
            Self::Dunlin => format!("dunlin: v{version} (nats-server: v{level})\n"),
            Self::NatsServer => format!("nats-server: v{level}\n"),
        }
    }
}

/// The file name that the process was started by: what its ports file and its syslog messages go by.
pub(crate) fn executable() -> String {
    let program = std::env::args_os().next().map(PathBuf::from);
    let name = program.as_deref().and_then(Path::file_name);
    name.map_or_else(|| "dunlin".to_owned(), |name| name.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    // CORE-129
    #[test]
    fn the_name_it_was_started_with_decides() {
        for (word, program) in [
            ("nats-server", Program::NatsServer),
            ("/usr/local/bin/nats-server", Program::NatsServer),
            ("nats-server.exe", Program::NatsServer),
            ("dunlin", Program::Dunlin),
            ("./nats-server-old", Program::Dunlin),
            ("", Program::Dunlin),
        ] {
            assert_eq!(Program::of(Some(OsStr::new(word))), program, "{word}");
        }
        assert_eq!(Program::of(None), Program::Dunlin);
        let line = |program: Program| program.version_line("0.1.0", "2.15.2");
        assert_eq!(line(Program::NatsServer), "nats-server: v2.15.2\n");
        assert_eq!(line(Program::Dunlin), "dunlin: v0.1.0 (nats-server: v2.15.2)\n");
    }
}
