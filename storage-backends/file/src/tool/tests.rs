use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dunlin_api::{Disk, Env, Logger, OpenMode, Secret, SystemDisk};
use dunlin_net::sim::{SimWorld, sim_env_with};
use tempfile::TempDir;

use super::*;
use crate::crypt::{Cipher, KeyRing};
use crate::layout::{StreamDir, StreamListing};
use crate::unpack::{Unpacking, pack};

/// A copy of a golden directory, to be damaged.
struct Copy {
    directory: TempDir,
    keys: Option<KeyRing>,
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/store-2.15.2")
}

fn copy_of(case: &str) -> Copy {
    let directory = tempfile::tempdir().unwrap();
    copy_all(&fixtures().join(case), directory.path());
    Copy {
        directory,
        keys: keys_of(case),
    }
}

fn copy_all(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy_all(&entry.path(), &to),
            false => drop(fs::copy(entry.path(), to).unwrap()),
        }
    }
}

fn keys_of(case: &str) -> Option<KeyRing> {
    let (cipher, key, previous) = match case {
        "aes" | "blocks-s2-aes" => (Cipher::Aes, "fixture-key", None),
        "rekeyed" => (Cipher::ChaCha, "fixture-key-2", Some(Secret::new("fixture-key"))),
        "chacha" | "blocks-s2-chacha" | "kill9-chacha" | "plain-then-chacha" => {
            (Cipher::ChaCha, "fixture-key", None)
        }
        _ => return None,
    };
    Some(KeyRing::new(cipher, Secret::new(key), previous))
}

fn env() -> Env {
    let network = SimWorld::new(1).host(IpAddr::V4(Ipv4Addr::LOCALHOST));
    sim_env_with(1, network, Logger::silent(), SystemDisk)
}

fn quiet() -> Progress {
    Arc::new(|_| ())
}

impl Copy {
    fn target(&self) -> Target {
        Target {
            directory: self.directory.path().to_owned(),
            account: None,
            keys: self.keys.clone(),
        }
    }

    fn check(&self) -> Report {
        check(&env(), &self.target(), &quiet()).unwrap()
    }

    fn repair(&self) -> Repaired {
        repair(&env(), &self.target(), &quiet()).unwrap()
    }

    fn stream(&self, file: &str) -> PathBuf {
        self.directory.path().join("jetstream/$G/streams/T").join(file)
    }

    fn change(&self, file: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let path = self.stream(file);
        let mut bytes = fs::read(&path).unwrap();
        change(&mut bytes);
        fs::write(path, bytes).unwrap();
    }

    fn set_aside(&self, file: &str) -> Vec<u8> {
        fs::read(self.directory.path().join("set-aside/$G/T").join(file)).unwrap()
    }
}

/// What is damaged, without the directory.
fn damaged(report: &Report) -> Vec<String> {
    let damage = report
        .all()
        .filter(|finding| finding.severity == Severity::Damage);
    let place = |finding: &Finding| {
        let place = Path::new(&finding.place);
        let tail: Vec<_> = place
            .iter()
            .rev()
            .take(2)
            .map(|name| name.to_str().unwrap())
            .collect();
        format!("{}/{}", tail[1], tail[0])
    };
    damage
        .map(|finding| format!("{}: {}; {}", place(finding), finding.what, finding.cost))
        .collect()
}

fn worst(report: &Report) -> Option<Severity> {
    report.worst()
}

// STORE-180: nothing in a directory that the reference left behind is taken for damage, however it was stopped.
#[tokio::test]
async fn directories_of_the_reference_are_clean() {
    let cases = fs::read_dir(fixtures()).unwrap();
    let cases = cases
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.join("jetstream").exists());
    let mut assets = 0;
    for path in cases {
        let case = path.file_name().unwrap().to_str().unwrap();
        let target = Target {
            directory: path.clone(),
            account: None,
            keys: keys_of(case),
        };
        let report = check(&env(), &target, &quiet()).unwrap();
        assert!(worst(&report) < Some(Severity::Warning), "{case}: {report}");
        assets += report.assets.len();
        let stats = stat(&env(), &target, &quiet()).unwrap();
        for (checked, stated) in report.assets.iter().zip(&stats) {
            let figures = (stated.messages, stated.bytes, stated.first, stated.last);
            assert_eq!(
                figures,
                (checked.messages, checked.bytes, checked.first, checked.last),
                "{case}"
            );
        }
    }
    assert_eq!(assets, 28);
}

