//! Reading what is not in memory.

use dunlin_api::{Counting, Load, SnapshotCursor};

use crate::stand::filter;
use crate::{Make, Stand};

/// It answers after the store has changed, from another thread, as of when it was made.
pub fn a_job_needs_no_store(make: Make<'_>) {
    let mut stand = Stand::new(make);
    stand.fill(&["a", "b", "a"]);
    stand.settle();
    stand.harness.cool();
    let a = [filter("a")];
    let cursor = SnapshotCursor::of(&stand.state());
    let load = stand.load(2).unwrap();
    let next = stand.next(&a, 2).unwrap();
    let previous = stand.previous(&a, 2).unwrap();
    let at = stand.sequence_at(2).unwrap();
    let state = stand.filtered_state(&a, 0).unwrap();
    let pending = stand.num_pending(2, &a, Counting::All).unwrap();
    let last = stand.last_sequences(&[], 3, 9).unwrap();
    let snapshot = stand.snapshot(cursor, u64::MAX).unwrap();
    stand.fill(&["a", "b"]);
    assert_eq!(apart(load).unwrap().sequence, 2);
    assert_eq!(apart(next).unwrap().sequence, 3);
    assert_eq!(apart(previous).unwrap().sequence, 1);
    assert_eq!(apart(at), Some(2));
    assert_eq!(apart(state).messages, 2);
    assert_eq!(apart(pending), 1);
    assert_eq!(apart(last), [2, 3]);
    assert_eq!(apart(snapshot).messages.len(), 3);
}

/// Waits on another thread.
fn apart<T: Send>(load: Load<T>) -> T {
    std::thread::scope(|scope| scope.spawn(|| load.wait().unwrap()).join().unwrap())
}
