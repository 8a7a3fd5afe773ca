use dunlin_api::{ConsumerState, PendingAck, SequencePair, StreamState};
use proptest::prelude::*;

use super::*;
use crate::BackupWriter;
use crate::archive::write_entry;
use crate::s2::compress;

const LIMITS: BackupLimits = BackupLimits {
    max_payload: 100,
    max_message_size: Some(50),
    storage: StorageType::File,
};

const MADE: i64 = 1_795_361_314_002_834_335;

fn read(backup: &[u8], step: usize) -> Result<Vec<Part>, BackupError> {
    let mut reader = BackupReader::new(LIMITS);
    let mut parts = Vec::new();
    for piece in backup.chunks(step.max(1)) {
        reader.feed(piece);
        while let Some(part) = reader.next_part()? {
            parts.push(part);
        }
    }
    reader.finish()?;
    Ok(parts)
}

fn stream(messages: u64, first: u64, last: u64) -> StreamState {
    StreamState {
        messages,
        first,
        last,
        ..StreamState::default()
    }
}

/// An archive of entries as they are given, each a name, a sequence and its bytes.
fn backup(entries: &[(&str, u64, &[u8])]) -> Vec<u8> {
    let mut out = Vec::new();
    for (at, (name, sequence, body)) in entries.iter().enumerate() {
        let head = EntryHead {
            name: (*name).into(),
            sequence: *sequence,
            payload_size: body.len() as u64,
            ..EntryHead::default()
        };
        write_entry(&mut out, at == 0, &head, &[body]).unwrap();
    }
    compress(&out)
}

fn said(entries: &[(&str, u64, &[u8])]) -> String {
    let read = read(&backup(entries), 1_000);
    read.map_or_else(
        |error| error.to_string(),
        |parts| format!("{} parts", parts.len()),
    )
}

const END: (&str, u64, &[u8]) = ("", 0, b"");

fn state(json: &'static str) -> (&'static str, u64, &'static [u8]) {
    ("state.json", 0, json.as_bytes())
}

const TWO: &str = r#"{"messages":2,"first_seq":1,"last_seq":9,"consumer_count":0}"#;

