//! Geofence rules as people write them, and what is said of those that are wrong.

use crate::{parse_json, parse_toml, parse_toml_beside};
use serde_json::{Value, json};

fn rule(fences: &Value) -> Value {
    json!({"kind": "geofence", "select": {"kind": "bike"}, "fences": fences})
}

fn square() -> Value {
    json!({"type": "Polygon", "coordinates":
        [[[118.1, 24.48], [118.101, 24.48], [118.101, 24.481], [118.1, 24.481], [118.1, 24.48]]]})
}

fn error(rule: &Value) -> String {
    parse_json("a", rule).unwrap_err().to_string()
}

#[test]
fn a_rule_is_written_as_it_is_read() {
    let mut full = rule(&json!({"type": "FeatureCollection", "features": [
        {"type": "Feature", "properties": {"name": "one"}, "geometry": square()},
        {"type": "Feature", "properties": {"code": "two", "radius_m": 15.5},
         "geometry": {"type": "Point", "coordinates": [118.1, 24.48]}}]}));
    for (key, value) in [
        ("mode", json!("inside")),
        ("buffer_m", json!(3.5)),
        ("enter_buffer_m", json!(2)),
        ("dwell_s", json!(600)),
        ("confirm", json!(3)),
        ("max_speed_ms", json!(15)),
        ("accuracy_max_m", json!(50)),
        ("locked", json!(true)),
        ("severity", json!("major")),
    ] {
        full[key] = value;
    }
    let devices = rule(&json!({"select": {"kind": "bike_fence"}, "drawn": square()}));
    let named = rule(&json!({"devices": ["fence-1", "fence-2"]}));
    for written in [full, rule(&square()), devices, named] {
        let spec = parse_json("a", &written).unwrap();
        let text = spec.to_json().to_string();
        let again: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(parse_json("a", &again).unwrap(), spec, "{text}");
        for (key, value) in written.as_object().unwrap() {
            let same = again.get(key) == Some(value)
                || again[key]
                    .as_f64()
                    .is_some_and(|n| value.as_f64() == Some(n));
            assert!(same || key == "fences", "{key} in {text}");
        }
    }
}

#[test]
fn what_is_left_out_has_its_default() {
    let json = parse_json("a", &rule(&square())).unwrap().to_json();
    let default = |key: &str| json[key].clone();
    assert_eq!(default("mode"), "outside");
    assert_eq!(default("metric"), "position");
    assert_eq!(default("buffer_m"), 10.0);
    assert_eq!(default("enter_buffer_m"), 0.0);
    assert_eq!(default("dwell_s"), 0);
    assert_eq!(default("confirm"), 2);
    assert_eq!(default("locked"), true);
    assert_eq!(json.get("max_speed_ms"), None);
    let mut inside = rule(&square());
    inside["mode"] = json!("inside");
    assert_eq!(parse_json("a", &inside).unwrap().to_json()["locked"], false);
}

#[test]
fn a_wrong_rule_is_told_by_its_key() {
    let with = |key: &str, value: Value| {
        let mut rule = rule(&square());
        rule[key] = value;
        rule
    };
    let swapped = json!({"type": "Polygon", "coordinates":
        [[[24.48, 118.1], [24.48, 118.2], [24.5, 118.2], [24.48, 118.1]]]});
    let doubled = json!({"type": "FeatureCollection", "features": [
        {"type": "Feature", "properties": {"name": "x"}, "geometry": square()},
        {"type": "Feature", "properties": {"name": "x"}, "geometry": square()}]});
    let empty = json!({"type": "FeatureCollection", "features": []});
    for (rule, parts) in [
        (with("mode", json!("near")), ["`mode`", "`near`"]),
        (with("confirm", json!(0)), ["`confirm`", "from 1 to 100"]),
        (with("confirm", json!(1.5)), ["`confirm`", "whole number"]),
        (with("buffer_m", json!(-1)), ["`buffer_m`", "-1"]),
        (
            with("max_speed_ms", json!(0)),
            ["`max_speed_ms`", "above 0"],
        ),
        (with("above", json!(0)), ["`above`", "unknown key"]),
        (
            with("fences", json!("fences.geojson")),
            ["`fences`", "only a rule file"],
        ),
        (with("fences", json!({})), ["`fences`", "neither GeoJSON"]),
        (with("fences", json!([1])), ["`fences`", "a table"]),
        (with("fences", swapped), ["`fences`", "swapped"]),
        (
            with("fences", doubled),
            ["`fences`", "two features are named `x`"],
        ),
        (with("fences", empty), ["`fences`", "no features"]),
        (
            with("fences", json!({"select": {}, "drwan": 1})),
            ["`fences.drwan`", "unknown key"],
        ),
    ] {
        let error = error(&rule);
        for part in parts {
            assert!(error.contains(part), "{part} in {error}");
        }
    }
    let without = json!({"kind": "geofence", "select": {}});
    assert!(error(&without).contains("`fences`: is missing"));
}

#[test]
fn a_rule_file_may_name_files_and_the_line_is_told() {
    let toml = "[rules.a]\nkind = \"geofence\"\nselect = {}\n\
                fences = { select = {}, drawn = \"city/fences.geojson\" }\n";
    let rules = parse_toml_beside("bikes.toml", toml, &|path| {
        assert_eq!(path, "city/fences.geojson");
        Ok(square().to_string())
    });
    let (_, spec) = &rules.unwrap()[0];
    let drawn = spec.to_json()["fences"]["drawn"]["features"].clone();
    assert_eq!(drawn.as_array().map(Vec::len), Some(1));
    let error = parse_toml_beside("bikes.toml", toml, &|_| Ok("{".to_owned())).unwrap_err();
    assert_eq!(
        (error.line, error.key.as_deref()),
        (Some(4), Some("fences.drawn"))
    );
    let error = error.to_string();
    for part in ["bikes.toml:4", "`city/fences.geojson`", "no JSON"] {
        assert!(error.contains(part), "{part} in {error}");
    }
    assert!(
        parse_toml("bikes.toml", toml)
            .unwrap_err()
            .to_string()
            .contains("cannot be read here")
    );
}
