//! A plain mutator, for tests: always the same inputs from the same seed.

/// Longest input that it makes.
const LONGEST: usize = 1024;

/// Makes inputs out of others.
#[derive(Clone, Debug)]
pub struct Mutator<'a> {
    state: u64,
    inputs: &'a [Vec<u8>],
    tokens: &'a [Vec<u8>],
}

impl<'a> Mutator<'a> {
    /// A mutator of these inputs, which may insert these tokens.
    pub fn new(seed: u64, inputs: &'a [Vec<u8>], tokens: &'a [Vec<u8>]) -> Self {
        Self {
            state: seed,
            inputs,
            tokens,
        }
    }

    /// The next input.
    pub fn make(&mut self) -> Vec<u8> {
        let mut input = self.pick(self.inputs);
        for _ in 0..=self.below(4) {
            self.change(&mut input);
        }
        input.truncate(LONGEST);
        input
    }

    fn change(&mut self, input: &mut Vec<u8>) {
        let at = self.below(input.len() + 1);
        let to = at + self.below(input.len() - at + 1);
        match self.below(7) {
            0 => drop(input.drain(at..to)),
            1 => {
                let token = self.pick(self.tokens);
                drop(input.splice(at..at, token));
            }
            2 => {
                let token = self.pick(self.tokens);
                drop(input.splice(at..to, token));
            }
            3 => {
                let other = self.pick(self.inputs);
                let from = self.below(other.len() + 1);
                drop(input.splice(at.., other.into_iter().skip(from)));
            }
            4 => {
                let part = input.get(at..to).unwrap_or_default().to_vec();
                drop(input.splice(at..at, part));
            }
            _ => {
                let bits = 1 << self.below(8);
                if let Some(byte) = input.get_mut(at) {
                    *byte ^= bits;
                }
            }
        }
    }

    fn pick(&mut self, from: &[Vec<u8>]) -> Vec<u8> {
        let at = self.below(from.len().max(1));
        from.get(at).cloned().unwrap_or_default()
    }

    /// A number below `limit`, which is not 0 (splitmix64).
    fn below(&mut self, limit: usize) -> usize {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let mixed = mixed ^ (mixed >> 31);
        usize::try_from(mixed % limit as u64).unwrap_or(0)
    }
}
