use std::path::Path;
use std::sync::Arc;

use dunlin_api::{Disk, MemoryDisk, OpenMode, Secret, SeededRandom};

use super::*;
use crate::crypt::{Cipher, KeyRing, KeyScope};

fn key() -> RecordKey {
    RecordKey::new("S", 7)
}

/// Messages 1 to `count`, each with a payload of `size` bytes, and where each begins.
fn block(count: u64, size: usize) -> (Vec<u8>, Vec<usize>) {
    let mut bytes = Vec::new();
    let mut borders = Vec::new();
    for sequence in 1..=count {
        borders.push(bytes.len());
        let payload = sequence.to_le_bytes().repeat(size / 8);
        let record = Record {
            kind: RecordKind::Message,
            sequence,
            time: 5,
            subject: b"a",
            headers: b"",
            payload: &payload,
        };
        record.encode(&key(), &mut bytes).unwrap();
    }
    borders.push(bytes.len());
    (bytes, borders)
}

fn stored(bytes: &[u8]) -> Box<dyn DiskFile> {
    let disk = MemoryDisk::default();
    let file = disk.open(Path::new("7.blk"), OpenMode::ReadWrite).unwrap();
    file.write_at(bytes, 0).unwrap();
    file
}

/// Sequences, offsets and damage of a block's file.
fn read_with(file: &dyn DiskFile, cipher: Option<&BlockCipher>) -> (Vec<(u64, u64)>, Vec<String>, BlockForm) {
    let key = key();
    let source = BlockSource {
        file,
        block: 7,
        key: &key,
        cipher,
    };
    let (mut records, mut damage) = (Vec::new(), Vec::new());
    let form = source.read(&mut BlockBuffer::default(), |event| match event {
        BlockEvent::Record { at, record, .. } => records.push((record.sequence, at)),
        BlockEvent::Damage(found) => damage.push(found.to_string()),
    });
    (records, damage, form.unwrap())
}

fn read(bytes: &[u8]) -> (Vec<(u64, u64)>, Vec<String>, BlockForm) {
    read_with(stored(bytes).as_ref(), None)
}

fn expected(borders: &[usize]) -> Vec<(u64, u64)> {
    let starts = borders.split_last().unwrap().1;
    (1..).zip(starts.iter().map(|at| *at as u64)).collect()
}

#[test]
fn a_block_longer_than_the_window_is_read_whole() {
    for size in [64, 5_000, WINDOW - 10, 3 * WINDOW] {
        let (bytes, borders) = block(20, size);
        let (records, damage, form) = read(&bytes);
        assert_eq!(records, expected(&borders), "{size}");
        assert!(damage.is_empty());
        assert_eq!(form.length, bytes.len() as u64);
        assert!(bytes.ends_with(&form.last_sum));
        assert!(!form.is_compressed);
    }
}

#[test]
fn an_empty_block_has_nothing() {
    let (records, damage, form) = read(&[]);
    assert_eq!(
        (records, damage, form),
        (Vec::new(), Vec::new(), BlockForm::default())
    );
}

// STORE-34, STORE-41
#[test]
fn every_form_of_a_file_gives_the_same_records() {
    let (plain, borders) = block(300, 1_000);
    let random = SeededRandom::new(1);
    for cipher in [None, Some(Cipher::ChaCha), Some(Cipher::Aes)] {
        let cipher = cipher.map(|cipher| {
            let ring = KeyRing::new(cipher, Secret::new("key"), None);
            ring.generate("$G", KeyScope::Block("S", 7), &random)
                .0
                .block_cipher()
        });
        for is_compressed in [false, true] {
            let mut file = if is_compressed {
                compress::compress(&plain).unwrap()
            } else {
                plain.clone()
            };
            let file_length = file.len() as u64;
            if let Some(cipher) = &cipher {
                cipher.apply(0, &mut file);
            }
            let (records, damage, form) = read_with(stored(&file).as_ref(), cipher.as_ref());
            assert_eq!(records, expected(&borders));
            assert!(damage.is_empty(), "{damage:?}");
            let last_sum = *plain.last_chunk().unwrap();
            let length = plain.len() as u64;
            assert_eq!(
                form,
                BlockForm {
                    file_length,
                    length,
                    is_compressed,
                    last_sum
                }
            );
        }
    }
}

