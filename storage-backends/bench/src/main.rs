//! What one store costs in one work, measured in a process of its own: `cargo xtask bench store`.
#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a tool on the real machine: it has no `Env`"
)]

mod backends;
mod blocks;
mod works;

use std::process::ExitCode;

const USAGE: &str = "\
usage: dunlin-store-bench [--list] BACKEND WORK

It prints a row of a Markdown table: work, figure, value, unit.";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let done = match args[..] {
        ["--list"] => {
            for backend in backends::NAMES {
                for work in works::WORKS {
                    println!("{backend} {}", work.name);
                }
            }
            for work in blocks::WORKS {
                println!("blocks {work}");
            }
            Ok(())
        }
        ["blocks", work] if blocks::WORKS.contains(&work) => run_blocks(work),
        [backend, work] => run(backend, work),
        _ => Err(USAGE.to_owned()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(backend: &str, name: &str) -> Result<(), String> {
    let mut works = works::WORKS.iter();
    let work = works.find(|work| work.name == name).ok_or(USAGE)?;
    let store = backends::open(backend)?;
    for figure in works::run(&*store, work).map_err(|error| error.to_string())? {
        println!(
            "| {backend} | {} | {} | {} |",
            work.title, figure.name, figure.value
        );
    }
    Ok(())
}

fn run_blocks(work: &str) -> Result<(), String> {
    for (name, value) in blocks::run(work).map_err(|error| error.to_string())? {
        println!("| blocks | {work} | {name} | {value} |");
    }
    Ok(())
}
