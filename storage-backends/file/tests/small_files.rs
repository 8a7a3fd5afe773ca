//! The small files that nats-server 2.15.2 wrote: each is read as its case says and written again as it was.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test; the golden directories are files of this project"
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use dunlin_api::{PendingAck, Secret, SequencePair, StreamState, SystemDisk};
use dunlin_file_store::consumer::codec;
use dunlin_file_store::crypt::{Cipher, KeyRing, KeyScope};
use dunlin_file_store::index::{Index, IndexWriter};
use dunlin_file_store::layout::{
    AccountListing, ConsumerDir, MessageListing, StoreDir, StoreListing, StreamListing,
};
use dunlin_file_store::raft::{GroupSnapshot, Peers, TermVote, commit_index};
use dunlin_file_store::schedule::ScheduleFile;
use dunlin_file_store::small::{Sealing, checked, checksum, meta_sum, with_checksum};
use dunlin_file_store::sources::SourcesFile;
use dunlin_file_store::stream_state::ReplicatedState;
use dunlin_file_store::wheel::WheelFile;
use serde_json::Value;

const SECOND: i64 = 1_000_000_000;

/// A golden directory with what its case says.
struct Case {
    name: String,
    path: PathBuf,
    expected: Value,
}

fn cases() -> Vec<Case> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/store-2.15.2");
    let mut cases: Vec<_> = fs::read_dir(root)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.join("jetstream").exists())
        .map(|path| Case {
            name: path.file_name().unwrap().to_str().unwrap().to_owned(),
            expected: serde_json::from_slice(&fs::read(path.join("expect.json")).unwrap()).unwrap(),
            path,
        })
        .collect();
    cases.sort_by(|a, b| a.name.cmp(&b.name));
    assert_eq!(cases.len(), 17);
    cases
}

impl Case {
    fn accounts(&self) -> Vec<AccountListing> {
        let store = StoreDir::new(&self.path);
        StoreListing::read(&SystemDisk, store.path()).unwrap().accounts
    }

    /// Every stream, with its account.
    fn streams(&self) -> Vec<(String, StreamListing)> {
        let accounts = self.accounts().into_iter();
        let streams = accounts.flat_map(|account| {
            let name = account.name.clone();
            account
                .streams
                .into_iter()
                .map(move |stream| (name.clone(), stream))
        });
        streams.collect()
    }

    fn keys(&self) -> Option<KeyRing> {
        let cipher = match self.expected["cipher"].as_str() {
            Some("aes") => Cipher::Aes,
            _ => Cipher::ChaCha,
        };
        let current = Secret::new(self.expected["key"].as_str()?);
        let previous = (self.name == "rekeyed").then(|| Secret::new("fixture-key"));
        Some(KeyRing::new(cipher, current, previous))
    }

