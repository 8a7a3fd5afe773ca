//! The backend: one store directory, its journal, and the streams that are open.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{self, TryRecvError};

use dunlin_api::{
    Capabilities, Env, OpenNames, StoreBackend, StoreError, StreamId, StreamOptions, StreamStore,
};
use dunlin_journal::{
    Batch, Done, Item, Journal, JournalError, Next, Options, Promise, Recovery, Rest, Scope, Writer,
};
use dunlin_subject::AccountName;
use parking_lot::Mutex;

use super::handle::Shared;
use super::home::Home;
use super::marks::store_error;
use super::open::io_error;
use super::replay::FileReplay;
use super::stream::FileStream;
use crate::crypt::KeyRing;
use crate::layout;

/// How a file store works.
#[derive(Clone, Debug)]
pub struct FileStoreOptions {
    /// The configured `store_dir`: streams lie below `jetstream` in it, as the reference has them, and the journal beside.
    pub directory: PathBuf,
    /// Memory for blocks, their indexes, and what open streams keep of theirs, in bytes.
    pub memory: u64,
    /// Encryption at rest: with keys everything is written encrypted, and what is in clear stays readable.
    pub keys: Option<KeyRing>,
    /// Block files that may be open at once.
    pub open_files: usize,
    /// Whether a commit waits for the disk, or only for the system (`sync_interval` of the reference).
    pub promise: Promise,
    /// The journal.
    pub journal: Options,
}

impl FileStoreOptions {
    /// Durable, with 256 MiB of memory.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        let directory = directory.into();
        Self {
            memory: 256 << 20,
            keys: None,
            open_files: 1_024,
            promise: Promise::Durable,
            journal: Options::new(directory.join("journal")),
            directory,
        }
    }
}

/// Streams in files.
pub struct FileBackend {
    env: Env,
    root: PathBuf,
    shared: Arc<Shared>,
    driver: Arc<Driver>,
    promise: Promise,
    open: OpenNames<StreamId>,
}

/// Whoever gives the journal its turns.
pub(super) struct Driver {
    journal: Journal,
    /// Where no thread does it.
    by_hand: Mutex<Option<Writer>>,
}

impl FileBackend {
    /// Opens a store directory, made if absent, and puts back what a crash left in the journal. The journal works on a
    /// thread of its own until the backend is dropped.
    ///
    /// # Errors
    /// [`StoreError::InUse`] where another process has it; [`StoreError::Locked`] where a crash left something for a
    /// stream that no configured key opens; the disk fails.
    pub fn open(env: &Env, options: FileStoreOptions) -> Result<(Self, Recovery), StoreError> {
        let (backend, recovery) = Self::open_by_hand(env, options)?;
        if let Some(writer) = backend.driver.by_hand.lock().take() {
            writer.start().map_err(io_error)?;
        }
        Ok((backend, recovery))
    }

    /// [`FileBackend::open`] without a thread: [`FileBackend::turn`] does its work, for simulations.
    ///
    /// # Errors
    /// As [`FileBackend::open`].
    pub fn open_by_hand(env: &Env, options: FileStoreOptions) -> Result<(Self, Recovery), StoreError> {
        let root = options.directory.join(layout::JETSTREAM);
        make_directories(env, [&root, &options.journal.directory]).map_err(io_error)?;
        let mut replay = FileReplay::new(env, &root, options.keys.clone());
        let opened = Journal::open(env, options.journal, &mut replay);
        let (journal, writer, recovery) = opened.map_err(|error| match error {
            dunlin_journal::OpenError::InUse { path } => StoreError::InUse(path.display().to_string()),
            error => match replay.take_locked() {
                Some(reason) => StoreError::Locked(reason),
                None => StoreError::Io(error.to_string()),
            },
        })?;
        let backend = Self {
            env: env.clone(),
            root,
            shared: Shared::new(env.clone(), options.keys, options.memory, options.open_files),
            driver: Arc::new(Driver {
                journal,
                by_hand: Mutex::new(Some(writer)),
            }),
            promise: options.promise,
            open: OpenNames::default(),
        };
        Ok((backend, recovery))
    }

    /// Does one step of the journal's work where no thread does it; false where there was none.
    pub fn turn(&self) -> bool {
        self.driver.turn(&self.env)
    }

    /// Drops from memory what can be read again.
    pub fn cool(&self) {
        self.shared.cache.clear();
    }

    /// Checkpoints everything and leaves the journal empty: the directory is the reference's alone then. Streams are
    /// closed before.
    ///
    /// # Errors
    /// The disk fails; the journal keeps what it holds.
    pub fn close(self) -> Result<(), StoreError> {
        let journal = self.driver.journal.clone();
        self.driver.wait(&self.env, |done| journal.close(done))
    }

    fn home(&self, id: &StreamId) -> Home {
        Home::new(self.shared.clone(), &self.root, id.clone())
    }
}

