//! From pushes to readings: profiles, frames, times, and whatever bytes come.

use super::{onenet, only};
use crate::fuzzed::push_of;
use crate::{Content, Moment, Platform, Report, Subject};
use codecs::{Book, Decoded, Profile};
use model::{Catalogue, DeviceKey, Timestamp};
use proptest::prelude::*;
use serde_json::{Value, json};

/// 2026-03-01T00:05:00Z.
const ARRIVAL: Timestamp = Timestamp::from_millis(1_772_323_500_000);

/// One frame of the vectors: 2.5, 2.2, 1.8 kPa until 2026-03-01T00:00:00Z.
const FRAME: &str =
    "a55a00002d5348475332363033303030318aba012c0003000100140023001269a38180001900160012a8c555aa";

/// The same in base64.
const FRAME_BASE64: &str = "pVoAAC1TSEdTMjYwMzAwMDGKugEsAAMAAQAUACMAEmmjgYAAGQAWABKoxVWq";

fn book(profile: &Value) -> Book {
    let profile: Profile = serde_json::from_value(profile.clone()).unwrap();
    Book::new(&Catalogue::built_in(), [("p", &profile)]).unwrap()
}

fn take(report: &Report, profile: Option<&Value>) -> Decoded {
    let book = profile.map(book).unwrap_or_default();
    let subject = Subject {
        key: DeviceKey(1),
        profile: profile.map(|_| "p"),
        terminal: Some("SHGS26030001"),
    };
    report.take(&Catalogue::built_in(), &book, subject, ARRIVAL)
}

/// Metric, number, milliseconds and quality of each value.
fn seen(decoded: &Decoded) -> Vec<(String, f64, Option<i64>, String)> {
    let catalogue = Catalogue::built_in();
    let row = |of: &model::Observation| {
        (
            catalogue.def(of.metric).unwrap().name.clone(),
            of.value.as_number().unwrap(),
            of.observed_at.map(|at| at.millis()),
            of.quality.to_string(),
        )
    };
    decoded.observations.iter().map(row).collect()
}

fn row(
    metric: &str,
    number: f64,
    at: Option<i64>,
    quality: &str,
) -> (String, f64, Option<i64>, String) {
    (metric.to_owned(), number, at, quality.to_owned())
}

fn ctwing(payload: &Value, timestamp: &Value) -> Report {
    let body = json!({"messageType": "dataReport", "deviceId": "d", "timestamp": timestamp,
        "IMEI": "", "serviceId": "", "payload": payload});
    only(&Platform::Ctwing, &body)
}

#[test]
fn values_are_named_by_the_profile_at_the_platforms_time() {
    let profile = json!({"codec": "json", "values": {
        "smoke_alarm": {"at": "/Alarm_Status", "words": {"2": 1}, "otherwise": 0},
        "battery_pct": {"at": "/Battery_Level"},
        "signal_dbm": {"at": "/RSRP", "scale": -1.0},
    }});
    let data = json!({"Alarm_Status": 2, "Battery_Level": "100", "RSRP": 114, "SNR": 1});
    let report = ctwing(
        &json!({"serviceId": "notification", "serviceData": data}),
        &json!("1772323200277"),
    );
    let at = Some(1_772_323_200_277);
    let rows = [
        row("battery_pct", 100.0, at, "good"),
        row("signal_dbm", -114.0, at, "good"),
        row("smoke_alarm", 1.0, at, "good"),
    ];
    assert_eq!(seen(&take(&report, Some(&profile))), rows);
    // Without it the names would have to be those of metrics.
    let bare = take(&report, None);
    assert_eq!((bare.received, bare.observations.len()), (4, 0));
    assert!(
        bare.rejected
            .iter()
            .all(|bad| bad.reason == "unknown_metric")
    );
}

#[test]
fn a_time_that_cannot_be_right_costs_the_time_and_not_the_value() {
    let payload = json!({"pressure_kpa": 2.5});
    for (time, at, quality) in [
        (
            json!(1_772_323_200_000_i64),
            Some(1_772_323_200_000),
            "good",
        ),
        (json!(1_772_323_200), Some(1_772_323_200_000), "good"),
        (json!(""), None, "good"),
        (json!(null), None, "good"),
        (json!("soon"), None, "uncertain:clock"),
        (json!(0), None, "uncertain:clock"),
        (json!([]), None, "uncertain:clock"),
        (json!(1_466_133_706_841_i64), None, "uncertain:clock"),
        (json!(9_999_999_999_999_i64), None, "uncertain:clock"),
    ] {
        let decoded = take(&ctwing(&payload, &time), None);
        assert_eq!(
            seen(&decoded),
            [row("pressure_kpa", 2.5, at, quality)],
            "{time}"
        );
    }
    // The values' own time goes before the platform's, unless its clock is wrong.
    let platform = json!(1_772_323_200_000_i64);
    for (own, at, quality) in [
        (1_772_323_100_000_i64, 1_772_323_100_000, "good"),
        (86_400_000, 1_772_323_200_000, "uncertain:clock"),
    ] {
        let decoded = take(
            &ctwing(&json!({"pressure_kpa": 2.5, "ts": own}), &platform),
            None,
        );
        assert_eq!(
            seen(&decoded),
            [row("pressure_kpa", 2.5, Some(at), quality)]
        );
    }
}

