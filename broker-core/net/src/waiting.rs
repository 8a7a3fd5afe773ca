//! The cap on strangers: how many connections of a listener may wait for their login at a time.
//!
//! Whoever opens connections and says nothing must not be able to fill the listener. Beyond the cap a newcomer is let in
//! and the one that has waited longest is closed, as if its time were up: a client that means to log in does so at once
//! and is gone from here when the flood comes. Who has said CONNECT waits for the broker, not the broker for it, and
//! counts no more. Knows no protocol.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use dunlin_api::{CloseReason, Env, Instant, SessionControl};
use parking_lot::Mutex;

/// Time between two lines about closed connections: a flood must not fill the log.
const REPORT: Duration = Duration::from_secs(1);

/// The connections of one listener that have yet to say who they are.
#[derive(Default)]
pub struct WaitingRoom {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Seats are numbered in the order of arrival.
    next: u64,
    seated: BTreeMap<u64, Arc<dyn SessionControl>>,
    /// Closed for want of room since the last line, and when that was.
    turned_out: u64,
    reported: Option<Instant>,
}

/// A connection's place; free again when this is dropped.
pub struct Seat {
    room: Arc<WaitingRoom>,
    number: u64,
}

impl WaitingRoom {
    /// Seats a connection. If more than `most` then wait, the one that has waited longest is closed with
    /// [`CloseReason::AuthenticationTimeout`], and the log says so once a second. Costs a lock and a step in a tree.
    pub fn enter(self: &Arc<Self>, control: Arc<dyn SessionControl>, most: usize, env: &Env) -> Seat {
        let (number, oldest, report) = {
            let mut state = self.state.lock();
            let number = state.next;
            state.next += 1;
            state.seated.insert(number, control);
            let is_full = state.seated.len() > most;
            let oldest = if is_full { state.seated.pop_first() } else { None };
            let report = oldest.is_some().then(|| state.note(env.now())).flatten();
            (number, oldest, report)
        };
        // Not under the lock: closing runs the session's own code.
        if let Some((_, oldest)) = oldest {
            oldest.close(CloseReason::AuthenticationTimeout);
        }
        if let Some(count) = report {
            let line = format_args!(
                "Closed {count} connections that waited longest for their login: more than {most} wait"
            );
            env.log().warn(line);
        }
        Seat {
            room: self.clone(),
            number,
        }
    }

    /// How many wait.
    pub fn waiting(&self) -> usize {
        self.state.lock().seated.len()
    }
}

impl State {
    /// Counts a closed connection. `Some`: it is time for a line, about so many.
    fn note(&mut self, now: Instant) -> Option<u64> {
        self.turned_out += 1;
        if self.reported.is_some_and(|last| now < last + REPORT) {
            return None;
        }
        self.reported = Some(now);
        Some(std::mem::take(&mut self.turned_out))
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let control = self.room.state.lock().seated.remove(&self.number);
        // Whatever the control drops, it does so outside the lock.
        drop(control);
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use dunlin_api::{ConnectionStatus, Logger};

    use super::*;
    use crate::sim::{SimWorld, sim_env};

    /// A session that notes why it is closed.
    #[derive(Default)]
    struct Session(Mutex<Option<CloseReason>>);

    impl SessionControl for Session {
        fn close(&self, reason: CloseReason) {
            *self.0.lock() = Some(reason);
        }

        fn announce_lame_duck(&self) -> bool {
            false
        }

        fn status(&self) -> ConnectionStatus {
            ConnectionStatus::default()
        }
    }

    fn env() -> Env {
        let host = SimWorld::new(1).host(IpAddr::V4(Ipv4Addr::LOCALHOST));
        sim_env(1, host, Logger::silent())
    }

    #[tokio::test(start_paused = true)]
    async fn beyond_the_cap_the_one_that_has_waited_longest_is_closed() {
        let (room, env) = (Arc::new(WaitingRoom::default()), env());
        let sessions: Vec<_> = (0..5).map(|_| Arc::new(Session::default())).collect();
        let mut seats = Vec::new();
        for session in &sessions {
            seats.push(room.enter(session.clone(), 3, &env));
        }
        let closed: Vec<_> = sessions.iter().map(|session| *session.0.lock()).collect();
        let timeout = Some(CloseReason::AuthenticationTimeout);
        assert_eq!(closed, [timeout, timeout, None, None, None]);
        assert_eq!(room.waiting(), 3);
        drop(seats);
        assert_eq!(room.waiting(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn who_has_logged_in_counts_no_more() {
        let (room, env) = (Arc::new(WaitingRoom::default()), env());
        let first = Arc::new(Session::default());
        drop(room.enter(first.clone(), 1, &env));
        let _second = room.enter(Arc::new(Session::default()), 1, &env);
        assert_eq!((*first.0.lock(), room.waiting()), (None, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn closed_connections_are_told_once_a_second() {
        let mut state = State::default();
        let begin = env().now();
        let told: Vec<_> = [0, 0, 999, 1000, 1500, 2500]
            .map(|millis| state.note(begin + Duration::from_millis(millis)))
            .into();
        assert_eq!(told, [Some(1), None, None, Some(3), None, Some(2)]);
    }
}
