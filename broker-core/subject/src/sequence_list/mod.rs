//! The sequences of one subject, for stores that keep every message's place in memory.
//!
//! Most subjects of a large stream have one message, and some streams have one subject: a list begins inside its owner,
//! grows into one piece of memory, and becomes leaves where that is too long to be moved. Rules: STORE-93 to STORE-98.

use crate::leaf_map::LeafMap;

/// Sequences in one piece of memory: 1 KiB.
const FEW: usize = 128;

/// A sorted list of sequences in 16 bytes, and 8 to 17 bytes more for each where there are several.
///
/// ```
/// use dunlin_subject::SequenceList;
///
/// let mut list = SequenceList::new();
/// [3, 5, 9].map(|sequence| list.insert(sequence));
/// assert_eq!((list.first(), list.last(), list.len()), (Some(3), Some(9), 3));
/// assert_eq!((list.at_or_after(6), list.at_or_before(6)), (Some(9), Some(5)));
/// assert_eq!(list.count_from(4), 2);
/// ```
#[derive(Clone, Debug, Default)]
pub struct SequenceList(Kind);

#[derive(Clone, Debug, Default)]
enum Kind {
    #[default]
    None,
    One(u64),
    #[expect(
        clippy::box_collection,
        reason = "a list takes 16 bytes, and there are millions of them"
    )]
    Few(Box<Vec<u64>>),
    Many(Box<LeafMap<u64, ()>>),
}

impl SequenceList {
    /// An empty list.
    pub const fn new() -> Self {
        Self(Kind::None)
    }

    /// Adds a sequence; false if it is there. The least cost where sequences rise, logarithmic otherwise.
    pub fn insert(&mut self, sequence: u64) -> bool {
        match &mut self.0 {
            Kind::None => self.0 = Kind::One(sequence),
            Kind::One(only) if *only == sequence => return false,
            Kind::One(only) => {
                let pair = [(*only).min(sequence), (*only).max(sequence)];
                self.0 = Kind::Few(Box::new(pair.to_vec()));
            }
            Kind::Few(few) => {
                let Err(at) = place(few, sequence) else {
                    return false;
                };
                few.insert(at, sequence);
                if few.len() > FEW {
                    let mut many = LeafMap::new();
                    few.iter().for_each(|sequence| {
                        many.insert(*sequence, ());
                    });
                    self.0 = Kind::Many(Box::new(many));
                }
            }
            Kind::Many(many) => return many.insert(sequence, ()).is_none(),
        }
        true
    }

    /// Takes a sequence out; false if it is not there. Logarithmic cost.
    pub fn remove(&mut self, sequence: u64) -> bool {
        match &mut self.0 {
            Kind::None => return false,
            Kind::One(only) => {
                if *only != sequence {
                    return false;
                }
                self.0 = Kind::None;
            }
            Kind::Few(few) => {
                let Ok(at) = place(few, sequence) else {
                    return false;
                };
                few.remove(at);
                if let [only] = few.as_slice() {
                    self.0 = Kind::One(*only);
                }
            }
            Kind::Many(many) => {
                if many.remove(sequence).is_none() {
                    return false;
                }
                // Far below the length at which it became leaves, so that it does not swing between the two.
                if many.len() <= FEW / 4 {
                    self.0 = Kind::Few(Box::new(many.iter().map(|(sequence, ())| sequence).collect()));
                }
            }
        }
        true
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        match &self.0 {
            Kind::None => 0,
            Kind::One(_) => 1,
            Kind::Few(few) => few.len(),
            Kind::Many(many) => many.len(),
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        matches!(self.0, Kind::None)
    }

    /// The lowest.
    pub fn first(&self) -> Option<u64> {
        self.at_or_after(0)
    }

    /// The highest.
    pub fn last(&self) -> Option<u64> {
        self.at_or_before(u64::MAX)
    }

    /// The first from `from` on. Logarithmic cost.
    pub fn at_or_after(&self, from: u64) -> Option<u64> {
        match &self.0 {
            Kind::None => None,
            Kind::One(only) => Some(*only).filter(|only| *only >= from),
            Kind::Few(few) => few.get(below(few, from)).copied(),
            Kind::Many(many) => many.key_from(from),
        }
    }

    /// The last up to `to`. Logarithmic cost.
    pub fn at_or_before(&self, to: u64) -> Option<u64> {
        match &self.0 {
            Kind::None => None,
            Kind::One(only) => Some(*only).filter(|only| *only <= to),
            Kind::Few(few) => few.iter().rev().find(|sequence| **sequence <= to).copied(),
            Kind::Many(many) => many.key_to(to),
        }
    }

    /// How many there are from `from` on. Costs a step for every 64 of a long list.
    pub fn count_from(&self, from: u64) -> usize {
        match &self.0 {
            Kind::None => 0,
            Kind::One(only) => usize::from(*only >= from),
            Kind::Few(few) => few.len() - below(few, from),
            Kind::Many(many) => many.count_from(from),
        }
    }

    /// Bytes that the list takes beside its own 16, those of an ordered map's own nodes estimated.
    pub fn heap_bytes(&self) -> usize {
        match &self.0 {
            Kind::None | Kind::One(_) => 0,
            Kind::Few(few) => size_of::<Vec<u64>>() + few.capacity() * size_of::<u64>(),
            Kind::Many(many) => size_of::<LeafMap<u64, ()>>() + many.heap_bytes(),
        }
    }
}

impl FromIterator<u64> for SequenceList {
    fn from_iter<I: IntoIterator<Item = u64>>(sequences: I) -> Self {
        let mut list = Self::new();
        sequences.into_iter().for_each(|sequence| {
            list.insert(sequence);
        });
        list
    }
}

fn place(few: &[u64], sequence: u64) -> Result<usize, usize> {
    match few.last() {
        // The common case, without a search.
        Some(last) if *last < sequence => Err(few.len()),
        _ => few.binary_search(&sequence),
    }
}

/// How many are below `from`.
fn below(few: &[u64], from: u64) -> usize {
    few.partition_point(|sequence| *sequence < from)
}

#[cfg(test)]
mod tests;
