//! `cargo xtask differ FILE..`: runs differential scripts and shows both transcripts side by side.
//!
//! `--record` writes Dunlin's transcript to `NAME.dunlin`: from then on the difference is deliberate.

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
    let (record, args) = match args.split_first() {
        Some((flag, rest)) if flag == "--record" => (true, rest),
        _ => (false, args),
    };
    if args.is_empty() {
        return Err("usage: cargo xtask differ [--record] FILE..".to_owned());
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
        let dunlin = differential::play(&script, Kind::Dunlin)?;
        let comparison = differential::compare(&reference, &dunlin);
        say(&comparison.side_by_side(columns.unwrap_or(COLUMNS)));
        if record {
            let path = path.with_extension("dunlin");
            std::fs::write(&path, record_of(&dunlin))
                .map_err(|error| format!("{}: {error}", path.display()))?;
            continue;
        }
        if comparison.reference_hangs() {
            differing.push(format!("{name} (the reference does not do what it waits for)"));
        } else if std::fs::read_to_string(path.with_extension("dunlin"))
            .is_ok_and(|text| text == record_of(&dunlin))
        {
            say("deliberate\n");
        } else if !comparison.is_equal() {
            differing.push(name.clone());
        }
    }
    match differing.as_slice() {
        [] => Ok(()),
        _ => Err(format!("transcripts differ: {}", differing.join(", "))),
    }
}

/// A transcript as a file.
fn record_of(transcript: &[String]) -> String {
    format!("{}\n", transcript.join("\n"))
}
