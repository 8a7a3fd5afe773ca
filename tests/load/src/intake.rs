//! What a subscriber does with the bytes it gets: count them, or verify them.

use std::collections::HashMap;

use crate::build::{MARK, Subjects, filler, read_mark};
use crate::error::LoadError;
use crate::frames::{Frame, Frames};
use crate::tally::Tally;

/// How the sequences of one publisher must follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// Each delivery is the next one: an ordinary subscription.
    Gapless,
    /// Rising, others get what is between: a member of a queue group.
    Rising,
}

/// The counting or verifying side of a connection.
#[derive(Debug)]
pub(crate) enum Intake {
    /// Counts only.
    Count(Tally),
    /// Verifies everything.
    Verify(Box<Verifier>),
}

impl Intake {
    /// Takes bytes as they came. Returns how many `PING`s are to be answered.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> Result<u64, LoadError> {
        match self {
            Intake::Count(tally) => {
                tally.feed(bytes)?;
                Ok(std::mem::take(&mut tally.pings))
            }
            Intake::Verify(verifier) => verifier.feed(bytes),
        }
    }

    /// Deliveries so far.
    pub(crate) fn messages(&self) -> u64 {
        match self {
            Intake::Count(tally) => tally.messages,
            Intake::Verify(verifier) => verifier.messages,
        }
    }

    /// Sum of all sequences so far. `None` unless they are read.
    pub(crate) fn sum(&self) -> Option<u128> {
        match self {
            Intake::Count(_) => None,
            Intake::Verify(verifier) => Some(verifier.rules.sum),
        }
    }
}

/// Verifies marked payloads against what was published.
#[derive(Debug)]
pub(crate) struct Verifier {
    frames: Frames,
    messages: u64,
    rules: Rules,
}

/// Sum of all sequences below `count`: what one publisher's deliveries add up to when each arrived once.
pub(crate) fn sum_below(count: u64) -> u128 {
    u128::from(count) * u128::from(count.saturating_sub(1)) / 2
}

#[derive(Debug)]
struct Rules {
    subjects: Subjects,
    size: usize,
    order: Order,
    /// Per publisher, the sequence that comes next at the earliest.
    next: HashMap<u32, u64>,
    /// Of all sequences: members of a queue group together must reach [`sum_below`].
    sum: u128,
}

impl Verifier {
    pub(crate) fn new(subjects: Subjects, size: usize, order: Order) -> Verifier {
        let rules = Rules {
            subjects,
            size,
            order,
            next: HashMap::new(),
            sum: 0,
        };
        Verifier {
            frames: Frames::default(),
            messages: 0,
            rules,
        }
    }

    fn feed(&mut self, bytes: &[u8]) -> Result<u64, LoadError> {
        let mut pings = 0;
        let Verifier {
            frames,
            messages,
            rules,
        } = self;
        frames.feed(bytes, |frame| {
            match frame {
                Frame::Message {
                    subject,
                    reply,
                    payload,
                } => {
                    rules.judge(subject, reply, payload)?;
                    *messages += 1;
                }
                Frame::Ping => pings += 1,
                Frame::Pong | Frame::Other => {}
            }
            Ok(())
        })?;
        Ok(pings)
    }
}

impl Rules {
    fn judge(&mut self, subject: &[u8], reply: Option<&[u8]>, payload: &[u8]) -> Result<(), LoadError> {
        let wrong = |text: String| Err(LoadError::Wrong(text));
        let Some((publisher, sequence)) = read_mark(payload) else {
            return wrong(format!("payload without a mark: {}", payload.escape_ascii()));
        };
        if subject != self.subjects.of(sequence).as_bytes() || reply.is_some() {
            return wrong(format!("subject {} with reply {reply:?}", subject.escape_ascii()));
        }
        let rest = payload.get(MARK..).unwrap_or(&[]);
        if payload.len() != self.size || !rest.iter().copied().eq(filler(rest.len(), sequence)) {
            return wrong(format!("contents of message {sequence} of publisher {publisher}"));
        }
        let next = self.next.entry(publisher).or_insert(0);
        let good = match self.order {
            Order::Gapless => sequence == *next,
            Order::Rising => sequence >= *next,
        };
        if !good {
            return wrong(format!(
                "publisher {publisher}: message {sequence} where {next} was due"
            ));
        }
        *next = sequence + 1;
        self.sum += u128::from(sequence);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::build::marked;

    fn deliveries(sequences: &[u64]) -> Vec<u8> {
        let mut stream = Vec::new();
        for sequence in sequences {
            let mut one = Vec::new();
            marked(&mut one, Subjects::new(1), 30, 1, 0, *sequence);
            stream.extend_from_slice(b"MSG load 1 30\r\n");
            stream.extend_from_slice(one.strip_prefix(b"PUB load 30\r\n").unwrap());
        }
        stream
    }

    fn check(order: Order, stream: &[u8]) -> Result<u64, LoadError> {
        let mut intake = Intake::Verify(Box::new(Verifier::new(Subjects::new(1), 30, order)));
        intake.feed(stream)?;
        Ok(intake.messages())
    }

    #[test]
    fn order_is_judged_by_the_kind_of_subscription() {
        assert_eq!(check(Order::Gapless, &deliveries(&[0, 1, 2])).unwrap(), 3);
        assert_eq!(check(Order::Rising, &deliveries(&[1, 5])).unwrap(), 2);
        assert!(matches!(
            check(Order::Gapless, &deliveries(&[0, 2])),
            Err(LoadError::Wrong(_))
        ));
        assert!(matches!(
            check(Order::Rising, &deliveries(&[5, 5])),
            Err(LoadError::Wrong(_))
        ));
    }

    #[test]
    fn changed_payload_is_noticed() {
        let mut stream = deliveries(&[0, 1]);
        let at = stream.len() - 4;
        stream[at] ^= 1;
        assert!(matches!(check(Order::Gapless, &stream), Err(LoadError::Wrong(_))));
    }
}
