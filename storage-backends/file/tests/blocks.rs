//! The blocks that nats-server 2.15.2 wrote: each directory is read without its index, as its case says.
#![expect(
    clippy::disallowed_methods,
    clippy::panic,
    clippy::unwrap_used,
    reason = "the golden directories are files of this project"
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dunlin_api::{Env, EnvParts, Logger, Secret, SeededRandom, Shards, Subject, SystemClock, SystemDisk};
use dunlin_file_store::block::{BlockBuffer, BlockEvent};
use dunlin_file_store::compress;
use dunlin_file_store::crypt::{Cipher, KeyRing};
use dunlin_file_store::layout::MessagesDir;
use dunlin_file_store::record::{Record, RecordKey, RecordKind};
use dunlin_file_store::recovery::{BlockOwner, Recovered, Request, recover};
use dunlin_net::sim::SimWorld;
use parking_lot::Mutex;
use serde_json::Value;
use sha2::{Digest, Sha256};

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/store-2.15.2")
}

/// The machine's disk and threads.
fn env() -> Env {
    Env::new(EnvParts {
        clock: Box::new(SystemClock),
        random: Box::new(SeededRandom::new(1)),
        network: Box::new(SimWorld::new(1).host([127, 0, 0, 1].into())),
        disk: Box::new(SystemDisk),
        execution: Box::new(Shards::start(1).unwrap()),
        logger: Logger::silent(),
    })
}

/// One stream of a case.
struct Golden {
    name: String,
    owner: BlockOwner,
    expected: Value,
}

fn case(name: &str) -> Vec<Golden> {
    let root = fixtures().join(name);
    let expected: Value = serde_json::from_slice(&fs::read(root.join("expect.json")).unwrap()).unwrap();
    let keys = expected["key"].as_str().map(|key| {
        let cipher = match expected["cipher"].as_str() {
            Some("aes") => Cipher::Aes,
            _ => Cipher::ChaCha,
        };
        (KeyRing::new(cipher, Secret::new(key), None), "$G".to_owned())
    });
    let streams = expected["streams"].as_object().unwrap();
    streams
        .iter()
        .map(|(stream, expected)| Golden {
            name: format!("{name}/{stream}"),
            owner: BlockOwner {
                directory: MessagesDir::found(root.join("jetstream/$G/streams").join(stream).join("msgs")),
                stream: stream.clone(),
                keys: keys.clone(),
            },
            expected: expected.clone(),
        })
        .collect()
}

fn cases() -> Vec<Golden> {
    let mut names: Vec<String> = fs::read_dir(fixtures())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| fixtures().join(name).join("jetstream/$G").exists())
        .collect();
    names.sort();
    assert_eq!(names.len(), 16);
    names.iter().flat_map(|name| case(name)).collect()
}

fn request(owner: &BlockOwner, threads: usize) -> Request {
    Request {
        owner: owner.clone(),
        track_subjects: true,
        threads,
        progress: Box::new(|_| ()),
    }
}

/// A message as its case has it, and as it was read.
#[derive(Debug, PartialEq, Eq)]
struct Message {
    subject: String,
    time: i64,
    headers: Vec<u8>,
    /// Its hash.
    payload: Vec<u8>,
}

fn nanos(time: &Value) -> i64 {
    let time: jiff::Timestamp = time.as_str().unwrap().parse().unwrap();
    i64::try_from(time.as_nanosecond()).unwrap_or_default()
}

/// The messages that are left.
fn messages(owner: &BlockOwner, recovered: &Recovered) -> BTreeMap<u64, Message> {
    let mut found = BTreeMap::new();
    for block in &recovered.blocks {
        let mut buffer = BlockBuffer::default();
        let read = owner.read(&SystemDisk, block.index, &mut buffer, |event| {
            let BlockEvent::Record { record, .. } = event else {
                panic!("{event:?}")
            };
            let is_left = record.sequence >= block.first && !block.deleted.contains(record.sequence);
            if record.kind == RecordKind::Message && is_left {
                found.insert(record.sequence, message(&record));
            }
        });
        read.unwrap();
    }
    found
}

fn message(record: &Record<'_>) -> Message {
    Message {
        subject: String::from_utf8(record.subject.to_vec()).unwrap(),
        time: record.time,
        headers: record.headers.to_vec(),
        payload: Sha256::digest(record.payload).to_vec(),
    }
}

