//! What a server sends to a client.
//!
//! Each function appends one whole frame to a [`Sink`] and returns its length in bytes, which is what counts
//! against pending limits. None allocates, as long as the sink does not.

use crate::{Arg, Content, Digits, Sink};

/// `PING\r\n`.
pub const PING: &[u8] = b"PING\r\n";
/// `PONG\r\n`.
pub const PONG: &[u8] = b"PONG\r\n";
/// `+OK\r\n`.
pub const OK: &[u8] = b"+OK\r\n";

const CRLF: &[u8] = b"\r\n";

/// Room for the head of a message line: usual subjects and ids fit.
const HEAD_ROOM: usize = 120;

/// The beginning of the `MSG` and `HMSG` lines of one subscription: made once for a run of messages, so that each of
/// them costs few copies. No allocation; a longer line than usual is put together anew each time.
pub struct MessageHead<'a> {
    subject: Arg<'a>,
    sid: Arg<'a>,
    /// `HMSG <subject> <sid> `; a `MSG` line begins one byte later.
    line: [u8; HEAD_ROOM],
    len: usize,
}

impl<'a> MessageHead<'a> {
    /// The head of lines for `subject` under the receiver's `sid`, put together once if there are several `messages` to come.
    pub fn new(subject: Arg<'a>, sid: Arg<'a>, messages: usize) -> Self {
        let mut head = Self {
            subject,
            sid,
            line: [0; HEAD_ROOM],
            len: 0,
        };
        if messages > 2 {
            head.prepare();
        }
        head
    }

    fn prepare(&mut self) {
        let mut len = 0;
        for piece in [
            &b"HMSG "[..],
            self.subject.as_bytes(),
            b" ",
            self.sid.as_bytes(),
            b" ",
        ] {
            let Some(room) = self.line.get_mut(len..len + piece.len()) else {
                return;
            };
            room.copy_from_slice(piece);
            len += piece.len();
        }
        self.len = len;
    }

    /// Appends a message: `MSG <subject> <sid> [reply] <size>`, or `HMSG ... <header size> <size>` if `content` has
    /// headers (CORE-25), and its content. For a receiver without headers pass [`Content::without_headers`] (CORE-58).
    #[inline]
    pub fn write(&self, sink: &mut impl Sink, reply: Option<Arg<'_>>, content: &Content<'_>) -> usize {
        let header_size = content.header_size();
        let skipped = usize::from(header_size.is_none());
        let Some(head) = self.line.get(skipped..self.len).filter(|head| !head.is_empty()) else {
            return self.write_long(sink, reply, content);
        };
        let (reply, gap): (&[u8], &[u8]) = reply.map_or((b"", b""), |reply| (reply.as_bytes(), b" "));
        let size = content.size();
        match header_size {
            None => put_all(
                sink,
                &[head, reply, gap, size.as_bytes(), CRLF, content.bytes(), CRLF],
            ),
            Some(header) => put_all(
                sink,
                &[
                    head,
                    reply,
                    gap,
                    header.as_bytes(),
                    b" ",
                    size.as_bytes(),
                    CRLF,
                    content.bytes(),
                    CRLF,
                ],
            ),
        }
    }

    /// Appends a message just as it was published: `tail` is that of the [`Publish`](super::Publish), `has_headers` whether
    /// it has a header block.
    #[inline]
    pub fn write_tail(&self, sink: &mut impl Sink, has_headers: bool, tail: &[u8]) -> usize {
        match self.line.get(usize::from(!has_headers)..self.len) {
            Some(head) if !head.is_empty() => put_all(sink, &[head, tail]),
            _ => {
                let verb: &[u8] = if has_headers { b"HMSG " } else { b"MSG " };
                put_all(
                    sink,
                    &[
                        verb,
                        self.subject.as_bytes(),
                        b" ",
                        self.sid.as_bytes(),
                        b" ",
                        tail,
                    ],
                )
            }
        }
    }

    fn write_long(&self, sink: &mut impl Sink, reply: Option<Arg<'_>>, content: &Content<'_>) -> usize {
        let (header, size) = (content.header_size(), content.size());
        let verb: &[u8] = if header.is_some() { b"HMSG " } else { b"MSG " };
        let mut len = put_all(
            sink,
            &[verb, self.subject.as_bytes(), b" ", self.sid.as_bytes(), b" "],
        );
        for word in [
            reply.as_ref().map(Arg::as_ref),
            header.as_ref().map(Digits::as_bytes),
        ]
        .into_iter()
        .flatten()
        {
            len += put_all(sink, &[word, b" "]);
        }
        len + put_all(sink, &[size.as_bytes(), CRLF, content.bytes(), CRLF])
    }
}

/// One message; see [`MessageHead::write`].
#[inline]
pub fn msg(
    sink: &mut impl Sink,
    subject: Arg<'_>,
    sid: Arg<'_>,
    reply: Option<Arg<'_>>,
    content: &Content<'_>,
) -> usize {
    MessageHead::new(subject, sid, 1).write(sink, reply, content)
}

/// Tells a requester that nobody listens on `subject`, which must be the mapped one (CORE-61).
pub fn no_responders(sink: &mut impl Sink, reply: Arg<'_>, sid: Arg<'_>, subject: Arg<'_>) -> usize {
    const HEAD: &[u8] = b"NATS/1.0 503\r\nNats-Subject: ";
    const TAIL: &[u8] = b"\r\n\r\n\r\n";
    let (reply, sid, subject) = (reply.as_bytes(), sid.as_bytes(), subject.as_bytes());
    // A subject comes out of one control line, so it is far below 4 GiB.
    let size = Digits::new(u32::try_from(HEAD.len() + subject.len() + 4).unwrap_or(u32::MAX));
    let pieces: [&[u8]; 12] = [
        b"HMSG ",
        reply,
        b" ",
        sid,
        b" ",
        size.as_bytes(),
        b" ",
        size.as_bytes(),
        CRLF,
        HEAD,
        subject,
        TAIL,
    ];
    put_all(sink, &pieces)
}

