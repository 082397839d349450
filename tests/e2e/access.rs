//! Who gets what answer: roles, missing tokens, and errors in the form of RFC 9457.

use serde_json::{Value, json};
use tests::fleet::overpressure;
use tests::http::{Reply, Request};
use tests::hub::{Hub, Place};

fn anonymous(hub: &Hub, method: &str, path: &str) -> Reply {
    let request = Request {
        method,
        path,
        headers: &[],
        body: &[],
    };
    request.send(hub.addr("http")).unwrap()
}

#[test]
fn without_a_token_only_the_health_of_the_process_is_told() {
    let place = Place::default();
    let hub = place.start();
    assert_eq!(anonymous(&hub, "GET", "/healthz").status, 200);
    for path in [
        "/api/v1/devices",
        "/api/v1/events",
        "/api/v1/stream",
        "/api/v1/ledger",
        "/metrics",
    ] {
        let reply = anonymous(&hub, "GET", path);
        assert!(reply.header("x-request-id").is_some(), "{path}");
        reply.problem(401);
    }
    let mut api = hub.api();
    api.token = "no-such-token".to_owned();
    api.send("GET", "/api/v1/devices", None).problem(401);
}

#[test]
fn a_hub_without_users_and_tokens_answers_nothing_else() {
    let text = tests::hub::plain_config();
    let open = text.split("[auth.").next().unwrap();
    let place = Place::with_config(open);
    let hub = place.start();
    assert_eq!(anonymous(&hub, "GET", "/healthz").status, 200);
    for path in ["/", "/api/v1/health", "/api/v1/devices", "/metrics"] {
        let status = anonymous(&hub, "GET", path).status;
        assert!((401..=404).contains(&status), "{path}: {status}");
    }
}

#[test]
fn every_role_may_do_its_own_work_and_no_more() {
    let place = Place::default();
    let hub = place.start();
    hub.register(&json!([{"id": "gas-1", "kind": "gas_pressure"}]));
    hub.rule("overpressure", &overpressure());
    hub.store("gas-1", &json!({"pressure_kpa": 450}));
    let alarm = hub.api().get("/api/v1/alarms")["items"][0].clone();
    let ack = format!("/api/v1/alarms/{}/ack", alarm["id"].as_str().unwrap());
    let devices = json!([{"id": "gas-2", "kind": "gas_pressure"}]);
    let stale = json!({"version": 999});

    // Each line: what is asked, and by whom it may be asked. A stale version is 409 for those
    // who may acknowledge, so that no answer changes the next.
    let asked: [(&str, &str, Option<Value>, &[&str]); 8] = [
        ("GET", "/api/v1/devices", None, READERS),
        ("GET", "/api/v1/ledger", None, READERS),
        ("GET", "/api/v1/events?after=0", None, EVERYBODY),
        ("PUT", "/api/v1/devices", Some(devices), EDITORS),
        ("PUT", "/api/v1/rules/r2", Some(overpressure()), EDITORS),
        ("DELETE", "/api/v1/rules/none", None, EDITORS),
        ("POST", &ack, Some(stale), ACTORS),
        ("GET", "/api/v1/audit", None, &["admin", "auditor"]),
    ];
    for (method, path, body, allowed) in &asked {
        for role in EVERYBODY {
            let reply = hub.api_as(role).send(method, path, body.as_ref());
            let status = reply.status;
            if allowed.contains(role) {
                assert!(
                    !matches!(status, 401 | 403),
                    "{role} {method} {path}: {status}"
                );
            } else {
                let problem = reply.problem(403);
                assert!(
                    problem["detail"].is_string(),
                    "{role} {method} {path}: {problem}"
                );
            }
        }
    }
}

const EVERYBODY: &[&str] = &[
    "viewer",
    "officer",
    "supervisor",
    "engineer",
    "admin",
    "auditor",
    "platform",
];
const READERS: &[&str] = &[
    "viewer",
    "officer",
    "supervisor",
    "engineer",
    "admin",
    "auditor",
];
const EDITORS: &[&str] = &["engineer", "admin"];
const ACTORS: &[&str] = &["officer", "supervisor", "admin"];

#[test]
fn every_error_is_a_problem_document() {
    let place = Place::default();
    let hub = place.start();
    let api = hub.api();
    api.send("GET", "/api/v1/no/such/thing", None).problem(404);
    api.send("GET", "/api/v1/devices/none", None).problem(404);
    api.send("GET", "/api/v1/alarms/a999", None).problem(404);
    api.send("POST", "/api/v1/ledger", None).problem(405);
    api.send("GET", "/api/v1/alarms?state=sleepy", None)
        .problem(400);
    api.send("GET", "/api/v1/alarms?colour=red", None)
        .problem(400);
    api.send("GET", "/api/v1/events?after=minus", None)
        .problem(400);
    api.send_bytes("PUT", "/api/v1/devices", "application/json", b"[{")
        .problem(400);
    let reply = api.put("/api/v1/devices", &json!([{"id": "a b", "kind": "smoke"}]));
    let status = reply.status;
    assert!(matches!(status, 400 | 422), "{}", reply.text());
    reply.problem(status);
}

