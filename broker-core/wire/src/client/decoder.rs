//! Frames out of a client's bytes.

use memchr::{memchr, memchr2};

use super::verb::{Verb, is_blank};
use super::{ArgFault, Frame, Publish, Subscribe, Unsubscribe, WireError};
use crate::{Arg, Content, Digits};

/// What a client may send. May change between two calls: on reload, on CONNECT, on a claim update.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecoderLimits {
    /// Longest text behind the verb of a line, in bytes (CORE-31).
    pub control_line: usize,
    /// Largest headers and payload together, in bytes; -1: no limit (CORE-34).
    pub payload: i64,
    /// Whether HPUB is allowed: the server has headers and the client asked for them (CORE-33).
    pub headers: bool,
    /// Whether nothing but CONNECT may come (CORE-5). The session clears it when the client is let in.
    pub connect_first: bool,
}

impl Default for DecoderLimits {
    /// A client before its CONNECT, of a server without configuration.
    fn default() -> Self {
        Self {
            control_line: 4096,
            payload: 1024 * 1024,
            headers: false,
            connect_first: false,
        }
    }
}

/// Takes frames from the front of a client's bytes.
///
/// Keeps no bytes, only how far the frame at the front is known: a frame that comes in many small
/// pieces is searched once, and its header line is checked once. After an error other than
/// [`WireError::ConnectExpected`] the connection is to be closed.
#[derive(Clone, Debug, Default)]
pub struct Decoder {
    /// May be changed at any time. A header line that was accepted stays accepted.
    pub limits: DecoderLimits,
    /// Length of the whole frame, once its header line is accepted; else 0.
    whole: usize,
    /// Where the line's text begins, if known; else 0.
    text_at: usize,
    /// No line feed among that many bytes behind the verb.
    scanned: usize,
}

/// The text of a line, and the line's length with its line feed.
struct Line<'a> {
    text: &'a [u8],
    /// Where the text begins.
    start: usize,
    len: usize,
}

impl Line<'_> {
    /// Where the words behind the first one begin, if `words` are parted by one blank each and the line ends in
    /// `\r\n`: what follows can then be sent on as it is.
    #[inline]
    fn behind_first(&self, words: &[&[u8]]) -> Option<usize> {
        let (first, others) = words.split_first()?;
        let mut at = first.len();
        for word in others {
            if self.text.get(at) != Some(&b' ') {
                return None;
            }
            at += 1 + word.len();
        }
        let is_whole = at == self.text.len() && self.start + at + 2 == self.len;
        is_whole.then_some(self.start + first.len() + 1)
    }
}

/// A frame and its length.
type Cut<'a> = Option<(Frame<'a>, usize)>;

impl Decoder {
    /// A decoder before the first byte.
    pub fn new(limits: DecoderLimits) -> Self {
        Self {
            limits,
            ..Self::default()
        }
    }

