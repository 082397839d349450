//! Places near a fence, step by step, with distances laid out in metres by hand.

use super::{Fences, Fix, Ground, Mode, Spec, State, Step};
use super::{close, deadline, figures, fire, hold, look, open, start, step};
use crate::Figures;
use crate::kind::Params;
use model::Severity;
use model::geo::{Form, Plane, Point, Polygon, Shape, Shapes};
use proptest::prelude::*;
use std::sync::Arc;

/// The middle of the fence, a square of 100 m.
const MIDDLE: (f64, f64) = (118.1, 24.48);
const HALF_M: f64 = 50.0;

/// Gives the place so many metres east and north of the middle.
fn place(east_m: f64, north_m: f64) -> Point {
    let middle = Point::from_degrees(MIDDLE.0, MIDDLE.1).unwrap();
    let unit = Plane::at(middle).project(Point {
        lon_e7: middle.lon_e7 + 1_000_000,
        lat_e7: middle.lat_e7 + 1_000_000,
    });
    Point::from_degrees(
        MIDDLE.0 + 0.1 * east_m / unit.0,
        MIDDLE.1 + 0.1 * north_m / unit.1,
    )
    .unwrap()
}

fn fix(east_m: f64, accuracy_m: u16, locked: Option<bool>) -> Fix {
    let point = place(east_m, 0.0);
    Fix {
        lon_e7: point.lon_e7,
        lat_e7: point.lat_e7,
        accuracy_dm: accuracy_m * 10,
        locked,
    }
}

fn square() -> Shapes {
    let corners = [(-1.0, -1.0), (1.0, -1.0), (1.0, 1.0), (-1.0, 1.0)];
    let ring = corners.map(|(x, y)| place(x * HALF_M, y * HALF_M)).to_vec();
    Shapes::new(vec![Shape {
        name: "square".to_owned(),
        form: Form::Polygons(vec![Polygon::new(vec![ring])]),
    }])
}

fn spec(mode: Mode) -> Spec {
    Spec {
        metric: "position".to_owned(),
        severity: Severity::Minor,
        mode,
        fences: Fences::Drawn(Arc::new(square())),
        buffer_m: 10.0,
        enter_buffer_m: 0.0,
        dwell_s: 60,
        confirm: 2,
        max_speed_ms: None,
        accuracy_max_m: None,
        locked: mode == Mode::Outside,
        ground: Ground::default(),
    }
}

/// A lane, with its inputs given in seconds and metres east of the middle.
struct Bike {
    spec: Spec,
    state: State,
}

impl Bike {
    fn new(spec: Spec) -> Self {
        let state = start(&spec, &Params::default());
        Self { spec, state }
    }

    fn locked(&mut self, at_s: i64, east_m: f64, accuracy_m: u16) -> Step {
        let fix = fix(east_m, accuracy_m, Some(true));
        step(&self.spec, &mut self.state, at_s * 1000, &fix)
    }

    fn riding(&mut self, at_s: i64, east_m: f64) -> Step {
        let fix = fix(east_m, 3, Some(false));
        step(&self.spec, &mut self.state, at_s * 1000, &fix)
    }

    fn due_s(&self) -> Option<i64> {
        deadline(&self.spec, &self.state).map(|ms| ms / 1000)
    }

    fn fire(&mut self, at_s: i64) -> Step {
        fire(&self.spec, &mut self.state, at_s * 1000)
    }
}

fn told(value: f64, peak: f64, count: u64) -> Figures {
    Figures {
        severity: Severity::Minor,
        value: Some(value),
        limit: Some(10.0),
        peak: Some(peak),
        count,
    }
}

#[test]
fn a_parked_bike_that_says_nothing_more_is_raised_by_its_deadline() {
    let mut bike = Bike::new(spec(Mode::Outside));
    assert_eq!(bike.locked(0, 90.0, 5), Step::Quiet);
    assert_eq!(bike.due_s(), None);
    assert_eq!(bike.locked(20, 92.0, 5), Step::Quiet);
    assert_eq!(bike.due_s(), Some(60));
    assert_eq!(bike.fire(59), Step::Quiet);
    assert_eq!(bike.fire(60), Step::Raised(told(42.0, 42.0, 2)));
    assert_eq!(bike.due_s(), None);
}

#[test]
fn a_confirmation_after_the_dwell_time_raises_at_once() {
    let mut bike = Bike::new(spec(Mode::Outside));
    assert_eq!(bike.locked(0, 90.0, 5), Step::Quiet);
    assert_eq!(bike.locked(300, 80.0, 5), Step::Raised(told(30.0, 40.0, 2)));
}

