//! Hosts, listeners and what lies between them.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Weak};

use async_trait::async_trait;
use dunlin_api::{Acceptor, ByteStream, Incoming, Network, Rng};
use parking_lot::Mutex;
use tokio::sync::{mpsc, watch};

use super::connection::{Connection, Side, SimSocket};
use super::link::LinkRules;

/// First port given out where none is asked for.
const FIRST_PORT: u16 = 20_000;

/// Connections that wait to be accepted.
const BACKLOG: usize = 1024;

/// Everything that is connected, and the rules between hosts. Clones share it.
#[derive(Clone)]
pub struct SimWorld(Arc<World>);

struct World {
    state: Mutex<State>,
    /// Changes whenever a partition begins or heals.
    cuts: watch::Sender<HashMap<Pair, Cut>>,
}

struct State {
    rng: Rng,
    next_port: u16,
    listeners: HashMap<SocketAddr, mpsc::Sender<SimIncoming>>,
    links: HashMap<Pair, LinkRules>,
    connections: Vec<(Pair, Weak<Connection>)>,
    /// Length of `connections` at which those that are gone are next removed.
    sweep_at: usize,
}

/// Two hosts, the lesser address first.
type Pair = (IpAddr, IpAddr);

/// What a partition does to those who connect; bytes stall in either case.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Cut {
    Silent,
    Refusing,
}

