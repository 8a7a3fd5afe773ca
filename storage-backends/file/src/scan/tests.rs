use proptest::prelude::*;

use super::*;
use crate::record::RecordKind;

fn key() -> RecordKey {
    RecordKey::new("S", 1)
}

fn message(sequence: u64, payload: &[u8]) -> Vec<u8> {
    let record = Record {
        kind: RecordKind::Message,
        sequence,
        time: 1_700_000_000_000_000_000 + sequence as i64,
        subject: b"a.b",
        headers: if sequence.is_multiple_of(3) {
            b"NATS/1.0\r\nA: b\r\n\r\n"
        } else {
            b""
        },
        payload,
    };
    let mut out = Vec::new();
    record.encode(&key(), &mut out).unwrap();
    out
}

/// A block of messages 1 to `count`, and where each begins; the last is the block's end.
fn block(count: u64) -> (Vec<u8>, Vec<usize>) {
    let mut bytes = Vec::new();
    let mut borders = vec![0];
    for sequence in 1..=count {
        bytes.extend(message(sequence, format!("payload {sequence}").as_bytes()));
        borders.push(bytes.len());
    }
    (bytes, borders)
}

/// What a scan finds: sequences, and damage with its reason.
fn found(block: &[u8]) -> Vec<String> {
    let show = |found| match found {
        Found::Record { record, .. } => record.sequence.to_string(),
        Found::Damage { range, reason } => format!("{}..{}: {reason}", range.start, range.end),
    };
    Scan::new(block, &key()).map(show).collect()
}

/// The sequences that a scan finds.
fn sequences(block: &[u8]) -> Vec<u64> {
    let sequence = |found| match found {
        Found::Record { record, .. } => Some(record.sequence),
        Found::Damage { .. } => None,
    };
    Scan::new(block, &key()).filter_map(sequence).collect()
}

#[test]
fn a_whole_block_has_its_records_and_no_damage() {
    assert_eq!(found(&block(3).0), ["1", "2", "3"]);
    assert!(found(&[]).is_empty());
}

// STORE-119: the reference loses everything behind it.
#[test]
fn a_damaged_payload_costs_its_own_record() {
    let (mut bytes, borders) = block(10);
    bytes[borders[4] + 27] ^= 1;
    let range = format!("{}..{}: invalid checksum", borders[4], borders[5]);
    let expected = ["1", "2", "3", "4", &range, "6", "7", "8", "9", "10"];
    assert_eq!(found(&bytes), expected);
}

#[test]
fn a_damaged_length_costs_nothing() {
    for flip in [1, 2, 4, 8, 16, 32, 64, 128] {
        for at in 0..4 {
            let (mut bytes, borders) = block(5);
            bytes[borders[2] + at] ^= flip;
            assert_eq!(sequences(&bytes), [1, 2, 3, 4, 5], "{at} {flip}");
            let range = format!("{}..{}: wrong record length", borders[2], borders[3]);
            assert_eq!(found(&bytes)[2], range, "{at} {flip}");
        }
    }
}

#[test]
fn zeros_cost_what_they_cover() {
    let (mut bytes, borders) = block(10);
    bytes[borders[3]..borders[6]].fill(0);
    assert_eq!(found(&bytes)[3], format!("{}..{}: zeros", borders[3], borders[6]));
    assert_eq!(sequences(&bytes), [1, 2, 3, 7, 8, 9, 10]);
    // From inside one record to inside another.
    let (mut bytes, borders) = block(10);
    bytes[borders[3] + 2..borders[5] + 9].fill(0);
    assert_eq!(sequences(&bytes), [1, 2, 3, 7, 8, 9, 10]);
    // The reference cuts zeros at the end without a word.
    let (mut bytes, borders) = block(2);
    bytes.extend([0; 100]);
    assert_eq!(
        found(&bytes)[2],
        format!("{}..{}: zeros", borders[2], borders[2] + 100)
    );
}

#[test]
fn a_cut_block_loses_the_record_that_is_cut() {
    let (bytes, borders) = block(5);
    for cut in borders[4] + 1..bytes.len() {
        let found = found(&bytes[..cut]);
        assert_eq!(found.len(), 5, "{cut}");
        assert_eq!(
            found[4],
            format!("{}..{cut}: the block ends inside a record", borders[4])
        );
    }
}

#[test]
fn the_front_of_a_block_ends_before_what_needs_the_rest() {
    let (mut bytes, borders) = block(5);
    let key = key();
    let mut scan = Scan::front(&bytes[..borders[3] + 5], &key);
    assert_eq!(scan.by_ref().count(), 3);
    assert_eq!(scan.at(), borders[3]);
    bytes[borders[1] + 25] ^= 1;
    let mut scan = Scan::front(&bytes, &key);
    assert_eq!(scan.by_ref().count(), 1);
    assert_eq!(scan.at(), borders[1]);
}

