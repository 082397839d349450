//! Rules of the configuration: packs, a folder, and reading both again while readings flow.

use serde_json::{Value, json};
use std::fmt::Write as _;
use std::process::Command;
use std::sync::Arc;
use tests::fleet::{Fleet, Progress};
use tests::http::Api;
use tests::hub::{Hub, Place, plain_config, words};

const FILES: usize = 10;
const RULES_PER_FILE: usize = 100;

fn place(packs: &str) -> Place {
    let text = format!("rules = \"rules.d\"\n{}{packs}", plain_config());
    let place = Place::with_config(&text);
    std::fs::create_dir(place.path().join("rules.d")).unwrap();
    place
}

fn write(place: &Place, file: &str, text: &str) {
    std::fs::write(place.path().join("rules.d").join(file), text).unwrap();
}

fn threshold(id: &str, above: f64) -> String {
    format!(
        "[rules.\"{id}\"]\nkind = \"threshold\"\nselect = {{ kind = \"gas_pressure\" }}\n\
         metric = \"pressure_kpa\"\nabove = {above:.1}\nseverity = \"major\"\n\n"
    )
}

/// Writes a thousand rules: one that every reading of the fleet is beyond, and others that none is.
fn write_thousand(place: &Place, above: f64) {
    for file in 0..FILES {
        let mut text = String::new();
        for rule in 0..RULES_PER_FILE {
            let (id, above) = match (file, rule) {
                (0, 0) => ("steady".to_owned(), 300.0),
                _ => (format!("r{file}-{rule}"), above),
            };
            text.write_str(&threshold(&id, above)).unwrap();
        }
        write(place, &format!("{file}.toml"), &text);
    }
}

fn reload(api: &Api) -> Value {
    api.post("/api/v1/rules/reload", &json!({})).expect(200)
}

/// What a reload says of the certificates where there are none.
pub(crate) fn no_certificates() -> Value {
    json!({"put": 0, "unchanged": 0, "refused": 0})
}

/// What a reload says of the sinks where there are none.
pub(crate) fn no_sinks() -> Value {
    json!({"put": 0, "removed": 0, "unchanged": 0})
}

pub(crate) fn hang_up(hub: &Hub) {
    let pid = hub.pid().to_string();
    let sent = Command::new("kill").args(["-HUP", &pid]).status();
    assert!(sent.expect("kill runs").success());
}

/// Gives id and state of the open alarms of a rule, in the order of the devices.
fn open(api: &Api, rule: &str) -> Vec<(String, String, String)> {
    let page = api.get("/api/v1/alarms?limit=500");
    let rows = page["items"].as_array().unwrap().iter();
    let text = |row: &Value, key: &str| row[key].as_str().unwrap().to_owned();
    let mut rows: Vec<_> = rows
        .filter(|row| row["rule"] == rule)
        .map(|row| (text(row, "device"), text(row, "id"), text(row, "state")))
        .collect();
    rows.sort();
    rows
}

/// Writes a mistake into the last of many files: nothing of all the others is taken.
#[track_caller]
fn a_mistake_changes_nothing(place: &Place, api: &Api) {
    write_thousand(place, 13_000.0);
    write(
        place,
        "zz.toml",
        "# one line\n[rules.bad]\nkind = \"threshold\"\nselect = {}\nabove = 3\n",
    );
    let problem = api.post("/api/v1/rules/reload", &json!({})).problem(422);
    assert!(
        problem["file"]
            .as_str()
            .unwrap()
            .ends_with("rules.d/zz.toml"),
        "{problem}"
    );
    assert_eq!(
        (&problem["line"], &problem["rule"], &problem["key"]),
        (&json!(2), &json!("bad"), &json!("metric"))
    );
    assert_eq!(api.get("/api/v1/rules/r9-99")["revision"], 2);
    // A rule made of one that nobody has.
    let made = "[rules.made]\nkind = \"any\"\nselect = {}\nof = [\"nowhere\"]\n";
    write(place, "zz.toml", made);
    let problem = api.post("/api/v1/rules/reload", &json!({})).problem(422);
    assert!(
        problem["file"].as_str().unwrap().ends_with("zz.toml"),
        "{problem}"
    );
    assert_eq!(
        (&problem["line"], &problem["rule"], &problem["key"]),
        (&json!(4), &json!("made"), &json!("of[0]"))
    );
    assert_eq!(api.get("/api/v1/rules/r9-99")["revision"], 2);
}

