//! Bytes of memory that one state of each kind of rule takes, over 100,000 devices.
//!
//! Prints the growth of the process. Engines are kept until the end, so that memory given back by
//! one is not taken for memory that the next does not need.

use model::{Catalogue, Device, DeviceKey, Position, Quality, Reading, Series, Timestamp, Value};
use rules::{DeviceView, Engine, Rule, Settings, parse_toml};
use std::sync::Arc;

const DEVICES: u32 = 100_000;
const START_MS: i64 = 1_772_323_200_000;
const CADENCE_MS: i64 = 60_000;

/// More than the lateness, so that what settles has settled.
const ROUNDS: u32 = 10;

/// Each kind, active or counting on every device: what is watched, and the value that is sent.
const KINDS: [(&str, &str, f64); 9] = [
    ("none", "", 0.0),
    (
        "threshold",
        "kind = \"threshold\"\nmetric = \"pressure_kpa\"\nabove = 400",
        500.0,
    ),
    ("silence", "kind = \"silence\"\nfactor = 3", 300.0),
    (
        "window (10 readings)",
        "kind = \"window\"\nmetric = \"pressure_kpa\"\naggregate = \"mean\"\nwindow_s = 600\nabove = 400",
        500.0,
    ),
    (
        "rate (5 readings)",
        "kind = \"rate\"\nmetric = \"pressure_kpa\"\nwindow_s = 300\nfall = 20",
        300.0,
    ),
    (
        "frozen",
        "kind = \"frozen\"\nmetric = \"pressure_kpa\"\nafter_s = 3600",
        300.0,
    ),
    (
        "occupancy",
        "kind = \"occupancy\"\nmetric = \"parked_count\"\ncapacity = 10",
        30.0,
    ),
    (
        "geofence",
        "kind = \"geofence\"\nmode = \"outside\"\nfences = { type = \"Polygon\", coordinates = [[[118.0, 24.0], [118.1, 24.0], [118.1, 24.1], [118.0, 24.1], [118.0, 24.0]]] }",
        0.0,
    ),
    ("clock", "kind = \"clock\"", 300.0),
];

fn rss_bytes() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("a Linux /proc");
    let pages: u64 = statm
        .split_whitespace()
        .nth(1)
        .and_then(|pages| pages.parse().ok())
        .expect("a count of pages");
    pages * 4096
}

fn engine(rule: &str, start: Timestamp) -> Engine {
    let mut engine = Engine::new(Settings::default(), Arc::new(Catalogue::built_in()));
    let mut changes = Vec::new();
    for key in 0..DEVICES {
        let json =
            serde_json::json!({"id": format!("d-{key}"), "kind": "gas_pressure", "cadence_s": 60});
        let device: Device = serde_json::from_value(json).expect("a good device");
        engine.put_device(
            start,
            DeviceView::new(DeviceKey(key), &device, None),
            &mut changes,
        );
    }
    if !rule.is_empty() {
        let toml = format!("[rules.r]\nselect = {{}}\n{rule}\n");
        for (id, spec) in parse_toml("bench.toml", &toml).expect("a good rule") {
            let rule = Rule {
                id,
                revision: 1,
                spec,
            };
            engine.put_rule(start, rule, &mut changes);
        }
    }
    engine
}

fn feed(engine: &mut Engine, name: &str, value: f64) {
    let catalogue = Catalogue::built_in();
    let metric = match name {
        "occupancy" => "parked_count",
        "geofence" => "position",
        _ => "pressure_kpa",
    };
    let metric = catalogue.find(metric).expect("built in");
    // A clock that is hours ahead, for the rule that watches clocks.
    let ahead_ms = if name == "clock" { 7_200_000 } else { 0 };
    let value = if name == "geofence" {
        Value::Position(Position {
            lon: 118.2,
            lat: 24.2,
            accuracy_m: None,
            locked: Some(true),
        })
    } else {
        Value::Number(value)
    };
    let mut changes = Vec::new();
    for round in 0..i64::from(ROUNDS) {
        for key in 0..DEVICES {
            let at_ms =
                START_MS + CADENCE_MS * round + CADENCE_MS * i64::from(key) / i64::from(DEVICES);
            let reading = Reading {
                series: Series {
                    device: DeviceKey(key),
                    metric,
                },
                value,
                quality: Quality::GOOD,
                observed_at: Timestamp::from_millis(at_ms + ahead_ms),
                received_at: Timestamp::from_millis(at_ms),
            };
            engine.apply(reading.received_at, &reading, &mut changes);
            changes.clear();
        }
    }
}

#[expect(clippy::print_stdout, reason = "a bench prints its figures")]
fn main() {
    // `cargo test --benches` only asks whether it runs.
    if std::env::args().any(|arg| arg == "--test") {
        return;
    }
    let start = Timestamp::from_millis(START_MS);
    let mut kept = Vec::new();
    let mut bare_bytes = 0.0;
    for (name, rule, value) in KINDS {
        let before = rss_bytes();
        let mut engine = engine(rule, start);
        feed(&mut engine, name, value);
        #[expect(clippy::cast_precision_loss, reason = "far below 2^52 bytes")]
        let grown = (rss_bytes().saturating_sub(before)) as f64 / f64::from(DEVICES);
        if name == "none" {
            bare_bytes = grown;
        }
        println!(
            "memory/{name}: {grown:.0} bytes a device with {} states, {:.0} more than a device without a rule",
            engine.lanes(),
            grown - bare_bytes
        );
        kept.push(engine);
    }
}
