//! Health, figures, the ledger and the records.

use super::kit::{Hub, START_MS, alarm};
use crate::{DriverHealth, MirrorHealth, MirrorState, PartState, SinkHealth, SinkState};
use model::{Severity, Timestamp};
use serde_json::json;

fn driver(state: PartState) -> DriverHealth {
    DriverHealth {
        kind: "mqtt".to_owned(),
        state,
        since: Timestamp::from_millis(START_MS),
        addresses: [("listen".to_owned(), "127.0.0.1:1883".to_owned())].into(),
        restarts: 2,
        last_error: None,
    }
}

fn filled() -> Hub {
    let hub = Hub::start();
    hub.state.health.put_driver("mqtt", driver(PartState::Up));
    let gas = hub.register(r#"{"id":"gas-1","kind":"gas_pressure"}"#);
    hub.store(gas, &[("pressure_kpa", 1, 300.0), ("battery_pct", 1, 90.0)]);
    hub.commit(|group| {
        group.part(0, gas, 2);
        group.reject(&"unknown_metric".into(), 2);
        group.refuse(0, &"wrong_secret".into(), 3);
    });
    hub.raise(&alarm(1, Severity::Critical, 1), "raised");
    hub
}

#[tokio::test]
async fn the_ledger_names_devices_and_balances() {
    let hub = filled();
    let ledger = hub.get("/api/v1/ledger").await.json();
    assert_eq!(ledger["total"]["received"], 7);
    assert_eq!(ledger["total"]["stored"], 2);
    assert_eq!(
        ledger["total"]["rejected"],
        json!({"unknown_metric": 2, "wrong_secret": 3})
    );
    assert_eq!(ledger["drivers"]["mqtt"]["received"], 7);
    assert_eq!(ledger["devices"]["gas-1"]["received"], 4);
    assert_eq!(ledger["devices"]["gas-1"]["rejected"]["unknown_metric"], 2);
    hub.get("/api/v1/ledger?from=2&to=1").await.problem(400);
}

#[tokio::test(start_paused = true)]
async fn health_tells_how_every_part_does() {
    let hub = filled();
    tokio::time::advance(std::time::Duration::from_secs(61)).await;
    let health = hub.get("/api/v1/health").await.json();
    assert_eq!(health["status"], "up");
    assert_eq!(health["version"], "1.2.3");
    assert_eq!(health["uptime_s"], 61);
    assert_eq!(health["city"]["name"], "示范市");
    assert_eq!(health["drivers"]["mqtt"]["state"], "up");
    assert_eq!(
        health["drivers"]["mqtt"]["addresses"]["listen"],
        "127.0.0.1:1883"
    );
    assert_eq!(health["intake"]["received"], 7);
    assert_eq!(health["intake"]["rejected"], 5);
    assert_eq!(health["intake"]["capacity"], 256);
    assert_eq!(health["journal"]["event"], 1);
    let quiet = json!({"p50": null, "p99": null, "max": null});
    assert_eq!(health["intake"]["last_minute"]["ack_ms"], quiet);
    assert_eq!(health["rules"]["lag_ms"], 0);
    let kept = json!({"readings_days": null, "events_days": null});
    assert_eq!(health["retention"], kept);
    assert_eq!(health["build"]["version"], "1.2.3");
    assert_eq!(health["clock"]["offset_ms"], json!(null));
    assert_eq!(health["clock"]["devices_wrong"], 0);
    let devices = &health["devices"];
    assert_eq!(
        (&devices["total"], &devices["online_rate"]),
        (&json!(1), &json!(0.0))
    );
    assert_eq!(devices["by_kind"]["gas_pressure"]["never_seen"], 1);
    assert_eq!(health["canary"], json!(null));
    let down = |driver: &mut DriverHealth| driver.state = PartState::Down;
    hub.state.health.change_driver("mqtt", down);
    let health = hub.get("/api/v1/health").await.json();
    assert_eq!(health["status"], "degraded");
    assert_eq!(health["degraded_by"], json!(["drivers.mqtt"]));
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_is_away_for_long_degrades_the_hub_and_one_that_people_stopped_does_not() {
    let hub = Hub::start();
    let since = hub.state.clock.now();
    for (name, state) in [
        ("away", SinkState::Retrying),
        ("failed", SinkState::Restarting),
        ("stopped", SinkState::Paused),
        ("well", SinkState::Up),
    ] {
        let health = SinkHealth {
            kind: "webhook".to_owned(),
            state,
            since,
            cursor: 0,
            attempts: 0,
            delivered: 0,
            last_error: None,
        };
        hub.state.health.put_sink(name, health);
    }
    for (after_s, expected) in [
        (119, json!(["sinks.failed"])),
        (1, json!(["sinks.away", "sinks.failed"])),
    ] {
        tokio::time::advance(std::time::Duration::from_secs(after_s)).await;
        let health = hub.get("/api/v1/health").await.json();
        assert_eq!(health["degraded_by"], expected);
        assert_eq!(health["sinks"]["away"]["state"], "retrying");
    }
}

#[tokio::test(start_paused = true)]
async fn a_mirror_that_is_behind_for_long_degrades_the_hub_and_one_that_is_being_filled_does_not() {
    let hub = Hub::start();
    let now = hub.state.clock.now();
    let owes = |s: i64| Some(now.plus_s(-s));
    for (name, state, is_backfilling, oldest_owed) in [
        ("away", MirrorState::Retrying, false, owes(1)),
        ("behind", MirrorState::Up, false, owes(900)),
        ("new", MirrorState::Up, true, owes(90_000)),
        ("well", MirrorState::Up, false, None),
    ] {
        let health = MirrorHealth {
            kind: "influxdb",
            state,
            since: now,
            last_error: None,
            attempts: 0,
            confirmed_before: Timestamp::from_millis(0),
            is_level: oldest_owed.is_none(),
            is_backfilling,
            oldest_owed,
            owed: 7,
            sent_readings: 0,
            sent_lines: 0,
            failures: 0,
            dead_letters: 0,
            last_dead_letter: None,
            rewinds: 0,
            held_from: None,
        };
        hub.state.health.put_mirror(name, health);
    }
    for (after_s, expected) in [
        (119, json!(["mirrors.behind"])),
        (1, json!(["mirrors.away", "mirrors.behind"])),
    ] {
        tokio::time::advance(std::time::Duration::from_secs(after_s)).await;
        let health = hub.get("/api/v1/health").await.json();
        assert_eq!(health["degraded_by"], expected);
    }
    let shown = &hub.get("/api/v1/health").await.json()["mirrors"]["behind"];
    assert_eq!(
        (&shown["lag_s"], &shown["lag_readings"]),
        (&json!(1_020), &json!(7))
    );
    assert_eq!(shown["confirmed_before"], json!(null));
}

#[tokio::test]
async fn readiness_follows_the_hub() {
    let hub = Hub::start();
    assert_eq!(hub.ask("", "get", "/readyz", "").await.text, "ready\n");
    hub.state.health.set_ready(false);
    hub.ask("", "get", "/readyz", "").await.problem(503);
    hub.state.health.set_ready(true);
    hub.state.stop.cancel();
    hub.ask("", "get", "/readyz", "").await.problem(503);
    assert_eq!(hub.ask("", "get", "/healthz", "").await.status, 200);
}

#[tokio::test]
async fn figures_are_in_the_form_of_prometheus_and_name_no_device() {
    let hub = filled();
    let health = &hub.state.health;
    health.count_refused("mqtt", "wrong_secret", 2);
    health.count_refused("mqtt", "wrong_secret", 3);
    health.count_refused("mqtt", "unknown_device", 1);
    let answer = hub.get("/metrics").await;
    assert!(
        answer
            .header("content-type")
            .starts_with("text/plain; version=0.0.4")
    );
    for line in [
        "cityhub_build_info{version=\"1.2.3\"} 1",
        "cityhub_driver_up{driver=\"mqtt\",kind=\"mqtt\"} 1",
        "cityhub_driver_restarts_total{driver=\"mqtt\"} 2",
        "cityhub_refused_total{driver=\"mqtt\",reason=\"unknown_device\"} 1",
        "cityhub_refused_total{driver=\"mqtt\",reason=\"wrong_secret\"} 5",
        "cityhub_values_received_total{driver=\"mqtt\"} 7",
        "cityhub_values_stored_total{driver=\"mqtt\"} 2",
        "cityhub_values_rejected_total{driver=\"mqtt\",reason=\"wrong_secret\"} 3",
        "cityhub_alarms{state=\"active_unacked\",severity=\"critical\"} 1",
        "cityhub_alarms{state=\"active_unacked\",severity=\"major\"} 0",
        "cityhub_stream_clients 0",
        "cityhub_devices 1",
        "cityhub_journal_events_total 1",
        "process_start_time_seconds 1772323200",
    ] {
        assert!(
            answer.text.lines().any(|known| known == line),
            "{line}\n{}",
            answer.text
        );
    }
    assert!(answer.text.contains("\nprocess_resident_memory_bytes "));
    assert!(answer.text.contains("\ncityhub_disk_free_bytes "));
    assert!(!answer.text.contains("gas-1"));
    // Every sample belongs to the family above it.
    let mut family = "";
    for line in answer.text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            family = rest.split(' ').next().unwrap();
        } else if !line.starts_with('#') {
            assert!(line.starts_with(family), "{family}: {line}");
        }
    }
}

