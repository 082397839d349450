//! Pseudo-random numbers that are the same on every machine for the same seed.

/// xoshiro256++, seeded by splitmix64, as both are published by Blackman and Vigna.
#[derive(Clone, Debug)]
pub(crate) struct Random {
    state: [u64; 4],
}

/// One step of splitmix64; also a good mixer of numbers that differ in few bits.
pub(crate) fn mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

impl Random {
    /// Starts the stream `stream` of the seed; streams of one seed are independent, so what one
    /// device does never shifts the numbers of another.
    pub(crate) fn new(seed: u64, stream: u64) -> Self {
        let mut mixer = seed;
        let mut state = mix(&mut mixer) ^ stream.wrapping_mul(0xd1b5_4a32_d192_ed03);
        Self {
            state: [
                mix(&mut state),
                mix(&mut state),
                mix(&mut state),
                mix(&mut state),
            ],
        }
    }

    /// Starts from a text instead of a number.
    pub(crate) fn from_text(text: &str) -> Self {
        // FNV-1a folds the text; splitmix64 in `new` spreads it.
        let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        Self::new(hash, 0)
    }

    /// Draws 64 bits.
    pub(crate) fn bits(&mut self) -> u64 {
        let [a, b, c, d] = &mut self.state;
        let drawn = a.wrapping_add(*d).rotate_left(23).wrapping_add(*a);
        let shifted = *b << 17;
        *c ^= *a;
        *d ^= *b;
        *b ^= *c;
        *a ^= *d;
        *c ^= shifted;
        *d = d.rotate_left(45);
        drawn
    }

    /// Draws from 0 (inclusive) to 1 (exclusive).
    pub(crate) fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Draws from `low` to `high`.
    pub(crate) fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// Draws a whole number from 0 to `limit` (exclusive); 0 when the limit is 0.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.bits().checked_rem(limit).unwrap_or(0)
    }

    /// Comes true with the given probability.
    pub(crate) fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// Draws from the standard normal distribution, cut at six deviations (sum of twelve).
    pub(crate) fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.unit()).sum::<f64>() - 6.0
    }

    /// Draws a waiting time with the given mean.
    pub(crate) fn exponential(&mut self, mean: f64) -> f64 {
        -mean * (1.0 - self.unit()).ln()
    }
}

/// Rounds to the nearest whole number.
#[expect(
    clippy::cast_possible_truncation,
    reason = "`as` saturates, and no quantity here comes near the ends"
)]
pub(crate) fn whole(value: f64) -> i64 {
    value.round() as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splitmix64_gives_the_published_numbers() {
        // The first outputs for seed 1234567, as printed in the reference implementations.
        let mut state = 1_234_567;
        assert_eq!(mix(&mut state), 6_457_827_717_110_365_317);
        assert_eq!(mix(&mut state), 3_203_168_211_198_807_973);
        assert_eq!(mix(&mut state), 9_817_491_932_198_370_423);
    }

    #[test]
    fn xoshiro256_plus_plus_gives_the_published_numbers() {
        // State 1, 2, 3, 4: the first draw is rotl(1 + 4, 23) + 1.
        let mut random = Random {
            state: [1, 2, 3, 4],
        };
        assert_eq!(random.bits(), 41_943_041);
        assert_eq!(random.bits(), 58_720_359);
        assert_eq!(random.bits(), 3_588_806_011_781_223);
        assert_eq!(random.bits(), 3_591_011_842_654_386);
    }

    #[test]
    fn streams_of_one_seed_differ_and_repeat() {
        let draw = |seed, stream| Random::new(seed, stream).bits();
        assert_eq!(draw(7, 1), draw(7, 1));
        assert_ne!(draw(7, 1), draw(7, 2));
        assert_ne!(draw(7, 1), draw(8, 1));
    }

    #[test]
    fn draws_keep_their_bounds_and_means() {
        let mut random = Random::new(1, 1);
        let (mut sum, mut waits) = (0.0, 0.0);
        for _ in 0..10_000 {
            let drawn = random.between(-2.0, 3.0);
            assert!((-2.0..3.0).contains(&drawn));
            assert!(random.below(7) < 7);
            sum += random.normal();
            waits += random.exponential(5.0);
        }
        assert!((sum / 10_000.0).abs() < 0.05, "{sum}");
        assert!((waits / 10_000.0 - 5.0).abs() < 0.25, "{waits}");
        assert_eq!(random.below(0), 0);
    }
}
