//! TLS in all modes as real clients know it: async-nats, the `nats` CLI, and the programs of `tests/interop`.

use std::process::{Command, Stdio};
use std::time::Duration;

use async_nats::ConnectOptions;
use futures_util::StreamExt as _;

use dunlin_tests::paths;
use dunlin_tests::server::{Kind, Server};

use crate::host::{server_with, tool};

/// How long anything may take that should come at once. Reached only by a failing test.
const PATIENCE: Duration = Duration::from_secs(20);

const FILES: &str = "cert_file: server.pem, key_file: server.key, ca_file: ca.pem, timeout: 5";

#[test]
fn interop_tls() {
    all_modes(Kind::Dunlin);
}

#[test]
fn interop_tls_on_the_reference() {
    all_modes(Kind::Reference);
}

/// Whether a client gets in: one that knows the authority, one with a certificate, one that begins with its handshake,
/// one without TLS.
fn all_modes(kind: Kind) {
    for (mode, trusting, certified, first, plain) in [
        ("", true, true, false, false),
        ("verify: true", false, true, false, false),
        ("handshake_first: true", false, false, true, false),
        ("handshake_first: 100ms", true, true, true, false),
        ("min_version: \"1.3\"", true, true, false, false),
    ] {
        let Some(server) = server_with(kind, &format!("tls {{ {FILES}, {mode} }}")) else {
            return;
        };
        let options = || {
            ConnectOptions::new()
                .add_root_certificates(server.folder().join("ca.pem"))
                .require_tls(true)
        };
        let with_certificate = || {
            let folder = server.folder();
            options().add_client_certificate(folder.join("named.pem"), folder.join("named.key"))
        };
        passes(&server, mode, "who trusts", options(), trusting);
        passes(
            &server,
            mode,
            "who has a certificate",
            with_certificate(),
            certified,
        );
        passes(&server, mode, "who begins with TLS", options().tls_first(), first);
        passes(&server, mode, "who trusts nobody", ConnectOptions::new(), plain);
        cli(&server, mode, &[], trusting);
        cli(
            &server,
            mode,
            &["--tlscert", "named.pem", "--tlskey", "named.key"],
            certified,
        );
        cli(&server, mode, &["--tlsfirst"], first);
        let expected = [
            ("trusting", trusting),
            ("certified", certified),
            ("first", first),
            ("plain", plain),
        ];
        let expected = expected.map(|(who, is_good)| format!("{who} {}", if is_good { "yes" } else { "no" }));
        // Side by side: most of their time is waiting for a server that does not answer.
        let running: Vec<_> = programs()
            .into_iter()
            .map(|mut program| {
                program
                    .arg(server.url())
                    .arg(server.folder())
                    .stdin(Stdio::null());
                program.stdout(Stdio::piped()).stderr(Stdio::piped());
                (program.spawn().unwrap(), format!("{program:?}"))
            })
            .collect();
        for (program, name) in running {
            let told = program.wait_with_output().unwrap();
            let (said, why) = (
                String::from_utf8_lossy(&told.stdout),
                String::from_utf8_lossy(&told.stderr),
            );
            let said: Vec<_> = said.lines().collect();
            assert_eq!(said, expected, "{mode}: {name}: {why}");
        }
    }
}

/// The programs of `tests/interop` that say who gets in, as far as they are installed.
fn programs() -> Vec<Command> {
    let mut programs = Vec::new();
    programs.extend(tool("interop-go").map(Command::new));
    programs.extend(tool("py/bin/python").map(|python| {
        let mut program = Command::new(python);
        program.arg(paths::source("interop/python/modes.py"));
        program
    }));
    programs.extend(tool("js/modes.mjs").map(|script| {
        let mut program = Command::new("node");
        program.arg(script);
        program
    }));
    programs.extend(super::class_path().map(|path| {
        let mut program = Command::new("java");
        program.arg("-cp").arg(path).arg("Client");
        program
    }));
    programs
}

/// A message goes through, or the client does not get in.
fn passes(server: &Server, mode: &str, who: &str, options: ConnectOptions, is_good: bool) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let outcome = runtime.block_on(async {
        let exchange = async {
            let client = options
                .connect(server.url())
                .await
                .map_err(|error| error.to_string())?;
            let mut subscription = client
                .subscribe("secret")
                .await
                .map_err(|error| error.to_string())?;
            client
                .publish("secret", "kept".into())
                .await
                .map_err(|error| error.to_string())?;
            let message = subscription.next().await.ok_or("no message")?;
            Ok::<_, String>(message.payload)
        };
        tokio::time::timeout(PATIENCE, exchange).await
    });
    match outcome {
        Ok(Ok(payload)) => assert!(is_good && &*payload == b"kept", "{mode}: {who} got in"),
        Ok(Err(error)) => assert!(!is_good, "{mode}: {who}: {error}"),
        Err(_) => panic!("{mode}: {who} waits"),
    }
}

fn cli(server: &Server, mode: &str, args: &[&str], is_good: bool) {
    let Some(nats) = tool("nats") else { return };
    let output = Command::new(nats)
        .current_dir(server.folder())
        .env("HOME", server.folder())
        .env("XDG_CONFIG_HOME", server.folder())
        .args(["--server", &server.url(), "--tlsca", "ca.pem"])
        .args(args)
        .args(["pub", "secret", "kept"])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.success(), is_good, "{mode}: nats {args:?}: {told}");
}
