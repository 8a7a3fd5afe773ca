//! Official client libraries and the `nats` CLI against a running broker. `tests/interop/README.md` lists the checks.
//!
//! Every client runs against Dunlin, and against the reference: a check that the reference fails is a wrong check.
//! Nothing is simulated here. A client that is not installed is skipped by name.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "only tests"
)]

mod auth;
mod cli;
mod limits;
mod rust_client;
mod tls;

use std::ffi::{OsStr, OsString};
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use dunlin_tests::paths;
use dunlin_tests::server::Kind;

use crate::host::{server, tool};

/// What every program must report.
const CHECKS: [&str; 10] = [
    "publish_subscribe",
    "wildcard",
    "headers",
    "request",
    "no_responders",
    "queue",
    "unsubscribe",
    "large",
    "drain",
    "reconnect",
];

#[test]
fn interop_async_nats() {
    rust_client::check(Kind::Dunlin);
}

#[test]
fn interop_async_nats_on_the_reference() {
    rust_client::check(Kind::Reference);
}

// CORE-84 [TestLameDuckMode]
#[test]
fn a_client_of_a_lame_duck_moves_on() {
    limits::lame_duck(Kind::Dunlin);
}

#[test]
fn a_client_of_a_lame_duck_moves_on_from_the_reference() {
    limits::lame_duck(Kind::Reference);
}

// CORE-34 [TestMaxPayload]
#[test]
fn a_client_keeps_to_the_max_payload_that_it_is_told() {
    limits::max_payload(Kind::Dunlin);
}

#[test]
fn a_client_keeps_to_the_max_payload_of_the_reference() {
    limits::max_payload(Kind::Reference);
}

#[test]
fn interop_nats_go() {
    nats_go(Kind::Dunlin);
}

#[test]
fn interop_nats_go_on_the_reference() {
    nats_go(Kind::Reference);
}

#[test]
fn interop_nats_py() {
    nats_py(Kind::Dunlin);
}

#[test]
fn interop_nats_py_on_the_reference() {
    nats_py(Kind::Reference);
}

#[test]
fn interop_nats_js() {
    nats_js(Kind::Dunlin);
}

#[test]
fn interop_nats_js_on_the_reference() {
    nats_js(Kind::Reference);
}

#[test]
fn interop_nats_java() {
    nats_java(Kind::Dunlin);
}

#[test]
fn interop_nats_java_on_the_reference() {
    nats_java(Kind::Reference);
}

#[test]
fn interop_nats_cli() {
    cli::check(Kind::Dunlin);
}

#[test]
fn interop_nats_cli_on_the_reference() {
    cli::check(Kind::Reference);
}

fn nats_go(kind: Kind) {
    let Some(program) = tool("interop-go") else { return };
    run(kind, &program, &[]);
}

fn nats_py(kind: Kind) {
    let Some(python) = tool("py/bin/python") else {
        return;
    };
    let script = paths::source("interop/python/client.py");
    run(kind, &python, &[script.as_os_str()]);
}

fn nats_js(kind: Kind) {
    // Node finds a library beside the script that asks for it, so the script is installed too.
    let Some(script) = tool("js/client.mjs") else {
        return;
    };
    run(kind, Path::new("node"), &[script.as_os_str()]);
}

fn nats_java(kind: Kind) {
    let Some(class_path) = class_path() else { return };
    run(
        kind,
        Path::new("java"),
        &["-cp".as_ref(), &class_path, "Client".as_ref()],
    );
}

/// Where the Java client and its library lie.
fn class_path() -> Option<OsString> {
    let classes = tool("java/classes")?;
    let mut path = classes.clone().into_os_string();
    path.push(if cfg!(windows) { ";" } else { ":" });
    path.push(classes.with_file_name("lib").join("*"));
    Some(path)
}

/// Runs a client program to its end, restarts the server when it asks, and expects each check to be reported good once.
fn run(kind: Kind, program: &Path, args: &[&OsStr]) {
    let Some(mut server) = server(kind) else {
        return;
    };
    let mut client = Command::new(program)
        .args(args)
        .arg(server.url())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{}: {error}", program.display()));
    let mut said = Vec::new();
    for line in BufReader::new(client.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        if line == "restart" {
            server.restart().unwrap();
        } else {
            said.push(line);
        }
    }
    let status = client.wait().unwrap();
    let want = CHECKS.map(|name| format!("ok {name}"));
    assert_eq!(said, want, "{} ended with {status}", program.display());
    assert!(status.success(), "{} ended with {status}", program.display());
}
