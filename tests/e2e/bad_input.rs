//! Bad input of every kind: counted with its reason, answered, and harmless to what is around it.

use serde_json::{Value, json};
use std::collections::BTreeMap;
use tests::audit::{self, Counts};
use tests::hub::{Hub, Place};
use tests::mqtt::{Client, Identity, Outcome, Publish, Version};
use tests::time::now_ms;

/// MQTT 5 `Payload format invalid`.
const PAYLOAD_INVALID: u8 = 0x99;

/// A bad message and what must become of it.
struct Case {
    name: &'static str,
    payload: Vec<u8>,
    /// The answer of HTTP.
    status: u16,
    stored: u64,
    rejected: &'static [(&'static str, u64)],
}

fn case(
    name: &'static str,
    payload: impl Into<Vec<u8>>,
    status: u16,
    stored: u64,
    rejected: &'static [(&'static str, u64)],
) -> Case {
    Case {
        name,
        payload: payload.into(),
        status,
        stored,
        rejected,
    }
}

fn cases() -> Vec<Case> {
    let ts = now_ms() - 60_000;
    let mut cases = unreadable(ts);
    cases.extend(not_finite_and_wrong(ts));
    cases.extend(wrong_times(ts));
    cases.extend(repeated_and_odd(ts));
    cases
}

