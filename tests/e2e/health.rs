//! The four ways in which a device can be in trouble, told apart.

use serde_json::{Value, json};
use std::sync::mpsc;
use std::time::Duration;
use tests::http::Stream;
use tests::hub::{Hub, Place};
use tests::time::{PATIENCE, ms, now_ms, until};

/// The pace of a device that is well.
const BEAT: Duration = Duration::from_millis(500);

/// Waits for an event of a device, and gives the whole of it.
#[track_caller]
fn wait(stream: &mut Stream, status: &str, device: &str) -> Value {
    let wanted = format!("cityhub.device.{status}");
    let start = tokio::time::Instant::now();
    loop {
        assert!(start.elapsed() < PATIENCE, "no {wanted} of {device}");
        let sent = stream.next_fact().expect("the stream is open");
        let event = sent.json();
        if sent.event == wanted && event["subject"] == device {
            return event;
        }
    }
}

fn report(hub: &Hub, device: &str, at_ms: i64, kpa: f64) {
    hub.store(
        device,
        &json!({"ts": at_ms, "values": {"pressure_kpa": kpa}}),
    );
}

/// Reports as often as a rule of clocks wants to hear it; what comes in one instant is one message to it.
fn three_times(hub: &Hub, device: &str, ahead_ms: i64) {
    for _ in 0..3 {
        report(hub, device, now_ms() + ahead_ms, 300.0);
        let done = now_ms();
        until("another instant", || now_ms() > done);
    }
}

/// A gateway with two sensors that report every second, and three devices of their own.
fn city(hub: &Hub) {
    let alone = |id: &str| json!({"id": id, "kind": "gas_pressure", "cadence_s": 600});
    let child =
        |id: &str| json!({"id": id, "kind": "gas_pressure", "cadence_s": 1, "parent": "gw"});
    hub.register(&json!([
        {"id": "gw", "kind": "gateway", "cadence_s": 1},
        child("first"),
        child("second"),
        alone("still"),
        alone("fast"),
        alone("never"),
    ]));
    let frozen = json!({"title": "不动", "kind": "frozen", "devices": ["still"],
        "metric": "pressure_kpa", "after_s": 30, "severity": "minor"});
    hub.rule("frozen", &frozen);
}

/// Brings the five devices into the trouble that each is in, and demands that it is told.
fn trouble(hub: &Hub) {
    let mut stream = hub.api().stream("?from=0&types=cityhub.device", None);
    let now = now_ms();
    for back_s in [60, 40, 20, 0] {
        report(hub, "still", now - back_s * 1000, 300.0);
    }
    assert_eq!(
        wait(&mut stream, "online", "still")["data"]["previous"],
        "never_seen"
    );
    let frozen = wait(&mut stream, "frozen", "still");
    assert_eq!(frozen["data"]["previous"], "online");
    three_times(hub, "fast", 7_200_000);
    wait(&mut stream, "clock_wrong", "fast");

    // The first falls silent while its gateway goes on, then everything behind the gateway does.
    let first = now_ms();
    report(hub, "first", first, 300.0);
    let mut last = first;
    let (_beat, beats) = mpsc::channel::<()>();
    while last < first + 1_500 {
        // Nobody sends a beat: it is the device's own pace.
        assert!(beats.recv_timeout(BEAT).is_err());
        last = now_ms();
        report(hub, "second", last, 300.0);
    }
    let gone = wait(&mut stream, "offline", "first");
    assert_eq!(gone["data"]["cause"], "sensor");
    assert_eq!(ms(&gone["time"]), first + 3_000);
    let gone = wait(&mut stream, "offline", "second");
    assert_eq!(gone["data"]["cause"], "gateway");
    assert_eq!(ms(&gone["data"]["since"]), last + 3_000);
}

#[test]
fn silent_frozen_and_wrong_clocks_are_told_apart_and_come_back() {
    let place = Place::default();
    let hub = place.start();
    city(&hub);
    trouble(&hub);
    let api = hub.api();
    let offline = api.get("/api/v1/devices?status=offline&kind=gas_pressure");
    assert_eq!(offline["total"], 2);
    assert_eq!(offline["items"][0]["id"], "first");
    assert_eq!(offline["items"][0]["cause"], "sensor");
    let never = api.get("/api/v1/devices/never");
    assert_eq!(
        (&never["status"], &never["cause"]),
        (&json!("never_seen"), &Value::Null)
    );
    let counts = &api.get("/api/v1/health")["devices"]["by_kind"]["gas_pressure"];
    assert_eq!(
        *counts,
        json!({"online": 0, "offline": 2, "frozen": 1, "clock_wrong": 1, "never_seen": 1})
    );
    // None of it is an alarm, but for what an engineer asked for.
    let alarms = api.get("/api/v1/alarms?state=all");
    assert_eq!(alarms["items"].as_array().map(Vec::len), Some(1));
    assert_eq!(
        api.get("/api/v1/rules")["items"].as_array().map(Vec::len),
        Some(1)
    );
    let refused = api.delete("/api/v1/rules/~offline");
    assert_eq!(refused.status, 404);

    come_back_after_a_restart(&place, hub);
}

/// Gives the numbers and types of everything that was told of devices.
fn told(hub: &Hub) -> Vec<Value> {
    let page = "/api/v1/events?after=0&types=cityhub.device&limit=1000";
    let items = hub.api().get(page)["items"].clone();
    let items = items.as_array().expect("a list").iter();
    items
        .map(|fact| json!([fact["id"], fact["type"], fact["subject"]]))
        .collect()
}

/// What comes back says so, and a restart in between repeats nothing.
fn come_back_after_a_restart(place: &Place, hub: Hub) {
    let before = told(&hub);
    let (status, log) = hub.stop();
    assert!(status.success(), "{log}");
    place.verify();
    let hub = place.start();
    let after = told(&hub);
    assert_eq!(after.get(..before.len()), Some(before.as_slice()));
    for fact in after.iter().skip(before.len()) {
        // Its patience may have ended meanwhile.
        assert_eq!(fact[2], "gw", "{fact}");
    }
    let mut stream = hub
        .api()
        .stream("?from=0&types=cityhub.device.online", None);
    report(&hub, "still", now_ms(), 301.0);
    three_times(&hub, "fast", 0);
    report(&hub, "first", now_ms(), 300.0);
    for (device, previous) in [
        ("still", "frozen"),
        ("fast", "clock_wrong"),
        ("first", "offline"),
    ] {
        let event = loop {
            let event = wait(&mut stream, "online", device);
            if event["data"]["previous"] != "never_seen" {
                break event;
            }
        };
        assert_eq!(event["data"]["previous"], previous, "{device}");
    }
}
