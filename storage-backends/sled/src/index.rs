//! What is in memory of each message: its place, time, size and subject. All that is asked of a stream but the messages
//! themselves is answered from here, and so nobody waits for the database to change it.

use std::ops::ControlFlow;

use dunlin_api::{Filter, StoreError, Subject, SubjectBuf, SubjectState, matches_any};
use dunlin_subject::{LeafMap, SequenceList, SubjectTree};

/// So many messages are looked at one by one before all subjects that match are asked for theirs.
const STEPS: usize = 64;

/// A message that has no subject in the index.
const UNTRACKED: u32 = u32::MAX;

/// One message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    pub(crate) time: i64,
    pub(crate) size: u32,
    subject: u32,
}

/// All messages of a stream.
pub(crate) struct Index {
    entries: LeafMap<u64, Entry>,
    /// Places in `slots`.
    subjects: SubjectTree<u32>,
    slots: Vec<Slot>,
    /// Places in `slots` that are free.
    free: Vec<u32>,
    bytes: u64,
    tracks_subjects: bool,
}

#[derive(Default)]
struct Slot {
    subject: Option<SubjectBuf>,
    sequences: SequenceList,
}

impl Index {
    pub(crate) fn new(tracks_subjects: bool) -> Self {
        Self {
            entries: LeafMap::new(),
            subjects: SubjectTree::new(),
            slots: Vec::new(),
            free: Vec::new(),
            bytes: 0,
            tracks_subjects,
        }
    }

