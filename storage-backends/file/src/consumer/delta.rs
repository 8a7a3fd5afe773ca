//! Changes of a consumer, as the journal carries them, and the trailer that tells which of them an `o.dat` has.
//!
//! A run is changes of the state or a new `meta.inf`. Each has a number, and the consumer's files a mark that was drawn when
//! the first of them was made. `o.dat` ends with the mark and the number of the last run that is in the files. The reference
//! reads an `o.dat` to the end of its figures and no further, and writes none of this: where the trailer is gone, somebody
//! else wrote since. So after a crash a run is applied exactly where it follows, passed over where it is in the files
//! already, and refused otherwise.
//!
//! Times are kept to the nanosecond here; in `o.dat` they are whole seconds.

use dunlin_api::{ConsumerChange, ConsumerState, PendingAck, SequencePair};
use sha2::{Digest, Sha256};

use super::codec::{self, ConsumerFileError};
use crate::cursor::{Cursor, put_uvarint, put_varint};

/// Which run of changes, of which life of a consumer's files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// Drawn when the first run was made.
    pub(crate) mark: u64,
    /// Counts the runs, from 1; 0 is before the first.
    pub(crate) number: u64,
}

const TRAILER: &[u8; 4] = b"DnLn";
const TRAILER_LENGTH: usize = 20;

/// Some other bytes than these are unlikely to have the same.
pub(crate) type Fingerprint = [u8; 8];

/// Of a file's bytes; an absent one is empty.
pub(crate) fn fingerprint(plain: &[u8]) -> Fingerprint {
    let hash = Sha256::digest(plain);
    hash.first_chunk().copied().unwrap_or_default()
}

/// The plain bytes of an `o.dat` with its trailer.
pub(crate) fn encode_file(state: &ConsumerState, place: Place, now: i64) -> Vec<u8> {
    let mut out = codec::encode(state, now);
    out.extend(place.mark.to_le_bytes());
    out.extend(place.number.to_le_bytes());
    out.extend(TRAILER);
    out
}

/// What an `o.dat` says, and the last run that is in it where it was written here. An absent one is empty.
///
/// # Errors
/// See [`ConsumerFileError`].
pub(crate) fn decode_file(plain: &[u8]) -> Result<(ConsumerState, Option<Place>), ConsumerFileError> {
    if plain.is_empty() {
        return Ok((ConsumerState::default(), None));
    }
    Ok((codec::decode(plain)?, place_of(plain)))
}

fn place_of(plain: &[u8]) -> Option<Place> {
    let mut cursor = Cursor::new(plain.last_chunk::<TRAILER_LENGTH>()?);
    let (mark, number) = (cursor.u64()?, cursor.u64()?);
    (cursor.rest() == TRAILER).then_some(Place { mark, number })
}

/// A run on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Run<'a> {
    /// Its own place.
    pub(crate) place: Place,
    /// The `o.dat`, in clear, that the first run of all was made on.
    pub(crate) base: Fingerprint,
    /// What it does.
    pub(crate) content: Content<'a>,
}

/// What a run does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Content<'a> {
    /// Changes the state.
    Changes(Changes<'a>),
    /// Replaces `meta.inf`.
    Metadata {
        /// What it replaces, as it lies on the disk.
        before: Fingerprint,
        /// The new one, as it is to lie on the disk.
        on_disk: &'a [u8],
    },
}

/// Changes that were looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Changes<'a>(&'a [u8]);

impl Changes<'_> {
    /// Makes them.
    pub(crate) fn apply(&self, state: &mut ConsumerState) {
        let mut cursor = Cursor::new(self.0);
        while let Some(change) = change(&mut cursor) {
            match change {
                Change::Clear => *state = ConsumerState::default(),
                Change::One(change) => state.apply(&change),
            }
        }
    }
}

const CHANGES: u8 = 0;
const METADATA: u8 = 1;

impl<'a> Run<'a> {
    /// Reads what [`begin_changes`] with [`put_change`], or [`metadata_run`] wrote. `None`: it is no run.
    pub(crate) fn decode(bytes: &'a [u8]) -> Option<Self> {
        let mut cursor = Cursor::new(bytes);
        let (mark, number) = (cursor.u64()?, cursor.u64()?);
        let base = cursor.array()?;
        let content = match cursor.u8()? {
            CHANGES => {
                let changes = cursor.rest();
                // Whole or not at all: what is made must not stop half way.
                while !cursor.is_empty() {
                    change(&mut cursor)?;
                }
                Content::Changes(Changes(changes))
            }
            METADATA => Content::Metadata {
                before: cursor.array()?,
                on_disk: cursor.rest(),
            },
            _ => return None,
        };
        let place = Place { mark, number };
        Some(Self { place, base, content })
    }

