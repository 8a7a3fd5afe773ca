//! Splits what a server sends into whole frames, for the workloads that must look inside.

use crate::error::LoadError;
use crate::tally::refusal;

/// One frame from the server.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Frame<'a> {
    /// `MSG`: a delivery without headers.
    Message {
        subject: &'a [u8],
        reply: Option<&'a [u8]>,
        payload: &'a [u8],
    },
    /// `PING`: to be answered.
    Ping,
    /// `PONG`.
    Pong,
    /// `INFO` or `+OK`.
    Other,
}

/// The splitter of one connection; keeps the bytes of an unfinished frame.
#[derive(Debug, Default)]
pub(crate) struct Frames {
    carry: Vec<u8>,
}

impl Frames {
    /// Hands every whole frame to `each`, in order. Bytes may be cut anywhere.
    pub(crate) fn feed(
        &mut self,
        bytes: &[u8],
        mut each: impl FnMut(Frame<'_>) -> Result<(), LoadError>,
    ) -> Result<(), LoadError> {
        if self.carry.is_empty() {
            let rest = drain(bytes, &mut each)?;
            self.carry.extend_from_slice(rest);
        } else {
            self.carry.extend_from_slice(bytes);
            let rest = drain(&self.carry, &mut each)?.len();
            self.carry.drain(..self.carry.len() - rest);
        }
        Ok(())
    }
}

fn drain<'a>(
    mut bytes: &'a [u8],
    each: &mut impl FnMut(Frame<'_>) -> Result<(), LoadError>,
) -> Result<&'a [u8], LoadError> {
    while let Some((frame, rest)) = split(bytes)? {
        each(frame)?;
        bytes = rest;
    }
    Ok(bytes)
}

/// The first frame and what follows; `None` while it is not complete.
fn split(bytes: &[u8]) -> Result<Option<(Frame<'_>, &[u8])>, LoadError> {
    let Some(end) = bytes.windows(2).position(|pair| pair == b"\r\n") else {
        return Ok(None);
    };
    let (line, rest) = bytes.split_at(end);
    let rest = rest.get(2..).unwrap_or(&[]);
    let frame = match line {
        b"PING" => Frame::Ping,
        b"PONG" => Frame::Pong,
        b"+OK" => Frame::Other,
        _ if line.starts_with(b"INFO ") => Frame::Other,
        _ => return message(line, rest),
    };
    Ok(Some((frame, rest)))
}

fn message<'a>(line: &'a [u8], rest: &'a [u8]) -> Result<Option<(Frame<'a>, &'a [u8])>, LoadError> {
    let mut fields = line.split(|byte| *byte == b' ');
    let (Some(b"MSG"), Some(subject), Some(_sid), Some(third)) =
        (fields.next(), fields.next(), fields.next(), fields.next())
    else {
        return Err(refusal(line));
    };
    let (reply, size) = match fields.next() {
        Some(size) => (Some(third), size),
        None => (None, third),
    };
    let size = std::str::from_utf8(size)
        .ok()
        .and_then(|text| text.parse::<usize>().ok());
    let size = size.ok_or_else(|| refusal(line))?;
    let Some((payload, rest)) = rest.split_at_checked(size) else {
        return Ok(None);
    };
    match rest.split_at_checked(2) {
        None => Ok(None),
        Some((b"\r\n", rest)) => Ok(Some((
            Frame::Message {
                subject,
                reply,
                payload,
            },
            rest,
        ))),
        Some(_) => Err(refusal(line)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stream_cut_at_any_byte_gives_the_same_frames() {
        let stream = b"INFO {}\r\nPING\r\nMSG a 1 2\r\n\r\n\r\nMSG b 1 r.1 0\r\n\r\nPONG\r\n+OK\r\n";
        for cut in 0..=stream.len() {
            let (head, tail) = stream.split_at(cut);
            let mut seen = Vec::new();
            let mut frames = Frames::default();
            for part in [head, tail] {
                frames
                    .feed(part, |frame| {
                        seen.push(format!("{frame:?}"));
                        Ok(())
                    })
                    .unwrap();
            }
            let message = |subject: &'static [u8], reply, payload: &'static [u8]| Frame::Message {
                subject,
                reply,
                payload,
            };
            let want = [
                Frame::Other,
                Frame::Ping,
                message(b"a", None, b"\r\n"),
                message(b"b", Some(b"r.1".as_slice()), b""),
                Frame::Pong,
                Frame::Other,
            ];
            assert_eq!(seen, want.map(|frame| format!("{frame:?}")), "cut at {cut}");
        }
    }

    #[test]
    fn payload_without_its_line_end_is_refused() {
        let result = Frames::default().feed(b"MSG a 1 2\r\nabXX", |_| Ok(()));
        assert!(matches!(result, Err(LoadError::Protocol(_))));
    }
}
