//! The suite on the real disk, and what is sled's alone.

use std::path::Path;

use dunlin_api::{AccountName, Load, NewMessage, StorageType, StreamOptions, Subject};
use dunlin_store_conformance::Harness;

use super::*;

/// A database in a directory for temporary files, with its writer polled.
struct OnDisk {
    backend: Option<SledBackend>,
    directory: tempfile::TempDir,
}

fn backend(directory: &Path) -> SledBackend {
    SledBackend::polled(SledOptions {
        dir: directory.display().to_string(),
        cache: ByteSize(8 << 20),
        max_queued: ByteSize(64 << 20),
    })
}

impl OnDisk {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self {
            backend: Some(backend(directory.path())),
            directory,
        }
    }
}

impl Harness for OnDisk {
    fn backend(&self) -> &dyn StoreBackend {
        self.backend.as_ref().unwrap()
    }

    fn reopen(&mut self) {
        self.backend = None;
        self.backend = Some(backend(self.directory.path()));
    }

    /// As `kill -9` does: what sled has given to the system is there, what it holds in its buffers is not.
    fn crash(&mut self) {
        let copy = tempfile::tempdir().unwrap();
        copy_files(self.directory.path(), copy.path());
        // Only now: sled writes all when it is dropped.
        self.backend = None;
        self.directory = copy;
        self.backend = Some(backend(self.directory.path()));
    }

    fn poll(&mut self) {
        self.backend.as_ref().unwrap().turn();
    }
}

fn copy_files(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            std::fs::create_dir(&target).unwrap();
            copy_files(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

dunlin_store_conformance::suite!(on_disk, || Box::new(OnDisk::new()));

fn id(name: &str) -> StreamId {
    StreamId::new(AccountName::global(), name).unwrap()
}

fn options() -> StreamOptions {
    StreamOptions::new(StorageType::File, Arc::new(()))
}

fn message<'a>(subject: &'a str, payload: &'a [u8]) -> NewMessage<'a> {
    NewMessage {
        sequence: None,
        time: 1,
        subject: Subject::new(subject.as_bytes()).unwrap(),
        headers: &[],
        payload,
    }
}

#[test]
fn what_is_staged_is_read_from_memory_until_it_is_written() {
    let disk = OnDisk::new();
    let mut stream = disk.backend().stream(&id("S"), options()).unwrap();
    let staged = stream.stage(&message("a", b"payload")).unwrap();
    assert!(matches!(stream.load(1).unwrap(), Load::Ready(Some(_))));
    stream.commit(staged.ticket).unwrap();
    assert!(stream.durable() < staged.ticket);
    disk.backend.as_ref().unwrap().turn();
    assert_eq!(stream.durable(), staged.ticket);
    let Load::Cold(job) = stream.load(1).unwrap() else {
        panic!("it is still in memory");
    };
    assert_eq!(job().unwrap().unwrap().payload(), b"payload");
}

#[test]
fn a_late_reader_never_sees_the_message_that_got_the_sequence_again() {
    let disk = OnDisk::new();
    let mut stream = disk.backend().stream(&id("S"), options()).unwrap();
    let first = stream.stage(&message("a", b"first")).unwrap();
    stream.commit(first.ticket).unwrap();
    disk.backend.as_ref().unwrap().turn();
    let load = stream.load(1).unwrap();
    stream.truncate(0).unwrap();
    let second = stream.stage(&message("a", b"other")).unwrap();
    stream.commit(second.ticket).unwrap();
    disk.backend.as_ref().unwrap().turn();
    assert_eq!(load.wait().unwrap(), None);
    assert_eq!(
        stream.load(1).unwrap().wait().unwrap().unwrap().payload(),
        b"other"
    );
}

#[test]
fn publishers_are_refused_while_the_disk_is_behind() {
    let directory = tempfile::tempdir().unwrap();
    let backend = SledBackend::polled(SledOptions {
        dir: directory.path().display().to_string(),
        cache: ByteSize(8 << 20),
        max_queued: ByteSize(1 << 20),
    });
    let mut stream = backend.stream(&id("S"), options()).unwrap();
    let body = vec![7; 100_000];
    let mut taken = 0;
    let refused = loop {
        match stream.stage(&message("a", &body)) {
            Ok(_) => taken += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(refused, StoreError::Full(_)), "{refused}");
    assert!((9..=14).contains(&taken), "{taken}");
    assert_eq!(stream.state().messages, taken);
    backend.turn();
    stream.stage(&message("a", &body)).unwrap();
    stream.close().unwrap();
    let stream = backend.stream(&id("S"), options()).unwrap();
    assert_eq!(stream.state().messages, taken + 1);
}

#[test]
fn a_database_that_another_has_open_is_refused() {
    let disk = OnDisk::new();
    disk.backend().list().unwrap();
    let refused = backend(disk.directory.path()).list().unwrap_err();
    assert!(
        refused.to_string().contains("could not acquire lock"),
        "{refused}"
    );
}
