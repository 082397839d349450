//! Tests of `occupancy` on its own.

use super::{Spec, could_begin_with, start, step};
use crate::kind::latch::{Level, Limits};
use crate::kind::{Params, Step};
use model::Severity;

fn spec(capacity: Option<f64>) -> Spec {
    let level = |severity, share| Level {
        severity,
        above: Some(share),
        below: None,
    };
    Spec {
        metric: "parked_count".to_owned(),
        capacity,
        limits: Limits {
            levels: vec![level(Severity::Minor, 1.0), level(Severity::Major, 1.5)],
            deadband: 0.0,
            on_delay_s: 0,
            off_delay_s: 0,
        },
    }
}

fn params(capacity: Option<f64>) -> Params {
    Params {
        capacity,
        ..Params::default()
    }
}

#[test]
fn a_full_fence_is_fine_and_one_more_bike_is_not() {
    let (spec, params) = (spec(None), params(Some(40.0)));
    assert!(!could_begin_with(&spec, &params, 40.0));
    assert!(could_begin_with(&spec, &params, 41.0));
    let mut state = start(&spec, &params);
    assert_eq!(step(&spec, &mut state, 0, 40.0), Step::Quiet);
    let Step::Raised(figures) = step(&spec, &mut state, 1, 41.0) else {
        panic!("one too many");
    };
    assert_eq!((figures.value, figures.limit), (Some(41.0), Some(40.0)));
    let Step::Escalated(figures) = step(&spec, &mut state, 2, 61.0) else {
        panic!("over 1.5 × 40");
    };
    assert_eq!(figures.limit, Some(60.0));
    assert!(matches!(step(&spec, &mut state, 3, 40.0), Step::Cleared(_)));
}

#[test]
fn the_room_of_the_device_comes_before_that_of_the_rule() {
    assert_eq!(spec(Some(30.0)).capacity(&params(Some(40.0))), Some(40.0));
    assert_eq!(spec(Some(30.0)).capacity(&params(None)), Some(30.0));
    assert_eq!(spec(None).capacity(&params(None)), None);
    assert!(!could_begin_with(&spec(None), &params(None), 1e9));
}
