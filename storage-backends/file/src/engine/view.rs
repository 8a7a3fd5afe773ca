//! A block as it was at a moment, to be read in place or by a job while the stream goes on.
//!
//! Taking a view costs two reference counts; that of the last block also its newest chunks. Every read says whether it
//! may wait: first it is tried without, and what would wait becomes a job that tries again.

use std::sync::Arc;

use bytes::Bytes;
use dunlin_api::{Filter, StoredMessage};
use dunlin_subject::SequenceSet;
use smallvec::SmallVec;

use super::block_subjects::{BlockSubjects, Left, Wanted};
use super::cache::{Kept, Part};
use super::fault::{Fault, Wait};
use super::handle::Handle;
use super::sparse::Sparse;
use crate::record::{Head, MAX_LENGTH, MIN_LENGTH, Record, RecordError, RecordKey, RecordKind};

/// Bytes that a walk over a whole block reads at once.
const STRIDE: u64 = 256 << 10;

/// A block, and what was in it.
#[derive(Clone)]
pub(super) struct View {
    pub(super) handle: Arc<Handle>,
    pub(super) first: u64,
    pub(super) last: u64,
    pub(super) deleted: Arc<SequenceSet>,
    /// Bytes of records.
    pub(super) length: u64,
    /// The newest bytes of the last block, from here on. The file has all before.
    pub(super) tail_from: u64,
    pub(super) tail: Vec<Bytes>,
}

type Pieces = SmallVec<[Bytes; 4]>;

