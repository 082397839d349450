//! Spreads what would otherwise happen at the same instant, without a generator of random numbers.

/// Gives a number from 0 to 1 that looks random, for the `count`th time of whatever has this key: the
/// finalizer of SplitMix64.
pub fn spread(key: u32, count: u32) -> f64 {
    let mut mixed = (u64::from(key) << 32 | u64::from(count)).wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^= mixed >> 31;
    let [a, b, c, d, ..] = mixed.to_be_bytes();
    f64::from(u32::from_be_bytes([a, b, c, d])) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::spread;

    #[test]
    fn it_spreads_evenly_over_keys_and_over_times() {
        for numbers in [
            (0..1_000).map(|key| spread(key, 0)).collect::<Vec<f64>>(),
            (0..1_000).map(|count| spread(7, count)).collect(),
        ] {
            assert!(numbers.iter().all(|number| (0.0..=1.0).contains(number)));
            // Of 1000, a tenth lies in each tenth, within what chance allows.
            for tenth in 0..10 {
                let from = f64::from(tenth) / 10.0;
                let inside = numbers
                    .iter()
                    .filter(|number| (from..from + 0.1).contains(*number));
                assert!((60..=140).contains(&inside.count()), "{tenth}");
            }
        }
    }
}
