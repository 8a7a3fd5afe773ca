//! What the records of one block come to (STORE-118, STORE-119).
//!
//! Removals are told by tombstones, which stand in the same block or in later ones. So a block is counted in two steps:
//! [`Tally`] takes its records as they come; [`Tally::settle`] is told which messages were removed.

use dunlin_subject::{Hashing, SequenceSet, Subject, SubjectTree};
use hashbrown::HashTable;

use crate::block::{BlockForm, Damage};
use crate::record::{Record, RecordKind};

/// A block's figures.
#[derive(Clone, Debug, Default)]
pub struct RecoveredBlock {
    /// Its number.
    pub index: u32,
    /// What its file is.
    pub form: BlockForm,
    /// The first message; `last + 1` where there is none.
    pub first: u64,
    /// Time of the first message; 0 where there is none.
    pub first_time: i64,
    /// The last sequence that it accounts for; 0 where it accounts for none.
    pub last: u64,
    /// Time that goes with `last`.
    pub last_time: i64,
    /// No message of it is later.
    pub latest: i64,
    /// Messages that were not removed.
    pub messages: u64,
    /// What they count.
    pub bytes: u64,
    /// Sequences from `first` to `last` without a message.
    pub deleted: SequenceSet,
    /// Messages with a `Nats-TTL` header (STORE-63).
    pub ttls: u64,
    /// Messages with a `Nats-Schedule` header.
    pub schedules: u64,
    /// Records that tell of removed messages.
    pub tombstones: u64,
}

impl RecoveredBlock {
    /// Whether it has a record, and so a place among the stream's sequences. A block without one is of no use.
    pub fn is_placed(&self) -> bool {
        self.last > 0
    }
}

/// A subject's figures over the whole stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SubjectTotals {
    /// Messages.
    pub messages: u64,
    /// The last of them.
    pub last: u64,
    /// The block with the first of them.
    pub first_block: u32,
    /// The block with the last of them.
    pub last_block: u32,
}

/// A message that may be removed by a tombstone elsewhere.
#[derive(Clone, Copy)]
struct Entry {
    sequence: u64,
    time: i64,
    length: u32,
    /// Its subject's number in [`Names`], then [`EXPIRES`] and [`SCHEDULED`].
    subject: u32,
}

const EXPIRES: u32 = 1 << 31;
const SCHEDULED: u32 = 1 << 30;
/// No subject.
const NONE: u32 = SCHEDULED - 1;

/// Takes the records of a block, as they stand in it.
pub(crate) struct Tally {
    block: RecoveredBlock,
    entries: Vec<Entry>,
    names: Option<Names>,
    has_message: bool,
    /// Sequences without a message, between messages or behind the first.
    gaps: SequenceSet,
    /// Removed messages, and when they were stored.
    tombstones: Vec<(u64, i64)>,
    /// Whether `last` is the sequence of an erased message, whose time only its tombstone has.
    ends_erased: bool,
    pub(crate) damage: Vec<Damage>,
}

/// What a settled block adds to its stream, beside its figures.
pub(crate) struct Settled {
    pub(crate) block: RecoveredBlock,
    /// Messages with a `Nats-TTL` header, rising.
    pub(crate) expiring: Vec<u64>,
    /// Messages with a `Nats-Schedule` header, rising.
    pub(crate) scheduled: Vec<u64>,
    pub(crate) damage: Vec<Damage>,
}

impl Tally {
    /// Begins a block; subjects are counted with `hashing`, or not at all.
    pub(crate) fn new(index: u32, hashing: Option<Hashing>) -> Self {
        Self {
            block: RecoveredBlock {
                index,
                ..RecoveredBlock::default()
            },
            entries: Vec::new(),
            names: hashing.map(Names::new),
            has_message: false,
            gaps: SequenceSet::new(),
            tombstones: Vec::new(),
            ends_erased: false,
            damage: Vec::new(),
        }
    }

