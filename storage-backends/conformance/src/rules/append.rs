//! Staging and skipping.

use dunlin_api::{NewMessage, Purge, Removal, StorageType, StoreError, StoredMessage, StreamState, Ticket};

use crate::stand::{answer, message};
use crate::{Make, Stand};

/// Zeros, and the first message gets sequence 1. [STORE-80]
pub fn a_new_stream_holds_nothing(make: Make<'_>) {
    let mut stand = Stand::new(make);
    assert_eq!(stand.state(), StreamState::default());
    assert_eq!(stand.at_or_after(0), None);
    assert_eq!(stand.at_or_before(u64::MAX), None);
    assert_eq!((stand.staged(), stand.durable()), (Ticket(0), Ticket(0)));
    assert_eq!(stand.storage(), StorageType::File);
    assert_eq!(stand.stage(&message("a", 5, b"")).unwrap().sequence, 1);
    let state = StreamState {
        messages: 1,
        bytes: 31,
        first: 1,
        first_time: 5,
        last: 1,
        last_time: 5,
        subjects: 1,
    };
    assert_eq!(stand.state(), state);
}

/// Whatever bytes it has: none, all of them, a megabyte. [STORE-140]
pub fn a_message_comes_back_as_it_was_staged(make: Make<'_>) {
    let mut stand = Stand::new(make);
    let all: Vec<u8> = (0..=255).collect();
    let large: Vec<u8> = (0..1_000_000_u32).map(|n| (n % 251) as u8).collect();
    let headers = b"NATS/1.0\r\nA: b\r\n\r\n";
    let bodies: [(&[u8], &[u8]); 6] = [
        (b"", b""),
        (b"", b"hello"),
        (headers, b""),
        (headers, &all),
        (&all, &large),
        (b"", &[0; 70]),
    ];
    let mut expected = Vec::new();
    for (time, (headers, payload)) in (1_700_000_000_000_000_000..).zip(bodies) {
        let subject = format!("a.{time}.b");
        let new = NewMessage {
            headers,
            ..message(&subject, time, payload)
        };
        let staged = stand.stage(&new).unwrap();
        assert_eq!(
            staged.size,
            StorageType::File.message_size(subject.as_bytes(), headers, payload)
        );
        expected.push(StoredMessage::new(&new, staged.sequence));
    }
    stand.settle();
    stand.harness.cool();
    for message in &expected {
        assert_eq!(answer(stand.load(message.sequence)).as_ref(), Some(message));
    }
}

/// Also in the state, and when it goes. [STORE-18, STORE-81]
pub fn a_message_counts_by_the_storage_type(make: Make<'_>) {
    for (storage, size) in [(StorageType::File, 30), (StorageType::Memory, 16)] {
        let mut stand = Stand::with(make, storage, |_| ());
        assert_eq!(stand.storage(), storage);
        assert_eq!(stand.stage(&message("abc", 1, b"hello")).unwrap().size, size + 8);
        stand.fill(&["a"]);
        assert_eq!(stand.state().bytes, 2 * size + 10);
        assert_eq!(stand.remove(1, Removal::Remove), Ok(Some(size + 8)));
        assert_eq!(stand.state().bytes, size + 2);
        assert_eq!(stand.purge(&Purge::default()).unwrap().bytes, size + 2);
    }
}

/// And leaves no trace. The one that follows is taken. [STORE-85]
pub fn a_sequence_that_does_not_follow_is_refused(make: Make<'_>) {
    let mut stand = Stand::new(make);
    stand.fill(&["a"]);
    let before = (stand.state(), stand.staged());
    for given in [0, 1, 3, u64::MAX] {
        let wrong = NewMessage {
            sequence: Some(given),
            ..message("a", 2, b"")
        };
        let mismatch = StoreError::SequenceMismatch { expected: 2, given };
        assert_eq!(stand.stage(&wrong), Err(mismatch));
    }
    assert_eq!((stand.state(), stand.staged()), before);
    let right = NewMessage {
        sequence: Some(2),
        ..message("a", 2, b"")
    };
    assert_eq!(stand.stage(&right).unwrap().sequence, 2);
}