impl Driver {
    pub(super) fn journal(&self) -> &Journal {
        &self.journal
    }

    fn turn(&self, env: &Env) -> bool {
        match &mut *self.by_hand.lock() {
            Some(writer) => matches!(writer.turn(env.now()), Next::Now),
            None => false,
        }
    }

    /// Waits until what `submit` hands over is through.
    pub(super) fn wait(&self, env: &Env, submit: impl FnOnce(Done)) -> Result<(), StoreError> {
        let (sender, receiver) = mpsc::channel();
        submit(Box::new(move |result: Result<(), JournalError>| {
            // Nobody waits any more when the receiver is gone.
            let _ = sender.send(result);
        }));
        loop {
            if self.by_hand.lock().is_none() {
                let result = receiver.recv();
                return through(result.unwrap_or(Err(JournalError::Closed)));
            }
            match receiver.try_recv() {
                Ok(result) => return through(result),
                Err(TryRecvError::Disconnected) => return through(Err(JournalError::Closed)),
                Err(TryRecvError::Empty) => {
                    self.turn(env);
                }
            }
        }
    }
}

/// Makes directories, so that their names survive.
fn make_directories(env: &Env, all: [&Path; 2]) -> io::Result<()> {
    for directory in all {
        env.disk().create_dir(directory)?;
    }
    for parent in all
        .iter()
        .flat_map(|directory| directory.ancestors().skip(1).take(2))
    {
        env.disk().sync_dir(parent)?;
    }
    Ok(())
}

fn through(result: Result<(), JournalError>) -> Result<(), StoreError> {
    result.map_err(|error| store_error(&error))
}

impl Drop for FileBackend {
    fn drop(&mut self) {
        // A thread ends with its journal. By hand, dropping it is a crash.
        if self.driver.by_hand.lock().is_none() {
            self.driver.journal.close(Box::new(|_| ()));
        }
    }
}

impl StoreBackend for FileBackend {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            durable: true,
            secure_erase: true,
            detects_damage: true,
            cold_reads: true,
        }
    }

    fn stream(&self, id: &StreamId, options: StreamOptions) -> Result<Box<dyn StreamStore>, StoreError> {
        if !layout::is_account_directory(id.account().as_str()) {
            return Err(StoreError::InvalidName(id.account().as_str().to_owned()));
        }
        let lease = self.open.take(id.clone())?;
        let stream = FileStream::open(self.home(id), self.driver.clone(), options, self.promise, lease)?;
        Ok(Box::new(stream))
    }

    fn list(&self) -> Result<Vec<StreamId>, StoreError> {
        let disk = self.env.disk();
        let names = |path: &Path| -> Result<Vec<String>, StoreError> {
            match disk.list(path) {
                Ok(found) => Ok(found
                    .iter()
                    .filter_map(|path| Some(path.file_name()?.to_str()?.to_owned()))
                    .collect()),
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
                    ) =>
                {
                    Ok(Vec::new())
                }
                Err(error) => Err(io_error(error)),
            }
        };
        let mut streams = Vec::new();
        for account in names(&self.root)?
            .iter()
            .filter(|name| layout::is_account_directory(name))
        {
            let Ok(account_name) = AccountName::new(account) else {
                continue;
            };
            for stream in names(&self.root.join(account).join("streams"))? {
                let Ok(id) = StreamId::new(account_name.clone(), &stream) else {
                    continue;
                };
                if !names(&self.home(&id).messages)?.is_empty()
                    || !names(&self.home(&id).directory)?.is_empty()
                {
                    streams.push(id);
                }
            }
        }
        Ok(streams)
    }

    fn delete(&self, id: &StreamId) -> Result<bool, StoreError> {
        self.open.require_closed(id)?;
        let home = self.home(id);
        let disk = self.env.disk();
        match disk.list(&home.directory) {
            Ok(found) if !found.is_empty() => {}
            Ok(_) => return Ok(false),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(io_error(error)),
        }
        // First nothing may bring it back, then its name goes at once, then its files one by one (STORE-109).
        self.driver.wait(&self.env, |done| {
            self.driver.journal.submit(Batch {
                items: vec![Item::Forget {
                    stream: home.incarnation.clone(),
                    scope: Scope::Stream,
                    rest: Rest::Drop,
                }],
                promise: Promise::Durable,
                done,
            });
        })?;
        let aside = home.directory.with_file_name(format!(".{}", id.stream()));
        let parent = home.directory.parent().unwrap_or(&self.root);
        let gone = || -> io::Result<()> {
            match disk.remove_dir(&aside) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            disk.rename(&home.directory, &aside)?;
            disk.sync_dir(parent)?;
            disk.remove_dir(&aside)
        };
        gone().map_err(io_error)?;
        Ok(true)
    }
}
