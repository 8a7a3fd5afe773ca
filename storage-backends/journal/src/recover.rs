//! Reads what a crash left, and gives it to the store.

use std::collections::{HashMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};

use dunlin_api::{Disk, DiskFile, OpenMode};

use crate::Recovery;
use crate::error::OpenError;
use crate::frame::{BLOCK, FRAME_HEADER, FrameHeader, Items, Parsed, Recorded, SegmentStart, VERSION};
use crate::item::{Incarnation, Scope};
use crate::replay::{Found, Replay, Verdict, read_full};
use crate::segment::slot_of;

/// What one read brings, at least.
const WINDOW: u64 = 256 << 10;

/// Everything that the segments of a directory hold.
#[derive(Default)]
pub(crate) struct Scan {
    /// By generation.
    pub(crate) segments: Vec<Scanned>,
    /// Segments that were never used.
    pub(crate) unused: Vec<PathBuf>,
    /// Items of frames up to this one are not needed.
    pub(crate) settled: u64,
    /// Greatest generation and frame number seen.
    pub(crate) generation: u64,
    pub(crate) number: u64,
    /// Greatest number in a file name.
    pub(crate) slot: u64,
}

/// One segment that was used.
pub(crate) struct Scanned {
    pub(crate) path: PathBuf,
    pub(crate) generation: u64,
    first: u64,
    frames: Vec<Frame>,
    forgets: Vec<(Incarnation, Scope, u64)>,
    /// What is missing, and needed.
    pub(crate) problems: Vec<String>,
}

struct Frame {
    offset: u64,
    header: FrameHeader,
}

/// What a replay did.
#[derive(Default)]
pub(crate) struct Replayed {
    pub(crate) counts: Recovery,
    /// Why segments must be kept, by their place in the scan.
    pub(crate) kept: HashMap<usize, Vec<String>>,
}

/// Reads all segments. Cost: the journal's bytes, and memory for its frames.
pub(crate) fn scan(disk: &dyn Disk, directory: &Path) -> Result<Scan, OpenError> {
    let failed = |path: &Path, error| OpenError::Io {
        path: path.to_owned(),
        error,
    };
    let mut scan = Scan::default();
    for path in disk.list(directory).map_err(|error| failed(directory, error))? {
        let Some(slot) = slot_of(&path) else { continue };
        scan.slot = scan.slot.max(slot);
        let file = disk
            .open(&path, OpenMode::Read)
            .map_err(|error| failed(&path, error))?;
        let mut start = vec![0; FRAME_HEADER];
        read_full(file.as_ref(), &mut start, 0).map_err(|error| failed(&path, error))?;
        match SegmentStart::decode(&start) {
            SegmentStart::Unused => scan.unused.push(path),
            SegmentStart::Newer(version) => {
                return Err(OpenError::Newer {
                    path,
                    version,
                    known: VERSION,
                });
            }
            SegmentStart::Header(header) => {
                let mut segment = Scanned {
                    path,
                    generation: header.generation,
                    first: header.first,
                    frames: Vec::new(),
                    forgets: Vec::new(),
                    problems: Vec::new(),
                };
                segment
                    .read(file.as_ref())
                    .map_err(|error| failed(&segment.path, error))?;
                scan.segments.push(segment);
            }
        }
    }
    scan.join();
    Ok(scan)
}

impl Scan {
    /// Puts the segments in order, takes away what a later one has made void, and looks for what is missing.
    fn join(&mut self) {
        self.segments.sort_by_key(|segment| segment.generation);
        let frames = || self.segments.iter().flat_map(|segment| &segment.frames);
        self.settled = frames().map(|frame| frame.header.settled).max().unwrap_or(0);
        // A segment without a whole frame says how far the one before went.
        let begun = self
            .segments
            .iter()
            .map(|segment| segment.first.saturating_sub(1));
        let seen = frames().map(|frame| frame.header.number).chain(begun).max();
        self.number = seen.unwrap_or(0).max(self.settled);
        self.generation = self.segments.last().map_or(0, |segment| segment.generation);
        let firsts: Vec<u64> = self.segments.iter().map(|segment| segment.first).collect();
        for (index, segment) in self.segments.iter_mut().enumerate() {
            let later = firsts.get(index + 1..).unwrap_or_default();
            segment.end(later.iter().min().copied(), self.settled);
        }
    }

