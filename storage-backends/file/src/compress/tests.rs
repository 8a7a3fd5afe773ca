use proptest::prelude::*;

use super::*;

/// Text that compresses, without two equal pieces.
fn sample(length: usize) -> Vec<u8> {
    let lines = (0..)
        .flat_map(|line: u64| format!("line {line} {:x}\n", line.wrapping_mul(0x9e37_79b9)).into_bytes());
    lines.take(length).collect()
}

/// Bytes at which two blocks differ.
fn differing(left: &[u8], right: &[u8]) -> usize {
    assert_eq!(left.len(), right.len());
    left.iter()
        .zip(right)
        .filter(|(left, right)| left != right)
        .count()
}

// STORE-31
#[test]
fn a_file_has_header_stream_and_the_last_bytes_as_they_are() {
    let block = sample(5_000);
    let file = compress(&block).unwrap();
    assert!(file.starts_with(b"cmp\x01\x88\x27\xff\x06\x00\x00S2sTwO\x00"));
    assert!(file.ends_with(&block[block.len() - 8..]));
    assert!(file.len() < block.len());
    assert!(is_compressed(&file));
    assert_eq!(decompress(&file), Ok(block));
}

#[test]
fn blocks_of_any_length_come_back() {
    for length in [
        8,
        9,
        100,
        USUAL_CHUNK,
        USUAL_CHUNK + 8,
        USUAL_CHUNK + 9,
        3 * USUAL_CHUNK,
    ] {
        let block = sample(length);
        assert_eq!(decompress(&compress(&block).unwrap()), Ok(block), "{length}");
    }
    assert_eq!(compress(b"1234567"), Err(CompressError::TooShort));
}

// STORE-33
#[test]
fn both_identifiers_and_chunks_without_data_are_read() {
    let block = sample(5_000);
    let file = compress(&block).unwrap();
    let mut other = b"cmp\x01\x88\x27\xff\x06\x00\x00sNaPpY".to_vec();
    other.extend([0xfe, 3, 0, 0, 1, 2, 3]);
    other.extend([0x80, 0, 0, 0]);
    other.extend(&file[16..]);
    assert_eq!(decompress(&other), Ok(block));
}

// STORE-32
#[test]
fn plain_blocks_are_not_taken_for_compressed_ones() {
    let mut file = compress(&sample(100)).unwrap();
    for (at, byte) in [(3, 0), (3, 2), (0, b'C')] {
        let mut other = file.clone();
        other[at] = byte;
        // Without what follows, nothing says that it is one.
        assert!(!is_compressed(&other[..6]));
        assert!(!is_compressed(&[&other[..6], &[0; 100]].concat()));
    }
    file.truncate(4);
    assert!(!is_compressed(&file));
    assert_eq!(decompress(&file), Err(CompressError::NotCompressed));
    // P6: a plain record of 24,145,251 bytes begins so.
    assert!(!is_compressed(
        &[&24_145_251_u32.to_le_bytes()[..], &[7; 100]].concat()
    ));
}

// STORE-119: the reference loses the stream.
#[test]
fn a_damaged_byte_costs_a_chunk_at_most_wherever_it_is() {
    let block = sample(2 * USUAL_CHUNK + 5_000);
    let file = compress(&block).unwrap();
    let chunk = USUAL_CHUNK;
    let second = second_chunk(&file);
    let places = [0..40, second - 20..second + 30, file.len() - 30..file.len() - 8];
    for at in places.into_iter().flatten() {
        let mut damaged = file.clone();
        damaged[at] ^= 0x55;
        let unpacked = unpack(&damaged).unwrap_or_else(|error| panic!("{at}: {error}"));
        assert!(!unpacked.faults.is_empty(), "{at}");
        let intact = [0..chunk, chunk..2 * chunk, 2 * chunk..block.len()]
            .into_iter()
            .filter(|range| unpacked.block.get(range.clone()) == Some(&block[range.clone()]));
        assert!(intact.count() >= 2, "{at}");
    }
}

/// Where the first chunk begins.
fn first_chunk(file: &[u8]) -> usize {
    let at = file.windows(10).position(|bytes| bytes == IDENTIFIERS[0]);
    at.unwrap() + 10
}

fn second_chunk(file: &[u8]) -> usize {
    let first = first_chunk(file);
    first + 4 + u32::from_le_bytes([file[first + 1], file[first + 2], file[first + 3], 0]) as usize
}

#[test]
fn a_damaged_head_of_a_chunk_costs_nothing() {
    let block = sample(USUAL_CHUNK + 5_000);
    let file = compress(&block).unwrap();
    let (first, second) = (first_chunk(&file), second_chunk(&file));
    for at in [
        first,
        first + 1,
        first + 2,
        first + 3,
        second,
        second + 1,
        second + 2,
    ] {
        let mut damaged = file.clone();
        damaged[at] ^= 0x11;
        let unpacked = unpack(&damaged).unwrap();
        assert_eq!(differing(&unpacked.block, &block), 0, "{at}");
        assert_eq!(unpacked.faults.len(), 1, "{at}: {:?}", unpacked.faults);
    }
}

#[test]
fn a_cut_file_gives_what_is_before_the_cut() {
    let block = sample(USUAL_CHUNK + 5_000);
    let file = compress(&block).unwrap();
    let unpacked = unpack(&file[..file.len() - 1_000]).unwrap();
    assert_eq!(unpacked.block[..USUAL_CHUNK], block[..USUAL_CHUNK]);
    assert_eq!(unpacked.faults.len(), 1);
}

proptest! {
    #[test]
    fn any_bytes_are_unpacked_within_bounds(bytes in proptest::collection::vec(any::<u8>(), 0..300), cut in 0..60_usize) {
        let mut file = compress(&sample(200)).unwrap();
        file.truncate(cut.min(file.len()));
        file.extend(&bytes);
        if let Ok(unpacked) = unpack(&file) {
            prop_assert!(unpacked.block.len() <= LONGEST_BLOCK + CHUNK + TAIL);
            for fault in unpacked.faults {
                prop_assert!(fault.block.end <= unpacked.block.len() && fault.file.end <= file.len());
            }
        }
        let _ = is_compressed(&bytes);
    }

    #[test]
    fn a_damaged_file_is_never_taken_for_a_whole_one(at in 0..2_000_usize, flip in 1..=255_u8) {
        let block = sample(5_000);
        let mut file = compress(&block).unwrap();
        let at = at % (file.len() - TAIL);
        file[at] ^= flip;
        if let Ok(read) = decompress(&file) {
            prop_assert_eq!(read, block);
        }
    }
}
