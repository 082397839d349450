//! The count of everything that came in.

use crate::kit::{Rig, START, at, number};
use model::{Counts, DeviceKey, Reason};
use store::Ledger;

const MINUTE: i64 = 60_000;

fn counts(
    received: u64,
    stored: u64,
    duplicate: u64,
    late: u64,
    rejected: &[(&'static str, u64)],
) -> Counts {
    Counts {
        received,
        stored,
        duplicate,
        late,
        rejected: rejected
            .iter()
            .map(|(reason, count)| (Reason::from(*reason), *count))
            .collect(),
    }
}

/// In the first minute two stored and one repeated, in the second one late, one of no known metric
/// and three messages of no device.
fn filled(rig: &mut Rig) {
    let day = START + 10 * MINUTE;
    rig.put(
        day,
        &[
            number(1, 0, day, 1.0),
            number(1, 1, day, 2.0),
            number(1, 0, day, 1.0),
        ],
    );
    let mut group = rig.begin(day + MINUTE);
    group.part(rig.driver, DeviceKey(2), 2);
    group.reject(&Reason::from("unknown_metric"), 1);
    group
        .observe(&mut rig.journal, &number(2, 0, START, 5.0), true)
        .unwrap();
    group.refuse(rig.driver, &Reason::from("unknown_device"), 3);
    rig.journal.commit(group).unwrap();
}

fn expected() -> Ledger {
    let mut ledger = Ledger {
        total: counts(8, 3, 1, 1, &[("unknown_device", 3), ("unknown_metric", 1)]),
        ..Ledger::default()
    };
    ledger
        .drivers
        .insert("mqtt".to_owned(), ledger.total.clone());
    ledger.devices.insert(DeviceKey(1), counts(3, 2, 1, 0, &[]));
    ledger
        .devices
        .insert(DeviceKey(2), counts(2, 1, 0, 1, &[("unknown_metric", 1)]));
    ledger
}

#[test]
fn everything_that_came_in_is_counted_before_and_after_a_seal_and_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let mut rig = Rig::open(dir.path());
    filled(&mut rig);
    let whole = (Some(at(START)), Some(at(START + 60 * MINUTE)));
    for stage in [
        "in memory",
        "after a restart",
        "sealed",
        "sealed and restarted",
    ] {
        let ledger = rig.reader.ledger(None, None).unwrap();
        assert_eq!(ledger, expected(), "{stage}");
        assert!(ledger.total.balances());
        assert_eq!(rig.reader.driver_totals(), expected().drivers, "{stage}");
        assert_eq!(
            rig.reader.ledger(whole.0, whole.1).unwrap(),
            expected(),
            "{stage}"
        );
        rig.assert_sound();
        if stage == "after a restart" {
            rig.seal();
        } else {
            drop(rig);
            rig = Rig::open(dir.path());
        }
    }
}

#[test]
fn a_range_counts_whole_minutes_of_arrival() {
    let dir = tempfile::tempdir().unwrap();
    let mut rig = Rig::open(dir.path());
    filled(&mut rig);
    rig.seal();
    let first = START + 10 * MINUTE;
    let total = |from, to| {
        rig.reader
            .ledger(Some(at(from)), Some(at(to)))
            .unwrap()
            .total
    };
    assert_eq!(
        total(first + 30_000, first + MINUTE),
        counts(3, 2, 1, 0, &[])
    );
    assert_eq!(total(first + MINUTE, first + MINUTE + 1).received, 5);
    assert_eq!(total(first - MINUTE, first), Counts::default());
}

#[test]
fn values_that_the_writer_forgot_are_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let mut rig = Rig::open(dir.path());
    let mut group = rig.begin(START);
    group.part(rig.driver, DeviceKey(1), 2);
    group
        .observe(&mut rig.journal, &number(1, 0, START, 1.0), false)
        .unwrap();
    rig.journal.commit(group).unwrap();
    let report = rig.reader.check().unwrap();
    assert_eq!(report.problems.len(), 1);
    assert!(
        report.problems[0].contains("does not balance"),
        "{report:?}"
    );
}

#[test]
fn merged_days_count_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let mut rig = Rig::open(dir.path());
    filled(&mut rig);
    rig.seal();
    let later = START + 20 * MINUTE;
    let mut group = rig.begin(later);
    group.refuse(rig.driver, &Reason::from("too_big"), 1);
    rig.journal.commit(group).unwrap();
    rig.seal();
    for _ in 0..3 {
        rig.tick(START + 3 * 86_400_000);
    }
    let ledger = rig.reader.ledger(Some(at(START)), None).unwrap();
    let reasons = [("too_big", 1), ("unknown_device", 3), ("unknown_metric", 1)];
    assert_eq!(ledger.total, counts(9, 3, 1, 1, &reasons));
    assert_eq!(ledger, rig.reader.ledger(None, None).unwrap());
    rig.assert_sound();
}
