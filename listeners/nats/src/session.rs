//! The life of one client connection: greet, read in batches, log in, ping, end.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use dunlin_api::config::{Config, print_duration};
use dunlin_api::{
    AccountName, Admission, AuthPosture, Broker, ByteStream, CloseReason, Connection, ConnectionLog, Env,
    Flush, Instant, Session, Shard, Sleep, readable,
};
use dunlin_net::output::Output;
use dunlin_net::{Seat, WaitingRoom};
use dunlin_wire::Connect;
use dunlin_wire::client::{Decoder, DecoderLimits, write};

use crate::batch::Step;
use crate::control::Control;
use crate::info::InfoBase;
use crate::name;
use crate::ping::{Pinger, Tick};
use crate::receiver::Receiver;
use crate::secure::Tls;
use crate::settings;
use crate::trace::Tracer;

/// Pauses of a publisher whose receivers are far behind, how many of them a batch may cost, and from how many on the log
/// tells of them (CORE-71).
const STALL: Duration = Duration::from_millis(2);
const STALLS: u32 = 5;
const TOLD_STALLS: u32 = 3;

/// Rest of an unfinished frame that is copied back in front of the next read; a longer one grows where it is.
const COPIED_CARRY: usize = 32 * 1024;

/// Rest of an unfinished frame that an idle connection may keep without giving its memory back.
const KEPT_CARRY: usize = 4096;

/// Most bytes of one read before login.
const STRANGER_READ: usize = 8 * 1024;

/// Random bytes of a nonce (CORE-14).
const NONCE_BYTES: usize = 11;

/// One client.
pub(crate) struct Client {
    pub(crate) env: Env,
    pub(crate) tracer: Arc<Tracer>,
    pub(crate) broker: Broker,
    pub(crate) shard: Arc<Shard>,
    pub(crate) stream: ByteStream,
    pub(crate) is_in_process: bool,
    /// `None` where the listener has no TLS.
    pub(crate) tls: Option<Tls>,
    pub(crate) output: Arc<Output>,
    pub(crate) receiver: Arc<Receiver>,
    pub(crate) control: Arc<Control>,
    pub(crate) admission: Admission,
    /// As it was when the connection came, or when it last heard of a reload.
    pub(crate) config: Arc<Config>,
    pub(crate) posture: AuthPosture,
    /// Shared with the control once the client may be sent INFO unasked.
    pub(crate) info: Arc<InfoBase>,
    pub(crate) nonce: String,
    /// Shared with the control, which shows what it says.
    pub(crate) connect: Arc<Connect>,
    pub(crate) decoder: Decoder,
    pub(crate) session: Option<Session>,
    /// Until it has said who it is.
    pub(crate) seat: Option<Seat>,
    /// Where its session lives or lived last.
    pub(crate) account: Option<AccountName>,
    /// The user, e.g. `user:joe`; empty when nobody is named.
    pub(crate) user: String,
    pub(crate) is_system: bool,
    /// Whether a stand-in user has taken the place of the first CONNECT (CORE-5).
    pub(crate) stands_in: bool,
    /// How many CONNECTs have come.
    pub(crate) connects: u32,
    /// Whether a PING has been answered after CONNECT; the client may be sent INFO unasked then (CORE-16).
    pub(crate) is_settled: bool,
    pub(crate) pinger: Pinger,
    pub(crate) alarm: Alarm,
    /// The beginning of a frame whose end has not come yet.
    pub(crate) carry: Vec<u8>,
    /// Messages of the batch: each may cost a pause.
    pub(crate) published: u32,
    /// Whether the batch had more than an answer to a ping.
    pub(crate) was_heard: bool,
}

/// What the connection's one timer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Alarm {
    /// Time to think of a ping.
    pub(crate) ping: Instant,
    /// Time to end the connection.
    pub(crate) end: Option<(End, Instant)>,
}

/// Why a connection ends at a time that is known before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// CONNECT must have come (CORE-7).
    Login,
    /// The login ends (AUTH-110).
    Expiry,
    /// The login's limits leave no room for the subscriptions that there are (CORE-41).
    Subscriptions,
}

impl Alarm {
    fn deadline(self) -> Instant {
        self.end.map_or(self.ping, |(_, at)| at.min(self.ping))
    }
}

