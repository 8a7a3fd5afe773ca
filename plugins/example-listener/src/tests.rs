//! The listener on a simulated network, with the smallest broker that can tell whether it keeps its side.

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use dunlin_api::config::Config;
use dunlin_api::*;
use dunlin_net::sim::{SimWorld, sim_env};
use dunlin_net::{Serving, serve};
use parking_lot::Mutex;

use super::*;

/// One account without permissions; who subscribes where, in a list.
struct SmallBroker {
    env: Env,
    config: Arc<Config>,
    identity: ServerIdentity,
    token: Option<&'static str>,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    interest: Mutex<Vec<Interest>>,
    controls: Mutex<Vec<Arc<dyn SessionControl>>>,
}

struct Interest {
    id: u64,
    filter: FilterBuf,
    sid: Sid,
    receiver: Arc<dyn Deliver>,
}

impl BrokerCore for SmallBroker {
    fn env(&self) -> &Env {
        &self.env
    }

    fn identity(&self) -> &ServerIdentity {
        &self.identity
    }

    fn config(&self) -> Arc<Config> {
        self.config.clone()
    }

    fn auth(&self) -> Arc<dyn AuthProvider> {
        Arc::new(OneToken(self.token))
    }

    fn is_system_account(&self, _: &AccountName) -> bool {
        false
    }

    fn admit(&self) -> Admission {
        Admission::new(self.internal_id(), false, None)
    }

    fn internal_id(&self) -> u64 {
        self.shared.controls.lock().len() as u64
    }

    fn open(&self, request: SessionRequest) -> Result<Session, OpenError> {
        self.shared.controls.lock().push(request.control);
        Ok(Session::new(Box::new(SmallSession {
            id: request.id,
            receiver: request.receiver,
            shared: self.shared.clone(),
        })))
    }
}

/// Everybody, or who knows the token.
struct OneToken(Option<&'static str>);

#[async_trait]
impl AuthProvider for OneToken {
    fn posture(&self) -> AuthPosture {
        self.0.map_or(AuthPosture::open(), |_| AuthPosture::credentials())
    }

    async fn decide(&self, attempt: &LoginAttempt) -> Result<Login, Denied> {
        match self.0 {
            Some(token) if token != attempt.credentials.token.expose() => Err(Denied::Credentials),
            _ => Ok(Login::into_account(AccountName::global())),
        }
    }
}

struct SmallSession {
    id: u64,
    receiver: Arc<dyn Deliver>,
    shared: Arc<Shared>,
}

impl SessionCore for SmallSession {
    fn publish(&mut self, subject: Subject<'_>, messages: &[Message<'_>], turn: &mut Turn, _: Refused<'_>) {
        for interest in self.shared.interest.lock().iter() {
            if matches_any(&[interest.filter.as_filter()], subject) {
                let delivery = Delivery {
                    sid: &interest.sid,
                    subject,
                    messages,
                    quota: None,
                };
                interest.receiver.deliver(&delivery, turn);
            }
        }
    }

    fn subscribe(
        &mut self,
        subject: Subject<'_>,
        _: Option<&QueueName>,
        sid: &Sid,
    ) -> Result<(), SubscribeError> {
        let filter = Filter::try_from(subject).map_err(|_| SubscribeError::InvalidSubject)?;
        self.shared.interest.lock().push(Interest {
            id: self.id,
            filter: filter.to_owned(),
            sid: sid.clone(),
            receiver: self.receiver.clone(),
        });
        Ok(())
    }

    fn unsubscribe(&mut self, sid: &Sid, _: Option<u64>) {
        let id = self.id;
        self.shared
            .interest
            .lock()
            .retain(|interest| interest.id != id || interest.sid != *sid);
    }

    fn set_flags(&mut self, _: SessionFlags) {}

    fn max_payload(&self) -> i64 {
        64
    }

    fn is_over_subscription_limit(&self) -> bool {
        false
    }
}

impl Drop for SmallSession {
    fn drop(&mut self) {
        let id = self.id;
        self.shared.interest.lock().retain(|interest| interest.id != id);
    }
}

/// The listener at work, and how a test reaches the broker behind it.
struct Bench {
    world: SimWorld,
    serving: Serving,
    shared: Arc<Shared>,
    /// Publishes from elsewhere.
    other: Session,
}