    pub(crate) fn messages(&self) -> u64 {
        self.entries.len() as u64
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(crate) fn subjects(&self) -> u64 {
        self.subjects.len() as u64
    }

    pub(crate) fn get(&self, sequence: u64) -> Option<Entry> {
        self.entries.get(sequence)
    }

    pub(crate) fn at_or_after(&self, from: u64) -> Option<u64> {
        self.entries.key_from(from)
    }

    pub(crate) fn at_or_before(&self, to: u64) -> Option<u64> {
        self.entries.key_to(to)
    }

    /// Adds a message whose sequence is above all others. `false`: there is no room for one more subject.
    pub(crate) fn push(&mut self, sequence: u64, time: i64, size: u32, subject: Subject<'_>) -> bool {
        let subject = if self.tracks_subjects {
            let Some(place) = self.place_of(subject) else {
                return false;
            };
            if let Some(slot) = self.slots.get_mut(place as usize) {
                slot.sequences.insert(sequence);
            }
            place
        } else {
            UNTRACKED
        };
        self.bytes += u64::from(size);
        self.entries.insert(sequence, Entry { time, size, subject });
        true
    }

    fn place_of(&mut self, subject: Subject<'_>) -> Option<u32> {
        if let Some(place) = self.subjects.get(subject) {
            return Some(*place);
        }
        let place = match self.free.pop() {
            Some(place) => place,
            None => {
                let place = u32::try_from(self.slots.len())
                    .ok()
                    .filter(|place| *place != UNTRACKED)?;
                self.slots.push(Slot::default());
                place
            }
        };
        if let Some(slot) = self.slots.get_mut(place as usize) {
            slot.subject = Some(subject.to_owned());
        }
        self.subjects.insert(subject, place);
        Some(place)
    }

    pub(crate) fn remove(&mut self, sequence: u64) -> Option<Entry> {
        let entry = self.entries.remove(sequence)?;
        self.bytes -= u64::from(entry.size);
        if let Some(slot) = self.slots.get_mut(entry.subject as usize) {
            slot.sequences.remove(sequence);
            if slot.sequences.is_empty()
                && let Some(subject) = slot.subject.take()
            {
                self.subjects.remove(subject.as_subject());
                self.free.push(entry.subject);
            }
        }
        Some(entry)
    }

    pub(crate) fn next(&self, filters: &[Filter<'_>], from: u64) -> Option<u64> {
        if filters.is_empty() {
            return self.at_or_after(from);
        }
        let mut at = from;
        for _ in 0..STEPS {
            let found = self.at_or_after(at)?;
            if self.matches(filters, found) {
                return Some(found);
            }
            at = found.checked_add(1)?;
        }
        let mut least = None;
        self.each(filters, |_, list| {
            let first = list.at_or_after(at);
            least = least.into_iter().chain(first).min();
            ControlFlow::Continue(())
        });
        least
    }

    pub(crate) fn previous(&self, filters: &[Filter<'_>], to: u64) -> Option<u64> {
        if filters.is_empty() {
            return self.at_or_before(to);
        }
        let mut at = to;
        for _ in 0..STEPS {
            let found = self.at_or_before(at)?;
            if self.matches(filters, found) {
                return Some(found);
            }
            at = found.checked_sub(1)?;
        }
        let mut most = None;
        self.each(filters, |_, list| {
            most = most.max(list.at_or_before(at));
            ControlFlow::Continue(())
        });
        most
    }

    fn matches(&self, filters: &[Filter<'_>], sequence: u64) -> bool {
        let slot = self
            .get(sequence)
            .and_then(|entry| self.slots.get(entry.subject as usize));
        slot.and_then(|slot| slot.subject.as_ref())
            .is_some_and(|subject| matches_any(filters, subject.as_subject()))
    }

    /// The first message at `time` or later, found by halves.
    pub(crate) fn sequence_at(&self, time: i64) -> Option<u64> {
        let (mut low, mut high) = (self.at_or_after(0)?, self.at_or_before(u64::MAX)?);
        let reaches = |sequence| self.get(sequence).is_some_and(|entry| entry.time >= time);
        if !reaches(high) {
            return None;
        }
        while low < high {
            let middle = self.at_or_before(low + (high - low) / 2)?;
            if reaches(middle) {
                high = middle;
            } else {
                low = self.at_or_after(middle.checked_add(1)?)?;
            }
        }
        Some(low)
    }

    pub(crate) fn filtered_state(&self, filters: &[Filter<'_>], from: u64) -> SubjectState {
        let mut state = SubjectState::default();
        let mut add = |messages: usize, first: Option<u64>, last: Option<u64>| {
            let (Some(first), Some(last)) = (first, last.filter(|last| *last >= from)) else {
                return;
            };
            let is_first = state.messages == 0;
            state.first = if is_first { first } else { state.first.min(first) };
            state.last = state.last.max(last);
            state.messages += messages as u64;
        };
        if filters.is_empty() {
            let entries = &self.entries;
            add(
                entries.count_from(from),
                entries.key_from(from),
                entries.key_to(u64::MAX),
            );
        } else {
            self.each(filters, |_, list| {
                add(list.count_from(from), list.at_or_after(from), list.last());
                ControlFlow::Continue(())
            });
        }
        state
    }

    /// Subjects whose last message is at `from` or after it.
    pub(crate) fn subjects_from(&self, filters: &[Filter<'_>], from: u64) -> u64 {
        let mut count = 0;
        self.each(filters, |_, list| {
            count += u64::from(list.last() >= Some(from));
            ControlFlow::Continue(())
        });
        count
    }

    pub(crate) fn last_sequences(
        &self,
        filters: &[Filter<'_>],
        to: u64,
        most: usize,
    ) -> Result<Vec<u64>, StoreError> {
        let mut last = Vec::new();
        self.each(filters, |_, list| {
            last.extend(list.at_or_before(to));
            if last.len() > most {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        });
        if last.len() > most {
            return Err(StoreError::TooManyResults);
        }
        last.sort_unstable();
        Ok(last)
    }

    /// Shows the matching subjects, each once, and their sequences; with at most one filter by rising bytes.
    pub(crate) fn each(
        &self,
        filters: &[Filter<'_>],
        mut visit: impl FnMut(Subject<'_>, &SequenceList) -> ControlFlow<()>,
    ) {
        let show = |subject: Subject<'_>, place: &u32| match self.slots.get(*place as usize) {
            Some(slot) => visit(subject, &slot.sequences),
            None => ControlFlow::Continue(()),
        };
        // Where it ended early, `visit` has what it wanted.
        let _ = if filters.is_empty() {
            self.subjects.visit_from(b"", show)
        } else {
            self.subjects.visit_matching_any(filters, show)
        };
    }
}
