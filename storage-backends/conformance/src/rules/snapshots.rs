//! Copying a stream in parts.

use dunlin_api::{Purge, Removal, SnapshotChunk, SnapshotCursor, StoreError, StreamStore};

use crate::stand::answer;
use crate::{Make, Stand};

fn parts(stream: &dyn StreamStore, bytes: u64) -> Vec<SnapshotChunk> {
    let mut parts = Vec::new();
    let mut cursor = Some(SnapshotCursor::of(&stream.state()));
    while let Some(at) = cursor {
        let part = answer(stream.snapshot(at, bytes));
        cursor = part.next;
        parts.push(part);
    }
    parts
}

/// With its holes, at both ends as well. [STORE-166]
pub fn a_snapshot_restores_the_same_stream(make: Make<'_>) {
    let mut stand = Stand::new(make);
    stand.skip(3, Some(1)).unwrap();
    stand.fill(&["a", "b", "a", "c", "b"]);
    stand.remove(5, Removal::Remove).unwrap();
    stand.skip(2, None).unwrap();
    let mut copy = Stand::new(make);
    for part in parts(&*stand, u64::MAX) {
        copy.restore(&part).unwrap();
    }
    assert_eq!(copy.state(), stand.state());
    for sequence in 0..12 {
        assert_eq!(answer(copy.load(sequence)), answer(stand.load(sequence)));
    }
    stand.purge(&Purge::default()).unwrap();
    let mut empty = Stand::new(make);
    for part in parts(&*stand, 1) {
        empty.restore(&part).unwrap();
    }
    assert_eq!(empty.bounds(), stand.bounds());
}

/// Of at least one message, and of about as many bytes as asked for. [STORE-166]
pub fn a_snapshot_comes_in_parts(make: Make<'_>) {
    let mut stand = Stand::new(make);
    stand.fill(&["a"; 10]);
    let sizes = |bytes| -> Vec<usize> {
        let parts = parts(&*stand, bytes);
        parts.iter().map(|part| part.messages.len()).collect()
    };
    assert_eq!(sizes(0), [1; 10]);
    assert_eq!(sizes(100), [3, 3, 3, 1]);
    assert_eq!(sizes(320), [10]);
}

/// And what comes later. [STORE-166]
pub fn a_snapshot_leaves_out_what_is_removed_meanwhile(make: Make<'_>) {
    let mut stand = Stand::new(make);
    stand.fill(&["a"; 6]);
    let cursor = SnapshotCursor::of(&stand.state());
    let first = answer(stand.snapshot(cursor, 64));
    stand.remove(4, Removal::Remove).unwrap();
    stand.fill(&["b"]);
    let rest = answer(stand.snapshot(first.next.unwrap(), u64::MAX));
    let sequences: Vec<_> = rest.messages.iter().map(|message| message.sequence).collect();
    assert_eq!((sequences, rest.through, rest.next), (vec![3, 5, 6], 6, None));
}

/// A hole between parts is none of a part's.
pub fn a_part_out_of_order_is_refused(make: Make<'_>) {
    let mut stand = Stand::new(make);
    stand.fill(&["a"; 4]);
    let parts = parts(&*stand, 64);
    let mut copy = Stand::new(make);
    copy.restore(&parts[0]).unwrap();
    let again = copy.restore(&parts[0]);
    assert!(matches!(again, Err(StoreError::SequenceMismatch { .. })));
    copy.restore(&parts[1]).unwrap();
    assert_eq!(copy.bounds(), (4, 1, 4));
}
