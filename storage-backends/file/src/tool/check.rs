//! `check`: every file is read, every record verified, what belongs together held against each other.

use std::path::Path;

use dunlin_api::{Disk, Env};

use crate::consumer::codec;
use crate::layout::MessageListing;
use crate::raft::{GroupSnapshot, Peers, commit_index};
use crate::recovery::Recovered;
use crate::schedule::ScheduleFile;
use crate::small::{Sealing, checksum, meta_sum, read_if_there};
use crate::sources::SourcesFile;
use crate::wheel::WheelFile;

use super::Progress;
use super::asset::{Asset, AssetKind, Target, ToolError, is_unsettled};
use super::indexed::{IndexRead, IndexSays};
use super::report::{AssetReport, Finding, Report, Severity};

/// Verifies everything that is meant. Nothing is written.
///
/// # Errors
/// See [`ToolError`]; damage is none.
pub fn check(env: &Env, target: &Target, progress: &Progress) -> Result<Report, ToolError> {
    let mut report = Report::default();
    for asset in target.assets(env.disk())? {
        progress(&format!("{}: reading", asset.title()));
        report.assets.push(Check::new(env, target, &asset).run(progress)?);
    }
    let journal = target
        .store_dir(env.disk())
        .map(|store_dir| store_dir.join("journal"));
    if let Some(journal) = journal.filter(|journal| is_unsettled(env.disk(), journal)) {
        report.findings.push(Finding {
            severity: Severity::Note,
            place: journal.display().to_string(),
            what: "holds what is not in the blocks yet".to_owned(),
            cost: "Dunlin brings it there when it opens the directory".to_owned(),
        });
    }
    // Said once, and not as if it were wrong: no directory of the reference has what would show it.
    report.findings.push(Finding {
        severity: Severity::Note,
        place: target.directory.display().to_string(),
        what: "a changed length of a subject or of headers, a block that ends early at a record's border and an older \
               copy of the directory cannot be seen in the files alone"
            .to_owned(),
        cost: String::new(),
    });
    Ok(report)
}

/// Reads a file as what it should be.
type Decode = fn(&[u8]) -> Result<(), crate::StampedError>;

pub(super) struct Check<'a> {
    env: &'a Env,
    disk: &'a dyn Disk,
    target: &'a Target,
    asset: &'a Asset,
    report: AssetReport,
}

impl<'a> Check<'a> {
    pub(super) fn new(env: &'a Env, target: &'a Target, asset: &'a Asset) -> Self {
        let report = AssetReport {
            name: asset.title(),
            consumers: asset.listing.consumers.len(),
            ..AssetReport::default()
        };
        Self {
            env,
            disk: env.disk(),
            target,
            asset,
            report,
        }
    }

    pub(super) fn run(mut self, progress: &Progress) -> Result<AssetReport, ToolError> {
        let directory = self.asset.directory().path().to_owned();
        let keys = self.target.keys.as_ref();
        let sealing = self
            .asset
            .sealing(self.disk, keys)
            .map_err(ToolError::io(&directory))?;
        let sealing = match sealing {
            Ok(sealing) => sealing,
            Err(locked) => {
                let place = self.asset.directory().meta().key;
                let cost = "nothing of it can be read without";
                self.find(Severity::Locked, &place, &locked, cost);
                return Ok(self.report);
            }
        };
        self.meta(&sealing).map_err(ToolError::io(&directory))?;
        let found = self.asset.recover(self.env, keys, progress)?;
        self.blocks(&found);
        self.index(&sealing, &found).map_err(ToolError::io(&directory))?;
        self.small_files().map_err(ToolError::io(&directory))?;
        for name in &self.asset.listing.consumers {
            self.consumer(name, found.state.last)
                .map_err(ToolError::io(&directory))?;
        }
        if let AssetKind::Group { snapshots } = &self.asset.kind {
            self.group(snapshots).map_err(ToolError::io(&directory))?;
        }
        self.foreign().map_err(ToolError::io(&directory))?;
        Ok(self.report)
    }

    fn find(&mut self, severity: Severity, place: &Path, what: impl std::fmt::Display, cost: &str) {
        self.report.find(severity, place.display(), what, cost);
    }

    fn meta(&mut self, sealing: &Sealing) -> std::io::Result<()> {
        let paths = self.asset.directory().meta();
        let cost = "a server does not open the stream; its messages are there";
        let Some(on_disk) = read_if_there(self.disk, &paths.meta)? else {
            self.find(Severity::Damage, &paths.meta, "missing", cost);
            return Ok(());
        };
        let sum = read_if_there(self.disk, &paths.sum)?;
        let wanted = meta_sum(&self.asset.listing.name, &on_disk);
        match sum {
            None => self.find(Severity::Damage, &paths.sum, "missing", cost),
            Some(sum) if sum != wanted.as_bytes() => {
                self.find(
                    Severity::Damage,
                    &paths.meta,
                    "does not agree with its checksum",
                    cost,
                );
            }
            Some(_) => {}
        }
        match sealing.content(&on_disk) {
            Err(error) => self.find(Severity::Damage, &paths.meta, error, cost),
            Ok(json) => match name_in(&json) {
                None => self.find(
                    Severity::Damage,
                    &paths.meta,
                    "is no description of a stream",
                    cost,
                ),
                Some(name) if name != self.asset.listing.name => {
                    let what = format!(
                        "is of the stream {name:?}, and lies in {:?}",
                        self.asset.listing.name
                    );
                    self.find(
                        Severity::Damage,
                        &paths.meta,
                        what,
                        "rename the directory as the stream is called",
                    );
                }
                Some(_) => {}
            },
        }
        Ok(())
    }

