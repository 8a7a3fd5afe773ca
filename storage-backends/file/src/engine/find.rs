//! Searching by subject and time.
//!
//! The stream's subjects say in which blocks a match can be, each block's own subjects which of its records match. Blocks
//! are asked one by one, in place as long as nothing waits; the first that would wait takes the rest with it into a job.

use std::ops::{ControlFlow, Range};
use std::sync::Arc;

use dunlin_api::{
    Answer, Counting, Filter, FilterBuf, Load, StoreError, StoredMessage, Subject, SubjectBuf, SubjectState,
};

use super::block_subjects::Wanted;
use super::damage::DamageLog;
use super::fault::{Fault, Wait};
use super::read::{Failure, ask, load};
use super::stream::FileStream;
use super::subjects::LastSeen;
use super::view::View;

/// Which way a search goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Towards {
    Newer,
    Older,
}

/// A search through blocks, for a job.
struct Search {
    views: Vec<View>,
    filters: Vec<FilterBuf>,
    from: u64,
    towards: Towards,
    damage: Arc<DamageLog>,
}

impl Search {
    fn run(self) -> Result<Option<StoredMessage>, Failure> {
        let filters: Vec<_> = self.filters.iter().map(FilterBuf::as_filter).collect();
        for view in &self.views {
            if let Some(sequence) = search(view, &filters, self.from, self.towards, Wait::Yes)? {
                return load(view, sequence, Wait::Yes, &self.damage).map(Some);
            }
        }
        Ok(None)
    }
}

