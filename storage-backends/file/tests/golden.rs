//! Directories that nats-server 2.15.2 wrote, opened by the store: with their index and without it, extended, closed, and
//! opened again.
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "the golden directories are files of this project"
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dunlin_api::{
    AccountName, Env, EnvParts, Logger, NewMessage, Removal, Secret, SeededRandom, Shards, StorageType,
    StoreBackend, StoreError, StreamId, StreamOptions, StreamStore, Subject, SystemClock, SystemDisk,
};
use dunlin_file_store::crypt::{Cipher, KeyRing};
use dunlin_file_store::{FileBackend, FileStoreOptions};
use dunlin_net::sim::SimWorld;
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

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &target),
            false => drop(fs::copy(entry.path(), target).unwrap()),
        }
    }
}

/// A copy of a case, and what it says of its streams.
struct Case {
    name: String,
    directory: PathBuf,
    expected: Value,
    _kept: tempfile::TempDir,
}

impl Case {
    fn new(name: &str) -> Self {
        let kept = tempfile::tempdir().unwrap();
        let directory = kept.path().to_owned();
        copy(&fixtures().join(name), &directory);
        let expected = fs::read(directory.join("expect.json")).unwrap();
        Self {
            name: name.to_owned(),
            directory,
            expected: serde_json::from_slice(&expected).unwrap(),
            _kept: kept,
        }
    }

    fn open(&self) -> FileBackend {
        self.open_with(keys(&self.name))
    }

    fn open_with(&self, keys: Option<KeyRing>) -> FileBackend {
        let mut options = FileStoreOptions::new(&self.directory);
        options.keys = keys;
        let (backend, recovery) = FileBackend::open(&env(), options).unwrap();
        assert_eq!(recovery.set_aside, []);
        backend
    }

    fn streams(&self) -> impl Iterator<Item = (StreamId, &Value)> {
        let streams = self.expected["streams"].as_object().unwrap();
        let id = |stream: &str| StreamId::new(AccountName::global(), stream).unwrap();
        streams
            .iter()
            .map(move |(stream, expected)| (id(stream), expected))
    }
}

/// The keys that a case wants.
fn keys(case: &str) -> Option<KeyRing> {
    let ring = |cipher, key| Some(KeyRing::new(cipher, Secret::new(key), None));
    match case {
        "aes" | "blocks-s2-aes" => ring(Cipher::Aes, "fixture-key"),
        "rekeyed" => ring(Cipher::ChaCha, "fixture-key-2"),
        "chacha" | "blocks-s2-chacha" | "kill9-chacha" | "plain-then-chacha" => {
            ring(Cipher::ChaCha, "fixture-key")
        }
        _ => None,
    }
}

fn stream(backend: &FileBackend, id: &StreamId) -> Result<Box<dyn StreamStore>, StoreError> {
    backend.stream(id, StreamOptions::new(StorageType::File, Arc::new(())))
}

fn nanos(time: &Value) -> i64 {
    let time: jiff::Timestamp = time.as_str().unwrap().parse().unwrap();
    i64::try_from(time.as_nanosecond()).unwrap_or_default()
}

/// A message, with the hash of its payload.
type Message = (String, i64, Vec<u8>, Vec<u8>);

fn held(stream: &dyn StreamStore) -> BTreeMap<u64, Message> {
    let sequences = std::iter::successors(stream.at_or_after(0), |at| stream.at_or_after(at + 1));
    sequences
        .map(|at| {
            let message = stream.load(at).unwrap().wait().unwrap().unwrap();
            let subject = String::from_utf8(message.subject().as_bytes().to_vec()).unwrap();
            let payload = Sha256::digest(message.payload()).to_vec();
            (at, (subject, message.time, message.headers().to_vec(), payload))
        })
        .collect()
}

fn expected_messages(expected: &Value) -> BTreeMap<u64, Message> {
    let messages = expected["messages"].as_array().unwrap();
    messages
        .iter()
        .map(|message| {
            let decoded = |name: &str| message[name].as_str().map(|text| STANDARD.decode(text).unwrap());
            let payload = match (decoded("data_b64"), message["sha256"].as_str()) {
                (None, Some(hash)) => (0..hash.len())
                    .step_by(2)
                    .map(|at| u8::from_str_radix(&hash[at..at + 2], 16).unwrap())
                    .collect(),
                (data, _) => Sha256::digest(data.unwrap_or_default()).to_vec(),
            };
            let subject = message["subject"].as_str().unwrap().to_owned();
            let headers = decoded("hdrs_b64").unwrap_or_default();
            let at = message["seq"].as_u64().unwrap();
            (at, (subject, nanos(&message["time"]), headers, payload))
        })
        .collect()
}

