//! Encryption at rest, as the reference has it (STORE-36 to STORE-46).
//!
//! A configured key never encrypts data. It gives a *wrapping key* for each stream, block and consumer; that seals a
//! random *seed* in a key file; and the seed, a [`DataKey`], encrypts. Small files are sealed whole, with a fresh nonce at
//! each write and a tag. Blocks are enciphered by position ([`BlockCipher`]) with the nonce of their key file, so that
//! they can grow and be read anywhere; what guards them is the checksum in each record.
//!
//! **A block's key must see each position once.** Whoever rewrites a block writes it under a new number with a key of
//! its own: two versions under one key would give away the difference of their contents (pitfall P4).
//!
//! Keys neither print nor compare.

use std::fmt;

use aes::Aes256;
use aes_gcm::AesGcm;
use chacha20::XChaCha20;
use chacha20::cipher::consts::U16;
use chacha20::cipher::{KeyIvInit, StreamCipher, StreamCipherSeek};
use chacha20poly1305::XChaCha20Poly1305;
use chacha20poly1305::aead::{Aead, KeyInit};
use ctr::Ctr128BE;
use dunlin_api::{Random, Secret};
use hmac::{Hmac, Mac};
use sha2::Sha256;

type AesBlocks = Ctr128BE<Aes256>;
type AesFiles = AesGcm<Aes256, U16>;

const KEY: usize = 32;
/// Fewer bytes are no key file of either cipher (STORE-39).
const LEAST_KEY_FILE: usize = 64;

/// How data is encrypted (STORE-38).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cipher {
    /// XChaCha20, with Poly1305 for files.
    ChaCha,
    /// AES-256: in counter mode for blocks, GCM with a 16-byte nonce for files.
    Aes,
}

impl Cipher {
    /// The other one.
    pub fn other(self) -> Self {
        match self {
            Self::ChaCha => Self::Aes,
            Self::Aes => Self::ChaCha,
        }
    }
}

impl fmt::Display for Cipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ChaCha => "ChaCha20-Poly1305",
            Self::Aes => "AES-GCM",
        })
    }
}

/// Why encrypted bytes are of no use. The texts are the reference's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CryptError {
    /// Too few bytes for a key file.
    #[error("encryption bad key size")]
    KeySize,
    /// No configured key opens the key file.
    #[error("unable to recover keys")]
    WrongKey,
    /// The bytes were not sealed with this key, or have changed since.
    #[error("cipher: message authentication failed")]
    Sealed,
}

/// Whose data a key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyScope<'a> {
    /// The small files of a stream: `meta.key`.
    Stream(&'a str),
    /// A block of a stream: `N.key`.
    Block(&'a str, u32),
    /// The small files of a stream's consumer: `meta.key` beside them.
    Consumer(&'a str, &'a str),
}

impl fmt::Display for KeyScope<'_> {
    /// As it goes into the wrapping key (STORE-37).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stream(stream) => f.write_str(stream),
            Self::Block(stream, block) => write!(f, "{stream}:{block}"),
            Self::Consumer(stream, consumer) => write!(f, "{stream}.{consumer}"),
        }
    }
}

/// The keys that an operator has configured, and the cipher of what is written.
#[derive(Clone)]
pub struct KeyRing {
    cipher: Cipher,
    current: Secret,
    previous: Option<Secret>,
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyRing")
            .field("cipher", &self.cipher)
            .finish_non_exhaustive()
    }
}

/// A data key that was found, and how.
pub struct Unwrapped {
    /// The key.
    pub key: DataKey,
    /// Whether it is wrapped as new ones are. Otherwise an operator wants its data rewritten (STORE-44).
    pub is_current: bool,
    /// Whether only the previous configured key opens it. Who drops that one loses what it encrypts.
    pub is_previous: bool,
}

impl KeyRing {
    /// Writes with the current key; the previous one only reads.
    pub fn new(cipher: Cipher, current: Secret, previous: Option<Secret>) -> Self {
        Self {
            cipher,
            current,
            previous,
        }
    }