    /// Takes the next record. One whose sequence is not above all before is dead, as after a compaction.
    pub(crate) fn record(&mut self, record: &Record<'_>) {
        if record.kind == RecordKind::Tombstone {
            self.block.tombstones += 1;
            self.tombstones.push((record.sequence, record.time));
            return;
        }
        if record.sequence <= self.block.last {
            return;
        }
        let is_message = record.kind == RecordKind::Message;
        if self.has_message {
            // Both the sequences that have no record here, and that of a record without a message.
            let to = record.sequence - u64::from(is_message);
            self.gaps.insert_range(self.block.last + 1, to);
        }
        self.block.last = record.sequence;
        self.ends_erased = record.kind == RecordKind::Erased;
        if !self.ends_erased {
            self.block.last_time = record.time;
        }
        if is_message {
            self.message(record);
        }
    }

    fn message(&mut self, record: &Record<'_>) {
        if !self.has_message {
            self.has_message = true;
            self.block.first = record.sequence;
        }
        let (expires, scheduled) = timers(record.headers);
        let mut subject = match &mut self.names {
            Some(names) => names.number(record.subject).unwrap_or(NONE),
            None => NONE,
        };
        if expires {
            subject |= EXPIRES;
        }
        if scheduled {
            subject |= SCHEDULED;
        }
        self.entries.push(Entry {
            sequence: record.sequence,
            time: record.time,
            // A record is below 32 MiB.
            length: record.length() as u32,
            subject,
        });
    }

    /// What the file was found to be.
    pub(crate) fn form(&mut self, form: BlockForm) {
        self.block.form = form;
    }

    /// Counts what was not removed. `removed` has the tombstones of all later blocks, and gets those of this one;
    /// `subjects` gets its messages. Blocks are settled from the last to the first.
    pub(crate) fn settle(
        mut self,
        removed: &mut SequenceSet,
        subjects: &mut SubjectTree<SubjectTotals>,
    ) -> Settled {
        for (sequence, _) in &self.tombstones {
            removed.insert(*sequence);
        }
        self.place();
        self.remove(removed);
        let mut settled = Settled {
            block: self.block,
            expiring: Vec::new(),
            scheduled: Vec::new(),
            damage: self.damage,
        };
        let block = &mut settled.block;
        let mut counts = vec![(0_u64, 0_u64); self.names.as_ref().map_or(0, Names::len)];
        for entry in &self.entries {
            block.messages += 1;
            block.bytes += u64::from(entry.length);
            block.latest = block.latest.max(entry.time);
            if entry.subject & EXPIRES != 0 {
                settled.expiring.push(entry.sequence);
            }
            if entry.subject & SCHEDULED != 0 {
                settled.scheduled.push(entry.sequence);
            }
            if let Some((count, last)) = counts.get_mut((entry.subject & NONE) as usize) {
                *count += 1;
                *last = entry.sequence;
            }
        }
        block.ttls = settled.expiring.len() as u64;
        block.schedules = settled.scheduled.len() as u64;
        match self.entries.first() {
            Some(first) => {
                (block.first, block.first_time) = (first.sequence, first.time);
                block.deleted = self.gaps;
                // What lies before the first message is no gap of the block.
                if block
                    .deleted
                    .bounds()
                    .is_some_and(|(lowest, _)| lowest < block.first)
                {
                    let mut behind = SequenceSet::new();
                    for sequence in block.deleted.iter_from(block.first) {
                        behind.insert(sequence);
                    }
                    block.deleted = behind;
                }
            }
            None => (block.first, block.first_time) = (block.last.saturating_add(1), 0),
        }
        if let Some(names) = &self.names {
            names.add(&counts, block.index, subjects);
        }
        settled
    }

