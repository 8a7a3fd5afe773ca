//! Hosts, listeners and connections.

use std::collections::{HashMap, HashSet};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use async_trait::async_trait;
use dunlin_api::{Acceptor, ByteStream, Incoming, Network, Rng};
use parking_lot::Mutex;
use tokio::sync::{mpsc, watch};

use super::link::LinkRules;
use super::socket::{Pipe, SimSocket};

/// First port given out where none is asked for.
const FIRST_PORT: u16 = 20_000;

/// Connections that wait to be accepted.
const BACKLOG: usize = 1024;

/// Everything that is connected, and the rules between hosts.
#[derive(Clone)]
pub struct SimWorld(Arc<World>);

struct World {
    state: Mutex<State>,
    /// Changes whenever a partition begins or heals.
    partitions: watch::Sender<HashSet<(IpAddr, IpAddr)>>,
}

struct State {
    rng: Rng,
    next_port: u16,
    listeners: HashMap<SocketAddr, mpsc::Sender<SimIncoming>>,
    links: HashMap<(IpAddr, IpAddr), LinkRules>,
    pipes: Vec<((IpAddr, IpAddr), std::sync::Weak<Pipe>)>,
}

/// The network as one host sees it.
#[derive(Clone)]
pub struct SimNetwork {
    world: SimWorld,
    ip: IpAddr,
}

impl SimWorld {
    /// An empty world whose every choice follows from `seed`.
    pub fn new(seed: u64) -> Self {
        let state = State {
            rng: Rng::seeded(seed),
            next_port: FIRST_PORT,
            listeners: HashMap::new(),
            links: HashMap::new(),
            pipes: Vec::new(),
        };
        Self(Arc::new(World {
            state: Mutex::new(state),
            partitions: watch::Sender::new(HashSet::new()),
        }))
    }

    /// The host at `ip`.
    pub fn host(&self, ip: IpAddr) -> SimNetwork {
        SimNetwork {
            world: self.clone(),
            ip,
        }
    }

    /// Sets the rules between two hosts, for connections made from now on.
    pub fn link(&self, a: IpAddr, b: IpAddr, rules: LinkRules) {
        self.0.state.lock().links.insert(pair(a, b), rules);
    }

    /// Stops every byte between two hosts, those under way included; connecting waits.
    pub fn partition(&self, a: IpAddr, b: IpAddr) {
        self.0.partitions.send_if_modified(|cut| cut.insert(pair(a, b)));
    }

    /// Lets bytes flow again, in order and with nothing lost.
    pub fn heal(&self, a: IpAddr, b: IpAddr) {
        self.0.partitions.send_if_modified(|cut| cut.remove(&pair(a, b)));
    }

    /// Resets every connection of a host: both ends see it at once.
    pub fn reset_all(&self, ip: IpAddr) {
        let mut state = self.0.state.lock();
        state.pipes.retain(|(_, pipe)| pipe.strong_count() > 0);
        for ((a, b), pipe) in &state.pipes {
            if (*a == ip || *b == ip)
                && let Some(pipe) = pipe.upgrade()
            {
                pipe.reset();
            }
        }
    }

    async fn wait_for_way(&self, a: IpAddr, b: IpAddr) {
        // The sender lives in `self`, so an error cannot be.
        let _ = self
            .0
            .partitions
            .subscribe()
            .wait_for(|cut| !cut.contains(&pair(a, b)))
            .await;
    }

    fn pipe(&self, a: IpAddr, b: IpAddr) -> Arc<Pipe> {
        let mut state = self.0.state.lock();
        let rules = state.links.get(&pair(a, b)).copied().unwrap_or_default();
        let seed = state.rng.bits();
        let pipe = Pipe::new(rules, Rng::seeded(seed));
        state.pipes.push((pair(a, b), Arc::downgrade(&pipe)));
        pipe
    }

    /// Moves a pipe's bytes to their reader: a task of its own, so that order follows from its one loop.
    fn carry(&self, pipe: &Arc<Pipe>, a: IpAddr, b: IpAddr) {
        let (world, pipe) = (self.clone(), pipe.clone());
        tokio::spawn(async move {
            while let Some(due) = pipe.next_due().await {
                tokio::time::sleep_until(due).await;
                world.wait_for_way(a, b).await;
                pipe.deliver();
            }
        });
    }
}

fn pair(a: IpAddr, b: IpAddr) -> (IpAddr, IpAddr) {
    if a <= b { (a, b) } else { (b, a) }
}

#[async_trait]
impl Network for SimNetwork {
    async fn bind(&self, address: SocketAddr) -> io::Result<Box<dyn Acceptor>> {
        let mut state = self.world.0.state.lock();
        let ip = if address.ip().is_unspecified() {
            self.ip
        } else {
            address.ip()
        };
        let port = match address.port() {
            0 => {
                state.next_port += 1;
                state.next_port
            }
            port => port,
        };
        let local = SocketAddr::new(ip, port);
        if state
            .listeners
            .get(&local)
            .is_some_and(|listener| !listener.is_closed())
        {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        let (sender, arrivals) = mpsc::channel(BACKLOG);
        state.listeners.insert(local, sender);
        Ok(Box::new(SimAcceptor { local, arrivals }))
    }

    async fn connect(&self, address: SocketAddr) -> io::Result<ByteStream> {
        let ip = if address.ip().is_unspecified() {
            self.ip
        } else {
            address.ip()
        };
        let address = SocketAddr::new(ip, address.port());
        self.world.wait_for_way(self.ip, ip).await;
        let (out, back) = (self.world.pipe(self.ip, ip), self.world.pipe(self.ip, ip));
        let (listener, port) = {
            let mut state = self.world.0.state.lock();
            state.next_port = state.next_port.checked_add(1).unwrap_or(FIRST_PORT);
            (state.listeners.get(&address).cloned(), state.next_port)
        };
        let listener = listener.ok_or(io::ErrorKind::ConnectionRefused)?;
        let peer = SocketAddr::new(self.ip, port);
        let server = Arc::new(SimSocket::new(peer, out.clone(), back.clone()));
        let arrival = SimIncoming { peer, stream: server };
        listener
            .send(arrival)
            .await
            .map_err(|_| io::ErrorKind::ConnectionRefused)?;
        self.world.carry(&out, self.ip, ip);
        self.world.carry(&back, self.ip, ip);
        Ok(Arc::new(SimSocket::new(address, back, out)))
    }

    async fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        // A simulated world has no names; everything is at the host itself.
        Ok(vec![host.parse().unwrap_or(self.ip)])
    }
}

struct SimAcceptor {
    local: SocketAddr,
    arrivals: mpsc::Receiver<SimIncoming>,
}

#[async_trait]
impl Acceptor for SimAcceptor {
    async fn accept(&mut self) -> io::Result<Box<dyn Incoming>> {
        let arrival = self.arrivals.recv().await.ok_or(io::ErrorKind::NotConnected)?;
        Ok(Box::new(arrival))
    }

    fn local(&self) -> SocketAddr {
        self.local
    }
}

struct SimIncoming {
    peer: SocketAddr,
    stream: ByteStream,
}

impl Incoming for SimIncoming {
    fn peer(&self) -> SocketAddr {
        self.peer
    }

    fn open(self: Box<Self>) -> io::Result<ByteStream> {
        Ok(self.stream)
    }
}
