//! The Grafana dashboards ask for what a real hub tells.

use std::collections::BTreeSet;
use tests::hub::{Place, plain_config, root};

/// Gives the names of metrics in an expression.
fn names(expression: &str) -> impl Iterator<Item = &str> {
    expression
        .split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
        .filter(|word| word.starts_with("cityhub_") || word.starts_with("process_"))
}

#[test]
fn every_metric_of_the_dashboards_is_in_a_live_scrape() {
    let sink = "[sinks.nobody]\nkind = \"webhook\"\nurl = \"http://127.0.0.1:9/\"\n\
                secret = \"whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz\"\n";
    let place = Place::with_config(&format!("{}{sink}", plain_config()));
    let hub = place.start();
    hub.register(&serde_json::json!([{"id": "gas-1", "kind": "gas_pressure"}]));
    let scrape = hub.api().send("GET", "/metrics", None).text();
    let told: BTreeSet<&str> = scrape
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE "))
        .filter_map(|line| line.split(' ').next())
        .collect();
    assert!(told.len() > 20, "{scrape}");
    let folder = root().join("dashboards/grafana");
    let mut seen = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|have| have != "json") {
            continue;
        }
        let board: serde_json::Value =
            serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        for panel in board["panels"].as_array().unwrap() {
            for target in panel["targets"].as_array().unwrap() {
                for name in names(target["expr"].as_str().unwrap_or_default()) {
                    assert!(told.contains(name), "{}: {name}", path.display());
                    seen += 1;
                }
            }
        }
    }
    assert!(seen > 40, "{seen}");
}
