//! Signals over days: plausible always, and dramatic when they should be.

use super::*;
use crate::fleet::{Fleet, FleetPlan};
use crate::observation::Measure;

const KINDS: [Kind; 7] = [
    Kind::GasPressure,
    Kind::Smoke,
    Kind::Noise,
    Kind::Dust,
    Kind::BikeFence,
    Kind::Bike,
    Kind::Gateway,
];
/// 2026-03-01T00:00:00+08:00.
const MIDNIGHT_MS: i64 = 1_772_294_400_000;

fn fleet(demo: bool) -> Fleet {
    if demo {
        return crate::demo::fleet().unwrap();
    }
    Fleet::new(&FleetPlan {
        devices: 110,
        prefix: "sim",
        secret_seed: "demo",
        cadence_s: None,
    })
}

/// Runs every device of a kind for a while; hands each sample over with its elapsed seconds.
fn watch(kind: Kind, demo: bool, lasts_s: i64, mut see: impl FnMut(&Device, f64, &[Observation])) {
    let fleet = fleet(demo);
    let casts = if demo {
        crate::demo::cast(&fleet, 1)
    } else {
        Vec::new()
    };
    for (index, device) in fleet.devices.iter().enumerate() {
        if device.kind != kind {
            continue;
        }
        let mut random = Random::new(42, index as u64);
        let mut signal = Signal::new(device, casts.get(index), &mut random);
        let step_s = i64::from(device.cadence_s);
        for turn in 0..lasts_s / step_s {
            let moment = Moment {
                now_ms: MIDNIGHT_MS + turn * step_s * 1000,
                elapsed_s: (turn * step_s) as f64,
                step_s: step_s as f64,
            };
            let observations = signal.sample(moment, &mut random);
            see(device, moment.elapsed_s, &observations);
        }
    }
}

fn number(observations: &[Observation], metric: &str) -> f64 {
    let found = observations
        .iter()
        .find(|observation| observation.metric == metric);
    match found.map(|observation| &observation.measure) {
        Some(Measure::Number { value, .. }) => *value,
        other => panic!("{metric}: {other:?}"),
    }
}

/// The plausible range of every metric, as the hub's table has it.
fn plausible(metric: &str) -> std::ops::RangeInclusive<f64> {
    match metric {
        "pressure_kpa" => -100.0..=20_000.0,
        "temperature_c" => -60.0..=200.0,
        "humidity_pct" | "battery_pct" => 0.0..=100.0,
        "smoke_obscuration_dbm" => 0.0..=10.0,
        "smoke_alarm" | "fault" => 0.0..=1.0,
        "laeq_dba" | "lamax_dba" => 0.0..=160.0,
        "pm10_ugm3" | "pm25_ugm3" => 0.0..=20_000.0,
        "tsp_ugm3" => 0.0..=50_000.0,
        "wind_speed_ms" => 0.0..=100.0,
        "wind_direction_deg" => 0.0..=360.0,
        "air_pressure_kpa" => 30.0..=120.0,
        "parked_count" => 0.0..=100_000.0,
        "signal_dbm" => -160.0..=20.0,
        other => panic!("no such metric: {other}"),
    }
}

#[test]
fn every_value_of_every_kind_is_plausible_for_days() {
    for demo in [false, true] {
        let lasts_s = if demo { 2 * 3600 } else { 3 * 86_400 };
        for kind in KINDS {
            let mut seen = 0;
            watch(kind, demo, lasts_s, |device, at, observations| {
                for observation in observations {
                    seen += 1;
                    match observation.measure {
                        Measure::Number { value, .. } => assert!(
                            plausible(&observation.metric).contains(&value),
                            "{} at {at} s: {observation:?}",
                            device.id
                        ),
                        Measure::Position {
                            lon,
                            lat,
                            accuracy_m,
                            ..
                        } => {
                            assert!((118.04..118.14).contains(&lon), "{lon}");
                            assert!((24.44..24.52).contains(&lat), "{lat}");
                            assert!((3.0..=23.0).contains(&accuracy_m), "{accuracy_m}");
                        }
                    }
                }
            });
            assert!(seen > 1000, "{kind:?} said too little");
        }
    }
}