#[tokio::test]
async fn the_audit_trail_is_read_link_by_link() {
    let hub = Hub::start();
    hub.commit(|group| {
        group.audit("li", "officer", "ack", "a1", r#"{"comment":"ok"}"#);
        group.audit("wang", "engineer", "put_rule", "r1", "{}");
    });
    let page = hub
        .ask("auditor", "get", "/api/v1/audit?limit=1", "")
        .await
        .json();
    let first = &page["items"][0];
    assert_eq!((&first["seq"], &first["actor"]), (&json!(1), &json!("li")));
    assert_eq!(first["detail"], json!({"comment": "ok"}));
    assert_eq!(first["hash"].as_str().unwrap().len(), 64);
    assert_eq!(page["next"], 1);
    let rest = hub
        .ask("admin", "get", "/api/v1/audit?after=1", "")
        .await
        .json();
    assert_eq!(rest["items"][0]["subject"], "r1");
    // The end of the chain, to be noted elsewhere.
    assert_eq!(page["head"], rest["head"]);
    let last = json!({"seq": 2, "hash": rest["items"][0]["hash"]});
    assert_eq!(rest["head"], last);

    let path = "/api/v1/audit/check";
    let whole = hub.ask("auditor", "get", path, "").await.json();
    let expected = json!({"whole": true, "links": 2, "head": last["hash"]});
    assert_eq!(whole, expected);
}

#[tokio::test]
async fn a_quarantined_frame_is_shown_as_text_and_bytes() {
    let hub = filled();
    let key = hub.state.devices.find("gas-1").unwrap().key;
    hub.commit(|group| {
        let reason = "invalid_json".into();
        group.quarantine(
            0,
            Some(key),
            &reason,
            "expected `,` at line 1",
            b"{\"a\" 1}",
        );
        group.quarantine(0, None, &reason, "not UTF-8", &[0xff, 0x00]);
    });
    let page = hub
        .ask("engineer", "get", "/api/v1/quarantine", "")
        .await
        .json();
    let (newest, older) = (&page["items"][0], &page["items"][1]);
    assert_eq!(
        (&newest["text"], &newest["hex"]),
        (&json!(null), &json!("ff00"))
    );
    assert_eq!(older["device"], "gas-1");
    assert_eq!(older["driver"], "mqtt");
    assert_eq!(older["text"], "{\"a\" 1}");
    assert_eq!(older["bytes"], 7);
    let of_one = hub
        .ask("engineer", "get", "/api/v1/quarantine?device=gas-1", "")
        .await
        .json();
    assert_eq!(of_one["items"], json!([older]));
}

#[tokio::test]
async fn the_catalogue_and_the_session_are_told() {
    let hub = Hub::start();
    let catalogue = hub.get("/api/v1/catalogue").await.json();
    assert!(
        catalogue["kinds"]
            .as_array()
            .unwrap()
            .contains(&json!("gas_pressure"))
    );
    assert_eq!(catalogue["metrics"][0]["unit"], "kPa");
    let session = hub
        .ask("platform", "get", "/api/v1/session", "")
        .await
        .json();
    let rights = json!(["read_events", "report_steps"]);
    assert_eq!(session["name"], "platform");
    assert_eq!(
        (&session["via"], &session["rights"]),
        (&json!("token"), &rights)
    );
    assert_eq!(session["time_zone"], "Asia/Shanghai");
}
