//! The store of one consumer: its state in memory, changes in the journal, the whole in `o.dat` at checkpoints.
//!
//! The owner appends runs of changes and hands them to the journal; the journal's thread, when it is to let go of them,
//! reads `o.dat`, makes the changes and replaces it. So a consumer with a million pending acks is once in memory, and an
//! ack costs a few bytes. What tells runs apart is in [`super::delta`].

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use dunlin_api::{
    ConsumerChange, ConsumerState, ConsumerStore, Damage, Env, StoreError, StoreObserver, Ticket,
};
use dunlin_journal::{
    Batch, Incarnation, Item, Journal, JournalError, Promise, SharedBytes, Target, Verdict,
};
use parking_lot::Mutex;

use super::codec;
use super::delta::{Fingerprint, Place, begin_changes, decode_file, fingerprint, metadata_run, put_change};
use super::files::{OpenFiles, Whereabouts};
use crate::layout::{ConsumerDir, DIRECTORY_PERMISSIONS};
use crate::small::{Sealing, read_if_there};

/// What a consumer's store needs of its stream.
#[derive(Clone)]
pub struct ConsumerHome {
    /// The world.
    pub env: Env,
    /// Where changes become durable.
    pub journal: Journal,
    /// This life of the stream.
    pub stream: Incarnation,
    /// What a commit means.
    pub promise: Promise,
    /// Hears of marks and damage.
    pub fate: Arc<dyn Fate>,
    /// Its name.
    pub name: Arc<str>,
    /// The stream's name, which is in the checksum of `meta.inf`.
    pub stream_name: Arc<str>,
    /// Its directory.
    pub directory: ConsumerDir,
    /// How its small files lie there.
    pub sealing: Sealing,
}

/// What becomes of the stream's disk, for all who write there.
pub trait Fate: Send + Sync {
    /// Who hears of the stream.
    fn observer(&self) -> &dyn StoreObserver;

    /// Why nothing more becomes durable.
    fn failure(&self) -> Option<StoreError>;

    /// Nothing more becomes durable.
    fn fail(&self, error: &JournalError);
}

/// One consumer, open.
pub struct FileConsumer {
    files: Arc<ConsumerFiles>,
    state: ConsumerState,
    metadata: Vec<u8>,
    staged: Ticket,
    submitted: Ticket,
}

/// A run longer than this goes to the journal uncommitted, so that it does not grow for ever.
const LONGEST_RUN: usize = 256 << 10;

impl FileConsumer {
    /// Opens a consumer, and makes its directory where there is none. Waits for the disk. What cannot be read is set
    /// aside beside the file, and the observer is told.
    ///
    /// # Errors
    /// The disk fails.
    pub fn open(home: ConsumerHome) -> Result<Self, StoreError> {
        let failed =
            |error: io::Error| StoreError::Io(format!("{}: {error}", home.directory.path().display()));
        make_directory(&home).map_err(failed)?;
        let (state, next, base) = open_state(&home).map_err(failed)?;
        let (metadata, described) = open_metadata(&home).map_err(failed)?;
        let staging = Staging {
            last: next,
            base,
            described,
            open: Vec::new(),
            unsubmitted: Vec::new(),
            waiting: Vec::new(),
        };
        let files = ConsumerFiles {
            home,
            staging: Mutex::new(staging),
            writing: Mutex::new(()),
            durable: AtomicU64::new(0),
        };
        Ok(Self {
            files: Arc::new(files),
            state,
            metadata,
            staged: Ticket(0),
            submitted: Ticket(0),
        })
    }

    /// Its files, which the stream's closing settles.
    pub fn files(&self) -> &Arc<ConsumerFiles> {
        &self.files
    }

    fn check(&self) -> Result<(), StoreError> {
        self.files.home.fate.failure().map_or(Ok(()), Err)
    }

    /// Hands over everything that is staged.
    fn submit(&mut self) {
        let home = &self.files.home;
        let runs = self.files.staging.lock().hand_over();
        let items = runs.into_iter().map(|run| Item::Consumer {
            stream: home.stream.clone(),
            name: home.name.clone(),
            bytes: home.for_the_journal(run),
            target: self.files.clone(),
        });
        self.submitted = self.staged;
        let (files, ticket) = (self.files.clone(), self.staged);
        home.journal.submit(Batch {
            items: items.collect(),
            promise: home.promise,
            done: Box::new(move |result| files.through(ticket, result)),
        });
    }

