//! `o.dat`: the state of one consumer, whole. (STORE-65 to STORE-67)
//!
//! Version 2 is written, versions 1 and 2 are read. Times of pending deliveries are kept in whole seconds. The reference
//! puts the time there at which the *message was stored*, so that after a restart everything old is delivered again at
//! once; this store keeps the time that it is given, which is that of the delivery.

use dunlin_api::{ConsumerState, PendingAck, SequencePair};

use crate::cursor::{Cursor, put_uvarint, put_varint};

/// Why an `o.dat` says nothing. The texts are the reference's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConsumerFileError {
    /// Cut off, or no consumer state at all.
    #[error("corrupt state file")]
    Corrupt,
    /// A version that nobody has written yet.
    #[error("unsupported version: {0}")]
    Version(u8),
}

const MAGIC: u8 = 22;
const NANOS: i64 = 1_000_000_000;

/// No sequence is that high; one that is comes of a subtraction gone wrong.
const ROLLED_BACK: u64 = 1 << 63;

/// Reads the plain bytes of an `o.dat`. Memory in proportion to the bytes.
///
/// # Errors
/// See [`ConsumerFileError`]. What is cut off among the redelivered is no error: those read stand.
pub fn decode(bytes: &[u8]) -> Result<ConsumerState, ConsumerFileError> {
    let mut cursor = Cursor::new(bytes);
    let version = match (cursor.u8(), cursor.u8()) {
        (Some(MAGIC), Some(version @ (1 | 2))) => version,
        (Some(MAGIC), Some(version)) => return Err(ConsumerFileError::Version(version)),
        _ => return Err(ConsumerFileError::Corrupt),
    };
    let mut state = head(&mut cursor, version).ok_or(ConsumerFileError::Corrupt)?;
    if (state.ack_floor.stream | state.delivered.stream) & ROLLED_BACK != 0 {
        return Err(ConsumerFileError::Corrupt);
    }
    pending(&mut cursor, version, &mut state).ok_or(ConsumerFileError::Corrupt)?;
    redelivered(&mut cursor, &mut state);
    Ok(state)
}

/// The plain bytes of an `o.dat`. `now`, in nanoseconds since the Unix epoch, is what times are written relative to;
/// the nearer, the fewer bytes.
pub fn encode(state: &ConsumerState, now: i64) -> Vec<u8> {
    let mut out = Vec::with_capacity(64 + 8 * (state.pending.len() + state.redelivered.len()));
    out.extend([MAGIC, 2]);
    put_pair(&mut out, state.ack_floor);
    put_pair(&mut out, state.delivered);
    put_uvarint(&mut out, state.pending.len() as u64);
    if !state.pending.is_empty() {
        let base = now.div_euclid(NANOS);
        put_varint(&mut out, base);
        for (sequence, pending) in &state.pending {
            // Below the floor the difference wraps, and comes back when it is added again.
            put_uvarint(&mut out, sequence.wrapping_sub(state.ack_floor.stream));
            put_uvarint(&mut out, pending.consumer.wrapping_sub(state.ack_floor.consumer));
            put_varint(&mut out, base.wrapping_sub(pending.time / NANOS));
        }
    }
    put_uvarint(&mut out, state.redelivered.len() as u64);
    for (sequence, count) in &state.redelivered {
        put_uvarint(&mut out, sequence.wrapping_sub(state.ack_floor.stream));
        put_uvarint(&mut out, *count);
    }
    out
}

fn put_pair(out: &mut Vec<u8>, pair: SequencePair) {
    put_uvarint(out, pair.consumer);
    put_uvarint(out, pair.stream);
}

fn pair(cursor: &mut Cursor<'_>) -> Option<SequencePair> {
    Some(SequencePair {
        consumer: cursor.uvarint()?,
        stream: cursor.uvarint()?,
    })
}

fn head(cursor: &mut Cursor<'_>, version: u8) -> Option<ConsumerState> {
    let (ack_floor, mut delivered) = (pair(cursor)?, pair(cursor)?);
    if version == 1 {
        // It kept what comes next, counted from the floor. (STORE-66)
        let past = |floor: u64| floor.saturating_sub(1);
        delivered.consumer = delivered.consumer.wrapping_add(past(ack_floor.consumer));
        delivered.stream = delivered.stream.wrapping_add(past(ack_floor.stream));
    }
    Some(ConsumerState {
        delivered,
        ack_floor,
        ..ConsumerState::default()
    })
}

