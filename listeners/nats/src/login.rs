//! From CONNECT to an open session.

use std::sync::Arc;
use std::time::Duration;

use dunlin_api::{
    AccountName, CloseReason, ConnectionType, Credentials, Denied, Login, LoginAttempt, OpenError, Secret,
    Session, SessionFlags, SessionRequest, SubscribeError,
};
use dunlin_wire::client::write;

use crate::name;
use crate::session::{Client, End};

/// How long a login may last whose limits leave no room for the subscriptions that there are (CORE-41).
const OVER_LIMIT: Duration = Duration::from_millis(20);

impl Client {
    /// Asks the provider, and opens the session that it grants. On refusal the client is told and closed.
    pub(crate) async fn log_in(&mut self) -> Result<(), CloseReason> {
        self.seat = None;
        let attempt = self.attempt();
        let auth = self.broker.auth();
        let Some(decision) = self
            .env
            .timeout(self.config.auth_timeout(), auth.decide(&attempt))
            .await
        else {
            let text = "Authentication Timeout";
            return Err(self.refuse_quietly(text, CloseReason::AuthenticationTimeout));
        };
        let asks_for_account = !self.connect.account.is_empty() || self.connect.new_account;
        match decision {
            Ok(login) if !asks_for_account => self.open(login)?,
            Ok(_) => return Err(self.deny(Denied::Credentials)),
            Err(denied) => return Err(self.deny(denied)),
        }
        if Arc::ptr_eq(&auth, &self.broker.auth()) {
            return Ok(());
        }
        // A reload came between the decision and the session, and did not see it: the other provider decides.
        self.session = None;
        self.account = None;
        Box::pin(self.log_in()).await
    }

    fn attempt(&self) -> LoginAttempt {
        let connect = &self.connect;
        let kind = if self.is_in_process {
            ConnectionType::InProcess
        } else {
            ConnectionType::Standard
        };
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
            tls: self
                .tls
                .as_ref()
                .and_then(|tls| Some(Arc::new(tls.stream.peer_identity()?))),
            client_name: connect.name.clone(),
            ..LoginAttempt::anonymous(self.info.peer, kind)
        }
    }

    /// The client learns nothing of the reason (CORE-46).
    fn deny(&self, denied: Denied) -> CloseReason {
        let reason = match denied {
            Denied::AccountConnections => {
                let text = denied.to_string();
                self.log().error_seldom(&text, self.env.now());
                return self.refuse(&text, CloseReason::MaxAccountConnectionsExceeded);
            }
            Denied::ProxyNotTrusted => CloseReason::ProxyNotTrusted,
            Denied::ProxyRequired => CloseReason::ProxyRequired,
            _ => CloseReason::AuthenticationViolation,
        };
        if reason != CloseReason::AuthenticationViolation {
            self.log().debug(format_args!("{denied}"));
        }
        self.report_authentication_error();
        self.refuse("Authorization Violation", reason)
    }

    /// CORE-23
    pub(crate) fn report_authentication_error(&self) {
        match name::refused(&self.connect) {
            Some(user) => self.log().error(format_args!("authentication error - {user}")),
            None => self.log().error(format_args!("authentication error")),
        }
    }

    /// Opens the session, or keeps the one that a connection had before its first CONNECT, subscriptions included.
    fn open(&mut self, login: Login) -> Result<(), CloseReason> {
        let flags = self.flags();
        self.user = name::label(&self.connect, &login.user);
        let stays = !self.has_connected_before() && self.account.as_ref() == Some(&login.account);
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

    /// CORE-41: a login whose limits leave no room for the subscriptions that there are does not last.
    pub(crate) fn check_subscription_limit(&mut self) {
        let is_over = |session: &Session| session.is_over_subscription_limit();
        if self.posture.required && self.session.as_ref().is_some_and(is_over) {
            self.report_too_many_subscriptions();
            self.tell(&SubscribeError::TooMany.to_string());
            self.alarm.end = Some((End::Subscriptions, self.env.now() + OVER_LIMIT));
        }
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
        };
        let session = self.broker.open(request).map_err(|error| match error {
            OpenError::AccountConnections => self.deny(Denied::AccountConnections),
            OpenError::ShuttingDown => CloseReason::ServerShutdown,
            _ => self.deny(Denied::Credentials),
        })?;
        self.session = Some(session);
        self.is_system = self.broker.is_system_account(&account);
        self.account = Some(account);
        self.alarm.end = expires.map(|end| {
            let left = end.duration_since(self.env.wall()).unwrap_or_default();
            (End::Expiry, self.env.now() + left)
        });
        Ok(())
    }

    fn flags(&self) -> SessionFlags {
        SessionFlags {
            echo: self.connect.echo,
            no_responders: self.connect.no_responders,
            acknowledge: self.connect.verbose,
        }
    }

    /// The name of its account, empty before a login.
    pub(crate) fn account(&self) -> &str {
        self.account.as_ref().map_or("", AccountName::as_str)
    }

    /// A stand-in user counts as a CONNECT (CORE-5).
    pub(crate) fn has_connected(&self) -> bool {
        self.connects > 0 || self.stands_in
    }

    fn has_connected_before(&self) -> bool {
        self.connects + u32::from(self.stands_in) > 1
    }

    /// What follows a successful CONNECT, in the order of CORE-19.
    pub(crate) fn welcome(&mut self) -> Result<(), CloseReason> {
        let mut whose = format!("Account:{}", self.account());
        if !self.user.is_empty() {
            whose = format!("{whose} - {}", self.user);
        }
        self.log().set_user(&whose);
        if !self.has_connected_before() {
            let peer = self.stream.peer();
            let id = self.admission.id();
            self.log().rename(&name::of_client(
                peer,
                id,
                &self.connect,
                self.account(),
                &self.user,
            ));
        }
        if !matches!(self.connect.protocol, 0 | 1) {
            let text = "invalid client protocol";
            self.log().error(format_args!("{text}"));
            return Err(self.refuse(text, CloseReason::BadClientProtocolVersion));
        }
        let headers = self.info.headers && self.connect.headers;
        if self.connect.no_responders && !headers {
            let text = "no responders requires headers support";
            self.log().error(format_args!("{text}"));
            return Err(self.refuse(text, CloseReason::NoRespondersRequiresHeaders));
        }
        self.decoder.limits.headers = headers;
        self.receiver.set_headers(headers);
        if self.is_settled && self.connect.protocol >= 1 {
            self.control.allow_info(self.decoder.limits.payload);
        }
        if self.connect.verbose {
            self.tracer.outgoing("OK", b"");
            self.output.send(write::OK);
        }
        self.alarm.ping = self.pinger.first_tick(self.env.now(), &mut self.env.rng());
        self.check_subscription_limit();
        Ok(())
    }
}
