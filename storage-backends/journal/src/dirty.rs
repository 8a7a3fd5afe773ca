//! Which targets hold bytes that only the journal has made durable, and what is still to be written to them.

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::sync::Arc;
use std::time::Duration;

use dunlin_api::Instant;

use crate::item::{Incarnation, Item, Scope, SharedBytes, Target};

/// Bytes of one target that are written at once, whatever their age.
const WRITE_BYTES: usize = 256 << 10;

/// Bytes of one target that are synced at once, whatever their age: a sync of many more holds up everybody's.
const SYNC_BYTES: usize = 2 << 20;

/// Age at which bytes are written to their target.
const WRITE_AFTER: Duration = Duration::from_millis(100);

/// How long a full disk is left alone.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Identifies a target while somebody holds it: its address.
pub(crate) type Key = usize;

/// What a target is to its stream, as a [`Scope`] names it.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Block(u32),
    File(Arc<str>),
    Consumer(Arc<str>),
    Raft,
}

struct Entry {
    target: Arc<dyn Target>,
    stream: Incarnation,
    part: Part,
    /// Not yet written, in order.
    pending: Vec<(u64, SharedBytes)>,
    pending_bytes: usize,
    write_at: Option<Instant>,
    /// The oldest frame that has something for this target which is not synced; `LAZY` for what never went through a frame.
    first: u64,
    sync_at: Instant,
    /// Written since the last sync began.
    unsynced: usize,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Idle,
    /// This sync runs; `Some`: the oldest frame, and its time, whose bytes came since.
    Syncing(u64, Option<(u64, Instant)>),
    Failed,
}

/// The frame number of what is synced by time alone.
pub(crate) const LAZY: u64 = u64::MAX;

/// What is to be done for one target, outside the table.
pub(crate) struct SyncJob {
    key: Key,
    id: u64,
    pub(crate) target: Arc<dyn Target>,
}

/// A target that failed, for those who must be told.
pub(crate) struct Failure {
    pub(crate) stream: Incarnation,
    pub(crate) target: Arc<dyn Target>,
    pub(crate) error: io::Error,
}

/// All targets that are not clean.
#[derive(Default)]
pub(crate) struct Dirty {
    entries: HashMap<Key, Entry>,
    /// By oldest frame: the first is what holds the journal back.
    by_frame: BTreeSet<(u64, Key)>,
    /// By the time at which they are synced, those that are idle.
    by_sync: BTreeSet<(Instant, Key)>,
    by_write: BTreeSet<(Instant, Key)>,
    syncing: usize,
    syncs: u64,
}

pub(crate) fn key(target: &Arc<dyn Target>) -> Key {
    Arc::as_ptr(target).cast::<()>() as usize
}

impl Dirty {
    /// Notes what a frame, or none (`LAZY`), has for the targets of an item.
    pub(crate) fn note(&mut self, item: &Item, frame: u64, now: Instant, sync_at: Instant) {
        let (part, target) = match item {
            Item::Block { block, target, .. } => (Part::Block(*block), target),
            Item::File { name, target, .. } => (Part::File(name.clone()), target),
            Item::Consumer { name, target, .. } => (Part::Consumer(name.clone()), target),
            Item::Raft { target, .. } => (Part::Raft, target),
            Item::Forget { .. } => return,
        };
        let key = key(target);
        let entry = self.entries.entry(key).or_insert_with(|| {
            self.by_frame.insert((frame, key));
            self.by_sync.insert((sync_at, key));
            Entry {
                target: target.clone(),
                stream: item.incarnation().clone(),
                part,
                pending: Vec::new(),
                pending_bytes: 0,
                write_at: None,
                first: frame,
                sync_at,
                unsynced: 0,
                state: State::Idle,
            }
        });
        match &mut entry.state {
            State::Syncing(_, since @ None) => *since = Some((frame, sync_at)),
            State::Syncing(_, Some((first, _))) => *first = frame.min(*first),
            // What was lazy is so no more.
            State::Idle if frame < entry.first => {
                self.by_frame.remove(&(entry.first, key));
                self.by_frame.insert((frame, key));
                self.by_sync.remove(&(entry.sync_at, key));
                self.by_sync.insert((sync_at, key));
                (entry.first, entry.sync_at) = (frame, sync_at);
            }
            State::Idle | State::Failed => {}
        }
        match item {
            Item::Block { offset, bytes, .. } => entry.pending.push((*offset, bytes.clone())),
            // Only the last content counts.
            Item::File { bytes, .. } => {
                entry.pending_bytes = 0;
                entry.pending = vec![(0, bytes.clone())];
            }
            Item::Consumer { .. } | Item::Raft { .. } | Item::Forget { .. } => return,
        }
        entry.pending_bytes += item.len();
        let due = match entry.pending_bytes >= WRITE_BYTES {
            true => now,
            false => now + WRITE_AFTER,
        };
        if entry.write_at.is_none_or(|at| at > due) {
            set(&mut self.by_write, &mut entry.write_at, Some(due), key);
        }
    }

