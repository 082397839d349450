//! Telling new from known when hardly anything can be remembered.

use crate::{Admission, Options};
use model::{DeviceKey, MetricKey, Quality, Reading, Series, Timestamp, Value};
use proptest::prelude::*;
use std::collections::HashSet;

const START: i64 = 1_772_323_200_000;

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]
    #[test]
    fn what_was_forgotten_is_read_again(
        given in proptest::collection::vec((0u32..6, 0i64..40), 100..200),
        keys_max in 1usize..30,
    ) {
        let dir = tempfile::tempdir().unwrap();
        let (mut journal, _, _) = crate::open(dir.path(), Options::default()).unwrap();
        journal.number_metrics(&["m"]).unwrap();
        journal.dedup.keys_max = keys_max;
        let mut known = HashSet::new();
        for (n, given) in given.chunks(10).enumerate() {
            let mut group = journal.begin(Timestamp::from_millis(START));
            for &(device, instant) in given {
                let reading = Reading {
                    series: Series {
                        device: DeviceKey(device),
                        metric: MetricKey(0),
                    },
                    value: Value::Number(1.0),
                    quality: Quality::GOOD,
                    // An hour apart, so that they fall on two days.
                    observed_at: Timestamp::from_millis(START + instant * 3_600_000),
                    received_at: Timestamp::from_millis(START),
                };
                group.part(0, DeviceKey(device), 1);
                let admission = group.observe(&mut journal, &reading, false).unwrap();
                let is_new = known.insert((device, instant));
                prop_assert_eq!(admission == Admission::New, is_new);
            }
            journal.commit(group).unwrap();
            if n % 3 == 2 {
                journal.seal(Vec::new()).unwrap();
            }
        }
    }
}
