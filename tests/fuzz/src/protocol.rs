//! What a client sends after INFO.

use dunlin_wire::Content;
use dunlin_wire::client::{Decoder, DecoderLimits, Frame, WireError};
use dunlin_wire::headers as edit;

/// Longest verb with what may stand around it, on top of the longest text.
const VERB: usize = 32;

/// The first byte chooses limits, the second how the rest is cut into reads. However it is cut, the same frames come
/// out and the same error; what has to be kept between two reads is bounded; a publish that repeats the line of the one
/// before is the same, compared or parsed.
pub fn protocol(data: &[u8]) {
    let [switches, step, wire @ ..] = data else { return };
    let limits = DecoderLimits {
        control_line: if switches & 1 == 0 { 4096 } else { 64 },
        payload: match switches & 6 {
            0 => 1024 * 1024,
            2 => -1,
            _ => 64,
        },
        headers: switches & 8 == 0,
        connect_first: switches & 16 != 0,
    };
    let whole = play(limits, wire, wire.len().max(1));
    let cut = play(limits, wire, usize::from(*step).max(1));
    assert_eq!(whole, cut, "cut into pieces of {step}");
}

/// Frames as text, the bytes that are left for more, and the error that ended it.
type Played = (Vec<String>, usize, Option<WireError>);

fn play(limits: DecoderLimits, wire: &[u8], step: usize) -> Played {
    let mut decoder = Decoder::new(limits);
    let mut kept: Vec<u8> = Vec::new();
    let mut frames = Vec::new();
    for piece in wire.chunks(step) {
        kept.extend_from_slice(piece);
        let mut input = kept.as_slice();
        loop {
            let before = input.len();
            match decoder.decode(&mut input) {
                Ok(Some(frame)) => {
                    assert!(input.len() < before, "a frame takes bytes");
                    frames.push(show(&frame));
                    check_repeat(&decoder, &frame, input);
                    if let Frame::Connect(_) = frame {
                        decoder.limits.connect_first = false;
                    }
                }
                Ok(None) => {
                    assert_eq!(input.len(), before, "nothing is taken without a frame");
                    assert!(decoder.bytes_needed() > before, "something must be missing");
                    check_kept(limits, &decoder, input);
                    break;
                }
                // How much was there to see depends on the cut.
                Err(error) => return (frames, 0, Some(without_snippet(error))),
            }
        }
        kept = input.to_vec();
    }
    (frames, kept.len(), None)
}

/// A frame, without what depends on where it stood in its buffer.
fn show(frame: &Frame<'_>) -> String {
    match frame {
        Frame::Publish(publish) => format!("{:?} {:?} {:?}", publish.subject, publish.reply, publish.content),
        other => format!("{other:?}"),
    }
}

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

/// What a stranger can make a connection keep: one line, blanks before its text counted by themselves, or one message
/// that is allowed.
fn check_kept(limits: DecoderLimits, decoder: &Decoder, kept: &[u8]) {
    let line = 2 * limits.control_line + VERB;
    let message = usize::try_from(limits.payload).map_or(usize::MAX, |payload| payload + line);
    let is_message = decoder.bytes_needed() > kept.len() + 1;
    let most = if is_message { message } else { line };
    assert!(kept.len() <= most, "{} bytes are kept", kept.len());
}

fn check_repeat(decoder: &Decoder, frame: &Frame<'_>, rest: &[u8]) {
    let Frame::Publish(previous) = frame else { return };
    let (mut at, mut compared) = (rest, decoder.clone());
    let Some(repeated) = compared.repeat(&mut at, previous) else {
        return;
    };
    let (mut next, mut parsed) = (rest, decoder.clone());
    assert_eq!(parsed.decode(&mut next), Ok(Some(Frame::Publish(repeated))));
    assert_eq!(at, next);
}

/// A header block as it stands in HPUB, edited: what was set is found, what was removed is gone, what is left is what
/// stood there; and as part of a message it is cut where its size says.
pub fn headers(data: &[u8]) {
    let [len, block @ ..] = data else { return };
    if let Some(content) = Content::with_headers(block, usize::from(*len)) {
        let (head, payload) = (content.headers().unwrap_or_default(), content.payload());
        assert_eq!([head, payload].concat(), block);
        assert_eq!(head.len(), usize::from(*len));
    }
    for name in ["Nats-Msg-Id", "a", "Nats-"] {
        let removed = edit::remove(block, name).unwrap_or_default();
        let again = edit::remove(&removed, name).unwrap_or_default();
        assert_eq!(again, removed, "removed once, it is gone");
        let set = edit::set(block, name, "new").expect("a valid header");
        assert_eq!(edit::get(&set, name), Some(&b"new"[..]));
        let replaced = edit::replace(block, name, "new").expect("a valid header");
        assert!(edit::get(&replaced, name).is_some());
        let _ = edit::remove_prefixed(block, name);
    }
    // What a stranger chooses must not break out of its line.
    let text = String::from_utf8_lossy(block);
    let (name, value) = text.split_once(':').unwrap_or((&text, ""));
    let mut made = edit::HeaderBlock::new();
    if made.push(name, value).is_ok() {
        let made = made.finish();
        assert_eq!(made.iter().filter(|byte| **byte == b'\n').count(), 3);
        assert_eq!(
            edit::get(&made, name),
            Some(value.trim_start_matches(' ').as_bytes())
        );
    }
}
