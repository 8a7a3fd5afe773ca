//! The life of one client connection: greet, read in batches, log in, ping, end.

use std::io;
use std::pin::Pin;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use dunlin_api::{
    Admission, AuthPosture, Broker, ByteStream, CloseReason, Connection, Env, Flush, Instant, Session, Shard,
    Sleep, readable,
};
use dunlin_net::output::Output;
use dunlin_net::{Seat, WaitingRoom};
use dunlin_wire::Connect;
use dunlin_wire::client::{Decoder, DecoderLimits, write};

use crate::batch::Step;
use crate::control::Control;
use crate::info::InfoBase;
use crate::ping::{Pinger, Tick};
use crate::receiver::Receiver;
use crate::settings::{self, Settings};

/// Pauses of a publisher whose receivers are far behind, and how many of them a batch may cost (CORE-71).
const STALL: std::time::Duration = std::time::Duration::from_millis(2);
const STALLS: usize = 5;

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
    pub(crate) broker: Broker,
    pub(crate) shard: Arc<Shard>,
    pub(crate) stream: ByteStream,
    pub(crate) output: Arc<Output>,
    pub(crate) receiver: Arc<Receiver>,
    pub(crate) control: Arc<Control>,
    pub(crate) admission: Admission,
    pub(crate) settings: Settings,
    pub(crate) posture: AuthPosture,
    pub(crate) info: InfoBase,
    pub(crate) nonce: String,
    pub(crate) connect: Box<Connect>,
    pub(crate) decoder: Decoder,
    pub(crate) session: Option<Session>,
    /// Until it has said who it is.
    pub(crate) seat: Option<Seat>,
    pub(crate) account: String,
    pub(crate) is_system: bool,
    pub(crate) has_connected: bool,
    /// How many CONNECTs have come.
    pub(crate) connects: u32,
    /// The first PING after CONNECT is answered with a second INFO (CORE-15).
    pub(crate) owes_info: bool,
    pub(crate) pinger: Pinger,
    pub(crate) alarm: Alarm,
    /// The beginning of a frame whose end has not come yet.
    pub(crate) carry: Vec<u8>,
}

/// What the connection's one timer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Alarm {
    /// CONNECT must have come (CORE-7).
    Login(Instant),
    /// Time to think of a ping.
    Ping(Instant),
    /// The login ends (AUTH-110).
    Expiry(Instant, Instant),
}

impl Alarm {
    fn deadline(self) -> Instant {
        match self {
            Self::Login(at) | Self::Ping(at) => at,
            Self::Expiry(end, ping) => end.min(ping),
        }
    }
}

/// Serves a client until it leaves or must go.
pub(crate) async fn run(
    connection: Connection,
    broker: &Broker,
    host: &Arc<str>,
    port: u16,
    room: &Arc<WaitingRoom>,
) {
    let mut client = Client::new(connection, broker, host, port);
    let most = client.settings.pending_logins;
    client.seat = Some(room.enter(client.control.clone(), most, &client.env));
    let reason = client.serve().await;
    client.output.close(reason);
    let reason = client.output.close_reason().unwrap_or(reason);
    // The session goes first: nothing is delivered to a connection that is known to be gone.
    client.session = None;
    client.env.log().debug(format_args!(
        "{} - Client connection closed: {reason}",
        client.name()
    ));
}

impl Client {
    fn new(connection: Connection, broker: &Broker, host: &Arc<str>, port: u16) -> Self {
        let env = broker.env().clone();
        let config = broker.config();
        let settings = Settings::of(&config);
        let (host, port) = settings::advertised(&config, host, port);
        let posture = broker.auth().posture();
        let admission = broker.admit();
        let output = Output::new(
            connection.stream.clone(),
            env.clone(),
            connection.shard.clone(),
            settings.output,
        );
        let now = env.now();
        let mut pinger = Pinger::new(settings.ping_interval, settings.ping_max, now);
        pinger.heard(now);
        let alarm = if posture.required {
            Alarm::Login(now + settings.auth_timeout)
        } else {
            Alarm::Ping(pinger.next_tick(now))
        };
        let info = InfoBase {
            broker: broker.clone(),
            host,
            port,
            headers: settings.headers,
            auth: posture,
            client_id: admission.id(),
            peer: connection.peer,
        };
        let limits = DecoderLimits {
            control_line: settings.control_line,
            payload: settings.max_payload,
            headers: false,
            connect_first: posture.required,
        };
        let mut client = Self {
            broker: broker.clone(),
            shard: connection.shard,
            stream: connection.stream,
            receiver: Arc::new(Receiver::new(&output)),
            control: Arc::new(Control::new(&output)),
            output,
            admission,
            posture,
            info,
            nonce: String::new(),
            connect: Box::new(Connect::before_login()),
            decoder: Decoder::new(limits),
            session: None,
            seat: None,
            account: String::new(),
            is_system: false,
            has_connected: false,
            connects: 0,
            owes_info: false,
            pinger,
            alarm,
            carry: Vec::new(),
            settings,
            env,
        };
        if posture.nonce {
            client.nonce = client.fresh_nonce();
        }
        client
    }

