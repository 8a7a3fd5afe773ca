//! Everything a person or CI runs by hand.

use std::io::Write as _;
use std::process::ExitCode;

mod bench;
mod tools;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let result = match args.split_first() {
        Some((name, rest)) if name == "bench" => bench::run(rest),
        Some((name, [])) if name == "tools" => install_tools(),
        _ => Err("usage: cargo xtask bench | tools".to_owned()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "xtask: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Installs the optional programs. What is missing is told, what failed is an error.
fn install_tools() -> Result<(), String> {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap_or(std::path::Path::new("."));
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), Into::into);
    let mut failed = Vec::new();
    for (tool, outcome) in tools::install(root, &target) {
        let text = match outcome {
            tools::Outcome::Ready => "ready".to_owned(),
            tools::Outcome::Missing => format!("skipped, no {} on the path", tool.toolchain),
            tools::Outcome::Failed(reason) => {
                failed.push(tool.name);
                reason
            }
        };
        writeln!(std::io::stdout(), "{}: {text}", tool.name).map_err(|error| error.to_string())?;
    }
    if failed.is_empty() {
        Ok(())
    } else {
        Err(format!("not installed: {}", failed.join(", ")))
    }
}