fn check(case: &Case, id: &StreamId, stream: &dyn StreamStore, expected: &Value) {
    let (state, golden) = (stream.state(), &expected["state"]);
    let name = format!("{}/{}", case.name, id.stream());
    assert_eq!(held(stream), expected_messages(expected), "{name}");
    for (ours, key) in [
        (state.messages, "messages"),
        (state.bytes, "bytes"),
        (state.first, "first_seq"),
        (state.last, "last_seq"),
        (state.subjects, "num_subjects"),
    ] {
        assert_eq!(ours, golden[key].as_u64().unwrap_or_default(), "{name}: {key}");
    }
    assert_eq!(stream.damage(), [], "{name}");
}

const CASES: [&str; 16] = [
    "plain",
    "blocks-plain",
    "blocks-s2",
    "purged",
    "dmap",
    "ttl-sched-sources",
    "interest",
    "kill9",
    "kill9-stale-index",
    "aes",
    "chacha",
    "blocks-s2-aes",
    "blocks-s2-chacha",
    "kill9-chacha",
    "plain-then-chacha",
    "rekeyed",
];

// STORE-180: read, with and without an index, extended, and read again
#[test]
fn a_directory_of_the_reference_opens_and_grows() {
    for name in CASES {
        for without_index in [false, true] {
            let case = Case::new(name);
            if without_index {
                for (id, _) in case.streams() {
                    let index = format!("jetstream/$G/streams/{}/msgs/index.db", id.stream());
                    let _ = fs::remove_file(case.directory.join(index));
                }
            }
            let backend = case.open();
            let mut after = Vec::new();
            for (id, expected) in case.streams() {
                let mut stream = stream(&backend, &id).unwrap();
                // Removals by limits leave no tombstones: without an index the owner repeats them.
                if !(without_index && name == "dmap" && id.stream() != "T") {
                    check(&case, &id, &*stream, expected);
                }
                let subject = Subject::new(b"dunlin.was.here").unwrap();
                let message = NewMessage {
                    sequence: None,
                    time: stream.state().last_time + 1,
                    subject,
                    headers: b"NATS/1.0\r\nA: b\r\n\r\n",
                    payload: b"extended",
                };
                let first = stream.at_or_after(0);
                for _ in 0..2 {
                    stream.stage(&message).unwrap();
                }
                if let Some(first) = first {
                    stream.remove(first, Removal::Remove).unwrap();
                }
                stream.commit(stream.staged()).unwrap();
                after.push((id, stream.state(), held(&*stream)));
                stream.close().unwrap();
            }
            backend.close().unwrap();
            if let Some(kept) = std::env::var_os("GOLDEN_KEEP").filter(|_| !without_index) {
                copy(&case.directory, &Path::new(&kept).join(name));
            }
            let backend = case.open();
            for (id, state, messages) in after {
                let stream = stream(&backend, &id).unwrap();
                assert_eq!(stream.state(), state, "{name}/{}", id.stream());
                assert_eq!(held(&*stream), messages, "{name}/{}", id.stream());
            }
        }
    }
}

// STORE-8 [TestFileStoreRestoreEncryptedWithNoKeyFuncFails]
#[test]
fn an_encrypted_stream_is_refused_without_its_key() {
    let case = Case::new("chacha");
    let another = KeyRing::new(Cipher::ChaCha, Secret::new("another"), None);
    for (keys, reason) in [(None, "no main key"), (Some(another), "unable to recover keys")] {
        let before = files(&case.directory.join("jetstream"));
        let backend = case.open_with(keys);
        for (id, _) in case.streams() {
            let refused = stream(&backend, &id).map(|_| ()).unwrap_err();
            assert!(
                matches!(&refused, StoreError::Locked(text) if text.contains(reason)),
                "{refused}"
            );
        }
        backend.close().unwrap();
        assert_eq!(files(&case.directory.join("jetstream")), before);
    }
}

