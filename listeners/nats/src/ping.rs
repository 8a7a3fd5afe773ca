//! When a client is pinged, and when it is given up.

use std::time::Duration;

use dunlin_api::{Instant, Rng};

/// The longest first interval after CONNECT (CORE-76).
const FIRST_PING: Duration = Duration::from_secs(2);

/// What to do at a tick.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Tick {
    /// The client has been heard of lately.
    Skip,
    /// Ask for a sign of life.
    Ping,
    /// Too many pings are unanswered (CORE-78).
    Stale,
}

/// Pings of one connection; told the time, it keeps none.
pub(crate) struct Pinger {
    interval: Duration,
    max_outstanding: u32,
    outstanding: u32,
    last_heard: Instant,
    sent_at: Option<Instant>,
    round_trip: Option<Duration>,
}

impl Pinger {
    pub(crate) fn new(interval: Duration, max_outstanding: u32, now: Instant) -> Self {
        Self {
            interval,
            max_outstanding,
            outstanding: 0,
            last_heard: now,
            sent_at: None,
            round_trip: None,
        }
    }

    /// The first tick after CONNECT: soon, and spread so that clients that came together are not pinged together.
    pub(crate) fn first_tick(&self, now: Instant, rng: &mut Rng) -> Instant {
        let first = self.interval.min(FIRST_PING);
        now + first + first.mul_f64(f64::from(rng.below(1000)) / 5000.0)
    }

    /// The tick after this one.
    pub(crate) fn next_tick(&self, now: Instant) -> Instant {
        now + self.interval
    }

    /// The client sent something else than PONG.
    pub(crate) fn heard(&mut self, now: Instant) {
        self.last_heard = now;
    }

    /// The client answered.
    pub(crate) fn pong(&mut self, now: Instant) {
        self.outstanding = 0;
        if let Some(sent_at) = self.sent_at.take() {
            self.round_trip = Some((now - sent_at).max(Duration::from_nanos(1)));
        }
    }

    /// Decides at a tick (CORE-77, CORE-78).
    pub(crate) fn tick(&mut self, now: Instant) -> Tick {
        if self.round_trip.is_some() && now - self.last_heard < self.interval {
            return Tick::Skip;
        }
        if self.outstanding + 1 > self.max_outstanding {
            return Tick::Stale;
        }
        self.outstanding += 1;
        self.sent_at = Some(now);
        Tick::Ping
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_secs(120);

    // CORE-78
    #[tokio::test(start_paused = true)]
    async fn a_silent_client_is_stale_after_the_allowed_pings() {
        let mut now = Instant::now();
        let mut pinger = Pinger::new(INTERVAL, 2, now);
        for expected in [Tick::Ping, Tick::Ping, Tick::Stale] {
            now += INTERVAL;
            assert_eq!(pinger.tick(now), expected);
        }
    }

    // CORE-77 [TestPingSuppresion]
    #[tokio::test(start_paused = true)]
    async fn a_client_that_was_heard_is_not_pinged() {
        let start = Instant::now();
        let mut pinger = Pinger::new(INTERVAL, 2, start);
        assert_eq!(pinger.tick(start), Tick::Ping, "its round trip is not known yet");
        pinger.pong(start + Duration::from_millis(3));
        pinger.heard(start + Duration::from_secs(60));
        assert_eq!(pinger.tick(start + INTERVAL), Tick::Skip);
        assert_eq!(pinger.tick(start + 2 * INTERVAL), Tick::Ping);
    }

    // CORE-76
    #[tokio::test(start_paused = true)]
    async fn the_first_ping_comes_within_two_seconds_and_a_fifth() {
        let now = Instant::now();
        let pinger = Pinger::new(INTERVAL, 2, now);
        let mut rng = Rng::seeded(7);
        for _ in 0..100 {
            let wait = pinger.first_tick(now, &mut rng) - now;
            assert!(wait >= FIRST_PING && wait <= FIRST_PING.mul_f64(1.2), "{wait:?}");
        }
    }
}
