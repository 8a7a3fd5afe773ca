//! Every way to log in and every permission, as real clients know them: async-nats, and nats.go in the `nats` CLI.

#![allow(clippy::disallowed_methods, reason = "the CLI reads seeds from files")]

use std::process::{Command, Output, Stdio};
use std::time::Duration;

use async_nats::{Client, ConnectErrorKind, ConnectOptions, Event, ServerError};
use futures_util::StreamExt as _;
use tokio::sync::mpsc;

use dunlin_tests::server::{Kind, Server};

use crate::host::{server_with, tool};

const NKEY: &str = "UANDPXCSLZIKN2UCA72DSR4CBQ7LKN4XXMDDYDXO22DZHXRUKAY2KJW4";
const SEED: &str = "SUAN56AB7XR5RARZSZMG3HMZJEZ22FPEV5D5CGRBQ4BG7JWUXESWXOBBJE";
const OTHER_SEED: &str = "SUAC4C7QLKKV446BAAMBQBTAZUWWU5R4PWFAZSUG326L3O5L4YPIB6HJ7I";

/// How long anything may take that should come at once. Reached only by a failing test.
const PATIENCE: Duration = Duration::from_secs(20);

/// A user of each kind, and two who may not do everything.
fn users() -> String {
    let hash = bcrypt::hash("hidden", 4).unwrap();
    format!(
        "no_auth_user: guest
         authorization {{ users: [
           {{user: plain, pass: secret}}
           {{user: hashed, pass: \"{hash}\"}}
           {{nkey: {NKEY}}}
           {{user: guest, pass: unused, permissions: {{publish: \"ask.>\", subscribe: \"_INBOX.>\"}}}}
           {{user: service, pass: s, permissions: {{subscribe: \"ask.>\", allow_responses: true}}}}
         ] }}"
    )
}

#[test]
fn interop_logins() {
    logins(Kind::Dunlin);
}

#[test]
fn interop_logins_on_the_reference() {
    logins(Kind::Reference);
}

#[test]
fn interop_permissions() {
    permissions(Kind::Dunlin);
}

#[test]
fn interop_permissions_on_the_reference() {
    permissions(Kind::Reference);
}

fn logins(kind: Kind) {
    let Some(server) = server_with(kind, &users()) else {
        return;
    };
    let password = |user: &str, pass: &str| ConnectOptions::with_user_and_password(user.into(), pass.into());
    wait_for(async {
        for (name, options, is_good) in [
            ("plain", password("plain", "secret"), true),
            ("a wrong password", password("plain", "Secret"), false),
            ("nobody", password("nobody", "secret"), false),
            ("hashed", password("hashed", "hidden"), true),
            ("a wrong hashed password", password("hashed", "hidden "), false),
            ("an nkey", ConnectOptions::with_nkey(SEED.into()), true),
            (
                "another nkey",
                ConnectOptions::with_nkey(OTHER_SEED.into()),
                false,
            ),
            (
                "a token where none is configured",
                ConnectOptions::with_token("secret".into()),
                false,
            ),
            ("no credentials", ConnectOptions::new(), true),
        ] {
            log_in(&server, name, options, is_good).await;
        }
    });
    let Some(cli) = Cli::new(&server) else { return };
    for (args, is_good) in [
        (&["--user", "plain", "--password", "secret"][..], true),
        (&["--user", "plain", "--password", "wrong"], false),
        (&["--user", "hashed", "--password", "hidden"], true),
        (&["--nkey", &cli.seed(SEED)], true),
        (&["--nkey", &cli.seed(OTHER_SEED)], false),
        (&[], true),
    ] {
        cli.log_in(args, is_good);
    }
    let Some(server) = server_with(kind, "authorization { token: s3cret }") else {
        return;
    };
    wait_for(async {
        log_in(
            &server,
            "the token",
            ConnectOptions::with_token("s3cret".into()),
            true,
        )
        .await;
        log_in(
            &server,
            "another token",
            ConnectOptions::with_token("secret".into()),
            false,
        )
        .await;
        log_in(&server, "no token", ConnectOptions::new(), false).await;
    });
}

async fn log_in(server: &Server, name: &str, options: ConnectOptions, is_good: bool) {
    let outcome = within(options.connect(server.url())).await;
    match outcome {
        Ok(client) => {
            assert!(is_good, "{name} was let in");
            within(client.flush()).await.unwrap();
        }
        Err(error) => {
            assert!(!is_good, "{name}: {error}");
            assert_eq!(
                error.kind(),
                ConnectErrorKind::AuthorizationViolation,
                "{name}: {error}"
            );
        }
    }
}

/// A guest may ask, and hears of what it may not; a service may answer once and nothing else.
fn permissions(kind: Kind) {
    let Some(server) = server_with(kind, &users()) else {
        return;
    };
    wait_for(async {
        let (service, mut complaints) = observed(
            &server,
            ConnectOptions::with_user_and_password("service".into(), "s".into()),
        )
        .await;
        let mut asked = service.subscribe("ask.>").await.unwrap();
        within(service.flush()).await.unwrap();
        let (guest, mut refusals) = observed(&server, ConnectOptions::new()).await;
        let request = tokio::spawn({
            let guest = guest.clone();
            async move { guest.request("ask.time", "?".into()).await }
        });
        let message = within(asked.next()).await.unwrap();
        let reply = message.reply.unwrap();
        service.publish(reply.clone(), "now".into()).await.unwrap();
        assert_eq!(within(request).await.unwrap().unwrap().payload, "now");
        // The answer was the one that is allowed.
        service.publish(reply.clone(), "again".into()).await.unwrap();
        let text = format!("Permissions Violation for Publish to \"{reply}\"");
        assert_eq!(next_error(&mut complaints).await, text);
        guest.publish("other", "x".into()).await.unwrap();
        assert_eq!(
            next_error(&mut refusals).await,
            "Permissions Violation for Publish to \"other\""
        );
        let _refused = guest.subscribe("ask.>").await.unwrap();
        assert_eq!(
            next_error(&mut refusals).await,
            "Permissions Violation for Subscription to \"ask.>\""
        );
        // The connection has come through all of it.
        within(guest.flush()).await.unwrap();
    });
}

async fn observed(server: &Server, options: ConnectOptions) -> (Client, mpsc::UnboundedReceiver<Event>) {
    let (sender, events) = mpsc::unbounded_channel();
    let options = options.event_callback(move |event| {
        let sender = sender.clone();
        async move {
            // A test that has ended does not listen any more.
            let _ = sender.send(event);
        }
    });
    (within(options.connect(server.url())).await.unwrap(), events)
}

/// The text of the next error that the server told the client, in lower case as the library may make it.
async fn next_error(events: &mut mpsc::UnboundedReceiver<Event>) -> String {
    loop {
        if let Event::ServerError(error) = within(events.recv()).await.expect("the client is gone") {
            return match error {
                ServerError::Other(text) => text,
                other => other.to_string(),
            };
        }
    }
}

fn wait_for(work: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(work);
}

async fn within<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(PATIENCE, future)
        .await
        .expect("it did not happen")
}

/// The `nats` CLI with a home of its own.
struct Cli {
    program: std::path::PathBuf,
    url: String,
    home: tempfile::TempDir,
}

impl Cli {
    fn new(server: &Server) -> Option<Self> {
        Some(Self {
            program: tool("nats")?,
            url: server.url(),
            home: tempfile::tempdir().unwrap(),
        })
    }

    /// A file with the seed.
    fn seed(&self, seed: &str) -> String {
        let path = self.home.path().join(&seed[..10]);
        std::fs::write(&path, seed).unwrap();
        path.display().to_string()
    }

    fn log_in(&self, args: &[&str], is_good: bool) {
        let output: Output = Command::new(&self.program)
            .args(["--no-context", "--server", &self.url])
            .args(args)
            .args(["pub", "ask.cli", "x"])
            .env("HOME", self.home.path())
            .env("XDG_CONFIG_HOME", self.home.path())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.success(), is_good, "{args:?}: {said}");
        assert!(
            is_good || said.contains("Authorization Violation"),
            "{args:?}: {said}"
        );
    }
}
