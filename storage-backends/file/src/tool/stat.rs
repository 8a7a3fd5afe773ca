//! `stat`: what is there, without reading messages where an index says it.

use std::path::Path;

use dunlin_api::{Env, StreamState};
use serde::Serialize;

use crate::block::BlockBuffer;
use crate::consumer::codec;
use crate::layout::MessageListing;
use crate::raft::{Peers, TermVote};
use crate::small::read_if_there;

use super::Progress;
use super::asset::{Asset, AssetKind, Target, ToolError};
use super::indexed::{IndexRead, IndexSays};

/// What one stream, group or batch holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct AssetStat {
    /// `account > stream`.
    pub name: String,
    /// `stream`, `group` or `batch`.
    pub kind: &'static str,
    /// Messages.
    pub messages: u64,
    /// What they count.
    pub bytes: u64,
    /// First sequence.
    pub first: u64,
    /// Last sequence.
    pub last: u64,
    /// Sequences between them without a message.
    pub deleted: u64,
    /// Subjects; 0 where none are kept.
    pub subjects: u64,
    /// Blocks.
    pub blocks: usize,
    /// Bytes of the blocks' files.
    pub disk_bytes: u64,
    /// Whether blocks are encrypted.
    pub encrypted: bool,
    /// Where the figures are from: `index` or `blocks`.
    pub source: &'static str,
    /// The consumers.
    pub consumers: Vec<ConsumerStat>,
    /// Of a raft group: its term, vote and peers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub raft: Option<RaftStat>,
}

/// How far a consumer is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ConsumerStat {
    /// Its name.
    pub name: String,
    /// The last sequence delivered; `None` where its state cannot be read.
    pub delivered: Option<u64>,
    /// Everything up to here is acked.
    pub ack_floor: Option<u64>,
    /// Deliveries that wait for their acks.
    pub pending: usize,
}

/// The state of a raft group on this server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RaftStat {
    /// The term.
    pub term: u64,
    /// Who has this server's vote.
    pub vote: Option<String>,
    /// How many peers the group is meant to have.
    pub cluster_size: u32,
    /// Those that are known.
    pub peers: Vec<String>,
    /// Its snapshots.
    pub snapshots: usize,
}

/// Says what is there. Reads all blocks of a stream only where its index is missing or older than they are.
///
/// # Errors
/// See [`ToolError`].
pub fn stat(env: &Env, target: &Target, progress: &Progress) -> Result<Vec<AssetStat>, ToolError> {
    let assets = target.assets(env.disk())?;
    assets
        .iter()
        .map(|asset| one(env, target, asset, progress))
        .collect()
}

/// One array.
///
/// # Errors
/// None that is known: all of it is text and numbers.
pub fn stats_to_json(stats: &[AssetStat]) -> Result<String, serde_json::Error> {
    serde_json::to_string_pretty(stats)
}

fn one(env: &Env, target: &Target, asset: &Asset, progress: &Progress) -> Result<AssetStat, ToolError> {
    let (disk, keys) = (env.disk(), target.keys.as_ref());
    let directory = asset.directory().path();
    let failed = || ToolError::io(directory);
    let files = MessageListing::read(disk, asset.directory().messages().path()).map_err(failed())?;
    let mut stat = AssetStat {
        name: asset.title(),
        kind: match asset.kind {
            AssetKind::Stream => "stream",
            AssetKind::Group { .. } => "group",
            AssetKind::Batch => "batch",
        },
        blocks: files.blocks.len(),
        encrypted: !files.keys.is_empty(),
        source: "blocks",
        ..AssetStat::default()
    };
    for block in &files.blocks {
        let path = asset.directory().messages().block(*block);
        let file = disk
            .open(&path, dunlin_api::OpenMode::Read)
            .map_err(ToolError::io(&path))?;
        stat.disk_bytes += file.len().map_err(ToolError::io(&path))?;
    }
    let sealing = asset.sealing(disk, keys).map_err(failed())?;
    let index = match &sealing {
        Ok(sealing) => asset.read_index(disk, sealing).map_err(failed())?,
        Err(_) => IndexRead::Absent,
    };
    let indexed = match index {
        IndexRead::Good(index) if is_current(env, target, asset, &files, &index)? => Some(index.state),
        _ => None,
    };
    let state = match indexed {
        Some(state) => {
            stat.source = "index";
            state
        }
        None => asset.recover(env, keys, progress)?.state,
    };
    put_state(&mut stat, &state);
    for name in &asset.listing.consumers {
        stat.consumers
            .push(consumer(env, target, asset, name).map_err(failed())?);
    }
    if let AssetKind::Group { snapshots } = &asset.kind {
        stat.raft = Some(raft(env, directory, snapshots.len()).map_err(failed())?);
    }
    Ok(stat)
}

