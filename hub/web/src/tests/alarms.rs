//! Listing alarms and acting on them.

use super::kit::{Hub, START_MS, alarm};
use model::{AlarmState, Severity};
use serde_json::{Value, json};

fn ids(answer: &Value) -> Vec<String> {
    let items = answer["items"].as_array().unwrap();
    items
        .iter()
        .map(|row| row["id"].as_str().unwrap().to_owned())
        .collect()
}

/// a1 critical; a2 major in the north; a3 minor, being handled; a4 normal again.
fn four(hub: &Hub) {
    hub.raise(&alarm(1, Severity::Critical, 10), "raised");
    let mut north = alarm(2, Severity::Major, 20);
    north.site = Some("North Gate".to_owned());
    north.kind = "noise".to_owned();
    hub.raise(&north, "raised");
    let mut handled = alarm(3, Severity::Minor, 30);
    handled.state = AlarmState::ActiveAcked;
    handled.acked = true;
    hub.raise(&handled, "acked");
    let mut normal = alarm(4, Severity::Minor, 40);
    normal.state = AlarmState::Normal;
    normal.active = false;
    hub.raise(&normal, "cleared");
}

#[tokio::test]
async fn the_list_holds_what_is_not_normal_the_newest_first() {
    let hub = Hub::start();
    four(&hub);
    let list = hub
        .ask("platform", "get", "/api/v1/alarms", "")
        .await
        .json();
    assert_eq!(ids(&list), ["a3", "a2", "a1"]);
    assert_eq!(list["as_of_seq"], 4);
    assert_eq!(list["next"], json!(null));
    assert_eq!(list["counts"]["total"], 3);
    assert_eq!(list["counts"]["severity"]["critical"], 1);
    assert_eq!(list["counts"]["severity"]["warning"], 0);
    assert_eq!(list["counts"]["state"]["active_unacked"], 2);
    assert_eq!(list["counts"]["state"]["active_acked"], 1);
    let row = &list["items"][2];
    assert_eq!(row["raised_at"], "2026-03-01T00:00:10.000Z");
    assert_eq!(row["value"], 421.5);
    assert_eq!(row["limit"], 400.0);
}

/// Puts times for `@20`: so many seconds after the test began.
fn with_times(query: &str) -> String {
    let part = |part: &str| match part.split_once("=@") {
        Some((name, seconds)) => format!(
            "{name}={}",
            START_MS + seconds.parse::<i64>().unwrap() * 1_000
        ),
        None => part.to_owned(),
    };
    query.split('&').map(part).collect::<Vec<_>>().join("&")
}

#[tokio::test]
async fn filters_narrow_the_list_and_history_comes_from_the_store() {
    let hub = Hub::start();
    four(&hub);
    for (query, expected) in [
        ("severity=critical,major", vec!["a2", "a1"]),
        ("kind=noise", vec!["a2"]),
        ("device=gas-1&state=active_acked", vec!["a3"]),
        ("q=north", vec!["a2"]),
        ("q=%E8%B6%85%E5%8E%8B&severity=minor", vec!["a3"]),
        ("grid=350205", vec![]),
        ("grid=350203&kind=noise", vec!["a2"]),
        ("grid=350205,350203010&state=normal", vec!["a4"]),
        ("grid=350205&state=normal", vec![]),
        ("state=all", vec!["a4", "a3", "a2", "a1"]),
        ("state=normal", vec!["a4"]),
        ("from=@20", vec!["a3", "a2"]),
        ("to=@30&kind=gas_pressure", vec!["a1"]),
        ("state=all&from=@30", vec!["a4", "a3"]),
        ("state=all&from=@20&to=@40", vec!["a3", "a2"]),
        ("state=all&from=@41", vec![]),
    ] {
        let query = with_times(query);
        let list = hub.get(&format!("/api/v1/alarms?{query}")).await.json();
        assert_eq!(ids(&list), expected, "{query}");
    }
    assert_eq!(hub.get("/api/v1/alarms/a4").await.json()["state"], "normal");
    hub.get("/api/v1/alarms/a9").await.problem(404);
    hub.get("/api/v1/alarms?cursor=x").await.problem(400);
    hub.get("/api/v1/alarms?from=noon").await.problem(400);
}

