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
        self.capacity.saturating_sub(BLOCK)
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
        let fits = |segment: &Segment| segment.position().max(BLOCK) + span <= self.capacity;
        if !self.current.as_ref().is_some_and(fits) {
            self.rotate(most)?;
        }
        let Some(current) = &mut self.current else {
            return Err(AppendError::TooMany);
        };
        let number = self.number + 1;
        let frame = builder.finish(current.generation(), number, settled);
        match current.append(frame, number) {
            Ok(()) => {
                self.number = number;
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

    /// Takes back every segment whose frames are settled.
    pub(crate) fn free(&mut self, settled: u64) {
        while let Some(segment) = self.old.pop_front_if(|segment| segment.last() <= settled) {
            self.give_back(segment);
        }
    }

    /// Everything that is not needed and holds copies of frames, to be wiped and [given back](Segments::give_back).
    pub(crate) fn take_used(&mut self) -> Vec<Segment> {
        let (used, clean) = std::mem::take(&mut self.spares)
            .into_iter()
            .partition(Segment::has_copies);
        self.spares = clean;
        used
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

    /// Adds a segment that was found and is not needed.
    pub(crate) fn adopt(&mut self, path: &Path) -> io::Result<()> {
        let segment = Segment::reuse(self.env.disk(), path)?;
        self.give_back(segment);
        Ok(())
    }

    /// Removes every segment that is not needed.
    ///
    /// # Errors
    /// What the disk says.
    pub(crate) fn clear(&mut self, settled: u64) -> Result<(), JournalError> {
        self.old.extend(self.current.take());
        let (needed, free): (VecDeque<_>, VecDeque<_>) = std::mem::take(&mut self.old)
            .into_iter()
            .partition(|segment| segment.last() > settled);
        self.old = needed;
        for segment in free.into_iter().chain(std::mem::take(&mut self.spares)) {
            self.env
                .disk()
                .remove(&segment.path)
                .map_err(|error| self.error(&segment.path, error))?;
        }
        self.env
            .disk()
            .sync_dir(&self.directory)
            .map_err(|error| self.error(&self.directory, error))
    }

    pub(crate) fn told(&self, error: AppendError) -> JournalError {
        match error {
            AppendError::Disk(error) => error,
            AppendError::TooMany => JournalError::Full {
                path: self.directory.clone(),
            },
        }
    }

    fn rotate(&mut self, most: usize) -> Result<(), AppendError> {
        if self.old.len() + usize::from(self.current.is_some()) > most {
            return Err(AppendError::TooMany);
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
