//! The flush protocol under every interleaving that the model checker finds: appenders, flushers and a closing thread
//! share one queue, whose code is the product's own; only the lock is the checker's.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::io::{self, IoSlice};

use dunlin_api::{ChunkPool, CloseReason};
use dunlin_net::output::{FlushEnd, Queue, Shared, flush, resume};
use shuttle::rand::Rng;
use shuttle::sync::{Arc, Mutex};
use shuttle::thread;

const APPENDERS: u8 = 3;
const MESSAGES: u8 = 3;

struct Locked(Mutex<Queue>);

impl Shared for Locked {
    fn with<R>(&self, work: impl FnOnce(&mut Queue) -> R) -> R {
        work(&mut self.0.lock().unwrap())
    }
}

/// A socket that takes what it likes, and notices a second writer.
#[derive(Default)]
struct Socket {
    state: Mutex<SocketState>,
}

#[derive(Default)]
struct SocketState {
    is_busy: bool,
    is_shut: bool,
    taken: Vec<u8>,
}

impl Socket {
    fn write(&self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        self.enter();
        // A place where another thread may run, were it allowed to write.
        thread::yield_now();
        let bytes: Vec<u8> = parts.iter().flat_map(|part| part.iter().copied()).collect();
        let count = match shuttle::rand::thread_rng().gen_range(0..4) {
            0 => 0,
            1 => bytes.len().min(1),
            2 => bytes.len() / 2,
            _ => bytes.len(),
        };
        let mut state = self.state.lock().unwrap();
        state.is_busy = false;
        if count == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        state.taken.extend_from_slice(&bytes[..count]);
        Ok(count)
    }

    fn enter(&self) {
        let mut state = self.state.lock().unwrap();
        assert!(!state.is_busy, "two threads write at once");
        assert!(!state.is_shut, "written after the end");
        state.is_busy = true;
    }

    fn shut(&self) {
        let mut state = self.state.lock().unwrap();
        assert!(!state.is_busy, "shut down under a writer");
        assert!(!state.is_shut, "shut down twice");
        state.is_shut = true;
    }
}

struct World {
    queue: Locked,
    socket: Socket,
}

impl World {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            queue: Locked(Mutex::new(Queue::default())),
            socket: Socket::default(),
        })
    }

    fn append(&self, message: &[u8]) {
        self.queue.with(|queue| {
            if queue.close_reason().is_none() {
                queue.put(message, &mut ChunkPool::default());
            }
        });
    }

    /// As `Output` does it: whoever is pushed back passes the place on to a writer.
    fn flush(self: &Arc<Self>) {
        let end = flush(&self.queue, &mut ChunkPool::default(), |parts| {
            self.socket.write(parts)
        });
        match end {
            FlushEnd::Done => {}
            FlushEnd::Shut => self.socket.shut(),
            FlushEnd::Failed(error) => panic!("{error}"),
            FlushEnd::Blocked(_) => {
                let world = self.clone();
                thread::spawn(move || world.drain()).join().unwrap();
            }
        }
    }

    fn drain(&self) {
        loop {
            thread::yield_now();
            match resume(&self.queue, &mut ChunkPool::default(), |parts| {
                self.socket.write(parts)
            }) {
                FlushEnd::Blocked(_) => {}
                FlushEnd::Shut => return self.socket.shut(),
                FlushEnd::Done => return,
                FlushEnd::Failed(error) => panic!("{error}"),
            }
        }
    }
}

/// Every message is `id number id number`: torn or crossed ones are seen.
fn appender(world: Arc<World>, id: u8) {
    for number in 0..MESSAGES {
        world.append(&[id, number, id, number]);
        if number % 2 == 0 {
            world.flush();
        }
    }
    world.flush();
}

fn run_appenders(world: &Arc<World>, closer: Option<CloseReason>) {
    let mut threads: Vec<_> = (0..APPENDERS)
        .map(|id| {
            let world = world.clone();
            thread::spawn(move || appender(world, id))
        })
        .collect();
    if let Some(reason) = closer {
        let world = world.clone();
        threads.push(thread::spawn(move || {
            world.queue.with(|queue| queue.close(reason));
            world.flush();
        }));
    }
    for thread in threads {
        thread.join().unwrap();
    }
}

/// Whole messages in each appender's order; returns how many of each came.
fn check_order(taken: &[u8]) -> [u8; APPENDERS as usize] {
    let mut next = [0; APPENDERS as usize];
    assert_eq!(taken.len() % 4, 0, "a torn message: {taken:?}");
    for message in taken.chunks(4) {
        let (id, number) = (message[0], message[1]);
        assert_eq!(message, [id, number, id, number], "crossed bytes: {taken:?}");
        assert_eq!(next[usize::from(id)], number, "out of order: {taken:?}");
        next[usize::from(id)] += 1;
    }
    next
}

const SCHEDULES: usize = 3000;

#[test]
fn every_byte_is_written_once_and_in_order() {
    shuttle::check_pct(
        || {
            let world = World::new();
            run_appenders(&world, None);
            let state = world.socket.state.lock().unwrap();
            assert_eq!(
                check_order(&state.taken),
                [MESSAGES; APPENDERS as usize],
                "bytes are missing"
            );
            assert_eq!(world.queue.with(|queue| queue.pending()), 0);
            assert!(!state.is_shut);
        },
        SCHEDULES,
        3,
    );
}

#[test]
fn a_close_writes_what_was_pending_and_shuts_down_once() {
    shuttle::check_pct(
        || {
            let world = World::new();
            run_appenders(&world, Some(CloseReason::ClientClosed));
            let state = world.socket.state.lock().unwrap();
            check_order(&state.taken);
            assert!(state.is_shut, "never shut down");
            assert_eq!(world.queue.with(|queue| queue.pending()), 0, "left behind");
        },
        SCHEDULES,
        3,
    );
}

#[test]
fn a_close_that_discards_still_shuts_down_once() {
    shuttle::check_pct(
        || {
            let world = World::new();
            run_appenders(&world, Some(CloseReason::SlowConsumerPendingBytes));
            let state = world.socket.state.lock().unwrap();
            assert!(state.is_shut, "never shut down");
            assert_eq!(world.queue.with(|queue| queue.pending()), 0, "left behind");
        },
        SCHEDULES,
        3,
    );
}
