//! Maps as a city engineer writes them: what is asked for, and which mistakes are named.

use super::{BUILT_IN, Library, Map, MapFile, Profile, ReadingPatch};
use crate::frame::{Block, Table};
use model::Catalogue;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

fn made(text: &str) -> Result<Map, String> {
    let text = format!("title = 't'\nsource = 's'\nmark = 'V'\n{text}");
    let file: MapFile = toml::from_str(&text).map_err(|error| error.to_string())?;
    let map = Map::new("test", &file, &BTreeMap::new(), &Catalogue::built_in());
    map.map_err(|error| error.to_string())
}

fn blocks(text: &str) -> Vec<(Table, u16, u16)> {
    let map = made(text).unwrap();
    let place = |block: &Block| (block.table, block.at, block.count);
    map.blocks.iter().map(place).collect()
}

#[test]
fn neighbours_are_one_request_and_a_gap_splits_unless_it_is_allowed() {
    let readings = "[readings.pm10_ugm3]\nat = 10\nunit = 'µg/m3'\n\
                    [readings.pm25_ugm3]\nat = 11\nunit = 'µg/m3'\n\
                    [readings.pressure_kpa]\nat = 14\ntype = 'f32'\nunit = 'kPa'\n";
    let split = [(Table::Holding, 10, 2), (Table::Holding, 14, 2)];
    assert_eq!(blocks(readings), split);
    assert_eq!(blocks(&format!("gap = 1\n{readings}")), split);
    assert_eq!(
        blocks(&format!("gap = 2\n{readings}")),
        [(Table::Holding, 10, 6)]
    );
}

#[test]
fn no_request_asks_for_more_than_125_registers_and_no_value_is_split() {
    // 124 words and a double word behind them: 126 would be too many.
    let text = "gap = 200\n[readings.pm10_ugm3]\nat = 0\nunit = 'µg/m3'\n\
                [readings.pressure_kpa]\nat = 124\ntype = 'u32'\nunit = 'kPa'\n";
    assert_eq!(
        blocks(text),
        [(Table::Holding, 0, 1), (Table::Holding, 124, 2)]
    );
    let fits = text.replace("at = 124", "at = 123");
    assert_eq!(blocks(&fits), [(Table::Holding, 0, 125)]);
}

#[test]
fn each_table_has_requests_of_its_own() {
    let text = "[readings.smoke_alarm]\nat = 3\ntable = 'discrete'\n\
                [readings.fault]\nat = 4\ntable = 'coil'\n\
                [readings.battery_pct]\nat = 5\ntable = 'input'\nunit = '%'\n";
    assert_eq!(
        blocks(text),
        [
            (Table::Coil, 4, 1),
            (Table::Discrete, 3, 1),
            (Table::Input, 5, 1)
        ]
    );
}

#[test]
fn a_mistake_is_named_with_its_reading() {
    for (text, words) in [
        ("[readings.colour]\nat = 1", "colour: no such metric"),
        (
            "[readings.position]\nat = 1",
            "position: only metrics that are numbers",
        ),
        (
            "[readings.pressure_kpa]\nat = 1",
            "missing `unit`; the metric is in `kPa`",
        ),
        (
            "[readings.pressure_kpa]\nat = 1\nunit = '°C'",
            "`°C` cannot be turned into it",
        ),
        (
            "[readings.pressure_kpa]\nat = 1\nunit = 'kPa'\nscale = 0",
            "cannot be a scale",
        ),
        (
            "[readings.fault]\nat = 65535\ntype = 'u32'",
            "no neighbour above it",
        ),
        ("[readings.fault]\nat = 1\nbit = 16", "bits 16 to 16 of 16"),
        (
            "[readings.fault]\nat = 1\nbits = [3, 2]",
            "bits 3 to 2 of 16",
        ),
        (
            "[readings.fault]\nat = 1\nbit = 1\nbits = [1, 2]",
            "either `bit` or `bits`",
        ),
        (
            "[readings.fault]\nat = 1\ntype = 'f32'\nbit = 1",
            "no bits to cut out",
        ),
        (
            "[readings.fault]\nat = 1\ntable = 'coil'\nbit = 1",
            "is one bit",
        ),
        (
            "[readings.fault]\nat = 1\nunit_at = 2",
            "`unit_at` needs `units`",
        ),
        (
            "[readings.pressure_kpa]\nat = 1\nunits = { 0 = 'kPa' }",
            "`units` needs `unit_at`",
        ),
        (
            "[readings.pressure_kpa]\nat = 1\nunit_at = 2\nunits = { x = 'kPa' }",
            "`x` is no code",
        ),
        (
            "[readings.fault]\nat = 1\nclear_latch = { register = 9 }",
            "allow_writes = true",
        ),
        (
            "allow_writes = true\n[readings.fault]\nat = 1\nclear_latch = { }",
            "`register` or `coil`",
        ),
        ("[readings.fault]\nat = 1\nsclae = 2", "sclae"),
        ("readings = {}", "there is none"),
    ] {
        let error = made(text).unwrap_err();
        assert!(error.contains(words), "{text}: {error}");
    }
}

