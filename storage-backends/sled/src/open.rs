//! Opening a stream: all of its tree is read once, and what the index needs is kept.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use dunlin_api::{Damage, Lease, OpenNames, SourcePositions, StoreError, StreamId, StreamOptions, Ticket};

use crate::engine::{Engine, Marks, Writes};
use crate::index::Index;
use crate::layout::{self, State, StoredRecord};
use crate::stream::{SledStream, Timers, io};

/// Opens a stream, and makes it where there is none. Waits for the disk.
pub(crate) fn open(
    engine: Arc<Engine>,
    lease: Lease<StreamId>,
    options: StreamOptions,
) -> Result<SledStream, StoreError> {
    // An earlier owner may have queued changes.
    engine.settle()?;
    let tree = engine
        .db()
        .open_tree(layout::tree_name(lease.name()))
        .map_err(io)?;
    let marks = Arc::new(Marks::stream(options.observer.clone()));
    let state = match tree.get(layout::STATE).map_err(io)? {
        None => {
            // Found again from now on, whether or not anything is committed.
            tree.insert(layout::STATE, State::default().encode())
                .map_err(io)?;
            engine.settle()?;
            State::default()
        }
        Some(bytes) => State::decode(&bytes).ok_or_else(|| unknown("state"))?,
    };
    let mut stream = SledStream {
        _lease: lease,
        index: Index::new(options.track_subjects),
        metadata: Vec::new(),
        sources: SourcePositions::default(),
        timers: Timers::default(),
        consumers: consumers(&tree)?,
        open_consumers: OpenNames::default(),
        staged: Ticket::default(),
        writes: Writes::default(),
        engine,
        tree,
        marks,
        options,
        state,
    };
    read_messages(&mut stream)?;
    for kind in Timers::KINDS {
        for entry in stream.tree.scan_prefix(layout::timers(kind)) {
            let (key, value) = entry.map_err(io)?;
            let (sequence, at) = layout::timer_of(kind, &key, &value).ok_or_else(|| unknown("timer"))?;
            stream.timers.of_mut(kind).set(sequence, at);
        }
    }
    if let Some(metadata) = stream.tree.get(layout::METADATA).map_err(io)? {
        stream.metadata = metadata.to_vec();
    }
    if let Some(sources) = stream.tree.get(layout::SOURCES).map_err(io)? {
        stream.sources = layout::sources_of(&sources).ok_or_else(|| unknown("source position"))?;
    }
    Ok(stream)
}

fn read_messages(stream: &mut SledStream) -> Result<(), StoreError> {
    for entry in stream.tree.scan_prefix(layout::MESSAGES) {
        let (key, value) = entry.map_err(io)?;
        let sequence = layout::sequence_of(&key).ok_or_else(|| unknown("message"))?;
        let bytes = value.len() as u64;
        let is_read = StoredRecord::read(sequence, Bytes::from_owner(value)).is_some_and(|record| {
            let message = record.message;
            let size = u32::try_from(message.size(stream.options.storage));
            size.is_ok_and(|size| stream.index.push(sequence, message.time, size, message.subject()))
        });
        if !is_read {
            stream.options.observer.damage(&Damage {
                first: sequence,
                last: sequence,
                bytes,
                detail: "its value in the sled database is no message".to_owned(),
            });
        }
    }
    Ok(())
}

/// The consumers that have a store, found by steps from one to the next.
fn consumers(tree: &sled::Tree) -> Result<BTreeSet<String>, StoreError> {
    let mut names = BTreeSet::new();
    let mut after = layout::CONSUMERS.to_vec();
    while let Some((key, _)) = tree.get_gt(&after).map_err(io)? {
        if !key.starts_with(layout::CONSUMERS) {
            break;
        }
        let (name, _) = layout::consumer_of(&key).ok_or_else(|| unknown("consumer"))?;
        // No name holds a control character, so nothing of another consumer lies between.
        after = [layout::CONSUMERS, name.as_bytes(), &[1]].concat();
        names.insert(name.to_owned());
    }
    Ok(names)
}

fn unknown(what: &str) -> StoreError {
    StoreError::Io(format!(
        "the sled database holds a {what} of a layout that is not known"
    ))
}
