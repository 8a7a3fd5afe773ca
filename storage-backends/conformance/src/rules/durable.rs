//! What survives. A backend that promises nothing passes.

use dunlin_api::{
    ConsumerChange, Counting, FilterBuf, Purge, PurgeExtent, Removal, SequencePair, StreamStore, TimerKind,
};

use crate::stand::{answer, filter, id, message};
use crate::{Make, Stand};

/// A change of a stream.
type Change = dyn Fn(&mut dyn StreamStore);

fn durable(make: Make<'_>) -> Option<Stand> {
    let stand = Stand::new(make);
    stand.is_durable().then_some(stand)
}

/// With its holes, its subjects and its metadata. [STORE-121, STORE-140, STORE-147]
pub fn a_closed_stream_comes_back_whole(make: Make<'_>) {
    let Some(mut stand) = durable(make) else { return };
    stand.set_metadata(b"{\"name\":\"S\"}").unwrap();
    stand.skip(2, Some(1)).unwrap();
    stand.fill(&["a", "b", "a", "c", "a", "d", "a"]);
    stand.remove(4, Removal::Remove).unwrap();
    stand.remove(3, Removal::Erase).unwrap();
    stand.remove(9, Removal::Remove).unwrap();
    stand.skip(2, None).unwrap();
    for round in 0..2 {
        let before = (stand.state(), stand.sequences());
        stand.reopen();
        assert_eq!((stand.state(), stand.sequences()), before);
        assert_eq!(stand.metadata(), b"{\"name\":\"S\"}");
        assert_eq!(stand.heard.usage(), (0, 0), "what opening finds is no change");
        assert_eq!(answer(stand.filtered_state(&[filter("a")], 0)).messages, 2);
        assert_eq!(
            answer(stand.num_pending(6, &[], Counting::LastPerSubject)),
            3 + round
        );
        stand.fill(&["z"]);
    }
    assert_eq!(stand.harness.backend().list(), Ok(vec![id("S")]));
}

/// Of every kind, as soon as the mark has reached it.
pub fn a_committed_change_survives_a_crash(make: Make<'_>) {
    let Some(mut stand) = durable(make) else { return };
    let changes: [(&str, &Change); 9] = [
        ("stage", &|stream| {
            for time in 1..=20 {
                stream
                    .stage(&message(&format!("s.{}", time % 3), time, &[7; 500]))
                    .unwrap();
            }
        }),
        ("remove", &|stream| {
            stream.remove(5, Removal::Remove).unwrap();
        }),
        ("erase", &|stream| {
            stream.remove(7, Removal::Erase).unwrap();
        }),
        ("remove the last", &|stream| {
            stream.remove(20, Removal::Remove).unwrap();
        }),
        ("skip", &|stream| stream.skip(5, Some(99)).unwrap()),
        ("purge", &|stream| {
            let filter = Some(FilterBuf::new(b"s.1".as_slice()).unwrap());
            stream
                .purge(&Purge {
                    filter,
                    extent: PurgeExtent::Keep(2),
                })
                .unwrap();
        }),
        ("compact", &|stream| {
            stream.compact(8).unwrap();
        }),
        ("truncate", &|stream| {
            stream.truncate(15).unwrap();
        }),
        ("metadata", &|stream| stream.set_metadata(b"kept").unwrap()),
    ];
    for (name, change) in changes {
        change(&mut *stand);
        stand.settle();
        let before = (stand.state(), stand.sequences());
        stand.crash();
        assert_eq!((stand.state(), stand.sequences()), before, "after {name}");
    }
    assert_eq!(stand.metadata(), b"kept");
    let message = answer(stand.load(9)).unwrap();
    assert_eq!((message.payload(), message.time), (&[7; 500][..], 9));
}

/// At least; the next owner goes on from there.
pub fn a_dropped_stream_comes_back_up_to_its_mark(make: Make<'_>) {
    let Some(mut stand) = durable(make) else { return };
    stand.fill(&["a", "b"]);
    stand.settle();
    stand.fill(&["c", "d"]);
    stand.drop_and_open();
    let (messages, first, last) = stand.bounds();
    assert_eq!((messages, first), (last, 1));
    assert!((2..=4).contains(&last), "{last}");
    stand.fill(&["e"]);
    stand.settle();
    stand.crash();
    assert_eq!(stand.bounds(), (last + 1, 1, last + 1));
}

