//! TLS on the client port: whether a connection is to be secured, and when.
//!
//! [`ClientTls`] is what the configuration asks of all connections; a reload makes another. What comes before a client's
//! first operation stands in one function, in the order of CORE-2: first bytes, PROXY header, handshake. A listener
//! without TLS has none of this. Rules: CORE-8 to CORE-11, AUTH-302 to AUTH-307.

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use dunlin_api::config::{Config, HandshakeFirst};
use dunlin_api::{CloseReason, Env, Logger};
use dunlin_net::output::Output;
use dunlin_net::tls::{HandshakeError, RateLimit, ServerTls, TlsError, TlsStream};
use parking_lot::Mutex;

use crate::info::TlsInfo;
use crate::session::Client;

/// Type of a handshake record, the first byte of every TLS client.
const HANDSHAKE: u8 = 0x16;

/// Bytes to wait for before a client with nothing but TLS first is told from one that waits for INFO (CORE-9).
const FIRST_BYTES: usize = 4;

/// Bytes to wait for before plain clients are told from others (CORE-8).
const SNIFFED_BYTES: usize = 6;

/// How long a client in this process may take to begin a handshake that comes first (CORE-9).
const IN_PROCESS_FALLBACK: Duration = Duration::from_millis(50);

/// What the configuration asks of connections.
pub(crate) struct ClientTls {
    server: ServerTls,
    first: HandshakeFirst,
    allows_plain: bool,
    verifies: bool,
}

impl ClientTls {
    /// Reads certificates and keys; `None` without a `tls` block. Waits for the disk.
    pub(crate) fn load(config: &Config, env: &Env) -> Result<Option<Arc<Self>>, TlsError> {
        let Some(options) = &config.tls else {
            return Ok(None);
        };
        Ok(Some(Arc::new(Self {
            server: ServerTls::load(options, env)?,
            first: options.handshake_first,
            allows_plain: config.allow_non_tls,
            verifies: options.requires_client_certificate(),
        })))
    }

    /// Whether INFO waits for the handshake.
    pub(crate) fn comes_first(&self) -> bool {
        self.first != HandshakeFirst::Never
    }

    /// Whether every client must use TLS. "First" without a fall-back overrides `allow_non_tls`.
    pub(crate) fn is_required(&self) -> bool {
        !self.allows_plain || self.first == HandshakeFirst::Always
    }

    /// What INFO says, unless the handshake came first.
    pub(crate) fn info(&self) -> TlsInfo {
        TlsInfo {
            is_required: !self.allows_plain,
            is_available: self.allows_plain,
            verifies: self.verifies,
        }
    }

    /// The lines behind the one that says where clients are awaited.
    pub(crate) fn announce(&self, log: &Logger) {
        let word = if self.is_required() {
            "required"
        } else {
            "available"
        };
        log.notice(format_args!("TLS {word} for client connections"));
        if self.first == HandshakeFirst::Always {
            log.warn(format_args!(
                "Clients that are not using \"TLS Handshake First\" option will fail to connect"
            ));
        }
        for remark in self.server.remarks() {
            log.warn(format_args!("{remark}"));
        }
    }
}

/// One connection's share of TLS.
#[derive(Clone)]
pub(crate) struct Tls {
    pub(crate) rules: Arc<ClientTls>,
    pub(crate) stream: Arc<TlsStream>,
    pub(crate) shared: Arc<Shared>,
    /// A client in this process chooses for itself whether it uses TLS, and when.
    pub(crate) is_in_process: bool,
}

impl Tls {
    /// What INFO says to this client, unless the handshake came first.
    pub(crate) fn info(&self) -> TlsInfo {
        let info = self.rules.info();
        TlsInfo {
            is_required: info.is_required && !self.is_in_process,
            is_available: info.is_available || self.is_in_process,
            ..info
        }
    }

    /// How long a client may take to begin a handshake that comes first, before it is sent INFO in clear.
    fn fallback(&self) -> Option<Duration> {
        match self.rules.first {
            HandshakeFirst::Fallback(delay) => Some(delay),
            HandshakeFirst::Always if self.is_in_process => Some(IN_PROCESS_FALLBACK),
            _ => None,
        }
    }
}

/// What the connections of a listener share: the limit of handshakes, and who is secured.
#[derive(Default)]
pub(crate) struct Shared {
    rate: Option<RateLimit>,
    secured: Mutex<HashMap<u64, Secured>>,
}

/// A connection that a reload may have to close.
struct Secured {
    stream: Weak<TlsStream>,
    output: Weak<Output>,
}

impl Shared {
    /// The limit stays what it is at start (CORE-133).
    pub(crate) fn new(config: &Config) -> Self {
        let limit = config.tls.as_ref().map_or(0, |tls| tls.connection_rate_limit);
        Self {
            rate: (limit > 0).then(|| RateLimit::new(limit)),
            secured: Mutex::default(),
        }
    }