    fn staged(&mut self) -> Ticket {
        self.staged.0 += 1;
        self.staged
    }
}

impl ConsumerStore for FileConsumer {
    fn state(&self) -> &ConsumerState {
        &self.state
    }

    fn record(&mut self, changes: &[ConsumerChange]) -> Result<Ticket, StoreError> {
        self.check()?;
        let is_long = self.files.staging.lock().stage(changes) > LONGEST_RUN;
        changes.iter().for_each(|change| self.state.apply(change));
        let ticket = self.staged();
        if is_long {
            self.submit();
        }
        Ok(ticket)
    }

    fn durable(&self) -> Ticket {
        Ticket(self.files.durable.load(Ordering::Acquire))
    }

    fn commit(&mut self, ticket: Ticket) -> Result<Ticket, StoreError> {
        self.check()?;
        if ticket > self.submitted && self.staged > self.submitted {
            self.submit();
        }
        Ok(self.durable())
    }

    fn metadata(&self) -> &[u8] {
        &self.metadata
    }

    fn set_metadata(&mut self, metadata: &[u8]) -> Result<Ticket, StoreError> {
        self.check()?;
        let home = &self.files.home;
        let on_disk = home.sealing.to_disk(metadata.to_vec(), &home.env);
        self.files.staging.lock().describe(&on_disk);
        self.metadata = metadata.to_vec();
        Ok(self.staged())
    }
}

/// A consumer's files, which its owner and the journal's thread share.
pub struct ConsumerFiles {
    home: ConsumerHome,
    staging: Mutex<Staging>,
    /// Held while files are replaced. Taken before `staging`.
    writing: Mutex<()>,
    /// Stored after what it speaks of is durable.
    durable: AtomicU64,
}

/// What is not in the files.
struct Staging {
    /// The last run that was begun.
    last: Place,
    /// What the first of all runs was made on.
    base: Fingerprint,
    /// The last `meta.inf`, as it will lie on the disk.
    described: Fingerprint,
    /// The run of changes that is being made; empty where there is none.
    open: Vec<u8>,
    /// Runs that the journal does not have.
    unsubmitted: Vec<SharedBytes>,
    /// All runs that are not in the files.
    waiting: Vec<SharedBytes>,
}

impl Staging {
    /// Appends to the open run, and tells how long it is.
    fn stage(&mut self, changes: &[ConsumerChange]) -> usize {
        if self.open.is_empty() && !changes.is_empty() {
            self.last.number += 1;
            self.open = begin_changes(self.last, self.base);
        }
        changes
            .iter()
            .for_each(|change| put_change(&mut self.open, change));
        self.open.len()
    }

    /// A new `meta.inf`.
    fn describe(&mut self, on_disk: &[u8]) {
        self.close_run();
        self.last.number += 1;
        let run = metadata_run(self.last, self.base, self.described, on_disk);
        self.described = fingerprint(on_disk);
        self.push(run);
    }

    fn close_run(&mut self) {
        if !self.open.is_empty() {
            let run = std::mem::take(&mut self.open);
            self.push(run);
        }
    }

    fn push(&mut self, run: Vec<u8>) {
        let run = Arc::new(run);
        self.unsubmitted.push(run.clone());
        self.waiting.push(run);
    }

    /// What the journal is to have.
    fn hand_over(&mut self) -> Vec<SharedBytes> {
        self.close_run();
        std::mem::take(&mut self.unsubmitted)
    }
}

impl ConsumerFiles {
    /// Writes everything that is staged to the files, handed over or not. Waits for the disk.
    ///
    /// # Errors
    /// What the disk says.
    pub fn settle(&self) -> io::Result<()> {
        self.staging.lock().close_run();
        self.sync()
    }

    fn through(&self, ticket: Ticket, result: Result<(), JournalError>) {
        match result {
            Ok(()) => {
                if self.durable.fetch_max(ticket.0, Ordering::Release) < ticket.0 {
                    self.home
                        .fate
                        .observer()
                        .consumer_durable(&self.home.name, ticket);
                }
            }
            Err(error) => self.home.fate.fail(&error),
        }
    }
}

impl Target for ConsumerFiles {
    fn write(&self, _: &[u8], _: u64) -> io::Result<()> {
        Ok(()) // A run is never written alone.
    }

