//! Messages on their way: borrowed while they travel, owned once somebody keeps them.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use dunlin_subject::{Sid, Subject, SubjectBuf};

use crate::shard::Turn;

/// One message without its subject, borrowed from the buffer that it was read into.
#[derive(Clone, Copy, Debug, Default)]
pub struct Message<'a> {
    /// Where an answer is wanted.
    pub reply: Option<Subject<'a>>,
    /// Header block and payload, in this order, without the closing CRLF.
    pub data: &'a [u8],
    /// Bytes of the header block in `data`; 0 means that there is none (CORE-35).
    pub header_len: usize,
    /// See [`Message::wire`].
    wire: &'a [u8],
}

impl<'a> Message<'a> {
    /// A message without headers and reply.
    pub fn new(payload: &'a [u8]) -> Self {
        Self {
            data: payload,
            ..Self::default()
        }
    }

    /// A message with a header block of `header_len` bytes in front of its payload.
    pub fn with_headers(data: &'a [u8], header_len: usize) -> Self {
        Self {
            data,
            header_len,
            ..Self::default()
        }
    }

    /// A message that a NATS codec has decoded, with the bytes that it was decoded from: see [`Message::wire`]. Whoever calls
    /// this vouches that `wire` says the same as the other arguments.
    pub fn decoded(reply: Option<Subject<'a>>, data: &'a [u8], header_len: usize, wire: &'a [u8]) -> Self {
        Self {
            reply,
            data,
            header_len,
            wire,
        }
    }

    /// The message as its publisher wrote it in the NATS protocol, from behind the subject to the last line end; empty if it
    /// did not come that way. NATS receivers get it whole, sizes as sent included (CORE-25), for the price of a copy.
    pub fn wire(&self) -> &'a [u8] {
        self.wire
    }

    /// The same message, asking for an answer at `reply`.
    pub fn with_reply(self, reply: Subject<'a>) -> Self {
        Self {
            reply: Some(reply),
            ..self
        }
    }

    /// The header block, empty when there is none.
    pub fn headers(&self) -> &'a [u8] {
        self.data.get(..self.header_len).unwrap_or_default()
    }

    /// What follows the header block.
    pub fn payload(&self) -> &'a [u8] {
        self.data.get(self.header_len..).unwrap_or_default()
    }
}

/// Messages that one subscription gets at once: consecutive publishes to one subject.
#[derive(Clone, Copy)]
pub struct Delivery<'a> {
    /// The receiver's own name of the subscription.
    pub sid: &'a Sid,
    /// The published subject.
    pub subject: Subject<'a>,
    /// The messages, in order; never empty.
    pub messages: &'a [Message<'a>],
    /// How many the subscription may still get. `None`: outside its count (CORE-61).
    pub quota: Option<&'a Quota>,
}

impl Delivery<'_> {
    /// How many of the messages the subscription takes, from the front; they are counted as delivered.
    /// Call it once, under the lock that orders this receiver's messages, so that counts are exact (CORE-43).
    pub fn take(&self) -> usize {
        self.quota
            .map_or(self.messages.len(), |quota| quota.take(self.messages.len()))
    }
}

/// Where a subscription's messages go.
///
/// Called on the publisher's thread, inside its batch: an implementation only encodes or enqueues. It must not
/// wait, publish or subscribe.
pub trait Deliver: Send + Sync + 'static {
    /// Takes messages; returns how many, from the front (0 when it is closed). An output that now has bytes to
    /// write is noted in `turn`.
    fn deliver(&self, delivery: &Delivery<'_>, turn: &mut Turn) -> usize;

    /// A message of this session has passed its checks and is about to be delivered. Called only for sessions that
    /// asked for it ([`crate::SessionFlags::acknowledge`]), which NATS clients call verbose.
    fn accepted(&self, turn: &mut Turn) {
        let _ = turn;
    }

    /// What this session publishes to `from` goes to `to`, by a mapping of its account, or is dropped (`None`). Called
    /// while trace lines are written, before the messages are delivered.
    fn mapped(&self, from: Subject<'_>, to: Option<Subject<'_>>) {
        let _ = (from, to);
    }

    /// A subscription has ended: by the client's word, with its last message, or with its session. For traces.
    fn ended(&self, sid: &Sid) {
        let _ = sid;
    }
}

