//! Blocks of a file store, which another server or a failing disk has written.

use std::ops::Range;

use dunlin_api::{Secret, SeededRandom};
use dunlin_file_store::compress;
use dunlin_file_store::crypt::{Cipher, KeyRing, KeyScope};
use dunlin_file_store::record::{Record, RecordKey, RecordKind};
use dunlin_file_store::scan::{Found, Reason, Scan};
use dunlin_file_store::side::SideFile;
use dunlin_file_store::small::with_checksum;

/// The first byte says what the rest is.
pub fn blocks(data: &[u8]) {
    let [kind, bytes @ ..] = data else { return };
    match kind % 6 {
        0 => any_block(bytes),
        1 => damaged_block(bytes),
        2 => any_compressed(bytes),
        3 => damaged_compressed(bytes),
        4 => side_file(bytes),
        _ => keys(bytes),
    }
}

fn key() -> RecordKey {
    RecordKey::new("S", 1)
}

/// Walks over a block; gives where its records are, and their sequences. Every byte is a record's or damage, and what verifies is written alike.
fn walk(block: &[u8]) -> Vec<(usize, u64)> {
    let key = key();
    let (mut records, mut border, mut healed) = (Vec::new(), 0, false);
    for found in Scan::new(block, &key) {
        let range = match found {
            Found::Record { at, record } if healed => {
                healed = false;
                assert_eq!(
                    at + record.length(),
                    border,
                    "a healed record is as long as its damage"
                );
                records.push((at, record.sequence));
                continue;
            }
            Found::Record { at, record } => {
                let mut written = Vec::new();
                record.encode(&key, &mut written).expect("it was read");
                let range = at..at + record.length();
                assert_eq!(block.get(range.clone()), Some(&written[..]));
                records.push((at, record.sequence));
                range
            }
            Found::Damage { range, reason } => {
                healed = reason == Reason::Length;
                range
            }
        };
        assert_eq!(range.start, border, "no byte is passed over");
        border = range.end;
    }
    assert_eq!(border, block.len());
    records
}

fn any_block(bytes: &[u8]) {
    walk(bytes);
}

/// Some messages, and where each is. Payloads look like anything.
fn block(payload: &[u8]) -> (Vec<u8>, Vec<Range<usize>>) {
    let (mut out, mut borders) = (Vec::new(), Vec::new());
    for sequence in 1..=8 {
        let start = out.len();
        let record = Record {
            kind: RecordKind::Message,
            sequence,
            time: 1,
            subject: b"a.b",
            headers: if sequence == 3 { b"NATS/1.0\r\n\r\n" } else { b"" },
            payload: payload
                .get(..payload.len().min(sequence as usize * 9))
                .unwrap_or_default(),
        };
        record.encode(&key(), &mut out).expect("it is short");
        borders.push(start..out.len());
    }
    (out, borders)
}

/// Changes bytes at places that the input names; gives these.
fn change(target: &mut [u8], edits: &[u8]) -> Vec<usize> {
    let mut places = Vec::new();
    for edit in edits.chunks_exact(3).take(8) {
        let [high, low, value] = edit else { continue };
        let at = usize::from(u16::from_be_bytes([*high, *low])) % target.len().max(1);
        if let Some(byte) = target.get_mut(at)
            && *byte != *value
        {
            *byte = *value;
            places.push(at);
        }
    }
    places
}

/// Damage costs the records that it touches, and no other.
fn damaged_block(bytes: &[u8]) {
    let (edits, payload) = bytes.split_at(bytes.len().min(6));
    let (whole, borders) = block(payload);
    let mut damaged = whole.clone();
    let places = change(&mut damaged, edits);
    let found = walk(&damaged);
    for (sequence, range) in (1..).zip(&borders) {
        let is_whole = !places.iter().any(|at| range.contains(at));
        let is_found = found.contains(&(range.start, sequence));
        assert!(
            is_found || !is_whole,
            "{sequence} is lost by changes at {places:?}"
        );
    }
}

fn any_compressed(bytes: &[u8]) {
    let _ = compress::may_be_compressed(bytes);
    let Ok(unpacked) = compress::unpack(bytes) else {
        return;
    };
    for fault in &unpacked.faults {
        assert!(fault.file.end <= bytes.len() && fault.block.end <= unpacked.block.len());
    }
    let whole = compress::decompress(bytes);
    assert_eq!(whole.is_ok(), unpacked.faults.is_empty());
}

/// A changed file is told, or says the same.
fn damaged_compressed(bytes: &[u8]) {
    let (edits, payload) = bytes.split_at(bytes.len().min(6));
    let (whole, _) = block(payload);
    let mut file = compress::compress(&whole).expect("it is long enough");
    let body = file.len() - 8;
    change(file.get_mut(..body).unwrap_or_default(), edits);
    if let Ok(read) = compress::decompress(&file) {
        assert_eq!(read, whole);
    }
}

fn side_file(bytes: &[u8]) {
    let _ = SideFile::decode("S", bytes);
    let known = with_checksum("S", bytes.to_vec());
    if let Ok(file) = SideFile::decode("S", &known) {
        assert_eq!(SideFile::decode("S", &file.encode("S")), Ok(file));
    }
}

fn keys(bytes: &[u8]) {
    let ring = KeyRing::new(Cipher::ChaCha, Secret::new("one"), Some(Secret::new("two")));
    assert!(ring.unwrap("$G", KeyScope::Stream("S"), bytes).is_err());
    let (key, file) = ring.generate("$G", KeyScope::Stream("S"), &SeededRandom::new(1));
    assert!(key.open(bytes).is_err());
    let mut damaged = file;
    if !change(&mut damaged, bytes).is_empty() {
        assert!(ring.unwrap("$G", KeyScope::Stream("S"), &damaged).is_err());
    }
}
