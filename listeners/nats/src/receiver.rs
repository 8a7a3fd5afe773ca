//! What a NATS client gets: messages as `MSG` and `HMSG` lines in its output.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Weak};

use dunlin_api::{Deliver, Delivery, Flush as _, Logger, Message, Sid, Subject, Turn};
use dunlin_net::output::{Appender, Output};
use dunlin_wire::client::write::{self, MessageHead};
use dunlin_wire::{Arg, Content, Sink};

use crate::trace::Tracer;

/// Encodes deliveries for one client.
pub(crate) struct Receiver {
    /// Weak, so that a route that somebody still caches does not keep the socket of a client that has gone.
    output: Weak<Output>,
    /// Whether the client takes headers; without, it gets the payload alone (CORE-58).
    headers: AtomicBool,
    /// Asked for every run, so it must be near: all receivers share the one flag behind it.
    logger: Logger,
    tracer: Arc<Tracer>,
}

impl Receiver {
    pub(crate) fn new(output: &Arc<Output>, logger: Logger, tracer: Arc<Tracer>) -> Self {
        Self {
            output: Arc::downgrade(output),
            headers: AtomicBool::new(false),
            logger,
            tracer,
        }
    }

    pub(crate) fn set_headers(&self, headers: bool) {
        self.headers.store(headers, Relaxed);
    }
}

impl Deliver for Receiver {
    fn deliver(&self, delivery: &Delivery<'_>, turn: &mut Turn) -> usize {
        let Some(output) = self.output.upgrade() else {
            return 0;
        };
        if turn.skips_congested() && output.is_congested() {
            return 0;
        }
        let subject = Arg::new(delivery.subject.as_bytes());
        let (Some(subject), Some(sid)) = (subject, Arg::new(delivery.sid.as_bytes())) else {
            return 0;
        };
        let head = MessageHead::new(subject, sid, delivery.messages.len());
        let headers = self.headers.load(Relaxed);
        let is_traced = self.logger.is_trace();
        let encode = |appender: &mut Appender<'_>| {
            let wanted = delivery.take();
            let messages = delivery.messages.iter().take(wanted);
            messages
                .take_while(|message| {
                    if is_traced {
                        self.trace(&head, message, headers);
                    }
                    write_message(&mut Into(appender), &head, message, headers);
                    appender.commit()
                })
                .count()
        };
        output.append(turn, encode).unwrap_or(0)
    }

    fn accepted(&self, turn: &mut Turn) {
        let Some(output) = self.output.upgrade() else {
            return;
        };
        if self.logger.is_trace() {
            self.tracer.outgoing("OK", b"");
        }
        output.append(turn, |appender| {
            appender.put(write::OK);
            appender.commit()
        });
    }

    fn mapped(&self, from: Subject<'_>, to: Option<Subject<'_>>) {
        self.tracer.mapped(from, to);
    }

    fn ended(&self, sid: &Sid) {
        self.tracer.ended(sid.as_bytes());
    }
}

impl Receiver {
    #[cold]
    fn trace(&self, head: &MessageHead<'_>, message: &Message<'_>, headers: bool) {
        let mut encoded = Vec::new();
        write_message(&mut encoded, head, message, headers);
        self.tracer
            .delivered(&encoded, if headers { message.header_len } else { 0 });
    }
}

#[inline]
fn write_message(sink: &mut impl Sink, head: &MessageHead<'_>, message: &Message<'_>, headers: bool) {
    let has_headers = message.header_len > 0;
    if !message.wire().is_empty() && (headers || !has_headers) {
        head.write_tail(sink, has_headers, message.wire());
        return;
    }
    let reply = message.reply.and_then(|reply| Arg::new(reply.as_bytes()));
    let Some(content) = Content::with_headers(message.data, message.header_len) else {
        return;
    };
    let content = if headers {
        content
    } else {
        content.without_headers()
    };
    head.write(sink, reply, &content);
}

/// The output's end as a place for the writers of `dunlin-wire`.
pub(crate) struct Into<'a, 'b>(pub(crate) &'a mut Appender<'b>);

impl Sink for Into<'_, '_> {
    #[inline]
    fn put(&mut self, bytes: &[u8]) {
        self.0.put(bytes);
    }

    #[inline]
    fn put_all(&mut self, pieces: &[&[u8]]) {
        self.0.put_all(pieces);
    }
}