    fn blocks(&mut self, found: &Recovered) {
        let state = &found.state;
        self.report.messages = state.messages;
        self.report.bytes = state.bytes;
        (self.report.first, self.report.last) = (state.first, state.last);
        self.report.blocks = found.blocks.len();
        let directory = self.asset.directory().messages();
        for damage in &found.damage {
            let cost = match damage.sequences() {
                Some(lost) if lost.is_empty() => "no message is lost".to_owned(),
                Some(lost) => format!("at most {} messages are lost", lost.end - lost.start),
                None => "what stood at its end is lost".to_owned(),
            };
            let place = directory.block(damage.block);
            let range = &damage.range;
            let what = format!("bytes {} to {}: {}", range.start, range.end, damage.reason);
            self.find(Severity::Damage, &place, what, &cost);
        }
    }

    fn index(&mut self, sealing: &Sealing, found: &Recovered) -> std::io::Result<()> {
        let place = self.asset.index_path();
        let slow = "whoever opens the stream reads all blocks instead";
        match self.asset.read_index(self.disk, sealing)? {
            IndexRead::Absent if found.blocks.is_empty() => {}
            IndexRead::Absent => self.find(Severity::Note, &place, "missing", slow),
            IndexRead::Bad(why) => self.find(Severity::Warning, &place, why, slow),
            IndexRead::Good(index) => self.compare(&index, found),
        }
        Ok(())
    }

    /// An index that is of this state of the blocks shows what they have lost.
    fn compare(&mut self, index: &IndexSays, found: &Recovered) {
        let place = self.asset.index_path();
        let blocks = self.asset.directory().messages();
        let mut is_missing = false;
        for listed in index.blocks.iter().filter(|block| block.messages() > 0) {
            if !found.blocks.iter().any(|block| block.index == listed.index) {
                let (count, first, last) = (listed.messages(), listed.first, listed.last);
                let cost = format!("{count} messages are lost, of {first} to {last}");
                self.find(Severity::Damage, &blocks.block(listed.index), "missing", &cost);
                is_missing = true;
            }
        }
        if !index.is_current(found) {
            let what = "is older than the blocks";
            self.find(
                Severity::Note,
                &place,
                what,
                "what was stored since is in the blocks",
            );
            if index.state.last > found.state.last && !is_missing {
                let lost = format!("the index knows sequences up to {}", index.state.last);
                let cost = format!("messages after {} are lost", found.state.last);
                self.find(Severity::Damage, blocks.path(), lost, &cost);
            }
            return;
        }
        // What limits removed has left no trace in the blocks (STORE-100).
        let report = &mut self.report;
        (report.messages, report.bytes) = (0, 0);
        (report.first, report.last) = (index.state.first, index.state.last);
        for listed in &index.blocks {
            let Some(block) = found.blocks.iter().find(|block| block.index == listed.index) else {
                continue;
            };
            self.report.messages += listed.messages().min(block.messages);
            self.report.bytes += listed.bytes.min(block.bytes);
            let fewer = listed.messages().saturating_sub(block.messages);
            let is_damaged = found.damage.iter().any(|damage| damage.block == listed.index);
            // Damage that shows itself was told before.
            if fewer > 0 && !is_damaged {
                let what = format!("holds {fewer} messages fewer than the index says");
                self.find(
                    Severity::Damage,
                    &blocks.block(listed.index),
                    what,
                    "they are lost",
                );
            }
        }
    }

    fn small_files(&mut self) -> std::io::Result<()> {
        let messages = self.asset.directory().messages();
        let cost = "whoever opens the stream makes it anew";
        let files: [(_, Decode); 3] = [
            (messages.wheel(), |bytes| WheelFile::decode(bytes).map(drop)),
            (messages.schedules(), |bytes| {
                ScheduleFile::decode(bytes).map(drop)
            }),
            (self.asset.directory().sources(), |bytes| {
                SourcesFile::decode(bytes).map(drop)
            }),
        ];
        for (path, decode) in files {
            if let Some(bytes) = read_if_there(self.disk, &path)?
                && let Err(error) = decode(&bytes)
            {
                self.find(Severity::Warning, &path, error, cost);
            }
        }
        Ok(())
    }

