//! Tests of `rate` on its own.

use super::{Direction, Spec, State, deadline, fire, look, start, step};
use crate::kind::latch::{Level, Limits};
use crate::kind::{Params, Step};
use model::Severity;

const MINUTE_MS: i64 = 60_000;

/// 20 (or 20 %) in 5 minutes.
fn spec(direction: Direction, is_percent: bool) -> Spec {
    Spec {
        metric: "pressure_kpa".to_owned(),
        window_s: 300,
        direction,
        is_percent,
        normal_max: None,
        limits: Limits {
            levels: vec![Level {
                severity: Severity::Major,
                above: Some(20.0),
                below: None,
            }],
            deadband: 0.0,
            on_delay_s: 0,
            off_delay_s: 0,
        },
    }
}

fn begin(spec: &Spec, cadence_ms: Option<i64>) -> State {
    let params = Params {
        cadence_ms,
        ..Params::default()
    };
    start(spec, &params)
}

/// One reading each minute; gives the minute and amount of the alarm.
fn raised(spec: &Spec, values: &[f64]) -> Option<(i64, f64)> {
    let mut state = begin(spec, Some(MINUTE_MS));
    for (minute, value) in (0..).zip(values) {
        if let Step::Raised(figures) = step(spec, &mut state, minute * MINUTE_MS, *value) {
            return figures.value.map(|amount| (minute, amount));
        }
    }
    None
}

#[test]
fn reaching_the_amount_is_enough() {
    let fall = spec(Direction::Fall, false);
    assert_eq!(raised(&fall, &[300.0, 280.1]), None);
    assert_eq!(raised(&fall, &[300.0, 280.0]), Some((1, 20.0)));
    assert_eq!(raised(&fall, &[300.0, 290.0, 280.0]), Some((2, 20.0)));
    assert_eq!(raised(&fall, &[280.0, 300.0]), None);
    let rise = spec(Direction::Rise, false);
    assert_eq!(raised(&rise, &[280.0, 270.0, 290.0]), Some((2, 20.0)));
    assert_eq!(raised(&rise, &[300.0, 280.0]), None);
}

#[test]
fn decimals_reach_a_decimal() {
    let mut spec = spec(Direction::Fall, false);
    spec.limits.levels = vec![Level {
        severity: Severity::Major,
        above: Some(0.2),
        below: None,
    }];
    // In binary fractions, 0.3 - 0.1 is 0.19999999999999998.
    assert_eq!(raised(&spec, &[0.3, 0.1]), Some((1, 0.2)));
}

#[test]
fn the_highest_reading_of_the_window_is_compared_and_no_older_one() {
    let spec = spec(Direction::Fall, false);
    // Minute 1 is highest; 5 minutes later it is in the window, 6 minutes later not.
    let values = [290.0, 300.0, 285.0, 295.0, 285.0, 285.0, 280.0];
    assert_eq!(raised(&spec, &values), Some((6, 20.0)));
    let values = [290.0, 300.0, 285.0, 290.0, 285.0, 285.0, 285.0, 275.0];
    assert_eq!(
        raised(&spec, &values),
        None,
        "290 in minute 3 is the highest"
    );
}

#[test]
fn percent_are_of_the_value_compared_with() {
    let fall = spec(Direction::Fall, true);
    assert_eq!(raised(&fall, &[50.0, 40.0]), Some((1, 20.0)));
    assert_eq!(raised(&fall, &[50.0, 40.1]), None);
    let rise = spec(Direction::Rise, true);
    assert_eq!(raised(&rise, &[50.0, 60.0]), Some((1, 20.0)));
    assert_eq!(raised(&rise, &[0.0, 60.0]), None, "no percent of nothing");
    assert_eq!(raised(&rise, &[-10.0, 60.0]), None);
    assert_eq!(raised(&rise, &[f64::MIN_POSITIVE, 1e300]), None, "infinite");
}

#[test]
fn only_readings_that_can_be_compared_are_kept() {
    let spec = spec(Direction::Fall, false);
    let mut state = begin(&spec, Some(1000));
    for second in 0..300 {
        step(&spec, &mut state, second * 1000, 300.0);
    }
    assert_eq!(state.extremes.len(), 1);
    step(&spec, &mut state, 300_000, 290.0);
    step(&spec, &mut state, 301_000, 295.0);
    assert_eq!(state.extremes, [(299_000, 300.0), (301_000, 295.0)]);
}

