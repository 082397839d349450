//! Every action on alarms over HTTP: what it makes of the alarm, who may, and what it must say.

use serde_json::{Value, json};
use tests::audit;
use tests::fleet::overpressure;
use tests::http::{Reply, Request};
use tests::hub::{Hub, Place, token};
use tests::time::now_s_in_ms;

/// A hub with a rule of this severity, and an active alarm of each sensor.
fn start(place: &Place, sensors: &[&str], severity: &str) -> (Hub, Vec<Value>) {
    let hub = place.start();
    let device = |id: &&str| json!({"id": id, "kind": "gas_pressure", "cadence_s": 60});
    hub.register(&Value::Array(sensors.iter().map(device).collect()));
    let mut rule = overpressure();
    rule["severity"] = json!(severity);
    hub.rule("over", &rule);
    let mut rows = Vec::new();
    for sensor in sensors {
        let body = json!({"ts": now_s_in_ms() - 60_000, "values": {"pressure_kpa": 450.0}});
        hub.store(sensor, &body);
        let page = hub.api().get(&format!("/api/v1/alarms?device={sensor}"));
        rows.push(page["items"][0].clone());
    }
    (hub, rows)
}

fn path(row: &Value, verb: &str) -> String {
    format!("/api/v1/alarms/{}/{verb}", row["id"].as_str().unwrap())
}

/// Sends an action as an officer under an `Idempotency-Key`.
fn post_keyed(hub: &Hub, path: &str, key: &str, body: &Value) -> Reply {
    let bearer = format!("Bearer {}", token("officer"));
    let body = body.to_string();
    let request = Request {
        method: "POST",
        path,
        headers: &[
            ("authorization", &bearer),
            ("content-type", "application/json"),
            ("idempotency-key", key),
        ],
        body: body.as_bytes(),
    };
    request.send(hub.addr("http")).unwrap()
}

