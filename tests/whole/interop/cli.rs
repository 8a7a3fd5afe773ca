//! The `nats` CLI: what a person types.
//!
//! The CLI does not tell when its subscription has reached the server. So each check publishes again and again until
//! the subscriber has what it waits for and ends by itself.
#![allow(clippy::disallowed_methods, reason = "a pipe is read beside the test")]

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;

use dunlin_tests::server::{Kind, Server};

use crate::host::{server, tool};

/// How often something is tried. Each try takes the start of a process, so this ends a failing test after seconds.
const TRIES: usize = 400;

/// Runs every check against a server of this kind.
pub(super) fn check(kind: Kind) {
    let Some(program) = tool("nats") else { return };
    let Some(mut server) = server(kind) else {
        return;
    };
    let home = tempfile::tempdir().unwrap();
    let cli = Cli {
        program,
        url: server.url(),
        home,
    };
    round_trip_time(&cli);
    publish_subscribe_headers(&cli);
    request(&cli);
    no_responders(&cli);
    queue(&cli);
    reconnect(&cli, &mut server);
}

fn round_trip_time(cli: &Cli) {
    let output = cli.run(&["rtt"]);
    assert!(
        output.status.success() && text(&output).contains(&cli.url),
        "{output:?}"
    );
}

fn publish_subscribe_headers(cli: &Cli) {
    let mut sub = cli.start(&["sub", "cli.pubsub", "--count", "1"]);
    sub.ends_while(|| {
        cli.good(&[
            "pub",
            "cli.pubsub",
            "payload",
            "-H",
            "Fruit:apple",
            "-H",
            "Fruit:pear",
        ]);
    });
    let said = sub.rest();
    for part in [
        "Received on \"cli.pubsub\"",
        "Fruit: apple\nFruit: pear\n",
        "\npayload\n",
    ] {
        assert!(said.contains(part), "{part:?} is missing in {said}");
    }
}

fn request(cli: &Cli) {
    let _service = cli.start(&["reply", "cli.service", "re: {{Request}}"]);
    let mut said = String::new();
    for _ in 0..TRIES {
        said = text(&cli.run(&["request", "cli.service", "hello", "--raw"]));
        if !said.is_empty() {
            break;
        }
    }
    assert_eq!(said.trim_end(), "re: hello");
}

fn no_responders(cli: &Cli) {
    let output = cli.run(&["request", "cli.nobody", "hello"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("No responders are available"), "{output:?}");
}

/// Two members of five messages each: whatever they get, no message comes to both.
fn queue(cli: &Cli) {
    let sub = ["sub", "cli.queue", "--queue", "workers", "--count", "5", "--raw"];
    let mut members = [cli.start(&sub), cli.start(&sub)];
    let mut round = 0;
    for member in &mut members {
        member.ends_while(|| {
            round += 1;
            cli.good(&[
                "pub",
                "cli.queue",
                &format!("{round}-{{{{Count}}}}"),
                "--count",
                "4",
            ]);
        });
    }
    let mut all: Vec<String> = members
        .iter_mut()
        .flat_map(|member| lines(&member.rest()))
        .collect();
    assert_eq!(all.len(), 10, "{all:?}");
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 10, "a message came twice: {all:?}");
}

fn reconnect(cli: &Cli, server: &mut Server) {
    let mut sub = cli.start(&["sub", "cli.reconnect", "--raw"]);
    let stdout = BufReader::new(sub.process.stdout.take().unwrap());
    let (sender, said) = mpsc::channel();
    // Ends when the subscriber does, at the end of this function.
    std::thread::spawn(move || {
        stdout
            .lines()
            .map_while(Result::ok)
            .try_for_each(|line| sender.send(line))
    });
    let arrives = |word: &str| {
        (0..TRIES).any(|_| {
            cli.good(&["pub", "cli.reconnect", word]);
            said.try_iter().any(|line| line == word)
        })
    };
    assert!(arrives("before"), "the subscriber got nothing");
    server.restart().unwrap();
    assert!(arrives("after"), "the subscriber did not come back");
}

/// The installed CLI and the server that it talks to.
struct Cli {
    program: PathBuf,
    url: String,
    /// It keeps its contexts here, not in the home of whoever runs the tests.
    home: tempfile::TempDir,
}

impl Cli {
    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(args).args(["--no-context", "--server", &self.url]);
        command
            .env("HOME", self.home.path())
            .env("XDG_CONFIG_HOME", self.home.path());
        command.stdin(Stdio::null());
        command
    }

    fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    fn good(&self, args: &[&str]) {
        let output = self.run(args);
        assert!(output.status.success(), "{args:?}: {output:?}");
    }

    fn start(&self, args: &[&str]) -> Running {
        let command = &mut self.command(args);
        Running {
            process: command
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .spawn()
                .unwrap(),
        }
    }
}

/// A command that goes on. Ended when dropped.
struct Running {
    process: Child,
}

impl Running {
    /// Does `act` until the command ends, which must be a good end.
    fn ends_while(&mut self, mut act: impl FnMut()) {
        for _ in 0..TRIES {
            if let Some(status) = self.process.try_wait().unwrap() {
                assert!(status.success(), "{status}");
                return;
            }
            act();
        }
        panic!("it did not end");
    }

    /// All that it printed; waits for its end.
    fn rest(&mut self) -> String {
        let mut said = String::new();
        self.process
            .stdout
            .as_mut()
            .unwrap()
            .read_to_string(&mut said)
            .unwrap();
        said
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn lines(said: &str) -> Vec<String> {
    said.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .map(str::to_owned)
        .collect()
}
