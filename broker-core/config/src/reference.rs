//! The reference page of all options, made from the sections themselves.

use std::fmt::Write as _;

use crate::options::{Account, AccountLimits, Authorization, Config, Permissions, ResponseOptions, User};
use crate::section::{ConfigSection, KeySpec, KeyStatus};

/// The page, as Markdown. A test holds the committed copy against it.
pub fn reference_markdown() -> String {
    let mut page = String::from(
        "# Configuration reference\n\n\
         This page is generated from the comments in the code. A file whose name ends in `.toml` is read as \
         TOML, every other file as nats.conf; the keys are the same in both. Keys match without regard to \
         case. *Reload* marks keys that may change while the broker runs.\n",
    );
    section_markdown::<Config>(&mut page, "Top level");
    section_markdown::<Authorization>(&mut page, "authorization");
    section_markdown::<User>(&mut page, "users, in authorization and in an account");
    section_markdown::<Permissions>(&mut page, "permissions, default_permissions");
    section_markdown::<ResponseOptions>(&mut page, "allow_responses");
    section_markdown::<Account>(&mut page, "accounts.&lt;name&gt;");
    section_markdown::<AccountLimits>(&mut page, "accounts.&lt;name&gt;.limits");
    page
}

/// Adds one section to a page: its comment, a table of its keys, and the keys without effect.
pub fn section_markdown<S: ConfigSection>(page: &mut String, title: &str) {
    let _ = write!(page, "\n## {title}\n\n{}\n\n", S::DOC);
    page.push_str("| key | type | default | reload | meaning | rule |\n|---|---|---|---|---|---|\n");
    for key in S::keys().iter().filter(|key| key.status == KeyStatus::Active) {
        key_markdown(page, key);
    }
    names(
        page,
        S::keys(),
        KeyStatus::Inert,
        "Known, without effect yet (each use is logged)",
    );
    names(
        page,
        S::keys(),
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
    let _ = writeln!(
        page,
        "| `{}`{aliases} | {} | {default} | {reload} | {}{required} | {} |",
        key.name,
        key.kind,
        key.doc.replace('\n', " ").replace('|', "\\|"),
        key.spec,
    );
}

fn names(page: &mut String, keys: &[KeySpec], status: KeyStatus, title: &str) {
    let names: Vec<String> = keys
        .iter()
        .filter(|key| key.status == status)
        .map(|key| format!("`{}`", key.name))
        .collect();
    if !names.is_empty() {
        let _ = writeln!(page, "\n{title}: {}.", names.join(", "));
    }
}