    fn sync(&self) -> io::Result<()> {
        let _writing = self.writing.lock();
        let runs = std::mem::take(&mut self.staging.lock().waiting);
        if runs.is_empty() {
            return Ok(());
        }
        let at = self.home.whereabouts();
        let mut files = OpenFiles::read(at)?;
        for run in &runs {
            match files.apply(at, run)? {
                Verdict::Applied | Verdict::Present => {}
                Verdict::Gone => return Err(io::Error::other("the consumer is gone")),
                Verdict::Refused(reason) => return Err(io::Error::other(reason)),
            }
        }
        files.write(at)
    }

    fn failed(&self, error: &JournalError) {
        self.home.fate.fail(error);
    }
}

impl ConsumerHome {
    fn whereabouts(&self) -> Whereabouts<'_> {
        Whereabouts {
            env: &self.env,
            directory: &self.directory,
            sealing: &self.sealing,
            stream: &self.stream_name,
            name: &self.name,
        }
    }

    /// A run as the journal has it: sealed where the files are.
    fn for_the_journal(&self, run: SharedBytes) -> SharedBytes {
        if self.sealing.is_sealed() {
            return Arc::new(self.sealing.to_disk(run.to_vec(), &self.env));
        }
        run
    }
}

/// The state, the place of the last run in it, and the fingerprint of the file.
fn open_state(home: &ConsumerHome) -> io::Result<(ConsumerState, Place, Fingerprint)> {
    let new_place = || Place {
        mark: home.env.rng().bits(),
        number: 0,
    };
    let path = home.directory.state();
    let plain = readable(home, path.clone(), "its state", |bytes| {
        codec::decode(bytes).is_ok()
    })?;
    match decode_file(&plain) {
        Ok((state, place)) => Ok((state, place.unwrap_or_else(new_place), fingerprint(&plain))),
        Err(error) => {
            set_aside(home, path, plain.len(), &format!("its state: {error}"))?;
            Ok((ConsumerState::default(), new_place(), fingerprint(&[])))
        }
    }
}

/// The description, and the fingerprint of what lies on the disk.
fn open_metadata(home: &ConsumerHome) -> io::Result<(Vec<u8>, Fingerprint)> {
    let path = home.directory.meta().meta;
    // One in clear is JSON.
    let content = readable(home, path.clone(), "its description", |bytes| {
        bytes.first() == Some(&b'{')
    })?;
    let on_disk = read_if_there(home.env.disk(), &path)?.unwrap_or_default();
    Ok((content, fingerprint(&on_disk)))
}

fn make_directory(home: &ConsumerHome) -> io::Result<()> {
    let (disk, path) = (home.env.disk(), home.directory.path());
    disk.create_dir_with_permissions(path, DIRECTORY_PERMISSIONS)?;
    // Its own name, and that of the directory of all consumers.
    let parents = path.ancestors().skip(1).take(2);
    parents.into_iter().try_for_each(|path| disk.sync_dir(path))
}

/// What a small file holds: nothing where it is absent, or where it cannot be read and was set aside. Where files are
/// sealed, one that `is_clear` is taken as it is: it dates from before (STORE-43).
fn readable(
    home: &ConsumerHome,
    path: PathBuf,
    what: &str,
    is_clear: impl Fn(&[u8]) -> bool,
) -> io::Result<Vec<u8>> {
    let Some(on_disk) = read_if_there(home.env.disk(), &path)? else {
        return Ok(Vec::new());
    };
    match home.sealing.content(&on_disk) {
        Ok(content) => Ok(content),
        Err(_) if is_clear(&on_disk) => Ok(on_disk),
        Err(error) => {
            set_aside(home, path, on_disk.len(), &format!("{what}: {error}"))?;
            Ok(Vec::new())
        }
    }
}

/// Keeps a file that cannot be read under another name, and tells of it.
fn set_aside(home: &ConsumerHome, path: PathBuf, length: usize, reason: &str) -> io::Result<()> {
    let mut aside = path.clone().into_os_string();
    aside.push(".damaged");
    home.env.disk().rename(&path, aside.as_ref())?;
    let detail = format!("consumer {}: {reason}; kept as {}", home.name, aside.display());
    home.fate.observer().damage(&Damage {
        first: 0,
        last: 0,
        bytes: length as u64,
        detail,
    });
    Ok(())
}

#[cfg(test)]
mod tests;
