//! What lies between two hosts.

use std::time::Duration;

/// How bytes travel between two hosts, both ways alike.
#[derive(Clone, Copy, Debug)]
pub struct LinkRules {
    /// How long a byte takes.
    pub latency: Duration,
    /// Up to how much longer, drawn for each write.
    pub jitter: Duration,
    /// Most bytes that one read or write moves; each draws its own number up to it. Small ones cut everything.
    pub chunk: usize,
    /// Bytes that may be under way in one direction before writes are pushed back.
    pub window: usize,
}

impl Default for LinkRules {
    /// A fast network: 50 µs, whole buffers, 64 KiB under way.
    fn default() -> Self {
        Self {
            latency: Duration::from_micros(50),
            jitter: Duration::ZERO,
            chunk: usize::MAX,
            window: 64 * 1024,
        }
    }
}
