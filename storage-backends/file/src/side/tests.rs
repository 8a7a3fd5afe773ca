use proptest::prelude::*;

use super::*;
use crate::block::{BlockBuffer, BlockEvent, BlockSource};
use crate::record::{RecordKey, RecordKind};

fn key() -> RecordKey {
    RecordKey::new("S", 3)
}

/// Messages 1 to `count` with what is known of them, and where each begins.
fn block(count: u64) -> (Vec<u8>, SideBlock, Vec<usize>) {
    let mut bytes = Vec::new();
    let mut writer = SideWriter::new(3);
    let mut borders = Vec::new();
    for sequence in 1..=count {
        borders.push(bytes.len());
        let payload = format!("payload {sequence}");
        let record = Record {
            kind: RecordKind::Message,
            sequence,
            time: 1,
            subject: b"subject",
            headers: if sequence % 2 == 0 {
                b"NATS/1.0\r\n\r\n"
            } else {
                b""
            },
            payload: payload.as_bytes(),
        };
        let sum = record.encode(&key(), &mut bytes).unwrap();
        writer.record(&record, sum);
    }
    borders.push(bytes.len());
    (bytes, writer.block(), borders)
}

/// What a check says of a block, and how many records it has lost otherwise.
fn check(known: &SideBlock, bytes: &[u8]) -> (Vec<String>, usize) {
    let disk = dunlin_api::MemoryDisk::default();
    let file = dunlin_api::Disk::open(
        &disk,
        std::path::Path::new("3.blk"),
        dunlin_api::OpenMode::ReadWrite,
    );
    let file = file.unwrap();
    file.write_at(bytes, 0).unwrap();
    let key = key();
    let source = BlockSource {
        file: file.as_ref(),
        block: 3,
        key: &key,
        cipher: None,
    };
    let mut check = SideCheck::new(known);
    let mut damage = 0;
    let read = source.read(&mut BlockBuffer::default(), |event| match event {
        BlockEvent::Record { at, record, sum } => check.record(at, &record, sum),
        BlockEvent::Damage(found) => {
            damage += 1;
            check.damage(found.range);
        }
    });
    read.unwrap();
    (check.finish().iter().map(ToString::to_string).collect(), damage)
}

const NOTHING: (Vec<String>, usize) = (Vec::new(), 0);

#[test]
fn a_block_as_it_was_or_longer_is_right() {
    for count in [0, 1, 63, 64, 65, 200] {
        let (bytes, known, _) = block(count);
        assert_eq!(check(&known, &bytes), NOTHING, "{count}");
        let (longer, _, _) = block(count + 70);
        assert_eq!(check(&known, &longer), NOTHING, "{count}");
    }
}

// STORE-19: a subject's length is covered by no checksum.
#[test]
fn a_subject_that_ends_elsewhere_is_shown() {
    let (mut bytes, known, borders) = block(200);
    bytes[borders[70] + 20] -= 1;
    let (start, end) = (borders[64], borders[128]);
    let expected = format!(
        "block 3: bytes {start} to {end} are not those that were written, though every record there verifies"
    );
    assert_eq!(check(&known, &bytes), (vec![expected], 0));
}

#[test]
fn a_cut_at_a_records_end_is_shown() {
    let (bytes, known, borders) = block(200);
    for left in [0, 1, 64, 100, 199] {
        let expected = format!(
            "block 3: has {} bytes of records, and had {}",
            borders[left],
            bytes.len()
        );
        assert_eq!(
            check(&known, &bytes[..borders[left]]),
            (vec![expected], 0),
            "{left}"
        );
    }
}

#[test]
fn other_records_that_verify_are_shown() {
    let (mut bytes, known, borders) = block(100);
    let record = Record {
        kind: RecordKind::Message,
        sequence: 5,
        time: 1,
        subject: b"subject",
        headers: b"",
        payload: b"older 99?",
    };
    let mut other = Vec::new();
    record.encode(&key(), &mut other).unwrap();
    bytes.splice(borders[4]..borders[5], other);
    let (faults, damage) = check(&known, &bytes);
    assert_eq!(damage, 0);
    assert!(faults[0].starts_with("block 3: bytes 0 to"), "{faults:?}");
}

