//! What was changed in the database behind the hub's back is named.

use crate::kit::{DAY, Rig, START, at};
use serde_json::json;
use std::path::Path;
use store::{NewEvent, Options};

fn put_events(rig: &mut Rig, stamp: i64, count: usize) {
    let mut group = rig.begin(stamp);
    for _ in 0..count {
        group.event(&NewEvent {
            kind: "cityhub.device.online",
            subject: "gas-1",
            severity: None,
            grid: None,
            time: at(stamp),
            data: r#"{"n":1}"#,
        });
    }
    rig.journal.commit(group).unwrap();
}

fn put_rule(rig: &mut Rig, id: &str, revision: u64, above: f64) {
    let spec = json!({"kind": "threshold", "above": above});
    let change = json!({"put_rule": {"id": id, "revision": revision, "spec": spec}});
    let mut group = rig.begin(START);
    group.put_rule(id, revision, &spec);
    group.change(&change.to_string());
    rig.journal.commit(group).unwrap();
}

fn tamper(dir: &Path, sql: &str) {
    let conn = rusqlite::Connection::open(dir.join("main.db")).unwrap();
    assert_eq!(conn.execute(sql, []).unwrap(), 1, "{sql}");
}

fn problems(dir: &Path) -> Vec<String> {
    let (reader, _) = store::open_read_only(dir).unwrap();
    reader.check().unwrap().problems
}

#[test]
fn events_that_were_deleted_are_named_wherever_they_stood() {
    let dir = tempfile::tempdir().unwrap();
    let mut rig = Rig::open(dir.path());
    put_events(&mut rig, START, 6);
    rig.journal.close().unwrap();
    assert_eq!(problems(dir.path()), Vec::<String>::new());
    tamper(dir.path(), "DELETE FROM event WHERE seq = 6");
    assert_eq!(problems(dir.path()), ["event 6 is missing"]);
    tamper(dir.path(), "DELETE FROM event WHERE seq = 5");
    tamper(dir.path(), "DELETE FROM event WHERE seq = 1");
    tamper(dir.path(), "DELETE FROM event WHERE seq = 3");
    assert_eq!(
        problems(dir.path()),
        [
            "event 1 is missing",
            "event 3 is missing",
            "events 5 to 6 are missing"
        ]
    );
}

#[test]
fn an_expired_event_is_not_missing_but_one_that_was_kept_is() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options {
        events_retention_days: Some(1),
        ..Options::default()
    };
    let mut rig = Rig::open_with(dir.path(), options);
    put_events(&mut rig, START, 2);
    put_events(&mut rig, START + 2 * DAY, 2);
    rig.tick(START + 2 * DAY + 1);
    rig.journal.close().unwrap();
    assert_eq!(problems(dir.path()), Vec::<String>::new());
    tamper(dir.path(), "DELETE FROM event WHERE seq = 3");
    assert_eq!(problems(dir.path()), ["event 3 is missing"]);
}

#[test]
fn an_edited_event_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let mut rig = Rig::open(dir.path());
    put_events(&mut rig, START, 3);
    rig.journal.close().unwrap();
    tamper(
        dir.path(),
        r#"UPDATE event SET json = replace(json, '"n":1', '"n":2') WHERE seq = 2"#,
    );
    assert_eq!(problems(dir.path()), ["event 2 is not as it was written"]);
}

#[test]
fn a_database_from_before_the_sums_is_read_and_goes_on_with_them() {
    let dir = tempfile::tempdir().unwrap();
    let mut rig = Rig::open(dir.path());
    put_events(&mut rig, START, 2);
    rig.journal.close().unwrap();
    let conn = rusqlite::Connection::open(dir.path().join("main.db")).unwrap();
    conn.execute_batch(
        "ALTER TABLE event DROP COLUMN crc;
         DELETE FROM meta WHERE k IN ('events_from', 'last_event');
         DELETE FROM event WHERE seq = 1;",
    )
    .unwrap();
    drop(conn);
    assert_eq!(problems(dir.path()), Vec::<String>::new());
    let mut rig = Rig::open(dir.path());
    put_events(&mut rig, START, 1);
    rig.journal.close().unwrap();
    assert_eq!(problems(dir.path()), Vec::<String>::new());
    tamper(dir.path(), "UPDATE event SET json = '{}' WHERE seq = 3");
    tamper(dir.path(), "UPDATE event SET json = '{}' WHERE seq = 2");
    assert_eq!(problems(dir.path()), ["event 3 is not as it was written"]);
}

#[test]
fn a_rule_that_is_not_as_it_was_put_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let mut rig = Rig::open(dir.path());
    put_rule(&mut rig, "gas", 1, 300.0);
    put_rule(&mut rig, "gas", 2, 400.0);
    put_rule(&mut rig, "noise", 1, 80.0);
    put_rule(&mut rig, "smoke", 1, 1.0);
    let mut group = rig.begin(START);
    group.delete_rule("smoke");
    group.change(r#"{"delete_rule":{"id":"smoke"}}"#);
    rig.journal.commit(group).unwrap();
    rig.journal.close().unwrap();
    assert_eq!(problems(dir.path()), Vec::<String>::new());
    tamper(
        dir.path(),
        "UPDATE rule SET spec = replace(spec, '400', '900') WHERE id = 'gas'",
    );
    tamper(dir.path(), "DELETE FROM rule WHERE id = 'noise'");
    tamper(dir.path(), "INSERT INTO rule VALUES ('smoke', 1, '{}')");
    assert_eq!(
        problems(dir.path()),
        [
            "rule `gas` is not as it was last put",
            "rule `smoke` is in force without a recorded change",
            "rule `noise` is missing"
        ]
    );
}
