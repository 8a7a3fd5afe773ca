//! What a crash left in the journal, applied to the files before any stream opens.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use dunlin_api::{Env, OpenMode, StreamId};
use dunlin_journal::{Found, Incarnation, Replay, Verdict, replay_block};
use dunlin_subject::AccountName;

use super::home::{FINGERPRINT, fingerprint};
use super::timers::{self, State};
use super::{checkpoint, destroy, erase, timer_codec};
use crate::consumer::{ConsumerReplay, Whereabouts};
use crate::layout::{ConsumerDir, StreamDir};
use crate::record::{Record, RecordKey};
use crate::small::Sealing;

/// Applies a crash's rest to the streams below a directory.
pub(super) struct FileReplay {
    env: Env,
    root: PathBuf,
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
    pub(super) fn new(env: &Env, root: &Path) -> Self {
        Self {
            env: env.clone(),
            root: root.to_owned(),
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

    fn block(&mut self, id: &StreamId, messages: &Path, item: Found<'_>) -> io::Result<Verdict> {
        let Found::Block { block, before, .. } = item else {
            return Ok(Verdict::Refused("not a block's bytes".to_owned()));
        };
        let path = messages.join(format!("{block}.blk"));
        let disk = self.env.disk();
        let file = disk.open_with_permissions(&path, OpenMode::ReadWrite, 0o600)?;
        let mut sum = [0; 8];
        let checksum = match before.length.checked_sub(8) {
            Some(at) => (file.read_at(&mut sum, at)? == sum.len()).then_some(sum),
            None => None,
        };
        let key = RecordKey::new(id.stream(), block);
        let verdict = replay_block(&*file, checksum, item, &|_, bytes| {
            Record::decode(bytes, &key).ok().map(|record| record.length())
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
        let at = Whereabouts {
            env: &self.env,
            directory: &consumer,
            sealing: &Sealing::clear(),
            stream: id.stream(),
            name,
        };
        let verdict = self.consumers.apply(at, bytes)?;
        self.given.insert((id.clone(), name.to_owned()), consumer);
        Ok(verdict)
    }

    fn finish_consumers(&mut self) -> io::Result<()> {
        for ((id, name), directory) in std::mem::take(&mut self.given) {
            self.consumers.finish(Whereabouts {
                env: &self.env,
                directory: &directory,
                sealing: &Sealing::clear(),
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