    /// How the small files beside a key file lie.
    fn sealing(&self, account: &str, scope: KeyScope<'_>, key_file: &Path) -> Sealing {
        match (self.keys(), fs::read(key_file)) {
            (Some(keys), Ok(file)) => Sealing::sealed(keys.unwrap(account, scope, &file).unwrap().key),
            (_, Err(_)) => Sealing::clear(),
            (None, Ok(_)) => panic!("{}: a key file in a store in clear", self.name),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

// STORE-9, STORE-10, STORE-11, STORE-40 [TestFileStoreMeta]
#[test]
fn descriptions_agree_with_their_checksums_and_are_the_configurations() {
    let mut seen = 0;
    for case in cases() {
        for (account, stream) in case.streams() {
            let paths = stream.directory.meta();
            let on_disk = fs::read(&paths.meta).unwrap();
            assert_eq!(
                meta_sum(&stream.name, &on_disk).as_bytes(),
                fs::read(&paths.sum).unwrap()
            );
            let sealing = case.sealing(&account, KeyScope::Stream(&stream.name), &paths.key);
            let meta: Value = serde_json::from_slice(&sealing.content(&on_disk).unwrap()).unwrap();
            let expected = &case.expected["streams"][&stream.name];
            assert_eq!(meta["name"], stream.name.as_str(), "{}", case.name);
            assert_eq!(meta["subjects"], expected["config"]["subjects"], "{}", case.name);
            seen += 1;
            for consumer in &stream.consumers {
                let directory = stream.directory.consumer(consumer).unwrap();
                let on_disk = fs::read(directory.meta().meta).unwrap();
                let sum = meta_sum(&format!("{}/{consumer}", stream.name), &on_disk);
                assert_eq!(sum.as_bytes(), fs::read(directory.meta().sum).unwrap());
            }
        }
    }
    assert_eq!(seen, 25);
}

// STORE-47, STORE-80 [TestFileStoreFullStateBasics]
#[test]
fn an_index_has_the_streams_state_and_is_written_as_it_was() {
    let mut seen = 0;
    for case in cases() {
        for (account, stream) in case.streams() {
            let messages = stream.directory.messages();
            if !MessageListing::read(&SystemDisk, messages.path())
                .unwrap()
                .has_index
            {
                assert!(case.name.starts_with("kill9"), "{}", case.name);
                continue;
            }
            seen += 1;
            let file = fs::read(messages.index()).unwrap();
            let body = checked(&stream.name, &file).expect("its checksum");
            assert_eq!(with_checksum(&stream.name, body.to_vec()), file);
            let sealing = case.sealing(
                &account,
                KeyScope::Stream(&stream.name),
                &stream.directory.meta().key,
            );
            let plain = sealing.content(body).unwrap();
            let index = Index::decode(&plain).unwrap();
            assert_eq!(index.check(), Ok(()), "{} {}", case.name, stream.name);
            let again = rewritten(&index);
            if index.blocks.iter().all(|block| block.deleted.block_count() < 2) {
                assert_eq!(hex(&again), hex(&plain), "{} {}", case.name, stream.name);
            }
            // Nodes of a set come in another order (STORE-182).
            assert_eq!(again.len(), plain.len());
            assert_eq!(Index::decode(&again).unwrap().blocks, index.blocks);
            if case.name != "kill9-stale-index" {
                let expected = &case.expected["streams"][&stream.name]["state"];
                check_state(&index, expected, &format!("{} {}", case.name, stream.name));
            }
        }
    }
    assert_eq!(seen, 23);
}

fn rewritten(index: &Index<'_>) -> Vec<u8> {
    let mut writer = IndexWriter::begin(&index.state);
    for (subject, entry) in index.subjects() {
        writer.subject(subject, entry);
    }
    let mut writer = writer.blocks(index.blocks.len() as u64);
    index.blocks.iter().for_each(|block| writer.block(block));
    writer.finish(index.end)
}

fn check_state(index: &Index<'_>, expected: &Value, place: &str) {
    let StreamState {
        messages,
        bytes,
        first,
        last,
        subjects,
        ..
    } = index.state;
    let number = |name: &str| expected[name].as_u64().unwrap_or_default();
    let wanted = ["messages", "bytes", "first_seq", "last_seq", "num_subjects"].map(number);
    assert_eq!([messages, bytes, first, last, subjects], wanted, "{place}");
    assert_eq!(index.state.deleted(), number("num_deleted"), "{place}");
    let counts: BTreeMap<_, _> = index
        .subjects()
        .map(|(subject, entry)| (String::from_utf8(subject.to_vec()).unwrap(), entry.messages))
        .collect();
    let wanted = expected["subjects"].as_object().cloned().unwrap_or_default();
    let wanted: BTreeMap<_, _> = wanted
        .into_iter()
        .map(|(subject, count)| (subject, count.as_u64().unwrap()))
        .collect();
    assert_eq!(counts, wanted, "{place}");
}

// STORE-65 [TestFileStoreConsumer]
#[test]
fn a_consumers_state_is_what_its_case_says_and_is_written_as_it_was() {
    let mut seen = 0;
    for case in cases() {
        let Some(expected) = case.expected["o_dat"].as_object() else {
            continue;
        };
        for (name, expected) in expected {
            let (stream, consumer) = name.split_once('/').unwrap();
            let path = case
                .path
                .join("jetstream/$G/streams")
                .join(stream)
                .join("obs")
                .join(consumer);
            let directory = ConsumerDir::found(path);
            let scope = KeyScope::Consumer(stream, consumer);
            let sealing = case.sealing("$G", scope, &directory.meta().key);
            let plain = sealing.content(&fs::read(directory.state()).unwrap()).unwrap();
            check_consumer(&plain, expected, &format!("{} {name}", case.name));
            seen += 1;
        }
    }
    assert!(seen >= 24, "{seen} consumers");
}

fn check_consumer(plain: &[u8], expected: &Value, place: &str) {
    let state = codec::decode(plain).unwrap();
    let pair = |value: &Value| SequencePair {
        consumer: value[0].as_u64().unwrap(),
        stream: value[1].as_u64().unwrap(),
    };
    assert_eq!(state.delivered, pair(&expected["delivered"]), "{place}");
    assert_eq!(state.ack_floor, pair(&expected["floor"]), "{place}");
    let entries = |name: &str| expected[name].as_object().unwrap().clone().into_iter();
    let number = |text: String| text.parse::<u64>().unwrap();
    let pending = entries("pending").map(|(sequence, value)| {
        let pending = PendingAck {
            consumer: value[0].as_u64().unwrap(),
            time: value[1].as_i64().unwrap() * SECOND,
        };
        (number(sequence), pending)
    });
    assert_eq!(state.pending, pending.collect(), "{place}");
    let redelivered =
        entries("redelivered").map(|(sequence, count)| (number(sequence), count.as_u64().unwrap()));
    assert_eq!(state.redelivered, redelivered.collect(), "{place}");
    // Written at the same moment it takes the same bytes, in another order where there are several entries (STORE-182).
    let again = codec::encode(&state, expected["mints"].as_i64().unwrap_or_default() * SECOND);
    assert_eq!(again.len(), plain.len(), "{place}");
    assert_eq!(codec::decode(&again), Ok(state.clone()), "{place}");
    if state.pending.len() < 2 && state.redelivered.len() < 2 {
        assert_eq!(hex(&again), hex(plain), "{place}");
    }
}

// STORE-59, STORE-60, STORE-61
#[test]
fn timers_schedules_and_sources_are_written_as_they_were() {
    let mut seen = [0; 3];
    for case in cases() {
        for (_, stream) in case.streams() {
            let messages = stream.directory.messages();
            if let Ok(bytes) = fs::read(messages.wheel()) {
                assert_eq!(WheelFile::decode(&bytes).unwrap().encode(), bytes);
                seen[0] += 1;
            }
            if let Ok(bytes) = fs::read(messages.schedules()) {
                assert_eq!(ScheduleFile::decode(&bytes).unwrap().encode(), bytes);
                seen[1] += 1;
            }
            if let Ok(bytes) = fs::read(stream.directory.sources()) {
                let sources = SourcesFile::decode(&bytes).unwrap();
                assert_eq!(sources.encode(), bytes);
                let figures = sources.positions.iter().map(|position| position.sequence);
                assert!(figures.clone().any(|sequence| sequence == 0) && figures.max() > Some(0));
                seen[2] += 1;
            }
        }
    }
    assert_eq!(seen, [2, 1, 1]);
}

// STORE-72, STORE-73
#[test]
fn files_of_raft_groups_are_what_their_case_says() {
    let cases = cases();
    let case = cases.iter().find(|case| case.name == "raft-node").unwrap();
    let accounts = case.accounts();
    let groups = &accounts
        .iter()
        .find(|account| account.name == "SYS")
        .unwrap()
        .groups;
    assert_eq!(groups.len(), 3);
    for group in groups {
        let (name, path) = (&group.log.name, group.log.directory.path());
        let expected = &case.expected[name];
        let vote = TermVote::decode(&fs::read(path.join("tav.idx")).unwrap());
        assert_eq!(Some(vote.term), expected["tav"]["term"].as_u64());
        assert_eq!(
            vote.vote.map(|peer| peer.to_string()).as_deref(),
            expected["tav"]["vote"].as_str()
        );
        let peers = Peers::decode(&fs::read(path.join("peers.idx")).unwrap()).unwrap();
        let known: Vec<_> = peers.known.iter().map(ToString::to_string).collect();
        assert_eq!(
            Some(u64::from(peers.cluster_size)),
            expected["peers"]["size"].as_u64()
        );
        assert_eq!(Value::from(known), expected["peers"]["ids"]);
        if let Ok(bytes) = fs::read(path.join("commit.idx")) {
            let (index, sum) = commit_index(&bytes).unwrap();
            assert_eq!(Some(index), expected["commit_idx"].as_u64());
            assert_eq!(checksum(name, &bytes[..8]), sum);
        }
        let snapshots = expected["snapshots"].as_array().unwrap();
        assert_eq!(group.snapshots.len(), snapshots.len());
        for (path, expected) in group.snapshots.iter().zip(snapshots) {
            let bytes = fs::read(path).unwrap();
            let snapshot = GroupSnapshot::decode(&bytes).unwrap();
            assert_eq!(checksum(name, snapshot.checked), snapshot.checksum);
            let file = format!("snap.{}.{}", snapshot.term, snapshot.index);
            assert_eq!(expected["file"], file.as_str());
            if name.starts_with("S-") {
                assert_eq!(expected["data_hex"], hex(snapshot.data).as_str());
                let state = ReplicatedState::decode(snapshot.data).unwrap();
                assert_eq!((state.messages, state.first, state.last), (2, 1, 2));
                assert_eq!(state.encode(true), snapshot.data);
            }
        }
    }
}

// STORE-1: nothing in the directories that the reference wrote is unknown here.
#[test]
fn everything_in_a_directory_of_the_reference_has_its_place() {
    for case in cases() {
        let store = StoreDir::new(&case.path);
        let listing = StoreListing::read(&SystemDisk, store.path()).unwrap();
        assert_eq!(listing.foreign, [] as [PathBuf; 0], "{}", case.name);
        for account in listing.accounts {
            let groups = account.groups.iter().map(|group| &group.log);
            let all: Vec<_> = account.streams.iter().chain(groups).collect();
            assert!(
                account.foreign.is_empty() && !all.is_empty(),
                "{}: {account:?}",
                case.name
            );
            for stream in all {
                let messages = MessageListing::read(&SystemDisk, stream.directory.messages().path()).unwrap();
                assert!(
                    stream.foreign.is_empty() && messages.foreign.is_empty(),
                    "{}",
                    case.name
                );
            }
        }
    }
}
