//! Rules: putting, reading, deleting, and trying them on history.

use super::kit::{Hub, alarm};
use model::{AlarmState, Severity, Timestamp};
use serde_json::{Value, json};

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
    assert_eq!(row["state"], "normal");
    assert_eq!(answer["coverage"]["readings"], 3);
    assert_eq!(answer["coverage"]["devices"], 1);
    // Nothing was recorded live, so all of it is gained.
    assert_eq!(answer["diff"]["gained_total"], 1);
    assert_eq!(answer["diff"]["lost_total"], 0);
    assert!(hub.commands.lock().unwrap().is_empty());
}

#[tokio::test]
async fn the_difference_to_what_was_recorded_is_shown() {
    let hub = burst();
    let mut live = alarm(1, Severity::Critical, 20);
    live.cleared_at = Some(Timestamp::parse("2026-03-01T00:00:30Z").unwrap());
    live.state = AlarmState::Normal;
    hub.raise(&live, "cleared");
    let mut false_one = alarm(2, Severity::Critical, 25);
    false_one.state = AlarmState::Normal;
    hub.raise(&false_one, "cleared");
    let mut withdrawn = alarm(4, Severity::Critical, 22);
    withdrawn.state = AlarmState::Normal;
    withdrawn.cleared_at = Some(withdrawn.raised_at);
    withdrawn.note = Some("withdrawn".to_owned());
    hub.raise(&withdrawn, "withdrawn");
    let mut of_another_rule = alarm(3, Severity::Critical, 20);
    of_another_rule.rule = "other".to_owned();
    hub.raise(&of_another_rule, "raised");
    let path = "/api/v1/rules/backtest";
    let same = hub
        .ask("engineer", "post", path, &request(400.0).to_string())
        .await
        .json();
    assert_eq!(same["diff"]["same"], 1);
    assert_eq!(same["diff"]["gained_total"], 0);
    assert_eq!(same["diff"]["lost"][0]["id"], "a2");
    assert_eq!(same["diff"]["lost_total"], 1);
    let higher = hub
        .ask("engineer", "post", path, &request(500.0).to_string())
        .await
        .json();
    assert_eq!(higher["alarms_total"], 0);
    assert_eq!(higher["diff"]["lost_total"], 2);
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