    /// Finds the block's last sequence and its time.
    fn place(&mut self) {
        if self.ends_erased {
            let time = self
                .tombstones
                .iter()
                .find(|(sequence, _)| *sequence == self.block.last);
            self.block.last_time = time.map_or(self.block.last_time, |(_, time)| *time);
        }
        // Without a message or a skip, tombstones remember how far the stream had come.
        let highest = self.tombstones.iter().max_by_key(|(sequence, _)| *sequence);
        if let Some((sequence, time)) = highest
            && self.block.last == 0
        {
            (self.block.last, self.block.last_time) = (*sequence, *time);
        }
    }

    /// Takes out messages that were removed.
    fn remove(&mut self, removed: &SequenceSet) {
        let (Some(first), last) = (self.entries.first().map(|first| first.sequence), self.block.last) else {
            return;
        };
        if removed.iter_from(first).next().is_none_or(|lowest| lowest > last) {
            return;
        }
        let gaps = &mut self.gaps;
        self.entries.retain(|entry| {
            let is_removed = removed.contains(entry.sequence);
            if is_removed {
                gaps.insert(entry.sequence);
            }
            !is_removed
        });
    }
}

/// Whether a header section makes a message expire, and whether it schedules it (STORE-63).
pub(crate) fn timers(headers: &[u8]) -> (bool, bool) {
    if headers.is_empty() {
        return (false, false);
    }
    let mut found = (false, false);
    for line in headers.split(|byte| *byte == b'\n') {
        found.0 |= line.starts_with(b"Nats-TTL:");
        found.1 |= line.starts_with(b"Nats-Schedule:");
    }
    found
}

/// The subjects of a block, numbered.
struct Names {
    hashing: Hashing,
    numbers: HashTable<u32>,
    /// All subjects one after the other, and where each ends.
    text: Vec<u8>,
    ends: Vec<usize>,
    /// The last one asked for: most often it is the next one too.
    recent: u32,
}

impl Names {
    fn new(hashing: Hashing) -> Self {
        Self {
            hashing,
            numbers: HashTable::new(),
            text: Vec::new(),
            ends: Vec::new(),
            recent: 0,
        }
    }

    fn len(&self) -> usize {
        self.ends.len()
    }

    fn number(&mut self, subject: &[u8]) -> Option<u32> {
        if subject.is_empty() {
            return None;
        }
        if self.get(self.recent) == subject {
            return Some(self.recent);
        }
        let hash = self.hashing.bytes(subject);
        let found = self.numbers.find(hash, |number| self.get(*number) == subject);
        if let Some(number) = found {
            self.recent = *number;
            return Some(*number);
        }
        let number = u32::try_from(self.ends.len())
            .ok()
            .filter(|number| *number < NONE)?;
        self.text.extend_from_slice(subject);
        self.ends.push(self.text.len());
        let Self {
            text, ends, hashing, ..
        } = self;
        self.numbers
            .insert_unique(hash, number, |number| hashing.bytes(name(text, ends, *number)));
        self.recent = number;
        Some(number)
    }

    fn get(&self, number: u32) -> &[u8] {
        name(&self.text, &self.ends, number)
    }

    /// Adds the block's counts, and last sequences, to those of later blocks.
    fn add(&self, counts: &[(u64, u64)], block: u32, subjects: &mut SubjectTree<SubjectTotals>) {
        for (number, (count, last)) in (0..).zip(counts) {
            // What a checksum does not cover may be damaged: such a subject is in nobody's way.
            let Ok(subject) = Subject::from_wire(self.get(number)) else {
                continue;
            };
            if *count == 0 {
                continue;
            }
            let new = || {
                Some(SubjectTotals {
                    last: *last,
                    last_block: block,
                    ..SubjectTotals::default()
                })
            };
            if let Some(totals) = subjects.get_or_insert_with(subject, new) {
                totals.messages += count;
                totals.first_block = block;
            }
        }
    }
}

fn name<'a>(text: &'a [u8], ends: &[usize], number: u32) -> &'a [u8] {
    let number = number as usize;
    let start = number.checked_sub(1).and_then(|before| ends.get(before).copied());
    let Some(end) = ends.get(number) else { return &[] };
    text.get(start.unwrap_or_default()..*end).unwrap_or_default()
}
