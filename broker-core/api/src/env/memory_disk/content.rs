//! The bytes of one file: as programs see them, as the medium has them, and what lies between.

use std::collections::HashSet;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::super::Rng;

/// What a disk writes whole or not at all.
const SECTOR: u64 = 512;

/// How much a disk holds, and may.
#[derive(Default)]
pub(super) struct Space {
    used: AtomicU64,
    /// One more than the capacity; 0 for none.
    limit: AtomicU64,
}

pub(super) struct Content {
    bytes: Vec<u8>,
    /// What survives a crash for certain.
    synced: Vec<u8>,
    /// What leads from `synced` to `bytes`, in order; after a failed sync, less than that.
    unsynced: Vec<Change>,
    /// What a sync failed to write, until the next one works: a crash may show that it was written all the same.
    doubtful: Vec<Change>,
    locked: bool,
    space: Arc<Space>,
}

enum Change {
    Write { offset: usize, bytes: Vec<u8> },
    Length(usize),
}

impl Space {
    pub(super) fn set_capacity(&self, bytes: Option<u64>) {
        self.limit
            .store(bytes.map_or(0, |bytes| bytes.saturating_add(1)), Relaxed);
    }

    pub(super) fn used(&self) -> u64 {
        self.used.load(Relaxed)
    }

    /// How much of `wanted` more there is room for.
    fn room(&self, wanted: usize) -> usize {
        match self.limit.load(Relaxed).checked_sub(1) {
            None => wanted,
            Some(capacity) => {
                let free = capacity.saturating_sub(self.used());
                wanted.min(usize::try_from(free).unwrap_or(usize::MAX))
            }
        }
    }

    fn resized(&self, from: usize, to: usize) {
        if to >= from {
            self.used.fetch_add((to - from) as u64, Relaxed);
        } else {
            self.used.fetch_sub((from - to) as u64, Relaxed);
        }
    }
}

impl Content {
    pub(super) fn empty(space: Arc<Space>) -> Self {
        Self::durable(&[], space)
    }

    pub(super) fn durable(bytes: &[u8], space: Arc<Space>) -> Self {
        space.resized(0, bytes.len());
        Self {
            bytes: bytes.to_vec(),
            synced: bytes.to_vec(),
            unsynced: Vec::new(),
            doubtful: Vec::new(),
            locked: false,
            space,
        }
    }

    pub(super) fn len(&self) -> u64 {
        self.bytes.len() as u64
    }

    pub(super) fn read(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let start = usize::try_from(offset).map_err(io::Error::other)?;
        let rest = self.bytes.get(start..).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        for (to, from) in buffer.iter_mut().zip(rest) {
            *to = *from;
        }
        Ok(count)
    }

    pub(super) fn write(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let offset = usize::try_from(offset).map_err(io::Error::other)?;
        let end = offset
            .checked_add(bytes.len())
            .ok_or(io::ErrorKind::FileTooLarge)?;
        let growth = end.saturating_sub(self.bytes.len());
        let lacking = growth - self.space.room(growth);
        let fitting = bytes.len().saturating_sub(lacking);
        let bytes = bytes.get(..fitting).unwrap_or(bytes);
        if !bytes.is_empty() {
            self.space
                .resized(self.bytes.len(), self.bytes.len().max(offset + bytes.len()));
            put(&mut self.bytes, bytes, offset);
            self.unsynced.push(Change::Write {
                offset,
                bytes: bytes.to_vec(),
            });
        }
        match lacking {
            0 => Ok(()),
            _ => Err(io::ErrorKind::StorageFull.into()),
        }
    }

    /// Extending takes no room: files with holes are small.
    pub(super) fn set_len(&mut self, length: u64) -> io::Result<()> {
        let length = usize::try_from(length).map_err(io::Error::other)?;
        self.space.resized(self.bytes.len(), length);
        self.bytes.resize(length, 0);
        self.unsynced.push(Change::Length(length));
        Ok(())
    }

