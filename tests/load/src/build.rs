//! Buffers that are built before the clock starts.

use std::io::Write as _;

/// Bytes of check mode at the front of every payload: publisher (8 hex digits), sequence (16 hex digits).
pub(crate) const MARK: usize = 24;

/// The filler of every payload: letters, so that a stray line end would be noticed.
const LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyz";

/// `size` bytes that depend on `seed`.
pub(crate) fn filler(size: usize, seed: u64) -> impl Iterator<Item = u8> {
    let start = usize::try_from(seed % 26).unwrap_or(0);
    LETTERS.iter().copied().cycle().skip(start).take(size)
}

/// Whole copies of one publish, as many as fit into `buffer_bytes`, at least one. Returns their number too.
pub(crate) fn publishes(subject: &str, size: usize, buffer_bytes: usize) -> (Vec<u8>, u64) {
    let mut one = Vec::new();
    publish(&mut one, subject, None, filler(size, 0), size);
    let copies = (buffer_bytes / one.len()).max(1);
    (one.repeat(copies), copies as u64)
}

/// The same with marked payloads: sequences `next..`, by `publisher`. Replaces what `buffer` holds.
pub(crate) fn marked(
    buffer: &mut Vec<u8>,
    subject: &str,
    size: usize,
    buffer_bytes: usize,
    publisher: u32,
    next: u64,
) -> u64 {
    buffer.clear();
    let mut sequence = next;
    loop {
        let payload = mark(publisher, sequence).into_bytes().into_iter();
        publish(
            buffer,
            subject,
            None,
            payload.chain(filler(size - MARK, sequence)),
            size,
        );
        sequence += 1;
        if buffer.len() + size >= buffer_bytes {
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
        let (buffer, copies) = publishes("a", 3, 40);
        assert_eq!(copies, 2);
        assert_eq!(buffer, b"PUB a 3\r\nabc\r\nPUB a 3\r\nabc\r\n");
        assert_eq!(publishes("a", 100, 10).1, 1);
    }

    #[test]
    fn mark_reads_back() {
        let mut buffer = Vec::new();
        assert_eq!(marked(&mut buffer, "s", 30, 100, 7, 0x1_0000_0005), 2);
        let payload = buffer.get(10..).unwrap();
        assert_eq!(read_mark(payload), Some((7, 0x1_0000_0005)));
        assert_eq!(read_mark(b"short"), None);
    }
}
