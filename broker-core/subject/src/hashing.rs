//! Keyed hashing of what strangers choose.

use std::hash::{Hash, Hasher};

use foldhash::SharedSeed;
use foldhash::fast::FoldHasher;

/// Makes hashers whose every constant follows from a secret seed.
///
/// foldhash's own `FixedState` keys only its start value: whoever knows its public constants can choose
/// tokens over 16 bytes that all collide.
#[derive(Clone, Debug)]
pub struct Hashing {
    seed: u64,
    shared: SharedSeed,
}

impl Hashing {
    /// Hashers that follow from `seed`, which is to be secret.
    pub const fn new(seed: u64) -> Self {
        Self {
            seed,
            shared: SharedSeed::from_u64(seed),
        }
    }

    /// The hash of some bytes.
    pub fn bytes(&self, bytes: &[u8]) -> u64 {
        self.begin(bytes).finish()
    }

    /// A hasher that has taken `bytes` and may take more.
    pub fn begin(&self, bytes: &[u8]) -> FoldHasher<'_> {
        let mut hasher = FoldHasher::with_seed(self.seed, &self.shared);
        hasher.write(bytes);
        hasher
    }

    /// The hash of a value that can hash itself.
    pub fn value(&self, value: &impl Hash) -> u64 {
        let mut hasher = FoldHasher::with_seed(self.seed, &self.shared);
        value.hash(&mut hasher);
        hasher.finish()
    }
}
