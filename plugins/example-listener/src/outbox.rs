//! What goes to a peer: lines that anybody may add, written by the session's own task.

use std::io::{self, IoSlice};
use std::net::SocketAddr;

use dunlin_api::{CloseReason, ConnectionStatus, Deliver, Delivery, SessionControl, Socket, Turn, writable};
use parking_lot::Mutex;
use tokio::sync::Notify;

/// A bounded queue of lines. It ends once, for the first reason given; after that nothing is added.
pub(crate) struct Outbox {
    queue: Mutex<Queue>,
    limit: usize,
    peer: SocketAddr,
    /// There is something to write, or the end.
    changed: Notify,
    ended: Notify,
}

#[derive(Default)]
struct Queue {
    bytes: Vec<u8>,
    end: Option<CloseReason>,
}

impl Outbox {
    /// A queue for `limit` bytes, and one message beyond that.
    pub(crate) fn new(limit: usize, peer: SocketAddr) -> Self {
        Self {
            queue: Mutex::default(),
            limit,
            peer,
            changed: Notify::new(),
            ended: Notify::new(),
        }
    }

    /// Adds a line, unless the queue has ended.
    pub(crate) fn say(&self, line: &str) {
        self.add(&mut self.queue.lock(), &[line.as_bytes()]);
    }

    /// Ends the queue. What is in it is still written, and the reason last.
    pub(crate) fn end(&self, reason: CloseReason) {
        self.end_locked(&mut self.queue.lock(), reason);
    }

    /// Why it ended, once it has.
    pub(crate) fn end_reason(&self) -> Option<CloseReason> {
        self.queue.lock().end
    }

    /// Waits for the end. For one waiter.
    pub(crate) async fn ended(&self) {
        self.ended.notified().await;
    }

    /// Writes until the queue has ended and is empty, or the peer is gone. For one writer.
    pub(crate) async fn write_to(&self, stream: &dyn Socket) {
        while let Some(bytes) = self.take() {
            if bytes.is_empty() {
                self.changed.notified().await;
            } else if write(stream, &bytes).await.is_err() {
                return;
            }
        }
    }

    /// What is to be written now; `None` when nothing will come any more.
    fn take(&self) -> Option<Vec<u8>> {
        let mut queue = self.queue.lock();
        let bytes = std::mem::take(&mut queue.bytes);
        (!bytes.is_empty() || queue.end.is_none()).then_some(bytes)
    }

    /// Adds a line made of `parts`; whether there was room. Too little room ends the queue.
    fn add(&self, queue: &mut Queue, parts: &[&[u8]]) -> bool {
        if queue.end.is_some() {
            return false;
        }
        let length: usize = parts.iter().map(|part| part.len()).sum();
        // An empty queue takes a line of any length, or the longest message could never be delivered.
        if !queue.bytes.is_empty() && queue.bytes.len().saturating_add(length) > self.limit {
            // Nobody reads this; what the peer misses is for it to notice.
            queue.bytes = Vec::new();
            self.end_locked(queue, CloseReason::SlowConsumerPendingBytes);
            return false;
        }
        for part in parts {
            let shown = part.iter().map(|byte| match byte {
                b'\r' | b'\n' => b' ',
                other => *other,
            });
            queue.bytes.extend(shown);
        }
        queue.bytes.push(b'\n');
        self.changed.notify_one();
        true
    }

    fn end_locked(&self, queue: &mut Queue, reason: CloseReason) {
        if queue.end.is_some() {
            return;
        }
        queue.end = Some(reason);
        if reason != CloseReason::ClientClosed {
            queue
                .bytes
                .extend_from_slice(format!("error {reason}\n").as_bytes());
        }
        self.changed.notify_one();
        self.ended.notify_one();
    }
}

/// Runs on the publisher's thread: encodes and returns.
impl Deliver for Outbox {
    fn deliver(&self, delivery: &Delivery<'_>, _: &mut Turn) -> usize {
        let mut queue = self.queue.lock();
        if queue.end.is_some() {
            return 0;
        }
        // Under the lock that orders this peer's messages, so that counts are exact.
        let count = delivery.take();
        let subject = delivery.subject.as_bytes();
        let messages = delivery.messages.iter().take(count);
        messages
            .take_while(|message| {
                let parts = [&b"message "[..], subject, b" ", message.payload()];
                self.add(&mut queue, &parts)
            })
            .count()
    }
}

impl SessionControl for Outbox {
    fn close(&self, reason: CloseReason) {
        self.end(reason);
    }

    fn announce_lame_duck(&self) -> bool {
        // This protocol has no word for it; the peer comes back when the connection ends.
        false
    }

    fn status(&self) -> ConnectionStatus {
        ConnectionStatus {
            kind: "Client",
            protocol: "line",
            peer: Some(self.peer),
            pending_bytes: self.queue.lock().bytes.len(),
            ..ConnectionStatus::default()
        }
    }
}

/// Writes everything, as the stream takes it.
pub(crate) async fn write(stream: &dyn Socket, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match stream.try_write_vectored(&[IoSlice::new(bytes)]) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => bytes = bytes.get(count..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => writable(stream).await?,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
