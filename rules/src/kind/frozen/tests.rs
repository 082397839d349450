//! Tests of `frozen` on its own.

use super::{Spec, State, close, hold, look, open, start, step};
use crate::kind::{Params, Step};
use model::Severity;

/// Frozen after 10 minutes, which a tenth does not move.
fn spec() -> Spec {
    Spec {
        metric: "pm10_ugm3".to_owned(),
        severity: Severity::Warning,
        after_s: 600,
        epsilon: 0.1,
    }
}

fn feed(state: &mut State, minute: i64, value: f64) -> Step {
    step(&spec(), state, minute * 60_000, value)
}

fn begin() -> State {
    start(&spec(), &Params::default())
}

#[test]
fn a_reading_raises_once_the_value_has_stood_for_long_enough() {
    let mut state = begin();
    for minute in 0..10 {
        assert_eq!(feed(&mut state, minute, 35.2), Step::Quiet);
    }
    let Step::Raised(figures) = feed(&mut state, 10, 35.2) else {
        panic!("10 minutes");
    };
    assert_eq!((figures.value, figures.limit), (Some(600.0), Some(600.0)));
    assert_eq!(figures.count, 11);
    let Step::Updated(figures) = feed(&mut state, 11, 35.2) else {
        panic!("still frozen");
    };
    assert_eq!(figures.peak, Some(660.0));
    let Step::Cleared(figures) = feed(&mut state, 12, 35.4) else {
        panic!("it moved");
    };
    assert_eq!(figures.value, Some(660.0));
    assert_eq!(feed(&mut state, 13, 35.4), Step::Quiet);
}

#[test]
fn what_moves_no_farther_than_epsilon_stands() {
    let mut state = begin();
    for minute in 0..10 {
        let value = if minute % 2 == 0 { 1.0 } else { 1.1 };
        assert_eq!(feed(&mut state, minute, value), Step::Quiet);
    }
    assert!(matches!(feed(&mut state, 10, 1.0), Step::Raised(_)));
    // A slow drift moves away from where it stood.
    let mut state = begin();
    for minute in 0..60_i32 {
        let value = f64::from(minute) * 0.05;
        assert_eq!(feed(&mut state, i64::from(minute), value), Step::Quiet);
    }
}

#[test]
fn a_gap_as_long_as_the_whole_time_begins_it_anew() {
    let mut state = begin();
    feed(&mut state, 0, 5.0);
    feed(&mut state, 1, 5.0);
    assert_eq!(feed(&mut state, 11, 5.0), Step::Quiet, "nobody was looking");
    assert_eq!(feed(&mut state, 20, 5.0), Step::Quiet);
    assert!(matches!(feed(&mut state, 21, 5.0), Step::Raised(_)));
    // A frozen value is not freed by a gap.
    assert!(matches!(feed(&mut state, 60, 5.0), Step::Updated(_)));
}

#[test]
fn the_time_counts_from_the_opening() {
    let mut state = begin();
    feed(&mut state, 0, 5.0);
    assert_eq!(close(&spec(), &mut state, 60_000), Step::Quiet);
    for minute in 1..60 {
        hold(&spec(), &mut state, minute * 60_000, 5.0);
    }
    open(&spec(), &mut state, 3_600_000);
    assert_eq!(feed(&mut state, 65, 5.0), Step::Quiet);
    assert_eq!(feed(&mut state, 69, 5.0), Step::Quiet);
    assert!(matches!(feed(&mut state, 70, 5.0), Step::Raised(_)));
    let look = look(&spec(), &state);
    assert_eq!(look.since.map(model::Timestamp::millis), Some(3_600_000));
    assert_eq!(look.facts.get("stuck_at"), Some(&serde_json::json!(5.0)));
    assert!(matches!(
        close(&spec(), &mut state, 4_260_000),
        Step::Cleared(_)
    ));
}
