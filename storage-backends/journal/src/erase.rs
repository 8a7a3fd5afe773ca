//! Overwrites the journal's copies of what is being erased.

use dunlin_api::Instant;

use crate::error::JournalError;
use crate::item::Done;
use crate::segment::Segment;
use crate::writer::Writer;

/// An erase under way. It goes on a step in each turn.
pub(crate) struct Erase {
    /// The last frame that may hold a copy.
    mark: u64,
    done: Done,
    /// The segments that are being overwritten, once all frames up to the mark are settled; the last one up to so many bytes.
    wiping: Option<(Vec<Segment>, u64)>,
}

impl Erase {
    pub(crate) fn mark(&self) -> u64 {
        self.mark
    }
}

impl Writer {
    /// New frames go to a segment without copies from here on.
    pub(crate) fn begin_erase(&mut self, done: Done) {
        let settled = self.settled();
        let begun = self.segments.void(settled).and_then(|()| {
            let mark = self.segments.number();
            self.segments.begin(true).map(|()| mark)
        });
        match begun {
            Ok(mark) => {
                self.erase = Some(Erase {
                    mark,
                    done,
                    wiping: None,
                });
            }
            Err(error) => self.tell(done, Err(error)),
        }
    }

    /// A step of the erase, if there is one. True when the next step can follow at once.
    pub(crate) fn continue_erase(&mut self, now: Instant) -> bool {
        let Some(mut erase) = self.erase.take() else {
            return false;
        };
        match self.erase_step(&mut erase, now) {
            Ok(Step::Done) => {
                self.tell(erase.done, Ok(()));
                true
            }
            Ok(Step::Wait) => {
                self.erase = Some(erase);
                false
            }
            Ok(Step::More) => {
                self.erase = Some(erase);
                true
            }
            Err(error) => {
                for segment in erase.wiping.into_iter().flat_map(|(segments, _)| segments) {
                    self.segments.give_back(segment);
                }
                self.tell(erase.done, Err(error));
                true
            }
        }
    }

    fn erase_step(&mut self, erase: &mut Erase, _now: Instant) -> Result<Step, JournalError> {
        let settled = self.settled();
        let Some((segments, wiped)) = &mut erase.wiping else {
            if settled >= erase.mark {
                // A replay must know this before the frames are gone.
                self.segments.append_empty(settled)?;
                erase.wiping = Some((self.segments.take_used(), 0));
                return Ok(Step::More);
            }
            let is_stuck = self.dirty.oldest(erase.mark).is_none() && self.dirty.syncing() == 0;
            return match self.failed.iter().next() {
                Some(stream) if is_stuck => Err(JournalError::Failed {
                    stream: format!("{stream:?}"),
                }),
                _ => Ok(Step::Wait),
            };
        };
        let Some(segment) = segments.last_mut() else {
            return Ok(Step::Done);
        };
        let more = segment.wipe(wiped).map_err(|error| JournalError::Io {
            path: segment.path.clone(),
            error: std::sync::Arc::new(error),
        })?;
        if !more {
            *wiped = 0;
            if let Some(segment) = segments.pop() {
                self.segments.give_back(segment);
            }
        }
        Ok(Step::More)
    }
}

enum Step {
    Done,
    More,
    /// For targets to be synced.
    Wait,
}