fn pending(cursor: &mut Cursor<'_>, version: u8, state: &mut ConsumerState) -> Option<()> {
    // The reference takes a missing count for 0.
    let count = cursor.uvarint().unwrap_or_default();
    if count == 0 {
        return Some(());
    }
    let base = cursor.varint()?;
    for _ in 0..count {
        let sequence = cursor.uvarint()?.wrapping_add(state.ack_floor.stream);
        if sequence == 0 {
            return None;
        }
        let (consumer, seconds) = if version == 1 {
            (0, cursor.varint()?.wrapping_add(base))
        } else {
            let consumer = cursor.uvarint()?.wrapping_add(state.ack_floor.consumer);
            (consumer, base.wrapping_sub(cursor.varint()?))
        };
        let time = seconds.wrapping_mul(NANOS);
        state.pending.insert(sequence, PendingAck { consumer, time });
    }
    Some(())
}

fn redelivered(cursor: &mut Cursor<'_>, state: &mut ConsumerState) {
    for _ in 0..cursor.uvarint().unwrap_or_default() {
        let (Some(delta), Some(count)) = (cursor.uvarint(), cursor.uvarint()) else {
            return;
        };
        if delta > 0 && count > 0 {
            let sequence = delta.wrapping_add(state.ack_floor.stream);
            state.redelivered.insert(sequence, count);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(consumer: u64, stream: u64) -> SequencePair {
        SequencePair { consumer, stream }
    }

    fn example() -> ConsumerState {
        let time = 1_700_000_000 * NANOS;
        ConsumerState {
            delivered: at(4, 8),
            ack_floor: at(2, 5),
            pending: [(8, PendingAck { consumer: 4, time })].into(),
            redelivered: [(8, 1)].into(),
        }
    }

    // STORE-65: the sheet's example.
    #[test]
    fn the_example_of_the_sheet_is_written_and_read() {
        let bytes = b"\x16\x02\x02\x05\x04\x08\x01\x86\xc4\x9f\xd5\x0c\x03\x02\x06\x01\x03\x01";
        assert_eq!(encode(&example(), 1_700_000_003 * NANOS), bytes);
        assert_eq!(decode(bytes), Ok(example()));
    }

    // STORE-67 [TestFileStoreBadConsumerState]
    #[test]
    fn redelivered_of_the_floor_itself_is_dropped() {
        let bytes = b"\x16\x02\x01\x01\x03\x02\x01\x98\xf4\x8a\x8a\x0c\x01\x03\x86\xfa\x0a\x01\x00\x01";
        let state = decode(bytes).unwrap();
        assert_eq!((state.ack_floor, state.delivered), (at(1, 1), at(3, 2)));
        assert_eq!((state.pending.len(), state.redelivered.len()), (1, 0));
    }

    // STORE-66
    #[test]
    fn version_1_counts_from_the_floor_and_knows_no_delivery_numbers() {
        // Floors 3/5, delivered 2/4 beyond them, one pending at 5 + 2, written as 100 s before 1,000 s.
        let state = decode(b"\x16\x01\x03\x05\x02\x04\x01\xd0\x0f\x02\xc7\x01\x01\x02\x07").unwrap();
        assert_eq!((state.ack_floor, state.delivered), (at(3, 5), at(4, 8)));
        let time = 900 * NANOS;
        assert_eq!(state.pending, [(7, PendingAck { consumer: 0, time })].into());
        assert_eq!(state.redelivered, [(7, 7)].into());
        // A floor of 0 or 1 moves nothing.
        assert_eq!(
            decode(b"\x16\x01\x01\x00\x02\x04\x00\x00").unwrap().delivered,
            at(2, 4)
        );
    }

    // STORE-65 [TestFileStoreConsumerEncodeDecodePendingBelowStreamAckFloor]
    #[test]
    fn what_is_pending_below_the_floor_comes_back() {
        let mut state = example();
        state.ack_floor = at(7, 100);
        assert_eq!(decode(&encode(&state, 0)), Ok(state));
    }

    // STORE-65 [TestFileStoreConsumerEncodeDecodeRedelivered]
    #[test]
    fn what_was_redelivered_comes_back_beyond_the_delivered_and_with_nothing_pending() {
        let state = ConsumerState {
            delivered: at(100, 100),
            ack_floor: at(50, 50),
            redelivered: [(122, 3), (144, 8)].into(),
            ..ConsumerState::default()
        };
        assert_eq!(decode(&encode(&state, 0)), Ok(state));
    }

    // STORE-65 [TestNoRaceEncodeConsumerStateBug]
    #[test]
    fn a_delivery_later_than_the_time_of_writing_comes_back() {
        let time = 1_700_000_001 * NANOS;
        let state = ConsumerState {
            delivered: at(1, 1),
            pending: [(1, PendingAck { consumer: 1, time })].into(),
            ..ConsumerState::default()
        };
        for now in [0, time - NANOS, time - 1, time, time + NANOS] {
            assert_eq!(decode(&encode(&state, now)), Ok(state.clone()));
        }
    }

    // STORE-67
    #[test]
    fn what_cannot_be_trusted_is_refused_in_the_words_of_the_reference() {
        let whole = encode(&example(), 0);
        let said = |bytes: &[u8]| decode(bytes).map_err(|error| error.to_string());
        let corrupt = Err("corrupt state file".to_owned());
        for cut in (0..6).chain(7..whole.len() - 3) {
            assert_eq!(said(&whole[..cut]), corrupt, "cut at {cut}");
        }
        // Beyond the pending ones nothing is missed that the reference would miss.
        for cut in [6, whole.len() - 3, whole.len() - 2, whole.len() - 1] {
            assert!(said(&whole[..cut]).is_ok(), "cut at {cut}");
        }
        assert_eq!(said(b"\x17\x02\x00\x00\x00\x00\x00\x00"), corrupt);
        assert_eq!(said(b"\x16\x03\x00"), Err("unsupported version: 3".to_owned()));
        let mut rolled_back = example();
        rolled_back.delivered.stream = u64::MAX;
        assert_eq!(said(&encode(&rolled_back, 0)), corrupt);
        let mut nothing_pending = example();
        nothing_pending.pending = [(0, PendingAck { consumer: 1, time: 0 })].into();
        assert_eq!(said(&encode(&nothing_pending, 0)), corrupt);
    }

    // STORE-181
    #[test]
    fn a_count_of_anything_reads_no_further_than_the_bytes() {
        let endless = b"\x16\x02\x00\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x00";
        assert_eq!(decode(endless), Err(ConsumerFileError::Corrupt));
        let endless = b"\x16\x02\x00\x00\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x05\x05";
        assert_eq!(decode(endless).unwrap().redelivered, [(5, 5)].into());
    }

    proptest! {
        // STORE-65 [TestNoRaceEncodeConsumerStateBug, TestFileStoreConsumerEncodeDecodeRedelivered]
        #[test]
        fn what_is_written_is_read_but_for_parts_of_seconds(
            floor in (0..1_u64 << 63, any::<u64>()),
            delivered in (0..1_u64 << 63, any::<u64>()),
            pending in proptest::collection::btree_map(1..u64::MAX, (any::<u64>(), 0..i64::MAX), 0..50),
            redelivered in proptest::collection::btree_map(any::<u64>(), 1..u64::MAX, 0..50),
            now in 0..i64::MAX,
        ) {
            let redelivered = redelivered.into_iter().filter(|(sequence, _)| *sequence != floor.0).collect();
            let pending = pending.into_iter().map(|(sequence, (consumer, time))| {
                (sequence, PendingAck { consumer, time: time / NANOS * NANOS })
            });
            let state = ConsumerState {
                ack_floor: at(floor.1, floor.0),
                delivered: at(delivered.1, delivered.0),
                pending: pending.collect(),
                redelivered,
            };
            prop_assert_eq!(decode(&encode(&state, now)), Ok(state));
        }
    }
}