    fn consumer(&mut self, name: &str, last: u64) -> std::io::Result<()> {
        let Some(directory) = self.asset.directory().consumer(name) else {
            return Ok(());
        };
        let (meta, keys) = (directory.meta(), self.target.keys.as_ref());
        let sealing = match self.asset.consumer_sealing(self.disk, keys, name, &directory)? {
            Ok(sealing) => sealing,
            Err(locked) => {
                self.find(
                    Severity::Locked,
                    &meta.key,
                    locked,
                    "the consumer cannot be read without",
                );
                return Ok(());
            }
        };
        let cost = "a server does not open the consumer";
        match read_if_there(self.disk, &meta.meta)? {
            None => self.find(Severity::Damage, &meta.meta, "missing", cost),
            Some(on_disk) => {
                let wanted = meta_sum(&format!("{}/{name}", self.asset.listing.name), &on_disk);
                match read_if_there(self.disk, &meta.sum)? {
                    None => self.find(Severity::Damage, &meta.sum, "missing", cost),
                    Some(sum) if sum != wanted.as_bytes() => {
                        self.find(
                            Severity::Warning,
                            &meta.meta,
                            "does not agree with its checksum",
                            "",
                        );
                    }
                    Some(_) => {}
                }
                if sealing.content(&on_disk).is_ok_and(|json| !is_object(&json)) {
                    self.find(
                        Severity::Damage,
                        &meta.meta,
                        "is no description of a consumer",
                        cost,
                    );
                }
            }
        }
        let path = directory.state();
        let Some(on_disk) = read_if_there(self.disk, &path)? else {
            return Ok(()); // Nothing was ever delivered.
        };
        let plain = sealing.content(&on_disk).map_err(|error| error.to_string());
        match plain.and_then(|plain| codec::decode(&plain).map_err(|error| error.to_string())) {
            Err(error) => {
                let cost = "where it stood is lost; nats-server does not open the consumer";
                self.find(Severity::Damage, &path, error, cost);
            }
            Ok(state) if state.delivered.stream > last => {
                let what = format!(
                    "delivered up to {}, the stream ends at {last}",
                    state.delivered.stream
                );
                self.find(
                    Severity::Warning,
                    &path,
                    what,
                    "messages before the end may have been lost",
                );
            }
            Ok(_) => {}
        }
        Ok(())
    }

    fn group(&mut self, snapshots: &[std::path::PathBuf]) -> std::io::Result<()> {
        let name = self.asset.listing.name.clone();
        let directory = self.asset.directory().path().to_owned();
        let cost = "the server takes the group's state from its peers";
        let peers = directory.join("peers.idx");
        if let Some(bytes) = read_if_there(self.disk, &peers)?
            && Peers::decode(&bytes).is_none()
        {
            self.find(Severity::Damage, &peers, "is cut off", cost);
        }
        let commit = directory.join("commit.idx");
        if let Some(bytes) = read_if_there(self.disk, &commit)? {
            let is_good =
                commit_index(&bytes).is_some_and(|(index, sum)| checksum(&name, &index.to_le_bytes()) == sum);
            if !is_good {
                self.find(
                    Severity::Warning,
                    &commit,
                    "does not agree with its checksum",
                    "the server replays more",
                );
            }
        }
        for path in snapshots {
            let bytes = self.disk.read(path)?;
            let is_good = GroupSnapshot::decode(&bytes)
                .is_some_and(|snapshot| checksum(&name, snapshot.checked) == snapshot.checksum);
            if !is_good {
                self.find(Severity::Damage, path, "does not agree with its checksum", cost);
            }
        }
        Ok(())
    }

    fn foreign(&mut self) -> std::io::Result<()> {
        let messages = MessageListing::read(self.disk, self.asset.directory().messages().path())?;
        for path in messages.left_over {
            self.find(
                Severity::Note,
                &path,
                "a write that was not finished",
                "nobody reads it",
            );
        }
        for path in messages.foreign.iter().chain(&self.asset.listing.foreign) {
            self.find(
                Severity::Note,
                path,
                "has no place in the layout",
                "nobody reads it",
            );
        }
        for path in messages.legacy {
            self.find(Severity::Note, &path, "an index of servers before 2.10", "");
        }
        for purged in [
            self.asset.directory().new_messages(),
            self.asset.directory().purged_messages(),
        ] {
            if self.disk.list(purged.path()).is_ok_and(|files| !files.is_empty()) {
                let what = "a purge that was not finished";
                self.find(
                    Severity::Note,
                    purged.path(),
                    what,
                    "a server finishes it when it opens the stream",
                );
            }
        }
        Ok(())
    }
}

fn is_object(json: &[u8]) -> bool {
    serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(json).is_ok()
}

/// The name in a stream's description.
pub(crate) fn name_in(json: &[u8]) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Meta {
        name: String,
    }
    serde_json::from_slice::<Meta>(json).ok().map(|meta| meta.name)
}