/// `-ERR '<text>'`. A line feed in `text` becomes a space, so that the text cannot begin another line.
pub fn err(sink: &mut impl Sink, text: &[u8]) -> usize {
    let mut len = put_all(sink, &[b"-ERR '"]);
    for (n, line) in text.split(|b| *b == b'\n').enumerate() {
        let gap: &[u8] = if n == 0 { b"" } else { b" " };
        len += put_all(sink, &[gap, line]);
    }
    len + put_all(sink, &[b"'\r\n"])
}

#[inline]
fn put_all(sink: &mut impl Sink, pieces: &[&[u8]]) -> usize {
    sink.put_all(pieces);
    pieces.iter().map(|piece| piece.len()).sum()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Quoted;

    fn arg(word: &str) -> Arg<'_> {
        Arg::new(word.as_bytes()).expect("a word")
    }

    #[track_caller]
    fn check(write: impl FnOnce(&mut Vec<u8>) -> usize, sent: &str) {
        let mut out = Vec::new();
        let len = write(&mut out);
        assert_eq!(Quoted(&out).to_string(), Quoted(sent.as_bytes()).to_string());
        assert_eq!(len, out.len());
    }

    // CORE-25
    #[test]
    fn message_echoes_the_digits_of_its_publisher() {
        let size = Digits::parse(b"005").expect("a size");
        let content = Content::decoded(b"hello", size, None);
        check(
            |s| msg(s, arg("foo"), arg("1"), None, &content),
            "MSG foo 1 005\r\nhello\r\n",
        );
        check(
            |s| msg(s, arg("foo"), arg("1"), Some(arg("bar")), &content),
            "MSG foo 1 bar 005\r\nhello\r\n",
        );
    }

    // CORE-25, CORE-35, CORE-58 [TestClientHeaderDeliverMsg, TestClientHeaderDeliverStrippedMsg]
    #[test]
    fn headers_go_to_receivers_that_know_them() {
        let content = Content::with_headers(b"Name:Derek\r\nOK", 12).expect("fits");
        check(
            |s| msg(s, arg("foo"), arg("1"), None, &content),
            "HMSG foo 1 12 14\r\nName:Derek\r\nOK\r\n",
        );
        check(
            |s| msg(s, arg("foo"), arg("1"), Some(arg("r")), &content),
            "HMSG foo 1 r 12 14\r\nName:Derek\r\nOK\r\n",
        );
        check(
            |s| msg(s, arg("foo"), arg("1"), None, &content.without_headers()),
            "MSG foo 1 2\r\nOK\r\n",
        );
    }

    // CORE-61 [TestClientNoResponderSupport]
    #[test]
    fn no_responders_names_the_subject() {
        check(
            |s| no_responders(s, arg("reply"), arg("7"), arg("foo")),
            "HMSG reply 7 35 35\r\nNATS/1.0 503\r\nNats-Subject: foo\r\n\r\n\r\n",
        );
    }

    #[test]
    fn error_text_cannot_begin_another_line() {
        check(
            |s| err(s, b"Authorization Violation"),
            "-ERR 'Authorization Violation'\r\n",
        );
        check(|s| err(s, b"a\nMSG b\n"), "-ERR 'a MSG b '\r\n");
    }

    /// What a client reads: names, content, header length, and what is left.
    struct Read<'a> {
        names: Vec<&'a [u8]>,
        content: &'a [u8],
        header_len: usize,
        rest: &'a [u8],
    }

    fn read_one(input: &[u8]) -> Option<Read<'_>> {
        let end = input.windows(2).position(|w| w == CRLF)?;
        let words: Vec<&[u8]> = input[..end].split(|b| *b == b' ').collect();
        let number = |word: &[u8]| std::str::from_utf8(word).ok()?.parse::<usize>().ok();
        let (&size, mut names) = words.split_last()?;
        let mut header_len = 0;
        if words.first() == Some(&&b"HMSG"[..]) {
            let (&header, rest) = names.split_last()?;
            (header_len, names) = (number(header)?, rest);
        }
        let after = end + 2 + number(size)?;
        let content = input.get(end + 2..after)?;
        let rest = input.get(after..)?.strip_prefix(CRLF)?;
        Some(Read {
            names: names.get(1..)?.to_vec(),
            content,
            header_len,
            rest,
        })
    }

    proptest! {
        // CORE-25
        #[test]
        fn written_message_is_read_back_whole(
            subject in "[!-~]{1,20}", sid in "[!-~]{1,8}", reply in prop::option::of("[!-~]{1,20}"),
            bytes in prop::collection::vec(any::<u8>(), 0..64), cut in 0..64usize,
        ) {
            let content = Content::with_headers(&bytes, cut.min(bytes.len())).expect("fits");
            let mut out = Vec::new();
            msg(&mut out, arg(&subject), arg(&sid), reply.as_deref().map(arg), &content);
            let read = read_one(&out).expect("a whole frame");
            let expected: Vec<&[u8]> =
                [Some(subject.as_bytes()), Some(sid.as_bytes()), reply.as_deref().map(str::as_bytes)]
                    .into_iter().flatten().collect();
            prop_assert_eq!(read.names, expected);
            prop_assert_eq!((read.content, read.header_len), (&bytes[..], cut.min(bytes.len())));
            prop_assert!(read.rest.is_empty());
        }
    }
}
