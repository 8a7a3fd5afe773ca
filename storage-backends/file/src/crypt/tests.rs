use dunlin_api::SeededRandom;

use super::*;

fn ring(cipher: Cipher, current: &str, previous: Option<&str>) -> KeyRing {
    let secret = |text: &str| Secret::new(text);
    KeyRing::new(cipher, secret(current), previous.map(secret))
}

fn random() -> SeededRandom {
    SeededRandom::new(7)
}

// STORE-37
#[test]
fn wrapping_keys_are_those_of_the_reference() {
    let key = WrappingKey::derive(&Secret::new("s3cr3t"), "$G", KeyScope::Block("TEST", 1));
    let hex: String = key.0.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(
        hex,
        "e947b5bcd93718a02b7f269e11e40d2136b2f54bf3144400e693f69c85d5e293"
    );
    assert_eq!(KeyScope::Stream("S").to_string(), "S");
    assert_eq!(KeyScope::Consumer("S", "C").to_string(), "S.C");
}

// STORE-39
#[test]
fn a_key_file_opens_for_its_own_data_only() {
    for (cipher, length) in [(Cipher::ChaCha, 72), (Cipher::Aes, 64)] {
        let ring = ring(cipher, "one", None);
        let (_, file) = ring.generate("$G", KeyScope::Block("S", 1), &random());
        assert_eq!(file.len(), length);
        assert!(ring.unwrap("$G", KeyScope::Block("S", 1), &file).is_ok());
        for (info, scope) in [("A", KeyScope::Block("S", 1)), ("$G", KeyScope::Block("S", 2))] {
            assert_eq!(ring.unwrap(info, scope, &file).err(), Some(CryptError::WrongKey));
        }
        let short = ring.unwrap("$G", KeyScope::Block("S", 1), &file[..63]);
        assert_eq!(short.err(), Some(CryptError::KeySize));
    }
}

// STORE-44 [TestJetStreamServerReencryption]
#[test]
fn a_previous_key_and_the_other_cipher_still_read() {
    for cipher in [Cipher::ChaCha, Cipher::Aes] {
        let scope = KeyScope::Stream("S");
        let (key, file) = ring(cipher, "old", None).generate("$G", scope, &random());
        let sealed = key.seal(b"content", &random());
        let found = |ring: KeyRing| {
            let found = ring.unwrap("$G", scope, &file).ok()?;
            assert_eq!(found.key.open(&sealed).unwrap(), b"content");
            Some(found.is_current)
        };
        assert_eq!(found(ring(cipher, "old", None)), Some(true));
        assert_eq!(found(ring(cipher.other(), "old", None)), Some(false));
        assert_eq!(found(ring(cipher, "new", Some("old"))), Some(false));
        assert_eq!(found(ring(cipher.other(), "new", Some("old"))), Some(false));
        assert_eq!(found(ring(cipher, "new", None)), None);
    }
}

// STORE-40
#[test]
fn a_sealed_file_never_looks_the_same_and_shows_any_change() {
    for cipher in [Cipher::ChaCha, Cipher::Aes] {
        let random = random();
        let (key, _) = ring(cipher, "one", None).generate("$G", KeyScope::Stream("S"), &random);
        let file = key.seal(b"content", &random);
        assert_ne!(file, key.seal(b"content", &random));
        assert_eq!(key.open(&file).unwrap(), b"content");
        for at in 0..file.len() {
            let mut changed = file.clone();
            changed[at] ^= 1;
            assert_eq!(key.open(&changed), Err(CryptError::Sealed));
            assert_eq!(key.open(&file[..at]), Err(CryptError::Sealed));
        }
    }
}

// STORE-41
#[test]
fn a_block_is_deciphered_from_any_offset() {
    for cipher in [Cipher::ChaCha, Cipher::Aes] {
        let (key, _) = ring(cipher, "one", None).generate("$G", KeyScope::Block("S", 1), &random());
        let block = key.block_cipher();
        let plain: Vec<u8> = (0..300_u32).map(|byte| byte as u8).collect();
        let mut written = plain.clone();
        // Written in three appends.
        let (head, rest) = written.split_at_mut(100);
        let (middle, tail) = rest.split_at_mut(1);
        block.apply(0, head);
        block.apply(100, middle);
        block.apply(101, tail);
        assert_ne!(written, plain);
        for from in [0, 1, 63, 64, 65, 299] {
            let mut read = written[from..].to_vec();
            block.apply(from as u64, &mut read);
            assert_eq!(read, plain[from..]);
        }
    }
}