/// Somebody who knows the stream's name publishes records as payload.
#[test]
fn records_in_a_payload_are_never_taken_for_messages() {
    for inner in [
        vec![message(2, b"forged")],
        vec![message(2, b"one"), message(3, b"two")],
    ] {
        let forged = [b"xx".to_vec(), inner.concat(), b"yy".to_vec()].concat();
        for payload in [forged.clone(), inner.concat()] {
            let outer = message(2, &payload);
            let parts = [
                message(1, b"a"),
                outer.clone(),
                message(3, b"b"),
                message(4, b"c"),
            ];
            let bytes = parts.concat();
            let start = parts[0].len();
            for at in 0..outer.len() {
                let mut damaged = bytes.clone();
                damaged[start + at] ^= 0x21;
                let key = key();
                for found in Scan::new(&damaged, &key) {
                    let Found::Record { record, .. } = found else {
                        continue;
                    };
                    assert!(!record.payload.starts_with(b"forged"), "{at}");
                    assert!(record.payload != b"one" && record.payload != b"two", "{at}");
                }
                assert!(sequences(&damaged).ends_with(&[3, 4]), "{at}");
            }
        }
    }
}

/// Payloads that look like heads of long records everywhere would make a search quadratic.
#[test]
fn a_search_ends_in_reasonable_time_whatever_the_payload() {
    let mut head = [0_u8; 22];
    head[2] = 4;
    let mut bytes = head.repeat(20_000);
    bytes.extend(message(1, b"a"));
    let key = key();
    let mut scan = Scan::new(&bytes, &key);
    assert!(scan.by_ref().count() <= 2);
    assert!(scan.budget < bytes.len() * SEARCH_FACTOR);
}

proptest! {
    #[test]
    fn one_damaged_byte_costs_one_record_at_most(at in 0..1_000_usize, byte: u8) {
        let (whole, borders) = block(12);
        let at = at % whole.len();
        let mut bytes = whole.clone();
        prop_assume!(bytes[at] != byte);
        bytes[at] = byte;
        let hit = borders.iter().rposition(|border| *border <= at).unwrap() as u64 + 1;
        let left = sequences(&bytes);
        let others: Vec<u64> = left.iter().copied().filter(|sequence| *sequence != hit).collect();
        prop_assert_eq!(others, (1..=12).filter(|sequence| *sequence != hit).collect::<Vec<_>>());
        let key = key();
        for found in Scan::new(&bytes, &key) {
            if let Found::Record { at, record } = found {
                let (range, before) = (borders[record.sequence as usize - 1], &whole);
                prop_assert_eq!(at, range);
                // STORE-19: the lengths of subject and headers are not covered.
                let was = Record::decode(&before[at..], &key).unwrap();
                let joined = |record: &Record<'_>| [record.subject, record.headers, record.payload].concat();
                prop_assert_eq!(joined(&record), joined(&was));
            }
        }
    }

    #[test]
    fn every_byte_is_a_record_or_damage(mut bytes in proptest::collection::vec(any::<u8>(), 0..300), places in proptest::collection::vec(0..300_usize, 0..4)) {
        for place in places {
            let place = place.min(bytes.len());
            bytes.splice(place..place, message(place as u64, b"p"));
        }
        let key = key();
        let mut expected = 0;
        let mut healed = None;
        for found in Scan::new(&bytes, &key) {
            let range = match found {
                Found::Record { at, .. } if healed.take() == Some(at) => continue,
                Found::Record { at, record } => at..at + record.length(),
                Found::Damage { range, reason } => {
                    healed = (reason == Reason::Length).then_some(range.start);
                    range
                }
            };
            prop_assert_eq!(range.start, expected);
            expected = range.end;
        }
        prop_assert_eq!(expected, bytes.len());
    }

    #[test]
    fn a_cleared_range_costs_what_it_touches(from in 0..700_usize, length in 1..200_usize) {
        let (mut bytes, borders) = block(12);
        let from = from % bytes.len();
        let to = (from + length).min(bytes.len());
        bytes[from..to].fill(0);
        let touched = |sequence: usize| borders[sequence - 1] < to && from < borders[sequence];
        let left = sequences(&bytes);
        let expected: Vec<u64> = (1..=12).filter(|sequence| !touched(*sequence as usize)).collect();
        let untouched: Vec<u64> = left.into_iter().filter(|sequence| !touched(*sequence as usize)).collect();
        prop_assert_eq!(untouched, expected);
    }
}
