//! Alarms as the duty console asks for them: ordered by urgency, counted under filters, with what
//! happened to each.

use super::kit::{Hub, alarm};
use model::{AlarmRow, AlarmState, Severity};
use serde_json::{Value, json};
use store::NewEvent;

fn ids(answer: &Value) -> Vec<&str> {
    let items = answer["items"].as_array().unwrap();
    items
        .iter()
        .map(|row| row["id"].as_str().unwrap())
        .collect()
}

fn put(hub: &Hub, number: u64, severity: Severity, state: AlarmState) -> AlarmRow {
    let mut row = alarm(number, severity, i64::try_from(number).unwrap());
    row.state = state;
    hub.raise(&row, "raised");
    row
}

/// Unanswered: a1 minor, a2 critical, a3 critical; in hand: a4 critical; gone: a5 major; shelved:
/// a6 warning.
fn six(hub: &Hub) {
    put(hub, 1, Severity::Minor, AlarmState::ActiveUnacked);
    put(hub, 2, Severity::Critical, AlarmState::ActiveUnacked);
    put(hub, 3, Severity::Critical, AlarmState::ActiveUnacked);
    put(hub, 4, Severity::Critical, AlarmState::ActiveAcked);
    put(hub, 5, Severity::Major, AlarmState::ClearedUnacked);
    put(hub, 6, Severity::Warning, AlarmState::Shelved);
}

#[tokio::test]
async fn what_asks_for_an_answer_comes_first_then_the_worst_then_the_newest() {
    let hub = Hub::start();
    six(&hub);
    let urgent = ["a3", "a2", "a1", "a5", "a4", "a6"];
    let list = hub.get("/api/v1/alarms?sort=priority").await.json();
    assert_eq!(ids(&list), urgent);
    let mut seen = Vec::new();
    let mut cursor = String::new();
    loop {
        let path = format!("/api/v1/alarms?sort=priority&limit=2{cursor}");
        let page = hub.get(&path).await.json();
        seen.extend(ids(&page).into_iter().map(str::to_owned));
        let Some(next) = page["next"].as_str() else {
            break;
        };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(seen, urgent);
    let history = "/api/v1/alarms?sort=priority&state=all";
    hub.get(history).await.problem(400);
}

#[tokio::test]
async fn counts_under_a_filter_leave_out_the_filter_of_their_own() {
    let hub = Hub::start();
    six(&hub);
    let path = "/api/v1/alarms?severity=critical&state=active_unacked";
    let counts = hub.get(path).await.json()["counts"].clone();
    assert_eq!(
        (&counts["total"], &counts["matched"]),
        (&json!(6), &json!(2))
    );
    let filtered = &counts["filtered"];
    assert_eq!(filtered["total"], 2);
    let severity = json!({"critical": 2, "major": 0, "minor": 1, "warning": 0});
    assert_eq!(filtered["severity"], severity);
    assert_eq!(filtered["state"]["active_acked"], 1);
    assert_eq!(filtered["state"]["shelved"], 0);
    assert_eq!(counts["matrix"]["active_unacked"]["minor"], 1);
}

#[tokio::test]
async fn a_row_names_its_device_and_the_page_says_once_what_its_rule_advises() {
    let hub = Hub::start();
    hub.register(
        r#"{"id":"gas-1","kind":"gas_pressure","name":"调压箱03","location":{"lon":118.5,"lat":24.5}}"#,
    );
    let rule = json!({"title": "超压", "kind": "threshold", "select": {}, "metric": "pressure_kpa",
        "above": 400.0, "severity": "critical", "advice": "1 致电抢修"});
    let path = "/api/v1/rules/gas_overpressure";
    hub.ask("engineer", "put", path, &rule.to_string()).await;
    put(&hub, 1, Severity::Critical, AlarmState::ActiveUnacked);
    let list = hub.get("/api/v1/alarms?q=%E8%B0%83%E5%8E%8B").await.json();
    let row = &list["items"][0];
    assert_eq!(row["device_name"], "调压箱03");
    assert_eq!(row["location"]["lon"], 118.5);
    assert_eq!(list["rules"]["gas_overpressure"]["advice"], "1 致电抢修");
    let one = hub.get("/api/v1/alarms/a1").await.json();
    assert_eq!(
        (&one["advice"], &one["device_name"]),
        (&json!("1 致电抢修"), &json!("调压箱03"))
    );
}

#[tokio::test]
async fn the_history_of_an_alarm_tells_who_did_and_said_what() {
    let hub = Hub::start();
    let mut row = put(&hub, 1, Severity::Critical, AlarmState::ActiveUnacked);
    put(&hub, 2, Severity::Minor, AlarmState::ActiveUnacked);
    row.state = AlarmState::ActiveAcked;
    row.version = 2;
    hub.commit(|group| {
        let mut data = json!(row);
        data["actor"] = json!("值班员甲");
        data["comment"] = json!("已电话燃气抢修");
        group.event(&NewEvent {
            kind: "cityhub.alarm.acked",
            subject: "a1",
            severity: Some(row.severity),
            grid: None,
            time: row.raised_at.plus_s(30),
            data: &data.to_string(),
        });
    });
    let path = "/api/v1/alarms/a1/history";
    let history = hub.get(path).await.json();
    let items = history["items"].as_array().unwrap();
    assert_eq!(items.len(), 2);
    assert_eq!(
        (&items[0]["kind"], &items[0]["actor"]),
        (&json!("raised"), &json!(null))
    );
    assert_eq!(items[1]["kind"], "acked");
    assert_eq!(items[1]["actor"], "值班员甲");
    assert_eq!(items[1]["comment"], "已电话燃气抢修");
    assert_eq!(items[1]["at"], "2026-03-01T00:00:31.000Z");
    assert_eq!(
        (&items[1]["seq"], &items[1]["version"]),
        (&json!(3), &json!(2))
    );
    assert_eq!(history["next"], json!(null));
    let rest = hub.get(&format!("{path}?after=1&limit=1")).await.json();
    assert_eq!(
        (&rest["items"][0]["seq"], &rest["next"]),
        (&json!(3), &json!(3))
    );
    hub.get("/api/v1/alarms/a9/history").await.problem(404);
}

#[tokio::test]
async fn a_filter_acts_on_what_fits_but_never_unseen_on_critical_and_major_alarms() {
    let hub = Hub::start();
    six(&hub);
    put(&hub, 7, Severity::Minor, AlarmState::ActiveUnacked);
    let ask = |body: Value| {
        let body = body.to_string();
        let hub = &hub;
        async move {
            hub.ask("officer", "post", "/api/v1/alarms/bulk", &body)
                .await
        }
    };
    let filter = json!({"state": "active_unacked"});
    let done = ask(json!({"action": "ack", "filter": filter})).await.json();
    assert_eq!(
        (&done["matched"], &done["succeeded"]),
        (&json!(4), &json!(2))
    );
    let failed = done["failed"].as_array().unwrap();
    let kept: Vec<(&str, &str)> = failed
        .iter()
        .map(|row| (row["id"].as_str().unwrap(), row["code"].as_str().unwrap()))
        .collect();
    assert_eq!(kept, [("a3", "needs_id"), ("a2", "needs_id")]);
    for wrong in [
        json!({"action": "ack", "ids": ["a1"], "filter": {}}),
        json!({"action": "ack", "filter": {"colour": "red"}}),
        json!({"action": "ack", "filter": {"state": "all"}}),
        json!({"action": "ack"}),
    ] {
        ask(wrong).await.problem(422);
    }
}