#[test]
fn lamax_is_never_below_laeq_and_fine_dust_never_above_coarse() {
    watch(Kind::Noise, true, 7200, |_, at, seen| {
        assert!(
            number(seen, "lamax_dba") >= number(seen, "laeq_dba"),
            "{at}"
        );
    });
    watch(Kind::Dust, true, 7200, |_, at, seen| {
        let (fine, middle) = (number(seen, "pm25_ugm3"), number(seen, "pm10_ugm3"));
        assert!(fine <= middle && middle <= number(seen, "tsp_ugm3"), "{at}");
    });
}

#[test]
fn a_day_is_louder_than_a_night() {
    let (mut day, mut night) = (Vec::new(), Vec::new());
    watch(Kind::Noise, false, 86_400, |_, at, seen| {
        let hour = at / 3600.0;
        if (9.0..11.0).contains(&hour) {
            day.push(number(seen, "laeq_dba"));
        } else if (1.0..3.0).contains(&hour) {
            night.push(number(seen, "laeq_dba"));
        }
    });
    // Medians, so that a loud episode does not decide.
    day.sort_by(f64::total_cmp);
    night.sort_by(f64::total_cmp);
    let (day, night) = (day[day.len() / 2], night[night.len() / 2]);
    assert!(day > night + 10.0, "day {day}, night {night}");
    assert!((40.0..50.0).contains(&night), "{night}");
}

/// In the demo, tells which devices are beyond a limit in a span of seconds, and when first.
fn beyond(
    kind: Kind,
    metric: &str,
    span: std::ops::Range<f64>,
    is_beyond: impl Fn(&Device, f64) -> bool,
) -> std::collections::BTreeMap<String, f64> {
    let mut first = std::collections::BTreeMap::new();
    watch(kind, true, 2400, |device, at, seen| {
        if span.contains(&at) && is_beyond(device, number(seen, metric)) {
            first.entry(device.id.clone()).or_insert(at);
        }
    });
    first
}

fn class(device: &Device) -> &str {
    device.tags.get("class").map_or("", String::as_str)
}

#[test]
fn the_demo_opens_with_one_overpressure_that_ends_and_one_loud_site() {
    let over = |device: &Device, kpa| class(device) == "medium" && kpa > 400.0;
    let at = beyond(Kind::GasPressure, "pressure_kpa", 0.0..300.0, over);
    let times: Vec<f64> = at.values().copied().collect();
    assert!(times.len() == 1 && times[0] <= 30.0, "{at:?}");
    let later = beyond(Kind::GasPressure, "pressure_kpa", 100.0..600.0, over);
    assert!(later.is_empty(), "{later:?}");
    // It is night at the start of these tests: 55 dB(A).
    let loud = |device: &Device, dba| device.tags["zone"] == "construction" && dba > 57.0;
    let at = beyond(Kind::Noise, "laeq_dba", 0.0..300.0, loud);
    let times: Vec<f64> = at.values().copied().collect();
    assert!(times.len() == 1 && times[0] <= 130.0, "{at:?}");
}

#[test]
fn a_fire_of_the_demo_is_seen_by_two_detectors_of_one_site() {
    let at = beyond(Kind::Smoke, "smoke_alarm", 600.0..800.0, |_, on| on > 0.5);
    let fleet = fleet(true);
    let sites: std::collections::BTreeSet<&str> = fleet
        .devices
        .iter()
        .filter(|device| at.contains_key(&device.id))
        .map(|device| device.site.as_str())
        .collect();
    assert_eq!((at.len(), sites.len()), (2, 1), "{at:?}");
    let times: Vec<f64> = at.values().copied().collect();
    // The rule confirms within 60 s.
    assert!((times[0] - times[1]).abs() < 60.0, "{at:?}");
}

