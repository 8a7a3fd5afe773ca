//! What stands in front of a client.

use dunlin_net::proxy::{Decoder, Header};

/// The first byte says how the rest is cut. However it is cut, it means the same, and no byte behind the header is lost.
pub fn proxy(data: &[u8]) {
    let [step, wire @ ..] = data else { return };
    let whole = decode(wire, wire.len().max(1));
    let cut = decode(wire, usize::from(*step).max(1));
    assert_eq!(whole, cut, "cut into pieces of {step}");
    if let Ok(Some((Header::Direct, left))) = whole {
        assert_eq!(left, wire, "a client's own bytes are given back");
    }
}

type Decoded = Result<Option<(Header, Vec<u8>)>, String>;

fn decode(wire: &[u8], step: usize) -> Decoded {
    let mut decoder = Decoder::default();
    let mut taken = 0;
    for piece in wire.chunks(step) {
        let mut input = piece;
        let header = decoder
            .decode(&mut input)
            .map_err(|error| one_line(&error.to_string()))?;
        taken += piece.len() - input.len();
        if let Some(header) = header {
            let mut left = decoder.replay();
            left.extend_from_slice(wire.get(taken..).unwrap_or_default());
            return Ok(Some((header, left)));
        }
        assert!(input.is_empty(), "what is not needed is the client's");
    }
    one_line(&decoder.cut_short().to_string());
    Ok(None)
}

/// Text for the log.
fn one_line(text: &str) -> String {
    assert!(!text.contains(char::is_control), "{text:?}");
    text.to_owned()
}
