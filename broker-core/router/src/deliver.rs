//! The one function that walks a route and hands messages to its subscriptions.
//!
//! Receivers outside, messages inside: a run costs one append per receiver. A receiver that panics loses its own
//! session, and nobody else's.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use dunlin_api::{CloseReason, Delivery, Env, Message, Rng, SessionFlags, Subject, Turn, fault};
use dunlin_subject::QueueGroup;

use crate::cache::Route;
use crate::member::{Entry, Subscription};

/// Messages of a run that are spread over a queue group at once.
const SPREAD: usize = 64;

/// What an origin may reach, made once when its session opens.
pub(crate) struct Origin {
    pub(crate) id: u64,
    pub(crate) flags: SessionFlags,
}

/// One walk: the messages, and what it leaves behind.
pub(crate) struct Walk<'a> {
    pub(crate) env: &'a Env,
    pub(crate) origin: &'a Origin,
    pub(crate) subject: Subject<'a>,
    pub(crate) rng: &'a mut Rng,
    pub(crate) turn: &'a mut Turn,
    /// Subscriptions that have had their last message.
    pub(crate) exhausted: &'a mut Vec<Arc<Subscription>>,
}

impl Walk<'_> {
    /// Delivers a run along `route`. True when at least one message reached somebody (CORE-62).
    pub(crate) fn run(&mut self, route: &Route, messages: &[Message<'_>]) -> bool {
        let mut reached = false;
        for Entry(subscription) in &route.matches.plain {
            reached |= self.hand_over(subscription, messages) > 0;
        }
        for group in &route.matches.queues {
            reached |= match messages {
                [_] => self.draw(group, messages, None),
                _ => self.spread(group, messages),
            };
        }
        reached
    }

    /// One member of the group gets the message: a random one, else the next that takes it (CORE-54).
    fn draw(&mut self, group: &QueueGroup<Entry>, message: &[Message<'_>], first: Option<usize>) -> bool {
        let members = &group.members;
        let first = first
            .unwrap_or_else(|| self.rng.below(u32::try_from(members.len()).unwrap_or(u32::MAX)) as usize);
        let (before, after) = members.split_at(first.min(members.len()));
        after
            .iter()
            .chain(before)
            .any(|Entry(member)| self.hand_over(member, message) > 0)
    }

    /// Draws a member for each message, then hands every member its messages at once. Each member sees them in
    /// publish order, which is all that is promised (CORE-60).
    fn spread(&mut self, group: &QueueGroup<Entry>, messages: &[Message<'_>]) -> bool {
        let count = u32::try_from(group.members.len()).unwrap_or(u32::MAX);
        let mut reached = false;
        for block in messages.chunks(SPREAD) {
            let mut draws = [(0, 0); SPREAD];
            let draws = draws.get_mut(..block.len()).unwrap_or_default();
            for (index, draw) in draws.iter_mut().enumerate() {
                *draw = (self.rng.below(count) as usize, index);
            }
            draws.sort_unstable();
            for share in draws.chunk_by(|a, b| a.0 == b.0) {
                reached |= self.hand_share(group, block, share);
            }
        }
        reached
    }

    fn hand_share(
        &mut self,
        group: &QueueGroup<Entry>,
        block: &[Message<'_>],
        share: &[(usize, usize)],
    ) -> bool {
        let mut mine = [Message::default(); SPREAD];
        for (slot, (_, index)) in mine.iter_mut().zip(share) {
            *slot = block.get(*index).copied().unwrap_or_default();
        }
        let mine = mine.get(..share.len()).unwrap_or_default();
        let Some((member, _)) = share.first() else {
            return false;
        };
        let taken = match group.members.get(*member) {
            Some(Entry(subscription)) => self.hand_over(subscription, mine),
            None => 0,
        };
        let mut reached = taken > 0;
        // What this member did not take goes to the next that does.
        for message in mine.get(taken..).unwrap_or_default() {
            reached |= self.draw(group, std::slice::from_ref(message), Some(member + 1));
        }
        reached
    }

    /// Hands messages to one subscription; returns how many it took.
    fn hand_over(&mut self, subscription: &Arc<Subscription>, messages: &[Message<'_>]) -> usize {
        let member = &subscription.member;
        if !self.origin.flags.echo && member.id == self.origin.id {
            return 0;
        }
        let delivery = Delivery {
            sid: &subscription.sid,
            subject: self.subject,
            messages,
            quota: Some(&subscription.quota),
        };
        let taken = self.deliver(subscription, &delivery);
        if taken > 0 {
            let messages = messages.get(..taken).unwrap_or_default();
            member
                .traffic
                .count_out(taken, messages.iter().map(|message| message.data.len()).sum());
            self.grant_replies(subscription, messages);
        }
        if subscription.quota.is_exhausted() {
            self.exhausted.push(subscription.clone());
        }
        self.turn.relieve();
        taken
    }

    /// Calls the receiver. Its panic is its own: it is closed, the walk goes on.
    fn deliver(&mut self, subscription: &Subscription, delivery: &Delivery<'_>) -> usize {
        let member = &subscription.member;
        let turn = &mut *self.turn;
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            fault::point("deliver");
            member.receiver.deliver(delivery, turn)
        }));
        outcome.unwrap_or_else(|_| {
            self.env.note_panic("a receiver");
            member.control.close(CloseReason::InternalError);
            0
        })
    }

    /// A request that was delivered may be answered (AUTH-211).
    fn grant_replies(&self, subscription: &Subscription, messages: &[Message<'_>]) {
        let member = &subscription.member;
        if !member.permit.grants_replies() {
            return;
        }
        member.permit.with(|permit| {
            let (Some(grants), Some(rules)) = (&permit.grants, &permit.rules) else {
                return;
            };
            for reply in messages.iter().filter_map(|message| message.reply) {
                if !rules.may_publish(reply) {
                    grants.lock().open(reply, self.env.now());
                }
            }
        });
    }
}
