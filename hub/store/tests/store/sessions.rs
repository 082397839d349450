//! What is kept of the sessions of subscribers.

use crate::kit::{Rig, START, at};
use model::Timestamp;
use store::{Group, StoredSession};

const NAME: &str = "mqtt:platform:client";

fn session(name: &str, expiry_s: u32, expires_at: Option<Timestamp>) -> StoredSession {
    StoredSession {
        name: name.to_owned(),
        filters: r#"{"events/#":1}"#.to_owned(),
        expiry_s,
        expires_at,
        begins_after: Some(7),
    }
}

fn commit(rig: &mut Rig, second: i64, fill: impl FnOnce(&mut Group)) {
    let mut group = rig.begin(START + second * 1_000);
    fill(&mut group);
    rig.journal.commit(group).unwrap();
}

#[test]
fn a_session_and_its_place_outlive_the_journal_that_took_them() {
    let dir = tempfile::tempdir().unwrap();
    let mut rig = Rig::open(dir.path());
    commit(&mut rig, 0, |group| {
        group.keep_session(session(NAME, 60, None));
    });
    commit(&mut rig, 1, |group| group.cursor(NAME, 9));
    // A change of the filters does not set it back to where it began.
    commit(&mut rig, 2, |group| {
        group.keep_session(session(NAME, 60, None));
    });
    drop(rig);
    let rig = Rig::open(dir.path());
    let kept = rig.reader.session(NAME).unwrap().unwrap();
    assert_eq!(kept.filters, r#"{"events/#":1}"#);
    assert_eq!((kept.expiry_s, kept.expires_at), (60, None));
    assert_eq!(rig.reader.cursor(NAME).unwrap(), Some(9));
    assert_eq!(rig.reader.session("mqtt:platform:other").unwrap(), None);
}

#[test]
fn an_ended_session_leaves_neither_filters_nor_cursor() {
    let dir = tempfile::tempdir().unwrap();
    let mut rig = Rig::open(dir.path());
    commit(&mut rig, 0, |group| {
        group.keep_session(session(NAME, 60, None));
    });
    assert_eq!(rig.reader.cursor(NAME).unwrap(), Some(7));
    commit(&mut rig, 1, |group| group.end_session(NAME));
    assert_eq!(rig.reader.session(NAME).unwrap(), None);
    assert_eq!(rig.reader.cursor(NAME).unwrap(), None);
}

#[test]
fn a_session_that_was_open_when_the_hub_was_lost_expires_from_then_on() {
    let dir = tempfile::tempdir().unwrap();
    let mut rig = Rig::open(dir.path());
    commit(&mut rig, 0, |group| {
        group.keep_session(session("finite", 60, None));
        group.keep_session(session("for-ever", u32::MAX, None));
    });
    commit(&mut rig, 90, |group| {
        group.leave_sessions(at(START + 5_000));
    });
    let expires_at = |name| rig.reader.session(name).unwrap().unwrap().expires_at;
    assert_eq!(expires_at("finite"), Some(at(START + 65_000)));
    assert_eq!(expires_at("for-ever"), None);
    // The next one that is kept sweeps what has expired.
    commit(&mut rig, 91, |group| {
        group.keep_session(session(NAME, 60, None));
    });
    assert_eq!(rig.reader.session("finite").unwrap(), None);
}

#[test]
fn no_more_than_a_thousand_sessions_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    let mut rig = Rig::open(dir.path());
    commit(&mut rig, 0, |group| {
        for number in 0..=1_000 {
            group.keep_session(session(&format!("s{number}"), u32::MAX, None));
        }
    });
    assert!(rig.reader.session("s999").unwrap().is_some());
    assert_eq!(rig.reader.session("s1000").unwrap(), None);
}
