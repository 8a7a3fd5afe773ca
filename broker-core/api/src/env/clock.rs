//! Time. The monotonic clock is tokio's, which a test can pause; the wall clock is the system's or a simulated one.

use std::time::{Duration, SystemTime};

/// A point on the monotonic clock.
pub type Instant = tokio::time::Instant;

/// A timer that completes at its deadline.
pub type Sleep = tokio::time::Sleep;

/// Where time comes from.
pub trait Clock: Send + Sync + 'static {
    /// Monotonic time.
    fn now(&self) -> Instant {
        Instant::now()
    }

    /// Wall time.
    fn wall(&self) -> SystemTime;

    /// A timer for `deadline`.
    fn sleep_until(&self, deadline: Instant) -> Sleep {
        tokio::time::sleep_until(deadline)
    }
}

/// The machine's clock.
#[derive(Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the seam")]
    fn wall(&self) -> SystemTime {
        SystemTime::now()
    }
}

/// A wall clock that starts at a chosen moment and follows the (paused) monotonic one.
#[derive(Debug)]
pub struct SimulatedClock {
    start: Instant,
    epoch: SystemTime,
}

impl SimulatedClock {
    /// A clock that shows 2026-01-01T00:00:00Z now.
    pub fn new() -> Self {
        Self {
            start: Instant::now(),
            epoch: SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_225_600),
        }
    }
}

impl Default for SimulatedClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SimulatedClock {
    fn wall(&self) -> SystemTime {
        self.epoch + self.start.elapsed()
    }
}
