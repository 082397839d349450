//! Why an alarm rang, and why nothing did.

use super::kit::{Hub, alarm};
use model::{AlarmRow, AlarmState, DeviceKey, Severity};
use serde_json::{Value, json};
use std::time::Duration;

fn at(second: i64) -> String {
    format!("2026-03-01T00:{:02}:{:02}.000Z", second / 60, second % 60)
}

fn over(limit: f64) -> Value {
    json!({
        "title": "中压燃气管道超压", "kind": "threshold", "select": {"kind": "gas_pressure"},
        "metric": "pressure_kpa", "above": limit, "severity": "critical", "source": "CJJ/T 146",
    })
}

fn gas() -> Value {
    json!({"id": "gas-1", "kind": "gas_pressure", "site": "花园路"})
}

/// A hub whose register and rules are recorded from the beginning, at ten past midnight.
async fn hub_with(device: &Value, rules: &[(&str, Value)]) -> (Hub, DeviceKey) {
    let hub = Hub::start();
    let key = hub.register(&device.to_string());
    record(&hub, &json!({"put_device": {"key": key, "device": device}}));
    for (id, spec) in rules {
        record(
            &hub,
            &json!({"put_rule": {"id": id, "revision": 1, "spec": spec}}),
        );
    }
    tokio::time::advance(Duration::from_secs(600)).await;
    (hub, key)
}

/// Commits a change as the hub's writer records it.
fn record(hub: &Hub, change: &Value) {
    hub.commit(|group| group.change(&change.to_string()));
}

/// The alarm that 300, 420, 300 kPa at 10, 20 and 30 s give at a limit of 400.
fn burst_row() -> AlarmRow {
    let mut row = alarm(1, Severity::Critical, 20);
    row.cleared_at = Some(row.raised_at.plus_s(10));
    (row.active, row.state) = (false, AlarmState::ClearedUnacked);
    (row.value, row.peak, row.count) = (Some(300.0), Some(420.0), 1);
    row
}

async fn burst() -> Hub {
    let (hub, key) = hub_with(&gas(), &[("gas_overpressure", over(400.0))]).await;
    let values = [(10, 300.0), (20, 420.0), (30, 300.0)];
    hub.store(key, &values.map(|(at, value)| ("pressure_kpa", at, value)));
    hub
}

async fn evidence(hub: &Hub) -> Value {
    let answer = hub
        .ask("platform", "get", "/api/v1/alarms/a1/evidence", "")
        .await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.json()
}

#[tokio::test(start_paused = true)]
async fn an_alarm_is_decided_again_from_its_readings() {
    let hub = burst().await;
    hub.raise(&burst_row(), "cleared");
    let shown = evidence(&hub).await;
    assert_eq!(shown["reproduced"], true, "{shown:#}");
    assert_eq!(shown["complete"], true);
    assert_eq!(shown["differences"], json!([]));
    assert_eq!(shown["decision"]["raised_at"], at(20));
    assert_eq!(shown["decision"]["cleared_at"], at(30));
    assert_eq!(shown["decision"]["value"], 420.0);
    assert_eq!(shown["decision"]["limit"], 400.0);
    assert_eq!(shown["rule"]["spec"]["above"], 400.0);
    assert_eq!(shown["rule"]["source"], "CJJ/T 146");
    assert_eq!(shown["device"]["site"], "花园路");
    let readings: Vec<(&Value, &Value)> = shown["timeline"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|moment| moment["kind"] == "reading")
        .map(|moment| (&moment["at"], &moment["value"]))
        .collect();
    let expected = [(at(10), 300.0), (at(20), 420.0), (at(30), 300.0)];
    let expected = expected.map(|(at, value)| (json!(at), json!(value)));
    assert_eq!(readings, expected.each_ref().map(|(at, value)| (at, value)));
}

#[tokio::test(start_paused = true)]
async fn the_rule_of_the_alarms_revision_decides_not_that_of_now() {
    let hub = burst().await;
    hub.raise(&burst_row(), "cleared");
    record(
        &hub,
        &json!({"put_rule": {"id": "gas_overpressure", "revision": 2, "spec": over(500.0)}}),
    );
    let shown = evidence(&hub).await;
    assert_eq!(shown["reproduced"], true, "{shown:#}");
    assert_eq!(shown["rule"]["spec"]["above"], 400.0);
}

