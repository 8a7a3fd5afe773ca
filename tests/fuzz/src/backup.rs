//! Backups: what a client sends to be restored.

use dunlin_api::StorageType;
use dunlin_backup::archive::{EntryHead, MAGIC, write_entry};
use dunlin_backup::s2::{S2Decoder, compress};
use dunlin_backup::{BackupLimits, BackupReader, FilesReader, Part};

const LIMITS: BackupLimits = BackupLimits {
    max_payload: 100_000,
    max_message_size: None,
    storage: StorageType::File,
};

/// A backup as it comes, the archive inside one, and the tar inside one. However it is cut, the parts are the same; what
/// is compressed comes back.
pub fn backup(data: &[u8]) {
    check_s2(data);
    let archive = compress(&[MAGIC, data].concat());
    let behind_state = {
        let json = br#"{"messages":1,"first_seq":1,"last_seq":9000,"consumer_count":0}"#;
        let head = EntryHead {
            name: b"state.json".to_vec(),
            payload_size: json.len() as u64,
            ..EntryHead::default()
        };
        let mut out = Vec::new();
        write_entry(&mut out, true, &head, &[json]).expect("a vector takes all");
        out.extend_from_slice(data);
        compress(&out)
    };
    for input in [data, &archive, &behind_state] {
        let whole = parts(input, input.len());
        assert_eq!(parts(input, 7), whole, "cut in pieces it is the same");
    }
    let tar = compress(data);
    for input in [data, &tar] {
        let whole = files(input, input.len());
        assert_eq!(files(input, 7), whole, "cut in pieces it is the same");
    }
}

fn check_s2(data: &[u8]) {
    let mut decoder = S2Decoder::default();
    decoder.feed(&compress(data));
    let mut out = Vec::new();
    while decoder.next_chunk(&mut out).expect("it was compressed here") {}
    decoder.finish().expect("it is whole");
    assert_eq!(out, data);
}

/// What is read until the end or an error, as text.
fn parts(input: &[u8], step: usize) -> Vec<String> {
    let mut reader = BackupReader::new(LIMITS);
    let mut parts = Vec::new();
    let mut last = 0;
    for piece in input.chunks(step.max(1)) {
        reader.feed(piece);
        loop {
            match reader.next_part() {
                Ok(Some(part)) => {
                    if let Part::Message(message) = &part {
                        assert!(message.sequence > last, "sequences rise");
                        assert!(message.headers().len() + message.payload().len() <= 100_000);
                        last = message.sequence;
                    }
                    parts.push(format!("{part:?}"));
                }
                Ok(None) => break,
                Err(error) => {
                    parts.push(error.to_string());
                    return parts;
                }
            }
        }
    }
    parts.push(format!("{:?}", reader.finish()));
    parts
}

fn files(input: &[u8], step: usize) -> Vec<String> {
    let mut reader = FilesReader::default();
    let mut files = Vec::new();
    for piece in input.chunks(step.max(1)) {
        reader.feed(piece);
        loop {
            match reader.next_file(100_000) {
                Ok(Some((file, body))) => {
                    let name = file.to_string();
                    assert!(
                        !name.split('/').any(|part| matches!(part, "" | "." | "..")),
                        "{name}"
                    );
                    files.push(format!("{name} {body:?}"));
                }
                Ok(None) => break,
                Err(error) => {
                    files.push(error.to_string());
                    return files;
                }
            }
        }
    }
    files.push(format!("{:?}", reader.finish()));
    files
}
