//! Lines as public captures of Omni locks have them.

use super::super::frame::tests::{START_MS, device};
use super::*;

fn riding(lon: f64, lat: f64, locked: bool) -> Vec<Observation> {
    vec![
        Observation {
            metric: "position".into(),
            measure: Measure::Position {
                lon,
                lat,
                accuracy_m: 4.0,
                locked,
            },
        },
        Observation::number("battery_pct", 80.0, 1),
    ]
}

/// 2016-12-15T12:44:58Z, the time of the public capture.
const CAPTURED_MS: i64 = 1_481_805_898_000;

#[test]
fn a_parked_bike_tells_its_state_and_the_place_of_the_public_capture() {
    let device = device("bike", "bikelock", "123456789123456");
    let mut wire = BikeLock::new(&device);
    let parcel = wire.encode(&device, CAPTURED_MS, &riding(114.143_69, 22.629_19, true));
    // 350 + 0.8 * 70 hundredths of a volt.
    assert_eq!(
        String::from_utf8(parcel.bytes).unwrap(),
        "*CMDR,OM,123456789123456,161215124458,H0,1,406,24,80#\n\
         *CMDR,OM,123456789123456,161215124458,D0,0,124458.00,A,2237.7514,N,11408.6214,E,8,0.90,\
         151216,12,M,A#\n"
    );
    assert_eq!((parcel.expects, parcel.ts_ms), (None, CAPTURED_MS));
}

#[test]
fn opening_and_locking_are_told_first_and_wait_for_their_answer() {
    let device = device("bike", "bikelock", "123456789123456");
    let mut wire = BikeLock::new(&device);
    let mut tell = |after_ms, locked| {
        let parcel = wire.encode(&device, CAPTURED_MS + after_ms, &riding(1.0, 2.0, locked));
        let text = String::from_utf8(parcel.bytes).unwrap();
        let first = text.lines().next().unwrap().to_owned();
        (first, parcel.expects, parcel.said)
    };
    assert_eq!(tell(0, true).1, None);
    let locked = |value| vec![Observation::number("locked", value, 0)];
    assert_eq!(
        tell(60_000, false),
        (
            "*CMDR,OM,123456789123456,161215124558,L0,0,1,1481805958#".to_owned(),
            Some(OPENED),
            locked(0.0)
        )
    );
    assert_eq!(tell(120_000, false).1, None);
    assert_eq!(
        tell(360_000, true),
        (
            "*CMDR,OM,123456789123456,161215125058,L1,1,1481805958,5#".to_owned(),
            Some(CLOSED),
            locked(1.0)
        )
    );
}

#[test]
fn both_forms_of_the_answer_are_known() {
    let mut wire = BikeLock::new(&device("bike", "bikelock", "1"));
    for answer in [
        "\u{fffd}*CMDS,OM,863725031194523,000000000000,L1#\n",
        "*CMDS,OM,863725031194523,161201150000,Re,L1#\n",
    ] {
        let mut received = answer.as_bytes().to_vec();
        let taken = wire.take(&mut received, START_MS);
        assert_eq!(taken, Some(Answer::Acked(Some(CLOSED))));
        assert_eq!(wire.take(&mut received, START_MS), None);
    }
}

#[test]
fn south_and_west_are_letters() {
    assert_eq!(minutes(-0.5, 2), "0030.0000");
    assert_eq!(minutes(-70.123_456_7, 3), "07007.4074");
}
