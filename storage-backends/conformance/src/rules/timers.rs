//! When messages expire and schedules are due.

use dunlin_api::{Due, Removal, TimerKind};

use crate::{Make, Stand};

/// Times as they are set, in nanoseconds: of today, so that seconds and years fit in.
const NOW: i64 = 1_790_000_000_000_000_000;

fn due(stand: &Stand, kind: TimerKind, until: i64) -> Vec<(i64, u64)> {
    let list = stand.due(kind, until, usize::MAX);
    list.iter().map(|due| (due.at - NOW, due.sequence)).collect()
}

fn set(stand: &mut Stand, timers: &[(u64, i64)]) {
    for (sequence, at) in timers {
        stand
            .set_timer(TimerKind::Expiry, *sequence, Some(NOW + at))
            .unwrap();
    }
}

/// By time, then by sequence, as many as are asked for; they stay. [STORE-64]
pub fn timers_come_due_in_order(make: Make<'_>) {
    let mut stand = Stand::new(make);
    stand.fill(&["a"; 5]);
    set(
        &mut stand,
        &[(1, 30), (2, 10), (4, 20), (3, 20), (5, 3_000_000_000)],
    );
    assert_eq!(due(&stand, TimerKind::Expiry, NOW + 9), []);
    assert_eq!(due(&stand, TimerKind::Expiry, NOW + 10), [(10, 2)]);
    let all = [(10, 2), (20, 3), (20, 4), (30, 1), (3_000_000_000, 5)];
    assert_eq!(due(&stand, TimerKind::Expiry, NOW + 30), all[..4]);
    assert_eq!(due(&stand, TimerKind::Expiry, i64::MAX), all);
    let first = Due {
        at: NOW + 10,
        sequence: 2,
    };
    assert_eq!(stand.due(TimerKind::Expiry, i64::MAX, 1), [first]);
    assert_eq!(stand.due(TimerKind::Expiry, i64::MAX, 0), []);
}

/// There is at most one of a kind; none where there is no message. [STORE-64]
pub fn a_timer_is_moved_and_cleared(make: Make<'_>) {
    let mut stand = Stand::new(make);
    stand.fill(&["a"; 3]);
    set(&mut stand, &[(1, 30), (2, 10), (9, 5), (0, 5)]);
    assert_eq!(due(&stand, TimerKind::Expiry, i64::MAX), [(10, 2), (30, 1)]);
    set(&mut stand, &[(2, 5_000_000_000), (1, 30)]);
    assert_eq!(
        due(&stand, TimerKind::Expiry, i64::MAX),
        [(30, 1), (5_000_000_000, 2)]
    );
    stand.set_timer(TimerKind::Expiry, 1, None).unwrap();
    stand.set_timer(TimerKind::Expiry, 3, None).unwrap();
    assert_eq!(due(&stand, TimerKind::Expiry, i64::MAX), [(5_000_000_000, 2)]);
}

/// However it goes. [STORE-155]
pub fn a_timer_goes_with_its_message(make: Make<'_>) {
    let mut stand = Stand::new(make);
    stand.fill(&["a", "a", "b", "a", "a"]);
    set(&mut stand, &[(1, 1), (2, 2), (3, 3), (4, 4), (5, 5)]);
    stand.remove(2, Removal::Erase).unwrap();
    assert_eq!(
        due(&stand, TimerKind::Expiry, i64::MAX),
        [(1, 1), (3, 3), (4, 4), (5, 5)]
    );
    stand.compact(2).unwrap();
    assert_eq!(due(&stand, TimerKind::Expiry, i64::MAX), [(3, 3), (4, 4), (5, 5)]);
    stand.truncate(4).unwrap();
    assert_eq!(due(&stand, TimerKind::Expiry, i64::MAX), [(3, 3), (4, 4)]);
    stand.purge(&dunlin_api::Purge::default()).unwrap();
    assert_eq!(due(&stand, TimerKind::Expiry, i64::MAX), []);
    stand.fill(&["a"]);
    assert_eq!(due(&stand, TimerKind::Expiry, i64::MAX), []);
}

/// A message may have one of each.
pub fn timers_of_two_kinds_keep_apart(make: Make<'_>) {
    let mut stand = Stand::new(make);
    stand.fill(&["a", "a"]);
    stand.set_timer(TimerKind::Schedule, 1, Some(NOW + 7)).unwrap();
    set(&mut stand, &[(1, 9), (2, 8)]);
    assert_eq!(due(&stand, TimerKind::Schedule, i64::MAX), [(7, 1)]);
    stand.set_timer(TimerKind::Expiry, 1, None).unwrap();
    assert_eq!(due(&stand, TimerKind::Schedule, i64::MAX), [(7, 1)]);
    assert_eq!(due(&stand, TimerKind::Expiry, i64::MAX), [(8, 2)]);
    stand.remove(1, Removal::Remove).unwrap();
    assert_eq!(due(&stand, TimerKind::Schedule, i64::MAX), []);
}

/// Further than any wheel turns, and behind as well. [STORE-64]
pub fn a_timer_far_away_is_found(make: Make<'_>) {
    let mut stand = Stand::new(make);
    stand.fill(&["a"; 4]);
    let year = 31_536_000_000_000_000;
    set(
        &mut stand,
        &[(1, 40 * year), (2, -year), (3, 4_096_000_000_000), (4, 0)],
    );
    let all = [(-year, 2), (0, 4), (4_096_000_000_000, 3), (40 * year, 1)];
    assert_eq!(due(&stand, TimerKind::Expiry, NOW), all[..2]);
    assert_eq!(due(&stand, TimerKind::Expiry, i64::MAX), all);
}
