//! Canonical JSON by hand: good, partly good, and everything that goes wrong in the field.

use super::decode;
use crate::Decoded;
use model::{Catalogue, DeviceKey, Quality, Timestamp, Value};

fn run(payload: &[u8]) -> Decoded {
    decode(&Catalogue::built_in(), DeviceKey(1), payload).0
}

/// Shows what was decoded as `metric=value@ts` and `metric!reason`, in order.
fn shown(payload: &str) -> (u32, Vec<String>) {
    let catalogue = Catalogue::built_in();
    let decoded = run(payload.as_bytes());
    let good = decoded.observations.iter().map(|o| {
        let name = &catalogue.def(o.metric).unwrap().name;
        let at = o
            .observed_at
            .map_or("-".to_owned(), |at| at.millis().to_string());
        format!("{name}={}@{at}", o.value.as_number().unwrap())
    });
    let bad = decoded
        .rejected
        .iter()
        .map(|r| format!("{}!{}", r.metric.as_deref().unwrap_or("-"), r.reason));
    (decoded.received, good.chain(bad).collect())
}

fn check(payload: &str, received: u32, expected: &[&str]) {
    let (count, list) = shown(payload);
    assert_eq!(list, expected, "{payload}");
    assert_eq!(count, received, "{payload}");
}

#[test]
fn an_object_an_array_and_a_flat_object_are_read() {
    check(
        r#"{"ts":1763700000000,"values":{"pressure_kpa":312.4,"battery_pct":91}}"#,
        2,
        &[
            "pressure_kpa=312.4@1763700000000",
            "battery_pct=91@1763700000000",
        ],
    );
    check(
        r#"{"values":{"laeq_dba":63.2},"ts":"2026-03-01T08:00:00.123+08:00"}"#,
        1,
        &["laeq_dba=63.2@1772323200123"],
    );
    check(
        r#"[{"ts":1,"values":{"pm10_ugm3":1}},{"ts":2,"pm10_ugm3":2}]"#,
        2,
        &["pm10_ugm3=1@1", "pm10_ugm3=2@2"],
    );
    check(
        r#"{"pressure_kpa":1,"smoke_alarm":true}"#,
        2,
        &["pressure_kpa=1@-", "smoke_alarm=1@-"],
    );
}

#[test]
fn good_values_beside_bad_ones_are_kept() {
    check(
        r#"{"pressure_kpa":NaN,"battery_pct":91}"#,
        2,
        &["battery_pct=91@-", "pressure_kpa!not_finite"],
    );
    check(
        r#"{"pressure_kpa":-Infinity,"battery_pct":91}"#,
        2,
        &["battery_pct=91@-", "pressure_kpa!not_finite"],
    );
    check(
        r#"{"pressure_kpa":"312","battery_pct":91,"fault":null,"humidity_pct":[1]}"#,
        4,
        &[
            "battery_pct=91@-",
            "pressure_kpa!wrong_type",
            "fault!wrong_type",
            "humidity_pct!wrong_type",
        ],
    );
    check(
        r#"{"colour":3,"battery_pct":91}"#,
        2,
        &["battery_pct=91@-", "colour!unknown_metric"],
    );
    check(
        r#"{"battery_pct":91,"battery_pct":92}"#,
        2,
        &["battery_pct=91@-", "battery_pct!duplicate_key"],
    );
    check(
        r#"{"battery_pct":91,"values":{"battery_pct":92}}"#,
        2,
        &["battery_pct=91@-", "battery_pct!duplicate_key"],
    );
    check(
        r#"[{"battery_pct":91},7,[{}],null,{}]"#,
        5,
        &[
            "battery_pct=91@-",
            "-!wrong_shape",
            "-!wrong_shape",
            "-!wrong_shape",
            "-!no_values",
        ],
    );
}

#[test]
fn a_record_whose_time_cannot_be_read_is_rejected_alone() {
    check(
        r#"[{"ts":"soon","values":{"battery_pct":91,"x":1}},{"ts":5,"values":{"battery_pct":90}}]"#,
        3,
        &[
            "battery_pct=90@5",
            "x!unknown_metric",
            "battery_pct!bad_timestamp",
        ],
    );
    check(
        r#"{"ts":1.5,"battery_pct":91}"#,
        1,
        &["battery_pct!bad_timestamp"],
    );
    check(
        r#"{"ts":1763700000000.0,"battery_pct":91}"#,
        1,
        &["battery_pct=91@1763700000000"],
    );
}

