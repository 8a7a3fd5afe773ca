//! Buffers that are built before the clock starts.

use std::io::Write as _;

/// Bytes of check mode at the front of every payload: publisher (8 hex digits), sequence (16 hex digits).
pub(crate) const MARK: usize = 24;

/// The subjects that messages go to in turn. All have one length, so that all deliveries have.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Subjects {
    count: u64,
}

impl Subjects {
    /// Up to a million; with 1 there is no wildcard.
    pub(crate) fn new(count: usize) -> Subjects {
        Subjects {
            count: count.max(1) as u64,
        }
    }

    /// What subscribers ask for to get all.
    pub(crate) fn filter(self) -> &'static str {
        if self.count == 1 { "load" } else { "load.*" }
    }

    /// The subject of a message.
    pub(crate) fn of(self, sequence: u64) -> String {
        if self.count == 1 {
            "load".to_owned()
        } else {
            format!("load.{:06}", sequence % self.count)
        }
    }
}

/// The filler of every payload: letters, so that a stray line end would be noticed.
const LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyz";

/// `size` bytes that depend on `seed`.
pub(crate) fn filler(size: usize, seed: u64) -> impl Iterator<Item = u8> {
    let start = usize::try_from(seed % 26).unwrap_or(0);
    LETTERS.iter().copied().cycle().skip(start).take(size)
}

/// Messages to all subjects in turn, in whole turns and at least as long as `least_bytes`, unless one more turn would
/// exceed it. Returns their number too.
pub(crate) fn publishes(subjects: Subjects, size: usize, least_bytes: usize) -> (Vec<u8>, u64) {
    let mut turn = Vec::new();
    for sequence in 0..subjects.count {
        publish(&mut turn, &subjects.of(sequence), None, filler(size, 0), size);
    }
    let turns = (least_bytes / turn.len()).max(1);
    (turn.repeat(turns), turns as u64 * subjects.count)
}

/// The same with marked payloads and the sequences `next..`, by `publisher`. Replaces what `buffer` holds.
pub(crate) fn marked(
    buffer: &mut Vec<u8>,
    subjects: Subjects,
    size: usize,
    bytes: usize,
    publisher: u32,
    next: u64,
) -> u64 {
    buffer.clear();
    let mut sequence = next;
    loop {
        let payload = mark(publisher, sequence).into_bytes().into_iter();
        let subject = subjects.of(sequence);
        publish(
            buffer,
            &subject,
            None,
            payload.chain(filler(size - MARK, sequence)),
            size,
        );
        sequence += 1;
        if buffer.len() + size >= bytes {
            return sequence - next;
        }
    }
}

/// The front of a marked payload.
pub(crate) fn mark(publisher: u32, sequence: u64) -> String {
    format!("{publisher:08x}{sequence:016x}")
}

/// The reverse of [`mark`].
pub(crate) fn read_mark(payload: &[u8]) -> Option<(u32, u64)> {
    let text = std::str::from_utf8(payload.get(..MARK)?).ok()?;
    let (publisher, sequence) = text.split_at_checked(8)?;
    Some((
        u32::from_str_radix(publisher, 16).ok()?,
        u64::from_str_radix(sequence, 16).ok()?,
    ))
}

/// One `PUB` at the end of `out`. `size` is the length of `payload`.
pub(crate) fn publish(
    out: &mut Vec<u8>,
    subject: &str,
    reply: Option<&str>,
    payload: impl Iterator<Item = u8>,
    size: usize,
) {
    // Writing to a `Vec` cannot fail.
    let _ = match reply {
        Some(reply) => write!(out, "PUB {subject} {reply} {size}\r\n"),
        None => write!(out, "PUB {subject} {size}\r\n"),
    };
    out.extend(payload);
    out.extend_from_slice(b"\r\n");
}

/// Length of the delivery that a subscription with the id 1 gets.
pub(crate) fn delivery_bytes(subject: &str, reply: Option<&str>, size: usize) -> usize {
    let reply = reply.map_or(String::new(), |reply| format!("{reply} "));
    format!("MSG {subject} 1 {reply}{size}\r\n").len() + size + 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffer_holds_whole_messages_only() {
        let (buffer, messages) = publishes(Subjects::new(1), 3, 45);
        assert_eq!(messages, 2);
        assert_eq!(buffer, b"PUB load 3\r\nabc\r\nPUB load 3\r\nabc\r\n");
        assert_eq!(publishes(Subjects::new(1), 100, 10).1, 1);
    }

    #[test]
    fn buffer_holds_whole_turns_of_all_subjects() {
        let (buffer, messages) = publishes(Subjects::new(2), 0, 1);
        assert_eq!(messages, 2);
        assert_eq!(buffer, b"PUB load.000000 0\r\n\r\nPUB load.000001 0\r\n\r\n");
    }

    #[test]
    fn mark_reads_back() {
        let mut buffer = Vec::new();
        assert_eq!(
            marked(&mut buffer, Subjects::new(1), 30, 100, 7, 0x1_0000_0005),
            2
        );
        let payload = buffer.get(13..).unwrap();
        assert_eq!(read_mark(payload), Some((7, 0x1_0000_0005)));
        assert_eq!(read_mark(b"short"), None);
    }
}