/// Also after a crash: no sequence is given twice, and the last time stays. [STORE-146]
pub fn an_emptied_stream_comes_back_empty_and_counting(make: Make<'_>) {
    let empty: [&Change; 3] = [
        &|stream| {
            stream.purge(&Purge::default()).unwrap();
        },
        &|stream| {
            for sequence in [3, 1, 2] {
                stream.remove(sequence, Removal::Remove).unwrap();
            }
        },
        &|stream| {
            stream.compact(4).unwrap();
        },
    ];
    for empty in empty {
        let Some(mut stand) = durable(make) else { return };
        stand.fill(&["a", "b", "c"]);
        empty(&mut *stand);
        for orderly in [true, false, true] {
            let before = stand.state();
            assert_eq!(
                (before.first, before.last_time),
                (before.last + 1, before.last as i64)
            );
            if orderly {
                stand.reopen();
            } else {
                stand.settle();
                stand.crash();
            }
            assert_eq!(stand.state(), before);
            stand.fill(&["a"]);
            assert_eq!(stand.sequences(), [before.last + 1]);
            stand.remove(before.last + 1, Removal::Remove).unwrap();
        }
    }
}

/// Before the deletion returns. [STORE-109]
pub fn a_deleted_stream_stays_deleted(make: Make<'_>) {
    let Some(mut stand) = durable(make) else { return };
    stand.fill(&["a"]);
    stand.settle();
    stand.close();
    assert_eq!(stand.harness.backend().delete(&id("S")), Ok(true));
    stand.harness.crash();
    assert_eq!(stand.harness.backend().list(), Ok(vec![]));
    assert_eq!(stand.harness.backend().delete(&id("S")), Ok(false));
}

/// To nothing as well, and what is staged over the cut stays. [STORE-108, STORE-159]
pub fn a_truncated_stream_comes_back_truncated(make: Make<'_>) {
    let Some(mut stand) = durable(make) else { return };
    stand.fill(&["a"; 6]);
    stand.settle();
    stand.truncate(3).unwrap();
    stand.stage(&message("b", 50, b"new")).unwrap();
    stand.settle();
    stand.crash();
    assert_eq!((stand.bounds(), stand.state().last_time), ((4, 1, 4), 50));
    assert_eq!(answer(stand.load(4)).unwrap().payload(), b"new");
    stand.truncate(0).unwrap();
    stand.settle();
    stand.crash();
    assert_eq!(stand.bounds(), (0, 0, 0));
}

/// Those of messages that are still there. [STORE-59, STORE-160, STORE-162]
pub fn timers_come_back(make: Make<'_>) {
    let Some(mut stand) = durable(make) else { return };
    stand.fill(&["a"; 4]);
    for (sequence, at) in [(1, 5_000_000_000), (2, 7_000_000_001), (3, 6_000_000_000)] {
        stand.set_timer(TimerKind::Expiry, sequence, Some(at)).unwrap();
    }
    stand.set_timer(TimerKind::Schedule, 4, Some(9)).unwrap();
    stand.remove(3, Removal::Remove).unwrap();
    for _ in 0..2 {
        stand.reopen();
        assert_eq!(stand.timers_before(), 5);
        let due = |kind| -> Vec<_> {
            let list = stand.due(kind, i64::MAX, 9);
            list.iter().map(|due| (due.sequence, due.at)).collect()
        };
        assert_eq!(due(TimerKind::Expiry), [(1, 5_000_000_000), (2, 7_000_000_001)]);
        assert_eq!(due(TimerKind::Schedule), [(4, 9)]);
    }
}

/// With what was durable of them. [STORE-164]
pub fn consumers_come_back(make: Make<'_>) {
    let Some(mut stand) = durable(make) else { return };
    let pair = SequencePair {
        consumer: 3,
        stream: 7,
    };
    let mut consumer = stand.consumer("C").unwrap();
    consumer.set_metadata(b"config").unwrap();
    let ticket = consumer.record(&[ConsumerChange::Delivered(pair)]).unwrap();
    consumer.commit(ticket).unwrap();
    stand.wait_until(|_| consumer.durable() >= ticket);
    drop(consumer);
    for orderly in [false, true, false] {
        if orderly {
            stand.reopen();
        } else {
            stand.crash();
        }
        assert_eq!(stand.consumers(), ["C"]);
        let consumer = stand.consumer("C").unwrap();
        assert_eq!(consumer.state().delivered, pair);
        assert_eq!(consumer.metadata(), b"config");
    }
}

/// As soon as a deletion has returned.
pub fn a_deleted_consumer_stays_deleted(make: Make<'_>) {
    let Some(mut stand) = durable(make) else { return };
    for name in ["C", "D"] {
        let mut consumer = stand.consumer(name).unwrap();
        let ticket = consumer.record(&[ConsumerChange::Redelivered(1, 1)]).unwrap();
        consumer.commit(ticket).unwrap();
        stand.wait_until(|_| consumer.durable() >= ticket);
    }
    assert_eq!(stand.delete_consumer("C"), Ok(true));
    stand.crash();
    assert_eq!(stand.consumers(), ["D"]);
    assert_eq!(stand.delete_consumer("C"), Ok(false));
}
