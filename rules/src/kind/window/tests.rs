//! Tests of `window` on its own.

use super::{Aggregate, Align, Spec, State, deadline, fire, look, start, step};
use crate::Figures;
use crate::kind::latch::{Level, Limits};
use crate::kind::{Params, Step};
use model::Severity;

const MINUTE_MS: i64 = 60_000;

/// A window of 10 minutes that must not be above 65.
fn spec(aggregate: Aggregate) -> Spec {
    Spec {
        metric: "laeq_dba".to_owned(),
        window_s: 600,
        aggregate,
        align: Align::Trailing,
        min_coverage_pct: 0.0,
        limits: Limits {
            levels: vec![Level {
                severity: Severity::Minor,
                above: Some(65.0),
                below: None,
            }],
            deadband: 0.0,
            on_delay_s: 0,
            off_delay_s: 0,
        },
    }
}

fn begin(spec: &Spec, cadence_s: Option<i64>) -> State {
    let params = Params {
        cadence_ms: cadence_s.map(|s| s * 1000),
        ..Params::default()
    };
    start(spec, &params)
}

/// Lets every deadline pass up to an instant and gives the last change.
fn advance(spec: &Spec, state: &mut State, to_ms: i64) -> Vec<(i64, Step)> {
    let mut steps = Vec::new();
    while let Some(at_ms) = deadline(spec, state).filter(|at_ms| *at_ms <= to_ms) {
        match fire(spec, state, at_ms) {
            Step::Quiet | Step::Updated(_) => {}
            step => steps.push((at_ms, step)),
        }
        assert!(deadline(spec, state).is_none_or(|next| next > at_ms));
    }
    steps
}

fn value(step: Step) -> f64 {
    let figures = step.figures();
    figures.and_then(|f: Figures| f.value).expect("figures")
}

fn current(spec: &Spec, state: &State) -> Option<f64> {
    look(spec, state).value
}

/// Minutes from 0 on, one reading each.
fn feed(spec: &Spec, state: &mut State, values: &[f64]) {
    for (minute, value) in (0..).zip(values) {
        advance(spec, state, minute * MINUTE_MS);
        step(spec, state, minute * MINUTE_MS, *value);
    }
}

#[test]
fn the_energy_mean_of_60_and_70_db_half_and_half_is_67_4() {
    let spec = spec(Aggregate::Leq);
    let mut state = begin(&spec, Some(60));
    // 10 lg((10^6 + 10^7) / 2) = 10 lg(5.5 × 10^6) = 10 × 6.7403627 dB.
    step(&spec, &mut state, 0, 60.0);
    assert!((current(&spec, &state).expect("a level") - 60.0).abs() < 1e-9);
    let raised = step(&spec, &mut state, MINUTE_MS, 70.0);
    assert!(matches!(raised, Step::Raised(_)));
    assert!((value(raised) - 67.403_627).abs() < 1e-6);
}

#[test]
fn every_aggregate_is_what_its_name_says() {
    let values = [60.0, 70.0, 62.0, 64.0];
    let aggregates = [
        (Aggregate::Mean, 64.0),
        (Aggregate::Max, 70.0),
        (Aggregate::Min, 60.0),
        (Aggregate::Sum, 256.0),
        (Aggregate::CountAbove(62.0), 2.0),
    ];
    for (aggregate, expected) in aggregates {
        let spec = spec(aggregate);
        let mut state = begin(&spec, Some(60));
        feed(&spec, &mut state, &values);
        assert_eq!(current(&spec, &state), Some(expected), "{aggregate:?}");
    }
}

#[test]
fn a_mean_of_decimals_is_a_decimal() {
    let spec = spec(Aggregate::Mean);
    let mut state = begin(&spec, None);
    // In binary fractions, 0.1 + 0.2 + 0.3 is 0.6000000000000001.
    feed(&spec, &mut state, &[0.1, 0.2, 0.3]);
    assert_eq!(current(&spec, &state), Some(0.2));
}

