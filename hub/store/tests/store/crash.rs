//! A process that ends at any moment, and files that are not what they should be.

use crate::kit::{DAY, Rig, START, at, copy_folder, everything, files, number, place};
use model::DeviceKey;
use std::path::Path;
use store::{Options, StoreError};

/// Three commits sealed, two in the log.
fn filled(dir: &Path) -> Rig {
    let mut rig = Rig::open(dir);
    for minute in 0..3 {
        let observed = START + minute * 60_000;
        rig.put(
            observed + 50,
            &[number(1, 0, observed, 300.0), number(1, 1, observed, 90.0)],
        );
    }
    rig.seal();
    for minute in 3..5 {
        let observed = START + minute * 60_000;
        rig.put(
            observed + 50,
            &[
                number(1, 0, observed, 301.0),
                place(1, observed, 118.0, None),
            ],
        );
    }
    rig
}

fn assert_filled(rig: &Rig) {
    assert_eq!(rig.all(1, 0).len(), 5);
    assert_eq!(rig.all(1, 1).len(), 3);
    assert_eq!(rig.all(1, 2).len(), 2);
    rig.assert_sound();
}

#[test]
fn what_is_open_twice_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let rig = Rig::open(dir.path());
    let second = store::open(dir.path(), Options::default());
    assert!(matches!(second, Err(StoreError::Locked(_))));
    drop(rig);
    assert!(store::open(dir.path(), Options::default()).is_ok());
}

#[test]
fn what_was_committed_is_there_again() {
    let dir = tempfile::tempdir().unwrap();
    let rig = filled(dir.path());
    let before = (
        rig.reader.latest(DeviceKey(1)),
        rig.reader.seen(DeviceKey(1)),
        rig.reader.ledger(None, None).unwrap(),
        rig.reader.mark(),
    );
    // Without any closing, as after kill -9.
    let copy = tempfile::tempdir().unwrap();
    copy_folder(dir.path(), copy.path());
    let rig = Rig::open(copy.path());
    assert_filled(&rig);
    assert_eq!(
        rig.recovered.checkpoint.as_deref(),
        Some(&b"checkpoint"[..])
    );
    assert_eq!(rig.recovered.sealed, 3);
    assert_eq!(rig.recovered.last_commit, 5);
    assert_eq!(rig.recovered.last_stamp, at(START + 4 * 60_000 + 50));
    let after = (
        rig.reader.latest(DeviceKey(1)),
        rig.reader.seen(DeviceKey(1)),
        rig.reader.ledger(None, None).unwrap(),
        rig.reader.mark(),
    );
    assert_eq!(after, before);
    assert_eq!(before.0.len(), 3);
}

