//! What the server tells a client about itself, at first and later.

use std::net::SocketAddr;
use std::sync::Arc;

use dunlin_api::{AuthPosture, Broker};
use dunlin_wire::Info;

use crate::{name, settings};

/// JetStream API level that 2.15.2 states, with or without JetStream (CORE-14).
const API_LEVEL: i64 = 5;

/// What does not change while a connection lasts. What is advertised in place of host and port may.
#[derive(Clone)]
pub(crate) struct InfoBase {
    pub(crate) broker: Broker,
    pub(crate) host: Arc<str>,
    pub(crate) port: u16,
    pub(crate) headers: bool,
    /// Whether a login is needed, and whether the greeting says so (AUTH-4).
    pub(crate) auth: AuthPosture,
    pub(crate) client_id: u64,
    pub(crate) peer: SocketAddr,
    pub(crate) tls: TlsInfo,
}

/// What INFO says of TLS (AUTH-302).
#[derive(Clone, Copy, Default)]
pub(crate) struct TlsInfo {
    pub(crate) is_required: bool,
    /// The client may choose.
    pub(crate) is_available: bool,
    /// The client needs a certificate.
    pub(crate) verifies: bool,
}

impl InfoBase {
    /// The INFO that greets a connection (CORE-14).
    pub(crate) fn greeting(&self, max_payload: i64, nonce: &str) -> Info {
        let identity = self.broker.identity();
        let (host, port) = settings::advertised(&self.broker.config(), &self.host, self.port);
        Info {
            server_id: identity.id.clone(),
            server_name: identity.name.clone(),
            version: identity.version.to_owned(),
            proto: 1,
            go: concat!("dunlin", env!("CARGO_PKG_VERSION")).to_owned(),
            host: host.to_string(),
            port: i64::from(port),
            headers: self.headers,
            auth_required: self.auth.announced,
            tls_required: self.tls.is_required,
            tls_verify: self.tls.verifies,
            tls_available: self.tls.is_available,
            max_payload: i32::try_from(max_payload).unwrap_or(i32::MAX),
            client_id: self.client_id,
            client_ip: self.client_ip(),
            nonce: nonce.to_owned(),
            api_lvl: API_LEVEL,
            xkey: identity.xkey.clone(),
            ..Info::default()
        }
    }

    /// Empty, and so left out, where there is none.
    fn client_ip(&self) -> String {
        match name::is_pipe(self.peer) {
            true => String::new(),
            false => self.peer.ip().to_string(),
        }
    }

    /// The INFO behind the first PONG (CORE-15).
    pub(crate) fn after_connect(&self, max_payload: i64, account: &str, is_system: bool) -> Info {
        Info {
            connect_info: true,
            remote_account: account.to_owned(),
            acc_is_sys: is_system,
            auth_required: self.auth.required,
            ..self.greeting(max_payload, "")
        }
    }

    /// The INFO before the server goes away (CORE-84).
    pub(crate) fn lame_duck(&self, max_payload: i64) -> Info {
        Info {
            ldm: true,
            ..self.greeting(max_payload, "")
        }
    }
}
