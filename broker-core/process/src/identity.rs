//! Who this server is, new at each start (CORE-14).

use dunlin_api::{Env, ServerIdentity};
use nkeys::{KeyPair, KeyPairType, XKey};

/// Makes a server's keys from the environment's secrets: its id, a public server nkey, and the public curve key. The
/// private halves are dropped: nothing signs or seals yet. `name` absent or empty: the id serves as name.
///
/// # Errors
/// The key library refuses the random bytes.
pub fn new_identity(
    env: &Env,
    name: Option<&str>,
    version: &'static str,
) -> Result<ServerIdentity, nkeys::error::Error> {
    let mut seeds = [[0; 32]; 2];
    for seed in &mut seeds {
        env.fill_secret(seed);
    }
    from_seeds(seeds, name, version)
}

fn from_seeds(
    [server, curve]: [[u8; 32]; 2],
    name: Option<&str>,
    version: &'static str,
) -> Result<ServerIdentity, nkeys::error::Error> {
    let id = KeyPair::new_from_raw(KeyPairType::Server, server)?.public_key();
    let xkey = XKey::new_from_raw(curve).public_key();
    let name = name.filter(|name| !name.is_empty()).unwrap_or(&id).to_owned();
    Ok(ServerIdentity {
        id,
        name,
        version,
        xkey,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(name: Option<&str>) -> ServerIdentity {
        from_seeds([[1; 32], [2; 32]], name, "2.15.2").unwrap()
    }

    /// RFC 4648 base32 without padding, then CRC-16/XMODEM over all but the last two bytes: an implementation of its
    /// own, so that the library's encoding is checked, not repeated.
    fn decode(key: &str) -> (u8, Vec<u8>) {
        let mut bytes = Vec::new();
        let (mut buffer, mut bits) = (0_u32, 0);
        for character in key.bytes() {
            let value = match character {
                b'A'..=b'Z' => character - b'A',
                b'2'..=b'7' => character - b'2' + 26,
                _ => panic!("{key}"),
            };
            buffer = (buffer << 5 | u32::from(value)) & 0xfff;
            bits += 5;
            if bits >= 8 {
                bits -= 8;
                bytes.push(u8::try_from(buffer >> bits & 0xff).unwrap());
            }
        }
        let (body, checksum) = bytes.split_last_chunk::<2>().unwrap();
        let mut crc = 0_u16;
        for byte in body {
            crc ^= u16::from(*byte) << 8;
            for _ in 0..8 {
                crc = if crc & 0x8000 == 0 {
                    crc << 1
                } else {
                    crc << 1 ^ 0x1021
                };
            }
        }
        assert_eq!(crc, u16::from_le_bytes(*checksum), "{key}");
        (body[0], body[1..].to_vec())
    }

    // CORE-14
    #[test]
    fn id_and_xkey_are_public_keys_of_their_kinds() {
        let identity = identity(None);
        for (key, letter, prefix) in [(&identity.id, 'N', 13 << 3), (&identity.xkey, 'X', 23 << 3)] {
            let (kind, public) = decode(key);
            assert_eq!((key.len(), key.chars().next(), kind), (56, Some(letter), prefix));
            assert_eq!(public.len(), 32);
            assert!(
                public != [1; 32] && public != [2; 32],
                "the seed itself must not be shown"
            );
        }
    }

    // CORE-14
    #[test]
    fn the_keys_belong_to_their_secrets() {
        let identity = identity(None);
        let signer = KeyPair::new_from_raw(KeyPairType::Server, [1; 32]).unwrap();
        let signature = signer.sign(b"nonce").unwrap();
        let public = KeyPair::from_public_key(&identity.id).unwrap();
        assert!(public.verify(b"nonce", &signature).is_ok());
        let sender = XKey::new_from_raw([9; 32]);
        let receiver = XKey::from_public_key(&identity.xkey).unwrap();
        let sealed = sender.seal(b"hello", &receiver).unwrap();
        let opened = XKey::new_from_raw([2; 32]).open(&sealed, &sender).unwrap();
        assert_eq!(opened, b"hello");
    }

    // CORE-146 [TestInfoServerNameDefaultsToPK, TestInfoServerNameIsSettable]
    #[test]
    fn the_name_is_the_id_unless_it_is_set() {
        assert_eq!(identity(None).name, identity(None).id);
        assert_eq!(identity(Some("")).name, identity(None).id);
        assert_eq!(identity(Some("east-1")).name, "east-1");
    }

    #[test]
    fn other_secrets_make_another_server() {
        let other = from_seeds([[3; 32], [4; 32]], None, "2.15.2").unwrap();
        assert!(other.id != identity(None).id && other.xkey != identity(None).xkey);
    }
}
