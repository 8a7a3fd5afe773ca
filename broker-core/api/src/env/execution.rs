//! Tasks, shards and off-loaded work. A panic ends one task, never the broker.

use std::future::Future;
use std::io;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use futures_util::FutureExt;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::Env;
use crate::shard::Shard;

/// Where tasks run.
pub trait Execution: Send + Sync + 'static {
    /// The shards, by id.
    fn shards(&self) -> &[Arc<Shard>];

    /// The runtime of shard `id`.
    fn runtime(&self, id: usize) -> &Handle;

    /// A runtime on a thread of its own; in a simulation, the one that there is.
    ///
    /// # Errors
    /// The system gives no thread.
    fn thread(&self, name: &str) -> io::Result<OwnThread>;

    /// Runs `job` on a bounded pool.
    ///
    /// # Errors
    /// [`OffloadError::Busy`] when too many wait already.
    fn offload(&self, job: Box<dyn FnOnce() + Send>) -> Result<(), OffloadError>;

    /// Where panics are counted.
    fn panic_counter(&self) -> &AtomicU64;

    /// Panics counted so far.
    fn panics(&self) -> u64 {
        self.panic_counter().load(Relaxed)
    }

    /// The shard with the fewest sessions.
    fn quietest(&self) -> Arc<Shard>;
}

/// A runtime whose tasks may wait for a disk. It ends with this.
#[derive(Debug)]
pub struct OwnThread {
    /// Where its tasks are spawned.
    pub handle: Handle,
    /// Dropped, it ends the thread.
    pub end: Option<oneshot::Sender<()>>,
}

/// Why off-loaded work gave no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OffloadError {
    /// Too many jobs wait already.
    #[error("too much work is waiting for a thread")]
    Busy,
    /// The job panicked.
    #[error("the work panicked")]
    Panicked,
}

/// A running task. Dropping the handle lets it run on.
#[derive(Debug)]
pub struct Task(JoinHandle<bool>);

impl Task {
    /// Waits for the end; false when the task panicked or was aborted.
    pub async fn join(self) -> bool {
        self.0.await.unwrap_or(false)
    }

    /// Ends the task at its next await; what it holds is dropped.
    pub fn abort(&self) {
        self.0.abort();
    }

    /// Whether it has ended.
    pub fn is_finished(&self) -> bool {
        self.0.is_finished()
    }
}

pub(super) fn spawn(
    env: &Env,
    shard: usize,
    name: &'static str,
    future: impl Future<Output = ()> + Send + 'static,
) -> Task {
    let handle = env.execution().runtime(shard);
    let env = env.clone();
    // Combinators, since an `async` block would keep a second copy of the future beside the one that it awaits.
    let caught = AssertUnwindSafe(future).catch_unwind();
    Task(handle.spawn(caught.map(move |result| {
        if result.is_err() {
            note_panic(&env, name);
        }
        result.is_ok()
    })))
}

pub(super) fn spawn_thread(
    env: &Env,
    name: &'static str,
    future: impl Future<Output = ()> + Send + 'static,
) -> io::Result<Task> {
    let OwnThread { handle, end } = env.execution().thread(name)?;
    let env = env.clone();
    let caught = AssertUnwindSafe(future).catch_unwind();
    Ok(Task(handle.spawn(caught.map(move |result| {
        if result.is_err() {
            note_panic(&env, name);
        }
        drop(end);
        result.is_ok()
    }))))
}

/// Counts and logs a panic that was caught in `what`. Its text stays out of the log: it may quote what a stranger sent. The
/// process's panic hook has named the place.
pub(super) fn note_panic(env: &Env, what: &str) {
    env.execution().panic_counter().fetch_add(1, Relaxed);
    env.log().error(format_args!("{what} panicked and was ended"));
}

pub(super) async fn offload<T: Send + 'static>(
    execution: &dyn Execution,
    job: impl FnOnce() -> T + Send + 'static,
) -> Result<T, OffloadError> {
    let (sender, receiver) = oneshot::channel();
    execution.offload(Box::new(move || drop(sender.send(job()))))?;
    receiver.await.map_err(|_| OffloadError::Panicked)
}

/// Everything on the thread that made it: for simulations and tests. Off-loaded work runs at once.
pub struct CurrentThread {
    shards: [Arc<Shard>; 1],
    handle: Handle,
    panics: AtomicU64,
}

impl CurrentThread {
    /// Runs tasks on the runtime that this is called in.
    pub fn new() -> Self {
        Self {
            shards: [Arc::new(Shard::new(0))],
            handle: Handle::current(),
            panics: AtomicU64::new(0),
        }
    }
}

impl Default for CurrentThread {
    fn default() -> Self {
        Self::new()
    }
}

impl Execution for CurrentThread {
    fn shards(&self) -> &[Arc<Shard>] {
        &self.shards
    }

    fn runtime(&self, _: usize) -> &Handle {
        &self.handle
    }

    fn thread(&self, _: &str) -> io::Result<OwnThread> {
        Ok(OwnThread {
            handle: self.handle.clone(),
            end: None,
        })
    }

    fn offload(&self, job: Box<dyn FnOnce() + Send>) -> Result<(), OffloadError> {
        if std::panic::catch_unwind(AssertUnwindSafe(job)).is_err() {
            self.panics.fetch_add(1, Relaxed);
        }
        Ok(())
    }

    fn panic_counter(&self) -> &AtomicU64 {
        &self.panics
    }

    fn quietest(&self) -> Arc<Shard> {
        let [only] = &self.shards;
        only.clone()
    }
}
