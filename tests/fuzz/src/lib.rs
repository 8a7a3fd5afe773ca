//! What fuzzing does with each parser that reads bytes of strangers: one function a target.
//!
//! A function takes any bytes and panics where a rule is broken: a parser that panics itself, that depends on how its
//! input is cut, that disagrees with a plain model, or that does not read back what it wrote. `fuzz/` runs them under
//! libFuzzer (`cargo xtask fuzz`); the tests here replay the kept inputs and some thousand mutations of them.
#![allow(
    clippy::panic,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a broken rule is told by a panic; corpora are read from files"
)]

mod backup;
mod blocks;
mod config;
mod corpus;
mod json;
mod mutate;
mod protocol;
mod proxy;
mod small_files;
mod subject;
mod transform;

pub use backup::backup;
pub use blocks::blocks;
pub use config::{nats_conf, toml};
pub use corpus::{Corpus, tokens};
pub use json::{connect, info};
pub use mutate::Mutator;
pub use protocol::{headers, protocol};
pub use proxy::proxy;
pub use small_files::small_files;
pub use subject::subjects;
pub use transform::transforms;

/// One thing to fuzz.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name: of the program in `fuzz/`, of the folder of kept inputs, of the dictionary.
    pub name: &'static str,
    /// Takes any bytes; panics where a rule is broken.
    pub run: fn(&[u8]),
}

/// All targets.
pub const TARGETS: &[Target] = &[
    Target {
        name: "backup",
        run: backup,
    },
    Target {
        name: "blocks",
        run: blocks,
    },
    Target {
        name: "connect",
        run: connect,
    },
    Target {
        name: "headers",
        run: headers,
    },
    Target {
        name: "info",
        run: info,
    },
    Target {
        name: "nats_conf",
        run: nats_conf,
    },
    Target {
        name: "protocol",
        run: protocol,
    },
    Target {
        name: "proxy",
        run: proxy,
    },
    Target {
        name: "small_files",
        run: small_files,
    },
    Target {
        name: "subjects",
        run: subjects,
    },
    Target {
        name: "toml",
        run: toml,
    },
    Target {
        name: "transforms",
        run: transforms,
    },
];

#[cfg(test)]
mod tests;
