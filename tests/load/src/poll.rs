//! Waits for sockets, edge by edge.

use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::event::{Timespec, epoll};

use crate::error::LoadError;

/// An edge that a socket reported.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Edge {
    pub(crate) token: usize,
    pub(crate) readable: bool,
    pub(crate) writable: bool,
}

/// An epoll instance. Registrations last as long as their sockets.
pub(crate) struct Poll {
    epoll: OwnedFd,
    events: Vec<epoll::Event>,
}

/// How many edges one wait returns at most.
const BATCH: usize = 256;

impl Poll {
    pub(crate) fn new() -> Result<Poll, LoadError> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).map_err(LoadError::sys("create epoll"))?;
        Ok(Poll {
            epoll,
            events: Vec::with_capacity(BATCH),
        })
    }

    /// Reports both directions of `stream`, once for each change (edge-triggered): no call is needed to turn interest
    /// on and off.
    pub(crate) fn add(&self, stream: &TcpStream, token: usize) -> Result<(), LoadError> {
        let flags =
            epoll::EventFlags::IN | epoll::EventFlags::OUT | epoll::EventFlags::RDHUP | epoll::EventFlags::ET;
        epoll::add(
            &self.epoll,
            stream,
            epoll::EventData::new_u64(token as u64),
            flags,
        )
        .map_err(LoadError::sys("register a socket"))
    }

    /// Waits until an edge comes or `timeout` is over.
    pub(crate) fn wait(&mut self, timeout: Duration) -> Result<impl Iterator<Item = Edge> + '_, LoadError> {
        let timeout = Timespec {
            tv_sec: i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(timeout.subsec_nanos()),
        };
        self.events.clear();
        match epoll::wait(
            &self.epoll,
            rustix::buffer::spare_capacity(&mut self.events),
            Some(&timeout),
        ) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(LoadError::sys("wait for sockets")(errno)),
        }
        Ok(self.events.iter().map(|event| {
            let flags = event.flags;
            let ended = epoll::EventFlags::RDHUP | epoll::EventFlags::HUP | epoll::EventFlags::ERR;
            Edge {
                token: usize::try_from(event.data.u64()).unwrap_or(usize::MAX),
                readable: flags.intersects(epoll::EventFlags::IN | ended),
                writable: flags.contains(epoll::EventFlags::OUT),
            }
        }))
    }
}