/// How many messages a subscription may get, and how many it got (CORE-42 to CORE-44).
#[derive(Debug, Default)]
pub struct Quota {
    /// 0: no limit.
    limit: AtomicU64,
    delivered: AtomicU64,
    closed: AtomicBool,
}

impl Quota {
    /// Takes up to `count`; see [`Delivery::take`]. The receiver's lock orders the calls, so relaxed atomics
    /// are exact.
    pub fn take(&self, count: usize) -> usize {
        if self.closed.load(Relaxed) {
            return 0;
        }
        let delivered = self.delivered.load(Relaxed);
        let limit = self.limit.load(Relaxed);
        let taken = if limit == 0 {
            count
        } else {
            count.min(left(limit, delivered))
        };
        self.delivered.store(delivered + taken as u64, Relaxed);
        taken
    }

    /// Messages delivered since the subscription began.
    pub fn delivered(&self) -> u64 {
        self.delivered.load(Relaxed)
    }

    /// Sets the total after which the subscription ends.
    pub fn set_limit(&self, limit: u64) {
        self.limit.store(limit, Relaxed);
    }

    /// The total after which the subscription ends; 0 for never.
    pub fn limit(&self) -> u64 {
        self.limit.load(Relaxed)
    }

    /// Whether the limit is reached.
    pub fn is_exhausted(&self) -> bool {
        let limit = self.limit.load(Relaxed);
        limit != 0 && self.delivered.load(Relaxed) >= limit
    }

    /// Nothing is delivered from here on.
    pub fn close(&self) {
        self.closed.store(true, Relaxed);
    }

    /// Whether [`Quota::close`] was called.
    pub fn is_closed(&self) -> bool {
        self.closed.load(Relaxed)
    }
}

fn left(limit: u64, delivered: u64) -> usize {
    usize::try_from(limit.saturating_sub(delivered)).unwrap_or(usize::MAX)
}

/// A message that somebody keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnedMessage {
    /// The subscription that it came by.
    pub sid: Sid,
    /// Its subject.
    pub subject: SubjectBuf,
    /// Where an answer is wanted.
    pub reply: Option<SubjectBuf>,
    /// The header block, empty when there is none.
    pub headers: Vec<u8>,
    /// The payload.
    pub payload: Vec<u8>,
}

/// A bounded queue of messages: the receiver for plugins that read messages in a task of their own.
///
/// A full queue refuses messages, which the publisher's statistics show; it never waits.
pub struct Inbox {
    sender: tokio::sync::mpsc::Sender<OwnedMessage>,
}

impl Inbox {
    /// A queue for `capacity` messages, and its reading end.
    pub fn new(capacity: usize) -> (std::sync::Arc<Self>, tokio::sync::mpsc::Receiver<OwnedMessage>) {
        let (sender, receiver) = tokio::sync::mpsc::channel(capacity.max(1));
        (std::sync::Arc::new(Self { sender }), receiver)
    }
}

impl Deliver for Inbox {
    fn deliver(&self, delivery: &Delivery<'_>, _: &mut Turn) -> usize {
        let mut taken = 0;
        for message in delivery.messages {
            let Ok(place) = self.sender.try_reserve() else {
                break;
            };
            if delivery.quota.is_some_and(|quota| quota.take(1) == 0) {
                break;
            }
            place.send(OwnedMessage {
                sid: delivery.sid.clone(),
                subject: delivery.subject.to_owned(),
                reply: message.reply.map(|reply| reply.to_owned()),
                headers: message.headers().to_vec(),
                payload: message.payload().to_vec(),
            });
            taken += 1;
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // CORE-43: deliveries beyond the limit are suppressed, and only deliveries count.
    #[test]
    fn a_quota_gives_exactly_its_limit() {
        let quota = Quota::default();
        assert_eq!(quota.take(2), 2);
        quota.set_limit(5);
        assert_eq!(quota.take(10), 3);
        assert!(quota.is_exhausted());
        assert_eq!(quota.take(1), 0);
        assert_eq!(quota.delivered(), 5);
    }

    #[test]
    fn a_closed_quota_gives_nothing() {
        let quota = Quota::default();
        quota.close();
        assert_eq!(quota.take(1), 0);
        assert_eq!(quota.delivered(), 0);
    }
}