/// Serves a client until it leaves or must go.
pub(crate) async fn run(mut client: Box<Client>) {
    let reason = client.serve().await;
    client.forget_secured();
    client.output.close(reason);
    let reason = client.output.close_reason().unwrap_or(reason);
    client
        .log()
        .debug(format_args!("Client connection closed: {reason}"));
    // The session goes first: nothing is delivered to a connection that is known to be gone.
    client.session = None;
    let Client { admission, .. } = *client;
    admission.end(reason);
}

impl Client {
    /// A client at its beginning. Boxed: as a local of the session's future it would be there twice, once as an argument.
    pub(crate) fn new(
        connection: Connection,
        broker: &Broker,
        host: &Arc<str>,
        port: u16,
        tls: Option<Tls>,
        room: &Arc<WaitingRoom>,
    ) -> Box<Self> {
        let env = broker.env().clone();
        let config = broker.config();
        let posture = broker.auth().posture();
        let admission = broker.admit();
        let name = name::of_address(connection.stream.peer(), admission.id());
        let log = Arc::new(ConnectionLog::new(env.log().clone(), &name));
        let tracer = Arc::new(Tracer::new(log.clone(), broker.clone()));
        let output = Output::new(
            connection.stream.clone(),
            env.clone(),
            log.clone(),
            connection.shard.clone(),
            admission.slow_watch(),
            settings::output_limits(&config),
        );
        let now = env.now();
        let mut pinger = Pinger::new(config.ping_interval, config.ping_max, now);
        pinger.heard(now);
        let alarm = Alarm {
            ping: pinger.next_tick(now),
            end: posture
                .required
                .then_some((End::Login, now + config.auth_timeout())),
        };
        let info = Arc::new(InfoBase {
            broker: broker.clone(),
            host: host.clone(),
            port,
            headers: !config.no_header_support,
            auth: posture,
            client_id: admission.id(),
            peer: connection.peer,
            tls: tls.as_ref().map(Tls::info).unwrap_or_default(),
        });
        let limits = DecoderLimits {
            control_line: settings::control_line(&config),
            payload: config.max_payload.into(),
            headers: false,
            connect_first: posture.required,
        };
        let mut client = Box::new(Self {
            broker: broker.clone(),
            shard: connection.shard,
            stream: connection.stream,
            is_in_process: connection.is_in_process,
            tls,
            receiver: Arc::new(Receiver::new(&output, env.log().clone(), tracer.clone())),
            control: Arc::new(Control::new(&output, &info, &tracer)),
            tracer,
            output,
            admission,
            posture,
            info,
            nonce: String::new(),
            connect: Arc::new(Connect::before_login()),
            decoder: Decoder::new(limits),
            session: None,
            seat: None,
            account: None,
            user: String::new(),
            is_system: false,
            stands_in: false,
            connects: 0,
            is_settled: false,
            pinger,
            alarm,
            carry: Vec::new(),
            published: 0,
            was_heard: false,
            config,
            env,
        });
        if posture.nonce {
            client.nonce = client.fresh_nonce();
        }
        let most = settings::pending_logins(&client.config);
        client.seat = Some(room.enter(client.control.clone(), most, &client.env));
        client
    }

    pub(crate) fn log(&self) -> &ConnectionLog {
        self.tracer.log()
    }

