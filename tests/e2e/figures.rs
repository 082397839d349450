//! The page of figures: what is on it is in the list, and what the list promises is on it.

use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use tests::hub::{Hub, Place, plain_config, words};
use tests::time::until;

/// Parts that this test's hub has; those of others are shown by their own tests.
const PARTS: [&str; 9] = [
    "always",
    "with canary",
    "with devices",
    "with drivers",
    "with otlp",
    "with refusals",
    "with rejections",
    "with sinks",
    "with values",
];

/// A row of the list: type, labels, when it is shown.
type Row = (String, BTreeSet<String>, String);

fn list() -> BTreeMap<String, Row> {
    let output = Place::default().run(&["metrics", "--language", "en"]);
    let text = words(&output);
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `"));
    let bare = |text: &str| text.trim().trim_matches('`').to_owned();
    rows.map(|row| {
        let mut cells = row.split(" | ");
        let name = bare(cells.next().unwrap());
        let kind = bare(cells.next().unwrap());
        let labels = cells.next().unwrap().split(", ").map(bare);
        let labels = labels.filter(|label| !label.is_empty()).collect();
        (name, (kind, labels, bare(cells.next().unwrap())))
    })
    .collect()
}

fn busy_hub(place: &Place) -> Hub {
    let hub = place.start();
    // Before there is an event: its test ends with the delivery of all of them, and nobody takes these.
    until("the canary came through", || {
        page(&hub).contains("cityhub_canary_duration_seconds ")
    });
    hub.register(&json!([{"id": "gas-1", "kind": "gas_pressure", "cadence_s": 60}]));
    hub.store("gas-1", &json!({"values": {"pressure_kpa": 300.0}}));
    // A value out of range, and a device that nobody knows.
    hub.post("gas-1", br#"{"values": {"pressure_kpa": "much"}}"#);
    hub.post("nobody", br#"{"values": {"pressure_kpa": 1}}"#);
    until("the refusal is counted", || {
        page(&hub).contains("cityhub_refused_total{")
    });
    hub
}

fn page(hub: &Hub) -> String {
    let reply = hub.api().send("GET", "/metrics", None);
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.text()
}

/// The names of the labels of a sample.
fn labels(sample: &str) -> BTreeSet<String> {
    let Some((_, inner)) = sample.split_once('{') else {
        return BTreeSet::new();
    };
    let names = inner
        .split("=\"")
        .filter_map(|part| part.rsplit(['{', ',', '"']).next());
    let is_name = |name: &&str| !name.is_empty() && !name.contains(['}', ' ']);
    names.filter(is_name).map(str::to_owned).collect()
}

#[test]
fn every_figure_is_in_the_list_and_every_row_of_the_list_is_shown() {
    let more = r#"
[sinks.city]
kind = "webhook"
url = "http://127.0.0.1:9/"
secret = "whsec_QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFB"
[canary]
every_s = 1
[telemetry.otlp]
endpoint = "http://127.0.0.1:9"
"#;
    let place = Place::with_config(&(plain_config() + more));
    let hub = busy_hub(&place);
    let (page, list) = (page(&hub), list());
    let mut shown = BTreeSet::new();
    for line in page.lines().filter(|line| !line.starts_with('#')) {
        let name = line.split(['{', ' ']).next().unwrap();
        let base = ["_bucket", "_sum", "_count"]
            .iter()
            .find_map(|end| name.strip_suffix(end))
            .filter(|base| {
                list.get(*base)
                    .is_some_and(|(kind, ..)| kind == "histogram")
            });
        let name = base.unwrap_or(name);
        let (_, known, _) = list
            .get(name)
            .unwrap_or_else(|| panic!("{name} is in no list"));
        let mut found = labels(line);
        found.remove("le");
        assert_eq!(found, *known, "{line}");
        assert!(!line.contains("gas-1"), "a device is named: {line}");
        shown.insert(name.to_owned());
    }
    for (name, (_, _, part)) in &list {
        if PARTS.contains(&part.as_str()) {
            assert!(shown.contains(name), "{name}, {part}, is not shown\n{page}");
        }
    }
    assert!(shown.len() > 55, "{}", shown.len());
}
