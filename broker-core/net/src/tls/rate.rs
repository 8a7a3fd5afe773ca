//! A limit per second.

use std::time::Duration;

use dunlin_api::Instant;
use parking_lot::Mutex;

/// Admits so many per window of one second, and counts the others (CORE-11). Windows begin with the first that asks.
#[derive(Debug)]
pub struct RateLimit {
    limit: u64,
    window: Mutex<Window>,
}

#[derive(Debug, Default)]
struct Window {
    end: Option<Instant>,
    admitted: u64,
    refused: u64,
}

const WINDOW: Duration = Duration::from_secs(1);

impl RateLimit {
    /// Admits `limit` in each window.
    pub fn new(limit: u64) -> Self {
        Self {
            limit,
            window: Mutex::default(),
        }
    }

    /// Whether one more may pass.
    pub fn admits(&self, now: Instant) -> bool {
        let mut window = self.window.lock();
        if window.end.is_none_or(|end| now > end) {
            window.end = Some(now + WINDOW);
            window.admitted = 0;
        } else if window.admitted >= self.limit {
            window.refused += 1;
            return false;
        }
        window.admitted += 1;
        true
    }

    /// How many were refused since the last call.
    pub fn take_refused(&self) -> u64 {
        std::mem::take(&mut self.window.lock().refused)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // CORE-11 [TestRateCounter]
    #[tokio::test(start_paused = true)]
    async fn exactly_the_limit_passes_in_a_window() {
        let limit = RateLimit::new(10);
        let start = Instant::now();
        let passed = |at: Duration| (0..20).filter(|_| limit.admits(start + at)).count();
        assert_eq!(passed(Duration::ZERO), 10);
        assert_eq!(passed(WINDOW), 0, "the window has not ended yet");
        assert_eq!(limit.take_refused(), 30);
        assert_eq!(passed(WINDOW + Duration::from_millis(1)), 10);
        assert_eq!(limit.take_refused(), 10);
    }
}