// STORE-119: one damaged byte costs one message, is located, and a repair keeps the rest.
#[tokio::test]
async fn a_damaged_byte_is_located_and_repaired_at_the_cost_of_its_message() {
    for case in ["plain", "chacha", "aes"] {
        let copy = copy_of(case);
        // In the body of message 5, of 4,000 bytes.
        copy.change("msgs/1.blk", |bytes| bytes[2_000] ^= 1);
        let original = fs::read(copy.stream("msgs/1.blk")).unwrap();
        let report = copy.check();
        let found = damaged(&report);
        assert_eq!(found.len(), 1, "{case}: {report}");
        assert!(found[0].starts_with("msgs/1.blk: bytes "), "{found:?}");
        assert!(
            found[0].ends_with(": invalid checksum; at most 1 messages are lost"),
            "{found:?}"
        );
        let repaired = copy.repair();
        assert_eq!(
            (repaired.changes.len(), repaired.left.len()),
            (2, 0),
            "{repaired}"
        );
        assert_eq!(copy.set_aside("msgs/1.blk"), original);
        assert!(!copy.set_aside("msgs/index.db").is_empty());
        let report = copy.check();
        assert_eq!(damaged(&report), [] as [String; 0], "{case}");
        assert_eq!(
            (report.assets[0].messages, report.assets[0].last),
            (9, 13),
            "{case}"
        );
        assert_eq!(copy.repair().to_string(), "nothing was changed\n");
    }
}

// P4: a block that is written again gets another key.
#[tokio::test]
async fn an_encrypted_block_is_repaired_under_a_new_key() {
    let copy = copy_of("chacha");
    let old = fs::read(copy.stream("msgs/1.key")).unwrap();
    copy.change("msgs/1.blk", |bytes| bytes[2_000] ^= 1);
    copy.repair();
    assert_ne!(fs::read(copy.stream("msgs/1.key")).unwrap(), old);
    assert_eq!(copy.set_aside("msgs/1.key"), old);
}

// STORE-119: the reference deletes a stream whose compressed block does not decode.
#[tokio::test]
async fn a_compressed_block_that_does_not_decode_is_repaired() {
    for case in ["blocks-s2", "blocks-s2-chacha"] {
        let copy = copy_of(case);
        let before = copy.check().assets[0].messages;
        copy.change("msgs/1.blk", |bytes| {
            let middle = bytes.len() / 2;
            bytes[middle] ^= 0x55;
        });
        assert!(copy.check().is_damaged(), "{case}");
        copy.repair();
        let report = copy.check();
        assert_eq!(damaged(&report), [] as [String; 0], "{case}");
        let after = &report.assets[0];
        assert!(
            after.messages < before && after.messages > 0 && after.last == 62,
            "{case}: {report}"
        );
    }
}

// STORE-118 [TestFileStoreReloadAndLoseLastSequence*]: sequences that an index remembers are not given again.
#[tokio::test]
async fn a_lost_tail_is_told_by_the_index_and_its_sequences_stay_taken() {
    let copy = copy_of("plain");
    copy.change("msgs/1.blk", |bytes| bytes.truncate(4_300));
    let report = copy.check();
    let found = damaged(&report);
    assert!(
        found
            .iter()
            .any(|found| found.contains("the index knows sequences up to 13")),
        "{found:?}"
    );
    copy.repair();
    let report = copy.check();
    assert_eq!(damaged(&report), [] as [String; 0]);
    assert_eq!(report.assets[0].last, 13);
}

#[tokio::test]
async fn a_missing_block_is_told_by_the_index() {
    let copy = copy_of("blocks-plain");
    fs::remove_file(copy.stream("msgs/2.blk")).unwrap();
    let found = damaged(&copy.check());
    assert_eq!(found.len(), 1, "{found:?}");
    let expected = "msgs/2.blk: missing; 17 messages are lost, of 45 to 62";
    assert_eq!(found[0], expected);
}

// STORE-12: a stream that the reference refuses is opened again, where its description can be read.
#[tokio::test]
async fn a_checksum_of_a_description_is_written_anew() {
    let copy = copy_of("plain");
    fs::remove_file(copy.stream("meta.sum")).unwrap();
    copy.change("obs/c1/meta.sum", |sum| sum[0] ^= 1);
    let found = damaged(&copy.check());
    assert_eq!(
        found,
        ["T/meta.sum: missing; a server does not open the stream; its messages are there"]
    );
    assert_eq!(copy.repair().changes.len(), 2);
    assert!(worst(&copy.check()) < Some(Severity::Warning));
}

// STORE-67: and a consumer that the reference cannot add.
#[tokio::test]
async fn a_consumers_state_that_cannot_be_read_is_taken_away_and_kept() {
    let copy = copy_of("plain");
    copy.change("obs/c1/o.dat", |bytes| bytes.truncate(4));
    let found = damaged(&copy.check());
    let expected =
        "c1/o.dat: corrupt state file; where it stood is lost; nats-server does not open the consumer";
    assert_eq!(found, [expected]);
    copy.repair();
    assert!(!copy.stream("obs/c1/o.dat").exists());
    assert_eq!(copy.set_aside("obs/c1/o.dat").len(), 4);
    assert_eq!(damaged(&copy.check()), [] as [String; 0]);
}

