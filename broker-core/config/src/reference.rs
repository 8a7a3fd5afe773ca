//! The reference page of all options, made from the sections themselves.

use std::fmt::Write as _;

use crate::options::Config;
use crate::section::{ConfigSection, KeySpec, KeyStatus};
use crate::shape::{Place, SectionSpec, places};

/// The page, as Markdown. A test holds the committed copy against it.
pub fn reference_markdown() -> String {
    let mut page = String::from(
        "# Configuration reference\n\n\
         This page is generated from the comments in the code. A file whose name ends in `.toml` is read as \
         TOML, every other file as nats.conf; the keys are the same in both. Keys match without regard to \
         case. *Reload* marks keys that may change while the broker runs. `dunlin config explain KEY` prints \
         one row with an example.\n",
    );
    for Place { section, paths } in places(SectionSpec::of::<Config>()) {
        let title = match paths.first().map(String::as_str) {
            None | Some("") => "Top level".to_owned(),
            Some(path) => escaped(path),
        };
        let others: Vec<String> = paths.iter().skip(1).map(|path| escaped(path)).collect();
        section_page(&mut page, &title, &others, section);
    }
    page
}

/// Adds one section to a page: its comment, a table of its keys, and the keys without effect.
pub fn section_markdown<S: ConfigSection>(page: &mut String, title: &str) {
    section_page(page, title, &[], SectionSpec::of::<S>());
}

fn section_page(page: &mut String, title: &str, others: &[String], section: SectionSpec) {
    let _ = write!(page, "\n## {title}\n\n{}\n\n", section.doc);
    if !others.is_empty() {
        let _ = write!(page, "Also: {}.\n\n", others.join(", "));
    }
    page.push_str("| key | type | default | reload | meaning | rule |\n|---|---|---|---|---|---|\n");
    for key in section.keys.iter().filter(|key| !key.doc.is_empty()) {
        key_markdown(page, key);
    }
    names(
        page,
        section.keys,
        KeyStatus::Inert,
        "Known, without effect yet (each use is logged)",
    );
    names(
        page,
        section.keys,
        KeyStatus::Refused,
        "Known, not supported yet, and refused for safety",
    );
}

fn key_markdown(page: &mut String, key: &KeySpec) {
    let aliases: Vec<String> = key.aliases.iter().map(|name| format!("`{name}`")).collect();
    let aliases = if aliases.is_empty() {
        String::new()
    } else {
        format!(" ({})", aliases.join(", "))
    };
    let default = if key.default.is_empty() {
        String::new()
    } else {
        format!("`{}`", key.default)
    };
    let reload = if key.reloadable { "yes" } else { "" };
    let required = if key.required { " Required." } else { "" };
    let status = match key.status {
        KeyStatus::Active => "",
        KeyStatus::Inert => " *Read and checked; no effect yet.*",
        KeyStatus::Refused => " *Read and checked; refused, because it is not supported yet.*",
    };
    let _ = writeln!(
        page,
        "| `{}`{aliases} | {} | {default} | {reload} | {}{required}{status} | {} |",
        key.name,
        key.kind,
        key.doc.replace('\n', " ").replace('|', "\\|"),
        key.spec,
    );
}

/// The keys of which only the names are known.
fn names(page: &mut String, keys: &[KeySpec], status: KeyStatus, title: &str) {
    let names: Vec<String> = keys
        .iter()
        .filter(|key| key.status == status && key.doc.is_empty())
        .map(|key| format!("`{}`", key.name))
        .collect();
    if !names.is_empty() {
        let _ = writeln!(page, "\n{title}: {}.", names.join(", "));
    }
}

fn escaped(path: &str) -> String {
    path.replace('<', "&lt;").replace('>', "&gt;")
}
