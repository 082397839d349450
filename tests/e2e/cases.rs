//! From a reading over the limit to a closed case, as a city's platform lives through it.

use serde_json::{Value, json};
use std::process::Command;
use tests::fleet::overpressure;
use tests::http::{Api, Reply};
use tests::hub::{Hub, Place, plain_config, token, words};
use tests::mqtt::{Client, Identity, Outcome, Version};
use tests::time::now_ms;

const GRID: &str = r#"{"type":"FeatureCollection","features":[
    {"type":"Feature","properties":{"code":"350203001002003"},"geometry":{"type":"Polygon","coordinates":
        [[[118.08,24.47],[118.10,24.47],[118.10,24.49],[118.08,24.49],[118.08,24.47]]]}}]}"#;

/// A city with unit grids, a regulator station and a rule on its pressure.
fn city() -> (Place, Hub) {
    let config = plain_config().replace("[http]\n", "grid = \"grid.geojson\"\n[http]\n");
    let place = Place::with_config(&config);
    std::fs::write(place.path().join("grid.geojson"), GRID).unwrap();
    let hub = place.start();
    hub.register(
        &json!([{"id": "gas-1", "kind": "gas_pressure", "name": "花园路调压箱03",
        "location": {"lon": 118.0894, "lat": 24.4798}}]),
    );
    hub.rule("gas_overpressure", &category(overpressure()));
    (place, hub)
}

fn category(mut rule: Value) -> Value {
    rule["category"] = json!("0403");
    rule
}

fn measure(hub: &Hub, device: &str, kpa: f64) {
    hub.store(
        device,
        &json!({"ts": now_ms(), "values": {"pressure_kpa": kpa}}),
    );
}

fn post(api: &Api, case: &str, report: &Value) -> Reply {
    api.post(&format!("/api/v1/cases/{case}/steps"), report)
}

#[track_caller]
fn step(api: &Api, case: &str, step: &str) -> Value {
    post(api, case, &json!({ "step": step })).expect(200)
}

fn platform(hub: &Hub, version: Version) -> Client {
    let identity = Identity::named("city", &token("platform"));
    Client::connect(hub.mqtt(), version, &identity)
}

