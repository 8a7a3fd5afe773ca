//! All segments of a journal: which one is being filled, which are needed, which can be used again.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dunlin_api::Env;

use crate::error::JournalError;
use crate::frame::{BLOCK, FrameBuilder, SegmentHeader};
use crate::segment::Segment;

/// Segments that are kept for the next use.
const SPARES: usize = 2;

pub(crate) struct Segments {
    env: Env,
    directory: PathBuf,
    capacity: u64,
    /// Where frames go. `None`: the next frame begins a segment.
    current: Option<Segment>,
    /// Older ones that are still needed, or not known not to be.
    old: VecDeque<Segment>,
    spares: Vec<Segment>,
    slot: u64,
    generation: u64,
    /// Number of the last frame that is durable.
    number: u64,
    /// What the last durable frame says is settled: a replay believes no more, so nothing later is overwritten or removed.
    marked: u64,
    /// Bytes of the last frame.
    recent: u64,
    /// A frame failed, and may come back at a replay until a later segment begins.
    void_due: bool,
}

/// Why a frame was not written.
pub(crate) enum AppendError {
    /// There are as many segments as there may be.
    TooMany,
    /// The disk failed or is full.
    Disk(JournalError),
}

impl Segments {
    pub(crate) fn new(
        env: &Env,
        directory: &Path,
        capacity: u64,
        slot: u64,
        generation: u64,
        number: u64,
    ) -> Self {
        Self {
            env: env.clone(),
            directory: directory.to_owned(),
            capacity,
            current: None,
            old: VecDeque::new(),
            spares: Vec::new(),
            slot,
            generation,
            number,
            marked: 0,
            recent: 0,
            void_due: false,
        }
    }

    /// Number of the last durable frame.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// Bytes that the largest frame may have.
    pub(crate) fn largest_frame(&self) -> u64 {
        self.capacity.saturating_sub(2 * BLOCK)
    }

    /// Number of the last frame that is not in the current segment.
    pub(crate) fn last_of_old(&self) -> u64 {
        self.old.iter().map(Segment::last).max().unwrap_or(0)
    }

    pub(crate) fn is_old_needed(&self) -> bool {
        !self.old.is_empty()
    }

    /// How full the current segment is, from 0 to 1.
    pub(crate) fn fill(&self) -> f64 {
        let used = self.current.as_ref().map_or(0, Segment::position);
        used as f64 / self.capacity.max(1) as f64
    }

    /// Writes and syncs a frame, in a new segment where the current one has no room; at most `most` older ones may be needed then.
    pub(crate) fn append(
        &mut self,
        builder: &mut FrameBuilder,
        settled: u64,
        most: usize,
    ) -> Result<(), AppendError> {
        let span = builder.span();
        // A block is left, for a mark.
        let fits = |segment: &Segment| segment.position().max(BLOCK) + span + BLOCK <= self.capacity;
        if !self.current.as_ref().is_some_and(fits) {
            self.rotate(settled, most)?;
        }
        self.write(builder, settled)
    }

    /// Writes and syncs a frame in the current segment.
    fn write(&mut self, builder: &mut FrameBuilder, settled: u64) -> Result<(), AppendError> {
        let span = builder.span();
        let Some(current) = &mut self.current else {
            return Err(AppendError::TooMany);
        };
        let number = self.number + 1;
        let frame = builder.finish(current.generation(), number, settled);
        match current.append(frame, number) {
            Ok(()) => {
                self.number = number;
                self.marked = self.marked.max(settled);
                self.recent = span;
                self.void_due = false;
                Ok(())
            }
            Err(error) => {
                let path = current.path.clone();
                let error = self.error(&path, error);
                self.old.extend(self.current.take());
                self.void_due = true;
                Err(AppendError::Disk(error))
            }
        }
    }

    /// Makes a frame that failed void, if there is one: nothing else may be acknowledged or destroyed before.
    pub(crate) fn void(&mut self, settled: u64) -> Result<(), JournalError> {
        match self.void_due {
            true => self.append_empty(settled),
            false => Ok(()),
        }
    }

    /// Writes a frame without items, which tells a replay what is settled.
    pub(crate) fn append_empty(&mut self, settled: u64) -> Result<(), JournalError> {
        let mut builder = FrameBuilder::default();
        builder.clear();
        self.append(&mut builder, settled, usize::MAX)
            .map_err(|error| self.told(error))
    }

