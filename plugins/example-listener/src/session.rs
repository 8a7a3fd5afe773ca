//! One connection: reads lines, obeys them, answers.
//!
//! Reading and writing are two futures in one task, so a peer that does not read keeps nobody waiting but itself.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use dunlin_api::{
    Broker, CloseReason, Connection, ConnectionType, Credentials, Instant, LoginAttempt, Message, OpenError,
    Secret, Session, SessionFlags, SessionRequest, Sid, Subject, readable,
};

use crate::outbox::Outbox;

/// How long a peer may take for its last lines.
const LINGER: Duration = Duration::from_secs(1);

/// What a peer may cost, in bytes.
#[derive(Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) line: usize,
    pub(crate) pending: usize,
}

/// Serves one connection until it ends.
pub(crate) async fn run(connection: Connection, broker: &Broker, limits: Limits) {
    let admission = broker.admit();
    let outbox = Arc::new(Outbox::new(limits.pending, connection.peer));
    admission.register(outbox.clone());
    let mut peer = Peer {
        id: admission.id(),
        connection: &connection,
        broker,
        outbox: outbox.clone(),
        session: None,
        login_by: broker.env().now() + broker.config().auth_timeout(),
        max_line: limits.line,
        unread: Vec::new(),
        next_sid: 1,
    };
    let stream = connection.stream.as_ref();
    let mut writer = pin!(outbox.write_to(stream));
    if admission.is_over_limit() {
        outbox.end(CloseReason::MaxConnectionsExceeded);
    }
    let all_written = tokio::select! {
        biased;
        () = outbox.ended() => false, // The broker's wish, or a slow consumer.
        () = &mut writer => true, // The peer is gone.
        reason = peer.serve() => {
            outbox.end(reason);
            false
        }
    };
    // First the session, so that nothing is delivered any more; then the last lines.
    peer.session = None;
    if !all_written {
        broker.env().timeout(LINGER, writer).await;
    }
    stream.shutdown();
    admission.end(outbox.end_reason().unwrap_or(CloseReason::ClientClosed));
}

struct Peer<'a> {
    id: u64,
    connection: &'a Connection,
    broker: &'a Broker,
    outbox: Arc<Outbox>,
    /// None before the login.
    session: Option<Session>,
    login_by: Instant,
    max_line: usize,
    /// What was read and not obeyed yet: less than a line.
    unread: Vec<u8>,
    next_sid: u32,
}

