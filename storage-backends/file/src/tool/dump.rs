//! `dump`: the messages of a stream, in order.

use std::io::Write;
use std::ops::RangeInclusive;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use dunlin_api::Env;
use dunlin_subject::SequenceSet;
use jiff::Timestamp;
use serde::Serialize;

use crate::block::{BlockBuffer, BlockEvent};
use crate::record::{Record, RecordKind};
use crate::recovery::Recovered;

use super::Progress;
use super::asset::{Asset, Target, ToolError};
use super::indexed::IndexRead;

/// How messages are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DumpFormat {
    /// A line of figures, then headers and payload; bytes that are no text escaped.
    Text,
    /// One object a line; headers and payload in base64.
    Json,
}

/// Shows the messages of all streams that are meant, whose sequences lie in a range, and says how many.
///
/// # Errors
/// See [`ToolError`]. Damage is passed over; `check` tells of it.
pub fn dump(
    env: &Env,
    target: &Target,
    range: &RangeInclusive<u64>,
    format: DumpFormat,
    out: &mut dyn Write,
    progress: &Progress,
) -> Result<u64, ToolError> {
    let mut count = 0;
    for asset in target.assets(env.disk())? {
        // Which messages were removed is known when all blocks were read.
        let found = asset.recover(env, target.keys.as_ref(), progress)?;
        count += show(env, target, &asset, &found, range, format, out)?;
    }
    Ok(count)
}

fn show(
    env: &Env,
    target: &Target,
    asset: &Asset,
    found: &Recovered,
    range: &RangeInclusive<u64>,
    format: DumpFormat,
    out: &mut dyn Write,
) -> Result<u64, ToolError> {
    let owner = asset.owner(target.keys.as_ref());
    let (mut buffer, mut count) = (BlockBuffer::default(), 0);
    let blocks = live(env, target, asset, found)?.into_iter();
    for block in blocks.filter(|block| block.first <= *range.end() && block.last >= *range.start()) {
        let (mut last, mut written) = (0, Ok(()));
        let visit = |event: BlockEvent<'_>| {
            let BlockEvent::Record { record, .. } = event else {
                return;
            };
            // A record that does not rise is dead.
            if written.is_err() || record.kind == RecordKind::Tombstone || record.sequence <= last {
                return;
            }
            last = record.sequence;
            if record.kind == RecordKind::Message
                && block.has(record.sequence)
                && range.contains(&record.sequence)
            {
                written = write(out, asset, &record, format);
                count += 1;
            }
        };
        owner
            .read(env.disk(), block.index, &mut buffer, visit)
            .map_err(ToolError::io(&owner.directory.block(block.index)))?;
        written.map_err(ToolError::Output)?;
    }
    Ok(count)
}

/// Which sequences of a block are messages.
struct Live {
    index: u32,
    first: u64,
    last: u64,
    deleted: SequenceSet,
}

impl Live {
    fn has(&self, sequence: u64) -> bool {
        (self.first..=self.last).contains(&sequence) && !self.deleted.contains(sequence)
    }
}

/// By the index where it is of this state of the blocks: it knows what limits have removed.
fn live(env: &Env, target: &Target, asset: &Asset, found: &Recovered) -> Result<Vec<Live>, ToolError> {
    let failed = || ToolError::io(asset.directory().path());
    let sealing = asset
        .sealing(env.disk(), target.keys.as_ref())
        .map_err(failed())?;
    if let Ok(sealing) = sealing
        && let IndexRead::Good(index) = asset.read_index(env.disk(), &sealing).map_err(failed())?
        && index.is_current(found)
    {
        let blocks = index.blocks.into_iter().filter(|listed| {
            let is_there = found.blocks.iter().any(|block| block.index == listed.index);
            listed.messages() > 0 && is_there
        });
        return Ok(blocks
            .map(|block| Live {
                index: block.index,
                first: block.first,
                last: block.last,
                deleted: block.deleted,
            })
            .collect());
    }
    let blocks = found.blocks.iter().filter(|block| block.messages > 0);
    Ok(blocks
        .map(|block| Live {
            index: block.index,
            first: block.first,
            last: block.last,
            deleted: block.deleted.clone(),
        })
        .collect())
}

#[derive(Serialize)]
struct Line<'a> {
    stream: &'a str,
    seq: u64,
    time: String,
    subject: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    headers: String,
    data: String,
}

fn write(out: &mut dyn Write, asset: &Asset, record: &Record<'_>, format: DumpFormat) -> std::io::Result<()> {
    let time = Timestamp::from_nanosecond(record.time.into())
        .map_or_else(|_| record.time.to_string(), |time| time.to_string());
    match format {
        DumpFormat::Json => {
            let line = Line {
                stream: &asset.listing.name,
                seq: record.sequence,
                time,
                subject: String::from_utf8_lossy(record.subject).into_owned(),
                headers: STANDARD.encode(record.headers),
                data: STANDARD.encode(record.payload),
            };
            serde_json::to_writer(&mut *out, &line)?;
            writeln!(out)
        }
        DumpFormat::Text => {
            let (name, subject) = (&asset.listing.name, record.subject.escape_ascii());
            let size = record.payload.len();
            writeln!(out, "{name} {} {time} {subject} {size} bytes", record.sequence)?;
            for line in record.headers.split(|byte| *byte == b'\n').skip(1) {
                let line = line.strip_suffix(b"\r").unwrap_or(line);
                if !line.is_empty() {
                    writeln!(out, "  {}", line.escape_ascii())?;
                }
            }
            match std::str::from_utf8(record.payload) {
                Ok("") => Ok(()),
                Ok(text) if !text.contains(|c: char| c.is_control() && !matches!(c, '\n' | '\t')) => {
                    writeln!(out, "  {text}")
                }
                _ => writeln!(out, "  {}", record.payload.escape_ascii()),
            }
        }
    }
}
