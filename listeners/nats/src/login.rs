//! From CONNECT to an open session.

use dunlin_api::{
    CloseReason, ConnectionType, Credentials, Denied, Login, LoginAttempt, OpenError, Secret, SessionAbout,
    SessionFlags, SessionRequest,
};
use dunlin_wire::client::write;

use crate::session::{Alarm, Client};

impl Client {
    /// Asks the provider, and opens the session that it grants. On refusal the client is told and closed.
    pub(crate) async fn log_in(&mut self) -> Result<(), CloseReason> {
        self.seat = None;
        let attempt = self.attempt();
        let auth = self.broker.auth();
        let Some(decision) = self
            .env
            .timeout(self.settings.auth_timeout, auth.decide(&attempt))
            .await
        else {
            return Err(self.refuse("Authentication Timeout", CloseReason::AuthenticationTimeout));
        };
        let asks_for_account = !self.connect.account.is_empty() || self.connect.new_account;
        match decision {
            Ok(login) if !asks_for_account => self.open(login),
            Ok(_) => Err(self.deny(Denied::Credentials)),
            Err(denied) => Err(self.deny(denied)),
        }
    }

    fn attempt(&self) -> LoginAttempt {
        let connect = &self.connect;
        let secret = |secret: &dunlin_wire::Secret| Secret::new(secret.expose());
        LoginAttempt {
            credentials: Credentials {
                user: connect.user.clone(),
                password: secret(&connect.pass),
                token: secret(&connect.auth_token),
                nkey: connect.nkey.clone(),
                signature: secret(&connect.sig),
                jwt: secret(&connect.jwt),
                proxy_signature: secret(&connect.proxy_sig),
            },
            nonce: self.nonce.clone(),
            client_name: connect.name.clone(),
            ..LoginAttempt::anonymous(self.info.peer, ConnectionType::Standard)
        }
    }

    fn deny(&self, denied: Denied) -> CloseReason {
        match denied {
            Denied::AccountConnections => {
                self.refuse(&denied.to_string(), CloseReason::MaxAccountConnectionsExceeded)
            }
            _ => {
                let user = &self.connect.user;
                let label = match (user.is_empty(), self.connect.auth_token.is_empty()) {
                    (false, _) => format!(" - User {user:?}"),
                    (true, false) => " - Token \"[REDACTED]\"".to_owned(),
                    (true, true) => String::new(),
                };
                self.env
                    .log()
                    .error(format_args!("{} - authentication error{label}", self.name()));
                self.refuse("Authorization Violation", CloseReason::AuthenticationViolation)
            }
        }
    }

    /// Opens the session, or keeps the one that a connection had before its first CONNECT, subscriptions included.
    fn open(&mut self, login: Login) -> Result<(), CloseReason> {
        let flags = self.flags();
        let stays = !self.has_connected_before() && self.account == login.account.as_str();
        if let Some(session) = self.session.as_mut().filter(|_| stays) {
            session.set_flags(flags);
        } else {
            // CORE-21: what was subscribed in the old session goes before the new one begins.
            self.session = None;
            self.open_session(login, flags)?;
        }
        self.decoder.limits.connect_first = false;
        if let Some(session) = &self.session {
            self.decoder.limits.payload = session.max_payload();
        }
        Ok(())
    }

    fn open_session(&mut self, login: Login, flags: SessionFlags) -> Result<(), CloseReason> {
        let account = login.account.clone();
        let expires = login.expires;
        let request = SessionRequest {
            id: self.admission.id(),
            login,
            receiver: self.receiver.clone(),
            control: self.control.clone(),
            flags,
            about: SessionAbout {
                kind: "Client",
                peer: Some(self.info.peer),
                name: self.connect.name.clone(),
                lang: self.connect.lang.clone(),
                version: self.connect.version.clone(),
            },
        };
        let session = self.broker.open(request).map_err(|error| match error {
            OpenError::AccountConnections => self.deny(Denied::AccountConnections),
            OpenError::ShuttingDown => CloseReason::ServerShutdown,
            _ => self.deny(Denied::Credentials),
        })?;
        self.session = Some(session);
        self.is_system = self.broker.is_system_account(&account);
        self.account = account.as_str().to_owned();
        let now = self.env.now();
        let next = self.pinger.first_tick(now, &mut self.env.rng());
        self.alarm = match expires.map(|end| end.duration_since(self.env.wall()).unwrap_or_default()) {
            Some(left) => Alarm::Expiry(now + left, next),
            None => Alarm::Ping(next),
        };
        Ok(())
    }

    fn flags(&self) -> SessionFlags {
        SessionFlags {
            echo: self.connect.echo,
            no_responders: self.connect.no_responders,
            acknowledge: self.connect.verbose,
        }
    }

    fn has_connected_before(&self) -> bool {
        self.connects > 1
    }

    /// What follows a successful CONNECT, in the order of CORE-19.
    pub(crate) fn welcome(&mut self) -> Result<(), CloseReason> {
        self.has_connected = true;
        if !matches!(self.connect.protocol, 0 | 1) {
            return Err(self.refuse("invalid client protocol", CloseReason::BadClientProtocolVersion));
        }
        let headers = self.settings.headers && self.connect.headers;
        if self.connect.no_responders && !headers {
            let text = "no responders requires headers support";
            return Err(self.refuse(text, CloseReason::NoRespondersRequiresHeaders));
        }
        self.decoder.limits.headers = headers;
        self.receiver.set_headers(headers);
        // CORE-15: once in the life of a connection.
        self.owes_info = self.connects == 1 && self.connect.protocol >= 1;
        if self.connect.verbose {
            self.output.send(write::OK);
        }
        let now = self.env.now();
        let next = self.pinger.first_tick(now, &mut self.env.rng());
        self.alarm = match self.alarm {
            Alarm::Expiry(end, _) => Alarm::Expiry(end, next),
            _ => Alarm::Ping(next),
        };
        Ok(())
    }
}
