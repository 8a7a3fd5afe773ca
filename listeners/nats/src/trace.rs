//! Protocol lines of one connection in the log, as `-V` shows them (CORE-141): `<<-` what the client sent, `->>` what it
//! is sent, `<->` what the server does by itself. Credentials are cut out.
//!
//! Costs one relaxed load a batch while it is off, and nothing a message.

use std::sync::Arc;

use dunlin_api::{Broker, ConnectionLog, Env, Subject};
use dunlin_wire::client::Frame;
use dunlin_wire::{Quoted, Shown};

use crate::redact::without_secrets;

/// Writes the trace of one connection.
pub(crate) struct Tracer {
    log: Arc<ConnectionLog>,
    broker: Broker,
}

impl Tracer {
    pub(crate) fn new(log: Arc<ConnectionLog>, broker: Broker) -> Self {
        Self { log, broker }
    }

    /// The connection's log.
    pub(crate) fn log(&self) -> &ConnectionLog {
        &self.log
    }

    /// The world of the connection's broker.
    pub(crate) fn env(&self) -> &Env {
        self.broker.env()
    }

    /// Whether anything is traced now. One relaxed load.
    #[inline]
    pub(crate) fn is_on(&self) -> bool {
        self.log.is_trace()
    }

    /// An operation of the client, with the bytes that it was decoded from. Acknowledgements, errors and INFO of a client
    /// are not shown, nor is `HMSG`.
    pub(crate) fn incoming(&self, frame: &Frame<'_>, raw: &[u8]) {
        match frame {
            Frame::Ping => self.line("<<- [PING]", b""),
            Frame::Pong => self.line("<<- [PONG]", b""),
            Frame::Connect(json) => self.operation("CONNECT", &without_secrets(json)),
            Frame::Subscribe(_) => self.operation("SUB", words(raw, 3)),
            Frame::Unsubscribe(_) => self.operation("UNSUB", words(raw, 5)),
            Frame::Publish(publish) => {
                match publish.content.header_size() {
                    Some(_) => self.operation("HPUB", words(raw, 4)),
                    None => self.operation("PUB", words(raw, 3)),
                }
                let headers = publish.content.header_size().map_or(0, |size| size.len());
                self.payload("<<-", publish.content.bytes(), headers);
            }
            Frame::Ok | Frame::Err(_) | Frame::Info(_) | Frame::HeaderMsg => {}
        }
    }

    /// An operation whose line was whole but refused, at the front of what is left of the input.
    pub(crate) fn refused(&self, front: &[u8]) {
        let line = front.split(|byte| *byte == b'\n').next().unwrap_or_default();
        for verb in ["PUB", "HPUB", "SUB", "UNSUB"] {
            let is_it = line
                .get(..verb.len())
                .is_some_and(|word| word.eq_ignore_ascii_case(verb.as_bytes()));
            if is_it && matches!(line.get(verb.len()), Some(b' ' | b'\t')) {
                self.operation(verb, words(front, verb.len()));
            }
        }
    }

    /// A line that the client is sent, without its end: `OK`, `PONG`, `PING`, or `-ERR` with its text.
    pub(crate) fn outgoing(&self, verb: &str, text: &[u8]) {
        if self.is_on() {
            let blank = if text.is_empty() { "" } else { " " };
            self.log.trace(format_args!("->> [{verb}{blank}{}]", Shown(text)));
        }
    }

    /// A message that the client is sent, as encoded.
    pub(crate) fn delivered(&self, encoded: &[u8], headers: usize) {
        let end = encoded.windows(2).position(|pair| pair == b"\r\n");
        let (head, rest) = encoded.split_at(end.unwrap_or(encoded.len()));
        self.log.trace(format_args!("->> [{}]", Shown(head)));
        let body = rest.get(2..rest.len().saturating_sub(2)).unwrap_or_default();
        self.payload("->>", body, headers);
    }

    /// Where a mapping sends what the client publishes; nowhere, if it is dropped (CORE-111).
    pub(crate) fn mapped(&self, from: Subject<'_>, to: Option<Subject<'_>>) {
        let to = to.map(|to| to.as_bytes()).unwrap_or_default();
        let from = Shown(from.as_bytes());
        self.log
            .trace(format_args!("<<- [MAPPING {from} -> {}]", Shown(to)));
    }

    /// A subscription that has ended.
    pub(crate) fn ended(&self, sid: &[u8]) {
        if self.is_on() {
            self.line("<-> [DELSUB ", sid);
        }
    }

    fn operation(&self, verb: &str, words: &[u8]) {
        self.log.trace(format_args!("<<- [{verb} {}]", Shown(words)));
    }

    fn line(&self, text: &str, word: &[u8]) {
        let end = if word.is_empty() { "" } else { "]" };
        self.log.trace(format_args!("{text}{}{end}", Shown(word)));
    }

    /// The content of a message, as far as the configuration wants it: its headers alone, or its first bytes.
    fn payload(&self, arrow: &str, content: &[u8], headers: usize) {
        let config = self.broker.config();
        let shown = if config.trace_headers {
            let headers = content.get(..headers).unwrap_or_default();
            headers.strip_suffix(b"\r\n\r\n").unwrap_or(headers)
        } else {
            content
        };
        if shown.is_empty() {
            return;
        }
        let most = usize::try_from(config.max_traced_msg_len).unwrap_or(0);
        match shown.get(..most).filter(|_| most > 0 && shown.len() > most) {
            None => self
                .log
                .trace(format_args!("{arrow} MSG_PAYLOAD: [{}]", Quoted(shown))),
            Some(first) => {
                let quoted = Quoted(first).to_string();
                let inner = quoted.trim_start_matches('"');
                let inner = inner.strip_suffix('"').unwrap_or(inner);
                self.log
                    .trace(format_args!("{arrow} MSG_PAYLOAD: [\"{inner}...\"]"));
            }
        }
    }
}

/// The words behind the verb of a line, as they were sent.
fn words(raw: &[u8], verb: usize) -> &[u8] {
    let line = raw.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let words = line.get(verb..).unwrap_or_default();
    let blanks = words
        .iter()
        .take_while(|byte| matches!(byte, b' ' | b'\t'))
        .count();
    words.get(blanks..).unwrap_or_default()
}
