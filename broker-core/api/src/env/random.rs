//! Randomness: secrets from the system, everything else from small generators that a seed determines.

use parking_lot::Mutex;
use rand::rngs::{SmallRng, SysRng};
use rand::{Rng as _, SeedableRng as _, TryRng as _};

/// Where randomness comes from.
pub trait Random: Send + Sync + 'static {
    /// A seed for one generator.
    fn seed(&self) -> u64;

    /// Fills `bytes`; unpredictable outside simulations.
    fn fill(&self, bytes: &mut [u8]);
}

/// A small, fast generator, owned by one task. Not for secrets.
#[derive(Debug)]
pub struct Rng(SmallRng);

impl Rng {
    /// The generator that follows from `seed`.
    pub fn seeded(seed: u64) -> Self {
        Self(SmallRng::seed_from_u64(seed))
    }

    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// A number below `bound`; 0 when `bound` is 0. The bias is below bound / 2^32.
    pub fn below(&mut self, bound: u32) -> u32 {
        let product = u64::from(self.0.next_u32()) * u64::from(bound);
        u32::try_from(product >> 32).unwrap_or(0)
    }
}

/// The operating system's randomness.
#[derive(Debug, Default)]
pub struct SystemRandom;

impl Random for SystemRandom {
    fn seed(&self) -> u64 {
        let mut bytes = [0; 8];
        self.fill(&mut bytes);
        u64::from_le_bytes(bytes)
    }

    fn fill(&self, bytes: &mut [u8]) {
        let filled = SysRng.try_fill_bytes(bytes);
        // A broker without randomness would hand out guessable nonces and inboxes: better none at all.
        assert!(filled.is_ok(), "the system gives no randomness: {filled:?}");
    }
}

/// All randomness of a simulation, from one seed.
#[derive(Debug)]
pub struct SeededRandom(Mutex<SmallRng>);

impl SeededRandom {
    /// The source that follows from `seed`.
    pub fn new(seed: u64) -> Self {
        Self(Mutex::new(SmallRng::seed_from_u64(seed)))
    }
}

impl Random for SeededRandom {
    fn seed(&self) -> u64 {
        self.0.lock().next_u64()
    }

    fn fill(&self, bytes: &mut [u8]) {
        self.0.lock().fill_bytes(bytes);
    }
}