// STORE-74, STORE-76: a backup that the reference has made.
#[test]
fn a_backup_of_the_reference_is_read_as_it_was_written() {
    let backup = include_bytes!("../../tests/K.s2");
    for step in [1, 100, backup.len()] {
        let parts = read(backup, step).unwrap();
        let [
            Part::State(state),
            Part::Consumer(consumer),
            messages @ ..,
            Part::End,
        ] = parts.as_slice()
        else {
            panic!("{parts:?}");
        };
        assert_eq!(
            (state.stream.messages, state.stream.bytes, state.stream.subjects),
            (4, 128, 1)
        );
        assert_eq!(consumer.name, "c");
        assert!(
            consumer.config.starts_with(r#"{"durable_name":"c","name":"c","#),
            "{}",
            consumer.config
        );
        let delivered = SequencePair {
            consumer: 6,
            stream: 4,
        };
        assert_eq!(
            (consumer.state.delivered, consumer.state.pending.len()),
            (delivered, 4)
        );
        let messages: Vec<_> = messages
            .iter()
            .map(|part| match part {
                Part::Message(message) => (message.sequence, message.subject.as_bytes(), message.payload()),
                other => panic!("{other:?}"),
            })
            .collect();
        let expected: [(u64, &[u8], &[u8]); 4] =
            [(1, b"k", b"0"), (2, b"k", b"1"), (3, b"k", b"2"), (4, b"k", b"3")];
        assert_eq!(messages, expected);
    }
}

// STORE-76: written again it holds the same archive, byte for byte.
#[test]
fn a_backup_that_is_read_and_written_again_is_the_same() {
    let theirs = include_bytes!("../../tests/K.s2");
    let mut writer = None;
    for part in read(theirs, 1_000).unwrap() {
        match part {
            Part::State(state) => writer = Some(BackupWriter::begin(Vec::new(), state, MADE).unwrap()),
            Part::Consumer(consumer) => writer.as_mut().unwrap().consumer(&consumer).unwrap(),
            Part::Message(message) => writer.as_mut().unwrap().message(&message.as_new()).unwrap(),
            Part::End => {}
        }
    }
    let ours = writer.unwrap().finish().unwrap();
    assert_eq!(plain(&ours), plain(theirs));
}

fn plain(stream: &[u8]) -> Vec<u8> {
    let mut decoder = S2Decoder::default();
    decoder.feed(stream);
    let mut out = Vec::new();
    while decoder.next_chunk(&mut out).unwrap() {}
    out
}

// STORE-77 [TestJetStreamRestoreBadStream]
#[test]
fn a_backup_in_another_order_is_refused_in_the_words_of_the_reference() {
    let one = ("foo", 1, &b"hi"[..]);
    let consumers = r#"{"messages":2,"first_seq":1,"last_seq":9,"consumer_count":1}"#;
    assert_eq!(said(&[state(TWO), one, ("foo", 9, b"hi"), END]), "4 parts");
    assert_eq!(said(&[one]), "expected state.json first");
    assert_eq!(
        said(&[state(consumers), one]),
        r#"expected consumer, found "foo""#
    );
    assert_eq!(
        said(&[state(TWO), ("x", 0, b""), END]),
        "expected message sequence"
    );
    assert_eq!(said(&[state(TWO), one, one]), "message sequence 1 out of order");
    let later = r#"{"messages":2,"first_seq":5,"last_seq":9,"consumer_count":0}"#;
    assert_eq!(
        said(&[state(later), ("foo", 4, b"")]),
        "message sequence 4 out of order"
    );
    assert_eq!(
        said(&[state(TWO), ("foo..bar", 1, b"")]),
        "invalid subject for message sequence 1"
    );
    assert_eq!(
        said(&[state(TWO), ("foo.*", 1, b"")]),
        "invalid subject for message sequence 1"
    );
}

// STORE-77 [TestJetStreamSnapshotsAPIRestoreLimits]
#[test]
fn a_message_above_a_limit_is_refused_before_it_is_read() {
    assert_eq!(
        said(&[state(TWO), ("foo", 1, &[0; 101])]),
        "message sequence 1 exceeds maximum payload size"
    );
    assert_eq!(
        said(&[state(TWO), ("foo", 1, &[0; 51])]),
        "message sequence 1 exceeds maximum message size"
    );
    let name = "a".repeat(1 << 20);
    let limits = BackupLimits {
        max_payload: u64::MAX,
        max_message_size: None,
        ..LIMITS
    };
    let body = vec![0; 31 << 20];
    let mut reader = BackupReader::new(limits);
    reader.feed(&backup(&[state(TWO), (&name, 1, &body)]));
    reader.next_part().unwrap();
    let refused = reader.next_part().unwrap_err().to_string();
    assert_eq!(
        refused,
        "snapshot message bytes exceed maximum store message size"
    );
}

// STORE-77
#[test]
fn a_backup_without_its_end_mark_was_truncated() {
    let whole = backup(&[state(TWO), ("foo", 1, b"hi"), END]);
    for cut in 0..whole.len() {
        assert!(read(&whole[..cut], 64).is_err(), "cut at {cut}");
    }
    assert_eq!(said(&[state(TWO), ("foo", 1, b"hi")]), "backup was truncated");
}

// STORE-77
#[test]
fn a_state_whose_figures_contradict_each_other_is_refused() {
    let said = |json| said(&[state(json), END]);
    let inconsistent = "invalid stream state: inconsistent message count or sequence range";
    assert!(said("{").starts_with("error in state.json: "));
    assert!(said(r#"{"consumer_count":-1}"#).starts_with("error in state.json: "));
    assert_eq!(said("{}"), "2 parts");
    assert_eq!(said(r#"{"messages":1}"#), inconsistent);
    assert_eq!(said(r#"{"first_seq":8,"last_seq":7}"#), "2 parts");
    assert_eq!(said(r#"{"first_seq":9,"last_seq":7}"#), inconsistent);
    assert_eq!(said(r#"{"first_seq":8,"last_seq":7,"messages":1}"#), inconsistent);
    assert_eq!(said(r#"{"first_seq":1,"last_seq":7,"messages":7}"#), "2 parts");
    let many = said(r#"{"first_seq":1,"last_seq":7,"messages":8}"#);
    assert_eq!(many, "invalid stream state: message count exceeds sequence range");
}

// STORE-77
#[test]
fn a_consumer_that_lacks_a_part_is_refused() {
    let consumers = r#"{"first_seq":1,"last_seq":0,"consumer_count":1}"#;
    let said = |json: &str| said(&[state(consumers), ("consumers/c", 0, json.as_bytes()), END]);
    assert_eq!(said(r#"{"config":{},"state":{}}"#), "3 parts");
    assert_eq!(said(r#"{"state":{}}"#), r#"consumer "c" is missing config"#);
    assert_eq!(said(r#"{"config":{}}"#), r#"consumer "c" is missing state"#);
    assert!(said("[]").starts_with(r#"failed to decode consumer "c" state: "#));
}

// 2022-26652: a name in a backup is a text and never a path, wherever it points.
#[test]
fn a_name_that_points_elsewhere_is_only_a_name() {
    let consumers = r#"{"first_seq":1,"last_seq":0,"consumer_count":1}"#;
    let parts = read(
        &backup(&[
            state(consumers),
            ("consumers/../../../etc/passwd", 0, br#"{"config":{},"state":{}}"#),
            END,
        ]),
        1_000,
    );
    let Ok([Part::State(_), Part::Consumer(consumer), Part::End]) = parts.as_deref() else {
        panic!("{parts:?}");
    };
    assert_eq!(consumer.name, "../../../etc/passwd");
    assert!(
        !dunlin_api::is_store_name(&consumer.name),
        "no store opens a consumer of that name"
    );
}

// STORE-76 [TestJetStreamSnapshotV2ClampsConsumerStateToStream]
#[test]
fn a_consumer_that_has_moved_on_is_written_as_of_the_streams_last_sequence() {
    let at = |consumer, stream| SequencePair { consumer, stream };
    let pending = |consumer| PendingAck { consumer, time: 1 };
    let consumer = BackupConsumer {
        name: "c".to_owned(),
        config: "{}".into(),
        state: ConsumerState {
            delivered: at(20, 12),
            ack_floor: at(15, 11),
            pending: [(9, pending(3)), (11, pending(4))].into(),
            redelivered: [(9, 1), (11, 1)].into(),
        },
    };
    let state = BackupState {
        stream: stream(0, 11, 10),
        consumers: 1,
    };
    let mut writer = BackupWriter::begin(Vec::new(), state, 0).unwrap();
    writer.consumer(&consumer).unwrap();
    let parts = read(&writer.finish().unwrap(), 1_000).unwrap();
    let [_, Part::Consumer(read), _] = parts.as_slice() else {
        panic!("{parts:?}");
    };
    assert_eq!(
        (read.state.delivered, read.state.ack_floor),
        (at(20, 10), at(15, 10))
    );
    assert_eq!(read.state.pending, [(9, pending(3))].into());
    assert_eq!(read.state.redelivered, [(9, 1)].into());
}

proptest! {
    // STORE-76, STORE-77
    #[test]
    fn messages_come_back_as_they_were_written(
        messages in proptest::collection::vec(
            (1..5_u64, "[a-z]{1,5}(\\.[a-z]{1,5})?", any::<i64>(), proptest::collection::vec(any::<u8>(), 0..20), "[ -~]{0,20}"),
            0..30,
        ),
        step in 1..500_usize,
    ) {
        let mut sequence = 0;
        let messages: Vec<_> = messages
            .into_iter()
            .map(|(gap, subject, time, headers, payload)| {
                sequence += gap;
                (sequence, subject, time, headers, payload)
            })
            .collect();
        let state = BackupState {
            stream: stream(messages.len() as u64, 1, sequence),
                consumers: 0,
        };
        let mut writer = BackupWriter::begin(Vec::new(), state, MADE).unwrap();
        for (sequence, subject, time, headers, payload) in &messages {
            let message = NewMessage {
                sequence: Some(*sequence),
                time: *time,
                subject: Subject::new(subject.as_bytes()).unwrap(),
                headers,
                payload: payload.as_bytes(),
            };
            writer.message(&message).unwrap();
        }
        let parts = read(&writer.finish().unwrap(), step).unwrap();
        prop_assert_eq!(parts.len(), messages.len() + 2);
        for (part, (sequence, subject, time, headers, payload)) in parts[1..].iter().zip(&messages) {
            let Part::Message(read) = part else {
                panic!("{part:?}");
            };
            prop_assert_eq!((read.sequence, read.time), (*sequence, *time));
            prop_assert_eq!(read.subject.as_bytes(), subject.as_bytes());
            prop_assert_eq!((read.headers(), read.payload()), (headers.as_slice(), payload.as_bytes()));
        }
    }

    // STORE-181
    #[test]
    fn any_bytes_are_answered(bytes: Vec<u8>) {
        let _ = read(&bytes, 10);
        let _ = read(&compress(&bytes), 10);
        let _ = read(&compress(&[crate::archive::MAGIC.as_slice(), &bytes].concat()), 10);
    }
}