#[tokio::test]
async fn a_withdrawn_alarm_is_no_history_unless_asked_for() {
    let hub = Hub::start();
    four(&hub);
    let mut withdrawn = alarm(5, Severity::Critical, 50);
    withdrawn.state = AlarmState::Normal;
    withdrawn.active = false;
    withdrawn.cleared_at = Some(withdrawn.raised_at);
    withdrawn.note = Some("withdrawn".to_owned());
    hub.raise(&withdrawn, "withdrawn");
    for (query, expected) in [
        ("state=all", vec!["a4", "a3", "a2", "a1"]),
        ("state=normal", vec!["a4"]),
        ("state=normal&withdrawn=false", vec!["a4"]),
        ("state=normal&withdrawn=true", vec!["a5", "a4"]),
        ("withdrawn=true", vec!["a3", "a2", "a1"]),
    ] {
        let list = hub.get(&format!("/api/v1/alarms?{query}")).await.json();
        assert_eq!(ids(&list), expected, "{query}");
    }
    let shown = hub.get("/api/v1/alarms/a5").await.json();
    assert_eq!(shown["note"], "withdrawn");
}

#[tokio::test]
async fn pages_follow_each_other_without_gap_or_repeat() {
    let hub = Hub::start();
    for number in 1..=11 {
        // Three at the same instant, so that the number must decide: a9, a10 and a11 too.
        let raised_s = i64::try_from(number).unwrap() / 3;
        hub.raise(&alarm(number, Severity::Minor, raised_s), "raised");
    }
    for state in ["open", "all"] {
        let mut seen = Vec::new();
        let mut cursor = String::new();
        loop {
            let path = format!("/api/v1/alarms?state={state}&limit=2{cursor}");
            let page = hub.get(&path).await.json();
            seen.extend(ids(&page));
            let Some(next) = page["next"].as_str() else {
                break;
            };
            cursor = format!("&cursor={next}");
        }
        let newest_first: Vec<String> = (1..=11).rev().map(|n| format!("a{n}")).collect();
        assert_eq!(seen, newest_first, "{state}");
    }
}

