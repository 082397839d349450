//! `cityhub doctor` beside hubs that run, that were killed, and that are broken.

use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::Path;
use tests::hub::{Place, plain_config, token, words};
use tests::time::until;

/// Runs the doctor; gives its exit code and its findings.
#[track_caller]
fn doctor(place: &Place) -> (i32, Value) {
    let output = place.run(&["doctor", "--config", "hub.toml", "--json"]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        !said.contains("0123456789abcdef"),
        "a token is told: {said}"
    );
    let report = serde_json::from_str(&said).unwrap_or_else(|_| panic!("{}", words(&output)));
    (output.status.code().expect("it ends by itself"), report)
}

/// The findings of a check: outcome and all of it.
fn of<'a>(report: &'a Value, check: &str) -> BTreeMap<&'a str, &'a Value> {
    let findings = report["findings"].as_array().expect("a list").iter();
    let mine = findings.filter(|finding| finding["check"] == check);
    mine.map(|finding| (finding["outcome"].as_str().unwrap(), finding))
        .collect()
}

/// Name, size and SHA-free content of every file below a folder.
fn content(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() {
            files.extend(content(&path));
        } else {
            files.insert(path.display().to_string(), std::fs::read(&path).unwrap());
        }
    }
    files
}

#[test]
fn beside_a_running_hub_it_knows_who_runs_who_knocks_and_who_never_came() {
    let place = Place::default();
    let hub = place.start();
    hub.register(&json!([
        {"id": "gas-1", "kind": "gas_pressure"},
        {"id": "gas-2", "kind": "gas_pressure"},
    ]));
    // The hub has rules of its own for every device, which are nobody's answer to a leak.
    assert!(of(&doctor(&place).1, "rules").contains_key("none"));
    let noise = json!({"title": "吵", "kind": "threshold", "select": {"kind": "noise"},
        "metric": "laeq_dba", "above": 70.0, "severity": "minor"});
    hub.rule("noise", &noise);
    assert!(of(&doctor(&place).1, "coverage").contains_key("unwatched"));
    hub.store("gas-1", &json!({"values": {"pressure_kpa": 300}}));
    let (_, report) = doctor(&place);
    let lock = of(&report, "lock");
    let holder = lock["ok"]["what"].as_str().unwrap();
    assert!(holder.contains(&hub.pid().to_string()), "{holder}");
    let never = of(&report, "devices")["never-seen"]["what"]
        .as_str()
        .unwrap();
    assert!(
        never.contains("gas-2") && !never.contains("gas-1"),
        "{never}"
    );
    assert!(of(&report, "backup").contains_key("never"), "{report}");
    assert!(of(&report, "journal").contains_key("ok"), "{report}");
    assert!(of(&report, "version").contains_key("ok"), "{report}");

    let (status, log) = hub.stop();
    assert!(status.success(), "{log}");
    let before = content(&place.data());
    let (_, report) = doctor(&place);
    assert!(of(&report, "lock").contains_key("free"), "{report}");
    assert!(of(&report, "hub").contains_key("stopped"), "{report}");
    assert!(of(&report, "journal").contains_key("ok"), "{report}");
    assert_eq!(
        content(&place.data()),
        before,
        "the doctor changed something"
    );
}

/// A free port, free again.
fn port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

