//! What is past its age goes, is counted, and nothing else does.

use crate::kit::{DAY, Rig, START, at, number};
use model::MetricKey;
use std::collections::BTreeMap;
use std::path::Path;
use store::{AuditFault, AuditVerdict, Options};

const PRESSURE: u16 = 0;
const BATTERY: u16 = 1;

fn metric_days(days: &[(&str, u32)]) -> BTreeMap<String, u32> {
    days.iter()
        .map(|(name, days)| ((*name).to_owned(), *days))
        .collect()
}

/// Two metrics on each of some days, one segment a day.
fn fill(rig: &mut Rig, days: std::ops::Range<i64>) {
    for day in days {
        for hour in 0..24 {
            let time = START + day * DAY + hour * 3_600_000;
            rig.put(
                time,
                &[
                    number(1, PRESSURE, time, 300.0),
                    number(1, BATTERY, time, 90.0),
                ],
            );
        }
        rig.seal();
    }
}

/// Looks at retention often enough for all of it to be carried out.
fn turn(rig: &mut Rig, now: i64) {
    for minute in 0..10 {
        rig.tick(now + minute * 60_000);
    }
}

fn days_of(rig: &Rig, metric: u16) -> Vec<i64> {
    let mut days: Vec<i64> = rig
        .all(1, metric)
        .iter()
        .map(|point| (point.at.millis() - START).div_euclid(DAY))
        .collect();
    days.dedup();
    days
}

#[test]
fn a_metric_with_an_age_of_its_own_goes_and_the_others_stay() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options {
        metric_retention_days: metric_days(&[("battery_pct", 2)]),
        ..Options::default()
    };
    let mut rig = Rig::open_with(dir.path(), options.clone());
    fill(&mut rig, 0..6);
    let before = rig.reader.ledger(None, None).unwrap();
    turn(&mut rig, START + 6 * DAY);
    assert_eq!(days_of(&rig, PRESSURE), [0, 1, 2, 3, 4, 5]);
    assert_eq!(days_of(&rig, BATTERY), [4, 5]);
    assert_eq!(
        rig.reader.kept_from(Some(MetricKey(BATTERY))),
        Some(at(START + 4 * DAY))
    );
    assert_eq!(rig.reader.kept_from(Some(MetricKey(PRESSURE))), None);
    assert_eq!(rig.reader.kept_from(None), Some(at(START + 4 * DAY)));
    rig.assert_sound();
    assert_eq!(rig.reader.ledger(None, None).unwrap(), before);
    rig.journal.close().unwrap();
    let rig = Rig::open_with(dir.path(), options);
    rig.assert_sound();
    assert_eq!(
        rig.reader.kept_from(Some(MetricKey(BATTERY))),
        Some(at(START + 4 * DAY))
    );
    assert_eq!(days_of(&rig, BATTERY), [4, 5]);
}

#[test]
fn a_metric_may_be_kept_for_longer_than_all_others_and_a_day_without_any_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options {
        retention_days: Some(1),
        metric_retention_days: metric_days(&[("pressure_kpa", 3)]),
        ..Options::default()
    };
    let mut rig = Rig::open_with(dir.path(), options);
    fill(&mut rig, 0..6);
    turn(&mut rig, START + 6 * DAY);
    assert_eq!(days_of(&rig, PRESSURE), [3, 4, 5]);
    assert_eq!(days_of(&rig, BATTERY), [5]);
    assert_eq!(
        rig.reader.kept_from(Some(MetricKey(PRESSURE))),
        Some(at(START + 3 * DAY))
    );
    rig.assert_sound();
}

#[test]
fn beyond_the_size_the_oldest_days_go_but_never_the_newest() {
    let dir = tempfile::tempdir().unwrap();
    let mut rig = Rig::open(dir.path());
    fill(&mut rig, 0..6);
    let stats = rig.reader.stats().unwrap();
    rig.journal.close().unwrap();
    let options = Options {
        size_bytes_max: Some(stats.segment_bytes / 2),
        ..Options::default()
    };
    let mut rig = Rig::open_with(dir.path(), options);
    turn(&mut rig, START + 6 * DAY);
    assert_eq!(days_of(&rig, PRESSURE), [3, 4, 5]);
    assert_eq!(rig.reader.kept_from(None), Some(at(START + 3 * DAY)));
    rig.assert_sound();
    rig.journal.close().unwrap();
    let options = Options {
        size_bytes_max: Some(1),
        ..Options::default()
    };
    let mut rig = Rig::open_with(dir.path(), options);
    turn(&mut rig, START + 6 * DAY);
    assert_eq!(days_of(&rig, PRESSURE), [5]);
    rig.assert_sound();
}

