//! The subjects of a leaf, front-coded: each as the number of bytes that it shares with the one before, and the
//! rest.
//!
//! Looking one up compares each byte of it once and rebuilds nothing; changing one touches its neighbour only.

use std::cmp::Ordering;

/// Subjects in ascending order of their bytes, none twice.
#[derive(Clone, Debug, Default)]
pub(super) struct Keys {
    bytes: Vec<u8>,
    len: usize,
}

/// Where a subject is, or where it belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) is_there: bool,
    /// Subjects before it.
    pub(super) index: usize,
    /// Offset of its entry, or of the one that it goes before.
    at: usize,
    /// Bytes that it shares with the subject before it.
    shared: usize,
    /// Bytes that it shares with the subject after it, when it is not there.
    shared_after: usize,
}

/// An entry as it lies there.
struct Entry<'a> {
    shared: usize,
    rest: &'a [u8],
    /// Offset of the next one.
    end: usize,
}

impl Keys {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Bytes of all entries.
    pub(super) fn byte_len(&self) -> usize {
        self.bytes.len()
    }

    pub(super) fn heap_bytes(&self) -> usize {
        self.bytes.capacity()
    }

    pub(super) fn find(&self, subject: &[u8]) -> Place {
        // Bytes that the subject shares with the entry before the one looked at, all of which are smaller.
        let mut shared = 0;
        let mut at = 0;
        let place = |index, at, shared, shared_after, is_there| Place {
            is_there,
            index,
            at,
            shared,
            shared_after,
        };
        for index in 0..self.len {
            let entry = self.entry(at);
            // An entry that shares more with the one before differs from the subject where that one does.
            match entry.shared.cmp(&shared) {
                Ordering::Less => return place(index, at, shared, entry.shared, false),
                Ordering::Greater => {}
                Ordering::Equal => {
                    let wanted = subject.get(shared..).unwrap_or_default();
                    let common = common(wanted, entry.rest);
                    match wanted.get(common..).cmp(&entry.rest.get(common..)) {
                        Ordering::Equal => return place(index, at, shared, 0, true),
                        Ordering::Less => return place(index, at, shared, shared + common, false),
                        Ordering::Greater => shared += common,
                    }
                }
            }
            at = entry.end;
        }
        place(self.len, at, shared, 0, false)
    }

    /// Puts a subject where [`find`](Self::find) has said.
    pub(super) fn insert(&mut self, place: Place, subject: &[u8]) {
        let mut new = Vec::with_capacity(subject.len() + 8);
        write_entry(
            &mut new,
            place.shared,
            &[subject.get(place.shared..).unwrap_or_default()],
        );
        let mut end = place.at;
        if place.index < self.len {
            let after = self.entry(place.at);
            end = after.end;
            // It shares at least as much with its new neighbour.
            let more = place.shared_after - after.shared;
            write_entry(
                &mut new,
                place.shared_after,
                &[after.rest.get(more..).unwrap_or_default()],
            );
        }
        self.replace(place.at, end, &new);
        self.len += 1;
    }

    /// Takes out the subject that [`find`](Self::find) has found.
    pub(super) fn remove(&mut self, place: Place) {
        let gone = self.entry(place.at);
        let mut end = gone.end;
        let mut new = Vec::new();
        if place.index + 1 < self.len {
            let after = self.entry(gone.end);
            end = after.end;
            let shared = gone.shared.min(after.shared);
            // What it shared with the one that goes, and not with the one before, it must say itself now.
            let own = gone.rest.get(..after.shared - shared).unwrap_or_default();
            write_entry(&mut new, shared, &[own, after.rest]);
        }
        self.replace(place.at, end, &new);
        self.len -= 1;
    }

    /// Calls `visit` with the index of each subject and the subject, in order, until it answers false.
    pub(super) fn visit(&self, mut visit: impl FnMut(usize, &[u8]) -> bool) {
        let mut subject = Vec::new();
        let mut at = 0;
        for index in 0..self.len {
            let entry = self.entry(at);
            subject.truncate(entry.shared);
            subject.extend_from_slice(entry.rest);
            if !visit(index, &subject) {
                return;
            }
            at = entry.end;
        }
    }

    /// Adds a subject that is greater than all; `last` is the greatest so far.
    pub(super) fn push(&mut self, last: &[u8], subject: &[u8]) {
        let shared = if self.len == 0 { 0 } else { common(last, subject) };
        write_entry(
            &mut self.bytes,
            shared,
            &[subject.get(shared..).unwrap_or_default()],
        );
        self.len += 1;
    }