#[test]
fn damage_is_told_with_the_sequences_around_it() {
    let (mut bytes, borders) = block(400, 1_000);
    bytes[borders[9] + 100] ^= 1;
    bytes[borders[299] + 100..borders[301] + 50].fill(0);
    bytes.truncate(borders[399] + 20);
    let (records, damage, form) = read(&bytes);
    let lost = [10, 300, 301, 302, 400];
    let mut left = expected(&borders);
    left.retain(|(sequence, _)| !lost.contains(sequence));
    assert_eq!(records, left);
    let expected = [
        format!(
            "block 7: bytes {} to {} (sequence 10): invalid checksum",
            borders[9], borders[10]
        ),
        format!(
            "block 7: bytes {} to {} (sequences 300 to 302): invalid checksum",
            borders[299], borders[302]
        ),
        format!(
            "block 7: bytes {} to {} (sequences from 400): the block ends inside a record",
            borders[399],
            bytes.len()
        ),
    ];
    assert_eq!(damage, expected);
    assert_eq!(form.last_sum, bytes[borders[399] - 8..borders[399]]);
}

// STORE-119: the reference deletes the stream's directory.
#[test]
fn a_damaged_chunk_of_a_compressed_block_is_told_and_costs_its_own_records() {
    let (plain, _) = block(3_000, 1_000);
    let mut file = compress::compress(&plain).unwrap();
    let at = file.len() / 2;
    file[at] ^= 1;
    let (records, damage, form) = read(&file);
    assert!(form.is_compressed);
    assert!(records.len() > 1_900, "{}", records.len());
    assert!(
        damage.iter().any(|damage| damage.ends_with("s2: corrupt input")),
        "{damage:?}"
    );
}

// P6
#[test]
fn a_plain_block_that_begins_like_a_compressed_one_is_read() {
    let payload = vec![b'x'; 24_145_251 - 31];
    let record = Record {
        kind: RecordKind::Message,
        sequence: 1,
        time: 5,
        subject: b"a",
        headers: b"",
        payload: &payload,
    };
    let mut bytes = Vec::new();
    record.encode(&key(), &mut bytes).unwrap();
    assert!(bytes.starts_with(b"cmp\x01"));
    let (records, damage, form) = read(&bytes);
    assert_eq!(records, [(1, 0)]);
    assert!(damage.is_empty() && !form.is_compressed);
}

/// A file with bytes that the disk does not give.
struct BadSector {
    file: Arc<dyn DiskFile>,
    bad: Range<u64>,
}

impl DiskFile for BadSector {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let end = offset + buffer.len() as u64;
        if offset < self.bad.end && self.bad.start < end {
            return Err(io::Error::from_raw_os_error(5));
        }
        self.file.read_at(buffer, offset)
    }

    fn write_at(&self, _: &[u8], _: u64) -> io::Result<()> {
        panic!("reading writes nothing")
    }

    fn sync(&self) -> io::Result<()> {
        panic!("reading syncs nothing")
    }

    fn set_len(&self, _: u64) -> io::Result<()> {
        panic!("reading cuts nothing")
    }

    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn lock(&self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_bad_sector_costs_what_lies_on_it() {
    let (bytes, borders) = block(400, 1_000);
    let bad = 10 * 4_096..11 * 4_096;
    let file = BadSector {
        file: Arc::from(stored(&bytes)),
        bad: bad.clone(),
    };
    let (records, damage, _) = read_with(&file, None);
    let touched = |at: u64| at < bad.end && bad.start < at + 1_031;
    let mut left = expected(&borders);
    left.retain(|(_, at)| !touched(*at));
    assert_eq!(records, left);
    assert_eq!(damage.len(), 1);
    assert!(damage[0].contains("unreadable: "), "{damage:?}");
}

#[test]
fn a_file_that_cannot_be_read_at_all_is_an_error() {
    let file = BadSector {
        file: Arc::from(stored(&block(3, 8).0)),
        bad: 0..1_000,
    };
    let key = key();
    let source = BlockSource {
        file: &file,
        block: 7,
        key: &key,
        cipher: None,
    };
    assert!(source.read(&mut BlockBuffer::default(), |_| ()).is_err());
}
