//! Everything a person or CI runs by hand: `cargo xtask` lists the commands.
//!
//! Works on the real machine and is no part of the broker. What it prints is for people, except for the last line of
//! `test` and the files that a command is asked to write.

#![allow(
    clippy::disallowed_methods,
    reason = "a tool on the real machine: it has no `Env`"
)]

use std::io::Write as _;
use std::process::ExitCode;

mod bench;
mod csv;
mod differ;
mod docs;
mod features;
mod fuzz;
mod output;
mod parity;
mod project;
mod source;
mod suite;
mod tidy;
mod tools;

/// A command: its name, what it does, and the function that does it.
struct Command {
    name: &'static str,
    help: &'static str,
    run: fn(&[String]) -> Result<(), String>,
}

const COMMANDS: &[Command] = &[
    Command {
        name: "test",
        help: "everything that CI runs; ends with a line of counts",
        run: suite::run,
    },
    Command {
        name: "tidy",
        help: "the rules of the house that no compiler keeps",
        run: tidy::run,
    },
    Command {
        name: "features",
        help: "each feature of the broker builds alone",
        run: features::run,
    },
    Command {
        name: "docs",
        help: "writes the generated pages",
        run: docs::run,
    },
    Command {
        name: "parity",
        help: "the ledger of the reference's tests [todo AREA.. | prove FILE..]",
        run: parity::run,
    },
    Command {
        name: "differ",
        help: "runs scripts against both servers, transcripts side by side: [--record] FILE..",
        run: differ::run,
    },
    Command {
        name: "tools",
        help: "installs the optional tools into target/tools",
        run: tools::run,
    },
    Command {
        name: "bench",
        help: "what Dunlin costs compared with the reference; --help",
        run: bench::run,
    },
    Command {
        name: "fuzz",
        help: "runs the fuzz targets and prints figures: [TARGET..] [--minutes N]; --help",
        run: fuzz::run,
    },
];

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let Some((name, rest)) = args.split_first() else {
        output::say(&usage());
        return ExitCode::SUCCESS;
    };
    let Some(command) = COMMANDS.iter().find(|command| command.name == name) else {
        complain(&format!("no such command: {name}\n{}", usage()));
        return ExitCode::from(2);
    };
    match (command.run)(rest) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&error);
            ExitCode::FAILURE
        }
    }
}

fn usage() -> String {
    let mut text = String::from("usage: cargo xtask COMMAND\n");
    for command in COMMANDS {
        text.push_str(&format!("\n  {:10}{}", command.name, command.help));
    }
    text
}

/// An empty text has been said already.
fn complain(text: &str) {
    if !text.is_empty() {
        let _ = writeln!(std::io::stderr(), "xtask: {text}");
    }
}