#[test]
fn the_tail_of_the_log_comes_back_group_by_group() {
    let dir = tempfile::tempdir().unwrap();
    let mut rig = filled(dir.path());
    let mut group = rig.begin(START + DAY);
    group.command(r#"{"put":1}"#);
    group.changes_crc(77);
    rig.journal.commit(group).unwrap();
    let mut tail = Vec::new();
    let sealed = rig.reader.check().map(|_| 3).unwrap();
    rig.reader
        .log(sealed, &mut |group| {
            tail.push(group);
            true
        })
        .unwrap();
    let seqs: Vec<_> = tail.iter().map(|group| group.seq).collect();
    assert_eq!(seqs, [4, 5, 6]);
    assert_eq!(tail[0].readings.len(), 2);
    assert_eq!(
        tail[0].readings[0].reading.received_at,
        at(START + 3 * 60_000 + 50)
    );
    assert_eq!(tail[2].commands, [r#"{"put":1}"#]);
    assert_eq!(tail[2].changes_crc, Some(77));
}

#[test]
fn a_crash_before_the_catalogue_changed_loses_nothing_and_leaves_no_file() {
    let dir = tempfile::tempdir().unwrap();
    let mut rig = filled(dir.path());
    let before = tempfile::tempdir().unwrap();
    copy_folder(dir.path(), before.path());
    rig.seal();
    // The new files are there, the catalogue is the old one.
    for folder in ["segments", "state"] {
        copy_folder(&dir.path().join(folder), &before.path().join(folder));
    }
    let torn = before.path().join("segments/20513/99.parquet.tmp");
    std::fs::create_dir_all(torn.parent().unwrap()).unwrap();
    std::fs::write(&torn, b"half").unwrap();
    let rig = Rig::open(before.path());
    assert_filled(&rig);
    let left = files(before.path());
    let segments = left
        .iter()
        .filter(|name| name.starts_with("segments"))
        .count();
    assert_eq!(segments, 2, "one of data, one of the ledger: {left:?}");
    assert_eq!(left.len(), 3, "{left:?}");
    assert_eq!(rig.recovered.sealed, 3);
}

#[test]
fn a_crash_after_the_catalogue_changed_finds_the_log_rows_sealed() {
    let dir = tempfile::tempdir().unwrap();
    let mut rig = filled(dir.path());
    // The rows are deleted by later commits and ticks, of which there are none.
    rig.seal();
    let copy = tempfile::tempdir().unwrap();
    copy_folder(dir.path(), copy.path());
    let mut rig = Rig::open(copy.path());
    assert_filled(&rig);
    assert_eq!(rig.recovered.sealed, 5);
    assert!(rig.reader.check().unwrap().log_rows > 0);
    rig.tick(START + 600_000);
    assert_eq!(rig.reader.check().unwrap().log_rows, 0);
    // Numbers go on although the log is empty.
    drop(rig);
    let mut rig = Rig::open(copy.path());
    assert_eq!(rig.recovered.last_commit, 5);
    let group = rig.begin(START);
    assert_eq!(rig.journal.commit(group).unwrap(), 6);
}

#[test]
fn a_merge_leaves_one_file_of_each_kind_and_the_same_values() {
    let dir = tempfile::tempdir().unwrap();
    let mut rig = filled(dir.path());
    rig.seal();
    let before = [0, 1, 2].map(|metric| rig.all(1, metric));
    let old_reader = rig.reader.clone();
    let held = old_reader.replay(at(0), at(i64::MAX)).unwrap();
    rig.tick(START + DAY + DAY);
    rig.tick(START + DAY + DAY);
    assert_eq!([0, 1, 2].map(|metric| rig.all(1, metric)), before);
    rig.assert_sound();
    // A replay that began before still reads the files of then.
    let replayed: usize = held.map(|chunk| chunk.unwrap().len()).sum();
    assert_eq!(replayed, 10);
    let left = files(dir.path());
    assert_eq!(left.len(), 3, "{left:?}");
    drop(rig);
    assert_filled(&Rig::open(dir.path()));
}

#[test]
fn a_damaged_segment_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let mut rig = filled(dir.path());
    rig.seal();
    drop(rig);
    let left = files(dir.path());
    let segment = left
        .iter()
        .find(|name| name.starts_with("segments"))
        .unwrap();
    let path = dir.path().join(segment);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[10] ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    let rig = Rig::open(dir.path());
    let report = rig.reader.check().unwrap();
    assert!(
        report
            .problems
            .iter()
            .any(|problem| problem.contains("check sum")),
        "{report:?}"
    );
    drop(rig);
    bytes.pop();
    std::fs::write(&path, &bytes).unwrap();
    let opened = store::open(dir.path(), Options::default());
    assert!(matches!(opened, Err(StoreError::Damaged(_))), "{opened:?}");
}

#[test]
fn a_directory_of_a_newer_program_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    drop(Rig::open(dir.path()));
    let conn = rusqlite::Connection::open(dir.path().join("main.db")).unwrap();
    conn.execute("UPDATE meta SET v = 99 WHERE k = 'format'", [])
        .unwrap();
    drop(conn);
    let opened = store::open(dir.path(), Options::default());
    let Err(StoreError::NewerFormat { found, known }) = opened else {
        panic!("{opened:?}");
    };
    assert_eq!((found, known), (99, 2));
}

#[test]
fn a_group_that_was_dropped_breaks_the_journal() {
    let dir = tempfile::tempdir().unwrap();
    let mut rig = Rig::open(dir.path());
    drop(rig.begin(START));
    let group = rig.begin(START);
    assert!(matches!(
        rig.journal.commit(group),
        Err(StoreError::Broken(_))
    ));
    assert!(rig.journal.tick(at(START)).is_err());
}

#[test]
fn readers_beside_a_running_hub_see_what_was_there() {
    let dir = tempfile::tempdir().unwrap();
    let mut rig = filled(dir.path());
    let (reader, recovered) = store::open_read_only(dir.path()).unwrap();
    assert_eq!(recovered.last_commit, 5);
    // The hub goes on and merges the files away.
    rig.seal();
    rig.tick(START + 2 * DAY);
    rig.tick(START + 2 * DAY);
    assert_eq!(everything(&reader, 1, 0).len(), 5);
    assert_eq!(everything(&reader, 1, 2).len(), 2);
    drop(rig);
    let (reader, _) = store::open_read_only(dir.path()).unwrap();
    assert_eq!(everything(&reader, 1, 0).len(), 5);
    assert_eq!(reader.check().unwrap().problems, Vec::<String>::new());
}

#[test]
fn days_past_retention_go_and_the_ledger_still_agrees() {
    let dir = tempfile::tempdir().unwrap();
    let options = || Options {
        retention_days: Some(2),
        ..Options::default()
    };
    let mut rig = Rig::open_with(dir.path(), options());
    for day in 0..4 {
        let observed = START + day * DAY + 1000;
        rig.put(observed + 50, &[number(1, 0, observed, 1.0)]);
        rig.seal();
    }
    rig.tick(START + 4 * DAY);
    let days: Vec<_> = rig
        .all(1, 0)
        .iter()
        .map(|point| (point.at.millis() - START) / DAY)
        .collect();
    assert_eq!(days, [2, 3]);
    assert_eq!(rig.reader.ledger(None, None).unwrap().total.stored, 4);
    rig.assert_sound();
    drop(rig);
    let rig = Rig::open_with(dir.path(), options());
    assert_eq!(rig.all(1, 0).len(), 2);
    rig.assert_sound();
    let left = files(dir.path());
    assert_eq!(
        left.len(),
        5,
        "two of data, two of the ledger, one state: {left:?}"
    );
}

#[test]
fn memory_that_outgrows_its_limit_waits_for_the_seal() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options {
        seal_cells: 10,
        ..Options::default()
    };
    let mut rig = Rig::open_with(dir.path(), options);
    let mut most = 0;
    for n in 0..400 {
        if rig.journal.wants_seal(at(START + n)) {
            rig.journal.seal(Vec::new()).unwrap();
        }
        rig.put(START + n, &[number(1, 0, START + n, 1.0)]);
        most = most.max(rig.reader.stats().unwrap().head_cells);
    }
    // What is frozen and what grew beside it, up to four times ten.
    assert!(most <= 80, "{most}");
    assert_eq!(rig.all(1, 0).len(), 400);
    rig.journal.settle().unwrap();
    rig.assert_sound();
}