#[test]
fn a_thousand_rules_are_reloaded_while_readings_flow_and_open_alarms_stay() {
    let place = place("");
    write_thousand(&place, 10_000.0);
    let hub = place.start();
    let api = hub.api_as("engineer");
    let mut fleet = Fleet::new(4, 16);
    fleet.register(&hub);
    let (progress, addr) = (Arc::new(Progress::default()), hub.mqtt());
    let reporting = Arc::clone(&progress);
    let reporter = std::thread::spawn(move || {
        fleet.report(addr, &reporting);
        fleet
    });
    progress.wait_for(200);
    let before = open(&api, "steady");
    assert_eq!(before.len(), 4, "{before:?}");
    let ack = format!("/api/v1/alarms/{}/ack", before[0].1);
    hub.api_as("officer").post(&ack, &json!({})).expect(200);
    let before = open(&api, "steady");
    assert_eq!(before[0].2, "active_acked");

    write_thousand(&place, 11_000.0);
    write(&place, "new.toml", &threshold("one-more", 12_000.0));
    let done = reload(&api);
    assert_eq!(
        done,
        json!({"put": 1000, "removed": 0, "unchanged": 1, "sinks": no_sinks(), "certificates": no_certificates()})
    );
    let far = api.get("/api/v1/rules/r9-99");
    assert_eq!(
        (&far["above"], &far["revision"]),
        (&json!(11_000.0), &json!(2))
    );
    assert_eq!(api.get("/api/v1/rules/steady")["revision"], 1);
    assert_eq!(open(&api, "steady"), before);
    let done = reload(&api);
    assert_eq!(
        done,
        json!({"put": 0, "removed": 0, "unchanged": 1001, "sinks": no_sinks(), "certificates": no_certificates()})
    );

    a_mistake_changes_nothing(&place, &api);
    assert_eq!(open(&api, "steady"), before);

    // Corrected, and a SIGHUP instead of a request: the rule that is gone ends its alarms.
    let mut stream = hub.api().stream("", None);
    write(&place, "zz.toml", "");
    write(&place, "0.toml", &threshold("r0-1", 13_000.0));
    hang_up(&hub);
    for _ in 0..before.len() {
        assert_eq!(
            stream.wait_alarm("cleared", "steady")["note"],
            "rule removed"
        );
    }
    progress.wait_for(progress.acked() + 200);
    progress.stop();
    let fleet = reporter.join().unwrap();
    assert!(fleet.acked() > 400);
    fleet.check(&hub);
    let (status, log) = hub.stop();
    assert!(status.success(), "{log}");
    assert!(
        log.contains("nothing reloaded") && log.contains("zz.toml:2"),
        "{log}"
    );
    place.verify();
}

#[test]
fn rules_put_by_hand_outlive_a_reload_and_rules_of_files_come_back() {
    let place = place("");
    write(
        &place,
        "a.toml",
        &format!("{}{}", threshold("a", 400.0), threshold("b", 400.0)),
    );
    let hub = place.start();
    let api = hub.api_as("engineer");
    let rule = json!({"kind": "threshold", "select": {}, "metric": "pressure_kpa", "above": 1});
    hub.rule("by-hand", &rule);
    hub.rule("a", &rule);
    assert_eq!(api.delete("/api/v1/rules/b").status, 204);
    assert_eq!(
        reload(&api),
        json!({"put": 2, "removed": 0, "unchanged": 0, "sinks": no_sinks(), "certificates": no_certificates()})
    );
    assert_eq!(api.get("/api/v1/rules/a")["above"], 400.0);
    assert_eq!(api.get("/api/v1/rules/b")["above"], 400.0);
    write(&place, "a.toml", &threshold("b", 400.0));
    assert_eq!(
        reload(&api),
        json!({"put": 0, "removed": 1, "unchanged": 1, "sinks": no_sinks(), "certificates": no_certificates()})
    );
    let rules = api.get("/api/v1/rules");
    let ids: Vec<_> = rules["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|rule| &rule["id"])
        .collect();
    assert_eq!(ids, ["b", "by-hand"]);
    hub.kill();
    place.verify();
}

#[test]
fn a_pack_is_one_line_and_a_rule_of_the_folder_replaces_one_of_it() {
    let mut place = place("[packs]\ngas = true\nnoise = false\n");
    let own = threshold("gas.overpressure_medium", 380.0);
    write(&place, "own.toml", &own);
    let output = place.run(&["check", "--config", "hub.toml"]);
    let said = words(&output);
    assert_eq!(output.status.code(), Some(0), "{said}");
    let parts = [
        "; packs: gas ",
        "; replaced by the folder: gas.overpressure_medium",
    ];
    assert!(parts.iter().all(|part| said.contains(part)), "{said}");

    let hub = place.start();
    let api = hub.api_as("engineer");
    assert_eq!(
        api.get("/api/v1/rules/gas.overpressure_medium")["above"],
        380.0
    );
    let rule = api.get("/api/v1/rules/gas.overpressure_medium_a");
    assert_eq!(
        (&rule["above"], &rule["certainty"]),
        (&json!(400.0), &json!("V2"))
    );
    assert!(
        rule["source"]
            .as_str()
            .unwrap()
            .starts_with("GB 50028-2006"),
        "{rule}"
    );
    // What the file says counts at the next reload, packs included.
    std::fs::remove_file(place.path().join("rules.d/own.toml")).unwrap();
    let config = place.path().join("hub.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text.replace("noise = false", "noise = true")).unwrap();
    let done = reload(&api);
    assert_eq!(done["removed"], 0, "{done}");
    assert_eq!(
        api.get("/api/v1/rules/gas.overpressure_medium")["above"],
        400.0
    );
    assert_eq!(
        api.get("/api/v1/rules/noise.construction_night_peak")["above"],
        70.0
    );
    std::fs::write(&config, text.replace("noise = false", "gaz = true")).unwrap();
    let problem = api.post("/api/v1/rules/reload", &json!({})).problem(422);
    let detail = problem["detail"].as_str().unwrap();
    assert!(
        detail.contains("packs.gaz") && detail.contains("known: bikes"),
        "{detail}"
    );
    hub.kill();

    // A variable takes a pack away again.
    std::fs::write(&config, text).unwrap();
    place.set("CITYHUB__PACKS__GAS", "false");
    let hub = place.start();
    assert_eq!(hub.api().get("/api/v1/rules")["items"], json!([]));
}