    fn fresh_nonce(&self) -> String {
        let mut bytes = [0; NONCE_BYTES];
        self.env.fill_secret(&mut bytes);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// How log lines name the connection (CORE-22).
    pub(crate) fn name(&self) -> String {
        let mut name = format!("{} - cid:{}", self.stream.peer(), self.admission.id());
        let version = (!self.connect.version.is_empty()).then(|| format!("v{}", self.connect.version));
        let parts = [
            version.as_deref().unwrap_or(""),
            &self.connect.lang,
            &self.connect.name,
        ];
        let parts: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        if self.has_connected && !parts.is_empty() {
            name = format!("{name} - {:?}", parts.join(":"));
        }
        name
    }

    async fn serve(&mut self) -> CloseReason {
        self.greet();
        self.env
            .log()
            .debug(format_args!("{} - Client connection created", self.name()));
        if self.admission.is_over_limit() {
            return self.refuse(
                "maximum connections exceeded",
                CloseReason::MaxConnectionsExceeded,
            );
        }
        if self.settings.proxy_protocol
            && let Err(reason) = Box::pin(self.hear_proxy()).await
        {
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

    /// A function of its own, so that what INFO is made of does not stay in the session's state.
    fn greet(&self) {
        let mut greeting = self.info.greeting(self.settings.max_payload, &self.nonce);
        if self.settings.proxy_protocol {
            // Not known yet: it would be the proxy's.
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
        while let Step::LogIn { after_connect } = step {
            // What the batch has appended so far must not wait for a provider's answer.
            self.shard.finish_turn().await;
            Box::pin(self.log_in()).await?;
            if after_connect {
                self.welcome()?;
            }
            step = self.resume();
        }
        self.shard.finish_turn().await;
        let congested = self.shard.batch(|scratch| scratch.turn.take_congested());
        if !congested.is_empty() {
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

    /// Slows this publisher while its receivers are far behind; its own output and the shard go on (CORE-71).
    async fn wait_for(&mut self, mut congested: Vec<Arc<dyn Flush>>) {
        for _ in 0..STALLS {
            congested.retain(|output| output.is_congested());
            if congested.is_empty() {
                return;
            }
            self.env.sleep(STALL).await;
        }
    }

    /// The timer rang.
    fn ring(&mut self) -> Result<(), CloseReason> {
        let now = self.env.now();
        match self.alarm {
            Alarm::Login(_) => {
                return Err(self.refuse("Authentication Timeout", CloseReason::AuthenticationTimeout));
            }
            Alarm::Expiry(end, _) if now >= end => {
                return Err(self.refuse("User Authentication Expired", CloseReason::AuthenticationExpired));
            }
            Alarm::Expiry(..) | Alarm::Ping(_) => {}
        }
        match self.pinger.tick(now) {
            Tick::Skip => {}
            Tick::Ping => self.output.send(write::PING),
            Tick::Stale => {
                self.env.log().debug(format_args!(
                    "{} - Stale Client Connection - Closing",
                    self.name()
                ));
                return Err(self.refuse("Stale Connection", CloseReason::StaleConnection));
            }
        }
        let next = self.pinger.next_tick(now);
        self.alarm = match self.alarm {
            Alarm::Expiry(end, _) => Alarm::Expiry(end, next),
            _ => Alarm::Ping(next),
        };
        Ok(())
    }

    /// Says why, and closes.
    pub(crate) fn refuse(&self, text: &str, reason: CloseReason) -> CloseReason {
        let mut line = Vec::new();
        write::err(&mut line, text.as_bytes());
        self.output.send(&line);
        self.output.close(reason);
        reason
    }
}
