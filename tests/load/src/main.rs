//! Runs one workload against a server and prints its report as one line of JSON.

use std::process::ExitCode;

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    use std::io::Write as _;

    let args: Vec<String> = std::env::args().skip(1).collect();
    if args.is_empty() || args.iter().any(|arg| arg == "--help" || arg == "-h") {
        let _ = writeln!(std::io::stdout(), "{}", dunlin_load::options::USAGE);
        return ExitCode::SUCCESS;
    }
    let written = match line(args) {
        Ok(line) => Ok(writeln!(std::io::stdout(), "{line}").is_ok()),
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "dunlin-load: {error}");
            Err(())
        }
    };
    if matches!(written, Ok(true)) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Does what the arguments say, and gives its report as a line of JSON.
#[cfg(target_os = "linux")]
fn line(mut args: Vec<String>) -> Result<String, dunlin_load::LoadError> {
    use dunlin_load::options::{Options, Work};
    use dunlin_load::{LoadError, attack};

    let wrong = |error: serde_json::Error| LoadError::Wrong(error.to_string());
    if args.first().is_some_and(|word| word == "attack") {
        // The rest is said as for the pair that is measured.
        Work::PubSub.name().clone_into(&mut args[0]);
        let name = if args.len() > 1 {
            args.remove(1)
        } else {
            String::new()
        };
        let attack = attack::named(&name)?;
        let outcome = attack::run(attack, &Options::parse(args)?)?;
        return serde_json::to_string(&outcome).map_err(wrong);
    }
    let report = dunlin_load::run(&Options::parse(args)?)?;
    serde_json::to_string(&report).map_err(wrong)
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    use std::io::Write as _;

    let _ = writeln!(std::io::stderr(), "dunlin-load: runs on Linux only");
    ExitCode::FAILURE
}