#[test]
fn damage_that_is_told_anyway_is_not_told_twice() {
    let (whole, known, borders) = block(200);
    for at in [0, borders[70] + 30, borders[199] + 30] {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        let (faults, damage) = check(&known, &bytes);
        assert_eq!((faults, damage), (Vec::new(), 1), "{at}");
    }
    let mut bytes = whole;
    bytes[borders[60]..borders[140]].fill(0);
    assert_eq!(check(&known, &bytes), (Vec::new(), 1));
    bytes.truncate(borders[199] + 5);
    assert_eq!(check(&known, &bytes), (Vec::new(), 2));
}

#[test]
fn a_writer_goes_on_where_it_was() {
    let (bytes, long, _) = block(150);
    for count in [0, 1, 64, 100, 128] {
        let (_, known, borders) = block(count);
        let (mut writer, from) = SideWriter::resume(&known);
        let start = borders.iter().position(|at| *at as u64 == from).unwrap();
        let key = key();
        let mut at = from as usize;
        while let Ok(record) = Record::decode(&bytes[at..], &key) {
            let end = at + record.length();
            writer.record(&record, *bytes[..end].last_chunk().unwrap());
            at = end;
        }
        assert_eq!(start as u64 % GROUP, 0);
        assert_eq!(writer.block(), long, "{count}");
    }
}

fn file() -> SideFile {
    let blocks = [2, 3, 9].map(|index| SideBlock {
        index,
        ..block(u64::from(index) * 40).1
    });
    SideFile {
        blocks: blocks.to_vec(),
    }
}

#[test]
fn a_file_is_read_as_it_was_written() {
    let bytes = file().encode("S");
    let read = SideFile::decode("S", &bytes).unwrap();
    assert_eq!(read, file());
    assert_eq!(read.block(3), Some(&file().blocks[1]));
    assert_eq!(read.block(4), None);
    // 12 bytes for 64 records.
    assert!(bytes.len() < 400, "{}", bytes.len());
}

#[test]
fn a_file_of_another_stream_or_version_is_refused() {
    let bytes = file().encode("S");
    assert_eq!(SideFile::decode("T", &bytes), Err(SideError::Checksum));
    let body = checked("S", &bytes).unwrap();
    let mut newer = body.to_vec();
    newer[4] = 2;
    assert_eq!(
        SideFile::decode("S", &with_checksum("S", newer)),
        Err(SideError::Version(2))
    );
    let mut renamed = body.to_vec();
    renamed[6] = b'T';
    assert_eq!(
        SideFile::decode("S", &with_checksum("S", renamed)),
        Err(SideError::Stream)
    );
    for cut in 0..body.len() {
        let cut = with_checksum("S", body[..cut].to_vec());
        assert!(SideFile::decode("S", &cut).is_err());
    }
}

proptest! {
    #[test]
    fn any_damage_to_the_file_is_found(at in 0..10_000_usize, flip in 1..=255_u8) {
        let mut bytes = file().encode("S");
        let at = at % bytes.len();
        bytes[at] ^= flip;
        prop_assert_eq!(SideFile::decode("S", &bytes), Err(SideError::Checksum));
    }

    // What a record's checksum does not cover, and what it does: one flip is told by one of the two, or costs nothing.
    #[test]
    fn every_flipped_bit_of_a_block_is_told(at in 0..100_000_usize, bit in 0..8_u8) {
        let (mut bytes, known, _) = block(150);
        let at = at % bytes.len();
        bytes[at] ^= 1 << bit;
        let (faults, damage) = check(&known, &bytes);
        prop_assert!(faults.len() + damage > 0);
    }

    #[test]
    fn any_bytes_are_a_side_file_or_an_error(body in proptest::collection::vec(any::<u8>(), 0..100)) {
        let mut body = body;
        body.splice(0..0, *b"DSID\x01\x01S");
        if let Ok(file) = SideFile::decode("S", &with_checksum("S", body)) {
            let bytes = file.encode("S");
            prop_assert_eq!(SideFile::decode("S", &bytes), Ok(file));
        }
    }
}
