use super::*;
use proptest::prelude::*;
use std::collections::BTreeSet;

fn set(sequences: impl IntoIterator<Item = u64>) -> SequenceSet {
    sequences.into_iter().collect()
}

fn members(set: &SequenceSet) -> Vec<u64> {
    set.iter().collect()
}

fn encoded(set: &SequenceSet) -> Vec<u8> {
    let mut bytes = Vec::new();
    set.encode(&mut bytes);
    assert_eq!(bytes.len(), set.encoded_len());
    bytes
}

fn record(base: u64, words: &[(usize, u64)], count: usize) -> Vec<u8> {
    let mut bytes = base.to_le_bytes().to_vec();
    for index in 0..count {
        let word = words
            .iter()
            .find(|(at, _)| *at == index)
            .map_or(0, |(_, word)| *word);
        bytes.extend(word.to_le_bytes());
    }
    bytes.extend([1, 0]);
    bytes
}

fn header(version: u8, records: u32, members: u32) -> Vec<u8> {
    let mut bytes = vec![22, version];
    bytes.extend(records.to_le_bytes());
    bytes.extend(members.to_le_bytes());
    bytes
}

/// Puts records into a search tree as the reference does and returns each base with its depth there.
fn as_the_reference_reads(bytes: &[u8]) -> Vec<(u64, u16, usize)> {
    let mut read: Vec<(u64, u16, usize)> = Vec::new();
    for record in bytes[10..].chunks(266) {
        let base = u64::from_le_bytes(record[..8].try_into().unwrap());
        let height = u16::from_le_bytes(record[264..].try_into().unwrap());
        let (mut low, mut high, mut depth) = (None, None, 1);
        for (other, _, at) in &read {
            // Walk down: whatever stands between the bounds so far is on the way.
            if low.is_none_or(|low| *other > low) && high.is_none_or(|high| *other < high) {
                if base < *other {
                    high = Some(*other)
                } else {
                    low = Some(*other)
                }
                depth = at + 1;
            }
        }
        read.push((base, height, depth));
    }
    read
}

// STORE-128 [TestSeqSetBasics, TestSeqSetCorrectness]
#[test]
fn member_is_in_until_it_is_taken_out() {
    let mut set = SequenceSet::new();
    for sequence in [22, 222, 2000, 2, 2, 4, 0, u64::MAX] {
        set.insert(sequence);
    }
    assert_eq!(set.len(), 7);
    assert!(!set.insert(22) && set.insert(23) && set.contains(u64::MAX));
    assert!(set.remove(23) && !set.remove(23) && !set.contains(23));
    assert_eq!(members(&set), [0, 2, 4, 22, 222, 2000, u64::MAX]);
}

// STORE-128 [TestSeqSetLeftLean, TestSeqSetRightLean, TestSeqSetInsertExistingNodeFastPath]
#[test]
fn dense_run_needs_a_block_for_2048_whatever_the_order() {
    let down = set((1..=4 * BLOCK).rev());
    assert_eq!((down.block_count(), down.len()), (5, 4 * BLOCK));
    let mut up = set(0..4 * BLOCK);
    assert_eq!((up.block_count(), up.len()), (4, 4 * BLOCK));
    assert!((0..4 * BLOCK).all(|sequence| !up.insert(sequence)));
    assert_eq!((up.block_count(), up.len()), (4, 4 * BLOCK));
}

// STORE-128 [TestSeqSetRange, TestSeqSetRangeSparse]
#[test]
fn members_come_in_order_from_anywhere() {
    let sequences = [0, 1, 63, 64, 127, 128, 2047, 2048, 4095, 4096, 100_000, 1_000_000];
    let set = set(sequences.into_iter().rev());
    assert_eq!(members(&set), sequences);
    assert_eq!(set.iter().take_while(|sequence| *sequence != 64).count(), 3);
    assert_eq!(set.iter_from(128).collect::<Vec<_>>(), sequences[5..]);
    assert_eq!(set.iter_from(4097).collect::<Vec<_>>(), sequences[10..]);
    assert_eq!(set.iter_from(1_000_001).count(), 0);
}

