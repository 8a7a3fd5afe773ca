//! One read batch: frames in, operations done, answers appended. Nothing here waits.

use std::sync::Arc;
use std::time::Duration;

use dunlin_api::{CloseReason, Message, PublishRefusal, QueueName, Sid, Subject, SubscribeError, Turn};
use dunlin_wire::client::{ErrorKind, Frame, Publish, Subscribe, Unsubscribe, WireError, write};
use dunlin_wire::{Arg, Info, Quoted, Shown};
use smallvec::SmallVec;

use crate::receiver::Into;
use crate::session::{Client, shown};

/// How often an account's full subscriptions are reported (CORE-41).
const SUBSCRIPTION_REPORTS: Duration = Duration::from_secs(2);

/// From when on the log tells how long a batch has taken (CORE-73).
const LONG_BATCH: Duration = Duration::from_secs(2);

/// Messages of a run. A longer one is cut, which costs a lookup more.
const RUN: usize = 128;

/// How a batch ended.
#[derive(Debug)]
pub(crate) enum Step {
    /// Everything that was whole is done.
    More,
    /// The next step is the login, which may wait; the rest of the bytes is kept.
    LogIn {
        /// Whether CONNECT asked for it; else a stand-in user takes its place (CORE-5).
        after_connect: bool,
    },
    /// The connection is to end; what it is told has been appended.
    Ended(CloseReason),
}

/// Consecutive publishes to one subject.
#[derive(Default)]
struct Run<'a> {
    /// The publish before, whose header line the next one often repeats.
    last: Option<Publish<'a>>,
    messages: SmallVec<[Message<'a>; RUN]>,
}

impl<'a> Run<'a> {
    fn subject(&self) -> Option<Arg<'a>> {
        self.last
            .map(|last| last.subject)
            .filter(|_| !self.messages.is_empty())
    }

    fn takes(&self, publish: &Publish<'a>) -> bool {
        self.messages.len() < RUN && self.subject().is_none_or(|subject| subject == publish.subject)
    }

    #[inline]
    fn push(&mut self, publish: &Publish<'a>) {
        let content = &publish.content;
        let reply = publish
            .reply
            .and_then(|reply| Subject::from_wire(reply.as_bytes()).ok());
        let header_len = content.header_size().map_or(0, |size| size.len());
        self.last = Some(*publish);
        self.messages
            .push(Message::decoded(reply, content.bytes(), header_len, publish.tail));
    }
}

impl Client {
    /// Does what the whole frames at the front of `input` say.
    pub(crate) fn feed(&mut self, input: &mut &[u8], turn: &mut Turn) -> Step {
        self.take_news();
        let began = self.env.now();
        self.published = 0;
        self.was_heard = false;
        turn.set_skips_congested(self.config.no_fast_producer_stall);
        let step = if self.tracer.is_on() {
            self.work::<true>(input, turn)
        } else {
            self.work::<false>(input, turn)
        };
        turn.set_skips_congested(false);
        let now = self.env.now();
        if self.was_heard {
            self.pinger.heard(now);
            self.control.note_activity(now);
        }
        let took = now - began;
        if took >= LONG_BATCH {
            self.log()
                .warn(format_args!("Readloop processing time: {}", shown(took)));
        }
        step
    }

    /// The same; compiled twice, so that a trace costs nothing where there is none.
    fn work<const TRACED: bool>(&mut self, input: &mut &[u8], turn: &mut Turn) -> Step {
        let mut run = Run::default();
        let step = loop {
            if !TRACED && let Some(publish) = self.repeat(&run, input) {
                if !run.takes(&publish) {
                    self.publish(&mut run, turn);
                }
                self.was_heard = true;
                run.push(&publish);
                continue;
            }
            let front = *input;
            let frame = match self.decoder.decode(input) {
                Ok(Some(frame)) => frame,
                Ok(None) => break Step::More,
                Err(error) => {
                    self.publish(&mut run, turn);
                    if TRACED && error != WireError::ConnectExpected {
                        self.tracer.refused(front);
                    }
                    break self.fail(&error, turn);
                }
            };
            if TRACED {
                // Each message by itself, so that lines stand in the order of what happens.
                self.publish(&mut run, turn);
                self.tracer.incoming(&frame, front);
            }
            self.was_heard |= !matches!(frame, Frame::Pong);
            if let Frame::Publish(publish) = &frame {
                if !run.takes(publish) {
                    self.publish(&mut run, turn);
                }
                if self.connect.pedantic && !is_publishable(publish.subject) {
                    self.publish(&mut run, turn);
                    self.error(turn, b"Invalid Publish Subject");
                }
                run.push(publish);
                continue;
            }
            self.publish(&mut run, turn);
            // What follows may change the limits, which a repeated line is not held against again.
            run.last = None;
            if let Some(step) = self.operate(&frame, turn) {
                break step;
            }
        };
        self.publish(&mut run, turn);
        step
    }