#[test]
fn what_is_no_message_counts_as_one() {
    for (payload, reason) in [
        (&b""[..], "empty_payload"),
        (b" \r\n", "empty_payload"),
        (b"{\"a\":", "invalid_json"),
        (b"{\"battery_pct\":91} x", "invalid_json"),
        (b"{\"battery_pct\":01}", "invalid_json"),
        (b"{\"battery_pct\":1e999}", "not_finite"),
        (b"{\xc3\x28\":1}", "invalid_utf8"),
        (b"42", "wrong_shape"),
        (b"\"x\"", "wrong_shape"),
        (b"{\"values\":7}", "wrong_shape"),
        (b"{\"pressure_kpa\":true}", "wrong_type"),
        (b"{\"position\":{\"lon\":NaN,\"lat\":3}}", "not_finite"),
        (
            b"{\"position\":{\"lon\":1,\"lat\":3,\"locked\":\"yes\"}}",
            "wrong_type",
        ),
        (
            b"{\"position\":{\"lon\":1,\"lat\":3,\"accuracy_m\":\"x\"}}",
            "wrong_type",
        ),
        (
            b"{\"position\":{\"lon\":1,\"lon\":2,\"lat\":3}}",
            "duplicate_key",
        ),
        (b"{}", "no_values"),
        (b"[]", "no_values"),
        (b"{\"ts\":1}", "no_values"),
    ] {
        let decoded = run(payload);
        let shown = String::from_utf8_lossy(payload);
        assert_eq!(decoded.received, 1, "{shown}");
        assert!(decoded.observations.is_empty(), "{shown}");
        assert_eq!(decoded.rejected.len(), 1, "{shown}");
        assert_eq!(decoded.rejected[0].reason, reason, "{shown}");
        assert!(decoded.rejected[0].detail.is_some(), "{shown}");
    }
}

#[test]
fn a_broken_message_takes_nothing_of_the_batch_with_it() {
    let catalogue = Catalogue::built_in();
    let mut out = Decoded::new(DeviceKey(1));
    super::decode_into(&catalogue, br#"{"battery_pct":91}"#, &mut out).unwrap();
    super::decode_into(&catalogue, br#"{"battery_pct":92,"x":1,"#, &mut out).unwrap_err();
    assert_eq!(
        (out.received, out.observations.len(), out.rejected.len()),
        (2, 1, 1)
    );
}

#[test]
fn deep_nesting_is_refused_without_harm() {
    let deep = "[".repeat(100_000);
    assert_eq!(run(deep.as_bytes()).received, 1);
    let nested = format!(
        r#"{{"battery_pct":91,"x":{}1{}}}"#,
        "[".repeat(5000),
        "]".repeat(5000)
    );
    let decoded = run(nested.as_bytes());
    assert_eq!(decoded.received, 2);
    assert_eq!(decoded.observations.len(), 1);
}

#[test]
fn a_value_out_of_range_is_kept_as_bad() {
    let decoded = run(br#"{"humidity_pct":155,"battery_pct":55}"#);
    let qualities: Vec<_> = decoded
        .observations
        .iter()
        .map(|o| o.quality.to_string())
        .collect();
    assert_eq!(qualities, ["bad:range", "good"]);
}

#[test]
fn a_position_is_read_with_accuracy_and_lock() {
    let decoded = run(
        br#"{"ts":5,"values":{"position":{"lon":118.1,"lat":24.5,"accuracy_m":8,"locked":true}}}"#,
    );
    let Value::Position(position) = decoded.observations[0].value else {
        panic!("no position")
    };
    assert_eq!((position.lon, position.lat), (118.1, 24.5));
    assert_eq!(
        (position.accuracy_m, position.locked),
        (Some(8.0), Some(true))
    );
    assert_eq!(
        decoded.observations[0].observed_at,
        Some(Timestamp::from_millis(5))
    );
    assert_eq!(decoded.observations[0].quality, Quality::GOOD);
    check(
        r#"{"position":{"lon":"x","lat":1}}"#,
        1,
        &["position!wrong_type"],
    );
    check(r#"{"position":7}"#, 1, &["position!wrong_type"]);
    let off_globe = run(br#"{"position":{"lon":500,"lat":24.5}}"#);
    assert!(off_globe.observations[0].quality.is_bad());
}

#[test]
fn a_record_of_the_wrong_shape_or_range_takes_nothing_of_the_others_with_it() {
    for wrong in ["[]", "[1,[2]]", "7", "-7", "1.5", "\"x\"", "null", "true"] {
        let payload =
            format!(r#"[{{"ts":5,"values":{{"battery_pct":91}}}},{{"ts":6,"values":{wrong}}}]"#);
        check(&payload, 2, &["battery_pct=91@5", "-!wrong_shape"]);
    }
    check(
        r#"{"ts":5,"pressure_kpa":-1e999,"battery_pct":91,"humidity_pct":5e1}"#,
        3,
        &[
            "battery_pct=91@5",
            "humidity_pct=50@5",
            "pressure_kpa!not_finite",
        ],
    );
}

#[test]
fn the_first_of_two_times_is_kept_and_the_second_counted() {
    check(
        r#"{"ts":5,"ts":6,"battery_pct":91}"#,
        2,
        &["battery_pct=91@5", "ts!duplicate_key"],
    );
}