// STORE-128 [TestSeqSetDelete, TestSeqSetInsertAndDeletePedantic, TestSeqSetDeleteNotPresent]
#[test]
fn block_goes_with_its_last_member() {
    let mut set = set([22, 222, 2222, 5000, 5001]);
    assert_eq!(set.block_count(), 3);
    assert!(!set.remove(23) && !set.remove(1_000_000) && !set.remove(2223));
    assert!(set.remove(2222));
    assert_eq!(set.block_count(), 2);
    assert!(
        [22, 222, 5000, 5001]
            .into_iter()
            .all(|sequence| set.remove(sequence))
    );
    assert_eq!((set.block_count(), set.len(), set.bounds()), (0, 0, None));
}

// STORE-128 [TestSeqSetMinMax]
#[test]
fn bounds_are_the_lowest_and_highest_member() {
    let mut set = set([22, 222, 2222, 222_2222]);
    assert_eq!(set.bounds(), Some((22, 222_2222)));
    set.remove(222_2222);
    set.insert(21);
    assert_eq!(set.bounds(), Some((21, 2222)));
    set.insert(u64::MAX);
    assert_eq!(set.bounds(), Some((21, u64::MAX)));
}

// STORE-128 [TestSeqSetClone, TestSeqSetEqual]
#[test]
fn sets_are_equal_by_their_members() {
    let mut one = set(1..5000);
    let other = one.clone();
    assert_eq!(one, other);
    one.remove(7);
    assert!(one != other && other.contains(7));
    one.insert(5000);
    assert_ne!(one, other);
    assert_eq!(SequenceSet::new(), set([]));
    let mut shifted = SequenceSet::new();
    shifted.set_initial_min(1).unwrap();
    shifted.extend(1..5000);
    assert_eq!(shifted, other);
}

// STORE-128 [TestSeqSetUnion, TestSeqSetDistinctUnion]
#[test]
fn union_has_the_members_of_both() {
    let mut one = set([1, 10, 100, 200, 5000]);
    one.union(&set([10, 5000, 6100, 6200, 6222]));
    assert_eq!(members(&one), [1, 10, 100, 200, 5000, 6100, 6200, 6222]);
    assert_eq!(one.len(), 8);
    one.union(&SequenceSet::new());
    let mut empty = SequenceSet::new();
    empty.union(&one);
    assert_eq!(empty, one);
    let mut shifted = SequenceSet::new();
    shifted.set_initial_min(100).unwrap();
    shifted.extend([100, 3000]);
    shifted.union(&one);
    assert_eq!(shifted, set(one.iter().chain([3000])));
}

// STORE-128 [TestSeqSetFirst, TestSeqSetInsertUnalignedBase]
#[test]
fn first_block_begins_where_it_is_told() {
    for first in [22, 222, 2222, 222_222] {
        let mut set = SequenceSet::new();
        set.set_initial_min(first).unwrap();
        set.extend([first, first + 1, first + BLOCK - 1]);
        assert_eq!(set.block_count(), 1);
        set.insert(first + BLOCK);
        assert_eq!((set.block_count(), set.len()), (2, 4));
        assert_eq!(set.set_initial_min(1), Err(SequenceSetError::NotEmpty));
        let bytes = encoded(&set);
        assert!(
            as_the_reference_reads(&bytes)
                .iter()
                .all(|(base, ..)| base % BLOCK == first % BLOCK)
        );
        assert_eq!(SequenceSet::decode(&bytes), Ok((set.clone(), bytes.len())));
        // One that is below moves them all.
        set.insert(3);
        assert_eq!(
            members(&set),
            [3, first, first + 1, first + BLOCK - 1, first + BLOCK]
        );
        set.clear();
        set.insert(first);
        assert!(encoded(&set)[10..18] == (first / BLOCK * BLOCK).to_le_bytes());
    }
}