#[test]
fn a_reading_as_old_as_the_window_is_no_longer_in_it() {
    let spec = spec(Aggregate::Sum);
    let mut state = begin(&spec, Some(60));
    step(&spec, &mut state, 0, 1.0);
    step(&spec, &mut state, 599_999, 1.0);
    assert_eq!(current(&spec, &state), Some(2.0));
    step(&spec, &mut state, 600_000, 1.0);
    assert_eq!(current(&spec, &state), Some(2.0));
}

#[test]
fn half_the_window_must_be_covered_before_a_mean_means_anything() {
    let spec = Spec {
        min_coverage_pct: 50.0,
        ..spec(Aggregate::Mean)
    };
    let mut state = begin(&spec, Some(60));
    for minute in 0..4 {
        assert_eq!(
            step(&spec, &mut state, minute * MINUTE_MS, 80.0),
            Step::Quiet
        );
    }
    // 5 of 10 readings.
    assert!(matches!(
        step(&spec, &mut state, 4 * MINUTE_MS, 80.0),
        Step::Raised(_)
    ));
    // Without a cadence the time from the first reading to the last counts: 5 of 10 minutes.
    let mut state = begin(&spec, None);
    step(&spec, &mut state, 0, 80.0);
    assert_eq!(step(&spec, &mut state, 299_999, 80.0), Step::Quiet);
    let raised = step(&spec, &mut state, 300_000, 80.0);
    assert!(matches!(raised, Step::Raised(_)));
}

#[test]
fn too_little_coverage_neither_raises_nor_clears() {
    let spec = Spec {
        min_coverage_pct: 50.0,
        ..spec(Aggregate::Mean)
    };
    let mut state = begin(&spec, Some(60));
    feed(&spec, &mut state, &[80.0; 10]);
    assert!(look(&spec, &state).active);
    // Nothing comes for an hour, then a few low values: still active.
    assert_eq!(advance(&spec, &mut state, 60 * MINUTE_MS), []);
    assert_eq!(current(&spec, &state), None);
    for minute in 60..64 {
        assert_eq!(
            step(&spec, &mut state, minute * MINUTE_MS, 50.0),
            Step::Quiet
        );
    }
    let cleared = step(&spec, &mut state, 64 * MINUTE_MS, 50.0);
    assert!(matches!(cleared, Step::Cleared(_)), "{cleared:?}");
}

#[test]
fn a_sum_of_nothing_is_zero_and_clears() {
    let spec = spec(Aggregate::Sum);
    let mut state = begin(&spec, Some(60));
    step(&spec, &mut state, 0, 50.0);
    let raised = step(&spec, &mut state, MINUTE_MS, 20.0);
    assert!((value(raised) - 70.0).abs() < 1e-9);
    let cleared = advance(&spec, &mut state, 60 * MINUTE_MS);
    // The first reading leaves at minute 10, when the next one is overdue for long.
    let [(at_ms, step)] = cleared.as_slice() else {
        panic!("{cleared:?}");
    };
    assert_eq!((*at_ms, value(*step)), (10 * MINUTE_MS, 20.0));
    assert!(matches!(step, Step::Cleared(_)));
    assert!(state.is_plain(), "the second has left as well");
}

#[test]
fn an_alarm_does_not_come_and_go_between_two_readings() {
    let spec = spec(Aggregate::Sum);
    // Ten readings of 7 are in every full window, nine between two.
    let mut state = begin(&spec, Some(60));
    feed(&spec, &mut state, &[7.0; 10]);
    assert!(look(&spec, &state).active);
    for minute in 10..30 {
        // Half a minute late.
        let at_ms = minute * MINUTE_MS + 30_000;
        assert_eq!(advance(&spec, &mut state, at_ms), []);
        let step = step(&spec, &mut state, at_ms, 14.0);
        assert!(
            matches!(step, Step::Updated(_)),
            "minute {minute}: {step:?}"
        );
    }
    // A device without a cadence may never send again: what has left has left.
    let mut state = begin(&spec, None);
    feed(&spec, &mut state, &[7.0; 10]);
    let cleared = advance(&spec, &mut state, 11 * MINUTE_MS);
    assert_eq!(
        cleared.first().map(|(at_ms, _)| *at_ms),
        Some(10 * MINUTE_MS)
    );
}

