//! Feeds with the members that GBFS 3.0 demands.

use super::*;

/// 2026-03-01T00:00:00Z.
const AT_MS: i64 = 1_772_323_200_000;

#[test]
fn a_station_tells_what_is_parked_and_what_is_free() {
    let counts = [
        ("s-1".to_owned(), (13, 20, AT_MS)),
        ("s-2".to_owned(), (30, 20, AT_MS)),
    ];
    let body = statuses(&counts, AT_MS + 5000);
    assert_eq!(body["version"], "3.0");
    assert_eq!(body["last_updated"], "2026-03-01T00:00:05.000Z");
    assert_eq!(
        body["data"]["stations"][0],
        json!({
            "station_id": "s-1",
            "num_vehicles_available": 13,
            "num_docks_available": 7,
            "is_installed": true,
            "is_renting": true,
            "is_returning": true,
            "last_reported": "2026-03-01T00:00:00.000Z",
        })
    );
    // More bikes than docks leave none free.
    assert_eq!(body["data"]["stations"][1]["num_docks_available"], 0);
}

#[test]
fn the_first_feed_names_the_other() {
    let body = discovery("127.0.0.1:8089", AT_MS);
    assert_eq!(
        body["data"]["feeds"],
        json!([{"name": "station_status", "url": "http://127.0.0.1:8089/station_status.json"}])
    );
    let reply = response(&body);
    let (head, rest) = reply.split_once("\r\n\r\n").unwrap();
    assert!(
        head.ends_with(&format!("Content-Length: {}", rest.len())),
        "{head}"
    );
}
