//! Signatures in what a script sends: `${sign SEED}` is that of the connection's nonce by the holder of SEED, as clients
//! write it; `${sign padded SEED}` in the other base64.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use nkeys::KeyPair;

/// The nonce in the bytes of an INFO; empty when it carries none.
pub(super) fn nonce(info: &[u8]) -> String {
    let text = String::from_utf8_lossy(info);
    let after = text.split_once("\"nonce\":\"").map(|(_, after)| after);
    after
        .and_then(|after| after.split_once('"'))
        .map(|(nonce, _)| nonce.to_owned())
        .unwrap_or_default()
}

/// `bytes` with its signatures filled in.
pub(super) fn fill_in(bytes: &[u8], nonce: &str) -> Result<Vec<u8>, String> {
    const BEGIN: &[u8] = b"${sign ";
    let mut filled = Vec::new();
    let mut rest = bytes;
    while let Some(at) = rest.windows(BEGIN.len()).position(|window| window == BEGIN) {
        let (before, from) = rest.split_at(at);
        let end = from
            .iter()
            .position(|byte| *byte == b'}')
            .ok_or("`${sign` without `}`")?;
        let what = String::from_utf8_lossy(from.get(BEGIN.len()..end).unwrap_or_default());
        filled.extend_from_slice(before);
        filled.extend_from_slice(signature(&what, nonce)?.as_bytes());
        rest = from.get(end + 1..).unwrap_or_default();
    }
    filled.extend_from_slice(rest);
    Ok(filled)
}

fn signature(what: &str, nonce: &str) -> Result<String, String> {
    let (engine, seed) = match what.strip_prefix("padded ") {
        Some(seed) => (STANDARD, seed),
        None => (URL_SAFE_NO_PAD, what),
    };
    let signature = KeyPair::from_seed(seed).and_then(|key| key.sign(nonce.as_bytes()));
    let signature = signature.map_err(|error| format!("{seed}: {error}"))?;
    Ok(engine.encode(signature))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEED: &str = "SUAMLK2ZNL35WSMW37E7UD4VZ7ELPKW7DHC3BWBSD2GCZ7IUQQXZIORRBU";

    #[test]
    fn a_signature_is_of_the_nonce() {
        let nonce = nonce(b"INFO {\"a\":1,\"nonce\":\"abc\",\"b\":2}\r\n");
        assert_eq!(nonce, "abc");
        let text = format!("<${{sign {SEED}}}><${{sign padded {SEED}}}>");
        let filled = String::from_utf8(fill_in(text.as_bytes(), &nonce).unwrap()).unwrap();
        let parts: Vec<&str> = filled.trim_matches(['<', '>']).split("><").collect();
        let [raw, padded] = parts[..] else {
            panic!("{filled}")
        };
        let key = KeyPair::from_seed(SEED).unwrap();
        let raw = URL_SAFE_NO_PAD.decode(raw).unwrap();
        assert_eq!(raw, STANDARD.decode(padded).unwrap());
        assert!(key.verify(b"abc", &raw).is_ok());
    }
}
