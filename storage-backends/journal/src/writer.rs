//! The journal's own half: takes what was submitted, makes it durable, tells.

use std::collections::{HashSet, VecDeque};
use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use dunlin_api::{Disk, DiskFile, Env, Instant, OpenMode, Task};
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::checkpoint::{Pace, Syncers};
use crate::dirty::{Dirty, Failure, LAZY, key};
use crate::erase::Erase;
use crate::error::{JournalError, OpenError};
use crate::frame::FrameBuilder;
use crate::group::Group;
use crate::item::{Batch, Done, Incarnation, Item, Promise, Rest, Scope};
use crate::recover;
use crate::replay::Replay;
use crate::segment;
use crate::segments::{AppendError, Segments};
use crate::{Entry, Journal, Options, Queue, Recovery, SetAside, Shared};

/// What one frame takes of what is queued.
const BATCH_BYTES: usize = 4 << 20;

/// Up to so many targets are written in the turn that brought their bytes.
const PROMPT_TARGETS: usize = 16;

/// "Never", for what is synced by time.
const NEVER: Duration = Duration::from_secs(100 * 365 * 86_400);

/// Does the journal's work, one [`turn`](Writer::turn) at a time. Dropping it without [`Journal::close`] is a crash.
pub struct Writer {
    pub(crate) env: Env,
    pub(crate) options: Options,
    pub(crate) shared: Arc<Shared>,
    pub(crate) segments: Segments,
    pub(crate) dirty: Dirty,
    pub(crate) syncers: Syncers,
    pub(crate) pace: Option<Pace>,
    pub(crate) erase: Option<Erase>,
    /// Streams that failed and were not opened anew.
    pub(crate) failed: HashSet<Incarnation>,
    backlog: VecDeque<Entry>,
    builder: FrameBuilder,
    closed: bool,
    /// Held for as long as this process owns the directory: until it is closed.
    lock: Option<Box<dyn DiskFile>>,
}

/// When the next turn is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// At once: there is more to do.
    Now,
    /// At this time, or when something is submitted.
    At(Instant),
    /// When something is submitted.
    Submitted,
    /// Never: the journal is closed and empty.
    Closed,
}

impl Writer {
    pub(crate) fn open(
        env: &Env,
        options: Options,
        replay: &mut dyn Replay,
    ) -> Result<(Journal, Writer, Recovery), OpenError> {
        let directory = options.directory.clone();
        let failed = |error| OpenError::Io {
            path: directory.clone(),
            error,
        };
        make_directory(env.disk(), &directory).map_err(failed)?;
        let lock = lock(env, &options)?;
        let scan = recover::scan(env.disk(), &directory)?;
        let mut replayed = scan.replay(env.disk(), None, replay).map_err(failed)?;
        let mut segments = Segments::new(
            env,
            &directory,
            options.segment_bytes,
            scan.slot,
            scan.generation,
            scan.number,
        );
        let mut recovery = std::mem::take(&mut replayed.counts);
        for (index, found) in scan.segments.iter().enumerate() {
            match replayed.kept.remove(&index) {
                Some(reasons) => {
                    let path =
                        segment::set_aside(env.disk(), &found.path, found.generation).map_err(failed)?;
                    recovery.set_aside.push(SetAside { path, reasons });
                }
                None => segments.adopt(&found.path).map_err(failed)?,
            }
        }
        for path in &scan.unused {
            segments.adopt(path).map_err(failed)?;
        }
        let shared = Arc::new(Shared {
            queue: Mutex::new(Queue::default()),
            bell: Notify::new(),
        });
        let journal = Journal {
            shared: shared.clone(),
        };
        let writer = Writer {
            env: env.clone(),
            options,
            shared,
            segments,
            dirty: Dirty::default(),
            syncers: Syncers::default(),
            pace: None,
            erase: None,
            failed: HashSet::new(),
            backlog: VecDeque::new(),
            builder: FrameBuilder::default(),
            closed: false,
            lock: Some(lock),
        };
        Ok((journal, writer, recovery))
    }

