//! When a client is pinged, and when it is given up.

use std::time::Duration;

use dunlin_api::{Instant, Rng};

/// The longest first interval after CONNECT (CORE-76).
const FIRST_PING: Duration = Duration::from_secs(2);

/// A round trip that was measured longer ago is measured again, however busy the client is (CORE-77).
const ROUND_TRIP_AGE: Duration = Duration::from_secs(3600);

/// What to do at a tick.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Tick {
    /// The client has been heard of, that long ago.
    Skip(Duration),
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
    /// The ping sent last, and whether its answer is still to come.
    sent: Option<(Instant, bool)>,
}

impl Pinger {
    pub(crate) fn new(interval: Duration, max_outstanding: u32, now: Instant) -> Self {
        Self {
            interval,
            max_outstanding,
            outstanding: 0,
            last_heard: now,
            sent: None,
        }
    }

    /// Other times, from the next tick on.
    pub(crate) fn change(&mut self, interval: Duration, max_outstanding: u32) {
        self.interval = interval;
        self.max_outstanding = max_outstanding;
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

    /// The client answered: the round trip, if it answered a ping. One nanosecond at least (CORE-79).
    pub(crate) fn pong(&mut self, now: Instant) -> Option<Duration> {
        self.outstanding = 0;
        let (sent_at, is_awaited) = self.sent.as_mut()?;
        std::mem::take(is_awaited).then(|| (now - *sent_at).max(Duration::from_nanos(1)))
    }

    /// Decides at a tick (CORE-77, CORE-78).
    pub(crate) fn tick(&mut self, now: Instant) -> Tick {
        let silent = now - self.last_heard;
        let is_measured = self
            .sent
            .is_some_and(|(sent_at, _)| now - sent_at <= ROUND_TRIP_AGE);
        if is_measured && silent < self.interval {
            return Tick::Skip(silent);
        }
        if self.outstanding + 1 > self.max_outstanding {
            return Tick::Stale;
        }
        self.outstanding += 1;
        self.sent = Some((now, true));
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
        assert_eq!(pinger.tick(start + INTERVAL), Tick::Skip(Duration::from_secs(60)));
        assert_eq!(pinger.tick(start + 2 * INTERVAL), Tick::Ping);
    }

    // CORE-77
    #[tokio::test(start_paused = true)]
    async fn a_round_trip_of_an_hour_ago_is_measured_again() {
        let start = Instant::now();
        let mut pinger = Pinger::new(INTERVAL, 2, start);
        pinger.tick(start);
        pinger.pong(start);
        let hour = start + Duration::from_secs(3600);
        pinger.heard(hour);
        assert_eq!(pinger.tick(hour), Tick::Skip(Duration::ZERO));
        assert_eq!(pinger.tick(hour + Duration::from_nanos(1)), Tick::Ping);
    }

    // CORE-36, CORE-79 [TestUnpromptedPong]
    #[tokio::test(start_paused = true)]
    async fn a_round_trip_is_that_of_an_answered_ping() {
        let start = Instant::now();
        let mut pinger = Pinger::new(INTERVAL, 2, start);
        assert_eq!(pinger.pong(start), None, "nobody asked");
        pinger.tick(start);
        assert_eq!(pinger.pong(start), Some(Duration::from_nanos(1)));
        assert_eq!(pinger.pong(start + INTERVAL), None, "answered twice");
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