// STORE-59 to STORE-62
#[tokio::test]
async fn indexes_that_cannot_be_read_are_taken_away() {
    let copy = copy_of("ttl-sched-sources");
    let streams = copy.directory.path().join("jetstream/$G/streams");
    for file in [
        "TTL/msgs/thw.db",
        "SC/msgs/sched.db",
        "SRC/sources.db",
        "TTL/msgs/index.db",
    ] {
        let path = streams.join(file);
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
    }
    let warnings = copy.check();
    assert_eq!(worst(&warnings), Some(Severity::Warning), "{warnings}");
    assert_eq!(copy.repair().changes.len(), 4);
    assert!(worst(&copy.check()) < Some(Severity::Warning));
}

// STORE-45: a lost key costs what it encrypts; the files are kept.
#[tokio::test]
async fn a_store_whose_key_is_not_given_is_left_as_it_is() {
    let mut copy = copy_of("aes");
    copy.keys = Some(KeyRing::new(Cipher::Aes, Secret::new("another"), None));
    assert_eq!(worst(&copy.check()), Some(Severity::Locked));
    let repaired = copy.repair();
    assert_eq!(
        (repaired.changes.len(), repaired.left.len()),
        (0, 1),
        "{repaired}"
    );
    copy.keys = None;
    assert_eq!(worst(&copy.check()), Some(Severity::Locked));
}

#[tokio::test]
async fn a_directory_that_a_broker_has_open_is_not_repaired() {
    let copy = copy_of("plain");
    let journal = copy.directory.path().join("journal");
    SystemDisk.create_dir(&journal).unwrap();
    let lock = SystemDisk
        .open(&journal.join("lock"), OpenMode::ReadWrite)
        .unwrap();
    lock.lock().unwrap();
    let refused = repair(&env(), &copy.target(), &quiet());
    assert!(matches!(refused, Err(ToolError::InUse(_))), "{refused:?}");
    drop(lock);
    // One that was killed there has left something behind.
    SystemDisk
        .open(&journal.join("0.journal"), OpenMode::ReadWrite)
        .unwrap();
    assert!(
        copy.check()
            .to_string()
            .contains("holds what is not in the blocks yet")
    );
    let refused = repair(&env(), &copy.target(), &quiet());
    assert!(matches!(refused, Err(ToolError::Unsettled(_))), "{refused:?}");
    fs::remove_file(journal.join("0.journal")).unwrap();
    assert!(repair(&env(), &copy.target(), &quiet()).is_ok());
}

#[tokio::test]
async fn an_account_and_a_stream_can_be_named_alone() {
    let copy = copy_of("chacha");
    for below in ["jetstream", "jetstream/$G", "jetstream/$G/streams/T"] {
        let target = Target {
            directory: copy.directory.path().join(below),
            ..copy.target()
        };
        let report = check(&env(), &target, &quiet()).unwrap();
        assert_eq!(
            (report.assets.len(), report.assets[0].name.as_str()),
            (1, "$G > T"),
            "{below}"
        );
        assert_eq!(
            (report.assets[0].messages, report.is_damaged()),
            (10, false),
            "{below}"
        );
    }
    let refused = check(
        &env(),
        &Target {
            directory: fixtures(),
            ..copy.target()
        },
        &quiet(),
    );
    assert!(matches!(refused, Err(ToolError::NoStore(_))), "{refused:?}");
}

// STORE-17 to STORE-21: what was removed is not shown, what was erased neither.
#[tokio::test]
async fn messages_are_shown_as_they_were_stored() {
    let copy = copy_of("plain");
    let shown = |range, format| {
        let mut out = Vec::new();
        let count = dump(&env(), &copy.target(), &range, format, &mut out, &quiet()).unwrap();
        (count, String::from_utf8(out).unwrap())
    };
    let (count, text) = shown(1..=3, DumpFormat::Text);
    let expected = "T 1 2026-11-22T15:26:31.237386809Z foo 2 bytes\n  hi\n\
        T 2 2026-11-22T15:26:31.237900973Z foo 2 bytes\n  A: b\n  hi\n\
        T 3 2026-11-22T15:26:31.238131058Z bar.1 0 bytes\n";
    assert_eq!((count, text.as_str()), (3, expected));
    let (count, json) = shown(0..=u64::MAX, DumpFormat::Json);
    let sequences: Vec<_> = json
        .lines()
        .map(|line| {
            serde_json::from_str::<serde_json::Value>(line).unwrap()["seq"]
                .as_u64()
                .unwrap()
        })
        .collect();
    assert_eq!((count, sequences), (10, vec![1, 2, 3, 5, 6, 8, 9, 10, 11, 12]));
}

