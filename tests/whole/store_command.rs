//! `dunlin store ..` as an operator runs it, over directories that the reference wrote.
#![allow(clippy::disallowed_methods, reason = "a test runs programs and damages files")]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use dunlin_tests::connection::{Connection, Event};
use dunlin_tests::paths;
use dunlin_tests::server::{Kind, Server};
use tempfile::TempDir;

use crate::host::server_with;

fn fixture(case: &str) -> PathBuf {
    paths::root().join("tests/fixtures/store-2.15.2").join(case)
}

/// A copy of a golden directory.
pub(crate) fn copy_of(case: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    copy_all(&fixture(case), folder.path());
    folder
}

fn copy_all(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_all(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).unwrap();
        }
    }
}

/// Exit code, standard output, standard error.
fn store(arguments: &[&str], directory: &Path, key: Option<&str>) -> (Option<i32>, String, String) {
    let mut command = Command::new(paths::dunlin().unwrap());
    let (action, options) = arguments.split_first().unwrap();
    command.arg("store").arg(action).arg(directory).args(options);
    command.env_remove("DUNLIN_STORE_KEY").stdin(Stdio::null());
    if let Some(key) = key {
        command.env("DUNLIN_STORE_KEY", key);
    }
    let output = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

fn flip(path: &Path, at: usize) {
    let mut bytes = std::fs::read(path).unwrap();
    bytes[at] ^= 1;
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn exit_codes_tell_clean_damaged_and_unreadable_apart() {
    let folder = copy_of("plain");
    let (code, out, err) = store(&["check"], folder.path(), None);
    assert_eq!(code, Some(0), "{out}{err}");
    assert!(
        out.contains("$G > T: 10 messages, 4406 bytes, sequences 1 to 13"),
        "{out}"
    );
    assert!(err.contains("$G > T: reading"), "{err}");
    flip(&folder.path().join("jetstream/$G/streams/T/msgs/1.blk"), 2_000);
    let (code, out, _) = store(&["check", "--json"], folder.path(), None);
    assert_eq!(code, Some(1));
    let report: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(report["damaged"], true);
    let finding = &report["assets"][0]["findings"][0];
    assert_eq!(
        (finding["severity"].as_str(), finding["cost"].as_str()),
        (Some("damage"), Some("at most 1 messages are lost"))
    );
    for (directory, key) in [
        (fixture("aes"), None),
        (fixture("aes"), Some("wrong")),
        (paths::root().join("docs"), None),
    ] {
        let (code, out, err) = store(&["check"], &directory, key);
        assert_eq!(code, Some(2), "{out}{err}");
    }
    let (code, ..) = store(&["check"], &fixture("aes"), Some("fixture-key"));
    assert_eq!(code, Some(0));
}

#[test]
fn a_key_may_come_from_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keys");
    std::fs::write(&file, "fixture-key-2\nfixture-key\n").unwrap();
    let option = ["stat", "--json", "--key-file", file.to_str().unwrap()];
    let (code, out, err) = store(&option, &fixture("rekeyed"), None);
    assert_eq!(code, Some(0), "{err}");
    let stats: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(
        (&stats[0]["messages"], &stats[0]["encrypted"]),
        (&11.into(), &true.into())
    );
    // The reference loses them over the change of keys (STORE-44).
    assert_eq!(stats[0]["consumers"].as_array().unwrap().len(), 4);
    assert_eq!(stats[0]["consumers"][1]["delivered"], 6);
}

#[test]
fn messages_are_dumped_and_a_reader_may_go_away() {
    let (code, out, _) = store(&["dump", "--from", "2", "--to", "3"], &fixture("plain"), None);
    assert_eq!(code, Some(0));
    assert!(
        out.starts_with("T 2 2026-11-22T15:26:31.237900973Z foo 2 bytes\n  A: b\n  hi\nT 3 "),
        "{out}"
    );
    let mut child = Command::new(paths::dunlin().unwrap())
        .args(["store", "dump"])
        .arg(fixture("plain"))
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

/// One answer of the API of JetStream.
pub(crate) fn ask(server: &Server, subject: &str) -> serde_json::Value {
    let mut connection = Connection::open(server.address()).unwrap();
    connection.send(format!("CONNECT {{}}\r\nSUB reply 1\r\nPUB {subject} reply 0\r\n\r\n").as_bytes());
    loop {
        match connection.read().unwrap() {
            Event::Frame(frame) if frame.is_message() => {
                let body = frame.body().unwrap();
                let start = body.iter().position(|byte| *byte == b'{').unwrap();
                return serde_json::from_slice(&body[start..]).unwrap();
            }
            Event::Frame(_) => {}
            other => panic!("{other:?}"),
        }
    }
}

// A repaired store is one that the reference opens without a warning, with all that could be read.
#[test]
fn the_reference_opens_what_was_repaired() {
    for (case, key, at) in [("plain", None, 2_000), ("chacha", Some("fixture-key"), 2_000)] {
        let folder = copy_of(case);
        flip(&folder.path().join("jetstream/$G/streams/T/msgs/1.blk"), at);
        let (code, out, err) = store(&["repair"], folder.path(), key);
        assert_eq!(code, Some(0), "{out}{err}");
        let encryption = key.map(|key| format!("key: {key:?}")).unwrap_or_default();
        let config = format!("jetstream {{ store_dir: {:?}, {encryption} }}", folder.path());
        let Some(server) = server_with(Kind::Reference, &config) else {
            return;
        };
        let info = ask(&server, "$JS.API.STREAM.INFO.T");
        let state = &info["state"];
        assert_eq!(
            (&state["messages"], &state["last_seq"]),
            (&9.into(), &13.into()),
            "{info}"
        );
        assert_eq!(state["consumer_count"], 4, "{info}");
        let log = server.log();
        let complaints: Vec<_> = log
            .lines()
            .filter(|line| line.contains("[WRN]") || line.contains("[ERR]"))
            .collect();
        assert_eq!(complaints, [] as [&str; 0], "{log}");
    }
}
