//! When messages expire and schedules are due.

use std::collections::{BTreeMap, BTreeSet};

use dunlin_api::{Due, TimerKind};

/// Timers of both kinds; at most one of a kind for each message.
#[derive(Default)]
pub(crate) struct Timers {
    expiry: Kind,
    schedule: Kind,
}

/// By message, and by time. About 50 bytes a timer.
#[derive(Default)]
struct Kind {
    at: BTreeMap<u64, i64>,
    due: BTreeSet<Due>,
}

impl Timers {
    /// Sets or clears a message's timer.
    pub(crate) fn set(&mut self, kind: TimerKind, sequence: u64, at: Option<i64>) {
        self.kind_mut(kind).set(sequence, at);
    }

    /// Timers due at `until` or before, by time and then sequence.
    pub(crate) fn due(&self, kind: TimerKind, until: i64) -> impl Iterator<Item = Due> {
        let kind = match kind {
            TimerKind::Expiry => &self.expiry,
            TimerKind::Schedule => &self.schedule,
        };
        kind.due.iter().take_while(move |due| due.at <= until).copied()
    }

    /// Clears what a message has.
    pub(crate) fn remove(&mut self, sequence: u64) {
        self.expiry.set(sequence, None);
        self.schedule.set(sequence, None);
    }

    /// Clears what messages before a sequence have.
    pub(crate) fn remove_before(&mut self, sequence: u64) {
        for kind in [&mut self.expiry, &mut self.schedule] {
            kind.at = kind.at.split_off(&sequence);
            kind.due.retain(|due| due.sequence >= sequence);
        }
    }

    /// Clears what messages after a sequence have.
    pub(crate) fn remove_after(&mut self, sequence: u64) {
        for kind in [&mut self.expiry, &mut self.schedule] {
            kind.at.retain(|at, _| *at <= sequence);
            kind.due.retain(|due| due.sequence <= sequence);
        }
    }

    fn kind_mut(&mut self, kind: TimerKind) -> &mut Kind {
        match kind {
            TimerKind::Expiry => &mut self.expiry,
            TimerKind::Schedule => &mut self.schedule,
        }
    }
}

impl Kind {
    fn set(&mut self, sequence: u64, at: Option<i64>) {
        let earlier = match at {
            Some(at) => self.at.insert(sequence, at),
            None => self.at.remove(&sequence),
        };
        if let Some(at) = earlier {
            self.due.remove(&Due { at, sequence });
        }
        if let Some(at) = at {
            self.due.insert(Due { at, sequence });
        }
    }
}
