//! What a stream's blocks hold when no index says so: every record read and verified, in several threads (STORE-118).
//!
//! Blocks are read from the last to the first, since tombstones stand behind what they remove: each removal is known
//! before its message is counted, and they are resolved all at once (P3). A block's records pass through a window; what
//! is kept of them until the block is counted is 24 bytes a message, and of no more than a few blocks at once. Nothing is
//! changed on disk. Age and limits are the owner's business.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use dunlin_api::{Disk, Env, OpenMode, StreamState};
use dunlin_subject::{Hashing, SequenceSet, SubjectTree};
use parking_lot::{Condvar, Mutex};

use crate::block::{BlockBuffer, BlockEvent, BlockForm, BlockSource, Damage};
use crate::crypt::{BlockCipher, CryptError, KeyRing, KeyScope};
use crate::layout::{MessageFile, MessagesDir};
use crate::rebuild::{Settled, Tally};
use crate::record::RecordKey;
use crate::scan::Reason;

pub use crate::rebuild::{RecoveredBlock, SubjectTotals};

/// Whose blocks are read.
#[derive(Clone)]
pub struct BlockOwner {
    /// Where they are.
    pub directory: MessagesDir,
    /// The stream's name, which their checksums depend on.
    pub stream: String,
    /// For encrypted blocks: the configured keys, and the account's name or the raft group's.
    pub keys: Option<(KeyRing, String)>,
}

impl BlockOwner {
    /// The numbers of the blocks that are there, rising.
    ///
    /// # Errors
    /// What the file system says.
    pub fn blocks(&self, disk: &dyn Disk) -> io::Result<Vec<u32>> {
        let files = disk.list(self.directory.path())?;
        let block = |path: &std::path::PathBuf| match MessageFile::of(path.file_name()?.to_str()?) {
            MessageFile::Block(index) => Some(index),
            _ => None,
        };
        let mut blocks: Vec<u32> = files.iter().filter_map(block).collect();
        blocks.sort_unstable();
        Ok(blocks)
    }

    /// What deciphers a block: `Ok(None)` for one that is not encrypted.
    ///
    /// # Errors
    /// The key file cannot be read, or, inside, no configured key opens it.
    pub fn cipher(&self, disk: &dyn Disk, block: u32) -> io::Result<Result<Option<BlockCipher>, CryptError>> {
        let file = match disk.read(&self.directory.key(block)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Ok(None)),
            Err(error) => return Err(error),
        };
        let Some((ring, info)) = &self.keys else {
            return Ok(Err(CryptError::WrongKey));
        };
        let found = ring.unwrap(info, KeyScope::Block(&self.stream, block), &file);
        Ok(found.map(|found| Some(found.key.block_cipher())))
    }

    /// Reads a block from its first to its last record. One whose key is lost is damage from end to end.
    ///
    /// # Errors
    /// The file, or its key's, cannot be read at all.
    pub fn read(
        &self,
        disk: &dyn Disk,
        block: u32,
        buffer: &mut BlockBuffer,
        mut visit: impl FnMut(BlockEvent<'_>),
    ) -> io::Result<BlockForm> {
        let file = disk.open(&self.directory.block(block), OpenMode::Read)?;
        let key = RecordKey::new(&self.stream, block);
        let cipher = match self.cipher(disk, block)? {
            Ok(cipher) => cipher,
            Err(error) => {
                let length = file.len()?;
                visit(BlockEvent::Damage(Damage {
                    block,
                    range: 0..length,
                    after: 0,
                    before: None,
                    reason: Reason::Key(error),
                }));
                return Ok(BlockForm {
                    file_length: length,
                    length,
                    ..BlockForm::default()
                });
            }
        };
        let source = BlockSource {
            file: file.as_ref(),
            block,
            key: &key,
            cipher: cipher.as_ref(),
        };
        source.read(buffer, visit)
    }
}

/// How far a recovery has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Blocks that have been read.
    pub blocks: usize,
    /// All blocks.
    pub of_blocks: usize,
    /// Messages found in them.
    pub messages: u64,
}

/// What to recover, and how.
pub struct Request {
    /// The blocks.
    pub owner: BlockOwner,
    /// Whether subjects are counted. Raft logs have none.
    pub track_subjects: bool,
    /// How many threads read at once, the caller's included.
    pub threads: usize,
    /// Told after each block, in any thread, while nobody else is.
    pub progress: Box<dyn Fn(Progress) + Send + Sync>,
}

/// What a stream's blocks hold.
#[derive(Default)]
pub struct Recovered {
    /// The stream's figures.
    pub state: StreamState,
    /// All blocks by rising number, also those that are of no use (see [`RecoveredBlock::is_placed`]). A block without
    /// messages ends where the one before it does.
    pub blocks: Vec<RecoveredBlock>,
    /// The subjects of all messages.
    pub subjects: SubjectTree<SubjectTotals>,
    /// Messages with a `Nats-TTL` header, rising.
    pub expiring: Vec<u64>,
    /// Messages with a `Nats-Schedule` header, rising.
    pub scheduled: Vec<u64>,
    /// What is damaged, by rising block. Sequences that are lost count as deleted.
    pub damage: Vec<Damage>,
}

