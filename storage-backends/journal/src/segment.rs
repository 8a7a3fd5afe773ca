//! One segment: a file that is filled with frames from its start, and later again.

use std::io;
use std::path::{Path, PathBuf};

use dunlin_api::{Disk, DiskFile, OpenMode};

use crate::frame::{BLOCK, SegmentHeader};

/// Bytes that one call zeroes: what a batch waits for at most.
const ZERO_STEP: u64 = 1 << 20;

/// Initialised bytes ahead of the frames are made twice this when they become fewer.
const ZERO_LOW: u64 = 2 << 20;

/// A segment's file and what is in it.
pub(crate) struct Segment {
    pub(crate) path: PathBuf,
    file: Box<dyn DiskFile>,
    header: SegmentHeader,
    /// Number of the last frame, 0 before the first.
    last: u64,
    /// Where the next frame goes; 0 while there is no header.
    position: u64,
    /// Up to where the file has blocks that were written, so that overwriting them changes no metadata.
    initialised: u64,
    is_initialising: bool,
    /// Frames of earlier uses end here. 0: none.
    stale: u64,
    /// A write or sync failed. It is read, not written, and goes when it is not needed any more.
    distrusted: bool,
}

/// The file name of a segment.
pub(crate) fn file_name(slot: u64) -> String {
    format!("{slot}.journal")
}

/// The number in a segment's file name.
pub(crate) fn slot_of(path: &Path) -> Option<u64> {
    path.file_name()?.to_str()?.strip_suffix(".journal")?.parse().ok()
}

impl Segment {
    /// A new file under a durable name.
    pub(crate) fn create(disk: &dyn Disk, directory: &Path, slot: u64) -> io::Result<Self> {
        let path = directory.join(file_name(slot));
        let file = disk.open(&path, OpenMode::ReadWrite)?;
        // What a failed attempt left is not to be taken for anything.
        file.set_len(0)?;
        disk.sync_dir(directory)?;
        Ok(Self::of(path, file, 0))
    }

    /// A file that was found, whose frames go up to `last` at most.
    pub(crate) fn reuse(disk: &dyn Disk, path: &Path, last: u64) -> io::Result<Self> {
        let file = disk.open(path, OpenMode::ReadWrite)?;
        let length = file.len()?;
        let segment = Self::of(path.to_owned(), file, length);
        Ok(Self { last, ..segment })
    }

    fn of(path: PathBuf, file: Box<dyn DiskFile>, length: u64) -> Self {
        Self {
            path,
            file,
            header: SegmentHeader {
                generation: 0,
                first: 0,
            },
            last: 0,
            position: 0,
            initialised: length,
            is_initialising: false,
            stale: length,
            distrusted: false,
        }
    }

    /// Begins a new use; nothing is written yet.
    pub(crate) fn begin(&mut self, header: SegmentHeader) {
        self.stale = self.stale.max(self.position);
        self.header = header;
        self.last = 0;
        self.position = 0;
    }

    pub(crate) fn generation(&self) -> u64 {
        self.header.generation
    }

    /// Number of its last frame, 0 where it has none.
    pub(crate) fn last(&self) -> u64 {
        self.last
    }

    /// Bytes that are used.
    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    /// Whether it holds copies of earlier frames behind or, once its own frames are not needed, among its bytes.
    pub(crate) fn has_copies(&self) -> bool {
        self.stale > 0 || self.position > 0
    }

    pub(crate) fn is_distrusted(&self) -> bool {
        self.distrusted
    }

    /// Writes a frame and syncs it.
    pub(crate) fn append(&mut self, frame: &[u8], number: u64) -> io::Result<()> {
        let result = self.try_append(frame, number);
        self.distrusted |= result.is_err();
        result
    }

    fn try_append(&mut self, frame: &[u8], number: u64) -> io::Result<()> {
        if self.position == 0 {
            self.file.write_at(&self.header.encode(), 0)?;
            self.position = BLOCK;
        }
        self.file.write_at(frame, self.position)?;
        self.file.sync()?;
        self.last = number;
        self.position += frame.len() as u64;
        self.initialised = self.initialised.max(self.position);
        Ok(())
    }

    /// Zeroes a step ahead of the frames, if that is due; the next frame's sync makes it last. True while more is due.
    ///
    /// Each step makes one sync slower, so there are few and large ones; frames of `recent` bytes are not to catch up with them.
    pub(crate) fn initialise(&mut self, capacity: u64, recent: u64) -> bool {
        let low = self.position + ZERO_LOW.max(4 * recent);
        let high = self.position + 2 * ZERO_LOW.max(4 * recent);
        if self.position == 0 || self.initialised >= capacity {
            return false;
        }
        self.is_initialising |= self.initialised < low;
        if !self.is_initialising {
            return false;
        }
        let step = ZERO_STEP.max(2 * recent).min(capacity - self.initialised);
        if self.file.write_zeros(self.initialised, step).is_err() {
            // It only makes later syncs faster. A disk that is full or ill shows at the next frame.
            self.is_initialising = false;
            return false;
        }
        self.initialised += step;
        self.is_initialising = self.initialised < high.min(capacity);
        self.is_initialising
    }

    /// Overwrites a step of a segment whose frames are not needed. True while there is more to do; then it is synced.
    pub(crate) fn wipe(&mut self, done: &mut u64) -> io::Result<bool> {
        let end = self.stale.max(self.position);
        if *done < end {
            let step = ZERO_STEP.min(end - *done);
            self.file.write_zeros(*done, step)?;
            *done += step;
            return Ok(true);
        }
        self.file.sync()?;
        self.stale = 0;
        self.position = 0;
        self.last = 0;
        Ok(false)
    }
}

/// Gives a file another name, durably.
pub(crate) fn set_aside(disk: &dyn Disk, path: &Path, generation: u64) -> io::Result<PathBuf> {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".aside-{generation}"));
    let aside = PathBuf::from(name);
    disk.rename(path, &aside)?;
    disk.sync_dir(path.parent().unwrap_or(Path::new(".")))?;
    Ok(aside)
}