    /// Takes one frame from the front of `input`. `None`: more bytes are needed, nothing was taken.
    ///
    /// The caller keeps what is left of `input` and presents it again with more bytes behind it.
    ///
    /// # Errors
    /// As soon as the byte that decides is there (CORE-27, CORE-31, CORE-34). Nothing was taken then.
    #[inline]
    pub fn decode<'a>(&mut self, input: &mut &'a [u8]) -> Result<Option<Frame<'a>>, WireError> {
        let front = *input;
        if front.len() < self.whole {
            return self.await_content(front);
        }
        let Some((frame, len)) = self.cut(front)? else {
            return Ok(None);
        };
        *input = front.get(len..).unwrap_or_default();
        (self.whole, self.text_at, self.scanned) = (0, 0, 0);
        Ok(Some(frame))
    }

    /// Takes a publish whose header line is the same, byte for byte, as that of `previous`: compared, not parsed. `None`:
    /// it is not, or not whole yet; [`decode`](Self::decode) tells. Limits must not have changed since `previous`.
    #[inline]
    pub fn repeat<'a>(&mut self, input: &mut &'a [u8], previous: &Publish<'_>) -> Option<Publish<'a>> {
        if self.whole + self.text_at + self.scanned > 0 {
            return None;
        }
        let front = *input;
        let (line_len, size) = (previous.line.len(), previous.content.size());
        let (line, rest) = front.split_at_checked(line_len)?;
        if line != previous.line {
            return None;
        }
        let (bytes, after) = rest.split_at_checked(size.len())?;
        *input = after.strip_prefix(b"\r\n")?;
        let moved = |word: &[u8], from: usize| front.get(from..from + word.len()).map(Arg::from_splitter);
        // The words stand where they stood in the previous line.
        let offset = |word: &[u8]| (word.as_ptr() as usize).wrapping_sub(previous.line.as_ptr() as usize);
        let subject = previous.subject.as_bytes();
        let reply = previous.reply.map(Arg::as_bytes);
        let whole = line_len + size.len() + 2;
        Some(Publish {
            subject: moved(subject, offset(subject))?,
            reply: match reply {
                Some(reply) => Some(moved(reply, offset(reply))?),
                None => None,
            },
            content: Content::decoded(bytes, size, previous.content.header_size()),
            line,
            tail: front.get(whole - previous.tail.len()..whole).unwrap_or_default(),
        })
    }

    /// How long the rest of the input must get before [`decode`](Self::decode) can say more: a hint for
    /// reading, exact while a payload is on its way. Up to a gigabyte where the payload limit allows it, so
    /// a caller must not allocate that much at once on a stranger's word.
    pub fn bytes_needed(&self) -> usize {
        if self.whole > 0 {
            self.whole
        } else {
            self.scanned.max(self.text_at) + 1
        }
    }

    #[inline]
    fn cut<'a>(&mut self, front: &'a [u8]) -> Result<Cut<'a>, WireError> {
        let Some(first) = front.first() else {
            return Ok(None);
        };
        if self.limits.connect_first && !first.eq_ignore_ascii_case(&b'C') {
            return Err(WireError::ConnectExpected);
        }
        let Some(verb) = Verb::read(front)? else {
            self.scanned = front.len();
            return Ok(None);
        };
        match verb {
            Verb::Pub => self.publish(front),
            Verb::Hpub => self.publish_with_headers(front),
            _ => self.cut_other(verb, front),
        }
    }

    fn cut_other<'a>(&mut self, verb: Verb, front: &'a [u8]) -> Result<Cut<'a>, WireError> {
        match verb {
            Verb::Ping => return self.bare(verb, front, Frame::Ping),
            Verb::Pong => return self.bare(verb, front, Frame::Pong),
            Verb::Ok => return self.bare(verb, front, Frame::Ok),
            _ => {}
        }
        let Some(line) = self.line(front, verb.len())? else {
            return Ok(None);
        };
        let frame = match verb {
            Verb::Connect => Frame::Connect(line.text),
            Verb::Info => Frame::Info(line.text),
            Verb::Sub => Frame::Subscribe(subscribe(line.text)?),
            Verb::Unsub => Frame::Unsubscribe(unsubscribe(line.text)?),
            Verb::HeaderMsg => {
                let Some((_, end)) = self.content(front, line.len, 0)? else {
                    return Ok(None);
                };
                return Ok(Some((Frame::HeaderMsg, end)));
            }
            _ => Frame::Err(line.text),
        };
        Ok(Some((frame, line.len)))
    }

    #[inline]
    fn publish<'a>(&mut self, front: &'a [u8]) -> Result<Cut<'a>, WireError> {
        let Some(line) = self.line(front, Verb::Pub.len())? else {
            return Ok(None);
        };
        let fault = |fault| WireError::args(fault, line.text);
        let (subject, reply, size) = match subject_and_size(line.text) {
            Some((subject, size)) => (subject, None, size),
            None => {
                let (subject, reply, size) = match words(line.text) {
                    ([subject, size, ..], 2) => (subject, None, size),
                    ([subject, reply, size, _], 3) => (subject, Some(reply), size),
                    _ => return Err(fault(ArgFault::PubWords)),
                };
                (
                    subject,
                    reply,
                    Digits::parse(size).ok_or_else(|| fault(ArgFault::PubSize))?,
                )
            }
        };
        self.check_payload(size)?;
        let subject = destination(subject, || fault(ArgFault::PubWords))?;
        let Some((bytes, len)) = self.content(front, line.len, size.len())? else {
            return Ok(None);
        };
        let behind = match reply {
            None => line.behind_first(&[subject.as_bytes(), size.as_bytes()]),
            Some(reply) => line.behind_first(&[subject.as_bytes(), reply, size.as_bytes()]),
        };
        let publish = Publish {
            subject,
            reply: reply.map(Arg::from_splitter),
            content: Content::decoded(bytes, size, None),
            line: front.get(..line.len).unwrap_or_default(),
            tail: behind.and_then(|from| front.get(from..len)).unwrap_or_default(),
        };
        Ok(Some((Frame::Publish(publish), len)))
    }

    fn publish_with_headers<'a>(&mut self, front: &'a [u8]) -> Result<Cut<'a>, WireError> {
        let Some(line) = self.line(front, Verb::Hpub.len())? else {
            return Ok(None);
        };
        if !self.limits.headers && self.whole == 0 {
            return Err(WireError::HeadersNotSupported);
        }
        let fault = |fault| WireError::args(fault, line.text);
        let (subject, reply, header, size) = match words(line.text) {
            ([subject, header, size, _], 3) => (subject, None, header, size),
            ([subject, reply, header, size], 4) => (subject, Some(reply), header, size),
            _ => return Err(fault(ArgFault::HpubWords)),
        };
        let header = Digits::parse(header).ok_or_else(|| fault(ArgFault::HpubHeaderSize))?;
        let size = Digits::parse(size).ok_or_else(|| fault(ArgFault::HpubTotalSize))?;
        if header.value() > size.value() {
            return Err(fault(ArgFault::HpubHeaderAboveTotal));
        }
        self.check_payload(size)?;
        let subject = destination(subject, || fault(ArgFault::HpubWords))?;
        let Some((bytes, len)) = self.content(front, line.len, size.len())? else {
            return Ok(None);
        };
        let behind = match reply {
            None => line.behind_first(&[subject.as_bytes(), header.as_bytes(), size.as_bytes()]),
            Some(reply) => {
                line.behind_first(&[subject.as_bytes(), reply, header.as_bytes(), size.as_bytes()])
            }
        };
        let publish = Publish {
            subject,
            reply: reply.map(Arg::from_splitter),
            content: Content::decoded(bytes, size, Some(header)),
            line: front.get(..line.len).unwrap_or_default(),
            // `HPUB x 0 5` has no headers, and goes on as `MSG`.
            tail: behind
                .filter(|_| !header.is_empty())
                .and_then(|from| front.get(from..len))
                .unwrap_or_default(),
        };
        Ok(Some((Frame::Publish(publish), len)))
    }

    /// The text of the line at the front, behind the blanks that follow the verb.
    ///
    /// CORE-24: the text begins at the first byte that is no blank, whichever it is, and ends at the next line
    /// feed behind that byte. Blanks count against the limit by themselves, where the reference lets any number
    /// pass: here they stay in the caller's buffer until the line is whole.
    #[inline]
    fn line<'a>(&mut self, front: &'a [u8], verb: usize) -> Result<Option<Line<'a>>, WireError> {
        let limit = self.line_limit();
        let from = verb.max(self.text_at);
        let blanks = front
            .get(from..)
            .unwrap_or_default()
            .iter()
            .take_while(|b| is_blank(**b))
            .count();
        let start = from + blanks;
        if start - verb > limit {
            return Err(WireError::ControlLineTooLong);
        }
        let text = front.get(start..).unwrap_or_default();
        let skip = self.scanned.saturating_sub(start).max(1);
        let Some(at) = memchr(b'\n', text.get(skip..).unwrap_or_default()) else {
            (self.text_at, self.scanned) = (start, front.len());
            return if is_too_long(text, limit) {
                Err(WireError::ControlLineTooLong)
            } else {
                Ok(None)
            };
        };
        let at = skip + at;
        let text = without_return(text.get(..at).unwrap_or_default());
        if text.len() > limit {
            return Err(WireError::ControlLineTooLong);
        }
        Ok(Some(Line {
            text,
            start,
            len: start + at + 1,
        }))
    }

    /// A verb whose line may go on with anything (CORE-24). That rest counts against the limit, where the
    /// reference reads on for ever.
    fn bare<'a>(&mut self, verb: Verb, front: &'a [u8], frame: Frame<'a>) -> Result<Cut<'a>, WireError> {
        let from = verb.len().max(self.scanned);
        let end = memchr(b'\n', front.get(from..).unwrap_or_default()).map(|at| from + at);
        if end.unwrap_or(front.len()).saturating_sub(verb.len()) > self.line_limit() {
            return Err(WireError::ControlLineTooLong);
        }
        if end.is_none() {
            self.scanned = front.len();
        }
        Ok(end.map(|end| (frame, end + 1)))
    }

    /// The `size` bytes at `from`, and the length of the frame, with the line end that must follow them
    /// (CORE-32). Remembers that length while they are on their way.
    #[inline]
    fn content<'a>(
        &mut self,
        front: &'a [u8],
        from: usize,
        size: usize,
    ) -> Result<Option<(&'a [u8], usize)>, WireError> {
        let after = from.saturating_add(size);
        match front.get(after..) {
            Some([b'\r', b'\n', ..]) => Ok(front.get(from..after).map(|bytes| (bytes, after + 2))),
            None | Some([] | [b'\r']) => {
                self.whole = after.saturating_add(2);
                Ok(None)
            }
            Some([b'\r', ..]) => Err(WireError::unknown(MSG_END_N, after + 1, front)),
            Some(_) => Err(WireError::unknown(MSG_END_R, after, front)),
        }
    }

    /// The header line is accepted, its content not yet here. Only the byte behind the content can be wrong.
    #[cold]
    fn await_content<'a>(&self, front: &[u8]) -> Result<Option<Frame<'a>>, WireError> {
        let after = self.whole.saturating_sub(2);
        match front.get(after) {
            None | Some(b'\r') => Ok(None),
            Some(_) => Err(WireError::unknown(MSG_END_R, after, front)),
        }
    }

    #[inline]
    fn check_payload(&self, size: Digits) -> Result<(), WireError> {
        let limit = self.limits.payload;
        let fits = limit == -1 || i64::from(size.value()) <= limit;
        if fits || self.whole > 0 {
            return Ok(());
        }
        Err(WireError::PayloadTooLarge {
            size: size.value(),
            limit,
        })
    }

    #[inline]
    fn line_limit(&self) -> usize {
        if self.whole > 0 {
            usize::MAX
        } else {
            self.limits.control_line
        }
    }
}