/// Reads all blocks. Waits for the disk, so only a storage thread may call it.
///
/// # Errors
/// The directory, or a block of it, cannot be read at all.
pub fn recover(env: &Env, request: Request) -> io::Result<Recovered> {
    let blocks = request.owner.blocks(env.disk())?;
    let helpers = request.threads.min(blocks.len()).saturating_sub(1);
    let shared = Arc::new(Shared {
        env: env.clone(),
        hashing: request.track_subjects.then(|| Hashing::new(env.rng().bits())),
        work: Mutex::new(Work {
            left: blocks.len(),
            total: blocks.len(),
            ..Work::default()
        }),
        moved: Condvar::new(),
        ahead: request.threads.max(1) * 2,
        blocks,
        request,
    });
    for _ in 0..helpers {
        let shared = shared.clone();
        // Without a thread more, this one does it alone. In a simulation the helper comes when all is done.
        let helper = env.spawn_thread("recovery", async move { shared.read_blocks() });
        if helper.is_err() {
            break;
        }
    }
    shared.read_blocks();
    let mut work = shared.work.lock();
    while work.error.is_none() && work.settled < work.total {
        shared.moved.wait(&mut work);
    }
    match work.error.take() {
        Some(error) => Err(error),
        None => Ok(std::mem::take(&mut work.sum).finish()),
    }
}

struct Shared {
    env: Env,
    request: Request,
    blocks: Vec<u32>,
    hashing: Option<Hashing>,
    work: Mutex<Work>,
    /// Told when a block was settled, or an error ended all.
    moved: Condvar,
    /// How many blocks may be read before one is settled.
    ahead: usize,
}

#[derive(Default)]
struct Work {
    total: usize,
    /// Blocks that nobody has begun to read.
    left: usize,
    settled: usize,
    /// Blocks that were read, by how many were to be settled before them.
    ready: BTreeMap<usize, Tally>,
    sum: Sum,
    error: Option<io::Error>,
}

impl Shared {
    /// Reads blocks until none is left. Returns with one that another thread is still reading.
    fn read_blocks(&self) {
        let mut buffer = BlockBuffer::default();
        // A thread that panics must not leave the others waiting for its block.
        let mut guard = Guard {
            shared: self,
            is_done: false,
        };
        while let Some((turn, block)) = self.next() {
            match self.read(block, &mut buffer) {
                Ok(tally) => self.settle(turn, tally),
                Err(error) => self.fail(error),
            }
        }
        guard.is_done = true;
    }

    /// The next block to read, and its turn to be settled.
    fn next(&self) -> Option<(usize, u32)> {
        let mut work = self.work.lock();
        loop {
            if work.error.is_some() {
                return None;
            }
            let left = work.left.checked_sub(1)?;
            let turn = work.total - work.left;
            // Its turn is far off: whoever reads what is to come before it is behind. That is another thread, since
            // this one's blocks are all settled or ready.
            if turn < work.settled + self.ahead {
                work.left = left;
                return Some((turn, *self.blocks.get(left)?));
            }
            self.moved.wait(&mut work);
        }
    }

    fn read(&self, block: u32, buffer: &mut BlockBuffer) -> io::Result<Tally> {
        let mut tally = Tally::new(block, self.hashing.clone());
        let owner = &self.request.owner;
        let form = owner.read(self.env.disk(), block, buffer, |event| match event {
            BlockEvent::Record { record, .. } => tally.record(&record),
            BlockEvent::Damage(damage) => tally.damage.push(damage),
        })?;
        tally.form(form);
        Ok(tally)
    }

    fn settle(&self, turn: usize, tally: Tally) {
        let mut work = self.work.lock();
        work.ready.insert(turn, tally);
        let work = &mut *work;
        while let Some(tally) = work.ready.remove(&work.settled) {
            work.settled += 1;
            work.sum.add(tally);
            (self.request.progress)(Progress {
                blocks: work.settled,
                of_blocks: work.total,
                messages: work.sum.messages,
            });
        }
        self.moved.notify_all();
    }

    fn fail(&self, error: io::Error) {
        self.work.lock().error.get_or_insert(error);
        self.moved.notify_all();
    }
}

struct Guard<'a> {
    shared: &'a Shared,
    is_done: bool,
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        if !self.is_done {
            self.shared.fail(io::Error::other("reading a block panicked"));
        }
    }
}

/// Blocks added up, from the last to the first.
#[derive(Default)]
struct Sum {
    removed: SequenceSet,
    subjects: SubjectTree<SubjectTotals>,
    settled: Vec<Settled>,
    messages: u64,
}

impl Sum {
    fn add(&mut self, tally: Tally) {
        let settled = tally.settle(&mut self.removed, &mut self.subjects);
        self.messages += settled.block.messages;
        self.settled.push(settled);
    }

    fn finish(mut self) -> Recovered {
        let mut recovered = Recovered {
            subjects: self.subjects,
            ..Recovered::default()
        };
        let state = &mut recovered.state;
        self.settled.reverse();
        for Settled {
            mut block,
            expiring,
            scheduled,
            mut damage,
        } in self.settled
        {
            let is_placed = block.is_placed();
            if is_placed && block.last >= state.last {
                (state.last, state.last_time) = (block.last, block.last_time);
            }
            if is_placed && block.messages == 0 {
                (block.first, block.last, block.last_time) = (state.last + 1, state.last, state.last_time);
            }
            if block.messages > 0 && state.messages == 0 {
                (state.first, state.first_time) = (block.first, block.first_time);
            }
            state.messages += block.messages;
            state.bytes += block.bytes;
            recovered.blocks.push(block);
            recovered.expiring.extend(expiring);
            recovered.scheduled.extend(scheduled);
            recovered.damage.append(&mut damage);
        }
        if state.messages == 0 && state.last > 0 {
            state.first = state.last + 1;
        }
        state.subjects = recovered.subjects.len() as u64;
        recovered
    }
}

#[cfg(test)]
mod tests;
