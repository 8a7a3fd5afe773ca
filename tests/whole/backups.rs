//! Backups both ways with the reference: what it makes is read here, what is written here it restores.
#![allow(
    clippy::disallowed_methods,
    reason = "a test runs programs and reads what they write"
)]

use std::path::Path;
use std::process::Command;

use dunlin_api::StorageType;
use dunlin_backup::{BackupLimits, BackupReader, BackupWriter, Part};
use dunlin_tests::server::{Kind, Server};

use crate::host::{server_with, tool};
use crate::store_command::{ask, copy_of};

/// Runs the CLI against a server.
fn nats(program: &Path, server: &Server, arguments: &[&str]) {
    let mut command = Command::new(program);
    let output = command
        .arg("--server")
        .arg(server.url())
        .args(arguments)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Reads a backup and writes it again.
fn rewritten(backup: &[u8]) -> Vec<u8> {
    let mut reader = BackupReader::new(BackupLimits {
        max_payload: 1 << 20,
        max_message_size: None,
        storage: StorageType::File,
    });
    let (mut writer, mut messages) = (None, 0);
    for piece in backup.chunks(1_000) {
        reader.feed(piece);
        while let Some(part) = reader.next_part().unwrap() {
            match part {
                Part::State(state) => writer = Some(BackupWriter::begin(Vec::new(), state, 1).unwrap()),
                Part::Consumer(consumer) => writer.as_mut().unwrap().consumer(&consumer).unwrap(),
                Part::Message(message) => {
                    messages += 1;
                    writer.as_mut().unwrap().message(&message.as_new()).unwrap();
                }
                Part::End => {}
            }
        }
    }
    reader.finish().unwrap();
    assert_eq!(messages, 10);
    writer.unwrap().finish().unwrap()
}

// STORE-74 to STORE-77
#[test]
fn the_reference_restores_a_backup_of_its_own_that_was_written_again_here() {
    let (Some(program), folder) = (tool("nats"), copy_of("plain")) else {
        return;
    };
    let config = format!("jetstream {{ store_dir: {:?} }}", folder.path());
    let Some(server) = server_with(Kind::Reference, &config) else {
        return;
    };
    let backup = folder.path().join("backup");
    let directory = backup.to_str().unwrap();
    nats(
        &program,
        &server,
        &["stream", "backup", "T", directory, "--consumers", "--no-progress"],
    );
    let before = ask(&server, "$JS.API.STREAM.INFO.T");
    drop(server);
    // Its name differs between releases of the CLI.
    let files = std::fs::read_dir(&backup)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let found: Vec<_> = files.collect();
    let file = found
        .iter()
        .find(|path| path.extension().is_some_and(|extension| extension != "json"));
    let file = file.unwrap_or_else(|| panic!("{found:?}"));
    let ours = rewritten(&std::fs::read(file).unwrap());
    std::fs::write(file, ours).unwrap();
    let empty = tempfile::tempdir().unwrap();
    let config = format!("jetstream {{ store_dir: {:?} }}", empty.path());
    let Some(server) = server_with(Kind::Reference, &config) else {
        return;
    };
    nats(
        &program,
        &server,
        &["stream", "restore", directory, "--no-progress"],
    );
    let after = ask(&server, "$JS.API.STREAM.INFO.T");
    let state = |info: &serde_json::Value| {
        let mut state = info["state"].as_object().unwrap().clone();
        // A backup has no time for a last message that was removed.
        state.remove("last_ts");
        state
    };
    assert_eq!(state(&after), state(&before));
    assert_eq!(after["state"]["consumer_count"], 4);
    let consumer = ask(&server, "$JS.API.CONSUMER.INFO.T.c1");
    let floor = &consumer["ack_floor"];
    assert_eq!(
        (&floor["consumer_seq"], &floor["stream_seq"]),
        (&1.into(), &1.into()),
        "{consumer}"
    );
}