#[test]
fn a_fall_that_is_over_clears_with_the_window_when_nothing_else_comes() {
    let spec = spec(Direction::Fall, false);
    let mut state = begin(&spec, Some(MINUTE_MS));
    step(&spec, &mut state, 0, 300.0);
    step(&spec, &mut state, MINUTE_MS, 270.0);
    assert!(look(&spec, &state).active);
    // The first reading is as old as the window at minute 5, and too old just after.
    assert_eq!(deadline(&spec, &state), Some(5 * MINUTE_MS + 1));
    let cleared = fire(&spec, &mut state, 5 * MINUTE_MS + 1);
    assert!(matches!(cleared, Step::Cleared(_)));
    assert_eq!(deadline(&spec, &state), Some(6 * MINUTE_MS + 1));
    assert_eq!(fire(&spec, &mut state, 6 * MINUTE_MS + 1), Step::Quiet);
    assert!(state.is_plain());
}

#[test]
fn the_next_reading_is_awaited_for_two_cadences() {
    let spec = spec(Direction::Fall, false);
    let mut state = begin(&spec, Some(MINUTE_MS));
    // 5 a minute, for ever: 25 in the window at every reading.
    for minute in 0..60_i32 {
        let at_ms = i64::from(minute) * MINUTE_MS;
        assert!(deadline(&spec, &state).is_none_or(|due_ms| due_ms > at_ms));
        let step = step(&spec, &mut state, at_ms, 1000.0 - 5.0 * f64::from(minute));
        match minute {
            0..4 => assert_eq!(step, Step::Quiet),
            4 => assert!(matches!(step, Step::Raised(_))),
            _ => assert!(matches!(step, Step::Updated(_)), "{minute}: {step:?}"),
        }
    }
    assert_eq!(look(&spec, &state).value, Some(25.0));
}

#[test]
fn severity_follows_the_amounts() {
    let mut spec = spec(Direction::Fall, false);
    spec.limits.levels.push(Level {
        severity: Severity::Critical,
        above: Some(40.0),
        below: None,
    });
    let mut state = begin(&spec, Some(MINUTE_MS));
    step(&spec, &mut state, 0, 300.0);
    let first = step(&spec, &mut state, MINUTE_MS, 275.0);
    assert!(matches!(first, Step::Raised(f) if f.severity == Severity::Major));
    let second = step(&spec, &mut state, 2 * MINUTE_MS, 260.0);
    assert!(matches!(second, Step::Escalated(f) if f.limit == Some(40.0)));
    let third = step(&spec, &mut state, 3 * MINUTE_MS, 270.0);
    assert!(matches!(third, Step::Deescalated(f) if f.value == Some(30.0)));
}

#[test]
fn the_end_of_an_excess_is_no_fall_and_a_burst_in_it_is_one() {
    let mut fall = spec(Direction::Fall, false);
    let overpressure = [350.0, 430.0, 430.0, 350.0];
    assert_eq!(raised(&fall, &overpressure), Some((3, 80.0)));
    fall.normal_max = Some(400.0);
    assert_eq!(raised(&fall, &overpressure), None);
    // However slowly it begins and ends.
    let slow = [350.0, 380.0, 399.0, 410.0, 399.0, 375.0, 350.0, 340.0];
    assert_eq!(raised(&fall, &slow), None);
    // 350 - 330: back, and on.
    let on = [350.0, 430.0, 390.0, 350.0, 330.0];
    assert_eq!(raised(&fall, &on), Some((4, 20.0)));
    // The pipe bursts under the excess, which has lasted for longer than the window.
    let mut burst = vec![350.0];
    burst.extend([430.0; 10]);
    burst.push(100.0);
    assert_eq!(raised(&fall, &burst), Some((11, 250.0)));
}

#[test]
fn what_has_been_inside_for_a_window_is_the_new_normal() {
    let mut fall = spec(Direction::Fall, false);
    fall.normal_max = Some(400.0);
    // Inside again from the second minute on; five minutes after the excess it counts as it is.
    let mut values = vec![350.0, 430.0];
    values.extend([390.0; 4]);
    values.push(365.0);
    assert_eq!(raised(&fall, &values), None);
    let mut values = vec![350.0, 430.0];
    values.extend([390.0; 6]);
    values.push(365.0);
    assert_eq!(raised(&fall, &values), Some((8, 25.0)));
}

#[test]
fn an_excess_from_the_beginning_counts_as_the_most_that_is_normal() {
    let mut fall = spec(Direction::Fall, false);
    fall.normal_max = Some(400.0);
    assert_eq!(raised(&fall, &[430.0, 385.0]), None);
    assert_eq!(raised(&fall, &[430.0, 380.0]), Some((1, 20.0)));
}
