//! A stream's timers: in memory, their changes in the journal, and all of them in `thw.db` and `sched.db`.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;

use dunlin_api::{Due, StoreError, TimerKind};
use dunlin_journal::{Item, JournalError, Target};
use parking_lot::Mutex;

use super::home::Home;
use super::marks::Marks;
use super::stream::FileStream;

/// The name of timers in the journal. A consumer's has no dot.
pub(super) const NAME: &str = "thw.db";

/// The timers of a stream.
#[derive(Clone, Debug, Default)]
pub(super) struct Timers {
    by_message: BTreeMap<(TimerKind, u64), Timer>,
    by_time: BTreeSet<(TimerKind, i64, u64)>,
}

/// A timer. A schedule's file wants the message's subject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Timer {
    pub(super) at: i64,
    pub(super) subject: Box<[u8]>,
}

impl Timers {
    /// Sets or clears one; whether something changed.
    pub(super) fn set(&mut self, kind: TimerKind, sequence: u64, timer: Option<Timer>) -> bool {
        let key = (kind, sequence);
        let old = match &timer {
            Some(timer) => self.by_message.insert(key, timer.clone()),
            None => self.by_message.remove(&key),
        };
        if old == timer {
            return false;
        }
        if let Some(old) = old {
            self.by_time.remove(&(kind, old.at, sequence));
        }
        if let Some(timer) = timer {
            self.by_time.insert((kind, timer.at, sequence));
        }
        true
    }

    /// Clears those of messages that `keep` does not hold.
    pub(super) fn retain(&mut self, keep: impl Fn(u64) -> bool) {
        self.by_message.retain(|(_, sequence), _| keep(*sequence));
        self.by_time.retain(|(_, _, sequence)| keep(*sequence));
    }

    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.by_message.is_empty()
    }

    /// The first, by time and then sequence.
    pub(super) fn due(&self, kind: TimerKind, until: i64, most: usize) -> Vec<Due> {
        self.by_time
            .range((kind, i64::MIN, 0)..=(kind, until, u64::MAX))
            .take(most)
            .map(|&(_, at, sequence)| Due { at, sequence })
            .collect()
    }

    /// All of a kind, by sequence.
    pub(super) fn of(&self, kind: TimerKind) -> impl Iterator<Item = (u64, &Timer)> {
        self.by_message
            .range((kind, 0)..=(kind, u64::MAX))
            .map(|((_, sequence), timer)| (*sequence, timer))
    }
}

/// Timers whose files are written at checkpoints.
pub(super) struct TimerFile {
    home: Arc<Home>,
    marks: Arc<Marks>,
    state: Mutex<State>,
}

/// The timers as they were handed over last.
#[derive(Default)]
pub(super) struct State {
    pub(super) timers: Timers,
    /// The sequence that was the next then: of messages before it all timers are there.
    pub(super) stamp: u64,
    /// The files know something else.
    pub(super) dirty: bool,
}

impl TimerFile {
    /// The timers that were found.
    pub(super) fn new(home: &Arc<Home>, marks: &Arc<Marks>, timers: Timers, stamp: u64) -> Arc<Self> {
        Arc::new(Self {
            home: home.clone(),
            marks: marks.clone(),
            state: Mutex::new(State {
                timers,
                stamp,
                dirty: false,
            }),
        })
    }

    /// The timers. Held for a few changes, and while the files are encoded.
    pub(super) fn lock(&self) -> parking_lot::MutexGuard<'_, State> {
        self.state.lock()
    }

    /// Writes the files where they say something else.
    pub(super) fn write(&self) -> io::Result<()> {
        let (wheel, schedules) = {
            let mut state = self.state.lock();
            if !std::mem::take(&mut state.dirty) {
                return Ok(());
            }
            super::timer_codec::encode(&state)
        };
        let disk = self.home.shared.env.disk();
        disk.replace(&self.home.messages.join("thw.db"), &wheel)?;
        disk.replace(&self.home.messages.join("sched.db"), &schedules)
    }
}

impl Target for TimerFile {
    fn write(&self, _: &[u8], _: u64) -> io::Result<()> {
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let written = self.write();
        if written.is_err() {
            self.state.lock().dirty = true;
        }
        written
    }

    fn failed(&self, error: &JournalError) {
        self.marks.fail(error);
    }
}