const HOST: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
const PEER: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2));

async fn start(token: Option<&'static str>) -> Bench {
    let world = SimWorld::new(1);
    let env = sim_env(1, world.host(HOST), Logger::silent());
    let shared = Arc::new(Shared::default());
    let broker = Broker::new(Arc::new(SmallBroker {
        env: env.clone(),
        config: Arc::new(Config::default()),
        identity: ServerIdentity {
            id: String::new(),
            name: String::new(),
            version: "",
            xkey: String::new(),
        },
        token,
        shared: shared.clone(),
    }));
    let options = LineOptions {
        listen: ListenAddress::parse(":4333").ok(),
        max_line: ByteSize(100),
        max_pending: ByteSize(1000),
    };
    let setup = Setup {
        env: &env,
        config: &Config::default(),
    };
    let listener = LineListener::open(options, &setup).unwrap();
    let serving = serve(Arc::new(listener), broker.clone()).await.unwrap();
    let (inbox, _) = Inbox::new(1);
    let other = broker
        .open_internal("test", AccountName::global(), inbox)
        .unwrap();
    Bench {
        world,
        serving,
        shared,
        other,
    }
}

impl Bench {
    async fn connect(&self) -> Client {
        let (_, address) = self.serving.endpoints()[0];
        Client(self.world.host(PEER).connect(address).await.unwrap())
    }

    /// Whether the last session that was opened is still there.
    fn is_subscribed(&self) -> bool {
        !self.shared.interest.lock().is_empty()
    }
}

struct Client(ByteStream);

impl Client {
    /// Sends everything; the simulated network takes it in pieces of any size.
    async fn send(&self, bytes: &[u8]) {
        outbox::write(self.0.as_ref(), bytes).await.unwrap();
    }

    /// Reads until `expected` has come, which must be all.
    #[track_caller]
    fn expect<'a>(&'a self, expected: &'a str) -> impl Future<Output = ()> + 'a {
        let caller = std::panic::Location::caller();
        async move {
            let mut got = Vec::new();
            while got.len() < expected.len() && self.read(&mut got).await {}
            assert_eq!(String::from_utf8_lossy(&got), expected, "at {caller}");
        }
    }

    /// Reads until the connection ends.
    async fn rest(&self) -> String {
        let mut got = Vec::new();
        while self.read(&mut got).await {}
        String::from_utf8(got).unwrap()
    }