fn search(
    view: &View,
    filters: &[Filter<'_>],
    from: u64,
    towards: Towards,
    wait: Wait,
) -> Result<Option<u64>, Fault> {
    match towards {
        Towards::Newer => view.next(filters, from, wait),
        Towards::Older => view.previous(filters, from, wait),
    }
}

pub(super) fn owned(filters: &[Filter<'_>]) -> Vec<FilterBuf> {
    filters.iter().copied().map(Filter::to_owned).collect()
}

impl FileStream {
    pub(super) fn find_next(&self, filters: &[Filter<'_>], from: u64) -> Answer<Option<StoredMessage>> {
        if filters.is_empty() || is_everything(filters) {
            return match self.blocks.at_or_after(from) {
                Some((_, sequence)) => self.load_at(sequence),
                None => Ok(Load::Ready(None)),
            };
        }
        let mut range = self.places(filters);
        range.start = range.start.max(self.blocks.find(from));
        self.search_blocks(range, filters, from, Towards::Newer)
    }

    pub(super) fn find_previous(&self, filters: &[Filter<'_>], to: u64) -> Answer<Option<StoredMessage>> {
        if filters.is_empty() || is_everything(filters) {
            return match self.last_up_to(to) {
                Some(sequence) => self.load_at(sequence),
                None => Ok(Load::Ready(None)),
            };
        }
        if let [only] = filters
            && only.is_literal()
            && let Some(figures) = self.subjects.get(only.as_subject())
            && let LastSeen::At(last) = figures.last
            && last <= to
        {
            return self.load_at(last);
        }
        let mut range = self.places(filters);
        range.end = range.end.min(self.blocks.find(to).saturating_add(1));
        self.search_blocks(range, filters, to, Towards::Older)
    }

    /// The last message up to `to`, by halves of the blocks.
    pub(super) fn last_up_to(&self, to: u64) -> Option<u64> {
        let end = self.blocks.find(to).saturating_add(1);
        self.blocks
            .range(0..end)
            .rev()
            .find_map(|(_, block)| block.at_or_before(to))
    }

    fn search_blocks(
        &self,
        range: Range<usize>,
        filters: &[Filter<'_>],
        from: u64,
        towards: Towards,
    ) -> Answer<Option<StoredMessage>> {
        let mut left = range.clone();
        loop {
            let at = match towards {
                Towards::Newer => left.next(),
                Towards::Older => left.next_back(),
            };
            let Some(at) = at else {
                return Ok(Load::Ready(None));
            };
            let Some(block) = self.blocks.get(at).filter(|block| block.messages > 0) else {
                continue;
            };
            let view = self.view(block);
            let found = search(&view, filters, from, towards, Wait::No)
                .map_err(Failure::from)
                .and_then(|found| match found {
                    Some(sequence) => load(&view, sequence, Wait::No, &self.damage).map(Some),
                    None => Ok(None),
                });
            match found {
                Ok(None) => {}
                found => {
                    let rest = match towards {
                        Towards::Newer => at..range.end,
                        Towards::Older => range.start..at + 1,
                    };
                    return ask(
                        found,
                        || self.search_for(rest, filters, from, towards),
                        Search::run,
                    );
                }
            }
        }
    }

    fn search_for(&self, range: Range<usize>, filters: &[Filter<'_>], from: u64, towards: Towards) -> Search {
        let mut views = self.views(range);
        if towards == Towards::Older {
            views.reverse();
        }
        Search {
            views,
            filters: owned(filters),
            from,
            towards,
            damage: self.damage.clone(),
        }
    }

    /// The blocks in a range that hold messages.
    fn views(&self, range: Range<usize>) -> Vec<View> {
        self.blocks
            .range(range)
            .filter(|(_, block)| block.messages > 0)
            .map(|(_, block)| self.view(block))
            .collect()
    }

    /// The places of the blocks in which messages can match.
    pub(super) fn places(&self, filters: &[Filter<'_>]) -> Range<usize> {
        let mut bounds: Option<(u32, usize)> = None;
        let _ = self.subjects.visit(filters, |_, figures| {
            let end = match figures.last {
                LastSeen::At(sequence) => self.blocks.find(sequence) + 1,
                LastSeen::UpToBlock(index) => self.blocks.find_index(index.saturating_add(1)),
            };
            bounds = Some(match bounds {
                None => (figures.first_block, end),
                Some((first, last)) => (first.min(figures.first_block), last.max(end)),
            });
            ControlFlow::<()>::Continue(())
        });
        match bounds {
            Some((first, end)) => self.blocks.find_index(first)..end,
            None => 0..0,
        }
    }

    pub(super) fn find_time(&self, time: i64) -> Answer<Option<u64>> {
        let start = self
            .blocks
            .iter()
            .position(|block| block.messages > 0 && block.latest >= time);
        let Some(start) = start else {
            return Ok(Load::Ready(None));
        };
        let all = start..self.blocks.len();
        let first = self.views(start..start + 1);
        ask(
            time_in(&first, time, Wait::No).and_then(|found| match found {
                // The block's latest time may be that of a message that is gone.
                None => Err(Fault::WouldWait.into()),
                found => Ok(found),
            }),
            || self.views(all),
            move |views| time_in(&views, time, Wait::Yes),
        )
    }

    pub(super) fn state_of(&self, filters: &[Filter<'_>], from: u64) -> Answer<SubjectState> {
        if filters.is_empty() || is_everything(filters) {
            let messages = self.blocks.messages_from(from);
            return Ok(Load::Ready(match self.blocks.at_or_after(from) {
                Some((_, first)) => SubjectState {
                    messages,
                    first,
                    last: self.last_up_to(u64::MAX).unwrap_or_default(),
                },
                None => SubjectState::default(),
            }));
        }
        let mut range = self.places(filters);
        range.start = range.start.max(self.blocks.find(from));
        let now = || {
            let views = self.views(range.clone());
            state_in(&views, filters, from, Wait::No)
        };
        let taken = (self.views(range.clone()), owned(filters));
        ask(
            now(),
            || taken,
            move |(views, filters)| {
                let filters: Vec<_> = filters.iter().map(FilterBuf::as_filter).collect();
                state_in(&views, &filters, from, Wait::Yes)
            },
        )
    }

    pub(super) fn show_subjects(
        &self,
        filters: &[Filter<'_>],
        visit: &mut dyn FnMut(Subject<'_>, u64) -> bool,
    ) {
        let _ = self
            .subjects
            .visit(filters, |subject, figures| match visit(subject, figures.total) {
                true => ControlFlow::Continue(()),
                false => ControlFlow::Break(()),
            });
    }

    pub(super) fn pending(&self, from: u64, filters: &[Filter<'_>], counting: Counting) -> Answer<u64> {
        match counting {
            Counting::All => self.pending_messages(from, filters),
            Counting::LastPerSubject => self.pending_subjects(from, filters),
        }
    }

    /// All that match, without those before `from`; or those from there on, whichever are in fewer blocks.
    fn pending_messages(&self, from: u64, filters: &[Filter<'_>]) -> Answer<u64> {
        if filters.is_empty() || is_everything(filters) {
            return Ok(Load::Ready(self.blocks.messages_from(from)));
        }
        let mut total = 0;
        let _ = self.subjects.visit(filters, |_, figures| {
            total += figures.total;
            ControlFlow::<()>::Continue(())
        });
        let range = self.places(filters);
        let middle = self
            .blocks
            .find(from)
            .clamp(range.start, range.end.max(range.start));
        if from <= self.state.first || total == 0 {
            return Ok(Load::Ready(total));
        }
        let before = middle + 1 - range.start <= range.end.saturating_sub(middle);
        let (side, bounds) = if before {
            (range.start..(middle + 1).min(range.end), (0, from - 1))
        } else {
            (middle..range.end, (from, u64::MAX))
        };
        let answer = move |counted: u64| {
            if before {
                total.saturating_sub(counted)
            } else {
                counted
            }
        };
        let views = self.views(side);
        let now = count_in(&views, filters, bounds, Wait::No).map(answer);
        let taken = (views, owned(filters));
        ask(
            now,
            || taken,
            move |(views, filters)| {
                let filters: Vec<_> = filters.iter().map(FilterBuf::as_filter).collect();
                count_in(&views, &filters, bounds, Wait::Yes).map(answer)
            },
        )
    }

    fn pending_subjects(&self, from: u64, filters: &[Filter<'_>]) -> Answer<u64> {
        let at = self.blocks.find(from);
        let mut certain = 0;
        let mut doubtful = Vec::new();
        let _ = self.subjects.visit(filters, |subject, figures| {
            match figures.last {
                LastSeen::At(last) => certain += u64::from(last >= from),
                // None of its messages can be in range, or it must be looked for.
                LastSeen::UpToBlock(index) => {
                    if self.blocks.find_index(index.saturating_add(1)) > at {
                        doubtful.push((subject.to_owned(), figures.first_block));
                    }
                }
            }
            ControlFlow::<()>::Continue(())
        });
        if doubtful.is_empty() {
            return Ok(Load::Ready(certain));
        }
        let names: Vec<SubjectBuf> = doubtful.into_iter().map(|(subject, _)| subject).collect();
        let views = self.views(at..self.blocks.len());
        let now = subjects_in(&views, &names, from, Wait::No).map(|more| certain + more);
        let taken = (views, names);
        ask(
            now,
            || taken,
            move |(views, names)| subjects_in(&views, &names, from, Wait::Yes).map(|more| certain + more),
        )
    }

    pub(super) fn lasts(&self, filters: &[Filter<'_>], to: u64, most: usize) -> Answer<Vec<u64>> {
        let mut known = Vec::new();
        let mut unknown = Vec::new();
        let _ = self.subjects.visit(filters, |subject, figures| {
            match figures.last {
                LastSeen::At(last) if last <= to => known.push(last),
                _ => unknown.push(subject.to_owned()),
            }
            match known.len() <= most {
                true => ControlFlow::Continue(()),
                false => ControlFlow::Break(()),
            }
        });
        if known.len() > most {
            return Err(StoreError::TooManyResults);
        }
        if unknown.is_empty() {
            known.sort_unstable();
            return Ok(Load::Ready(known));
        }
        let end = self.blocks.find(to).saturating_add(1);
        let mut views = self.views(0..end);
        views.reverse();
        match lasts_in(&views, &unknown, to, Wait::No) {
            Err(Failure {
                fault: Fault::WouldWait,
                ..
            }) => Ok(Load::cold(move || {
                let found = lasts_in(&views, &unknown, to, Wait::Yes).map_err(Failure::into_error)?;
                join(known, found, most)
            })),
            found => join(known, found.map_err(Failure::into_error)?, most).map(Load::Ready),
        }
    }
}

fn join(mut known: Vec<u64>, found: Vec<u64>, most: usize) -> Result<Vec<u64>, StoreError> {
    known.extend(found);
    if known.len() > most {
        return Err(StoreError::TooManyResults);
    }
    known.sort_unstable();
    Ok(known)
}

/// Whether some filter matches every subject.
pub(super) fn is_everything(filters: &[Filter<'_>]) -> bool {
    filters.iter().any(|filter| filter.as_bytes() == b">")
}

fn time_in(views: &[View], time: i64, wait: Wait) -> Result<Option<u64>, Failure> {
    for view in views {
        if let Some(found) = view.at_time(time, wait)? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

fn state_in(views: &[View], filters: &[Filter<'_>], from: u64, wait: Wait) -> Result<SubjectState, Failure> {
    let mut state = SubjectState::default();
    for view in views {
        view.each(filters, (from, u64::MAX), wait, |sequence, _| state.add(sequence))?;
    }
    Ok(state)
}

fn count_in(views: &[View], filters: &[Filter<'_>], bounds: (u64, u64), wait: Wait) -> Result<u64, Failure> {
    let mut count = 0;
    for view in views {
        view.each(filters, bounds, wait, |_, _| count += 1)?;
    }
    Ok(count)
}

/// How many of the subjects have a message from `from` on.
fn subjects_in(views: &[View], names: &[SubjectBuf], from: u64, wait: Wait) -> Result<u64, Failure> {
    let mut left: Vec<&SubjectBuf> = names.iter().collect();
    for view in views {
        let subjects = view.subjects(wait)?;
        left.retain(|name| {
            let number = subjects.number(name.as_subject());
            !number.is_some_and(|number| view.has(&subjects, &Wanted::One(number), from))
        });
    }
    Ok((names.len() - left.len()) as u64)
}

/// The last sequence up to `to` of each of the subjects that have one. Views come last first.
fn lasts_in(views: &[View], names: &[SubjectBuf], to: u64, wait: Wait) -> Result<Vec<u64>, Failure> {
    let mut found = Vec::new();
    let mut left: Vec<&SubjectBuf> = names.iter().collect();
    for view in views {
        if left.is_empty() {
            break;
        }
        let subjects = view.subjects(wait)?;
        let lasts = view.lasts(&subjects, to);
        left.retain(|name| {
            let number = subjects.number(name.as_subject());
            let last = number.and_then(|number| lasts.get(number as usize).copied());
            match last.filter(|last| *last > 0) {
                Some(last) => {
                    found.push(last);
                    false
                }
                None => true,
            }
        });
    }
    Ok(found)
}