    /// Takes turns on a thread of its own until the journal is closed, with more threads for the syncs of checkpoints; in a simulation, as tasks.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn start(mut self) -> std::io::Result<Task> {
        let env = self.env.clone();
        self.syncers
            .start(&env, self.options.sync_threads, &self.shared)?;
        env.clone().spawn_thread("journal", async move {
            loop {
                match self.turn(env.now()) {
                    // In a simulation everything else runs on this thread too.
                    Next::Now => tokio::task::yield_now().await,
                    Next::At(deadline) => tokio::select! {
                        biased;
                        () = self.shared.bell.notified() => {}
                        () = env.sleep_until(deadline) => {}
                    },
                    Next::Submitted => self.shared.bell.notified().await,
                    Next::Closed => return,
                }
            }
        })
    }

    /// One step: what has been submitted, up to a frame's worth, is made durable and told; then a share of what is due for
    /// checkpoints. Waits for the disk. `now` is the time of [`Env::now`].
    pub fn turn(&mut self, now: Instant) -> Next {
        if self.closed {
            return Next::Closed;
        }
        self.collect_syncs();
        self.backlog
            .extend(std::mem::take(&mut self.shared.queue.lock().entries));
        let worked = self.work(now);
        if self.closed {
            return Next::Closed;
        }
        let more = self.checkpoint(now);
        if more || (worked && !self.backlog.is_empty()) {
            return Next::Now;
        }
        self.dirty.next().map_or(Next::Submitted, Next::At)
    }

    /// Handles what is at the front of the queue; false when it must wait.
    fn work(&mut self, now: Instant) -> bool {
        match self.backlog.front() {
            None => false,
            Some(Entry::Batch(_)) => self.work_batches(now),
            Some(Entry::Close(_)) if self.dirty.syncing() > 0 || self.erase.is_some() => false,
            Some(Entry::Erase(_)) if self.erase.is_some() => false,
            Some(_) => {
                match self.backlog.pop_front() {
                    Some(Entry::Erase(done)) => self.begin_erase(done),
                    Some(Entry::Reopen { stream, replay, done }) => {
                        let result = self.reopen(&stream, replay);
                        self.tell(done, result);
                    }
                    Some(Entry::Close(done)) => {
                        let result = self.close(now);
                        self.closed = true;
                        // Whoever is told may open it again at once.
                        self.lock = None;
                        self.tell(done, result);
                    }
                    Some(Entry::Batch(_)) | None => {}
                }
                true
            }
        }
    }

    fn work_batches(&mut self, now: Instant) -> bool {
        if !self.may_take(self.backlog.front()) {
            return false;
        }
        let (mut batches, mut bytes) = (Vec::new(), 0);
        let limit = BATCH_BYTES.min(usize::try_from(self.segments.largest_frame() / 2).unwrap_or(usize::MAX));
        while let Some(Entry::Batch(batch)) = self.backlog.front() {
            // What is forgotten is what came before, so such a batch begins a frame.
            let span = batch.span();
            if !batches.is_empty() && (batch.forgets() || bytes + span > limit) {
                break;
            }
            bytes += span;
            if let Some(Entry::Batch(batch)) = self.backlog.pop_front() {
                batches.push(batch);
            }
        }
        let mut group = Group::new(batches, self.segments.largest_frame());
        if group.direct.iter().any(|key| self.dirty.is_syncing(*key)) {
            // Of two syncs of one file at a time, only one hears of an error.
            let entries = group.batches.into_iter().map(Entry::Batch);
            entries.rev().for_each(|entry| self.backlog.push_front(entry));
            return false;
        }
        let frame = self.make_durable(&mut group, now);
        self.finish(group, frame, now);
        true
    }

    /// Whether nothing that a batch settles is being synced: of two syncs of one file at a time, only one hears of an error.
    fn may_take(&self, entry: Option<&Entry>) -> bool {
        let Some(Entry::Batch(batch)) = entry else {
            return true;
        };
        batch.items.iter().all(|item| match item {
            Item::Forget {
                stream,
                scope,
                rest: Rest::Settle,
            } => {
                let covered = self.dirty.covered(stream, scope);
                !covered.iter().any(|key| self.dirty.is_syncing(*key))
            }
            _ => true,
        })
    }

    /// Takes a group as far as its promises, and gives the number of its frame.
    fn make_durable(&mut self, group: &mut Group, now: Instant) -> u64 {
        if let Err(error) = self.segments.void(self.settled()) {
            group.fail(&error, |_, _| true);
        }
        group.refuse(&self.failed);
        self.settle_forgotten(group, now);
        self.write_direct(group, now);
        group.encode(&mut self.builder);
        if !self.builder.is_empty()
            && let Err(error) = self.append(now)
        {
            let journaled: HashSet<_> = group
                .items()
                .filter(|(batch, item)| group.is_journaled(batch, item))
                .map(|(batch, _)| std::ptr::from_ref(batch))
                .collect();
            group.fail(&error, |batch, _| journaled.contains(&std::ptr::from_ref(batch)));
        }
        self.segments.number()
    }

    /// What is about to change in part is written and synced before.
    fn settle_forgotten(&mut self, group: &mut Group, now: Instant) {
        let Some(first) = group.batches.first().filter(|batch| batch.forgets()) else {
            return;
        };
        let mut failure = None;
        for item in &first.items {
            if let Item::Forget {
                stream,
                scope,
                rest: Rest::Settle,
            } = item
            {
                for key in self.dirty.covered(stream, scope) {
                    failure = self.sync_now(key, now).err().or(failure);
                }
            }
        }
        if let (Some(error), Some(Ok(()))) = (failure, group.results.first())
            && let Some(result) = group.results.first_mut()
        {
            *result = Err(error);
        }
    }

    /// Writes and syncs what does not go through the journal.
    fn write_direct(&mut self, group: &mut Group, now: Instant) {
        for direct in group.direct.clone() {
            let mine = |item: &Item| matches!(item, Item::Block { target, .. } if key(target) == direct);
            let mut result = self.dirty.write(direct, now);
            let mut last = None;
            for (batch, item) in group.items() {
                if let Item::Block {
                    target,
                    bytes,
                    offset,
                    stream,
                    ..
                } = item
                    && mine(item)
                    && group.is_direct(batch, item)
                    && result.is_ok()
                {
                    result = target.write(bytes, *offset).map_err(|error| Failure {
                        stream: stream.clone(),
                        target: target.clone(),
                        error,
                    });
                    last = Some((stream.clone(), target.clone()));
                }
            }
            if let (Ok(()), Some((stream, target))) = (&result, last) {
                result = target.sync().map_err(|error| Failure {
                    stream,
                    target,
                    error,
                });
            }
            match result {
                Ok(()) => self.dirty.remove(direct),
                Err(failure) => {
                    let error = self.report(failure);
                    group.fail(&error, |_, item| mine(item));
                }
            }
        }
    }

    /// Writes the frame that was built; where there is no room, checkpoints what stands in the way.
    fn append(&mut self, now: Instant) -> Result<(), JournalError> {
        let before = self.segments.last_of_old();
        let (settled, most) = (self.settled(), self.options.max_segments);
        let mut result = self.segments.append(&mut self.builder, settled, most);
        if matches!(result, Err(AppendError::TooMany)) {
            self.make_room(now);
            let settled = self.settled();
            result = self.segments.append(&mut self.builder, settled, most);
        }
        let last = self.segments.last_of_old();
        if last > before {
            self.pace = Some(Pace::new(last, self.dirty.holding(last)));
        }
        result.map_err(|error| self.segments.told(error))
    }

    /// Tells everybody, and notes what the targets are owed.
    fn finish(&mut self, group: Group, frame: u64, now: Instant) {
        // Whoever was told that something is forgotten may be sure that it is not written any more.
        for (_, item) in group.items() {
            if let Item::Forget {
                stream,
                scope,
                rest: Rest::Drop,
            } = item
            {
                for key in self.dirty.covered(stream, scope) {
                    self.dirty.remove(key);
                }
                if *scope == Scope::Stream {
                    self.failed.remove(stream);
                }
            }
        }
        let lazily = now
            + if self.options.interval.is_zero() {
                NEVER
            } else {
                self.options.interval
            };
        let soon = now + self.options.checkpoint_after;
        let mut touched = HashSet::new();
        for (batch, item) in group.items() {
            if group.is_direct(batch, item) {
                continue;
            }
            match batch.promise {
                Promise::Durable => self.dirty.note(item, frame, now, soon),
                Promise::Written => self.dirty.note(item, LAZY, now, lazily),
            }
            if let Item::Block { target, .. } | Item::File { target, .. } = item {
                touched.insert(key(target));
            }
        }
        let mut results = group.results;
        for (batch, result) in group.batches.iter().zip(&mut results) {
            if batch.promise == Promise::Written && result.is_ok() {
                *result = self.write_items(batch, now);
            }
        }
        let bytes: usize = group.batches.iter().map(Batch::bytes).sum();
        {
            let mut queue = self.shared.queue.lock();
            queue.bytes = queue.bytes.saturating_sub(bytes as u64);
        }
        for (batch, result) in group.batches.into_iter().zip(results) {
            self.tell(batch.done, result);
        }
        if touched.len() <= PROMPT_TARGETS {
            for key in touched {
                if let Err(failure) = self.dirty.write(key, now) {
                    self.report(failure);
                }
            }
        }
    }

    /// Writes what a batch that waits for no sync has brought.
    fn write_items(&mut self, batch: &Batch, now: Instant) -> Result<(), JournalError> {
        for item in &batch.items {
            if let Item::Block { target, .. } | Item::File { target, .. } = item {
                let written = self.dirty.write(key(target), now);
                written.map_err(|failure| self.report(failure))?;
            }
        }
        Ok(())
    }

    /// Gives a stream back what the journal has of it.
    fn reopen(
        &mut self,
        stream: &Incarnation,
        mut replay: Box<dyn Replay + Send>,
    ) -> Result<(), JournalError> {
        let settled = self.settled();
        self.segments.void(settled)?;
        let directory = &self.options.directory;
        let io = |error| JournalError::Io {
            path: directory.clone(),
            error: Arc::new(error),
        };
        let mut scan =
            recover::scan(self.env.disk(), directory).map_err(|error| io(std::io::Error::other(error)))?;
        scan.settled = scan.settled.max(settled);
        let replayed = scan
            .replay(self.env.disk(), Some(stream), replay.as_mut())
            .map_err(io)?;
        if let Some(reason) = replayed.kept.values().flatten().next() {
            return Err(io(std::io::Error::other(reason.clone())));
        }
        for key in self.dirty.covered(stream, &Scope::Stream) {
            self.dirty.remove(key);
        }
        self.failed.remove(stream);
        Ok(())
    }

    /// Syncs everything and removes all segments; those stay that a failed stream needs.
    fn close(&mut self, now: Instant) -> Result<(), JournalError> {
        let mut result = Ok(());
        for key in self.dirty.keys() {
            let synced = self.sync_now(key, now);
            result = result.and(synced);
        }
        self.segments.clear(self.settled())?;
        if let (Ok(()), Some(stream)) = (&result, self.failed.iter().next()) {
            let stream = format!("{stream:?}");
            return Err(JournalError::Failed { stream });
        }
        result
    }

    /// The greatest frame up to which everything is in its target and synced.
    pub(crate) fn settled(&self) -> u64 {
        self.dirty.settled(self.segments.number())
    }

    /// Notes that the disk failed a target, and tells it.
    pub(crate) fn report(&mut self, failure: Failure) -> JournalError {
        let is_passing = failure.is_passing();
        let path = self.options.directory.clone();
        let error = match is_passing {
            true => JournalError::Full { path },
            false => JournalError::Target {
                stream: format!("{:?}", failure.stream),
                error: Arc::new(failure.error),
            },
        };
        if !is_passing {
            self.failed.insert(failure.stream);
            failure.target.failed(&error);
        }
        error
    }

    /// A panic of whoever is told must not end everybody's journal.
    pub(crate) fn tell(&self, done: Done, result: Result<(), JournalError>) {
        if std::panic::catch_unwind(AssertUnwindSafe(|| done(result))).is_err() {
            self.env.note_panic("journal: whoever waited for a batch");
        }
    }
}

/// Takes the directory for this process.
/// Makes the journal's directory. Its own name survives power loss too, and so do those of the directories around it, which
/// may be as new.
fn make_directory(disk: &dyn Disk, directory: &Path) -> std::io::Result<()> {
    disk.create_dir(directory)?;
    let mut around = directory.ancestors().skip(1);
    around.next().map_or(Ok(()), |parent| disk.sync_dir(parent))?;
    // Further out are directories that may be nobody's to open.
    around.for_each(|path| drop(disk.sync_dir(path)));
    Ok(())
}

fn lock(env: &Env, options: &Options) -> Result<Box<dyn DiskFile>, OpenError> {
    let path = options.directory.join("lock");
    let locked = env
        .disk()
        .open(&path, OpenMode::ReadWrite)
        .and_then(|file| file.lock().map(|()| file));
    locked.map_err(|error| match error.kind() {
        std::io::ErrorKind::WouldBlock => OpenError::InUse {
            path: options.directory.clone(),
        },
        _ => OpenError::Io { path, error },
    })
}