// STORE-128: what a store asks when it skips what is gone.
#[test]
fn span_ends_before_the_first_gap() {
    let mut set = set((10..5000).chain([6000]));
    assert_eq!(set.span_end(9), None);
    assert_eq!(set.span_end(10), Some(4999));
    assert_eq!(set.span_end(4999), Some(4999));
    assert_eq!(set.span_end(6000), Some(6000));
    set.remove(2048);
    assert_eq!((set.span_end(10), set.span_end(2049)), (Some(2047), Some(4999)));
    let mut high = SequenceSet::new();
    high.extend(u64::MAX - 3000..=u64::MAX);
    assert_eq!(high.span_end(u64::MAX - 2500), Some(u64::MAX));
    let mut dense = SequenceSet::new();
    dense.extend(0..2 * BLOCK);
    assert_eq!(dense.span_end(5), Some(2 * BLOCK - 1));
}

// STORE-53, STORE-55
#[test]
fn encoding_is_the_reference_s() {
    let mut expected = header(2, 1, 2);
    expected.extend(record(0, &[(0, 1 << 5), (1, 1 << 6)], 32));
    assert_eq!(encoded(&set([5, 70])), expected);
    assert_eq!(expected.len(), 276);
    let mut with_rest = expected.clone();
    with_rest.extend(b"rest");
    assert_eq!(SequenceSet::decode(&with_rest), Ok((set([5, 70]), 276)));
    assert_eq!(encoded(&SequenceSet::new()), header(2, 0, 0));
}

// STORE-53: the reference inserts in this order without balancing, and keeps the heights.
#[test]
fn records_make_a_balanced_tree_in_the_order_written() {
    for blocks in [1, 2, 3, 4, 7, 8, 100, 1000] {
        let set = set((0..blocks).map(|block| block * BLOCK));
        let read = as_the_reference_reads(&encoded(&set));
        let deepest = read.iter().map(|(_, _, depth)| *depth).max().unwrap();
        assert_eq!(deepest, blocks.ilog2() as usize + 1);
        assert_eq!(usize::from(read[0].1), deepest);
        assert!(
            read.iter()
                .all(|(_, height, depth)| usize::from(*height) + depth <= deepest + 1)
        );
    }
}

// STORE-54 [TestSeqSetDecodeV1]
#[test]
fn version_1_is_read_and_its_count_checked() {
    let mut bytes = header(1, 2, 3);
    bytes.extend(record(0, &[(0, 1 << 22), (63, 1 << 63)], 64));
    bytes.extend(record(4096, &[(1, 1)], 64));
    assert_eq!(
        SequenceSet::decode(&bytes),
        Ok((set([22, 4095, 4160]), bytes.len()))
    );
    bytes[6] = 4;
    assert_eq!(SequenceSet::decode(&bytes), Err(SequenceSetError::Encoding));
}

// STORE-55 [TestSeqSetDecodeNodeCountOverflow]
#[test]
fn damaged_bytes_are_refused_before_anything_is_made() {
    for (bytes, error) in [
        (vec![], SequenceSetError::Encoding),
        (header(2, 0, 0)[..9].to_vec(), SequenceSetError::Encoding),
        (
            [&[23], &header(2, 0, 0)[1..]].concat(),
            SequenceSetError::Encoding,
        ),
        (header(3, 0, 0), SequenceSetError::Version),
        (header(0, 0, 0), SequenceSetError::Version),
        (header(1, u32::MAX, 0), SequenceSetError::Encoding),
        (header(2, u32::MAX, 0), SequenceSetError::Encoding),
        (header(2, 0x0080_0000, 0), SequenceSetError::Encoding),
        (
            [header(2, 2, 1), record(0, &[(0, 1)], 32)].concat(),
            SequenceSetError::Encoding,
        ),
        (
            [header(2, 1, 1), record(u64::MAX - 1, &[(0, 4)], 32)].concat(),
            SequenceSetError::Encoding,
        ),
    ] {
        assert_eq!(SequenceSet::decode(&bytes), Err(error), "{bytes:?}");
    }
}

