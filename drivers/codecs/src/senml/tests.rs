//! Packs by the names of metrics, and by a profile's.

use crate::profile::tests::{ARRIVAL, decode, seen};
use serde_json::json;

#[test]
fn a_record_is_its_metrics_by_the_end_of_its_name() {
    let pack = br#"[{"bn":"urn:dev:mac:0024befffe804ff1:","bt":1772323200,"n":"temperature_c",
        "u":"Cel","v":21.5},{"n":"fault","t":60,"vb":true},{"n":"label","vs":"east"},
        {"n":"flow","v":1}]"#;
    let (decoded, done) = decode(json!({"codec": "senml"}), pack);
    done.unwrap();
    assert_eq!(
        seen(&decoded),
        [
            ("temperature_c".to_owned(), 21.5, Some(1_772_323_200_000)),
            ("fault".to_owned(), 1.0, Some(1_772_323_260_000)),
        ]
    );
    assert_eq!(decoded.rejected[0].reason, "unknown_metric");
    assert_eq!(decoded.received, 3);
}

#[test]
fn small_times_count_from_the_arrival() {
    let pack = br#"[{"n":"pm10_ugm3","v":1},{"n":"pm10_ugm3","v":2,"t":-5.5}]"#;
    let (decoded, done) = decode(json!({"codec": "senml"}), pack);
    done.unwrap();
    let ago = ARRIVAL.millis() - 5_500;
    let times: Vec<_> = seen(&decoded).into_iter().map(|row| row.2).collect();
    assert_eq!(times, [None, Some(ago)]);
}

#[test]
fn a_profile_names_records_by_name_and_unit_and_takes_sums() {
    let profile = json!({"codec": "senml", "values": {
        "temperature_c": {"name": "t", "unit": "Cel"},
        "pressure_kpa": {"name": "p", "scale": 0.001},
        "parked_count": {"name": "total", "sum": true},
    }});
    // 101325 Pa; the second `t` is in kelvin; `xt` only looks like `t`.
    let pack = br#"[{"bn":"a:","n":"p","u":"Pa","v":101325},{"n":"t","u":"Cel","v":20},
        {"n":"t","u":"K","v":293},{"n":"xt","u":"Cel","v":1},{"bs":100,"n":"total","s":7}]"#;
    let (decoded, done) = decode(profile, pack);
    done.unwrap();
    assert_eq!(
        seen(&decoded),
        [
            ("pressure_kpa".to_owned(), 101.325, None),
            ("temperature_c".to_owned(), 20.0, None),
            ("parked_count".to_owned(), 107.0, None),
        ]
    );
    assert_eq!(decoded.received, 3);
}

#[test]
fn a_pack_that_must_not_be_understood_in_part_is_refused_as_a_whole() {
    for (pack, reason) in [
        (
            &br#"[{"n":"a","v":1},{"n":"b","v":1,"x_":2}]"#[..],
            "unsupported_field",
        ),
        (br#"[{"n":"_a","v":1}]"#, "bad_name"),
        (br#"[{"n":"a","v":1,"vb":true}]"#, "several_values"),
        (br#"[{"n":"a","v":1},7]"#, "wrong_shape"),
        (br#"[{"n":"a","v":1,"t":"now"}]"#, "wrong_shape"),
        (b"\x81\xa1\x00", "invalid_cbor"),
        (b"\x80\x80", "invalid_cbor"),
        (b"\x9f\x01\xff", "wrong_shape"),
        (b"[", "invalid_json"),
    ] {
        let (decoded, done) = decode(json!({"codec": "senml"}), pack);
        assert_eq!(done.unwrap_err().reason, reason);
        assert_eq!((decoded.received, decoded.rejected.len()), (1, 1));
    }
}

#[test]
fn a_longitude_and_a_latitude_of_one_instant_are_a_position() {
    // RFC 8428, 5.1.4, with a pair that lacks its half.
    let pack = br#"[{"bn":"urn:dev:ow:10e2073a01080063","bt":1772323200,"u":"lon","v":24.30621},
        {"u":"lat","v":60.07965},{"u":"lon","t":60,"v":24.30622}]"#;
    let (decoded, done) = decode(json!({"codec": "senml"}), pack);
    done.unwrap();
    let [position] = decoded.observations.as_slice() else {
        panic!("{decoded:?}");
    };
    let model::Value::Position(place) = position.value else {
        panic!("{position:?}");
    };
    assert_eq!((place.lon, place.lat), (24.30621, 60.07965));
    assert_eq!(
        position.observed_at.unwrap().millis(),
        1_772_323_200_000,
        "the time of both"
    );
    assert_eq!(decoded.rejected[0].reason, "half_position");
    assert_eq!(decoded.received, 2);
}

#[test]
fn a_profile_names_the_halves_of_a_position() {
    let profile = json!({"codec": "senml", "values": {"position": {"lon": "x", "lat": "y"}}});
    let pack = br#"[{"bn":"a:","n":"y","v":24.5},{"bn":"b:","n":"x","v":1},{"bn":"a:","n":"x","v":118.1}]"#;
    let (decoded, done) = decode(profile, pack);
    done.unwrap();
    let model::Value::Position(place) = decoded.observations[0].value else {
        panic!("{decoded:?}");
    };
    assert_eq!((place.lon, place.lat), (118.1, 24.5));
    assert_eq!(
        decoded.rejected.len(),
        1,
        "the other thing has only one half"
    );
}
