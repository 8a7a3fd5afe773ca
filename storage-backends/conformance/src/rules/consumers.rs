//! What is kept of consumers.

use std::collections::BTreeMap;

use dunlin_api::{ConsumerChange, ConsumerState, PendingAck, SequencePair, StoreError};

use crate::{Make, Stand};

fn pair(consumer: u64, stream: u64) -> SequencePair {
    SequencePair { consumer, stream }
}

/// It is open once, is listed, and is deleted when it is closed.
pub fn a_consumer_has_one_store(make: Make<'_>) {
    let mut stand = Stand::new(make);
    for name in ["", "a/b", "..", "a.b"] {
        let refused = StoreError::InvalidName(name.to_owned());
        assert_eq!(stand.consumer(name).err(), Some(refused));
    }
    let consumer = stand.consumer("C").unwrap();
    let another = stand.consumer("B").unwrap();
    assert!(matches!(stand.consumer("C"), Err(StoreError::InUse(_))));
    assert!(matches!(stand.delete_consumer("C"), Err(StoreError::InUse(_))));
    assert_eq!(stand.consumers(), ["B", "C"]);
    drop((consumer, another));
    stand.delete_consumer("C").unwrap();
    stand.delete_consumer("B").unwrap();
    assert_eq!(stand.consumers(), Vec::<String>::new());
    assert_eq!(stand.delete_consumer("C"), Ok(false));
}

/// Each as it says what becomes of the state. [STORE-65]
pub fn a_consumer_keeps_its_changes(make: Make<'_>) {
    let mut stand = Stand::new(make);
    let mut consumer = stand.consumer("C").unwrap();
    assert_eq!(*consumer.state(), ConsumerState::default());
    let first = PendingAck {
        consumer: 1,
        time: 100,
    };
    let second = PendingAck {
        consumer: 2,
        time: -7,
    };
    let ticket = consumer
        .record(&[
            ConsumerChange::Delivered(pair(2, 5)),
            ConsumerChange::Pending(4, Some(first)),
            ConsumerChange::Pending(5, Some(second)),
            ConsumerChange::Redelivered(4, 3),
            ConsumerChange::Redelivered(5, 1),
        ])
        .unwrap();
    let later = consumer
        .record(&[
            ConsumerChange::AckFloor(pair(1, 4)),
            ConsumerChange::Pending(4, None),
            ConsumerChange::Redelivered(4, 0),
        ])
        .unwrap();
    assert!(later > ticket);
    let expected = ConsumerState {
        delivered: pair(2, 5),
        ack_floor: pair(1, 4),
        pending: BTreeMap::from([(5, second)]),
        redelivered: BTreeMap::from([(5, 1)]),
    };
    assert_eq!(*consumer.state(), expected);
    let metadata = consumer.set_metadata(b"{}").unwrap();
    assert!(metadata > later);
    assert_eq!(consumer.metadata(), b"{}");
    consumer.commit(metadata).unwrap();
    stand.wait_until(|_| consumer.durable() >= metadata);
}

/// Later changes go on from there.
pub fn a_consumer_is_replaced_as_a_whole(make: Make<'_>) {
    let mut stand = Stand::new(make);
    let mut consumer = stand.consumer("C").unwrap();
    consumer.record(&[ConsumerChange::Redelivered(1, 1)]).unwrap();
    let state = ConsumerState {
        delivered: pair(9, 90),
        ack_floor: pair(8, 80),
        pending: BTreeMap::from([(90, PendingAck { consumer: 9, time: 5 })]),
        redelivered: BTreeMap::new(),
    };
    let floor = ConsumerChange::AckFloor(pair(9, 90));
    consumer
        .record(&[ConsumerChange::Replace(Box::new(state.clone())), floor])
        .unwrap();
    let expected = ConsumerState {
        ack_floor: pair(9, 90),
        ..state
    };
    assert_eq!(*consumer.state(), expected);
}

/// And from the stream.
pub fn consumers_keep_apart(make: Make<'_>) {
    let mut stand = Stand::new(make);
    let mut one = stand.consumer("C").unwrap();
    let other = stand.consumer("CC").unwrap();
    one.record(&[ConsumerChange::Delivered(pair(1, 1))]).unwrap();
    one.set_metadata(b"one").unwrap();
    assert_eq!(*other.state(), ConsumerState::default());
    assert_eq!(other.metadata(), b"");
    assert_eq!(stand.metadata(), b"");
    stand.truncate(0).unwrap();
    assert_eq!(one.state().delivered, pair(1, 1));
}
