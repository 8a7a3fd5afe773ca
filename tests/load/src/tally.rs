//! Counts deliveries of one known length without parsing them.
//!
//! A subscriber of this generator knows every byte of a delivery's frame beforehand, so it looks at the first byte of
//! each and skips the rest: about a nanosecond a message. Control lines in between are understood.

use crate::error::LoadError;

/// The counts of one connection.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Deliveries that arrived completely.
    pub(crate) messages: u64,
    /// `PONG`s.
    pub(crate) pongs: u64,
    /// `PING`s that nobody has answered yet; the caller answers and sets it to zero.
    pub(crate) pings: u64,
    /// Length of a delivery, from `MSG` to the last line end.
    frame: usize,
    /// Bytes of a begun delivery that are still to come.
    rest: usize,
    /// A begun control line.
    line: Vec<u8>,
}

impl Tally {
    /// Every delivery is to have exactly `frame` bytes.
    pub(crate) fn new(frame: usize) -> Tally {
        Tally {
            frame: frame.max(1),
            ..Tally::default()
        }
    }

    /// Takes the next bytes of the connection, cut anywhere.
    pub(crate) fn feed(&mut self, mut bytes: &[u8]) -> Result<(), LoadError> {
        if self.rest > 0 {
            let Some(after) = bytes.get(self.rest..) else {
                self.rest -= bytes.len();
                return Ok(());
            };
            self.rest = 0;
            self.messages += 1;
            bytes = after;
        }
        loop {
            if self.line.is_empty() {
                bytes = self.skip(bytes);
                if self.rest > 0 {
                    return Ok(());
                }
            }
            if bytes.is_empty() {
                return Ok(());
            }
            let Some(end) = bytes.iter().position(|byte| *byte == b'\n') else {
                self.line.extend_from_slice(bytes);
                return Ok(());
            };
            let (line, after) = bytes.split_at(end + 1);
            self.line.extend_from_slice(line);
            bytes = after;
            self.control()?;
            self.line.clear();
        }
    }

    /// Skips whole deliveries at the front and begins an unfinished one. What remains starts with a control line.
    fn skip<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let mut at = 0;
        while bytes.get(at) == Some(&b'M') {
            let next = at + self.frame;
            if next > bytes.len() {
                self.rest = next - bytes.len();
                return &[];
            }
            self.messages += 1;
            at = next;
        }
        bytes.get(at..).unwrap_or(&[])
    }

    fn control(&mut self) -> Result<(), LoadError> {
        let line = self.line.trim_ascii_end();
        match line {
            b"PING" => self.pings += 1,
            b"PONG" => self.pongs += 1,
            b"+OK" => {}
            _ if line.starts_with(b"INFO ") => {}
            _ => return Err(refusal(line)),
        }
        Ok(())
    }
}

/// What a line that is no ordinary answer means.
pub(crate) fn refusal(line: &[u8]) -> LoadError {
    let shown = line.get(..200).unwrap_or(line);
    match shown.strip_prefix(b"-ERR ") {
        Some(text) => LoadError::Refused(String::from_utf8_lossy(text).into_owned()),
        None => LoadError::Protocol(shown.escape_ascii().to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MESSAGE: &[u8] = b"MSG a 1 3\r\nM\r\n\r\n";

    fn check(parts: &[&[u8]], messages: u64, pings: u64, pongs: u64) {
        let mut tally = Tally::new(MESSAGE.len());
        for part in parts {
            tally.feed(part).unwrap();
        }
        assert_eq!(
            (tally.messages, tally.pings, tally.pongs),
            (messages, pings, pongs),
            "{parts:?}"
        );
    }

    #[test]
    fn stream_cut_at_any_byte_counts_the_same() {
        let mut stream = Vec::new();
        for part in [
            b"INFO {}\r\n",
            MESSAGE,
            MESSAGE,
            b"PING\r\n",
            MESSAGE,
            b"PONG\r\n",
            b"+OK\r\n",
        ] {
            stream.extend_from_slice(part);
        }
        for cut in 0..=stream.len() {
            let (head, tail) = stream.split_at(cut);
            check(&[head, tail], 3, 1, 1);
        }
        let single: Vec<&[u8]> = stream.chunks(1).collect();
        check(&single, 3, 1, 1);
    }

    #[test]
    fn unfinished_delivery_does_not_count() {
        check(&[MESSAGE, &MESSAGE[..MESSAGE.len() - 1]], 1, 0, 0);
    }

    #[test]
    fn err_line_ends_the_run_with_its_text() {
        let error = Tally::new(10).feed(b"-ERR 'Slow Consumer'\r\n").unwrap_err();
        assert!(matches!(error, LoadError::Refused(text) if text == "'Slow Consumer'"));
    }

    #[test]
    fn delivery_of_another_length_is_noticed() {
        let mut tally = Tally::new(MESSAGE.len() - 1);
        let result = [MESSAGE, MESSAGE].iter().try_for_each(|part| tally.feed(part));
        assert!(matches!(result, Err(LoadError::Protocol(_))), "{result:?}");
    }
}
