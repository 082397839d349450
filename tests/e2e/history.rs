//! Older readings come back from the server that a mirror filled, and the hub says so where they do not.

use crate::mirror::{Victoria, free_port, register};
use serde_json::{Value, json};
use tests::hub::{Hub, Place, plain_config, words};
use tests::time::{now_s_in_ms, until};

const MINUTE: i64 = 60_000;
const DAY: i64 = 1_440 * MINUTE;

fn config(port: u16, store: &str) -> String {
    let mirror = format!(
        "[store.mirror.long_term]\nkind = \"influxdb\"\nurl = \"http://127.0.0.1:{port}\"\nbucket = \"telemetry\"\n"
    );
    format!("{}[store]\n{store}\n{mirror}", plain_config())
}

/// Sends three days of readings, ten minutes apart, of which some cannot be, and gives how many numbers a server
/// has of them.
fn send(hub: &Hub, start: i64) -> usize {
    let value = |n: i64| {
        if n % 50 == 7 {
            9e6
        } else {
            300.0 + (n % 37) as f64 / 4.0
        }
    };
    let rows: Vec<Value> = (0..432)
        .map(|n| json!({"ts": start + n * 10 * MINUTE + n, "values": {"pressure_kpa": value(n)}}))
        .collect();
    for rows in rows.chunks(200) {
        hub.store("gas-1", &Value::Array(rows.to_vec()));
    }
    432 + (0..432).filter(|n| n % 50 == 7).count()
}

fn history(hub: &Hub, query: &str) -> Value {
    let path = format!("/api/v1/devices/gas-1/readings?metric=pressure_kpa&{query}");
    hub.api().get(&path)
}

#[test]
fn a_hub_that_lost_its_disk_shows_what_the_long_term_server_has() {
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let server = Victoria::start(folder.path(), port);
    let first = Place::with_config(&config(port, ""));
    let lost = first.start();
    register(&lost);
    let start = (now_s_in_ms() - 5 * DAY) / DAY * DAY;
    let sent = send(&lost, start);
    until("the server has everything", || server.count() == sent);

    let second = Place::with_config(&config(port, "history = \"victoriametrics\""));
    let hub = second.start();
    register(&hub);
    let (from, to) = (start - DAY, start + 4 * DAY);
    for query in [
        "agg=raw&limit=10000",
        "agg=raw&limit=100",
        "step=1h",
        "step=1h&agg=min",
        "step=1h&agg=max",
        "step=1h&agg=last",
        "step=6h&agg=minmax",
        "step=1d&agg=mean&limit=2",
        "step=7m&agg=max",
    ] {
        let query = format!("from={from}&to={to}&{query}");
        let expected = history(&lost, &query);
        assert!(!expected["points"].as_array().unwrap().is_empty());
        assert_eq!(history(&hub, &query), expected, "{query}");
    }

    // What comes late is there at once, whether the server has it yet or not.
    let late = start + DAY + 1;
    hub.store(
        "gas-1",
        &json!({"ts": late, "values": {"pressure_kpa": 123.0}}),
    );
    let around = format!("from={}&to={}", late - 11 * MINUTE, late + 11 * MINUTE);
    let points = history(&hub, &around)["points"].clone();
    assert_eq!(points.as_array().unwrap().len(), 3 + 1, "{points}");
    assert!(
        points
            .as_array()
            .unwrap()
            .contains(&json!([late, 123.0, "good"]))
    );

    // Without the server there is what the hub has, and a word about the rest.
    drop(server);
    let found = history(&hub, &around);
    assert_eq!(found["points"], json!([[late, 123.0, "good"]]));
    let partial = &found["partial"];
    assert_eq!(tests::time::ms(&partial["from"]), late - 11 * MINUTE);
    assert!(
        partial["reason"].as_str().unwrap().contains("connect"),
        "{partial}"
    );
    let before =
        format!("/api/v1/devices/gas-1/readings?metric=pressure_kpa&from={from}&to={start}");
    let problem = hub.api().send("GET", &before, None).problem(503);
    assert_eq!(problem["type"], "urn:cityhub:problem:history-unavailable");
    // Nothing before the hub began: the server is not needed.
    let recent = format!("from={}", now_s_in_ms() + 1_000);
    assert_eq!(history(&hub, &recent)["partial"], Value::Null);
    let (_, log) = hub.stop();
    assert!(
        log.contains("history is answered without the long-term server"),
        "{log}"
    );
    let (status, log) = lost.stop();
    assert!(status.success(), "{log}");
}

#[test]
fn a_history_without_a_server_to_ask_is_refused_by_its_key() {
    let mirror = "kind = \"influxdb\"\nurl = \"http://127.0.0.1:1\"\nbucket = \"b\"";
    let two = format!("[store.mirror.one]\n{mirror}\n[store.mirror.two]\n{mirror}");
    for (text, key, word) in [
        (
            "history = \"influxdb\"".to_owned(),
            "`store.history`",
            "[store.mirror.<name>]",
        ),
        (
            format!("history = \"influxdb\"\n{two}"),
            "`store.history`",
            "one, two",
        ),
        (
            format!("history = \"influxdb\"\nhistory_mirror = \"three\"\n{two}"),
            "`store.history_mirror`",
            "one, two",
        ),
        (
            "history_local_d = 3".to_owned(),
            "`store.history_local_d`",
            "embedded",
        ),
        (
            "history = \"postgres\"".to_owned(),
            "history",
            "victoriametrics",
        ),
    ] {
        let place = Place::with_config(&format!("{}[store]\n{text}\n", plain_config()));
        let checked = place.run(&["check"]);
        assert_eq!(checked.status.code(), Some(2), "{text}");
        let said = words(&checked);
        assert!(said.contains(key) && said.contains(word), "{said}");
    }
    let both = format!(
        "{}[store]\nhistory = \"victoriametrics\"\nhistory_mirror = \"two\"\n{two}\n",
        plain_config()
    );
    let place = Place::with_config(&both);
    assert!(place.run(&["check"]).status.success());
}