    fn fresh_nonce(&self) -> String {
        let mut bytes = [0; NONCE_BYTES];
        self.env.fill_secret(&mut bytes);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    async fn serve(&mut self) -> CloseReason {
        self.log().debug(format_args!("Client connection created"));
        let tls = self.tls.clone();
        if tls.as_ref().is_none_or(|tls| !tls.rules.comes_first()) {
            self.greet();
        }
        self.admission.register(self.control.clone());
        if self.admission.is_over_limit() {
            let text = "maximum connections exceeded";
            self.log().error_seldom(text, self.env.now());
            return self.refuse(text, CloseReason::MaxConnectionsExceeded);
        }
        // What most connections do not need is boxed, so that an idle one carries no room for it.
        let begun = match tls {
            Some(tls) => Box::pin(self.secure(tls)).await,
            None if self.config.proxy_protocol => Box::pin(self.hear_proxy()).await.map(drop),
            None => Ok(()),
        };
        if let Err(reason) = begun {
            return reason;
        }
        // Logins are boxed: their state is large, and an idle connection should not carry room for it.
        if !self.posture.required && Box::pin(self.log_in()).await.is_err() {
            return self
                .output
                .close_reason()
                .unwrap_or(CloseReason::AuthenticationViolation);
        }
        if !self.carry.is_empty()
            && let Err(reason) = Box::pin(self.take_early()).await
        {
            return reason;
        }
        let mut timer = std::pin::pin!(self.env.sleep_until(self.alarm.deadline()));
        loop {
            if let Err(reason) = self.wait(timer.as_mut()).await {
                return reason;
            }
            if let Some(reason) = self.output.close_reason() {
                return reason;
            }
        }
    }

    /// What came before the client's own words counts neither as its silence nor as its time to log in.
    pub(crate) fn begin_own_time(&mut self) {
        let now = self.env.now();
        self.alarm.ping = self.pinger.next_tick(now);
        if let Some((End::Login, at)) = &mut self.alarm.end {
            *at = now + self.config.auth_timeout();
        }
    }

    /// A function of its own, so that what INFO is made of does not stay in the session's state.
    pub(crate) fn greet(&self) {
        // Behind a proxy the client's address is not known yet: it would be the proxy's.
        self.send_info(!self.config.proxy_protocol);
    }

    pub(crate) fn send_info(&self, knows_peer: bool) {
        let mut greeting = self.info.greeting(self.config.max_payload.into(), &self.nonce);
        if !knows_peer {
            greeting.client_ip.clear();
        }
        self.output.send(&greeting.info_line());
    }

    /// Waits for bytes or for the timer, and deals with them.
    async fn wait(&mut self, mut timer: Pin<&mut Sleep>) -> Result<(), CloseReason> {
        tokio::select! {
            biased;
            ready = readable(self.stream.as_ref()) => {
                ready.map_err(|_| CloseReason::ReadError)?;
                self.take_batch().await?;
            }
            () = timer.as_mut() => self.ring()?,
        }
        if timer.deadline() != self.alarm.deadline() {
            timer.reset(self.alarm.deadline());
        }
        Ok(())
    }

    /// One read and everything that follows from it.
    async fn take_batch(&mut self) -> Result<(), CloseReason> {
        let step = self.read()?;
        self.work_off(step).await
    }

    /// Deals with what came with the bytes in front of the client's own.
    async fn take_early(&mut self) -> Result<(), CloseReason> {
        let step = self.resume();
        self.work_off(step).await?;
        self.output.close_reason().map_or(Ok(()), Err)
    }

    async fn work_off(&mut self, mut step: Step) -> Result<(), CloseReason> {
        let mut congested = self.take_congested();
        while let Step::LogIn { after_connect } = step {
            // What the batch has appended so far must not wait for a provider's answer.
            self.shard.finish_turn().await;
            Box::pin(self.log_in()).await?;
            if after_connect {
                self.welcome()?;
            } else {
                self.check_subscription_limit();
            }
            step = self.resume();
            congested.append(&mut self.take_congested());
        }
        self.shard.finish_turn().await;
        if !congested.is_empty() && !self.config.no_fast_producer_stall {
            Box::pin(self.wait_for(congested)).await;
        }
        match step {
            Step::Ended(reason) => Err(reason),
            _ => Ok(()),
        }
    }

    fn read(&mut self) -> Result<Step, CloseReason> {
        let shard = self.shard.clone();
        shard.batch(|scratch| {
            let mut carry = std::mem::take(&mut self.carry);
            let is_long = carry.len() > COPIED_CARRY;
            let (kept, wanted) = if is_long {
                let missing = self.decoder.bytes_needed().saturating_sub(carry.len());
                (0, missing.max(COPIED_CARRY))
            } else {
                (carry.len(), usize::MAX)
            };
            // A stranger's bytes may have to wait for a login, and are kept then.
            let wanted = if self.session.is_none() {
                wanted.min(STRANGER_READ)
            } else {
                wanted
            };
            let room = scratch.room().min(wanted);
            let (front, free) = scratch.buffer.split_at_mut(kept);
            if !is_long {
                front.copy_from_slice(&carry);
            }
            let (free, _) = free.split_at_mut(room.min(free.len()));
            let count = match self.stream.try_read(free) {
                Ok(0) => return Err(CloseReason::ClientClosed),
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.carry = carry;
                    return Ok(Step::More);
                }
                Err(_) => return Err(CloseReason::ReadError),
            };
            scratch.turn.note_read(count);
            if is_long {
                // A long frame grows here, as its bytes come, not as they are announced.
                carry.extend_from_slice(scratch.buffer.get(..count).unwrap_or_default());
                let mut input = carry.as_slice();
                let step = self.feed(&mut input, &mut scratch.turn);
                let taken = carry.len() - input.len();
                carry.drain(..taken);
                self.keep(carry);
                return Ok(step);
            }
            let mut input = scratch.buffer.get(..kept + count).unwrap_or_default();
            let step = self.feed(&mut input, &mut scratch.turn);
            carry.clear();
            carry.extend_from_slice(input);
            self.keep(carry);
            Ok(step)
        })
    }