/// States of the reference's parser behind a payload; only logs show them.
const MSG_END_R: u8 = 41;
const MSG_END_N: u8 = 42;

fn subscribe(text: &[u8]) -> Result<Subscribe<'_>, WireError> {
    let mut args = args(text);
    let (subject, queue, sid) = match (args.next(), args.next(), args.next(), args.next()) {
        (Some(subject), Some(sid), None, _) => (subject, None, sid),
        (Some(subject), queue, Some(sid), None) => (subject, queue, sid),
        _ => return Err(WireError::args(ArgFault::SubWords, text)),
    };
    Ok(Subscribe { subject, queue, sid })
}

fn unsubscribe(text: &[u8]) -> Result<Unsubscribe<'_>, WireError> {
    let mut args = args(text);
    let (Some(sid), max, None) = (args.next(), args.next(), args.next()) else {
        return Err(WireError::args(ArgFault::UnsubWords, text));
    };
    let max = max.map(|m| Digits::parse(m.as_bytes()).map_or(-1, |d| i64::from(d.value())));
    Ok(Unsubscribe { sid, max })
}

/// Words of a SUB or UNSUB line: here line ends inside the text part words too.
fn args(text: &[u8]) -> impl Iterator<Item = Arg<'_>> {
    text.split(|b| matches!(b, b' ' | b'\t' | b'\r' | b'\n'))
        .filter(|w| !w.is_empty())
        .map(Arg::from_splitter)
}

