//! Latencies in buckets that grow with the value, precise to about 3 %.

/// Each power of two is cut into this many buckets.
const STEPS: usize = 32;
/// log2 of `STEPS`.
const STEP_BITS: u32 = 5;
/// Buckets up to 2^36 µs, which is 19 hours.
const BUCKETS: usize = STEPS * 32;

/// Counts of microsecond values.
#[derive(Clone, Debug)]
pub(crate) struct Histogram {
    buckets: Vec<u64>,
    count: u64,
    max_us: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self {
            buckets: vec![0; BUCKETS],
            count: 0,
            max_us: 0,
        }
    }
}

/// Values below `STEPS` have a bucket each; above, the top five bits after the leading one choose.
fn bucket(value_us: u64) -> usize {
    let Ok(small) = usize::try_from(value_us) else {
        return BUCKETS - 1;
    };
    if small < STEPS {
        return small;
    }
    let exponent = small.ilog2() - STEP_BITS;
    let step = (small >> exponent) - STEPS;
    (STEPS * (exponent as usize + 1) + step).min(BUCKETS - 1)
}

/// The largest value that falls into a bucket.
fn upper_us(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    let steps = STEPS as u64;
    if bucket < steps {
        return bucket;
    }
    let exponent = bucket / steps - 1;
    ((steps + bucket % steps + 1) << exponent) - 1
}

impl Histogram {
    /// Counts one value.
    pub(crate) fn record(&mut self, value_us: u64) {
        if let Some(count) = self.buckets.get_mut(bucket(value_us)) {
            *count += 1;
        }
        self.count += 1;
        self.max_us = self.max_us.max(value_us);
    }

    /// Takes over the counts of another histogram.
    pub(crate) fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.buckets.iter_mut().zip(&other.buckets) {
            *mine += theirs;
        }
        self.count += other.count;
        self.max_us = self.max_us.max(other.max_us);
    }

    /// Tells the value that `per_mille` of a thousand values do not exceed (0 when empty).
    pub(crate) fn quantile_us(&self, per_mille: u64) -> u64 {
        let wanted = (self.count * per_mille).div_ceil(1000).max(1);
        let mut seen = 0;
        for (index, count) in self.buckets.iter().enumerate() {
            seen += count;
            if seen >= wanted {
                return upper_us(index).min(self.max_us);
            }
        }
        self.max_us
    }

    /// Tells the largest value.
    pub(crate) fn max_us(&self) -> u64 {
        self.max_us
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_of_one_to_a_thousand_are_within_three_per_cent() {
        let mut histogram = Histogram::default();
        for value in 1..=1000 {
            histogram.record(value);
        }
        let median = histogram.quantile_us(500);
        assert!((500..=515).contains(&median), "{median}");
        let high = histogram.quantile_us(990);
        assert!((990..=1000).contains(&high), "{high}");
        assert_eq!(histogram.max_us(), 1000);
    }

    #[test]
    fn small_values_are_exact_and_an_empty_one_is_zero() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.quantile_us(500), 0);
        for value in [3, 3, 3, 20] {
            histogram.record(value);
        }
        assert_eq!(histogram.quantile_us(500), 3);
        assert_eq!(histogram.quantile_us(1000), 20);
    }

    #[test]
    fn buckets_cover_every_value_without_a_hole() {
        assert_eq!(bucket(31), 31);
        assert_eq!(bucket(32), 32);
        // 64 and 65 share a bucket, 66 opens the next.
        assert_eq!((bucket(64), bucket(65), bucket(66)), (64, 64, 65));
        assert_eq!(upper_us(64), 65);
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
        for value in [100u64, 999, 4096, 1_000_000, 30_000_000] {
            let upper = upper_us(bucket(value));
            assert!(
                upper >= value && upper - value <= value / 30,
                "{value} {upper}"
            );
        }
    }

    #[test]
    fn merging_adds_counts_and_keeps_the_larger_maximum() {
        let mut left = Histogram::default();
        left.record(10);
        let mut right = Histogram::default();
        right.record(30);
        right.record(31);
        left.merge(&right);
        assert_eq!(left.quantile_us(1000), 31);
        assert_eq!(left.quantile_us(300), 10);
    }
}