fn expected_message(message: &Value) -> (u64, Message) {
    let decoded = |name: &str| {
        STANDARD
            .decode(message[name].as_str().unwrap_or_default())
            .unwrap()
    };
    let payload = match message["sha256"].as_str() {
        Some(hash) => (0..hash.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&hash[at..at + 2], 16).unwrap())
            .collect(),
        None => Sha256::digest(decoded("data_b64")).to_vec(),
    };
    let found = Message {
        subject: message["subject"].as_str().unwrap().to_owned(),
        time: nanos(&message["time"]),
        headers: decoded("hdrs_b64"),
        payload,
    };
    (message["seq"].as_u64().unwrap(), found)
}

fn deleted(recovered: &Recovered) -> Vec<u64> {
    let state = recovered.state;
    let is_left = |sequence: u64| {
        recovered.blocks.iter().any(|block| {
            block.messages > 0
                && (block.first..=block.last).contains(&sequence)
                && !block.deleted.contains(sequence)
        })
    };
    (state.first..=state.last)
        .filter(|sequence| !is_left(*sequence))
        .collect()
}

/// Removals by limits leave no tombstones: the owner repeats them.
fn has_limits(golden: &Golden) -> bool {
    matches!(golden.name.as_str(), "dmap/L" | "dmap/S")
}

// STORE-180, STORE-181 [TestFileStoreBasicWriteMsgsAndRestore, TestFileStoreRecoverWithRemovesAndNoIndexDB,
// TestFileStoreEraseAndNoIndexRecovery, TestFileStoreDetectDeleteGapWithLastSkipMsg]
#[test]
fn state_and_subjects_are_those_that_the_reference_answers() {
    let env = env();
    for golden in cases() {
        let (name, state) = (&golden.name, &golden.expected["state"]);
        let recovered = recover(&env, request(&golden.owner, 2)).unwrap();
        assert!(recovered.damage.is_empty(), "{name}: {:?}", recovered.damage);
        let found = recovered.state;
        assert_eq!(Some(found.last), state["last_seq"].as_u64(), "{name}");
        assert_eq!(found.last_time, nanos(&state["last_ts"]), "{name}");
        if has_limits(&golden) {
            continue;
        }
        assert_eq!(Some(found.messages), state["messages"].as_u64(), "{name}");
        assert_eq!(Some(found.bytes), state["bytes"].as_u64(), "{name}");
        assert_eq!(Some(found.first), state["first_seq"].as_u64(), "{name}");
        if found.messages > 0 {
            assert_eq!(found.first_time, nanos(&state["first_ts"]), "{name}");
        }
        let numbers = |value: &Value| {
            value
                .as_array()
                .map(|list| list.iter().filter_map(Value::as_u64).collect())
        };
        let expected: Option<Vec<u64>> = numbers(&state["deleted"]);
        assert_eq!(deleted(&recovered), expected.unwrap_or_default(), "{name}");
        assert_eq!(
            found.subjects,
            state["num_subjects"].as_u64().unwrap_or_default(),
            "{name}"
        );
        for (subject, count) in state["subjects"].as_object().into_iter().flatten() {
            let totals = recovered.subjects.get(Subject::new(subject.as_bytes()).unwrap());
            assert_eq!(
                totals.map(|totals| totals.messages),
                count.as_u64(),
                "{name} {subject}"
            );
        }
    }
}

// STORE-181
#[test]
fn every_message_is_as_the_reference_gives_it() {
    let env = env();
    for golden in cases() {
        let recovered = recover(&env, request(&golden.owner, 1)).unwrap();
        let mut found = messages(&golden.owner, &recovered);
        let list = golden.expected["messages"].as_array().unwrap();
        let expected: BTreeMap<_, _> = list.iter().map(expected_message).collect();
        if has_limits(&golden) {
            found.retain(|sequence, _| expected.contains_key(sequence));
        }
        assert!(found.keys().eq(expected.keys()), "{}", golden.name);
        for (sequence, message) in expected {
            assert_eq!(found.get(&sequence), Some(&message), "{} {sequence}", golden.name);
        }
    }
}