/// Messages that are no telemetry as a whole.
fn unreadable(ts: i64) -> Vec<Case> {
    let nested = "[".repeat(20_000);
    let closed = format!("{}{}", "[".repeat(2_000), "]".repeat(2_000));
    let deep_value = format!(r#"{{"ts":{ts},"values":{{"battery_pct":{closed}}}}}"#);
    vec![
        case(
            "broken JSON",
            r#"{"values":{"battery_pct":"#,
            400,
            0,
            &[("invalid_json", 1)],
        ),
        case(
            "text after the end",
            r#"{"battery_pct":1}}"#,
            400,
            0,
            &[("invalid_json", 1)],
        ),
        case("empty payload", "", 400, 0, &[("empty_payload", 1)]),
        case(
            "only white space",
            " \r\n\t",
            400,
            0,
            &[("empty_payload", 1)],
        ),
        case("no object", "42", 400, 0, &[("wrong_shape", 1)]),
        case(
            "no UTF-8",
            b"{\"battery_pct\":1,\"\xff\":2}",
            400,
            0,
            &[("invalid_utf8", 1)],
        ),
        case("deep nesting", nested, 400, 0, &[("invalid_json", 1)]),
        case(
            "a value of deep nesting",
            deep_value,
            422,
            0,
            &[("wrong_type", 1)],
        ),
        case("no values", "{}", 422, 0, &[("no_values", 1)]),
    ]
}

/// One object of telemetry: its time and its values as text.
fn object(ts: i64, values: &str) -> String {
    format!(r#"{{"ts":{ts},"values":{{{values}}}}}"#)
}

fn not_finite_and_wrong(ts: i64) -> Vec<Case> {
    let infinities = r#""temperature_c":-Infinity,"humidity_pct":Infinity,"battery_pct":52"#;
    let types = r#""temperature_c":null,"humidity_pct":{},"fault":[1],"battery_pct":53"#;
    vec![
        case(
            "NaN beside a good value",
            object(ts, r#""temperature_c":NaN,"battery_pct":51"#),
            200,
            1,
            &[("not_finite", 1)],
        ),
        case(
            "infinities beside a good value",
            object(ts + 1, infinities),
            200,
            1,
            &[("not_finite", 2)],
        ),
        case(
            "a text for a number",
            r#"{"battery_pct":"91"}"#,
            422,
            0,
            &[("wrong_type", 1)],
        ),
        case(
            "wrong types beside a good value",
            object(ts + 2, types),
            200,
            1,
            &[("wrong_type", 3)],
        ),
        case(
            "an unknown metric beside a good value",
            object(ts + 3, r#""co2_ppm":400,"battery_pct":54"#),
            200,
            1,
            &[("unknown_metric", 1)],
        ),
        case(
            "an unknown metric alone",
            r#"{"co2_ppm":400}"#,
            422,
            0,
            &[("unknown_metric", 1)],
        ),
    ]
}

fn wrong_times(ts: i64) -> Vec<Case> {
    let next_year = now_ms() + 365 * 86_400_000;
    let battery = |ts, percent: i32| object(ts, &format!(r#""battery_pct":{percent}"#));
    let among = [battery(ts + 4, 55), battery(7, 56), battery(ts + 5, 57)].join(",");
    vec![
        case(
            "the year 1970",
            object(1000, r#""battery_pct":50,"temperature_c":20"#),
            422,
            0,
            &[("clock_implausible", 2)],
        ),
        case(
            "next year",
            battery(next_year, 50),
            422,
            0,
            &[("clock_implausible", 1)],
        ),
        case(
            "one record of 1970 among good ones",
            format!("[{among}]"),
            200,
            2,
            &[("clock_implausible", 1)],
        ),
        case(
            "a time that is none",
            r#"{"ts":"yesterday","values":{"battery_pct":50}}"#,
            422,
            0,
            &[("bad_timestamp", 1)],
        ),
    ]
}

fn repeated_and_odd(ts: i64) -> Vec<Case> {
    let good = object(ts + 7, r#""battery_pct":60"#);
    vec![
        case(
            "a key that stands twice",
            object(ts + 6, r#""battery_pct":58,"battery_pct":59"#),
            200,
            1,
            &[("duplicate_key", 1)],
        ),
        case(
            "an array with strangers in it",
            format!(r#"[7,{good},"x"]"#),
            200,
            1,
            &[("wrong_shape", 2)],
        ),
        case(
            "a value out of its range",
            object(ts + 8, r#""battery_pct":191"#),
            204,
            1,
            &[],
        ),
    ]
}

/// The values that the cases leave behind, in the order of their times.
const KEPT: [(f64, &str); 9] = [
    (51.0, "good"),
    (52.0, "good"),
    (53.0, "good"),
    (54.0, "good"),
    (55.0, "good"),
    (57.0, "good"),
    (58.0, "good"),
    (60.0, "good"),
    (191.0, "bad:range"),
];

fn expected(case: &Case) -> Counts {
    let rejected: BTreeMap<_, _> = case
        .rejected
        .iter()
        .map(|(reason, count)| ((*reason).to_owned(), *count))
        .collect();
    Counts {
        received: case.stored + rejected.values().sum::<u64>(),
        stored: case.stored,
        duplicate: 0,
        late: 0,
        rejected,
    }
}

fn register(hub: &Hub) {
    hub.register(&json!([{"id": "d-1", "kind": "dust"}, {"id": "good", "kind": "dust"}]));
}

fn check_kept(hub: &Hub) {
    let points = hub.points("d-1", "battery_pct");
    let kept: Vec<_> = points
        .iter()
        .map(|point| (point[1].as_f64().unwrap(), point[2].as_str().unwrap()))
        .collect();
    assert_eq!(kept, KEPT);
}

#[test]
fn every_bad_message_over_http_is_counted_and_answered_with_its_reason() {
    let place = Place::default();
    let hub = place.start();
    register(&hub);
    for case in cases() {
        let before = audit::ledger(&hub.api());
        let reply = hub.post("d-1", &case.payload);
        assert_eq!(reply.status, case.status, "{}: {}", case.name, reply.text());
        match case.status {
            204 => {}
            200 => {
                let body = reply.json();
                assert_eq!(body["stored"], case.stored, "{}", case.name);
                let listed = reasons(&body["rejected"]);
                assert_eq!(listed, expected(&case).rejected, "{}", case.name);
            }
            status => {
                let problem = reply.problem(status);
                let (reason, _) = case.rejected[0];
                assert!(
                    problem.to_string().contains(reason),
                    "{}: {problem}",
                    case.name
                );
                let detail = problem["detail"].as_str().unwrap();
                assert!(
                    detail.len() > 10,
                    "{}: says what is wrong: {detail}",
                    case.name
                );
            }
        }
        let after = audit::ledger(&hub.api());
        let counted = after.device("d-1").since(&before.device("d-1"));
        assert_eq!(counted, expected(&case), "{}", case.name);
        let total = after.total.since(&before.total);
        assert_eq!(total, expected(&case), "{}", case.name);
    }
    check_kept(&hub);
}

fn reasons(list: &Value) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for item in list.as_array().unwrap() {
        let reason = item["reason"].as_str().unwrap().to_owned();
        *counts.entry(reason).or_default() += 1;
    }
    counts
}

#[test]
fn every_bad_message_over_mqtt_is_counted_and_its_connection_goes_on() {
    for version in Version::BOTH {
        let place = Place::default();
        let hub = place.start();
        register(&hub);
        let mut device = Client::connect(hub.mqtt(), version, &Identity::device("d-1"));
        let mut beside = Client::connect(hub.mqtt(), version, &Identity::device("good"));
        for (case, number) in cases().iter().zip(1..) {
            let before = audit::ledger(&hub.api());
            let outcome = device.publish("devices/d-1/telemetry", &case.payload);
            let code = match version {
                // Good means on disk; version 3.1.1 has no other answer.
                Version::V5 if case.stored == 0 => PAYLOAD_INVALID,
                _ => 0,
            };
            assert_eq!(outcome, Outcome::Acked(code), "{}", case.name);
            beside.report(
                "good",
                &json!({"ts": now_ms(), "values": {"battery_pct": number}}),
            );
            let after = audit::ledger(&hub.api());
            let counted = after.device("d-1").since(&before.device("d-1"));
            assert_eq!(counted, expected(case), "{}", case.name);
            assert_eq!(after.device("good").stored, number, "{}", case.name);
        }
        check_kept(&hub);
    }
}

#[test]
fn what_could_not_be_decoded_is_kept_for_an_engineer_to_see() {
    let place = Place::default();
    let hub = place.start();
    register(&hub);
    let mut device = Client::connect(hub.mqtt(), Version::V3, &Identity::device("d-1"));
    let outcome = device.publish("devices/d-1/telemetry", b"{\"battery_pct\": oops}");
    assert_eq!(outcome, Outcome::Acked(0));
    let frames = hub.api_as("engineer").get("/api/v1/quarantine").to_string();
    assert!(
        frames.contains("invalid_json") && frames.contains("d-1"),
        "{frames}"
    );
    hub.api_as("viewer")
        .send("GET", "/api/v1/quarantine", None)
        .problem(403);
}

#[test]
fn a_message_over_the_limit_is_refused_and_counted() {
    let place = Place::default();
    let hub = place.start();
    register(&hub);
    let padding = " ".repeat(1024 * 1024);
    let large = format!(r#"{{"battery_pct":50}}{padding}"#);

    let reply = hub.post("d-1", large.as_bytes());
    reply.problem(413);
    for version in Version::BOTH {
        let mut device = Client::connect(hub.mqtt(), version, &Identity::device("d-1"));
        let outcome = device.publish("devices/d-1/telemetry", large.as_bytes());
        let expected = match version {
            Version::V3 => Outcome::Closed,
            // `Packet too large`.
            Version::V5 => Outcome::Disconnected(0x95),
        };
        assert_eq!(outcome, expected);
    }
    // The device is welcome again at once, and its next good value is stored.
    let mut device = Client::connect(hub.mqtt(), Version::V3, &Identity::device("d-1"));
    device.report("d-1", &json!({"battery_pct": 50}));
    let ledger = audit::ledger(&hub.api());
    assert_eq!(ledger.total.rejected.get("packet_too_large"), Some(&3));
    assert_eq!(ledger.total.stored, 1);
}

#[test]
fn a_body_of_just_the_limit_is_taken() {
    let place = Place::default();
    let hub = place.start();
    register(&hub);
    let mut body = br#"{"battery_pct":50}"#.to_vec();
    body.resize(1024 * 1024, b' ');
    assert_eq!(hub.post("d-1", &body).status, 204);
}

#[test]
fn a_topic_that_is_no_text_is_counted_and_harms_nobody() {
    for version in Version::BOTH {
        let place = Place::default();
        let hub = place.start();
        register(&hub);
        let mut beside = Client::connect(hub.mqtt(), version, &Identity::device("good"));
        let mut device = Client::connect(hub.mqtt(), version, &Identity::device("d-1"));
        let publish = Publish {
            topic: b"devices/d-1/\xff\xfe",
            payload: b"{\"battery_pct\":50}",
            qos: 1,
            packet_id: 9,
        };
        device.send(&publish.bytes(version));
        // MQTT 1.5.3: ill-formed UTF-8 in a topic closes the connection.
        while let Some(packet) = device.read() {
            assert_eq!(packet.kind(), 14, "no PUBACK: {packet:?}");
        }
        beside.report("good", &json!({"battery_pct": 50}));
        let ledger = audit::ledger(&hub.api());
        assert_eq!(
            ledger.total.rejected.get("invalid_topic"),
            Some(&1),
            "{ledger:?}"
        );
        assert_eq!(ledger.device("good").stored, 1);
    }
}

#[test]
fn bytes_that_are_no_mqtt_end_only_their_own_connection() {
    let place = Place::default();
    let hub = place.start();
    register(&hub);
    let mut beside = Client::connect(hub.mqtt(), Version::V5, &Identity::device("good"));
    let garbage: [&[u8]; 6] = [
        b"GET / HTTP/1.1\r\n\r\n",
        &[0xff; 64],
        // A length that never ends.
        &[0x10, 0xff, 0xff, 0xff, 0xff, 0xff],
        // A PUBLISH before any CONNECT.
        &[0x30, 0x03, 0x00, 0x01, b'a'],
        // CONNECT whose fields promise more than it has.
        &[
            0x10, 0x0a, 0x00, 0x04, b'M', b'Q', b'T', b'T', 0x04, 0xc2, 0x00, 0x3c,
        ],
        // CONNECT of a version that does not exist.
        &[
            0x10, 0x0c, 0x00, 0x04, b'M', b'Q', b'T', b'T', 0x09, 0x02, 0, 60, 0, 0,
        ],
    ];
    for bytes in garbage {
        let mut stranger = Client::open(hub.mqtt(), Version::V3);
        stranger.send(bytes);
        while let Some(packet) = stranger.read() {
            let refused = packet.kind() == 2 && packet.body.get(1) != Some(&0);
            assert!(refused || packet.kind() == 14, "{packet:?}");
        }
        beside.ping();
    }
    beside.report("good", &json!({"battery_pct": 50}));
}