#[test]
#[expect(clippy::too_many_lines, reason = "one story, told in order")]
fn a_reading_over_the_limit_becomes_a_case_that_is_disposed_of_over_http_and_mqtt() {
    let (place, hub) = city();
    measure(&hub, "gas-1", 300.0);
    measure(&hub, "gas-1", 412.5);
    let api = hub.api_as("platform");
    let case = api.get("/api/v1/cases/c1");
    assert_eq!(
        case["category"],
        json!({"code": "0403", "name": "燃气管道破裂"})
    );
    assert_eq!(case["grid"], "350203001002003");
    assert_eq!(
        (&case["district"], &case["street"]),
        (&json!("350203"), &json!("350203001"))
    );
    assert_eq!(case["evidence"]["value"], 412.5);
    step(&api, "c1", "accept");
    let topic = "cases/c1/steps";
    let mut modern = platform(&hub, Version::V5);
    let dispatched = json!({"step": "dispatch", "actor": "调度员", "id": "m-1"}).to_string();
    for _ in 0..2 {
        // The same id, twice: it is carried out once.
        assert_eq!(
            modern.publish(topic, dispatched.as_bytes()),
            Outcome::Acked(0)
        );
    }
    let mut old = platform(&hub, Version::V3);
    assert_eq!(
        old.publish(topic, br#"{"step":"handle"}"#),
        Outcome::Acked(0)
    );
    let port = hub.mqtt().port().to_string();
    let sent = Command::new("mosquitto_pub")
        .args([
            "-h",
            "127.0.0.1",
            "-p",
            &port,
            "-q",
            "1",
            "-u",
            "city",
            "-P",
            &token("platform"),
        ])
        .args([
            "-t",
            topic,
            "-m",
            r#"{"step":"feedback","note":"阀门已关"}"#,
        ])
        .output()
        .expect("mosquitto_pub is installed");
    assert!(sent.status.success(), "{}", words(&sent));
    hub.kill();
    let hub = place.start();
    let api = hub.api_as("platform");
    step(&api, "c1", "verify");
    let refused = post(&api, "c1", &json!({"step": "close"})).problem(409);
    assert_eq!(refused["reading"]["value"], 412.5);
    assert_eq!(refused["possible"], json!(["close", "return", "supervise"]));
    measure(&hub, "gas-1", 300.0);
    let closed = step(&api, "c1", "close");
    assert_eq!(closed["state"], "closed");
    let steps: Vec<&str> = closed["steps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|s| s["step"].as_str().unwrap())
        .collect();
    assert_eq!(
        steps,
        [
            "accept", "dispatch", "handle", "feedback", "verify", "close"
        ]
    );
    assert_eq!(api.get("/api/v1/cases/c1"), closed);
    assert_eq!(api.get("/api/v1/cases")["items"], json!([]));

    let events = api.get("/api/v1/events?after=0&limit=1000")["items"]
        .as_array()
        .unwrap()
        .clone();
    let numbers: Vec<u64> = events
        .iter()
        .map(|e| e["sequence"].as_str().unwrap().parse().unwrap())
        .collect();
    assert_eq!(
        numbers,
        (1..=events.len() as u64).collect::<Vec<_>>(),
        "without a hole"
    );
    let of_case: Vec<&str> = events
        .iter()
        .filter(|e| e["subject"] == "c1")
        .map(|e| e["type"].as_str().unwrap())
        .collect();
    assert_eq!(
        of_case,
        [
            "cityhub.case.opened",
            "cityhub.case.step",
            "cityhub.case.step",
            "cityhub.case.step",
            "cityhub.case.step",
            "cityhub.case.step",
            "cityhub.case.updated",
            "cityhub.case.step",
            "cityhub.case.closed",
        ]
    );
    let raised = events
        .iter()
        .find(|e| e["type"] == "cityhub.alarm.raised")
        .unwrap();
    assert_eq!(raised["data"]["case"], "c1");
    hub.kill();
    place.verify();
}

#[test]
fn a_step_is_for_platforms_and_says_what_is_wrong_with_it() {
    let (_place, hub) = city();
    measure(&hub, "gas-1", 450.0);
    for role in ["viewer", "officer", "engineer", "auditor"] {
        post(&hub.api_as(role), "c1", &json!({"step": "accept"})).problem(403);
    }
    let api = hub.api_as("platform");
    post(&api, "c1", &json!({"step": "accept", "when": 1})).problem(400);
    post(&api, "c1", &json!({"step": "finish"})).problem(400);
    post(&api, "c1", &json!({"step": "void"})).problem(422);
    post(&api, "c7", &json!({"step": "accept"})).problem(404);
    post(&api, "c1", &json!({"step": "accept", "version": 9})).problem(409);

    let topic = "cases/c1/steps";
    let mut modern = platform(&hub, Version::V5);
    assert_eq!(
        modern.publish(topic, br#"{"step":"close"}"#),
        Outcome::Acked(0x83)
    );
    assert_eq!(modern.publish(topic, b"close"), Outcome::Acked(0x99));
    let mut viewer = Client::connect(
        hub.mqtt(),
        Version::V5,
        &Identity::named("city", &token("viewer")),
    );
    assert_eq!(
        viewer.publish(topic, br#"{"step":"accept"}"#),
        Outcome::Acked(0x87)
    );
    let identity = Identity::named("listener", &token("platform"));
    let mut listener = Client::connect(hub.mqtt(), Version::V3, &identity);
    assert_eq!(listener.subscribe("cases/+/steps/result", 1), 0);
    let mut old = platform(&hub, Version::V3);
    let outcome = old.publish(topic, br#"{"step":"close","id":"m-2"}"#);
    assert_eq!(outcome, Outcome::Acked(0));
    // What was told of the steps before may still be on its way.
    let told = loop {
        let message = listener.message();
        assert_eq!(message.topic, "cases/c1/steps/result");
        let told: Value = serde_json::from_slice(&message.payload).unwrap();
        if told["id"] == "m-2" {
            break told;
        }
    };
    assert_eq!(
        (&told["id"], &told["done"], &told["state"]),
        (&json!("m-2"), &json!(false), &json!("reported"))
    );
    assert_eq!(api.get("/api/v1/cases/c1")["version"], 1);

    let audit = hub.api_as("auditor").get("/api/v1/audit");
    let steps = audit["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|row| row["action"] == "case_step");
    assert_eq!(steps.count(), 0, "what changes nothing is no action");
    let refused = audit["items"].as_array().unwrap().iter();
    let refused: Vec<&Value> = refused
        .filter(|row| row["action"] == "case_step_refused" && row["subject"] == "c1")
        .map(|row| &row["detail"])
        .collect();
    let steps: Vec<&Value> = refused
        .iter()
        .map(|detail| &detail["step"]["step"])
        .collect();
    assert_eq!(steps, ["void", "accept", "close", "close"], "{refused:?}");
    assert!(refused[0]["reason"].as_str().unwrap().contains("`note`"));
}
