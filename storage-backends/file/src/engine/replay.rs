//! What a crash left in the journal, applied to the files before any stream opens.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use dunlin_api::{Env, OpenMode, StreamId};
use dunlin_journal::{Found, Incarnation, Replay, Verdict, replay_block};
use dunlin_subject::AccountName;

use super::home::{FINGERPRINT, fingerprint};
use super::keys::{KeyFault, KeyFiles};
use super::timers::{self, State};
use super::{checkpoint, destroy, erase, timer_codec};
use crate::consumer::{ConsumerReplay, Whereabouts};
use crate::crypt::{BlockCipher, KeyRing, KeyScope};
use crate::layout::{ConsumerDir, MessagesDir, StreamDir};
use crate::record::{Head, MIN_LENGTH, Record, RecordKey};
use crate::small::Sealing;

/// Applies a crash's rest to the streams below a directory.
pub(super) struct FileReplay {
    env: Env,
    root: PathBuf,
    keys: Option<KeyRing>,
    /// The streams whose key is there, where they have one.
    unlocked: BTreeSet<PathBuf>,
    /// What no configured key opens; it ended the replay.
    locked: Option<String>,
    /// Written and not synced.
    written: BTreeSet<PathBuf>,
    /// What small files are to become: what each change found before, and the last content.
    files: BTreeMap<PathBuf, Small>,
    timers: BTreeMap<PathBuf, State>,
    consumers: ConsumerReplay,
    /// The consumers that were given something.
    given: BTreeMap<(StreamId, String), ConsumerDir>,
}

#[derive(Default)]
struct Small {
    known: Vec<[u8; FINGERPRINT]>,
    content: Vec<u8>,
}

impl FileReplay {
    /// Over the directory of all accounts.
    pub(super) fn new(env: &Env, root: &Path, keys: Option<KeyRing>) -> Self {
        Self {
            env: env.clone(),
            root: root.to_owned(),
            keys,
            unlocked: BTreeSet::new(),
            locked: None,
            written: BTreeSet::new(),
            files: BTreeMap::new(),
            timers: BTreeMap::new(),
            consumers: ConsumerReplay::default(),
            given: BTreeMap::new(),
        }
    }

    fn stream(&self, incarnation: &Incarnation) -> Option<(StreamId, PathBuf)> {
        let name = std::str::from_utf8(incarnation.as_bytes()).ok()?;
        let (account, stream) = name.rsplit_once('/')?;
        let id = StreamId::new(AccountName::new(account).ok()?, stream).ok()?;
        let directory = self.root.join(account).join("streams").join(stream);
        Some((id, directory))
    }

    /// Why the replay ended, where that was for a key.
    pub(super) fn take_locked(&mut self) -> Option<String> {
        self.locked.take()
    }

    fn key_files<'a>(&'a self, id: &'a StreamId) -> KeyFiles<'a> {
        KeyFiles {
            env: &self.env,
            ring: self.keys.as_ref(),
            account: id.account().as_str(),
        }
    }

    /// With the key of a whole stream, what a crash left for it waits for the right one to be configured.
    fn require_key(&mut self, id: &StreamId, directory: &Path) -> io::Result<()> {
        if self.unlocked.contains(directory) {
            return Ok(());
        }
        let meta = StreamDir::found(directory.to_owned()).meta();
        match self.key_files(id).find(KeyScope::Stream(id.stream()), &meta.key) {
            Ok(_) => {}
            Err(KeyFault::Io(error)) => return Err(error),
            Err(KeyFault::Locked(reason)) => {
                self.locked = Some(reason.clone());
                return Err(io::Error::other(reason));
            }
        }
        self.unlocked.insert(directory.to_owned());
        Ok(())
    }

    /// What deciphers a block; inside, why that is lost.
    fn cipher(
        &self,
        id: &StreamId,
        messages: &Path,
        block: u32,
    ) -> io::Result<Result<Option<BlockCipher>, String>> {
        let directory = MessagesDir::found(messages.to_owned());
        let key = directory.key(block);
        match self.key_files(id).find(KeyScope::Block(id.stream(), block), &key) {
            Ok(found) => Ok(Ok(found.map(|key| key.block_cipher()))),
            Err(KeyFault::Locked(reason)) => Ok(Err(reason)),
            Err(KeyFault::Io(error)) => Err(error),
        }
    }

    fn block(&mut self, id: &StreamId, messages: &Path, item: Found<'_>) -> io::Result<Verdict> {
        let Found::Block { block, before, .. } = item else {
            return Ok(Verdict::Refused("not a block's bytes".to_owned()));
        };
        let path = messages.join(format!("{block}.blk"));
        let cipher = match self.cipher(id, messages, block)? {
            Ok(cipher) => cipher,
            Err(reason) => return Ok(Verdict::Refused(reason)),
        };
        let disk = self.env.disk();
        let file = disk.open_with_permissions(&path, OpenMode::ReadWrite, 0o600)?;
        let decipher = |at: u64, bytes: &mut [u8]| {
            if let Some(cipher) = &cipher {
                cipher.apply(at, bytes);
            }
        };
        let mut sum = [0; 8];
        let checksum = match before.length.checked_sub(8) {
            Some(at) => {
                let is_there = file.read_at(&mut sum, at)? == sum.len();
                decipher(at, &mut sum);
                is_there.then_some(sum)
            }
            None => None,
        };
        let key = RecordKey::new(id.stream(), block);
        let verdict = replay_block(&*file, checksum, item, &|at, bytes| {
            // The head tells how much of the bytes must be deciphered.
            let mut head = bytes.get(..MIN_LENGTH)?.to_vec();
            decipher(at, &mut head);
            let length = Head::read(&head).ok()?.length;
            let mut record = bytes.get(..length)?.to_vec();
            decipher(at, &mut record);
            let record = Record::decode(&record, &key).ok()?;
            Some(record.length())
        })?;
        if verdict == Verdict::Applied {
            self.written.insert(path);
        }
        Ok(verdict)
    }
}