    /// Whether it is the next for an `o.dat`: `Ok(false)` where it is in it already, and a reason where neither holds.
    pub(crate) fn follows(&self, file: Option<Place>, found: Fingerprint) -> Result<bool, String> {
        match file {
            Some(file) if file.mark == self.place.mark => {
                if self.place.number <= file.number {
                    return Ok(false);
                }
                let is_next = self.place.number == file.number + 1;
                let missing = || {
                    format!(
                        "changes {} to {} are missing",
                        file.number + 1,
                        self.place.number - 1
                    )
                };
                is_next.then_some(true).ok_or_else(missing)
            }
            None if self.place.number == 1 && found == self.base => Ok(true),
            _ => Err("its state was written by somebody else since".to_owned()),
        }
    }
}

/// Begins a run of changes.
pub(crate) fn begin_changes(place: Place, base: Fingerprint) -> Vec<u8> {
    begin(place, base, CHANGES)
}

/// A run that replaces `meta.inf`.
pub(crate) fn metadata_run(place: Place, base: Fingerprint, before: Fingerprint, on_disk: &[u8]) -> Vec<u8> {
    let mut out = begin(place, base, METADATA);
    out.extend(before);
    out.extend_from_slice(on_disk);
    out
}

fn begin(place: Place, base: Fingerprint, kind: u8) -> Vec<u8> {
    let mut out = Vec::with_capacity(64);
    out.extend(place.mark.to_le_bytes());
    out.extend(place.number.to_le_bytes());
    out.extend(base);
    out.push(kind);
    out
}

const DELIVERED: u8 = 1;
const ACK_FLOOR: u8 = 2;
const PENDING: u8 = 3;
const ACKED: u8 = 4;
const REDELIVERED: u8 = 5;
const CLEAR: u8 = 6;

/// Appends a change to a run.
pub(crate) fn put_change(out: &mut Vec<u8>, change: &ConsumerChange) {
    match change {
        ConsumerChange::Delivered(pair) => put_figures(out, DELIVERED, &[pair.consumer, pair.stream]),
        ConsumerChange::AckFloor(pair) => put_figures(out, ACK_FLOOR, &[pair.consumer, pair.stream]),
        ConsumerChange::Pending(sequence, Some(pending)) => {
            put_figures(out, PENDING, &[*sequence, pending.consumer]);
            put_varint(out, pending.time);
        }
        ConsumerChange::Pending(sequence, None) => put_figures(out, ACKED, &[*sequence]),
        ConsumerChange::Redelivered(sequence, count) => put_figures(out, REDELIVERED, &[*sequence, *count]),
        ConsumerChange::Replace(state) => {
            out.push(CLEAR);
            put_change(out, &ConsumerChange::Delivered(state.delivered));
            put_change(out, &ConsumerChange::AckFloor(state.ack_floor));
            for (sequence, pending) in &state.pending {
                put_change(out, &ConsumerChange::Pending(*sequence, Some(*pending)));
            }
            for (sequence, count) in &state.redelivered {
                put_change(out, &ConsumerChange::Redelivered(*sequence, *count));
            }
        }
    }
}

fn put_figures(out: &mut Vec<u8>, kind: u8, figures: &[u64]) {
    out.push(kind);
    figures.iter().for_each(|figure| put_uvarint(out, *figure));
}

enum Change {
    Clear,
    One(ConsumerChange),
}

fn change(cursor: &mut Cursor<'_>) -> Option<Change> {
    let change = match cursor.u8()? {
        CLEAR => return Some(Change::Clear),
        DELIVERED => ConsumerChange::Delivered(pair(cursor)?),
        ACK_FLOOR => ConsumerChange::AckFloor(pair(cursor)?),
        PENDING => {
            let SequencePair {
                consumer: sequence,
                stream: consumer,
            } = pair(cursor)?;
            let time = cursor.varint()?;
            ConsumerChange::Pending(sequence, Some(PendingAck { consumer, time }))
        }
        ACKED => ConsumerChange::Pending(cursor.uvarint()?, None),
        REDELIVERED => ConsumerChange::Redelivered(cursor.uvarint()?, cursor.uvarint()?),
        _ => return None,
    };
    Some(Change::One(change))
}

