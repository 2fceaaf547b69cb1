//! Numbers that follow from a seed, so that what happened by chance can be made to happen again.

/// SplitMix64.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// From a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// 1 to `most`.
    pub fn up_to(&mut self, most: u64) -> u64 {
        1 + self.next() % most
    }

    /// True once in so many times.
    pub fn one_in(&mut self, times: u64) -> bool {
        self.up_to(times) == 1
    }

    /// One of these.
    pub fn one_of<T: Copy>(&mut self, all: &[T]) -> Option<T> {
        let at = (self.next() % all.len().max(1) as u64) as usize;
        all.get(at).copied()
    }

    /// Others, which follow from these and from a number.
    pub fn branch(&self, number: u64) -> Self {
        Self(self.0 ^ (number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(17))
    }
}

#[cfg(test)]
mod tests {
    use super::Random;

    #[test]
    fn a_seed_makes_the_same_numbers_within_their_bounds() {
        let numbers = |seed| std::iter::repeat_n((), 100).scan(Random::new(seed), |r, ()| Some(r.up_to(7)));
        assert!(numbers(1).eq(numbers(1)) && !numbers(1).eq(numbers(2)));
        assert!(numbers(1).all(|number| (1..=7).contains(&number)));
    }
}
