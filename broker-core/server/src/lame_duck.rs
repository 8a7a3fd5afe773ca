//! Lame duck: a server that sends its clients away, one by one, before it stops (CORE-83, CORE-84).

use std::time::Duration;

use dunlin_api::{CloseReason, Rng};

use crate::Server;

/// The longest mean pause between two clients that are sent away.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Over which time clients are sent away when the grace period leaves none.
const SHORTEST_SPAN: Duration = Duration::from_secs(1);

impl Server {
    /// Takes no new clients, tells those that are there, lets the grace period pass, and closes them over the rest of
    /// `lame_duck_duration`. Returns when it is time for [`Server::stop`]: at once where nobody is connected. May be
    /// dropped at any point to stop sooner; the listeners then stay closed.
    pub async fn lame_duck(&self) {
        let log = self.env.log();
        log.notice(format_args!(
            "Entering lame duck mode, stop accepting new clients"
        ));
        for (_, serving) in &self.listeners {
            serving.close().await;
        }
        let mut controls = self.router.controls();
        if controls.is_empty() {
            return;
        }
        let mut rng = self.env.rng();
        shuffle(&mut controls, &mut rng);
        for (_, control) in &controls {
            control.announce_lame_duck();
        }
        let config = self.broker().config();
        let grace = config.lame_duck_grace_period;
        self.env.sleep(grace).await;
        log.notice(format_args!("Closing existing clients"));
        let pace = Pace::new(config.lame_duck_duration.saturating_sub(grace), controls.len());
        for (index, (_, control)) in controls.iter().enumerate() {
            control.close(CloseReason::ServerShutdown);
            let is_last = index + 1 == controls.len();
            if !is_last && index % pace.batch == 0 {
                self.env.sleep(pace.pause(&mut rng)).await;
            }
        }
    }
}

/// How fast clients are sent away.
#[derive(Debug, PartialEq, Eq)]
struct Pace {
    /// The longest pause.
    interval: Duration,
    /// Clients between two pauses; more than one only where there are more clients than nanoseconds.
    batch: usize,
}

impl Pace {
    /// The pace at which `clients` are gone within `span`, and within a second each.
    fn new(span: Duration, clients: usize) -> Self {
        let span = if span.is_zero() { SHORTEST_SPAN } else { span };
        let nanos = u64::try_from(span.as_nanos()).unwrap_or(u64::MAX);
        let clients = clients.max(1) as u64;
        let interval = Duration::from_nanos(nanos / clients).min(LONGEST_PAUSE);
        if interval.is_zero() {
            return Self {
                interval: Duration::from_nanos(1),
                batch: usize::try_from(clients / nanos).unwrap_or(usize::MAX),
            };
        }
        Self { interval, batch: 1 }
    }

    /// A pause: random, so that servers that go together do not beat together; half the interval or more.
    fn pause(&self, rng: &mut Rng) -> Duration {
        let share = f64::from(rng.below(1 << 20)) / f64::from(1 << 20);
        self.interval.mul_f64(share).max(self.interval / 2)
    }
}

fn shuffle<T>(items: &mut [T], rng: &mut Rng) {
    for end in (1..items.len()).rev() {
        let chosen = rng.below(u32::try_from(end + 1).unwrap_or(u32::MAX));
        items.swap(end, chosen as usize);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(span: Duration, clients: usize, interval: Duration, batch: usize) {
        assert_eq!(Pace::new(span, clients), Pace { interval, batch });
    }

    // CORE-84 [TestLameDuckMode]
    #[test]
    fn clients_leave_evenly_and_at_most_a_second_apart() {
        let second = Duration::from_secs(1);
        check(Duration::from_secs(110), 10, second, 1);
        check(Duration::from_secs(110), 1100, Duration::from_millis(100), 1);
        check(Duration::ZERO, 4, Duration::from_millis(250), 1);
        check(Duration::from_nanos(5), 20, Duration::from_nanos(1), 4);
        check(second, 0, second, 1);
    }

    // CORE-84
    #[test]
    fn a_pause_is_between_half_and_the_whole_interval() {
        let pace = Pace::new(Duration::from_secs(100), 1000);
        let mut rng = Rng::seeded(3);
        let pauses: Vec<_> = (0..1000).map(|_| pace.pause(&mut rng)).collect();
        let half = pace.interval / 2;
        assert!(pauses.iter().all(|pause| (half..=pace.interval).contains(pause)));
        assert!(pauses.contains(&half) && pauses.iter().any(|pause| *pause > pace.interval / 4 * 3));
    }

    #[test]
    fn a_shuffle_loses_nobody() {
        let mut items: Vec<u32> = (0..100).collect();
        shuffle(&mut items, &mut Rng::seeded(3));
        assert_ne!(items, (0..100).collect::<Vec<_>>());
        items.sort_unstable();
        assert_eq!(items, (0..100).collect::<Vec<_>>());
    }
}
