//! A change of a critical rule waits for a second person, and the rule as it is goes on guarding.

use serde_json::{Value, json};
use tests::http::Api;
use tests::hub::{Hub, Place, plain_config};

const RULE: &str = "/api/v1/rules/over";

fn over(above: f64) -> Value {
    json!({"title": "超压", "kind": "threshold", "select": {"kind": "gas_pressure"},
        "metric": "pressure_kpa", "above": above, "severity": "critical"})
}

/// State, version, author and second person of every version, the newest first.
fn versions(api: &Api) -> Vec<Value> {
    let page = api.get(&format!("{RULE}/versions"));
    let items = page["items"].as_array().unwrap().iter();
    items
        .map(|of| json!([of["state"], of["revision"], of["by"], of["approved_by"]]))
        .collect()
}

fn raised(api: &Api) -> usize {
    let page = api.get("/api/v1/alarms?state=all&rule=over");
    page["items"].as_array().unwrap().len()
}

#[track_caller]
fn a_new_rule_is_none_until_it_is_approved(engineer: &Api, supervisor: &Api) {
    let put = format!("{RULE}?reason=%E9%A6%96%E6%AC%A1");
    let answer = engineer.put(&put, &over(400.0)).expect(202);
    assert_eq!(
        answer,
        json!({"id": "over", "revision": 1, "state": "pending"})
    );
    engineer.send("GET", RULE, None).problem(404);
    let list = engineer.get("/api/v1/rules");
    assert_eq!(
        (&list["items"], &list["pending"][0]["reason"]),
        (&json!([]), &json!("首次"))
    );
    let approve = format!("{RULE}/approve");
    engineer
        .post(&approve, &json!({"revision": 1}))
        .problem(403);
    supervisor
        .post(&approve, &json!({"revision": 1}))
        .expect(200);
    assert_eq!(
        versions(engineer),
        [json!(["in_force", 1, "engineer", "supervisor"])]
    );
}

#[track_caller]
fn only_what_was_seen_and_is_not_ones_own_is_approved(hub: &Hub) {
    let (engineer, supervisor) = (hub.api_as("engineer"), hub.api_as("supervisor"));
    let approve = format!("{RULE}/approve");
    let admin = hub.api_as("admin");
    let reject = format!("{RULE}/reject");
    supervisor
        .post(&reject, &json!({"revision": 2}))
        .problem(422);
    supervisor
        .post(&reject, &json!({"revision": 2, "reason": "too far"}))
        .expect(200);
    admin.put(RULE, &over(480.0)).expect(202);
    admin.post(&approve, &json!({"revision": 3})).problem(403);
    let stale = supervisor
        .post(&approve, &json!({"revision": 2}))
        .problem(409);
    assert_eq!(stale["revision"], 3);
    supervisor
        .post(&approve, &json!({"revision": 3}))
        .expect(200);
    let expected = [
        json!(["in_force", 3, "admin", "supervisor"]),
        json!(["former", 1, "engineer", "supervisor"]),
    ];
    assert_eq!(versions(&engineer), expected);
}

#[track_caller]
fn the_trail_names_every_step(hub: &Hub) {
    let links = hub.api_as("auditor").get("/api/v1/audit?limit=1000");
    let of_rule = links["items"].as_array().unwrap().iter();
    let actions: Vec<&str> = of_rule
        .filter(|link| link["subject"] == "over")
        .filter_map(|link| link["action"].as_str())
        .collect();
    let expected = [
        "propose_rule",
        "approve_rule",
        "propose_rule",
        "reject_rule",
        "propose_rule",
        "approve_rule",
        "propose_rule",
        "approve_rule",
    ];
    assert_eq!(actions, expected);
}

#[test]
fn a_critical_rule_is_changed_by_two_persons_and_a_restart_forgets_nothing() {
    let place = Place::with_config(&format!("{}[approval]\ncritical = true\n", plain_config()));
    let hub = place.start();
    hub.register(&json!([{"id": "gas-1", "kind": "gas_pressure"}]));
    let engineer = hub.api_as("engineer");
    a_new_rule_is_none_until_it_is_approved(&engineer, &hub.api_as("supervisor"));

    // The next version waits over a restart; what is in force guards.
    engineer.put(RULE, &over(500.0)).expect(202);
    hub.kill();
    let hub = place.start();
    let (engineer, supervisor) = (hub.api_as("engineer"), hub.api_as("supervisor"));
    let rule = engineer.get(RULE);
    assert_eq!(
        (&rule["above"], &rule["pending"]["rule"]["above"]),
        (&json!(400.0), &json!(500.0))
    );
    hub.store("gas-1", &json!({"pressure_kpa": 450.0}));
    assert_eq!(raised(&engineer), 1);
    only_what_was_seen_and_is_not_ones_own_is_approved(&hub);

    // To delete it takes two as well.
    let gone = engineer.delete(RULE).expect(202);
    assert_eq!(gone["revision"], 4);
    assert_eq!(engineer.get(RULE)["above"], 480.0);
    supervisor
        .post(&format!("{RULE}/approve"), &json!({"revision": 4}))
        .expect(200);
    engineer.send("GET", RULE, None).problem(404);
    the_trail_names_every_step(&hub);
    hub.stop();
    place.verify();
}