impl Peer<'_> {
    /// Reads and obeys until there is a reason to end.
    async fn serve(&mut self) -> CloseReason {
        match self.converse().await {
            Err(reason) => reason,
            Ok(never) => match never {},
        }
    }

    async fn converse(&mut self) -> Result<std::convert::Infallible, CloseReason> {
        if !self.broker.auth().posture().required {
            self.login(Credentials::default()).await?;
        }
        loop {
            self.wait().await?;
            self.read()?;
            while let Some(line) = self.next_line() {
                match self.obey(line.trim_ascii_end()).await? {
                    Ok(answer) => self.outbox.say(&answer),
                    Err(text) => self.outbox.say(&format!("error {text}")),
                }
            }
            if self.unread.len() > self.max_line {
                return Err(CloseReason::MaxControlLineExceeded);
            }
        }
    }

    /// Waits for bytes; before the login not for ever.
    async fn wait(&mut self) -> Result<(), CloseReason> {
        tokio::select! {
            biased;
            ready = readable(self.connection.stream.as_ref()) => ready.map_err(|_| CloseReason::ReadError),
            () = self.broker.env().sleep_until(self.login_by), if self.session.is_none() => {
                Err(CloseReason::AuthenticationTimeout)
            }
        }
    }

    fn read(&mut self) -> Result<(), CloseReason> {
        let mut buffer = [0; 1024];
        match self.connection.stream.try_read(&mut buffer) {
            Ok(0) => Err(CloseReason::ClientClosed),
            Ok(count) => {
                self.unread.extend(buffer.iter().take(count));
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            Err(_) => Err(CloseReason::ReadError),
        }
    }

    fn next_line(&mut self) -> Option<Vec<u8>> {
        let end = self.unread.iter().position(|byte| *byte == b'\n')?;
        Some(self.unread.drain(..=end).collect())
    }

    /// Obeys one line: the answer, or what is wrong with it, or why the connection ends.
    async fn obey(&mut self, line: &[u8]) -> Result<Result<String, String>, CloseReason> {
        let (verb, rest) = split_word(line);
        match verb {
            b"quit" => Err(CloseReason::ClientClosed),
            b"login" if self.session.is_some() => Ok(Err("logged in already".to_owned())),
            b"login" => {
                self.login(credentials(rest)).await?;
                Ok(Ok("ok".to_owned()))
            }
            _ => match &mut self.session {
                None => Err(CloseReason::AuthenticationViolation),
                Some(session) => Ok(command(session, &mut self.next_sid, verb, rest)),
            },
        }
    }

    /// Asks the auth provider and opens the session. One attempt: a stranger does not get to guess.
    async fn login(&mut self, credentials: Credentials) -> Result<(), CloseReason> {
        let peer = self.connection.peer;
        let attempt = LoginAttempt {
            credentials,
            ..LoginAttempt::anonymous(peer, ConnectionType::Plugin("line"))
        };
        let auth = self.broker.auth();
        let left = self.login_by - self.broker.env().now();
        let decided = self.broker.env().timeout(left, auth.decide(&attempt)).await;
        let login = decided
            .ok_or(CloseReason::AuthenticationTimeout)?
            .map_err(|_| CloseReason::AuthenticationViolation)?;
        let opened = self.broker.open(SessionRequest {
            id: self.id,
            login,
            receiver: self.outbox.clone(),
            control: self.outbox.clone(),
            flags: SessionFlags::default(),
        });
        self.session = Some(opened.map_err(|error| match error {
            OpenError::AccountConnections => CloseReason::MaxAccountConnectionsExceeded,
            OpenError::ShuttingDown => CloseReason::ServerShutdown,
            _ => CloseReason::AuthenticationViolation,
        })?);
        Ok(())
    }
}

fn command(session: &mut Session, next_sid: &mut u32, verb: &[u8], rest: &[u8]) -> Result<String, String> {
    match verb {
        b"publish" => {
            let (subject, text) = split_word(rest);
            let subject = subject_of(subject)?;
            // A negative limit is none.
            if u64::try_from(session.max_payload()).is_ok_and(|most| text.len() as u64 > most) {
                return Err("text too long".to_owned());
            }
            let published = session.publish_one(subject, Message::new(text));
            published.map_err(|refusal| refusal.to_string())?;
            Ok("ok".to_owned())
        }
        b"subscribe" => {
            let sid = *next_sid;
            let subscribed = session.subscribe(subject_of(rest)?, None, &sid_of(sid)?);
            subscribed.map_err(|error| error.to_string())?;
            *next_sid = sid.saturating_add(1);
            Ok(format!("ok {sid}"))
        }
        b"unsubscribe" => {
            let number = std::str::from_utf8(rest).ok().and_then(|text| text.parse().ok());
            session.unsubscribe(&sid_of(number.ok_or("a number is missing")?)?, None);
            Ok("ok".to_owned())
        }
        _ => Err("say login, publish, subscribe, unsubscribe or quit".to_owned()),
    }
}

/// One word is a token, two are user and password.
fn credentials(words: &[u8]) -> Credentials {
    let (first, second) = split_word(words);
    let text = |word| String::from_utf8_lossy(word).into_owned();
    if second.is_empty() {
        Credentials {
            token: Secret::new(text(first)),
            ..Credentials::default()
        }
    } else {
        Credentials {
            user: text(first),
            password: Secret::new(text(second)),
            ..Credentials::default()
        }
    }
}

/// The first word, and what follows the space behind it.
fn split_word(line: &[u8]) -> (&[u8], &[u8]) {
    let end = line.iter().position(|byte| *byte == b' ');
    let (word, rest) = line.split_at(end.unwrap_or(line.len()));
    (word, rest.get(1..).unwrap_or_default())
}

fn subject_of(word: &[u8]) -> Result<Subject<'_>, String> {
    Subject::new(word).map_err(|error| error.to_string())
}

fn sid_of(number: u32) -> Result<Sid, String> {
    Sid::new(number.to_string().as_bytes()).map_err(|error| error.to_string())
}
