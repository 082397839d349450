//! Rules: putting, reading, deleting, and trying them on history.

use super::kit::Hub;
use serde_json::{Value, json};
use std::time::Duration;

fn over(limit: f64) -> Value {
    json!({
        "title": "中压燃气管道超压", "kind": "threshold", "select": {"kind": "gas_pressure"},
        "metric": "pressure_kpa", "above": limit, "deadband": 10.0, "severity": "critical",
    })
}

#[tokio::test]
async fn a_rule_is_put_shown_changed_and_deleted() {
    let hub = Hub::start();
    let path = "/api/v1/rules/gas_overpressure";
    let put = hub
        .ask("engineer", "put", path, &over(400.0).to_string())
        .await;
    assert_eq!(put.status, 200, "{}", put.text);
    assert_eq!(put.json()["revision"], 1);
    let shown = hub.get(path).await.json();
    assert_eq!(shown["id"], "gas_overpressure");
    assert_eq!(shown["above"], 400.0);
    let list = hub.get("/api/v1/rules").await.json();
    assert_eq!(list["items"].as_array().unwrap().len(), 1);

    // What GET shows can be put back; an old revision cannot.
    let back = hub.ask("engineer", "put", path, &shown.to_string()).await;
    assert_eq!(back.json()["revision"], 2);
    let stale = hub.ask("engineer", "put", path, &shown.to_string()).await;
    stale.problem(409);
    assert_eq!(stale.json()["revision"], 2);

    let gone = hub.ask("engineer", "delete", path, "").await;
    assert_eq!(gone.status, 204);
    hub.get(path).await.problem(404);
    hub.ask("engineer", "delete", path, "").await.problem(404);
}

#[tokio::test]
async fn a_wrong_rule_is_refused_with_its_key() {
    let hub = Hub::start();
    let put = async |id: &str, body: Value| {
        let path = format!("/api/v1/rules/{id}");
        hub.ask("engineer", "put", &path, &body.to_string()).await
    };
    let mut misspelt = over(400.0);
    misspelt["abvoe"] = json!(1);
    let answer = put("r", misspelt).await;
    assert!(answer.problem(422).contains("abvoe"));
    let mut unknown = over(400.0);
    unknown["metric"] = json!("presure_kpa");
    let answer = put("r", unknown).await;
    assert!(answer.problem(422).contains("presure_kpa"));
    assert_eq!(answer.json()["key"], "metric");
    let answer = put("r", json!({"kind": "any", "of": ["nobody"]})).await;
    assert!(answer.problem(422).contains("nobody"));
    assert_eq!(answer.json()["key"], "of[0]");
    let mut other = over(400.0);
    other["id"] = json!("s");
    put("r", other).await.problem(422);
    put("a%20b", over(400.0)).await.problem(422);
    put("r", json!([1])).await.problem(400);
    assert!(hub.commands.lock().unwrap().is_empty());
}