    /// The cipher of what is written.
    pub fn cipher(&self) -> Cipher {
        self.cipher
    }

    /// A new data key, and the key file that holds it. `info` is the account's name, or the raft group's.
    pub fn generate(&self, info: &str, scope: KeyScope<'_>, random: &dyn Random) -> (DataKey, Vec<u8>) {
        let key = DataKey::generate(self.cipher, random);
        let file = key.wrap(&WrappingKey::derive(&self.current, info, scope));
        (key, file)
    }

    /// The key file of a data key that was found, wrapped with the current key. What it encrypts stays as it is.
    pub fn rewrap(&self, info: &str, scope: KeyScope<'_>, key: &DataKey) -> Vec<u8> {
        key.wrap(&WrappingKey::derive(&self.current, info, scope))
    }

    /// The data key in a key file. Each configured key is tried with both ciphers, the current key first (STORE-44).
    ///
    /// # Errors
    /// [`CryptError::KeySize`], [`CryptError::WrongKey`].
    pub fn unwrap(&self, info: &str, scope: KeyScope<'_>, file: &[u8]) -> Result<Unwrapped, CryptError> {
        if file.len() < LEAST_KEY_FILE {
            return Err(CryptError::KeySize);
        }
        let secrets = [(false, Some(&self.current)), (true, self.previous.as_ref())];
        let mut is_current = true;
        for (is_previous, secret) in secrets {
            let Some(secret) = secret else { continue };
            let wrapping = WrappingKey::derive(secret, info, scope);
            for cipher in [self.cipher, self.cipher.other()] {
                if let Some(key) = DataKey::unwrap(&wrapping, cipher, file) {
                    return Ok(Unwrapped {
                        key,
                        is_current,
                        is_previous,
                    });
                }
                is_current = false;
            }
        }
        Err(CryptError::WrongKey)
    }
}

/// Seals seeds.
struct WrappingKey([u8; KEY]);

impl WrappingKey {
    fn derive(configured: &Secret, info: &str, scope: KeyScope<'_>) -> Self {
        let message = format!("{info}{scope}");
        let mac = Hmac::<Sha256>::new_from_slice(configured.expose().as_bytes());
        let bytes = mac.map(|mac| mac.chain_update(message).finalize().into_bytes().into());
        // HMAC takes keys of any length.
        assert!(bytes.is_ok(), "HMAC refused a key");
        Self(bytes.unwrap_or_default())
    }
}

/// A nonce, which says by its length which cipher it is for.
#[derive(Clone, Copy)]
enum Nonce {
    ChaCha([u8; 24]),
    Aes([u8; 16]),
}

impl Nonce {
    fn random(cipher: Cipher, random: &dyn Random) -> Self {
        match cipher {
            Cipher::ChaCha => Self::ChaCha(filled(random)),
            Cipher::Aes => Self::Aes(filled(random)),
        }
    }

    /// The nonce before sealed bytes, and these.
    fn split(cipher: Cipher, bytes: &[u8]) -> Option<(Self, &[u8])> {
        match cipher {
            Cipher::ChaCha => {
                let (nonce, rest) = bytes.split_first_chunk()?;
                Some((Self::ChaCha(*nonce), rest))
            }
            Cipher::Aes => {
                let (nonce, rest) = bytes.split_first_chunk()?;
                Some((Self::Aes(*nonce), rest))
            }
        }
    }

    fn cipher(&self) -> Cipher {
        match self {
            Self::ChaCha(_) => Cipher::ChaCha,
            Self::Aes(_) => Cipher::Aes,
        }
    }

    /// Nonce, content, tag.
    fn seal(&self, key: &[u8; KEY], content: &[u8]) -> Vec<u8> {
        let (nonce, sealed) = match self {
            Self::ChaCha(nonce) => {
                let cipher = XChaCha20Poly1305::new(key.into());
                (nonce.as_slice(), cipher.encrypt(nonce.into(), content))
            }
            Self::Aes(nonce) => {
                let cipher = AesFiles::new(key.into());
                (nonce.as_slice(), cipher.encrypt(nonce.into(), content))
            }
        };
        // Only what is longer than 64 GiB is refused.
        assert!(sealed.is_ok(), "cannot seal {} bytes", content.len());
        [nonce, &sealed.unwrap_or_default()].concat()
    }