    /// A publish with the header line of the one before it, which needs no second look: pedantic clients have every
    /// subject checked.
    #[inline]
    fn repeat<'a>(&mut self, run: &Run<'a>, input: &mut &'a [u8]) -> Option<Publish<'a>> {
        let last = run.last.as_ref().filter(|_| !self.connect.pedantic)?;
        self.decoder.repeat(input, last)
    }

    /// Publishes the run and answers what was refused in it.
    fn publish(&mut self, run: &mut Run<'_>, turn: &mut Turn) {
        let Some(subject) = run.subject() else { return };
        self.published = self.published.saturating_add(run.messages.len() as u32);
        let Ok(routed) = Subject::from_wire(subject.as_bytes()) else {
            return run.messages.clear();
        };
        // Out of the way, so that refusals can be answered while the session publishes.
        if let Some(mut session) = self.session.take() {
            session.publish(
                routed,
                &run.messages,
                turn,
                &mut |index, refusal, mapped, turn| {
                    let reply = run.messages.get(index).and_then(|message| message.reply);
                    self.answer_refusal(mapped, refusal, reply, turn);
                },
            );
            self.session = Some(session);
        }
        run.messages.clear();
    }

    fn answer_refusal(
        &self,
        subject: Subject<'_>,
        refusal: PublishRefusal,
        reply: Option<Subject<'_>>,
        turn: &mut Turn,
    ) {
        let (what, logged, name) = match refusal {
            PublishRefusal::Subject => ("Publish to", "Subject", subject.as_bytes()),
            PublishRefusal::Reply => (
                "Publish with Reply of",
                "Reply",
                reply.map(|reply| reply.as_bytes()).unwrap_or_default(),
            ),
        };
        let name = Quoted(name);
        let text = format!("Permissions Violation for {what} {name}");
        self.error(turn, text.as_bytes());
        self.log()
            .error(format_args!("Publish Violation - {logged} {name}"));
    }

    /// Does one operation other than a publish. `Some`: the batch ends with it.
    fn operate(&mut self, frame: &Frame<'_>, turn: &mut Turn) -> Option<Step> {
        match frame {
            Frame::Ping => self.answer_ping(turn),
            Frame::Pong => {
                if let Some(round_trip) = self.pinger.pong(self.env.now()) {
                    self.control.note_round_trip(round_trip);
                }
            }
            Frame::Subscribe(subscribe) => self.subscribe(subscribe, turn),
            Frame::Unsubscribe(unsubscribe) => self.unsubscribe(unsubscribe, turn),
            Frame::Connect(json) => return Some(self.connect(json)),
            Frame::Info(json) => {
                if Info::parse(json).is_err() {
                    return Some(self.violate("invalid INFO"));
                }
            }
            Frame::Err(text) => {
                self.log().error(format_args!("Client Error {}", Shown(text)));
                return Some(Step::Ended(CloseReason::ParseError));
            }
            Frame::HeaderMsg => self.acknowledge(turn),
            Frame::Ok | Frame::Publish(_) => {}
        }
        None
    }

    fn connect(&mut self, json: &[u8]) -> Step {
        if let Err(error) = Arc::make_mut(&mut self.connect).merge(json) {
            return self.violate(&error.to_string());
        }
        self.connects += 1;
        self.control.note_connect(&self.connect, self.env.now());
        Step::LogIn { after_connect: true }
    }

    fn answer_ping(&mut self, turn: &mut Turn) {
        self.tracer.outgoing("PONG", b"");
        self.append(turn, write::PONG);
        // CORE-15: once in the life of a connection, whatever a later CONNECT says.
        if !self.has_connected() || std::mem::replace(&mut self.is_settled, true) {
            return;
        }
        if self.connect.protocol >= 1 {
            let payload = self.decoder.limits.payload;
            let info = self.info.after_connect(payload, self.account(), self.is_system);
            self.append(turn, &info.info_line());
            self.control.allow_info(payload);
        }
    }

