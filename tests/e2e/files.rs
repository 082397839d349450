//! More files of history than a process may have open.

use serde_json::{Value, json};
use std::process::Command;
use tests::hub::{Place, plain_config, program, words};
use tests::time::{now_s_in_ms, until};

/// Days with readings, each of which becomes a file of its own.
const DAYS: i64 = 300;

const DAY_MS: i64 = 86_400_000;

#[test]
fn ten_years_of_files_are_read_by_a_hub_and_by_commands_that_may_open_a_hundred() {
    let config = format!(
        "{}[store]\nseal_cells = 1000\nseal_after_s = 1\n",
        plain_config()
    );
    let place = Place::with_config(&config);
    let hub = place.start();
    hub.register(&json!([{"id": "gas-1", "kind": "gas_pressure"}]));
    let start = now_s_in_ms() - DAYS * DAY_MS;
    let readings: Vec<Value> = (0..DAYS)
        .map(|day| json!({"ts": start + day * DAY_MS, "values": {"pressure_kpa": 300 + day}}))
        .collect();
    for chunk in readings.chunks(100) {
        hub.store("gas-1", &Value::Array(chunk.to_vec()));
    }
    let store = || hub.api().get("/api/v1/health")["store"].clone();
    until("all of it rests in files", || {
        let store = store();
        store["head_cells"] == 0 && store["segments"].as_i64() >= Some(DAYS)
    });
    let limited = Command::new("prlimit")
        .args(["--nofile=100:100", "--pid", &hub.pid().to_string()])
        .output()
        .expect("prlimit is installed (util-linux)");
    assert!(limited.status.success(), "{limited:?}");
    assert_eq!(hub.points("gas-1", "pressure_kpa").len(), 300);
    // Beside the hub, and after it.
    let export = [
        "export",
        "readings",
        "--config",
        "hub.toml",
        "--metric",
        "pressure_kpa",
    ];
    let limited = |words: &[&str]| {
        let mut command = Command::new("prlimit");
        command.arg("--nofile=100:100").arg(program()).args(words);
        command.current_dir(place.path()).output().unwrap()
    };
    let exported = limited(&export);
    assert!(exported.status.success(), "{}", words(&exported));
    assert_eq!(
        String::from_utf8_lossy(&exported.stdout).lines().count(),
        301
    );
    let (status, log) = hub.stop();
    assert!(status.success(), "{log}");
    let verified = limited(&["verify", "--config", "hub.toml"]);
    assert!(verified.status.success(), "{}", words(&verified));
}
