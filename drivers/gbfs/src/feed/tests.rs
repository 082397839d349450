//! Feeds: the vectors, the editions, and items that are wrong beside others that are not.

use super::{FeedError, discovery, stations, vehicles};
use model::Timestamp;
use serde_json::Value;

/// An open vector by its name.
pub(crate) fn vector(name: &str) -> Value {
    let all = include_str!("../../testdata/vectors.jsonl").lines();
    let mut read = all.map(|line| serde_json::from_str::<Value>(line).unwrap());
    read.find(|vector| vector["name"] == name).unwrap()
}

fn text(vector: &Value) -> &str {
    vector["input_text"].as_str().unwrap()
}

#[test]
fn there_are_four_vectors_and_each_is_replayed() {
    let lines = include_str!("../../testdata/vectors.jsonl").lines();
    assert_eq!(lines.count(), 4);
}

#[test]
fn the_vehicles_of_the_vector_decode_as_it_says() {
    let vector = vector("vehicle_status");
    let (feed, expect) = (
        vehicles(text(&vector).as_bytes()).unwrap(),
        &vector["expect"],
    );
    let good = &feed.data.good;
    assert_eq!((good.len(), feed.data.bad.len()), (2, 0));
    assert_eq!(
        good.len(),
        usize::try_from(expect["count"].as_u64().unwrap()).unwrap()
    );
    let reported = Timestamp::from_millis(expect["reported_ms"].as_i64().unwrap());
    assert_eq!(
        (feed.last_updated, good[0].last_reported),
        (reported, Some(reported))
    );
    let first = &expect["first"];
    let place = (
        first["lon"].as_f64().unwrap(),
        first["lat"].as_f64().unwrap(),
    );
    assert_eq!(good[0].place, Some(place));
    assert_eq!(
        (good[1].place, good[1].station.as_deref()),
        (None, expect["second"]["station_id"].as_str())
    );
    assert_eq!(good[1].range_m, Some(6_543.0));
}

#[test]
fn posix_seconds_are_of_2_and_not_of_3() {
    let vector = vector("err_2x_timestamp_and_missing_field");
    let error = vehicles(text(&vector).as_bytes()).unwrap_err();
    assert_eq!(error.reason(), vector["expect_error"].as_str().unwrap());
    // 2.x has other names, other times, and that is fine.
    let before = r#"{"last_updated":1689593653,"ttl":0,"version":"2.2","data":{"bikes":[
        {"bike_id":"a","lat":12.3,"lon":56.7,"is_reserved":false,"is_disabled":true,"last_reported":1689593650},
        {"bike_id":"b","lat":12.3,"lon":56.7,"is_reserved":0,"is_disabled":1}]}}"#;
    let feed = vehicles(before.as_bytes()).unwrap();
    assert_eq!(feed.last_updated, Timestamp::from_millis(1_689_593_653_000));
    assert_eq!(
        feed.data.good[0].last_reported,
        Some(Timestamp::from_millis(1_689_593_650_000))
    );
    assert!(
        feed.data
            .good
            .iter()
            .all(|bike| bike.is_disabled && !bike.is_reserved)
    );
}

#[test]
fn a_wrong_vehicle_leaves_the_others_be() {
    let head =
        r#"{"last_updated":"2026-03-01T00:00:00Z","ttl":0,"version":"3.0","data":{"vehicles":["#;
    for (item, reason) in [
        (
            r#"{"vehicle_id":"a","lat":1,"lon":2,"is_reserved":false}"#,
            "schema",
        ),
        (
            r#"{"vehicle_id":"a","lat":1,"is_reserved":false,"is_disabled":false}"#,
            "schema",
        ),
        (
            r#"{"vehicle_id":"a","is_reserved":false,"is_disabled":false}"#,
            "schema",
        ),
        (
            r#"{"lat":1,"lon":2,"is_reserved":false,"is_disabled":false}"#,
            "schema",
        ),
        (
            r#"{"vehicle_id":"a","lat":1,"lon":2,"is_reserved":0,"is_disabled":false}"#,
            "schema",
        ),
        (
            r#"{"vehicle_id":"a","lat":1,"lon":2,"is_reserved":false,"is_disabled":false,"last_reported":9}"#,
            "schema",
        ),
        (
            r#"{"vehicle_id":"a","lat":"1","lon":2,"is_reserved":false,"is_disabled":false}"#,
            "schema",
        ),
        (
            r#"{"vehicle_id":"a","lat":91,"lon":2,"is_reserved":false,"is_disabled":false}"#,
            "position_range",
        ),
        (
            r#"{"vehicle_id":"a","lat":0,"lon":0,"is_reserved":false,"is_disabled":false}"#,
            "position_range",
        ),
        ("7", "schema"),
    ] {
        let good = r#"{"vehicle_id":"b","lat":1,"lon":2,"is_reserved":true,"is_disabled":false}"#;
        let feed = vehicles(format!("{head}{item},{good}]}}}}").as_bytes()).unwrap();
        assert_eq!(feed.data.good.len(), 1, "{item}");
        let reasons: Vec<_> = feed.data.bad.iter().map(FeedError::reason).collect();
        assert_eq!(reasons, [reason], "{item}");
    }
}

