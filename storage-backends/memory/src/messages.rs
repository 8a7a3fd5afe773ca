//! The messages of a stream by sequence, in runs.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use dunlin_api::{NewMessage, StoredMessage};

use crate::chunk::{Chunk, LARGE, Links, Stored};
use crate::packed::Packed;

/// Messages by rising sequence. Every method costs a walk down the tree of runs and a search within one, however many
/// sequences hold nothing.
#[derive(Default)]
pub(crate) struct Messages {
    /// By base; never empty runs. All messages of a run lie before the base of the next.
    runs: BTreeMap<u64, Chunk>,
    count: u64,
}

impl Messages {
    /// How many there are.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// How many there are from `from` on. Costs a look at each run.
    pub(crate) fn count_from(&self, from: u64) -> u64 {
        let behind = self.runs.range(from..).map(|(_, run)| run.count()).sum::<u64>();
        let within = self.runs.range(..from).next_back().and_then(|(base, run)| {
            let delta = delta_of(from, *base)?;
            Some(run.iter_from(delta).count() as u64)
        });
        behind + within.unwrap_or_default()
    }

    /// The sequence of the message that has so many before it. Costs a look at each run.
    pub(crate) fn nth(&self, mut before: u64) -> Option<u64> {
        let (base, run) = self.runs.iter().find(|(_, run)| {
            let is_here = before < run.count();
            before -= if is_here { 0 } else { run.count() };
            is_here
        })?;
        let (delta, _) = run.iter_from(0).nth(before as usize)?;
        Some(base + u64::from(delta))
    }

    /// Appends a message; its sequence is greater than all before.
    pub(crate) fn push(&mut self, sequence: u64, message: &NewMessage<'_>, links: Links) {
        self.count += 1;
        if message.headers.len() + message.payload.len() >= LARGE {
            let large = Box::new((StoredMessage::new(message, sequence), links));
            self.runs.insert(sequence, Chunk::Large(large));
            return;
        }
        if let Some(mut last) = self.runs.last_entry()
            && let (base, Chunk::Packed(packed)) = (*last.key(), last.get_mut())
            && let Some(delta) = delta_of(sequence, base)
        {
            if !packed.is_full() {
                return packed.push(delta, message, links);
            }
            packed.seal();
        }
        let mut packed = Packed::default();
        packed.push(0, message, links);
        self.runs.insert(sequence, Chunk::Packed(packed));
    }

