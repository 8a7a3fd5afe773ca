//! The plain types that streams and their stores exchange.

use dunlin_subject::FilterBuf;

/// Names a point in a store's changes: everything staged until then. Later tickets are greater; 0 is the state
/// that the store was opened with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// A message that was appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Staged {
    /// The sequence that it got.
    pub sequence: u64,
    /// What it counts.
    pub size: u64,
    /// What to commit, so that it survives.
    pub ticket: Ticket,
}

/// A stream's figures (STORE-80). They include what is staged and not yet durable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StreamState {
    /// Messages held.
    pub messages: u64,
    /// What they count together.
    pub bytes: u64,
    /// Sequence of the first message. In an empty stream `last + 1`, or 0 where nothing was ever stored.
    pub first: u64,
    /// Time of the first message; 0 in an empty stream.
    pub first_time: i64,
    /// The last sequence given to a message or skipped; never goes back but by `truncate`.
    pub last: u64,
    /// Time of the last message, kept when that message is removed.
    pub last_time: i64,
    /// Subjects that have a message; 0 where they are not tracked.
    pub subjects: u64,
}

impl StreamState {
    /// Sequences between the first and the last that hold no message.
    pub fn deleted(&self) -> u64 {
        // A new stream has first 0, which would count a sequence 0.
        self.last
            .saturating_add(1)
            .saturating_sub(self.first.max(1))
            .saturating_sub(self.messages)
    }
}

/// Messages of one subject or of one filter; zeros where there are none (STORE-97).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SubjectState {
    /// How many.
    pub messages: u64,
    /// Sequence of the first.
    pub first: u64,
    /// Sequence of the last.
    pub last: u64,
}

impl SubjectState {
    /// Counts one more message, whose sequence is greater than all before.
    pub fn add(&mut self, sequence: u64) {
        if self.messages == 0 {
            self.first = sequence;
        }
        self.messages += 1;
        self.last = sequence;
    }
}

/// What `num_pending` counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counting {
    /// Every matching message.
    All,
    /// Each matching subject once, where its last message lies in the range.
    LastPerSubject,
}

/// How a message is taken away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removal {
    /// It is no longer found.
    Remove,
    /// Its bytes are overwritten too, wherever the store has them, before the change counts as durable.
    Erase,
}

/// Which messages a purge takes (STORE-106).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Purge {
    /// Only messages that match it. `None`: all.
    pub filter: Option<FilterBuf>,
    /// How far it goes.
    pub extent: PurgeExtent,
}

/// How far a purge goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PurgeExtent {
    /// Every matching message.
    #[default]
    Everything,
    /// Matching messages before this sequence.
    Before(u64),
    /// All but this many of the newest matching messages.
    Keep(u64),
}

/// What a purge, compact or truncate took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Purged {
    /// Messages.
    pub messages: u64,
    /// What they counted.
    pub bytes: u64,
}

/// The two times that a store keeps in order for its stream (STORE-64, STORE-87).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TimerKind {
    /// When a message expires.
    Expiry,
    /// When a scheduled message is due.
    Schedule,
}

/// A timer that has come due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Due {
    /// When, in nanoseconds since the Unix epoch.
    pub at: i64,
    /// The message's sequence.
    pub sequence: u64,
}

/// How far a stream has come with one of its sources (STORE-61).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourcePosition {
    /// The source's index name: `<stream> <filter> <transform>`.
    pub name: String,
    /// The last sequence taken from it; 0 before the first.
    pub sequence: u64,
    /// The identity of the stream that it was then; empty where unknown.
    pub identity: String,
}

/// What a store kept of a stream's sources.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourcePositions {
    /// The positions include all messages of the stream before this sequence. 0: nothing was kept.
    pub before: u64,
    /// One for each source, in any order.
    pub sources: Vec<SourcePosition>,
}

#[cfg(test)]
mod tests {
    use super::*;

    // STORE-80
    #[test]
    fn deleted_messages_are_counted_and_never_negative() {
        let state = |messages, first, last| StreamState {
            messages,
            first,
            last,
            ..StreamState::default()
        };
        assert_eq!(state(3, 2, 6).deleted(), 2);
        assert_eq!(state(0, 7, 6).deleted(), 0);
        assert_eq!(state(0, 0, 0).deleted(), 0);
        // A skip may reach the end of all sequences.
        assert_eq!(state(0, u64::MAX, u64::MAX).deleted(), 0);
    }
}
