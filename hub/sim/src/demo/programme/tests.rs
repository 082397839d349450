//! The programme of the demo: everything soon, everybody in turn, and never too much.

use super::*;
use crate::demo::fleet;

fn programme() -> (Fleet, Vec<Part>) {
    let fleet = fleet().unwrap();
    let parts = parts(&fleet, 1);
    (fleet, parts)
}

/// What begins in a span of time, by shape, without the children of a gateway.
fn begun(fleet: &Fleet, parts: &[Part], span: std::ops::Range<f64>) -> Vec<(Shape, f64)> {
    let devices = fleet.devices.iter().zip(parts);
    let mut begun: Vec<(Shape, f64)> = devices
        .filter(|(device, _)| device.parent.is_none() || device.kind != Kind::Smoke)
        .flat_map(|(_, part)| &part.0)
        .filter(|play| span.contains(&play.from_s))
        .map(|play| (play.shape, play.from_s))
        .collect();
    begun.sort_by(|a, b| a.1.total_cmp(&b.1));
    begun
}

#[test]
fn the_opening_has_pressure_a_bike_a_gateway_and_noise_within_a_hundred_seconds() {
    let (fleet, parts) = programme();
    let shapes: Vec<Shape> = begun(&fleet, &parts, 0.0..300.0)
        .into_iter()
        .map(|(shape, _)| shape)
        .collect();
    assert_eq!(
        shapes,
        [
            Shape::Overpressure,
            Shape::Stray,
            Shape::Silent,
            Shape::Works
        ]
    );
}

#[test]
fn a_lost_gateway_takes_its_children_along() {
    let (fleet, parts) = programme();
    // 60 s after the start the gateway of an estate is lost.
    let silent: Vec<&Device> = fleet
        .devices
        .iter()
        .zip(&parts)
        .filter(|(_, part)| part.silent(60.0))
        .map(|(device, _)| device)
        .collect();
    assert!((8..=9).contains(&silent.len()), "{}", silent.len());
    assert_eq!(silent[0].kind, Kind::Gateway);
    assert!(silent.iter().all(|device| device.site == silent[0].site));
    let back = fleet.devices.iter().zip(&parts);
    assert!(back.into_iter().all(|(_, part)| !part.silent(205.0)));
}

#[test]
fn no_device_plays_two_things_at_once() {
    let (_, parts) = programme();
    for part in &parts {
        let mut plays = part.0.clone();
        plays.sort_by(|a, b| a.from_s.total_cmp(&b.from_s));
        let apart = |pair: &[Play]| pair[0].from_s + pair[0].lasts_s <= pair[1].from_s;
        assert!(plays.windows(2).all(apart), "{plays:?}");
        assert!(plays.iter().all(|play| play.from_s + play.lasts_s <= DAY_S));
    }
}

#[test]
fn outside_of_the_storm_four_things_happen_in_a_round() {
    let (fleet, parts) = programme();
    let storm_s = OPENING_S + 8.0 * ROUND_S;
    let calm = begun(&fleet, &parts, OPENING_S..storm_s);
    // Eight rounds of four acts; of these two are fires, which smoke detectors play alone, four
    // take gateways, three of their children each at the stations, and two are faults of detectors.
    assert!((24..=40).contains(&calm.len()), "{}", calm.len());
    let storm = begun(&fleet, &parts, storm_s..storm_s + 600.0);
    assert!(storm.len() > 10, "{storm:?}");
}

#[test]
fn a_wrong_clock_never_gives_an_even_time() {
    let part = Part(vec![Play {
        shape: Shape::WrongClock,
        from_s: 10.0,
        lasts_s: 5.0,
        strength: 0.0,
    }]);
    let shifts = [9.0, 10.0, 14.9, 15.0].map(|at| part.clock_ms(at));
    assert_eq!(shifts, [0, 307_001, 307_001, 0]);
    // The next day it happens again.
    assert_eq!(part.clock_ms(86_412.0), 307_001);
}

#[test]
fn another_seed_strikes_others() {
    let fleet = fleet().unwrap();
    let struck = |seed| {
        let parts = parts(&fleet, seed);
        let first = parts.iter().position(|part| !part.0.is_empty());
        let at = |s: f64| parts.iter().position(|part| part.at(s).is_some());
        (first, at(60.0), at(700.0))
    };
    assert_eq!(struck(1), struck(1));
    assert_ne!(struck(1), struck(2));
}