#[test]
fn strangers_that_knock_and_a_receiver_that_is_dead_are_named() {
    let (http, ingest) = (port(), port());
    let config = plain_config()
        .replacen("127.0.0.1:0", &format!("127.0.0.1:{http}"), 1)
        .replace(
            "kind = \"http\"\nlisten = \"127.0.0.1:0\"",
            &format!("kind = \"http\"\nlisten = \"127.0.0.1:{ingest}\""),
        );
    let place = Place::with_config(&config);
    let hub = place.start();
    let (_, report) = doctor(&place);
    assert!(of(&report, "hub").contains_key("ok"), "{report}");
    assert!(of(&report, "ports").contains_key("ok"), "{report}");
    assert!(of(&report, "unclaimed").contains_key("ok"), "{report}");
    assert!(of(&report, "canary").contains_key("ok"), "{report}");
    hub.post("stranger-7", br#"{"values":{"pressure_kpa":1}}"#);
    until("the stranger is told", || {
        let (_, report) = doctor(&place);
        let told = of(&report, "unclaimed");
        told.get("knocking")
            .is_some_and(|told| told["what"].as_str().unwrap().contains("stranger-7"))
    });
    hub.stop();

    // Somebody else takes the port meanwhile.
    let _other = TcpListener::bind(("127.0.0.1", ingest)).unwrap();
    let (code, report) = doctor(&place);
    let taken = of(&report, "ports")["taken"];
    assert_eq!((code, &taken["level"]), (2, &json!("fault")));
    let place_of = taken["where"].as_str().unwrap();
    assert!(
        place_of.contains("hub.toml:") && place_of.contains("drivers.ingest.listen"),
        "{taken}"
    );
    assert!(
        taken["what"]
            .as_str()
            .unwrap()
            .contains(&std::process::id().to_string()),
        "{taken}"
    );
}

#[test]
fn a_hub_that_was_killed_is_told_from_one_that_stopped_and_its_data_is_left_as_it_is() {
    let place = Place::default();
    let hub = place.start();
    hub.register(&json!([{"id": "gas-1", "kind": "gas_pressure"}]));
    hub.kill();
    let data = |place: &Place| {
        let mut files = content(&place.data());
        // An index that every reader of a database that was not closed makes anew.
        files.retain(|name, _| !name.ends_with("main.db-shm"));
        files
    };
    let before = data(&place);
    let (code, report) = doctor(&place);
    assert!(code > 0);
    assert!(of(&report, "lock").contains_key("unclean"), "{report}");
    assert!(of(&report, "journal").contains_key("ok"), "{report}");
    assert!(
        of(&report, "devices").contains_key("never-seen"),
        "{report}"
    );
    assert_eq!(data(&place), before);

    // A page of the database that is not as it was written.
    place.start().stop();
    let file = place.data().join("main.db");
    let mut bytes = std::fs::read(&file).unwrap();
    for byte in bytes.iter_mut().skip(8_192).take(16_384) {
        *byte = 0xa5;
    }
    std::fs::write(&file, bytes).unwrap();
    let (code, report) = doctor(&place);
    assert_eq!(code, 2);
    assert!(of(&report, "journal").contains_key("damaged"), "{report}");
}

#[test]
fn a_mistake_in_the_configuration_is_named_with_line_and_with_what_was_meant() {
    let place = Place::with_config(&plain_config().replacen("listen", "lisen", 1));
    let output = place.run(&["doctor", "--config", "hub.toml", "--lang", "en"]);
    let said = words(&output);
    assert_eq!(output.status.code(), Some(2), "{said}");
    for part in [
        "hub.toml:7 `http.lisen`",
        "unknown field `lisen`",
        "→ `listen`",
        "cityhub check --config hub.toml",
    ] {
        assert!(said.contains(part), "{part} in {said}");
    }
    let output = place.run(&["doctor", "--config", "hub.toml", "--lang", "zh-CN"]);
    assert!(words(&output).contains("配置有误"), "{}", words(&output));
    let mut place = place;
    place.set("LC_ALL", "zh_CN.UTF-8");
    let output = place.run(&["doctor", "--config", "hub.toml"]);
    assert!(words(&output).contains("配置有误"), "{}", words(&output));
    let output = place.run(&["doctor", "--lang", "fr"]);
    assert_eq!(output.status.code(), Some(2), "{}", words(&output));
    let output = place.run(&["doctor", "--token-file", "nowhere"]);
    assert_eq!(output.status.code(), Some(2), "{}", words(&output));
    assert!(!token("admin").is_empty());
}
