//! What every store must do, what is this one's own, and that default bodies are as right as its own.

use std::sync::Arc;

use dunlin_api::{AccountName, NewMessage, StorageType, Subject};
use dunlin_store_conformance::{Harness, suite};

use super::*;
use plain::Plain;

mod plain;

struct Memory(MemoryBackend);

impl Harness for Memory {
    fn backend(&self) -> &dyn StoreBackend {
        &self.0
    }
}

impl Harness for Plain<MemoryBackend> {
    fn backend(&self) -> &dyn StoreBackend {
        self
    }
}

suite!(example_store, || Box::new(Memory(MemoryBackend::new(u64::MAX))));
suite!(default_bodies, || Box::new(Plain(MemoryBackend::new(u64::MAX))));

// STORE-81
#[test]
fn a_full_backend_refuses_without_a_trace_and_goes_on_with_room() {
    let backend = MemoryBackend::new(40);
    let open = |name: &str| {
        let id = StreamId::new(AccountName::global(), name).unwrap();
        let options = StreamOptions::new(StorageType::Memory, Arc::new(()));
        backend.stream(&id, options).unwrap()
    };
    let message = |time, payload| NewMessage {
        sequence: None,
        time,
        subject: Subject::new(b"a").unwrap(),
        headers: &[],
        payload,
    };
    let (mut stream, mut other) = (open("S"), open("T"));
    assert_eq!(stream.stage(&message(1, b"123")).unwrap().size, 20);
    assert_eq!(other.stage(&message(1, b"123")).unwrap().size, 20);
    let before = stream.state();
    let refused = stream.stage(&message(2, b"")).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "insufficient storage: 40 of 40 bytes are used"
    );
    assert_eq!(stream.state(), before);
    drop(other);
    assert_eq!(stream.stage(&message(2, b"")).unwrap().sequence, 2);
}