    /// Writes what a target has pending. A disk that is full is tried again later.
    pub(crate) fn write(&mut self, key: Key, now: Instant) -> Result<(), Failure> {
        let Some(entry) = self.entries.get_mut(&key) else {
            return Ok(());
        };
        if entry.state == State::Failed {
            return Ok(());
        }
        let pending = std::mem::take(&mut entry.pending);
        for (index, (offset, bytes)) in pending.iter().enumerate() {
            let Err(error) = entry.target.write(bytes, *offset) else {
                continue;
            };
            entry.pending = pending.get(index..).unwrap_or_default().to_vec();
            let failure = entry.failure(error);
            if failure.is_passing() {
                let later = Some(now + RETRY_AFTER);
                set(&mut self.by_write, &mut entry.write_at, later, key);
            } else {
                self.give_up(key);
            }
            return Err(failure);
        }
        entry.unsynced += std::mem::take(&mut entry.pending_bytes);
        set(&mut self.by_write, &mut entry.write_at, None, key);
        if entry.unsynced >= SYNC_BYTES
            && entry.first != LAZY
            && entry.state == State::Idle
            && entry.sync_at > now
        {
            self.by_sync.remove(&(entry.sync_at, key));
            self.by_sync.insert((now, key));
            entry.sync_at = now;
        }
        Ok(())
    }

    /// The next target whose bytes are due to be written.
    pub(crate) fn due_write(&self, now: Instant) -> Option<Key> {
        let (at, key) = self.by_write.first()?;
        (*at <= now).then_some(*key)
    }

    /// The next idle target whose sync is due by time.
    pub(crate) fn due_sync(&self, now: Instant) -> Option<Key> {
        let (at, key) = self.by_sync.first()?;
        (*at <= now).then_some(*key)
    }

    /// The idle target that has waited longest, if it holds back frame `last` or an earlier one.
    pub(crate) fn oldest(&self, last: u64) -> Option<Key> {
        self.by_frame
            .iter()
            .take_while(|(first, _)| *first <= last)
            .find(|(_, key)| {
                self.entries
                    .get(key)
                    .is_some_and(|entry| entry.state == State::Idle)
            })
            .map(|(_, key)| *key)
    }

    /// How many targets hold back frame `last` or earlier ones.
    pub(crate) fn holding(&self, last: u64) -> usize {
        self.by_frame.range(..=(last, Key::MAX)).count()
    }

    /// The greatest frame up to which everything is in its target and synced.
    pub(crate) fn settled(&self, last: u64) -> u64 {
        self.by_frame
            .first()
            .map_or(last, |(first, _)| last.min(first.saturating_sub(1)))
    }

    /// When something is due next.
    pub(crate) fn next(&self) -> Option<Instant> {
        let first = |set: &BTreeSet<(Instant, Key)>| set.first().map(|(at, _)| *at);
        [first(&self.by_write), first(&self.by_sync)]
            .into_iter()
            .flatten()
            .min()
    }

    pub(crate) fn syncing(&self) -> usize {
        self.syncing
    }

    /// Writes what is pending, and gives what is to be synced; then [`Dirty::synced`] is told. `None` where nothing can be done now.
    pub(crate) fn begin_sync(&mut self, key: Key, now: Instant) -> Result<Option<SyncJob>, Failure> {
        match self.entries.get(&key) {
            Some(entry) if entry.state == State::Idle => {}
            _ => return Ok(None),
        }
        if let Err(failure) = self.write(key, now) {
            if let Some(entry) = self
                .entries
                .get_mut(&key)
                .filter(|entry| entry.state == State::Idle)
            {
                // The disk is full: not before it has been tried again.
                self.by_sync.remove(&(entry.sync_at, key));
                entry.sync_at = now + RETRY_AFTER;
                self.by_sync.insert((entry.sync_at, key));
            }
            return Err(failure);
        }
        let Some(entry) = self.entries.get_mut(&key) else {
            return Ok(None);
        };
        self.syncs += 1;
        entry.unsynced = 0;
        entry.state = State::Syncing(self.syncs, None);
        self.by_sync.remove(&(entry.sync_at, key));
        self.syncing += 1;
        Ok(Some(SyncJob {
            key,
            id: self.syncs,
            target: entry.target.clone(),
        }))
    }

