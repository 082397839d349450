//! Why it rang, and why nothing did: an officer's questions after the night.

use serde_json::{Value, json};
use tests::fleet::overpressure;
use tests::http::Api;
use tests::hub::{Hub, Place};
use tests::time::{ms, now_ms};

fn register(hub: &Hub) {
    hub.register(&json!([{"id": "gas-1", "kind": "gas_pressure", "cadence_s": 60}]));
}

/// Sends a pressure of now; gives its time.
fn report(hub: &Hub, kpa: f64) -> i64 {
    let at = now_ms();
    hub.store("gas-1", &json!({"ts": at, "values": {"pressure_kpa": kpa}}));
    at
}

/// Asks for the only rule's answer at a moment, and demands words of its sentence.
#[track_caller]
fn because(api: &Api, at: i64, outcome: &str, words: &[&str]) -> Value {
    let answer = api.get(&format!("/api/v1/explain?device=gas-1&at={at}"));
    let [only] = answer["rules"].as_array().unwrap().as_slice() else {
        panic!("one rule: {answer:#}");
    };
    assert_eq!(only["outcome"], outcome, "{only:#}");
    let sentence = only["because"].as_str().unwrap();
    for word in words {
        assert!(sentence.contains(word), "`{word}` in: {sentence}");
    }
    only.clone()
}

#[test]
fn the_evidence_of_an_alarm_stands_after_a_crash_and_an_edit() {
    let place = Place::default();
    let hub = place.start();
    register(&hub);
    hub.rule("high", &overpressure());
    let mut stream = hub.api().stream("?from=0", None);
    report(&hub, 300.0);
    let raised = report(&hub, 450.0);
    report(&hub, 470.0);
    let cleared = report(&hub, 300.0);
    let row = stream.wait_alarm("cleared", "high");
    let path = format!("/api/v1/alarms/{}/evidence", row["id"].as_str().unwrap());
    let proven = |api: &Api| {
        let evidence = api.get(&path);
        assert_eq!(evidence["reproduced"], true, "{evidence:#}");
        assert_eq!(evidence["complete"], true);
        assert_eq!(evidence["differences"], json!([]));
        let decision = &evidence["decision"];
        assert_eq!(ms(&decision["raised_at"]), raised);
        assert_eq!(ms(&decision["cleared_at"]), cleared);
        assert_eq!(
            (&decision["value"], &decision["limit"]),
            (&json!(450.0), &json!(400.0))
        );
        assert_eq!(evidence["rule"]["spec"]["above"], 400.0);
        let timeline = evidence["timeline"].as_array().unwrap();
        let values: Vec<_> = timeline
            .iter()
            .filter(|moment| moment["kind"] == "reading")
            .map(|moment| moment["value"].as_f64().unwrap())
            .collect();
        assert_eq!(values, [300.0, 450.0, 470.0, 300.0]);
    };
    proven(&hub.api());
    hub.kill();
    let hub = place.start();
    proven(&hub.api());
    let mut stricter = overpressure();
    stricter["above"] = json!(200.0);
    hub.rule("high", &stricter);
    proven(&hub.api());
    hub.kill();
    place.verify();
}

#[test]
fn nothing_rang_because_the_value_was_below_or_not_for_long_enough() {
    let place = Place::default();
    let hub = place.start();
    register(&hub);
    let mut slow = overpressure();
    slow["on_delay_s"] = json!(600);
    hub.rule("slow", &slow);
    let low = report(&hub, 310.0);
    because(
        &hub.api(),
        low,
        "did_not_ring",
        &["310 kPa", "90 kPa below the limit of 400 kPa"],
    );
    let high = report(&hub, 450.0);
    let answer = because(
        &hub.api(),
        high,
        "did_not_ring",
        &["450 kPa", "400 kPa", "not over"],
    );
    assert_eq!(ms(&answer["look"]["due_at"]), high + 600_000);
    // The past stays as it was.
    because(&hub.api(), low, "did_not_ring", &["90 kPa below"]);
}

