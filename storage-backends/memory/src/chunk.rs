//! A run of messages: many small ones together, or one large one alone.

use dunlin_api::{NewMessage, StoredMessage, Subject};

use crate::packed::Packed;

/// From here on a message lies alone, and readers share it.
pub(crate) const LARGE: usize = 4096;

/// The neighbours of the same subject, by sequence; 0 where there is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Links {
    /// The message before.
    pub(crate) previous: u64,
    /// The message after.
    pub(crate) next: u64,
}

/// A message where it lies.
#[derive(Clone, Copy)]
pub(crate) struct Stored<'a> {
    pub(crate) time: i64,
    pub(crate) links: Links,
    pub(crate) subject: Subject<'a>,
    pub(crate) headers: &'a [u8],
    pub(crate) payload: &'a [u8],
}

/// A run of messages. Deltas count from its base, which its owner keeps.
pub(crate) enum Chunk {
    /// Small ones.
    Packed(Packed),
    /// A large one, at the base itself.
    Large(Box<(StoredMessage, Links)>),
}

impl Chunk {
    /// How many messages there are.
    pub(crate) fn count(&self) -> u64 {
        match self {
            Self::Packed(packed) => packed.live_slots() as u64,
            Self::Large(_) => 1,
        }
    }

    /// The last delta, where every one up to it has a message.
    pub(crate) fn whole(&self) -> Option<u32> {
        match self {
            Self::Packed(packed) => packed.whole(),
            Self::Large(_) => Some(0),
        }
    }

    /// The message with a delta.
    pub(crate) fn get(&self, delta: u32) -> Option<Stored<'_>> {
        match self {
            Self::Packed(packed) => packed.get(delta),
            Self::Large(large) => (delta == 0).then(|| of_large(large)),
        }
    }

    /// The message with a delta, to be handed out.
    pub(crate) fn load(&self, sequence: u64, delta: u32) -> Option<StoredMessage> {
        match self {
            Self::Packed(packed) => packed.get(delta).map(|stored| stored.copy(sequence)),
            Self::Large(large) => (delta == 0).then(|| large.0.clone()),
        }
    }

    /// The first delta from here on that has a message.
    pub(crate) fn at_or_after(&self, delta: u32) -> Option<u32> {
        match self {
            Self::Packed(packed) => packed.at_or_after(delta),
            Self::Large(_) => (delta == 0).then_some(0),
        }
    }

    /// The last delta up to here that has a message.
    pub(crate) fn at_or_before(&self, delta: u32) -> Option<u32> {
        match self {
            Self::Packed(packed) => packed.at_or_before(delta),
            Self::Large(_) => Some(0),
        }
    }

    /// Messages from a delta on.
    pub(crate) fn iter_from(&self, delta: u32) -> impl DoubleEndedIterator<Item = (u32, Stored<'_>)> {
        let (packed, large) = match self {
            Self::Packed(packed) => (Some(packed.iter_from(delta)), None),
            Self::Large(large) => (None, (delta == 0).then(|| (0, of_large(large)))),
        };
        packed.into_iter().flatten().chain(large)
    }

    /// Messages up to a delta.
    pub(crate) fn iter_to(&self, delta: u32) -> impl DoubleEndedIterator<Item = (u32, Stored<'_>)> {
        let (packed, large) = match self {
            Self::Packed(packed) => (Some(packed.iter_to(delta)), None),
            Self::Large(large) => (None, Some((0, of_large(large)))),
        };
        packed.into_iter().flatten().chain(large)
    }

    /// Replaces the links of a message.
    pub(crate) fn set_links(&mut self, delta: u32, links: Links) {
        match self {
            Self::Packed(packed) => packed.set_links(delta, links),
            Self::Large(large) => large.1 = links,
        }
    }

    /// Takes a message away; whether none is left.
    pub(crate) fn remove(&mut self, delta: u32, erase: bool) -> bool {
        match self {
            Self::Packed(packed) => packed.remove(delta, erase),
            // Others may still be reading it, so it is let go rather than overwritten.
            Self::Large(_) => delta == 0,
        }
    }
}

fn of_large(large: &(StoredMessage, Links)) -> Stored<'_> {
    let (message, links) = large;
    Stored {
        time: message.time,
        links: *links,
        subject: message.subject(),
        headers: message.headers(),
        payload: message.payload(),
    }
}

impl Stored<'_> {
    /// A message of its own.
    pub(crate) fn copy(&self, sequence: u64) -> StoredMessage {
        let message = NewMessage {
            sequence: None,
            time: self.time,
            subject: self.subject,
            headers: self.headers,
            payload: self.payload,
        };
        StoredMessage::new(&message, sequence)
    }
}