#[test]
fn a_block_is_judged_when_it_ends() {
    let spec = Spec {
        align: Align::Clock,
        ..spec(Aggregate::Mean)
    };
    let mut state = begin(&spec, Some(300));
    // In the block from minute 0 to 10, then one in the next.
    assert_eq!(step(&spec, &mut state, 4 * MINUTE_MS, 90.0), Step::Quiet);
    assert_eq!(step(&spec, &mut state, 599_999, 60.0), Step::Quiet);
    assert_eq!(deadline(&spec, &state), Some(10 * MINUTE_MS));
    let raised = fire(&spec, &mut state, 10 * MINUTE_MS);
    assert!(matches!(raised, Step::Raised(_)));
    assert!((value(raised) - 75.0).abs() < 1e-9);
    assert_eq!(step(&spec, &mut state, 10 * MINUTE_MS, 50.0), Step::Quiet);
    let cleared = fire(&spec, &mut state, 20 * MINUTE_MS);
    assert!(matches!(cleared, Step::Cleared(_)));
    assert!((value(cleared) - 50.0).abs() < 1e-9);
    // The block after the last reading is judged, too, and then nothing waits any more.
    assert_eq!(fire(&spec, &mut state, 30 * MINUTE_MS), Step::Quiet);
    assert!(state.is_plain());
    assert_eq!(deadline(&spec, &state), None);
}

#[test]
fn an_empty_block_ends_a_sum_but_not_a_mean() {
    for (aggregate, is_active) in [(Aggregate::Sum, false), (Aggregate::Mean, true)] {
        let spec = Spec {
            align: Align::Clock,
            ..spec(aggregate)
        };
        let mut state = begin(&spec, None);
        step(&spec, &mut state, 0, 90.0);
        assert!(matches!(fire(&spec, &mut state, 600_000), Step::Raised(_)));
        advance(&spec, &mut state, 10_000_000);
        assert_eq!(look(&spec, &state).active, is_active, "{aggregate:?}");
    }
}

#[test]
fn a_time_before_1970_has_its_block_as_well() {
    let spec = Spec {
        align: Align::Clock,
        ..spec(Aggregate::Max)
    };
    let mut state = begin(&spec, None);
    step(&spec, &mut state, -1, 90.0);
    assert_eq!(deadline(&spec, &state), Some(0));
}

#[test]
fn a_figure_that_is_no_number_is_unknown() {
    for aggregate in [Aggregate::Sum, Aggregate::Mean] {
        let spec = spec(aggregate);
        let mut state = begin(&spec, None);
        feed(&spec, &mut state, &[f64::MAX, f64::MAX]);
        assert_eq!(current(&spec, &state), None, "{aggregate:?}");
    }
    let spec = spec(Aggregate::Leq);
    let mut state = begin(&spec, None);
    feed(&spec, &mut state, &[f64::MAX]);
    assert_eq!(current(&spec, &state), Some(300.0));
    let mut state = begin(&spec, None);
    feed(&spec, &mut state, &[f64::MIN]);
    assert_eq!(current(&spec, &state), None);
}

#[test]
fn readings_from_before_the_opening_are_in_no_window() {
    let spec = spec(Aggregate::Max);
    let mut state = begin(&spec, Some(60));
    step(&spec, &mut state, 0, 90.0);
    let closed = super::close(&spec, &mut state, MINUTE_MS);
    assert!(matches!(closed, Step::Cleared(_)));
    super::hold(&spec, &mut state, 2 * MINUTE_MS, 90.0);
    assert!(state.is_plain());
    super::open(&spec, &mut state, 3 * MINUTE_MS);
    assert_eq!(step(&spec, &mut state, 3 * MINUTE_MS, 60.0), Step::Quiet);
}