    /// Gives `replay` every item that counts, or those of one stream; then lets it sync.
    pub(crate) fn replay(
        &self,
        disk: &dyn Disk,
        only: Option<&Incarnation>,
        replay: &mut dyn Replay,
    ) -> io::Result<Replayed> {
        let forgotten = Forgotten::of(&self.segments, self.settled);
        let mut run = Run {
            replay,
            only,
            forgotten,
            refused: HashSet::new(),
            replayed: Replayed::default(),
        };
        for (index, segment) in self.segments.iter().enumerate() {
            if !segment.problems.is_empty() {
                run.keep(index, segment.problems.clone());
            }
            let live = |frame: &&Frame| frame.header.number > self.settled;
            let mut frames = segment.frames.iter().filter(live).peekable();
            if frames.peek().is_none() {
                continue;
            }
            let file = disk.open(&segment.path, OpenMode::Read)?;
            let mut bytes = Vec::new();
            for frame in frames {
                // It was read and verified before; what changed since ends the segment as well.
                if !frame.read(file.as_ref(), &mut bytes)? || !run.frame(index, frame, &bytes)? {
                    let text = format!("frame {} cannot be read", frame.header.number);
                    run.keep(index, vec![text]);
                    break;
                }
            }
        }
        run.replay.finish()?;
        Ok(run.replayed)
    }
}

impl Scan {
    /// Shows `visit` each item of some streams that counts, as it stands in its frame.
    pub(crate) fn copy(
        &self,
        disk: &dyn Disk,
        streams: &HashSet<Incarnation>,
        visit: &mut dyn FnMut(&[u8]),
    ) -> io::Result<()> {
        let forgotten = Forgotten::of(&self.segments, self.settled);
        let mut bytes = Vec::new();
        for segment in &self.segments {
            let file = disk.open(&segment.path, OpenMode::Read)?;
            for frame in &segment.frames {
                let number = frame.header.number;
                if number <= self.settled {
                    continue;
                }
                if !frame.read(file.as_ref(), &mut bytes)? {
                    return Err(io::ErrorKind::InvalidData.into());
                }
                for item in Items::of(&frame.header, &bytes).flatten() {
                    let stream = Incarnation::new(item.stream);
                    if let Recorded::Data(found) = &item.recorded
                        && streams.contains(&stream)
                        && !forgotten.covers(&stream, found, number)
                    {
                        visit(item.raw);
                    }
                }
            }
        }
        Ok(())
    }
}

impl Scanned {
    /// Reads every frame of this use of the segment, also behind damage.
    fn read(&mut self, file: &dyn DiskFile) -> io::Result<()> {
        let length = file.len()?;
        let mut window = Window::new(file, length);
        let (mut offset, mut expected) = (BLOCK, self.first);
        while offset < length {
            let own = window
                .header(offset)?
                .is_some_and(|header| header.generation == self.generation && header.number >= expected);
            let frame = if own { window.frame(offset)? } else { None };
            let Some((header, frame)) = frame else {
                offset += BLOCK;
                continue;
            };
            for item in Items::of(&header, frame) {
                if let Some(Parsed {
                    stream,
                    recorded: Recorded::Forget(scope),
                    ..
                }) = item
                {
                    self.forgets
                        .push((Incarnation::new(stream), scope, header.number));
                }
            }
            self.frames.push(Frame { offset, header });
            expected = header.number + 1;
            offset += header.span().unwrap_or(BLOCK);
        }
        Ok(())
    }

    /// Ends the segment before frame `end`, the first of a later one, and before the first bad frame that is needed. Frames are synced one after the
    /// other, so one that was not whole at the crash has none behind it: a gap is damage.
    fn end(&mut self, end: Option<u64>, settled: u64) {
        let mut expected = self.first;
        let mut gap = None;
        for frame in &self.frames {
            let number = frame.header.number;
            if end.is_some_and(|end| number >= end) {
                break;
            }
            if number > expected && number - 1 > settled {
                gap = Some(number - 1);
                break;
            }
            expected = number + 1;
        }
        if let Some(end) = end
            && gap.is_none()
            && expected < end
            && end - 1 > settled
        {
            gap = Some(end - 1);
        }
        if let Some(last) = gap {
            let text = format!("frames {expected} to {last} are damaged");
            self.problems.push(text);
        }
        self.frames.retain(|frame| frame.header.number < expected);
        self.forgets.retain(|(_, _, number)| *number < expected);
    }
}

impl Frame {
    /// Reads header and items into `bytes`; false when they are not what they were.
    fn read(&self, file: &dyn DiskFile, bytes: &mut Vec<u8>) -> io::Result<bool> {
        let length = usize::try_from(self.header.length).map_err(io::Error::other)?;
        bytes.clear();
        bytes.resize(FRAME_HEADER.saturating_add(length), 0);
        let count = read_full(file, bytes, self.offset)?;
        Ok(count == bytes.len() && self.header.verifies(bytes))
    }
}

/// A part of a file in memory, moved along as it is read.
struct Window<'f> {
    file: &'f dyn DiskFile,
    length: u64,
    start: u64,
    bytes: Vec<u8>,
}

impl<'f> Window<'f> {
    fn new(file: &'f dyn DiskFile, length: u64) -> Self {
        Self {
            file,
            length,
            start: 0,
            bytes: Vec::new(),
        }
    }