    /// Closes the connections whose certificate `tls` would not accept any more (AUTH-305); returns how many.
    pub(crate) fn recheck_pins(&self, tls: &ClientTls) -> usize {
        let mut secured = Vec::new();
        // Closing takes an output's lock, so not under this one. What a panic left behind goes.
        self.secured.lock().retain(|_, one| {
            let both = one.stream.upgrade().zip(one.output.upgrade());
            secured.extend(both.clone());
            both.is_some()
        });
        let mut closed = 0;
        for (stream, output) in secured {
            if !stream.keeps_pins(&tls.server) {
                output.close(CloseReason::TlsHandshakeError);
                closed += 1;
            }
        }
        closed
    }

    /// Says how many were turned away since the last call.
    pub(crate) fn report_refused(&self, log: &Logger) {
        let refused = self.rate.as_ref().map_or(0, RateLimit::take_refused);
        if refused > 0 {
            log.warn(format_args!(
                "Rejected {refused} connections due to TLS rate limiting"
            ));
        }
    }

    /// Whether refusals can happen at all.
    pub(crate) fn has_rate(&self) -> bool {
        self.rate.is_some()
    }
}

impl Client {
    /// Brings the connection to where its first operation may come: with INFO sent, in clear or secured.
    pub(crate) async fn secure(&mut self, tls: Tls) -> Result<(), CloseReason> {
        let rules = &tls.rules;
        let mut is_first = rules.comes_first();
        if let Some(delay) = tls.fallback()
            && tls
                .stream
                .first_byte(FIRST_BYTES, delay, &self.env)
                .await
                .is_none()
        {
            is_first = false;
            self.greet();
        }
        let sniffs = !is_first && (rules.allows_plain || tls.is_in_process);
        let mut is_wanted = true;
        if sniffs {
            let limit = rules.server.timeout();
            let first = tls.stream.first_byte(SNIFFED_BYTES, limit, &self.env).await;
            is_wanted = first == Some(HANDSHAKE);
        }
        if self.config.proxy_protocol {
            let is_proxied = self.hear_proxy().await?;
            // What was read behind the header is the client's.
            tls.stream.unread(std::mem::take(&mut self.carry));
            if sniffs && is_proxied {
                let limit = rules.server.timeout();
                is_wanted = tls.stream.first_byte(1, limit, &self.env).await == Some(HANDSHAKE);
            }
        }
        if is_wanted {
            self.shake_hands(&tls).await?;
        }
        if is_first {
            // Of this INFO alone; later ones say what the listener asks of others.
            Arc::make_mut(&mut self.info).tls.is_required = true;
            self.send_info(true);
            Arc::make_mut(&mut self.info).tls = tls.info();
            self.control.set_info(&self.info);
        }
        self.begin_own_time();
        Ok(())
    }

    async fn shake_hands(&mut self, tls: &Tls) -> Result<(), CloseReason> {
        if let Some(rate) = &tls.shared.rate
            && !rate.admits(self.env.now())
        {
            return Err(self.refuse(
                "Connection throttling is active. Please try again later.",
                CloseReason::MaxConnectionsExceeded,
            ));
        }
        self.log()
            .debug(format_args!("Starting TLS client connection handshake"));
        match tls.stream.accept(&tls.rules.server, &self.env).await {
            Ok(agreed) => {
                self.log().debug(format_args!("TLS handshake complete"));
                self.log().debug(format_args!(
                    "TLS version {}, cipher suite {}",
                    agreed.version, agreed.cipher
                ));
                let secured = Secured {
                    stream: Arc::downgrade(&tls.stream),
                    output: Arc::downgrade(&self.output),
                };
                tls.shared.secured.lock().insert(self.admission.id(), secured);
                Ok(())
            }
            Err(error) => Err(self.fail_handshake(&error)),
        }
    }

    fn fail_handshake(&self, error: &HandshakeError) -> CloseReason {
        // Whoever has closed the connection meanwhile has a better reason.
        if let Some(reason) = self.output.close_reason() {
            return reason;
        }
        if let HandshakeError::NotPinned { key: Some(key) } = error {
            self.log()
                .debug(format_args!("Failed pinned cert test for key id: {key}"));
        }
        if error.is_probe() {
            self.log().debug(format_args!("TLS handshake error: {error}"));
        } else {
            self.log().error(format_args!("TLS handshake error: {error}"));
        }
        CloseReason::TlsHandshakeError
    }

    /// The connection has ended.
    pub(crate) fn forget_secured(&self) {
        if let Some(tls) = &self.tls {
            tls.shared.secured.lock().remove(&self.admission.id());
        }
    }
}
