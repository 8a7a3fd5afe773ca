//! Shape of public nkeys: base32 of a kind, 32 bytes and a CRC-16. No cryptography.

/// Whose key it is; the value is the first byte.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    Account = 0,
    Cluster = 2 << 3,
    Server = 13 << 3,
    Operator = 14 << 3,
    User = 20 << 3,
    Curve = 23 << 3,
}

/// First five bits of a seed.
const SEED: u8 = 18 << 3;

/// Whether `key` is a well-formed public key of any kind.
pub(crate) fn is_any_public(key: &str) -> bool {
    use Kind::{Account, Cluster, Curve, Operator, Server, User};
    [Account, Cluster, Server, Operator, User, Curve]
        .into_iter()
        .any(|kind| is_public(key, kind))
}

/// Whether `seed` is a well-formed seed of this kind: the secret half of a key.
pub(crate) fn is_seed(seed: &str, kind: Kind) -> bool {
    let Some(bytes) = base32(seed, 58) else {
        return false;
    };
    let Some((body, checksum)) = bytes.split_last_chunk::<2>() else {
        return false;
    };
    let (Some(first), Some(second)) = (body.first(), body.get(1)) else {
        return false;
    };
    let owner = ((first & 7) << 5) | ((second & 248) >> 3);
    body.len() == 34
        && first & 248 == SEED
        && owner == kind as u8
        && crc16(body) == u16::from_le_bytes(*checksum)
}

/// Whether `key` is a well-formed public key of this kind.
pub(crate) fn is_public(key: &str, kind: Kind) -> bool {
    let Some(bytes) = base32(key, 56) else {
        return false;
    };
    let Some((body, checksum)) = bytes.split_last_chunk::<2>() else {
        return false;
    };
    body.len() == 33 && body.first() == Some(&(kind as u8)) && crc16(body) == u16::from_le_bytes(*checksum)
}

/// RFC 4648 base32 without padding, of exactly `length` characters.
fn base32(text: &str, length: usize) -> Option<Vec<u8>> {
    if text.len() != length {
        return None;
    }
    let mut out = Vec::with_capacity(35);
    let (mut buffer, mut bits) = (0_u16, 0);
    for character in text.bytes() {
        let value = match character {
            b'A'..=b'Z' => character - b'A',
            b'2'..=b'7' => character - b'2' + 26,
            _ => return None,
        };
        buffer = (buffer << 5) | u16::from(value);
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            out.push((buffer >> bits) as u8);
            buffer &= (1 << bits) - 1;
        }
    }
    Some(out)
}

/// CRC-16/XMODEM.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc, byte| {
        (0..8).fold(crc ^ (u16::from(*byte) << 8), |crc, _| {
            if crc & 0x8000 == 0 {
                crc << 1
            } else {
                (crc << 1) ^ 0x1021
            }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    // AUTH-7
    #[test]
    fn public_keys_are_known_by_kind_and_checksum() {
        let account = "AC5GRL36RQV7MJ2GT6WQSCKDKJKYTK4T2LGLWJ2SEJKRDHFOQQWGGFQL";
        let user = "UCARKS2E3KVB7YORL2DG34XLT7PUCOL2SVM7YXV6ETHLW6Z46UUJ2VZ3";
        assert!(is_public(account, Kind::Account));
        assert!(is_public(user, Kind::User));
        assert!(!is_public(account, Kind::User));
        assert!(!is_public(&user.replace("UCAR", "UCAS"), Kind::User));
        assert!(!is_public(&user.to_lowercase(), Kind::User));
        assert!(!is_public("", Kind::Account));
    }
}
