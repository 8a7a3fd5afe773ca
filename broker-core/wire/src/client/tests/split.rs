//! CORE-32: how the bytes are cut into reads changes nothing.

use proptest::prelude::*;

use super::*;

// CORE-32 [TestSplitBufferSubOp, TestSplitBufferUnsubOp, TestSplitBufferPubOp, TestSplitBufferPubOp2,
// TestSplitBufferPubOp3, TestSplitBufferPubOp4, TestSplitBufferPubOp5, TestSplitConnectArg, TestSplitDanglingArgBuf,
// TestProtoCrash]
#[test]
fn operation_split_at_any_two_bytes_decodes_the_same() {
    for wire in [
        "SUB foo 1\r\n",
        "UNSUB 1024\r\n",
        "PUB foo.bar INBOX.22 11\r\nhello world\r\n",
        "PUB foo 11\r\nhello world\r\n",
        "HPUB foo bar 12 17\r\nname:derek\r\nHELLO\r\n",
        "CONNECT {\"verbose\":false,\"user\":\"test\",\"pedantic\":true,\"pass\":\"pass\"}\r\n",
        "-ERR Too Long\r\n",
        "INFO {\"server_id\":\"id\"}\r\n",
        "HMSG foo\r\n\r\n",
        "PING  \r \n",
    ] {
        // Twice, as nothing of the first may dangle.
        let wire = [wire, wire].concat().into_bytes();
        let whole = transcript(HEADERS, &[&wire]);
        assert_eq!(whole.lines().count(), 2, "{whole}");
        for first in 0..=wire.len() {
            for second in first..=wire.len() {
                let pieces = [&wire[..first], &wire[first..second], &wire[second..]];
                assert_eq!(transcript(HEADERS, &pieces), whole);
            }
        }
    }
}

// CORE-32: seen from the outside by changing bytes that must not be looked at again, which no caller may do.
#[test]
fn bytes_of_an_unfinished_frame_are_not_searched_again() {
    let mut decoder = Decoder::new(HEADERS);
    assert_eq!(decoder.decode(&mut &b"SUB foo bar"[..]), Ok(None));
    assert_eq!(decoder.decode(&mut &b"SUB f\no bar 1"[..]), Ok(None));
    assert!(matches!(
        decoder.decode(&mut &b"SUB foo bar 1\n"[..]),
        Ok(Some(_))
    ));

    assert_eq!(decoder.decode(&mut &b"PUB foo 5\r\nh"[..]), Ok(None));
    assert_eq!(decoder.decode(&mut &b"xxx xxx x\r\nhello"[..]), Ok(None));
    assert!(matches!(
        decoder.decode(&mut &b"PUB foo 5\r\nhello\r\n"[..]),
        Ok(Some(_))
    ));
}

/// What identifies an error: a snippet depends on how much was there to show.
fn without_snippet(error: WireError) -> WireError {
    match error {
        WireError::UnknownOperation { state, offset, .. } => WireError::UnknownOperation {
            state,
            offset,
            snippet: String::new(),
        },
        other => other,
    }
}

/// Bytes that lead deep into the decoder, with limits small enough to be met.
fn operations() -> impl Strategy<Value = Vec<u8>> {
    let words = [
        "PUB", "HPUB", "SUB", "unsub", "PING", "pong", "CONNECT", "INFO", "+OK", "-ERR", "HMSG",
    ];
    let rest = [
        " ",
        "\t",
        "\r",
        "\n",
        "\r\n",
        "0",
        "2",
        "5",
        "99",
        "foo",
        "x",
        "{}",
        "ok\r\n",
        "hello\r\n",
    ];
    let frames = [
        "PUB foo 2\r\nok\r\n",
        "HPUB a b 2 5\r\nhello\r\n",
        "PUB foo bar 0\r\n\r\n",
        "SUB a b 1\r\n",
        "PING\r\n",
    ];
    let piece = prop_oneof![
        4 => prop::sample::select(rest.to_vec()),
        2 => prop::sample::select(words.to_vec()),
        3 => prop::sample::select(frames.to_vec()),
    ];
    let noise = prop::collection::vec(any::<u8>(), 0..4);
    let pieces = prop_oneof![20 => piece.prop_map(|p| p.as_bytes().to_vec()), 1 => noise];
    prop::collection::vec(pieces, 0..24).prop_map(|pieces| pieces.concat())
}

proptest! {
    // CORE-32
    #[test]
    fn any_bytes_in_any_pieces_give_the_same(
        wire in operations(), cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8), limit in 4..24usize,
    ) {
        let limits = DecoderLimits { control_line: limit, payload: 50, ..HEADERS };
        let (frames, left, error) = decode(limits, &[&wire]);
        let error = error.map(without_snippet);

        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(wire.len() + 1)).collect();
        cuts.extend([0, wire.len()]);
        cuts.sort_unstable();
        let pieces: Vec<&[u8]> = cuts.windows(2).map(|cut| &wire[cut[0]..cut[1]]).collect();
        let single: Vec<&[u8]> = wire.chunks(1).collect();
        for pieces in [pieces, single] {
            let split = decode(limits, &pieces);
            prop_assert_eq!(&split.0, &frames);
            prop_assert_eq!(split.2.map(without_snippet), error.clone());
            if error.is_none() {
                prop_assert_eq!(split.1, left);
            }
        }
    }

    #[test]
    fn random_bytes_never_panic(wire in prop::collection::vec(any::<u8>(), 0..200), limits in any::<(u8, i8, bool)>()) {
        let (control_line, payload, headers) = limits;
        let limits =
            DecoderLimits { control_line: control_line.into(), payload: payload.into(), headers, connect_first: false };
        decode(limits, &[&wire]);
    }

    // CORE-24, CORE-32
    #[test]
    fn published_bytes_arrive_whole(
        subject in "[!-~]{1,20}", reply in prop::option::of("[!-~]{1,20}"), payload in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        let words = match &reply {
            Some(reply) => format!("{subject} {reply}"),
            None => subject.clone(),
        };
        let wire = [format!("PUB {words} {}\r\n", payload.len()).as_bytes(), &payload, b"\r\n"].concat();
        let mut input = &wire[..];
        let frame = Decoder::new(HEADERS).decode(&mut input);
        let Ok(Some(Frame::Publish(publish))) = frame else { return Err(TestCaseError::fail("no publish")) };
        prop_assert_eq!(publish.subject.as_bytes(), subject.as_bytes());
        prop_assert_eq!(publish.reply.map(Arg::as_bytes), reply.as_deref().map(str::as_bytes));
        prop_assert_eq!(publish.content.bytes(), &payload[..]);
        prop_assert!(input.is_empty());
    }
}
