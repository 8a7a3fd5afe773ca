//! Many small messages in one piece of memory.
//!
//! A record is a head of fixed length, the subject, the headers and the payload. Removed records stay where they are
//! until half of the piece is dead; then the rest moves together. So what is held is at least half of what is taken, and
//! a removal moves no more bytes than it frees.

use dunlin_api::{NewMessage, Subject};

use crate::chunk::{Links, Stored};

/// A piece is full above this.
const FULL_BYTES: usize = 64 << 10;

/// And with so many records.
const FULL_SLOTS: usize = 1024;

/// Time, the two links, the three lengths.
const HEAD: usize = 36;

/// Offset of a removed record.
const DEAD: u32 = u32::MAX;

/// Records by rising sequence. Sequences are counted from the piece's base, which its owner keeps.
#[derive(Default)]
pub(crate) struct Packed {
    slots: Vec<Slot>,
    bytes: Vec<u8>,
    dead_slots: usize,
    dead_bytes: usize,
}

#[derive(Clone, Copy)]
struct Slot {
    delta: u32,
    offset: u32,
}

impl Packed {
    /// Whether the next record goes to another piece.
    pub(crate) fn is_full(&self) -> bool {
        self.bytes.len() >= FULL_BYTES || self.slots.len() >= FULL_SLOTS
    }

    /// Gives back what was reserved for more.
    pub(crate) fn seal(&mut self) {
        self.slots.shrink_to_fit();
        self.bytes.shrink_to_fit();
    }

    /// Appends a record. `delta` is greater than that of all records that are left.
    pub(crate) fn push(&mut self, delta: u32, message: &NewMessage<'_>, links: Links) {
        self.drop_dead_from(delta);
        self.slots.push(Slot {
            delta,
            offset: self.bytes.len() as u32,
        });
        let subject = message.subject.as_bytes();
        let bytes = &mut self.bytes;
        bytes.reserve(HEAD + subject.len() + message.headers.len() + message.payload.len());
        bytes.extend_from_slice(&message.time.to_le_bytes());
        bytes.extend_from_slice(&links.previous.to_le_bytes());
        bytes.extend_from_slice(&links.next.to_le_bytes());
        for part in [subject, message.headers, message.payload] {
            bytes.extend_from_slice(&(part.len() as u32).to_le_bytes());
        }
        for part in [subject, message.headers, message.payload] {
            bytes.extend_from_slice(part);
        }
    }