#[test]
fn a_wrong_head_refuses_the_whole() {
    for (text, reason) in [
        ("", "bad_json"),
        ("{", "bad_json"),
        ("[]", "schema"),
        (
            r#"{"last_updated":"2026-03-01T00:00:00Z","ttl":0,"data":{}}"#,
            "schema",
        ),
        (
            r#"{"last_updated":"2026-03-01T00:00:00Z","ttl":0,"version":"4.0","data":{}}"#,
            "schema",
        ),
        (
            r#"{"last_updated":"2026-03-01T00:00:00Z","ttl":-1,"version":"3.0","data":{"vehicles":[]}}"#,
            "schema",
        ),
        (
            r#"{"last_updated":"1689593653","ttl":0,"version":"3.0","data":{"vehicles":[]}}"#,
            "schema",
        ),
        (
            r#"{"last_updated":"2026-03-01T00:00:00Z","ttl":0,"version":"3.0","data":{}}"#,
            "schema",
        ),
        (
            r#"{"last_updated":"2026-03-01T00:00:00Z","ttl":0,"version":"3.0"}"#,
            "schema",
        ),
        (
            r#"{"ttl":0,"version":"3.0","data":{"vehicles":[]}}"#,
            "schema",
        ),
    ] {
        assert_eq!(
            vehicles(text.as_bytes()).unwrap_err().reason(),
            reason,
            "{text}"
        );
    }
    assert_eq!(vehicles(&[0xff]).unwrap_err().reason(), "bad_json");
}

#[test]
fn stations_of_both_editions_say_the_same() {
    let three = r#"{"last_updated":"2023-07-17T13:34:13+02:00","ttl":0,"version":"3.0","data":{"stations":[
        {"station_id":"s1","is_installed":true,"is_renting":true,"is_returning":false,
         "last_reported":"2023-07-17T13:34:13+02:00","num_docks_available":3,"num_docks_disabled":1,
         "num_vehicles_available":1,"num_vehicles_disabled":2,
         "vehicle_types_available":[{"vehicle_type_id":"abc123","count":2}]}]}}"#;
    let two = r#"{"last_updated":1689593653,"ttl":0,"version":"2.3","data":{"stations":[
        {"station_id":"s1","is_installed":true,"is_renting":true,"is_returning":false,
         "last_reported":1689593653,"num_docks_available":3,"num_docks_disabled":1,
         "num_bikes_available":1,"num_bikes_disabled":2}]}}"#;
    let read = |text: &str| stations(text.as_bytes()).unwrap().data;
    assert_eq!(read(three), read(two));
    let station = &read(three).good[0];
    assert_eq!(
        (station.vehicles_available, station.docks_disabled),
        (Some(1.0), Some(1.0))
    );
    assert_eq!(
        (station.is_renting, station.is_returning),
        (Some(true), Some(false))
    );
}

#[test]
fn the_list_of_feeds_is_one_or_one_for_each_language() {
    let three = r#"{"last_updated":"2023-07-17T13:34:13+02:00","ttl":60,"version":"3.0","data":{"feeds":[
        {"name":"vehicle_status","url":"https://a/v"}]}}"#;
    let two = r#"{"last_updated":1689593653,"ttl":60,"version":"2.3","data":{
        "en":{"feeds":[{"name":"free_bike_status","url":"https://a/en"}]},
        "zh":{"feeds":[{"name":"free_bike_status","url":"https://a/zh"}]}}}"#;
    let read = |text: &str, language: &str| discovery(text.as_bytes(), language).unwrap().data;
    assert_eq!(read(three, "zh")["vehicle_status"], "https://a/v");
    assert_eq!(read(two, "zh")["free_bike_status"], "https://a/zh");
    assert_eq!(read(two, "fr")["free_bike_status"], "https://a/en");
}

proptest::proptest! {
    #[test]
    fn nothing_that_comes_makes_it_panic(text in "[{}\\[\\]\":,a-e0-9. ]{0,60}") {
        drop(vehicles(text.as_bytes()));
        drop(discovery(text.as_bytes(), "zh"));
        let head = r#"{"last_updated":1,"ttl":0,"version":"2.0","data":{"stations":["#;
        drop(stations(format!("{head}{text}]}}}}").as_bytes()));
    }
}
