//! Holds the Grafana dashboards to their rules: ids, units, titles, and no trace of an export.

use serde_json::Value;
use std::collections::BTreeSet;
use std::path::PathBuf;
use tests::hub::root;

/// What Grafana 10.4 and later reads.
const SCHEMA_VERSION: u64 = 39;

fn boards() -> Vec<(String, Value)> {
    let folder = root().join("dashboards/grafana");
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|have| have == "json"))
        .collect();
    paths.sort();
    let read = |path: PathBuf| {
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let board = serde_json::from_slice(&std::fs::read(&path).unwrap());
        (
            name.clone(),
            board.unwrap_or_else(|error| panic!("{name}: {error}")),
        )
    };
    paths.into_iter().map(read).collect()
}

fn is_chinese(text: &Value) -> bool {
    let text = text.as_str().unwrap_or_default();
    text.chars().any(|c| ('\u{4e00}'..='\u{9fff}').contains(&c))
}

fn items<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key].as_array().map_or(&[], Vec::as_slice)
}

/// The first column of a table of the model.
fn column(table: &str) -> BTreeSet<String> {
    let path = root().join("hub/model/data").join(table);
    let text = std::fs::read_to_string(path).unwrap();
    let rows = text.lines().filter(|line| !line.starts_with('#'));
    rows.filter_map(|row| row.split(',').next())
        .map(str::to_owned)
        .collect()
}

#[test]
fn the_dashboards_are_all_there() {
    let names: Vec<String> = boards().into_iter().map(|(name, _)| name).collect();
    assert_eq!(
        names,
        [
            "alarm-load",
            "bikes",
            "dust",
            "fleet",
            "gas",
            "hub-overview",
            "noise",
            "smoke"
        ]
    );
}

#[test]
fn ids_are_unique_and_versions_fixed() {
    for (name, board) in boards() {
        assert_eq!(board["uid"], format!("cityhub-{name}"));
        assert_eq!(board["schemaVersion"], SCHEMA_VERSION, "{name}");
        let panels = items(&board, "panels");
        let ids: BTreeSet<u64> = panels.iter().filter_map(|p| p["id"].as_u64()).collect();
        assert!(ids.len() == panels.len() && panels.len() > 2, "{name}");
    }
}

#[test]
fn titles_are_chinese_and_every_panel_has_a_unit_and_a_question() {
    for (name, board) in boards() {
        assert!(is_chinese(&board["title"]), "{name}");
        for panel in items(&board, "panels") {
            let place = format!("{name}, panel {}", panel["id"]);
            assert!(is_chinese(&panel["title"]), "{place}");
            let unit = panel["fieldConfig"]["defaults"]["unit"].as_str();
            assert!(unit.is_some_and(|unit| !unit.is_empty()), "{place}");
            let targets = items(panel, "targets");
            assert!(!targets.is_empty(), "{place}");
            for target in targets {
                let asked = target["expr"].as_str().or(target["query"].as_str());
                assert!(asked.is_some_and(|text| !text.is_empty()), "{place}");
            }
        }
    }
}

#[test]
fn data_sources_are_variables_that_begin_with_the_provisioned_ones() {
    let path = "dashboards/grafana/provisioning/datasources/cityhub.yaml";
    let provisioned = std::fs::read_to_string(root().join(path)).unwrap();
    for (name, board) in boards() {
        let text = board.to_string();
        assert!(
            !text.contains("__inputs") && !text.contains("${DS_"),
            "{name}"
        );
        let variables = items(&board["templating"], "list");
        for panel in items(&board, "panels") {
            let uid = panel["datasource"]["uid"].as_str().unwrap();
            let variable = variables
                .iter()
                .find(|variable| format!("${{{}}}", variable["name"].as_str().unwrap()) == uid)
                .unwrap_or_else(|| panic!("{name}: no variable {uid}"));
            assert_eq!(variable["type"], "datasource", "{name}");
            let begins = variable["current"]["value"].as_str().unwrap();
            assert!(provisioned.contains(&format!("uid: {begins}\n")), "{name}");
        }
    }
}

/// Every name in double quotes that a question puts between these brackets.
fn names_in<'a>(text: &'a str, opening: &'a str) -> impl Iterator<Item = &'a str> {
    let after = text.split(opening).skip(1);
    after.filter_map(|part| part.split('"').next())
}

#[test]
fn questions_about_readings_are_about_what_a_mirror_writes() {
    let metrics = column("metrics.csv");
    // The parts of a place, as `hub/mirror/src/shape.rs` names them.
    let parts = ["", "_lon", "_lat", "_accuracy_m", "_locked", "_quality"];
    let is_field = |name: &str| {
        let metric = |part: &&str| {
            name.strip_suffix(*part)
                .is_some_and(|m| metrics.contains(m))
        };
        parts.iter().any(metric)
    };
    let mut asked = 0;
    for (name, board) in boards() {
        let text = board.to_string().replace("\\\"", "\"");
        for measurement in names_in(&text, "FROM \"") {
            assert_eq!(measurement, "cityhub", "{name}");
            asked += 1;
        }
        for function in ["mean", "min", "max", "last"] {
            for field in names_in(&text, &format!("{function}(\"")) {
                assert!(is_field(field), "{name}: {field}");
            }
        }
        for tag in ["kind", "grid"] {
            assert!(
                !text.contains(&format!("\"{tag}\" =")),
                "{name}: {tag} is no tag"
            );
        }
    }
    assert!(asked > 20, "{asked}");
}

/// Every name of a figure in a text, without the endings of a histogram's parts.
fn figures(text: &str) -> BTreeSet<String> {
    let is_part = |sign: char| sign.is_ascii_alphanumeric() || sign == '_';
    let words = text.split(|sign| !is_part(sign));
    let ours = words.filter(|word| word.starts_with("cityhub_") || word.starts_with("process_"));
    let bare = |word: &str| word.strip_suffix("_bucket").unwrap_or(word).to_owned();
    ours.map(bare).collect()
}

#[test]
fn dashboards_and_alerts_ask_for_figures_that_there_are() {
    let table = std::fs::read_to_string(root().join("hub/web/data/figures.csv")).unwrap();
    let rows = table.lines().filter_map(|row| row.split(',').next());
    let known: BTreeSet<&str> = rows.collect();
    let alerts = std::fs::read_to_string(root().join("deploy/prometheus/alerts.yaml")).unwrap();
    let exprs = |panel: &Value| -> Vec<String> {
        let targets = items(panel, "targets").iter();
        targets
            .filter_map(|target| Some(target["expr"].as_str()?.to_owned()))
            .collect()
    };
    let mut asked = 0;
    let boards = boards().into_iter().map(|(name, board)| {
        let texts = items(&board, "panels").iter().flat_map(exprs);
        (name, texts.collect::<Vec<_>>().join("\n"))
    });
    for (place, text) in boards.chain([("alerts.yaml".to_owned(), alerts)]) {
        for figure in figures(&text) {
            assert!(
                known.contains(figure.as_str()),
                "{place}: no figure {figure}"
            );
            asked += 1;
        }
    }
    assert!(asked > 40, "{asked}");
}
