//! The seam to the world: everything that is not a pure function of its input is reached through [`Env`].
//!
//! Clock, timers, randomness, sockets, files, threads and log lines stand behind small traits. The process gives
//! an `Env` made of the system's own; a simulation gives one whose time is paused, whose network cuts and delays
//! bytes, and whose randomness follows from a seed. No other crate reads a clock, opens a socket or a file, or
//! starts a thread: `cargo xtask tidy` and the lints see to it.

mod clock;
mod disk;
mod execution;
mod logger;
mod memory_disk;
mod network;
mod random;
mod system;
mod usage;

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

pub use clock::{Clock, Instant, SimulatedClock, Sleep, SystemClock};
pub use disk::{Advice, Disk, DiskFile, OpenMode, SystemDisk};
pub use execution::{CurrentThread, Execution, OffloadError, OwnThread, Task};
pub use logger::{Level, LogLevels, LogSink, Logger};
pub use memory_disk::{DiskCall, DiskEffect, DiskOperation, MemoryDisk};
pub use network::{Acceptor, ByteStream, Incoming, Network, Socket, readable, writable};
pub use random::{Random, Rng, SeededRandom, SystemRandom};
pub use system::Shards;
pub use usage::{Usage, UsageMeter};

use crate::shard::Shard;

/// Everything outside the broker, as one cheap handle: cloning costs one reference count.
#[derive(Clone)]
pub struct Env {
    parts: Arc<EnvParts>,
}

/// What an [`Env`] is made of. Each part may be the system's or a simulation's.
pub struct EnvParts {
    /// Monotonic and wall time, timers.
    pub clock: Box<dyn Clock>,
    /// Seeds and secrets.
    pub random: Box<dyn Random>,
    /// Sockets and name resolution.
    pub network: Box<dyn Network>,
    /// Files.
    pub disk: Box<dyn Disk>,
    /// Tasks, shards and off-loaded work.
    pub execution: Box<dyn Execution>,
    /// Log lines.
    pub logger: Logger,
}

impl Env {
    /// Joins the parts.
    pub fn new(parts: EnvParts) -> Self {
        Self {
            parts: Arc::new(parts),
        }
    }

    /// Monotonic time. About 25 ns: once per read batch, not per message.
    pub fn now(&self) -> Instant {
        self.parts.clock.now()
    }

    /// Wall time, for what people and peers read. May jump.
    pub fn wall(&self) -> SystemTime {
        self.parts.clock.wall()
    }

    /// Waits for `duration`. Dropping the future cancels the timer.
    pub fn sleep(&self, duration: Duration) -> Sleep {
        self.parts.clock.sleep_until(self.now() + duration)
    }

    /// Waits until `deadline`; returns at once when it has passed.
    pub fn sleep_until(&self, deadline: Instant) -> Sleep {
        self.parts.clock.sleep_until(deadline)
    }

    /// `future`'s output, or `None` when `limit` passes first.
    pub async fn timeout<F: Future>(&self, limit: Duration, future: F) -> Option<F::Output> {
        tokio::select! {
            biased;
            output = future => Some(output),
            () = self.sleep(limit) => None,
        }
    }

    /// A small fast generator with a seed of its own. Not for secrets.
    pub fn rng(&self) -> Rng {
        Rng::seeded(self.parts.random.seed())
    }

    /// Fills `bytes` with unpredictable bytes, fit for nonces and keys.
    pub fn fill_secret(&self, bytes: &mut [u8]) {
        self.parts.random.fill(bytes);
    }

    /// Sockets and name resolution.
    pub fn network(&self) -> &dyn Network {
        self.parts.network.as_ref()
    }

    /// Files. Calls wait for the disk: never from a shard's thread after start-up.
    pub fn disk(&self) -> &dyn Disk {
        self.parts.disk.as_ref()
    }

    /// Where log lines go.
    pub fn log(&self) -> &Logger {
        &self.parts.logger
    }

    /// The shards: one thread with one runtime per core in the process, a single one in simulation.
    pub fn shards(&self) -> &[Arc<Shard>] {
        self.parts.execution.shards()
    }

    /// The shard with the fewest sessions, for the next accepted connection.
    pub fn quietest_shard(&self) -> Arc<Shard> {
        self.parts.execution.quietest()
    }

    /// Runs `future` on `shard`. A panic ends this task alone: it is counted, logged with `name`, and reported
    /// by [`Task::join`].
    pub fn spawn_on(
        &self,
        shard: &Shard,
        name: &'static str,
        future: impl Future<Output = ()> + Send + 'static,
    ) -> Task {
        execution::spawn(self, shard.id(), name, future)
    }

    /// [`Env::spawn_on`] on the first shard, for the few tasks that belong to no connection.
    pub fn spawn(&self, name: &'static str, future: impl Future<Output = ()> + Send + 'static) -> Task {
        execution::spawn(self, 0, name, future)
    }

    /// [`Env::spawn_on`] a thread of its own, for work that waits for a disk; in a simulation, on the one thread that there is. The thread ends with
    /// the task.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn spawn_thread(
        &self,
        name: &'static str,
        future: impl Future<Output = ()> + Send + 'static,
    ) -> std::io::Result<Task> {
        execution::spawn_thread(self, name, future)
    }

    /// Runs `job` on a bounded pool and gives its result: for long CPU work such as bcrypt.
    ///
    /// # Errors
    /// [`OffloadError::Busy`] when the pool's queue is full, [`OffloadError::Panicked`] when the job panicked.
    pub async fn offload<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, OffloadError> {
        execution::offload(self.parts.execution.as_ref(), job).await
    }

    /// Counts and logs a panic that was caught in `what`, outside a task.
    pub fn note_panic(&self, what: &str) {
        execution::note_panic(self, what);
    }

    /// Panics caught since start, in tasks, jobs, receivers and outputs.
    pub fn panics(&self) -> u64 {
        self.parts.execution.panics() + self.shards().iter().map(|shard| shard.panics()).sum::<u64>()
    }

    pub(crate) fn execution(&self) -> &dyn Execution {
        self.parts.execution.as_ref()
    }
}

impl std::fmt::Debug for Env {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Env")
            .field("shards", &self.shards().len())
            .finish_non_exhaustive()
    }
}