/// The files of a backup below a new directory, as a restore makes them.
fn restored(backup: &[u8], stream: &str) -> Result<TempDir, String> {
    let directory = tempfile::tempdir().unwrap();
    let staging = directory.path().join("jetstream/$G/__snapshots__/snap-1");
    let mut unpacking = Unpacking::begin(&env(), staging, stream).map_err(|error| error.to_string())?;
    let mut reader = dunlin_backup::FilesReader::default();
    for piece in backup.chunks(1_000) {
        reader.feed(piece);
        while let Some((file, bytes)) = reader.next_file(1 << 26).map_err(|error| error.to_string())? {
            unpacking.file(&file, &bytes).map_err(|error| error.to_string())?;
        }
    }
    let target = directory.path().join("jetstream/$G/streams").join(stream);
    let finished = reader.finish().map_err(|error| error.to_string());
    let finished = finished.and_then(|()| {
        let target = StreamDir::found(target);
        unpacking.finish(&target).map_err(|error| error.to_string())
    });
    let staged = fs::read_dir(directory.path().join("jetstream/$G/__snapshots__"))
        .unwrap()
        .count();
    assert_eq!(staged, 0, "nothing is left of a restore");
    finished.map(|()| directory)
}

fn packed(copy: &Copy) -> std::io::Result<Vec<u8>> {
    let path = copy.stream("");
    let listing = StreamListing::read(&SystemDisk, path).unwrap();
    pack(
        &env(),
        &listing,
        "$G",
        copy.keys.as_ref(),
        Vec::new(),
        1_700_000_000,
    )
}

// STORE-78 [TestFileStoreSnapshot]: in clear and uncompressed, whatever the store is, and equal to it.
#[tokio::test]
async fn a_backup_of_files_becomes_an_equal_stream() {
    for case in ["plain", "aes", "chacha", "blocks-s2", "blocks-s2-chacha"] {
        let copy = copy_of(case);
        let before = copy.check();
        let directory = restored(&packed(&copy).unwrap(), "T").unwrap();
        let target = Target {
            directory: directory.path().to_owned(),
            account: None,
            keys: None,
        };
        let after = check(&env(), &target, &quiet()).unwrap();
        assert!(worst(&after) < Some(Severity::Warning), "{case}: {after}");
        assert_eq!(after.assets[0], before.assets[0], "{case}");
        let shown = |target: &Target| {
            let mut out = Vec::new();
            dump(
                &env(),
                target,
                &(0..=u64::MAX),
                DumpFormat::Json,
                &mut out,
                &quiet(),
            )
            .unwrap();
            out
        };
        assert_eq!(shown(&target), shown(&copy.target()), "{case}");
    }
}

// STORE-78, 2026-33222: a backup becomes the stream that it is of, and no other.
#[tokio::test]
async fn a_backup_of_another_stream_is_refused_and_leaves_nothing() {
    let backup = packed(&copy_of("plain")).unwrap();
    assert_eq!(
        restored(&backup, "OTHER").unwrap_err(),
        "stream names do not match"
    );
    let cut = &backup[..backup.len() / 2];
    assert!(restored(cut, "T").is_err());
}

// STORE-79
#[tokio::test]
async fn a_damaged_stream_has_no_backup_with_silent_holes() {
    let copy = copy_of("plain");
    copy.change("msgs/1.blk", |bytes| bytes[2_000] ^= 1);
    let refused = packed(&copy).unwrap_err().to_string();
    assert!(
        refused.starts_with("snapshot check failed: block 1: bytes "),
        "{refused}"
    );
}

// STORE-11
#[tokio::test]
async fn a_backup_whose_description_does_not_agree_with_its_checksum_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let mut unpacking = Unpacking::begin(&env(), directory.path().join("staging"), "T").unwrap();
    unpacking
        .file(&dunlin_backup::BackupFile::Meta, br#"{"name":"T"}"#)
        .unwrap();
    unpacking
        .file(&dunlin_backup::BackupFile::MetaSum, b"0123456789abcdef")
        .unwrap();
    let refused = unpacking
        .finish(&StreamDir::found(directory.path().join("T")))
        .unwrap_err();
    assert_eq!(refused.to_string(), "the backup's meta.inf is missing or damaged");
}

// STORE-19: a block that ends early at a record's border is whole in itself; an index of this state tells.
#[tokio::test]
async fn an_index_tells_of_a_block_that_ends_early() {
    let copy = copy_of("blocks-plain");
    copy.change("msgs/1.blk", |bytes| {
        let (mut at, mut last) = (0, 0);
        while let Ok(head) = crate::record::Head::read(&bytes[at..]) {
            (last, at) = (at, at + head.length);
        }
        bytes.truncate(last);
    });
    let found = damaged(&copy.check());
    assert_eq!(
        found,
        ["msgs/1.blk: holds 1 messages fewer than the index says; they are lost"]
    );
}
