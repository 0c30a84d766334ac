//! The choices of a program.

/// Where a program gets its choices from.
pub(in crate::binding::connection) struct Choices<'a> {
    /// Bytes that are not used yet: one for each choice.
    bytes: &'a [u8],
    /// State of the generator that chooses once the bytes are used up (splitmix64, Steele et al. 2014).
    seed: u64,
    /// Steps that the program makes beyond its bytes.
    steps_left: u64,
}

impl<'a> Choices<'a> {
    #[cfg(test)]
    pub(in crate::binding::connection) const fn from_seed(seed: u64, steps: u64) -> Self {
        Self { bytes: &[], seed, steps_left: steps }
    }

    /// The program ends with the bytes.
    pub(in crate::binding::connection) const fn from_bytes(bytes: &'a [u8]) -> Self {
        Self { bytes, seed: 0, steps_left: 0 }
    }

    /// Returns true if the program makes another step.
    pub(super) const fn has_step(&mut self) -> bool {
        if self.bytes.is_empty() {
            let has_step = self.steps_left > 0;
            self.steps_left = self.steps_left.saturating_sub(1);
            return has_step;
        }
        true
    }

    pub(super) fn next(&mut self) -> u64 {
        self.seed = self.seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.seed;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Returns a number below `bound`.
    pub(super) fn below(&mut self, bound: usize) -> usize {
        if let Some((first, others)) = self.bytes.split_first() {
            self.bytes = others;
            return usize::from(*first) % bound;
        }
        (self.next() % bound as u64) as usize
    }

    pub(super) fn one_in(&mut self, odds: usize) -> bool {
        self.below(odds) == 0
    }
}