#[tokio::test(start_paused = true)]
async fn what_the_engine_does_not_give_again_is_said() {
    let hub = burst().await;
    let mut row = burst_row();
    row.peak = Some(777.0);
    hub.raise(&row, "cleared");
    let shown = evidence(&hub).await;
    assert_eq!(shown["reproduced"], false);
    assert_eq!(
        shown["differences"],
        json!([{"what": "peak", "recorded": 777.0, "again": 420.0}])
    );
}

#[tokio::test(start_paused = true)]
async fn an_alarm_whose_readings_are_gone_is_not_invented() {
    let (hub, _) = hub_with(&gas(), &[("gas_overpressure", over(400.0))]).await;
    hub.raise(&burst_row(), "cleared");
    let shown = evidence(&hub).await;
    assert_eq!(shown["reproduced"], false);
    assert_eq!(shown["complete"], false);
    assert_eq!(shown["decision"], Value::Null);
    let difference = &shown["differences"][0];
    assert_eq!(difference["recorded"], at(20));
    assert_eq!(difference["again"], Value::Null);
    let because = difference["because"].as_str().unwrap();
    assert!(because.contains("past retention"), "{because}");
    let notes = shown["notes"].to_string();
    assert!(notes.contains("past retention"), "{notes}");
    hub.get("/api/v1/alarms/a99/evidence").await.problem(404);
}

#[tokio::test(start_paused = true)]
async fn a_silence_shows_what_was_not_received() {
    let quiet = json!({"title": "静默", "kind": "silence", "select": {}, "after_s": 180,
        "severity": "major"});
    let mut device = gas();
    device["cadence_s"] = json!(60);
    let (hub, key) = hub_with(&device, &[("quiet", quiet)]).await;
    hub.store(key, &[("battery_pct", 30, 90.0)]);
    let mut row = alarm(1, Severity::Major, 210);
    row.rule = "quiet".to_owned();
    row.metric = None;
    (row.value, row.limit, row.peak, row.count) = (Some(180.0), Some(180.0), Some(180.0), 0);
    hub.raise(&row, "raised");
    let shown = evidence(&hub).await;
    assert_eq!(shown["reproduced"], true, "{shown:#}");
    assert_eq!(
        shown["silence"],
        json!({"last_sign_of_life": at(30), "counted_from": at(30), "patience_s": 180.0,
            "cadence_s": 60, "messages_missed": 3, "received_between": 0})
    );
}

/// Asks about gas-1 at a second; the answer of the only rule.
async fn explain(hub: &Hub, second: i64) -> Value {
    let path = format!("/api/v1/explain?device=gas-1&at={}", at(second));
    let answer = hub.get(&path).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let answer = answer.json();
    let [only] = answer["rules"].as_array().unwrap().as_slice() else {
        panic!("{answer:#}");
    };
    only.clone()
}

