//! What the commands print.

use std::io::Write as _;

/// Prints a line. Nothing can be done about a standard output that is gone.
pub(crate) fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{text}");
    let _ = out.flush();
}