// STORE-55: what the reference may write and we would not.
#[test]
fn overlapping_and_empty_records_are_read() {
    let overlapping = [
        header(2, 3, 9),
        record(1000, &[(0, 1)], 32),
        record(2048, &[(0, 3)], 32),
        record(4096, &[], 32),
    ];
    let (read, _) = SequenceSet::decode(&overlapping.concat()).unwrap();
    assert_eq!(members(&read), [1000, 2048, 2049]);
    assert_eq!(read.len(), 3);
    let twice = [
        header(2, 2, 2),
        record(0, &[(0, 1)], 32),
        record(0, &[(0, 2)], 32),
    ];
    assert_eq!(SequenceSet::decode(&twice.concat()).unwrap().0, set([0, 1]));
    let empty = [header(2, 1, 0), record(1000, &[], 32)];
    assert!(SequenceSet::decode(&empty.concat()).unwrap().0.is_empty());
}

// STORE-128 [TestNoRaceSeqSetSizeComparison]
#[test]
fn five_million_of_seven_take_less_than_two_mebibytes() {
    let mut state = 7_u64;
    let mut random = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % 7_000_001
    };
    let set: SequenceSet = (0..5_000_000).map(|_| random()).collect();
    assert!(set.memory_bytes() < 2 << 20, "{}", set.memory_bytes());
    // A table of such numbers takes at least eight bytes for each.
    assert!(set.len() * 8 > 25 * set.memory_bytes() as u64, "{}", set.len());
}

proptest! {
    // STORE-128 [TestSeqSetCorrectness]
    #[test]
    fn set_holds_what_a_tree_would_hold(
        first in proptest::option::of(0_u64..9000),
        steps in proptest::collection::vec((any::<bool>(), 0_u64..9000), 0..400),
        from in 0_u64..9000,
    ) {
        let mut set = SequenceSet::new();
        if let Some(first) = first {
            set.set_initial_min(first).unwrap();
        }
        let mut model = BTreeSet::new();
        for (insert, sequence) in steps {
            if insert {
                prop_assert_eq!(set.insert(sequence), model.insert(sequence));
            } else {
                prop_assert_eq!(set.remove(sequence), model.remove(&sequence));
            }
        }
        prop_assert_eq!(set.len(), model.len() as u64);
        prop_assert!(set.iter().eq(model.iter().copied()));
        prop_assert!(set.iter_from(from).eq(model.range(from..).copied()));
        prop_assert_eq!(set.bounds(), model.first().copied().zip(model.last().copied()));
        let span = (from..).take_while(|sequence| model.contains(sequence)).last();
        prop_assert_eq!(set.span_end(from), span);
        let bytes = encoded(&set);
        prop_assert_eq!(SequenceSet::decode(&bytes), Ok((set, bytes.len())));
    }

    // STORE-55: bytes from a disk or a peer never panic.
    #[test]
    fn no_bytes_make_it_panic(version in 0_u8..4, records in 0_u32..4, mut bytes in proptest::collection::vec(any::<u8>(), 0..1200)) {
        let mut all = header(version, records, 0);
        all.append(&mut bytes);
        if let Ok((set, taken)) = SequenceSet::decode(&all) {
            prop_assert!(taken <= all.len());
            prop_assert_eq!(set.iter().count() as u64, set.len());
        }
    }

    #[test]
    fn a_range_is_what_its_members_are(
        min in proptest::option::of(0_u64..5000),
        ranges in proptest::collection::vec((0_u64..9000, 0_u64..5000), 0..8),
    ) {
        let (mut whole, mut single) = (SequenceSet::new(), SequenceSet::new());
        if let Some(min) = min {
            whole.set_initial_min(min).unwrap();
        }
        for (first, length) in ranges {
            whole.insert_range(first, first + length);
            single.extend(first..=first + length);
        }
        prop_assert_eq!(whole.len(), single.len());
        prop_assert_eq!(whole, single);
    }
}

#[test]
fn a_range_may_reach_the_last_number_and_be_empty() {
    let mut set = SequenceSet::new();
    set.insert_range(u64::MAX - 1, u64::MAX);
    set.insert_range(7, 6);
    assert_eq!(members(&set), [u64::MAX - 1, u64::MAX]);
}
