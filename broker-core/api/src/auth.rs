//! Who may connect, and what for.

use std::any::Any;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::SystemTime;

use async_trait::async_trait;
use dunlin_config::{Permissions, Secret};
use dunlin_subject::AccountName;

use crate::certificate::TlsPeer;

/// Decides about logins. One provider is chosen per broker; it may ask others.
///
/// ```
/// use async_trait::async_trait;
/// use dunlin_api::{AccountName, AuthPosture, AuthProvider, Denied, Login, LoginAttempt};
///
/// /// Lets those in who know the word of the day.
/// struct WordOfTheDay(String);
///
/// #[async_trait]
/// impl AuthProvider for WordOfTheDay {
///     fn posture(&self) -> AuthPosture {
///         AuthPosture::credentials()
///     }
///
///     async fn decide(&self, attempt: &LoginAttempt) -> Result<Login, Denied> {
///         if attempt.credentials.token.expose() != self.0 {
///             return Err(Denied::Credentials);
///         }
///         Ok(Login::into_account(AccountName::global()))
///     }
/// }
/// ```
#[async_trait]
pub trait AuthProvider: Send + Sync + 'static {
    /// What listeners announce and enforce before a login.
    fn posture(&self) -> AuthPosture;

    /// Decides about one attempt, from everything that its CONNECT and its TLS session say. Runs on the
    /// connection's shard: long work goes through [`crate::Env::offload`]. The listener limits the time.
    ///
    /// # Errors
    /// [`Denied`], whose text never says what was wrong.
    async fn decide(&self, attempt: &LoginAttempt) -> Result<Login, Denied>;

    /// Decides again about a session that is open, after a reload: `evidence` is that of its login, by this provider
    /// or by the one before it (AUTH-1610). The session keeps its subscriptions where the new login still allows them.
    ///
    /// The default refuses: sessions of a provider that keeps no evidence log in again.
    ///
    /// # Errors
    /// [`Denied`]: the session must end.
    async fn renew(&self, evidence: &Evidence) -> Result<Login, Denied> {
        let _ = evidence;
        Err(Denied::Credentials)
    }
}

/// What a provider asks of connections before they have logged in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuthPosture {
    /// Operations are refused until a login succeeds (CORE-5, CORE-6).
    pub required: bool,
    /// INFO says so (AUTH-4: not when a stand-in user is configured).
    pub announced: bool,
    /// INFO carries a nonce to sign (AUTH-3).
    pub nonce: bool,
    /// A first operation other than CONNECT logs in as the stand-in user (AUTH-14).
    pub connect_optional: bool,
}

impl AuthPosture {
    /// Everybody is let in.
    pub const fn open() -> Self {
        Self {
            required: false,
            announced: false,
            nonce: false,
            connect_optional: false,
        }
    }

    /// Credentials come first.
    pub const fn credentials() -> Self {
        Self {
            required: true,
            announced: true,
            nonce: false,
            connect_optional: false,
        }
    }
}

/// How a client is connected, as `allowed_connection_types` names it (AUTH-18).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ConnectionType {
    /// The NATS protocol over TCP or TLS.
    Standard,
    /// The NATS protocol over WebSocket.
    Websocket,
    /// A leafnode.
    Leafnode,
    /// A leafnode over WebSocket.
    LeafnodeWebsocket,
    /// MQTT.
    Mqtt,
    /// MQTT over WebSocket.
    MqttWebsocket,
    /// A program that embeds the broker.
    InProcess,
    /// A protocol of a plugin; providers treat it as a client of its own kind.
    Plugin(&'static str),
}

/// What a client says about itself.
#[derive(Debug, Default)]
pub struct Credentials {
    /// User name; empty when not given.
    pub user: String,
    /// Password.
    pub password: Secret,
    /// Token.
    pub token: Secret,
    /// Public user nkey.
    pub nkey: String,
    /// Signature of the nonce.
    pub signature: Secret,
    /// User JWT.
    pub jwt: Secret,
    /// A proxy's signature of the nonce (AUTH-1400).
    pub proxy_signature: Secret,
}

