//! The broker as a plugin sees it: log in, open a session, publish, subscribe.

use std::sync::Arc;

use dunlin_config::Config;
use dunlin_subject::{AccountName, QueueName, Sid, Subject};

use crate::auth::{AuthProvider, Login};
use crate::connection::{Admission, ConnectionStatus, SessionControl};
use crate::env::Env;
use crate::message::{Deliver, Message};
use crate::shard::Turn;

/// A handle on the running broker. Cloning costs one reference count.
///
/// ```no_run
/// # use dunlin_api::{AccountName, Broker, Inbox, Message, Session, SessionRequest, Sid, Subject};
/// # async fn example(broker: Broker) -> Result<(), Box<dyn std::error::Error>> {
/// let (inbox, mut messages) = Inbox::new(64);
/// let mut session = broker.open_internal("echo", AccountName::global(), inbox)?;
/// session.subscribe(Subject::new(b"greet.*")?, None, &Sid::new(b"1")?)?;
/// while let Some(message) = messages.recv().await {
///     if let Some(reply) = &message.reply {
///         session.publish_one(reply.as_subject(), Message::new(&message.payload))?;
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Broker(Arc<dyn BrokerCore>);

/// What the router implements behind [`Broker`].
pub trait BrokerCore: Send + Sync + 'static {
    /// The seam to the world.
    fn env(&self) -> &Env;

    /// Who this server is.
    fn identity(&self) -> &ServerIdentity;

    /// The configuration in force.
    fn config(&self) -> Arc<Config>;

    /// The chosen auth provider.
    fn auth(&self) -> Arc<dyn AuthProvider>;

    /// Whether `account` is the one that carries system messages.
    fn is_system_account(&self, account: &AccountName) -> bool;

    /// Gives a new connection its id and counts it.
    fn admit(&self) -> Admission;

    /// An id for a session of the broker's own, which no limit counts.
    fn internal_id(&self) -> u64;

    /// Opens a session.
    ///
    /// # Errors
    /// The account takes no more connections, or does not exist.
    fn open(&self, request: SessionRequest) -> Result<Session, OpenError>;
}

/// Who a server is, fixed at its start.
#[derive(Clone, Debug)]
pub struct ServerIdentity {
    /// Public server nkey, `N` and 55 characters, new at each start (CORE-14).
    pub id: String,
    /// The configured name, else the id.
    pub name: String,
    /// The NATS level that INFO states.
    pub version: &'static str,
    /// The public curve key, `X` and 55 characters.
    pub xkey: String,
}

impl Broker {
    /// Wraps the router.
    pub fn new(core: Arc<dyn BrokerCore>) -> Self {
        Self(core)
    }

    /// The seam to the world.
    pub fn env(&self) -> &Env {
        self.0.env()
    }

    /// Who this server is.
    pub fn identity(&self) -> &ServerIdentity {
        self.0.identity()
    }

    /// The configuration in force; a reload replaces it whole.
    pub fn config(&self) -> Arc<Config> {
        self.0.config()
    }

    /// The auth provider in force.
    pub fn auth(&self) -> Arc<dyn AuthProvider> {
        self.0.auth()
    }

    /// Whether `account` is the one that carries system messages.
    pub fn is_system_account(&self, account: &AccountName) -> bool {
        self.0.is_system_account(account)
    }

    /// Gives a new connection its id and counts it until the admission is dropped. Listeners call this first and
    /// refuse those over the limit with [`Admission::is_over_limit`] in their own protocol (CORE-2, CORE-3).
    pub fn admit(&self) -> Admission {
        self.0.admit()
    }

    /// Opens a session for somebody who has logged in.
    ///
    /// # Errors
    /// The account takes no more connections, or does not exist.
    pub fn open(&self, request: SessionRequest) -> Result<Session, OpenError> {
        self.0.open(request)
    }

    /// Opens a session for the broker's own purposes, with all rights in `account`.
    ///
    /// # Errors
    /// The account does not exist.
    pub fn open_internal(
        &self,
        name: &'static str,
        account: AccountName,
        receiver: Arc<dyn Deliver>,
    ) -> Result<Session, OpenError> {
        self.open(SessionRequest {
            id: self.0.internal_id(),
            login: Login::into_account(account),
            receiver,
            control: Arc::new(Internal(name)),
            flags: SessionFlags::default(),
        })
    }
}

