//! Telling a service manager how the broker is: the protocol of `sd_notify(3)`, spoken by systemd and others.
//!
//! Without `NOTIFY_SOCKET` every call does nothing. A manager that does not listen is not waited for. Unit files with
//! `Type=notify`, `Type=notify-reload` and `WatchdogSec=` work.

use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::Arc;
use std::time::Duration;

use dunlin_api::Env;
use rustix::time::{ClockId, clock_gettime};

/// The manager that started this process, if it wants to be told.
#[derive(Clone, Debug, Default)]
pub struct ServiceManager {
    socket: Option<Arc<UnixDatagram>>,
    /// Within which time it must hear that the broker is alive.
    watchdog: Option<Duration>,
}

impl ServiceManager {
    /// The one that the variables `NOTIFY_SOCKET`, `WATCHDOG_USEC` and `WATCHDOG_PID` speak of. An address that leads
    /// nowhere is as good as none.
    pub fn of(variable: impl Fn(&str) -> Option<String>) -> Self {
        let socket = variable("NOTIFY_SOCKET").and_then(|address| connect(&address));
        let is_for_us = variable("WATCHDOG_PID").is_none_or(|pid| pid == std::process::id().to_string());
        let watchdog = variable("WATCHDOG_USEC")
            .filter(|_| is_for_us && socket.is_some())
            .and_then(|microseconds| microseconds.parse().ok())
            .filter(|microseconds| *microseconds > 0)
            .map(Duration::from_micros);
        Self { socket, watchdog }
    }

    /// The broker serves, after its start or a reload.
    pub fn ready(&self) {
        self.tell("READY=1\nSTATUS=Ready");
    }

    /// A reload begins; [`ServiceManager::ready`] ends it.
    pub fn reloading(&self) {
        let now = clock_gettime(ClockId::Monotonic);
        let microseconds = i128::from(now.tv_sec) * 1_000_000 + i128::from(now.tv_nsec) / 1000;
        self.tell(&format!(
            "RELOADING=1\nMONOTONIC_USEC={microseconds}\nSTATUS=Reloading"
        ));
    }

    /// What the broker does now, in words.
    pub fn status(&self, text: &str) {
        self.tell(&format!("STATUS={text}"));
    }

    /// The broker is about to end.
    pub fn stopping(&self) {
        self.tell("STOPPING=1\nSTATUS=Stopping");
    }

    /// From now on tells a watchdog, twice in its time, that every shard of `env` still answers. Does nothing where
    /// there is none.
    pub fn watch_over(&self, env: &Env) {
        let Some(limit) = self.watchdog else { return };
        let (manager, own) = (self.clone(), env.clone());
        env.spawn("watchdog", async move {
            loop {
                for shard in own.shards() {
                    // A shard that hangs never gets to it, and the manager then starts the broker anew.
                    own.spawn_on(shard, "watchdog", async {}).join().await;
                }
                manager.tell("WATCHDOG=1");
                own.sleep(limit / 2).await;
            }
        });
    }

    fn tell(&self, state: &str) {
        if let Some(socket) = &self.socket {
            // A manager that takes nothing cannot be helped.
            let _ = socket.send(state.as_bytes());
        }
    }
}

fn connect(address: &str) -> Option<Arc<UnixDatagram>> {
    let socket = UnixDatagram::unbound().ok()?;
    socket.set_nonblocking(true).ok()?;
    let address = match address.strip_prefix('@') {
        Some(name) => abstract_address(name)?,
        None => SocketAddr::from_pathname(address).ok()?,
    };
    socket.connect_addr(&address).ok()?;
    Some(Arc::new(socket))
}

#[cfg(target_os = "linux")]
fn abstract_address(name: &str) -> Option<SocketAddr> {
    <SocketAddr as std::os::linux::net::SocketAddrExt>::from_abstract_name(name).ok()
}

/// Other systems have no such names.
#[cfg(not(target_os = "linux"))]
fn abstract_address(_: &str) -> Option<SocketAddr> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn received(socket: &UnixDatagram) -> String {
        let mut buffer = [0; 200];
        let length = socket.recv(&mut buffer).unwrap();
        String::from_utf8(buffer[..length].to_vec()).unwrap()
    }

    /// A manager at `address`, and what it hears.
    fn managed(variables: &[(&str, &str)]) -> (ServiceManager, UnixDatagram, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        let manager = ServiceManager::of(|name| match name {
            "NOTIFY_SOCKET" => path.to_str().map(str::to_owned),
            name => variables
                .iter()
                .find(|(other, _)| *other == name)
                .map(|(_, value)| (*value).to_owned()),
        });
        (manager, socket, folder)
    }

    #[test]
    fn the_manager_hears_of_each_state() {
        let (manager, socket, _folder) = managed(&[]);
        manager.ready();
        assert_eq!(received(&socket), "READY=1\nSTATUS=Ready");
        manager.reloading();
        let reloading = received(&socket);
        let time = reloading
            .strip_prefix("RELOADING=1\nMONOTONIC_USEC=")
            .and_then(|rest| rest.strip_suffix("\nSTATUS=Reloading"));
        assert!(
            time.is_some_and(|time| time.parse::<u64>().is_ok_and(|time| time > 0)),
            "{reloading}"
        );
        manager.status("Lame duck");
        assert_eq!(received(&socket), "STATUS=Lame duck");
        manager.stopping();
        assert_eq!(received(&socket), "STOPPING=1\nSTATUS=Stopping");
    }

    #[test]
    fn a_watchdog_counts_when_it_is_for_this_process() {
        let pid = std::process::id().to_string();
        let watchdog = |variables: &[(&str, &str)]| managed(variables).0.watchdog;
        assert_eq!(
            watchdog(&[("WATCHDOG_USEC", "2000")]),
            Some(Duration::from_millis(2))
        );
        let both = [("WATCHDOG_USEC", "2000"), ("WATCHDOG_PID", pid.as_str())];
        assert_eq!(watchdog(&both), Some(Duration::from_millis(2)));
        assert_eq!(
            watchdog(&[("WATCHDOG_USEC", "2000"), ("WATCHDOG_PID", "1")]),
            None
        );
        for text in ["0", "", "x", "-1"] {
            assert_eq!(watchdog(&[("WATCHDOG_USEC", text)]), None, "{text}");
        }
    }

    #[test]
    fn without_a_manager_nothing_is_told() {
        let manager = ServiceManager::of(|name| (name == "WATCHDOG_USEC").then(|| "1000".to_owned()));
        assert!(manager.socket.is_none() && manager.watchdog.is_none());
        manager.ready();
        let nowhere =
            ServiceManager::of(|name| (name == "NOTIFY_SOCKET").then(|| "/nonexistent/x".to_owned()));
        assert!(nowhere.socket.is_none());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_manager_may_have_an_abstract_address() {
        let name = format!("dunlin-test-{}", std::process::id());
        let socket = UnixDatagram::bind_addr(&abstract_address(&name).unwrap()).unwrap();
        let manager =
            ServiceManager::of(|variable| (variable == "NOTIFY_SOCKET").then(|| format!("@{name}")));
        manager.ready();
        assert_eq!(received(&socket), "READY=1\nSTATUS=Ready");
    }
}
