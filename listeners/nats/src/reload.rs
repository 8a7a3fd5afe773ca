//! What a reload means for connections that are open (CORE-134, AUTH-215).
//!
//! Whoever reloads only leaves a note in [`Control`]; the connection's own task reads its limits and times anew before
//! it works off what it has read, and before its next ping. What it must be told comes at once, from outside.

use std::sync::atomic::{AtomicBool, Ordering};

use dunlin_api::{CloseReason, Denied, QueueName, Sid, Subject};
use dunlin_wire::Quoted;
use dunlin_wire::client::write;

use crate::control::Control;
use crate::session::Client;
use crate::settings;

/// The note of a reload.
#[derive(Default)]
pub(crate) struct News(AtomicBool);

impl News {
    /// Leaves the note. Release: who finds it finds the configuration behind it.
    pub(crate) fn announce(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Takes the note, if there is one. One relaxed load when not.
    #[inline]
    fn take(&self) -> bool {
        self.0.load(Ordering::Relaxed) && self.0.swap(false, Ordering::AcqRel)
    }
}

impl Client {
    /// Takes limits and times over if the configuration has changed. Write deadlines stay those of the connection.
    #[inline]
    pub(crate) fn take_news(&mut self) {
        if self.control.news.take() {
            self.take_over();
        }
    }

    #[cold]
    fn take_over(&mut self) {
        self.config = self.broker.config();
        let config = &self.config;
        self.decoder.limits.control_line = settings::control_line(config);
        self.decoder.limits.payload = match &self.session {
            Some(session) => session.max_payload(),
            None => config.max_payload.into(),
        };
        self.pinger.change(config.ping_interval, config.ping_max);
        self.control.change_payload(self.decoder.limits.payload);
    }
}

impl Control {
    /// What the client is told, and the log, before a connection is closed from outside.
    pub(crate) fn last_words(&self, reason: CloseReason) {
        match reason {
            CloseReason::MaxConnectionsExceeded => {
                let text = "maximum connections exceeded";
                self.tracer.log().error_seldom(text, self.tracer.env().now());
                self.tell(text);
            }
            CloseReason::AuthenticationViolation
            | CloseReason::ProxyNotTrusted
            | CloseReason::ProxyRequired => {
                self.report_authentication_error();
                self.tell("Authorization Violation");
            }
            CloseReason::MaxAccountConnectionsExceeded => {
                let text = Denied::AccountConnections.to_string();
                self.tracer.log().error_seldom(&text, self.tracer.env().now());
                self.report_authentication_error();
                self.tell(&text);
            }
            _ => {}
        }
    }

    /// CORE-23
    fn report_authentication_error(&self) {
        match self.user() {
            Some(user) => self
                .tracer
                .log()
                .error(format_args!("authentication error - {user}")),
            None => self.tracer.log().error(format_args!("authentication error")),
        }
    }

    /// AUTH-215
    pub(crate) fn forbid(&self, subject: Subject<'_>, queue: Option<&QueueName>, sid: &Sid) {
        let mut what = Quoted(subject.as_bytes()).to_string();
        if let Some(queue) = queue {
            what = format!("{what} using queue {}", Quoted(queue.as_bytes()));
        }
        let sid = Quoted(sid.as_bytes());
        let user = self.user().unwrap_or_else(|| "User \"N/A\"".to_owned());
        self.tell(&format!(
            "Permissions Violation for Subscription to {what} (sid {sid})"
        ));
        self.tracer.env().log().notice(format_args!(
            "Removed sub {what} (sid {sid}) for {user} - not authorized"
        ));
    }

    fn tell(&self, text: &str) {
        let Some(output) = self.output() else { return };
        self.tracer.outgoing("-ERR", text.as_bytes());
        let mut line = Vec::new();
        write::err(&mut line, text.as_bytes());
        output.send(&line);
    }
}