/// To the nanosecond, and where they step back. [STORE-88, STORE-140]
pub fn times_are_kept_as_given(make: Make<'_>) {
    let mut stand = Stand::new(make);
    let times = [
        1_700_000_000_123_456_789,
        1_700_000_000_123_456_790,
        1_600_000_000_000_000_001,
        0,
        -5,
    ];
    for time in times {
        stand.stage(&message("a", time, b"")).unwrap();
        assert_eq!(stand.state().last_time, time);
    }
    assert_eq!(stand.state().first_time, times[0]);
    for (sequence, time) in (1..).zip(times) {
        assert_eq!(answer(stand.load(sequence)).unwrap().time, time);
    }
}

/// An empty stream begins after them; their time becomes the last where it is given. [STORE-88, STORE-142]
pub fn skipped_sequences_hold_nothing(make: Make<'_>) {
    let mut stand = Stand::new(make);
    stand.skip(5, Some(7)).unwrap();
    assert_eq!(stand.bounds(), (0, 6, 5));
    assert_eq!((stand.state().first_time, stand.state().last_time), (0, 7));
    stand.skip(1, None).unwrap();
    assert_eq!(stand.state().last_time, 7);
    stand.stage(&message("a", 8, b"")).unwrap();
    assert_eq!((stand.bounds(), stand.state().first_time), ((1, 7, 7), 8));
    stand.skip(10_000, None).unwrap();
    stand.skip(2, Some(5)).unwrap();
    assert_eq!((stand.bounds(), stand.state().last_time), ((1, 7, 10_009), 5));
    stand.skip(0, None).unwrap();
    stand.stage(&message("a", 9, b"")).unwrap();
    assert_eq!(stand.sequences(), [7, 10_010]);
    assert_eq!(stand.state().deleted(), 10_002);
    assert_eq!(stand.heard.usage().0, 2);
}

/// A change that would go beyond leaves no trace.
pub fn a_skip_ends_where_sequences_do(make: Make<'_>) {
    let mut stand = Stand::new(make);
    stand.fill(&["a"]);
    let before = stand.state();
    assert!(matches!(stand.skip(u64::MAX, None), Err(StoreError::Full(_))));
    assert_eq!(stand.state(), before);
}

/// Each append, and what every way of taking messages away takes. [STORE-82]
pub fn the_observer_hears_every_change_of_use(make: Make<'_>) {
    let mut stand = Stand::new(make);
    let check = |stand: &Stand| {
        let state = stand.state();
        assert_eq!(stand.heard.usage(), (state.messages as i64, state.bytes as i64));
    };
    stand.fill(&["a", "b", "a", "b", "a", "b", "a", "b", "a", "b", "a", "b"]);
    check(&stand);
    stand.remove(2, Removal::Remove).unwrap();
    check(&stand);
    stand.remove(3, Removal::Erase).unwrap();
    check(&stand);
    stand.truncate(11).unwrap();
    check(&stand);
    stand.compact(5).unwrap();
    check(&stand);
    let b = crate::stand::filter("b").to_owned();
    let purge = Purge {
        filter: Some(b),
        ..Purge::default()
    };
    stand.purge(&purge).unwrap();
    check(&stand);
    assert_eq!(stand.heard.usage(), (4, 128));
    stand.purge(&Purge::default()).unwrap();
    assert_eq!(stand.heard.usage(), (0, 0));
}

/// And the mark follows them in order.
pub fn each_change_has_a_later_ticket(make: Make<'_>) {
    let mut stand = Stand::new(make);
    let mut last = stand.staged();
    let mut later = |stand: &mut Stand, what: &str| {
        assert!(stand.staged() > last, "{what}");
        assert!(stand.durable() <= stand.staged());
        last = stand.staged();
    };
    let staged = stand.stage(&message("a", 1, b"")).unwrap();
    assert_eq!(staged.ticket, stand.staged());
    later(&mut stand, "stage");
    stand.fill(&["a", "a", "a"]);
    later(&mut stand, "stage");
    stand.skip(3, None).unwrap();
    later(&mut stand, "skip");
    stand.remove(1, Removal::Remove).unwrap();
    later(&mut stand, "remove");
    stand.truncate(3).unwrap();
    later(&mut stand, "truncate");
    stand.compact(3).unwrap();
    later(&mut stand, "compact");
    stand.set_metadata(b"{}").unwrap();
    later(&mut stand, "metadata");
    stand.settle();
    assert_eq!(stand.commit(Ticket(0)), Ok(stand.staged()));
}
