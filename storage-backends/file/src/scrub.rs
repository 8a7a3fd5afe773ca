//! When the next cold block is to be read again, so that damage is found before a reader meets it.
//!
//! [`Scrub`] holds no file and no clock: its owner asks what is next, reads it, and tells how much that was. It goes round
//! over all blocks in order and never faster than its rate, nor twice within its shortest round.

use std::time::Duration;

/// How fast blocks are read again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScrubPace {
    /// Bytes a second; 0 reads nothing.
    pub bytes_per_second: u64,
    /// No block is read twice within this time.
    pub shortest_round: Duration,
}

impl Default for ScrubPace {
    /// 4 MiB a second, each block once a day at most: a hundredth of a disk, and a terabyte in three days.
    fn default() -> Self {
        Self {
            bytes_per_second: 4 << 20,
            shortest_round: Duration::from_secs(24 * 60 * 60),
        }
    }
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScrubStep<K> {
    /// Read this block and call [`Scrub::done`].
    Read(K),
    /// Nothing before this time.
    Wait(Duration),
    /// Nothing at all.
    Off,
}

/// Goes round over blocks, whose names `K` have an order: a number, or a stream and a number.
///
/// Times are since any fixed moment, by a clock that does not go back.
#[derive(Clone, Debug)]
pub struct Scrub<K> {
    pace: ScrubPace,
    /// The last block that was read in this round.
    cursor: Option<K>,
    round_began: Duration,
    due: Duration,
}

impl<K: Ord + Clone> Scrub<K> {
    /// Begins its first round at `now`.
    pub fn new(pace: ScrubPace, now: Duration) -> Self {
        Self {
            pace,
            cursor: None,
            round_began: now,
            due: now,
        }
    }

    /// What is next. `after` gives the first block behind one, or the first of all; only blocks that no longer
    /// grow, since a reader of the last block would meet damage there anyway. Blocks may come and go between calls.
    pub fn poll(&mut self, now: Duration, after: impl Fn(Option<&K>) -> Option<K>) -> ScrubStep<K> {
        if self.pace.bytes_per_second == 0 {
            return ScrubStep::Off;
        }
        if now < self.due {
            return ScrubStep::Wait(self.due);
        }
        if let Some(next) = after(self.cursor.as_ref()) {
            return ScrubStep::Read(next);
        }
        // The round is over; so is one over nothing.
        self.cursor = None;
        self.due = self.round_began.saturating_add(self.pace.shortest_round).max(now);
        self.round_began = self.due;
        match after(None) {
            Some(first) if self.due <= now => ScrubStep::Read(first),
            _ => ScrubStep::Wait(self.due.max(now.saturating_add(IDLE))),
        }
    }

    /// A block was read: how many bytes that were, and when it was done. Damage is told by who read it.
    pub fn done(&mut self, block: K, bytes: u64, now: Duration) {
        self.cursor = Some(block);
        let rate = self.pace.bytes_per_second.max(1);
        let pause = Duration::from_nanos(
            u64::try_from(u128::from(bytes) * NANOS / u128::from(rate)).unwrap_or(u64::MAX),
        );
        self.due = now.saturating_add(pause);
    }
}

/// How often blocks are looked for where there are none.
const IDLE: Duration = Duration::from_secs(60);
const NANOS: u128 = 1_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn scrub() -> Scrub<u32> {
        let pace = ScrubPace {
            bytes_per_second: 1_000,
            shortest_round: 100 * SECOND,
        };
        Scrub::new(pace, Duration::ZERO)
    }

    fn next(blocks: &[u32]) -> impl Fn(Option<&u32>) -> Option<u32> {
        move |after| {
            blocks
                .iter()
                .copied()
                .find(|block| after.is_none_or(|after| block > after))
        }
    }

    #[test]
    fn blocks_are_read_in_turn_and_no_faster_than_the_rate() {
        let mut scrub = scrub();
        assert_eq!(scrub.poll(Duration::ZERO, next(&[2, 5])), ScrubStep::Read(2));
        scrub.done(2, 3_000, SECOND);
        assert_eq!(scrub.poll(2 * SECOND, next(&[2, 5])), ScrubStep::Wait(4 * SECOND));
        assert_eq!(scrub.poll(4 * SECOND, next(&[2, 5])), ScrubStep::Read(5));
    }

    #[test]
    fn a_round_waits_for_the_shortest_one_to_be_over() {
        let mut scrub = scrub();
        scrub.done(5, 1_000, SECOND);
        assert_eq!(
            scrub.poll(2 * SECOND, next(&[2, 5])),
            ScrubStep::Wait(100 * SECOND)
        );
        assert_eq!(
            scrub.poll(99 * SECOND, next(&[2, 5])),
            ScrubStep::Wait(100 * SECOND)
        );
        assert_eq!(scrub.poll(100 * SECOND, next(&[2, 5])), ScrubStep::Read(2));
    }

    #[test]
    fn a_long_round_is_followed_by_the_next_at_once() {
        let mut scrub = scrub();
        scrub.done(5, 500_000, SECOND);
        assert_eq!(scrub.poll(501 * SECOND, next(&[2, 5])), ScrubStep::Read(2));
    }

    #[test]
    fn blocks_may_come_and_go() {
        let mut scrub = scrub();
        scrub.done(5, 1_000, Duration::ZERO);
        assert_eq!(scrub.poll(SECOND, next(&[2, 9])), ScrubStep::Read(9));
        let mut scrub = self::scrub();
        assert_eq!(
            scrub.poll(Duration::ZERO, next(&[])),
            ScrubStep::Wait(100 * SECOND)
        );
        assert_eq!(scrub.poll(100 * SECOND, next(&[])), ScrubStep::Wait(200 * SECOND));
        assert_eq!(scrub.poll(200 * SECOND, next(&[1])), ScrubStep::Read(1));
    }

    #[test]
    fn no_rate_reads_nothing() {
        let pace = ScrubPace {
            bytes_per_second: 0,
            ..ScrubPace::default()
        };
        let mut scrub = Scrub::new(pace, Duration::ZERO);
        assert_eq!(scrub.poll(SECOND, next(&[1])), ScrubStep::Off);
    }
}
