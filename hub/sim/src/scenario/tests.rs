//! Every scenario can be read and is the same at every performance.

use super::{LIBRARY, Stage, cast, find};

/// Prints the first lines of a scenario.
fn stream(name: &str) -> Vec<(i64, String, i64, Vec<u8>)> {
    let (_, script) = find(name).unwrap();
    let (fleet, parts) = cast(&script, "demo").unwrap();
    let mut stage = Stage::new(&script, &parts, script.start.ms);
    let mut lines = Vec::new();
    while let Some((at, message)) = stage.next() {
        let device = fleet.devices[message.device].id.clone();
        lines.push((at, device, message.ts_ms, message.payload()));
        if lines.len() == 2000 {
            break;
        }
    }
    lines
}

#[test]
fn every_scenario_can_be_cast_and_its_rules_read() {
    for entry in LIBRARY {
        let (_, script) = find(entry.name).unwrap();
        cast(&script, "demo").unwrap_or_else(|reason| panic!("{}: {reason}", entry.name));
        entry.rules(&script.packs).unwrap();
    }
}

#[test]
fn a_scenario_is_the_same_at_every_performance_and_never_goes_back() {
    for entry in LIBRARY {
        let first = stream(entry.name);
        assert!(first.len() > 10, "{}", entry.name);
        assert!(first == stream(entry.name), "{}", entry.name);
        assert!(first.is_sorted_by_key(|line| line.0), "{}", entry.name);
    }
}

#[test]
fn every_folder_of_scenarios_is_in_the_program() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/scenarios");
    let mut folders: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.file_type().unwrap().is_dir())
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    folders.sort();
    let known: Vec<&str> = LIBRARY.iter().map(|entry| entry.name).collect();
    assert_eq!(folders, known);
}

#[test]
fn an_unknown_scenario_is_named() {
    let error = find("earthquake").unwrap_err().to_string();
    assert!(error.contains("earthquake"), "{error}");
}
