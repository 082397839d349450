//! The hub tests itself: a reading of its own goes the whole way, disturbs nobody, and what breaks
//! is named.

use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpListener;
use tests::audit;
use tests::hub::{Hub, Place, plain_config};
use tests::mqtt::{Client, Identity, Version};
use tests::time::until;

fn canary(hub: &Hub) -> Value {
    hub.api().get("/api/v1/health")["canary"].clone()
}

/// Takes one POST, answers it, and gives its body.
fn take_post(listener: &TcpListener) -> Value {
    let (mut stream, _) = listener.accept().expect("a webhook comes");
    let mut text = String::new();
    let mut bytes = [0; 2048];
    loop {
        let read = stream.read(&mut bytes).expect("it is sent");
        text.push_str(std::str::from_utf8(&bytes[..read]).expect("text"));
        if let Some((_, body)) = text.split_once("\r\n\r\n")
            && let Ok(body) = serde_json::from_str(body)
        {
            stream
                .write_all(b"HTTP/1.1 204 No Content\r\n\r\n")
                .expect("it is heard");
            return body;
        }
    }
}

#[test]
fn a_reading_of_its_own_goes_the_whole_way_and_is_in_nobodys_way() {
    let text = format!("{}[canary]\nevery_s = 1\n", plain_config());
    let place = Place::with_config(&text);
    let hub = place.start();
    hub.register(&json!([{"id": "gas-1", "kind": "gas_pressure"}]));
    let any = json!({"title": "any", "kind": "threshold", "select": {}, "metric": "canary",
        "above": 0.5, "severity": "critical"});
    hub.rule("any", &any);
    until("the canary passes twice", || {
        canary(&hub)["passes"].as_u64() >= Some(2)
    });
    let told = canary(&hub);
    assert_eq!(
        (&told["state"], &told["failures"]),
        (&json!("passing"), &json!(0))
    );
    let drivers: Vec<&String> = told["drivers"]
        .as_object()
        .expect("drivers")
        .keys()
        .collect();
    assert_eq!(drivers, ["ingest", "mqtt"]);

    let api = hub.api();
    assert_eq!(api.get("/api/v1/devices")["total"], 1);
    assert_eq!(api.get("/api/v1/alarms?state=all")["items"], json!([]));
    assert!(
        audit::events(&api)
            .iter()
            .all(|event| event["subject"] != "~canary")
    );
    assert!(!api.get("/api/v1/latest").to_string().contains("~canary"));
    assert!(!api.get("/api/v1/rules").to_string().contains("~canary"));
    let ledger = audit::ledger(&api);
    assert_eq!(
        ledger.total.received, 0,
        "what the field sent is counted, and nothing else"
    );
    assert!(ledger.device("~canary").stored >= 8);
    let metrics = api.send("GET", "/metrics", None).text();
    assert!(metrics.contains("cityhub_canary_up 1"), "{metrics}");
    let put = api.put(
        "/api/v1/devices",
        &json!([{"id": "~mine", "kind": "smoke"}]),
    );
    put.problem(422);
    assert_eq!(api.delete("/api/v1/devices/~canary").status, 404);
    hub.stop();
    place.verify();
    // The rule may have been left raised, and the secret is another one.
    let hub = place.start();
    until("it passes again", || {
        canary(&hub)["passes"].as_u64() >= Some(1)
    });
    assert_eq!(canary(&hub)["failures"], 0);
}

#[test]
fn where_no_driver_speaks_what_it_speaks_it_goes_in_behind_them() {
    let (head, rest) = plain_config()
        .split_once("[drivers.mqtt]")
        .map(|(head, rest)| (head.to_owned(), rest.to_owned()))
        .expect("the plain configuration has drivers");
    let (_, tokens) = rest.split_once("[auth").expect("and tokens");
    let field = "[drivers.fire]\nkind = \"gb26875\"\nlisten = \"127.0.0.1:0\"\n";
    let text = format!("{head}{field}[canary]\nevery_s = 1\n[auth{tokens}");
    let place = Place::with_config(&text);
    let hub = place.start();
    until("the canary passes", || {
        canary(&hub)["passes"].as_u64() >= Some(2)
    });
    let told = canary(&hub);
    assert_eq!(
        (&told["state"], &told["failures"]),
        (&json!("passing"), &json!(0))
    );
    assert!(told["drivers"]["intake"].is_string(), "{told}");
    assert_eq!(audit::ledger(&hub.api()).total.received, 0);
    hub.stop();
    place.verify();
}

#[test]
fn a_listener_that_takes_no_more_is_named_and_posted_and_so_is_its_recovery() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port for the webhook");
    let hook = listener.local_addr().expect("an address");
    let text = plain_config().replace("kind = \"mqtt\"", "kind = \"mqtt\"\nconnections_max = 1")
        + &format!("[canary]\nevery_s = 2\nwebhook = \"http://{hook}/alarm\"\n");
    let place = Place::with_config(&text);
    let hub = place.start();
    hub.register(&json!([{"id": "gas-1", "kind": "gas_pressure"}]));
    let guest = Client::connect(hub.mqtt(), Version::V5, &Identity::device("gas-1"));
    let posted = take_post(&listener);
    assert_eq!(posted["type"], "cityhub.canary.failed");
    assert_eq!(
        (&posted["stage"], &posted["driver"]),
        (&json!("protocol"), &json!("mqtt"))
    );
    let health = hub.api().get("/api/v1/health");
    assert_eq!(
        (&health["status"], &health["canary"]["state"]),
        (&json!("degraded"), &json!("failing"))
    );
    assert!(
        hub.log().contains("the canary did not come through"),
        "{}",
        hub.log()
    );
    drop(guest);
    assert_eq!(take_post(&listener)["type"], "cityhub.canary.recovered");
    until("it is well again", || canary(&hub)["state"] == "passing");
}