/// All files below a directory.
fn files(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(directory).unwrap().map(Result::unwrap) {
        match entry.file_type().unwrap().is_dir() {
            true => found.extend(files(&entry.path())),
            false => drop(found.insert(entry.path(), fs::read(entry.path()).unwrap())),
        }
    }
    found
}

// STORE-44: once opened with both keys, a stream and its consumers need the new one only
#[test]
fn a_previous_key_is_needed_once() {
    let case = Case::new("chacha");
    let (old, new) = (|| Secret::new("fixture-key"), || Secret::new("new"));
    for previous in [Some(old()), None] {
        let backend = case.open_with(Some(KeyRing::new(Cipher::Aes, new(), previous)));
        for (id, expected) in case.streams() {
            let mut stream = stream(&backend, &id).unwrap();
            check(&case, &id, &*stream, expected);
            for name in stream.consumers() {
                stream.consumer(&name).unwrap().close().unwrap();
            }
            stream.close().unwrap();
        }
        backend.close().unwrap();
    }
}

// STORE-45: a lost block key costs that block, also with the last messages; its sequences are not given again
#[test]
fn a_lost_key_costs_its_block_only() {
    for (block, without_index) in [(1, false), (1, true)] {
        let case = Case::new("blocks-s2-aes");
        let messages = case.directory.join("jetstream/$G/streams/T/msgs");
        let (key, file) = (format!("{block}.key"), format!("{block}.blk"));
        fs::write(messages.join(key), [0; 64]).unwrap();
        let lost = fs::read(messages.join(&file)).unwrap();
        if without_index {
            fs::remove_file(messages.join("index.db")).unwrap();
        }
        let (id, expected) = case.streams().next().unwrap();
        let last = expected["state"]["last_seq"].as_u64().unwrap();
        for round in 0..2 {
            let backend = case.open();
            let mut stream = stream(&backend, &id).unwrap();
            let damage = stream.damage();
            assert_eq!(
                damage.len(),
                1,
                "{block} {without_index} {round} {damage:?} {:?}",
                stream.state()
            );
            let within = damage[0].first..=damage[0].last;
            let mut left = expected_messages(expected);
            left.retain(|sequence, _| !within.contains(sequence));
            assert!(!left.is_empty() && left.len() < expected_messages(expected).len());
            assert_eq!(held(&*stream), left, "block {block}");
            assert_eq!(stream.state().last, last);
            stream.commit(stream.staged()).unwrap();
            stream.close().unwrap();
            backend.close().unwrap();
            assert_eq!(fs::read(messages.join(&file)).unwrap(), lost);
        }
    }
}

// STORE-35, STORE-100 [TestFileStoreEraseAndNoIndexRecovery]: a record in a compressed block shares its bytes with others
#[test]
fn a_message_is_erased_from_a_compressed_block() {
    let case = Case::new("blocks-s2");
    let mut erased = 0;
    for (id, _) in case.streams() {
        let messages = case
            .directory
            .join(format!("jetstream/$G/streams/{}/msgs", id.stream()));
        let first = messages.join("1.blk");
        if !fs::read(&first).is_ok_and(|file| file.starts_with(b"cmp")) {
            continue;
        }
        let old = case.directory.join("old");
        fs::hard_link(&first, &old).unwrap();
        let backend = case.open();
        let mut open = stream(&backend, &id).unwrap();
        let before = held(&*open);
        let gone: Vec<u64> = before.keys().copied().skip(1).take(2).collect();
        for sequence in &gone {
            open.remove(*sequence, Removal::Erase).unwrap().unwrap();
        }
        let mut left = before;
        left.retain(|sequence, _| !gone.contains(sequence));
        open.commit(open.staged()).unwrap();
        assert_eq!(held(&*open), left);
        open.close().unwrap();
        backend.close().unwrap();
        assert!(!fs::read(&first).unwrap().starts_with(b"cmp"));
        assert!(fs::read(&old).unwrap().iter().all(|byte| *byte == 0));
        for without_index in [false, true] {
            if without_index {
                fs::remove_file(messages.join("index.db")).unwrap();
            }
            let backend = case.open();
            let open = stream(&backend, &id).unwrap();
            assert_eq!(held(&*open), left, "without an index: {without_index}");
            assert_eq!(open.damage(), []);
            drop(open);
            backend.close().unwrap();
        }
        fs::remove_file(old).unwrap();
        erased += 1;
    }
    assert!(erased > 0);
}