#[test]
fn nothing_rang_because_the_rule_was_closed_or_disabled() {
    let place = Place::default();
    let hub = place.start();
    register(&hub);
    let mut once = overpressure();
    once["schedule"] = json!({"dates": ["2001-01-01"]});
    hub.rule("once", &once);
    let at = report(&hub, 450.0);
    because(
        &hub.api(),
        at,
        "did_not_ring",
        &["schedule was closed", "450 kPa would have been above"],
    );
    let mut off = overpressure();
    off["enabled"] = json!(false);
    hub.rule("once", &off);
    let later = report(&hub, 450.0);
    because(
        &hub.api(),
        later,
        "does_not_apply",
        &["the rule was disabled (revision 2)"],
    );
    because(&hub.api(), at, "did_not_ring", &["schedule was closed"]);
}

#[test]
fn nothing_rang_because_the_value_was_bad_or_nothing_was_sent() {
    let place = Place::default();
    let hub = place.start();
    register(&hub);
    hub.rule("high", &overpressure());
    because(
        &hub.api(),
        now_ms(),
        "did_not_ring",
        &["no reading of pressure_kpa", "never heard"],
    );
    // Far beyond what the sensor can measure.
    let at = report(&hub, 400_000.0);
    because(
        &hub.api(),
        at,
        "did_not_ring",
        &["none of 1 readings", "bad:range", "never used"],
    );
}

#[test]
fn a_sensor_that_is_silent_for_less_than_its_patience_says_so() {
    let place = Place::default();
    let hub = place.start();
    register(&hub);
    let rule = json!({"title": "失联", "kind": "silence", "select": {}, "after_s": 900,
        "severity": "warning"});
    hub.rule("silent", &rule);
    let heard = report(&hub, 300.0);
    let answer = because(
        &hub.api(),
        now_ms(),
        "did_not_ring",
        &["it was heard at", "of 900 s allowed"],
    );
    assert_eq!(ms(&answer["look"]["due_at"]), heard + 900_000);
}

#[test]
fn what_rang_says_how_people_saw_it_then() {
    let place = Place::default();
    let hub = place.start();
    register(&hub);
    hub.rule("high", &overpressure());
    let mut stream = hub.api().stream("?from=0", None);
    let raised = report(&hub, 450.0);
    let row = stream.wait_alarm("raised", "high");
    let api = hub.api();
    let seen = ["450 kPa against a limit of 400 kPa", "active unacked"];
    because(&api, raised, "rang", &seen);
    let id = row["id"].as_str().unwrap();
    let ack = json!({"version": row["version"]});
    api.post(&format!("/api/v1/alarms/{id}/ack"), &ack)
        .expect(200);
    stream.wait_alarm("acked", "high");
    because(&api, now_ms(), "rang", &[id, "active acked"]);
    // When it was raised, nobody had yet.
    because(&api, raised, "rang", &["active unacked"]);
}

#[test]
fn an_alarm_that_was_shelved_rang_unseen() {
    let place = Place::default();
    let hub = place.start();
    register(&hub);
    hub.rule("high", &overpressure());
    let mut stream = hub.api().stream("?from=0", None);
    let raised = report(&hub, 450.0);
    let row = stream.wait_alarm("raised", "high");
    let api = hub.api();
    because(
        &api,
        raised,
        "rang",
        &["450 kPa against a limit of 400 kPa", "active unacked"],
    );
    let id = row["id"].as_str().unwrap();
    let shelve = json!({"version": row["version"], "minutes": 30, "reason": "维修"});
    api.post(&format!("/api/v1/alarms/{id}/shelve"), &shelve)
        .expect(200);
    stream.wait_alarm("shelved", "high");
    because(&api, now_ms(), "rang_unseen", &[id, "shelved", "until"]);
    // When it was raised, everybody saw it.
    because(&api, raised, "rang", &["active unacked"]);
}
