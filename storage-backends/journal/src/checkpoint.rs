//! Checkpoints: bytes reach their targets, targets are synced, segments are used again. A share in each turn.

use std::io;
use std::sync::Arc;

use dunlin_api::{Env, Instant};
use parking_lot::Mutex;
use tokio::sync::mpsc;

use crate::Shared;
use crate::dirty::{Key, SyncJob};
use crate::error::JournalError;
use crate::frame::FrameBuilder;
use crate::recover;
use crate::writer::Writer;

/// Syncs that run at a time: file systems join them into one commit.
const PARALLEL: usize = 16;

/// Share of the current segment by which the older ones should be free.
const PACE_END: f64 = 0.75;

/// How the targets of a full segment are spread over the time in which the next one fills.
pub(crate) struct Pace {
    last: u64,
    total: usize,
}

/// The threads that sync targets; none in a test that takes turns by hand, where the turn does it.
#[derive(Default)]
pub(crate) struct Syncers {
    lanes: Vec<mpsc::UnboundedSender<SyncJob>>,
    next: usize,
    results: Arc<Mutex<Vec<Synced>>>,
}

type Synced = (SyncJob, io::Result<()>);

impl Pace {
    /// For the `total` targets that hold back frame `last` and earlier ones.
    pub(crate) fn new(last: u64, total: usize) -> Self {
        Self { last, total }
    }

    /// How many of them may still wait when the segment is filled to `fill`.
    fn may_wait(&self, fill: f64) -> usize {
        let left = 1.0 - (fill / PACE_END).min(1.0);
        // At most `total`, which came from a count.
        (self.total as f64 * left) as usize
    }
}

impl Syncers {
    pub(crate) fn start(&mut self, env: &Env, count: usize, shared: &Arc<Shared>) -> io::Result<()> {
        for _ in 0..count {
            let (lane, mut jobs) = mpsc::unbounded_channel::<SyncJob>();
            let (results, shared) = (self.results.clone(), shared.clone());
            env.spawn_thread("journal-sync", async move {
                while let Some(job) = jobs.recv().await {
                    let result = job.target.sync();
                    results.lock().push((job, result));
                    shared.bell.notify_one();
                }
            })?;
            self.lanes.push(lane);
        }
        Ok(())
    }

    /// Has a job done, now or soon.
    fn give(&mut self, job: SyncJob) {
        self.next = self.next.wrapping_add(1);
        let index = self.next.checked_rem(self.lanes.len());
        let job = match index.and_then(|index| self.lanes.get(index)) {
            None => Some(job),
            // A thread that has ended gives the job back.
            Some(lane) => lane.send(job).err().map(|refused| refused.0),
        };
        if let Some(job) = job {
            let result = job.target.sync();
            self.results.lock().push((job, result));
        }
    }
}

impl Writer {
    /// Does a share of what is due. True when the next turn should follow at once.
    pub(crate) fn checkpoint(&mut self, now: Instant) -> bool {
        while let Some(key) = self.dirty.due_write(now) {
            if let Err(failure) = self.dirty.write(key, now) {
                self.report(failure);
            }
        }
        let mut started = 0;
        while started < PARALLEL && self.dirty.syncing() < PARALLEL {
            let Some(key) = self.next_sync(now) else { break };
            if !self.start_sync(key, now) {
                break;
            }
            started += 1;
        }
        // Where the turn itself syncs, the results are here.
        self.collect_syncs();
        self.segments.free();
        let initialising = self.segments.initialise();
        let erasing = self.continue_erase(now);
        initialising || erasing || (started == PARALLEL && self.dirty.syncing() == 0)
    }

    /// Takes note of the syncs that are done.
    pub(crate) fn collect_syncs(&mut self) {
        let results = std::mem::take(&mut *self.syncers.results.lock());
        for (job, result) in results {
            if let Err(failure) = self.dirty.synced(&job, result) {
                self.report(failure);
            }
        }
    }

    /// Writes and syncs one target on the spot. Nothing may be syncing it.
    pub(crate) fn sync_now(&mut self, key: Key, now: Instant) -> Result<(), JournalError> {
        let result = match self.dirty.begin_sync(key, now) {
            Ok(Some(job)) => {
                let result = job.target.sync();
                self.dirty.synced(&job, result)
            }
            Ok(None) => Ok(()),
            Err(failure) => Err(failure),
        };
        result.map_err(|failure| self.report(failure))
    }

    /// Checkpoints the oldest segments until one is free, or nothing helps.
    pub(crate) fn make_room(&mut self, now: Instant) {
        let last = self.segments.last_of_old();
        while let Some(key) = self.dirty.oldest(last) {
            if self.sync_now(key, now).is_err() && self.dirty.oldest(last) == Some(key) {
                break;
            }
        }
        self.segments.free();
        if !self.failed.is_empty() && self.settled() < last {
            // Nobody else's frames stay behind theirs.
            if let Err(error) = self.carry() {
                self.env.log().warn(format_args!(
                    "journal: what failed streams need was not copied: {error}"
                ));
            }
            self.segments.free();
        }
    }

    /// Writes what failed streams need at the end once more, so that old segments need not be kept for it.
    fn carry(&mut self) -> Result<(), JournalError> {
        let directory = &self.options.directory;
        let failed = |error| JournalError::Io {
            path: directory.clone(),
            error: Arc::new(error),
        };
        let settled = self.settled();
        let mut scan =
            recover::scan(self.env.disk(), directory).map_err(|error| failed(io::Error::other(error)))?;
        scan.settled = scan.settled.max(settled);
        let mut items = Vec::new();
        scan.copy(self.env.disk(), &self.failed, &mut |item| {
            items.push(item.to_vec())
        })
        .map_err(failed)?;
        let first = self.segments.number() + 1;
        let most = usize::try_from(self.segments.largest_frame() / 2).unwrap_or(usize::MAX);
        let mut items = items.into_iter().peekable();
        while items.peek().is_some() {
            let mut builder = FrameBuilder::default();
            builder.clear();
            let mut bytes = 0;
            while let Some(item) = items.next_if(|item| bytes == 0 || bytes + item.len() <= most) {
                bytes += item.len();
                builder.push_raw(&item);
            }
            self.segments
                .append(&mut builder, settled, usize::MAX)
                .map_err(|error| self.segments.told(error))?;
        }
        self.dirty.carried(first);
        Ok(())
    }

    /// The target that is to be synced next, if one is due.
    fn next_sync(&self, now: Instant) -> Option<Key> {
        if let Some(key) = self.dirty.due_sync(now) {
            return Some(key);
        }
        if let Some(erase) = &self.erase
            && let Some(key) = self.dirty.oldest(erase.mark())
        {
            return Some(key);
        }
        let pace = self.pace.as_ref().filter(|_| self.segments.is_old_needed())?;
        let waiting = self.dirty.holding(pace.last).saturating_sub(self.dirty.syncing());
        (waiting > pace.may_wait(self.segments.fill()))
            .then(|| self.dirty.oldest(pace.last))
            .flatten()
    }

    fn start_sync(&mut self, key: Key, now: Instant) -> bool {
        match self.dirty.begin_sync(key, now) {
            Ok(Some(job)) => {
                self.syncers.give(job);
                true
            }
            Ok(None) => false,
            Err(failure) => {
                let is_passing = failure.is_passing();
                self.report(failure);
                !is_passing
            }
        }
    }
}
