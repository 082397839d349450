//! What rests on disk: sealed, verified, and missed when a byte of it changes.

use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use tests::audit;
use tests::fleet::overpressure;
use tests::hub::{Hub, Place, plain_config, words};
use tests::time::now_s_in_ms;

/// A hub that seals after as few values as it may.
fn sealing() -> Place {
    Place::with_config(&format!("{}[store]\nseal_cells = 1000\n", plain_config()))
}

/// Stores `count` pressures, one a millisecond, and tells what they are.
fn fill(hub: &Hub, start: i64, count: i64) -> Vec<Value> {
    let kpa = |index: i64| 300.0 + f64::from(i32::try_from(index % 150).unwrap());
    let points: Vec<_> = (0..count)
        .map(|index| json!([start + index, kpa(index), "good"]))
        .collect();
    for chunk in points.chunks(500) {
        let reading = |point: &Value| json!({"ts": point[0], "values": {"pressure_kpa": point[1]}});
        hub.store("gas-1", &Value::Array(chunk.iter().map(reading).collect()));
    }
    points
}

fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|have| have == extension) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// Turns one bit of a file.
fn tamper(path: &Path, at: usize) {
    let mut bytes = std::fs::read(path).unwrap();
    bytes[at] ^= 0x10;
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn sealed_history_is_read_like_the_rest_and_knows_its_duplicates() {
    let place = sealing();
    let hub = place.start();
    hub.register(&json!([{"id": "gas-1", "kind": "gas_pressure"}]));
    hub.rule("r", &overpressure());
    let start = now_s_in_ms() - 100_000;
    let points = fill(&hub, start, 5_000);
    assert_eq!(hub.points("gas-1", "pressure_kpa"), points);
    let (status, log) = hub.stop();
    assert!(status.success(), "{log}");
    assert!(
        !files(&place.data(), "parquet").is_empty(),
        "something was sealed"
    );
    place.verify();
    let hub = place.start();
    assert_eq!(hub.points("gas-1", "pressure_kpa"), points);
    fill(&hub, start, 5_000);
    assert_eq!(hub.points("gas-1", "pressure_kpa"), points);
    let counts = audit::ledger(&hub.api()).device("gas-1");
    assert_eq!(
        (counts.received, counts.stored, counts.duplicate),
        (10_000, 5_000, 5_000)
    );
    hub.kill();
    place.verify();
    let hub = place.start();
    assert_eq!(hub.points("gas-1", "pressure_kpa"), points);
    let again = audit::ledger(&hub.api()).device("gas-1");
    assert_eq!(again, counts);
}

#[test]
fn a_changed_byte_of_a_segment_is_found_and_named() {
    let place = sealing();
    let hub = place.start();
    hub.register(&json!([{"id": "gas-1", "kind": "gas_pressure"}]));
    fill(&hub, now_s_in_ms() - 100_000, 5_000);
    let (status, log) = hub.stop();
    assert!(status.success(), "{log}");
    place.verify();
    let segments = files(&place.data(), "parquet");
    let segment = segments.first().expect("something was sealed");
    // The first bytes after the magic are a data page.
    tamper(segment, 64);
    let output = place.run(&["verify", "--config", "hub.toml"]);
    assert_eq!(output.status.code(), Some(1), "{}", words(&output));
    // The file carries the number of its segment.
    let name = format!("segment {}", segment.file_stem().unwrap().to_str().unwrap());
    assert!(
        words(&output).contains(&name),
        "names {name}: {}",
        words(&output)
    );
}

#[test]
fn a_changed_byte_of_the_log_is_found_and_named() {
    let place = Place::default();
    let hub = place.start();
    hub.register(&json!([{"id": "gas-1", "kind": "gas_pressure"}]));
    // A value whose eight bytes stand nowhere else.
    let value = 312.718_281_828_459_f64;
    hub.store(
        "gas-1",
        &json!({"ts": now_s_in_ms(), "values": {"pressure_kpa": value}}),
    );
    let (status, log) = hub.stop();
    assert!(status.success(), "{log}");
    place.verify();
    let mut places = Vec::new();
    for path in [files(&place.data(), "db"), files(&place.data(), "db-wal")].concat() {
        let bytes = std::fs::read(&path).unwrap();
        let found = bytes
            .windows(8)
            .position(|window| window == value.to_le_bytes());
        places.extend(found.map(|at| (path, at)));
    }
    let (path, at) = places.first().expect("the value stands in the log");
    tamper(path, *at);
    let output = place.run(&["verify", "--config", "hub.toml"]);
    assert_eq!(output.status.code(), Some(1), "{}", words(&output));
    assert!(
        words(&output).to_lowercase().contains("log"),
        "{}",
        words(&output)
    );
}

#[test]
fn verify_looks_at_a_running_hub_without_disturbing_it() {
    let place = Place::default();
    let hub = place.start();
    hub.register(&json!([{"id": "gas-1", "kind": "gas_pressure"}]));
    hub.rule("r", &overpressure());
    fill(&hub, now_s_in_ms() - 100_000, 1_000);
    place.verify();
    fill(&hub, now_s_in_ms() - 90_000, 10);
    place.verify();
}