    fn subscribe(&mut self, subscribe: &Subscribe<'_>, turn: &mut Turn) {
        let queue = subscribe
            .queue
            .and_then(|queue| QueueName::from_wire(queue.as_bytes()).ok());
        let (Ok(subject), Ok(sid)) = (
            Subject::from_wire(subscribe.subject.as_bytes()),
            Sid::from_wire(subscribe.sid.as_bytes()),
        ) else {
            return self.error(turn, b"Invalid Subject");
        };
        let Some(session) = &mut self.session else { return };
        match session.subscribe(subject, queue.as_ref(), &sid) {
            Ok(()) => self.acknowledge(turn),
            Err(error) => self.refuse_subscription(error, subscribe, turn),
        }
    }

    /// CORE-37
    fn refuse_subscription(&self, error: SubscribeError, subscribe: &Subscribe<'_>, turn: &mut Turn) {
        let subject = Quoted(subscribe.subject.as_bytes());
        let sid = Shown(subscribe.sid.as_bytes());
        let mut text = format!("Permissions Violation for Subscription to {subject}");
        match error {
            SubscribeError::Permission => {
                let mut queue = String::new();
                if let Some(name) = subscribe.queue {
                    let name = Quoted(name.as_bytes());
                    text = format!("{text} using queue {name}");
                    queue = format!(", Queue: {name}");
                }
                self.log().error(format_args!(
                    "Subscription Violation - Subject {subject}{queue}, SID {sid}"
                ));
            }
            SubscribeError::TooManyTokens => {
                text.push_str(", too many tokens");
                self.log().error(format_args!(
                    "Subscription Violation Too Many Tokens - Subject {subject}, SID {sid}"
                ));
            }
            SubscribeError::TooMany => {
                self.report_too_many_subscriptions();
                text = error.to_string();
            }
            SubscribeError::InvalidSubject => text = error.to_string(),
        }
        self.error(turn, text.as_bytes());
    }

    /// CORE-41: logged for each account at most every two seconds.
    pub(crate) fn report_too_many_subscriptions(&self) {
        let text = SubscribeError::TooMany.to_string();
        let key = format!("{text} in {}", self.account());
        if self
            .env
            .log()
            .may_repeat(&key, SUBSCRIPTION_REPORTS, self.env.now())
        {
            self.log().error(format_args!("{text}"));
        }
    }

    fn unsubscribe(&mut self, unsubscribe: &Unsubscribe<'_>, turn: &mut Turn) {
        if let (Some(session), Ok(sid)) = (&mut self.session, Sid::from_wire(unsubscribe.sid.as_bytes())) {
            let max = unsubscribe.max.and_then(|max| u64::try_from(max).ok());
            session.unsubscribe(&sid, max);
        }
        self.acknowledge(turn);
    }

    fn acknowledge(&self, turn: &mut Turn) {
        if self.connect.verbose {
            self.tracer.outgoing("OK", b"");
            self.append(turn, write::OK);
        }
    }

    fn error(&self, turn: &mut Turn, text: &[u8]) {
        self.tracer.outgoing("-ERR", text);
        self.output.append(turn, |appender| {
            write::err(&mut Into(appender), text);
            appender.commit()
        });
    }

    fn append(&self, turn: &mut Turn, bytes: &[u8]) {
        self.output.append(turn, |appender| {
            appender.put(bytes);
            appender.commit()
        });
    }

    /// What cannot be understood ends the connection, without `-ERR` (CORE-18, CORE-29); the log says why.
    fn violate(&self, why: &str) -> Step {
        self.log().error(format_args!("{why}"));
        Step::Ended(CloseReason::ProtocolViolation)
    }

    fn fail(&mut self, error: &WireError, turn: &mut Turn) -> Step {
        if matches!(error, WireError::ConnectExpected) && self.posture.connect_optional {
            self.stands_in = true;
            return Step::LogIn { after_connect: false };
        }
        match error {
            WireError::ConnectExpected => self.report_authentication_error(),
            _ => self.log().error(format_args!("{error}")),
        }
        if let Some(text) = error.reply() {
            self.error(turn, text.as_bytes());
        }
        Step::Ended(match error.kind() {
            ErrorKind::Authentication => CloseReason::AuthenticationViolation,
            ErrorKind::ProtocolViolation => CloseReason::ProtocolViolation,
            ErrorKind::ControlLine => CloseReason::MaxControlLineExceeded,
            ErrorKind::Payload => CloseReason::MaxPayloadExceeded,
        })
    }
}

/// CORE-33: no empty token, no wildcard token.
fn is_publishable(subject: Arg<'_>) -> bool {
    Subject::from_wire(subject.as_bytes()).is_ok_and(|subject| subject.is_valid_literal())
}
