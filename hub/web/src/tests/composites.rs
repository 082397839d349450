//! Evidence of alarms of several devices.

use super::kit::{Hub, START_MS, alarm};
use model::{AlarmRow, AlarmState, Severity, Timestamp};
use serde_json::{Value, json};
use std::time::Duration;

fn at(second: i64) -> Timestamp {
    Timestamp::from_millis(START_MS).plus_s(second)
}

fn record(hub: &Hub, change: &Value) {
    hub.commit(|group| group.change(&change.to_string()));
}

/// An alarm of rule `over` or `both`, ended.
fn row(number: u64, whose: (&str, &str, &str), times: (i64, i64)) -> AlarmRow {
    let mut row = alarm(number, Severity::Critical, times.0);
    let (rule, device, site) = whose;
    row.rule = rule.to_owned();
    row.device = model::DeviceId::new(device).unwrap();
    row.site = Some(site.to_owned());
    row.cleared_at = Some(at(times.1));
    (row.active, row.state) = (false, AlarmState::ClearedUnacked);
    row
}

/// `both` is raised when a second device of one site is over its limit within a minute.
async fn hub_with_a_composite() -> Hub {
    let hub = Hub::start();
    let mut keys = Vec::new();
    for (id, site) in [("gas-1", "花园路"), ("gas-2", "花园路"), ("gas-3", "东站")] {
        let device = json!({"id": id, "kind": "gas_pressure", "site": site});
        let key = hub.register(&device.to_string());
        record(&hub, &json!({"put_device": {"key": key, "device": device}}));
        keys.push(key);
    }
    let over = json!({"title": "超压", "kind": "threshold", "select": {}, "above": 400.0,
        "metric": "pressure_kpa", "severity": "critical"});
    let both = json!({"title": "两处超压", "kind": "all", "of": ["over"], "scope": "site",
        "within_s": 60, "severity": "critical"});
    for (id, spec) in [("over", over), ("both", both)] {
        let put = json!({"put_rule": {"id": id, "revision": 1, "spec": spec}});
        record(&hub, &put);
    }
    tokio::time::advance(Duration::from_secs(600)).await;
    let readings = [
        (0, 10, 420.0),
        (0, 15, 300.0),
        (2, 30, 420.0),
        (1, 40, 420.0),
        (0, 50, 420.0),
        (0, 60, 300.0),
        (2, 65, 300.0),
        (1, 105, 300.0),
        (0, 110, 420.0),
        (0, 115, 300.0),
    ];
    for (device, second, value) in readings {
        hub.store(keys[device], &[("pressure_kpa", second, value)]);
    }
    hub
}

/// Raised by the second device at 40 s; a minute later only one of the two is still over.
fn composite() -> AlarmRow {
    let mut row = row(9, ("both", "gas-2", "花园路"), (40, 100));
    row.metric = None;
    (row.value, row.limit) = (Some(1.0), Some(2.0));
    (row.peak, row.count) = (Some(2.0), 3);
    row
}

#[tokio::test(start_paused = true)]
async fn the_members_of_a_composite_are_those_of_its_place_and_time() {
    let hub = hub_with_a_composite().await;
    let mut late = row(5, ("over", "gas-1", "花园路"), (45, 46));
    late.note = Some("recorded from late data".to_owned());
    let rows = [
        // Over before, but within the minute.
        row(1, ("over", "gas-1", "花园路"), (10, 15)),
        row(2, ("over", "gas-3", "东站"), (30, 65)),
        row(3, ("over", "gas-2", "花园路"), (40, 105)),
        row(4, ("over", "gas-1", "花园路"), (50, 60)),
        late,
        // After it had ended; and more than a minute before it began.
        row(6, ("over", "gas-1", "花园路"), (110, 115)),
        row(7, ("over", "gas-1", "花园路"), (-40, -30)),
        row(8, ("other", "gas-1", "花园路"), (41, 50)),
        composite(),
    ];
    for row in &rows {
        hub.raise(row, "cleared");
    }
    let answer = hub
        .ask("platform", "get", "/api/v1/alarms/a9/evidence", "")
        .await
        .json();
    let members = answer["members"].as_array().unwrap();
    let ids: Vec<&str> = members.iter().map(|m| m["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["a1", "a3", "a4"]);
    assert_eq!(answer["differences"], json!([]), "{answer:#}");
    assert_eq!(answer["reproduced"], true);
    assert_eq!(answer["decision"]["raised_at"], json!(at(40)));
    assert_eq!(answer["decision"]["cleared_at"], json!(at(100)));
    // Of its members no composite is made.
    let member = hub.get("/api/v1/alarms/a3/evidence").await.json();
    assert_eq!(member["members"], json!([]));
}

#[tokio::test(start_paused = true)]
async fn a_composite_that_does_not_come_out_again_says_in_what() {
    let hub = hub_with_a_composite().await;
    let mut other = composite();
    (other.raised_at, other.cleared_at) = (at(400), Some(at(500)));
    hub.raise(&other, "cleared");
    let answer = hub.get("/api/v1/alarms/a9/evidence").await.json();
    assert_eq!(answer["reproduced"], false);
    assert_eq!(answer["decision"], Value::Null);
    let difference = &answer["differences"][0];
    assert_eq!(difference["recorded"], json!(at(400)));
    assert_eq!(difference["again"], Value::Null);
    assert_ne!(difference["because"], Value::Null);
}
