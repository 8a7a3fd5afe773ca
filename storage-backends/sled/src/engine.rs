//! The database and its writer.
//!
//! Any call into sled may wait: for a page that is not cached, for a segment, for the file of a long value. So the owners
//! of streams make none, apart from opening, closing and deleting. They queue what they have staged; a turn of the
//! writer takes all that is queued, makes one batch of each stream's, and syncs once for all who asked. Loads go to the
//! database from wherever their jobs run.
//!
//! When sled fails, everything queued fails with it, and so do later commits. sled itself refuses all work then, so the
//! database is dropped with the last stream and opened anew.

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use dunlin_api::{StoreError, StoreObserver, StoredMessage, Ticket};
use parking_lot::{Condvar, Mutex};
use tokio::sync::Notify;

/// Jobs of a stream become one batch while they are no more than this: sled frees nothing that a batch has replaced
/// before its end, which is a page a message.
const BATCH: u64 = 256 * 1024;

/// What a queued change takes beside its bytes: its places in the list, in the batch and among the recent messages.
const OVERHEAD: u64 = 256;

/// What sled says of a database that somebody has open; it has no kind of error for it.
const LOCKED: &str = "could not acquire lock";

/// Together two seconds, of which a sound system needs milliseconds.
const LOCK_TRIES: u32 = 400;
const LOCK_PAUSE: Duration = Duration::from_millis(5);

/// How the database is opened.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Bytes of sled's page cache.
    pub(crate) cache: u64,
    /// Bytes that may be staged and not yet written.
    pub(crate) queued: u64,
}

/// A database while it is open.
pub(crate) struct Engine {
    db: sled::Db,
    limits: Limits,
    queue: Mutex<VecDeque<Job>>,
    /// Bytes of what is queued or being written. It guards nothing else, so relaxed order is right.
    queued: AtomicU64,
    /// Held through a turn, so that batches are applied in the order of the queue.
    turn: Mutex<()>,
    failure: OnceLock<StoreError>,
    wake: Arc<Notify>,
}

/// A key and its new value; `None` takes it out.
pub(crate) type Write = (Vec<u8>, Option<Bytes>);

/// Changes of a stream or a consumer, in the order in which they were staged.
pub(crate) struct Job {
    pub(crate) tree: sled::Tree,
    pub(crate) writes: Writes,
    /// What is durable once they are.
    pub(crate) to: Ticket,
    /// Whether somebody waits for that.
    pub(crate) sync: bool,
    pub(crate) marks: Arc<Marks>,
}

/// Changes that have not been queued yet.
#[derive(Default)]
pub(crate) struct Writes {
    list: Vec<Write>,
    bytes: u64,
}

/// How far a stream or a consumer has come.
pub(crate) struct Marks {
    durable: AtomicU64,
    /// Messages that are staged and perhaps not in the database yet, by rising sequence.
    recent: Mutex<VecDeque<Recent>>,
    stream: Arc<StreamMarks>,
    /// Its name, unless they are the stream's own.
    consumer: Option<String>,
}

/// What a stream and its consumers share.
struct StreamMarks {
    observer: Arc<dyn StoreObserver>,
    failure: OnceLock<StoreError>,
    /// The stream's own durable mark.
    durable: AtomicU64,
}

/// A message that a job has yet to write.
struct Recent {
    ticket: Ticket,
    message: StoredMessage,
}

impl Writes {
    pub(crate) fn put(&mut self, key: Vec<u8>, value: impl Into<Bytes>) {
        let value = value.into();
        self.bytes += (key.len() + value.len()) as u64 + OVERHEAD;
        self.list.push((key, Some(value)));
    }

    pub(crate) fn remove(&mut self, key: Vec<u8>) {
        self.bytes += key.len() as u64 + OVERHEAD;
        self.list.push((key, None));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }
}

