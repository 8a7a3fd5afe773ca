//! The accept loop: one for each endpoint of a listener.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use dunlin_api::{Acceptor, Broker, Connection, Endpoint, Env, Incoming, Listener, Shard, Task};
use parking_lot::Mutex;
use slab::Slab;
use tokio::sync::Notify;

/// First and longest pause after a temporary accept error (CORE-13).
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// A listener at work.
pub struct Serving {
    broker: Broker,
    endpoints: Vec<(Endpoint, SocketAddr)>,
    accepting: Mutex<Vec<Task>>,
    sessions: Arc<Sessions>,
}

/// Binds every endpoint of `listener`, and accepts from then on.
///
/// # Errors
/// The first endpoint that cannot be bound, named with its address (CORE-81); none is left bound.
pub async fn serve(listener: Arc<dyn Listener>, broker: Broker) -> io::Result<Serving> {
    let env = broker.env().clone();
    let mut bound = Vec::new();
    for endpoint in listener.endpoints() {
        let name = host_port(&endpoint.host, endpoint.port);
        let acceptor = listener.bind(&endpoint, &env).await.map_err(|error| {
            io::Error::new(
                error.kind(),
                format!("Error listening on port: {name}, {:?}", error.to_string()),
            )
        })?;
        bound.push((endpoint, acceptor));
    }
    let sessions = Arc::new(Sessions::default());
    let mut serving = Serving {
        broker: broker.clone(),
        endpoints: Vec::new(),
        accepting: Mutex::default(),
        sessions: sessions.clone(),
    };
    for (endpoint, acceptor) in bound {
        let local = acceptor.local();
        listener.bound(&endpoint, local);
        let name = host_port(&endpoint.host, local.port());
        env.log().notice(format_args!(
            "Listening for {} connections on {name}",
            endpoint.connections
        ));
        let accept = Accept {
            listener: listener.clone(),
            broker: broker.clone(),
            sessions: sessions.clone(),
            connections: endpoint.connections,
        };
        serving
            .accepting
            .lock()
            .push(env.spawn("accept loop", accept.run(acceptor)));
        serving.endpoints.push((endpoint, local));
    }
    Ok(serving)
}

impl Serving {
    /// The endpoints with the addresses that they are bound to.
    pub fn endpoints(&self) -> &[(Endpoint, SocketAddr)] {
        &self.endpoints
    }

    /// Accepts nothing from here on; the sockets are closed when this returns.
    pub async fn close(&self) {
        let accepting = std::mem::take(&mut *self.accepting.lock());
        for task in accepting {
            task.abort();
            task.join().await;
        }
    }

    /// Waits until every session has ended, and drops those that have not after `grace`.
    pub async fn end_sessions(&self, grace: Duration) {
        if self
            .broker
            .env()
            .timeout(grace, self.sessions.wait_until_none())
            .await
            .is_some()
        {
            return;
        }
        self.sessions.abandon();
        // An abandoned session ends at its next await, which comes soon: nothing in it may block.
        self.broker
            .env()
            .timeout(grace, self.sessions.wait_until_none())
            .await;
    }
}

struct Accept {
    listener: Arc<dyn Listener>,
    broker: Broker,
    sessions: Arc<Sessions>,
    connections: &'static str,
}

impl Accept {
    async fn run(self, mut acceptor: Box<dyn Acceptor>) {
        let mut pause = FIRST_PAUSE;
        loop {
            match acceptor.accept().await {
                Ok(incoming) => {
                    pause = FIRST_PAUSE;
                    self.start(incoming);
                }
                Err(error) => pause = self.rest(&error, pause).await,
            }
        }
    }

    /// Reports an accept error, and waits where it may pass (CORE-13).
    async fn rest(&self, error: &io::Error, pause: Duration) -> Duration {
        let env = self.broker.env();
        let word = capitalised(self.connections);
        if !is_temporary(error) {
            env.log().error(format_args!("{word} Accept error: {error}"));
            // Whatever it is, it must not turn into a busy loop.
            env.sleep(FIRST_PAUSE).await;
            return pause;
        }
        let millis = pause.as_millis();
        env.log().error(format_args!(
            "Temporary {word} Accept Error({error}), sleeping {millis}ms"
        ));
        env.sleep(pause).await;
        (pause * 2).min(LONGEST_PAUSE)
    }

    /// Gives a connection to the shard with the fewest, which opens it and runs its session.
    fn start(&self, incoming: Box<dyn Incoming>) {
        let env = self.broker.env().clone();
        let shard = env.quietest_shard();
        let residence = shard.enter();
        let (listener, broker) = (self.listener.clone(), self.broker.clone());
        let home = shard.clone();
        self.sessions.clone().start(&env, &shard, async move {
            let _residence = residence;
            let peer = incoming.peer();
            let stream = match incoming.open() {
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
    /// `None` for the moment between a place and its task.
    tasks: Mutex<Slab<Option<Task>>>,
    emptied: Notify,
}

/// One session's place; dropped with it, however it ends.
struct Place {
    sessions: Arc<Sessions>,
    key: usize,
}

impl Sessions {
    fn start(self: Arc<Self>, env: &Env, shard: &Shard, session: impl Future<Output = ()> + Send + 'static) {
        // Held until the task is in its place: a session that ends at once waits here to leave it.
        let mut tasks = self.tasks.lock();
        let key = tasks.insert(None);
        let place = Place {
            sessions: self.clone(),
            key,
        };
        let task = env.spawn_on(shard, "a session", async move {
            let _place = place;
            session.await;
        });
        if let Some(slot) = tasks.get_mut(key) {
            *slot = Some(task);
        }
    }

    async fn wait_until_none(&self) {
        loop {
            let emptied = self.emptied.notified();
            if self.tasks.lock().is_empty() {
                return;
            }
            emptied.await;
        }
    }

    fn abandon(&self) {
        for task in self.tasks.lock().iter().filter_map(|(_, task)| task.as_ref()) {
            task.abort();
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut tasks = self.sessions.tasks.lock();
        tasks.try_remove(self.key);
        if tasks.is_empty() {
            self.sessions.emptied.notify_waiters();
        }
    }
}

/// Errors that pass by themselves: a connection that ended early, or no descriptor or memory left for now.
fn is_temporary(error: &io::Error) -> bool {
    const NO_DESCRIPTOR: [i32; 2] = [23, 24]; // ENFILE, EMFILE
    const NO_MEMORY: [i32; 2] = [12, 105]; // ENOMEM, ENOBUFS
    let is_shortage = error
        .raw_os_error()
        .is_some_and(|code| NO_DESCRIPTOR.contains(&code) || NO_MEMORY.contains(&code));
    is_shortage
        || matches!(
            error.kind(),
            io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::Interrupted
        )
}

fn capitalised(word: &str) -> String {
    let mut letters = word.chars();
    letters
        .next()
        .map(|first| first.to_uppercase().chain(letters).collect())
        .unwrap_or_default()
}

fn host_port(host: &str, port: u16) -> String {
    if host.contains(':') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    }
}
