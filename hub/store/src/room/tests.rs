//! The reserve on a real file system, with its measure in the test's hand.

use super::{Disk, Meter, RESERVE, Room};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

const MIB: u64 = 1 << 20;

/// A disk of 1 TiB whose free room and files are said by the test; the reserve counts as used.
fn meter() -> (Meter, Arc<AtomicU64>, Arc<AtomicU64>) {
    let (free, files) = (
        Arc::new(AtomicU64::new(100 * MIB)),
        Arc::new(AtomicU64::new(1_000)),
    );
    let (bytes, inodes) = (Arc::clone(&free), Arc::clone(&files));
    let measure = move |_: &std::path::Path| {
        Ok(Disk {
            free_bytes: bytes.load(Ordering::SeqCst),
            total_bytes: MIB << 20,
            free_inodes: inodes.load(Ordering::SeqCst),
            total_inodes: 2_000,
        })
    };
    (Meter::of(measure), free, files)
}

fn held(folder: &std::path::Path) -> u64 {
    super::held_in(&folder.join(RESERVE))
}

#[test]
fn the_reserve_is_let_go_when_little_more_is_left_and_taken_again_when_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let (meter, free, _) = meter();
    let mut room = Room::open(folder.path(), meter, 4 * MIB);
    assert!(room.look());
    assert_eq!(held(folder.path()), 4 * MIB);
    free.store(MIB, Ordering::SeqCst);
    assert!(room.look(), "a quarter of it is left beside it");
    free.store(MIB - 1, Ordering::SeqCst);
    assert!(!room.look());
    assert_eq!(held(folder.path()), 0);
    // What was let go is free now, and is no reason to go on.
    free.store(5 * MIB + 1, Ordering::SeqCst);
    assert!(!room.look());
    free.store(6 * MIB, Ordering::SeqCst);
    assert!(room.look());
    assert_eq!(held(folder.path()), 4 * MIB);
}

#[test]
fn a_start_on_a_full_disk_lets_the_reserve_go_first() {
    let folder = tempfile::tempdir().unwrap();
    let (meter, free, _) = meter();
    drop(Room::open(folder.path(), meter.clone(), 4 * MIB));
    assert_eq!(held(folder.path()), 4 * MIB);
    free.store(0, Ordering::SeqCst);
    let mut room = Room::open(folder.path(), meter, 4 * MIB);
    assert!(!room.look());
    assert_eq!(held(folder.path()), 0);
    assert!(!room.fits(0), "nothing is merged");
}

#[test]
fn a_disk_without_files_left_takes_nothing_either() {
    let folder = tempfile::tempdir().unwrap();
    let (meter, _, files) = meter();
    let mut room = Room::open(folder.path(), meter, MIB);
    files.store(63, Ordering::SeqCst);
    assert!(!room.look());
    files.store(127, Ordering::SeqCst);
    assert!(!room.look());
    files.store(128, Ordering::SeqCst);
    assert!(room.look());
}

#[test]
fn another_reserve_takes_the_place_of_the_one_before_and_0_is_none() {
    let folder = tempfile::tempdir().unwrap();
    let (meter, free, _) = meter();
    for reserve in [8 * MIB, 2 * MIB, 0] {
        drop(Room::open(folder.path(), meter.clone(), reserve));
        assert_eq!(held(folder.path()), reserve);
    }
    free.store(0, Ordering::SeqCst);
    assert!(Room::open(folder.path(), meter, 0).look());
}

#[test]
fn what_need_not_be_written_leaves_what_must_be() {
    let folder = tempfile::tempdir().unwrap();
    let (meter, free, _) = meter();
    let mut room = Room::open(folder.path(), meter, 4 * MIB);
    free.store(11 * MIB, Ordering::SeqCst);
    room.look();
    assert!(room.fits(10 * MIB));
    assert!(!room.fits(10 * MIB + 1));
}

#[test]
fn a_start_without_room_for_the_database_itself_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (meter, free, _) = meter();
    free.store(MIB - 1, Ordering::SeqCst);
    let error = Room::open(folder.path(), meter.clone(), MIB).check_start();
    assert!(
        error
            .unwrap_err()
            .to_string()
            .contains("opening the database")
    );
    free.store(MIB, Ordering::SeqCst);
    Room::open(folder.path(), meter, MIB).check_start().unwrap();
}