impl Engine {
    /// Opens the database in `directory` and makes it where there is none. Waits for the disk.
    pub(crate) fn open(directory: &Path, limits: Limits, wake: Arc<Notify>) -> Result<Self, StoreError> {
        // sled's own thread is left on: nothing else reclaims what is no longer used.
        let config = sled::Config::new()
            .path(directory)
            .cache_capacity(limits.cache)
            .mode(sled::Mode::HighThroughput);
        let db =
            open(&config).map_err(|error| StoreError::Io(format!("{}: {error}", directory.display())))?;
        Ok(Self {
            db,
            limits,
            queue: Mutex::default(),
            queued: AtomicU64::new(0),
            turn: Mutex::default(),
            failure: OnceLock::new(),
            wake,
        })
    }

    /// For what may wait: opening and deleting trees.
    pub(crate) fn db(&self) -> &sled::Db {
        &self.db
    }

    /// Why nothing is written any more.
    pub(crate) fn failure(&self) -> Option<&StoreError> {
        self.failure.get()
    }

    /// Whether so many bytes more may be staged. A single large message always may where nothing is queued.
    pub(crate) fn make_room(&self, bytes: u64) -> Result<(), StoreError> {
        let queued = self.queued.load(Ordering::Relaxed);
        if queued > 0 && queued.saturating_add(bytes) > self.limits.queued {
            return Err(StoreError::Full(format!(
                "{queued} bytes wait for the sled database, and {} may (`max_queued`)",
                self.limits.queued
            )));
        }
        Ok(())
    }

    /// Queues a job and returns at once.
    pub(crate) fn submit(&self, job: Job) {
        self.queued.fetch_add(job.writes.bytes, Ordering::Relaxed);
        self.queue.lock().push_back(job);
        self.wake.notify_one();
    }

    /// Writes what is queued, and syncs where somebody waits for it. Waits for the disk.
    pub(crate) fn turn(&self) {
        let turn = self.turn.lock();
        self.write(false);
        drop(turn);
    }

    /// Writes and syncs everything that was queued. Waits for the disk.
    pub(crate) fn settle(&self) -> Result<(), StoreError> {
        let turn = self.turn.lock();
        self.write(true);
        drop(turn);
        self.failure.get().cloned().map_or(Ok(()), Err)
    }

    /// Fails what is queued and all that comes.
    pub(crate) fn fail(&self, error: StoreError) {
        let jobs = std::mem::take(&mut *self.queue.lock());
        self.finish(&jobs, Err(error));
    }

    fn write(&self, sync: bool) {
        let jobs = std::mem::take(&mut *self.queue.lock());
        if jobs.is_empty() && !sync {
            return;
        }
        let sync = sync || jobs.iter().any(|job| job.sync);
        let result = match self.failure.get() {
            Some(error) => Err(error.clone()),
            None => self
                .apply(&jobs, sync)
                .map_err(|error| StoreError::Io(error.to_string())),
        };
        self.finish(&jobs, result.map(|()| sync));
    }

    fn apply(&self, jobs: &VecDeque<Job>, sync: bool) -> sled::Result<()> {
        let mut batches = BTreeMap::new();
        for job in jobs.iter().filter(|job| !job.writes.is_empty()) {
            let (_, batch, bytes) = batches
                .entry(job.tree.name())
                .or_insert_with(|| (&job.tree, sled::Batch::default(), 0));
            if *bytes > 0 && *bytes + job.writes.bytes > BATCH {
                job.tree.apply_batch(std::mem::take(batch))?;
                *bytes = 0;
            }
            *bytes += job.writes.bytes;
            // It knows the last value of a key only, which is the one that counts.
            for (key, value) in &job.writes.list {
                match value {
                    Some(value) => batch.insert(key.as_slice(), &**value),
                    None => batch.remove(key.as_slice()),
                }
            }
        }
        for (tree, batch, _) in batches.into_values() {
            tree.apply_batch(batch)?;
        }
        if sync {
            self.db.flush()?;
        }
        Ok(())
    }

