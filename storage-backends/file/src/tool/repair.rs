//! `repair`: makes of a damaged store one that either server opens, with everything that can be read.
//!
//! A block with damage is written again with the records that verify, under the same number, since a record's checksum
//! depends on it; an encrypted one gets a new key (P4). Indexes that cannot be trusted, and states of consumers that cannot
//! be read, are taken away: whoever opens the stream makes them anew. What is replaced or taken away is copied first, to
//! `set-aside` beside `jetstream`.

use std::io;
use std::path::{Path, PathBuf};

use dunlin_api::{Disk, DiskFile, Env, OpenMode};

use crate::block::{BlockBuffer, BlockEvent};
use crate::consumer::codec;
use crate::crypt::KeyScope;
use crate::layout::{DIRECTORY_PERMISSIONS, FILE_PERMISSIONS, MetaPaths};
use crate::record::{Record, RecordKey};
use crate::recovery::Recovered;
use crate::schedule::ScheduleFile;
use crate::small::{Sealing, Secrets, meta_sum, read_if_there};
use crate::sources::SourcesFile;
use crate::wheel::WheelFile;

use super::Progress;
use super::asset::{Asset, Target, ToolError, is_unsettled};
use super::check::name_in;
use super::indexed::IndexRead;

/// What a repair has done.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Repaired {
    /// A line for each change.
    pub changes: Vec<String>,
    /// A line for what stays as it is, and why.
    pub left: Vec<String>,
    /// Where the files are that were replaced or taken away.
    pub set_aside: PathBuf,
}

impl Repaired {
    /// One object.
    ///
    /// # Errors
    /// None that is known: all of it is text.
    pub fn to_json(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string_pretty(self)
    }
}

/// What was done, a line each, and what was not.
impl std::fmt::Display for Repaired {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for change in &self.changes {
            writeln!(f, "{change}")?;
        }
        for left in &self.left {
            writeln!(f, "left as it is: {left}")?;
        }
        if self.changes.is_empty() {
            return writeln!(f, "nothing was changed");
        }
        writeln!(
            f,
            "{} changes; what was replaced is in {}",
            self.changes.len(),
            self.set_aside.display()
        )
    }
}

/// Repairs everything that is meant. A second run finds nothing to do.
///
/// # Errors
/// [`ToolError::InUse`] while a broker works there, [`ToolError::Unsettled`] after it was killed there; see [`ToolError`] for the rest. What was repaired before stays so.
pub fn repair(env: &Env, target: &Target, progress: &Progress) -> Result<Repaired, ToolError> {
    let disk = env.disk();
    let assets = target.assets(disk)?;
    let store_dir = target.store_dir(disk);
    let _lock = match &store_dir {
        Some(store_dir) => lock(disk, &store_dir.join("journal"))?,
        None => None,
    };
    let mut repaired = Repaired {
        set_aside: store_dir
            .unwrap_or_else(|| target.directory.clone())
            .join("set-aside"),
        ..Repaired::default()
    };
    for asset in &assets {
        progress(&format!("{}: reading", asset.title()));
        let work = Work {
            env,
            target,
            asset,
            repaired: &mut repaired,
        };
        work.run(progress)?;
    }
    Ok(repaired)
}

/// Claims the directory for this process, where a Dunlin has ever worked. nats-server leaves no sign while it runs.
fn lock(disk: &dyn Disk, journal: &Path) -> Result<Option<Box<dyn DiskFile>>, ToolError> {
    if disk.list(journal).is_err() {
        return Ok(None);
    }
    let path = journal.join("lock");
    let file = disk
        .open_with_permissions(&path, OpenMode::ReadWrite, FILE_PERMISSIONS)
        .map_err(ToolError::io(&path))?;
    match file.lock() {
        Ok(()) if is_unsettled(disk, journal) => Err(ToolError::Unsettled(journal.to_owned())),
        Ok(()) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Err(ToolError::InUse(journal.to_owned())),
        Err(error) => Err(ToolError::io(&path)(error)),
    }
}

/// Whether a file is what it should be.
type IsGood = fn(&[u8]) -> bool;

struct Work<'a> {
    env: &'a Env,
    target: &'a Target,
    asset: &'a Asset,
    repaired: &'a mut Repaired,
}