#[track_caller]
fn check(answer: &Value, outcome: &str, words: &[&str]) {
    assert_eq!(answer["outcome"], outcome, "{answer:#}");
    let because = answer["because"].as_str().unwrap();
    for word in words {
        assert!(because.contains(word), "{because}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_value_under_its_limit_is_said_with_its_distance() {
    let hub = burst().await;
    let answer = explain(&hub, 15).await;
    check(
        &answer,
        "did_not_ring",
        &["300 kPa (5 s before)", "100 kPa below the limit of 400 kPa"],
    );
    assert_eq!(answer["limit"]["beyond_by"], -100.0);
}

#[tokio::test(start_paused = true)]
async fn a_delay_that_is_not_over_is_said_with_its_end() {
    let mut slow = over(400.0);
    slow["on_delay_s"] = json!(30);
    let (hub, key) = hub_with(&gas(), &[("slow", slow)]).await;
    hub.store(key, &[("pressure_kpa", 20, 420.0)]);
    let answer = explain(&hub, 45).await;
    let (since, due) = (at(20), at(50));
    let words = ["420 kPa", "the limit of 400 kPa", &since, &due, "not over"];
    check(&answer, "did_not_ring", &words);
    assert_eq!(answer["look"]["due_at"], due);
}

#[tokio::test(start_paused = true)]
async fn a_device_that_is_not_silent_yet_says_when_it_will_be() {
    let quiet = json!({"title": "静默", "kind": "silence", "select": {}, "after_s": 180,
        "severity": "major"});
    let (hub, key) = hub_with(&gas(), &[("quiet", quiet)]).await;
    hub.store(key, &[("battery_pct", 30, 90.0)]);
    let answer = explain(&hub, 100).await;
    let (heard, due) = (at(30), at(210));
    check(
        &answer,
        "did_not_ring",
        &[&heard, "70 s before of 180 s allowed", &due],
    );
}

#[tokio::test(start_paused = true)]
async fn a_rule_that_does_not_apply_says_why() {
    let device = json!({"id": "gas-1", "kind": "smoke", "tags": {"class": "low"}});
    let mut off = over(400.0);
    off["select"] = json!({});
    off["enabled"] = json!(false);
    let mut tagged = over(400.0);
    tagged["select"] = json!({"tags": {"class": "medium"}});
    let mut placed = over(400.0);
    placed["select"] = json!({"site": "东站"});
    let mut named = over(400.0);
    named.as_object_mut().unwrap().remove("select");
    named["devices"] = json!(["gas-2"]);
    for (spec, words) in [
        (over(400.0), ["kind `gas_pressure`", "is of kind `smoke`"]),
        (off, ["the rule was disabled", "revision 1"]),
        (tagged, ["class = medium", "is low"]),
        (placed, ["site `东站`", "no site"]),
        (named, ["by name", "none of them"]),
    ] {
        let (hub, _) = hub_with(&device, &[("r", spec)]).await;
        check(&explain(&hub, 60).await, "does_not_apply", &words);
    }
    let mut gone = gas();
    gone["enabled"] = json!(false);
    let (hub, _) = hub_with(&gone, &[("r", over(400.0))]).await;
    check(
        &explain(&hub, 60).await,
        "does_not_apply",
        &["device `gas-1` was disabled"],
    );
}

#[tokio::test(start_paused = true)]
async fn a_rule_of_later_did_not_exist_then() {
    let hub = burst().await;
    record(
        &hub,
        &json!({"put_rule": {"id": "later", "revision": 1, "spec": over(1.0)}}),
    );
    let path = format!("/api/v1/explain?device=gas-1&rule=later&at={}", at(25));
    let answer = hub.get(&path).await.json();
    check(
        &answer["rules"][0],
        "does_not_apply",
        &["did not exist then", "it was put at"],
    );
}

#[tokio::test(start_paused = true)]
async fn a_closed_schedule_is_said_with_its_next_opening() {
    let mut night = over(400.0);
    // Midnight UTC is 08:00 in the city; ten at night there is 14:00 UTC.
    night["schedule"] = json!({"times": ["22:00-06:00"]});
    let (hub, key) = hub_with(&gas(), &[("night", night)]).await;
    hub.store(key, &[("pressure_kpa", 20, 420.0)]);
    let answer = explain(&hub, 25).await;
    let words = [
        "schedule was closed",
        "opens at 2026-03-01T14:00:00.000Z",
        "420 kPa would have been above",
    ];
    check(&answer, "did_not_ring", &words);
}

#[tokio::test(start_paused = true)]
async fn what_people_saw_of_an_alarm_is_that_of_the_moment() {
    let hub = burst().await;
    let mut row = burst_row();
    row.cleared_at = None;
    (row.active, row.state) = (true, AlarmState::Shelved);
    row.shelved_until = Some(row.raised_at.plus_s(3_600));
    hub.raise(&row, "shelved");
    let answer = explain(&hub, 25).await;
    check(
        &answer,
        "rang_unseen",
        &["alarm a1", "shelved", "until 2026-03-01T01:00:20.000Z"],
    );
}

#[tokio::test(start_paused = true)]
async fn a_question_that_makes_no_sense_is_refused_with_a_hint() {
    let hub = burst().await;
    let ask = async |query: &str| hub.get(&format!("/api/v1/explain?{query}")).await;
    let future = ask("device=gas-1&at=2030-01-01T00:00:00Z").await;
    assert!(future.problem(400).contains("is in the future"));
    let unknown = ask("device=gas-7").await;
    assert!(unknown.problem(404).contains("never was registered"));
    let before = ask("device=gas-1&at=2020-01-01T00:00:00Z").await;
    assert!(before.problem(404).contains("but not at that moment"));
    assert!(
        ask("device=gas-1&rule=none")
            .await
            .problem(404)
            .contains("never was")
    );
    assert!(ask("").await.problem(400).contains("`device` is missing"));
}