/// The network as one host sees it. Clones are the same host.
///
/// Wildcard and loopback addresses mean the host itself, so its listeners are bound to its own address; others are
/// not available to it. There are no names.
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
            connections: Vec::new(),
            sweep_at: 64,
        };
        Self(Arc::new(World {
            state: Mutex::new(state),
            cuts: watch::Sender::new(HashMap::new()),
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

    /// Stops everything between two hosts, also what is on its way; connecting waits.
    pub fn partition(&self, a: IpAddr, b: IpAddr) {
        self.cut(a, b, Cut::Silent);
    }

    /// [`SimWorld::partition`], but connecting is refused at once, as by a firewall that says so.
    pub fn partition_refusing(&self, a: IpAddr, b: IpAddr) {
        self.cut(a, b, Cut::Refusing);
    }

    /// Lets everything flow again, in order and with nothing lost.
    pub fn heal(&self, a: IpAddr, b: IpAddr) {
        self.0
            .cuts
            .send_if_modified(|cuts| cuts.remove(&pair(a, b)).is_some());
    }

    /// Resets every connection of a host: both ends see it at once, through partitions as well.
    pub fn reset_all(&self, ip: IpAddr) {
        let mut state = self.0.state.lock();
        state.sweep();
        for ((a, b), connection) in &state.connections {
            if (*a == ip || *b == ip)
                && let Some(connection) = connection.upgrade()
            {
                connection.reset();
            }
        }
    }

    fn cut(&self, a: IpAddr, b: IpAddr, cut: Cut) {
        self.0
            .cuts
            .send_if_modified(|cuts| cuts.insert(pair(a, b), cut) != Some(cut));
    }

    fn refuses(&self, a: IpAddr, b: IpAddr) -> bool {
        self.0.cuts.borrow().get(&pair(a, b)) == Some(&Cut::Refusing)
    }

    async fn wait_for_way(&self, a: IpAddr, b: IpAddr) {
        let mut cuts = self.0.cuts.subscribe();
        // The sender lives in `self`, so an error cannot be.
        let _ = cuts.wait_for(|cuts| !cuts.contains_key(&pair(a, b))).await;
    }

    /// Takes as long as a part of the handshake takes, and waits where there is no way.
    async fn travel(&self, a: IpAddr, b: IpAddr) {
        let delay = {
            let mut state = self.0.state.lock();
            let rules = state.rules(a, b);
            rules.draw_delay(&mut state.rng)
        };
        tokio::time::sleep(delay).await;
        self.wait_for_way(a, b).await;
    }

    /// Joins two hosts, and moves what each side sends: a task for each lane, so that order follows from its one loop.
    fn join(&self, client: IpAddr, server: IpAddr) -> Arc<Connection> {
        let connection = {
            let mut state = self.0.state.lock();
            let rng = Rng::seeded(state.rng.bits());
            let connection = Connection::new(state.rules(client, server), rng);
            if state.connections.len() >= state.sweep_at {
                state.sweep();
            }
            let entry = (pair(client, server), Arc::downgrade(&connection));
            state.connections.push(entry);
            connection
        };
        for lane in [Side::Client, Side::Server] {
            let (world, connection) = (self.clone(), connection.clone());
            tokio::spawn(async move {
                while let Some(due) = connection.next_due(lane).await {
                    tokio::time::sleep_until(due).await;
                    world.wait_for_way(client, server).await;
                    connection.deliver(lane);
                }
            });
        }
        connection
    }
}

impl State {
    fn rules(&self, a: IpAddr, b: IpAddr) -> LinkRules {
        self.links.get(&pair(a, b)).copied().unwrap_or_default()
    }

    /// A port that nobody listens on at `ip`.
    fn free_port(&mut self, ip: IpAddr) -> io::Result<u16> {
        for _ in FIRST_PORT..=u16::MAX {
            let port = self.next_port;
            self.next_port = port.checked_add(1).unwrap_or(FIRST_PORT);
            if !self.is_taken(SocketAddr::new(ip, port)) {
                return Ok(port);
            }
        }
        Err(io::ErrorKind::AddrInUse.into())
    }

    fn is_taken(&self, address: SocketAddr) -> bool {
        let listener = self.listeners.get(&address);
        listener.is_some_and(|listener| !listener.is_closed())
    }

    /// Forgets connections that are gone.
    fn sweep(&mut self) {
        self.connections
            .retain(|(_, connection)| connection.strong_count() > 0);
        self.sweep_at = 64 + 2 * self.connections.len();
    }
}

fn pair(a: IpAddr, b: IpAddr) -> Pair {
    if a <= b { (a, b) } else { (b, a) }
}

impl SimNetwork {
    /// The address itself, or the host's own for a wildcard and loopback.
    fn own(&self, ip: IpAddr) -> IpAddr {
        if ip.is_unspecified() || ip.is_loopback() {
            self.ip
        } else {
            ip
        }
    }
}

#[async_trait]
impl Network for SimNetwork {
    fn interfaces(&self) -> Vec<IpAddr> {
        vec![self.ip]
    }

    async fn bind(&self, address: SocketAddr) -> io::Result<Box<dyn Acceptor>> {
        if self.own(address.ip()) != self.ip {
            return Err(io::ErrorKind::AddrNotAvailable.into());
        }
        let mut state = self.world.0.state.lock();
        let port = match address.port() {
            0 => state.free_port(self.ip)?,
            port => port,
        };
        let local = SocketAddr::new(self.ip, port);
        if state.is_taken(local) {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        let (sender, arrivals) = mpsc::channel(BACKLOG);
        state.listeners.insert(local, sender);
        Ok(Box::new(SimAcceptor { local, arrivals }))
    }

    /// Takes a round trip. The listener sees the connection after half of it.
    async fn connect(&self, address: SocketAddr) -> io::Result<ByteStream> {
        let (world, client, server) = (&self.world, self.ip, self.own(address.ip()));
        let address = SocketAddr::new(server, address.port());
        if world.refuses(client, server) {
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        world.travel(client, server).await;
        let (listener, port) = {
            let mut state = world.0.state.lock();
            (state.listeners.get(&address).cloned(), state.free_port(client)?)
        };
        // A full backlog lets the peer wait, as dropped and repeated handshakes do.
        let place = match &listener {
            Some(listener) => listener.reserve().await.ok(),
            None => None,
        };
        let Some(place) = place else {
            world.travel(client, server).await;
            return Err(io::ErrorKind::ConnectionRefused.into());
        };
        let connection = world.join(client, server);
        let peer = SocketAddr::new(client, port);
        let end = SimSocket::new(connection.clone(), Side::Server, peer);
        place.send(SimIncoming { peer, stream: end });
        let own = SimSocket::new(connection, Side::Client, address);
        world.travel(client, server).await;
        Ok(Arc::new(own))
    }

    async fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        let address = match host {
            "localhost" => Ok(self.ip),
            literal => literal.parse(),
        };
        address.map(|ip| vec![ip]).map_err(|_| {
            let text = format!("lookup {host}: no such host");
            io::Error::new(io::ErrorKind::NotFound, text)
        })
    }
}

struct SimAcceptor {
    local: SocketAddr,
    arrivals: mpsc::Receiver<SimIncoming>,
}

#[async_trait]
impl Acceptor for SimAcceptor {
    async fn accept(&mut self) -> io::Result<Box<dyn Incoming>> {
        // The world keeps a sender for as long as nobody else listens here, so there is always a next one.
        let arrival = self.arrivals.recv().await.ok_or(io::ErrorKind::NotConnected)?;
        Ok(Box::new(arrival))
    }

    fn local(&self) -> SocketAddr {
        self.local
    }
}

struct SimIncoming {
    peer: SocketAddr,
    stream: SimSocket,
}

impl Incoming for SimIncoming {
    fn peer(&self) -> SocketAddr {
        self.peer
    }

    fn open(self: Box<Self>) -> io::Result<ByteStream> {
        Ok(Arc::new(self.stream))
    }
}