#[test]
fn an_action_that_is_sent_twice_with_one_key_is_taken_once() {
    let place = Place::default();
    let hub = place.start();
    hub.register(&json!([{"id": "gas-1", "kind": "gas_pressure"}]));
    hub.rule("overpressure", &overpressure());
    hub.store("gas-1", &json!({"pressure_kpa": 450}));
    let officer = hub.api_as("officer");
    let alarm = officer.get("/api/v1/alarms")["items"][0].clone();
    let path = format!("/api/v1/alarms/{}/ack", alarm["id"].as_str().unwrap());
    let bearer = format!("Bearer {}", officer.token);
    let headers = [
        ("authorization", bearer.as_str()),
        ("content-type", "application/json"),
        ("idempotency-key", "0b1f6f4e"),
    ];
    let body = json!({"version": alarm["version"]}).to_string();
    let request = Request {
        method: "POST",
        path: &path,
        headers: &headers,
        body: body.as_bytes(),
    };
    let first = request.send(officer.addr).unwrap().expect(200);
    let second = request.send(officer.addr).unwrap().expect(200);
    assert_eq!(first, second);
    let acked = officer.get("/api/v1/events?after=0&types=cityhub.alarm.acked");
    assert_eq!(acked["items"].as_array().unwrap().len(), 1);
    let bulk = json!({"action": "ack", "ids": [alarm["id"], "a999"]});
    let answer = officer.post("/api/v1/alarms/bulk", &bulk).expect(200);
    assert_eq!(answer["failed"].as_array().unwrap().len(), 2, "{answer}");
}

#[test]
fn a_table_of_devices_is_tried_before_it_is_taken() {
    let place = Place::default();
    let hub = place.start();
    let api = hub.api_as("engineer");
    let good = "id,kind,name,secret\ngas-1,gas_pressure,花园路,secret-1234\ngas-2,gas_pressure,,secret-5678\n";
    let bad =
        "id,kind,name,secret\ngas-1,gas_pressure,花园路,secret-1234\ngas-2,volcano,,secret-5678\n";
    let count = || {
        api.get("/api/v1/devices")["items"]
            .as_array()
            .unwrap()
            .len()
    };
    let reply = api.send_bytes(
        "PUT",
        "/api/v1/devices?dry_run=true",
        "text/csv",
        good.as_bytes(),
    );
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(count(), 0);
    let reply = api.send_bytes("PUT", "/api/v1/devices", "text/csv", bad.as_bytes());
    assert!((400..=422).contains(&reply.status), "{}", reply.text());
    let text = reply.text();
    assert!(
        text.contains("volcano") && text.contains('3'),
        "names the line: {text}"
    );
    assert_eq!(count(), 0);
    let reply = api.send_bytes("PUT", "/api/v1/devices", "text/csv", good.as_bytes());
    assert!((200..300).contains(&reply.status), "{}", reply.text());
    assert_eq!(count(), 2);
}

#[test]
fn the_hub_describes_itself() {
    let place = Place::default();
    let hub = place.start();
    let api = hub.api_as("viewer");
    let document = api.get("/api/v1/openapi.json");
    assert!(document["openapi"].as_str().unwrap().starts_with("3."));
    let paths = document["paths"].as_object().unwrap();
    for path in [
        "/api/v1/devices",
        "/api/v1/devices/{id}",
        "/api/v1/devices/{id}/readings",
        "/api/v1/devices/unclaimed",
        "/api/v1/latest",
        "/api/v1/rules",
        "/api/v1/rules/{id}",
        "/api/v1/rules/backtest",
        "/api/v1/alarms",
        "/api/v1/events",
        "/api/v1/stream",
        "/api/v1/ledger",
        "/api/v1/health",
        "/api/v1/audit",
    ] {
        assert!(paths.contains_key(path), "{path} is not described");
    }
    assert_eq!(api.send("GET", "/readyz", None).status, 200);
    let health = api.get("/api/v1/health").to_string();
    for name in ["mqtt", "ingest"] {
        let addr = hub.addr(&format!("{name}.listen")).to_string();
        assert!(health.contains(name) && health.contains(&addr), "{health}");
    }
    hub.register(&json!([{"id": "device-with-a-name", "kind": "smoke"}]));
    hub.store("device-with-a-name", &json!({"battery_pct": 50}));
    let metrics = api.send("GET", "/metrics", None);
    assert_eq!(metrics.status, 200);
    assert!(
        !metrics.text().contains("device-with-a-name"),
        "ids are never labels"
    );
    assert!(metrics.text().contains("# TYPE"), "{}", metrics.text());
}
