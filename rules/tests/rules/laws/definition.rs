//! The law of thresholds: what the engine does is what their definition says, second by second.

use super::cases;
use crate::support::{START_MS, Sample, engine, history, metric, quality, rules, run};
use model::{Timestamp, Value};
use proptest::collection::vec;
use proptest::{prop_assert_eq, proptest};

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn a_threshold_does_what_its_definition_says(
        values in vec((0..=9u8, 1..=60i64), 1..60),
        deadband in 0..=2u8,
        (on_delay_s, off_delay_s) in (0..=60u32, 0..=60u32),
    ) {
        let toml = format!(
            "[rules.r]\nkind = \"threshold\"\nselect = {{}}\nmetric = \"pressure_kpa\"\nabove = 4.5\n\
             deadband = {deadband}\non_delay_s = {on_delay_s}\noff_delay_s = {off_delay_s}\n"
        );
        let mut clock_s = 600;
        let points: Vec<(i64, f64)> = values
            .iter()
            .map(|(value, gap_s)| {
                clock_s += gap_s;
                (clock_s, f64::from(*value))
            })
            .collect();
        let end_s = clock_s + 100;
        let pressure = metric("pressure_kpa");
        let samples: Vec<Sample> = points
            .iter()
            .map(|(at_s, value)| Sample {
                device: 1,
                metric: pressure,
                value: Value::Number(*value),
                quality: quality(u8::MAX),
                observed_ms: START_MS + at_s * 1000,
                received_ms: START_MS + at_s * 1000,
            })
            .collect();
        let changes = run(&mut engine(rules(&toml)), &samples, START_MS + end_s * 1000);
        let seconds = |at: Timestamp| (at.millis() - START_MS) / 1000;
        let alarms: Vec<(i64, Option<i64>)> = history(&changes)
            .iter()
            .map(|span| (seconds(span.raised_at), span.cleared_at.map(seconds)))
            .collect();
        let delays = (i64::from(on_delay_s), i64::from(off_delay_s));
        prop_assert_eq!(alarms, second_by_second(&points, f64::from(deadband), delays, end_s));
    }
}

/// The definition of a threshold of 4.5, read second by second: a value holds until the next one;
/// what is due happens before the reading of the same second, and what needs no delay after it.
fn second_by_second(
    points: &[(i64, f64)],
    deadband: f64,
    (on_s, off_s): (i64, i64),
    end_s: i64,
) -> Vec<(i64, Option<i64>)> {
    let mut alarms: Vec<(i64, Option<i64>)> = Vec::new();
    let mut value = 0.0;
    // Below zero: not at all.
    let (mut beyond_for_s, mut inside_for_s) = (-1, -1);
    for second in 0..=end_s {
        for half in 0..2 {
            let readings = points
                .iter()
                .filter(|(at_s, _)| half == 1 && *at_s == second);
            for (_, new) in readings {
                value = *new;
            }
            let is_beyond = value > 4.5;
            let is_inside = !is_beyond && (deadband == 0.0 || value < 4.5 - deadband);
            if half == 1 {
                beyond_for_s = if is_beyond { beyond_for_s.max(0) } else { -1 };
                inside_for_s = if is_inside { inside_for_s.max(0) } else { -1 };
            }
            let is_active = alarms.last().is_some_and(|(_, end)| end.is_none());
            if !is_active && beyond_for_s >= on_s {
                alarms.push((second, None));
            } else if is_active
                && inside_for_s >= off_s
                && let Some(last) = alarms.last_mut()
            {
                last.1 = Some(second);
            }
        }
        // Before the next second's reading, the present value will have held for one second more.
        beyond_for_s += i64::from(beyond_for_s >= 0);
        inside_for_s += i64::from(inside_for_s >= 0);
    }
    alarms
}