/// The usual PUB line: two words, one blank between them and none behind. `None`: look closer.
#[inline]
fn subject_and_size(text: &[u8]) -> Option<(&[u8], Digits)> {
    let (subject, rest) = text.split_at_checked(memchr2(b' ', b'\t', text)?)?;
    let size = Digits::parse(rest.get(1..)?)?;
    Some((subject, size))
}

/// The subject of a PUB or HPUB line. A text can begin with a line feed, which is then the subject's first
/// byte; the reference delivers it, as a line of its own, to subscribers.
#[inline]
fn destination<'a>(word: &'a [u8], fault: impl FnOnce() -> WireError) -> Result<Arg<'a>, WireError> {
    if word.first() == Some(&b'\n') {
        return Err(fault());
    }
    Ok(Arg::from_splitter(word))
}

/// Words of a PUB or HPUB line, and how many there are; five: more than four.
#[inline]
fn words(text: &[u8]) -> ([&[u8]; 4], usize) {
    let mut found: [&[u8]; 4] = [&[]; 4];
    let mut rest = text;
    for count in 0..=found.len() {
        let blanks = rest.iter().take_while(|b| is_blank(**b)).count();
        rest = rest.get(blanks..).unwrap_or_default();
        if rest.is_empty() {
            return (found, count);
        }
        let (word, behind) = rest.split_at(memchr2(b' ', b'\t', rest).unwrap_or(rest.len()));
        if let Some(slot) = found.get_mut(count) {
            *slot = word;
        }
        rest = behind;
    }
    (found, found.len() + 1)
}

/// CORE-24: one byte falls at the end if a carriage return was seen anywhere behind the first byte. Mostly
/// that byte is the carriage return.
#[inline]
fn without_return(text: &[u8]) -> &[u8] {
    match text {
        [_, .., b'\r'] => {}
        [_, rest @ ..] if memchr(b'\r', rest).is_some() => {}
        _ => return text,
    }
    text.split_last().map_or(text, |(_, kept)| kept)
}

/// Whether the text of an unfinished line is over `limit` whatever follows (CORE-31). One byte more
/// than the limit may still fall.
fn is_too_long(text: &[u8], limit: usize) -> bool {
    let may_fall = |rest: &[u8]| memchr(b'\r', rest).is_some();
    text.len() > limit && (text.len() > limit + 1 || !text.get(1..).is_some_and(may_fall))
}
