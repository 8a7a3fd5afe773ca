//! The accept loop: one for each endpoint of a listener.
//!
//! It runs on the first shard and never reads from a connection: it gives each to the quietest shard, where a task of
//! its own opens and serves it. Connections of the process itself are placed likewise. Knows no protocol. Rules:
//! CORE-13, CORE-80, CORE-81, CORE-87.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use dunlin_api::{
    Acceptor, Broker, ByteStream, Connection, Endpoint, Env, Listener, Shard, Task, system_error,
};
use futures_util::FutureExt as _;
use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot};

use crate::address::host_port;
use crate::pipe::{PipeStream, pipe};

/// First and longest pause after a temporary accept error (CORE-13).
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Connections that are accepted in a row before everybody else on the shard has a turn. A new connection costs some ten
/// times what a message does, so a flood of them must not stand in front of those who are there: it waits in the
/// system's queue.
const IN_A_ROW: u32 = 8;

/// Bytes that a connection of the process itself may hold each way: as much as one read takes.
const PIPE_CAPACITY: usize = 64 * 1024;

/// How long abandoned sessions may take to reach their next await.
const ABANDONED_WAIT: Duration = Duration::from_secs(1);

/// A listener at work. Dropping it stops accepting; its sessions run on.
pub struct Serving {
    host: Host,
    endpoints: Vec<(Endpoint, SocketAddr)>,
    /// Held while they end, so that a second caller of [`Serving::close`] waits as well.
    accepting: tokio::sync::Mutex<Vec<Task>>,
    is_closed: AtomicBool,
}

/// Binds every endpoint of `listener`, and accepts from then on. Callable on any runtime.
///
/// # Errors
/// The first endpoint that cannot be bound, named with its address (CORE-81); none is left bound.
pub async fn serve(listener: Arc<dyn Listener>, broker: Broker) -> io::Result<Serving> {
    let env = broker.env().clone();
    // A socket is driven by the runtime that it is bound on. This must be the one that accepts, not the caller's.
    let (sender, receiver) = oneshot::channel();
    let (binder, on_env) = (listener.clone(), env.clone());
    env.spawn("binding a listener", async move {
        // The caller may have given up; what was bound is then closed again.
        let _ = sender.send(bind_all(binder.as_ref(), &on_env).await);
    });
    let panicked = |_| io::Error::other("the listener panicked while it was bound");
    let bound = receiver.await.map_err(panicked)??;
    let mut serving = serve_in_process(listener, broker);
    let mut accepting = Vec::new();
    for (endpoint, acceptor) in bound {
        let local = acceptor.local();
        let name = host_port(&endpoint.host, local.port());
        env.log().notice(format_args!(
            "Listening for {} connections on {name}",
            endpoint.connections
        ));
        serving.host.listener.bound(&endpoint, local);
        let accept = Accept {
            host: serving.host.clone(),
            connections: endpoint.connections,
        };
        accepting.push(env.spawn("an accept loop", accept.run(acceptor)));
        serving.endpoints.push((endpoint, local));
    }
    serving.accepting = accepting.into();
    Ok(serving)
}

/// Binds nothing: `listener` serves connections of [`Serving::connect_in_process`] alone.
pub fn serve_in_process(listener: Arc<dyn Listener>, broker: Broker) -> Serving {
    Serving {
        host: Host {
            listener,
            broker,
            sessions: Arc::default(),
        },
        endpoints: Vec::new(),
        accepting: tokio::sync::Mutex::default(),
        is_closed: AtomicBool::new(false),
    }
}

async fn bind_all(listener: &dyn Listener, env: &Env) -> io::Result<Vec<(Endpoint, Box<dyn Acceptor>)>> {
    let mut bound = Vec::new();
    for endpoint in listener.endpoints() {
        let acceptor = listener.bind(&endpoint, env).await.map_err(|error| {
            let name = host_port(&endpoint.host, endpoint.port);
            let reason = system_error::reason(&error);
            io::Error::new(
                error.kind(),
                format!("Error listening on port: {name}, {reason:?}"),
            )
        })?;
        bound.push((endpoint, acceptor));
    }
    Ok(bound)
}

impl Serving {
    /// The endpoints with the addresses that they are bound to.
    pub fn endpoints(&self) -> &[(Endpoint, SocketAddr)] {
        &self.endpoints
    }

    /// Opens a connection in memory, and begins its session as if a peer had connected; `None` once closed. Callable on
    /// any runtime.
    pub fn connect_in_process(&self) -> Option<PipeStream> {
        if self.is_closed.load(Relaxed) {
            return None;
        }
        let (socket, stream) = pipe(PIPE_CAPACITY);
        let socket: ByteStream = Arc::new(socket);
        self.host.start(socket.peer(), true, || Ok(socket));
        Some(stream)
    }

    /// Accepts nothing from here on; the sockets are closed when this returns. May be called again, also meanwhile.
    pub async fn close(&self) {
        self.is_closed.store(true, Relaxed);
        let mut accepting = self.accepting.lock().await;
        for task in accepting.iter() {
            task.abort();
        }
        while let Some(task) = accepting.pop() {
            task.join().await;
        }
    }

    /// Waits until every session has ended, and drops those that have not after `grace`. Comes after
    /// [`Serving::close`]: a session that begins meanwhile is waited for as well.
    pub async fn end_sessions(&self, grace: Duration) {
        let (env, sessions) = (self.host.broker.env(), &self.host.sessions);
        let ended = env.timeout(grace, sessions.wait_until_none()).await;
        if ended.is_some() {
            return;
        }
        sessions.abandon();
        // It ends at its next await, which comes soon: nothing in a session may block.
        env.timeout(ABANDONED_WAIT, sessions.wait_until_none()).await;
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        for task in self.accepting.get_mut() {
            task.abort();
        }
    }
}

