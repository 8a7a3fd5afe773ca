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
    let report = dunlin_load::options::Options::parse(args).and_then(|options| dunlin_load::run(&options));
    let written = match report {
        Ok(report) => {
            serde_json::to_string(&report).map(|line| writeln!(std::io::stdout(), "{line}").is_ok())
        }
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "dunlin-load: {error}");
            Ok(false)
        }
    };
    if matches!(written, Ok(true)) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    use std::io::Write as _;

    let _ = writeln!(std::io::stderr(), "dunlin-load: runs on Linux only");
    ExitCode::FAILURE
}
