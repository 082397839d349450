//! What is past its age goes, and whoever judges history says so instead of failing.

use serde_json::{Value, json};
use tests::audit;
use tests::fleet::overpressure;
use tests::hub::{Hub, Place, plain_config, words};
use tests::time::{now_s_in_ms, until};

/// 2026-03-01T00:00:00Z: long past every age of these tests.
const LONG_AGO: i64 = 1_772_323_200_000;

fn config(retention: &str) -> String {
    format!(
        "{}[store]\nseal_cells = 1000\nseal_after_s = 1\n{retention}",
        plain_config()
    )
}

/// Readings of one device, some of which are over the limit.
fn send(hub: &Hub, start: i64, count: i64) {
    let kpa = |index: i64| if (40..60).contains(&index) { 450 } else { 300 };
    let values = |index| json!({"pressure_kpa": kpa(index), "battery_pct": 90});
    let readings: Vec<Value> = (0..count)
        .map(|index| json!({"ts": start + index, "values": values(index)}))
        .collect();
    for chunk in readings.chunks(250) {
        hub.store("gas-1", &Value::Array(chunk.to_vec()));
    }
}

fn stop(hub: Hub) {
    let (status, log) = hub.stop();
    assert!(status.success(), "{log}");
}

#[test]
fn history_past_its_age_is_gone_and_verify_and_backtest_say_so() {
    let place = Place::with_config(&config(""));
    let hub = place.start();
    hub.register(&json!([{"id": "gas-1", "kind": "gas_pressure"}]));
    hub.rule("gas_overpressure", &overpressure());
    send(&hub, LONG_AGO, 1_000);
    let ledger = audit::ledger(&hub.api());
    until("all of it rests in segments", || {
        hub.api().get("/api/v1/health")["store"]["head_cells"] == 0
    });
    assert_eq!(hub.points("gas-1", "pressure_kpa").len(), 1_000);
    stop(hub);
    place.verify();

    let kept = "[store.retention]\naudit_max_age_d = 3650\n\
                [store.retention.metrics.battery_pct]\nmax_age_d = 30\n";
    std::fs::write(place.path().join("hub.toml"), config(kept)).unwrap();
    let hub = place.start();
    until("the battery is gone", || {
        hub.points("gas-1", "battery_pct").is_empty()
    });
    assert_eq!(hub.points("gas-1", "pressure_kpa").len(), 1_000);
    stop(hub);
    place.verify();

    let kept = "[store.retention]\nreadings_max_age_d = 30\nmax_size_gb = 1\n";
    std::fs::write(place.path().join("hub.toml"), config(kept)).unwrap();
    let hub = place.start();
    until("all of it is gone", || {
        hub.points("gas-1", "pressure_kpa").is_empty()
    });
    // Nothing of it was ever uncounted, and what comes now stays.
    assert_eq!(audit::ledger(&hub.api()), ledger);
    let start = now_s_in_ms() - 60_000;
    send(&hub, start, 100);
    assert_eq!(hub.points("gas-1", "pressure_kpa").len(), 100);
    stop(hub);
    let output = place.run(&["verify", "--config", "hub.toml"]);
    let said = words(&output);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(
        said.contains("are past retention in part or whole"),
        "{said}"
    );
    let period = [
        "--from",
        "2026-02-01T00:00:00Z",
        "--to",
        "2027-01-01T00:00:00Z",
    ];
    let output = place.run(&[&["backtest", "--config", "hub.toml"], &period[..]].concat());
    let said = words(&output);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(
        said.contains("are past retention in part or whole"),
        "{said}"
    );
}

#[test]
fn an_age_of_a_metric_that_is_none_and_two_ages_of_one_thing_are_refused() {
    for (retention, word) in [
        (
            "[store.retention.metrics.depth_m]\nmax_age_d = 3\n",
            "there is no such metric",
        ),
        (
            "[store.retention.kinds.dragon]\nmax_age_d = 3\n",
            "there is no such kind of devices",
        ),
        (
            "[store.retention]\naudit_max_age_d = 400000\n",
            "audit_max_age_d",
        ),
        (
            "retention_days = 3\n[store.retention]\nreadings_max_age_d = 4\n",
            "readings_max_age_d",
        ),
        (
            "[store.retention]\nreadings_max_age = 4\n",
            "readings_max_age",
        ),
    ] {
        let place = Place::with_config(&config(retention));
        let output = place.run(&["check", "--config", "hub.toml"]);
        assert_eq!(output.status.code(), Some(2), "{}", words(&output));
        assert!(words(&output).contains(word), "{word}: {}", words(&output));
    }
}
