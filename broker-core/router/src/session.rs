//! The reading side of a session: what its own task does to the broker.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use dunlin_api::{
    Delivery, Env, Filter, Message, PublishRefusal, QueueName, Quota, Refused, Rng, SessionCore,
    SessionFlags, Sid, Subject, SubscribeError, Turn, fault,
};

use crate::cache::{Route, RouteCache};
use crate::connections::Entry;
use crate::deliver::{Origin, Walk};
use crate::mapping::{Destination, Drawer};
use crate::member::{Member, Subscription};
use crate::permit::Permit;
use crate::router::Shared;

pub(crate) struct RouterSession {
    pub(crate) shared: Arc<Shared>,
    /// Its connection; `None` for sessions of the broker's own.
    pub(crate) entry: Option<Arc<Entry>>,
    pub(crate) member: Arc<Member>,
    pub(crate) origin: Origin,
    /// The permit that this task has seen last, and its number.
    pub(crate) permit: Arc<Permit>,
    pub(crate) permit_number: u32,
    pub(crate) cache: RouteCache,
    /// Made when the first message meets a mapping that draws.
    pub(crate) drawer: Option<Box<Drawer>>,
    pub(crate) rng: Rng,
}

impl SessionCore for RouterSession {
    fn publish(
        &mut self,
        subject: Subject<'_>,
        messages: &[Message<'_>],
        turn: &mut Turn,
        refused: Refused<'_>,
    ) {
        let bytes = messages.iter().map(|message| message.data.len()).sum();
        self.member.traffic.count_in(messages.len(), bytes);
        self.see_permit();
        let member = &self.member;
        let rules = self.permit.rules.as_deref();
        let route = self.cache.route(subject, &member.account, rules);
        let env = &self.shared.env;
        let trace = |to: Option<Subject<'_>>| {
            if env.log().is_trace() {
                member.receiver.mapped(subject, to);
            }
        };
        // Allocates nothing as long as no subscription has got its last message.
        let mut exhausted = Vec::new();
        let mut sending = Sending {
            permit: &self.permit,
            env,
            member,
            origin: &self.origin,
            rng: &mut self.rng,
            turn,
            exhausted: &mut exhausted,
            refused,
        };
        match &route.destination {
            Destination::Itself => sending.send(subject, route, messages, 0),
            Destination::Other(other) => {
                trace(Some(other.as_subject()));
                sending.send(other.as_subject(), route, messages, 0);
            }
            Destination::Nowhere => {
                trace(None);
                sending.drop(subject, messages, 0);
            }
            Destination::Drawn(choices) => {
                let drawer = self.drawer.get_or_insert_with(|| Box::new(Drawer::new()));
                for (index, message) in messages.iter().enumerate() {
                    let message = std::slice::from_ref(message);
                    match drawer.draw(subject, choices, sending.rng) {
                        Some((drawn, cache)) => {
                            trace(Some(drawn));
                            let route = cache.route(drawn, &member.account, rules);
                            sending.send(drawn, route, message, index);
                        }
                        None => {
                            trace(None);
                            sending.drop(subject, message, index);
                        }
                    }
                }
            }
        }
        for subscription in exhausted {
            retire(&subscription);
        }
    }

    fn subscribe(
        &mut self,
        subject: Subject<'_>,
        queue: Option<&QueueName>,
        sid: &Sid,
    ) -> Result<(), SubscribeError> {
        self.see_permit();
        self.check_subscribe(subject, queue)?;
        fault::point("subscribe");
        if self.member.subscriptions.lock().contains(sid) {
            return Ok(());
        }
        let filter = Filter::try_from(subject)
            .map_err(|_| SubscribeError::InvalidSubject)?
            .to_owned();
        let rules = self.permit.rules.as_ref();
        let checks = rules.is_some_and(|rules| rules.checks_delivery(filter.as_filter(), queue));
        let subscription = Arc::new(Subscription {
            member: self.member.clone(),
            checks_delivery: AtomicBool::new(checks),
            filter,
            queue: queue.cloned(),
            sid: sid.clone(),
            quota: Quota::default(),
            is_indexed: AtomicBool::new(false),
        });
        self.member.subscriptions.lock().insert(sid, subscription.clone());
        self.member.account.insert(&subscription);
        fault::point("subscribed");
        // A reload may not have seen it, if it came between the check and here.
        if self.see_permit() {
            self.check_again(&subscription)?;
        }
        Ok(())
    }

