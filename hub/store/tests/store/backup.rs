//! A backup is one moment of a store that goes on, and comes back as it was; or it is refused.

use crate::kit::{DAY, Rig, START, at, everything, number};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use store::{BackupPlan, Manifest, Options, StoreError};

fn plan(link: bool) -> BackupPlan {
    BackupPlan {
        hub_version: "1.2.3".to_owned(),
        now: at(START),
        link,
        beside: Vec::new(),
    }
}

/// A store with a merged day, an open day, and something in memory.
fn filled(dir: &Path) {
    let mut rig = Rig::open(dir);
    for index in 0..40 {
        let time = START + index * 1000;
        rig.put(time, &[number(1, 0, time, 300.0)]);
        if index % 4 == 0 {
            rig.seal();
        }
    }
    rig.tick(START + 2 * DAY);
    let time = START + 2 * DAY;
    rig.put(time, &[number(1, 0, time, 301.0), number(1, 1, time, 99.0)]);
    rig.seal();
    rig.put(time + 1, &[number(2, 0, time, 302.0)]);
    rig.journal.close().unwrap();
}

struct Case {
    _folder: tempfile::TempDir,
    data: PathBuf,
    target: PathBuf,
    restored: PathBuf,
}

fn case() -> Case {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    filled(&data);
    Case {
        data,
        target: folder.path().join("backup"),
        restored: folder.path().join("restored"),
        _folder: folder,
    }
}

fn refused(error: StoreError) -> String {
    match error {
        StoreError::Refused(reason) => reason,
        other => panic!("{other:?}"),
    }
}

fn damaged(error: StoreError) -> String {
    match error {
        StoreError::Damaged(what) => what,
        other => panic!("{other:?}"),
    }
}

fn is_sound(dir: &Path) -> u64 {
    let (reader, _) = store::open_read_only(dir).unwrap();
    let report = reader.check().unwrap();
    assert_eq!(report.problems, Vec::<String>::new());
    report.readings
}

#[test]
fn a_backup_comes_back_as_it_was_whether_it_was_copied_or_linked() {
    for link in [false, true] {
        let case = case();
        let made = store::backup(&case.data, &case.target, &plan(link)).unwrap();
        assert_eq!(made.cut.ledger.stored, 43);
        assert_eq!(made.problems, Vec::<String>::new());
        assert_eq!(store::check_backup(&case.target).unwrap(), made);
        assert_eq!(store::restore(&case.target, &case.restored).unwrap(), made);
        assert_eq!(is_sound(&case.restored), 43);
        let mut rig = Rig::open(&case.restored);
        assert_eq!(rig.all(1, 0).len(), 41);
        assert_eq!(rig.recovered.checkpoint, Some(b"checkpoint".to_vec()));
        // It goes on, and the backup stays what it was.
        let time = START + 3 * DAY;
        rig.put(time, &[number(1, 0, time, 1.0)]);
        rig.seal();
        rig.tick(START + 6 * DAY);
        rig.assert_sound();
        assert_eq!(store::check_backup(&case.target).unwrap(), made);
    }
}

#[test]
fn a_backup_beside_a_writer_has_all_that_was_acknowledged_before_it_and_nothing_twice() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let options = Options {
        seal_cells: 50,
        ..Options::default()
    };
    let mut rig = Rig::open_with(&data, options);
    let (acked, stop) = (AtomicU32::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut time = START;
            while !stop.load(Ordering::Acquire) {
                time += 1000;
                let mut group = rig.begin(time);
                rig.part(&mut group, &[number(1, 0, time, 1.0)]);
                rig.part(&mut group, &[number(2, 0, time, 2.0)]);
                rig.journal.commit(group).unwrap();
                acked.fetch_add(1, Ordering::Release);
                if rig.journal.wants_seal(at(time)) {
                    rig.journal.seal(Vec::new()).unwrap();
                }
                // Merges run all the time, and take away what they merged.
                rig.journal.tick(at(time + DAY)).unwrap();
            }
        });
        for round in 0..8 {
            let before = acked.load(Ordering::Acquire) as usize;
            let target = folder.path().join(format!("backup-{round}"));
            let made = store::backup(&data, &target, &plan(round % 2 == 0)).unwrap();
            let restored = folder.path().join(format!("restored-{round}"));
            store::restore(&target, &restored).unwrap();
            let readings = is_sound(&restored);
            assert_eq!(readings, made.cut.ledger.stored);
            let (reader, _) = store::open_read_only(&restored).unwrap();
            let stored = everything(&reader, 1, 0).len();
            assert!(stored >= before, "{stored} of {before}");
            assert_eq!(everything(&reader, 2, 0).len(), stored);
        }
        stop.store(true, Ordering::Release);
    });
}

#[test]
fn only_the_owner_may_read_a_backup() {
    let case = case();
    let made = store::backup(&case.data, &case.target, &plan(false)).unwrap();
    let mode = |path: PathBuf| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(case.target.clone()), 0o700);
    assert_eq!(mode(case.target.join("data/segments")), 0o700);
    for name in made.files.keys() {
        assert_eq!(mode(case.target.join(name)), 0o600, "{name}");
    }
}

