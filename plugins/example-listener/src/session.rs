//! One connection: lines in, lines out.

use std::io::{self, IoSlice};
use std::sync::Arc;

use dunlin_api::{
    Broker, CloseReason, Connection, ConnectionType, Inbox, LoginAttempt, Message, OwnedMessage, Session,
    SessionAbout, SessionControl, SessionFlags, SessionRequest, Sid, Socket, Subject, readable, writable,
};
use tokio::sync::Notify;
use tokio::sync::mpsc::Receiver;

/// Longest line, in bytes.
const LINE_BYTES: usize = 8 * 1024;

/// Messages that may wait for the peer. More are refused: they are for nobody else.
const QUEUE: usize = 1024;

/// Serves one connection until it ends.
pub(crate) async fn run(connection: Connection, broker: &Broker) {
    let admission = broker.admit();
    let stream = connection.stream.as_ref();
    if admission.is_over_limit() {
        // The peer is about to be closed; whether it reads this is its own affair.
        let _ = write(stream, b"error too many connections\n").await;
        return stream.shutdown();
    }
    let attempt = LoginAttempt::anonymous(connection.peer, ConnectionType::Plugin("line"));
    let Ok(login) = broker.auth().decide(&attempt).await else {
        let _ = write(stream, b"error not authorized\n").await;
        return stream.shutdown();
    };
    let (inbox, mut messages) = Inbox::new(QUEUE);
    let control = Arc::new(Control::default());
    let about = SessionAbout {
        kind: "line",
        peer: Some(connection.peer),
        ..SessionAbout::default()
    };
    let opened = broker.open(SessionRequest {
        id: admission.id(),
        login,
        receiver: inbox,
        control: control.clone(),
        flags: SessionFlags::default(),
        about,
    });
    if let Ok(session) = opened {
        let mut line = Line {
            session,
            next_sid: 1,
            pending: Vec::new(),
        };
        // How it ended is shown by the connection's end.
        let _ = line.serve(stream, &mut messages, &control).await;
    }
    stream.shutdown();
}

/// The broker's wish that the connection ends.
#[derive(Default)]
struct Control(Notify);

impl SessionControl for Control {
    fn close(&self, _: CloseReason) {
        self.0.notify_one();
    }

    fn announce_lame_duck(&self) {
        // This protocol has no word for it; the peer reconnects when the connection ends.
    }
}

struct Line {
    session: Session,
    next_sid: u32,
    /// Bytes of an unfinished line.
    pending: Vec<u8>,
}

impl Line {
    async fn serve(
        &mut self,
        stream: &dyn Socket,
        messages: &mut Receiver<OwnedMessage>,
        control: &Control,
    ) -> io::Result<()> {
        loop {
            tokio::select! {
                biased;
                () = control.0.notified() => return Ok(()),
                Some(message) = messages.recv() => write(stream, &show(&message)).await?,
                ready = readable(stream) => {
                    ready?;
                    if !self.read(stream).await? {
                        return Ok(());
                    }
                }
            }
        }
    }

    /// Reads what is there and obeys whole lines; false at the end.
    async fn read(&mut self, stream: &dyn Socket) -> io::Result<bool> {
        let mut buffer = [0; 1024];
        let count = match stream.try_read(&mut buffer) {
            Ok(0) => return Ok(false),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(true),
            Err(error) => return Err(error),
        };
        self.pending
            .extend_from_slice(buffer.get(..count).unwrap_or_default());
        while let Some(end) = self.pending.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.pending.drain(..=end).collect();
            let line = line.trim_ascii_end();
            if line == b"quit" {
                return Ok(false);
            }
            let answer = match self.obey(line) {
                Ok(answer) => answer,
                Err(text) => format!("error {text}\n"),
            };
            write(stream, answer.as_bytes()).await?;
        }
        if self.pending.len() > LINE_BYTES {
            write(stream, b"error line too long\n").await?;
            return Ok(false);
        }
        Ok(true)
    }

    fn obey(&mut self, line: &[u8]) -> Result<String, String> {
        let (verb, rest) = split_word(line);
        match verb {
            b"publish" => {
                let (subject, text) = split_word(rest);
                let published = self.session.publish_one(subject_of(subject)?, Message::new(text));
                published
                    .map(|()| "ok\n".to_owned())
                    .map_err(|refusal| refusal.to_string())
            }
            b"subscribe" => {
                let sid = self.next_sid;
                let subscribed = self.session.subscribe(subject_of(rest)?, None, &sid_of(sid)?);
                subscribed.map_err(|error| error.to_string())?;
                self.next_sid += 1;
                Ok(format!("ok {sid}\n"))
            }
            b"unsubscribe" => {
                let number = std::str::from_utf8(rest).ok().and_then(|text| text.parse().ok());
                self.session
                    .unsubscribe(&sid_of(number.ok_or("a number is missing")?)?, None);
                Ok("ok\n".to_owned())
            }
            b"" => Ok(String::new()),
            _ => Err("say publish, subscribe, unsubscribe or quit".to_owned()),
        }
    }
}

fn split_word(line: &[u8]) -> (&[u8], &[u8]) {
    match line.iter().position(|byte| *byte == b' ') {
        Some(at) => (
            line.get(..at).unwrap_or_default(),
            line.get(at + 1..).unwrap_or_default(),
        ),
        None => (line, b""),
    }
}

fn subject_of(word: &[u8]) -> Result<Subject<'_>, String> {
    Subject::new(word).map_err(|error| format!("subject: {error}"))
}

fn sid_of(number: u32) -> Result<Sid, String> {
    Sid::new(number.to_string().as_bytes()).map_err(|error| error.to_string())
}

/// A message as a line of its own: whatever the payload holds, it begins no other line.
fn show(message: &OwnedMessage) -> Vec<u8> {
    let mut line = b"message ".to_vec();
    line.extend_from_slice(message.subject.as_bytes());
    line.push(b' ');
    line.extend(
        message
            .payload
            .iter()
            .map(|byte| if *byte == b'\n' { b' ' } else { *byte }),
    );
    line.push(b'\n');
    line
}

async fn write(stream: &dyn Socket, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match stream.try_write_vectored(&[IoSlice::new(bytes)]) {
            Ok(count) => bytes = bytes.get(count..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => writable(stream).await?,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
