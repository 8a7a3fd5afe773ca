use std::collections::VecDeque;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use async_trait::async_trait;
use dunlin_api::config::Config;
use dunlin_api::{
    Admission, AuthProvider, BrokerCore, EnvParts, Incoming, Instant, Level, LogSink, Logger, MemoryDisk,
    Network, OpenError, SeededRandom, ServerIdentity, Session, SessionRequest, Shards, SystemClock,
};

use super::*;
use crate::TcpNetwork;
use crate::sim::{SimWorld, sim_env};
use crate::test_streams::{end_of, read, read_all, write_all};

const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
const SERVER: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2));
const EMFILE: i32 = 24;
const EBADF: i32 = 9;

/// What accepting needs of a broker: an environment.
struct TestBroker {
    env: Env,
    identity: ServerIdentity,
}

fn broker(env: &Env) -> Broker {
    let identity = ServerIdentity {
        id: String::new(),
        name: String::new(),
        version: "",
        xkey: String::new(),
    };
    Broker::new(Arc::new(TestBroker {
        env: env.clone(),
        identity,
    }))
}

impl BrokerCore for TestBroker {
    fn env(&self) -> &Env {
        &self.env
    }

    fn identity(&self) -> &ServerIdentity {
        &self.identity
    }

    fn config(&self) -> Arc<Config> {
        Arc::default()
    }

    fn auth(&self) -> Arc<dyn AuthProvider> {
        panic!("accepting asks nobody for a login")
    }

    fn is_system_account(&self, _: &dunlin_api::AccountName) -> bool {
        false
    }

    fn admit(&self) -> Admission {
        Admission::new(1, false, None)
    }

    fn internal_id(&self) -> u64 {
        1
    }

    fn open(&self, _: SessionRequest) -> Result<Session, OpenError> {
        Err(OpenError::ShuttingDown)
    }
}

/// Log lines, as far as they were not taken.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<String>>>);

impl LogSink for Lines {
    fn line(&self, _: Level, text: fmt::Arguments<'_>) {
        self.0.lock().push(text.to_string());
    }
}

impl Lines {
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock())
    }
}

/// Obeys the first byte that it gets: `e` echoes it, `p` panics, `w` waits for the peer's end, `s` stays whatever
/// happens, `t` answers with the number of its thread's shard.
#[derive(Default)]
struct Obedient {
    endpoints: Vec<Endpoint>,
    bound: Mutex<Vec<SocketAddr>>,
    /// What the acceptor does first: fails with a number, or accepts.
    script: Mutex<VecDeque<Option<i32>>>,
}

impl Obedient {
    fn on(ports: &[u16]) -> Self {
        let endpoint = |port: &u16| Endpoint {
            connections: "client",
            host: "0.0.0.0".into(),
            port: *port,
            scheme: "nats",
        };
        Self {
            endpoints: ports.iter().map(endpoint).collect(),
            ..Self::default()
        }
    }

    fn accepting(script: impl IntoIterator<Item = Option<i32>>) -> Self {
        Self {
            script: Mutex::new(script.into_iter().collect()),
            ..Self::on(&[4222])
        }
    }
}

#[async_trait]
impl Listener for Obedient {
    fn endpoints(&self) -> Vec<Endpoint> {
        self.endpoints.clone()
    }

    async fn bind(&self, endpoint: &Endpoint, env: &Env) -> io::Result<Box<dyn Acceptor>> {
        let address = SocketAddr::new(endpoint.host.parse().unwrap(), endpoint.port);
        let inner = env.network().bind(address).await?;
        let script = std::mem::take(&mut *self.script.lock());
        Ok(Box::new(Scripted { script, inner }))
    }

    fn bound(&self, _: &Endpoint, address: SocketAddr) {
        self.bound.lock().push(address);
    }

    async fn session(&self, connection: Connection, _: &Broker) {
        let stream = connection.stream.as_ref();
        let mut order = [0];
        if !matches!(read(stream, &mut order).await, Ok(1)) {
            return;
        }
        match order {
            [b'p'] => panic!("as told"),
            [b'w'] => end_of(stream).await.unwrap(),
            [b's'] => std::future::pending().await,
            [b't'] => {
                let thread = std::thread::current().name().unwrap_or_default().to_owned();
                assert_eq!(thread, format!("shard-{}", connection.shard.id()));
                write_all(stream, thread.as_bytes()).await;
                end_of(stream).await.unwrap();
            }
            _ => write_all(stream, &order).await,
        }
    }
}