    /// What was sealed. `None` if it was not, or not so.
    fn open(&self, key: &[u8; KEY], sealed: &[u8]) -> Option<Vec<u8>> {
        match self {
            Self::ChaCha(nonce) => XChaCha20Poly1305::new(key.into())
                .decrypt(nonce.into(), sealed)
                .ok(),
            Self::Aes(nonce) => AesFiles::new(key.into()).decrypt(nonce.into(), sealed).ok(),
        }
    }
}

fn filled<const N: usize>(random: &dyn Random) -> [u8; N] {
    let mut bytes = [0; N];
    random.fill(&mut bytes);
    bytes
}

/// The seed of a key file, with the nonce before it.
#[derive(Clone)]
pub struct DataKey {
    nonce: Nonce,
    seed: [u8; KEY],
}

impl DataKey {
    fn generate(cipher: Cipher, random: &dyn Random) -> Self {
        Self {
            nonce: Nonce::random(cipher, random),
            seed: filled(random),
        }
    }

    /// The bytes of a key file (STORE-39).
    fn wrap(&self, wrapping: &WrappingKey) -> Vec<u8> {
        self.nonce.seal(&wrapping.0, &self.seed)
    }

    fn unwrap(wrapping: &WrappingKey, cipher: Cipher, file: &[u8]) -> Option<Self> {
        let (nonce, sealed) = Nonce::split(cipher, file)?;
        let seed = nonce.open(&wrapping.0, sealed)?.try_into().ok()?;
        Some(Self { nonce, seed })
    }

    /// The cipher that it is for.
    pub fn cipher(&self) -> Cipher {
        self.nonce.cipher()
    }

    /// A small file as it is written: nonce, content, tag (STORE-40). Each call takes a new nonce.
    pub fn seal(&self, content: &[u8], random: &dyn Random) -> Vec<u8> {
        Nonce::random(self.cipher(), random).seal(&self.seed, content)
    }

    /// The content of a small file.
    ///
    /// # Errors
    /// [`CryptError::Sealed`].
    pub fn open(&self, file: &[u8]) -> Result<Vec<u8>, CryptError> {
        Nonce::split(self.cipher(), file)
            .and_then(|(nonce, sealed)| nonce.open(&self.seed, sealed))
            .ok_or(CryptError::Sealed)
    }

    /// The cipher of a block whose key file this key was in.
    pub fn block_cipher(&self) -> BlockCipher {
        BlockCipher(self.clone())
    }
}

/// Enciphers and deciphers the bytes of one block, which is the same (STORE-41).
#[derive(Clone)]
pub struct BlockCipher(DataKey);

impl BlockCipher {
    /// Applies it to what stands at an offset of the block's file. About 0.8 ns a byte with XChaCha20, less with AES.
    pub fn apply(&self, offset: u64, bytes: &mut [u8]) {
        let key = (&self.0.seed).into();
        let applied = match &self.0.nonce {
            Nonce::ChaCha(nonce) => apply(XChaCha20::new(key, nonce.into()), offset, bytes),
            Nonce::Aes(nonce) => apply(AesBlocks::new(key, nonce.into()), offset, bytes),
        };
        // Never plain text by mistake. XChaCha20 ends after 256 GiB, far behind any block.
        assert!(applied, "no keystream at {offset} for {} bytes", bytes.len());
    }
}

fn apply(mut cipher: impl StreamCipher + StreamCipherSeek, offset: u64, bytes: &mut [u8]) -> bool {
    cipher.try_seek(offset).is_ok() && cipher.try_apply_keystream(bytes).is_ok()
}

#[cfg(test)]
mod tests;
