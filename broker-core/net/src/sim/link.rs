//! What lies between two hosts.

use std::time::Duration;

use dunlin_api::Rng;

/// How bytes travel between two hosts, both ways alike. Tokio's timers count whole milliseconds, so these do too.
#[derive(Clone, Copy, Debug)]
pub struct LinkRules {
    /// How long a byte takes.
    pub latency: Duration,
    /// Up to how much longer, drawn for each write.
    pub jitter: Duration,
    /// Most bytes that one read or write moves (at least 1); each draws its own number up to it. Small ones cut
    /// everything.
    pub chunk: usize,
    /// Bytes that may be on their way or unread in one direction before writes are pushed back (at least 1).
    pub window: usize,
}

impl Default for LinkRules {
    /// A near host: 1 ms, chunks of any size, 64 KiB under way.
    fn default() -> Self {
        Self {
            latency: Duration::from_millis(1),
            jitter: Duration::ZERO,
            chunk: usize::MAX,
            window: 64 * 1024,
        }
    }
}

impl LinkRules {
    /// How long the next bytes take.
    pub(super) fn draw_delay(&self, rng: &mut Rng) -> Duration {
        let part = f64::from(rng.below(1000)) / 1000.0;
        self.latency + self.jitter.mul_f64(part)
    }

    /// How many of `most` bytes the next call moves: 1 to `most`, and never more than a chunk; 0 for 0.
    pub(super) fn draw_count(&self, rng: &mut Rng, most: usize) -> usize {
        let most = most.min(self.chunk.max(1));
        // Mostly everything at once, as on a real network; else any part of it.
        if most == 0 || rng.below(2) == 0 {
            return most;
        }
        1 + rng.below(u32::try_from(most).unwrap_or(u32::MAX)) as usize
    }
}
