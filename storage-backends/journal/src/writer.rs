//! The journal's own half: takes what was submitted, makes it durable, tells.

use std::sync::Arc;

use dunlin_api::{DiskFile, Env, Instant, OpenMode, Task};
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::error::{JournalError, OpenError};
use crate::item::{Batch, Item, Promise};
use crate::replay::Replay;
use crate::{Entry, Journal, Options, Queue, Recovery, Shared};

/// Does the journal's work, one [`turn`](Writer::turn) at a time. Dropping it without [`Journal::close`] is a crash.
pub struct Writer {
    env: Env,
    options: Options,
    shared: Arc<Shared>,
    /// Held for as long as this process owns the directory.
    _lock: Box<dyn DiskFile>,
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
        let directory = &options.directory;
        let failed = |error| OpenError::Io {
            path: directory.clone(),
            error,
        };
        env.disk().create_dir(directory).map_err(failed)?;
        let lock = env
            .disk()
            .open(&directory.join("lock"), OpenMode::ReadWrite)
            .map_err(failed)?;
        lock.lock().map_err(|error| match error.kind() {
            std::io::ErrorKind::WouldBlock => OpenError::InUse {
                path: directory.clone(),
            },
            _ => failed(error),
        })?;
        replay.finish().map_err(failed)?;
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
            _lock: lock,
        };
        Ok((journal, writer, Recovery::default()))
    }

    /// Takes turns on a thread of its own until the journal is closed; in a simulation, as a task.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn start(mut self) -> std::io::Result<Task> {
        let env = self.env.clone();
        env.spawn_thread("journal", async move {
            loop {
                let env = self.env.clone();
                match self.turn(env.now()) {
                    Next::Now => {}
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

    /// One step: everything that has been submitted, up to a frame's worth, made durable and told; then a share of what is due for
    /// checkpoints. Waits for the disk.
    pub fn turn(&mut self, _now: Instant) -> Next {
        let entries = {
            let mut queue = self.shared.queue.lock();
            queue.bytes = 0;
            std::mem::take(&mut queue.entries)
        };
        for entry in entries {
            match entry {
                Entry::Batch(batch) => {
                    let result = self.direct(&batch);
                    (batch.done)(result);
                }
                Entry::Erase(done) => done(Ok(())),
                Entry::Reopen {
                    stream,
                    mut replay,
                    done,
                } => {
                    // Everything is in its place already.
                    drop(stream);
                    done(replay.finish().map_err(|error| self.io(error)));
                }
                Entry::Close(done) => {
                    done(Ok(()));
                    return Next::Closed;
                }
            }
        }
        Next::Submitted
    }

    /// Writes a batch to its targets and syncs them.
    fn direct(&self, batch: &Batch) -> Result<(), JournalError> {
        for item in &batch.items {
            let (target, bytes, offset) = match item {
                Item::Block {
                    target,
                    bytes,
                    offset,
                    ..
                } => (target, bytes, *offset),
                Item::File { target, bytes, .. } => (target, bytes, 0),
                Item::Consumer { target, .. } | Item::Raft { target, .. } => {
                    target.sync().map_err(|error| self.io(error))?;
                    continue;
                }
                Item::Forget { .. } => continue,
            };
            target.write(bytes, offset).map_err(|error| self.io(error))?;
            if batch.promise == Promise::Durable {
                target.sync().map_err(|error| self.io(error))?;
            }
        }
        Ok(())
    }

    fn io(&self, error: std::io::Error) -> JournalError {
        JournalError::Io {
            path: self.options.directory.clone(),
            error: Arc::new(error),
        }
    }
}
