//! When messages expire and schedules are due.

use dunlin_api::{Due, TimerKind};
use dunlin_subject::SequenceTimers;

/// Timers of both kinds; at most one of a kind for each message.
#[derive(Default)]
pub(crate) struct Timers {
    expiry: SequenceTimers,
    schedule: SequenceTimers,
}

impl Timers {
    /// Sets or clears a message's timer.
    pub(crate) fn set(&mut self, kind: TimerKind, sequence: u64, at: Option<i64>) {
        let times = match kind {
            TimerKind::Expiry => &mut self.expiry,
            TimerKind::Schedule => &mut self.schedule,
        };
        match at {
            Some(at) => times.set(sequence, at),
            None => times.clear(sequence),
        };
    }

    /// Timers due at `until` or before, by time and then sequence.
    pub(crate) fn due(&self, kind: TimerKind, until: i64) -> impl Iterator<Item = Due> {
        let times = match kind {
            TimerKind::Expiry => &self.expiry,
            TimerKind::Schedule => &self.schedule,
        };
        times.due(until).map(|(at, sequence)| Due { at, sequence })
    }

    /// Clears what a message has.
    pub(crate) fn remove(&mut self, sequence: u64) {
        self.expiry.clear(sequence);
        self.schedule.clear(sequence);
    }

    /// Clears what messages before a sequence have.
    pub(crate) fn remove_before(&mut self, sequence: u64) {
        if let Some(last) = sequence.checked_sub(1) {
            self.expiry.clear_range(0..=last);
            self.schedule.clear_range(0..=last);
        }
    }

    /// Clears what messages after a sequence have.
    pub(crate) fn remove_after(&mut self, sequence: u64) {
        if let Some(first) = sequence.checked_add(1) {
            self.expiry.clear_range(first..=u64::MAX);
            self.schedule.clear_range(first..=u64::MAX);
        }
    }
}
