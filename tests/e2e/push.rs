//! NB-IoT platforms that push: every vector posted by curl, and the promises to platforms and devices.

use serde_json::{Value, json};
use std::process::Command;
use tests::audit;
use tests::http::{Reply, Request};
use tests::hub::{Hub, Place, plain_config, root};
use tests::time::now_ms;

const AEP: &str = "/push/3f9c0a7be1d24485";
const OCEAN: &str = "/push/9b1e55d0c2a74f36";

const CONFIG: &str = r#"
[drivers.ingest.push.aep]
format = "ctwing"
path = "/push/3f9c0a7be1d24485"
from = "127.0.0.0/8, ::1"
[drivers.ingest.push.mobile]
format = "onenet"
path = "/push/onenet"
token = "city-hub-token"
[drivers.ingest.push.ocean]
format = "oceanconnect"
path = "/push/9b1e55d0c2a74f36"

[profiles.lian]
codec = "json"
[profiles.lian.values]
smoke_alarm = { at = "/Alarm_Status", words = { 2 = 1 }, otherwise = 0 }
battery_pct = { at = "/Battery_Level" }
signal_dbm = { at = "/RSRP", scale = -1 }

[profiles.water]
codec = "json"
[profiles.water.values]
water_level_m = { at = "/liquid_level", scale = 0.01 }

[profiles.battery]
codec = "json"
[profiles.battery.values]
battery_low = { at = "/battery_state" }

[profiles.streams]
codec = "json"
[profiles.streams.values]
laeq_dba = { at = "/datastream_id" }
temperature_c = { at = "/t" }

[profiles.studio]
codec = "json"
[profiles.studio.values]
smoke_alarm = { at = "/smoke" }
battery_pct = { at = "/battery" }

[profiles.wanlin]
codec = "json"
[profiles.wanlin.values]
temperature_c = { at = "/temperature", scale = 0.1 }
battery_pct = { at = "/electricQuantity" }

[profiles.nbsmoke]
codec = "json"
[profiles.nbsmoke.values]
smoke_alarm = { at = "/valuestring", split = ":,", part = 2, words = { ALARM = 1 }, otherwise = 0 }

[profiles.x]
codec = "json"
[profiles.x.values]
fault = { at = "/x" }
"#;

fn city() -> (Place, Hub) {
    let place = Place::with_config(&(plain_config() + CONFIG));
    let hub = place.start();
    let device = |id: &str, platform: &str, name: &str, profile: Option<&str>| json!({"id": id, "kind": "smoke", "profile": profile, "identities": {platform: name}});
    hub.register(&json!([
        device("lian", "ctwing", "acf7baaee65e431eadfb8f5fe50e8b81", Some("lian")),
        device("transmitter", "ctwing", "1501708501", None),
        // By its IMEI, whatever the platform calls it.
        device("water", "imei", "861050042916166", Some("water")),
        device("hydrant", "ctwing", "44d0b9e48d404094bbbcf889e4e64ece", None),
        device("battery", "ctwing", "d01308047f864601a821e02dc328eab4", Some("battery")),
        device("broken", "ctwing", "d", None),
        device("streams", "onenet", "2016617", Some("streams")),
        device("cut", "onenet", "2016690", None),
        device("studio", "onenet", "9MaFx0N2lU/smoke-0001", Some("studio")),
        device("wanlin", "oceanconnect", "e917e013-044b-4f32-8b53-588ef68c185a", Some("wanlin")),
        device("hex", "oceanconnect", "a2664352-9505-45a5-9913-ae01a2660566", None),
        device("nbsmoke", "oceanconnect", "055d9c93-ef90-408b-9d3f-6971fd36b8dd", Some("nbsmoke")),
        device("clockless", "oceanconnect", "a", Some("x")),
        {"id": "gas-7", "kind": "gas_pressure", "identities": {"pressure_frame": "SHGS26030001"}},
    ]));
    (place, hub)
}

fn ingest(hub: &Hub, method: &str, path: &str, body: &str) -> Reply {
    let request = Request {
        method,
        path,
        headers: &[("content-type", "application/json")],
        body: body.as_bytes(),
    };
    request.send(hub.addr("ingest.listen")).unwrap()
}

/// Sends one vector with curl, and gives status and body.
fn curl(hub: &Hub, path: &str, vector: &Value) -> (u16, String) {
    let input = vector["input_text"].as_str().unwrap();
    let asked = input
        .strip_prefix("GET ")
        .and_then(|rest| rest.strip_suffix(" HTTP/1.1"));
    let url = format!(
        "http://{}{}",
        hub.addr("ingest.listen"),
        asked.unwrap_or(path)
    );
    let mut command = Command::new("curl");
    command.args(["-sS", "-w", "\n%{http_code}", &url]);
    if asked.is_none() {
        let json = "Content-Type: application/json;charset=UTF-8";
        command.args(["-H", json, "--data-binary", input]);
    }
    let output = command.output().expect("curl is there");
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let (body, status) = text.rsplit_once('\n').unwrap();
    (status.parse().unwrap(), body.to_owned())
}