    /// The message with a sequence, where it lies.
    pub(crate) fn get(&self, sequence: u64) -> Option<Stored<'_>> {
        let (base, run) = self.run_of(sequence)?;
        run.get(delta_of(sequence, base)?)
    }

    /// The message with a sequence, to be handed out.
    pub(crate) fn load(&self, sequence: u64) -> Option<StoredMessage> {
        let (base, run) = self.run_of(sequence)?;
        run.load(sequence, delta_of(sequence, base)?)
    }

    /// The first sequence from `from` on that has a message.
    pub(crate) fn at_or_after(&self, from: u64) -> Option<u64> {
        let within = self.run_of(from).and_then(|(base, run)| {
            let delta = run.at_or_after(delta_of(from, base)?)?;
            Some(base + u64::from(delta))
        });
        within.or_else(|| {
            let (base, run) = self.runs.range(from..).next()?;
            Some(base + u64::from(run.at_or_after(0)?))
        })
    }

    /// The last sequence up to `to` that has a message.
    pub(crate) fn at_or_before(&self, to: u64) -> Option<u64> {
        let mut runs = self.runs.range(..=to).rev();
        runs.find_map(|(base, run)| {
            let delta = run.at_or_before(delta_of(to, *base).unwrap_or(u32::MAX))?;
            Some(base + u64::from(delta))
        })
    }

    /// The messages from `from` on, by rising sequence.
    pub(crate) fn iter_from(&self, from: u64) -> impl Iterator<Item = (u64, Stored<'_>)> {
        let first = self.run_of(from).map_or(from, |(base, _)| base);
        self.runs.range(first..).flat_map(move |(base, run)| {
            // Beyond the reach of a run's deltas lies nothing of it.
            let delta = delta_of(from.max(*base), *base);
            let found = delta.map(|delta| run.iter_from(delta));
            found
                .into_iter()
                .flatten()
                .map(move |(delta, stored)| (base + u64::from(delta), stored))
        })
    }

    /// The messages up to `to`, by falling sequence.
    pub(crate) fn iter_back(&self, to: u64) -> impl Iterator<Item = (u64, Stored<'_>)> {
        self.runs.range(..=to).rev().flat_map(move |(base, run)| {
            let found = run.iter_to(delta_of(to, *base).unwrap_or(u32::MAX)).rev();
            found.map(move |(delta, stored)| (base + u64::from(delta), stored))
        })
    }

    /// Shows each run of sequences from `first` on and before `end` that have no message, until `visit` returns false.
    /// Costs a look at each run of messages, and at each message of those that have holes.
    pub(crate) fn each_hole(&self, first: u64, end: u64, visit: &mut dyn FnMut(RangeInclusive<u64>) -> bool) {
        let mut next = first;
        let mut held = |from: u64, through: u64| {
            let is_wanted = next >= from || visit(next..=from - 1);
            next = through.saturating_add(1);
            is_wanted
        };
        for (base, run) in &self.runs {
            let goes_on = match run.whole() {
                Some(last) => held(*base, base + u64::from(last)),
                None => run.iter_from(0).all(|(delta, _)| {
                    let at = base + u64::from(delta);
                    held(at, at)
                }),
            };
            if !goes_on {
                return;
            }
        }
        held(end, end);
    }

    /// The sequence of the first message that is not older than `time`, searched for by halves.
    pub(crate) fn at_time(&self, time: i64) -> Option<u64> {
        let (mut low, mut high) = (self.at_or_after(0)?, self.at_or_before(u64::MAX)?);
        let is_older = |sequence| self.get(sequence).is_some_and(|stored| stored.time < time);
        if is_older(high) {
            return None;
        }
        // All before `low` are older, `high` is not.
        while low < high {
            let middle = self.at_or_before(low + (high - low) / 2)?.max(low);
            if is_older(middle) {
                low = self.at_or_after(middle + 1)?;
            } else {
                high = middle;
            }
        }
        Some(high)
    }

    /// Replaces the links of a message.
    pub(crate) fn set_links(&mut self, sequence: u64, links: Links) {
        if let Some((base, run)) = self.runs.range_mut(..=sequence).next_back()
            && let Some(delta) = delta_of(sequence, *base)
        {
            run.set_links(delta, links);
        }
    }

    /// Takes a message away that is there.
    pub(crate) fn remove(&mut self, sequence: u64, erase: bool) {
        let Some((base, run)) = self.runs.range_mut(..=sequence).next_back() else {
            return;
        };
        let base = *base;
        let Some(delta) = delta_of(sequence, base) else {
            return;
        };
        self.count -= 1;
        if run.remove(delta, erase) {
            self.runs.remove(&base);
        } else if matches!(run, Chunk::Packed(packed) if packed.is_small()) {
            self.join(base);
        }
    }

    /// Takes all messages before a sequence away.
    pub(crate) fn remove_before(&mut self, sequence: u64) {
        let kept = self.runs.split_off(&sequence);
        let mut gone = std::mem::replace(&mut self.runs, kept);
        if let Some((base, run)) = gone.pop_last() {
            self.keep(base, run, |at| at >= sequence);
        }
        self.count = self.runs.values().map(Chunk::count).sum();
    }

    /// Takes all messages after a sequence away.
    pub(crate) fn remove_after(&mut self, sequence: u64) {
        if let Some(after) = sequence.checked_add(1) {
            self.runs.split_off(&after);
        }
        if let Some((base, run)) = self.runs.pop_last() {
            self.keep(base, run, |at| at <= sequence);
        }
        self.count = self.runs.values().map(Chunk::count).sum();
    }

    /// Puts a run back with those of its messages that are wanted.
    fn keep(&mut self, base: u64, mut run: Chunk, is_wanted: impl Fn(u64) -> bool) {
        let deltas = run.iter_from(0).map(|(delta, _)| delta);
        let gone: Vec<u32> = deltas
            .filter(|delta| !is_wanted(base + u64::from(*delta)))
            .collect();
        let is_empty = gone.iter().fold(false, |_, delta| run.remove(*delta, false));
        if !is_empty {
            self.runs.insert(base, run);
        }
    }

    /// Makes a small run part of the one before, where that has room.
    fn join(&mut self, base: u64) {
        let Some((before, _)) = self.runs.range(..base).next_back() else {
            return;
        };
        let (before, further) = (*before, base - *before);
        let [Some(Chunk::Packed(left)), Some(Chunk::Packed(right))] =
            [self.runs.get(&before), self.runs.get(&base)]
        else {
            return;
        };
        if !left.has_room_for(right, further) {
            return;
        }
        if let Some(Chunk::Packed(right)) = self.runs.remove(&base)
            && let Some(Chunk::Packed(left)) = self.runs.get_mut(&before)
        {
            left.take(&right, further as u32);
        }
    }

    fn run_of(&self, sequence: u64) -> Option<(u64, &Chunk)> {
        let (base, run) = self.runs.range(..=sequence).next_back()?;
        Some((*base, run))
    }
}