impl Work<'_> {
    fn run(mut self, progress: &Progress) -> Result<(), ToolError> {
        let directory = self.asset.directory().path().to_owned();
        let keys = self.target.keys.as_ref();
        let sealing = self.asset.sealing(self.env.disk(), keys);
        let sealing = match sealing.map_err(ToolError::io(&directory))? {
            Ok(sealing) => sealing,
            Err(locked) => {
                self.leave(&directory, locked);
                return Ok(());
            }
        };
        let found = self.asset.recover(self.env, keys, progress)?;
        self.stream(&sealing, &found).map_err(ToolError::io(&directory))
    }

    fn stream(&mut self, sealing: &Sealing, found: &Recovered) -> io::Result<()> {
        let name = self.asset.listing.name.clone();
        let paths = self.asset.directory().meta();
        self.description(sealing, &paths, &name, |json| {
            name_in(json).as_deref() == Some(name.as_str())
        })?;
        let index = self.asset.read_index(self.env.disk(), sealing)?;
        let known = match &index {
            IndexRead::Good(index) => (index.state.last, index.state.last_time),
            IndexRead::Absent | IndexRead::Bad(_) => (0, 0),
        };
        let damaged = self.blocks(found)?;
        self.keep_last(found, known)?;
        if damaged > 0 || matches!(index, IndexRead::Bad(_)) {
            self.take_away(&self.asset.index_path(), "who opens the stream reads all blocks")?;
        }
        self.small_files()?;
        for consumer in &self.asset.listing.consumers {
            self.consumer(consumer)?;
        }
        Ok(())
    }

    /// A description that can be read, and whose checksum is missing or is another's.
    fn description(
        &mut self,
        sealing: &Sealing,
        paths: &MetaPaths,
        sum_name: &str,
        is_good: impl Fn(&[u8]) -> bool,
    ) -> io::Result<()> {
        let disk = self.env.disk();
        let Some(on_disk) = read_if_there(disk, &paths.meta)? else {
            self.leave(&paths.meta, "is missing: restore it from a backup");
            return Ok(());
        };
        let wanted = meta_sum(sum_name, &on_disk);
        let sum = read_if_there(disk, &paths.sum)?;
        if !sealing.content(&on_disk).is_ok_and(|json| is_good(&json)) {
            self.leave(&paths.meta, "cannot be read: restore it from a backup");
        } else if sum.as_deref() != Some(wanted.as_bytes()) {
            if sum.is_some() {
                self.copy_aside(&paths.sum)?;
            }
            disk.replace_with_permissions(&paths.sum, wanted.as_bytes(), FILE_PERMISSIONS)?;
            self.done(&paths.sum, "written anew: the description can be read");
        }
        Ok(())
    }

    /// Writes damaged blocks again, and says how many there were.
    fn blocks(&mut self, found: &Recovered) -> io::Result<usize> {
        let mut damaged: Vec<u32> = found.damage.iter().map(|damage| damage.block).collect();
        damaged.sort_unstable();
        damaged.dedup();
        let owner = self.asset.owner(self.target.keys.as_ref());
        let disk = self.env.disk();
        for block in &damaged {
            let (path, key_path) = (owner.directory.block(*block), owner.directory.key(*block));
            let (mut records, mut count) = (Vec::new(), 0_usize);
            let key = RecordKey::new(&owner.stream, *block);
            owner.read(disk, *block, &mut BlockBuffer::default(), |event| {
                // What was read verifies, so it can be written.
                if let BlockEvent::Record { record, .. } = event
                    && record.encode(&key, &mut records).is_ok()
                {
                    count += 1;
                }
            })?;
            let is_encrypted = read_if_there(disk, &key_path)?.is_some();
            self.copy_aside(&path)?;
            if is_encrypted {
                self.copy_aside(&key_path)?;
            }
            if records.is_empty() {
                disk.remove(&path)?;
                if is_encrypted {
                    disk.remove(&key_path)?;
                }
                disk.sync_dir(owner.directory.path())?;
                self.done(&path, "taken away: nothing in it can be read");
                continue;
            }
            self.write_block(*block, records, is_encrypted)?;
            self.done(
                &path,
                format_args!("written anew with the {count} records that can be read"),
            );
        }
        Ok(damaged.len())
    }

    fn write_block(&self, block: u32, mut records: Vec<u8>, is_encrypted: bool) -> io::Result<()> {
        let owner = self.asset.owner(self.target.keys.as_ref());
        let disk = self.env.disk();
        if let Some((ring, info)) = owner.keys.as_ref().filter(|_| is_encrypted) {
            let scope = KeyScope::Block(&owner.stream, block);
            let (key, key_file) = ring.generate(info, scope, &Secrets(self.env.clone()));
            key.block_cipher().apply(0, &mut records);
            disk.replace_with_permissions(&owner.directory.key(block), &key_file, FILE_PERMISSIONS)?;
        }
        disk.replace_with_permissions(&owner.directory.block(block), &records, FILE_PERMISSIONS)
    }

    /// The last sequence is never given again, also where its record is lost (STORE-118).
    fn keep_last(&mut self, found: &Recovered, (last, time): (u64, i64)) -> io::Result<()> {
        if last <= found.state.last {
            return Ok(());
        }
        let owner = self.asset.owner(self.target.keys.as_ref());
        let block = found
            .blocks
            .last()
            .map_or(1, |block| block.index.saturating_add(1));
        let mut records = Vec::new();
        let key = RecordKey::new(&owner.stream, block);
        if Record::tombstone(last, time).encode(&key, &mut records).is_err() {
            return Ok(()); // A sequence that no record can have is none that was given.
        }
        let was_encrypted = read_if_there(self.env.disk(), &self.asset.directory().meta().key)?.is_some();
        self.write_block(block, records, was_encrypted)?;
        let path = owner.directory.block(block);
        self.done(
            &path,
            format_args!("made, so that sequences up to {last} are not given again"),
        );
        Ok(())
    }

    fn small_files(&mut self) -> io::Result<()> {
        let messages = self.asset.directory().messages();
        let files: [(_, IsGood); 3] = [
            (messages.wheel(), |bytes| WheelFile::decode(bytes).is_ok()),
            (messages.schedules(), |bytes| ScheduleFile::decode(bytes).is_ok()),
            (self.asset.directory().sources(), |bytes| {
                SourcesFile::decode(bytes).is_ok()
            }),
        ];
        for (path, is_good) in files {
            if read_if_there(self.env.disk(), &path)?.is_some_and(|bytes| !is_good(&bytes)) {
                self.take_away(&path, "who opens the stream makes it anew")?;
            }
        }
        Ok(())
    }

    fn consumer(&mut self, name: &str) -> io::Result<()> {
        let disk = self.env.disk();
        let Some(directory) = self.asset.directory().consumer(name) else {
            return Ok(());
        };
        let keys = self.target.keys.as_ref();
        let sealing = match self.asset.consumer_sealing(disk, keys, name, &directory)? {
            Ok(sealing) => sealing,
            Err(locked) => {
                self.leave(directory.path(), locked);
                return Ok(());
            }
        };
        let sum_name = format!("{}/{name}", self.asset.listing.name);
        let is_object = |json: &[u8]| {
            json.first() == Some(&b'{') && serde_json::from_slice::<serde::de::IgnoredAny>(json).is_ok()
        };
        self.description(&sealing, &directory.meta(), &sum_name, is_object)?;
        let path = directory.state();
        let is_bad = |on_disk: Vec<u8>| {
            !sealing
                .content(&on_disk)
                .is_ok_and(|plain| codec::decode(&plain).is_ok())
        };
        if read_if_there(disk, &path)?.is_some_and(is_bad) {
            self.take_away(&path, "the consumer begins as a new one")?;
        }
        Ok(())
    }

    fn done(&mut self, path: &Path, what: impl std::fmt::Display) {
        self.repaired.changes.push(format!("{}: {what}", path.display()));
    }

    fn leave(&mut self, path: &Path, why: impl std::fmt::Display) {
        self.repaired.left.push(format!("{}: {why}", path.display()));
    }

    fn take_away(&mut self, path: &Path, what: &str) -> io::Result<()> {
        let disk = self.env.disk();
        if read_if_there(disk, path)?.is_none() {
            return Ok(());
        }
        self.copy_aside(path)?;
        disk.remove(path)?;
        if let Some(directory) = path.parent() {
            disk.sync_dir(directory)?;
        }
        self.done(path, format_args!("taken away: {what}"));
        Ok(())
    }

    /// Keeps a copy of a file, under a name that is free.
    fn copy_aside(&self, path: &Path) -> io::Result<()> {
        let disk = self.env.disk();
        let within = path.strip_prefix(self.asset.directory().path()).unwrap_or(path);
        let directory = &self.repaired.set_aside;
        let stream = directory.join(&self.asset.account).join(&self.asset.listing.name);
        let copy = stream.join(within);
        let mut free = copy.clone();
        for number in 1..u32::MAX {
            if read_if_there(disk, &free)?.is_none() {
                break;
            }
            free = copy.with_added_extension(number.to_string());
        }
        if let Some(parent) = free.parent() {
            disk.create_dir_with_permissions(parent, DIRECTORY_PERMISSIONS)?;
        }
        let bytes = disk.read(path)?;
        disk.replace_with_permissions(&free, &bytes, FILE_PERMISSIONS)
    }
}