    async fn read(&self, into: &mut Vec<u8>) -> bool {
        let mut buffer = [0; 4096];
        loop {
            if readable(self.0.as_ref()).await.is_err() {
                return false;
            }
            match self.0.try_read(&mut buffer) {
                Ok(count) => {
                    into.extend_from_slice(&buffer[..count]);
                    return count > 0;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => return false,
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_published_reaches_subscribers_until_they_unsubscribe() {
    let bench = start(None).await;
    let client = bench.connect().await;
    client
        .send(b"subscribe greet.*\npublish greet.joe hello you\r\n")
        .await;
    client.expect("ok 1\nmessage greet.joe hello you\nok\n").await;
    client.send(b"subscribe a\npublish a\nunsubscribe 1\n").await;
    client.expect("ok 2\nmessage a \nok\nok\n").await;
    client.send(b"publish greet.joe again\nquit\n").await;
    assert_eq!(client.rest().await, "ok\n");
    assert!(!bench.is_subscribed());
}

#[tokio::test(start_paused = true)]
async fn a_line_may_come_byte_by_byte() {
    let bench = start(None).await;
    let client = bench.connect().await;
    for byte in b"subscribe a\npublish a b\n" {
        client.send(&[*byte]).await;
        tokio::task::yield_now().await;
    }
    client.expect("ok 1\nmessage a b\nok\n").await;
}

#[tokio::test(start_paused = true)]
async fn a_mistake_is_answered_and_the_session_goes_on() {
    let bench = start(None).await;
    let client = bench.connect().await;
    let say = "error say login, publish, subscribe, unsubscribe or quit\n";
    for (line, answer) in [
        (&b"dance\n"[..], say),
        (b"\n", say),
        (b"\0\xff\x80 \x01\n", say),
        (b"publish\n", "error invalid subject: empty\n"),
        (
            b"publish a\rb x\n",
            "error invalid subject: byte 0x0d at offset 1\n",
        ),
        (b"subscribe a..b\n", "error Invalid Subject\n"),
        (b"unsubscribe x\n", "error a number is missing\n"),
        (b"login again\n", "error logged in already\n"),
        (
            b"publish a 123456789 123456789 123456789 123456789 123456789 123456789 12345\n",
            "error text too long\n",
        ),
    ] {
        client.send(line).await;
        client.expect(answer).await;
    }
    client.send(b"subscribe a\n").await;
    client.expect("ok 1\n").await;
}

#[tokio::test(start_paused = true)]
async fn a_message_is_one_line_whatever_is_in_it() {
    let mut bench = start(None).await;
    let client = bench.connect().await;
    client.send(b"subscribe >\n").await;
    client.expect("ok 1\n").await;
    let subject = Subject::from_wire(b"a\rb").unwrap();
    let text = Message::new(b"1\r\nmessage x forged\n");
    bench.other.publish_one(subject, text).unwrap();
    client.expect("message a b 1  message x forged \n").await;
}

#[tokio::test(start_paused = true)]
async fn a_line_without_end_ends_the_session() {
    let bench = start(None).await;
    let client = bench.connect().await;
    client.send(&[b'x'; 101]).await;
    assert_eq!(client.rest().await, "error Maximum Control Line Exceeded\n");
}

#[tokio::test(start_paused = true)]
async fn nothing_is_done_before_the_login() {
    let bench = start(Some("s3cret")).await;
    let client = bench.connect().await;
    client.send(b"login s3cret\nsubscribe a\n").await;
    client.expect("ok\nok 1\n").await;

    let violation = "error Authentication Failure\n";
    for line in [
        &b"login guess\n"[..],
        b"login s3cret x\n",
        b"subscribe a\n",
        b"login\n",
    ] {
        let stranger = bench.connect().await;
        stranger.send(line).await;
        assert_eq!(stranger.rest().await, violation);
    }
    // Time is simulated: it passes when everybody waits.
    let silent = bench.connect().await;
    assert_eq!(silent.rest().await, "error Authentication Timeout\n");
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_does_not_keep_up_is_closed_and_told_why() {
    let mut bench = start(None).await;
    let client = bench.connect().await;
    client.send(b"subscribe a\n").await;
    client.expect("ok 1\n").await;
    let subject = Subject::new(b"a").unwrap();
    // Larger than the queue, but alone in it.
    bench
        .other
        .publish_one(subject, Message::new(&[b'x'; 2000]))
        .unwrap();
    client.expect(&format!("message a {}\n", "x".repeat(2000))).await;
    // The session gets no turn between these, so they have to wait.
    for _ in 0..101 {
        bench.other.publish_one(subject, Message::new(b"")).unwrap();
    }
    assert_eq!(client.rest().await, "error Slow Consumer (Pending Bytes)\n");
    assert!(!bench.is_subscribed());
}

#[tokio::test(start_paused = true)]
async fn the_broker_ends_a_session_whose_peer_does_not_read() {
    let mut bench = start(None).await;
    let client = bench.connect().await;
    client.send(b"subscribe a\n").await;
    client.expect("ok 1\n").await;
    bench.world.partition(HOST, PEER);
    let large = vec![b'x'; 100_000]; // More than the network takes, so the session is in the middle of it.
    let subject = Subject::new(b"a").unwrap();
    bench.other.publish_one(subject, Message::new(&large)).unwrap();
    tokio::task::yield_now().await;

    let control = bench.shared.controls.lock().last().cloned().unwrap();
    control.close(CloseReason::ServerShutdown);
    control.close(CloseReason::Kicked);
    tokio::task::yield_now().await;
    assert!(!bench.is_subscribed());

    bench.world.heal(HOST, PEER);
    let rest = client.rest().await;
    assert_eq!(
        rest.len(),
        "message a \n".len() + large.len() + "error Server Shutdown\n".len()
    );
    assert!(rest.ends_with("x\nerror Server Shutdown\n"));
}
