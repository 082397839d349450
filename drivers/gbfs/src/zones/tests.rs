//! Zones: the vectors' places, worked out by hand, and what of a feed is wrong.

use super::{Terms, Zones};
use crate::feed::Edition;
use crate::feed::tests::vector;
use model::Timestamp;
use model::geo::Point;
use serde_json::{Value, json};

fn check(zones: &Zones, expected: &Value) {
    for place in expected["resolve"].as_array().unwrap() {
        let degrees = |name: &str| place[name].as_f64().unwrap();
        let point = Point::from_degrees(degrees("lon"), degrees("lat")).unwrap();
        let at = place["at"].as_str().unwrap_or("2026-03-01T00:00:00Z");
        let at = Timestamp::parse(at).unwrap();
        let terms = zones.resolve(point, place["vehicle_type"].as_str(), at);
        let said = json!({
            "ride_start_allowed": terms.ride_start_allowed,
            "ride_end_allowed": terms.ride_end_allowed,
            "ride_through_allowed": terms.ride_through_allowed,
            "maximum_speed_kph": terms.maximum_speed_kph,
            "station_parking": terms.station_parking,
        });
        for (field, said) in said.as_object().unwrap() {
            if let Some(expected) = place.get(field) {
                let is_same =
                    said == expected || said.as_f64() == expected.as_f64() && said.is_number();
                assert!(is_same, "{field} of {place}: {said}");
            }
        }
    }
}

#[test]
fn every_place_of_the_vectors_has_the_terms_that_they_say() {
    let feed = vector("geofencing_zones");
    let zones = Zones::read(feed["input_text"].as_str().unwrap().as_bytes(), "zh").unwrap();
    assert_eq!(
        (zones.ttl_s, zones.data.zones[0].name.as_str()),
        (300, "NE 24th/NE Knott")
    );
    check(&zones.data, &feed["expect"]);

    let minimal = vector("precedence_same_type_fieldwise");
    let text: Value = serde_json::from_str(minimal["input_text"].as_str().unwrap()).unwrap();
    let zones = Zones::of(Edition::Three, &text, &text["global_rules"], "zh").unwrap();
    check(&zones, &minimal["expect"]);
}

fn square(west: f64, properties: &Value) -> Value {
    let (east, south, north) = (west + 0.01, 31.0, 31.01);
    json!({"type": "Feature", "properties": properties, "geometry": {"type": "MultiPolygon",
        "coordinates": [[[[west, south], [east, south], [east, north], [west, north], [west, south]]]]}})
}

fn at_place(zones: &Zones, lon: f64) -> Terms {
    let point = Point::from_degrees(lon, 31.005).unwrap();
    zones.resolve(
        point,
        Some("bike"),
        Timestamp::from_millis(1_772_323_200_000),
    )
}

#[test]
fn zones_before_3_have_other_names_and_a_wrong_zone_leaves_the_others_be() {
    let collection = json!({"type": "FeatureCollection", "features": [
        square(121.0, &json!({"name": "校园", "start": 1_600_000_000,
            "rules": [{"vehicle_type_id": ["bike"], "ride_allowed": false, "ride_through_allowed": true}]})),
        {"type": "Feature", "properties": {}, "geometry": {"type": "MultiPolygon", "coordinates": [[[[1]]]]}},
        square(121.1, &json!({"rules": "none"})),
        square(121.2, &Value::Null),
        square(121.3, &json!({"name": [], "start": "2026-01-01T00:00:00Z", "rules": [{"station_parking": true}]})),
    ]});
    let zones = Zones::of(Edition::Before3, &collection, &Value::Null, "zh").unwrap();
    let names: Vec<&str> = zones.zones.iter().map(|zone| zone.name.as_str()).collect();
    assert_eq!(names, ["校园", "4", "5"]);
    assert_eq!(zones.bad.len(), 2);
    let campus = at_place(&zones, 121.005);
    assert_eq!(
        (campus.ride_start_allowed, campus.ride_end_allowed),
        (Some(false), Some(false))
    );
    assert!(campus.forbids_parking(true));
    assert_eq!(at_place(&zones, 121.205), Terms::default());
    let stations_only = at_place(&zones, 121.305);
    assert!(stations_only.forbids_parking(false) && !stations_only.forbids_parking(true));
    let forbidden = zones.forbidden();
    let features = forbidden["features"].as_array().unwrap();
    let names: Vec<_> = features
        .iter()
        .map(|zone| &zone["properties"]["name"])
        .collect();
    assert_eq!(names, ["校园", "5"]);
    // What is written is what fences of rules and map layers read.
    assert_eq!(model::geo::read(&forbidden, 100).unwrap().len(), 2);
}

#[test]
fn names_are_those_of_the_language_and_zones_out_of_their_time_are_not_there() {
    let names = json!([{"text": "Lake", "language": "en"}, {"text": "湖", "language": "zh-CN"}]);
    let collection = |end: &str| {
        json!({"features": [square(121.0, &json!({"name": names, "end": end,
            "rules": [{"ride_end_allowed": false}]}))]})
    };
    let read = |end: &str, language: &str| {
        Zones::of(Edition::Three, &collection(end), &Value::Null, language).unwrap()
    };
    assert_eq!(read("2027-01-01T00:00:00Z", "zh").zones[0].name, "湖");
    assert_eq!(read("2027-01-01T00:00:00Z", "fr").zones[0].name, "Lake");
    assert_eq!(
        at_place(&read("2027-01-01T00:00:00Z", "zh"), 121.005).ride_end_allowed,
        Some(false)
    );
    assert_eq!(
        at_place(&read("2026-01-01T00:00:00Z", "zh"), 121.005).ride_end_allowed,
        None
    );
}