/// 300, 420, 300 kPa at 10, 20 and 30 s.
fn burst() -> Hub {
    let hub = Hub::start();
    let gas = hub.register(r#"{"id":"gas-1","kind":"gas_pressure","site":"花园路"}"#);
    let values = [(10, 300.0), (20, 420.0), (30, 300.0)];
    hub.store(gas, &values.map(|(at, value)| ("pressure_kpa", at, value)));
    hub
}

fn request(limit: f64) -> Value {
    let mut rule = over(limit);
    rule["id"] = json!("gas_overpressure");
    json!({"rules": [rule], "from": "2026-03-01T00:00:00Z", "to": "2026-03-01T00:01:00Z"})
}

#[tokio::test]
async fn a_backtest_gives_the_alarms_that_live_would_have_given() {
    let hub = burst();
    let path = "/api/v1/rules/backtest";
    let answer = hub
        .ask("supervisor", "post", path, &request(400.0).to_string())
        .await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let answer = answer.json();
    assert_eq!(answer["alarms_total"], 1);
    let row = &answer["alarms"][0];
    assert_eq!(row["rule"], "gas_overpressure");
    assert_eq!(row["device"], "gas-1");
    assert_eq!(row["site"], "花园路");
    assert_eq!(row["raised_at"], "2026-03-01T00:00:20.000Z");
    assert_eq!(row["cleared_at"], "2026-03-01T00:00:30.000Z");
    assert_eq!(row["peak"], 420.0);
    assert_eq!(row["state"], "cleared_unacked");
    assert_eq!(answer["coverage"]["readings"], 3);
    assert_eq!(answer["coverage"]["devices"], 1);
    // Nothing was recorded live, so all of it is gained.
    assert_eq!(answer["diff"]["gained_total"], 1);
    assert_eq!(answer["diff"]["lost_total"], 0);
    assert!(hub.commands.lock().unwrap().is_empty());
}

/// Commits a change of a device as the hub's writer records it.
fn record(hub: &Hub, change: &Value) {
    hub.commit(|group| group.change(&change.to_string()));
}

fn request_of_silence() -> Value {
    json!({
        "rules": [{"id": "quiet", "title": "静默", "kind": "silence", "select": {},
                   "after_s": 60, "severity": "major"}],
        "from": "2026-03-01T00:00:00Z", "to": "2026-03-01T00:10:00Z",
    })
}

#[tokio::test(start_paused = true)]
async fn a_device_is_silent_from_its_registration_on_and_no_longer_than_it_is_registered() {
    let hub = Hub::start();
    // The clock of the kit moves by a millisecond with each commit and begins at 00:00:00; a
    // reading is received a millisecond after its device time, which is the sign of life.
    let witness = hub.register(r#"{"id":"witness","kind":"smoke"}"#);
    let device = |id: &str| json!({"id": id, "kind": "smoke"});
    record(
        &hub,
        &json!({"put_device": {"key": 77, "device": device("gone")}}),
    );
    hub.store(witness, &[("battery_pct", 200, 90.0)]);
    // Registered at 00:03:20.002.
    record(
        &hub,
        &json!({"put_device": {"key": 78, "device": device("new")}}),
    );
    // Deleted at 00:03:20.003.
    record(&hub, &json!({"delete_device": {"key": 77}}));
    record(
        &hub,
        &json!({"put_rule": {"id": "quiet", "revision": 1, "spec": {}}}),
    );
    // A backtest ends now at the latest, so now is made the end of the period.
    tokio::time::advance(Duration::from_secs(600)).await;
    let answer = hub
        .ask(
            "engineer",
            "post",
            "/api/v1/rules/backtest",
            &request_of_silence().to_string(),
        )
        .await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let answer = answer.json();
    let found: Vec<(&str, &str, &Value)> = answer["alarms"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| {
            let text = |key: &str| row[key].as_str().unwrap();
            (text("device"), text("raised_at"), &row["cleared_at"])
        })
        .collect();
    assert_eq!(
        found,
        [
            // No change of it is recorded, so that it is there from `from` on.
            (
                "witness",
                "2026-03-01T00:01:00.000Z",
                &json!("2026-03-01T00:03:20.000Z")
            ),
            (
                "gone",
                "2026-03-01T00:01:00.002Z",
                &json!("2026-03-01T00:03:20.003Z")
            ),
            ("witness", "2026-03-01T00:04:20.000Z", &Value::Null),
            ("new", "2026-03-01T00:04:20.002Z", &Value::Null),
        ]
    );
}

#[tokio::test]
async fn a_backtest_that_makes_no_sense_is_refused() {
    let hub = burst();
    let path = "/api/v1/rules/backtest";
    let mut backwards = request(400.0);
    backwards["from"] = json!("2026-03-01T00:02:00Z");
    let mut nameless = request(400.0);
    nameless["rules"][0].as_object_mut().unwrap().remove("id");
    let mut empty = request(400.0);
    empty["rules"] = json!([]);
    let mut broken = request(400.0);
    broken["rules"][0]["kind"] = json!("horoscope");
    for (body, word) in [
        (backwards, "is not before"),
        (nameless, "rule 1: `id` is missing"),
        (empty, "1 to 1000 rules"),
        (broken, "horoscope"),
    ] {
        let answer = hub.ask("engineer", "post", path, &body.to_string()).await;
        let detail = answer.problem(422);
        assert!(detail.contains(word), "{detail}");
    }
    hub.ask("engineer", "post", path, r#"{"rules":[]}"#)
        .await
        .problem(400);
}