struct Accept {
    host: Host,
    connections: &'static str,
}

impl Accept {
    async fn run(self, mut acceptor: Box<dyn Acceptor>) {
        let mut pause = FIRST_PAUSE;
        let mut in_a_row = 0;
        loop {
            match acceptor.accept().await {
                Ok(incoming) => {
                    pause = FIRST_PAUSE;
                    let peer = incoming.peer();
                    self.host.start(peer, false, || incoming.open());
                    in_a_row += 1;
                    if in_a_row == IN_A_ROW {
                        in_a_row = 0;
                        tokio::task::yield_now().await;
                    }
                }
                Err(error) => pause = self.rest(&error, pause).await,
            }
        }
    }

    /// Reports an accept error, and waits where it may pass (CORE-13).
    async fn rest(&self, error: &io::Error, pause: Duration) -> Duration {
        let env = self.host.broker.env();
        let word = capitalised(self.connections);
        let reason = system_error::reason(error);
        if !is_temporary(error) {
            env.log().error(format_args!("{word} Accept error: {reason}"));
            // The reference tries again at once; that must not turn into a busy loop.
            env.sleep(FIRST_PAUSE).await;
            return pause;
        }
        let millis = pause.as_millis();
        env.log().error(format_args!(
            "Temporary {word} Accept Error({reason}), sleeping {millis}ms"
        ));
        env.sleep(pause).await;
        (pause * 2).min(LONGEST_PAUSE)
    }
}

/// What runs the sessions of one listener.
#[derive(Clone)]
struct Host {
    listener: Arc<dyn Listener>,
    broker: Broker,
    sessions: Arc<Sessions>,
}

impl Host {
    /// Gives a connection to the shard with the fewest, which opens it and runs its session.
    fn start(
        &self,
        peer: SocketAddr,
        is_in_process: bool,
        open: impl FnOnce() -> io::Result<ByteStream> + Send + 'static,
    ) {
        let env = self.broker.env().clone();
        let shard = env.quietest_shard();
        let residence = shard.enter();
        let (listener, broker) = (self.listener.clone(), self.broker.clone());
        let home = shard.clone();
        self.sessions.start(&env, &shard, async move {
            let _residence = residence;
            let stream = match open() {
                Ok(stream) => stream,
                Err(error) => {
                    return broker
                        .env()
                        .log()
                        .debug(format_args!("{peer} - Error on accept: {error}"));
                }
            };
            listener
                .session(
                    Connection {
                        stream,
                        peer,
                        shard: home,
                        is_in_process,
                    },
                    &broker,
                )
                .await;
        });
    }
}

/// The sessions of one listener that are under way. Touched when one begins and when it ends, not in between.
#[derive(Default)]
struct Sessions {
    running: Mutex<Running>,
    emptied: Notify,
}

#[derive(Default)]
struct Running {
    /// Never used twice: a session may end before its task is noted, and another must not get its place then.
    next_id: u64,
    /// `None` until the task is noted.
    tasks: HashMap<u64, Option<Task>>,
}

/// One session's place; dropped with it, however it ends.
struct Place {
    sessions: Arc<Sessions>,
    id: u64,
}

impl Sessions {
    fn start(self: &Arc<Self>, env: &Env, shard: &Shard, session: impl Future<Output = ()> + Send + 'static) {
        let place = self.enter();
        let id = place.id;
        // Not under the lock: a runtime that is going down drops the session, and its place, inside this call.
        let task = env.spawn_on(shard, "a session", session.map(move |()| drop(place)));
        if let Some(slot) = self.running.lock().tasks.get_mut(&id) {
            *slot = Some(task);
        }
    }

    fn enter(self: &Arc<Self>) -> Place {
        let mut running = self.running.lock();
        let id = running.next_id;
        running.next_id += 1;
        running.tasks.insert(id, None);
        Place {
            sessions: self.clone(),
            id,
        }
    }

    async fn wait_until_none(&self) {
        loop {
            let emptied = self.emptied.notified();
            if self.running.lock().tasks.is_empty() {
                return;
            }
            emptied.await;
        }
    }

    fn abandon(&self) {
        let tasks: Vec<Task> = self
            .running
            .lock()
            .tasks
            .values_mut()
            .filter_map(Option::take)
            .collect();
        for task in tasks {
            task.abort();
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let (task, is_last) = {
            let mut running = self.sessions.running.lock();
            let task = running.tasks.remove(&self.id);
            (task, running.tasks.is_empty())
        };
        drop(task);
        if is_last {
            self.sessions.emptied.notify_waiters();
        }
    }
}

/// Errors that pass by themselves: a connection that ended early, or no descriptor or memory left for now.
fn is_temporary(error: &io::Error) -> bool {
    const SHORTAGES: [i32; 3] = [
        23,                                               // ENFILE
        24,                                               // EMFILE
        if cfg!(target_os = "linux") { 105 } else { 55 }, // ENOBUFS
    ];
    system_code(error).is_some_and(|code| SHORTAGES.contains(&code))
        || matches!(
            error.kind(),
            io::ErrorKind::ConnectionAborted
                | io::ErrorKind::ConnectionReset
                | io::ErrorKind::Interrupted
                | io::ErrorKind::OutOfMemory
        )
}

/// The system's number of an error, or of the one that it wraps.
fn system_code(error: &io::Error) -> Option<i32> {
    error.raw_os_error().or_else(|| {
        let source = error.get_ref()?.source()?;
        source.downcast_ref::<io::Error>()?.raw_os_error()
    })
}

fn capitalised(word: &str) -> String {
    let mut letters = word.chars();
    letters
        .next()
        .map(|first| first.to_uppercase().chain(letters).collect())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests;