    /// Cuts the subjects from `index` on off.
    pub(super) fn split_off(&mut self, index: usize) -> Self {
        let (mut left, mut right) = (Self::default(), Self::default());
        let mut last = Vec::new();
        self.visit(|at, subject| {
            let half = if at < index { &mut left } else { &mut right };
            half.push(&last, subject);
            last.clear();
            last.extend_from_slice(subject);
            true
        });
        left.bytes.shrink_to_fit();
        right.bytes.shrink_to_fit();
        *self = left;
        right
    }

    /// Adds all subjects of `other`, which are greater.
    pub(super) fn append(&mut self, other: &Self) {
        let mut last = self.last();
        other.visit(|_, subject| {
            self.push(&last, subject);
            last.clear();
            last.extend_from_slice(subject);
            true
        });
    }

    /// The first subject; empty if there is none.
    pub(super) fn first(&self) -> &[u8] {
        if self.len == 0 { &[] } else { self.entry(0).rest }
    }

    /// The last subject; empty if there is none.
    pub(super) fn last(&self) -> Vec<u8> {
        let mut last = Vec::new();
        let mut at = 0;
        for _ in 0..self.len {
            let entry = self.entry(at);
            last.truncate(entry.shared);
            last.extend_from_slice(entry.rest);
            at = entry.end;
        }
        last
    }

    fn entry(&self, at: usize) -> Entry<'_> {
        let (shared, at) = self.number(at);
        let (len, at) = self.number(at);
        let end = at + len;
        Entry {
            shared,
            rest: self.bytes.get(at..end).unwrap_or_default(),
            end,
        }
    }

    /// A number in seven bits a byte, the lowest first, and the offset behind it.
    fn number(&self, mut at: usize) -> (usize, usize) {
        let (mut number, mut shift) = (0, 0);
        while let Some(&byte) = self.bytes.get(at) {
            at += 1;
            number |= usize::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                break;
            }
            shift += 7;
        }
        (number, at)
    }

    fn replace(&mut self, from: usize, to: usize, new: &[u8]) {
        let more = new.len().saturating_sub(to - from);
        if self.bytes.capacity() - self.bytes.len() < more {
            // A little room, not twice the room: leaves are many and small.
            self.bytes.reserve_exact(more + 32);
        }
        self.bytes.splice(from..to, new.iter().copied());
    }
}

fn write_entry(out: &mut Vec<u8>, shared: usize, rest: &[&[u8]]) {
    write_number(out, shared);
    write_number(out, rest.iter().map(|part| part.len()).sum());
    rest.iter().for_each(|part| out.extend_from_slice(part));
}

fn write_number(out: &mut Vec<u8>, mut number: usize) {
    while number >= 0x80 {
        out.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// How many bytes two texts begin alike with.
pub(super) fn common(a: &[u8], b: &[u8]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn all(keys: &Keys) -> Vec<Vec<u8>> {
        let mut all = Vec::new();
        keys.visit(|index, subject| {
            assert_eq!(index, all.len());
            all.push(subject.to_vec());
            true
        });
        all
    }

    proptest! {
        // STORE-129
        #[test]
        fn keys_hold_what_a_tree_would_hold(
            steps in proptest::collection::vec((any::<bool>(), "[ab.]{1,6}|a{126,130}b?"), 0..120),
            cut in 0_usize..40,
        ) {
            let mut keys = Keys::default();
            let mut model = BTreeSet::new();
            for (insert, subject) in steps {
                let subject = subject.into_bytes();
                let place = keys.find(&subject);
                prop_assert_eq!(place.is_there, model.contains(&subject));
                prop_assert_eq!(place.index, model.range(..subject.clone()).count());
                if insert && !place.is_there {
                    keys.insert(place, &subject);
                    model.insert(subject);
                } else if !insert && place.is_there {
                    keys.remove(place);
                    model.remove(&subject);
                }
                prop_assert_eq!(keys.len(), model.len());
            }
            let expected: Vec<Vec<u8>> = model.into_iter().collect();
            prop_assert_eq!(&all(&keys), &expected);
            prop_assert_eq!(keys.first(), expected.first().map_or(&b""[..], Vec::as_slice));
            prop_assert_eq!(keys.last(), expected.last().cloned().unwrap_or_default());
            let right = keys.split_off(cut);
            let cut = cut.min(expected.len());
            prop_assert_eq!(&all(&keys), &expected[..cut]);
            prop_assert_eq!(&all(&right), &expected[cut..]);
            keys.append(&right);
            prop_assert_eq!(&all(&keys), &expected);
        }
    }
}
