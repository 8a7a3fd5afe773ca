//! Finding messages by their subjects.
//!
//! The ends of each subject are known, so a question walks along the links of a subject, or looks at every message on one
//! side of a sequence, whichever promises to be shorter.

use std::ops::ControlFlow;

use dunlin_api::{Filter, SubjectState, matches_any};

use crate::chunk::Stored;
use crate::messages::Messages;
use crate::subjects::Subjects;

/// Beyond so many matching subjects a look at the messages themselves is likely to end sooner.
const FEW: usize = 256;

/// A step along a link costs as much as a look at so many messages in order.
const STEP: u64 = 8;

/// What a stream holds, to be asked.
#[derive(Clone, Copy)]
pub(crate) struct Find<'a> {
    pub(crate) messages: &'a Messages,
    pub(crate) subjects: &'a Subjects,
}

/// Where the messages of matching subjects lie, seen from a sequence.
#[derive(Default)]
struct Around {
    /// The nearest end of a subject that lies on the wanted side as a whole.
    nearest: Option<u64>,
    /// A subject that reaches over the sequence, if there is one only.
    over: Option<SubjectState>,
    /// How many reach over it.
    over_count: usize,
    /// Too many subjects match to look at all.
    is_open: bool,
}

impl Find<'_> {
    /// The first matching sequence from `from` on.
    pub(crate) fn next(self, filters: &[Filter<'_>], from: u64) -> Option<u64> {
        if filters.is_empty() {
            return self.messages.at_or_after(from);
        }
        let around = self.around(
            filters,
            |state| match state {
                state if state.last < from => Side::Off,
                state if state.first >= from => Side::Whole(state.first),
                _ => Side::Over,
            },
            u64::min,
        );
        match around {
            Around {
                is_open: false,
                over_count: 0,
                nearest,
                ..
            } => nearest,
            Around {
                is_open: false,
                over: Some(state),
                nearest,
                ..
            } => Some(self.race_forward(filters, from, state, nearest)),
            Around { nearest, .. } => {
                let end = nearest.unwrap_or(u64::MAX);
                let mut ahead = self.messages.iter_from(from).take_while(|(at, _)| *at < end);
                let found = ahead.find(|(_, stored)| matches_any(filters, stored.subject));
                found.map(|(at, _)| at).or(nearest)
            }
        }
    }

    /// The last matching sequence up to `to`.
    pub(crate) fn previous(self, filters: &[Filter<'_>], to: u64) -> Option<u64> {
        if filters.is_empty() {
            return self.messages.at_or_before(to);
        }
        let around = self.around(
            filters,
            |state| match state {
                state if state.first > to => Side::Off,
                state if state.last <= to => Side::Whole(state.last),
                _ => Side::Over,
            },
            u64::max,
        );
        match around {
            Around {
                is_open: false,
                over_count: 0,
                nearest,
                ..
            } => nearest,
            Around {
                is_open: false,
                over: Some(state),
                nearest,
                ..
            } => Some(self.race_back(filters, to, state, nearest)),
            Around { nearest, .. } => {
                let end = nearest.unwrap_or(0);
                let mut behind = self.messages.iter_back(to).take_while(|(at, _)| *at > end);
                let found = behind.find(|(_, stored)| matches_any(filters, stored.subject));
                found.map(|(at, _)| at).or(nearest)
            }
        }
    }

    /// What matches from `from` on.
    pub(crate) fn state(self, filters: &[Filter<'_>], from: u64) -> SubjectState {
        let messages = self.count(filters, from);
        if messages == 0 {
            return SubjectState::default();
        }
        SubjectState {
            messages,
            first: self.next(filters, from).unwrap_or_default(),
            last: self.previous(filters, u64::MAX).unwrap_or_default(),
        }
    }

    /// How many messages match from `from` on.
    pub(crate) fn count(self, filters: &[Filter<'_>], from: u64) -> u64 {
        if filters.is_empty() {
            return self.messages.count_from(from);
        }
        let (mut whole, mut all, mut over) = (0, 0, Vec::new());
        let mut over_messages = 0;
        self.each(filters, |state| {
            all += state.messages;
            if state.first >= from {
                whole += state.messages;
            } else if state.last >= from {
                over_messages += state.messages;
                if over.len() < FEW {
                    over.push(state.last);
                }
            }
        });
        if over_messages == 0 {
            return whole;
        }
        if all == self.messages.count() {
            return self.messages.count_from(from);
        }
        let ahead = self.messages.count_from(from);
        let behind = self.messages.count() - ahead;
        let by_links = over_messages.saturating_mul(STEP);
        if over.len() < FEW && by_links <= ahead.min(behind) {
            let along = |last: &u64| self.back_along(*last).take_while(|at| *at >= from).count() as u64;
            return whole + over.iter().map(along).sum::<u64>();
        }
        let matching = |(_, stored): &(u64, Stored<'_>)| matches_any(filters, stored.subject);
        if ahead <= behind {
            return self.messages.iter_from(from).filter(matching).count() as u64;
        }
        let before = self.messages.iter_from(0).take_while(|(at, _)| *at < from);
        all - before.filter(matching).count() as u64
    }

    /// How many matching subjects have their last message at `from` or later.
    pub(crate) fn subjects_from(self, filters: &[Filter<'_>], from: u64) -> u64 {
        let mut count = 0;
        self.each(filters, |state| count += u64::from(state.last >= from));
        count
    }

    /// The last sequence up to `to` of each matching subject, sorted; `None` for more than `most`.
    pub(crate) fn last_sequences(self, filters: &[Filter<'_>], to: u64, most: usize) -> Option<Vec<u64>> {
        let mut sequences = Vec::new();
        let ended = self.subjects.visit(filters, |_, state| {
            if state.first <= to {
                sequences.extend(self.back_along(state.last).find(|at| *at <= to));
            }
            match sequences.len() > most {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            }
        });
        sequences.sort_unstable();
        ended.is_continue().then_some(sequences)
    }

    /// Up to `most` matching sequences from `from` on and before `before`, in order.
    pub(crate) fn some(self, filters: &[Filter<'_>], from: u64, before: u64, most: usize) -> Vec<u64> {
        let ahead = self.messages.iter_from(from).take_while(|(at, _)| *at < before);
        let matching = ahead.filter(|(_, stored)| matches_any(filters, stored.subject));
        matching.map(|(at, _)| at).take(most).collect()
    }

    /// All matching sequences before `before` in order, where following links is the shorter way.
    pub(crate) fn by_links(self, filters: &[Filter<'_>], before: u64) -> Option<Vec<u64>> {
        let (mut total, mut firsts) = (0_u64, Vec::new());
        self.each(filters, |state| {
            total += state.messages;
            if firsts.len() < FEW {
                firsts.push(state.first);
            }
        });
        if firsts.len() == FEW || total.saturating_mul(STEP) > self.messages.count() {
            return None;
        }
        let along = |first: &u64| self.along(*first).take_while(|at| *at < before);
        let mut sequences: Vec<_> = firsts.iter().flat_map(along).collect();
        sequences.sort_unstable();
        Some(sequences)
    }

    fn each(self, filters: &[Filter<'_>], mut visit: impl FnMut(&SubjectState)) {
        let _: ControlFlow<()> = self.subjects.visit(filters, |_, state| {
            visit(state);
            ControlFlow::Continue(())
        });
    }

    fn around(
        self,
        filters: &[Filter<'_>],
        side: impl Fn(&SubjectState) -> Side,
        nearer: impl Fn(u64, u64) -> u64,
    ) -> Around {
        let mut around = Around::default();
        let mut seen = 0;
        let ended = self.subjects.visit(filters, |_, state| {
            match side(state) {
                Side::Off => {}
                Side::Whole(end) => {
                    around.nearest = Some(around.nearest.map_or(end, |nearest| nearer(nearest, end)));
                }
                Side::Over => {
                    around.over_count += 1;
                    around.over = (around.over_count == 1).then_some(*state);
                }
            }
            seen += 1;
            match seen > FEW {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            }
        });
        around.is_open = ended.is_break();
        around
    }

    /// Looks ahead from `from` and, in turn, back along the links of the one subject that reaches over it.
    fn race_forward(
        self,
        filters: &[Filter<'_>],
        from: u64,
        state: SubjectState,
        nearest: Option<u64>,
    ) -> u64 {
        let mut ahead = self.messages.iter_from(from);
        let mut found = state.last;
        for before in self.back_along(state.last).skip(1) {
            if before < from {
                break;
            }
            found = before;
            if let Some((at, stored)) = ahead.next()
                && matches_any(filters, stored.subject)
            {
                return at;
            }
        }
        nearest.map_or(found, |nearest| nearest.min(found))
    }

    /// The same the other way round.
    fn race_back(self, filters: &[Filter<'_>], to: u64, state: SubjectState, nearest: Option<u64>) -> u64 {
        let mut behind = self.messages.iter_back(to);
        let mut found = state.first;
        for after in self.along(state.first).skip(1) {
            if after > to {
                break;
            }
            found = after;
            if let Some((at, stored)) = behind.next()
                && matches_any(filters, stored.subject)
            {
                return at;
            }
        }
        nearest.map_or(found, |nearest| nearest.max(found))
    }

    /// A message and those of its subject after it.
    fn along(self, first: u64) -> impl Iterator<Item = u64> {
        let next = move |at: &u64| self.messages.get(*at).map(|stored| stored.links.next);
        std::iter::successors(Some(first), next).take_while(|at| *at > 0)
    }

    /// A message and those of its subject before it.
    fn back_along(self, last: u64) -> impl Iterator<Item = u64> {
        let previous = move |at: &u64| self.messages.get(*at).map(|stored| stored.links.previous);
        std::iter::successors(Some(last), previous).take_while(|at| *at > 0)
    }
}

/// Where a subject lies, seen from a sequence.
enum Side {
    /// On the other side.
    Off,
    /// On the wanted side; its nearer end.
    Whole(u64),
    /// On both.
    Over,
}