impl View {
    fn left(&self, first: u64, last: u64) -> Left<'_> {
        Left {
            first: first.max(self.first),
            last: last.min(self.last),
            deleted: &self.deleted,
        }
    }

    /// The message with a sequence that the block holds.
    pub(super) fn load(&self, sequence: u64, wait: Wait) -> Result<StoredMessage, Fault> {
        self.find_offsets(wait)?;
        let (from, to) = self.handle.sparse().lock().span(sequence);
        for piece in self.pieces(from, to.min(self.length), wait)? {
            if let Some(message) = find(&piece, sequence, &self.handle)? {
                return Ok(message);
            }
        }
        Err(Fault::Damaged(format!(
            "no record of it is in {}",
            self.handle.path().display()
        )))
    }

    /// The first message from `from` on that matches.
    pub(super) fn next(&self, filters: &[Filter<'_>], from: u64, wait: Wait) -> Result<Option<u64>, Fault> {
        self.with(filters, wait, |subjects, wanted| {
            subjects.next(wanted, self.left(from, u64::MAX))
        })
    }

    /// The last message up to `to` that matches.
    pub(super) fn previous(&self, filters: &[Filter<'_>], to: u64, wait: Wait) -> Result<Option<u64>, Fault> {
        self.with(filters, wait, |subjects, wanted| {
            subjects.previous(wanted, self.left(0, to))
        })
    }

    /// Shows each message from `first` to `last` that matches: its sequence and its subject's number in the block.
    pub(super) fn each(
        &self,
        filters: &[Filter<'_>],
        (first, last): (u64, u64),
        wait: Wait,
        mut visit: impl FnMut(u64, u32),
    ) -> Result<(), Fault> {
        self.with(filters, wait, |subjects, wanted| {
            for (sequence, number) in subjects.walk(wanted, self.left(first, last)) {
                visit(sequence, number);
            }
            None::<()>
        })?;
        Ok(())
    }

    /// The first message that was stored at `time` or later.
    pub(super) fn at_time(&self, time: i64, wait: Wait) -> Result<Option<u64>, Fault> {
        if wait == Wait::No && self.tail_from > 0 {
            return Err(Fault::WouldWait);
        }
        let mut found = None;
        self.walk(0, wait, &mut |record, _| {
            if found.is_none() && record.time >= time && self.holds(record) {
                found = Some(record.sequence);
            }
        })?;
        Ok(found)
    }

    /// Whether a wanted message is left from `from` on.
    pub(super) fn has(&self, subjects: &BlockSubjects, wanted: &Wanted, from: u64) -> bool {
        subjects.next(wanted, self.left(from, u64::MAX)).is_some()
    }

    /// The last message up to `to` of each of the block's subjects, by number; 0 where there is none.
    pub(super) fn lasts(&self, subjects: &BlockSubjects, to: u64) -> Vec<u64> {
        let mut lasts = vec![0; subjects.len()];
        for (sequence, number) in subjects.walk(&Wanted::All, self.left(0, to)) {
            if let Some(last) = lasts.get_mut(number as usize) {
                *last = sequence;
            }
        }
        lasts
    }

    /// Shows each record with the offsets where it begins and ends.
    pub(super) fn each_record(&self, visit: &mut Visit<'_>) -> Result<(), Fault> {
        self.walk(0, Wait::Yes, visit)
    }

    /// Whether a record is a message that is left.
    pub(super) fn holds(&self, record: &Record<'_>) -> bool {
        record.kind == RecordKind::Message
            && (self.first..=self.last).contains(&record.sequence)
            && !self.deleted.contains(record.sequence)
    }

    fn with<T>(
        &self,
        filters: &[Filter<'_>],
        wait: Wait,
        answer: impl FnOnce(&BlockSubjects, &Wanted) -> Option<T>,
    ) -> Result<Option<T>, Fault> {
        let subjects = self.subjects(wait)?;
        let wanted = subjects.wanted(filters);
        Ok(wanted.and_then(|wanted| answer(&subjects, &wanted)))
    }

    /// The block's subjects, from the cache or by reading what it has not read yet.
    pub(super) fn subjects(&self, wait: Wait) -> Result<Arc<BlockSubjects>, Fault> {
        let key = self.handle.part(Part::Subjects);
        let cache = &self.handle.shared().cache;
        let known = match cache.get(key) {
            Some(Kept::Subjects(known)) => known,
            _ => Arc::default(),
        };
        if known.through() >= self.length {
            return Ok(known);
        }
        let from = known.through();
        if wait == Wait::No && from < self.tail_from {
            return Err(Fault::WouldWait);
        }
        // Out of the cache, it is ours alone and grows in place.
        cache.remove(key);
        let mut known = known;
        let growing = Arc::make_mut(&mut known);
        let mut last = 0;
        self.walk(from, wait, &mut |record, _| {
            if record.kind == RecordKind::Message
                && record.sequence > last
                && let Ok(subject) = dunlin_api::Subject::from_wire(record.subject)
            {
                last = record.sequence;
                growing.push(record.sequence, subject);
            }
        })?;
        growing.read_through(self.length);
        cache.put(key, Kept::Subjects(known.clone()));
        Ok(known)
    }

    /// Where a message's record begins, and how long it is.
    pub(super) fn place(&self, sequence: u64, wait: Wait) -> Result<Option<(u64, u64)>, Fault> {
        self.find_offsets(wait)?;
        let (from, to) = self.handle.sparse().lock().span(sequence);
        let mut at = from;
        for piece in self.pieces(from, to.min(self.length), wait)? {
            let mut rest = &piece[..];
            while let Ok(head) = Head::read(rest) {
                let length = head.length as u64;
                if head.kind == RecordKind::Message && head.sequence == sequence {
                    return Ok(Some((at, length)));
                }
                at += length;
                rest = rest.get(head.length..).unwrap_or_default();
            }
        }
        Ok(None)
    }

    /// The checksum of the record that the block ends with; of none in an empty one. `None`: it ends with something else.
    /// Learns where the records are on the way, which a block that is to grow must know first.
    pub(super) fn end(&self) -> Result<Option<[u8; 8]>, Fault> {
        let mut end = (0, [0; 8]);
        let key = &self.handle.form().key;
        let mut bytes = Vec::new();
        self.learn_offsets(Wait::Yes, &mut |record, to| {
            bytes.clear();
            if let Ok(sum) = record.encode(key, &mut bytes) {
                end = (to, sum);
            }
        })?;
        Ok((end.0 == self.length).then_some(end.1))
    }

    /// The block's last bytes.
    pub(super) fn last_bytes(&self, count: u64, wait: Wait) -> Result<Vec<u8>, Fault> {
        let from = self.length.saturating_sub(count);
        let mut bytes = Vec::new();
        if from < self.tail_from {
            bytes.extend_from_slice(&self.handle.unkept(from, self.length.min(self.tail_from), wait)?);
        }
        for chunk in self.chunks(from.max(self.tail_from), self.length) {
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    }

    /// Learns where the records are, where that is not known: of a block that was there when the stream was opened.
    fn find_offsets(&self, wait: Wait) -> Result<(), Fault> {
        let known = self.handle.sparse().lock().through();
        if known >= self.length {
            return Ok(());
        }
        if wait == Wait::No {
            return Err(Fault::WouldWait);
        }
        self.learn_offsets(wait, &mut |_, _| ())
    }

    fn learn_offsets(&self, wait: Wait, visit: &mut dyn FnMut(&Record<'_>, u64)) -> Result<(), Fault> {
        let mut offsets = Sparse::default();
        let mut last = 0;
        self.walk(0, wait, &mut |record, (_, end)| {
            let rises = record.kind != RecordKind::Tombstone && record.sequence > last;
            if rises {
                last = record.sequence;
            }
            offsets.push(rises.then_some(record.sequence), end);
            visit(record, end);
        })?;
        offsets.read_through(self.length);
        let mut sparse = self.handle.sparse().lock();
        if sparse.through() < offsets.through() {
            *sparse = offsets;
        }
        Ok(())
    }

    /// Shows each record from an offset on that begins one, with the offsets where it begins and ends. Bytes that are no
    /// record are left out, up to the next that is one.
    fn walk(&self, from: u64, wait: Wait, visit: &mut Visit<'_>) -> Result<(), Fault> {
        let mut at = from;
        let mut stride = STRIDE;
        while at < self.length {
            // Chunks of the tail hold whole records; of the file, what follows the last whole one is read again.
            let (pieces, end) = if at < self.tail_from {
                let end = (at + stride).min(self.tail_from).min(self.length);
                let bytes = self.handle.unkept(at, end, wait)?;
                (Pieces::from_iter([bytes]), end)
            } else {
                (self.chunks(at, self.length), self.length)
            };
            let is_last = end == self.tail_from.min(self.length) || at >= self.tail_from;
            let start = at;
            for piece in pieces {
                at += records(&piece, at, is_last, &self.handle.form().key, visit);
            }
            if is_last {
                at = at.max(end);
            } else if at == start {
                stride *= 2;
            }
        }
        Ok(())
    }

    /// The bytes from one offset to another, in pieces that begin and end with records as these offsets do.
    fn pieces(&self, from: u64, to: u64, wait: Wait) -> Result<Pieces, Fault> {
        let mut pieces = Pieces::new();
        if from < self.tail_from {
            pieces.push(self.handle.span(from, to.min(self.tail_from), wait)?);
        }
        if to > self.tail_from {
            pieces.extend(self.chunks(from.max(self.tail_from), to));
        }
        Ok(pieces)
    }

    /// What the tail has from one offset to another.
    fn chunks(&self, from: u64, to: u64) -> Pieces {
        let mut pieces = Pieces::new();
        let mut start = self.tail_from;
        for chunk in &self.tail {
            let end = start + chunk.len() as u64;
            // Within a chunk every offset fits the machine's own numbers.
            let within = |offset: u64| offset.clamp(start, end).saturating_sub(start) as usize;
            let (cut, kept) = (within(from), within(to));
            if cut < kept {
                pieces.push(chunk.slice(cut..kept));
            }
            start = end;
        }
        pieces
    }
}

type Visit<'a> = dyn FnMut(&Record<'_>, (u64, u64)) + 'a;

/// Shows the records of a piece that begins at offset `at`, and says how many bytes of it are done with: all, if nothing
/// follows that could complete the last record.
fn records(piece: &[u8], at: u64, is_last: bool, key: &RecordKey, visit: &mut Visit<'_>) -> u64 {
    let mut done = 0;
    loop {
        let rest = piece.get(done..).unwrap_or_default();
        match Record::decode(rest, key) {
            Ok(record) => {
                let (start, length) = (at + done as u64, record.length());
                visit(&record, (start, start + length as u64));
                done += length;
                continue;
            }
            Err(RecordError::Short { .. }) if !is_last => return done as u64,
            Err(_) if rest.is_empty() => return done as u64,
            Err(_) => {}
        }
        match next_record(rest, key) {
            Some(skipped) => done += skipped,
            None if is_last => return piece.len() as u64,
            // A record may begin in what is left and end behind it.
            None => return done.max(piece.len().saturating_sub(MAX_LENGTH)) as u64,
        }
    }
}

/// How many bytes at the front are none of a record that verifies.
fn next_record(bytes: &[u8], key: &RecordKey) -> Option<usize> {
    (1..bytes.len().saturating_sub(MIN_LENGTH - 1)).find(|skipped| {
        let rest = bytes.get(*skipped..).unwrap_or_default();
        Record::decode(rest, key).is_ok()
    })
}

/// The message with a sequence in a piece that begins with a record.
fn find(piece: &Bytes, sequence: u64, handle: &Handle) -> Result<Option<StoredMessage>, Fault> {
    let mut at = 0;
    let damaged = |at: usize, error: &dyn std::fmt::Display| {
        let file = handle.path().display();
        Fault::Damaged(format!("{error}, at byte {at} of a span of {file}"))
    };
    while let Some(rest) = piece.get(at..).filter(|rest| !rest.is_empty()) {
        let head = Head::read(rest).and_then(|head| match head.length <= rest.len() {
            true => Ok(head),
            false => Err(RecordError::Short { needs: head.length }),
        });
        let head = match head {
            Ok(head) => head,
            Err(error) => {
                return match next_record(rest, &handle.form().key) {
                    Some(skipped) => find(&piece.slice(at + skipped..), sequence, handle),
                    None => Err(damaged(at, &error)),
                };
            }
        };
        if head.kind == RecordKind::Message && head.sequence == sequence {
            let record = Record::decode(rest, &handle.form().key).map_err(|error| damaged(at, &error))?;
            return match message(piece, &record) {
                Some(message) => Ok(Some(message)),
                None => Err(damaged(at, &"a subject that is none")),
            };
        }
        at += head.length;
    }
    Ok(None)
}

/// A message that shares the piece's memory.
fn message(piece: &Bytes, record: &Record<'_>) -> Option<StoredMessage> {
    let place = |part: &[u8]| {
        let start = (part.as_ptr() as usize).wrapping_sub(piece.as_ptr() as usize);
        start..start + part.len()
    };
    let empty = |part: &[u8]| if part.is_empty() { 0..0 } else { place(part) };
    StoredMessage::within(
        record.sequence,
        record.time,
        piece.clone(),
        empty(record.subject),
        empty(record.headers),
        empty(record.payload),
    )
}