    /// Tells whoever is concerned; `Ok(true)`: all is durable.
    fn finish(&self, jobs: &VecDeque<Job>, result: Result<bool, StoreError>) {
        for job in jobs {
            self.queued.fetch_sub(job.writes.bytes, Ordering::Relaxed);
            match &result {
                Ok(synced) => job.marks.advance(job.to, *synced, job.sync),
                Err(error) => job.marks.fail(error),
            }
        }
        if let Err(error) = result {
            self.failure.get_or_init(|| error);
        }
    }
}

impl Drop for Engine {
    /// The writer's thread looks whether there is still somebody to write for.
    fn drop(&mut self) {
        self.wake.notify_one();
    }
}

impl Marks {
    /// The marks of a stream.
    pub(crate) fn stream(observer: Arc<dyn StoreObserver>) -> Self {
        Self {
            durable: AtomicU64::new(0),
            recent: Mutex::default(),
            stream: Arc::new(StreamMarks {
                observer,
                failure: OnceLock::new(),
                durable: AtomicU64::new(0),
            }),
            consumer: None,
        }
    }

    /// The marks of a consumer of that stream.
    pub(crate) fn consumer(&self, name: &str) -> Self {
        Self {
            durable: AtomicU64::new(0),
            recent: Mutex::default(),
            stream: self.stream.clone(),
            consumer: Some(name.to_owned()),
        }
    }

    pub(crate) fn durable(&self) -> Ticket {
        Ticket(self.durable.load(Ordering::Acquire))
    }

    pub(crate) fn observer(&self) -> &dyn StoreObserver {
        &*self.stream.observer
    }

    /// Why the stream must be opened anew.
    pub(crate) fn failure(&self) -> Option<&StoreError> {
        self.stream.failure.get()
    }

    /// Keeps a message until the job with this ticket or a later one has written it.
    pub(crate) fn keep(&self, ticket: Ticket, message: StoredMessage) {
        self.recent.lock().push_back(Recent { ticket, message });
    }

    /// A message that may not be in the database yet; one that is not here, is there.
    pub(crate) fn find(&self, sequence: u64) -> Option<StoredMessage> {
        let recent = self.recent.lock();
        let at = recent
            .binary_search_by(|recent| recent.message.sequence.cmp(&sequence))
            .ok()?;
        recent.get(at).map(|recent| recent.message.clone())
    }

    /// Forgets the messages after a sequence, which another may get.
    pub(crate) fn truncate(&self, sequence: u64) {
        let mut recent = self.recent.lock();
        let left = recent.partition_point(|recent| recent.message.sequence <= sequence);
        recent.truncate(left);
    }

    fn advance(&self, to: Ticket, synced: bool, asked: bool) {
        {
            let mut recent = self.recent.lock();
            let written = recent.iter().take_while(|recent| recent.ticket <= to).count();
            recent.drain(..written);
        }
        if !synced {
            return;
        }
        // Release: whoever sees the mark also sees what the observer was told before.
        self.durable.fetch_max(to.0, Ordering::Release);
        match &self.consumer {
            Some(name) if asked => self.observer().consumer_durable(name, to),
            Some(_) => {}
            None => {
                self.stream.durable.fetch_max(to.0, Ordering::Release);
                if asked {
                    self.observer().durable(to);
                }
            }
        }
    }

    fn fail(&self, error: &StoreError) {
        let mut is_first = false;
        self.stream.failure.get_or_init(|| {
            is_first = true;
            error.clone()
        });
        if is_first {
            let durable = Ticket(self.stream.durable.load(Ordering::Acquire));
            self.observer().failed(durable, error);
        }
    }
}

/// Opens a database. sled's own threads hold the lock of one that was closed just now for a moment more.
fn open(config: &sled::Config) -> sled::Result<sled::Db> {
    let (never, pause) = (Mutex::new(()), Condvar::new());
    for _ in 0..LOCK_TRIES {
        match config.open() {
            Err(sled::Error::Io(error)) if error.to_string().contains(LOCKED) => {
                pause.wait_for(&mut never.lock(), LOCK_PAUSE);
            }
            result => return result,
        }
    }
    config.open()
}