fn pair(cursor: &mut Cursor<'_>) -> Option<SequencePair> {
    Some(SequencePair {
        consumer: cursor.uvarint()?,
        stream: cursor.uvarint()?,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PLACE: Place = Place { mark: 7, number: 3 };

    fn any_change() -> impl Strategy<Value = ConsumerChange> {
        let pair = any::<(u64, u64)>().prop_map(|(consumer, stream)| SequencePair { consumer, stream });
        let pending = any::<(u64, i64)>().prop_map(|(consumer, time)| PendingAck { consumer, time });
        prop_oneof![
            pair.clone().prop_map(ConsumerChange::Delivered),
            pair.prop_map(ConsumerChange::AckFloor),
            (0..9_u64, proptest::option::of(pending))
                .prop_map(|(sequence, pending)| ConsumerChange::Pending(sequence, pending)),
            (0..9_u64, 0..3_u64).prop_map(|(sequence, count)| ConsumerChange::Redelivered(sequence, count)),
        ]
    }

    proptest! {
        #[test]
        fn a_run_does_what_its_changes_do(
            before in proptest::collection::vec(any_change(), 0..20),
            changes in proptest::collection::vec(any_change(), 0..20),
            replaced in proptest::option::of(proptest::collection::vec(any_change(), 0..20)),
        ) {
            let after = |changes: &[ConsumerChange]| {
                let mut state = ConsumerState::default();
                changes.iter().for_each(|change| state.apply(change));
                state
            };
            let replace = replaced.map(|changes| ConsumerChange::Replace(Box::new(after(&changes))));
            let changes: Vec<_> = replace.into_iter().chain(changes).collect();
            let mut bytes = begin_changes(PLACE, [1; 8]);
            changes.iter().for_each(|change| put_change(&mut bytes, change));
            let run = Run::decode(&bytes).unwrap();
            prop_assert_eq!((run.place, run.base), (PLACE, [1; 8]));
            let Content::Changes(made) = run.content else {
                panic!("{run:?}");
            };
            let mut state = after(&before);
            made.apply(&mut state);
            prop_assert_eq!(state, after(&[before, changes].concat()));
        }

        #[test]
        fn any_bytes_are_answered(bytes: Vec<u8>) {
            let _ = Run::decode(&bytes);
            let _ = decode_file(&bytes);
        }
    }

    // STORE-67: the reference reads the figures, whatever follows them.
    #[test]
    fn the_trailer_is_found_and_disturbs_nobody() {
        let state = ConsumerState {
            delivered: SequencePair {
                consumer: 3,
                stream: 9,
            },
            redelivered: [(12, 2)].into(),
            ..ConsumerState::default()
        };
        let bytes = encode_file(&state, PLACE, 0);
        assert_eq!(codec::decode(&bytes), Ok(state.clone()));
        assert_eq!(decode_file(&bytes), Ok((state.clone(), Some(PLACE))));
        assert_eq!(decode_file(&codec::encode(&state, 0)), Ok((state, None)));
        assert_eq!(decode_file(b""), Ok((ConsumerState::default(), None)));
    }

    #[test]
    fn a_new_description_comes_back() {
        let bytes = metadata_run(PLACE, [1; 8], [2; 8], b"{}");
        let content = Content::Metadata {
            before: [2; 8],
            on_disk: b"{}",
        };
        assert_eq!(Run::decode(&bytes).unwrap().content, content);
        assert_eq!(Run::decode(&bytes[..30]), None);
    }

    #[test]
    fn a_run_that_is_cut_off_is_none() {
        let mut bytes = begin_changes(PLACE, [0; 8]);
        put_change(&mut bytes, &ConsumerChange::Redelivered(1, 300));
        for cut in (0..25).chain(26..bytes.len()) {
            assert_eq!(Run::decode(&bytes[..cut]), None, "cut at {cut}");
        }
        bytes.push(9);
        assert_eq!(Run::decode(&bytes), None, "an unknown change");
    }

    #[test]
    fn a_run_is_applied_once_in_order_and_to_what_it_was_made_for() {
        let run = |number| Run {
            place: Place { mark: 7, number },
            base: [1; 8],
            content: Content::Changes(Changes(&[])),
        };
        let file = |mark, number| Some(Place { mark, number });
        assert_eq!(run(1).follows(None, [1; 8]), Ok(true));
        assert!(run(1).follows(None, [2; 8]).is_err(), "the file is another");
        assert!(run(2).follows(None, [1; 8]).is_err(), "the first is missing");
        assert_eq!(run(3).follows(file(7, 2), [9; 8]), Ok(true));
        assert_eq!(run(2).follows(file(7, 2), [9; 8]), Ok(false));
        assert_eq!(
            run(5).follows(file(7, 2), [9; 8]),
            Err("changes 3 to 4 are missing".to_owned())
        );
        assert!(run(3).follows(file(8, 2), [1; 8]).is_err(), "another life");
    }
}