#[test]
fn what_somebody_has_not_confirmed_stays_however_old_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options {
        retention_days: Some(1),
        size_bytes_max: Some(1),
        metric_retention_days: metric_days(&[("battery_pct", 1)]),
        ..Options::default()
    };
    let mut rig = Rig::open_with(dir.path(), options);
    fill(&mut rig, 0..4);
    rig.journal.hold_from(Some(at(START + 2 * DAY)));
    turn(&mut rig, START + 9 * DAY);
    assert_eq!(days_of(&rig, PRESSURE), [2, 3]);
    assert_eq!(days_of(&rig, BATTERY), [2, 3]);
    rig.journal.hold_from(None);
    turn(&mut rig, START + 10 * DAY);
    assert_eq!(days_of(&rig, PRESSURE), Vec::<i64>::new());
    rig.assert_sound();
}

fn act(rig: &mut Rig, stamp: i64) {
    let mut group = rig.begin(stamp);
    group.audit("li", "engineer", "put_rule", "gas", "{}");
    rig.journal.commit(group).unwrap();
}

fn verdict(dir: &Path, noted: Option<&[u8; 32]>) -> AuditVerdict {
    store::verify_audit(dir, noted).unwrap()
}

#[test]
fn the_audit_chain_is_whole_after_its_beginning_was_forgotten_and_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options {
        audit_retention_days: Some(3),
        ..Options::default()
    };
    let mut rig = Rig::open_with(dir.path(), options.clone());
    for day in 0..8 {
        act(&mut rig, START + day * DAY);
    }
    let fifth = rig.reader.audit(0, 100).unwrap()[4].hash;
    turn(&mut rig, START + 8 * DAY);
    let links = rig.reader.audit(0, 100).unwrap();
    let numbers: Vec<u64> = links.iter().map(|link| link.seq).collect();
    assert_eq!(numbers, [6, 7, 8, 9]);
    let last = links.last().unwrap();
    assert_eq!(
        (last.actor.as_str(), last.action.as_str()),
        ("cityhub", "forget_audit")
    );
    assert!(last.detail.contains("\"up_to\":5"), "{}", last.detail);
    // The next one is due a day later, and the chain goes on.
    act(&mut rig, START + 8 * DAY + DAY / 2);
    rig.assert_sound();
    rig.journal.close().unwrap();
    let AuditVerdict::Whole { links, noted, .. } = verdict(dir.path(), Some(&fifth)) else {
        panic!("{:?}", verdict(dir.path(), None));
    };
    assert_eq!((links, noted), (10, Some(5)));

    // Whoever cuts off more, and moves the beginning along, is found out.
    let conn = rusqlite::Connection::open(dir.path().join("main.db")).unwrap();
    conn.execute_batch(
        "UPDATE meta SET v = (SELECT hash FROM audit WHERE seq = 6) WHERE k = 'audit_base_hash';
         UPDATE meta SET v = 6 WHERE k = 'audit_base_seq';
         DELETE FROM audit WHERE seq = 6;",
    )
    .unwrap();
    drop(conn);
    let AuditVerdict::Broken(broken) = verdict(dir.path(), None) else {
        panic!("a cut that the hub did not make");
    };
    assert_eq!((broken.number, broken.fault), (7, AuditFault::NotForgotten));
}

#[test]
fn without_an_age_nothing_is_forgotten() {
    let dir = tempfile::tempdir().unwrap();
    let mut rig = Rig::open(dir.path());
    fill(&mut rig, 0..3);
    act(&mut rig, START + 3 * DAY);
    turn(&mut rig, START + 9_000 * DAY);
    assert_eq!(days_of(&rig, BATTERY), [0, 1, 2]);
    assert_eq!(rig.reader.audit(0, 100).unwrap().len(), 1);
    assert_eq!(rig.reader.kept_from(None), None);
    assert_eq!(rig.reader.alarms_kept_from().unwrap(), None);
}
