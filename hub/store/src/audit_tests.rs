//! Every byte of the audit table is flipped, and every flip must be found and rightly named.

use crate::{AuditFault, AuditVerdict, Options, verify_audit};
use model::Timestamp;
use rusqlite::types::Value;
use rusqlite::{Connection, params};
use std::path::Path;

const START: i64 = 1_772_323_200_000;
const LINKS: i64 = 5;

/// Writes five records, one a second, as the hub does.
fn written(dir: &Path) -> [u8; 32] {
    let (mut journal, reader, _) = crate::open(dir, Options::default()).unwrap();
    for n in 1..=LINKS {
        let mut group = journal.begin(Timestamp::from_millis(START + n * 1000));
        let detail = format!(r#"{{"comment":"到场 {n}","version":{n}}}"#);
        group.audit("wang", "officer", "ack", &format!("a{n}"), &detail);
        journal.commit(group).unwrap();
    }
    let head = reader.audit_head().unwrap();
    assert_eq!(head.0, 5);
    head.1
}

/// A table of its own, which only this test writes.
fn table(dir: &Path) -> Connection {
    Connection::open(dir.join("main.db")).unwrap()
}

fn found(dir: &Path) -> (i64, AuditFault) {
    match verify_audit(dir, None).unwrap() {
        AuditVerdict::Broken(broken) => (broken.number, broken.fault),
        AuditVerdict::Whole { .. } => panic!("the flip was not found"),
    }
}

/// Gives a value with one byte flipped, for each of its bytes.
fn flipped(value: &Value) -> Vec<Value> {
    let each = |bytes: &[u8]| -> Vec<Vec<u8>> {
        let flip = |at: usize| {
            let mut bytes = bytes.to_vec();
            bytes[at] ^= 0xff;
            bytes
        };
        (0..bytes.len()).map(flip).collect()
    };
    match value {
        Value::Integer(number) => each(&number.to_be_bytes())
            .into_iter()
            .map(|bytes| Value::Integer(i64::from_be_bytes(bytes.try_into().unwrap())))
            .collect(),
        Value::Text(text) => each(text.as_bytes()).into_iter().map(Value::Blob).collect(),
        Value::Blob(bytes) => each(bytes).into_iter().map(Value::Blob).collect(),
        other => panic!("no column of the audit holds {other:?}"),
    }
}

#[test]
fn every_byte_of_every_column_that_is_flipped_is_found_and_rightly_named() {
    let dir = tempfile::tempdir().unwrap();
    written(dir.path());
    let conn = table(dir.path());
    let mut flips = 0;
    for column in [
        "seq", "at", "actor", "role", "action", "subject", "detail", "hash",
    ] {
        for number in 1..=LINKS {
            let read = format!("SELECT {column} FROM audit WHERE seq = ?1");
            let value: Value = conn.query_row(&read, [number], |row| row.get(0)).unwrap();
            // Text that is no text any more is written as text all the same.
            let cast = match value {
                Value::Text(_) => "CAST(?1 AS TEXT)",
                _ => "?1",
            };
            let write = format!("UPDATE audit SET {column} = {cast} WHERE seq = ?2");
            for wrong in flipped(&value) {
                assert_eq!(conn.execute(&write, params![wrong, number]).unwrap(), 1);
                let named = found(dir.path());
                let moved = match (&wrong, column) {
                    (Value::Integer(to), "seq") => *to,
                    _ => number,
                };
                // A record that went to the front is out of order; one that went to the end is
                // missing where it was.
                let expected = if moved < number { moved } else { number };
                assert_eq!(named.0, expected, "{column} of {number}: {named:?}");
                flips += 1;
                conn.execute(&write, params![value, moved]).unwrap();
            }
            let whole = verify_audit(dir.path(), None).unwrap();
            assert!(matches!(whole, AuditVerdict::Whole { links: 5, .. }));
        }
    }
    // 8 + 8 + 4 + 7 + 3 + 2 + 32 bytes, and 34 of the detail, of five records.
    assert_eq!(flips, 5 * (8 + 8 + 4 + 7 + 3 + 2 + 34 + 32));
}

#[test]
fn a_record_of_another_type_a_gap_and_a_stranger_are_named() {
    let dir = tempfile::tempdir().unwrap();
    written(dir.path());
    let change = |sql: &str| assert_eq!(table(dir.path()).execute(sql, []).unwrap(), 1);
    // The same bytes, but no text any more.
    change("UPDATE audit SET role = CAST(role AS BLOB) WHERE seq = 4");
    let column = "role";
    assert_eq!(found(dir.path()), (4, AuditFault::Unreadable { column }));
    change("DELETE FROM audit WHERE seq = 3");
    assert_eq!(found(dir.path()), (3, AuditFault::Gap { next: 4 }));
    change("UPDATE audit SET seq = -1 WHERE seq = 2");
    assert_eq!(found(dir.path()), (-1, AuditFault::Order));
    let dir = tempfile::tempdir().unwrap();
    written(dir.path());
    change_count(dir.path(), 4);
    let counted = 4;
    assert_eq!(found(dir.path()), (5, AuditFault::Uncounted { counted }));
}

fn change_count(dir: &Path, links: i64) {
    let conn = table(dir);
    let sql = "UPDATE meta SET v = ?1 WHERE k = 'audit_links'";
    assert_eq!(conn.execute(sql, [links]).unwrap(), 1);
}

#[test]
fn a_head_that_was_noted_elsewhere_finds_a_tail_that_was_cut_off_with_its_count() {
    let dir = tempfile::tempdir().unwrap();
    let head = written(dir.path());
    let noted = |head: &[u8; 32]| verify_audit(dir.path(), Some(head)).unwrap();
    let AuditVerdict::Whole { noted: number, .. } = noted(&head) else {
        panic!("the chain is whole");
    };
    assert_eq!(number, Some(5));
    let second: [u8; 32] = table(dir.path())
        .query_row("SELECT hash FROM audit WHERE seq = 2", [], |row| row.get(0))
        .unwrap();
    let deleted = table(dir.path()).execute("DELETE FROM audit WHERE seq > 3", []);
    assert_eq!(deleted.unwrap(), 2);
    change_count(dir.path(), 3);
    assert!(matches!(
        verify_audit(dir.path(), None).unwrap(),
        AuditVerdict::Whole { links: 3, .. }
    ));
    let AuditVerdict::Broken(broken) = noted(&head) else {
        panic!("the head is gone");
    };
    assert_eq!((broken.number, broken.fault), (4, AuditFault::HeadMissing));
    assert!(matches!(
        noted(&second),
        AuditVerdict::Whole { noted: Some(2), .. }
    ));
}

#[test]
fn the_links_of_an_instant_are_found_by_their_time() {
    let dir = tempfile::tempdir().unwrap();
    let (mut journal, reader, _) = crate::open(dir.path(), Options::default()).unwrap();
    let at = |s: i64| Timestamp::from_millis(1_772_323_200_000).plus_s(s);
    assert!(reader.audit_at(at(0)).unwrap().is_empty());
    for s in 1..=9 {
        let mut group = journal.begin(at(2 * s));
        // Three hundred in the fifth: more than are read at once.
        for number in 0..if s == 5 { 300 } else { 2 } {
            group.audit("li", "admin", "put_rule", &format!("{s}.{number}"), "{}");
        }
        journal.commit(group).unwrap();
    }
    for s in 0..=19 {
        let links = reader.audit_at(at(s)).unwrap();
        let expected = match (s % 2, s) {
            (1, _) | (_, 0) => 0,
            (_, 10) => 300,
            _ => 2,
        };
        assert_eq!(links.len(), expected, "{s}");
        assert!(links.iter().all(|link| link.at == at(s)));
    }
    assert_eq!(reader.audit_at(at(18)).unwrap()[0].subject, "9.0");
}
