//! The texts of `--help` and `--help_tls`.

use dunlin_config::{ConfigSection, TlsOptions};

use super::definition::{FLAGS, Flag, Group, WORDS, dashed};
use crate::Program;

/// Where the explanations begin.
const COLUMN: usize = 37;

/// What `--help` shows: each flag and command once.
pub fn usage(program: Program) -> String {
    let mut page = format!("\nUsage: {} [options] [command]\n", program.name());
    for group in Group::ALL {
        page.push_str(&format!("\n{} Options:\n", group.title()));
        for flag in FLAGS.iter().filter(|flag| flag.group == group) {
            line(&mut page, &names(flag), &explanation(flag));
        }
    }
    page.push_str("\nCommands:\n");
    for word in WORDS {
        line(
            &mut page,
            &format!("    {} {}", word.name, word.arguments),
            word.help,
        );
    }
    page.push_str(
        "\nFlags take one or two dashes; a value follows as the next word or behind `=`. Booleans stand alone, or \
         with `=false`.\nWhat a flag says wins over the configuration file.\n\n",
    );
    page
}

/// What `--help_tls` shows.
pub fn tls_help() -> String {
    let mut page = String::from(
        "TLS configuration is specified in the tls section of a configuration file:

    tls {
        cert_file: \"server-cert.pem\"
        key_file:  \"server-key.pem\"
        ca_file:   \"ca.pem\"     # authorities that vouch for clients
        verify:    true         # require certificates of clients
    }

The flags --tlscert, --tlskey, --tlscacert and --tlsverify stand for these keys and win over the whole section;
--tls=false switches TLS off. `dunlin config explain tls` lists all keys.

Available cipher suites (cipher_suites):
",
    );
    names_of(&mut page, "cipher_suites");
    page.push_str("\nAvailable curve preferences (curve_preferences):\n");
    names_of(&mut page, "curve_preferences");
    page.push('\n');
    page
}

/// What a key of the tls section takes, one a line.
fn names_of(page: &mut String, key: &str) {
    let keys = TlsOptions::keys().iter().filter(|spec| spec.name == key);
    for name in keys.flat_map(|spec| spec.shape.allowed()) {
        page.push_str(&format!("    {name}\n"));
    }
}

/// What the flag does, and whether it does it yet.
pub(super) fn explanation(flag: &Flag) -> String {
    match flag.is_inert {
        true => format!("{} (no effect yet)", flag.help),
        false => flag.help.to_owned(),
    }
}

/// The names of a flag as the help begins its line: short ones in front, others below each other.
fn names(flag: &Flag) -> String {
    let names: Vec<String> = flag.names.iter().map(|name| dashed(name)).collect();
    let has_short = names.first().is_some_and(|name| !name.starts_with("--"));
    let indent = if has_short { "    " } else { "        " };
    format!("{indent}{} {}", names.join(", "), flag.value)
}

/// One entry; names that leave no room have a line of their own.
fn line(page: &mut String, names: &str, help: &str) {
    let names = names.trim_end();
    let mut at = names.chars().count();
    page.push_str(names);
    for help in help.lines() {
        if at >= COLUMN {
            page.push('\n');
            at = 0;
        }
        page.push_str(&" ".repeat(COLUMN - at));
        page.push_str(help);
        at = COLUMN;
    }
    page.push('\n');
}
