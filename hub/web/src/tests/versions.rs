//! The versions of a rule, the way back to one, and how rules did in a week.

use super::kit::{Hub, alarm};
use model::Severity;
use serde_json::{Value, json};

const PATH: &str = "/api/v1/rules/over";

fn over(limit: f64, severity: &str) -> Value {
    json!({
        "title": "超压", "kind": "threshold", "select": {"kind": "gas_pressure"},
        "metric": "pressure_kpa", "above": limit, "severity": severity,
    })
}

/// Writes a version down where the writer does.
fn write(hub: &Hub, revision: u64, spec: &Value, (actor, action): (&str, &str)) {
    hub.commit(|group| {
        let put = json!({"put_rule": {"id": "over", "revision": revision, "spec": spec}});
        group.change(&put.to_string());
        let other = json!({"put_rule": {"id": "other", "revision": 9, "spec": spec}});
        group.change(&other.to_string());
        group.audit("chen", "engineer", "put_rule", "other", "{}");
        let of = (action == "rollback_rule").then_some(1);
        let detail = json!({"revision": revision, "of": of, "reason": "so", "spec": spec,
            "proposed_by": (action == "approve_rule").then_some("li")});
        let detail = detail.to_string();
        group.audit(actor, "engineer", action, "over", &detail);
    });
    let (id, spec) = ("over".to_owned(), spec.clone());
    hub.state.rules.put(crate::RuleEntry { id, revision, spec });
}