#[test]
#[expect(clippy::too_many_lines, reason = "one story, told in order")]
fn every_action_moves_the_alarm_and_is_in_the_feed_and_the_audit() {
    let place = Place::default();
    let (hub, rows) = start(&place, &["gas-1"], "major");
    let officer = hub.api_as("officer");
    let mut version = rows[0]["version"].as_u64().unwrap();
    // Action, what it says, state after it, name of its event.
    let story = [
        (
            "comment",
            json!({"comment": "看过"}),
            "active_unacked",
            "commented",
        ),
        (
            "assign",
            json!({"owner": "wang"}),
            "active_unacked",
            "assigned",
        ),
        ("ack", json!({}), "active_acked", "acked"),
        (
            "shelve",
            json!({"minutes": 30, "reason": "施工"}),
            "shelved",
            "shelved",
        ),
        ("unshelve", json!({}), "active_unacked", "unshelved"),
        (
            "false_alarm",
            json!({"comment": "误报"}),
            "active_acked",
            "false_alarm",
        ),
        (
            "out_of_service",
            json!({"comment": "坏了"}),
            "out_of_service",
            "out_of_service",
        ),
        ("in_service", json!({}), "active_unacked", "in_service"),
    ];
    for (verb, mut said, state, event) in story.clone() {
        said["version"] = json!(version);
        let row = officer.post(&path(&rows[0], verb), &said).expect(200);
        assert_eq!(row["state"], state, "{verb}");
        version += 1;
        assert_eq!(row["version"], version, "{verb}");
        // The case of the alarm is told of it, too.
        let events = audit::events(&hub.api()).into_iter();
        let last = events.filter(|event| event["subject"] == rows[0]["id"]);
        let last = last.collect::<Vec<_>>().pop().unwrap();
        assert_eq!(last["type"], format!("cityhub.alarm.{event}"));
        assert_eq!(last["data"]["actor"], "officer", "{verb}");
        assert_eq!(last["data"]["comment"], said["comment"], "{verb}");
        assert_eq!(last["data"]["state"], state, "{verb}");
    }
    let row = &hub.api().get("/api/v1/alarms")["items"][0];
    assert_eq!(
        (&row["owner"], &row["verdict"]),
        (&json!("wang"), &json!("false_alarm"))
    );
    let trail = hub.api_as("auditor").get("/api/v1/audit");
    let actions: Vec<_> = trail["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|entry| entry["actor"] == "officer")
        .map(|entry| entry["action"].as_str().unwrap())
        .collect();
    let mut named = story.map(|(verb, ..)| verb).to_vec();
    if actions.first() != named.first() {
        named.reverse();
    }
    assert_eq!(actions, named);
}

#[test]
fn an_action_that_is_late_incomplete_or_impossible_changes_nothing() {
    let place = Place::default();
    let (hub, rows) = start(&place, &["gas-1"], "major");
    let officer = hub.api_as("officer");
    let before = audit::events(&hub.api());
    let row = &rows[0];
    let stale = officer
        .post(&path(row, "ack"), &json!({"version": 99}))
        .problem(409);
    assert_eq!(
        (&stale["version"], &stale["alarm"]["id"]),
        (&row["version"], &row["id"])
    );
    // What is missing or wrong, by action.
    let wrong = [
        ("comment", json!({}), "comment"),
        ("comment", json!({"comment": "  "}), "comment"),
        ("false_alarm", json!({}), "comment"),
        ("out_of_service", json!({}), "comment"),
        ("shelve", json!({"reason": "施工"}), "minutes"),
        ("shelve", json!({"minutes": 30}), "reason"),
        ("shelve", json!({"minutes": 0, "reason": "施工"}), "minutes"),
        (
            "shelve",
            json!({"minutes": 1441, "reason": "施工"}),
            "minutes",
        ),
    ];
    for (verb, said, field) in wrong {
        let problem = officer.post(&path(row, verb), &said).problem(422);
        assert_eq!(problem["field"], field, "{verb} {said}: {problem}");
    }
    for verb in ["unshelve", "in_service", "reset"] {
        officer.post(&path(row, verb), &json!({})).problem(409);
    }
    officer.post(&path(row, "sing"), &json!({})).problem(404);
    officer
        .post("/api/v1/alarms/a999/ack", &json!({}))
        .problem(404);
    for role in ["viewer", "engineer", "auditor"] {
        let api = hub.api_as(role);
        api.post(&path(row, "ack"), &json!({})).problem(403);
    }
    assert_eq!(audit::events(&hub.api()), before);
    assert_eq!(hub.api().get("/api/v1/alarms")["items"][0], *row);
}

#[test]
fn to_shelve_a_critical_alarm_takes_a_supervisor() {
    let place = Place::default();
    let (hub, rows) = start(&place, &["gas-1"], "critical");
    let shelve = json!({"version": rows[0]["version"], "minutes": 30, "reason": "施工"});
    let path = path(&rows[0], "shelve");
    hub.api_as("officer").post(&path, &shelve).problem(403);
    let row = hub.api_as("supervisor").post(&path, &shelve).expect(200);
    assert_eq!(
        (&row["state"], &row["shelved_by"]),
        (&json!("shelved"), &json!("supervisor"))
    );
}

#[test]
fn a_repeated_request_gets_the_first_answer_even_after_a_crash() {
    let place = Place::default();
    let (hub, rows) = start(&place, &["gas-1"], "major");
    let said = json!({"version": rows[0]["version"], "comment": "看过"});
    let path = path(&rows[0], "comment");
    let first = post_keyed(&hub, &path, "k1", &said).expect(200);
    let events = audit::events(&hub.api()).len();
    assert_eq!(post_keyed(&hub, &path, "k1", &said).expect(200), first);
    hub.kill();
    let hub = place.start();
    assert_eq!(post_keyed(&hub, &path, "k1", &said).expect(200), first);
    assert_eq!(audit::events(&hub.api()).len(), events);
    // The key of another request is named, and that request is not taken for done.
    let other = json!({"version": rows[0]["version"], "comment": "另一件"});
    let problem = post_keyed(&hub, &path, "k1", &other).problem(422);
    assert!(problem["detail"].as_str().unwrap().contains("`k1`"));
    // Another key is another request, and comes too late.
    post_keyed(&hub, &path, "k2", &said).problem(409);
}

#[test]
fn an_action_in_bulk_says_of_each_alarm_whether_it_was_done() {
    let place = Place::default();
    let (hub, rows) = start(&place, &["gas-1", "gas-2", "gas-3"], "major");
    let officer = hub.api_as("officer");
    let ids: Vec<_> = rows.iter().map(|row| row["id"].clone()).collect();
    officer.post(&path(&rows[2], "ack"), &json!({})).expect(200);
    let bulk = json!({"action": "ack", "ids": [ids[0], ids[1], ids[2], "a999", ids[0]]});
    let answer = officer.post("/api/v1/alarms/bulk", &bulk).expect(200);
    assert_eq!(
        (&answer["matched"], &answer["succeeded"]),
        (&json!(3), &json!(2))
    );
    let failed: Vec<_> = answer["failed"]
        .as_array()
        .unwrap()
        .iter()
        .map(|failure| (failure["id"].clone(), failure["code"].as_str().unwrap()))
        .collect();
    assert_eq!(
        failed,
        [(ids[2].clone(), "conflict"), (json!("a999"), "not_found")]
    );
    let shelve = json!({"action": "shelve", "ids": ids, "minutes": 30});
    let problem = officer.post("/api/v1/alarms/bulk", &shelve).problem(422);
    assert_eq!(problem["field"], "reason");
    let shelve = json!({"action": "shelve", "ids": ids, "minutes": 30, "reason": "施工"});
    let answer = officer.post("/api/v1/alarms/bulk", &shelve).expect(200);
    assert_eq!(answer, json!({"matched": 3, "succeeded": 3, "failed": []}));
    let counts = &hub.api().get("/api/v1/alarms?state=shelved")["counts"];
    assert_eq!(counts["matched"], 3);
}
