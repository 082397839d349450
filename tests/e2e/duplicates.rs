//! A device that sends again is stored once, however it sends and whatever happened between.

use serde_json::{Value, json};
use tests::audit;
use tests::fleet::overpressure;
use tests::hub::{Hub, Place};
use tests::mqtt::{Client, Identity, Version};
use tests::time::{ms, now_s_in_ms};

fn register(hub: &Hub) {
    hub.register(&json!([{"id": "gas-1", "kind": "gas_pressure"}]));
}

fn reading(ts: i64, kpa: f64, battery: f64) -> Value {
    json!({"ts": ts, "values": {"pressure_kpa": kpa, "battery_pct": battery}})
}

/// Sends over MQTT in both versions and over HTTP; every one must be acknowledged.
fn send_everywhere(hub: &Hub, message: &Value) {
    for version in Version::BOTH {
        let mut device = Client::connect(hub.mqtt(), version, &Identity::device("gas-1"));
        device.report("gas-1", message);
    }
    hub.store("gas-1", message);
}

#[test]
fn an_exact_repeat_is_acknowledged_and_stored_once_across_protocols_and_restarts() {
    let place = Place::default();
    let hub = place.start();
    register(&hub);
    let start = now_s_in_ms() - 60_000;
    let message = reading(start, 300.5, 90.0);
    send_everywhere(&hub, &message);
    let (status, log) = hub.stop();
    assert!(status.success(), "{log}");
    let hub = place.start();
    send_everywhere(&hub, &message);
    hub.kill();
    let hub = place.start();
    send_everywhere(&hub, &message);
    // The first write wins: another value for the same instant is a duplicate too.
    send_everywhere(&hub, &reading(start, 999.0, 1.0));
    // One of two is new.
    hub.store(
        "gas-1",
        &json!({"ts": start, "values": {"pressure_kpa": 1, "temperature_c": 8}}),
    );

    assert_eq!(
        hub.points("gas-1", "pressure_kpa"),
        [json!([start, 300.5, "good"])]
    );
    assert_eq!(
        hub.points("gas-1", "battery_pct"),
        [json!([start, 90.0, "good"])]
    );
    let counts = audit::ledger(&hub.api()).device("gas-1");
    // Four times three messages of two values, and one more message of two.
    assert_eq!(
        (counts.received, counts.stored, counts.duplicate),
        (26, 3, 23)
    );
    let (_, log) = hub.stop();
    place.verify();
    assert!(!log.contains("panic"), "{log}");
}

#[test]
fn a_repeat_inside_one_message_is_stored_once() {
    let place = Place::default();
    let hub = place.start();
    register(&hub);
    let start = now_s_in_ms() - 60_000;
    let twice = json!([reading(start, 1.0, 2.0), reading(start, 1.0, 2.0)]);
    hub.store("gas-1", &twice);
    let counts = audit::ledger(&hub.api()).device("gas-1");
    assert_eq!(
        (counts.received, counts.stored, counts.duplicate),
        (4, 2, 2)
    );
}

#[test]
fn readings_without_a_time_are_never_taken_for_repeats() {
    let place = Place::default();
    let hub = place.start();
    register(&hub);
    let untimed = json!({"pressure_kpa": 300});
    hub.store("gas-1", &json!([untimed, untimed, untimed]));
    hub.store("gas-1", &untimed);
    assert_eq!(hub.points("gas-1", "pressure_kpa").len(), 4);
}

#[test]
fn late_readings_are_stored_and_flagged_and_never_sound_the_alarm() {
    let place = Place::default();
    let hub = place.start();
    register(&hub);
    hub.rule("gas_overpressure", &overpressure());
    let api = hub.api();
    let now = now_s_in_ms();
    hub.store("gas-1", &reading(now, 300.0, 90.0));
    // An hour late: beyond the limit for a minute.
    let start = now - 3_600_000;
    let late = json!([
        reading(start, 450.0, 90.0),
        reading(start + 60_000, 300.0, 90.0)
    ]);
    hub.store("gas-1", &late);
    assert_eq!(hub.points("gas-1", "pressure_kpa").len(), 3);
    let counts = audit::ledger(&api).device("gas-1");
    assert_eq!((counts.stored, counts.late), (6, 4));
    assert_eq!(api.get("/api/v1/alarms")["items"], json!([]));
    let raised = api.get("/api/v1/events?after=0&types=cityhub.alarm.raised");
    assert_eq!(raised["items"], json!([]));
}

#[test]
fn a_fast_clock_is_marked_and_judged_by_the_time_of_arrival() {
    let place = Place::default();
    let hub = place.start();
    register(&hub);
    hub.rule("gas_overpressure", &overpressure());
    let api = hub.api();
    let before = tests::time::now_ms();
    let ahead = before + 3_600_000;
    hub.store("gas-1", &reading(ahead, 450.0, 90.0));
    let after = tests::time::now_ms();
    let points = hub.points("gas-1", "pressure_kpa");
    assert_eq!(points, [json!([ahead, 450.0, "uncertain:clock"])]);
    let alarm = &api.get("/api/v1/alarms")["items"][0];
    let raised_at = ms(&alarm["raised_at"]);
    assert!((before..=after).contains(&raised_at), "{alarm}");
    // One message can be a mistake; three in a row are a wrong clock.
    assert_eq!(api.get("/api/v1/devices/gas-1")["status"], "online");
    for later in 1..5 {
        hub.store("gas-1", &reading(ahead + later, 450.0, 90.0));
    }
    let mut stream = api.stream("?from=0&types=cityhub.device.clock_wrong", None);
    assert_eq!(stream.next_fact().unwrap().json()["subject"], "gas-1");
    assert_eq!(api.get("/api/v1/devices/gas-1")["status"], "clock_wrong");
}