/// Follows its script, and then accepts.
struct Scripted {
    script: VecDeque<Option<i32>>,
    inner: Box<dyn Acceptor>,
}

#[async_trait]
impl Acceptor for Scripted {
    async fn accept(&mut self) -> io::Result<Box<dyn Incoming>> {
        match self.script.pop_front() {
            Some(Some(code)) => Err(io::Error::from_raw_os_error(code)),
            Some(None) | None => self.inner.accept().await,
        }
    }

    fn local(&self) -> SocketAddr {
        self.inner.local()
    }
}

/// A listener at work on a simulated host.
struct Stage {
    world: SimWorld,
    env: Env,
    lines: Lines,
    listener: Arc<Obedient>,
    serving: Serving,
}

impl Stage {
    async fn new(listener: Obedient) -> Self {
        let world = SimWorld::new(1);
        let lines = Lines::default();
        let env = sim_env(1, world.host(SERVER), Logger::new(Arc::new(lines.clone())));
        let listener = Arc::new(listener);
        let serving = serve(listener.clone(), broker(&env)).await.unwrap();
        Self {
            world,
            env,
            lines,
            listener,
            serving,
        }
    }

    async fn connect(&self) -> io::Result<ByteStream> {
        self.world
            .host(CLIENT)
            .connect(SocketAddr::new(SERVER, 4222))
            .await
    }

    /// A connection whose session has its order.
    async fn connected(&self, order: u8) -> ByteStream {
        let stream = self.connect().await.unwrap();
        write_all(stream.as_ref(), &[order]).await;
        stream
    }