impl FileReplay {
    fn consumer(
        &mut self,
        id: &StreamId,
        directory: PathBuf,
        name: &str,
        bytes: &[u8],
    ) -> io::Result<Verdict> {
        let Some(consumer) = StreamDir::found(directory).consumer(name) else {
            return Ok(Verdict::Refused("a consumer's name that is none".to_owned()));
        };
        let sealing = match self.sealing(id, &consumer, name) {
            Ok(sealing) => sealing,
            Err(KeyFault::Locked(reason)) => return Ok(Verdict::Refused(reason)),
            Err(KeyFault::Io(error)) => return Err(error),
        };
        let at = Whereabouts {
            env: &self.env,
            directory: &consumer,
            sealing: &sealing,
            stream: id.stream(),
            name,
        };
        let verdict = self.consumers.apply(at, bytes)?;
        self.given.insert((id.clone(), name.to_owned()), consumer);
        Ok(verdict)
    }

    fn sealing(&self, id: &StreamId, directory: &ConsumerDir, name: &str) -> Result<Sealing, KeyFault> {
        let scope = KeyScope::Consumer(id.stream(), name);
        let key = self.key_files(id).find(scope, &directory.meta().key)?;
        Ok(key.map_or_else(Sealing::clear, Sealing::sealed))
    }

    fn finish_consumers(&mut self) -> io::Result<()> {
        for ((id, name), directory) in std::mem::take(&mut self.given) {
            // What was applied had its key.
            let sealing = self.sealing(&id, &directory, &name).map_err(io::Error::other)?;
            self.consumers.finish(Whereabouts {
                env: &self.env,
                directory: &directory,
                sealing: &sealing,
                stream: id.stream(),
                name: &name,
            })?;
        }
        Ok(())
    }
}

impl Replay for FileReplay {
    fn apply(&mut self, stream: &Incarnation, item: Found<'_>) -> io::Result<Verdict> {
        let Some((id, directory)) = self.stream(stream) else {
            return Ok(Verdict::Gone);
        };
        let messages = directory.join("msgs");
        if self
            .env
            .disk()
            .list(&directory)
            .map_or(true, |found| found.is_empty())
        {
            return Ok(Verdict::Gone);
        }
        self.require_key(&id, &directory)?;
        match item {
            Found::Block { .. } => self.block(&id, &messages, item),
            Found::File { name, bytes } => {
                let Some((before, content)) = bytes.split_first_chunk() else {
                    return Ok(Verdict::Refused(
                        "a small file without its fingerprint".to_owned(),
                    ));
                };
                let small = self.files.entry(directory.join(name)).or_default();
                small.known.push(*before);
                small.known.push(fingerprint(content));
                small.content = content.to_vec();
                Ok(Verdict::Applied)
            }
            Found::Consumer { name, bytes } if name == timers::NAME => {
                let disk = self.env.disk();
                if !self.timers.contains_key(&messages) {
                    let (timers, stamp) = timer_codec::read(disk, &messages)?;
                    let known = State {
                        timers,
                        stamp: stamp.unwrap_or_default(),
                        dirty: false,
                    };
                    self.timers.insert(messages.clone(), known);
                }
                let known = self.timers.entry(messages).or_default();
                Ok(match timers::apply_changes(known, bytes) {
                    Some(()) => Verdict::Applied,
                    None => Verdict::Refused("timers that cannot be read".to_owned()),
                })
            }
            Found::Consumer { name, bytes } if name == destroy::NAME => {
                Ok(match destroy::replay(self.env.disk(), &messages, bytes)? {
                    None => Verdict::Applied,
                    Some(reason) => Verdict::Refused(reason),
                })
            }
            Found::Consumer { name, bytes } if name == erase::NAME => {
                Ok(match erase::replay(self.env.disk(), &messages, bytes)? {
                    None => Verdict::Applied,
                    Some(reason) => Verdict::Refused(reason),
                })
            }
            Found::Consumer { name, .. } if name == checkpoint::NAME => Ok(Verdict::Present),
            Found::Consumer { name, bytes } => self.consumer(&id, directory, name, bytes),
            Found::Raft { .. } => Ok(Verdict::Refused("an entry of a raft log".to_owned())),
        }
    }

    fn finish(&mut self) -> io::Result<()> {
        self.finish_consumers()?;
        let disk = self.env.disk();
        let mut directories = BTreeSet::new();
        for path in std::mem::take(&mut self.written) {
            match disk.open(&path, OpenMode::ReadWrite) {
                Ok(file) => file.sync()?,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            }
            directories.extend(path.parent().map(Path::to_owned));
        }
        for directory in directories {
            disk.sync_dir(&directory)?;
        }
        for (path, small) in std::mem::take(&mut self.files) {
            let there = timer_codec::read_file(disk, &path)?;
            if small.known.contains(&fingerprint(&there)) {
                if there != small.content {
                    disk.replace(&path, &small.content)?;
                }
            } else {
                // Another server wrote it since: what it acknowledged last stays.
                self.env.log().warn(format_args!(
                    "{} was changed by another server; an older content is not put back",
                    path.display()
                ));
            }
        }
        for (messages, state) in std::mem::take(&mut self.timers) {
            let (wheel, schedules) = timer_codec::encode(&state);
            disk.replace(&messages.join("thw.db"), &wheel)?;
            disk.replace(&messages.join("sched.db"), &schedules)?;
        }
        Ok(())
    }
}