    fn unsubscribe(&mut self, sid: &Sid, max: Option<u64>) {
        let Some(subscription) = self.member.subscriptions.lock().get(sid).cloned() else {
            return;
        };
        match max {
            Some(max) if max > subscription.quota.delivered() => {
                subscription.quota.set_limit(max);
                // Messages may have come between the look and the limit.
                if subscription.quota.is_exhausted() {
                    retire(&subscription);
                }
            }
            _ => retire(&subscription),
        }
    }

    fn set_flags(&mut self, flags: SessionFlags) {
        self.origin.flags = flags;
    }

    fn max_payload(&self) -> i64 {
        self.member.permit.with(|permit| permit.limits.payload)
    }

    fn is_over_subscription_limit(&self) -> bool {
        let count = self.member.subscriptions.lock().len() as u64;
        let limit = self.member.permit.with(|permit| permit.limits.subscriptions);
        limit.is_some_and(|limit| count >= limit)
    }
}

impl RouterSession {
    /// Looks whether a reload has put another permit in force; where its rules are other ones, routes are found anew.
    /// One load when not.
    #[inline]
    fn see_permit(&mut self) -> bool {
        let number = self.member.permit.number();
        if number == self.permit_number {
            return false;
        }
        self.permit_number = number;
        let permit = self.member.permit.load();
        if !permit.has_same_rules(&self.permit) {
            self.cache = RouteCache::new();
            self.drawer = None;
        }
        self.permit = permit;
        true
    }

    fn check_again(&self, subscription: &Arc<Subscription>) -> Result<(), SubscribeError> {
        let Some(rules) = &self.permit.rules else {
            return Ok(());
        };
        let (filter, queue) = (subscription.filter.as_filter(), subscription.queue.as_ref());
        let checks = rules.checks_delivery(filter, queue);
        if checks != subscription.checks_delivery.swap(checks, Relaxed) {
            // Since it was made, others may have kept routes to it that know only the old rules.
            self.member.account.forget_routes();
        }
        if rules.may_subscribe(filter.into(), queue) {
            return Ok(());
        }
        retire(subscription);
        Err(SubscribeError::Permission)
    }

    /// The checks of CORE-37 that come before the duplicate, in their order.
    fn check_subscribe(&self, subject: Subject<'_>, queue: Option<&QueueName>) -> Result<(), SubscribeError> {
        let is_reserved_queue = queue.is_some_and(|queue| queue.as_bytes() == b"_sys_");
        let rules = self.permit.rules.as_ref();
        if is_reserved_queue || rules.is_some_and(|rules| !rules.may_subscribe(subject, queue)) {
            return Err(SubscribeError::Permission);
        }
        if self
            .permit
            .limits
            .tokens
            .is_some_and(|limit| subject.tokens().count() > limit)
        {
            return Err(SubscribeError::TooManyTokens);
        }
        if self.is_over_subscription_limit() {
            return Err(SubscribeError::TooMany);
        }
        Ok(())
    }
}

impl Drop for RouterSession {
    fn drop(&mut self) {
        let subscriptions = self.member.account.remove_member(&self.member);
        if let Some(entry) = &self.entry {
            entry.leave(&self.member, &subscriptions);
            self.member.account.leave();
        }
        for subscription in &subscriptions {
            self.member.receiver.ended(&subscription.sid);
        }
    }
}

/// Messages of a session on their way: all but the route.
struct Sending<'a> {
    env: &'a Env,
    permit: &'a Permit,
    member: &'a Member,
    origin: &'a Origin,
    rng: &'a mut Rng,
    turn: &'a mut Turn,
    exhausted: &'a mut Vec<Arc<Subscription>>,
    refused: Refused<'a>,
}

