//! Opening, listing and deleting streams.

use std::sync::Arc;

use dunlin_api::{StorageType, StoreError, StreamOptions};

use crate::stand::{id, message};
use crate::{Make, Stand};

fn options() -> StreamOptions {
    StreamOptions::new(StorageType::File, Arc::new(()))
}

/// A second owner is refused, and so is a deletion, until the first has closed.
pub fn a_stream_is_open_once(make: Make<'_>) {
    let mut stand = Stand::new(make);
    let in_use = StoreError::InUse("$G > S".to_owned());
    let backend = stand.harness.backend();
    assert_eq!(backend.stream(&id("S"), options()).err(), Some(in_use.clone()));
    assert_eq!(backend.delete(&id("S")), Err(in_use));
    assert_eq!(backend.list(), Ok(vec![id("S")]));
    stand.close();
    assert!(stand.harness.backend().stream(&id("S"), options()).is_ok());
}

/// A durable stream exists until it is deleted, another until it is closed.
pub fn a_stream_is_listed_and_deleted_for_good(make: Make<'_>) {
    let mut stand = Stand::new(make);
    stand.fill(&["a"]);
    stand.close();
    let durable = stand.is_durable();
    let backend = stand.harness.backend();
    let listed = if durable { vec![id("S")] } else { vec![] };
    assert_eq!(backend.list(), Ok(listed));
    assert_eq!(backend.delete(&id("S")), Ok(durable));
    assert_eq!(backend.list(), Ok(vec![]));
    assert_eq!(backend.delete(&id("S")), Ok(false));
}

/// Its name is free, and what was in it does not come back.
pub fn a_deleted_stream_begins_anew(make: Make<'_>) {
    let mut stand = Stand::new(make);
    stand.fill(&["a"]);
    stand.set_metadata(b"{}").unwrap();
    drop(stand.consumer("C").unwrap());
    stand.close();
    let backend = stand.harness.backend();
    backend.delete(&id("S")).unwrap();
    let stream = backend.stream(&id("S"), options()).unwrap();
    assert_eq!(stream.state(), Default::default());
    assert_eq!(stream.metadata(), b"");
    assert_eq!(stream.consumers(), Vec::<String>::new());
}

/// Also where one's name is the beginning of the other's.
pub fn streams_keep_apart(make: Make<'_>) {
    let mut stand = Stand::new(make);
    let mut other = stand.harness.backend().stream(&id("SS"), options()).unwrap();
    stand.fill(&["a", "b"]);
    other.stage(&message("c", 9, b"other")).unwrap();
    other.set_metadata(b"other").unwrap();
    assert_eq!(stand.bounds(), (2, 1, 2));
    assert_eq!(stand.metadata(), b"");
    assert_eq!(other.state().messages, 1);
    stand.truncate(0).unwrap();
    assert_eq!(other.state().messages, 1);
    let mut listed = stand.harness.backend().list().unwrap();
    listed.sort();
    assert_eq!(listed, [id("S"), id("SS")]);
}