    /// What became of a sync.
    pub(crate) fn synced(&mut self, job: &SyncJob, result: io::Result<()>) -> Result<(), Failure> {
        self.syncing = self.syncing.saturating_sub(1);
        let key = job.key;
        let Some(entry) = self.entries.get_mut(&key) else {
            return Ok(());
        };
        let since = match entry.state {
            State::Syncing(id, since) if id == job.id => since,
            // It was forgotten meanwhile.
            _ => return Ok(()),
        };
        if let Err(error) = result {
            let failure = entry.failure(error);
            self.give_up(key);
            return Err(failure);
        }
        match since {
            None => self.remove(key),
            Some((first, sync_at)) => {
                self.by_frame.remove(&(entry.first, key));
                self.by_frame.insert((first, key));
                self.by_sync.insert((sync_at, key));
                (entry.first, entry.sync_at, entry.state) = (first, sync_at, State::Idle);
            }
        }
        Ok(())
    }

    /// The targets that a scope of a stream covers, with those that failed.
    pub(crate) fn covered(&self, stream: &Incarnation, scope: &Scope) -> Vec<Key> {
        let covers = |part: &Part| match (scope, part) {
            (Scope::Stream, _) | (Scope::Blocks, Part::Block(_)) => true,
            (Scope::Block(block), Part::Block(of)) => block == of,
            (Scope::File(name), Part::File(of)) | (Scope::Consumer(name), Part::Consumer(of)) => name == of,
            _ => false,
        };
        self.entries
            .iter()
            .filter(|(_, entry)| entry.stream == *stream && covers(&entry.part))
            .map(|(key, _)| *key)
            .collect()
    }

    /// Forgets a target, with what is pending for it. A sync that runs is of no account any more.
    pub(crate) fn remove(&mut self, key: Key) {
        if let Some(mut entry) = self.entries.remove(&key) {
            self.by_frame.remove(&(entry.first, key));
            self.by_sync.remove(&(entry.sync_at, key));
            set(&mut self.by_write, &mut entry.write_at, None, key);
        }
    }

    pub(crate) fn is_syncing(&self, key: Key) -> bool {
        self.entries
            .get(&key)
            .is_some_and(|entry| matches!(entry.state, State::Syncing(..)))
    }

    /// The frames of failed targets have been written again, from `first` on.
    pub(crate) fn carried(&mut self, first: u64) {
        for (key, entry) in &mut self.entries {
            if entry.state == State::Failed && entry.first < first {
                self.by_frame.remove(&(entry.first, *key));
                self.by_frame.insert((first, *key));
                entry.first = first;
            }
        }
    }

    /// Every target.
    pub(crate) fn keys(&self) -> Vec<Key> {
        self.entries.keys().copied().collect()
    }

    /// From here on the target is left alone, and holds its frames.
    fn give_up(&mut self, key: Key) {
        if let Some(entry) = self.entries.get_mut(&key) {
            entry.state = State::Failed;
            entry.pending = Vec::new();
            self.by_sync.remove(&(entry.sync_at, key));
            set(&mut self.by_write, &mut entry.write_at, None, key);
        }
    }
}

impl Entry {
    fn failure(&self, error: io::Error) -> Failure {
        Failure {
            stream: self.stream.clone(),
            target: self.target.clone(),
            error,
        }
    }
}

impl Failure {
    /// The disk is full, and the target goes on when it is not.
    pub(crate) fn is_passing(&self) -> bool {
        self.error.kind() == io::ErrorKind::StorageFull
    }
}

fn set(queue: &mut BTreeSet<(Instant, Key)>, place: &mut Option<Instant>, to: Option<Instant>, key: Key) {
    if let Some(at) = *place {
        queue.remove(&(at, key));
    }
    if let Some(at) = to {
        queue.insert((at, key));
    }
    *place = to;
}