fn put_state(stat: &mut AssetStat, state: &StreamState) {
    (stat.messages, stat.bytes) = (state.messages, state.bytes);
    (stat.first, stat.last) = (state.first, state.last);
    (stat.deleted, stat.subjects) = (state.deleted(), state.subjects);
}

/// Whether nothing was stored since the index was written: the last block ends as it says.
fn is_current(
    env: &Env,
    target: &Target,
    asset: &Asset,
    files: &MessageListing,
    index: &IndexSays,
) -> Result<bool, ToolError> {
    if files.blocks.last() != Some(&index.end.block) {
        return Ok(false);
    }
    let owner = asset.owner(target.keys.as_ref());
    let form = owner
        .read(env.disk(), index.end.block, &mut BlockBuffer::default(), |_| {})
        .map_err(ToolError::io(&owner.directory.block(index.end.block)))?;
    Ok(form.last_sum == index.end.checksum)
}

fn consumer(env: &Env, target: &Target, asset: &Asset, name: &str) -> std::io::Result<ConsumerStat> {
    let unknown = ConsumerStat {
        name: name.to_owned(),
        delivered: None,
        ack_floor: None,
        pending: 0,
    };
    let Some(directory) = asset.directory().consumer(name) else {
        return Ok(unknown);
    };
    let keys = target.keys.as_ref();
    let Ok(sealing) = asset.consumer_sealing(env.disk(), keys, name, &directory)? else {
        return Ok(unknown);
    };
    let Some(on_disk) = read_if_there(env.disk(), &directory.state())? else {
        return Ok(unknown);
    };
    let plain = sealing.content(&on_disk).ok();
    let Some(state) = plain.and_then(|plain| codec::decode(&plain).ok()) else {
        return Ok(unknown);
    };
    Ok(ConsumerStat {
        delivered: Some(state.delivered.stream),
        ack_floor: Some(state.ack_floor.stream),
        pending: state.pending.len(),
        ..unknown
    })
}

fn raft(env: &Env, directory: &Path, snapshots: usize) -> std::io::Result<RaftStat> {
    let read = |name: &str| read_if_there(env.disk(), &directory.join(name));
    let vote = TermVote::decode(&read("tav.idx")?.unwrap_or_default());
    let peers = read("peers.idx")?.and_then(|bytes| Peers::decode(&bytes));
    Ok(RaftStat {
        term: vote.term,
        vote: vote.vote.map(|peer| peer.to_string()),
        cluster_size: peers.as_ref().map_or(0, |peers| peers.cluster_size),
        peers: peers
            .iter()
            .flat_map(|peers| &peers.known)
            .map(ToString::to_string)
            .collect(),
        snapshots,
    })
}

/// A line for each, and one for each of its consumers.
impl std::fmt::Display for AssetStat {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} ({}): {} messages, {} bytes, sequences {} to {}, {} deleted, {} subjects, {} blocks of {} bytes{}, by {}",
            self.name,
            self.kind,
            self.messages,
            self.bytes,
            self.first,
            self.last,
            self.deleted,
            self.subjects,
            self.blocks,
            self.disk_bytes,
            if self.encrypted { ", encrypted" } else { "" },
            self.source
        )?;
        if let Some(raft) = &self.raft {
            let vote = raft.vote.as_deref().unwrap_or("nobody");
            let peers = raft.peers.join(", ");
            write!(
                f,
                "\n  term {}, vote for {vote}, {} peers of {}: {peers}, {} snapshots",
                raft.term,
                raft.peers.len(),
                raft.cluster_size,
                raft.snapshots
            )?;
        }
        for consumer in &self.consumers {
            match (consumer.delivered, consumer.ack_floor) {
                (Some(delivered), Some(floor)) => write!(
                    f,
                    "\n  consumer {}: delivered {delivered}, acked {floor}, {} pending",
                    consumer.name, consumer.pending
                )?,
                _ => write!(f, "\n  consumer {}: no state", consumer.name)?,
            }
        }
        writeln!(f)
    }
}