fn vectors(platform: &str) -> Vec<Value> {
    let path = root().join(format!("drivers/nbiot/testdata/{platform}_push.jsonl"));
    let text = std::fs::read_to_string(path).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// Sends every vector of a platform twice, as a platform does that missed the first answer.
fn send_all(hub: &Hub, platform: &str, path: &str) {
    for vector in vectors(platform) {
        let name = vector["name"].as_str().unwrap();
        let expected = match vector["expect_error"].as_str() {
            Some("json") => 400,
            Some("signature") => 403,
            // A bad time or payload: to send it again cannot help.
            _ => 200,
        };
        for _ in 0..2 {
            let (status, body) = curl(hub, path, &vector);
            assert_eq!(status, expected, "{name}: {body}");
            if let Some(word) = vector["expect"]["reply_body"].as_str() {
                assert_eq!(body, word, "{name}");
            }
        }
    }
}

#[test]
fn every_vector_of_the_platforms_is_stored_at_its_time_and_once() {
    let (place, hub) = city();
    send_all(&hub, "ctwing", AEP);
    send_all(&hub, "onenet", "/push/onenet");
    send_all(&hub, "oceanconnect", OCEAN);
    let point = |device: &str, metric: &str, at: i64, number: f64| {
        let points = hub.points(device, metric);
        assert_eq!(points, [json!([at, number, "good"])], "{device} {metric}");
    };
    // 2020-12-03T07:58:40.277Z, 2021-08-31T09:58:50.495Z, 2021-04-27T11:42:47.263Z.
    point("lian", "smoke_alarm", 1_606_982_320_277, 1.0);
    point("lian", "battery_pct", 1_606_982_320_277, 100.0);
    point("lian", "signal_dbm", 1_606_982_320_277, -114.0);
    point("water", "water_level_m", 1_630_403_930_495, 4.02);
    point("battery", "battery_low", 1_619_523_767_263, 1.0);
    // 2026-03-01T00:00:00.123Z, 2020-04-01T18:25:05Z.
    point("studio", "smoke_alarm", 1_772_323_200_123, 1.0);
    point("studio", "battery_pct", 1_772_323_200_123, 86.0);
    point("wanlin", "temperature_c", 1_585_765_505_000, 21.9);
    point("nbsmoke", "smoke_alarm", 1_585_765_505_000, 1.0);
    // Nobody believes 2016, nor a time that is none: the values count as of their arrival, once.
    let uncertain = |device: &str, metric: &str, numbers: &[f64]| {
        let points = hub.points(device, metric);
        let found: Vec<_> = points
            .iter()
            .map(|point| point[1].as_f64().unwrap())
            .collect();
        assert_eq!(found, numbers, "{device} {metric}");
        assert!(
            points.iter().all(|point| point[2] == "uncertain:clock"),
            "{points:?}"
        );
    };
    uncertain("streams", "laeq_dba", &[42.0, 43.0]);
    uncertain("streams", "temperature_c", &[21.5]);
    uncertain("clockless", "fault", &[1.0]);
    let ledger = audit::ledger(&hub.api());
    for (device, reason, count) in [
        ("hydrant", "unknown_payload", 2),
        ("transmitter", "unknown_metric", 8),
        ("broken", "payload_base64", 2),
        ("cut", "incomplete", 2),
        ("hex", "no_values", 2),
    ] {
        let counts = ledger.device(device);
        assert_eq!(
            counts.rejected.get(reason),
            Some(&count),
            "{device}: {counts:?}"
        );
        assert_eq!(counts.stored, 0, "{device}");
    }
    assert_eq!(ledger.device("lian").duplicate, 3);
    assert_eq!(ledger.device("streams").duplicate, 3);
    let driver = ledger.driver("ingest");
    assert_eq!(driver.rejected.get("invalid_json"), Some(&2));
    assert_eq!(driver.rejected.get("signature"), Some(&2));
    hub.stop();
    place.verify();
}

fn data(device: &str, at: i64, payload: &Value) -> String {
    json!({"messageType": "dataReport", "deviceId": device, "timestamp": at, "IMEI": "undefined",
        "upPacketSN": "", "payload": payload})
    .to_string()
}

#[test]
fn a_stranger_does_not_stop_the_platform_and_is_shown_as_unclaimed() {
    let (place, hub) = city();
    let at = now_ms() - 1_000;
    let told = ingest(&hub, "POST", AEP, &data("new-7", at, &json!({"fault": 1}))).expect(200);
    assert_eq!(told["stored"], 0);
    assert_eq!(
        told["refused"][0],
        json!({"device": "new-7", "reason": "unknown_device"})
    );
    // The refusal is written with the next commit at the latest.
    let frame = "pVoAAC1TSEdTMjYwMzAwMDGKugEsAAMAAQAUACMAEmmjgYAAGQAWABKoxVWq";
    let body = data("whatever", at, &json!({ "APPdata": frame }));
    let told = ingest(&hub, "POST", AEP, &body).expect(200);
    assert_eq!(told["stored"], 9, "{told}");
    let pressures = hub.points("gas-7", "pressure_kpa");
    assert_eq!(
        pressures.last().unwrap(),
        &json!([1_772_323_200_000_i64, 1.8, "good"])
    );
    let unclaimed = hub.api().get("/api/v1/devices/unclaimed").to_string();
    assert!(unclaimed.contains("new-7"), "{unclaimed}");
    let kept = hub.api().get("/api/v1/quarantine").to_string();
    assert!(kept.contains("ctwing new-7: dataReport"), "{kept}");
    let driver = audit::ledger(&hub.api()).driver("ingest");
    assert_eq!(driver.rejected.get("unknown_device"), Some(&1));
    for (method, path) in [
        ("POST", "/push/3f9c0a7be1d24486"),
        ("POST", "/push/"),
        ("GET", AEP),
        ("DELETE", AEP),
    ] {
        assert_eq!(
            ingest(&hub, method, path, "{}").status,
            404,
            "{method} {path}"
        );
    }
    hub.stop();
    place.verify();
}

#[test]
fn a_smoke_alarm_that_is_pushed_rings() {
    let (place, hub) = city();
    hub.rule(
        "smoke",
        &json!({"title": "烟感报警", "kind": "threshold", "select": {"kind": "smoke"},
            "metric": "smoke_alarm", "above": 0.5, "severity": "critical"}),
    );
    let at = now_ms() - 1_000;
    let alarm =
        json!({"serviceId": "notification", "serviceData": {"Alarm_Status": "2", "RSRP": 114}});
    let body = data("acf7baaee65e431eadfb8f5fe50e8b81", at, &alarm);
    assert_eq!(ingest(&hub, "POST", AEP, &body).expect(200)["stored"], 2);
    let alarms = hub.api().get("/api/v1/alarms");
    assert_eq!(alarms["items"][0]["device"], "lian", "{alarms}");
    let online = json!({"messageType": "deviceOnlineOfflineReport", "deviceId": "44d0b9e48d404094bbbcf889e4e64ece",
        "timestamp": at, "eventType": 1});
    assert_eq!(
        ingest(&hub, "POST", AEP, &online.to_string()).expect(200)["stored"],
        1
    );
    let device = hub.api().get("/api/v1/devices/hydrant");
    assert_eq!(device["status"], "online", "{device}");
    hub.stop();
    place.verify();
}

#[test]
fn a_thousand_pushes_at_once_are_answered_beside_a_thousand_that_never_finish() {
    const PUSHES: usize = 1_000;
    let ingest = "[drivers.ingest]\nkind = \"http\"";
    let config = plain_config().replace(ingest, &format!("{ingest}\nrequest_timeout_s = 10"));
    let place = Place::with_config(&(config + CONFIG));
    let hub = place.start();
    let device = |n| json!({"id": format!("p-{n}"), "kind": "smoke", "identities": {"ctwing": format!("p-{n}")}});
    let devices: Vec<Value> = (0..PUSHES).map(device).collect();
    hub.register(&json!(devices));
    let port = hub.addr("ingest.listen").port().to_string();
    let output = Command::new("python3")
        .arg(root().join("tests/foreign/push_load.py"))
        .args(["127.0.0.1", &port, AEP, &PUSHES.to_string(), "1000"])
        .output()
        .expect("python3 is installed");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{output:?}");
    let told: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(told["pushes"], json!({"200": PUSHES}), "{told}");
    // Who drips is told that it took too long, and holds nobody up. A drop that is under way when the hub
    // hangs up resets the connection, and some never read the answer (RFC 9112, 9.6).
    let cut = |how: &str| told["drippers"][how].as_u64().unwrap_or_default();
    assert_eq!(cut("408") + cut("closed"), 1_000, "{told}");
    assert!(cut("408") > 900, "{told}");
    let counts = audit::ledger(&hub.api()).driver("ingest");
    assert_eq!((counts.received, counts.stored), (2_000, 2_000));
    hub.stop();
    place.verify();
}
