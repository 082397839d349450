//! Upgrades: what an earlier release kept is opened as it was, and what a later one kept is refused.

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;
use tests::audit;
use tests::hub::{Place, root, words};

fn folders() -> Vec<PathBuf> {
    let listed = std::fs::read_dir(root().join("tests/formats")).unwrap();
    let mut folders: Vec<PathBuf> = listed
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.join("data.tar.gz").is_file())
        .collect();
    folders.sort();
    folders
}

/// A place with a copy of what is kept there.
fn unpacked(folder: &Path) -> Place {
    let place = Place::default();
    std::fs::create_dir(place.data()).unwrap();
    let tar = Command::new("tar")
        .arg("-xzf")
        .arg(folder.join("data.tar.gz"))
        .arg("-C")
        .arg(place.data())
        .status();
    assert!(tar.expect("tar is installed").success());
    place
}

/// Does something with a database by SQLite's own module of Python.
fn sqlite(place: &Place, statement: &str) -> String {
    let script = "import sqlite3, sys\n\
        with sqlite3.connect(sys.argv[1]) as database:\n\
        \x20   print(*[row[0] for row in database.execute(sys.argv[2])])";
    let output = Command::new("python3")
        .args(["-c", script])
        .arg(place.data().join("main.db"))
        .arg(statement)
        .output()
        .expect("python3 is installed");
    assert!(output.status.success(), "{}", words(&output));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

const FORMAT: &str = "SELECT v FROM meta WHERE k = 'format'";

fn names(rows: &Value, fields: [&str; 2]) -> Vec<String> {
    let word = |row: &Value, field: &str| row[field].as_str().expect(field).to_owned();
    let rows = rows.as_array().expect("rows").iter();
    rows.map(|row| format!("{} {}", word(row, fields[0]), word(row, fields[1])))
        .collect()
}

fn strings(expected: &Value) -> Vec<String> {
    let items = expected.as_array().expect("a list").iter();
    items
        .map(|item| item.as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn what_each_earlier_release_kept_is_opened_and_all_of_it_is_there() {
    let folders = folders();
    assert!(!folders.is_empty());
    for folder in folders {
        let text = std::fs::read_to_string(folder.join("expected.json")).unwrap();
        let expected: Value = serde_json::from_str(&text).unwrap();
        let place = unpacked(&folder);
        assert_eq!(sqlite(&place, FORMAT), expected["format"].to_string());
        // Read as it is, opened, and read again.
        place.verify();
        let hub = place.start();
        let api = hub.api();
        let ledger = api.get("/api/v1/ledger");
        assert_eq!(ledger["total"], expected["ledger"], "{}", folder.display());
        for (series, count) in expected["points"].as_object().unwrap() {
            let (device, metric) = series.split_once(' ').unwrap();
            let points = hub.points(device, metric).len();
            assert_eq!(Some(points as u64), count.as_u64(), "{series}");
        }
        for (alarm, row) in expected["alarms"].as_object().unwrap() {
            let found = api.get(&format!("/api/v1/alarms/{alarm}"));
            assert_eq!([&found["device"], &found["state"]], [&row[0], &row[1]]);
        }
        for (case, alarm) in expected["cases"].as_object().unwrap() {
            let found = api.get(&format!("/api/v1/cases/{case}"));
            assert_eq!(&found["alarm"], alarm);
        }
        let events = Value::Array(audit::events(&api));
        let kept = strings(&expected["events"]);
        let told = names(&events, ["type", "subject"]);
        assert_eq!(told.get(..kept.len()), Some(kept.as_slice()));
        let kept = strings(&expected["audit"]);
        let trail = api.get("/api/v1/audit?limit=1000");
        let mut told = names(&trail["items"], ["action", "subject"]);
        if told.first() != kept.first() {
            told.reverse();
        }
        assert_eq!(told.get(..kept.len()), Some(kept.as_slice()));
        let users = api.get("/api/v1/users").to_string();
        for user in strings(&expected["users"]) {
            assert!(users.contains(&format!("\"name\":\"{user}\"")), "{users}");
        }
        let (status, log) = hub.stop();
        assert!(status.success(), "{log}");
        place.verify();
    }
}

#[test]
fn what_a_later_release_kept_is_refused_with_2_by_every_command_and_stays_as_it_is() {
    let folder = folders().pop().expect("one folder or more");
    let place = unpacked(&folder);
    sqlite(&place, "UPDATE meta SET v = 99 WHERE k = 'format'");
    let before = std::fs::read(place.data().join("main.db")).unwrap();
    let target = place.path().join("backup");
    let target = target.to_str().unwrap();
    let day = [
        "--from",
        "2026-01-01T00:00:00Z",
        "--to",
        "2026-01-02T00:00:00Z",
    ];
    let backtest = [&["backtest"], &day[..]].concat();
    for args in [
        vec!["run"],
        vec!["verify"],
        vec!["verify", "--audit"],
        vec!["backup", target],
        backtest,
    ] {
        let args = [&args[..], &["--config", "hub.toml"]].concat();
        let output = place.run(&args);
        let said = words(&output);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {said}");
        assert!(
            said.contains("has format 99, this program knows up to"),
            "{args:?}: {said}"
        );
    }
    assert_eq!(sqlite(&place, FORMAT), "99");
    assert_eq!(std::fs::read(place.data().join("main.db")).unwrap(), before);
}
