//! Tests of what the engine keeps, which no change shows.

use super::{Engine, RestoreError, Rule, Settings};
use crate::engine::lane::Lane;
use crate::{Change, DeviceView, What, change_crc, parse_toml};
use model::{Catalogue, Device, DeviceKey, Quality, Reading, Series, Timestamp, Value};
use std::sync::Arc;

const START_MS: i64 = 1_772_323_200_000;

fn at(s: i64) -> Timestamp {
    Timestamp::from_millis(START_MS + s * 1000)
}

fn engine() -> Engine {
    let toml = "[rules.over]\nkind = \"threshold\"\nselect = {}\nmetric = \"pressure_kpa\"\n\
                above = 400\nseverity = \"major\"\n";
    let mut engine = Engine::new(Settings::default(), Arc::new(Catalogue::built_in()));
    let device: Device =
        serde_json::from_str(r#"{"id": "gas-1", "kind": "gas_pressure"}"#).expect("a device");
    let mut out = Vec::new();
    engine.put_device(
        at(0),
        DeviceView::new(DeviceKey(1), &device, None),
        &mut out,
    );
    for (id, spec) in parse_toml("r.toml", toml).expect("a rule") {
        let revision = 1;
        engine.put_rule(at(0), Rule { id, revision, spec }, &mut out);
    }
    engine
}

fn apply(engine: &mut Engine, value: f64, observed_s: i64, received_s: i64) -> Vec<Change> {
    let metric = Catalogue::built_in()
        .find("pressure_kpa")
        .expect("built in");
    let reading = Reading {
        series: Series {
            device: DeviceKey(1),
            metric,
        },
        value: Value::Number(value),
        quality: Quality::GOOD,
        observed_at: at(observed_s),
        received_at: at(received_s),
    };
    let mut out = Vec::new();
    engine.apply(at(received_s), &reading, &mut out);
    out
}

#[test]
fn a_series_that_is_plainly_normal_needs_no_state() {
    let mut engine = engine();
    for s in 0..10 {
        apply(&mut engine, 300.0, s * 60, s * 60);
    }
    assert_eq!(engine.lanes(), 0);
    apply(&mut engine, 401.0, 600, 600);
    assert_eq!(engine.lanes(), 1);
    for s in 11..20 {
        apply(&mut engine, 300.0, s * 60, s * 60);
    }
    assert_eq!(engine.lanes(), 0);
}

#[test]
fn a_state_is_small() {
    assert!(
        size_of::<Option<Lane>>() <= 200,
        "{}",
        size_of::<Option<Lane>>()
    );
}

#[test]
fn more_late_readings_than_are_kept_are_told_as_the_same_alarms() {
    let mut engine = engine();
    let now_s = 1_000_000;
    let mut told = Vec::new();
    // A reading a minute, of which the alarm of each thousand lasts two: twelve alarms.
    for minute in 0..12_000 {
        let value = if minute % 1000 < 2 { 401.0 } else { 300.0 };
        told.extend(apply(&mut engine, value, minute * 60, now_s));
    }
    // The oldest half was evaluated to make room: minutes 0 to 4999.
    assert_eq!(told.len(), 5);
    engine.advance(at(now_s + 120), &mut told);
    assert_eq!(told.len(), 12);
    for (change, thousand) in told.iter().zip(0..) {
        let What::Recorded(outcome) = change.what else {
            panic!("{change:?}");
        };
        assert_eq!(outcome.raised_at, at(thousand * 60_000));
        assert_eq!(outcome.cleared_at, Some(at(thousand * 60_000 + 120)));
        assert_eq!(outcome.figures.count, 2);
    }
    assert_eq!(engine.pulse.late_inputs, 0);
    // An older one than those that were evaluated begins a run of its own.
    assert_eq!(apply(&mut engine, 402.0, -60, now_s + 200), []);
    engine.advance(at(now_s + 320), &mut told);
    assert_eq!(told.len(), 13);
}

#[test]
fn a_damaged_checkpoint_is_refused() {
    let settings = Settings::default();
    let catalogue = Arc::new(Catalogue::built_in());
    let restore = |bytes: &[u8]| {
        Engine::restore(settings.clone(), Arc::clone(&catalogue), bytes).map(|engine| engine.now())
    };
    let good = engine().checkpoint();
    assert_eq!(restore(&good), Ok(at(0)));
    for len in 0..good.len() {
        assert!(restore(&good[..len]).is_err(), "{len} bytes");
    }
    for index in 0..good.len() {
        let mut bad = good.clone();
        bad[index] ^= 0x10;
        assert!(restore(&bad).is_err(), "byte {index}");
    }
    let good_format = good[0];
    let mut newer = good;
    newer[0] += 1;
    assert_eq!(
        restore(&newer),
        Err(RestoreError::Format {
            found: good_format + 1
        })
    );
}

#[test]
fn the_sum_of_changes_sees_everything_but_moved_figures() {
    assert_eq!(change_crc(&[]), 0);
    let mut engine = engine();
    let raised = apply(&mut engine, 401.0, 0, 0);
    let updated = apply(&mut engine, 402.0, 60, 60);
    let cleared = apply(&mut engine, 300.0, 120, 120);
    assert!(matches!(
        raised.as_slice(),
        [Change {
            what: What::Raised(_),
            ..
        }]
    ));
    assert!(matches!(
        updated.as_slice(),
        [Change {
            what: What::Updated(_),
            ..
        }]
    ));
    assert_eq!(change_crc(&updated), 0);
    let both = [raised.clone(), cleared.clone()].concat();
    let all = [raised.clone(), updated, cleared.clone()].concat();
    assert_eq!(change_crc(&both), change_crc(&all));
    assert_ne!(change_crc(&raised), 0);
    let turned = [cleared, raised.clone()].concat();
    assert_ne!(change_crc(&both), change_crc(&turned));
    let other = |change: &Change| Change {
        at: change.at.plus_ms(1),
        ..change.clone()
    };
    let moved: Vec<Change> = raised.iter().map(other).collect();
    assert_ne!(change_crc(&raised), change_crc(&moved));
}

#[test]
fn a_device_that_promises_nothing_is_not_missed() {
    let toml = "[rules.silent]\nkind = \"silence\"\nselect = {}\nfactor = 3\n";
    let mut engine = engine();
    let mut out = Vec::new();
    for (id, spec) in parse_toml("r.toml", toml).expect("a rule") {
        let revision = 1;
        engine.put_rule(at(0), Rule { id, revision, spec }, &mut out);
    }
    let json = r#"{"id": "gas-2", "kind": "gas_pressure", "cadence_s": 0}"#;
    let device: Device = serde_json::from_str(json).expect("a device");
    engine.put_device(
        at(0),
        DeviceView::new(DeviceKey(2), &device, None),
        &mut out,
    );
    engine.advance(at(1_000_000), &mut out);
    assert_eq!(out, []);
    assert_eq!(engine.next_deadline(), None);
}

#[test]
fn a_fast_clock_counts_no_silence_away() {
    let mut engine = engine();
    let toml = "[rules.quiet]\nkind = \"silence\"\nselect = {}\nafter_s = 30\n";
    let mut told = Vec::new();
    for (id, spec) in parse_toml("r.toml", toml).expect("a rule") {
        let revision = 1;
        engine.put_rule(at(0), Rule { id, revision, spec }, &mut told);
    }
    // The clock is 60 to 100 s fast; every 20 s a reading comes.
    for (step, ahead_s) in (0..6).zip([60, 100, 80, 60, 100, 60]) {
        told.extend(apply(&mut engine, 300.0, 20 * step + ahead_s, 20 * step));
    }
    assert_eq!(told, []);
    // The last one came at 100.
    engine.advance(at(129), &mut told);
    assert_eq!(told, []);
    engine.advance(at(130), &mut told);
    assert!(matches!(told.as_slice(), [raised] if raised.at == at(130)));
}
