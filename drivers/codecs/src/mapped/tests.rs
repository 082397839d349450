//! Tables of pointers on JSON of other people's shapes.

use crate::profile::tests::{decode, seen};
use serde_json::{Value, json};

fn dust() -> Value {
    json!({
        "codec": "json", "time": "/head/at", "records": "/rows",
        "values": {
            "pm10_ugm3": {"at": "/d/0/v", "scale": 0.1},
            "temperature_c": {"at": "/d/1/v", "scale": 0.01, "offset": -40.0, "sentinels": [65535.0]},
            "fault": {"at": "/broken"},
            "position": {"lon": "/gps/x", "lat": "/gps/y"},
        },
    })
}

#[test]
fn what_the_table_names_is_taken_scaled_and_stamped() {
    let payload = br#"{"rows":[{"head":{"at":"2026-03-01 08:00:00"},"d":[{"v":"625"},{"v":6500}],
        "broken":true,"gps":{"x":121.5,"y":"31.2"},"vendor":"x"}]}"#;
    let (decoded, done) = decode(dust(), payload);
    done.unwrap();
    let at = Some(1_772_323_200_000);
    let rows = seen(&decoded);
    assert_eq!(rows[0], ("fault".to_owned(), 1.0, at));
    assert_eq!(rows[1], ("pm10_ugm3".to_owned(), 62.5, at));
    assert_eq!((rows[2].0.as_str(), rows[2].2), ("position", at));
    assert_eq!(rows[3], ("temperature_c".to_owned(), 25.0, at));
    assert_eq!((decoded.received, decoded.rejected.len()), (4, 0));
}

#[test]
fn bad_values_are_counted_and_the_good_ones_beside_them_kept() {
    let payload = br#"{"rows":[{"d":[{"v":"--"},{"v":65535}]},{"d":[{"v":NaN},{"v":4100}]},
        {"d":[{"v":{}},{"v":null}]},{},7,{"head":{"at":"soon"},"d":[{"v":1}]}]}"#;
    let (decoded, done) = decode(dust(), payload);
    done.unwrap();
    assert_eq!(seen(&decoded), [("temperature_c".to_owned(), 1.0, None)]);
    let reasons: Vec<&str> = decoded.rejected.iter().map(|r| r.reason.as_ref()).collect();
    assert_eq!(
        reasons,
        [
            "no_value",
            "sentinel",
            "not_finite",
            "wrong_type",
            "no_value",
            "no_values",
            "no_values",
            "bad_timestamp",
        ]
    );
    assert_eq!(decoded.received, 9);
}

#[test]
fn a_payload_without_the_records_is_no_message() {
    for (payload, reason) in [
        (&br#"{"other":[]}"#[..], "wrong_shape"),
        (b"{", "invalid_json"),
        (b"", "empty_payload"),
        (b"{\"rows\":\"\xff\"}", "invalid_utf8"),
    ] {
        let (decoded, done) = decode(dust(), payload);
        assert_eq!(done.unwrap_err().reason, reason);
        assert_eq!((decoded.received, decoded.rejected.len()), (1, 1));
    }
}