#[test]
fn a_place_within_buffer_and_accuracy_is_not_outside() {
    let mut bike = Bike::new(spec(Mode::Outside));
    // 19 m outside with a buffer of 10 m and an accuracy of 9 m or 10 m.
    for at_s in [0, 100, 200, 300] {
        assert_eq!(bike.locked(at_s, 69.0, 10), Step::Quiet);
    }
    assert!(bike.state.is_plain());
    bike.locked(400, 69.5, 9);
    assert_eq!(bike.locked(500, 69.5, 9), Step::Raised(told(19.5, 19.5, 2)));
}

#[test]
fn a_place_between_keeps_what_was_begun() {
    let mut bike = Bike::new(spec(Mode::Outside));
    bike.locked(0, 90.0, 5);
    assert_eq!(bike.locked(30, 55.0, 5), Step::Quiet);
    assert_eq!(bike.locked(70, 90.0, 5), Step::Raised(told(40.0, 40.0, 2)));
    assert_eq!(bike.locked(80, 55.0, 5), Step::Updated(told(5.0, 40.0, 2)));
}

#[test]
fn a_place_back_inside_starts_over() {
    let mut bike = Bike::new(spec(Mode::Outside));
    bike.locked(0, 90.0, 5);
    bike.locked(30, 49.0, 5);
    assert!(bike.state.is_plain());
    assert_eq!(bike.locked(70, 90.0, 5), Step::Quiet);
    assert_eq!(bike.locked(80, 90.0, 5), Step::Quiet);
    assert_eq!(bike.due_s(), Some(130));
}

#[test]
fn the_alarm_clears_when_it_is_confirmed_that_the_bike_is_back() {
    let mut bike = Bike::new(spec(Mode::Outside));
    bike.locked(0, 90.0, 5);
    bike.locked(60, 90.0, 5);
    assert_eq!(bike.locked(70, 20.0, 5), Step::Updated(told(0.0, 40.0, 2)));
    // One place outside between them, and it takes two again.
    assert_eq!(bike.locked(80, 90.0, 5), Step::Updated(told(40.0, 40.0, 3)));
    assert_eq!(bike.locked(90, 20.0, 5), Step::Updated(told(0.0, 40.0, 3)));
    assert_eq!(bike.locked(99, 20.0, 5), Step::Cleared(told(0.0, 40.0, 3)));
    assert!(bike.state.is_plain());
}

#[test]
fn riding_away_resets_and_clears() {
    let mut bike = Bike::new(spec(Mode::Outside));
    bike.locked(0, 90.0, 5);
    assert_eq!(bike.riding(10, 95.0), Step::Quiet);
    assert!(bike.state.is_plain());
    bike.locked(20, 90.0, 5);
    assert_eq!(bike.locked(80, 90.0, 5), Step::Raised(told(40.0, 40.0, 2)));
    assert_eq!(bike.riding(90, 95.0), Step::Cleared(told(40.0, 40.0, 2)));
}

#[test]
fn an_unknown_lock_counts_as_locked() {
    let mut bike = Bike::new(spec(Mode::Outside));
    let unknown = fix(90.0, 5, None);
    step(&bike.spec, &mut bike.state, 0, &unknown);
    let last = step(&bike.spec, &mut bike.state, 60_000, &unknown);
    assert_eq!(last, Step::Raised(told(40.0, 40.0, 2)));
}

#[test]
fn a_place_that_is_too_inaccurate_says_nothing() {
    let mut bike = Bike::new(Spec {
        accuracy_max_m: Some(30.0),
        ..spec(Mode::Outside)
    });
    for at_s in [0, 60, 120] {
        assert_eq!(bike.locked(at_s, 900.0, 31), Step::Quiet);
    }
    assert!(bike.state.is_plain());
}

#[test]
fn one_impossible_jump_is_dropped_and_three_that_agree_are_believed() {
    let mut bike = Bike::new(Spec {
        max_speed_ms: Some(15.0),
        dwell_s: 0,
        ..spec(Mode::Outside)
    });
    bike.locked(0, 0.0, 5);
    // 500 m in 10 s, twice, at places that do not agree: reflections.
    assert_eq!(bike.locked(10, 500.0, 5), Step::Quiet);
    assert_eq!(bike.locked(20, -900.0, 5), Step::Quiet);
    assert_eq!(bike.locked(30, 1.0, 5), Step::Quiet);
    assert_eq!(bike.due_s(), None);
    // 5 km in 10 s, and there it stays: the first place was the wrong one.
    assert_eq!(bike.locked(40, 5000.0, 5), Step::Quiet);
    assert_eq!(bike.locked(50, 5003.0, 5), Step::Quiet);
    assert_eq!(bike.locked(60, 5001.0, 5), Step::Quiet);
    assert!(matches!(bike.locked(70, 5002.0, 5), Step::Raised(_)));
}