/// A session that nobody can close from outside.
struct Internal(&'static str);

impl SessionControl for Internal {
    fn close(&self, _: CloseReason) {}

    fn announce_lame_duck(&self) -> bool {
        false
    }

    fn status(&self) -> ConnectionStatus {
        ConnectionStatus {
            kind: self.0,
            ..ConnectionStatus::default()
        }
    }
}

/// What a listener asks for after a login.
pub struct SessionRequest {
    /// From its [`Admission`].
    pub id: u64,
    /// The provider's answer.
    pub login: Login,
    /// Where messages go.
    pub receiver: Arc<dyn Deliver>,
    /// How the broker reaches the connection.
    pub control: Arc<dyn SessionControl>,
    /// How it wants to be served.
    pub flags: SessionFlags,
}

/// How a session wants to be served; a client may change its mind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionFlags {
    /// Its own messages come back to it (CORE-55).
    pub echo: bool,
    /// A request that nobody gets is answered with status 503 (CORE-61).
    pub no_responders: bool,
    /// [`Deliver::accepted`] is called for every accepted message.
    pub acknowledge: bool,
}

impl Default for SessionFlags {
    fn default() -> Self {
        Self {
            echo: true,
            no_responders: false,
            acknowledge: false,
        }
    }
}

/// An open session: publishes and subscribes in one account. Dropping it withdraws every subscription.
pub struct Session(Box<dyn SessionCore>);

/// What the router implements behind [`Session`].
pub trait SessionCore: Send + 'static {
    /// See [`Session::publish`].
    fn publish(
        &mut self,
        subject: Subject<'_>,
        messages: &[Message<'_>],
        turn: &mut Turn,
        refused: Refused<'_>,
    );

    /// See [`Session::subscribe`].
    ///
    /// # Errors
    /// See [`SubscribeError`].
    fn subscribe(
        &mut self,
        subject: Subject<'_>,
        queue: Option<&QueueName>,
        sid: &Sid,
    ) -> Result<(), SubscribeError>;

    /// See [`Session::unsubscribe`].
    fn unsubscribe(&mut self, sid: &Sid, max: Option<u64>);

    /// See [`Session::set_flags`].
    fn set_flags(&mut self, flags: SessionFlags);

    /// See [`Session::max_payload`].
    fn max_payload(&self) -> i64;

    /// See [`Session::is_over_subscription_limit`].
    fn is_over_subscription_limit(&self) -> bool;
}

impl Session {
    /// Wraps the router's session.
    pub fn new(core: Box<dyn SessionCore>) -> Self {
        Self(core)
    }

