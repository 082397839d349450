//! A state file there and back, damaged, and as garbage.

use super::{MAGIC, VERSION, decode, encode};
use crate::cell::{Cell, Part};
use crate::dedup::{Track, Tracks};
use crate::ledger::Tally;
use crate::view::{Known, View};
use proptest::prelude::*;

fn cell(metric: u16, part: Part, value: f64) -> Cell {
    Cell {
        observed: 1_772_323_200_000,
        received: 1_772_323_200_090,
        value,
        metric,
        driver: 2,
        quality: 0x41,
        part,
        late: false,
    }
}

fn state() -> (View, Tracks) {
    let mut view = View::default();
    let latest = vec![
        cell(0, Part::Number, 312.4),
        cell(5, Part::Lon, 118.1),
        cell(5, Part::Lat, -0.0),
    ];
    let known = Known {
        first_received: -5,
        last_received: 1_772_323_200_090,
        latest,
    };
    view.devices.insert(7, known);
    view.devices.insert(8, Known::default());
    let tally = Tally {
        received: 9,
        stored: 4,
        duplicate: 3,
        late: 1,
        rejected: vec![("nan".into(), 2)],
    };
    view.totals.insert((2, 7), tally);
    let mut track = Track::default();
    track.put(0, 1_772_323_200_000);
    track.put(5, i64::MIN);
    (view, Tracks::from_iter([(7, track)]))
}

#[test]
fn a_state_reads_back() {
    let (view, tracks) = state();
    let read = decode(&encode(&view, &tracks, b"engine")).unwrap();
    assert_eq!(read.checkpoint, b"engine");
    assert_eq!(read.totals, view.totals);
    assert_eq!(read.devices.len(), 2);
    for (device, known) in &view.devices {
        let found = &read.devices[device];
        assert_eq!(found.latest, known.latest);
        assert_eq!(
            (found.first_received, found.last_received),
            (known.first_received, known.last_received)
        );
    }
    assert_eq!(read.tracks[&7].series(), tracks[&7].series());
    assert_eq!(read.tracks[&8].series(), []);
}

#[test]
fn a_damaged_state_is_noticed() {
    let (view, tracks) = state();
    let bytes = encode(&view, &tracks, b"engine");
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x10;
        assert!(decode(&damaged).is_err(), "byte {at}");
        assert!(decode(&bytes[..at]).is_err(), "cut at {at}");
    }
}

proptest! {
    #[test]
    fn garbage_with_a_right_check_sum_is_an_error_or_a_state_but_no_panic(
        garbage in proptest::collection::vec(any::<u8>(), 0..200)
    ) {
        let mut bytes = MAGIC.to_vec();
        bytes.push(VERSION);
        bytes.extend_from_slice(&garbage);
        let crc = crc32fast::hash(&bytes);
        bytes.extend_from_slice(&crc.to_le_bytes());
        if let Ok(state) = decode(&bytes) {
            prop_assert!(state.devices.len() + state.totals.len() <= garbage.len());
        }
    }
}
