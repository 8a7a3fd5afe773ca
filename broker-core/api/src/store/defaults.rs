//! Right answers for any store, from the methods that it must have: they walk its messages, and wait for cold ones.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use dunlin_subject::{Filter, Subject, SubjectBuf, matches};

use super::{
    Answer, Counting, Load, Purge, PurgeExtent, Purged, Removal, SnapshotChunk, SnapshotCursor, StoreError,
    StoredMessage, StreamStore, SubjectState,
};

/// Whether one of the filters matches; no filter matches everything. What every filtered read of a store means.
pub fn matches_any(filters: &[Filter<'_>], subject: Subject<'_>) -> bool {
    filters.is_empty() || filters.iter().any(|filter| matches(*filter, subject))
}

pub(super) fn at_or_before<S: StreamStore + ?Sized>(store: &S, to: u64) -> Option<u64> {
    let state = store.state();
    let reaches = |from: u64| store.at_or_after(from).is_some_and(|found| found <= to);
    let (mut low, mut high) = (state.first, state.last.min(to));
    if low > high || !reaches(low) {
        return None;
    }
    // `reaches` holds up to the wanted sequence and not beyond it.
    while low < high {
        let middle = high - (high - low) / 2;
        if reaches(middle) {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    Some(low)
}

pub(super) fn each_deleted<S: StreamStore + ?Sized>(
    store: &S,
    visit: &mut dyn FnMut(RangeInclusive<u64>) -> bool,
) {
    let state = store.state();
    let mut next = state.first.max(1);
    while next <= state.last {
        let found = store.at_or_after(next);
        let end = found.map_or(state.last, |found| found - 1);
        if next <= end && !visit(next..=end) {
            break;
        }
        let Some(after) = found.and_then(|found| found.checked_add(1)) else {
            break;
        };
        next = after;
    }
}

pub(super) fn next<S: StreamStore + ?Sized>(
    store: &S,
    filters: &[Filter<'_>],
    from: u64,
) -> Answer<Option<StoredMessage>> {
    if filters.is_empty() {
        return store
            .at_or_after(from)
            .map_or(Ok(Load::Ready(None)), |found| store.load(found));
    }
    let mut found = None;
    walk(store, filters, from, &mut |message| {
        found = Some(message);
        false
    })?;
    Ok(Load::Ready(found))
}

pub(super) fn previous<S: StreamStore + ?Sized>(
    store: &S,
    filters: &[Filter<'_>],
    to: u64,
) -> Answer<Option<StoredMessage>> {
    let mut at = store.at_or_before(to);
    while let Some(sequence) = at {
        if filters.is_empty() {
            return store.load(sequence);
        }
        let found = load_matching(store, filters, sequence)?;
        if found.is_some() {
            return Ok(Load::Ready(found));
        }
        at = sequence.checked_sub(1).and_then(|to| store.at_or_before(to));
    }
    Ok(Load::Ready(None))
}

pub(super) fn sequence_at<S: StreamStore + ?Sized>(store: &S, time: i64) -> Answer<Option<u64>> {
    let mut found = None;
    walk(store, &[], 0, &mut |message| {
        found = (message.time >= time).then_some(message.sequence);
        found.is_none()
    })?;
    Ok(Load::Ready(found))
}

pub(super) fn filtered_state<S: StreamStore + ?Sized>(
    store: &S,
    filters: &[Filter<'_>],
    from: u64,
) -> Answer<SubjectState> {
    let mut state = SubjectState::default();
    walk(store, filters, from, &mut |message| {
        state.add(message.sequence);
        true
    })?;
    Ok(Load::Ready(state))
}

pub(super) fn each_subject<S: StreamStore + ?Sized>(
    store: &S,
    filters: &[Filter<'_>],
    visit: &mut dyn FnMut(Subject<'_>, u64) -> bool,
) -> Result<(), StoreError> {
    subject_states(store, filters)?
        .iter()
        .all(|(subject, state)| visit(subject.as_subject(), state.messages));
    Ok(())
}

pub(super) fn num_pending<S: StreamStore + ?Sized>(
    store: &S,
    from: u64,
    filters: &[Filter<'_>],
    counting: Counting,
) -> Answer<u64> {
    let count = match counting {
        Counting::All => store.filtered_state(filters, from)?.wait()?.messages,
        Counting::LastPerSubject => {
            let states = subject_states(store, filters)?;
            states.values().filter(|state| state.last >= from).count() as u64
        }
    };
    Ok(Load::Ready(count))
}

pub(super) fn last_sequences<S: StreamStore + ?Sized>(
    store: &S,
    filters: &[Filter<'_>],
    to: u64,
    most: usize,
) -> Answer<Vec<u64>> {
    let mut last = BTreeMap::<SubjectBuf, u64>::new();
    walk(store, filters, 0, &mut |message| {
        if message.sequence > to {
            return false;
        }
        last.insert(message.subject().to_owned(), message.sequence);
        last.len() <= most
    })?;
    if last.len() > most {
        return Err(StoreError::TooManyResults);
    }
    let mut sequences: Vec<_> = last.into_values().collect();
    sequences.sort_unstable();
    Ok(Load::Ready(sequences))
}

pub(super) fn purge<S: StreamStore + ?Sized>(store: &mut S, purge: &Purge) -> Result<Purged, StoreError> {
    let filter = purge.filter.as_ref().map(|filter| filter.as_filter());
    let filters = filter.as_slice();
    let (before, most) = match purge.extent {
        PurgeExtent::Before(sequence) if filters.is_empty() => return store.compact(sequence),
        PurgeExtent::Everything => (u64::MAX, u64::MAX),
        PurgeExtent::Before(sequence) => (sequence, u64::MAX),
        PurgeExtent::Keep(count) => {
            let matching = store.filtered_state(filters, 0)?.wait()?.messages;
            (u64::MAX, matching.saturating_sub(count))
        }
    };
    remove_while(store, filters, before, most)
}

pub(super) fn compact<S: StreamStore + ?Sized>(store: &mut S, sequence: u64) -> Result<Purged, StoreError> {
    let purged = remove_while(store, &[], sequence, u64::MAX)?;
    let next = store.state().last.saturating_add(1);
    if sequence > next {
        store.skip(sequence - next, None)?;
    }
    Ok(purged)
}

pub(super) fn snapshot<S: StreamStore + ?Sized>(
    store: &S,
    cursor: SnapshotCursor,
    bytes: u64,
) -> Answer<SnapshotChunk> {
    let mut chunk = SnapshotChunk {
        through: cursor.last,
        ..SnapshotChunk::default()
    };
    let mut size = 0;
    walk(store, &[], cursor.next, &mut |message| {
        if message.sequence > cursor.last {
            return false;
        }
        size += message.size(store.storage());
        if size > bytes && !chunk.messages.is_empty() {
            let next = message.sequence;
            chunk.through = next.saturating_sub(1);
            chunk.next = Some(SnapshotCursor { next, ..cursor });
            return false;
        }
        chunk.messages.push(message);
        true
    })?;
    Ok(Load::Ready(chunk))
}

pub(super) fn restore<S: StreamStore + ?Sized>(
    store: &mut S,
    chunk: &SnapshotChunk,
) -> Result<(), StoreError> {
    for message in &chunk.messages {
        skip_to(store, message.sequence)?;
        store.stage(&message.as_new())?;
    }
    skip_to(store, chunk.through.saturating_add(1))
}

fn load_matching<S: StreamStore + ?Sized>(
    store: &S,
    filters: &[Filter<'_>],
    sequence: u64,
) -> Result<Option<StoredMessage>, StoreError> {
    let message = store.load(sequence)?.wait()?;
    Ok(message.filter(|message| matches_any(filters, message.subject())))
}

/// Shows `visit` the matching messages from `from` on, in order, until it returns false.
fn walk<S: StreamStore + ?Sized>(
    store: &S,
    filters: &[Filter<'_>],
    from: u64,
    visit: &mut dyn FnMut(StoredMessage) -> bool,
) -> Result<(), StoreError> {
    let mut at = store.at_or_after(from);
    while let Some(sequence) = at {
        if let Some(message) = load_matching(store, filters, sequence)?
            && !visit(message)
        {
            break;
        }
        at = sequence.checked_add(1).and_then(|from| store.at_or_after(from));
    }
    Ok(())
}

fn subject_states<S: StreamStore + ?Sized>(
    store: &S,
    filters: &[Filter<'_>],
) -> Result<BTreeMap<SubjectBuf, SubjectState>, StoreError> {
    let mut subjects = BTreeMap::<SubjectBuf, SubjectState>::new();
    walk(store, filters, 0, &mut |message| {
        subjects
            .entry(message.subject().to_owned())
            .or_default()
            .add(message.sequence);
        true
    })?;
    Ok(subjects)
}

fn remove_while<S: StreamStore + ?Sized>(
    store: &mut S,
    filters: &[Filter<'_>],
    before: u64,
    most: u64,
) -> Result<Purged, StoreError> {
    let mut purged = Purged::default();
    let mut at = store.at_or_after(0);
    while let Some(sequence) = at.filter(|sequence| *sequence < before && purged.messages < most) {
        // Without a filter nothing is read, so a purge also rids a stream of what is damaged.
        if filters.is_empty() || load_matching(store, filters, sequence)?.is_some() {
            let removed = store.remove(sequence, Removal::Remove)?;
            purged.messages += u64::from(removed.is_some());
            purged.bytes += removed.unwrap_or_default();
        }
        at = sequence.checked_add(1).and_then(|from| store.at_or_after(from));
    }
    Ok(purged)
}

/// Skips so that `sequence` is the next.
fn skip_to<S: StreamStore + ?Sized>(store: &mut S, sequence: u64) -> Result<(), StoreError> {
    let expected = store.state().last.saturating_add(1);
    let mismatch = StoreError::SequenceMismatch {
        expected,
        given: sequence,
    };
    match sequence.checked_sub(expected).ok_or(mismatch)? {
        0 => Ok(()),
        count => store.skip(count, None),
    }
}
