//! Publish to deliver allocates nothing in steady state, counted by the allocator.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll, Waker};

use dunlin_api::config::Config;
use dunlin_api::{
    Broker, Connection, CurrentThread, Env, EnvParts, Logger, MemoryDisk, Registry, SeededRandom,
    ServerIdentity, SimulatedClock, Socket,
};
use dunlin_net::sim::SimWorld;

use crate::sim::host;

const SUBJECTS: usize = 10;
const READS: u64 = 100;

/// A socket that gives prepared bytes as often as it is told to, and swallows what is written, without allocating.
struct Script {
    first: Vec<u8>,
    again: Vec<u8>,
    state: std::sync::Mutex<State>,
    written: AtomicU64,
}

#[derive(Default)]
struct State {
    has_begun: bool,
    reads_left: u64,
    waker: Option<Waker>,
}

impl Script {
    fn new(first: &str, again: &str) -> Arc<Self> {
        Arc::new(Self {
            first: first.into(),
            again: again.into(),
            state: std::sync::Mutex::default(),
            written: AtomicU64::new(0),
        })
    }

    fn allow(&self, reads: u64) {
        let waker = {
            let mut state = self.state.lock().unwrap();
            state.reads_left = reads;
            state.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn is_done(&self) -> bool {
        self.state.lock().unwrap().reads_left == 0
    }
}

impl Socket for Script {
    fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut state = self.state.lock().unwrap();
        if state.reads_left > 0 || !state.has_begun {
            return Poll::Ready(Ok(()));
        }
        state.waker = Some(cx.waker().clone());
        Poll::Pending
    }

    fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut state = self.state.lock().unwrap();
        let bytes = if !std::mem::replace(&mut state.has_begun, true) {
            &self.first
        } else if state.reads_left > 0 {
            state.reads_left -= 1;
            &self.again
        } else {
            return Err(io::ErrorKind::WouldBlock.into());
        };
        buffer[..bytes.len()].copy_from_slice(bytes);
        Ok(bytes.len())
    }

    fn poll_write_ready(&self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn try_write_vectored(&self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        let count = parts.iter().map(|part| part.len()).sum();
        self.written.fetch_add(count as u64, Relaxed);
        Ok(count)
    }

    fn shutdown(&self) {}

    fn peer(&self) -> SocketAddr {
        SocketAddr::new(host(9), 1)
    }
}

fn broker() -> (Broker, Arc<dyn dunlin_api::Listener>) {
    let env = Env::new(EnvParts {
        clock: Box::new(SimulatedClock::new()),
        random: Box::new(SeededRandom::new(1)),
        network: Box::new(SimWorld::new(1).host(host(1))),
        disk: Box::new(MemoryDisk::default()),
        execution: Box::new(CurrentThread::new()),
        logger: Logger::silent(),
    });
    let identity = ServerIdentity {
        id: "N".into(),
        name: "n".into(),
        version: dunlin::NATS_LEVEL,
        xkey: String::new(),
    };
    let mut registry = Registry::new();
    dunlin_builtin::register(&mut registry).unwrap();
    dunlin::assemble(Arc::new(Config::default()), &registry, env, identity).unwrap()
}

fn start(broker: &Broker, listener: &Arc<dyn dunlin_api::Listener>, socket: &Arc<Script>) {
    let (broker, listener, stream) = (broker.clone(), listener.clone(), socket.clone());
    tokio::spawn(async move {
        let shard = broker.env().shards()[0].clone();
        let peer = stream.peer();
        listener
            .session(
                Connection {
                    stream,
                    peer,
                    shard,
                    is_in_process: false,
                },
                &broker,
            )
            .await;
    });
}

async fn settle(publisher: &Script) {
    while !publisher.is_done() {
        tokio::task::yield_now().await;
    }
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
}

#[test]
fn publish_to_deliver_allocates_nothing_in_steady_state() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    let hello = "CONNECT {\"verbose\":false,\"pedantic\":false,\"headers\":true}\r\n";
    let mut batch = String::new();
    for n in 0..SUBJECTS {
        for _ in 0..20 {
            batch.push_str(&format!("PUB s.{n} 16\r\n0123456789abcdef\r\n"));
        }
        batch.push_str(&format!("HPUB s.{n} reply.to 12 14\r\nNATS/1.0\r\n\r\nok\r\n"));
    }
    let publisher = Script::new(hello, &batch);
    let plain = Script::new(&format!("{hello}SUB s.* 1\r\nSUB s.3 2\r\n"), "");
    let workers = Script::new(&format!("{hello}SUB s.> workers 1\r\nSUB s.> workers 2\r\n"), "");
    runtime.block_on(async {
        let (broker, listener) = broker();
        for socket in [&plain, &workers, &publisher] {
            start(&broker, &listener, socket);
        }
        publisher.allow(READS);
        settle(&publisher).await;
    });
    let before = plain.written.load(Relaxed) + workers.written.load(Relaxed);
    // Entering the runtime allocates once, with or without messages.
    let idle = allocation_counter::measure(|| runtime.block_on(settle(&publisher)));
    let counted = allocation_counter::measure(|| {
        runtime.block_on(async {
            publisher.allow(READS);
            settle(&publisher).await;
        });
    });
    let delivered = plain.written.load(Relaxed) + workers.written.load(Relaxed) - before;
    // Two plain receivers of most messages and one worker: the walk really went on.
    assert!(
        delivered > READS * batch.len() as u64,
        "delivered only {delivered} bytes"
    );
    assert_eq!(counted.count_total, idle.count_total, "{counted:?}");
}
