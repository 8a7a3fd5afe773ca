//! Tests that cannot run on this machine: reported by name and reason, never counted as passed.

use std::fs::OpenOptions;
use std::io::Write as _;

/// The environment variable that names the file in which `cargo xtask test` collects the skipped tests.
pub const FILE_VARIABLE: &str = "DUNLIN_SKIP_FILE";

/// Reports the running test as skipped. The test should return at once; [`crate::skip!`] does both.
pub fn report(reason: &str) {
    let thread = std::thread::current();
    let line = format!("SKIPPED: {}: {reason}\n", thread.name().unwrap_or("main"));
    // Libtest swallows what a passing test prints, hence the file.
    let _ = std::io::stdout().write_all(line.as_bytes());
    if let Some(path) = std::env::var_os(FILE_VARIABLE)
        && let Ok(mut file) = OpenOptions::new().create(true).append(true).open(path)
    {
        // One write: several tests append at once.
        let _ = file.write_all(line.as_bytes());
    }
}

/// Ends the running test as skipped, with a reason in the form of `format!`.
#[macro_export]
macro_rules! skip {
    ($($reason:tt)*) => {{
        $crate::skip::report(&format!($($reason)*));
        return;
    }};
}