    /// The record with this delta.
    pub(crate) fn get(&self, delta: u32) -> Option<Stored<'_>> {
        let slot = self.slots[self.find(delta).ok()?];
        (slot.offset != DEAD).then(|| self.read(slot.offset))
    }

    /// The first delta from here on that has a record.
    pub(crate) fn at_or_after(&self, delta: u32) -> Option<u32> {
        let from = self.find(delta).unwrap_or_else(|at| at);
        let mut rest = self.slots[from..].iter();
        rest.find(|slot| slot.offset != DEAD).map(|slot| slot.delta)
    }

    /// The last delta up to here that has a record.
    pub(crate) fn at_or_before(&self, delta: u32) -> Option<u32> {
        let end = self.find(delta).map_or_else(|at| at, |at| at + 1);
        let mut rest = self.slots[..end].iter();
        rest.rfind(|slot| slot.offset != DEAD).map(|slot| slot.delta)
    }

    /// Records from a delta on.
    pub(crate) fn iter_from(&self, delta: u32) -> impl DoubleEndedIterator<Item = (u32, Stored<'_>)> {
        let from = self.find(delta).unwrap_or_else(|at| at);
        self.read_all(&self.slots[from..])
    }

    /// Records up to a delta.
    pub(crate) fn iter_to(&self, delta: u32) -> impl DoubleEndedIterator<Item = (u32, Stored<'_>)> {
        let end = self.find(delta).map_or_else(|at| at, |at| at + 1);
        self.read_all(&self.slots[..end])
    }

    /// Replaces the links of a record.
    pub(crate) fn set_links(&mut self, delta: u32, links: Links) {
        if let Ok(at) = self.find(delta)
            && let Slot { offset, .. } = self.slots[at]
            && offset != DEAD
        {
            let place = &mut self.bytes[offset as usize + 8..][..16];
            place[..8].copy_from_slice(&links.previous.to_le_bytes());
            place[8..].copy_from_slice(&links.next.to_le_bytes());
        }
    }

    /// Takes a record away, whose bytes are overwritten where that is asked; whether none is left.
    pub(crate) fn remove(&mut self, delta: u32, erase: bool) -> bool {
        let Ok(at) = self.find(delta) else {
            return self.is_empty();
        };
        let offset = std::mem::replace(&mut self.slots[at].offset, DEAD);
        if offset == DEAD {
            return self.is_empty();
        }
        let length = self.read(offset).length();
        if erase {
            self.bytes[offset as usize..][..length].fill(0);
        }
        self.dead_slots += 1;
        self.dead_bytes += length;
        if self.is_empty() {
            return true;
        }
        if self.dead_slots * 2 > self.slots.len() || self.dead_bytes * 2 > self.bytes.len() {
            let mut rest = Self::default();
            rest.take(self, 0);
            *self = rest;
        }
        false
    }

    /// Sequences that a truncated stream gives again must not follow their removed namesakes.
    fn drop_dead_from(&mut self, delta: u32) {
        while self.slots.pop_if(|slot| slot.delta >= delta).is_some() {
            self.dead_slots -= 1;
        }
    }

    /// How many records there are.
    pub(crate) fn live_slots(&self) -> usize {
        self.slots.len() - self.dead_slots
    }

    /// The last delta, where every one up to it has a record.
    pub(crate) fn whole(&self) -> Option<u32> {
        let last = self.slots.last()?.delta;
        (self.dead_slots == 0 && self.slots.len() as u64 == u64::from(last) + 1).then_some(last)
    }

    /// Whether no record is left.
    pub(crate) fn is_empty(&self) -> bool {
        self.dead_slots == self.slots.len()
    }

    /// Whether another piece fits in, whose deltas are `further` on.
    pub(crate) fn has_room_for(&self, other: &Self, further: u64) -> bool {
        let last = other.slots.last().map_or(0, |slot| u64::from(slot.delta));
        self.live_bytes() + other.live_bytes() <= FULL_BYTES / 2
            && self.live_slots() + other.live_slots() <= FULL_SLOTS / 2
            && last.saturating_add(further) < u64::from(u32::MAX)
    }

    /// Whether it is so small that it belongs to its neighbour.
    pub(crate) fn is_small(&self) -> bool {
        self.live_bytes() <= FULL_BYTES / 8 && self.live_slots() <= FULL_SLOTS / 8
    }

    /// Appends the records of another piece, whose deltas are `further` on.
    pub(crate) fn take(&mut self, other: &Self, further: u32) {
        self.drop_dead_from(further);
        self.slots.reserve_exact(other.live_slots());
        self.bytes.reserve_exact(other.live_bytes());
        for slot in other.slots.iter().filter(|slot| slot.offset != DEAD) {
            let length = other.read(slot.offset).length();
            self.slots.push(Slot {
                delta: slot.delta + further,
                offset: self.bytes.len() as u32,
            });
            self.bytes
                .extend_from_slice(&other.bytes[slot.offset as usize..][..length]);
        }
    }

    fn live_bytes(&self) -> usize {
        self.bytes.len() - self.dead_bytes
    }

    /// Where a delta is, or would be. In a piece without holes that is the delta itself.
    fn find(&self, delta: u32) -> Result<usize, usize> {
        match self.slots.get(delta as usize) {
            Some(slot) if slot.delta == delta => Ok(delta as usize),
            _ => self.slots.binary_search_by_key(&delta, |slot| slot.delta),
        }
    }

    fn read(&self, offset: u32) -> Stored<'_> {
        let (head, rest) = self.bytes[offset as usize..].split_at(HEAD);
        let [time, previous, next] = [0, 8, 16].map(|at| word(&head[at..]));
        let [subject, headers, payload] = [24, 28, 32].map(|at| length(&head[at..]));
        let (subject, rest) = rest.split_at(subject);
        let (headers, rest) = rest.split_at(headers);
        Stored {
            time: time.cast_signed(),
            links: Links { previous, next },
            subject: Subject::kept(subject),
            headers,
            payload: &rest[..payload],
        }
    }

    fn read_all<'a>(&'a self, slots: &'a [Slot]) -> impl DoubleEndedIterator<Item = (u32, Stored<'a>)> {
        let live = slots.iter().filter(|slot| slot.offset != DEAD);
        live.map(|slot| (slot.delta, self.read(slot.offset)))
    }
}

impl Stored<'_> {
    /// Bytes of its record.
    fn length(&self) -> usize {
        HEAD + self.subject.as_bytes().len() + self.headers.len() + self.payload.len()
    }
}

fn word(bytes: &[u8]) -> u64 {
    bytes.first_chunk().map_or(0, |word| u64::from_le_bytes(*word))
}

fn length(bytes: &[u8]) -> usize {
    bytes
        .first_chunk()
        .map_or(0, |word| u32::from_le_bytes(*word) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn push(packed: &mut Packed, delta: u32, payload: &[u8]) {
        let message = NewMessage {
            sequence: None,
            time: 7,
            subject: Subject::kept(b"a.b"),
            headers: b"h",
            payload,
        };
        packed.push(delta, &message, Links::default());
    }

    #[test]
    fn at_most_half_of_a_piece_is_dead_in_bytes_and_in_records() {
        let (mut by_bytes, mut by_records) = (Packed::default(), Packed::default());
        for delta in 0..20 {
            push(
                &mut by_bytes,
                delta,
                &[1; 2000][..if delta < 4 { 2000 } else { 1 }],
            );
            push(
                &mut by_records,
                delta,
                &[1; 2000][..if delta < 4 { 2000 } else { 1 }],
            );
        }
        for delta in 0..4 {
            by_bytes.remove(delta, false);
        }
        // Sixteen records of 41 bytes are left.
        assert!(by_bytes.bytes.len() <= 2 * 16 * 41, "{}", by_bytes.bytes.len());
        for delta in 4..18 {
            by_records.remove(delta, false);
        }
        assert!(by_records.slots.len() <= 2 * by_records.live_slots());
        let left: Vec<_> = by_records.iter_from(0).map(|(delta, _)| delta).collect();
        assert_eq!(left, [0, 1, 2, 3, 18, 19]);
        assert_eq!(by_records.get(18).map(|stored| stored.payload), Some(&[1][..]));
    }

    #[test]
    fn what_is_erased_is_overwritten_where_it_lies() {
        let mut packed = Packed::default();
        for delta in 0..5 {
            push(&mut packed, delta, b"secret");
        }
        packed.remove(2, true);
        let secrets = packed.bytes.windows(6).filter(|bytes| bytes == b"secret");
        assert_eq!(secrets.count(), 4);
    }
}