    fn sessions(&self) -> usize {
        self.serving.host.sessions.running.lock().tasks.len()
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_that_panics_leaves_the_others_served() {
    let stage = Stage::new(Obedient::on(&[4222])).await;
    let mut streams = Vec::new();
    for n in 0..20 {
        streams.push(stage.connected(if n == 7 { b'p' } else { b'e' }).await);
    }
    for (n, stream) in streams.iter().enumerate() {
        if n != 7 {
            assert_eq!(read_all(stream.as_ref(), 1).await, b"e");
        }
        assert_eq!(end_of(stream.as_ref()).await, Ok(()));
    }
    assert_eq!(stage.env.panics(), 1);
    let later = stage.connected(b'e').await;
    assert_eq!(read_all(later.as_ref(), 1).await, b"e");
}

#[tokio::test(start_paused = true)]
async fn a_session_that_ended_leaves_nothing_behind() {
    let stage = Stage::new(Obedient::on(&[4222])).await;
    for order in [b'e', b'p', b'w'].into_iter().cycle().take(60) {
        let stream = stage.connected(order).await;
        stream.shutdown();
    }
    let waiting = stage.connected(b'w').await;
    stage.env.sleep(Duration::from_secs(1)).await;
    assert_eq!((stage.sessions(), stage.env.quietest_shard().sessions()), (1, 1));
    drop(waiting);
    stage.env.sleep(Duration::from_secs(1)).await;
    assert_eq!((stage.sessions(), stage.env.quietest_shard().sessions()), (0, 0));
}

// CORE-80
#[tokio::test(start_paused = true)]
async fn endpoints_are_announced_with_their_real_ports() {
    let stage = Stage::new(Obedient::on(&[4222, 0])).await;
    let addresses = [4222, 20_000].map(|port| SocketAddr::new(SERVER, port));
    let told: Vec<SocketAddr> = stage.serving.endpoints().iter().map(|(_, at)| *at).collect();
    assert_eq!(told, addresses);
    assert_eq!(*stage.listener.bound.lock(), addresses);
    assert_eq!(
        stage.lines.take(),
        [
            "Listening for client connections on 0.0.0.0:4222",
            "Listening for client connections on 0.0.0.0:20000",
        ]
    );
}

// CORE-81
#[tokio::test(start_paused = true)]
async fn an_endpoint_that_cannot_be_bound_is_named_and_none_stays_bound() {
    let world = SimWorld::new(1);
    let env = sim_env(1, world.host(SERVER), Logger::silent());
    let taken = world.host(SERVER).bind(SocketAddr::new(SERVER, 4223)).await;
    let both = || serve(Arc::new(Obedient::on(&[4222, 4223])), broker(&env));
    let error = both().await.err().unwrap();
    assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    assert_eq!(
        error.to_string(),
        r#"Error listening on port: 0.0.0.0:4223, "address in use""#
    );
    drop(taken);
    both().await.unwrap();
}

// CORE-13 [TestAcceptError]
#[tokio::test(start_paused = true)]
async fn temporary_errors_are_slept_over_longer_and_longer() {
    let stage = Stage::new(Obedient::accepting([Some(EMFILE); 9])).await;
    stage.lines.take();
    let start = Instant::now();
    let stream = stage.connected(b'e').await;
    assert_eq!(read_all(stream.as_ref(), 1).await, b"e");
    let pauses = [10, 20, 40, 80, 160, 320, 640, 1000, 1000];
    assert!(start.elapsed() >= Duration::from_millis(pauses.iter().sum()));
    let expected = pauses
        .map(|millis| format!("Temporary Client Accept Error(too many open files), sleeping {millis}ms"));
    assert_eq!(stage.lines.take(), expected);
}

// CORE-13 [TestAcceptError]
#[tokio::test(start_paused = true)]
async fn other_errors_leave_the_delay_as_it_was() {
    let stage = Stage::new(Obedient::accepting([EMFILE, EBADF, EBADF, EMFILE].map(Some))).await;
    stage.lines.take();
    let stream = stage.connected(b'e').await;
    assert_eq!(read_all(stream.as_ref(), 1).await, b"e");
    assert_eq!(
        stage.lines.take(),
        [
            "Temporary Client Accept Error(too many open files), sleeping 10ms",
            "Client Accept error: bad file descriptor",
            "Client Accept error: bad file descriptor",
            "Temporary Client Accept Error(too many open files), sleeping 20ms",
        ]
    );
}

// CORE-13 [TestAcceptError]
#[tokio::test(start_paused = true)]
async fn a_connection_takes_the_delay_back_to_its_start() {
    let script = [Some(EMFILE), Some(EMFILE), None, Some(EMFILE)];
    let stage = Stage::new(Obedient::accepting(script)).await;
    stage.lines.take();
    for _ in 0..2 {
        let stream = stage.connected(b'e').await;
        assert_eq!(read_all(stream.as_ref(), 1).await, b"e");
    }
    let expected = [10, 20, 10]
        .map(|millis| format!("Temporary Client Accept Error(too many open files), sleeping {millis}ms"));
    assert_eq!(stage.lines.take(), expected);
}

#[test]
fn an_error_that_a_transport_words_itself_is_known_by_its_number() {
    #[derive(Debug, thiserror::Error)]
    #[error("in its own words")]
    struct Worded {
        source: io::Error,
    }
    let worded = |code| {
        let source = io::Error::from_raw_os_error(code);
        io::Error::new(source.kind(), Worded { source })
    };
    assert!(is_temporary(&worded(EMFILE)));
    assert!(!is_temporary(&worded(EBADF)));
}

// CORE-13, CORE-87
#[tokio::test(start_paused = true)]
async fn a_close_interrupts_the_sleep_and_frees_the_port() {
    let stage = Stage::new(Obedient::accepting([Some(EMFILE); 20])).await;
    stage.env.sleep(Duration::from_secs(5)).await;
    let start = Instant::now();
    stage.serving.close().await;
    assert_eq!(start.elapsed(), Duration::ZERO);
    serve(stage.listener.clone(), broker(&stage.env)).await.unwrap();
}

// CORE-87 [TestConcurrentShutdown]
#[tokio::test(start_paused = true)]
async fn whoever_closes_finds_the_port_free_afterwards() {
    let stage = Stage::new(Obedient::on(&[4222])).await;
    let close = || async {
        stage.serving.close().await;
        let port = SocketAddr::new(SERVER, 4222);
        stage.env.network().bind(port).await.map(drop).unwrap();
    };
    tokio::join!(close(), close());
}

#[tokio::test(start_paused = true)]
async fn a_close_leaves_sessions_running() {
    let stage = Stage::new(Obedient::on(&[4222])).await;
    let stream = stage.connect().await.unwrap();
    stage.env.sleep(Duration::from_secs(1)).await;
    stage.serving.close().await;
    assert!(stage.connect().await.is_err());
    write_all(stream.as_ref(), b"e").await;
    assert_eq!(read_all(stream.as_ref(), 1).await, b"e");
}

#[tokio::test(start_paused = true)]
async fn a_listener_that_is_dropped_accepts_nothing_more() {
    let Stage { serving, world, .. } = Stage::new(Obedient::on(&[4222])).await;
    drop(serving);
    tokio::task::yield_now().await;
    let refused = world.host(CLIENT).connect(SocketAddr::new(SERVER, 4222)).await;
    assert_eq!(refused.err().unwrap().kind(), io::ErrorKind::ConnectionRefused);
}

#[tokio::test(start_paused = true)]
async fn ending_sessions_waits_for_the_last_and_no_longer() {
    let stage = Stage::new(Obedient::on(&[4222])).await;
    let streams = [stage.connected(b'w').await, stage.connected(b'w').await];
    stage.env.sleep(Duration::from_secs(1)).await;
    stage.serving.close().await;
    let start = Instant::now();
    let leave = async {
        for stream in streams {
            stage.env.sleep(Duration::from_secs(10)).await;
            stream.shutdown();
        }
    };
    tokio::join!(leave, stage.serving.end_sessions(Duration::from_secs(60)));
    let taken = start.elapsed().as_secs();
    assert_eq!((taken, stage.sessions()), (20, 0));
}

#[tokio::test(start_paused = true)]
async fn a_session_that_stays_is_dropped_after_the_grace() {
    let stage = Stage::new(Obedient::on(&[4222])).await;
    let stubborn = stage.connected(b's').await;
    stage.env.sleep(Duration::from_secs(1)).await;
    stage.serving.close().await;
    let start = Instant::now();
    stage.serving.end_sessions(Duration::from_secs(5)).await;
    assert_eq!((start.elapsed(), stage.sessions()), (Duration::from_secs(5), 0));
    assert_eq!(end_of(stubborn.as_ref()).await, Ok(()));
    assert_eq!(
        (stage.env.panics(), stage.env.quietest_shard().sessions()),
        (0, 0)
    );
}

#[tokio::test(start_paused = true)]
async fn ending_no_sessions_takes_no_time() {
    let stage = Stage::new(Obedient::on(&[4222])).await;
    stage.serving.close().await;
    let start = Instant::now();
    stage.serving.end_sessions(Duration::from_secs(5)).await;
    assert_eq!(start.elapsed(), Duration::ZERO);
}

#[test]
fn a_place_is_free_again_whatever_became_of_its_task() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let sessions = Arc::new(Sessions::default());
    let env = {
        let _inside = runtime.enter();
        sim_env(1, SimWorld::new(1).host(SERVER), Logger::silent())
    };
    // A runtime that is gone drops what it is given, inside the call.
    drop(runtime);
    sessions.start(&env, &env.quietest_shard(), std::future::pending());
    assert_eq!(sessions.running.lock().tasks.len(), 0);
}

#[test]
fn an_ipv6_host_is_written_in_brackets() {
    assert_eq!(host_port("::", 4222), "[::]:4222");
    assert_eq!(host_port("localhost", 4222), "localhost:4222");
}

/// A listener at work on two shards and the machine's network, and its address. It is started on a runtime that
/// drives no sockets and is then gone.
fn serve_on_shards() -> (Env, Serving, SocketAddr) {
    let env = Env::new(EnvParts {
        clock: Box::new(SystemClock),
        random: Box::new(SeededRandom::new(1)),
        network: Box::new(TcpNetwork::new()),
        disk: Box::new(MemoryDisk::default()),
        execution: Box::new(Shards::start(2).unwrap()),
        logger: Logger::silent(),
    });
    let mut listener = Obedient::on(&[0]);
    listener.endpoints[0].host = "127.0.0.1".into();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let serving = runtime.block_on(serve(Arc::new(listener), broker(&env)));
    let serving = serving.unwrap();
    let (_, address) = serving.endpoints()[0];
    (env, serving, address)
}

#[test]
fn connections_are_spread_over_shards_and_served_on_their_threads() {
    let (env, serving, address) = serve_on_shards();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.unwrap().block_on(async {
        let mut on_shard = [0, 0];
        let mut streams = Vec::new();
        for _ in 0..10 {
            let stream = TcpNetwork::new().connect(address).await.unwrap();
            write_all(stream.as_ref(), b"t").await;
            match read_all(stream.as_ref(), 7).await.as_slice() {
                b"shard-0" => on_shard[0] += 1,
                b"shard-1" => on_shard[1] += 1,
                other => panic!("{other:?}"),
            }
            streams.push(stream);
        }
        assert_eq!(on_shard, [5, 5]);
        drop(streams);
        serving.close().await;
        serving.end_sessions(Duration::from_secs(60)).await;
        assert_eq!(env.panics(), 0);
    });
}