#[test]
fn every_built_in_map_can_be_used_and_says_where_it_is_from() {
    let none = HashMap::new();
    let library = Library::read(None, &none, &Catalogue::built_in()).unwrap();
    for (name, text) in BUILT_IN {
        let map = library.map(name).unwrap();
        assert!(!map.blocks.is_empty(), "{name}");
        let file: MapFile = toml::from_str(text).unwrap();
        assert!(
            !file.source.is_empty() && ["V", "M"].contains(&file.mark.as_str()),
            "{name}"
        );
        assert!(!file.allow_writes, "{name} writes");
    }
}

#[test]
fn a_folder_adds_maps_and_replaces_built_in_ones() {
    let folder = tempfile::tempdir().unwrap();
    let text = "title = 't'\nsource = 's'\nmark = 'M'\n[readings.laeq_dba]\nat = 14\nunit = 'dB'\n";
    for name in ["own.toml", "rs485-noise.toml", "notes.txt"] {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    let none = HashMap::new();
    let library = Library::read(Some(folder.path()), &none, &Catalogue::built_in()).unwrap();
    assert_eq!(library.map("own").unwrap().blocks[0].at, 14);
    assert_eq!(library.map("rs485-noise").unwrap().blocks[0].at, 14);
    assert!(library.map("notes").is_none());
    std::fs::write(folder.path().join("bad.toml"), "title = 1").unwrap();
    let error = Library::read(Some(folder.path()), &none, &Catalogue::built_in()).unwrap_err();
    assert!(error.to_string().contains("map bad"), "{error}");
}

#[test]
fn a_profile_changes_what_is_different_at_its_devices() {
    let patch = ReadingPatch {
        scale: Some(0.1),
        ..ReadingPatch::default()
    };
    let off = ReadingPatch {
        off: true,
        ..ReadingPatch::default()
    };
    let readings = [("wind_speed_ms", patch), ("air_pressure_kpa", off)];
    let profile = |map: &str| Profile {
        codec: "modbus".to_owned(),
        map: map.to_owned(),
        readings: readings
            .iter()
            .map(|(metric, patch)| ((*metric).to_owned(), patch.clone()))
            .collect(),
    };
    let library = |map: &str| {
        let profiles = HashMap::from([("old".to_owned(), Arc::new(profile(map)))]);
        Library::read(None, &profiles, &Catalogue::built_in())
    };
    let old = library("rs-fsxcs").unwrap().profile("old").unwrap();
    let wind = old
        .readings
        .iter()
        .find(|reading| reading.name == "wind_speed_ms");
    assert_eq!(wind.unwrap().scale.over.to_bits(), 10f64.to_bits());
    assert_eq!(old.blocks[0].count, 9, "the pressure is not asked for");
    let error = library("rs485-noise").unwrap_err().to_string();
    assert!(
        error.contains("profiles.old") && error.contains("no such reading"),
        "{error}"
    );
    let error = library("nothing").unwrap_err().to_string();
    assert!(
        error.contains("no map `nothing`; known: pressure-f32"),
        "{error}"
    );
}

#[test]
fn an_offset_moves_every_register_and_never_past_the_last() {
    let map = made("[readings.fault]\nat = 10\ntype = 'u32'\n").unwrap();
    assert_eq!(map.blocks_from(16).unwrap()[0].at, 26);
    assert_eq!(map.blocks_from(65_524).unwrap()[0].at, 65_534);
    assert_eq!(map.blocks_from(65_525), None);
}