/// Where in a run a sequence is; beyond its reach `None`.
fn delta_of(sequence: u64, base: u64) -> Option<u32> {
    u32::try_from(sequence - base).ok()
}

#[cfg(test)]
mod tests {
    use dunlin_api::Subject;

    use super::*;

    fn fill(messages: &mut Messages, sequences: impl Iterator<Item = u64>, payload: &[u8]) {
        for sequence in sequences {
            let message = NewMessage {
                sequence: None,
                time: sequence as i64,
                subject: Subject::kept(b"a"),
                headers: b"",
                payload,
            };
            messages.push(sequence, &message, Links::default());
        }
    }

    fn sequences(messages: &Messages) -> Vec<u64> {
        messages.iter_from(0).map(|(sequence, _)| sequence).collect()
    }

    #[test]
    fn what_is_left_of_many_runs_comes_together_in_few() {
        let mut messages = Messages::default();
        fill(&mut messages, 1..=100_000, b"x");
        let before = messages.runs.len();
        for sequence in (1..=100_000).filter(|sequence| sequence % 100 != 0) {
            messages.remove(sequence, false);
        }
        assert!(
            messages.runs.len() * 20 < before,
            "{} of {before}",
            messages.runs.len()
        );
        assert!(sequences(&messages).into_iter().eq((1..=1000).map(|n| n * 100)));
        assert_eq!((messages.count(), messages.nth(500)), (1000, Some(50_100)));
    }

    #[test]
    fn runs_further_apart_than_a_delta_reaches_stay_apart() {
        let mut messages = Messages::default();
        let far = 5 << 32;
        fill(&mut messages, (1..=3).chain(far..far + 3), b"x");
        messages.remove(far + 1, false);
        assert_eq!(sequences(&messages), [1, 2, 3, far, far + 2]);
        assert_eq!(messages.at_or_before(far - 1), Some(3));
        assert!(messages.get(far - 1).is_none() && messages.get(4).is_none());
        messages.remove_after(3);
        assert_eq!(sequences(&messages), [1, 2, 3]);
    }

    #[test]
    fn sequences_given_again_do_not_mix_with_removed_ones() {
        let mut messages = Messages::default();
        fill(&mut messages, 1..=3000, b"x");
        for sequence in 1030..=3000 {
            messages.remove(sequence, false);
        }
        fill(&mut messages, 1030..=1040, &[b'y'; 5000]);
        fill(&mut messages, 1041..=1050, b"z");
        for sequence in (10..=1020).chain(1030..=1038) {
            messages.remove(sequence, false);
        }
        let expected = (1..10).chain(1021..1030).chain(1039..=1050);
        assert!(sequences(&messages).into_iter().eq(expected.clone()));
        let back = messages.iter_back(u64::MAX).map(|(sequence, _)| sequence);
        assert!(back.eq(expected.rev().collect::<Vec<_>>()));
    }
}