impl FileStream {
    pub(super) fn move_timer(
        &mut self,
        kind: TimerKind,
        sequence: u64,
        at: Option<i64>,
    ) -> Result<(), StoreError> {
        let block = self.blocks.get(self.blocks.find(sequence));
        let Some(block) = block.filter(|block| block.holds(sequence)) else {
            return Ok(());
        };
        // A schedule's file names it by its subject.
        let subject: Box<[u8]> = match (kind, at) {
            (TimerKind::Schedule, Some(_)) => self.read(block, sequence)?.subject().as_bytes().into(),
            _ => Box::default(),
        };
        let timer = at.map(|at| Timer { at, subject });
        self.change_timer(kind, sequence, timer);
        self.change();
        Ok(())
    }

    fn change_timer(&mut self, kind: TimerKind, sequence: u64, timer: Option<Timer>) {
        if self.timers.set(kind, sequence, timer.clone()) {
            push_change(&mut self.timer_changes, kind, sequence, timer.as_ref());
        }
    }

    /// Turns the changes of timers into an item. It carries the next sequence, up to which all timers are there.
    pub(super) fn hand_over_timers(&mut self) {
        let next = self.state.last + 1;
        self.uses_timers |= !self.timer_changes.is_empty();
        let is_known = self.timer_changes.is_empty() && next == self.timer_file.lock().stamp;
        if !self.uses_timers || is_known {
            return;
        }
        let changes = std::mem::take(&mut self.timer_changes);
        let mut bytes = next.to_le_bytes().to_vec();
        bytes.extend_from_slice(&changes);
        let _ = apply_changes(&mut self.timer_file.lock(), &bytes);
        self.items.push(Item::Consumer {
            stream: self.home.incarnation.clone(),
            name: NAME.into(),
            bytes: Arc::new(bytes),
            target: self.timer_file.clone(),
        });
    }

    /// Clears the timers of messages that `keep` does not hold.
    pub(super) fn forget_timers(&mut self, keep: impl Fn(u64) -> bool) {
        let messages = self.timers.by_message.keys();
        let gone: Vec<_> = messages
            .filter(|(_, sequence)| !keep(*sequence))
            .copied()
            .collect();
        for (kind, sequence) in gone {
            self.change_timer(kind, sequence, None);
        }
    }

    /// Clears a message's timers.
    pub(super) fn clear_timers(&mut self, sequence: u64) {
        if self.timers.is_empty() {
            return;
        }
        for kind in [TimerKind::Expiry, TimerKind::Schedule] {
            self.change_timer(kind, sequence, None);
        }
    }
}

/// Appends a change of a timer as the journal keeps it: its length, kind, sequence and, where it is set, time and
/// subject.
pub(super) fn push_change(out: &mut Vec<u8>, kind: TimerKind, sequence: u64, timer: Option<&Timer>) {
    let length = 9 + timer.map_or(0, |timer| 8 + timer.subject.len());
    // A subject is far below 4 GiB.
    out.extend_from_slice(&(length as u32).to_le_bytes());
    out.push(match kind {
        TimerKind::Expiry => 0,
        TimerKind::Schedule => 1,
    });
    out.extend_from_slice(&sequence.to_le_bytes());
    if let Some(timer) = timer {
        out.extend_from_slice(&timer.at.to_le_bytes());
        out.extend_from_slice(&timer.subject);
    }
}

/// Makes the changes of an item. `None`: they are cut off or of another release.
pub(super) fn apply_changes(state: &mut State, bytes: &[u8]) -> Option<()> {
    let (next, mut bytes) = bytes.split_first_chunk()?;
    state.stamp = u64::from_le_bytes(*next);
    state.dirty = true;
    while !bytes.is_empty() {
        let (length, rest) = bytes.split_first_chunk()?;
        let (change, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
        apply_change(&mut state.timers, change)?;
        bytes = rest;
    }
    Some(())
}

fn apply_change(timers: &mut Timers, bytes: &[u8]) -> Option<()> {
    let (kind, rest) = bytes.split_first()?;
    let kind = match kind {
        0 => TimerKind::Expiry,
        1 => TimerKind::Schedule,
        _ => return None,
    };
    let (sequence, rest) = rest.split_first_chunk()?;
    let timer = rest.split_first_chunk().map(|(at, subject)| Timer {
        at: i64::from_le_bytes(*at),
        subject: subject.into(),
    });
    timers.set(kind, u64::from_le_bytes(*sequence), timer);
    Some(())
}
