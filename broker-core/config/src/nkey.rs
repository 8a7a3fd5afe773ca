//! Shape of public nkeys: base32 of a kind, 32 bytes and a CRC-16. No cryptography.

/// Whose key it is; the value is the first byte.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    Account = 0,
    User = 20 << 3,
}

/// Whether `key` is a well-formed public key of this kind.
pub(crate) fn is_public(key: &str, kind: Kind) -> bool {
    let Some(bytes) = base32(key) else { return false };
    let Some((body, checksum)) = bytes.split_last_chunk::<2>() else {
        return false;
    };
    body.len() == 33 && body.first() == Some(&(kind as u8)) && crc16(body) == u16::from_le_bytes(*checksum)
}

/// RFC 4648 base32 without padding, of exactly the length of a key.
fn base32(text: &str) -> Option<Vec<u8>> {
    if text.len() != 56 {
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