// STORE-17: nothing but records is in a block, and each is written again as it was.
#[test]
fn every_block_is_made_of_records_that_are_written_alike() {
    let mut bytes = 0;
    for golden in cases() {
        let owner = &golden.owner;
        for block in owner.blocks(&SystemDisk).unwrap() {
            let key = RecordKey::new(&owner.stream, block);
            let mut written = Vec::new();
            let mut buffer = BlockBuffer::default();
            let form = owner.read(&SystemDisk, block, &mut buffer, |event| {
                let BlockEvent::Record { at, record, .. } = event else {
                    panic!("{event:?}")
                };
                assert_eq!(at, written.len() as u64);
                record.encode(&key, &mut written).unwrap();
            });
            let form = form.unwrap();
            assert_eq!(form.length, written.len() as u64, "{}", golden.name);
            assert!(written.ends_with(&form.last_sum), "{}", golden.name);
            bytes += written.len();
            let mut file = fs::read(owner.directory.block(block)).unwrap();
            let cipher = owner.cipher(&SystemDisk, block).unwrap().unwrap();
            assert_eq!(cipher.is_some(), owner.keys.is_some(), "{}", golden.name);
            if let Some(cipher) = cipher {
                cipher.apply(0, &mut file);
            }
            if form.is_compressed {
                // STORE-182: another S2 writer gives other bytes.
                assert_eq!(compress::decompress(&file).unwrap(), written);
            } else {
                assert_eq!(file, written);
            }
        }
    }
    assert!(bytes > 250_000, "{bytes}");
}

// STORE-72
#[test]
fn raft_logs_are_read_though_their_entries_have_no_subject() {
    let root = fixtures().join("raft-node/jetstream");
    let env = env();
    let mut entries = 0;
    for group in groups(&root) {
        let owner = BlockOwner {
            stream: group.file_name().unwrap().to_str().unwrap().to_owned(),
            directory: MessagesDir::found(group.join("msgs")),
            keys: None,
        };
        let recovered = recover(&env, request(&owner, 1)).unwrap();
        assert!(recovered.damage.is_empty(), "{:?}", recovered.damage);
        assert_eq!(recovered.state.subjects, 0);
        entries += recovered.state.messages;
    }
    assert_eq!(entries, 10);
}

fn groups(root: &Path) -> Vec<PathBuf> {
    let accounts = fs::read_dir(root)
        .unwrap()
        .map(|entry| entry.unwrap().path().join("_js_"));
    let groups = accounts
        .filter(|path| path.exists())
        .flat_map(|path| fs::read_dir(path).unwrap());
    groups.map(|entry| entry.unwrap().path()).collect()
}

// STORE-45, STORE-119: the reference deletes such a block. Here it is kept and told.
#[test]
fn without_its_key_a_block_is_damage_from_end_to_end() {
    let env = env();
    for golden in [case("chacha"), case("aes")].into_iter().flatten() {
        let mut owner = golden.owner;
        owner.keys = owner
            .keys
            .map(|(_, info)| (KeyRing::new(Cipher::ChaCha, Secret::new("another"), None), info));
        let recovered = recover(&env, request(&owner, 1)).unwrap();
        let length = fs::metadata(owner.directory.block(1)).unwrap().len();
        let told: Vec<String> = recovered.damage.iter().map(ToString::to_string).collect();
        let expected = format!("block 1: bytes 0 to {length} (sequences from 1): unable to recover keys");
        assert_eq!(told, [expected], "{}", golden.name);
        assert!(!recovered.blocks[0].is_placed());
    }
}

#[test]
fn progress_is_told_after_each_block_in_order() {
    let told = Arc::new(Mutex::new(Vec::new()));
    let progress = told.clone();
    let golden = case("blocks-plain").remove(0);
    let request = Request {
        progress: Box::new(move |progress_now| {
            progress
                .lock()
                .push((progress_now.blocks, progress_now.of_blocks))
        }),
        ..request(&golden.owner, 4)
    };
    recover(&env(), request).unwrap();
    assert_eq!(*told.lock(), [(1, 2), (2, 2)]);
}

/// A directory that cannot be listed is an error, not an empty stream.
#[test]
fn a_directory_that_is_not_there_is_an_error() {
    let owner = BlockOwner {
        directory: MessagesDir::found("nowhere".into()),
        stream: "S".to_owned(),
        keys: None,
    };
    assert!(recover(&env(), request(&owner, 2)).is_err());
}
