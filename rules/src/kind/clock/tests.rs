//! Tests of `clock` on its own.

use super::{Spec, State, deadline, fire, look, start, step};
use crate::Figures;
use crate::kind::{Params, Step};
use model::Severity;

/// Two minutes, three messages.
fn spec() -> Spec {
    Spec {
        severity: Severity::Warning,
        skew_s: 120,
        confirm: 3,
    }
}

fn begin() -> State {
    start(&spec(), &Params::default())
}

/// Receives one message and judges it.
fn message(state: &mut State, received_s: f64, observed_s: f64) -> Step {
    #[expect(clippy::cast_possible_truncation, reason = "a small number")]
    let at_ms = (received_s * 1000.0) as i64;
    assert_eq!(
        step(&spec(), state, at_ms, observed_s - received_s),
        Step::Quiet
    );
    assert_eq!(deadline(&spec(), state), Some(at_ms + 1));
    fire(&spec(), state, at_ms + 1)
}

fn figures(step: Step) -> Figures {
    step.figures().expect("figures")
}

#[test]
fn three_messages_from_the_future_mean_that_the_clock_is_ahead() {
    let mut state = begin();
    assert_eq!(message(&mut state, 0.0, 121.0), Step::Quiet);
    assert_eq!(message(&mut state, 60.0, 181.0), Step::Quiet);
    let raised = message(&mut state, 120.0, 300.0);
    assert!(matches!(raised, Step::Raised(_)));
    let raised = figures(raised);
    assert_eq!((raised.value, raised.limit), (Some(180.0), Some(120.0)));
    assert_eq!(raised.count, 3);
    assert!(matches!(
        message(&mut state, 180.0, 310.0),
        Step::Updated(_)
    ));
    // One right message is not enough, three are.
    assert_eq!(message(&mut state, 240.0, 240.0), Step::Quiet);
    assert_eq!(message(&mut state, 300.0, 300.0), Step::Quiet);
    let cleared = message(&mut state, 360.0, 361.0);
    assert!(matches!(cleared, Step::Cleared(_)));
    let cleared = figures(cleared);
    assert_eq!((cleared.value, cleared.peak), (Some(1.0), Some(180.0)));
    assert!(state.is_plain());
}

#[test]
fn a_right_message_in_between_begins_the_count_anew() {
    let mut state = begin();
    for (received_s, ahead_s) in [(0.0, 500.0), (60.0, 500.0), (120.0, 0.0), (180.0, 500.0)] {
        let step = message(&mut state, received_s, received_s + ahead_s);
        assert_eq!(step, Step::Quiet);
    }
    assert_eq!(message(&mut state, 240.0, 740.0), Step::Quiet);
    assert!(matches!(message(&mut state, 300.0, 800.0), Step::Raised(_)));
}

#[test]
fn an_offset_that_stays_the_same_means_that_the_clock_is_behind() {
    let mut state = begin();
    // An hour behind, give or take the way.
    assert_eq!(message(&mut state, 3600.0, 0.0), Step::Quiet);
    assert_eq!(message(&mut state, 3660.0, 58.0), Step::Quiet);
    let raised = message(&mut state, 3720.0, 121.0);
    assert!(matches!(raised, Step::Raised(_)), "{raised:?}");
    assert_eq!(figures(raised).limit, Some(-120.0));
}

#[test]
fn a_backlog_that_catches_up_is_no_wrong_clock() {
    let mut state = begin();
    // An hour of minutes comes at one a second.
    for minute in 0..60_i32 {
        let (received_s, observed_s) = (3600.0 + f64::from(minute), 60.0 * f64::from(minute));
        assert_eq!(message(&mut state, received_s, observed_s), Step::Quiet);
    }
    // So does one in which every time comes three times, and one that is read backwards.
    let mut state = begin();
    for number in 0..180_i32 {
        let received_s = 3600.0 + f64::from(number) * 0.1;
        let observed_s = 60.0 * f64::from(number / 3);
        assert_eq!(message(&mut state, received_s, observed_s), Step::Quiet);
    }
    let mut state = begin();
    for minute in 0..60_i32 {
        let received_s = 3600.0 + f64::from(minute) * 60.0;
        let observed_s = 60.0 * f64::from(60 - minute);
        assert_eq!(message(&mut state, received_s, observed_s), Step::Quiet);
    }
}

#[test]
fn an_offset_must_stay_the_same_for_two_cadences_or_ten_seconds() {
    // An offset of 1000 s, one message a second: without a cadence the eleventh is 10 s on.
    for (cadence_ms, raised_s) in [(None, 10), (Some(30_000), 60)] {
        let params = Params {
            cadence_ms,
            ..Params::default()
        };
        let mut state = start(&spec(), &params);
        for second in 0..raised_s {
            let received_s = 1000.0 + f64::from(second);
            let step = message(&mut state, received_s, f64::from(second));
            assert_eq!(step, Step::Quiet);
        }
        let received_s = 1000.0 + f64::from(raised_s);
        let raised = message(&mut state, received_s, f64::from(raised_s));
        assert!(matches!(raised, Step::Raised(_)), "{raised:?}");
    }
}

#[test]
fn an_offset_that_shrinks_by_a_fifth_of_the_time_is_a_backlog() {
    // Every 60 s a message 72 s newer than the one before: 12 s of the offset are gone each time.
    let params = Params {
        cadence_ms: Some(60_000),
        ..Params::default()
    };
    let mut state = start(&spec(), &params);
    for number in 0..60 {
        let number = f64::from(number);
        let step = message(&mut state, 7200.0 + 60.0 * number, 72.0 * number);
        assert_eq!(step, Step::Quiet);
    }
    // 71.9 s: the offset changes by less.
    let mut state = start(&spec(), &params);
    for number in 0..2 {
        let number = f64::from(number);
        let step = message(&mut state, 7200.0 + 60.0 * number, 71.9 * number);
        assert_eq!(step, Step::Quiet);
    }
    let raised = message(&mut state, 7320.0, 2.0 * 71.9);
    assert!(matches!(raised, Step::Raised(_)), "{raised:?}");
}

#[test]
fn the_newest_reading_of_an_instant_speaks_for_it() {
    let mut state = begin();
    for round in 0..5 {
        // Ten minutes of readings in each message; the last one is from now.
        let at_ms = round * 600_000;
        for minute in (0..10).rev() {
            step(&spec(), &mut state, at_ms, f64::from(minute) * -60.0);
        }
        assert_eq!(fire(&spec(), &mut state, at_ms + 1), Step::Quiet);
    }
    assert_eq!(look(&spec(), &state).since, None);
}
