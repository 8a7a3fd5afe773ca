//! What the decoder takes and refuses, checked against the reference's answers.

use expect_test::{Expect, expect};

use super::*;
use crate::Quoted;

mod split;

const HEADERS: DecoderLimits = DecoderLimits {
    control_line: 4096,
    payload: 1024 * 1024,
    headers: true,
    connect_first: false,
};

/// A frame as text: its verb and words, contents quoted.
fn show(frame: &Frame<'_>) -> String {
    let word = |arg: &Option<Arg<'_>>| arg.map_or("-".into(), |a| format!("{a:?}"));
    match frame {
        Frame::Connect(json) => format!("CONNECT {}", Quoted(json)),
        Frame::Info(json) => format!("INFO {}", Quoted(json)),
        Frame::Err(text) => format!("-ERR {}", Quoted(text)),
        Frame::Publish(p) => format!("PUB {:?} {} {:?}", p.subject, word(&p.reply), p.content),
        Frame::Subscribe(s) => format!("SUB {:?} {} {:?}", s.subject, word(&s.queue), s.sid),
        Frame::Unsubscribe(u) => format!("UNSUB {:?} {:?}", u.sid, u.max),
        Frame::Ping | Frame::Pong | Frame::Ok | Frame::HeaderMsg => format!("{frame:?}").to_uppercase(),
    }
}

/// Plays a listener: reads the pieces one by one, keeps what is left over, and decodes until the decoder
/// wants more. Gives the frames, the bytes left, and the error that ended it.
fn decode(limits: DecoderLimits, pieces: &[&[u8]]) -> (Vec<String>, usize, Option<WireError>) {
    let mut decoder = Decoder::new(limits);
    let mut kept: Vec<u8> = Vec::new();
    let mut frames = Vec::new();
    for piece in pieces {
        kept.extend_from_slice(piece);
        let mut input = &kept[..];
        loop {
            let before = input;
            match decoder.decode(&mut input) {
                Ok(Some(frame)) => {
                    assert!(input.len() < before.len() && before.ends_with(input));
                    frames.push(show(&frame));
                }
                Ok(None) => {
                    assert_eq!(input, before, "nothing is taken without a frame");
                    assert!(decoder.bytes_needed() > input.len(), "something must be missing");
                    break;
                }
                Err(error) => {
                    assert_eq!(input, before, "nothing is taken on an error");
                    return (frames, input.len(), Some(error));
                }
            }
        }
        kept = input.to_vec();
    }
    (frames, kept.len(), None)
}

fn transcript(limits: DecoderLimits, pieces: &[&[u8]]) -> String {
    let (mut lines, left, error) = decode(limits, pieces);
    match error {
        Some(error) => lines.push(format!("{:?} {:?}: {error}", error.kind(), error.reply())),
        None if left > 0 => lines.push(format!("{left} bytes left")),
        None => {}
    }
    lines.join("\n")
}

#[track_caller]
fn check(input: impl AsRef<[u8]>, expected: Expect) {
    expected.assert_eq(&transcript(HEADERS, &[input.as_ref()]));
}

/// Each of `inputs` must fail with its last byte, and not before.
#[track_caller]
fn check_fails_at_last_byte(inputs: &[&str]) {
    for input in inputs {
        let (head, last) = input.as_bytes().split_at(input.len() - 1);
        assert_eq!(decode(HEADERS, &[head]).2, None, "{input:?}");
        let at_once = decode(HEADERS, &[input.as_bytes()]).2;
        assert!(at_once.is_some(), "{input:?}");
        assert_eq!(decode(HEADERS, &[head, last]).2, at_once, "{input:?}");
    }
}

