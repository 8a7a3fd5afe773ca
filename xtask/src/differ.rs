//! `cargo xtask differ FILE..`: runs differential scripts and shows both transcripts side by side.

use std::path::Path;

use dunlin_tests::differential::{self, Script};
use dunlin_tests::server::Kind;

use crate::output::say;

/// Columns of a terminal that does not tell.
const COLUMNS: usize = 160;

/// The command. A name without a folder is one of `tests/differential`.
///
/// # Errors
/// A transcript differs, a script is wrong, or a server does not start.
pub(crate) fn run(args: &[String]) -> Result<(), String> {
    if args.is_empty() {
        return Err("usage: cargo xtask differ FILE..".to_owned());
    }
    let columns = std::env::var("COLUMNS").ok().and_then(|text| text.parse().ok());
    let mut differing = Vec::new();
    for name in args {
        let mut path = Path::new(name).to_path_buf();
        if !path.exists() {
            path = differential::folder().join(format!("{name}.script"));
        }
        let script = Script::load(&path)?;
        let reference = differential::play(&script, Kind::Reference)?;
        let comparison = differential::compare(&reference, &differential::play(&script, Kind::Dunlin)?);
        say(&comparison.side_by_side(columns.unwrap_or(COLUMNS)));
        if comparison.reference_hangs() {
            differing.push(format!("{name} (the reference does not do what it waits for)"));
        } else if !comparison.is_equal() {
            differing.push(name.clone());
        }
    }
    match differing.as_slice() {
        [] => Ok(()),
        _ => Err(format!("transcripts differ: {}", differing.join(", "))),
    }
}