#[tokio::test]
async fn every_version_says_who_put_it_and_what_it_changed() {
    let hub = Hub::start();
    hub.get(&format!("{PATH}/versions")).await.problem(404);
    write(&hub, 1, &over(300.0, "minor"), ("wu", "put_rule"));
    hub.commit(|group| group.change(r#"{"delete_rule":{"id":"over"}}"#));
    write(&hub, 1, &over(400.0, "minor"), ("li", "put_rule"));
    write(&hub, 2, &over(380.0, "major"), ("wang", "put_rule"));
    write(&hub, 3, &over(400.0, "minor"), ("li", "rollback_rule"));
    write(&hub, 5, &over(390.0, "minor"), ("wu", "approve_rule"));
    let shown = hub.get(&format!("{PATH}/versions")).await.json();
    assert_eq!(shown["revision"], 5);
    let items = shown["items"].as_array().unwrap();
    // What was before the rule was deleted is another rule's past.
    let told: Vec<Value> = items
        .iter()
        .map(|of| {
            json!([
                of["revision"],
                of["by"],
                of["rolled_back_to"],
                of["rule"]["above"]
            ])
        })
        .collect();
    let expected = json!([
        [5, "li", null, 390.0],
        [3, "li", 1, 400.0],
        [2, "wang", null, 380.0],
        [1, "li", null, 400.0]
    ]);
    assert_eq!(json!(told), expected);
    let changed = json!([
        {"key": "above", "from": 400.0, "to": 380.0},
        {"key": "severity", "from": "minor", "to": "major"},
    ]);
    assert_eq!(items[2]["changed"], changed);
    assert_eq!(items[3]["changed"], json!(null));
    let second = |of: &Value| json!([of["state"], of["approved_by"], of["reason"]]);
    assert_eq!(second(&items[0]), json!(["in_force", "wu", "so"]));
    assert_eq!(second(&items[1]), json!(["former", null, "so"]));
}

#[tokio::test]
async fn a_former_version_is_put_again_as_a_new_one() {
    let hub = Hub::start();
    let path = format!("{PATH}/rollback");
    let ask = async |body: &str| hub.ask("engineer", "post", &path, body).await;
    ask(r#"{"revision":1}"#).await.problem(404);
    write(&hub, 1, &over(400.0, "minor"), ("li", "put_rule"));
    write(&hub, 2, &over(380.0, "major"), ("li", "put_rule"));
    ask(r#"{"revision":2}"#).await.problem(409);
    ask(r#"{"revision":7}"#).await.problem(404);
    let officer = hub.ask("officer", "post", &path, r#"{"revision":1}"#).await;
    officer.problem(403);
    let done = ask(r#"{"revision":1}"#).await;
    assert_eq!(done.status, 200);
    assert_eq!(done.json()["revision"], 3);
    let rule = hub.get(PATH).await.json();
    assert_eq!(
        (&rule["above"], &rule["severity"]),
        (&json!(400.0), &json!("minor"))
    );
}

#[tokio::test]
async fn a_week_of_a_rule_is_counted_when_it_is_asked_for() {
    let hub = Hub::start();
    let spec = over(400.0, "minor");
    for id in ["gas_overpressure", "quiet"] {
        let (id, spec) = (id.to_owned(), spec.clone());
        hub.state.rules.put(crate::RuleEntry {
            id,
            revision: 1,
            spec,
        });
    }
    let mut told = alarm(1, Severity::Minor, -60);
    told.announced_at = Some(told.raised_at);
    told.verdict = Some("false_alarm".to_owned());
    hub.raise(&told, "raised");
    let mut chattering = alarm(2, Severity::Minor, -30);
    chattering.chattering = true;
    chattering.announced_at = Some(chattering.raised_at);
    hub.raise(&chattering, "raised");
    // Nobody was told of these.
    let mut held = alarm(4, Severity::Minor, -20);
    held.verdict = Some("false_alarm".to_owned());
    hub.raise(&held, "raised");
    let mut tried = alarm(5, Severity::Minor, -10);
    tried.shadow = true;
    hub.raise(&tried, "raised");
    let mut old = alarm(3, Severity::Minor, -8 * 86_400);
    old.announced_at = Some(old.raised_at);
    hub.raise(&old, "raised");
    let list = hub.get("/api/v1/rules?figures=7d").await.json();
    let figures = json!({"announced": 2, "false_alarms": 1, "chattering": 1, "shadow": 1});
    assert_eq!(list["items"][0]["figures_7d"], figures);
    let none = json!({"announced": 0, "false_alarms": 0, "chattering": 0, "shadow": 0});
    assert_eq!(list["items"][1]["figures_7d"], none);
    let plain = hub.get("/api/v1/rules").await.json();
    assert_eq!(plain["items"][0].get("figures_7d"), None);
}

#[tokio::test]
async fn what_waits_is_shown_beside_what_is_in_force_and_can_be_put_back_with_it() {
    let hub = Hub::start();
    write(&hub, 1, &over(400.0, "minor"), ("li", "put_rule"));
    let proposal = |id: &str, rule: Option<Value>| crate::Proposal {
        id: id.to_owned(),
        revision: 2,
        at: model::Timestamp::from_millis(0),
        by: "wang".to_owned(),
        reason: Some("new limit".to_owned()),
        rolled_back_to: None,
        rule,
        end: None,
    };
    let waiting = Some(proposal("over", Some(over(380.0, "critical"))));
    hub.state.rules.propose("over", waiting);
    hub.state.rules.propose("new", Some(proposal("new", None)));
    let list = hub.get("/api/v1/rules").await.json();
    assert_eq!(list["items"][0]["above"], 400.0);
    let ids = json!([list["pending"][0]["id"], list["pending"][1]["id"]]);
    assert_eq!(ids, json!(["new", "over"]));
    let rule = hub.get(PATH).await.json();
    assert_eq!(
        (&rule["revision"], &rule["pending"]["revision"]),
        (&json!(1), &json!(2))
    );
    assert_eq!(rule["pending"]["changed"][1]["to"], "critical");
    let put = hub.ask("engineer", "put", PATH, &rule.to_string()).await;
    assert_eq!(put.status, 200);
    let shown = hub.get(&format!("{PATH}/versions")).await.json();
    assert_eq!(
        (&shown["items"][0]["state"], &shown["items"][1]["state"]),
        (&json!("pending"), &json!("in_force"))
    );
    // A rule that is none yet has versions, but nothing else.
    let new = hub.get("/api/v1/rules/new/versions").await.json();
    assert_eq!(
        (&new["revision"], &new["items"][0]["by"]),
        (&json!(null), &json!("wang"))
    );
    hub.get("/api/v1/rules/new").await.problem(404);
}

#[tokio::test]
async fn a_reason_is_short_and_a_rejection_has_one() {
    let hub = Hub::start();
    let long = "x".repeat(2_001);
    let spec = over(400.0, "minor").to_string();
    let path = format!("{PATH}?reason={long}");
    let put = hub.ask("engineer", "put", &path, &spec).await;
    assert_eq!(put.json()["field"], "reason");
    let path = format!("{PATH}/reject");
    let ask = async |body: &str| hub.ask("supervisor", "post", &path, body).await;
    ask(r#"{"revision":2}"#).await.problem(422);
    ask(r#"{"revision":2,"reason":" "}"#).await.problem(422);
    ask(r#"{"revision":2,"reason":"no"}"#).await.problem(404);
}