    pub(super) fn sync(&mut self) {
        self.doubtful.clear();
        for change in self.unsynced.drain(..) {
            match change {
                Change::Write { offset, bytes } => put(&mut self.synced, &bytes, offset),
                Change::Length(length) => self.synced.resize(length, 0),
            }
        }
    }

    pub(super) fn lose_unsynced(&mut self) {
        self.doubtful.append(&mut self.unsynced);
    }

    pub(super) fn drop_cache(&mut self) {
        let mut bytes = self.synced.clone();
        for change in &self.unsynced {
            match change {
                Change::Write { offset, bytes: new } => put(&mut bytes, new, *offset),
                Change::Length(length) => bytes.resize(*length, 0),
            }
        }
        self.replace(bytes);
    }

    /// Goes back to what the medium has: what was synced, and with `rng` some of what was not.
    pub(super) fn crash(&mut self, rng: Option<&mut Rng>) {
        self.locked = false;
        if let Some(rng) = rng {
            self.tear(rng);
        }
        self.unsynced.clear();
        self.doubtful.clear();
        self.replace(self.synced.clone());
    }

    /// Each sector shows some moment since the last sync, and the length some moment of its own.
    fn tear(&mut self, rng: &mut Rng) {
        // Some crashes lose nearly everything, some nearly nothing.
        let share = rng.below(5);
        let mut length = self.synced.len();
        let mut length_is_final = false;
        let mut final_sectors = HashSet::new();
        for change in self.doubtful.iter().chain(&self.unsynced) {
            let reaches = match change {
                Change::Write { offset, bytes } => (offset + bytes.len()).max(length),
                Change::Length(length) => *length,
            };
            length_is_final = length_is_final || rng.below(4) >= share;
            if !length_is_final {
                length = reaches;
            }
            match change {
                Change::Write { offset, bytes } => {
                    for (start, part) in sectors(*offset, bytes) {
                        let sector = start as u64 / SECTOR;
                        if final_sectors.contains(&sector) || rng.below(4) >= share {
                            final_sectors.insert(sector);
                        } else {
                            put(&mut self.synced, part, start);
                        }
                    }
                }
                // What is cut off does not come back as something else than zeros.
                Change::Length(cut) if !length_is_final => self.synced.resize(*cut, 0),
                Change::Length(_) => {}
            }
        }
        self.synced.resize(length, 0);
    }

    pub(super) fn flip(&mut self, bit: u64) -> Option<()> {
        let at = usize::try_from(bit / 8).ok()?;
        let mask = 1 << (bit % 8);
        *self.bytes.get_mut(at)? ^= mask;
        if let Some(byte) = self.synced.get_mut(at) {
            *byte ^= mask;
        }
        Some(())
    }

    /// Takes the lock; false when it is taken.
    pub(super) fn claim(&mut self) -> bool {
        !std::mem::replace(&mut self.locked, true)
    }

    pub(super) fn release(&mut self) {
        self.locked = false;
    }

    fn replace(&mut self, bytes: Vec<u8>) {
        self.space.resized(self.bytes.len(), bytes.len());
        self.bytes = bytes;
    }
}

impl Drop for Content {
    fn drop(&mut self) {
        self.space.resized(self.bytes.len(), 0);
    }
}

/// Writes over and beyond the end.
fn put(bytes: &mut Vec<u8>, new: &[u8], offset: usize) {
    let end = offset.saturating_add(new.len());
    if bytes.len() < end {
        bytes.resize(end, 0);
    }
    if let Some(place) = bytes.get_mut(offset..end) {
        place.copy_from_slice(new);
    }
}

/// Cuts a write at the borders of sectors.
fn sectors(offset: usize, bytes: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let sector = usize::try_from(SECTOR).unwrap_or(usize::MAX);
    let first = (sector - offset % sector).min(bytes.len());
    let (head, rest) = bytes.split_at(first);
    let tail = rest
        .chunks(sector)
        .enumerate()
        .map(move |(index, part)| (offset + first + index * sector, part));
    std::iter::once((offset, head)).chain(tail)
}