    /// Goes on with the bytes that a login has kept waiting.
    fn resume(&mut self) -> Step {
        let shard = self.shard.clone();
        shard.batch(|scratch| {
            let mut carry = std::mem::take(&mut self.carry);
            let mut input = carry.as_slice();
            let step = self.feed(&mut input, &mut scratch.turn);
            let taken = carry.len() - input.len();
            carry.drain(..taken);
            self.keep(carry);
            step
        })
    }

    fn keep(&mut self, carry: Vec<u8>) {
        self.carry = if carry.is_empty() && carry.capacity() > KEPT_CARRY {
            Vec::new()
        } else {
            carry
        };
    }

    /// The receivers of the batch that are far behind. Taken before the shard's other sessions have their batch.
    fn take_congested(&self) -> Vec<Arc<dyn Flush>> {
        self.shard.batch(|scratch| scratch.turn.take_congested())
    }

    /// Slows this publisher while its receivers are far behind; its own output and the shard go on (CORE-71).
    async fn wait_for(&mut self, mut congested: Vec<Arc<dyn Flush>>) {
        let mut stalls = 0;
        congested.retain(|output| output.is_congested());
        while !congested.is_empty() && stalls < self.published.min(STALLS) {
            congested.iter().for_each(|output| output.note_stall());
            self.env.sleep(STALL).await;
            stalls += 1;
            congested.retain(|output| output.is_congested());
            if !congested.is_empty() {
                let pause = shown(STALL);
                self.log()
                    .debug(format_args!("Timed out of fast producer stall ({pause})"));
            }
        }
        if stalls >= TOLD_STALLS {
            let what = "Producer was stalled for a total of ";
            self.log()
                .warn_seldom(what, &shown(STALL * stalls), self.env.now());
        }
    }

    /// The timer rang.
    fn ring(&mut self) -> Result<(), CloseReason> {
        let now = self.env.now();
        self.take_news();
        if let Some((end, _)) = self.alarm.end.filter(|(_, at)| now >= *at) {
            return Err(self.finish(end));
        }
        if now < self.alarm.ping {
            return Ok(());
        }
        self.log().debug(format_args!("Client Ping Timer"));
        match self.pinger.tick(now) {
            Tick::Skip(silent) => {
                let seconds = (silent + Duration::from_millis(500)).as_secs();
                let ago = shown(Duration::from_secs(seconds));
                self.log().debug(format_args!(
                    "Delaying PING due to remote client data or ping {ago} ago"
                ));
            }
            Tick::Ping => {
                self.tracer.outgoing("PING", b"");
                self.output.send(write::PING);
            }
            Tick::Stale => {
                self.log()
                    .debug(format_args!("Stale Client Connection - Closing"));
                return Err(self.refuse("Stale Connection", CloseReason::StaleConnection));
            }
        }
        self.alarm.ping = self.pinger.next_tick(now);
        Ok(())
    }

    fn finish(&self, end: End) -> CloseReason {
        match end {
            End::Login => self.refuse_quietly("Authentication Timeout", CloseReason::AuthenticationTimeout),
            End::Expiry => {
                self.refuse_quietly("User Authentication Expired", CloseReason::AuthenticationExpired)
            }
            // It was told when the login set its limits (CORE-41).
            End::Subscriptions => CloseReason::MaxSubscriptionsExceeded,
        }
    }

    /// Says why, and closes; the log has it among its debug lines.
    pub(crate) fn refuse_quietly(&self, text: &str, reason: CloseReason) -> CloseReason {
        self.log().debug_seldom(text, self.env.now());
        self.refuse(text, reason)
    }

    /// Says why, and closes.
    pub(crate) fn refuse(&self, text: &str, reason: CloseReason) -> CloseReason {
        self.tell(text);
        self.output.close(reason);
        reason
    }

    /// Sends an error from outside a batch.
    pub(crate) fn tell(&self, text: &str) {
        self.tracer.outgoing("-ERR", text.as_bytes());
        let mut line = Vec::new();
        write::err(&mut line, text.as_bytes());
        self.output.send(&line);
    }
}

/// A duration as the log shows it, at most 292 years.
pub(crate) fn shown(duration: Duration) -> String {
    print_duration(i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX))
}