#[test]
fn entering_a_forbidden_fence_raises_whether_locked_or_not() {
    let mut bike = Bike::new(Spec {
        dwell_s: 0,
        ..spec(Mode::Inside)
    });
    // 4 m inside with an accuracy of 5 m is not yet inside for certain.
    assert_eq!(bike.riding(0, 49.0), Step::Quiet);
    assert_eq!(bike.locked(5, 46.0, 5), Step::Quiet);
    assert!(bike.state.is_plain());
    assert_eq!(bike.riding(10, 40.0), Step::Quiet);
    let inside = |value| Figures {
        limit: Some(0.0),
        ..told(value, 20.0, 2)
    };
    assert_eq!(bike.riding(20, 30.0), Step::Raised(inside(20.0)));
    assert_eq!(bike.riding(30, 61.0), Step::Updated(inside(0.0)));
    assert_eq!(bike.riding(40, 70.0), Step::Updated(inside(0.0)));
    assert_eq!(bike.riding(50, 80.0), Step::Cleared(inside(0.0)));
}

#[test]
fn without_any_fence_nothing_is_outside() {
    let mut bike = Bike::new(Spec {
        fences: Fences::Drawn(Arc::default()),
        ..spec(Mode::Outside)
    });
    bike.locked(0, 900.0, 5);
    assert_eq!(bike.locked(60, 900.0, 5), Step::Quiet);
    assert!(bike.state.is_plain());
}

#[test]
fn what_is_outside_as_the_schedule_opens_counts_from_then() {
    let mut bike = Bike::new(spec(Mode::Outside));
    for at_s in [0, 60, 120] {
        hold(
            &bike.spec,
            &mut bike.state,
            at_s * 1000,
            &fix(90.0, 5, Some(true)),
        );
    }
    assert_eq!(open(&bike.spec, &mut bike.state, 200_000), Step::Quiet);
    assert_eq!(bike.due_s(), Some(260));
    assert_eq!(bike.fire(260), Step::Raised(told(40.0, 40.0, 1)));
    let closed = close(&bike.spec, &mut bike.state, 300_000);
    assert_eq!(closed, Step::Cleared(told(40.0, 40.0, 1)));
    assert_eq!(figures(&bike.spec, &bike.state), None);
    // It still stands there in the morning.
    open(&bike.spec, &mut bike.state, 900_000);
    assert_eq!(bike.due_s(), Some(960));
}

#[test]
fn a_look_shows_what_is_waited_for() {
    let mut bike = Bike::new(spec(Mode::Outside));
    bike.locked(5, 90.0, 5);
    let one = look(&bike.spec, &bike.state);
    assert_eq!(
        (one.active, one.due_at, one.value),
        (false, None, Some(40.0))
    );
    assert_eq!(one.facts["confirmed"], 1);
    bike.locked(6, 90.0, 5);
    let two = look(&bike.spec, &bike.state);
    assert_eq!(two.since.unwrap().millis(), 5_000);
    assert_eq!(two.due_at.unwrap().millis(), 65_000);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// A bike is parked on the fence's edge; its receiver is off by up to 15 m and says so.
    #[test]
    fn drift_beside_a_fence_raises_nothing(
        drift in prop::collection::vec((-15.0..15.0_f64, 5_u16..15), 1..200),
    ) {
        let mut bike = Bike::new(spec(Mode::Outside));
        let mut zone = Bike::new(spec(Mode::Inside));
        for (at_s, (off_m, accuracy_m)) in (0..).step_by(20).zip(drift) {
            prop_assert_eq!(bike.locked(at_s, HALF_M + off_m, accuracy_m), Step::Quiet);
            // Without an enter buffer the receiver must keep its word.
            let off_m = off_m.clamp(-f64::from(accuracy_m), f64::from(accuracy_m)) * 0.99;
            prop_assert_eq!(zone.locked(at_s, HALF_M + off_m, accuracy_m), Step::Quiet);
            prop_assert_eq!(bike.due_s(), None);
        }
    }

    /// A bike is pushed away slowly: with every report a little farther, and the drift on top.
    #[test]
    fn a_slow_move_away_is_raised(
        drift in prop::collection::vec((-8.0..8.0_f64, 3_u16..9), 100),
        step_m in 1.0..3.0_f64,
    ) {
        let mut bike = Bike::new(Spec { max_speed_ms: Some(15.0), ..spec(Mode::Outside) });
        let mut raised = false;
        for ((at_s, way), (off_m, accuracy_m)) in (0..).step_by(20).zip(0..).zip(drift) {
            let east_m = HALF_M + f64::from(way) * step_m + off_m;
            raised |= matches!(bike.locked(at_s, east_m, accuracy_m), Step::Raised(_));
            // The last of the drift is 26 m: buffer, accuracy and error together.
            if f64::from(way - 10) * step_m > 27.0 {
                prop_assert!(raised, "at {} m", east_m - HALF_M);
            }
        }
        prop_assert!(raised);
    }
}