/// The pressures and their times.
fn pressures(decoded: &Decoded) -> Vec<(f64, Option<i64>)> {
    let rows = seen(decoded).into_iter();
    rows.filter(|row| row.0 == "pressure_kpa")
        .map(|row| (row.1, row.2))
        .collect()
}

#[test]
fn a_raw_frame_is_found_in_whatever_the_platform_makes_of_it() {
    let expected = [
        (2.5, Some(1_772_322_600_000)),
        (2.2, Some(1_772_322_900_000)),
        (1.8, Some(1_772_323_200_000)),
    ];
    let stamp = json!(1_772_323_201_000_i64);
    let digits = json!({"notifyType": "deviceDataChanged", "deviceId": "d",
        "service": {"serviceId": "s", "data": {"len": 45, "payload": FRAME}}});
    let reports = [
        ctwing(&json!({ "APPdata": FRAME_BASE64 }), &stamp),
        ctwing(
            &json!({ "APPdata": FRAME_BASE64.trim_end_matches('=') }),
            &stamp,
        ),
        ctwing(&json!(FRAME_BASE64), &stamp),
        only(&Platform::Oceanconnect, &digits),
    ];
    for report in &reports {
        assert_eq!(report.terminal().as_deref(), Some("SHGS26030001"));
        assert_eq!(pressures(&take(report, None)), expected);
        let raw = json!({"codec": "pressure_frame"});
        assert_eq!(pressures(&take(report, Some(&raw))), expected);
    }
    let subject = Subject {
        key: DeviceKey(1),
        profile: None,
        terminal: Some("SHGS26030002"),
    };
    let other = reports[0].take(&Catalogue::built_in(), &Book::default(), subject, ARRIVAL);
    assert_eq!(other.rejected[0].reason, "other_device");
    assert!(other.observations.is_empty());
}

#[test]
fn bytes_that_nobody_knows_and_frames_that_are_cut_are_one_rejected_value() {
    for (data, reason) in [
        ("UFUAPBAAAAYBAAMAJwM6Prpo", "unknown_payload"),
        ("QEA=", "unknown_payload"),
        ("", "unknown_payload"),
        ("pVoAAC1TSEdT", "incomplete"),
        ("%%%=", "payload_base64"),
        ("eyJ4IjoxfQ==", "unknown_metric"),
        ("ey4uLn0=", "invalid_json"),
    ] {
        let decoded = take(&ctwing(&json!({ "APPdata": data }), &json!(null)), None);
        assert_eq!((decoded.received, decoded.rejected.len()), (1, 1), "{data}");
        assert_eq!(decoded.rejected[0].reason, reason, "{data}");
    }
}

#[test]
fn what_holds_no_reading_is_known_for_what_it_is() {
    let online = |state: Value| {
        json!({"messageType": "deviceOnlineOfflineReport", "deviceId": "d", "eventType": state,
            "timestamp": 1_772_323_200_000_i64})
    };
    let report = only(&Platform::Ctwing, &online(json!("1")));
    let sign = row("heartbeat", 1.0, Some(1_772_323_200_000), "good");
    assert_eq!(seen(&take(&report, None)), [sign]);
    let ocean = |status: &str| {
        json!({"notifyType": "deviceInfoChanged", "deviceId": "d",
        "deviceInfo": {"status": status}})
    };
    for (platform, body, content) in [
        (Platform::Ctwing, online(json!(0)), Content::Online(false)),
        (
            Platform::Ctwing,
            json!({"messageType": "commandResponse", "deviceId": "d", "taskId": 7, "result": {"resultCode": "SENT"}}),
            Content::Nothing,
        ),
        (
            Platform::Oceanconnect,
            ocean("OFFLINE"),
            Content::Online(false),
        ),
        (Platform::Oceanconnect, ocean("ABNORMAL"), Content::Nothing),
        (
            Platform::Oceanconnect,
            json!({"notifyType": "deviceDeleted", "deviceId": "d"}),
            Content::Nothing,
        ),
    ] {
        let report = only(&platform, &body);
        assert_eq!(report.content, Ok(content));
        assert_eq!(take(&report, None), Decoded::new(DeviceKey(1)));
    }
    assert_eq!(
        only(&Platform::Oceanconnect, &ocean("ONLINE")).content,
        Ok(Content::Online(true))
    );
}