    /// Publishes a run: consecutive messages to one subject. Receivers are served outside, messages inside, so a
    /// run costs one lookup and one lock per receiver. Allocates nothing in steady state.
    ///
    /// `refused` hears of every message that is not published, in its turn between the others.
    pub fn publish(
        &mut self,
        subject: Subject<'_>,
        messages: &[Message<'_>],
        turn: &mut Turn,
        refused: Refused<'_>,
    ) {
        self.0.publish(subject, messages, turn, refused);
    }

    /// Publishes one message from outside a read batch, and flushes.
    ///
    /// # Errors
    /// The message is not permitted.
    pub fn publish_one(&mut self, subject: Subject<'_>, message: Message<'_>) -> Result<(), PublishRefusal> {
        let mut turn = Turn::default();
        let mut result = Ok(());
        self.publish(subject, &[message], &mut turn, &mut |_, refusal, _, _| {
            result = Err(refusal)
        });
        turn.flush();
        result
    }

    /// Subscribes; a `sid` already in use keeps its old subscription (CORE-39).
    ///
    /// # Errors
    /// In the order of CORE-37: permission, tokens, limit, validity.
    pub fn subscribe(
        &mut self,
        subject: Subject<'_>,
        queue: Option<&QueueName>,
        sid: &Sid,
    ) -> Result<(), SubscribeError> {
        self.0.subscribe(subject, queue, sid)
    }

    /// Ends a subscription, at once or after `max` messages since it began; unknown ids are ignored (CORE-42).
    pub fn unsubscribe(&mut self, sid: &Sid, max: Option<u64>) {
        self.0.unsubscribe(sid, max);
    }

    /// Changes how the session is served; its subscriptions stay.
    pub fn set_flags(&mut self, flags: SessionFlags) {
        self.0.set_flags(flags);
    }

    /// Largest message that this session may publish, in bytes; -1 means no limit (CORE-45).
    pub fn max_payload(&self) -> i64 {
        self.0.max_payload()
    }

    /// Whether the session has reached its limit of subscriptions.
    pub fn is_over_subscription_limit(&self) -> bool {
        self.0.is_over_subscription_limit()
    }
}

/// Hears of a message that was not published: its index in the run, why, and the subject that it was to go to, which
/// a mapping of the account may have given it (AUTH-803).
pub type Refused<'a> = &'a mut dyn FnMut(usize, PublishRefusal, Subject<'_>, &mut Turn);

/// Why a message was not published (CORE-47). The connection stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PublishRefusal {
    /// No permission for the subject.
    #[error("no permission to publish")]
    Subject,
    /// The reply subject is reserved for the server.
    #[error("the reply subject is reserved")]
    Reply,
}

/// Why a subscription was refused (CORE-37). The connection stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubscribeError {
    /// No permission.
    #[error("no permission to subscribe")]
    Permission,
    /// More tokens than `max_sub_tokens`.
    #[error("too many tokens")]
    TooManyTokens,
    /// No more subscriptions for this session.
    #[error("maximum subscriptions exceeded")]
    TooMany,
    /// Not a subject that can be subscribed to (CORE-38).
    #[error("Invalid Subject")]
    InvalidSubject,
}

/// Why a session was not opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// No such account.
    #[error("unknown account {0:?}")]
    UnknownAccount(AccountName),
    /// The account has all the connections that it may have (CORE-46).
    #[error("maximum account active connections exceeded")]
    AccountConnections,
    /// The server is stopping.
    #[error("the server is shutting down")]
    ShuttingDown,
}

/// Why a connection ended. `Display` gives the reference's words, seen in monitoring and events (CORE-49).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the texts say it all")]
pub enum CloseReason {
    #[error("Client Closed")]
    ClientClosed,
    #[error("Authentication Timeout")]
    AuthenticationTimeout,
    #[error("Authentication Failure")]
    AuthenticationViolation,
    #[error("TLS Handshake Failure")]
    TlsHandshakeError,
    #[error("Slow Consumer (Pending Bytes)")]
    SlowConsumerPendingBytes,
    #[error("Slow Consumer (Write Deadline)")]
    SlowConsumerWriteDeadline,
    #[error("Write Error")]
    WriteError,
    #[error("Read Error")]
    ReadError,
    #[error("Parse Error")]
    ParseError,
    #[error("Stale Connection")]
    StaleConnection,
    #[error("Protocol Violation")]
    ProtocolViolation,
    #[error("Bad Client Protocol Version")]
    BadClientProtocolVersion,
    #[error("Maximum Account Connections Exceeded")]
    MaxAccountConnectionsExceeded,
    #[error("Maximum Connections Exceeded")]
    MaxConnectionsExceeded,
    #[error("Maximum Message Payload Exceeded")]
    MaxPayloadExceeded,
    #[error("Maximum Control Line Exceeded")]
    MaxControlLineExceeded,
    #[error("Maximum Subscriptions Exceeded")]
    MaxSubscriptionsExceeded,
    #[error("Server Shutdown")]
    ServerShutdown,
    #[error("Authentication Expired")]
    AuthenticationExpired,
    #[error("Credentials Revoked")]
    Revocation,
    #[error("No Responders Requires Headers")]
    NoRespondersRequiresHeaders,
    #[error("Kicked")]
    Kicked,
    #[error("Proxy Not Trusted")]
    ProxyNotTrusted,
    #[error("Proxy Required")]
    ProxyRequired,
    /// A panic in the session or in its output; the reference has no such case.
    #[error("Internal Error")]
    InternalError,
}