    /// Begins a segment, a new one without copies of anything if `pristine`.
    pub(crate) fn begin(&mut self, pristine: bool) -> Result<(), JournalError> {
        let reusable = self
            .spares
            .iter()
            .position(|spare| !pristine || !spare.has_copies());
        let mut segment = match reusable {
            Some(index) => self.spares.swap_remove(index),
            None => {
                self.slot += 1;
                Segment::create(self.env.disk(), &self.directory, self.slot)
                    .map_err(|error| self.error(&self.directory, error))?
            }
        };
        self.old.extend(self.current.take());
        self.generation += 1;
        segment.begin(SegmentHeader {
            generation: self.generation,
            first: self.number + 1,
        });
        self.current = Some(segment);
        Ok(())
    }

    /// Takes back every segment whose frames are settled for whoever replays.
    pub(crate) fn free(&mut self) {
        for segment in self.take_settled() {
            self.give_back(segment);
        }
    }

    /// Everything that is not needed and holds copies of frames, to be wiped and [given back](Segments::give_back).
    pub(crate) fn take_used(&mut self) -> Vec<Segment> {
        let (mut used, clean): (Vec<_>, Vec<_>) = std::mem::take(&mut self.spares)
            .into_iter()
            .partition(Segment::has_copies);
        self.spares = clean;
        used.extend(self.take_settled());
        used
    }

    fn take_settled(&mut self) -> Vec<Segment> {
        let (settled, needed): (Vec<_>, VecDeque<_>) = std::mem::take(&mut self.old).into_iter().fold(
            (Vec::new(), VecDeque::new()),
            |(mut settled, mut needed), segment| {
                match segment.last() <= self.marked {
                    true => settled.push(segment),
                    false => needed.push_back(segment),
                }
                (settled, needed)
            },
        );
        self.old = needed;
        settled
    }

    pub(crate) fn give_back(&mut self, segment: Segment) {
        if self.spares.len() < SPARES && !segment.is_distrusted() {
            self.spares.push(segment);
        } else if let Err(error) = self.env.disk().remove(&segment.path) {
            // What is in it is settled, so a replay passes over it.
            let path = segment.path.display();
            self.env.log().warn(format_args!("{path}: not removed: {error}"));
        }
    }

    /// Prepares the current segment a step ahead. True while more is to be done.
    pub(crate) fn initialise(&mut self) -> bool {
        let (capacity, recent) = (self.capacity, self.recent);
        self.current
            .as_mut()
            .is_some_and(|current| current.initialise(capacity, recent))
    }

    /// Adds a segment that was found. Its frames are settled when the first new frame says so.
    pub(crate) fn adopt(&mut self, path: &Path) -> io::Result<()> {
        let segment = Segment::reuse(self.env.disk(), path, self.number)?;
        self.old.push_back(segment);
        Ok(())
    }

    /// Removes every segment that is not needed; the newest last, since what it says holds for the others.
    ///
    /// # Errors
    /// What the disk says.
    pub(crate) fn clear(&mut self, settled: u64) -> Result<(), JournalError> {
        if self.current.is_some() || !self.old.is_empty() {
            self.append_empty(settled)?;
        }
        let newest = self.current.take();
        let mut free = self.take_settled();
        free.append(&mut self.spares);
        for segment in &free {
            self.remove(segment)?;
        }
        self.sync_names()?;
        if let Some(newest) = newest
            && self.old.is_empty()
        {
            self.remove(&newest)?;
            self.sync_names()?;
        }
        Ok(())
    }

    fn remove(&self, segment: &Segment) -> Result<(), JournalError> {
        let removed = self.env.disk().remove(&segment.path);
        removed.map_err(|error| self.error(&segment.path, error))
    }

    fn sync_names(&self) -> Result<(), JournalError> {
        let synced = self.env.disk().sync_dir(&self.directory);
        synced.map_err(|error| self.error(&self.directory, error))
    }

    pub(crate) fn told(&self, error: AppendError) -> JournalError {
        match error {
            AppendError::Disk(error) => error,
            AppendError::TooMany => JournalError::Full {
                path: self.directory.clone(),
            },
        }
    }

    /// Begins a segment after the current one, once what is settled is marked, so that older ones are free.
    fn rotate(&mut self, settled: u64, most: usize) -> Result<(), AppendError> {
        if self.current.is_some() {
            if settled > self.marked {
                let mut mark = FrameBuilder::default();
                mark.clear();
                self.write(&mut mark, settled)?;
                self.free();
            }
            if self.old.len() + 1 > most {
                return Err(AppendError::TooMany);
            }
        }
        self.begin(false).map_err(AppendError::Disk)
    }

    fn error(&self, path: &Path, error: io::Error) -> JournalError {
        match error.kind() {
            io::ErrorKind::StorageFull => JournalError::Full {
                path: self.directory.clone(),
            },
            _ => JournalError::Io {
                path: path.to_owned(),
                error: Arc::new(error),
            },
        }
    }
}
