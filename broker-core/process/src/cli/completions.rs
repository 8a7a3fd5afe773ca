//! Completions for shells, made from the flags and commands.

use super::definition::{FLAGS, Flag, Proposes, WORDS, Word, dashed};
use super::usage::explanation;

/// A shell that can complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shell {
    /// bash, with its package bash-completion or without.
    Bash,
    /// zsh: a file `_dunlin` in a folder of `fpath`.
    Zsh,
    /// fish: a file in its folder of completions.
    Fish,
}

/// Names that the program may have.
const PROGRAMS: &str = "dunlin nats-server";

impl Shell {
    /// By its name.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "bash" => Some(Self::Bash),
            "zsh" => Some(Self::Zsh),
            "fish" => Some(Self::Fish),
            _ => None,
        }
    }

    /// The completions as a script of this shell, for both names of the program.
    pub fn completions(self) -> String {
        match self {
            Self::Bash => bash(),
            Self::Zsh => zsh(),
            Self::Fish => fish(),
        }
    }
}

/// The commands, each word once.
fn words() -> Vec<&'static Word> {
    let mut words: Vec<&Word> = Vec::new();
    for word in WORDS {
        if !words.iter().any(|other| other.name == word.name) {
            words.push(word);
        }
    }
    words
}

fn all_names(flag: &Flag) -> impl Iterator<Item = String> {
    flag.names.iter().map(|name| dashed(name))
}

fn bash() -> String {
    let mut cases = String::new();
    let mut case = |names: String, proposes: Proposes| {
        let reply = match proposes {
            Proposes::Nothing => "COMPREPLY=()".to_owned(),
            Proposes::Files => "COMPREPLY=($(compgen -f -- \"$current\"))".to_owned(),
            Proposes::Folders => "COMPREPLY=($(compgen -d -- \"$current\"))".to_owned(),
            Proposes::Words(words) => {
                format!(
                    "COMPREPLY=($(compgen -W \"{}\" -- \"$current\"))",
                    words.join(" ")
                )
            }
        };
        cases.push_str(&format!("        {names}) {reply}; return ;;\n"));
    };
    for flag in FLAGS.iter().filter(|flag| !flag.value.is_empty()) {
        case(all_names(flag).collect::<Vec<_>>().join("|"), flag.proposes);
    }
    for word in words().iter().filter(|word| !word.arguments.is_empty()) {
        case(word.name.to_owned(), word.proposes);
    }
    case("check|convert|diff".to_owned(), Proposes::Files);
    let flags: Vec<String> = FLAGS.iter().flat_map(all_names).collect();
    let words: Vec<&str> = words().iter().map(|word| word.name).collect();
    format!(
        "# Completions of dunlin for bash.\n\
         _dunlin() {{\n    \
             local current=${{COMP_WORDS[COMP_CWORD]}} previous=${{COMP_WORDS[COMP_CWORD-1]}}\n    \
             case $previous in\n\
         {cases}    \
             esac\n    \
             COMPREPLY=($(compgen -W \"{} {}\" -- \"$current\"))\n\
         }}\n\
         complete -o filenames -F _dunlin {PROGRAMS}\n",
        flags.join(" "),
        words.join(" "),
    )
}

fn zsh() -> String {
    let mut specs = String::new();
    for flag in FLAGS {
        let names: Vec<String> = all_names(flag).collect();
        let help = zsh_text(&explanation(flag));
        let value = match (flag.value, flag.proposes) {
            ("", _) => String::new(),
            (value, Proposes::Nothing) => format!(":{}: ", zsh_text(value)),
            (value, Proposes::Files) => format!(":{}:_files", zsh_text(value)),
            (value, Proposes::Folders) => format!(":{}:_files -/", zsh_text(value)),
            (value, Proposes::Words(words)) => format!(":{}:({})", zsh_text(value), words.join(" ")),
        };
        for name in &names {
            specs.push_str(&format!("    '({}){name}[{help}]{value}' \\\n", names.join(" ")));
        }
    }
    let words: Vec<String> = words()
        .iter()
        .map(|word| format!("{}\\:\"{}\"", word.name, zsh_text(word.help)))
        .collect();
    format!(
        "#compdef {PROGRAMS}\n\
         # Completions of dunlin for zsh.\n\
         _arguments \\\n\
         {specs}    '1:command:(({}))' \\\n    \
             '*::argument:_files'\n",
        words.join(" ")
    )
}

/// Text inside a specification of zsh, which stands in single quotes.
fn zsh_text(text: &str) -> String {
    let mut out = String::new();
    for character in text.replace('\n', " ").chars() {
        match character {
            '[' | ']' | ':' | '\\' | '"' => out.extend(['\\', character]),
            '\'' => out.push_str("'\\''"),
            _ => out.push(character),
        }
    }
    out
}

fn fish() -> String {
    let mut script = String::from("# Completions of dunlin for fish.\n");
    for program in PROGRAMS.split(' ') {
        for flag in FLAGS {
            let names: Vec<String> = flag
                .names
                .iter()
                .map(|name| match (name.len(), dashed(name).starts_with("--")) {
                    (1, _) => format!("-s {name}"),
                    (_, true) => format!("-l {name}"),
                    (_, false) => format!("-o {name}"),
                })
                .collect();
            let value = match (flag.value, flag.proposes) {
                ("", _) => String::new(),
                (_, Proposes::Files) => " -r -F".to_owned(),
                (_, Proposes::Folders) => " -x -a \"(__fish_complete_directories)\"".to_owned(),
                (_, Proposes::Words(words)) => format!(" -x -a {}", fish_text(&words.join(" "))),
                (_, Proposes::Nothing) => " -x".to_owned(),
            };
            let help = fish_text(&explanation(flag).replace('\n', " "));
            script.push_str(&format!(
                "complete -c {program} {}{value} -d {help}\n",
                names.join(" ")
            ));
        }
        for word in words() {
            let help = fish_text(word.help);
            script.push_str(&format!(
                "complete -c {program} -n __fish_use_subcommand -f -a {} -d {help}\n",
                word.name
            ));
            if let Proposes::Words(words) = word.proposes {
                let words = fish_text(&words.join(" "));
                script.push_str(&format!(
                    "complete -c {program} -n '__fish_seen_subcommand_from {}' -f -a {words}\n",
                    word.name
                ));
            }
        }
        script.push_str(&format!(
            "complete -c {program} -n '__fish_seen_subcommand_from check convert diff' -F\n"
        ));
    }
    script
}

/// Text in single quotes.
fn fish_text(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}