#[test]
fn dust_and_a_pile_up_come_later_in_the_demo() {
    let at = beyond(Kind::Dust, "tsp_ugm3", 0.0..600.0, |_, tsp| tsp > 800.0);
    assert_eq!(at.len(), 1, "{at:?}");
    let full = |device: &Device, count| {
        let capacity: f64 = device.tags["capacity"].parse().unwrap();
        count >= capacity
    };
    let at = beyond(Kind::BikeFence, "parked_count", 0.0..1800.0, full);
    assert!(at.is_empty(), "{at:?}");
}

#[test]
fn a_bike_of_the_demo_is_left_outside_and_all_others_are_locked_at_a_stand_only() {
    let fleet = fleet(true);
    let stands: Vec<(f64, f64)> = fleet
        .devices
        .iter()
        .filter(|device| device.kind == Kind::BikeFence)
        .map(|device| (device.lon, device.lat))
        .collect();
    let mut astray = std::collections::BTreeSet::new();
    let mut ridden = std::collections::BTreeSet::new();
    watch(Kind::Bike, true, 600, |device, _, seen| {
        let Measure::Position {
            lon, lat, locked, ..
        } = seen[0].measure
        else {
            panic!("a bike reports its position first");
        };
        let away_m =
            |stand: &(f64, f64)| ((lon - stand.0) * 101_300.0).hypot((lat - stand.1) * 110_750.0);
        let nearest_m = stands.iter().map(away_m).fold(f64::INFINITY, f64::min);
        if !locked {
            ridden.insert(device.id.clone());
        } else if nearest_m > 60.0 {
            astray.insert(device.id.clone());
        }
    });
    assert_eq!(astray.len(), 1, "{astray:?}");
    assert!(ridden.len() > 10, "{ridden:?}");
}

#[test]
fn most_of_an_ordinary_day_is_quiet() {
    let (mut beyond, mut all) = (0u32, 0u32);
    watch(Kind::GasPressure, false, 86_400, |device, _, seen| {
        if device.gas_class == GasClass::Medium {
            all += 1;
            beyond += u32::from(!(200.0..400.0).contains(&number(seen, "pressure_kpa")));
        }
    });
    assert!(beyond * 20 < all, "{beyond} of {all}");
}

#[test]
fn a_parked_bike_is_locked_at_home_and_a_ridden_one_is_away() {
    let (mut away_m, mut rides) = (0.0f64, 0);
    watch(Kind::Bike, false, 86_400, |device, at, seen| {
        let Measure::Position {
            lon, lat, locked, ..
        } = seen[0].measure
        else {
            panic!("a bike reports its position first");
        };
        // Plane geometry will do: 101 km and 111 km a degree.
        let metres = ((lon - device.lon) * 101_300.0).hypot((lat - device.lat) * 110_750.0);
        if locked {
            assert!(
                metres < 60.0,
                "{} at {at} s is {metres} m from home",
                device.id
            );
        } else {
            rides += 1;
            away_m = away_m.max(metres);
        }
    });
    assert!(
        rides > 5 && (150.0..900.0).contains(&away_m),
        "{rides} {away_m}"
    );
}

#[test]
fn a_battery_only_falls() {
    let mut last = std::collections::BTreeMap::new();
    watch(Kind::Smoke, false, 86_400, |device, _, seen| {
        let now = number(seen, "battery_pct");
        let before = last.insert(device.id.clone(), now).unwrap_or(100.0);
        assert!(now <= before);
    });
    // Some batteries are due for a change, most are not.
    let low = last.values().filter(|pct| **pct < 15.0).count();
    assert!(low >= 1 && low * 4 < last.len(), "{low} of {}", last.len());
}
