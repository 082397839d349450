//! What fuzzers and the kept corpus do with the decoders, and what must hold.

use crate::feed::{discovery, stations, vehicles};
use crate::survey::survey;
use crate::zones::Zones;
use model::Timestamp;
use model::geo::Point;

/// Takes bytes as one of the feeds; the first byte says which.
pub fn take(input: &[u8]) {
    let Some((which, bytes)) = input.split_first() else {
        return;
    };
    match which {
        b'd' => drop(discovery(bytes, "zh")),
        b's' => drop(stations(bytes)),
        b'z' => {
            let Ok(feed) = Zones::read(bytes, "zh") else {
                return;
            };
            let places = [
                (0.0, 0.0),
                (121.015, 31.005),
                (-122.62, 45.53),
                (180.0, 90.0),
            ];
            let points = places
                .into_iter()
                .filter_map(|(lon, lat)| Point::from_degrees(lon, lat));
            for point in points {
                for vehicle_type in [None, Some("bike")] {
                    let at = Timestamp::from_millis(1_772_323_200_000);
                    let _terms = feed.data.resolve(point, vehicle_type, at);
                }
            }
            let written = feed.data.forbidden();
            let zones = written
                .get("features")
                .and_then(serde_json::Value::as_array);
            assert!(zones.is_some_and(|zones| zones.len() <= feed.data.zones.len()));
        }
        _ => {
            let Ok(feed) = survey(bytes, &Zones::default()) else {
                return;
            };
            let survey = feed.data;
            assert_eq!(
                survey.all.parked as usize,
                survey.vehicles.len(),
                "each counts once"
            );
            let again = vehicles(bytes).map(|feed| feed.data.good.len() + feed.data.bad.len());
            assert_eq!(again, Ok(survey.vehicles.len() + survey.bad.len()));
        }
    }
}

/// A feed of so many vehicles around a place, for benches and tests.
pub fn example(vehicles: usize) -> String {
    let vehicle = |number: usize| {
        let step = number % 1_000;
        format!(
            "{{\"vehicle_id\":\"v{number}\",\"lat\":31.00{step:03},\"lon\":121.01{step:03},\
             \"is_reserved\":false,\"is_disabled\":false,\"vehicle_type_id\":\"bike\",\
             \"last_reported\":\"2026-03-01T08:00:00+08:00\",\"current_range_meters\":6543.0}}"
        )
    };
    let all: Vec<String> = (0..vehicles).map(vehicle).collect();
    format!(
        "{{\"last_updated\":\"2026-03-01T08:00:00+08:00\",\"ttl\":60,\"version\":\"3.0\",\
         \"data\":{{\"vehicles\":[{}]}}}}",
        all.join(",")
    )
}

/// So many zones beside each other in which no ride may end.
pub fn example_zones(zones: usize) -> String {
    let zone = |number: usize| {
        let (west, east) = (
            121.0 + number as f64 * 0.001,
            121.001 + number as f64 * 0.001,
        );
        format!(
            "{{\"type\":\"Feature\",\"geometry\":{{\"type\":\"MultiPolygon\",\"coordinates\":\
             [[[[{west},31.0],[{east},31.0],[{east},31.01],[{west},31.01],[{west},31.0]]]]}},\
             \"properties\":{{\"name\":[{{\"text\":\"z{number}\",\"language\":\"zh\"}}],\
             \"rules\":[{{\"ride_end_allowed\":false}}]}}}}"
        )
    };
    let all: Vec<String> = (0..zones).map(zone).collect();
    format!(
        "{{\"last_updated\":\"2026-03-01T08:00:00+08:00\",\"ttl\":300,\"version\":\"3.0\",\"data\":\
         {{\"geofencing_zones\":{{\"type\":\"FeatureCollection\",\"features\":[{}]}}}}}}",
        all.join(",")
    )
}

/// Reads zones and counts the vehicles in them; gives how many stand and how many do so wrongly.
pub fn counted(vehicles: &str, zones: &str) -> (u32, u32) {
    let zones = Zones::read(zones.as_bytes(), "zh").expect("an example is a feed");
    let feed = survey(vehicles.as_bytes(), &zones.data).expect("an example is a feed");
    (feed.data.all.parked, feed.data.all.wrongly)
}