impl Sending<'_> {
    /// Sends messages to `subject` along its route; `first` is the index of the first of them in its run.
    #[inline]
    fn send(&mut self, subject: Subject<'_>, route: &Route, messages: &[Message<'_>], first: usize) {
        let (member, flags) = (self.member, self.origin.flags);
        let mut walk = Walk {
            env: self.env,
            origin: self.origin,
            subject,
            rng: self.rng,
            turn: self.turn,
            exhausted: self.exhausted,
        };
        let gate = Gate {
            permit: self.permit,
            is_system: member.account.is_system,
            subject,
            may_publish: route.may_publish,
        };
        let is_plain = |message: &Message<'_>| message.reply.is_none();
        let asks_nobody = !flags.no_responders || messages.iter().all(is_plain);
        if gate.lets_all_pass(messages) && asks_nobody && !flags.acknowledge {
            walk.run(route, messages);
            return;
        }
        for (index, message) in messages.iter().enumerate() {
            if let Some(refusal) = gate.refuses(message, walk.env) {
                (self.refused)(first + index, refusal, subject, walk.turn);
                continue;
            }
            if flags.acknowledge {
                member.receiver.accepted(walk.turn);
            }
            if !walk.run(route, std::slice::from_ref(message)) && flags.no_responders {
                answer_nobody(member, subject.as_bytes(), message, walk.turn);
            }
        }
    }

    /// Does with messages that a mapping drops what is done with those that reach nobody. They have no subject any
    /// more, which only the answer to a request shows (AUTH-801).
    fn drop(&mut self, subject: Subject<'_>, messages: &[Message<'_>], first: usize) {
        let flags = self.origin.flags;
        for (index, message) in messages.iter().enumerate() {
            if message.reply.is_some_and(is_reserved_reply) {
                (self.refused)(first + index, PublishRefusal::Reply, subject, self.turn);
                continue;
            }
            if flags.acknowledge {
                self.member.receiver.accepted(self.turn);
            }
            if flags.no_responders {
                answer_nobody(self.member, b"", message, self.turn);
            }
        }
    }
}

/// The one decision about publishing, made for every message (CORE-47, AUTH-213).
struct Gate<'a> {
    permit: &'a Permit,
    is_system: bool,
    subject: Subject<'a>,
    may_publish: bool,
}

impl Gate<'_> {
    /// Whether a run of ordinary messages needs no look at each of them.
    fn lets_all_pass(&self, messages: &[Message<'_>]) -> bool {
        self.may_publish
            && !self.is_reserved_subject()
            && messages
                .iter()
                .all(|message| !message.reply.is_some_and(is_reserved_reply))
    }

    fn refuses(&self, message: &Message<'_>, env: &Env) -> Option<PublishRefusal> {
        if self.is_reserved_subject() || !(self.may_publish || self.is_granted(env)) {
            return Some(PublishRefusal::Subject);
        }
        message
            .reply
            .is_some_and(is_reserved_reply)
            .then_some(PublishRefusal::Reply)
    }

    fn is_granted(&self, env: &Env) -> bool {
        let grants = self.permit.grants.as_ref();
        grants.is_some_and(|grants| grants.lock().take(self.subject, env.now()))
    }

    fn is_reserved_subject(&self) -> bool {
        let subject = self.subject.as_bytes();
        match subject {
            [b'_', ..] => subject.starts_with(b"_GR_."),
            [b'$', ..] => subject.starts_with(b"$GR.") || (subject.starts_with(b"$NRG.") && !self.is_system),
            _ => false,
        }
    }
}

fn is_reserved_reply(reply: Subject<'_>) -> bool {
    let reply = reply.as_bytes();
    match reply {
        [b'_', ..] => reply.starts_with(b"_R_.") || reply.starts_with(b"_GR_."),
        [b'$', ..] => reply.starts_with(b"$JS.ACK.") || reply.starts_with(b"$GR."),
        _ => false,
    }
}

/// Tells the requester that nobody got its request, through its own plain subscription to the reply (CORE-61).
fn answer_nobody(member: &Member, subject: &[u8], request: &Message<'_>, turn: &mut Turn) {
    let Some(reply) = request.reply else { return };
    // One that has got its last message is retired only after the walk.
    let subscription = member.account.plain_of(member.id, reply);
    let Some(subscription) = subscription else { return };
    let mut status = b"NATS/1.0 503\r\nNats-Subject: ".to_vec();
    status.extend_from_slice(subject);
    status.extend_from_slice(b"\r\n\r\n");
    let message = Message::with_headers(&status, status.len());
    let delivery = Delivery {
        sid: &subscription.sid,
        subject: reply,
        messages: &[message],
        quota: None,
    };
    member.receiver.deliver(&delivery, turn);
}

/// Ends a subscription: nothing more is delivered, its interest is withdrawn, its id is free.
pub(crate) fn retire(subscription: &Arc<Subscription>) {
    subscription.quota.close();
    let member = &subscription.member;
    let is_known = {
        let mut subscriptions = member.subscriptions.lock();
        let is_known = subscriptions
            .get(&subscription.sid)
            .is_some_and(|known| Arc::ptr_eq(known, subscription));
        if is_known {
            subscriptions.remove(&subscription.sid);
        }
        is_known
    };
    member.account.remove(subscription);
    if is_known {
        member.receiver.ended(&subscription.sid);
    }
}