#[tokio::test]
async fn an_ack_with_the_seen_version_is_done_and_a_stale_one_is_a_conflict() {
    let hub = Hub::start();
    hub.raise(&alarm(1, Severity::Critical, 10), "raised");
    let path = "/api/v1/alarms/a1/ack";
    let done = hub
        .ask(
            "officer",
            "post",
            path,
            r#"{"version":1,"comment":"on my way"}"#,
        )
        .await;
    assert_eq!(done.status, 200, "{}", done.text);
    assert_eq!(done.json()["state"], "active_acked");
    assert_eq!(done.json()["version"], 2);
    let stale = hub.ask("officer", "post", path, r#"{"version":1}"#).await;
    stale.problem(409);
    assert_eq!(stale.json()["version"], 2);
    assert_eq!(stale.json()["alarm"]["state"], "active_acked");
    hub.ask("officer", "post", "/api/v1/alarms/a9/ack", "{}")
        .await
        .problem(404);
    hub.ask("officer", "post", path, r#"{"versoin":1}"#)
        .await
        .problem(400);
    let comments = hub.commands.lock().unwrap();
    let sdk::Action::Alarm { comment, .. } = &comments[0].action else {
        panic!("{:?}", comments[0]);
    };
    assert_eq!(comment.as_deref(), Some("on my way"));
}

#[tokio::test]
async fn a_request_that_is_repeated_with_its_key_acts_once() {
    let hub = Hub::start();
    hub.raise(&alarm(1, Severity::Critical, 10), "raised");
    hub.raise(&alarm(2, Severity::Critical, 10), "raised");
    let key = [("idempotency-key", "k-1")];
    let act = async |id: &str, role: &str| {
        let path = format!("/api/v1/alarms/{id}/ack");
        hub.ask_with(role, ("post", &path), &key, r#"{"version":1}"#)
            .await
    };
    let first = act("a1", "officer").await;
    let second = act("a1", "officer").await;
    assert_eq!((second.status.as_u16(), &second.text), (200, &first.text));
    // The same key for another alarm, or from another person, is another request.
    assert_eq!(act("a2", "officer").await.json()["id"], "a2");
    act("a1", "supervisor").await.problem(409);
    let long = "k".repeat(201);
    let path = "/api/v1/alarms/a1/ack";
    hub.ask_with(
        "officer",
        ("post", path),
        &[("idempotency-key", &long)],
        "{}",
    )
    .await
    .problem(400);
}

#[tokio::test]
async fn an_alarm_of_history_needs_no_action() {
    let hub = Hub::start();
    four(&hub);
    let answer = hub
        .ask("officer", "post", "/api/v1/alarms/a4/ack", "{}")
        .await;
    assert_eq!(
        answer.problem(409),
        "alarm `a4` is normal and needs no action"
    );
}

#[tokio::test]
async fn an_action_that_does_not_say_what_it_must_names_the_field() {
    let hub = Hub::start();
    hub.raise(&alarm(1, Severity::Major, 10), "raised");
    for (action, body, field) in [
        ("comment", r#"{"comment":"  "}"#, "comment"),
        ("false_alarm", "{}", "comment"),
        ("out_of_service", "{}", "comment"),
        ("shelve", "{}", "minutes"),
        ("shelve", r#"{"reason":"works"}"#, "minutes"),
        ("shelve", r#"{"minutes":0,"reason":"works"}"#, "minutes"),
        ("shelve", r#"{"minutes":1441,"reason":"works"}"#, "minutes"),
        ("shelve", r#"{"minutes":30}"#, "reason"),
        ("shelve", r#"{"minutes":30,"reason":" "}"#, "reason"),
    ] {
        let path = format!("/api/v1/alarms/a1/{action}");
        let answer = hub.ask("officer", "post", &path, body).await;
        answer.problem(422);
        assert_eq!(answer.json()["field"], field, "{action} {body}");
    }
    let path = "/api/v1/alarms/a1/shelve";
    let fraction = r#"{"minutes":1.5,"reason":"works"}"#;
    hub.ask("officer", "post", path, fraction)
        .await
        .problem(400);
    let never = hub
        .ask("officer", "post", "/api/v1/alarms/a1/explode", "{}")
        .await;
    assert_eq!(
        never.problem(404),
        "there is no action `explode`; available: ack, shelve, unshelve, assign, comment, \
         false_alarm, out_of_service, in_service, reset"
    );
    assert!(hub.commands.lock().unwrap().is_empty());
}

#[tokio::test]
async fn every_action_answers_with_the_alarm_as_it_is_then() {
    let hub = Hub::start();
    hub.raise(&alarm(1, Severity::Major, 10), "raised");
    let mut latched = alarm(2, Severity::Major, 10);
    latched.state = AlarmState::LatchedUnacked;
    latched.active = false;
    hub.raise(&latched, "cleared");
    let shelf = r#"{"version":1,"minutes":30,"reason":"works"}"#;
    for (path, body, field, expected) in [
        ("a1/shelve", shelf, "shelve_reason", json!("works")),
        (
            "a1/unshelve",
            r#"{"version":2}"#,
            "state",
            json!("active_unacked"),
        ),
        (
            "a1/assign",
            r#"{"owner":"wang.wei"}"#,
            "owner",
            json!("wang.wei"),
        ),
        (
            "a1/comment",
            r#"{"comment":"there"}"#,
            "note",
            json!("officer: there"),
        ),
        ("a1/ack", "", "state", json!("active_acked")),
        (
            "a1/false_alarm",
            r#"{"comment":"paint"}"#,
            "verdict",
            json!("false_alarm"),
        ),
        (
            "a1/out_of_service",
            r#"{"comment":"broken"}"#,
            "state",
            json!("out_of_service"),
        ),
        ("a1/in_service", "", "state", json!("active_unacked")),
        ("a2/reset", "", "state", json!("normal")),
    ] {
        let path = format!("/api/v1/alarms/{path}");
        let answer = hub.ask("officer", "post", &path, body).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text);
        assert_eq!(answer.json()[field], expected, "{path}");
    }
    let shown = hub.get("/api/v1/alarms?state=shelved,out_of_service").await;
    assert_eq!(shown.json()["items"], json!([]));
}

#[tokio::test]
async fn who_may_not_act_changes_nothing_and_a_critical_alarm_is_shelved_by_a_supervisor() {
    let hub = Hub::start();
    hub.raise(&alarm(1, Severity::Critical, 10), "raised");
    let path = "/api/v1/alarms/a1/shelve";
    let body = r#"{"minutes":30,"reason":"works"}"#;
    for role in ["viewer", "engineer", "auditor", "platform", "officer"] {
        hub.ask(role, "post", path, body).await.problem(403);
    }
    let done = hub.ask("supervisor", "post", path, body).await;
    assert_eq!(done.json()["state"], "shelved");
    let list = hub.get("/api/v1/alarms").await.json();
    assert_eq!(ids(&list), ["a1"]);
    assert_eq!(list["counts"]["state"]["shelved"], 1);
    let health = hub.get("/api/v1/health").await.json();
    assert_eq!(health["alarms"]["state"]["shelved"], 1);
    assert_eq!(health["alarms"]["in_flood"], false);
    let figures = hub.get("/metrics").await.text;
    assert!(figures.contains("cityhub_alarm_flood 0\n"), "{figures}");
}

#[tokio::test]
async fn a_bulk_shelve_names_those_that_take_a_supervisor() {
    let hub = Hub::start();
    hub.raise(&alarm(1, Severity::Critical, 10), "raised");
    hub.raise(&alarm(2, Severity::Major, 10), "raised");
    let path = "/api/v1/alarms/bulk";
    let mut body = json!({"action": "shelve", "ids": ["a1", "a2"], "minutes": 30});
    let answer = hub.ask("officer", "post", path, &body.to_string()).await;
    answer.problem(422);
    assert_eq!(answer.json()["field"], "reason");
    body["reason"] = json!("works");
    let answer = hub
        .ask("officer", "post", path, &body.to_string())
        .await
        .json();
    assert_eq!(
        (&answer["matched"], &answer["succeeded"]),
        (&json!(2), &json!(1))
    );
    let failed = &answer["failed"][0];
    assert_eq!(
        (&failed["id"], &failed["code"]),
        (&json!("a1"), &json!("forbidden"))
    );
}

#[tokio::test]
async fn a_bulk_ack_tells_which_alarms_failed_and_why() {
    let hub = Hub::start();
    hub.raise(&alarm(1, Severity::Critical, 10), "raised");
    hub.raise(&alarm(2, Severity::Major, 10), "raised");
    let body = json!({"action": "ack", "ids": ["a1", "a2", "a1", "a9"]});
    let path = "/api/v1/alarms/bulk";
    let answer = hub
        .ask("officer", "post", path, &body.to_string())
        .await
        .json();
    assert_eq!(answer["matched"], 2);
    assert_eq!(answer["succeeded"], 2);
    let failed = answer["failed"].as_array().unwrap();
    assert_eq!(failed.len(), 1);
    assert_eq!(
        (&failed[0]["id"], &failed[0]["code"]),
        (&json!("a9"), &json!("not_found"))
    );
    let none = json!({"action": "ack", "ids": []});
    hub.ask("officer", "post", path, &none.to_string())
        .await
        .problem(422);
}