// CORE-24 [TestParsePing, TestParsePong, TestParseOK]
#[test]
fn verb_without_words_takes_the_rest_of_its_line() {
    check(
        "PING\r\npong\npInGxyz\r\nPONG  \r  \n+OK\r\n+ok bla\n",
        expect![[r#"
        PING
        PONG
        PING
        PONG
        OK
        OK"#]],
    );
    check("PING  \r", expect!["7 bytes left"]);
    check("+", expect!["1 bytes left"]);
}

// CORE-24 [TestParseConnect]
#[test]
fn connect_needs_no_blank() {
    check(
        "CONNECT {\"verbose\":false}\r\n",
        expect![[r#"CONNECT "{\"verbose\":false}""#]],
    );
    check(
        "connect{}\nCONNECT\t \t{} \r\nCONNECT \r\n",
        expect![[r#"
        CONNECT "{}"
        CONNECT "{} "
        CONNECT "\r""#]],
    );
}

// CORE-24, CORE-26
#[test]
fn info_and_err_of_a_client_are_frames() {
    check(
        "INFO {}\r\nINFO{}\r\n-ERR 'a b'\r\n-err\tx\n",
        expect![[r#"
        INFO "{}"
        INFO "{}"
        -ERR "'a b'"
        -ERR "x""#]],
    );
    check(
        "-ERR\r\n",
        expect![[r#"
        ProtocolViolation Some("Unknown Protocol Operation"): Client parser ERROR, state=7, i=4: proto='"\r"...'"#]],
    );
}

// CORE-24, CORE-147 [TestParseSub]
#[test]
fn sub_has_an_optional_queue() {
    check(
        "SUB foo 1\r\nsub foo bar 22\nSUB \t foo\t\tbar \t 22\t\r\nSUB foo 1\r",
        expect![[r#"
        SUB "foo" - "1"
        SUB "foo" "bar" "22"
        SUB "foo" "bar" "22"
        10 bytes left"#]],
    );
}

// CORE-30, CORE-42
#[test]
fn unsub_max_that_is_no_number_is_minus_one() {
    check(
        "UNSUB 1\r\nUNSUB 1 5\r\nUNSUB 1 x\r\nUNSUB 1 1234567890\r\nUNSUB 1 -3\r\n",
        expect![[r#"
        UNSUB "1" None
        UNSUB "1" Some(5)
        UNSUB "1" Some(-1)
        UNSUB "1" Some(-1)
        UNSUB "1" Some(-1)"#]],
    );
}

// CORE-24, CORE-32 [TestParsePub]
#[test]
fn pub_has_an_optional_reply() {
    check(
        "PUB foo 5\r\nhello\r\nPUB foo.bar INBOX.22 11\r\nhello world\r\npub a 0\n\r\n",
        expect![[r#"
        PUB "foo" - 5 "hello"
        PUB "foo.bar" "INBOX.22" 11 "hello world"
        PUB "a" - 0 """#]],
    );
    check("PUB foo 5\r\nhello\r", expect!["17 bytes left"]);
    check(
        "PUB foo.bar 11\r\nhello world hello world\r",
        expect![[r#"
        ProtocolViolation Some("Unknown Protocol Operation"): Client parser ERROR, state=41, i=27: proto='" hello world"...'"#]],
    );
}

// CORE-24, CORE-147 [TestParsePubArg]
#[test]
fn blanks_between_words_are_spaces_and_tabs() {
    for (words, shown) in [
        ("a 2", r#"PUB "a" - 2 "ok""#),
        (" foo 2", r#"PUB "foo" - 2 "ok""#),
        ("foo 2 ", r#"PUB "foo" - 2 "ok""#),
        ("foo   2", r#"PUB "foo" - 2 "ok""#),
        (" foo   2 ", r#"PUB "foo" - 2 "ok""#),
        ("foo bar 2", r#"PUB "foo" "bar" 2 "ok""#),
        ("  foo   bar  2  ", r#"PUB "foo" "bar" 2 "ok""#),
        ("  foo     0002  ", r#"PUB "foo" - 0002 "ok""#),
        ("a\t2", r#"PUB "a" - 2 "ok""#),
        ("\tfoo\t\t\t2\t", r#"PUB "foo" - 2 "ok""#),
        ("\tfoo\tbar\t2\t", r#"PUB "foo" "bar" 2 "ok""#),
        ("\t \tfoo\t \t \tbar\t \t2\t \t", r#"PUB "foo" "bar" 2 "ok""#),
        ("\t \tfoo\t \t \t\t\t2\t \t", r#"PUB "foo" - 2 "ok""#),
    ] {
        assert_eq!(
            transcript(HEADERS, &[format!("PUB {words}\r\nok\r\n").as_bytes()]),
            shown,
            "{words:?}"
        );
    }
}

// CORE-33, CORE-35 [TestParseHeaderPub, TestClientHeaderDeliverMsg]
#[test]
fn hpub_splits_headers_from_payload() {
    check(
        "HPUB foo 12 17\r\nname:derek\r\nHELLO\r\nHPUB foo INBOX.22 12 17\r\nname:derek\r\nHELLO\r\n",
        expect![[r#"
        PUB "foo" - 12 17 "name:derek\r\n" "HELLO"
        PUB "foo" "INBOX.22" 12 17 "name:derek\r\n" "HELLO""#]],
    );
    check(
        "HPUB foo INBOX.22 0 5\r\nHELLO\r\nHPUB foo 02 02\r\nok\r\n",
        expect![[r#"
        PUB "foo" "INBOX.22" 5 "HELLO"
        PUB "foo" - 02 02 "ok" """#]],
    );
}

// CORE-33 [TestParseHeaderPubArg]
#[test]
fn blanks_between_words_of_hpub_are_spaces_and_tabs() {
    for (words, shown) in [
        ("a 2 4", r#"PUB "a" - 2 4 "ok" "ok""#),
        (" foo   1 4", r#"PUB "foo" - 1 4 "o" "kok""#),
        ("foo  0     4 ", r#"PUB "foo" - 4 "okok""#),
        ("foo bar 1 0004", r#"PUB "foo" "bar" 1 0004 "o" "kok""#),
        ("\tfoo\t\tbar\t\t03\t4\t\t", r#"PUB "foo" "bar" 03 4 "oko" "k""#),
        ("\t \tfoo\t \t \t\t\t1 \t 4\t \t", r#"PUB "foo" - 1 4 "o" "kok""#),
    ] {
        assert_eq!(
            transcript(HEADERS, &[format!("HPUB {words}\r\nokok\r\n").as_bytes()]),
            shown,
            "{words:?}"
        );
    }
}

// CORE-33 [TestClientHeaderSupport]
#[test]
fn hpub_needs_headers() {
    let limits = DecoderLimits {
        headers: false,
        ..HEADERS
    };
    let error = decode(limits, &[b"HPUB foo 0 2\r\n"]).2;
    assert_eq!(error, Some(WireError::HeadersNotSupported));
    assert_eq!(error.and_then(|e| e.reply()), None);
}

// CORE-26
#[test]
fn hmsg_of_a_client_must_be_empty() {
    check(
        "HMSG foo 1 2\r\n\r\nPING\r\n",
        expect![[r#"
        HEADERMSG
        PING"#]],
    );
    check(
        "HMSG foo\r\nxx",
        expect![[r#"
        ProtocolViolation Some("Unknown Protocol Operation"): Client parser ERROR, state=41, i=10: proto='"x"...'"#]],
    );
    check(
        "HMSG foo\r\n\rx",
        expect![[r#"
        ProtocolViolation Some("Unknown Protocol Operation"): Client parser ERROR, state=42, i=11: proto='""...'"#]],
    );
    check(
        "HMSG\r\n",
        expect![[r#"
        ProtocolViolation Some("Unknown Protocol Operation"): Client parser ERROR, state=26, i=4: proto='"\r"...'"#]],
    );
}

// CORE-26, CORE-27, CORE-28 [TestShouldFail, TestParseMsgSpace, TestProtoErr, TestPubToArgState, TestSubToArgState]
#[test]
fn byte_that_fits_no_verb_fails_at_once() {
    check_fails_at_last_byte(&[
        "x", "Px", "PIx", "PINx", " ", "POx", "PONx", "+x", "+Ox", "-x", "-Ex", "-ERx", "-ERRx",
    ]);
    check_fails_at_last_byte(&[
        "Cx", "COx", "CONx", "CONNx", "CONNEx", "CONNECx", "PUx", "PUBx", "Sx", "SUx", "SUB\r",
    ]);
    check_fails_at_last_byte(&[
        "Ux", "UNx", "UNSx", "UNSUx", "UNSUBx", "UNSUBU", "UNSUB_", "UNSUB\r", "Ix", "INx", "INFx",
    ]);
    check_fails_at_last_byte(&[
        "Hx", "HPx", "HPUx", "HPUBx", "HMx", "HMSx", "HMSGx", "M", "R", "A", "L", "\0",
    ]);
    check_fails_at_last_byte(&[
        "Z",
        "PUBS",
        "SUBZ",
        "PUB foo 2\r\nokx",
        "PUB foo 2\r\nok ",
        "PUB foo 2\r\nok\r ",
        "PUB foo 0\r\n\n",
    ]);
}

// CORE-27 [TestShouldFail, TestProtoErr]
#[test]
fn unknown_operation_is_logged_with_state_place_and_snippet() {
    check(
        "xxx",
        expect![[r#"
        ProtocolViolation Some("Unknown Protocol Operation"): Client parser ERROR, state=0, i=0: proto='"xx"...'"#]],
    );
    check(
        "Px",
        expect![[r#"
        ProtocolViolation Some("Unknown Protocol Operation"): Client parser ERROR, state=29, i=1: proto='""...'"#]],
    );
    check(
        " PING",
        expect![[r#"
        ProtocolViolation Some("Unknown Protocol Operation"): Client parser ERROR, state=0, i=0: proto='" PIN"...'"#]],
    );
    check(
        "SUB\r\n",
        expect![[r#"
        ProtocolViolation Some("Unknown Protocol Operation"): Client parser ERROR, state=45, i=3: proto='"\r"...'"#]],
    );
    check(
        "UNSUB_2\r\n",
        expect![[r#"
        ProtocolViolation Some("Unknown Protocol Operation"): Client parser ERROR, state=63, i=5: proto='"_2\r"...'"#]],
    );
    check(
        "PUB foo 2\r\nok \r\n",
        expect![[r#"
        ProtocolViolation Some("Unknown Protocol Operation"): Client parser ERROR, state=41, i=13: proto='" \r"...'"#]],
    );
    check(
        "PUB foo 2\r\nok\r \n",
        expect![[r#"
        ProtocolViolation Some("Unknown Protocol Operation"): Client parser ERROR, state=42, i=14: proto='" "...'"#]],
    );
    let behind = decode(HEADERS, &[b"PING\r\nxxxyyy"])
        .2
        .map(|e| e.behind(6).to_string());
    assert_eq!(
        behind.as_deref(),
        Some(r#"Client parser ERROR, state=0, i=6: proto='"xxxyy"...'"#)
    );
}

// CORE-28, CORE-29 [TestShouldFail]
#[test]
fn words_that_do_not_fit_close_without_a_reply() {
    for (line, log) in [
        ("PUB foo", r#"processPub Parse Error: "foo""#),
        ("PUB  ", r#"processPub Parse Error: "\r""#),
        ("PUB a b c 2", r#"processPub Parse Error: "a b c 2""#),
        ("PUB a b c d 2", r#"processPub Parse Error: "a b c d 2""#),
        (
            "PUB foo bar       ",
            r#"processPub Bad or Missing Size: "foo bar       ""#,
        ),
        ("PUB foo -1", r#"processPub Bad or Missing Size: "foo -1""#),
        ("PUB foo 12a", r#"processPub Bad or Missing Size: "foo 12a""#),
        (
            "PUB foo 2222222222222222",
            r#"processPub Bad or Missing Size: "foo 2222222222222222""#,
        ),
        ("HPUB foo 2", r#"processHeaderPub Parse Error: "foo 2""#),
        ("HPUB a b c 1 2", r#"processHeaderPub Parse Error: "a b c 1 2""#),
        (
            "HPUB foo x 2",
            r#"processHeaderPub Bad or Missing Header Size: "foo x 2""#,
        ),
        (
            "HPUB foo 2 x",
            r#"processHeaderPub Bad or Missing Total Size: "foo 2 x""#,
        ),
        (
            "HPUB foo 5 2",
            r#"processHeaderPub Header Size larger then TotalSize: "foo 5 2""#,
        ),
        ("SUB  ", r#"processSub Parse Error: "\r""#),
        ("SUB foo", r#"processSub Parse Error: "foo""#),
        (
            "SUB foo bar baz 22",
            r#"processSub Parse Error: "foo bar baz 22""#,
        ),
        ("UNSUB ", r#"processUnsub Parse Error: "\r""#),
        ("UNSUB          \t       ", r#"processUnsub Parse Error: "\r""#),
        ("UNSUB 1 2 3", r#"processUnsub Parse Error: "1 2 3""#),
    ] {
        let line = format!("{line}\r\n");
        check_fails_at_last_byte(&[&line]);
        let error = decode(HEADERS, &[line.as_bytes()]).2.expect("refused");
        assert_eq!(error.to_string(), log);
        assert_eq!(
            (error.kind(), error.reply()),
            (ErrorKind::ProtocolViolation, None)
        );
    }
}

// CORE-24
#[test]
fn carriage_return_inside_a_line_drops_its_last_byte() {
    check("PUB a\rb 2\r\nok\r\n", expect![[r#"PUB "a\rb" - 2 "ok""#]]);
    check("PUB a\rb 21\nok\r\n", expect![[r#"PUB "a\rb" - 2 "ok""#]]);
    check("SUB a\rb 1\r\n", expect![[r#"SUB "a" "b" "1""#]]);
}

// CORE-24: text begins at the first byte that is no blank, line ends included.
#[test]
fn line_feed_first_belongs_to_the_text() {
    check(
        "SUB \nfoo 1\r\nCONNECT \n{}\r\n",
        expect![[r#"
        SUB "foo" - "1"
        CONNECT "\n{}""#]],
    );
    // The reference publishes on `\nfoo`, and so puts a line of its own into what subscribers read.
    check(
        "PUB \nfoo 2\r\n",
        expect![[r#"
        ProtocolViolation None: processPub Parse Error: "\nfoo 2""#]],
    );
}

// CORE-32 [TestIncompletePubArg]
#[test]
fn payload_short_of_its_size_swallows_what_follows() {
    let frame = |payload: String| format!("PUB example 1000\r\n{payload}\r\n");
    let good = frame("A".repeat(1000));
    let wire = [&*good, &good, &*frame("B".repeat(337)), &*frame("C".repeat(1000))].concat();
    let (frames, _, error) = decode(HEADERS, &[wire.as_bytes()]);
    assert_eq!(frames.len(), 2);
    assert_eq!(error.and_then(|e| e.reply()), Some("Unknown Protocol Operation"));
}

// CORE-34 [TestMaxPayload, TestClosedMaxPayload, TestMaxPayloadOverrun]
#[test]
fn too_large_payload_fails_at_the_header_line() {
    check_fails_at_last_byte(&[
        "PUB foo 999999999\r\n",
        "PUB foo 1048577\r\n",
        "HPUB foo 1 1048577\r\n",
    ]);
    check(
        "PUB foo 999999999\r\n",
        expect![[r#"
        Payload Some("Maximum Payload Violation"): maximum payload exceeded: 999999999 vs 1048576"#]],
    );
    check("PUB foo 1048576\r\n", expect!["17 bytes left"]);
    let unlimited = DecoderLimits {
        payload: -1,
        ..HEADERS
    };
    assert_eq!(decode(unlimited, &[b"PUB foo 999999999\r\n"]).2, None);
}

// CORE-31 [TestMaxControlLine]
#[test]
fn control_line_is_limited_whole_or_not() {
    let short = DecoderLimits {
        control_line: 8,
        ..HEADERS
    };
    for pieces in [
        &[&b"PUB foo.bar.b"[..]][..],
        &[b"PUB foo.bar.baz 2\r\nok\r\n"],
        &[b"PUB foo.b", b"ar.b"],
    ] {
        let error = decode(short, pieces).2.expect("refused");
        assert_eq!(error, WireError::ControlLineTooLong);
        assert_eq!(error.reply(), Some("maximum control line exceeded"));
        assert_eq!(error.kind(), ErrorKind::ControlLine);
    }
    for pieces in [
        &[&b"PUB foo.ba 2\r\nok\r\n"[..]][..],
        &[b"PUB foo.ba 2", b"\r", b"\nok\r\n"],
    ] {
        assert_eq!(transcript(short, pieces), r#"PUB "foo.ba" - 2 "ok""#);
    }
}

// CORE-31 [TestControlLineMaximums]
#[test]
fn control_line_limit_counts_the_text_behind_the_verb() {
    let too_long =
        |line: String| decode(HEADERS, &[line.as_bytes()]).2 == Some(WireError::ControlLineTooLong);
    assert!(!too_long(format!("PUB {} 2\r\n", "x".repeat(4094))));
    assert!(too_long(format!("PUB {} 2\r\n", "x".repeat(4095))));
    assert!(!too_long(format!("PUB {}", "x".repeat(4096))));
    assert!(too_long(format!("PUB {}", "x".repeat(4097))));
    assert!(too_long(format!("CONNECT {{{}}}\r\n", " ".repeat(4095))));
}

// CORE-31: unlike the reference, whose parser keeps no such bytes, blanks and what follows PING are limited too.
#[test]
fn filler_is_limited() {
    for verb in ["PUB ", "CONNECT"] {
        let line = format!("{verb}{}", " ".repeat(4097));
        assert_eq!(
            decode(HEADERS, &[line.as_bytes()]).2,
            Some(WireError::ControlLineTooLong)
        );
    }
    for end in ["", "\r\n"] {
        let line = format!("PING{}{end}", "x".repeat(4097));
        assert_eq!(
            decode(HEADERS, &[line.as_bytes()]).2,
            Some(WireError::ControlLineTooLong)
        );
    }
}

// CORE-5
#[test]
fn first_byte_must_be_a_c_when_connect_comes_first() {
    let mut decoder = Decoder::new(DecoderLimits {
        connect_first: true,
        ..HEADERS
    });
    for refused in ["P", "x", "PING\r\n"] {
        let mut input = refused.as_bytes();
        assert_eq!(decoder.decode(&mut input), Err(WireError::ConnectExpected));
        assert_eq!(
            WireError::ConnectExpected.reply(),
            Some("Authorization Violation")
        );
    }
    assert_eq!(decoder.decode(&mut &b"c"[..]), Ok(None));
    assert_eq!(
        decoder.decode(&mut &b"connect {}\r\n"[..]),
        Ok(Some(Frame::Connect(b"{}")))
    );
    decoder.limits.connect_first = false;
    assert_eq!(decoder.decode(&mut &b"PING\r\n"[..]), Ok(Some(Frame::Ping)));
}

// CORE-34: limits that shrink while a payload is on its way do not touch it.
#[test]
fn accepted_header_line_stays_accepted() {
    let mut decoder = Decoder::new(HEADERS);
    let wire = b"HPUB foo.bar 2 5\r\nhello\r\nPUB foo 5\r\n";
    assert_eq!(decoder.decode(&mut &wire[..20]), Ok(None));
    decoder.limits = DecoderLimits {
        control_line: 2,
        payload: 1,
        headers: false,
        connect_first: false,
    };
    let mut input = &wire[..];
    assert!(matches!(decoder.decode(&mut input), Ok(Some(Frame::Publish(_)))));
    decoder.limits.control_line = 10;
    assert!(matches!(
        decoder.decode(&mut input),
        Err(WireError::PayloadTooLarge { size: 5, limit: 1 })
    ));
}

#[test]
fn bytes_needed_is_exact_while_a_payload_is_on_its_way() {
    let mut decoder = Decoder::new(HEADERS);
    let wire = b"PUB foo 5\r\nhello\r\n";
    let mut needed = vec![decoder.bytes_needed()];
    for cut in [2, 9, 11, 12, 17] {
        assert_eq!(decoder.decode(&mut &wire[..cut]), Ok(None));
        needed.push(decoder.bytes_needed());
    }
    // One byte more than was searched, then the whole frame.
    assert_eq!(needed, [1, 3, 10, 18, 18, 18]);
    assert!(matches!(decoder.decode(&mut &wire[..]), Ok(Some(_))));
    assert_eq!(decoder.bytes_needed(), 1);
}