#[test]
fn one_push_may_hold_several_services_and_several_messages() {
    let service = |number: u8| json!({"serviceId": number, "data": {"x": number}, "eventTime": "20200401T182505Z"});
    let body = json!({"notifyType": "deviceDatasChanged", "deviceId": "d", "services": [service(1), service(2)]});
    let reports = Platform::Oceanconnect
        .read(body.to_string().as_bytes())
        .unwrap();
    assert_eq!(reports.len(), 2);
    assert_eq!(reports[1].origin.service, json!(2));
    // 2020-04-01T18:25:05Z.
    assert!(matches!(reports[1].at, Moment::At(at) if at.millis() == 1_585_765_505_000));
    let one =
        json!({"messageType": "dataReport", "deviceId": 7, "IMEI": "undefined", "payload": {}});
    let many = json!([one, 7, null, {"deviceId": "-1"}]).to_string();
    let reports = Platform::Ctwing.read(many.as_bytes()).unwrap();
    assert_eq!(reports[0].names, [("ctwing", "7".to_owned())]);
    let reasons = reports[1..].iter().map(|report| {
        assert!(report.names.is_empty());
        report.content.as_ref().unwrap_err().reason.clone()
    });
    assert!(
        reasons
            .into_iter()
            .all(|reason| reason == "unknown_message_type")
    );
}

#[test]
fn studio_gives_each_value_its_own_time() {
    let report = |params: Value| {
        let msg = json!({"notifyType": "property", "productId": "p", "deviceName": "n", "data": {"params": params}});
        let signed = msg.to_string();
        // The signature is made by what is tested; that it is right is tested elsewhere.
        push_of(&signed).unwrap()
    };
    let body = report(
        json!({"a": {"value": 1, "time": 1_772_323_200_000_i64}, "b": {"value": 2, "time": "1772323200001"},
        "c": {"value": 3, "time": 1_772_323_200_000_i64}, "d": 4}),
    );
    let reports = onenet().read(body.as_bytes()).unwrap();
    let contents: Vec<_> = reports
        .iter()
        .map(|report| report.content.clone().unwrap())
        .collect();
    assert_eq!(
        contents,
        [
            Content::Values(json!({"d": 4})),
            Content::Values(json!({"a": 1, "c": 3})),
            Content::Values(json!({"b": 2})),
        ]
    );
    assert_eq!(
        reports[0].names,
        [("onenet", "p/n".to_owned()), ("onenet", "n".to_owned())]
    );
}

/// JSON that looks like a push.
fn pushes() -> impl Strategy<Value = Value> {
    let word = prop::sample::select(vec![
        "messageType",
        "dataReport",
        "eventReport",
        "payload",
        "APPdata",
        "serviceData",
        "deviceId",
        "IMEI",
        "timestamp",
        "eventType",
        "eventContent",
        "notifyType",
        "deviceDataChanged",
        "service",
        "services",
        "data",
        "eventTime",
        "type",
        "dev_id",
        "ds_id",
        "value",
        "at",
        "params",
        "deviceInfo",
        "status",
        "ONLINE",
        "20200401T182505Z",
        FRAME,
        FRAME_BASE64,
        "pressure_kpa",
        "ts",
        "undefined",
        "",
    ]);
    let leaf = prop_oneof![
        word.clone().prop_map(|word| json!(word)),
        any::<i64>().prop_map(|number| json!(number)),
        any::<f64>().prop_map(|number| json!(number)),
        any::<String>().prop_map(|text| json!(text)),
        Just(json!(null)),
        any::<bool>().prop_map(|flag| json!(flag)),
    ];
    leaf.prop_recursive(4, 32, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            prop::collection::vec((word.clone(), inner), 0..6).prop_map(|fields| fields
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value))
                .collect()),
        ]
    })
}

/// Reads a push as each platform and checks that its counts balance.
fn check(body: &[u8]) {
    let raw = json!({"codec": "pressure_frame", "frame": "/value"});
    for platform in [Platform::Ctwing, Platform::Oceanconnect, onenet()] {
        for report in platform.read(body).unwrap_or_default() {
            for profile in [None, Some(&raw)] {
                let decoded = take(&report, profile);
                let counted = decoded.observations.len() + decoded.rejected.len();
                assert_eq!(decoded.received as usize, counted);
            }
            report.raw();
        }
    }
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic_or_lose_count(body in prop::collection::vec(any::<u8>(), 0..400)) {
        check(&body);
        onenet().validate(&String::from_utf8_lossy(&body));
    }

    #[test]
    fn nothing_that_looks_like_a_push_makes_it_panic_or_lose_count(push in pushes()) {
        let text = push.to_string();
        check(text.as_bytes());
        check(push_of(&text).unwrap().as_bytes());
    }
}
