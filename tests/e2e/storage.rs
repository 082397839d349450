//! A disk without room: no acknowledgement, a hub that stays up and says why, and the way back.

use serde_json::json;
use tests::audit;
use tests::fleet::overpressure;
use tests::http::Request;
use tests::hub::{Hub, Place, secret, words};
use tests::mqtt::{Client, Identity, Outcome, Version};
use tests::time::{now_s_in_ms, until};

/// More than any disk has: a hub that wants to keep so much for itself has no room for readings.
const NO_ROOM_MB: &str = "4000000000";

const ROOM_MB: &str = "4";

fn start(place: &mut Place, reserve_mb: &str) -> Hub {
    place.set("CITYHUB__STORE__DISK__RESERVE_MB", reserve_mb);
    place.start()
}

fn stop(hub: Hub) {
    let (status, log) = hub.stop();
    assert!(status.success(), "{log}");
}

fn over_http(hub: &Hub, payload: &serde_json::Value) -> tests::http::Reply {
    let bearer = format!("Bearer {}", secret("gas-1"));
    let body = payload.to_string();
    let request = Request {
        method: "POST",
        path: "/devices/gas-1/telemetry",
        headers: &[("authorization", &bearer)],
        body: body.as_bytes(),
    };
    request.send(hub.addr("ingest.listen")).unwrap()
}

fn storage_events(hub: &Hub) -> Vec<String> {
    let page = hub.api().get("/api/v1/events?types=cityhub.storage");
    let items = page["items"].as_array().unwrap().iter();
    items
        .map(|event| event["type"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn without_room_no_reading_is_acknowledged_and_officers_go_on() {
    let mut place = Place::default();
    let hub = start(&mut place, ROOM_MB);
    hub.register(&json!([{"id": "gas-1", "kind": "gas_pressure", "cadence_s": 1}]));
    hub.rule("gas_overpressure", &overpressure());
    let sent_at = now_s_in_ms() - 60_000;
    let high = json!({"ts": sent_at, "values": {"pressure_kpa": 450}});
    hub.store("gas-1", &high);
    until("the alarm is raised", || {
        hub.api().get("/api/v1/alarms")["items"][0]["id"] == "a1"
    });
    let ledger = audit::ledger(&hub.api());
    assert_eq!(hub.api().get("/api/v1/health")["storage"]["state"], "ample");
    let reserve = place.data().join("reserve");
    assert_eq!(std::fs::metadata(&reserve).unwrap().len(), 4 << 20);
    stop(hub);

    let hub = start(&mut place, NO_ROOM_MB);
    let more = json!({"ts": sent_at + 1_000, "values": {"pressure_kpa": 300}});
    let reply = over_http(&hub, &more);
    assert_eq!(
        (reply.status, reply.header("retry-after")),
        (503, Some("60"))
    );
    assert!(reply.text().contains("storage_full"), "{}", reply.text());
    let mut device = Client::connect(hub.mqtt(), Version::V5, &Identity::device("gas-1"));
    let payload = more.to_string();
    match device.publish("devices/gas-1/telemetry", payload.as_bytes()) {
        Outcome::Acked(code) => panic!("acknowledged with {code} without room"),
        Outcome::Disconnected(_) | Outcome::Closed => {}
    }
    let health = hub.api().get("/api/v1/health");
    assert_eq!(health["status"], "degraded");
    let named = health["degraded_by"].as_array().unwrap();
    assert!(named.contains(&json!("storage")), "{health}");
    assert_eq!(health["storage"]["takes_readings"], false);
    until("both are counted", || {
        hub.api().get("/api/v1/health")["storage"]["turned_away_values"] == 2
    });
    let advice = health["storage"]["advice"].as_str().unwrap();
    assert!(advice.contains("the hub goes on by itself"), "{advice}");
    assert_eq!(hub.api().send("GET", "/readyz", None).status, 503);
    let figures = hub.api().send("GET", "/metrics", None);
    let figures = figures.text();
    assert!(
        figures.contains("\ncityhub_storage_state{state=\"full\"} 1\n"),
        "{figures}"
    );
    assert_eq!(std::fs::metadata(&reserve).unwrap().len(), 0);
    let body = json!({"comment": "on the way"});
    let acked = hub.api().send("POST", "/api/v1/alarms/a1/ack", Some(&body));
    assert_eq!(acked.status, 200, "{}", acked.text());
    assert_eq!(audit::ledger(&hub.api()), ledger);
    assert_eq!(storage_events(&hub), ["cityhub.storage.full"]);
    stop(hub);
    place.verify();

    let hub = start(&mut place, ROOM_MB);
    hub.store("gas-1", &more);
    assert_eq!(hub.points("gas-1", "pressure_kpa").len(), 2);
    assert_eq!(
        storage_events(&hub),
        ["cityhub.storage.full", "cityhub.storage.ample"]
    );
    assert_eq!(hub.api().get("/api/v1/alarms/a1")["acked"], true);
    stop(hub);
    place.verify();
}

#[test]
fn thresholds_that_make_no_sense_are_refused() {
    for (disk, word) in [
        ("warn_days = 3651", "warn_days"),
        ("reserve = 1", "reserve"),
    ] {
        let config = format!("{}[store.disk]\n{disk}\n", tests::hub::plain_config());
        let place = Place::with_config(&config);
        let output = place.run(&["check", "--config", "hub.toml"]);
        assert_eq!(output.status.code(), Some(2), "{}", words(&output));
        assert!(words(&output).contains(word), "{}", words(&output));
    }
}