    /// The header at `offset`, if what stands there looks like one.
    fn header(&mut self, offset: u64) -> io::Result<Option<FrameHeader>> {
        Ok(self
            .bytes(offset, FRAME_HEADER as u64)?
            .and_then(FrameHeader::decode))
    }

    /// The whole frame at `offset`, if there is one.
    fn frame(&mut self, offset: u64) -> io::Result<Option<(FrameHeader, &[u8])>> {
        let Some(header) = self.header(offset)? else {
            return Ok(None);
        };
        let Some(whole) = header.length.checked_add(FRAME_HEADER as u64) else {
            return Ok(None);
        };
        let frame = self.bytes(offset, whole)?;
        Ok(frame
            .filter(|frame| header.verifies(frame))
            .map(|frame| (header, frame)))
    }

    /// `count` bytes from `offset` on, if the file has them: nothing is allocated beyond its length.
    fn bytes(&mut self, offset: u64, count: u64) -> io::Result<Option<&[u8]>> {
        let Some(end) = offset.checked_add(count).filter(|end| *end <= self.length) else {
            return Ok(None);
        };
        if offset < self.start || end > self.start + self.bytes.len() as u64 {
            let wanted = count.max(WINDOW).min(self.length - offset);
            self.bytes
                .resize(usize::try_from(wanted).map_err(io::Error::other)?, 0);
            self.start = offset;
            let read = read_full(self.file, &mut self.bytes, offset)?;
            self.bytes.truncate(read);
        }
        let from = usize::try_from(offset - self.start).map_err(io::Error::other)?;
        let count = usize::try_from(count).map_err(io::Error::other)?;
        Ok(self.bytes.get(from..from.saturating_add(count)))
    }
}

/// Up to which frame each thing was forgotten.
#[derive(Default)]
struct Forgotten(HashMap<Incarnation, HashMap<Scope, u64>>);

impl Forgotten {
    fn of(segments: &[Scanned], settled: u64) -> Self {
        let mut all = Self::default();
        for (stream, scope, number) in segments.iter().flat_map(|segment| &segment.forgets) {
            if *number > settled {
                all.0
                    .entry(stream.clone())
                    .or_default()
                    .insert(scope.clone(), *number);
            }
        }
        all
    }

    /// Whether an item of frame `number` was forgotten by a later frame.
    fn covers(&self, stream: &Incarnation, item: &Found<'_>, number: u64) -> bool {
        let Some(scopes) = self.0.get(stream) else {
            return false;
        };
        let later = |scope: Scope| scopes.get(&scope).is_some_and(|forget| *forget > number);
        later(Scope::Stream)
            || match item {
                Found::Block { block, .. } => later(Scope::Blocks) || later(Scope::Block(*block)),
                Found::File { name, .. } => later(Scope::File((*name).into())),
                Found::Consumer { name, .. } => later(Scope::Consumer((*name).into())),
                Found::Raft { .. } => false,
            }
    }
}

struct Run<'r> {
    replay: &'r mut dyn Replay,
    only: Option<&'r Incarnation>,
    forgotten: Forgotten,
    refused: HashSet<Incarnation>,
    replayed: Replayed,
}

impl Run<'_> {
    /// Replays one frame; false when its bytes make no sense.
    fn frame(&mut self, segment: usize, frame: &Frame, bytes: &[u8]) -> io::Result<bool> {
        for item in Items::of(&frame.header, bytes) {
            let Some(item) = item else {
                return Ok(false);
            };
            let Recorded::Data(found) = item.recorded else {
                continue;
            };
            let stream = Incarnation::new(item.stream);
            if self.only.is_some_and(|only| *only != stream)
                || self.forgotten.covers(&stream, &found, frame.header.number)
            {
                continue;
            }
            if self.refused.contains(&stream) {
                self.replayed.kept.entry(segment).or_default();
                continue;
            }
            match self.replay.apply(&stream, found)? {
                Verdict::Applied => self.replayed.counts.applied += 1,
                Verdict::Present => self.replayed.counts.present += 1,
                Verdict::Gone => self.replayed.counts.gone += 1,
                Verdict::Refused(reason) => {
                    let text = format!("{stream:?}, {}: {reason}", describe(&found));
                    self.keep(segment, vec![text]);
                    self.refused.insert(stream);
                }
            }
        }
        Ok(true)
    }

    fn keep(&mut self, segment: usize, reasons: Vec<String>) {
        self.replayed.kept.entry(segment).or_default().extend(reasons);
    }
}

fn describe(item: &Found<'_>) -> String {
    match item {
        Found::Block {
            block, offset, bytes, ..
        } => format!("block {block}, {} bytes at {offset}", bytes.len()),
        Found::File { name, .. } => format!("file {name}"),
        Found::Consumer { name, .. } => format!("consumer {name}"),
        Found::Raft { .. } => "raft entry".to_owned(),
    }
}
