//! `cargo xtask docs`: writes the generated pages, and tells which are stale.

use std::path::Path;

use crate::output::say;
use crate::project;

/// The command.
///
/// # Errors
/// A page cannot be read or written.
pub(crate) fn run(args: &[String]) -> Result<(), String> {
    if !args.is_empty() {
        return Err("docs takes no arguments".to_owned());
    }
    let root = project::root();
    for (name, wanted) in pages() {
        let path = root.join(name);
        if std::fs::read_to_string(&path).is_ok_and(|text| text == wanted) {
            say(&format!("{name}: fresh"));
            continue;
        }
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(|error| format!("{name}: {error}"))?;
        }
        std::fs::write(&path, wanted).map_err(|error| format!("{name}: {error}"))?;
        say(&format!("{name}: written"));
    }
    Ok(())
}

/// The pages that are not what they would be if they were generated now.
pub(crate) fn stale(root: &Path) -> Vec<String> {
    pages()
        .into_iter()
        .filter(|(name, wanted)| !std::fs::read_to_string(root.join(name)).is_ok_and(|text| text == *wanted))
        .map(|(name, _)| format!("{name}:0: stale-docs: run `cargo xtask docs`"))
        .collect()
}

/// Every generated page, as it should be.
fn pages() -> [(&'static str, String); 2] {
    [
        ("docs/configuration.md", dunlin_config::reference_markdown()),
        ("docs/configuration.schema.json", dunlin_config::json_schema()),
    ]
}