#[test]
fn a_changed_or_missing_file_of_a_backup_is_named_and_nothing_is_restored() {
    let case = case();
    let made = store::backup(&case.data, &case.target, &plan(false)).unwrap();
    assert!(made.files.len() >= 5, "{:?}", made.files.keys());
    for name in made.files.keys() {
        let path = case.target.join(name);
        let original = std::fs::read(&path).unwrap();
        let mut bytes = original.clone();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        for (content, word) in [
            (Some(bytes), "SHA-256"),
            (original.get(1..).map(<[u8]>::to_vec), "bytes instead of"),
            (None, "is missing"),
        ] {
            match content {
                Some(content) => std::fs::write(&path, content).unwrap(),
                None => std::fs::remove_file(&path).unwrap(),
            }
            let what = damaged(store::restore(&case.target, &case.restored).unwrap_err());
            assert!(
                what.starts_with(name.as_str()) && what.contains(word),
                "{what}"
            );
            assert!(!case.restored.exists());
        }
        std::fs::write(&path, original).unwrap();
    }
    store::restore(&case.target, &case.restored).unwrap();
}

fn edit(backup: &Path, edit: impl FnOnce(&mut serde_json::Value)) {
    let path = backup.join("manifest.json");
    let mut manifest = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    edit(&mut manifest);
    std::fs::write(path, manifest.to_string()).unwrap();
}

#[test]
fn a_backup_of_a_newer_program_is_refused_by_its_number() {
    let case = case();
    let made: Manifest = store::backup(&case.data, &case.target, &plan(false)).unwrap();
    let newer = made.data_format + 1;
    edit(&case.target, |manifest| {
        manifest["data_format"] = newer.into();
    });
    assert_eq!(
        refused(store::restore(&case.target, &case.restored).unwrap_err()),
        format!(
            "the backup has format {newer}, this program knows up to {}",
            made.data_format
        )
    );
}

#[test]
fn a_manifest_that_leads_out_of_the_backup_or_tells_another_cut_is_refused() {
    let case = case();
    store::backup(&case.data, &case.target, &plan(false)).unwrap();
    edit(&case.target, |manifest| {
        manifest["cut"]["ledger"]["stored"] = 44.into();
    });
    let what = damaged(store::restore(&case.target, &case.restored).unwrap_err());
    assert!(what.contains("the manifest says"), "{what}");
    // What was not finished is taken by nobody for a data directory.
    for error in [
        store::open(&case.restored, Options::default())
            .map(drop)
            .unwrap_err(),
        store::open_read_only(&case.restored).map(drop).unwrap_err(),
        store::restore(&case.target, &case.restored)
            .map(drop)
            .unwrap_err(),
    ] {
        assert!(refused(error).contains("was cut off"));
    }
    for name in ["../data/access.json", "/etc/passwd", "data/../../x", ""] {
        edit(&case.target, |manifest| {
            manifest["files"][name] = serde_json::json!({"bytes": 0, "sha256": ""});
        });
        let what = damaged(store::check_backup(&case.target).unwrap_err());
        assert!(what.contains("is no file of a backup"), "{what}");
        edit(&case.target, |manifest| {
            manifest["files"].as_object_mut().unwrap().remove(name);
        });
    }
}

#[test]
fn a_backup_takes_the_place_of_nothing_and_a_restore_neither() {
    let case = case();
    let again = || store::backup(&case.data, &case.target, &plan(false));
    // What was cut off has no name of a backup, and is no obstacle.
    let partial = case.target.with_extension("partial");
    std::fs::create_dir_all(partial.join("data/segments")).unwrap();
    std::fs::write(partial.join("data/main.db"), "half").unwrap();
    assert!(refused(store::check_backup(&partial).unwrap_err()).contains("is no backup"));
    again().unwrap();
    assert!(!partial.exists());
    assert!(refused(again().unwrap_err()).contains("is there already"));
    let inside = case.data.join("backup");
    let error = store::backup(&case.data, &inside, &plan(false)).unwrap_err();
    assert!(refused(error).contains("in the data directory itself"));
    let empty = case.data.with_extension("empty");
    let error = store::backup(&empty, &case.restored, &plan(false)).unwrap_err();
    assert!(refused(error).contains("has no journal"));
    let error = store::restore(&case.target, &case.data).unwrap_err();
    assert!(refused(error).contains("is not empty"));
    std::fs::create_dir(&empty).unwrap();
    store::restore(&case.target, &empty).unwrap();
}

#[test]
fn a_backup_of_what_was_damaged_already_says_so() {
    let case = case();
    let (reader, _) = store::open_read_only(&case.data).unwrap();
    assert_eq!(reader.check().unwrap().problems, Vec::<String>::new());
    let day = std::fs::read_dir(case.data.join("segments"))
        .unwrap()
        .next()
        .unwrap();
    let file = std::fs::read_dir(day.unwrap().path())
        .unwrap()
        .next()
        .unwrap();
    let path = file.unwrap().path();
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[64] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let made = store::backup(&case.data, &case.target, &plan(false)).unwrap();
    let number = path.file_stem().unwrap().to_str().unwrap();
    assert_eq!(
        made.problems,
        [format!("segment {number} is not as it was written")]
    );
    // It is the damage that comes back, no more and no less.
    store::restore(&case.target, &case.restored).unwrap();
}