/// Everything known at the moment of a login.
#[derive(Debug)]
pub struct LoginAttempt {
    /// The peer's address (the proxied one, where a proxy is trusted).
    pub peer: SocketAddr,
    /// How it is connected.
    pub connection_type: ConnectionType,
    /// What CONNECT said.
    pub credentials: Credentials,
    /// The nonce that INFO carried.
    pub nonce: String,
    /// The TLS session, where there is one; shared, so that evidence can keep it.
    pub tls: Option<Arc<TlsPeer>>,
    /// The client's own name for the connection.
    pub client_name: String,
}

impl LoginAttempt {
    /// An attempt without credentials.
    pub fn anonymous(peer: SocketAddr, connection_type: ConnectionType) -> Self {
        Self {
            peer,
            connection_type,
            credentials: Credentials::default(),
            nonce: String::new(),
            tls: None,
            client_name: String::new(),
        }
    }
}

/// A successful login: the account, and what is allowed in it.
#[derive(Clone, Debug)]
pub struct Login {
    /// Where the session lives.
    pub account: AccountName,
    /// How logs and monitoring name the user, e.g. `user:alice`; empty when nobody is named (CORE-22).
    pub user: String,
    /// What it may publish and subscribe; `None` allows all.
    pub permissions: Option<Arc<Permissions>>,
    /// Limits of this user.
    pub limits: SessionLimits,
    /// When the login ends (AUTH-110).
    pub expires: Option<SystemTime>,
    /// Public nkey of the trusted proxy that vouched for the connection (AUTH-1400).
    pub proxy: Option<Arc<str>>,
    /// What [`AuthProvider::renew`] needs to decide again.
    pub evidence: Evidence,
}

/// What a login was decided on, in its provider's own form. The session keeps it and hands it back to
/// [`AuthProvider::renew`]. A provider puts no secret of the peer in it.
#[derive(Clone, Default)]
pub struct Evidence(Option<Arc<dyn Any + Send + Sync>>);

impl Evidence {
    /// Keeps `value`.
    pub fn new<T: Any + Send + Sync>(value: T) -> Self {
        Self(Some(Arc::new(value)))
    }

    /// The value, if it is a `T`: another provider may have kept something else, or nothing.
    pub fn get<T: Any>(&self) -> Option<&T> {
        self.0.as_deref()?.downcast_ref()
    }
}

impl fmt::Debug for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() {
            "Evidence(kept)"
        } else {
            "Evidence(none)"
        })
    }
}

impl Login {
    /// A login with all rights in `account`.
    pub fn into_account(account: AccountName) -> Self {
        Self {
            account,
            user: String::new(),
            permissions: None,
            limits: SessionLimits::default(),
            expires: None,
            proxy: None,
            evidence: Evidence::default(),
        }
    }
}

/// Limits of one session, on top of the account's and the server's; the smallest counts (CORE-45).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SessionLimits {
    /// Subscriptions at once.
    pub subscriptions: Option<u64>,
    /// Largest message in bytes, headers included.
    pub payload: Option<u64>,
}

/// Why a login was refused. Deliberately poor: strangers learn nothing from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Denied {
    /// Wrong, missing or not fitting credentials (CORE-46).
    #[error("Authorization Violation")]
    Credentials,
    /// The user that logged in does not exist any more: its session ends as if it had left by itself. An answer to
    /// [`AuthProvider::renew`] only (AUTH-1610).
    #[error("Authorization Violation")]
    UserGone,
    /// The account has all the connections that it may have.
    #[error("maximum account active connections exceeded")]
    AccountConnections,
    /// A proxy's signature is by none of the trusted keys. The peer sees [`Denied::Credentials`] (AUTH-1400).
    #[error("proxy is not trusted")]
    ProxyNotTrusted,
    /// The user may connect through a trusted proxy only. The peer sees [`Denied::Credentials`] (AUTH-1400).
    #[error("proxy connection required")]
    ProxyRequired,
}
